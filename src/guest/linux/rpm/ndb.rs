//! rpm's own database, which SUSE uses: `Packages.db`.
//!
//! Document: rpm's `lib/backend/ndb/rpmpkg.c`. The first pages are slots of 16 bytes, each with a package's number and where its header
//! stands, in blocks of 16 bytes; a header has a head and a tail with marks of their own. All numbers are little-endian.

use super::{Each, Walk, corrupt};
use crate::bytes::{Bytes, ReadAt, ReadError, int_u64, int_usize, read_array, read_vec};
use byteorder::{ByteOrder, LittleEndian};

const WHAT: &str = "ndb database";
const PAGE: u64 = 4096;
const BLOCK: u64 = 16;
const SLOT: &[u8; 4] = b"Slot";
const HEAD: &[u8; 4] = b"BlbS";
const TAIL: &[u8; 4] = b"BlbE";
const HEAD_SIZE: u64 = 16;
const TAIL_SIZE: u64 = 12;

/// Gives every package of `Packages.db` to `each`.
///
/// # Errors
///
/// When the database is damaged or cannot be read. Packages before the damage have been given already.
pub fn packages(database: &Bytes, each: Each<'_>) -> Result<(), ReadError> {
    let start: [u8; 32] = read_array(database, 0)?;
    let word = |bytes: &[u8], at: usize| bytes.get(at..at.saturating_add(4)).map_or(0, LittleEndian::read_u32);
    if !start.starts_with(b"RpmP") {
        return Err(corrupt(WHAT, 0, "the letters RpmP", "something else"));
    }
    if word(&start, 4) != 0 {
        return Err(ReadError::Unsupported(format!("version {} of the ndb database", word(&start, 4))));
    }
    let pages = u64::from(word(&start, 12));
    let slots_end = pages.saturating_mul(PAGE);
    if slots_end > database.size() {
        return Err(corrupt(WHAT, 12, "pages of slots within the file", pages));
    }
    let mut walk = Walk::new(database.size(), each);
    for page in 0..pages {
        let at = page.saturating_mul(PAGE);
        let bytes = read_vec(database, at, int_usize(PAGE))?;
        // The database's own header takes the first two slots.
        for (place, slot) in bytes.chunks_exact(16).enumerate().skip(if page == 0 { 2 } else { 0 }) {
            let here = at.saturating_add(int_u64(place).saturating_mul(16));
            if !slot.starts_with(SLOT) {
                return Err(corrupt(WHAT, here, "the letters Slot", "something else"));
            }
            let (number, block, blocks) = (word(slot, 4), u64::from(word(slot, 8)), u64::from(word(slot, 12)));
            if block == 0 {
                continue;
            }
            let (blob, len) = (block.saturating_mul(BLOCK), blocks.saturating_mul(BLOCK));
            if number == 0 || blob < slots_end || len < HEAD_SIZE.saturating_add(TAIL_SIZE) || blob.saturating_add(len) > database.size() {
                return Err(corrupt(WHAT, here, "a package within the file", block));
            }
            package(database, number, blob, len, &mut walk)?;
        }
    }
    Ok(())
}

/// The package at `at`, whose head, header and tail take `space` bytes.
fn package(database: &Bytes, number: u32, at: u64, space: u64, walk: &mut Walk<'_>) -> Result<(), ReadError> {
    let head: [u8; 16] = read_array(database, at)?;
    let word = |bytes: &[u8], at: usize| bytes.get(at..at.saturating_add(4)).map_or(0, LittleEndian::read_u32);
    if !head.starts_with(HEAD) || word(&head, 4) != number {
        return Err(corrupt(WHAT, at, format!("package {number}"), "something else"));
    }
    let len = u64::from(word(&head, 12));
    let needed = HEAD_SIZE.saturating_add(len).saturating_add(TAIL_SIZE).checked_next_multiple_of(BLOCK);
    if needed != Some(space) {
        return Err(corrupt(WHAT, at.saturating_add(12), format!("a header that takes {space} bytes"), len));
    }
    let end = at.saturating_add(space).saturating_sub(TAIL_SIZE);
    let tail: [u8; 12] = read_array(database, end)?;
    if !tail.ends_with(TAIL) || u64::from(word(&tail, 4)) != len {
        return Err(corrupt(WHAT, end, "the end of a package", "something else"));
    }
    let start = at.saturating_add(HEAD_SIZE);
    walk.package(len, &mut |wanted| read_vec(database, start, wanted.min(int_usize(len))))
}
