//! Checksums of volumes, made right again wherever they stand.

use crate::fuzzing::{Image, SECTOR, seal};

/// Of whatever stands on the whole disk, or in the first partition of one with a table.
pub fn all(image: &mut Image) {
    seal::partition(image, 0, image.size);
    lvm(image);
    raid(image);
}

/// Label, headers of metadata areas and the text that they point to (`lib/format_text/layout.h`, `lib/label/label.h` of LVM2).
fn lvm(image: &mut Image) {
    for sector in 0..4 {
        let at = sector * SECTOR;
        if image.get(at, 8) == b"LABELONE" {
            let sum = crc(&image.get(at + 20, 492));
            image.put(at + 16, &sum.to_le_bytes());
        }
    }
    let at = 4096;
    if image.get(at + 4, 16) != b"\x20LVM2\x20x[5A%r0N*>" {
        return;
    }
    let number = |image: &Image, at: u64| u64::from_le_bytes(image.get(at, 8).try_into().unwrap());
    let (area, offset, size) = (number(image, at + 32), number(image, at + 40), number(image, at + 48));
    if (512..1 << 20).contains(&offset) && size < 1 << 16 && area < 1 << 24 {
        let first = size.min(area.saturating_sub(offset));
        let mut text = image.get(at + offset, first as usize);
        text.extend(image.get(at + 512, (size - first) as usize));
        let sum = crc(&text);
        image.put(at + 56, &sum.to_le_bytes());
    }
    let sum = crc(&image.get(at + 4, 508));
    image.put(at, &sum.to_le_bytes());
}

/// The CRC-32 of LVM, with its own start and no inversion.
fn crc(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    hasher.update(bytes);
    !hasher.finalize()
}

/// Superblocks of Linux's RAID, version 1 (`include/uapi/linux/raid/md_p.h`).
fn raid(image: &mut Image) {
    for at in [0, 4096, image.size.saturating_sub(8192) / 4096 * 4096] {
        let mut bytes = image.get(at, 256);
        if bytes.starts_with(&[0xfc, 0x4e, 0x2b, 0xa9, 1]) {
            let devices = u32::from_le_bytes(bytes[220..224].try_into().unwrap()).min(384);
            bytes = image.get(at, 256 + devices as usize * 2);
            bytes[216..220].fill(0);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let sum: u64 = bytes.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
            image.put(at + 216, &(((sum & 0xffff_ffff) + (sum >> 32)) as u32).to_le_bytes());
        }
    }
}
