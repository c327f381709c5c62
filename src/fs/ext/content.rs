//! A file's content as bytes at offsets.

use super::disk::Disk;
use super::inode::Inode;
use super::map;
use crate::bytes::{Corrupt, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use crate::fs::Error;
use std::ops::Range;
use std::sync::Arc;

/// Holes that are looked behind before the rest is taken for data.
const MAX_HOLES: usize = 65_536;

/// A file's content, found block by block as it is read.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) disk: Arc<Disk>,
    pub(super) inode: Inode,
}

impl Content {
    /// The stretch of the content that begins at `offset`: its length, and where it lies unless it is a hole.
    fn stretch(&self, offset: u64) -> Result<(u64, Option<u64>), Error> {
        let size = self.disk.superblock.block_size;
        let block = offset.checked_div(size).unwrap_or_default();
        let within = offset.checked_rem(size).unwrap_or_default();
        let run = map::run(&self.disk, &self.inode, block)?;
        let len = run.count.saturating_mul(size).saturating_sub(within);
        Ok((len, run.first.map(|first| first.saturating_mul(size).saturating_add(within))))
    }
}

impl ReadAt for Content {
    fn size(&self) -> u64 {
        self.inode.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size())?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (len, place) = self.stretch(at).map_err(|error| unreadable(at, error))?;
            let Some((now, later)) = rest.split_at_mut_checked(int_usize(len).min(rest.len())) else { break };
            match place {
                Some(place) => self.disk.bytes.read_at(place, now)?,
                None => now.fill(0),
            }
            at = at.saturating_add(int_u64(now.len()));
            rest = later;
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let end = self.size();
        let mut at = from;
        for _ in 0..MAX_HOLES {
            if at >= end {
                return None;
            }
            match self.stretch(at) {
                Ok((len, None)) => at = at.saturating_add(len),
                Ok((len, Some(_))) => return Some(at..at.saturating_add(len).min(end)),
                // What cannot be found may be anything; reading it will say so.
                Err(_) => break,
            }
        }
        (at < end).then_some(at..end)
    }
}

/// The error of the file system as one of reading the file.
fn unreadable(at: u64, error: Error) -> ReadError {
    match error {
        Error::Damaged(what) => Corrupt::new("content", at, "blocks that can be found", what).into(),
        Error::Unsupported(what) | Error::Full(what) | Error::Protected(what) => ReadError::Unsupported(what),
        Error::Read(error) => error,
    }
}
