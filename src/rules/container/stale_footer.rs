//! C-23: no footer stands inside the disk.

use crate::bytes::ByteSize;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD023",
    name: "stale-footer",
    requirement: "C-23",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks that can be read",
    summary: "No VHD footer stands inside the disk.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The disk inside the file should hold no VHD footer: not at its start, and not where an earlier end of the file would have been. Borders
of GiB and the last MiB are looked at, not every sector.

## Why it matters

A broken footer at byte 0 is what may be left of a VHD that was put into a VHD. A sound one is an error: VHD108.

A footer further on is what remains when a fixed VHD was made longer by appending. In space that no file system uses it does no harm;
inside a file system it has replaced 512 bytes of data.

## How to fix it

At byte 0: convert the original again, or cut off the outer footer and check the inner disk. Further on: check the file system there with
its own tools. When it is clean, accept the finding: `--waive VHD023` for the verdict, `--allow VHD023` for `prepare`.",
    check: Check::Disk(check),
};

pub(in crate::rules) static NESTED: Rule = Rule {
    code: "VHD108",
    name: "vhd-inside-vhd",
    requirement: "C-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks that can be read",
    summary: "The disk does not begin with a sound VHD footer.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The disk inside the file must not begin with a VHD footer whose checksum is right. Where only the cookie stands there, VHD023 warns.

## Why it matters

Dynamic disks begin with a copy of their footer, so the file is a VHD put into another: a dynamic disk that was given the footer of a
fixed one without being converted. Azure takes the upload, and the machine finds neither a partition table nor a file system.

## How to fix it

Convert the original again, or cut the last 512 bytes off: where the rest is a VHD by itself, give that to `vhdkit prepare`. If the disk
is meant to hold a VHD instead of a file system, accept the finding: `--waive VHD108` for the verdict, `--allow VHD108` for `prepare`.",
    check: Check::Disk(nested),
};

fn nested(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    let none = || Skip::not_applicable("there is no disk in the file");
    let stale = facts.stale_footers.known()?.ok_or_else(none)?;
    if !stale.iter().any(|footer| footer.offset == 0 && footer.valid) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "the disk begins with a sound VHD footer: it is a VHD that was put into a VHD without being converted; a guest finds \
                  neither partitions nor files there"
            .to_owned(),
        actual: "a VHD footer at byte 0 of the disk".to_owned(),
        required: "a boot sector, or data".to_owned(),
        place: shared::disk_place(facts, 0, 512),
        remedy: Remedy::hand("convert the original again; or cut the last 512 bytes off, and check what is then the file"),
    }])
}

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
    if stale.iter().any(|footer| footer.offset == 0 && footer.valid) {
        return Err(Skip::not_applicable("a VHD inside a VHD, which VHD108 tells of"));
    }
    if stale.is_empty() && !nested {
        return Ok(vec![]);
    }
    if nested || stale.iter().any(|footer| footer.offset == 0) {
        return Ok(vec![Finding {
            message: "the disk begins with the cookie of a VHD footer, whose checksum is wrong: perhaps what is left of a VHD that was \
                      put into a VHD"
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
    }

    #[test]
    fn a_vhd_inside_a_vhd_is_an_error_and_a_mere_cookie_a_warning() {
        let begins = |valid| os(|f| f.stale_footers = Fact::Known(vec![StaleFooterFacts { valid, ..stale(0) }]));
        assert_eq!((ask(&NESTED, &begins(true)), ask(&RULE, &begins(true))), ("hand".to_owned(), "not applicable".to_owned()));
        assert_eq!((ask(&NESTED, &begins(false)), ask(&RULE, &begins(false))), ("pass".to_owned(), "hand".to_owned()));
        assert_eq!(ask(&NESTED, &healthy_os()), "pass");
        assert_eq!(ask(&NESTED, &gzip()), "not applicable");
        assert_eq!(ask(&NESTED, &os(|f| f.stale_footers = Fact::unknown("x"))), "undecided");
    }
}
