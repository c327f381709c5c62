//! Ranges of disks, and how much in them is not zero.
//!
//! They are not rounded to pages: a block of 1 KiB that is free beside one that is not may hold what was deleted.

use super::{Fault, PAGE, kept};
use crate::bytes::{Bytes, MIB, ReadError, int_u64, int_usize, is_zero, read_vec};
use std::ops::Range;

/// At both ends of a disk, what a partition table may take: GPT needs 34 sectors of 512 bytes, or 6 of 4096, at the start and one less at
/// the end. Tables do not put partitions there, unless they are damaged.
const TABLE: u64 = 6 * PAGE;

/// The same ranges, sorted, neighbours joined; without what a partition table may take.
pub(super) fn joined(mut ranges: Vec<(usize, Range<u64>)>, disks: &[Bytes]) -> Result<Vec<(usize, Range<u64>)>, Fault> {
    ranges.retain(|(_, range)| range.start < range.end);
    ranges.sort_by_key(|(disk, range)| (*disk, range.start));
    let mut joined: Vec<(usize, Range<u64>)> = Vec::new();
    for (disk, range) in ranges {
        match joined.last_mut() {
            Some((last, before)) if *last == disk && before.end > range.start => return kept("what it calls free overlaps itself"),
            Some((last, before)) if *last == disk && before.end == range.start => before.end = range.end,
            _ => joined.push((disk, range)),
        }
    }
    let mut found = Vec::with_capacity(joined.len());
    for (disk, range) in joined {
        let Some(bytes) = disks.get(disk) else { return kept("it lies on a disk that is not among those given") };
        if range.end > bytes.size() {
            return kept("what it calls free passes the end of the disk");
        }
        let (start, end) = (range.start.max(TABLE), range.end.min(bytes.size().saturating_sub(TABLE)));
        if start < end {
            found.push((disk, start..end));
        }
    }
    Ok(found)
}

/// Bytes of the ranges in pages of the disk that are not zero there. Holes that the disk knows are not read.
///
/// # Errors
///
/// When a disk cannot be read.
pub fn count(ranges: &[(usize, Range<u64>)], disks: &[Bytes]) -> Result<u64, ReadError> {
    let mut count = 0_u64;
    for (disk, range) in ranges {
        let Some(bytes) = disks.get(*disk) else { continue };
        let mut at = range.start;
        while let Some(data) = bytes.data(at).filter(|data| data.start < range.end) {
            // Data may begin within a page.
            let page = (data.start / PAGE).saturating_mul(PAGE);
            let (start, full) = (page.max(range.start), data.end.div_ceil(PAGE).saturating_mul(PAGE));
            let end = full.min(range.end).min(page.saturating_add(MIB));
            let piece = read_vec(bytes, start, int_usize(end.saturating_sub(start)))?;
            // The first piece ends with its page.
            let first = int_usize(page.saturating_add(PAGE).saturating_sub(start)).min(piece.len());
            let (first, rest) = piece.split_at_checked(first).unwrap_or_default();
            let full = std::iter::once(first).chain(rest.chunks(int_usize(PAGE))).filter(|page| !is_zero(page));
            count = full.fold(count, |count, page| count.saturating_add(int_u64(page.len())));
            at = end;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Overlay, Zeros};
    use std::sync::Arc;

    fn disks() -> Vec<Bytes> {
        let mut sparse = Overlay::new(Arc::new(Zeros(8 << 20)));
        for at in [100 * 4096 + 5, 101 * 4096 - 1, 200 * 4096, 203 * 4096 + 4095] {
            sparse.patch(at, vec![1]).unwrap();
        }
        sparse.patch(1000 * 4096, vec![1; 600 * 4096]).unwrap();
        vec![Arc::new(Zeros(1 << 20)), Arc::new(sparse)]
    }

    #[test]
    fn ranges_are_joined() {
        let joined = |ranges: &[(usize, Range<u64>)]| joined(ranges.to_vec(), &disks());
        let at = |from: u64, to: u64| from * 4096..to * 4096;
        let found = joined(&[(1, 40_000..50_000), (0, 32_768..36_864), (1, 50_000..53_248), (1, 60_000..61_000), (1, 9..9)]).unwrap();
        assert_eq!(found, [(0, at(8, 9)), (1, 40_000..53_248), (1, 60_000..61_000)]);
        assert_eq!(joined(&[(0, 0..1 << 20)]).unwrap(), [(0, at(6, 250))], "without the ends");
        assert!(joined(&[(0, 40_000..50_000), (0, 49_999..60_000)]).is_err());
        assert!(joined(&[(2, 0..1)]).is_err());
        assert!(joined(&[(0, 0..(1 << 20) + 1)]).is_err());
    }

    #[test]
    fn pages_that_are_not_zero_are_counted_once() {
        let count = |from: u64, to: u64| count(&[(1, from * 4096..to * 4096)], &disks()).unwrap() / 4096;
        assert_eq!(count(6, 100), 0);
        assert_eq!(count(100, 101), 1);
        assert_eq!(count(99, 102), 1);
        assert_eq!(count(6, 500), 3);
        assert_eq!(count(203, 204), 1);
        assert_eq!(count(900, 1100), 100);
        assert_eq!(count(6, 2000), 603);
        let bytes = |range: Range<u64>| super::count(&[(1, range)], &disks()).unwrap();
        assert_eq!(bytes(100 * 4096 + 4..100 * 4096 + 1028), 1024, "parts of pages");
        assert_eq!(bytes(100 * 4096 + 6..101 * 4096 - 1), 0);
        assert_eq!(bytes(1000 * 4096 + 4000..1002 * 4096 + 9), 96 + 4096 + 9);
    }
}
