//! Blocks of trees, taken apart and put together again.
//!
//! `struct btrfs_header`, `btrfs_item`, `btrfs_key_ptr` in `include/uapi/linux/btrfs_tree.h`.

use crate::bytes::{int_u64, int_usize};
use crate::fs::Error;
use crate::fs::btrfs::superblock::Superblock;
use crate::fs::btrfs::tree::Key;
use crate::fs::fields::{byte, le32, le64, part};

/// Bytes before the items, and where in them some fields lie.
pub(super) const HEADER: usize = 101;
const IDENTITY: usize = 32;
const ADDRESS: usize = 48;
const GENERATION: usize = 80;
const OWNER: usize = 88;
const COUNT: usize = 96;
const LEVEL: usize = 100;
/// Bytes of an item before its data, and of a pointer.
pub(super) const ITEM: usize = 25;
const POINTER: usize = 33;

/// An item of a leaf.
pub(super) type Item = (Key, Vec<u8>);

/// A block below a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Child {
    /// The first key in it.
    pub(super) key: Key,
    pub(super) at: u64,
    pub(super) generation: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    header: Vec<u8>,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Leaf(Vec<Item>),
    Node(Vec<Child>),
}

impl Block {
    /// Takes a block apart that was read at this address.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub(super) fn read(bytes: &[u8], at: u64, superblock: &Superblock) -> Result<Self, Error> {
        let damaged = |what: &str| Error::Damaged(format!("tree block at {at}: {what}"));
        if !superblock.checksum.verify(bytes.get(32..).unwrap_or_default(), bytes) {
            return Err(damaged("checksum is wrong"));
        }
        if le64(bytes, ADDRESS) != at || part(bytes, IDENTITY, 16) != Some(&superblock.identity) {
            return Err(damaged("is not the one of this place"));
        }
        let count = usize::try_from(le32(bytes, COUNT)).unwrap_or(usize::MAX);
        let body = if byte(bytes, LEVEL) == 0 {
            let mut items: Vec<Item> = Vec::new();
            for item in bytes.get(HEADER..).unwrap_or_default().as_chunks::<ITEM>().0.iter().take(count) {
                let (from, len) = (int_usize(u64::from(le32(item, 17))), int_usize(u64::from(le32(item, 21))));
                let data = part(bytes, HEADER.saturating_add(from), len).ok_or_else(|| damaged("an item passes its end"))?;
                items.push((Key::read(item), data.to_vec()));
            }
            if items.len() != count || size_of_items(&items) > bytes.len() || !items.is_sorted_by(|(one, _), (next, _)| one < next) {
                return Err(damaged("impossible items"));
            }
            Body::Leaf(items)
        } else {
            let pointers = bytes.get(HEADER..).unwrap_or_default().as_chunks::<POINTER>().0.iter().take(count);
            let child = |bytes: &[u8; POINTER]| Child { key: Key::read(bytes), at: le64(bytes, 17), generation: le64(bytes, 25) };
            let children: Vec<Child> = pointers.map(child).collect();
            if children.len() != count || count == 0 || !children.is_sorted_by(|one, next| one.key < next.key) {
                return Err(damaged("impossible pointers"));
            }
            Body::Node(children)
        };
        Ok(Self { header: bytes.get(..HEADER).unwrap_or_default().to_vec(), body })
    }

    /// A leaf of the same kind at another address, made in this generation for this tree: a block that was once shared may name another.
    pub(super) fn beside(&self, tree: u64, at: u64, generation: u64, items: Vec<Item>) -> Self {
        let mut header = self.header.clone();
        put64(&mut header, ADDRESS, at);
        put64(&mut header, GENERATION, generation);
        put64(&mut header, OWNER, tree);
        Self { header, body: Body::Leaf(items) }
    }

    /// The block as it stands on the disk; what nothing in it uses is zeros.
    pub(super) fn write(&self, superblock: &Superblock) -> Vec<u8> {
        let mut bytes = self.header.clone();
        let len = superblock.node_len();
        let mut tail: Vec<&[u8]> = Vec::new();
        let count = match &self.body {
            Body::Leaf(items) => {
                let mut from = len.saturating_sub(HEADER);
                for (key, data) in items {
                    from = from.saturating_sub(data.len());
                    bytes.extend(key_bytes(*key));
                    for number in [from, data.len()] {
                        bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
                    }
                    tail.push(data);
                }
                items.len()
            }
            Body::Node(children) => {
                for child in children {
                    bytes.extend(key_bytes(child.key));
                    bytes.extend(child.at.to_le_bytes());
                    bytes.extend(child.generation.to_le_bytes());
                }
                children.len()
            }
        };
        put32(&mut bytes, COUNT, u32::try_from(count).unwrap_or(u32::MAX));
        let data: usize = tail.iter().map(|data| data.len()).sum();
        bytes.resize(len.saturating_sub(data), 0);
        for data in tail.iter().rev() {
            bytes.extend_from_slice(data);
        }
        let sum = superblock.checksum.digest(bytes.get(32..).unwrap_or_default());
        put(&mut bytes, 0, &sum);
        bytes
    }

    pub(super) fn level(&self) -> u8 {
        byte(&self.header, LEVEL)
    }

    pub(super) fn generation(&self) -> u64 {
        le64(&self.header, GENERATION)
    }

    /// The first key in it.
    pub(super) fn first(&self) -> Option<Key> {
        match &self.body {
            Body::Leaf(items) => items.first().map(|(key, _)| *key),
            Body::Node(children) => children.first().map(|child| child.key),
        }
    }

    pub(super) fn items(&self) -> &[Item] {
        match &self.body {
            Body::Leaf(items) => items,
            Body::Node(_) => &[],
        }
    }

    pub(super) fn children(&self) -> &[Child] {
        match &self.body {
            Body::Leaf(_) => &[],
            Body::Node(children) => children,
        }
    }
}

/// Bytes that a leaf of these items takes.
pub(super) fn size_of_items(items: &[Item]) -> usize {
    items.iter().fold(HEADER, |size, (_, data)| size.saturating_add(ITEM).saturating_add(data.len()))
}

/// Pointers that a node has room for.
pub(super) fn most_children(superblock: &Superblock) -> usize {
    superblock.node_len().saturating_sub(HEADER).checked_div(POINTER).unwrap_or_default()
}

fn key_bytes(key: Key) -> Vec<u8> {
    let mut bytes = key.object.to_le_bytes().to_vec();
    bytes.push(key.kind);
    bytes.extend(key.offset.to_le_bytes());
    bytes
}

/// Lays bytes over others; what lies outside is not written.
pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(value) {
        *to = *from;
    }
}

pub(super) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

pub(super) fn put64(bytes: &mut [u8], at: usize, value: u64) {
    put(bytes, at, &value.to_le_bytes());
}

/// Adds to a number of 64 bits.
///
/// # Errors
///
/// When it would pass its bounds: the file system counts wrong.
pub(super) fn add64(bytes: &mut [u8], at: usize, change: i64, what: &str) -> Result<(), Error> {
    let sum = le64(bytes, at).checked_add_signed(change);
    put64(bytes, at, sum.ok_or_else(|| Error::Damaged(format!("{what}: a count would fall below zero")))?);
    Ok(())
}

/// A length as a change of a count.
pub(super) fn signed(len: u64) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// The same from a length in memory.
pub(super) fn len64(bytes: &[u8]) -> u64 {
    int_u64(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(lens: &[usize]) -> Vec<Item> {
        lens.iter().zip(1_u8..).map(|(len, n)| (Key::new(u64::from(n), Key::INODE, u64::from(n) << 40), vec![n; *len])).collect()
    }

    #[test]
    fn a_block_is_read_as_it_was_written() {
        let superblock = Superblock::for_tests(4096);
        let mut header = vec![0; HEADER];
        put(&mut header, IDENTITY, &superblock.identity);
        put64(&mut header, ADDRESS, 81_920);
        put64(&mut header, GENERATION, 7);
        for lens in [&[][..], &[0], &[160, 0, 12, 3000]] {
            let block = Block { header: header.clone(), body: Body::Leaf(items(lens)) };
            let bytes = block.write(&superblock);
            assert_eq!(bytes.len(), 4096);
            let read = Block::read(&bytes, 81_920, &superblock).unwrap();
            assert_eq!((read.items(), read.generation(), read.level()), (items(lens).as_slice(), 7, 0));
            assert!(Block::read(&bytes, 86_016, &superblock).is_err());
            for at in [0, 40, 60, 96, 4000] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert!(Block::read(&damaged, 81_920, &superblock).is_err(), "{at}");
            }
        }
        put(&mut header, LEVEL, &[1]);
        let children: Vec<Child> = (1..=121).map(|n| Child { key: Key::new(n, 1, 0), at: n << 14, generation: n }).collect();
        assert_eq!(most_children(&superblock), children.len());
        let block = Block { header, body: Body::Node(children.clone()) };
        let bytes = block.write(&superblock);
        assert_eq!(bytes.len(), 4096);
        let read = Block::read(&bytes, 81_920, &superblock).unwrap();
        assert_eq!((read.children(), read.first()), (children.as_slice(), Some(Key::new(1, 1, 0))));
        assert!(add64(&mut [1, 0, 0, 0, 0, 0, 0, 0], 0, -2, "a test").is_err());
    }
}
