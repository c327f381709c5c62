//! File systems made for flash, zones and logs.
//!
//! UBIFS: `fs/ubifs/ubifs-media.h`. F2FS: `include/linux/f2fs_fs.h`. NILFS2: `include/uapi/linux/nilfs2_ondisk.h`. zonefs:
//! `fs/zonefs/zonefs.h`. All of the Linux kernel.

use crate::bytes::{KIB, MIB, ReadAt, ReadError, int_usize};
use crate::volume::block::{Block, power, sized};
use crate::volume::checksum::crc32_le;
use crate::volume::text::{label, label_utf16, uuid};
use crate::volume::{Content, Probed};

/// `ubifs`: a superblock node with the right checksum.
pub(in crate::fs) fn ubifs(bytes: &dyn ReadAt) -> Probed {
    let Some(node) = Block::at(bytes, 0, 4096)? else { return Ok(None) };
    if !node.has(0, &[0x31, 0x18, 0x10, 0x06]) || crc32_le(u32::MAX, node.slice(8, 4096 - 8)) != node.le32(4) {
        return Ok(None);
    }
    Ok(Some(Content {
        uuid: uuid(node.array(108)),
        size: sized(u64::from(node.le32(40)), u64::from(node.le32(36))),
        version: Some(format!("w{}r{}", node.le32(80), node.le32(124))),
        ..Content::new("ubifs")
    }))
}

/// `f2fs`.
pub(in crate::fs) fn f2fs(bytes: &dyn ReadAt) -> Probed {
    const MAGIC: u32 = 0xf2f5_2010;
    let Some(sb) = Block::at(bytes, KIB, int_usize(3 * KIB))? else { return Ok(None) };
    if sb.le32(0) != MAGIC {
        return Ok(None);
    }
    let version = [4, 6].map(|field| sb.le16(field));
    let mut found = Content { version: Some(format!("{}.{}", version[0], version[1])), ..Content::new("f2fs") };
    // The fields of version 1.0 stood elsewhere.
    if version == [1, 0] {
        found.version = None;
        return Ok(Some(found));
    }
    found.uuid = uuid(sb.array(0x6c));
    found.label = label_utf16(sb.slice(0x7c, 1024), false);
    found.size = power(sb.le32(0x10)).and_then(|block| sized(sb.le64(0x24), block));
    let covered = int_usize(u64::from(sb.le32(0x20)));
    if covered != 0 && (covered > 3068 || crc32_le(MAGIC, sb.slice(0, covered)) != sb.le32(covered)) {
        found.detail.push("superblock checksum is wrong".to_owned());
    }
    Ok(Some(found))
}

/// `nilfs2`: the newer of two superblocks whose checksums are right.
pub(in crate::fs) fn nilfs2(bytes: &dyn ReadAt) -> Probed {
    /// What `mkfs.nilfs2` makes with the smallest blocks and segments.
    const MIN_SIZE: u64 = MIB;
    if bytes.size() < MIN_SIZE {
        return Ok(None);
    }
    let first = nilfs2_superblock(Block::at(bytes, KIB, int_usize(KIB))?);
    let second = nilfs2_superblock(Block::from_end(bytes, 8, int_usize(KIB))?);
    // The number of the last checkpoint tells which was written later.
    let sb = match (first, second) {
        (Some(first), Some(second)) if first.le64(56) <= second.le64(56) && first.le64(56) != second.le64(56) => second,
        (Some(first), _) => first,
        (None, Some(second)) => second,
        (None, None) => return Ok(None),
    };
    let block = power(sb.le32(20).saturating_add(10));
    let size = sb.le64(32);
    let free = block.and_then(|block| sized(sb.le64(80), block));
    let state = sb.le16(116);
    Ok(Some(Content {
        uuid: uuid(sb.array(152)),
        label: label(sb.slice(168, 80)),
        size: Some(size),
        used: free.and_then(|free| size.checked_sub(free)),
        clean: Some(state & 1 == 1 && state & 2 == 0),
        version: Some(sb.le32(0).to_string()),
        ..Content::new("nilfs2")
    }))
}

fn nilfs2_superblock(block: Option<Block>) -> Option<Block> {
    let sb = block.filter(|sb| sb.le16(6) == 0x3434)?;
    let length = usize::from(sb.le16(8));
    let blank = sb.blanked(16, 4);
    let right = (20..=1024).contains(&length) && crc32_le(sb.le32(12), blank.slice(0, length)) == sb.le32(16);
    right.then_some(sb)
}

/// `zonefs`: the zones of a zoned disk as files.
pub(in crate::fs) fn zonefs(bytes: &dyn ReadAt) -> Result<Option<Content>, ReadError> {
    let Some(sb) = Block::at(bytes, 0, 4096)?.filter(|sb| sb.has(0, b"SFOZ")) else { return Ok(None) };
    if crc32_le(u32::MAX, sb.blanked(4, 4).as_slice()) != sb.le32(4) {
        return Ok(None);
    }
    Ok(Some(Content { uuid: uuid(sb.array(40)), label: label(sb.slice(8, 32)), ..Content::new("zonefs") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, id, matches};

    #[test]
    fn nodes_with_checksums() {
        let mut node = vec![0; 4096];
        node[..4].copy_from_slice(&[0x31, 0x18, 0x10, 0x06]);
        node[108..124].copy_from_slice(&id::<16>());
        let crc = crc32_le(u32::MAX, &node[8..]);
        node[4..8].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(matches(ubifs, 8192, &[(0, &node)], &[0, 4, 8, 4095]).uuid.as_deref(), Some(ID));

        let mut zones = vec![0; 4096];
        zones[..4].copy_from_slice(b"SFOZ");
        zones[8..13].copy_from_slice(b"zoned");
        let crc = crc32_le(u32::MAX, &zones);
        zones[4..8].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(matches(zonefs, 8192, &[(0, &zones)], &[0, 4, 8, 4095]).label.as_deref(), Some("zoned"));
    }

    #[test]
    fn f2fs_superblock() {
        let parts: &[(u64, &[u8])] =
            &[(1024, &[0x10, 0x20, 0xf5, 0xf2, 1, 0, 16]), (1024 + 0x10, &[12]), (1024 + 0x24, &[100]), (1024 + 0x6c, &id::<16>())];
        let found = matches(f2fs, 1 << 20, parts, &[1024, 1027]);
        assert_eq!((found.uuid.as_deref(), found.version.as_deref(), found.size), (Some(ID), Some("1.16"), Some(409_600)));
    }

    #[test]
    fn nilfs2_takes_the_newer_superblock() {
        let superblock = |checkpoint: u8, name: u8| {
            let mut sb = vec![0; 1024];
            sb[0] = 2;
            sb[6..8].copy_from_slice(&[0x34, 0x34]);
            sb[9] = 4;
            sb[12] = 99;
            sb[56] = checkpoint;
            sb[116] = 1;
            sb[168] = name;
            let crc = crc32_le(99, &sb);
            sb[16..20].copy_from_slice(&crc.to_le_bytes());
            sb
        };
        let end = MIB - 4096;
        let both: &[(u64, &[u8])] = &[(1024, &superblock(5, b'a')), (end, &superblock(6, b'b'))];
        let found = matches(nilfs2, MIB, both, &[]);
        assert_eq!((found.label.as_deref(), found.clean), (Some("b"), Some(true)));
        let first: &[(u64, &[u8])] = &[(1024, &superblock(5, b'a')), (end, &[1; 1024])];
        assert_eq!(matches(nilfs2, MIB, first, &[1024 + 6, 1024 + 900]).label.as_deref(), Some("a"));
        let second: &[(u64, &[u8])] = &[(end, &superblock(5, b'c'))];
        assert_eq!(matches(nilfs2, MIB, second, &[end + 16]).label.as_deref(), Some("c"));
    }
}
