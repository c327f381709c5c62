//! C-13: VHDX is another format.

use crate::rules::{Check, Finding, Judgement, Place, Profile, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD013",
    name: "vhdx",
    requirement: "C-13",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDX files",
    summary: "The file is a VHD, not a VHDX.",
    azure_error: Some(shared::COOKIE_ERROR),
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

The file must not be a VHDX, Hyper-V's newer format, which begins with `vhdxfile`.

## Why it matters

Azure makes OS disks and images from VHDs alone. A VHDX with sectors of 4096 bytes can be uploaded directly to an Ultra or Premium SSD v2
data disk; that is the only place where the format is taken.

## How to fix it

`vhdkit prepare` writes the disk as a fixed VHD.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    if facts.format != "vhdx" {
        return Err(Skip::not_applicable("the file is not a VHDX"));
    }
    Ok(vec![Finding {
        message: "the file is a VHDX; Azure takes that format only for Ultra and Premium SSD v2 data disks with sectors of 4096 bytes, \
                  never for OS disks or images"
            .to_owned(),
        actual: "vhdx".to_owned(),
        required: "vhd".to_owned(),
        place: Some(Place::Bytes { offset: 0, length: 8 }),
        remedy: shared::rewrite(facts),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| f.format = "vhdx".to_owned())), "prepare");
        let damaged = os(|f| (f.format, f.readable) = ("vhdx".to_owned(), Fact::unknown("no region table holds")));
        assert_eq!(ask(&RULE, &damaged), "hand");
    }
}
