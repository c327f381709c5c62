//! Defects of a partition table, each with its kind and its place.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Problems of one kind that are listed one by one; further ones are counted.
///
/// A table can hold 131072 entries that are all wrong, and nobody reads the same sentence so often.
const LISTED_PER_KIND: u64 = 64;

/// What is wrong, as programs tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// MBR: a boot indicator other than 0x00 and 0x80.
    BootIndicator,
    /// MBR: an entry with a type and no sectors.
    ZeroSize,
    /// MBR: an entry with sectors and type 0, which some systems use and others ignore.
    ZeroType,
    /// MBR: more than one extended partition.
    SeveralExtended,
    /// MBR: an extended boot record without the signature 55 AA.
    ExtendedSignature,
    /// MBR: a chain of extended boot records that returns to one of its own.
    ExtendedLoop,
    /// MBR: a chain longer than this program follows.
    ExtendedTooLong,
    /// MBR: a chain that leaves its extended partition or the disk.
    ExtendedLink,
    /// MBR: something in the entries of an extended boot record that must be empty.
    ExtendedEntry,
    /// MBR: a logical partition that leaves its extended partition.
    LogicalOutside,
    /// MBR: a GPT header from earlier use, which the MBR does not announce.
    StaleGpt,
    /// GPT: partitions in the MBR beside the protective entry. Two views of one disk, a choice rather than a defect.
    HybridMbr,
    /// GPT: no protective entry (type EE) in the MBR, without which firmware and Linux do not look for a GPT.
    ProtectiveMissing,
    /// GPT: the protective entry does not start at LBA 1.
    ProtectiveStart,
    /// GPT: the protective entry is not as long as the disk.
    ProtectiveSize,
    /// GPT: no primary header.
    PrimaryMissing,
    /// GPT: no backup header.
    BackupMissing,
    /// GPT: the backup header is not in the last sector of the disk.
    BackupMisplaced,
    /// GPT: made for sectors of 4096 bytes.
    SectorSize,
    /// GPT: a revision other than 1.0.
    Revision,
    /// GPT: a header size below 92 or above the sector.
    HeaderSize,
    /// GPT: the header's CRC-32 is wrong.
    HeaderCrc,
    /// GPT: a header that names another place as its own.
    MyLba,
    /// GPT: a header that names a wrong place for the other one.
    AlternateLba,
    /// GPT: first and last usable sector contradict each other, the headers or the disk.
    UsableRange,
    /// GPT: an entry size other than 128 × 2ⁿ bytes, or above 4096.
    EntrySize,
    /// GPT: no entries, or more than this program reads.
    EntryCount,
    /// GPT: the entries lie past the end of the disk, over a header, or where partitions may lie.
    ArrayPlace,
    /// GPT: the CRC-32 of the entries is wrong.
    ArrayCrc,
    /// GPT: two valid headers that tell different things.
    HeadersDisagree,
    /// GPT: two valid headers with different entries.
    ArraysDisagree,
    /// GPT: a partition that ends before it starts.
    Reversed,
    /// GPT: a partition outside the usable sectors.
    OutsideUsable,
    /// GPT: two partitions with one GUID.
    DuplicateGuid,
    /// GPT: a partition without a GUID.
    NilGuid,
    /// A partition that passes the end of the disk.
    PastEnd,
    /// Two partitions that share sectors.
    Overlap,
}

/// One defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The byte of the disk where the offending field, or the structure that should be there, starts.
    pub at: u64,
    /// Structure, place, what was expected and what was found, in one line.
    pub message: String,
}

impl Problem {
    /// A defect in its own words.
    pub(super) fn new(kind: ProblemKind, at: u64, message: impl Into<String>) -> Self {
        Self { kind, at, message: message.into() }
    }

    /// A field that holds something else than it should.
    pub(super) fn field(kind: ProblemKind, what: impl Display, at: u64, expected: impl Display, found: impl Display) -> Self {
        Self::new(kind, at, format!("{what} at byte {at}: expected {expected}, found {found}"))
    }
}

/// Collects problems and stops listing the ones that repeat themselves.
#[derive(Debug, Default)]
pub(super) struct Problems {
    listed: Vec<Problem>,
    /// By kind: how many there were, and the place of the last one.
    seen: BTreeMap<ProblemKind, (u64, u64)>,
}

impl Problems {
    /// Adds a problem; `make` runs only when it will be listed.
    pub(super) fn add(&mut self, kind: ProblemKind, at: u64, make: impl FnOnce() -> Problem) {
        let seen = self.seen.entry(kind).or_default();
        *seen = (seen.0.saturating_add(1), at);
        if seen.0 <= LISTED_PER_KIND {
            self.listed.push(make());
        }
    }

    /// Adds a problem that exists already.
    pub(super) fn push(&mut self, problem: Problem) {
        self.add(problem.kind, problem.at, || problem);
    }

    /// The list, with one line more for each kind that was cut short.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for (kind, (count, at)) in self.seen {
            if let Some(more) = count.checked_sub(LISTED_PER_KIND).filter(|more| *more > 0) {
                self.listed.push(Problem::new(kind, at, format!("{more} more of this kind, the last at byte {at}")));
            }
        }
        self.listed
    }
}

/// A run of bytes on the disk that should not be shared.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    /// First byte.
    pub(super) start: u64,
    /// First byte after it.
    pub(super) end: u64,
    /// Whose it is.
    pub(super) owner: String,
    /// The byte at which the disk says so.
    pub(super) at: u64,
}

/// Reports every extent that starts inside an earlier one.
pub(super) fn overlaps(mut extents: Vec<Extent>, problems: &mut Problems) {
    extents.retain(|extent| extent.start < extent.end);
    extents.sort_by_key(|extent| (extent.start, extent.end));
    let mut furthest: Option<&Extent> = None;
    for extent in &extents {
        if let Some(before) = furthest.filter(|before| extent.start < before.end) {
            let end = before.end.min(extent.end);
            problems.add(ProblemKind::Overlap, extent.at, || {
                let (one, other, start) = (&before.owner, &extent.owner, extent.start);
                Problem::new(ProblemKind::Overlap, extent.at, format!("{one} and {other} share the bytes {start} to {end}"))
            });
        }
        if furthest.is_none_or(|before| before.end < extent.end) {
            furthest = Some(extent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_problems_are_counted() {
        let mut problems = Problems::default();
        for at in 0..100 {
            problems.push(Problem::new(ProblemKind::NilGuid, at, "x"));
        }
        problems.push(Problem::new(ProblemKind::Overlap, 7, "y"));
        let list = problems.finish();
        assert_eq!(list.len(), 66);
        assert_eq!(list[65].message, "36 more of this kind, the last at byte 99");
    }

    #[test]
    fn overlaps_are_found_behind_a_long_extent() {
        let extent = |start, end, at| Extent { start, end, owner: format!("p{at}"), at };
        let mut problems = Problems::default();
        overlaps(vec![extent(50, 60, 3), extent(0, 100, 1), extent(10, 20, 2), extent(100, 110, 4), extent(5, 5, 5)], &mut problems);
        let places: Vec<_> = problems.finish().into_iter().map(|p| p.at).collect();
        assert_eq!(places, [2, 3]);
    }
}
