//! G-06, G-07: what firmware starts that knows no boot entry, and what that finds next.

use crate::facts::{DiskFacts, EspFacts, LoaderFacts, Role};
use crate::rules::linux::Distribution;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static MISSING: Rule = Rule {
    code: "GEN006",
    name: "no-fallback-loader",
    requirement: "G-06",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with an EFI System Partition for generation 2",
    summary: "The loader for removable media is on the EFI System Partition: \\EFI\\BOOT\\BOOTX64.EFI, or BOOTAA64.EFI.",
    azure_error: Some("The boot loader did not load an operating system."),
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

On the EFI System Partition of a disk for generation 2, `\EFI\BOOT\BOOTX64.EFI` (x64) or `\EFI\BOOT\BOOTAA64.EFI` (Arm64) must be there,
and be a program for that processor.

## Why it matters

An installation tells the firmware of its machine where its boot loader is. That entry stays in the machine and does not travel with the
disk: the firmware of a new machine looks for the loader of removable media only.

## How to fix it

In the machine: `grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable`, or copy `shimx64.efi` to `\EFI\BOOT\BOOTX64.EFI`
with `grubx64.efi` and `mmx64.efi` beside it; Debian and Ubuntu keep it up to date after `dpkg-reconfigure grub-efi-amd64`. Windows:
`bcdboot C:\Windows /s S: /f UEFI`, with the EFI System Partition as S:.",
    check: Check::Disk(missing),
};

pub(in crate::rules) static INCOMPLETE: Rule = Rule {
    code: "GEN007",
    name: "fallback-loader-leads-nowhere",
    requirement: "G-07",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 2 whose loader for removable media is not Windows'",
    summary: "The loader for removable media finds what it starts next.",
    azure_error: Some("The boot loader did not load an operating system."),
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

What stands beside the loader for removable media: shim needs `grubx64.efi` beside it, or `fbx64.efi` with a list `BOOTX64.CSV` in the
directory of the distribution that leads to a program; GRUB needs its configuration; systemd-boot needs an entry.

## Why it matters

Firmware starts the loader, the loader finds nothing, and the machine stops or starts over for ever.

## How to fix it

Install the boot loader anew for removable media: `grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable`; Red Hat:
`dnf reinstall shim-x64 grub2-efi-x64`; SUSE: `shim-install --removable`.",
    check: Check::Disk(incomplete),
};

pub(in crate::rules) static CONFIG: Rule = Rule {
    code: "GEN107",
    name: "efi-grub-config-leads-nowhere",
    requirement: "G-07",
    also: &["L-11"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 2 with a GRUB configuration that leads to another",
    summary: "GRUB's configuration on the EFI System Partition looks for a file system that is there.",
    azure_error: Some("error: no such device: … / grub rescue>"),
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

GRUB's configuration on the EFI System Partition often only looks for the file system with the true one, by UUID or label. One of the disk's
file systems must have it.

## Why it matters

GRUB finds nothing and stops at its prompt. A root file system that was made anew or copied, and has another UUID, is the usual cause.

## How to fix it

Make the boot loader's configuration anew in the machine: Debian and Ubuntu `grub-install --target=x86_64-efi --efi-directory=/boot/efi`;
Red Hat `dnf reinstall grub2-common` or put the UUID that `blkid` tells into the file.",
    check: Check::Disk(config),
};

/// The EFI System Partition of an OS disk that may be used as generation 2.
fn esp<'a>(subject: &Subject<'a>, target: &Target) -> Result<&'a EspFacts, Skip> {
    let none = || Skip::not_applicable("there is no EFI System Partition that can be read");
    let boot = subject.facts.boot.known()?.ok_or_else(none)?;
    let esp = match (boot.esp.known(), target.generation) {
        (Ok(Some(esp)), _) => esp,
        (Ok(None), _) => return Err(none()),
        (Err(_), Some(1)) => return Err(Skip::not_applicable("not for generation 2")),
        (Err(reason), _) => return Err(reason.into()),
    };
    shared::demand_possible_generation(subject.facts, target, 2)?;
    subject.demand(Role::Os)?;
    Ok(esp)
}

fn loaders<'a>(subject: &Subject<'a>) -> Result<&'a [LoaderFacts], Skip> {
    let loaders = subject.facts.boot.known()?.map(|boot| boot.loaders.known()).transpose()?.flatten();
    Ok(loaders.map(Vec::as_slice).unwrap_or_default())
}

/// Installs the boot loader for removable media, as the distribution does.
fn for_removable_media(facts: &DiskFacts) -> String {
    let os = facts.os.value();
    let arm = os.and_then(|os| os.architecture.value()).is_some_and(|machine| machine == "Arm64");
    let (efi, suffix) = if arm { ("arm64-efi", "aa64") } else { ("x86_64-efi", "x64") };
    let command = match os.map(Distribution::of) {
        // Their packages bring the loader for removable media; grub2-install refuses for UEFI.
        Some(Distribution::RedHat) => format!("dnf reinstall shim-{suffix} grub2-efi-{suffix}"),
        Some(Distribution::AzureLinux) => "dnf reinstall shim grub2-efi-binary".to_owned(),
        Some(Distribution::Suse) => "shim-install --removable".to_owned(),
        _ => format!("grub-install --target={efi} --efi-directory=/boot/efi --removable"),
    };
    format!("in the machine: {command}")
}

fn missing(subject: &Subject<'_>, target: &Target) -> Judgement {
    let esp = esp(subject, target)?;
    let all = loaders(subject)?;
    let cure = if esp.windows_boot_manager.value() == Some(&true) {
        r"bcdboot C:\Windows /s S: /f UEFI, with the EFI System Partition as S:".to_owned()
    } else {
        for_removable_media(subject.facts)
    };
    let finding = |message: String, actual: String| {
        Ok(vec![Finding {
            message: format!("{message}; a generation 2 machine finds nothing to start"),
            actual,
            required: r"\EFI\BOOT\BOOTX64.EFI, or BOOTAA64.EFI on Arm64".to_owned(),
            place: None,
            remedy: Remedy::hand(cure.as_str()),
        }])
    };
    if esp.fallback.known()?.is_none() {
        let others: Vec<String> = all.iter().filter_map(|loader| loader.path.clone()).collect();
        let beside = if others.is_empty() { String::new() } else { format!(" (there is {})", shared::first_three(&others, ", ")) };
        let message = format!("partition {} has no loader for removable media{beside}", esp.partition);
        return finding(message, "no loader for removable media".to_owned());
    }
    let mut troubles = Vec::new();
    let mut unknown = None;
    for loader in all.iter().filter(|loader| loader.fallback) {
        let path = loader.path.as_deref().unwrap_or_default();
        let wanted = if path.to_ascii_lowercase().ends_with("aa64.efi") { "Arm64" } else { "x64" };
        if loader.program.value() == Some(&false) {
            troubles.push(format!("{path} is not a program"));
            continue;
        }
        match loader.architecture.known() {
            Ok(Some(machine)) if machine == wanted => return Ok(vec![]),
            Ok(machine) => troubles
                .push(format!("{path} is a program for {}, not for {wanted}", machine.map_or("nothing that is known", String::as_str))),
            Err(reason) => unknown = Some(reason),
        }
    }
    match unknown {
        Some(reason) => Err(reason.into()),
        None => {
            let text = shared::first_three(&troubles, "; ");
            finding(text.clone(), text)
        }
    }
}

fn incomplete(subject: &Subject<'_>, target: &Target) -> Judgement {
    let esp = esp(subject, target)?;
    let Some(fallback) = esp.fallback.known()? else { return Err(Skip::not_applicable("there is no loader for removable media")) };
    let own = loaders(subject)?.iter().find(|loader| loader.fallback);
    if own.is_some_and(|loader| loader.name == "Windows Boot Manager" || loader.program.value() == Some(&false)) {
        return Err(Skip::not_applicable("another rule judges this loader"));
    }
    // What others need is not known, and no reason to call a disk undecided.
    if own.is_some_and(|loader| !matches!(loader.name.as_str(), "shim" | "GRUB" | "systemd-boot" | "unified kernel image")) {
        return Err(Skip::not_applicable("what a loader of this kind needs is not known"));
    }
    if fallback.complete.known()? != Some(&false) {
        return Ok(vec![]);
    }
    let why = fallback.evidence.trim_end_matches('.');
    Ok(vec![Finding {
        message: format!("{} is there, but leads nowhere: {why}; a generation 2 machine does not start", fallback.path),
        actual: why.to_owned(),
        required: "a loader for removable media that finds what it starts next".to_owned(),
        place: None,
        remedy: Remedy::hand(for_removable_media(subject.facts)),
    }])
}

fn config(subject: &Subject<'_>, target: &Target) -> Judgement {
    let esp = esp(subject, target)?;
    let configs = esp.grub_configs.known()?.map(Vec::as_slice).unwrap_or_default();
    let contents = shared::contents(subject.facts, true);
    let uuid = |wanted: &str| contents.known.iter().any(|(_, one)| one.uuid.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(wanted)));
    let label = |wanted: &str| contents.known.iter().any(|(_, one)| one.label.as_deref() == Some(wanted));
    let mut lost = None;
    let mut any = false;
    for config in configs.iter().filter(|config| !config.entries && config.leads_to.is_some()) {
        let (found, wanted) = match (&config.search_uuid, &config.search_label) {
            (Some(wanted), _) => (uuid(wanted), format!("UUID {wanted}")),
            (None, Some(wanted)) => (label(wanted), format!("label {wanted}")),
            (None, None) => continue,
        };
        any = true;
        if found {
            return Ok(vec![]);
        }
        lost.get_or_insert((config, wanted));
    }
    let Some((config, wanted)) = lost else {
        return if any { Ok(vec![]) } else { Err(Skip::not_applicable("no configuration there leads to another")) };
    };
    if let Some(reason) = contents.unknown {
        return Err(reason.into());
    }
    Ok(vec![Finding {
        message: format!("{} looks for the file system with {wanted}, and the disk has none; GRUB stops at its prompt", config.path),
        actual: wanted,
        required: "a file system of the disk".to_owned(),
        place: shared::file(&config.path, None),
        remedy: Remedy::hand(format!(
            "put the UUID that 'blkid' tells of the file system with GRUB's configuration into {}, or make that file anew in the machine: \
             Debian and Ubuntu grub-install; Red Hat rm it, then dnf reinstall grub2-common",
            config.path
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(change: impl FnOnce(&mut EspFacts, &mut Vec<LoaderFacts>)) -> DiskFacts {
        os(|f| {
            let boot = known(&mut f.boot);
            change(known(&mut boot.esp), known(&mut boot.loaders));
        })
    }

    fn asked(rule: &Rule, facts: &DiskFacts, generation: u8) -> String {
        ask_for(rule, &subject(facts), &Target { generation: Some(generation), ..Target::default() })
    }

    #[test]
    fn the_fallback_loader_is_needed() {
        assert_eq!(ask(&MISSING, &healthy_os()), "pass");
        assert_eq!(ask(&MISSING, &windows_disk(|_| {})), "pass");
        let none = with(|esp, loaders| {
            esp.fallback = Fact::Absent;
            loaders.iter_mut().for_each(|loader| loader.fallback = false);
        });
        assert_eq!(asked(&MISSING, &none, 2), "hand");
        assert_eq!(asked(&MISSING, &none, 1), "not applicable");
        assert_eq!(asked(&MISSING, &with(|_, loaders| loaders[1].program = Fact::Known(false)), 2), "hand");
        assert_eq!(asked(&MISSING, &with(|_, loaders| loaders[1].architecture = Fact::Known("x86".to_owned())), 2), "hand");
        assert_eq!(asked(&MISSING, &with(|_, loaders| loaders[1].architecture = Fact::unknown("x")), 2), "undecided");
        assert_eq!(asked(&MISSING, &os(|f| known(&mut f.boot).esp = Fact::Absent), 2), "not applicable");
        assert_eq!(asked(&MISSING, &os(|f| known(&mut f.boot).esp = Fact::unknown("x")), 2), "undecided");
        assert_eq!(asked(&MISSING, &os(|f| known(&mut f.boot).esp = Fact::unknown("x")), 1), "not applicable");
    }

    #[test]
    fn each_distribution_installs_it_its_own_way() {
        for (id, machine, command) in [
            ("ubuntu", "x64", "grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable"),
            ("debian", "Arm64", "grub-install --target=arm64-efi --efi-directory=/boot/efi --removable"),
            ("rhel", "x64", "dnf reinstall shim-x64 grub2-efi-x64"),
            ("rocky", "Arm64", "dnf reinstall shim-aa64 grub2-efi-aa64"),
            ("sles", "x64", "shim-install --removable"),
        ] {
            let facts = os(|f| {
                known(&mut known(&mut f.boot).esp).fallback = Fact::Absent;
                let os = known(&mut f.os);
                (os.id, os.architecture) = (Fact::Known(id.to_owned()), Fact::Known(machine.to_owned()));
            });
            let one = findings(&MISSING, &facts, &Target::default()).remove(0);
            assert_eq!(one.remedy, Remedy::hand(format!("in the machine: {command}")), "{id} {machine}");
        }
    }

    #[test]
    fn the_loader_finds_the_next() {
        assert_eq!(ask(&INCOMPLETE, &healthy_os()), "pass");
        assert_eq!(ask(&INCOMPLETE, &with(|esp, _| known(&mut esp.fallback).complete = Fact::Known(false))), "hand");
        assert_eq!(ask(&INCOMPLETE, &with(|esp, _| known(&mut esp.fallback).complete = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&INCOMPLETE, &windows_disk(|_| {})), "not applicable");
        let other = with(|esp, loaders| {
            loaders[1].name = "unknown".to_owned();
            known(&mut esp.fallback).complete = Fact::unknown("x");
        });
        assert_eq!(ask(&INCOMPLETE, &other), "not applicable");
        assert_eq!(ask(&CONFIG, &healthy_os()), "pass");
        let other = |uuid: &str| {
            let uuid = uuid.to_owned();
            with(|esp, _| known(&mut esp.grub_configs)[0].search_uuid = Some(uuid))
        };
        assert_eq!(ask(&CONFIG, &other("b0b0b0b0-0000-4000-8000-000000000000")), "hand");
        let mut facts = other("b0b0b0b0-0000-4000-8000-000000000000");
        facts.volumes = Fact::unknown("x");
        assert_eq!(ask(&CONFIG, &facts), "undecided");
        assert_eq!(ask(&CONFIG, &with(|esp, _| known(&mut esp.grub_configs).clear())), "not applicable");
    }
}
