//! Every number that Azure imposes, with its source and the day on which it was read.

use crate::bytes::{GIB, MIB, SECTOR, TIB};

/// Virtual sizes are whole MiB.
///
/// <https://learn.microsoft.com/azure/virtual-machines/windows/prepare-for-upload-vhd-image>, read 2026-11-20.
pub const SIZE_UNIT: u64 = MIB;

/// Smallest virtual size.
///
/// <https://learn.microsoft.com/rest/api/compute/disks/create-or-update> (`uploadSizeBytes`), read 2026-11-20.
pub const MIN_SIZE: u64 = 20 * MIB;

/// Largest virtual size of any disk: 32,767 GiB, which texts call "32 TiB".
///
/// As [`MIN_SIZE`]; the window is 20971520 to 35183298347520 bytes with the footer.
pub const MAX_DISK: u64 = 32_767 * GIB;

/// Smallest and largest `uploadSizeBytes`, the footer included.
pub const MIN_UPLOAD: u64 = MIN_SIZE + SECTOR;
/// See [`MIN_UPLOAD`].
pub const MAX_UPLOAD: u64 = MAX_DISK + SECTOR;

/// Largest OS disk of a generation 1 VM; an MBR addresses no more.
///
/// <https://learn.microsoft.com/azure/virtual-machines/generation-2>, read 2026-11-20.
pub const MAX_GEN1_OS_DISK: u64 = 2 * TIB;

/// Largest OS disk of any VM.
///
/// <https://learn.microsoft.com/azure/virtual-machines/managed-disks-overview>, read 2026-11-20.
pub const MAX_OS_DISK: u64 = 4095 * GIB;

/// Largest page blob.
///
/// <https://learn.microsoft.com/rest/api/storageservices/understanding-block-blobs--append-blobs--and-page-blobs>, read 2026-11-20.
pub const MAX_PAGE_BLOB: u64 = 8 * TIB;

/// Largest data disk in a gallery image version that is not replicated shallowly; the service counts 1023 GiB.
///
/// <https://learn.microsoft.com/azure/virtual-machines/image-version>, read 2026-11-20.
pub const MAX_GALLERY_DATA_DISK: u64 = 1023 * GIB;

/// The limit that old pages print for any VHD.
///
/// <https://learn.microsoft.com/azure/virtual-machines/linux/create-upload-generic>, read 2026-11-20.
pub const OLD_MAX_DISK: u64 = 1023 * GIB;

/// Marketplace: largest Linux OS disk and data disk.
///
/// <https://learn.microsoft.com/partner-center/marketplace-offers/azure-vm-certification-faq>, read 2026-11-20.
pub const MARKETPLACE_MAX: u64 = 1023 * GIB;
/// Marketplace: smallest Linux OS disk. See [`MARKETPLACE_MAX`].
pub const MARKETPLACE_MIN_LINUX_OS: u64 = GIB;
/// Marketplace: smallest Windows OS disk. See [`MARKETPLACE_MAX`].
pub const MARKETPLACE_MIN_WINDOWS_OS: u64 = 30 * GIB;
/// Marketplace: largest Windows OS disk. See [`MARKETPLACE_MAX`].
pub const MARKETPLACE_MAX_WINDOWS_OS: u64 = 250 * GIB;

/// Marketplace: sectors at the start of an OS disk that partitions leave free. See [`MARKETPLACE_MAX`].
pub const MARKETPLACE_FREE_SECTORS: u64 = 2048;

/// LUNs are 0 to 63.
///
/// <https://learn.microsoft.com/rest/api/compute/virtual-machines/create-or-update> (`DataDisk.lun`), read 2026-11-20.
pub const MAX_LUN: u8 = 63;
