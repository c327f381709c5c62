//! Fields by their offsets; one that lies outside reads as zero, so what depends on it is checked where it is used.

use crate::bytes::field;

pub(in crate::fs) use field::part;

/// `N` bytes at `at`.
pub(in crate::fs) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    field::array(bytes, at).unwrap_or([0; N])
}

pub(in crate::fs) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or_default()
}

pub(in crate::fs) fn le16(bytes: &[u8], at: usize) -> u16 {
    field::le16(bytes, at).unwrap_or_default()
}

pub(in crate::fs) fn le32(bytes: &[u8], at: usize) -> u32 {
    field::le32(bytes, at).unwrap_or_default()
}

pub(in crate::fs) fn le64(bytes: &[u8], at: usize) -> u64 {
    field::le64(bytes, at).unwrap_or_default()
}

pub(in crate::fs) fn be16(bytes: &[u8], at: usize) -> u16 {
    field::be16(bytes, at).unwrap_or_default()
}

pub(in crate::fs) fn be32(bytes: &[u8], at: usize) -> u32 {
    field::be32(bytes, at).unwrap_or_default()
}

pub(in crate::fs) fn be64(bytes: &[u8], at: usize) -> u64 {
    field::be64(bytes, at).unwrap_or_default()
}
