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
pub(super) const RDP_ERROR: &str = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/troubleshoot-rdp-general-error";
pub(super) const GUEST_AGENT: &str = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/windows-azure-guest-agent";
pub(super) const WINDOWS_AGENT: &str = "https://learn.microsoft.com/azure/virtual-machines/extensions/agent-windows";
pub(super) const GENERALIZE: &str = "https://learn.microsoft.com/azure/virtual-machines/generalize";
pub(super) const MIGRATION: &str = "https://learn.microsoft.com/azure/migrate/prepare-for-agentless-migration";
pub(super) const SAN_POLICY: &str = "https://learn.microsoft.com/windows/win32/api/vds/ne-vds-vds_san_policy";
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
pub(super) const LINUX_DRIVERS: &str =
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-vm-no-boot-hyper-v-driver-issues";
pub(super) const FSTAB: &str =
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-virtual-machine-cannot-start-fstab-errors";
pub(super) const NVME: &str = "https://learn.microsoft.com/azure/virtual-machines/enable-nvme-interface";
pub(super) const NVME_LINUX: &str = "https://learn.microsoft.com/azure/virtual-machines/nvme-linux";
pub(super) const TIME_SYNC: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/time-sync";
pub(super) const ENDORSED: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/endorsed-distros";
pub(super) const PREPARE_UBUNTU: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/create-upload-ubuntu";
pub(super) const PREPARE_RHEL: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/redhat-create-upload-vhd";
pub(super) const PREPARE_SUSE: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/suse-create-upload-vhd";
pub(super) const TRUSTED_LAUNCH: &str = "https://learn.microsoft.com/azure/virtual-machines/trusted-launch";
pub(super) const SECURE_BOOT: &str =
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/linux-vm-secure-boot-cert-updates-trusted-launch";
pub(super) const SELINUX: &str = "https://github.com/libguestfs/guestfs-tools";
pub(super) const CRYPTTAB: &str = "https://www.freedesktop.org/software/systemd/man/latest/crypttab.html";
pub(super) const LINUX_NO_AGENT: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/no-agent";
pub(super) const LINUX_CLOUD_INIT: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/cloud-init-troubleshooting";
pub(super) const LINUX_REMOVE_AGENT: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/disable-provisioning";
pub(super) const LINUX_AGENT_SUPPORT: &str =
    "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/support-extensions-agent-version";
pub(super) const LINUX_AGENT: &str = "https://github.com/Azure/WALinuxAgent";
pub(super) const LINUX_CLOUD_INIT_SOURCE: &str = "https://github.com/canonical/cloud-init";
pub(super) const LINUX_ACCELERATED: &str = "https://learn.microsoft.com/azure/virtual-network/accelerated-networking-overview";
pub(super) const LINUX_MANA: &str = "https://learn.microsoft.com/azure/virtual-network/accelerated-networking-mana-linux";
pub(super) const LINUX_GALLERY: &str = "https://learn.microsoft.com/azure/virtual-machines/shared-image-galleries";
pub(super) const LINUX_SYSPREP: &str = "https://github.com/libguestfs/guestfs-tools/tree/master/sysprep";
pub(super) const LINUX_MACHINE_ID: &str = "https://www.freedesktop.org/software/systemd/man/latest/machine-id.html";
pub(super) const BCD_ERROR: &str = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/error-code-0xc000000e";
pub(super) const SERIAL_CONSOLE: &str = "https://learn.microsoft.com/troubleshoot/azure/virtual-machines/windows/serial-console-windows";
pub(super) const HIBERNATION: &str =
    "https://learn.microsoft.com/troubleshoot/windows-client/setup-upgrade-and-drivers/disable-and-re-enable-hibernation";
pub(super) const SETUP_STATES: &str = "https://learn.microsoft.com/windows-hardware/manufacture/desktop/windows-setup-states";
pub(super) const ANSWER_FILES: &str = "https://learn.microsoft.com/windows-hardware/manufacture/desktop/windows-setup-automation-overview";
pub(super) const SYSPREP: &str =
    "https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep--generalize--a-windows-installation";
pub(super) const APPX: &str =
    "https://learn.microsoft.com/troubleshoot/windows-client/setup-upgrade-and-drivers/sysprep-fails-remove-or-update-store-apps";
pub(super) const CREATE_VM: &str = "https://learn.microsoft.com/rest/api/compute/virtual-machines/create-or-update";
pub(super) const UNIQUE_ID: &str = "https://learn.microsoft.com/windows-server/administration/windows-commands/uniqueid";
pub(super) const FSTAB_MANUAL: &str = "https://man7.org/linux/man-pages/man5/fstab.5.html";
pub(super) const IMPORT_CLONE: &str = "https://man7.org/linux/man-pages/man8/vgimportclone.8.html";
pub(super) const PACKER: &str = "https://learn.microsoft.com/azure/virtual-machines/windows/build-image-with-packer";
