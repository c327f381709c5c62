//! Chains of extended boot records, which hold the logical partitions.
//!
//! Each record looks like an MBR. Of its entries one is a partition, placed relative to the record, and one links to the next
//! record, placed relative to the first one, where the extended partition starts. Behaviour: Linux,
//! `block/partitions/msdos.c`, `parse_extended`.

use super::mbr::{ENTRIES_AT, MbrEntry, SIGNATURE, SIGNATURE_AT, check_entry, decode_entries, entry_at, partition};
use super::problem::{Extent, Problem, ProblemKind, Problems};
use super::{Partition, Role};
use crate::bytes::{ReadAt, ReadError, SECTOR, int_usize, read_array};
use std::collections::BTreeSet;

/// Records that are followed. Linux gives out at most 256 minor numbers, and fdisk makes 56 logical partitions.
const MAX_RECORDS: usize = 1024;
/// The number of the first logical partition.
const FIRST_LOGICAL: u32 = 5;

/// Follows the chain that starts with `extended`, an entry of the MBR; appends the partitions and returns where the records lie.
pub(super) fn chain(
    extended: &MbrEntry,
    disk: &dyn ReadAt,
    found: &mut Vec<Partition>,
    problems: &mut Problems,
) -> Result<Vec<Extent>, ReadError> {
    let base = u64::from(extended.starting_lba);
    let end = extended.end_lba();
    let mut number = found.iter().filter(|p| p.role == Role::Logical).map(|p| p.number.saturating_add(1)).max().unwrap_or(FIRST_LOGICAL);
    let mut visited = BTreeSet::new();
    let mut records = Vec::new();
    let mut next = Some(base);
    while let Some(lba) = next.take() {
        let at = lba.saturating_mul(SECTOR);
        if disk.size().checked_sub(at).is_none_or(|rest| rest < SECTOR) {
            let size = disk.size();
            problems.push(Problem::field(
                ProblemKind::ExtendedLink,
                "extended boot record",
                at,
                format!("a disk beyond byte {at}"),
                format!("{size} bytes"),
            ));
            break;
        }
        if !visited.insert(lba) {
            problems.push(Problem::new(
                ProblemKind::ExtendedLoop,
                at,
                format!("extended boot record at byte {at}: the chain comes back to it"),
            ));
            break;
        }
        if visited.len() > MAX_RECORDS {
            let message = format!("extended boot record at byte {at}: expected at most {MAX_RECORDS} records, found more");
            problems.push(Problem::new(ProblemKind::ExtendedTooLong, at, message));
            break;
        }
        let Some(entries) = read_record(disk, at, problems)? else { break };
        records.push(Extent { start: at, end: at.saturating_add(SECTOR), owner: format!("the extended boot record at byte {at}"), at });
        for (index, entry) in (0..).zip(&entries) {
            let entry_at = entry_at(at, index);
            if index >= 2 || (entry.is_extended() && next.is_some()) {
                check_surplus(entry, entry_at, problems);
            } else if entry.is_extended() && entry.size_in_lba != 0 {
                next = Some(link(entry, base, end, entry_at, problems));
            } else {
                check_entry(entry, &format!("entry of the extended boot record at byte {at}"), entry_at, problems);
                if entry.is_partition() {
                    let start = lba.saturating_add(u64::from(entry.starting_lba));
                    let last = start.saturating_add(u64::from(entry.size_in_lba));
                    if start < base || last > end {
                        let expected = format!("sectors {base} to {end}, the extended partition");
                        let what = format!("logical partition {number}, whose entry is");
                        problems.push(Problem::field(ProblemKind::LogicalOutside, what, entry_at, expected, format!("{start} to {last}")));
                    }
                    found.push(partition(entry, number, start, Role::Logical, entry_at));
                    number = number.saturating_add(1);
                }
            }
        }
    }
    Ok(records)
}

/// The entries of the record at byte `at`; `None`, with a problem, when there is no record.
fn read_record(disk: &dyn ReadAt, at: u64, problems: &mut Problems) -> Result<Option<[MbrEntry; 4]>, ReadError> {
    let sector: [u8; 512] = read_array(disk, at)?;
    let signature = sector.get(int_usize(SIGNATURE_AT)..).unwrap_or_default();
    if signature != SIGNATURE {
        let place = at.saturating_add(SIGNATURE_AT);
        let found = signature.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        problems.push(Problem::field(ProblemKind::ExtendedSignature, "signature of an extended boot record", place, "55 aa", found));
        return Ok(None);
    }
    Ok(sector.get(int_usize(ENTRIES_AT)..).and_then(|bytes| decode_entries(bytes).ok()))
}

/// The sector to which a link leads. It is followed also out of the extended partition, as Linux does.
fn link(entry: &MbrEntry, base: u64, end: u64, at: u64, problems: &mut Problems) -> u64 {
    let lba = base.saturating_add(u64::from(entry.starting_lba));
    if lba >= end {
        let at = at.saturating_add(8);
        let expected = format!("a sector from {base} to {end}, the extended partition");
        problems.push(Problem::field(ProblemKind::ExtendedLink, "link to the next extended boot record", at, expected, lba));
    }
    lba
}

/// Notes an entry that must be empty: the third, the fourth, or a second link.
fn check_surplus(entry: &MbrEntry, at: u64, problems: &mut Problems) {
    if !entry.is_empty() {
        let found = format!("type {:02x} with {} sectors", entry.os_type, entry.size_in_lba);
        problems.push(Problem::field(ProblemKind::ExtendedEntry, "surplus entry of an extended boot record", at, "zeros", found));
    }
}
