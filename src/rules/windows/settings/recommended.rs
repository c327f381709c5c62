//! W-06, W-07, W-10 and W-11: clock, time service, disks and power as Azure's preparation article sets them.

use crate::facts::{StartType, WindowsFacts};
use crate::rules::windows::checks::{self, Checks, Unset, Wrong};
use crate::rules::windows::guest;
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN106",
    name: "settings-not-as-advised",
    requirement: "W-06",
    also: &["W-10", "W-11"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Clock, time service, new disks and power are set as Azure's preparation article advises.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`RealTimeIsUniversal` must be 1, the time service `w32time` start by itself, `SanPolicy` bring new disks online (1, which Windows clients
have where nothing is set), and the power scheme for high performance be active.

## Why it matters

A new Windows Server has none of these, and works in Azure: the clock is an hour or more off until the first synchronization, data disks
that are attached may stay offline until somebody brings them online, and processors save power of which nobody profits.

## How to fix it

The commands of Azure's preparation article, in an elevated PowerShell: `Set-Service -Name w32time -StartupType Automatic`,
`'san policy=onlineall' | diskpart`, `powercfg /setactive SCHEME_MIN`, and `reg add` for `RealTimeIsUniversal`.",
    check: Check::Disk(check),
};

pub(in crate::rules) static TIME_SERVICE: Rule = Rule {
    code: "WIN107",
    name: "time-service-disabled",
    requirement: "W-07",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The time service can start.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The service `w32time` must not be disabled.

## Why it matters

It takes the time from the host and from others. Without it the clock drifts; after five minutes Kerberos refuses logons, and certificates
and tokens seem to be of the wrong time.

## How to fix it

`Set-Service -Name w32time -StartupType Automatic` in an elevated PowerShell.",
    check: Check::Disk(time_service),
};

const ZONE: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\TimeZoneInformation";
pub(super) const PARTMGR: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\partmgr\Parameters";
const SCHEMES: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Power\User\PowerSchemes";
const HIGH_PERFORMANCE: &str = "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c";
pub(super) const ONLINE_ALL: &str = "'san policy=onlineall' | diskpart";

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    checks.number(ZONE, "RealTimeIsUniversal", &windows.system.real_time_is_universal, 1, Unset::Wrong);
    // Disabled is more than a note: TIME_SERVICE.
    checks.service("w32time", "Automatic", |start| start == StartType::Manual);
    disks(&mut checks, windows);
    power(&mut checks, windows);
    checks.finding(|list| format!("some settings differ from those that Azure's preparation article advises: {list}"))
}

fn disks(checks: &mut Checks<'_>, windows: &WindowsFacts) {
    let Some(found) = checks.ask(&windows.system.san_policy) else { return };
    let found = match found {
        // Those keep disks offline that a machine in Azure has: storage::RULE.
        Some(1 | 3 | 4) => return,
        Some(value) => format!("SanPolicy is {value}"),
        None => match checks.ask(&windows.product.product_type) {
            Some(Some(kind)) if !kind.eq_ignore_ascii_case("WinNT") => "SanPolicy is not set".to_owned(),
            _ => return,
        },
    };
    checks.add(Wrong {
        found,
        required: "SanPolicy 1".to_owned(),
        place: checks::place(windows, PARTMGR, "SanPolicy"),
        cure: ONLINE_ALL.to_owned(),
    });
}

fn power(checks: &mut Checks<'_>, windows: &WindowsFacts) {
    let Some(found) = checks.ask(&windows.system.power_scheme) else { return };
    if found.is_some_and(|scheme| scheme.trim_matches(['{', '}']) == HIGH_PERFORMANCE) {
        return;
    }
    let name = match found.map(|scheme| scheme.trim_matches(['{', '}'])) {
        Some("381b4222-f694-41f0-9685-ff5bb260df2e") => "balanced",
        Some("a1841308-3541-4fab-bc81-f71556f20b4a") => "power saver",
        Some(other) => other,
        None => "not set",
    };
    checks.add(Wrong {
        found: format!("the power scheme is {name}"),
        required: "the power scheme high performance".to_owned(),
        place: checks::place(windows, SCHEMES, "ActivePowerScheme"),
        cure: "powercfg /setactive SCHEME_MIN; powercfg /setacvalueindex SCHEME_CURRENT SUB_VIDEO VIDEOIDLE 0".to_owned(),
    });
}

fn time_service(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    checks.service("w32time", "Automatic", checks::is_disabled);
    checks.finding(|_| "the time service w32time is disabled; the clock drifts, until Kerberos and certificates fail".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::windows::service;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    fn start(windows: &mut WindowsFacts, start: u32) {
        let service = service("w32time", start, false);
        known(&mut windows.services).retain(|other| other.name != "w32time");
        known(&mut windows.services).push(service);
    }

    #[test]
    fn a_new_server_has_one_note() {
        let new = windows(|w| {
            w.system.real_time_is_universal = Fact::Absent;
            w.system.san_policy = Fact::Known(2);
            w.system.power_scheme = Fact::Known("381b4222-f694-41f0-9685-ff5bb260df2e".to_owned());
            start(w, 3);
        });
        let told = findings(&RULE, &new, &Target::default());
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].actual, "RealTimeIsUniversal is not set, w32time is manual, SanPolicy is 2, the power scheme is balanced");
        assert_eq!(ask(&TIME_SERVICE, &new), "pass");
    }

    #[test]
    fn each_setting_counts() {
        let asked = |change: fn(&mut WindowsFacts)| ask(&RULE, &windows(change));
        assert_eq!(asked(|_| {}), "pass");
        assert_eq!(asked(|w| w.system.real_time_is_universal = Fact::Known(0)), "hand");
        assert_eq!(asked(|w| w.system.san_policy = Fact::Absent), "hand");
        assert_eq!(asked(|w| w.system.san_policy = Fact::Known(4)), "pass");
        assert_eq!(asked(|w| w.system.power_scheme = Fact::Absent), "hand");
        assert_eq!(asked(|w| w.system.power_scheme = Fact::Known(format!("{{{HIGH_PERFORMANCE}}}"))), "pass");
        assert_eq!(
            asked(|w| {
                w.system.san_policy = Fact::Absent;
                w.product.product_type = Fact::Known("WinNT".to_owned());
            }),
            "pass"
        );
        assert_eq!(asked(|w| w.system.real_time_is_universal = Fact::unknown("x")), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }

    #[test]
    fn the_time_service_can_start() {
        for (value, said) in [(2, "pass"), (3, "pass"), (4, "hand")] {
            assert_eq!(ask(&TIME_SERVICE, &windows(|w| start(w, value))), said);
        }
        assert_eq!(ask(&RULE, &windows(|w| start(w, 4))), "pass");
        assert_eq!(ask(&TIME_SERVICE, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&TIME_SERVICE, &healthy_os()), "not applicable");
    }
}
