//! C-24: partitions of an OS disk leave the first 2048 sectors free.

use crate::bytes::SECTOR;
use crate::facts::Role;
use crate::rules::azure::MARKETPLACE_FREE_SECTORS;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD024",
    name: "first-mib-not-free",
    requirement: "C-24",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "OS disks with partitions",
    summary: "The first partition of an OS disk starts at sector 2048 or later.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Every partition of the OS disk must start at sector 2048 (byte 1048576) or later.

## Why it matters

Certification refuses images that use the first MiB of the OS disk. Azure itself does not. Old installers started the first partition at
sector 63.

## How to fix it

Move the partition in its own machine, with GParted for example, or install the system anew on a disk with partitions that are aligned.",
    check: Check::Disk(check),
};

const FREE: u64 = MARKETPLACE_FREE_SECTORS * SECTOR;

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let Some(partitions) = subject.facts.partitions.known()? else { return Err(Skip::not_applicable("the disk has no partitions")) };
    let early: Vec<_> = partitions.iter().filter(|partition| partition.start < FREE).collect();
    let Some(first) = early.iter().min_by_key(|partition| partition.start) else { return Ok(vec![]) };
    subject.demand(Role::Os)?;
    let sector = first.start / SECTOR;
    Ok(vec![Finding {
        message: format!(
            "partition {} starts at sector {sector}; the Marketplace wants the first {MARKETPLACE_FREE_SECTORS} sectors of an OS disk free",
            first.number
        ),
        actual: format!("sector {sector}"),
        required: format!("sector {MARKETPLACE_FREE_SECTORS} or later"),
        place: shared::disk_place(subject.facts, first.start, SECTOR),
        remedy: Remedy::hand("move the partition in its own machine, with GParted for example"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        let early = |role| {
            os(|f| {
                known(&mut f.partitions)[0].start = 63 * 512;
                f.role = role;
            })
        };
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &early(Fact::Known(Role::Os))), "hand");
        assert_eq!(ask(&RULE, &early(Fact::Known(Role::Data))), "not applicable");
        assert_eq!(ask(&RULE, &early(Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &os(|f| f.partitions = Fact::unknown("x"))), "undecided");
    }
}
