//! The log: whether it holds work that was not carried out.
//!
//! A restart area says whether the log was closed in order. Where it was not, the log may yet end in a checkpoint that lists nothing: the
//! volume was in use, and at rest. "$LogFile" in the Linux-NTFS project's documentation; `LFS_RESTART_PAGE_HEADER`, `LFS_RESTART_AREA`,
//! `LFS_CLIENT_RECORD` and `LFS_RECORD_PAGE_HEADER` as Windows' debugging symbols name the structures.

use super::raw::{le16, le32, le64, len16};
use super::record::fix_up;
use crate::bytes::{ReadAt, ReadError, int_usize, read_array, read_vec};

/// No client has the log open.
const NO_CLIENT: u16 = 0xffff;
/// Flag of a restart area: the volume was unmounted in order.
const CLEAN: u16 = 2;
/// Windows makes logs of up to 64 MiB by itself; `chkdsk /L` can make longer ones.
const MAX_LOG: u64 = 4 << 30;
/// The type of a record: a checkpoint.
const CHECKPOINT: u32 = 2;

/// What is needed of a restart area.
#[derive(Debug, Clone, Copy)]
struct Restart {
    /// The last record that it knows of.
    last: u64,
    /// Whether it was closed in order.
    clean: bool,
    /// The checkpoint that work would begin at.
    checkpoint: u64,
    /// Bits of a record's number that count how often the log began again.
    sequence_bits: u32,
    /// Bytes of a record's header.
    header: u64,
    /// Bytes of a page's header, before its first record or the rest of one.
    data: u64,
    /// Bytes of a page.
    page: u64,
}

/// Whether nothing in the log waits; `None` where it has no restart area that can be read.
pub(super) fn is_done(log: &dyn ReadAt) -> Result<Option<bool>, ReadError> {
    if log.size() < 8192 {
        return Ok(None);
    }
    let start: [u8; 4096] = read_array(log, 0)?;
    if start.iter().all(|byte| *byte == 0xff) {
        // Formatted, or reset, and never used since.
        return Ok(Some(true));
    }
    let page = le32(&start, 16).map(u64::from).filter(|page| page.is_power_of_two() && (512..=65536).contains(page)).unwrap_or(4096);
    let areas = [restart(log, 0, page)?, restart(log, page, page)?];
    let Some(restart) = areas.into_iter().flatten().max_by_key(|area| area.last) else { return Ok(None) };
    if restart.clean {
        return Ok(Some(true));
    }
    if restart.checkpoint != restart.last || log.size() > MAX_LOG || !at_rest(log, &restart)? {
        return Ok(Some(false));
    }
    // Newer logs write their restart area at checkpoints alone: later records show only in the pages themselves.
    let mut at = page.saturating_mul(2);
    while at.saturating_add(restart.page) <= log.size() {
        let header: [u8; 40] = read_array(log, at)?;
        if header.starts_with(b"RCRD") && le64(&header, 32).is_some_and(|last| last > restart.checkpoint) {
            return Ok(Some(false));
        }
        at = at.saturating_add(restart.page);
    }
    Ok(Some(true))
}

/// The restart area in the page at this place.
fn restart(log: &dyn ReadAt, at: u64, size: u64) -> Result<Option<Restart>, ReadError> {
    if at.saturating_add(size) > log.size() {
        return Ok(None);
    }
    let mut page = read_vec(log, at, int_usize(size))?;
    // Where chkdsk has been, the page begins with its own mark.
    if fix_up(&mut page, b"RSTR").is_err() && fix_up(&mut page, b"CHKD").is_err() {
        return Ok(None);
    }
    Ok(parse_restart(&page))
}

fn parse_restart(page: &[u8]) -> Option<Restart> {
    let area = page.get(len16(page, 24)?..)?;
    let client = le16(area, 12)?;
    let clean = client == NO_CLIENT || le16(area, 14)? & CLEAN != 0;
    let checkpoint = if clean {
        0
    } else {
        // Client records have 160 bytes.
        let at = len16(area, 22)?.checked_add(usize::from(client).checked_mul(160)?)?;
        le64(area, at.checked_add(8)?)?
    };
    let size = u64::from(le32(page, 20)?);
    Some(Restart {
        last: le64(area, 0)?,
        clean,
        checkpoint,
        sequence_bits: le32(area, 16)?,
        header: u64::from(le16(area, 36)?),
        data: u64::from(le16(area, 38)?),
        page: if size.is_power_of_two() && (512..=65536).contains(&size) { size } else { return None },
    })
}

/// Whether the checkpoint lists neither transactions nor pages to be written.
fn at_rest(log: &dyn ReadAt, restart: &Restart) -> Result<bool, ReadError> {
    // The low bits of a record's number are its place in units of eight bytes.
    let bits = restart.sequence_bits;
    let place = restart.checkpoint.checked_shl(bits).zip(bits.checked_sub(3)).and_then(|(place, bits)| place.checked_shr(bits));
    let Some(place) = place else { return Ok(false) };
    let within = place.checked_rem(restart.page).unwrap_or_default();
    let home = record_at_rest(log, place.saturating_sub(within), within, restart)?;
    if let Some(answer) = home {
        return Ok(answer);
    }
    // The last page is written beside the others first.
    let mut copies = restart.page.saturating_mul(2);
    for _ in 0..2 {
        if let Some(answer) = record_at_rest(log, copies, within, restart)? {
            return Ok(answer);
        }
        copies = copies.saturating_add(restart.page);
    }
    Ok(false)
}

/// The same of the record in the page at `start`; `None` where the checkpoint is not there.
fn record_at_rest(log: &dyn ReadAt, start: u64, within: u64, restart: &Restart) -> Result<Option<bool>, ReadError> {
    let page = page(log, start, restart)?.unwrap_or_default();
    let Some(record) = page.get(int_usize(within)..).filter(|record| le64(record, 0) == Some(restart.checkpoint)) else {
        return Ok(None);
    };
    // The end of its body may stand in the next page.
    let next = self::page(log, start.saturating_add(restart.page), restart)?.unwrap_or_default();
    let rest = next.get(int_usize(restart.data)..).unwrap_or_default();
    let body = [record.get(int_usize(restart.header)..).unwrap_or_default(), rest].concat();
    let tables = le32(&body, 56).zip(le32(&body, 60));
    let whole = le32(record, 24).is_some_and(|length| length >= 64);
    Ok(Some(le32(record, 32) == Some(CHECKPOINT) && whole && tables == Some((0, 0))))
}

/// The page of records at this place; `None` where there is none, or it was not written whole.
fn page(log: &dyn ReadAt, start: u64, restart: &Restart) -> Result<Option<Vec<u8>>, ReadError> {
    if start.saturating_add(restart.page) > log.size() {
        return Ok(None);
    }
    let mut page = read_vec(log, start, int_usize(restart.page))?;
    Ok(fix_up(&mut page, b"RCRD").is_ok().then_some(page))
}
