//! A healthy Linux: a generalized Debian for Azure, and the same as one machine.

use super::known;
use crate::facts::*;
use std::collections::BTreeMap;

/// UUID of the root file system.
pub(in crate::rules) const ROOT_UUID: &str = "4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11";
/// Release of the healthy kernel.
pub(in crate::rules) const RELEASE: &str = "6.1.0-56-cloud-amd64";

/// Drivers that the healthy kernel has, and whether its initial ramdisk has them too.
const DRIVERS: &[(&str, bool)] = &[
    ("hv_vmbus", true),
    ("hv_storvsc", true),
    ("hv_netvsc", true),
    ("hv_utils", true),
    ("nvme", true),
    ("nvme_core", true),
    ("udf", false),
    ("isofs", false),
    ("vfat", false),
    ("sr_mod", true),
    ("cdrom", true),
    ("ata_piix", true),
    ("mlx4_core", false),
    ("mlx4_en", false),
    ("mlx5_core", false),
    ("mana", false),
    ("pci_hyperv", true),
];

const UNITS: &[&str] = &[
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-config.service",
    "cloud-final.service",
    "walinuxagent.service",
    "ssh.service",
    "networking.service",
    "chrony.service",
];

const PACKAGES: &[(&str, &str)] = &[
    ("chrony", "4.3-2+deb12u1"),
    ("cloud-guest-utils", "0.33-1"),
    ("cloud-init", "22.4.2-1+deb12u3"),
    ("gdisk", "1.0.9-2.1"),
    ("hyperv-daemons", "6.1.192-2"),
    ("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2"),
    ("openssh-server", "1:9.2p1-2+deb12u10"),
    ("openssl", "3.0.17-1~deb12u2"),
    ("python3", "3.11.2-1+b1"),
    ("sudo", "1.9.13p3-1+deb12u2"),
    ("waagent", "2.12.0.2-1"),
];

pub(in crate::rules) fn os_facts() -> OsFacts {
    OsFacts {
        family: Fact::Known(OsFamily::Linux),
        id: Fact::Known("debian".to_owned()),
        version: Fact::Known("12".to_owned()),
        name: Fact::Known("Debian GNU/Linux 12 (bookworm)".to_owned()),
        architecture: Fact::Known("x64".to_owned()),
        host_name: Fact::Known("localhost.localdomain".to_owned()),
        root: Fact::Known(OsRoot::Partition(3)),
        file_systems: vec![
            MountedFacts { at: "/".to_owned(), from: "partition 3".to_owned(), kind: "ext4".to_owned() },
            MountedFacts { at: "/boot/efi".to_owned(), from: "partition 2".to_owned(), kind: "vfat".to_owned() },
        ],
        others: vec![],
        linux: Fact::Known(facts()),
        windows: Fact::Absent,
        state: Fact::Known(State::Generalized),
        state_evidence: vec!["/etc/machine-id is empty".to_owned()],
    }
}

/// Makes one machine of it: provisioned once, with somebody who can log in.
pub(in crate::rules) fn specialize(os: &mut OsFacts) {
    os.state = Fact::Known(State::Specialized);
    os.state_evidence = vec!["the account azureuser can log in".to_owned()];
    os.host_name = Fact::Known("web-prod-01".to_owned());
    let linux = known(&mut os.linux);
    known(&mut linux.identity.machine_id).state = "set".to_owned();
    known(&mut linux.identity.machine_id).id = Some("8f3c1d2e4b5a69788796a5b4c3d2e1f0".to_owned());
    known(&mut linux.identity.host_name).name = "web-prod-01".to_owned();
    let mut person = user("azureuser", 1000, "/home/azureuser", "/bin/bash", "set");
    (person.authorized_keys, person.can_log_in, person.can_become_root) = (Fact::Known(1), Fact::Known(true), Fact::Known(true));
    known(&mut linux.accounts.users).push(person);
    known(&mut linux.ssh.host_keys).push(HostKeyFacts {
        path: "/etc/ssh/ssh_host_ed25519_key".to_owned(),
        kind: "ed25519".to_owned(),
        private: true,
        public: true,
    });
    let waagent = known(&mut linux.agents.waagent);
    known(&mut waagent.configuration).settings.insert("Provisioning.Agent".to_owned(), "auto".to_owned());
    linux.residue.cloud_init = Fact::Known(CloudInitStateFacts {
        instances: vec!["5d0c8a3e-1f2b-4c6d-9e8f-a0b1c2d3e4f5".to_owned()],
        provisioned: true,
        datasource: Fact::Known("DataSourceAzure: DataSourceAzure [seed=/dev/sr0]".to_owned()),
        seeds: vec![],
    });
}

/// An account without a key.
pub(in crate::rules) fn user(name: &str, uid: u32, home: &str, shell: &str, password: &str) -> UserFacts {
    UserFacts {
        name: name.to_owned(),
        uid,
        gid: uid,
        home: home.to_owned(),
        shell: shell.to_owned(),
        person: uid >= 1000,
        groups: vec![],
        password: Fact::Known(password.to_owned()),
        expires_day: None,
        authorized_keys: Fact::Known(0),
        private_keys: Fact::Known(vec![]),
        can_log_in: Fact::Known(password == "set" && !shell.ends_with("nologin")),
        can_become_root: Fact::Known(uid == 0),
    }
}

/// A line of fstab that names its file system by UUID.
pub(in crate::rules) fn fstab(line: usize, source: &str, target: &str, kind: &str, named_by: &str, on: Fact<String>) -> FstabLineFacts {
    FstabLineFacts {
        line,
        source: source.to_owned(),
        target: target.to_owned(),
        kind: kind.to_owned(),
        options: vec!["defaults".to_owned()],
        named_by: named_by.to_owned(),
        optional: false,
        on,
    }
}

fn facts() -> LinuxFacts {
    let parameters = [
        "root=UUID=4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11",
        "ro",
        "console=tty0",
        "console=ttyS0,115200",
        "earlyprintk=ttyS0",
        "rootdelay=300",
        "nvme_core.io_timeout=240",
    ];
    LinuxFacts {
        kernels: Fact::Known(vec![kernel()]),
        modules: ModuleSettingsFacts {
            modprobe: Fact::Known(ModprobeFacts::default()),
            initramfs_tools: Fact::Known(InitramfsToolsFacts {
                modules: ["hv_vmbus", "hv_storvsc", "hv_netvsc", "nvme"]
                    .into_iter()
                    .zip(1..)
                    .map(|(module, line)| ModuleLineFacts {
                        module: module.to_owned(),
                        text: module.to_owned(),
                        file: "/etc/initramfs-tools/modules".to_owned(),
                        line,
                    })
                    .collect(),
                policy: Fact::Known("most".to_owned()),
            }),
            dkms: Fact::Known(vec![]),
            out_of_tree: Fact::Known(vec![]),
            ..ModuleSettingsFacts::default()
        },
        boot: LinuxBootFacts {
            loader: Fact::Known("grub".to_owned()),
            entries: Fact::Known(vec![BootEntryFacts {
                title: "Debian GNU/Linux".to_owned(),
                id: Some("gnulinux-simple".to_owned()),
                kernel: Some(format!("/boot/vmlinuz-{RELEASE}")),
                initrds: vec![format!("/boot/initrd.img-{RELEASE}")],
                missing: vec![],
                command_line: Some(parameters.join(" ")),
                source: "/boot/grub/grub.cfg".to_owned(),
                line: 120,
                default: true,
            }]),
            default_entry: Fact::Known("Debian GNU/Linux".to_owned()),
            command_line: Fact::Known(parameters.join(" ")),
            command_line_source: Fact::Known("/boot/grub/grub.cfg:120".to_owned()),
            parameters: Fact::Known(parameters.iter().map(|word| (*word).to_owned()).collect()),
            consoles: Fact::Known(vec!["tty0".to_owned(), "ttyS0,115200".to_owned()]),
            root: Fact::Known(format!("UUID={ROOT_UUID}")),
            root_flags: Fact::Absent,
            other_command_lines: vec![],
            grub: Fact::Known(GrubFacts {
                config: "/boot/grub/grub.cfg".to_owned(),
                default: Some("0".to_owned()),
                default_found: true,
                timeout: Some("5".to_owned()),
                terminal_input: vec!["console".to_owned(), "serial".to_owned()],
                terminal_output: vec!["gfxterm".to_owned(), "serial".to_owned()],
                serial: Some("serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1".to_owned()),
                uses_blscfg: false,
                search_uuid: Some(ROOT_UUID.to_owned()),
                saved_entry: None,
                kernelopts: None,
                boot_success: None,
            }),
            default_grub: Fact::Known(DefaultGrubFacts {
                cmdline_linux: Some(
                    "console=tty0 console=ttyS0,115200 earlyprintk=ttyS0 rootdelay=300 nvme_core.io_timeout=240".to_owned(),
                ),
                cmdline_linux_default: Some(String::new()),
                terminal: Some("console serial".to_owned()),
                serial_command: Some("serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1".to_owned()),
                timeout: Some("5".to_owned()),
                files: vec!["/etc/default/grub".to_owned()],
                ..DefaultGrubFacts::default()
            }),
            unified_kernels: Fact::Known(vec![]),
            not_understood: vec![],
        },
        packages: Fact::Known(PackagesFacts {
            manager: "dpkg".to_owned(),
            database: "/var/lib/dpkg/status".to_owned(),
            count: 250,
            of_interest: PACKAGES
                .iter()
                .map(|(name, version)| PackageFacts {
                    name: (*name).to_owned(),
                    version: (*version).to_owned(),
                    architecture: "amd64".to_owned(),
                })
                .collect(),
        }),
        services: Fact::Known(ServicesFacts {
            init: Fact::Known("systemd".to_owned()),
            default_target: Fact::Known("graphical.target".to_owned()),
            cloud_init_generator: Fact::Known(true),
            units: UNITS.iter().map(|name| unit(name, UnitState::Enabled)).collect(),
        }),
        agents: agents(),
        hypervisor_tools: Fact::Known(HypervisorToolsFacts::default()),
        mounts: MountsFacts {
            fstab: Fact::Known(vec![
                fstab(1, &format!("UUID={ROOT_UUID}"), "/", "ext4", "uuid", Fact::Known("partition 3".to_owned())),
                fstab(2, "UUID=7837-137C", "/boot/efi", "vfat", "uuid", Fact::Known("partition 2".to_owned())),
            ]),
            crypttab: Fact::Absent,
            units: Fact::Known(vec![]),
            swap_files: Fact::Known(vec![]),
            lvm_devices: Fact::Absent,
        },
        network: NetworkFacts {
            netplan: Fact::Absent,
            ifcfg: Fact::Absent,
            network_manager: Fact::Absent,
            ifupdown: Fact::Known(vec![interface("/etc/network/interfaces", "eth0")]),
            networkd: Fact::Absent,
            links: Fact::Absent,
            udev_rules: Fact::Known(vec![UdevRuleFacts {
                path: "/usr/lib/udev/rules.d/66-azure-storage.rules".to_owned(),
                purpose: "azure".to_owned(),
                masked: false,
                names: 0,
            }]),
            unmanaged_devices: Fact::Absent,
            dhcp_sets_host_name: Fact::Absent,
        },
        identity: IdentityFacts {
            machine_id: Fact::Known(MachineIdFacts { state: "empty".to_owned(), id: None }),
            dbus_machine_id: Fact::Known("link".to_owned()),
            host_name: Fact::Known(HostNameFacts { name: "localhost.localdomain".to_owned(), path: "/etc/hostname".to_owned() }),
            hosts: Fact::Known(vec![HostLineFacts { line: 1, address: "127.0.0.1".to_owned(), names: vec!["localhost".to_owned()] }]),
        },
        accounts: AccountsFacts {
            users: Fact::Known(vec![
                user("root", 0, "/root", "/bin/bash", "locked"),
                user("daemon", 1, "/usr/sbin", "/usr/sbin/nologin", "locked"),
            ]),
            uid_min: 1000,
            root_locked_by_waagent: Fact::Known(true),
            sources: Fact::Known(vec!["files".to_owned(), "systemd".to_owned()]),
            backups: Fact::Known(vec![]),
            sudo: Fact::Known(SudoFacts { rules: vec![], target_password: false, anybody: false }),
            belongings: Fact::Known(vec![]),
        },
        ssh: SshFacts {
            installed: Fact::Known(true),
            settings: Fact::Known(vec![SshSettingFacts {
                keyword: "clientaliveinterval".to_owned(),
                value: "180".to_owned(),
                path: "/etc/ssh/sshd_config".to_owned(),
                line: 99,
            }]),
            has_match: Fact::Known(false),
            host_keys: Fact::Known(vec![]),
        },
        residue: ResidueFacts {
            cloud_init: Fact::Absent,
            waagent: Fact::Absent,
            histories: Fact::Known(vec![]),
            leases: Fact::Known(vec![]),
            logs: Fact::Known(vec![]),
            seeds: Fact::Known(vec![]),
            credentials: Fact::Known(vec![]),
            temporary: Fact::Known(0),
            resolv_conf: Fact::Absent,
        },
        security: SecurityFacts {
            selinux: Fact::Absent,
            subscriptions: Fact::Known(vec![]),
            firewalls: Fact::Known(vec![]),
            package_hosts: Fact::Known(vec!["deb.debian.org".to_owned()]),
            chrony: Fact::Known(ChronyFacts {
                path: "/etc/chrony/chrony.conf".to_owned(),
                refclock: Some("PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0".to_owned()),
                makestep: Some("1.0 -1".to_owned()),
            }),
        },
    }
}

/// The healthy kernel.
pub(in crate::rules) fn kernel() -> KernelFacts {
    KernelFacts {
        release: RELEASE.to_owned(),
        numbers: vec![6, 1, 0, 56],
        rescue: false,
        image: Fact::Known(KernelImageFacts {
            path: format!("/boot/vmlinuz-{RELEASE}"),
            size: 8_000_000,
            architecture: Fact::Known("x64".to_owned()),
        }),
        config: Fact::Known(format!("/boot/config-{RELEASE}")),
        modules: Fact::Known(format!("/lib/modules/{RELEASE}")),
        initramfs: Fact::Known(InitramfsFacts {
            path: format!("/boot/initrd.img-{RELEASE}"),
            size: 20_000_000,
            content: Fact::Known(InitramfsContentFacts {
                compression: vec!["zstd".to_owned()],
                entries: 1500,
                unpacked: 60_000_000,
                maker: Fact::Known("initramfs-tools".to_owned()),
                host_only: Fact::Absent,
                releases: vec![RELEASE.to_owned()],
                blacklisted: vec![],
                disabled: vec![],
                parameters: vec![],
                ignored: Fact::Absent,
            }),
        }),
        drivers: DRIVERS.iter().map(|(name, early)| ((*name).to_owned(), driver(DriverState::Module, *early))).collect(),
    }
}

/// A driver of the healthy kernel.
pub(in crate::rules) fn driver(state: DriverState, early: bool) -> DriverFacts {
    DriverFacts { state: Fact::Known(state), path: Fact::Absent, in_initramfs: Fact::Known(early), evidence: "modules.dep".to_owned() }
}

/// A unit of the healthy services.
pub(in crate::rules) fn unit(name: &str, state: UnitState) -> UnitFacts {
    UnitFacts {
        name: name.to_owned(),
        state: Fact::Known(state),
        by: (state == UnitState::Enabled).then(|| format!("/etc/systemd/system/multi-user.target.wants/{name}")),
        file: Some(format!("/lib/systemd/system/{name}")),
    }
}

/// An interface that takes its address from DHCP.
pub(in crate::rules) fn interface(path: &str, name: &str) -> InterfaceFacts {
    InterfaceFacts {
        path: path.to_owned(),
        name: name.to_owned(),
        kind: "ethernet".to_owned(),
        mac: None,
        driver: None,
        dhcp4: Some(true),
        dhcp6: None,
        addresses: vec![],
        gateways: vec![],
        starts: Some(true),
        unmanaged: false,
        uuid: None,
        renamed_to: None,
    }
}

fn agents() -> AgentsFacts {
    let settings = [
        ("Provisioning.Agent", "cloud-init"),
        ("ResourceDisk.Format", "n"),
        ("ResourceDisk.EnableSwap", "n"),
        ("AutoUpdate.UpdateToLatestVersion", "y"),
    ];
    AgentsFacts {
        waagent: Fact::Known(WaagentFacts {
            program: Fact::Known("/usr/sbin/waagent".to_owned()),
            version: Fact::Known("2.12.0.2".to_owned()),
            fetched: Fact::Known(vec![]),
            configuration: Fact::Known(WaagentConfigurationFacts {
                path: "/etc/waagent.conf".to_owned(),
                settings: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>(),
            }),
            disabled_by_file: Fact::Known(false),
        }),
        cloud_init: Fact::Known(CloudInitFacts {
            program: Fact::Known("/usr/bin/cloud-init".to_owned()),
            version: Fact::Known("22.4.2".to_owned()),
            disabled_by_file: Fact::Known(false),
            ds_identify: Fact::Absent,
            configuration: Fact::Known(CloudConfigFacts {
                datasource_list: Some(vec!["Azure".to_owned()]),
                default_user: Some("debian".to_owned()),
                distro: Some("debian".to_owned()),
                init_modules: Some(["migrator", "seed_random", "mounts", "disk_setup"].map(str::to_owned).to_vec()),
                output: Some("| tee -a /var/log/cloud-init-output.log".to_owned()),
                telemetry: Some("hyperv".to_owned()),
                ssh_deletekeys: Some(true),
                users: Some(vec!["default".to_owned()]),
                ..CloudConfigFacts::default()
            }),
            files: vec![CloudConfigFileFacts {
                path: "/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg".to_owned(),
                sets: Fact::Known(vec!["datasource_list".to_owned()]),
            }],
            installer_leftovers: Fact::Known(vec![]),
            configuration_override: Fact::Absent,
        }),
        azure_proxy_agent: Fact::Absent,
    }
}
