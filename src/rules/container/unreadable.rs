//! C-01, C-02: the disk inside the file can be read.

use crate::facts::{DiskKind, Fact, Unknown};
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static ENCRYPTED: Rule = Rule {
    code: "VHD106",
    name: "payload-encrypted",
    requirement: "C-01",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs",
    summary: "The disk is not encrypted by XenServer.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

XenServer can encrypt the blocks of a VHD and keeps the hash of the key in the file. Neither the disk nor a parent of it may be so.

## Why it matters

The key is not in the file. The disk would arrive in Azure as noise.

## How to fix it

Export the disk from XenServer with its encryption off.",
    check: Check::Disk(encrypted),
};

pub(in crate::rules) static UNREADABLE: Rule = Rule {
    code: "VHD107",
    name: "disk-unreadable",
    requirement: "C-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs and VHDX files",
    summary: "The disk inside the file can be read.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

vhdkit must be able to read the disk that the file describes. A differencing disk without its parents is left to VHD018.

## Why it matters

A disk that cannot be read can be neither judged nor converted, and Azure would not read it either. Other findings usually name the cause.

## How to fix it

Copy the file again from its source. If the copy is the same, open it in the program that wrote it and export the disk anew.",
    check: Check::Disk(unreadable),
};

fn encrypted(subject: &Subject<'_>, _: &Target) -> Judgement {
    shared::demand_vhd(subject.facts)?;
    Ok(shared::deviations_in_chain(subject.facts, &["encrypted"])
        .map(|(parent, deviation)| Finding {
            message: format!(
                "{}the hash of a key at byte {} says that XenServer encrypted the disk; its key is not in the file",
                shared::whose(parent),
                deviation.offset
            ),
            actual: "encrypted".to_owned(),
            required: "plain data".to_owned(),
            place: parent.is_none().then_some(Place::Bytes { offset: deviation.offset, length: deviation.length }),
            remedy: Remedy::hand("export the disk from XenServer with its encryption off"),
        })
        .collect())
}

fn unreadable(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    if !matches!(facts.format.as_str(), "vhd" | "vhdx") {
        return Err(Skip::not_applicable("the file is neither a VHD nor a VHDX"));
    }
    let reason = match &facts.readable {
        Fact::Known(true) => return Ok(vec![]),
        Fact::Known(false) | Fact::Absent => "it describes none",
        Fact::Unknown(Unknown(reason)) => reason,
    };
    if facts.kind == Fact::Known(DiskKind::Differencing) && matches!(facts.parents, Fact::Unknown(_)) {
        return Err(Skip::not_applicable("a differencing disk without its parents"));
    }
    Ok(vec![Finding {
        message: format!("the disk inside the file cannot be read: {reason}"),
        actual: "unreadable".to_owned(),
        required: "a disk that can be read".to_owned(),
        place: None,
        remedy: Remedy::hand("copy the file again from its source; if the copy is the same, export the disk anew where it was made"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn encryption_is_found() {
        assert_eq!(ask(&ENCRYPTED, &healthy_os()), "pass");
        assert_eq!(ask(&ENCRYPTED, &gzip()), "not applicable");
        assert_eq!(ask(&ENCRYPTED, &dynamic(|f| f.deviations.push(deviation("encrypted")))), "hand");
    }

    #[test]
    fn what_cannot_be_read_is_a_finding() {
        assert_eq!(ask(&UNREADABLE, &healthy_os()), "pass");
        assert_eq!(ask(&UNREADABLE, &gzip()), "not applicable");
        assert_eq!(ask(&UNREADABLE, &dynamic(|f| f.readable = Fact::unknown("the table lies outside the file"))), "hand");
        let orphan = |parents| {
            dynamic(|f| {
                (f.kind, f.parents) = (Fact::Known(DiskKind::Differencing), parents);
                f.readable = Fact::unknown("the parent disk was not found");
            })
        };
        assert_eq!(ask(&UNREADABLE, &orphan(Fact::unknown("the parent disk was not found"))), "not applicable");
        assert_eq!(ask(&UNREADABLE, &orphan(Fact::Absent)), "hand");
    }
}
