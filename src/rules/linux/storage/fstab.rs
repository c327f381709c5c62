//! L-13, L-14, L-51, X-10: what is mounted at boot is found again in Azure.

use crate::facts::FstabLineFacts;
use crate::rules::linux::boot::console;
use crate::rules::linux::{Guest, guest};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// Names that depend on the order in which disks are found, or on the kind of controller.
const DEVICES: [&str; 6] = ["sd", "vd", "hd", "xvd", "nvme", "mmcblk"];
const FSTAB: &str = "/etc/fstab";

pub(in crate::rules) static DEVICE_NAME: Rule = Rule {
    code: "LNX013",
    name: "mounted-by-device-name",
    requirement: "L-13",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The root file system and what is mounted at boot are named by UUID, label or logical volume.",
    azure_error: Some("A start job is running for /dev/sdb1 … You are in emergency mode."),
    source: source::FSTAB,
    docs: r"## What it checks

`root=` on the kernel command line, and the lines of `/etc/fstab` that the boot needs (without `nofail` or `noauto`, and not swap), must not
name a device like `/dev/sda1`, `/dev/vda1`, `/dev/xvda1` or `/dev/nvme0n1p1`.

## Why it matters

Such names follow the kind of controller and the order in which disks are found. `/dev/vda` and `/dev/xvda` do not exist in Azure;
`/dev/sda` may be the temporary disk, and on sizes with NVMe there is none. The machine waits for the device and stops in emergency mode.

## How to fix it

Take the UUID that `blkid` tells, and write `UUID=…` in `/etc/fstab` and behind `root=`.",
    check: Check::Disk(device_name),
};

pub(in crate::rules) static OPTIONAL_DEVICE_NAME: Rule = Rule {
    code: "LNX113",
    name: "optional-mount-by-device-name",
    requirement: "L-13",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "What is mounted if it is there, and swap, are named by UUID or label too.",
    azure_error: None,
    source: source::FSTAB,
    docs: r"## What it checks

Lines of `/etc/fstab` that the boot does not need (`nofail`, `noauto`, swap) and that name a device like `/dev/sdb1`.

## Why it matters

In Azure another disk may stand behind the name: the wrong one is mounted, or none.

## How to fix it

Take the UUID that `blkid` tells, and write `UUID=…` instead.",
    check: Check::Disk(optional_device_name),
};

pub(in crate::rules) static ABSENT: Rule = Rule {
    code: "LNX014",
    name: "mount-of-absent-disk",
    requirement: "L-14",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "What the boot mounts is on one of the disks given, or is marked nofail.",
    azure_error: Some("Dependency failed for Local File Systems. You are in emergency mode."),
    source: source::FSTAB,
    docs: r"## What it checks

Each line of `/etc/fstab` that the boot needs (without `nofail` or `noauto`, and neither swap nor from the network) must be found on one
of the disks given.

## Why it matters

The machine waits 90 seconds for the disk and stops in emergency mode, without a network. A data disk that was left behind, a DVD, and the
temporary disk of another cloud are the usual ones.

## How to fix it

Give the data disk too (`--data LUN=DISK`), remove the line, or add `nofail` to its options.",
    check: Check::Disk(absent),
};

pub(in crate::rules) static SLOW: Rule = Rule {
    code: "LNX114",
    name: "mount-that-delays-boot",
    requirement: "L-14",
    also: &[],
    // systemd does not count them among the local file systems: the boot goes on without them.
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "Swap that is not there and file systems of the network are marked nofail.",
    azure_error: None,
    source: source::FSTAB,
    docs: r"## What it checks

Lines of `/etc/fstab` without `nofail` or `noauto` for swap that none of the disks given holds, and for NFS, CIFS and their like.

## Why it matters

The boot goes on without them, but only after it has waited 90 seconds or more; and programs find an empty directory where a share should
be.

## How to fix it

Add `nofail` to the options (for the network also `_netdev`), or remove the line.",
    check: Check::Disk(slow),
};

pub(in crate::rules) static SCSI_LINK: Rule = Rule {
    code: "LNX151",
    name: "mount-by-azure-scsi-link",
    requirement: "L-51",
    also: &["X-10"],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "No line of /etc/fstab names a link below /dev/disk/azure/scsi.",
    azure_error: None,
    source: source::NVME_LINUX,
    docs: r"## What it checks

Lines of `/etc/fstab` whose source is below `/dev/disk/azure/scsi0` or `/dev/disk/azure/scsi1`.

## Why it matters

These links exist only where disks hang on SCSI. On sizes with NVMe they do not, and the line fails.

## How to fix it

Name the file system by UUID, or use `/dev/disk/azure/data/by-lun/N`, which the package `azure-vm-utils` makes for both.",
    check: Check::Disk(scsi_link),
};

fn lines<'a>(guest: &Guest<'a>) -> Result<&'a [FstabLineFacts], Skip> {
    Ok(guest.linux.mounts.fstab.known()?.map(Vec::as_slice).unwrap_or_default())
}

fn place(line: &FstabLineFacts) -> Option<Place> {
    shared::file(FSTAB, u32::try_from(line.line).ok())
}

/// Whether the boot stops without it.
fn is_needed(line: &FstabLineFacts) -> bool {
    // systemd mounts the former when somebody asks for it; the latter come behind the network, after what the boot stops for.
    let later = line.options.iter().any(|option| matches!(option.as_str(), "x-systemd.automount" | "_netdev"));
    let swap = line.kind == "swap" || line.target == "none" || line.target == "swap";
    // The kernel's own name of whatever it has mounted as root.
    let mounted = line.source == "/dev/root" && line.target == "/";
    !line.optional && !later && !swap && !mounted && line.named_by != "network"
}

/// Whether that path names a device of a kind that changes.
fn is_changing(source: &str) -> bool {
    let name = source.trim_matches('"').strip_prefix("/dev/");
    name.is_some_and(|name| !name.contains('/') && DEVICES.iter().any(|kind| name.starts_with(kind)))
}

fn device_name(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let mut found = Vec::new();
    let root = &guest.linux.boot.root;
    if let Some(root) = root.value().filter(|root| is_changing(root)) {
        found.push(Finding {
            message: format!(
                "the kernel command line has root={root}, a name that another disk or none may have in Azure; the machine may not start"
            ),
            actual: format!("root={root}"),
            required: "root=UUID=…".to_owned(),
            place: console::place(&guest),
            remedy: Remedy::hand(format!(
                "take the UUID that 'blkid -s UUID -o value {}' tells, and set root=UUID=… in the boot configuration",
                word::sh(root)
            )),
        });
    }
    let lines = match lines(&guest) {
        Ok(lines) => lines,
        Err(reason) => return if found.is_empty() { Err(reason) } else { Ok(found) },
    };
    found.extend(
        lines
            .iter()
            .filter(|line| is_changing(&line.source) && is_needed(line))
            .map(|line| by_name(line, "the machine waits for it and may stop in emergency mode")),
    );
    if found.is_empty() {
        root.known()?;
    }
    Ok(found)
}

fn optional_device_name(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let unneeded = lines(&guest)?.iter().filter(|line| is_changing(&line.source) && !is_needed(line));
    Ok(unneeded.map(|line| by_name(line, "the wrong one is used, or none")).collect())
}

fn by_name(line: &FstabLineFacts, effect: &str) -> Finding {
    let FstabLineFacts { source, target, .. } = line;
    Finding {
        message: format!("{FSTAB} names {source} for {target}, a name that another disk or none may have in Azure; {effect}"),
        actual: source.clone(),
        required: "UUID=… or LABEL=…".to_owned(),
        place: place(line),
        remedy: Remedy::hand(format!("write UUID=… instead of {source}, with what 'blkid -s UUID -o value {}' tells", word::sh(source))),
    }
}

fn absent(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let encrypted = guest.linux.mounts.crypttab.value().map(Vec::as_slice).unwrap_or_default();
    // What crypttab opens is not there before; the rule on crypttab judges it.
    let opened = |line: &FstabLineFacts| encrypted.iter().any(|one| line.source == format!("/dev/mapper/{}", one.name));
    find_absent(
        subject,
        &guest,
        |line| is_needed(line) && is_on_disk(line) && !opened(line),
        |line| {
            let FstabLineFacts { source, target, .. } = line;
            Finding {
                message: format!(
                    "{FSTAB} mounts {source} at {target} without nofail, and none of the disks given holds it; the machine stops in \
                     emergency mode"
                ),
                actual: format!("{source}, not found"),
                required: "a file system on one of the disks given, or nofail".to_owned(),
                place: place(line),
                remedy: Remedy::hand("give the disk that holds it with --data, or add nofail to the options of the line, or remove it"),
            }
        },
    )
}

/// Findings on the lines that are meant and on none of the disks; what is found comes before what is not known.
fn find_absent(
    subject: &Subject<'_>,
    guest: &Guest<'_>,
    meant: impl Fn(&FstabLineFacts) -> bool,
    tell: impl Fn(&FstabLineFacts) -> Finding,
) -> Judgement {
    let mut found = Vec::new();
    let mut unknown: Option<Skip> = None;
    for line in lines(guest)?.iter().filter(|line| meant(line)) {
        // Partitions are seen whatever is in them.
        let inside = !matches!(line.named_by.as_str(), "partuuid" | "partlabel") && !is_changing(&line.source);
        match line.on.known() {
            Ok(Some(_)) => {}
            Ok(None) => match shared::sealed(subject.facts).filter(|_| inside) {
                Some(reason) => unknown = Some(reason),
                None => found.push(tell(line)),
            },
            Err(reason) => unknown = Some(reason.into()),
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

/// Whether the source is a disk at all: not memory, not a file, not another machine.
fn is_on_disk(line: &FstabLineFacts) -> bool {
    let removable = ["/dev/sr", "/dev/cdrom", "/dev/dvd", "/dev/fd", "/dev/loop", "/dev/zram"];
    let disk = matches!(line.named_by.as_str(), "uuid" | "label" | "partuuid" | "partlabel" | "link" | "mapper" | "device");
    disk && (!removable.iter().any(|start| line.source.starts_with(start)) || is_needed(line))
}

fn slow(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let needed = |line: &&FstabLineFacts| !line.optional && !line.options.iter().any(|option| option == "x-systemd.automount");
    let network: Vec<Finding> = lines(&guest)?
        .iter()
        .filter(|line| needed(line) && line.named_by == "network")
        .map(|line| Finding {
            message: format!(
                "{FSTAB} mounts {} from the network without nofail; where it is not reached, the boot waits for it",
                line.source
            ),
            actual: format!("{}, without nofail", line.source),
            required: "nofail,_netdev".to_owned(),
            place: place(line),
            remedy: Remedy::hand("add nofail,_netdev to the options of the line, or remove it"),
        })
        .collect();
    let swap = find_absent(
        subject,
        &guest,
        |line| needed(&line) && line.kind == "swap" && is_on_disk(line),
        |line| Finding {
            message: format!(
                "{FSTAB} has {} for swap, and none of the disks given holds it; the boot waits 90 seconds for it",
                line.source
            ),
            actual: format!("{}, not found", line.source),
            required: "swap on one of the disks given, or nofail".to_owned(),
            place: place(line),
            remedy: Remedy::hand("remove the line; in Azure swap belongs on the temporary disk"),
        },
    );
    match swap {
        Ok(swap) => Ok(network.into_iter().chain(swap).collect()),
        Err(reason) => {
            if network.is_empty() {
                Err(reason)
            } else {
                Ok(network)
            }
        }
    }
}

fn scsi_link(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let links = lines(&guest)?.iter().filter(|line| line.source.starts_with("/dev/disk/azure/scsi"));
    Ok(links
        .map(|line| Finding {
            message: format!(
                "{FSTAB} names {} for {}, a link that does not exist on sizes whose disks are on NVMe",
                line.source, line.target
            ),
            actual: line.source.clone(),
            required: "UUID=… or /dev/disk/azure/data/by-lun/…".to_owned(),
            place: place(line),
            remedy: Remedy::hand("name the file system by UUID, or install azure-vm-utils and use /dev/disk/azure/data/by-lun"),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::linux::fstab;
    use crate::rules::testing::*;

    fn with(source: &str, target: &str, named_by: &str, options: &[&str], on: Fact<String>) -> DiskFacts {
        linux(|l| {
            let mut line = fstab(3, source, target, if target == "none" { "swap" } else { "ext4" }, named_by, on);
            line.optional = options.contains(&"nofail");
            line.options = options.iter().map(|option| (*option).to_owned()).collect();
            known(&mut l.mounts.fstab).push(line);
        })
    }

    fn on() -> Fact<String> {
        Fact::Known("partition 4".to_owned())
    }

    #[test]
    fn device_names_change() {
        assert_eq!((ask(&DEVICE_NAME, &healthy_os()), ask(&OPTIONAL_DEVICE_NAME, &healthy_os())), ("pass".to_owned(), "pass".to_owned()));
        for device in ["/dev/sda1", "/dev/vdb", "/dev/xvda2", "/dev/nvme0n1p1", "/dev/hda1"] {
            assert_eq!(ask(&DEVICE_NAME, &with(device, "/data", "device", &[], on())), "hand", "{device}");
            assert_eq!(ask(&DEVICE_NAME, &linux(|l| l.boot.root = Fact::Known(device.to_owned()))), "hand", "{device}");
        }
        for source in ["/dev/sr0", "/dev/mapper/vg0-root", "/dev/vg0/root", "/dev/loop0"] {
            assert_eq!(ask(&DEVICE_NAME, &with(source, "/data", "device", &[], on())), "pass", "{source}");
        }
        let optional = with("/dev/sdb1", "/data", "device", &["nofail"], Fact::Absent);
        assert_eq!((ask(&DEVICE_NAME, &optional), ask(&OPTIONAL_DEVICE_NAME, &optional)), ("pass".to_owned(), "hand".to_owned()));
        let swap = with("/dev/sda2", "none", "device", &["sw"], on());
        assert_eq!((ask(&DEVICE_NAME, &swap), ask(&OPTIONAL_DEVICE_NAME, &swap)), ("pass".to_owned(), "hand".to_owned()));
        assert_eq!(ask(&DEVICE_NAME, &linux(|l| l.mounts.fstab = Fact::unknown("x"))), "undecided");
        let both = linux(|l| (l.mounts.fstab, l.boot.root) = (Fact::unknown("x"), Fact::Known("/dev/sda1".to_owned())));
        assert_eq!(ask(&DEVICE_NAME, &both), "hand");
        assert_eq!(ask(&DEVICE_NAME, &linux(|l| l.boot.root = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DEVICE_NAME, &healthy_data()), "not applicable");
    }

    #[test]
    fn absent_disks_stop_the_boot() {
        assert_eq!(ask(&ABSENT, &healthy_os()), "pass");
        assert_eq!(ask(&ABSENT, &with("UUID=x", "/data", "uuid", &["defaults"], Fact::Absent)), "hand");
        assert_eq!(ask(&ABSENT, &with("UUID=x", "/data", "uuid", &["defaults"], on())), "pass");
        assert_eq!(ask(&ABSENT, &with("UUID=x", "/data", "uuid", &["nofail"], Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("UUID=x", "/data", "uuid", &["x-systemd.automount"], Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("UUID=x", "/data", "uuid", &[], Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&ABSENT, &with("tmpfs", "/tmp", "virtual", &[], Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("nas:/x", "/x", "network", &[], Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("UUID=x", "/data", "uuid", &["defaults", "_netdev"], Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("/srv/data", "/data", "file", &["bind"], Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("/dev/root", "/", "device", &["defaults"], Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("LABEL=MISSING", "/data", "label", &["defaults"], Fact::Absent)), "hand");
        // The resource disk as waagent and cloud-init write it, and as people copy it without nofail.
        let cloud = ["defaults", "nofail", "x-systemd.after=cloud-init.service", "_netdev", "comment=cloudconfig"];
        assert_eq!(ask(&ABSENT, &with("/dev/disk/cloud/azure_resource-part1", "/mnt", "link", &cloud, Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &with("/dev/disk/azure/resource-part1", "/mnt", "link", &["defaults"], Fact::Absent)), "hand");
        // Names of the hardware where it was installed.
        assert_eq!(ask(&ABSENT, &with("/dev/disk/by-id/scsi-36000c29-part2", "/data", "link", &[], Fact::Absent)), "hand");
        // What is inside LUKS or on a volume that cannot be read is not seen.
        for content in [Fact::Known(content("crypto_LUKS")), Fact::unknown("x")] {
            let hide = |source: &str, named_by: &str| {
                let mut facts = with(source, "/data", named_by, &["defaults"], Fact::Absent);
                known(&mut facts.partitions)[0].content = content.clone();
                facts
            };
            assert_eq!(ask(&ABSENT, &hide("UUID=x", "uuid")), "undecided");
            assert_eq!(ask(&ABSENT, &hide("PARTUUID=x", "partuuid")), "hand");
        }
        assert_eq!(ask(&ABSENT, &linux(|l| l.mounts.fstab = Fact::Absent)), "pass");
        assert_eq!(ask(&ABSENT, &linux(|l| l.mounts.fstab = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn what_only_delays() {
        assert_eq!(ask(&SLOW, &healthy_os()), "pass");
        assert_eq!(ask(&SLOW, &with("nas:/x", "/x", "network", &[], Fact::Absent)), "hand");
        assert_eq!(ask(&SLOW, &with("nas:/x", "/x", "network", &["nofail"], Fact::Absent)), "pass");
        assert_eq!(ask(&SLOW, &with("UUID=x", "none", "uuid", &["sw"], Fact::Absent)), "hand");
        assert_eq!(ask(&SLOW, &with("UUID=x", "none", "uuid", &["sw"], on())), "pass");
        assert_eq!(ask(&SCSI_LINK, &healthy_os()), "pass");
        assert_eq!(ask(&SCSI_LINK, &with("/dev/disk/azure/scsi1/lun0", "/x", "link", &["nofail"], Fact::Absent)), "hand");
    }
}
