//! Files that the Windows Overlay Filter compresses (Compact OS, `compact /exe`).
//!
//! The file's own data is a hole as long as the content. The content is in the stream `WofCompressedData`, in chunks: first a table of where
//! each but the first begins, counted from the table's end, in 32 bits or for files of 4 GiB and more in 64; then the chunks. One that is
//! stored in as many bytes as it stands for is not compressed. \[MS-FSCC\], section 2.1.2, has the tag;
//! `FILE_PROVIDER_EXTERNAL_INFO_V1` in Microsoft's `ntifs.h` the algorithms; the ntfs-3g plugin for system compression the stream.

use super::chunks::{Recent, each_chunk, take};
use super::{lzx, xpress};
use crate::bytes::{Bytes, Corrupt, ReadAt, ReadError, check_bounds, int_usize, read_array, read_vec};
use std::ops::Range;

/// How the chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// XPRESS in chunks of this many bytes.
    Xpress(u64),
    /// LZX in chunks of 32 KiB.
    Lzx,
}

impl Algorithm {
    /// By its number in the reparse point.
    pub(super) fn new(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Xpress(4096)),
            1 => Some(Self::Lzx),
            2 => Some(Self::Xpress(8192)),
            3 => Some(Self::Xpress(16384)),
            _ => None,
        }
    }

    fn chunk(self) -> u64 {
        match self {
            Self::Xpress(size) => size,
            Self::Lzx => 32768,
        }
    }
}

/// The content of such a file.
#[derive(Debug)]
pub(super) struct Overlaid {
    /// The stream of chunks.
    stored: Bytes,
    algorithm: Algorithm,
    /// Bytes of the content.
    size: u64,
    recent: Recent,
}

impl Overlaid {
    pub(super) fn new(stored: Bytes, algorithm: Algorithm, size: u64) -> Self {
        Self { stored, algorithm, size, recent: Recent::default() }
    }

    fn corrupt(number: u64, found: impl Into<String>) -> ReadError {
        Corrupt::new("WofCompressedData", 0, "chunks", format!("{} in chunk {number}", found.into())).into()
    }

    /// Where a chunk lies in the stream.
    fn place(&self, number: u64) -> Result<Range<u64>, ReadError> {
        let last = self.size.div_ceil(self.algorithm.chunk()).saturating_sub(1);
        let wide = self.size > u64::from(u32::MAX);
        let table = last.saturating_mul(if wide { 8 } else { 4 });
        // The table has no entry for the first chunk, so that entry 0 says where the second one begins.
        let begins = |number: u64| -> Result<u64, ReadError> {
            let Some(entry) = number.checked_sub(1) else { return Ok(table) };
            let offset = if wide {
                u64::from_le_bytes(read_array(&self.stored, entry.saturating_mul(8))?)
            } else {
                u64::from(u32::from_le_bytes(read_array(&self.stored, entry.saturating_mul(4))?))
            };
            Ok(table.saturating_add(offset))
        };
        let start = begins(number)?;
        let end = if number == last { self.stored.size() } else { begins(number.saturating_add(1))? };
        Ok(start..end)
    }

    fn decode(&self, number: u64) -> Result<Vec<u8>, ReadError> {
        let chunk = self.algorithm.chunk();
        let size = self.size.saturating_sub(number.saturating_mul(chunk)).min(chunk);
        let place = self.place(number)?;
        let length = place.end.checked_sub(place.start).filter(|length| (1..=size).contains(length));
        let length = length.ok_or_else(|| Self::corrupt(number, format!("an impossible place, {} to {},", place.start, place.end)))?;
        let stored = read_vec(&self.stored, place.start, int_usize(length))?;
        if length == size {
            return Ok(stored);
        }
        let mut out = vec![0; int_usize(size)];
        let decoded = match self.algorithm {
            Algorithm::Xpress(_) => xpress::decode(&stored, &mut out),
            Algorithm::Lzx => lzx::decode(&stored, &mut out),
        };
        decoded.map(|()| out).ok_or_else(|| Self::corrupt(number, "what cannot be decoded"))
    }
}

impl ReadAt for Overlaid {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        each_chunk(offset, buf, self.algorithm.chunk(), |number, within, buf| {
            take(&self.recent.get(number, || self.decode(number))?, within, buf);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Memory;
    use std::sync::Arc;

    fn read(stored: &[u8], algorithm: Algorithm, size: u64) -> Result<Vec<u8>, ReadError> {
        let content = Overlaid::new(Arc::new(Memory(stored.to_vec())), algorithm, size);
        read_vec(&content, 0, int_usize(size))
    }

    #[test]
    fn stored_chunks_and_their_table() {
        let chunks = [vec![1; 4096], vec![2; 4096], vec![3; 100]].concat();
        let stored = [&4096_u32.to_le_bytes()[..], &8192_u32.to_le_bytes(), &chunks].concat();
        assert_eq!(read(&stored, Algorithm::Xpress(4096), 8292).unwrap(), chunks);
        assert_eq!(read(&[], Algorithm::Lzx, 0).unwrap(), [0; 0]);
        assert_eq!(read(&[7; 5], Algorithm::Lzx, 5).unwrap(), [7; 5]);
        // From 4 GiB on the table has 64 bits.
        let size = (4 << 30) + 1;
        let wide = Overlaid::new(Arc::new(Memory(stored)), Algorithm::Lzx, size);
        let table = (size / 32768) * 8;
        assert_eq!(wide.place(0).unwrap().start, table);
    }

    #[test]
    fn damage_is_seen() {
        let impossible = [
            [5000_u32.to_le_bytes(), 9000_u32.to_le_bytes()],
            [0, 0].map(u32::to_le_bytes),
            [u32::MAX, 0].map(u32::to_le_bytes),
            [200, 100].map(u32::to_le_bytes),
        ];
        for table in impossible {
            let stored = [table.concat(), vec![0; 8292]].concat();
            assert!(read(&stored, Algorithm::Xpress(4096), 8292).is_err(), "{table:?}");
        }
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        for round in 0..300 {
            // Code lengths that are often possible, then anything.
            let mut input: Vec<u8> = (0..256).map(|_| if round % 2 == 0 { 0x99 } else { next() }).collect();
            input.extend((0..600).map(|_| next()));
            let mut out = vec![0; 4096];
            let _ = (xpress::decode(&input, &mut out), lzx::decode(&input, &mut out), super::super::lznt1::decode(&input, &mut out));
        }
    }
}
