//! The disk inside a VHD, as bytes.

use super::table::{BlockShape, UNALLOCATED};
use crate::bytes::{Bytes, Corrupt, Origin, ReadAt, ReadError, SECTOR, check_bounds, int_u64, int_usize, read_vec};
use std::ops::Range;
use std::sync::Arc;

/// The payload of a fixed disk: the file's first bytes, as many as the footer says.
///
/// Bytes that the footer promises and the file lacks are errors, never zeros: a truncated upload must not look like an empty disk.
#[derive(Debug)]
pub(super) struct FixedDisk {
    pub(super) file: Bytes,
    /// Size that the footer says.
    pub(super) size: u64,
    /// Bytes that stand before the footer.
    pub(super) present: u64,
}

impl ReadAt for FixedDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        if offset.saturating_add(int_u64(buf.len())) > self.present {
            let expected = format!("{} bytes of payload", self.size);
            return Err(Corrupt::new("fixed disk", self.present, expected, format!("{} bytes", self.present)).into());
        }
        self.file.read_at(offset, buf)
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        if from >= self.size {
            return None;
        }
        let stored = (from < self.present).then(|| self.file.data(from)).flatten();
        let stored = stored.map(|range| range.start..range.end.min(self.present).min(self.size));
        let stored = stored.filter(|range| range.start < range.end);
        // What is missing is not known to be zero.
        stored.or_else(|| (self.present < self.size).then(|| from.max(self.present)..self.size))
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        let end = range.end.min(self.present).min(self.size);
        (range.start < end).then(|| self.file.origin(range.start..end))?
    }
}

/// A dynamic disk, or a differencing disk over its parent.
#[derive(Debug)]
pub(super) struct BlockDisk {
    pub(super) file: Bytes,
    pub(super) size: u64,
    pub(super) entries: Arc<Vec<u32>>,
    pub(super) shape: BlockShape,
    /// Bytes that block data must not pass: the end footer, or the end of the file.
    pub(super) limit: u64,
    /// What unallocated sectors show; zeros where there is no parent.
    pub(super) parent: Option<Bytes>,
    /// XenServer's first version stored the bitmap's bytes in reversed groups of four.
    pub(super) swapped_bitmaps: bool,
}

impl BlockDisk {
    /// Index of the block that holds `offset`, and the offset within it.
    fn place(&self, offset: u64) -> (u64, u64) {
        let size = self.shape.size;
        (offset / size, offset % size)
    }

    /// First byte of a block's bitmap in the file; `None` where the block was never written.
    fn start(&self, block: u64) -> Option<u64> {
        let entry = self.entries.get(int_usize(block)).copied().unwrap_or(UNALLOCATED);
        (entry != UNALLOCATED).then(|| u64::from(entry).saturating_mul(SECTOR))
    }

    /// First byte of the next allocated block after `block`, in the disk; its end where there is none.
    fn next_allocated(&self, block: u64) -> u64 {
        let rest = self.entries.get(int_usize(block)..).unwrap_or_default();
        match rest.iter().position(|entry| *entry != UNALLOCATED) {
            Some(ahead) => block.saturating_add(int_u64(ahead)).saturating_mul(self.shape.size.get()),
            None => self.size,
        }
    }

    /// Place in the file of `len` bytes at `within` a block whose bitmap starts at `start`.
    fn data_place(&self, start: u64, within: u64, len: usize) -> Result<u64, ReadError> {
        let at = start.saturating_add(self.shape.bitmap).saturating_add(within);
        if at.saturating_add(int_u64(len)) > self.limit {
            let expected = format!("block data before byte {}", self.limit);
            return Err(Corrupt::new("block allocation table", start, expected, format!("a block at byte {start}")).into());
        }
        Ok(at)
    }

    /// Reads within one block.
    fn read_in_block(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let (block, within) = self.place(offset);
        match (self.start(block), &self.parent) {
            (None, None) => {
                buf.fill(0);
                Ok(())
            }
            (None, Some(parent)) => read_parent(parent, offset, buf),
            // In a dynamic disk the bitmap is not consulted: written blocks are zeroed first, and where a bitmap denies data that is
            // there, qemu and Azure's own uploader return the data. The conflict is a fact of its own (see `bitmap`).
            (Some(start), None) => self.file.read_at(self.data_place(start, within, buf.len())?, buf),
            (Some(start), Some(parent)) => self.read_mixed(start, parent, offset, buf),
        }
    }

    /// Reads from a block of a differencing disk, whose bitmap says for each sector whether it is here or in the parent.
    fn read_mixed(&self, start: u64, parent: &Bytes, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let (_, within) = self.place(offset);
        let bits = self.bits(start, within, buf.len())?;
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let (_, within) = self.place(at);
            let here = bits.is_set(within / SECTOR);
            // As far as sectors of the same kind go.
            let mut run = SECTOR.saturating_sub(within % SECTOR);
            while run < int_u64(rest.len()) && bits.is_set(within.saturating_add(run) / SECTOR) == here {
                run = run.saturating_add(SECTOR);
            }
            let step = int_usize(run).min(rest.len());
            let (part, tail) = rest.split_at_mut_checked(step).unwrap_or_default();
            if here {
                self.file.read_at(self.data_place(start, within, part.len())?, part)?;
            } else {
                read_parent(parent, at, part)?;
            }
            at = at.saturating_add(int_u64(part.len()));
            rest = tail;
        }
        Ok(())
    }

    /// The bits of the sectors that `len` bytes from `within` a block touch.
    fn bits(&self, start: u64, within: u64, len: usize) -> Result<Bits, ReadError> {
        let first = (within / SECTOR / 8) & !3;
        let last = within.saturating_add(int_u64(len)).div_ceil(SECTOR).div_ceil(8).next_multiple_of(4).min(self.shape.bitmap);
        let mut bytes = read_vec(&*self.file, start.saturating_add(first), int_usize(last.saturating_sub(first)))?;
        if self.swapped_bitmaps {
            bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        }
        Ok(Bits { first_byte: first, bytes })
    }
}

/// Part of a bitmap: most significant bit first.
struct Bits {
    first_byte: u64,
    bytes: Vec<u8>,
}

impl Bits {
    fn is_set(&self, sector: u64) -> bool {
        let byte = self.bytes.get(int_usize((sector / 8).saturating_sub(self.first_byte))).copied().unwrap_or_default();
        byte & (0x80_u8 >> (sector % 8)) != 0
    }
}

/// Reads from a parent, which may be smaller than its child: beyond its end are zeros.
fn read_parent(parent: &Bytes, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
    let there = int_usize(parent.size().saturating_sub(offset)).min(buf.len());
    let (from_parent, beyond) = buf.split_at_mut_checked(there).unwrap_or_default();
    beyond.fill(0);
    if from_parent.is_empty() { Ok(()) } else { parent.read_at(offset, from_parent) }
}

impl ReadAt for BlockDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let (_, within) = self.place(at);
            let step = int_usize(self.shape.size.get().saturating_sub(within)).min(rest.len());
            let (part, tail) = rest.split_at_mut_checked(step).unwrap_or_default();
            self.read_in_block(at, part)?;
            at = at.saturating_add(int_u64(step));
            rest = tail;
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let mut at = from;
        while at < self.size {
            let (block, within) = self.place(at);
            let (end, found) = match self.start(block) {
                Some(start) => {
                    let end = at.saturating_sub(within).saturating_add(self.shape.size.get()).min(self.size);
                    (end, self.data_in_block(start, at, within, end))
                }
                None => {
                    let end = self.next_allocated(block).min(self.size);
                    (end, self.parent.as_ref().and_then(|parent| parent.data(at)).map(|range| range.start..range.end.min(end)))
                }
            };
            match found {
                Some(range) if range.start < range.end => return Some(range),
                _ => at = end,
            }
        }
        None
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        // With a parent each sector may lie in either file.
        if self.parent.is_some() || range.start >= self.size {
            return None;
        }
        let (block, within) = self.place(range.start);
        let left = self.shape.size.get().saturating_sub(within);
        let end = range.end.min(self.size).min(range.start.saturating_add(left));
        let length = int_usize(end.saturating_sub(range.start));
        let place = self.data_place(self.start(block)?, within, length).ok()?;
        self.file.origin(place..place.saturating_add(int_u64(length)))
    }
}

impl BlockDisk {
    /// The next data at or after `at` in an allocated block, by the holes of the host's file.
    fn data_in_block(&self, start: u64, at: u64, within: u64, block_end: u64) -> Option<Range<u64>> {
        if self.parent.is_some() {
            // Which sectors are the parent's is in the bitmap; the block as a whole may hold data.
            return Some(at..block_end);
        }
        let host = start.saturating_add(self.shape.bitmap).saturating_add(within);
        let host_end = host.saturating_add(block_end.saturating_sub(at));
        if host_end > self.limit {
            // Reading will fail and must not be skipped.
            return Some(at..block_end);
        }
        let found = self.file.data(host).filter(|found| found.start < host_end)?;
        let shift = |place: u64| at.saturating_add(place.saturating_sub(host));
        Some(shift(found.start)..shift(found.end.min(host_end)))
    }
}
