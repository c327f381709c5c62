//! W-42: the drivers of Hyper-V's storage are loaded by the boot loader.

use super::{REG_SERVICES, driver_cures, driver_trouble, reg_start};
use crate::facts::{Fact, StartType, WindowsFacts};
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN042",
    name: "hyper-v-storage-drivers",
    requirement: "W-42",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "The drivers vmbus and storvsc are there and start at boot.",
    azure_error: Some("STOP 0x0000007B INACCESSIBLE_BOOT_DEVICE (in the boot diagnostics screenshot)"),
    source: source::MIGRATION,
    docs: r"## What it checks

The services `vmbus` and `storvsc` must be registered in the control set in use, with a `Start` of 0 (boot), and their `.sys` files must be
in `\Windows\System32\drivers`.

## Why it matters

Azure gives a machine its disks through the VMBus. A Windows that does not load both drivers at boot cannot see its own disk, and stops with
0x0000007B before anybody can reach it. This happens to disks from machines where Hyper-V's drivers were disabled or removed.

## How to fix it

In the machine: set `Start` to 0 for both. A missing file comes back with `sfc /scannow` or `dism /online /cleanup-image /restorehealth`.",
    check: Check::Disk(storage),
};

pub(in crate::rules) static GENERATION_1: Rule = Rule {
    code: "WIN242",
    name: "ide-drivers",
    requirement: "W-42",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generation 1",
    summary: "The drivers atapi and intelide are there and start at boot.",
    azure_error: Some("STOP 0x0000007B INACCESSIBLE_BOOT_DEVICE (in the boot diagnostics screenshot)"),
    source: source::MIGRATION,
    docs: r"## What it checks

On disks for generation 1 the services `atapi` and `intelide` must be registered with a `Start` of 0 (boot), and their files must be there.

## Why it matters

The OS disk of a generation 1 machine is attached to an emulated IDE controller. Without these drivers Windows stops with 0x0000007B.

## How to fix it

In the machine: set `Start` to 0 for both; `sfc /scannow` brings a missing file back.",
    check: Check::Disk(ide),
};

// A warning, and no error: every Windows that was set up away from Hyper-V has the keys, and many of them start on it all the same.
pub(in crate::rules) static OVERRIDDEN: Rule = Rule {
    code: "WIN142",
    name: "storage-driver-start-overridden",
    requirement: "W-42",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "No StartOverride key puts off the drivers of Hyper-V's storage, and storflt is not disabled.",
    azure_error: None,
    source: source::MIGRATION,
    docs: r"## What it checks

Whether `vmbus`, `storvsc` or `storflt`, and for generation 1 `atapi` or `intelide`, have a key `StartOverride` with a value other than 0,
and whether `storflt` starts at boot.

## Why it matters

Windows makes that key for boot drivers which the present machine does not need, so that every Windows set up away from Hyper-V has it; on
other hardware the driver may then be missing at boot.
`storflt` passes the disk of a generation 1 machine from IDE to the faster VMBus.

## How to fix it

Remove the keys `StartOverride`, and set `Start` of `storflt` to 0.",
    check: Check::Disk(overridden),
};

const BOOT: &[StartType] = &[StartType::Boot];

fn storage(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    missing(windows, &["vmbus", "storvsc"], "Windows does not see its disk in Azure and stops with 0x0000007B")
}

fn ide(subject: &Subject<'_>, target: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    shared::demand_possible_generation(subject.facts, target, 1)?;
    missing(windows, &["atapi", "intelide"], "a generation 1 machine has its OS disk on IDE, and Windows stops with 0x0000007B")
}

fn missing(windows: &WindowsFacts, names: &[&str], effect: &str) -> Judgement {
    let mut found = Vec::new();
    let mut unknown = None;
    for name in names {
        match driver_trouble(windows, name, BOOT) {
            Ok(None) => {}
            Ok(Some(trouble)) => found.push((*name, trouble)),
            Err(reason) => unknown = Some(reason),
        }
    }
    let Some((first, _)) = found.first() else { return unknown.map_or(Ok(vec![]), Err) };
    let words: Vec<String> = found.iter().map(|(name, trouble)| format!("{name} {trouble}")).collect();
    Ok(vec![Finding {
        message: format!("the driver {}; {effect}", words.join(", the driver ")),
        actual: words.join(", "),
        required: format!("{} with Start 0 (boot), and their files", names.join(" and ")),
        place: Some(Place::Registry(format!(r"{REG_SERVICES}\{first}\Start"))),
        remedy: Remedy::hand(driver_cures(&found, 0)),
    }])
}

fn overridden(subject: &Subject<'_>, target: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let (mut words, mut cures) = (Vec::new(), Vec::new());
    let mut names = vec!["vmbus", "storvsc", "storflt"];
    if shared::may_be_generation(subject.facts, target, 1) == Ok(true) {
        names.extend(["atapi", "intelide"]);
    }
    for name in names {
        let Some(service) = windows.service(name)? else { continue };
        if let Fact::Known(values) = &service.start_override
            && let Some(value) = values.values().find(|value| **value > 0)
        {
            words.push(format!("{name} has a StartOverride of {value}"));
            cures.push(format!(r#"reg delete "{REG_SERVICES}\{name}\StartOverride" /f"#));
        }
        if name == "storflt" && service.start.value().is_some_and(|start| *start != StartType::Boot) {
            words.push(format!("storflt has a Start of {}", service.start_value.value().copied().unwrap_or_default()));
            cures.push(reg_start(name, 0));
        }
    }
    if words.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("{}; the driver may not be loaded when Windows starts on Azure's hardware", words.join(", ")),
        actual: words.join(", "),
        required: "no StartOverride other than 0, and storflt with Start 0".to_owned(),
        place: Some(Place::Registry(REG_SERVICES.to_owned())),
        remedy: Remedy::hand(format!("in an elevated PowerShell: {}", cures.join("; "))),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::DiskFacts;
    use crate::rules::testing::*;
    use crate::rules::windows::startup::tests::service_of;
    use std::collections::BTreeMap;

    fn started(name: &str, value: u32) -> DiskFacts {
        windows(|w| {
            let service = service_of(w, name);
            (service.start, service.start_value) = (StartType::of(value).into(), Fact::Known(value));
        })
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RULE, &started("storvsc", 4)), "hand");
        assert_eq!(ask(&RULE, &started("vmbus", 3)), "hand");
        assert_eq!(ask(&RULE, &windows(|w| known(&mut w.services).retain(|one| one.name != "vmbus"))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| service_of(w, "storvsc").file_present = Fact::Known(false))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| service_of(w, "storvsc").file_present = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        // What is found counts though something else is unknown.
        let both = windows(|w| {
            service_of(w, "storvsc").file_present = Fact::unknown("x");
            service_of(w, "vmbus").start = Fact::Known(StartType::Disabled);
        });
        assert_eq!(ask(&RULE, &both), "hand");
    }

    #[test]
    fn generation_1_needs_ide() {
        let target = Target { generation: Some(1), ..Target::default() };
        let asked = |facts: &DiskFacts| ask_for(&GENERATION_1, &subject(facts), &target);
        assert_eq!(asked(&windows(|_| {})), "pass");
        assert_eq!(asked(&started("intelide", 3)), "hand");
        let second = Target { generation: Some(2), ..Target::default() };
        assert_eq!(ask_for(&GENERATION_1, &subject(&started("intelide", 3)), &second), "not applicable");
    }

    #[test]
    fn overrides_are_told() {
        let with = |value| windows(|w| service_of(w, "vmbus").start_override = Fact::Known(BTreeMap::from([("0".to_owned(), value)])));
        assert_eq!(ask(&OVERRIDDEN, &windows(|_| {})), "pass");
        assert_eq!(ask(&OVERRIDDEN, &with(0)), "pass");
        assert_eq!(ask(&OVERRIDDEN, &with(3)), "hand");
        let ide = windows(|w| service_of(w, "atapi").start_override = Fact::Known(BTreeMap::from([("0".to_owned(), 3)])));
        let of = |generation| ask_for(&OVERRIDDEN, &subject(&ide), &Target { generation: Some(generation), ..Target::default() });
        assert_eq!([of(1), of(2)], ["hand", "pass"]);
        assert_eq!(ask(&OVERRIDDEN, &started("storflt", 3)), "hand");
        assert_eq!(ask(&OVERRIDDEN, &windows(|w| known(&mut w.services).retain(|one| one.name != "storflt"))), "pass");
    }
}
