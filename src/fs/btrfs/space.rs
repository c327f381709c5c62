//! Space that nothing uses: what no item of the extent tree covers within the chunks, and what no chunk takes of the device.
//!
//! `struct btrfs_block_group_item`, `btrfs_dev_extent` in `include/uapi/linux/btrfs_tree.h`; what is kept from allocation is that of
//! `btrfs_sb_offset` and `BTRFS_DEVICE_RANGE_RESERVED` in `fs/btrfs`. Every count that Btrfs keeps beside its items must agree, or nothing
//! is free. Roots that the superblock keeps from earlier transactions may lie in space that is free today: Btrfs itself overwrites them.

use super::super::Error;
use super::subvolume::Trees;
use super::superblock::{Place, Superblock};
use super::tree::{Key, Root, Volume};
use crate::bytes::{KIB, MIB};
use crate::fs::fields::le64;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

/// Trees that know about space, by number.
const EXTENT_TREE: u64 = 2;
const DEVICE_TREE: u64 = 4;
const BLOCK_GROUP_TREE: u64 = 11;
/// Used runs that are held in memory at most, touching ones taken as one.
const MAX_RUNS: usize = 1 << 22;
/// Places of the superblock and its copies, and how much is kept for each.
pub(in crate::fs) const SUPERBLOCKS: [u64; 3] = [64 * KIB, 64 * MIB, 256 * 1024 * MIB];
const STRIPE: u64 = 64 * KIB;
/// Nothing is allocated before this byte of a device.
const RESERVED: u64 = MIB;

/// A block group: a chunk, as the extent tree counts it.
#[derive(Debug, Clone, Copy)]
struct Group {
    len: u64,
    used: u64,
    kind: u64,
    /// What the extent items in it come to.
    found: u64,
}

/// Block groups by their first address.
type Groups = BTreeMap<u64, Group>;

/// Ranges of the device that nothing uses, in order and apart.
///
/// # Errors
///
/// When a tree is damaged, when counts disagree, or when the file system uses what is not known.
pub(in crate::fs) fn free(volume: &Volume, trees: &Trees) -> Result<Vec<Range<u64>>, Error> {
    let superblock = &volume.superblock;
    superblock.settled()?;
    let (groups, used) = used(volume, trees)?;
    let chunks: Vec<(u64, &Place)> = volume.chunks().collect();
    if chunks.len() != groups.len() {
        return Err(Error::Damaged(format!("{} chunks, {} block groups", chunks.len(), groups.len())));
    }
    let (mut taken, mut runs) = (stripes(volume, trees)?, used.iter().peekable());
    let mut free = Vec::new();
    for (start, chunk) in chunks {
        let group = groups.get(&start).filter(|group| (group.len, group.kind) == (chunk.len, chunk.kind));
        let group = group.ok_or_else(|| Error::Damaged(format!("chunk at {start}: no block group like it")))?;
        if group.found != group.used {
            let (counted, found) = (group.used, group.found);
            return Err(Error::Damaged(format!("block group {start}: {counted} bytes are said to be used, extents come to {found}")));
        }
        if chunk.copies.len() > 2 || (chunk.copies.len() == 2) != (chunk.kind & Place::TWICE != 0) {
            return Err(Error::Unsupported(format!("Btrfs with a chunk of {} stripes on one device", chunk.copies.len())));
        }
        for copy in &chunk.copies {
            if taken.remove(copy) != Some(chunk.len) {
                return Err(Error::Damaged(format!("chunk at {start}: the device has no extent for it at {copy}")));
            }
        }
        let (mut at, end) = (start, start.saturating_add(chunk.len));
        let mut gap = |from: u64, to: u64| {
            for copy in chunk.copies.iter().filter(|_| from < to) {
                let place = |logical: u64| copy.saturating_add(logical.saturating_sub(start));
                free.push(place(from)..place(to));
            }
        };
        while let Some(run) = runs.next_if(|run| run.start < end) {
            gap(at, run.start.min(end));
            at = run.end.min(end);
            if run.end > end {
                return Err(Error::Damaged(format!("block group {start}: an extent passes its end")));
            }
        }
        gap(at, end);
    }
    if let Some((at, _)) = taken.first_key_value() {
        return Err(Error::Damaged(format!("extent of the device at {at}: of no chunk")));
    }
    free.extend(unallocated(volume)?);
    Ok(without_reserved(free))
}

/// Block groups, and runs that extents use, touching ones as one unless they are of different groups.
fn used(volume: &Volume, trees: &Trees) -> Result<(Groups, Vec<Range<u64>>), Error> {
    let superblock = &volume.superblock;
    let apart = trees.other(BLOCK_GROUP_TREE).filter(|_| superblock.has_group_tree());
    let extents = root(trees, EXTENT_TREE)?;
    let mut groups = BTreeMap::new();
    volume.walk(apart.unwrap_or(extents), Key::new(0, 0, 0), &mut |key, item| {
        if key.kind == Key::GROUP {
            groups.insert(key.object, Group { len: key.offset, used: le64(item, 0), kind: le64(item, 16), found: 0 });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let mut runs: Vec<Range<u64>> = Vec::new();
    let mut total = 0_u64;
    volume.walk(extents, Key::new(0, 0, 0), &mut |key, _| {
        let len = match key.kind {
            Key::ALLOCATED => key.offset,
            Key::BLOCK => u64::from(superblock.node),
            _ => return Ok(ControlFlow::Continue(())),
        };
        let damaged = |what: &str| Error::Damaged(format!("extent at {}: {what}", key.object));
        let end = key.object.checked_add(len).filter(|_| len > 0).ok_or_else(|| damaged("impossible length"))?;
        let aligned = [key.object, len].iter().all(|value| value.checked_rem(superblock.sector) == Some(0));
        if !aligned {
            return Err(damaged("does not lie on sectors"));
        }
        let group = groups.range_mut(..=key.object).next_back().filter(|(start, group)| end <= start.saturating_add(group.len));
        let (start, group) = group.ok_or_else(|| damaged("in no block group"))?;
        group.found = group.found.saturating_add(len);
        total = total.saturating_add(len);
        match runs.last_mut() {
            Some(last) if last.end > key.object => return Err(damaged("overlaps the one before")),
            Some(last) if last.end == key.object && *start != key.object => last.end = end,
            _ => runs.push(key.object..end),
        }
        if runs.len() > MAX_RUNS {
            return Err(Error::Unsupported(format!("Btrfs with more than {MAX_RUNS} runs of used space")));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if total != superblock.used {
        return Err(Error::Damaged(format!("{} bytes are said to be used, extents come to {total}", superblock.used)));
    }
    // Whatever the items say, the trees that were read lie somewhere.
    let node = u64::from(superblock.node);
    for root in trees.roots().chain([superblock.roots, superblock.chunks]) {
        let before = runs.partition_point(|run| run.start <= root.at).checked_sub(1).and_then(|place| runs.get(place));
        if before.is_none_or(|run| root.at.saturating_add(node) > run.end) {
            return Err(Error::Damaged(format!("tree block at {}: no extent covers it", root.at)));
        }
    }
    Ok((groups, runs))
}

fn root(trees: &Trees, id: u64) -> Result<Root, Error> {
    trees.other(id).ok_or_else(|| Error::Damaged(format!("no tree {id}")))
}

/// Extents of the device, by their first byte.
fn stripes(volume: &Volume, trees: &Trees) -> Result<BTreeMap<u64, u64>, Error> {
    let (device, size) = (volume.superblock.device(), volume.superblock.device_size());
    let (mut found, mut last) = (BTreeMap::new(), 0);
    volume.items(root(trees, DEVICE_TREE)?, Key::new(device, Key::DEVICE_EXTENT, 0), &mut |at, item| {
        let len = le64(item, 24);
        let end = at.checked_add(len).filter(|end| len > 0 && *end <= size && at >= last);
        last = end.ok_or_else(|| Error::Damaged(format!("extent of the device at {at}: impossible place or length")))?;
        found.insert(at, len);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// What no chunk takes of the device.
fn unallocated(volume: &Volume) -> Result<Vec<Range<u64>>, Error> {
    let mut taken: Vec<Range<u64>> = Vec::new();
    for (_, chunk) in volume.chunks() {
        taken.extend(chunk.copies.iter().map(|copy| *copy..copy.saturating_add(chunk.len)));
    }
    taken.sort_by_key(|range| range.start);
    let (mut at, mut free) = (0, Vec::new());
    for range in taken {
        if range.start < at {
            return Err(Error::Damaged(format!("two chunks lie at byte {}", range.start)));
        }
        free.push(at..range.start);
        at = range.end;
    }
    free.push(at..volume.superblock.device_size());
    Ok(free)
}

/// The same ranges in order, without what is kept for superblocks and for whatever boots.
fn without_reserved(mut free: Vec<Range<u64>>) -> Vec<Range<u64>> {
    free.retain(|range| range.start < range.end);
    free.sort_by_key(|range| range.start);
    let mut kept: Vec<Range<u64>> = Vec::with_capacity(free.len());
    for range in free {
        let mut rest = range.start.max(RESERVED)..range.end;
        for at in SUPERBLOCKS {
            let end = at.saturating_add(STRIPE);
            if rest.start < end && at < rest.end {
                push(&mut kept, rest.start..at);
                rest.start = end;
            }
        }
        push(&mut kept, rest);
    }
    kept
}

fn push(kept: &mut Vec<Range<u64>>, range: Range<u64>) {
    if range.start >= range.end {
        return;
    }
    match kept.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => kept.push(range),
    }
}

impl Superblock {
    /// `compat_ro_flags`: free space tree, whether it is valid, fs-verity, block group tree.
    const KNOWN_TO_WRITERS: u64 = 0xf;
    const GROUP_TREE: u64 = 0x8;
    /// `flags`: written, relocated.
    const PLAIN: u64 = 0x3;

    pub(in crate::fs) fn has_group_tree(&self) -> bool {
        self.read_only_features & Self::GROUP_TREE != 0
    }

    /// Whether space is counted as is known here, by a file system at rest.
    ///
    /// # Errors
    ///
    /// When it is not: what stands against it, by name.
    pub(in crate::fs) fn settled(&self) -> Result<(), Error> {
        let what = if self.log.is_some() {
            "a log that holds work: start the guest and shut it down, so that it is replayed".to_owned()
        } else if self.flags & 1 << 32 != 0 {
            "a seed for other devices".to_owned()
        } else if self.flags & !Self::PLAIN != 0 {
            format!("flags {:#x} in its superblock: an error was recorded, or a conversion was begun", self.flags & !Self::PLAIN)
        } else if self.read_only_features & !Self::KNOWN_TO_WRITERS != 0 {
            format!("unknown read-only compatible features {:#x}", self.read_only_features & !Self::KNOWN_TO_WRITERS)
        } else {
            return Ok(());
        };
        Err(Error::Unsupported(format!("Btrfs with {what}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblocks_and_the_first_megabyte_are_never_free() {
        let free = without_reserved(vec![200 * MIB..300 * MIB, 0..100 * MIB, 300 * MIB..301 * MIB, 5..5]);
        assert_eq!(free, [MIB..64 * MIB, 64 * MIB + STRIPE..100 * MIB, 200 * MIB..301 * MIB]);
        let inside = 64 * MIB + 4 * KIB..64 * MIB + 8 * KIB;
        assert_eq!(
            without_reserved(vec![inside, 10..MIB, 63 * MIB..64 * MIB + 1]),
            std::iter::once(63 * MIB..64 * MIB).collect::<Vec<_>>()
        );
        let third = 256 * 1024 * MIB;
        assert_eq!(
            without_reserved(std::iter::once(third..third + MIB).collect()),
            std::iter::once(third + STRIPE..third + MIB).collect::<Vec<_>>()
        );
    }
}
