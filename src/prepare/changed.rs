//! A disk with changes inside it: bytes that were written anew, and ranges that are left out.

use super::Step;
use crate::bytes::{Bytes, Overlay, OverlayError, Punched, ReadError, int_u64, int_usize, read_vec};
use crate::facts::DiskFacts;
use std::ops::Range;
use std::sync::Arc;

/// Bytes in which what is dropped is counted.
const PIECE: usize = 4096;
/// Bytes that are read at a time.
const READ: u64 = 1 << 20;

/// What is changed inside one disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Bytes to lay over it, each with its first byte; none overlap.
    pub patches: Vec<(u64, Vec<u8>)>,
    /// Ranges that read as zeros then, whatever lies there.
    pub holes: Vec<Range<u64>>,
    /// What a plan says of it.
    pub steps: Vec<Step>,
}

impl Changed {
    /// The disk with its changes. It need not be the disk alone: a file that begins with it will do.
    ///
    /// # Errors
    ///
    /// When the patches pass the end or overlap.
    pub fn over(&self, disk: Bytes) -> Result<Bytes, OverlayError> {
        let mut disk = disk;
        if !self.patches.is_empty() {
            let mut overlay = Overlay::new(disk);
            for (offset, bytes) in &self.patches {
                overlay.patch(*offset, bytes.clone())?;
            }
            disk = Arc::new(overlay);
        }
        Ok(if self.holes.is_empty() { disk } else { Arc::new(Punched::new(disk, self.holes.clone())) })
    }
}

/// What is known of a disk with changes inside that is still in its own container: how the source is packed, and what stands on the disk
/// as it is planned.
#[must_use]
pub fn changed_facts(source: &DiskFacts, planned: &DiskFacts) -> DiskFacts {
    DiskFacts {
        partitions: planned.partitions.clone(),
        content: planned.content.clone(),
        volumes: planned.volumes.clone(),
        volume_groups: planned.volume_groups.clone(),
        boot: planned.boot.clone(),
        os: planned.os.clone(),
        ..source.clone()
    }
}

/// Bytes in these ranges that are not zero, in pieces of 4096 from where a range begins.
///
/// # Errors
///
/// When the disk cannot be read.
pub fn count_data(disk: &Bytes, ranges: &[Range<u64>]) -> Result<u64, ReadError> {
    let mut counted = 0_u64;
    for range in ranges {
        let mut at = range.start;
        while let Some(data) = disk.data(at).filter(|data| data.start < range.end) {
            // Back to where the piece begins that the data is in.
            let into = data.start.saturating_sub(range.start) & !(int_u64(PIECE).saturating_sub(1));
            let start = range.start.saturating_add(into).max(at);
            let end = start.saturating_add(READ).min(range.end);
            let bytes = read_vec(&**disk, start, int_usize(end.saturating_sub(start)))?;
            let pieces = bytes.chunks(PIECE).filter(|piece| piece.iter().any(|byte| *byte != 0)).map(|piece| int_u64(piece.len()));
            counted = pieces.fold(counted, u64::saturating_add);
            at = end;
        }
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Memory, ReadAt, Zeros};

    #[test]
    fn patches_show_and_holes_are_empty() {
        let disk: Bytes = Arc::new(Memory(vec![7; 100]));
        let changed = Changed { patches: vec![(10, vec![1, 2]), (50, vec![3; 10])], holes: vec![55..60, 60..70], steps: vec![] };
        let over = changed.over(disk.clone()).unwrap();
        let mut wanted = vec![7; 100];
        wanted[10..12].copy_from_slice(&[1, 2]);
        wanted[50..55].fill(3);
        wanted[55..70].fill(0);
        assert_eq!(read_vec(&*over, 0, 100).unwrap(), wanted);
        assert!(Arc::ptr_eq(&Changed::default().over(disk.clone()).unwrap(), &disk), "nothing changed is the disk itself");
        let past = Changed { patches: vec![(99, vec![1, 2])], ..Changed::default() };
        assert!(past.over(disk).is_err());
    }

    #[test]
    fn what_is_dropped_is_counted_in_pieces() {
        let mut disk = Overlay::new(Arc::new(Zeros(8 << 20)));
        disk.patch(5000, vec![1]).unwrap();
        disk.patch(1 << 20, vec![1; 4097]).unwrap();
        disk.patch(4 << 20, vec![0; 8192]).unwrap();
        disk.patch(6 << 20, vec![1; 3 << 19]).unwrap();
        let disk: Bytes = Arc::new(disk);
        let counted = |ranges: &[Range<u64>]| count_data(&disk, ranges).unwrap();
        assert_eq!(counted(std::slice::from_ref(&(0..disk.size()))), 4096 + 8192 + (3 << 19));
        assert_eq!(counted(&[0..4096, 4096..8192, (6 << 20)..(6 << 20) + 100]), 4096 + 100);
        assert_eq!(counted(&[]), 0);
        // From where the range begins.
        assert_eq!(counted(&[904..5001, (2 << 20)..(3 << 20)]), 1);
    }
}
