//! The registries as a whole: order, names, ambiguity, and any bytes at all.

use super::*;
use crate::bytes::{Bytes, Memory, Overlay, Zeros};
use crate::volume::testing::{disk, id};
use std::collections::BTreeSet;
use std::sync::Arc;

#[test]
fn names_are_unique() {
    let names: Vec<_> = VOLUMES.iter().chain(FILE_SYSTEMS).map(|format| format.name).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert!(EXPENSIVE.iter().all(|name| names.contains(name)));
}

#[test]
fn zeros_and_nothing_hold_nothing() {
    for size in [0, 1, 511, 512, 1024, 1025, 4096, 65_536, 1 << 20, 64 << 20, 300 << 30, u64::MAX] {
        assert_eq!(identify(&Zeros(size)).unwrap(), None, "{size} zeros");
    }
}

#[test]
fn the_first_wins_and_the_others_are_named() {
    let swap: &[(u64, &[u8])] = &[(1024, &[1, 0, 0, 0, 9]), (4086, b"SWAPSPACE2"), (65536 + 64, b"_BHRfS_M"), (0x8001, b"CD001")];
    let found = identify(&disk(1 << 20, swap)).unwrap().unwrap();
    assert_eq!(found.kind, "swap");
    assert_eq!(found.detail, ["also carries a signature of iso9660", "also carries a signature of btrfs"]);

    let sealed: &[(u64, &[u8])] = &[(0, b"LUKS\xba\xbe\0\x01"), (4086, b"SWAP-SPACE")];
    let found = identify(&disk(1 << 20, sealed)).unwrap().unwrap();
    assert_eq!(found.kind, "crypto_LUKS");
    assert_eq!(found.detail.last().unwrap(), "also carries a signature of swap");
}

#[test]
fn a_bitlocker_boot_sector_is_no_fat() {
    let block = [&b"-FVE-FS-"[..], &[0; 104]].concat();
    let mut boot = vec![0; 512];
    boot[..11].copy_from_slice(b"\xeb\x58\x90MSWIN4.1");
    boot[0xb..0x16].copy_from_slice(&[0, 2, 1, 32, 0, 2, 0, 0, 0, 0, 0xf8]);
    boot[0x20..0x24].copy_from_slice(&80_000_u32.to_le_bytes());
    boot[0x24..0x28].copy_from_slice(&640_u32.to_le_bytes());
    boot[0x52..0x5a].copy_from_slice(b"FAT32   ");
    let discovery: &[(u64, &[u8])] = &[(0, &boot)];
    assert_eq!(identify(&disk(40 << 20, discovery)).unwrap().unwrap().kind, "vfat");
    boot[442] = 1;
    let togo: &[(u64, &[u8])] = &[(0, &boot), (0x10000, &block)];
    let found = identify(&disk(40 << 20, togo)).unwrap().unwrap();
    assert_eq!(found.kind, "BitLocker");
    assert!(!found.detail.iter().any(|fact| fact.contains("vfat")), "{:?}", found.detail);
}

/// A reader that fails in one place, as a VHD with a damaged block does.
#[derive(Debug)]
struct Holed;

impl ReadAt for Holed {
    fn size(&self) -> u64 {
        1 << 20
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        buf.fill(0);
        if offset < 4096 { Ok(()) } else { Err(ReadError::Unsupported("a block".into())) }
    }
}

#[test]
fn what_cannot_be_read_is_not_absent() {
    assert!(identify(&Holed).is_err());
}

/// A generator of numbers that are the same in every run: xorshift64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

#[test]
fn noise_is_nothing_and_never_panics() {
    let mut numbers = Numbers(0x5eed);
    let mut recognised = 0;
    for _ in 0..100_000 {
        let len = usize::try_from(numbers.below(1200)).unwrap() + 900;
        if identify(&Memory(numbers.bytes(len))).unwrap().is_some() {
            recognised += 1;
        }
    }
    // Two random bytes may make a FAT or a minix; nothing with a real magic comes out of noise.
    assert!(recognised <= 2, "{recognised} of 100000");
}

/// Superblocks with their magics right and everything else open to change.
const SEEDS: &[&[(u64, &[u8])]] = &[
    &[(0, b"\xeb\x58\x90mkfs.fat\0\x02\x01\x20\0\x02\0\0\0\0\xf8\0\0"), (0x52, b"FAT32   "), (510, b"\x55\xaa"), (33, &[99])],
    &[(3, b"NTFS    \0\x02\x08"), (48, &[1]), (41, &[9]), (64, &[0xf6]), (4096, b"FILE"), (4096 + 3072, b"FILE")],
    &[(0, b"\xeb\x76\x90EXFAT   "), (88, &[4]), (96, &[2]), (108, &[9, 3]), (510, b"\x55\xaa")],
    &[(0, b"XFSB\0\0\x10\0"), (101, &[5, 2, 0, 2, 0, 0, 8]), (120, &[12, 9, 9, 3])],
    &[(1024 + 0x38, &[0x53, 0xef, 1])],
    &[(1024, &[0x10, 0x20, 0xf5, 0xf2, 1, 0, 16])],
    &[(1024, &[0xe2, 0xe1, 0xf5, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, 12])],
    &[(1024, b"H+"), (1024 + 42, &[0x10])],
    &[(1024, b"BD"), (1024 + 22, &[2]), (1024 + 36, &[4]), (1024 + 124, b"H+")],
    &[(1024, &[32, 0, 100, 0, 1, 0, 1, 0, 5, 0]), (1040, &[0x7f, 0x13])],
    &[(1024, &[1, 0, 0, 0, 9]), (4086, b"SWAPSPACE2")],
    &[(0x8001, b"CD001"), (0x8801, b"\x02CD001"), (0x8858, b"%/E")],
    &[(0x8001, b"BEA01"), (0x8801, b"NSR02"), (131_072, &[2]), (131_072 + 13, &[1]), (131_072 + 16, &[0, 64, 0, 0, 0, 1])],
    &[(65536 + 64, b"_BHRfS_M")],
    &[(65536 + 52, b"ReIsEr2Fs"), (65536 + 44, &[0, 16]), (65536 + 12, &[18])],
    &[(4096, &[0xfc, 0x4e, 0x2b, 0xa9, 1]), (4096 + 144, &[8])],
    &[(512, b"LABELONE\x01"), (512 + 24, b"LVM2 001")],
    &[(0, b"LUKS\xba\xbe\0\x02")],
    &[(0, b"\xeb\x58\x90-FVE-FS-"), (176, &[0, 16]), (4096, b"-FVE-FS-"), (4160, &[0xff, 0xff])],
    &[(0, b"hsqs"), (28, &[4])],
    &[(0, b"BeOS"), (32, b"1SFB"), (36, b"EGIB"), (68, &[0x31, 0x10, 0x12, 0xdd]), (112, &[0x0e, 0x83, 0xb6, 0x15])],
    &[(32, b"NXSB")],
    &[(0x2000, &[0x49, 0xe8, 0x95, 0xf9]), (0x2200, &[0x49, 0x18, 0x91, 0xf9])],
];

#[test]
fn broken_superblocks_never_panic() {
    let mut numbers = Numbers(0xd15c);
    let disks: Vec<Bytes> = SEEDS.iter().map(|patches| disk(256 * 1024, patches)).collect();
    for round in 0..6_000 {
        let seed = &SEEDS[round % SEEDS.len()];
        let mut broken = disks[round % SEEDS.len()].clone();
        for _ in 0..=numbers.below(6) {
            let (near, bytes) = seed[usize::try_from(numbers.below(u64::try_from(seed.len()).unwrap())).unwrap()];
            let at = if bytes.len() < 512 { near.saturating_sub(near % 512) } else { near } + numbers.below(512);
            let value = match numbers.below(3) {
                0 => vec![0xff; 8],
                1 => vec![0; 4],
                _ => numbers.bytes(4),
            };
            let mut layer = Overlay::new(broken);
            layer.patch(at, value).unwrap();
            broken = Arc::new(layer);
        }
        let cut = if numbers.below(4) == 0 { numbers.below(256 * 1024) } else { 256 * 1024 };
        let cut: Bytes = Arc::new(Overlay::resized(broken, cut));
        drop(identify(&cut).unwrap());
    }
}

#[test]
fn ids_in_tests_are_no_magics() {
    assert_eq!(identify(&Memory([id::<16>(); 4096].concat())).unwrap(), None);
}
