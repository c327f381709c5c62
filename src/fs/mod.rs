//! File systems.
//!
//! Here they are recognised by their superblocks; reading files comes with each file system's own module.

mod signature;

use crate::bytes::{ReadAt, ReadError};
use crate::volume::{Content, Probe, VOLUMES};
use signature::{apple, btrfs, cluster, ext, fat, flash, ntfs, optical, read_only, swap, unix, xfs, zfs};

/// The file systems, and what libblkid asks for among them, in libblkid's order.
///
/// Left out of what libblkid knows: `exfs`, `sysv`, `xenix`, `ocfs` and `nss`, for which no system that runs on Azure has a
/// driver.
pub static FILE_SYSTEMS: &[Probe] = &[
    Probe { name: "vfat", probe: fat::vfat },
    Probe { name: "swsuspend", probe: swap::suspended },
    Probe { name: "swap", probe: swap::swap },
    Probe { name: "xfs", probe: xfs::xfs },
    Probe { name: "xfs_external_log", probe: xfs::external_log },
    Probe { name: "ext4dev", probe: ext::ext4dev },
    Probe { name: "ext4", probe: ext::ext4 },
    Probe { name: "ext3", probe: ext::ext3 },
    Probe { name: "ext2", probe: ext::ext2 },
    Probe { name: "jbd", probe: ext::jbd },
    Probe { name: "reiserfs", probe: unix::reiserfs },
    Probe { name: "reiser4", probe: unix::reiser4 },
    Probe { name: "jfs", probe: unix::jfs },
    Probe { name: "udf", probe: optical::udf },
    Probe { name: "iso9660", probe: optical::iso9660 },
    Probe { name: "zfs_member", probe: zfs::zfs },
    Probe { name: "hfsplus", probe: apple::hfsplus },
    Probe { name: "hfs", probe: apple::hfs },
    Probe { name: "ufs", probe: unix::ufs },
    Probe { name: "hpfs", probe: ntfs::hpfs },
    Probe { name: "ntfs", probe: ntfs::ntfs },
    Probe { name: "ReFS", probe: ntfs::refs },
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
    Probe { name: "btrfs", probe: btrfs::btrfs },
    Probe { name: "ubifs", probe: flash::ubifs },
    Probe { name: "bfs", probe: unix::bfs },
    Probe { name: "VMFS", probe: cluster::vmfs },
    Probe { name: "befs", probe: unix::befs },
    Probe { name: "nilfs2", probe: flash::nilfs2 },
    Probe { name: "exfat", probe: fat::exfat },
    Probe { name: "f2fs", probe: flash::f2fs },
    Probe { name: "mpool", probe: cluster::mpool },
    Probe { name: "apfs", probe: apple::apfs },
    Probe { name: "zonefs", probe: flash::zonefs },
    Probe { name: "erofs", probe: read_only::erofs },
];

/// Formats that are looked for only when nothing else was found: each reads a quarter of a megabyte or more.
const EXPENSIVE: [&str; 2] = ["xfs_external_log", "zfs_member"];

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
                    content.detail.push(format!("also carries a signature of {}", other.name));
                }
            }
            return Ok(Some(content));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
