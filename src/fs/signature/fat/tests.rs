//! FAT and exFAT from literals.

use super::*;
use crate::volume::testing::{disk, matches};

const SIZE: u64 = 40 << 20;

/// A boot sector of `sectors` sectors in clusters of `per_cluster`, with one FAT of `fat` sectors and `root` entries.
fn boot(sectors: u32, per_cluster: u8, fat: u16, root: u16) -> Vec<u8> {
    let mut boot = vec![0; 512];
    boot[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
    boot[0xb..0xe].copy_from_slice(&[0, 2, per_cluster]);
    boot[0xe..0x11].copy_from_slice(&[1, 0, 1]);
    boot[0x11..0x13].copy_from_slice(&root.to_le_bytes());
    boot[0x15] = 0xf8;
    boot[0x16..0x18].copy_from_slice(&fat.to_le_bytes());
    boot[0x20..0x24].copy_from_slice(&sectors.to_le_bytes());
    boot[0x27..0x2b].copy_from_slice(&[0x01, 0x00, 0xe5, 0xa0]);
    boot[0x2b..0x36].copy_from_slice(b"BOOTLABEL  ");
    boot[0x1fe..].copy_from_slice(&[0x55, 0xaa]);
    boot
}

fn fat32() -> Vec<u8> {
    let mut boot = boot(80_000, 1, 0, 0);
    boot[0xe] = 32;
    boot[0x24..0x28].copy_from_slice(&640_u32.to_le_bytes());
    boot[0x27] = 0;
    boot[0x2b..0x36].fill(0);
    boot[0x2c] = 2;
    boot[0x30] = 1;
    boot[0x43..0x47].copy_from_slice(&[0x44, 0x33, 0x22, 0x11]);
    boot[0x47..0x52].copy_from_slice(NO_NAME);
    boot[0x52..0x5a].copy_from_slice(b"FAT32   ");
    boot
}

/// A directory entry.
fn entry(name: &[u8; 11], attributes: u8, cluster: u8) -> Vec<u8> {
    let mut entry = vec![0; 32];
    entry[..11].copy_from_slice(name);
    entry[11] = attributes;
    entry[26] = cluster;
    entry
}

#[test]
fn fat12_and_16() {
    let sector = boot(2000, 1, 6, 16);
    // Sector size, medium, and the mark at the end, for this sector names no FAT.
    let found = matches(vfat, SIZE, &[(0, &sector)], &[0xc, 0x15, 0x1fe, 0x1ff]);
    assert_eq!(found.version.as_deref(), Some("FAT12"));
    assert_eq!(found.uuid.as_deref(), Some("A0E5-0001"));
    assert_eq!(found.label.as_deref(), Some("BOOTLABEL"));
    assert_eq!((found.size, found.clean), (Some(1_024_000), None));

    let sector = boot(20_000, 1, 80, 512);
    let found = matches(vfat, SIZE, &[(0, &sector), (512, &[0xf8, 0xff, 0xff, 0xff])], &[]);
    assert_eq!((found.version.as_deref(), found.clean), (Some("FAT16"), Some(true)));
    let found = matches(vfat, SIZE, &[(0, &sector), (512, &[0xf8, 0xff, 0xff, 0x7f])], &[]);
    assert_eq!(found.clean, Some(false));
    let found = matches(vfat, SIZE, &[(0, &sector), (512, &[0xf8, 0xff, 0xff, 0xff]), (0x25, &[1])], &[]);
    assert_eq!(found.clean, Some(false), "marked by Linux");

    for (field, value) in [(0xe, 0), (0x10, 0), (0x15, 0xf1), (0xb, 1), (0xd, 3), (0xd, 0), (0x16, 0)] {
        let mut broken = sector.clone();
        broken[field] = value;
        assert_eq!(vfat(&disk(SIZE, &[(0, &broken)])).unwrap(), None, "{value} at {field}");
    }
    let few = boot(100, 1, 100, 16);
    assert_eq!(vfat(&disk(SIZE, &[(0, &few)])).unwrap(), None, "the FAT is larger than the volume");
    assert_eq!(vfat(&disk(SIZE, &[(0, &sector), (0x36, b"HPFS    ")])).unwrap(), None);
}

#[test]
fn the_label_in_the_root_directory_wins() {
    let sector = boot(2000, 1, 6, 16);
    let root: Vec<u8> =
        [entry(b"\xe5LDLABEL   ", 8, 0), entry(b"longname...", 0xf, 0), entry(b"DIRECTORY  ", 0x18, 0), entry(b"DATA       ", 8, 0)]
            .concat();
    let found = matches(vfat, SIZE, &[(0, &sector), (7 * 512, &root)], &[]);
    assert_eq!(found.label.as_deref(), Some("DATA"));
    let none = [entry(b"FILE    TXT", 0x20, 2), entry(b"\0          ", 0, 0), entry(b"HIDDEN     ", 8, 0)].concat();
    let found = matches(vfat, SIZE, &[(0, &sector), (7 * 512, &none)], &[]);
    assert_eq!(found.label.as_deref(), Some("BOOTLABEL"));
}

#[test]
fn fat32_follows_the_root_directory() {
    let sector = fat32();
    let mut counts = vec![0; 512];
    counts[..4].copy_from_slice(b"RRaA");
    counts[484..488].copy_from_slice(b"rrAa");
    counts[488..492].copy_from_slice(&79_000_u32.to_le_bytes());
    let data = (32 + 640) * 512;
    let full = entry(b"FILE    TXT", 0x20, 9).repeat(16);
    let label = entry(b"ROOT LABEL ", 8, 0);
    // Cluster 2 goes on in cluster 5.
    let table = [0x0fff_fff8_u32, 0x0fff_ffff, 5, 0, 0, 0x0fff_ffff].map(u32::to_le_bytes).concat();
    let parts: &[(u64, &[u8])] = &[(0, &sector), (512, &counts), (32 * 512, &table), (data, &full), (data + 3 * 512, &label)];
    let found = matches(vfat, SIZE, parts, &[0x15, 512]);
    assert_eq!(found.label.as_deref(), Some("ROOT LABEL"));
    assert_eq!(found.uuid.as_deref(), Some("1122-3344"));
    assert_eq!((found.version.as_deref(), found.clean), (Some("FAT32"), Some(true)));
    assert_eq!(found.used, Some((80_000 - 672 - 79_000) * 512));

    // A chain that bites its tail ends.
    let table = [0x0fff_fff8_u32, 0x07ff_ffff, 2].map(u32::to_le_bytes).concat();
    let parts: &[(u64, &[u8])] = &[(0, &sector), (512, &counts), (32 * 512, &table), (data, &full)];
    let found = matches(vfat, SIZE, parts, &[]);
    assert_eq!((found.label, found.clean), (None, Some(false)));
}

#[test]
fn exfat_with_label_and_checksum() {
    let mut region = vec![0; 12 * 512];
    region[..11].copy_from_slice(b"\xeb\x76\x90EXFAT   ");
    for (field, value) in [(72, 65_536_u32), (80, 24), (84, 8), (88, 32), (92, 8000), (96, 2), (100, 0xa0e5_0001)] {
        region[field..field + 4].copy_from_slice(&value.to_le_bytes());
    }
    region[105] = 1;
    region[108..111].copy_from_slice(&[9, 3, 1]);
    region[510..512].copy_from_slice(&[0x55, 0xaa]);
    let sum = region.iter().take(11 * 512).enumerate().fold(0_u32, |sum, (place, byte)| match place {
        106 | 107 | 112 => sum,
        _ => (if sum & 1 == 1 { 0x8000_0000 } else { 0_u32 }).wrapping_add(sum >> 1).wrapping_add(u32::from(*byte)),
    });
    region[11 * 512..].copy_from_slice(&sum.to_le_bytes().repeat(128));
    let label = [&[0x83, 3][..], b"U\0S\0B\0junk"].concat();
    let parts: &[(u64, &[u8])] = &[(0, &region), (32 * 512, &label)];
    let found = matches(exfat, SIZE, parts, &[0, 3, 11, 63, 510]);
    assert_eq!(found.uuid.as_deref(), Some("A0E5-0001"));
    assert_eq!(found.label.as_deref(), Some("USB"));
    assert_eq!((found.size, found.clean, found.version.as_deref()), (Some(32 << 20), Some(true), Some("1.0")));
    assert!(found.detail.is_empty());
    let dirty: &[(u64, &[u8])] = &[(0, &region), (32 * 512, &label), (106, &[2]), (300, &[1])];
    let found = matches(exfat, SIZE, dirty, &[]);
    assert_eq!((found.clean, found.detail), (Some(false), vec!["boot region checksum is wrong".to_owned()]));
    assert_eq!(vfat(&disk(SIZE, parts)).unwrap(), None);
}
