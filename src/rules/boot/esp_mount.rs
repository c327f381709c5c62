//! G-09: Linux mounts the EFI System Partition, and can.

use super::{ESP, of_type};
use crate::rules::linux::boot::{blocked, started};
use crate::rules::linux::{Distribution, Guest, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static NO_VFAT: Rule = Rule {
    code: "GEN009",
    name: "vfat-not-loadable",
    requirement: "G-09",
    also: &["L-17"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux that mounts a FAT file system at boot",
    summary: "The driver vfat loads where the boot mounts the EFI System Partition.",
    azure_error: Some("You are in emergency mode."),
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

Where `/etc/fstab` mounts a FAT file system (the EFI System Partition, usually at `/boot/efi`) without `nofail` or `noauto`: the kernel
must have `vfat`, and nothing in `modprobe.d` or on the kernel command line may keep it from loading.

## Why it matters

The mount fails, and the boot stops in emergency mode. Hardening guides (CIS) forbid `vfat` on machines that boot by BIOS; in an image
that also boots by UEFI it must load.

## How to fix it

Remove the lines for `vfat` from `/etc/modprobe.d`, or add `nofail` to the line in `/etc/fstab`.",
    check: Check::Disk(no_vfat),
};

pub(in crate::rules) static NOT_MOUNTED: Rule = Rule {
    code: "GEN109",
    name: "esp-not-in-fstab",
    requirement: "G-09",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux and an EFI System Partition",
    summary: "/etc/fstab mounts the EFI System Partition.",
    azure_error: None,
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

Whether a line of `/etc/fstab`, or a mount unit, mounts a FAT file system at `/boot/efi`, `/efi` or `/boot`.

## Why it matters

Updates of shim and GRUB write to the place where the EFI System Partition should be mounted. Where it is not, the loader that firmware
starts stays old, and one day Secure Boot refuses it.

## How to fix it

Add a line to `/etc/fstab`: `UUID=… /boot/efi vfat umask=0077 0 1`, with the UUID that `blkid` tells.",
    check: Check::Disk(not_mounted),
};

fn no_vfat(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let lines = guest.linux.mounts.fstab.known()?.map(Vec::as_slice).unwrap_or_default();
    let Some(line) = lines.iter().find(|line| matches!(line.kind.as_str(), "vfat" | "msdos" | "fat") && !line.optional) else {
        return Err(Skip::not_applicable("no FAT file system is needed at boot"));
    };
    let started = started::started(&guest)?;
    let (message, actual, remedy) = match blocked::block(&guest, &started, "vfat", false)? {
        Some(block) => (
            format!("vfat is kept from loading by {}, and /etc/fstab mounts {} with it", block.shown(), line.target),
            block.text.clone(),
            format!("remove {}, or add nofail to the line in /etc/fstab", block.shown()),
        ),
        None if started.driver("vfat")?.is_there()? => return Ok(vec![]),
        None => (
            format!("the kernel {}, which starts by itself, has no vfat, and /etc/fstab mounts {} with it", started.release(), line.target),
            "no vfat".to_owned(),
            "install a kernel that has vfat, or add nofail to the line in /etc/fstab".to_owned(),
        ),
    };
    Ok(vec![Finding {
        message: format!("{message}; the boot stops in emergency mode"),
        actual,
        required: "vfat that loads, or nofail".to_owned(),
        place: shared::file("/etc/fstab", u32::try_from(line.line).ok()),
        remedy: Remedy::hand(remedy),
    }])
}

fn not_mounted(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    if of_type(subject.facts, ESP)?.is_empty() || guest.distribution() == Distribution::Flatcar {
        return Err(Skip::not_applicable("there is no EFI System Partition that it keeps mounted"));
    }
    shared::demand_possible_generation(subject.facts, target, 2)?;
    if is_mounted(&guest)? {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "/etc/fstab does not mount the EFI System Partition; updates of the boot loader do not reach it".to_owned(),
        actual: "no line".to_owned(),
        required: "a line for /boot/efi".to_owned(),
        place: shared::file("/etc/fstab", None),
        remedy: Remedy::hand("add 'UUID=… /boot/efi vfat umask=0077 0 1' to /etc/fstab, with the UUID that blkid tells"),
    }])
}

fn is_mounted(guest: &Guest<'_>) -> Result<bool, Skip> {
    let mounts = &guest.linux.mounts;
    let at = |target: &str| matches!(target.trim_end_matches('/'), "/boot/efi" | "/efi" | "/boot");
    let lines = mounts.fstab.known()?.map(Vec::as_slice).unwrap_or_default();
    if lines.iter().any(|line| line.kind == "vfat" && at(&line.target)) {
        return Ok(true);
    }
    let units = mounts.units.known()?.map(Vec::as_slice).unwrap_or_default();
    Ok(units.iter().any(|unit| unit.starts_with("boot-efi.") || unit.starts_with("efi.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriverState, Fact, ModuleLineFacts};
    use crate::rules::testing::linux::driver;
    use crate::rules::testing::*;

    #[test]
    fn vfat_loads() {
        let line = || ModuleLineFacts {
            module: "vfat".to_owned(),
            text: "install vfat /bin/true".to_owned(),
            file: "/etc/modprobe.d/CIS.conf".to_owned(),
            line: 9,
        };
        assert_eq!(ask(&NO_VFAT, &healthy_os()), "pass");
        assert_eq!(ask(&NO_VFAT, &linux(|l| known(&mut l.modules.modprobe).disabled.push(line()))), "hand");
        let missing = linux(|l| drop(known(&mut l.kernels)[0].drivers.insert("vfat".to_owned(), driver(DriverState::Missing, false))));
        assert_eq!(ask(&NO_VFAT, &missing), "hand");
        let optional = linux(|l| {
            known(&mut l.modules.modprobe).disabled.push(line());
            known(&mut l.mounts.fstab)[1].optional = true;
        });
        assert_eq!(ask(&NO_VFAT, &optional), "not applicable");
        assert_eq!(ask(&NO_VFAT, &linux(|l| l.mounts.fstab = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&NO_VFAT, &linux(|l| l.modules.modprobe = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn the_partition_is_mounted() {
        assert_eq!(ask(&NOT_MOUNTED, &healthy_os()), "pass");
        assert_eq!(ask(&NOT_MOUNTED, &linux(|l| drop(known(&mut l.mounts.fstab).pop()))), "hand");
        let unit = linux(|l| {
            known(&mut l.mounts.fstab).pop();
            l.mounts.units = Fact::Known(vec!["boot-efi.mount".to_owned()]);
        });
        assert_eq!(ask(&NOT_MOUNTED, &unit), "pass");
        assert_eq!(ask(&NOT_MOUNTED, &os(|f| drop(known(&mut f.partitions).remove(1)))), "not applicable");
        assert_eq!(ask(&NOT_MOUNTED, &windows_disk(|_| {})), "not applicable");
    }
}
