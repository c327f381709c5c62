//! What the writer is given: a device over the scratch bytes, and a clock that stands still.

use crate::bytes::{ReadAt, Scratch, ScratchError};
use crate::fs::Error;
use fs_ext4::block_io::BlockDevice;
use fs_ext4::error::{Error as Theirs, Result};
use fs_ext4::runtime::Runtime;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The scratch bytes as the writer's device.
pub(super) struct Device {
    scratch: Arc<Scratch>,
    /// Why a read or a write failed: the writer's errors do not carry it.
    failed: Mutex<Option<Error>>,
}

impl Device {
    pub(super) fn new(scratch: Arc<Scratch>) -> Self {
        Self { scratch, failed: Mutex::new(None) }
    }

    /// Takes the first failure of the bytes below.
    pub(super) fn failed(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, error: Error) -> Theirs {
        let told = Theirs::Io(std::io::Error::other(error.to_string()));
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        told
    }
}

impl BlockDevice for Device {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        ReadAt::read_at(&*self.scratch, offset, buf).map_err(|error| self.keep(Error::Read(error)))
    }

    fn size_bytes(&self) -> u64 {
        self.scratch.size()
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.scratch.write_at(offset, buf).map_err(|error| {
            self.keep(match error {
                ScratchError::Read(error) => Error::Read(error),
                error @ ScratchError::TooMuch(_) => Error::Full(error.to_string()),
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
