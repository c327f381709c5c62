//! W-33: page files.

use crate::facts::{Unknown, WindowsFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::guest;
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN133",
    name: "page-file-on-missing-volume",
    requirement: "W-33",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Page files are on volumes that the machine has in Azure.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Each entry of `PagingFiles` (`Session Manager\Memory Management`) must name the drive of Windows, `?:` for a drive of Windows' choice, `D:`,
or a drive that is on one of the disks that are given together.

## Why it matters

Without its page file Windows makes a temporary one on its own drive at each start, or runs without: memory runs out early, and a crash
leaves no dump.

## How to fix it

In an elevated PowerShell, on one line: `reg add 'HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management' /v PagingFiles
/t REG_MULTI_SZ /d '?:\pagefile.sys' /f`.",
    check: Check::Disk(check),
};

pub(in crate::rules) static TEMPORARY: Rule = Rule {
    code: "WIN233",
    name: "page-file-on-temporary-disk",
    requirement: "W-33",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "A page file on drive D needs a size of machine with a temporary disk.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Whether `PagingFiles` names `D:`, and no disk that is given has that drive.

## Why it matters

`D:` is the temporary disk of a machine in Azure, and the right place for its page file. Sizes without a temporary disk have no such drive.

## How to fix it

Take a size with a temporary disk, or let Windows choose the drive: `?:\pagefile.sys`.",
    check: Check::Disk(temporary),
};

const MEMORY: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management";
/// The drive of the temporary disk in Azure.
const TEMPORARY_DRIVE: char = 'D';

/// The drive of an entry, if it is neither that of Windows nor on a given disk.
fn missing_drive(windows: &WindowsFacts, entry: &str) -> Result<Option<char>, Unknown> {
    match checks::drive_of(entry.trim_start()) {
        Some(letter) if letter != checks::system_drive(windows) && !checks::is_given(windows, letter)? => Ok(Some(letter)),
        _ => Ok(None),
    }
}

fn look(windows: &WindowsFacts, of: impl Fn(char) -> bool) -> Checks<'_> {
    let mut checks = Checks::of(windows);
    let Some(entries) = checks.ask(&windows.system.page_files) else { return checks };
    for entry in entries.into_iter().flatten() {
        match missing_drive(windows, entry) {
            Err(reason) => checks.miss(reason),
            Ok(Some(letter)) if of(letter) => checks.add(Wrong {
                found: entry.clone(),
                required: r"?:\pagefile.sys".to_owned(),
                place: checks::place(windows, MEMORY, "PagingFiles"),
                cure: format!(r#"reg add "{MEMORY}" /v PagingFiles /t REG_MULTI_SZ /d "?:\pagefile.sys" /f"#),
            }),
            Ok(_) => {}
        }
    }
    checks
}

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    look(windows, |letter| letter != TEMPORARY_DRIVE)
        .finding(|list| format!("a page file is on a volume that is not given ({list}); Windows runs in Azure without it"))
}

fn temporary(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    look(windows, |letter| letter == TEMPORARY_DRIVE)
        .finding(|list| format!("a page file is on drive D ({list}), the temporary disk in Azure, which not every size of machine has"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriveLetterFacts, Fact};
    use crate::rules::testing::windows::partition_reference;
    use crate::rules::testing::{ask, healthy_os, specialized_windows, windows};

    #[test]
    fn drives_of_page_files() {
        for (entry, missing, temporary) in [
            (r"?:\pagefile.sys", "pass", "pass"),
            (r"C:\pagefile.sys 0 0", "pass", "pass"),
            (r"%SystemDrive%\pagefile.sys", "pass", "pass"),
            (r"D:\pagefile.sys 0 0", "pass", "hand"),
            (r"e:\pagefile.sys 2048 4096", "hand", "pass"),
        ] {
            let facts = windows(|w| w.system.page_files = Fact::Known(vec![entry.to_owned()]));
            assert_eq!((ask(&RULE, &facts).as_str(), ask(&TEMPORARY, &facts).as_str()), (missing, temporary), "{entry}");
        }
        for rule in [&RULE, &TEMPORARY] {
            assert_eq!(ask(rule, &windows(|w| w.system.page_files = Fact::Absent)), "pass");
            assert_eq!(ask(rule, &windows(|w| w.system.page_files = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
    }

    #[test]
    fn given_drives_count() {
        for letter in ["D", "E"] {
            let facts = specialized_windows(|w| {
                w.system.page_files = Fact::Known(vec![format!(r"{letter}:\pagefile.sys 0 0")]);
                w.drives = Fact::Known(vec![DriveLetterFacts {
                    letter: letter.to_owned(),
                    kind: "partition".to_owned(),
                    partition: Fact::Known(partition_reference()),
                    device: Fact::Absent,
                }]);
            });
            assert_eq!((ask(&RULE, &facts).as_str(), ask(&TEMPORARY, &facts).as_str()), ("pass", "pass"));
        }
        assert_eq!(
            ask(
                &RULE,
                &windows(|w| {
                    w.system.page_files = Fact::Known(vec![r"E:\pagefile.sys".to_owned()]);
                    w.drives = Fact::unknown("x");
                })
            ),
            "undecided"
        );
    }
}
