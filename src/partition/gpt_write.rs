//! The bytes that make a GPT right for a disk of a given size.
//!
//! Document: UEFI 2.10 sections 5.2.3 (protective MBR), 5.3.1 to 5.3.3.
//!
//! Only what is wrong changes: every structure is built as it should be and compared with the disk, and where they are equal
//! there is no patch. So a right disk yields none. Entries are copied as they are, with attributes, names and sizes that
//! this program does not know.

use super::gpt::{CRC_AT, GptCopy, GptHeader, REVISION, SIGNATURE as EFI_PART, header_crc};
use super::gpt_check::used_entries;
use super::mbr::{self, MbrEntry, MbrUse, PROTECTIVE};
use super::{Gpt, PartitionTable, Scheme};
use crate::bytes::{Bytes, Overlay, ReadAt, ReadError, SECTOR, int_u64, int_usize, read_vec};
use byteorder::{LittleEndian, WriteBytesExt};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

/// Where the primary entries start unless a header says otherwise.
const PRIMARY_ARRAY_LBA: u64 = 2;
/// Heads and sectors of the geometry that everyone assumes for cylinder, head and sector numbers.
const HEADS: u64 = 255;
const SECTORS_PER_TRACK: u64 = 63;
/// Cylinder, head and sector of a place that they cannot express (UEFI 2.10, table 5.4).
const CHS_BEYOND: [u8; 3] = [0xff; 3];
/// The same, as Windows and the Linux tools write it.
const CHS_BEYOND_TRADITIONAL: [u8; 3] = [0xfe, 0xff, 0xff];

/// Bytes to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// First byte on the disk.
    pub offset: u64,
    /// What belongs there.
    pub bytes: Vec<u8>,
}

/// Why a GPT cannot be made right.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CannotRebuild {
    /// The table is no GPT.
    #[error("the partition table is {0}, not gpt")]
    NotGpt(Scheme),
    /// Nothing to build from.
    #[error("neither the primary nor the backup GPT is valid")]
    NoValidCopy,
    /// A layout for other sectors cannot be moved: the partitions lie elsewhere than it would say.
    #[error("the GPT is made for sectors of {0} bytes, not 512")]
    SectorSize(u64),
    /// The new size is not a whole number of sectors.
    #[error("a disk of {0} bytes is not a whole number of 512-byte sectors")]
    Unaligned(u64),
    /// The entries at the start, and again at the end, do not fit.
    #[error("a disk of {size} bytes has no room for both copies of a GPT with {array} bytes of entries")]
    TooSmall {
        /// Size asked for.
        size: u64,
        /// Bytes of the entries.
        array: u64,
    },
    /// A partition lies where the table must be.
    #[error("partition {number} lies in sectors {start} to {end}, outside the usable sectors {first} to {last} of a disk of {size} bytes")]
    PartitionOutside {
        /// The partition.
        number: u32,
        /// Its first sector.
        start: u64,
        /// Its last sector.
        end: u64,
        /// First usable sector of the new layout.
        first: u64,
        /// Last usable sector of the new layout.
        last: u64,
        /// Size asked for, in bytes.
        size: u64,
    },
    /// Sector 0 holds something else where the protective entry belongs.
    #[error("sector 0 has no protective MBR entry, and no room for one")]
    NoProtectiveMbr,
    /// The disk could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Makes the patches after which a disk of `new_size` bytes has a GPT without fault: protective MBR, both headers, both
/// arrays of entries, and no header where the backup was before.
///
/// `table` is what [`super::read`] found on `disk`. The patches are for the disk cut or grown with zeros to `new_size`; they are in
/// order and do not overlap. Partitions stay where they are, and so do faults between them, such as overlaps.
///
/// # Errors
///
/// [`CannotRebuild`] tells why not; nothing is half done.
pub fn rebuild(table: &PartitionTable, disk: &Bytes, new_size: u64) -> Result<Vec<Patch>, CannotRebuild> {
    let (Scheme::Gpt, Some(gpt)) = (table.scheme, &table.gpt) else { return Err(CannotRebuild::NotGpt(table.scheme)) };
    if table.sector_size != SECTOR {
        return Err(CannotRebuild::SectorSize(table.sector_size));
    }
    if !new_size.is_multiple_of(SECTOR) {
        return Err(CannotRebuild::Unaligned(new_size));
    }
    let source = gpt.header().ok_or(CannotRebuild::NoValidCopy)?;
    let array = read_vec(disk, source.partition_entry_lba.saturating_mul(SECTOR), int_usize(source.array_size()))?;
    let layout = Layout::plan(gpt, source, new_size)?;
    layout.check_partitions(&array, source)?;

    let view = Overlay::resized(Arc::clone(disk), new_size);
    let mut patches = Patches { view: &view, list: Vec::new() };
    protective_mbr(table, &mut patches)?;
    let array_crc = crc32fast::hash(&array);
    for copy in [GptCopy::Primary, GptCopy::Backup] {
        let (header_at, array_lba) = layout.places(copy);
        patches.array(array_lba.saturating_mul(SECTOR), &array)?;
        // Bytes behind the known fields stay those of the copy itself, else those of the source.
        let own = match copy {
            GptCopy::Primary => gpt.primary.valid(),
            GptCopy::Backup => gpt.backup.valid(),
        };
        let base = read_vec(disk, own.unwrap_or(source).at, int_usize(SECTOR))?;
        patches.put(header_at, layout.header(copy, source, array_crc, &base).map_err(impossible)?)?;
    }
    if let Some(stale) = gpt.backup.header().map(|header| header.at) {
        layout.erase(stale, &array, source, &mut patches)?;
    }
    let mut list = patches.list;
    list.sort_by_key(|patch| patch.offset);
    Ok(list)
}

/// Writing into memory does not fail; should it ever, this says so instead of panicking.
fn impossible(error: io::Error) -> CannotRebuild {
    CannotRebuild::Read(ReadError::host(0, 0, error))
}

/// Where everything belongs on the new disk, in sectors.
#[derive(Debug)]
struct Layout {
    new_size: u64,
    last_lba: u64,
    first_usable: u64,
    last_usable: u64,
    primary_array: u64,
    backup_array: u64,
    array_sectors: u64,
}

impl Layout {
    fn plan(gpt: &Gpt, source: &GptHeader, new_size: u64) -> Result<Self, CannotRebuild> {
        let too_small = || CannotRebuild::TooSmall { size: new_size, array: source.array_size() };
        let array_sectors = source.array_sectors(SECTOR);
        let last_lba = new_size.checked_div(SECTOR).and_then(|sectors| sectors.checked_sub(1)).ok_or_else(too_small)?;
        let room = last_lba.checked_sub(array_sectors).ok_or_else(too_small)?;
        // A header whose own CRC-32 is right knows where its entries belong, also when they are damaged: some boards keep
        // firmware at LBA 2. Entries among the partitions are brought home.
        let home = |lba: u64| lba >= PRIMARY_ARRAY_LBA && lba.saturating_add(array_sectors) <= source.first_usable_lba;
        let known = gpt.primary.header().filter(|header| header.crc_is_right() && home(header.partition_entry_lba));
        let primary_array = known.map_or(PRIMARY_ARRAY_LBA, |header| header.partition_entry_lba);
        let primary_end = primary_array.saturating_add(array_sectors);
        let first_usable = source.first_usable_lba.max(primary_end);
        let settled = gpt.backup.valid().filter(|backup| {
            let entries_end = backup.partition_entry_lba.saturating_add(array_sectors);
            backup.my_lba == last_lba && backup.partition_entry_lba > source.last_usable_lba && entries_end <= last_lba
        });
        // On a backup that is where it belongs, gaps around its entries are somebody's choice.
        let (backup_array, last_usable) = match settled {
            Some(backup) => (backup.partition_entry_lba, source.last_usable_lba),
            None => (room, room.saturating_sub(1)),
        };
        if first_usable > last_usable.saturating_add(1) || primary_end > backup_array {
            return Err(too_small());
        }
        Ok(Self { new_size, last_lba, first_usable, last_usable, primary_array, backup_array, array_sectors })
    }

    /// The byte of a copy's header, and the sector of its entries.
    fn places(&self, copy: GptCopy) -> (u64, u64) {
        match copy {
            GptCopy::Primary => (SECTOR, self.primary_array),
            GptCopy::Backup => (self.last_lba.saturating_mul(SECTOR), self.backup_array),
        }
    }

    fn check_partitions(&self, array: &[u8], source: &GptHeader) -> Result<(), CannotRebuild> {
        for (number, entry) in used_entries(array, source.size_of_partition_entry) {
            let (start, end) = (entry.starting_lba, entry.ending_lba);
            if start < self.first_usable || end > self.last_usable || start > end {
                let (first, last, size) = (self.first_usable, self.last_usable, self.new_size);
                return Err(CannotRebuild::PartitionOutside { number, start, end, first, last, size });
            }
        }
        Ok(())
    }

    /// The sector of a header (UEFI 2.10, table 5.5); `base` gives what lies behind the known fields.
    fn header(&self, copy: GptCopy, source: &GptHeader, array_crc: u32, base: &[u8]) -> io::Result<Vec<u8>> {
        let (my_lba, alternate_lba, array_lba) = match copy {
            GptCopy::Primary => (1, self.last_lba, self.primary_array),
            GptCopy::Backup => (self.last_lba, 1, self.backup_array),
        };
        let mut sector = Vec::with_capacity(base.len());
        sector.write_all(EFI_PART)?;
        sector.write_u32::<LittleEndian>(REVISION)?;
        sector.write_u32::<LittleEndian>(source.header_size)?;
        sector.write_u32::<LittleEndian>(0)?; // Its own CRC-32, below.
        sector.write_u32::<LittleEndian>(0)?; // Reserved.
        sector.write_u64::<LittleEndian>(my_lba)?;
        sector.write_u64::<LittleEndian>(alternate_lba)?;
        sector.write_u64::<LittleEndian>(self.first_usable)?;
        sector.write_u64::<LittleEndian>(self.last_usable)?;
        sector.write_all(&source.disk_guid.to_mixed_endian())?;
        sector.write_u64::<LittleEndian>(array_lba)?;
        sector.write_u32::<LittleEndian>(source.number_of_partition_entries)?;
        sector.write_u32::<LittleEndian>(source.size_of_partition_entry)?;
        sector.write_u32::<LittleEndian>(array_crc)?;
        sector.write_all(base.get(sector.len()..).unwrap_or_default())?;
        let crc = header_crc(&sector, source.header_size).unwrap_or_default();
        if let Some(mut field) = sector.get_mut(CRC_AT..) {
            field.write_u32::<LittleEndian>(crc)?;
        }
        Ok(sector)
    }

    /// The bytes that the new table takes at the end of the disk, and at its start.
    fn own(&self) -> [Range<u64>; 3] {
        let sectors = |first: u64, count: u64| first.saturating_mul(SECTOR)..first.saturating_add(count).saturating_mul(SECTOR);
        [0..SECTOR.saturating_mul(2), sectors(self.primary_array, self.array_sectors), sectors(self.backup_array, self.array_sectors)]
    }

    /// Zeros the sector of an old backup header, unless it is gone, overwritten by the new table, or part of a partition.
    fn erase(&self, stale: u64, array: &[u8], source: &GptHeader, patches: &mut Patches<'_>) -> Result<(), CannotRebuild> {
        let gone = stale.checked_add(SECTOR).is_none_or(|end| end > self.new_size);
        let kept = stale == self.last_lba.saturating_mul(SECTOR) || self.own().iter().any(|own| own.contains(&stale));
        let lba = stale.checked_div(SECTOR).unwrap_or_default();
        let in_use = || used_entries(array, source.size_of_partition_entry).any(|(_, e)| (e.starting_lba..=e.ending_lba).contains(&lba));
        if gone || kept || in_use() {
            return Ok(());
        }
        patches.put(stale, vec![0; int_usize(SECTOR)])
    }
}

/// Collects what differs from the disk.
#[derive(Debug)]
struct Patches<'a> {
    view: &'a Overlay,
    list: Vec<Patch>,
}

impl Patches<'_> {
    /// These bytes belong at `offset`.
    fn put(&mut self, offset: u64, bytes: Vec<u8>) -> Result<(), CannotRebuild> {
        if read_vec(self.view, offset, bytes.len())? != bytes {
            self.list.push(Patch { offset, bytes });
        }
        Ok(())
    }

    /// These entries belong at `offset`. When they are written, whole sectors are: an old header may lie behind the last entry.
    fn array(&mut self, offset: u64, array: &[u8]) -> Result<(), CannotRebuild> {
        if read_vec(self.view, offset, array.len())? != array {
            let mut bytes = array.to_vec();
            let length = int_u64(array.len()).checked_next_multiple_of(SECTOR).map_or(array.len(), int_usize);
            bytes.resize(length, 0);
            self.list.push(Patch { offset, bytes });
        }
        Ok(())
    }
}

/// The protective entry as long as the disk; everything else in sector 0 stays.
fn protective_mbr(table: &PartitionTable, patches: &mut Patches<'_>) -> Result<(), CannotRebuild> {
    let mut sector = read_vec(patches.view, 0, int_usize(SECTOR))?;
    let size = patches.view.size();
    let mbr = table.mbr.as_ref().filter(|mbr| mbr.usage() != MbrUse::Legacy);
    let Some(mbr) = mbr else {
        // No MBR, or one without partitions: the entry goes into the first place, if nothing at all lies there.
        let entries = sector.get(int_usize(mbr::ENTRIES_AT)..int_usize(mbr::SIGNATURE_AT)).unwrap_or_default();
        if entries.iter().any(|byte| *byte != 0) {
            return Err(CannotRebuild::NoProtectiveMbr);
        }
        let length = mbr::protective_size(size, SECTOR);
        let entry = MbrEntry {
            boot_indicator: 0,
            starting_chs: [0x00, 0x02, 0x00],
            os_type: PROTECTIVE,
            ending_chs: ending_chs(u64::from(length)),
            starting_lba: 1,
            size_in_lba: length,
        };
        set_entry(&mut sector, 0, &entry).map_err(impossible)?;
        if let Some(signature) = sector.get_mut(int_usize(mbr::SIGNATURE_AT)..) {
            signature.copy_from_slice(&mbr::SIGNATURE);
        }
        return patches.put(0, sector);
    };
    for (index, entry) in (0..).zip(&mbr.entries).filter(|(_, entry)| entry.os_type == PROTECTIVE) {
        // In a hybrid MBR an entry before others ends where they begin.
        let is_last = mbr.entries.iter().all(|other| other.is_empty() || other == entry || other.starting_lba < entry.starting_lba);
        if !is_last || (entry.size_in_lba == u32::MAX && entry.starting_lba == 1) {
            continue;
        }
        let mut entry = *entry;
        // The others start where somebody put them; alone, the entry protects everything from LBA 1 on.
        entry.starting_lba = if mbr.usage() == MbrUse::Protective { 1 } else { entry.starting_lba };
        let sectors = size.checked_div(SECTOR).unwrap_or_default();
        let length = u32::try_from(sectors.saturating_sub(u64::from(entry.starting_lba))).unwrap_or(u32::MAX);
        if entry.size_in_lba != length {
            entry.size_in_lba = length;
            if entry.ending_chs != CHS_BEYOND_TRADITIONAL {
                entry.ending_chs = ending_chs(entry.end_lba().saturating_sub(1));
            }
        }
        set_entry(&mut sector, index, &entry).map_err(impossible)?;
    }
    patches.put(0, sector)
}

/// Writes an entry (UEFI 2.10, table 5.2) into place `index` of an MBR.
fn set_entry(sector: &mut [u8], index: u64, entry: &MbrEntry) -> io::Result<()> {
    let Some(mut bytes) = sector.get_mut(int_usize(mbr::entry_at(0, index))..) else { return Ok(()) };
    bytes.write_u8(entry.boot_indicator)?;
    bytes.write_all(&entry.starting_chs)?;
    bytes.write_u8(entry.os_type)?;
    bytes.write_all(&entry.ending_chs)?;
    bytes.write_u32::<LittleEndian>(entry.starting_lba)?;
    bytes.write_u32::<LittleEndian>(entry.size_in_lba)
}

/// Cylinder, head and sector of an LBA, as an entry stores them: head; sector with the cylinder's upper two bits; cylinder.
fn ending_chs(lba: u64) -> [u8; 3] {
    let track = lba.checked_div(SECTORS_PER_TRACK).unwrap_or_default();
    let sector = lba.checked_rem(SECTORS_PER_TRACK).unwrap_or_default().saturating_add(1);
    let head = track.checked_rem(HEADS).unwrap_or_default();
    let cylinder = track.checked_div(HEADS).unwrap_or_default();
    if cylinder > 1023 {
        return CHS_BEYOND;
    }
    let middle = sector | ((cylinder >> 8) << 6);
    match (u8::try_from(head), u8::try_from(middle), u8::try_from(cylinder & 0xff)) {
        (Ok(head), Ok(middle), Ok(low)) => [head, middle, low],
        _ => CHS_BEYOND,
    }
}

#[cfg(test)]
pub(super) mod tests;
