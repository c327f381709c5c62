//! Changing Btrfs in place.
//!
//! Blocks of trees are written again where they lie, in the same generation, every copy of them. Nothing is copied on write, so the
//! generation and the roots stay; checksums, first keys, extents, counts and the free space tree follow. Content that does not fit where the
//! old lies gets a new place, in block groups that are there. Where a snapshot or another subvolume shares a block or an extent, or anything stands against it, the change is refused by
//! name.
//!
//! Limits:
//! - Content is written plain, also where the old was compressed.
//! - No block group is made, and no tree becomes higher: where that were needed there is no room.
//! - Snapshots and other subvolumes keep what was removed here. So does free space, until it is dropped or overwritten.
//! - Roots that the superblock keeps from earlier transactions lead to blocks that are changed here, so they are forgotten.

mod block;
mod create;
mod data;
mod file;
mod forest;
mod space;
mod sums;

use super::{Editor, NewFile};
use crate::bytes::{Bytes, ReadAt, Scratch, read_vec};
use crate::fs::btrfs::space::SUPERBLOCKS;
use crate::fs::btrfs::subvolume::{Trees, trees};
use crate::fs::btrfs::tree::{Key, Volume};
use crate::fs::fields::{le64, part};
use crate::fs::{Error, NodeId};
use block::{put, put64};
use forest::{FREE_SPACE_TREE, Forest, GROUP_TREE, ROOT_TREE, write_at};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes of a superblock, and where in it some fields lie.
const SUPERBLOCK: usize = 4096;
const ADDRESS: usize = 48;
const GENERATION: usize = 72;
const USED: usize = 120;
const READ_ONLY_FEATURES: usize = 180;
const FEATURES: usize = 188;
const CACHE_GENERATION: usize = 555;
/// Four roots that were, each of this many bytes; in each, the generation of its root tree and how much was used.
const BACKUPS: usize = 2859;
const BACKUP: usize = 168;
const BACKUP_GENERATION: usize = 8;
const BACKUP_USED: usize = 104;
/// Bits of features: references as they are today, skinny metadata, simple quotas; the free space tree, and whether it is right.
const MIXED_REFERENCES: u64 = 1;
const SKINNY: u64 = 0x100;
const SIMPLE_QUOTAS: u64 = 0x1_0000;
const FREE_SPACE: u64 = 3;
/// The tree of quotas; trees of a relocation; the object of a balance.
const QUOTA_TREE: u64 = 8;
const RELOCATION: u64 = 0_u64.wrapping_sub(8);
const BALANCE: u64 = 0_u64.wrapping_sub(4);
/// The first tree of files but the top level.
const FIRST: u64 = 256;
const TOP: u64 = 5;

/// Opens the file system for changes.
pub(super) fn open(scratch: Arc<Scratch>) -> Result<Box<dyn Editor>, Error> {
    let bytes: Bytes = scratch.clone();
    let volume = Volume::open(bytes)?;
    let trees = trees(&volume)?;
    // Whatever counts wrong is not changed.
    crate::fs::btrfs::space::free(&volume, &trees)?;
    let superblock = read_vec(&*scratch, first_superblock(), SUPERBLOCK)?;
    let (features, read_only) = (le64(&superblock, FEATURES), le64(&superblock, READ_ONLY_FEATURES));
    at_rest(&volume, &trees, features)?;
    let mut forest = Forest::new(scratch, volume, &trees, le64(&superblock, GENERATION));
    forest.skinny = features & SKINNY != 0;
    // One that is not right is made anew by the kernel.
    forest.free_space_tree = read_only & FREE_SPACE == FREE_SPACE;
    forest.group_tree = forest.volume.superblock.has_group_tree();
    if forest.free_space_tree && !forest.has(FREE_SPACE_TREE) || forest.group_tree && !forest.has(GROUP_TREE) {
        return Err(Error::Damaged("a tree is missing that the superblock promises".to_owned()));
    }
    let trees = trees.files.iter().map(|tree| tree.id).collect();
    Ok(Box::new(InPlace { forest, superblock, trees, failed: false }))
}

fn first_superblock() -> u64 {
    SUPERBLOCKS.first().copied().unwrap_or_default()
}

/// Refuses what the changes would not be right for.
fn at_rest(volume: &Volume, trees: &Trees, features: u64) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::Unsupported(format!("Btrfs with {what}")));
    if features & MIXED_REFERENCES == 0 {
        return refuse("references of the first kind");
    }
    if features & SIMPLE_QUOTAS != 0 || trees.other(QUOTA_TREE).is_some() {
        return refuse("quotas (in the guest: btrfs quota disable PATH)");
    }
    let mut refused = None;
    volume.walk(volume.superblock.roots, Key::new(0, 0, 0), &mut |key, item| {
        if key.object == BALANCE || key.object == RELOCATION {
            refused = Some("a balance under way (in the guest: btrfs balance cancel PATH)");
        }
        if key.kind == Key::ROOT && (key.object == TOP || key.object >= FIRST) && !file::is_used(item) {
            refused = Some("a subvolume that is being deleted (in the guest: btrfs subvolume sync PATH)");
        }
        Ok(if refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    refused.map_or(Ok(()), refuse)
}

/// The file system, open for changes.
#[derive(Debug)]
struct InPlace {
    forest: Forest,
    /// The first superblock.
    superblock: Vec<u8>,
    /// Numbers of the trees of files, by their place in the numbers of nodes.
    trees: Vec<u64>,
    /// A change was begun and not ended.
    failed: bool,
}

impl InPlace {
    /// The tree of a node that may be changed, and its inode.
    fn tree(&mut self, id: NodeId) -> Result<(u64, u64), Error> {
        let (place, inode) = crate::fs::btrfs::parts(id);
        let tree = self.trees.get(place).copied().ok_or_else(|| Error::Damaged(format!("no node {}", id.0)))?;
        let root = self.forest.next(ROOT_TREE, Key::new(tree, Key::ROOT, 0))?;
        let root = root.filter(|(key, _)| (key.object, key.kind) == (tree, Key::ROOT));
        let (_, root) = root.ok_or_else(|| Error::Damaged(format!("tree {tree}: no root item")))?;
        if file::is_read_only(&root) {
            return Err(Error::Protected(format!("subvolume {tree} is read-only")));
        }
        Ok((tree, inode))
    }

    /// Makes a change, after which there is no other when it fails.
    fn change<T>(&mut self, node: NodeId, change: impl FnOnce(&mut Forest, u64, u64) -> Result<T, Error>) -> Result<T, Error> {
        self.sound()?;
        self.forest.forget();
        let (tree, inode) = self.tree(node)?;
        self.failed = true;
        let made = change(&mut self.forest, tree, inode)?;
        self.forest.settle()?;
        self.failed = false;
        Ok(made)
    }

    fn sound(&self) -> Result<(), Error> {
        if self.failed { Err(Error::Unsupported("an earlier change was not ended".to_owned())) } else { Ok(()) }
    }

    /// Writes the superblock and its copies.
    fn write_superblocks(&mut self) -> Result<(), Error> {
        put64(&mut self.superblock, USED, self.forest.used);
        if !self.forest.free_space_tree {
            // No transaction has this number, so caches of free space are not believed.
            put64(&mut self.superblock, CACHE_GENERATION, u64::MAX);
        }
        for backup in [0, 1, 2, 3_usize] {
            let at = BACKUPS.saturating_add(backup.saturating_mul(BACKUP));
            if le64(&self.superblock, at.saturating_add(BACKUP_GENERATION)) == self.forest.generation {
                put64(&mut self.superblock, at.saturating_add(BACKUP_USED), self.forest.used);
            } else {
                put(&mut self.superblock, at, &[0; BACKUP]);
            }
        }
        let scratch = self.forest.scratch.clone();
        for place in SUPERBLOCKS {
            let len = u64::try_from(SUPERBLOCK).unwrap_or(u64::MAX);
            if place.saturating_add(len) > self.forest.volume.superblock.device_size().min(scratch.size()) {
                continue;
            }
            let there = read_vec(&*scratch, place, SUPERBLOCK)?;
            // A copy is made anew only where there is one of this file system.
            if part(&there, 64, 8) != part(&self.superblock, 64, 8) || part(&there, 32, 16) != part(&self.superblock, 32, 16) {
                continue;
            }
            let mut copy = self.superblock.clone();
            put64(&mut copy, ADDRESS, place);
            let sum = self.forest.volume.superblock.checksum.digest(copy.get(32..).unwrap_or_default());
            put(&mut copy, 0, &sum);
            write_at(&scratch, place, &copy)?;
        }
        Ok(())
    }
}

impl Editor for InPlace {
    fn write(&mut self, file: NodeId, content: &[u8]) -> Result<(), Error> {
        self.change(file, |forest, tree, inode| forest.overwrite(tree, inode, content))
    }

    fn remove(&mut self, directory: NodeId, name: &[u8]) -> Result<(), Error> {
        self.change(directory, |forest, tree, inode| forest.unlink(tree, inode, name))
    }

    fn create(&mut self, directory: NodeId, name: &[u8], new: &NewFile<'_>) -> Result<NodeId, Error> {
        let (place, _) = crate::fs::btrfs::parts(directory);
        self.change(directory, |forest, tree, inode| crate::fs::btrfs::id(place, forest.make(tree, inode, name, new)?))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.sound()?;
        if !self.forest.has_changed() {
            return Ok(());
        }
        self.forest.write()?;
        self.write_superblocks()?;
        // The reader counts everything again.
        crate::fs::btrfs::open(self.forest.bytes())?.free().map(drop)
    }
}
