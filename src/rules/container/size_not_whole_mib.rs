//! C-03: the virtual size is a whole number of MiB.

use crate::bytes::ByteSize;
use crate::rules::azure::{MAX_DISK, SIZE_UNIT};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD003",
    name: "size-not-whole-mib",
    requirement: "C-03",
    also: &["X-05"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "all disks",
    summary: "The virtual size is a whole number of MiB.",
    azure_error: Some("The VHD <url> has an unsupported virtual size of <n> bytes. The size must be a whole number (in MBs)."),
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The footer's Current Size must be a multiple of 1 MiB (1048576 bytes). The *file* is then that size plus 512 bytes for the footer: it is
the disk that must be whole MiB, not the file.

## Why it matters

Azure refuses the disk when the upload ends, or when the disk resource is made. qemu-img rounds sizes up to cylinders unless it is told
`force_size=on`, which is how most such disks come about.

## How to fix it

`vhdkit prepare` grows the disk to the next whole MiB, and moves the backup GPT to the new end. No data is cut off.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let size = shared::disk_size(subject.facts)?;
    if size.is_multiple_of(SIZE_UNIT) {
        return Ok(vec![]);
    }
    // A size that no disk of Azure's can have is a lie of the footer, not a reason to grow.
    let next = size.checked_next_multiple_of(SIZE_UNIT).filter(|next| *next <= MAX_DISK);
    Ok(vec![Finding {
        message: format!(
            "the virtual size is {size} bytes, {} bytes more than a whole number of MiB; Azure refuses it",
            size.checked_rem(SIZE_UNIT).unwrap_or_default()
        ),
        actual: size.to_string(),
        required: next.map_or_else(
            || format!("a multiple of {SIZE_UNIT} bytes"),
            |next| format!("a multiple of {SIZE_UNIT} bytes, next {}", ByteSize(next)),
        ),
        place: shared::size_place(subject.facts),
        remedy: next.map_or_else(
            || Remedy::hand("find out the disk's true size: no disk in Azure can be as large as this footer says"),
            |next| shared::grow(subject.facts, next),
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        let sized = |size| os(|f| f.virtual_size = Fact::Known(size));
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &sized(OS_SIZE + 1)), "prepare");
        assert_eq!(ask(&RULE, &sized(MAX_DISK - 1)), "prepare");
        assert_eq!(ask(&RULE, &sized(MAX_DISK + 1)), "hand");
        assert_eq!(ask(&RULE, &sized(u64::MAX)), "hand");
        // A GPT that cannot be rebuilt cannot follow to a new end.
        let stuck = os(|f| {
            f.virtual_size = Fact::Known(OS_SIZE + 1);
            known(&mut f.partition_table).rebuild_refused = Some("x".to_owned());
        });
        assert_eq!(ask(&RULE, &stuck), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.virtual_size = Fact::unknown("x"))), "undecided");
    }
}
