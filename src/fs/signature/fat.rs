//! FAT and exFAT.
//!
//! FAT: Microsoft's "FAT: General Overview of On-Disk Format", version 1.03. Almost any boot sector resembles FAT, so the
//! BIOS parameter block has to hold together before it is believed. exFAT: Microsoft's exFAT file system specification,
//! section 3.1.

use crate::bytes::{ReadAt, ReadError, int_usize};
use crate::volume::block::{Block, power, sized};
use crate::volume::sealed::is_bitlocker;
use crate::volume::text::{label, label_utf16, serial};
use crate::volume::{Content, Probed};

/// Most clusters that each width can count.
const FAT12_MAX: u64 = 0xff4;
const FAT16_MAX: u64 = 0xfff4;
const FAT32_MAX: u64 = 0x0fff_fff6;
/// Clusters of a FAT32 root directory that are searched for the label.
const ROOT_CLUSTERS: u32 = 100;
/// The label that means that there is none.
const NO_NAME: &[u8; 11] = b"NO NAME    ";

/// The parameters, once they hold together. Sizes in bytes.
struct Geometry {
    sector: u64,
    cluster: u64,
    reserved: u64,
    /// All FATs.
    fats: u64,
    /// One FAT, in entries of 32 bits; FAT32 only.
    entries: u64,
    root: u64,
    clusters: u64,
    size: u64,
    fat32: bool,
}

impl Geometry {
    fn parse(boot: &Block) -> Option<Self> {
        let sector = u64::from(boot.le16(0xb));
        let per_cluster = u64::from(boot.u8(0xd));
        let [reserved, fats, media] = [u64::from(boot.le16(0xe)), u64::from(boot.u8(0x10)), u64::from(boot.u8(0x15))];
        let media_known = media >= 0xf8 || media == 0xf0;
        if !sector.is_power_of_two() || !(512..=4096).contains(&sector) || !per_cluster.is_power_of_two() {
            return None;
        }
        if reserved == 0 || fats == 0 || !media_known {
            return None;
        }
        let short = u64::from(boot.le16(0x16));
        let long = u64::from(boot.le32(0x24));
        let fat32 = short == 0 && long != 0;
        let length = if short == 0 { long } else { short };
        let sectors = match boot.le16(0x13) {
            0 => u64::from(boot.le32(0x20)),
            few => u64::from(few),
        };
        let root = u64::from(boot.le16(0x11)).saturating_mul(32);
        let tables = fats.saturating_mul(length);
        let before_data = reserved.saturating_add(tables).saturating_add(root.div_ceil(sector));
        let clusters = sectors.checked_sub(before_data)?.checked_div(per_cluster)?;
        let most = if fat32 { FAT32_MAX } else { FAT16_MAX };
        if length == 0 || clusters > most {
            return None;
        }
        Some(Self {
            sector,
            cluster: per_cluster.saturating_mul(sector),
            reserved: reserved.saturating_mul(sector),
            fats: tables.saturating_mul(sector),
            entries: length.saturating_mul(sector) / 4,
            root,
            clusters,
            size: sectors.saturating_mul(sector),
            fat32,
        })
    }
}

/// Whether the boot sector names FAT, and if it only begins like one, is not known to be something else.
fn looks_like_fat(boot: &Block) -> bool {
    let named = boot.has(0x52, b"MSWIN") || boot.has(0x52, b"FAT32   ");
    let named_short = [&b"MSDOS"[..], b"FAT16   ", b"FAT12   ", b"FAT     "].iter().any(|name| boot.has(0x36, name));
    if named || named_short {
        return true;
    }
    // OS/2 puts such a sector before JFS and HPFS.
    let foreign = boot.has(0x36, b"JFS     ") || boot.has(0x36, b"HPFS    ");
    boot.has(0x1fe, &[0x55, 0xaa]) && !foreign
}

/// `vfat`.
pub(in crate::fs) fn vfat(bytes: &dyn ReadAt) -> Probed {
    let Some(boot) = Block::at(bytes, 0, 512)?.filter(looks_like_fat) else { return Ok(None) };
    let Some(geometry) = Geometry::parse(&boot) else { return Ok(None) };
    if is_bitlocker(bytes)? {
        return Ok(None);
    }
    let mut found = Content { size: Some(geometry.size), ..Content::new("vfat") };
    let [state, number, name] = if geometry.fat32 { [0x41, 0x43, 0x47] } else { [0x25, 0x27, 0x2b] };
    if geometry.fat32 {
        let sector = u64::from(boot.le16(0x30));
        let counts = Block::at(bytes, sector.saturating_mul(geometry.sector), 512)?;
        if sector != 0 {
            // All zeros are tolerated: some formatters write no FSInfo.
            let Some(counts) = counts.filter(is_fs_info) else { return Ok(None) };
            let free = u64::from(counts.le32(488));
            let counted = counts.has(484, b"rrAa");
            found.used = geometry.clusters.checked_sub(free).filter(|_| counted).and_then(|used| sized(used, geometry.cluster));
        }
    }
    let in_root = root_label(bytes, &boot, &geometry)?;
    let text = in_root.filter(|label| label != NO_NAME).unwrap_or_else(|| boot.array(name));
    found.label = label(&text).filter(|_| &text != NO_NAME);
    found.uuid = serial(boot.le32(number));
    found.clean = clean(bytes, &geometry, boot.u8(state))?;
    let version = if geometry.fat32 {
        "FAT32"
    } else if geometry.clusters < FAT12_MAX {
        "FAT12"
    } else {
        "FAT16"
    };
    found.version = Some(version.to_owned());
    Ok(Some(found))
}

fn is_fs_info(sector: &Block) -> bool {
    let first = [&b"RRaA"[..], b"RRdA", &[0; 4]].iter().any(|magic| sector.has(0, magic));
    first && (sector.has(484, b"rrAa") || sector.has(484, &[0; 4]))
}

/// Not clean when Windows or Linux marked the volume; clean when FAT\[1\] says so; FAT12 has no place to say it.
fn clean(bytes: &dyn ReadAt, geometry: &Geometry, state: u8) -> Result<Option<bool>, ReadError> {
    let width = if geometry.fat32 { 4 } else { 2 };
    if state & 1 == 1 {
        return Ok(Some(false));
    }
    if !geometry.fat32 && geometry.clusters < FAT12_MAX {
        return Ok(None);
    }
    let entry = Block::at(bytes, geometry.reserved.saturating_add(width), int_usize(width))?;
    Ok(entry.map(|entry| if geometry.fat32 { entry.le32(0) & 0x0800_0000 != 0 } else { entry.le16(0) & 0x8000 != 0 }))
}

/// The label among the entries of the root directory.
fn root_label(bytes: &dyn ReadAt, boot: &Block, geometry: &Geometry) -> Result<Option<[u8; 11]>, ReadError> {
    let after_fats = geometry.reserved.saturating_add(geometry.fats);
    if !geometry.fat32 {
        return Ok(entry_label(bytes, after_fats, geometry.root)?.flatten());
    }
    let mut next = u64::from(boot.le32(0x2c));
    for _ in 1..ROOT_CLUSTERS {
        let Some(index) = next.checked_sub(2).filter(|_| next < geometry.entries) else { break };
        let at = after_fats.saturating_add(index.saturating_mul(geometry.cluster));
        match entry_label(bytes, at, geometry.cluster)? {
            Some(Some(name)) => return Ok(Some(name)),
            Some(None) => {}
            None => break,
        }
        let Some(entry) = Block::at(bytes, geometry.reserved.saturating_add(next.saturating_mul(4)), 4)? else { break };
        next = u64::from(entry.le32(0) & 0x0fff_ffff);
    }
    Ok(None)
}

/// The label in one stretch of a directory; `None` outside when the stretch cannot be read.
fn entry_label(bytes: &dyn ReadAt, at: u64, len: u64) -> Result<Option<Option<[u8; 11]>>, ReadError> {
    // At most 65535 entries or one cluster of 512 KiB.
    let Some(entries) = Block::at(bytes, at, int_usize(len))? else { return Ok(None) };
    for place in (0..entries.as_slice().len()).step_by(32) {
        let (first, attributes) = (entries.u8(place), entries.u8(place.saturating_add(11)));
        let clusters = [20, 26].map(|field| entries.le16(place.saturating_add(field)));
        if first == 0 {
            break;
        }
        // A deleted entry, a piece of a long name, a file or a directory.
        if first == 0xe5 || clusters != [0, 0] || attributes & 0x3f == 0x0f {
            continue;
        }
        if attributes & 0x18 == 0x08 {
            return Ok(Some(Some(entries.array(place))));
        }
    }
    Ok(Some(None))
}

/// `exfat`.
pub(in crate::fs) fn exfat(bytes: &dyn ReadAt) -> Probed {
    /// `VolumeFlags`.
    const DIRTY: u16 = 0x2;
    const MEDIA_FAILURE: u16 = 0x4;
    let Some(boot) = Block::at(bytes, 0, 512)? else { return Ok(None) };
    let must_be_zero = boot.slice(11, 53).iter().all(|byte| *byte == 0);
    if !boot.has(0, b"\xeb\x76\x90EXFAT   ") || !must_be_zero || !boot.has(510, &[0x55, 0xaa]) {
        return Ok(None);
    }
    let [sector_log, cluster_log] = [108, 109].map(|field| u32::from(boot.u8(field)));
    let (Some(sector), Some(cluster)) = (power(sector_log), power(sector_log.saturating_add(cluster_log))) else {
        return Ok(None);
    };
    if !(9..=12).contains(&sector_log) || cluster_log > 25_u32.saturating_sub(sector_log) {
        return Ok(None);
    }
    let flags = boot.le16(106);
    let mut detail = Vec::new();
    if flags & MEDIA_FAILURE != 0 {
        detail.push("media failures were detected".to_owned());
    }
    if !exfat_checksum(bytes, int_usize(sector))? {
        detail.push("boot region checksum is wrong".to_owned());
    }
    Ok(Some(Content {
        uuid: serial(boot.le32(100)),
        label: exfat_label(bytes, &boot, sector, cluster)?,
        size: sized(boot.le64(72), sector),
        clean: Some(flags & DIRTY == 0),
        version: Some(format!("{}.{}", boot.u8(105), boot.u8(104))),
        detail,
        ..Content::new("exfat")
    }))
}

/// Whether the twelfth sector holds the sum of the eleven before it.
fn exfat_checksum(bytes: &dyn ReadAt, sector: usize) -> Result<bool, ReadError> {
    let covered = sector.saturating_mul(11);
    let Some(region) = Block::at(bytes, 0, sector.saturating_mul(12))? else { return Ok(false) };
    let sum = region.slice(0, covered).iter().enumerate().fold(0_u32, |sum, (place, byte)| match place {
        // The flags and the fill level change without the sum.
        106 | 107 | 112 => sum,
        _ => sum.rotate_right(1).wrapping_add(u32::from(*byte)),
    });
    Ok(region.slice(covered, sector).as_chunks::<4>().0.iter().all(|word| u32::from_le_bytes(*word) == sum))
}

/// The label's entry in the root directory, which may span clusters.
fn exfat_label(bytes: &dyn ReadAt, boot: &Block, sector: u64, cluster: u64) -> Result<Option<String>, ReadError> {
    const LABEL: u8 = 0x83;
    /// Entries to look through; the formatters put the label first.
    const ENTRIES: usize = 10_000;
    let [fat, heap, mut number] = [80, 88, 96].map(|field| u64::from(boot.le32(field)));
    let mut entries = 0;
    while entries < ENTRIES {
        let Some(index) = number.checked_sub(2).filter(|_| number <= 0xffff_fff6) else { break };
        let start = heap.saturating_mul(sector).saturating_add(index.saturating_mul(cluster));
        for place in 0..cluster / 32 {
            let Some(entry) = Block::at(bytes, start.saturating_add(place.saturating_mul(32)), 32)? else { return Ok(None) };
            match entry.u8(0) {
                0 => return Ok(None),
                LABEL => return Ok(label_utf16(entry.slice(2, usize::from(entry.u8(1)).saturating_mul(2).min(22)), false)),
                _ => entries = entries.saturating_add(1),
            }
            if entries >= ENTRIES {
                break;
            }
        }
        let at = fat.saturating_mul(sector).saturating_add(number.saturating_mul(4));
        let Some(entry) = Block::at(bytes, at, 4)? else { break };
        number = u64::from(entry.le32(0));
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
