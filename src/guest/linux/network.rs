//! Network interfaces in five dialects: netplan, ifcfg, NetworkManager's keyfiles, ifupdown, systemd-networkd.
//!
//! Sources: netplan-yaml(5); sysconfig.txt of initscripts and ifcfg(5) of wicked; nm-settings-keyfile(5); interfaces(5);
//! systemd.network(5). Passwords and keys of wireless networks are never looked at.

use super::identity::assignment;
use super::ini;
use super::yaml::Value;

/// What a file says of an interface, or of a pattern of interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its name, or a pattern: `eth0`, `en*`; empty where the file matches by other things only.
    pub name: String,
    /// `ethernet`, `wifi`, `bridge`, `bond`, `vlan`, `loopback`, …
    pub kind: String,
    /// Hardware address that it is bound to.
    pub mac: Option<String>,
    /// Driver that it is matched by.
    pub driver: Option<String>,
    /// Whether IPv4 comes from DHCP; `None` where the file is silent.
    pub dhcp4: Option<bool>,
    /// Whether IPv6 comes from DHCP.
    pub dhcp6: Option<bool>,
    /// Static addresses, as written.
    pub addresses: Vec<String>,
    /// Static gateways, as written.
    pub gateways: Vec<String>,
    /// Whether it comes up by itself; `None` where the file is silent.
    pub starts: Option<bool>,
    /// Whether the manager keeps its hands off it.
    pub unmanaged: bool,
    /// A UUID of the connection, where the dialect has one.
    pub uuid: Option<String>,
    /// A name that the interface is to be given.
    pub renamed_to: Option<String>,
}

/// netplan: every definition below `network`.
#[must_use]
pub fn netplan(document: &Value) -> Vec<Interface> {
    let Some(network) = document.get("network") else { return vec![] };
    let kinds = [
        ("ethernets", "ethernet"),
        ("wifis", "wifi"),
        ("bonds", "bond"),
        ("bridges", "bridge"),
        ("vlans", "vlan"),
        ("modems", "modem"),
        ("tunnels", "tunnel"),
    ];
    let mut out = Vec::new();
    for (key, kind) in kinds {
        for (id, definition) in network.get(key).and_then(Value::as_map).unwrap_or_default() {
            let text = |keys: &[&str]| definition.at(keys).and_then(Value::as_str).map(str::to_owned);
            let list = |key: &str| -> Vec<String> {
                let item =
                    |item: &Value| item.as_str().map(str::to_owned).or_else(|| item.as_map()?.iter().next().map(|(name, _)| name.clone()));
                definition.get(key).and_then(Value::as_list).unwrap_or_default().iter().filter_map(item).collect()
            };
            let routes = definition.get("routes").and_then(Value::as_list).unwrap_or_default();
            let gateways = ["gateway4", "gateway6"].iter().filter_map(|key| text(&[key]));
            let via = routes.iter().filter_map(|route| route.get("via").and_then(Value::as_str).map(str::to_owned));
            out.push(Interface {
                // Without a match the id is the name; one by the driver alone is for every name.
                name: text(&["match", "name"]).unwrap_or_else(|| {
                    let any = text(&["match", "driver"]).is_some() && text(&["match", "macaddress"]).is_none();
                    if any { String::new() } else { id.clone() }
                }),
                kind: kind.to_owned(),
                mac: text(&["match", "macaddress"]),
                driver: text(&["match", "driver"]),
                dhcp4: definition.get("dhcp4").and_then(Value::as_bool),
                dhcp6: definition.get("dhcp6").and_then(Value::as_bool),
                addresses: list("addresses"),
                gateways: gateways.chain(via).collect(),
                starts: None,
                unmanaged: false,
                uuid: None,
                renamed_to: text(&["set-name"]),
            });
        }
    }
    out
}

/// An `ifcfg-*` file of Red Hat's or SUSE's; `file` is the name behind `ifcfg-`.
#[must_use]
pub fn ifcfg(file: &str, text: &str) -> Interface {
    let value = |name: &str| assignment(text, name).filter(|value| !value.is_empty());
    let yes = |name: &str| value(name).map(|value| matches!(value.to_ascii_lowercase().as_str(), "yes" | "true" | "y" | "1" | "on"));
    let proto = value("BOOTPROTO").map(|proto| proto.to_ascii_lowercase());
    // IPADDR, IPADDR0, IPADDR_1: up to sixteen, as NetworkManager reads them.
    let numbered = |name: &str| -> Vec<String> {
        let ends = std::iter::once(String::new()).chain((0..16).flat_map(|number| [format!("{number}"), format!("_{number}")]));
        ends.filter_map(|end| value(&format!("{name}{end}"))).collect()
    };
    let onboot = yes("ONBOOT")
        .or_else(|| value("STARTMODE").map(|mode| matches!(mode.as_str(), "auto" | "onboot" | "boot" | "hotplug" | "nfsroot")));
    Interface {
        name: value("DEVICE").unwrap_or_else(|| if value("HWADDR").is_some() { String::new() } else { file.to_owned() }),
        kind: value("TYPE").map_or_else(|| if file == "lo" { "loopback" } else { "ethernet" }.to_owned(), |kind| kind.to_ascii_lowercase()),
        mac: value("HWADDR").or_else(|| value("LLADDR")),
        driver: None,
        dhcp4: proto.as_deref().map(|proto| matches!(proto, "dhcp" | "bootp" | "dhcp4" | "dhcp+autoip")),
        dhcp6: match proto.as_deref() {
            Some("dhcp6") => Some(true),
            _ => yes("DHCPV6C"),
        },
        addresses: numbered("IPADDR"),
        gateways: value("GATEWAY").into_iter().collect(),
        starts: onboot,
        unmanaged: yes("NM_CONTROLLED") == Some(false),
        uuid: value("UUID"),
        renamed_to: None,
    }
}

/// A keyfile of NetworkManager's.
#[must_use]
pub fn keyfile(text: &str) -> Interface {
    let settings = ini::parse(text);
    let value = |section: &str, key: &str| {
        let found = settings.iter().rev().find(|one| one.section == section && one.key == key);
        found.map(|one| one.value.clone()).filter(|value| !value.is_empty())
    };
    let mut addresses = Vec::new();
    let mut gateways = Vec::new();
    for section in ["ipv4", "ipv6"] {
        for one in settings.iter().filter(|one| one.section == section) {
            let numbered = one.key.strip_prefix("address").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
            if numbered {
                let mut parts = one.value.split(',').map(str::trim).map(str::to_owned);
                addresses.extend(parts.next());
                gateways.extend(parts.next().filter(|gateway| !gateway.is_empty()));
            } else if one.key == "gateway" {
                gateways.push(one.value.clone());
            }
        }
    }
    let method = |section: &str| value(section, "method").map(|method| matches!(method.as_str(), "auto" | "dhcp"));
    Interface {
        name: value("connection", "interface-name").unwrap_or_default(),
        kind: value("connection", "type").map_or_else(|| "ethernet".to_owned(), |kind| kind.replace("802-3-", "")),
        mac: value("ethernet", "mac-address").or_else(|| value("802-3-ethernet", "mac-address")),
        driver: value("match", "driver"),
        dhcp4: method("ipv4"),
        dhcp6: method("ipv6"),
        addresses,
        gateways,
        starts: Some(value("connection", "autoconnect").is_none_or(|text| text != "false")),
        unmanaged: false,
        uuid: value("connection", "uuid"),
        renamed_to: None,
    }
}

/// `/etc/network/interfaces`: its interfaces, and the patterns of files that it reads besides.
#[must_use]
pub fn interfaces(text: &str) -> (Vec<Interface>, Vec<String>) {
    let mut out: Vec<Interface> = Vec::new();
    let mut sources = Vec::new();
    let mut started: Vec<String> = Vec::new();
    let joined = text.replace("\\\n", " ");
    let mut inside = false;
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        match first {
            "auto" | "allow-auto" | "allow-hotplug" => {
                started.extend(words.map(str::to_owned));
                inside = false;
            }
            "source" | "source-directory" => {
                let directory = first == "source-directory";
                sources.extend(words.map(|path| if directory { format!("{}/*", path.trim_end_matches('/')) } else { path.to_owned() }));
                inside = false;
            }
            "iface" => {
                inside = true;
                let (name, family, method) =
                    (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let known = out.iter().position(|one| one.name == name).map(|place| out.remove(place));
                let mut one = known.unwrap_or_else(|| {
                    let kind = if method == "loopback" || name == "lo" { "loopback" } else { "ethernet" };
                    Interface { name: name.to_owned(), kind: kind.to_owned(), ..Interface::default() }
                });
                let dhcp = Some(matches!(method, "dhcp" | "auto"));
                if family == "inet6" {
                    one.dhcp6 = dhcp;
                } else {
                    one.dhcp4 = dhcp;
                }
                // Options that follow belong to the last one.
                out.push(one);
            }
            "mapping" | "no-auto-down" | "no-scripts" | "rename" | "template" => inside = false,
            _ => {
                let rest = words.next().map(str::to_owned);
                if let (true, Some(one), Some(value)) = (inside, out.last_mut(), rest) {
                    match first {
                        "address" => one.addresses.push(value),
                        "gateway" => one.gateways.push(value),
                        "hwaddress" | "hw-mac-address" => one.mac = Some(if value == "ether" { third(line) } else { value }),
                        _ => {}
                    }
                }
            }
        }
    }
    for one in &mut out {
        one.starts = Some(started.contains(&one.name));
    }
    (out, sources)
}

fn third(line: &str) -> String {
    line.split_ascii_whitespace().nth(2).unwrap_or_default().to_owned()
}

/// A `.network` file of systemd-networkd.
#[must_use]
pub fn networkd(text: &str) -> Interface {
    let settings = ini::parse(text);
    let values = |section: &str, key: &str| -> Vec<String> {
        let of = settings.iter().filter(|one| one.section == section && one.key == key).map(|one| one.value.clone());
        // An empty value forgets those before it.
        of.fold(Vec::new(), |mut all, value| {
            if value.is_empty() {
                all.clear()
            } else {
                all.push(value)
            }
            all
        })
    };
    let last = |section: &str, key: &str| values(section, key).pop();
    let dhcp = last("Network", "DHCP").map(|value| value.to_ascii_lowercase());
    let is = |family: &str| dhcp.as_deref().map(|value| matches!(value, "yes" | "true" | "on" | "1" | "both") || value == family);
    let mut addresses = values("Network", "Address");
    addresses.extend(values("Address", "Address"));
    let mut gateways = values("Network", "Gateway");
    gateways.extend(values("Route", "Gateway"));
    Interface {
        name: last("Match", "Name").unwrap_or_default(),
        kind: last("Match", "Type")
            .map_or_else(|| "ethernet".to_owned(), |kind| if kind == "ether" { "ethernet".to_owned() } else { kind }),
        mac: last("Match", "MACAddress").or_else(|| last("Match", "PermanentMACAddress")),
        driver: last("Match", "Driver"),
        dhcp4: is("ipv4"),
        dhcp6: is("ipv6"),
        addresses,
        gateways,
        starts: None,
        unmanaged: last("Link", "Unmanaged").is_some_and(|value| matches!(value.as_str(), "yes" | "true" | "1" | "on")),
        uuid: None,
        renamed_to: None,
    }
}

/// A `.link` file of udev: the name that it gives, and to what.
#[must_use]
pub fn link(text: &str) -> Interface {
    let settings = ini::parse(text);
    let value =
        |section: &str, key: &str| settings.iter().rev().find(|one| one.section == section && one.key == key).map(|one| one.value.clone());
    Interface {
        name: value("Match", "OriginalName").unwrap_or_default(),
        kind: "link".to_owned(),
        mac: value("Match", "MACAddress").or_else(|| value("Match", "PermanentMACAddress")),
        driver: value("Match", "Driver"),
        renamed_to: value("Link", "Name"),
        ..Interface::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    #[test]
    fn netplan_documents() {
        let text = "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      dhcp4-overrides: {route-metric: 100}\n      match: {macaddress: 00:0d:3a:12:34:56}\n      set-name: eth0\n\
                    \x20   ens160:\n      addresses: [10.0.0.5/24, {'10.0.0.6/24': {label: x}}]\n      routes: [{to: default, via: 10.0.0.1}]\n      gateway4: 10.0.0.254\n  wifis:\n    w:\n      access-points: {x: {password: secret}}\n";
        let found = netplan(&yaml::parse(text).unwrap());
        assert_eq!((found[0].name.as_str(), found[0].dhcp4, found[0].mac.as_deref()), ("eth0", Some(true), Some("00:0d:3a:12:34:56")));
        assert_eq!(found[0].renamed_to.as_deref(), Some("eth0"));
        assert_eq!(found[1].addresses, ["10.0.0.5/24", "10.0.0.6/24"]);
        assert_eq!(found[1].gateways, ["10.0.0.254", "10.0.0.1"]);
        assert!(!format!("{found:?}").contains("secret"));
        assert_eq!(netplan(&yaml::parse("a: b").unwrap()), []);
        let text = "network:\n  ethernets:\n    primary: {match: {driver: hv_netvsc}, dhcp4: true}\n    hot: {match: {driver: hv_netvsc, name: '!eth0'}}\n";
        let names: Vec<String> = netplan(&yaml::parse(text).unwrap()).into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["", "!eth0"]);
    }

    #[test]
    fn ifcfg_files() {
        let one =
            ifcfg("eth0", "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=dhcp\nTYPE=Ethernet\nHWADDR=00:0D:3A:12:34:56\nNM_CONTROLLED=no\nUUID=u\n");
        assert_eq!((one.name.as_str(), one.dhcp4, one.starts, one.unmanaged), ("eth0", Some(true), Some(true), true));
        assert_eq!(one.mac.as_deref(), Some("00:0D:3A:12:34:56"));
        let suse = ifcfg("eth0", "BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='10.0.0.5/24'\nIPADDR_1=10.0.0.6\n");
        assert_eq!((suse.name.as_str(), suse.dhcp4, suse.starts), ("eth0", Some(false), Some(true)));
        assert_eq!(suse.addresses, ["10.0.0.5/24", "10.0.0.6"]);
    }

    #[test]
    fn keyfiles() {
        let one = keyfile(
            "[connection]\nid=x\nuuid=u\ntype=802-3-ethernet\ninterface-name=eth0\nautoconnect=false\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24,10.0.0.1\n[ipv6]\nmethod=auto\n[wifi-security]\npsk=secret\n",
        );
        assert_eq!(
            (one.name.as_str(), one.kind.as_str(), one.dhcp4, one.dhcp6, one.starts),
            ("eth0", "ethernet", Some(false), Some(true), Some(false))
        );
        assert_eq!((one.addresses.as_slice(), one.gateways.as_slice()), (&["10.0.0.5/24".to_owned()][..], &["10.0.0.1".to_owned()][..]));
    }

    #[test]
    fn ifupdown() {
        let (found, sources) = interfaces(
            "source /etc/network/interfaces.d/*\nauto lo eth0\niface lo inet loopback\niface eth0 inet static\n  address 10.0.0.5/24\n  gateway 10.0.0.1\n  hwaddress ether 00:01:02:03:04:05\n\
             iface eth0 inet6 auto\nallow-hotplug eth1\niface eth1 inet dhcp\niface eth2 \\\n inet dhcp\nsource-directory more\n",
        );
        assert_eq!(sources, ["/etc/network/interfaces.d/*", "more/*"]);
        let named = |name: &str| found.iter().find(|one| one.name == name).unwrap();
        assert_eq!((named("eth0").dhcp4, named("eth0").dhcp6, named("eth0").starts), (Some(false), Some(true), Some(true)));
        assert_eq!(named("eth0").addresses, ["10.0.0.5/24"]);
        assert_eq!(named("eth0").mac.as_deref(), Some("00:01:02:03:04:05"));
        assert_eq!((named("eth1").dhcp4, named("eth1").starts, named("eth2").starts), (Some(true), Some(true), Some(false)));
        assert_eq!(named("lo").kind, "loopback");
    }

    #[test]
    fn networkd_files() {
        let one = networkd(
            "[Match]\nName=eth* en*\nMACAddress=00:01\n[Network]\nDHCP=ipv4\nAddress=\nAddress=10.0.0.5/24\n[Route]\nGateway=10.0.0.1\n",
        );
        assert_eq!((one.name.as_str(), one.dhcp4, one.dhcp6), ("eth* en*", Some(true), Some(false)));
        assert_eq!((one.addresses.len(), one.gateways.len()), (1, 1));
        assert!(networkd("[Match]\nDriver=mlx5_core\n[Link]\nUnmanaged=yes\n").unmanaged);
        let one = link("[Match]\nMACAddress=00:01\n[Link]\nName=lan0\n");
        assert_eq!((one.mac.as_deref(), one.renamed_to.as_deref()), (Some("00:01"), Some("lan0")));
    }
}
