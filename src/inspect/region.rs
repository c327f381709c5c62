//! Regions: everything on the disks given that may hold a file system, opened.

use super::disk::Inspected;
use crate::bytes::{Bytes, Guard, ReadAt, Slice, Watch};
use crate::facts::ContentFacts;
use crate::fs::{self, FileSystem};
use std::ops::Range;
use std::sync::Arc;

/// A whole disk, a partition or a volume, and the file system on it.
#[derive(Debug, Clone)]
pub struct Region {
    /// Which of the disks given; of a volume the disk of its first extent.
    pub disk: usize,
    /// Where on it.
    pub place: Place,
    /// Its bytes.
    pub bytes: Bytes,
    /// What stands on it; `None` where nothing was recognised.
    pub content: Option<ContentFacts>,
    /// Type of the partition: a GUID, or `0x83`.
    pub partition_type: Option<String>,
    /// Identity of the partition: its GUID, or on an MBR the disk's signature and its number, `b0b0b0b0-01`.
    pub partition_uuid: Option<String>,
    /// Name of the partition (GPT).
    pub partition_name: Option<String>,
    /// Identity that the device mapper gives a volume: `LVM-` and the identities of group and volume without their hyphens.
    pub mapper_uuid: Option<String>,
    /// Where its bytes lie on the disks given, in its own order; empty where that is not known, or is more than pieces one behind the other.
    pub lies: Vec<Stretch>,
    /// The file system, where it is one whose files are read.
    pub fs: Option<Result<Arc<dyn FileSystem>, fs::Error>>,
}

/// Bytes of a region that lie on a disk in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// First byte of the region.
    pub from: u64,
    /// Which of the disks given.
    pub disk: usize,
    /// Where on it, in bytes.
    pub at: Range<u64>,
}

impl Stretch {
    /// The byte of the region after its last.
    fn end(&self) -> u64 {
        self.from.saturating_add(self.at.end.saturating_sub(self.at.start))
    }
}

/// Where a region is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The whole disk: it has no partition table.
    Whole,
    /// A partition, by its number.
    Partition(u32),
    /// A logical volume, by its name: `vg0/root`.
    Volume(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => f.write_str("the disk"),
            Self::Partition(number) => write!(f, "partition {number}"),
            Self::Volume(name) => f.write_str(name),
        }
    }
}

impl Region {
    /// A region with what stands on it, its file system opened.
    pub(super) fn new(disk: usize, place: Place, bytes: Bytes, content: Option<ContentFacts>) -> Self {
        let fs = content.as_ref().and_then(|content| fs::open(&content.kind, bytes.clone()));
        Self {
            disk,
            place,
            bytes,
            content,
            partition_type: None,
            partition_uuid: None,
            partition_name: None,
            mapper_uuid: None,
            lies: vec![],
            fs,
        }
    }

    /// The same place with other bytes on it: what they hold is opened anew.
    #[must_use]
    pub fn with(&self, bytes: Bytes) -> Self {
        let fs = self.content.as_ref().and_then(|content| fs::open(&content.kind, bytes.clone()));
        Self { bytes, fs, ..self.clone() }
    }

    /// Where ranges of its bytes lie: which of the disks given, and bytes of it, in the order of the ranges; what is empty is left out,
    /// and what goes on where the last ended is one with it. `None` where a byte of a range is not covered.
    #[must_use]
    pub fn on_disks(&self, ranges: &[Range<u64>]) -> Option<Vec<(usize, Range<u64>)>> {
        let mut found: Vec<(usize, Range<u64>)> = Vec::new();
        for range in ranges {
            let mut next = range.start;
            let first = self.lies.partition_point(|stretch| stretch.end() <= range.start);
            for stretch in self.lies.iter().skip(first) {
                if next >= range.end || stretch.from > next {
                    break;
                }
                let end = stretch.end().min(range.end);
                let at = |byte: u64| stretch.at.start.saturating_add(byte.saturating_sub(stretch.from));
                match found.last_mut() {
                    Some((disk, last)) if *disk == stretch.disk && last.end == at(next) => last.end = at(end),
                    _ => found.push((stretch.disk, at(next)..at(end))),
                }
                next = end;
            }
            if next < range.end {
                return None;
            }
        }
        Some(found)
    }

    /// blkid's name of what stands on it.
    pub(super) fn kind(&self) -> Option<&str> {
        self.content.as_ref().map(|content| content.kind.as_str())
    }

    /// Its file system, where that could be opened.
    #[must_use]
    pub fn opened(&self) -> Option<&Arc<dyn FileSystem>> {
        self.fs.as_ref().and_then(|fs| fs.as_ref().ok())
    }

    /// Why files on it cannot be read, where something stands on it whose files cannot.
    #[must_use]
    pub fn unreadable(&self) -> Option<String> {
        let kind = self.kind()?;
        match &self.fs {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(format!("{}: {kind}: {error}", self.place)),
            None => match kind {
                // Nothing there that could be a guest's file.
                "swap" | "swsuspend" | "LVM2_member" | "jbd" | "xfs_external_log" => None,
                "crypto_LUKS" | "BitLocker" => Some(format!("{} is encrypted ({kind})", self.place)),
                other => Some(format!("{}: files on {other} are not read", self.place)),
            },
        }
    }
}

/// The partitions of a disk, or the whole of one without a table; reads pass the watch.
pub(super) fn of_disk(index: usize, inspected: &Inspected, watch: &Arc<Watch>) -> Vec<Region> {
    let Ok(disk) = &inspected.container.disk else { return vec![] };
    let disk: Bytes = Arc::new(Guard::new(disk.clone(), watch.clone()));
    let facts = &inspected.facts;
    let table = facts.partition_table.value();
    if table.is_none() {
        let lies = vec![Stretch { from: 0, disk: index, at: 0..disk.size() }];
        let region = |content: &ContentFacts| Region { lies, ..Region::new(index, Place::Whole, disk.clone(), Some(content.clone())) };
        let whole = facts.content.value().map(region);
        return whole.into_iter().collect();
    }
    let signature = table.and_then(|table| table.disk_signature.as_deref()).and_then(|signature| signature.strip_prefix("0x"));
    let partitions = facts.partitions.value().map(Vec::as_slice).unwrap_or_default();
    let region = |partition: &crate::facts::PartitionFacts| {
        let bytes: Bytes = Arc::new(Slice::clamped(disk.clone(), partition.start, partition.size));
        let lies = vec![Stretch { from: 0, disk: index, at: partition.start..partition.start.saturating_add(bytes.size()) }];
        let by_signature = signature.map(|signature| format!("{signature}-{:02x}", partition.number));
        Region {
            partition_type: Some(partition.kind.clone()),
            partition_uuid: partition.guid.clone().or(by_signature),
            partition_name: partition.name.clone(),
            lies,
            ..Region::new(index, Place::Partition(partition.number), bytes, partition.content.value().cloned())
        }
    };
    partitions.iter().map(region).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Zeros;

    /// 10 bytes at 100 of disk 0, 5 at 200 of disk 1, 20 at 205 of disk 1, and after a gap of 5 bytes 10 at 0 of disk 0.
    fn region() -> Region {
        let stretch = |from, disk, at| Stretch { from, disk, at };
        let lies = vec![stretch(0, 0, 100..110), stretch(10, 1, 200..205), stretch(15, 1, 205..225), stretch(40, 0, 0..10)];
        Region { lies, ..Region::new(0, Place::Whole, Arc::new(Zeros(50)), None) }
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, clippy::type_complexity, reason = "lists of ranges are what is compared")]
    fn ranges_are_found_on_the_disks() {
        let cases: [(&[Range<u64>], &[(usize, Range<u64>)]); 11] = [
            (&[0..10], &[(0, 100..110)]),
            (&[0..1], &[(0, 100..101)]),
            (&[9..10], &[(0, 109..110)]),
            (&[9..11], &[(0, 109..110), (1, 200..201)]),
            (&[10..15], &[(1, 200..205)]),
            (&[14..16], &[(1, 204..206)]),
            (&[0..35], &[(0, 100..110), (1, 200..225)]),
            (&[40..50], &[(0, 0..10)]),
            (&[0..5, 5..10, 40..41], &[(0, 100..110), (0, 0..1)]),
            (&[12..12, 100..100], &[]),
            (&[40..41, 0..1], &[(0, 0..1), (0, 100..101)]),
        ];
        for (ranges, expected) in cases {
            assert_eq!(region().on_disks(ranges).as_deref(), Some(expected), "{ranges:?}");
        }
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "lists of ranges are what is compared")]
    fn what_is_not_covered_is_nowhere() {
        for range in [34..36, 35..36, 39..41, 36..39, 49..51, 50..51, 0..50, 0..u64::MAX, u64::MAX - 1..u64::MAX] {
            assert_eq!(region().on_disks(&[0..1, range.clone()]), None, "{range:?}");
        }
        let nowhere = Region { lies: vec![], ..region() };
        assert_eq!(nowhere.on_disks(&[0..1]), None);
        assert_eq!(nowhere.on_disks(&[]), Some(vec![]));
    }
}
