//! What starts by itself, whoever starts it.

use super::first_of;
use super::units::Units;
use crate::facts::{Fact, ServicesFacts, UnitFacts, UnitState};
use crate::fs::{Error, NodeKind, Tree};

/// Units of interest, sorted: agents, SSH, network, time, firewalls, security, consoles, storage, tools of hypervisors. Other inits have
/// them under the same names without the suffix.
static OF_INTEREST: &[&str] = &[
    "NetworkManager-wait-online.service",
    "NetworkManager.service",
    "amazon-ssm-agent.service",
    "apparmor.service",
    "auditd.service",
    "azure-ephemeral-disk-setup.service",
    "azure-proxy-agent.service",
    "chrony.service",
    "chronyd.service",
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-hotplugd.socket",
    "cloud-init-local.service",
    "cloud-init-main.service",
    "cloud-init-network.service",
    "cloud-init.service",
    "cloud-init.target",
    "crond.service",
    "dhcpcd.service",
    "ec2-instance-connect.service",
    "firewalld.service",
    "getty@tty1.service",
    "google-guest-agent.service",
    "hv-fcopy-daemon.service",
    "hv-kvp-daemon.service",
    "hv-vss-daemon.service",
    "hv_fcopy_daemon.service",
    "hv_kvp_daemon.service",
    "hv_vss_daemon.service",
    "hypervfcopyd.service",
    "hypervkvpd.service",
    "hypervvssd.service",
    "ip6tables.service",
    "iptables.service",
    "iscsid.service",
    "kdump.service",
    "lvm2-monitor.service",
    "mdmonitor.service",
    "multipathd.service",
    "netfilter-persistent.service",
    "network.service",
    "networking.service",
    "nftables.service",
    "ntp.service",
    "ntpd.service",
    "open-vm-tools.service",
    "prltoolsd.service",
    "qemu-guest-agent.service",
    "rngd.service",
    "rsyslog.service",
    "selinux-autorelabel-mark.service",
    "serial-getty@ttyAMA0.service",
    "serial-getty@ttyS0.service",
    "spice-vdagentd.service",
    "ssh.service",
    "ssh.socket",
    "sshd-keygen.target",
    "sshd.service",
    "sshd.socket",
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "systemd-networkd-wait-online.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "tuned.service",
    "udev-postmount",
    "ufw.service",
    "vboxadd-service.service",
    "vboxadd.service",
    "vboxservice.service",
    "virtualbox-guest-utils.service",
    "vmtoolsd.service",
    "waagent.service",
    "walinuxagent.service",
    "wicked.service",
    "wickedd.service",
    "xe-daemon.service",
    "xe-linux-distribution.service",
];

const GENERATORS: &[&str] = &[
    "/etc/systemd/system-generators",
    "/usr/local/lib/systemd/system-generators",
    "/usr/lib/systemd/system-generators",
    "/lib/systemd/system-generators",
];

/// Learns what starts by itself; absent where nothing that starts services is found.
pub(super) fn services(tree: &Tree) -> Fact<ServicesFacts> {
    match init(tree).and_then(|init| init.map(|init| learn(tree, init)).transpose()) {
        Ok(found) => found.into(),
        Err(error) => Fact::unknown(error.to_string()),
    }
}

fn learn(tree: &Tree, init: &str) -> Result<ServicesFacts, Error> {
    let mut found =
        ServicesFacts { init: Fact::Known(init.to_owned()), cloud_init_generator: Fact::Known(false), ..ServicesFacts::default() };
    if init != "systemd" {
        let names = OF_INTEREST.iter().map(|name| name.strip_suffix(".service").unwrap_or(name));
        for name in names {
            found.units.extend(without_systemd(tree, init, name)?);
        }
        return Ok(found);
    }
    found.default_target = default_target(tree).map_or_else(|error| Fact::unknown(error.to_string()), Fact::from);
    found.cloud_init_generator = match first_of(tree, GENERATORS.iter().map(|directory| format!("{directory}/cloud-init-generator"))) {
        // One that leads to /dev/null is masked.
        Fact::Known(path) => tree.target(&path).map(|target| target.as_deref() != Some("/dev/null")).into(),
        Fact::Absent => Fact::Known(false),
        Fact::Unknown(reason) => Fact::Unknown(reason),
    };
    let units = Units::new(tree)?;
    for name in OF_INTEREST {
        match units.unit(name) {
            Some(unit) => found.units.push(unit),
            // systemd makes a unit of every script that has none.
            None => found.units.extend(name.strip_suffix(".service").map_or(Ok(None), |script| sysv(tree, script, name))?),
        }
    }
    Ok(found)
}

/// Who starts services.
fn init(tree: &Tree) -> Result<Option<&'static str>, Error> {
    let program = tree.find("/sbin/init")?.map(|found| found.path()).unwrap_or_default();
    let any = |paths: &[&str]| -> Result<bool, Error> {
        for path in paths {
            if tree.exists(path)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    Ok(if program.ends_with("/systemd") {
        Some("systemd")
    } else if program.contains("runit") {
        Some("runit")
    } else if any(&["/sbin/openrc", "/usr/bin/openrc", "/etc/runlevels"])? {
        Some("openrc")
    } else if !program.is_empty() && any(&["/sbin/initctl"])? && any(&["/etc/init"])? {
        Some("upstart")
    } else if any(&["/usr/lib/systemd/systemd", "/lib/systemd/systemd"])? {
        Some("systemd")
    } else if any(&["/etc/inittab", "/etc/rc.d/rc.sysinit"])? {
        Some("sysvinit")
    } else if any(&["/etc/systemd/system", "/usr/lib/systemd/system"])? {
        Some("systemd")
    } else {
        None
    })
}

/// Where `default.target` leads.
fn default_target(tree: &Tree) -> Result<Option<String>, Error> {
    for directory in super::distinct(tree, super::units::UNIT_DIRECTORIES)? {
        if let Some(target) = tree.target(&format!("{directory}/default.target"))? {
            return Ok(target.rsplit('/').next().map(str::to_owned));
        }
    }
    Ok(None)
}

fn unit(name: &str, state: UnitState, by: Option<String>, file: Option<String>) -> UnitFacts {
    UnitFacts { name: name.to_owned(), state: Fact::Known(state), by, file }
}

fn without_systemd(tree: &Tree, init: &str, name: &str) -> Result<Option<UnitFacts>, Error> {
    if init == "upstart" {
        let file = format!("/etc/init/{name}.conf");
        if tree.exists(&file)? {
            let says = tree.text(&format!("/etc/init/{name}.override"))?.unwrap_or_default();
            let state = if says.lines().any(|line| line.trim() == "manual") { UnitState::Disabled } else { UnitState::Enabled };
            return Ok(Some(unit(name, state, Some(file.clone()).filter(|_| state == UnitState::Enabled), Some(file))));
        }
    }
    if init == "openrc" {
        let file = format!("/etc/init.d/{name}");
        if !tree.exists(&file)? {
            return Ok(None);
        }
        let link = tree.glob(&format!("/etc/runlevels/*/{name}"))?.into_iter().next();
        let state = if link.is_some() { UnitState::Enabled } else { UnitState::Disabled };
        return Ok(Some(unit(name, state, link, Some(file))));
    }
    if init == "runit" {
        for (directory, state) in
            [("/etc/service", UnitState::Enabled), ("/var/service", UnitState::Enabled), ("/etc/sv", UnitState::Disabled)]
        {
            let path = format!("{directory}/{name}");
            if tree.exists(&path)? {
                return Ok(Some(unit(name, state, Some(path.clone()).filter(|_| state == UnitState::Enabled), Some(path))));
            }
        }
    }
    sysv(tree, name, name)
}

/// A script in `init.d`: enabled where a link of a runlevel with network starts it.
fn sysv(tree: &Tree, script: &str, name: &str) -> Result<Option<UnitFacts>, Error> {
    let file = format!("/etc/init.d/{script}");
    if tree.find(&file)?.is_none_or(|found| found.node.kind != NodeKind::File) {
        return Ok(None);
    }
    for level in ["3", "2", "5", "4", "S"] {
        for directory in [format!("/etc/rc{level}.d"), format!("/etc/rc.d/rc{level}.d")] {
            let starts = |link: &&String| {
                let mut letters = link.chars();
                letters.next() == Some('S') && letters.as_str().trim_start_matches(|digit: char| digit.is_ascii_digit()) == script
            };
            if let Some(link) = tree.names(&directory)?.iter().find(starts) {
                return Ok(Some(unit(name, UnitState::Enabled, Some(format!("{directory}/{link}")), Some(file))));
            }
        }
    }
    Ok(Some(unit(name, UnitState::Disabled, None, Some(file))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    fn learnt(files: &[(&str, &str)]) -> ServicesFacts {
        services(&tree(files)).value().unwrap().clone()
    }

    fn state(found: &ServicesFacts, name: &str) -> UnitState {
        *found.state(name).value().unwrap()
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(OF_INTEREST.is_sorted_by(|a, b| a < b), "{OF_INTEREST:?}");
    }

    #[test]
    fn systemd_is_read() {
        let found = learnt(&[
            ("/lib", "-> usr/lib"),
            ("/sbin/init", "-> /lib/systemd/systemd"),
            ("/usr/lib/systemd/systemd", "x"),
            ("/usr/lib/systemd/system/ssh.service", "[Install]\nWantedBy=multi-user.target\n"),
            ("/usr/lib/systemd/system/default.target", "-> graphical.target"),
            ("/etc/systemd/system/default.target", "-> /lib/systemd/system/multi-user.target"),
            ("/etc/systemd/system/multi-user.target.wants/ssh.service", "-> /lib/systemd/system/ssh.service"),
            ("/usr/lib/systemd/system-generators/cloud-init-generator", "x"),
            ("/etc/init.d/ntp", "#!/bin/sh\n"),
            ("/etc/rc3.d/S01ntp", "-> ../init.d/ntp"),
            ("/etc/init.d/waagent", "#!/bin/sh\n"),
        ]);
        assert_eq!(
            (&found.init, &found.default_target),
            (&Fact::Known("systemd".to_owned()), &Fact::Known("multi-user.target".to_owned()))
        );
        assert_eq!(found.cloud_init_generator, Fact::Known(true));
        assert_eq!(state(&found, "ssh.service"), UnitState::Enabled);
        assert_eq!(state(&found, "ntp.service"), UnitState::Enabled);
        assert_eq!(state(&found, "waagent.service"), UnitState::Disabled);
        assert_eq!(state(&found, "cloud-init.service"), UnitState::Missing);
        assert_eq!((found.starts("ssh.service"), found.starts("waagent.service")), (Fact::Known(true), Fact::Known(false)));
    }

    #[test]
    fn other_inits_are_read() {
        let found = learnt(&[
            ("/sbin/init", "-> /bin/busybox"),
            ("/bin/busybox", "x"),
            ("/etc/runlevels/default/sshd", "-> /etc/init.d/sshd"),
            ("/etc/init.d/sshd", "x"),
            ("/etc/init.d/networking", "x"),
            ("/etc/runlevels/boot/gone", "-> /etc/init.d/gone"),
        ]);
        assert_eq!(found.init, Fact::Known("openrc".to_owned()));
        assert_eq!(
            (state(&found, "sshd"), state(&found, "networking"), state(&found, "chronyd")),
            (UnitState::Enabled, UnitState::Disabled, UnitState::Missing)
        );
        let found = learnt(&[
            ("/sbin/init", "x"),
            ("/sbin/initctl", "x"),
            ("/etc/init/ssh.conf", "start on runlevel [2345]\n"),
            ("/etc/init/walinuxagent.conf", "x"),
            ("/etc/init/walinuxagent.override", "manual\n"),
            ("/etc/init.d/network", "x"),
            ("/etc/rc.d/rc3.d/S10network", "-> ../init.d/network"),
        ]);
        assert_eq!(found.init, Fact::Known("upstart".to_owned()));
        assert_eq!(
            (state(&found, "ssh"), state(&found, "walinuxagent"), state(&found, "network")),
            (UnitState::Enabled, UnitState::Disabled, UnitState::Enabled)
        );
        assert_eq!(services(&tree(&[])), Fact::Absent);
        assert!(services(&tree(&[("/sbin", "!damaged")])).value().is_none());
    }
}
