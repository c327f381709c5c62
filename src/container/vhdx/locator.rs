//! Parent locator: \[MS-VHDX\] 2.6.2.6.

use super::ParentLocator;
use super::header::{guid, utf16};
use crate::bytes::{Corrupt, ReadError};
use byteorder::{LittleEndian, ReadBytesExt};
use std::io::{self, Read};

const NAME: &str = "parent locator";

/// One key with its value, as offsets and lengths in bytes within the item.
struct Entry {
    key_offset: u32,
    value_offset: u32,
    key_length: u16,
    value_length: u16,
}

impl Entry {
    fn parse(from: &mut impl Read) -> io::Result<Self> {
        let key_offset = from.read_u32::<LittleEndian>()?;
        let value_offset = from.read_u32::<LittleEndian>()?;
        let key_length = from.read_u16::<LittleEndian>()?;
        let value_length = from.read_u16::<LittleEndian>()?;
        Ok(Self { key_offset, value_offset, key_length, value_length })
    }
}

/// The locator from the bytes of its metadata item, which stands at `at`.
///
/// # Errors
///
/// Corrupt when an entry is not inside the item, or when all of them together are longer than it.
pub(super) fn locator(item: &[u8], at: u64) -> Result<ParentLocator, ReadError> {
    let head = |from: &mut &[u8]| {
        let kind = guid(from)?;
        let _reserved = from.read_u16::<LittleEndian>()?;
        io::Result::Ok((kind, from.read_u16::<LittleEndian>()?))
    };
    let mut from = item;
    let Ok((kind, count)) = head(&mut from) else {
        return Err(Corrupt::new(NAME, at, "20 bytes and entries", format!("{} bytes", item.len())).into());
    };
    let mut entries = Vec::new();
    // Entries that share their bytes could make much text of little.
    let mut room = item.len();
    for _ in 0..count {
        let parsed = Entry::parse(&mut from).ok();
        let both = parsed.and_then(|entry| {
            room = room.checked_sub(usize::from(entry.key_length))?.checked_sub(usize::from(entry.value_length))?;
            Some((part(item, entry.key_offset, entry.key_length)?, part(item, entry.value_offset, entry.value_length)?))
        });
        match both {
            Some(entry) => entries.push(entry),
            None => {
                let found = format!("entry {} of {count} outside", entries.len());
                return Err(Corrupt::new(NAME, at, "entries inside the item", found).into());
            }
        }
    }
    Ok(ParentLocator { kind, entries })
}

fn part(item: &[u8], offset: u32, length: u16) -> Option<String> {
    item.get(usize::try_from(offset).ok()?..)?.get(..usize::from(length)).map(utf16)
}
