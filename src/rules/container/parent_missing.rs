//! C-18: the parents of a differencing disk are at hand.

use crate::facts::{DiskKind, Fact, Unknown};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD018",
    name: "parent-missing",
    requirement: "C-18",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "differencing VHDs",
    summary: "Every parent of a differencing disk is at hand and is the right one.",
    azure_error: None,
    source: source::VHD_UTILS,
    docs: r"## What it checks

A differencing disk names its parent by file name and by unique id. Each parent, up to the one that has none, must be found in the
disk's own directory or in those given with `--parent-dir`, and must have the id that its child demands.

## Why it matters

Without its parents a differencing disk is a list of changes to something unknown. Nothing can be read from it or made of it.

## How to fix it

Put the parents beside the disk, or name their directories with `--parent-dir`. A parent with another id is another disk, or one that was
changed after the child was made: find the right copy. Or merge the chain where the machine ran, and export the result.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_vhd(facts)?;
    if facts.kind.known()? != Some(&DiskKind::Differencing) {
        return Err(Skip::not_applicable("not a differencing disk"));
    }
    // Here the unknown is what the rule is about, so it is a finding and not an undecided rule.
    let Fact::Unknown(Unknown(reason)) = &facts.parents else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!("the disk is a differencing one and its parents cannot be had: {reason}"),
        actual: "a chain with a gap".to_owned(),
        required: "every parent, with the unique id that its child demands".to_owned(),
        place: None,
        remedy: Remedy::hand(
            "put the parents beside the disk, or name their directories with --parent-dir; or merge the chain where it was made",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        let differencing = |parents| dynamic(|f| (f.kind, f.parents) = (Fact::Known(DiskKind::Differencing), parents));
        assert_eq!(ask(&RULE, &differencing(Fact::Known(vec![]))), "pass");
        assert_eq!(ask(&RULE, &differencing(Fact::unknown("the parent disk (base.vhd) was not found in '.'"))), "hand");
    }
}
