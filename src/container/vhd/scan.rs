//! Finding footers: at the end, near the end, at the start, and stranded inside the payload.

use super::footer::{COOKIE, FOOTER_LEN, Footer, SHORT_FOOTER_LEN};
use crate::bytes::{GIB, MIB, ReadAt, ReadError, SECTOR, int_u64, int_usize, is_zero, read_array, read_vec};

/// How far before the end of a file a displaced footer is looked for.
const WINDOW: u64 = 4 * MIB;
/// Bytes of it that are looked at together.
const PIECE: usize = 4096;
/// MiB borders before the end of a disk that are probed for a stranded footer.
const TAIL_PROBES: u64 = 64;
/// GiB borders of a disk that are probed, at most: 4 TiB.
const BORDER_PROBES: u64 = 4096;
/// Of the places of which it is not known whether they are holes, the one in so many for which the disk is asked for its next data;
/// the others are just read. Asking passes over any hole at once, but a read of one sector, or of a block that is not there, costs less.
const ASK_EVERY: u64 = 16;
/// Stranded footers that are reported, at most.
const MAX_STALE: usize = 64;

/// The footer that ends at the file's last byte, of 512 bytes or of 511.
pub(super) fn at_end(file: &dyn ReadAt) -> Result<Option<Footer>, ReadError> {
    for length in [FOOTER_LEN, SHORT_FOOTER_LEN] {
        let Some(offset) = file.size().checked_sub(int_u64(length)) else { continue };
        let bytes = read_vec(file, offset, length)?;
        // A file of 511 bytes behind the last sector border is what tells the short form from a shift by one byte.
        let fits = length == FOOTER_LEN || offset.is_multiple_of(SECTOR);
        if let Ok(footer) = Footer::parse(&bytes, offset)
            && footer.is_footer()
            && fits
        {
            return Ok(Some(footer));
        }
    }
    Ok(None)
}

/// The copy at the start of a dynamic or differencing disk. A fixed disk's payload may begin with the same cookie.
pub(super) fn at_start(file: &dyn ReadAt) -> Result<Option<Footer>, ReadError> {
    if file.size() < int_u64(FOOTER_LEN) {
        return Ok(None);
    }
    let bytes: [u8; FOOTER_LEN] = read_array(file, 0)?;
    Ok(Footer::parse(&bytes, 0).ok().filter(Footer::is_footer))
}

/// The last sound footer in the window before the end, for files that carry something behind it.
///
/// Only a footer with a valid checksum counts, and a fixed one must stand exactly behind its payload: a raw disk may hold remains
/// of a VHD, and must not be taken for one.
pub(super) fn near_end(file: &dyn ReadAt) -> Result<Option<Footer>, ReadError> {
    let start = file.size().saturating_sub(WINDOW);
    let window = read_vec(file, start, int_usize(file.size().saturating_sub(start)))?;
    // Most of it is zeros, as a rule: those are passed over by the piece, each piece reaching into the next as far as a cookie may.
    let pieces = (0..window.len()).step_by(PIECE).filter_map(|from| {
        let end = from.saturating_add(PIECE).saturating_add(COOKIE.len()).saturating_sub(1).min(window.len());
        window.get(from..end).map(|piece| (from, piece))
    });
    let found = pieces
        .filter(|(_, piece)| !is_zero(piece))
        .flat_map(|(from, piece)| piece.windows(COOKIE.len()).zip(int_u64(from)..))
        .filter(|(bytes, _)| *bytes == COOKIE.as_slice())
        .filter_map(|(_, place)| {
            let bytes = window.get(int_usize(place)..int_usize(place.saturating_add(int_u64(FOOTER_LEN))))?;
            Footer::parse(bytes, start.saturating_add(place)).ok()
        })
        .filter(|footer| {
            footer.offset > 0 && footer.checksum_holds() && (footer.disk_type.is_sparse() || footer.current_size == footer.offset)
        })
        .last();
    Ok(found)
}

/// A footer inside the payload: what growing a disk by appending leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleFooter {
    /// Byte of the virtual disk at which it stands.
    pub offset: u64,
    /// The size that it states.
    pub current_size: u64,
    /// Whether its checksum holds.
    pub valid: bool,
}

/// Looks for footers in a virtual disk: at `hints`, at its start, at MiB borders of its tail and at GiB borders; with `deep` at every
/// sector that holds data.
///
/// # Errors
///
/// When the disk cannot be read there.
pub fn stale_footers(disk: &dyn ReadAt, hints: &[u64], deep: bool) -> Result<Vec<StaleFooter>, ReadError> {
    let mut found = Vec::new();
    if deep {
        every_sector(disk, &mut found)?;
        return Ok(found);
    }
    let size = disk.size();
    let last_mib = size / MIB;
    let tail = (last_mib.saturating_sub(TAIL_PROBES)..=last_mib).map(|n| n.saturating_mul(MIB));
    let borders = (0..=(size / GIB).min(BORDER_PROBES)).map(|n| n.saturating_mul(GIB));
    let mut places: Vec<u64> = hints.iter().copied().chain(tail).chain(borders).collect();
    places.sort_unstable();
    places.dedup();
    let mut data = 0..0;
    let mut unknown = 0_u64;
    for place in places {
        let end = place.saturating_add(SECTOR);
        if end > size {
            break;
        }
        if place >= data.end {
            if unknown.is_multiple_of(ASK_EVERY) {
                match disk.data(place) {
                    None => break,
                    Some(range) => data = range,
                }
            } else {
                data = place..end;
            }
            unknown = unknown.saturating_add(1);
        }
        if data.start < end {
            let sector: [u8; 512] = read_array(disk, place)?;
            note(&sector, place, &mut found);
        }
    }
    Ok(found)
}

fn every_sector(disk: &dyn ReadAt, found: &mut Vec<StaleFooter>) -> Result<(), ReadError> {
    let mut buf = vec![0; int_usize(MIB)];
    let mut from = 0;
    while let Some(range) = disk.data(from) {
        let mut at = (range.start / SECTOR).saturating_mul(SECTOR);
        while at < range.end {
            let step = disk.size().saturating_sub(at).min(MIB);
            let part = buf.get_mut(..int_usize(step)).unwrap_or_default();
            disk.read_at(at, part)?;
            for (sector, place) in part.chunks_exact(FOOTER_LEN).zip((at..).step_by(FOOTER_LEN)) {
                note(sector, place, found);
            }
            at = at.saturating_add(step);
        }
        from = at.max(range.end);
    }
    Ok(())
}

fn note(sector: &[u8], place: u64, found: &mut Vec<StaleFooter>) {
    if sector.starts_with(&COOKIE)
        && found.len() < MAX_STALE
        && let Ok(footer) = Footer::parse(sector, place)
    {
        found.push(StaleFooter { offset: place, current_size: footer.current_size, valid: footer.checksum_holds() });
    }
}
