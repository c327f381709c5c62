//! W-29: Azure's own address is not blocked.

use super::filter::{self, FilterRule, PROFILES_KEY};
use crate::facts::WindowsFacts;
use crate::rules::windows::{checks, guest};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, source};

/// Azure's own address, by which agents and load balancers talk.
pub(super) const PLATFORM: &str = "168.63.129.16";

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN129",
    name: "platform-address-blocked",
    requirement: "W-29",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The firewall lets Windows reach 168.63.129.16.",
    azure_error: None,
    source: source::GUEST_AGENT,
    docs: r"## What it checks

No active rule of the firewall may block what goes out to 168.63.129.16. Where the firewall blocks all that goes out by default, an active
rule must allow that address.

## Why it matters

168.63.129.16 is Azure's own address. The machine asks it for its provisioning, its agent for extensions and goal states, on ports 80 and
32526. Without it provisioning does not report its end, and the agent stays without contact.

## How to fix it

Disable the blocking rule, and in an elevated PowerShell: `New-NetFirewallRule -DisplayName AzurePlatform -Direction Outbound
-RemoteAddress 168.63.129.16 -Profile Any -Action Allow` on one line.",
    check: Check::Disk(outbound),
};

pub(in crate::rules) static INBOUND: Rule = Rule {
    code: "WIN229",
    name: "platform-probes-blocked",
    requirement: "W-29",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The firewall lets 168.63.129.16 in.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

No active rule of the firewall may block what comes in from 168.63.129.16.

## Why it matters

From this address Azure's load balancers probe whether a machine is alive. Behind one, the machine gets no traffic.

## How to fix it

Disable the blocking rule, and in an elevated PowerShell: `New-NetFirewallRule -DisplayName AzurePlatform -Direction Inbound
-RemoteAddress 168.63.129.16 -Profile Any -Action Allow` on one line.",
    check: Check::Disk(inbound),
};

/// Whether a rule names the address, or is for everything.
fn is_about_platform(rule: FilterRule<'_>) -> bool {
    rule.names_address(PLATFORM) || rule.is_for_all_tcp()
}

/// The rule that blocks the address, on a network of the kind that the machine has.
fn blocking<'a>(rules: &[FilterRule<'a>], name: &str, direction: &str) -> Option<FilterRule<'a>> {
    rules.iter().copied().find(|rule| rule.is_active("Block", direction) && rule.is_for(name) && is_about_platform(*rule))
}

fn allow(direction: &str) -> String {
    format!("New-NetFirewallRule -DisplayName AzurePlatform -Direction {direction} -RemoteAddress {PLATFORM} -Profile Any -Action Allow")
}

fn by_rule(windows: &WindowsFacts, rule: FilterRule<'_>, what: &str, effect: &str) -> Finding {
    let id = &rule.rule.id;
    Finding {
        message: format!("the firewall's rule {id} blocks {what} {PLATFORM}, Azure's own address; {effect}"),
        actual: format!("{id} is active and blocks"),
        required: format!("no rule that blocks {PLATFORM}"),
        place: rule.place(windows),
        remedy: Remedy::hand(if rule.by_policy {
            format!("remove the rule {id} from the policy that has it (gpedit.msc, or the domain's group policy)")
        } else {
            format!("Disable-NetFirewallRule -Name {}", word::powershell_quoted(id))
        }),
    }
}

const OUTBOUND_EFFECT: &str = "provisioning and the VM agent cannot report to Azure";

fn outbound(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let (name, profile) = filter::profile(windows)?;
    if !filter::is_on(profile)? {
        return Ok(vec![]);
    }
    let rules = filter::rules(windows)?;
    if let Some(rule) = blocking(&rules, name, "Out") {
        return Ok(vec![by_rule(windows, rule, "what goes out to", OUTBOUND_EFFECT)]);
    }
    let allowed = rules.iter().any(|rule| rule.is_active("Allow", "Out") && rule.is_for(name) && is_about_platform(*rule));
    if allowed || !filter::blocks_outbound(profile)? {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!(
            "the firewall blocks what goes out on {} networks, and no active rule allows {PLATFORM}, Azure's own address; \
             {OUTBOUND_EFFECT}",
            name.to_ascii_lowercase()
        ),
        actual: "DefaultOutboundAction 1, and no rule for the address".to_owned(),
        required: format!("a rule that allows {PLATFORM}"),
        place: checks::place(windows, &format!(r"{PROFILES_KEY}\{name}Profile"), "DefaultOutboundAction"),
        remedy: Remedy::hand(allow("Outbound")),
    }])
}

fn inbound(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let (name, profile) = filter::profile(windows)?;
    if !filter::is_on(profile)? {
        return Ok(vec![]);
    }
    let rules = filter::rules(windows)?;
    let rule = blocking(&rules, name, "In");
    Ok(rule.map(|rule| by_rule(windows, rule, "what comes from", "load balancers take the machine for dead")).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, WindowsFirewallRuleFacts};
    use crate::rules::testing::windows::firewall_rule;
    use crate::rules::testing::{ask, healthy_os, known, windows};

    fn block(direction: &str) -> WindowsFirewallRuleFacts {
        WindowsFirewallRuleFacts {
            action: Fact::Known("Block".to_owned()),
            direction: Fact::Known(direction.to_owned()),
            remote_addresses: vec![PLATFORM.to_owned()],
            ..firewall_rule("Wire server", "6", None)
        }
    }

    #[test]
    fn blocking_rules_are_told() {
        for rule in [&RULE, &INBOUND] {
            assert_eq!(ask(rule, &windows(|_| {})), "pass");
            assert_eq!(ask(rule, &windows(|w| w.firewall.policy_rules = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
        for (direction, out, inward) in [("Out", "hand", "pass"), ("In", "pass", "hand")] {
            let facts = windows(|w| known(&mut w.firewall.rules).push(block(direction)));
            assert_eq!((ask(&RULE, &facts).as_str(), ask(&INBOUND, &facts).as_str()), (out, inward));
            let inactive = WindowsFirewallRuleFacts { active: Fact::Known(false), ..block(direction) };
            let facts = windows(|w| known(&mut w.firewall.rules).push(inactive));
            assert_eq!((ask(&RULE, &facts).as_str(), ask(&INBOUND, &facts).as_str()), ("pass", "pass"));
            let off = windows(|w| {
                known(&mut w.firewall.policy_rules).push(block(direction));
                w.firewall.public.enabled = Fact::Known(0);
            });
            assert_eq!((ask(&RULE, &off).as_str(), ask(&INBOUND, &off).as_str()), ("pass", "pass"));
        }
    }

    #[test]
    fn a_closed_firewall_needs_a_rule() {
        let closed = |rules: bool| {
            windows(|w| {
                w.firewall.public.default_outbound = Fact::Known(1);
                if !rules {
                    known(&mut w.firewall.rules).clear();
                }
            })
        };
        assert_eq!(ask(&RULE, &closed(true)), "pass");
        let all =
            WindowsFirewallRuleFacts { direction: Fact::Known("Out".to_owned()), limited: false, ..firewall_rule("{all}", "6", None) };
        let open = windows(|w| {
            w.firewall.public.default_outbound = Fact::Known(1);
            w.firewall.rules = Fact::Known(vec![all.clone()]);
        });
        assert_eq!(ask(&RULE, &open), "pass");
        let blocked = WindowsFirewallRuleFacts { action: Fact::Known("Block".to_owned()), ..all };
        assert_eq!(ask(&RULE, &windows(|w| known(&mut w.firewall.rules).push(blocked))), "hand");
        assert_eq!(ask(&RULE, &closed(false)), "hand");
    }
}
