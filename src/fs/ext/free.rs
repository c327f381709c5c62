//! Free space: what the bitmaps say, held against the counts and against everything whose place is known.
//!
//! `Documentation/filesystems/ext4/bitmaps.rst` of the Linux kernel; bitmaps that were never written are computed as its
//! `ext4_init_block_bitmap` does it. The body of an empty journal is idle: what is in it is never read again, and zeros are what mke2fs leaves
//! there. Where there is work in the journal its body is not, and neither is it before that work was done.

use super::checksum::crc32c;
use super::disk::{Descriptor, Disk};
use super::field::{le32, part};
use super::{journal, map};
use crate::bytes::int_usize;
use crate::fs::Error;
use std::ops::Range;

/// Inode of the blocks that are kept for growing.
const RESIZE: u64 = 7;

/// Finds what is free, in bytes; `recovered` where a journal was replayed, which leaves the superblock's count stale.
pub(super) fn find(disk: &Disk, recovered: bool) -> Result<Vec<Range<u64>>, Error> {
    let superblock = &disk.superblock;
    if !superblock.orderly() {
        return Err(Error::Unsupported("free space of a file system that was not unmounted, or has errors; run e2fsck first".to_owned()));
    }
    let mut free: Vec<Range<u64>> = Vec::new();
    let (mut fixed, mut sum) = (Vec::new(), 0_u64);
    for group in 0..superblock.groups {
        let descriptor = disk.descriptor(group)?;
        let blocks = superblock.group(group);
        fixed.push(blocks.start..blocks.start.saturating_add(superblock.head(group)));
        for (start, len) in [(descriptor.bitmap, 1), (descriptor.inode_bitmap, 1), (descriptor.inode_table, superblock.table())] {
            if !disk.holds(start, len) {
                return Err(Error::Damaged(format!("group {group}: {len} blocks of its own at block {start} of {}", superblock.blocks)));
            }
            fixed.push(start..start.saturating_add(len));
        }
        let clusters = of_group(disk, group, &descriptor, &mut |run| match free.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => free.push(run),
        })?;
        if clusters != descriptor.free_clusters {
            let counted = descriptor.free_clusters;
            return Err(Error::Damaged(format!("group {group}: {counted} clusters are counted as free, {clusters} are in its bitmap")));
        }
        sum = sum.saturating_add(clusters);
    }
    let blocks = sum.saturating_mul(superblock.cluster);
    if !recovered && blocks != superblock.free_blocks {
        let counted = superblock.free_blocks;
        return Err(Error::Damaged(format!("{counted} blocks are counted as free, {blocks} are in the bitmaps of the groups")));
    }
    if superblock.journal != 0 {
        let inode = disk.inode(u64::from(superblock.journal))?;
        fixed.extend(map::runs(disk, &inode)?.into_iter().map(|(_, run)| run));
    }
    if let Ok(inode) = disk.inode(RESIZE)
        && !inode.extents()
    {
        let number = u64::from(le32(inode.block(), 13 * 4));
        fixed.extend((number != 0).then_some(number..number.saturating_add(1)));
    }
    apart(&free, fixed)?;
    Ok(bytes(disk, free))
}

/// The body of an empty journal, in bytes; nothing where a journal was replayed that is still to be emptied.
pub(super) fn idle(disk: &Disk, recovered: bool) -> Result<Vec<Range<u64>>, Error> {
    let runs = if disk.superblock.journal == 0 || recovered { vec![] } else { journal::body(disk)? };
    Ok(bytes(disk, runs))
}

/// Blocks as bytes, in order and apart.
fn bytes(disk: &Disk, runs: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let size = disk.superblock.block_size;
    merged(runs).into_iter().map(|run| run.start.saturating_mul(size)..run.end.saturating_mul(size)).collect()
}

/// Gives the free blocks of a group to `each`, run by run in order, and counts their clusters.
fn of_group(disk: &Disk, group: u64, descriptor: &Descriptor, each: &mut dyn FnMut(Range<u64>)) -> Result<u64, Error> {
    let superblock = &disk.superblock;
    let blocks = superblock.group(group);
    let cluster = superblock.cluster;
    let clusters = blocks.end.saturating_sub(blocks.start).div_ceil(cluster);
    let bitmap = if descriptor.unwritten { computed(disk, group, descriptor) } else { read(disk, group, descriptor)? };
    let mut count = 0_u64;
    let bits = bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    let (mut at, mut start) = (blocks.start, None);
    for used in bits.take(int_usize(clusters)).chain([true]) {
        match (used, start) {
            (false, None) => start = Some(at),
            (true, Some(first)) => {
                each(first..at.min(blocks.end));
                start = None;
            }
            _ => {}
        }
        count = count.saturating_add(u64::from(!used));
        at = at.saturating_add(cluster);
    }
    Ok(count)
}

/// A bitmap as it lies on the disk, checked.
fn read(disk: &Disk, group: u64, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let bitmap = disk.block(descriptor.bitmap)?;
    if let Some(seed) = disk.superblock.seed() {
        let sum = crc32c(seed, part(&bitmap, 0, int_usize(disk.superblock.clusters_per_group() / 8)));
        let [a, b, c, d] = sum.to_le_bytes();
        let (low, high) = descriptor.sum;
        if u16::from_le_bytes([a, b]) != low || high.is_some_and(|high| high != u16::from_le_bytes([c, d])) {
            return Err(Error::Damaged(format!("group {group}: the checksum of its bitmap is wrong")));
        }
    }
    Ok(bitmap)
}

/// The bitmap of a group whose bitmap was never written: used is what lies there by the layout of the file system.
fn computed(disk: &Disk, group: u64, descriptor: &Descriptor) -> Vec<u8> {
    let superblock = &disk.superblock;
    let blocks = superblock.group(group);
    let mut bitmap = vec![0_u8; int_usize(superblock.block_size)];
    let own = [(descriptor.bitmap, 1), (descriptor.inode_bitmap, 1), (descriptor.inode_table, superblock.table())];
    let used = own.into_iter().chain([(blocks.start, superblock.head(group))]);
    for (start, len) in used {
        let end = start.saturating_add(len).min(blocks.end);
        if start < blocks.start {
            continue;
        }
        let first = start.saturating_sub(blocks.start).checked_div(superblock.cluster).unwrap_or_default();
        let behind = end.saturating_sub(blocks.start).div_ceil(superblock.cluster);
        for bit in first..behind {
            if let Some(byte) = bitmap.get_mut(int_usize(bit / 8)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
    bitmap
}

/// Fails if something free is where the file system keeps itself.
fn apart(free: &[Range<u64>], fixed: Vec<Range<u64>>) -> Result<(), Error> {
    for own in fixed.into_iter().filter(|own| !own.is_empty()) {
        let next = free.partition_point(|run| run.end <= own.start);
        if let Some(run) = free.get(next).filter(|run| run.start < own.end) {
            let at = run.start.max(own.start);
            return Err(Error::Damaged(format!("block {at} is called free, and holds a structure of the file system")));
        }
    }
    Ok(())
}

/// The same ranges in order, none touching the next.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
