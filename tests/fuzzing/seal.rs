//! Makes the checksums of file systems and hives right again after damage, so that the damage gets past the first gate.
//!
//! Written from the formats' documents, sharing no code with the readers. What it does not seal (leaves of ext4 directories, extents of
//! ext4 outside of inodes) is reached on file systems without checksums.

use super::{Image, SECTOR};
use crc32c::{crc32c, crc32c_append};

fn le(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A CRC-32C as ext4 keeps it: begun with a seed, not inverted at the end.
fn raw(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c_append(!seed, bytes)
}

/// Whatever stands in this partition.
pub fn partition(image: &mut Image, start: u64, size: u64) {
    ext4(image, start);
    xfs(image, start, size);
    btrfs(image, start, size);
    hives(image, start, size);
}

/// Superblock, group descriptors, bitmaps and inodes (`Documentation/filesystems/ext4/checksums.rst`).
fn ext4(image: &mut Image, start: u64) {
    let mut superblock = image.get(start + 1024, 1024);
    if le(&superblock, 56, 2) != 0xef53 || le(&superblock, 100, 4) & 0x400 == 0 {
        return;
    }
    let block = 1024_u64 << le(&superblock, 24, 4).min(6);
    let (per_group, inodes, inode_size) = (le(&superblock, 32, 4), le(&superblock, 40, 4), le(&superblock, 88, 2));
    let blocks = le(&superblock, 4, 4).min(1 << 20);
    let wide = le(&superblock, 96, 4) & 0x80 != 0;
    let descriptor = if wide { le(&superblock, 254, 2).clamp(32, 1024) } else { 32 };
    let seed = if le(&superblock, 96, 4) & 0x2000 == 0 { raw(!0, &superblock[104..120]) } else { le(&superblock, 0x270, 4) as u32 };
    let groups = blocks.div_ceil(per_group.max(1)).min(64);
    for group in 0..groups {
        let at = start + (le(&superblock, 20, 4) + 1) * block + group * descriptor;
        let mut bytes = image.get(at, descriptor as usize);
        let high = |bytes: &[u8], at: usize| if wide && bytes.len() >= 64 { le(bytes, at, 4) << 32 } else { 0 };
        for (map, sum, bits) in [(0, 0x18, per_group), (4, 0x1a, inodes)] {
            let place = start.saturating_add((le(&bytes, map, 4) | high(&bytes, 0x20 + map)).saturating_mul(block));
            if place < image.size {
                let value = raw(seed, &image.get(place, (bits / 8).min(block) as usize));
                bytes[sum..sum + 2].copy_from_slice(&value.to_le_bytes()[..2]);
                if wide && bytes.len() >= 64 {
                    bytes[sum + 0x20..sum + 0x22].copy_from_slice(&value.to_le_bytes()[2..]);
                }
            }
        }
        bytes[0x1e..0x20].fill(0);
        let value = raw(raw(seed, &(group as u32).to_le_bytes()), &bytes);
        bytes[0x1e..0x20].copy_from_slice(&value.to_le_bytes()[..2]);
        image.put(at, &bytes);
        let table = start.saturating_add((le(&bytes, 8, 4) | high(&bytes, 0x28)).saturating_mul(block));
        for index in 0..inodes.min(1 << 14) {
            let at = table.saturating_add(index * inode_size);
            if inode_size < 128 || at >= image.size || !image.sectors.contains_key(&(at / SECTOR)) {
                continue;
            }
            let mut inode = image.get(at, inode_size as usize);
            if inode.iter().all(|byte| *byte == 0) {
                continue;
            }
            let number = (group * inodes + index + 1) as u32;
            let more = inode_size > 128 && le(&inode, 128, 2) >= 4;
            inode[0x7c..0x7e].fill(0);
            if more {
                inode[0x82..0x84].fill(0);
            }
            let value = raw(raw(raw(seed, &number.to_le_bytes()), &inode[100..104]), &inode).to_le_bytes();
            inode[0x7c..0x7e].copy_from_slice(&value[..2]);
            if more {
                inode[0x82..0x84].copy_from_slice(&value[2..]);
            }
            image.put(at, &inode);
        }
    }
    let sum = raw(!0, &superblock[..1020]);
    superblock[1020..].copy_from_slice(&sum.to_le_bytes());
    image.put(start + 1024, &superblock);
}

/// Every block of version 5, known by its magic ("XFS Algorithms & Data Structures", 3rd edition, "Self Describing Metadata").
fn xfs(image: &mut Image, start: u64, size: u64) {
    let superblock = image.get(start, 512);
    if !superblock.starts_with(b"XFSB") {
        return;
    }
    let block = le(&superblock, 4, 4).swap_bytes() >> 32;
    let block = if [512, 1024, 2048, 4096].contains(&block) { block as usize } else { 4096 };
    let sectors: Vec<u64> = image.sectors.range(start / SECTOR..(start + size) / SECTOR).map(|(number, _)| number * SECTOR).collect();
    for at in sectors {
        let head = image.get(at, 16);
        let (len, place) = match &head[..4] {
            b"XFSB" => (512, 224),
            b"XAGF" => (512, 216),
            b"XAGI" => (512, 312),
            b"XAFL" => (512, 32),
            b"AB3B" | b"AB3C" | b"FIB3" | b"IAB3" | b"RMB3" | b"R3FC" => (block, 52),
            b"BMA3" => (block, 64),
            b"XDB3" | b"XDD3" | b"XDF3" => (block, 4),
            b"XSLM" | b"XARM" => (block, 12),
            [b'I', b'N', ..] => (512, 100),
            _ if matches!(head[8..10], [0x3d, 0xf1] | [0x3d, 0xff] | [0x3e, 0xbe] | [0x3b, 0xee]) => (block, 12),
            _ => continue,
        };
        let mut bytes = image.get(at, len);
        bytes[place..place + 4].fill(0);
        let sum = crc32c(&bytes);
        image.put(at + place as u64, &sum.to_le_bytes());
    }
}

/// Superblocks and tree blocks, known by the identity of the file system.
fn btrfs(image: &mut Image, start: u64, size: u64) {
    let superblock = image.get(start + 0x10000, 4096);
    if &superblock[64..72] != b"_BHRfS_M" {
        return;
    }
    for at in [0x10000, 0x400_0000] {
        let bytes = image.get(start + at, 4096);
        if &bytes[64..72] == b"_BHRfS_M" {
            image.put(start + at, &crc32c(&bytes[32..]).to_le_bytes());
        }
    }
    let node = 16_384;
    let sectors: Vec<u64> = image.sectors.range(start / SECTOR..(start + size) / SECTOR).map(|(number, _)| number * SECTOR).collect();
    for at in sectors.into_iter().filter(|at| (at - start).is_multiple_of(4096)) {
        if image.get(at + 32, 16) == superblock[32..48] && image.get(at + 64, 8) != b"_BHRfS_M" {
            let bytes = image.get(at, node);
            image.put(at, &crc32c(&bytes[32..]).to_le_bytes());
        }
    }
}

/// The headers of registry hives, wherever they lie.
fn hives(image: &mut Image, start: u64, size: u64) {
    let sectors: Vec<u64> = image.sectors.range(start / SECTOR..(start + size) / SECTOR).map(|(number, _)| number * SECTOR).collect();
    for at in sectors {
        let header = image.get(at, 512);
        if header.starts_with(b"regf") {
            let sum = (0..127).fold(0_u32, |sum, word| sum ^ le(&header, word * 4, 4) as u32);
            let sum = match sum {
                0 => 1,
                u32::MAX => u32::MAX - 1,
                other => other,
            };
            image.put(at + 508, &sum.to_le_bytes());
        }
    }
}
