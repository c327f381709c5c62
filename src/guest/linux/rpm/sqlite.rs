//! rpm's database in SQLite: `rpmdb.sqlite`, whose table `Packages` has a number and a header a row.
//!
//! Document: <https://www.sqlite.org/fileformat2.html>, sections 1.3 (header), 1.6 (b-tree pages), 1.6.1 and 2.1 (records), 4 (write-ahead
//! log). Only what reading one table takes is here: rowid tables, overflow pages, and pages that stand in the write-ahead log. Free
//! lists, indexes and text in UTF-16 are of no use for it.

use super::{Each, Walk, corrupt};
use crate::bytes::{Bytes, ReadAt, ReadError, int_u64, int_usize, read_array, read_vec};
use byteorder::{BigEndian, ByteOrder, LittleEndian};
use std::collections::{HashMap, HashSet};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const WHAT: &str = "SQLite database";
const LOG: &str = "SQLite write-ahead log";
/// A write-ahead log that is longer was not left by rpm, which empties it.
const MAX_LOG: u64 = 256 << 20;
/// A row of the schema that is longer is not one of rpm's.
const MAX_SCHEMA_ROW: u64 = 1 << 16;
/// Bytes at the start of a record that hold the types of rpm's two columns.
const RECORD_HEADER: usize = 32;

/// Gives every package of `rpmdb.sqlite` to `each`. `log` is `rpmdb.sqlite-wal`, where there is one: what was committed to it counts.
///
/// # Errors
///
/// When the database is damaged, has no table `Packages`, or cannot be read. Packages before the damage have been given already.
pub fn packages(database: &Bytes, log: Option<&Bytes>, each: Each<'_>) -> Result<(), ReadError> {
    let pages = Pages::open(database, log)?;
    let mut root = None;
    pages.rows(1, &mut |row| {
        if root.is_none() && row.len <= MAX_SCHEMA_ROW {
            root = table(&row.prefix(int_usize(row.len))?, b"Packages");
        }
        Ok(())
    })?;
    let root = root.ok_or_else(|| corrupt(WHAT, 0, "a table Packages", "none"))?;
    let mut walk = Walk::new(database.size(), each);
    pages.rows(root, &mut |row| {
        let start = row.prefix(RECORD_HEADER)?;
        let column = Columns::of(&start).nth(1).filter(|column| column.kind >= 12 && column.kind % 2 == 0);
        let column = column.ok_or_else(|| corrupt(WHAT, row.at, "a header in the second column", "something else"))?;
        if column.at.saturating_add(column.len) > row.len {
            return Err(corrupt(WHAT, row.at, format!("a row of {} bytes", row.len), column.len));
        }
        walk.package(column.len, &mut |wanted| {
            let mut bytes = row.prefix(int_usize(column.at).saturating_add(wanted))?;
            Ok(bytes.split_off(bytes.len().min(int_usize(column.at))))
        })
    })
}

/// The root page of a table, from a row of the schema: type, name, table, root page, text.
fn table(record: &[u8], wanted: &[u8]) -> Option<u32> {
    let columns: Vec<Column> = Columns::of(record).take(4).collect();
    let [kind, name, _, root] = columns.as_slice() else { return None };
    if kind.bytes(record)? != b"table" || name.bytes(record)? != wanted {
        return None;
    }
    let root = root.bytes(record)?;
    if root.is_empty() || root.len() > 4 {
        return None;
    }
    Some(root.iter().fold(0_u32, |number, byte| number.wrapping_shl(8) | u32::from(*byte)))
}

/// A column of a record: its type and where its value stands.
#[derive(Debug, Clone, Copy)]
struct Column {
    kind: u64,
    at: u64,
    len: u64,
}

impl Column {
    fn bytes<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        let start = int_usize(self.at);
        record.get(start..start.saturating_add(int_usize(self.len)))
    }
}

/// The columns of a record, from its header.
#[derive(Debug)]
struct Columns<'a> {
    types: &'a [u8],
    at: u64,
}

impl<'a> Columns<'a> {
    fn of(record: &'a [u8]) -> Self {
        let (at, types) = match varint(record) {
            Some((len, taken)) => (len, record.get(taken..record.len().min(int_usize(len))).unwrap_or_default()),
            None => (0, &[][..]),
        };
        Self { types, at }
    }
}

impl Iterator for Columns<'_> {
    type Item = Column;

    fn next(&mut self) -> Option<Column> {
        let (kind, taken) = varint(self.types)?;
        self.types = self.types.get(taken..)?;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => kind.saturating_sub(12) / 2,
        };
        let column = Column { kind, at: self.at, len };
        self.at = self.at.checked_add(len)?;
        Some(column)
    }
}

/// A number of one to nine bytes, and how many.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        let taken = place.saturating_add(1);
        if taken == 9 {
            return Some((value.wrapping_shl(8) | u64::from(*byte), taken));
        }
        value = value.wrapping_shl(7) | u64::from(*byte & 0x7f);
        if *byte & 0x80 == 0 {
            return Some((value, taken));
        }
    }
    None
}

/// The pages of a database, those in its log before those in its file.
#[derive(Debug)]
struct Pages {
    database: Bytes,
    log: Option<Bytes>,
    /// Where in the log a page stands last.
    logged: HashMap<u32, u64>,
    size: usize,
    /// What of a page is not reserved for extensions.
    usable: u64,
    count: u64,
}

/// A row, not read yet.
#[derive(Debug)]
struct Row<'a> {
    pages: &'a Pages,
    /// Bytes of the record.
    len: u64,
    /// The part of it on its own page.
    local: &'a [u8],
    /// The first page of the rest.
    overflow: u32,
    /// Where its page is in the file.
    at: u64,
}

impl Row<'_> {
    /// The first `wanted` bytes of the record; all of it where it is shorter.
    fn prefix(&self, wanted: usize) -> Result<Vec<u8>, ReadError> {
        let wanted = wanted.min(int_usize(self.len));
        let mut bytes = self.local.get(..wanted).unwrap_or(self.local).to_vec();
        let mut next = self.overflow;
        let chunk = int_usize(self.pages.usable.saturating_sub(4));
        while bytes.len() < wanted {
            // Every turn adds bytes, so that a chain that loops ends as well.
            let page = self.pages.page(next)?;
            let (link, rest) = page.split_at_checked(4).unwrap_or_default();
            let part = rest.get(..chunk).unwrap_or(rest);
            let part = part.get(..wanted.saturating_sub(bytes.len())).unwrap_or(part);
            bytes.extend_from_slice(part);
            next = if link.len() == 4 { BigEndian::read_u32(link) } else { 0 };
        }
        Ok(bytes)
    }
}

impl Pages {
    fn open(database: &Bytes, log: Option<&Bytes>) -> Result<Self, ReadError> {
        let mut pages = Self { database: database.clone(), log: None, logged: HashMap::new(), size: 0, usable: 0, count: 0 };
        let mut size_in_log = None;
        if let Some(log) = log.filter(|log| log.size() > 0) {
            size_in_log = pages.read_log(log)?;
        }
        // The first page may be in the log alone.
        let start = match (pages.logged.get(&1), &pages.log) {
            (Some(at), Some(log)) => read_array::<100>(log, *at)?,
            _ => read_array::<100>(database, 0)?,
        };
        if !start.starts_with(MAGIC) {
            return Err(corrupt(WHAT, 0, "the words SQLite format 3", "something else"));
        }
        let size = match BigEndian::read_u16(start.get(16..18).unwrap_or(&[0, 0])) {
            1 => 65_536_u32,
            size => u32::from(size),
        };
        let reserved = start.get(20).copied().unwrap_or_default();
        if !size.is_power_of_two() || size < 512 {
            return Err(corrupt(WHAT, 16, "a page size of 512 to 65536", size));
        }
        pages.usable = u64::from(size).saturating_sub(u64::from(reserved));
        if pages.usable < 480 {
            return Err(corrupt(WHAT, 20, "480 usable bytes or more in a page", pages.usable));
        }
        if let Some((of_log, count)) = size_in_log {
            if of_log != size {
                return Err(corrupt(LOG, 8, format!("pages of {size} bytes"), of_log));
            }
            pages.count = u64::from(count);
        } else {
            pages.count = database.size().checked_div(u64::from(size)).unwrap_or_default();
        }
        pages.size = int_usize(u64::from(size));
        Ok(pages)
    }

    /// Reads the log: frames from its start whose salts and running sums are right, up to the last one that commits. Returns the size of
    /// its pages and how many the database has then; `None` where nothing is committed.
    fn read_log(&mut self, log: &Bytes) -> Result<Option<(u32, u32)>, ReadError> {
        if log.size() > MAX_LOG {
            return Err(ReadError::Unsupported(format!("a write-ahead log of {} bytes", log.size())));
        }
        if log.size() < 32 {
            return Ok(None);
        }
        let head: [u8; 32] = read_array(log, 0)?;
        let word = |at: usize| head.get(at..at.saturating_add(4)).map_or(0, BigEndian::read_u32);
        let big = match word(0) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return Ok(None),
        };
        let size = word(8);
        let mut sums = sum(big, (0, 0), head.get(..24).unwrap_or_default());
        if word(4) != 3_007_000 || sums != (word(24), word(28)) || !size.is_power_of_two() || !(512..=65_536).contains(&size) {
            // SQLite takes a log with such a header for an empty one.
            return Ok(None);
        }
        let frame = 24_u64.saturating_add(u64::from(size));
        let (mut waiting, mut committed) = (Vec::new(), None);
        let mut at = 32_u64;
        while at.saturating_add(frame) <= log.size() {
            let bytes = read_vec(log, at, int_usize(frame))?;
            let (start, page) = bytes.split_at_checked(24).unwrap_or_default();
            let field = |at: usize| start.get(at..at.saturating_add(4)).map_or(0, BigEndian::read_u32);
            if start.get(8..16) != head.get(16..24) {
                break;
            }
            sums = sum(big, sum(big, sums, start.get(..8).unwrap_or_default()), page);
            if sums != (field(16), field(20)) {
                break;
            }
            waiting.push((field(0), at.saturating_add(24)));
            if field(4) != 0 {
                self.logged.extend(waiting.drain(..));
                committed = Some((size, field(4)));
            }
            at = at.saturating_add(frame);
        }
        if committed.is_some() {
            self.log = Some(log.clone());
        }
        Ok(committed)
    }

    fn page(&self, number: u32) -> Result<Vec<u8>, ReadError> {
        if number == 0 || u64::from(number) > self.count {
            return Err(corrupt(WHAT, 0, format!("a page of {}", self.count), number));
        }
        match (self.logged.get(&number), &self.log) {
            (Some(at), Some(log)) => read_vec(log, *at, self.size),
            _ => read_vec(&self.database, self.offset(number), self.size),
        }
    }

    fn offset(&self, number: u32) -> u64 {
        u64::from(number.saturating_sub(1)).saturating_mul(int_u64(self.size))
    }

    /// Gives the rows of a table to `each`, in their order.
    fn rows(&self, root: u32, each: &mut dyn FnMut(&Row<'_>) -> Result<(), ReadError>) -> Result<(), ReadError> {
        let mut seen = HashSet::from([root]);
        let mut todo = vec![root];
        while let Some(number) = todo.pop() {
            let page = self.page(number)?;
            let at = self.offset(number);
            let start = if number == 1 { 100 } else { 0 };
            let head = page.get(start..).unwrap_or_default();
            let (leaf, first) = match head.first() {
                Some(0x0d) => (true, 8_usize),
                Some(0x05) => (false, 12),
                other => return Err(corrupt(WHAT, at, "a page of a table", other.copied().unwrap_or_default())),
            };
            let cells = head.get(3..5).map_or(0, BigEndian::read_u16);
            let pointers = head.get(first..).unwrap_or_default().chunks_exact(2).take(usize::from(cells));
            if pointers.len() < usize::from(cells) {
                return Err(corrupt(WHAT, at, "cells within their page", cells));
            }
            let cells = pointers.map(|pointer| page.get(usize::from(BigEndian::read_u16(pointer))..).unwrap_or_default());
            if leaf {
                for cell in cells {
                    each(&self.row(cell, at)?)?;
                }
                continue;
            }
            let mut children: Vec<u32> = cells.map(|cell| cell.get(..4).map_or(0, BigEndian::read_u32)).collect();
            children.push(head.get(8..12).map_or(0, BigEndian::read_u32));
            for child in children.into_iter().rev() {
                if !seen.insert(child) {
                    return Err(corrupt(WHAT, at, "pages that stand in the table once", child));
                }
                todo.push(child);
            }
        }
        Ok(())
    }

    /// A cell of a leaf: the record's length, the row's number, and as much of the record as belongs on this page.
    fn row<'a>(&'a self, cell: &'a [u8], at: u64) -> Result<Row<'a>, ReadError> {
        let broken = || corrupt(WHAT, at, "a cell within its page", "less");
        let (len, taken) = varint(cell).ok_or_else(broken)?;
        let rest = cell.get(taken..).ok_or_else(broken)?;
        let (_, taken) = varint(rest).ok_or_else(broken)?;
        let rest = rest.get(taken..).ok_or_else(broken)?;
        let most = self.usable.saturating_sub(35);
        if len <= most {
            let local = rest.get(..int_usize(len)).ok_or_else(broken)?;
            return Ok(Row { pages: self, len, local, overflow: 0, at });
        }
        // No record is longer than the database.
        if len > self.count.saturating_mul(int_u64(self.size)) {
            return Err(corrupt(WHAT, at, "a record within the database", len));
        }
        let least = (self.usable.saturating_sub(12).saturating_mul(32) / 255).saturating_sub(23);
        let spare = len.saturating_sub(least).checked_rem(self.usable.saturating_sub(4)).unwrap_or_default();
        let here = Some(least.saturating_add(spare)).filter(|here| *here <= most).unwrap_or(least);
        let (local, rest) = rest.split_at_checked(int_usize(here)).ok_or_else(broken)?;
        let overflow = rest.get(..4).map(BigEndian::read_u32).ok_or_else(broken)?;
        Ok(Row { pages: self, len, local, overflow, at })
    }
}

/// The running sum of a log over more bytes, eight at a time.
fn sum(big: bool, (mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |bytes: &[u8]| if big { BigEndian::read_u32(bytes) } else { LittleEndian::read_u32(bytes) };
    for pair in bytes.chunks_exact(8) {
        let (first, second) = pair.split_at_checked(4).unwrap_or((&[0; 4], &[0; 4]));
        a = a.wrapping_add(word(first)).wrapping_add(b);
        b = b.wrapping_add(word(second)).wrapping_add(a);
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_to_nine_bytes() {
        assert_eq!(varint(&[0x7f]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0x80]), None);
        assert_eq!(varint(&[]), None);
    }

    #[test]
    fn columns_are_found() {
        // Three bytes of header: NULL, and a blob of two bytes.
        let record = [3, 0, 16, 0xaa, 0xbb];
        let columns: Vec<Column> = Columns::of(&record).collect();
        assert_eq!(columns.len(), 2);
        assert_eq!(columns[1].bytes(&record), Some(&[0xaa, 0xbb][..]));
        assert_eq!(Columns::of(&[]).count(), 0);
        assert_eq!(Columns::of(&[0xff; 9]).count(), 0);
    }
}
