//! Trees of items.
//!
//! A block is believed with its checksum, its address, its height and the generation that its parent says (`fs/btrfs/disk-io.c`); where
//! there are two copies, the first that is right.

use super::super::Error;
use super::superblock::{Chunks, MAX_LEVELS, Place, Superblock};
use crate::bytes::{Bytes, ReadAt, ReadError, int_u64};
use crate::fs::fields::{byte, le64};
use fs_btrfs::btree::{Body, TreeBlock, TreeGeometry};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks that are kept: 16 MiB as most file systems are made.
const MAX_KEPT: usize = 1024;

/// The key of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::fs) struct Key {
    pub(in crate::fs) object: u64,
    pub(in crate::fs) kind: u8,
    pub(in crate::fs) offset: u64,
}

impl Key {
    /// Bytes that a key has.
    pub(in crate::fs) const LEN: usize = 17;

    pub(in crate::fs) const INODE: u8 = 1;
    pub(in crate::fs) const NAME: u8 = 12;
    pub(in crate::fs) const FAR_NAME: u8 = 13;
    pub(in crate::fs) const ATTRIBUTE: u8 = 24;
    pub(in crate::fs) const LOGGED_RANGE: u8 = 72;
    pub(in crate::fs) const ENTRY_BY_HASH: u8 = 84;
    pub(in crate::fs) const ENTRY: u8 = 96;
    pub(in crate::fs) const EXTENT: u8 = 108;
    pub(in crate::fs) const CHECKSUMS: u8 = 128;
    pub(in crate::fs) const ROOT: u8 = 132;
    pub(in crate::fs) const PARENT: u8 = 144;
    pub(in crate::fs) const ALLOCATED: u8 = 168;
    pub(in crate::fs) const BLOCK: u8 = 169;
    pub(in crate::fs) const GROUP: u8 = 192;
    pub(in crate::fs) const DEVICE_EXTENT: u8 = 204;
    pub(in crate::fs) const CHUNK: u8 = 228;

    pub(in crate::fs) fn new(object: u64, kind: u8, offset: u64) -> Self {
        Self { object, kind, offset }
    }

    /// The key at the start of these bytes.
    pub(in crate::fs) fn read(bytes: &[u8]) -> Self {
        Self { object: le64(bytes, 0), kind: byte(bytes, 8), offset: le64(bytes, 9) }
    }
}

/// The root of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fs) struct Root {
    pub(in crate::fs) at: u64,
    pub(in crate::fs) level: u8,
    pub(in crate::fs) generation: u64,
}

/// What is given items, by their keys or offsets, until it breaks.
type Visit<'a, K> = &'a mut dyn FnMut(K, &[u8]) -> Result<ControlFlow<()>, Error>;

/// The bytes of a file system, and its blocks.
pub(in crate::fs) struct Volume {
    pub(in crate::fs) bytes: Bytes,
    pub(in crate::fs) superblock: Superblock,
    chunks: Chunks,
    geometry: TreeGeometry,
    kept: Mutex<Kept>,
}

/// Blocks by address, with the time of their last use.
#[derive(Default)]
struct Kept {
    blocks: BTreeMap<u64, (Arc<TreeBlock>, u64)>,
    used: BTreeMap<u64, u64>,
    clock: u64,
}

impl Volume {
    /// Opens a file system as far as its chunks.
    ///
    /// # Errors
    ///
    /// When superblock or chunks are damaged, or not read.
    pub(in crate::fs) fn open(bytes: Bytes) -> Result<Self, Error> {
        let superblock = Superblock::read(&*bytes)?;
        let geometry = TreeGeometry { nodesize: superblock.node, csum_type: superblock.checksum, fsid: superblock.identity };
        let mut volume = Self { bytes, chunks: superblock.first_chunks()?, superblock, geometry, kept: Mutex::default() };
        let mut chunks = volume.superblock.first_chunks()?;
        volume.walk(volume.superblock.chunks, Key::new(0, 0, 0), &mut |key, item| {
            if key.kind == Key::CHUNK {
                chunks.add(volume.superblock.device(), key, item)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        volume.chunks = chunks;
        Ok(volume)
    }

    /// Reads bytes at a logical address into `buf`: the first copy that `sound` accepts.
    ///
    /// # Errors
    ///
    /// When no copy can be read, or none is sound.
    pub(in crate::fs) fn read(&self, logical: u64, buf: &mut [u8], sound: &dyn Fn(&[u8]) -> bool) -> Result<(), Error> {
        let mut failed: Option<ReadError> = None;
        let places = self.chunks.places(logical, int_u64(buf.len()));
        if places.is_empty() {
            return Err(Error::Damaged(format!("{} bytes at address {logical}: in no chunk", buf.len())));
        }
        for place in places {
            match self.bytes.read_at(place, buf) {
                Ok(()) if sound(buf) => return Ok(()),
                Ok(()) => {}
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.map_or_else(|| Error::Damaged(format!("{} bytes at address {logical}: checksum is wrong", buf.len())), Error::from))
    }

    /// The places of every copy of `len` bytes at a logical address; none where no chunk has all of them.
    pub(in crate::fs) fn places(&self, logical: u64, len: u64) -> Vec<u64> {
        self.chunks.places(logical, len)
    }

    /// The chunks, by their first address.
    pub(in crate::fs) fn chunks(&self) -> impl Iterator<Item = (u64, &Place)> {
        self.chunks.iter()
    }

    fn block(&self, root: Root) -> Result<Arc<TreeBlock>, Error> {
        let Root { at, level, generation } = root;
        let fits = |block: &TreeBlock| block.header.level == level && block.header.generation == generation;
        if let Some(kept) = self.kept().take_up(at) {
            if fits(&kept) {
                return Ok(kept);
            }
            return Err(Error::Damaged(format!("tree block at {at}: not the one that its parent means")));
        }
        let (mut failed, mut buf) = (None, vec![0; self.superblock.node_len()]);
        for place in self.chunks.places(at, int_u64(buf.len())) {
            if let Err(error) = self.bytes.read_at(place, &mut buf) {
                failed = Some(Error::from(error));
                continue;
            }
            match TreeBlock::parse(buf.clone(), at, &self.geometry) {
                Ok(block) if fits(&block) => {
                    let block = Arc::new(block);
                    self.kept().keep(at, block.clone());
                    return Ok(block);
                }
                Ok(_) => failed = Some(Error::Damaged(format!("tree block at {at}: not the one that its parent means"))),
                Err(error) => failed = Some(Error::Damaged(format!("tree block at {at}: {error}"))),
            }
        }
        Err(failed.unwrap_or_else(|| Error::Damaged(format!("tree block at {at}: in no chunk"))))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the items of a tree from a key on to `each`, until it breaks.
    ///
    /// Keys must grow from item to item, so that no block is met twice, whatever a damaged tree claims.
    ///
    /// # Errors
    ///
    /// When a block is damaged, and those of `each`.
    pub(in crate::fs) fn walk(&self, root: Root, from: Key, each: Visit<Key>) -> Result<(), Error> {
        let mut last: Option<Key> = None;
        let mut waiting = vec![root];
        while let Some(here) = waiting.pop() {
            let block = self.block(here)?;
            match &block.body {
                Body::Node(children) => {
                    // Children after the last one that begins at the key or before it.
                    let above = children.partition_point(|child| key(&child.key) <= from).saturating_sub(1);
                    let level = here.level.checked_sub(1).filter(|_| here.level < MAX_LEVELS);
                    let level = level.ok_or_else(|| Error::Damaged(format!("tree block at {}: impossible height", here.at)))?;
                    let children = children.iter().skip(if last.is_none() { above } else { 0 });
                    waiting.extend(children.rev().map(|child| Root { at: child.blockptr, level, generation: child.generation }));
                }
                Body::Leaf(items) => {
                    for item in items {
                        let key = key(&item.key);
                        if last.is_some_and(|last| last >= key) {
                            return Err(Error::Damaged(format!("tree block at {}: items out of order", here.at)));
                        }
                        last = Some(key);
                        if key < from {
                            continue;
                        }
                        let data = block.item_data(item).unwrap_or_default();
                        if each(key, data)?.is_break() {
                            return Ok(());
                        }
                    }
                    if items.is_empty() && here != root {
                        return Err(Error::Damaged(format!("tree block at {}: empty leaf", here.at)));
                    }
                }
            }
        }
        Ok(())
    }

    /// The item of a key.
    ///
    /// # Errors
    ///
    /// As [`Volume::walk`].
    pub(in crate::fs) fn item(&self, root: Root, wanted: Key) -> Result<Option<Vec<u8>>, Error> {
        let mut found = None;
        self.walk(root, wanted, &mut |key, item| {
            found = (key == wanted).then(|| item.to_vec());
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Gives the items of an object that are of a kind, from an offset on, until `each` breaks.
    ///
    /// # Errors
    ///
    /// As [`Volume::walk`].
    pub(in crate::fs) fn items(&self, root: Root, from: Key, each: Visit<u64>) -> Result<(), Error> {
        self.walk(root, from, &mut |key, item| {
            if (key.object, key.kind) == (from.object, from.kind) { each(key.offset, item) } else { Ok(ControlFlow::Break(())) }
        })
    }

    /// The last item of an object that is of a kind, at an offset or before it.
    ///
    /// # Errors
    ///
    /// As [`Volume::walk`].
    pub(in crate::fs) fn last_before(&self, root: Root, wanted: Key) -> Result<Option<(u64, Vec<u8>)>, Error> {
        // The leaf that the key would be in begins at the key or before it: what comes last before the key stands in that leaf.
        let mut here = root;
        loop {
            let block = self.block(here)?;
            match &block.body {
                Body::Node(children) => {
                    let slot = children.partition_point(|child| key(&child.key) <= wanted).saturating_sub(1);
                    let level = here.level.checked_sub(1).filter(|_| here.level < MAX_LEVELS);
                    let (Some(child), Some(level)) = (children.get(slot), level) else {
                        return Err(Error::Damaged(format!("tree block at {}: impossible height", here.at)));
                    };
                    here = Root { at: child.blockptr, level, generation: child.generation };
                }
                Body::Leaf(items) => {
                    let slot = items.partition_point(|item| key(&item.key) <= wanted);
                    let found = slot.checked_sub(1).and_then(|slot| items.get(slot)).filter(|item| {
                        let found = key(&item.key);
                        (found.object, found.kind) == (wanted.object, wanted.kind)
                    });
                    return Ok(found.map(|item| (key(&item.key).offset, block.item_data(item).unwrap_or_default().to_vec())));
                }
            }
        }
    }
}

fn key(stored: &fs_btrfs::chunk::DiskKey) -> Key {
    Key { object: stored.objectid, kind: stored.key_type, offset: stored.offset }
}

impl Kept {
    fn take_up(&mut self, at: u64) -> Option<Arc<TreeBlock>> {
        let (block, used) = self.blocks.get_mut(&at)?;
        self.used.remove(used);
        self.clock = self.clock.wrapping_add(1);
        *used = self.clock;
        self.used.insert(self.clock, at);
        Some(block.clone())
    }

    fn keep(&mut self, at: u64, block: Arc<TreeBlock>) {
        while self.blocks.len() >= MAX_KEPT {
            let Some((_, oldest)) = self.used.pop_first() else { break };
            self.blocks.remove(&oldest);
        }
        self.clock = self.clock.wrapping_add(1);
        if let Some((_, used)) = self.blocks.insert(at, (block, self.clock)) {
            self.used.remove(&used);
        }
        self.used.insert(self.clock, at);
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume").field("bytes", &self.bytes).field("superblock", &self.superblock).finish_non_exhaustive()
    }
}
