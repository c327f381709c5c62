//! C-22: both copies of the GPT are sound and in their places.

use crate::bytes::SECTOR;
use crate::facts::{DiskFacts, PartitionTableFacts};
use crate::rules::{Check, Finding, Judgement, Need, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD022",
    name: "gpt-backup-misplaced",
    requirement: "C-22",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "GPT disks with one sound copy of the table",
    summary: "Both copies of the GPT are sound, the backup in the disk's last sector.",
    azure_error: None,
    source: source::GPT,
    docs: r"## What it checks

A GPT stands twice on its disk: behind the first sector, and in the last sectors. Both must be sound and agree, the backup's header must
be in the very last sector, and sector 0 must announce the table.

## Why it matters

A disk that was grown, be it only to whole MiB, leaves the backup in its middle. It still boots, but tools complain and refuse to resize,
and the backup is not found when it is needed. If the copy at the start is the damaged one, whether the disk boots depends on the firmware.

## How to fix it

`vhdkit prepare` writes both copies anew from the sound one. It refuses where a partition lies in the way, or where the table is for
other sectors; then `gdisk` or `sgdisk --move-second-header` on a copy of the disk is the place to look at it.",
    check: Check::Disk(check),
};

/// Problems of a table's copies and their places, all of which a rebuild cures.
pub(super) const CURED: &[&str] = &[
    "protective-missing",
    "protective-start",
    "protective-size",
    "primary-missing",
    "backup-missing",
    "backup-misplaced",
    "revision",
    "header-size",
    "header-crc",
    "my-lba",
    "alternate-lba",
    "usable-range",
    "array-place",
    "array-crc",
    "headers-disagree",
    "arrays-disagree",
];

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    let table = shared::table(facts)?;
    if table.scheme != "gpt" {
        return Err(Skip::not_applicable("the partition table is not a GPT"));
    }
    if table.sector_size != SECTOR {
        return Err(Skip::not_applicable("the GPT is made for other sectors"));
    }
    if (table.primary_valid, table.backup_valid) == (Some(false), Some(false)) {
        return Err(Skip::not_applicable("neither copy of the GPT is sound"));
    }
    let problems: Vec<String> =
        table.problems.iter().filter(|problem| CURED.contains(&problem.code.as_str())).map(|problem| problem.message.clone()).collect();
    let (message, actual) = if table.primary_valid == Some(false) {
        (
            "the GPT at the start of the disk is damaged, and only its backup is sound; whether the disk boots depends on the firmware"
                .to_owned(),
            "a sound backup only".to_owned(),
        )
    } else if let Some((at, expected)) = misplaced(table) {
        let way = if at < expected { "before" } else { "behind" };
        let distance = at.abs_diff(expected);
        (
            format!("the backup GPT stands at byte {at} of the disk, {distance} bytes {way} its last sector, as after a change of size"),
            format!("byte {at}"),
        )
    } else if table.backup_valid == Some(false) {
        ("the backup GPT at the end of the disk is missing or damaged".to_owned(), "a sound primary only".to_owned())
    } else if table.needs_rebuild || !problems.is_empty() {
        let details = if problems.is_empty() { String::new() } else { format!(": {}", shared::first_three(&problems, "; ")) };
        (format!("the GPT's two copies and sector 0 do not fit each other or the disk{details}"), "a GPT with faults".to_owned())
    } else {
        return Ok(vec![]);
    };
    Ok(vec![finding(facts, table, message, actual)])
}

/// Where the backup stands and where it belongs, if these differ.
fn misplaced(table: &PartitionTableFacts) -> Option<(u64, u64)> {
    table.backup_offset.zip(table.backup_expected_offset).filter(|(at, expected)| at != expected)
}

fn finding(facts: &DiskFacts, table: &PartitionTableFacts, message: String, actual: String) -> Finding {
    let at = if table.primary_valid == Some(false) { Some(SECTOR) } else { table.backup_offset.or(table.backup_expected_offset) };
    let required = match table.backup_expected_offset {
        Some(expected) => format!("two sound copies, the backup's header at byte {expected}"),
        None => "two sound copies, the backup's header in the last sector".to_owned(),
    };
    let remedy = match &table.rebuild_refused {
        None => Remedy::Prepare(Need::RebuildGpt),
        Some(reason) => Remedy::hand(format!("repair the table with gdisk on a copy of the disk; vhdkit prepare cannot, because {reason}")),
    };
    Finding { message, actual, required, place: at.and_then(|at| shared::disk_place(facts, at, SECTOR)), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    fn with(change: impl FnOnce(&mut PartitionTableFacts)) -> DiskFacts {
        os(|f| change(known(&mut f.partition_table)))
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &with(|t| t.scheme = "mbr".to_owned())), "not applicable");
        assert_eq!(ask(&RULE, &with(|t| t.sector_size = 4096)), "not applicable");
        assert_eq!(ask(&RULE, &with(|t| (t.primary_valid, t.backup_valid) = (Some(false), Some(false)))), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| f.partition_table = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &with(|t| t.needs_rebuild = true)), "prepare");
        for code in CURED {
            assert_eq!(ask(&RULE, &with(|t| t.problems.push(problem(code)))), "prepare", "{code}");
        }
        let refused = with(|t| {
            t.backup_valid = Some(false);
            t.rebuild_refused = Some("partition 3 lies in the way".to_owned());
        });
        assert_eq!(ask(&RULE, &refused), "hand");
    }

    #[test]
    fn the_three_cases_are_told_apart() {
        let message = |facts| findings(&RULE, &facts, &Target::default())[0].message.clone();
        let grown = message(with(|t| t.backup_offset = Some(OS_SIZE - 1024)));
        assert!(grown.contains("512 bytes before its last sector"), "{grown}");
        let missing = message(with(|t| (t.backup_valid, t.backup_offset) = (Some(false), None)));
        assert!(missing.contains("missing or damaged"), "{missing}");
        let damaged = message(with(|t| t.primary_valid = Some(false)));
        assert!(damaged.contains("at the start of the disk is damaged"), "{damaged}");
    }
}
