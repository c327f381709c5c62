//! C-20: the disks of an image have different unique ids.

use crate::facts::Unknown;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};
use std::collections::BTreeMap;

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD020",
    name: "duplicate-unique-id",
    requirement: "C-20",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "images of several disks",
    summary: "No two disks of an image have the same unique id.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The unique ids in the footers of an image's disks must differ. Ids of zeros are not compared.

## Why it matters

Two disks with one id are usually one disk, copied: the wrong file was given, or a data disk began as a copy of the OS disk. A guest that
sees the same partitions twice may mount the wrong ones, and Windows takes the second disk offline.

## How to fix it

Check that both files are meant, and export the right one again. If they are, the ids alone do no harm in Azure: accept the finding with
`--waive VHD020`, and look that the partitions inside have identities of their own. `vhdkit prepare` keeps a disk's id.",
    check: Check::Image(check),
};

fn check(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    if subjects.len() < 2 {
        return Err(Skip::not_applicable("a single disk"));
    }
    let mut disks: BTreeMap<&str, Vec<&Subject<'_>>> = BTreeMap::new();
    let mut unknown: Option<Unknown> = None;
    for subject in subjects {
        match shared::footer(subject.facts) {
            Ok(footer) if !footer.unique_id.chars().all(|c| matches!(c, '0' | '-')) => {
                disks.entry(&footer.unique_id).or_default().push(subject);
            }
            Ok(_) | Err(Skip::NotApplicable(_)) => {}
            Err(Skip::Undecided(reason)) => {
                unknown.get_or_insert(Unknown(reason));
            }
        }
    }
    let findings: Vec<Finding> = disks
        .iter()
        .filter_map(|(id, sharing)| {
            if sharing.len() < 2 {
                return None;
            }
            let names: Vec<String> = sharing.iter().map(|subject| format!("'{}'", subject.facts.path)).collect();
            Some(Finding {
                message: format!("{} have the same unique id {id}: one may be a copy of the other", shared::first_three(&names, ", ")),
                actual: (*id).to_owned(),
                required: "an id of its own in every disk".to_owned(),
                place: None,
                remedy: Remedy::hand("check that all of these files are meant, and export the right one again if not"),
            })
        })
        .collect();
    match unknown {
        Some(reason) if findings.is_empty() => Err(reason.into()),
        _ => Ok(findings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn judged(disks: &[DiskFacts]) -> Judgement {
        let subjects: Vec<_> = disks.iter().map(subject).collect();
        check(&subjects, &Target::default())
    }

    fn with_id(id: &str) -> DiskFacts {
        data(|f| known(&mut f.footer).unique_id = id.to_owned())
    }

    #[test]
    fn table() {
        let other = with_id("11111111-54a9-44f5-93a9-5b4f2c5e1d22");
        assert!(matches!(judged(&[healthy_os()]), Err(Skip::NotApplicable(_))));
        assert_eq!(judged(&[healthy_os(), other.clone(), gzip()]), Ok(vec![]));
        let found = judged(&[healthy_os(), other.clone(), healthy_data()]).unwrap();
        assert_eq!(found.len(), 1);
        well_formed(&RULE, &found[0]);
        assert!(found[0].message.contains("images/os.vhd"), "{}", found[0].message);
        let unread = data(|f| f.footer = Fact::unknown("x"));
        assert!(matches!(judged(&[healthy_os(), unread, other]), Err(Skip::Undecided(_))));
    }

    #[test]
    fn no_id_is_no_identity() {
        let nil = || with_id("00000000-0000-0000-0000-000000000000");
        assert_eq!(judged(&[nil(), nil()]), Ok(vec![]));
    }
}
