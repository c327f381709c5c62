//! C-10, C-27: how large a data disk can be.

use crate::bytes::ByteSize;
use crate::facts::Role;
use crate::rules::azure::{MAX_DISK, MAX_GALLERY_DATA_DISK};
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static ANY: Rule = Rule {
    code: "VHD010",
    name: "data-disk-too-large",
    requirement: "C-10",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "data disks",
    summary: "A data disk has at most 32767 GiB.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

A data disk must have at most 32767 GiB.

## Why it matters

Azure makes no larger managed disk of the kinds that a VHD can be uploaded to.

## How to fix it

Shrink the disk in its own machine, or spread its data over several disks.",
    check: Check::Disk(any),
};

pub(in crate::rules) static IN_GALLERY: Rule = Rule {
    code: "VHD027",
    name: "gallery-data-disk-too-large",
    requirement: "C-27",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "data disks of an image",
    summary: "A data disk of a gallery image version has at most 1023 GiB.",
    azure_error: None,
    source: source::IMAGE_VERSION,
    docs: r"## What it checks

A data disk that is judged as part of an image must have at most 1023 GiB.

## Why it matters

A Compute Gallery copies the disks of an image version to its regions, and does so for data disks up to this size only. With shallow
replication it takes disks up to 32 TB.

## How to fix it

Put the data on several smaller disks, leave the disk out of the image and attach it to each machine, or make the version with
`--replication-mode Shallow` and accept the finding: `--waive VHD027` for the verdict, `--allow VHD027` for `prepare`.",
    check: Check::Disk(in_gallery),
};

fn any(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size <= MAX_DISK {
        return Ok(vec![]);
    }
    subject.demand(Role::Data)?;
    let message = format!("the data disk has {}; Azure makes no data disk above {}", ByteSize(size), ByteSize(MAX_DISK));
    Ok(vec![shared::too_large(subject.facts, size, MAX_DISK, message, shared::SHRINK)])
}

fn in_gallery(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if !subject.in_image {
        return Err(Skip::not_applicable("not part of an image with data disks"));
    }
    if size <= MAX_GALLERY_DATA_DISK {
        return Ok(vec![]);
    }
    subject.demand(Role::Data)?;
    let message = format!(
        "the data disk has {}; a gallery image version takes data disks of at most {}, larger ones only with shallow replication",
        ByteSize(size),
        ByteSize(MAX_GALLERY_DATA_DISK)
    );
    let cure = "leave the disk out of the image and attach it to each machine, spread its data over smaller disks, or replicate shallowly";
    Ok(vec![shared::too_large(subject.facts, size, MAX_GALLERY_DATA_DISK, message, cure)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn sized(size: u64, role: Fact<Role>) -> DiskFacts {
        data(|f| (f.virtual_size, f.role) = (Fact::Known(size), role))
    }

    #[test]
    fn any_data_disk_is_limited() {
        assert_eq!(ask(&ANY, &sized(MAX_DISK, Fact::unknown("x"))), "pass");
        assert_eq!(ask(&ANY, &sized(MAX_DISK + 1, Fact::Known(Role::Data))), "hand");
        assert_eq!(ask(&ANY, &sized(MAX_DISK + 1, Fact::Known(Role::Os))), "not applicable");
        assert_eq!(ask(&ANY, &sized(MAX_DISK + 1, Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn a_gallery_limits_those_of_an_image() {
        for (size, role, said) in [
            (MAX_GALLERY_DATA_DISK, Fact::unknown("x"), "pass"),
            (MAX_GALLERY_DATA_DISK + 1, Fact::Known(Role::Data), "hand"),
            (MAX_GALLERY_DATA_DISK + 1, Fact::Known(Role::Os), "not applicable"),
            (MAX_GALLERY_DATA_DISK + 1, Fact::unknown("x"), "undecided"),
        ] {
            let facts = sized(size, role);
            let in_image = Subject { in_image: true, ..subject(&facts) };
            assert_eq!(ask_for(&IN_GALLERY, &in_image, &Target::default()), said);
            assert_eq!(ask(&IN_GALLERY, &facts), "not applicable");
        }
    }
}
