//! Bytes with ranges that read as zeros, whatever lies below.

use super::{Bytes, Origin, ReadAt, ReadError, int_u64, int_usize};
use std::ops::Range;

/// A base with holes punched into it.
#[derive(Debug, Clone)]
pub struct Punched {
    base: Bytes,
    /// In order, apart, none empty.
    holes: Vec<Range<u64>>,
}

impl Punched {
    /// Punches these ranges, which may come in any order, touch and overlap.
    #[must_use]
    pub fn new(base: Bytes, mut holes: Vec<Range<u64>>) -> Self {
        holes.retain(|hole| hole.start < hole.end);
        holes.sort_by_key(|hole| hole.start);
        let mut merged: Vec<Range<u64>> = Vec::with_capacity(holes.len());
        for hole in holes {
            match merged.last_mut() {
                Some(last) if last.end >= hole.start => last.end = last.end.max(hole.end),
                _ => merged.push(hole),
            }
        }
        Self { base, holes: merged }
    }

    /// The holes from the one that ends behind `offset` on.
    fn from(&self, offset: u64) -> &[Range<u64>] {
        let first = self.holes.partition_point(|hole| hole.end <= offset);
        self.holes.get(first..).unwrap_or_default()
    }
}

impl ReadAt for Punched {
    fn size(&self) -> u64 {
        self.base.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let end = offset.saturating_add(int_u64(buf.len()));
        if let Some(hole) = self.from(offset).first()
            && hole.start <= offset
            && end <= hole.end
            && end <= self.size()
        {
            buf.fill(0);
            return Ok(());
        }
        self.base.read_at(offset, buf)?;
        for hole in self.from(offset).iter().take_while(|hole| hole.start < end) {
            let (start, stop) = (hole.start.max(offset), hole.end.min(end));
            let range = int_usize(start.saturating_sub(offset))..int_usize(stop.saturating_sub(offset));
            buf.get_mut(range).unwrap_or_default().fill(0);
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let mut at = from;
        loop {
            let found = self.base.data(at)?;
            let Some(hole) = self.from(found.start).first() else { return Some(found) };
            if hole.start > found.start {
                return Some(found.start..found.end.min(hole.start));
            }
            if hole.end < found.end {
                let next = self.from(hole.end).first().map_or(found.end, |next| found.end.min(next.start));
                return Some(hole.end..next);
            }
            at = hole.end;
        }
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        let end = range.end.min(self.from(range.start).first().map_or(u64::MAX, |hole| hole.start));
        (range.start < end).then(|| self.base.origin(range.start..end))?
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Overlay, Zeros, read_vec};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn holes_read_as_zeros_and_are_known() {
        let mut sparse = Overlay::new(Arc::new(Zeros(1000)));
        for at in [0, 300, 600] {
            sparse.patch(at, vec![7; 200]).unwrap();
        }
        let holes = [(590, 610), (150, 310), (100, 200), (450, 450), (640, 700), (990, 1000)];
        let punched = Punched::new(Arc::new(sparse.clone()), holes.iter().map(|(start, end)| *start..*end).collect());
        let mut expected = read_vec(&sparse, 0, 1000).unwrap();
        for (start, end) in holes {
            expected[start as usize..end as usize].fill(0);
        }
        for (start, len) in [(0, 1000), (160, 20), (150, 160), (605, 40), (310, 10), (995, 5), (640, 60), (1000, 0)] {
            assert_eq!(read_vec(&punched, start, len).unwrap(), expected[start as usize..start as usize + len], "{start}+{len}");
        }
        assert!(read_vec(&punched, 995, 6).is_err());
        for from in 0..=1000 {
            let next = expected.iter().skip(from as usize).position(|byte| *byte != 0).map(|at| from + int_u64(at));
            let found = punched.data(from);
            assert_eq!(found.as_ref().map(|range| range.start), next, "from {from}");
            assert!(found.is_none_or(|range| range.clone().all(|at| expected[at as usize] != 0) && !range.is_empty()));
        }
        let all = Punched::new(Arc::new(Memory(vec![1; 10])), std::iter::once(0..10).collect());
        assert_eq!((read_vec(&all, 0, 10).unwrap(), all.data(0)), (vec![0; 10], None));
    }
}
