//! Devices in boot configuration stores: partitions of a disk, files that stand for disks, and places that are looked for at boot.
//!
//! An element's bytes are the GUID of an object with options and a descriptor: type, flags, size, and what the type asks for. Descriptors
//! stand within each other: a RAM disk's image is a file on a partition.
//!
//! Sources: ReactOS `boot/environ/include/bl.h` (`BL_DEVICE_DESCRIPTOR` and its neighbours), mistyprojects.co.uk "BCDEdit notes, Devices
//! Partition - Data", and stores that Windows wrote.

use super::super::hive::utf16;
use crate::bytes::Guid;

/// Descriptors within each other at most.
const MOST_DEPTH: usize = 8;
/// Type, flags, size and an unused word.
const HEADER: usize = 16;
/// Version, length and type of a path.
const PATH_HEADER: usize = 12;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The device that the machine was booted from.
    Boot,
    /// A partition of a disk.
    Partition(Partition),
    /// A whole disk.
    Disk(Partition),
    /// A partition by its place in the table, as early versions of Windows Vista wrote it.
    Number(u32),
    /// A file.
    File {
        /// The device that the file is on.
        on: Box<Self>,
        /// Its path there.
        path: String,
    },
    /// A RAM disk whose content comes from a file.
    RamDisk {
        /// The device that the file is on.
        on: Box<Self>,
        /// Its path there.
        path: String,
    },
    /// A virtual disk: a VHD file.
    VirtualDisk(Box<Self>),
    /// The first device on which something is found at boot.
    Locate {
        /// What is looked for.
        by: Locate,
        /// Where; everywhere when `None`.
        on: Option<Box<Self>>,
    },
    /// Something else: the descriptor's type, and what follows its header.
    Other(u32, Vec<u8>),
}

/// A partition, or with [`Device::Disk`] a disk, in its own table's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// On a disk with an MBR.
    Mbr {
        /// The disk's signature: the 32 bits at byte 440 of the MBR.
        signature: u32,
        /// The partition's first byte; 0 for a whole disk.
        offset: u64,
    },
    /// On a disk with a GPT.
    Gpt {
        /// The disk's GUID.
        disk: Guid,
        /// The partition's unique GUID; nil for a whole disk.
        partition: Guid,
    },
}

/// What is looked for at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locate {
    /// The path that another element of the same object names.
    Element(u32),
    /// This path.
    Path(String),
}

/// The device of an element, and the object with its options; `None` when there is no descriptor.
pub(super) fn read(bytes: &[u8]) -> Option<(Device, Option<Guid>)> {
    let options = Guid::from_mixed_endian(*bytes.first_chunk()?);
    let device = descriptor(bytes.get(16..)?, MOST_DEPTH)?.0;
    Some((device, Some(options).filter(|id| !id.is_nil())))
}

/// The device whose descriptor `bytes` begin with, and what follows it.
fn descriptor(bytes: &[u8], depth: usize) -> Option<(Device, &[u8])> {
    let kind = word(bytes, 0)?;
    let size = usize::try_from(word(bytes, 8)?).ok()?;
    let body = bytes.get(HEADER..size)?;
    let rest = bytes.get(size..)?;
    let depth = depth.checked_sub(1);
    let known = match (kind, depth) {
        (0, Some(depth)) => local(body, rest, depth),
        (2, _) => word(body, 0).map(Device::Number),
        (5, _) => Some(Device::Boot),
        (6, _) => partition(body).map(Device::Partition),
        (8, Some(depth)) => locate(body, depth),
        _ => None,
    };
    Some((known.unwrap_or_else(|| Device::Other(kind, body.to_vec())), rest))
}

/// A partition: 16 bytes that say which one, the kind of disk, the kind of its table, and 16 bytes that say which disk.
fn partition(body: &[u8]) -> Option<Partition> {
    // Disks of other kinds are described at more length; theirs is a partition inside of a VHD.
    let disk = body.get(16..).filter(|disk| word(disk, 0) == Some(0))?;
    hard_disk(disk.get(4..)?, *body.first_chunk()?)
}

/// The kind of table and the disk; `place` is the partition.
fn hard_disk(bytes: &[u8], place: [u8; 16]) -> Option<Partition> {
    match word(bytes, 0)? {
        0 => {
            let disk = bytes.get(4..)?.first_chunk()?;
            Some(Partition::Gpt { disk: Guid::from_mixed_endian(*disk), partition: Guid::from_mixed_endian(place) })
        }
        1 => {
            let offset = place.first_chunk().copied().map(u64::from_le_bytes)?;
            Some(Partition::Mbr { signature: word(bytes, 4)?, offset })
        }
        _ => None,
    }
}

/// A device of this machine: a disk, or a file that stands for one.
fn local(body: &[u8], rest: &[u8], depth: usize) -> Option<Device> {
    match word(body, 0)? {
        0 => hard_disk(body.get(4..)?, [0; 16]).map(Device::Disk),
        // Where the image is in memory, unknown here, comes before the path.
        3 => file(body.get(24..)?, rest, depth).map(|(on, path)| Device::RamDisk { on, path }),
        5 => file(body.get(4..)?, rest, depth).map(|(on, path)| Device::File { on, path }),
        6 => descriptor(body.get(24..)?, depth).map(|(file, _)| Device::VirtualDisk(Box::new(file))),
        _ => None,
    }
}

/// A path: its header, the device it is on, and the text. Writers count the header's own bytes in different ways, so that the last
/// character may stand behind the descriptor, in `rest`.
fn file(path: &[u8], rest: &[u8], depth: usize) -> Option<(Box<Device>, String)> {
    let whole: Vec<u8> = path.iter().chain(rest).copied().collect();
    let (device, text) = descriptor(whole.get(PATH_HEADER..)?, depth)?;
    Some((Box::new(device), first_text(text)))
}

/// What is looked for, and on which device: the latter by its offset from the start of the descriptor.
fn locate(body: &[u8], depth: usize) -> Option<Device> {
    let by = match word(body, 0)? {
        0 => Locate::Element(word(body, 4)?),
        1 => Locate::Path(first_text(body.get(12..)?)),
        _ => return None,
    };
    let on = match usize::try_from(word(body, 8)?).ok()? {
        0 => None,
        offset => {
            let at = offset.checked_sub(HEADER)?;
            Some(Box::new(descriptor(body.get(at..)?, depth)?.0))
        }
    };
    Some(Device::Locate { by, on })
}

/// UTF-16 text up to the first NUL.
fn first_text(bytes: &[u8]) -> String {
    let whole = utf16(bytes);
    whole.split('\0').next().unwrap_or_default().to_owned()
}

/// The 32-bit field at `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
