//! Files that NTFS itself compresses.
//!
//! The clusters of a stream are taken 16 at a time, as a unit. A unit without clusters is a hole, one with all of them is stored as it is,
//! and one with fewer holds LZNT1 in those it has. "Compression" under "$DATA" in the Linux-NTFS project's documentation.

use super::chunks::{Recent, each_chunk, take};
use super::lznt1;
use super::stream::Stream;
use crate::bytes::{Corrupt, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::ops::Range;

/// A compressed stream.
#[derive(Debug)]
pub(super) struct Compressed {
    stream: Stream,
    /// Clusters of a unit.
    clusters: u64,
    /// Bytes of a unit.
    unit: u64,
    recent: Recent,
}

/// How a unit is stored.
enum Unit {
    Hole,
    AsItIs,
    /// In these pieces of the volume: where they begin, and their bytes.
    Packed(Vec<(u64, u64)>),
}

impl Compressed {
    /// `exponent` gives the clusters of a unit; `None` where the unit is longer than any that Windows writes.
    pub(super) fn new(stream: Stream, exponent: u8) -> Option<Self> {
        let clusters = 1_u64.checked_shl(u32::from(exponent))?;
        let unit = clusters.checked_mul(stream.cluster).filter(|unit| *unit <= 1 << 20)?;
        Some(Self { stream, clusters, unit, recent: Recent::default() })
    }

    fn unit(&self, number: u64) -> Unit {
        let first = number.saturating_mul(self.clusters);
        let end = first.saturating_add(self.clusters);
        let mut pieces = Vec::new();
        let mut count = 0_u64;
        for run in self.stream.runs.from(first).iter().take_while(|run| run.vcn < end) {
            let (from, until) = (run.vcn.max(first), run.end().min(end));
            let len = until.saturating_sub(from);
            if let Some(lcn) = run.lcn {
                let at = lcn.saturating_add(from.saturating_sub(run.vcn)).saturating_mul(self.stream.cluster);
                pieces.push((at, len.saturating_mul(self.stream.cluster)));
                count = count.saturating_add(len);
            }
        }
        match count {
            0 => Unit::Hole,
            count if count == self.clusters => Unit::AsItIs,
            _ => Unit::Packed(pieces),
        }
    }

    fn unpack(&self, number: u64, pieces: &[(u64, u64)]) -> Result<Vec<u8>, ReadError> {
        let mut packed = Vec::new();
        for (at, len) in pieces {
            let start = packed.len();
            packed.resize(start.saturating_add(int_usize(*len)), 0);
            self.stream.volume.read_at(*at, packed.get_mut(start..).unwrap_or_default())?;
        }
        let mut out = vec![0; int_usize(self.unit)];
        match lznt1::decode(&packed, &mut out) {
            Some(()) => Ok(out),
            None => {
                let place = pieces.first().map_or(0, |(at, _)| *at);
                let found = format!("what cannot be decoded, at byte {} of the file", number.saturating_mul(self.unit));
                Err(Corrupt::new("NTFS compression unit", place, "LZNT1", found).into())
            }
        }
    }
}

impl ReadAt for Compressed {
    fn size(&self) -> u64 {
        self.stream.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.stream.size)?;
        each_chunk(offset, buf, self.unit, |number, within, buf| match self.unit(number) {
            Unit::Hole => {
                buf.fill(0);
                Ok(())
            }
            Unit::AsItIs => self.stream.read_at(number.saturating_mul(self.unit).saturating_add(int_u64(within)), buf),
            Unit::Packed(pieces) => {
                let unit = self.recent.get(number, || self.unpack(number, &pieces))?;
                let written = self.stream.initialized.saturating_sub(number.saturating_mul(self.unit));
                take(unit.get(..int_usize(written)).unwrap_or(&unit), within, buf);
                Ok(())
            }
        })
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let initialized = self.stream.initialized;
        let vcn = from.checked_div(self.unit)?.checked_mul(self.clusters)?;
        let run = self.stream.runs.from(vcn).iter().find(|run| run.lcn.is_some())?;
        let whole = |vcn: u64| vcn.checked_div(self.clusters).unwrap_or_default().saturating_mul(self.unit);
        // From the unit that the clusters are part of to the end of that in which they end.
        let start = whole(run.vcn.max(vcn)).max(from);
        let end = whole(run.end().saturating_add(self.clusters.saturating_sub(1))).min(initialized);
        (start < end).then_some(start..end)
    }
}
