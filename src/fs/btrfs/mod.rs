//! Btrfs on one device.
//!
//! Every block of a tree is believed only with its checksum, and every sector of content that has one. What was synced after the last
//! commit is laid over it in memory ([`log`]). A node's number has its subvolume in the upper 16 bits and its inode in the others.
//!
//! `include/uapi/linux/btrfs_tree.h` and `fs/btrfs` in Linux; the blocks themselves are taken apart by `rust-fs-btrfs`.

mod compression;
mod content;
pub(super) mod item;
mod log;
pub(super) mod space;
pub(super) mod subvolume;
pub(super) mod superblock;
pub(super) mod tree;

use super::{Entry, Error, Extent, FileSystem, Node, NodeId, NodeKind, Subvolume, Usage, is_name};
use crate::bytes::{Bytes, Cached, KIB, ReadAt, int_u64, int_usize};
use content::Sums;
use item::{Inode, Named, hash, named};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use subvolume::{MAX_SUBVOLUMES, Tree, Trees, trees};
use tree::{Key, Volume};

/// Bits of an inode's number.
const INODE_BITS: u32 = 48;
const MAX_INODE: u64 = (1 << INODE_BITS) - 1;
/// Stands for the empty directory that a snapshot has where a subvolume was.
const NOWHERE: NodeId = NodeId(u64::MAX);
/// Symlinks are no longer than a page.
const MAX_TARGET: u64 = 4 * KIB;

/// Attributes of an inode that are held in memory at most.
const MAX_ATTRIBUTES: usize = 1 << 16;

/// Opens the file system.
pub(super) fn open(bytes: Bytes) -> Result<Arc<dyn FileSystem>, Error> {
    let volume = Volume::open(Arc::new(Cached::new(bytes)))?;
    let trees = trees(&volume)?;
    Ok(Arc::new(Btrfs { volume: Arc::new(volume), trees }))
}

/// The file system.
#[derive(Debug)]
struct Btrfs {
    volume: Arc<Volume>,
    trees: Trees,
}

/// The place of a node's subvolume among the others, and its inode.
pub(super) fn parts(id: NodeId) -> (usize, u64) {
    (int_usize(id.0.wrapping_shr(INODE_BITS)), id.0 & MAX_INODE)
}

/// The number of a node.
pub(super) fn id(place: usize, inode: u64) -> Result<NodeId, Error> {
    if inode > MAX_INODE || place >= MAX_SUBVOLUMES {
        return Err(Error::Unsupported(format!("Btrfs inode {inode} of subvolume {place}: numbers this large")));
    }
    Ok(NodeId(int_u64(place).wrapping_shl(INODE_BITS) | inode))
}

impl Btrfs {
    /// The tree of a node, its place, and the node's inode.
    fn tree(&self, id: NodeId) -> Result<(&Tree, usize, u64), Error> {
        let (place, inode) = parts(id);
        let tree = self.trees.files.get(place).ok_or_else(|| Error::Damaged(format!("no node {}", id.0)))?;
        Ok((tree, place, inode))
    }

    fn inode(&self, tree: &Tree, number: u64) -> Result<Inode, Error> {
        let logged = tree.logged.as_ref();
        let mut inode = match logged.and_then(|logged| logged.inode(number)) {
            Some(item) => Inode::new(number, item)?,
            None => {
                let item = self.volume.item(tree.root, Key::new(number, Key::INODE, 0))?;
                Inode::new(number, &item.ok_or_else(|| Error::Damaged(format!("inode {number} of subvolume {}: is not", tree.id)))?)?
            }
        };
        if let Some(links) = logged.and_then(|logged| logged.links(number))
            && inode.node.kind != NodeKind::Directory
        {
            inode.node.links = links;
        }
        Ok(inode)
    }

    /// An inode of this kind.
    fn expect(&self, id: NodeId, kind: NodeKind) -> Result<(&Tree, usize, Inode), Error> {
        let (tree, place, number) = self.tree(id)?;
        let inode = self.inode(tree, number)?;
        if inode.node.kind == kind { Ok((tree, place, inode)) } else { Err(inode.damaged(&format!("is not a {kind}"))) }
    }

    /// What an entry of a directory names.
    fn named(&self, tree: &Tree, place: usize, directory: u64, entry: &Named) -> Result<NodeId, Error> {
        match entry.location.kind {
            Key::INODE => id(place, entry.location.object),
            Key::ROOT => {
                let below = self.trees.place(entry.location.object);
                let below = below.and_then(|place| Some((place, self.trees.files.get(place)?)));
                // A snapshot keeps the names of subvolumes that were not taken with it.
                let here = |seen: &(u64, u64, Vec<u8>)| (seen.0, seen.1, seen.2.as_slice()) == (tree.id, directory, entry.name.as_slice());
                match below {
                    Some((place, below)) if below.seen.as_ref().is_some_and(here) => id(place, below.first),
                    _ => Ok(NOWHERE),
                }
            }
            other => Err(Error::Damaged(format!("inode {directory}: an entry names an item of kind {other}"))),
        }
    }

    fn content(&self, tree: &Tree, inode: &Inode) -> Result<Bytes, Error> {
        let sums = inode.checksums.then(|| Sums { root: self.trees.checksums, logged: tree.logged.clone() });
        content::open(self.volume.clone(), tree.root, inode, tree.logged.as_deref(), sums)
    }
}

impl FileSystem for Btrfs {
    fn kind(&self) -> &'static str {
        "btrfs"
    }

    fn root(&self) -> NodeId {
        let place = self.trees.place(self.trees.default);
        let first = place.and_then(|place| id(place, self.trees.files.get(place)?.first).ok());
        first.unwrap_or(NOWHERE)
    }

    fn subvolumes(&self) -> Result<Vec<Subvolume>, Error> {
        let mut found = Vec::with_capacity(self.trees.files.len());
        for (place, tree) in self.trees.files.iter().enumerate() {
            if let Some(path) = self.trees.path(&self.volume, tree.id)? {
                found.push(Subvolume { id: tree.id, path, root: id(place, tree.first)?, default: tree.id == self.trees.default });
            }
        }
        Ok(found)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        if id == NOWHERE {
            let kind = NodeKind::Directory;
            return Ok(Node { kind, size: 0, mode: Some(0o755), uid: Some(0), gid: Some(0), modified: None, links: 1, device: None });
        }
        let (tree, _, number) = self.tree(id)?;
        Ok(self.inode(tree, number)?.node)
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        if directory == NOWHERE {
            return Ok(());
        }
        let (tree, place, inode) = self.expect(directory, NodeKind::Directory)?;
        let mut give = |entry: Named| -> Result<ControlFlow<()>, Error> {
            // Btrfs has neither; a damaged one may.
            if matches!(entry.name.as_slice(), b"." | b"..") {
                return Ok(ControlFlow::Continue(()));
            }
            if !is_name(&entry.name) {
                return Err(inode.damaged("has an entry whose name is none"));
            }
            let node = self.named(tree, place, inode.number, &entry)?;
            Ok(each(Entry { name: entry.name, node }))
        };
        if let Some(entries) = tree.logged.as_ref().and_then(|logged| logged.entries(inode.number)) {
            for entry in entries {
                if give(entry.clone())?.is_break() {
                    break;
                }
            }
            return Ok(());
        }
        self.volume.items(tree.root, Key::new(inode.number, Key::ENTRY, 0), &mut |_, item| {
            for entry in named(inode.number, item)? {
                if give(entry)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Option<NodeId>, Error> {
        if directory == NOWHERE {
            return Ok(None);
        }
        let (tree, place, inode) = self.expect(directory, NodeKind::Directory)?;
        let entry = match tree.logged.as_ref().and_then(|logged| logged.entry(inode.number, name)) {
            Some(entry) => entry.cloned(),
            None => {
                let item = self.volume.item(tree.root, Key::new(inode.number, Key::ENTRY_BY_HASH, hash(name)))?.unwrap_or_default();
                named(inode.number, &item)?.into_iter().find(|entry| entry.name == name)
            }
        };
        entry.map(|entry| self.named(tree, place, inode.number, &entry)).transpose()
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        let (tree, _, inode) = self.expect(file, NodeKind::File)?;
        self.content(tree, &inode)
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        let (tree, _, inode) = self.expect(link, NodeKind::Symlink)?;
        if inode.node.size == 0 || inode.node.size > MAX_TARGET {
            return Err(inode.damaged("impossible length of a symlink"));
        }
        let mut target = vec![0; int_usize(inode.node.size)];
        self.content(tree, &inode)?.read_at(0, &mut target)?;
        if target.contains(&0) {
            return Err(inode.damaged("target is shorter than its size"));
        }
        Ok(target)
    }

    fn attribute(&self, node: NodeId, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if node == NOWHERE {
            return Ok(None);
        }
        let (tree, _, number) = self.tree(node)?;
        let found = |all: &[Named]| all.iter().find(|one| one.name == name.as_bytes()).map(|one| one.value.clone());
        if let Some(all) = tree.logged.as_ref().and_then(|logged| logged.attributes(number)) {
            return Ok(found(all));
        }
        let item = self.volume.item(tree.root, Key::new(number, Key::ATTRIBUTE, hash(name.as_bytes())))?.unwrap_or_default();
        Ok(found(&named(number, &item)?))
    }

    fn attributes(&self, node: NodeId) -> Result<Vec<(String, Vec<u8>)>, Error> {
        if node == NOWHERE {
            return Ok(vec![]);
        }
        let (tree, _, number) = self.tree(node)?;
        let mut all = match tree.logged.as_ref().and_then(|logged| logged.attributes(number)) {
            Some(all) => all.to_vec(),
            None => {
                let mut all = Vec::new();
                self.volume.items(tree.root, Key::new(number, Key::ATTRIBUTE, 0), &mut |_, item| {
                    all.extend(named(number, item)?);
                    if all.len() > MAX_ATTRIBUTES {
                        return Err(Error::Unsupported(format!("inode {number}: more than {MAX_ATTRIBUTES} attributes")));
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                all
            }
        };
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let text = |one: Named| {
            let name = String::from_utf8(one.name);
            let name = name.map_err(|error| Error::Unsupported(format!("inode {number}: the name of an attribute: {error}")))?;
            Ok((name, one.value))
        };
        all.into_iter().map(text).collect()
    }

    /// Every copy is named, one behind the other, with the same first byte of the file; of a compressed extent, the whole stream.
    fn extents(&self, file: NodeId) -> Result<Option<Vec<Extent>>, Error> {
        let (tree, _, inode) = self.expect(file, NodeKind::File)?;
        content::extents(&self.volume, tree.root, &inode, tree.logged.as_deref())
    }

    fn free(&self) -> Result<Vec<Range<u64>>, Error> {
        space::free(&self.volume, &self.trees)
    }

    fn usage(&self) -> Result<Usage, Error> {
        let (size, used) = (self.volume.superblock.size, self.volume.superblock.used);
        Ok(Usage { size, used, free: size.saturating_sub(used) })
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(self.volume.superblock.log.is_none())
    }
}
