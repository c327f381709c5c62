//! Fields of on-disk structures; all of NTFS is little-endian.

use crate::bytes::int_usize;

pub(super) use crate::bytes::field::{le16, le32, le64, part};

/// The byte at `at`; `None` where the bytes end before, as for the others here.
pub(super) fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// 16 bits at `at`, as an offset or a length.
pub(super) fn len16(bytes: &[u8], at: usize) -> Option<usize> {
    le16(bytes, at).map(usize::from)
}

/// 32 bits at `at`, as an offset or a length.
pub(super) fn len32(bytes: &[u8], at: usize) -> Option<usize> {
    le32(bytes, at).map(|value| int_usize(u64::from(value)))
}

/// UTF-16 code units.
pub(super) fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect()
}
