//! btrfs.
//!
//! The superblock at 64 KiB with copies at 64 MiB and 256 GiB: "On-disk Format" of the btrfs documentation, and
//! `include/uapi/linux/btrfs_tree.h`.

use crate::bytes::{GIB, KIB, MIB, ReadAt};
use crate::volume::block::Block;
use crate::volume::checksum::crc32c;
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};

const MAGIC: &[u8; 8] = b"_BHRfS_M";
const CSUM_CRC32C: u16 = 0;

/// The first superblock, or where that is gone, a copy that is whole. The kernel mounts the first only.
pub(in crate::fs) fn btrfs(bytes: &dyn ReadAt) -> Probed {
    if bytes.size() < MIB {
        return Ok(None);
    }
    for at in [64 * KIB, 64 * MIB, 256 * GIB] {
        let Some(sb) = Block::at(bytes, at, 4096)? else { break };
        let is_copy = at != 64 * KIB;
        // Other checksums than CRC-32C exist; those are not tried.
        let checked = sb.le16(0xc4) == CSUM_CRC32C;
        let right = !checked || crc32c(sb.slice(32, 4096 - 32)) == sb.le32(0);
        // A copy lies among other data, where an image of a file system could lie too: it must know its place.
        if !sb.has(0x40, MAGIC) || is_copy && (sb.le64(0x30) != at || !right) {
            continue;
        }
        let mut detail = Vec::new();
        if is_copy {
            detail.push("the first superblock is gone".to_owned());
        }
        if !right {
            detail.push("superblock checksum is wrong".to_owned());
        }
        if sb.le64(0x88) > 1 {
            detail.push(format!("one of {} devices", sb.le64(0x88)));
        }
        let replay = sb.le64(0x60) != 0;
        if replay {
            detail.push("log tree has to be replayed".to_owned());
        }
        return Ok(Some(Content {
            uuid: uuid(sb.array(0x20)),
            label: label(sb.slice(0x12b, 256)),
            size: Some(sb.le64(0x70)),
            used: Some(sb.le64(0x78)),
            // Without a log tree it may still not have been unmounted: nothing tells.
            clean: replay.then_some(false),
            detail,
            ..Content::new("btrfs")
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    fn superblock(at: u64) -> Vec<u8> {
        let mut sb = vec![0; 4096];
        sb[0x20..0x30].copy_from_slice(&id::<16>());
        sb[0x30..0x38].copy_from_slice(&at.to_le_bytes());
        sb[0x40..0x48].copy_from_slice(MAGIC);
        sb[0x70..0x78].copy_from_slice(&(128 * MIB).to_le_bytes());
        sb[0x78..0x80].copy_from_slice(&(5 * MIB).to_le_bytes());
        sb[0x88] = 1;
        sb[0x12b..0x12f].copy_from_slice(b"pool");
        let crc = crc32c(&sb[32..]);
        sb[..4].copy_from_slice(&crc.to_le_bytes());
        sb
    }

    #[test]
    fn first_superblock() {
        let found = matches(btrfs, 128 * MIB, &[(65536, &superblock(65536))], &[65536 + 0x40, 65536 + 0x47]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        assert_eq!(found.label.as_deref(), Some("pool"));
        assert_eq!((found.size, found.used, found.clean), (Some(128 * MIB), Some(5 * MIB), None));
        assert!(found.detail.is_empty());
        assert_eq!(btrfs(&disk(MIB - 1, &[(65536, &superblock(65536))])).unwrap(), None);
    }

    #[test]
    fn a_copy_must_be_whole_and_in_place() {
        let at = 64 * MIB;
        let found = matches(btrfs, 128 * MIB, &[(at, &superblock(at))], &[at, at + 0x30, at + 0x40, at + 0x100]);
        assert_eq!(found.detail, ["the first superblock is gone"]);
    }
}
