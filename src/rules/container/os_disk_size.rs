//! C-08, C-09: how large an OS disk can be.

use crate::bytes::ByteSize;
use crate::facts::Role;
use crate::rules::azure::{MAX_GEN1_OS_DISK, MAX_OS_DISK};
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static GENERATION_1: Rule = Rule {
    code: "VHD008",
    name: "gen1-os-disk-too-large",
    requirement: "C-08",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 1",
    summary: "The OS disk of a generation 1 machine has at most 2 TiB.",
    azure_error: None,
    source: source::GENERATIONS,
    docs: r"## What it checks

An OS disk for a generation 1 machine, because `--generation 1` says so or because it can boot in no other, must have at most 2 TiB.

## Why it matters

Generation 1 boots by BIOS, which addresses 2³² sectors. Azure refuses larger OS disks for it.

## How to fix it

Shrink the disk in its own machine, or keep the operating system on a small disk and the data on data disks. A disk that boots by UEFI
from a GPT can be used in generation 2, where the limit is 4095 GiB.",
    check: Check::Disk(generation_1),
};

pub(in crate::rules) static ANY: Rule = Rule {
    code: "VHD009",
    name: "os-disk-too-large",
    requirement: "C-09",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks",
    summary: "An OS disk has at most 4095 GiB.",
    azure_error: None,
    source: source::DISKS,
    docs: r"## What it checks

An OS disk must have at most 4095 GiB, in either generation.

## Why it matters

Azure makes larger managed disks, but attaches none of them as an OS disk.

## How to fix it

Shrink the disk in its own machine, or move data to data disks of their own.",
    check: Check::Disk(any),
};

// The limits stand before the role, so that a small disk is decided whatever else is unknown.

fn generation_1(subject: &Subject<'_>, target: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size <= MAX_GEN1_OS_DISK {
        return Ok(vec![]);
    }
    subject.demand(Role::Os)?;
    let why = match target.generation {
        Some(1) => "generation 1, which was asked for,",
        Some(_) => return Err(Skip::not_applicable("another generation was asked for")),
        None => {
            let generations = match subject.facts.boot.known()? {
                Some(boot) => boot.generations.known()?,
                None => None,
            };
            if generations.map(Vec::as_slice) != Some(&[1]) {
                return Err(Skip::not_applicable("generation 1 is not the only one that boots the disk"));
            }
            "generation 1, the only one that boots it,"
        }
    };
    let message = format!("the OS disk has {}; {why} takes OS disks of at most {}", ByteSize(size), ByteSize(MAX_GEN1_OS_DISK));
    Ok(vec![shared::too_large(subject.facts, size, MAX_GEN1_OS_DISK, message, shared::SHRINK)])
}

fn any(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size <= MAX_OS_DISK {
        return Ok(vec![]);
    }
    subject.demand(Role::Os)?;
    let message = format!("the OS disk has {}; Azure attaches no OS disk above {}", ByteSize(size), ByteSize(MAX_OS_DISK));
    Ok(vec![shared::too_large(subject.facts, size, MAX_OS_DISK, message, shared::SHRINK)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn sized(size: u64, change: impl FnOnce(&mut DiskFacts)) -> DiskFacts {
        os(|f| {
            f.virtual_size = Fact::Known(size);
            change(f);
        })
    }

    fn boots(generations: Fact<Vec<u8>>) -> impl FnOnce(&mut DiskFacts) {
        move |f| known(&mut f.boot).generations = generations
    }

    #[test]
    fn generation_1_is_limited() {
        let large = MAX_GEN1_OS_DISK + 1;
        assert_eq!(ask(&GENERATION_1, &sized(large, boots(Fact::Known(vec![1])))), "hand");
        assert_eq!(ask(&GENERATION_1, &sized(large, boots(Fact::Known(vec![1, 2])))), "not applicable");
        assert_eq!(ask(&GENERATION_1, &sized(large, boots(Fact::unknown("x")))), "undecided");
        assert_eq!(ask(&GENERATION_1, &sized(large, |f| f.role = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&GENERATION_1, &sized(large, |f| f.role = Fact::Known(Role::Data))), "not applicable");
        let facts = sized(large, |_| {});
        for (generation, said) in [(1, "hand"), (2, "not applicable")] {
            let target = Target { generation: Some(generation), ..Target::default() };
            assert_eq!(ask_for(&GENERATION_1, &subject(&facts), &target), said);
        }
    }

    #[test]
    fn any_os_disk_is_limited() {
        assert_eq!(ask(&ANY, &sized(MAX_OS_DISK, |_| {})), "pass");
        assert_eq!(ask(&ANY, &sized(MAX_OS_DISK + 1, |_| {})), "hand");
        assert_eq!(ask(&ANY, &sized(MAX_OS_DISK + 1, |f| f.role = Fact::Known(Role::Data))), "not applicable");
        assert_eq!(ask(&ANY, &sized(MAX_OS_DISK + 1, |f| f.role = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn a_small_disk_needs_no_role() {
        let facts = os(|f| (f.role, f.boot) = (Fact::unknown("x"), Fact::unknown("x")));
        assert_eq!((ask(&GENERATION_1, &facts), ask(&ANY, &facts)), ("pass".to_owned(), "pass".to_owned()));
    }
}
