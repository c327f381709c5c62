//! Network configuration.

use crate::facts::Fact;
use serde::Serialize;

/// Network configuration, by the program that reads it; absent where there are no such files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkFacts {
    /// netplan: `/etc/netplan/*.yaml`.
    pub netplan: Fact<Vec<InterfaceFacts>>,
    /// `ifcfg-*` of Red Hat's and SUSE's network scripts.
    pub ifcfg: Fact<Vec<InterfaceFacts>>,
    /// Connections of NetworkManager.
    pub network_manager: Fact<Vec<InterfaceFacts>>,
    /// `/etc/network/interfaces`, with what it reads.
    pub ifupdown: Fact<Vec<InterfaceFacts>>,
    /// `.network` files of systemd-networkd.
    pub networkd: Fact<Vec<InterfaceFacts>>,
    /// `.link` files of udev under `/etc`.
    pub links: Fact<Vec<InterfaceFacts>>,
    /// Rules of udev that name interfaces or concern Azure's disks and NICs.
    pub udev_rules: Fact<Vec<UdevRuleFacts>>,
    /// `unmanaged-devices` of NetworkManager, as written.
    pub unmanaged_devices: Fact<Vec<SettingFacts>>,
    /// Whether DHCP sets the host name, as SUSE's `/etc/sysconfig/network/dhcp` says.
    pub dhcp_sets_host_name: Fact<String>,
}

/// What a file says of an interface, or of a pattern of interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceFacts {
    /// File.
    pub path: String,
    /// Its name, or a pattern: `eth0`, `en*`; empty where the file matches by other things only.
    pub name: String,
    /// `ethernet`, `wifi`, `bridge`, `bond`, `vlan`, `loopback`, `link`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Hardware address that it is bound to, as written.
    pub mac: Option<String>,
    /// Driver that it is matched by.
    pub driver: Option<String>,
    /// Whether IPv4 comes from DHCP; `null` where the file is silent.
    pub dhcp4: Option<bool>,
    /// Whether IPv6 comes from DHCP or router advertisements; `null` where the file is silent.
    pub dhcp6: Option<bool>,
    /// Static addresses, as written.
    pub addresses: Vec<String>,
    /// Static gateways, as written.
    pub gateways: Vec<String>,
    /// Whether it comes up by itself; `null` where the dialect or the file is silent.
    pub starts: Option<bool>,
    /// Whether the manager keeps its hands off it.
    pub unmanaged: bool,
    /// UUID of the connection.
    pub uuid: Option<String>,
    /// Name that the interface is given.
    pub renamed_to: Option<String>,
}

/// A file of udev's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UdevRuleFacts {
    /// File.
    pub path: String,
    /// `persistent-names` (it ties names to hardware addresses), `name-generator`, or `azure`.
    pub purpose: String,
    /// Whether it is empty or leads to `/dev/null`, which switches off a rule of the same name below `/usr/lib`.
    pub masked: bool,
    /// Lines that give a network interface a name.
    pub names: usize,
}

/// A setting with the place that sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingFacts {
    /// File.
    pub path: String,
    /// Line, the first is 1.
    pub line: usize,
    /// As written.
    pub value: String,
}
