//! ext2, ext3, ext4 and their external journal.
//!
//! The superblock at byte 1024: `Documentation/filesystems/ext4/super.rst` of the Linux kernel. The name follows from the
//! feature flags, as in libblkid: what ext2 understands is ext2, with a journal ext3, with anything newer ext4.

use crate::bytes::ReadAt;
use crate::volume::block::{Block, power, sized};
use crate::volume::checksum::crc32c_le;
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};

const OFFSET: u64 = 1024;
const MAGIC: [u8; 2] = [0x53, 0xef];

/// `s_feature_compat`.
const HAS_JOURNAL: u32 = 0x4;
/// `s_feature_incompat`.
mod incompat {
    pub(super) const FILETYPE: u32 = 0x2;
    pub(super) const RECOVER: u32 = 0x4;
    pub(super) const JOURNAL_DEV: u32 = 0x8;
    pub(super) const META_BG: u32 = 0x10;
    pub(super) const BIT64: u32 = 0x80;
    pub(super) const EXT2: u32 = FILETYPE | META_BG;
    pub(super) const EXT3: u32 = EXT2 | RECOVER;
}
/// `s_feature_ro_compat`: sparse superblocks, large files, and hashed directories, which ext2 and ext3 understand.
const RO_COMPAT_EXT3: u32 = 0x7;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// `s_flags`: for development code only.
const TEST_FILESYS: u32 = 0x4;
/// `s_state`.
const STATE_VALID: u16 = 0x1;
const STATE_ERRORS: u16 = 0x2;

/// The name that the features give.
fn kind(sb: &Block) -> &'static str {
    let [compat, incompat, ro_compat] = [0x5c, 0x60, 0x64].map(|field| sb.le32(field));
    let journal = compat & HAS_JOURNAL != 0;
    if incompat & incompat::JOURNAL_DEV != 0 {
        "jbd"
    } else if sb.le32(0x160) & TEST_FILESYS != 0 {
        "ext4dev"
    } else if incompat & !incompat::EXT3 != 0 || ro_compat & !RO_COMPAT_EXT3 != 0 {
        "ext4"
    } else if journal {
        "ext3"
    } else if incompat & !incompat::EXT2 == 0 {
        "ext2"
    } else {
        // A journal to replay, but none there: libblkid finds no name, mke2fs would call it ext3.
        "ext3"
    }
}

fn probe(bytes: &dyn ReadAt, wanted: &str) -> Probed {
    let Some(sb) = Block::at(bytes, OFFSET, 1024)? else { return Ok(None) };
    // 64 KiB blocks are the largest; two bytes of magic alone would also be found in random data.
    let Some(block) = power(sb.le32(0x18).saturating_add(10)).filter(|size| *size <= 65536) else { return Ok(None) };
    if !sb.has(0x38, &MAGIC) || kind(&sb) != wanted {
        return Ok(None);
    }
    let [incompat, ro_compat] = [0x60, 0x64].map(|field| sb.le32(field));
    let high = |field| if incompat & incompat::BIT64 != 0 { u64::from(sb.le32(field)) << 32 } else { 0 };
    let blocks = u64::from(sb.le32(0x4)) | high(0x150);
    let free = u64::from(sb.le32(0xc)) | high(0x158);
    let state = sb.le16(0x3a);
    let replay = incompat & incompat::RECOVER != 0;
    let mut detail = Vec::new();
    if replay {
        detail.push("journal has to be replayed".to_owned());
    }
    if state & STATE_ERRORS != 0 {
        detail.push("errors were detected".to_owned());
    }
    // The checksum covers all that stands before it, from a register of ones, and is not inverted.
    if ro_compat & RO_COMPAT_METADATA_CSUM != 0 && crc32c_le(u32::MAX, sb.slice(0, 0x3fc)) != sb.le32(0x3fc) {
        detail.push("superblock checksum is wrong".to_owned());
    }
    let is_journal = wanted == "jbd";
    Ok(Some(Content {
        uuid: uuid(sb.array(0x68)),
        label: label(sb.slice(0x78, 16)),
        size: sized(blocks, block),
        used: blocks.checked_sub(free).and_then(|used| sized(used, block)).filter(|_| !is_journal),
        clean: (!is_journal).then_some(state & STATE_VALID != 0 && state & STATE_ERRORS == 0 && !replay),
        version: Some(format!("{}.{}", sb.le32(0x4c), sb.le16(0x3e))),
        detail,
        ..Content::new(kind(&sb))
    }))
}

pub(in crate::fs) fn ext2(bytes: &dyn ReadAt) -> Probed {
    probe(bytes, "ext2")
}

pub(in crate::fs) fn ext3(bytes: &dyn ReadAt) -> Probed {
    probe(bytes, "ext3")
}

pub(in crate::fs) fn ext4(bytes: &dyn ReadAt) -> Probed {
    probe(bytes, "ext4")
}

pub(in crate::fs) fn ext4dev(bytes: &dyn ReadAt) -> Probed {
    probe(bytes, "ext4dev")
}

/// An external journal.
pub(in crate::fs) fn jbd(bytes: &dyn ReadAt) -> Probed {
    probe(bytes, "jbd")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    fn superblock(fields: &[(usize, u32)]) -> Vec<u8> {
        let mut sb = vec![0; 1024];
        sb[0x3a] = 1;
        sb[0x68..0x78].copy_from_slice(&id::<16>());
        sb[0x78..0x7c].copy_from_slice(b"root");
        for (field, value) in [(0x4, 1000), (0xc, 900), (0x18, 2)].iter().chain(fields) {
            sb[*field..field + 4].copy_from_slice(&value.to_le_bytes());
        }
        sb[0x38..0x3a].copy_from_slice(&MAGIC);
        sb
    }

    #[test]
    fn features_give_the_name() {
        for (fields, probe) in [
            (&[(0x60, 0x2), (0x64, 0x7)][..], ext2 as fn(&dyn ReadAt) -> Probed),
            (&[(0x5c, 0x4), (0x60, 0x2)], ext3),
            (&[(0x5c, 0x4), (0x60, 0x42)], ext4),
            (&[(0x60, 0x2), (0x64, 0x8)], ext4),
            (&[(0x60, 0x42), (0x160, 0x4)], ext4dev),
            (&[(0x60, 0x8)], jbd),
        ] {
            let sb = superblock(fields);
            let found = matches(probe, 1 << 20, &[(1024, &sb)], &[1024 + 0x38, 1024 + 0x39]);
            assert_eq!(found.uuid.as_deref(), Some(ID));
            assert_eq!(found.label.as_deref(), Some("root"));
            assert_eq!(found.size, Some(4_096_000));
            let whole = disk(1 << 20, &[(1024, &sb)]);
            let names: Vec<_> = [ext2, ext3, ext4, ext4dev, jbd].iter().filter_map(|probe| probe(&whole).unwrap()).collect();
            assert_eq!(names.len(), 1, "{fields:x?}");
        }
    }

    #[test]
    fn state_and_counts() {
        let found = matches(ext4, 1 << 20, &[(1024, &superblock(&[(0x60, 0x40)]))], &[]);
        assert_eq!((found.used, found.clean), (Some(409_600), Some(true)));
        let found = matches(ext4, 1 << 20, &[(1024, &superblock(&[(0x60, 0x44)]))], &[]);
        assert_eq!((found.clean, found.detail[0].as_str()), (Some(false), "journal has to be replayed"));
        let large = superblock(&[(0x60, 0xc0), (0x150, 1), (0x18, 6)]);
        assert_eq!(matches(ext4, 1 << 20, &[(1024, &large)], &[]).size, Some((0x1_0000_0000 + 1000) * 65536));
        let absurd = superblock(&[(0x60, 0x40), (0x18, 7)]);
        assert_eq!(ext4(&disk(1 << 20, &[(1024, &absurd)])).unwrap(), None);
    }

    #[test]
    fn a_wrong_checksum_is_told() {
        let mut sb = superblock(&[(0x60, 0x40), (0x64, 0x400)]);
        let found = matches(ext4, 1 << 20, &[(1024, &sb)], &[]);
        assert_eq!(found.detail, ["superblock checksum is wrong"]);
        let crc = crc32c_le(u32::MAX, &sb[..0x3fc]);
        sb[0x3fc..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches(ext4, 1 << 20, &[(1024, &sb)], &[]).detail.is_empty());
    }
}
