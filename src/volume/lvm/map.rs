//! The bytes of a logical volume: pieces of others, one behind the other or in stripes.

use crate::bytes::{Bytes, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::num::NonZero;
use std::ops::Range;

/// Bytes of a logical volume that lie on a physical volume in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// First byte of the logical volume.
    pub from: u64,
    /// Place of the physical volume in its group's list.
    pub member: usize,
    /// Where on it, in bytes.
    pub at: Range<u64>,
}

/// Pieces in the order of their bytes, without a gap.
#[derive(Debug)]
pub(super) struct Mapped {
    pieces: Vec<Piece>,
}

/// Where a stripe begins: on which physical volume, and at which of its bytes.
#[derive(Debug, Clone)]
pub(super) struct Stripe {
    /// Place of the physical volume in its group's list.
    pub(super) member: usize,
    pub(super) bytes: Bytes,
    pub(super) first: u64,
}

/// Bytes of a logical volume that are mapped in one way.
#[derive(Debug)]
pub(super) struct Piece {
    start: u64,
    end: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Zeros,
    /// A stripe alone.
    Linear(Stripe),
    /// Chunks taken from each in turn.
    Striped {
        chunk: NonZero<u64>,
        stripes: Vec<Stripe>,
        count: NonZero<u64>,
    },
}

impl Mapped {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { pieces: Vec::new() }
    }

    /// Adds `size` zeros at the end.
    pub(super) fn zeros(&mut self, size: u64) {
        self.push(size, Source::Zeros);
    }

    /// Adds `size` bytes that are taken from the stripes in chunks, each stripe with its own offset.
    ///
    /// The caller has seen to it that every stripe has its share of the bytes. `None`, and nothing is added, when there is no stripe,
    /// or more than one and no chunk.
    #[must_use]
    pub(super) fn stripes(&mut self, size: u64, mut stripes: Vec<Stripe>, chunk: u64) -> Option<()> {
        let count = NonZero::new(int_u64(stripes.len()))?;
        let source =
            if count.get() == 1 { Source::Linear(stripes.pop()?) } else { Source::Striped { chunk: NonZero::new(chunk)?, stripes, count } };
        self.push(size, source);
        Some(())
    }

    fn push(&mut self, size: u64, source: Source) {
        let start = self.size();
        self.pieces.push(Piece { start, end: start.saturating_add(size), source });
    }

    /// Where all bytes lie, in their order and at most `most` pieces; `None` where they are more, or where some lie nowhere.
    pub(super) fn placed(&self, most: usize) -> Option<Vec<Placed>> {
        let mut placed: Vec<Placed> = Vec::new();
        let mut add = |from: u64, stripe: &Stripe, offset: u64, len: u64| {
            let at = stripe.first.saturating_add(offset);
            placed.push(Placed { from, member: stripe.member, at: at..at.saturating_add(len) });
            (placed.len() <= most).then_some(())
        };
        for piece in &self.pieces {
            let size = piece.end.saturating_sub(piece.start);
            match &piece.source {
                Source::Zeros => return None,
                Source::Linear(stripe) => add(piece.start, stripe, 0, size)?,
                Source::Striped { chunk, stripes, count } => {
                    let rows = size / *chunk / *count;
                    for row in 0..rows {
                        for (stripe, number) in stripes.iter().zip(0_u64..) {
                            let line = row.saturating_mul(count.get()).saturating_add(number).saturating_mul(chunk.get());
                            add(piece.start.saturating_add(line), stripe, row.saturating_mul(chunk.get()), chunk.get())?;
                        }
                    }
                    // The caller has seen to it that stripes end with a chunk.
                    if rows.saturating_mul(count.get()).saturating_mul(chunk.get()) != size {
                        return None;
                    }
                }
            }
        }
        Some(placed)
    }

    /// The pieces from the one that holds `offset` on.
    fn from(&self, offset: u64) -> &[Piece] {
        let first = self.pieces.partition_point(|piece| piece.end <= offset);
        self.pieces.get(first..).unwrap_or_default()
    }
}

impl Piece {
    /// Fills `buf` with what stands at `offset` of this piece.
    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        match &self.source {
            Source::Zeros => buf.fill(0),
            Source::Linear(stripe) => stripe.bytes.read_at(stripe.first.saturating_add(offset), buf)?,
            Source::Striped { chunk, stripes, count } => {
                let (mut at, mut rest) = (offset, buf);
                while !rest.is_empty() {
                    let (within, row, stripe) = (at % *chunk, at / *chunk / *count, at / *chunk % *count);
                    let len = int_usize(chunk.get().saturating_sub(within)).min(rest.len());
                    let (part, after) = rest.split_at_mut_checked(len).unwrap_or_default();
                    if let Some(stripe) = stripes.get(int_usize(stripe)) {
                        let place = row.saturating_mul(chunk.get()).saturating_add(within);
                        stripe.bytes.read_at(stripe.first.saturating_add(place), part)?;
                    }
                    at = at.saturating_add(int_u64(len));
                    rest = after;
                }
            }
        }
        Ok(())
    }

    /// The next range at or after `from` of this piece that may hold data; it may pass the end of the piece.
    fn data(&self, from: u64) -> Option<Range<u64>> {
        let shifted = |stripe: &Stripe, from: u64| {
            let found = stripe.bytes.data(stripe.first.saturating_add(from))?;
            Some(found.start.saturating_sub(stripe.first)..found.end.saturating_sub(stripe.first))
        };
        match &self.source {
            Source::Zeros => None,
            Source::Linear(stripe) => shifted(stripe, from),
            Source::Striped { chunk, stripes, count } => {
                let row = from / *chunk / *count;
                // Each stripe from the place on that `from`, or the next chunk of this stripe behind it, has there.
                let next = stripes.iter().zip(0..).filter_map(|(stripe, number)| {
                    let within = match (from / *chunk % *count).cmp(&number) {
                        std::cmp::Ordering::Less => 0,
                        std::cmp::Ordering::Equal => from % *chunk,
                        std::cmp::Ordering::Greater => chunk.get(),
                    };
                    let found = shifted(stripe, row.saturating_mul(chunk.get()).saturating_add(within))?;
                    let (row, within) = (found.start / *chunk, found.start % *chunk);
                    let line = row.saturating_mul(count.get()).saturating_add(number);
                    let start = line.saturating_mul(chunk.get()).saturating_add(within);
                    let len = found.end.saturating_sub(found.start).min(chunk.get().saturating_sub(within));
                    Some(start..start.saturating_add(len))
                });
                next.min_by_key(|range| range.start)
            }
        }
    }
}

impl ReadAt for Mapped {
    fn size(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.end)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size())?;
        let (mut at, mut rest) = (offset, buf);
        for piece in self.from(offset) {
            if rest.is_empty() {
                break;
            }
            let len = int_usize(piece.end.saturating_sub(at)).min(rest.len());
            let (part, after) = rest.split_at_mut_checked(len).unwrap_or_default();
            piece.read(at.saturating_sub(piece.start), part)?;
            at = at.saturating_add(int_u64(len));
            rest = after;
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        self.from(from).iter().find_map(|piece| {
            let found = piece.data(from.max(piece.start).saturating_sub(piece.start))?;
            let start = found.start.saturating_add(piece.start);
            let end = found.end.saturating_add(piece.start).min(piece.end);
            (start < end).then_some(start..end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Overlay, Zeros};
    use std::sync::Arc;

    /// Bytes of which each tells its own place, zeros in the middle third.
    fn source(seed: u8) -> Bytes {
        let mut sparse = Overlay::new(Arc::new(Zeros(900)));
        for third in [0, 600] {
            sparse.patch(third, (0..300).map(|n| u8::try_from((third + n) % 251).unwrap().wrapping_mul(seed) | 1).collect()).unwrap();
        }
        Arc::new(sparse)
    }

    fn stripe(seed: u8, first: u64) -> Stripe {
        Stripe { member: usize::from(seed), bytes: source(seed), first }
    }

    fn sample() -> Mapped {
        let mut mapped = Mapped::new();
        mapped.stripes(450, vec![stripe(3, 10)], 0).unwrap();
        mapped.stripes(2100, vec![stripe(5, 100), stripe(7, 40), stripe(11, 200)], 70).unwrap();
        mapped.zeros(33);
        mapped.stripes(200, vec![stripe(13, 700)], 0).unwrap();
        mapped
    }

    #[test]
    fn places_hold_the_bytes_that_are_read() {
        let mut mapped = Mapped::new();
        mapped.stripes(450, vec![stripe(3, 10)], 0).unwrap();
        mapped.stripes(2100, vec![stripe(5, 100), stripe(7, 40), stripe(11, 200)], 70).unwrap();
        mapped.stripes(200, vec![stripe(13, 700)], 0).unwrap();
        let placed = mapped.placed(32).unwrap();
        assert_eq!(placed.len(), 1 + 30 + 1);
        let mut next = 0;
        for one in &placed {
            assert_eq!(one.from, next);
            let len = one.at.end - one.at.start;
            let there = crate::bytes::read_vec(&source(u8::try_from(one.member).unwrap()), one.at.start, int_usize(len)).unwrap();
            assert!(crate::bytes::read_vec(&mapped, one.from, int_usize(len)).unwrap() == there, "{one:?}");
            next += len;
        }
        assert_eq!(next, mapped.size());
        assert_eq!(mapped.placed(31), None, "one too many");
        assert_eq!(sample().placed(1000), None, "zeros lie nowhere");
        let mut uneven = Mapped::new();
        uneven.stripes(211, vec![stripe(5, 0), stripe(7, 0)], 70).unwrap();
        assert_eq!(uneven.placed(1000), None);
    }

    /// The same, byte by byte, by the definition of stripes.
    fn expected() -> Vec<u8> {
        let byte = |seed, at: u64| {
            let [byte] = crate::bytes::read_array(&source(seed), at).unwrap();
            byte
        };
        let striped = (0..2100).map(|at: u64| {
            let (chunk, within) = (at / 70, at % 70);
            let (seed, first) = [(5, 100), (7, 40), (11, 200)][int_usize(chunk % 3)];
            byte(seed, first + chunk / 3 * 70 + within)
        });
        let linear = (10..460).map(|at| byte(3, at));
        linear.chain(striped).chain([0; 33]).chain((700..900).map(|at| byte(13, at))).collect()
    }

    #[test]
    fn reads_of_every_length_cross_every_border() {
        let (mapped, expected) = (sample(), expected());
        assert_eq!(mapped.size(), int_u64(expected.len()));
        for len in [1, 69, 70, 71, 500, 2783] {
            for (at, want) in expected.windows(len).enumerate() {
                let mut buf = vec![0xee; len];
                mapped.read_at(int_u64(at), &mut buf).unwrap();
                assert_eq!(buf, want, "{len} bytes at {at}");
            }
        }
        assert!(mapped.read_at(2784, &mut []).is_err());
        assert!(mapped.read_at(2783, &mut [0]).is_err());
        assert!(mapped.read_at(u64::MAX, &mut [0]).is_err());
    }

    #[test]
    fn holes_are_seen_through_the_map() {
        let (mapped, expected) = (sample(), expected());
        for from in 0..=mapped.size() {
            // The next byte that is not zero must lie in the range, or in none before.
            let next = expected.iter().skip(int_usize(from)).position(|byte| *byte != 0).map(|at| from + int_u64(at));
            match mapped.data(from) {
                None => assert_eq!(next, None, "from {from}"),
                Some(range) => {
                    assert_eq!(Some(range.start), next, "from {from}");
                    assert!(range.start < range.end && range.end <= mapped.size());
                    assert!(range.clone().all(|at| expected[int_usize(at)] != 0), "{range:?} from {from}");
                }
            }
        }
        assert_eq!(Mapped::new().data(0), None);
    }
}
