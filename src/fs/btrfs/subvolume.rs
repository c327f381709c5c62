//! Subvolumes: the trees of files, and where they are seen.
//!
//! `struct btrfs_root_item`, `btrfs_root_ref` in `include/uapi/linux/btrfs_tree.h`.

use super::super::Error;
use super::item::{named, names};
use super::log::{Logged, replay};
use super::tree::{Key, Root, Volume};
use crate::fs::fields::{byte, le16, le32, le64, part};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The tree of the top level; its number, and those of all others.
pub(in crate::fs) const TOP: u64 = 5;
const FIRST: u64 = 256;
const LAST: u64 = 0_u64.wrapping_sub(256);
/// The tree of checksums, and the object that logs are filed under.
const CHECKSUM_TREE: u64 = 7;
const LOG: u64 = 0_u64.wrapping_sub(6);
/// More subvolumes are not read: their places are part of node numbers.
pub(in crate::fs) const MAX_SUBVOLUMES: usize = 0xffff;
/// Names of a path at most.
const MAX_DEPTH: usize = 1024;

/// A tree of files.
#[derive(Debug)]
pub(in crate::fs) struct Tree {
    pub(in crate::fs) id: u64,
    pub(in crate::fs) root: Root,
    /// Inode of its root directory.
    pub(in crate::fs) first: u64,
    /// Where it is seen: the tree, the directory in it, and the name there; `None` for the top level and for what is seen nowhere.
    pub(in crate::fs) seen: Option<(u64, u64, Vec<u8>)>,
    /// What its log changes.
    pub(super) logged: Option<Arc<Logged>>,
}

/// All trees of files, by number; and the tree of checksums.
#[derive(Debug)]
pub(in crate::fs) struct Trees {
    pub(in crate::fs) files: Vec<Tree>,
    /// The trees that are not of files, by number.
    others: BTreeMap<u64, Root>,
    pub(in crate::fs) checksums: Root,
    pub(in crate::fs) default: u64,
}

/// Reads the tree of roots.
///
/// # Errors
///
/// When it is damaged, or the log cannot be replayed.
pub(in crate::fs) fn trees(volume: &Volume) -> Result<Trees, Error> {
    let mut found: BTreeMap<u64, Tree> = BTreeMap::new();
    let (mut seen, mut others, mut default) = (BTreeMap::new(), BTreeMap::new(), TOP);
    volume.walk(volume.superblock.roots, Key::new(0, 0, 0), &mut |key, item| {
        match key.kind {
            Key::ROOT if key.object < FIRST && key.object != TOP => {
                others.insert(key.object, root(item));
            }
            Key::ROOT if key.object == TOP || (FIRST..=LAST).contains(&key.object) => {
                // Without references it is being deleted.
                if item.len() < 239 {
                    return Err(Error::Damaged(format!("root of tree {}: too short", key.object)));
                }
                if le32(item, 216) > 0 {
                    found.insert(key.object, Tree { id: key.object, root: root(item), first: le64(item, 168), seen: None, logged: None });
                }
            }
            Key::PARENT => {
                let name = part(item, 18, usize::from(le16(item, 16)));
                let name = name.ok_or_else(|| Error::Damaged(format!("subvolume {}: name passes the end of its item", key.object)))?;
                seen.insert(key.object, (key.offset, le64(item, 0), name.to_vec()));
            }
            Key::ENTRY_BY_HASH if key.object == volume.superblock.directory => {
                for entry in named(key.object, item)?.into_iter().filter(|entry| entry.name == b"default") {
                    default = entry.location.object;
                }
            }
            _ => {}
        }
        if found.len() > MAX_SUBVOLUMES {
            return Err(Error::Unsupported(format!("Btrfs with more than {MAX_SUBVOLUMES} subvolumes")));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let checksums = others.get(&CHECKSUM_TREE).copied().ok_or_else(|| Error::Damaged("no tree of checksums".to_owned()))?;
    if !found.contains_key(&default) {
        return Err(Error::Damaged(format!("the default subvolume {default} is not")));
    }
    for (id, tree) in &mut found {
        tree.seen = seen.remove(id);
    }
    if let Some(log) = volume.superblock.log {
        volume.items(log, Key::new(LOG, Key::ROOT, 0), &mut |id, item| {
            if let Some(tree) = found.get_mut(&id) {
                tree.logged = Some(Arc::new(replay(volume, tree.root, root(item))?));
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(Trees { files: found.into_values().collect(), others, checksums, default })
}

/// The root in a root item.
fn root(item: &[u8]) -> Root {
    Root { at: le64(item, 176), level: byte(item, 238), generation: le64(item, 160) }
}

impl Trees {
    /// The root of a tree that is not of files.
    pub(in crate::fs) fn other(&self, id: u64) -> Option<Root> {
        self.others.get(&id).copied()
    }

    /// The roots of all trees.
    pub(in crate::fs) fn roots(&self) -> impl Iterator<Item = Root> {
        self.others.values().copied().chain(self.files.iter().map(|tree| tree.root))
    }

    /// The place of a tree among the others.
    pub(in crate::fs) fn place(&self, id: u64) -> Option<usize> {
        self.files.binary_search_by_key(&id, |tree| tree.id).ok()
    }

    /// The path of a subvolume from the top level; `None` for one that no directory shows.
    ///
    /// # Errors
    ///
    /// When names on the way are damaged.
    pub(in crate::fs) fn path(&self, volume: &Volume, id: u64) -> Result<Option<String>, Error> {
        let (mut parts, mut id) = (Vec::new(), id);
        while id != TOP {
            let tree = self.place(id).and_then(|place| self.files.get(place));
            let Some((parent, directory, name)) = tree.and_then(|tree| tree.seen.as_ref()) else { return Ok(None) };
            let Some(above) = self.place(*parent).and_then(|place| self.files.get(place)) else { return Ok(None) };
            parts.push(name.clone());
            let mut directory = *directory;
            while directory != above.first {
                let mut up = None;
                volume.items(above.root, Key::new(directory, Key::NAME, 0), &mut |offset, item| {
                    up = names(Key::new(directory, Key::NAME, offset), item)?.into_iter().next();
                    Ok(ControlFlow::Break(()))
                })?;
                let Some(up) = up else { return Ok(None) };
                parts.push(up.name);
                directory = up.directory;
                if parts.len() > MAX_DEPTH {
                    return Err(Error::Damaged(format!("subvolume {id}: its path has no end")));
                }
            }
            id = *parent;
            if parts.len() > MAX_DEPTH {
                return Err(Error::Damaged(format!("subvolume {id}: its path has no end")));
            }
        }
        parts.reverse();
        let parts: Vec<_> = parts.iter().map(|part| String::from_utf8_lossy(part)).collect();
        Ok(Some(parts.join("/")))
    }
}
