//! The footer of what vhdkit writes.

use super::footer::{COOKIE, DiskType, FEATURE_RESERVED, FORMAT_VERSION, Footer, NO_OFFSET};
use super::geometry::Geometry;
use crate::bytes::Guid;

/// Creator version 10.0, as Hyper-V has written since Windows 10.
const HYPER_V: u32 = 0x000a_0000;

/// The footer of a fixed disk of `size` bytes, as Hyper-V writes it.
///
/// The creator `win ` makes every reader, old qemu included, take Current Size for the size; the geometry is the appendix's. Unique id
/// and time stamp come from the source, so that the same source gives the same bytes.
#[must_use]
pub fn fixed_footer(size: u64, original_size: u64, unique_id: Guid, timestamp: u32) -> Footer {
    Footer {
        cookie: COOKIE,
        features: FEATURE_RESERVED,
        format_version: FORMAT_VERSION,
        data_offset: NO_OFFSET,
        timestamp,
        creator_application: *b"win ",
        creator_version: HYPER_V,
        creator_host_os: *b"Wi2k",
        original_size,
        current_size: size,
        geometry: Geometry::for_size(size),
        disk_type: DiskType::FIXED,
        checksum: 0,
        unique_id,
        saved_state: 0,
        hidden: 0,
        reserved_not_zero: None,
        computed: 0,
        computed_unhidden: 0,
        offset: size,
        length: 512,
    }
    .sealed()
}
