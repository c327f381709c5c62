//! File systems that are written once.
//!
//! SquashFS: `Documentation/filesystems/squashfs.rst`. EROFS: `fs/erofs/erofs_fs.h`. cramfs: `include/uapi/linux/cramfs_fs.h`.
//! romfs: `Documentation/filesystems/romfs.rst`. All of the Linux kernel.

use crate::bytes::{KIB, ReadAt, int_usize};
use crate::volume::block::{Block, power, sized};
use crate::volume::checksum::crc32c_le;
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};

/// `squashfs`: version 4 and later, always little-endian.
pub(in crate::fs) fn squashfs(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 96)?.filter(|sb| sb.has(0, b"hsqs")) else { return Ok(None) };
    let version = [28, 30].map(|field| sb.le16(field));
    Ok((version[0] >= 4).then(|| Content {
        size: Some(sb.le64(40)),
        version: Some(format!("{}.{}", version[0], version[1])),
        ..Content::new("squashfs")
    }))
}

/// `squashfs3`: before version 4, in either byte order.
pub(in crate::fs) fn squashfs3(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 96)? else { return Ok(None) };
    let big = sb.has(0, b"sqsh");
    let version = [28, 30].map(|field| sb.word(field, big));
    let found = (big || sb.has(0, b"hsqs")) && version[0] <= 3;
    Ok(found.then(|| Content { version: Some(format!("{}.{}", version[0], version[1])), ..Content::new("squashfs3") }))
}

/// `erofs`.
pub(in crate::fs) fn erofs(bytes: &dyn ReadAt) -> Probed {
    const CHECKSUM: u32 = 1;
    let Some(sb) = Block::at(bytes, KIB, 128)?.filter(|sb| sb.has(0, &[0xe2, 0xe1, 0xf5, 0xe0])) else { return Ok(None) };
    // Blocks are as large as pages can be: 512 bytes to 64 KiB.
    let Some(block) = power(u32::from(sb.u8(12))).filter(|block| (512..=65536).contains(block)) else { return Ok(None) };
    let mut detail = Vec::new();
    if sb.le32(8) & CHECKSUM != 0 {
        // Covers the rest of the superblock's block, or 64 KiB at most; with its own field blank and not inverted.
        let covered = Block::at(bytes, KIB, int_usize(block.max(2 * KIB).saturating_sub(KIB)))?;
        if covered.is_none_or(|covered| crc32c_le(u32::MAX, covered.blanked(4, 4).as_slice()) != sb.le32(4)) {
            detail.push("superblock checksum is wrong".to_owned());
        }
    }
    Ok(Some(Content {
        uuid: uuid(sb.array(48)),
        label: label(sb.slice(64, 16)),
        size: sized(u64::from(sb.le32(36)), block),
        detail,
        ..Content::new("erofs")
    }))
}

/// `cramfs`, in either byte order.
pub(in crate::fs) fn cramfs(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 64)? else { return Ok(None) };
    let big = sb.has(0, &[0x28, 0xcd, 0x3d, 0x45]);
    // libblkid is content with the four bytes; the signature behind them is always written.
    if !big && !sb.has(0, &[0x45, 0x3d, 0xcd, 0x28]) || !sb.has(16, b"Compressed ROMFS") {
        return Ok(None);
    }
    Ok(Some(Content {
        label: label(sb.slice(48, 16)),
        size: Some(u64::from(sb.long(4, big))),
        version: Some(if sb.long(8, big) & 1 == 1 { "2" } else { "1" }.to_owned()),
        ..Content::new("cramfs")
    }))
}

/// `romfs`.
pub(in crate::fs) fn romfs(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 32)?.filter(|sb| sb.has(0, b"-rom1fs-")) else { return Ok(None) };
    Ok(Some(Content { label: label(sb.slice(16, 16)), size: Some(u64::from(sb.be32(8))), ..Content::new("romfs") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    #[test]
    fn squashfs_by_version() {
        let four: &[(u64, &[u8])] = &[(0, b"hsqs"), (28, &[4]), (40, &[0, 16])];
        let found = matches(squashfs, 8192, four, &[0, 3]);
        assert_eq!((found.size, found.version.as_deref()), (Some(4096), Some("4.0")));
        assert_eq!(squashfs3(&disk(8192, four)).unwrap(), None);
        let three: &[(u64, &[u8])] = &[(0, b"sqsh"), (28, &[0, 3, 0, 1])];
        assert_eq!(matches(squashfs3, 8192, three, &[0]).version.as_deref(), Some("3.1"));
        assert_eq!(squashfs(&disk(8192, three)).unwrap(), None);
    }

    #[test]
    fn erofs_superblock() {
        let parts: &[(u64, &[u8])] = &[
            (1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
            (1024 + 8, &[1]),
            (1024 + 12, &[12]),
            (1024 + 36, &[2]),
            (1024 + 48, &id::<16>()),
            (1024 + 64, b"img"),
        ];
        let found = matches(erofs, 8192, parts, &[1024, 1024 + 12]);
        assert_eq!((found.uuid.as_deref(), found.label.as_deref(), found.size), (Some(ID), Some("img"), Some(8192)));
        assert_eq!(found.detail, ["superblock checksum is wrong"]);
    }

    #[test]
    fn cramfs_and_romfs() {
        for magic in [[0x45, 0x3d, 0xcd, 0x28], [0x28, 0xcd, 0x3d, 0x45]] {
            let parts: &[(u64, &[u8])] = &[(0, &magic), (16, b"Compressed ROMFS"), (48, b"initrd")];
            assert_eq!(matches(cramfs, 4096, parts, &[0, 16, 31]).label.as_deref(), Some("initrd"));
        }
        let parts: &[(u64, &[u8])] = &[(0, b"-rom1fs-\0\0\x10\0"), (16, b"rom")];
        let found = matches(romfs, 4096, parts, &[0, 7]);
        assert_eq!((found.label.as_deref(), found.size), (Some("rom"), Some(4096)));
    }
}
