//! C-02: the disk is a fixed one.

use crate::facts::DiskKind;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD002",
    name: "not-fixed",
    requirement: "C-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs",
    summary: "The disk is a fixed VHD.",
    azure_error: Some(shared::COOKIE_ERROR),
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The footer's Disk Type must be 2, fixed. Dynamic disks (3) store only what was written, differencing disks (4) only what differs from a
parent; other numbers have no meaning.

## Why it matters

Azure maps the uploaded bytes to the disk as they are. It takes neither a dynamic nor a differencing disk, in any of its ways to upload.

## How to fix it

`vhdkit prepare` writes the disk as a fixed VHD; runs of zeros stay holes in the new file. A differencing disk is merged with its
parents on the way, which must be at hand. A disk type without a meaning is damage: copy the file again from its source.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_vhd(facts)?;
    let required = || "2 (fixed)".to_owned();
    if let Some(deviation) = shared::deviations(facts, &["footer-disk-type"]).next() {
        return Ok(vec![Finding {
            message: format!("the footer's disk type is {}, which has no meaning; Azure takes only fixed disks", deviation.found),
            actual: deviation.found.clone(),
            required: required(),
            place: shared::place(deviation),
            remedy: Remedy::hand("copy the file again from its source: nothing in it tells how its bytes make a disk"),
        }]);
    }
    Ok(match facts.kind.known()? {
        None | Some(DiskKind::Fixed) => vec![],
        Some(kind) => vec![Finding {
            message: format!("the disk is {kind}; Azure takes only fixed disks"),
            actual: kind.to_string(),
            required: required(),
            place: shared::footer_place(facts, 60, 4),
            remedy: shared::rewrite(facts),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &dynamic(|_| {})), "prepare");
        let orphan = os(|f| {
            f.kind = Fact::Known(DiskKind::Differencing);
            f.readable = Fact::unknown("the parent disk was not found");
        });
        assert_eq!(ask(&RULE, &orphan), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.deviations.push(deviation("footer-disk-type")))), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.kind = Fact::unknown("the file could not be read"))), "undecided");
    }
}
