//! ext2, ext3 and ext4.
//!
//! The structures are those of `Documentation/filesystems/ext4/` of the Linux kernel. Metadata that carries a checksum is believed only
//! if it holds, as the kernel does it; numbers from the disk are bounded where they are read. A journal that holds work is replayed in
//! memory; files that were deleted while they were open have no names and are not seen, as after the kernel's recovery.

mod attribute;
mod checksum;
mod content;
mod directory;
mod disk;
mod field;
mod free;
mod inode;
mod journal;
mod map;
mod superblock;
mod sweep;
pub(super) mod writing;

use super::system::fold;
use super::{Entry, Error, Extent, FileSystem, Node, NodeId, NodeKind, Usage};
use crate::bytes::{Bytes, Cached, Memory, Overlay, int_usize, read_vec};
use content::Content;
use disk::Disk;
use inode::Inode;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use superblock::Superblock;

/// Inode of the root directory.
const ROOT: u64 = 2;
/// The longest path, and so the longest target (`PATH_MAX`).
const MAX_TARGET: u64 = 4096;

/// Takes bytes, and where they go: an offset in bytes.
type Write<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), Error>;

/// Opens the file system.
pub(super) fn open(bytes: Bytes) -> Result<Arc<dyn FileSystem>, Error> {
    let superblock = Superblock::read(&*bytes)?;
    let clean = superblock.clean();
    let recovered = superblock.needs_recovery();
    let mut disk = Disk { bytes: Arc::new(Cached::new(bytes)), superblock };
    if disk.superblock.needs_recovery() {
        let bytes = journal::replay(&disk)?;
        let superblock = Superblock::read(&*bytes)?;
        disk = Disk { bytes, superblock };
    }
    Ok(Arc::new(Ext { disk: Arc::new(disk), clean, recovered }))
}

/// An open file system.
#[derive(Debug)]
struct Ext {
    disk: Arc<Disk>,
    /// As the disk has it, before recovery.
    clean: bool,
    /// Whether its journal had to be replayed.
    recovered: bool,
}

impl Ext {
    /// An inode, if it is of this kind.
    fn of_kind(&self, id: NodeId, kind: NodeKind) -> Result<Inode, Error> {
        let inode = self.disk.inode(id.0)?;
        if inode.kind == kind { Ok(inode) } else { Err(inode.unsupported(format!("a {}, not a {kind}", inode.kind))) }
    }
}

impl FileSystem for Ext {
    fn kind(&self) -> &'static str {
        self.disk.superblock.kind()
    }

    fn root(&self) -> NodeId {
        NodeId(ROOT)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        Ok(self.disk.inode(id.0)?.node())
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        let inode = self.of_kind(directory, NodeKind::Directory)?;
        directory::walk(&self.disk, &inode, &mut |name, number| each(Entry { name: name.to_vec(), node: NodeId(u64::from(number)) }))
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Option<NodeId>, Error> {
        let inode = self.of_kind(directory, NodeKind::Directory)?;
        let wanted = inode.folds_case().then(|| fold(name));
        let (mut exact, mut folded) = (None, None);
        directory::walk(&self.disk, &inode, &mut |stands, number| {
            if stands == name {
                exact = Some(number);
                return ControlFlow::Break(());
            }
            if folded.is_none() && wanted.as_ref().is_some_and(|wanted| *wanted == fold(stands)) {
                folded = Some(number);
            }
            ControlFlow::Continue(())
        })?;
        Ok(exact.or(folded).map(|number| NodeId(u64::from(number))))
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        let inode = self.of_kind(file, NodeKind::File)?;
        if inode.encrypted() {
            return Err(inode.unsupported("encrypted by fscrypt"));
        }
        if inode.inline() {
            // What is longer than its inline data ends in a hole.
            let (mut data, more) = attribute::inline(&self.disk, &inode)?;
            data.extend(more);
            return Ok(Arc::new(Overlay::resized(Arc::new(Memory(data)), inode.size)));
        }
        Ok(Arc::new(Content { disk: self.disk.clone(), inode }))
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        let inode = self.of_kind(link, NodeKind::Symlink)?;
        if inode.encrypted() {
            return Err(inode.unsupported("encrypted by fscrypt"));
        }
        if inode.size > MAX_TARGET {
            return Err(inode.damaged(format!("a target of {} bytes", inode.size)));
        }
        let len = int_usize(inode.size);
        if inode.inline() {
            let (mut target, more) = attribute::inline(&self.disk, &inode)?;
            target.extend(more);
            return target.get(..len).map(<[u8]>::to_vec).ok_or_else(|| inode.damaged(format!("{} inline bytes of {len}", target.len())));
        }
        let superblock = &self.disk.superblock;
        if inode.fast_symlink(superblock.cluster.saturating_mul(superblock.block_size)) {
            let target = inode.block().get(..len);
            return target.map(<[u8]>::to_vec).ok_or_else(|| inode.damaged(format!("a target of {len} bytes without blocks")));
        }
        Ok(read_vec(&Content { disk: self.disk.clone(), inode }, 0, len)?)
    }

    fn attribute(&self, node: NodeId, name: &str) -> Result<Option<Vec<u8>>, Error> {
        attribute::get(&self.disk, &self.disk.inode(node.0)?, name)
    }

    fn attributes(&self, node: NodeId) -> Result<Vec<(String, Vec<u8>)>, Error> {
        attribute::all(&self.disk, &self.disk.inode(node.0)?)
    }

    fn extents(&self, file: NodeId) -> Result<Option<Vec<Extent>>, Error> {
        let inode = self.of_kind(file, NodeKind::File)?;
        if inode.inline() {
            return Ok(None);
        }
        let size = self.disk.superblock.block_size;
        let extent = |(from, blocks): (u64, Range<u64>)| {
            let (from, start) = (from.saturating_mul(size), blocks.start.saturating_mul(size));
            let len = blocks.end.saturating_mul(size).saturating_sub(start).min(inode.size.saturating_sub(from));
            Extent { from, at: start..start.saturating_add(len) }
        };
        Ok(Some(map::runs(&self.disk, &inode)?.into_iter().map(extent).collect()))
    }

    fn free(&self) -> Result<Vec<Range<u64>>, Error> {
        free::find(&self.disk, self.recovered)
    }

    fn idle(&self) -> Result<Vec<Range<u64>>, Error> {
        free::idle(&self.disk, self.recovered)
    }

    fn usage(&self) -> Result<Usage, Error> {
        let superblock = &self.disk.superblock;
        let mut clusters = 0_u64;
        for group in 0..superblock.groups {
            clusters = clusters.saturating_add(self.disk.descriptor(group)?.free_clusters);
        }
        let size = superblock.blocks.saturating_mul(superblock.block_size);
        let free = clusters.saturating_mul(superblock.cluster).saturating_mul(superblock.block_size);
        let used = size.checked_sub(free).ok_or_else(|| Error::Damaged(format!("{free} bytes are free of {size}")))?;
        Ok(Usage { size, used, free })
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(self.clean)
    }
}

#[cfg(test)]
mod tests;
