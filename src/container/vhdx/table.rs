//! Block allocation table: \[MS-VHDX\] 2.5.

use super::PayloadBlocks;
use super::notes::{Notes, require};
use crate::bytes::{Bytes, Corrupt, KIB, MIB, ReadAt, ReadError, TIB, int_usize, read_array, read_vec};
use std::num::NonZero;
use std::ops::Range;

const NAME: &str = "BAT entry";
/// Bytes of an entry.
const ENTRY: u64 = 8;
/// The table of the largest disk in the smallest blocks has 512 MiB, so it is never held whole: this much at a time.
const PAGE: u64 = 64 * KIB;
/// Longest file whose blocks are checked for overlap; its map of 1 bit for each MiB takes 16 MiB. Twice the largest disk.
const LARGEST_FILE: u64 = 128 * TIB;

/// Faults after which a table is not read further.
const FAULTS: u32 = 1000;

/// An entry as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    /// Section 2.5.1.1; 4 and 5 are no states.
    pub(super) const NOT_PRESENT: u64 = 0;
    pub(super) const UNDEFINED: u64 = 1;
    pub(super) const ZERO: u64 = 2;
    pub(super) const UNMAPPED: u64 = 3;
    pub(super) const FULLY_PRESENT: u64 = 6;
    pub(super) const PARTIALLY_PRESENT: u64 = 7;

    pub(super) fn state(self) -> u64 {
        self.0 & 7
    }

    /// Byte in the file; stored in MiB from bit 20 on.
    pub(super) fn file_offset(self) -> u64 {
        self.0 & !(MIB - 1)
    }

    fn reserved(self) -> u64 {
        self.0 & (MIB - 1) & !7
    }
}

/// The table and the shape of the disk that it maps.
#[derive(Debug, Clone)]
pub(super) struct Table {
    file: Bytes,
    at: u64,
    pub(super) virtual_size: u64,
    pub(super) block_size: NonZero<u64>,
    /// Payload blocks for each sector bitmap block; an entry for the latter follows after so many entries for the former.
    chunk_ratio: NonZero<u64>,
    has_parent: bool,
}

impl Table {
    /// The table in its region.
    ///
    /// # Errors
    ///
    /// Corrupt when the region is too small for the disk.
    pub(super) fn new(file: Bytes, region: &Range<u64>, shape: Shape) -> Result<Self, ReadError> {
        /// Sectors that the bits of a sector bitmap block stand for.
        const CHUNK: u64 = 1 << 23;
        let Shape { virtual_size, block_size, logical_sector_size, has_parent } = shape;
        let block_size = NonZero::new(u64::from(block_size)).unwrap_or(NonZero::<u64>::MAX);
        let chunk = CHUNK.saturating_mul(u64::from(logical_sector_size));
        // Not less than 2^23 * 512 / 256 MiB = 16.
        let chunk_ratio = NonZero::new(chunk / block_size).unwrap_or(NonZero::<u64>::MIN);
        let table = Self { file, at: region.start, virtual_size, block_size, chunk_ratio, has_parent };
        let needed = table.entries().saturating_mul(ENTRY);
        let found = region.end.saturating_sub(region.start);
        require(found >= needed, "BAT region", region.start, &format!("at least {needed} bytes for the size of the disk"), found)?;
        Ok(table)
    }

    /// Payload blocks of the disk.
    pub(super) fn payload_blocks(&self) -> u64 {
        let whole = self.virtual_size / self.block_size;
        let rest = self.virtual_size % self.block_size;
        whole.saturating_add(u64::from(rest != 0))
    }

    /// Entries in use: section 2.5. A differencing disk has its last chunk whole, for the bitmap's entry ends it.
    fn entries(&self) -> u64 {
        let blocks = self.payload_blocks();
        let before_last = blocks.saturating_sub(1) / self.chunk_ratio;
        if self.has_parent {
            before_last.saturating_add(1).saturating_mul(self.chunk_ratio.get().saturating_add(1))
        } else {
            blocks.saturating_add(before_last)
        }
    }

    /// Byte of a payload block's entry.
    pub(super) fn place(&self, block: u64) -> u64 {
        let index = block.saturating_add(block / self.chunk_ratio);
        self.at.saturating_add(index.saturating_mul(ENTRY))
    }

    /// The entry of a payload block.
    pub(super) fn entry(&self, block: u64) -> Result<Entry, ReadError> {
        read_array(&self.file, self.place(block)).map(|stored| Entry(u64::from_le_bytes(stored)))
    }

    /// Bytes of a payload block that are on the disk; fewer in the last one.
    pub(super) fn on_disk(&self, block: u64) -> u64 {
        let start = block.saturating_mul(self.block_size.get());
        self.virtual_size.saturating_sub(start).min(self.block_size.get())
    }

    /// The first payload block from `from` on that is in the file.
    pub(super) fn next_present(&self, from: u64) -> Result<Option<u64>, ReadError> {
        let mut next = None;
        let present = |entry: Entry| matches!(entry.state(), Entry::FULLY_PRESENT | Entry::PARTIALLY_PRESENT);
        self.walk(from.saturating_add(from / self.chunk_ratio), |_, slot, entry| {
            next = match slot {
                Slot::Payload(block) if present(entry) => Some(block),
                _ => None,
            };
            next.is_none()
        })?;
        Ok(next)
    }

    /// Shows entries from an index on, in order, until `seen` returns false. Entries in holes of the file, which are zero,
    /// are left out, so an empty table costs nothing.
    fn walk(&self, from: u64, mut seen: impl FnMut(u64, Slot, Entry) -> bool) -> Result<(), ReadError> {
        let end = self.at.saturating_add(self.entries().saturating_mul(ENTRY));
        let mut at = self.at.saturating_add(from.saturating_mul(ENTRY));
        // Mostly one of the next entries is enough, and a page each time would be wasted.
        let mut page = ENTRY;
        while let Some(data) = self.file.data(at).filter(|data| data.start < end) {
            at = at.max(data.start & !(ENTRY - 1));
            let stored = read_vec(&self.file, at, int_usize(page.min(end.saturating_sub(at))))?;
            for entry in stored.chunks_exact(8).filter_map(<[u8]>::first_chunk) {
                let index = at.saturating_sub(self.at) / ENTRY;
                if !seen(at, self.slot(index), Entry(u64::from_le_bytes(*entry))) {
                    return Ok(());
                }
                at = at.saturating_add(ENTRY);
            }
            page = page.saturating_mul(8).min(PAGE);
        }
        Ok(())
    }

    /// What the entry at an index is for.
    fn slot(&self, index: u64) -> Slot {
        let group = self.chunk_ratio.saturating_add(1);
        let block = index.saturating_sub(index / group);
        match index % group {
            within if within == self.chunk_ratio.get() => Slot::Bitmap,
            _ if block < self.payload_blocks() => Slot::Payload(block),
            _ => Slot::Unused,
        }
    }

    /// Reads all entries: counts the payload blocks, and refuses what cannot be. `taken` is what the other regions use.
    /// `None` when there are so many faults that it gave up.
    ///
    /// # Errors
    ///
    /// What reading gives, and Unsupported for a file beyond the limit.
    pub(super) fn survey(&self, taken: &[Range<u64>], notes: &mut Notes) -> Result<Option<PayloadBlocks>, ReadError> {
        let size = self.file.size();
        if size > LARGEST_FILE {
            return Err(ReadError::Unsupported(format!("a VHDX file of {size} bytes; the most is {LARGEST_FILE}")));
        }
        let mut space = Space::new(size, taken);
        let mut blocks = PayloadBlocks { total: self.payload_blocks(), ..PayloadBlocks::default() };
        let mut faults = 0_u32;
        self.walk(0, |at, slot, entry| {
            if let Err(error) = self.check(at, slot, entry, &mut space, &mut blocks, notes) {
                notes.refuse(error);
                faults = faults.saturating_add(1);
            }
            faults < FAULTS
        })?;
        if faults == FAULTS {
            return Ok(None);
        }
        let seen = [blocks.undefined, blocks.zero, blocks.unmapped, blocks.fully_present, blocks.partially_present];
        blocks.not_present = seen.iter().fold(blocks.total, |rest, count| rest.saturating_sub(*count));
        if blocks.undefined > 0 {
            notes.deviation(self.at, format!("the content of {} payload blocks is not defined; it is read as zeros", blocks.undefined));
        }
        Ok(Some(blocks))
    }

    /// Counts an entry, and refuses one that cannot be.
    fn check(
        &self,
        at: u64,
        slot: Slot,
        entry: Entry,
        space: &mut Space,
        blocks: &mut PayloadBlocks,
        notes: &mut Notes,
    ) -> Result<(), ReadError> {
        if entry.reserved() != 0 {
            notes.deviation(at, "reserved bits are set in a BAT entry");
        }
        let count = match (slot, entry.state()) {
            (Slot::Payload(_) | Slot::Bitmap, Entry::NOT_PRESENT) => return Ok(()),
            (Slot::Payload(_), Entry::UNDEFINED) => &mut blocks.undefined,
            (Slot::Payload(_), Entry::ZERO) => &mut blocks.zero,
            (Slot::Payload(_), Entry::UNMAPPED) => &mut blocks.unmapped,
            (Slot::Payload(block), Entry::FULLY_PRESENT) => {
                self.claim(at, entry, self.on_disk(block), self.block_size.get(), space, notes)?;
                &mut blocks.fully_present
            }
            (Slot::Payload(block), Entry::PARTIALLY_PRESENT) if self.has_parent => {
                self.claim(at, entry, self.on_disk(block), self.block_size.get(), space, notes)?;
                &mut blocks.partially_present
            }
            (Slot::Payload(_), state) => {
                return Err(Corrupt::new(NAME, at, "a state that a payload block can have", state.to_string()).into());
            }
            (Slot::Bitmap, Entry::FULLY_PRESENT) if self.has_parent => return self.claim(at, entry, MIB, MIB, space, notes),
            (Slot::Bitmap, state) if self.has_parent => {
                return Err(Corrupt::new(NAME, at, "a state that a sector bitmap block can have", state.to_string()).into());
            }
            (Slot::Bitmap, _) => {
                notes.deviation(at, "there is a sector bitmap block, but no parent");
                return Ok(());
            }
            (Slot::Unused, _) => {
                if entry != Entry(0) {
                    notes.deviation(at, "a BAT entry behind the end of the disk is in use");
                }
                return Ok(());
            }
        };
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Takes the bytes of a block; those that are on the disk must be in the file.
    fn claim(&self, at: u64, entry: Entry, on_disk: u64, whole: u64, space: &mut Space, notes: &mut Notes) -> Result<(), ReadError> {
        let (start, size) = (entry.file_offset(), self.file.size());
        require(start >= MIB, NAME, at, "a block behind the first MiB", start)?;
        let inside = start.checked_add(on_disk).is_some_and(|end| end <= size);
        require(inside, NAME, at, "a block inside the file", format_args!("{on_disk} bytes at byte {start} of a file of {size}"))?;
        let end = start.saturating_add(whole);
        if end > size {
            notes.deviation(
                at,
                format!("a block ends at byte {end}, behind the file's end at byte {size}, but not that part of it that is on the disk"),
            );
        }
        match space.claim(&(start..end.min(size))) {
            None => Ok(()),
            Some(twice) => {
                Err(Corrupt::new(NAME, at, "a block of its own", format!("bytes from {twice} on that something else uses")).into())
            }
        }
    }
}

/// The MiB of a file that are in use: everything in a VHDX lies on whole MiB.
struct Space(Vec<u64>);

impl Space {
    fn new(size: u64, taken: &[Range<u64>]) -> Self {
        let mut space = Self(vec![0; int_usize(size.div_ceil(MIB).div_ceil(64))]);
        for range in taken {
            space.claim(range);
        }
        space
    }

    /// Marks the bytes; the first that were in use already. It ends there, so many claims of the same cost little.
    fn claim(&mut self, range: &Range<u64>) -> Option<u64> {
        (range.start / MIB..range.end.div_ceil(MIB)).find_map(|unit| {
            let bit = 1_u64 << (unit % 64);
            let word = self.0.get_mut(int_usize(unit / 64))?;
            let twice = *word & bit != 0;
            *word |= bit;
            twice.then_some(unit.saturating_mul(MIB))
        })
    }
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Payload(u64),
    Bitmap,
    /// After the last block of a differencing disk.
    Unused,
}

/// The numbers that the table's shape follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) virtual_size: u64,
    pub(super) block_size: u32,
    pub(super) logical_sector_size: u32,
    pub(super) has_parent: bool,
}
