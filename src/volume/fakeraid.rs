//! Members of the RAIDs that firmware and drivers of disk controllers make.
//!
//! Their metadata lies in the last sectors of a whole disk. No Azure disk is born with it, but a disk imaged from hardware
//! can carry it, and then Linux assembles it or refuses to mount what is on it. Places and magics: dmraid's `lib/format/ata`.
//!
//! libblkid asks for these only on whole disks and image files. Whoever probes a partition ends where it ends, so a sector of
//! file data could be read here as metadata; therefore two bytes of magic are not believed without their checksum.

use super::block::{Block, sized};
use super::{Content, Probed};
use crate::bytes::ReadAt;

/// No member is smaller.
const MIN_SIZE: u64 = 64 * 1024;

/// The block `sectors` from the end when `magic` starts it.
fn tail(bytes: &dyn ReadAt, sectors: u64, magic: &[u8]) -> Result<Option<Block>, crate::bytes::ReadError> {
    if bytes.size() < MIN_SIZE {
        return Ok(None);
    }
    Ok(Block::from_end(bytes, sectors, 512)?.filter(|block| block.has(0, magic)))
}

/// `isw_raid_member`: Intel Matrix RAID.
pub(super) fn intel(bytes: &dyn ReadAt) -> Probed {
    let found = tail(bytes, 2, b"Intel Raid ISM Cfg Sig. ")?;
    Ok(found.map(|block| Content { version: super::text::label(block.slice(24, 6)), ..Content::new("isw_raid_member") }))
}

/// `lsi_mega_raid_member`.
pub(super) fn lsi(bytes: &dyn ReadAt) -> Probed {
    Ok(tail(bytes, 1, b"$XIDE$")?.map(|_| Content::new("lsi_mega_raid_member")))
}

/// `via_raid_member`: the magic is that of a boot sector, so the sum over the first 50 bytes decides.
pub(super) fn via(bytes: &dyn ReadAt) -> Probed {
    let Some(block) = tail(bytes, 1, &[0x55, 0xaa])? else { return Ok(None) };
    let sum = block.slice(0, 50).iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    // An almost empty sector sums up by chance: version and array are then zero, and so is the disk's capacity.
    let named = block.slice(3, 11).iter().any(|byte| *byte != 0);
    if block.u8(2) > 2 || block.u8(50) != sum || !named {
        return Ok(None);
    }
    Ok(Some(Content { version: Some(block.u8(2).to_string()), ..Content::new("via_raid_member") }))
}

/// `silicon_medley_raid_member`: Silicon Image.
pub(super) fn silicon(bytes: &dyn ReadAt) -> Probed {
    const MAGIC: u32 = 0x2f00_0000;
    let Some(block) = tail(bytes, 1, &[])? else { return Ok(None) };
    let (words, _) = block.slice(0, 0x13e).as_chunks::<2>();
    let sum = words.iter().fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes(*word)));
    if block.le32(0x60) != MAGIC || block.u8(0x116) >= 8 || sum.wrapping_neg() != block.le16(0x13e) {
        return Ok(None);
    }
    Ok(Some(Content {
        size: sized(u64::from(block.le32(0x78)), 512),
        version: Some(format!("{}.{}", block.le16(0x10a), block.le16(0x108))),
        ..Content::new("silicon_medley_raid_member")
    }))
}

/// `nvidia_raid_member`.
pub(super) fn nvidia(bytes: &dyn ReadAt) -> Probed {
    let found = tail(bytes, 2, b"NVIDIA")?;
    Ok(found.map(|block| Content { version: Some(block.le16(16).to_string()), ..Content::new("nvidia_raid_member") }))
}

/// `promise_fasttrack_raid_member`: one of a dozen places, depending on the disk's geometry.
pub(super) fn promise(bytes: &dyn ReadAt) -> Probed {
    for sectors in [63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087] {
        if tail(bytes, sectors, b"Promise Technology, Inc.")?.is_some() {
            return Ok(Some(Content::new("promise_fasttrack_raid_member")));
        }
    }
    Ok(None)
}

/// HighPoint's magic, little-endian, and the one that marks a broken array.
const HIGHPOINT: [[u8; 4]; 2] = [[0xf3, 0x16, 0x78, 0x5a], [0xfd, 0x16, 0x78, 0x5a]];

/// `hpt45x_raid_member`.
pub(super) fn highpoint_45x(bytes: &dyn ReadAt) -> Probed {
    let Some(block) = tail(bytes, 11, &[])? else { return Ok(None) };
    Ok(HIGHPOINT.iter().any(|magic| block.has(0, magic)).then(|| Content::new("hpt45x_raid_member")))
}

/// `hpt37x_raid_member`: the only one at the start of the disk, in sector 9.
pub(super) fn highpoint_37x(bytes: &dyn ReadAt) -> Probed {
    const MAGIC: [[u8; 4]; 2] = [[0xf0, 0x16, 0x78, 0x5a], [0xfd, 0x16, 0x78, 0x5a]];
    let Some(block) = Block::at(bytes, 9 * 512 + 32, 4)? else { return Ok(None) };
    Ok(MAGIC.iter().any(|magic| block.has(0, magic)).then(|| Content::new("hpt37x_raid_member")))
}

/// `adaptec_raid_member`.
pub(super) fn adaptec(bytes: &dyn ReadAt) -> Probed {
    let Some(block) = tail(bytes, 1, &0x37fc_4d1e_u32.to_be_bytes())? else { return Ok(None) };
    if !block.has(256, b"DPTM") {
        return Ok(None);
    }
    Ok(Some(Content { version: Some(block.u8(67).to_string()), ..Content::new("adaptec_raid_member") }))
}

/// `jmicron_raid_member`: two letters, and 64 words that sum up to 0 or 1.
pub(super) fn jmicron(bytes: &dyn ReadAt) -> Probed {
    let Some(block) = tail(bytes, 1, b"JM")? else { return Ok(None) };
    let (words, _) = block.slice(0, 128).as_chunks::<2>();
    let sum = words.iter().fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes(*word)));
    if sum > 1 {
        return Ok(None);
    }
    Ok(Some(Content { version: Some(format!("{}.{}", block.u8(3), block.u8(2))), ..Content::new("jmicron_raid_member") }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, matches};
    use super::*;

    const SIZE: u64 = 4 << 20;

    /// The byte at `sectors` from the end.
    fn back(sectors: u64) -> u64 {
        SIZE - sectors * 512
    }

    #[test]
    fn magics_at_the_end() {
        let found = matches(intel, SIZE, &[(back(2), b"Intel Raid ISM Cfg Sig. 1.3.00")], &[back(2), back(2) + 23]);
        assert_eq!(found.version.as_deref(), Some("1.3.00"));
        matches(lsi, SIZE, &[(back(1), b"$XIDE$")], &[back(1) + 5]);
        matches(nvidia, SIZE, &[(back(2), b"NVIDIA")], &[back(2) + 5]);
        matches(promise, SIZE, &[(back(63), b"Promise Technology, Inc.")], &[back(63)]);
        matches(promise, SIZE, &[(back(3087), b"Promise Technology, Inc.")], &[back(3087) + 23]);
        matches(highpoint_45x, SIZE, &[(back(11), &[0xf3, 0x16, 0x78, 0x5a])], &[back(11)]);
        matches(highpoint_37x, SIZE, &[(4640, &[0xf0, 0x16, 0x78, 0x5a])], &[4640]);
        matches(adaptec, SIZE, &[(back(1), &[0x37, 0xfc, 0x4d, 0x1e]), (back(1) + 256, b"DPTM")], &[back(1), back(1) + 259]);
        assert_eq!(lsi(&disk(1024, &[(512, b"$XIDE$")])).unwrap(), None, "too small to be a member");
    }

    #[test]
    fn short_magics_need_their_sums() {
        let via_block = [&[0x55, 0xaa, 1, 7][..], &[0; 46], &[7]].concat();
        matches(via, SIZE, &[(back(1), &via_block)], &[back(1), back(1) + 3, back(1) + 50]);

        let mut jm = [0; 128];
        jm[..4].copy_from_slice(b"JM\x05\x01");
        jm[4..6].copy_from_slice(&0_u16.wrapping_sub(0x4d4a).wrapping_sub(0x0105).to_le_bytes());
        let found = matches(jmicron, SIZE, &[(back(1), &jm)], &[back(1), back(1) + 100]);
        assert_eq!(found.version.as_deref(), Some("1.5"));

        let mut sil = [0; 512];
        sil[0x63] = 0x2f;
        sil[0x108] = 3;
        let sum = 0x2f00_u16 + 3;
        sil[0x13e..0x140].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
        let found = matches(silicon, SIZE, &[(back(1), &sil)], &[back(1) + 0x63, back(1) + 0x20, back(1) + 0x13e]);
        assert_eq!(found.version.as_deref(), Some("0.3"));
    }
}
