//! X-13: the disks of an image have identities of their own.

use super::{demand_several, named, os_disk};
use crate::facts::{DiskFacts, OsFamily, Unknown};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};
use std::collections::BTreeSet;

pub(in crate::rules) static RULE: Rule = Rule {
    code: "IMG213",
    name: "duplicate-disk-identity",
    requirement: "X-13",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "images of several disks",
    summary: "No two disks of an image share a disk GUID, an MBR signature or a partition GUID.",
    azure_error: None,
    source: source::UNIQUE_ID,
    docs: r"## What it checks

The GUIDs of GPT disks, the signatures of MBR disks (zero is none) and the GUIDs of partitions must differ among the disks of an image.

## Why it matters

Two disks with one identity are usually copies of one. Windows takes the second offline, so that its drive letters are missing. With Linux
`/dev/disk/by-partuuid` leads to either, by chance, and what `/etc/fstab` or the kernel command line names so may be the wrong one.

## How to fix it

Check that the right files were given. If they are, give the data disk an identity of its own, on a copy or in its machine: `sgdisk -G
DISK` for a GPT, `sfdisk --disk-id DISK 0x…` for an MBR, with Windows `diskpart`, `select disk N`, `uniqueid disk id=…`. Then change
whatever names its partitions by the old identity.",
    check: Check::Image(check),
};

/// A disk's identities, in words.
fn identities(facts: &DiskFacts) -> (BTreeSet<String>, Option<Unknown>) {
    let mut all = BTreeSet::new();
    let mut unknown = None;
    match facts.partition_table.known() {
        Ok(table) => {
            let guid = table.and_then(|table| table.disk_guid.as_ref()).filter(|guid| !is_zero(guid));
            all.extend(guid.map(|guid| format!("the disk GUID {}", guid.to_ascii_lowercase())));
            let signature = table.and_then(|table| table.disk_signature.as_ref()).filter(|signature| !is_zero(signature));
            all.extend(signature.map(|signature| format!("the disk signature {}", signature.to_ascii_lowercase())));
        }
        Err(reason) => unknown = Some(reason),
    }
    match facts.partitions.known() {
        Ok(partitions) => {
            let guids = partitions.into_iter().flatten().filter_map(|partition| partition.guid.as_ref()).filter(|guid| !is_zero(guid));
            all.extend(guids.map(|guid| format!("the partition GUID {}", guid.to_ascii_lowercase())));
        }
        Err(reason) => unknown = Some(reason),
    }
    (all, unknown)
}

fn is_zero(id: &str) -> bool {
    id.trim_start_matches("0x").chars().all(|c| matches!(c, '0' | '-'))
}

fn check(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_several(subjects)?;
    let all: Vec<_> = subjects.iter().map(|subject| (subject, identities(subject.facts))).collect();
    let family = os_disk(subjects).and_then(|os| os.facts.os.value()).and_then(|os| os.family.value().copied());
    let effect = match family {
        Some(OsFamily::Windows) => "Windows takes the second one offline",
        Some(OsFamily::Linux) => "what Linux finds by these names may be either of them",
        None => "Windows takes the second one offline, and Linux may take one for the other",
    };
    let mut found = Vec::new();
    for (place, (one, (own, _))) in all.iter().enumerate() {
        for (other, (theirs, _)) in all.iter().skip(place.saturating_add(1)) {
            let mut both: Vec<String> = own.intersection(theirs).cloned().collect();
            if both.is_empty() {
                continue;
            }
            // The disk's own identity first.
            both.sort_by_key(|identity| identity.starts_with("the partition"));
            let list = shared::first_three(&both, ", ");
            found.push(Finding {
                message: format!("{} and {} share {list}; {effect}", named(one), named(other)),
                actual: list,
                required: "identities of their own".to_owned(),
                place: None,
                remedy: Remedy::hand(format!(
                    "check that both files are meant; if so, give a copy of {} a new identity with sgdisk -G (GPT) or sfdisk --disk-id (MBR)",
                    named(other)
                )),
            });
        }
    }
    match all.into_iter().find_map(|(_, (_, unknown))| unknown) {
        Some(reason) if found.is_empty() => Err(reason.into()),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    fn said(first: &DiskFacts, second: &DiskFacts) -> String {
        ask_image(&RULE, &[subject(first), Subject { lun: Some(0), ..subject(second) }], &Target::default())
    }

    fn with_signature(signature: &str) -> DiskFacts {
        data(|f| {
            let table = known(&mut f.partition_table);
            (table.scheme, table.disk_guid) = ("mbr".to_owned(), None);
            table.disk_signature = Some(signature.to_owned());
        })
    }

    #[test]
    fn table() {
        assert_eq!(ask_image(&RULE, &[subject(&healthy_os())], &Target::default()), "not applicable");
        assert_eq!(said(&healthy_os(), &healthy_data()), "pass");
        assert_eq!(said(&healthy_os(), &healthy_os()), "hand");
        assert_eq!(said(&with_signature("0x2598ad56"), &with_signature("0x2598AD56")), "hand");
        assert_eq!(said(&with_signature("0x2598ad56"), &with_signature("0x2598ad57")), "pass");
        assert_eq!(said(&with_signature("0x00000000"), &with_signature("0x00000000")), "pass");
        let guid = |guid: &str| data(|f| known(&mut f.partitions)[0].guid = Some(guid.to_owned()));
        let other = |mut facts: DiskFacts| {
            known(&mut facts.partition_table).disk_guid = None;
            facts
        };
        assert_eq!(said(&guid("b5f1c0de-0000-4f0a-9a51-3a1d6f1f7c03"), &other(guid("B5F1C0DE-0000-4f0a-9a51-3a1d6f1f7c03"))), "hand");
        assert_eq!(said(&healthy_os(), &data(|f| f.partition_table = Fact::unknown("x"))), "undecided");
        assert_eq!(said(&healthy_os(), &data(|f| f.partitions = Fact::unknown("x"))), "undecided");
        assert_eq!(said(&healthy_os(), &gzip()), "pass");
    }

    #[test]
    fn three_disks_have_a_finding_for_each_pair() {
        let disks = [healthy_data(), healthy_data(), healthy_data()];
        let subjects: Vec<_> = disks.iter().map(subject).collect();
        assert_eq!(ask_image(&RULE, &subjects, &Target::default()), "hand, hand, hand");
    }
}
