//! Where a file's blocks are: extent trees, and the block pointers of ext2 and ext3.
//!
//! `Documentation/filesystems/ext4/ifork.rst` of the Linux kernel. Both are asked for one block and answer with the run of blocks
//! that it begins, so that long runs cost one look-up.

use super::checksum::crc32c;
use super::disk::Disk;
use super::field::{joined, le16, le32};
use super::inode::Inode;
use crate::fs::Error;
use std::ops::Range;

/// Blocks that a file can have.
const MOST: u64 = 1 << 32;

/// A run of blocks that lie together, or of none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// How many there are.
    pub(super) count: u64,
    /// The first; `None` for holes and for blocks that were never written, which read as zeros.
    pub(super) first: Option<u64>,
}

/// The run that begins at a file's block.
pub(super) fn run(disk: &Disk, inode: &Inode, block: u64) -> Result<Run, Error> {
    let run = if inode.extents() { extent(disk, inode, block)? } else { pointer(disk, inode, block)? };
    match run.first {
        Some(first) if !disk.holds(first, run.count) => {
            Err(inode.damaged(format!("its block {block} is block {first} of {}", disk.superblock.blocks)))
        }
        _ if run.count == 0 => Err(inode.damaged(format!("nothing can be known of its block {block}"))),
        _ => Ok(run),
    }
}

/// Everything that a file's content occupies, in the order of the file: its first block in the file, and the blocks of the disk.
pub(super) fn runs(disk: &Disk, inode: &Inode) -> Result<Vec<(u64, Range<u64>)>, Error> {
    let end = inode.blocks(disk.superblock.block_size);
    let (mut at, mut found, mut taken, mut steps) = (0, Vec::new(), 0_u64, 0_u64);
    while at < end {
        let run = run(disk, inode, at)?;
        let count = run.count.min(end.saturating_sub(at));
        if let Some(first) = run.first {
            found.push((at, first..first.saturating_add(count)));
            taken = taken.saturating_add(count);
        }
        (at, steps) = (at.saturating_add(count), steps.saturating_add(1));
        // No block belongs to a file twice; and between blocks there are at most as many holes.
        if taken > disk.superblock.blocks || steps > disk.superblock.blocks.saturating_mul(2).saturating_add(MOST_HOLES) {
            return Err(inode.damaged("it has more blocks than there are"));
        }
    }
    Ok(found)
}

/// Runs of holes that may follow each other: each ends where a block of pointers does.
const MOST_HOLES: u64 = 1 << 20;

/// Levels below a tree's root.
const MAX_DEPTH: u16 = 5;
const NODE_MAGIC: u16 = 0xf30a;
/// Extents longer than this were never written, and are so much shorter.
const WRITTEN: u16 = 32_768;
const ENTRY: usize = 12;

/// Finds a block in an extent tree.
fn extent(disk: &Disk, inode: &Inode, block: u64) -> Result<Run, Error> {
    let mut node = inode.block().to_vec();
    let mut place = "the inode".to_owned();
    let mut depth = None;
    // Where the next subtree to the right begins: a hole reaches no further.
    let mut limit = MOST;
    loop {
        let damaged = |what: String| inode.damaged(format!("extent tree, node in {place}: {what}"));
        let [magic, entries, room, level] = [0, 2, 4, 6].map(|at| le16(&node, at));
        if magic != NODE_MAGIC {
            return Err(damaged(format!("magic {magic:#06x}")));
        }
        if level > MAX_DEPTH || depth.is_some_and(|above: u16| above.checked_sub(1) != Some(level)) {
            return Err(damaged(format!("level {level} is not the next")));
        }
        let (head, list) = node.split_at_checked(ENTRY).unwrap_or((&node, &[]));
        if entries > room || usize::from(room).saturating_mul(ENTRY) > list.len() {
            return Err(damaged(format!("{entries} entries of {room} in {} bytes", head.len().saturating_add(list.len()))));
        }
        let list = list.chunks_exact(ENTRY).take(usize::from(entries));
        if level == 0 {
            return leaf(list, block, limit).map_err(damaged);
        }
        let mut below = None;
        let mut last = None;
        for entry in list {
            let first = u64::from(le32(entry, 0));
            if last.is_some_and(|last| first <= last) {
                return Err(damaged(format!("the entry of block {first} is out of order")));
            }
            last = Some(first);
            if first <= block {
                below = Some(joined(u32::from(le16(entry, 8)), le32(entry, 4)));
            } else {
                limit = limit.min(first);
            }
        }
        let Some(child) = below else {
            // Before the first subtree there is only a hole.
            return if last.is_some() {
                Ok(Run { count: limit.saturating_sub(block), first: None })
            } else {
                Err(damaged("no entries".to_owned()))
            };
        };
        if !disk.holds(child, 1) {
            return Err(damaged(format!("leads to block {child} of {}", disk.superblock.blocks)));
        }
        node = disk.block(child)?;
        place = format!("block {child}");
        depth = Some(level);
        if let Some(seed) = inode.seed {
            // The checksum follows the room for entries.
            let end = usize::from(le16(&node, 4)).saturating_add(1).saturating_mul(ENTRY);
            if crc32c(seed, node.get(..end).unwrap_or(&node)) != le32(&node, end) {
                return Err(inode.damaged(format!("extent tree, node in {place}: its checksum is wrong")));
            }
        }
    }
}

/// Finds a block among the extents of a leaf.
fn leaf<'a>(list: impl Iterator<Item = &'a [u8]>, block: u64, limit: u64) -> Result<Run, String> {
    let (mut end, mut found) = (0, None);
    for entry in list {
        let (first, len) = (u64::from(le32(entry, 0)), le16(entry, 4));
        let (count, written) = if len > WRITTEN { (len.saturating_sub(WRITTEN), false) } else { (len, true) };
        if count == 0 || first < end {
            return Err(format!("the extent of block {first} is empty or out of order"));
        }
        end = first.saturating_add(u64::from(count));
        if found.is_some() || block >= end {
            continue;
        }
        found = Some(if block < first {
            Run { count: first.min(limit).saturating_sub(block), first: None }
        } else {
            let start = joined(u32::from(le16(entry, 6)), le32(entry, 8)).saturating_add(block.saturating_sub(first));
            Run { count: end.saturating_sub(block), first: written.then_some(start) }
        });
    }
    Ok(found.unwrap_or(Run { count: limit.saturating_sub(block), first: None }))
}

/// Block numbers that the inode itself holds; the three behind them lead to blocks of numbers.
const DIRECT: u64 = 12;

/// Finds a block through block pointers.
fn pointer(disk: &Disk, inode: &Inode, block: u64) -> Result<Run, Error> {
    if block < DIRECT {
        let numbers = inode.block().get(..48).unwrap_or_default();
        return Ok(pointers(numbers, block));
    }
    let per_block = disk.superblock.block_size / 4;
    let mut within = block.saturating_sub(DIRECT);
    let mut spans = per_block;
    for level in 0_usize..3 {
        if within >= spans {
            within = within.saturating_sub(spans);
            spans = spans.saturating_mul(per_block);
            continue;
        }
        let mut number = u64::from(le32(inode.block(), level.saturating_add(12).saturating_mul(4)));
        // Each step down leads to a block whose every number spans so many blocks.
        for _ in 0..=level {
            if number == 0 {
                return Ok(Run { count: spans.saturating_sub(within), first: None });
            }
            if !disk.holds(number, 1) {
                return Err(inode.damaged(format!("a block of pointers at block {number} of {}", disk.superblock.blocks)));
            }
            let numbers = disk.block(number)?;
            spans = spans.checked_div(per_block).unwrap_or_default().max(1);
            let index = within.checked_div(spans).unwrap_or_default();
            if spans == 1 {
                return Ok(pointers(&numbers, index));
            }
            within = within.checked_rem(spans).unwrap_or_default();
            number = u64::from(le32(&numbers, crate::bytes::int_usize(index.saturating_mul(4))));
        }
    }
    Err(inode.damaged(format!("block {block} is beyond what pointers reach")))
}

/// The run that begins at an index of a list of block numbers.
fn pointers(numbers: &[u8], index: u64) -> Run {
    let mut list = numbers.chunks_exact(4).map(|number| u64::from(le32(number, 0))).skip(crate::bytes::int_usize(index));
    let Some(first) = list.next() else { return Run { count: 0, first: None } };
    let follows = |(number, ahead): &(u64, u64)| if first == 0 { *number == 0 } else { *number == first.saturating_add(*ahead) };
    let more = list.zip(1_u64..).take_while(follows).count();
    Run { count: crate::bytes::int_u64(more).saturating_add(1), first: (first != 0).then_some(first) }
}
