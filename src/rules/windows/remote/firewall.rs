//! W-25 and W-26: the firewall is on and lets remote desktop in.

use super::filter::{self, FilterRule, PROFILES_KEY};
use super::port;
use crate::facts::WindowsFacts;
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::guest;
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static OFF: Rule = Rule {
    code: "WIN125",
    name: "windows-firewall-off",
    requirement: "W-25",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The firewall is on for networks of a domain, private and public ones.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`EnableFirewall` must be 1 for each of the three kinds of networks, by policy or in the machine's own settings; a value that is not set
means on.

## Why it matters

Azure's preparation article has the firewall on. Without it a machine with a public address is protected by its network security group
alone, if it has one.

## How to fix it

`Set-NetFirewallProfile -Profile Domain, Public, Private -Enabled True` in an elevated PowerShell, after the rules for remote desktop are
on.",
    check: Check::Disk(off),
};

pub(in crate::rules) static BLOCKED: Rule = Rule {
    code: "WIN126",
    name: "remote-desktop-blocked",
    requirement: "W-26",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The firewall lets remote desktop in.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Where the firewall is on and blocks by default, an active rule must allow TCP to the port on which remote desktop listens, and no active
rule may block it for everybody. What counts is the kind of network that the machine has in Azure: public, or that of the domain for
members of one. Rules of policy count beside the machine's own. A rule that names no port counts where it is not limited to addresses, a
program, a service or the like.

## Why it matters

Windows is installed with these rules inactive. The machine runs in Azure, its network security group lets the connection pass, and
Windows drops it.

## How to fix it

`Set-NetFirewallRule -Name RemoteDesktop-UserMode-In-TCP, RemoteDesktop-UserMode-In-UDP -Enabled True -Profile Any -Action Allow` in an
elevated PowerShell; for a port of your own, add a rule with `New-NetFirewallRule`. Blocking rules that a policy has are changed there.",
    check: Check::Disk(blocked),
};

pub(in crate::rules) static LIMITED: Rule = Rule {
    code: "WIN226",
    name: "remote-desktop-limited",
    requirement: "W-26",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The firewall lets remote desktop in from everywhere.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Where rules of the firewall allow remote desktop, one of them must allow it from all addresses.

## Why it matters

Addresses of the network that the disk comes from, or `LocalSubnet`, do not cover those from which people reach a machine in Azure: the
machine runs, and connections are dropped.

## How to fix it

`Set-NetFirewallRule -Name <rule> -RemoteAddress Any` in an elevated PowerShell, and limit addresses in the network security group; or
accept the finding where the addresses are meant.",
    check: Check::Disk(limited),
};

fn off(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let firewall = &windows.firewall;
    let mut checks = Checks::of(windows);
    for (name, key, profile) in [
        ("Domain", "DomainProfile", &firewall.domain),
        ("Private", "StandardProfile", &firewall.private),
        ("Public", "PublicProfile", &firewall.public),
    ] {
        match filter::is_on(profile) {
            Err(reason) => checks.miss(reason),
            Ok(true) => {}
            Ok(false) => checks.add(Wrong {
                found: format!("{name} is off"),
                required: format!("{name} is on"),
                place: checks::place(windows, &format!(r"{PROFILES_KEY}\{key}"), "EnableFirewall"),
                cure: "Set-NetFirewallProfile -Profile Domain, Public, Private -Enabled True".to_owned(),
            }),
        }
    }
    checks.finding(|list| format!("the firewall is not on for all kinds of networks: {list}; Azure's preparation article has it on"))
}

/// What the firewall does with remote desktop.
enum Answer<'a> {
    Open,
    /// By this rule.
    Blocked(FilterRule<'a>),
    /// No rule allows it for such networks.
    NotAllowed(u32, &'static str),
    /// Allowed to some addresses only, by this rule.
    Limited(FilterRule<'a>),
}

fn answer(windows: &WindowsFacts) -> Result<Answer<'_>, Skip> {
    let port = port::port(windows)?;
    let (name, profile) = filter::profile(windows)?;
    if !filter::is_on(profile)? {
        return Ok(Answer::Open);
    }
    let rules = filter::rules(windows)?;
    let about = |action: &'static str| {
        rules
            .iter()
            .copied()
            .filter(move |rule| rule.is_active(action, "In"))
            .filter(move |rule| rule.is_for(name) && rule.is_for_tcp_port(port))
    };
    if let Some(rule) = about("Block").find(|rule| rule.rule.remote_addresses.is_empty()) {
        return Ok(Answer::Blocked(rule));
    }
    if !filter::blocks_inbound(profile)? || about("Allow").any(|rule| rule.rule.remote_addresses.is_empty()) {
        return Ok(Answer::Open);
    }
    Ok(about("Allow").next().map_or(Answer::NotAllowed(port, name), Answer::Limited))
}

fn blocked(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let (message, actual, place, cure) = match answer(windows)? {
        Answer::Open | Answer::Limited(_) => return Ok(vec![]),
        Answer::Blocked(rule) => by_rule(windows, rule),
        Answer::NotAllowed(port, name) => not_allowed(windows, port, name),
    };
    Ok(vec![Finding {
        message: format!("{message}; connections to the machine in Azure are dropped"),
        actual,
        required: "an active rule that allows remote desktop, and none that blocks it".to_owned(),
        place,
        remedy: Remedy::hand(cure),
    }])
}

type Told = (String, String, Option<Place>, String);

fn by_rule(windows: &WindowsFacts, rule: FilterRule<'_>) -> Told {
    let id = &rule.rule.id;
    let cure = if rule.by_policy {
        format!("remove the rule {id} from the policy that has it (gpedit.msc, or the domain's group policy)")
    } else {
        format!("Disable-NetFirewallRule -Name {}", word::powershell_quoted(id))
    };
    (format!("the firewall's rule {id} blocks remote desktop"), format!("{id} is active and blocks"), rule.place(windows), cure)
}

fn not_allowed(windows: &WindowsFacts, port: u32, name: &str) -> Told {
    const OWN: &str = "RemoteDesktop-UserMode-In-TCP";
    let there = windows.firewall.rules.value().is_some_and(|rules| rules.iter().any(|rule| rule.id.eq_ignore_ascii_case(OWN)));
    let cure = if there && port == port::DEFAULT_PORT {
        format!("Set-NetFirewallRule -Name {OWN}, RemoteDesktop-UserMode-In-UDP -Enabled True -Profile Any -Action Allow")
    } else {
        format!(
            "New-NetFirewallRule -DisplayName 'Remote desktop' -Direction Inbound -Protocol TCP -LocalPort {port} -Profile Any \
             -Action Allow"
        )
    };
    (
        format!(
            "the firewall blocks what comes in on {} networks, and no active rule allows remote desktop on port {port}",
            name.to_ascii_lowercase()
        ),
        format!("no active rule for TCP port {port} on {} networks", name.to_ascii_lowercase()),
        filter::place(windows, OWN),
        cure,
    )
}

fn limited(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let Answer::Limited(rule) = answer(windows)? else { return Ok(vec![]) };
    let id = &rule.rule.id;
    let addresses = shared::first_three(&rule.rule.remote_addresses, ", ");
    Ok(vec![Finding {
        message: format!("the firewall lets remote desktop in from {addresses} alone, by the rule {id}; others cannot reach the machine"),
        actual: addresses,
        required: "all addresses".to_owned(),
        place: rule.place(windows),
        remedy: Remedy::hand(format!("Set-NetFirewallRule -Name {} -RemoteAddress Any", word::powershell_quoted(id))),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::windows::firewall_rule;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    const DESKTOP: &str = "RemoteDesktop-UserMode-In-TCP";

    /// What is said of a Windows with the TCP rule changed.
    fn with_rule(rule: &Rule, change: impl FnOnce(&mut crate::facts::WindowsFirewallRuleFacts)) -> String {
        ask(rule, &windows(|w| change(known(&mut w.firewall.rules).iter_mut().find(|rule| rule.id == DESKTOP).unwrap())))
    }

    #[test]
    fn profiles_are_on() {
        assert_eq!(ask(&OFF, &windows(|_| {})), "pass");
        assert_eq!(ask(&OFF, &windows(|w| w.firewall.domain.enabled = Fact::Absent)), "pass");
        assert_eq!(ask(&OFF, &windows(|w| w.firewall.domain.enabled = Fact::unknown("x"))), "undecided");
        let off = windows(|w| {
            w.firewall.domain.enabled = Fact::Known(0);
            w.firewall.public.policy_enabled = Fact::Known(0);
        });
        let told = findings(&OFF, &off, &Target::default());
        assert_eq!((told.len(), told[0].actual.as_str()), (1, "Domain is off, Public is off"));
        assert_eq!(ask(&OFF, &healthy_os()), "not applicable");
    }

    #[test]
    fn a_rule_lets_remote_desktop_in() {
        assert_eq!(with_rule(&BLOCKED, |_| {}), "pass");
        assert_eq!(with_rule(&BLOCKED, |rule| rule.active = Fact::Known(false)), "hand");
        assert_eq!(with_rule(&BLOCKED, |rule| rule.action = Fact::Known("Block".to_owned())), "hand");
        assert_eq!(with_rule(&BLOCKED, |rule| rule.profiles = vec!["Domain".to_owned(), "Private".to_owned()]), "hand");
        assert_eq!(with_rule(&BLOCKED, |rule| rule.profiles = vec!["Public".to_owned()]), "pass");
        assert_eq!(with_rule(&BLOCKED, |rule| rule.local_ports = Fact::Known("3390".to_owned())), "hand");
        assert_eq!(ask(&BLOCKED, &windows(|w| w.firewall.rules = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&BLOCKED, &healthy_os()), "not applicable");
    }

    #[test]
    fn a_firewall_that_is_off_or_open_lets_it_in() {
        for open in [true, false] {
            let facts = windows(|w| {
                known(&mut w.firewall.rules).clear();
                if open {
                    w.firewall.public.default_inbound = Fact::Known(0);
                } else {
                    w.firewall.public.policy_enabled = Fact::Known(0);
                }
            });
            assert_eq!(ask(&BLOCKED, &facts), "pass");
        }
        assert_eq!(ask(&BLOCKED, &windows(|w| known(&mut w.firewall.rules).clear())), "hand");
    }

    #[test]
    fn policy_and_domain_count() {
        let blocking = || crate::facts::WindowsFirewallRuleFacts {
            action: Fact::Known("Block".to_owned()),
            ..firewall_rule("{1}", "6", Some("3389"))
        };
        let facts = windows(|w| known(&mut w.firewall.policy_rules).push(blocking()));
        assert!(findings(&BLOCKED, &facts, &Target::default())[0].remedy.text().contains("policy"), "by policy");
        let facts = windows(|w| {
            known(&mut w.firewall.rules).clear();
            known(&mut w.firewall.policy_rules).push(firewall_rule("{2}", "6", Some("3389")));
        });
        assert_eq!(ask(&BLOCKED, &facts), "pass");
        // A member of a domain is judged by the networks of the domain.
        let domain_only = |member: bool| {
            windows(|w| {
                if member {
                    w.name.domain = Fact::Known("corp.example".to_owned());
                }
                known(&mut w.firewall.rules).retain(|rule| rule.id == DESKTOP);
                known(&mut w.firewall.rules)[0].profiles = vec!["Domain".to_owned()];
            })
        };
        assert_eq!(ask(&BLOCKED, &domain_only(true)), "pass");
        assert_eq!(ask(&BLOCKED, &domain_only(false)), "hand");
    }

    #[test]
    fn rules_for_everything_count() {
        let with = |action: &'static str, limited: bool, protocol: &'static str| {
            windows(move |w| {
                let rules = known(&mut w.firewall.rules);
                rules.retain(|rule| (action == "Block") || rule.id != DESKTOP);
                rules.push(crate::facts::WindowsFirewallRuleFacts {
                    action: Fact::Known(action.to_owned()),
                    limited,
                    ..firewall_rule("{all}", protocol, None)
                });
            })
        };
        assert_eq!(ask(&BLOCKED, &with("Allow", false, "6")), "pass");
        assert_eq!(ask(&BLOCKED, &with("Allow", true, "6")), "hand");
        assert_eq!(ask(&BLOCKED, &with("Allow", false, "17")), "hand");
        // One for Azure's own address lets nobody in.
        let platform = windows(|w| {
            let rules = known(&mut w.firewall.rules);
            rules.retain(|rule| rule.id != DESKTOP);
            rules.push(crate::facts::WindowsFirewallRuleFacts {
                limited: false,
                remote_addresses: vec!["168.63.129.16".to_owned()],
                ..firewall_rule("{platform}", "6", None)
            });
        });
        assert_eq!(ask(&BLOCKED, &platform), "hand");
        assert_eq!(ask(&BLOCKED, &with("Block", false, "6")), "hand");
        assert_eq!(ask(&BLOCKED, &with("Block", true, "6")), "pass");
    }

    #[test]
    fn the_port_in_use_counts() {
        let other = |rule: bool| {
            windows(|w| {
                known(&mut w.rdp.station).port = Fact::Known(3390);
                if rule {
                    known(&mut w.firewall.rules).push(firewall_rule("{3}", "6", Some("3390")));
                }
            })
        };
        assert!(findings(&BLOCKED, &other(false), &Target::default())[0].remedy.text().contains("-LocalPort 3390"));
        assert_eq!(ask(&BLOCKED, &other(true)), "pass");
    }

    #[test]
    fn limited_addresses_are_told() {
        assert_eq!(with_rule(&LIMITED, |_| {}), "pass");
        let limit = |rule: &mut crate::facts::WindowsFirewallRuleFacts| rule.remote_addresses = vec!["LocalSubnet".to_owned()];
        assert_eq!(with_rule(&LIMITED, limit), "hand");
        assert_eq!(with_rule(&BLOCKED, limit), "pass");
        assert_eq!(ask(&LIMITED, &healthy_os()), "not applicable");
        assert_eq!(ask(&LIMITED, &windows(|w| w.firewall.rules = Fact::unknown("x"))), "undecided");
    }
}
