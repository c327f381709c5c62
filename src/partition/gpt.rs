//! The GUID partition table: two headers and two arrays of entries, told apart and tested.
//!
//! Document: UEFI 2.10 section 5.3.2 (GPT header, table 5.5) and 5.3.3 (entries, table 5.6).
//!
//! A header is *valid* when firmware would take it for itself: signature, revision, size, CRC-32, its own place, and
//! entries that can be read and have the promised CRC-32. Everything else that may be wrong is a problem of the table, not
//! of the header.

use super::problem::{Problem, ProblemKind};
use crate::bytes::{Bytes, Guid, ReadAt, ReadError, SECTOR, int_u64, int_usize, is_zero, read_vec};
use byteorder::{LittleEndian, ReadBytesExt};
use std::io;

/// "EFI PART".
pub(super) const SIGNATURE: &[u8; 8] = b"EFI PART";
/// The only revision there is: 1.0.
pub(super) const REVISION: u32 = 0x0001_0000;
/// The smallest header: all fields of table 5.5 up to the reserved rest of the sector.
pub(super) const MIN_HEADER: u32 = 92;
/// Where the header's own CRC-32 stands in it.
pub(super) const CRC_AT: usize = 16;
/// The smallest entry (table 5.6); larger ones are 128 × 2ⁿ. Linux reads no other size.
const MIN_ENTRY: u32 = 128;
/// The largest entry that is read. The specification has no limit, and nobody has been seen to write more than 128.
const MAX_ENTRY: u32 = 4096;
/// The largest array that is read: 131072 entries of 128 bytes. Usual are 16 KiB.
const MAX_ARRAY: u64 = 16 << 20;
/// Bytes before the end of the disk that are searched for a lost backup: what rounding a file up to a MiB leaves behind it.
const SEARCHED: u64 = 1 << 20;
/// Lost backups that are looked at more closely, so that planted signatures cost nothing.
const MAX_CANDIDATES: usize = 4;
/// The sector sizes for which a table may have been made.
const SECTOR_4K: u64 = 4096;

/// One of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GptCopy {
    /// At LBA 1.
    Primary,
    /// In the last sector.
    Backup,
}

impl GptCopy {
    /// `primary` or `backup`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }
}

/// A GPT header as it is stored (UEFI 2.10, table 5.5), with where it stood and what its checksums should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptHeader {
    /// The byte of the disk at which it was found.
    pub at: u64,
    /// 0x00010000.
    pub revision: u32,
    /// Bytes of the header that its CRC-32 covers: 92 to the sector size.
    pub header_size: u32,
    /// CRC-32 of the header, as stored.
    pub header_crc32: u32,
    /// The LBA of this header.
    pub my_lba: u64,
    /// The LBA of the other header.
    pub alternate_lba: u64,
    /// First sector in which partitions may lie.
    pub first_usable_lba: u64,
    /// Last such sector.
    pub last_usable_lba: u64,
    /// The disk's own GUID.
    pub disk_guid: Guid,
    /// First sector of the entries.
    pub partition_entry_lba: u64,
    /// Entries, used or not.
    pub number_of_partition_entries: u32,
    /// Bytes per entry.
    pub size_of_partition_entry: u32,
    /// CRC-32 of the entries, as stored.
    pub partition_entry_array_crc32: u32,
    /// CRC-32 of the header's bytes; `None` when its size makes no sense.
    pub computed_header_crc32: Option<u32>,
    /// CRC-32 of the bytes of the entries; `None` when they were not read.
    pub computed_array_crc32: Option<u32>,
}

impl GptHeader {
    fn decode(at: u64, mut bytes: &[u8]) -> io::Result<Self> {
        let source = &mut bytes;
        let _signature = source.read_u64::<LittleEndian>()?;
        let revision = source.read_u32::<LittleEndian>()?;
        let header_size = source.read_u32::<LittleEndian>()?;
        let header_crc32 = source.read_u32::<LittleEndian>()?;
        let _reserved = source.read_u32::<LittleEndian>()?;
        let my_lba = source.read_u64::<LittleEndian>()?;
        let alternate_lba = source.read_u64::<LittleEndian>()?;
        let first_usable_lba = source.read_u64::<LittleEndian>()?;
        let last_usable_lba = source.read_u64::<LittleEndian>()?;
        let disk_guid = read_guid(source)?;
        let partition_entry_lba = source.read_u64::<LittleEndian>()?;
        let number_of_partition_entries = source.read_u32::<LittleEndian>()?;
        let size_of_partition_entry = source.read_u32::<LittleEndian>()?;
        let partition_entry_array_crc32 = source.read_u32::<LittleEndian>()?;
        Ok(Self {
            at,
            revision,
            header_size,
            header_crc32,
            my_lba,
            alternate_lba,
            first_usable_lba,
            last_usable_lba,
            disk_guid,
            partition_entry_lba,
            number_of_partition_entries,
            size_of_partition_entry,
            partition_entry_array_crc32,
            computed_header_crc32: None,
            computed_array_crc32: None,
        })
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn array_size(&self) -> u64 {
        u64::from(self.number_of_partition_entries).saturating_mul(u64::from(self.size_of_partition_entry))
    }

    /// Sectors of 512 or 4096 bytes that the entries take.
    pub(super) fn array_sectors(&self, sector_size: u64) -> u64 {
        self.array_size().checked_next_multiple_of(sector_size).and_then(|size| size.checked_div(sector_size)).unwrap_or(u64::MAX)
    }

    /// Whether the stored CRC-32 is the header's.
    #[must_use]
    pub fn crc_is_right(&self) -> bool {
        self.computed_header_crc32 == Some(self.header_crc32)
    }
}

/// A GUID in the byte order of GPT.
pub(super) fn read_guid(source: &mut &[u8]) -> io::Result<Guid> {
    let mut stored = [0; 16];
    io::Read::read_exact(source, &mut stored)?;
    Ok(Guid::from_mixed_endian(stored))
}

/// CRC-32 of the first `size` bytes of a header, its own CRC-32 taken as zero.
pub(super) fn header_crc(sector: &[u8], size: u32) -> Option<u32> {
    let covered = sector.get(..usize::try_from(size).ok()?)?;
    let (before, rest) = covered.split_at_checked(CRC_AT)?;
    let (_crc, after) = rest.split_at_checked(4)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&[0; 4]);
    hasher.update(after);
    Some(hasher.finalize())
}

/// What was found where a header should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderState {
    /// A header that firmware would take, with its entries.
    Valid(GptHeader),
    /// No header: no signature.
    Absent,
    /// A header that firmware would not take.
    Invalid {
        /// Why not.
        problems: Vec<Problem>,
        /// Its fields; `None` when the primary's sector holds other bytes altogether.
        header: Option<GptHeader>,
    },
}

impl HeaderState {
    /// The header, when it is valid.
    #[must_use]
    pub fn valid(&self) -> Option<&GptHeader> {
        if let Self::Valid(header) = self { Some(header) } else { None }
    }

    /// The fields, valid or not.
    #[must_use]
    pub fn header(&self) -> Option<&GptHeader> {
        match self {
            Self::Valid(header) => Some(header),
            Self::Absent => None,
            Self::Invalid { header, .. } => header.as_ref(),
        }
    }
}

/// Both copies of a GPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpt {
    /// The header at LBA 1.
    pub primary: HeaderState,
    /// The header in the last sector, or wherever it was found.
    pub backup: HeaderState,
    /// The copy from which the partitions were read; `None` when neither is valid.
    pub used: Option<GptCopy>,
    /// The byte at which the backup header should be: the last whole sector.
    pub backup_expected_at: u64,
}

impl Gpt {
    /// The header from which the partitions were read.
    #[must_use]
    pub fn header(&self) -> Option<&GptHeader> {
        match self.used? {
            GptCopy::Primary => self.primary.valid(),
            GptCopy::Backup => self.backup.valid(),
        }
    }

    /// The disk's GUID, of the copy that was used.
    #[must_use]
    pub fn disk_guid(&self) -> Option<Guid> {
        self.header().map(|header| header.disk_guid)
    }
}

/// A header and the entries that belong to it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) state: HeaderState,
    /// The bytes of the entries; empty unless the header is valid.
    pub(super) array: Vec<u8>,
}

impl Found {
    fn is_valid(&self) -> bool {
        self.state.valid().is_some()
    }
}

/// Both copies as they were found.
#[derive(Debug)]
pub(super) struct Copies {
    pub(super) sector_size: u64,
    pub(super) primary: Found,
    pub(super) backup: Found,
}

/// Finds both copies. `protected_end`: the last LBA that the protective MBR covers, a hint at where the disk once ended.
pub(super) fn locate(disk: &Bytes, protected_end: Option<u64>) -> Result<Copies, ReadError> {
    let (mut sector_size, mut primary) = (SECTOR, examine(disk, GptCopy::Primary, SECTOR, SECTOR)?);
    if !primary.is_valid() {
        let large = examine(disk, GptCopy::Primary, SECTOR_4K, SECTOR_4K)?;
        if large.is_valid() || (primary.state.header().is_none() && large.state.header().is_some()) {
            (sector_size, primary) = (SECTOR_4K, large);
        }
    }
    let mut backup = locate_backup(disk, sector_size, &primary, protected_end)?;
    if sector_size == SECTOR && primary.state.header().is_none() && !backup.is_valid() {
        let large = examine(disk, GptCopy::Backup, last_sector(disk.size(), SECTOR_4K), SECTOR_4K)?;
        if large.is_valid() {
            (sector_size, backup) = (SECTOR_4K, large);
            primary = examine(disk, GptCopy::Primary, SECTOR_4K, SECTOR_4K)?;
        }
    }
    Ok(Copies { sector_size, primary, backup })
}

/// The byte at which the last whole sector starts; 0 on a disk without one.
pub(super) fn last_sector(size: u64, sector_size: u64) -> u64 {
    size.checked_div(sector_size).unwrap_or_default().saturating_sub(1).saturating_mul(sector_size)
}

/// Looks for the backup where it should be, where the primary says, where the disk once ended, and shortly before the end.
fn locate_backup(disk: &Bytes, sector_size: u64, primary: &Found, protected_end: Option<u64>) -> Result<Found, ReadError> {
    let alternate = primary.state.header().filter(|header| header.crc_is_right()).map(|header| header.alternate_lba);
    let mut places = vec![last_sector(disk.size(), sector_size)];
    places.extend([alternate, protected_end].into_iter().flatten().filter_map(|lba| lba.checked_mul(sector_size)));
    let mut first = None;
    for (index, at) in places.iter().enumerate() {
        if *at <= sector_size || places.iter().take(index).any(|before| before == at) {
            continue;
        }
        let found = examine(disk, GptCopy::Backup, *at, sector_size)?;
        if found.is_valid() {
            return Ok(found);
        }
        if first.is_none() && found.state.header().is_some() {
            first = Some(found);
        }
    }
    if let Some(found) = search(disk, sector_size)? {
        return Ok(found);
    }
    Ok(first.unwrap_or(Found { state: HeaderState::Absent, array: Vec::new() }))
}

/// Searches the end of the disk for a valid backup, the last one first.
fn search(disk: &Bytes, sector_size: u64) -> Result<Option<Found>, ReadError> {
    let end = last_sector(disk.size(), sector_size);
    let start = end.saturating_sub(SEARCHED).max(sector_size.saturating_mul(2));
    if start >= end || disk.data(start).is_none() {
        return Ok(None);
    }
    let bytes = read_vec(disk, start, int_usize(end.saturating_sub(start)))?;
    let sectors = (0..).zip(bytes.chunks(int_usize(sector_size)));
    let mut places: Vec<u64> = sectors
        .filter(|(_, sector)| sector.starts_with(SIGNATURE))
        .map(|(index, _): (u64, _)| start.saturating_add(index.saturating_mul(sector_size)))
        .collect();
    places.reverse();
    for at in places.into_iter().take(MAX_CANDIDATES) {
        let found = examine(disk, GptCopy::Backup, at, sector_size)?;
        if found.is_valid() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads and tests the header that may stand at byte `at`, and its entries.
pub(super) fn examine(disk: &Bytes, copy: GptCopy, at: u64, sector_size: u64) -> Result<Found, ReadError> {
    let without_array = |state| Ok(Found { state, array: Vec::new() });
    if disk.size().checked_sub(at).is_none_or(|rest| rest < sector_size) {
        return without_array(HeaderState::Absent);
    }
    let sector = read_vec(disk, at, int_usize(sector_size))?;
    if !sector.starts_with(SIGNATURE) {
        if copy == GptCopy::Backup || is_zero(&sector) {
            return without_array(HeaderState::Absent);
        }
        let problem = Problem::field(ProblemKind::PrimaryMissing, "GPT primary header", at, "EFI PART", "other bytes");
        return without_array(HeaderState::Invalid { problems: vec![problem], header: None });
    }
    // The sector has at least 512 bytes, so the 92 of the header are there.
    let Ok(mut header) = GptHeader::decode(at, &sector) else { return without_array(HeaderState::Absent) };
    let mut problems = check_header(&mut header, copy, &sector, sector_size);
    let array = read_entries(disk, &mut header, copy, sector_size, &mut problems)?;
    if problems.is_empty() {
        return Ok(Found { state: HeaderState::Valid(header), array });
    }
    without_array(HeaderState::Invalid { problems, header: Some(header) })
}

/// What makes a header invalid by itself. Fills in the computed CRC-32.
fn check_header(header: &mut GptHeader, copy: GptCopy, sector: &[u8], sector_size: u64) -> Vec<Problem> {
    let mut problems = Vec::new();
    let at = header.at;
    let mut note = |kind, field, offset: u64, expected: String, found: String| {
        let what = format!("GPT {} header, {field}", copy.name());
        problems.push(Problem::field(kind, what, at.saturating_add(offset), expected, found));
    };
    if header.revision != REVISION {
        note(ProblemKind::Revision, "revision", 8, format!("0x{REVISION:08x}"), format!("0x{:08x}", header.revision));
    }
    if header.header_size < MIN_HEADER || u64::from(header.header_size) > sector_size {
        note(ProblemKind::HeaderSize, "size", 12, format!("{MIN_HEADER} to {sector_size}"), header.header_size.to_string());
    } else {
        header.computed_header_crc32 = header_crc(sector, header.header_size);
        if let Some(computed) = header.computed_header_crc32.filter(|computed| *computed != header.header_crc32) {
            note(ProblemKind::HeaderCrc, "CRC-32", 16, format!("0x{computed:08x}"), format!("0x{:08x}", header.header_crc32));
        }
    }
    if header.my_lba.checked_mul(sector_size) != Some(at) {
        let expected = at.checked_div(sector_size).unwrap_or_default();
        note(ProblemKind::MyLba, "own LBA", 24, expected.to_string(), header.my_lba.to_string());
    }
    problems
}

/// The bytes of the entries, when the header's numbers can be meant. Fills in the computed CRC-32.
fn read_entries(
    disk: &Bytes,
    header: &mut GptHeader,
    copy: GptCopy,
    sector_size: u64,
    problems: &mut Vec<Problem>,
) -> Result<Vec<u8>, ReadError> {
    let at = header.at;
    let mut note = |kind, field, offset: u64, expected: String, found: String| {
        let what = format!("GPT {} header, {field}", copy.name());
        problems.push(Problem::field(kind, what, at.saturating_add(offset), expected, found));
        Ok(Vec::new())
    };
    let (count, entry) = (header.number_of_partition_entries, header.size_of_partition_entry);
    if !entry.is_power_of_two() || !(MIN_ENTRY..=MAX_ENTRY).contains(&entry) {
        return note(ProblemKind::EntrySize, "size of an entry", 84, format!("128, 256, … {MAX_ENTRY}"), entry.to_string());
    }
    let length = header.array_size();
    if length == 0 || length > MAX_ARRAY {
        let expected = format!("1 to {} entries of {entry} bytes", MAX_ARRAY.checked_div(u64::from(entry)).unwrap_or_default());
        return note(ProblemKind::EntryCount, "number of entries", 80, expected, count.to_string());
    }
    let start = header.partition_entry_lba.checked_mul(sector_size);
    let fits = |start: &u64| start.checked_add(length).is_some_and(|end| end <= disk.size());
    let Some(start) = start.filter(fits) else {
        let expected = format!("{length} bytes before byte {}, the end of the disk", disk.size());
        return note(ProblemKind::ArrayPlace, "first LBA of the entries", 72, expected, header.partition_entry_lba.to_string());
    };
    let array = read_vec(disk, start, int_usize(length))?;
    let computed = crc32fast::hash(&array);
    header.computed_array_crc32 = Some(computed);
    if computed != header.partition_entry_array_crc32 {
        let found = format!("0x{:08x}", header.partition_entry_array_crc32);
        return note(ProblemKind::ArrayCrc, "CRC-32 of the entries", 88, format!("0x{computed:08x}"), found);
    }
    Ok(array)
}

/// Whether there is a signature where the primary, or the backup, of a 512-byte disk stands; the byte at which it is.
pub(super) fn signature_at(disk: &Bytes) -> Result<Option<u64>, ReadError> {
    for at in [SECTOR, last_sector(disk.size(), SECTOR)] {
        if disk.size() >= at.saturating_add(SECTOR) && read_vec(disk, at, SIGNATURE.len())? == SIGNATURE {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The bytes that the entries of `header` take on disk, as `start..end`.
pub(super) fn array_extent(header: &GptHeader, sector_size: u64) -> std::ops::Range<u64> {
    let start = header.partition_entry_lba.saturating_mul(sector_size);
    start..start.saturating_add(int_u64(int_usize(header.array_size())))
}

#[cfg(test)]
mod tests;
