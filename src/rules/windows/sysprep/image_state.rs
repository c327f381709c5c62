//! WG-01, WG-02: what Sysprep says that the image is.

use super::{GENERALIZED, SYSPREP};
use crate::facts::State;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static UNDEPLOYABLE: Rule = Rule {
    code: "WGN001",
    name: "image-undeployable",
    requirement: "WG-01",
    also: &["X-03"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, except for specialized images",
    summary: "Setup or Sysprep did not leave the installation half done.",
    azure_error: None,
    source: source::SETUP_STATES,
    docs: r"## What it checks

`ImageState` must not be `IMAGE_STATE_UNDEPLOYABLE`.

## Why it matters

Windows sets that state while a phase of Setup or Sysprep works, and another one when the phase ends well. On a disk at rest it means that
the phase failed: machines made from the image do not come up. Image builders wait for the right state for ever.

## How to fix it

Start the machine, look for the cause in `\Windows\System32\Sysprep\Panther\setuperr.log`, cure it, restart, and generalize again with
`sysprep /generalize /oobe /mode:vm /shutdown`.",
    check: Check::Disk(undeployable),
};

pub(in crate::rules) static AUDIT: Rule = Rule {
    code: "WGN101",
    name: "audit-mode",
    requirement: "WG-01",
    also: &["X-04"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "Windows does not start in audit mode.",
    azure_error: Some("OS Provisioning for VM '<n>' did not finish in the allotted time."),
    source: source::SETUP_STATES,
    docs: r"## What it checks

`ImageState` must not be one of the states that end in `RESEAL_TO_AUDIT`.

## Why it matters

Sysprep with `/audit`, or without `/oobe`, makes Windows start in audit mode: it logs on by itself and waits for somebody to install
software. Azure's provisioning belongs to the other way, and never ends.

## How to fix it

Start the machine and run `sysprep /generalize /oobe /mode:vm /shutdown`.",
    check: Check::Disk(audit),
};

pub(in crate::rules) static NOT_GENERALIZED: Rule = Rule {
    code: "WGN201",
    name: "sysprep-without-generalize",
    requirement: "WG-01",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "Sysprep did not run without /generalize.",
    azure_error: None,
    source: source::SETUP_STATES,
    docs: r"## What it checks

`ImageState` must not be `IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE`.

## Why it matters

In that state the installation has the identity of one machine and still waits for its first set-up. It is neither a template nor a
machine: as generalized its copies share one identity, as specialized it waits at screens that nobody sees.

## How to fix it

Start the machine, finish its set-up, and run `sysprep /generalize /oobe /mode:vm /shutdown`, or use it as specialized.",
    check: Check::Disk(not_generalized),
};

pub(in crate::rules) static WITNESSES: Rule = Rule {
    code: "WGN002",
    name: "image-state-files-differ",
    requirement: "WG-02",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "The registry and State.ini tell the same state.",
    azure_error: None,
    source: source::SETUP_STATES,
    docs: r"## What it checks

`ImageState` of the registry must be that of `\Windows\Setup\State\State.ini`, where both are there.

## Why it matters

Setup and Sysprep write both. Where they differ, one was edited by hand, or Sysprep stopped between the two: the state is not to be trusted.

## How to fix it

Start the machine and generalize it again with `sysprep /generalize /oobe /mode:vm /shutdown`. Do not edit the values.",
    check: Check::Disk(witnesses),
};

const PLACE: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State\ImageState";

/// The state that the registry tells, else the file that Setup keeps beside it.
fn state<'a>(subject: &Subject<'a>) -> Result<&'a str, Skip> {
    let marks = &guest(subject)?.windows.sysprep;
    let found = match marks.image_state.known()? {
        Some(state) => Some(state),
        None => marks.image_state_file.known()?,
    };
    found.map(String::as_str).ok_or_else(|| Skip::not_applicable("Windows has no ImageState"))
}

fn tell(state: &str, effect: &str) -> Judgement {
    Ok(vec![Finding {
        message: format!("ImageState is {state}: {effect}"),
        actual: state.to_owned(),
        required: GENERALIZED.to_owned(),
        place: Some(Place::Registry(PLACE.to_owned())),
        remedy: Remedy::hand(format!("start the machine, and in an elevated PowerShell: {SYSPREP}")),
    }])
}

fn undeployable(subject: &Subject<'_>, target: &Target) -> Judgement {
    let state = state(subject)?;
    if state != "IMAGE_STATE_UNDEPLOYABLE" {
        return Ok(vec![]);
    }
    // A machine whose Sysprep failed goes on working; IMG008 tells that it is none of both.
    if target.state == Some(State::Specialized) {
        return Err(Skip::not_applicable("not for a generalized image"));
    }
    tell(state, "a phase of Setup or Sysprep did not end, and machines made from the image do not come up")
}

fn audit(subject: &Subject<'_>, _: &Target) -> Judgement {
    let state = state(subject)?;
    if !state.ends_with("RESEAL_TO_AUDIT") {
        return Ok(vec![]);
    }
    tell(state, "Windows starts in audit mode, where Azure's provisioning never ends")
}

fn not_generalized(subject: &Subject<'_>, _: &Target) -> Judgement {
    let state = state(subject)?;
    if state != "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE" {
        return Ok(vec![]);
    }
    tell(state, "Sysprep ran without /generalize, so that it keeps one machine's identity and still waits for its first set-up")
}

fn witnesses(subject: &Subject<'_>, _: &Target) -> Judgement {
    let marks = &guest(subject)?.windows.sysprep;
    let (Some(registry), Some(file)) = (marks.image_state.known()?, marks.image_state_file.known()?) else {
        return Err(Skip::not_applicable("only one of them tells a state"));
    };
    if registry.eq_ignore_ascii_case(file) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("the registry says {registry} and State.ini says {file}; one was edited, or Sysprep stopped between them"),
        actual: format!("{registry} and {file}"),
        required: "the same state in both".to_owned(),
        place: shared::file(r"\Windows\Setup\State\State.ini", None),
        remedy: Remedy::hand(format!("start the machine, and in an elevated PowerShell: {SYSPREP}")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(state: &str) -> DiskFacts {
        windows(|w| w.sysprep.image_state = Fact::Known(state.to_owned()))
    }

    #[test]
    fn each_state_has_its_rule() {
        let all = [&UNDEPLOYABLE, &AUDIT, &NOT_GENERALIZED];
        for (state, found) in [
            (GENERALIZED, None),
            ("IMAGE_STATE_COMPLETE", None),
            ("IMAGE_STATE_UNDEPLOYABLE", Some("WGN001")),
            ("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT", Some("WGN101")),
            ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT", Some("WGN101")),
            ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", Some("WGN201")),
        ] {
            for rule in all {
                let said = if found == Some(rule.code) { "hand" } else { "pass" };
                assert_eq!(ask(rule, &with(state)), said, "{} {state}", rule.code);
            }
        }
        for rule in all {
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
            assert_eq!(ask(rule, &windows(|w| w.sysprep.image_state = Fact::unknown("x"))), "undecided");
            let none = windows(|w| (w.sysprep.image_state, w.sysprep.image_state_file) = (Fact::Absent, Fact::Absent));
            assert_eq!(ask(rule, &none), "not applicable");
        }
        let target = Target { state: Some(State::Specialized), ..Target::default() };
        assert_eq!(ask_for(&UNDEPLOYABLE, &subject(&with("IMAGE_STATE_UNDEPLOYABLE")), &target), "not applicable");
    }

    #[test]
    fn two_witnesses() {
        assert_eq!(ask(&WITNESSES, &windows(|_| {})), "pass");
        assert_eq!(ask(&WITNESSES, &with("IMAGE_STATE_COMPLETE")), "hand");
        assert_eq!(ask(&WITNESSES, &windows(|w| w.sysprep.image_state_file = Fact::Absent)), "not applicable");
        assert_eq!(ask(&WITNESSES, &windows(|w| w.sysprep.image_state_file = Fact::unknown("x"))), "undecided");
    }
}
