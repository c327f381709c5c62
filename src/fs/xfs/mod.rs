//! XFS, versions 4 and 5.
//!
//! Read with nothing but its superblock, inodes, extents, directories, attributes and free space; what only writers need (reverse maps,
//! references, quotas, hashes of names) is not looked at. A log that holds work is replayed in memory first ([`log`], [`replay`]).
//! Metadata of version 5 is believed only with its checksum, its owner and its place.
//!
//! "XFS Algorithms & Data Structures", 3rd edition; names of structures are those of `fs/xfs/libxfs` in Linux.

mod attribute;
mod content;
mod directory;
mod extents;
mod fields;
mod free;
mod geometry;
mod inode;
mod layout;
mod log;
mod replay;

pub(super) use fields::{put, seal};
pub(super) use inode::{BIG_TIME, CHECKSUM, CORE_3, seconds};
pub(super) use layout::{Layout, cannot_write};

use super::{Entry, Error, Extent, FileSystem, Node, NodeId, NodeKind, Usage};
use crate::bytes::{Bytes, Cached};
use fields::{array, be64, sealed};
use geometry::{Geometry, load};
use inode::Inode;
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
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

impl Xfs {
    /// Fails where the attributes of a node cannot be known.
    fn settled(&self, node: NodeId) -> Result<(), Error> {
        if self.unsettled.contains(&node.0) {
            return Err(Error::Unsupported(format!("inode {}: the log leaves its attributes half changed", node.0)));
        }
        Ok(())
    }
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
        self.settled(node)?;
        attribute::attribute(&self.volume, &Inode::read(&self.volume, node.0)?, name)
    }

    fn attributes(&self, node: NodeId) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.settled(node)?;
        attribute::attributes(&self.volume, &Inode::read(&self.volume, node.0)?)
    }

    fn extents(&self, file: NodeId) -> Result<Option<Vec<Extent>>, Error> {
        let inode = Inode::read(&self.volume, file.0)?;
        if inode.node.kind != NodeKind::File {
            return Err(inode.damaged("is not a regular file"));
        }
        content::places(&self.volume, &inode)
    }

    fn free(&self) -> Result<Vec<Range<u64>>, Error> {
        free::free(&self.volume, self.clean)
    }

    fn usage(&self) -> Result<Usage, Error> {
        let geometry = &self.volume.geometry;
        let free = if geometry.groups > MAX_GROUPS {
            be64(&load(&*self.volume.bytes, 0, 512)?, 144)
        } else {
            // Counters of the superblock lag behind those of the groups while a file system is mounted.
            let mut free = 0_u64;
            for group in 0..geometry.groups {
                free = free.saturating_add(free::Group::read(&self.volume, group)?.free());
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
