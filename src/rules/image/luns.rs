//! M-02, M-03: the LUNs of an image's data disks.

use super::{named, os_disk};
use crate::rules::azure::MAX_LUN;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};
use std::collections::BTreeMap;

pub(in crate::rules) static INVALID: Rule = Rule {
    code: "IMG002",
    name: "luns-invalid",
    requirement: "M-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "images with data disks",
    summary: "Each data disk of an image has a LUN of its own, from 0 to 63; the OS disk has none.",
    azure_error: None,
    source: source::CREATE_VM,
    docs: r"## What it checks

In an image with data disks: each of them must have a LUN from 0 to 63 that no other has, and exactly one disk, the OS disk, has none.

## Why it matters

Azure knows the data disks of an image by their LUNs alone, and refuses two with one number. How many a machine takes depends on its size.

## How to fix it

Give each data disk its own number with `--data LUN=DISK`. In a prepared image the manifest names them: prepare the image again rather
than edit it.",
    check: Check::Image(invalid),
};

pub(in crate::rules) static GAPS: Rule = Rule {
    code: "IMG003",
    name: "luns-not-in-sequence",
    requirement: "M-03",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "images with data disks",
    summary: "For the Marketplace the LUNs of the data disks are 0, 1, 2, … without a gap.",
    azure_error: Some("DataDisk mapped incorrectly"),
    source: source::CERTIFICATION,
    docs: r"## What it checks

With `--profile marketplace`: the LUNs of the data disks must be 0, 1, 2 and so on, none left out.

## Why it matters

Certification looks for the data disks at these numbers, and refuses an offer whose disks it does not find there. Outside the Marketplace
a gap does no harm.

## How to fix it

Number the disks anew with `--data LUN=DISK`, and make sure that nothing in the guest names them by their old LUNs, such as
`/dev/disk/azure/scsi1/lun3` in `/etc/fstab`.",
    check: Check::Image(gaps),
};

fn demand_data_disks(subjects: &[Subject<'_>]) -> Result<(), Skip> {
    let image = subjects.iter().any(|subject| subject.lun.is_some()) || (subjects.len() > 1 && subjects.iter().any(|one| one.in_image));
    if image { Ok(()) } else { Err(Skip::not_applicable("an image without data disks")) }
}

fn invalid(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_data_disks(subjects)?;
    let mut by_lun: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for subject in subjects {
        if let Some(lun) = subject.lun {
            by_lun.entry(lun).or_default().push(format!("'{}'", subject.facts.path));
        }
    }
    let mut found = Vec::new();
    for (lun, names) in by_lun {
        if lun > MAX_LUN {
            found.push(finding(
                format!("{} has the LUN {lun}; Azure numbers data disks from 0 to {MAX_LUN}", names.join(", ")),
                format!("LUN {lun}"),
                format!("a LUN from 0 to {MAX_LUN}"),
            ));
        }
        if names.len() > 1 {
            found.push(finding(
                format!("{} have the same LUN {lun}; Azure refuses the image", names.join(" and ")),
                format!("LUN {lun} {} times", names.len()),
                "a LUN of its own for each data disk".to_owned(),
            ));
        }
    }
    let without: Vec<String> = subjects.iter().filter(|subject| subject.lun.is_none()).map(named).collect();
    if without.len() != 1 {
        let what = match without.as_slice() {
            [] => "every disk of the image has a LUN, so that none is the OS disk".to_owned(),
            several => format!("{} have no LUN; only the OS disk has none", several.join(" and ")),
        };
        found.push(finding(what, format!("{} disks without a LUN", without.len()), "one disk without a LUN, the OS disk".to_owned()));
    }
    Ok(found)
}

fn finding(message: String, actual: String, required: String) -> Finding {
    Finding { message, actual, required, place: None, remedy: Remedy::hand("number the data disks anew with --data LUN=DISK") }
}

fn gaps(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_data_disks(subjects)?;
    let mut luns: Vec<u8> = subjects.iter().filter_map(|subject| subject.lun).collect();
    luns.sort_unstable();
    luns.dedup();
    if luns.iter().zip(0_u8..).all(|(lun, place)| *lun == place) {
        return Ok(vec![]);
    }
    let list = |luns: &mut dyn Iterator<Item = u8>| luns.map(|lun| lun.to_string()).collect::<Vec<_>>().join(", ");
    let actual = list(&mut luns.iter().copied());
    let required = list(&mut (0_u8..).take(luns.len()));
    // Who is moved, for the guest's own names of its disks.
    let moved: Vec<String> =
        luns.iter().zip(0_u8..).filter(|(lun, place)| *lun != place).map(|(lun, to)| format!("{lun} to {to}")).collect();
    let os = os_disk(subjects).map(|subject| format!(" of '{}'", subject.facts.path)).unwrap_or_default();
    Ok(vec![Finding {
        message: format!("the data disks{os} have the LUNs {actual}; certification expects {required} without a gap and refuses the offer"),
        actual,
        required,
        place: None,
        remedy: Remedy::hand(format!(
            "number the disks anew with --data LUN=DISK ({}), and change what names them by LUN in the guest",
            moved.join(", ")
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    /// What a rule says of an image whose disks have these LUNs.
    fn said(rule: &Rule, luns: &[Option<u8>]) -> String {
        let (os, data) = (healthy_os(), healthy_data());
        let subjects: Vec<Subject<'_>> = luns
            .iter()
            .map(|lun| Subject { lun: *lun, in_image: luns.len() > 1, ..subject(if lun.is_some() { &data } else { &os }) })
            .collect();
        ask_image(rule, &subjects, &Target::default())
    }

    #[test]
    fn each_disk_has_a_lun_of_its_own() {
        for (luns, answer) in [
            (&[None][..], "not applicable"),
            (&[None, Some(0)], "pass"),
            (&[None, Some(63), Some(0)], "pass"),
            (&[None, Some(64)], "hand"),
            (&[None, Some(255), Some(255)], "hand, hand"),
            (&[None, Some(1), Some(1)], "hand"),
            (&[None, Some(1), Some(1), Some(2), Some(2)], "hand, hand"),
            (&[None, None], "hand"),
            (&[Some(0), Some(1)], "hand"),
        ] {
            assert_eq!(said(&INVALID, luns), answer, "{luns:?}");
        }
    }

    #[test]
    fn the_marketplace_wants_a_sequence() {
        for (luns, answer) in [
            (&[None][..], "not applicable"),
            (&[None, Some(0)], "pass"),
            (&[None, Some(1), Some(0), Some(2)], "pass"),
            (&[None, Some(1)], "hand"),
            (&[None, Some(0), Some(2)], "hand"),
            // That two are equal is told by another rule.
            (&[None, Some(0), Some(0)], "pass"),
        ] {
            assert_eq!(said(&GAPS, luns), answer, "{luns:?}");
        }
    }
}
