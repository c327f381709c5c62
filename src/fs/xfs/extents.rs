//! Where the content of a fork lies.
//!
//! `struct xfs_bmbt_rec` and the tree of them, `struct xfs_bmdr_block` in the inode and `struct xfs_btree_block` below:
//! `fs/xfs/libxfs/xfs_format.h`.

use super::super::Error;
use super::fields::{be16, be64, part};
use super::geometry::load;
use super::inode::{Fork, Format, Inode};
use super::{Header, Volume};

/// A fork of more extents is not read. Files as fragmented as this are no files that an inspection reads.
const MAX_EXTENTS: u64 = 1 << 20;
/// More levels than any tree of extents has.
const MAX_LEVELS: u16 = 9;

/// A run of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// First block of the file.
    pub(super) file: u64,
    /// First block number on the disk.
    pub(super) start: u64,
    /// Blocks.
    pub(super) count: u64,
    /// Whether nothing was written there yet: it reads as zeros.
    pub(super) unwritten: bool,
}

impl Extent {
    pub(super) fn end(&self) -> u64 {
        self.file.saturating_add(self.count)
    }
}

/// The extents of a fork, in the order of the file.
///
/// # Errors
///
/// When they are damaged, or more than are read.
pub(super) fn extents(volume: &Volume, inode: &Inode, fork: &Fork) -> Result<Vec<Extent>, Error> {
    with_nodes(volume, inode, fork).map(|(found, _)| found)
}

/// Blocks that a fork takes, with those of its tree of extents.
///
/// # Errors
///
/// As [`extents`].
pub(super) fn blocks(volume: &Volume, inode: &Inode, fork: &Fork) -> Result<u64, Error> {
    if matches!(fork.format, Format::Local | Format::Device) {
        return Ok(0);
    }
    let (found, nodes) = with_nodes(volume, inode, fork)?;
    Ok(found.iter().map(|extent| extent.count).fold(nodes, u64::saturating_add))
}

/// The extents of a fork, and how many blocks the tree of them takes.
fn with_nodes(volume: &Volume, inode: &Inode, fork: &Fork) -> Result<(Vec<Extent>, u64), Error> {
    let bytes = inode.fork(fork);
    if fork.extents > MAX_EXTENTS {
        return Err(Error::Unsupported(format!("inode {}: more than {MAX_EXTENTS} extents", inode.number)));
    }
    let (mut found, mut nodes) = (Vec::new(), 0);
    match fork.format {
        Format::Extents => add(volume, inode, &mut found, bytes, fork.extents)?,
        Format::Tree => nodes = tree(volume, inode, fork, &mut found)?,
        Format::Local | Format::Device => return Err(inode.damaged("content is neither extents nor a tree of them")),
    }
    Ok((found, nodes))
}

/// Adds `count` records.
fn add(volume: &Volume, inode: &Inode, found: &mut Vec<Extent>, records: &[u8], count: u64) -> Result<(), Error> {
    let (records, _) = records.as_chunks::<16>();
    let Some(records) = usize::try_from(count).ok().and_then(|count| records.get(..count)) else {
        return Err(inode.damaged("more extents than fit"));
    };
    for record in records {
        let (high, low) = (be64(record, 0), be64(record, 8));
        let extent = Extent {
            file: (high >> 9) & ((1 << 54) - 1),
            start: ((high & 0x1ff) << 43) | (low >> 21),
            count: low & ((1 << 21) - 1),
            unwritten: high >> 63 != 0,
        };
        if volume.geometry.place(extent.start, extent.count).is_none() {
            return Err(inode.damaged(&format!("extent at block {} of the file lies outside", extent.file)));
        }
        if found.last().is_some_and(|last| last.end() > extent.file) {
            return Err(inode.damaged(&format!("extent at block {} of the file is out of order", extent.file)));
        }
        found.push(extent);
    }
    Ok(())
}

/// Adds the records in the leaves of a tree, and counts its nodes. Each block must have records and extents must be in order, so no cycle goes unseen.
fn tree(volume: &Volume, inode: &Inode, fork: &Fork, found: &mut Vec<Extent>) -> Result<u64, Error> {
    let root = inode.fork(fork);
    let level = be16(root, 0);
    if level == 0 || level > MAX_LEVELS {
        return Err(inode.damaged("impossible depth of its tree of extents"));
    }
    let header = if volume.geometry.checked { 72 } else { 24 };
    let (mut waiting, mut nodes) = (Vec::new(), 0_u64);
    descend(inode, &mut waiting, root.get(4..).unwrap_or_default(), be16(root, 2), level)?;
    while let Some((block, level)) = waiting.pop() {
        nodes = nodes.saturating_add(1);
        let damaged = |what: &str| inode.damaged(&format!("block {block} of its tree of extents: {what}"));
        let at = volume.geometry.place(block, 1).ok_or_else(|| damaged("lies outside"))?;
        let node = load(&*volume.bytes, at, volume.geometry.block_len())?;
        if !node.starts_with(if volume.geometry.checked { b"BMA3" } else { b"BMAP" }) || be16(&node, 4) != level {
            return Err(damaged("is none"));
        }
        volume.verify(&node, at, inode.number, Header::TREE).map_err(|what| damaged(&what))?;
        let (count, records) = (be16(&node, 6), node.get(header..).unwrap_or_default());
        if count == 0 {
            return Err(damaged("is empty"));
        }
        if level > 0 {
            descend(inode, &mut waiting, records, count, level)?;
            continue;
        }
        if found.len().saturating_add(usize::from(count)) > usize::try_from(fork.extents).unwrap_or_default() {
            return Err(inode.damaged("more extents than it counts"));
        }
        add(volume, inode, found, records, u64::from(count))?;
    }
    if u64::try_from(found.len()) != Ok(fork.extents) {
        return Err(inode.damaged("fewer extents than it counts"));
    }
    Ok(nodes)
}

/// Remembers the children of a node, the first one last: keys of 8 bytes, then as many pointers, each array as long as fits.
fn descend(inode: &Inode, waiting: &mut Vec<(u64, u16)>, node: &[u8], count: u16, level: u16) -> Result<(), Error> {
    let most = node.len() / 16;
    let pointers = part(node, most.saturating_mul(8), usize::from(count).saturating_mul(8));
    let Some(pointers) = pointers.filter(|_| usize::from(count) <= most) else {
        return Err(inode.damaged("more children in its tree of extents than fit"));
    };
    waiting.extend(pointers.as_chunks::<8>().0.iter().rev().map(|child| (u64::from_be_bytes(*child), level.saturating_sub(1))));
    Ok(())
}

/// Fails when two extents share a block. What lists a directory reads each of its blocks once then, whatever its extents claim.
pub(super) fn disjoint(inode: &Inode, extents: &[Extent]) -> Result<(), Error> {
    let mut places: Vec<(u64, u64)> = extents.iter().map(|extent| (extent.start, extent.start.saturating_add(extent.count))).collect();
    places.sort_unstable();
    let mut end = 0;
    for (start, next) in places {
        if start < end {
            return Err(inode.damaged(&format!("two of its extents share block {start}")));
        }
        end = next;
    }
    Ok(())
}

/// The block number on the disk of a block of the file; `None` in a hole.
pub(super) fn find(extents: &[Extent], block: u64) -> Option<u64> {
    let extent = extents.get(extents.partition_point(|extent| extent.end() <= block))?;
    block.checked_sub(extent.file).filter(|_| !extent.unwritten).map(|within| extent.start.saturating_add(within))
}
