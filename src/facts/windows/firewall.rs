//! The firewall.

use crate::facts::Fact;
use serde::Serialize;

/// The firewall.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsFirewallFacts {
    /// For networks of a domain.
    pub domain: WindowsFirewallProfileFacts,
    /// For private networks (`StandardProfile`).
    pub private: WindowsFirewallProfileFacts,
    /// For all others.
    pub public: WindowsFirewallProfileFacts,
    /// The machine's own rules that decide about remote desktop, ping, Windows Remote Management or 168.63.129.16: those whose names say
    /// so (`RemoteDesktop-…`, `FPS-ICMP4-ERQ-In…`, `WINRM-…`), those that name the remote desktop's port, and those that name the address.
    pub rules: Fact<Vec<WindowsFirewallRuleFacts>>,
    /// The same of policy.
    pub policy_rules: Fact<Vec<WindowsFirewallRuleFacts>>,
    /// All rules of the machine itself.
    pub rule_count: Fact<usize>,
}

/// Settings of the firewall for one kind of network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsFirewallProfileFacts {
    /// `EnableFirewall`.
    pub enabled: Fact<u32>,
    /// `DefaultInboundAction`: 0 allows, 1 blocks; absent means that it blocks.
    pub default_inbound: Fact<u32>,
    /// `DefaultOutboundAction`: 0 allows, 1 blocks; absent means that it allows.
    pub default_outbound: Fact<u32>,
    /// `EnableFirewall` of policy.
    pub policy_enabled: Fact<u32>,
    /// `DefaultInboundAction` of policy.
    pub policy_default_inbound: Fact<u32>,
    /// `DefaultOutboundAction` of policy.
    pub policy_default_outbound: Fact<u32>,
}

/// A rule of the firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowsFirewallRuleFacts {
    /// Its name: `RemoteDesktop-UserMode-In-TCP`, or a GUID.
    pub id: String,
    /// Whether it counts; absent where the rule does not say.
    pub active: Fact<bool>,
    /// `Allow`, `Block`, `ByPass`.
    pub action: Fact<String>,
    /// `In` or `Out`.
    pub direction: Fact<String>,
    /// The protocol's number: 6 for TCP, 17 for UDP, 1 for ICMPv4; absent for all.
    pub protocol: Fact<String>,
    /// Local ports: `3389`, `RPC`, `80,443`; absent for all.
    pub local_ports: Fact<String>,
    /// Remote ports; absent for all.
    pub remote_ports: Fact<String>,
    /// Remote addresses; none for all.
    pub remote_addresses: Vec<String>,
    /// Kinds of networks: `Domain`, `Private`, `Public`; none for all.
    pub profiles: Vec<String>,
    /// Whether it is limited to anything else: to ports, a program, a service, an application's package, users, computers, interfaces.
    pub limited: bool,
}
