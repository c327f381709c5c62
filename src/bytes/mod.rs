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
pub use slice::Slice;
pub use text::printable;
pub use units::{ByteSize, GIB, Guid, KIB, MIB, ParseSizeError, SECTOR, TIB, int_u64, int_usize};

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
mod tests {
    use super::*;

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
