//! W-46, WG-11: the Azure VM agent is installed, starts, and is not too old.

use crate::facts::{StartType, State};
use crate::rules::windows::{commands, guest};
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static MISSING: Rule = Rule {
    code: "WIN046",
    name: "vm-agent-missing",
    requirement: "W-46",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "The Azure VM agent is installed.",
    azure_error: Some("VM agent is unable to communicate with the Azure service."),
    source: source::WINDOWS_AGENT,
    docs: r"## What it checks

One of the agent's services, `RdAgent` and `WindowsAzureGuestAgent`, must be registered.

## Why it matters

Without the agent no extension works: no password reset, no run command, no backup, no monitoring. Azure installs it in a generalized image
while it sets the machine up, if it is not told otherwise; on a specialized disk nobody does.

## How to fix it

Install `WindowsAzureVmAgent.amd64.msi` from https://github.com/Azure/WindowsVMAgent/releases in the machine, and wait until both services
run.",
    check: Check::Disk(missing),
};

pub(in crate::rules) static DISABLED: Rule = Rule {
    code: "WIN146",
    name: "vm-agent-disabled",
    requirement: "W-46",
    also: &["WG-11"],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows and the agent, for specialized images",
    summary: "The services of the Azure VM agent start automatically.",
    azure_error: Some("VM agent is unable to communicate with the Azure service."),
    source: source::WINDOWS_AGENT,
    docs: r"## What it checks

On a specialized disk `RdAgent` and `WindowsAzureGuestAgent` must have a `Start` of 2. On a generalized disk they are disabled, since
Sysprep does that, and provisioning enables them again; that is no fault.

## Why it matters

With its services disabled the agent does nothing, as if it were not installed.

## How to fix it

In the machine: `Set-Service -Name RdAgent -StartupType Automatic`, and the same for `WindowsAzureGuestAgent`.",
    check: Check::Disk(disabled),
};

pub(in crate::rules) static OLD: Rule = Rule {
    code: "WIN246",
    name: "vm-agent-old",
    requirement: "W-46",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows and the agent",
    summary: "The Azure VM agent is version 2.7.41491.1010 or newer.",
    azure_error: None,
    source: source::LINUX_AGENT_SUPPORT,
    docs: r"## What it checks

The newest version that a directory `\WindowsAzure\GuestAgent_…` or a service's program names must be 2.7.41491.1010 at least.

## Why it matters

Microsoft's support refuses older agents; extensions may not work with them.

## How to fix it

Install `WindowsAzureVmAgent.amd64.msi` from https://github.com/Azure/WindowsVMAgent/releases in the machine.",
    check: Check::Disk(old),
};

const MINIMUM: &str = "2.7.41491.1010";
const INSTALL: &str = "install WindowsAzureVmAgent.amd64.msi from https://github.com/Azure/WindowsVMAgent/releases in the machine";
const SERVICES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";

fn missing(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    let agent = &guest.windows.agent;
    if agent.registered.known()? == Some(&true) {
        return Ok(vec![]);
    }
    let half = agent.half_installed.value() == Some(&true);
    if half && shared::purpose(guest.os, target) == Ok(Some(State::Generalized)) {
        return Err(Skip::not_applicable("the agent is installed by halves, which WIN047 tells"));
    }
    let actual = if half { r"\WindowsAzure without services" } else { "no agent" };
    Ok(vec![Finding {
        message: format!("the Azure VM agent is not installed ({actual}); extensions, password reset and backup do not work"),
        actual: actual.to_owned(),
        required: "the services RdAgent and WindowsAzureGuestAgent".to_owned(),
        place: Some(Place::Registry(SERVICES.to_owned())),
        remedy: Remedy::hand(INSTALL),
    }])
}

fn disabled(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Specialized)?;
    let mut wrong = Vec::new();
    let mut there = false;
    for name in ["RdAgent", "WindowsAzureGuestAgent"] {
        let Some(service) = guest.windows.service(name)? else { continue };
        there = true;
        match service.start.known()? {
            Some(StartType::Auto) => {}
            Some(start) => wrong.push((name, start.to_string())),
            None => wrong.push((name, "not set".to_owned())),
        }
    }
    if !there {
        return Err(Skip::not_applicable("the agent is not installed"));
    }
    if wrong.is_empty() {
        return Ok(vec![]);
    }
    let words: Vec<String> = wrong.iter().map(|(name, start)| format!("{name} is {start}")).collect();
    let cures: Vec<String> = wrong.iter().map(|(name, _)| commands::service(name, "Automatic")).collect();
    Ok(vec![Finding {
        message: format!("the Azure VM agent does not start by itself: {}; extensions do not work", words.join(", ")),
        actual: words.join(", "),
        required: "automatic".to_owned(),
        place: Some(Place::Registry(SERVICES.to_owned())),
        remedy: Remedy::hand(format!("in an elevated PowerShell: {}", cures.join("; "))),
    }])
}

fn old(subject: &Subject<'_>, _: &Target) -> Judgement {
    let agent = &guest(subject)?.windows.agent;
    let version = agent.version.known()?.ok_or_else(|| Skip::not_applicable("no version of an agent is named"))?;
    let numbers = |text: &str| text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>();
    let Some(found) = numbers(version) else { return Err(Skip::Undecided(format!("the agent's version {version} is no version"))) };
    if Some(found) >= numbers(MINIMUM) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("the Azure VM agent is version {version}, which Microsoft does not support any more"),
        actual: version.clone(),
        required: format!("{MINIMUM} or newer"),
        place: shared::file(r"\WindowsAzure", None),
        remedy: Remedy::hand(INSTALL),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn the_agent_is_there() {
        let without = |half| {
            move |w: &mut crate::facts::WindowsFacts| {
                (w.agent.registered, w.agent.half_installed) = (Fact::Known(false), Fact::Known(half));
            }
        };
        assert_eq!(ask(&MISSING, &windows(|_| {})), "pass");
        assert_eq!(ask(&MISSING, &windows(without(false))), "hand");
        assert_eq!(ask(&MISSING, &windows(without(true))), "not applicable");
        assert_eq!(ask(&MISSING, &specialized_windows(without(true))), "hand");
        assert_eq!(ask(&MISSING, &windows(|w| w.agent.registered = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&MISSING, &healthy_os()), "not applicable");
    }

    #[test]
    fn its_services_start_on_specialized_disks() {
        let start = |name: &'static str, start| {
            move |w: &mut crate::facts::WindowsFacts| {
                for service in known(&mut w.services).iter_mut().filter(|service| service.name == name) {
                    service.start = Fact::Known(start);
                }
            }
        };
        assert_eq!(ask(&DISABLED, &specialized_windows(|_| {})), "pass");
        assert_eq!(ask(&DISABLED, &specialized_windows(start("RdAgent", StartType::Disabled))), "hand");
        assert_eq!(ask(&DISABLED, &windows(start("RdAgent", StartType::Disabled))), "not applicable");
        let none = |w: &mut crate::facts::WindowsFacts| known(&mut w.services).retain(|one| !one.name.ends_with("Agent"));
        assert_eq!(ask(&DISABLED, &specialized_windows(none)), "not applicable");
        assert_eq!(ask(&DISABLED, &specialized_windows(|w| w.services = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn versions() {
        let version = |version: &str| windows(|w| w.agent.version = Fact::Known(version.to_owned()));
        for (text, said) in
            [("2.7.41491.1010", "pass"), ("2.7.41491.1009", "hand"), ("2.10.0.0", "pass"), ("2.7.9", "hand"), ("x", "undecided")]
        {
            assert_eq!(ask(&OLD, &version(text)), said, "{text}");
        }
        assert_eq!(ask(&OLD, &windows(|w| w.agent.version = Fact::Absent)), "not applicable");
        assert_eq!(ask(&OLD, &windows(|w| w.agent.version = Fact::unknown("x"))), "undecided");
    }
}
