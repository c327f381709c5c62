//! rpm's database in Berkeley DB, as RHEL 6 to 8 and others had it: `Packages`, a hash from a number to a header.
//!
//! Documents: rpm's `lib/backend/bdb_ro.c`, and Berkeley DB's `dbinc/db_page.h` for the names. Buckets are walked in their order, each
//! through its chain of pages; headers that do not fit stand on chains of overflow pages. A database of either byte order is read.

use super::{Each, Walk, corrupt};
use crate::bytes::{Bytes, ReadAt, ReadError, int_usize, read_array, read_vec};
use byteorder::{BigEndian, ByteOrder, LittleEndian};

const WHAT: &str = "Berkeley DB hash";
const MAGIC: u32 = 0x0006_1561;
/// Bytes of every page before its entries.
const PAGE_HEADER: usize = 26;
/// Types of pages: hash with unsorted and with sorted entries, and overflow.
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;
/// Types of entries: on the page, and on overflow pages.
const ON_PAGE: u8 = 1;
const OFF_PAGE: u8 = 3;

/// A database, open.
#[derive(Debug)]
struct Database<'a> {
    bytes: &'a Bytes,
    big: bool,
    page_size: u64,
    last_page: u32,
}

/// Gives every package of `Packages` to `each`.
///
/// # Errors
///
/// When the database is damaged, is no hash, or cannot be read. Packages before the damage have been given already.
pub fn packages(bytes: &Bytes, each: Each<'_>) -> Result<(), ReadError> {
    let meta: [u8; 512] = read_array(bytes, 0)?;
    let magic = meta.get(12..16).unwrap_or(&[0; 4]);
    let big = match (LittleEndian::read_u32(magic), BigEndian::read_u32(magic)) {
        (MAGIC, _) => false,
        (_, MAGIC) => true,
        _ => return Err(corrupt(WHAT, 12, "the magic number of a hash", "something else")),
    };
    let mut database = Database { bytes, big, page_size: 0, last_page: 0 };
    let version = database.word(&meta, 16);
    if !(8..=10).contains(&version) {
        return Err(ReadError::Unsupported(format!("version {version} of the Berkeley DB hash")));
    }
    if meta.get(24).is_some_and(|algorithm| *algorithm != 0) {
        return Err(ReadError::Unsupported("an encrypted Berkeley DB".to_owned()));
    }
    let size = database.word(&meta, 20);
    if !size.is_power_of_two() || !(512..=65_536).contains(&size) {
        return Err(corrupt(WHAT, 20, "a page size of 512 to 65536", size));
    }
    database.page_size = u64::from(size);
    // The last page that the header knows may lie past the end where the file was cut; then its reads fail.
    database.last_page = database.word(&meta, 32);
    let most = bytes.size().checked_div(database.page_size).unwrap_or_default();
    let last_bucket = database.word(&meta, 72);
    let mut walk = Walk::new(bytes.size(), each);
    let mut walked = 0_u64;
    for bucket in 0..=last_bucket {
        // Buckets come in generations that double; each generation stands in one piece.
        let generation = int_usize(u64::from(u32::BITS.saturating_sub(bucket.leading_zeros())));
        let spare = database.word(&meta, generation.saturating_mul(4).saturating_add(96));
        let mut number =
            bucket.checked_add(spare).filter(|number| *number != 0).ok_or_else(|| corrupt(WHAT, 96, "a page of every bucket", spare))?;
        while number != 0 {
            walked = walked.saturating_add(1);
            if walked > most {
                return Err(corrupt(WHAT, 0, format!("chains of {most} pages together"), "more"));
            }
            let page = database.page(number)?;
            if !matches!(page.get(25), Some(&(HASH | HASH_UNSORTED))) {
                let kind = page.get(25).copied().unwrap_or_default();
                return Err(corrupt(WHAT, database.offset(number), "a hash page", format!("type {kind}")));
            }
            database.entries(&page, number, &mut walk)?;
            number = database.word(&page, 16);
        }
    }
    Ok(())
}

impl Database<'_> {
    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        let read = if self.big { BigEndian::read_u32 } else { LittleEndian::read_u32 };
        bytes.get(at..at.saturating_add(4)).map_or(0, read)
    }

    fn half(&self, bytes: &[u8], at: usize) -> u16 {
        let read = if self.big { BigEndian::read_u16 } else { LittleEndian::read_u16 };
        bytes.get(at..at.saturating_add(2)).map_or(0, read)
    }

    fn offset(&self, number: u32) -> u64 {
        u64::from(number).saturating_mul(self.page_size)
    }

    fn page(&self, number: u32) -> Result<Vec<u8>, ReadError> {
        if number == 0 || number > self.last_page {
            return Err(corrupt(WHAT, 0, format!("a page of {}", self.last_page), number));
        }
        let page = read_vec(self.bytes, self.offset(number), int_usize(self.page_size))?;
        let own = self.word(&page, 8);
        if own != number {
            return Err(corrupt(WHAT, self.offset(number), format!("page {number}"), own));
        }
        Ok(page)
    }

    /// The pairs of key and value of one page. Entries stand from the end of the page to its start.
    fn entries(&self, page: &[u8], number: u32, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        let at = self.offset(number);
        let broken = || corrupt(WHAT, at, "entries within their page", "less");
        let entries = usize::from(self.half(page, 20));
        let place = |entry: usize| usize::from(self.half(page, entry.saturating_mul(2).saturating_add(PAGE_HEADER)));
        let index_end = entries.saturating_mul(2).saturating_add(PAGE_HEADER);
        if index_end > page.len() {
            return Err(broken());
        }
        let mut end = page.len();
        let mut key: Option<&[u8]> = None;
        for entry in 0..entries {
            let start = place(entry);
            let bytes = page.get(start..end).filter(|bytes| start >= index_end && !bytes.is_empty()).ok_or_else(broken)?;
            end = start;
            let Some(of) = key.take() else {
                key = Some(bytes);
                continue;
            };
            // Number 0 holds the highest number given so far.
            let is_counter = of.first() == Some(&ON_PAGE) && of.get(1..).is_some_and(|number| number.iter().all(|byte| *byte == 0));
            if is_counter {
                continue;
            }
            match bytes.split_first() {
                Some((&ON_PAGE, blob)) => {
                    let len = blob.len();
                    walk.package(crate::bytes::int_u64(len), &mut |wanted| Ok(blob.get(..wanted).unwrap_or(blob).to_vec()))?
                }
                Some((&OFF_PAGE, _)) if bytes.len() == 12 => {
                    let (first, len) = (self.word(bytes, 4), u64::from(self.word(bytes, 8)));
                    if len > self.bytes.size() {
                        return Err(corrupt(WHAT, at, "a value within the file", len));
                    }
                    walk.package(len, &mut |wanted| self.overflow(first, wanted))?
                }
                _ => return Err(corrupt(WHAT, at, "an entry on or off its page", "something else")),
            }
        }
        Ok(())
    }

    /// The first `wanted` bytes of a value on overflow pages.
    fn overflow(&self, first: u32, wanted: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        let mut number = first;
        // All pages of a value but the last are full.
        let full = int_usize(self.page_size).saturating_sub(PAGE_HEADER);
        let mut left = wanted.div_ceil(full.max(1));
        while bytes.len() < wanted {
            left = left.checked_sub(1).ok_or_else(|| corrupt(WHAT, self.offset(first), "full overflow pages", "others"))?;
            let page = self.page(number)?;
            let len = usize::from(self.half(&page, 22));
            let part =
                page.get(PAGE_HEADER..PAGE_HEADER.saturating_add(len)).filter(|part| !part.is_empty() && page.get(25) == Some(&OVERFLOW));
            let part = part.ok_or_else(|| corrupt(WHAT, self.offset(number), "an overflow page", "something else"))?;
            bytes.extend_from_slice(part);
            number = self.word(&page, 16);
        }
        bytes.truncate(wanted);
        Ok(bytes)
    }
}
