//! One good disk; one thing is broken, and one named problem is found.

use super::super::ProblemKind as Kind;
use super::super::samples::{fat32_boot_sector, grub_sector, kinds, mbr_disk, put_mbr_entry, put32, read};
use super::super::{Loader, PartitionTable, Scheme};
use super::*;

const EBR: usize = 2000 * 512;

fn changed(change: impl Fn(&mut Vec<u8>)) -> PartitionTable {
    let mut disk = mbr_disk();
    change(&mut disk);
    read(&disk).unwrap()
}

fn problems(change: impl Fn(&mut Vec<u8>)) -> Vec<Kind> {
    kinds(&changed(change))
}

#[test]
fn a_good_disk_has_no_problems() {
    let table = changed(|_| ());
    assert_eq!(table.problems, []);
    assert_eq!((table.scheme, table.sector_size, &table.gpt), (Scheme::Mbr, 512, &None));
    let mbr = table.mbr.as_ref().unwrap();
    assert_eq!((mbr.disk_signature, mbr.usage(), mbr.boot_code.loader), (0xb0b0_b0b0, MbrUse::Legacy, Loader::None));
    let found: Vec<_> =
        table.partitions.iter().map(|p| (p.number, p.start / 512, p.size / 512, p.kind.to_string(), p.role, p.bootable)).collect();
    let row = |number, start, size, kind: &str, role, bootable| (number, start, size, kind.to_owned(), role, bootable);
    assert_eq!(
        found,
        [
            row(1, 63, 937, "07", Role::Primary, true),
            row(2, 1000, 1000, "83", Role::Primary, false),
            row(4, 2000, 4000, "05", Role::Extended, false),
            row(5, 2008, 992, "83", Role::Logical, false),
            row(6, 3008, 992, "82", Role::Logical, false),
        ]
    );
    assert_eq!(table.partitions[4].at, 3000 * 512 + 446);
}

#[test]
fn each_defect_of_an_entry_has_its_name_and_place() {
    let table = changed(|disk| disk[446 + 16] = 0x01);
    assert_eq!((kinds(&table), table.problems[0].at), (vec![Kind::BootIndicator], 446 + 16));
    let table = changed(|disk| put32(disk, 446 + 16 + 12, 0));
    assert_eq!((kinds(&table), table.problems[0].at), (vec![Kind::ZeroSize], 446 + 16 + 12));
    assert_eq!(table.partitions.len(), 4);
    assert_eq!(problems(|disk| disk[446 + 16 + 4] = 0), [Kind::ZeroType]);
    assert_eq!(problems(|disk| put32(disk, 446 + 16 + 8, 999)), [Kind::Overlap]);
    assert_eq!(problems(|disk| put32(disk, 446 + 8, 0)), [Kind::Overlap]);
    assert_eq!(problems(|disk| put_mbr_entry(disk, 0, 2, 0x83, 6000, 2193)), [Kind::PastEnd]);
    assert_eq!(problems(|disk| put_mbr_entry(disk, 0, 2, 0x83, u32::MAX, u32::MAX)), [Kind::PastEnd]);
    assert_eq!(problems(|disk| put_mbr_entry(disk, 0, 2, 0x0f, 6000, 100)), [Kind::SeveralExtended, Kind::ExtendedSignature]);
}

#[test]
fn each_defect_of_a_chain_has_its_name() {
    assert_eq!(problems(|disk| disk[EBR + 510] = 0), [Kind::ExtendedSignature]);
    assert_eq!(problems(|disk| put32(disk, EBR + 446 + 16 + 8, 0)), [Kind::ExtendedLoop]);
    assert_eq!(problems(|disk| put_mbr_entry(disk, 3000 * 512, 1, 0x05, 1000, 1000)), [Kind::ExtendedLoop]);
    assert_eq!(problems(|disk| put32(disk, EBR + 446 + 16 + 8, 1_000_000)), [Kind::ExtendedLink, Kind::ExtendedLink]);
    assert_eq!(problems(|disk| put32(disk, EBR + 446 + 12, 5000)), [Kind::LogicalOutside, Kind::Overlap, Kind::Overlap]);
    assert_eq!(problems(|disk| put_mbr_entry(disk, EBR, 2, 0x83, 10, 10)), [Kind::ExtendedEntry]);
    assert_eq!(problems(|disk| put_mbr_entry(disk, 3000 * 512, 0, 0x82, 0, 900)), [Kind::Overlap]);
    assert_eq!(problems(|disk| disk[EBR + 446] = 0x33), [Kind::BootIndicator]);
}

#[test]
fn a_chain_is_followed_through_empty_records() {
    let table = changed(|disk| put_mbr_entry(disk, EBR, 0, 0, 0, 0));
    assert_eq!(table.problems, []);
    assert_eq!(table.partitions.last().map(|p| (p.number, p.start)), Some((5, 3008 * 512)));
}

#[test]
fn a_long_chain_is_cut() {
    let mut disk = vec![0; 8192 * 512];
    put_mbr_entry(&mut disk, 0, 0, 0x0f, 2000, 6000);
    for index in 0..2000 {
        put_mbr_entry(&mut disk, EBR + index * 1024, 0, 0x83, 1, 1);
        put_mbr_entry(&mut disk, EBR + index * 1024, 1, 0x05, (index as u32 + 1) * 2, 2);
    }
    let table = read(&disk).unwrap();
    assert_eq!(kinds(&table), [Kind::ExtendedTooLong]);
    assert_eq!(table.partitions.len(), 1025);
}

#[test]
fn an_initialised_disk_has_an_empty_table() {
    let mut disk = vec![0; 1 << 20];
    assert_eq!(read(&disk), None, "blank");
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let table = read(&disk).unwrap();
    assert_eq!((table.scheme, table.partitions.len(), table.problems.len()), (Scheme::Mbr, 0, 0));
    assert_eq!(read(&disk[..512]).unwrap().scheme, Scheme::Mbr);
    assert_eq!(read(&disk[..511]), None);
    assert_eq!(read(&[]), None);
}

#[test]
fn the_boot_sector_of_a_file_system_is_no_mbr() {
    let mut disk = vec![0; 1 << 20];
    disk[..512].copy_from_slice(&fat32_boot_sector());
    assert_eq!(read(&disk), None, "mkfs.fat");
    // Messages where an MBR has its entries.
    disk[440..508].copy_from_slice(b"Non-System disk or disk error\r\nReplace and strike any key when ready");
    assert_eq!(read(&disk), None, "with messages");
    for oem in [b"NTFS    ", b"EXFAT   ", b"-FVE-FS-", b"MSWIN4.1", b"ReFS\0\0\0\0"] {
        let mut disk = vec![0; 1 << 20];
        disk[3..11].copy_from_slice(oem);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(read(&disk), None, "{}", String::from_utf8_lossy(oem));
    }
    // Entries that are nonsense, whatever the sector is.
    let mut disk = vec![0; 1 << 20];
    disk[400..510].fill(b'e');
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(read(&disk), None);
}

#[test]
fn an_mbr_with_entries_that_make_sense_stays_one() {
    let mut disk = mbr_disk();
    disk[..440].copy_from_slice(&grub_sector()[..440]);
    let table = read(&disk).unwrap();
    assert_eq!((table.scheme, table.mbr.unwrap().boot_code.loader), (Scheme::Mbr, Loader::Grub));
    // What is left of a FAT boot sector below entries that are in order.
    disk[..440].copy_from_slice(&fat32_boot_sector()[..440]);
    assert_eq!(read(&disk).unwrap().scheme, Scheme::Mbr);
    // One entry that makes no sense, and it is the boot sector again.
    disk[446] = 0x20;
    assert_eq!(read(&disk), None);
}
