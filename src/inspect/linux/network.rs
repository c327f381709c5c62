//! Network configuration, in every dialect that is there.

use super::mounts::optional;
use crate::facts::{Fact, InterfaceFacts, NetworkFacts, SettingFacts, UdevRuleFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::network::{self as files, Interface};
use crate::guest::linux::{identity, ini, yaml};
use std::collections::BTreeMap;

/// Files of one dialect at most.
const MAX_FILES: usize = 1024;
/// Rules that concern Azure's disks and NICs, by file name: those of the Azure Linux agent, of azure-vm-utils and of distributions.
const AZURE_RULES: [&str; 9] = [
    "66-azure-storage.rules",
    "99-azure-product-uuid.rules",
    "80-azure-disk.rules",
    "68-azure-sriov-nm-unmanaged.rules",
    "68-azure-nic-unmanaged.rules",
    "10-azure-unmanaged-sriov.rules",
    "99-azure-unmanaged-sriov.rules",
    "50-azure-unmanaged-devices.rules",
    "10-azure-kvp.rules",
];

/// Learns `network`.
pub(super) fn network(tree: &Tree) -> NetworkFacts {
    NetworkFacts {
        netplan: listed(netplan(tree)),
        ifcfg: listed(ifcfg(tree)),
        network_manager: listed(keyfiles(tree)),
        ifupdown: listed(ifupdown(tree)),
        networkd: listed(by_name(
            tree,
            &["/usr/lib/systemd/network", "/lib/systemd/network", "/etc/systemd/network"],
            ".network",
            files::networkd,
        )),
        links: listed(by_name(tree, &["/etc/systemd/network"], ".link", files::link)),
        udev_rules: udev_rules(tree).into(),
        unmanaged_devices: unmanaged_devices(tree).into(),
        dhcp_sets_host_name: optional(
            tree.text("/etc/sysconfig/network/dhcp").map(|text| text.and_then(|text| identity::assignment(&text, "DHCLIENT_SET_HOSTNAME"))),
        ),
    }
}

fn listed(found: Result<Vec<InterfaceFacts>, String>) -> Fact<Vec<InterfaceFacts>> {
    match found {
        Ok(list) if list.is_empty() => Fact::Absent,
        Ok(list) => Fact::Known(list),
        Err(reason) => Fact::unknown(reason),
    }
}

fn said(error: Error) -> String {
    error.to_string()
}

fn facts(path: &str, one: Interface) -> InterfaceFacts {
    InterfaceFacts {
        path: path.to_owned(),
        name: one.name,
        kind: one.kind,
        mac: one.mac,
        driver: one.driver,
        dhcp4: one.dhcp4,
        dhcp6: one.dhcp6,
        addresses: one.addresses,
        gateways: one.gateways,
        starts: one.starts,
        unmanaged: one.unmanaged,
        uuid: one.uuid,
        renamed_to: one.renamed_to,
    }
}

/// Files that match, each with its text.
fn texts(tree: &Tree, pattern: &str) -> Result<Vec<(String, String)>, String> {
    let mut paths = tree.glob(pattern).map_err(said)?;
    if paths.len() > MAX_FILES {
        return Err(format!("more than {MAX_FILES} files match {pattern}"));
    }
    paths.sort();
    let mut out = Vec::new();
    for path in paths {
        if let Some(text) = tree.text(&path).map_err(said)? {
            out.push((path, text));
        }
    }
    Ok(out)
}

fn netplan(tree: &Tree) -> Result<Vec<InterfaceFacts>, String> {
    let mut out = Vec::new();
    for pattern in ["/usr/lib/netplan/*.yaml", "/lib/netplan/*.yaml", "/etc/netplan/*.yaml"] {
        for (path, text) in texts(tree, pattern)? {
            let document = yaml::parse(&text).map_err(|error| format!("{path}: {error}"))?;
            out.extend(files::netplan(&document).into_iter().map(|one| facts(&path, one)));
        }
    }
    out.dedup();
    Ok(out)
}

fn ifcfg(tree: &Tree) -> Result<Vec<InterfaceFacts>, String> {
    let mut out = Vec::new();
    for pattern in ["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"] {
        for (path, text) in texts(tree, pattern)? {
            let name = path.rsplit_once("/ifcfg-").map_or("", |(_, name)| name);
            // Backups and SUSE's template are no interfaces.
            if !["~", ".bak", ".orig", ".rpmsave", ".rpmnew", ".template"].iter().any(|end| name.ends_with(end)) {
                out.push(facts(&path, files::ifcfg(name, &text)));
            }
        }
    }
    Ok(out)
}

fn keyfiles(tree: &Tree) -> Result<Vec<InterfaceFacts>, String> {
    let mut out = Vec::new();
    for pattern in ["/usr/lib/NetworkManager/system-connections/*", "/etc/NetworkManager/system-connections/*"] {
        out.extend(texts(tree, pattern)?.into_iter().map(|(path, text)| facts(&path, files::keyfile(&text))));
    }
    Ok(out)
}

/// `/etc/network/interfaces`, and what it reads, each file once.
fn ifupdown(tree: &Tree) -> Result<Vec<InterfaceFacts>, String> {
    let mut todo = vec!["/etc/network/interfaces".to_owned()];
    let (mut seen, mut out): (Vec<String>, Vec<InterfaceFacts>) = (Vec::new(), Vec::new());
    while let Some(path) = todo.pop() {
        if seen.contains(&path) {
            continue;
        }
        if seen.len() >= MAX_FILES {
            return Err(format!("/etc/network/interfaces reads more than {MAX_FILES} files"));
        }
        seen.push(path.clone());
        let Some(text) = tree.text(&path).map_err(said)? else { continue };
        let (found, sources) = files::interfaces(&text);
        out.extend(found.into_iter().map(|one| facts(&path, one)));
        for source in sources {
            let pattern = if source.starts_with('/') { source } else { format!("/etc/network/{source}") };
            todo.extend(tree.glob(&pattern).map_err(said)?);
        }
    }
    out.sort_by(|a, b| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    Ok(out)
}

/// Files of systemd by name: one under `/etc` hides one of the same name below `/usr/lib`, and an empty one switches it off.
fn by_name(tree: &Tree, directories: &[&str], end: &str, parse: fn(&str) -> Interface) -> Result<Vec<InterfaceFacts>, String> {
    let mut last: BTreeMap<String, (String, String)> = BTreeMap::new();
    for directory in directories {
        for (path, text) in texts(tree, &format!("{directory}/*{end}"))? {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            last.insert(name, (path, text));
        }
    }
    Ok(last.into_values().filter(|(_, text)| !text.trim().is_empty()).map(|(path, text)| facts(&path, parse(&text))).collect())
}

fn udev_rules(tree: &Tree) -> Result<Vec<UdevRuleFacts>, Error> {
    let mut out = Vec::new();
    for directory in ["/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"] {
        for name in tree.names(directory)? {
            let path = format!("{directory}/{name}");
            let azure = AZURE_RULES.contains(&name.as_str()) || (name.ends_with(".rules") && name.contains("azure"));
            let purpose = match name.as_str() {
                "75-persistent-net-generator.rules" => "name-generator",
                _ if name.ends_with(".rules") && name.contains("persistent-net") => "persistent-names",
                _ if azure => "azure",
                _ => continue,
            };
            // `/lib` leads to `/usr/lib` on most systems of today.
            if tree.find(directory)?.is_some_and(|found| found.path() != directory) {
                continue;
            }
            let away = tree.target(&path)?.is_some_and(|target| target == "/dev/null");
            let text = if away { None } else { tree.text(&path)? };
            let text = text.unwrap_or_default();
            let gives = |line: &&str| !line.trim_start().starts_with('#') && line.contains("\"net\"") && line.contains("NAME=");
            out.push(UdevRuleFacts {
                path,
                purpose: purpose.to_owned(),
                masked: text.trim().is_empty(),
                names: text.lines().filter(gives).count(),
            });
        }
    }
    Ok(out)
}

fn unmanaged_devices(tree: &Tree) -> Result<Vec<SettingFacts>, Error> {
    let mut out = Vec::new();
    for pattern in ["/etc/NetworkManager/NetworkManager.conf", "/usr/lib/NetworkManager/conf.d/*.conf", "/etc/NetworkManager/conf.d/*.conf"]
    {
        for path in tree.glob(pattern)? {
            let text = tree.text(&path)?.unwrap_or_default();
            let set = ini::parse(&text).into_iter().filter(|one| one.key == "unmanaged-devices" || one.key == "managed");
            out.extend(set.map(|one| SettingFacts { path: path.clone(), line: one.line, value: format!("{}={}", one.key, one.value) }));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn all_dialects() {
        let facts = network(&tree(&[
            ("/etc/netplan/50-cloud-init.yaml", "network: {ethernets: {eth0: {dhcp4: true, match: {macaddress: '00:0d:3a:00:00:01'}}}}"),
            ("/etc/sysconfig/network-scripts/ifcfg-eth0", "BOOTPROTO=dhcp\n"),
            ("/etc/sysconfig/network-scripts/ifcfg-eth0.bak", "BOOTPROTO=none\n"),
            (
                "/etc/NetworkManager/system-connections/a.nmconnection",
                "[connection]\ninterface-name=ens3\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\n",
            ),
            (
                "/etc/NetworkManager/conf.d/99-azure-unmanaged-devices.conf",
                "[keyfile]\nunmanaged-devices=driver:mlx4_core;driver:mlx5_core\n",
            ),
            ("/etc/network/interfaces", "source interfaces.d/*\nsource interfaces\nauto lo\niface lo inet loopback\n"),
            ("/etc/network/interfaces.d/eth0", "auto eth0\niface eth0 inet dhcp\n"),
            ("/usr/lib/systemd/network/80-a.network", "[Match]\nName=a\n"),
            ("/usr/lib/systemd/network/90-b.network", "[Match]\nName=b\n"),
            ("/etc/systemd/network/80-a.network", ""),
            ("/etc/udev/rules.d/70-persistent-net.rules", "SUBSYSTEM==\"net\", ATTR{address}==\"00:0d\", NAME=\"eth0\"\n"),
            ("/etc/udev/rules.d/75-persistent-net-generator.rules", "-> /dev/null"),
            ("/usr/lib/udev/rules.d/66-azure-storage.rules", "x"),
            ("/lib", "-> usr/lib"),
            ("/etc/sysconfig/network/dhcp", "DHCLIENT_SET_HOSTNAME=\"no\"\n"),
        ]));
        let names =
            |fact: &Fact<Vec<InterfaceFacts>>| -> Vec<String> { fact.value().unwrap().iter().map(|one| one.name.clone()).collect() };
        assert_eq!(names(&facts.netplan), ["eth0"]);
        assert_eq!(names(&facts.ifcfg), ["eth0"]);
        assert_eq!(names(&facts.network_manager), ["ens3"]);
        assert_eq!(names(&facts.ifupdown), ["lo", "eth0"]);
        assert_eq!(names(&facts.networkd), ["b"]);
        assert_eq!(facts.links, Fact::Absent);
        let rules: Vec<_> = facts.udev_rules.value().unwrap().iter().map(|rule| (rule.purpose.as_str(), rule.masked, rule.names)).collect();
        assert_eq!(rules, [("persistent-names", false, 1), ("name-generator", true, 0), ("azure", false, 0)]);
        assert_eq!(facts.unmanaged_devices.value().unwrap()[0].value, "unmanaged-devices=driver:mlx4_core;driver:mlx5_core");
        assert_eq!(facts.dhcp_sets_host_name, Fact::Known("no".to_owned()));
    }

    #[test]
    fn one_bad_file_leaves_the_other_dialects_known() {
        let facts = network(&tree(&[("/etc/netplan/a.yaml", "a: [b"), ("/etc/network/interfaces", "iface eth0 inet dhcp\n")]));
        assert!(facts.netplan.reason().unwrap().starts_with("/etc/netplan/a.yaml: "));
        assert!(facts.ifupdown.value().is_some());
        assert_eq!(facts.ifcfg, Fact::Absent);
    }
}
