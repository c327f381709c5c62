//! One disk.

use super::{
    BitmapFacts, BlockTableFacts, BootFacts, ContentFacts, DeviationFacts, DynamicHeaderFacts, Fact, FooterFacts, OsFacts, ParentDiskFacts,
    PartitionFacts, PartitionTableFacts, StaleFooterFacts,
};
use serde::Serialize;

/// Everything that is known about one disk file and the disk inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskFacts {
    /// As given; bytes that are not UTF-8 replaced.
    pub path: String,
    /// OS or data disk.
    pub role: Fact<Role>,
    /// What led to the role, one plain sentence each.
    pub role_evidence: Vec<String>,
    /// What the file really is: `vhd`, `vhdx`, `raw`, `qcow2`, `gzip`, `empty`, …
    pub format: String,
    /// More about the format, where its headers tell.
    pub format_detail: Option<String>,
    /// Fixed, dynamic or differencing.
    pub kind: Fact<DiskKind>,
    /// Bytes of the disk inside.
    pub virtual_size: Fact<u64>,
    /// Bytes of the sectors by which the disk is addressed, where its container says so: 512, or 4096 in some VHDX.
    pub sector_size: Fact<u64>,
    /// Bytes of the file.
    pub file_size: u64,
    /// Bytes of the disk that the container backs: allocated blocks, or data ranges of a fixed or raw file.
    pub allocated_size: Fact<u64>,
    /// The footer at, or near, the end.
    pub footer: Fact<FooterFacts>,
    /// The copy at the start of a dynamic or differencing disk.
    pub footer_copy: Fact<FooterFacts>,
    /// The dynamic header.
    pub dynamic_header: Fact<DynamicHeaderFacts>,
    /// The block allocation table.
    pub block_table: Fact<BlockTableFacts>,
    /// Sector bitmaps against data.
    pub bitmaps: Fact<BitmapFacts>,
    /// The parents of a differencing disk, nearest first.
    pub parents: Fact<Vec<ParentDiskFacts>>,
    /// Footers inside the disk.
    pub stale_footers: Fact<Vec<StaleFooterFacts>>,
    /// What the file does otherwise than its format says.
    pub deviations: Vec<DeviationFacts>,
    /// Whether the disk inside can be opened, or why not.
    pub readable: Fact<bool>,
    /// What to do with a file whose format is not opened here.
    pub advice: Option<String>,
    /// The partition table.
    pub partition_table: Fact<PartitionTableFacts>,
    /// Its partitions; none where there is no table.
    pub partitions: Fact<Vec<PartitionFacts>>,
    /// What stands on a disk without a partition table.
    pub content: Fact<ContentFacts>,
    /// Volumes spread over partitions.
    pub volumes: Fact<Vec<VolumeFacts>>,
    /// Groups of such volumes that this disk has a part of.
    pub volume_groups: Fact<Vec<VolumeGroupFacts>>,
    /// How the disk can boot.
    pub boot: Fact<BootFacts>,
    /// The operating system on it.
    pub os: Fact<OsFacts>,
}

/// What a disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It boots.
    Os,
    /// It does not.
    Data,
}

/// How a container stores its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskKind {
    /// Byte for byte.
    Fixed,
    /// In blocks, allocated when first written.
    Dynamic,
    /// In blocks, over a parent.
    Differencing,
}

impl std::fmt::Display for DiskKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::Dynamic => "dynamic",
            Self::Differencing => "differencing",
        })
    }
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeFacts {
    /// `vg0/root`.
    pub name: String,
    /// Its identity.
    pub uuid: String,
    /// Bytes.
    pub size: u64,
    /// How its segments are mapped, by LVM's names: `striped` (also for one stripe), `thin`, `raid1`.
    pub segments: Vec<String>,
    /// What stands on it.
    pub content: Fact<ContentFacts>,
}

/// A volume group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeGroupFacts {
    /// `vg0`.
    pub name: String,
    /// Its identity.
    pub uuid: String,
    /// Bytes of an extent.
    pub extent_size: u64,
    /// Bytes of all its extents.
    pub size: u64,
    /// Bytes of those that no volume uses.
    pub free: u64,
    /// Its physical volumes, those that are missing too.
    pub physical_volumes: Vec<PhysicalVolumeFacts>,
    /// What is wrong with it, one plain sentence each.
    pub problems: Vec<String>,
}

/// A physical volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhysicalVolumeFacts {
    /// Its identity.
    pub uuid: String,
    /// Bytes of its device, as the group knows them.
    pub size: Option<u64>,
    /// Whether it is on the disks given.
    pub present: bool,
}
