//! From a plan to the file that it describes, as bytes over the untouched source. What is judged here is what will be written.

use super::changed::Changed;
use super::plan::{Plan, Step};
use crate::bytes::{Bytes, Guid, Overlay, OverlayError, ReadAt, ReadError, SECTOR, int_u64, int_usize, read_vec};
use crate::container::{Container, vhd};
use crate::partition::{self, CannotRebuild, PartitionTable};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Bytes at the start of a disk that take part in an identity that the source does not have.
const IDENTITY_BYTES: u64 = 64 * 1024;

/// Why the planned file cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CannotBuild {
    /// The disk cannot be read.
    #[error("the disk cannot be read: {0}")]
    NoDisk(String),
    /// The partition table cannot be rebuilt.
    #[error("the GPT cannot be rebuilt")]
    Gpt(#[from] CannotRebuild),
    /// Two patches collide, which only a bug of ours can cause.
    #[error("the planned changes contradict each other")]
    Overlay(#[from] OverlayError),
    /// The source cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The planned file: payload and footer.
///
/// With an empty plan it is the source file itself, byte for byte. `changed` is what is done inside the disk.
///
/// # Errors
///
/// When the disk cannot be read or its partition table cannot be rebuilt.
pub fn build(
    plan: &Plan,
    source: &Bytes,
    container: &Container,
    table: Option<&PartitionTable>,
    identity: &Identity,
    changed: &Changed,
) -> Result<Bytes, CannotBuild> {
    if !plan.steps.iter().any(|step| matches!(step, Step::WriteFooter { .. })) {
        // A fixed VHD that is sound as a file: its disk begins where it begins.
        return Ok(changed.over(source.clone())?);
    }
    let disk = container.disk.as_ref().map_err(|error| CannotBuild::NoDisk(error.to_string()))?;
    let disk = &changed.over(disk.clone())?;
    let mut file = Overlay::resized(disk.clone(), plan.size.saturating_add(SECTOR));
    let footer = vhd::fixed_footer(plan.size, plan.size, identity.unique_id, identity.timestamp);
    file.patch(plan.size, footer.encode().to_vec())?;
    if let Some(table) = table.filter(|_| plan.steps.iter().any(|step| matches!(step, Step::RebuildGpt { .. }))) {
        for patch in partition::rebuild(table, disk, plan.size)? {
            file.patch(patch.offset, patch.bytes)?;
        }
    }
    Ok(Arc::new(file))
}

/// Unique id and time stamp of the written footer: from the source, never from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Unique id.
    pub unique_id: Guid,
    /// Seconds since 2000-01-01 UTC.
    pub timestamp: u32,
}

impl Identity {
    /// The identity that the source has. A source without one (a raw disk, a footer of zeros) is given one made of its first 64 KiB,
    /// its size and the output's name, so that the same source gives the same bytes and two disks of an image differ.
    ///
    /// # Errors
    ///
    /// When the disk's start cannot be read.
    pub fn of(container: &Container, output: &str) -> Result<Self, ReadError> {
        let footer = container.vhd.as_ref().and_then(vhd::Vhd::authority);
        let timestamp = footer.map_or(0, |footer| footer.timestamp);
        if let Some(unique_id) = footer.map(|footer| footer.unique_id).filter(|id| !id.is_nil()) {
            return Ok(Self { unique_id, timestamp });
        }
        if let Some(unique_id) = container.vhdx.as_ref().and_then(|vhdx| vhdx.disk_id).filter(|id| !id.is_nil()) {
            return Ok(Self { unique_id, timestamp });
        }
        let Ok(disk) = &container.disk else { return Ok(Self { unique_id: Guid::NIL, timestamp }) };
        let mut hash = Sha256::new();
        hash.update(b"vhdkit unique id\0");
        hash.update(disk.size().to_le_bytes());
        hash.update(int_u64(output.len()).to_le_bytes());
        hash.update(output);
        hash.update(read_vec(&**disk, 0, int_usize(disk.size().min(IDENTITY_BYTES)))?);
        let mut unique_id = Guid::NIL;
        for (to, from) in unique_id.0.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        // Version 8, variant 1 (RFC 9562, section 5.8): an id of the vendor's own making.
        if let Some(byte) = unique_id.0.get_mut(6) {
            *byte = *byte & 0x0f | 0x80;
        }
        if let Some(byte) = unique_id.0.get_mut(8) {
            *byte = *byte & 0x3f | 0x80;
        }
        Ok(Self { unique_id, timestamp })
    }
}
