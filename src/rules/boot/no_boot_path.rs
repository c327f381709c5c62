//! G-04: an OS disk boots in one generation at least.

use super::{ESP, of_type};
use crate::bytes::SECTOR;
use crate::facts::Role;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "GEN104",
    name: "no-boot-path",
    requirement: "G-04",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks, where no generation is asked for",
    summary: "An OS disk boots by BIOS or by UEFI.",
    azure_error: None,
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

Without `--generation`: an OS disk must boot in one of the generations. Where that cannot be told for certain, it must at least have boot
code in sector 0 or an EFI System Partition.

## Why it matters

Without either, the machine starts in neither generation. Usually the disk is a data disk that was taken for another, or only a part of
the original was copied: a partition, or a disk whose boot loader lay on a second one.

## How to fix it

Check that the file is the whole disk. If it is a data disk, say so with `--role data`. Otherwise install a boot loader in the machine
where the disk was made.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let facts = subject.facts;
    if target.generation.is_some() {
        return Err(Skip::not_applicable("a generation was asked for, and is checked by itself"));
    }
    let generations = facts.boot.value().and_then(|boot| boot.generations.value());
    // The marks come before the role: a disk that boots is decided whatever it is for.
    let boots = match generations {
        Some(generations) => !generations.is_empty(),
        None => {
            let table = facts.partition_table.known()?;
            table.is_some_and(|table| table.boot_code.is_some()) || !of_type(facts, ESP)?.is_empty()
        }
    };
    if boots {
        return Ok(vec![]);
    }
    subject.demand(Role::Os)?;
    let evidence = facts.boot.value().map(|boot| boot.evidence.as_slice()).unwrap_or_default();
    Ok(vec![Finding {
        message: format!("the OS disk boots neither by BIOS (generation 1) nor by UEFI (generation 2){}", shared::because(evidence)),
        actual: "boots in no generation".to_owned(),
        required: "a way to boot by BIOS or by UEFI".to_owned(),
        place: shared::disk_place(facts, 0, SECTOR),
        remedy: Remedy::hand(
            "check that the file is the whole disk; install a boot loader where it was made, or judge it with --role data",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn bare(role: Fact<Role>) -> DiskFacts {
        data(|f| f.role = role)
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &os(|f| f.boot = Fact::unknown("x"))), "pass");
        assert_eq!(ask(&RULE, &os(|f| known(&mut f.boot).generations = Fact::Known(vec![]))), "hand");
        assert_eq!(ask(&RULE, &bare(Fact::Known(Role::Os))), "hand");
        assert_eq!(ask(&RULE, &bare(Fact::Known(Role::Data))), "not applicable");
        assert_eq!(ask(&RULE, &bare(Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &os(|f| (f.boot, f.partition_table) = (Fact::unknown("x"), Fact::unknown("x")))), "undecided");
        let facts = bare(Fact::Known(Role::Os));
        let target = Target { generation: Some(2), ..Target::default() };
        assert_eq!(ask_for(&RULE, &subject(&facts), &target), "not applicable");
    }
}
