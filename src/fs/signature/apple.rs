//! HFS, HFS Plus and APFS.
//!
//! Technical Note TN1150 "HFS Plus Volume Format"; "Inside Macintosh: Files", chapter 2; "Apple File System Reference".
//! libblkid derives the identity of HFS with MD5 and finds the label of HFS Plus in the catalog; neither is done here, for no
//! Azure machine starts from these.

use crate::bytes::{KIB, ReadAt};
use crate::volume::block::{Block, sized};
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};

/// `kHFSVolumeUnmountedBit` and, in HFS, the same bit of `drAtrb`.
const UNMOUNTED: u32 = 0x100;

/// `hfsplus`, alone or embedded in an HFS wrapper.
pub(in crate::fs) fn hfsplus(bytes: &dyn ReadAt) -> Probed {
    let Some(outer) = Block::at(bytes, KIB, 512)? else { return Ok(None) };
    let header = if is_plus(&outer, 0) {
        Some(outer)
    } else if outer.has(0, b"BD") && is_plus(&outer, 124) {
        let first = u64::from(outer.be16(28)).saturating_mul(512);
        let inner = u64::from(outer.be16(126)).saturating_mul(u64::from(outer.be32(20)));
        Block::at(bytes, first.saturating_add(inner).saturating_add(KIB), 512)?.filter(|header| is_plus(header, 0))
    } else {
        None
    };
    // Block sizes are powers of two from one sector on.
    let Some(header) = header.filter(|header| header.be32(40).is_power_of_two() && header.be32(40) >= 512) else {
        return Ok(None);
    };
    let [block, blocks, free] = [40, 44, 48].map(|field| u64::from(header.be32(field)));
    Ok(Some(Content {
        size: sized(blocks, block),
        used: blocks.checked_sub(free).and_then(|used| sized(used, block)),
        clean: Some(header.be32(4) & UNMOUNTED != 0),
        version: Some(header.be16(2).to_string()),
        ..Content::new("hfsplus")
    }))
}

fn is_plus(block: &Block, at: usize) -> bool {
    block.has(at, b"H+") || block.has(at, b"HX")
}

/// `hfs`.
pub(in crate::fs) fn hfs(bytes: &dyn ReadAt) -> Probed {
    let Some(mdb) = Block::at(bytes, KIB, 512)? else { return Ok(None) };
    let (block, length) = (mdb.be32(20), usize::from(mdb.u8(36)));
    // Two letters are little: allocation blocks are whole sectors, and a name has 1 to 27 bytes.
    let sound = block >= 512 && block.is_multiple_of(512) && (1..=27).contains(&length);
    if !mdb.has(0, b"BD") || is_plus(&mdb, 124) || !sound {
        return Ok(None);
    }
    let [blocks, free] = [18, 34].map(|field| u64::from(mdb.be16(field)));
    Ok(Some(Content {
        label: label(mdb.slice(37, length)),
        size: sized(blocks, u64::from(block)),
        used: blocks.checked_sub(free).and_then(|used| sized(used, u64::from(block))),
        clean: Some(u32::from(mdb.be16(10)) & UNMOUNTED != 0),
        ..Content::new("hfs")
    }))
}

/// `apfs`: a container.
pub(in crate::fs) fn apfs(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 4096)? else { return Ok(None) };
    // Object type 1, no subtype, padding, and the block size that every container has had so far.
    let object = sb.le16(24) == 1 && sb.le16(28) == 0 && sb.le16(30) == 0;
    if !sb.has(32, b"NXSB") || !object || sb.le32(36) != 4096 {
        return Ok(None);
    }
    Ok(Some(Content { uuid: uuid(sb.array(72)), size: sized(sb.le64(40), 4096), ..Content::new("apfs") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    fn plus() -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(&[b'H', b'+', 0, 4, 0, 0, 1, 0]);
        for (field, value) in [(40, 4096_u32), (44, 100), (48, 90)] {
            header[field..field + 4].copy_from_slice(&value.to_be_bytes());
        }
        header
    }

    #[test]
    fn hfs_plus_bare_and_wrapped() {
        let found = matches(hfsplus, 1 << 20, &[(1024, &plus())], &[1024, 1025]);
        assert_eq!((found.size, found.used, found.clean), (Some(409_600), Some(40_960), Some(true)));
        let mut wrapper = vec![0; 512];
        wrapper[..2].copy_from_slice(b"BD");
        wrapper[22] = 2;
        wrapper[29] = 8;
        wrapper[36] = 4;
        wrapper[37..41].copy_from_slice(b"Disk");
        let alone = disk(1 << 20, &[(1024, &wrapper)]);
        assert_eq!(hfs(&alone).unwrap().unwrap().label.as_deref(), Some("Disk"));
        assert_eq!(hfsplus(&alone).unwrap(), None);
        wrapper[124..128].copy_from_slice(&[b'H', b'+', 0, 16]);
        let inner = 8 * 512 + 16 * 512 + 1024;
        let parts: &[(u64, &[u8])] = &[(1024, &wrapper), (inner, &plus())];
        matches(hfsplus, 1 << 20, parts, &[1024, 1024 + 124, inner]);
        assert_eq!(hfs(&disk(1 << 20, parts)).unwrap(), None);
    }

    #[test]
    fn apfs_container() {
        let parts: &[(u64, &[u8])] = &[(24, &[1]), (32, b"NXSB"), (37, &[0x10]), (40, &[100]), (72, &id::<16>())];
        let found = matches(apfs, 1 << 20, parts, &[24, 28, 30, 32, 35, 37]);
        assert_eq!((found.uuid.as_deref(), found.size), (Some(ID), Some(409_600)));
    }
}
