//! Members of Linux software RAID and of the SNIA's common disk data format.
//!
//! md: `include/uapi/linux/raid/md_p.h` of the Linux kernel. Version 0.90 lies in the last whole 64 KiB but one boundary,
//! 1.0 near the end, 1.1 at the start and 1.2 at 4 KiB. DDF: Common RAID Disk Data Format 2.0, section 4.

use super::block::{Block, sized};
use super::text::{label, uuid};
use super::{Content, Probed};
use crate::bytes::{ReadAt, ReadError};

const MD_MAGIC: u32 = 0xa92b_4efc;
/// Space that version 0.90 keeps free at the end of a member.
const MD_RESERVED: u64 = 64 * 1024;
/// A version-1 superblock with its roles is never longer.
const MD_SUPER: u32 = 4096;

/// `linux_raid_member`, in the order 0.90, 1.0, 1.1, 1.2.
pub(super) fn linux(bytes: &dyn ReadAt) -> Probed {
    let size = bytes.size();
    if size > MD_RESERVED {
        let boundary = size & !(MD_RESERVED - 1);
        if let Some(found) = md_0(bytes, boundary.saturating_sub(MD_RESERVED))? {
            return Ok(Some(found));
        }
        let near_end = (size & !0xfff).saturating_sub(0x2000);
        if let Some(found) = md_1(bytes, near_end, "1.0")? {
            return Ok(Some(found));
        }
    }
    match md_1(bytes, 0, "1.1")? {
        None => md_1(bytes, 0x1000, "1.2"),
        found => Ok(found),
    }
}

/// Version 0.90, in the byte order of the machine that wrote it.
fn md_0(bytes: &dyn ReadAt, offset: u64) -> Probed {
    let Some(sb) = Block::at(bytes, offset, 4096)? else { return Ok(None) };
    let big = match (sb.le32(0), sb.be32(0)) {
        (MD_MAGIC, _) => false,
        (_, MD_MAGIC) => true,
        _ => return Ok(None),
    };
    let [major, minor, patch] = [4, 8, 12].map(|field| sb.long(field, big));
    let data = u64::from(sb.long(32, big)).saturating_mul(1024);
    // The data lies before the superblock, or this is not the superblock of these bytes.
    if bytes.size() < data.saturating_add(MD_RESERVED) || offset < data {
        return Ok(None);
    }
    let mut id = [0; 16];
    // Versions before 0.90 had only the first quarter.
    let quarters: &[usize] = if minor >= 90 { &[20, 52, 56, 60] } else { &[20] };
    for (to, from) in id.as_chunks_mut::<4>().0.iter_mut().zip(quarters) {
        *to = sb.long(*from, big).to_be_bytes();
    }
    let mut detail = vec![format!("{} of {} devices", level(sb.long(28, big)), sb.long(40, big))];
    let sum = sb
        .blanked(152, 4)
        .as_slice()
        .as_chunks::<4>()
        .0
        .iter()
        .fold(0_u64, |sum, word| sum.wrapping_add(u64::from(if big { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) })));
    note_checksum(&mut detail, folded(sum) == sb.long(152, big));
    Ok(Some(Content {
        uuid: uuid(id),
        size: Some(data),
        clean: Some(sb.long(132, big) & 1 == 1),
        version: Some(format!("{major}.{minor}.{patch}")),
        detail,
        ..Content::new("linux_raid_member")
    }))
}

/// Version 1, always little-endian, at `offset` for the minor version `version`.
fn md_1(bytes: &dyn ReadAt, offset: u64, version: &str) -> Probed {
    // What lies behind the fixed part are the roles; a short disk may end among them.
    let Some(sb) = Block::at(bytes, offset, 256)? else { return Ok(None) };
    let here = sb.le64(144) == offset / 512;
    if sb.le32(0) != MD_MAGIC || sb.le32(4) != 1 || !here {
        return Ok(None);
    }
    let mut detail = vec![format!("{} of {} devices", level(sb.le32(72)), sb.le32(92))];
    note_checksum(&mut detail, md_1_checksum(bytes, offset, &sb)? == Some(sb.le32(216)));
    // Only redundant levels can be out of step, and only they count how far they are in step.
    let redundant = matches!(sb.le32(72), 1 | 4 | 5 | 6 | 10);
    Ok(Some(Content {
        uuid: uuid(sb.array(16)),
        label: label(sb.slice(32, 32)),
        size: sized(sb.le64(136), 512),
        clean: redundant.then(|| sb.le64(208) == u64::MAX),
        version: Some(version.to_owned()),
        detail,
        ..Content::new("linux_raid_member")
    }))
}

fn md_1_checksum(bytes: &dyn ReadAt, offset: u64, sb: &Block) -> Result<Option<u32>, ReadError> {
    let length = sb.le32(220).saturating_mul(2).saturating_add(256);
    if length > MD_SUPER {
        return Ok(None);
    }
    let Some(whole) = Block::at(bytes, offset, usize::try_from(length).unwrap_or_default())? else { return Ok(None) };
    let whole = whole.blanked(216, 4);
    let (words, rest) = whole.as_slice().as_chunks::<4>();
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from(u32::from_le_bytes(*word))));
    let tail = rest.first_chunk().map_or(0, |half| u64::from(u16::from_le_bytes(*half)));
    Ok(Some(folded(sum.wrapping_add(tail))))
}

/// A 64-bit sum with its carries added in, which is what 32-bit additions with carry give.
fn folded(sum: u64) -> u32 {
    u32::try_from((sum & 0xffff_ffff).wrapping_add(sum >> 32) & 0xffff_ffff).unwrap_or_default()
}

fn note_checksum(detail: &mut Vec<String>, right: bool) {
    if !right {
        detail.push("superblock checksum is wrong".to_owned());
    }
}

fn level(number: u32) -> String {
    match number {
        0xffff_fffc => "multipath".to_owned(),
        0xffff_ffff => "linear".to_owned(),
        number => format!("raid{number}"),
    }
}

/// `ddf_raid_member`: the anchor header, in the last sector or 257 sectors from the end.
pub(super) fn ddf(bytes: &dyn ReadAt) -> Probed {
    const MAGIC: u32 = 0xde11_de11;
    if bytes.size() < 0x30000 {
        return Ok(None);
    }
    for sectors in [1, 257] {
        let Some(header) = Block::from_end(bytes, sectors, 512)? else { continue };
        // The byte order is the controller's: DE 11 DE 11 or 11 DE 11 DE.
        if header.be32(0) != MAGIC && header.le32(0) != MAGIC {
            continue;
        }
        let big = header.be32(0) == MAGIC;
        let mut detail = Vec::new();
        // The checksum is taken with its own field set to ones.
        let mut hasher = crc32fast::Hasher::new();
        for part in [header.slice(0, 4), &[0xff; 4], header.slice(8, 504)] {
            hasher.update(part);
        }
        note_checksum(&mut detail, hasher.finalize() == header.long(4, big));
        return Ok(Some(Content {
            uuid: label(header.slice(8, 24)),
            version: label(header.slice(32, 8)),
            detail,
            ..Content::new("ddf_raid_member")
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ID, id, matches};
    use super::*;

    fn version_1(super_offset: u64) -> Vec<u8> {
        let mut sb = vec![0; 256];
        sb[..4].copy_from_slice(&MD_MAGIC.to_le_bytes());
        sb[4] = 1;
        sb[16..32].copy_from_slice(&id::<16>());
        sb[32..38].copy_from_slice(b"host:0");
        sb[72] = 1;
        sb[92] = 2;
        sb[136..144].copy_from_slice(&1000_u64.to_le_bytes());
        sb[144..152].copy_from_slice(&super_offset.to_le_bytes());
        sb[208..216].copy_from_slice(&[0xff; 8]);
        sb
    }

    #[test]
    fn version_1_at_its_three_places() {
        let size = 1 << 20;
        for (offset, version) in [(size - 0x2000, "1.0"), (0, "1.1"), (0x1000, "1.2")] {
            let sb = version_1(offset / 512);
            let found = matches(linux, size, &[(offset, &sb)], &[offset, offset + 3, offset + 4, offset + 144]);
            assert_eq!(found.version.as_deref(), Some(version));
            assert_eq!(found.uuid.as_deref(), Some(ID));
            assert_eq!(found.label.as_deref(), Some("host:0"));
            assert_eq!((found.size, found.clean), (Some(512_000), Some(true)));
            assert_eq!(found.detail, ["raid1 of 2 devices", "superblock checksum is wrong"]);
        }
    }

    #[test]
    fn version_1_checksum() {
        let mut sb = version_1(8);
        let sum: u64 = sb.chunks(4).map(|w| u64::from(u32::from_le_bytes(w.try_into().unwrap()))).sum();
        sb[216..220].copy_from_slice(&folded(sum).to_le_bytes());
        let found = matches(linux, 1 << 20, &[(4096, &sb)], &[]);
        assert_eq!(found.detail, ["raid1 of 2 devices"]);
    }

    #[test]
    fn version_0_in_both_byte_orders() {
        let size = 1 << 20;
        let offset = size - 0x10000;
        for big in [false, true] {
            let mut sb = vec![0; 4096];
            for (field, value) in [(0, MD_MAGIC), (8, 90), (20, 0x1112_1314), (28, 5), (32, 512), (40, 3), (132, 1)].into_iter().chain([
                (52, 0x1516_1718),
                (56, 0x191a_1b1c),
                (60, 0x1d1e_1f20),
            ]) {
                sb[field..field + 4].copy_from_slice(&if big { value.to_be_bytes() } else { value.to_le_bytes() });
            }
            let found = matches(linux, size, &[(offset, &sb)], &[offset]);
            assert_eq!(found.uuid.as_deref(), Some(ID));
            assert_eq!(found.version.as_deref(), Some("0.90.0"));
            assert_eq!((found.size, found.clean), (Some(512 * 1024), Some(true)));
            // The data would not fit before the superblock.
            let too_long = if big { 961_u32.to_be_bytes() } else { 961_u32.to_le_bytes() };
            sb[32..36].copy_from_slice(&too_long);
            assert_eq!(linux(&super::super::testing::disk(size, &[(offset, &sb)])).unwrap(), None);
        }
    }

    #[test]
    fn ddf_anchor() {
        let size = 1 << 20;
        let mut header = vec![0xff; 512];
        header[..4].copy_from_slice(&[0xde, 0x11, 0xde, 0x11]);
        header[8..32].copy_from_slice(b"LSI     0123456789ABCDEF");
        header[32..40].copy_from_slice(b"01.02.00");
        for at in [size - 512, size - 257 * 512] {
            let found = matches(ddf, size, &[(at, &header)], &[at]);
            assert_eq!(found.uuid.as_deref(), Some("LSI     0123456789ABCDEF"));
            assert_eq!(found.version.as_deref(), Some("01.02.00"));
        }
    }
}
