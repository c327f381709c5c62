//! VHD: fixed, dynamic and differencing disks.
//!
//! Source: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0, October 2006, and what real producers do
//! otherwise. [`read`] learns everything that a file says and never judges it; [`open`] makes a disk of it.

mod bitmap;
mod deviation;
mod disk;
mod footer;
mod geometry;
mod header;
mod locator;
mod read;
mod scan;
mod table;
#[cfg(test)]
mod tests;
mod write;
mod xen;

pub use bitmap::BitmapSurvey;
pub use deviation::{Deviation, Kind as DeviationKind};
pub use footer::{COOKIE, DiskType, EPOCH, FOOTER_LEN, Footer};
pub use geometry::Geometry;
pub use header::DynamicHeader;
pub use locator::Locator;
pub use read::{open, read, read_displaced, survey_bitmaps};
pub use scan::{StaleFooter, stale_footers};

pub use table::{BlockShape, BlockTable};
pub use write::fixed_footer;
pub use xen::Batmap;

use crate::bytes::ReadError;

/// Largest dynamic or differencing disk: sector addresses of 32 bits cap the file at 2 TiB, and Microsoft's tools stop at 2040 GiB.
pub const MAX_DYNAMIC: u64 = 2040 << 30;

/// Everything that a VHD file says about itself.
#[derive(Debug)]
pub struct Vhd {
    /// The footer at or near the end of the file.
    pub footer: Option<Footer>,
    /// The copy at the start of a dynamic or differencing disk.
    pub copy: Option<Footer>,
    /// The dynamic header, or why it cannot be had. `None` for fixed disks.
    pub header: Option<Result<DynamicHeader, ReadError>>,
    /// The block allocation table, or why it cannot be had. `None` for fixed disks.
    pub table: Option<Result<BlockTable, ReadError>>,
    /// XenServer's batmap.
    pub batmap: Option<Batmap>,
    /// What the file does otherwise than the format says, in the order found.
    pub deviations: Vec<Deviation>,
    /// Length of the file.
    pub file_size: u64,
}

impl Vhd {
    /// The footer that counts: the one at the end, or the copy where the end has none or a broken one.
    #[must_use]
    pub fn authority(&self) -> Option<&Footer> {
        match (&self.footer, &self.copy) {
            (Some(end), Some(copy)) if !end.checksum_holds() && copy.checksum_holds() => Some(copy),
            (Some(end), _) => Some(end),
            (None, copy) => copy.as_ref(),
        }
    }

    /// The kind of disk, by the footer that counts.
    #[must_use]
    pub fn disk_type(&self) -> Option<DiskType> {
        self.authority().map(|footer| footer.disk_type)
    }

    /// The size that counts: Current Size, as Azure and Hyper-V take it.
    #[must_use]
    pub fn virtual_size(&self) -> Option<u64> {
        self.authority().map(|footer| footer.current_size)
    }

    /// Bytes of the file before the footer, or all of it where there is none.
    #[must_use]
    pub fn payload_end(&self) -> u64 {
        self.footer.as_ref().map_or(self.file_size, |footer| footer.offset)
    }

    /// Whether the payload is encrypted by XenServer.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.batmap.is_some_and(|batmap| batmap.encrypted)
    }
}
