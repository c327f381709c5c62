//! G-02, G-03: what a generation 1 machine boots from.

use super::{BIOS_BOOT, boots_in, demand_generation, of_type};
use crate::bytes::SECTOR;
use crate::facts::{DiskFacts, Role};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static NO_BIOS_BOOT: Rule = Rule {
    code: "GEN002",
    name: "no-bios-boot",
    requirement: "G-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 1",
    summary: "A BIOS finds boot code in sector 0, and that finds an operating system.",
    azure_error: None,
    source: source::GENERATIONS,
    docs: r"## What it checks

With `--generation 1`: sector 0 of the OS disk must hold boot code, and either that is a boot loader which finds its second part itself,
as GRUB does, or exactly one partition is active and has boot code in its own first sector, as Windows has it.

## Why it matters

A generation 1 machine has a BIOS. It starts sector 0 and knows nothing of an EFI System Partition. Without boot code the screen stays
black.

## How to fix it

If the disk boots by UEFI, use it as generation 2: `--generation 2`, and `--hyper-v-generation V2` for the disk or image in Azure.
Otherwise install the boot loader for BIOS from inside the machine: `grub-install --target=i386-pc`, or `bootrec /fixmbr` with
`bootrec /fixboot` and an active partition.",
    check: Check::Disk(no_bios_boot),
};

pub(in crate::rules) static GPT: Rule = Rule {
    code: "GEN003",
    name: "gpt-for-generation-1",
    requirement: "G-03",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a GPT for generation 1",
    summary: "A GPT disk for generation 1 has a BIOS boot partition.",
    azure_error: None,
    source: source::DISKS_FAQ,
    docs: r"## What it checks

With `--generation 1`: an OS disk with a GPT must have a BIOS boot partition (type EF02 in `gdisk`), unless it is known to boot by BIOS in
another way.

## Why it matters

Microsoft's FAQ says that generation 1 needs an MBR. For Windows that is so: it never boots by BIOS from a GPT. For Linux it is not: the
images of the distributions in Azure have a GPT with a BIOS boot partition for GRUB and an EFI System Partition beside it, and boot in
both generations.

## How to fix it

Use the disk as generation 2 if it boots by UEFI. Or, with Linux, make a partition of 1 MiB of type EF02 and run
`grub-install --target=i386-pc` in the machine.",
    check: Check::Disk(gpt),
};

fn no_bios_boot(subject: &Subject<'_>, target: &Target) -> Judgement {
    let facts = subject.facts;
    demand_generation(target, 1)?;
    subject.demand(Role::Os)?;
    if boots_in(facts, 1) {
        return Ok(vec![]);
    }
    if lacks_bios_boot_partition(facts)? {
        return Err(Skip::not_applicable("a GPT without a BIOS boot partition"));
    }
    let table = facts.partition_table.known()?;
    let boot = facts.boot.known()?;
    let finding = |what: String| {
        vec![Finding {
            message: format!("{what}; a generation 1 machine finds nothing to boot"),
            actual: "no way to boot by BIOS".to_owned(),
            required: "boot code in sector 0 and a boot loader that it finds".to_owned(),
            place: shared::disk_place(facts, 0, SECTOR),
            remedy: Remedy::hand(
                "use the disk as generation 2 if it boots by UEFI; otherwise install the boot loader for BIOS in the machine itself",
            ),
        }]
    };
    if table.is_none_or(|table| table.boot_code.is_none()) {
        return Ok(finding("sector 0 holds no boot code".to_owned()));
    }
    // Code there is; whether it leads anywhere only the facts on booting tell.
    let evidence = match boot {
        Some(boot) => {
            boot.generations.known()?;
            boot.evidence.as_slice()
        }
        None => &[],
    };
    Ok(finding(format!("the boot code in sector 0 leads to no operating system{}", shared::because(evidence))))
}

fn gpt(subject: &Subject<'_>, target: &Target) -> Judgement {
    demand_generation(target, 1)?;
    subject.demand(Role::Os)?;
    let table = shared::table(subject.facts)?;
    if table.scheme != "gpt" {
        return Err(Skip::not_applicable("the partition table is not a GPT"));
    }
    if boots_in(subject.facts, 1) || !lacks_bios_boot_partition(subject.facts)? {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "the disk has a GPT without a BIOS boot partition; Windows never boots from a GPT in generation 1, and Linux needs GRUB \
                  and a partition of type EF02 for it"
            .to_owned(),
        actual: "a GPT without a BIOS boot partition".to_owned(),
        required: "an MBR, or a GPT with a BIOS boot partition (EF02)".to_owned(),
        place: shared::disk_place(subject.facts, SECTOR, SECTOR),
        remedy: Remedy::hand(
            "use the disk as generation 2 if it boots by UEFI; or, with Linux, add a partition of type EF02 and run \
             grub-install --target=i386-pc in the machine",
        ),
    }])
}

/// A GPT on which the BIOS loaders of Azure's Linux images have no place.
fn lacks_bios_boot_partition(facts: &DiskFacts) -> Result<bool, Skip> {
    let gpt = facts.partition_table.known()?.is_some_and(|table| table.scheme == "gpt");
    Ok(gpt && of_type(facts, BIOS_BOOT)?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::Rule;
    use crate::rules::testing::{ask, ask_for, known, os, subject};

    const GENERATION_1: Target = Target {
        generation: Some(1),
        state: None,
        profile: Profile::Azure,
        fail_on: Severity::Error,
        kept: std::collections::BTreeSet::new(),
    };

    fn asked(rule: &Rule, facts: &DiskFacts) -> String {
        ask_for(rule, &subject(facts), &GENERATION_1)
    }

    fn without_ef02(facts: &mut DiskFacts) {
        known(&mut facts.partitions).remove(0);
        known(&mut facts.boot).generations = Fact::Known(vec![2]);
    }

    #[test]
    fn only_for_os_disks_of_generation_1() {
        for rule in [&NO_BIOS_BOOT, &GPT] {
            assert_eq!(ask(rule, &os(without_ef02)), "not applicable");
            assert_eq!(asked(rule, &os(|_| {})), "pass");
            assert_eq!(asked(rule, &os(|f| f.role = Fact::Known(Role::Data))), "not applicable");
            assert_eq!(asked(rule, &os(|f| f.role = Fact::unknown("x"))), "undecided");
        }
    }

    #[test]
    fn boot_code_is_needed() {
        let mbr = |code: Option<&str>, generations| {
            os(|f| {
                let table = known(&mut f.partition_table);
                (table.scheme, table.boot_code) = ("mbr".to_owned(), code.map(str::to_owned));
                known(&mut f.boot).generations = generations;
            })
        };
        assert_eq!(asked(&NO_BIOS_BOOT, &mbr(None, Fact::Known(vec![2]))), "hand");
        assert_eq!(asked(&NO_BIOS_BOOT, &mbr(None, Fact::unknown("x"))), "hand");
        assert_eq!(asked(&NO_BIOS_BOOT, &mbr(Some("GRUB"), Fact::unknown("x"))), "undecided");
        assert_eq!(asked(&NO_BIOS_BOOT, &mbr(Some("GRUB"), Fact::Known(vec![]))), "hand");
        assert_eq!(asked(&NO_BIOS_BOOT, &mbr(Some("GRUB"), Fact::Known(vec![1]))), "pass");
        assert_eq!(asked(&NO_BIOS_BOOT, &os(without_ef02)), "not applicable");
        assert_eq!(asked(&NO_BIOS_BOOT, &os(|f| (f.partition_table, f.boot) = (Fact::Absent, Fact::Absent))), "hand");
        assert_eq!(asked(&GPT, &mbr(None, Fact::Known(vec![]))), "not applicable");
    }

    #[test]
    fn a_gpt_needs_a_place_for_grub() {
        assert_eq!(asked(&GPT, &os(without_ef02)), "hand");
        let syslinux = os(|f| {
            without_ef02(f);
            known(&mut f.boot).generations = Fact::Known(vec![1]);
        });
        assert_eq!(asked(&GPT, &syslinux), "pass");
        assert_eq!(asked(&GPT, &os(|f| (f.partitions, f.boot) = (Fact::unknown("x"), Fact::unknown("x")))), "undecided");
    }
}
