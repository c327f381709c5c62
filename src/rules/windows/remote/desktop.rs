//! W-16: remote desktop is on.

use super::{POLICY, REFUSED, TERMINAL_SERVER};
use crate::rules::windows::{checks, commands, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN116",
    name: "remote-desktop-off",
    requirement: "W-16",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Windows accepts remote desktop connections.",
    azure_error: Some(REFUSED),
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The value `fDenyTSConnections`: 0 accepts connections of remote desktop. Where policy sets the value, that of policy counts; otherwise
the one of `Control\Terminal Server` does. Where neither is set, Windows refuses connections.

## Why it matters

A machine in Azure has no screen that anybody could sit at. Windows Server is installed with remote desktop off; nothing in the
deployment turns it on, so that the machine runs and nobody reaches it. Certification for the Marketplace asks for it as well.

## How to fix it

In an elevated PowerShell: `reg add 'HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server' /v fDenyTSConnections /t REG_DWORD /d 0 /f`.
Where a policy sets it, change the policy, which writes its value again otherwise.",
    check: Check::Disk(check),
};

const VALUE: &str = "fDenyTSConnections";

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let policy = windows.rdp.policy.deny_connections.known()?;
    let (found, key, whose) = match policy {
        Some(_) => (policy, POLICY, "a policy sets"),
        None => (windows.rdp.deny_connections.known()?, TERMINAL_SERVER, "the registry has"),
    };
    let what = match found {
        Some(0) => return Ok(vec![]),
        Some(value) => format!("{whose} {VALUE} {value}"),
        None => format!("{VALUE} is not set, which refuses connections"),
    };
    let command = commands::reg_add(key, VALUE, "REG_DWORD", "0");
    Ok(vec![Finding {
        message: format!("remote desktop is off: {what}; nobody can log in to the machine in Azure"),
        actual: found.map_or_else(|| "not set".to_owned(), |value| format!("{VALUE} {value}")),
        required: format!("{VALUE} 0"),
        place: checks::place(windows, key, VALUE),
        remedy: Remedy::hand(match policy {
            Some(_) => format!("{command}; change the policy as well, in the domain or with gpedit.msc, because it sets the value again"),
            None => command,
        }),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, findings, healthy_os, windows};

    #[test]
    fn policy_beats_the_local_value() {
        use Fact::{Absent, Known};
        for (policy, local, said) in [
            (Absent, Known(0), "pass"),
            (Absent, Known(1), "hand"),
            (Absent, Absent, "hand"),
            (Absent, Fact::unknown("x"), "undecided"),
            (Known(0), Known(1), "pass"),
            (Known(0), Fact::unknown("x"), "pass"),
            (Known(1), Known(0), "hand"),
            (Fact::unknown("x"), Known(0), "undecided"),
        ] {
            let facts = windows(|w| {
                w.rdp.policy.deny_connections = policy.clone();
                w.rdp.deny_connections = local.clone();
            });
            assert_eq!(ask(&RULE, &facts), said, "{policy:?} {local:?}");
        }
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        let told = findings(&RULE, &windows(|w| w.rdp.policy.deny_connections = Known(1)), &Target::default());
        assert!(told[0].remedy.text().contains("gpedit.msc"), "{told:?}");
    }
}
