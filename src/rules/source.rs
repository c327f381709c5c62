//! Where the requirements stand.

pub(super) const PREPARE_WINDOWS: &str = "https://learn.microsoft.com/azure/virtual-machines/windows/prepare-for-upload-vhd-image";
pub(super) const PREPARE_LINUX: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/create-upload-generic";
pub(super) const UPLOAD: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/disks-upload-vhd-to-managed-disk-cli";
pub(super) const CREATE_DISK: &str = "https://learn.microsoft.com/rest/api/compute/disks/create-or-update";
pub(super) const DISKS: &str = "https://learn.microsoft.com/azure/virtual-machines/managed-disks-overview";
pub(super) const DISKS_FAQ: &str = "https://learn.microsoft.com/azure/virtual-machines/faq-for-disks";
pub(super) const PAGE_BLOBS: &str = "https://learn.microsoft.com/azure/storage/blobs/storage-blob-pageblob-overview";
pub(super) const GENERATIONS: &str = "https://learn.microsoft.com/azure/virtual-machines/generation-2";
pub(super) const IMAGE_VERSION: &str = "https://learn.microsoft.com/azure/virtual-machines/image-version";
pub(super) const CERTIFICATION: &str = "https://learn.microsoft.com/partner-center/marketplace-offers/azure-vm-certification-faq";
pub(super) const UEFI_FAILURES: &str =
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/azure-linux-vm-uefi-boot-failures";
pub(super) const IMAGE_ERRORS: &str =
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/custom-image-provisioning-errors";
pub(super) const SERVER_SOFTWARE: &str = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/server-software-support";
pub(super) const AZCOPY: &str = "https://github.com/Azure/azure-storage-azcopy";
pub(super) const ADD_AZVHD: &str =
    "https://github.com/Azure/azure-powershell/blob/main/src/Compute/Compute/StorageServices/AddAzureVhdCommand.cs";
pub(super) const VHD_UTILS: &str = "https://github.com/microsoft/azure-vhd-utils";
pub(super) const QEMU_VPC: &str = "https://github.com/qemu/qemu/blob/master/block/vpc.c";
/// The format as libvhdi's authors restate Microsoft's specification of 2006.
pub(super) const VHD_FORMAT: &str =
    "https://github.com/libyal/libvhdi/blob/main/documentation/Virtual%20Hard%20Disk%20%28VHD%29%20image%20format.asciidoc";
pub(super) const GPT: &str = "https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html";
pub(super) const LUKS: &str = "https://gitlab.com/cryptsetup/cryptsetup";
