//! W-17: the further switches of remote desktop.

use super::{REFUSED, STATION, TERMINAL_SERVER};
use crate::rules::windows::checks::{Checks, Unset};
use crate::rules::windows::guest;
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN117",
    name: "remote-desktop-switched-off",
    requirement: "W-17",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "No further switch keeps remote desktop from listening or from letting people log on.",
    azure_error: Some(REFUSED),
    source: source::RDP_ERROR,
    docs: r"## What it checks

Beside the switch that people know there are four more, which count where they are set: `TSEnabled` must be 1 and `TSServerDrainMode` 0
in `Control\Terminal Server`; `fEnableWinStation` must be 1 and `fLogonDisabled` 0 in its `WinStations\RDP-Tcp`, which must exist.

## Why it matters

`TSEnabled` and `fEnableWinStation` decide whether anything listens. In drain mode, meant for servers of a farm that are taken out of
service, and with `fLogonDisabled` the listener answers and lets nobody in. Such values survive from the machine that the disk was
copied from, and the machine in Azure cannot be reached.

## How to fix it

Set the values with `reg add` in an elevated PowerShell; for drain mode `change logon /enable` does the same.",
    check: Check::Disk(check),
};

pub(in crate::rules) static USERS: Rule = Rule {
    code: "WIN217",
    name: "remote-desktop-relaxed-security",
    requirement: "W-17",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Remote desktop is not in the mode of relaxed security.",
    azure_error: None,
    source: source::RDP_ERROR,
    docs: r"## What it checks

`TSUserEnabled` of `Control\Terminal Server` must be 0 or not set.

## Why it matters

1 makes everybody who logs on a member of the group TERMINAL SERVER USER, a mode for programs of Windows NT times. Azure's guide for
machines that cannot be reached names it among the causes and sets it to 0.

## How to fix it

In an elevated PowerShell: `reg add 'HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server' /v TSUserEnabled /t REG_DWORD /d 0 /f`.",
    check: Check::Disk(users),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let rdp = &windows.rdp;
    let mut checks = Checks::of(windows);
    checks.number(TERMINAL_SERVER, "TSEnabled", &rdp.enabled, 1, Unset::Right);
    checks.number(TERMINAL_SERVER, "TSServerDrainMode", &rdp.drain_mode, 0, Unset::Right);
    match checks.ask(&rdp.station) {
        Some(Some(station)) => {
            checks.number(STATION, "fEnableWinStation", &station.enabled, 1, Unset::Right);
            checks.number(STATION, "fLogonDisabled", &station.logon_disabled, 0, Unset::Right);
        }
        Some(None) => checks.add(super::no_station(windows)),
        None => {}
    }
    checks.finding(|list| format!("remote desktop is switched off: {list}; nobody can log in to the machine in Azure"))
}

fn users(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    checks.number(TERMINAL_SERVER, "TSUserEnabled", &windows.rdp.user_enabled, 0, Unset::Right);
    checks.finding(|list| {
        format!(
            "remote desktop works in its mode of relaxed security: {list}; Azure's guide has it among the causes of refused connections"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, WindowsFacts};
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    #[test]
    fn each_switch_counts() {
        let asked = |change: fn(&mut WindowsFacts)| ask(&RULE, &windows(change));
        assert_eq!(asked(|_| {}), "pass");
        assert_eq!(asked(|w| w.rdp.enabled = Fact::Known(0)), "hand");
        assert_eq!(asked(|w| w.rdp.enabled = Fact::Absent), "pass");
        assert_eq!(asked(|w| w.rdp.drain_mode = Fact::Known(1)), "hand");
        assert_eq!(asked(|w| known(&mut w.rdp.station).enabled = Fact::Known(0)), "hand");
        assert_eq!(asked(|w| known(&mut w.rdp.station).logon_disabled = Fact::Known(1)), "hand");
        assert_eq!(asked(|w| w.rdp.station = Fact::Absent), "hand");
        assert_eq!(asked(|w| w.rdp.station = Fact::unknown("x")), "undecided");
        // What is known to be wrong is told, whatever else is unknown.
        assert_eq!(
            asked(|w| {
                w.rdp.station = Fact::unknown("x");
                w.rdp.enabled = Fact::Known(0);
            }),
            "hand"
        );
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }

    #[test]
    fn several_are_one_finding() {
        let facts = windows(|w| {
            w.rdp.enabled = Fact::Known(0);
            known(&mut w.rdp.station).enabled = Fact::Known(0);
        });
        let told = findings(&RULE, &facts, &Target::default());
        assert_eq!((told.len(), told[0].actual.as_str()), (1, "TSEnabled is 0, fEnableWinStation is 0"));
    }

    #[test]
    fn relaxed_security_is_told() {
        for (found, said) in [(Fact::Known(0), "pass"), (Fact::Absent, "pass"), (Fact::Known(1), "hand"), (Fact::unknown("x"), "undecided")]
        {
            assert_eq!(ask(&USERS, &windows(|w| w.rdp.user_enabled = found.clone())), said);
        }
        assert_eq!(ask(&USERS, &healthy_os()), "not applicable");
    }
}
