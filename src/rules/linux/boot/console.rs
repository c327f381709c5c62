//! L-07: Azure's serial console shows what the kernel says.

use super::started::default_entry;
use crate::rules::linux::{Distribution, Guest, guest};
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static CONSOLE: Rule = Rule {
    code: "LNX007",
    name: "no-serial-console",
    requirement: "L-07",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The kernel writes to the first serial port: console=ttyS0.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

The command line of the boot entry that starts by itself must have `console=ttyS0`, with or without a speed; on Arm64 `console=ttyAMA0`.

## Why it matters

Azure keeps what comes out of the first serial port: boot diagnostics and the serial console are the only view into a machine that does not
come up. Without the parameter they stay empty. Certification refuses such an image.

## How to fix it

Add `console=ttyS0,115200n8` to the kernel command line, after `console=tty1` or `console=tty0` if both are wanted, and make the boot
loader's configuration anew.",
    check: Check::Disk(console),
};

pub(in crate::rules) static EARLY: Rule = Rule {
    code: "LNX107",
    name: "early-boot-parameters",
    requirement: "L-07",
    also: &["L-08"],
    severity: Severity::Note,
    marketplace: Some(Severity::Warning),
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The kernel command line has earlyprintk=ttyS0 and, for the Marketplace, rootdelay=300.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

The command line of the boot entry that starts by itself: `earlyprintk=ttyS0`, and in the profile `marketplace` also `rootdelay=300`.

## Why it matters

With `earlyprintk` the serial console shows a kernel that stops before its consoles work. The certification test looks for `rootdelay=300`
too, which once gave slow storage time to appear; Microsoft's pages for Red Hat and SUSE leave it out. initramfs-tools of Debian and
Ubuntu does not wait for the disk with it but sleeps that long at every start: add it there only if certification insists.

## How to fix it

Add the parameters to the kernel command line, and make the boot loader's configuration anew.",
    check: Check::Disk(early),
};

/// The parameters of the entry that starts by itself.
pub(super) fn parameters<'a>(guest: &Guest<'a>) -> Result<&'a [String], Skip> {
    let none = || Skip::Undecided("what the kernel is told is not known: no boot entry that starts by itself was found".to_owned());
    guest.linux.boot.parameters.known()?.map(Vec::as_slice).ok_or_else(none)
}

/// Where they stand.
pub(in crate::rules) fn place(guest: &Guest<'_>) -> Option<Place> {
    let entry = default_entry(guest).ok().flatten()?;
    shared::file(&entry.source, (entry.line > 0).then_some(entry.line))
}

fn port(guest: &Guest<'_>) -> &'static str {
    if guest.os.architecture.value().is_some_and(|machine| machine == "Arm64") { "ttyAMA0" } else { "ttyS0" }
}

fn console(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let parameters = parameters(&guest)?;
    let port = port(&guest);
    let consoles: Vec<&str> = parameters.iter().filter_map(|parameter| parameter.strip_prefix("console=")).collect();
    if consoles.iter().any(|console| console.split(',').next() == Some(port)) {
        return Ok(vec![]);
    }
    let actual = if consoles.is_empty() { "no console".to_owned() } else { format!("console={}", consoles.join(", console=")) };
    Ok(vec![Finding {
        message: format!("the kernel command line has no console={port}; boot diagnostics and the serial console of Azure stay empty"),
        actual,
        required: format!("console={port}"),
        place: place(&guest),
        remedy: Remedy::hand(guest.distribution().add_parameters(&format!("console=tty1 console={port},115200n8"))),
    }])
}

fn early(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    let parameters = parameters(&guest)?;
    if guest.os.architecture.value().is_some_and(|machine| machine == "Arm64") {
        return Err(Skip::not_applicable("these are parameters of x64"));
    }
    let has = |start: &str| parameters.iter().any(|parameter| parameter.starts_with(start));
    let mut missing = Vec::new();
    if !has("earlyprintk=ttyS0") && !has("earlyprintk=serial") && !has("earlycon=uart") {
        missing.push("earlyprintk=ttyS0");
    }
    if target.profile == Profile::Marketplace && !has("rootdelay=") {
        missing.push("rootdelay=300");
    }
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let names = missing.join(" and ");
    let effect = if target.profile == Profile::Marketplace {
        "the certification test looks for earlyprintk, rootdelay and the console"
    } else {
        "the serial console shows nothing of a kernel that stops early"
    };
    let sleeps = missing.contains(&"rootdelay=300") && guest.distribution() == Distribution::Debian;
    let but = if sleeps { " (with initramfs-tools every start then takes 300 seconds longer)" } else { "" };
    Ok(vec![Finding {
        message: format!("the kernel command line lacks {names}; {effect}"),
        actual: format!("no {}", missing.join(", no ")),
        required: names,
        place: place(&guest),
        remedy: Remedy::hand(format!("{}{but}", guest.distribution().add_parameters(&missing.join(" ")))),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(parameters: &[&str]) -> DiskFacts {
        linux(|l| l.boot.parameters = Fact::Known(parameters.iter().map(|one| (*one).to_owned()).collect()))
    }

    #[test]
    fn a_serial_console_is_needed() {
        assert_eq!(ask(&CONSOLE, &healthy_os()), "pass");
        assert_eq!(ask(&CONSOLE, &with(&["console=ttyS0"])), "pass");
        assert_eq!(ask(&CONSOLE, &with(&["console=ttyS0,115200n8", "console=tty1"])), "pass");
        assert_eq!(ask(&CONSOLE, &with(&["console=ttyS01"])), "hand");
        assert_eq!(ask(&CONSOLE, &with(&["console=tty1", "quiet"])), "hand");
        assert_eq!(ask(&CONSOLE, &with(&[])), "hand");
        assert_eq!(ask(&CONSOLE, &linux(|l| l.boot.parameters = Fact::Absent)), "undecided");
        assert_eq!(ask(&CONSOLE, &linux(|l| l.boot.parameters = Fact::unknown("x"))), "undecided");
        let mut arm = with(&["console=ttyAMA0"]);
        known(&mut arm.os).architecture = Fact::Known("Arm64".to_owned());
        assert_eq!(ask(&CONSOLE, &arm), "pass");
        assert_eq!(ask(&EARLY, &arm), "not applicable");
        assert_eq!(ask(&CONSOLE, &healthy_data()), "not applicable");
    }

    #[test]
    fn certification_looks_for_more() {
        let marketplace = Target { profile: Profile::Marketplace, ..Target::default() };
        let plain = with(&["console=ttyS0", "earlyprintk=ttyS0"]);
        assert_eq!(ask(&EARLY, &healthy_os()), "pass");
        assert_eq!(ask(&EARLY, &plain), "pass");
        assert_eq!(ask_for(&EARLY, &subject(&plain), &marketplace), "hand");
        assert_eq!(ask_for(&EARLY, &subject(&healthy_os()), &marketplace), "pass");
        assert_eq!(ask(&EARLY, &with(&["console=ttyS0"])), "hand");
    }
}
