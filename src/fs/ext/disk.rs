//! Blocks, group descriptors and inodes by their numbers.

use super::field::{joined, le16, le32};
use super::inode::Inode;
use super::superblock::Superblock;
use crate::bytes::{Bytes, int_usize, read_vec};
use crate::fs::Error;

/// The bytes of a file system, after recovery, and the geometry that finds things in them.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) bytes: Bytes,
    pub(super) superblock: Superblock,
}

impl Disk {
    /// A block whole.
    pub(super) fn block(&self, number: u64) -> Result<Vec<u8>, Error> {
        if number == 0 || number >= self.superblock.blocks {
            return Err(Error::Damaged(format!("block {number} of {}", self.superblock.blocks)));
        }
        let size = self.superblock.block_size;
        Ok(read_vec(&*self.bytes, number.saturating_mul(size), int_usize(size))?)
    }

    /// Whether so many blocks lie inside the file system.
    pub(super) fn holds(&self, first: u64, count: u64) -> bool {
        first != 0 && first.checked_add(count).is_some_and(|end| end <= self.superblock.blocks)
    }

    /// An inode that is in use.
    pub(super) fn inode(&self, number: u64) -> Result<Inode, Error> {
        let (number, at) = self.inode_at(number)?;
        Inode::parse(self, number, read_vec(&*self.bytes, at, int_usize(self.superblock.inode_size))?)
    }

    /// Where an inode lies, in bytes; with its number, which is one.
    pub(super) fn inode_at(&self, number: u64) -> Result<(u32, u64), Error> {
        let superblock = &self.superblock;
        let number = u32::try_from(number).ok().filter(|number| (1..=superblock.inodes).contains(number));
        let number = number.ok_or_else(|| Error::Damaged(format!("an inode number beyond the {} there are", superblock.inodes)))?;
        let index = u64::from(number).saturating_sub(1);
        let group = index.checked_div(superblock.inodes_per_group).unwrap_or_default();
        let within = index.checked_rem(superblock.inodes_per_group).unwrap_or_default();
        let table = self.descriptor(group)?.inode_table;
        let offset = within.saturating_mul(superblock.inode_size);
        let block = table.saturating_add(offset.checked_div(superblock.block_size).unwrap_or_default());
        if table == 0 || block >= superblock.blocks {
            return Err(Error::Damaged(format!(
                "inode {number}: group {group} keeps its inodes at block {table} of {}",
                superblock.blocks
            )));
        }
        Ok((number, table.saturating_mul(superblock.block_size).saturating_add(offset)))
    }

    /// A group's descriptor.
    pub(super) fn descriptor(&self, group: u64) -> Result<Descriptor, Error> {
        let at = self.superblock.descriptor_at(group);
        let raw = read_vec(&*self.bytes, at, int_usize(self.superblock.descriptor_size))?;
        if !self.superblock.descriptor_holds(group, &raw) {
            return Err(Error::Damaged(format!("descriptor of group {group} at byte {at}: its checksum is wrong")));
        }
        let wide = self.superblock.wide();
        let high = |field: u32| if wide { field } else { 0 };
        Ok(Descriptor {
            inode_table: joined(high(le32(&raw, 0x28)), le32(&raw, 0x8)),
            free_clusters: u64::from(le16(&raw, 0xc)) | (u64::from(high(u32::from(le16(&raw, 0x2c)))) << 16),
            free_inodes: u64::from(le16(&raw, 0xe)) | (u64::from(high(u32::from(le16(&raw, 0x2e)))) << 16),
            bitmap: joined(high(le32(&raw, 0x20)), le32(&raw, 0x0)),
            inode_bitmap: joined(high(le32(&raw, 0x24)), le32(&raw, 0x4)),
            unwritten: self.superblock.lazy() && le16(&raw, 0x12) & BLOCK_UNINIT != 0,
            sum: (le16(&raw, 0x18), (raw.len() >= 64).then(|| le16(&raw, 0x38))),
        })
    }
}

/// `bg_flags`.
const BLOCK_UNINIT: u16 = 0x2;

/// A group descriptor, as far as it is needed: `Documentation/filesystems/ext4/group_descr.rst`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    /// First block of its inodes.
    pub(super) inode_table: u64,
    /// Clusters of it that are free.
    pub(super) free_clusters: u64,
    /// Inodes of it that are free.
    pub(super) free_inodes: u64,
    /// Block of the bitmap of its clusters.
    pub(super) bitmap: u64,
    /// Block of the bitmap of its inodes.
    pub(super) inode_bitmap: u64,
    /// Whether the bitmap of clusters was never written: it is what follows from the layout.
    pub(super) unwritten: bool,
    /// Checksum of that bitmap, lower and upper half; small descriptors have only the lower.
    pub(super) sum: (u16, Option<u16>),
}
