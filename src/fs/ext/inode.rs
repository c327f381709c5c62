//! Inodes: `Documentation/filesystems/ext4/inodes.rst` of the Linux kernel.

use super::checksum::{crc32c, crc32c_without};
use super::disk::Disk;
use super::field::{joined, le16, le32, part, put};
use crate::fs::{Error, Node, NodeKind};

/// Bytes that every inode has; what a larger one has besides begins here.
const CORE: usize = 128;
/// `i_block`: block numbers, an extent tree's root, a symlink's target, or inline data.
pub(super) const I_BLOCK: usize = 0x28;
pub(super) const I_BLOCK_LENGTH: usize = 60;

/// `i_flags`.
mod flag {
    pub(super) const ENCRYPT: u32 = 0x800;
    pub(super) const EXTENTS: u32 = 0x8_0000;
    pub(super) const INLINE_DATA: u32 = 0x1000_0000;
    pub(super) const CASEFOLD: u32 = 0x4000_0000;
    pub(super) const INDEX: u32 = 0x1000;
}

/// An inode as it lies on the disk, checked.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) number: u32,
    pub(super) kind: NodeKind,
    /// Bytes of its content.
    pub(super) size: u64,
    /// Register that checksums of its blocks start from; `None` without checksums.
    pub(super) seed: Option<u32>,
    raw: Vec<u8>,
}

impl Inode {
    /// Takes an inode from its bytes.
    pub(super) fn parse(disk: &Disk, number: u32, raw: Vec<u8>) -> Result<Self, Error> {
        let damaged = |what: String| Error::Damaged(format!("inode {number}: {what}"));
        let mode = le16(&raw, 0x0);
        let kind = NodeKind::of_mode(u32::from(mode)).ok_or_else(|| damaged(format!("mode {mode:#o} is of no kind of file")))?;
        let seed = disk.superblock.seed().map(|seed| crc32c(crc32c(seed, &number.to_le_bytes()), part(&raw, 0x64, 4)));
        if let Some(seed) = seed
            && !checksum_holds(seed, &raw)
        {
            return Err(damaged("its checksum is wrong".to_owned()));
        }
        if raw.len() > CORE && CORE.saturating_add(usize::from(le16(&raw, 0x80))) > raw.len() {
            return Err(damaged(format!("{} extra bytes in an inode of {}", le16(&raw, 0x80), raw.len())));
        }
        if le16(&raw, 0x1a) == 0 {
            return Err(damaged("deleted, yet in use".to_owned()));
        }
        let wide = kind == NodeKind::File || disk.superblock.large_directories();
        let size = joined(if wide { le32(&raw, 0x6c) } else { 0 }, le32(&raw, 0x4));
        let inode = Self { number, kind, size, seed, raw };
        // Logical blocks have 32 bits.
        if size.div_ceil(disk.superblock.block_size) > u64::from(u32::MAX) {
            return Err(inode.damaged(format!("{size} bytes are more than a file can have")));
        }
        Ok(inode)
    }

    pub(super) fn node(&self) -> Node {
        let raw = &self.raw;
        let device = matches!(self.kind, NodeKind::CharacterDevice | NodeKind::BlockDevice).then(|| self.device());
        let sized = matches!(self.kind, NodeKind::File | NodeKind::Symlink);
        Node {
            kind: self.kind,
            size: if sized { self.size } else { 0 },
            mode: Some(le16(raw, 0x0) & 0o7777),
            uid: Some(wide_id(le16(raw, 0x78), le16(raw, 0x2))),
            gid: Some(wide_id(le16(raw, 0x7a), le16(raw, 0x18))),
            modified: Some(self.modified()),
            links: u32::from(le16(raw, 0x1a)),
            device,
        }
    }

    /// `i_mtime` has 32 bits and a sign; two more bits are kept behind the core since 2008.
    fn modified(&self) -> i64 {
        let seconds = i64::from(i32::from_le_bytes(le32(&self.raw, 0x10).to_le_bytes()));
        let epoch = if self.extra() >= 12 { le32(&self.raw, 0x88) & 3 } else { 0 };
        seconds.saturating_add(i64::from(epoch).saturating_mul(1 << 32))
    }

    /// A device's numbers: the old 8 and 8 bits in the first block number, or the new 12 and 20 in the second.
    fn device(&self) -> (u32, u32) {
        let (old, new) = (le32(self.block(), 0), le32(self.block(), 4));
        if old != 0 {
            return ((old >> 8) & 0xff, old & 0xff);
        }
        ((new >> 8) & 0xfff, (new & 0xff) | ((new >> 12) & 0xf_ff00))
    }

    /// `i_extra_isize`: bytes behind the core that are fields.
    fn extra(&self) -> usize {
        if self.raw.len() > CORE { usize::from(le16(&self.raw, 0x80)) } else { 0 }
    }

    /// As it lies on the disk.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// `i_block`.
    pub(super) fn block(&self) -> &[u8] {
        part(&self.raw, I_BLOCK, I_BLOCK_LENGTH)
    }

    /// What lies behind the fields: extended attributes.
    pub(super) fn tail(&self) -> &[u8] {
        if self.raw.len() > CORE { self.raw.get(CORE.saturating_add(self.extra())..).unwrap_or_default() } else { &[] }
    }

    /// The block of extended attributes; 0 where there is none.
    pub(super) fn attribute_block(&self) -> u64 {
        joined(u32::from(le16(&self.raw, 0x76)), le32(&self.raw, 0x68))
    }

    fn has(&self, flag: u32) -> bool {
        le32(&self.raw, 0x20) & flag != 0
    }

    pub(super) fn encrypted(&self) -> bool {
        self.has(flag::ENCRYPT)
    }

    pub(super) fn extents(&self) -> bool {
        self.has(flag::EXTENTS)
    }

    pub(super) fn inline(&self) -> bool {
        self.has(flag::INLINE_DATA)
    }

    pub(super) fn folds_case(&self) -> bool {
        self.has(flag::CASEFOLD)
    }

    /// Whether a directory has an index.
    pub(super) fn indexed(&self) -> bool {
        self.has(flag::INDEX)
    }

    /// Whether a symlink's target is kept in the inode: it then has no blocks but that of its attributes.
    pub(super) fn fast_symlink(&self, cluster: u64) -> bool {
        let sectors = joined(u32::from(le16(&self.raw, 0x74)), le32(&self.raw, 0x1c));
        let attributes = if self.attribute_block() == 0 { 0 } else { cluster / 512 };
        !self.extents() && !self.inline() && sectors.saturating_sub(attributes) == 0
    }

    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> Error {
        Error::Damaged(format!("inode {}: {what}", self.number))
    }

    pub(super) fn unsupported(&self, what: impl std::fmt::Display) -> Error {
        Error::Unsupported(format!("inode {}: {what}", self.number))
    }

    /// Blocks that the content spans.
    pub(super) fn blocks(&self, block_size: u64) -> u64 {
        self.size.div_ceil(block_size)
    }
}

fn wide_id(high: u16, low: u16) -> u32 {
    (u32::from(high) << 16) | u32::from(low)
}

/// Puts the checksum that an inode should have into it.
pub(super) fn seal(seed: u32, raw: &mut [u8]) {
    let wide = raw.len() > CORE && le16(raw, 0x80) >= 4;
    put(raw, 0x7c, &[0; 2]);
    if wide {
        put(raw, 0x82, &[0; 2]);
    }
    let [a, b, c, d] = crc32c(seed, raw).to_le_bytes();
    put(raw, 0x7c, &[a, b]);
    if wide {
        put(raw, 0x82, &[c, d]);
    }
}

/// The checksum is kept in two halves, each taken as zero; small inodes keep only the lower.
fn checksum_holds(seed: u32, raw: &[u8]) -> bool {
    let (low, high) = (0x7c, 0x82_usize);
    let first = crc32c_without(seed, part(raw, 0, CORE), low, 2);
    let Some(rest) = raw.get(CORE..).filter(|rest| !rest.is_empty()) else {
        return first & 0xffff == u32::from(le16(raw, low));
    };
    if le16(raw, 0x80) >= 4 {
        let hole = high.saturating_sub(CORE);
        crc32c_without(first, rest, hole, 2) == (u32::from(le16(raw, high)) << 16) | u32::from(le16(raw, low))
    } else {
        crc32c(first, rest) & 0xffff == u32::from(le16(raw, low))
    }
}
