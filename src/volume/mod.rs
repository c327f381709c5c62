//! Volumes: what lies between a partition and a file system.
//!
//! Here they are recognised: RAID members, physical volumes, encrypted volumes, pools. The names are those that libblkid
//! prints as `TYPE`, because they are what an administrator sees in `lsblk` and writes into `fstab`; the order of
//! [`VOLUMES`] is the order in which libblkid asks, so that two signatures on one disk end in the same answer.
//!
//! A probe reads the places of superblocks and nothing else. Where the bytes end before such a place, it does not match.

pub(crate) mod block;
pub(crate) mod checksum;
mod fakeraid;
pub mod lvm;
mod pool;
mod raid;
pub mod sealed;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod text;

pub use pool::StorageSpaces;
pub(crate) use pool::vmware_uuid;
pub use raid::{Raid, Role};

use crate::bytes::{ReadAt, ReadError};

/// What a superblock says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What it is, as libblkid calls it: `ext4`, `LVM2_member`, `crypto_LUKS`.
    pub kind: &'static str,
    /// Its identity in libblkid's form, which differs between formats: `A0E5-0001` for FAT, 16 upper-case digits for NTFS.
    pub uuid: Option<String>,
    /// Its label. Not yet made safe for a terminal.
    pub label: Option<String>,
    /// Its size in bytes; may be less or more than the partition has.
    pub size: Option<u64>,
    /// Bytes in use, where the superblock counts them. As stale as the superblock is.
    pub used: Option<u64>,
    /// Whether it was left in order; `None` where the superblock cannot tell.
    pub clean: Option<bool>,
    /// Version of the format.
    pub version: Option<String>,
    /// Further facts, each a short phrase.
    pub detail: Vec<String>,
}

impl Content {
    /// Content of which only the kind is known.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self { kind, uuid: None, label: None, size: None, used: None, clean: None, version: None, detail: Vec::new() }
    }
}

/// What a probe returns: content, or `None` when the bytes are something else.
///
/// An error means that the place of a superblock could not be read, so that nothing can be said.
pub type Probed = Result<Option<Content>, ReadError>;

/// One format that can be recognised.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// The kind that a match will have.
    pub name: &'static str,
    /// Looks for the format's signature.
    pub probe: fn(&dyn ReadAt) -> Probed,
}

/// The formats that are no file systems, in libblkid's order.
///
/// Left out: `drbdmanage_control_volume` and `drbdproxy_datalog`, which never hold a system, and the tools that wrote them
/// are gone.
pub static VOLUMES: &[Probe] = &[
    Probe { name: "linux_raid_member", probe: raid::linux },
    Probe { name: "ddf_raid_member", probe: raid::ddf },
    Probe { name: "isw_raid_member", probe: fakeraid::intel },
    Probe { name: "lsi_mega_raid_member", probe: fakeraid::lsi },
    Probe { name: "via_raid_member", probe: fakeraid::via },
    Probe { name: "silicon_medley_raid_member", probe: fakeraid::silicon },
    Probe { name: "nvidia_raid_member", probe: fakeraid::nvidia },
    Probe { name: "promise_fasttrack_raid_member", probe: fakeraid::promise },
    Probe { name: "hpt45x_raid_member", probe: fakeraid::highpoint_45x },
    Probe { name: "hpt37x_raid_member", probe: fakeraid::highpoint_37x },
    Probe { name: "adaptec_raid_member", probe: fakeraid::adaptec },
    Probe { name: "jmicron_raid_member", probe: fakeraid::jmicron },
    Probe { name: "bcache", probe: pool::bcache },
    Probe { name: "ceph_bluestore", probe: pool::bluestore },
    Probe { name: "drbd", probe: pool::drbd },
    Probe { name: "LVM2_member", probe: lvm::label::lvm2 },
    Probe { name: "LVM1_member", probe: lvm::label::lvm1 },
    Probe { name: "DM_snapshot_cow", probe: lvm::label::snapshot },
    Probe { name: "DM_verity_hash", probe: sealed::verity },
    Probe { name: "DM_integrity", probe: sealed::integrity },
    Probe { name: "crypto_LUKS", probe: sealed::luks },
    Probe { name: "VMFS_volume_member", probe: pool::vmfs_volume },
    Probe { name: "ubi", probe: pool::ubi },
    Probe { name: "vdo", probe: pool::vdo },
    Probe { name: "stratis", probe: pool::stratis },
    Probe { name: "BitLocker", probe: sealed::bitlocker },
    Probe { name: "storage_spaces", probe: pool::storage_spaces },
];
