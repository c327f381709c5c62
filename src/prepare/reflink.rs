//! Extents that an output shares with its source, on file systems that can (XFS with reflink, Btrfs and others): what would be written
//! is then a reference to what stands there already. It takes no room and next to no time, and whoever writes to one of the two files
//! later leaves the other as it is.
//!
//! Sharing changes how the output is stored, never what it holds. The kernel is asked by `copy_file_range`, which shares where it can
//! and copies where it cannot; what it refuses is written from the bytes that were read, like everything else.

use super::fsverity::BLOCK;
use crate::bytes::{Origin, ReadAt, int_u64, int_usize};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sharing between the sources of one output and the output.
#[derive(Debug)]
pub(super) struct Sharing {
    /// Ranges start and end at multiples of this in both files: a block of the file system.
    grain: u64,
    /// The kernel would not: another file system, or one of the two is of a kind that shares nothing.
    refused: AtomicBool,
}

/// The next bytes to be written, and how.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// They stand in a file, aligned.
    Shared(Origin<'a>),
    /// So many must be written.
    Plain(usize),
}

impl Sharing {
    /// Whether the file system of `out`, an empty file, shares extents at all.
    ///
    /// Asked by letting the file be made a clone of itself, which changes nothing: file systems look at whether they share extents before
    /// they look at which.
    pub(super) fn of(out: &File) -> Option<Self> {
        host::shares(out).map(|grain| Self { grain: grain.max(int_u64(BLOCK)), refused: AtomicBool::new(false) })
    }

    /// What to do with the first of `length` bytes of `source` at `offset`; a piece is never empty.
    pub(super) fn piece<'a>(&self, source: &'a dyn ReadAt, offset: u64, length: usize) -> Piece<'a> {
        if self.refused.load(Ordering::Relaxed) {
            return Piece::Plain(length);
        }
        let end = offset.saturating_add(int_u64(length));
        let mut at = offset;
        while at < end {
            let next = match source.origin(at..end).map(|origin| (self.aligned(&origin, at), origin)) {
                Some((true, origin)) => {
                    let whole = origin.length.saturating_sub(self.past(origin.length));
                    if whole > 0 && at == offset {
                        return Piece::Shared(Origin { length: whole, ..origin });
                    }
                    if whole > 0 {
                        break;
                    }
                    // Less than a block of the file system: to its end.
                    self.grain
                }
                // Some way off the grid, all of it.
                Some((false, origin)) if self.past(origin.offset) != self.past(at) => origin.length,
                // Up to the grid, or past what no file holds.
                _ => self.grain.saturating_sub(self.past(at)),
            };
            at = at.saturating_add(next.max(1)).min(end);
        }
        Piece::Plain(int_usize(at.saturating_sub(offset)))
    }

    fn aligned(&self, origin: &Origin<'_>, offset: u64) -> bool {
        self.past(offset) == 0 && self.past(origin.offset) == 0
    }

    /// Bytes from the last multiple of the grain to `offset`.
    fn past(&self, offset: u64) -> u64 {
        offset.checked_rem(self.grain).unwrap_or_default()
    }

    /// Makes `out` show at `offset` what stands at `origin`, and says how many bytes came over. Fewer than all means that the kernel
    /// would not do it, and that nothing more should be asked of it.
    pub(super) fn share(&self, origin: &Origin<'_>, out: &File, offset: u64) -> u64 {
        let done = host::share(origin, out, offset);
        if done < origin.length {
            self.refused.store(true, Ordering::Relaxed);
        }
        done
    }
}

#[cfg(target_os = "linux")]
mod host {
    use super::{File, Origin, int_u64, int_usize};
    use rustix::io::Errno;

    /// The size of a block, where extents can be shared.
    pub(super) fn shares(out: &File) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        match rustix::fs::ioctl_ficlone(out, out) {
            // Nothing to clone, or not onto itself: both are said by file systems that clone.
            Ok(()) | Err(Errno::INVAL) => Some(out.metadata().ok()?.blksize()).filter(|size| size.is_power_of_two()),
            Err(_) => None,
        }
    }

    pub(super) fn share(origin: &Origin<'_>, out: &File, offset: u64) -> u64 {
        let mut done = 0;
        while done < origin.length {
            let (mut from, mut to) = (origin.offset.saturating_add(done), offset.saturating_add(done));
            let left = int_usize(origin.length.saturating_sub(done));
            match rustix::fs::copy_file_range(origin.file, Some(&mut from), out, Some(&mut to), left) {
                Ok(0) => break,
                Ok(count) => done = done.saturating_add(int_u64(count)),
                Err(Errno::INTR) => {}
                // Whatever the reason: the bytes can be written, and if they cannot, writing them says why.
                Err(_) => break,
            }
        }
        done
    }
}

/// Other platforms copy.
#[cfg(not(target_os = "linux"))]
mod host {
    use super::{File, Origin};

    pub(super) fn shares(_out: &File) -> Option<u64> {
        None
    }

    pub(super) fn share(_origin: &Origin<'_>, _out: &File, _offset: u64) -> u64 {
        0
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::bytes::host::Access;
    use crate::bytes::{Bytes, HostFile, Overlay, Slice, read_vec};
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;

    fn host(bytes: &[u8]) -> (tempfile::NamedTempFile, Bytes) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let bytes = Arc::new(HostFile::open(file.path(), Access::Positional).unwrap());
        (file, bytes)
    }

    /// All pieces from `from` to the end: what is shared, as offset and length; everything must be covered.
    fn shared(sharing: &Sharing, source: &Bytes, from: u64) -> Vec<(u64, u64)> {
        let (mut at, mut out) = (from, vec![]);
        while at < source.size() {
            match sharing.piece(&**source, at, (source.size() - at) as usize) {
                Piece::Shared(origin) => {
                    assert_eq!((at % sharing.grain, origin.offset % sharing.grain, origin.length % sharing.grain), (0, 0, 0));
                    let mut stands = vec![0; origin.length as usize];
                    origin.file.read_exact_at(&mut stands, origin.offset).unwrap();
                    assert!(stands == read_vec(&**source, at, stands.len()).unwrap(), "{at}");
                    out.push((at, origin.length));
                    at += origin.length;
                }
                Piece::Plain(length) => {
                    assert!(length > 0);
                    at += length as u64;
                }
            }
        }
        assert_eq!(at, source.size());
        out
    }

    #[test]
    fn whole_blocks_that_nothing_changes_are_shared() {
        let (_file, source) = host(&(0..100_000_u32).map(|n| (n % 253) as u8).collect::<Vec<_>>());
        let sharing = |grain| Sharing { grain, refused: AtomicBool::new(false) };
        assert_eq!(shared(&sharing(4096), &source, 0), [(0, 24 * 4096)]);
        assert_eq!(shared(&sharing(16_384), &source, 0), [(0, 6 * 16_384)]);
        assert_eq!(shared(&sharing(16_384), &source, 4096), [(16_384, 5 * 16_384)]);
        let mut plan = Overlay::resized(source.clone(), 100_512);
        plan.patch(0, vec![1; 512]).unwrap();
        plan.patch(20_000, vec![1]).unwrap();
        plan.patch(100_000, vec![1; 512]).unwrap();
        let plan: Bytes = Arc::new(plan);
        assert_eq!(shared(&sharing(4096), &plan, 0), [(4096, 3 * 4096), (5 * 4096, 19 * 4096)]);
        // Off the grid there is nothing to share, and that is seen at once.
        let off: Bytes = Arc::new(Slice::new(source.clone(), 512, 90_000).unwrap());
        assert_eq!(shared(&sharing(4096), &off, 0), []);
        assert!(matches!(sharing(4096).piece(&*off, 0, 90_000), Piece::Plain(90_000)));
        let on: Bytes = Arc::new(Slice::new(source, 8192, 90_000).unwrap());
        assert_eq!(shared(&sharing(4096), &on, 0), [(0, 21 * 4096)]);
    }

    #[test]
    fn after_a_refusal_nothing_is_asked() {
        let (_file, source) = host(&[1; 65_536]);
        let sharing = Sharing { grain: 4096, refused: AtomicBool::new(false) };
        let Piece::Shared(origin) = sharing.piece(&*source, 0, 65_536) else { panic!("shared") };
        // A file that cannot be written to takes nothing.
        let read_only = File::open(_file.path()).unwrap();
        assert_eq!(sharing.share(&origin, &read_only, 0), 0);
        assert!(matches!(sharing.piece(&*source, 0, 65_536), Piece::Plain(65_536)));
    }
}
