//! The trees, changed in place: items are removed, replaced and added, and everything that follows from that is done.
//!
//! A block keeps its address and its generation, so what points to it stays right; only the first key that a node keeps of each child is
//! put right. A leaf that becomes empty is freed. A leaf that becomes too full gives items to its neighbours, or is divided, which takes a
//! block of metadata space.

use super::block::{Block, Body, Child, Item, most_children, size_of_items};
use crate::bytes::{Bytes, ReadAt, Scratch, ScratchError, int_u64};
use crate::fs::Error;
use crate::fs::btrfs::subvolume::Trees;
use crate::fs::btrfs::superblock::MAX_LEVELS;
use crate::fs::btrfs::tree::{Key, Root, Volume};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Trees, by number.
pub(super) const ROOT_TREE: u64 = 1;
pub(super) const EXTENT_TREE: u64 = 2;
pub(super) const CHECKSUM_TREE: u64 = 7;
pub(super) const FREE_SPACE_TREE: u64 = 10;
pub(super) const GROUP_TREE: u64 = 11;
/// Unchanged blocks that are kept.
const MAX_KEPT: usize = 2048;

/// What is still to be done in the trees that know about space.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// A block is used no more.
    Freed { tree: u64, at: u64, level: u8 },
    /// A leaf was made.
    Taken { tree: u64, at: u64 },
}

/// A block on the way to an item, and the place in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) at: u64,
    pub(super) slot: usize,
}

/// All trees.
#[derive(Debug)]
pub(super) struct Forest {
    pub(super) scratch: Arc<Scratch>,
    pub(super) volume: Volume,
    roots: BTreeMap<u64, Root>,
    blocks: BTreeMap<u64, Arc<Block>>,
    changed: BTreeSet<u64>,
    /// New content, by the address of its extent.
    pub(super) content: BTreeMap<u64, Vec<u8>>,
    /// Blocks that one tree alone uses.
    pub(super) own: BTreeSet<u64>,
    pub(super) work: VecDeque<Work>,
    /// Blocks of [`Work::Taken`].
    pub(super) taken: BTreeSet<u64>,
    pub(super) generation: u64,
    /// `bytes_used` of the superblock.
    pub(super) used: u64,
    /// Whether the free space tree is kept right, and whether there is a tree of block groups.
    pub(super) free_space_tree: bool,
    pub(super) group_tree: bool,
    pub(super) skinny: bool,
}

impl Forest {
    pub(super) fn new(scratch: Arc<Scratch>, volume: Volume, trees: &Trees, generation: u64) -> Self {
        let mut roots: BTreeMap<u64, Root> = trees.files.iter().map(|tree| (tree.id, tree.root)).collect();
        let others = [EXTENT_TREE, CHECKSUM_TREE, FREE_SPACE_TREE, GROUP_TREE];
        roots.extend(others.into_iter().filter_map(|id| Some((id, trees.other(id)?))));
        roots.insert(ROOT_TREE, volume.superblock.roots);
        Self {
            scratch,
            used: volume.superblock.used,
            volume,
            roots,
            blocks: BTreeMap::new(),
            changed: BTreeSet::new(),
            content: BTreeMap::new(),
            own: BTreeSet::new(),
            work: VecDeque::new(),
            taken: BTreeSet::new(),
            generation,
            free_space_tree: false,
            group_tree: false,
            skinny: false,
        }
    }

    /// Forgets unchanged blocks where many are kept; not while a way to one of them is held.
    pub(super) fn forget(&mut self) {
        if self.blocks.len() >= MAX_KEPT.saturating_add(self.changed.len()) {
            let changed = &self.changed;
            self.blocks.retain(|at, _| changed.contains(at));
        }
    }

    fn block(&mut self, at: u64, level: u8, generation: u64) -> Result<Arc<Block>, Error> {
        let fits = |block: &Block| block.level() == level && block.generation() == generation;
        let wrong = || Error::Damaged(format!("tree block at {at}: not the one that its parent means"));
        if let Some(block) = self.blocks.get(&at) {
            return if fits(block) { Ok(block.clone()) } else { Err(wrong()) };
        }
        let superblock = &self.volume.superblock;
        let mut bytes = vec![0; superblock.node_len()];
        let mut failed = Error::Damaged(format!("tree block at {at}: in no chunk"));
        for place in self.volume.places(at, int_u64(bytes.len())) {
            if let Err(error) = self.scratch.read_at(place, &mut bytes) {
                failed = error.into();
                continue;
            }
            match Block::read(&bytes, at, superblock) {
                Ok(block) if fits(&block) => {
                    let block = Arc::new(block);
                    self.blocks.insert(at, block.clone());
                    return Ok(block);
                }
                Ok(_) => failed = wrong(),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// A block that was met on the way.
    fn met(&mut self, root: Root, path: &[Step], depth: usize) -> Result<Arc<Block>, Error> {
        let mut here = root;
        for step in path.iter().take(depth) {
            let block = self.block(here.at, here.level, here.generation)?;
            here = below(here, block.children().get(step.slot))?;
        }
        self.block(here.at, here.level, here.generation)
    }

    fn root(&self, tree: u64) -> Result<Root, Error> {
        self.roots.get(&tree).copied().ok_or_else(|| Error::Damaged(format!("there is no tree {tree}")))
    }

    pub(super) fn has(&self, tree: u64) -> bool {
        self.roots.contains_key(&tree)
    }

    /// The way to the leaf that a key is in, or would be; the last place is that of the first item that is not below the key.
    fn path(&mut self, tree: u64, key: Key) -> Result<Vec<Step>, Error> {
        let mut here = self.root(tree)?;
        let mut path = Vec::new();
        loop {
            let block = self.block(here.at, here.level, here.generation)?;
            match &block.body {
                Body::Leaf(items) => {
                    path.push(Step { at: here.at, slot: items.partition_point(|(at, _)| *at < key) });
                    return Ok(path);
                }
                Body::Node(children) => {
                    let slot = children.partition_point(|child| child.key <= key).saturating_sub(1);
                    path.push(Step { at: here.at, slot });
                    here = below(here, children.get(slot))?;
                }
            }
        }
    }

    /// The item of a key.
    pub(super) fn get(&mut self, tree: u64, key: Key) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.next(tree, key)?.filter(|(found, _)| *found == key).map(|(_, data)| data))
    }

    /// The item of a key, which must be there.
    pub(super) fn need(&mut self, tree: u64, key: Key) -> Result<Vec<u8>, Error> {
        self.get(tree, key)?.ok_or_else(|| missing(tree, key))
    }

    /// The first item at a key or behind it.
    pub(super) fn next(&mut self, tree: u64, key: Key) -> Result<Option<Item>, Error> {
        let (root, path) = (self.root(tree)?, self.path(tree, key)?);
        let depth = path.len().saturating_sub(1);
        let leaf = self.met(root, &path, depth)?;
        let slot = path.last().map_or(0, |step| step.slot);
        if let Some(item) = leaf.items().get(slot) {
            return Ok(Some(item.clone()));
        }
        self.aside(root, &path, |slot, _| slot.checked_add(1), |block| block.items().first().cloned(), |_| 0)
    }

    /// The last item before a key.
    pub(super) fn before(&mut self, tree: u64, key: Key) -> Result<Option<Item>, Error> {
        let (root, path) = (self.root(tree)?, self.path(tree, key)?);
        let depth = path.len().saturating_sub(1);
        let leaf = self.met(root, &path, depth)?;
        let slot = path.last().map_or(0, |step| step.slot);
        if let Some(item) = slot.checked_sub(1).and_then(|slot| leaf.items().get(slot)) {
            return Ok(Some(item.clone()));
        }
        let last = |children: &[Child]| children.len().saturating_sub(1);
        self.aside(root, &path, |slot, _| slot.checked_sub(1), |block| block.items().last().cloned(), last)
    }

    /// An item of the next leaf to one side.
    fn aside(
        &mut self,
        root: Root,
        path: &[Step],
        step: impl Fn(usize, usize) -> Option<usize>,
        item: impl Fn(&Block) -> Option<Item>,
        edge: impl Fn(&[Child]) -> usize,
    ) -> Result<Option<Item>, Error> {
        for depth in (0..path.len().saturating_sub(1)).rev() {
            let block = self.met(root, path, depth)?;
            let slot = path.get(depth).map_or(0, |step| step.slot);
            let Some(child) = step(slot, depth).and_then(|slot| block.children().get(slot)) else { continue };
            let mut here = below(Root { at: 0, level: block.level(), generation: 0 }, Some(child))?;
            loop {
                let block = self.block(here.at, here.level, here.generation)?;
                if here.level == 0 {
                    return Ok(item(&block));
                }
                here = below(here, block.children().get(edge(block.children())))?;
            }
        }
        Ok(None)
    }

    /// Removes an item, which must be there.
    pub(super) fn remove(&mut self, tree: u64, key: Key) -> Result<(), Error> {
        self.edit(tree, key, |items, slot| {
            if items.get(slot).is_none_or(|(found, _)| *found != key) {
                return Err(missing(tree, key));
            }
            items.remove(slot);
            Ok(())
        })
    }

    /// Gives an item, which must be there, another key and other data; no other item may lie between the keys.
    pub(super) fn replace(&mut self, tree: u64, key: Key, new: Key, data: Vec<u8>) -> Result<(), Error> {
        self.edit(tree, key, |items, slot| {
            let before = slot.checked_sub(1).and_then(|slot| items.get(slot)).is_none_or(|(key, _)| *key < new);
            let after = slot.checked_add(1).and_then(|slot| items.get(slot)).is_none_or(|(key, _)| *key > new);
            match items.get_mut(slot) {
                Some(item) if item.0 == key && before && after => *item = (new, data),
                _ => return Err(missing(tree, key)),
            }
            Ok(())
        })
    }

    /// Gives an item other data.
    pub(super) fn set(&mut self, tree: u64, key: Key, data: Vec<u8>) -> Result<(), Error> {
        self.replace(tree, key, key, data)
    }

    /// Adds an item, which must not be there.
    pub(super) fn insert(&mut self, tree: u64, key: Key, data: Vec<u8>) -> Result<(), Error> {
        self.edit(tree, key, |items, slot| {
            if items.get(slot).is_some_and(|(found, _)| *found == key) || slot > items.len() {
                return Err(Error::Damaged(format!("tree {tree}: an item {key:?} is already there")));
            }
            items.insert(slot, (key, data));
            Ok(())
        })
    }

    /// Changes a leaf, and what follows from it.
    fn edit(&mut self, tree: u64, key: Key, change: impl FnOnce(&mut Vec<Item>, usize) -> Result<(), Error>) -> Result<(), Error> {
        let path = self.path(tree, key)?;
        for step in &path {
            self.alone(tree, step.at)?;
        }
        let Some(leaf) = path.last() else { return Err(missing(tree, key)) };
        let items = self.items_mut(leaf.at)?;
        change(items, leaf.slot)?;
        let (empty, size) = (items.is_empty(), size_of_items(items));
        if empty {
            return self.drop_leaf(tree, &path);
        }
        self.first_keys(&path, path.len().saturating_sub(1))?;
        if size > self.volume.superblock.node_len() { self.make_room(tree, &path) } else { Ok(()) }
    }

    fn block_mut(&mut self, at: u64) -> Result<&mut Block, Error> {
        self.changed.insert(at);
        let block = self.blocks.get_mut(&at).ok_or_else(|| Error::Damaged(format!("tree block at {at}: was not read")))?;
        Ok(Arc::make_mut(block))
    }

    fn items_mut(&mut self, at: u64) -> Result<&mut Vec<Item>, Error> {
        match &mut self.block_mut(at)?.body {
            Body::Leaf(items) => Ok(items),
            Body::Node(_) => Err(Error::Damaged(format!("tree block at {at}: is no leaf"))),
        }
    }

    fn children_mut(&mut self, at: u64) -> Result<&mut Vec<Child>, Error> {
        match &mut self.block_mut(at)?.body {
            Body::Node(children) => Ok(children),
            Body::Leaf(_) => Err(Error::Damaged(format!("tree block at {at}: is a leaf"))),
        }
    }

    /// Puts the keys right that nodes keep of the block at this depth of the way and of those above it.
    fn first_keys(&mut self, path: &[Step], depth: usize) -> Result<(), Error> {
        for (above, here) in path.iter().zip(path.iter().skip(1)).take(depth).rev() {
            let first = self.blocks.get(&here.at).and_then(|block| block.first());
            let Some(first) = first else { return Err(Error::Damaged(format!("tree block at {}: is empty", here.at))) };
            let kept = self.blocks.get(&above.at).and_then(|block| block.children().get(above.slot)).map(|child| child.key);
            if kept == Some(first) {
                break;
            }
            if let Some(child) = self.children_mut(above.at)?.get_mut(above.slot) {
                child.key = first;
            }
            if above.slot != 0 {
                break;
            }
        }
        Ok(())
    }

    /// Takes an empty leaf out of its tree, and nodes that become empty by that.
    fn drop_leaf(&mut self, tree: u64, path: &[Step]) -> Result<(), Error> {
        let root = self.root(tree)?;
        for depth in (1..path.len()).rev() {
            let (Some(here), Some(above)) = (path.get(depth), depth.checked_sub(1).and_then(|depth| path.get(depth))) else { break };
            let level = self.blocks.get(&here.at).map_or(0, |block| block.level());
            self.blocks.remove(&here.at);
            self.changed.remove(&here.at);
            self.work.push_back(Work::Freed { tree, at: here.at, level });
            let children = self.children_mut(above.at)?;
            if above.slot < children.len() {
                children.remove(above.slot);
            }
            if !children.is_empty() {
                return self.first_keys(path, depth.saturating_sub(1));
            }
        }
        // Trees that may have no items: those of checksums and of free space.
        if root.level == 0 && matches!(tree, CHECKSUM_TREE | FREE_SPACE_TREE) {
            return Ok(());
        }
        Err(Error::Unsupported(format!("tree {tree} would become empty")))
    }

    /// Makes a leaf that has become too full fit.
    fn make_room(&mut self, tree: u64, path: &[Step]) -> Result<(), Error> {
        let full = || Error::Full(format!("tree {tree}: neither its leaf nor the ones beside it have room"));
        let len = self.volume.superblock.node_len();
        let mut up = path.iter().rev();
        let (Some(here), Some(above)) = (up.next(), up.next()) else { return Err(full()) };
        let children = self.blocks.get(&above.at).map(|block| block.children().to_vec()).unwrap_or_default();
        let mine = self.items_mut(here.at)?.clone();
        for (slot, right) in [(above.slot.checked_add(1), true), (above.slot.checked_sub(1), false)] {
            let Some(child) = slot.and_then(|slot| children.get(slot)) else { continue };
            let beside = self.block(child.at, 0, child.generation)?;
            // The neighbour is as much ours as this leaf, or is left alone.
            if self.alone(tree, child.at).is_err() {
                continue;
            }
            let (mut mine, mut other) = (VecDeque::from(mine.clone()), VecDeque::from(beside.items().to_vec()));
            while size_of_items(mine.make_contiguous()) > len {
                if right {
                    other.extend(mine.pop_back());
                    other.rotate_right(1);
                } else {
                    other.extend(mine.pop_front());
                }
            }
            if mine.is_empty() || size_of_items(other.make_contiguous()) > len {
                continue;
            }
            let first = other.front().map_or(child.key, |(key, _)| *key);
            *self.items_mut(here.at)? = mine.into();
            *self.items_mut(child.at)? = other.into();
            if let Some(kept) = slot.and_then(|slot| self.children_mut(above.at).ok()?.get_mut(slot)) {
                kept.key = first;
            }
            return self.first_keys(path, path.len().saturating_sub(1));
        }
        // Blocks of the tree of roots are not counted in a root; nothing is added to it.
        if tree == ROOT_TREE || children.len() >= most_children(&self.volume.superblock) {
            return Err(full());
        }
        let larger = |at: &usize| mine.split_at_checked(*at).map_or(0, |(left, right)| size_of_items(left).max(size_of_items(right)));
        let split = (1..mine.len()).min_by_key(larger).filter(|at| larger(at) <= len).ok_or_else(full)?;
        let at = self.allocate()?.ok_or_else(full)?;
        let (left, right) = mine.split_at_checked(split).ok_or_else(full)?;
        let Some((key, _)) = right.first() else { return Err(full()) };
        let child = Child { key: *key, at, generation: self.generation };
        let new = self.block_mut(here.at)?.beside(tree, at, child.generation, right.to_vec());
        self.blocks.insert(at, Arc::new(new));
        self.changed.insert(at);
        self.own.insert(at);
        self.work.push_back(Work::Taken { tree, at });
        *self.items_mut(here.at)? = left.to_vec();
        let slot = above.slot.saturating_add(1).min(children.len());
        self.children_mut(above.at)?.insert(slot, child);
        self.first_keys(path, path.len().saturating_sub(1))
    }

    /// Writes new content and all changed blocks, every copy. Before that, nothing of the scratch bytes is changed.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        for (at, bytes) in std::mem::take(&mut self.content) {
            self.put(at, &bytes)?;
        }
        for at in std::mem::take(&mut self.changed) {
            let Some(block) = self.blocks.get(&at) else { continue };
            let bytes = block.write(&self.volume.superblock);
            if bytes.len() != self.volume.superblock.node_len() {
                return Err(Error::Damaged(format!("tree block at {at}: {} bytes would be written", bytes.len())));
            }
            self.put(at, &bytes)?;
        }
        Ok(())
    }

    /// Writes bytes at a logical address, every copy.
    fn put(&self, logical: u64, bytes: &[u8]) -> Result<(), Error> {
        let places = self.volume.places(logical, int_u64(bytes.len()));
        if places.is_empty() {
            return Err(Error::Damaged(format!("{} bytes at address {logical}: in no chunk", bytes.len())));
        }
        places.into_iter().try_for_each(|place| write_at(&self.scratch, place, bytes))
    }

    /// Whether there is anything to write.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty() || !self.content.is_empty()
    }

    /// The bytes that are changed.
    pub(super) fn bytes(&self) -> Bytes {
        self.scratch.clone()
    }
}

/// Writes into the scratch bytes.
pub(super) fn write_at(scratch: &Scratch, place: u64, bytes: &[u8]) -> Result<(), Error> {
    scratch.write_at(place, bytes).map_err(|error| match error {
        ScratchError::Read(error) => error.into(),
        ScratchError::TooMuch(_) => Error::Full(error.to_string()),
    })
}

fn below(here: Root, child: Option<&Child>) -> Result<Root, Error> {
    let level = here.level.checked_sub(1).filter(|_| here.level < MAX_LEVELS);
    match (child, level) {
        (Some(child), Some(level)) => Ok(Root { at: child.at, level, generation: child.generation }),
        _ => Err(Error::Damaged(format!("tree block at {}: impossible height", here.at))),
    }
}

fn missing(tree: u64, key: Key) -> Error {
    Error::Damaged(format!("tree {tree}: no item {} {} {} where one belongs", key.object, key.kind, key.offset))
}
