//! W-65, WG-03, WG-04, WG-07, WG-09, WG-10: lesser marks of Sysprep. None of them decides anything by itself.

use super::{COMPLETE, GENERALIZED, SYSPREP};
use crate::facts::State;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static STATUS: Rule = Rule {
    code: "WGN003",
    name: "sysprep-status-unusual",
    requirement: "WG-03",
    also: &["WG-04"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "SysprepStatus has the values of a finished run.",
    azure_error: None,
    source: source::SYSPREP,
    docs: r"## What it checks

In `SYSTEM\Setup\Status\SysprepStatus`: `GeneralizationState` is 7, or 3 on a generalized disk, and `CleanupState` is 2.

## Why it matters

Microsoft does not document these values. Others were seen where Sysprep had failed or had not finished. 7 stands on every machine on
which Sysprep does not work, and says nothing about whether it is generalized.

## How to fix it

Look into `\Windows\System32\Sysprep\Panther\setupact.log`. Do not edit the values to make Sysprep run.",
    check: Check::Disk(status),
};

pub(in crate::rules) static TAG: Rule = Rule {
    code: "WGN007",
    name: "sysprep-tag-missing",
    requirement: "WG-07",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Windows that Sysprep has generalized",
    summary: "Sysprep_succeeded.tag is there.",
    azure_error: None,
    source: source::SYSPREP,
    docs: r"## What it checks

Where `ImageState` says that Sysprep has generalized the disk: whether `\Windows\System32\Sysprep\Sysprep_succeeded.tag` is there.

## Why it matters

Sysprep writes the file at its end. Without it the state may have been edited by hand, or the file was deleted, which does no harm.

## How to fix it

If in doubt, start the machine and generalize it again with `sysprep /generalize /oobe /mode:vm /shutdown`.",
    check: Check::Disk(tag),
};

pub(in crate::rules) static IDENTITY: Rule = Rule {
    code: "WGN009",
    name: "identity-left",
    requirement: "WG-09",
    also: &["WG-10"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Windows that Sysprep has generalized",
    summary: "MachineGuid and drive letters of the first machine are gone.",
    azure_error: None,
    source: source::SYSPREP,
    docs: r"## What it checks

Where `ImageState` says that Sysprep has generalized the disk: whether `Cryptography\MachineGuid` is still set, and whether
`SYSTEM\MountedDevices` still keeps drive letters for partitions.

## Why it matters

Sysprep removes both, and the first start makes them anew. Where they are left, the state may have been edited by hand, or the machine was
started since; machines of the image may then share what tells them apart.

## How to fix it

If in doubt, start the machine and generalize it again with `sysprep /generalize /oobe /mode:vm /shutdown`.",
    check: Check::Disk(identity),
};

pub(in crate::rules) static REARM: Rule = Rule {
    code: "WIN065",
    name: "sysprep-skips-rearm",
    requirement: "W-65",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generalized images",
    summary: "SkipRearm is not set.",
    azure_error: None,
    source: source::SYSPREP,
    docs: r"## What it checks

`SoftwareProtectionPlatform\SkipRearm` must not be 1 on a disk for a generalized image. How often Sysprep may still run is not on the disk:
up to 1,001 times since Windows 8.1 and Windows Server 2012 R2, three times before.

## Why it matters

With it Sysprep does not reset the activation, so that machines of the image share its identity towards activation servers. It is meant
for trials of an image.

## How to fix it

Set `SkipRearm` to 0 and run Sysprep again.",
    check: Check::Disk(rearm),
};

const STATUS_KEY: &str = r"HKLM\SYSTEM\Setup\Status\SysprepStatus";

fn generalized(subject: &Subject<'_>) -> Result<(), Skip> {
    match guest(subject)?.windows.sysprep.image_state.known()? {
        Some(state) if state == GENERALIZED => Ok(()),
        _ => Err(Skip::not_applicable("Sysprep has not generalized it")),
    }
}

fn again() -> Remedy {
    Remedy::hand(format!("if in doubt, start the machine, and in an elevated PowerShell: {SYSPREP}"))
}

fn status(subject: &Subject<'_>, _: &Target) -> Judgement {
    let marks = &guest(subject)?.windows.sysprep;
    let three = match marks.image_state.known()?.map(String::as_str) {
        Some(GENERALIZED) => true,
        Some(COMPLETE) => false,
        // What is wrong with other states is told by what they say themselves.
        _ => return Err(Skip::not_applicable("ImageState is that of neither a template nor a machine")),
    };
    let mut odd = Vec::new();
    if let Some(value) = marks.generalization_state.known()?
        && *value != 7
        && !(three && *value == 3)
    {
        odd.push(format!("GeneralizationState is {value}"));
    }
    if let Some(value) = marks.cleanup_state.known()?
        && *value != 2
    {
        odd.push(format!("CleanupState is {value}"));
    }
    if odd.is_empty() {
        return Ok(vec![]);
    }
    let words = odd.join(", ");
    Ok(vec![Finding {
        message: format!("{words}, as it was seen where Sysprep had failed or had not finished"),
        actual: words,
        required: "GeneralizationState 7 (3 after generalizing), CleanupState 2".to_owned(),
        place: Some(Place::Registry(STATUS_KEY.to_owned())),
        remedy: Remedy::hand(r"look into C:\Windows\System32\Sysprep\Panther\setupact.log, cure what it names, and run Sysprep again"),
    }])
}

fn tag(subject: &Subject<'_>, _: &Target) -> Judgement {
    generalized(subject)?;
    if guest(subject)?.windows.sysprep.succeeded_tag.known()? != Some(&false) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "Sysprep has generalized it, but Sysprep_succeeded.tag is missing; the state may have been edited by hand".to_owned(),
        actual: "no such file".to_owned(),
        required: r"\Windows\System32\Sysprep\Sysprep_succeeded.tag".to_owned(),
        place: shared::file(r"\Windows\System32\Sysprep\Sysprep_succeeded.tag", None),
        remedy: again(),
    }])
}

fn identity(subject: &Subject<'_>, _: &Target) -> Judgement {
    generalized(subject)?;
    let windows = guest(subject)?.windows;
    let mut left = Vec::new();
    if windows.sysprep.machine_guid.known()? == Some(&true) {
        left.push("MachineGuid is set".to_owned());
    }
    let drives = windows.drives.known()?.map(Vec::as_slice).unwrap_or_default();
    let letters: Vec<String> = drives.iter().filter(|one| one.kind == "partition").map(|one| format!("{}:", one.letter)).collect();
    if !letters.is_empty() {
        left.push(format!("drive letters are kept for partitions ({})", letters.join(", ")));
    }
    if left.is_empty() {
        return Ok(vec![]);
    }
    let words = left.join(", and ");
    Ok(vec![Finding {
        message: format!("Sysprep has generalized it, but {words}; it may have been started since, or edited by hand"),
        actual: words,
        required: "neither".to_owned(),
        place: Some(Place::Registry(r"HKLM\SYSTEM\MountedDevices".to_owned())),
        remedy: again(),
    }])
}

fn rearm(subject: &Subject<'_>, target: &Target) -> Judgement {
    const KEY: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform";
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    match guest.windows.sysprep.skip_rearm.known()? {
        Some(value) if *value != 0 => Ok(vec![Finding {
            message: "SkipRearm is set: Sysprep did not reset the activation, and machines of the image share its identity".to_owned(),
            actual: format!("SkipRearm {value}"),
            required: "SkipRearm 0".to_owned(),
            place: Some(Place::Registry(format!(r"{KEY}\SkipRearm"))),
            remedy: Remedy::hand(format!(
                r#"in an elevated PowerShell: reg add "{KEY}" /v SkipRearm /t REG_DWORD /d 0 /f; then {SYSPREP}"#
            )),
        }]),
        _ => Ok(vec![]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        for rule in [&STATUS, &TAG, &IDENTITY, &REARM] {
            assert_eq!(ask(rule, &windows(|_| {})), "pass", "{}", rule.code);
            assert_eq!(ask(rule, &healthy_os()), "not applicable", "{}", rule.code);
        }
        for rule in [&TAG, &IDENTITY, &REARM] {
            assert_eq!(ask(rule, &specialized_windows(|_| {})), "not applicable", "{}", rule.code);
        }
        assert_eq!(ask(&STATUS, &specialized_windows(|_| {})), "pass");
        assert_eq!(ask(&STATUS, &specialized_windows(|w| w.sysprep.generalization_state = Fact::Known(3))), "hand");
        assert_eq!(ask(&STATUS, &windows(|w| w.sysprep.generalization_state = Fact::Known(7))), "pass");
        assert_eq!(ask(&STATUS, &windows(|w| w.sysprep.cleanup_state = Fact::Known(1))), "hand");
        assert_eq!(ask(&STATUS, &windows(|w| w.sysprep.cleanup_state = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&TAG, &windows(|w| w.sysprep.succeeded_tag = Fact::Known(false))), "hand");
        assert_eq!(ask(&TAG, &windows(|w| w.sysprep.succeeded_tag = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&IDENTITY, &windows(|w| w.sysprep.machine_guid = Fact::Known(true))), "hand");
        assert_eq!(ask(&IDENTITY, &windows(|w| w.drives = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&REARM, &windows(|w| w.sysprep.skip_rearm = Fact::Known(1))), "hand");
        assert_eq!(ask(&REARM, &windows(|w| w.sysprep.skip_rearm = Fact::Absent)), "pass");
    }
}
