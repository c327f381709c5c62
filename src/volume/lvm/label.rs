//! The labels of physical volumes, and what else the device mapper labels.
//!
//! LVM2: `lib/label/label.h` and `lib/format_text/layout.h` of the LVM2 sources. LVM1: `HM` at the start, as
//! `lib/format1/disk-rep.h` had it until LVM2 2.03. Snapshot stores: `drivers/md/dm-snap-persistent.c`.

use super::super::block::Block;
use super::super::checksum::crc32_le;
use super::super::{Content, Probed, text};
use crate::bytes::{ReadAt, ReadError, int_usize};
use std::ops::Range;

/// Sectors in which the label may lie; LVM writes it to the second.
const LABEL_SECTORS: u32 = 4;
/// The register with which LVM starts its CRC-32.
pub(super) const CRC_START: u32 = 0xf597_a6cf;

/// The label of a physical volume.
#[derive(Debug)]
pub(super) struct Label {
    /// Its sector.
    sector: Block,
    /// Where in the sector the header of the physical volume begins.
    header: usize,
}

/// A part of a physical volume, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) start: u64,
    /// Zero for "all that follows" in data areas.
    pub(super) size: u64,
}

impl Label {
    /// The first label with the right place and checksum.
    pub(super) fn find(bytes: &dyn ReadAt) -> Result<Option<Self>, ReadError> {
        for sector in 0..LABEL_SECTORS {
            let Some(label) = Block::at(bytes, u64::from(sector).saturating_mul(512), 512)? else { break };
            let named = label.has(0, b"LABELONE") && label.has(24, b"LVM2 001");
            if named && label.le64(8) == u64::from(sector) && crc32_le(CRC_START, label.slice(20, 492)) == label.le32(16) {
                // libblkid takes the header to follow the label; LVM itself goes by this offset, which has always been 32.
                let header = int_usize(u64::from(label.le32(20)));
                return Ok(Some(Self { sector: label, header }));
            }
        }
        Ok(None)
    }

    /// The physical volume's identity.
    pub(super) fn uuid(&self) -> Option<String> {
        text::lvm(&self.sector.array(self.header))
    }

    /// The size that the device had.
    pub(super) fn device_size(&self) -> u64 {
        self.sector.le64(self.header.saturating_add(32))
    }

    /// The metadata areas: the second list behind the header; the data areas are the first. A zero ends each list, at the latest
    /// the zeros that follow the sector.
    pub(super) fn metadata_areas(&self) -> Vec<Area> {
        let lists = self.header.saturating_add(40);
        let data = self.list(lists);
        // An entry has 16 bytes, and so has the end.
        self.list(lists.saturating_add(data.len().saturating_add(1).saturating_mul(16)))
    }

    /// What is not for extents: the sectors of labels, the metadata areas, and the bootloader areas, which the header's extension lists
    /// behind them (`struct pv_header_extension` in `lib/format_text/layout.h`; its version is 0 where there is none).
    pub(super) fn reserved(&self) -> Vec<Range<u64>> {
        let lists = self.header.saturating_add(40);
        let areas = self.metadata_areas();
        let entries = self.list(lists).len().saturating_add(areas.len()).saturating_add(2);
        let extension = lists.saturating_add(entries.saturating_mul(16));
        // Version and flags, then the list.
        let bootloader = if self.sector.le32(extension) >= 1 { self.list(extension.saturating_add(8)) } else { vec![] };
        let labels = 0..u64::from(LABEL_SECTORS).saturating_mul(512);
        let range = |area: Area| area.start..area.start.saturating_add(area.size);
        std::iter::once(labels).chain(areas.into_iter().chain(bootloader).map(range)).collect()
    }

    fn list(&self, at: usize) -> Vec<Area> {
        let entries = (0..).map(|entry: usize| {
            let at = at.saturating_add(entry.saturating_mul(16));
            Area { start: self.sector.le64(at), size: self.sector.le64(at.saturating_add(8)) }
        });
        entries.take_while(|area| area.start != 0).collect()
    }
}

/// `LVM2_member`: a label with the right place and checksum.
pub(in super::super) fn lvm2(bytes: &dyn ReadAt) -> Probed {
    Ok(Label::find(bytes)?.map(|label| Content {
        uuid: label.uuid(),
        size: Some(label.device_size()),
        version: Some("LVM2 001".to_owned()),
        ..Content::new("LVM2_member")
    }))
}

/// `LVM1_member`.
pub(in super::super) fn lvm1(bytes: &dyn ReadAt) -> Probed {
    let Some(header) = Block::at(bytes, 0, 172)? else { return Ok(None) };
    let id = header.array::<32>(44);
    // Two letters and a small number are no proof: the identity has to be one, too.
    if !header.has(0, b"HM") || !matches!(header.le16(2), 1 | 2) || !id.iter().all(u8::is_ascii_alphanumeric) {
        return Ok(None);
    }
    Ok(Some(Content { uuid: text::lvm(&id), version: Some(header.le16(2).to_string()), ..Content::new("LVM1_member") }))
}

/// `DM_snapshot_cow`: the changed blocks of a snapshot.
pub(in super::super) fn snapshot(bytes: &dyn ReadAt) -> Probed {
    let Some(header) = Block::at(bytes, 0, 16)? else { return Ok(None) };
    // Magic, valid, version, chunk size: only version 1 was ever written.
    if !header.has(0, b"SnAp") || header.le32(8) != 1 {
        return Ok(None);
    }
    Ok(Some(Content { clean: Some(header.le32(4) == 1), ..Content::new("DM_snapshot_cow") }))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{disk, matches};
    use super::*;

    fn label(sector: u64) -> Vec<u8> {
        let mut label = vec![0; 512];
        label[..8].copy_from_slice(b"LABELONE");
        label[8..16].copy_from_slice(&sector.to_le_bytes());
        label[20] = 32;
        label[24..32].copy_from_slice(b"LVM2 001");
        label[32..64].copy_from_slice(b"abcdefGHIJKLmnopQRSTuvwxYZ012345");
        label[64..72].copy_from_slice(&(20_u64 << 20).to_le_bytes());
        let crc = crc32_le(CRC_START, &label[20..]);
        label[16..20].copy_from_slice(&crc.to_le_bytes());
        label
    }

    #[test]
    fn lvm2_in_each_of_four_sectors() {
        for sector in 0..4 {
            let at = sector * 512;
            let found = matches(lvm2, 1 << 20, &[(at, &label(sector))], &[at, at + 8, at + 16, at + 24, at + 40, at + 511]);
            assert_eq!(found.uuid.as_deref(), Some("abcdef-GHIJ-KLmn-opQR-STuv-wxYZ-012345"));
            assert_eq!(found.size, Some(20 << 20));
        }
        assert_eq!(lvm2(&disk(1 << 20, &[(4 * 512, &label(4))])).unwrap(), None);
    }

    #[test]
    fn lvm1_and_snapshots() {
        let id = b"abcdefGHIJKLmnopQRSTuvwxYZ012345";
        let found = matches(lvm1, 4096, &[(0, b"HM\x02\0"), (44, id)], &[0, 1, 2, 3]);
        assert_eq!(found.uuid.as_deref(), Some("abcdef-GHIJ-KLmn-opQR-STuv-wxYZ-012345"));
        assert_eq!(lvm1(&disk(4096, &[(0, b"HM\x02\0")])).unwrap(), None);
        matches(snapshot, 4096, &[(0, b"SnAp\x01\0\0\0\x01\0\0\0")], &[0, 3, 8]);
    }
}
