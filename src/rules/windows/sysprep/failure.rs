//! W-64, WG-08: why Sysprep failed.

use super::{GENERALIZED, SYSPREP};
use crate::facts::{SetupErrorLogFacts, State};
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static APPX: Rule = Rule {
    code: "WIN064",
    name: "sysprep-stopped-by-app",
    requirement: "W-64",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Windows that Sysprep did not generalize, for generalized images",
    summary: "Sysprep was not stopped by an app that one user installed.",
    azure_error: Some("Sysprep was not able to validate your Windows installation."),
    source: source::APPX,
    docs: r"## What it checks

Where the disk is for a generalized image and Sysprep has not generalized it: whether Sysprep's log of errors names code 0x80073cf2 or AppX
packages.

## Why it matters

Apps of the Store that one user installed or updated, and that are not provisioned for all, make Sysprep refuse to run.

## How to fix it

In the machine, for the package that the log names: `Get-AppxPackage -AllUsers NAME | Remove-AppxPackage -AllUsers`, then run Sysprep again.
Keep the machine from updating apps meanwhile.",
    check: Check::Disk(appx),
};

pub(in crate::rules) static OTHERS: Rule = Rule {
    code: "WGN008",
    name: "sysprep-failed",
    requirement: "WG-08",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Windows that Sysprep did not generalize, for generalized images",
    summary: "Sysprep's log has no errors.",
    azure_error: Some("A fatal error occurred while trying to sysprep the machine."),
    source: source::SYSPREP,
    docs: r"## What it checks

Where the disk is for a generalized image and Sysprep has not generalized it: whether Sysprep's log of errors,
`\Windows\System32\Sysprep\Panther\setuperr.log`, has errors other than those of apps.

## Why it matters

They say why the machine is not generalized: a pending restart, BitLocker, hardening, a service that Sysprep waits for.

## How to fix it

Cure what the last error names, restart the machine, and run Sysprep again until it ends without an error.",
    check: Check::Disk(others),
};

/// The log, where it tells why the disk is not what it is wanted for.
fn log<'a>(subject: &Subject<'a>, target: &Target) -> Result<Option<&'a SetupErrorLogFacts>, Skip> {
    let guest = guest(subject)?;
    if target.state == Some(State::Specialized) {
        return Err(Skip::not_applicable("not for a generalized image"));
    }
    let marks = &guest.windows.sysprep;
    // A later run that succeeded makes older errors meaningless.
    if marks.image_state.known()?.is_some_and(|state| state == GENERALIZED) {
        return Err(Skip::not_applicable("Sysprep has generalized it"));
    }
    if target.state.is_none() && guest.os.state.known()? == Some(&State::Specialized) {
        return Err(Skip::not_applicable("not for a generalized image"));
    }
    Ok(marks.error_log.known()?.filter(|log| log.error_count > 0))
}

fn of_apps(log: &SetupErrorLogFacts) -> bool {
    log.errors.iter().any(|error| {
        let text = error.message.to_ascii_lowercase();
        error.codes.iter().any(|code| code.eq_ignore_ascii_case("0x80073cf2")) || text.contains("appx")
    })
}

fn appx(subject: &Subject<'_>, target: &Target) -> Judgement {
    let Some(log) = log(subject, target)?.filter(|log| of_apps(log)) else { return Ok(vec![]) };
    tell(log, "an app that one user installed stopped Sysprep", "Get-AppxPackage -AllUsers NAME | Remove-AppxPackage -AllUsers")
}

fn others(subject: &Subject<'_>, target: &Target) -> Judgement {
    let Some(log) = log(subject, target)?.filter(|log| !of_apps(log)) else { return Ok(vec![]) };
    tell(log, "Sysprep failed", "cure what the error names; Restart-Computer")
}

fn tell(log: &SetupErrorLogFacts, what: &str, cure: &str) -> Judgement {
    let last = log.errors.last().map(|error| error.message.trim().trim_end_matches('.').replace("  ", " ")).unwrap_or_default();
    let count = if log.error_count == 1 { "an error".to_owned() } else { format!("{} errors", log.error_count) };
    let codes: Vec<&str> = log.errors.iter().flat_map(|error| &error.codes).map(String::as_str).collect();
    let code = codes.last().map(|code| format!(" ({code})")).unwrap_or_default();
    Ok(vec![Finding {
        message: format!("{what}: {} has {count}{code}, and the disk is not generalized", log.path),
        actual: if last.is_empty() { count } else { format!("{count}, the last: {last}") },
        required: "a run of Sysprep without errors".to_owned(),
        place: shared::file(&log.path, None),
        remedy: Remedy::hand(format!("in an elevated PowerShell: {cure}; then {SYSPREP}")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact, SetupErrorFacts};
    use crate::rules::testing::*;

    fn failed(state: &str, code: &str, message: &str) -> DiskFacts {
        specialized_windows(|w| {
            w.sysprep.image_state = Fact::Known(state.to_owned());
            w.sysprep.error_log = Fact::Known(SetupErrorLogFacts {
                path: r"\Windows\System32\Sysprep\Panther\setuperr.log".to_owned(),
                size: 1000,
                error_count: 1,
                errors: vec![SetupErrorFacts { codes: vec![code.to_owned()], message: message.to_owned() }],
            });
        })
    }

    #[test]
    fn table() {
        let asked =
            |rule, facts: &DiskFacts| ask_for(rule, &subject(facts), &Target { state: Some(State::Generalized), ..Target::default() });
        let app = failed("IMAGE_STATE_UNDEPLOYABLE", "0x80073cf2", "SYSPRP Failed to remove apps for the current user.");
        let other = failed("IMAGE_STATE_UNDEPLOYABLE", "0x80310039", "BitLocker-Sysprep: BitLocker is on for the OS volume.");
        assert_eq!((asked(&APPX, &app), asked(&OTHERS, &app)), ("hand".to_owned(), "pass".to_owned()));
        assert_eq!((asked(&APPX, &other), asked(&OTHERS, &other)), ("pass".to_owned(), "hand".to_owned()));
        for rule in [&APPX, &OTHERS] {
            assert_eq!(asked(rule, &windows(|_| {})), "not applicable");
            assert_eq!(asked(rule, &specialized_windows(|_| {})), "pass");
            assert_eq!(ask(rule, &specialized_windows(|_| {})), "not applicable");
            assert_eq!(asked(rule, &failed(GENERALIZED, "0x80073cf2", "old")), "not applicable");
            assert_eq!(asked(rule, &specialized_windows(|w| w.sysprep.error_log = Fact::unknown("x"))), "undecided");
            let target = Target { state: Some(State::Specialized), ..Target::default() };
            assert_eq!(ask_for(rule, &subject(&app), &target), "not applicable");
        }
    }
}
