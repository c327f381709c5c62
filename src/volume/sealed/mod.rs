//! Volumes whose bytes are not those of what they hold: encrypted, hashed, spread over several disks.
//!
//! They are recognised, and what their headers say is told; they are never opened. Secrets stay where they are: a header's keys are
//! counted and named by kind, not read.

mod bitlocker;
mod luks;
mod luks2;
mod mapper;

pub use bitlocker::{BitLocker, Conversion, Layout, Metadata, Protector};
pub use luks::Luks;

pub(crate) use bitlocker::is_bitlocker;
pub(super) use bitlocker::probe as bitlocker;
pub(super) use luks::probe as luks;
pub(super) use mapper::{integrity, verity};

use super::pool::StorageSpaces;
use super::raid::Raid;
use crate::bytes::{ReadAt, ReadError};

/// What the header of a sealed volume says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// Encrypted by Windows.
    BitLocker(BitLocker),
    /// Encrypted by Linux.
    Luks(Luks),
    /// A member of a Linux software RAID array.
    Raid(Raid),
    /// A disk of a Windows storage pool.
    StorageSpaces(StorageSpaces),
}

/// What the header of a volume says; `kind` is what [`Content::kind`](super::Content::kind) calls it. `None` for kinds that are not
/// sealed, and where the bytes are not what `kind` says.
///
/// # Errors
///
/// When the place of a header cannot be read.
pub fn describe(bytes: &dyn ReadAt, kind: &str) -> Result<Option<Sealed>, ReadError> {
    Ok(match kind {
        "BitLocker" => BitLocker::read(bytes)?.map(Sealed::BitLocker),
        "crypto_LUKS" => Luks::read(bytes)?.map(Sealed::Luks),
        "linux_raid_member" => Raid::read(bytes)?.map(Sealed::Raid),
        "storage_spaces" => StorageSpaces::read(bytes)?.map(Sealed::StorageSpaces),
        _ => None,
    })
}
