//! X-13: volume groups of an image are whole, and none stands in the way of another.

use super::{demand_several, named, os_disk};
use crate::facts::{DiskFacts, OsFacts, OsRoot, Unknown, VolumeGroupFacts};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};
use std::collections::{BTreeMap, BTreeSet};

pub(in crate::rules) static NEEDED: Rule = Rule {
    code: "IMG513",
    name: "volume-group-ambiguous",
    requirement: "X-13",
    also: &[],
    // LVM refuses to activate volumes on duplicate physical volumes, and those of a name that two groups have.
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "images of several disks with a Linux on LVM",
    summary: "The volume groups from which the guest starts are there once.",
    azure_error: None,
    source: source::IMPORT_CLONE,
    docs: r"## What it checks

For the volume groups that hold the guest's root or another of its file systems: no other group of that name may be on the disks of the
image, and no second copy of one of their physical volumes.

## Why it matters

LVM does not activate volumes while two devices claim to be one physical volume, and cannot tell two groups of one name apart. The guest
waits for its file systems, and ends in the emergency shell.

## How to fix it

Check that the right files were given: a data disk may be a copy of the OS disk. If both are meant, rename the copy on a machine to which
only the copy is attached: `vgimportclone --basevgname NAME DEVICE` gives it new identities as well, `vgrename UUID NAME` a new name.",
    check: Check::Image(needed),
};

pub(in crate::rules) static OTHER: Rule = Rule {
    code: "IMG613",
    name: "volume-group-duplicate",
    requirement: "X-13",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "images of several disks",
    summary: "No two volume groups of an image share a name or a physical volume.",
    azure_error: None,
    source: source::IMPORT_CLONE,
    docs: r"## What it checks

Volume groups on the disks of an image must have names of their own, and no physical volume may be there twice; also where the guest
mounts nothing from them.

## Why it matters

LVM does not activate volumes while two devices claim to be one physical volume, and cannot tell two groups of one name apart.

## How to fix it

Check that the right files were given. If they are, rename the copy on a machine to which only the copy is attached:
`vgimportclone --basevgname NAME DEVICE`, or `vgrename UUID NAME`.",
    check: Check::Image(other),
};

pub(in crate::rules) static INCOMPLETE: Rule = Rule {
    code: "IMG713",
    name: "volume-group-incomplete",
    requirement: "X-13",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with a part of a volume group",
    summary: "Every physical volume of a volume group is on the disks given.",
    azure_error: None,
    source: source::IMPORT_CLONE,
    docs: r"## What it checks

Of each volume group that the disks have a part of, all physical volumes must be on the disks given.

## Why it matters

A group that lacks a physical volume is not activated by itself when the machine starts. What the guest mounts from it is missing, and a
boot that needs it ends in the emergency shell.

## How to fix it

Give the missing disk too, with `--data LUN=DISK`. If it is gone for good, remove it from the group in the machine with
`vgreduce --removemissing GROUP`, after what was on it.",
    check: Check::Image(incomplete),
};

/// Groups that the guest mounts something from, by name.
fn groups_in_use(os: &OsFacts) -> BTreeSet<String> {
    let root = os.root.value().and_then(|root| match root {
        OsRoot::Volume(name) => Some(name.as_str()),
        OsRoot::Partition(_) => None,
    });
    let mounted = os.file_systems.iter().map(|mounted| mounted.from.as_str());
    let lines = os.linux.value().and_then(|linux| linux.mounts.fstab.value());
    let required = lines.into_iter().flatten().filter(|line| !line.optional).filter_map(|line| line.on.value()).map(String::as_str);
    // `vg0/var`; a partition's name has no slash.
    root.into_iter().chain(mounted).chain(required).filter_map(|name| Some(name.split_once('/')?.0.to_owned())).collect()
}

/// A clash of a group: its name, and what is wrong with it.
struct Clash {
    group: String,
    message: String,
    actual: String,
}

fn clashes(subjects: &[Subject<'_>]) -> (Vec<Clash>, Option<Unknown>) {
    let mut unknown = None;
    let mut by_name: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    let mut members: BTreeMap<&str, Vec<&Subject<'_>>> = BTreeMap::new();
    for subject in subjects {
        match groups(subject.facts) {
            Ok(groups) => {
                for group in groups {
                    by_name.entry(&group.name).or_default().entry(&group.uuid).or_insert_with(|| named(subject));
                }
            }
            Err(reason) => unknown = Some(reason),
        }
        let held = shared::contents(subject.facts, false);
        for (_, content) in held.known {
            if let Some(uuid) = content.uuid.as_deref().filter(|_| content.kind == "LVM2_member") {
                members.entry(uuid).or_default().push(subject);
            }
        }
    }
    let mut found = Vec::new();
    for (name, uuids) in &by_name {
        if uuids.len() > 1 {
            let places: Vec<String> = uuids.values().cloned().collect();
            found.push(Clash {
                group: (*name).to_owned(),
                message: format!("{} hold different volume groups of the same name {name}", shared::first_three(&places, " and ")),
                actual: format!("{} groups named {name}", uuids.len()),
            });
        }
    }
    for (uuid, holding) in members.iter().filter(|(_, holding)| holding.len() > 1) {
        let places: Vec<String> = holding.iter().map(|subject| named(subject)).collect();
        let of = |subject: &&Subject<'_>| {
            let groups = subject.facts.volume_groups.value()?;
            groups.iter().find(|group| group.physical_volumes.iter().any(|member| member.uuid == **uuid)).map(|group| group.name.clone())
        };
        let group = holding.iter().find_map(of).unwrap_or_default();
        let part = if group.is_empty() { String::new() } else { format!(" of the volume group {group}") };
        found.push(Clash {
            message: format!("{} hold the same physical volume {uuid}{part}", shared::first_three(&places, " and ")),
            actual: format!("{} times {uuid}", holding.len()),
            group,
        });
    }
    (found, unknown)
}

fn groups(facts: &DiskFacts) -> Result<&[VolumeGroupFacts], Unknown> {
    Ok(facts.volume_groups.known()?.map(Vec::as_slice).unwrap_or_default())
}

fn finding(clash: &Clash) -> Finding {
    Finding {
        message: format!("{}; LVM refuses to activate what it cannot tell apart", clash.message),
        actual: clash.actual.clone(),
        required: "names and physical volumes of their own".to_owned(),
        place: None,
        remedy: Remedy::hand(
            "check that the right files were given; if both are meant, attach the copy alone to a machine and run vgimportclone \
             --basevgname NAME DEVICE",
        ),
    }
}

fn needed(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_several(subjects)?;
    let none = || Skip::not_applicable("the guest mounts nothing from a volume group");
    let os = os_disk(subjects).ok_or_else(none)?.facts.os.known()?.ok_or_else(none)?;
    let used = groups_in_use(os);
    if used.is_empty() {
        return Err(none());
    }
    let (all, unknown) = clashes(subjects);
    let found: Vec<Finding> = all.iter().filter(|clash| used.contains(&clash.group)).map(finding).collect();
    match unknown {
        Some(reason) if found.is_empty() => Err(reason.into()),
        _ => Ok(found),
    }
}

fn other(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_several(subjects)?;
    let used = os_disk(subjects).and_then(|os| os.facts.os.value()).map(groups_in_use).unwrap_or_default();
    let (all, unknown) = clashes(subjects);
    let found: Vec<Finding> = all.iter().filter(|clash| !used.contains(&clash.group)).map(finding).collect();
    match unknown {
        Some(reason) if found.is_empty() => Err(reason.into()),
        _ => Ok(found),
    }
}

fn incomplete(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut unknown = None;
    for subject in subjects {
        let groups = match groups(subject.facts) {
            Ok(groups) => groups,
            Err(reason) => {
                unknown = Some(reason);
                continue;
            }
        };
        for group in groups {
            let missing: Vec<String> =
                group.physical_volumes.iter().filter(|member| !member.present).map(|member| member.uuid.clone()).collect();
            if !seen.insert(&group.uuid) || missing.is_empty() {
                continue;
            }
            let list = shared::first_three(&missing, ", ");
            found.push(Finding {
                message: format!(
                    "the volume group {} on {} lacks {} of its {} physical volumes ({list}); it is not activated without",
                    group.name,
                    named(subject),
                    missing.len(),
                    group.physical_volumes.len()
                ),
                actual: format!("{list} missing"),
                required: "every physical volume".to_owned(),
                place: None,
                remedy: Remedy::hand(format!(
                    "give the missing disk too, with --data LUN=DISK; if it is gone, run vgreduce --removemissing {} in the machine",
                    word::sh(&group.name)
                )),
            });
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason.into()),
        _ if seen.is_empty() => Err(Skip::not_applicable("no volume group")),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ContentFacts, Fact, PhysicalVolumeFacts};
    use crate::rules::testing::*;

    fn said(rule: &Rule, first: &DiskFacts, second: &DiskFacts) -> String {
        ask_image(rule, &[subject(first), Subject { lun: Some(0), in_image: true, ..subject(second) }], &Target::default())
    }

    fn group(name: &str, uuid: &str, members: &[(&str, bool)]) -> VolumeGroupFacts {
        VolumeGroupFacts {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
            extent_size: 4 << 20,
            size: 1 << 30,
            free: 0,
            physical_volumes: members
                .iter()
                .map(|(uuid, present)| PhysicalVolumeFacts { uuid: (*uuid).to_owned(), size: None, present: *present })
                .collect(),
            problems: vec![],
        }
    }

    fn with_group(mut facts: DiskFacts, group: VolumeGroupFacts, member: &str) -> DiskFacts {
        facts.volume_groups = Fact::Known(vec![group]);
        let last = known(&mut facts.partitions).last_mut().unwrap();
        last.content = Fact::Known(ContentFacts { uuid: Some(member.to_owned()), ..content("LVM2_member") });
        facts
    }

    fn lvm_os() -> DiskFacts {
        let mut facts = with_group(healthy_os(), group("vg0", "a", &[("p1", true)]), "p1");
        known(&mut facts.os).root = Fact::Known(OsRoot::Volume("vg0/root".to_owned()));
        facts
    }

    #[test]
    fn groups_of_the_guest_are_there_once() {
        let apart = with_group(healthy_data(), group("data", "b", &[("p2", true)]), "p2");
        let same_name = with_group(healthy_data(), group("vg0", "b", &[("p2", true)]), "p2");
        let copy = with_group(healthy_data(), group("vg0", "a", &[("p1", true)]), "p1");
        let spread = with_group(healthy_data(), group("vg0", "a", &[("p1", true), ("p2", true)]), "p2");
        for (second, answer) in [(&apart, "pass"), (&same_name, "hand"), (&copy, "hand"), (&spread, "pass"), (&healthy_data(), "pass")] {
            assert_eq!(said(&NEEDED, &lvm_os(), second), answer);
            assert_eq!(said(&OTHER, &lvm_os(), second), "pass");
        }
        assert_eq!(ask_image(&NEEDED, &[subject(&lvm_os())], &Target::default()), "not applicable");
        assert_eq!(said(&NEEDED, &healthy_os(), &copy), "not applicable");
        assert_eq!(said(&NEEDED, &lvm_os(), &data(|f| f.volume_groups = Fact::unknown("x"))), "undecided");
        assert_eq!(said(&NEEDED, &os(|f| f.os = Fact::unknown("x")), &copy), "undecided");
    }

    #[test]
    fn other_groups_are_only_told() {
        let one = with_group(healthy_data(), group("data", "a", &[("p1", true)]), "p1");
        let two = with_group(healthy_data(), group("data", "b", &[("p2", true)]), "p2");
        let unused = with_group(healthy_os(), group("data", "a", &[("p1", true)]), "p1");
        assert_eq!(said(&OTHER, &unused, &one), "hand");
        assert_eq!(said(&OTHER, &unused, &two), "hand");
        assert_eq!(said(&OTHER, &healthy_os(), &one), "pass");
        assert_eq!(said(&OTHER, &unused, &data(|f| f.volume_groups = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn lines_of_fstab_count_unless_the_boot_goes_on_without() {
        let mut facts = lvm_os();
        known(&mut facts.os).root = Fact::Known(OsRoot::Partition(3));
        let line = linux::fstab(9, "/dev/mapper/vg0-var", "/var", "ext4", "mapper", Fact::Known("vg0/var".to_owned()));
        known(&mut known(&mut known(&mut facts.os).linux).mounts.fstab).push(line);
        let copy = with_group(healthy_data(), group("vg0", "a", &[("p1", true)]), "p1");
        assert_eq!(said(&NEEDED, &facts, &copy), "hand");
        known(&mut known(&mut known(&mut facts.os).linux).mounts.fstab).last_mut().unwrap().optional = true;
        assert_eq!(said(&NEEDED, &facts, &copy), "not applicable");
        assert_eq!(said(&OTHER, &facts, &copy), "hand");
    }

    #[test]
    fn every_part_of_a_group_is_there() {
        let alone = |facts: &DiskFacts| ask_image(&INCOMPLETE, &[subject(facts)], &Target::default());
        assert_eq!(alone(&healthy_os()), "not applicable");
        assert_eq!(alone(&lvm_os()), "pass");
        let lacking = with_group(healthy_os(), group("vg0", "a", &[("p1", true), ("p2", false)]), "p1");
        assert_eq!(alone(&lacking), "hand");
        assert_eq!(said(&INCOMPLETE, &lacking, &lacking), "hand", "one group is told once");
        assert_eq!(alone(&os(|f| f.volume_groups = Fact::unknown("x"))), "undecided");
    }
}
