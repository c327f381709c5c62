//! The firewall.

use super::registry::Registry;
use crate::bytes::printable;
use crate::facts::{Fact, Unknown, WindowsFirewallFacts, WindowsFirewallProfileFacts, WindowsFirewallRuleFacts};
use crate::guest::windows::firewall::{self, Rule};
use crate::guest::windows::hive::Value;

const OWN: &str = "CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy";
const POLICY: &str = "SOFTWARE\\Policies\\Microsoft\\WindowsFirewall";
/// Azure's own address, which agents must reach.
const PLATFORM: &str = "168.63.129.16";
/// How the names of rules begin that are told of, in lower case.
const NAMED: [&str; 3] = ["remotedesktop-", "fps-icmp4-erq-in", "winrm-"];
/// Rules that are told of at most.
const MOST: usize = 4096;

/// Learns `firewall`. `port` is remote desktop's.
pub(super) fn firewall(registry: &Registry, port: u32) -> WindowsFirewallFacts {
    let policy_rules = rules(registry, POLICY, port).map(|(_, rules)| rules).into();
    let (rule_count, rules) = match rules(registry, OWN, port) {
        Ok((count, rules)) => (Fact::Known(count), Fact::Known(rules)),
        Err(reason) => (Fact::Unknown(reason.clone()), Fact::Unknown(reason)),
    };
    WindowsFirewallFacts {
        domain: profile(registry, "DomainProfile", "DomainProfile"),
        private: profile(registry, "StandardProfile", "PrivateProfile"),
        public: profile(registry, "PublicProfile", "PublicProfile"),
        rules,
        policy_rules,
        rule_count,
    }
}

/// How many rules there are, and those that are told of, by name.
fn rules(registry: &Registry, place: &str, port: u32) -> Result<(usize, Vec<WindowsFirewallRuleFacts>), Unknown> {
    let values = registry.values(&format!("{place}\\FirewallRules"))?;
    let mut told: Vec<WindowsFirewallRuleFacts> =
        values.iter().filter_map(|value| rule(value, port).transpose()).collect::<Result<_, Unknown>>()?;
    if told.len() > MOST {
        return Err(Unknown(format!("more than {MOST} rules of interest in the firewall")));
    }
    told.sort_by(|one, other| one.id.cmp(&other.id));
    Ok((values.len(), told))
}

/// Policy knows private networks by two names; the one that has a word counts.
fn profile(registry: &Registry, name: &str, other_name: &str) -> WindowsFirewallProfileFacts {
    let own = |value: &str| registry.dword(&format!("{OWN}\\{name}"), value);
    let policy = |value: &str| match registry.dword(&format!("{POLICY}\\{name}"), value) {
        Fact::Absent => registry.dword(&format!("{POLICY}\\{other_name}"), value),
        found => found,
    };
    WindowsFirewallProfileFacts {
        enabled: own("EnableFirewall"),
        default_inbound: own("DefaultInboundAction"),
        default_outbound: own("DefaultOutboundAction"),
        policy_enabled: policy("EnableFirewall"),
        policy_default_inbound: policy("DefaultInboundAction"),
        policy_default_outbound: policy("DefaultOutboundAction"),
    }
}

/// A rule, if it is one that is told of.
fn rule(value: &Value, port: u32) -> Result<Option<WindowsFirewallRuleFacts>, Unknown> {
    let id = printable(&value.name);
    let lower = id.to_ascii_lowercase();
    let named = NAMED.iter().any(|start| lower.starts_with(start));
    let Some(mut rule) = value.text().as_deref().and_then(firewall::parse) else {
        return if named { Err(Unknown(format!("the firewall's rule {id} cannot be read"))) } else { Ok(None) };
    };
    // Windows' own are each for one purpose, whatever is left of their words.
    rule.limited |= named;
    let inbound = rule.direction.as_deref().is_some_and(|direction| direction.eq_ignore_ascii_case("in"));
    let told = named || !rule.limited || rule.names_remote_address(PLATFORM) || (inbound && rule.names_local_port(port));
    Ok(told.then(|| facts(id, rule)))
}

fn facts(id: String, rule: Rule) -> WindowsFirewallRuleFacts {
    let text = |text: Option<String>| Fact::from(text.map(|text| printable(&text)));
    let texts = |texts: Vec<String>| texts.iter().map(|text| printable(text)).collect::<Vec<String>>();
    let joined = |ports: Vec<String>| Fact::from((!ports.is_empty()).then(|| printable(&ports.join(","))));
    WindowsFirewallRuleFacts {
        id,
        active: rule.active.into(),
        action: text(rule.action),
        direction: text(rule.direction),
        protocol: text(rule.protocol),
        local_ports: joined(rule.local_ports),
        remote_ports: joined(rule.remote_ports),
        remote_addresses: texts(rule.remote_addresses),
        profiles: texts(rule.profiles),
        limited: rule.limited,
    }
}
