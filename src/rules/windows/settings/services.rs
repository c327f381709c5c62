//! W-13 and W-14: services that a machine needs to be reached.

use crate::facts::{StartType, WindowsFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::{commands, guest};
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static STOPPED: Rule = Rule {
    code: "WIN113",
    name: "essential-service-disabled",
    requirement: "W-13",
    also: &["W-14"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The services without which nobody reaches a Windows can start.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`BFE`, `Dhcp`, `mpssvc`, `nsi` and `TermService` must be registered and not be disabled.

## Why it matters

Without `Dhcp` and `nsi` the machine gets no address, without `BFE` and `mpssvc` what the firewall does is not defined and IPsec fails, and
without `TermService` there is no remote desktop. The machine runs, and nobody reaches it.

## How to fix it

In an elevated PowerShell: `Set-Service -Name Dhcp -StartupType Automatic`, and `Manual` for `TermService`. Windows does not let
`Set-Service` change the others: `reg add HKLM\SYSTEM\CurrentControlSet\Services\<name> /v Start /t REG_DWORD /d 2 /f`, and restart.",
    check: Check::Disk(stopped),
};

// Netman and Netlogon serve what happens after the machine is reached, or only accounts of a domain: disabled, they do not keep a local
// administrator out.
pub(in crate::rules) static DOUBTFUL: Rule = Rule {
    code: "WIN213",
    name: "network-service-start",
    requirement: "W-13",
    also: &["W-14"],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Services of the network start as Windows sets them up.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`BFE`, `Dhcp`, `mpssvc` and `nsi` start by themselves; `Dnscache` and `Netman` are not disabled, nor is `Netlogon` on a member of a domain.

## Why it matters

A service that starts only when another asks for it may come late or never. Without `Dnscache` names are looked up anew each time, without
`Netman` adapters cannot be configured, and without `Netlogon` a member of a domain refuses its accounts.

## How to fix it

Run the commands of the finding in an elevated PowerShell, and restart. Windows does not let `Set-Service` change `BFE`, `mpssvc`, `nsi` and
`Dnscache`: for them the command sets `Start` in the registry.",
    check: Check::Disk(doubtful),
};

pub(in crate::rules) static CHANGED: Rule = Rule {
    code: "WIN313",
    name: "services-not-as-advised",
    requirement: "W-13",
    also: &["W-14"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The further services of Azure's preparation article can start.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`IKEEXT`, `iphlpsvc`, `RemoteRegistry` and, outside of a domain, `Netlogon` are not disabled.

## Why it matters

Azure's preparation article has them as Windows sets them up. They serve IPsec, IPv6 transition, remote administration and domains; a
machine that needs none of these works without them, and Windows clients have `RemoteRegistry` disabled from the beginning.

## How to fix it

`Set-Service -Name <name> -StartupType Automatic` in an elevated PowerShell, `Manual` for `Netlogon`.",
    check: Check::Disk(changed),
};

/// Services without which nothing goes, and how they start.
const ESSENTIAL: [(&str, &str); 5] =
    [("BFE", "Automatic"), ("Dhcp", "Automatic"), ("mpssvc", "Automatic"), ("nsi", "Automatic"), ("TermService", "Manual")];
/// The first build that has them all: that of Windows Server 2008 R2 and Windows 7.
const HAS_THEM: u32 = 7600;

fn stopped(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    for (name, wanted) in ESSENTIAL {
        checks.service(name, wanted, checks::is_disabled);
        if matches!(windows.service(name), Ok(None)) {
            missing(&mut checks, windows, name, wanted);
        }
    }
    checks.finding(|list| format!("services that a machine cannot be reached without cannot start: {list}"))
}

fn missing(checks: &mut Checks<'_>, windows: &WindowsFacts, name: &str, wanted: &str) {
    let Some(build) = checks.ask(&windows.product.build) else { return };
    if build.is_some_and(|build| *build < HAS_THEM) {
        return;
    }
    checks.add(Wrong {
        found: format!("{name} is not registered"),
        required: format!("{name} {}", wanted.to_ascii_lowercase()),
        place: checks::place(windows, &commands::service_key(name), "Start"),
        cure: format!(
            "repair Windows in its machine (DISM /Online /Cleanup-Image /RestoreHealth), or import the key of {name} \
             from a Windows of the same version"
        ),
    });
}

fn doubtful(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    for (name, wanted) in ESSENTIAL {
        // Disabled ones are told by STOPPED.
        checks.service(name, wanted, |start| wanted == "Automatic" && start == StartType::Manual);
    }
    checks.service("Dnscache", "Automatic", checks::is_not_automatic);
    checks.service("Netman", "Manual", checks::is_disabled);
    match checks::in_domain(windows) {
        Ok(true) => checks.service("Netlogon", "Automatic", checks::is_disabled),
        Ok(false) => {}
        Err(reason) => checks.miss(reason),
    }
    checks.finding(|list| format!("services of the network do not start as Windows sets them up: {list}"))
}

fn changed(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    // Windows itself has IKEEXT start when something asks for it, and clients have RemoteRegistry disabled.
    checks.service("IKEEXT", "Automatic", checks::is_disabled);
    checks.service("iphlpsvc", "Automatic", checks::is_disabled);
    let client = checks.ask(&windows.product.product_type).flatten().is_some_and(|kind| kind.eq_ignore_ascii_case("WinNT"));
    if !client {
        checks.service("RemoteRegistry", "Automatic", checks::is_disabled);
    }
    match checks::in_domain(windows) {
        Ok(false) => checks.service("Netlogon", "Manual", checks::is_disabled),
        Ok(true) => {}
        Err(reason) => checks.miss(reason),
    }
    checks.finding(|list| format!("services that Azure's preparation article has on are disabled: {list}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::windows::service;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    fn with(name: &'static str, start: u32, change: fn(&mut WindowsFacts)) -> DiskFacts {
        windows(|w| {
            known(&mut w.services).retain(|other| other.name != name);
            known(&mut w.services).push(service(name, start, false));
            change(w);
        })
    }

    #[test]
    fn starts_are_judged_by_what_depends_on_them() {
        for (name, start, stopped, doubtful, changed) in [
            ("BFE", 4, "hand", "pass", "pass"),
            ("BFE", 3, "pass", "hand", "pass"),
            ("Dhcp", 4, "hand", "pass", "pass"),
            ("nsi", 4, "hand", "pass", "pass"),
            ("mpssvc", 4, "hand", "pass", "pass"),
            ("TermService", 4, "hand", "pass", "pass"),
            ("TermService", 2, "pass", "pass", "pass"),
            ("Dnscache", 4, "pass", "hand", "pass"),
            ("Netman", 4, "pass", "hand", "pass"),
            ("Netlogon", 4, "pass", "pass", "hand"),
            ("Netlogon", 2, "pass", "pass", "pass"),
            ("IKEEXT", 3, "pass", "pass", "pass"),
            ("IKEEXT", 4, "pass", "pass", "hand"),
            ("RemoteRegistry", 4, "pass", "pass", "hand"),
        ] {
            let facts = with(name, start, |_| {});
            let said = [&STOPPED, &DOUBTFUL, &CHANGED].map(|rule| ask(rule, &facts));
            assert_eq!(said, [stopped, doubtful, changed], "{name} {start}");
        }
        let member = with("Netlogon", 4, |w| w.name.domain = Fact::Known("corp.example".to_owned()));
        assert_eq!([ask(&DOUBTFUL, &member), ask(&CHANGED, &member)], ["hand", "pass"]);
        let client = with("RemoteRegistry", 4, |w| w.product.product_type = Fact::Known("WinNT".to_owned()));
        assert_eq!(ask(&CHANGED, &client), "pass");
    }

    #[test]
    fn missing_services() {
        let without = |build: u32| {
            windows(|w| {
                known(&mut w.services).retain(|other| other.name != "nsi" && other.name != "Netman");
                w.product.build = Fact::Known(build);
            })
        };
        assert_eq!(findings(&STOPPED, &without(20_348), &Target::default())[0].actual, "nsi is not registered");
        assert_eq!(ask(&STOPPED, &without(3790)), "pass");
        assert_eq!(ask(&DOUBTFUL, &without(20_348)), "pass");
    }

    #[test]
    fn others() {
        for rule in [&STOPPED, &DOUBTFUL, &CHANGED] {
            assert_eq!(ask(rule, &windows(|_| {})), "pass");
            assert_eq!(ask(rule, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
        // One that cannot be read leaves it open, unless another is wrong.
        let unknown = |disabled: bool| {
            windows(|w| {
                for service in known(&mut w.services).iter_mut() {
                    match service.name.as_str() {
                        "nsi" => service.start = Fact::unknown("x"),
                        "BFE" if disabled => service.start = Fact::Known(StartType::Disabled),
                        _ => {}
                    }
                }
            })
        };
        assert_eq!([ask(&STOPPED, &unknown(false)), ask(&STOPPED, &unknown(true))], ["undecided", "hand"]);
    }
}
