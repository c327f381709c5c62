//! File systems and disk labels of clusters and of commercial Unix.
//!
//! GFS and GFS2: `include/uapi/linux/gfs2_ondisk.h`. OCFS2: `fs/ocfs2/ocfs2_fs.h`. VxFS: `fs/freevxfs/vxfs.h`. Oracle ASM's
//! disk header, VMware's VMFS and Micron's mpool as libblkid knows them.

use crate::bytes::{KIB, MIB, ReadAt};
use crate::volume::block::{Block, power, sized};
use crate::volume::checksum::crc32c;
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};

/// What GFS and GFS2 share; `formats` are `sb_fs_format` and `sb_multihost_format`.
fn global(bytes: &dyn ReadAt, kind: &'static str, formats: [u32; 2]) -> Probed {
    /// The least room that a journal takes.
    const MIN_SIZE: u64 = 32 * MIB;
    let Some(sb) = Block::at(bytes, 64 * KIB, 512)?.filter(|_| bytes.size() >= MIN_SIZE) else { return Ok(None) };
    // GFS2 format 1802 came with Linux 5.12; libblkid knows it from 2.38 on.
    let fits = sb.be32(24) == formats[0] || kind == "gfs2" && sb.be32(24) == 1802;
    if !sb.has(0, &[0x01, 0x16, 0x19, 0x70]) || !fits || sb.be32(28) != formats[1] {
        return Ok(None);
    }
    Ok(Some(Content { uuid: uuid(sb.array(256)), label: label(sb.slice(160, 64)), ..Content::new(kind) }))
}

pub(in crate::fs) fn gfs(bytes: &dyn ReadAt) -> Probed {
    global(bytes, "gfs", [1309, 1401])
}

pub(in crate::fs) fn gfs2(bytes: &dyn ReadAt) -> Probed {
    global(bytes, "gfs2", [1801, 1900])
}

/// `ocfs2`: the superblock is the third block, of 512 bytes to 4 KiB.
pub(in crate::fs) fn ocfs2(bytes: &dyn ReadAt) -> Probed {
    const MIN_SIZE: u64 = 14_000 * KIB;
    if bytes.size() < MIN_SIZE {
        return Ok(None);
    }
    for at in [KIB, 2 * KIB, 4 * KIB, 8 * KIB] {
        let Some(sb) = Block::at(bytes, at, 512)? else { break };
        if sb.has(0, b"OCFSV2") {
            return Ok(Some(Content {
                uuid: uuid(sb.array(336)),
                label: label(sb.slice(272, 64)),
                size: power(sb.le32(252)).and_then(|cluster| sized(u64::from(sb.le32(20)), cluster)),
                version: Some(format!("{}.{}", sb.le16(192), sb.le16(194))),
                ..Content::new("ocfs2")
            }));
        }
    }
    Ok(None)
}

/// `oracleasm`: a disk of Oracle's Automatic Storage Management.
pub(in crate::fs) fn oracleasm(bytes: &dyn ReadAt) -> Probed {
    let Some(header) = Block::at(bytes, 0, 64)?.filter(|header| header.has(32, b"ORCLDISK")) else { return Ok(None) };
    Ok(Some(Content { label: label(header.slice(40, 24)), ..Content::new("oracleasm") }))
}

/// `vxfs`: Veritas, little-endian in the second KiB or big-endian in the ninth.
pub(in crate::fs) fn vxfs(bytes: &dyn ReadAt) -> Probed {
    const MAGIC: u32 = 0xa501_fcf5;
    for (at, big) in [(KIB, false), (8 * KIB, true)] {
        let Some(sb) = Block::at(bytes, at, 64)? else { break };
        if sb.long(0, big) == MAGIC {
            return Ok(Some(Content {
                size: sized(u64::from(sb.long(36, big)), u64::from(sb.long(32, big))),
                version: Some(sb.long(4, big).to_string()),
                ..Content::new("vxfs")
            }));
        }
    }
    Ok(None)
}

/// `VMFS`: the file system inside a VMFS volume.
pub(in crate::fs) fn vmfs(bytes: &dyn ReadAt) -> Probed {
    let Some(header) = Block::at(bytes, 2 * MIB, 512)? else { return Ok(None) };
    if !header.has(0, &[0x5e, 0xf1, 0xab, 0x2f]) {
        return Ok(None);
    }
    Ok(Some(Content {
        uuid: crate::volume::vmware_uuid(header.array(9)),
        label: label(header.slice(29, 128)),
        version: Some(header.u8(8).to_string()),
        ..Content::new("VMFS")
    }))
}

/// `mpool`: Micron's heterogeneous-memory storage engine.
pub(in crate::fs) fn mpool(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 66)? else { return Ok(None) };
    if !sb.has(0, b"mpoolDev") || crc32c(sb.slice(0, 62)) != sb.le32(62) {
        return Ok(None);
    }
    Ok(Some(Content { uuid: uuid(sb.array(40)), label: label(sb.slice(8, 32)), ..Content::new("mpool") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    #[test]
    fn gfs_of_both_formats() {
        for (probe, formats) in [(gfs as fn(&dyn ReadAt) -> Probed, [1309_u32, 1401]), (gfs2, [1801, 1900])] {
            let formats = formats.map(u32::to_be_bytes).concat();
            let at = 65536;
            let parts: &[(u64, &[u8])] =
                &[(at, &[1, 0x16, 0x19, 0x70]), (at + 24, &formats), (at + 160, b"cluster:fs"), (at + 256, &id::<16>())];
            let found = matches(probe, 32 * MIB, parts, &[at, at + 24, at + 31]);
            assert_eq!((found.uuid.as_deref(), found.label.as_deref()), (Some(ID), Some("cluster:fs")));
            assert_eq!(probe(&disk(32 * MIB - 1, parts)).unwrap(), None);
        }
    }

    #[test]
    fn ocfs2_at_each_block_size() {
        for at in [1024, 2048, 4096, 8192] {
            let parts: &[(u64, &[u8])] =
                &[(at, b"OCFSV2"), (at + 20, &[100]), (at + 252, &[12]), (at + 272, b"shared"), (at + 336, &id::<16>())];
            let found = matches(ocfs2, 16 * MIB, parts, &[at]);
            assert_eq!((found.uuid.as_deref(), found.label.as_deref()), (Some(ID), Some("shared")));
            assert_eq!(found.size, Some(409_600));
        }
    }

    #[test]
    fn magics() {
        assert_eq!(matches(oracleasm, 4096, &[(32, b"ORCLDISKVOL1")], &[32, 39]).label.as_deref(), Some("VOL1"));
        matches(vxfs, 16384, &[(1024, &[0xf5, 0xfc, 0x01, 0xa5, 7])], &[1024]);
        let found = matches(vxfs, 16384, &[(8192, &[0xa5, 0x01, 0xfc, 0xf5, 0, 0, 0, 7])], &[8192]);
        assert_eq!(found.version.as_deref(), Some("7"));
        let at = 2 * MIB;
        let found = matches(vmfs, 4 * MIB, &[(at, &[0x5e, 0xf1, 0xab, 0x2f]), (at + 9, &id::<16>()), (at + 29, b"store")], &[at]);
        assert_eq!(found.uuid.as_deref(), Some("14131211-18171615-1a19-1b1c1d1e1f20"));
        assert_eq!(found.label.as_deref(), Some("store"));
        let mut sb = [&b"mpoolDev"[..], b"name", &[0; 28], &id::<16>(), &[0; 6]].concat();
        sb.extend(crc32c(&sb).to_le_bytes());
        assert_eq!(matches(mpool, 4096, &[(0, &sb)], &[0, 20, 62]).uuid.as_deref(), Some(ID));
    }
}
