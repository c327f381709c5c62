//! The header of a package, as the databases keep it (rpm's `docs/manual/format_header.md`, without its magic): two counts, an index
//! with 16 bytes an entry, and the values; all numbers big-endian.

use super::corrupt;
use crate::bytes::{ReadError, int_usize};
use byteorder::{BigEndian, ByteOrder};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const ARCH: u32 = 1022;
const WANTED: [u32; 6] = [NAME, VERSION, RELEASE, EPOCH, VENDOR, ARCH];

/// Types of values.
const INT32: u32 = 4;
const STRING: u32 = 6;
const I18N_STRING: u32 = 9;

/// rpm's own bounds (`lib/header.cc`: `hdrchkTags`, `hdrchkData`).
const MAX_ENTRIES: u32 = 0xffff;
const MAX_DATA: u32 = 0x0fff_ffff;
/// Bytes that are read for a value at first, and for one that does not end there.
const VALUE: u64 = 256;
const LONG_VALUE: u64 = 1 << 16;

/// What a header says of its package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RpmPackage {
    /// Its name.
    pub name: String,
    /// Its epoch; `None` means 0.
    pub epoch: Option<u32>,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture; keys (`gpg-pubkey`) have none.
    pub architecture: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
}

impl RpmPackage {
    /// Epoch, version and release as rpm writes them: `1:2.0-3`, without an epoch that is not there.
    #[must_use]
    pub fn full_version(&self) -> String {
        let epoch = self.epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
        format!("{epoch}{}-{}", self.version, self.release)
    }
}

/// Reads a header of `len` bytes; `prefix` gives as many bytes from its start as it is asked for.
///
/// # Errors
///
/// When it contradicts itself, lacks a name, a version or a release, or cannot be read.
pub(super) fn read(len: u64, prefix: &mut dyn FnMut(usize) -> Result<Vec<u8>, ReadError>) -> Result<RpmPackage, ReadError> {
    const WHAT: &str = "rpm header";
    let mut at_most = |wanted: u64| prefix(int_usize(wanted.min(len)));
    let start = at_most(8)?;
    let count = |at: usize| start.get(at..at.saturating_add(4)).map(BigEndian::read_u32);
    let (Some(entries), Some(data)) = (count(0), count(4)) else { return Err(corrupt(WHAT, 0, "8 bytes or more", len)) };
    if entries > MAX_ENTRIES {
        return Err(corrupt(WHAT, 0, format!("at most {MAX_ENTRIES} entries"), entries));
    }
    let values = u64::from(entries).saturating_mul(16).saturating_add(8);
    if data > MAX_DATA || values.saturating_add(u64::from(data)) > len {
        return Err(corrupt(WHAT, 4, format!("values that end within {len} bytes"), data));
    }
    let index = at_most(values)?;
    let mut found: Vec<(u32, u32, u64)> = Vec::with_capacity(WANTED.len());
    for entry in index.get(8..).unwrap_or_default().chunks_exact(16) {
        let field = |at: usize| entry.get(at..at.saturating_add(4)).map_or(0, BigEndian::read_u32);
        let (tag, kind, offset) = (field(0), field(4), field(8));
        if WANTED.contains(&tag) && found.iter().all(|(known, ..)| *known != tag) {
            if offset >= data {
                return Err(corrupt(WHAT, 0, format!("tag {tag} within {data} bytes"), offset));
            }
            found.push((tag, kind, u64::from(offset)));
        }
    }
    let last = found.iter().map(|(_, _, offset)| *offset).max().unwrap_or_default();
    let mut text = at_most(values.saturating_add(last).saturating_add(VALUE))?;
    if found.iter().any(|(_, kind, offset)| *kind != INT32 && string(&text, values, *offset).is_none()) {
        text = at_most(values.saturating_add(last).saturating_add(LONG_VALUE))?;
    }
    let value = |wanted: u32, kinds: &[u32]| {
        let (_, _, offset) = found.iter().find(|(tag, kind, _)| *tag == wanted && kinds.contains(kind))?;
        Some(*offset)
    };
    let words = |tag: u32| value(tag, &[STRING, I18N_STRING]).and_then(|offset| string(&text, values, offset));
    let must = |tag: u32, what: &str| words(tag).ok_or_else(|| corrupt(WHAT, 0, format!("a {what}"), "none"));
    let epoch = value(EPOCH, &[INT32]).and_then(|offset| {
        let at = int_usize(values.saturating_add(offset));
        text.get(at..at.saturating_add(4)).map(BigEndian::read_u32)
    });
    Ok(RpmPackage {
        name: must(NAME, "name")?,
        epoch,
        version: must(VERSION, "version")?,
        release: must(RELEASE, "release")?,
        architecture: words(ARCH),
        vendor: words(VENDOR),
    })
}

/// The text at an offset of the values, if its end is there.
fn string(text: &[u8], values: u64, offset: u64) -> Option<String> {
    let rest = text.get(int_usize(values.saturating_add(offset))..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
}

/// A prefix of bytes that are in memory.
#[cfg(test)]
pub(super) fn from_memory(bytes: &[u8]) -> Result<RpmPackage, ReadError> {
    read(crate::bytes::int_u64(bytes.len()), &mut |wanted| Ok(bytes.get(..wanted).unwrap_or(bytes).to_vec()))
}
