//! Metadata region: \[MS-VHDX\] 2.6.

use super::header::guid;
use super::locator::locator;
use super::notes::{Notes, require};
use super::{ParentLocator, Vhdx};
use crate::bytes::{Corrupt, Guid, KIB, MIB, ReadAt, ReadError, TIB, int_usize, read_vec};
use byteorder::{LittleEndian, ReadBytesExt};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;

/// Bytes of the table before the items.
const TABLE: u64 = 64 * KIB;
/// Bytes of the table's header and of each entry: room for 2047 entries.
const ENTRY: u64 = 32;
const ENTRIES: u16 = 2047;
/// Most bytes of one item.
const ITEM: u64 = MIB;
/// Largest virtual disk.
const LARGEST: u64 = 64 * TIB;

const FILE_PARAMETERS: Guid = Guid([0xca, 0xa1, 0x67, 0x37, 0xfa, 0x36, 0x4d, 0x43, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b]);
const VIRTUAL_DISK_SIZE: Guid = Guid([0x2f, 0xa5, 0x42, 0x24, 0xcd, 0x1b, 0x48, 0x76, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8]);
const PAGE_83_DATA: Guid = Guid([0xbe, 0xca, 0x12, 0xab, 0xb2, 0xe6, 0x45, 0x23, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46]);
const LOGICAL_SECTOR_SIZE: Guid = Guid([0x81, 0x41, 0xbf, 0x1d, 0xa9, 0x6f, 0x47, 0x09, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f]);
const PHYSICAL_SECTOR_SIZE: Guid = Guid([0xcd, 0xa3, 0x48, 0xc7, 0x44, 0x5d, 0x44, 0x71, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56]);
const PARENT_LOCATOR: Guid = Guid([0xa8, 0xd3, 0x5f, 0x2d, 0xb3, 0x0b, 0x45, 0x4d, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c]);
/// Not in the document, but written by Hyper-V (openvmm, `vhdx/src/format.rs`): present until a file is wholly made.
const INCOMPLETE_FILE: Guid = Guid([0x71, 0xcc, 0x85, 0xf0, 0x1b, 0x69, 0x4e, 0x28, 0x95, 0x58, 0xc3, 0xbf, 0x83, 0xae, 0x75, 0xd3]);
/// From the same source: geometry and persistent-memory labels, which change nothing of what the disk holds.
const HARMLESS: [Guid; 2] = [
    Guid([0xda, 0x02, 0xd7, 0xbc, 0x3d, 0x3a, 0x42, 0x3c, 0xac, 0x88, 0x2a, 0x36, 0xab, 0x21, 0x47, 0x9b]),
    Guid([0x10, 0xe1, 0xae, 0x8a, 0x4b, 0x7e, 0x41, 0x69, 0xa4, 0x0f, 0xcd, 0x70, 0xde, 0x92, 0x83, 0x93]),
];
const KNOWN: [Guid; 6] = [FILE_PARAMETERS, VIRTUAL_DISK_SIZE, PAGE_83_DATA, LOGICAL_SECTOR_SIZE, PHYSICAL_SECTOR_SIZE, PARENT_LOCATOR];

/// An entry of the table, field by field.
struct Entry {
    item_id: Guid,
    offset: u32,
    length: u32,
    flags: u32,
}

impl Entry {
    const IS_USER: u32 = 1;
    const IS_REQUIRED: u32 = 4;

    fn parse(from: &mut impl Read) -> io::Result<Self> {
        let item_id = guid(from)?;
        let offset = from.read_u32::<LittleEndian>()?;
        let length = from.read_u32::<LittleEndian>()?;
        let flags = from.read_u32::<LittleEndian>()?;
        let _reserved = from.read_u32::<LittleEndian>()?;
        Ok(Self { item_id, offset, length, flags })
    }
}

/// The items by identity, each as its bytes in the file.
type Items = BTreeMap<Guid, Range<u64>>;

/// Fills in what the metadata say; what they fail to say is noted.
///
/// # Errors
///
/// The host's, and Corrupt when the table cannot be read at all.
pub(super) fn fill(file: &dyn ReadAt, region: &Range<u64>, facts: &mut Vhdx, notes: &mut Notes) -> Result<(), ReadError> {
    let items = items(file, region, notes)?;
    if let Some(mark) = items.get(&INCOMPLETE_FILE) {
        notes.refuse(Corrupt::new("metadata", mark.start, "a finished file", "the mark of one whose creation was not finished").into());
    }
    if let Some((block_size, flags)) = notes.keep(file_parameters(file, &items))? {
        const LEAVE_BLOCK_ALLOCATED: u32 = 1;
        const HAS_PARENT: u32 = 2;
        facts.block_size = block_size;
        facts.leave_allocated = Some(flags & LEAVE_BLOCK_ALLOCATED != 0);
        facts.has_parent = Some(flags & HAS_PARENT != 0);
        if block_size.is_none() {
            let at = items.get(&FILE_PARAMETERS).map_or(region.start, |item| item.start);
            notes.refuse(Corrupt::new("file parameters", at, "a power of two from 1 MiB to 256 MiB as block size", "another").into());
        }
    }
    facts.logical_sector_size = notes.keep(sector_size(file, &items, LOGICAL_SECTOR_SIZE, "logical sector size"))?;
    // What the disk says to be made of changes nothing of what it holds.
    match super::notes::settle(sector_size(file, &items, PHYSICAL_SECTOR_SIZE, "physical sector size"))? {
        Ok(size) => facts.physical_sector_size = Some(size),
        Err(error) => notes.deviation(region.start, error.to_string()),
    }
    facts.virtual_size = notes.keep(virtual_disk_size(file, &items, facts.logical_sector_size))?;
    match super::notes::settle(item::<16>(file, &items, PAGE_83_DATA, "page 83 data"))? {
        Ok((stored, _)) => facts.disk_id = Some(Guid::from_mixed_endian(stored)),
        Err(error) => notes.deviation(region.start, error.to_string()),
    }
    facts.parent = parent(file, &items, facts.has_parent, notes)?;
    Ok(())
}

/// The table: section 2.6.1.
fn items(file: &dyn ReadAt, region: &Range<u64>, notes: &mut Notes) -> Result<Items, ReadError> {
    const NAME: &str = "metadata table";
    let stored = read_vec(file, region.start, int_usize(TABLE))?;
    let short = |error| ReadError::host(region.start, stored.len(), error);
    let mut from = stored.as_slice();
    let mut signature = [0; 8];
    from.read_exact(&mut signature).map_err(short)?;
    let _reserved = from.read_u16::<LittleEndian>().map_err(short)?;
    let entry_count = from.read_u16::<LittleEndian>().map_err(short)?;
    from.read_exact(&mut [0; 20]).map_err(short)?;

    require(&signature == b"metadata", NAME, region.start, "'metadata'", signature.escape_ascii())?;
    require(entry_count <= ENTRIES, NAME, region.start.saturating_add(10), "at most 2047 entries", entry_count)?;
    let mut items = Items::new();
    for n in 1..=u64::from(entry_count) {
        let at = region.start.saturating_add(n.saturating_mul(ENTRY));
        let entry = Entry::parse(&mut from).map_err(short)?;
        let known = entry.flags & Entry::IS_USER == 0 && (KNOWN.contains(&entry.item_id) || entry.item_id == INCOMPLETE_FILE);
        let harmless = HARMLESS.contains(&entry.item_id);
        if !known {
            if entry.flags & Entry::IS_REQUIRED != 0 && !harmless {
                notes.refuse(ReadError::Unsupported(format!("a VHDX that requires the metadata item {}", entry.item_id)));
            }
            continue;
        }
        let (offset, length) = (u64::from(entry.offset), u64::from(entry.length));
        let start = region.start.saturating_add(offset);
        let range = start..start.saturating_add(length);
        let inside = length <= ITEM && ((offset >= TABLE && range.end <= region.end) || (offset == 0 && length == 0));
        if !inside {
            let found = format!("{length} bytes at byte {offset} of {}", region.end.saturating_sub(region.start));
            notes.refuse(Corrupt::new("metadata table entry", at, "an item of at most 1 MiB inside the region", found).into());
        } else if items.insert(entry.item_id, range).is_some() {
            notes.refuse(Corrupt::new("metadata table entry", at, "each item once", entry.item_id.to_string()).into());
        }
    }
    Ok(items)
}

/// The bytes of an item of fixed size, and where they are.
fn item<const N: usize>(file: &dyn ReadAt, items: &Items, id: Guid, name: &'static str) -> Result<([u8; N], u64), ReadError> {
    let range = items.get(&id).ok_or_else(|| Corrupt::new("metadata table", 0, format!("the item {name}"), "none"))?;
    let stored = read_vec(file, range.start, int_usize(range.end.saturating_sub(range.start)))?;
    match <[u8; N]>::try_from(stored.as_slice()) {
        Ok(exact) => Ok((exact, range.start)),
        Err(_) => Err(Corrupt::new(name, range.start, format!("{N} bytes"), stored.len().to_string()).into()),
    }
}

/// Block size, `None` when it is none, and flags: section 2.6.2.1.
fn file_parameters(file: &dyn ReadAt, items: &Items) -> Result<(Option<u32>, u32), ReadError> {
    const SMALLEST: u32 = 1 << 20;
    const LARGEST: u32 = 1 << 28;
    let ([a, b, c, d, flags @ ..], _) = item::<8>(file, items, FILE_PARAMETERS, "file parameters")?;
    let block_size = u32::from_le_bytes([a, b, c, d]);
    let allowed = block_size.is_power_of_two() && (SMALLEST..=LARGEST).contains(&block_size);
    Ok((allowed.then_some(block_size), u32::from_le_bytes(flags)))
}

/// Section 2.6.2.2.
fn virtual_disk_size(file: &dyn ReadAt, items: &Items, sector: Option<u32>) -> Result<u64, ReadError> {
    const NAME: &str = "virtual disk size";
    let (stored, at) = item(file, items, VIRTUAL_DISK_SIZE, NAME)?;
    let size = u64::from_le_bytes(stored);
    require((1..=LARGEST).contains(&size), NAME, at, "1 byte to 64 TiB", size)?;
    let sector = u64::from(sector.unwrap_or(512));
    require(size.is_multiple_of(sector), NAME, at, &format!("a multiple of the logical sector size, {sector}"), size)?;
    Ok(size)
}

/// Sections 2.6.2.4 and 2.6.2.5.
fn sector_size(file: &dyn ReadAt, items: &Items, id: Guid, name: &'static str) -> Result<u32, ReadError> {
    let (stored, at) = item(file, items, id, name)?;
    let size = u32::from_le_bytes(stored);
    require(matches!(size, 512 | 4096), name, at, "512 or 4096", size)?;
    Ok(size)
}

/// The parent locator, which stands there when, and only when, there is a parent.
fn parent(file: &dyn ReadAt, items: &Items, has_parent: Option<bool>, notes: &mut Notes) -> Result<Option<ParentLocator>, ReadError> {
    let Some(range) = items.get(&PARENT_LOCATOR) else {
        if has_parent == Some(true) {
            notes.refuse(Corrupt::new("metadata table", 0, "a parent locator, because there is a parent", "none").into());
        }
        return Ok(None);
    };
    if has_parent == Some(false) {
        notes.deviation(range.start, "there is a parent locator, but the file parameters tell of no parent");
    }
    let stored = read_vec(file, range.start, int_usize(range.end.saturating_sub(range.start)))?;
    notes.keep(locator(&stored, range.start))
}
