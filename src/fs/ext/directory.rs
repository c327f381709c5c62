//! Directories: `Documentation/filesystems/ext4/directory.rst` of the Linux kernel.
//!
//! They are read from one end to the other. An index (htree) lies in blocks that look empty to such a reader, so it is not needed;
//! a name is compared where it stands.

use super::checksum::crc32c;
use super::content::Content;
use super::disk::Disk;
use super::field::{byte, le16, le32, part};
use super::inode::Inode;
use super::{attribute, map};
use crate::bytes::{GIB, ReadAt, int_u64, int_usize};
use crate::fs::{Error, is_name};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Larger directories are not read: ten million entries.
const MAX_SIZE: u64 = GIB;
/// What a checksum at a block's end looks like to those who do not know it: an unused entry of 12 bytes and of this type.
pub(super) const TAIL: usize = 12;
pub(super) const TAIL_TYPE: u8 = 0xde;

/// Gives every name and inode number to `each`, without `.` and `..`, until it breaks.
pub(super) fn walk(disk: &Arc<Disk>, inode: &Inode, each: &mut dyn FnMut(&[u8], u32) -> ControlFlow<()>) -> Result<(), Error> {
    walk_blocks(disk, inode, &mut |_, name, number| each(name, number))
}

/// Where a name stands: which block of the directory, and where that is; nothing in a directory that lies in its inode.
pub(super) type Place = Option<(u64, u64)>;

/// What is given every name with its place and its inode.
type Each<'e> = &'e mut dyn FnMut(Place, &[u8], u32) -> ControlFlow<()>;

/// As [`walk`], with the place of each name.
pub(super) fn walk_blocks(disk: &Arc<Disk>, inode: &Inode, each: Each<'_>) -> Result<(), Error> {
    if inode.encrypted() {
        return Err(inode.unsupported("names encrypted by fscrypt"));
    }
    if inode.inline() {
        // The parent's number stands before the entries; more of them may stand in the attribute.
        let (first, more) = attribute::inline(disk, inode)?;
        for (part, of) in [(first.get(4..).unwrap_or_default(), "inline"), (&more, "inline, behind the inode")] {
            if block(inode, part, of, &mut |name, number| each(None, name, number))?.is_break() {
                break;
            }
        }
        return Ok(());
    }
    if inode.size > MAX_SIZE || inode.size > disk.bytes.size() {
        return Err(inode.unsupported(format!("a directory of {} bytes", inode.size)));
    }
    let size = disk.superblock.block_size;
    let content = Content { disk: disk.clone(), inode: inode.clone() };
    let mut buf = vec![0; int_usize(size)];
    for number in 0..inode.blocks(size) {
        let start = number.saturating_mul(size);
        let Some(at) = map::run(disk, inode, number)?.first else {
            return Err(inode.damaged(format!("block {number} of the directory is a hole")));
        };
        let Some(buf) = buf.get_mut(..int_usize(size.min(inode.size.saturating_sub(start)))) else { break };
        content.read_at(start, buf)?;
        let of = format!("block {number} of the directory");
        verify(inode, number, buf, &of)?;
        if block(inode, buf, &of, &mut |name, inode| each(Some((number, at)), name, inode))?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Checks the checksum of a block of entries. Blocks of the index have one of another kind; nothing is taken from them.
fn verify(inode: &Inode, number: u64, buf: &[u8], of: &str) -> Result<(), Error> {
    let Some(seed) = inode.seed else { return Ok(()) };
    let whole = le32(buf, 0) == 0 && length(buf, buf.len()) == buf.len();
    if inode.indexed() && (number == 0 || whole) {
        return Ok(());
    }
    let (entries, tail) = buf.split_at_checked(buf.len().saturating_sub(TAIL)).unwrap_or((buf, &[]));
    if le32(tail, 0) != 0 || le16(tail, 4) != 12 || byte(tail, 7) != TAIL_TYPE {
        return Err(inode.damaged(format!("{of} has no checksum")));
    }
    if crc32c(seed, entries) != le32(tail, 8) {
        return Err(inode.damaged(format!("{of}: its checksum is wrong")));
    }
    Ok(())
}

/// `rec_len` of an entry: 65536 does not fit 16 bits, and is kept as 65535 or 0.
pub(super) fn length(entry: &[u8], block: usize) -> usize {
    match usize::from(le16(entry, 4)) {
        0 | 0xffff if block == 0x1_0000 => block,
        len if block > 0xffff => (len & 0xfffc) | ((len & 3) << 16),
        len => len,
    }
}

/// Gives the entries of one block to `each`.
fn block(inode: &Inode, buf: &[u8], of: &str, each: &mut dyn FnMut(&[u8], u32) -> ControlFlow<()>) -> Result<ControlFlow<()>, Error> {
    let mut rest = buf;
    while !rest.is_empty() {
        let at = || int_u64(buf.len().saturating_sub(rest.len()));
        let len = length(rest, buf.len());
        let name_len = usize::from(byte(rest, 6));
        let needed = name_len.saturating_add(8);
        // In an inline directory the rest may be shorter than any entry.
        if rest.len() < 12 && len != rest.len() {
            break;
        }
        let Some((entry, later)) = rest.split_at_checked(len).filter(|_| len >= 12 && len.is_multiple_of(4) && len >= needed) else {
            return Err(inode.damaged(format!("{of}: the entry at byte {} is {len} bytes long, its name {name_len}", at())));
        };
        let (number, name) = (le32(entry, 0), part(entry, 8, name_len));
        if number != 0 && !matches!(name, b"." | b"..") {
            if !is_name(name) {
                return Err(inode.damaged(format!("{of}: the name at byte {} is none", at())));
            }
            if each(name, number).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        rest = later;
    }
    Ok(ControlFlow::Continue(()))
}
