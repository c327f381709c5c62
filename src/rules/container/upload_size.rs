//! C-06, C-07: sizes that no disk in Azure can have.

use crate::bytes::{ByteSize, SECTOR};
use crate::rules::azure::{MAX_DISK, MAX_UPLOAD, MIN_SIZE};
use crate::rules::{Check, Finding, Judgement, Profile, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static TOO_SMALL: Rule = Rule {
    code: "VHD006",
    name: "disk-too-small",
    requirement: "C-06",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "all disks",
    summary: "The virtual size is at least 20 MiB.",
    azure_error: Some("Vhd (Hard Disk Image) file must be between 20 MB and 4095 GB"),
    source: source::CREATE_DISK,
    docs: r"## What it checks

The virtual size must be 20 MiB (20971520 bytes) or more.

## Why it matters

Azure makes no smaller disks: the upload is refused before it starts.

## How to fix it

`vhdkit prepare` grows the disk to 20 MiB with zeros, and moves the backup GPT to the new end.",
    check: Check::Disk(too_small),
};

pub(in crate::rules) static TOO_LARGE: Rule = Rule {
    code: "VHD007",
    name: "upload-size-out-of-range",
    requirement: "C-07",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "all disks",
    summary: "The file to upload has at most 35183298347520 bytes, its footer included.",
    azure_error: None,
    source: source::CREATE_DISK,
    docs: r"## What it checks

The disk and its footer together must not exceed 35183298347520 bytes: 32767 GiB and 512 bytes. The interface's own text rounds that to
32 TiB, which is 1 GiB more than it takes.

## Why it matters

A disk resource for the upload cannot be made with a larger number. Add-AzVhd stops earlier: it takes no file above 4095 GiB in all, so
that a disk of exactly 4095 GiB needs another client, AzCopy for example.

## How to fix it

Make the disk smaller in its own machine: shrink the last file system and its partition, then copy the partitions to a smaller disk.
Where the size comes from a damaged footer, the other findings say so.",
    check: Check::Disk(too_large),
};

fn too_small(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size >= MIN_SIZE {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("the virtual size is {}; Azure makes no disk below {}", ByteSize(size), ByteSize(MIN_SIZE)),
        actual: ByteSize(size).to_string(),
        required: format!("at least {}", ByteSize(MIN_SIZE)),
        place: shared::size_place(subject.facts),
        remedy: shared::grow(subject.facts, MIN_SIZE),
    }])
}

fn too_large(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size.saturating_add(SECTOR) <= MAX_UPLOAD {
        return Ok(vec![]);
    }
    let message = format!("the virtual size is {}; Azure takes no disk above {}", ByteSize(size), ByteSize(MAX_DISK));
    Ok(vec![shared::too_large(subject.facts, size, MAX_DISK, message, shared::SHRINK)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn borders() {
        for (size, small, large) in [
            (0, "prepare", "pass"),
            (MIN_SIZE - 1, "prepare", "pass"),
            (MIN_SIZE, "pass", "pass"),
            (MAX_DISK, "pass", "pass"),
            (MAX_DISK + 1, "pass", "hand"),
            (u64::MAX, "pass", "hand"),
        ] {
            let facts = data(|f| f.virtual_size = Fact::Known(size));
            assert_eq!((ask(&TOO_SMALL, &facts), ask(&TOO_LARGE, &facts)), (small.to_owned(), large.to_owned()), "{size}");
        }
    }

    #[test]
    fn a_file_that_is_no_disk_has_no_size() {
        for rule in [&TOO_SMALL, &TOO_LARGE] {
            let mut qcow2 = gzip();
            (qcow2.format, qcow2.virtual_size) = ("qcow2".to_owned(), Fact::Known(1));
            assert_eq!(ask(rule, &gzip()), "not applicable");
            assert_eq!(ask(rule, &qcow2), "not applicable");
            assert_eq!(ask(rule, &os(|f| f.virtual_size = Fact::unknown("x"))), "undecided");
        }
    }
}
