//! The content of a file, read as it is asked for.

use super::super::{Error, Extent as Place};
use super::Volume;
use super::extents::{Extent, extents};
use super::inode::{Format, Inode};
use crate::bytes::{Bytes, Corrupt, Memory, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::ops::Range;
use std::sync::Arc;

/// Opens the content of a regular file.
///
/// # Errors
///
/// When its extents are damaged, or lie on another device.
pub(super) fn open(volume: &Volume, inode: &Inode) -> Result<Bytes, Error> {
    if inode.realtime {
        return Err(Error::Unsupported(format!("inode {}: its content lies on the realtime device", inode.number)));
    }
    if inode.data.format == Format::Local {
        return Ok(Arc::new(Memory(inode.local().to_vec())));
    }
    let runs = runs(volume, inode)?;
    Ok(Arc::new(Content { bytes: volume.bytes.clone(), inode: inode.number, size: inode.node.size, runs }))
}

/// Where the content of a regular file lies, in whole blocks; `None` where it lies in its inode.
///
/// # Errors
///
/// As [`open`].
pub(super) fn places(volume: &Volume, inode: &Inode) -> Result<Option<Vec<Place>>, Error> {
    if inode.realtime {
        return Err(Error::Unsupported(format!("inode {}: its content lies on the realtime device", inode.number)));
    }
    if inode.data.format == Format::Local {
        return Ok(None);
    }
    let end = inode.node.size.next_multiple_of(volume.geometry.block);
    let place = |Run { from, len, at }: Run| Place { from, at: at..at.saturating_add(len.min(end.saturating_sub(from))) };
    Ok(Some(runs(volume, inode)?.into_iter().map(place).collect()))
}

/// The pieces of a file that begin before its end, without what was never written.
fn runs(volume: &Volume, inode: &Inode) -> Result<Vec<Run>, Error> {
    let block = volume.geometry.block;
    let mut runs: Vec<Run> = Vec::new();
    for Extent { file, start, count, unwritten } in extents(volume, inode, &inode.data)? {
        let at = volume.geometry.place(start, count).ok_or_else(|| inode.damaged("extent lies outside"))?;
        let (from, len) = (file.checked_mul(block), count.saturating_mul(block));
        let Some(from) = from.filter(|from| *from < inode.node.size && !unwritten) else { continue };
        match runs.last_mut() {
            // Long extents are several records.
            Some(last) if last.end() == from && last.at.saturating_add(last.len) == at => last.len = last.len.saturating_add(len),
            _ => runs.push(Run { from, len, at }),
        }
    }
    Ok(runs)
}

/// Bytes of the file that lie in one piece on the disk.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: u64,
    len: u64,
    at: u64,
}

impl Run {
    fn end(&self) -> u64 {
        self.from.saturating_add(self.len)
    }
}

/// The content of a file; what no run covers is a hole.
#[derive(Debug)]
struct Content {
    bytes: Bytes,
    inode: u64,
    size: u64,
    runs: Vec<Run>,
}

impl Content {
    /// The runs that end after `from`.
    fn runs_after(&self, from: u64) -> impl Iterator<Item = &Run> {
        self.runs.iter().skip(self.runs.partition_point(|run| run.end() <= from))
    }
}

impl ReadAt for Content {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        let end = offset.saturating_add(int_u64(buf.len()));
        buf.fill(0);
        for run in self.runs_after(offset).take_while(|run| run.from < end) {
            let (start, stop) = (run.from.max(offset), run.end().min(end));
            let into = buf.get_mut(int_usize(start.saturating_sub(offset))..int_usize(stop.saturating_sub(offset)));
            let gone = || Corrupt::new("XFS extents", run.at, "runs in order", format!("others in inode {}", self.inode));
            self.bytes.read_at(run.at.saturating_add(start.saturating_sub(run.from)), into.ok_or_else(gone)?)?;
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let mut from = from;
        for run in self.runs_after(from).take_while(|run| run.from < self.size) {
            let (start, end) = (run.from.max(from), run.end().min(self.size));
            let at = run.at.saturating_add(start.saturating_sub(run.from));
            // A run may lie where the disk itself has a hole.
            if start < end
                && let Some(found) = self.bytes.data(at)
            {
                let first = start.saturating_add(found.start.saturating_sub(at));
                let last = start.saturating_add(found.end.saturating_sub(at)).min(end);
                if first < last {
                    return Some(first..last);
                }
            }
            from = end;
        }
        None
    }
}
