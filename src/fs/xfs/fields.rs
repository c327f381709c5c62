//! Fields of XFS: the common ones, and checksums.

pub(super) use crate::fs::fields::{array, be16, be32, be64, byte, le16, le32, le64, part};

/// Writes `from` at `at`, as far as there is room.
pub(in crate::fs) fn put(bytes: &mut [u8], at: usize, from: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(from) {
        *to = *from;
    }
}

/// CRC-32C of `bytes` with its own field at `at` blank.
pub(super) fn checksum(bytes: &[u8], at: usize) -> u32 {
    let (before, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    let after = rest.get(4..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]), after)
}

/// Whether the checksum at `at`, which alone is little-endian, is right.
pub(super) fn sealed(bytes: &[u8], at: usize) -> bool {
    checksum(bytes, at) == le32(bytes, at)
}

/// Puts the checksum right.
pub(in crate::fs) fn seal(bytes: &mut [u8], at: usize) {
    let sum = checksum(bytes, at);
    put(bytes, at, &sum.to_le_bytes());
}
