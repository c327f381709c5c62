//! W-37: tools of other hypervisors and clouds.

use crate::facts::{StartType, WindowsServiceFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::{commands, guest};
use crate::rules::word;
use crate::rules::{Check, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

pub(in crate::rules) static SERVICES: Rule = Rule {
    code: "WIN137",
    name: "tools-of-other-hypervisors",
    requirement: "W-37",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Services of other hypervisors and clouds are removed or disabled.",
    azure_error: None,
    source: source::MIGRATION,
    docs: r"## What it checks

Services of VMware Tools, VirtualBox Guest Additions, the QEMU guest agent, XenServer's, Parallels', Nutanix' and SPICE's tools, and agents
of other clouds must not be registered, or be disabled.

## Why it matters

They look for a host that is not there, fill the event log, set the clock and the network to what they remember, and can often not be
uninstalled when their hypervisor is gone. Azure's preparation article has them removed.

## How to fix it

Uninstall them in the machine on the old hypervisor. Afterwards, `Set-Service -Name <name> -StartupType Disabled` at least.",
    check: Check::Disk(services),
};

pub(in crate::rules) static DRIVERS: Rule = Rule {
    code: "WIN237",
    name: "drivers-of-other-hypervisors",
    requirement: "W-37",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Drivers for devices of other hypervisors are removed.",
    azure_error: None,
    source: source::MIGRATION,
    docs: r"## What it checks

Drivers of VMware, VirtualBox, Xen, Parallels, virtio and other clouds that are registered and not disabled.

## Why it matters

Drivers without their devices stay idle. Some filter disks or the network all the same, and what is not needed can be left out.

## How to fix it

Uninstall the tools that they belong to in the machine on the old hypervisor; `pnputil /delete-driver <oem file> /uninstall` removes single
ones.",
    check: Check::Disk(drivers),
};

/// How names begin, in lower case, and whose they are.
const OTHERS: &[(&str, &str)] = &[
    ("vmtools", "VMware"),
    ("vgauthservice", "VMware"),
    ("vmvss", "VMware"),
    ("vmmemctl", "VMware"),
    ("vmhgfs", "VMware"),
    ("vmci", "VMware"),
    ("vsock", "VMware"),
    ("vmrawdsk", "VMware"),
    ("vmmouse", "VMware"),
    ("vmusbmouse", "VMware"),
    ("vmxnet", "VMware"),
    ("vm3d", "VMware"),
    ("vmware", "VMware"),
    ("vbox", "VirtualBox"),
    ("qemu-ga", "QEMU"),
    ("qemu guest", "QEMU"),
    ("citrixxen", "Xen"),
    ("xen", "Xen"),
    ("prl_", "Parallels"),
    ("prltoolsd", "Parallels"),
    ("vioscsi", "virtio"),
    ("viostor", "virtio"),
    ("viorng", "virtio"),
    ("vioser", "virtio"),
    ("viofs", "virtio"),
    ("vioinput", "virtio"),
    ("netkvm", "virtio"),
    ("balloon", "virtio"),
    ("spice", "SPICE"),
    ("vdservice", "SPICE"),
    ("nutanix", "Nutanix"),
    ("aws", "Amazon"),
    ("ec2config", "Amazon"),
    ("ec2launch", "Amazon"),
    ("amazonssmagent", "Amazon"),
    ("gceagent", "Google"),
];

/// Whose a service or driver is, if it belongs to another hypervisor or cloud.
fn whose(service: &WindowsServiceFacts) -> Option<&'static str> {
    let name = service.name.to_ascii_lowercase();
    OTHERS.iter().find(|(start, _)| name.starts_with(start)).map(|(_, owner)| *owner)
}

fn services(subject: &Subject<'_>, _: &Target) -> Judgement {
    let mut findings =
        look(subject, false)?.finding(|list| format!("tools of another hypervisor or cloud are installed and start: {list}"))?;
    for finding in &mut findings {
        "none, or disabled".clone_into(&mut finding.required);
        finding.remedy = Remedy::hand(format!("uninstall them in the machine where it was made; or at least: {}", finding.remedy.text()));
    }
    Ok(findings)
}

fn drivers(subject: &Subject<'_>, _: &Target) -> Judgement {
    look(subject, true)?.finding(|list| format!("drivers for devices of another hypervisor are installed: {list}"))
}

fn look<'a>(subject: &Subject<'a>, drivers: bool) -> Result<Checks<'a>, Skip> {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    for service in windows.services.known()?.into_iter().flatten() {
        let is_driver = service.kind.value().is_some_and(|kind| kind == "driver");
        let Some(owner) = whose(service).filter(|_| is_driver == drivers) else { continue };
        let Some(start) = checks.ask(&service.start) else { continue };
        if start == Some(&StartType::Disabled) {
            continue;
        }
        let name = &service.name;
        checks.add(Wrong {
            found: format!("{name} ({owner})"),
            required: format!("no {name}"),
            place: checks::service_place(windows, name),
            cure: if drivers {
                format!("uninstall the tools of {owner} in the machine before the upload")
            } else {
                commands::service(&word::powershell_quoted(name), "Disabled")
            },
        });
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::windows::service;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    fn with(name: &str, start: u32, driver: bool) -> DiskFacts {
        windows(|w| known(&mut w.services).push(service(name, start, driver)))
    }

    #[test]
    fn tools_are_told() {
        for (name, start, driver, services, drivers) in [
            ("VMTools", 2, false, "hand", "pass"),
            ("VGAuthService", 2, false, "hand", "pass"),
            ("VBoxService", 2, false, "hand", "pass"),
            ("QEMU-GA", 2, false, "hand", "pass"),
            ("xenagent", 2, false, "hand", "pass"),
            ("VMTools", 4, false, "pass", "pass"),
            ("viostor", 0, true, "pass", "hand"),
            ("viostor", 4, true, "pass", "pass"),
            ("vmicheartbeat", 3, false, "pass", "pass"),
        ] {
            let facts = with(name, start, driver);
            assert_eq!((ask(&SERVICES, &facts).as_str(), ask(&DRIVERS, &facts).as_str()), (services, drivers), "{name} {start}");
        }
        for rule in [&SERVICES, &DRIVERS] {
            assert_eq!(ask(rule, &windows(|_| {})), "pass");
            assert_eq!(ask(rule, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
    }

    #[test]
    fn several_are_one_finding() {
        let facts = windows(|w| known(&mut w.services).extend([service("VMTools", 2, false), service("VGAuthService", 2, false)]));
        let told = findings(&SERVICES, &facts, &Target::default());
        assert_eq!((told.len(), told[0].actual.as_str()), (1, "VMTools (VMware), VGAuthService (VMware)"));
        let cure = told[0].remedy.text();
        assert!(cure.starts_with("uninstall") && cure.ends_with("Set-Service -Name 'VGAuthService' -StartupType Disabled"), "{cure}");
    }
}
