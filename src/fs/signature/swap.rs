//! Swap space, and the image of memory that hibernation leaves in it.
//!
//! `include/linux/swap.h` of the Linux kernel, `union swap_header`: the magic ends the first page, whatever its size.

use crate::bytes::{KIB, ReadAt, ReadError, int_usize};
use crate::volume::block::{Block, sized};
use crate::volume::text::{label, uuid};
use crate::volume::{Content, Probed};
use std::ops::Range;

/// Page sizes of the processors that Linux runs on.
const PAGES: [u64; 5] = [4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB];
/// The magic's distance from the end of the page.
const MAGIC_LEN: usize = 10;
/// libblkid takes fewer than ten pages of 4 KiB for no swap space.
const MIN_SIZE: u64 = 40 * KIB;
/// TuxOnIce keeps a valid swap header and puts its own mark at the start.
const TUX_ON_ICE: [u8; 8] = [0xed, 0xc3, 0x02, 0xe9, 0x98, 0x56, 0xe5, 0x0c];

/// `swap`.
pub(in crate::fs) fn swap(bytes: &dyn ReadAt) -> Probed {
    let Some(start) = Block::at(bytes, 0, 8)?.filter(|_| bytes.size() >= MIN_SIZE) else { return Ok(None) };
    if start.has(0, &TUX_ON_ICE) {
        return Ok(None);
    }
    for page in PAGES {
        let Some(magic) = page_end(bytes, page)? else { break };
        if magic.has(0, b"SWAP-SPACE") {
            return Ok(Some(Content { version: Some("0".to_owned()), ..Content::new("swap") }));
        }
        if magic.has(0, b"SWAPSPACE2")
            && let Some(found) = header(bytes, Some(page), "swap", "1")?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// `swsuspend`: the magic gives way to the hibernated system's mark.
pub(in crate::fs) fn suspended(bytes: &dyn ReadAt) -> Probed {
    let Some(start) = Block::at(bytes, 0, 8)?.filter(|_| bytes.size() >= MIN_SIZE) else { return Ok(None) };
    if start.has(0, &TUX_ON_ICE) {
        return header(bytes, None, "swsuspend", "tuxonice");
    }
    for page in PAGES {
        let Some(magic) = page_end(bytes, page)? else { break };
        for mark in ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"] {
            if magic.has(0, mark.as_bytes()) {
                return header(bytes, None, "swsuspend", &mark.to_ascii_lowercase());
            }
        }
    }
    Ok(None)
}

/// The pages of a swap space that hold what was swapped out: all behind the first, which is its header. `None` where the bytes are no
/// swap space of the version in use (1), or where that does not fit into them.
///
/// # Errors
///
/// When the header cannot be read.
pub fn space(bytes: &dyn ReadAt) -> Result<Option<Range<u64>>, ReadError> {
    if bytes.size() < MIN_SIZE {
        return Ok(None);
    }
    for page in PAGES {
        let Some(magic) = page_end(bytes, page)? else { break };
        if magic.has(0, b"SWAPSPACE2") {
            let found = header(bytes, Some(page), "swap", "1")?;
            return Ok(found.and_then(|found| found.size).filter(|size| *size <= bytes.size()).map(|size| page..size));
        }
    }
    Ok(None)
}

fn page_end(bytes: &dyn ReadAt, page: u64) -> Result<Option<Block>, ReadError> {
    Block::at(bytes, page.saturating_sub(10), MAGIC_LEN)
}

/// The header at byte 1024. With a page size, its version and page count must make sense.
fn header(bytes: &dyn ReadAt, page: Option<u64>, kind: &'static str, version: &str) -> Probed {
    let Some(header) = Block::at(bytes, 1024, int_usize(KIB / 2))? else { return Ok(None) };
    let big = header.be32(0) == 1;
    let last_page = u64::from(header.long(4, big));
    if page.is_some() && (!big && header.le32(0) != 1 || last_page == 0) {
        return Ok(None);
    }
    // Identity and label came late; before that, garbage may stand here, and after them too.
    let garbage = header.array::<8>(40 + 32 * 4) != [0; 8];
    Ok(Some(Content {
        uuid: uuid(header.array(12)).filter(|_| !garbage),
        label: label(header.slice(28, 16)).filter(|_| !garbage),
        size: page.and_then(|page| sized(last_page.saturating_add(1), page)),
        version: Some(version.to_owned()),
        ..Content::new(kind)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{ID, disk, id, matches};

    fn fields() -> Vec<u8> {
        [&1_u32.to_le_bytes()[..], &24_u32.to_le_bytes(), &[0; 4], &id::<16>(), b"exchange\0"].concat()
    }

    #[test]
    fn every_page_size() {
        for page in PAGES {
            let at = page - 10;
            let found = matches(swap, 1 << 20, &[(at, b"SWAPSPACE2"), (1024, &fields())], &[at, at + 9, 1024]);
            assert_eq!(found.uuid.as_deref(), Some(ID));
            assert_eq!(found.label.as_deref(), Some("exchange"));
            assert_eq!(found.size, Some(25 * page));
        }
        let parts: &[(u64, &[u8])] = &[(4086, b"SWAPSPACE2"), (1024, &fields())];
        assert_eq!(swap(&disk(40 * KIB - 1, parts)).unwrap(), None);
        assert_eq!(swap(&disk(40 * KIB, &[(4086, b"SWAPSPACE2")])).unwrap(), None, "no header");
        matches(swap, 1 << 20, &[(4086, b"SWAP-SPACE")], &[4086]);
    }

    #[test]
    fn what_was_swapped_out_lies_behind_the_header() {
        for page in PAGES {
            let parts: &[(u64, &[u8])] = &[(page - 10, b"SWAPSPACE2"), (1024, &fields())];
            assert_eq!(space(&disk(25 * page, parts)).unwrap(), Some(page..25 * page));
            assert_eq!(space(&disk(25 * page + 512, parts)).unwrap(), Some(page..25 * page));
            assert_eq!(space(&disk(25 * page - 1, parts)).unwrap(), None, "more pages than there are");
        }
        assert_eq!(space(&disk(1 << 20, &[(4086, b"SWAP-SPACE")])).unwrap(), None);
        assert_eq!(space(&disk(1 << 20, &[(4086, b"S1SUSPEND\0"), (1024, &fields())])).unwrap(), None);
        assert_eq!(space(&disk(4096, &[])).unwrap(), None);
    }

    #[test]
    fn hibernated() {
        for mark in [&b"S1SUSPEND"[..], b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"] {
            let found = matches(suspended, 1 << 20, &[(4086, mark), (1024, &fields())], &[4086]);
            assert_eq!(found.uuid.as_deref(), Some(ID));
        }
        let ice: &[(u64, &[u8])] = &[(0, &TUX_ON_ICE), (4086, b"SWAPSPACE2"), (1024, &fields())];
        assert_eq!(matches(suspended, 1 << 20, ice, &[0]).version.as_deref(), Some("tuxonice"));
        assert_eq!(swap(&disk(1 << 20, ice)).unwrap(), None);
    }
}
