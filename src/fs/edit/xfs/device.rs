//! The scratch bytes as the writer's block device, with a log of its own.
//!
//! The writer puts every change into the log before it puts it where it belongs, with the time of the clock in it. Nothing that it logs is
//! ever needed: the scratch bytes are taken as a whole, once all is where it belongs, or not at all. So it is shown a log that was never
//! used, what it writes there is dropped, and the log of the file system itself is ended by [`Layout::close`].

use super::super::super::Error;
use super::super::super::xfs::{Layout, cannot_write};
use crate::bytes::{ReadAt, Scratch, int_u64, int_usize};
use fs_core::{BlockDevice, BlockRead};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Scratch bytes under a log that forgets.
#[derive(Debug)]
pub(super) struct Device {
    scratch: Arc<Scratch>,
    log: Range<u64>,
    /// The first bytes of the log; zeros follow.
    fresh: Vec<u8>,
    /// What went wrong below, which the writer keeps only the words of.
    failed: Mutex<Option<Error>>,
}

impl Device {
    pub(super) fn new(scratch: Arc<Scratch>, layout: &Layout) -> Self {
        Self { scratch, log: layout.log(), fresh: layout.fresh_log(), failed: Mutex::default() }
    }

    /// The first error below, if there was one.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers an error, and says it in the writer's way.
    fn fail(&self, error: Error) -> fs_core::Error {
        let said = fs_core::Error::Custom(error.to_string());
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        said
    }

    /// The part of `len` bytes at `offset` that lies in the log, counted from `offset`.
    fn logged(&self, offset: u64, len: usize) -> Range<usize> {
        let end = offset.saturating_add(int_u64(len));
        let (start, stop) = (self.log.start.clamp(offset, end), self.log.end.clamp(offset, end));
        int_usize(start.saturating_sub(offset))..int_usize(stop.saturating_sub(offset))
    }
}

impl BlockRead for Device {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> fs_core::Result<()> {
        self.scratch.read_at(offset, buf).map_err(|error| self.fail(Error::Read(error)))?;
        let logged = self.logged(offset, buf.len());
        let from = int_usize(offset.saturating_add(int_u64(logged.start)).saturating_sub(self.log.start));
        let fresh = self.fresh.iter().copied().skip(from).chain(std::iter::repeat(0));
        for (to, from) in buf.get_mut(logged).unwrap_or_default().iter_mut().zip(fresh) {
            *to = from;
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.scratch.size()
    }
}

impl BlockDevice for Device {
    fn write_at(&self, offset: u64, buf: &[u8]) -> fs_core::Result<()> {
        let logged = self.logged(offset, buf.len());
        let before = buf.get(..logged.start).unwrap_or_default();
        let after = buf.get(logged.end..).unwrap_or_default();
        for (at, part) in [(0, before), (logged.end, after)] {
            if !part.is_empty() {
                let at = offset.saturating_add(int_u64(at));
                self.scratch.write_at(at, part).map_err(|error| self.fail(cannot_write(error)))?;
            }
        }
        Ok(())
    }

    fn is_writable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Memory, read_vec};

    #[test]
    fn what_is_logged_is_dropped_and_the_rest_is_kept() {
        let scratch = Scratch::new(Arc::new(Memory(vec![7; 8192])), 1 << 20);
        let device = Device { scratch: scratch.clone(), log: 1000..3000, fresh: vec![1, 2, 3], failed: Mutex::default() };
        let mut expected = vec![7; 8192];
        expected[1000..3000].fill(0);
        expected[1000..1003].copy_from_slice(&[1, 2, 3]);
        let read = |at: usize, len: usize| {
            let mut buf = vec![0xee; len];
            device.read_at(int_u64(at), &mut buf).unwrap();
            buf
        };
        for (at, len) in [(0, 8192), (0, 1001), (1001, 10), (2990, 20), (3000, 5), (500, 100)] {
            assert_eq!(read(at, len), expected[at..at + len], "{at}+{len}");
        }
        for (at, len) in [(900, 200), (1500, 10), (2900, 300), (0, 10), (990, 3000)] {
            device.write_at(int_u64(at), &vec![9; len]).unwrap();
            expected[at..at + len].fill(9);
            expected[1000..3000].fill(0);
            expected[1000..1003].copy_from_slice(&[1, 2, 3]);
            assert_eq!(read(0, 8192), expected);
        }
        assert_eq!(read_vec(&*scratch, 1000, 2000).unwrap(), vec![7; 2000], "the log itself stays");
        assert!(device.write_at(8190, &[0; 3]).is_err());
        assert!(matches!(device.failure(), Some(Error::Read(_))));
    }
}
