//! W-36 and W-40: what stands between Windows and its network.

use crate::facts::{StartType, WindowsServiceFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static CAPTURE: Rule = Rule {
    code: "WIN136",
    name: "packet-capture-driver",
    requirement: "W-36",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "No driver for capturing packets is installed.",
    azure_error: None,
    source: source::GUEST_AGENT,
    docs: r"## What it checks

The drivers of Npcap and WinPcap (`npcap`, `npcap_wifi`, `npf`) must not be registered, or be disabled.

## Why it matters

They put themselves between adapters and the network. The loopback adapter that Npcap adds is taken by Azure's VM agent for the machine's
own, and the agent loses contact.

## How to fix it

Uninstall Npcap or WinPcap in the machine, and install it in Azure where it is needed, without its loopback adapter.",
    check: Check::Disk(capture),
};

pub(in crate::rules) static PROTECTION: Rule = Rule {
    code: "WIN236",
    name: "protection-by-others",
    requirement: "W-36",
    also: &["W-40"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Protection software of others lets Azure's provisioning, agent and remote desktop through.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Which products for protection against malware and intrusion are installed beside Windows' own, by their services and drivers. Those that
are disabled do not count.

## Why it matters

Their firewalls decide beside that of Windows whether remote desktop gets in and the agent reaches 168.63.129.16, and they can stop scripts
of provisioning and extensions. What they are set to cannot be seen on the disk. In a generalized image they also carry the identity of one
machine into all, unless they were prepared for it.

## How to fix it

Check that the product allows remote desktop, 168.63.129.16 and what runs below `C:\Windows` and `C:\WindowsAzure`; for generalized images,
prepare it as its maker says, or install it in Azure.",
    check: Check::Disk(protection),
};

/// How names begin, in lower case, and the product.
const PRODUCTS: &[(&str, &str)] = &[
    ("savservice", "Sophos"),
    ("savadminservice", "Sophos"),
    ("savonaccess", "Sophos"),
    ("sophos", "Sophos"),
    ("sntp", "Sophos"),
    ("mcshield", "McAfee or Trellix"),
    ("mfe", "McAfee or Trellix"),
    ("masvc", "McAfee or Trellix"),
    ("macmnsvc", "McAfee or Trellix"),
    ("csfalconservice", "CrowdStrike Falcon"),
    ("csagent", "CrowdStrike Falcon"),
    ("csdevicecontrol", "CrowdStrike Falcon"),
    ("sentinel", "SentinelOne"),
    ("ekrn", "ESET"),
    ("eelam", "ESET"),
    ("eamonm", "ESET"),
    ("ehdrv", "ESET"),
    ("epfw", "ESET"),
    ("avast", "Avast or AVG"),
    ("asw", "Avast or AVG"),
    ("avg", "Avast or AVG"),
    ("avp", "Kaspersky"),
    ("klif", "Kaspersky"),
    ("klflt", "Kaspersky"),
    ("kl1", "Kaspersky"),
    ("klim6", "Kaspersky"),
    ("sepmasterservice", "Symantec"),
    ("symantec", "Symantec"),
    ("srtsp", "Symantec"),
    ("bhdrv", "Symantec"),
    ("symefa", "Symantec"),
    ("symnets", "Symantec"),
    ("snac", "Symantec"),
    ("ntrtscan", "Trend Micro"),
    ("tmlisten", "Trend Micro"),
    ("tmccsf", "Trend Micro"),
    ("tmfilter", "Trend Micro"),
    ("tmprefilter", "Trend Micro"),
    ("tmbmserver", "Trend Micro"),
    ("tmpfw", "Trend Micro"),
    ("tmproxy", "Trend Micro"),
    ("ds_agent", "Trend Micro"),
    ("cylance", "Cylance"),
    ("cbdefense", "Carbon Black"),
    ("carbonblack", "Carbon Black"),
    ("cbk7", "Carbon Black"),
    ("parity", "Carbon Black"),
    ("fsma", "WithSecure"),
    ("f-secure", "WithSecure"),
    ("fsulhoster", "WithSecure"),
    ("epsecurityservice", "Bitdefender"),
    ("epprotectedservice", "Bitdefender"),
    ("bdredline", "Bitdefender"),
    ("vsserv", "Bitdefender"),
    ("trufos", "Bitdefender"),
    ("cyserver", "Cortex XDR"),
    ("cyverak", "Cortex XDR"),
    ("cyvrmtgn", "Cortex XDR"),
    ("traps", "Cortex XDR"),
    ("wrsvc", "Webroot"),
    ("wrkrn", "Webroot"),
    ("mbam", "Malwarebytes"),
    ("psanhost", "Panda"),
    ("panda_", "Panda"),
    ("fa_scheduler", "FortiClient"),
    ("forti", "FortiClient"),
    ("zatray", "ZoneAlarm"),
    ("vsmon", "ZoneAlarm"),
    ("comodo", "Comodo"),
    ("cmdagent", "Comodo"),
    ("cmdguard", "Comodo"),
    ("xagt", "Trellix HX"),
    ("tanium", "Tanium"),
    ("ciscoamp", "Cisco Secure Endpoint"),
];

fn product(service: &WindowsServiceFacts) -> Option<&'static str> {
    let name = service.name.to_ascii_lowercase();
    PRODUCTS.iter().find(|(start, _)| name.starts_with(start)).map(|(_, product)| *product)
}

fn capture(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    for name in ["npcap", "npcap_wifi", "npf"] {
        let service = match windows.service(name) {
            Ok(Some(service)) => service,
            Ok(None) => continue,
            Err(reason) => {
                checks.miss(reason);
                continue;
            }
        };
        let Some(start) = checks.ask(&service.start) else { continue };
        if start != Some(&StartType::Disabled) {
            checks.add(Wrong {
                found: service.name.clone(),
                required: format!("no {}", service.name),
                place: checks::service_place(windows, &service.name),
                cure: "uninstall Npcap or WinPcap in the machine before the upload".to_owned(),
            });
        }
    }
    checks
        .finding(|list| format!("a driver for capturing packets is installed ({list}); Npcap's loopback adapter cuts Azure's VM agent off"))
}

fn protection(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut names: Vec<&str> = Vec::new();
    let mut first = None;
    for service in windows.services.known()?.into_iter().flatten() {
        let Some(product) = product(service).filter(|_| service.start != StartType::of(4).into()) else { continue };
        first.get_or_insert(service);
        if !names.contains(&product) {
            names.push(product);
        }
    }
    let Some(first) = first else { return Ok(vec![]) };
    let list = names.join(", ");
    Ok(vec![Finding {
        message: format!(
            "protection software of others is installed ({list}); its own firewall and its control of scripts decide about remote desktop, \
             provisioning and the agent too"
        ),
        actual: list,
        required: "software that lets Azure's services through".to_owned(),
        place: checks::service_place(windows, &first.name),
        remedy: Remedy::hand(
            "check that it allows remote desktop, 168.63.129.16 and what runs below C:\\Windows and C:\\WindowsAzure; prepare it for \
             images as its maker says, or install it in Azure",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::windows::service;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    #[test]
    fn capture_drivers() {
        for (name, start, said) in [("npcap", 1, "hand"), ("NPF", 3, "hand"), ("npcap", 4, "pass"), ("usbpcap", 3, "pass")] {
            assert_eq!(ask(&CAPTURE, &windows(|w| known(&mut w.services).push(service(name, start, true)))), said, "{name}");
        }
        assert_eq!(ask(&CAPTURE, &windows(|_| {})), "pass");
        assert_eq!(ask(&CAPTURE, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&CAPTURE, &healthy_os()), "not applicable");
    }

    #[test]
    fn products_are_named_once() {
        let facts = windows(|w| {
            known(&mut w.services).extend([service("CSFalconService", 2, false), service("CSAgent", 1, true), service("ekrn", 4, false)]);
        });
        assert_eq!(findings(&PROTECTION, &facts, &Target::default())[0].actual, "CrowdStrike Falcon");
        assert_eq!(ask(&PROTECTION, &windows(|_| {})), "pass");
        assert_eq!(ask(&PROTECTION, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&PROTECTION, &healthy_os()), "not applicable");
    }
}
