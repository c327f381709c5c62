//! Members of Linux software RAID and of the SNIA's common disk data format.
//!
//! md: `include/uapi/linux/raid/md_p.h` of the Linux kernel. Version 0.90 lies in the last whole 64 KiB but one boundary,
//! 1.0 near the end, 1.1 at the start and 1.2 at 4 KiB. DDF: Common RAID Disk Data Format 2.0, section 4.

use super::block::{Block, sized};
use super::text::{label, uuid};
use super::{Content, Probed};
use crate::bytes::{ReadAt, ReadError};

/// The start of every superblock.
const MD_MAGIC: u32 = 0xa92b_4efc;
/// Space that version 0.90 keeps free at the end of a member.
const MD_RESERVED: u64 = 64 * 1024;
/// A version-1 superblock with its roles is never longer.
const MD_SUPER: u32 = 4096;

/// A member of a Linux software RAID array, as its superblock has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raid {
    /// Version of the superblock, which also says where it lies: `0.90.0`, `1.0`, `1.1`, `1.2`.
    pub version: String,
    /// Identity of the array.
    pub uuid: Option<String>,
    /// Name of the array, by habit after its host's: `web:0`; version 1 only.
    pub name: Option<String>,
    /// `raid1`, `linear`, `multipath`.
    pub level: String,
    /// Devices that the whole array has, without spares.
    pub devices: u32,
    /// What this device does in the array.
    pub role: Role,
    /// Bytes of this device that the array uses.
    pub size: Option<u64>,
    /// The byte at which the array's data begins on this device.
    pub data_offset: Option<u64>,
    /// Counts the changes of the array; members that are out of step count less.
    pub events: u64,
    /// Whether the array was stopped in order; `None` for levels that cannot be out of step.
    pub clean: Option<bool>,
    /// Whether a bitmap tells which parts are out of step after a crash.
    pub bitmap: bool,
    /// Whether the array has a journal, or a log of partial parity.
    pub journal: bool,
    /// Whether the array is being given another shape.
    pub reshaping: bool,
    /// Whether the superblock's checksum is right.
    pub checksum: bool,
}

/// What a device does in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It holds a share of the data, in this place from 0 on.
    Active(u32),
    /// It waits for another to fail.
    Spare,
    /// It failed.
    Faulty,
    /// It holds the journal.
    Journal,
}

/// `linux_raid_member`.
pub(super) fn linux(bytes: &dyn ReadAt) -> Probed {
    Ok(Raid::read(bytes)?.map(|found| Content {
        uuid: found.uuid.clone(),
        label: found.name.clone(),
        size: found.size,
        clean: found.clean,
        version: Some(found.version.clone()),
        detail: found.phrases(),
        ..Content::new("linux_raid_member")
    }))
}

impl Raid {
    /// Reads the first superblock in the order 0.90, 1.0, 1.1, 1.2.
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Option<Self>, ReadError> {
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

    fn phrases(&self) -> Vec<String> {
        let role = match self.role {
            Role::Active(place) => format!("device {place}"),
            Role::Spare => "spare".to_owned(),
            Role::Faulty => "faulty".to_owned(),
            Role::Journal => "journal".to_owned(),
        };
        let mut phrases = vec![format!("{} of {} devices", self.level, self.devices), role];
        let marks = [(self.bitmap, "bitmap"), (self.journal, "journal or partial parity log"), (self.reshaping, "being reshaped")];
        phrases.extend(marks.iter().filter(|(there, _)| *there).map(|(_, name)| (*name).to_owned()));
        note_checksum(&mut phrases, self.checksum);
        phrases
    }
}

/// Version 0.90, in the byte order of the machine that wrote it.
fn md_0(bytes: &dyn ReadAt, offset: u64) -> Result<Option<Raid>, ReadError> {
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
    let words = sb.blanked(152, 4);
    let words = words.as_slice().as_chunks::<4>().0.iter();
    let sum = words.map(|word| u64::from(if big { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) }));
    // The state of the array: clean, and with a bitmap. The last descriptor is this device's: faulty, and in its place.
    let state = sb.long(132, big);
    let this = sb.long(THIS_DISK.saturating_add(16), big);
    // The halves of the count of events stand in the machine's order.
    let [low, high] = if big { [160, 156] } else { [156, 160] }.map(|field| u64::from(sb.long(field, big)));
    Ok(Some(Raid {
        version: format!("{major}.{minor}.{patch}"),
        uuid: uuid(id),
        name: None,
        level: level(sb.long(28, big)),
        devices: sb.long(40, big),
        role: match this {
            this if this & 1 != 0 => Role::Faulty,
            this if this & 2 != 0 => Role::Active(sb.long(THIS_DISK.saturating_add(12), big)),
            _ => Role::Spare,
        },
        size: Some(data),
        data_offset: Some(0),
        events: low | high << 32,
        clean: Some(state & 1 != 0),
        bitmap: state & 0x100 != 0,
        journal: false,
        reshaping: minor > 90,
        checksum: folded(sum.fold(0, u64::wrapping_add)) == sb.long(152, big),
    }))
}

/// The descriptor of the device itself in a superblock of version 0.90: number, major, minor, place, state.
const THIS_DISK: usize = 3968;

/// Features of a version-1 superblock: a bitmap, a reshape that goes on, a journal, and partial parity logs of two kinds.
mod feature {
    pub(super) const BITMAP: u32 = 1;
    pub(super) const RESHAPE: u32 = 4;
    pub(super) const LOGS: u32 = 0x200 | 0x400 | 0x800;
}

/// Version 1, always little-endian, at `offset` for the minor version `version`.
fn md_1(bytes: &dyn ReadAt, offset: u64, version: &str) -> Result<Option<Raid>, ReadError> {
    // What lies behind the fixed part are the roles; a short disk may end among them.
    let Some(sb) = Block::at(bytes, offset, 256)? else { return Ok(None) };
    let here = sb.le64(144) == offset / 512;
    if sb.le32(0) != MD_MAGIC || sb.le32(4) != 1 || !here {
        return Ok(None);
    }
    let length = sb.le32(220).saturating_mul(2).saturating_add(256);
    let whole = if length > MD_SUPER { None } else { Block::at(bytes, offset, usize::try_from(length).unwrap_or_default())? };
    // Only redundant levels can be out of step, and only they count how far they are in step.
    let redundant = matches!(sb.le32(72), 1 | 4 | 5 | 6 | 10);
    let features = sb.le32(8);
    let place = usize::try_from(sb.le32(160)).unwrap_or(usize::MAX);
    let roles = whole.as_ref().map(|whole| whole.slice(256, usize::MAX).as_chunks::<2>().0);
    let role = roles.and_then(|roles| roles.get(place)).map(|role| u16::from_le_bytes(*role));
    Ok(Some(Raid {
        version: version.to_owned(),
        uuid: uuid(sb.array(16)),
        name: label(sb.slice(32, 32)),
        level: level(sb.le32(72)),
        devices: sb.le32(92),
        role: match role {
            // A device without an entry in the list has no part yet, either.
            None | Some(0xffff) => Role::Spare,
            Some(0xfffe) => Role::Faulty,
            Some(0xfffd) => Role::Journal,
            Some(place) => Role::Active(u32::from(place)),
        },
        size: sized(sb.le64(136), 512),
        data_offset: sized(sb.le64(128), 512),
        events: sb.le64(200),
        clean: redundant.then(|| sb.le64(208) == u64::MAX),
        bitmap: features & feature::BITMAP != 0,
        journal: features & feature::LOGS != 0,
        reshaping: features & feature::RESHAPE != 0,
        checksum: whole.is_some_and(|whole| md_1_checksum(&whole) == sb.le32(216)),
    }))
}

/// The checksum of a version-1 superblock with its roles.
fn md_1_checksum(whole: &Block) -> u32 {
    let whole = whole.blanked(216, 4);
    let (words, rest) = whole.as_slice().as_chunks::<4>();
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from(u32::from_le_bytes(*word))));
    let tail = rest.first_chunk().map_or(0, |half| u64::from(u16::from_le_bytes(*half)));
    folded(sum.wrapping_add(tail))
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
            assert_eq!(found.detail, ["raid1 of 2 devices", "spare", "superblock checksum is wrong"]);
        }
    }

    #[test]
    fn version_1_checksum() {
        let mut sb = version_1(8);
        let sum: u64 = sb.chunks(4).map(|w| u64::from(u32::from_le_bytes(w.try_into().unwrap()))).sum();
        sb[216..220].copy_from_slice(&folded(sum).to_le_bytes());
        let found = matches(linux, 1 << 20, &[(4096, &sb)], &[]);
        assert_eq!(found.detail, ["raid1 of 2 devices", "spare"]);
    }

    #[test]
    fn version_1_roles_and_features() {
        for (role, features, words) in [
            ([1, 0], 0, vec!["device 1"]),
            ([0xff, 0xff], 1, vec!["spare", "bitmap"]),
            ([0xfe, 0xff], 0x400, vec!["faulty", "journal or partial parity log"]),
            ([0xfd, 0xff], 4, vec!["journal", "being reshaped"]),
        ] {
            let mut sb = version_1(8);
            sb.extend([7, 0, 7, 0]);
            sb.extend(role);
            sb.push(0);
            sb.push(0);
            sb[8..12].copy_from_slice(&u32::to_le_bytes(features));
            sb[160] = 2;
            sb[220] = 4;
            let sum: u64 = sb.chunks(4).map(|w| u64::from(u32::from_le_bytes(w.try_into().unwrap()))).sum();
            sb[216..220].copy_from_slice(&folded(sum).to_le_bytes());
            let found = matches(linux, 1 << 20, &[(4096, &sb)], &[]);
            assert_eq!(found.detail[1..], words);
        }
    }

    #[test]
    fn version_0_in_both_byte_orders() {
        let size = 1 << 20;
        let offset = size - 0x10000;
        for big in [false, true] {
            let mut sb = vec![0; 4096];
            sb[if big { 3983 } else { 3980 }] = 2;
            sb[if big { 3987 } else { 3984 }] = 6;
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
            assert_eq!(found.detail[..2], ["raid5 of 3 devices", "device 2"]);
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
