//! What the firewall lets through.

use crate::facts::{Fact, Unknown, WindowsFacts, WindowsFirewallProfileFacts, WindowsFirewallRuleFacts};
use crate::rules::Place;
use crate::rules::windows::checks;

/// Where the firewall's own rules stand.
const RULES_KEY: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules";
/// The same of policy.
const POLICY_RULES_KEY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall\FirewallRules";
/// Where the settings for kinds of networks stand.
pub(super) const PROFILES_KEY: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy";

/// A rule, and whether policy has it.
#[derive(Clone, Copy)]
pub(super) struct FilterRule<'a> {
    pub(super) rule: &'a WindowsFirewallRuleFacts,
    pub(super) by_policy: bool,
}

/// The kind of network that a machine has in Azure, and the firewall's settings for it: `Domain` for a member that reaches its domain,
/// otherwise `Public`.
pub(super) fn profile(windows: &WindowsFacts) -> Result<(&'static str, &WindowsFirewallProfileFacts), Unknown> {
    let firewall = &windows.firewall;
    Ok(if checks::in_domain(windows)? { ("Domain", &firewall.domain) } else { ("Public", &firewall.public) })
}

/// Policy's value, or else the machine's own, or else what Windows takes.
pub(super) fn effective(policy: &Fact<u32>, own: &Fact<u32>, otherwise: u32) -> Result<u32, Unknown> {
    if let Some(value) = policy.known()? {
        return Ok(*value);
    }
    Ok(own.known()?.copied().unwrap_or(otherwise))
}

/// Whether the firewall is on for such networks.
pub(super) fn is_on(profile: &WindowsFirewallProfileFacts) -> Result<bool, Unknown> {
    Ok(effective(&profile.policy_enabled, &profile.enabled, 1)? != 0)
}

/// Whether it blocks what comes in and no rule is about.
pub(super) fn blocks_inbound(profile: &WindowsFirewallProfileFacts) -> Result<bool, Unknown> {
    Ok(effective(&profile.policy_default_inbound, &profile.default_inbound, 1)? != 0)
}

/// Whether it blocks what goes out and no rule is about.
pub(super) fn blocks_outbound(profile: &WindowsFirewallProfileFacts) -> Result<bool, Unknown> {
    Ok(effective(&profile.policy_default_outbound, &profile.default_outbound, 0)? != 0)
}

/// Rules of the machine and of policy.
pub(super) fn rules(windows: &WindowsFacts) -> Result<Vec<FilterRule<'_>>, Unknown> {
    let firewall = &windows.firewall;
    let own = firewall.rules.known()?.into_iter().flatten().map(|rule| FilterRule { rule, by_policy: false });
    let policy = firewall.policy_rules.known()?.into_iter().flatten().map(|rule| FilterRule { rule, by_policy: true });
    Ok(own.chain(policy).collect())
}

impl FilterRule<'_> {
    /// Whether it counts and does that: `Allow` or `Block`, `In` or `Out`.
    pub(super) fn is_active(self, action: &str, direction: &str) -> bool {
        let says = |fact: &Fact<String>, word: &str| fact.value().is_some_and(|value| value.eq_ignore_ascii_case(word));
        self.rule.active == Fact::Known(true) && says(&self.rule.action, action) && says(&self.rule.direction, direction)
    }

    /// Whether it is for that kind of network.
    pub(super) fn is_for(self, profile: &str) -> bool {
        self.rule.profiles.is_empty() || self.rule.profiles.iter().any(|named| named.eq_ignore_ascii_case(profile))
    }

    /// Whether it is about everything that goes over TCP, whatever the port, the program and the address.
    pub(super) fn is_for_all_tcp(self) -> bool {
        !self.rule.limited && self.rule.remote_addresses.is_empty() && self.rule.protocol.value().is_none_or(|protocol| protocol == "6")
    }

    /// Whether it is about TCP and names that local port, or is for everything. One for all ports of one program does not count.
    pub(super) fn is_for_tcp_port(self, port: u32) -> bool {
        if self.is_for_all_tcp() {
            return true;
        }
        let tcp = self.rule.protocol.value().is_none_or(|protocol| protocol == "6");
        let ports = self.rule.local_ports.value().map(String::as_str).unwrap_or_default();
        tcp && ports.split(',').any(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u32>();
            matches!((number(first), number(last)), (Ok(first), Ok(last)) if (first..=last).contains(&port))
        })
    }

    /// Whether it is about that address and not about all.
    pub(super) fn names_address(self, address: &str) -> bool {
        self.rule.remote_addresses.iter().flat_map(|list| list.split([',', '-', '/'])).any(|part| part.trim() == address)
    }

    pub(super) fn place(self, windows: &WindowsFacts) -> Option<Place> {
        checks::place(windows, if self.by_policy { POLICY_RULES_KEY } else { RULES_KEY }, &self.rule.id)
    }
}

/// Where a rule of the machine stands, or would.
pub(super) fn place(windows: &WindowsFacts, id: &str) -> Option<Place> {
    checks::place(windows, RULES_KEY, id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::windows::firewall_rule;

    fn is(rule: &WindowsFirewallRuleFacts) -> FilterRule<'_> {
        FilterRule { rule, by_policy: false }
    }

    #[test]
    fn rules_name_ports_and_networks() {
        for (protocol, ports, named) in [
            ("6", Some("3389"), true),
            ("6", Some("80,3000-4000"), true),
            ("17", Some("3389"), false),
            ("6", None, false),
            ("6", Some("RPC"), false),
        ] {
            assert_eq!(is(&firewall_rule("x", protocol, ports)).is_for_tcp_port(3389), named, "{protocol} {ports:?}");
        }
        let mut rule = firewall_rule("x", "6", None);
        assert!(is(&rule).is_for("Public") && is(&rule).is_active("allow", "in") && !is(&rule).is_active("Block", "In"));
        rule.profiles = vec!["Domain".to_owned()];
        rule.active = Fact::Absent;
        assert!(!is(&rule).is_for("Public") && !is(&rule).is_active("Allow", "In"));
        rule.remote_addresses = vec!["168.63.129.16/255.255.255.255".to_owned()];
        assert!(is(&rule).names_address("168.63.129.16") && !is(&rule).names_address("168.63.129.1"));
    }

    #[test]
    fn policy_beats_the_machine() {
        assert_eq!(effective(&Fact::Known(0), &Fact::unknown("x"), 1), Ok(0));
        assert_eq!(effective(&Fact::Absent, &Fact::Known(0), 1), Ok(0));
        assert_eq!(effective(&Fact::Absent, &Fact::Absent, 1), Ok(1));
        assert!(effective(&Fact::unknown("x"), &Fact::Known(0), 1).is_err());
    }
}
