//! W-39: a file system that is whole, and nothing that runs before Windows starts.

use crate::facts::{DiskFacts, Fact, OsRoot};
use crate::rules::windows::{checks, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static DIRTY: Rule = Rule {
    code: "WIN139",
    name: "windows-volume-dirty",
    requirement: "W-39",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The volume of Windows was unmounted cleanly.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The NTFS file system that Windows is on must not bear the mark by which Windows checks it at the next start.

## Why it matters

The check runs before Windows starts, at every machine made from the disk, and takes minutes to hours. A disk that was copied while its
machine ran has the mark too, and what was written last is not on it.

## How to fix it

Start the machine, run `chkdsk C: /f`, restart it, and shut it down before the disk is copied again.",
    check: Check::Disk(dirty),
};

pub(in crate::rules) static BOOT_EXECUTE: Rule = Rule {
    code: "WIN239",
    name: "programs-before-start",
    requirement: "W-39",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Nothing but Windows' own look at its volumes runs before the services start.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`BootExecute` of `Session Manager` should have `autocheck autochk *` alone. Entries that keep volumes from being checked do not count.

## Why it matters

`autochk` with `/p` or `/r` is a check of a volume that somebody has ordered: it runs at the first start in Azure, where nobody sees it, and
takes minutes to hours. Other programs there are mostly left behind by software that wanted to delete or move files.

## How to fix it

Let the machine start once and run what was ordered, or set the value back, in an elevated PowerShell on one line:
`reg add 'HKLM\SYSTEM\CurrentControlSet\Control\Session Manager' /v BootExecute /t REG_MULTI_SZ /d 'autocheck autochk *' /f`.",
    check: Check::Disk(boot_execute),
};

const SESSION: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager";

/// Whether what Windows is on was unmounted cleanly.
fn clean(facts: &DiskFacts, root: &OsRoot) -> Result<Option<bool>, Skip> {
    let content = match root {
        OsRoot::Partition(number) => {
            let partitions = facts.partitions.known()?;
            partitions.into_iter().flatten().find(|partition| partition.number == *number).map(|partition| &partition.content)
        }
        OsRoot::Volume(name) if name == "disk" => Some(&facts.content),
        OsRoot::Volume(name) => {
            facts.volumes.known()?.into_iter().flatten().find(|volume| volume.name == *name).map(|volume| &volume.content)
        }
    };
    match content.map(Fact::known).transpose()?.flatten() {
        Some(content) => Ok(content.clean.known()?.copied()),
        None => Ok(None),
    }
}

fn dirty(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let Some(root) = guest.os.root.known()? else { return Ok(vec![]) };
    if clean(subject.facts, root)? != Some(false) {
        return Ok(vec![]);
    }
    let at = match root {
        OsRoot::Partition(number) => {
            let partitions = subject.facts.partitions.value().into_iter().flatten();
            partitions
                .filter(|partition| partition.number == *number)
                .find_map(|partition| shared::disk_place(subject.facts, partition.start, 512))
        }
        OsRoot::Volume(_) => None,
    };
    Ok(vec![Finding {
        message: "the volume that Windows is on was not unmounted cleanly; Windows checks it at the first start in Azure, and what was \
                  written last may be missing"
            .to_owned(),
        actual: "not clean".to_owned(),
        required: "clean".to_owned(),
        place: at,
        remedy: Remedy::hand("start the machine, run chkdsk C: /f, restart it, shut it down, and copy the disk again"),
    }])
}

/// Whether an entry is Windows' own, or keeps a volume from being checked.
fn is_usual(entry: &str) -> bool {
    let words: Vec<String> = entry.split_whitespace().map(str::to_ascii_lowercase).collect();
    let ordered = words.iter().any(|word| matches!(word.as_str(), "/p" | "/r" | "/f"));
    words.starts_with(&["autocheck".to_owned(), "autochk".to_owned()]) && words.last().is_some_and(|last| last == "*") && !ordered
}

fn boot_execute(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let entries = windows.system.boot_execute.known()?.map(Vec::as_slice).unwrap_or_default();
    let others: Vec<String> = entries.iter().filter(|entry| !is_usual(entry)).cloned().collect();
    if others.is_empty() {
        return Ok(vec![]);
    }
    let list = shared::first_three(&others, ", ");
    Ok(vec![Finding {
        message: format!("BootExecute runs more than Windows' own look at its volumes ({list}); it delays the first start in Azure"),
        actual: others.join(", "),
        required: "autocheck autochk *".to_owned(),
        place: checks::place(windows, SESSION, "BootExecute"),
        remedy: Remedy::hand(format!(
            "let the machine start once, so that it runs; or reg add \"{SESSION}\" /v BootExecute /t REG_MULTI_SZ /d \"autocheck \
             autochk *\" /f"
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{ask, healthy_os, known, windows, windows_disk};

    #[test]
    fn the_mark_of_the_volume() {
        let clean = |clean: Fact<bool>| windows_disk(|disk| known(&mut known(&mut disk.partitions)[2].content).clean = clean);
        assert_eq!(ask(&DIRTY, &clean(Fact::Known(true))), "pass");
        assert_eq!(ask(&DIRTY, &clean(Fact::Known(false))), "hand");
        assert_eq!(ask(&DIRTY, &clean(Fact::Absent)), "pass");
        assert_eq!(ask(&DIRTY, &clean(Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DIRTY, &windows_disk(|disk| known(&mut disk.partitions)[2].content = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DIRTY, &windows_disk(|disk| known(&mut disk.partitions)[1].content = Fact::unknown("x"))), "pass");
        assert_eq!(ask(&DIRTY, &healthy_os()), "not applicable");
    }

    #[test]
    fn entries_of_boot_execute() {
        let asked = |entries: &[&str]| {
            let entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
            ask(&BOOT_EXECUTE, &windows(|w| w.system.boot_execute = Fact::Known(entries)))
        };
        assert_eq!(asked(&["autocheck autochk *"]), "pass");
        assert_eq!(asked(&["autocheck autochk /k:D *"]), "pass");
        assert_eq!(asked(&["autocheck autochk /q /v *"]), "pass");
        assert_eq!(asked(&[]), "pass");
        assert_eq!(asked(&[r"autocheck autochk /p \??\C:", "autocheck autochk *"]), "hand");
        assert_eq!(asked(&["autocheck autochk *", "sdnclean64.exe"]), "hand");
        assert_eq!(ask(&BOOT_EXECUTE, &windows(|w| w.system.boot_execute = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&BOOT_EXECUTE, &windows(|w| w.system.boot_execute = Fact::Absent)), "pass");
        assert_eq!(ask(&BOOT_EXECUTE, &healthy_os()), "not applicable");
    }
}
