//! W-49: nothing waits for a restart.

use crate::facts::{Fact, State};
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN049",
    name: "pending-restart",
    requirement: "W-49",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "No update, role or new name waits for a restart.",
    azure_error: Some("OS Provisioning for VM '<n>' did not finish in the allotted time."),
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The keys `RebootPending`, `RebootInProgress` and `PackagesPending` of Component Based Servicing, `RebootRequired` of Windows Update, the
file `\Windows\WinSxS\pending.xml`, and on a disk of one machine a computer name that changes with the next start.

## Why it matters

What waits is done at the first start in Azure: the machine restarts in the middle of being set up, and may take longer than Azure waits.
Sysprep refuses to run, or leaves an image that does not start.

## How to fix it

Restart the machine until nothing waits any more, then generalize or export it again.",
    check: Check::Disk(servicing),
};

pub(in crate::rules) static RENAMES: Rule = Rule {
    code: "WIN149",
    name: "pending-file-renames",
    requirement: "W-49",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "No file waits to be renamed or deleted at the next start.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`PendingFileRenameOperations` of the Session Manager: files that are renamed or deleted at the next start.

## Why it matters

Installers leave such entries often, mostly for temporary files. Some, such as those of drivers and of .NET, make Sysprep refuse to run.

## How to fix it

Restart the machine once before it is generalized or exported.",
    check: Check::Disk(renames),
};

const SERVICING: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing";

fn servicing(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    let pending = &guest.windows.pending;
    // Sysprep gives a new name that only the next start makes active.
    let named = match shared::purpose(guest.os, target) {
        Ok(Some(State::Specialized)) => pending.name_change.clone(),
        _ => Fact::Absent,
    };
    let marks = [
        (&pending.reboot_pending, "Component Based Servicing says RebootPending"),
        (&pending.reboot_in_progress, "Component Based Servicing says RebootInProgress"),
        (&pending.packages_pending, "Component Based Servicing says PackagesPending"),
        (&pending.update_reboot_required, "Windows Update says RebootRequired"),
        (&pending.pending_xml, r"\Windows\WinSxS\pending.xml is there"),
        (&named, "the computer name changes with the next start"),
    ];
    let words: Vec<&str> = marks.iter().filter(|(mark, _)| mark.value() == Some(&true)).map(|(_, words)| *words).collect();
    if words.is_empty() {
        let unknown = marks.iter().find_map(|(mark, _)| mark.known().err());
        return unknown.map_or(Ok(vec![]), |reason| Err(Skip::from(reason)));
    }
    Ok(vec![Finding {
        message: format!(
            "a restart is pending: {}; the machine restarts while Azure sets it up, and Sysprep refuses to run",
            words.join(", ")
        ),
        actual: words.join(", "),
        required: "no pending restart".to_owned(),
        place: Some(Place::Registry(SERVICING.to_owned())),
        remedy: Remedy::hand("restart the machine (Restart-Computer) until nothing waits any more, then generalize or export it again"),
    }])
}

fn renames(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    match windows.pending.file_renames.known()? {
        Some(count) if *count > 0 => Ok(vec![Finding {
            message: format!("{count} files wait to be renamed or deleted at the next start"),
            actual: format!("{count} in PendingFileRenameOperations"),
            required: "none".to_owned(),
            place: Some(Place::Registry(r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\PendingFileRenameOperations".to_owned())),
            remedy: Remedy::hand("restart the machine once (Restart-Computer) before it is generalized or exported"),
        }]),
        _ => Ok(vec![]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(|w| w.pending.reboot_pending = Fact::Known(true))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.pending.pending_xml = Fact::Known(true))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.pending.name_change = Fact::Known(true))), "pass");
        assert_eq!(ask(&RULE, &specialized_windows(|w| w.pending.name_change = Fact::Known(true))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.pending.packages_pending = Fact::unknown("x"))), "undecided");
        let both = windows(|w| (w.pending.packages_pending, w.pending.reboot_pending) = (Fact::unknown("x"), Fact::Known(true)));
        assert_eq!(ask(&RULE, &both), "hand");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RENAMES, &windows(|_| {})), "pass");
        assert_eq!(ask(&RENAMES, &windows(|w| w.pending.file_renames = Fact::Known(2))), "hand");
        assert_eq!(ask(&RENAMES, &windows(|w| w.pending.file_renames = Fact::unknown("x"))), "undecided");
    }
}
