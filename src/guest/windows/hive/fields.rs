//! Little-endian fields and names in slices of unknown length.

pub(super) use crate::bytes::field::{le16 as u16_at, le32 as u32_at, le64 as u64_at, part as slice_at};

/// UTF-16LE text; a last odd byte is left out, and what is no character becomes U+FFFD.
pub(in crate::guest::windows) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// A name as cells keep it: one byte per character where all characters are below U+0100 (`compressed`), else UTF-16LE.
pub(super) fn name(bytes: &[u8], compressed: bool) -> String {
    if compressed { bytes.iter().copied().map(char::from).collect() } else { utf16(bytes) }
}

/// A character as names are compared: in upper case, where that is one character.
///
/// Windows keeps a table of its own; both agree on ASCII. Letters outside ASCII never fold into ASCII, so that equal ASCII names have equal
/// hashes.
pub(super) fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut many = c.to_uppercase();
    match (many.next(), many.next()) {
        (Some(one), None) if !one.is_ascii() => one,
        _ => c,
    }
}

/// Whether two names are the same key or value.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one.chars().map(upper).eq(other.chars().map(upper))
}

/// The hash of a key name in an `lh` list: 37 times the hash so far plus the upper-case UTF-16 unit.
pub(super) fn name_hash(name: &str) -> u32 {
    let mut hash = 0_u32;
    for unit in name.chars().map(upper).flat_map(|c| {
        let mut units = [0; 2];
        let len = c.encode_utf16(&mut units).len();
        units.into_iter().take(len)
    }) {
        hash = hash.wrapping_mul(37).wrapping_add(u32::from(unit));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_where_the_bytes_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u16_at(&bytes, 6), Some(0x0807));
        assert_eq!(u16_at(&bytes, 7), None);
        assert_eq!(u32_at(&bytes, 4), Some(0x0807_0605));
        assert_eq!(u32_at(&bytes, usize::MAX), None);
        assert_eq!(u64_at(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(u64_at(&bytes, 1), None);
        assert_eq!(slice_at(&bytes, 6, 2), Some(&[7, 8][..]));
        assert_eq!(slice_at(&bytes, 6, usize::MAX), None);
    }

    #[test]
    fn names_fold_like_the_registry_does() {
        assert!(same_name("ControlSet001", "CONTROLSET001"));
        assert!(same_name("grün", "GRÜN"));
        assert!(!same_name("a", "ab"));
        // A long s is no s: its upper case is in ASCII.
        assert!(!same_name("ſ", "S"));
        assert!(same_name("ß", "ß") && !same_name("ß", "SS"));
        // 37 * 'A' + 'B', in either case.
        assert_eq!(name_hash("ab"), 37 * 0x41 + 0x42);
        assert_eq!(name_hash("aB"), name_hash("AB"));
    }

    #[test]
    fn names_are_latin_1_or_utf_16() {
        assert_eq!(name(b"gr\xfcn", true), "grün");
        assert_eq!(name(b"a\0\x16\x4e", false), "a世");
        assert_eq!(name(b"a\0b", false), "a");
        assert_eq!(name(b"\0\xd8a\0", false), "\u{fffd}a");
    }
}
