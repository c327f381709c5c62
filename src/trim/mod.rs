//! Free space: what the guests' own file systems do not use is not worth uploading, and may hold what was deleted.

use crate::bytes::{Bytes, ReadError};
use crate::inspect::Region;
use std::ops::Range;

/// What was found free on one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trimmed {
    /// The region: `partition 1`, `vg0/root`, `free extents of vg0`.
    pub region: String,
    /// blkid's name of what stands on it.
    pub kind: String,
    /// What may be dropped: which of the disks given, and bytes of it; or why nothing may.
    pub free: Result<Vec<(usize, Range<u64>)>, String>,
    /// Bytes that are free.
    pub free_bytes: u64,
    /// Bytes among them that are not zero, counted in pieces of 4096.
    pub dropped_bytes: u64,
}

/// Finds what may be dropped on the disks: `disks` are their bytes, `regions` what stands on them.
///
/// # Errors
///
/// When the host cannot read.
pub fn find(_regions: &[Region], _disks: &[Bytes]) -> Result<Vec<Trimmed>, ReadError> {
    Ok(vec![])
}
