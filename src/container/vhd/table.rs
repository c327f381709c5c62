//! The block allocation table: where each block of a dynamic or differencing disk lies in the file.
//!
//! Source: "Virtual Hard Disk Image Format Specification" 1.0 (2006), section "Block Allocation Table and Data Blocks". An entry
//! is the absolute sector of the block's bitmap, big-endian, or all ones; the block's data follows its bitmap.

use super::deviation::{Deviation, Kind};
use super::header::DynamicHeader;
use crate::bytes::{Corrupt, ReadAt, ReadError, SECTOR, int_u64, int_usize};
use byteorder::{BigEndian, ByteOrder};
use std::num::NonZeroU64;
use std::sync::Arc;

/// Entry of a block that was never written.
pub(super) const UNALLOCATED: u32 = u32::MAX;

/// The most entries that are held in memory, 64 MiB of them: a disk of 2040 GiB has this many with blocks of 128 KiB. Microsoft's
/// tools write blocks of 2 MiB, or 512 KiB.
const MAX_ENTRIES: u64 = 1 << 24;
/// Bytes of the table that are read at a time: few enough to stay in the processor's first cache.
const READ_BYTES: u64 = 32 << 10;
/// Entries that are looked at together.
const RUN: usize = 64;

/// Shape of the blocks: size, bitmap, and how many the disk needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    /// Bytes of data in a block; a power of two of at least 512.
    pub size: NonZeroU64,
    /// Bytes of a block's bitmap: one bit for a sector, rounded up to whole sectors.
    pub bitmap: u64,
    /// Blocks that cover the disk.
    pub needed: u64,
}

impl BlockShape {
    /// The shape that a header gives a disk of `disk_size` bytes; `None` for a block size that cannot be.
    #[must_use]
    pub fn new(header: &DynamicHeader, disk_size: u64) -> Option<Self> {
        let size = u64::from(header.block_size);
        if !size.is_power_of_two() || size < SECTOR {
            return None;
        }
        let size = NonZeroU64::new(size)?;
        let bits = size.get() / SECTOR;
        let bitmap = bits.div_ceil(8).next_multiple_of(SECTOR);
        Some(Self { size, bitmap, needed: disk_size.div_ceil(size.get()) })
    }

    /// Bytes that a block takes in the file, bitmap included.
    #[must_use]
    pub fn span(self) -> u64 {
        self.size.get().saturating_add(self.bitmap)
    }
}

/// The table and what is remarkable about it.
#[derive(Debug, Clone)]
pub struct BlockTable {
    /// An entry for each block of the disk; entries beyond those are not read.
    pub entries: Arc<Vec<u32>>,
    /// Entries that the header claims.
    pub claimed: u32,
    /// Blocks with a place in the file.
    pub allocated: u64,
    /// Blocks whose place is not in the file's block area.
    pub out_of_range: u64,
    /// Blocks in that area that share bytes with another.
    pub overlapping: u64,
    /// Byte after the last block that lies in the file.
    pub blocks_end: u64,
    /// Shape of the blocks.
    pub shape: BlockShape,
}

impl BlockTable {
    /// Bytes of a disk of `disk_size` bytes that lie in allocated blocks. Of the last block only what lies before the disk's end is the
    /// disk's.
    #[must_use]
    pub fn allocated_bytes(&self, disk_size: u64) -> u64 {
        let block = self.shape.size.get();
        let all = self.allocated.saturating_mul(block);
        match self.entries.last() {
            Some(entry) if *entry != UNALLOCATED => all.saturating_sub(self.shape.needed.saturating_mul(block).saturating_sub(disk_size)),
            _ => all,
        }
    }
}

/// Reads the table of a disk of `disk_size` bytes and surveys it. `blocks_limit` is the byte at which blocks must end: the footer,
/// or the end of the file.
///
/// # Errors
///
/// When the table cannot be had: its place or size is impossible (`Corrupt`), it is larger than vhdkit reads (`Unsupported`), or
/// the host fails.
pub(super) fn read(
    file: &dyn ReadAt,
    header: &DynamicHeader,
    disk_size: u64,
    blocks_limit: u64,
    deviations: &mut Vec<Deviation>,
) -> Result<BlockTable, ReadError> {
    let field =
        |kind, place: u64, expected: String, found: String| Deviation::new(kind, header.offset.saturating_add(place), 4, expected, found);
    let Some(shape) = BlockShape::new(header, disk_size) else {
        let (expected, found) = ("a power of two of at least 512".to_owned(), format!("{}", header.block_size));
        deviations.push(field(Kind::BlockSize, 32, expected.clone(), found.clone()));
        return Err(Corrupt::new("block size", header.offset.saturating_add(32), expected, found).into());
    };
    let at = header.table_offset;
    if !at.is_multiple_of(SECTOR) {
        deviations.push(field(Kind::TableUnaligned, 16, "a multiple of 512".to_owned(), at.to_string()));
    }
    let claimed = u64::from(header.max_table_entries);
    if claimed < shape.needed {
        let (expected, found) = (format!("at least {} entries", shape.needed), format!("{claimed}"));
        deviations.push(field(Kind::TableShort, 28, expected.clone(), found.clone()));
        return Err(Corrupt::new("block allocation table", header.offset.saturating_add(28), expected, found).into());
    }
    let bytes = shape.needed.saturating_mul(4);
    let room = file.size().saturating_sub(at);
    if bytes > room {
        let (expected, found) = (format!("{bytes} bytes of table before byte {}", file.size()), format!("the table at byte {at}"));
        deviations.push(field(Kind::TableOutside, 16, expected.clone(), found.clone()));
        return Err(Corrupt::new("block allocation table", header.offset.saturating_add(16), expected, found).into());
    }
    if shape.needed > MAX_ENTRIES {
        return Err(ReadError::Unsupported(format!(
            "a block allocation table of {} entries; at most {MAX_ENTRIES} are read",
            shape.needed
        )));
    }
    if claimed.saturating_mul(4) > room {
        deviations.push(field(Kind::TableOverlong, 28, format!("{} entries, as the disk has blocks", shape.needed), claimed.to_string()));
    } else if claimed > shape.needed {
        deviations.push(field(Kind::TableSurplus, 28, format!("{} entries, as the disk has blocks", shape.needed), claimed.to_string()));
    }
    let entries = read_entries(file, at, bytes)?;
    // A table that claims more than the file has room for says nothing about where blocks may begin.
    let table_end = at.saturating_add(if claimed.saturating_mul(4) > room { bytes } else { claimed.saturating_mul(4) });
    let headers_end = table_end.max(header.offset.saturating_add(int_u64(super::header::HEADER_LEN)));
    if claimed > shape.needed && claimed.saturating_mul(4) <= room {
        let surplus = claimed.min(shape.needed.saturating_add(MAX_ENTRIES)).saturating_sub(shape.needed);
        let beyond = read_entries(file, at.saturating_add(bytes), surplus.saturating_mul(4))?;
        deviations.extend(beyond_disk(&beyond, at.saturating_add(bytes), shape, disk_size, headers_end..blocks_limit));
    }
    Ok(survey(entries, header, shape, disk_size, headers_end, blocks_limit, deviations))
}

/// Blocks behind the last that the disk needs. Writers leave such entries unallocated, or as zeros; one with a place in the file says
/// that the disk was larger, and that its size is what is wrong.
fn beyond_disk(entries: &[u32], at: u64, shape: BlockShape, disk_size: u64, blocks: std::ops::Range<u64>) -> Option<Deviation> {
    let in_file = |entry: u32| {
        let start = u64::from(entry).saturating_mul(SECTOR);
        entry != UNALLOCATED && start >= blocks.start && start.saturating_add(shape.bitmap) < blocks.end
    };
    let mut found = (0_u64..).zip(entries).filter(|(_, entry)| in_file(**entry));
    let (first, _) = found.next()?;
    let count = found.count().saturating_add(1);
    let block = shape.needed.saturating_add(first);
    let expected = format!("no block from byte {disk_size} of the disk on, where its size ends");
    let found = format!("{count} in the file, the first for byte {} of the disk", block.saturating_mul(shape.size.get()));
    Some(Deviation::new(Kind::BlocksBeyondDisk, at.saturating_add(first.saturating_mul(4)), 4, expected, found))
}

/// Reads `bytes` bytes of entries, bounded by the caller.
fn read_entries(file: &dyn ReadAt, at: u64, bytes: u64) -> Result<Vec<u32>, ReadError> {
    let mut entries = vec![0; int_usize(bytes / 4)];
    let mut buf = vec![0; int_usize(bytes.min(READ_BYTES))];
    let mut at = at;
    for entries in entries.chunks_mut(int_usize(READ_BYTES / 4)) {
        let part = buf.get_mut(..entries.len().saturating_mul(4)).unwrap_or_default();
        file.read_at(at, part)?;
        BigEndian::read_u32_into(part, entries);
        at = at.saturating_add(int_u64(part.len()));
    }
    Ok(entries)
}

/// Blocks that have a place in the file, with their entries. Passes over long stretches without one in vector code.
pub(super) fn allocated(entries: &[u32]) -> impl Iterator<Item = (u64, u32)> {
    let runs = entries.chunks(RUN).zip((0_u64..).step_by(RUN));
    // All ones are left of an AND only where every entry is all ones.
    let runs = runs.filter(|(run, _)| run.iter().fold(UNALLOCATED, |all, entry| all & entry) != UNALLOCATED);
    runs.flat_map(|(run, first)| (first..).zip(run.iter().copied())).filter(|(_, entry)| *entry != UNALLOCATED)
}

/// Counts, and finds blocks that lie where no block can lie. Sorting makes the search for overlaps O(n log n).
fn survey(
    entries: Vec<u32>,
    header: &DynamicHeader,
    shape: BlockShape,
    disk_size: u64,
    headers_end: u64,
    blocks_limit: u64,
    deviations: &mut Vec<Deviation>,
) -> BlockTable {
    let mut found = Tally::default();
    let mut starts = Vec::new();
    let mut blocks_end = 0;
    for (block, entry) in allocated(&entries) {
        found.allocated = found.allocated.saturating_add(1);
        let start = u64::from(entry).saturating_mul(SECTOR);
        let end = start.saturating_add(shape.span());
        // The last block may reach past the disk's last byte; what lies there is never read.
        let used = disk_size.saturating_sub(block.saturating_mul(shape.size.get())).min(shape.size.get());
        let used_end = start.saturating_add(shape.bitmap).saturating_add(used);
        let at = header.table_offset.saturating_add(block.saturating_mul(4));
        if start < headers_end {
            found.in_header.note(at, block, start);
        } else if used_end > blocks_limit {
            found.past_end.note(at, block, start);
        } else {
            if end > blocks_limit {
                found.cut.note(at, block, start);
            }
            blocks_end = blocks_end.max(end.min(blocks_limit));
            starts.push(entry);
        }
    }
    starts.sort_unstable();
    let overlapping = overlaps(&starts, shape.span(), &mut found);
    let out_of_range = found.in_header.count.saturating_add(found.past_end.count);
    found.report(headers_end, blocks_limit, overlapping, deviations);
    BlockTable {
        entries: Arc::new(entries),
        claimed: header.max_table_entries,
        allocated: found.allocated,
        out_of_range,
        overlapping,
        blocks_end,
        shape,
    }
}

/// Blocks of the sorted starts that share bytes with a neighbour.
fn overlaps(starts: &[u32], span: u64, found: &mut Tally) -> u64 {
    let mut count = 0_u64;
    let mut last_counted = false;
    for pair in starts.windows(2) {
        let [low, high] = pair else { continue };
        let (low, high) = (u64::from(*low).saturating_mul(SECTOR), u64::from(*high).saturating_mul(SECTOR));
        let overlap = high.saturating_sub(low) < span;
        if overlap {
            if count == 0 {
                found.overlap_at = high;
            }
            count = count.saturating_add(if last_counted { 1 } else { 2 });
        }
        last_counted = overlap;
    }
    count
}

/// The first of its kind, and how many there are: a ruined table must not make a million facts.
#[derive(Debug, Default)]
struct First {
    count: u64,
    at: u64,
    block: u64,
    start: u64,
}

impl First {
    fn note(&mut self, at: u64, block: u64, start: u64) {
        if self.count == 0 {
            (self.at, self.block, self.start) = (at, block, start);
        }
        self.count = self.count.saturating_add(1);
    }

    fn deviation(&self, kind: Kind, expected: String) -> Option<Deviation> {
        let others = match self.count {
            0 => return None,
            1 => String::new(),
            n => format!(" ({} blocks in all)", n),
        };
        Some(Deviation::new(kind, self.at, 4, expected, format!("block {} at byte {}{others}", self.block, self.start)))
    }
}

#[derive(Debug, Default)]
struct Tally {
    allocated: u64,
    in_header: First,
    past_end: First,
    cut: First,
    overlap_at: u64,
}

impl Tally {
    fn report(&self, headers_end: u64, limit: u64, overlapping: u64, deviations: &mut Vec<Deviation>) {
        deviations.extend(self.in_header.deviation(Kind::BlockInHeader, format!("blocks from byte {headers_end} on")));
        deviations.extend(self.past_end.deviation(Kind::BlockPastEnd, format!("blocks that end by byte {limit}")));
        deviations.extend(self.cut.deviation(Kind::LastBlockCut, format!("a whole block before byte {limit}")));
        if overlapping > 0 {
            let found = format!("{overlapping} blocks that share bytes");
            deviations.push(Deviation::new(Kind::BlocksOverlap, self.overlap_at, SECTOR, "every block in a place of its own", found));
        }
    }
}
