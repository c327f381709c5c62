//! W-34, W-35 and W-40: what keeps Windows from reading and running Azure's provisioning.

use crate::facts::{StartType, State, WindowsFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::{Guest, commands, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// What Azure says of a machine that does not finish.
const TIMED_OUT: &str =
    "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…";

pub(in crate::rules) static CD_DRIVER: Rule = Rule {
    code: "WIN134",
    name: "cd-driver-disabled",
    requirement: "W-34",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows for generalized images",
    summary: "A generalized Windows has its driver for CD and DVD drives.",
    azure_error: Some(TIMED_OUT),
    source: source::GENERALIZE,
    docs: r"## What it checks

On disks for generalized images, the driver `cdrom` must be registered and not be disabled; it starts with 1.

## Why it matters

Azure gives a new machine its name, its account and its settings on a virtual DVD. Without the driver Windows does not see it, stays at its
first-run screens, and Azure gives up after 40 minutes.

## How to fix it

In an elevated PowerShell, before Sysprep runs: `reg add HKLM\SYSTEM\CurrentControlSet\Services\cdrom /v Start /t REG_DWORD /d 1 /f`.",
    check: Check::Disk(cd_driver),
};

pub(in crate::rules) static REMOVABLE: Rule = Rule {
    code: "WIN135",
    name: "removable-storage-denied",
    requirement: "W-35",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows for generalized images",
    summary: "No policy keeps a generalized Windows from reading CDs and DVDs.",
    azure_error: Some(TIMED_OUT),
    source: source::GENERALIZE,
    docs: r"## What it checks

On disks for generalized images, the policy `RemovableStorageDevices` must deny neither all removable storage (`Deny_All`) nor reading CDs
and DVDs (`Deny_Read` of `{53f56308-b6bf-11d0-94f2-00a0c91efb8b}`).

## Why it matters

Azure gives a new machine its name, its account and its settings on a virtual DVD. A policy that forbids to read it ends the same way as a
missing drive: Windows stays at its first-run screens, and Azure gives up after 40 minutes.

## How to fix it

Set the policies below Computer Configuration, Administrative Templates, System, Removable Storage Access to not configured, before Sysprep
runs, and apply them in Azure to the machines made from the image.",
    check: Check::Disk(removable),
};

pub(in crate::rules) static APP_LOCKER: Rule = Rule {
    code: "WIN140",
    name: "applocker-enforced",
    requirement: "W-40",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows for generalized images",
    summary: "AppLocker does not enforce rules while Azure provisions a generalized Windows.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

On disks for generalized images: policies of AppLocker (`SrpV2`) for programs, libraries, scripts and installers that have rules and are
not set to audit only.

## Why it matters

Azure's provisioning runs programs and scripts that it brings along. Rules that do not allow them stop it, and Azure reports that
provisioning did not finish. Whether the rules at hand do, depends on their content.

## How to fix it

Set the policies to audit only in the image (`secpol.msc`, Application Control Policies), and enforce them when the machine runs; or make
sure that the rules allow what is under `C:\Windows` and `C:\WindowsAzure`.",
    check: Check::Disk(app_locker),
};

const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\RemovableStorageDevices";
const CD_CLASS: &str = "{53f56308-b6bf-11d0-94f2-00a0c91efb8b}";
const APP_LOCKER_KEY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\SrpV2";
const WITHOUT_DVD: &str = "Windows cannot read the DVD on which Azure gives a new machine its settings, and stays at its first-run screens";

/// Goes on only for generalized images.
fn generalized<'a>(subject: &Subject<'a>, target: &Target) -> Result<Guest<'a>, Skip> {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    Ok(guest)
}

fn cd_driver(subject: &Subject<'_>, target: &Target) -> Judgement {
    let windows = generalized(subject, target)?.windows;
    let found = match windows.service("cdrom")? {
        Some(driver) if driver.start.known()? == Some(&StartType::Disabled) => "disabled",
        Some(_) => return Ok(vec![]),
        None => "not registered",
    };
    Ok(vec![Finding {
        message: format!("the driver cdrom is {found}; {WITHOUT_DVD}"),
        actual: found.to_owned(),
        required: "Start 1".to_owned(),
        place: checks::service_place(windows, "cdrom"),
        remedy: Remedy::hand(commands::driver("cdrom", 1)),
    }])
}

fn removable(subject: &Subject<'_>, target: &Target) -> Judgement {
    let windows = generalized(subject, target)?.windows;
    let mut checks = Checks::of(windows);
    denied(&mut checks, windows, POLICY, "Deny_All");
    denied(&mut checks, windows, &format!(r"{POLICY}\{CD_CLASS}"), "Deny_Read");
    checks.finding(|list| format!("a policy denies removable storage: {list}; {WITHOUT_DVD}"))
}

fn denied(checks: &mut Checks<'_>, windows: &WindowsFacts, key: &str, name: &str) {
    let fact = if name == "Deny_All" { &windows.system.removable_storage_denied } else { &windows.system.cd_read_denied };
    let Some(Some(value)) = checks.ask(fact) else { return };
    if *value == 0 {
        return;
    }
    checks.add(Wrong {
        found: format!("{name} is {value}"),
        required: format!("no {name}"),
        place: checks::place(windows, key, name),
        cure: format!("{}, and set the policy to not configured", commands::reg_delete(key, name)),
    });
}

fn app_locker(subject: &Subject<'_>, target: &Target) -> Judgement {
    let windows = generalized(subject, target)?.windows;
    let mut checks = Checks::of(windows);
    let Some(kinds) = checks.ask(&windows.system.app_locker) else { return checks.finding(str::to_owned) };
    for kind in kinds.into_iter().flatten() {
        let counts = ["Exe", "Dll", "Script", "Msi"].iter().any(|name| name.eq_ignore_ascii_case(&kind.kind));
        if kind.rules == 0 || !counts {
            continue;
        }
        let Some(mode) = checks.ask(&kind.enforcement) else { continue };
        // Rules count where nothing is said about how.
        if mode == Some(&0) {
            continue;
        }
        checks.add(Wrong {
            found: format!("{} enforced with {} rules", kind.kind, kind.rules),
            required: format!("{} audit only", kind.kind),
            place: checks::place(windows, &format!(r"{APP_LOCKER_KEY}\{}", kind.kind), "EnforcementMode"),
            cure: "set AppLocker to audit only in the image (secpol.msc, Application Control Policies), or allow what Azure's \
                   provisioning runs"
                .to_owned(),
        });
    }
    checks.finding(|list| {
        format!("AppLocker restricts what runs while Azure provisions the machine: {list}; rules that do not allow it stop it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{AppLockerFacts, Fact};
    use crate::rules::testing::windows::service;
    use crate::rules::testing::{ask, ask_for, healthy_os, known, specialized_windows, subject, windows};

    fn driver(start: Option<u32>) -> impl FnOnce(&mut WindowsFacts) {
        move |w| {
            known(&mut w.services).retain(|other| other.name != "cdrom");
            known(&mut w.services).extend(start.map(|start| service("cdrom", start, true)));
        }
    }

    #[test]
    fn the_cd_driver_is_there() {
        for (start, said) in [(Some(1), "pass"), (Some(3), "pass"), (Some(4), "hand"), (None, "hand")] {
            assert_eq!(ask(&CD_DRIVER, &windows(driver(start))), said, "{start:?}");
        }
        assert_eq!(ask(&CD_DRIVER, &specialized_windows(driver(Some(4)))), "not applicable");
        let target = Target { state: Some(State::Generalized), ..Target::default() };
        assert_eq!(ask_for(&CD_DRIVER, &subject(&specialized_windows(driver(Some(4)))), &target), "hand");
        assert_eq!(ask(&CD_DRIVER, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&CD_DRIVER, &healthy_os()), "not applicable");
    }

    #[test]
    fn policies_on_removable_storage() {
        let asked = |change: fn(&mut WindowsFacts)| ask(&REMOVABLE, &windows(change));
        assert_eq!(asked(|_| {}), "pass");
        assert_eq!(asked(|w| w.system.removable_storage_denied = Fact::Known(1)), "hand");
        assert_eq!(asked(|w| w.system.removable_storage_denied = Fact::Known(0)), "pass");
        assert_eq!(asked(|w| w.system.cd_read_denied = Fact::Known(1)), "hand");
        assert_eq!(asked(|w| w.system.cd_read_denied = Fact::unknown("x")), "undecided");
        assert_eq!(ask(&REMOVABLE, &specialized_windows(|w| w.system.cd_read_denied = Fact::Known(1))), "not applicable");
        assert_eq!(ask(&REMOVABLE, &healthy_os()), "not applicable");
    }

    #[test]
    fn enforced_rules_of_app_locker() {
        let asked = |kind: &str, enforcement: Fact<u32>, rules: usize| {
            let kind = AppLockerFacts { kind: kind.to_owned(), enforcement, rules };
            ask(&APP_LOCKER, &windows(|w| w.system.app_locker = Fact::Known(vec![kind])))
        };
        assert_eq!(ask(&APP_LOCKER, &windows(|_| {})), "pass");
        assert_eq!(asked("Script", Fact::Known(1), 3), "hand");
        assert_eq!(asked("Exe", Fact::Absent, 3), "hand");
        assert_eq!(asked("Exe", Fact::Known(0), 3), "pass");
        assert_eq!(asked("Exe", Fact::Known(1), 0), "pass");
        assert_eq!(asked("Appx", Fact::Known(1), 3), "pass");
        assert_eq!(asked("Exe", Fact::unknown("x"), 3), "undecided");
        assert_eq!(ask(&APP_LOCKER, &windows(|w| w.system.app_locker = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&APP_LOCKER, &healthy_os()), "not applicable");
    }
}
