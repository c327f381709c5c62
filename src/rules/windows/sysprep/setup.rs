//! WG-05, WG-06: whether Setup runs at the next start, and whether it is stuck.

use super::{COMPLETE, GENERALIZED, SYSPREP};
use crate::facts::{Fact, SetupFacts, WindowsFacts};
use crate::rules::windows::{commands, guest};
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

// By these values Windows decides at its start whether Setup goes on, so that what follows from them is certain.
pub(in crate::rules) static NOT_PENDING: Rule = Rule {
    code: "WGN005",
    name: "setup-not-pending",
    requirement: "WG-05",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Windows that Sysprep has generalized",
    summary: "Setup runs at the next start of a generalized Windows.",
    azure_error: Some("OS Provisioning for VM '<n>' did not finish in the allotted time."),
    source: source::SETUP_STATES,
    docs: r"## What it checks

Where `ImageState` says that Sysprep has generalized the disk, `SYSTEM\Setup` must say that setup is to come: `SystemSetupInProgress` 1,
`SetupType` 2, and `CmdLine` with `oobe\windeploy.exe`.

## Why it matters

Windows decides by these values whether it sets itself up at its start. With others it starts without: no name, no account, no agent. They
differ where the machine was started again after Sysprep, or where somebody edited the registry.

## How to fix it

Start the machine and generalize it again with `sysprep /generalize /oobe /mode:vm /shutdown`; export the disk without another start.",
    check: Check::Disk(not_pending),
};

pub(in crate::rules) static PENDING: Rule = Rule {
    code: "WGN105",
    name: "setup-pending",
    requirement: "WG-05",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Windows that is set up",
    summary: "No setup runs at the next start of a Windows that is set up.",
    azure_error: None,
    source: source::SETUP_STATES,
    docs: r"## What it checks

Where `ImageState` is `IMAGE_STATE_COMPLETE`, `SYSTEM\Setup` must have `SystemSetupInProgress`, `SetupType` and `OOBEInProgress` of 0. With
them a `CmdLine` is left over and does nothing.

## Why it matters

Windows runs `CmdLine` at its start in place of its logon screen, and takes itself for not set up: services are missing, and nobody can log
on by remote desktop. Some tools to reset passwords leave such values.

## How to fix it

Start the machine once and let it end what it began, or set `SetupType` and `SystemSetupInProgress` to 0 and `CmdLine` to an empty text.",
    check: Check::Disk(pending),
};

pub(in crate::rules) static CHILDREN: Rule = Rule {
    code: "WGN006",
    name: "setup-program-unfinished",
    requirement: "WG-06",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "No program of Setup was stopped in the middle of its work.",
    azure_error: Some("The computer restarted unexpectedly or encountered an unexpected error. Windows installation cannot proceed."),
    source: source::SETUP_STATES,
    docs: r"## What it checks

No value of `SYSTEM\Setup\Status\ChildCompletion` may be 1, which stands for a program that runs.

## Why it matters

On a disk at rest nothing runs: the program stopped half way. At the next start Setup finds that, shows an error, and restarts for ever.

## How to fix it

Start the machine and let Setup end, or set it up anew. Setting the value to 3 lets it start, but leaves undone what the program had
to do.",
    check: Check::Disk(children),
};

const SETUP: &str = r"HKLM\SYSTEM\Setup";

fn demand_state<'a>(subject: &Subject<'a>, wanted: &str) -> Result<&'a WindowsFacts, Skip> {
    let windows = guest(subject)?.windows;
    match windows.sysprep.image_state.known()? {
        Some(state) if state == wanted => Ok(windows),
        _ => Err(Skip::not_applicable(format!("ImageState is not {wanted}"))),
    }
}

/// The numbers of `SYSTEM\Setup` by name; an unknown one is told only where nothing is wrong.
fn numbers(setup: &SetupFacts) -> [(&'static str, &Fact<u32>); 3] {
    [("SystemSetupInProgress", &setup.in_progress), ("SetupType", &setup.kind), ("OOBEInProgress", &setup.oobe_in_progress)]
}

fn judged(setup: &SetupFacts, wrong: &[String], finding: Finding) -> Judgement {
    if !wrong.is_empty() {
        return Ok(vec![finding]);
    }
    for (_, fact) in numbers(setup) {
        fact.known()?;
    }
    setup.command.known()?;
    Ok(vec![])
}

fn not_pending(subject: &Subject<'_>, _: &Target) -> Judgement {
    let setup = &demand_state(subject, GENERALIZED)?.sysprep.setup;
    let mut wrong = Vec::new();
    // OOBEInProgress does not start Setup.
    for (name, fact, wanted) in [("SystemSetupInProgress", &setup.in_progress, 1), ("SetupType", &setup.kind, 2)] {
        match fact {
            Fact::Known(value) if *value != wanted => wrong.push(format!("{name} is {value}")),
            Fact::Absent => wrong.push(format!("{name} is not set")),
            _ => {}
        }
    }
    let deploys = |command: &str| command.to_ascii_lowercase().replace('/', "\\").contains(r"oobe\windeploy.exe");
    match &setup.command {
        Fact::Known(command) if !deploys(command) => {
            wrong.push(format!("CmdLine is {}", if command.trim().is_empty() { "empty" } else { command }));
        }
        Fact::Absent => wrong.push("CmdLine is not set".to_owned()),
        _ => {}
    }
    let words = wrong.join(", ");
    let finding = Finding {
        message: format!("Sysprep has generalized it, but Setup does not run at the next start: {words}; provisioning never begins"),
        actual: words,
        required: r"SystemSetupInProgress 1, SetupType 2, CmdLine oobe\windeploy.exe".to_owned(),
        place: Some(Place::Registry(SETUP.to_owned())),
        remedy: Remedy::hand(format!("start the machine, and in an elevated PowerShell: {SYSPREP}; export the disk without another start")),
    };
    judged(setup, &wrong, finding)
}

fn pending(subject: &Subject<'_>, _: &Target) -> Judgement {
    let setup = &demand_state(subject, COMPLETE)?.sysprep.setup;
    let mut wrong: Vec<String> = numbers(setup)
        .into_iter()
        .filter_map(|(name, fact)| fact.value().filter(|value| **value != 0).map(|value| format!("{name} is {value}")))
        .collect();
    // By itself it does nothing.
    if let Some(command) = setup.command.value().filter(|command| !wrong.is_empty() && !command.trim().is_empty()) {
        wrong.push(format!("CmdLine is {command}"));
    }
    let words = wrong.join(", ");
    let finding = Finding {
        message: format!("Windows is set up, but runs Setup at its next start: {words}; nobody can log on meanwhile"),
        actual: words,
        required: "SystemSetupInProgress 0, SetupType 0, OOBEInProgress 0".to_owned(),
        place: Some(Place::Registry(SETUP.to_owned())),
        remedy: Remedy::hand(format!(
            "start the machine and let it end what it began; or in an elevated PowerShell: {}",
            cleared().join("; ")
        )),
    };
    judged(setup, &wrong, finding)
}

/// What makes Windows take itself for set up.
fn cleared() -> Vec<String> {
    let zeros = ["SystemSetupInProgress", "SetupType", "OOBEInProgress"];
    let mut commands: Vec<String> = zeros.iter().map(|name| commands::reg_add(SETUP, name, "REG_DWORD", "0")).collect();
    commands.push(r"Set-ItemProperty HKLM:\SYSTEM\Setup CmdLine ''".to_owned());
    commands
}

fn children(subject: &Subject<'_>, _: &Target) -> Judgement {
    let marks = &guest(subject)?.windows.sysprep;
    let Some(programs) = marks.child_completion.known()? else { return Ok(vec![]) };
    let running: Vec<&str> = programs.iter().filter(|(_, value)| **value == 1).map(|(name, _)| name.as_str()).collect();
    if running.is_empty() {
        return Ok(vec![]);
    }
    let names = running.join(", ");
    Ok(vec![Finding {
        message: format!(
            "{names} of Windows Setup stopped in the middle of its work; the next start may show an error and restart for ever"
        ),
        actual: format!("{names}: 1 (running)"),
        required: "3 (finished)".to_owned(),
        place: Some(Place::Registry(format!(r"{SETUP}\Status\ChildCompletion"))),
        remedy: Remedy::hand("start the machine and let Windows Setup end, then generalize or export it again"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;
    use std::collections::BTreeMap;

    #[test]
    fn generalized_ones_run_setup() {
        let with = |change: fn(&mut SetupFacts)| ask(&NOT_PENDING, &windows(|w| change(&mut w.sysprep.setup)));
        assert_eq!(with(|_| {}), "pass");
        assert_eq!(with(|s| s.in_progress = Fact::Known(0)), "hand");
        assert_eq!(with(|s| s.kind = Fact::Known(1)), "hand");
        assert_eq!(with(|s| s.kind = Fact::Absent), "hand");
        assert_eq!(with(|s| s.oobe_in_progress = Fact::Absent), "pass");
        assert_eq!(with(|s| s.oobe_in_progress = Fact::Known(0)), "pass");
        assert_eq!(with(|s| s.command = Fact::Absent), "hand");
        assert_eq!(with(|s| s.command = Fact::Known("C:\\Windows\\System32/OOBE/WinDeploy.exe /x".to_owned())), "pass");
        assert_eq!(with(|s| s.command = Fact::unknown("x")), "undecided");
        assert_eq!(with(|s| (s.command, s.kind) = (Fact::unknown("x"), Fact::Known(0))), "hand");
        assert_eq!(ask(&NOT_PENDING, &specialized_windows(|_| {})), "not applicable");
        assert_eq!(ask(&NOT_PENDING, &healthy_os()), "not applicable");
    }

    #[test]
    fn machines_do_not() {
        let with = |change: fn(&mut SetupFacts)| ask(&PENDING, &specialized_windows(|w| change(&mut w.sysprep.setup)));
        assert_eq!(with(|_| {}), "pass");
        assert_eq!(with(|s| s.kind = Fact::Known(2)), "hand");
        assert_eq!(with(|s| (s.kind, s.command) = (Fact::Known(2), Fact::Known("cmd.exe".to_owned()))), "hand");
        assert_eq!(with(|s| s.command = Fact::Known("cmd.exe".to_owned())), "pass");
        assert_eq!(with(|s| s.command = Fact::Known(" ".to_owned())), "pass");
        assert_eq!(with(|s| s.in_progress = Fact::unknown("x")), "undecided");
        assert_eq!(ask(&PENDING, &windows(|_| {})), "not applicable");
    }

    #[test]
    fn programs_that_stopped() {
        let with = |value| windows(|w| w.sysprep.child_completion = Fact::Known(BTreeMap::from([("setup.exe".to_owned(), value)])));
        assert_eq!(ask(&CHILDREN, &with(3)), "pass");
        assert_eq!(ask(&CHILDREN, &with(1)), "hand");
        assert_eq!(ask(&CHILDREN, &windows(|w| w.sysprep.child_completion = Fact::Absent)), "pass");
        assert_eq!(ask(&CHILDREN, &windows(|w| w.sysprep.child_completion = Fact::unknown("x"))), "undecided");
    }
}
