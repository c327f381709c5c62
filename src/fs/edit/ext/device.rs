//! What the writer is given: a device over the scratch bytes, and a clock that stands still.

use super::front::View;
use crate::bytes::{ReadAt, Scratch, ScratchError, int_u64};
use crate::fs::Error;
use fs_ext4::block_io::BlockDevice;
use fs_ext4::error::{Error as Theirs, Result};
use fs_ext4::runtime::Runtime;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The scratch bytes as the writer's device.
pub(super) struct Device {
    scratch: Arc<Scratch>,
    /// Why a read or a write failed: the writer's errors do not carry it.
    failed: Mutex<Option<Error>>,
    /// Blocks that it shows in other places.
    view: Mutex<View>,
    /// Bytes that the writer has read and written.
    #[cfg(test)]
    pub(super) moved: std::sync::atomic::AtomicU64,
}

impl Device {
    pub(super) fn new(scratch: Arc<Scratch>) -> Self {
        Self {
            scratch,
            failed: Mutex::new(None),
            view: Mutex::default(),
            #[cfg(test)]
            moved: 0.into(),
        }
    }

    /// Takes the first failure of the bytes below.
    pub(super) fn failed(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is shown where; to be changed only while no writer is open, which remembers what it has read.
    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `each` the parts of `len` bytes at an offset that follow each other in the scratch bytes: where a part is, and which of the bytes
    /// it is.
    fn each_part(&self, offset: u64, len: usize, mut each: impl FnMut(u64, Range<usize>) -> Result<()>) -> Result<()> {
        #[cfg(test)]
        self.moved.fetch_add(int_u64(len), Ordering::Relaxed);
        let mut done = 0_usize;
        while done < len {
            let (at, count) = self.view().find(offset.saturating_add(int_u64(done)), len.saturating_sub(done));
            let end = done.saturating_add(count);
            each(at, done..end)?;
            done = end;
        }
        Ok(())
    }

    fn keep(&self, error: Error) -> Theirs {
        let told = Theirs::Io(std::io::Error::other(error.to_string()));
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        told
    }
}

impl BlockDevice for Device {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.each_part(offset, buf.len(), |at, range| {
            let part = buf.get_mut(range).unwrap_or_default();
            ReadAt::read_at(&*self.scratch, at, part).map_err(|error| self.keep(Error::Read(error)))
        })
    }

    fn size_bytes(&self) -> u64 {
        self.scratch.size()
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.each_part(offset, buf.len(), |at, range| {
            self.scratch.write_at(at, buf.get(range).unwrap_or_default()).map_err(|error| {
                self.keep(match error {
                    ScratchError::Read(error) => Error::Read(error),
                    error @ ScratchError::TooMuch(_) => Error::Full(error.to_string()),
                })
            })
        })
    }

    fn is_writable(&self) -> bool {
        true
    }
}

/// The time when the file system was last written to, and generations that count on from it.
pub(super) struct Clock {
    time: i64,
    generation: AtomicU32,
}

impl Clock {
    pub(super) fn new(time: i64, generation: u32) -> Self {
        Self { time, generation: AtomicU32::new(generation) }
    }
}

impl Runtime for Clock {
    fn now_unix_seconds(&self) -> i64 {
        self.time
    }

    fn next_inode_generation(&self) -> u32 {
        self.generation.fetch_add(1, Ordering::Relaxed)
    }
}
