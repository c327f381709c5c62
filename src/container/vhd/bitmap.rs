//! Sector bitmaps against data, in dynamic disks.
//!
//! In a dynamic disk a clear bit means "never written, and zero". Programs disagree about a clear bit over data: qemu and Azure's
//! uploader return the data, libvhdi and 7-Zip zeros. vhdkit returns the data and reports the conflict.

use super::disk::BlockDisk;
use super::table;
use crate::bytes::{ReadAt, ReadError, SECTOR, int_u64, int_usize, is_zero, read_vec};

/// Bitmaps that are read unless everything is asked for: half a MiB of them, 2 GiB of data in usual blocks. Each is a read of its own,
/// and a check must not take longer than `qemu-img info`, which reads none. Of a disk with more of them none is read: whether any bit is
/// clear cannot be told by some.
const MAX_BITMAPS: u64 = 1024;

/// What the bitmaps of a dynamic disk say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BitmapSurvey {
    /// Blocks with a bitmap in the file.
    pub blocks: u64,
    /// Bitmaps that were read.
    pub read: u64,
    /// Sectors of those blocks whose bit is clear.
    pub clear_sectors: u64,
    /// Of those, sectors that hold data all the same; `None` where the data was not looked at.
    pub conflicts: Option<u64>,
    /// Byte in the file of the first such sector.
    pub first_conflict: Option<u64>,
}

/// Reads bitmaps, and with `deep` the data under their clear bits.
///
/// # Errors
///
/// When the host cannot read.
pub(super) fn survey(disk: &BlockDisk, deep: bool) -> Result<BitmapSurvey, ReadError> {
    let mut out = BitmapSurvey { blocks: int_u64(blocks(disk).count()), conflicts: deep.then_some(0), ..BitmapSurvey::default() };
    if !deep && out.blocks > MAX_BITMAPS {
        return Ok(out);
    }
    let sectors_in_block = disk.shape.size.get() / SECTOR;
    for (block, start) in blocks(disk) {
        out.read = out.read.saturating_add(1);
        let left = disk.size.saturating_sub(block.saturating_mul(disk.shape.size.get())).div_ceil(SECTOR);
        let sectors = sectors_in_block.min(left);
        let bitmap = read_vec(&*disk.file, start, int_usize(disk.shape.bitmap))?;
        let clear = clear_runs(&bitmap, sectors, disk.swapped_bitmaps);
        for run in &clear {
            out.clear_sectors = out.clear_sectors.saturating_add(run.end.saturating_sub(run.start));
            if deep {
                look(disk, start.saturating_add(disk.shape.bitmap), run.clone(), &mut out)?;
            }
        }
    }
    if out.clear_sectors == 0 && out.read == out.blocks {
        // Every bit is set: there is nothing that could conflict.
        out.conflicts = Some(0);
    }
    Ok(out)
}

/// Blocks that lie in the file, each with the byte of it at which its bitmap begins.
fn blocks(disk: &BlockDisk) -> impl Iterator<Item = (u64, u64)> + '_ {
    let places = table::allocated(&disk.entries).map(|(block, entry)| (block, u64::from(entry).saturating_mul(SECTOR)));
    places.filter(|(_, start)| start.saturating_add(disk.shape.span()) <= disk.limit)
}

/// Runs of sectors whose bit is clear.
fn clear_runs(bitmap: &[u8], sectors: u64, swapped: bool) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    let mut sector = 0;
    while sector < sectors {
        let place = int_usize(sector / 8);
        let byte = bitmap.get(if swapped { place ^ 3 } else { place }).copied().unwrap_or_default();
        if byte == 0xff {
            sector = sector.saturating_add(8);
            continue;
        }
        for bit in 0..8_u32 {
            let here = sector.saturating_add(u64::from(bit));
            if here < sectors && byte & (0x80_u8 >> bit) == 0 {
                match runs.last_mut().filter(|run| run.end == here) {
                    Some(run) => run.end = here.saturating_add(1),
                    None => runs.push(here..here.saturating_add(1)),
                }
            }
        }
        sector = sector.saturating_add(8);
    }
    runs
}

/// Counts the sectors of a run that are not zero.
fn look(disk: &BlockDisk, data: u64, run: std::ops::Range<u64>, out: &mut BitmapSurvey) -> Result<(), ReadError> {
    let end = data.saturating_add(run.end.saturating_mul(SECTOR));
    let mut from = data.saturating_add(run.start.saturating_mul(SECTOR));
    let mut buf = vec![0; int_usize(end.saturating_sub(from).min(256 * 1024))];
    // Holes of the host's file are zeros.
    while let Some(found) = disk.file.data(from).filter(|found| found.start < end) {
        let start = (found.start.saturating_sub(data) / SECTOR).saturating_mul(SECTOR);
        from = data.saturating_add(start);
        let stop = found.end.min(end);
        while from < stop {
            let step = end.saturating_sub(from).min(int_u64(buf.len()));
            let part = buf.get_mut(..int_usize(step)).unwrap_or_default();
            disk.file.read_at(from, part)?;
            for (place, sector) in (0_u64..).zip(part.chunks(int_usize(SECTOR))) {
                if !is_zero(sector) {
                    out.conflicts = out.conflicts.map(|count| count.saturating_add(1));
                    out.first_conflict.get_or_insert(from.saturating_add(place.saturating_mul(SECTOR)));
                }
            }
            from = from.saturating_add(step);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::table::BlockShape;
    use super::*;
    use crate::bytes::Zeros;
    use std::num::NonZeroU64;
    use std::sync::Arc;

    #[test]
    fn clear_bits_come_out_as_runs() {
        assert_eq!(clear_runs(&[0xff, 0xff], 16, false), vec![]);
        assert_eq!(clear_runs(&[0b0111_1111, 0b1111_1110], 16, false), vec![0..1, 15..16]);
        assert_eq!(clear_runs(&[0b1111_0000, 0], 12, false), vec![4..12]);
        assert_eq!(clear_runs(&[0xff, 0xff, 0xff, 0x7f], 32, true), vec![0..1]);
    }

    #[test]
    fn bitmaps_are_read_where_that_answers_something() {
        let with = |blocks: usize, deep| {
            let shape = BlockShape { size: NonZeroU64::new(4096).unwrap(), bitmap: SECTOR, needed: int_u64(blocks) };
            let size = 4096 * int_u64(blocks);
            let (file, entries) = (Arc::new(Zeros(1 << 20)), Arc::new(vec![8; blocks]));
            survey(&BlockDisk { file, size, entries, shape, limit: 1 << 20, parent: None, swapped_bitmaps: false }, deep).unwrap()
        };
        let told = |survey: BitmapSurvey| (survey.blocks, survey.read, survey.clear_sectors, survey.conflicts);
        assert_eq!(told(with(1024, false)), (1024, 1024, 8 * 1024, None));
        assert_eq!(told(with(1025, false)), (1025, 0, 0, None));
        assert_eq!(told(with(1025, true)), (1025, 1025, 8 * 1025, Some(0)));
    }
}
