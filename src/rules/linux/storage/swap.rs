//! L-16: no swap on the OS disk.

use crate::rules::linux::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

/// Types of partitions for swap.
const TYPES: [&str; 2] = ["0x82", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"];

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX016",
    name: "swap-on-os-disk",
    requirement: "L-16",
    also: &[],
    severity: Severity::Note,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "There is no swap on the OS disk.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Partitions and logical volumes for swap, and swap files, on the OS disk.

## Why it matters

The OS disk is a remote disk whose operations are limited and charged: a machine that swaps there is slow. Azure's temporary disk is made
for it. Certification refuses swap on the OS disk.

## How to fix it

Run `swapoff -a`, remove the line from `/etc/fstab` and the partition or file. Have cloud-init or the Azure agent make swap on the
temporary disk if it is needed.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let facts = subject.facts;
    let mut found = Vec::new();
    let contents = shared::contents(facts, true);
    let partitions = facts.partitions.value().map(Vec::as_slice).unwrap_or_default();
    found.extend(contents.known.iter().filter(|(_, content)| content.kind == "swap").map(|(at, _)| at.clone()));
    for partition in partitions.iter().filter(|one| TYPES.iter().any(|kind| one.kind.eq_ignore_ascii_case(kind))) {
        let at = format!("partition {}", partition.number);
        if !found.contains(&at) {
            found.push(at);
        }
    }
    let files = guest.linux.mounts.swap_files.known();
    found.extend(files.as_ref().ok().copied().flatten().into_iter().flatten().cloned());
    if found.is_empty() {
        files?;
        return contents.unknown.map_or(Ok(vec![]), |reason| Err(reason.into()));
    }
    let names = shared::first_three(&found, ", ");
    Ok(vec![Finding {
        message: format!("there is swap on the OS disk ({names}); it is slow there, and certification refuses it"),
        actual: names,
        required: "no swap on the OS disk".to_owned(),
        place: None,
        remedy: Remedy::hand("swapoff -a, remove its line from /etc/fstab, and remove the partition, volume or file"),
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
        assert_eq!(ask(&RULE, &linux(|l| l.mounts.swap_files = Fact::Known(vec!["/swapfile".to_owned()]))), "hand");
        assert_eq!(ask(&RULE, &os(|f| known(&mut f.partitions).push(partition(4, 0, 1, TYPES[1], Fact::Absent)))), "hand");
        assert_eq!(ask(&RULE, &os(|f| known(&mut f.partitions).push(partition(4, 0, 1, "x", Fact::Known(content("swap")))))), "hand");
        assert_eq!(ask(&RULE, &linux(|l| l.mounts.swap_files = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &os(|f| f.volumes = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_data()), "not applicable");
    }
}
