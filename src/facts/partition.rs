//! Partitions and what stands on them.

use super::{Fact, SealedFacts};
use serde::Serialize;

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionTableFacts {
    /// `gpt` or `mbr`.
    pub scheme: String,
    /// Bytes of the sectors that it was made for: 512, or 4096.
    pub sector_size: u64,
    /// Identity of a GPT disk.
    pub disk_guid: Option<String>,
    /// Signature of the MBR: `0x2598ad56`.
    pub disk_signature: Option<String>,
    /// Whether the GPT at the start is sound; `null` for MBR.
    pub primary_valid: Option<bool>,
    /// Whether the GPT at the end is sound; `null` for MBR.
    pub backup_valid: Option<bool>,
    /// Byte at which the backup header stands.
    pub backup_offset: Option<u64>,
    /// Byte at which it belongs: the disk's last sector.
    pub backup_expected_offset: Option<u64>,
    /// Whether the table can be rebuilt mechanically, and if not why.
    pub rebuild_refused: Option<String>,
    /// Whether a rebuild would change anything.
    pub needs_rebuild: bool,
    /// Boot code in the first sector: `GRUB`, `Windows`, …; `null` where there is none.
    pub boot_code: Option<String>,
    /// Whether the MBR lists other partitions beside a protective one.
    pub hybrid: bool,
    /// What is wrong with the table.
    pub problems: Vec<TableProblemFacts>,
}

/// One thing wrong with a partition table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableProblemFacts {
    /// Its name.
    pub code: String,
    /// Byte of the virtual disk.
    pub offset: u64,
    /// What, expected, found.
    pub message: String,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionFacts {
    /// Number as Linux counts them.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// `0x83`, or a GUID.
    #[serde(rename = "type")]
    pub kind: String,
    /// The type's name.
    pub type_name: Option<String>,
    /// The partition's own name (GPT).
    pub name: Option<String>,
    /// Identity (GPT).
    pub guid: Option<String>,
    /// Marked active (MBR) or legacy BIOS bootable (GPT).
    pub bootable: bool,
    /// Boot code in its first sector, where it has a boot sector.
    pub boot_code: Option<String>,
    /// What stands on it.
    pub content: Fact<ContentFacts>,
}

/// What stands on a partition, a volume or a whole disk, by its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContentFacts {
    /// The name that `blkid` has for it.
    #[serde(rename = "type")]
    pub kind: String,
    /// As `blkid` prints it.
    pub uuid: Option<String>,
    /// As `blkid` prints it.
    pub label: Option<String>,
    /// Bytes, as its superblock says.
    pub size: Fact<u64>,
    /// Bytes in use, as far as its superblock tells.
    pub used: Fact<u64>,
    /// Whether it was unmounted cleanly, as far as its superblock tells.
    pub clean: Fact<bool>,
    /// What its header says, where it is encrypted.
    pub sealed: Option<SealedFacts>,
    /// Further plain facts.
    pub detail: Vec<String>,
}
