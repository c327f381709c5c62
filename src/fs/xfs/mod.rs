//! XFS, versions 4 and 5.
//!
//! Read with nothing but its superblock, inodes, extents, directories and attributes; what only writers need (free space, reverse maps,
//! references, quotas, hashes of names) is not looked at. A log that holds work is replayed in memory first ([`log`], [`replay`]).
//! Metadata of version 5 is believed only with its checksum, its owner and its place.
//!
//! "XFS Algorithms & Data Structures", 3rd edition; names of structures are those of `fs/xfs/libxfs` in Linux.

mod attribute;
mod content;
mod directory;
mod extents;
mod fields;
mod geometry;
mod inode;
mod log;
mod replay;

use super::{Entry, Error, FileSystem, Node, NodeId, NodeKind, Usage};
use crate::bytes::{Bytes, Cached, int_usize};
use fields::{array, be32, be64, sealed};
use geometry::{Geometry, load};
use inode::Inode;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Groups whose free space is counted one by one; a file system with more (of 16 MiB each at least) counts on its superblock.
const MAX_GROUPS: u64 = 1 << 16;

/// Opens the file system.
pub(super) fn open(bytes: Bytes) -> Result<Arc<dyn FileSystem>, Error> {
    let bytes: Bytes = Arc::new(Cached::new(bytes));
    let before = Geometry::read(&*bytes)?;
    let recovered = replay::recover(&bytes, &before)?;
    // What was grown is grown by the log.
    let geometry = Geometry::read(&*recovered.bytes)?;
    let volume = Volume { bytes: recovered.bytes, geometry };
    Ok(Arc::new(Xfs { volume, clean: recovered.clean, unsettled: recovered.unsettled }))
}

/// The bytes of a file system as they are after recovery, and their geometry.
#[derive(Debug)]
struct Volume {
    bytes: Bytes,
    geometry: Geometry,
}

/// Where the fields stand that a block of version 5 proves itself with.
#[derive(Debug, Clone, Copy)]
struct Header {
    checksum: usize,
    address: usize,
    uuid: usize,
    owner: usize,
}

impl Header {
    /// `struct xfs_btree_block_lhdr`.
    const TREE: Self = Self { checksum: 64, address: 24, uuid: 40, owner: 56 };
    /// `struct xfs_dir3_blk_hdr`.
    const DIRECTORY: Self = Self { checksum: 4, address: 8, uuid: 24, owner: 40 };
    /// `struct xfs_da3_blkinfo`.
    const INDEX: Self = Self { checksum: 12, address: 16, uuid: 32, owner: 48 };
    /// `struct xfs_dsymlink_hdr`.
    const SYMLINK: Self = Self { checksum: 12, address: 40, uuid: 16, owner: 32 };
    /// `struct xfs_attr3_rmt_hdr`.
    const VALUE: Self = Self::SYMLINK;
}

impl Volume {
    /// Checks that a block of version 5 is what stands at this byte for this owner; version 4 proves nothing.
    fn verify(&self, block: &[u8], at: u64, owner: u64, header: Header) -> Result<(), String> {
        if !self.geometry.checked {
            return Ok(());
        }
        if !sealed(block, header.checksum) {
            return Err("checksum is wrong".to_owned());
        }
        if be64(block, header.address) != at / 512
            || array(block, header.uuid) != self.geometry.meta_uuid
            || be64(block, header.owner) != owner
        {
            return Err("another block stands in its place".to_owned());
        }
        Ok(())
    }
}

/// The file system.
#[derive(Debug)]
struct Xfs {
    volume: Volume,
    clean: bool,
    /// Inodes whose attributes recovery would still change.
    unsettled: BTreeSet<u64>,
}

impl FileSystem for Xfs {
    fn kind(&self) -> &'static str {
        "xfs"
    }

    fn folds_case(&self) -> bool {
        self.volume.geometry.folds_case
    }

    fn root(&self) -> NodeId {
        NodeId(self.volume.geometry.root)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        Ok(Inode::read(&self.volume, id.0)?.node)
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        let inode = Inode::read(&self.volume, directory.0)?;
        if inode.node.kind != NodeKind::Directory {
            return Err(inode.damaged("is not a directory"));
        }
        directory::entries(&self.volume, &inode, each)
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        let inode = Inode::read(&self.volume, file.0)?;
        if inode.node.kind != NodeKind::File {
            return Err(inode.damaged("is not a regular file"));
        }
        content::open(&self.volume, &inode)
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        let inode = Inode::read(&self.volume, link.0)?;
        if inode.node.kind != NodeKind::Symlink {
            return Err(inode.damaged("is not a symlink"));
        }
        directory::target(&self.volume, &inode)
    }

    fn attribute(&self, node: NodeId, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if self.unsettled.contains(&node.0) {
            return Err(Error::Unsupported(format!("inode {}: the log leaves its attributes half changed", node.0)));
        }
        attribute::attribute(&self.volume, &Inode::read(&self.volume, node.0)?, name)
    }

    fn usage(&self) -> Result<Usage, Error> {
        let geometry = &self.volume.geometry;
        let free = if geometry.groups > MAX_GROUPS {
            be64(&load(&*self.volume.bytes, 0, 512)?, 144)
        } else {
            // Counters of the superblock lag behind those of the groups while a file system is mounted.
            let mut free = 0_u64;
            for group in 0..geometry.groups {
                free = free.saturating_add(free_blocks(&self.volume, group)?);
            }
            free
        };
        let used =
            geometry.blocks.checked_sub(free).ok_or_else(|| Error::Damaged(format!("more than all of its blocks are free: {free}")))?;
        let bytes = |blocks: u64| blocks.saturating_mul(geometry.block);
        Ok(Usage { size: geometry.size(), used: bytes(used), free: bytes(free) })
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(self.clean)
    }
}

/// Free blocks of an allocation group: `struct xfs_agf`. Blocks kept for its own trees count as free.
fn free_blocks(volume: &Volume, group: u64) -> Result<u64, Error> {
    let geometry = &volume.geometry;
    let damaged = |what: &str| Error::Damaged(format!("free space of allocation group {group}: {what}"));
    let header = load(&*volume.bytes, geometry.group_at(group).saturating_add(geometry.sector), int_usize(geometry.sector))?;
    if !header.starts_with(b"XAGF") || u64::from(be32(&header, 8)) != group {
        return Err(damaged("no header"));
    }
    if geometry.checked && !sealed(&header, 216) {
        return Err(damaged("checksum is wrong"));
    }
    let free = [48, 52, 60].iter().fold(0_u64, |sum, at| sum.saturating_add(u64::from(be32(&header, *at))));
    if free > geometry.group_length(group) {
        return Err(damaged("more than all of its blocks"));
    }
    Ok(free)
}
