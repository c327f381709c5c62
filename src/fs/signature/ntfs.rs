//! NTFS, its successor ReFS and its ancestor HPFS.
//!
//! NTFS: the Linux-NTFS project's documentation, "$Boot" and "$Volume". ReFS: the libfsrefs project's format description,
//! "volume header". HPFS: `fs/hpfs/hpfs.h` of the Linux kernel.

use crate::bytes::{ReadAt, int_usize};
use crate::volume::block::{Block, sized};
use crate::volume::sealed::is_bitlocker;
use crate::volume::text::{label, label_utf16, serial};
use crate::volume::{Content, Probed};

/// The record of `$Volume` in the master file table.
const VOLUME_RECORD: u64 = 3;
/// No formatter makes longer records than 4 KiB; what lies past this is not looked at.
const RECORD_MAX: u64 = 65536;

/// `ntfs`: a sound boot sector, and records where it says that the master file table begins.
pub(in crate::fs) fn ntfs(bytes: &dyn ReadAt) -> Probed {
    let Some(boot) = Block::at(bytes, 0, 512)?.filter(|boot| boot.has(3, b"NTFS    ")) else { return Ok(None) };
    let sector = u64::from(boot.le16(11));
    let Some(cluster) = cluster_size(boot.u8(13), sector) else { return Ok(None) };
    // Reserved sectors, FATs, root entries, both FAT sector counts and the sectors per FAT: all unused.
    let unused = boot.le16(14) == 0 && boot.has(16, &[0; 5]) && boot.le16(22) == 0 && boot.le32(32) == 0;
    let Some(record) = record_size(boot.u8(64), cluster) else { return Ok(None) };
    let [sectors, mft, mirror] = [40, 48, 56].map(|field| boot.le64(field));
    let Some(clusters) = sectors.checked_mul(sector).and_then(|size| size.checked_div(cluster)) else { return Ok(None) };
    if !(256..=4096).contains(&sector) || !unused || mft > clusters || mirror > clusters || is_bitlocker(bytes)? {
        return Ok(None);
    }
    let start = mft.saturating_mul(cluster);
    let readable = int_usize(record.min(RECORD_MAX));
    let first = Block::at(bytes, start, readable)?;
    let volume = Block::at(bytes, start.saturating_add(record.saturating_mul(VOLUME_RECORD)), readable)?;
    let (Some(first), Some(volume)) = (first, volume) else { return Ok(None) };
    if !first.has(0, b"FILE") || !volume.has(0, b"FILE") {
        return Ok(None);
    }
    let id = boot.le64(72);
    let mut found = Content { uuid: (id != 0).then(|| format!("{id:016X}")), size: sized(sectors, sector), ..Content::new("ntfs") };
    describe(&mut found, &volume);
    Ok(Some(found))
}

/// Sectors per cluster, a power of two, or from 0x80 on the negated exponent of one, which gives clusters above 64 KiB.
fn cluster_size(field: u8, sector: u64) -> Option<u64> {
    let per_cluster = match field {
        0 => return None,
        1..=128 => u64::from(field),
        _ => 1_u64.checked_shl(u32::from(field.wrapping_neg()))?,
    };
    per_cluster.checked_mul(sector).filter(|cluster| per_cluster.is_power_of_two() && *cluster <= 2 << 20)
}

/// Clusters per record, or as a negative number, the exponent of its size in bytes.
fn record_size(field: u8, cluster: u64) -> Option<u64> {
    match field {
        1..=64 if field.is_power_of_two() => cluster.checked_mul(u64::from(field)),
        0xe1..=0xf7 => 1_u64.checked_shl(u32::from(field.wrapping_neg())),
        _ => None,
    }
}

/// Takes the label, the version and the dirty mark from the record of `$Volume`.
fn describe(found: &mut Content, record: &Block) {
    const VOLUME_NAME: u32 = 0x60;
    const VOLUME_INFORMATION: u32 = 0x70;
    const END: u32 = 0xffff_ffff;
    const DIRTY: u16 = 0x1;
    let record = fixed_up(record);
    let end = record.as_slice().len();
    let mut at = usize::from(record.le16(20));
    while at < end {
        let (kind, length) = (record.le32(at), int_usize(u64::from(record.le32(at.saturating_add(4)))));
        // A resident attribute has at least 24 bytes, so the walk ends.
        if kind == END || length < 24 {
            break;
        }
        let resident = record.u8(at.saturating_add(8)) == 0;
        let value = at.saturating_add(usize::from(record.le16(at.saturating_add(20))));
        let value_length = int_usize(u64::from(record.le32(at.saturating_add(16)))).min(length);
        match kind {
            VOLUME_NAME if resident => found.label = label_utf16(record.slice(value, value_length), false),
            VOLUME_INFORMATION if resident => {
                let [major, minor] = [8, 9].map(|field| record.u8(value.saturating_add(field)));
                found.version = Some(format!("{major}.{minor}"));
                // Without the mark, the log may still hold transactions: only the log tells.
                if record.le16(value.saturating_add(10)) & DIRTY != 0 {
                    found.clean = Some(false);
                    found.detail.push("marked dirty: chkdsk will run".to_owned());
                }
            }
            _ => {}
        }
        at = at.saturating_add(length);
    }
}

/// The record with the last two bytes of each 512 put back from its update sequence array.
fn fixed_up(record: &Block) -> Block {
    let (array, count) = (usize::from(record.le16(4)), usize::from(record.le16(6)));
    let mut whole = record.clone();
    for number in 1..count.min(RECORD_MAX_SECTORS) {
        let from = array.saturating_add(number.saturating_mul(2));
        let to = number.saturating_mul(512).saturating_sub(2);
        if record.array::<2>(to) == record.array::<2>(array) {
            whole.put(to, &record.array::<2>(from));
        }
    }
    whole
}

/// Sectors in the longest record that is looked at, and the array's own first entry.
const RECORD_MAX_SECTORS: usize = 129;

/// `ReFS`.
pub(in crate::fs) fn refs(bytes: &dyn ReadAt) -> Probed {
    let Some(boot) = Block::at(bytes, 0, 512)?.filter(|boot| boot.has(0, b"\0\0\0ReFS\0")) else { return Ok(None) };
    Ok(Some(Content {
        size: sized(boot.le64(24), u64::from(boot.le32(32))).filter(|size| *size > 0),
        version: (boot.u8(40) != 0).then(|| format!("{}.{}", boot.u8(40), boot.u8(41))),
        ..Content::new("ReFS")
    }))
}

/// `hpfs`: both superblocks of OS/2's file system.
pub(in crate::fs) fn hpfs(bytes: &dyn ReadAt) -> Probed {
    let (Some(sb), Some(spare)) = (Block::at(bytes, 0x2000, 32)?, Block::at(bytes, 0x2200, 16)?) else { return Ok(None) };
    if !sb.has(0, &[0x49, 0xe8, 0x95, 0xf9]) || !spare.has(0, &[0x49, 0x18, 0x91, 0xf9]) {
        return Ok(None);
    }
    let boot = Block::at(bytes, 0, 512)?;
    let boot = boot.filter(|boot| boot.has(510, &[0x55, 0xaa]) && boot.has(0x36, b"HPFS") && boot.u8(0x26) == 0x28);
    Ok(Some(Content {
        uuid: boot.as_ref().and_then(|boot| serial(boot.le32(0x27))),
        label: boot.as_ref().and_then(|boot| label(boot.slice(0x2b, 11))),
        size: sized(u64::from(sb.le32(16)), 512),
        // Flags of the spare block: dirty.
        clean: Some(spare.u8(8) & 1 == 0),
        version: Some(sb.u8(8).to_string()),
        ..Content::new("hpfs")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{disk, matches};

    fn boot() -> Vec<u8> {
        let mut boot = vec![0; 512];
        boot[3..11].copy_from_slice(b"NTFS    ");
        boot[11..14].copy_from_slice(&[0, 2, 8]);
        boot[21] = 0xf8;
        boot[40..48].copy_from_slice(&2047_u64.to_le_bytes());
        boot[48] = 4;
        boot[56] = 2;
        boot[64] = 0xf6;
        boot[72..80].copy_from_slice(&0x0123_4567_89ab_cdef_u64.to_le_bytes());
        boot
    }

    fn volume(flags: u8) -> Vec<u8> {
        let mut record = vec![0; 1024];
        record[..4].copy_from_slice(b"FILE");
        record[20] = 56;
        let name = [0x60, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 24, 0, 0, 0, b'S', 0, b'y', 0, b's', 0, 0, 0];
        record[56..88].copy_from_slice(&name);
        record[88] = 0x70;
        record[92] = 40;
        record[104] = 12;
        record[108] = 24;
        record[88 + 32..88 + 36].copy_from_slice(&[3, 1, flags, 0]);
        record[128..132].copy_from_slice(&[0xff; 4]);
        record
    }

    #[test]
    fn boot_sector_and_volume_record() {
        let (boot, whole, dirty) = (boot(), volume(0), volume(1));
        let parts: &[(u64, &[u8])] = &[(0, &boot), (16384, b"FILE"), (16384 + 3072, &whole)];
        let needed = [3, 10, 12, 13, 14, 16, 17, 19, 22, 32, 49, 57, 64, 16384, 16384 + 3072];
        let found = matches(ntfs, 1 << 20, parts, &needed);
        assert_eq!(found.uuid.as_deref(), Some("0123456789ABCDEF"));
        assert_eq!(found.label.as_deref(), Some("Sys"));
        assert_eq!((found.size, found.clean, found.version.as_deref()), (Some(2047 * 512), None, Some("3.1")));
        let found = matches(ntfs, 1 << 20, &[(0, &boot), (16384, b"FILE"), (16384 + 3072, &dirty)], &[]);
        assert_eq!(found.clean, Some(false));
        assert_eq!(ntfs(&disk(16384, &[(0, &boot)])).unwrap(), None, "the table lies past the end");
    }

    #[test]
    fn an_update_sequence_is_put_back() {
        let mut record = vec![0; 1024];
        record[4] = 48;
        record[6] = 3;
        record[48..54].copy_from_slice(&[7, 7, 1, 2, 3, 4]);
        record[510..512].copy_from_slice(&[7, 7]);
        record[1022..1024].copy_from_slice(&[9, 9]);
        let block = Block::at(&disk(1024, &[(0, &record)]), 0, 1024).unwrap().unwrap();
        let fixed = fixed_up(&block);
        assert_eq!((fixed.array(510), fixed.array(1022)), ([1, 2], [9, 9]));
    }

    #[test]
    fn refs_and_hpfs() {
        let found = matches(refs, 4096, &[(0, b"\0\0\0ReFS\0"), (24, &[0, 1]), (33, &[2]), (40, &[3, 4])], &[0, 3, 7]);
        assert_eq!((found.size, found.version.as_deref()), (Some(131_072), Some("3.4")));
        let parts: &[(u64, &[u8])] = &[(0x2000, &[0x49, 0xe8, 0x95, 0xf9]), (0x2008, &[2]), (0x2200, &[0x49, 0x18, 0x91, 0xf9])];
        let found = matches(hpfs, 1 << 20, parts, &[0x2000, 0x2203]);
        assert_eq!((found.clean, found.version.as_deref(), found.uuid), (Some(true), Some("2"), None));
    }
}
