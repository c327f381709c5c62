//! Booting.

use super::Fact;
use serde::Serialize;

/// How a disk can boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BootFacts {
    /// Hyper-V generations: 1 by BIOS, 2 by UEFI.
    pub generations: Fact<Vec<u8>>,
    /// `x64`, `Arm64`, `x86`: what the boot loaders are for.
    pub architecture: Fact<String>,
    /// Boot loaders: the one that a BIOS starts, and every program below `\EFI` of the EFI system partition, the fallback loader first.
    pub loaders: Fact<Vec<LoaderFacts>>,
    /// What is on the EFI system partition: on the first one that has a boot loader, where there are several.
    pub esp: Fact<EspFacts>,
    /// What led to the generations, one plain sentence each.
    pub evidence: Vec<String>,
}

/// A boot loader.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LoaderFacts {
    /// Generation that starts it.
    pub generation: u8,
    /// What it is: `GRUB`, `shim`, `Windows Boot Manager`, …
    pub name: String,
    /// Where: `MBR`, or `partition 1`.
    pub place: String,
    /// Path on the EFI system partition: `\EFI\BOOT\BOOTX64.EFI`; `null` for boot sectors.
    pub path: Option<String>,
    /// Whether the file is a program at all; absent for boot sectors, unknown where its headers are damaged.
    pub program: Fact<bool>,
    /// `x64`, `Arm64`, `x86`: what it is for; boot sectors do not tell.
    pub architecture: Fact<String>,
    /// Who signed it, one for each signature; none where it is unsigned. The signatures themselves are not verified.
    pub signed_by: Fact<Vec<SignerFacts>>,
    /// Its components with their generations of security fixes (SBAT); absent where it has no such section.
    pub sbat: Fact<Vec<SbatFacts>>,
    /// Whether firmware finds it without an entry of its own: the loader for removable media.
    pub fallback: bool,
    /// Bytes of the file; `null` for boot sectors.
    pub size: Option<u64>,
}

/// Who signed a boot loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerFacts {
    /// Common name of the signer's certificate.
    pub subject: String,
    /// Common name of who issued it: the name that decides whether firmware trusts it.
    pub issuer: Option<String>,
    /// Common names of those above the issuer, as far as the signature carries their certificates.
    pub chain: Vec<String>,
}

/// A component of a boot loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SbatFacts {
    /// `shim`, `grub`, `grub.debian`.
    pub component: String,
    /// Raised with each fix that revokes what is older.
    pub generation: u32,
    /// The vendor's version of it.
    pub version: String,
}

/// An EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EspFacts {
    /// Its number.
    pub partition: u32,
    /// The directories in `\EFI`.
    pub directories: Vec<String>,
    /// Whether `\EFI\Microsoft\Boot\bootmgfw.efi` is there.
    pub windows_boot_manager: Fact<bool>,
    /// Whether `\EFI\Microsoft\Boot\BCD` is there.
    pub bcd: Fact<bool>,
    /// GRUB's configuration files on it.
    pub grub_configs: Fact<Vec<EspGrubConfigFacts>>,
    /// What firmware starts without an entry of its own, and what follows; absent where there is no such loader.
    pub fallback: Fact<FallbackFacts>,
}

/// A configuration file of GRUB on the EFI system partition; distributions often keep one there that only leads to the true one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EspGrubConfigFacts {
    /// `\EFI\debian\grub.cfg`.
    pub path: String,
    /// UUID of the file system that it looks for first.
    pub search_uuid: Option<String>,
    /// Label of the file system that it looks for first.
    pub search_label: Option<String>,
    /// The configuration that it goes on with, with what it looks for in place of the device: `(7837-137C)/boot/grub/grub.cfg`.
    pub leads_to: Option<String>,
    /// Whether it has menu entries of its own.
    pub entries: bool,
}

/// The loader that firmware starts without an entry, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FallbackFacts {
    /// `\EFI\BOOT\BOOTX64.EFI` or `\EFI\BOOT\BOOTAA64.EFI`.
    pub path: String,
    /// The GRUB beside it, which shim starts: `\EFI\BOOT\grubx64.efi`.
    pub grub: Option<String>,
    /// The program beside it that makes boot entries anew: `\EFI\BOOT\fbx64.efi`.
    pub entry_maker: Option<String>,
    /// The lists from which it makes them: `\EFI\debian\BOOTX64.CSV`.
    pub entry_lists: Vec<String>,
    /// Whether the loader finds what it starts next.
    pub complete: Fact<bool>,
    /// Why so.
    pub evidence: String,
}
