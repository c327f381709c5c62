//! C-25, C-26: sizes that Marketplace certification takes.

use crate::bytes::ByteSize;
use crate::facts::{OsFamily, Role};
use crate::rules::azure::{MARKETPLACE_MAX, MARKETPLACE_MAX_WINDOWS_OS, MARKETPLACE_MIN_LINUX_OS, MARKETPLACE_MIN_WINDOWS_OS};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};
use std::ops::RangeInclusive;

pub(in crate::rules) static OS: Rule = Rule {
    code: "VHD025",
    name: "marketplace-os-disk-size",
    requirement: "C-25",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "OS disks",
    summary: "The OS disk has 1 to 1023 GiB for Linux, 30 to 250 GiB for Windows.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

An OS disk for the Marketplace must have 1 to 1023 GiB with Linux, and 30 to 250 GiB with Windows.

## Why it matters

Certification refuses other sizes. Azure itself does not.

## How to fix it

`vhdkit prepare` grows a disk that is too small. One that is too large is shrunk in its own machine.",
    check: Check::Disk(os),
};

pub(in crate::rules) static DATA: Rule = Rule {
    code: "VHD026",
    name: "marketplace-data-disk-size",
    requirement: "C-26",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "data disks",
    summary: "The data disk has at most 1023 GiB.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

A data disk for the Marketplace must have at most 1023 GiB.

## Why it matters

Certification refuses larger ones. Azure itself does not.

## How to fix it

Shrink the disk in its own machine, or spread its data over several disks.",
    check: Check::Disk(data),
};

const LINUX: RangeInclusive<u64> = MARKETPLACE_MIN_LINUX_OS..=MARKETPLACE_MAX;
const WINDOWS: RangeInclusive<u64> = MARKETPLACE_MIN_WINDOWS_OS..=MARKETPLACE_MAX_WINDOWS_OS;

fn os(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    let size = shared::disk_size(facts)?;
    if LINUX.contains(&size) && WINDOWS.contains(&size) {
        return Ok(vec![]);
    }
    subject.demand(Role::Os)?;
    // Outside both ranges the family does not matter; Linux's is the wider one.
    let (name, range) = if LINUX.contains(&size) {
        let family = match facts.os.known()? {
            Some(os) => os.family.known()?,
            None => None,
        };
        match family {
            Some(OsFamily::Linux) => return Ok(vec![]),
            Some(OsFamily::Windows) => ("Windows", WINDOWS),
            None => return Err(Skip::not_applicable("neither Linux nor Windows is on the disk")),
        }
    } else {
        ("Linux", LINUX)
    };
    let (min, max) = (ByteSize(*range.start()), ByteSize(*range.end()));
    Ok(vec![Finding {
        message: format!(
            "the OS disk has {}; the Marketplace takes OS disks of {} to {} with {name}",
            ByteSize(size),
            min.short(),
            max.short()
        ),
        actual: ByteSize(size).to_string(),
        required: format!("{min} to {max}"),
        place: shared::size_place(facts),
        remedy: if size < min.0 { shared::grow(subject.facts, min.0) } else { Remedy::hand(shared::SHRINK) },
    }])
}

fn data(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size <= MARKETPLACE_MAX {
        return Ok(vec![]);
    }
    subject.demand(Role::Data)?;
    let message =
        format!("the data disk has {}; the Marketplace takes data disks of at most {}", ByteSize(size), ByteSize(MARKETPLACE_MAX));
    Ok(vec![shared::too_large(subject.facts, size, MARKETPLACE_MAX, message, shared::SHRINK)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::GIB;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::{ask, gzip, known};

    fn sized(size: u64, family: Fact<OsFamily>) -> DiskFacts {
        crate::rules::testing::os(|f| {
            f.virtual_size = Fact::Known(size);
            known(&mut f.os).family = family;
        })
    }

    #[test]
    fn families_have_their_ranges() {
        let (linux, windows) = (|| Fact::Known(OsFamily::Linux), || Fact::Known(OsFamily::Windows));
        for (size, family, said) in [
            (40 * GIB, Fact::unknown("x"), "pass"),
            (2 * GIB, linux(), "pass"),
            (GIB - 1, linux(), "prepare"),
            (GIB - 1, Fact::unknown("x"), "prepare"),
            (1023 * GIB + 1, windows(), "hand"),
            (29 * GIB, windows(), "prepare"),
            (251 * GIB, windows(), "hand"),
            (251 * GIB, Fact::unknown("x"), "undecided"),
            (251 * GIB, Fact::Absent, "not applicable"),
        ] {
            assert_eq!(ask(&OS, &sized(size, family.clone())), said, "{size} {family:?}");
        }
        let data_disk = crate::rules::testing::data(|f| f.virtual_size = Fact::Known(GIB / 2));
        assert_eq!(ask(&OS, &data_disk), "not applicable");
        assert_eq!(ask(&OS, &gzip()), "not applicable");
    }

    #[test]
    fn data_disks_have_a_limit() {
        let sized = |size, role| crate::rules::testing::data(|f| (f.virtual_size, f.role) = (Fact::Known(size), role));
        assert_eq!(ask(&DATA, &sized(MARKETPLACE_MAX, Fact::unknown("x"))), "pass");
        assert_eq!(ask(&DATA, &sized(MARKETPLACE_MAX + 1, Fact::Known(Role::Data))), "hand");
        assert_eq!(ask(&DATA, &sized(MARKETPLACE_MAX + 1, Fact::Known(Role::Os))), "not applicable");
        assert_eq!(ask(&DATA, &sized(MARKETPLACE_MAX + 1, Fact::unknown("x"))), "undecided");
    }
}
