//! Faults of what provisions a Linux, of its network, and what it must not bring along.

use super::linux::{Fault, Guest};
use super::linux_healthy::{generalized, specialized};

const LOCAL: &str = "/etc/systemd/system/multi-user.target.wants/cloud-init-local.service";

fn uninstall(guest: &mut Guest, package: &str) {
    let installed = format!("Package: {package}\nStatus: install ok installed");
    guest.replace("/var/lib/dpkg/status", &installed, &format!("Package: {package}\nStatus: deinstall ok config-files"));
}

fn without_cloud_init(guest: &mut Guest) {
    uninstall(guest, "cloud-init");
    for path in ["/usr/bin/cloud-init", "/usr/lib/python3/dist-packages/cloudinit", "/etc/cloud"] {
        guest.remove(path);
    }
    guest.root.retain(|path, _| {
        !path.contains("/cloud-init") && !path.ends_with("/cloud-config.service") && !path.ends_with("/cloud-final.service")
    });
}

fn without_agent(guest: &mut Guest) {
    uninstall(guest, "waagent");
    for path in ["/usr/sbin/waagent", "/usr/lib/python3/dist-packages/azurelinuxagent", "/etc/waagent.conf"] {
        guest.remove(path);
    }
    guest.root.retain(|path, _| !path.ends_with("/walinuxagent.service"));
}

/// Has the agent provision, so that files count which cloud-init would write.
fn by_agent(guest: &mut Guest) {
    without_cloud_init(guest);
    guest.replace("/etc/waagent.conf", "Provisioning.Agent=cloud-init", "Provisioning.Agent=auto\nProvisioning.RegenerateSshHostKeyPair=y");
}

const MAC: &str = "00:15:5d:01:02:03";

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "no agent at all",
        guest: generalized,
        plant: |guest| {
            without_cloud_init(guest);
            without_agent(guest);
        },
        finds: &["LNX020", "LNX031"],
    },
    Fault { name: "the agent alone is as good", guest: generalized, plant: by_agent, finds: &[] },
    Fault {
        name: "a stage of cloud-init is not enabled",
        guest: generalized,
        plant: |guest| {
            guest.remove(LOCAL);
        },
        finds: &["LNX021"],
    },
    Fault {
        name: "cloud-init is disabled by its file",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/cloud/cloud-init.disabled", "");
        },
        finds: &["LNX022"],
    },
    Fault {
        name: "cloud-init is disabled on the command line",
        guest: generalized,
        plant: |guest| {
            guest.parameters("cloud-init=disabled");
        },
        finds: &["LNX022"],
    },
    Fault {
        name: "cloud-init is disabled by ds-identify",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/cloud/ds-identify.cfg", "policy: disabled\n");
        },
        finds: &["LNX022"],
    },
    Fault {
        name: "both want to provision",
        guest: generalized,
        plant: |guest| {
            guest.replace("/etc/waagent.conf", "Provisioning.Agent=cloud-init", "Provisioning.Agent=waagent");
        },
        finds: &["LNX023"],
    },
    Fault {
        name: "the agent waits for a cloud-init that is not installed",
        guest: generalized,
        plant: without_cloud_init,
        finds: &["LNX023"],
    },
    Fault {
        name: "the agent is told to provision nothing",
        guest: generalized,
        plant: |guest| {
            without_cloud_init(guest);
            guest.replace("/etc/waagent.conf", "Provisioning.Agent=cloud-init", "Provisioning.Agent=disabled");
        },
        finds: &["LNX024"],
    },
    Fault {
        name: "an installer pins another data source",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource_list: [ None ]\n");
        },
        finds: &["LNX026", "LNX027"],
    },
    Fault {
        name: "ds-identify pins another data source",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/cloud/ds-identify.cfg", "datasource: NoCloud\n");
        },
        finds: &["LNX026"],
    },
    Fault {
        name: "the agent is of old, does not update, and is stopped",
        guest: generalized,
        plant: |guest| {
            guest.file("/usr/lib/python3/dist-packages/azurelinuxagent/common/version.py", "AGENT_VERSION = '2.2.46'\n");
            guest.replace("/etc/waagent.conf", "AutoUpdate.UpdateToLatestVersion=y", "AutoUpdate.UpdateToLatestVersion=n");
            guest.file("/var/lib/waagent/disable_agent", "");
        },
        finds: &["LNX034", "LNX131", "LNX231"],
    },
    Fault {
        name: "both prepare the temporary disk",
        guest: generalized,
        plant: |guest| {
            guest.replace("/etc/waagent.conf", "ResourceDisk.Format=n", "ResourceDisk.Format=y");
        },
        finds: &["LNX025"],
    },
    Fault {
        name: "there is no SSH server",
        guest: generalized,
        plant: |guest| {
            guest.remove("/usr/sbin/sshd");
            uninstall(guest, "openssh-server");
        },
        finds: &["LNX035"],
    },
    Fault {
        name: "the SSH server is not enabled",
        guest: specialized,
        plant: |guest| {
            guest.remove("/etc/systemd/system/multi-user.target.wants/ssh.service");
        },
        finds: &["LNX035"],
    },
    Fault {
        name: "sshd does not ask idle clients",
        guest: generalized,
        plant: |guest| {
            guest.options.extend(["--profile", "marketplace"]);
            guest.replace("/etc/ssh/sshd_config", "ClientAliveInterval 180", "ClientAliveInterval 10m");
        },
        finds: &["LNX135"],
    },
    Fault {
        name: "only a foreign adapter is configured",
        guest: generalized,
        plant: |guest| {
            by_agent(guest);
            guest.replace("/etc/network/interfaces", "eth0", "ens192");
        },
        finds: &["LNX040"],
    },
    Fault {
        name: "cloud-init is kept from the network, and nothing else configures it",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg", "network: {config: disabled}\n");
            guest.file("/etc/network/interfaces", "auto lo\niface lo inet loopback\n");
        },
        finds: &["LNX040"],
    },
    Fault {
        name: "a static address",
        guest: specialized,
        plant: |guest| {
            let fixed = "auto eth0\niface eth0 inet static\n  address 192.168.1.10/24\n  gateway 192.168.1.1\n";
            guest.file("/etc/network/interfaces", fixed);
        },
        finds: &["LNX041"],
    },
    Fault {
        name: "netplan is bound to a hardware address",
        guest: generalized,
        plant: |guest| {
            by_agent(guest);
            guest.file("/etc/network/interfaces", "auto lo\niface lo inet loopback\n");
            let text =
                format!("network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match: {{macaddress: '{MAC}'}}\n");
            guest.file("/etc/netplan/01-netcfg.yaml", text);
        },
        finds: &["LNX141"],
    },
    Fault {
        name: "the donor's netplan, which cloud-init writes anew",
        guest: generalized,
        plant: |guest| {
            let text =
                format!("network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match: {{macaddress: '{MAC}'}}\n");
            guest.file("/etc/netplan/50-cloud-init.yaml", text);
        },
        finds: &["LGN009"],
    },
    Fault {
        name: "names of adapters, and what makes more of them",
        guest: generalized,
        plant: |guest| {
            let rule = format!("SUBSYSTEM==\"net\", ACTION==\"add\", ATTR{{address}}==\"{MAC}\", NAME=\"eth0\"\n");
            guest.file("/etc/udev/rules.d/70-persistent-net.rules", rule);
            guest.file("/usr/lib/udev/rules.d/75-persistent-net-generator.rules", "IMPORT{program}=\"write_net_rules\"\n");
        },
        finds: &["LNX042"],
    },
    Fault {
        name: "no program configures the network",
        guest: generalized,
        plant: |guest| {
            guest.remove("/etc/systemd/system/multi-user.target.wants/networking.service");
        },
        finds: &["LNX044"],
    },
    Fault {
        name: "presets decide at a first boot, but something starts all the same",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/machine-id", "uninitialized\n");
            guest.file("/usr/lib/systemd/system/systemd-networkd.service", "[Install]\nWantedBy=multi-user.target\n");
        },
        finds: &[],
    },
    Fault {
        name: "a firewall without the platform",
        guest: generalized,
        plant: |guest| {
            guest.file(
                "/etc/nftables.conf",
                "table inet filter {\n chain output {\n  type filter hook output priority 0; policy drop;\n }\n}\n",
            );
            guest.enabled("nftables.service");
        },
        finds: &["LNX048"],
    },
    Fault {
        name: "an account with a password",
        guest: generalized,
        plant: |guest| {
            guest.append("/etc/passwd", "ada:x:1000:1000::/home/ada:/bin/bash\n");
            guest.append("/etc/group", "ada:x:1000:\n");
            guest.append("/etc/shadow", "ada:$6$salt$FAKEFAKEFAKE:20000:0:99999:7:::\n");
        },
        // Somebody who can log in makes one machine of it.
        finds: &["IMG008", "LGN004"],
    },
    Fault {
        name: "an account with a key",
        guest: generalized,
        plant: |guest| {
            guest.append("/etc/passwd", "ada:x:1000:1000::/home/ada:/bin/bash\n");
            guest.append("/etc/shadow", "ada:!:20000:0:99999:7:::\n");
            guest.file("/home/ada/.ssh/authorized_keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKEFAKEFAKE ada\n");
        },
        finds: &["IMG008", "LGN104"],
    },
    Fault {
        name: "root without a password",
        guest: generalized,
        plant: |guest| {
            guest.replace("/etc/shadow", "root:*LOCK*:", "root::");
        },
        finds: &["LNX155"],
    },
    Fault {
        name: "root with a password, and what is left of an account",
        guest: generalized,
        plant: |guest| {
            guest.replace("/etc/shadow", "root:*LOCK*:", "root:$6$salt$FAKEFAKEFAKE:");
            guest.file("/etc/shadow-", "ada:$6$salt$FAKEFAKEFAKE:20000:0:99999:7:::\n");
            guest.file("/root/.azure/msal_token_cache.json", "{}\n");
            guest.mode("/etc/sudoers.d/waagent", "ada ALL=(ALL) NOPASSWD: ALL\n", 0o440);
            guest.file("/var/spool/cron/crontabs/ada", "* * * * * true\n");
        },
        finds: &["LGN008", "LGN204", "LNX054", "LNX055", "LNX154"],
    },
    Fault {
        name: "host keys that nothing replaces",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/cloud/cloud.cfg.d/99-keys.cfg", "ssh_deletekeys: false\n");
            guest.mode("/etc/ssh/ssh_host_ed25519_key", "not a key\n", 0o600);
        },
        finds: &["LGN103"],
    },
    Fault {
        name: "no host keys, and nothing makes them",
        guest: generalized,
        plant: |guest| {
            by_agent(guest);
            guest.replace("/etc/waagent.conf", "RegenerateSshHostKeyPair=y", "RegenerateSshHostKeyPair=n");
        },
        finds: &["LGN203"],
    },
    Fault {
        name: "cloud-init trusts its state",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/cloud/cloud.cfg.d/99-cache.cfg", "manual_cache_clean: true\n");
            guest.file("/var/lib/cloud/data/instance-id", "5d0c8a3e-1f2b-4c6d-9e8f-a0b1c2d3e4f5\n");
        },
        // Its instance is what makes one machine of the disk.
        finds: &["IMG008", "LGN001", "LGN101"],
    },
    Fault {
        name: "the id and the name of one machine, its seed, lease and history",
        guest: generalized,
        plant: |guest| {
            guest.file("/etc/machine-id", "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n");
            guest.file("/etc/hostname", "web-prod-01\n");
            guest.file("/var/lib/systemd/random-seed", [7; 512]);
            guest.file("/var/lib/dhcp/dhclient.eth0.leases", "lease {}\n");
            guest.file("/root/.bash_history", "ls\n");
            guest.file("/var/log/syslog", "Nov 20 10:00:00 web-prod-01 kernel: x\n");
        },
        finds: &["IMG008", "LGN006", "LGN007", "LGN010", "LGN012", "LGN109", "LNX053"],
    },
    Fault {
        name: "a long history, for the Marketplace",
        guest: generalized,
        plant: |guest| {
            guest.options.extend(["--profile", "marketplace"]);
            guest.file("/root/.bash_history", "ls\n".repeat(400));
        },
        finds: &["LNX053", "LNX153"],
    },
    Fault {
        name: "nobody can log in, and there is no agent",
        guest: specialized,
        plant: |guest| {
            guest.remove("/home/azureuser/.ssh/authorized_keys");
            without_agent(guest);
        },
        finds: &["LNX031", "LNX056"],
    },
    Fault {
        name: "nobody can log in, but the agent may help",
        guest: specialized,
        plant: |guest| {
            guest.remove("/home/azureuser/.ssh/authorized_keys");
        },
        finds: &["LNX156"],
    },
    Fault {
        name: "one machine would be set up again",
        guest: specialized,
        plant: |guest| {
            guest.remove("/var/lib/cloud");
        },
        finds: &["LNX124"],
    },
];
