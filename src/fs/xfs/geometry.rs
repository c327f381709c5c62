//! The superblock: how big everything is, and where it lies.
//!
//! `struct xfs_dsb` in `fs/xfs/libxfs/xfs_format.h` of Linux; "XFS Algorithms & Data Structures", 3rd edition, section 13.1.

use super::super::Error;
use super::fields::{array, be16, be32, be64, byte, sealed};
use crate::bytes::{ByteSize, KIB, ReadAt, int_u64, int_usize, read_vec};

/// `sb_versionnum` bits.
const VERSION: u16 = 0xf;
const SHARED: u16 = 0x200;
const DIRECTORIES_2: u16 = 0x2000;
const FOLDS_CASE: u16 = 0x4000;
const MORE_BITS: u16 = 0x8000;

/// `sb_features2` bits: lazy counters, attributes 2, 32-bit project ids, checksums, file types.
const KNOWN_2: u32 = 0x2 | 0x8 | 0x80 | 0x100 | FILE_TYPES_2;
const FILE_TYPES_2: u32 = 0x200;

/// `sb_features_incompat` bits.
const FILE_TYPES: u32 = 0x1;
const META_UUID: u32 = 0x4;
const NEEDS_REPAIR: u32 = 0x10;
/// The above, sparse inodes (2), big timestamps (8), large extent counts (0x20), exchange-range (0x40), parent pointers (0x80)
/// and the metadata directory (0x100), which changes nothing that is read here.
const KNOWN: u32 = FILE_TYPES | 0x2 | META_UUID | 0x8 | NEEDS_REPAIR | 0x20 | 0x40 | 0x80 | 0x100;
const ZONED: u32 = 0x200 | 0x400;

/// Offset of the superblock's checksum.
pub(super) const CHECKSUM: usize = 224;

/// Sizes and places, as the superblock has them.
#[derive(Debug, Clone)]
pub(super) struct Geometry {
    /// Whether it is version 5: metadata carries checksums and owners.
    pub(super) checked: bool,
    /// Bytes of a block, and their logarithm.
    pub(super) block: u64,
    block_log: u32,
    /// Bytes of a sector.
    pub(super) sector: u64,
    /// Bytes of an inode.
    pub(super) inode: u64,
    /// Logarithm of inodes in a block.
    inodes_log: u32,
    /// Blocks of the data section.
    pub(super) blocks: u64,
    /// Blocks of an allocation group, and the logarithm that block numbers are packed with.
    pub(super) group: u64,
    group_log: u32,
    /// Allocation groups.
    pub(super) groups: u64,
    /// Inode of the root directory.
    pub(super) root: u64,
    /// Bytes of a directory block.
    pub(super) directory_block: u64,
    /// Whether directory entries carry the type of what they name.
    pub(super) file_types: bool,
    /// Whether names are the same when only the case of ASCII letters differs.
    pub(super) folds_case: bool,
    /// Identity of the file system, which log records carry.
    pub(super) uuid: [u8; 16],
    /// Identity that metadata carries.
    pub(super) meta_uuid: [u8; 16],
    /// First byte and bytes of the log.
    pub(super) log: (u64, u64),
    /// `sb_features_log_incompat`: kinds of items that the log may hold.
    pub(super) log_features: u32,
}

impl Geometry {
    /// Reads the first superblock.
    ///
    /// # Errors
    ///
    /// When it is damaged, unfinished, or uses what is not read.
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Self, Error> {
        let damaged = |what: &str| Error::Damaged(format!("superblock: {what}"));
        let first = read_vec(bytes, 0, 512)?;
        if !first.starts_with(b"XFSB") {
            return Err(damaged("no magic number"));
        }
        let (sector, sector_log) = (u64::from(be16(&first, 102)), u32::from(byte(&first, 121)));
        if !(9..=15).contains(&sector_log) || power(sector_log) != sector {
            return Err(damaged("impossible sector size"));
        }
        let sb = read_vec(bytes, 0, int_usize(sector))?;
        let bits = be16(&sb, 100);
        let checked = match bits & VERSION {
            4 => false,
            5 => true,
            older @ 1..=3 => return Err(Error::Unsupported(format!("XFS version {older}"))),
            _ => return Err(damaged("impossible version")),
        };
        if checked && !sealed(&sb, CHECKSUM) {
            return Err(damaged("checksum is wrong"));
        }
        let incompatible = if checked { be32(&sb, 216) } else { 0 };
        let features2 = if bits & MORE_BITS != 0 { be32(&sb, 200) | be32(&sb, 204) } else { 0 };
        refuse(bits, features2, incompatible)?;
        if byte(&sb, 126) != 0 {
            return Err(damaged("mkfs did not finish"));
        }

        let (block, block_log) = (u64::from(be32(&sb, 4)), u32::from(byte(&sb, 120)));
        if !(9..=16).contains(&block_log) || power(block_log) != block || sector > block {
            return Err(damaged("impossible block size"));
        }
        let (inode, inode_log) = (u64::from(be16(&sb, 104)), u32::from(byte(&sb, 122)));
        let inodes_log = u32::from(byte(&sb, 123));
        if !(8..=11).contains(&inode_log) || power(inode_log) != inode || block_log.checked_sub(inode_log) != Some(inodes_log) {
            return Err(damaged("impossible inode size"));
        }
        let directory_block = power(block_log.saturating_add(u32::from(byte(&sb, 192))));
        if !(block..=64 * KIB).contains(&directory_block) {
            return Err(damaged("impossible directory block size"));
        }
        let (blocks, group, groups) = (be64(&sb, 8), u64::from(be32(&sb, 84)), u64::from(be32(&sb, 88)));
        let group_log = u32::from(byte(&sb, 124));
        let before_last = group.saturating_mul(groups.saturating_sub(1));
        if group < 8 || groups == 0 || group_log > 31 || group.checked_next_power_of_two() != Some(power(group_log)) {
            return Err(damaged("impossible allocation groups"));
        }
        if blocks <= before_last || blocks.saturating_sub(before_last) > group {
            return Err(damaged("its allocation groups do not make up its size"));
        }
        if blocks.checked_mul(block).is_none_or(|size| size > bytes.size()) {
            let (size, volume) = (ByteSize(blocks.saturating_mul(block)), ByteSize(bytes.size()));
            return Err(damaged(&format!("it spans {size}, its volume has {volume}")));
        }
        if be64(&sb, 48) == 0 {
            return Err(Error::Unsupported("XFS with an external log: whether it was left in order stands elsewhere".to_owned()));
        }
        let mut geometry = Self {
            checked,
            block,
            block_log,
            sector,
            inode,
            inodes_log,
            blocks,
            group,
            group_log,
            groups,
            root: be64(&sb, 56),
            directory_block,
            file_types: incompatible & FILE_TYPES != 0 || features2 & FILE_TYPES_2 != 0,
            folds_case: bits & FOLDS_CASE != 0,
            uuid: array(&sb, 32),
            meta_uuid: if incompatible & META_UUID != 0 { array(&sb, 248) } else { array(&sb, 32) },
            log: (0, u64::from(be32(&sb, 96)).saturating_mul(block)),
            log_features: if checked { be32(&sb, 220) } else { 0 },
        };
        let log = geometry.place(be64(&sb, 48), u64::from(be32(&sb, 96)));
        geometry.log.0 = log.ok_or_else(|| damaged("its log lies outside"))?;
        Ok(geometry)
    }

    /// The byte at which an inode begins.
    pub(super) fn inode_at(&self, number: u64) -> Option<u64> {
        let slot = number & power(self.inodes_log).saturating_sub(1);
        let block = self.place(number.wrapping_shr(self.inodes_log), 1)?;
        Some(block.saturating_add(slot.saturating_mul(self.inode)))
    }

    /// The byte at which `count` blocks from a block number on begin, if all lie in one allocation group, behind its headers.
    pub(super) fn place(&self, block: u64, count: u64) -> Option<u64> {
        let (group, within) = (block.wrapping_shr(self.group_log), block & power(self.group_log).saturating_sub(1));
        let start = group.checked_mul(self.group)?;
        let length = self.blocks.checked_sub(start)?.min(self.group);
        // Superblock, free space, inodes, free list: a sector each.
        let headers = self.sector.saturating_mul(3).wrapping_shr(self.block_log);
        let inside = group < self.groups && count > 0 && within > headers && within.checked_add(count)? <= length;
        inside.then(|| start.saturating_add(within).saturating_mul(self.block))
    }

    /// The byte at which an allocation group begins.
    pub(super) fn group_at(&self, group: u64) -> u64 {
        group.saturating_mul(self.group).saturating_mul(self.block)
    }

    /// Blocks of the allocation group.
    pub(super) fn group_length(&self, group: u64) -> u64 {
        self.blocks.saturating_sub(group.saturating_mul(self.group)).min(self.group)
    }

    /// The block number of a block of an allocation group.
    pub(super) fn number(&self, group: u64, block: u64) -> u64 {
        group.wrapping_shl(self.group_log) | block
    }

    /// Inode number of the first inode in a block.
    pub(super) fn first_inode(&self, block: u64) -> u64 {
        block.wrapping_shl(self.inodes_log)
    }

    /// Whole blocks in so many bytes.
    pub(super) fn whole_blocks(&self, bytes: u64) -> u64 {
        bytes.wrapping_shr(self.block_log)
    }

    /// Bytes of the data section.
    pub(super) fn size(&self) -> u64 {
        self.blocks.saturating_mul(self.block)
    }

    /// Bytes of an inode, of a block, for buffers.
    pub(super) fn inode_len(&self) -> usize {
        int_usize(self.inode)
    }

    /// Bytes of a block, for buffers.
    pub(super) fn block_len(&self) -> usize {
        int_usize(self.block)
    }
}

/// Refuses what is not read, by name.
fn refuse(bits: u16, features2: u32, incompatible: u32) -> Result<(), Error> {
    if incompatible & NEEDS_REPAIR != 0 {
        return Err(Error::Damaged("superblock: marked for repair, xfs_repair did not finish".to_owned()));
    }
    let unknown = incompatible & !KNOWN & !ZONED;
    let what = if incompatible & ZONED != 0 {
        "a zoned realtime device".to_owned()
    } else if unknown != 0 {
        format!("unknown incompatible features {unknown:#x}")
    } else if bits & SHARED != 0 {
        "a shared superblock".to_owned()
    } else if bits & DIRECTORIES_2 == 0 {
        "version 1 directories".to_owned()
    } else if features2 & !KNOWN_2 != 0 {
        format!("unknown features {:#x}", features2 & !KNOWN_2)
    } else {
        return Ok(());
    };
    Err(Error::Unsupported(format!("XFS with {what}")))
}

/// Two to the power of `log`; zero where that does not fit.
fn power(log: u32) -> u64 {
    1_u64.checked_shl(log).unwrap_or_default()
}

/// Reads `len` bytes of metadata.
pub(super) fn load(bytes: &dyn ReadAt, at: u64, len: usize) -> Result<Vec<u8>, Error> {
    if at.checked_add(int_u64(len)).is_none_or(|end| end > bytes.size()) {
        return Err(Error::Damaged(format!("{len} bytes at byte {at} lie outside")));
    }
    Ok(read_vec(bytes, at, len)?)
}
