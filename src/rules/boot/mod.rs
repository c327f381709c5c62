//! Rules about booting: what each Hyper-V generation needs, and what keeps an OS disk from starting unattended.

use crate::facts::{DiskFacts, PartitionFacts};
use crate::rules::{Advice, Elsewhere, Rule, Skip, Target};

pub(in crate::rules) mod encrypted;
pub(in crate::rules) mod esp_mount;
pub(in crate::rules) mod fallback;
pub(in crate::rules) mod generation_1;
pub(in crate::rules) mod generation_2;
pub(in crate::rules) mod no_boot_path;
pub(in crate::rules) mod platform;
pub(in crate::rules) mod secure_boot;
pub(in crate::rules) mod windows_loader;

/// The rules of this folder.
pub(super) static RULES: &[&Rule] = &[
    &generation_1::NO_BIOS_BOOT,
    &generation_1::GPT,
    &generation_2::NO_ESP,
    &windows_loader::RULE,
    &windows_loader::COPY_ONLY,
    &encrypted::BITLOCKER,
    &encrypted::LUKS,
    &no_boot_path::RULE,
    &generation_2::DIRTY,
    &fallback::MISSING,
    &fallback::INCOMPLETE,
    &esp_mount::NO_VFAT,
    &platform::TRUSTED_LAUNCH,
    &secure_boot::UNSIGNED,
    &secure_boot::MODULES,
    &platform::MIXED,
    &platform::BITS_32,
    &platform::REMOTE_NVME,
    &fallback::CONFIG,
    &esp_mount::NOT_MOUNTED,
    &secure_boot::ONLY_2011,
    &platform::ARM64,
];

/// Rows of the catalogue beside them that no rule checks.
pub(super) static ADVICE: &[Advice] = &[
    (
        "G-10",
        Elsewhere::Recipe,
        "the security type is a property of the image definition; the recipe states it by the generation and the loaders' signatures",
    ),
    (
        "G-14",
        Elsewhere::Recipe,
        "a confidential machine is asked for in the image definition; the recipe names the feature and the kernel that it needs",
    ),
    (
        "G-20",
        Elsewhere::Recipe,
        "the disk controllers are a feature of the image definition; the recipe states it where the guest has the driver",
    ),
    ("G-21", Elsewhere::Recipe, "an upgrade of the generation happens in Azure; the recipe says for which guests it exists"),
];

/// EFI System Partition.
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
/// The partition where GRUB keeps its second part on a GPT disk, which `gdisk` calls EF02.
const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";

/// Partitions of that type.
fn of_type<'a>(facts: &'a DiskFacts, kind: &str) -> Result<Vec<&'a PartitionFacts>, Skip> {
    let all = facts.partitions.known()?.map(Vec::as_slice).unwrap_or_default();
    Ok(all.iter().filter(|partition| partition.kind.eq_ignore_ascii_case(kind)).collect())
}

/// Goes on only where that generation was asked for.
fn demand_generation(target: &Target, generation: u8) -> Result<(), Skip> {
    if target.generation == Some(generation) {
        Ok(())
    } else {
        Err(Skip::not_applicable(format!("generation {generation} was not asked for")))
    }
}

/// Whether the disk is known to boot in that generation.
fn boots_in(facts: &DiskFacts, generation: u8) -> bool {
    facts.boot.value().and_then(|boot| boot.generations.value()).is_some_and(|all| all.contains(&generation))
}
