//! G-08: the EFI System Partition has the boot manager of Windows and its store.

use crate::facts::EspFacts;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

// An error, though it is common knowledge and in no document of Azure's: without the files there is nothing that the firmware could start.
pub(in crate::rules) static RULE: Rule = Rule {
    code: "GEN008",
    name: "windows-boot-files-missing",
    requirement: "G-08",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generation 2",
    summary: "The EFI System Partition has a boot manager of Windows and its store.",
    azure_error: Some("Boot failure: the boot loader did not load an operating system (in the boot diagnostics screenshot)"),
    source: source::BCD_ERROR,
    docs: r"## What it checks

The EFI System Partition must have `\EFI\Microsoft\Boot\BCD`, and `\EFI\Microsoft\Boot\bootmgfw.efi` or its copy
`\EFI\BOOT\BOOTX64.EFI`.

## Why it matters

The firmware starts the boot manager, and that reads from its store which Windows to start. Without either, nothing starts.

## How to fix it

With the disk attached to a rescue machine: `bcdboot X:\Windows /s S: /f UEFI`, where `X:` is its Windows and `S:` its EFI System
Partition.",
    check: Check::Disk(missing),
};

pub(in crate::rules) static COPY_ONLY: Rule = Rule {
    code: "GEN108",
    name: "bootmgfw-missing",
    requirement: "G-08",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generation 2",
    summary: "The boot manager of Windows is where Windows looks for it.",
    azure_error: None,
    source: source::BCD_ERROR,
    docs: r"## What it checks

Where the EFI System Partition has `\EFI\BOOT\BOOTX64.EFI`: whether it has `\EFI\Microsoft\Boot\bootmgfw.efi` too.

## Why it matters

The machine starts from the copy. But Windows keeps and updates the other file, and boot entries name it.

## How to fix it

In the machine: `bcdboot C:\Windows`.",
    check: Check::Disk(copy_only),
};

fn esp<'a>(subject: &Subject<'a>, target: &Target) -> Result<&'a EspFacts, Skip> {
    guest(subject)?;
    shared::demand_possible_generation(subject.facts, target, 2)?;
    let none = || Skip::not_applicable("there is no EFI System Partition that can be read; GEN005 tells of it");
    subject.facts.boot.known()?.ok_or_else(none)?.esp.known()?.ok_or_else(none)
}

fn missing(subject: &Subject<'_>, target: &Target) -> Judgement {
    let esp = esp(subject, target)?;
    let mut lacks = Vec::new();
    if esp.bcd.value() == Some(&false) {
        lacks.push(r"\EFI\Microsoft\Boot\BCD");
    }
    if esp.windows_boot_manager.value() == Some(&false) && esp.fallback.known()?.is_none() {
        lacks.push(r"\EFI\Microsoft\Boot\bootmgfw.efi");
    }
    if lacks.is_empty() {
        esp.bcd.known()?;
        esp.windows_boot_manager.known()?;
        return Ok(vec![]);
    }
    let words = lacks.join(" and ");
    Ok(vec![Finding {
        message: format!(
            "the EFI System Partition, number {}, lacks {words}; a generation 2 machine does not start Windows",
            esp.partition
        ),
        actual: format!("no {words}"),
        required: "the boot manager of Windows and its store".to_owned(),
        place: lacks.first().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand(
            r"with the disk attached to a rescue machine: bcdboot X:\Windows /s S: /f UEFI (X: its Windows, S: its EFI System Partition)",
        ),
    }])
}

fn copy_only(subject: &Subject<'_>, target: &Target) -> Judgement {
    let esp = esp(subject, target)?;
    if esp.windows_boot_manager.known()? != Some(&false) {
        return Ok(vec![]);
    }
    let Some(fallback) = esp.fallback.known()? else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!(
            r"\EFI\Microsoft\Boot\bootmgfw.efi is missing; the machine starts from {}, which Windows does not update",
            fallback.path
        ),
        actual: fallback.path.clone(),
        required: r"\EFI\Microsoft\Boot\bootmgfw.efi".to_owned(),
        place: shared::file(r"\EFI\Microsoft\Boot\bootmgfw.efi", None),
        remedy: Remedy::hand(r"in an elevated PowerShell: bcdboot C:\Windows"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        let with = |change: &dyn Fn(&mut EspFacts)| windows_disk(|f| change(known(&mut known(&mut f.boot).esp)));
        let asked = |rule, facts| ask_for(rule, &subject(&facts), &Target { generation: Some(2), ..Target::default() });
        assert_eq!(asked(&RULE, with(&|_| {})), "pass");
        assert_eq!(asked(&RULE, with(&|esp| esp.bcd = Fact::Known(false))), "hand");
        assert_eq!(asked(&RULE, with(&|esp| esp.bcd = Fact::unknown("x"))), "undecided");
        assert_eq!(asked(&RULE, with(&|esp| (esp.windows_boot_manager, esp.fallback) = (Fact::Known(false), Fact::Absent))), "hand");
        assert_eq!(asked(&COPY_ONLY, with(&|_| {})), "pass");
        assert_eq!(asked(&COPY_ONLY, with(&|esp| esp.windows_boot_manager = Fact::Known(false))), "hand");
        assert_eq!(asked(&RULE, with(&|esp| esp.windows_boot_manager = Fact::Known(false))), "pass");
        assert_eq!(asked(&RULE, windows_disk(|f| known(&mut f.boot).esp = Fact::Absent)), "not applicable");
        assert_eq!(asked(&RULE, windows_disk(|f| f.boot = Fact::unknown("x"))), "undecided");
        assert_eq!(asked(&RULE, healthy_os()), "not applicable");
        let first = Target { generation: Some(1), ..Target::default() };
        assert_eq!(ask_for(&RULE, &subject(&with(&|esp| esp.bcd = Fact::Known(false))), &first), "not applicable");
    }
}
