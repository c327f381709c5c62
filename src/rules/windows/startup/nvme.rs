//! W-45: Windows can start from an NVMe disk.

use super::{REG_SERVICES, driver_cures, driver_trouble};
use crate::facts::{Fact, StartType, WindowsFacts};
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN045",
    name: "nvme-drivers",
    requirement: "W-45",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows Server 2019, Windows 10 1809 or newer, for generation 2",
    summary: "The drivers stornvme and vpci are there and start at boot.",
    azure_error: None,
    source: source::NVME,
    docs: r"## What it checks

The services `stornvme` and `vpci` must be registered with a `Start` of 0 (boot), and their files must be there.

## Why it matters

Newer VM sizes attach the OS disk as NVMe. There Windows needs both drivers at boot; otherwise it stops with 0x0000007B. Sizes that attach
the disk by SCSI do not need them.

## How to fix it

Set `Start` of both to 0, or choose sizes with SCSI disks only.",
    check: Check::Disk(drivers),
};

pub(in crate::rules) static OVERRIDDEN: Rule = Rule {
    code: "WIN145",
    name: "nvme-driver-start-overridden",
    requirement: "W-45",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows Server 2019, Windows 10 1809 or newer, for generation 2",
    summary: "No StartOverride key puts off the drivers stornvme and vpci.",
    azure_error: None,
    source: source::NVME,
    docs: r"## What it checks

Whether `stornvme` or `vpci` have a key `StartOverride`. Windows makes it on machines without NVMe disks, so that many disks have it.

## Why it matters

With the key, the drivers may not be loaded at boot, which a VM size with NVMe disks needs.

## How to fix it

Remove the keys before the disk is used with a size that has NVMe disks.",
    check: Check::Disk(overridden),
};

/// Windows Server 2019 and Windows 10 1809, the first that Azure starts from NVMe.
const FIRST_BUILD: u32 = 17_763;

fn demand<'a>(subject: &Subject<'a>, target: &Target) -> Result<&'a WindowsFacts, Skip> {
    let windows = guest(subject)?.windows;
    shared::demand_possible_generation(subject.facts, target, 2)?;
    match windows.product.build.known()? {
        Some(build) if *build >= FIRST_BUILD => Ok(windows),
        _ => Err(Skip::not_applicable("Azure does not start this Windows from NVMe disks")),
    }
}

fn drivers(subject: &Subject<'_>, target: &Target) -> Judgement {
    let windows = demand(subject, target)?;
    let mut found = Vec::new();
    for name in ["stornvme", "vpci"] {
        if let Some(trouble) = driver_trouble(windows, name, &[StartType::Boot])? {
            found.push((name, trouble));
        }
    }
    if found.is_empty() {
        return Ok(vec![]);
    }
    let words: Vec<String> = found.iter().map(|(name, trouble)| format!("{name} {trouble}")).collect();
    Ok(vec![Finding {
        message: format!("the driver {}; Windows does not start with VM sizes that attach disks as NVMe", words.join(", the driver ")),
        actual: words.join(", "),
        required: "stornvme and vpci with Start 0 (boot), and their files".to_owned(),
        place: Some(Place::Registry(format!(r"{REG_SERVICES}\stornvme\Start"))),
        remedy: Remedy::hand(driver_cures(&found, 0)),
    }])
}

fn overridden(subject: &Subject<'_>, target: &Target) -> Judgement {
    let windows = demand(subject, target)?;
    let mut names = Vec::new();
    for name in ["stornvme", "vpci"] {
        let service = windows.service(name)?;
        if let Some(Fact::Known(values)) = service.map(|service| &service.start_override)
            && values.values().any(|value| *value > 0)
        {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Ok(vec![]);
    }
    let cures: Vec<String> = names.iter().map(|name| format!(r#"reg delete "{REG_SERVICES}\{name}\StartOverride" /f"#)).collect();
    Ok(vec![Finding {
        message: format!("a StartOverride key puts off {}, which VM sizes with NVMe disks need at boot", names.join(" and ")),
        actual: format!("StartOverride in {}", names.join(" and ")),
        required: "no such key".to_owned(),
        place: Some(Place::Registry(REG_SERVICES.to_owned())),
        remedy: Remedy::hand(format!("in an elevated PowerShell: {}", cures.join("; "))),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;
    use crate::rules::windows::startup::tests::service_of;
    use std::collections::BTreeMap;

    #[test]
    fn table() {
        let asked = |rule, facts| ask_for(rule, &subject(&facts), &Target { generation: Some(2), ..Target::default() });
        assert_eq!(asked(&RULE, windows(|_| {})), "pass");
        assert_eq!(asked(&OVERRIDDEN, windows(|_| {})), "pass");
        assert_eq!(asked(&RULE, windows(|w| service_of(w, "stornvme").start = Fact::Known(StartType::Manual))), "hand");
        assert_eq!(asked(&RULE, windows(|w| known(&mut w.services).retain(|one| one.name != "vpci"))), "hand");
        assert_eq!(asked(&RULE, windows(|w| w.product.build = Fact::Known(14_393))), "not applicable");
        assert_eq!(asked(&RULE, windows(|w| w.product.build = Fact::unknown("x"))), "undecided");
        let over = windows(|w| service_of(w, "stornvme").start_override = Fact::Known(BTreeMap::from([("0".to_owned(), 3)])));
        assert_eq!(asked(&OVERRIDDEN, over.clone()), "hand");
        assert_eq!(ask_for(&OVERRIDDEN, &subject(&over), &Target { generation: Some(1), ..Target::default() }), "not applicable");
    }
}
