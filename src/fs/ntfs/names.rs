//! Names: UTF-16 on the disk, bytes for the rest of the program, compared without their case.

use crate::bytes::printable;
use std::cmp::Ordering;

/// A name as bytes: UTF-8, and where a surrogate stands alone, the three bytes that UTF-8 would have for it, so that different names stay
/// different.
pub(super) fn to_bytes(name: &[u16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for c in char::decode_utf16(name.iter().copied()) {
        match c {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(alone) => {
                let [high, low] = alone.unpaired_surrogate().to_be_bytes();
                out.extend([0xe0 | (high >> 4), 0x80 | ((high & 15) << 2) | (low >> 6), 0x80 | (low & 63)]);
            }
        }
    }
    out
}

/// The reverse of [`to_bytes`]; `None` for bytes that are no such name.
pub(super) fn to_units(mut name: &[u8]) -> Option<Vec<u16>> {
    let mut out = Vec::with_capacity(name.len());
    loop {
        match std::str::from_utf8(name) {
            Ok(text) => {
                out.extend(text.encode_utf16());
                return Some(out);
            }
            Err(error) => {
                let (valid, rest) = name.split_at_checked(error.valid_up_to())?;
                out.extend(std::str::from_utf8(valid).ok()?.encode_utf16());
                let ([0xed, middle @ 0xa0..=0xbf, last @ 0x80..=0xbf], rest) = rest.split_first_chunk()? else { return None };
                out.push(0xd000 | (u16::from(middle & 63) << 6) | u16::from(last & 63));
                name = rest;
            }
        }
    }
}

/// The same for people.
pub(super) fn to_text(name: &[u16]) -> String {
    printable(&String::from_utf16_lossy(name))
}

/// How characters become upper case: the table of the volume (`$UpCase`), or that of Unicode where it cannot be read.
#[derive(Debug)]
pub(super) struct UpCase {
    /// One unit for each; empty where there is none.
    table: Vec<u16>,
}

impl UpCase {
    pub(super) fn new(table: Vec<u16>) -> Self {
        Self { table }
    }

    /// Whether directories are sorted by it.
    pub(super) fn is_of_the_volume(&self) -> bool {
        !self.table.is_empty()
    }

    fn upper(&self, unit: u16) -> u16 {
        if let Some(upper) = self.table.get(usize::from(unit)) {
            return *upper;
        }
        let mut all = char::from_u32(u32::from(unit)).into_iter().flat_map(char::to_uppercase);
        match (all.next().map(|c| u16::try_from(u32::from(c))), all.next()) {
            (Some(Ok(one)), None) => one,
            _ => unit,
        }
    }

    /// Compares as directories are sorted, case apart.
    pub(super) fn compare(&self, a: &[u16], b: &[u16]) -> Ordering {
        a.iter().map(|unit| self.upper(*unit)).cmp(b.iter().map(|unit| self.upper(*unit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_to_bytes_and_back() {
        let names: [&[u16]; 6] = [&[], &[0x41], &[0xe9, 0x76d8], &[0xd83d, 0xde00], &[0xd800, 0x41, 0xdfff], &[0xde00, 0xd83d]];
        for name in names {
            let bytes = to_bytes(name);
            assert_eq!(to_units(&bytes).as_deref(), Some(name), "{bytes:x?}");
            assert_eq!(String::from_utf16(name).ok(), String::from_utf8(bytes).ok());
        }
        for bytes in [&b"\xff"[..], b"a\xed\xa0", b"\xed\xa0A", b"\xc0\x80", b"\xf4\x90\x80\x80"] {
            assert_eq!(to_units(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn case_is_folded() {
        let unicode = UpCase::new(vec![]);
        let name = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        assert_eq!(unicode.compare(&name("straße.äé"), &name("STRAßE.ÄÉ")), Ordering::Equal);
        assert_eq!(unicode.compare(&name("a"), &name("B")), Ordering::Less);
        assert_eq!(unicode.compare(&name("ab"), &name("A")), Ordering::Greater);
        let own = UpCase::new((0..128).map(|unit| if unit == 97 { 66 } else { unit }).collect());
        assert_eq!(own.compare(&name("a"), &name("B")), Ordering::Equal, "as the volume says");
    }
}
