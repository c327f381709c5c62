//! C-17: the footer's checksum is that of its bytes.

use crate::rules::{Check, Finding, Judgement, Profile, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD017",
    name: "footer-checksum-mismatch",
    requirement: "C-17",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs",
    summary: "The footer's checksum is that of its bytes.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The footer's checksum, the complement of the sum of its bytes, must be right. Of a dynamic disk the copy at the start takes the footer's
place where the footer's checksum is wrong and the copy's is right.

## Why it matters

Hyper-V refuses such a disk. Microsoft publishes nothing on whether Azure looks at the checksum; it is held to be an error here, because
a wrong one means that some field of the footer, perhaps the size, is not what its author wrote.

## How to fix it

`vhdkit prepare` writes a new footer. Look at the size and the other findings first: they rest on the fields as they stand.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_vhd(facts)?;
    // Without a footer at the end its copy is all there is; otherwise the copy's checksum is VHD102's matter.
    let codes: &[&str] =
        if shared::deviates(facts, "footer-missing") { &["footer-checksum", "copy-checksum"] } else { &["footer-checksum"] };
    let by_copy = shared::footer(facts).is_ok_and(|footer| facts.footer_copy.value() == Some(footer));
    let used = if by_copy { "its copy at the start of the file is sound and was used" } else { "its fields were taken as they stand" };
    Ok(shared::deviations(facts, codes)
        .map(|deviation| Finding {
            message: format!(
                "the footer's checksum at byte {} is {}, but its bytes have {}; {used}",
                deviation.offset, deviation.found, deviation.expected
            ),
            actual: deviation.found.clone(),
            required: deviation.expected.clone(),
            place: shared::place(deviation),
            remedy: shared::rewrite(facts),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| f.deviations.push(deviation("footer-checksum")))), "prepare");
        assert_eq!(ask(&RULE, &dynamic(|f| f.deviations.push(deviation("copy-checksum")))), "pass");
        let alone = dynamic(|f| f.deviations.extend([deviation("footer-missing"), deviation("copy-checksum")]));
        assert_eq!(ask(&RULE, &alone), "prepare");
    }

    #[test]
    fn the_copy_that_was_used_is_named() {
        let facts = dynamic(|f| f.deviations.push(deviation("footer-checksum")));
        assert!(findings(&RULE, &facts, &Target::default())[0].message.contains("was used"));
        let facts = os(|f| f.deviations.push(deviation("footer-checksum")));
        assert!(findings(&RULE, &facts, &Target::default())[0].message.contains("as they stand"));
    }
}
