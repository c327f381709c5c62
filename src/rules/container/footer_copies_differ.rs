//! C-17: the footer and its copy at the start say the same.

use crate::facts::{DeviationFacts, DiskFacts};
use crate::rules::{Check, Finding, Judgement, Profile, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD102",
    name: "footer-copies-differ",
    requirement: "C-17",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "dynamic and differencing VHDs",
    summary: "A dynamic disk begins with a sound copy of its footer that says the same.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

Dynamic and differencing disks begin with a copy of their footer. It must be there, its checksum must be right, and it must say what the
footer says.

## Why it matters

Some programs read the footer, others the copy. Where the two differ in size, type or the place of the dynamic header, they see different
disks in one file. vhdkit uses the footer, and the copy only where the footer is gone or its checksum is wrong; a finding says which.

## How to fix it

`vhdkit prepare` writes a fixed VHD, which has one footer. Where sizes differ, make sure first that the one used is the right one: a tool
that was interrupted while it resized the disk leaves such a pair.",
    check: Check::Disk(check),
};

const CODES: &[&str] = &["copy-missing", "copy-checksum", "copy-differs"];
/// Fields in which a difference makes another disk.
const WEIGHTY: &[&str] = &["current size", "disk type", "data offset"];

/// Whether the fields that differ make another disk.
pub(super) fn is_weighty(fields: &str) -> bool {
    WEIGHTY.iter().any(|field| fields.contains(field))
}

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_vhd(facts)?;
    let found: Vec<Finding> = shared::deviations(facts, CODES).map(|deviation| finding(facts, deviation)).collect();
    if found.is_empty() && facts.footer_copy.known()?.is_none() {
        return Err(Skip::not_applicable("a fixed disk has no copy of its footer"));
    }
    Ok(found)
}

fn finding(facts: &DiskFacts, deviation: &DeviationFacts) -> Finding {
    let footer = shared::footer(facts).ok();
    let used = match footer {
        Some(used) if facts.footer_copy.value() == Some(used) => "the copy was used".to_owned(),
        Some(used) => format!("the footer at byte {} was used", used.offset),
        None => "neither was used".to_owned(),
    };
    let message = match deviation.code.as_str() {
        "copy-missing" => format!("the file of a dynamic disk does not begin with a copy of its footer; {used}"),
        "copy-checksum" => {
            format!("the checksum of the footer's copy is {}, but its bytes have {}; {used}", deviation.found, deviation.expected)
        }
        _ => {
            let weighty = is_weighty(&deviation.found);
            let warning = if weighty { "; other programs may see another disk: make sure that this is the right one" } else { "" };
            format!("the footer's copy at byte {} differs from the footer: {}; {used}{warning}", deviation.offset, deviation.found)
        }
    };
    Finding {
        message,
        actual: deviation.found.clone(),
        required: deviation.expected.clone(),
        place: shared::place(deviation),
        remedy: shared::rewrite(facts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &dynamic(|_| {})), "pass");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        for code in CODES {
            assert_eq!(ask(&RULE, &dynamic(|f| f.deviations.push(deviation(code)))), "prepare", "{code}");
        }
    }

    #[test]
    fn the_one_that_was_used_is_named() {
        let mut differs = deviation("copy-differs");
        differs.found = "current size 1024 instead of 2048".to_owned();
        let facts = dynamic(|f| f.deviations.push(differs));
        let message = findings(&RULE, &facts, &Target::default())[0].message.clone();
        assert!(message.contains("the footer at byte 10737419776 was used") && message.contains("make sure"), "{message}");
    }
}
