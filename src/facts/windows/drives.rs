//! Drive letters, and how Windows names partitions.

use crate::facts::Fact;
use serde::Serialize;

/// A drive letter (`SYSTEM\MountedDevices`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriveLetterFacts {
    /// `C`.
    pub letter: String,
    /// `partition`, `device` (a removable drive), `other`.
    pub kind: String,
    /// The partition; absent for other kinds.
    pub partition: Fact<PartitionReferenceFacts>,
    /// The name of the device, for `device`.
    pub device: Fact<String>,
}

/// A partition as Windows names it, and which one that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionReferenceFacts {
    /// `mbr` or `gpt`.
    pub scheme: String,
    /// The disk's signature (`0x2598ad56`) or GUID; absent where only the partition is named.
    pub disk: Fact<String>,
    /// First byte of the partition, for `mbr`.
    pub offset: Fact<u64>,
    /// The partition's GUID, for `gpt`.
    pub guid: Fact<String>,
    /// Its place among the disks that were given together, counted from 0, this one first; absent where none of them is meant.
    pub on_disk: Fact<usize>,
    /// The partition's number there; absent where there is no such partition, unknown where a partition table cannot be read.
    pub number: Fact<u32>,
}
