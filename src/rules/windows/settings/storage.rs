//! W-10: data disks come online.

use super::recommended::{ONLINE_ALL, PARTMGR};
use crate::rules::windows::{checks, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN110",
    name: "data-disks-stay-offline",
    requirement: "W-10",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The SAN policy does not keep the disks of a machine in Azure offline.",
    azure_error: None,
    source: source::SAN_POLICY,
    docs: r"## What it checks

`SanPolicy` of `partmgr\Parameters` must not be 3, which leaves every new disk offline, nor 4, which leaves internal ones so.

## Why it matters

To Windows, every disk of a machine in Azure is new at its first start. Data disks stay offline, and with them what has its files or its
page file there.

## How to fix it

`'san policy=onlineall' | diskpart` in an elevated PowerShell.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let (value, which) = match windows.system.san_policy.known()? {
        Some(3) => (3, "every new disk"),
        Some(4) => (4, "every new internal disk"),
        _ => return Ok(vec![]),
    };
    Ok(vec![Finding {
        message: format!("the SAN policy leaves {which} offline; the data disks of the machine in Azure do not come online"),
        actual: format!("SanPolicy {value}"),
        required: "SanPolicy 1".to_owned(),
        place: checks::place(windows, PARTMGR, "SanPolicy"),
        remedy: Remedy::hand(ONLINE_ALL),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, healthy_os, windows};

    #[test]
    fn policies() {
        for (found, said) in [
            (Fact::Known(1), "pass"),
            (Fact::Known(2), "pass"),
            (Fact::Known(3), "hand"),
            (Fact::Known(4), "hand"),
            (Fact::Absent, "pass"),
            (Fact::unknown("x"), "undecided"),
        ] {
            assert_eq!(ask(&RULE, &windows(|w| w.system.san_policy = found.clone())), said, "{found:?}");
        }
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }
}
