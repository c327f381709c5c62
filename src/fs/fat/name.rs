//! Names: eight and three bytes of an old code page, and before them long names in UTF-16, thirteen units an entry, last part first.
//!
//! Sections 6 and 7 of the format's document; the bits for lower case are Windows NT's (`fs/fat/dir.c` of Linux).

/// Parts of a long name: 255 units need 20.
const MAX_PARTS: u8 = 20;
/// Code page 437, its upper half: what short names are written in unless someone chose otherwise.
const CP437: &str =
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
/// Bits of the byte behind the attributes: the name, the extension is shown in lower case.
const LOWER_NAME: u8 = 0x8;
const LOWER_EXTENSION: u8 = 0x10;

/// The parts of a long name, as they come before the short one.
#[derive(Debug, Default)]
pub(super) struct Long {
    /// Units, the last part's first; every part kept as it came.
    parts: Vec<[u16; 13]>,
    /// Number of the part that has to come next; 0 when all are there.
    next: u8,
    checksum: u8,
}

impl Long {
    /// Takes one part. A part out of order ends what came before.
    pub(super) fn take(&mut self, entry: &[u8; 32]) {
        let [order, units @ ..] = *entry;
        let number = order & 0x3f;
        let checksum = entry.get(13).copied().unwrap_or_default();
        if order & 0x40 != 0 {
            *self = Self { parts: vec![], next: number, checksum };
        }
        if number == 0 || number > MAX_PARTS || number != self.next || checksum != self.checksum {
            *self = Self::default();
            return;
        }
        let places = [(0, 5), (13, 6), (27, 2)];
        let pairs = places.into_iter().flat_map(|(at, count)| units.get(at..).unwrap_or_default().as_chunks::<2>().0.iter().take(count));
        let mut part = [0; 13];
        for (to, pair) in part.iter_mut().zip(pairs) {
            *to = u16::from_le_bytes(*pair);
        }
        self.parts.push(part);
        self.next = number.saturating_sub(1);
    }

    /// The name for the short entry that follows; `None` where the parts are not all there or are another's.
    pub(super) fn finish(&mut self, short: &[u8; 11]) -> Option<String> {
        let Self { parts, next, checksum } = std::mem::take(self);
        let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if parts.is_empty() || next != 0 || sum != checksum {
            return None;
        }
        let units: Vec<u16> = parts.into_iter().rev().flatten().take_while(|unit| *unit != 0).collect();
        (units.len() <= 255).then(|| String::from_utf16_lossy(&units))
    }
}

/// A short name as it is shown.
pub(super) fn short(raw: &[u8; 11], lower: u8) -> String {
    let (name, extension) = raw.split_at_checked(8).unwrap_or((raw, &[]));
    let part = |bytes: &[u8], bit: u8| {
        let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last.saturating_add(1));
        let text: String = bytes.iter().take(end).map(|byte| shown(*byte)).collect();
        if lower & bit != 0 { text.to_lowercase() } else { text }
    };
    // A first byte of 0xe5 would mean a deleted entry.
    let mut name = name.to_vec();
    if let Some(first @ 0x05) = name.first_mut() {
        *first = 0xe5;
    }
    let (name, extension) = (part(&name, LOWER_NAME), part(extension, LOWER_EXTENSION));
    if extension.is_empty() { name } else { format!("{name}.{extension}") }
}

fn shown(byte: u8) -> char {
    match byte.checked_sub(0x80) {
        None => char::from(byte),
        Some(upper) => CP437.chars().nth(usize::from(upper)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of a long name, as they stand before the short one.
    fn entries(name: &str, short: &[u8; 11]) -> Vec<[u8; 32]> {
        let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let mut units: Vec<u16> = name.encode_utf16().collect();
        if !units.len().is_multiple_of(13) {
            units.push(0);
        }
        while !units.len().is_multiple_of(13) {
            units.push(0xffff);
        }
        let parts: Vec<_> = units.chunks(13).collect();
        let entry = |(index, part): (usize, &&[u16])| {
            let mut entry = [0; 32];
            entry[0] = (index as u8 + 1) | if index + 1 == parts.len() { 0x40 } else { 0 };
            (entry[11], entry[13]) = (0x0f, sum);
            for (unit, at) in part.iter().zip([1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]) {
                entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
            }
            entry
        };
        parts.iter().enumerate().map(entry).rev().collect()
    }

    fn read(list: &[[u8; 32]], short: &[u8; 11]) -> Option<String> {
        let mut long = Long::default();
        list.iter().for_each(|entry| long.take(entry));
        long.finish(short)
    }

    #[test]
    fn long_names_come_together_from_their_parts() {
        let short = b"ABCDEF~1TXT";
        for name in ["a", "thirteen.char", "fourteen.chars", "日本語のファイル名.txt", "🦀🦀🦀🦀🦀🦀🦀🦀", &"x".repeat(255)]
        {
            let list = entries(name, short);
            assert_eq!(read(&list, short).as_deref(), Some(name));
            assert_eq!(read(&list, b"ABCDEF~2TXT"), None, "another's");
            assert_eq!(read(&list[1..], short), None, "without its last part");
            assert_eq!(read(&list[..list.len() - 1], short), None, "without its first part");
            let twice = [&list[..], &list[..]].concat();
            assert_eq!(read(&twice, short).as_deref(), Some(name), "a new beginning");
        }
    }

    #[test]
    fn damaged_parts_give_no_name_and_no_panic() {
        let short = b"ABCDEF~1TXT";
        let good = entries("some long file name.txt", short);
        for entry in 0..good.len() {
            for at in 0..32 {
                for value in [0, 1, 0x41, 0x7f, 0xff] {
                    let mut list = good.clone();
                    list[entry][at] = value;
                    drop(read(&list, short));
                }
            }
        }
    }

    #[test]
    fn short_names_are_shown_as_dos_and_nt_do() {
        for (raw, lower, name) in [
            (b"README  TXT", 0, "README.TXT"),
            (b"README  TXT", 0x18, "readme.txt"),
            (b"README  TXT", 0x08, "readme.TXT"),
            (b"README  TXT", 0x10, "README.txt"),
            (b"NOEXT      ", 0, "NOEXT"),
            (b"A B     C  ", 0, "A B.C"),
            (b"\x05BC        ", 0, "σBC"),
            (b"\x8e\x99\x9a     TXT", 0, "ÄÖÜ.TXT"),
        ] {
            assert_eq!(short(raw, lower), name);
        }
        assert_eq!(CP437.chars().count(), 128);
    }
}
