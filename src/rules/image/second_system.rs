//! M-01, X-13: data disks that could start a machine.

use super::{demand_several, named, os_disk};
use crate::facts::{DiskFacts, OsFacts, OsRoot, Role};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};
use std::collections::BTreeSet;

pub(in crate::rules) static RULE: Rule = Rule {
    code: "IMG101",
    name: "second-operating-system",
    requirement: "M-01",
    also: &["X-13"],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "data disks of an image",
    summary: "Of the disks of an image only the OS disk holds an operating system.",
    azure_error: None,
    source: source::IMAGE_VERSION,
    docs: r"## What it checks

No data disk of an image may hold an operating system or boot by itself. One whose root lies on a volume group that the OS disk shares is
the same system, and passes.

## Why it matters

An image has one source for its operating system. A second one among the data disks is usually a disk given by mistake, and it brings file
systems, volume groups and boot loaders that may be taken for those of the OS disk.

## How to fix it

Check that the right file was given. If the disk is meant, as the old system of a machine that was moved, leave it out of the image and
attach it to the machine later, or accept the finding: `--waive IMG101`.",
    check: Check::Image(check),
};

pub(in crate::rules) static ACTIVE: Rule = Rule {
    code: "IMG113",
    name: "data-disk-active",
    requirement: "X-13",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "data disks with an MBR",
    summary: "No partition of a data disk is marked active.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

On a data disk with an MBR no partition may be marked active.

## Why it matters

The mark says that a machine starts from this partition. Firmware that tries the disks in turn stops there, and tools take the disk for an
OS disk, as do people who later sort the disks of the machine.

## How to fix it

Take the mark away, on a copy of the disk or in its machine: `sfdisk --activate DISK -` with Linux; with Windows `diskpart`, `select disk
N`, `select partition N`, `inactive`.",
    check: Check::Disk(active),
};

fn check(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_several(subjects)?;
    let first = os_disk(subjects);
    let mut found = Vec::new();
    let mut unknown = None;
    for subject in subjects.iter().filter(|subject| subject.lun.is_some()) {
        match system(subject.facts, first.map(|first| first.facts)) {
            Ok(None) => {}
            Ok(Some(what)) => found.push(Finding {
                message: format!("{} is a data disk of the image, and {what}; an image has one operating system", named(subject)),
                actual: what,
                required: "a data disk without an operating system".to_owned(),
                place: None,
                remedy: Remedy::hand("check that the right file was given; otherwise leave the disk out of the image and attach it later"),
            }),
            Err(reason) => unknown = Some(reason),
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

/// The system of a data disk, in words.
fn system(facts: &DiskFacts, os_disk: Option<&DiskFacts>) -> Result<Option<String>, Skip> {
    if let Some(os) = facts.os.value() {
        if os_disk.is_some_and(|other| same_system(facts, os, other)) {
            return Ok(None);
        }
        let name = os.name.value().map_or("an operating system", String::as_str);
        return Ok(Some(format!("holds {name}")));
    }
    if let Some(generations) = facts.boot.value().and_then(|boot| boot.generations.value())
        && !generations.is_empty()
    {
        return Ok(Some("boots by itself".to_owned()));
    }
    facts.os.known()?;
    Ok(None)
}

/// Whether the root is a volume of a group that both disks have a part of, each its own; those with the same part are copies.
fn same_system(facts: &DiskFacts, os: &OsFacts, other: &DiskFacts) -> bool {
    let Some(OsRoot::Volume(root)) = os.root.value() else { return false };
    let group = root.split_once('/').map(|(group, _)| group);
    let theirs = |uuid: &str| other.volume_groups.value().into_iter().flatten().any(|theirs| theirs.uuid == uuid);
    let both = facts.volume_groups.value().into_iter().flatten().any(|own| Some(own.name.as_str()) == group && theirs(&own.uuid));
    both && members(facts).is_disjoint(&members(other))
}

/// The physical volumes on a disk.
fn members(facts: &DiskFacts) -> BTreeSet<&str> {
    let held = shared::contents(facts, false).known;
    held.into_iter().filter(|(_, content)| content.kind == "LVM2_member").filter_map(|(_, content)| content.uuid.as_deref()).collect()
}

fn active(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    if shared::table(facts)?.scheme != "mbr" {
        return Err(Skip::not_applicable("the partition table is no MBR"));
    }
    subject.demand(Role::Data)?;
    if facts.os.value().is_some() {
        return Err(Skip::not_applicable("it holds an operating system"));
    }
    let marked: Vec<u32> =
        facts.partitions.known()?.into_iter().flatten().filter(|partition| partition.bootable).map(|partition| partition.number).collect();
    let Some(first) = marked.first() else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!("partition {first} of the data disk is marked active; firmware and tools may take the disk for one that boots"),
        actual: format!("partition {first} is active"),
        required: "no active partition".to_owned(),
        // The four entries of the table.
        place: shared::disk_place(facts, 446, 64),
        remedy: Remedy::hand(
            "take the mark away on a copy of the disk: sfdisk --activate DISK - with Linux; diskpart, select partition, inactive with Windows",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{BootFacts, ContentFacts, Fact, VolumeGroupFacts};
    use crate::rules::testing::*;

    fn said(os: &DiskFacts, second: &DiskFacts) -> String {
        let subjects = [subject(os), Subject { lun: Some(0), role: Fact::Known(Role::Data), in_image: true, ..subject(second) }];
        ask_image(&RULE, &subjects, &Target::default())
    }

    #[test]
    fn one_system_in_an_image() {
        let os_disk = healthy_os();
        assert_eq!(ask_image(&RULE, &[subject(&os_disk)], &Target::default()), "not applicable");
        assert_eq!(said(&os_disk, &healthy_data()), "pass");
        assert_eq!(said(&os_disk, &healthy_os()), "hand");
        let boots = data(|f| f.boot = Fact::Known(BootFacts { generations: Fact::Known(vec![1]), ..BootFacts::default() }));
        assert_eq!(said(&os_disk, &boots), "hand");
        assert_eq!(said(&os_disk, &data(|f| f.os = Fact::unknown("x"))), "undecided");
        assert_eq!(said(&os_disk, &gzip()), "pass");
    }

    #[test]
    fn a_group_over_both_disks_is_one_system() {
        let with_group = |uuid: &str, member: &str| {
            os(|f| {
                known(&mut f.partitions)[2].content = Fact::Known(ContentFacts { uuid: Some(member.to_owned()), ..content("LVM2_member") });
                known(&mut f.os).root = Fact::Known(OsRoot::Volume("vg0/root".to_owned()));
                f.volume_groups = Fact::Known(vec![VolumeGroupFacts {
                    name: "vg0".to_owned(),
                    uuid: uuid.to_owned(),
                    extent_size: 0,
                    size: 0,
                    free: 0,
                    physical_volumes: vec![],
                    problems: vec![],
                }]);
            })
        };
        assert_eq!(said(&with_group("a", "p1"), &with_group("a", "p2")), "pass");
        assert_eq!(said(&with_group("a", "p1"), &with_group("b", "p2")), "hand");
        assert_eq!(said(&with_group("a", "p1"), &with_group("a", "p1")), "hand", "a copy");
    }

    #[test]
    fn active_partitions() {
        let mbr = |active: bool| {
            data(|f| {
                known(&mut f.partition_table).scheme = "mbr".to_owned();
                known(&mut f.partitions)[0].bootable = active;
            })
        };
        assert_eq!(ask(&ACTIVE, &mbr(true)), "hand");
        assert_eq!(ask(&ACTIVE, &mbr(false)), "pass");
        assert_eq!(ask(&ACTIVE, &healthy_data()), "not applicable");
        assert_eq!(ask(&ACTIVE, &data(|f| f.partition_table = Fact::Absent)), "not applicable");
        assert_eq!(ask(&ACTIVE, &os(|f| known(&mut f.partition_table).scheme = "mbr".to_owned())), "not applicable");
        let with_system = os(|f| {
            f.role = Fact::Known(Role::Data);
            known(&mut f.partition_table).scheme = "mbr".to_owned();
        });
        assert_eq!(ask(&ACTIVE, &with_system), "not applicable");
        let unknown = data(|f| {
            known(&mut f.partition_table).scheme = "mbr".to_owned();
            f.partitions = Fact::unknown("x");
        });
        assert_eq!(ask(&ACTIVE, &unknown), "undecided");
    }
}
