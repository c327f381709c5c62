//! The bytes of a logical volume: pieces of others, one behind the other or in stripes.

use crate::bytes::{Bytes, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::num::NonZero;
use std::ops::Range;

/// Pieces in the order of their bytes, without a gap.
#[derive(Debug)]
pub(super) struct Mapped {
    pieces: Vec<Piece>,
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
    /// `bytes` from an offset on.
    Linear(Bytes, u64),
    /// Chunks taken from each in turn.
    Striped {
        chunk: NonZero<u64>,
        stripes: Vec<(Bytes, u64)>,
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
    pub(super) fn stripes(&mut self, size: u64, mut stripes: Vec<(Bytes, u64)>, chunk: u64) -> Option<()> {
        let count = NonZero::new(int_u64(stripes.len()))?;
        let source = if count.get() == 1 {
            let (bytes, offset) = stripes.pop()?;
            Source::Linear(bytes, offset)
        } else {
            Source::Striped { chunk: NonZero::new(chunk)?, stripes, count }
        };
        self.push(size, source);
        Some(())
    }

    fn push(&mut self, size: u64, source: Source) {
        let start = self.size();
        self.pieces.push(Piece { start, end: start.saturating_add(size), source });
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
            Source::Linear(bytes, first) => bytes.read_at(first.saturating_add(offset), buf)?,
            Source::Striped { chunk, stripes, count } => {
                let (mut at, mut rest) = (offset, buf);
                while !rest.is_empty() {
                    let (within, row, stripe) = (at % *chunk, at / *chunk / *count, at / *chunk % *count);
                    let len = int_usize(chunk.get().saturating_sub(within)).min(rest.len());
                    let (part, after) = rest.split_at_mut_checked(len).unwrap_or_default();
                    if let Some((bytes, first)) = stripes.get(int_usize(stripe)) {
                        let place = row.saturating_mul(chunk.get()).saturating_add(within);
                        bytes.read_at(first.saturating_add(place), part)?;
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
        let shifted = |bytes: &Bytes, first: u64, from: u64| {
            let found = bytes.data(first.saturating_add(from))?;
            Some(found.start.saturating_sub(first)..found.end.saturating_sub(first))
        };
        match &self.source {
            Source::Zeros => None,
            Source::Linear(bytes, first) => shifted(bytes, *first, from),
            Source::Striped { chunk, stripes, count } => {
                let row = from / *chunk / *count;
                // Each stripe from the place on that `from`, or the next chunk of this stripe behind it, has there.
                let next = stripes.iter().zip(0..).filter_map(|((bytes, first), number)| {
                    let within = match (from / *chunk % *count).cmp(&number) {
                        std::cmp::Ordering::Less => 0,
                        std::cmp::Ordering::Equal => from % *chunk,
                        std::cmp::Ordering::Greater => chunk.get(),
                    };
                    let found = shifted(bytes, *first, row.saturating_mul(chunk.get()).saturating_add(within))?;
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

    fn sample() -> Mapped {
        let mut mapped = Mapped::new();
        mapped.stripes(450, vec![(source(3), 10)], 0).unwrap();
        mapped.stripes(2100, vec![(source(5), 100), (source(7), 40), (source(11), 200)], 70).unwrap();
        mapped.zeros(33);
        mapped.stripes(200, vec![(source(13), 700)], 0).unwrap();
        mapped
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
