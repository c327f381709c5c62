//! Clusters that are free, and where files lie.
//!
//! `$Bitmap` has a bit for each cluster. A bit that is wrongly clear would cost a file, so it is not believed alone: the volume must have
//! been left in order, and no run of any record in use, reachable or not, may lie in what is called free. "$Bitmap" in the Linux-NTFS
//! project's documentation.

use super::record::DATA;
use super::stream::Stream;
use super::table::{Content, Table};
use super::{CLUSTERS, Error, LOG, Ntfs};
use crate::bytes::{ReadAt, int_u64, int_usize, read_array, read_vec};
use crate::fs::system::within;
use crate::fs::{Extent, FileSystem, NodeKind};
use std::ops::Range;

/// Pieces of free space that are kept.
const MAX_RANGES: usize = 1 << 22;
/// The bitmap is read in pieces.
const PIECE: u64 = 1 << 20;
/// Records of files without which nothing of a volume is certain: `$MFT`, `$MFTMirr`, `$LogFile`, `$Bitmap`, `$Boot`.
const VITAL: [u64; 5] = [0, 1, LOG, CLUSTERS, 7];

/// Whether a Windows that is asleep has its memory in `\hiberfil.sys`: what it will write when it wakes is not on the disk yet. Fast
/// startup leaves the same at an ordinary shutdown.
///
/// The file begins with `HIBR` while it holds a machine (`hibr` before Windows 8), with `WAKE` when that has been taken out, and with zeros
/// when there never was one (`PO_MEMORY_IMAGE` as Windows' debugging symbols name it). What begins otherwise is taken for a machine.
///
/// # Errors
///
/// When that cannot be read.
pub fn is_hibernated(fs: &dyn FileSystem) -> Result<bool, Error> {
    let Some(id) = fs.lookup(fs.root(), b"hiberfil.sys")? else { return Ok(false) };
    if fs.node(id)?.kind != NodeKind::File {
        return Ok(false);
    }
    let content = fs.open(id)?;
    if content.size() < 4 {
        return Ok(false);
    }
    let mark: [u8; 4] = read_array(&*content, 0)?;
    Ok(mark != [0; 4] && !mark.eq_ignore_ascii_case(b"WAKE"))
}

/// Where the bytes of a stream lie. Of one that is stored otherwise than it is read, `whole` clusters are told.
pub(super) fn extents(stream: &Stream, whole: bool) -> Vec<Extent> {
    let written = if whole { u64::MAX } else { stream.initialized };
    let runs = stream.runs.from(0).iter().filter_map(|run| {
        let from = run.vcn.saturating_mul(stream.cluster);
        let at = run.lcn?.saturating_mul(stream.cluster);
        let len = run.len.saturating_mul(stream.cluster).min(written.saturating_sub(from));
        (len > 0).then(|| Extent { from, at: at..at.saturating_add(len) })
    });
    runs.collect()
}

/// The free ranges in bytes.
pub(super) fn ranges(volume: &Ntfs) -> Result<Vec<Range<u64>>, Error> {
    if is_hibernated(volume)? {
        return Err(Error::Unsupported(
            "a hibernated Windows, or one shut down with fast startup, has its memory in hiberfil.sys".to_owned(),
        ));
    }
    if !volume.clean()? {
        return Err(Error::Unsupported("the volume is marked dirty, or its $LogFile holds work that was not carried out".to_owned()));
    }
    let table = &volume.table;
    let free = clear(&bitmap(table)?, table.geometry.clusters)?;
    check(table, &free)?;
    let cluster = table.geometry.cluster;
    let free: Vec<Range<u64>> =
        free.into_iter().map(|range| range.start.saturating_mul(cluster)..range.end.saturating_mul(cluster)).collect();
    within("free space", table.volume.size(), &free)?;
    Ok(free)
}

/// The bitmap: all of it in clusters that were written, since a hole in it would read as free. A small volume's may be in its record.
fn bitmap(table: &Table) -> Result<Content, Error> {
    let file = table.record(CLUSTERS)?;
    let content = table.content(&file, DATA, &[])?.ok_or_else(|| Error::Damaged("$Bitmap has no data".to_owned()))?;
    let wanted = table.geometry.clusters.div_ceil(8);
    let written = match &content {
        Content::Resident(bytes) => int_u64(bytes.len()),
        Content::Stream(stream) => {
            let until = wanted.div_ceil(stream.cluster.max(1));
            let hole = stream.runs.from(0).iter().find(|run| run.lcn.is_none() && run.vcn < until);
            hole.map_or(stream.initialized.min(stream.size), |hole| hole.vcn.saturating_mul(stream.cluster))
        }
    };
    if written < wanted {
        return Err(Error::Damaged(format!("$Bitmap has {written} of the {wanted} bytes for {} clusters", table.geometry.clusters)));
    }
    Ok(content)
}

/// Runs of clear bits among the first `bits`, in order and apart. Those behind them mean nothing; most programs set them.
fn clear(bitmap: &Content, bits: u64) -> Result<Vec<Range<u64>>, Error> {
    let mut free: Vec<Range<u64>> = Vec::new();
    let end = bits.div_ceil(8);
    let mut at = 0_u64;
    while at < end {
        let len = end.saturating_sub(at).min(PIECE);
        let piece = match bitmap {
            Content::Resident(bytes) => bytes.get(int_usize(at)..int_usize(at.saturating_add(len))).unwrap_or_default().to_vec(),
            Content::Stream(stream) => read_vec(stream, at, int_usize(len))?,
        };
        for (value, number) in piece.iter().zip(at..) {
            // Full bytes are most of them.
            if *value == 0xff {
                continue;
            }
            for bit in 0..8_u32 {
                let cluster = number.saturating_mul(8).saturating_add(u64::from(bit));
                if cluster >= bits || value.checked_shr(bit).is_some_and(|rest| rest & 1 == 1) {
                    continue;
                }
                match free.last_mut() {
                    Some(last) if last.end == cluster => last.end = cluster.saturating_add(1),
                    _ => free.push(cluster..cluster.saturating_add(1)),
                }
            }
        }
        if free.len() > MAX_RANGES {
            return Err(Error::Unsupported(format!("free space in more than {MAX_RANGES} pieces")));
        }
        at = at.saturating_add(len);
    }
    Ok(free)
}

/// Holds the free clusters against the boot sector and every record.
fn check(table: &Table, free: &[Range<u64>]) -> Result<(), Error> {
    let geometry = table.geometry;
    let wrong = |what: &str, at: u64| Error::Damaged(format!("$Bitmap calls cluster {at} free, which {what} uses"));
    let overlap = |start: u64, len: u64| {
        let next = free.get(free.partition_point(|range| range.end <= start))?;
        (next.start < start.saturating_add(len)).then(|| next.start.max(start))
    };
    let cluster = |at: u64| at.checked_div(geometry.cluster).unwrap_or_default();
    for (what, at) in [("the boot sector", 0), ("$MFT", cluster(geometry.table)), ("$MFTMirr", cluster(geometry.mirror))] {
        if let Some(found) = overlap(at, 1) {
            return Err(wrong(what, found));
        }
    }
    for number in VITAL {
        let file = table.record(number)?;
        if !matches!(table.content(&file, DATA, &[])?, Some(Content::Stream(_))) && number != CLUSTERS {
            return Err(Error::Damaged(format!("record {number}, which is the file system's own, has no clusters")));
        }
    }
    for number in table.places() {
        for runs in table.runs(number)? {
            for (start, len) in runs.clusters() {
                if let Some(found) = overlap(start, len) {
                    return Err(wrong(&format!("record {number}"), found));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "lists of ranges are what is compared")]
    fn clear_bits_are_found_across_bytes() {
        let ranges = |bytes: &[u8], bits| clear(&Content::Resident(bytes.to_vec()), bits).unwrap();
        assert_eq!(ranges(&[0xff, 0xff], 16), []);
        assert_eq!(ranges(&[0, 0], 16), [0..16]);
        assert_eq!(ranges(&[0, 0], 13), [0..13], "what is behind the last cluster is not");
        assert_eq!(ranges(&[0b0111_1110, 0b0000_1111], 16), [0..1, 7..8, 12..16]);
        assert_eq!(ranges(&[0x7f, 0xfe], 16), [7..9]);
    }
}
