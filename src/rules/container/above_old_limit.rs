//! C-28: a limit that old pages still print.

use crate::bytes::ByteSize;
use crate::rules::azure::OLD_MAX_DISK;
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD028",
    name: "above-old-limit",
    requirement: "C-28",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "all disks",
    summary: "The disk has at most 1023 GiB, the limit that some pages still print.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

Whether the disk has more than 1023 GiB.

## Why it matters

It does not, any more. Some of Microsoft's pages on Linux still give 1023 GB as the largest VHD; the limits in force are 2 TiB for OS
disks of generation 1, 4095 GiB for other OS disks and 32767 GiB for data disks. The note is here so that nobody shrinks a disk in vain.
Tools may stop earlier: azure-vhd-utils refuses files above 1 TiB.

## How to fix it

Nothing needs to be done. Use AzCopy or the Azure CLI for the upload.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size <= OLD_MAX_DISK {
        return Ok(vec![]);
    }
    let message = format!(
        "the disk has {}; some pages still give {} as the limit, which Azure no longer has",
        ByteSize(size),
        ByteSize(OLD_MAX_DISK).short()
    );
    Ok(vec![shared::too_large(
        subject.facts,
        size,
        OLD_MAX_DISK,
        message,
        "nothing needs to be done; upload with AzCopy, not with azure-vhd-utils",
    )])
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
        assert_eq!(ask(&RULE, &os(|f| f.virtual_size = Fact::Known(OLD_MAX_DISK + 1))), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.virtual_size = Fact::unknown("x"))), "undecided");
    }
}
