//! SELinux, subscriptions, firewalls, time.

use crate::facts::Fact;
use serde::Serialize;

/// SELinux, subscriptions, firewalls, time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecurityFacts {
    /// `/etc/selinux/config`; absent where there is none.
    pub selinux: Fact<SelinuxFacts>,
    /// Subscriptions and registrations, by path; never their content.
    pub subscriptions: Fact<Vec<SubscriptionFacts>>,
    /// Firewall rules that are loaded at boot.
    pub firewalls: Fact<Vec<FirewallFacts>>,
    /// Hosts that packages come from.
    pub package_hosts: Fact<Vec<String>>,
    /// chrony's configuration; absent where there is none.
    pub chrony: Fact<ChronyFacts>,
}

/// SELinux.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SelinuxFacts {
    /// `enforcing`, `permissive`, `disabled`, as written.
    pub mode: Option<String>,
    /// `targeted`, as written.
    pub policy: Option<String>,
    /// Whether `/.autorelabel` asks for a relabelling at the next boot.
    pub autorelabel: bool,
    /// The label of `/etc/passwd`; absent where it has none.
    pub label_of_passwd: Fact<String>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubscriptionFacts {
    /// `rhsm`, `rhn`, `suse`, `ubuntu-pro`.
    pub kind: String,
    /// What shows it.
    pub path: String,
}

/// Firewall rules in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirewallFacts {
    /// `nftables`, `iptables`, `ufw`, `firewalld`.
    pub kind: String,
    /// File.
    pub path: String,
    /// Whether what leaves the machine is dropped unless a rule allows it.
    pub drops_output: bool,
    /// Lines that name 168.63.129.16 or 169.254.169.254, by number.
    pub platform_lines: Vec<usize>,
}

/// chrony's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChronyFacts {
    /// File.
    pub path: String,
    /// The reference clock of Hyper-V (`refclock PHC /dev/ptp_hyperv …`), as written.
    pub refclock: Option<String>,
    /// `makestep`, as written.
    pub makestep: Option<String>,
}
