//! Extended attributes: `Documentation/filesystems/ext4/attributes.rst` of the Linux kernel. Inline data is one of them.

use super::checksum::{crc32c, crc32c_without};
use super::content::Content;
use super::disk::Disk;
use super::field::{byte, le16, le32, part};
use super::inode::Inode;
use crate::bytes::{int_usize, read_vec};
use crate::fs::{Error, NodeKind};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

const MAGIC: u32 = 0xea02_0000;
/// Bytes of an entry before its name.
const ENTRY: usize = 16;
/// Bytes before the first entry of a block.
const HEADER: usize = 32;
/// The longest value, as the kernel has it (`XATTR_SIZE_MAX`).
const MAX_VALUE: u64 = 65_536;

/// What names begin with, by the number that stands for it.
const PREFIXES: [(u8, &str); 7] = [
    (1, "user."),
    (2, "system.posix_acl_access"),
    (3, "system.posix_acl_default"),
    (4, "trusted."),
    (6, "security."),
    (7, "system."),
    (8, "system.richacl"),
];

/// An attribute of this name.
pub(super) fn get(disk: &Arc<Disk>, inode: &Inode, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let keys = PREFIXES.into_iter().filter_map(|(index, prefix)| name.strip_prefix(prefix).map(|rest| (index, rest.as_bytes())));
    for (index, rest) in keys {
        if let Some(value) = in_inode(disk, inode, index, rest)? {
            return Ok(Some(value));
        }
        if let Some(value) = in_block(disk, inode, index, rest)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Every attribute that a guest would list, by its name.
pub(super) fn all(disk: &Arc<Disk>, inode: &Inode) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut found = BTreeMap::new();
    each(disk, inode, &mut |entry, values| {
        let (index, rest) = (byte(entry, 1), name_of(entry));
        let Some((_, prefix)) = PREFIXES.into_iter().find(|(of, _)| *of == index) else { return Ok(()) };
        if (index, rest) == INLINE_DATA {
            return Ok(());
        }
        let rest = std::str::from_utf8(rest).map_err(|error| inode.unsupported(format!("an attribute's name is not text: {error}")))?;
        // What stands in the inode goes before what stands in the block.
        if let Entry::Vacant(place) = found.entry(format!("{prefix}{rest}")) {
            place.insert(value(disk, inode, entry, values)?);
        }
        Ok(())
    })?;
    Ok(found.into_iter().collect())
}

/// Whether a value is kept in an inode of its own.
pub(super) fn elsewhere(disk: &Arc<Disk>, inode: &Inode) -> Result<bool, Error> {
    let mut elsewhere = false;
    each(disk, inode, &mut |entry, _| {
        elsewhere |= le32(entry, 4) != 0;
        Ok(())
    })?;
    Ok(elsewhere)
}

/// Where the part of inline data that does not fit `i_block` lies in the inode: its first byte and its length.
pub(super) fn inline_at(inode: &Inode) -> Option<(usize, usize)> {
    let tail = inode.tail();
    let entries = tail.get(4..)?;
    let mut rest = entries;
    while le32(rest, 0) != 0 {
        if (byte(rest, 1), name_of(rest)) == INLINE_DATA {
            let at = inode.raw().len().checked_sub(entries.len())?.checked_add(usize::from(le16(rest, 2)))?;
            return Some((at, int_usize(u64::from(le32(rest, 8)))));
        }
        rest = rest.get(step(rest)..).unwrap_or_default();
    }
    None
}

/// The attribute that holds inline data.
const INLINE_DATA: (u8, &[u8]) = (7, b"data");

/// An entry, and the bytes that its value lies in.
type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), Error>;

/// Gives every entry to `visit`, those of the inode first.
fn each(disk: &Arc<Disk>, inode: &Inode, visit: Visit<'_>) -> Result<(), Error> {
    let tail = inode.tail();
    if le32(tail, 0) == MAGIC {
        let entries = tail.get(4..).unwrap_or_default();
        every(inode, entries, entries, visit)?;
    }
    match block(disk, inode)? {
        Some(raw) => every(inode, raw.get(HEADER..).unwrap_or_default(), &raw, visit),
        None => Ok(()),
    }
}

fn every(inode: &Inode, entries: &[u8], values: &[u8], visit: Visit<'_>) -> Result<(), Error> {
    let mut rest = entries;
    while le32(rest, 0) != 0 {
        if name_of(rest).len() != usize::from(byte(rest, 0)) {
            return Err(inode.damaged("an attribute's name passes the end"));
        }
        visit(rest, values)?;
        rest = rest.get(step(rest)..).unwrap_or_default();
    }
    Ok(())
}

/// The name of an entry, without its prefix.
fn name_of(entry: &[u8]) -> &[u8] {
    part(entry, ENTRY, usize::from(byte(entry, 0)))
}

/// Bytes from an entry to the next.
fn step(entry: &[u8]) -> usize {
    ENTRY.saturating_add(usize::from(byte(entry, 0))).saturating_add(3) & !3
}

/// Inline data: the part in the inode, and the part that goes on in the attribute.
pub(super) fn inline(disk: &Arc<Disk>, inode: &Inode) -> Result<(Vec<u8>, Vec<u8>), Error> {
    // `system.data` is always there where data is inline, empty where 60 bytes are enough.
    let more = in_inode(disk, inode, 7, b"data")?.ok_or_else(|| inode.damaged("inline data without its attribute"))?;
    Ok((inode.block().to_vec(), more))
}

/// Attributes behind the fields of the inode; values are counted from the first entry.
fn in_inode(disk: &Arc<Disk>, inode: &Inode, index: u8, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let tail = inode.tail();
    if le32(tail, 0) != MAGIC {
        return Ok(None);
    }
    let entries = tail.get(4..).unwrap_or_default();
    find(disk, inode, entries, entries, index, name)
}

/// Attributes in the block that the inode names; values are counted from its start.
fn in_block(disk: &Arc<Disk>, inode: &Inode, index: u8, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let Some(raw) = block(disk, inode)? else { return Ok(None) };
    find(disk, inode, raw.get(HEADER..).unwrap_or_default(), &raw, index, name)
}

/// The block of attributes that the inode names, checked.
pub(super) fn block(disk: &Disk, inode: &Inode) -> Result<Option<Vec<u8>>, Error> {
    let number = inode.attribute_block();
    if number == 0 {
        return Ok(None);
    }
    if !disk.holds(number, 1) {
        return Err(inode.damaged(format!("attributes in block {number} of {}", disk.superblock.blocks)));
    }
    let raw = disk.block(number)?;
    if le32(&raw, 0) != MAGIC || le32(&raw, 8) != 1 {
        return Err(inode.damaged(format!("block {number} holds no attributes")));
    }
    if let Some(seed) = disk.superblock.seed()
        && crc32c_without(crc32c(seed, &number.to_le_bytes()), &raw, 0x10, 4) != le32(&raw, 0x10)
    {
        return Err(inode.damaged(format!("attributes in block {number}: the checksum is wrong")));
    }
    Ok(Some(raw))
}

/// Looks through a list of entries, whose values lie in `values`.
fn find(disk: &Arc<Disk>, inode: &Inode, entries: &[u8], values: &[u8], index: u8, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut rest = entries;
    while le32(rest, 0) != 0 {
        let len = usize::from(byte(rest, 0));
        let stands = part(rest, ENTRY, len);
        if stands.len() != len {
            return Err(inode.damaged("an attribute's name passes the end"));
        }
        if byte(rest, 1) == index && stands == name {
            return value(disk, inode, rest, values).map(Some);
        }
        let next = ENTRY.saturating_add(len).saturating_add(3) & !3;
        rest = rest.get(next..).unwrap_or_default();
    }
    Ok(None)
}

/// The value of an entry: here, or as the content of an inode of its own.
fn value(disk: &Arc<Disk>, inode: &Inode, entry: &[u8], values: &[u8]) -> Result<Vec<u8>, Error> {
    let (at, holder, size) = (le16(entry, 2), le32(entry, 4), le32(entry, 8));
    if u64::from(size) > MAX_VALUE {
        return Err(inode.damaged(format!("an attribute of {size} bytes")));
    }
    if holder == 0 {
        let len = int_usize(u64::from(size));
        let found = part(values, usize::from(at), len);
        return if found.len() == len { Ok(found.to_vec()) } else { Err(inode.damaged("an attribute's value passes the end")) };
    }
    let holder = disk.inode(u64::from(holder))?;
    if holder.kind != NodeKind::File || holder.size != u64::from(size) {
        return Err(inode.damaged(format!("inode {} does not hold the attribute of {size} bytes", holder.number)));
    }
    let content = Content { disk: disk.clone(), inode: holder };
    Ok(read_vec(&content, 0, int_usize(u64::from(size)))?)
}
