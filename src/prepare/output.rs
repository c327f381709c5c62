//! The file that a copy is written into.
//!
//! What the source's file holds already is shared with it where the file system can (see [`reflink`](super::reflink)); the rest is
//! written, and the kernel is told to begin with it on the device now and then. Otherwise it would keep gigabytes and begin when they are
//! to be flushed, and the device would stand idle first and the copy afterwards.

use super::copy::CopyError;
use super::reflink::{Piece, Sharing};
use crate::bytes::{ReadAt, int_u64, int_usize};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Bytes that are written before the device is to begin with them: enough for long writes and for blocks in one piece, and done soon.
const WINDOW: u64 = 32 << 20;

/// The most bytes that are written at a time. File systems with large folios (ext4 since Linux 6.16) take one for as much as comes in one
/// call, and for a MiB in one piece the kernel moves other pages away, which can take longer than everything else.
const PIECE: usize = 256 << 10;

/// The file that is written.
#[derive(Debug)]
pub(super) struct Output<'a> {
    file: &'a File,
    /// Where its file system shares extents, and that is wanted.
    sharing: Option<Sharing>,
    behind: Mutex<Behind>,
}

impl<'a> Output<'a> {
    /// An empty file that is to have `size` bytes.
    pub(super) fn new(file: &'a File, size: u64, reflink: bool) -> io::Result<Self> {
        let sharing = if reflink { Sharing::of(file) } else { None };
        file.set_len(size)?;
        Ok(Self { file, sharing, behind: Mutex::default() })
    }

    /// Makes the file hold at `offset` what `source` holds there, which is `bytes`; says how many of them it shares with the source.
    pub(super) fn put(&self, source: &dyn ReadAt, mut offset: u64, mut bytes: &[u8]) -> Result<u64, CopyError> {
        let mut shared = 0_u64;
        while !bytes.is_empty() {
            let piece = self.sharing.as_ref().map_or(Piece::Plain(bytes.len()), |sharing| sharing.piece(source, offset, bytes.len()));
            let (length, done) = match (&piece, &self.sharing) {
                (Piece::Shared(origin), Some(sharing)) => (int_usize(origin.length), sharing.share(origin, self.file, offset)),
                (Piece::Shared(origin), None) => (int_usize(origin.length), 0),
                (Piece::Plain(length), _) => (*length, 0),
            };
            shared = shared.saturating_add(done);
            let (now, later) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
            self.write(offset.saturating_add(done), now.get(int_usize(done)..).unwrap_or_default())?;
            offset = offset.saturating_add(int_u64(now.len()));
            bytes = later;
        }
        Ok(shared)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), CopyError> {
        write_all_at(self.file, offset, bytes)?;
        let due = self.behind.lock().unwrap_or_else(PoisonError::into_inner).wrote(offset, int_u64(bytes.len()));
        if let Some(range) = due {
            begin(self.file, range);
        }
        Ok(())
    }
}

/// What was written and not yet begun with.
#[derive(Debug, Default)]
struct Behind {
    /// The first byte of it, or an earlier one.
    from: u64,
    /// How many bytes.
    count: u64,
}

impl Behind {
    /// Counts what was written; says what the device is to begin with, when that is enough. Threads write out of order: what lies before
    /// such a range is left to the flush at the end.
    fn wrote(&mut self, offset: u64, length: u64) -> Option<Range<u64>> {
        self.count = self.count.saturating_add(length);
        let end = offset.saturating_add(length);
        if self.count < WINDOW || end <= self.from {
            return None;
        }
        self.count = 0;
        Some(std::mem::replace(&mut self.from, end)..end)
    }
}

/// Lets the kernel begin to write a range to the device, without waiting for it.
///
/// Saying that it will not be needed does that; what is not on the device yet stays in memory all the same. A kernel that does nothing
/// about it, or a file system that has no device, loses nothing.
#[cfg(target_os = "linux")]
fn begin(file: &File, range: Range<u64>) {
    use rustix::fs::{Advice, fadvise};
    let length = std::num::NonZero::new(range.end.saturating_sub(range.start));
    fadvise(file, range.start, length, Advice::DontNeed).ok();
}

/// Other platforms begin when they like.
#[cfg(not(target_os = "linux"))]
fn begin(_file: &File, _range: Range<u64>) {}

/// Writes all of `bytes` at `offset`, or says at which byte it could not go on.
fn write_all_at(out: &File, mut offset: u64, mut bytes: &[u8]) -> Result<(), CopyError> {
    while !bytes.is_empty() {
        match write_at(out, offset, bytes.get(..PIECE).unwrap_or(bytes)) {
            Ok(0) => return Err(CopyError::Write { offset, cause: io::ErrorKind::WriteZero.into() }),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset = offset.saturating_add(int_u64(written));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(CopyError::Write { offset, cause }),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn write_at(out: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(out, bytes, offset)
}

#[cfg(windows)]
fn write_at(out: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(out, bytes, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_begins_once_for_each_window() {
        let mib = 1_u64 << 20;
        let mut behind = Behind::default();
        // A window of data, with a hole before it, and another by chunks out of order.
        let due: Vec<_> = (100..132).filter_map(|n| behind.wrote(n * mib, mib)).collect();
        assert_eq!((due.len(), due.first()), (1, Some(&(0..132 * mib))));
        let due: Vec<_> = (0..16).flat_map(|n| [133 + 2 * n, 132 + 2 * n]).filter_map(|n| behind.wrote(n * mib, mib)).collect();
        assert_eq!((due.len(), due.first()), (1, Some(&(132 * mib..163 * mib))), "the last chunk came before the one ahead of it");
        // What lies before what was begun with starts nothing, however much it is.
        assert_eq!((0..100).find_map(|n| behind.wrote(n * mib, mib)), None);
        assert_eq!(behind.wrote(200 * mib, mib), Some(163 * mib..201 * mib));
    }
}
