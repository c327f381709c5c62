//! Names of partition types.
//!
//! Sources: UEFI 2.10 table 5.7 (the ESP and its like); Microsoft, `PARTITION_INFORMATION_GPT` and
//! `PARTITION_INFORMATION` in the Windows documentation; the Discoverable Partitions Specification (Linux types); the
//! kernels and installers of the others. Nobody ever allotted the bytes of the MBR: their names are the customary ones.

use super::PartitionType;
use crate::bytes::Guid;

/// A GUID from its digits, in the order in which they are printed.
const fn guid(digits: u128) -> Guid {
    Guid(digits.to_be_bytes())
}

/// EFI System Partition.
pub const ESP: Guid = guid(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);
/// BIOS boot.
pub const BIOS_BOOT: Guid = guid(0x21686148_6449_6e6f_744e_656564454649);
/// MBR partition scheme.
pub const MBR_SCHEME: Guid = guid(0x024dee41_33e7_11d3_9d69_0008c781f39f);
/// PowerPC PReP boot.
pub const PREP_BOOT: Guid = guid(0x9e1a2d38_c612_4316_aa26_8b49521e5a8b);
/// Microsoft reserved.
pub const MSR: Guid = guid(0xe3c9e316_0b5c_4db8_817d_f92df00215ae);
/// Microsoft basic data.
pub const BASIC_DATA: Guid = guid(0xebd0a0a2_b9e5_4433_87c0_68b6b72699c7);
/// Windows recovery.
pub const WINDOWS_RECOVERY: Guid = guid(0xde94bba4_06d1_4d40_a16a_bfd50179d6ac);
/// Microsoft LDM metadata.
pub const LDM_METADATA: Guid = guid(0x5808c8aa_7e8f_42e0_85d2_e1e90434cfb3);
/// Microsoft LDM data.
pub const LDM_DATA: Guid = guid(0xaf9b60a0_1431_4f62_bc68_3311714a69ad);
/// Microsoft Storage Spaces.
pub const STORAGE_SPACES: Guid = guid(0xe75caf8f_f680_4cee_afa3_b001e56efc2d);
/// Linux filesystem.
pub const LINUX_FILESYSTEM: Guid = guid(0x0fc63daf_8483_4772_8e79_3d69d8477de4);
/// Linux swap.
pub const LINUX_SWAP: Guid = guid(0x0657fd6d_a4ab_43c4_84e5_0933c84b4f4f);
/// Linux LVM.
pub const LINUX_LVM: Guid = guid(0xe6d6d379_f507_44c2_a23c_238f2a3df928);
/// Linux RAID.
pub const LINUX_RAID: Guid = guid(0xa19d880f_05fc_4d3b_a006_743f0f84911e);
/// Linux /home.
pub const LINUX_HOME: Guid = guid(0x933ac7e1_2eb4_4f13_b844_0e14e2aef915);
/// Linux /srv.
pub const LINUX_SRV: Guid = guid(0x3b8f8425_20e0_4f3b_907f_1a25a76f98e8);
/// Linux /var.
pub const LINUX_VAR: Guid = guid(0x4d21b016_b534_45c2_a9fb_5c16e091fd2d);
/// Linux /var/tmp.
pub const LINUX_TMP: Guid = guid(0x7ec6f557_3bc5_4aca_b293_16ef5df639d1);
/// Linux home of one user.
pub const LINUX_USER_HOME: Guid = guid(0x773f91ef_66d4_49b5_bd83_d683bf40ad16);
/// Linux reserved.
pub const LINUX_RESERVED: Guid = guid(0x8da63339_0007_60c0_c436_083ac8230908);
/// Linux extended boot.
pub const LINUX_XBOOTLDR: Guid = guid(0xbc13c2ff_59e6_4262_a352_b275fd6f7172);
/// Linux root (x86).
pub const LINUX_ROOT_X86: Guid = guid(0x44479540_f297_41b2_9af7_d131d5f0458a);
/// Linux root verity (x86).
pub const LINUX_ROOT_VERITY_X86: Guid = guid(0xd13c5d3b_b5d1_422a_b29f_9454fdc89d76);
/// Linux root verity signature (x86).
pub const LINUX_ROOT_VERITY_SIG_X86: Guid = guid(0x5996fc05_109c_48de_808b_23fa0830b676);
/// Linux /usr (x86).
pub const LINUX_USR_X86: Guid = guid(0x75250d76_8cc6_458e_bd66_bd47cc81a812);
/// Linux /usr verity (x86).
pub const LINUX_USR_VERITY_X86: Guid = guid(0x8f461b0d_14ee_4e81_9aa9_049b6fb97abd);
/// Linux /usr verity signature (x86).
pub const LINUX_USR_VERITY_SIG_X86: Guid = guid(0x974a71c0_de41_43c3_be5d_5c5ccd1ad2c0);
/// Linux root (x86-64).
pub const LINUX_ROOT_X86_64: Guid = guid(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709);
/// Linux root verity (x86-64).
pub const LINUX_ROOT_VERITY_X86_64: Guid = guid(0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5);
/// Linux root verity signature (x86-64).
pub const LINUX_ROOT_VERITY_SIG_X86_64: Guid = guid(0x41092b05_9fc8_4523_994f_2def0408b176);
/// Linux /usr (x86-64).
pub const LINUX_USR_X86_64: Guid = guid(0x8484680c_9521_48c6_9c11_b0720656f69e);
/// Linux /usr verity (x86-64).
pub const LINUX_USR_VERITY_X86_64: Guid = guid(0x77ff5f63_e7b6_4633_acf4_1565b864c0e6);
/// Linux /usr verity signature (x86-64).
pub const LINUX_USR_VERITY_SIG_X86_64: Guid = guid(0xe7bb33fb_06cf_4e81_8273_e543b413e2e2);
/// Linux root (arm64).
pub const LINUX_ROOT_ARM64: Guid = guid(0xb921b045_1df0_41c3_af44_4c6f280d3fae);
/// Linux root verity (arm64).
pub const LINUX_ROOT_VERITY_ARM64: Guid = guid(0xdf3300ce_d69f_4c92_978c_9bfb0f38d820);
/// Linux root verity signature (arm64).
pub const LINUX_ROOT_VERITY_SIG_ARM64: Guid = guid(0x6db69de6_29f4_4758_a7a5_962190f00ce3);
/// Linux /usr (arm64).
pub const LINUX_USR_ARM64: Guid = guid(0xb0e01050_ee5f_4390_949a_9101b17104e9);
/// Linux /usr verity (arm64).
pub const LINUX_USR_VERITY_ARM64: Guid = guid(0x6e11a4e7_fbca_4ded_b9e9_e1a512bb664e);
/// Linux /usr verity signature (arm64).
pub const LINUX_USR_VERITY_SIG_ARM64: Guid = guid(0xc23ce4ff_44bd_4b00_b2d4_b41b3419e02a);
/// ChromeOS kernel.
pub const CHROMEOS_KERNEL: Guid = guid(0xfe3a2a5d_4f32_41a7_b725_accc3285a309);
/// ChromeOS root.
pub const CHROMEOS_ROOT: Guid = guid(0x3cb8e202_3b7e_47dd_8a3c_7ff2a13cfcec);
/// ChromeOS reserved.
pub const CHROMEOS_RESERVED: Guid = guid(0x2e0a753d_9e48_43b0_8337_b15192cb1b5e);
/// FreeBSD data.
pub const FREEBSD_DATA: Guid = guid(0x516e7cb4_6ecf_11d6_8ff8_00022d09712b);
/// FreeBSD boot.
pub const FREEBSD_BOOT: Guid = guid(0x83bd6b9d_7f41_11dc_be0b_001560b84f0f);
/// FreeBSD swap.
pub const FREEBSD_SWAP: Guid = guid(0x516e7cb5_6ecf_11d6_8ff8_00022d09712b);
/// FreeBSD UFS.
pub const FREEBSD_UFS: Guid = guid(0x516e7cb6_6ecf_11d6_8ff8_00022d09712b);
/// FreeBSD ZFS.
pub const FREEBSD_ZFS: Guid = guid(0x516e7cba_6ecf_11d6_8ff8_00022d09712b);
/// OpenBSD data.
pub const OPENBSD_DATA: Guid = guid(0x824cc7a0_36a8_11e3_890a_952519ad3f61);
/// NetBSD FFS.
pub const NETBSD_FFS: Guid = guid(0x49f48d5a_b10e_11dc_b99b_0019d1879648);
/// NetBSD swap.
pub const NETBSD_SWAP: Guid = guid(0x49f48d32_b10e_11dc_b99b_0019d1879648);
/// Solaris boot.
pub const SOLARIS_BOOT: Guid = guid(0x6a82cb45_1dd2_11b2_99a6_080020736631);
/// Solaris root.
pub const SOLARIS_ROOT: Guid = guid(0x6a85cf4d_1dd2_11b2_99a6_080020736631);
/// Solaris /usr or ZFS.
pub const SOLARIS_USR: Guid = guid(0x6a898cc3_1dd2_11b2_99a6_080020736631);
/// Solaris reserved.
pub const SOLARIS_RESERVED: Guid = guid(0x6a945a3b_1dd2_11b2_99a6_080020736631);
/// Apple HFS+.
pub const APPLE_HFS: Guid = guid(0x48465300_0000_11aa_aa11_00306543ecac);
/// Apple APFS.
pub const APPLE_APFS: Guid = guid(0x7c3457ef_0000_11aa_aa11_00306543ecac);
/// Apple boot.
pub const APPLE_BOOT: Guid = guid(0x426f6f74_0000_11aa_aa11_00306543ecac);
/// Apple Core Storage.
pub const APPLE_CORE_STORAGE: Guid = guid(0x53746f72_6167_11aa_aa11_00306543ecac);
/// VMware VMFS.
pub const VMWARE_VMFS: Guid = guid(0xaa31e02a_400f_11db_9590_000c2911d1b8);
/// VMware diagnostic.
pub const VMWARE_DIAGNOSTIC: Guid = guid(0x9d275380_40ad_11db_bf97_000c2911d1b8);
/// VMware reserved.
pub const VMWARE_RESERVED: Guid = guid(0x9198effc_31c0_11db_8f78_000c2911d1b8);
/// VMware Virtual SAN.
pub const VMWARE_VSAN: Guid = guid(0x381cfccc_7288_11e0_92ee_000c2911d0b2);
/// Ceph journal.
pub const CEPH_JOURNAL: Guid = guid(0x45b0969e_9b03_4f30_b4c6_b4b80ceff106);
/// Ceph OSD.
pub const CEPH_OSD: Guid = guid(0x4fbd7e29_9d25_41b8_afd0_062c0ceff05d);
/// IBM General Parallel File System.
pub const IBM_GPFS: Guid = guid(0x37affc90_ef7d_4e96_91c3_2d7ae055b174);
/// Intel Fast Flash.
pub const INTEL_FAST_FLASH: Guid = guid(0xd3bfe2de_3daf_11df_ba40_e3a556d89593);
/// ONIE boot.
pub const ONIE_BOOT: Guid = guid(0x7412f7d5_a156_4b13_81dc_867174929325);
/// Linux LUKS.
pub const LINUX_LUKS: Guid = guid(0xca7d7ccb_63ed_4c53_861c_1742536059cc);
/// Linux dm-crypt.
pub const LINUX_DM_CRYPT: Guid = guid(0x7ffec5c9_2d00_49b7_8941_3ea10a5586b7);
/// Flatcar reserved.
pub const FLATCAR_RESERVED: Guid = guid(0xc95dc21a_df0e_4340_8d7b_26cbfa9a03e0);
/// Flatcar /usr.
pub const FLATCAR_USR: Guid = guid(0x5dfbf5f4_2848_4bac_aa5e_0d9a20b745a6);
/// Flatcar root, grown at first boot.
pub const FLATCAR_ROOT: Guid = guid(0x3884dd41_8582_4404_b9a8_e9b84f2df50e);
/// Flatcar root on RAID.
pub const FLATCAR_ROOT_RAID: Guid = guid(0xbe9067b9_ea49_4f15_b4f6_f36f8c9e1818);
/// ChromeOS firmware.
pub const CHROMEOS_FIRMWARE: Guid = guid(0xcab6e88e_abf3_4102_a07a_d4bb9be3c1d3);

/// Every GPT type with a name.
pub static GPT_TYPES: &[(Guid, &str)] = &[
    (ESP, "EFI System Partition"),
    (BIOS_BOOT, "BIOS boot"),
    (MBR_SCHEME, "MBR partition scheme"),
    (PREP_BOOT, "PowerPC PReP boot"),
    (MSR, "Microsoft reserved"),
    (BASIC_DATA, "Microsoft basic data"),
    (WINDOWS_RECOVERY, "Windows recovery"),
    (LDM_METADATA, "Microsoft LDM metadata"),
    (LDM_DATA, "Microsoft LDM data"),
    (STORAGE_SPACES, "Microsoft Storage Spaces"),
    (LINUX_FILESYSTEM, "Linux filesystem"),
    (LINUX_SWAP, "Linux swap"),
    (LINUX_LVM, "Linux LVM"),
    (LINUX_RAID, "Linux RAID"),
    (LINUX_HOME, "Linux /home"),
    (LINUX_SRV, "Linux /srv"),
    (LINUX_VAR, "Linux /var"),
    (LINUX_TMP, "Linux /var/tmp"),
    (LINUX_USER_HOME, "Linux home of one user"),
    (LINUX_RESERVED, "Linux reserved"),
    (LINUX_XBOOTLDR, "Linux extended boot"),
    (LINUX_ROOT_X86, "Linux root (x86)"),
    (LINUX_ROOT_VERITY_X86, "Linux root verity (x86)"),
    (LINUX_ROOT_VERITY_SIG_X86, "Linux root verity signature (x86)"),
    (LINUX_USR_X86, "Linux /usr (x86)"),
    (LINUX_USR_VERITY_X86, "Linux /usr verity (x86)"),
    (LINUX_USR_VERITY_SIG_X86, "Linux /usr verity signature (x86)"),
    (LINUX_ROOT_X86_64, "Linux root (x86-64)"),
    (LINUX_ROOT_VERITY_X86_64, "Linux root verity (x86-64)"),
    (LINUX_ROOT_VERITY_SIG_X86_64, "Linux root verity signature (x86-64)"),
    (LINUX_USR_X86_64, "Linux /usr (x86-64)"),
    (LINUX_USR_VERITY_X86_64, "Linux /usr verity (x86-64)"),
    (LINUX_USR_VERITY_SIG_X86_64, "Linux /usr verity signature (x86-64)"),
    (LINUX_ROOT_ARM64, "Linux root (arm64)"),
    (LINUX_ROOT_VERITY_ARM64, "Linux root verity (arm64)"),
    (LINUX_ROOT_VERITY_SIG_ARM64, "Linux root verity signature (arm64)"),
    (LINUX_USR_ARM64, "Linux /usr (arm64)"),
    (LINUX_USR_VERITY_ARM64, "Linux /usr verity (arm64)"),
    (LINUX_USR_VERITY_SIG_ARM64, "Linux /usr verity signature (arm64)"),
    (CHROMEOS_KERNEL, "ChromeOS kernel"),
    (CHROMEOS_ROOT, "ChromeOS root"),
    (CHROMEOS_RESERVED, "ChromeOS reserved"),
    (FREEBSD_DATA, "FreeBSD data"),
    (FREEBSD_BOOT, "FreeBSD boot"),
    (FREEBSD_SWAP, "FreeBSD swap"),
    (FREEBSD_UFS, "FreeBSD UFS"),
    (FREEBSD_ZFS, "FreeBSD ZFS"),
    (OPENBSD_DATA, "OpenBSD data"),
    (NETBSD_FFS, "NetBSD FFS"),
    (NETBSD_SWAP, "NetBSD swap"),
    (SOLARIS_BOOT, "Solaris boot"),
    (SOLARIS_ROOT, "Solaris root"),
    (SOLARIS_USR, "Solaris /usr or ZFS"),
    (SOLARIS_RESERVED, "Solaris reserved"),
    (APPLE_HFS, "Apple HFS+"),
    (APPLE_APFS, "Apple APFS"),
    (APPLE_BOOT, "Apple boot"),
    (APPLE_CORE_STORAGE, "Apple Core Storage"),
    (VMWARE_VMFS, "VMware VMFS"),
    (VMWARE_DIAGNOSTIC, "VMware diagnostic"),
    (VMWARE_RESERVED, "VMware reserved"),
    (VMWARE_VSAN, "VMware Virtual SAN"),
    (CEPH_JOURNAL, "Ceph journal"),
    (CEPH_OSD, "Ceph OSD"),
    (IBM_GPFS, "IBM General Parallel File System"),
    (INTEL_FAST_FLASH, "Intel Fast Flash"),
    (ONIE_BOOT, "ONIE boot"),
    (LINUX_LUKS, "Linux LUKS"),
    (LINUX_DM_CRYPT, "Linux dm-crypt"),
    (FLATCAR_RESERVED, "Flatcar reserved"),
    (FLATCAR_USR, "Flatcar /usr"),
    (FLATCAR_ROOT, "Flatcar root, grown at first boot"),
    (FLATCAR_ROOT_RAID, "Flatcar root on RAID"),
    (CHROMEOS_FIRMWARE, "ChromeOS firmware"),
];

/// Every MBR type with a name.
pub static MBR_TYPES: &[(u8, &str)] = &[
    (0x01, "FAT12"),
    (0x04, "FAT16 below 32 MiB"),
    (0x05, "Extended"),
    (0x06, "FAT16"),
    (0x07, "NTFS or exFAT"),
    (0x0b, "FAT32"),
    (0x0c, "FAT32 (LBA)"),
    (0x0e, "FAT16 (LBA)"),
    (0x0f, "Extended (LBA)"),
    (0x11, "Hidden FAT12"),
    (0x12, "Diagnostics"),
    (0x14, "Hidden FAT16 below 32 MiB"),
    (0x16, "Hidden FAT16"),
    (0x17, "Hidden NTFS or exFAT"),
    (0x1b, "Hidden FAT32"),
    (0x1c, "Hidden FAT32 (LBA)"),
    (0x1e, "Hidden FAT16 (LBA)"),
    (0x27, "Windows recovery"),
    (0x39, "Plan 9"),
    (0x41, "PowerPC PReP boot"),
    (0x42, "Windows dynamic disk (LDM)"),
    (0x63, "GNU Hurd"),
    (0x81, "Minix"),
    (0x82, "Linux swap"),
    (0x83, "Linux"),
    (0x84, "Hibernation"),
    (0x85, "Linux extended"),
    (0x86, "NTFS volume set"),
    (0x87, "NTFS volume set"),
    (0x88, "Linux plain text"),
    (0x8e, "Linux LVM"),
    (0xa0, "Hibernation"),
    (0xa5, "FreeBSD"),
    (0xa6, "OpenBSD"),
    (0xa8, "Darwin UFS"),
    (0xa9, "NetBSD"),
    (0xab, "Darwin boot"),
    (0xaf, "HFS or HFS+"),
    (0xbe, "Solaris boot"),
    (0xbf, "Solaris"),
    (0xda, "Data without file system"),
    (0xde, "Dell utility"),
    (0xe8, "LUKS"),
    (0xea, "Linux extended boot"),
    (0xeb, "BeOS"),
    (0xee, "GPT protective"),
    (0xef, "EFI System Partition"),
    (0xfb, "VMware VMFS"),
    (0xfc, "VMware swap"),
    (0xfd, "Linux RAID"),
    (0xff, "Bad block table"),
];

/// The name of a partition type, for people; `None` for one that is not known here.
#[must_use]
pub fn type_name(kind: &PartitionType) -> Option<&'static str> {
    match kind {
        PartitionType::Gpt(guid) => GPT_TYPES.iter().find(|(known, _)| known == guid).map(|(_, name)| *name),
        PartitionType::Mbr(byte) => MBR_TYPES.iter().find(|(known, _)| known == byte).map(|(_, name)| *name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn types_have_names() {
        assert_eq!(type_name(&PartitionType::Gpt(ESP)), Some("EFI System Partition"));
        assert_eq!(ESP.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        // As it lies on the disk.
        assert_eq!(BIOS_BOOT.to_mixed_endian(), *b"Hah!IdontNeedEFI");
        assert_eq!(type_name(&PartitionType::Mbr(0x83)), Some("Linux"));
        assert_eq!(type_name(&PartitionType::Mbr(0)), None);
        assert_eq!(type_name(&PartitionType::Gpt(Guid::NIL)), None);
    }

    #[test]
    fn no_type_is_listed_twice() {
        assert_eq!(GPT_TYPES.iter().map(|(guid, _)| guid).collect::<BTreeSet<_>>().len(), GPT_TYPES.len());
        assert!(MBR_TYPES.is_sorted_by(|one, other| one.0 < other.0));
    }
}
