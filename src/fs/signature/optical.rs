//! UDF and ISO 9660, on disks as on discs.
//!
//! Both begin with a sequence of volume descriptors at 32 KiB: ECMA-119 section 8, ECMA-167 parts 2 and 3, and OSTA UDF 2.60.

use crate::bytes::{KIB, ReadAt, ReadError, int_usize};
use crate::volume::block::{Block, sized};
use crate::volume::text::{label, label_utf16, utf16};
use crate::volume::{Content, Probed};

/// Where the descriptors begin, and how long each is.
const START: u64 = 32 * KIB;
const SECTOR: u64 = 2 * KIB;
/// Descriptors to look through; real images have fewer than ten.
const SEQUENCE: u64 = 64;

/// `iso9660`, also in its older form, High Sierra.
pub(in crate::fs) fn iso9660(bytes: &dyn ReadAt) -> Probed {
    let Some(primary) = Block::at(bytes, START, int_usize(SECTOR))? else { return Ok(None) };
    if primary.has(9, b"CDROM") {
        let name = label(primary.slice(48, 32));
        return Ok(Some(Content { label: name, version: Some("High Sierra".to_owned()), ..Content::new("iso9660") }));
    }
    if !primary.has(1, b"CD001") {
        return Ok(None);
    }
    let joliet = joliet(bytes)?;
    let name = primary.slice(40, 32);
    Ok(Some(Content {
        // Modified, or else created.
        uuid: date(primary.slice(830, 17)).or_else(|| date(primary.slice(813, 17))),
        label: match &joliet {
            Some(descriptor) => joliet_label(descriptor.slice(40, 32), name),
            None => label(name),
        },
        size: sized(u64::from(primary.le32(80)), u64::from(primary.le16(128))),
        version: joliet.map(|_| "Joliet Extension".to_owned()),
        ..Content::new("iso9660")
    }))
}

/// The supplementary descriptor that holds names in UCS-2.
fn joliet(bytes: &dyn ReadAt) -> Result<Option<Block>, ReadError> {
    const SUPPLEMENTARY: u8 = 2;
    const END: u8 = 0xff;
    for number in 1..SEQUENCE {
        let at = START.saturating_add(SECTOR.saturating_mul(number));
        let Some(descriptor) = Block::at(bytes, at, 128)? else { break };
        let escape = descriptor.array::<3>(88);
        match descriptor.u8(0) {
            END => break,
            SUPPLEMENTARY if [*b"%/@", *b"%/C", *b"%/E"].contains(&escape) => return Ok(Some(descriptor)),
            _ => {}
        }
    }
    Ok(None)
}

/// The label in UCS-2 has room for 16 characters, the primary one for 32 but only of capitals: where they agree, the first
/// one gives the beginning and the second one what follows.
fn joliet_label(ucs2: &[u8], primary: &[u8]) -> Option<String> {
    let wide = utf16(ucs2, true);
    let plain = label(primary).unwrap_or_default();
    let agrees = wide.chars().zip(plain.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || b == '_');
    let rest: String = plain.chars().skip(16).collect();
    if wide.chars().count() == 16 && agrees {
        return label(format!("{wide}{rest}").as_bytes());
    }
    label_utf16(ucs2, true).or_else(|| label(primary))
}

/// 16 digits of a date; none when it was not set.
fn date(field: &[u8]) -> Option<String> {
    let (digits, offset) = field.split_at_checked(16)?;
    let unset = digits.iter().all(|digit| *digit == b'0') && offset == [0];
    if unset || digits.iter().any(|digit| !digit.is_ascii_graphic()) {
        return None;
    }
    let mut text = String::with_capacity(22);
    for (place, digit) in digits.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10 | 12 | 14) {
            text.push('-');
        }
        text.push(char::from(*digit));
    }
    Some(text)
}

/// Tags of UDF descriptors.
const PRIMARY: u16 = 1;
const ANCHOR: u16 = 2;
const LOGICAL: u16 = 6;
const TERMINATING: u16 = 8;
const INTEGRITY: u16 = 9;

/// `udf`: a recognition sequence that names it, and the anchor in block 256.
pub(in crate::fs) fn udf(bytes: &dyn ReadAt) -> Probed {
    /// Block sizes with which a UDF can be made.
    const BLOCKS: [u64; 4] = [512, 1024, 2048, 4096];
    /// Descriptors in the main sequence; 16 is what formatters reserve.
    const DESCRIPTORS: u64 = 256;
    for block in BLOCKS {
        if !recognised(bytes, block.max(SECTOR))? {
            continue;
        }
        let Some(anchor) = descriptor(bytes, 256, block)?.filter(|anchor| anchor.le16(0) == ANCHOR) else { continue };
        let count = u64::from(anchor.le32(16)).checked_div(block).unwrap_or_default().min(DESCRIPTORS);
        let first = u64::from(anchor.le32(20));
        let mut found = Content::new("udf");
        let mut revision = 0;
        let mut integrity = None;
        for number in first..first.saturating_add(count) {
            let Some(one) = descriptor(bytes, number, block)? else { break };
            match one.le16(0) {
                0 | TERMINATING => break,
                PRIMARY if found.uuid.is_none() => found.uuid = volume_set(&dstring(one.slice(72, 128))),
                LOGICAL => {
                    found.label = found.label.or_else(|| label(dstring(one.slice(84, 128)).as_bytes()));
                    if one.has(217, b"*OSTA UDF Compliant") {
                        revision = one.le16(240);
                    }
                    integrity = integrity.or(Some((u64::from(one.le32(432)), u64::from(one.le32(436)))));
                }
                _ => {}
            }
        }
        if let Some((_, at)) = integrity.filter(|(length, at)| *length >= 512 && *at != 0)
            && let Some(state) = descriptor(bytes, at, block)?.filter(|state| state.le16(0) == INTEGRITY)
        {
            // Type 1 is a closed volume, 0 an open one. The minimum revision to read follows two tables, one entry of
            // each for every partition.
            found.clean = Some(state.le32(28) == 1);
            let tables = int_usize(u64::from(state.le32(72))).saturating_mul(8);
            let least = state.le16(tables.saturating_add(80 + 40));
            if state.le32(76) >= 46 && least != 0 {
                revision = least;
            }
        }
        found.version = (revision != 0).then(|| format!("{}.{:02}", revision >> 8, revision & 0xff));
        return Ok(Some(found));
    }
    Ok(None)
}

/// Whether the volume recognition sequence, in steps of `step`, names UDF.
fn recognised(bytes: &dyn ReadAt, step: u64) -> Result<bool, ReadError> {
    for number in 0..SEQUENCE {
        let Some(sector) = Block::at(bytes, START.saturating_add(step.saturating_mul(number)), 8)? else { break };
        if sector.has(1, b"NSR02") || sector.has(1, b"NSR03") {
            return Ok(true);
        }
        if ![b"BEA01", b"BOOT2", b"CD001", b"CDW02", b"TEA01"].iter().any(|name| sector.has(1, *name)) {
            break;
        }
    }
    Ok(false)
}

/// A descriptor that lies in the block that it names.
fn descriptor(bytes: &dyn ReadAt, number: u64, block: u64) -> Result<Option<Block>, ReadError> {
    let found = Block::at(bytes, number.saturating_mul(block), 512)?;
    Ok(found.filter(|descriptor| u64::from(descriptor.le32(12)) == number))
}

/// OSTA compressed Unicode: the first byte gives the width, the last one the length in use.
fn dstring(field: &[u8]) -> String {
    let Some(([width], rest)) = field.split_first_chunk::<1>() else { return String::new() };
    let Some((length, text)) = rest.split_last() else { return String::new() };
    let used = usize::from(*length).saturating_sub(1).min(text.len());
    let text = text.get(..used).unwrap_or_default();
    match width {
        8 => text.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect(),
        16 => utf16(text, true),
        _ => String::new(),
    }
}

/// libblkid's identity of a UDF: the first 16 characters of the volume set identifier if they are hexadecimal digits; where
/// they stop being ones, the characters' codes.
fn volume_set(identifier: &str) -> Option<String> {
    let head: Vec<u8> = identifier.bytes().take(16).collect();
    let digits = head.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect::<String>();
    // A string shorter than needed is followed by NULs.
    let codes = |from: usize, count: usize| {
        head.iter().copied().chain(std::iter::repeat(0)).skip(from).take(count).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    match (head.len(), digits) {
        (..8, _) => None,
        (_, 16) => Some(text(&head)),
        (_, ..8) => Some(codes(0, 8)),
        _ => Some(text(head.get(..8).unwrap_or_default()) + &codes(8, 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{disk, matches};

    #[test]
    fn iso_with_and_without_joliet() {
        let date = b"2024010203040500\0";
        let primary: &[(u64, &[u8])] = &[(START + 1, b"CD001"), (START + 40, b"LONG_LABEL_OF_A_DISC            "), (START + 813, date)];
        let found = matches(iso9660, 1 << 20, primary, &[START + 1, START + 5]);
        assert_eq!(found.uuid.as_deref(), Some("2024-01-02-03-04-05-00"));
        assert_eq!(found.label.as_deref(), Some("LONG_LABEL_OF_A_DISC"));

        let wide: Vec<u8> = "Long Label of a ".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut parts = primary.to_vec();
        parts.extend([(START + SECTOR, &b"\x02CD001"[..]), (START + SECTOR + 40, &wide), (START + SECTOR + 88, b"%/E")]);
        assert_eq!(iso9660(&disk(1 << 20, &parts)).unwrap().unwrap().label.as_deref(), Some("Long Label of a DISC"));

        matches(iso9660, 1 << 20, &[(START + 9, b"CDROM"), (START + 48, b"OLD")], &[START + 9]);
    }

    #[test]
    fn udf_in_every_block_size() {
        for block in [512_u64, 1024, 2048, 4096] {
            let step = block.max(SECTOR);
            let tag = |kind: u8, number: u64| {
                let mut tag = [0; 16];
                tag[0] = kind;
                tag[12..].copy_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
                tag
            };
            let (anchor, primary, logical) = (tag(2, 256), tag(1, 300), tag(6, 301));
            let extent = [(16 * u32::try_from(block).unwrap()).to_le_bytes(), 300_u32.to_le_bytes()].concat();
            let parts: &[(u64, &[u8])] = &[
                (START + 1, b"BEA01"),
                (START + step + 1, b"NSR03"),
                (256 * block, &anchor),
                (256 * block + 16, &extent),
                (300 * block, &primary),
                (300 * block + 72, b"\x081234ABCDfedcba98LinuxUDF"),
                (300 * block + 199, &[26]),
                (301 * block, &logical),
                (301 * block + 84, b"\x10\0d\0i\0s\0c"),
                (301 * block + 211, &[9]),
            ];
            let found = matches(udf, 2 << 20, parts, &[START + 1, START + step + 1, 256 * block, 256 * block + 12]);
            assert_eq!(found.uuid.as_deref(), Some("1234abcdfedcba98"), "{block}");
            assert_eq!(found.label.as_deref(), Some("disc"));
        }
    }

    #[test]
    fn volume_sets_of_any_text() {
        assert_eq!(volume_set("1234567"), None);
        assert_eq!(volume_set("1234567x"), Some("3132333435363778".into()));
        assert_eq!(volume_set("1234ABCDxy"), Some("1234abcd78790000".into()));
    }
}
