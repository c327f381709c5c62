//! W-63: Windows is not hibernated.

use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN063",
    name: "hibernated",
    requirement: "W-63",
    also: &[],
    // That Windows refuses what it saved on other hardware is likely and not documented.
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "Windows was shut down, and is not hibernated.",
    azure_error: None,
    source: source::HIBERNATION,
    docs: r"## What it checks

`\hiberfil.sys` must not begin with the mark of a saved machine (`HIBR`). Fast startup leaves the same mark at an ordinary shutdown.

## Why it matters

Windows tries to go on where it was, on hardware that is no longer there, with file systems that it holds to be as it left them. At best it
throws the saved state away after asking, at a screen that nobody sees.

## How to fix it

In the machine: `powercfg /hibernate off`, then `shutdown /s /f /t 0`, and export the disk again.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    if windows.hibernation.file.known()?.is_none_or(|file| file != "hibernated") {
        return Ok(vec![]);
    }
    let fast = windows.hibernation.fast_startup.value() == Some(&1);
    let how = if fast { " (fast startup is on)" } else { "" };
    Ok(vec![Finding {
        message: format!("Windows is hibernated{how}; in Azure it tries to go on with hardware that is not there"),
        actual: r"\hiberfil.sys holds a saved machine".to_owned(),
        required: "a Windows that was shut down".to_owned(),
        place: shared::file(r"\hiberfil.sys", None),
        remedy: Remedy::hand("in an elevated PowerShell: powercfg /hibernate off; shutdown /s /f /t 0; then export the disk again"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        let file = |file: Fact<String>| specialized_windows(|w| w.hibernation.file = file);
        assert_eq!(ask(&RULE, &file(Fact::Absent)), "pass");
        assert_eq!(ask(&RULE, &file(Fact::Known("resumed".to_owned()))), "pass");
        assert_eq!(ask(&RULE, &file(Fact::Known("hibernated".to_owned()))), "hand");
        assert_eq!(ask(&RULE, &file(Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }
}
