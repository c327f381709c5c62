//! The master boot record in sector 0: a partition table of its own, or what protects a GPT.
//!
//! Document: UEFI 2.10 sections 5.2.1 (legacy MBR) and 5.2.3 (protective MBR).

use super::boot_code::{BootCode, identify};
use super::mbr_extended;
use super::problem::{Extent, Problem, ProblemKind, Problems, overlaps};
use super::{Partition, PartitionType, Role};
use crate::bytes::{ReadAt, ReadError, SECTOR, int_u64};
use byteorder::{LittleEndian, ReadBytesExt};
use std::io;

/// Where the four entries start.
pub(super) const ENTRIES_AT: u64 = 446;
/// Bytes of one entry.
pub(super) const ENTRY_SIZE: u64 = 16;
/// Where the signature stands.
pub(super) const SIGNATURE_AT: u64 = 510;
/// The signature, as bytes.
pub(super) const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// The type of the entry that protects a GPT (UEFI 2.10, table 5.4).
pub(super) const PROTECTIVE: u8 = 0xee;

/// One of the four entries, as it is stored (UEFI 2.10, table 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MbrEntry {
    /// 0x80: the partition that BIOS boot code starts. 0x00: any other.
    pub boot_indicator: u8,
    /// First sector as cylinder, head and sector, packed. Nothing reads it any more.
    pub starting_chs: [u8; 3],
    /// The partition's type; 0 for an entry that is not in use.
    pub os_type: u8,
    /// Last sector as cylinder, head and sector, packed.
    pub ending_chs: [u8; 3],
    /// First sector. In an extended boot record relative to that record, or to the extended partition.
    pub starting_lba: u32,
    /// Length in sectors.
    pub size_in_lba: u32,
}

impl MbrEntry {
    fn decode(bytes: &mut &[u8]) -> io::Result<Self> {
        let boot_indicator = bytes.read_u8()?;
        let mut starting_chs = [0; 3];
        io::Read::read_exact(bytes, &mut starting_chs)?;
        let os_type = bytes.read_u8()?;
        let mut ending_chs = [0; 3];
        io::Read::read_exact(bytes, &mut ending_chs)?;
        let starting_lba = bytes.read_u32::<LittleEndian>()?;
        let size_in_lba = bytes.read_u32::<LittleEndian>()?;
        Ok(Self { boot_indicator, starting_chs, os_type, ending_chs, starting_lba, size_in_lba })
    }

    /// Whether the entry describes nothing: no type and no sectors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.os_type == 0 && self.size_in_lba == 0
    }

    /// Whether it is a partition: a type and sectors.
    pub(super) fn is_partition(&self) -> bool {
        self.os_type != 0 && self.size_in_lba != 0
    }

    /// Whether the type is one of those that hold logical partitions.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        matches!(self.os_type, 0x05 | 0x0f | 0x85)
    }

    /// First sector after the partition.
    pub(super) fn end_lba(&self) -> u64 {
        u64::from(self.starting_lba).saturating_add(u64::from(self.size_in_lba))
    }

    fn has_valid_indicator(&self) -> bool {
        matches!(self.boot_indicator, 0x00 | 0x80)
    }
}

/// What sector 0 is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MbrUse {
    /// Partitions of its own, or none at all.
    Legacy,
    /// One entry of type EE, over a GPT.
    Protective,
    /// An entry of type EE beside others: two views of one disk.
    Hybrid,
}

/// The master boot record, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mbr {
    /// The program that a BIOS starts.
    pub boot_code: BootCode,
    /// Windows' name for the disk; 0 when there is none.
    pub disk_signature: u32,
    /// The four entries.
    pub entries: [MbrEntry; 4],
}

impl Mbr {
    /// The record in `sector`; `None` without the signature 55 AA.
    pub(super) fn parse(sector: &[u8]) -> Option<Self> {
        let at = |place: u64| sector.get(usize::try_from(place).ok()?..);
        if !at(SIGNATURE_AT)?.starts_with(&SIGNATURE) {
            return None;
        }
        let mut signature = at(440)?;
        let disk_signature = signature.read_u32::<LittleEndian>().ok()?;
        Some(Self { boot_code: identify(sector), disk_signature, entries: decode_entries(at(ENTRIES_AT)?).ok()? })
    }

    /// What it is used for, by the types of its entries.
    #[must_use]
    pub fn usage(&self) -> MbrUse {
        let protective = self.protective().is_some();
        let others = self.entries.iter().any(|entry| entry.os_type != PROTECTIVE && !entry.is_empty());
        match (protective, others) {
            (false, _) => MbrUse::Legacy,
            (true, false) => MbrUse::Protective,
            (true, true) => MbrUse::Hybrid,
        }
    }

    /// The first entry of type EE, with its place from 0.
    #[must_use]
    pub fn protective(&self) -> Option<(u64, &MbrEntry)> {
        (0..).zip(&self.entries).find(|(_, entry)| entry.os_type == PROTECTIVE)
    }

    /// The entries of type EE that a UEFI firmware accepts: from LBA 1 on, with sectors.
    pub(super) fn protects(&self) -> bool {
        self.entries.iter().any(|entry| entry.os_type == PROTECTIVE && entry.starting_lba == 1 && entry.size_in_lba != 0)
    }

    /// Whether no entry is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(MbrEntry::is_empty)
    }

    /// Whether the entries can be meant as partitions of a disk of `sectors`.
    ///
    /// Code and messages of a boot sector, read as entries, have absurd indicators and lie terabytes away. One entry that
    /// makes sense is enough, so that a table with one damaged entry is still a table. Where the sector also looks like the boot sector of
    /// a file system, all of them must.
    pub(super) fn makes_sense(&self, sectors: u64, strictly: bool) -> bool {
        let used = || self.entries.iter().filter(|entry| !entry.is_empty());
        let on_disk = |entry: &MbrEntry| entry.end_lba() <= sectors;
        let shaped = |entry: &MbrEntry| entry.is_partition() && entry.starting_lba != 0;
        if strictly {
            used().count() != 0 && used().all(|entry| shaped(entry) && entry.has_valid_indicator() && on_disk(entry))
        } else {
            used().any(|entry| shaped(entry) && (entry.has_valid_indicator() || on_disk(entry)))
        }
    }
}

/// The four entries at the start of `bytes`.
pub(super) fn decode_entries(mut bytes: &[u8]) -> io::Result<[MbrEntry; 4]> {
    let source = &mut bytes;
    Ok([MbrEntry::decode(source)?, MbrEntry::decode(source)?, MbrEntry::decode(source)?, MbrEntry::decode(source)?])
}

/// Where entry `index`, from 0, of the record at `record` stands.
pub(super) fn entry_at(record: u64, index: u64) -> u64 {
    record.saturating_add(ENTRIES_AT).saturating_add(index.saturating_mul(ENTRY_SIZE))
}

/// An entry as a partition that starts at sector `start_lba`.
pub(super) fn partition(entry: &MbrEntry, number: u32, start_lba: u64, role: Role, at: u64) -> Partition {
    Partition {
        number,
        start: start_lba.saturating_mul(SECTOR),
        size: u64::from(entry.size_in_lba).saturating_mul(SECTOR),
        kind: PartitionType::Mbr(entry.os_type),
        name: None,
        guid: None,
        bootable: entry.boot_indicator == 0x80,
        attributes: 0,
        role,
        at,
    }
}

/// Notes what is wrong with an entry by itself, at byte `at`.
pub(super) fn check_entry(entry: &MbrEntry, what: &str, at: u64, problems: &mut Problems) {
    if !entry.is_empty() && !entry.has_valid_indicator() {
        problems.add(ProblemKind::BootIndicator, at, || {
            let found = format!("0x{:02x}", entry.boot_indicator);
            Problem::field(ProblemKind::BootIndicator, format!("boot indicator of {what}"), at, "0x00 or 0x80", found)
        });
    }
    if entry.os_type != 0 && entry.size_in_lba == 0 {
        let at = at.saturating_add(12);
        problems.add(ProblemKind::ZeroSize, at, || {
            let what = format!("size of {what} of type {:02x}", entry.os_type);
            Problem::field(ProblemKind::ZeroSize, what, at, "at least one sector", "0")
        });
    }
    if entry.os_type == 0 && entry.size_in_lba != 0 {
        let at = at.saturating_add(4);
        problems.add(ProblemKind::ZeroType, at, || {
            let found = format!("0 with {} sectors", entry.size_in_lba);
            Problem::field(ProblemKind::ZeroType, format!("type of {what}"), at, "a type, or no sectors", found)
        });
    }
}

/// All partitions of an MBR, the logical ones included.
pub(super) fn partitions(mbr: &Mbr, disk: &dyn ReadAt, problems: &mut Problems) -> Result<Vec<Partition>, ReadError> {
    let mut found = Vec::new();
    let mut extended = Vec::new();
    for ((index, number), entry) in (0..).zip(1_u32..).zip(&mbr.entries) {
        let at = entry_at(0, index);
        check_entry(entry, &format!("MBR entry {number}"), at, problems);
        if !entry.is_partition() {
            continue;
        }
        let role = if entry.is_extended() { Role::Extended } else { Role::Primary };
        if role == Role::Extended {
            if !extended.is_empty() {
                let message = format!("MBR entry {number} at byte {at}: expected one extended partition, found another");
                problems.push(Problem::new(ProblemKind::SeveralExtended, at, message));
            }
            extended.push(*entry);
        }
        found.push(partition(entry, number, u64::from(entry.starting_lba), role, at));
    }
    let mut records = Vec::new();
    for entry in extended {
        records.extend(mbr_extended::chain(&entry, disk, &mut found, problems)?);
    }
    check_extents(&found, records, disk.size(), problems);
    Ok(found)
}

/// Notes partitions that pass the end of the disk or share sectors with others, with sector 0, or with an extended boot record.
fn check_extents(partitions: &[Partition], records: Vec<Extent>, size: u64, problems: &mut Problems) {
    for partition in partitions.iter().filter(|partition| partition.end() > size) {
        let (end, number) = (partition.end(), partition.number);
        problems.add(ProblemKind::PastEnd, partition.at, || {
            let what = format!("end of partition {number}, whose entry is");
            Problem::field(
                ProblemKind::PastEnd,
                what,
                partition.at,
                format!("at most byte {size}, the end of the disk"),
                format!("byte {end}"),
            )
        });
    }
    let extent = |partition: &Partition| Extent {
        start: partition.start,
        end: partition.end(),
        owner: format!("partition {}", partition.number),
        at: partition.at,
    };
    let of = |roles: &'static [Role]| partitions.iter().filter(|partition| roles.contains(&partition.role)).map(extent);
    let record = Extent { start: 0, end: SECTOR, owner: "the MBR".to_owned(), at: ENTRIES_AT };
    overlaps(of(&[Role::Primary, Role::Extended]).chain([record]).collect(), problems);
    // Logical partitions lie inside the extended one, so they are compared among themselves and with the chain that holds them.
    overlaps(of(&[Role::Logical]).chain(records).collect(), problems);
}

/// Notes where the entries of an MBR over a GPT are not what UEFI 2.10, table 5.4, says.
pub(super) fn check_protective(mbr: &Mbr, sector_size: u64, size: u64, problems: &mut Problems) {
    let Some((index, entry)) = mbr.protective() else { return };
    let at = entry_at(0, index);
    for ((index, number), entry) in (0..).zip(1..).zip(&mbr.entries) {
        check_entry(entry, &format!("MBR entry {number}"), entry_at(0, index), problems);
    }
    if entry.starting_lba != 1 {
        let at = at.saturating_add(8);
        problems.push(Problem::field(ProblemKind::ProtectiveStart, "start of the protective MBR entry", at, "LBA 1", entry.starting_lba));
    }
    match mbr.usage() {
        MbrUse::Hybrid => {
            let others = mbr.entries.iter().filter(|entry| entry.os_type != PROTECTIVE && !entry.is_empty()).count();
            let message = format!("protective MBR at byte {ENTRIES_AT}: expected one entry, found {} more", int_u64(others));
            problems.push(Problem::new(ProblemKind::HybridMbr, ENTRIES_AT, message));
        }
        _ if entry.size_in_lba != u32::MAX && entry.size_in_lba != protective_size(size, sector_size) => {
            let at = at.saturating_add(12);
            let expected = format!("{} sectors", protective_size(size, sector_size));
            let what = "size of the protective MBR entry";
            problems.push(Problem::field(ProblemKind::ProtectiveSize, what, at, expected, entry.size_in_lba));
        }
        _ => {}
    }
}

/// The length of a protective entry on a disk of `size` bytes. Windows writes the largest number instead, which is accepted too.
pub(super) fn protective_size(size: u64, sector_size: u64) -> u32 {
    let sectors = size.checked_div(sector_size).unwrap_or_default();
    u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
