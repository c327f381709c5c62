//! Labels and identities in the form in which libblkid prints them.

use crate::bytes::Guid;

/// A label kept as bytes: up to the first NUL, without white space at the end; `None` when nothing is left.
pub(crate) fn label(field: &[u8]) -> Option<String> {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    trimmed(String::from_utf8_lossy(text).into_owned())
}

/// A label kept as UTF-16.
pub(crate) fn label_utf16(field: &[u8], big_endian: bool) -> Option<String> {
    trimmed(utf16(field, big_endian))
}

/// UTF-16 up to the first NUL; lone surrogates and half units become replacement characters or nothing.
pub(crate) fn utf16(field: &[u8], big_endian: bool) -> String {
    let units = field.as_chunks::<2>().0.iter().map(|pair| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
    char::decode_utf16(units.take_while(|unit| *unit != 0)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn trimmed(mut text: String) -> Option<String> {
    // The white space of the C locale, not of Unicode.
    let end = text.trim_end_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']).len();
    text.truncate(end);
    (!text.is_empty()).then_some(text)
}

/// A UUID in the order in which it is kept; all zeros are none.
pub(crate) fn uuid(bytes: [u8; 16]) -> Option<String> {
    let guid = Guid(bytes);
    (!guid.is_nil()).then(|| guid.to_string())
}

/// A 32-bit volume serial number: `A0E5-0001`; zero is none.
pub(crate) fn serial(number: u32) -> Option<String> {
    (number != 0).then(|| format!("{:04X}-{:04X}", number >> 16, number & 0xffff))
}

/// LVM's 32 characters, hyphenated 6-4-4-4-4-4-6.
pub(crate) fn lvm(id: &[u8; 32]) -> Option<String> {
    if id.iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut text = String::with_capacity(38);
    for (place, byte) in id.iter().enumerate() {
        if matches!(place, 6 | 10 | 14 | 18 | 22 | 26) {
            text.push('-');
        }
        text.push(char::from(*byte));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_end_at_nul_and_lose_trailing_blanks() {
        assert_eq!(label(b"root \t\0junk"), Some("root".into()));
        assert_eq!(label(b" lead"), Some(" lead".into()));
        assert_eq!(label(b"   \0"), None);
        assert_eq!(label(b""), None);
        assert_eq!(label(b"bad\xff"), Some("bad\u{fffd}".into()));
        assert_eq!(label_utf16(&[b'a', 0, 0x3d, 0xd8, 0x0a, 0xde, 0, 0, b'b', 0], false), Some("a\u{1f60a}".into()));
        assert_eq!(label_utf16(&[0, b'a', 0xd8, 0x3d, 0], true), Some("a\u{fffd}".into()));
    }

    #[test]
    fn identities_take_libblkids_forms() {
        assert_eq!(serial(0xa0e5_0001), Some("A0E5-0001".into()));
        assert_eq!(serial(0), None);
        assert_eq!(uuid([0; 16]), None);
        assert_eq!(lvm(b"abcdefGHIJKLmnopQRSTuvwxYZ012345"), Some("abcdef-GHIJ-KLmn-opQR-STuv-wxYZ-012345".into()));
    }
}
