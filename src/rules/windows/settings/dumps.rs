//! W-30 and W-31: dumps of a Windows that fails.

use crate::facts::WindowsFacts;
use crate::rules::windows::checks::{self, Checks, Unset, Wrong};
use crate::rules::windows::{commands, guest};
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN130",
    name: "crash-dumps",
    requirement: "W-30",
    also: &["W-31"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Windows writes dumps of its kernel and of programs that crash.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`CrashDumpEnabled` of `CrashControl` is 2 (kernel), 7 (automatic, which is one of the kernel too) or 1 (complete); `NMICrashDump` is not 0,
and is 1 before Windows Server 2012, where it is off otherwise; `LocalDumps` of Windows Error Reporting has a `DumpFolder` and a `DumpType`
of 2; the service `WerSvc` is not disabled.

## Why it matters

Azure's support works from such dumps, and the portal lets Windows crash by an NMI to get one. Programs leave none unless `LocalDumps` is
set; a new Windows has it not.

## How to fix it

Set the values with `reg add` in an elevated PowerShell.",
    check: Check::Disk(check),
};

const CONTROL: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\CrashControl";
const LOCAL: &str = r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting\LocalDumps";
/// Windows Server 2012 and Windows 8, which heed an NMI unless they are told otherwise.
const HEEDS_NMI: u32 = 9200;

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    kernel(&mut checks, windows);
    programs(&mut checks, windows);
    checks.finding(|list| format!("dumps for support are not set up as Azure's preparation article advises: {list}"))
}

fn kernel(checks: &mut Checks<'_>, windows: &WindowsFacts) {
    match checks.ask(&windows.crash.dump_enabled) {
        None | Some(Some(1 | 2 | 7)) => {}
        Some(_) => checks.number(CONTROL, "CrashDumpEnabled", &windows.crash.dump_enabled, 2, Unset::Wrong),
    }
    let heeds = windows.product.build.value().is_some_and(|build| *build >= HEEDS_NMI);
    checks.number(CONTROL, "NMICrashDump", &windows.crash.nmi_dump, 1, if heeds { Unset::Right } else { Unset::Wrong });
}

fn programs(checks: &mut Checks<'_>, windows: &WindowsFacts) {
    checks.service("WerSvc", "Manual", checks::is_disabled);
    let Some(folder) = checks.ask(&windows.crash.local_dump_folder) else { return };
    if folder.is_some() {
        checks.number(LOCAL, "DumpType", &windows.crash.local_dump_type, 2, Unset::Wrong);
        return;
    }
    checks.add(Wrong {
        found: "programs leave no dumps".to_owned(),
        required: r"DumpFolder C:\CrashDumps with DumpType 2".to_owned(),
        place: checks::place(windows, LOCAL, "DumpFolder"),
        cure: commands::line(&[
            commands::reg_add(LOCAL, "DumpFolder", "REG_EXPAND_SZ", r"C:\CrashDumps"),
            commands::reg_add(LOCAL, "DumpType", "REG_DWORD", "2"),
        ]),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, findings, healthy_os, windows};

    #[test]
    fn dumps() {
        let asked = |change: fn(&mut WindowsFacts)| ask(&RULE, &windows(change));
        assert_eq!(asked(|_| {}), "pass");
        assert_eq!(asked(|w| w.crash.dump_enabled = Fact::Known(7)), "pass");
        assert_eq!(asked(|w| w.crash.dump_enabled = Fact::Known(3)), "hand");
        assert_eq!(asked(|w| w.crash.dump_enabled = Fact::Absent), "hand");
        assert_eq!(asked(|w| w.crash.nmi_dump = Fact::Absent), "pass");
        assert_eq!(asked(|w| w.crash.nmi_dump = Fact::Known(0)), "hand");
        assert_eq!(
            asked(|w| {
                w.crash.nmi_dump = Fact::Absent;
                w.product.build = Fact::Known(7601);
            }),
            "hand"
        );
        assert_eq!(asked(|w| w.crash.local_dump_type = Fact::Known(1)), "hand");
        assert_eq!(asked(|w| w.crash.dump_enabled = Fact::unknown("x")), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        let new = windows(|w| {
            w.crash.dump_enabled = Fact::Known(7);
            w.crash.local_dump_folder = Fact::Absent;
            w.crash.local_dump_type = Fact::Absent;
        });
        assert_eq!(findings(&RULE, &new, &Target::default())[0].actual, "programs leave no dumps");
    }
}
