//! LVM2: volume groups, read without the device mapper.
//!
//! A physical volume carries a label, a header that lists its areas, and in its metadata areas the description of the whole group
//! as text. Every physical volume of a group may carry the text, so one is enough to know the group, but not to read all of it:
//!
//! ```text
//! disks → partitions → physical_volume() … → assemble() → groups → logical volumes → bytes again
//! ```
//!
//! A logical volume's bytes can hold anything that a partition can, a physical volume too. Who follows volumes within volumes stops
//! at [`MAX_DEPTH`], since a group can be made to lie within itself.
//!
//! Sources: LVM2 2.03, `lib/format_text/layout.h` (header, metadata areas), `lib/format_text/import_vsn1.c` (the text),
//! `libdm/libdm-config.c` (its grammar), `lib/striped/striped.c`.

mod area;
mod config;
mod free;
mod group;
pub(super) mod label;
mod map;
mod metadata;
#[cfg(test)]
mod tests;

pub use area::{PhysicalVolume, physical_volume};
pub use group::{LogicalVolume, Member, VolumeGroup, assemble};
pub use map::Placed;

/// How often a logical volume may be looked into for physical volumes that lie on logical volumes.
pub const MAX_DEPTH: usize = 4;

/// The name that the device mapper gives to a logical volume: `/dev/mapper/` is followed by it.
///
/// A hyphen joins the names, so those within them are doubled.
#[must_use]
pub fn mapper_name(group: &str, volume: &str) -> String {
    format!("{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
}
