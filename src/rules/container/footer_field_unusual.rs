//! C-01: fields of the footer hold what every reader expects.

use crate::facts::{DeviationFacts, DiskFacts};
use crate::rules::{Check, Finding, Judgement, Profile, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD101",
    name: "footer-field-unusual",
    requirement: "C-01",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs",
    summary: "Features, version, data offset, unique id and reserved bytes of the footer are as the format has them.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The footer's features must be 2, its version 1.0, the data offset of a fixed disk all ones, its unique id not zeros, and its reserved
bytes zeros. A disk that is marked as temporary is found as well.

## Why it matters

Microsoft publishes nothing on whether Azure looks at these fields. Readers differ: some refuse the file, others pass over it. A field
that nobody writes so is often the first trace of a tool that wrote other things wrongly too.

## How to fix it

`vhdkit prepare` writes a footer of its own.",
    check: Check::Disk(check),
};

const FIELDS: &[&str] =
    &["footer-features", "footer-version", "footer-data-offset", "footer-reserved", "footer-hidden", "footer-no-unique-id"];
const TEMPORARY: u32 = 1;

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_vhd(facts)?;
    let mut found: Vec<Finding> = shared::deviations(facts, FIELDS).map(|deviation| unusual(facts, deviation)).collect();
    // The mark is legal, so it is no deviation, unless further bits are set.
    if !shared::deviates(facts, "footer-features")
        && let Ok(footer) = shared::footer(facts)
        && footer.features & TEMPORARY != 0
    {
        found.push(Finding {
            message: "the footer marks the disk as temporary, which programs may delete at shutdown".to_owned(),
            actual: format!("{:#x}", footer.features),
            required: "0x2".to_owned(),
            place: shared::footer_place(facts, 8, 4),
            remedy: shared::rewrite(facts),
        });
    }
    Ok(found)
}

fn unusual(facts: &DiskFacts, deviation: &DeviationFacts) -> Finding {
    let what = match deviation.code.as_str() {
        "footer-features" => "feature bits",
        "footer-version" => "format version",
        "footer-data-offset" => "data offset",
        "footer-no-unique-id" => "unique id",
        "footer-hidden" => "mark of XenServer's for hidden disks",
        _ => "reserved space",
    };
    Finding {
        message: format!(
            "the footer's {what} at byte {}: found {}, where the format has {}",
            deviation.offset, deviation.found, deviation.expected
        ),
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
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        for code in FIELDS {
            assert_eq!(ask(&RULE, &os(|f| f.deviations.push(deviation(code)))), "prepare", "{code}");
        }
        let two = os(|f| f.deviations.extend([deviation("footer-version"), deviation("footer-reserved")]));
        assert_eq!(ask(&RULE, &two), "prepare, prepare");
        assert_eq!(ask(&RULE, &os(|f| known(&mut f.footer).features = 3)), "prepare");
    }
}
