//! Machines of several distributions, each with all that it leaves behind: after the operations the rules for templates have nothing to say.

use super::super::{Planned, System, Wishes, plan};
use crate::facts::{Fact, Role, State};
use crate::fs::testing::{Item, MemoryFileSystem, tree};
use crate::fs::{NodeId, Tree};
use crate::inspect::of_tree;
use crate::rules::testing::healthy_os;
use crate::rules::{Skip, Subject, Target, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rules that the operations here are for.
const CODES: [&str; 15] = [
    "LGN003", "LGN103", "LGN203", "LGN006", "LGN106", "LGN007", "LGN107", "LGN009", "LGN109", "LGN010", "LGN012", "LGN112", "LNX042",
    "LNX141", "LNX142",
];

type Files = Vec<(String, String)>;

const ID: &str = "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n";

/// What every machine leaves.
fn any(more: &[(&str, &str)]) -> Files {
    let mut files = vec![
        ("/usr/sbin/sshd", "x"),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("/etc/shadow", "root:*:20000:0:99999:7:::\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 web-01.corp.example web-01\n10.0.0.4 web-01\n10.0.0.9 db\n"),
        ("/etc/ssh/ssh_host_ed25519_key", "PRIVATE"),
        ("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA"),
        ("/etc/resolv.conf", "nameserver 10.0.0.2\n"),
        ("/var/log/wtmp", "x"),
        ("/var/log/azure/agent.log", "x"),
        ("/var/log/waagent.log", "x"),
        ("/var/log/messages", "x"),
        ("/var/log/messages-20240101", "x"),
        ("/tmp/x", "y"),
    ];
    files.extend(more);
    files.into_iter().map(|(path, content)| (path.to_owned(), content.to_owned())).collect()
}

/// The same with systemd.
fn with_systemd(more: &[(&str, &str)]) -> Files {
    let mut files = any(&[
        ("/usr/lib/systemd/systemd", "x"),
        ("/sbin/init", "-> ../usr/lib/systemd/systemd"),
        ("/etc/hostname", "web-01\n"),
        ("/var/lib/systemd/random-seed", "x"),
        ("/var/lib/systemd/credential.secret", "x"),
        ("/var/log/journal/8f3c1d2e4b5a69788796a5b4c3d2e1f0/system.journal", "x"),
    ]);
    files.extend(more.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())));
    files
}

/// Units that are wanted by the machine's own target.
fn enabled(mut files: Files, units: &[&str]) -> Files {
    for unit in units {
        let path = format!("/usr/lib/systemd/system/{unit}");
        files.push((format!("/etc/systemd/system/multi-user.target.wants/{unit}"), format!("-> {path}")));
        files.push((path, "[Service]\nExecStart=/bin/x\n[Install]\nWantedBy=multi-user.target\n".to_owned()));
    }
    files
}

fn ubuntu() -> Files {
    let files = with_systemd(&[
        ("/etc/os-release", "ID=ubuntu\nVERSION_ID=\"22.04\"\n"),
        ("/etc/machine-id", ID),
        ("/var/lib/dbus/machine-id", "-> /etc/machine-id"),
        ("/usr/bin/cloud-init", "#!/usr/bin/python3\n"),
        ("/etc/cloud/cloud.cfg", "preserve_hostname: true\n"),
        ("/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg", "network: {config: disabled}\n"),
        (
            "/etc/netplan/50-cloud-init.yaml",
            "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n      match: {macaddress: '00:0d:3a:11:22:33'}\n      set-name: eth0\n",
        ),
        ("/var/lib/dhcp/dhclient.eth0.leases", "lease {\n}\n"),
        ("/var/log/cloud-init.log", "x"),
    ]);
    enabled(
        files,
        &["cloud-init-local.service", "cloud-init.service", "cloud-config.service", "cloud-final.service", "systemd-networkd.service"],
    )
}

fn debian() -> Files {
    let files = with_systemd(&[
        ("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
        ("/etc/machine-id", ID),
        ("/var/lib/dbus/machine-id", "0f3c1d2e4b5a69788796a5b4c3d2e1f0\n"),
        ("/usr/sbin/waagent", "#!/usr/bin/python3\n"),
        ("/etc/waagent.conf", "Provisioning.Agent=auto\nProvisioning.RegenerateSshHostKeyPair=n\n"),
        ("/etc/network/interfaces", "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n  hwaddress ether 00:0d:3a:11:22:33\n"),
        ("/var/lib/dhcp/dhclient.eth0.leases", "lease {\n}\n"),
        ("/etc/udev/rules.d/70-persistent-net.rules", "SUBSYSTEM==\"net\", ATTR{address}==\"00:0d\", NAME=\"eth0\"\n"),
    ]);
    enabled(files, &["walinuxagent.service", "networking.service"])
}

fn red_hat() -> Files {
    let files = with_systemd(&[
        ("/etc/os-release", "ID=\"rhel\"\nVERSION_ID=\"8.10\"\n"),
        ("/etc/fedora-release", "x"),
        ("/usr/sbin/waagent", "#!/usr/bin/python3\n"),
        ("/etc/waagent.conf", "Provisioning.Agent=auto\nProvisioning.RegenerateSshHostKeyPair=y\n"),
        ("/usr/lib/systemd/system/sshd-keygen@.service", "[Service]\n"),
        ("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\nTYPE=Ethernet\nHWADDR=00:0D:3A:11:22:33\n"),
        ("/var/lib/NetworkManager/internal-5fb0-eth0.lease", "x"),
        ("/var/lib/NetworkManager/secret_key", "x"),
        ("/etc/udev/rules.d/70-persistent-net.rules", "SUBSYSTEM==\"net\", ATTR{address}==\"00:0d\", NAME=\"eth0\"\n"),
        ("/usr/lib/udev/rules.d/75-persistent-net-generator.rules", "x\n"),
        ("/etc/lvm/devices/system.devices", "x"),
    ]);
    enabled(files, &["waagent.service", "NetworkManager.service"])
}

fn suse() -> Files {
    let files = with_systemd(&[
        ("/etc/os-release", "ID=\"sles\"\nVERSION_ID=\"15.5\"\n"),
        ("/etc/machine-id", ID),
        ("/etc/HOSTNAME", "-> hostname"),
        ("/usr/sbin/waagent", "#!/usr/bin/python3\n"),
        ("/etc/waagent.conf", "Provisioning.Agent=auto\nProvisioning.RegenerateSshHostKeyPair=y\n"),
        ("/usr/sbin/sshd-gen-keys-start", "x"),
        ("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"),
        ("/etc/sysconfig/network/dhcp", "DHCLIENT_HOSTNAME_OPTION=\"web-01\"\n"),
        ("/var/lib/wicked/lease-eth0-dhcp-ipv4.xml", "x"),
        ("/etc/systemd/network/10-lan.link", "[Match]\nMACAddress=00:0d:3a:11:22:33\n[Link]\nName=eth0\n"),
    ]);
    enabled(files, &["waagent.service", "wicked.service"])
}

fn alpine() -> Files {
    any(&[
        ("/etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n"),
        ("/etc/alpine-release", "3.20.1\n"),
        ("/sbin/openrc", "x"),
        ("/etc/init.d/sshd", "#!/sbin/openrc-run\n"),
        ("/etc/init.d/networking", "#!/sbin/openrc-run\n"),
        ("/etc/runlevels/boot/networking", "-> /etc/init.d/networking"),
        ("/etc/runlevels/default/sshd", "-> /etc/init.d/sshd"),
        ("/etc/hostname", "web-01\n"),
        ("/etc/machine-id", ID),
        ("/var/lib/dbus/machine-id", "0f3c1d2e4b5a69788796a5b4c3d2e1f0\n"),
        ("/etc/network/interfaces", "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n"),
        ("/var/lib/dhcpcd/eth0.lease", "x"),
        ("/var/lib/seedrng/seed.credit", "x"),
    ])
}

/// The guest with the changes made.
fn after(files: &[(String, String)], planned: &Planned) -> Tree {
    let path = |names: &[Vec<u8>]| names.iter().map(|name| format!("/{}", String::from_utf8_lossy(name))).collect::<String>();
    let gone: BTreeSet<String> = planned.unlinks.iter().map(|one| path(&one.path)).collect();
    let mut fs = MemoryFileSystem::new(false);
    for (file, content) in files {
        for (end, _) in file.match_indices('/').skip(1) {
            if !gone.contains(&file[..end]) {
                fs.add(&file[..end], Item::Directory, 0o755, 0);
            }
        }
        if !gone.contains(file) {
            let item =
                content.strip_prefix("-> ").map_or_else(|| Item::File(content.as_bytes().to_vec()), |to| Item::Symlink(to.to_owned()));
            fs.add(file, item, 0o644, 0);
        }
    }
    for one in &planned.writes {
        fs.add(&path(&one.path), Item::File(one.content.clone()), 0o644, 0);
    }
    for one in &planned.creates {
        fs.add(&path(&one.path), Item::File(one.content.clone()), one.mode, 0);
    }
    Tree::new("memory", Arc::new(fs), NodeId(0))
}

/// What those rules say: the messages of each, or why it could not be decided.
fn findings(tree: &Tree) -> BTreeMap<&'static str, Vec<String>> {
    let mut facts = healthy_os();
    facts.os = Fact::Known(of_tree(tree));
    let subject = Subject { facts: &facts, role: Fact::Known(Role::Os), lun: None, in_image: false };
    let target = Target { state: Some(State::Generalized), ..Target::default() };
    let outcomes = judge(&[subject], &target, &[]);
    let mut out: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for found in outcomes.findings.iter().filter(|found| CODES.contains(&found.rule.code)) {
        out.entry(found.rule.code).or_default().push(found.finding.message.clone());
    }
    for outcome in outcomes.outcomes.iter().filter(|outcome| CODES.contains(&outcome.rule.code)) {
        if let Err(Skip::Undecided(reason)) = &outcome.result {
            out.entry(outcome.rule.code).or_default().push(format!("undecided: {reason}"));
        }
    }
    out
}

fn planned(tree: &Tree) -> Planned {
    let os = of_tree(tree);
    let wishes = Wishes::default();
    plan(&System::new(tree, &os, &wishes).unwrap()).unwrap()
}

#[test]
fn rules_for_templates_have_nothing_to_say_afterwards() {
    let mut before = BTreeSet::new();
    for (name, files) in [("ubuntu", ubuntu()), ("debian", debian()), ("red hat", red_hat()), ("suse", suse()), ("alpine", alpine())] {
        let guest = tree(&files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect::<Vec<_>>());
        before.extend(findings(&guest).into_keys());
        let first = planned(&guest);
        assert_eq!(first.problems, [], "{name}");
        let made = after(&files, &first);
        assert_eq!(findings(&made), BTreeMap::new(), "{name}");
        assert_eq!(planned(&made).changes, [], "{name}: a second time");
        for kept in ["/var/log", "/var/log/azure", "/tmp", "/var/log/messages", "/etc/hosts"] {
            assert!(made.exists(kept).unwrap(), "{name}: {kept}");
        }
        assert!(made.text("/etc/hosts").unwrap().unwrap().contains("10.0.0.9 db"), "{name}");
    }
    // Keys that are there hide that none would be made.
    let silent: Vec<&str> = CODES.into_iter().filter(|code| !before.contains(code)).collect();
    assert_eq!(silent, ["LGN203"], "rules that had nothing to say before");
}
