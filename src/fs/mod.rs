//! File systems.
//!
//! They are recognised by their superblocks ([`identify`]), opened behind one trait ([`open`], [`FileSystem`]), and joined to the tree that
//! the guest itself would see ([`Tree`]). Most readers are crates behind a thin module; nothing above knows which.

mod btrfs;
pub mod edit;
mod ext;
mod fat;
mod fields;
mod missing;
mod ntfs;
mod path;
mod signature;
mod system;
#[cfg(test)]
pub(crate) mod testing;
mod tree;
mod xfs;

pub use missing::Missing;
pub use ntfs::is_hibernated;
pub use path::Found;
pub use signature::swap::space as swap_space;
pub use system::{Entry, Error, Extent, FileSystem, Node, NodeId, NodeKind, Subvolume, Usage};
pub(crate) use tree::glob;
pub use tree::{Listed, MAX_ENTRIES, MAX_FILE, Mount, Tree};

use crate::bytes::{Bytes, ReadAt, ReadError};
use crate::volume::{Content, Probe, VOLUMES};
use signature::{
    apple, btrfs as btrfs_signature, cluster, ext as ext_signature, fat as fat_signature, flash, ntfs as ntfs_signature, optical,
    read_only, swap, unix, xfs as xfs_signature, zfs,
};
use std::sync::Arc;
use system::is_name;

/// The file systems, and what libblkid asks for among them, in libblkid's order.
///
/// Left out of what libblkid knows: `exfs`, `sysv`, `xenix`, `ocfs` and `nss`, for which no system that runs on Azure has a
/// driver.
pub static FILE_SYSTEMS: &[Probe] = &[
    Probe { name: "vfat", probe: fat_signature::vfat },
    Probe { name: "swsuspend", probe: swap::suspended },
    Probe { name: "swap", probe: swap::swap },
    Probe { name: "xfs", probe: xfs_signature::xfs },
    Probe { name: "xfs_external_log", probe: xfs_signature::external_log },
    Probe { name: "ext4dev", probe: ext_signature::ext4dev },
    Probe { name: "ext4", probe: ext_signature::ext4 },
    Probe { name: "ext3", probe: ext_signature::ext3 },
    Probe { name: "ext2", probe: ext_signature::ext2 },
    Probe { name: "jbd", probe: ext_signature::jbd },
    Probe { name: "reiserfs", probe: unix::reiserfs },
    Probe { name: "reiser4", probe: unix::reiser4 },
    Probe { name: "jfs", probe: unix::jfs },
    Probe { name: "udf", probe: optical::udf },
    Probe { name: "iso9660", probe: optical::iso9660 },
    Probe { name: "zfs_member", probe: zfs::zfs },
    Probe { name: "hfsplus", probe: apple::hfsplus },
    Probe { name: "hfs", probe: apple::hfs },
    Probe { name: "ufs", probe: unix::ufs },
    Probe { name: "hpfs", probe: ntfs_signature::hpfs },
    Probe { name: "ntfs", probe: ntfs_signature::ntfs },
    Probe { name: "ReFS", probe: ntfs_signature::refs },
    Probe { name: "cramfs", probe: read_only::cramfs },
    Probe { name: "romfs", probe: read_only::romfs },
    Probe { name: "minix", probe: unix::minix },
    Probe { name: "gfs", probe: cluster::gfs },
    Probe { name: "gfs2", probe: cluster::gfs2 },
    Probe { name: "ocfs2", probe: cluster::ocfs2 },
    Probe { name: "oracleasm", probe: cluster::oracleasm },
    Probe { name: "vxfs", probe: cluster::vxfs },
    Probe { name: "squashfs", probe: read_only::squashfs },
    Probe { name: "squashfs3", probe: read_only::squashfs3 },
    Probe { name: "btrfs", probe: btrfs_signature::btrfs },
    Probe { name: "ubifs", probe: flash::ubifs },
    Probe { name: "bfs", probe: unix::bfs },
    Probe { name: "VMFS", probe: cluster::vmfs },
    Probe { name: "befs", probe: unix::befs },
    Probe { name: "nilfs2", probe: flash::nilfs2 },
    Probe { name: "exfat", probe: fat_signature::exfat },
    Probe { name: "f2fs", probe: flash::f2fs },
    Probe { name: "mpool", probe: cluster::mpool },
    Probe { name: "apfs", probe: apple::apfs },
    Probe { name: "zonefs", probe: flash::zonefs },
    Probe { name: "erofs", probe: read_only::erofs },
];

/// Formats that are looked for only when nothing else was found: each reads a quarter of a megabyte or more.
const EXPENSIVE: [&str; 2] = ["xfs_external_log", "zfs_member"];

/// A file system that can be read, and how.
type Reader = (&'static str, fn(Bytes) -> Result<Arc<dyn FileSystem>, Error>);

/// How [`Content::detail`] tells that the bytes carry another signature beside the one that they are known by.
pub const OTHER_SIGNATURE: &str = "also carries a signature of";

/// The file systems whose files can be read, by blkid's name.
static READERS: &[Reader] = &[
    ("btrfs", btrfs::open),
    ("ext2", ext::open),
    ("ext3", ext::open),
    ("ext4", ext::open),
    ("ntfs", ntfs::open),
    ("vfat", fat::open),
    ("xfs", xfs::open),
];

/// Opens the file system on these bytes; `kind` is what [`identify`] calls it. `None` for kinds whose files are not read.
///
/// A journal that holds work is replayed in memory; the bytes stay as they are.
///
/// # Errors
///
/// When it cannot be opened.
pub fn open(kind: &str, bytes: Bytes) -> Option<Result<Arc<dyn FileSystem>, Error>> {
    let (_, open) = READERS.iter().find(|(name, _)| *name == kind)?;
    Some(open(bytes))
}

/// What these bytes hold: a RAID member or another volume, or else a file system; `None` when nothing is recognised.
///
/// Where several signatures stand, the first in libblkid's order wins and [`Content::detail`] names the file systems that are
/// also there. (libblkid itself refuses to answer then.) Bytes below 1 KiB hold nothing, as an extended partition's do.
///
/// Ask this of a whole disk only when it has no partition table: the superblock of a RAID member at the end of the last
/// partition may lie where one of the whole disk would.
///
/// # Errors
///
/// When the place of a superblock cannot be read; what is there is then unknown.
pub fn identify(bytes: &dyn ReadAt) -> Result<Option<Content>, ReadError> {
    if bytes.size() <= 1024 {
        return Ok(None);
    }
    let mut chain = VOLUMES.iter().chain(FILE_SYSTEMS);
    for format in chain.by_ref() {
        if let Some(mut content) = (format.probe)(bytes)? {
            let others = chain.filter(|other| FILE_SYSTEMS.iter().any(|fs| fs.name == other.name));
            for other in others.filter(|other| !EXPENSIVE.contains(&other.name)) {
                if (other.probe)(bytes)?.is_some() {
                    content.detail.push(format!("{OTHER_SIGNATURE} {}", other.name));
                }
            }
            return Ok(Some(content));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
