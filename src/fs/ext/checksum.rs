//! The checksums of metadata: CRC-32C with the register as seed and result, the older CRC-16 of group descriptors, and the first journals'
//! CRC-32.

/// x^16 + x^15 + x^2 + 1, bits reversed.
const CRC16: u16 = 0xa001;

/// CRC-32C that goes on from `seed`; neither inverted before nor after.
pub(super) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    // The crate inverts both, as RFC 3720 has it.
    !crc32c::crc32c_append(!seed, bytes)
}

/// The same with `len` bytes at `hole`, where the checksum itself is kept, taken as zeros.
pub(super) fn crc32c_without(seed: u32, bytes: &[u8], hole: usize, len: usize) -> u32 {
    let before = crc32c(seed, bytes.get(..hole).unwrap_or(bytes));
    let Some(after) = bytes.get(hole.saturating_add(len)..) else { return before };
    crc32c((0..len).fold(before, |sum, _| crc32c(sum, &[0])), after)
}

/// CRC-32 of Ethernet that goes on from `seed`, the highest bit first: what Linux calls `crc32_be`.
pub(super) fn crc32(seed: u32, bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum >> 31 == 0 { sum << 1 } else { (sum << 1) ^ 0x04c1_1db7 };
    bytes.iter().fold(seed, |sum, byte| (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| step(sum)))
}

/// CRC-16 that goes on from `seed`.
pub(super) fn crc16(seed: u16, bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(seed, |sum, byte| (0..8).fold(sum ^ u16::from(*byte), |sum, _| if sum & 1 == 0 { sum >> 1 } else { (sum >> 1) ^ CRC16 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32(!0, b"123456789"), 0x0376_e6e7);
        assert_eq!(crc16(0, b"123456789"), 0xbb3d);
        assert_eq!(crc32c_without(!0, b"12345ABCD6789", 5, 4), crc32c(!0, b"12345\0\0\0\x006789"));
    }
}
