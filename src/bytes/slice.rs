//! A window on other bytes.

use super::{Bytes, Origin, ReadAt, ReadError, check_bounds};
use std::ops::Range;

/// `size` bytes of another reader, from `start` on; reads cannot leave the window.
#[derive(Debug, Clone)]
pub struct Slice {
    inner: Bytes,
    start: u64,
    size: u64,
}

impl Slice {
    /// The window `start..start + size`.
    ///
    /// # Errors
    ///
    /// [`ReadError::OutOfBounds`] when it passes the end of `inner`.
    pub fn new(inner: Bytes, start: u64, size: u64) -> Result<Self, ReadError> {
        match start.checked_add(size) {
            Some(end) if end <= inner.size() => Ok(Self { inner, start, size }),
            _ => Err(ReadError::OutOfBounds { offset: start, length: size, size: inner.size() }),
        }
    }

    /// As much of `start..start + size` as there is; empty when `start` lies past the end.
    #[must_use]
    pub fn clamped(inner: Bytes, start: u64, size: u64) -> Self {
        let start = start.min(inner.size());
        let size = size.min(inner.size().saturating_sub(start));
        Self { inner, start, size }
    }
}

impl ReadAt for Slice {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        self.inner.read_at(self.start.saturating_add(offset), buf)
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        if from >= self.size {
            return None;
        }
        let found = self.inner.data(self.start.saturating_add(from))?;
        let start = found.start.saturating_sub(self.start);
        let end = found.end.saturating_sub(self.start).min(self.size);
        (start < end).then_some(start..end)
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        let end = range.end.min(self.size);
        // Past the end is past the window, whatever lies there.
        (range.start < end).then(|| self.inner.origin(self.start.saturating_add(range.start)..self.start.saturating_add(end)))?
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Overlay, Zeros};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_window_cannot_be_left() {
        let whole: Bytes = Arc::new(Memory((0..=255).collect()));
        let window = Slice::new(whole.clone(), 10, 5).unwrap();
        let mut buf = [0; 5];
        window.read_at(0, &mut buf).unwrap();
        assert_eq!(buf, [10, 11, 12, 13, 14]);
        assert!(window.read_at(1, &mut buf).is_err());
        assert!(Slice::new(whole.clone(), 250, 7).is_err());
        assert!(Slice::new(whole.clone(), u64::MAX, 2).is_err());
        assert_eq!(Slice::clamped(whole.clone(), 250, 70).size(), 6);
        assert_eq!(Slice::clamped(whole, 900, 70).size(), 0);
    }

    #[test]
    fn holes_shine_through() {
        let mut sparse = Overlay::new(Arc::new(Zeros(1000)));
        sparse.patch(100, vec![1; 50]).unwrap();
        let window = Slice::new(Arc::new(sparse), 120, 800).unwrap();
        assert_eq!(window.data(0), Some(0..30));
        assert_eq!(window.data(30), None);
    }
}
