//! W-20 to W-23: how remote desktop treats its connections.

use super::{POLICY, STATION};
use crate::facts::{Fact, RdpStationFacts, WindowsFacts};
use crate::rules::windows::checks::{self, Checks, Unset, Wrong};
use crate::rules::windows::{commands, guest};
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN120",
    name: "remote-desktop-connections",
    requirement: "W-20",
    also: &["W-21", "W-22", "W-23"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Remote desktop asks for network level authentication, keeps connections alive, takes them up again, and limits no number.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The values that Azure's preparation article sets: `UserAuthentication` 1 (of policy or of `WinStations\RDP-Tcp`); keep-alive by policy
(`KeepAliveEnable` and `KeepAliveInterval` 1) or by the station (`KeepAliveTimeout` 1); `fDisableAutoReconnect` 0 where policy sets it,
`fInheritReconnectSame` 1 and `fReconnectSame` 0 where they are set; `MaxInstanceCount` 4294967295 where it is set.

## Why it matters

Without network level authentication anybody who reaches the port gets a logon screen. Load balancers and firewalls between drop
connections that say nothing for some minutes, and keep-alive says something. A small number of connections locks administrators out when
forgotten sessions use it up. Machines work without any of them.

## How to fix it

Set the values with `reg add` in an elevated PowerShell.",
    check: Check::Disk(check),
};

/// No limit.
const MOST_CONNECTIONS: u32 = u32::MAX;

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let policy = &windows.rdp.policy;
    let mut checks = Checks::of(windows);
    checks.number(POLICY, "fDisableAutoReconnect", &policy.disable_auto_reconnect, 0, Unset::Right);
    if let Some(Some(station)) = checks.ask(&windows.rdp.station) {
        match policy.user_authentication.known() {
            Ok(Some(_)) => checks.number(POLICY, "UserAuthentication", &policy.user_authentication, 1, Unset::Right),
            Ok(None) => checks.number(STATION, "UserAuthentication", &station.user_authentication, 1, Unset::Wrong),
            Err(reason) => checks.miss(reason),
        }
        keep_alive(&mut checks, windows, station);
        checks.number(STATION, "fInheritReconnectSame", &station.inherit_reconnect_same, 1, Unset::Right);
        checks.number(STATION, "fReconnectSame", &station.reconnect_same, 0, Unset::Right);
        checks.number(STATION, "MaxInstanceCount", &station.max_instances, MOST_CONNECTIONS, Unset::Right);
    }
    checks.finding(|list| format!("remote desktop treats connections otherwise than Azure's preparation article advises: {list}"))
}

/// Policy or the station may have it.
fn keep_alive(checks: &mut Checks<'_>, windows: &WindowsFacts, station: &RdpStationFacts) {
    let is_one = |fact: &Fact<u32>| matches!(fact, Fact::Known(1));
    let policy = &windows.rdp.policy;
    let by_policy = is_one(&policy.keep_alive_enable) && matches!(policy.keep_alive_interval, Fact::Known(1..));
    if by_policy || is_one(&station.keep_alive_timeout) {
        return;
    }
    for fact in [&policy.keep_alive_enable, &policy.keep_alive_interval, &station.keep_alive_timeout] {
        if let Err(reason) = fact.known() {
            checks.miss(reason);
            return;
        }
    }
    let set = |key: &str, name: &str| commands::reg_add(key, name, "REG_DWORD", "1");
    checks.add(Wrong {
        found: "keep-alive is off".to_owned(),
        required: "KeepAliveEnable 1 with KeepAliveInterval 1, and KeepAliveTimeout 1".to_owned(),
        place: checks::place(windows, STATION, "KeepAliveTimeout"),
        cure: commands::line(&[set(POLICY, "KeepAliveEnable"), set(POLICY, "KeepAliveInterval"), set(STATION, "KeepAliveTimeout")]),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    fn asked(change: fn(&mut WindowsFacts)) -> String {
        ask(&RULE, &windows(change))
    }

    #[test]
    fn values_of_the_article() {
        assert_eq!(asked(|_| {}), "pass");
        assert_eq!(asked(|w| known(&mut w.rdp.station).user_authentication = Fact::Known(0)), "hand");
        assert_eq!(asked(|w| known(&mut w.rdp.station).max_instances = Fact::Known(2)), "hand");
        assert_eq!(asked(|w| known(&mut w.rdp.station).reconnect_same = Fact::Known(1)), "hand");
        assert_eq!(asked(|w| known(&mut w.rdp.station).inherit_reconnect_same = Fact::Known(0)), "hand");
        assert_eq!(asked(|w| w.rdp.policy.disable_auto_reconnect = Fact::Known(1)), "hand");
        assert_eq!(asked(|w| w.rdp.policy.disable_auto_reconnect = Fact::Absent), "pass");
        assert_eq!(asked(|w| w.rdp.station = Fact::unknown("x")), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }

    #[test]
    fn policy_beats_the_station() {
        assert_eq!(
            asked(|w| {
                known(&mut w.rdp.station).user_authentication = Fact::Known(0);
                w.rdp.policy.user_authentication = Fact::Known(1);
            }),
            "pass"
        );
        assert_eq!(asked(|w| w.rdp.policy.user_authentication = Fact::Known(0)), "hand");
    }

    #[test]
    fn either_keep_alive_will_do() {
        assert_eq!(asked(|w| w.rdp.policy.keep_alive_enable = Fact::Absent), "pass");
        assert_eq!(asked(|w| known(&mut w.rdp.station).keep_alive_timeout = Fact::Known(0)), "pass");
        let neither = windows(|w| {
            w.rdp.policy.keep_alive_enable = Fact::Absent;
            known(&mut w.rdp.station).keep_alive_timeout = Fact::Known(0);
        });
        assert_eq!(findings(&RULE, &neither, &Target::default())[0].actual, "keep-alive is off");
        assert_eq!(
            asked(|w| {
                w.rdp.policy.keep_alive_enable = Fact::unknown("x");
                known(&mut w.rdp.station).keep_alive_timeout = Fact::Known(0);
            }),
            "undecided"
        );
    }
}
