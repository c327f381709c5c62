//! C-11: the way over a page blob ends at 8 TiB.

use crate::bytes::{ByteSize, SECTOR};
use crate::rules::azure::MAX_PAGE_BLOB;
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD011",
    name: "page-blob-too-large",
    requirement: "C-11",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "all disks",
    summary: "The file to upload fits into a page blob: at most 8 TiB, its footer included.",
    azure_error: None,
    source: source::PAGE_BLOBS,
    docs: r"## What it checks

The disk and its footer together should not exceed 8 TiB, the largest page blob of a storage account.

## Why it matters

Two ways into Azure need the VHD as a page blob: making an image from a blob, and making a gallery version from a VHD. A larger disk
has only the direct upload to a managed disk.

## How to fix it

Upload the disk directly: `az disk create --upload-type Upload`, then AzCopy with the address that `az disk grant-access` gives. Or
shrink the disk in its own machine.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size.saturating_add(SECTOR) <= MAX_PAGE_BLOB {
        return Ok(vec![]);
    }
    let message = format!(
        "the disk has {} and does not fit with its footer into a page blob of {}; images and gallery versions cannot be made from its VHD",
        ByteSize(size),
        ByteSize(MAX_PAGE_BLOB)
    );
    let cure = "upload it directly to a managed disk (az disk create --upload-type Upload)";
    Ok(vec![shared::too_large(subject.facts, size, MAX_PAGE_BLOB.saturating_sub(SECTOR), message, cure)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn the_footer_counts() {
        assert_eq!(ask(&RULE, &data(|f| f.virtual_size = Fact::Known(MAX_PAGE_BLOB - SECTOR))), "pass");
        assert_eq!(ask(&RULE, &data(|f| f.virtual_size = Fact::Known(MAX_PAGE_BLOB))), "hand");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &data(|f| f.virtual_size = Fact::unknown("x"))), "undecided");
    }
}
