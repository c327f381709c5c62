//! New files: an inode, its name, and its attributes.
//!
//! `struct btrfs_inode_item`, `btrfs_inode_ref`, `btrfs_dir_item` in `include/uapi/linux/btrfs_tree.h`; numbers of inodes and of entries
//! follow `btrfs_init_root_free_objectid` and `btrfs_set_inode_index_count` in `fs/btrfs`, flags `btrfs_inherit_iflags`.

use super::block::{add64, len64, put, put32, put64, signed};
use super::forest::Forest;
use crate::bytes::int_u64;
use crate::fs::btrfs::item::{Inode, hash, named};
use crate::fs::btrfs::tree::Key;
use crate::fs::edit::NewFile;
use crate::fs::fields::{le64, part};
use crate::fs::{Error, NodeKind, is_name};

/// Bytes of an inode, and fields of it.
const INODE: usize = 160;
const TRANSACTION: usize = 8;
const SIZE: usize = 16;
const LINKS: usize = 40;
const UID: usize = 44;
const GID: usize = 48;
const MODE: usize = 52;
const FLAGS: usize = 64;
/// Times: of access, change, modification, making.
const TIMES: [usize; 4] = [112, 124, 136, 148];
const MODIFIED: usize = 136;
const TIME: usize = 12;
/// `mode`: a regular file.
const REGULAR: u32 = 0o100_000;
/// `flags`: no checksums, not copied on write, never compressed, to be compressed.
const NO_CHECKSUMS: u64 = 1;
const NOT_COPIED: u64 = 1 << 1;
const NEVER_COMPRESSED: u64 = 1 << 3;
const COMPRESSED: u64 = 1 << 11;
/// Kinds of what is named.
const FILE: u8 = 1;
const ATTRIBUTE: u8 = 8;
/// The number of the first file, that of the first entry, and what no file has a number above.
const FIRST_FILE: u64 = 257;
const FIRST_ENTRY: u64 = 2;
const LAST_FILE: u64 = 0_u64.wrapping_sub(256);
/// Bytes of a name at most.
const MAX_NAME: usize = 255;

impl Forest {
    /// Makes a regular file; gives its number.
    pub(super) fn make(&mut self, tree: u64, directory: u64, name: &[u8], new: &NewFile<'_>) -> Result<u64, Error> {
        let (above, mut above_item) = self.changeable(tree, directory)?;
        if above.node.kind != NodeKind::Directory {
            return Err(above.damaged("is not a directory"));
        }
        if !is_name(name) || matches!(name, b"." | b"..") || name.len() > MAX_NAME {
            return Err(Error::Unsupported(format!("inode {directory}: a name of {} bytes that no file can have", name.len())));
        }
        let by_hash = Key::new(directory, Key::ENTRY_BY_HASH, hash(name));
        let entries = self.get(tree, by_hash)?;
        if named(directory, entries.as_deref().unwrap_or_default())?.iter().any(|entry| entry.name == name) {
            return Err(above.damaged("has this name already"));
        }
        let number = self.new_number(tree)?;
        let index = self.new_index(tree, directory)?;
        self.add_inode(tree, number, &above_item, new)?;
        let mut reference = index.to_le_bytes().to_vec();
        reference.extend(short(directory, name)?.to_le_bytes());
        reference.extend_from_slice(name);
        self.insert(tree, Key::new(number, Key::NAME, directory), reference)?;
        for (attribute, value) in new.attributes {
            let entry = self.entry(number, Key::new(0, 0, 0), ATTRIBUTE, attribute.as_bytes(), value)?;
            self.append(tree, Key::new(number, Key::ATTRIBUTE, hash(attribute.as_bytes())), &entry)?;
        }
        let entry = self.entry(directory, Key::new(number, Key::INODE, 0), FILE, name, &[])?;
        self.append(tree, by_hash, &entry)?;
        self.insert(tree, Key::new(directory, Key::ENTRY, index), entry)?;
        // A name counts twice, once for each entry.
        add64(&mut above_item, SIZE, signed(len64(name).saturating_mul(2)), "a directory")?;
        self.set(tree, Key::new(directory, Key::INODE, 0), above_item)?;
        self.settle()?;
        self.overwrite(tree, number, new.content)?;
        Ok(number)
    }

    /// The number behind the highest that a tree has.
    fn new_number(&mut self, tree: u64) -> Result<u64, Error> {
        let last = self.before(tree, Key::new(LAST_FILE, u8::MAX, u64::MAX))?.map_or(0, |(key, _)| key.object);
        Ok(last.saturating_add(1).max(FIRST_FILE))
    }

    /// The number behind the highest of a directory's entries.
    fn new_index(&mut self, tree: u64, directory: u64) -> Result<u64, Error> {
        let last = self.before(tree, Key::new(directory, Key::ENTRY, u64::MAX))?;
        let last = last.filter(|(key, _)| (key.object, key.kind) == (directory, Key::ENTRY));
        Ok(last.map_or(FIRST_ENTRY, |(key, _)| key.offset.saturating_add(1)))
    }

    /// Adds an inode without content, with the times of its directory.
    fn add_inode(&mut self, tree: u64, number: u64, directory: &[u8], new: &NewFile<'_>) -> Result<(), Error> {
        let mut item = vec![0; INODE];
        put64(&mut item, 0, self.generation);
        put64(&mut item, TRANSACTION, self.generation);
        put32(&mut item, LINKS, 1);
        put32(&mut item, UID, new.uid);
        put32(&mut item, GID, new.gid);
        put32(&mut item, MODE, REGULAR | u32::from(new.mode & 0o7777));
        put64(&mut item, FLAGS, inherited(le64(directory, FLAGS)));
        for time in TIMES {
            put(&mut item, time, part(directory, MODIFIED, TIME).unwrap_or_default());
        }
        Inode::new(number, &item)?;
        self.insert(tree, Key::new(number, Key::INODE, 0), item)
    }

    /// An entry of a directory, or an attribute.
    fn entry(&self, owner: u64, location: Key, kind: u8, name: &[u8], value: &[u8]) -> Result<Vec<u8>, Error> {
        let mut entry = location.object.to_le_bytes().to_vec();
        entry.push(location.kind);
        entry.extend(location.offset.to_le_bytes());
        entry.extend(self.generation.to_le_bytes());
        entry.extend(short(owner, value)?.to_le_bytes());
        entry.extend(short(owner, name)?.to_le_bytes());
        entry.push(kind);
        entry.extend_from_slice(name);
        entry.extend_from_slice(value);
        Ok(entry)
    }

    /// Adds an entry to those with the same hash.
    fn append(&mut self, tree: u64, key: Key, entry: &[u8]) -> Result<(), Error> {
        match self.get(tree, key)? {
            Some(mut entries) => {
                entries.extend_from_slice(entry);
                self.set(tree, key, entries)
            }
            None => self.insert(tree, key, entry.to_vec()),
        }
    }
}

/// A length in 16 bits.
fn short(owner: u64, bytes: &[u8]) -> Result<u16, Error> {
    let len = int_u64(bytes.len());
    u16::try_from(len).map_err(|error| Error::Unsupported(format!("inode {owner}: a name or an attribute of {len} bytes: {error}")))
}

/// Flags of a file in a directory with these.
fn inherited(directory: u64) -> u64 {
    let compression = if directory & NEVER_COMPRESSED != 0 { NEVER_COMPRESSED } else { directory & COMPRESSED };
    compression | if directory & NOT_COPIED != 0 { NOT_COPIED | NO_CHECKSUMS } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_take_over_what_their_directory_says_of_content() {
        for (directory, file) in [
            (0, 0),
            (NO_CHECKSUMS, 0),
            (NOT_COPIED, NOT_COPIED | NO_CHECKSUMS),
            (COMPRESSED, COMPRESSED),
            (COMPRESSED | NEVER_COMPRESSED, NEVER_COMPRESSED),
            (0x40 | 0x200, 0),
        ] {
            assert_eq!(inherited(directory), file, "{directory:#x}");
        }
    }
}
