//! The content of a file, read and verified as it is asked for.
//!
//! `struct btrfs_file_extent_item` in `include/uapi/linux/btrfs_tree.h`.

use super::super::{Error, Extent};
use super::compression::{self, Compression, decompress};
use super::item::Inode;
use super::log::Logged;
use super::tree::{Key, Root, Volume};
use crate::bytes::{Bytes, Corrupt, ReadAt, ReadError, check_bounds, int_u64, int_usize};
use crate::fs::fields::{byte, le16, le64};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

/// A file of more extents is not read.
const MAX_EXTENTS: usize = 1 << 20;
/// Bytes of plain content that are read and verified at a time.
const UNIT: u64 = 128 * 1024;
/// Verified units that a file keeps for the next read.
const MAX_KEPT: usize = 2;
/// Bytes before the content of an extent in its item.
const INLINE: usize = 21;

/// A run of bytes of a file, and where they come from.
#[derive(Debug, Clone)]
struct Piece {
    len: u64,
    from: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// In the tree itself.
    Inline(Arc<[u8]>),
    /// As it is, at this address.
    Plain(u64),
    /// Compressed; the piece begins some bytes into the content.
    Packed { at: u64, len: u64, how: Compression, content: u64, skip: u64 },
    /// Zeros.
    Hole,
}

/// Pieces by their first byte; they do not overlap.
#[derive(Debug, Default)]
struct Pieces(BTreeMap<u64, Piece>);

impl Pieces {
    /// Lays a piece over what there is.
    fn lay(&mut self, start: u64, piece: Piece) {
        let end = start.saturating_add(piece.len);
        self.cut(start, end);
        if end > start && !matches!(piece.from, Source::Hole) {
            self.0.insert(start, piece);
        }
    }

    /// Takes away what lies from `start` to `end`.
    fn cut(&mut self, start: u64, end: u64) {
        let inside: Vec<u64> =
            self.0.range(..end).rev().take_while(|(at, piece)| at.saturating_add(piece.len) > start).map(|(at, _)| *at).collect();
        for at in inside {
            let Some(piece) = self.0.remove(&at) else { continue };
            let stop = at.saturating_add(piece.len);
            if at < start {
                self.0.insert(at, Piece { len: start.saturating_sub(at), from: piece.from.clone() });
            }
            if stop > end {
                self.0.insert(end, Piece { len: stop.saturating_sub(end), from: piece.from.after(end.saturating_sub(at)) });
            }
        }
    }
}

impl Source {
    /// The same from some bytes on.
    fn after(&self, bytes: u64) -> Self {
        match self {
            Self::Inline(content) => Self::Inline(content.get(int_usize(bytes)..).unwrap_or_default().into()),
            Self::Plain(at) => Self::Plain(at.saturating_add(bytes)),
            Self::Packed { at, len, how, content, skip } => {
                Self::Packed { at: *at, len: *len, how: *how, content: *content, skip: skip.saturating_add(bytes) }
            }
            Self::Hole => Self::Hole,
        }
    }
}

/// Where the sums of content are.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    /// The tree of them.
    pub(super) root: Root,
    /// Those that only the log has.
    pub(super) logged: Option<Arc<Logged>>,
}

/// Opens the content of an inode; `None` for `sums` where it has none.
///
/// # Errors
///
/// When its extents are damaged.
pub(super) fn open(volume: Arc<Volume>, root: Root, inode: &Inode, logged: Option<&Logged>, sums: Option<Sums>) -> Result<Bytes, Error> {
    let pieces = pieces(&volume, root, inode, logged)?;
    Ok(Arc::new(Content { volume, inode: inode.number, size: inode.node.size, pieces: pieces.0, sums, kept: Mutex::default() }))
}

/// Where the content of an inode lies, all copies; `None` where none of it has a place of its own.
///
/// # Errors
///
/// As [`open`]; and when an extent lies in no chunk.
pub(super) fn extents(volume: &Volume, root: Root, inode: &Inode, logged: Option<&Logged>) -> Result<Option<Vec<Extent>>, Error> {
    let mut found = Vec::new();
    for (from, piece) in pieces(volume, root, inode, logged)?.0 {
        let (at, len) = match piece.from {
            Source::Plain(at) => (at, piece.len),
            Source::Packed { at, len, .. } => (at, len),
            Source::Inline(_) | Source::Hole => continue,
        };
        let places = volume.places(at, len);
        if places.is_empty() {
            return Err(inode.damaged(&format!("extent at address {at}: in no chunk")));
        }
        found.extend(places.into_iter().map(|place| Extent { from, at: place..place.saturating_add(len) }));
    }
    Ok((!found.is_empty()).then_some(found))
}

/// The pieces of an inode's content.
fn pieces(volume: &Volume, root: Root, inode: &Inode, logged: Option<&Logged>) -> Result<Pieces, Error> {
    let mut pieces = Pieces::default();
    let mut end = 0;
    volume.items(root, Key::new(inode.number, Key::EXTENT, 0), &mut |start, item| {
        let piece = piece(volume, inode, item)?;
        if start < end {
            return Err(inode.damaged(&format!("two extents overlap at byte {start}")));
        }
        end = start.saturating_add(piece.len);
        pieces.lay(start, piece);
        if pieces.0.len() > MAX_EXTENTS {
            return Err(Error::Unsupported(format!("inode {}: more than {MAX_EXTENTS} extents", inode.number)));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(changes) = logged.and_then(|logged| logged.content(inode.number)) {
        pieces.cut(changes.end, u64::MAX);
        for (start, item) in &changes.extents {
            let piece = piece(volume, inode, item)?;
            // An extent in the tree fills its sector.
            let whole = if matches!(piece.from, Source::Inline(_)) { piece.len.next_multiple_of(volume.superblock.sector) } else { 0 };
            pieces.cut(*start, start.saturating_add(whole));
            pieces.lay(*start, piece);
        }
    }
    Ok(pieces)
}

/// The piece in an item.
fn piece(volume: &Volume, inode: &Inode, item: &[u8]) -> Result<Piece, Error> {
    let damaged = |what: &str| inode.damaged(&format!("extent: {what}"));
    let how = match byte(item, 16) {
        0 => None,
        1 => Some(Compression::Zlib),
        2 => Some(Compression::Lzo),
        3 => Some(Compression::Zstd),
        other => return Err(Error::Unsupported(format!("inode {}: compression {other}", inode.number))),
    };
    if byte(item, 17) != 0 || le16(item, 18) != 0 {
        return Err(Error::Unsupported(format!("inode {}: an encrypted or encoded extent", inode.number)));
    }
    let (content, sector) = (le64(item, 8), volume.superblock.sector);
    if byte(item, 20) == 0 {
        let stored = item.get(INLINE..).unwrap_or_default();
        let stored: Arc<[u8]> = match how {
            None => stored.into(),
            Some(how) if content <= compression::MAX => {
                decompress(how, stored, int_usize(content), int_usize(sector)).map_err(|what| damaged(&what))?.into()
            }
            Some(_) => return Err(damaged("too long for a compressed one")),
        };
        return Ok(Piece { len: int_u64(stored.len()), from: Source::Inline(stored) });
    }
    let [at, len, skip, used] = [21, 29, 37, 45].map(|field| le64(item, field));
    if item.len() < 53 || byte(item, 20) > 2 {
        return Err(damaged("of no known kind"));
    }
    if [at, len, skip, used].iter().any(|value| value.checked_rem(sector) != Some(0)) || at.checked_add(skip).is_none() {
        return Err(damaged("does not lie on sectors"));
    }
    let from = match how {
        // Prepared, and not yet written to.
        _ if at == 0 || byte(item, 20) == 2 => Source::Hole,
        None => Source::Plain(at.saturating_add(skip)),
        Some(how) => {
            if len > compression::MAX || content > compression::MAX || skip.checked_add(used).is_none_or(|end| end > content) {
                return Err(damaged("impossible size of a compressed one"));
            }
            Source::Packed { at, len, how, content, skip }
        }
    };
    Ok(Piece { len: used, from })
}

/// The content of a file; what no piece covers is a hole.
struct Content {
    volume: Arc<Volume>,
    inode: u64,
    size: u64,
    pieces: BTreeMap<u64, Piece>,
    sums: Option<Sums>,
    /// Content of pieces by their place in the file, the last used last.
    kept: Mutex<Vec<(u64, Arc<[u8]>)>>,
}

impl Content {
    /// The piece that holds a byte, or the next one.
    fn next(&self, from: u64) -> Option<(u64, &Piece)> {
        let ends_after = |(start, piece): &(&u64, &Piece)| start.saturating_add(piece.len) > from;
        let found = self.pieces.range(..=from).next_back().filter(ends_after).or_else(|| self.pieces.range(from..).next())?;
        Some((*found.0, found.1))
    }

    /// Content of a piece that starts at `start`, around a byte `within` it: from where in the piece on, and the bytes.
    fn unit(&self, start: u64, piece: &Piece, within: u64) -> Result<(u64, Arc<[u8]>), Error> {
        let first = if matches!(piece.from, Source::Plain(_)) { within.saturating_sub(within % UNIT) } else { 0 };
        let place = start.saturating_add(first);
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = kept.iter().position(|(at, _)| *at == place) {
                let found = kept.remove(found);
                kept.push(found.clone());
                return Ok((first, found.1));
            }
        }
        let content: Arc<[u8]> = match &piece.from {
            Source::Inline(content) => return Ok((0, content.clone())),
            Source::Hole => return Ok((0, vec![0; int_usize(piece.len.min(UNIT))].into())),
            Source::Plain(at) => {
                let len = piece.len.saturating_sub(first).min(UNIT);
                self.verified(at.saturating_add(first), len)?.into()
            }
            Source::Packed { at, len, how, content, skip } => {
                let stream = self.verified(*at, *len)?;
                let decoded = decompress(*how, &stream, int_usize(*content), int_usize(self.volume.superblock.sector))
                    .map_err(|what| Error::Damaged(format!("inode {}: {what}", self.inode)))?;
                decoded.get(int_usize(*skip)..).unwrap_or_default().into()
            }
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push((place, content.clone()));
        Ok((first, content))
    }

    /// Bytes at an address, held against their checksums.
    fn verified(&self, at: u64, len: u64) -> Result<Vec<u8>, Error> {
        let mut content = vec![0; int_usize(len)];
        let Some(sums) = &self.sums else {
            self.volume.read(at, &mut content, &|_| true)?;
            return Ok(content);
        };
        let sector = self.volume.superblock.sector;
        let expected = self.expected(sums, at, len)?;
        let checksum = self.volume.superblock.checksum;
        self.volume.read(at, &mut content, &|content| {
            let mut sectors = content.chunks(int_usize(sector)).zip(&expected);
            sectors.all(|(content, sum)| sum.is_some_and(|sum| checksum.verify(content, &sum)))
        })?;
        Ok(content)
    }

    /// The checksum of each sector; `None` where there is none.
    fn expected(&self, sums: &Sums, at: u64, len: u64) -> Result<Vec<Option<[u8; 32]>>, Error> {
        let (volume, end) = (&self.volume, at.saturating_add(len));
        let (sector, digest) = (volume.superblock.sector, volume.superblock.checksum.digest_len());
        let mut found = vec![None; int_usize(len.div_ceil(sector))];
        // One item has the sums of many sectors, and may begin before the first.
        let key = |offset| Key::new(CHECKSUMS, Key::CHECKSUMS, offset);
        let first = volume.last_before(sums.root, key(at))?.map_or(at, |(offset, _)| offset);
        volume.items(sums.root, key(first), &mut |offset, item| {
            for (place, sum) in (offset..).step_by(int_usize(sector)).zip(item.chunks_exact(digest)).skip_while(|(place, _)| *place < at) {
                let slot = place.saturating_sub(at).checked_div(sector).and_then(|slot| found.get_mut(int_usize(slot)));
                let Some(slot) = slot.filter(|_| place < end) else { break };
                *slot = Some(filled(sum));
            }
            Ok(if offset < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        for (place, slot) in (at..end).step_by(int_usize(sector)).zip(&mut found) {
            *slot = sums.logged.as_ref().and_then(|logged| logged.sum(place)).or(*slot);
        }
        Ok(found)
    }
}

/// The object of all checksums.
const CHECKSUMS: u64 = 0_u64.wrapping_sub(10);

/// A checksum in a field of 32 bytes.
pub(super) fn filled(sum: &[u8]) -> [u8; 32] {
    let mut field = [0; 32];
    for (to, from) in field.iter_mut().zip(sum) {
        *to = *from;
    }
    field
}

impl ReadAt for Content {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        let end = offset.saturating_add(int_u64(buf.len()));
        buf.fill(0);
        let mut at = offset;
        while at < end
            && let Some((start, piece)) = self.next(at)
        {
            let from = at.max(start);
            if from >= end {
                break;
            }
            let within = from.saturating_sub(start);
            let (first, content) = self.unit(start, piece, within).map_err(|error| match error {
                Error::Read(error) => error,
                Error::Unsupported(what) | Error::Full(what) | Error::Protected(what) => ReadError::Unsupported(what),
                Error::Damaged(what) => {
                    ReadError::Corrupt(Corrupt::new("Btrfs extent", from, format!("sound content of inode {}", self.inode), what))
                }
            })?;
            // What a compressed extent lacks reads as zeros; so does what lies behind the piece.
            let stop = piece.len.min(first.saturating_add(UNIT));
            let skip = int_usize(within.saturating_sub(first));
            let rest = buf.get_mut(int_usize(from.saturating_sub(offset))..).unwrap_or_default();
            for (to, from) in rest.iter_mut().zip(content.iter().take(int_usize(stop.saturating_sub(first))).skip(skip)) {
                *to = *from;
            }
            at = start.saturating_add(stop).max(from.saturating_add(1));
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let (start, piece) = self.next(from)?;
        let range = start.max(from)..start.saturating_add(piece.len).min(self.size);
        (range.start < range.end).then_some(range)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("inode", &self.inode).field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(len: u64, at: u64) -> Piece {
        Piece { len, from: Source::Plain(at) }
    }

    fn said(pieces: &Pieces) -> Vec<(u64, u64, u64)> {
        let at = |piece: &Piece| if let Source::Plain(at) = piece.from { at } else { 0 };
        pieces.0.iter().map(|(start, piece)| (*start, piece.len, at(piece))).collect()
    }

    #[test]
    fn a_piece_takes_the_place_of_what_it_covers() {
        for (start, len, expected) in [
            (0, 40, vec![(0, 40, 900)]),
            (12, 2, vec![(0, 10, 100), (10, 2, 200), (12, 2, 900), (14, 6, 204), (30, 10, 300)]),
            (5, 30, vec![(0, 5, 100), (5, 30, 900), (35, 5, 305)]),
            (20, 10, vec![(0, 10, 100), (10, 10, 200), (20, 10, 900), (30, 10, 300)]),
            (40, 1, vec![(0, 10, 100), (10, 10, 200), (30, 10, 300), (40, 1, 900)]),
        ] {
            let mut pieces = Pieces::default();
            for (start, len, at) in [(0, 10, 100), (10, 10, 200), (30, 10, 300)] {
                pieces.lay(start, plain(len, at));
            }
            pieces.lay(start, plain(len, 900));
            assert_eq!(said(&pieces), expected, "{len} from {start}");
        }
    }

    #[test]
    fn holes_and_cuts_leave_nothing() {
        let mut pieces = Pieces::default();
        pieces.lay(0, plain(100, 1000));
        pieces.lay(20, Piece { len: 10, from: Source::Hole });
        pieces.cut(60, u64::MAX);
        assert_eq!(said(&pieces), [(0, 20, 1000), (30, 30, 1030)]);
        pieces.cut(0, u64::MAX);
        assert_eq!(said(&pieces), []);
    }
}
