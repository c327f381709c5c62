//! What the program in a boot sector is.
//!
//! Boot sectors carry no field that names their program, so it is known by bytes that it cannot do without: the messages it prints, and
//! markers that its installer looks for. Where the marks come from stands at the table of them. Where the code may lie: UEFI 2.10 section
//! 5.2.1 (an MBR's first 440 bytes), and behind the BPB in the boot sector of a partition.

use super::boot_sector;
use crate::bytes::is_zero;

/// Bytes of boot code in an MBR; the disk signature follows.
const MBR_CODE: usize = 440;
/// First byte after the code of a partition's boot sector: the signature 55 AA.
const SIGNATURE_AT: usize = 510;

/// A program that boots, or says why it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loader {
    /// No code: zeros.
    None,
    /// GRUB 2, `boot.img`.
    Grub,
    /// GRUB 0.9x, `stage1`.
    GrubLegacy,
    /// Syslinux: `mbr.bin` or `altmbr.bin`, which start the active partition.
    SyslinuxMbr,
    /// Syslinux: `gptmbr.bin`, which starts the GPT partition with attribute bit 2.
    SyslinuxGptMbr,
    /// Syslinux in the boot sector of a FAT or NTFS partition.
    Syslinux,
    /// Extlinux: Syslinux in the boot sector of an ext, XFS or btrfs partition.
    Extlinux,
    /// Isolinux in the first sector of a hybrid ISO image.
    Isolinux,
    /// LILO.
    Lilo,
    /// The MBR of Windows, which starts the active partition.
    WindowsMbr,
    /// The boot sector of a Windows partition: starts `bootmgr`.
    WindowsBootmgr,
    /// The boot sector of an old Windows partition: starts `NTLDR`.
    WindowsNtldr,
    /// FreeBSD's `pmbr`, which starts the freebsd-boot partition.
    FreeBsd,
    /// What `mkfs.fat` and `mkntfs` write: prints that the disk does not boot.
    NotBootable,
    /// Other code.
    Unknown,
}

/// The bytes that tell which program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Offset in the sector.
    pub at: usize,
    /// The bytes that stand there; all are ASCII.
    pub text: &'static str,
}

/// The boot code of one sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootCode {
    /// The program.
    pub loader: Loader,
    /// Why it is that one; `None` with [`Loader::None`] and [`Loader::Unknown`].
    pub proof: Option<Proof>,
    /// Whether the sector ends in 55 AA, without which a BIOS does not start it.
    pub signature: bool,
    /// Whether there is code at all: bytes other than zero where code may lie. Without the signature they may as well be
    /// something else: XFS, for one, has its superblock in the first sector of a partition.
    pub nonzero: bool,
}

/// Where a mark must stand.
#[derive(Debug, Clone, Copy)]
enum Place {
    At(usize),
    Anywhere,
}

/// Marks, the more telling ones first: `mbr.bin` of Syslinux says "Missing operating system" as the MBR of Windows does.
///
/// Read from the programs themselves: GRUB 2.06 `boot.img`, Syslinux 6.04 `mbr.bin`, `altmbr.bin`, `gptmbr.bin`; LILO keeps its
/// name at byte 6 for its installer; the boot sectors of Windows 7 to 11; `pmbr` of FreeBSD 13; dosfstools 4.2 and ntfs-3g.
const MARKS: [(Place, &str, Loader); 15] = [
    (Place::At(3), "SYSLINUX", Loader::Syslinux),
    (Place::At(3), "EXTLINUX", Loader::Extlinux),
    (Place::At(6), "LILO", Loader::Lilo),
    (Place::Anywhere, "isolinux.bin", Loader::Isolinux),
    (Place::Anywhere, "GRUB ", Loader::Grub),
    (Place::Anywhere, "Missing OS\r\n", Loader::SyslinuxGptMbr),
    (Place::Anywhere, "Operating system load error.", Loader::SyslinuxMbr),
    (Place::Anywhere, "Boot loader too large", Loader::FreeBsd),
    (Place::Anywhere, "This is not a bootable disk", Loader::NotBootable),
    (Place::Anywhere, "BOOTMGR", Loader::WindowsBootmgr),
    (Place::Anywhere, "NTLDR", Loader::WindowsNtldr),
    (Place::Anywhere, "Error loading operating system", Loader::WindowsMbr),
    (Place::Anywhere, "Missing operating system", Loader::WindowsMbr),
    (Place::Anywhere, "Invalid partition table", Loader::WindowsMbr),
    // The messages are translated; the marker for the measuring firmware, since Windows Vista, is not.
    (Place::Anywhere, "TCPA", Loader::WindowsMbr),
];

/// Tells which program a sector starts with.
///
/// `sector` is the first sector of a disk or of a partition, 512 bytes or more. Bytes after the first 512 are not looked at,
/// and a shorter slice is taken for what it is.
#[must_use]
pub fn identify(sector: &[u8]) -> BootCode {
    let sector = sector.get(..512).unwrap_or(sector);
    let signature = sector.get(SIGNATURE_AT..) == Some(&[0x55, 0xaa]);
    let nonzero = !is_zero(code_of(sector));
    // A BPB with an OEM name is no code, and so no proof of any.
    let found = if nonzero { MARKS.iter().find_map(|mark| find(sector, mark)) } else { None };
    let (loader, proof) = match found {
        Some((loader, proof)) => (loader, Some(proof)),
        None if nonzero => (Loader::Unknown, None),
        None => (Loader::None, None),
    };
    BootCode { loader, proof, signature, nonzero }
}

/// The bytes in which code may lie: behind the BPB when there is one, else the first 440.
fn code_of(sector: &[u8]) -> &[u8] {
    let range = match boot_sector::volume(sector) {
        None => 0..MBR_CODE,
        Some("exFAT") => 120..SIGNATURE_AT,
        Some("FAT") if boot_sector::fat_type(sector).is_none_or(|(at, _)| at == 0x36) => 62..SIGNATURE_AT,
        // FAT32 has the longest BPB, and BitLocker stands on it; NTFS ends a few bytes earlier, before code that is much longer.
        Some(_) => 90..SIGNATURE_AT,
    };
    let end = range.end.min(sector.len());
    sector.get(range.start..end).unwrap_or_default()
}

fn find(sector: &[u8], (place, text, loader): &(Place, &'static str, Loader)) -> Option<(Loader, Proof)> {
    let at = match place {
        Place::At(at) => sector.get(*at..)?.starts_with(text.as_bytes()).then_some(*at)?,
        Place::Anywhere => sector.windows(text.len()).position(|bytes| bytes == text.as_bytes())?,
    };
    // Both GRUBs print the same words. GRUB 2 jumps over a longer parameter block.
    let loader = if *loader == Loader::Grub && sector.starts_with(&[0xeb, 0x48, 0x90]) { Loader::GrubLegacy } else { *loader };
    Some((loader, Proof { at, text }))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn sector_with(at: usize, text: &str) -> Vec<u8> {
        let mut sector = vec![0; 512];
        sector[0] = 0xfa;
        sector[at..at + text.len()].copy_from_slice(text.as_bytes());
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    #[test]
    fn each_program_is_known_by_its_words() {
        for (at, text, loader) in [
            (3, "SYSLINUX", Loader::Syslinux),
            (3, "EXTLINUX", Loader::Extlinux),
            (6, "LILO", Loader::Lilo),
            (0x180, "GRUB \0Geom\0Hard Disk\0Read\0 Error", Loader::Grub),
            (0x100, "Missing OS\r\n\0Multiple active partitions", Loader::SyslinuxGptMbr),
            (0x100, "Missing operating system.\r\n\0Operating system load error.\r\n", Loader::SyslinuxMbr),
            (0x163, "Invalid partition table\0Error loading operating system\0Missing operating system", Loader::WindowsMbr),
            (0x100, "TCPAu2", Loader::WindowsMbr),
            (0x18c, "\r\nBOOTMGR is missing\0", Loader::WindowsBootmgr),
            (0x18c, "\r\nNTLDR is missing\0", Loader::WindowsNtldr),
            (0x60, "This is not a bootable disk.", Loader::NotBootable),
            (0x60, "isolinux.bin missing or corrupt.\r\n", Loader::Isolinux),
            (0x60, "something else", Loader::Unknown),
        ] {
            let code = identify(&sector_with(at, text));
            assert_eq!(code.loader, loader, "{text}");
            assert_eq!(code.proof.is_none(), loader == Loader::Unknown);
            assert!(code.signature && code.nonzero);
            if let Some(proof) = code.proof {
                assert!(proof.at >= at && sector_with(at, text)[proof.at..].starts_with(proof.text.as_bytes()));
            }
        }
    }

    #[test]
    fn no_code_is_told_from_an_unknown_one() {
        let mut sector = vec![0; 512];
        assert_eq!(identify(&sector), BootCode { loader: Loader::None, proof: None, signature: false, nonzero: false });
        // The disk signature and the partition entries are no code.
        sector[440..512].fill(0xff);
        assert_eq!(identify(&sector).loader, Loader::None);
        sector[439] = 1;
        assert_eq!(identify(&sector).loader, Loader::Unknown);
    }

    #[test]
    fn a_bpb_is_no_code() {
        let mut sector = samples::fat32_boot_sector();
        sector[90..510].fill(0);
        let code = identify(&sector);
        assert_eq!((code.loader, code.nonzero, code.signature), (Loader::None, false, true));
        sector[100] = 0xf4;
        assert_eq!(identify(&sector).loader, Loader::Unknown);
    }

    #[test]
    fn grub_legacy_jumps_shorter() {
        let mut sector = samples::grub_sector();
        assert_eq!(identify(&sector).loader, Loader::Grub);
        sector[1] = 0x48;
        assert_eq!(identify(&sector).loader, Loader::GrubLegacy);
    }

    #[test]
    fn any_length_is_taken() {
        for len in 0..600 {
            assert_eq!(identify(&vec![0; len]).loader, Loader::None);
            assert_ne!(identify(&vec![0xaa; len]).loader == Loader::None, len > 0, "{len}");
        }
    }
}
