//! Free space: what the two trees of every allocation group say, held against each other and against the counts beside them.
//!
//! `struct xfs_agf`, `xfs_alloc_rec`, `xfs_btree_block` in `fs/xfs/libxfs/xfs_format.h`.

use super::super::Error;
use super::Volume;
use super::fields::{array, be16, be32, be64, part, sealed};
use super::geometry::load;
use crate::bytes::int_usize;
use std::collections::BTreeSet;
use std::ops::Range;

/// Free runs of all groups at most, which take 256 MiB.
const MAX_RUNS: usize = 1 << 24;
/// More levels than any tree of free space has.
const MAX_LEVELS: u32 = 9;

/// What the header of an allocation group says of its free space.
#[derive(Debug)]
pub(super) struct Group {
    number: u64,
    /// Roots and levels of the trees by place and by length.
    roots: [(u32, u32); 2],
    /// Blocks kept for the trees of the group.
    listed: u32,
    /// Free blocks, and those of the longest run.
    blocks: u32,
    longest: u32,
    /// Blocks that the trees themselves take.
    trees: u32,
}

impl Group {
    /// Reads the header of an allocation group.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub(super) fn read(volume: &Volume, number: u64) -> Result<Self, Error> {
        let geometry = &volume.geometry;
        let damaged = |what: &str| Error::Damaged(format!("free space of allocation group {number}: {what}"));
        let header = load(&*volume.bytes, geometry.group_at(number).saturating_add(geometry.sector), int_usize(geometry.sector))?;
        if !header.starts_with(b"XAGF") || u64::from(be32(&header, 8)) != number {
            return Err(damaged("no header"));
        }
        if geometry.checked && !sealed(&header, 216) {
            return Err(damaged("checksum is wrong"));
        }
        let group = Self {
            number,
            roots: [(be32(&header, 16), be32(&header, 28)), (be32(&header, 20), be32(&header, 32))],
            listed: be32(&header, 48),
            blocks: be32(&header, 52),
            longest: be32(&header, 56),
            trees: be32(&header, 60),
        };
        if group.free() > geometry.group_length(number) || u64::from(be32(&header, 12)) != geometry.group_length(number) {
            return Err(damaged("more than all of its blocks"));
        }
        Ok(group)
    }

    /// Free blocks. Blocks kept for its own trees count as free.
    pub(super) fn free(&self) -> u64 {
        u64::from(self.blocks).saturating_add(u64::from(self.listed)).saturating_add(u64::from(self.trees))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged(format!("free space of allocation group {}: {what}", self.number))
    }

    /// The runs that one of the trees has, in its order; its own blocks are added to `own`.
    fn tree(&self, volume: &Volume, by_length: bool, own: &mut BTreeSet<u32>) -> Result<Vec<(u32, u32)>, Error> {
        let [by_place, length] = self.roots;
        let (root, levels) = if by_length { length } else { by_place };
        let magic = match (volume.geometry.checked, by_length) {
            (true, false) => b"AB3B",
            (true, true) => b"AB3C",
            (false, false) => b"ABTB",
            (false, true) => b"ABTC",
        };
        if !(1..=MAX_LEVELS).contains(&levels) {
            return Err(self.damaged("impossible depth of a tree"));
        }
        let mut runs = Vec::new();
        let mut waiting = vec![(root, levels.saturating_sub(1))];
        while let Some((block, level)) = waiting.pop() {
            if !own.insert(block) {
                return Err(self.damaged("two nodes of its trees are one block"));
            }
            let node = self.node(volume, block, *magic, level)?;
            let count = usize::from(be16(&node, 6));
            let records = node.get(if volume.geometry.checked { 56 } else { 16 }..).unwrap_or_default();
            let short = || self.damaged("a node of a tree is too full");
            if level > 0 {
                // Keys of 8 bytes, then pointers of 4, each array as long as fits.
                let pointers = part(records, (records.len() / 12).saturating_mul(8), count.saturating_mul(4));
                let pointers = pointers.filter(|_| count <= records.len() / 12 && count > 0).ok_or_else(short)?;
                waiting.extend(pointers.as_chunks::<4>().0.iter().rev().map(|to| (u32::from_be_bytes(*to), level.saturating_sub(1))));
            } else {
                let records = part(records, 0, count.saturating_mul(8)).ok_or_else(short)?;
                runs.extend(records.as_chunks::<8>().0.iter().map(|record| (be32(record, 0), be32(record, 4))));
            }
        }
        Ok(runs)
    }

    fn node(&self, volume: &Volume, block: u32, magic: [u8; 4], level: u32) -> Result<Vec<u8>, Error> {
        let geometry = &volume.geometry;
        let at = geometry.place(geometry.number(self.number, u64::from(block)), 1);
        let at = at.filter(|_| u64::from(block) < geometry.group).ok_or_else(|| self.damaged("a node of a tree lies outside"))?;
        let node = load(&*volume.bytes, at, geometry.block_len())?;
        if !node.starts_with(&magic) || u32::from(be16(&node, 4)) != level {
            return Err(self.damaged(&format!("block {block} is no node of its tree")));
        }
        let proven = !geometry.checked
            || (sealed(&node, 52)
                && be64(&node, 16) == at / 512
                && array(&node, 32) == geometry.meta_uuid
                && u64::from(be32(&node, 48)) == self.number);
        if proven { Ok(node) } else { Err(self.damaged(&format!("block {block}: checksum or place is wrong"))) }
    }

    /// Its free runs, as bytes of the file system.
    fn runs(&self, volume: &Volume) -> Result<Vec<Range<u64>>, Error> {
        let geometry = &volume.geometry;
        let mut own = BTreeSet::new();
        let runs = self.tree(volume, false, &mut own)?;
        let mut by_length = self.tree(volume, true, &mut own)?;
        if !by_length.is_sorted_by_key(|(start, count)| (*count, *start)) {
            return Err(self.damaged("runs by length are out of order"));
        }
        by_length.sort_unstable();
        if by_length != runs {
            return Err(self.damaged("its two trees disagree"));
        }
        let total: u64 = runs.iter().map(|(_, count)| u64::from(*count)).sum();
        let longest = runs.iter().map(|(_, count)| *count).max().unwrap_or_default();
        if total != u64::from(self.blocks) || longest != self.longest {
            let (blocks, kept) = (self.blocks, self.longest);
            return Err(self.damaged(&format!("runs of {total} blocks, at most {longest}, where {blocks}, at most {kept}, are counted")));
        }
        let mut end = 0;
        let mut free = Vec::with_capacity(runs.len());
        for (start, count) in runs {
            let next = start.checked_add(count).ok_or_else(|| self.damaged("a run passes the end"))?;
            // Runs that touch are one.
            if count == 0 || (end > 0 && start <= end) {
                return Err(self.damaged("runs are out of order"));
            }
            if own.range(start..next).next().is_some() {
                return Err(self.damaged("a run holds a node of its trees"));
            }
            let at = geometry.place(geometry.number(self.number, u64::from(start)), u64::from(count));
            let at = at.ok_or_else(|| self.damaged("a run lies outside, or over its headers"))?;
            let run = at..at.saturating_add(u64::from(count).saturating_mul(geometry.block));
            let (log, length) = geometry.log;
            if run.start < log.saturating_add(length) && log < run.end {
                return Err(self.damaged("a run lies over the log"));
            }
            free.push(run);
            end = next;
        }
        Ok(free)
    }
}

/// What is free, in order. The counts of the superblock are believed only after an orderly unmount, or where they are kept up all the time.
///
/// # Errors
///
/// When anything disagrees.
pub(super) fn free(volume: &Volume, clean: bool) -> Result<Vec<Range<u64>>, Error> {
    let geometry = &volume.geometry;
    if geometry.groups > super::MAX_GROUPS {
        return Err(Error::Unsupported(format!("free space of more than {} allocation groups", super::MAX_GROUPS)));
    }
    let (mut free, mut blocks, mut listed) = (Vec::new(), 0_u64, 0_u64);
    for number in 0..geometry.groups {
        let group = Group::read(volume, number)?;
        blocks = blocks.saturating_add(u64::from(group.blocks)).saturating_add(u64::from(group.listed));
        listed = listed.saturating_add(u64::from(group.trees));
        free.extend(group.runs(volume)?);
        if free.len() > MAX_RUNS {
            return Err(Error::Unsupported(format!("free space in more than {MAX_RUNS} runs")));
        }
    }
    let superblock = load(&*volume.bytes, 0, 512)?;
    // `sb_features2`, bit 1: counts are written at unmount, and then with the blocks of trees.
    let lazy = be32(&superblock, 200) & 0x2 != 0;
    let counted = if lazy { blocks.saturating_add(listed) } else { blocks };
    let stored = be64(&superblock, 144);
    if (clean || !lazy) && stored != counted {
        return Err(Error::Damaged(format!("superblock: counts {stored} free blocks, allocation groups {counted}")));
    }
    Ok(free)
}
