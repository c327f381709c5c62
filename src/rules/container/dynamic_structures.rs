//! C-02: what a dynamic disk needs in order to become a fixed one.

use crate::facts::{DeviationFacts, DiskFacts, DiskKind, Fact};
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static HEADER: Rule = Rule {
    code: "VHD103",
    name: "dynamic-header-damaged",
    requirement: "C-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "dynamic and differencing VHDs",
    summary: "The dynamic header and the block allocation table's place and size are sound.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The dynamic header must be where the footer says, with a right checksum and version 1.0; its table must lie inside the file, be aligned
to sectors and have an entry for every block; the block size must be a power of two; the disk must not exceed 2040 GiB. Parents of a
differencing disk are held to the same.

## Why it matters

Header and table say where every byte of the disk lies. If they are damaged, a conversion may succeed and yield a disk with its blocks in
the wrong order.

## How to fix it

Copy the file again from its source. Where the file can still be read and its blocks are known to be right, because another program's
conversion gave the same bytes, accept the finding: `--waive VHD103` for the verdict, `--allow VHD103` for `prepare`.",
    check: Check::Disk(header),
};

pub(in crate::rules) static BLOCKS: Rule = Rule {
    code: "VHD104",
    name: "blocks-damaged",
    requirement: "C-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "dynamic and differencing VHDs",
    summary: "Every block of a dynamic disk lies inside the file, in a place of its own.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The block allocation table of the disk and of its parents must place every block behind the headers and before the footer, and no two
blocks on the same bytes. Blocks beyond the size of the disk may not be in the file.

## Why it matters

A block past the end of the file is data that is lost: the file was cut. Blocks that share bytes, or lie in the headers, show one place's
data in another. Programs differ in whether they notice.

## How to fix it

Copy the file again from its source, and compare digests. What the blocks held cannot be found out from this file.",
    check: Check::Disk(blocks),
};

pub(in crate::rules) static BITMAPS: Rule = Rule {
    code: "VHD105",
    name: "bitmap-denies-data",
    requirement: "C-02",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "dynamic VHDs",
    summary: "Sectors that a dynamic disk marks as never written hold zeros.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

Each block of a dynamic disk has a bitmap of the sectors that were written. A sector that is marked as never written must hold zeros.
Comparing them means reading the data under those sectors; where that was not done, the rule is undecided.

## Why it matters

Programs differ. Some follow the bitmap and give zeros, others give what stands in the block; from one file they make two disks. vhdkit
gives the data, as qemu and the uploaders for Azure do.

## How to fix it

`vhdkit prepare` writes a fixed VHD, in which there is one answer. Compare it with the running machine where it matters: the program that
wrote the bitmaps may have meant zeros.",
    check: Check::Disk(bitmaps),
};

const HEADER_CODES: &[&str] = &[
    "header-missing",
    "header-checksum",
    "header-version",
    "table-unaligned",
    "table-outside",
    "table-short",
    "table-overlong",
    "block-size",
    "dynamic-too-large",
];
const BLOCK_CODES: &[&str] = &["block-in-header", "block-past-end", "blocks-overlap", "blocks-beyond-disk"];

fn header(subject: &Subject<'_>, _: &Target) -> Judgement {
    structures(subject.facts, HEADER_CODES, |parent, deviation| {
        let again = "copy the file again from its source";
        let remedy = if subject.facts.readable == Fact::Known(true) {
            format!("{again}; where its blocks are known to be right, accept them with --allow VHD103")
        } else {
            again.to_owned()
        };
        let message = format!(
            "{}{} at byte {}: expected {}, found {}; blocks may be read from wrong places",
            shared::whose(parent),
            what(&deviation.code),
            deviation.offset,
            deviation.expected,
            deviation.found
        );
        (message, remedy)
    })
}

fn blocks(subject: &Subject<'_>, _: &Target) -> Judgement {
    structures(subject.facts, BLOCK_CODES, |parent, deviation| {
        let (effect, remedy) = if deviation.code == "blocks-beyond-disk" {
            (
                "to keep to the size would cut them off",
                "find out which size the disk had in its machine, and take the file from there again",
            )
        } else {
            ("what they held is lost or mixed up", "copy the file again from its source, and compare digests")
        };
        let message = format!(
            "{}{} at byte {}: expected {}, found {}; {effect}",
            shared::whose(parent),
            what(&deviation.code),
            deviation.offset,
            deviation.expected,
            deviation.found
        );
        (message, remedy.to_owned())
    })
}

/// Findings on deviations of a disk's structures and of its parents'. A parent's offsets are not the file's.
fn structures(facts: &DiskFacts, codes: &[&str], tell: impl Fn(Option<&str>, &DeviationFacts) -> (String, String)) -> Judgement {
    shared::demand_vhd(facts)?;
    let found: Vec<Finding> = shared::deviations_in_chain(facts, codes)
        .map(|(parent, deviation)| {
            let (message, remedy) = tell(parent, deviation);
            let place: Option<Place> = if parent.is_none() { shared::place(deviation) } else { None };
            let (actual, required) = (deviation.found.clone(), deviation.expected.clone());
            Finding { message, actual, required, place, remedy: Remedy::hand(remedy) }
        })
        .collect();
    if found.is_empty() && facts.kind.known()? == Some(&DiskKind::Fixed) {
        return Err(Skip::not_applicable("a fixed disk has no blocks"));
    }
    Ok(found)
}

fn what(code: &str) -> &'static str {
    match code {
        "header-missing" => "no dynamic header",
        "header-checksum" => "wrong checksum of the dynamic header",
        "header-version" => "unknown version of the dynamic header",
        "table-unaligned" => "block allocation table off the sector borders",
        "table-outside" => "block allocation table outside the file",
        "table-short" => "too few entries in the block allocation table",
        "table-overlong" => "block allocation table longer than the file",
        "block-size" => "impossible block size",
        "dynamic-too-large" => "size that a dynamic disk cannot have",
        "block-in-header" => "blocks inside the headers",
        "block-past-end" => "blocks past the end of the file",
        "blocks-beyond-disk" => "blocks beyond the size of the disk",
        _ => "blocks on the same bytes",
    }
}

fn bitmaps(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_vhd(facts)?;
    let Some(bitmaps) = facts.bitmaps.known()? else { return Err(Skip::not_applicable("not a dynamic disk with bitmaps")) };
    // Where every bitmap says "written" there is nothing to compare.
    if bitmaps.clear_sectors == 0 && bitmaps.read == bitmaps.blocks {
        return Ok(vec![]);
    }
    match bitmaps.conflicts.known()? {
        None | Some(0) => Ok(vec![]),
        Some(count) => {
            let first = bitmaps.first_conflict.map(|at| format!(", the first at byte {at} of the file")).unwrap_or_default();
            let sectors = if *count == 1 { "1 sector".to_owned() } else { format!("{count} sectors") };
            Ok(vec![Finding {
                message: format!(
                    "data in {sectors} marked as never written{first}; programs disagree on such sectors, and vhdkit keeps the data \
                     as qemu does"
                ),
                actual: sectors,
                required: "zeros in every sector marked as never written".to_owned(),
                place: bitmaps.first_conflict.map(|offset| Place::Bytes { offset, length: 512 }),
                remedy: shared::rewrite(facts),
            }])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ParentDiskFacts;
    use crate::rules::testing::*;

    #[test]
    fn damage_is_found_in_the_disk_and_its_parents() {
        for (rule, codes) in [(&HEADER, HEADER_CODES), (&BLOCKS, BLOCK_CODES)] {
            assert_eq!(ask(rule, &dynamic(|_| {})), "pass");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
            assert_eq!(ask(rule, &gzip()), "not applicable");
            assert_eq!(ask(rule, &os(|f| f.kind = Fact::unknown("x"))), "undecided");
            for code in codes {
                assert_eq!(ask(rule, &dynamic(|f| f.deviations.push(deviation(code)))), "hand", "{code}");
            }
            let parent = ParentDiskFacts {
                path: "base.vhd".to_owned(),
                kind: "dynamic".to_owned(),
                virtual_size: None,
                unique_id: None,
                block_table: Fact::Absent,
                deviations: vec![deviation(codes[0])],
            };
            let facts = dynamic(|f| f.parents = Fact::Known(vec![parent]));
            let found = findings(rule, &facts, &Target::default());
            assert!(found[0].message.starts_with("in the parent 'base.vhd', "), "{}", found[0].message);
            assert_eq!(found[0].place, None);
        }
    }

    #[test]
    fn only_a_readable_disk_can_be_accepted() {
        let cure = |readable| {
            let facts = dynamic(|f| {
                f.deviations.push(deviation("header-checksum"));
                f.readable = readable;
            });
            findings(&HEADER, &facts, &Target::default())[0].remedy.text()
        };
        assert!(cure(Fact::Known(true)).contains("--allow VHD103"));
        assert!(!cure(Fact::unknown("x")).contains("--allow"));
    }

    #[test]
    fn bitmaps_are_compared() {
        let with = |clear, conflicts| {
            dynamic(|f| {
                let bitmaps = known(&mut f.bitmaps);
                (bitmaps.clear_sectors, bitmaps.conflicts, bitmaps.first_conflict) = (clear, conflicts, Some(4096));
            })
        };
        assert_eq!(ask(&BITMAPS, &healthy_os()), "not applicable");
        assert_eq!(ask(&BITMAPS, &with(0, Fact::unknown("not compared"))), "pass");
        assert_eq!(ask(&BITMAPS, &with(9, Fact::unknown("not compared"))), "undecided");
        assert_eq!(ask(&BITMAPS, &with(9, Fact::Known(0))), "pass");
        assert_eq!(ask(&BITMAPS, &with(9, Fact::Known(3))), "prepare");
    }
}
