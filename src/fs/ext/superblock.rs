//! The superblock: geometry and features.
//!
//! `Documentation/filesystems/ext4/super.rst` of the Linux kernel; what is refused is what `ext4_fill_super` refuses.

use super::checksum::{crc32c, crc32c_without};
use super::field::{byte, joined, le16, le32, part};
use crate::bytes::{ReadAt, read_vec};
use crate::fs::Error;
use std::ops::Range;

/// Where it lies, and how long it is.
const OFFSET: u64 = 1024;
const LENGTH: usize = 1024;
const MAGIC: u16 = 0xef53;

/// Groups that are counted: 2 PiB in groups of the usual 128 MiB.
const MAX_GROUPS: u64 = 1 << 24;

/// `s_feature_compat`.
mod compat {
    pub(super) const HAS_JOURNAL: u32 = 0x4;
    pub(super) const SPARSE_SUPER2: u32 = 0x200;
}

/// `s_feature_incompat`.
mod incompat {
    pub(super) const RECOVER: u32 = 0x4;
    /// What ext3 understands: filetype, recover and meta_bg.
    pub(super) const EXT3: u32 = 0x16;
    pub(super) const META_BG: u32 = 0x10;
    pub(super) const BIT64: u32 = 0x80;
    pub(super) const CSUM_SEED: u32 = 0x2000;
    pub(super) const LARGEDIR: u32 = 0x4000;
    /// What is read: filetype, recover, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data, encrypt
    /// and casefold. (Of encrypted files only that they are there.)
    pub(super) const READ: u32 = 0x0003_e7d6;
    /// Names of those that are not.
    pub(super) const REFUSED: [(u32, &str); 3] = [(0x1, "compression"), (0x8, "journal_dev"), (0x1000, "dirdata")];
}

/// `s_feature_ro_compat`; bits that are not known forbid only to write.
mod ro_compat {
    pub(super) const SPARSE_SUPER: u32 = 0x1;
    /// What ext3 understands: sparse_super, large_file and btree_dir.
    pub(super) const EXT3: u32 = 0x7;
    pub(super) const GDT_CSUM: u32 = 0x10;
    pub(super) const BIGALLOC: u32 = 0x200;
    pub(super) const METADATA_CSUM: u32 = 0x400;
}

/// `s_state`.
const STATE_VALID: u16 = 0x1;
const STATE_ERRORS: u16 = 0x2;

/// What the other parts need of the superblock, checked.
#[derive(Debug, Clone)]
pub(super) struct Superblock {
    /// Bytes in a block: 1 KiB to 64 KiB, a power of two.
    pub(super) block_size: u64,
    /// Blocks of the file system; they all lie inside its bytes.
    pub(super) blocks: u64,
    pub(super) inodes: u32,
    pub(super) groups: u64,
    pub(super) inodes_per_group: u64,
    /// 128 or more, a power of two, no larger than a block.
    pub(super) inode_size: u64,
    /// Blocks in a cluster; 1 without bigalloc.
    pub(super) cluster: u64,
    /// Bytes of a group descriptor.
    pub(super) descriptor_size: u64,
    /// Inode of the journal; 0 where it has none of its own.
    pub(super) journal: u32,
    blocks_per_group: u64,
    first_data_block: u64,
    first_meta_bg: u64,
    backup_groups: [u64; 2],
    compat: u32,
    incompat: u32,
    ro_compat: u32,
    state: u16,
    uuid: [u8; 16],
    /// Register that every checksum starts from.
    seed: u32,
    /// Free blocks, as it counts them.
    pub(super) free_blocks: u64,
    /// Blocks that are kept behind descriptors for more of them.
    reserved: u64,
}

impl Superblock {
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Self, Error> {
        let raw = read_vec(bytes, OFFSET, LENGTH)?;
        let superblock = Self::parse(&raw)?;
        match superblock.blocks.checked_mul(superblock.block_size) {
            Some(end) if end <= bytes.size() => Ok(superblock),
            _ => Err(damaged(format!("{} blocks of {} bytes do not fit {} bytes", superblock.blocks, superblock.block_size, bytes.size()))),
        }
    }

    fn parse(raw: &[u8]) -> Result<Self, Error> {
        let magic = le16(raw, 0x38);
        if magic != MAGIC {
            return Err(damaged(format!("magic {magic:#06x} instead of {MAGIC:#06x}")));
        }
        let dynamic = le32(raw, 0x4c) != 0;
        let feature = |at| if dynamic { le32(raw, at) } else { 0 };
        let [compat, incompat, ro_compat] = [0x5c, 0x60, 0x64].map(feature);
        refuse(incompat)?;
        if ro_compat & ro_compat::METADATA_CSUM != 0 {
            let kind = byte(raw, 0x175);
            if kind != 1 {
                return Err(Error::Unsupported(format!("ext4 checksums of type {kind}")));
            }
            if crc32c(!0, part(raw, 0, 0x3fc)) != le32(raw, 0x3fc) {
                return Err(damaged("its checksum is wrong".to_owned()));
            }
        }
        let wide = incompat & incompat::BIT64 != 0;
        let high = |at| if wide { le32(raw, at) } else { 0 };
        let block_size = power(le32(raw, 0x18), 10, 16).ok_or_else(|| damaged(format!("s_log_block_size is {}", le32(raw, 0x18))))?;
        let bigalloc = ro_compat & ro_compat::BIGALLOC != 0;
        let cluster_size = if bigalloc { power(le32(raw, 0x1c), 10, 29).unwrap_or_default() } else { block_size };
        let cluster = cluster_size.checked_div(block_size).filter(|blocks| *blocks > 0);
        let cluster = cluster.ok_or_else(|| damaged(format!("s_log_cluster_size is {}", le32(raw, 0x1c))))?;
        let blocks = joined(high(0x150), le32(raw, 0x4));
        let first_data_block = u64::from(le32(raw, 0x14));
        let blocks_per_group = u64::from(le32(raw, 0x20));
        let most = block_size.saturating_mul(8).saturating_mul(cluster);
        if !(8..=most).contains(&blocks_per_group) {
            return Err(damaged(format!("{blocks_per_group} blocks in a group")));
        }
        if first_data_block >= blocks || first_data_block > 1 {
            return Err(damaged(format!("the first of {blocks} blocks is {first_data_block}")));
        }
        let groups = blocks.saturating_sub(first_data_block).div_ceil(blocks_per_group);
        if groups > MAX_GROUPS {
            return Err(Error::Unsupported(format!("ext4 with more than {MAX_GROUPS} block groups")));
        }
        let inode_size = if dynamic { u64::from(le16(raw, 0x58)) } else { 128 };
        if !inode_size.is_power_of_two() || !(128..=block_size).contains(&inode_size) {
            return Err(damaged(format!("inodes of {inode_size} bytes")));
        }
        let (inodes, inodes_per_group) = (le32(raw, 0x0), u64::from(le32(raw, 0x28)));
        if inodes_per_group == 0 || inodes_per_group > block_size.saturating_mul(8) {
            return Err(damaged(format!("{inodes_per_group} inodes in a group")));
        }
        if u64::from(inodes) != groups.saturating_mul(inodes_per_group) {
            return Err(damaged(format!("{inodes} inodes in {groups} groups of {inodes_per_group}")));
        }
        let descriptor_size = if wide { u64::from(le16(raw, 0xfe)) } else { 32 };
        if !descriptor_size.is_power_of_two() || !(32..=1024).contains(&descriptor_size) || (wide && descriptor_size < 64) {
            return Err(damaged(format!("group descriptors of {descriptor_size} bytes")));
        }
        let uuid = part(raw, 0x68, 16).first_chunk().copied().unwrap_or_default();
        let seed = if incompat & incompat::CSUM_SEED != 0 { le32(raw, 0x270) } else { crc32c(!0, &uuid) };
        Ok(Self {
            block_size,
            blocks,
            inodes,
            groups,
            inodes_per_group,
            inode_size,
            cluster,
            descriptor_size,
            journal: if compat & compat::HAS_JOURNAL != 0 { le32(raw, 0xe0) } else { 0 },
            blocks_per_group,
            first_data_block,
            first_meta_bg: u64::from(le32(raw, 0x104)),
            backup_groups: [0x24c, 0x250].map(|at| u64::from(le32(raw, at))),
            compat,
            incompat,
            ro_compat,
            state: le16(raw, 0x3a),
            uuid,
            seed,
            free_blocks: joined(high(0x158), le32(raw, 0xc)),
            reserved: u64::from(le16(raw, 0xce)),
        })
    }

    /// blkid's name for a file system of these features.
    pub(super) const fn kind(&self) -> &'static str {
        if self.incompat & !incompat::EXT3 != 0 || self.ro_compat & !ro_compat::EXT3 != 0 {
            "ext4"
        } else if self.compat & compat::HAS_JOURNAL != 0 || self.needs_recovery() {
            "ext3"
        } else {
            "ext2"
        }
    }

    /// Whether the journal holds work.
    pub(super) const fn needs_recovery(&self) -> bool {
        self.incompat & incompat::RECOVER != 0
    }

    /// Whether it was unmounted, and without errors.
    pub(super) const fn clean(&self) -> bool {
        !self.needs_recovery() && self.state & STATE_VALID != 0 && self.state & STATE_ERRORS == 0
    }

    /// Whether directories may have more than 4 GiB.
    pub(super) const fn large_directories(&self) -> bool {
        self.incompat & incompat::LARGEDIR != 0
    }

    /// Whether descriptors are of 64 bytes and block numbers of 48 bits.
    pub(super) const fn wide(&self) -> bool {
        self.incompat & incompat::BIT64 != 0
    }

    /// The seed of metadata checksums, where there are any.
    pub(super) fn seed(&self) -> Option<u32> {
        (self.ro_compat & ro_compat::METADATA_CSUM != 0).then_some(self.seed)
    }

    /// Whether free space can be believed: the file system was unmounted, or has a journal, and no errors were found in it.
    pub(super) const fn orderly(&self) -> bool {
        (self.journal != 0 || self.state & STATE_VALID != 0) && self.state & STATE_ERRORS == 0
    }

    /// Whether a group's bitmaps may be left unwritten.
    pub(super) const fn lazy(&self) -> bool {
        self.ro_compat & (ro_compat::GDT_CSUM | ro_compat::METADATA_CSUM) != 0
    }

    /// The blocks of a group.
    pub(super) fn group(&self, group: u64) -> Range<u64> {
        let start = group.saturating_mul(self.blocks_per_group).saturating_add(self.first_data_block);
        start..start.saturating_add(self.blocks_per_group).min(self.blocks)
    }

    /// Bits of a group's bitmap.
    pub(super) fn clusters_per_group(&self) -> u64 {
        self.blocks_per_group.checked_div(self.cluster).unwrap_or_default()
    }

    /// Blocks that a table of a group's inodes takes.
    pub(super) fn table(&self) -> u64 {
        self.inodes_per_group.saturating_mul(self.inode_size).div_ceil(self.block_size)
    }

    /// How many blocks at a group's beginning are copies of superblock and descriptors, or kept for them (`ext4_num_base_meta_blocks`).
    pub(super) fn head(&self, group: u64) -> u64 {
        let in_block = self.block_size.checked_div(self.descriptor_size).unwrap_or(1).max(1);
        let copied = self.has_superblock(group);
        let within = group.checked_rem(in_block).unwrap_or_default();
        let meta = self.incompat & incompat::META_BG != 0;
        if meta && group.checked_div(in_block).unwrap_or_default() >= self.first_meta_bg {
            return u64::from(copied).saturating_add(u64::from(within <= 1 || within.saturating_add(1) == in_block));
        }
        let descriptors = if meta { self.first_meta_bg } else { self.groups.div_ceil(in_block) };
        if copied { descriptors.saturating_add(1).saturating_add(self.reserved) } else { 0 }
    }

    /// Whether a group descriptor has the checksum that it should have.
    pub(super) fn descriptor_holds(&self, group: u64, raw: &[u8]) -> bool {
        let [a, b, c, d, ..] = group.to_le_bytes();
        let number = [a, b, c, d];
        let stored = le16(raw, 0x1e);
        if let Some(seed) = self.seed() {
            let [low, high, ..] = crc32c_without(crc32c(seed, &number), raw, 0x1e, 2).to_le_bytes();
            return u16::from_le_bytes([low, high]) == stored;
        }
        if self.ro_compat & ro_compat::GDT_CSUM != 0 {
            let head = super::checksum::crc16(super::checksum::crc16(!0, &self.uuid), &number);
            let sum = super::checksum::crc16(super::checksum::crc16(head, part(raw, 0, 0x1e)), raw.get(0x20..).unwrap_or_default());
            return sum == stored;
        }
        true
    }

    /// Where a group's descriptor lies, in bytes.
    pub(super) fn descriptor_at(&self, group: u64) -> u64 {
        let in_block = self.block_size.checked_div(self.descriptor_size).unwrap_or(1).max(1);
        let index = group.checked_div(in_block).unwrap_or_default();
        let within = group.checked_rem(in_block).unwrap_or_default().saturating_mul(self.descriptor_size);
        // The superblock is in block 1 where blocks have 1 KiB.
        let holder = u64::from(self.block_size == OFFSET);
        let block = if self.incompat & incompat::META_BG == 0 || index < self.first_meta_bg {
            holder.saturating_add(1).saturating_add(index)
        } else {
            let first = index.saturating_mul(in_block);
            let start = first.saturating_mul(self.blocks_per_group).saturating_add(self.first_data_block);
            let shifted = u64::from(first == 0 && self.block_size == OFFSET && self.first_data_block == 0);
            start.saturating_add(u64::from(self.has_superblock(first))).saturating_add(shifted)
        };
        block.saturating_mul(self.block_size).saturating_add(within)
    }

    /// Whether a group begins with a copy of the superblock.
    fn has_superblock(&self, group: u64) -> bool {
        if group == 0 {
            return true;
        }
        if self.compat & compat::SPARSE_SUPER2 != 0 {
            return self.backup_groups.contains(&group);
        }
        let power_of = |base: u64| std::iter::successors(Some(base), |power| power.checked_mul(base)).any(|power| power == group);
        group == 1 || self.ro_compat & ro_compat::SPARSE_SUPER == 0 || [3, 5, 7].into_iter().any(power_of)
    }
}

/// Fails for what is not read, by name where it has one.
fn refuse(incompat: u32) -> Result<(), Error> {
    let unknown = incompat & !incompat::READ;
    if unknown == 0 {
        return Ok(());
    }
    let named = incompat::REFUSED.into_iter().find(|(bit, _)| unknown & bit != 0);
    Err(Error::Unsupported(
        named.map_or_else(|| format!("ext4 with features {unknown:#x}"), |(_, name)| format!("ext4 with the feature {name}")),
    ))
}

/// 2 to the power of `log + base`, if the sum is no more than `most`.
fn power(log: u32, base: u32, most: u32) -> Option<u64> {
    let exponent = log.checked_add(base).filter(|exponent| *exponent <= most)?;
    1_u64.checked_shl(exponent)
}

fn damaged(what: String) -> Error {
    Error::Damaged(format!("superblock: {what}"))
}
