//! W-32: the service behind Azure's serial console.

use crate::facts::StartType;
use crate::rules::windows::{checks, commands, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN132",
    name: "serial-console-service",
    requirement: "W-32",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The service of the Special Administration Console starts by itself.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The service `sacsvr` must start by itself. Windows Server has it, with manual start; Windows clients get it with a capability.

## Why it matters

Azure's serial console shows the Special Administration Console, which opens command prompts by this service. It is the way into a machine
whose network does not work. The boot settings that belong to it are checked by rules of their own.

## How to fix it

`Set-Service -Name sacsvr -StartupType Automatic` in an elevated PowerShell; on a Windows client first
`Add-WindowsCapability -Online -Name 'Windows.Desktop.EMS-SAC.Tools~~~~0.0.1.0'`.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let start = match windows.service("sacsvr")? {
        Some(service) => service.start.known()?.copied(),
        None => None,
    };
    if start == Some(StartType::Auto) {
        return Ok(vec![]);
    }
    let set = commands::service("sacsvr", "Automatic");
    let client = windows.product.product_type.value().is_some_and(|kind| kind.eq_ignore_ascii_case("WinNT"));
    let (found, cure) = match start {
        Some(start) => (start.to_string(), set),
        None if client => {
            ("not installed".to_owned(), format!("Add-WindowsCapability -Online -Name 'Windows.Desktop.EMS-SAC.Tools~~~~0.0.1.0'; {set}"))
        }
        None => ("not registered".to_owned(), set),
    };
    Ok(vec![Finding {
        message: format!(
            "the service sacsvr is {found}; Azure's serial console opens no command prompt, the way in when the network fails"
        ),
        actual: found,
        required: "automatic".to_owned(),
        place: checks::service_place(windows, "sacsvr"),
        remedy: Remedy::hand(cure),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::windows::service;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    #[test]
    fn the_service_starts_by_itself() {
        let with = |start: u32| {
            windows(|w| {
                known(&mut w.services).retain(|other| other.name != "sacsvr");
                known(&mut w.services).push(service("sacsvr", start, false));
            })
        };
        for (start, said) in [(2, "pass"), (3, "hand"), (4, "hand")] {
            assert_eq!(ask(&RULE, &with(start)), said);
        }
        let client = windows(|w| {
            known(&mut w.services).retain(|other| other.name != "sacsvr");
            w.product.product_type = Fact::Known("WinNT".to_owned());
        });
        assert!(findings(&RULE, &client, &Target::default())[0].remedy.text().starts_with("Add-WindowsCapability"));
        assert_eq!(ask(&RULE, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }
}
