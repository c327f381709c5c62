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
