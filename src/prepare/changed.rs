//! A disk with changes inside it: bytes that were written anew, and ranges that are left out.

use super::Step;
use crate::bytes::{Bytes, Overlay, OverlayError, Punched};
use crate::facts::DiskFacts;
use std::ops::Range;
use std::sync::Arc;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Memory, read_vec};

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
}
