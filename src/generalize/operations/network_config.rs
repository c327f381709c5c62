//! Network configuration that fits this machine only: LG-09.

use super::network_files::{DIALECTS, Dialect, is_freed};
use super::paths::{decisive, reason, remove_files};
use crate::facts::InterfaceFacts;
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};
use crate::guest::linux::yaml;
use crate::rules::Skip;
use crate::rules::template::{Template, gives_an_address, is_rendered};
use std::collections::BTreeMap;

pub(super) static NETWORK_CONFIG: Operation = Operation {
    name: "network-config",
    requirement: "LG-09",
    summary: "free the network's configuration from this machine's hardware addresses",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/netplan/50-cloud-init.yaml", NETPLAN),
            ("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nHWADDR=00:0d:3a:11:22:33\nONBOOT=yes\n"),
        ],
        after: &[
            ("/etc/netplan/50-cloud-init.yaml", Some("network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n")),
            ("/etc/sysconfig/network-scripts/ifcfg-eth0", Some("DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n")),
        ],
    },
};

/// As cloud-init writes it.
const NETPLAN: &str = "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match:\n        macaddress: \"00:0d:3a:11:22:33\"\n      set-name: eth0\n";

/// What cloud-init renders, and what `cloud-init clean --configs network` removes.
const RENDERED: [&str; 6] = [
    "/etc/netplan/50-cloud-init*.yaml",
    "/etc/NetworkManager/conf.d/99-cloud-init.conf",
    "/etc/NetworkManager/conf.d/30-cloud-init-ip6-addr-gen-mode.conf",
    "/etc/NetworkManager/system-connections/cloud-init-*",
    "/etc/systemd/network/10-cloud-init-*",
    "/etc/network/interfaces.d/50-cloud-init*",
];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let template = Template::new(system.os, system.linux);
    // Where that is not decided, nothing is removed: what gives eth0 its address stays where nobody writes it anew.
    let installers = template.installers().unwrap_or_default();
    let (netplan, cloud): (Vec<&str>, Vec<&str>) = installers.into_iter().partition(|path| path.starts_with("/etc/netplan/"));
    for path in cloud {
        draft.remove(path, "with it the installer keeps cloud-init away from the network, or from Azure")?;
    }
    let rewritten = template.is_network_rewritten().unwrap_or(false) && !is_forbidden(draft)?;
    if rewritten {
        remove_files(system, draft, &RENDERED, "cloud-init wrote it for this machine, and writes it anew on every other")?;
        remove_files(system, draft, &netplan, "the installer wrote it for this machine, and cloud-init writes the network on every other")?;
    }
    let mut problems = Vec::new();
    for dialect in DIALECTS {
        let interfaces = decisive((dialect.facts)(&system.linux.network))?.map(Vec::as_slice).unwrap_or_default();
        let mut files: BTreeMap<&str, Vec<&InterfaceFacts>> = BTreeMap::new();
        for one in interfaces.iter().filter(|one| one.path.starts_with("/etc/")) {
            files.entry(&one.path).or_default().push(one);
        }
        for (path, interfaces) in files {
            if draft.exists(path)? {
                free(draft, dialect, path, &interfaces, &mut problems)?;
            }
        }
    }
    for (message, remedy) in problems {
        draft.problem(message, vec![remedy]);
    }
    fixed(draft, &template, rewritten)
}

/// Whether a file that is still there keeps cloud-init away from the network; one that is not understood may.
fn is_forbidden(draft: &Draft<'_>) -> Result<bool, Error> {
    let mut paths = draft.glob("/etc/cloud/cloud.cfg.d/*.cfg")?;
    paths.push("/etc/cloud/cloud.cfg".to_owned());
    for path in paths {
        let Some(text) = draft.text(&path)? else { continue };
        let Ok(document) = yaml::parse(&text) else { return Ok(true) };
        if document.at(&["network", "config"]).and_then(yaml::Value::as_str) == Some("disabled") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes hardware addresses out of a file.
fn free(
    draft: &mut Draft<'_>,
    dialect: &Dialect,
    path: &str,
    interfaces: &[&InterfaceFacts],
    problems: &mut Vec<(String, String)>,
) -> Result<(), Error> {
    const WHY: &str = "it would configure only the network adapter of this machine, by its hardware address";
    let Some(before) = draft.read(path)? else { return Ok(()) };
    let after = (dialect.edit)(&before);
    let bound = interfaces.iter().find_map(|one| one.mac.as_deref());
    if after != before && is_freed(dialect, path, &before, &after) {
        draft.rewrite(path, after, WHY)?;
    } else if let Some(mac) = bound {
        if is_rendered(path) && !interfaces.iter().any(|one| gives_an_address(one)) {
            // It was cloud-init's, and gives no other machine an address.
            draft.remove(path, WHY)?;
        } else {
            problems.push((
                format!("{path} is for the network adapter with the hardware address {mac} only"),
                format!("Take the hardware address out of {path}, so that it is for eth0"),
            ));
        }
    }
    Ok(())
}

/// Addresses that only this machine may have.
fn fixed(draft: &mut Draft<'_>, template: &Template<'_>, rewritten: bool) -> Result<(), Error> {
    let entries = match template.static_entries() {
        Ok(entries) => entries,
        Err(Skip::NotApplicable(_)) => return Ok(()),
        Err(skip) => {
            let message = format!("whether eth0 has an address of its own could not be told: {}", reason(skip));
            draft.remains(message, vec!["See that eth0 takes its address from DHCP".to_owned()]);
            return Ok(());
        }
    };
    for one in entries {
        if !draft.exists(&one.path)? || (rewritten && is_rendered(&one.path)) {
            continue;
        }
        draft.problem(
            format!(
                "{} gives {} the address {}, which every machine made from the template would take",
                one.path,
                if one.name.is_empty() { "every interface" } else { &one.name },
                one.addresses.join(", ")
            ),
            vec![format!("Have {} use DHCP, without addresses and gateways", one.path)],
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exists, planned, text};
    use super::*;

    const CLOUD_INIT: [(&str, &str); 13] = [
        ("/usr/lib/systemd/systemd", "x"),
        ("/sbin/init", "-> ../usr/lib/systemd/systemd"),
        ("/usr/bin/cloud-init", "#!/usr/bin/python3\n"),
        ("/etc/cloud/cloud.cfg", "system_info:\n  distro: ubuntu\n"),
        ("/etc/machine-id", "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n"),
        ("/usr/lib/systemd/system/cloud-init-local.service", UNIT),
        ("/usr/lib/systemd/system/cloud-init.service", UNIT),
        ("/usr/lib/systemd/system/cloud-config.service", UNIT),
        ("/usr/lib/systemd/system/cloud-final.service", UNIT),
        ("/etc/systemd/system/multi-user.target.wants/cloud-init-local.service", "-> /usr/lib/systemd/system/cloud-init-local.service"),
        ("/etc/systemd/system/multi-user.target.wants/cloud-init.service", "-> /usr/lib/systemd/system/cloud-init.service"),
        ("/etc/systemd/system/multi-user.target.wants/cloud-config.service", "-> /usr/lib/systemd/system/cloud-config.service"),
        ("/etc/systemd/system/multi-user.target.wants/cloud-final.service", "-> /usr/lib/systemd/system/cloud-final.service"),
    ];
    const UNIT: &str = "[Install]\nWantedBy=multi-user.target\n";

    fn with_cloud_init<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        CLOUD_INIT.iter().copied().chain(more.iter().copied()).collect()
    }

    #[test]
    fn what_cloud_init_writes_anew_goes() {
        let files = with_cloud_init(&[
            ("/etc/netplan/50-cloud-init.yaml", NETPLAN),
            ("/etc/NetworkManager/conf.d/99-cloud-init.conf", "[main]\ndns=none\n"),
            ("/etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection", "[connection]\ntype=ethernet\n"),
            ("/etc/systemd/network/10-cloud-init-eth0.network", "[Match]\nMACAddress=00:0d:3a:11:22:33\n"),
            ("/etc/network/interfaces.d/50-cloud-init.cfg", "iface eth0 inet static\n address 10.0.0.5/24\n"),
        ]);
        let planned = planned(&NETWORK_CONFIG, &files);
        assert_eq!((planned.unlinks.len(), planned.problems.len()), (5, 0), "{planned:#?}");
    }

    #[test]
    fn what_nobody_writes_anew_stays() {
        let forbidden = with_cloud_init(&[
            ("/etc/cloud/cloud.cfg.d/99-mine.cfg", "network: {config: disabled}\n"),
            ("/etc/netplan/50-cloud-init.yaml", NETPLAN),
        ]);
        assert!(!text(&NETWORK_CONFIG, &forbidden, "/etc/netplan/50-cloud-init.yaml").unwrap().contains("macaddress"));
        const FORBIDS: (&str, &str) =
            ("/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg", "network: {config: disabled}\n");
        let installed = ("/etc/netplan/00-installer-config.yaml", "network:\n  ethernets:\n    eth0: {dhcp4: true}\n");
        let by_installer = with_cloud_init(&[FORBIDS, ("/etc/netplan/50-cloud-init.yaml", NETPLAN), installed]);
        for path in [FORBIDS.0, "/etc/netplan/50-cloud-init.yaml", installed.0] {
            assert!(!exists(&NETWORK_CONFIG, &by_installer, path), "{path}");
        }
        let by_both = with_cloud_init(&[FORBIDS, installed, ("/etc/cloud/cloud.cfg.d/99-mine.cfg", "network: {config: disabled}\n")]);
        assert!(exists(&NETWORK_CONFIG, &by_both, installed.0) && !exists(&NETWORK_CONFIG, &by_both, FORBIDS.0));
    }

    #[test]
    fn addresses_of_one_machine_are_somebody_s_to_decide() {
        let start = [("/usr/lib/systemd/systemd", "x"), ("/sbin/init", "-> ../usr/lib/systemd/systemd"), ("/etc/machine-id", "")];
        let of = |more: &[(&'static str, &'static str)]| {
            planned(&NETWORK_CONFIG, &start.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>())
        };
        let fixed = of(&[("/etc/netplan/a.yaml", "network:\n  ethernets:\n    eth0:\n      addresses: [10.0.0.5/24]\n")]);
        assert_eq!((fixed.changes.len(), fixed.problems.len()), (0, 1), "{fixed:#?}");
        assert!(fixed.problems[0].message.contains("10.0.0.5/24"));
        let dhcp = of(&[("/etc/netplan/a.yaml", "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n")]);
        assert_eq!((dhcp.changes.len(), dhcp.problems.len()), (0, 0));
        let renamed = of(&[(
            "/etc/netplan/a.yaml",
            "network: {ethernets: {lan: {dhcp4: true, match: {macaddress: '00:0d:3a:11:22:33'}, set-name: eth0}}}\n",
        )]);
        assert_eq!((renamed.changes.len(), renamed.problems.len()), (0, 1), "{renamed:#?}");
    }

    #[test]
    fn a_file_that_is_not_understood_ends_it() {
        let tree = crate::fs::testing::tree(&[("/etc/netplan/a.yaml", "a: [b")]);
        assert!(super::super::testing::with(&NETWORK_CONFIG, &tree, |_| ()).is_err());
    }
}
