//! A rebuilt disk reads without problems, holds the same partitions, and needs no second rebuilding.

use super::super::samples::{GptDisk, bytes, contents, entry, headers, kinds, put_mbr_entry, put32, put64, read, seal};
use super::super::{CannotRebuild, GptCopy, HeaderState, Patch, ProblemKind, rebuild, types};
use crate::bytes::{Overlay, ReadAt, int_usize, read_vec};

/// The disk of `size` bytes with the patches on it.
pub(crate) fn apply(disk: &[u8], size: u64, patches: &[Patch]) -> Vec<u8> {
    let mut overlay = Overlay::resized(bytes(disk), size);
    for patch in patches {
        overlay.patch(patch.offset, patch.bytes.clone()).unwrap();
    }
    read_vec(&overlay, 0, int_usize(overlay.size())).unwrap()
}

fn rebuilt(disk: &[u8], size: u64) -> Vec<u8> {
    let table = read(disk).unwrap();
    let patches = rebuild(&table, &bytes(disk), size).unwrap();
    let after = apply(disk, size, &patches);
    let again = read(&after).unwrap();
    assert_eq!(again.problems, [], "at {size} bytes");
    assert_eq!(contents(&again), contents(&table));
    assert!(rebuild(&again, &bytes(&after), size).unwrap().is_empty(), "a right disk needs nothing, at {size} bytes");
    after
}

fn refusal(disk: &[u8], size: u64) -> CannotRebuild {
    rebuild(&read(disk).unwrap(), &bytes(disk), size).unwrap_err()
}

#[test]
fn a_right_disk_needs_no_patch() {
    for (entry_count, entry_size) in [(128, 128), (4, 128), (1, 128), (64, 256), (130, 128), (1000, 512)] {
        let mut disk = GptDisk { entry_count, entry_size, ..GptDisk::default() };
        disk.entries.truncate(entry_count as usize);
        let disk = disk.build();
        let table = read(&disk).unwrap();
        assert_eq!(table.problems, [], "{entry_count} × {entry_size}");
        assert_eq!(rebuild(&table, &bytes(&disk), disk.len() as u64).unwrap(), []);
    }
}

#[test]
fn any_size_that_holds_the_partitions_will_do() {
    let disk = GptDisk::default().build();
    let smallest = 6144 + 33;
    for sectors in (smallest..smallest + 70).chain(8100..8300).chain([16384, 16385, 65536]) {
        rebuilt(&disk, sectors * 512);
    }
    for sectors in [smallest - 1, 6144, 2048, 67, 34, 3, 1] {
        assert!(rebuild(&read(&disk).unwrap(), &bytes(&disk), sectors * 512).is_err(), "{sectors}");
    }
    let CannotRebuild::PartitionOutside { number, start, end, .. } = refusal(&disk, (smallest - 1) * 512) else { panic!() };
    assert_eq!((number, start, end), (3, 4096, 6143));
}

#[test]
fn an_array_that_does_not_fill_its_sectors_is_moved_too() {
    for entry_count in [1, 2, 5, 127, 129] {
        let mut disk = GptDisk { entry_count, ..GptDisk::default() };
        disk.entries.truncate(1);
        let disk = disk.build();
        for sectors in 8188..8230 {
            rebuilt(&disk, sectors * 512);
        }
    }
}

#[test]
fn growing_leaves_no_header_behind() {
    let disk = GptDisk::default().build();
    let after = rebuilt(&disk, 16384 * 512);
    assert!(after[8191 * 512..8192 * 512].iter().all(|byte| *byte == 0));
    let found = after.windows(8).filter(|bytes| bytes == b"EFI PART").count();
    assert_eq!(found, 2);
}

#[test]
fn either_copy_restores_the_other() {
    let good = GptDisk::default().build();
    for (at, used) in headers(&good).into_iter().zip([GptCopy::Backup, GptCopy::Primary]) {
        let mut disk = good.clone();
        disk[at..at + 512].fill(0);
        assert_eq!(read(&disk).unwrap().gpt.unwrap().used, Some(used));
        assert_eq!(rebuilt(&disk, good.len() as u64), good);
        // And with its entries gone as well, and other bytes in their place.
        let mut disk = good.clone();
        let array = if at == 512 { 1024 } else { at - 32 * 512 };
        disk[array..array + 32 * 512].fill(0x5a);
        assert_eq!(rebuilt(&disk, good.len() as u64), good);
    }
}

#[test]
fn the_rest_of_sector_0_stays() {
    let mut disk = GptDisk::default().build();
    for (at, byte) in disk[..446].iter_mut().enumerate() {
        *byte = (at * 7) as u8;
    }
    let after = rebuilt(&disk, 16384 * 512);
    assert_eq!(after[..446 + 5], disk[..446 + 5]);
    assert_eq!(after[446 + 8..446 + 12], disk[446 + 8..446 + 12]);
    assert_eq!(after[446 + 16..512], disk[446 + 16..512]);
    assert_eq!(after[446 + 12..446 + 16], 16383_u32.to_le_bytes());
    // Cylinder 1, head 5, sector 4: LBA 16383 in the geometry with 255 heads and 63 sectors.
    assert_eq!(after[446 + 5..446 + 8], [5, 4, 1]);
}

#[test]
fn the_largest_size_in_the_protective_entry_is_left_alone() {
    let mut disk = GptDisk::default().build();
    put32(&mut disk, 446 + 12, u32::MAX);
    let after = rebuilt(&disk, 16384 * 512);
    assert_eq!(after[..512], disk[..512]);
}

#[test]
fn a_missing_protective_entry_is_made_where_nothing_lies() {
    let good = GptDisk::default().build();
    let mut disk = good.clone();
    disk[446..512].fill(0);
    let after = rebuilt(&disk, good.len() as u64);
    assert_eq!((after[450], &after[510..512]), (0xee, &[0x55, 0xaa][..]));
    let mut disk = good.clone();
    disk[446..512].fill(0x11);
    assert!(matches!(refusal(&disk, good.len() as u64), CannotRebuild::NoProtectiveMbr));
}

#[test]
fn a_hybrid_mbr_keeps_its_other_entries() {
    let mut disk = GptDisk::default().build();
    put_mbr_entry(&mut disk, 0, 0, 0xee, 1, 2047);
    put_mbr_entry(&mut disk, 0, 1, 0x0c, 2048, 2048);
    let table = read(&disk).unwrap();
    assert_eq!(kinds(&table), [ProblemKind::HybridMbr]);
    let patches = rebuild(&table, &bytes(&disk), 16384 * 512).unwrap();
    assert!(patches.iter().all(|patch| patch.offset >= 512));
    // A second protective entry behind the others reaches to the end.
    put_mbr_entry(&mut disk, 0, 2, 0xee, 4096, 4096);
    let table = read(&disk).unwrap();
    let after = apply(&disk, 16384 * 512, &rebuild(&table, &bytes(&disk), 16384 * 512).unwrap());
    assert_eq!(after[446..446 + 32], disk[446..446 + 32]);
    assert_eq!(after[446 + 32 + 12..446 + 48], (16384_u32 - 4096).to_le_bytes());
}

#[test]
fn entries_that_somebody_placed_elsewhere_stay_there() {
    // The primary entries at LBA 40, below the first partition, as on boards with firmware at LBA 2.
    let mut disk = GptDisk::default().build();
    let array = disk[1024..1024 + 32 * 512].to_vec();
    disk[1024..1024 + 32 * 512].fill(0xf1);
    disk[40 * 512..72 * 512].copy_from_slice(&array);
    put64(&mut disk, 512 + 72, 40);
    for at in headers(&disk) {
        put64(&mut disk, at + 40, 2048);
        seal(&mut disk, at, 512);
    }
    assert_eq!(read(&disk).unwrap().problems, []);
    let after = rebuilt(&disk, 16384 * 512);
    assert!(after[1024..34 * 512].iter().all(|byte| *byte == 0xf1));
    // The same when they are damaged: the header still tells the place.
    let mut damaged = disk.clone();
    damaged[40 * 512 + 60] ^= 1;
    assert_eq!(rebuilt(&damaged, disk.len() as u64), disk);
}

#[test]
fn bytes_behind_the_known_fields_stay() {
    let mut disk = GptDisk::default().build();
    for at in headers(&disk) {
        put32(&mut disk, at + 12, 128);
        disk[at + 100] = 7;
        seal(&mut disk, at, 512);
    }
    let after = rebuilt(&disk, 16384 * 512);
    assert_eq!((after[512 + 100], after[16383 * 512 + 100]), (7, 7));
}

#[test]
fn what_cannot_be_made_right_is_refused() {
    let good = GptDisk::default().build();
    let size = good.len() as u64;
    assert!(matches!(refusal(&good, size + 1), CannotRebuild::Unaligned(_)));
    assert!(matches!(refusal(&good, 512), CannotRebuild::TooSmall { .. }));
    assert!(matches!(refusal(&good, 0), CannotRebuild::TooSmall { .. }));
    let mut neither = good.clone();
    for at in headers(&good) {
        neither[at + 16] ^= 1;
    }
    assert!(matches!(refusal(&neither, size), CannotRebuild::NoValidCopy));
    let large = GptDisk { sectors: 1024, sector_size: 4096, entries: vec![], ..GptDisk::default() }.build();
    assert!(matches!(refusal(&large, size), CannotRebuild::SectorSize(4096)));
    let mbr = super::super::samples::mbr_disk();
    assert!(matches!(refusal(&mbr, size), CannotRebuild::NotGpt(_)));
    let reversed = GptDisk { entries: vec![Some(entry(1, types::ESP, 4000, 3000, ""))], ..GptDisk::default() }.build();
    assert!(matches!(refusal(&reversed, size), CannotRebuild::PartitionOutside { .. }));
}

#[test]
fn a_disk_that_was_cut_is_made_right_when_the_partitions_fit() {
    let disk = GptDisk::default().build();
    let cut = &disk[..7000 * 512];
    let table = read(cut).unwrap();
    assert!(matches!(table.gpt.as_ref().unwrap().backup, HeaderState::Absent));
    rebuilt(cut, 7000 * 512);
}
