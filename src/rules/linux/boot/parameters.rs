//! L-08, L-09, L-12: parameters that do harm, or hide what the serial console is for.

use super::console::{parameters, place};
use crate::rules::linux::{Distribution, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static HARMFUL: Rule = Rule {
    code: "LNX008",
    name: "harmful-kernel-parameters",
    requirement: "L-08",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The kernel command line does not take away the ports that the machine's own devices use.",
    azure_error: None,
    source: source::PREPARE_SUSE,
    docs: r"## What it checks

The command line of the boot entry that starts by itself must not have `libata.atapi_enabled=0` or `reserve=0x1f0,0x8`.

## Why it matters

Both keep the kernel from the IDE controller of a generation 1 machine; the DVD from which a new machine is provisioned hangs on it.
Images that were made for other clouds by openSUSE's tools have them.

## How to fix it

Remove them from the kernel command line, and make the boot loader's configuration anew.",
    check: Check::Disk(harmful),
};

pub(in crate::rules) static QUIET: Rule = Rule {
    code: "LNX009",
    name: "quiet-boot",
    requirement: "L-09",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux other than Ubuntu",
    summary: "The kernel command line has none of rhgb, quiet and crashkernel=auto.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

The command line of the boot entry that starts by itself, for `rhgb`, `quiet` and `crashkernel=auto`. Ubuntu is left out: Microsoft's own
page for it keeps `quiet splash`.

## Why it matters

They keep messages off the serial console, which is the only screen in Azure, or set memory aside that small machines lack.

## How to fix it

Remove them from the kernel command line, and make the boot loader's configuration anew.",
    check: Check::Disk(quiet),
};

pub(in crate::rules) static NOT_IN_EFFECT: Rule = Rule {
    code: "LNX012",
    name: "grub-defaults-not-in-effect",
    requirement: "L-12",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux that GRUB starts and that has /etc/default/grub",
    summary: "The serial console is both on the kernel command line and in /etc/default/grub.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

Whether `console=ttyS0` stands both on the command line that the kernel gets and in `/etc/default/grub`, or in neither.

## Why it matters

Where it stands only in the file, the change never took effect: GRUB's configuration was not made anew, or with entries of the Boot Loader
Specification an old `kernelopts` in GRUB's environment block overrides it. Where it stands only on the command line, the next update of the
boot loader's configuration drops it.

## How to fix it

Put the parameter into `GRUB_CMDLINE_LINUX` and make the configuration anew; with entries of the Boot Loader Specification use `grubby`, and
remove a stale `kernelopts` with `grub2-editenv - unset kernelopts`.",
    check: Check::Disk(not_in_effect),
};

fn of_parameters(subject: &Subject<'_>, unwanted: &[&str], message: impl Fn(&str) -> String) -> Judgement {
    let guest = guest(subject)?;
    let all = parameters(&guest)?;
    let found: Vec<&str> = all.iter().map(String::as_str).filter(|parameter| unwanted.contains(parameter)).collect();
    if found.is_empty() {
        return Ok(vec![]);
    }
    let names = found.join(" ");
    let remedy = match guest.distribution() {
        Distribution::RedHat => format!("grubby --update-kernel=ALL --remove-args=\"{names}\""),
        Distribution::Alpine => format!("remove {names} from default_kernel_opts in /etc/update-extlinux.conf, then update-extlinux"),
        other => format!(
            "remove {names} from GRUB_CMDLINE_LINUX and GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then {}",
            other.rebuild_grub()
        ),
    };
    Ok(vec![Finding {
        message: message(&names),
        actual: names,
        required: "none of them on the kernel command line".to_owned(),
        place: place(&guest),
        remedy: Remedy::hand(remedy),
    }])
}

fn harmful(subject: &Subject<'_>, _: &Target) -> Judgement {
    of_parameters(subject, &["libata.atapi_enabled=0", "reserve=0x1f0,0x8"], |names| {
        format!("the kernel command line has {names}; a generation 1 machine then does not see the DVD from which it is provisioned")
    })
}

fn quiet(subject: &Subject<'_>, _: &Target) -> Judgement {
    if guest(subject)?.os.id.value().is_some_and(|id| id == "ubuntu") {
        return Err(Skip::not_applicable("Microsoft's own example for Ubuntu has quiet"));
    }
    of_parameters(subject, &["rhgb", "quiet", "crashkernel=auto"], |names| {
        format!("the kernel command line has {names}; less is seen on Azure's serial console")
    })
}

fn not_in_effect(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let boot = &guest.linux.boot;
    if boot.loader.known()?.is_none_or(|loader| loader != "grub") {
        return Err(Skip::not_applicable("GRUB does not start it"));
    }
    let Some(defaults) = boot.default_grub.known()? else { return Err(Skip::not_applicable("there is no /etc/default/grub")) };
    let lines = [&defaults.cmdline_linux, &defaults.cmdline_linux_default];
    let serial = |word: &str| word.strip_prefix("console=").is_some_and(|console| console.split(',').next() == Some("ttyS0"));
    let told = parameters(&guest)?.iter().any(|parameter| serial(parameter));
    let written = lines.into_iter().flatten().flat_map(|line| line.split_ascii_whitespace()).any(serial);
    let file = defaults.files.first().map_or("/etc/default/grub", String::as_str);
    let stale = boot.grub.value().and_then(|grub| grub.kernelopts.as_deref()).is_some();
    let rebuild = guest.distribution().rebuild_grub_in(boot.grub.value().map(|grub| grub.config.as_str()));
    let (message, actual, remedy) = match (told, written) {
        (false, true) if stale => (
            format!("{file} has console=ttyS0, but the kernel does not get it: kernelopts in GRUB's environment block overrides it"),
            "only in the file",
            format!("grub2-editenv - unset kernelopts, then {}", rebuild),
        ),
        (false, true) => (
            format!("{file} has console=ttyS0, but the kernel does not get it: the boot loader's configuration was not made anew"),
            "only in the file",
            rebuild,
        ),
        // Where entries are files of their own, updates copy their parameters from one to the next.
        (true, false) if boot.grub.value().is_none_or(|grub| !grub.uses_blscfg) => (
            format!(
                "the kernel gets console=ttyS0, but {file} does not have it; the next update of the boot loader's configuration drops it"
            ),
            "only on the command line",
            guest.distribution().add_parameters("console=ttyS0,115200n8"),
        ),
        _ => return Ok(vec![]),
    };
    Ok(vec![Finding {
        message,
        actual: actual.to_owned(),
        required: "console=ttyS0 in both".to_owned(),
        place: shared::file(file, None),
        remedy: Remedy::hand(remedy),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(parameter: &str) -> DiskFacts {
        linux(|l| known(&mut l.boot.parameters).push(parameter.to_owned()))
    }

    #[test]
    fn unwanted_parameters_are_found() {
        assert_eq!(ask(&HARMFUL, &healthy_os()), "pass");
        assert_eq!(ask(&HARMFUL, &with("libata.atapi_enabled=0")), "hand");
        assert_eq!(ask(&HARMFUL, &with("reserve=0x1f0,0x8")), "hand");
        assert_eq!(ask(&QUIET, &healthy_os()), "pass");
        assert_eq!(ask(&QUIET, &with("quiet")), "hand");
        let mut ubuntu = with("quiet");
        known(&mut ubuntu.os).id = Fact::Known("ubuntu".to_owned());
        assert_eq!(ask(&QUIET, &ubuntu), "not applicable");
        assert_eq!(ask(&QUIET, &linux(|l| l.boot.parameters = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&HARMFUL, &healthy_data()), "not applicable");
    }

    #[test]
    fn the_file_and_the_command_line_agree() {
        assert_eq!(ask(&NOT_IN_EFFECT, &healthy_os()), "pass");
        let only_file = linux(|l| known(&mut l.boot.parameters).retain(|one| !one.contains("ttyS0")));
        assert_eq!(ask(&NOT_IN_EFFECT, &only_file), "hand");
        let only_line = |bls: bool| {
            linux(|l| {
                known(&mut l.boot.default_grub).cmdline_linux = Some("quiet".to_owned());
                known(&mut l.boot.grub).uses_blscfg = bls;
            })
        };
        assert_eq!(ask(&NOT_IN_EFFECT, &only_line(false)), "hand");
        assert_eq!(ask(&NOT_IN_EFFECT, &only_line(true)), "pass");
        let stale = linux(|l| {
            known(&mut l.boot.parameters).clear();
            known(&mut l.boot.grub).kernelopts = Some("root=/dev/x".to_owned());
        });
        assert!(findings(&NOT_IN_EFFECT, &stale, &Target::default())[0].message.contains("kernelopts"));
        assert_eq!(ask(&NOT_IN_EFFECT, &linux(|l| l.boot.default_grub = Fact::Absent)), "not applicable");
        assert_eq!(ask(&NOT_IN_EFFECT, &linux(|l| l.boot.loader = Fact::Known("extlinux".to_owned()))), "not applicable");
    }
}
