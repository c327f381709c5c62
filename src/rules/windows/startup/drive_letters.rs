//! W-70: the letter D: is free for Azure's temporary disk.

use crate::facts::State;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN070",
    name: "drive-letter-d-taken",
    requirement: "W-70",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for specialized images",
    summary: "No volume has the drive letter D:, which Azure's temporary disk takes.",
    azure_error: None,
    source: source::MIGRATION,
    docs: r"## What it checks

Whether `D:` is kept for a volume in `SYSTEM\MountedDevices`. A CD drive there does no harm.

## Why it matters

Where a VM size has a temporary disk, Windows gives it the first free letter, usually D:. With D: taken it gets another one; and what a
script writes to D: in the belief that it is the temporary disk goes to the volume.

## How to fix it

Keep it if that is meant. Otherwise give the volume another letter in Disk Management.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Specialized)?;
    let drives = guest.windows.drives.known()?.map(Vec::as_slice).unwrap_or_default();
    let taken = drives.iter().any(|drive| drive.letter.eq_ignore_ascii_case("D") && drive.kind == "partition");
    if !taken {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "the drive letter D: belongs to a volume; Azure's temporary disk gets another letter".to_owned(),
        actual: "D: is a volume".to_owned(),
        required: "D: free".to_owned(),
        place: Some(Place::Registry(r"HKLM\SYSTEM\MountedDevices\\DosDevices\D:".to_owned())),
        remedy: Remedy::hand(
            "if D: is to be the temporary disk: Set-Partition -DriveLetter D -NewDriveLetter F, in an elevated PowerShell",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriveLetterFacts, Fact};
    use crate::rules::testing::*;

    #[test]
    fn table() {
        let d = |kind: &str| {
            specialized_windows(|w| {
                let mut one: DriveLetterFacts = known(&mut w.drives)[0].clone();
                (one.letter, one.kind) = ("D".to_owned(), kind.to_owned());
                known(&mut w.drives).push(one);
            })
        };
        assert_eq!(ask(&RULE, &specialized_windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(|_| {})), "not applicable");
        assert_eq!(ask(&RULE, &d("partition")), "hand");
        assert_eq!(ask(&RULE, &d("device")), "pass");
        assert_eq!(ask(&RULE, &specialized_windows(|w| w.drives = Fact::unknown("x"))), "undecided");
    }
}
