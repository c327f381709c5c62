//! One good disk; one thing is broken, and one named problem is found.

use super::super::ProblemKind as Kind;
use super::super::samples::{Entry, GptDisk, entry, headers, kinds, mbr_disk, put_mbr_entry, put32, put64, read, seal};
use super::super::{PartitionType, Role, Scheme, types};
use super::*;
use crate::bytes::MIB;

#[test]
fn a_good_disk_has_no_problems() {
    let table = read(&GptDisk::default().build()).unwrap();
    assert_eq!(table.problems, []);
    assert_eq!((table.scheme, table.sector_size), (Scheme::Gpt, 512));
    let gpt = table.gpt.as_ref().unwrap();
    assert_eq!((gpt.used, gpt.backup_expected_at), (Some(GptCopy::Primary), 8191 * 512));
    assert_eq!(gpt.disk_guid(), Some(Guid([0xd1; 16])));
    let [esp, root] = &table.partitions[..] else { panic!("{:?}", table.partitions) };
    assert_eq!((esp.number, esp.start, esp.size, esp.at), (1, MIB, MIB, 1024));
    assert_eq!((root.number, root.start, root.size, root.at), (3, 2 * MIB, MIB, 1024 + 256));
    assert_eq!(esp.kind, PartitionType::Gpt(types::ESP));
    assert_eq!((esp.name.as_deref(), root.name.as_deref()), (Some("EFI System Partition"), Some("Wurzel \u{1f333}")));
    assert_eq!((esp.bootable, esp.attributes, root.bootable, root.attributes), (true, 1 << 63 | 5, false, 0));
    assert_eq!((esp.guid, esp.role), (Some(Guid([1; 16])), Role::Primary));
}

/// The problems after `change` was made in both headers, whose checksums are right again.
fn both(change: impl Fn(&mut [u8], usize)) -> Vec<Kind> {
    let mut disk = GptDisk::default().build();
    for at in headers(&disk) {
        change(&mut disk, at);
        seal(&mut disk, at, 512);
    }
    kinds(&read(&disk).unwrap())
}

/// The same in the primary only.
fn primary(change: impl Fn(&mut [u8])) -> Vec<Kind> {
    let mut disk = GptDisk::default().build();
    change(&mut disk);
    kinds(&read(&disk).unwrap())
}

fn sealed(change: impl Fn(&mut [u8])) -> Vec<Kind> {
    primary(|disk| {
        change(disk);
        seal(disk, 512, 512);
    })
}

#[test]
fn each_defect_of_a_header_has_its_name() {
    assert_eq!(primary(|disk| disk[512] = b'e'), [Kind::PrimaryMissing]);
    assert_eq!(primary(|disk| disk[512..1024].fill(0)), [Kind::PrimaryMissing]);
    assert_eq!(primary(|disk| disk[512 + 16] ^= 1), [Kind::HeaderCrc]);
    assert_eq!(primary(|disk| disk[1024 + 40] ^= 1), [Kind::ArrayCrc]);
    assert_eq!(sealed(|disk| put32(disk, 512 + 8, 0x0002_0000)), [Kind::Revision]);
    assert_eq!(sealed(|disk| put32(disk, 512 + 12, 91)), [Kind::HeaderSize]);
    assert_eq!(sealed(|disk| put32(disk, 512 + 12, 513)), [Kind::HeaderSize]);
    assert_eq!(sealed(|disk| put64(disk, 512 + 24, 2)), [Kind::MyLba]);
    assert_eq!(sealed(|disk| put64(disk, 512 + 32, 8190)), [Kind::AlternateLba]);
    assert_eq!(sealed(|disk| put64(disk, 512 + 48, 8000)), [Kind::HeadersDisagree]);
    assert_eq!(sealed(|disk| disk[512 + 56] ^= 1), [Kind::HeadersDisagree]);
    assert_eq!(sealed(|disk| disk[1024 + 57] ^= 1), [Kind::ArraysDisagree]);
    assert_eq!(sealed(|disk| put64(disk, 512 + 72, u64::MAX)), [Kind::ArrayPlace]);
    assert_eq!(sealed(|disk| put32(disk, 512 + 80, u32::MAX)), [Kind::EntryCount]);
    assert_eq!(sealed(|disk| put32(disk, 512 + 84, 120)), [Kind::EntrySize]);
}

#[test]
fn each_defect_of_the_layout_has_its_name() {
    let usable = |first, last| {
        both(move |disk, at| {
            put64(disk, at + 40, first);
            put64(disk, at + 48, last);
        })
    };
    assert_eq!(usable(34, 8158), []);
    assert_eq!(usable(34, 8192), [Kind::UsableRange, Kind::UsableRange, Kind::UsableRange, Kind::ArrayPlace]);
    assert_eq!(usable(33, 8158), [Kind::ArrayPlace]);
    assert_eq!(usable(34, 8159), [Kind::ArrayPlace]);
    assert!(usable(7000, 3000).contains(&Kind::UsableRange));
    assert_eq!(usable(2049, 8158), [Kind::OutsideUsable]);
    assert_eq!(usable(34, 6142), [Kind::OutsideUsable]);
}

fn with(entries: Vec<Entry>) -> Vec<Kind> {
    kinds(&read(&GptDisk { entries: entries.into_iter().map(Some).collect(), ..GptDisk::default() }.build()).unwrap())
}

#[test]
fn each_defect_of_a_partition_has_its_name() {
    let one = || entry(1, types::ESP, 2048, 4095, "one");
    assert_eq!(with(vec![one(), entry(2, types::LINUX_FILESYSTEM, 4096, 4096, "one sector")]), []);
    assert_eq!(with(vec![one(), entry(2, types::LINUX_FILESYSTEM, 4095, 5000, "")]), [Kind::Overlap]);
    assert_eq!(with(vec![one(), entry(1, types::LINUX_FILESYSTEM, 4096, 5000, "")]), [Kind::DuplicateGuid]);
    assert_eq!(with(vec![one(), entry(0, types::LINUX_FILESYSTEM, 4096, 5000, "")]), [Kind::NilGuid]);
    assert_eq!(with(vec![one(), entry(2, types::LINUX_FILESYSTEM, 5000, 4998, "")]), [Kind::Reversed]);
    assert_eq!(with(vec![one(), entry(2, types::LINUX_FILESYSTEM, 33, 40, "")]), [Kind::OutsideUsable]);
    assert_eq!(with(vec![one(), entry(2, types::LINUX_FILESYSTEM, 5000, 8192, "")]), [Kind::OutsideUsable, Kind::PastEnd]);
    assert_eq!(with(vec![one(), entry(2, types::LINUX_FILESYSTEM, 5000, u64::MAX, "")]), [Kind::OutsideUsable, Kind::PastEnd]);
}

#[test]
fn the_backup_stands_in_for_the_primary() {
    let good = GptDisk::default().build();
    let mut disk = good.clone();
    disk[512..34 * 512].fill(0);
    let table = read(&disk).unwrap();
    let gpt = table.gpt.as_ref().unwrap();
    assert_eq!((gpt.used, &gpt.primary), (Some(GptCopy::Backup), &HeaderState::Absent));
    let sizes = |table: &super::super::PartitionTable| table.partitions.iter().map(|p| (p.number, p.start, p.size)).collect::<Vec<_>>();
    assert_eq!(sizes(&table), sizes(&read(&good).unwrap()));
    // Without the MBR it is believed only while nothing else lies at the start.
    disk[..512].fill(0);
    assert_eq!(kinds(&read(&disk).unwrap()), [Kind::ProtectiveMissing, Kind::PrimaryMissing]);
    disk[1024 + 56] = 0x53;
    assert_eq!(read(&disk), None, "an ext superblock, and a backup from earlier use");
}

#[test]
fn neither_copy_valid_leaves_no_partitions() {
    let good = GptDisk::default().build();
    let mut disk = good.clone();
    for at in headers(&good) {
        disk[at + 16] ^= 1;
    }
    let table = read(&disk).unwrap();
    assert_eq!(kinds(&table), [Kind::HeaderCrc, Kind::HeaderCrc]);
    assert!(table.partitions.is_empty() && table.gpt.as_ref().unwrap().used.is_none());
    for at in headers(&good) {
        disk[at..at + 512].fill(0);
    }
    assert_eq!(kinds(&read(&disk).unwrap()), [Kind::PrimaryMissing, Kind::BackupMissing]);
}

#[test]
fn a_backup_is_found_where_the_disk_once_ended() {
    for grown in [1, 7, 2000, 100_000] {
        let mut disk = GptDisk::default().build();
        let end = disk.len();
        disk.resize(end + grown * 512, 0);
        let table = read(&disk).unwrap();
        assert_eq!(kinds(&table), [Kind::ProtectiveSize, Kind::BackupMisplaced], "{grown}");
        let problem = &table.problems[1];
        assert_eq!(problem.at, end as u64 - 512);
        assert!(problem.message.contains(&format!("byte {}, the last sector", disk.len() - 512)), "{}", problem.message);
        // Also when only the protective MBR tells.
        disk[512..1024].fill(0);
        assert!(read(&disk).unwrap().gpt.unwrap().backup.valid().is_some());
        // And when nothing does, shortly before the end.
        put32(&mut disk, 446 + 12, u32::MAX);
        assert_eq!(read(&disk).unwrap().gpt.unwrap().backup.valid().is_some(), grown < 2048);
    }
}

#[test]
fn a_cut_disk_has_lost_its_backup() {
    let disk = GptDisk::default().build();
    let table = read(&disk[..5000 * 512]).unwrap();
    assert_eq!(kinds(&table), [Kind::ProtectiveSize, Kind::BackupMissing, Kind::UsableRange, Kind::PastEnd]);
    assert!(table.partitions.len() == 2, "the partition that passes the end is still listed");
}

#[test]
fn a_layout_for_4096_byte_sectors_is_recognised() {
    let root = entry(1, types::LINUX_FILESYSTEM, 256, 511, "root");
    let good = GptDisk { sectors: 1024, sector_size: 4096, entries: vec![Some(root)], ..GptDisk::default() }.build();
    let table = read(&good).unwrap();
    assert_eq!(table.sector_size, 4096);
    assert_eq!(kinds(&table), [Kind::SectorSize]);
    assert_eq!((table.partitions[0].start, table.partitions[0].size), (MIB, MIB));
    let mut disk = good.clone();
    disk[4096..8192].fill(0);
    let table = read(&disk).unwrap();
    assert_eq!((table.sector_size, table.gpt.unwrap().used), (4096, Some(GptCopy::Backup)));
}

#[test]
fn the_protective_entry_is_looked_at() {
    assert_eq!(primary(|disk| disk[446..462].fill(0)), [Kind::ProtectiveMissing]);
    assert_eq!(primary(|disk| disk[510] = 0), [Kind::ProtectiveMissing]);
    assert_eq!(primary(|disk| put32(disk, 446 + 8, 2)), [Kind::ProtectiveStart]);
    assert_eq!(primary(|disk| put32(disk, 446 + 12, 8192)), [Kind::ProtectiveSize]);
    assert_eq!(primary(|disk| put32(disk, 446 + 12, u32::MAX)), []);
    assert_eq!(primary(|disk| disk[446] = 0x7f), [Kind::BootIndicator]);
    assert_eq!(primary(|disk| put_mbr_entry(disk, 0, 2, 0x83, 2048, 8)), [Kind::HybridMbr]);
}

#[test]
fn an_mbr_with_partitions_outranks_a_gpt() {
    let mut disk = GptDisk::default().build();
    disk[..512].copy_from_slice(&mbr_disk()[..512]);
    put_mbr_entry(&mut disk, 0, 3, 0, 0, 0);
    let table = read(&disk).unwrap();
    assert_eq!((table.scheme, kinds(&table)), (Scheme::Mbr, vec![Kind::StaleGpt]));
    assert_eq!(table.problems[0].at, 512);
    disk[512..1024].fill(0);
    assert_eq!(read(&disk).unwrap().problems[0].at, 8191 * 512);
}

#[test]
fn names_end_at_zero_and_survive_nonsense() {
    let mut disk = GptDisk::default().build();
    disk[1024 + 56..1024 + 60].copy_from_slice(&[0x00, 0xd8, b'x', 0]);
    seal(&mut disk, 512, 512);
    let table = read(&disk).unwrap();
    assert_eq!(table.partitions[0].name.as_deref(), Some("\u{fffd}xI System Partition"));
    disk[1024 + 56] = 0;
    disk[1024 + 57] = 0;
    seal(&mut disk, 512, 512);
    assert_eq!(read(&disk).unwrap().partitions[0].name, None);
}
