//! Headers of a tar: POSIX.1-2017 *pax*, "ustar Interchange Format".

use crate::bytes::{ReadAt, ReadError, SECTOR, read_array};

/// The name of the first member of a tar that is not a note about the next one; `None` when this is no tar.
pub(super) fn first_member(bytes: &dyn ReadAt) -> Result<Option<String>, ReadError> {
    /// Notes that may stand before a member: a global header, its own, a long name, a long link.
    const NOTES: usize = 4;
    let mut at = 0_u64;
    let mut found = None;
    for _ in 0..=NOTES {
        if at.checked_add(SECTOR).is_none_or(|end| end > bytes.size()) {
            break;
        }
        let Some(header) = TarHeader::parse(&read_array(bytes, at)?) else { break };
        found = Some(header.name);
        if !matches!(header.kind, b'x' | b'g' | b'L' | b'K') {
            break;
        }
        let body = header.size.div_ceil(SECTOR).saturating_mul(SECTOR);
        at = at.saturating_add(SECTOR).saturating_add(body);
    }
    Ok(found)
}

struct TarHeader {
    name: String,
    size: u64,
    kind: u8,
}

impl TarHeader {
    /// A header whose sum is right: one rule that holds for every kind of tar, and that no boot sector meets by chance.
    fn parse(block: &[u8; 512]) -> Option<Self> {
        const SUM: std::ops::Range<usize> = 148..156;
        let stored = octal(block.get(SUM)?)?;
        let counted = block.iter().enumerate().map(|(at, byte)| if SUM.contains(&at) { 32 } else { u64::from(*byte) });
        if stored != counted.sum::<u64>() {
            return None;
        }
        let name = String::from_utf8_lossy(block.get(..100)?.split(|byte| *byte == 0).next()?).into_owned();
        Some(Self { name, size: octal(block.get(124..136)?).unwrap_or_default(), kind: *block.get(156)? })
    }
}

/// Octal digits between spaces, ended by a space or a NUL.
fn octal(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(field).ok()?.trim_start_matches(' ');
    u64::from_str_radix(text.split([' ', '\0']).next()?, 8).ok()
}
