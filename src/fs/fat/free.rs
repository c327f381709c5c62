//! Clusters that are free.
//!
//! The table says so with entries of zero. The number of free clusters in FAT32's FSInfo sector is not asked: the document (section 5)
//! calls it a hint that must be validated, firmware and boot loaders that write to an EFI system partition leave it as it was, and 0xffffffff
//! means that nobody knows. What is asked is every copy of the table, and the marks of a volume that was not unmounted.

use super::table::{Root, Volume, Width};
use crate::bytes::{MIB, int_usize, read_array, read_vec};
use crate::fs::Error;
use crate::fs::system::within;
use std::ops::Range;

/// Pieces of free space that are kept.
const MAX_RANGES: usize = 1 << 22;
/// Bytes of the table that are read at a time: whole entries of every width, two by two.
const PIECE: u64 = 3 * MIB;

impl Volume {
    /// The free ranges in bytes, in order and apart.
    ///
    /// # Errors
    ///
    /// When the volume was not unmounted, its tables differ, or the root directory is called free.
    pub(super) fn free_ranges(&self) -> Result<Vec<Range<u64>>, Error> {
        if !self.clean()? {
            return Err(Error::Unsupported("the volume is marked as not unmounted, or as having had errors".to_owned()));
        }
        let [first] = read_array(&*self.bytes, self.table)?;
        if first != self.media {
            return Err(Error::Damaged(format!("the table begins with {first:#04x}, the boot sector says {:#04x}", self.media)));
        }
        let end = self.clusters.saturating_add(2).saturating_mul(self.width.bits()).div_ceil(8);
        let mut free: Vec<Range<u64>> = Vec::new();
        let mut at = 0_u64;
        while at < end {
            let len = end.saturating_sub(at).min(PIECE);
            let part = read_vec(&*self.bytes, self.table.saturating_add(at), int_usize(len))?;
            let first = at.saturating_mul(8).checked_div(self.width.bits()).unwrap_or_default();
            self.compare(at, &part)?;
            for (cluster, _) in (first..).zip(entries(self.width, &part)).filter(|(_, entry)| *entry == 0) {
                if cluster < 2 || cluster >= self.clusters.saturating_add(2) {
                    continue;
                }
                let start = cluster.saturating_sub(2).saturating_mul(self.cluster).saturating_add(self.data);
                let stop = start.saturating_add(self.cluster);
                match free.last_mut() {
                    Some(last) if last.end == start => last.end = stop,
                    _ => free.push(start..stop),
                }
            }
            if free.len() > MAX_RANGES {
                return Err(Error::Unsupported(format!("free space in more than {MAX_RANGES} pieces")));
            }
            at = at.saturating_add(len);
        }
        if let Root::Chain(root) = self.root {
            let start = u64::from(root).saturating_sub(2).saturating_mul(self.cluster).saturating_add(self.data);
            if !self.has(root) || free.iter().any(|range| range.contains(&start)) {
                return Err(Error::Damaged(format!("the table calls cluster {root} free, where the root directory begins")));
            }
        }
        within("free space", self.bytes.size(), &free)?;
        Ok(free)
    }

    /// Holds a part of the table against its copies, but for the two entries that are no cluster's: marks of the volume stand there.
    fn compare(&self, at: u64, part: &[u8]) -> Result<(), Error> {
        let skip = if at == 0 { int_usize(self.width.bits().saturating_mul(2).div_ceil(8)) } else { 0 };
        for copy in &self.copies {
            let other = read_vec(&*self.bytes, copy.saturating_add(at), part.len())?;
            // FAT12 may end in the middle of a byte, whose rest is nobody's; equal tables are equal there too.
            if let Some(place) = part.iter().zip(&other).skip(skip).position(|(one, other)| one != other) {
                let place = at.saturating_add(crate::bytes::int_u64(place.saturating_add(skip)));
                return Err(Error::Damaged(format!("the tables differ from their byte {place} on")));
            }
        }
        Ok(())
    }
}

/// The entries in a part of the table that begins with one.
fn entries(width: Width, part: &[u8]) -> impl Iterator<Item = u32> {
    let step = match width {
        Width::Fat12 => 3,
        Width::Fat16 => 2,
        Width::Fat32 => 4,
    };
    part.chunks(step)
        .flat_map(move |entry| match (width, entry) {
            (Width::Fat12, &[low, middle, high]) => {
                [Some(u32::from(low) | (u32::from(middle & 0xf) << 8)), Some(u32::from(middle >> 4) | (u32::from(high) << 4))]
            }
            (Width::Fat12, &[low, middle]) => [Some(u32::from(low) | (u32::from(middle & 0xf) << 8)), None],
            (Width::Fat16, &[low, high]) => [Some(u32::from(u16::from_le_bytes([low, high]))), None],
            (Width::Fat32, &[a, b, c, d]) => [Some(u32::from_le_bytes([a, b, c, d & 0xf])), None],
            _ => [None, None],
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_width() {
        let all = |width, part: &[u8]| entries(width, part).collect::<Vec<_>>();
        assert_eq!(all(Width::Fat12, &[0x12, 0x30, 0x45, 0, 0xf0]), [0x012, 0x453, 0]);
        assert_eq!(all(Width::Fat16, &[1, 2, 0, 0, 9]), [0x0201, 0]);
        assert_eq!(all(Width::Fat32, &[0, 0, 0, 0xf0, 1, 0, 0, 0]), [0, 1]);
    }
}
