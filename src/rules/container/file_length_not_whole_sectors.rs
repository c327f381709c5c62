//! C-05: the file is a whole number of sectors.

use crate::bytes::SECTOR;
use crate::rules::{Check, Finding, Judgement, Profile, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD005",
    name: "file-length-not-whole-sectors",
    requirement: "C-05",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "fixed VHDs",
    summary: "The length of the file is a multiple of 512 bytes.",
    azure_error: Some("Given vhd file is a corrupted fixed vhd"),
    source: source::ADD_AZVHD,
    docs: r"## What it checks

The file's length must be a multiple of 512 bytes.

## Why it matters

Page blobs consist of pages of 512 bytes, and every way into Azure goes through them. Add-AzVhd calls such a file corrupt before it sends
anything; other clients fail at the last write.

## How to fix it

`vhdkit prepare` writes the disk with a footer of 512 bytes directly behind it. Look at the other findings first: an odd length often
means that a copy was cut.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_fixed(facts)?;
    let rest = facts.file_size % SECTOR;
    if rest == 0 {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!(
            "the file has {} bytes, {rest} more than whole sectors; Azure stores pages of 512 bytes and refuses it",
            facts.file_size
        ),
        actual: facts.file_size.to_string(),
        required: "a multiple of 512 bytes".to_owned(),
        place: None,
        remedy: shared::rewrite(facts),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &os(|f| f.file_size -= 1)), "prepare");
        assert_eq!(ask(&RULE, &dynamic(|f| f.file_size -= 1)), "not applicable");
    }
}
