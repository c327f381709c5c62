//! Fields of structures in slices, by the offsets that their documents give; `None` where the slice ends before.

/// `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// `len` bytes at `at`.
pub(crate) fn part(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}

/// 16 bits at `at`, little-endian.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// 32 bits at `at`, little-endian.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// 64 bits at `at`, little-endian.
pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// 16 bits at `at`, big-endian.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// 32 bits at `at`, big-endian.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// 64 bits at `at`, big-endian.
pub(crate) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_where_the_bytes_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!((le16(&bytes, 6), be16(&bytes, 6)), (Some(0x0807), Some(0x0708)));
        assert_eq!((le16(&bytes, 7), be16(&bytes, 7)), (None, None));
        assert_eq!((le32(&bytes, 4), be32(&bytes, 4)), (Some(0x0807_0605), Some(0x0506_0708)));
        assert_eq!(le32(&bytes, usize::MAX), None);
        assert_eq!((le64(&bytes, 0), be64(&bytes, 0)), (Some(0x0807_0605_0403_0201), Some(0x0102_0304_0506_0708)));
        assert_eq!(le64(&bytes, 1), None);
        assert_eq!(part(&bytes, 6, 2), Some(&[7, 8][..]));
        assert_eq!(part(&bytes, 6, usize::MAX), None);
    }
}
