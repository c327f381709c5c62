//! What items of a tree of files say: inodes, names, attributes.
//!
//! `struct btrfs_inode_item`, `btrfs_dir_item`, `btrfs_inode_ref`, `btrfs_inode_extref` in `include/uapi/linux/btrfs_tree.h`.

use super::super::{Error, Node, NodeKind};
use super::tree::Key;
use crate::fs::fields::{array, le16, le32, le64, part};

/// `flags` of an inode: content has no checksums.
const NO_CHECKSUMS: u64 = 0x1;

/// An inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fs) struct Inode {
    pub(in crate::fs) number: u64,
    pub(in crate::fs) node: Node,
    pub(in crate::fs) checksums: bool,
}

impl Inode {
    /// The inode in an item.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub(in crate::fs) fn new(number: u64, item: &[u8]) -> Result<Self, Error> {
        let damaged = |what: &str| Error::Damaged(format!("inode {number}: {what}"));
        if item.len() < 160 {
            return Err(damaged("shorter than an inode"));
        }
        let mode = le32(item, 52);
        let kind = NodeKind::of_mode(mode).ok_or_else(|| damaged("impossible type"))?;
        let size = le64(item, 16);
        if i64::try_from(size).is_err() {
            return Err(damaged("impossible size"));
        }
        // As the kernel numbers devices within itself: 20 bits of minor number.
        let number_of_device = le64(item, 56);
        let device = u32::try_from(number_of_device >> 20).ok().zip(u32::try_from(number_of_device & 0xf_ffff).ok());
        let node = Node {
            kind,
            size,
            mode: u16::try_from(mode & 0o7777).ok(),
            uid: Some(le32(item, 44)),
            gid: Some(le32(item, 48)),
            modified: Some(i64::from_le_bytes(array(item, 136))),
            links: le32(item, 40),
            device: device.filter(|_| matches!(kind, NodeKind::BlockDevice | NodeKind::CharacterDevice)),
        };
        Ok(Self { number, node, checksums: le64(item, 64) & NO_CHECKSUMS == 0 })
    }

    pub(in crate::fs) fn damaged(&self, what: &str) -> Error {
        Error::Damaged(format!("inode {}: {what}", self.number))
    }
}

/// An entry of a directory, or an attribute: they look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fs) struct Named {
    /// The key of what it names.
    pub(in crate::fs) location: Key,
    pub(in crate::fs) name: Vec<u8>,
    pub(in crate::fs) value: Vec<u8>,
}

/// The entries in an item: one, or several whose names have the same hash.
///
/// # Errors
///
/// When they pass its end.
pub(in crate::fs) fn named(owner: u64, item: &[u8]) -> Result<Vec<Named>, Error> {
    let mut found = Vec::new();
    let mut rest = item;
    while !rest.is_empty() {
        let (value, name) = (usize::from(le16(rest, 25)), usize::from(le16(rest, 27)));
        let whole = name.saturating_add(value).saturating_add(30);
        let (Some(one), true) = (part(rest, 0, whole), name > 0) else {
            return Err(Error::Damaged(format!("inode {owner}: a name or an attribute passes the end of its item")));
        };
        found.push(Named {
            location: Key::read(one),
            name: part(one, 30, name).unwrap_or_default().to_vec(),
            value: one.get(name.saturating_add(30)..).unwrap_or_default().to_vec(),
        });
        rest = rest.get(whole..).unwrap_or_default();
    }
    Ok(found)
}

/// A name that an inode has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fs) struct Name {
    pub(in crate::fs) directory: u64,
    pub(in crate::fs) index: u64,
    pub(in crate::fs) name: Vec<u8>,
}

/// The names in an item of an inode: of one directory, or of several.
///
/// # Errors
///
/// When they pass its end.
pub(in crate::fs) fn names(key: Key, item: &[u8]) -> Result<Vec<Name>, Error> {
    let mut found = Vec::new();
    let mut rest = item;
    let far = key.kind == Key::FAR_NAME;
    let before = if far { 8 } else { 0_usize };
    while !rest.is_empty() {
        let (at, len) = (before.saturating_add(10), usize::from(le16(rest, before.saturating_add(8))));
        let Some(name) = part(rest, at, len) else {
            return Err(Error::Damaged(format!("inode {}: a name passes the end of its item", key.object)));
        };
        let directory = if far { le64(rest, 0) } else { key.offset };
        found.push(Name { directory, index: le64(rest, before), name: name.to_vec() });
        rest = rest.get(at.saturating_add(len)..).unwrap_or_default();
    }
    Ok(found)
}

/// The hash that entries and attributes are found by.
pub(in crate::fs) fn hash(name: &[u8]) -> u64 {
    // All ones but the last as the register, and no inversions.
    u64::from(!crc32c::crc32c_append(1, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_names_end_where_their_items_do() {
        let entry = |name: &[u8], value: &[u8]| {
            let mut item = vec![0; 30];
            item[..9].copy_from_slice(&[1, 1, 0, 0, 0, 0, 0, 0, Key::INODE]);
            item[25] = value.len() as u8;
            item[27] = name.len() as u8;
            [&item, name, value].concat()
        };
        let item = [entry(b"one", b""), entry(b"user.two", b"value")].concat();
        let found = named(5, &item).unwrap();
        assert_eq!(
            found.iter().map(|one| (one.name.as_slice(), one.value.as_slice())).collect::<Vec<_>>(),
            [(&b"one"[..], &b""[..]), (b"user.two", b"value")]
        );
        assert_eq!(found[0].location, Key::new(257, Key::INODE, 0));
        for cut in (1..item.len()).filter(|cut| *cut != 33) {
            assert!(named(5, &item[..cut]).is_err(), "{cut}");
        }
        let key = Key::new(300, Key::NAME, 256);
        let name = [&7_u64.to_le_bytes()[..], &[3, 0], b"abc"].concat();
        assert_eq!(names(key, &name).unwrap(), [Name { directory: 256, index: 7, name: b"abc".to_vec() }]);
        let far = [&261_u64.to_le_bytes()[..], &name].concat();
        assert_eq!(names(Key::new(300, Key::FAR_NAME, 1), &far).unwrap(), [Name { directory: 261, index: 7, name: b"abc".to_vec() }]);
        for cut in 1..name.len() {
            assert!(names(key, &name[..cut]).is_err());
        }
    }

    #[test]
    fn inodes_say_what_they_are() {
        let mut item = vec![0; 160];
        item[16] = 9;
        item[40] = 2;
        item[52..54].copy_from_slice(&0o020_640_u16.to_le_bytes());
        item[56..60].copy_from_slice(&(5_u32 << 20 | 1).to_le_bytes());
        item[136..144].copy_from_slice(&(-5_i64).to_le_bytes());
        let node = Inode::new(257, &item).unwrap().node;
        assert_eq!(
            (node.kind, node.device, node.mode, node.links, node.modified),
            (NodeKind::CharacterDevice, Some((5, 1)), Some(0o640), 2, Some(-5))
        );
        assert!(Inode::new(257, &item[..159]).is_err());
        item[53] = 0;
        assert!(Inode::new(257, &item).is_err());
    }

    #[test]
    fn names_hash_as_another_reader_hashes_them() {
        for name in ["", "default", "security.selinux", "..", "Ünïcode ☃"] {
            assert_eq!(hash(name.as_bytes()), fs_btrfs::dir::name_hash(name.as_bytes()), "{name}");
        }
        // `btrfs inspect-internal dump-tree`: DIR_ITEM of "default".
        assert_eq!(hash(b"default"), 2_378_154_706);
    }
}
