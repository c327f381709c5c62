//! C-21: the partition table is for sectors of 512 bytes.

use crate::bytes::SECTOR;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD021",
    name: "sector-size-4096",
    requirement: "C-21",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDX files, and disks with a partition table",
    summary: "The disk and its partition table are made for sectors of 512 bytes.",
    azure_error: None,
    source: source::UPLOAD,
    docs: r"## What it checks

The GPT's header must stand at byte 512 of the disk. At byte 4096 it was made for sectors of 4096 bytes. A VHDX must not say that its
disk has sectors of 4096 bytes: whatever stands on it, an MBR for example, was made for them.

## Why it matters

A VHD has sectors of 512 bytes, and so does the machine that gets it. There every number in such a table means another place: no partition
is found, and nothing boots.

## How to fix it

Copy the partitions to a disk with sectors of 512 bytes and make a table there. A file system that is itself made for sectors of 4096
bytes, as XFS can be, needs its files copied instead.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    if let Some(size) = facts.sector_size.known()?.filter(|size| **size != SECTOR) {
        return Ok(vec![Finding {
            message: format!(
                "the disk is made for sectors of {size} bytes; a VHD has sectors of 512, and partitions are looked for in other places there"
            ),
            actual: format!("{size} bytes"),
            required: "512 bytes".to_owned(),
            place: None,
            remedy: Remedy::hand("copy the partitions, or the files, to a disk with sectors of 512 bytes"),
        }]);
    }
    let table = shared::table(facts)?;
    if table.sector_size != 4096 {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "the partition table is made for sectors of 4096 bytes; a VHD has sectors of 512, and no partition is found there"
            .to_owned(),
        actual: "4096 bytes".to_owned(),
        required: "512 bytes".to_owned(),
        place: shared::disk_place(facts, 4096, 512),
        remedy: Remedy::hand("copy the partitions to a disk with sectors of 512 bytes"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| f.sector_size = Fact::Known(4096))), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.sector_size = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &os(|f| known(&mut f.partition_table).sector_size = 4096)), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.partition_table = Fact::unknown("x"))), "undecided");
    }
}
