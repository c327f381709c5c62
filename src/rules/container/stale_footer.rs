//! C-23: no footer stands inside the disk.

use crate::bytes::ByteSize;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD023",
    name: "stale-footer",
    requirement: "C-23",
    severity: Severity::Warning,
    profile: Profile::Azure,
    applies_to: "disks that can be read",
    summary: "No VHD footer stands inside the disk.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The disk inside the file should hold no VHD footer: not at its start, and not where an earlier end of the file would have been. Borders
of GiB and the last MiB are looked at, not every sector.

## Why it matters

A footer at byte 0 means that a VHD was put into a VHD, or that a dynamic disk got the footer of a fixed one without being converted. The
guest then finds no partition table, and does not boot.

A footer further on is what remains when a fixed VHD was made longer by appending. In space that no file system uses it does no harm;
inside a file system it has replaced 512 bytes of data.

## How to fix it

At byte 0: convert the original again, or cut off the outer footer and check the inner disk. Further on: check the file system there with
its own tools. When it is clean, accept the finding: `--waive VHD023` for the verdict, `--allow VHD023` for `prepare`.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    let nested = shared::deviates(facts, "payload-begins-with-footer");
    let stale = match facts.stale_footers.known() {
        Ok(Some(list)) => list.as_slice(),
        // What the container saw is enough for a finding.
        _ if nested => &[],
        Ok(None) => return Err(Skip::not_applicable("there is no disk in the file")),
        Err(reason) => return Err(reason.into()),
    };
    if stale.is_empty() && !nested {
        return Ok(vec![]);
    }
    if nested || stale.iter().any(|footer| footer.offset == 0) {
        return Ok(vec![Finding {
            message: "the disk begins with a VHD footer: a VHD was put into a VHD, or a dynamic one was given a fixed footer; a guest \
                      finds no partition table there"
                .to_owned(),
            actual: "the cookie 'conectix' at byte 0 of the disk".to_owned(),
            required: "a boot sector, or data".to_owned(),
            place: shared::disk_place(facts, 0, 512),
            remedy: Remedy::hand("convert the original again; or cut the last 512 bytes off and check what is then the file"),
        }]);
    }
    let places: Vec<String> =
        stale.iter().map(|footer| format!("byte {} (for a disk of {})", footer.offset, ByteSize(footer.current_size).short())).collect();
    let first = stale.first().map_or(0, |footer| footer.offset);
    Ok(vec![Finding {
        message: format!(
            "the disk holds footers of earlier ends at {}: it was made longer by appending; if a file system lies there, 512 bytes of \
             it were replaced",
            shared::first_three(&places, ", ")
        ),
        actual: format!("{} inside the disk", if stale.len() == 1 { "1 footer".to_owned() } else { format!("{} footers", stale.len()) }),
        required: "none".to_owned(),
        place: shared::disk_place(facts, first, 512),
        remedy: Remedy::hand("check the file system at that place with its own tools; in unused space a footer does no harm"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, StaleFooterFacts};
    use crate::rules::testing::*;

    fn stale(offset: u64) -> StaleFooterFacts {
        StaleFooterFacts { offset, current_size: offset, valid: true }
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| f.stale_footers = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &os(|f| f.stale_footers = Fact::Known(vec![stale(1 << 30), stale(2 << 30)]))), "hand");
        let nested = os(|f| {
            f.stale_footers = Fact::unknown("x");
            f.deviations.push(deviation("payload-begins-with-footer"));
        });
        assert_eq!(ask(&RULE, &nested), "hand");
    }

    #[test]
    fn three_places_are_listed() {
        let facts = os(|f| f.stale_footers = Fact::Known((1..=5).map(|n| stale(n << 30)).collect()));
        let message = findings(&RULE, &facts, &Target::default())[0].message.clone();
        assert!(message.contains("byte 3221225472 (for a disk of 3 GiB), and 2 more"), "{message}");
        let facts = os(|f| f.stale_footers = Fact::Known(vec![stale(0)]));
        assert!(findings(&RULE, &facts, &Target::default())[0].message.contains("VHD was put into a VHD"));
    }
}
