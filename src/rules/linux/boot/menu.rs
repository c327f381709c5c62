//! L-10, L-11: the boot loader finds its menu, the menu its files, and somebody at the serial console the menu.

use super::started::default_entry;
use crate::facts::{DiskFacts, Fact};
use crate::rules::linux::{Distribution, Guest, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static NOT_SERIAL: Rule = Rule {
    code: "LNX010",
    name: "grub-menu-not-on-serial",
    requirement: "L-10",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux that GRUB starts",
    summary: "GRUB shows its menu on the serial console, for longer than no time.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

GRUB's configuration must use the serial port as a terminal, and wait longer than 0 seconds.

## Why it matters

When a kernel does not come up, another one or another command line can be chosen in Azure's serial console, if GRUB is to be seen there.

## How to fix it

In `/etc/default/grub`: `GRUB_TERMINAL='serial console'`,
`GRUB_SERIAL_COMMAND='serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1'` and `GRUB_TIMEOUT` above 0; then make GRUB's
configuration anew.",
    check: Check::Disk(not_serial),
};

pub(in crate::rules) static NO_MENU: Rule = Rule {
    code: "LNX011",
    name: "no-boot-configuration",
    requirement: "L-11",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux that GRUB starts",
    summary: "The boot loader has a configuration that starts a kernel.",
    azure_error: Some("grub>"),
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

Where GRUB is the boot loader of a disk: whether a configuration with an entry that starts a kernel is on it (`/boot/grub/grub.cfg`,
`/boot/grub2/grub.cfg`, entries in `/boot/loader/entries`, or a `grub.cfg` on the EFI System Partition).

## Why it matters

GRUB without a configuration stops at its prompt, and the machine never starts.

## How to fix it

Make the configuration anew in the machine: `update-grub`, or `grub2-mkconfig -o /boot/grub2/grub.cfg`. If `/boot` is on another disk, give
that disk too, or put `/boot` on the OS disk.",
    check: Check::Disk(no_menu),
};

pub(in crate::rules) static INCOMPLETE: Rule = Rule {
    code: "LNX111",
    name: "default-entry-incomplete",
    requirement: "L-11",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "Kernel and initial ramdisk of the boot entry that starts by itself are there.",
    azure_error: Some("error: file '/boot/vmlinuz-…' not found."),
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

The kernel and the initial ramdisks that the default boot entry names must be on the disk.

## Why it matters

The boot loader cannot start what is not there. A kernel that was removed without the boot loader's configuration being made anew is the
usual cause.

## How to fix it

Install the kernel again, or make the initial ramdisk and the boot loader's configuration anew.",
    check: Check::Disk(incomplete),
};

fn not_serial(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    if guest.linux.boot.loader.known()?.is_none_or(|loader| loader != "grub") {
        return Err(Skip::not_applicable("GRUB does not start it"));
    }
    let Some(grub) = guest.linux.boot.grub.known()? else { return Err(Skip::not_applicable("GRUB has no configuration")) };
    let serial = |terminals: &[String]| terminals.iter().any(|terminal| terminal.starts_with("serial"));
    let mut missing = Vec::new();
    if !serial(&grub.terminal_input) || !serial(&grub.terminal_output) {
        missing.push("it does not use the serial port");
    }
    if grub.timeout.as_deref() == Some("0") {
        missing.push("it waits 0 seconds");
    }
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let what = missing.join(", and ");
    let rebuild = guest.distribution().rebuild_grub_in(Some(&grub.config));
    Ok(vec![Finding {
        message: format!("GRUB's menu cannot be used in Azure's serial console: {what}"),
        actual: what,
        required: "a serial terminal, and a timeout above 0".to_owned(),
        place: shared::file(&grub.config, None),
        remedy: Remedy::hand(format!(
            "set GRUB_TERMINAL=\"serial console\", GRUB_SERIAL_COMMAND=\"serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1\" \
             and \
             GRUB_TIMEOUT=5 in /etc/default/grub, then {rebuild}"
        )),
    }])
}

fn no_menu(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let boot = &guest.linux.boot;
    let entries = boot.entries.known()?.map(Vec::as_slice).unwrap_or_default();
    if entries.iter().any(|entry| entry.kernel.is_some()) {
        return Ok(vec![]);
    }
    if guest.distribution() == Distribution::Flatcar {
        return Err(Skip::not_applicable("its GRUB carries its menu in itself"));
    }
    if !starts_by_grub(subject.facts)? {
        return Err(Skip::not_applicable("GRUB does not start it"));
    }
    if boot.unified_kernels.known()?.is_some_and(|all| !all.is_empty()) {
        return Err(Skip::not_applicable("unified kernel images start by themselves"));
    }
    if !boot.not_understood.is_empty() {
        return Err(Skip::Undecided(format!(
            "the boot configuration was not understood: {}",
            shared::first_three(&boot.not_understood, "; ")
        )));
    }
    elsewhere(&guest)?;
    let what = match &boot.grub {
        Fact::Known(grub) => format!("{} has no entry that starts a kernel", grub.config),
        _ => "GRUB has no configuration on the disk".to_owned(),
    };
    Ok(vec![Finding {
        message: format!("{what}; the machine stops at GRUB's prompt"),
        actual: "no entry that starts a kernel".to_owned(),
        required: "a boot configuration with a kernel".to_owned(),
        place: boot.grub.value().and_then(|grub| shared::file(&grub.config, None)),
        remedy: Remedy::hand(guest.distribution().rebuild_grub()),
    }])
}

/// Undecided where the configuration may lie on a file system that was not given.
fn elsewhere(guest: &Guest<'_>) -> Result<(), Skip> {
    let lines = guest.linux.mounts.fstab.known()?.map(Vec::as_slice).unwrap_or_default();
    for line in lines.iter().filter(|line| matches!(line.target.as_str(), "/" | "/boot" | "/boot/efi" | "/efi")) {
        if line.on.known()?.is_none() {
            return Err(Skip::Undecided(format!("{} is on a file system that was not given ({})", line.target, line.source)));
        }
    }
    Ok(())
}

fn starts_by_grub(facts: &DiskFacts) -> Result<bool, Skip> {
    let loaders = facts.boot.known()?.map(|boot| boot.loaders.known()).transpose()?.flatten();
    Ok(loaders.is_some_and(|loaders| loaders.iter().any(|loader| loader.name == "GRUB")))
}

fn incomplete(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let Some(entry) = default_entry(&guest)? else { return Err(Skip::not_applicable("no boot entry starts by itself")) };
    if entry.missing.is_empty() {
        return Ok(vec![]);
    }
    elsewhere(&guest)?;
    let names = shared::first_three(&entry.missing, ", ");
    let lacks_kernel = entry.kernel.as_ref().is_some_and(|kernel| entry.missing.contains(kernel));
    let release = entry.kernel.as_deref().map(shared::file_name).and_then(|name| name.split_once('-')).map_or("", |(_, release)| release);
    let distribution = guest.distribution();
    let remedy = if lacks_kernel || release.is_empty() {
        format!("install a kernel, or make the boot configuration anew: {}", distribution.rebuild_grub())
    } else {
        distribution.rebuild_initramfs(release)
    };
    Ok(vec![Finding {
        message: format!(
            "the boot entry '{}', which starts by itself, names files that are not there: {names}; the machine does not start",
            entry.title
        ),
        actual: format!("{names} missing"),
        required: "the kernel and its initial ramdisk on the disk".to_owned(),
        place: shared::file(&entry.source, (entry.line > 0).then_some(entry.line)),
        remedy: Remedy::hand(remedy),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn the_menu_is_on_the_serial_console() {
        assert_eq!(ask(&NOT_SERIAL, &healthy_os()), "pass");
        assert_eq!(ask(&NOT_SERIAL, &linux(|l| known(&mut l.boot.grub).terminal_output.clear())), "hand");
        assert_eq!(ask(&NOT_SERIAL, &linux(|l| known(&mut l.boot.grub).timeout = Some("0".to_owned()))), "hand");
        assert_eq!(ask(&NOT_SERIAL, &linux(|l| l.boot.loader = Fact::Known("extlinux".to_owned()))), "not applicable");
        assert_eq!(ask(&NOT_SERIAL, &linux(|l| l.boot.grub = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn grub_needs_a_menu() {
        let empty = |change: fn(&mut DiskFacts)| {
            os(|f| {
                let linux = known(&mut known(&mut f.os).linux);
                linux.boot.entries = Fact::Known(vec![]);
                linux.boot.grub = Fact::Absent;
                change(f);
            })
        };
        assert_eq!(ask(&NO_MENU, &healthy_os()), "pass");
        assert_eq!(ask(&NO_MENU, &empty(|_| {})), "hand");
        assert_eq!(ask(&NO_MENU, &empty(|f| known(&mut known(&mut f.boot).loaders).clear())), "not applicable");
        assert_eq!(ask(&NO_MENU, &empty(|f| known(&mut f.os).id = Fact::Known("flatcar".to_owned()))), "not applicable");
        let away = |f: &mut DiskFacts| known(&mut known(&mut known(&mut f.os).linux).mounts.fstab)[0].on = Fact::Absent;
        assert_eq!(ask(&NO_MENU, &empty(away)), "undecided");
        assert_eq!(ask(&NO_MENU, &linux(|l| l.boot.entries = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&NO_MENU, &healthy_data()), "not applicable");
    }

    #[test]
    fn the_files_of_the_default_entry_are_there() {
        let without = |file: &str| {
            let file = file.to_owned();
            linux(|l| known(&mut l.boot.entries)[0].missing.push(file))
        };
        assert_eq!(ask(&INCOMPLETE, &healthy_os()), "pass");
        let initrd = findings(&INCOMPLETE, &without("/boot/initrd.img-6.1.0-56-cloud-amd64"), &Target::default());
        assert_eq!(initrd[0].remedy.text(), "update-initramfs -u -k 6.1.0-56-cloud-amd64");
        assert_eq!(ask(&INCOMPLETE, &without("/boot/vmlinuz-6.1.0-56-cloud-amd64")), "hand");
        assert_eq!(ask(&INCOMPLETE, &linux(|l| l.boot.entries = Fact::Absent)), "not applicable");
        assert_eq!(ask(&INCOMPLETE, &linux(|l| l.boot.entries = Fact::unknown("x"))), "undecided");
    }
}
