//! The checksums that superblocks carry.

/// CRC-32 with the register as start and result, without the inversions that `crc32fast` follows zlib in: what the Linux
/// kernel calls `crc32_le`.
pub(crate) fn crc32_le(register: u32, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(!register);
    hasher.update(data);
    !hasher.finalize()
}

/// Castagnoli's polynomial, bits reversed.
const CRC32C: u32 = 0x82f6_3b78;

/// CRC-32C (RFC 3720, appendix B.4), with the register as start and result. A superblock is small: bit by bit is fast enough.
pub(crate) fn crc32c_le(register: u32, data: &[u8]) -> u32 {
    data.iter().fold(register, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |r, _| if r & 1 == 1 { (r >> 1) ^ CRC32C } else { r >> 1 })
    })
}

/// CRC-32C as it is usually kept: all ones at the start, inverted at the end.
pub(crate) fn crc32c(data: &[u8]) -> u32 {
    !crc32c_le(u32::MAX, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(!crc32_le(u32::MAX, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
