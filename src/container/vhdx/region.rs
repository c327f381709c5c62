//! Region tables: \[MS-VHDX\] 2.2.3.

use super::crc32c;
use super::header::guid;
use super::notes::{Notes, require, settle};
use crate::bytes::{Corrupt, Guid, KIB, MIB, ReadAt, ReadError, int_usize, read_vec};
use byteorder::{LittleEndian, ReadBytesExt};
use std::io::{self, Read};
use std::ops::Range;

/// Places of the two tables. The log may write from the first of them on.
pub(super) const PLACES: [u64; 2] = [192 * KIB, 256 * KIB];
/// Bytes of a table, all under its checksum.
const SIZE: u64 = 64 * KIB;
/// Bytes of the table's header, and of each entry.
const HEADER: u64 = 16;
const ENTRY: u64 = 32;
/// As many entries as fit.
const ENTRIES: u32 = 2047;

const BAT: Guid = Guid([0x2d, 0xc2, 0x77, 0x66, 0xf6, 0x23, 0x42, 0x00, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08]);
const METADATA: Guid = Guid([0x8b, 0x7c, 0xa2, 0x06, 0x47, 0x90, 0x4b, 0x9a, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e]);

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) bat: Range<u64>,
    pub(super) metadata: Range<u64>,
    /// Regions that are neither, and that one may not know.
    pub(super) others: Vec<Range<u64>>,
}

/// An entry, field by field.
struct Entry {
    /// Where it stands; not stored.
    at: u64,
    guid: Guid,
    file_offset: u64,
    length: u32,
    required: u32,
}

impl Entry {
    fn parse(at: u64, from: &mut impl Read) -> io::Result<Self> {
        let guid = guid(from)?;
        let file_offset = from.read_u64::<LittleEndian>()?;
        let length = from.read_u32::<LittleEndian>()?;
        let required = from.read_u32::<LittleEndian>()?;
        Ok(Self { at, guid, file_offset, length, required })
    }

    fn range(&self) -> Range<u64> {
        self.file_offset..self.file_offset.saturating_add(u64::from(self.length))
    }
}

/// Which tables are valid, and the regions by the first valid one.
///
/// # Errors
///
/// Corrupt when neither is, or when the regions cannot be; Unsupported when a required region is not known.
pub(super) fn regions(file: &dyn ReadAt, log: Option<Range<u64>>, valid: &mut [bool; 2], notes: &mut Notes) -> Result<Regions, ReadError> {
    let [one, two] = PLACES.map(|at| settle(table(file, at)));
    let (one, two) = (one?, two?);
    *valid = [one.is_ok(), two.is_ok()];
    let entries = match (one, two) {
        (Ok((stored, entries)), Ok((other, _))) => {
            if stored != other {
                notes.deviation(PLACES[1], "the second region table differs from the first, which is used");
            }
            entries
        }
        (Ok((_, entries)), Err(fault)) | (Err(fault), Ok((_, entries))) => {
            notes.deviation(PLACES[0], format!("only one of two region tables is valid: {fault}"));
            entries
        }
        (Err(fault), Err(_)) => return Err(fault),
    };
    place(&entries, log, file.size())
}

/// The bytes and the entries of a valid table.
fn table(file: &dyn ReadAt, at: u64) -> Result<(Vec<u8>, Vec<Entry>), ReadError> {
    const NAME: &str = "region table";
    require(at.saturating_add(SIZE) <= file.size(), NAME, at, "65536 bytes", format_args!("the end of the file at byte {}", file.size()))?;
    let stored = read_vec(file, at, int_usize(SIZE))?;
    let short = |error| ReadError::host(at, stored.len(), error);
    let mut from = stored.as_slice();
    let mut signature = [0; 4];
    from.read_exact(&mut signature).map_err(short)?;
    let checksum = from.read_u32::<LittleEndian>().map_err(short)?;
    let entry_count = from.read_u32::<LittleEndian>().map_err(short)?;
    let _reserved = from.read_u32::<LittleEndian>().map_err(short)?;

    require(&signature == b"regi", NAME, at, "'regi'", signature.escape_ascii())?;
    let sum = crc32c::of_structure(&stored, []);
    require(checksum == sum, NAME, at.saturating_add(4), &format!("CRC-32C {sum:#010x}"), format_args!("{checksum:#010x}"))?;
    require(entry_count <= ENTRIES, NAME, at.saturating_add(8), "at most 2047 entries", entry_count)?;
    let places = (0..u64::from(entry_count)).map(|n| at.saturating_add(HEADER).saturating_add(n.saturating_mul(ENTRY)));
    let entries = places.map(|at| Entry::parse(at, &mut from)).collect::<io::Result<_>>().map_err(short)?;
    Ok((stored, entries))
}

/// The regions, after all that the format demands of their places.
fn place(entries: &[Entry], log: Option<Range<u64>>, size: u64) -> Result<Regions, ReadError> {
    const NAME: &str = "region table entry";
    let (mut bat, mut metadata, mut others) = (None, None, Vec::new());
    let mut taken: Vec<Range<u64>> = log.into_iter().collect();
    for entry in entries {
        let range = entry.range();
        let aligned = range.start.is_multiple_of(MIB) && range.start >= MIB;
        require(aligned, NAME, entry.at.saturating_add(16), "an offset in whole MiB from 1 MiB on", range.start)?;
        let whole = range.end.is_multiple_of(MIB) && !range.is_empty();
        require(whole, NAME, entry.at.saturating_add(24), "a length in whole MiB", entry.length)?;
        let inside = format_args!("{} bytes at byte {} of a file of {size}", entry.length, range.start);
        require(range.end <= size, NAME, entry.at.saturating_add(16), "a region inside the file", inside)?;
        taken.push(range.clone());
        let twice = match entry.guid {
            BAT => bat.replace(range).is_some(),
            METADATA => metadata.replace(range).is_some(),
            _ if entry.required & 1 != 0 => {
                return Err(ReadError::Unsupported(format!("a VHDX that requires the region {}", entry.guid)));
            }
            _ => {
                others.push(range);
                false
            }
        };
        require(!twice, NAME, entry.at, "each region once", entry.guid)?;
    }
    taken.sort_by_key(|range| range.start);
    for (one, next) in taken.iter().zip(taken.iter().skip(1)) {
        let found = format_args!("regions or a log that overlap at byte {}", next.start);
        require(one.end <= next.start, "region table", next.start, "regions apart from each other and from the log", found)?;
    }
    let missing = |which: &str| Corrupt::new("region table", PLACES[0], which, "none");
    Ok(Regions {
        bat: bat.ok_or_else(|| missing("a region for the block allocation table"))?,
        metadata: metadata.ok_or_else(|| missing("a region for metadata"))?,
        others,
    })
}
