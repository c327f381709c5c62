//! C-01: the last 512 bytes of the file are a VHD footer.

use crate::bytes::SECTOR;
use crate::facts::{DeviationFacts, DiskFacts, Fact};
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD001",
    name: "not-a-vhd",
    requirement: "C-01",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "all files but VHDX",
    summary: "The last 512 bytes of the file are a VHD footer.",
    azure_error: Some(shared::COOKIE_ERROR),
    source: source::CERTIFICATION,
    docs: r"## What it checks

A VHD ends in a footer of 512 bytes that begins with `conectix`. The rule finds files that are something else, whatever their names say;
VHDs that were cut, so that the footer is gone; VHDs with bytes behind the footer; footers of 511 bytes, as Virtual PC wrote them before
2004; and disks that XenServer marked as not to be used.

## Why it matters

The footer is the first thing that Azure looks at. Without it the upload succeeds, and the disk or image is refused afterwards.

## How to fix it

`vhdkit prepare` makes a VHD of a raw disk, and of a VHD whose footer is in the wrong place. Another format is converted to a raw disk
first, a packed file unpacked. A file that was cut is copied again from its source: what is missing cannot be made up.",
    check: Check::Disk(check),
};

const DISPLACED: &[&str] = &["footer-missing", "footer-not-at-end", "footer-short", "footer-poisoned"];

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    match facts.format.as_str() {
        "vhdx" => Err(Skip::not_applicable("the file is a VHDX")),
        "vhd" => Ok(shared::deviations(facts, DISPLACED).map(|deviation| displaced(facts, deviation)).collect()),
        _ => Ok(vec![another_format(facts)]),
    }
}

fn another_format(facts: &DiskFacts) -> Finding {
    let format = facts.format.as_str();
    let what = match (format, facts.format_detail.as_deref()) {
        ("empty", _) => "has no bytes at all".to_owned(),
        ("raw", None) => "is a raw disk, without the footer that makes it a VHD".to_owned(),
        ("raw", Some(detail)) => format!("is a raw disk ({detail}), without the footer that makes it a VHD"),
        // "gzip of disk.raw" needs no "gzip" before it.
        (name, Some(detail)) if detail.starts_with(name) => format!("is {detail}, not a VHD, whatever its name says"),
        (name, Some(detail)) => format!("is {name} ({detail}), not a VHD, whatever its name says"),
        (name, None) => format!("is {name}, not a VHD, whatever its name says"),
    };
    let remedy = match &facts.advice {
        Some(advice) if format != "raw" => Remedy::hand(clause(advice)),
        // Any bytes are a raw disk, but fewer than a sector hold nothing that could be one.
        _ if facts.file_size < SECTOR => Remedy::hand("fetch or export the disk again: the file is shorter than one sector"),
        _ => shared::rewrite(facts),
    };
    let offset = facts.file_size.saturating_sub(SECTOR);
    Finding {
        message: format!("the file {what}; Azure refuses it"),
        actual: format.to_owned(),
        required: "a VHD: the cookie 'conectix' 512 bytes before the end of the file".to_owned(),
        place: (facts.file_size > 0).then(|| Place::Bytes { offset, length: facts.file_size.min(SECTOR) }),
        remedy,
    }
}

/// A sentence as it follows a colon.
fn clause(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn displaced(facts: &DiskFacts, deviation: &DeviationFacts) -> Finding {
    let (message, remedy) = match deviation.code.as_str() {
        "footer-missing" => {
            // Where every block lies in the file, only the footer is gone, and its copy tells what it was.
            let whole = facts.block_table.value().is_some_and(|table| table.out_of_range == 0) && facts.readable == Fact::Known(true);
            let remedy = if whole { shared::rewrite(facts) } else { Remedy::hand("copy the disk again from its source: the file was cut") };
            ("the file's last 512 bytes are no footer, though byte 0 holds a copy of one; Azure looks only at the end".to_owned(), remedy)
        }
        "footer-short" => (
            format!("the footer at byte {} has 511 bytes, as Virtual PC wrote it before 2004; Azure expects 512", deviation.offset),
            shared::rewrite(facts),
        ),
        "footer-poisoned" => (
            format!("the cookie at byte {} is 'v_poison': XenServer marked the disk as not to be used any more", deviation.offset),
            Remedy::hand("find out in XenServer why the disk was retired, and export the one that took its place"),
        ),
        _ => (
            format!("the footer stands at byte {}, with {}; Azure looks for it in the last 512 bytes", deviation.offset, deviation.found),
            shared::rewrite(facts),
        ),
    };
    Finding { message, actual: deviation.found.clone(), required: deviation.expected.clone(), place: shared::place(deviation), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.format = "raw".to_owned())), "prepare");
        assert_eq!(ask(&RULE, &os(|f| f.format = "vhdx".to_owned())), "not applicable");
        for (code, cure) in
            [("footer-not-at-end", "prepare"), ("footer-short", "prepare"), ("footer-poisoned", "hand"), ("footer-missing", "hand")]
        {
            assert_eq!(ask(&RULE, &os(|f| f.deviations.push(deviation(code)))), cure, "{code}");
        }
        assert_eq!(ask(&RULE, &dynamic(|f| f.deviations.push(deviation("footer-missing")))), "prepare");
        let cut = dynamic(|f| {
            f.deviations.push(deviation("footer-missing"));
            known(&mut f.block_table).out_of_range = 3;
        });
        assert_eq!(ask(&RULE, &cut), "hand");
    }

    #[test]
    fn the_real_format_is_named() {
        let found = findings(&RULE, &gzip(), &Target::default());
        assert_eq!(found[0].message, "the file is gzip of disk.raw, not a VHD, whatever its name says; Azure refuses it");
        let mut empty = gzip();
        (empty.format, empty.file_size, empty.format_detail) = ("empty".to_owned(), 0, None);
        empty.readable = Fact::unknown("the file is empty");
        assert_eq!(findings(&RULE, &empty, &Target::default())[0].place, None);
    }
}
