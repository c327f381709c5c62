//! G-05: what a generation 2 machine boots from.

use super::{ESP, demand_generation, of_type};
use crate::bytes::SECTOR;
use crate::facts::{DiskFacts, PartitionFacts, Role};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static NO_ESP: Rule = Rule {
    code: "GEN005",
    name: "no-efi-system-partition",
    requirement: "G-05",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 2",
    summary: "An OS disk for generation 2 has a GPT with an EFI System Partition in FAT.",
    azure_error: Some("The boot loader did not load an operating system."),
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

With `--generation 2`: the OS disk must have a GPT, and on it a partition of the type EFI System Partition that holds a FAT file system.

## Why it matters

A generation 2 machine boots by UEFI. Its firmware reads FAT on that partition and nothing else; it does not start sector 0.

## How to fix it

If the disk boots by BIOS, use it as generation 1. Otherwise convert it in the machine where it was made: `mbr2gpt` with Windows; with
Linux a GPT, an EFI System Partition mounted at `/boot/efi`, and `grub-install --target=x86_64-efi --removable`.",
    check: Check::Disk(no_esp),
};

pub(in crate::rules) static DIRTY: Rule = Rule {
    code: "GEN105",
    name: "esp-dirty",
    requirement: "G-05",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with an EFI System Partition",
    summary: "The file system of the EFI System Partition was unmounted cleanly.",
    azure_error: None,
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

The FAT file system of an EFI System Partition must be marked as unmounted cleanly.

## Why it matters

Firmware reads the partition as it is. A boot loader or its configuration that was written last may be missing or broken, and Linux may
mount the partition read-only, so that boot loader updates fail later.

## How to fix it

Start the machine and shut it down cleanly, or check the partition with `fsck.vfat` on a copy of the disk, and export the disk again.",
    check: Check::Disk(dirty),
};

fn no_esp(subject: &Subject<'_>, target: &Target) -> Judgement {
    let facts = subject.facts;
    demand_generation(target, 2)?;
    subject.demand(Role::Os)?;
    let Some(table) = facts.partition_table.known()? else {
        return Ok(finding(facts, "the disk has no partition table", "no partition table"));
    };
    if table.scheme != "gpt" {
        let what = format!("the partition table is {}", table.scheme.to_ascii_uppercase());
        return Ok(finding(facts, &what, &table.scheme));
    }
    let mut other = None;
    let mut unknown = None;
    for partition in of_type(facts, ESP)? {
        match partition.content.known() {
            Ok(Some(content)) if content.kind == "vfat" => return Ok(vec![]),
            Ok(content) => other = Some((partition, content.map_or("nothing that is known", |content| &content.kind))),
            Err(reason) => unknown = Some(reason),
        }
    }
    // Another partition of the type may be the right one.
    match (unknown, other) {
        (Some(reason), _) => Err(reason.into()),
        (None, Some((partition, holds))) => {
            let what = format!("the EFI System Partition, number {}, holds {holds} instead of FAT", partition.number);
            Ok(finding(facts, &what, holds))
        }
        (None, None) => Ok(finding(facts, "the GPT has no EFI System Partition", "no EFI System Partition")),
    }
}

fn finding(facts: &DiskFacts, what: &str, actual: &str) -> Vec<Finding> {
    vec![Finding {
        message: format!("{what}; a generation 2 machine finds nothing to boot"),
        actual: actual.to_owned(),
        required: "a GPT with an EFI System Partition in FAT".to_owned(),
        place: shared::disk_place(facts, SECTOR, SECTOR),
        remedy: Remedy::hand(
            "use the disk as generation 1 if it boots by BIOS; otherwise convert it to UEFI in the machine where it was made",
        ),
    }]
}

fn dirty(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    let partitions = of_type(facts, ESP)?;
    if partitions.is_empty() {
        return Err(Skip::not_applicable("no EFI System Partition"));
    }
    let mut found = Vec::new();
    let mut unknown = None;
    for partition in partitions {
        match cleanly_unmounted(partition) {
            Ok(true) => {}
            Ok(false) => found.push(Finding {
                message: format!(
                    "the EFI System Partition, number {}, was not unmounted cleanly; what was written last may be missing",
                    partition.number
                ),
                actual: "not clean".to_owned(),
                required: "clean".to_owned(),
                place: shared::disk_place(facts, partition.start, SECTOR),
                remedy: Remedy::hand(
                    "start the machine, shut it down cleanly and export the disk again; or run fsck.vfat on a copy of the disk",
                ),
            }),
            Err(reason) => unknown = Some(reason),
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

/// Whether a partition's FAT is marked so; what is not FAT has no such mark to miss.
fn cleanly_unmounted(partition: &PartitionFacts) -> Result<bool, Skip> {
    match partition.content.known()? {
        Some(content) if content.kind == "vfat" => Ok(content.clean.known()? != Some(&false)),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ContentFacts, Fact};
    use crate::rules::testing::{ask, ask_for, content, gzip, known, os, subject};

    fn asked(facts: &DiskFacts) -> String {
        ask_for(&NO_ESP, &subject(facts), &Target { generation: Some(2), ..Target::default() })
    }

    fn esp_with(content: Fact<ContentFacts>) -> DiskFacts {
        os(|f| known(&mut f.partitions)[1].content = content)
    }

    #[test]
    fn a_fat_partition_of_the_type_is_needed() {
        assert_eq!(ask(&NO_ESP, &os(|f| f.partition_table = Fact::Absent)), "not applicable");
        assert_eq!(asked(&os(|_| {})), "pass");
        assert_eq!(asked(&os(|f| known(&mut f.partitions)[1].kind.make_ascii_uppercase())), "pass");
        assert_eq!(asked(&os(|f| f.role = Fact::Known(Role::Data))), "not applicable");
        assert_eq!(asked(&os(|f| f.role = Fact::unknown("x"))), "undecided");
        assert_eq!(asked(&os(|f| f.partition_table = Fact::Absent)), "hand");
        assert_eq!(asked(&os(|f| known(&mut f.partition_table).scheme = "mbr".to_owned())), "hand");
        assert_eq!(asked(&os(|f| drop(known(&mut f.partitions).remove(1)))), "hand");
        assert_eq!(asked(&esp_with(Fact::Known(content("ext4")))), "hand");
        assert_eq!(asked(&esp_with(Fact::Absent)), "hand");
        assert_eq!(asked(&esp_with(Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn a_dirty_fat_is_told() {
        let clean = |clean| esp_with(Fact::Known(ContentFacts { clean, ..content("vfat") }));
        assert_eq!(ask(&DIRTY, &clean(Fact::Known(true))), "pass");
        assert_eq!(ask(&DIRTY, &clean(Fact::Absent)), "pass");
        assert_eq!(ask(&DIRTY, &clean(Fact::Known(false))), "hand");
        assert_eq!(ask(&DIRTY, &clean(Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DIRTY, &esp_with(Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DIRTY, &gzip()), "not applicable");
    }
}
