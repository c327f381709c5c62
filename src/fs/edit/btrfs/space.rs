//! Who uses what: extents, block groups, and the free space tree.
//!
//! `struct btrfs_extent_item`, `btrfs_extent_inline_ref`, `btrfs_free_space_info` in `include/uapi/linux/btrfs_tree.h`.

use super::block::{add64, put, put32, put64, signed};
use super::forest::{EXTENT_TREE, FREE_SPACE_TREE, Forest, GROUP_TREE, ROOT_TREE, Work};
use crate::bytes::{KIB, int_usize};
use crate::fs::Error;
use crate::fs::btrfs::space::SUPERBLOCKS;
use crate::fs::btrfs::tree::Key;
use crate::fs::fields::{byte, le32, le64};
use std::collections::BTreeMap;

/// `flags` of an extent: data, a tree block, references by parents.
pub(super) const DATA: u64 = 1;
const TREE_BLOCK: u64 = 2;
const BY_PARENT: u64 = 1 << 8;
/// Bytes of an extent item before its references.
pub(super) const EXTENT: usize = 24;
/// Bytes of key and level that a tree block has there without skinny metadata.
const BLOCK_FIELDS: usize = 18;
/// Kinds of references.
const BLOCK_REFERENCE: u8 = 176;
pub(super) const DATA_REFERENCE: u8 = 178;
/// The last kind of item that says who uses an extent.
const LAST_REFERENCE: u8 = 188;
/// `type` of a block group: metadata.
const METADATA: u64 = 4;
/// Kinds of items of the free space tree; and a flag: by bits.
const SPACE: u8 = 198;
const SPACE_EXTENT: u8 = 199;
const SPACE_BITS: u8 = 200;
const BY_BITS: u32 = 1;
/// `bytes_used` of a root.
const ROOT_USED: usize = 192;
/// What is kept for a superblock.
const STRIPE: u64 = 64 * KIB;
/// Steps that one change may need, for file systems that have no end.
const MAX_WORK: usize = 1 << 16;

/// References of an inode to an extent of data: the place of the extent in the file, had it no skip, and how many.
pub(super) type References = BTreeMap<u64, u32>;

impl Forest {
    /// Demands that a block belongs to this tree alone.
    ///
    /// # Errors
    ///
    /// When a snapshot or another tree uses it too.
    pub(super) fn alone(&mut self, tree: u64, at: u64) -> Result<(), Error> {
        if self.own.contains(&at) {
            return Ok(());
        }
        let (key, item) = self.block_item(at)?;
        let shared = || Error::Unsupported(format!("tree block at {at}: a snapshot or another subvolume shares it"));
        let fields = if key.kind == Key::BLOCK { EXTENT } else { EXTENT.saturating_add(BLOCK_FIELDS) };
        let (references, flags) = (le64(&item, 0), le64(&item, 16));
        if flags & TREE_BLOCK == 0 {
            return Err(Error::Damaged(format!("tree block at {at}: its extent is not one of a tree")));
        }
        if references != 1 || flags & BY_PARENT != 0 {
            return Err(shared());
        }
        let known = match item.get(fields..).unwrap_or_default() {
            [] => self.get(EXTENT_TREE, Key::new(at, BLOCK_REFERENCE, tree))?.is_some(),
            reference => byte(reference, 0) == BLOCK_REFERENCE && le64(reference, 1) == tree && reference.len() == 9,
        };
        if !known {
            return Err(shared());
        }
        self.own.insert(at);
        Ok(())
    }

    /// The extent item of a tree block.
    fn block_item(&mut self, at: u64) -> Result<(Key, Vec<u8>), Error> {
        let found = self.next(EXTENT_TREE, Key::new(at, Key::ALLOCATED, 0))?;
        let found = found.filter(|(key, item)| key.object == at && matches!(key.kind, Key::ALLOCATED | Key::BLOCK) && item.len() >= EXTENT);
        found.ok_or_else(|| Error::Damaged(format!("tree block at {at}: no extent item")))
    }

    /// Does what is still to be done in the trees that know about space.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        let node = u64::from(self.volume.superblock.node);
        for _ in 0..MAX_WORK {
            let Some(work) = self.work.pop_front() else { return Ok(()) };
            match work {
                Work::Freed { tree, at, level } => {
                    let (key, _) = self.block_item(at)?;
                    let expected = if key.kind == Key::BLOCK { u64::from(level) } else { node };
                    if key.offset != expected {
                        return Err(Error::Damaged(format!("tree block at {at}: its extent item says another size or height")));
                    }
                    self.own.remove(&at);
                    let reference = Key::new(at, BLOCK_REFERENCE, tree);
                    if self.get(EXTENT_TREE, reference)?.is_some() {
                        self.remove(EXTENT_TREE, reference)?;
                    }
                    self.remove(EXTENT_TREE, key)?;
                    self.count_block(tree, at, signed(node).saturating_neg())?;
                    self.give(at, node)?;
                }
                Work::Taken { tree, at } => {
                    let mut item = vec![0; EXTENT];
                    for (field, value) in [(0, 1), (8, self.generation), (16, TREE_BLOCK)] {
                        put64(&mut item, field, value);
                    }
                    item.push(BLOCK_REFERENCE);
                    item.extend(tree.to_le_bytes());
                    self.insert(EXTENT_TREE, Key::new(at, Key::BLOCK, 0), item)?;
                    self.taken.remove(&at);
                    self.count_block(tree, at, signed(node))?;
                    self.take(at, node)?;
                }
            }
        }
        Err(Error::Damaged("the trees that know about space come to no end".to_owned()))
    }

    /// Counts a tree block in its group, the file system and its tree.
    fn count_block(&mut self, tree: u64, at: u64, change: i64) -> Result<(), Error> {
        self.count(at, change)?;
        if tree == ROOT_TREE {
            return Ok(());
        }
        let found = self.next(ROOT_TREE, Key::new(tree, Key::ROOT, 0))?.filter(|(key, _)| (key.object, key.kind) == (tree, Key::ROOT));
        let (key, mut item) = found.ok_or_else(|| Error::Damaged(format!("tree {tree}: no root item")))?;
        add64(&mut item, ROOT_USED, change, "a tree")?;
        self.set(ROOT_TREE, key, item)
    }

    /// Counts bytes in their block group and the file system.
    pub(super) fn count(&mut self, at: u64, change: i64) -> Result<(), Error> {
        let (start, len, _) = self.group(at)?;
        let tree = if self.group_tree { GROUP_TREE } else { EXTENT_TREE };
        let key = Key::new(start, Key::GROUP, len);
        let mut item = self.need(tree, key)?;
        add64(&mut item, 0, change, "a block group")?;
        self.set(tree, key, item)?;
        let used = self.used.checked_add_signed(change);
        self.used = used.ok_or_else(|| Error::Damaged("less is used than is freed".to_owned()))?;
        Ok(())
    }

    /// First address, length and kind of the block group of an address.
    fn group(&self, at: u64) -> Result<(u64, u64, u64), Error> {
        let group = self.volume.chunks().take_while(|(start, _)| *start <= at).last();
        let (start, chunk) = group.ok_or_else(|| Error::Damaged(format!("address {at}: in no block group")))?;
        Ok((start, chunk.len, chunk.kind))
    }

    /// Finds a place for a tree block, and takes it; `None` where there is none.
    pub(super) fn allocate(&mut self) -> Result<Option<u64>, Error> {
        if !self.skinny {
            return Ok(None);
        }
        let node = u64::from(self.volume.superblock.node);
        let groups: Vec<(u64, u64)> = self
            .volume
            .chunks()
            .filter(|(_, chunk)| chunk.kind & METADATA != 0)
            .map(|(start, chunk)| (start, start.saturating_add(chunk.len)))
            .collect();
        for (start, end) in groups {
            let mut candidate = start.next_multiple_of(node);
            let mut key = Key::new(start, 0, 0);
            loop {
                let next = self.next(EXTENT_TREE, key)?.filter(|(key, _)| key.object < end);
                let stop = next.as_ref().map_or(end, |(key, _)| key.object);
                while candidate.saturating_add(node) <= stop {
                    if !self.taken.contains(&candidate) && !self.beside_superblock(candidate, node) {
                        self.taken.insert(candidate);
                        return Ok(Some(candidate));
                    }
                    candidate = candidate.saturating_add(node);
                }
                let Some((found, _)) = next else { break };
                let len = match found.kind {
                    Key::ALLOCATED => found.offset,
                    Key::BLOCK => node,
                    _ => 0,
                };
                candidate = candidate.max(found.object.saturating_add(len).checked_next_multiple_of(node).unwrap_or(end));
                key = after(found);
            }
        }
        Ok(None)
    }

    /// Whether bytes touch what is kept for a superblock.
    pub(super) fn beside_superblock(&self, at: u64, len: u64) -> bool {
        let overlaps = |place: u64| SUPERBLOCKS.iter().any(|sb| place < sb.saturating_add(STRIPE) && *sb < place.saturating_add(len));
        self.volume.places(at, len).into_iter().any(overlaps)
    }

    /// Whether this inode alone uses an extent of data, with exactly these references.
    ///
    /// # Errors
    ///
    /// When others use it too.
    pub(super) fn alone_in(&mut self, tree: u64, inode: u64, extent: (u64, u64), references: &References) -> Result<Vec<Key>, Error> {
        let (at, len) = extent;
        let damaged = |what: &str| Error::Damaged(format!("extent at {at}: {what}"));
        let shared = || Error::Unsupported(format!("inode {inode}: a snapshot or another file shares an extent of it"));
        let key = Key::new(at, Key::ALLOCATED, len);
        let item = self.get(EXTENT_TREE, key)?.filter(|item| item.len() >= EXTENT).ok_or_else(|| damaged("no extent item"))?;
        if le64(&item, 16) != DATA {
            return Err(damaged("is not one of data"));
        }
        let all: u64 = references.values().map(|count| u64::from(*count)).sum();
        let mut found = References::new();
        let mut note = |reference: &[u8]| -> Result<(), Error> {
            if le64(reference, 0) != tree || le64(reference, 8) != inode || found.insert(le64(reference, 16), le32(reference, 24)).is_some()
            {
                return Err(shared());
            }
            Ok(())
        };
        let (inline, rest) = item.get(EXTENT..).unwrap_or_default().as_chunks::<29>();
        for reference in inline {
            if byte(reference, 0) != DATA_REFERENCE {
                return Err(shared());
            }
            note(reference.get(1..).unwrap_or_default())?;
        }
        if !rest.is_empty() {
            return Err(shared());
        }
        let mut keys = vec![key];
        while let Some((next, item)) = self.next(EXTENT_TREE, after(keys.last().copied().unwrap_or(key)))?
            && next.object == at
            && next.kind <= LAST_REFERENCE
        {
            if next.kind != DATA_REFERENCE || item.len() != 28 {
                return Err(shared());
            }
            note(&item)?;
            keys.push(next);
        }
        if found != *references || le64(&item, 0) != all {
            return Err(shared());
        }
        Ok(keys)
    }

    /// Frees an extent of data that this inode alone uses.
    ///
    /// # Errors
    ///
    /// As [`Forest::alone_in`].
    pub(super) fn free_data(&mut self, tree: u64, inode: u64, extent: (u64, u64), references: &References) -> Result<(), Error> {
        let (at, len) = extent;
        for key in self.alone_in(tree, inode, extent, references)? {
            self.remove(EXTENT_TREE, key)?;
        }
        self.content.remove(&at);
        self.drop_sums(at, at.saturating_add(len))?;
        self.count(at, signed(len).saturating_neg())?;
        self.give(at, len)?;
        self.settle()
    }

    /// How the free space of a group is kept: the key, how many runs, and whether by bits.
    fn space(&mut self, at: u64) -> Result<(Key, u32, bool), Error> {
        let (start, len, _) = self.group(at)?;
        let key = Key::new(start, SPACE, len);
        let item = self.need(FREE_SPACE_TREE, key)?;
        Ok((key, le32(&item, 0), le32(&item, 4) & BY_BITS != 0))
    }

    fn set_runs(&mut self, space: Key, runs: Option<u32>, bits: bool) -> Result<(), Error> {
        let runs = runs.ok_or_else(|| Error::Damaged(format!("free space of group {}: a count would fall below zero", space.object)))?;
        let mut item = vec![0; 8];
        put32(&mut item, 0, runs);
        put32(&mut item, 4, u32::from(bits));
        self.set(FREE_SPACE_TREE, space, item)
    }

    /// A run of free space that ends at an address, or begins there, within a group.
    fn run_at(&mut self, space: Key, at: u64, ends: bool) -> Result<Option<Key>, Error> {
        let wanted = Key::new(at, SPACE_EXTENT, 0);
        let item = if ends { self.before(FREE_SPACE_TREE, wanted)? } else { self.next(FREE_SPACE_TREE, wanted)? };
        let end = space.object.saturating_add(space.offset);
        Ok(item.map(|(key, _)| key).filter(|key| {
            let touches = if ends { key.object.saturating_add(key.offset) == at } else { key.object == at };
            touches && key.kind == SPACE_EXTENT && key.object >= space.object && key.object < end
        }))
    }

    /// Notes that bytes are free.
    fn give(&mut self, at: u64, len: u64) -> Result<(), Error> {
        if !self.free_space_tree {
            return Ok(());
        }
        let (space, runs, bits) = self.space(at)?;
        let end = at.saturating_add(len);
        if bits {
            let (left, right) = self.flip(space, at, end, true)?;
            let runs = runs.checked_add(1).and_then(|runs| runs.checked_sub(u32::from(left).saturating_add(u32::from(right))));
            return self.set_runs(space, runs, true);
        }
        let (left, right) = (self.run_at(space, at, true)?, self.run_at(space, end, false)?);
        let (start, stop) = (left.map_or(at, |key| key.object), right.map_or(end, |key| key.object.saturating_add(key.offset)));
        let whole = Key::new(start, SPACE_EXTENT, stop.saturating_sub(start));
        let joined = match (left, right) {
            (Some(left), Some(right)) => {
                self.remove(FREE_SPACE_TREE, right)?;
                self.replace(FREE_SPACE_TREE, left, whole, vec![])?;
                runs.checked_sub(1)
            }
            (Some(one), None) | (None, Some(one)) => {
                self.replace(FREE_SPACE_TREE, one, whole, vec![])?;
                Some(runs)
            }
            (None, None) => {
                self.insert(FREE_SPACE_TREE, whole, vec![])?;
                runs.checked_add(1)
            }
        };
        self.set_runs(space, joined, false)
    }

    /// Notes that bytes are used.
    pub(super) fn take(&mut self, at: u64, len: u64) -> Result<(), Error> {
        if !self.free_space_tree {
            return Ok(());
        }
        let (space, runs, bits) = self.space(at)?;
        let end = at.saturating_add(len);
        if bits {
            let (left, right) = self.flip(space, at, end, false)?;
            let runs = runs.checked_add(u32::from(left).saturating_add(u32::from(right))).and_then(|runs| runs.checked_sub(1));
            return self.set_runs(space, runs, true);
        }
        let found = self.before(FREE_SPACE_TREE, Key::new(at, SPACE_EXTENT, u64::MAX))?.map(|(key, _)| key);
        let found =
            found.filter(|key| key.kind == SPACE_EXTENT && key.object >= space.object && end <= key.object.saturating_add(key.offset));
        let run = found.ok_or_else(|| Error::Damaged(format!("free space of group {}: {at} is not in it", space.object)))?;
        let stop = run.object.saturating_add(run.offset);
        let left = (run.object < at).then(|| Key::new(run.object, SPACE_EXTENT, at.saturating_sub(run.object)));
        let right = (end < stop).then(|| Key::new(end, SPACE_EXTENT, stop.saturating_sub(end)));
        let runs = match (left, right) {
            (Some(left), Some(right)) => {
                self.replace(FREE_SPACE_TREE, run, left, vec![])?;
                self.insert(FREE_SPACE_TREE, right, vec![])?;
                runs.checked_add(1)
            }
            (Some(one), None) | (None, Some(one)) => {
                self.replace(FREE_SPACE_TREE, run, one, vec![])?;
                Some(runs)
            }
            (None, None) => {
                self.remove(FREE_SPACE_TREE, run)?;
                runs.checked_sub(1)
            }
        };
        self.set_runs(space, runs, false)
    }

    /// Sets bits of free space, or clears them; says whether the ones on both sides are set.
    fn flip(&mut self, space: Key, from: u64, to: u64, free: bool) -> Result<(bool, bool), Error> {
        let sector = self.volume.superblock.sector;
        let damaged = || Error::Damaged(format!("free space of group {}: its bits are not as they should be", space.object));
        let mut at = from;
        while at < to {
            let (key, mut bits) = self.bits(at)?.ok_or_else(damaged)?;
            let stop = to.min(key.object.saturating_add(key.offset));
            for place in (at..stop).step_by(int_usize(sector)) {
                let (byte_at, mask) = bit(key.object, place, sector);
                let old = byte(&bits, byte_at);
                if (old & mask != 0) == free || byte_at >= bits.len() {
                    return Err(damaged());
                }
                put(&mut bits, byte_at, &[old ^ mask]);
            }
            self.set(FREE_SPACE_TREE, key, bits)?;
            at = stop.max(at.saturating_add(sector));
        }
        let end = space.object.saturating_add(space.offset);
        let left = from > space.object && self.is_free(from.saturating_sub(sector))?;
        let right = to < end && self.is_free(to)?;
        Ok((left, right))
    }

    fn is_free(&mut self, at: u64) -> Result<bool, Error> {
        let sector = self.volume.superblock.sector;
        Ok(self.bits(at)?.is_some_and(|(key, bits)| {
            let (byte_at, mask) = bit(key.object, at, sector);
            byte(&bits, byte_at) & mask != 0
        }))
    }

    /// The bits of an address.
    fn bits(&mut self, at: u64) -> Result<Option<(Key, Vec<u8>)>, Error> {
        let found = self.before(FREE_SPACE_TREE, Key::new(at, SPACE_BITS, u64::MAX))?;
        Ok(found.filter(|(key, _)| key.kind == SPACE_BITS && at < key.object.saturating_add(key.offset)))
    }
}

/// The byte and the bit of an address.
fn bit(start: u64, at: u64, sector: u64) -> (usize, u8) {
    let number = at.saturating_sub(start).checked_div(sector).unwrap_or_default();
    (int_usize(number / 8), 1_u8.wrapping_shl(u32::try_from(number % 8).unwrap_or_default()))
}

/// The key behind another.
pub(super) fn after(key: Key) -> Key {
    match (key.offset.checked_add(1), key.kind.checked_add(1)) {
        (Some(offset), _) => Key::new(key.object, key.kind, offset),
        (None, Some(kind)) => Key::new(key.object, kind, 0),
        (None, None) => Key::new(key.object.saturating_add(1), 0, 0),
    }
}
