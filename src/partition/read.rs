//! Which scheme a disk uses.

use super::gpt::{self, Copies};
use super::mbr::{self, Mbr, MbrUse};
use super::problem::{Problem, ProblemKind, Problems};
use super::{PartitionTable, Scheme, boot_sector, gpt_check};
use crate::bytes::{Bytes, ReadAt, ReadError, SECTOR, int_usize, is_zero, read_vec};

/// How much of a disk without MBR and primary GPT must be zeros before a backup at its end is believed: past the superblock of
/// btrfs (64 KiB), the last of the common ones to start.
const WIPED: u64 = 68 << 10;

/// What sector 0 says.
enum Claim {
    /// There is a GPT.
    Protective(Mbr),
    /// These are the partitions.
    Partitions(Mbr),
    /// An MBR without partitions.
    Empty(Mbr),
    /// Nothing, or that it is the boot sector of a file system.
    Nothing { is_volume: bool },
}

/// Reads the partition table of a disk; `None` when there is none: a blank disk, or one file system over the whole of it.
///
/// Only the table is read: a few sectors, the entries of a GPT (at most 16 MiB each), and at most 1 MiB at the end in search of a backup
/// that is not where it belongs. Corruption never fails; it is among the problems.
///
/// # Errors
///
/// When the disk cannot be read.
pub fn read(disk: &Bytes) -> Result<Option<PartitionTable>, ReadError> {
    if disk.size() < SECTOR {
        return Ok(None);
    }
    let sector = read_vec(disk, 0, int_usize(SECTOR))?;
    match claim(&sector, disk.size()) {
        Claim::Protective(mbr) => {
            let protected_end = mbr.protective().map(|(_, entry)| entry.end_lba().saturating_sub(1));
            let copies = gpt::locate(disk, protected_end)?;
            Ok(Some(gpt_table(copies, Some(mbr), disk.size())))
        }
        Claim::Partitions(mbr) => mbr_table(mbr, disk).map(Some),
        Claim::Empty(mbr) => {
            let copies = gpt::locate(disk, None)?;
            if copies.primary.state.header().is_some() {
                Ok(Some(gpt_table(copies, Some(mbr), disk.size())))
            } else {
                mbr_table(mbr, disk).map(Some)
            }
        }
        Claim::Nothing { is_volume } => {
            let copies = gpt::locate(disk, None)?;
            let primary = &copies.primary.state;
            // A valid primary is younger than the file system whose boot sector remains: formatting overwrites LBA 1.
            let believed = if is_volume {
                primary.valid().is_some()
            } else {
                primary.header().is_some() || (copies.backup.state.valid().is_some() && is_wiped(disk)?)
            };
            Ok(believed.then(|| gpt_table(copies, None, disk.size())))
        }
    }
}

/// What sector 0 says, before anything else was read.
fn claim(sector: &[u8], size: u64) -> Claim {
    let is_volume = boot_sector::volume(sector).is_some();
    let Some(mbr) = Mbr::parse(sector) else { return Claim::Nothing { is_volume } };
    let sectors = size.checked_div(SECTOR).unwrap_or_default();
    // In the code of a boot sector a byte EE may stand anywhere, but not with LBA 1 behind it.
    if mbr.usage() != MbrUse::Legacy && (mbr.protects() || !is_volume) {
        return Claim::Protective(mbr);
    }
    if mbr.makes_sense(sectors, is_volume) {
        return Claim::Partitions(mbr);
    }
    if mbr.is_empty() && !is_volume { Claim::Empty(mbr) } else { Claim::Nothing { is_volume } }
}

/// Whether the start of the disk holds nothing at all, so that a backup at its end is what remains and not a leftover.
fn is_wiped(disk: &Bytes) -> Result<bool, ReadError> {
    Ok(is_zero(&read_vec(disk, 0, int_usize(WIPED.min(disk.size())))?))
}

/// The table of an MBR disk.
fn mbr_table(mbr: Mbr, disk: &Bytes) -> Result<PartitionTable, ReadError> {
    let mut problems = Problems::default();
    let partitions = mbr::partitions(&mbr, disk, &mut problems)?;
    if let Some(at) = gpt::signature_at(disk)? {
        let message = format!("GPT header at byte {at}: expected none on a disk with an MBR, found EFI PART");
        problems.push(Problem::new(ProblemKind::StaleGpt, at, message));
    }
    let problems = problems.finish();
    Ok(PartitionTable { scheme: Scheme::Mbr, sector_size: SECTOR, mbr: Some(mbr), gpt: None, partitions, problems })
}

/// The table of a GPT disk.
fn gpt_table(copies: Copies, mbr: Option<Mbr>, size: u64) -> PartitionTable {
    let mut problems = Problems::default();
    let sector_size = copies.sector_size;
    match mbr.as_ref().filter(|mbr| mbr.usage() != MbrUse::Legacy) {
        Some(mbr) => mbr::check_protective(mbr, sector_size, size, &mut problems),
        None => {
            let message = format!("protective MBR at byte {}: expected an entry of type ee, found none", mbr::ENTRIES_AT);
            problems.push(Problem::new(ProblemKind::ProtectiveMissing, mbr::ENTRIES_AT, message));
        }
    }
    let (gpt, partitions) = gpt_check::check(copies, size, &mut problems);
    PartitionTable { scheme: Scheme::Gpt, sector_size, mbr, gpt: Some(gpt), partitions, problems: problems.finish() }
}
