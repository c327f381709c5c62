//! Older file systems of Linux and of other Unixes.
//!
//! ReiserFS: `fs/reiserfs/reiserfs.h` of Linux up to 6.12. JFS: `fs/jfs/jfs_superblock.h`. UFS: `fs/ufs/ufs_fs.h`. minix:
//! `include/uapi/linux/minix_fs.h`. BFS: `include/uapi/linux/bfs_fs.h`. BeFS: `fs/befs/befs_fs_types.h`.

use crate::bytes::{KIB, MIB, ReadAt};
use crate::volume::block::{Block, power, sized};
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};

/// ReiserFS is never smaller.
const REISER_MIN: u64 = 128 * KIB;

/// `reiserfs`: at 64 KiB, or in its first form at 8 KiB.
pub(in crate::fs) fn reiserfs(bytes: &dyn ReadAt) -> Probed {
    const PLACES: [(u64, &[u8], &str); 4] =
        [(8 * KIB, b"ReIsErFs", "3.5"), (64 * KIB, b"ReIsEr2Fs", "3.6"), (64 * KIB, b"ReIsEr3Fs", "JR"), (64 * KIB, b"ReIsErFs", "3.5")];
    if bytes.size() < REISER_MIN {
        return Ok(None);
    }
    for (at, magic, version) in PLACES {
        let Some(sb) = Block::at(bytes, at, 204)?.filter(|sb| sb.has(52, magic)) else { continue };
        let block = u64::from(sb.le16(44));
        // A superblock behind the journal's start is a copy of one that lies in the journal.
        let Some(number) = (at / KIB).checked_div(block / 512) else { continue };
        if number > u64::from(sb.le32(12)) / 2 {
            continue;
        }
        let [blocks, free] = [0, 4].map(|field| u64::from(sb.le32(field)));
        // 3.5 had neither identity nor label.
        let named = version != "3.5";
        return Ok(Some(Content {
            uuid: uuid(sb.array(84)).filter(|_| named),
            label: label(sb.slice(100, 16)).filter(|_| named),
            size: sized(blocks, block),
            used: blocks.checked_sub(free).and_then(|used| sized(used, block)),
            // 1 is unmounted, 2 has errors or is in use.
            clean: Some(sb.le16(50) == 1),
            version: Some(version.to_owned()),
            ..Content::new("reiserfs")
        }));
    }
    Ok(None)
}

/// `reiser4`.
pub(in crate::fs) fn reiser4(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 64 * KIB, 60)?.filter(|_| bytes.size() >= REISER_MIN) else { return Ok(None) };
    if !sb.has(0, b"ReIsEr4") {
        return Ok(None);
    }
    let version = Some("4".to_owned());
    Ok(Some(Content { uuid: uuid(sb.array(20)), label: label(sb.slice(36, 16)), version, ..Content::new("reiser4") }))
}

/// `jfs`: IBM's journaled file system.
pub(in crate::fs) fn jfs(bytes: &dyn ReadAt) -> Probed {
    const MIN_SIZE: u64 = 16 * MIB;
    let Some(sb) = Block::at(bytes, 32 * KIB, 184)?.filter(|_| bytes.size() >= MIN_SIZE) else { return Ok(None) };
    let [block, sector] = [16, 24].map(|field| u64::from(sb.le32(field)));
    let [block_log, factor, sector_log] = [20, 22, 28].map(|field| u32::from(sb.le16(field)));
    let sizes = power(block_log) == Some(block) && power(sector_log) == Some(sector);
    if !sb.has(0, b"JFS1") || !sizes || block_log.checked_sub(sector_log) != Some(factor) {
        return Ok(None);
    }
    Ok(Some(Content {
        uuid: uuid(sb.array(136)),
        label: label(sb.slice(152, 16)),
        size: sized(sb.le64(8), sector),
        clean: Some(sb.le32(40) == 0),
        version: Some(sb.le32(4).to_string()),
        ..Content::new("jfs")
    }))
}

/// `ufs`: of BSD and Solaris, in four places and both byte orders.
pub(in crate::fs) fn ufs(bytes: &dyn ReadAt) -> Probed {
    const UFS2: u32 = 0x1954_0119;
    const MAGICS: [u32; 6] = [UFS2, 0x0001_1954, 0x0019_5612, 0x0009_5014, 0x0061_2195, 0x0523_1994];
    for at in [0, 8 * KIB, 64 * KIB, 256 * KIB] {
        let Some(sb) = Block::at(bytes, at, 1376)? else { break };
        let Some(big) = [false, true].into_iter().find(|big| MAGICS.contains(&sb.long(1372, *big))) else { continue };
        let second = sb.long(1372, big) == UFS2;
        let fragments = if second { sb.quad(1080, big) } else { u64::from(sb.long(36, big)) };
        let id = [144, 148].map(|field| sb.long(field, big));
        return Ok(Some(Content {
            uuid: (id != [0, 0]).then(|| format!("{:08x}{:08x}", id[0], id[1])),
            label: if second { label(sb.slice(680, 32)) } else { None },
            size: sized(fragments, u64::from(sb.long(52, big))),
            version: Some(if second { "2" } else { "1" }.to_owned()),
            ..Content::new("ufs")
        }));
    }
    Ok(None)
}

/// `minix`: two bytes of magic, so its tables have to be large enough for what it counts.
pub(in crate::fs) fn minix(bytes: &dyn ReadAt) -> Probed {
    const EXT_MAGIC: [u8; 2] = [0x53, 0xef];
    let Some(sb) = Block::at(bytes, KIB, 64)?.filter(|sb| !sb.has(0x38, &EXT_MAGIC)) else { return Ok(None) };
    for big in [false, true] {
        let version = match (sb.word(16, big), sb.word(24, big)) {
            (0x137f | 0x138f, _) => 1,
            (0x2468 | 0x2478, _) => 2,
            (_, 0x4d5a) => 3,
            _ => continue,
        };
        let third = version == 3;
        let at = if third { [6, 8, 10, 12] } else { [4, 6, 8, 10] };
        let [inode_map, zone_map, first, zone_log] = at.map(|field| u64::from(sb.word(field, big)));
        let inodes = if third { u64::from(sb.long(0, big)) } else { u64::from(sb.word(0, big)) };
        let zones = match version {
            1 => u64::from(sb.word(2, big)),
            _ => u64::from(sb.long(20, big)),
        };
        let block = if third { u64::from(sb.word(28, big)) } else { KIB };
        let bits = |blocks: u64| blocks.saturating_mul(block).saturating_mul(8);
        // Inode 0 and the zones before the first are not in the maps.
        let Some(data) = zones.checked_sub(first) else { continue };
        let mapped = bits(inode_map) > inodes && bits(zone_map) > data;
        // Boot block, superblock and maps precede the first zone; version 3 writes 0 when it has no room for the number.
        let behind_maps = first > inode_map.saturating_add(zone_map).saturating_add(1) || third && first == 0;
        let sound = inode_map > 0 && zone_map > 0 && inodes > 0 && mapped && behind_maps;
        // No other zone size than one block was ever made.
        if !sound || zone_log != 0 || !block.is_power_of_two() || !(KIB..=4 * KIB).contains(&block) {
            continue;
        }
        return Ok(Some(Content {
            size: sized(zones, block),
            // The third version keeps no state.
            clean: (!third).then(|| sb.word(18, big) & 3 == 1),
            version: Some(version.to_string()),
            ..Content::new("minix")
        }));
    }
    Ok(None)
}

/// `bfs`: the boot file system of UnixWare.
pub(in crate::fs) fn bfs(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 512)?.filter(|sb| sb.has(0, &[0xce, 0xfa, 0xad, 0x1b])) else { return Ok(None) };
    let [start, end] = [4, 8].map(|field| u64::from(sb.le32(field)));
    Ok((start < end).then(|| Content { size: end.checked_add(1), ..Content::new("bfs") }))
}

/// `befs`: of BeOS and Haiku. Its identity is an attribute of the root directory and is not looked for.
pub(in crate::fs) fn befs(bytes: &dyn ReadAt) -> Probed {
    const MAGICS: [(usize, u32); 4] = [(32, 0x4246_5331), (36, 0x4249_4745), (68, 0xdd12_1031), (112, 0x15b6_830e)];
    const MIN_SIZE: u64 = 1440 * KIB;
    if bytes.size() < MIN_SIZE {
        return Ok(None);
    }
    for at in [0, 512] {
        let Some(sb) = Block::at(bytes, at, 128)? else { break };
        let order = [false, true].into_iter().find(|big| MAGICS.iter().all(|(field, magic)| sb.long(*field, *big) == *magic));
        let Some(big) = order else { continue };
        let block = u64::from(sb.long(40, big));
        if !(10..=13).contains(&sb.long(44, big)) || power(sb.long(44, big)) != Some(block) {
            continue;
        }
        return Ok(Some(Content {
            label: label(sb.slice(0, 32)),
            size: sized(sb.quad(48, big), block),
            used: sized(sb.quad(56, big), block),
            version: Some(if big { "big-endian" } else { "little-endian" }.to_owned()),
            ..Content::new("befs")
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    #[test]
    fn reiser_in_its_forms() {
        for (at, magic, version) in [(8192, &b"ReIsErFs"[..], "3.5"), (65536, b"ReIsEr2Fs", "3.6"), (65536, b"ReIsEr3Fs", "JR")] {
            let parts: &[(u64, &[u8])] = &[
                (at, &[100, 0, 0, 0, 90]),
                (at + 12, &[18]),
                (at + 44, &[0, 16]),
                (at + 50, &[1]),
                (at + 52, magic),
                (at + 84, &id::<16>()),
            ];
            let found = matches(reiserfs, 1 << 20, parts, &[at + 52]);
            assert_eq!(found.uuid.as_deref(), (version != "3.5").then_some(ID));
            assert_eq!((found.size, found.used, found.clean), (Some(409_600), Some(40_960), Some(true)));
            assert_eq!(found.version.as_deref(), Some(version));
            let in_journal: &[(u64, &[u8])] = &[(at + 44, &[0, 2]), (at + 52, magic)];
            assert_eq!(reiserfs(&disk(1 << 20, in_journal)).unwrap(), None);
        }
        let found = matches(reiser4, 1 << 20, &[(65536, b"ReIsEr4"), (65556, &id::<16>())], &[65536]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
    }

    #[test]
    fn jfs_sizes_agree() {
        let at = 32768;
        let sizes = [0, 16, 0, 0, 12, 0, 3, 0, 0, 2, 0, 0, 9, 0];
        let parts: &[(u64, &[u8])] = &[(at, b"JFS1\x01\0\0\0\0\x10"), (at + 16, &sizes), (at + 136, &id::<16>()), (at + 152, b"aix")];
        let found = matches(jfs, 16 * MIB, parts, &[at, at + 16, at + 20, at + 22, at + 24, at + 28]);
        assert_eq!((found.uuid.as_deref(), found.label.as_deref()), (Some(ID), Some("aix")));
        assert_eq!((found.size, found.clean), (Some(2 * MIB), Some(true)));
    }

    #[test]
    fn ufs_in_both_orders() {
        for at in [0, 8192, 65536, 262_144] {
            let parts: &[(u64, &[u8])] = &[(at + 144, &id::<8>()), (at + 680, b"usr"), (at + 1372, &[0x19, 0x54, 0x01, 0x19])];
            let found = matches(ufs, 1 << 20, parts, &[at + 1372, at + 1375]);
            assert_eq!((found.uuid.as_deref(), found.label.as_deref()), (Some("1112131415161718"), Some("usr")));
            let parts: &[(u64, &[u8])] = &[(at + 1372, &[0x54, 0x19, 0x01, 0x00])];
            assert_eq!(matches(ufs, 1 << 20, parts, &[at + 1373]).version.as_deref(), Some("1"));
        }
    }

    #[test]
    fn minix_maps_are_large_enough() {
        // 32 inodes, 100 zones, one block for each map, first zone 5.
        let one: &[(u64, &[u8])] = &[(1024, &[32, 0, 100, 0, 1, 0, 1, 0, 5, 0]), (1040, &[0x7f, 0x13, 1])];
        let found = matches(minix, 1 << 20, one, &[1040, 1041]);
        assert_eq!((found.size, found.clean, found.version.as_deref()), (Some(102_400), Some(true), Some("1")));
        let big: &[(u64, &[u8])] = &[(1024, &[0, 32, 0, 100, 0, 1, 0, 1, 0, 5]), (1040, &[0x13, 0x8f])];
        matches(minix, 1 << 20, big, &[1041]);
        let no_maps: &[(u64, &[u8])] = &[(1024, &[32, 0, 100, 0]), (1040, &[0x7f, 0x13])];
        assert_eq!(minix(&disk(1 << 20, no_maps)).unwrap(), None);
        let three: &[(u64, &[u8])] =
            &[(1024, &[32, 0, 0, 0, 0, 0, 1, 0, 1, 0, 5, 0]), (1044, &[100]), (1048, &[0x5a, 0x4d]), (1052, &[0, 16])];
        assert_eq!(matches(minix, 1 << 20, three, &[1048]).size, Some(409_600));
    }

    #[test]
    fn bfs_and_befs() {
        matches(bfs, 4096, &[(0, &[0xce, 0xfa, 0xad, 0x1b, 1, 0, 0, 0, 9])], &[0, 3]);
        for (at, big) in [(0, false), (512, true)] {
            let mut sb = vec![0; 128];
            sb[..5].copy_from_slice(b"Haiku");
            for (field, value) in [(32, 0x4246_5331_u32), (36, 0x4249_4745), (68, 0xdd12_1031), (112, 0x15b6_830e), (40, 2048), (44, 11)] {
                sb[field..field + 4].copy_from_slice(&if big { value.to_be_bytes() } else { value.to_le_bytes() });
            }
            let found = matches(befs, 2 * MIB, &[(at, &sb)], &[at + 32, at + 36, at + 68, at + 112, at + 40, at + 44]);
            assert_eq!(found.label.as_deref(), Some("Haiku"));
        }
    }
}
