//! Boot sectors of file systems, which end in 55 AA as an MBR does.
//!
//! Documents: FAT: Microsoft "FAT: General Overview of On-Disk Format" 1.03, section "Boot Sector and BPB". NTFS, exFAT and ReFS
//! put their name where FAT has the OEM name. BitLocker: `-FVE-FS-` in the same place, or, on a removable disk ("to go"), a FAT32
//! boot sector with the OEM name `MSWIN4.1`.

use byteorder::{LittleEndian, ReadBytesExt};
use std::io;

/// OEM names (byte 3) that belong to one file system and never to an MBR.
///
/// The OEM names that FAT formatters write (`MSDOS5.0`, `mkfs.fat`, …) are not among them: they prove nothing without a BPB.
const NAMES: [(&[u8; 8], &str); 5] =
    [(b"NTFS    ", "NTFS"), (b"EXFAT   ", "exFAT"), (b"-FVE-FS-", "BitLocker"), (b"ReFS\0\0\0\0", "ReFS"), (b"MSWIN4.1", "FAT")];

/// Type strings of FAT boot sectors and where they stand. The format calls them comments, but only boot sectors have them.
const FAT_TYPES: [(usize, &[u8; 8]); 4] = [(0x36, b"FAT12   "), (0x36, b"FAT16   "), (0x36, b"FAT     "), (0x52, b"FAT32   ")];

/// The part of the BIOS parameter block that all FAT variants share.
#[derive(Debug)]
struct BiosParameterBlock {
    bytes_per_sector: u16,
    sectors_per_cluster: u8,
    reserved_sectors: u16,
    fats: u8,
    total_sectors_16: u16,
    media: u8,
    total_sectors_32: u32,
}

impl BiosParameterBlock {
    fn decode(mut bytes: &[u8]) -> io::Result<Self> {
        let bytes_per_sector = bytes.read_u16::<LittleEndian>()?;
        let sectors_per_cluster = bytes.read_u8()?;
        let reserved_sectors = bytes.read_u16::<LittleEndian>()?;
        let fats = bytes.read_u8()?;
        let _root_entries = bytes.read_u16::<LittleEndian>()?;
        let total_sectors_16 = bytes.read_u16::<LittleEndian>()?;
        let media = bytes.read_u8()?;
        let _fat_size_16 = bytes.read_u16::<LittleEndian>()?;
        let _sectors_per_track = bytes.read_u16::<LittleEndian>()?;
        let _heads = bytes.read_u16::<LittleEndian>()?;
        let _hidden_sectors = bytes.read_u32::<LittleEndian>()?;
        let total_sectors_32 = bytes.read_u32::<LittleEndian>()?;
        Ok(Self { bytes_per_sector, sectors_per_cluster, reserved_sectors, fats, total_sectors_16, media, total_sectors_32 })
    }

    /// Whether the fields are what the format allows.
    fn is_sane(&self) -> bool {
        matches!(self.bytes_per_sector, 512 | 1024 | 2048 | 4096)
            && self.sectors_per_cluster.is_power_of_two()
            && self.reserved_sectors != 0
            && matches!(self.fats, 1 | 2)
            && (self.media == 0xf0 || self.media >= 0xf8)
            && (self.total_sectors_16 != 0 || self.total_sectors_32 != 0)
    }
}

/// The file system whose boot sector this is, if it looks like one. The signature 55 AA is not looked at.
pub(super) fn volume(sector: &[u8]) -> Option<&'static str> {
    let oem = sector.get(3..11)?;
    if let Some((_, name)) = NAMES.iter().find(|(id, _)| oem == *id) {
        return Some(name);
    }
    if is_fat(sector) { Some("FAT") } else { None }
}

/// Whether there is a BPB and, as every formatter writes it, a jump over it or a type string behind it.
fn is_fat(sector: &[u8]) -> bool {
    let sane = sector.get(11..).and_then(|bytes| BiosParameterBlock::decode(bytes).ok()).is_some_and(|bpb| bpb.is_sane());
    let jumps = matches!(sector, [0xeb, _, 0x90, ..] | [0xe9, ..]);
    sane && (jumps || fat_type(sector).is_some())
}

/// The type string of a FAT boot sector with its place.
pub(super) fn fat_type(sector: &[u8]) -> Option<(usize, &'static [u8; 8])> {
    FAT_TYPES.into_iter().find(|(at, text)| sector.get(*at..).is_some_and(|rest| rest.starts_with(*text)))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn boot_sectors_are_known_by_name_or_bpb() {
        assert_eq!(volume(&samples::fat32_boot_sector()), Some("FAT"));
        for (oem, name) in NAMES {
            let mut sector = vec![0; 512];
            sector[3..11].copy_from_slice(oem);
            assert_eq!(volume(&sector), Some(name));
        }
        let mut sector = samples::fat32_boot_sector();
        sector[0x52..0x5a].fill(0);
        assert_eq!(volume(&sector), Some("FAT"), "a jump is enough");
        sector[0] = 0;
        assert_eq!(volume(&sector), None);
    }

    #[test]
    fn zeros_and_grub_are_no_boot_sector_of_a_file_system() {
        assert_eq!(volume(&[0; 512]), None);
        assert_eq!(volume(&[]), None);
        assert_eq!(volume(&samples::grub_sector()), None);
    }

    #[test]
    fn each_field_of_the_bpb_is_looked_at() {
        for (at, value) in [(11, 1), (13, 3), (14, 0), (16, 0), (16, 3), (21, 0), (32, 0)] {
            let mut sector = samples::fat32_boot_sector();
            sector[at] = value;
            sector[at + 1] = if at == 11 || at == 32 { 0 } else { sector[at + 1] };
            assert_eq!(volume(&sector), if at == 32 { Some("FAT") } else { None }, "byte {at}");
        }
    }
}
