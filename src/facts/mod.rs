//! The waist: what is known about disks, as plain data. No I/O, no opinions.
//!
//! Everything below fills these structures, everything above reads them. Their serialized form is the JSON that users rely on:
//! keys in snake_case, sizes and offsets in bytes, GUIDs in lower case, times in RFC 3339 UTC. A fact that does not exist is
//! `null`; one that could not be learnt is `null` too, and then the document's `unknown` list says where and why ([`json`]).

mod boot;
mod container;
mod disk;
mod fact;
pub mod json;
mod linux;
mod os;
mod partition;
mod sealed;
mod time;
mod windows;

pub use boot::{BootFacts, EspFacts, EspGrubConfigFacts, FallbackFacts, LoaderFacts, SbatFacts, SignerFacts};
pub use container::{
    BitmapFacts, BlockTableFacts, ChecksumFacts, DeviationFacts, DynamicHeaderFacts, FooterFacts, GeometryFacts, LocatorFacts,
    ParentDiskFacts, ParentFacts, StaleFooterFacts,
};
pub use disk::{DiskFacts, DiskKind, PhysicalVolumeFacts, Role, VolumeFacts, VolumeGroupFacts};
pub use fact::{Fact, Unknown};
pub use linux::*;
pub use os::{MountedFacts, OsFacts, OsFamily, OsRoot, State};
pub use partition::{ContentFacts, PartitionFacts, PartitionTableFacts, TableProblemFacts};
pub use sealed::SealedFacts;
pub use time::rfc3339;
pub use windows::*;
