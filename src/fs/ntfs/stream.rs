//! Streams: the bytes of an attribute that lie in clusters.

use super::runs::Runs;
use crate::bytes::{Bytes, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::ops::Range;

/// Bytes in clusters; holes, and what was never written, read as zeros.
#[derive(Debug)]
pub(super) struct Stream {
    /// The volume.
    pub volume: Bytes,
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Its clusters, all of them.
    pub runs: Runs,
    /// Its bytes.
    pub size: u64,
    /// Bytes that were written: at most `size`.
    pub initialized: u64,
}

impl Stream {
    /// The bytes of the stream from `from` on that lie side by side: as many as there are before `until`, and where they begin.
    fn piece(&self, from: u64, until: u64) -> Option<(Option<u64>, u64)> {
        let until = until.min(self.initialized);
        let run = self.runs.from(from.checked_div(self.cluster)?).first()?;
        let end = run.end().saturating_mul(self.cluster).min(until);
        let within = from.saturating_sub(run.vcn.saturating_mul(self.cluster));
        let place = run.lcn.map(|lcn| lcn.saturating_mul(self.cluster).saturating_add(within));
        end.checked_sub(from).filter(|len| *len > 0).map(|len| (place, len))
    }
}

impl ReadAt for Stream {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        let until = offset.saturating_add(int_u64(buf.len()));
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (place, len) = self.piece(at, until).unwrap_or((None, until.saturating_sub(at)));
            let (now, later) = rest.split_at_mut_checked(int_usize(len)).unwrap_or_default();
            match place {
                Some(place) => self.volume.read_at(place, now)?,
                None => now.fill(0),
            }
            at = at.saturating_add(len);
            rest = later;
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let mut at = from;
        // Each turn goes on by one run at least, or past a hole that the volume knows.
        while at < self.initialized {
            let (place, len) = self.piece(at, self.initialized)?;
            if let Some(place) = place {
                let found = self.volume.data(place).map(|found| found.start.max(place)..found.end);
                if let Some(found) = found.filter(|found| found.start < place.saturating_add(len)) {
                    let start = at.saturating_add(found.start.saturating_sub(place));
                    let end = at.saturating_add(found.end.saturating_sub(place).min(len));
                    return Some(start..end);
                }
            }
            at = at.saturating_add(len);
        }
        None
    }
}
