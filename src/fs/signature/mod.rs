//! Superblocks, recognised: which file system, which label, how large, left in order or not.

pub(super) mod apple;
pub(super) mod btrfs;
pub(super) mod cluster;
pub(super) mod ext;
pub(super) mod fat;
pub(super) mod flash;
pub(super) mod ntfs;
pub(super) mod optical;
pub(super) mod read_only;
pub(super) mod swap;
pub(super) mod unix;
pub(super) mod xfs;
pub(super) mod zfs;
