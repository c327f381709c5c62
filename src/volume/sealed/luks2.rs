//! LUKS2's headers: 4 KiB of fixed fields, then JSON, twice.
//!
//! Source: LUKS2 On-Disk Format Specification 1.1.1, sections 2 (headers) and 3 (JSON).

use super::super::block::Block;
use super::luks::Luks;
use crate::bytes::{KIB, MIB, ReadAt, ReadError, int_usize, read_vec};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The fixed fields.
const FIXED: u64 = 4096;
/// A header with its JSON is never longer.
const MAX_SIZE: u64 = 4 * MIB;
/// The specification's own limit for slots, tokens and segments.
const MAX_OBJECTS: usize = 32;
/// Requirements that are told.
const MAX_REQUIREMENTS: usize = 16;

/// The parts of the JSON that are told. Keys, salts and digests are passed over.
#[derive(Deserialize)]
struct Json {
    #[serde(default)]
    keyslots: BTreeMap<String, KeySlot>,
    #[serde(default)]
    tokens: BTreeMap<String, Typed>,
    #[serde(default)]
    segments: BTreeMap<String, Segment>,
    #[serde(default)]
    config: Config,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct KeySlot {
    #[serde(rename = "type")]
    kind: String,
    key_size: Option<u64>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(rename = "type")]
    kind: String,
    /// A number as text.
    offset: Option<String>,
    encryption: Option<String>,
    sector_size: Option<u64>,
    integrity: Option<Typed>,
    #[serde(default)]
    flags: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Config {
    #[serde(default)]
    requirements: Requirements,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Requirements {
    Mandatory {
        #[serde(default)]
        mandatory: Vec<String>,
    },
    Other(IgnoredAny),
}

impl Default for Requirements {
    fn default() -> Self {
        Self::Mandatory { mandatory: Vec::new() }
    }
}

/// Adds what the JSON of the header at `at`, or of its other copy, says. Of two that are right the one with the higher sequence
/// number counts, which is how cryptsetup chooses.
pub(super) fn read(bytes: &dyn ReadAt, at: u64, header: &Block, found: &mut Luks) -> Result<(), ReadError> {
    let mut copies = vec![(header.be64(16), copy(bytes, at, header)?)];
    let size = header.be64(8);
    if at == 0
        && let Some(second) = Block::at(bytes, size, 512)?
        && second.has(0, b"SKUL\xba\xbe\0\x02")
        && second.be64(256) == size
    {
        copies.push((second.be64(16), copy(bytes, size, &second)?));
    }
    let mut best: Option<(u64, Json)> = None;
    for (sequence, copy) in copies {
        match copy {
            Ok(json) if best.as_ref().is_none_or(|(last, _)| sequence > *last) => best = Some((sequence, json)),
            Ok(_) => {}
            Err(problem) => found.problems.push(problem),
        }
    }
    if let Some((_, json)) = best {
        tell(json, found);
    }
    Ok(())
}

/// One copy of the JSON, or what is wrong with it.
fn copy(bytes: &dyn ReadAt, at: u64, header: &Block) -> Result<Result<Json, String>, ReadError> {
    let which = if at == 0 { "the first header" } else { "the second header" };
    let size = header.be64(8);
    if !(16 * KIB..=MAX_SIZE).contains(&size) || !size.is_power_of_two() {
        return Ok(Err(format!("{which} says that it has {size} bytes")));
    }
    if at.checked_add(size).is_none_or(|end| end > bytes.size()) {
        return Ok(Err(format!("{which} is cut off")));
    }
    let json = read_vec(bytes, at.saturating_add(FIXED), int_usize(size.saturating_sub(FIXED)))?;
    // Other algorithms are allowed; this is the one that cryptsetup writes.
    if header.has(72, b"sha256\0") {
        let fixed = read_vec(bytes, at, int_usize(FIXED))?;
        let (before, after) = (fixed.get(..448).unwrap_or_default(), fixed.get(512..).unwrap_or_default());
        let digest = Sha256::new().chain_update(before).chain_update([0; 64]).chain_update(after).chain_update(&json).finalize();
        if fixed.get(448..480) != Some(digest.as_slice()) {
            return Ok(Err(format!("the checksum of {which} is wrong")));
        }
    }
    let text = json.split(|byte| *byte == 0).next().unwrap_or_default();
    let parsed: Result<Json, _> = serde_json::from_slice(text);
    Ok(parsed.map_err(|error| format!("{which} cannot be read: {error}")))
}

fn tell(json: Json, found: &mut Luks) {
    let mut tokens: Vec<String> = json.tokens.into_values().take(MAX_OBJECTS).map(|token| token.kind).collect();
    tokens.sort();
    found.tokens = tokens;
    let slots = || json.keyslots.values().filter(|slot| slot.kind == "luks2");
    found.key_slots = slots().count();
    found.key_bits = slots().find_map(|slot| slot.key_size).map(|size| size.saturating_mul(8));
    if let Requirements::Mandatory { mandatory } = json.config.requirements {
        found.requirements = mandatory.into_iter().take(MAX_REQUIREMENTS).collect();
    }
    // While a volume is encrypted anew, segments of what it was and will be stand beside those of what it is.
    let now = json.segments.into_values().filter(|segment| !segment.flags.iter().any(|flag| flag.starts_with("backup-")));
    let mut now: Vec<Segment> = now.collect();
    let data = now.iter().filter_map(|segment| segment.offset.as_ref()?.parse().ok()).min();
    found.data_offset = data;
    found.detached = data == Some(0);
    if let Some(place) = now.iter().position(|segment| segment.kind == "crypt") {
        let segment = now.swap_remove(place);
        found.cipher = segment.encryption;
        found.sector_size = segment.sector_size;
        found.integrity = segment.integrity.map(|integrity| integrity.kind);
    } else if let Some(segment) = now.first() {
        // Not encrypted by Linux: linear while it is being decrypted, hw-opal where the drive itself encrypts.
        found.problems.push(format!("a segment of type {}", segment.kind));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ID, disk, matches};
    use super::super::luks::probe;
    use super::*;
    use crate::bytes::{Overlay, int_u64};

    const JSON: &str = r#"{"keyslots":{"0":{"type":"luks2","key_size":64,"af":{"type":"luks1"}},"1":{"type":"luks2","key_size":64},
        "2":{"type":"reencrypt","key_size":1}},"tokens":{"0":{"type":"systemd-tpm2","keyslots":["1"]},"1":{"type":"clevis","jwe":{}}},
        "segments":{"0":{"type":"crypt","offset":"16777216","size":"dynamic","encryption":"aes-xts-plain64","sector_size":4096}},
        "digests":{},"config":{"json_size":"12288","requirements":{"mandatory":["online-reencrypt-v2"]}}}"#;

    fn header(at: u64, sequence: u8, json: &str) -> Vec<u8> {
        let mut header = vec![0; 0x4000];
        header[..8].copy_from_slice(if at == 0 { b"LUKS\xba\xbe\0\x02" } else { b"SKUL\xba\xbe\0\x02" });
        header[8..16].copy_from_slice(&0x4000_u64.to_be_bytes());
        header[23] = sequence;
        header[24..28].copy_from_slice(b"data");
        header[72..78].copy_from_slice(b"sha256");
        header[168..204].copy_from_slice(ID.as_bytes());
        header[208..212].copy_from_slice(b"vdo1");
        header[256..264].copy_from_slice(&at.to_be_bytes());
        header[4096..4096 + json.len()].copy_from_slice(json.as_bytes());
        let digest = Sha256::digest(&header);
        header[448..480].copy_from_slice(&digest);
        header
    }

    #[test]
    fn the_first_header() {
        let found = matches(probe, 1 << 20, &[(0, &header(0, 1, JSON))], &[0, 5, 6, 7, 263]);
        assert_eq!((found.label.as_deref(), found.uuid.as_deref()), (Some("data"), Some(ID)));
        assert_eq!(
            found.detail,
            [
                "cipher aes-xts-plain64, 512-bit key",
                "sectors of 4096 bytes",
                "2 key slots",
                "tokens: clevis, systemd-tpm2",
                "subsystem vdo1",
                "requires online-reencrypt-v2"
            ]
        );
    }

    #[test]
    fn the_newer_of_two_that_are_right() {
        let newer = JSON.replace("plain64", "random");
        let both: &[(u64, &[u8])] = &[(0, &header(0, 1, JSON)), (0x4000, &header(0x4000, 2, &newer))];
        let told = Luks::read(&disk(1 << 20, both)).unwrap().unwrap();
        assert_eq!(told.cipher.as_deref(), Some("aes-xts-random"));
        assert!(!told.second_header && told.problems.is_empty());
        let mut damaged = Overlay::new(disk(1 << 20, both));
        damaged.patch(0x5001, vec![b'x']).unwrap();
        let told = Luks::read(&damaged).unwrap().unwrap();
        assert_eq!(told.cipher.as_deref(), Some("aes-xts-plain64"));
        assert_eq!(told.problems, ["the checksum of the second header is wrong"]);
    }

    #[test]
    fn the_second_header_alone() {
        let second: &[(u64, &[u8])] = &[(0x4000, &header(0x4000, 1, JSON))];
        let found = matches(probe, 1 << 20, second, &[0x4000, 0x4000 + 263]);
        assert_eq!(found.detail.last().map(String::as_str), Some("the first header is gone"));
        assert_eq!(found.uuid.as_deref(), Some(ID));
    }

    #[test]
    fn odd_json() {
        for (json, problem) in [
            ("", "the first header cannot be read: EOF while parsing a value at line 1 column 0"),
            (r#"{"segments":{"0":{"type":"hw-opal","offset":"0"}}}"#, "a segment of type hw-opal"),
            (r#"{"tokens":{"0":{}}}"#, "the first header cannot be read: missing field `type`"),
        ] {
            let told = Luks::read(&disk(1 << 20, &[(0, &header(0, 1, json))])).unwrap().unwrap();
            assert!(told.problems.iter().any(|told| told.starts_with(problem)), "{json}: {:?}", told.problems);
        }
        let told = Luks::read(&disk(1 << 20, &[(0, &header(0, 1, r#"{"config":{"requirements":[1]}}"#))])).unwrap().unwrap();
        assert!(told.problems.is_empty() && told.requirements.is_empty() && !told.detached);
        let told = Luks::read(&disk(0x3fff, &[(0, &header(0, 1, JSON)[..0x3fff])])).unwrap().unwrap();
        assert_eq!(told.problems, ["the first header is cut off"]);
    }

    #[test]
    fn damage_is_endured() {
        let good = header(0, 1, JSON);
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..2000 {
            let mut bad = good.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(seed >> 33).unwrap() % (4096 + JSON.len());
                // The fields that are searched for by magic stay.
                if at > 8 {
                    bad[at] = u8::try_from(seed >> 24 & 0xff).unwrap();
                }
            }
            bad[448..512].fill(0);
            let digest = Sha256::digest(&bad);
            bad[448..480].copy_from_slice(&digest);
            probe(&disk(int_u64(bad.len()), &[(0, &bad)])).unwrap();
        }
    }
}
