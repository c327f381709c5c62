//! Directories.
//!
//! Short ones lie in the inode (`struct xfs_dir2_sf_hdr`). Longer ones have blocks of entries from the start of the file on, and from
//! 32 GiB on an index of hashes, which is not needed here: `fs/xfs/libxfs/xfs_da_format.h`.

use super::super::{Entry, Error, NodeId, is_name};
use super::extents::{disjoint, extents, find};
use super::fields::{array, be16, be32, be64, byte, part};
use super::geometry::load;
use super::inode::{Format, Inode};
use super::{Header, Volume};
use crate::bytes::{int_u64, int_usize};
use std::ops::ControlFlow;

/// Where the index begins.
const INDEX: u64 = 1 << 35;
/// Tag of a free range among entries.
const FREE: u16 = 0xffff;

/// Gives every entry but `.` and `..` to `each`, until it breaks.
///
/// # Errors
///
/// When the directory is damaged.
pub(super) fn entries(volume: &Volume, inode: &Inode, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
    if inode.data.format == Format::Local {
        return short(volume, inode, each).ok_or_else(|| inode.damaged("the entries of a short directory are damaged"))?;
    }
    let extents = extents(volume, inode, &inode.data)?;
    disjoint(inode, &extents)?;
    let geometry = &volume.geometry;
    let per = geometry.whole_blocks(geometry.directory_block);
    let limit = geometry.whole_blocks(INDEX).checked_div(per).unwrap_or_default();
    let mut next = 0;
    for extent in &extents {
        let blocks = extent.file.checked_div(per).unwrap_or_default()..extent.end().div_ceil(per).min(limit);
        for block in blocks.start.max(next)..blocks.end {
            let damaged = |what: &str| inode.damaged(&format!("directory block {block}: {what}"));
            let mut content = Vec::with_capacity(int_usize(geometry.directory_block));
            let first = block.saturating_mul(per);
            let mut at = None;
            for file in first..first.saturating_add(per) {
                let place = find(&extents, file).and_then(|start| geometry.place(start, 1)).ok_or_else(|| damaged("is a hole"))?;
                content.extend(load(&*volume.bytes, place, geometry.block_len())?);
                at = at.or(Some(place));
            }
            let region = region(volume, &content, geometry.checked).ok_or_else(|| damaged("is none"))?;
            volume.verify(&content, at.unwrap_or_default(), inode.number, Header::DIRECTORY).map_err(|what| damaged(&what))?;
            if list(volume, &content, region, each).ok_or_else(|| damaged("its entries are damaged"))?.is_break() {
                return Ok(());
            }
        }
        next = next.max(blocks.end);
    }
    Ok(())
}

/// Where in a block the entries begin and end. A directory of a single block keeps its index at the end of that.
fn region(volume: &Volume, block: &[u8], checked: bool) -> Option<(usize, usize)> {
    let whole = int_usize(volume.geometry.directory_block);
    let start = if checked { 64 } else { 16 };
    let end = match (checked, &array(block, 0)) {
        (true, b"XDD3") | (false, b"XD2D") => whole,
        (true, b"XDB3") | (false, b"XD2B") => {
            let tail = whole.checked_sub(8)?;
            tail.checked_sub(usize::try_from(be32(block, tail)).ok()?.checked_mul(8)?)?
        }
        _ => return None,
    };
    (start <= end).then_some((start, end))
}

/// Gives the entries of a block; `None` where they are damaged.
fn list(
    volume: &Volume,
    block: &[u8],
    (start, end): (usize, usize),
    each: &mut dyn FnMut(Entry) -> ControlFlow<()>,
) -> Option<ControlFlow<()>> {
    let mut at = start;
    while at < end {
        if be16(block, at) == FREE {
            let length = usize::from(be16(block, at.checked_add(2)?));
            if length < 8 || length % 8 != 0 {
                return None;
            }
            at = at.checked_add(length)?;
            continue;
        }
        let length = usize::from(byte(block, at.checked_add(8)?));
        let name = part(block, at.checked_add(9)?, length)?;
        // The number, the length, the name, its type, and where the entry stands, in units of 8 bytes.
        let size = 8_usize.checked_add(1)?.checked_add(length)?.checked_add(usize::from(volume.geometry.file_types))?;
        let size = size.checked_add(2)?.next_multiple_of(8);
        let next = at.checked_add(size)?;
        if !is_name(name) || next > end || usize::from(be16(block, next.checked_sub(2)?)) != at {
            return None;
        }
        if give(name, be64(block, at), each).is_break() {
            return Some(ControlFlow::Break(()));
        }
        at = next;
    }
    (at == end).then_some(ControlFlow::Continue(()))
}

/// Gives the entries of a directory in its inode; `None` where they are damaged.
fn short(volume: &Volume, inode: &Inode, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Option<Result<(), Error>> {
    let fork = inode.local();
    // Numbers are long where one of them has to be.
    let wide = byte(fork, 1) != 0;
    let number = if wide { 8 } else { 4 };
    let mut at = 2_usize.checked_add(number)?;
    part(fork, 0, at)?;
    for _ in 0..byte(fork, 0) {
        let length = usize::from(byte(fork, at));
        let name = part(fork, at.checked_add(3)?, length).filter(|name| is_name(name))?;
        let after = at.checked_add(3)?.checked_add(length)?.checked_add(usize::from(volume.geometry.file_types))?;
        let place = part(fork, after, number)?;
        let node = if wide { be64(place, 0) } else { u64::from(be32(place, 0)) };
        if give(name, node, each).is_break() {
            break;
        }
        at = after.checked_add(number)?;
    }
    Some(Ok(()))
}

fn give(name: &[u8], node: u64, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> ControlFlow<()> {
    match name {
        b"." | b".." => ControlFlow::Continue(()),
        _ => each(Entry { name: name.to_vec(), node: NodeId(node) }),
    }
}

/// The target of a symlink.
///
/// # Errors
///
/// When it is damaged.
pub(super) fn target(volume: &Volume, inode: &Inode) -> Result<Vec<u8>, Error> {
    let size = inode.node.size;
    if size == 0 || size > 1024 {
        return Err(inode.damaged("impossible length of a symlink"));
    }
    if inode.data.format == Format::Local {
        return Ok(inode.local().to_vec());
    }
    let geometry = &volume.geometry;
    let header = if geometry.checked { 56 } else { 0 };
    let mut target: Vec<u8> = Vec::new();
    for extent in extents(volume, inode, &inode.data)? {
        let rest = int_usize(size).saturating_sub(target.len());
        if rest == 0 {
            break;
        }
        // The longest target with a header in each of the smallest blocks.
        if extent.unwritten || extent.count > 3 {
            return Err(inode.damaged("impossible extent of a symlink"));
        }
        let at = geometry.place(extent.start, extent.count).ok_or_else(|| inode.damaged("extent lies outside"))?;
        let content = load(&*volume.bytes, at, int_usize(extent.count.saturating_mul(geometry.block)))?;
        let mut length = content.len().saturating_sub(header);
        if geometry.checked {
            volume.verify(&content, at, inode.number, Header::SYMLINK).map_err(|what| inode.damaged(&format!("target: {what}")))?;
            length = usize::try_from(be32(&content, 8)).unwrap_or_default().min(length);
            if !content.starts_with(b"XSLM") || u64::from(be32(&content, 4)) != int_u64(target.len()) {
                return Err(inode.damaged("its extents hold no target"));
            }
        }
        target.extend(part(&content, header, length.min(rest)).unwrap_or_default());
    }
    if int_u64(target.len()) != size {
        return Err(inode.damaged("target is shorter than its size"));
    }
    Ok(target)
}
