//! C-04: the file is the disk and 512 bytes more.

use crate::bytes::ByteSize;
use crate::facts::{DeviationFacts, DiskFacts};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD004",
    name: "file-length-mismatch",
    requirement: "C-04",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "fixed VHDs",
    summary: "The file is as long as the virtual size and the footer's 512 bytes together.",
    azure_error: Some("The upload size in bytes <n> - 512 bytes for the VHD footer (<n-512> in this case) must be a multiple of MiB."),
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

A fixed VHD is the disk, byte for byte, and the footer behind it: the bytes before the footer must be exactly as many as the footer's
Current Size says.

## Why it matters

Azure compares the two and refuses the disk when they differ. Fewer bytes than promised mean that the end of the disk is lost, which may
hold the end of a file system and the backup of the partition table. More bytes mean that one of the two sizes is wrong, and only a
person can say which.

## How to fix it

A file that is too short was cut: copy or export it again, and compare digests. For one that is too long, find out which size the disk
had in its machine. `qemu-img resize` is no cure: it takes the size that the program believes, and moves nothing. Where the longer one is
right, cut off the footer and give the rest to `vhdkit prepare` as a raw disk.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_fixed(facts)?;
    Ok(shared::deviations(facts, &["payload-short", "payload-long"]).map(|deviation| finding(facts, deviation)).collect())
}

fn finding(facts: &DiskFacts, deviation: &DeviationFacts) -> Finding {
    let difference = ByteSize(deviation.length);
    let (message, place, remedy) = if deviation.code == "payload-short" {
        (
            format!(
                "the disk's size asks for {}, but the file holds {}: {difference} are missing from the end of the disk",
                deviation.expected, deviation.found
            ),
            // The missing bytes have no place in the file; the number that promises them has.
            shared::size_place(facts),
            Remedy::hand("copy the disk again from its source: the file was cut, and what is missing cannot be made up"),
        )
    } else {
        (
            format!(
                "the disk's size asks for {}, but the file holds {}: to keep to it would cut off the last {difference}{}",
                deviation.expected,
                deviation.found,
                by_geometry(facts)
            ),
            shared::place(deviation),
            Remedy::hand(
                "find out which of the two sizes the disk had in its machine; where it is the longer, cut off the footer and give the \
                 rest to vhdkit prepare as a raw disk (qemu-img resize is no cure)",
            ),
        )
    };
    Finding { message, actual: deviation.found.clone(), required: deviation.expected.clone(), place, remedy }
}

/// Virtual PC and qemu sized their files by the geometry, whatever Current Size said.
fn by_geometry(facts: &DiskFacts) -> &'static str {
    let explained = shared::footer(facts)
        .is_ok_and(|footer| matches!(footer.creator_application.as_str(), "vpc " | "qemu") && footer.geometry.bytes() == footer.offset);
    if explained { "; the file's length is that of the cylinders, heads and sectors, by which its creator sizes disks" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::GeometryFacts;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_data()), "pass");
        assert_eq!(ask(&RULE, &dynamic(|_| {})), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| f.deviations.push(deviation("payload-short")))), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.deviations.push(deviation("payload-long")))), "hand");
    }

    #[test]
    fn a_length_by_geometry_is_explained() {
        let facts = os(|f| {
            f.deviations.push(deviation("payload-long"));
            let footer = known(&mut f.footer);
            footer.creator_application = "qemu".to_owned();
            footer.geometry = GeometryFacts { cylinders: 963, heads: 5, sectors: 17 };
            footer.offset = footer.geometry.bytes();
        });
        assert!(findings(&RULE, &facts, &Target::default())[0].message.contains("cylinders"));
    }
}
