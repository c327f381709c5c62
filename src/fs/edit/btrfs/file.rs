//! Files: their names, and their content.
//!
//! `struct btrfs_inode_item`, `btrfs_dir_item`, `btrfs_inode_ref`, `btrfs_file_extent_item` in `include/uapi/linux/btrfs_tree.h`.

use super::block::{add64, len64, put32, put64, signed};
use super::forest::Forest;
use super::space::{References, after};
use crate::bytes::int_usize;
use crate::fs::btrfs::item::{Inode, hash, named, names};
use crate::fs::btrfs::tree::Key;
use crate::fs::fields::{byte, le16, le32, le64};
use crate::fs::{Error, NodeKind};
use std::collections::BTreeMap;

/// Fields of an inode.
const SIZE: usize = 16;
const BYTES: usize = 24;
const LINKS: usize = 40;
const FLAGS: usize = 64;
/// `flags`: immutable, append-only, protected by fs-verity.
const FROZEN: u64 = 0x40 | 0x80;
const VERITY: u64 = 1 << 32;
/// Content no longer than this is kept in the tree: `max_inline` as the kernel has it when nothing else is said.
const MAX_INLINE: usize = 2048;
/// Bytes before the content of an extent in its item.
const INLINE: usize = 21;
/// Kinds of an extent.
const REGULAR: u8 = 1;

/// An extent of a file that has a place.
#[derive(Debug, Clone, Copy)]
struct Placed {
    /// First byte of the file.
    from: u64,
    /// The extent that it is of.
    extent: (u64, u64),
    skip: u64,
    len: u64,
    /// Neither compressed, nor encoded, nor only prepared.
    plain: bool,
}

impl Forest {
    /// The item of an inode that may be changed.
    pub(super) fn changeable(&mut self, tree: u64, number: u64) -> Result<(Inode, Vec<u8>), Error> {
        let item = self.need(tree, Key::new(number, Key::INODE, 0))?;
        let inode = Inode::new(number, &item)?;
        let flags = le64(&item, FLAGS);
        if flags & FROZEN != 0 {
            return Err(Error::Protected(format!("inode {number} is immutable or append-only (chattr)")));
        }
        if flags & VERITY != 0 {
            return Err(Error::Unsupported(format!("inode {number}: is protected by fs-verity")));
        }
        Ok((inode, item))
    }

    /// Removes a name, and the node with its last name.
    pub(super) fn unlink(&mut self, tree: u64, directory: u64, name: &[u8]) -> Result<(), Error> {
        let (above, mut above_item) = self.changeable(tree, directory)?;
        if above.node.kind != NodeKind::Directory {
            return Err(above.damaged("is not a directory"));
        }
        let key = Key::new(directory, Key::ENTRY_BY_HASH, hash(name));
        let entries = self.get(tree, key)?.unwrap_or_default();
        let none = || above.damaged("has no such name");
        let found = named(directory, &entries)?.into_iter().find(|entry| entry.name == name).ok_or_else(none)?;
        if found.location.kind != Key::INODE {
            return Err(Error::Unsupported(format!("inode {directory}: a name of a subvolume is not removed")));
        }
        let number = found.location.object;
        let (inode, mut item) = self.changeable(tree, number)?;
        let is_directory = inode.node.kind == NodeKind::Directory;
        if is_directory && self.next(tree, Key::new(number, Key::ENTRY_BY_HASH, 0))?.is_some_and(|(key, _)| holds_names(key, number)) {
            return Err(Error::Unsupported(format!("inode {number}: the directory is not empty")));
        }
        let index = self.drop_reference(tree, &inode, directory, name)?;
        let by_index = Key::new(directory, Key::ENTRY, index);
        let listed = named(directory, &self.need(tree, by_index)?)?;
        if !matches!(listed.as_slice(), [one] if one.name == name && one.location == found.location) {
            return Err(above.damaged("its entries contradict each other"));
        }
        self.remove(tree, by_index)?;
        let rest = without_entry(&entries, name);
        if rest.is_empty() {
            self.remove(tree, key)?
        } else {
            self.set(tree, key, rest)?
        }
        // A name counts twice, once for each entry.
        add64(&mut above_item, SIZE, signed(len64(name).saturating_mul(2)).saturating_neg(), "a directory")?;
        self.set(tree, Key::new(directory, Key::INODE, 0), above_item)?;
        if is_directory || inode.node.links <= 1 {
            return self.drop_inode(tree, &inode);
        }
        put32(&mut item, LINKS, inode.node.links.saturating_sub(1));
        self.set(tree, Key::new(number, Key::INODE, 0), item)
    }

    /// Removes what an inode says of one of its names; gives the index of the name.
    fn drop_reference(&mut self, tree: u64, inode: &Inode, directory: u64, name: &[u8]) -> Result<u64, Error> {
        let mut key = Key::new(inode.number, Key::NAME, 0);
        while let Some((at, item)) = self.next(tree, key)?
            && at.object == inode.number
            && matches!(at.kind, Key::NAME | Key::FAR_NAME)
        {
            let all = names(at, &item)?;
            if let Some(found) = all.iter().find(|one| one.directory == directory && one.name == name) {
                let index = found.index;
                let (mut kept, mut rest) = (Vec::new(), item.as_slice());
                let fields = if at.kind == Key::NAME { 10 } else { 18 };
                for one in &all {
                    let (this, next) = rest.split_at_checked(one.name.len().saturating_add(fields)).unwrap_or((rest, &[]));
                    if one != found {
                        kept.extend_from_slice(this);
                    }
                    rest = next;
                }
                if kept.is_empty() {
                    self.remove(tree, at)?
                } else {
                    self.set(tree, at, kept)?
                }
                return Ok(index);
            }
            key = after(at);
        }
        Err(inode.damaged("does not know its name"))
    }

    /// Removes an inode without names, with all it has.
    fn drop_inode(&mut self, tree: u64, inode: &Inode) -> Result<(), Error> {
        self.drop_content(tree, inode)?;
        let start = Key::new(inode.number, 0, 0);
        while let Some((key, _)) = self.next(tree, start)?.filter(|(key, _)| key.object == inode.number) {
            if !matches!(key.kind, Key::INODE | Key::ATTRIBUTE) {
                return Err(Error::Unsupported(format!("inode {}: an item of kind {} is not removed", inode.number, key.kind)));
            }
            self.remove(tree, key)?;
        }
        self.settle()
    }

    /// Extents of an inode: the keys of their items, and those that have a place.
    fn extents(&mut self, tree: u64, inode: &Inode) -> Result<(Vec<Key>, Vec<Placed>), Error> {
        let (mut keys, mut placed) = (Vec::new(), Vec::new());
        let mut key = Key::new(inode.number, Key::EXTENT, 0);
        while let Some((at, item)) = self.next(tree, key)?.filter(|(at, _)| (at.object, at.kind) == (inode.number, Key::EXTENT)) {
            if byte(&item, 20) > 2 || item.len() < if byte(&item, 20) == 0 { INLINE } else { 53 } {
                return Err(inode.damaged("an extent of no known kind"));
            }
            let (disk, skip, len) = ((le64(&item, 21), le64(&item, 29)), le64(&item, 37), le64(&item, 45));
            if byte(&item, 20) != 0 && disk.0 != 0 {
                let plain = byte(&item, 20) == REGULAR && byte(&item, 16) == 0 && byte(&item, 17) == 0 && le16(&item, 18) == 0;
                placed.push(Placed { from: at.offset, extent: disk, skip, len, plain });
            }
            keys.push(at);
            key = after(at);
        }
        Ok((keys, placed))
    }

    /// Removes the content of an inode.
    fn drop_content(&mut self, tree: u64, inode: &Inode) -> Result<(), Error> {
        let (keys, placed) = self.extents(tree, inode)?;
        for (extent, references) in references(&placed) {
            self.free_data(tree, inode.number, extent, &references)?;
        }
        keys.into_iter().try_for_each(|key| self.remove(tree, key))
    }

    /// Gives a file other content.
    pub(super) fn overwrite(&mut self, tree: u64, number: u64, content: &[u8]) -> Result<(), Error> {
        let (inode, mut item) = self.changeable(tree, number)?;
        if inode.node.kind != NodeKind::File {
            return Err(inode.damaged("is not a file"));
        }
        let superblock = &self.volume.superblock;
        let inline = content.len() <= MAX_INLINE && len64(content) < superblock.sector;
        let bytes = if inline {
            self.drop_content(tree, &inode)?;
            if !content.is_empty() {
                let mut extent = vec![0; INLINE];
                put64(&mut extent, 0, self.generation);
                put64(&mut extent, 8, len64(content));
                extent.extend_from_slice(content);
                self.insert(tree, Key::new(number, Key::EXTENT, 0), extent)?;
            }
            len64(content)
        } else if self.has_room(tree, &inode, content)? {
            self.in_place(tree, &inode, content)?
        } else {
            self.drop_content(tree, &inode)?;
            self.place_content(tree, &inode, content)?
        };
        put64(&mut item, SIZE, len64(content));
        put64(&mut item, BYTES, bytes);
        self.set(tree, Key::new(number, Key::INODE, 0), item)?;
        self.settle()
    }

    /// Whether the extents that a file has can be written over with this content: there are enough, one behind the other, and what is
    /// left over is of others.
    fn has_room(&mut self, tree: u64, inode: &Inode, content: &[u8]) -> Result<bool, Error> {
        let (_, mut placed) = self.extents(tree, inode)?;
        let end = len64(content).checked_next_multiple_of(self.volume.superblock.sector).unwrap_or(u64::MAX);
        let dropped = placed.split_off(placed.partition_point(|one| one.from < end));
        let mut at = 0;
        for one in &placed {
            if !one.plain || one.from != at || one.skip.checked_add(one.len).is_none_or(|end| end > one.extent.1) {
                return Ok(false);
            }
            at = at.saturating_add(one.len);
        }
        Ok(at >= end && dropped.iter().all(|gone| placed.iter().all(|kept| kept.extent != gone.extent)))
    }

    /// Writes content over the extents that a file has, which must have room; what they have more of becomes zeros, or is freed. Gives
    /// the bytes that the file takes.
    fn in_place(&mut self, tree: u64, inode: &Inode, content: &[u8]) -> Result<u64, Error> {
        let (keys, mut placed) = self.extents(tree, inode)?;
        let end = len64(content).checked_next_multiple_of(self.volume.superblock.sector).unwrap_or(u64::MAX);
        let dropped = placed.split_off(placed.partition_point(|one| one.from < end));
        let number = inode.number;
        let (kept, gone) = (references(&placed), references(&dropped));
        for (extent, references) in &kept {
            self.alone_in(tree, number, *extent, references)?;
            let mut bytes = vec![0; int_usize(extent.1)];
            for one in placed.iter().filter(|one| one.extent == *extent) {
                let from = content.get(int_usize(one.from)..).unwrap_or_default();
                for (to, from) in bytes.iter_mut().skip(int_usize(one.skip)).take(int_usize(one.len)).zip(from) {
                    *to = *from;
                }
            }
            if inode.checksums {
                self.set_sums(extent.0, &bytes)?;
            }
            self.content.insert(extent.0, bytes);
        }
        for (extent, references) in gone {
            self.free_data(tree, number, extent, &references)?;
        }
        let mut taken = 0_u64;
        for key in keys {
            if key.offset >= end {
                self.remove(tree, key)?;
                continue;
            }
            let mut item = self.need(tree, key)?;
            let len = le64(&item, 45).min(end.saturating_sub(key.offset));
            put64(&mut item, 45, len);
            self.set(tree, key, item)?;
            taken = taken.saturating_add(len);
        }
        Ok(taken)
    }
}

/// What the extents of a file refer to, and how often.
fn references(placed: &[Placed]) -> BTreeMap<(u64, u64), References> {
    let mut all: BTreeMap<(u64, u64), References> = BTreeMap::new();
    for one in placed {
        let count = all.entry(one.extent).or_default().entry(one.from.wrapping_sub(one.skip)).or_default();
        *count = count.saturating_add(1);
    }
    all
}

fn holds_names(key: Key, number: u64) -> bool {
    key.object == number && matches!(key.kind, Key::ENTRY_BY_HASH | Key::ENTRY)
}

/// Entries of names with the same hash, without one of them.
fn without_entry(entries: &[u8], name: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (Vec::new(), entries);
    while !rest.is_empty() {
        let len = usize::from(le16(rest, 27));
        let whole = len.saturating_add(usize::from(le16(rest, 25))).saturating_add(30);
        let (one, next) = rest.split_at_checked(whole).unwrap_or((rest, &[]));
        if one.get(30..).and_then(|one| one.get(..len)) != Some(name) {
            kept.extend_from_slice(one);
        }
        rest = next;
    }
    kept
}

/// Whether a subvolume may be written to.
pub(super) fn is_read_only(root: &[u8]) -> bool {
    le64(root, 208) & 1 != 0
}

/// Whether a tree is still in use.
pub(super) fn is_used(root: &[u8]) -> bool {
    le32(root, 216) > 0
}
