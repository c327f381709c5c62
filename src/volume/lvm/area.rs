//! Physical volumes: the header, and the metadata areas with what they say.
//!
//! A metadata area is a ring: a header of 512 bytes, then texts, each written behind the one before it, and past the end on at the
//! byte after the header. The header says where the current text lies.

use super::super::block::Block;
use super::super::checksum::crc32_le;
use super::label::{Area, CRC_START, Label};
use super::metadata::Metadata;
use crate::bytes::{Bytes, MIB, ReadAt, ReadError, int_usize, read_vec};
use std::ops::Range;
use std::sync::Arc;

/// The header of a metadata area; the ring begins behind it.
const HEADER: u64 = 512;
const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
/// A text that is read; LVM's own areas are 1 MiB unless asked otherwise.
const MAX_TEXT: u64 = 16 * MIB;
/// Metadata areas that are read; LVM makes at most two.
const MAX_AREAS: usize = 4;
/// Flag of a text that LVM itself keeps out of use.
const IGNORED: u32 = 1;

/// A physical volume that was found: its bytes, and what it says of its group.
#[derive(Debug, Clone)]
pub struct PhysicalVolume {
    /// Its identity, 32 characters in groups joined by hyphens.
    pub uuid: String,
    /// Bytes of the device when it was last changed; what is here may be shorter or longer.
    pub size: u64,
    /// Name and identity of its group, if it is in one and says so itself.
    pub group: Option<(String, String)>,
    /// What is wrong with its metadata areas, each a phrase.
    pub problems: Vec<String>,
    pub(super) bytes: Bytes,
    /// What of it is not for extents: label, metadata areas, bootloader area.
    pub(super) reserved: Vec<Range<u64>>,
    /// The states of the group that its areas hold, the one to go by first.
    pub(super) states: Vec<State>,
}

/// What one metadata area holds.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) metadata: Arc<Metadata>,
    /// Length and checksum of the text: the same for the same text.
    pub(super) text: (u64, u32),
    /// LVM does not go by this area, and it may be old.
    pub(super) ignored: bool,
}

impl State {
    /// What to go by first: areas in use, then the newest.
    pub(super) fn rank(&self) -> (bool, u64) {
        (!self.ignored, self.metadata.sequence)
    }
}

/// The physical volume on these bytes; `None` when they are none.
///
/// Damaged metadata areas are problems of the physical volume, not errors.
///
/// # Errors
///
/// When the label or, for a reason that lies in the host, a metadata area cannot be read.
pub fn physical_volume(bytes: &Bytes) -> Result<Option<PhysicalVolume>, ReadError> {
    let Some(label) = Label::find(bytes)? else { return Ok(None) };
    let mut found = PhysicalVolume {
        uuid: label.uuid().unwrap_or_default(),
        size: label.device_size(),
        group: None,
        problems: Vec::new(),
        bytes: bytes.clone(),
        reserved: label.reserved(),
        states: Vec::new(),
    };
    let areas = label.metadata_areas();
    if areas.len() > MAX_AREAS {
        found.problems.push(format!("it lists {} metadata areas; {MAX_AREAS} are read", areas.len()));
    }
    for area in areas.into_iter().take(MAX_AREAS) {
        match current(bytes, area, &found.states) {
            Ok(state) => found.states.extend(state),
            Err(Fault::Read(error)) if error.is_host() => return Err(error),
            Err(fault) => found.problems.push(format!("the metadata area at byte {} cannot be used: {fault}", area.start)),
        }
    }
    found.states.sort_by_key(|state| std::cmp::Reverse(state.rank()));
    found.group = found.states.first().map(|state| (state.metadata.name.clone(), state.metadata.uuid.clone()));
    Ok(Some(found))
}

/// Why a metadata area says nothing.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Damage(String),
}

fn damage<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damage(what.into()))
}

/// What a metadata area holds now; nothing in a physical volume that is in no group. A text that is `known` is not read again.
fn current(bytes: &dyn ReadAt, area: Area, known: &[State]) -> Result<Option<State>, Fault> {
    let Some(header) = Block::at(bytes, area.start, int_usize(HEADER))? else {
        return damage("it lies behind the end");
    };
    if !header.has(4, MAGIC) {
        return damage("its header has not the magic of one");
    }
    if crc32_le(CRC_START, header.slice(4, int_usize(HEADER))) != header.le32(0) {
        return damage("the checksum of its header is wrong");
    }
    if header.le32(20) != 1 {
        return damage(format!("its header has version {}", header.le32(20)));
    }
    if header.le64(24) != area.start {
        return damage(format!("its header believes to be at byte {}", header.le64(24)));
    }
    let size = header.le64(32);
    let [offset, length] = [40, 48].map(|field| header.le64(field));
    let [checksum, flags] = [56, 60].map(|field| header.le32(field));
    if offset == 0 {
        return Ok(None);
    }
    let text = (length, checksum);
    let ignored = flags & IGNORED != 0;
    if let Some(same) = known.iter().find(|state| state.text == text) {
        return Ok(Some(State { ignored, ..same.clone() }));
    }
    let text_bytes = ring(bytes, Area { start: area.start, size }, offset, length)?;
    if crc32_le(CRC_START, &text_bytes) != checksum {
        return damage("the checksum of its text is wrong");
    }
    match Metadata::parse(&String::from_utf8_lossy(&text_bytes)) {
        Ok(metadata) => Ok(Some(State { metadata: Arc::new(metadata), text, ignored })),
        Err(why) => damage(why),
    }
}

/// `length` bytes at `offset` of a ring, some of which may lie at its beginning.
fn ring(bytes: &dyn ReadAt, area: Area, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
    if length > MAX_TEXT {
        return damage(format!("its text of {length} bytes is longer than the {MAX_TEXT} that are read"));
    }
    if length == 0 || offset < HEADER || offset >= area.size {
        return damage(format!("its text of {length} bytes at byte {offset} lies outside the area of {} bytes", area.size));
    }
    let first = length.min(area.size.saturating_sub(offset));
    let wrapped = length.saturating_sub(first);
    if wrapped.saturating_add(HEADER) > offset {
        return damage(format!("its text of {length} bytes is longer than the area of {} bytes", area.size));
    }
    let place = |offset: u64| area.start.saturating_add(offset);
    let mut text = read_vec(bytes, place(offset), int_usize(first))?;
    text.extend(read_vec(bytes, place(HEADER), int_usize(wrapped))?);
    Ok(text)
}
