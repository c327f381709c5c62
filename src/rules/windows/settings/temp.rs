//! W-12: the system's directory for temporary files.

use crate::facts::{Unknown, WindowsFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::{commands, guest};
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static ELSEWHERE: Rule = Rule {
    code: "WIN112",
    name: "temp-on-missing-volume",
    requirement: "W-12",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The system's directory for temporary files is on a volume that the machine has in Azure.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`TEMP` and `TMP` of all users (`Session Manager\Environment`) must not name another drive than that of Windows, unless that drive is on one
of the disks that are given together, nor a share.

## Why it matters

Services unpack there what they install: provisioning, the VM agent and its extensions among them. On a volume that does not exist they
fail. The temporary disk of a machine in Azure is no place for it either: not every size has one, and it comes empty.

## How to fix it

In an elevated PowerShell, for `TEMP` and `TMP`: `reg add 'HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment' /v TEMP
/t REG_EXPAND_SZ /d '%SystemRoot%\TEMP' /f` on one line.",
    check: Check::Disk(elsewhere),
};

pub(in crate::rules) static CHANGED: Rule = Rule {
    code: "WIN212",
    name: "temp-not-default",
    requirement: "W-12",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The system's directory for temporary files is the one that Windows is installed with.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`TEMP` and `TMP` of all users (`Session Manager\Environment`) should be `%SystemRoot%\TEMP`. Other drives are told by WIN112.

## Why it matters

Services, those of Azure among them, unpack there what they install. Another directory works if it exists and the system may write there.

## How to fix it

In an elevated PowerShell, for `TEMP` and `TMP`: `reg add 'HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment' /v TEMP
/t REG_EXPAND_SZ /d '%SystemRoot%\TEMP' /f` on one line.",
    check: Check::Disk(changed),
};

const ENVIRONMENT: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
const DEFAULT: &str = r"%SystemRoot%\TEMP";

/// Where a path leads.
#[derive(PartialEq, Eq)]
enum Leads {
    Default,
    Changed,
    Elsewhere,
}

fn leads(windows: &WindowsFacts, path: &str) -> Result<Leads, Unknown> {
    let path = path.trim().trim_end_matches('\\').to_ascii_lowercase().replace('/', "\\");
    let drive = checks::system_drive(windows);
    let root = windows.product.system_root.value().map_or_else(|| r"C:\Windows".to_owned(), Clone::clone).to_ascii_lowercase();
    let full = path
        .replace("%systemroot%", &root)
        .replace("%windir%", &root)
        .replace("%systemdrive%", &format!("{}:", drive.to_ascii_lowercase()));
    if full == format!(r"{root}\temp") {
        return Ok(Leads::Default);
    }
    let missing = match checks::drive_of(&full) {
        Some(letter) => letter != drive && !checks::is_given(windows, letter)?,
        None => full.starts_with(r"\\"),
    };
    Ok(if missing { Leads::Elsewhere } else { Leads::Changed })
}

fn look<'a>(windows: &'a WindowsFacts, wanted: &Leads) -> Checks<'a> {
    let mut checks = Checks::of(windows);
    for (name, fact) in [("TEMP", &windows.system.temp), ("TMP", &windows.system.tmp)] {
        let Some(path) = checks.ask(fact) else { continue };
        let found = match path.map(|path| leads(windows, path)).unwrap_or(Ok(Leads::Changed)) {
            Ok(found) => found,
            Err(reason) => {
                checks.miss(reason);
                continue;
            }
        };
        if found == *wanted {
            checks.add(Wrong {
                found: path.map_or_else(|| format!("{name} is not set"), |path| format!("{name} is {path}")),
                required: format!("{name} {DEFAULT}"),
                place: checks::place(windows, ENVIRONMENT, name),
                cure: commands::reg_add(ENVIRONMENT, name, "REG_EXPAND_SZ", &format!("\"{DEFAULT}\"")),
            });
        }
    }
    checks
}

fn elsewhere(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    look(windows, &Leads::Elsewhere).finding(|list| {
        format!("the system's temporary files are on a volume that is not given: {list}; agents cannot unpack there in Azure")
    })
}

fn changed(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    look(windows, &Leads::Changed)
        .finding(|list| format!("the system's directory for temporary files is not the one that Windows is installed with: {list}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriveLetterFacts, Fact};
    use crate::rules::testing::windows::partition_reference;
    use crate::rules::testing::{ask, findings, healthy_os, known, specialized_windows, windows};

    #[test]
    fn paths() {
        for (path, missing, note) in [
            (r"%SystemRoot%\TEMP", "pass", "pass"),
            (r"%windir%\Temp\", "pass", "pass"),
            (r"C:\Windows\Temp", "pass", "pass"),
            (r"%SystemDrive%\Windows\temp", "pass", "pass"),
            (r"C:\Temp", "pass", "hand"),
            (r"D:\Temp", "hand", "pass"),
            (r"\\server\share", "hand", "pass"),
            ("%OTHER%", "pass", "hand"),
        ] {
            let facts = windows(|w| w.system.temp = Fact::Known(path.to_owned()));
            assert_eq!((ask(&ELSEWHERE, &facts).as_str(), ask(&CHANGED, &facts).as_str()), (missing, note), "{path}");
        }
        assert_eq!(ask(&CHANGED, &windows(|w| w.system.tmp = Fact::Absent)), "hand");
        for rule in [&ELSEWHERE, &CHANGED] {
            assert_eq!(ask(rule, &windows(|w| w.system.tmp = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
    }

    #[test]
    fn drives_that_are_given_count() {
        let facts = specialized_windows(|w| {
            w.system.temp = Fact::Known(r"E:\Temp".to_owned());
            known(&mut w.drives).push(DriveLetterFacts {
                letter: "E".to_owned(),
                kind: "partition".to_owned(),
                partition: Fact::Known(partition_reference()),
                device: Fact::Absent,
            });
        });
        assert_eq!((ask(&ELSEWHERE, &facts).as_str(), ask(&CHANGED, &facts).as_str()), ("pass", "hand"));
    }

    #[test]
    fn both_are_one_finding() {
        let facts = windows(|w| {
            w.system.temp = Fact::Known(r"E:\T".to_owned());
            w.system.tmp = Fact::Known(r"E:\T".to_owned());
        });
        let told = findings(&ELSEWHERE, &facts, &Target::default());
        assert_eq!((told.len(), told[0].actual.as_str()), (1, r"TEMP is E:\T, TMP is E:\T"));
        assert!(told[0].remedy.text().contains(r#"/v TEMP /t REG_EXPAND_SZ /d "%SystemRoot%\TEMP" /f; reg add"#), "{told:?}");
    }
}
