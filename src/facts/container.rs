//! What the file says of itself.

use super::Fact;
use serde::Serialize;

/// A VHD footer, or its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FooterFacts {
    /// `conectix`; bytes above 127 as Latin-1.
    pub cookie: String,
    /// Feature bits.
    pub features: u32,
    /// 65536 for 1.0.
    pub format_version: u32,
    /// Place of the dynamic header; all ones in fixed disks.
    pub data_offset: u64,
    /// Creation or change, RFC 3339.
    pub timestamp: String,
    /// Four characters, NULs kept.
    pub creator_application: String,
    /// Two 16-bit halves: 655360 for 10.0.
    pub creator_version: u32,
    /// Four characters, NULs kept.
    pub creator_host_os: String,
    /// Bytes at creation.
    pub original_size: u64,
    /// Bytes now: the size that counts.
    pub current_size: u64,
    /// The size in cylinders, heads and sectors.
    pub geometry: GeometryFacts,
    /// 2 fixed, 3 dynamic, 4 differencing.
    pub disk_type: u32,
    /// The footer's checksum.
    pub checksum: ChecksumFacts,
    /// Identity, in stored byte order.
    pub unique_id: String,
    /// Whether a machine was saved with this disk.
    pub saved_state: bool,
    /// Byte in the file.
    pub offset: u64,
    /// 512, or 511.
    pub length: u32,
}

/// Cylinders, heads, sectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GeometryFacts {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

impl GeometryFacts {
    /// The size that it states, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.cylinders).saturating_mul(u64::from(self.heads)).saturating_mul(u64::from(self.sectors)).saturating_mul(512)
    }

    /// Whether it is the largest that can be stated; it then says nothing about the disk.
    #[must_use]
    pub fn is_max(&self) -> bool {
        (self.cylinders, self.heads, self.sectors) == (65_535, 16, 255)
    }
}

/// A checksum as stored, and as the bytes have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecksumFacts {
    /// What stands there.
    pub stored: u32,
    /// What the bytes have.
    pub computed: u32,
}

/// The dynamic header of a dynamic or differencing disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DynamicHeaderFacts {
    /// Place of the block allocation table.
    pub table_offset: u64,
    /// 65536 for 1.0.
    pub header_version: u32,
    /// Entries that the table is said to have.
    pub max_table_entries: u32,
    /// Bytes of data in a block.
    pub block_size: u32,
    /// The header's checksum.
    pub checksum: ChecksumFacts,
    /// The parent that a differencing disk names.
    pub parent: Fact<ParentFacts>,
    /// Byte in the file.
    pub offset: u64,
}

/// The parent as its child names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParentFacts {
    /// Unique id that the parent must have.
    pub unique_id: String,
    /// Modification time of the parent's file, RFC 3339.
    pub timestamp: String,
    /// File name, sometimes a whole path.
    pub name: String,
    /// Ways to it.
    pub locators: Vec<LocatorFacts>,
    /// Where it was found.
    pub path: Fact<String>,
}

/// One way to a parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocatorFacts {
    /// `W2ru`, `W2ku`, `MacX`, …
    pub platform: String,
    /// The path, where the platform stores one.
    pub path: Fact<String>,
}

/// A parent that was opened; the chain lists them nearest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParentDiskFacts {
    /// Where it was found.
    pub path: String,
    /// `fixed`, `dynamic`, `differencing`; `raw` for XenServer's raw parents.
    pub kind: String,
    /// Its size in bytes.
    pub virtual_size: Option<u64>,
    /// Its identity.
    pub unique_id: Option<String>,
    /// Its table, where it has one.
    pub block_table: Fact<BlockTableFacts>,
    /// What it does otherwise than the format says.
    pub deviations: Vec<DeviationFacts>,
}

/// The block allocation table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockTableFacts {
    /// Blocks of the disk.
    pub entries: u64,
    /// Blocks with a place in the file.
    pub allocated: u64,
    /// Blocks whose place is in the headers or past the end.
    pub out_of_range: u64,
    /// Blocks that share bytes.
    pub overlapping: u64,
}

/// Sector bitmaps of a dynamic disk against its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BitmapFacts {
    /// Blocks with a bitmap.
    pub blocks: u64,
    /// Bitmaps that were read.
    pub read: u64,
    /// Sectors of those that are marked as never written.
    pub clear_sectors: u64,
    /// Of those, sectors that hold data all the same.
    pub conflicts: Fact<u64>,
    /// Byte in the file of the first such sector.
    pub first_conflict: Option<u64>,
}

/// A footer inside the virtual disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StaleFooterFacts {
    /// Byte of the virtual disk.
    pub offset: u64,
    /// The size that it states.
    pub current_size: u64,
    /// Whether its checksum holds.
    pub valid: bool,
}

/// One way in which the file differs from its format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviationFacts {
    /// Its name: `footer-checksum`, `block-past-end`, …
    pub code: String,
    /// First byte concerned, in the file.
    pub offset: u64,
    /// Bytes concerned.
    pub length: u64,
    /// What the format asks for.
    pub expected: String,
    /// What stands there.
    pub found: String,
}
