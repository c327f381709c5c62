//! XenServer's additions, recognised so that they are not taken for damage.
//!
//! Source: the `blktap` project's `vhd.h` as summarised by its readers; the structures are linked from nowhere in the format.

use super::footer::Footer;
use super::header::DynamicHeader;
use crate::bytes::{ReadAt, ReadError, SECTOR, read_array};

/// XenServer's creator code.
pub(super) const CREATOR: [u8; 4] = *b"tap\0";
const BATMAP_COOKIE: [u8; 8] = *b"tdbatmap";
/// From this creator version on a batmap may be present.
const FIRST_WITH_BATMAP: u32 = 0x0001_0001;
/// Version 0.1 wrote its bitmaps little-endian.
const LITTLE_ENDIAN_BITMAPS: u32 = 0x0000_0001;
/// Place in the batmap header of the byte that says whether a key's hash follows.
const KEY_HASH_AT: usize = 29;

/// What XenServer added to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batmap {
    /// Place of its header in the file, in bytes.
    pub offset: u64,
    /// Whether a key hash stands in it: the payload is then encrypted.
    pub encrypted: bool,
}

/// Whether the disk's bitmaps have their bytes the other way round.
pub(super) fn bitmaps_are_swapped(footer: &Footer) -> bool {
    footer.creator_application == CREATOR && footer.creator_version == LITTLE_ENDIAN_BITMAPS
}

/// Looks for a batmap behind the table.
pub(super) fn batmap(file: &dyn ReadAt, footer: &Footer, header: &DynamicHeader) -> Result<Option<Batmap>, ReadError> {
    if footer.creator_application != CREATOR || footer.creator_version < FIRST_WITH_BATMAP {
        return Ok(None);
    }
    let table = u64::from(header.max_table_entries).saturating_mul(4).next_multiple_of(SECTOR);
    let offset = header.table_offset.saturating_add(table);
    if offset.saturating_add(SECTOR) > file.size() {
        return Ok(None);
    }
    let sector: [u8; 512] = read_array(file, offset)?;
    if !sector.starts_with(&BATMAP_COOKIE) {
        return Ok(None);
    }
    Ok(Some(Batmap { offset, encrypted: sector.get(KEY_HASH_AT).is_some_and(|byte| *byte != 0) }))
}
