//! W-61, W-62, WG-12: no answer file and no custom data of an earlier set-up.

use crate::facts::State;
use crate::rules::windows::guest;
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN061",
    name: "answer-file-left",
    requirement: "W-61",
    also: &["W-62"],
    // The order of the search is documented; that the file makes provisioning fail depends on what is in it.
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generalized images",
    summary: "No answer file is left where Windows Setup looks before Azure's own.",
    azure_error: Some("OS Provisioning for VM '<n>' did not finish in the allotted time."),
    source: source::ANSWER_FILES,
    docs: r"## What it checks

On a disk for a generalized image neither the value `SYSTEM\Setup\UnattendFile` nor a file `unattend.xml` or `autounattend.xml` may be left
in `\Windows\Panther\Unattend`, `\Windows\Panther`, `\Windows\System32\Sysprep` or the root. Their content is not read.

## Why it matters

Windows Setup takes the first answer file that it finds, and looks at these places before it looks at the medium by which Azure gives name,
account and password. With another file the machine may come up with none of them, or wait for answers. Azure does not support Sysprep
with an answer file of one's own.

## How to fix it

Before `sysprep`: `Remove-Item -Recurse -Force C:\Windows\Panther`, delete the other files, and run Sysprep without `/unattend`.",
    check: Check::Disk(answers),
};

pub(in crate::rules) static CUSTOM_DATA: Rule = Rule {
    code: "WGN012",
    name: "custom-data-left",
    requirement: "WG-12",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generalized images",
    summary: "No custom data of an earlier machine is left.",
    azure_error: None,
    source: source::GENERALIZE,
    docs: r"## What it checks

On a disk for a generalized image `\AzureData\CustomData.bin` must not be there. Its content is not read.

## Why it matters

It is what the first machine was given at its deployment, often a script, and at times with passwords. Every machine of the image gets it,
and a script that looks for the file may run it once more.

## How to fix it

Before `sysprep`: `Remove-Item -Recurse -Force C:\AzureData`.",
    check: Check::Disk(custom_data),
};

fn answers(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    let facts = &guest.windows.answer_files;
    let (registry, files) = (facts.registry.known(), facts.files.known());
    let mut found: Vec<String> = Vec::new();
    let mut cures: Vec<String> = Vec::new();
    let mut place = None;
    if let Ok(Some(path)) = &registry {
        found.push(format!(r"SYSTEM\Setup\UnattendFile names {path}"));
        cures.push(r#"reg delete "HKLM\SYSTEM\Setup" /v UnattendFile /f"#.to_owned());
        place = Some(Place::Registry(r"HKLM\SYSTEM\Setup\UnattendFile".to_owned()));
    }
    for file in files.iter().flatten().copied().flatten() {
        found.push(file.path.clone());
        cures.push(format!("Remove-Item -Force {}", word::powershell(&format!("C:{}", file.path))));
        place = place.or_else(|| shared::file(&file.path, None));
    }
    if found.is_empty() {
        registry?;
        return files.map(|_| vec![]).map_err(Skip::from);
    }
    let listed = shared::first_three(&found, ", ");
    Ok(vec![Finding {
        message: format!("an answer file is left: {listed}; Windows Setup takes it before Azure's, and name and account may not be set"),
        actual: listed,
        required: "no answer file".to_owned(),
        place,
        remedy: Remedy::hand(format!("before sysprep, in an elevated PowerShell: {}", cures.join("; "))),
    }])
}

fn custom_data(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    let Some(file) = guest.windows.answer_files.custom_data.known()? else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!("custom data of an earlier machine is left in {}; every machine of the image gets it", file.path),
        actual: format!("{} bytes", file.size),
        required: "no such file".to_owned(),
        place: shared::file(&file.path, None),
        remedy: Remedy::hand(r"before sysprep, in an elevated PowerShell: Remove-Item -Recurse -Force C:\AzureData"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, FileFacts};
    use crate::rules::testing::*;

    fn file(path: &str) -> FileFacts {
        FileFacts { path: path.to_owned(), size: 100 }
    }

    #[test]
    fn table() {
        let left = || Fact::Known(vec![file(r"\Windows\Panther\unattend.xml")]);
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(|w| w.answer_files.files = left())), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.answer_files.registry = Fact::Known("C:\\u.xml".to_owned()))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.answer_files.files = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &windows(|w| w.answer_files.registry = Fact::unknown("x"))), "undecided");
        let both = windows(|w| (w.answer_files.registry, w.answer_files.files) = (Fact::unknown("x"), left()));
        assert_eq!(ask(&RULE, &both), "hand");
        assert_eq!(ask(&RULE, &specialized_windows(|w| w.answer_files.files = left())), "not applicable");
        assert_eq!(ask(&CUSTOM_DATA, &windows(|_| {})), "pass");
        let data = || Fact::Known(file(r"\AzureData\CustomData.bin"));
        assert_eq!(ask(&CUSTOM_DATA, &windows(|w| w.answer_files.custom_data = data())), "hand");
        assert_eq!(ask(&CUSTOM_DATA, &specialized_windows(|w| w.answer_files.custom_data = data())), "not applicable");
        assert_eq!(ask(&CUSTOM_DATA, &windows(|w| w.answer_files.custom_data = Fact::unknown("x"))), "undecided");
    }
}
