//! What a GPT says, and where it contradicts itself or the disk.
//!
//! Document: UEFI 2.10 section 5.3.1 (layout), 5.3.2 (header), 5.3.3 (entries, table 5.6; attributes, table 5.8).

use super::gpt::{Copies, Found, Gpt, GptCopy, GptHeader, HeaderState, array_extent, last_sector, read_guid};
use super::problem::{Extent, Problem, ProblemKind, Problems, overlaps};
use super::{Partition, PartitionType, Role};
use crate::bytes::Guid;
use byteorder::{LittleEndian, ReadBytesExt};
use std::collections::BTreeMap;
use std::io;

/// UTF-16 units of a name (table 5.6: 72 bytes).
const NAME_UNITS: usize = 36;
/// "Legacy BIOS bootable" (table 5.8).
const LEGACY_BOOTABLE: u64 = 1 << 2;

/// An entry as it is stored (UEFI 2.10, table 5.6).
#[derive(Debug)]
pub(super) struct RawEntry {
    partition_type_guid: Guid,
    unique_partition_guid: Guid,
    pub(super) starting_lba: u64,
    pub(super) ending_lba: u64,
    attributes: u64,
    partition_name: Vec<u16>,
}

impl RawEntry {
    pub(super) fn decode(mut bytes: &[u8]) -> io::Result<Self> {
        let source = &mut bytes;
        let partition_type_guid = read_guid(source)?;
        let unique_partition_guid = read_guid(source)?;
        let starting_lba = source.read_u64::<LittleEndian>()?;
        let ending_lba = source.read_u64::<LittleEndian>()?;
        let attributes = source.read_u64::<LittleEndian>()?;
        let mut partition_name = vec![0; NAME_UNITS];
        source.read_u16_into::<LittleEndian>(&mut partition_name)?;
        Ok(Self { partition_type_guid, unique_partition_guid, starting_lba, ending_lba, attributes, partition_name })
    }

    pub(super) fn is_used(&self) -> bool {
        !self.partition_type_guid.is_nil()
    }

    fn name(&self) -> Option<String> {
        let units = self.partition_name.iter().copied().take_while(|unit| *unit != 0);
        let name: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        (!name.is_empty()).then_some(name)
    }
}

/// The used entries of an array, each with its number.
pub(super) fn used_entries(array: &[u8], entry_size: u32) -> impl Iterator<Item = (u32, RawEntry)> {
    let entries = array.chunks_exact(usize::try_from(entry_size).unwrap_or(usize::MAX).max(1));
    (1..).zip(entries).filter_map(|(number, bytes)| Some((number, RawEntry::decode(bytes).ok()?))).filter(|(_, entry)| entry.is_used())
}

/// Decides which copy counts, reads its partitions and notes everything that is wrong.
pub(super) fn check(copies: Copies, size: u64, problems: &mut Problems) -> (Gpt, Vec<Partition>) {
    let Copies { sector_size, primary, backup } = copies;
    if sector_size != 512 {
        let at = primary.state.header().or(backup.state.header()).map_or(sector_size, |header| header.at);
        let message = format!("GPT header at byte {at}: expected a layout for sectors of 512 bytes, found one for {sector_size}");
        problems.push(Problem::new(ProblemKind::SectorSize, at, message));
    }
    let backup_expected_at = last_sector(size, sector_size);
    check_presence(&primary, &backup, sector_size, backup_expected_at, problems);
    let used = match (primary.state.valid(), backup.state.valid()) {
        (Some(_), _) => Some(GptCopy::Primary),
        (None, Some(_)) => Some(GptCopy::Backup),
        (None, None) => None,
    };
    if let (Some(first), Some(second)) = (primary.state.valid(), backup.state.valid()) {
        compare(first, second, problems);
    }
    for (copy, found) in [(GptCopy::Primary, &primary), (GptCopy::Backup, &backup)] {
        if let Some(header) = found.state.valid() {
            check_layout(header, copy, sector_size, size, problems);
        }
    }
    let source = if used == Some(GptCopy::Backup) { &backup } else { &primary };
    let partitions = match source.state.valid() {
        Some(header) => read_partitions(header, &source.array, sector_size, size, problems),
        None => Vec::new(),
    };
    (Gpt { primary: primary.state, backup: backup.state, used, backup_expected_at }, partitions)
}

/// Notes copies that are missing, invalid or in the wrong place.
fn check_presence(primary: &Found, backup: &Found, sector_size: u64, expected_at: u64, problems: &mut Problems) {
    match &primary.state {
        HeaderState::Valid(_) => {}
        HeaderState::Absent => {
            problems.push(Problem::field(
                ProblemKind::PrimaryMissing,
                "GPT primary header",
                sector_size,
                "EFI PART",
                "zeros, or the end of the disk",
            ));
        }
        HeaderState::Invalid { problems: found, .. } => found.iter().cloned().for_each(|problem| problems.push(problem)),
    }
    match &backup.state {
        HeaderState::Valid(_) => {}
        HeaderState::Absent => {
            let found = primary.state.header().map_or_else(
                || "no header".to_owned(),
                |header| format!("no header; the primary names LBA {}, where there is none either", header.alternate_lba),
            );
            problems.push(Problem::field(ProblemKind::BackupMissing, "GPT backup header", expected_at, "EFI PART", found));
        }
        HeaderState::Invalid { problems: found, .. } => found.iter().cloned().for_each(|problem| problems.push(problem)),
    }
    if let Some(header) = backup.state.header().filter(|header| header.at != expected_at) {
        let expected = format!("byte {expected_at}, the last sector");
        problems.push(Problem::field(
            ProblemKind::BackupMisplaced,
            "GPT backup header",
            header.at,
            expected,
            format!("byte {}", header.at),
        ));
    }
}

/// Notes where two valid headers contradict each other.
fn compare(primary: &GptHeader, backup: &GptHeader, problems: &mut Problems) {
    for (header, copy, offset, expected) in [(primary, "primary", 32, backup.my_lba), (backup, "backup", 32, primary.my_lba)] {
        if header.alternate_lba != expected {
            let at = header.at.saturating_add(offset);
            let what = format!("GPT {copy} header, LBA of the other");
            problems.push(Problem::field(ProblemKind::AlternateLba, what, at, expected, header.alternate_lba));
        }
    }
    let mut differ = |kind, field, offset, one: String, other: String| {
        if one != other {
            let at = backup.at.saturating_add(offset);
            problems.push(Problem::field(kind, format!("GPT backup header, {field}"), at, format!("{one} as in the primary"), other));
        }
    };
    let kind = ProblemKind::HeadersDisagree;
    differ(kind, "first usable LBA", 40, primary.first_usable_lba.to_string(), backup.first_usable_lba.to_string());
    differ(kind, "last usable LBA", 48, primary.last_usable_lba.to_string(), backup.last_usable_lba.to_string());
    differ(kind, "disk GUID", 56, primary.disk_guid.to_string(), backup.disk_guid.to_string());
    let entries =
        |header: &GptHeader| format!("{} entries of {} bytes", header.number_of_partition_entries, header.size_of_partition_entry);
    differ(kind, "entries", 80, entries(primary), entries(backup));
    let crc = |header: &GptHeader| format!("0x{:08x}", header.partition_entry_array_crc32);
    differ(ProblemKind::ArraysDisagree, "CRC-32 of the entries", 88, crc(primary), crc(backup));
}

/// Notes where a valid header's regions do not fit each other or the disk.
fn check_layout(header: &GptHeader, copy: GptCopy, sector_size: u64, size: u64, problems: &mut Problems) {
    let last_lba = size.checked_div(sector_size).unwrap_or_default().saturating_sub(1);
    let (first, last) = (header.first_usable_lba, header.last_usable_lba);
    let name = copy.name();
    let mut note = |kind, field: &str, offset, expected: String, found: String| {
        let at = header.at.saturating_add(offset);
        problems.push(Problem::field(kind, format!("GPT {name} header, {field}"), at, expected, found));
    };
    // "First greater than last by one" is how a table without room for partitions looks.
    if first > last.saturating_add(1) {
        note(ProblemKind::UsableRange, "first usable LBA", 40, format!("at most {last}, the last usable"), first.to_string());
    }
    if last > last_lba {
        note(ProblemKind::UsableRange, "last usable LBA", 48, format!("at most {last_lba}, the last of the disk"), last.to_string());
    }
    let usable = first.saturating_mul(sector_size)..last.saturating_add(1).saturating_mul(sector_size);
    let own = header.at..header.at.saturating_add(sector_size);
    let array = array_extent(header, sector_size);
    let meets = |one: &std::ops::Range<u64>, other: &std::ops::Range<u64>| one.start < other.end && other.start < one.end;
    if meets(&own, &usable) {
        let expected = format!("to be clear of this header at LBA {}", header.my_lba);
        note(ProblemKind::UsableRange, "usable LBAs", 40, expected, format!("{first} to {last}"));
    }
    let covers = if meets(&array, &own) {
        Some("this header")
    } else if meets(&array, &(0..sector_size)) {
        Some("the MBR")
    } else if meets(&array, &usable) {
        Some("the usable LBAs")
    } else {
        None
    };
    if let Some(what) = covers {
        let (lba, sectors) = (header.partition_entry_lba, header.array_sectors(sector_size));
        note(ProblemKind::ArrayPlace, "first LBA of the entries", 72, format!("{sectors} sectors clear of {what}"), lba.to_string());
    }
}

/// The partitions of an array that is known to be whole.
fn read_partitions(header: &GptHeader, array: &[u8], sector_size: u64, size: u64, problems: &mut Problems) -> Vec<Partition> {
    let array_at = header.partition_entry_lba.saturating_mul(sector_size);
    let mut partitions = Vec::new();
    let mut extents = Vec::new();
    let mut owners: BTreeMap<Guid, u32> = BTreeMap::new();
    for (number, entry) in used_entries(array, header.size_of_partition_entry) {
        let index = u64::from(number.saturating_sub(1));
        let at = array_at.saturating_add(index.saturating_mul(u64::from(header.size_of_partition_entry)));
        let start = entry.starting_lba.saturating_mul(sector_size);
        let end = entry.ending_lba.saturating_add(1).saturating_mul(sector_size);
        check_place(&entry, number, at, header, sector_size, size, problems);
        let guid = entry.unique_partition_guid;
        if guid.is_nil() {
            let at = at.saturating_add(16);
            problems.add(ProblemKind::NilGuid, at, || {
                Problem::field(ProblemKind::NilGuid, format!("GUID of partition {number}"), at, "one of its own", guid)
            });
        } else if let Some(before) = owners.insert(guid, number) {
            let at = at.saturating_add(16);
            problems.add(ProblemKind::DuplicateGuid, at, || {
                let expected = format!("another than that of partition {before}");
                Problem::field(ProblemKind::DuplicateGuid, format!("GUID of partition {number}"), at, expected, guid)
            });
        }
        extents.push(Extent { start, end, owner: format!("partition {number}"), at });
        partitions.push(Partition {
            number,
            start,
            size: end.saturating_sub(start),
            kind: PartitionType::Gpt(entry.partition_type_guid),
            name: entry.name(),
            guid: Some(guid),
            bootable: entry.attributes & LEGACY_BOOTABLE != 0,
            attributes: entry.attributes,
            role: Role::Primary,
            at,
        });
    }
    overlaps(extents, problems);
    partitions
}

/// Notes where an entry's sectors cannot be.
fn check_place(entry: &RawEntry, number: u32, at: u64, header: &GptHeader, sector_size: u64, size: u64, problems: &mut Problems) {
    let (start, end) = (entry.starting_lba, entry.ending_lba);
    let what = || format!("LBAs of partition {number}");
    let found = || format!("{start} to {end}");
    let at = at.saturating_add(32);
    if start > end {
        problems.add(ProblemKind::Reversed, at, || Problem::field(ProblemKind::Reversed, what(), at, "a first before the last", found()));
        return;
    }
    if start < header.first_usable_lba || end > header.last_usable_lba {
        problems.add(ProblemKind::OutsideUsable, at, || {
            let expected = format!("usable ones, {} to {}", header.first_usable_lba, header.last_usable_lba);
            Problem::field(ProblemKind::OutsideUsable, what(), at, expected, found())
        });
    }
    let sectors = size.checked_div(sector_size).unwrap_or_default();
    if end >= sectors {
        problems.add(ProblemKind::PastEnd, at, || {
            Problem::field(ProblemKind::PastEnd, what(), at, format!("below {sectors}, the end of the disk"), found())
        });
    }
}

/// The name of a partition as the array stores it, for tests of other files.
#[cfg(test)]
pub(super) fn stored_name(name: &str) -> Vec<u8> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    units.resize(NAME_UNITS, 0);
    units.into_iter().flat_map(u16::to_le_bytes).collect()
}
