//! A superblock, read whole, its fields taken by their offsets.
//!
//! A probe needs a handful of fields out of structures of up to 4 KiB. Naming each by the offset that the format's own
//! document gives is shorter than declaring the whole structure, and as easy to hold against it.

use crate::bytes::{ReadAt, ReadError, check_bounds, read_vec};

/// Bytes of one structure.
///
/// A field that lies outside reads as zero, which is no magic and, in every format probed here, means "not set".
#[derive(Debug, Clone)]
pub(crate) struct Block(Vec<u8>);

impl Block {
    /// `len` bytes at `offset`; `None` when the bytes end before.
    pub(crate) fn at(bytes: &dyn ReadAt, offset: u64, len: usize) -> Result<Option<Self>, ReadError> {
        if check_bounds(offset, len, bytes.size()).is_err() {
            return Ok(None);
        }
        read_vec(bytes, offset, len).map(|block| Some(Self(block)))
    }

    /// As [`Block::at`], counted back from the end in whole sectors of 512 bytes: 1 is the last one.
    pub(crate) fn from_end(bytes: &dyn ReadAt, sectors: u64, len: usize) -> Result<Option<Self>, ReadError> {
        match (bytes.size() / 512).checked_sub(sectors) {
            Some(sector) => Self::at(bytes, sector.saturating_mul(512), len),
            None => Ok(None),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// `len` bytes at `offset`, fewer where the block ends.
    pub(crate) fn slice(&self, offset: usize, len: usize) -> &[u8] {
        let rest = self.0.get(offset..).unwrap_or_default();
        rest.get(..len).unwrap_or(rest)
    }

    /// Whether `magic` stands at `offset`.
    pub(crate) fn has(&self, offset: usize, magic: &[u8]) -> bool {
        self.slice(offset, magic.len()) == magic
    }

    pub(crate) fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    pub(crate) fn u8(&self, offset: usize) -> u8 {
        u8::from_le_bytes(self.array(offset))
    }

    pub(crate) fn le16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.array(offset))
    }

    pub(crate) fn le32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array(offset))
    }

    pub(crate) fn le64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.array(offset))
    }

    pub(crate) fn be16(&self, offset: usize) -> u16 {
        u16::from_be_bytes(self.array(offset))
    }

    pub(crate) fn be32(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.array(offset))
    }

    pub(crate) fn be64(&self, offset: usize) -> u64 {
        u64::from_be_bytes(self.array(offset))
    }

    /// A 16-bit field in the byte order of the machine that wrote it.
    pub(crate) fn word(&self, offset: usize, big_endian: bool) -> u16 {
        if big_endian { self.be16(offset) } else { self.le16(offset) }
    }

    /// A 32-bit field in the byte order of the machine that wrote it.
    pub(crate) fn long(&self, offset: usize, big_endian: bool) -> u32 {
        if big_endian { self.be32(offset) } else { self.le32(offset) }
    }

    /// A 64-bit field in the byte order of the machine that wrote it.
    pub(crate) fn quad(&self, offset: usize, big_endian: bool) -> u64 {
        if big_endian { self.be64(offset) } else { self.le64(offset) }
    }

    /// The block with `len` bytes at `offset` set to zero: checksums are taken with their own field blank.
    pub(crate) fn blanked(&self, offset: usize, len: usize) -> Self {
        let mut block = self.clone();
        for byte in block.0.iter_mut().skip(offset).take(len) {
            *byte = 0;
        }
        block
    }

    /// Writes `bytes` at `offset`, as far as the block reaches.
    pub(crate) fn put(&mut self, offset: usize, bytes: &[u8]) {
        for (to, from) in self.0.iter_mut().skip(offset).zip(bytes) {
            *to = *from;
        }
    }
}

/// `count` units of `unit` bytes, when that is a number of bytes.
pub(crate) fn sized(count: u64, unit: u64) -> Option<u64> {
    count.checked_mul(unit)
}

/// Two to the power of `exponent`, up to 2^31.
pub(crate) fn power(exponent: u32) -> Option<u64> {
    if exponent < 32 { 1_u64.checked_shl(exponent) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Memory, Zeros};

    #[test]
    fn what_does_not_fit_is_absent() {
        let bytes = Memory((0..=255).collect());
        assert!(Block::at(&bytes, 0, 257).unwrap().is_none());
        assert!(Block::at(&bytes, u64::MAX, 1).unwrap().is_none());
        assert!(Block::from_end(&bytes, 1, 1).unwrap().is_none());
        assert!(Block::from_end(&Zeros(1023), 1, 512).unwrap().is_some());
        let block = Block::at(&bytes, 16, 8).unwrap().unwrap();
        assert_eq!(block.be32(0), 0x1011_1213);
        assert_eq!(block.le16(6), 0x1716);
        assert_eq!(block.le16(7), 0, "half outside is outside");
        assert_eq!(block.le64(usize::MAX), 0);
        assert!(!block.has(7, &[0x17, 0x18]));
        assert_eq!(block.slice(6, 9), &[0x16, 0x17]);
    }
}
