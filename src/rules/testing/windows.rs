//! A healthy Windows: a generalized Windows Server 2022 for Azure, and the same as one machine.

use super::known;
use crate::facts::*;
use std::collections::BTreeMap;

const DISK_GUID: &str = "2f6b1c5e-8f43-4f0a-9a51-3a1d6f1f7c11";
const PARTITION_GUID: &str = "b5f1c0de-0000-4f0a-9a51-3a1d6f1f7c03";

/// Services of the healthy Windows, with the value `Start`.
const SERVICES: &[(&str, u32)] = &[
    ("BFE", 2),
    ("Dhcp", 2),
    ("Dnscache", 2),
    ("IKEEXT", 2),
    ("iphlpsvc", 2),
    ("nsi", 2),
    ("mpssvc", 2),
    ("RemoteRegistry", 2),
    ("Netlogon", 3),
    ("Netman", 3),
    ("TermService", 3),
    ("w32time", 2),
    ("WinRM", 2),
    ("WerSvc", 3),
    ("sacsvr", 2),
    ("RdAgent", 2),
    ("WindowsAzureGuestAgent", 2),
];
/// Drivers of the healthy Windows, with the value `Start`.
const DRIVERS: &[(&str, u32)] = &[
    ("vmbus", 0),
    ("storvsc", 0),
    ("storflt", 0),
    ("atapi", 0),
    ("intelide", 0),
    ("netvsc", 3),
    ("stornvme", 0),
    ("vpci", 0),
    ("cdrom", 1),
    ("partmgr", 0),
];

pub(in crate::rules) fn os_facts() -> OsFacts {
    OsFacts {
        family: Fact::Known(OsFamily::Windows),
        id: Fact::Known("windows".to_owned()),
        version: Fact::Known("10.0.20348.2113".to_owned()),
        name: Fact::Known("Windows Server 2022 Datacenter".to_owned()),
        architecture: Fact::Known("x64".to_owned()),
        host_name: Fact::Known("WIN-4Q7KJ1B2C3D".to_owned()),
        root: Fact::Known(OsRoot::Partition(3)),
        file_systems: vec![MountedFacts { at: "/".to_owned(), from: "partition 3".to_owned(), kind: "ntfs".to_owned() }],
        others: vec![],
        linux: Fact::Absent,
        windows: Fact::Known(facts()),
        state: Fact::Known(State::Generalized),
        state_evidence: vec!["ImageState is IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE".to_owned()],
    }
}

/// Makes one machine of it: set up, with an administrator who can log in.
pub(in crate::rules) fn specialize(os: &mut OsFacts) {
    os.state = Fact::Known(State::Specialized);
    os.state_evidence = vec!["ImageState is IMAGE_STATE_COMPLETE".to_owned()];
    os.host_name = Fact::Known("WEB-PROD-01".to_owned());
    let windows = known(&mut os.windows);
    windows.sysprep = SysprepFacts {
        image_state: Fact::Known("IMAGE_STATE_COMPLETE".to_owned()),
        image_state_file: Fact::Known("IMAGE_STATE_COMPLETE".to_owned()),
        generalization_state: Fact::Known(7),
        cleanup_state: Fact::Known(2),
        setup: SetupFacts {
            in_progress: Fact::Known(0),
            kind: Fact::Known(0),
            command: Fact::Absent,
            oobe_in_progress: Fact::Known(0),
            phase: Fact::Known(0),
            restart: Fact::Known(0),
        },
        child_completion: Fact::Known(BTreeMap::from([("setup.exe".to_owned(), 3), ("oobeldr.exe".to_owned(), 3)])),
        succeeded_tag: Fact::Known(false),
        error_log: Fact::Absent,
        skip_rearm: Fact::Known(0),
        machine_guid: Fact::Known(true),
        clone_tag: Fact::Absent,
    };
    for name in [&mut windows.name.computer_name, &mut windows.name.active_computer_name] {
        *name = Fact::Known("WEB-PROD-01".to_owned());
    }
    windows.drives = Fact::Known(vec![DriveLetterFacts {
        letter: "C".to_owned(),
        kind: "partition".to_owned(),
        partition: Fact::Known(partition_reference()),
        device: Fact::Absent,
    }]);
    windows.accounts.users = Fact::Known(vec![windows_user("azureadmin", 1001, false), windows_user("Administrator", 500, true)]);
    windows.accounts.administrator_enabled = Fact::Known(false);
}

/// A local user.
pub(in crate::rules) fn windows_user(name: &str, rid: u32, disabled: bool) -> WindowsUserFacts {
    WindowsUserFacts {
        name: name.to_owned(),
        rid,
        disabled: Fact::Known(disabled),
        password_required: Fact::Known(true),
        locked: Fact::Known(false),
    }
}

/// A service with its value `Start`.
pub(in crate::rules) fn service(name: &str, start: u32, driver: bool) -> WindowsServiceFacts {
    WindowsServiceFacts {
        name: name.to_owned(),
        kind: Fact::Known(if driver { "driver" } else { "service" }.to_owned()),
        start: StartType::of(start).into(),
        start_value: Fact::Known(start),
        delayed: Fact::Known(false),
        start_override: Fact::Absent,
        image_path: Fact::Known(if driver {
            format!(r"\SystemRoot\System32\drivers\{name}.sys")
        } else {
            format!(r"C:\Windows\{name}.exe")
        }),
        file_present: if driver { Fact::Known(true) } else { Fact::Absent },
    }
}

/// The partition of the healthy Windows as its boot store and drive letters name it.
pub(in crate::rules) fn partition_reference() -> PartitionReferenceFacts {
    PartitionReferenceFacts {
        scheme: "gpt".to_owned(),
        disk: Fact::Known(DISK_GUID.to_owned()),
        offset: Fact::Absent,
        guid: Fact::Known(PARTITION_GUID.to_owned()),
        on_disk: Fact::Known(0),
        number: Fact::Known(3),
    }
}

/// A rule of the firewall that lets in what comes to a port.
pub(in crate::rules) fn firewall_rule(id: &str, protocol: &str, port: Option<&str>) -> WindowsFirewallRuleFacts {
    WindowsFirewallRuleFacts {
        id: id.to_owned(),
        active: Fact::Known(true),
        action: Fact::Known("Allow".to_owned()),
        direction: Fact::Known("In".to_owned()),
        protocol: Fact::Known(protocol.to_owned()),
        local_ports: port.map(str::to_owned).into(),
        remote_ports: Fact::Absent,
        remote_addresses: vec![],
        profiles: vec![],
        limited: true,
    }
}

fn hive(name: &str) -> Fact<HiveFacts> {
    Fact::Known(HiveFacts { path: format!(r"\Windows\System32\config\{name}"), dirty: false, recovery: Fact::Absent, damage: vec![] })
}

fn device() -> Fact<BootDeviceFacts> {
    Fact::Known(BootDeviceFacts {
        kind: "partition".to_owned(),
        text: "partition 3 of this disk".to_owned(),
        partition: Fact::Known(partition_reference()),
    })
}

fn boot_store() -> BootStoreFacts {
    let id = "5f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11";
    BootStoreFacts {
        path: r"\EFI\Microsoft\Boot\BCD".to_owned(),
        on: "partition 2".to_owned(),
        dirty: false,
        problems: vec![],
        manager: Fact::Known(BootmgrFacts {
            device: Fact::Known(BootDeviceFacts {
                kind: "partition".to_owned(),
                text: "partition 2 of this disk".to_owned(),
                partition: Fact::Known(PartitionReferenceFacts { number: Fact::Known(2), ..partition_reference() }),
            }),
            path: Fact::Known(r"\EFI\Microsoft\Boot\bootmgfw.efi".to_owned()),
            default: Fact::Known(id.to_owned()),
            display_menu: Fact::Known(true),
            timeout: Fact::Known(5),
            ems: Fact::Known(true),
            no_integrity_checks: Fact::Absent,
            test_signing: Fact::Absent,
        }),
        default: Fact::Known(BcdEntryFacts {
            id: id.to_owned(),
            kind: Fact::Known("loader".to_owned()),
            description: Fact::Known("Windows Server".to_owned()),
            device: device(),
            path: Fact::Known(r"\Windows\system32\winload.efi".to_owned()),
            os_device: device(),
            system_root: Fact::Known(r"\Windows".to_owned()),
            recovery_enabled: Fact::Known(false),
            boot_status_policy: Fact::Known(1),
            boot_ems: Fact::Absent,
            ems: Fact::Known(true),
            no_integrity_checks: Fact::Absent,
            test_signing: Fact::Absent,
            safe_boot: Fact::Absent,
        }),
        entries: 1,
        ems_port: Fact::Known(1),
        ems_baud_rate: Fact::Known(115_200),
    }
}

fn facts() -> WindowsFacts {
    let text = |text: &str| Fact::Known(text.to_owned());
    let profile = || WindowsFirewallProfileFacts { enabled: Fact::Known(1), ..WindowsFirewallProfileFacts::default() };
    WindowsFacts {
        hives: HivesFacts {
            system: hive("SYSTEM"),
            software: hive("SOFTWARE"),
            sam: hive("SAM"),
            security: hive("SECURITY"),
            control_set: text("ControlSet001"),
        },
        product: WindowsProductFacts {
            name: text("Windows Server 2022 Datacenter"),
            registry_name: text("Windows Server 2022 Datacenter"),
            edition: text("ServerDatacenter"),
            installation_type: text("Server"),
            version: text("10.0.20348.2113"),
            build: Fact::Known(20348),
            revision: Fact::Known(2113),
            display_version: text("21H2"),
            release_id: text("2009"),
            processor: text("AMD64"),
            kernel_machine: text("x64"),
            product_type: text("ServerNT"),
            system_root: text(r"C:\Windows"),
            dot_net_4: text("4.8.04161"),
        },
        name: WindowsNameFacts {
            computer_name: text("WIN-4Q7KJ1B2C3D"),
            active_computer_name: text("WIN-4Q7KJ1B2C3D"),
            host_name: text("WIN-4Q7KJ1B2C3D"),
            nv_host_name: text("WIN-4Q7KJ1B2C3D"),
            primary_domain: text("WORKGROUP"),
            ..WindowsNameFacts::default()
        },
        services: Fact::Known(
            SERVICES
                .iter()
                .map(|(name, start)| service(name, *start, false))
                .chain(DRIVERS.iter().map(|(name, start)| service(name, *start, true)))
                .collect(),
        ),
        system: WindowsSystemFacts {
            real_time_is_universal: Fact::Known(1),
            time_zone: text("UTC"),
            san_policy: Fact::Known(1),
            power_scheme: text("8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c"),
            temp: text(r"%SystemRoot%\TEMP"),
            tmp: text(r"%SystemRoot%\TEMP"),
            page_files: Fact::Known(vec![r"?:\pagefile.sys".to_owned()]),
            boot_execute: Fact::Known(vec!["autocheck autochk *".to_owned()]),
            removable_storage_denied: Fact::Absent,
            cd_read_denied: Fact::Absent,
            app_locker: Fact::Absent,
        },
        network: WindowsNetworkFacts {
            interfaces: Fact::Known(vec![WindowsInterfaceFacts {
                id: "{c0d3c0de-0000-4f0a-9a51-3a1d6f1f7c03}".to_owned(),
                dhcp: Fact::Known(1),
                addresses: Fact::Known(vec![]),
                gateways: Fact::Known(vec![]),
                name_servers: Fact::Known(vec![]),
            }]),
            persistent_routes: Fact::Known(vec![]),
            winhttp_proxy: Fact::Known(WinHttpProxyFacts { used: false, proxy: None, bypass: None }),
        },
        rdp: RdpFacts {
            deny_connections: Fact::Known(0),
            enabled: Fact::Known(1),
            drain_mode: Fact::Known(0),
            user_enabled: Fact::Known(0),
            station: Fact::Known(RdpStationFacts {
                port: Fact::Known(3389),
                lan_adapter: Fact::Known(0),
                enabled: Fact::Known(1),
                logon_disabled: Fact::Known(0),
                user_authentication: Fact::Known(1),
                security_layer: Fact::Known(2),
                keep_alive_timeout: Fact::Known(1),
                inherit_reconnect_same: Fact::Known(1),
                reconnect_same: Fact::Known(0),
                max_instances: Fact::Known(u32::MAX),
                certificate_pinned: Fact::Known(false),
            }),
            policy: RdpPolicyFacts {
                keep_alive_enable: Fact::Known(1),
                keep_alive_interval: Fact::Known(1),
                disable_auto_reconnect: Fact::Known(0),
                ..RdpPolicyFacts::default()
            },
        },
        firewall: WindowsFirewallFacts {
            domain: profile(),
            private: profile(),
            public: profile(),
            rules: Fact::Known(vec![
                firewall_rule("RemoteDesktop-UserMode-In-TCP", "6", Some("3389")),
                firewall_rule("RemoteDesktop-UserMode-In-UDP", "17", Some("3389")),
                firewall_rule("RemoteDesktop-Shadow-In-TCP", "6", None),
                firewall_rule("FPS-ICMP4-ERQ-In", "1", None),
                firewall_rule("WINRM-HTTP-In-TCP", "6", Some("5985")),
                WindowsFirewallRuleFacts {
                    remote_addresses: vec!["168.63.129.16".to_owned()],
                    ..firewall_rule("AzurePlatform", "6", None)
                },
                WindowsFirewallRuleFacts {
                    direction: Fact::Known("Out".to_owned()),
                    remote_addresses: vec!["168.63.129.16".to_owned()],
                    ..firewall_rule("AzurePlatform-Out", "6", None)
                },
            ]),
            policy_rules: Fact::Known(vec![]),
            rule_count: Fact::Known(400),
        },
        winrm: WinRmFacts {
            listeners: Fact::Known(vec![WinRmListenerFacts {
                name: "*+HTTP".to_owned(),
                port: Fact::Known(5985),
                enabled: Fact::Absent,
                certificate: Fact::Known(false),
            }]),
        },
        crash: CrashFacts {
            dump_enabled: Fact::Known(2),
            dump_file: text(r"%SystemRoot%\MEMORY.DMP"),
            nmi_dump: Fact::Known(1),
            auto_reboot: Fact::Known(1),
            local_dump_folder: text(r"C:\CrashDumps"),
            local_dump_type: Fact::Known(2),
            local_dump_count: Fact::Absent,
            local_crash_count: Fact::Known(10),
        },
        boot_store: Fact::Known(boot_store()),
        drives: Fact::Known(vec![]),
        agent: WindowsAgentFacts {
            registered: Fact::Known(true),
            directories: Fact::Known(vec!["GuestAgent_2.7.41491.1121".to_owned()]),
            version: text("2.7.41491.1121"),
            half_installed: Fact::Known(false),
            packages: Fact::Known(true),
            extensions: Fact::Known(vec![]),
            extension_logs: Fact::Known(vec![]),
        },
        pending: PendingFacts {
            reboot_pending: Fact::Known(false),
            reboot_in_progress: Fact::Known(false),
            packages_pending: Fact::Known(false),
            update_reboot_required: Fact::Known(false),
            file_renames: Fact::Known(0),
            pending_xml: Fact::Known(false),
            name_change: Fact::Known(false),
        },
        answer_files: AnswerFileFacts { registry: Fact::Absent, files: Fact::Known(vec![]), custom_data: Fact::Absent },
        bitlocker: BitLockerFacts { prevent_device_encryption: Fact::Known(1) },
        hibernation: HibernationFacts { file: Fact::Absent, fast_startup: Fact::Known(0), enabled: Fact::Known(0) },
        sysprep: SysprepFacts {
            image_state: text("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"),
            image_state_file: text("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"),
            generalization_state: Fact::Known(3),
            cleanup_state: Fact::Known(2),
            setup: SetupFacts {
                in_progress: Fact::Known(1),
                kind: Fact::Known(2),
                command: text(r"oobe\windeploy.exe"),
                oobe_in_progress: Fact::Known(1),
                phase: Fact::Known(4),
                restart: Fact::Known(0),
            },
            child_completion: Fact::Known(BTreeMap::from([("setup.exe".to_owned(), 3)])),
            succeeded_tag: Fact::Known(true),
            error_log: Fact::Absent,
            skip_rearm: Fact::Known(0),
            machine_guid: Fact::Known(false),
            clone_tag: text("Fri Nov 20 10:00:00 2026"),
        },
        accounts: WindowsAccountsFacts {
            users: Fact::Known(vec![windows_user("Administrator", 500, true), windows_user("Guest", 501, true)]),
            administrator_enabled: Fact::Known(false),
            logon_rights: Fact::Known(vec![
                LogonRightsFacts {
                    sid: "S-1-5-32-544".to_owned(),
                    name: text("Administrators").value().cloned(),
                    rights: ["interactive", "network", "remote interactive"].map(str::to_owned).to_vec(),
                },
                LogonRightsFacts {
                    sid: "S-1-5-32-551".to_owned(),
                    name: Some("Backup Operators".to_owned()),
                    rights: vec!["network".to_owned()],
                },
                LogonRightsFacts { sid: "S-1-5-32-545".to_owned(), name: Some("Users".to_owned()), rights: vec!["network".to_owned()] },
                LogonRightsFacts { sid: "S-1-1-0".to_owned(), name: Some("Everyone".to_owned()), rights: vec!["network".to_owned()] },
                LogonRightsFacts {
                    sid: "S-1-5-32-555".to_owned(),
                    name: Some("Remote Desktop Users".to_owned()),
                    rights: vec!["remote interactive".to_owned()],
                },
            ]),
        },
    }
}
