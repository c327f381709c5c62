//! CRC-32C (Castagnoli): RFC 3720 section 12.1 and appendix B.4.
//!
//! Not from a crate: the checksummed structures are a few KiB, a log at most some MiB, and the table is ten lines.

use std::sync::LazyLock;

/// The polynomial 0x1EDC6F41, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

static TABLE: LazyLock<[u32; 256]> = LazyLock::new(|| {
    let mut row = 0_u32;
    [(); 256].map(|()| {
        let sum = (0..8).fold(row, |sum, _| if sum & 1 == 0 { sum >> 1 } else { (sum >> 1) ^ POLYNOMIAL });
        row = row.wrapping_add(1);
        sum
    })
});

/// The checksum of parts that are taken as one.
pub(super) fn crc32c<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let table = &*TABLE;
    let step = |sum: u32, byte: &u8| {
        let [low, ..] = sum.to_le_bytes();
        table.get(usize::from(low ^ byte)).map_or(sum, |row| row ^ (sum >> 8))
    };
    !parts.into_iter().flatten().fold(!0, step)
}

/// The checksum of a structure as VHDX wants it: with the four bytes at byte 4, which hold the checksum, as zeros.
pub(super) fn of_structure<'a>(first: &'a [u8], rest: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let parts = [first.get(..4), Some(&[0; 4][..]), first.get(8..)];
    crc32c(parts.into_iter().flatten().chain(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_3720() {
        let counting: Vec<u8> = (0..32).collect();
        for (bytes, sum) in [(&[0; 32][..], 0x8a91_36aa), (&[0xff; 32], 0x62a8_ab43), (&counting, 0x46dd_794e), (b"123456789", 0xe306_9283)]
        {
            assert_eq!(crc32c([bytes]), sum);
            let (one, other) = bytes.split_at(bytes.len() / 3);
            assert_eq!(crc32c([one, other]), sum);
        }
        assert_eq!(crc32c([]), 0);
    }

    #[test]
    fn the_field_counts_as_zeros() {
        let mut structure = b"headABCDrest".to_vec();
        let sum = of_structure(&structure, [&b"more"[..]]);
        structure[4..8].fill(0);
        assert_eq!(sum, crc32c([&structure[..], b"more"]));
    }
}
