//! Fields of little-endian structures, by the offsets that the format's document gives.
//!
//! A field that lies outside reads as zero, which means "not set" in every structure of ext4.

pub(super) use crate::fs::fields::{be16, be32, byte, le16, le32};

/// `len` bytes at `at`, fewer where the structure ends.
pub(super) fn part(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.get(..len).unwrap_or(rest)
}

/// A number whose halves are kept apart.
pub(super) fn joined(high: u32, low: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}

/// Writes bytes at `at`; what would lie outside is left out.
pub(super) fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(new) {
        *to = *from;
    }
}
