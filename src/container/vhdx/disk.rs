//! The virtual disk: \[MS-VHDX\] 2.4.

use super::table::{Entry, Table};
use crate::bytes::{Bytes, Corrupt, Origin, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use std::ops::Range;

/// The disk in a VHDX file without a parent.
#[derive(Debug)]
pub(super) struct Disk {
    /// The file after its log was replayed.
    pub(super) file: Bytes,
    pub(super) table: Table,
}

impl Disk {
    /// Where a block's bytes are; `None` when it is zeros.
    fn block(&self, block: u64) -> Result<Option<u64>, ReadError> {
        let entry = self.table.entry(block)?;
        match entry.state() {
            Entry::NOT_PRESENT | Entry::UNDEFINED | Entry::ZERO | Entry::UNMAPPED => Ok(None),
            Entry::FULLY_PRESENT => Ok(Some(entry.file_offset())),
            // The table was surveyed, so this is a file that changed meanwhile.
            state => {
                Err(Corrupt::new("BAT entry", self.table.place(block), "a state that a payload block can have", state.to_string()).into())
            }
        }
    }
}

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.table.virtual_size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size())?;
        let mut offset = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let (block, within) = (offset / self.table.block_size, offset % self.table.block_size);
            let left = self.table.block_size.get().saturating_sub(within);
            let now = int_usize(left).min(rest.len());
            let (part, after) = rest.split_at_mut_checked(now).unwrap_or_default();
            match self.block(block)? {
                Some(start) => self.file.read_at(start.saturating_add(within), part)?,
                None => part.fill(0),
            }
            offset = offset.saturating_add(int_u64(now));
            rest = after;
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let mut from = from;
        while from < self.size() {
            // What cannot be told may hold data; reading it will tell why.
            let unknown = from..self.size();
            let block = match self.table.next_present(from / self.table.block_size) {
                Ok(next) => next?,
                Err(_) => return Some(unknown),
            };
            let disk = block.saturating_mul(self.table.block_size.get());
            let Ok(Some(file)) = self.block(block) else { return Some(unknown) };
            let wanted = from.max(disk).saturating_sub(disk);
            let end = self.table.on_disk(block);
            // The file may have holes within the block.
            if let Some(found) = self.file.data(file.saturating_add(wanted)) {
                let (start, stop) = (found.start.saturating_sub(file), found.end.saturating_sub(file).min(end));
                if start < stop {
                    return Some(disk.saturating_add(start)..disk.saturating_add(stop));
                }
            }
            from = disk.saturating_add(self.table.block_size.get());
        }
        None
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        let (block, within) = (range.start / self.table.block_size, range.start % self.table.block_size);
        let left = self.table.block_size.get().saturating_sub(within);
        let end = range.end.min(self.size()).min(range.start.saturating_add(left));
        let length = end.checked_sub(range.start).filter(|length| *length > 0)?;
        let place = self.block(block).ok()??.saturating_add(within);
        self.file.origin(place..place.saturating_add(length))
    }
}
