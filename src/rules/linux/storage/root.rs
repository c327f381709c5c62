//! L-13: the root file system that the kernel is told to mount is there.

use crate::facts::DiskFacts;
use crate::rules::linux::boot::console;
use crate::rules::linux::{Distribution, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX213",
    name: "root-not-found",
    requirement: "L-13",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux whose root is named by UUID, label or partition",
    summary: "The root file system that the kernel command line names is on the disk.",
    azure_error: Some("ALERT! UUID=… does not exist. Dropping to a shell!"),
    source: source::FSTAB,
    docs: r"## What it checks

`root=` on the command line of the boot entry that starts by itself, where it names a UUID, a label or the GUID of a partition: one of the
disk's file systems or partitions must have it.

## Why it matters

The initial ramdisk waits for that file system, gives up, and drops to a shell that nobody reaches. A root file system that was copied to a
new one, or a partition table that was made anew, is the usual cause.

## How to fix it

Set `root=UUID=…` with what `blkid` tells, in the boot loader's configuration and in what it is made from, and make the initial ramdisk
anew.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let none = || Skip::not_applicable("the kernel is not told a root by UUID, label or partition");
    let root = guest.linux.boot.root.known()?.ok_or_else(none)?;
    let (by, value) = name(root).ok_or_else(none)?;
    if is_there(subject.facts, by, value)? {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("the kernel command line has root={root}, and nothing on the disk has that name; the machine does not start"),
        actual: format!("root={root}, not found"),
        required: "the root file system of the disk".to_owned(),
        place: console::place(&guest),
        remedy: Remedy::hand(cure(guest.distribution())),
    }])
}

fn cure(distribution: Distribution) -> String {
    match distribution {
        Distribution::RedHat => {
            "grubby --update-kernel=ALL --args=\"root=UUID=…\", with what blkid tells of the root file system".to_owned()
        }
        Distribution::Alpine => "set root=UUID=… in /etc/update-extlinux.conf, with what blkid tells, then update-extlinux".to_owned(),
        // The maker of the configuration finds the root by itself.
        other => format!("in the machine, or in a chroot on its root file system: {}", other.rebuild_grub()),
    }
}

/// How the root is named, and by what; nothing for volumes, devices and what a shell would fill in.
fn name(root: &str) -> Option<(&'static str, &str)> {
    let forms = [
        ("UUID=", "uuid"),
        ("/dev/disk/by-uuid/", "uuid"),
        ("LABEL=", "label"),
        ("PARTUUID=", "partuuid"),
        ("/dev/disk/by-partuuid/", "partuuid"),
    ];
    let (by, value) = forms.iter().find_map(|(start, by)| Some((*by, root.strip_prefix(start)?)))?;
    let value = value.trim_matches('"');
    (!value.is_empty() && !value.contains(['$', '/'])).then_some((by, value))
}

fn is_there(facts: &DiskFacts, by: &str, value: &str) -> Result<bool, Skip> {
    if by == "partuuid" {
        let partitions = facts.partitions.known()?.map(Vec::as_slice).unwrap_or_default();
        if partitions.iter().any(|one| one.guid.as_deref().is_some_and(|guid| guid.eq_ignore_ascii_case(value))) {
            return Ok(true);
        }
        // On an MBR it is the disk's signature and the partition's number.
        let table = shared::table(facts)?;
        if table.scheme == "gpt" {
            return Ok(false);
        }
        let signature = table.disk_signature.as_deref().map(|signature| signature.trim_start_matches("0x").to_ascii_lowercase());
        let named = |number: u32| signature.as_ref().map(|signature| format!("{signature}-{number:02x}"));
        return Ok(partitions.iter().any(|one| named(one.number).is_some_and(|name| name.eq_ignore_ascii_case(value))));
    }
    let contents = shared::contents(facts, true);
    let fits =
        |own: &Option<String>| own.as_deref().is_some_and(|own| if by == "uuid" { own.eq_ignore_ascii_case(value) } else { own == value });
    if contents.known.iter().any(|(_, content)| fits(if by == "uuid" { &content.uuid } else { &content.label })) {
        return Ok(true);
    }
    shared::sealed(facts).map_or(Ok(false), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    fn with(root: &str) -> DiskFacts {
        linux(|l| l.boot.root = Fact::Known(root.to_owned()))
    }

    #[test]
    fn the_root_is_on_the_disk() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        let mut labelled = with("LABEL=cloudimg-rootfs");
        known(&mut known(&mut labelled.partitions)[2].content).label = Some("cloudimg-rootfs".to_owned());
        assert_eq!(ask(&RULE, &labelled), "pass");
        for root in ["PARTUUID=5B193300-FC78-40CD-8002-E86C45580B47", "/dev/disk/by-partuuid/5b193300-fc78-40cd-8002-e86c45580b47"] {
            let mut facts = with(root);
            known(&mut facts.partitions)[2].guid = Some("5b193300-fc78-40cd-8002-e86c45580b47".to_owned());
            assert_eq!(ask(&RULE, &facts), "pass", "{root}");
        }
        for lost in ["UUID=00000000-1111-2222-3333-444444444444", "LABEL=lost", "PARTUUID=00000000-1111-2222-3333-444444444444"] {
            assert_eq!(ask(&RULE, &with(lost)), "hand", "{lost}");
        }
        for other in ["/dev/mapper/rootvg-rootlv", "/dev/sda1", "UUID=$uuid", "live:CDLABEL=x", "ZFS=rpool/ROOT"] {
            assert_eq!(ask(&RULE, &with(other)), "not applicable", "{other}");
        }
        assert_eq!(ask(&RULE, &linux(|l| l.boot.root = Fact::Absent)), "not applicable");
        assert_eq!(ask(&RULE, &linux(|l| l.boot.root = Fact::unknown("x"))), "undecided");
        let mut hidden = with("UUID=x");
        known(&mut hidden.partitions)[0].content = Fact::Known(content("crypto_LUKS"));
        assert_eq!(ask(&RULE, &hidden), "undecided");
        assert_eq!(ask(&RULE, &healthy_data()), "not applicable");
    }

    #[test]
    fn on_an_mbr_partitions_are_named_by_the_disk() {
        let mbr = |root: &str| {
            let mut facts = with(root);
            let table = known(&mut facts.partition_table);
            (table.scheme, table.disk_signature) = ("mbr".to_owned(), Some("0x1a2b3c4d".to_owned()));
            facts
        };
        assert_eq!(ask(&RULE, &mbr("PARTUUID=1a2b3c4d-01")), "pass");
        assert_eq!(ask(&RULE, &mbr("PARTUUID=99999999-01")), "hand");
    }
}
