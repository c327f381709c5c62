//! XFS and its external log.
//!
//! The superblock at byte 0, big-endian: "XFS Algorithms & Data Structures", 3rd edition, section 13.1. A log record begins
//! with `struct xlog_rec_header`, section 17.

use crate::bytes::{MIB, ReadAt};
use crate::volume::block::{Block, power, sized};
use crate::volume::checksum::crc32c;
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};

/// `sb_features_incompat`: xfs_repair has to run first.
const NEEDS_REPAIR: u32 = 0x10;

/// `xfs`: the magic, and a geometry that holds together.
pub(in crate::fs) fn xfs(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 512)? else { return Ok(None) };
    if !sb.has(0, b"XFSB") || !sound(&sb) {
        return Ok(None);
    }
    let block = u64::from(sb.be32(4));
    let [blocks, free] = [8, 144].map(|field| sb.be64(field));
    let version = sb.be16(100) & 0xf;
    let mut found = Content {
        uuid: uuid(sb.array(32)),
        label: label(sb.slice(108, 12)),
        size: sized(blocks, block),
        used: blocks.checked_sub(free).and_then(|used| sized(used, block)),
        // Whether the log has to be replayed stands in the log alone.
        clean: None,
        version: Some(version.to_string()),
        ..Content::new("xfs")
    };
    if sb.u8(126) != 0 {
        found.detail.push("mkfs did not finish".to_owned());
        found.clean = Some(false);
    }
    if version >= 5 {
        if sb.be32(216) & NEEDS_REPAIR != 0 {
            found.detail.push("needs repair".to_owned());
            found.clean = Some(false);
        }
        // The checksum covers the superblock's sector, with its own field blank.
        let sector = Block::at(bytes, 0, usize::from(sb.be16(102)))?;
        if sector.is_none_or(|sector| crc32c(sector.blanked(224, 4).as_slice()) != sb.le32(224)) {
            found.detail.push("superblock checksum is wrong".to_owned());
        }
    }
    Ok(Some(found))
}

/// The conditions under which libblkid believes a superblock.
fn sound(sb: &Block) -> bool {
    let (sector, block, inode) = (u64::from(sb.be16(102)), u64::from(sb.be32(4)), u64::from(sb.be16(104)));
    let [block_log, sector_log, inode_log, inodes_log] = [120, 121, 122, 123].map(|field| u32::from(sb.u8(field)));
    let logs = power(sector_log) == Some(sector) && power(block_log) == Some(block) && power(inode_log) == Some(inode);
    let ranges = (9..=15).contains(&sector_log) && (9..=16).contains(&block_log) && (8..=11).contains(&inode_log);
    let inodes = block_log.checked_sub(inode_log) == Some(inodes_log);
    // A realtime extent has 4 KiB to 1 GiB.
    let extent = u64::from(sb.be32(80)).saturating_mul(block);
    let [group_blocks, groups] = [84, 88].map(|field| u64::from(sb.be32(field)));
    let blocks = sb.be64(8);
    // All groups but the last are full, and the last one has at least 64 blocks.
    let least = groups.saturating_sub(1).saturating_mul(group_blocks).saturating_add(64);
    let most = groups.saturating_mul(group_blocks);
    let filled = groups > 0 && blocks > 0 && (least..=most).contains(&blocks);
    logs && ranges && inodes && (4096..=1 << 30).contains(&extent) && sb.u8(127) <= 100 && filled
}

/// `xfs_external_log`: a log record in one of the first 512 sectors.
pub(in crate::fs) fn external_log(bytes: &dyn ReadAt) -> Probed {
    /// No external log is smaller.
    const MIN_SIZE: u64 = 10 * MIB;
    const MAGIC: u32 = 0xfeed_babe;
    if bytes.size() < MIN_SIZE {
        return Ok(None);
    }
    let Some(start) = Block::at(bytes, 0, 512 * 512)? else { return Ok(None) };
    if start.has(0, b"XFSB") {
        return Ok(None);
    }
    for at in (0..start.as_slice().len()).step_by(512) {
        let field = |offset: usize| start.be32(at.saturating_add(offset));
        let version = field(8);
        let believable = version != 0 && version <= 3 && (1..1 << 31).contains(&field(12)) && (1..=3).contains(&field(300));
        if field(0) == MAGIC && believable {
            return Ok(Some(Content {
                detail: uuid(start.array(at.saturating_add(304))).map(|of| format!("log of {of}")).into_iter().collect(),
                ..Content::new("xfs_external_log")
            }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    fn superblock() -> Vec<u8> {
        let mut sb = vec![0; 512];
        sb[..4].copy_from_slice(b"XFSB");
        for (field, value) in [(4, 4096_u32), (80, 1), (84, 1000), (88, 4)] {
            sb[field..field + 4].copy_from_slice(&value.to_be_bytes());
        }
        sb[8..16].copy_from_slice(&4000_u64.to_be_bytes());
        sb[144..152].copy_from_slice(&3000_u64.to_be_bytes());
        sb[32..48].copy_from_slice(&id::<16>());
        sb[100..108].copy_from_slice(&[0xb4, 0xa4, 2, 0, 2, 0, 0, 8]);
        sb[108..112].copy_from_slice(b"data");
        sb[120..128].copy_from_slice(&[12, 9, 9, 3, 10, 0, 0, 25]);
        sb
    }

    #[test]
    fn version_4() {
        let found = matches(xfs, 16 * MIB, &[(0, &superblock())], &[0, 3, 4, 8, 80, 88, 102, 104, 120, 121, 122, 123]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        assert_eq!(found.label.as_deref(), Some("data"));
        assert_eq!((found.size, found.used), (Some(16_384_000), Some(4_096_000)));
        assert_eq!((found.version.as_deref(), found.clean), (Some("4"), None));
    }

    #[test]
    fn version_5_has_a_checksum() {
        let mut sb = superblock();
        sb[101] = 0xa5;
        assert_eq!(matches(xfs, 16 * MIB, &[(0, &sb)], &[]).detail, ["superblock checksum is wrong"]);
        sb[219] = 0x10;
        let crc = crc32c(&sb);
        sb[224..228].copy_from_slice(&crc.to_le_bytes());
        let found = matches(xfs, 16 * MIB, &[(0, &sb)], &[]);
        assert_eq!((found.detail, found.clean), (vec!["needs repair".to_owned()], Some(false)));
    }

    #[test]
    fn a_log_record() {
        let mut record = vec![0; 320];
        for (field, value) in [(0, 0xfeed_babe_u32), (8, 2), (12, 512), (300, 1)] {
            record[field..field + 4].copy_from_slice(&value.to_be_bytes());
        }
        record[304..].copy_from_slice(&id::<16>());
        let at = 511 * 512;
        let found = matches(external_log, 10 * MIB, &[(at, &record)], &[at, at + 8, at + 303]);
        assert_eq!(found.detail, [format!("log of {ID}")]);
        assert_eq!(external_log(&disk(10 * MIB, &[(at + 1, &record)])).unwrap(), None);
        assert_eq!(external_log(&disk(10 * MIB - 1, &[(at, &record)])).unwrap(), None);
    }
}
