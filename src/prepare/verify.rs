//! A prepared image against its manifest.

use super::copy::{self, CopyError, CopyOptions, Progress};
use super::execute::inspect_planned;
use super::manifest::Disk;
use crate::bytes::host::Access;
use crate::bytes::{Bytes, HostFile, ReadAt};
use crate::inspect::Inspected;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a disk of a prepared image turned out to be.
#[derive(Debug)]
pub struct Verified {
    /// File name.
    pub file: String,
    /// What is known about it; `None` where there is no such file.
    pub inspected: Option<Inspected>,
    /// Differences from the manifest, each a sentence.
    pub mismatches: Vec<String>,
    /// Digests that were computed and agree.
    pub digests: Vec<&'static str>,
}

/// Why a disk could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum CannotVerify {
    /// The host cannot read it.
    #[error("cannot read '{file}': {cause}")]
    Host {
        /// The file.
        file: String,
        /// The host's own words.
        cause: io::Error,
    },
    /// It could not be read through, or somebody asked to stop.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Rereads one disk: its length, its footer, its digests.
///
/// # Errors
///
/// Only when the host cannot read it; whatever differs is a mismatch.
pub fn verify(dir: &Path, disk: &Disk, access: Access, progress: &dyn Progress, cancel: &AtomicBool) -> Result<Verified, CannotVerify> {
    let mut out = Verified { file: disk.file.clone(), inspected: None, mismatches: vec![], digests: vec![] };
    let path = dir.join(&disk.file);
    // The files are named by their LUNs, so that a manifest that was edited shows.
    let named: Option<u8> = disk.file.strip_suffix(".vhd").and_then(|name| name.rsplit_once("-lun")?.1.parse().ok());
    if let (Some(lun), Some(named)) = (disk.lun, named)
        && lun != named
    {
        out.mismatches.push(format!("{}: the manifest gives it LUN {lun}, its name LUN {named}; prepare the image again", disk.file));
    }
    let host = match HostFile::open(&path, access) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            out.mismatches.push(format!("{}: the file is missing; prepare the image again, or bring the file back", disk.file));
            return Ok(out);
        }
        Err(cause) => return Err(CannotVerify::Host { file: disk.file.clone(), cause }),
        Ok(host) => Arc::new(host),
    };
    let file: Bytes = host.clone();
    let inspected = inspect_planned(&file, &path).map_err(CopyError::Read)?;
    if file.size() < disk.upload_size_bytes {
        let missing = disk.upload_size_bytes.saturating_sub(file.size());
        out.mismatches.push(format!(
            "{}: the file is cut: it has {} bytes, {missing} fewer than the {} that the manifest says",
            disk.file,
            file.size(),
            disk.upload_size_bytes
        ));
    } else if file.size() > disk.upload_size_bytes {
        let extra = file.size().saturating_sub(disk.upload_size_bytes);
        out.mismatches.push(format!(
            "{}: the file has grown: it has {} bytes, {extra} more than the {} that the manifest says",
            disk.file,
            file.size(),
            disk.upload_size_bytes
        ));
    } else {
        compare_footer(disk, &inspected, &mut out);
        compare_digests(&file, disk, &mut out, progress, cancel)?;
    }
    host.unchanged().map_err(|cause| CannotVerify::Host { file: disk.file.clone(), cause })?;
    out.inspected = Some(inspected);
    Ok(out)
}

fn compare_footer(disk: &Disk, inspected: &Inspected, out: &mut Verified) {
    match inspected.facts.footer.value() {
        None => out.mismatches.push(format!("{}: the footer is gone: the last 512 bytes are not one", disk.file)),
        Some(footer) if footer.checksum.stored != footer.checksum.computed => out.mismatches.push(format!(
            "{}: the footer is damaged: its checksum is {:#010x}, its bytes have {:#010x}",
            disk.file, footer.checksum.stored, footer.checksum.computed
        )),
        Some(footer) if footer.current_size != disk.virtual_size => {
            out.mismatches.push(format!("{}: the footer says {} bytes, the manifest {}", disk.file, footer.current_size, disk.virtual_size))
        }
        Some(footer) if disk.unique_id.as_ref().is_some_and(|id| *id != footer.unique_id) => out.mismatches.push(format!(
            "{}: it is another disk: its unique id is {}, the manifest says {}; was it swapped with another file?",
            disk.file,
            footer.unique_id,
            disk.unique_id.as_deref().unwrap_or_default()
        )),
        Some(_) => {}
    }
}

fn compare_digests(
    file: &Bytes,
    disk: &Disk,
    out: &mut Verified,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Result<(), CannotVerify> {
    let options =
        CopyOptions { threads: None, fsverity: disk.fsverity.is_some(), sha256: disk.sha256.is_some(), share: None, reflink: false };
    if !options.fsverity && !options.sha256 {
        return Ok(());
    }
    let found = copy::digest(file, &options, progress, cancel)?;
    let pairs = [
        ("fs-verity", disk.fsverity.clone(), found.fsverity.map(|digest| digest.to_string())),
        ("SHA-256", disk.sha256.clone(), found.sha256.map(super::fsverity::Digest::hex)),
    ];
    for (name, expected, found) in pairs {
        match (expected, found) {
            (Some(expected), Some(found)) if expected != found => out
                .mismatches
                .push(format!("{}: the content was changed: its {name} digest is {found}, the manifest says {expected}", disk.file)),
            (Some(_), Some(_)) => out.digests.push(name),
            _ => {}
        }
    }
    Ok(())
}
