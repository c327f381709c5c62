//! Changed bytes over untouched ones.
//!
//! One mechanism for everything that must be seen otherwise than it lies in the source: a log replayed in memory, an edit that
//! is judged before it is written, a disk with its new footer. The base is never written to.

use super::{Bytes, Origin, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::collections::BTreeMap;
use std::ops::Range;

/// A base, possibly longer or shorter than it was, with patches on top.
#[derive(Debug, Clone)]
pub struct Overlay {
    base: Bytes,
    size: u64,
    /// Patches by first byte; they never overlap and never pass `size`.
    patches: BTreeMap<u64, Vec<u8>>,
}

/// A patch that cannot be laid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// The patch would pass the end.
    #[error("a patch of {length} bytes at byte {offset} passes the end at byte {size}")]
    PastEnd {
        /// First byte of the patch.
        offset: u64,
        /// Its length.
        length: u64,
        /// Size of the overlay.
        size: u64,
    },
    /// The patch would overlap another.
    #[error("two patches overlap at byte {0}")]
    Overlap(u64),
}

impl Overlay {
    /// The base as it is.
    #[must_use]
    pub fn new(base: Bytes) -> Self {
        let size = base.size();
        Self { base, size, patches: BTreeMap::new() }
    }

    /// The base grown with zeros, or cut, to `size` bytes.
    #[must_use]
    pub fn resized(base: Bytes, size: u64) -> Self {
        Self { base, size, patches: BTreeMap::new() }
    }

    /// Lays `bytes` over the base from `offset` on.
    ///
    /// # Errors
    ///
    /// When the patch passes the end or overlaps an earlier one.
    pub fn patch(&mut self, offset: u64, bytes: Vec<u8>) -> Result<(), OverlayError> {
        let length = int_u64(bytes.len());
        if length == 0 {
            return Ok(());
        }
        let end = match offset.checked_add(length) {
            Some(end) if end <= self.size => end,
            _ => return Err(OverlayError::PastEnd { offset, length, size: self.size }),
        };
        if let Some((start, before)) = self.patches.range(..end).next_back()
            && start.saturating_add(int_u64(before.len())) > offset
        {
            return Err(OverlayError::Overlap(offset.max(*start)));
        }
        self.patches.insert(offset, bytes);
        Ok(())
    }

    /// The bytes of the base that are still seen: all but what was grown.
    fn visible_base(&self) -> u64 {
        self.size.min(self.base.size())
    }

    /// The patch that covers `offset` or starts next after it, as its range.
    fn next_patch(&self, offset: u64) -> Option<Range<u64>> {
        let range = |(start, bytes): (&u64, &Vec<u8>)| *start..start.saturating_add(int_u64(bytes.len()));
        let before = self.patches.range(..=offset).next_back().map(range).filter(|r| r.end > offset);
        before.or_else(|| self.patches.range(offset..).next().map(range))
    }
}

impl ReadAt for Overlay {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        let wanted = int_usize(self.visible_base().saturating_sub(offset)).min(buf.len());
        let (from_base, grown) = buf.split_at_mut_checked(wanted).unwrap_or_default();
        if !from_base.is_empty() {
            self.base.read_at(offset, from_base)?;
        }
        grown.fill(0);
        let end = offset.saturating_add(int_u64(buf.len()));
        let first = self.patches.range(..=offset).next_back().map_or(offset, |(start, _)| *start);
        for (start, bytes) in self.patches.range(first..end) {
            let skip_patch = int_usize(offset.saturating_sub(*start));
            let skip_buf = int_usize(start.saturating_sub(offset));
            for (to, from) in buf.iter_mut().skip(skip_buf).zip(bytes.iter().skip(skip_patch)) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let below = (from < self.visible_base())
            .then(|| self.base.data(from))
            .flatten()
            .map(|r| r.start..r.end.min(self.visible_base()))
            .filter(|r| r.start < r.end);
        let above = self.next_patch(from).map(|r| r.start.max(from)..r.end);
        match (below, above) {
            (Some(base), Some(patch)) if patch.start <= base.start => Some(patch),
            // A patch that starts inside data of the base is answered by the base's own range up to it.
            (Some(base), Some(patch)) => Some(base.start..base.end.min(patch.start)),
            (one, other) => one.or(other),
        }
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        let patch = self.next_patch(range.start).map_or(u64::MAX, |patch| patch.start);
        let end = range.end.min(self.visible_base()).min(patch);
        (range.start < end).then(|| self.base.origin(range.start..end))?
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Zeros};
    use super::*;
    use std::sync::Arc;

    fn all(bytes: &dyn ReadAt) -> Vec<u8> {
        super::super::read_vec(bytes, 0, int_usize(bytes.size())).unwrap()
    }

    #[test]
    fn patches_show_and_the_base_stays() {
        let base: Bytes = Arc::new(Memory(vec![7; 10]));
        let mut overlay = Overlay::resized(base.clone(), 14);
        overlay.patch(8, vec![1, 2, 3]).unwrap();
        overlay.patch(0, vec![9]).unwrap();
        assert_eq!(all(&overlay), [9, 7, 7, 7, 7, 7, 7, 7, 1, 2, 3, 0, 0, 0]);
        assert_eq!(all(&base), [7; 10]);
        let mut middle = [0; 3];
        overlay.read_at(9, &mut middle).unwrap();
        assert_eq!(middle, [2, 3, 0]);
    }

    #[test]
    fn patches_neither_overlap_nor_pass_the_end() {
        let mut overlay = Overlay::new(Arc::new(Zeros(10)));
        overlay.patch(4, vec![1; 4]).unwrap();
        for (offset, len) in [(4, 1), (3, 2), (7, 1), (0, 10)] {
            assert!(matches!(overlay.patch(offset, vec![2; len]), Err(OverlayError::Overlap(_))), "{offset}+{len}");
        }
        assert!(overlay.patch(8, vec![1; 2]).is_ok());
        assert!(matches!(overlay.patch(10, vec![1]), Err(OverlayError::PastEnd { .. })));
        assert!(matches!(overlay.patch(u64::MAX, vec![1]), Err(OverlayError::PastEnd { .. })));
    }

    #[test]
    fn holes_are_known_around_patches() {
        let mut overlay = Overlay::resized(Arc::new(Zeros(100)), 200);
        overlay.patch(50, vec![1; 10]).unwrap();
        overlay.patch(150, vec![1; 10]).unwrap();
        assert_eq!(overlay.data(0), Some(50..60));
        assert_eq!(overlay.data(55), Some(55..60));
        assert_eq!(overlay.data(60), Some(150..160));
        assert_eq!(overlay.data(160), None);
        let dense = Overlay::resized(Arc::new(Memory(vec![1; 10])), 20);
        assert_eq!(dense.data(0), Some(0..10));
        assert_eq!(dense.data(10), None);
    }

    #[test]
    fn a_cut_base_is_not_read_past_the_cut() {
        let overlay = Overlay::resized(Arc::new(Memory(vec![5; 10])), 4);
        assert_eq!(all(&overlay), [5; 4]);
        assert_eq!(overlay.data(0), Some(0..4));
        assert!(overlay.read_at(3, &mut [0; 2]).is_err());
    }
}
