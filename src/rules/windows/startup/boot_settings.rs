//! W-53 to W-58: settings of the boot store that a machine without a screen needs.

use crate::facts::{BcdEntryFacts, BootStoreFacts, Fact, Unknown};
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

// A warning, though the rows only advise it: the machine waits at a screen that nobody has, and people look for the cause elsewhere.
pub(in crate::rules) static RECOVERY: Rule = Rule {
    code: "WIN054",
    name: "boot-recovery-menu",
    requirement: "W-54",
    also: &["W-53"],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows that have a boot store",
    summary: "Windows starts without a recovery menu after a failed start or shutdown.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

In the default boot entry `bootstatuspolicy` must be `IgnoreAllFailures`, and `recoveryenabled` must be off.

## Why it matters

After a hard stop, which a move to another host can be, Windows shows a recovery menu or starts its repair environment, and waits for
somebody at a screen that is not there.

## How to fix it

In the machine: `bcdedit /set '{default}' bootstatuspolicy IgnoreAllFailures` and `bcdedit /set '{default}' recoveryenabled Off`.",
    check: Check::Disk(recovery),
};

pub(in crate::rules) static CONSOLE: Rule = Rule {
    code: "WIN055",
    name: "boot-serial-console",
    requirement: "W-55",
    also: &["W-56", "W-57"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows that have a boot store",
    summary: "The boot manager shows its menu for five seconds, and the serial console is on.",
    azure_error: None,
    source: source::SERIAL_CONSOLE,
    docs: r"## What it checks

In the boot store: the boot manager's `displaybootmenu`, `timeout` (5) and `bootems`, the default entry's `ems`, and `EMSPORT` 1 with
`EMSBAUDRATE` 115200 in the EMS settings.

## Why it matters

With them, Azure's serial console reaches the boot menu and a command line (SAC) when the network does not work. Without them a machine
runs just as well; there is only no way in when it does not.

## How to fix it

Run the commands of the finding in an elevated PowerShell in the machine.",
    check: Check::Disk(console),
};

pub(in crate::rules) static UNSIGNED: Rule = Rule {
    code: "WIN058",
    name: "unsigned-code-allowed",
    requirement: "W-58",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows that have a boot store",
    summary: "The boot store does not allow unsigned or test-signed code.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`nointegritychecks` and `testsigning` must not be on, neither in the boot manager nor in the default entry.

## Why it matters

They let anybody load a driver. With Secure Boot, which new generation 2 machines have by default, they count for nothing: what relied
on them is no longer loaded.

## How to fix it

In the machine: replace what is unsigned, then `bcdedit /deletevalue '{default}' testsigning` and
`bcdedit /deletevalue '{default}' nointegritychecks`.",
    check: Check::Disk(unsigned),
};

fn store<'a>(subject: &Subject<'a>) -> Result<(&'a BootStoreFacts, &'a BcdEntryFacts), Skip> {
    let store = guest(subject)?.windows.boot_store.known()?.ok_or_else(|| Skip::not_applicable("there is no boot store"))?;
    let entry = store.default.known()?.ok_or_else(|| Skip::not_applicable("the boot store has no default entry"))?;
    Ok((store, entry))
}

/// Settings that are not as they should be, with the commands that make them so.
#[derive(Default)]
struct Wrong {
    found: Vec<String>,
    required: Vec<String>,
    commands: Vec<String>,
    unknown: Option<Unknown>,
}

impl Wrong {
    fn ask<T: PartialEq + Copy + std::fmt::Display>(&mut self, name: &str, fact: &Fact<T>, wanted: T, command: &str) {
        let found = match fact.known() {
            Ok(Some(value)) if *value == wanted => return,
            Ok(Some(value)) => value.to_string(),
            Ok(None) => "not set".to_owned(),
            Err(reason) => {
                self.unknown = Some(reason);
                return;
            }
        };
        self.found.push(format!("{name} is {found}"));
        self.required.push(format!("{name} {wanted}"));
        let command = format!("bcdedit {command}");
        if !self.commands.contains(&command) {
            self.commands.push(command);
        }
    }

    fn judgement(self, store: &BootStoreFacts, effect: &str) -> Judgement {
        if self.found.is_empty() {
            return self.unknown.map_or(Ok(vec![]), |reason| Err(reason.into()));
        }
        Ok(vec![Finding {
            message: format!("in the boot store {}; {effect}", self.found.join(", ")),
            actual: self.found.join(", "),
            required: self.required.join(", "),
            place: shared::file(&store.path, None),
            remedy: Remedy::hand(format!("in an elevated PowerShell: {}", self.commands.join("; "))),
        }])
    }
}

fn recovery(subject: &Subject<'_>, _: &Target) -> Judgement {
    let (store, entry) = store(subject)?;
    let mut wrong = Wrong::default();
    wrong.ask("bootstatuspolicy", &entry.boot_status_policy, 1, "/set '{default}' bootstatuspolicy IgnoreAllFailures");
    wrong.ask("recoveryenabled", &entry.recovery_enabled, false, "/set '{default}' recoveryenabled Off");
    wrong.judgement(store, "after a hard stop Windows may wait at a recovery menu that nobody sees")
}

fn console(subject: &Subject<'_>, _: &Target) -> Judgement {
    let (store, entry) = store(subject)?;
    let manager = store.manager.known()?.ok_or_else(|| Skip::not_applicable("the boot store has no boot manager"))?;
    let mut wrong = Wrong::default();
    wrong.ask("displaybootmenu", &manager.display_menu, true, "/set '{bootmgr}' displaybootmenu yes");
    wrong.ask("timeout", &manager.timeout, 5, "/set '{bootmgr}' timeout 5");
    wrong.ask("bootems", &manager.ems, true, "/set '{bootmgr}' bootems yes");
    wrong.ask("ems", &entry.ems, true, "/ems '{default}' ON");
    wrong.ask("EMSPORT", &store.ems_port, 1, "/emssettings EMSPORT:1 EMSBAUDRATE:115200");
    wrong.ask("EMSBAUDRATE", &store.ems_baud_rate, 115_200, "/emssettings EMSPORT:1 EMSBAUDRATE:115200");
    wrong.judgement(store, "Azure's serial console does not show the boot menu or the emergency command line")
}

fn unsigned(subject: &Subject<'_>, _: &Target) -> Judgement {
    let (store, entry) = store(subject)?;
    let manager = store.manager.known()?;
    let mut on = Vec::new();
    let mut unknown = None;
    let settings = [
        ("{default}", "testsigning", Some(&entry.test_signing)),
        ("{default}", "nointegritychecks", Some(&entry.no_integrity_checks)),
        ("{bootmgr}", "testsigning", manager.map(|manager| &manager.test_signing)),
        ("{bootmgr}", "nointegritychecks", manager.map(|manager| &manager.no_integrity_checks)),
    ];
    for (object, name, fact) in settings {
        match fact.map(Fact::known) {
            Some(Ok(Some(true))) => on.push((object, name)),
            Some(Err(reason)) => unknown = Some(reason),
            _ => {}
        }
    }
    if on.is_empty() {
        return unknown.map_or(Ok(vec![]), |reason| Err(reason.into()));
    }
    let words: Vec<String> = on.iter().map(|(object, name)| format!("{name} of {object}")).collect();
    let commands: Vec<String> = on.iter().map(|(object, name)| format!("bcdedit /deletevalue '{object}' {name}")).collect();
    Ok(vec![Finding {
        message: format!(
            "in the boot store {} is on; with Secure Boot it counts for nothing, and unsigned drivers are missing",
            words.join(", ")
        ),
        actual: format!("{}: on", words.join(", ")),
        required: "off".to_owned(),
        place: shared::file(&store.path, None),
        remedy: Remedy::hand(format!("in an elevated PowerShell: {}", commands.join("; "))),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::DiskFacts;
    use crate::rules::testing::*;

    fn with(change: impl FnOnce(&mut BootStoreFacts)) -> DiskFacts {
        windows(|w| change(known(&mut w.boot_store)))
    }

    #[test]
    fn table() {
        for rule in [&RECOVERY, &CONSOLE, &UNSIGNED] {
            assert_eq!(ask(rule, &windows(|_| {})), "pass");
            assert_eq!(ask(rule, &healthy_data()), "not applicable");
            assert_eq!(ask(rule, &windows(|w| w.boot_store = Fact::Absent)), "not applicable");
            assert_eq!(ask(rule, &windows(|w| w.boot_store = Fact::unknown("x"))), "undecided");
        }
        assert_eq!(ask(&RECOVERY, &with(|s| known(&mut s.default).boot_status_policy = Fact::Absent)), "hand");
        assert_eq!(ask(&RECOVERY, &with(|s| known(&mut s.default).recovery_enabled = Fact::Known(true))), "hand");
        assert_eq!(ask(&RECOVERY, &with(|s| known(&mut s.default).recovery_enabled = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&CONSOLE, &with(|s| s.ems_port = Fact::Absent)), "hand");
        assert_eq!(ask(&CONSOLE, &with(|s| known(&mut s.manager).timeout = Fact::Known(30))), "hand");
        assert_eq!(ask(&UNSIGNED, &with(|s| known(&mut s.default).test_signing = Fact::Known(true))), "hand");
        assert_eq!(ask(&UNSIGNED, &with(|s| known(&mut s.manager).no_integrity_checks = Fact::Known(true))), "hand");
        assert_eq!(ask(&UNSIGNED, &with(|s| known(&mut s.default).test_signing = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn one_finding_lists_all_with_their_commands() {
        let all = with(|s| (s.ems_port, s.ems_baud_rate) = (Fact::Absent, Fact::Known(9600)));
        let found = findings(&CONSOLE, &all, &Target::default());
        assert_eq!(found[0].actual, "EMSPORT is not set, EMSBAUDRATE is 9600");
        assert_eq!(found[0].remedy.text(), "in an elevated PowerShell: bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200");
    }
}
