//! Disks for tests, built in code.

use super::gpt::{SIGNATURE, header_crc};
use super::gpt_check::stored_name;
use super::types;
use super::{Partition, PartitionTable, ProblemKind};
use crate::bytes::{Bytes, Guid, Memory};
use std::sync::Arc;

/// A GPT entry to be written.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: Guid,
    pub(super) guid: Guid,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) attributes: u64,
    pub(super) name: &'static str,
}

pub(super) fn entry(number: u8, kind: Guid, first: u64, last: u64, name: &'static str) -> Entry {
    Entry { kind, guid: Guid([number; 16]), first, last, attributes: 0, name }
}

/// A GPT disk to be written.
#[derive(Debug, Clone)]
pub(super) struct GptDisk {
    pub(super) sectors: u64,
    pub(super) sector_size: usize,
    pub(super) entry_count: u32,
    pub(super) entry_size: u32,
    pub(super) entries: Vec<Option<Entry>>,
}

impl Default for GptDisk {
    /// 4 MiB with an ESP, a gap in the array, and a root.
    fn default() -> Self {
        let mut esp = entry(1, types::ESP, 2048, 4095, "EFI System Partition");
        esp.attributes = 1 << 63 | 1 << 2 | 1;
        let root = entry(3, types::LINUX_ROOT_X86_64, 4096, 6143, "Wurzel \u{1f333}");
        Self { sectors: 8192, sector_size: 512, entry_count: 128, entry_size: 128, entries: vec![Some(esp), None, Some(root)] }
    }
}

impl GptDisk {
    pub(super) fn array_sectors(&self) -> u64 {
        (u64::from(self.entry_count) * u64::from(self.entry_size)).div_ceil(self.sector_size as u64)
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let ss = self.sector_size;
        let (last, array_sectors) = (self.sectors - 1, self.array_sectors());
        let mut disk = vec![0; self.sectors as usize * ss];
        put_mbr_entry(&mut disk, 0, 0, 0xee, 1, u32::try_from(last).unwrap_or(u32::MAX));
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let mut array = vec![0; self.entry_count as usize * self.entry_size as usize];
        for (place, entry) in self.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let at = place * self.entry_size as usize;
            array[at..at + 16].copy_from_slice(&entry.kind.to_mixed_endian());
            array[at + 16..at + 32].copy_from_slice(&entry.guid.to_mixed_endian());
            array[at + 32..at + 40].copy_from_slice(&entry.first.to_le_bytes());
            array[at + 40..at + 48].copy_from_slice(&entry.last.to_le_bytes());
            array[at + 48..at + 56].copy_from_slice(&entry.attributes.to_le_bytes());
            array[at + 56..at + 128].copy_from_slice(&stored_name(entry.name));
        }
        for (mine, other, array_lba) in [(1, last, 2), (last, 1, last - array_sectors)] {
            let at = mine as usize * ss;
            disk[at..at + 8].copy_from_slice(SIGNATURE);
            for (offset, value) in [(8, 0x0001_0000), (12, 92), (80, self.entry_count), (84, self.entry_size)] {
                put32(&mut disk, at + offset, value);
            }
            for (offset, value) in [(24, mine), (32, other), (40, 2 + array_sectors), (48, last - array_sectors - 1), (72, array_lba)] {
                put64(&mut disk, at + offset, value);
            }
            disk[at + 56..at + 72].copy_from_slice(&[0xd1; 16]);
            let start = array_lba as usize * ss;
            disk[start..start + array.len()].copy_from_slice(&array);
            seal(&mut disk, at, ss);
        }
        disk
    }
}

pub(super) fn put32(disk: &mut [u8], at: usize, value: u32) {
    disk[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put64(disk: &mut [u8], at: usize, value: u64) {
    disk[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn get32(disk: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(disk[at..at + 4].try_into().unwrap())
}

pub(super) fn get64(disk: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(disk[at..at + 8].try_into().unwrap())
}

/// Sets both checksums of the header at byte `at`, as far as its numbers allow.
pub(super) fn seal(disk: &mut [u8], at: usize, sector_size: usize) {
    let start = get64(disk, at + 72).saturating_mul(sector_size as u64);
    let length = u64::from(get32(disk, at + 80)) * u64::from(get32(disk, at + 84));
    if start.saturating_add(length) <= disk.len() as u64 {
        let crc = crc32fast::hash(&disk[start as usize..(start + length) as usize]);
        put32(disk, at + 88, crc);
    }
    if let Some(crc) = header_crc(&disk[at..at + sector_size], get32(disk, at + 12)) {
        put32(disk, at + 16, crc);
    }
}

/// Where both headers of a built disk of 512-byte sectors are.
pub(super) fn headers(disk: &[u8]) -> [usize; 2] {
    [512, disk.len() - 512]
}

/// Writes an entry into the record that starts at byte `record`.
pub(super) fn put_mbr_entry(disk: &mut [u8], record: usize, index: usize, kind: u8, start: u32, size: u32) {
    let at = record + 446 + 16 * index;
    disk[at + 4] = kind;
    put32(disk, at + 8, start);
    put32(disk, at + 12, size);
    disk[record + 510] = 0x55;
    disk[record + 511] = 0xaa;
}

/// An MBR disk of 4 MiB: one active partition, one more, and an extended one with two logical ones.
pub(super) fn mbr_disk() -> Vec<u8> {
    let mut disk = vec![0; 8192 * 512];
    put32(&mut disk, 440, 0xb0b0_b0b0);
    put_mbr_entry(&mut disk, 0, 0, 0x07, 63, 937);
    disk[446] = 0x80;
    put_mbr_entry(&mut disk, 0, 1, 0x83, 1000, 1000);
    put_mbr_entry(&mut disk, 0, 3, 0x05, 2000, 4000);
    put_mbr_entry(&mut disk, 2000 * 512, 0, 0x83, 8, 992);
    put_mbr_entry(&mut disk, 2000 * 512, 1, 0x05, 1000, 1000);
    put_mbr_entry(&mut disk, 3000 * 512, 0, 0x82, 8, 992);
    disk
}

pub(super) fn grub_sector() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..3].copy_from_slice(&[0xeb, 0x63, 0x90]);
    sector[0x180..0x1a1].copy_from_slice(b"GRUB \0Geom\0Hard Disk\0Read\0 Error\0");
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// As `mkfs.fat -F 32` writes it.
pub(super) fn fat32_boot_sector() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..11].copy_from_slice(b"\xeb\x58\x90mkfs.fat");
    sector[11..14].copy_from_slice(&[0, 2, 1]);
    sector[14] = 32;
    sector[16] = 2;
    sector[21] = 0xf8;
    put32(&mut sector, 32, 524_288);
    sector[0x52..0x5a].copy_from_slice(b"FAT32   ");
    sector[0x5a..0x5e].copy_from_slice(&[0x0e, 0x1f, 0xbe, 0x77]);
    sector[0x77..0x92].copy_from_slice(b"This is not a bootable disk");
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

pub(super) fn bytes(disk: &[u8]) -> Bytes {
    Arc::new(Memory(disk.to_vec()))
}

pub(super) fn read(disk: &[u8]) -> Option<PartitionTable> {
    super::read(&bytes(disk)).unwrap()
}

/// The partitions without the place of their entries, which differs between the copies.
pub(super) fn contents(table: &PartitionTable) -> Vec<Partition> {
    table.partitions.iter().cloned().map(|partition| Partition { at: 0, ..partition }).collect()
}

pub(super) fn kinds(table: &PartitionTable) -> Vec<ProblemKind> {
    table.problems.iter().map(|problem| problem.kind).collect()
}

/// Numbers from a seed, the same on every run (xorshift64*, Vigna 2016).
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }
}
