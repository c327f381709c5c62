//! Bytes that can be written to, over untouched ones.

use super::{Bytes, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

/// Bytes of a page, the unit in which changes are kept.
const PAGE: u64 = 4096;

/// A base that is never written to, under pages that are: what an editor of a file system takes for its device.
///
/// Unlike [`Overlay`](super::Overlay), which is a plan, this is written to through a shared reference and any number of times.
#[derive(Debug)]
pub struct Scratch {
    base: Bytes,
    /// Changed pages by number; the last may be shorter.
    pages: RwLock<BTreeMap<u64, Vec<u8>>>,
    /// Pages that may be changed.
    most: u64,
}

/// A write that cannot be taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScratchError {
    /// It passes the end, or a page cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// More would be changed than was allowed.
    #[error("more than {0} bytes would be changed")]
    TooMuch(u64),
}

impl Scratch {
    /// Nothing changed; at most `most` bytes may be.
    #[must_use]
    pub fn new(base: Bytes, most: u64) -> Arc<Self> {
        Arc::new(Self { base, pages: RwLock::default(), most: most / PAGE })
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// When they pass the end, when a page that they change in part cannot be read, or when too much was changed. Nothing of the page
    /// that failed, and of those behind it, is written.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), ScratchError> {
        check_bounds(offset, bytes.len(), self.base.size())?;
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (number, within) = (at / PAGE, int_usize(at % PAGE));
            let (part, after) = rest.split_at(rest.len().min(int_usize(PAGE).saturating_sub(within)));
            if !pages.contains_key(&number) {
                if int_u64(pages.len()) >= self.most {
                    return Err(ScratchError::TooMuch(self.most.saturating_mul(PAGE)));
                }
                let start = number.saturating_mul(PAGE);
                let mut page = vec![0; int_usize(self.base.size().saturating_sub(start).min(PAGE))];
                self.base.read_at(start, &mut page)?;
                pages.insert(number, page);
            }
            if let Some(page) = pages.get_mut(&number) {
                for (to, from) in page.iter_mut().skip(within).zip(part) {
                    *to = *from;
                }
            }
            at = at.saturating_add(int_u64(part.len()));
            rest = after;
        }
        Ok(())
    }

    /// What is changed: runs of pages that differ from the base, by their first byte, in order and apart.
    ///
    /// # Errors
    ///
    /// When the base cannot be read.
    pub fn changes(&self) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut before = vec![0; int_usize(PAGE)];
        for (number, page) in &*pages {
            let start = number.saturating_mul(PAGE);
            let before = before.get_mut(..page.len()).unwrap_or_default();
            self.base.read_at(start, before)?;
            if *before == **page {
                continue;
            }
            match runs.last_mut() {
                Some((at, run)) if at.saturating_add(int_u64(run.len())) == start => run.extend_from_slice(page),
                _ => runs.push((start, page.clone())),
            }
        }
        Ok(runs)
    }
}

impl ReadAt for Scratch {
    fn size(&self) -> u64 {
        self.base.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.base.size())?;
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        let end = offset.saturating_add(int_u64(buf.len()));
        let mut changed = pages.range(offset / PAGE..end.div_ceil(PAGE)).peekable();
        // One page, changed as a whole, asks nothing of the base.
        let covered =
            changed.peek().is_some_and(|(number, _)| **number == offset / PAGE && end <= number.saturating_add(1).saturating_mul(PAGE));
        if !covered {
            self.base.read_at(offset, buf)?;
        }
        for (number, page) in changed {
            let start = number.saturating_mul(PAGE);
            let skip_page = int_usize(offset.saturating_sub(start));
            let skip_buf = int_usize(start.saturating_sub(offset));
            for (to, from) in buf.iter_mut().skip(skip_buf).zip(page.iter().skip(skip_page)) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        let below = self.base.data(from);
        let above = pages.range(from / PAGE..).next().map(|(number, page)| {
            let start = number.saturating_mul(PAGE);
            start.max(from)..start.saturating_add(int_u64(page.len()))
        });
        match (below, above) {
            (Some(base), Some(page)) if page.start <= base.start => Some(page),
            (Some(base), Some(page)) => Some(base.start..base.end.min(page.start)),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Zeros, read_vec};
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_base_stays() {
        let base: Bytes = Arc::new(Memory((0..20_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()));
        let before = read_vec(&*base, 0, 20_000).unwrap();
        let scratch = Scratch::new(base.clone(), 1 << 20);
        let mut expected = before.clone();
        for (at, len) in [(0, 1), (4095, 2), (8000, 9000), (19_999, 1), (4096, 4096), (5, 0)] {
            let bytes = vec![0xee; len];
            scratch.write_at(int_u64(at), &bytes).unwrap();
            expected[at..at + len].copy_from_slice(&bytes);
            assert_eq!(read_vec(&*scratch, 0, 20_000).unwrap(), expected);
            for (start, len) in [(0, 10), (4000, 200), (4096, 4096), (4100, 10), (8191, 2), (19_990, 10)] {
                assert_eq!(read_vec(&*scratch, int_u64(start), len).unwrap(), expected[start..start + len]);
            }
        }
        assert_eq!(read_vec(&*base, 0, 20_000).unwrap(), before);
        assert!(matches!(scratch.write_at(19_999, &[1, 2]), Err(ScratchError::Read(_))));
        assert!(matches!(scratch.write_at(u64::MAX, &[1]), Err(ScratchError::Read(_))));
    }

    #[test]
    fn changes_are_runs_of_what_differs() {
        let scratch = Scratch::new(Arc::new(Zeros(40_000)), 1 << 20);
        scratch.write_at(4000, &[1; 200]).unwrap();
        scratch.write_at(20_480, &[0; 10]).unwrap();
        scratch.write_at(39_999, &[2]).unwrap();
        let changes = scratch.changes().unwrap();
        assert_eq!(changes.iter().map(|(at, run)| (*at, run.len())).collect::<Vec<_>>(), [(0, 8192), (36_864, 3136)]);
        assert_eq!(scratch.data(0), Some(0..4096));
        assert_eq!(scratch.data(8192), Some(20_480..24_576));
        assert_eq!(scratch.data(30_000), Some(36_864..40_000));
    }

    #[test]
    fn no_more_is_changed_than_was_allowed() {
        let scratch = Scratch::new(Arc::new(Zeros(1 << 20)), 2 * PAGE);
        scratch.write_at(0, &[1; 8192]).unwrap();
        scratch.write_at(100, &[2; 8000]).unwrap();
        assert!(matches!(scratch.write_at(8191, &[1, 1]), Err(ScratchError::TooMuch(8192))));
    }
}
