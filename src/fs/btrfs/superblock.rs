//! The superblock, and the map from logical addresses to places on the disk.
//!
//! `struct btrfs_super_block`, `struct btrfs_chunk` in `include/uapi/linux/btrfs_tree.h`.

use super::super::Error;
use super::tree::{Key, Root};
use crate::bytes::{ByteSize, KIB, ReadAt, int_usize, read_vec};
use crate::fs::fields::{array, byte, le16, le32, le64, part};
use fs_btrfs::ChecksumType;
use std::collections::BTreeMap;

/// Where the first superblock lies, and how long it is. The kernel mounts by no other.
const AT: u64 = 64 * KIB;
const LEN: usize = 4096;
/// Where the chunks lie by which all others are found.
const CHUNKS: usize = 811;
const MAX_CHUNKS_LEN: usize = 2048;
/// Levels of a tree.
pub(in crate::fs) const MAX_LEVELS: u8 = 8;

/// `incompat_flags`: what is read, and what is not, by name. Mixed back references, a default subvolume, mixed groups, LZO, zstd, big
/// metadata, extended references, skinny metadata, no holes, metadata UUID, RAID1 with 3 and 4 copies, simple quotas.
const KNOWN: u64 = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | METADATA_UUID | 0x800 | 0x1_0000;
const METADATA_UUID: u64 = 0x400;
const REFUSED: [(u64, &str); 5] =
    [(0x80, "RAID5 or RAID6"), (0x1000, "zones"), (0x2000, "extent tree 2"), (0x4000, "a stripe tree"), (0x2_0000, "a remap tree")];
/// `flags`: content was left out by btrfs-image.
const DUMP: u64 = 1 << 33 | 1 << 34;

/// Profiles of chunks in `type`.
const SPREAD: [(u64, &str); 7] = [
    (1 << 3, "RAID0"),
    (1 << 4, "RAID1"),
    (1 << 6, "RAID10"),
    (1 << 7, "RAID5"),
    (1 << 8, "RAID6"),
    (1 << 9, "RAID1C3"),
    (1 << 10, "RAID1C4"),
];

/// What the superblock says.
#[derive(Debug, Clone)]
pub(in crate::fs) struct Superblock {
    pub(in crate::fs) roots: Root,
    pub(in crate::fs) chunks: Root,
    /// The tree of what was synced since the last commit.
    pub(in crate::fs) log: Option<Root>,
    pub(in crate::fs) size: u64,
    pub(in crate::fs) used: u64,
    /// Where the root tree keeps the name of the default subvolume.
    pub(in crate::fs) directory: u64,
    pub(in crate::fs) sector: u64,
    pub(in crate::fs) node: u32,
    pub(in crate::fs) checksum: ChecksumType,
    /// Identity that tree blocks carry.
    pub(in crate::fs) identity: [u8; 16],
    /// `flags`, and `compat_ro_flags`.
    pub(in crate::fs) flags: u64,
    pub(in crate::fs) read_only_features: u64,
    device: u64,
    device_size: u64,
    /// Chunks of the tree of chunks.
    first_chunks: Vec<u8>,
}

impl Superblock {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When it is damaged, or says what is not read.
    pub(in crate::fs) fn read(bytes: &dyn ReadAt) -> Result<Self, Error> {
        let damaged = |what: &str| Error::Damaged(format!("superblock: {what}"));
        let sb = read_vec(bytes, AT, LEN)?;
        if part(&sb, 64, 8) != Some(b"_BHRfS_M") {
            return Err(damaged("no magic number"));
        }
        let kind = le16(&sb, 196);
        let checksum = ChecksumType::from_raw(kind).map_err(|_unknown| Error::Unsupported(format!("Btrfs with checksum type {kind}")))?;
        if !checksum.verify(sb.get(32..).unwrap_or_default(), &sb) {
            return Err(damaged("checksum is wrong"));
        }
        if le64(&sb, 48) != AT {
            return Err(damaged("is not that of this place"));
        }
        let features = le64(&sb, 188);
        refuse(features, le64(&sb, 56), le64(&sb, 136))?;
        let (sector, node) = (le32(&sb, 144), le32(&sb, 148));
        if !sector.is_power_of_two() || !node.is_power_of_two() || sector < 512 || node < sector.max(4096) || node > 64 * 1024 {
            return Err(damaged("impossible sizes"));
        }
        let root = |at: usize, level: usize, generation: u64| {
            let root = Root { at: le64(&sb, at), level: byte(&sb, level), generation };
            if root.level < MAX_LEVELS { Ok(root) } else { Err(damaged("impossible height of a tree")) }
        };
        let (size, used) = (le64(&sb, 112), le64(&sb, 120));
        if used > size {
            return Err(damaged("more is used than there is"));
        }
        // `total_bytes` of this device.
        if le64(&sb, 209) > bytes.size() {
            let (wanted, volume) = (ByteSize(le64(&sb, 209)), ByteSize(bytes.size()));
            return Err(damaged(&format!("it spans {wanted}, its volume has {volume}")));
        }
        let len = usize::try_from(le32(&sb, 160)).unwrap_or_default();
        let first_chunks = part(&sb, CHUNKS, len).filter(|_| len <= MAX_CHUNKS_LEN).ok_or_else(|| damaged("impossible chunks"))?;
        let generation = le64(&sb, 72);
        Ok(Self {
            roots: root(80, 198, generation)?,
            chunks: root(88, 199, le64(&sb, 164))?,
            log: if le64(&sb, 96) == 0 { None } else { Some(root(96, 200, generation.saturating_add(1))?) },
            size,
            used,
            directory: le64(&sb, 128),
            sector: u64::from(sector),
            node,
            checksum,
            identity: if features & METADATA_UUID != 0 { array(&sb, 571) } else { array(&sb, 32) },
            flags: le64(&sb, 56),
            read_only_features: le64(&sb, 180),
            device: le64(&sb, 201),
            device_size: le64(&sb, 209),
            first_chunks: first_chunks.to_vec(),
        })
    }

    /// The chunks in the superblock: a key and a chunk, one after another.
    ///
    /// # Errors
    ///
    /// When they are damaged.
    pub(in crate::fs) fn first_chunks(&self) -> Result<Chunks, Error> {
        let mut chunks = Chunks::default();
        let mut rest = self.first_chunks.as_slice();
        while !rest.is_empty() {
            let chunk = rest.get(Key::LEN..).unwrap_or_default();
            chunks.add(self.device, Key::read(rest), chunk)?;
            rest = chunk.get(chunk_len(chunk)..).unwrap_or_default();
        }
        Ok(chunks)
    }

    /// The device that this is.
    pub(in crate::fs) fn device(&self) -> u64 {
        self.device
    }

    /// Bytes of it that the file system spans.
    pub(in crate::fs) fn device_size(&self) -> u64 {
        self.device_size
    }

    /// Bytes of a node, for buffers.
    pub(in crate::fs) fn node_len(&self) -> usize {
        int_usize(u64::from(self.node))
    }
}

/// Refuses what is not read, by name.
fn refuse(features: u64, flags: u64, devices: u64) -> Result<(), Error> {
    let what = if let Some((_, name)) = REFUSED.iter().find(|(bit, _)| features & bit != 0) {
        (*name).to_owned()
    } else if features & !KNOWN != 0 {
        format!("unknown incompatible features {:#x}", features & !KNOWN)
    } else if flags & DUMP != 0 {
        "no content (an image made by btrfs-image)".to_owned()
    } else if devices != 1 {
        format!("{devices} devices, of which this is one")
    } else {
        return Ok(());
    };
    Err(Error::Unsupported(format!("Btrfs with {what}")))
}

/// Bytes of a chunk item: its fields, and a stripe for each copy.
fn chunk_len(chunk: &[u8]) -> usize {
    usize::from(le16(chunk, 44)).saturating_mul(32).saturating_add(48)
}

/// Where logical addresses lie.
#[derive(Debug, Default)]
pub(in crate::fs) struct Chunks(BTreeMap<u64, Place>);

/// A run of logical addresses, and where each of its copies begins.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::fs) struct Place {
    pub(in crate::fs) len: u64,
    /// What it is for, and its profile.
    pub(in crate::fs) kind: u64,
    pub(in crate::fs) copies: Vec<u64>,
}

impl Place {
    /// `kind`: everything is there twice, on one device.
    pub(in crate::fs) const TWICE: u64 = 1 << 5;
}

impl Chunks {
    /// Adds a chunk.
    ///
    /// # Errors
    ///
    /// When it is damaged, or spread over devices.
    pub(in crate::fs) fn add(&mut self, device: u64, key: Key, chunk: &[u8]) -> Result<(), Error> {
        let start = key.offset;
        let damaged = |what: &str| Error::Damaged(format!("chunk at {start}: {what}"));
        let (len, kind, stripes) = (le64(chunk, 0), le64(chunk, 24), usize::from(le16(chunk, 44)));
        let item = part(chunk, 48, stripes.saturating_mul(32)).ok_or_else(|| damaged("shorter than its stripes"))?;
        if key.kind != Key::CHUNK || len == 0 || start.checked_add(len).is_none() || stripes == 0 {
            return Err(damaged("is none"));
        }
        // Over one device, RAID0 is what a single copy is.
        if let Some((_, name)) = SPREAD.iter().find(|(bit, _)| kind & bit != 0 && (*bit != 1 << 3 || stripes > 1)) {
            return Err(Error::Unsupported(format!("Btrfs with {name} over several devices")));
        }
        let mut copies = Vec::with_capacity(stripes);
        for stripe in item.as_chunks::<32>().0 {
            if le64(stripe, 0) != device {
                return Err(Error::Unsupported("Btrfs with chunks on another device".to_owned()));
            }
            copies.push(le64(stripe, 8));
        }
        let chunk = Place { len, kind, copies };
        let before = self.0.range(..start).next_back().is_some_and(|(at, before)| at.saturating_add(before.len) > start);
        let after = self.0.range(start.saturating_add(1)..).next().is_some_and(|(at, _)| start.saturating_add(len) > *at);
        if before || after || self.0.get(&start).is_some_and(|same| *same != chunk) {
            return Err(damaged("overlaps another"));
        }
        self.0.insert(start, chunk);
        Ok(())
    }

    /// All of them, by their first address.
    pub(in crate::fs) fn iter(&self) -> impl Iterator<Item = (u64, &Place)> {
        self.0.iter().map(|(start, chunk)| (*start, chunk))
    }

    /// The places of every copy of `len` bytes at a logical address; none where no chunk has all of them.
    pub(in crate::fs) fn places(&self, logical: u64, len: u64) -> Vec<u64> {
        let Some((start, chunk)) = self.0.range(..=logical).next_back() else { return vec![] };
        let within = logical.saturating_sub(*start);
        if within.checked_add(len).is_none_or(|end| end > chunk.len) {
            return vec![];
        }
        chunk.copies.iter().filter_map(|copy| copy.checked_add(within)).collect()
    }
}

#[cfg(test)]
impl Superblock {
    /// One that nothing was read from.
    pub(in crate::fs) fn for_tests(node: u32) -> Self {
        let nowhere = Root { at: 0, level: 0, generation: 0 };
        Self {
            roots: nowhere,
            chunks: nowhere,
            log: None,
            size: 1 << 30,
            used: 0,
            directory: 6,
            sector: 4096,
            node,
            checksum: ChecksumType::Crc32c,
            identity: [0xb7; 16],
            flags: 1,
            read_only_features: 3,
            device: 1,
            device_size: 1 << 30,
            first_chunks: vec![],
        }
    }
}
