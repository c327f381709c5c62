//! Directories swept: what is between entries becomes zeros, so that names that were removed are gone.

use super::checksum::crc32c;
use super::directory::{TAIL, TAIL_TYPE, length};
use super::disk::Disk;
use super::field::{byte, le16, le32, put};
use super::inode::{I_BLOCK, I_BLOCK_LENGTH, Inode};
use super::{Write, attribute, map, writing};
use crate::fs::Error;
use std::sync::Arc;

/// Sweeps every block of entries of a directory; blocks of its index stay as they are.
pub(super) fn directory(disk: &Arc<Disk>, inode: &Inode, filetype: bool, write: Write<'_>) -> Result<(), Error> {
    if inode.inline() {
        return inline(disk, inode, filetype, write);
    }
    let size = disk.superblock.block_size;
    let mut levels = 0;
    for (from, blocks) in map::runs(disk, inode)? {
        for (number, logical) in blocks.zip(from..) {
            let before = disk.block(number)?;
            let whole = le32(&before, 0) == 0 && length(&before, before.len()) == before.len();
            if inode.indexed() && logical == 0 {
                // `dx_root_info`: indirect_levels.
                levels = byte(&before, 0x1e);
                continue;
            }
            // A node of the index looks like one unused entry over the whole block. A leaf cannot, where it has a checksum at its end.
            if inode.indexed() && whole && (inode.seed.is_some() || levels > 0) {
                continue;
            }
            let mut block = before.clone();
            entries(&mut block, filetype, inode)?;
            if block == before {
                continue;
            }
            if let Some(seed) = inode.seed {
                let end = block.len().saturating_sub(TAIL);
                let sum = crc32c(seed, block.get(..end).unwrap_or_default());
                put(&mut block, end.saturating_add(8), &sum.to_le_bytes());
            }
            write(number.saturating_mul(size), &block)?;
        }
    }
    Ok(())
}

/// Sweeps a directory that lies in its inode: behind the parent's number, and in the attribute.
fn inline(disk: &Disk, inode: &Inode, filetype: bool, write: Write<'_>) -> Result<(), Error> {
    let mut raw = inode.raw().to_vec();
    let head = (I_BLOCK.saturating_add(4), I_BLOCK_LENGTH.saturating_sub(4));
    for (at, len) in std::iter::once(head).chain(attribute::inline_at(inode)) {
        if let Some(part) = raw.get_mut(at..at.saturating_add(len)) {
            entries(part, filetype, inode)?;
        }
    }
    if raw == inode.raw() { Ok(()) } else { writing::write_inode(disk, inode, raw, write) }
}

/// Sweeps one run of entries.
fn entries(block: &mut [u8], filetype: bool, inode: &Inode) -> Result<(), Error> {
    let whole = block.len();
    let mut rest = block;
    while rest.len() >= 8 {
        let len = length(rest, whole);
        let (number, last) = (le32(rest, 0), len == rest.len());
        let Some((entry, later)) = rest.split_at_mut_checked(len).filter(|_| len >= 8) else {
            return Err(inode.damaged(format!("an entry of a directory is {len} bytes long")));
        };
        let tail = number == 0 && last && len == TAIL && byte(entry, 7) == TAIL_TYPE;
        if number == 0 && !tail {
            entry.get_mut(6..).unwrap_or_default().fill(0);
        } else if !tail {
            let name = if filetype { usize::from(byte(entry, 6)) } else { usize::from(le16(entry, 6)) };
            entry.get_mut(name.saturating_add(8)..).unwrap_or_default().fill(0);
        }
        rest = later;
    }
    Ok(())
}
