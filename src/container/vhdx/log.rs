//! The log: \[MS-VHDX\] 2.3. Replayed in memory; the file stays as it is.
//!
//! The log is a ring of 4096-byte sectors. An entry is a sector with a header and descriptors, further sectors of
//! descriptors, and one data sector for each data descriptor. Entries that follow each other with rising sequence numbers
//! are a sequence; it counts when the last entry's tail points into it, and the active one is that with the highest number.

use super::LogState;
use super::crc32c;
use super::header::{Header, guid};
use super::notes::{Notes, require};
use super::region;
use crate::bytes::{Bytes, Corrupt, Guid, MIB, Overlay, OverlayError, ReadAt, ReadError, int_u64, int_usize, read_vec};
use byteorder::{LittleEndian, ReadBytesExt};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a sector of the log.
const SECTOR: u64 = 4096;
/// Largest log that is held in memory; Hyper-V and QEMU make logs of 1 MiB.
const LARGEST: u64 = 64 * MIB;
/// Sectors that a replay may change, 256 MiB: a zero descriptor of 32 bytes can name any number.
const CHANGES: u64 = 256 * MIB / SECTOR;
/// Bytes of an entry's header, and of a descriptor.
const HEADER: u64 = 64;
const DESCRIPTOR: u64 = 32;

/// Where the header says that the log lies.
///
/// # Errors
///
/// Corrupt when it cannot lie there, Unsupported when it is too large.
pub(super) fn place(header: &Header, size: u64) -> Result<Range<u64>, ReadError> {
    const NAME: &str = "header";
    let (offset, length) = (header.log_offset, u64::from(header.log_length));
    let (length_at, offset_at) = (header.at.saturating_add(68), header.at.saturating_add(72));
    require(length >= MIB && length.is_multiple_of(MIB), NAME, length_at, "a log of whole MiB", length)?;
    require(offset >= MIB && offset.is_multiple_of(MIB), NAME, offset_at, "a log at a whole MiB from 1 MiB on", offset)?;
    let end = offset.checked_add(length).filter(|end| *end <= size);
    let found = format_args!("{length} bytes at byte {offset} of a file of {size}");
    require(end.is_some(), NAME, offset_at, "a log inside the file", found)?;
    Ok(offset..end.unwrap_or(offset))
}

/// The state of the log, and the file as it is after the replay.
///
/// # Errors
///
/// Corrupt when there must be entries and are none, or when the file was cut since they were written; Unsupported beyond the
/// limits of this module.
pub(super) fn replay(file: &Bytes, header: &Header, place: &Range<u64>, notes: &mut Notes) -> Result<(LogState, Bytes), ReadError> {
    if header.log_version != 0 {
        return Err(ReadError::Unsupported(format!("a VHDX log of version {}", header.log_version)));
    }
    let length = place.end.saturating_sub(place.start);
    if length > LARGEST {
        return Err(ReadError::Unsupported(format!("a VHDX log of {length} bytes; the most is {LARGEST}")));
    }
    let ring = Ring { place: place.clone(), guid: header.log_guid, stored: read_vec(file, place.start, int_usize(length))? };
    let entries = ring.entries();
    let active = active(&entries, place.start)?;
    let last = active.last().ok_or_else(|| Corrupt::new("log", place.start, "an active sequence, because the log is in use", "none"))?;
    if entries.values().any(|entry| entry.sequence_number > last.sequence_number) {
        notes.deviation(place.start, "the log has entries that are newer than its active sequence; they are not replayed");
    }
    let size = file.size();
    let at = place.start.saturating_add(last.at).saturating_add(48);
    require(last.flushed_file_offset <= size, "log entry", at, &format!("a file of at least {} bytes", last.flushed_file_offset), size)?;

    let mut changes = BTreeMap::new();
    let mut room = CHANGES;
    for entry in &active {
        ring.apply(entry, &mut room, &mut changes)?;
    }
    let count = int_u64(active.len());
    if changes.is_empty() {
        return Ok((LogState::Empty { entries: count }, file.clone()));
    }
    let sectors = int_u64(changes.len());
    let mut overlay = Overlay::resized(file.clone(), size.max(last.last_file_offset));
    for (offset, bytes) in runs(changes) {
        overlay
            .patch(offset, bytes)
            .map_err(|error: OverlayError| Corrupt::new("log", place.start, "changes inside the file", error.to_string()))?;
    }
    Ok((LogState::Replayed { entries: count, sectors }, Arc::new(overlay)))
}

/// Changed sectors by their number in the file; `None` is zeros.
type Changes = BTreeMap<u64, Option<Vec<u8>>>;

/// Changes that follow each other as one, so that a range of zeros is one allocation that costs no memory.
fn runs(changes: Changes) -> Vec<(u64, Vec<u8>)> {
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut zeros: Option<Range<u64>> = None;
    let bytes =
        |run: Range<u64>| (run.start.saturating_mul(SECTOR), vec![0; int_usize(run.end.saturating_sub(run.start).saturating_mul(SECTOR))]);
    for (sector, data) in changes {
        match (data, &mut zeros) {
            (None, Some(run)) if run.end == sector => run.end = sector.saturating_add(1),
            (None, _) => runs.extend(zeros.replace(sector..sector.saturating_add(1)).map(bytes)),
            (Some(data), _) => runs.push((sector.saturating_mul(SECTOR), data)),
        }
    }
    runs.extend(zeros.map(bytes));
    runs
}

/// An entry whose every part is valid.
#[derive(Debug)]
struct Entry {
    /// Byte within the log where it starts, and those at which the oldest entry that counts starts and the next one would.
    at: u64,
    tail: u64,
    next: u64,
    sequence_number: u64,
    flushed_file_offset: u64,
    last_file_offset: u64,
    descriptors: Vec<Descriptor>,
}

#[derive(Debug)]
enum Descriptor {
    /// A sector of the file is to be this: eight and four bytes from here, the others from a data sector of the log.
    Data {
        file_offset: u64,
        leading: [u8; 8],
        trailing: [u8; 4],
        sector: u64,
    },
    Zero {
        file_offset: u64,
        length: u64,
    },
}

/// The header of an entry, field by field: section 2.3.1.1.
struct EntryHeader {
    signature: [u8; 4],
    checksum: u32,
    entry_length: u32,
    tail: u32,
    sequence_number: u64,
    descriptor_count: u32,
    log_guid: Guid,
    flushed_file_offset: u64,
    last_file_offset: u64,
}

impl EntryHeader {
    fn parse(mut from: &[u8]) -> io::Result<Self> {
        let mut signature = [0; 4];
        from.read_exact(&mut signature)?;
        let checksum = from.read_u32::<LittleEndian>()?;
        let entry_length = from.read_u32::<LittleEndian>()?;
        let tail = from.read_u32::<LittleEndian>()?;
        let sequence_number = from.read_u64::<LittleEndian>()?;
        let descriptor_count = from.read_u32::<LittleEndian>()?;
        let _reserved = from.read_u32::<LittleEndian>()?;
        let log_guid = guid(&mut from)?;
        let flushed_file_offset = from.read_u64::<LittleEndian>()?;
        let last_file_offset = from.read_u64::<LittleEndian>()?;
        Ok(Self {
            signature,
            checksum,
            entry_length,
            tail,
            sequence_number,
            descriptor_count,
            log_guid,
            flushed_file_offset,
            last_file_offset,
        })
    }
}

/// A descriptor, field by field: sections 2.3.1.2 and 2.3.1.3 share their layout but for what the middle means.
struct RawDescriptor {
    signature: [u8; 4],
    trailing: [u8; 4],
    middle: [u8; 8],
    file_offset: u64,
    sequence_number: u64,
}

impl RawDescriptor {
    fn parse(mut from: &[u8]) -> io::Result<Self> {
        let (mut signature, mut trailing, mut middle) = ([0; 4], [0; 4], [0; 8]);
        from.read_exact(&mut signature)?;
        from.read_exact(&mut trailing)?;
        from.read_exact(&mut middle)?;
        let file_offset = from.read_u64::<LittleEndian>()?;
        let sequence_number = from.read_u64::<LittleEndian>()?;
        Ok(Self { signature, trailing, middle, file_offset, sequence_number })
    }
}

/// The log's bytes.
struct Ring {
    place: Range<u64>,
    guid: Guid,
    stored: Vec<u8>,
}

impl Ring {
    fn length(&self) -> u64 {
        int_u64(self.stored.len())
    }

    /// A byte of the ring, counted past its end.
    fn wrap(&self, at: u64) -> u64 {
        at.checked_rem(self.length()).unwrap_or_default()
    }

    fn sector(&self, at: u64) -> Option<&[u8]> {
        self.stored.get(int_usize(self.wrap(at))..)?.get(..int_usize(SECTOR))
    }

    /// All valid entries by where they start.
    ///
    /// A sector is header, descriptors or data by its first bytes, so valid entries never overlap, and this reads every
    /// sector a bounded number of times whatever their headers claim.
    fn entries(&self) -> BTreeMap<u64, Entry> {
        let starts = (0..self.length()).step_by(int_usize(SECTOR));
        starts.filter_map(|at| self.entry(at)).map(|entry| (entry.at, entry)).collect()
    }

    /// The entry that starts at `at`, if one does and is valid.
    fn entry(&self, at: u64) -> Option<Entry> {
        let first = self.sector(at)?;
        let header = EntryHeader::parse(first).ok()?;
        let (length, tail) = (u64::from(header.entry_length), u64::from(header.tail));
        let ours = &header.signature == b"loge" && header.log_guid == self.guid;
        let fits = length.is_multiple_of(SECTOR) && (SECTOR..=self.length()).contains(&length);
        if !ours || !fits || !tail.is_multiple_of(SECTOR) || tail >= self.length() {
            return None;
        }
        let described = u64::from(header.descriptor_count).checked_mul(DESCRIPTOR)?.checked_add(HEADER).filter(|end| *end <= length)?;
        let mut data = at.checked_add(described.div_ceil(SECTOR).checked_mul(SECTOR)?)?;
        let mut descriptors = Vec::new();
        for offset in (HEADER..described).step_by(int_usize(DESCRIPTOR)) {
            let within = int_usize(offset.checked_rem(SECTOR)?);
            let raw = RawDescriptor::parse(self.sector(at.checked_add(offset)?.checked_sub(int_u64(within))?)?.get(within..)?).ok()?;
            let descriptor = self.descriptor(&raw, &header, data)?;
            if matches!(descriptor, Descriptor::Data { .. }) {
                data = data.checked_add(SECTOR)?;
            }
            descriptors.push(descriptor);
        }
        let end = at.checked_add(length)?;
        // The sum comes last: only an entry of the right shape is worth it.
        let rest = (at..end).step_by(int_usize(SECTOR)).skip(1).filter_map(|at| self.sector(at));
        let whole = data == end && header.checksum == crc32c::of_structure(first, rest);
        let EntryHeader { sequence_number, flushed_file_offset, last_file_offset, .. } = header;
        whole.then(|| Entry { at, tail, next: self.wrap(end), sequence_number, flushed_file_offset, last_file_offset, descriptors })
    }

    /// The meaning of a descriptor, whose data sector, if it has one, is at `data`.
    fn descriptor(&self, raw: &RawDescriptor, header: &EntryHeader, data: u64) -> Option<Descriptor> {
        let file_offset = raw.file_offset;
        let descriptor = match &raw.signature {
            b"desc" => {
                let (signature, high, low) = self.data_sector(data)?;
                let sequence_number = (u64::from(high) << 32) | u64::from(low);
                if &signature != b"data" || sequence_number != header.sequence_number {
                    return None;
                }
                Descriptor::Data { file_offset, leading: raw.middle, trailing: raw.trailing, sector: data }
            }
            b"zero" => Descriptor::Zero { file_offset, length: u64::from_le_bytes(raw.middle) },
            _ => return None,
        };
        let range = descriptor.range()?;
        let aligned = range.start.is_multiple_of(SECTOR) && range.end.is_multiple_of(SECTOR);
        // What finds the log is never logged, nor is the log itself.
        let free = range.start >= region::PLACES[0] && (range.end <= self.place.start || range.start >= self.place.end);
        (raw.sequence_number == header.sequence_number && aligned && free).then_some(descriptor)
    }

    /// Signature and the halves of the sequence number of a data sector: section 2.3.1.4.
    fn data_sector(&self, at: u64) -> Option<([u8; 4], u32, u32)> {
        let sector = self.sector(at)?;
        let (signature, rest) = sector.split_first_chunk()?;
        Some((*signature, u32::from_le_bytes(*rest.first_chunk()?), u32::from_le_bytes(*sector.last_chunk()?)))
    }

    /// Adds what an entry changes.
    fn apply(&self, entry: &Entry, room: &mut u64, changes: &mut Changes) -> Result<(), ReadError> {
        for descriptor in &entry.descriptors {
            let range = descriptor.range().unwrap_or_default();
            let sectors = (range.start / SECTOR)..(range.end / SECTOR);
            let left = room.checked_sub(sectors.end.saturating_sub(sectors.start));
            *room = left.ok_or_else(|| ReadError::Unsupported(format!("a VHDX log that changes more than {CHANGES} sectors")))?;
            match descriptor {
                Descriptor::Zero { .. } => changes.extend(sectors.map(|sector| (sector, None))),
                Descriptor::Data { leading, trailing, sector, .. } => {
                    let middle = self.sector(*sector).and_then(|stored| stored.get(8..4092)).unwrap_or_default();
                    changes.insert(sectors.start, Some([leading, middle, trailing].concat()));
                }
            }
        }
        Ok(())
    }
}

impl Descriptor {
    /// The bytes of the file that it changes.
    fn range(&self) -> Option<Range<u64>> {
        let (start, length) = match self {
            Self::Data { file_offset, .. } => (*file_offset, SECTOR),
            Self::Zero { file_offset, length } => (*file_offset, *length),
        };
        Some(start..start.checked_add(length)?)
    }
}

/// The active sequence, oldest entry first; empty when there is none.
fn active(entries: &BTreeMap<u64, Entry>, log: u64) -> Result<Vec<&Entry>, ReadError> {
    let follow = |entry: &Entry| entries.get(&entry.next).filter(|next| entry.sequence_number.checked_add(1) == Some(next.sequence_number));
    let followed: BTreeSet<u64> = entries.values().filter_map(follow).map(|entry| entry.at).collect();
    let mut active: Vec<&Entry> = Vec::new();
    for first in entries.values().filter(|entry| !followed.contains(&entry.at)) {
        // Numbers rise along the way, so it ends.
        let run: Vec<&Entry> = std::iter::successors(Some(first), |entry| follow(entry)).collect();
        let Some(last) = run.last() else { continue };
        let Some(tail) = run.iter().position(|entry| entry.at == last.tail) else { continue };
        let highest = active.last().map(|entry| entry.sequence_number);
        require(
            highest != Some(last.sequence_number),
            "log",
            log.saturating_add(last.at),
            "one newest sequence",
            format_args!("two that end in entry {}", last.sequence_number),
        )?;
        if highest.is_none_or(|highest| last.sequence_number > highest) {
            active = run.into_iter().skip(tail).collect();
        }
    }
    Ok(active)
}
