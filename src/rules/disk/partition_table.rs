//! Faults of a partition table beyond the catalogue's rows: tables that cannot be used, partitions past the end, overlaps, and the rest.

use super::gpt_backup_misplaced::CURED;
use crate::facts::{DiskFacts, TableProblemFacts};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static DAMAGED: Rule = Rule {
    code: "GEN101",
    name: "partition-table-damaged",
    requirement: "G-05",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with a partition table",
    summary: "At least one of the two copies of a GPT is sound.",
    azure_error: None,
    source: source::GPT,
    docs: r"## What it checks

Of the two copies of a GPT, at the start and at the end of the disk, one must be sound.

## Why it matters

Firmware and kernels use no table whose checksums are wrong. They find no partition, and nothing boots.

## How to fix it

Recover the table with `gdisk` or `testdisk` on a copy of the disk, or take the disk from its source again. There is nothing sound from
which vhdkit could write it.",
    check: Check::Disk(damaged),
};

pub(in crate::rules) static PAST_END: Rule = Rule {
    code: "GEN106",
    name: "partition-past-end",
    requirement: "C-04",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with a partition table",
    summary: "Every partition ends inside the disk.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

No partition may reach past the end of the disk.

## Why it matters

The disk was cut: by a copy that stopped, by a tool that shrank the disk and not its partitions, or because it was made for a geometry
that rounds sizes down. The end of the last file system is missing, and most kernels refuse to mount it.

## How to fix it

Copy or convert the disk again from its source, at its full size. Growing it adds zeros, not the bytes that are gone.",
    check: Check::Disk(past_end),
};

pub(in crate::rules) static OVERLAP: Rule = Rule {
    code: "GEN102",
    name: "partitions-overlap",
    requirement: "C-22",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with a partition table",
    summary: "No two partitions share sectors.",
    azure_error: None,
    source: source::GPT,
    docs: r"## What it checks

No two partitions of the disk may share sectors.

## Why it matters

What is written to one of them damages the other. Some tools refuse to change such a table, and some kernels drop a partition of it.

## How to fix it

Find out which of the partitions is in use, and correct the table with `gdisk` or `fdisk` on a copy of the disk.",
    check: Check::Disk(overlap),
};

pub(in crate::rules) static UNUSUAL: Rule = Rule {
    code: "GEN103",
    name: "partition-table-unusual",
    requirement: "C-22",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with a partition table",
    summary: "The partition table has no further faults.",
    azure_error: None,
    source: source::GPT,
    docs: r"## What it checks

Faults of the table that other rules do not name: chains of logical partitions that break off, entries without sectors or without a type,
remains of an older table, partitions outside the usable sectors, identities that occur twice.

## Why it matters

Programs differ in what they make of such a table: one shows a partition that another does not. The disk may boot where it was made and
lack a partition in Azure.

## How to fix it

Look at the table with `fdisk -l` or `sgdisk --verify`, and correct it on a copy of the disk.",
    check: Check::Disk(unusual),
};

/// Told by a rule of their own, or no fault.
const TOLD: &[&str] = &["past-end", "overlap", "sector-size", "hybrid-mbr"];

fn damaged(subject: &Subject<'_>, _: &Target) -> Judgement {
    let table = shared::table(subject.facts)?;
    if (table.primary_valid, table.backup_valid) != (Some(false), Some(false)) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "neither copy of the GPT is sound; firmware and kernels find no partition on the disk".to_owned(),
        actual: "two damaged copies".to_owned(),
        required: "a sound copy at the start or at the end".to_owned(),
        place: shared::disk_place(subject.facts, 512, 512),
        remedy: Remedy::hand("recover the table with gdisk or testdisk on a copy of the disk, or take the disk from its source again"),
    }])
}

fn past_end(subject: &Subject<'_>, _: &Target) -> Judgement {
    let cure = "copy or convert the disk again at its full size: what lay past its end is gone";
    listed(subject.facts, |code| code == "past-end", "a partition passes the end of the disk", "partitions inside the disk", cure)
}

fn overlap(subject: &Subject<'_>, _: &Target) -> Judgement {
    let cure = "find out which partition is in use, and correct the table with gdisk or fdisk on a copy of the disk";
    listed(subject.facts, |code| code == "overlap", "partitions share sectors", "partitions apart from each other", cure)
}

fn unusual(subject: &Subject<'_>, _: &Target) -> Judgement {
    // A kind of problem that is new is told here until a rule takes it.
    let other = |code: &str| !TOLD.contains(&code) && !CURED.contains(&code);
    let cure = "look at the table with fdisk -l or sgdisk --verify, and correct it on a copy of the disk";
    listed(subject.facts, other, "programs may disagree about the partition table", "a table without faults", cure)
}

/// One finding on all problems with such codes.
fn listed(facts: &DiskFacts, is: impl Fn(&str) -> bool, lead: &str, required: &str, cure: &str) -> Judgement {
    let table = shared::table(facts)?;
    let problems: Vec<&TableProblemFacts> = table.problems.iter().filter(|problem| is(&problem.code)).collect();
    let Some(first) = problems.first() else { return Ok(vec![]) };
    let messages: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
    let mut codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
    codes.dedup();
    Ok(vec![Finding {
        message: format!("{lead}: {}", shared::first_three(&messages, "; ")),
        actual: codes.join(", ").replace('-', " "),
        required: required.to_owned(),
        place: shared::disk_place(facts, first.offset, 1),
        remedy: Remedy::hand(cure),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, PartitionTableFacts};
    use crate::rules::testing::*;

    fn with(change: impl FnOnce(&mut PartitionTableFacts)) -> DiskFacts {
        os(|f| change(known(&mut f.partition_table)))
    }

    #[test]
    fn a_table_is_needed() {
        for rule in [&DAMAGED, &PAST_END, &OVERLAP, &UNUSUAL] {
            assert_eq!(ask(rule, &healthy_os()), "pass");
            assert_eq!(ask(rule, &gzip()), "not applicable");
            assert_eq!(ask(rule, &os(|f| f.partition_table = Fact::unknown("x"))), "undecided");
        }
    }

    #[test]
    fn both_copies_are_damaged() {
        for (primary, backup, said) in
            [(Some(false), Some(false), "hand"), (Some(true), Some(false), "pass"), (Some(false), Some(true), "pass"), (None, None, "pass")]
        {
            assert_eq!(ask(&DAMAGED, &with(|t| (t.primary_valid, t.backup_valid) = (primary, backup))), said);
        }
    }

    #[test]
    fn each_problem_is_told_once() {
        for (code, past_end, overlap, unusual) in [
            ("past-end", "hand", "pass", "pass"),
            ("overlap", "pass", "hand", "pass"),
            ("extended-loop", "pass", "pass", "hand"),
            ("a-problem-of-next-year", "pass", "pass", "hand"),
            ("hybrid-mbr", "pass", "pass", "pass"),
            ("sector-size", "pass", "pass", "pass"),
            ("backup-misplaced", "pass", "pass", "pass"),
        ] {
            let facts = with(|t| t.problems.push(problem(code)));
            let said = [&PAST_END, &OVERLAP, &UNUSUAL].map(|rule| ask(rule, &facts));
            assert_eq!(said, [past_end, overlap, unusual], "{code}");
        }
    }

    #[test]
    fn many_problems_are_one_finding() {
        let facts = with(|t| t.problems.extend(["zero-size", "zero-size", "zero-type", "nil-guid"].map(problem)));
        let found = findings(&UNUSUAL, &facts, &Target::default());
        assert_eq!((found.len(), found[0].actual.as_str()), (1, "zero size, zero type, nil guid"));
        assert!(found[0].message.ends_with("; and 1 more"), "{}", found[0].message);
    }
}
