//! Bytes at offsets: the ground floor.
//!
//! Everything that vhdkit reads is a [`ReadAt`]: a host file, the disk inside a VHD, a partition of that disk. Each wraps
//! the one below it, and a hole that a lower layer knows stays visible through [`ReadAt::data`].

mod cached;
mod error;
pub(crate) mod field;
mod guard;
pub mod host;
mod memory;
mod overlay;
mod punched;
mod scratch;
mod secrets;
mod slice;
mod text;
mod units;

pub use cached::Cached;
pub use error::{Corrupt, ReadError};
pub use guard::{Guard, Watch};
pub use host::HostFile;
pub use memory::{Memory, Zeros};
pub use overlay::{Overlay, OverlayError};
pub use punched::Punched;
pub use scratch::{Scratch, ScratchError};
pub use secrets::{program_of, up_to_secret, without_secrets};
pub use slice::Slice;
pub use text::{printable, printable_json, printable_lines};
pub use units::{ByteSize, GIB, Guid, KIB, MIB, ParseSizeError, SECTOR, TIB, int_u64, int_usize};

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// Random-access bytes of a known size.
///
/// Positions are absolute and reads are exact: a read that cannot be filled is an error, never short. There is no cursor, so
/// one value can serve many threads and stack under many layers.
pub trait ReadAt: Send + Sync + std::fmt::Debug {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// Fills `buf` with the bytes that start at `offset`.
    ///
    /// # Errors
    ///
    /// [`ReadError::OutOfBounds`] when the range passes the end, [`ReadError::Host`] when the host fails, and
    /// [`ReadError::Corrupt`] or [`ReadError::Unsupported`] when a layer below cannot tell which bytes these are.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError>;

    /// The next range at or after `from` that may hold bytes other than zero; `None` when only zeros follow.
    ///
    /// Outside the ranges that this returns, reads give zeros. The range starts at `from` or later, is never empty and never
    /// passes the end. The default knows no holes.
    fn data(&self, from: u64) -> Option<Range<u64>> {
        (from < self.size()).then(|| from..self.size())
    }

    /// Where the first bytes of `range` stand in a file of the host, where they do stand in one, unchanged and one after the other.
    ///
    /// Never an answer that reading would contradict: a layer that changes what lies below it answers for what it leaves alone, and
    /// the default for nothing. `None` therefore says only that the bytes must be read.
    fn origin(&self, _range: Range<u64>) -> Option<Origin<'_>> {
        None
    }
}

/// A place in a regular file of the host.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The file, open for reading.
    pub file: &'a File,
    /// First byte in it.
    pub offset: u64,
    /// How many bytes; never 0, and never more than was asked for.
    pub length: u64,
}

/// Shared bytes; what layers hand to each other.
pub type Bytes = Arc<dyn ReadAt>;

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        (**self).read_at(offset, buf)
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        (**self).data(from)
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        (**self).origin(range)
    }
}

/// Fails unless `len` bytes at `offset` lie inside `size` bytes.
///
/// # Errors
///
/// [`ReadError::OutOfBounds`].
pub fn check_bounds(offset: u64, len: usize, size: u64) -> Result<(), ReadError> {
    let length = int_u64(len);
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        _ => Err(ReadError::OutOfBounds { offset, length, size }),
    }
}

/// Reads an array of `N` bytes at `offset`.
///
/// # Errors
///
/// As [`ReadAt::read_at`].
pub fn read_array<const N: usize>(bytes: &dyn ReadAt, offset: u64) -> Result<[u8; N], ReadError> {
    let mut array = [0; N];
    bytes.read_at(offset, &mut array)?;
    Ok(array)
}

/// Reads `len` bytes at `offset`. Bounds are checked before anything is allocated.
///
/// # Errors
///
/// As [`ReadAt::read_at`].
pub fn read_vec(bytes: &dyn ReadAt, offset: u64, len: usize) -> Result<Vec<u8>, ReadError> {
    check_bounds(offset, len, bytes.size())?;
    let mut buf = vec![0; len];
    bytes.read_at(offset, &mut buf)?;
    Ok(buf)
}

/// Whether every byte is zero.
///
/// Written as an OR over fixed-size runs, which compilers turn into vector code.
#[must_use]
pub fn is_zero(buf: &[u8]) -> bool {
    let mut runs = buf.chunks_exact(256);
    runs.all(|run| run.iter().fold(0, |any, byte| any | byte) == 0) && runs.remainder().iter().all(|byte| *byte == 0)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// Bytes over a file, in the ways that plans lay them.
    fn layered() -> (tempfile::NamedTempFile, Vec<Bytes>) {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&(0..200_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>()).unwrap();
        let host: Bytes = Arc::new(HostFile::open(file.path(), host::Access::Positional).unwrap());
        let slice: Bytes = Arc::new(Slice::new(host.clone(), 4096, 150_000).unwrap());
        let mut grown = Overlay::resized(slice.clone(), 160_000);
        for (at, len) in [(0, 10), (10, 5), (40_000, 1), (100_000, 20_000), (159_488, 512)] {
            grown.patch(at, vec![9; len]).unwrap();
        }
        let cut: Bytes = Arc::new(Overlay::resized(host.clone(), 70_000));
        let grown: Bytes = Arc::new(grown);
        let punched: Bytes = Arc::new(Punched::new(grown.clone(), vec![5..6, 30_000..50_000, 149_990..155_000]));
        let cached: Bytes = Arc::new(Cached::new(punched.clone()));
        let scratch = Scratch::new(host.clone(), MIB);
        scratch.write_at(5000, &[1]).unwrap();
        let guarded: Bytes = Arc::new(Guard::new(punched.clone(), Watch::new(u64::MAX)));
        (file, vec![host, slice, grown, cut, punched, cached, guarded, scratch, Arc::new(Zeros(100_000)), Arc::new(Memory(vec![1; 100]))])
    }

    #[test]
    fn an_origin_holds_the_very_bytes() {
        let (_file, layers) = layered();
        let mut found = vec![0_u32; layers.len()];
        for (layer, found) in layers.iter().zip(&mut found) {
            for start in (0..layer.size() + 5000).step_by(997).chain([0, 1, 5, 6, 10, 15, 39_999, 40_000, 40_001, 149_999, 150_000]) {
                for length in [0, 1, 2, 500, 4096, 70_000, u64::MAX - start] {
                    let Some(origin) = layer.origin(start..start + length) else { continue };
                    *found += 1;
                    assert!(origin.length > 0 && origin.length <= length, "{origin:?} of {start}, {length}");
                    let mut stands = vec![0; origin.length as usize];
                    std::os::unix::fs::FileExt::read_exact_at(origin.file, &mut stands, origin.offset).unwrap();
                    assert!(stands == read_vec(&**layer, start, stands.len()).unwrap(), "{origin:?} of {start}, {length} in {layer:?}");
                }
            }
        }
        let has: Vec<bool> = found.iter().map(|count| *count > 0).collect();
        // What changes without a plan, and what is in no file, has none.
        assert_eq!(has, [true, true, true, true, true, true, true, false, false, false]);
    }

    #[test]
    fn an_origin_ends_where_something_is_changed() {
        let (_file, layers) = layered();
        let told = |layer: usize, range: Range<u64>| layers[layer].origin(range).map(|origin| (origin.offset, origin.length));
        assert_eq!(told(0, 100..1 << 30), Some((100, 199_900)));
        assert_eq!(told(1, 0..1 << 30), Some((4096, 150_000)));
        assert_eq!(told(2, 0..100), None);
        assert_eq!(told(2, 15..1 << 30), Some((4096 + 15, 40_000 - 15)));
        assert_eq!(told(2, 40_001..1 << 30), Some((4096 + 40_001, 100_000 - 40_001)));
        assert_eq!(told(2, 120_000..1 << 30), Some((4096 + 120_000, 30_000)));
        assert_eq!(told(2, 150_000..1 << 30), None, "grown");
        assert_eq!(told(3, 69_000..1 << 30), Some((69_000, 1000)));
        assert_eq!(told(4, 20_000..1 << 30), Some((4096 + 20_000, 10_000)));
        assert_eq!(told(4, 30_000..1 << 30), None);
    }

    #[test]
    fn bounds_hold_at_every_border() {
        assert!(check_bounds(0, 0, 0).is_ok());
        assert!(check_bounds(10, 0, 10).is_ok());
        assert!(check_bounds(9, 1, 10).is_ok());
        assert!(check_bounds(10, 1, 10).is_err());
        assert!(check_bounds(u64::MAX, 1, u64::MAX).is_err());
        assert!(check_bounds(u64::MAX, 2, u64::MAX).is_err());
    }

    #[test]
    fn zero_is_seen_at_every_length_and_place() {
        for len in [0, 1, 255, 256, 257, 512, 4096, 4099] {
            let mut buf = vec![0; len];
            assert!(is_zero(&buf), "{len} zeros");
            for place in [0, len / 2, len.saturating_sub(1)] {
                if let Some(byte) = buf.get_mut(place) {
                    *byte = 0x80;
                    assert!(!is_zero(&buf), "a byte at {place} of {len}");
                    buf[place] = 0;
                }
            }
        }
    }
}
