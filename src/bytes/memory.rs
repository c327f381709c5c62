//! Bytes that need no file.

use super::{ReadAt, ReadError, check_bounds, int_u64, int_usize};

/// Bytes held in memory.
#[derive(Debug, Clone)]
pub struct Memory(pub Vec<u8>);

impl ReadAt for Memory {
    fn size(&self) -> u64 {
        int_u64(self.0.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size())?;
        for (to, from) in buf.iter_mut().zip(self.0.iter().skip(int_usize(offset))) {
            *to = *from;
        }
        Ok(())
    }
}

/// Zeros: one hole of the given size.
#[derive(Debug, Clone, Copy)]
pub struct Zeros(pub u64);

impl ReadAt for Zeros {
    fn size(&self) -> u64 {
        self.0
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.0)?;
        buf.fill(0);
        Ok(())
    }

    fn data(&self, _from: u64) -> Option<std::ops::Range<u64>> {
        None
    }
}
