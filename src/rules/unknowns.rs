//! Properties of all rules: a fact that could not be learnt makes a rule undecided at most.
//!
//! Every fact of a few disks is made unknown, one at a time. Then no rule may say anything that it did not say before, but that it is
//! undecided: no pass that was a finding, no finding that was a pass, and nothing that is not applicable because nobody could look.

use super::testing::*;
use super::{Outcomes, Severity, Skip, Target, Verdict, judge};
use crate::facts::*;

macro_rules! forget {
    ($facts:expr, $($field:ident).+) => { $facts.$($field).+ = Fact::unknown("it could not be read") };
    ($facts:expr, $($field:ident).+ ? $($rest:tt)+) => {
        if let Fact::Known(inner) = &mut $facts.$($field).+ {
            forget!(inner, $($rest)+);
        }
    };
}

/// Ways to forget one fact, each with its name.
type Ways = Vec<(&'static str, fn(&mut DiskFacts))>;

macro_rules! ways {
    ($reach:expr; $([$($path:tt)+])*) => {
        vec![$((stringify!($($path)+), |disk| {
            let reach: for<'a> fn(&'a mut DiskFacts) -> Option<&'a mut _> = $reach;
            if let Some(facts) = reach(disk) {
                forget!(facts, $($path)+);
            }
        })),*]
    };
}

fn os_of(disk: &mut DiskFacts) -> Option<&mut OsFacts> {
    if let Fact::Known(os) = &mut disk.os { Some(os) } else { None }
}

fn linux_of(disk: &mut DiskFacts) -> Option<&mut LinuxFacts> {
    if let Fact::Known(linux) = &mut os_of(disk)?.linux { Some(linux) } else { None }
}

fn windows_of(disk: &mut DiskFacts) -> Option<&mut WindowsFacts> {
    if let Fact::Known(windows) = &mut os_of(disk)?.windows { Some(windows) } else { None }
}

fn of_disks() -> Ways {
    ways![|disk| Some(disk);
        [role] [kind] [virtual_size] [sector_size] [allocated_size] [footer] [footer_copy] [dynamic_header] [block_table] [bitmaps]
        [bitmaps ? conflicts] [parents] [stale_footers] [readable] [partition_table] [partitions] [content] [content ? size]
        [content ? used] [content ? clean] [volumes] [volume_groups] [boot] [boot ? generations] [boot ? architecture] [boot ? loaders]
        [boot ? esp] [boot ? esp ? windows_boot_manager] [boot ? esp ? bcd] [boot ? esp ? grub_configs] [boot ? esp ? fallback]
        [boot ? esp ? fallback ? complete] [os]
    ]
}

fn of_systems() -> Ways {
    ways![os_of;
        [family] [id] [version] [name] [architecture] [host_name] [state] [root] [linux] [windows]
    ]
}

fn of_linux() -> Ways {
    ways![linux_of;
        [kernels] [modules.modprobe] [modules.dracut] [modules.dracut ? host_only] [modules.initramfs_tools]
        [modules.initramfs_tools ? policy] [modules.mkinitcpio] [modules.mkinitfs] [modules.dkms] [modules.out_of_tree] [boot.loader]
        [boot.entries] [boot.default_entry] [boot.command_line] [boot.command_line_source] [boot.parameters] [boot.consoles] [boot.root]
        [boot.root_flags] [boot.grub] [boot.default_grub] [boot.unified_kernels] [packages] [services] [services ? init]
        [services ? default_target] [services ? cloud_init_generator] [agents.waagent] [agents.waagent ? program]
        [agents.waagent ? version] [agents.waagent ? fetched] [agents.waagent ? configuration] [agents.waagent ? disabled_by_file]
        [agents.cloud_init] [agents.cloud_init ? program] [agents.cloud_init ? version] [agents.cloud_init ? disabled_by_file]
        [agents.cloud_init ? ds_identify] [agents.cloud_init ? configuration] [agents.cloud_init ? installer_leftovers]
        [agents.cloud_init ? configuration_override] [agents.azure_proxy_agent] [hypervisor_tools] [mounts.fstab] [mounts.crypttab]
        [mounts.units] [mounts.swap_files] [mounts.lvm_devices] [network.netplan] [network.ifcfg] [network.network_manager]
        [network.ifupdown] [network.networkd] [network.links] [network.udev_rules] [network.unmanaged_devices]
        [network.dhcp_sets_host_name] [identity.machine_id] [identity.dbus_machine_id] [identity.host_name] [identity.hosts]
        [accounts.users] [accounts.root_locked_by_waagent] [accounts.sources] [accounts.backups] [accounts.sudo] [accounts.belongings]
        [ssh.installed] [ssh.settings] [ssh.has_match] [ssh.host_keys] [residue.cloud_init] [residue.cloud_init ? datasource]
        [residue.waagent] [residue.waagent ? ovf_user] [residue.histories] [residue.leases] [residue.logs] [residue.seeds]
        [residue.credentials] [residue.temporary] [residue.resolv_conf] [security.selinux] [security.selinux ? label_of_passwd]
        [security.subscriptions] [security.firewalls] [security.package_hosts] [security.chrony]
    ]
}

fn of_windows() -> Ways {
    ways![windows_of;
        [hives.system] [hives.system ? recovery] [hives.software] [hives.software ? recovery] [hives.sam] [hives.sam ? recovery]
        [hives.security] [hives.security ? recovery] [hives.control_set] [product.name] [product.registry_name] [product.edition]
        [product.installation_type] [product.version] [product.build] [product.revision] [product.display_version] [product.release_id]
        [product.processor] [product.kernel_machine] [product.product_type] [product.system_root] [product.dot_net_4]
        [name.computer_name] [name.active_computer_name] [name.host_name] [name.nv_host_name] [name.domain] [name.nv_domain]
        [name.logon_domain] [name.primary_domain] [services] [system.real_time_is_universal] [system.time_zone] [system.san_policy]
        [system.power_scheme] [system.temp] [system.tmp] [system.page_files] [system.boot_execute] [system.removable_storage_denied]
        [system.cd_read_denied] [system.app_locker] [network.interfaces] [network.persistent_routes] [network.winhttp_proxy]
        [rdp.deny_connections] [rdp.enabled] [rdp.drain_mode] [rdp.user_enabled] [rdp.station] [rdp.station ? port]
        [rdp.station ? lan_adapter] [rdp.station ? enabled] [rdp.station ? logon_disabled] [rdp.station ? user_authentication]
        [rdp.station ? security_layer] [rdp.station ? keep_alive_timeout] [rdp.station ? inherit_reconnect_same]
        [rdp.station ? reconnect_same] [rdp.station ? max_instances] [rdp.station ? certificate_pinned] [rdp.policy.deny_connections]
        [rdp.policy.keep_alive_enable] [rdp.policy.keep_alive_interval] [rdp.policy.disable_auto_reconnect]
        [rdp.policy.user_authentication] [rdp.policy.security_layer] [firewall.domain.enabled] [firewall.domain.default_inbound]
        [firewall.domain.default_outbound] [firewall.domain.policy_enabled] [firewall.domain.policy_default_inbound]
        [firewall.domain.policy_default_outbound] [firewall.private.enabled] [firewall.private.default_inbound]
        [firewall.private.default_outbound] [firewall.private.policy_enabled] [firewall.private.policy_default_inbound]
        [firewall.private.policy_default_outbound] [firewall.public.enabled] [firewall.public.default_inbound]
        [firewall.public.default_outbound] [firewall.public.policy_enabled] [firewall.public.policy_default_inbound]
        [firewall.public.policy_default_outbound] [firewall.rules] [firewall.policy_rules] [firewall.rule_count] [winrm.listeners]
        [crash.dump_enabled] [crash.dump_file] [crash.nmi_dump] [crash.auto_reboot] [crash.local_dump_folder] [crash.local_dump_type]
        [crash.local_dump_count] [crash.local_crash_count] [boot_store] [boot_store ? manager] [boot_store ? manager ? device]
        [boot_store ? manager ? device ? partition] [boot_store ? manager ? path] [boot_store ? manager ? default]
        [boot_store ? manager ? display_menu] [boot_store ? manager ? timeout] [boot_store ? manager ? ems]
        [boot_store ? manager ? no_integrity_checks] [boot_store ? manager ? test_signing] [boot_store ? default]
        [boot_store ? default ? kind] [boot_store ? default ? description] [boot_store ? default ? device]
        [boot_store ? default ? device ? partition] [boot_store ? default ? path] [boot_store ? default ? os_device]
        [boot_store ? default ? os_device ? partition] [boot_store ? default ? system_root] [boot_store ? default ? recovery_enabled]
        [boot_store ? default ? boot_status_policy] [boot_store ? default ? boot_ems] [boot_store ? default ? ems]
        [boot_store ? default ? no_integrity_checks] [boot_store ? default ? test_signing] [boot_store ? default ? safe_boot]
        [boot_store ? ems_port] [boot_store ? ems_baud_rate] [drives] [agent.registered] [agent.directories] [agent.version]
        [agent.half_installed] [agent.packages] [agent.extensions] [agent.extension_logs] [pending.reboot_pending]
        [pending.reboot_in_progress] [pending.packages_pending] [pending.update_reboot_required] [pending.file_renames]
        [pending.pending_xml] [pending.name_change] [answer_files.registry] [answer_files.files] [answer_files.custom_data]
        [bitlocker.prevent_device_encryption] [hibernation.file] [hibernation.fast_startup] [hibernation.enabled] [sysprep.image_state]
        [sysprep.image_state_file] [sysprep.generalization_state] [sysprep.cleanup_state] [sysprep.setup.in_progress]
        [sysprep.setup.kind] [sysprep.setup.command] [sysprep.setup.oobe_in_progress] [sysprep.setup.phase] [sysprep.setup.restart]
        [sysprep.child_completion] [sysprep.succeeded_tag] [sysprep.error_log] [sysprep.skip_rearm] [sysprep.machine_guid]
        [sysprep.clone_tag] [accounts.users] [accounts.administrator_enabled] [accounts.logon_rights]
    ]
}

/// Disks, healthy and with many faults, and what they are asked for.
fn disks() -> Vec<(&'static str, DiskFacts, Option<State>)> {
    use State::{Generalized, Specialized};
    vec![
        ("linux", linux(|_| {}), None),
        ("linux", linux(|_| {}), Some(Generalized)),
        ("linux", linux(|_| {}), Some(Specialized)),
        ("one linux", specialized_linux(|_| {}), Some(Specialized)),
        ("one linux", specialized_linux(|_| {}), Some(Generalized)),
        ("windows", windows(|_| {}), None),
        ("windows", windows(|_| {}), Some(Generalized)),
        ("windows", windows(|_| {}), Some(Specialized)),
        ("one windows", specialized_windows(|_| {}), Some(Specialized)),
        ("one windows", specialized_windows(|_| {}), Some(Generalized)),
        ("data", healthy_data(), None),
        ("dynamic", dynamic(|_| {}), None),
    ]
}

/// Facts that are faults by themselves, and rules that pass whatever the fact may be, with nothing wrong in either case.
const ALLOWED: [(&str, &str); 6] = [
    ("VHD107", "readable"),
    ("GEN017", "role"),
    ("GEN018", "role"),
    ("LNX017", "agents.cloud_init"),
    ("LNX017", "agents.cloud_init ? version"),
    ("LNX017", "agents.cloud_init ? disabled_by_file"),
];

fn ask_all(facts: &DiskFacts, state: Option<State>) -> (Outcomes, Target) {
    let target = Target { state, ..Target::default() };
    (judge(&[subject(facts)], &target, &[]), target)
}

/// An answer, in a word.
fn word(result: &Result<usize, Skip>) -> &'static str {
    match result {
        Ok(0) => "pass",
        Ok(_) => "finding",
        Err(Skip::NotApplicable(_)) => "not applicable",
        Err(Skip::Undecided(_)) => "undecided",
    }
}

#[test]
fn what_is_not_known_is_never_taken_for_something() {
    let all: Ways = [of_disks(), of_systems(), of_linux(), of_windows()].concat();
    let mut wrong = Vec::new();
    let mut undecided = 0;
    for (name, disk, state) in disks() {
        let (before, _) = ask_all(&disk, state);
        for (fact, forget) in &all {
            let mut less = disk.clone();
            forget(&mut less);
            if less == disk {
                continue;
            }
            let (after, target) = ask_all(&less, state);
            for (was, is) in before.outcomes.iter().zip(&after.outcomes) {
                let (code, was_word, is_word) = (is.rule.code, word(&was.result), word(&is.result));
                undecided += usize::from(was_word != is_word && is_word == "undecided");
                if was_word != is_word && is_word != "undecided" && !ALLOWED.contains(&(code, *fact)) {
                    wrong.push(format!("{code} {:?} {name} {state:?}, {fact}: {was_word} became {is_word}", is.severity));
                }
                if is_word == "undecided" && is.severity == Severity::Error {
                    assert_ne!(after.verdict(&target, None), Verdict::Ready, "{code} {name} {fact}");
                }
            }
        }
    }
    assert!(undecided > 1000, "only {undecided} answers became undecided: the facts are not reached");
    assert!(wrong.is_empty(), "{} answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn nothing_is_ready_without_the_facts_that_count() {
    use State::{Generalized, Specialized};
    let disk = |name: &str, state: State| match (name, state) {
        ("windows", Generalized) => windows(|_| {}),
        ("windows", _) => specialized_windows(|_| {}),
        (_, Generalized) => linux(|_| {}),
        _ => specialized_linux(|_| {}),
    };
    let both: &[State] = &[Generalized, Specialized];
    let cases: [(&str, Ways, &[&str], &[State]); 8] = [
        ("linux", of_disks(), &["os", "boot", "partitions", "role", "partition_table", "kind"], both),
        ("windows", of_disks(), &["os", "boot", "partitions", "role", "partition_table", "kind", "virtual_size"], both),
        ("linux", of_systems(), &["state", "linux"], both),
        ("windows", of_systems(), &["state", "windows"], both),
        ("linux", of_linux(), &["kernels", "services", "mounts.fstab", "boot.parameters", "ssh.installed"], both),
        ("linux", of_linux(), &["accounts.users", "agents.waagent", "agents.cloud_init", "ssh.host_keys"], &[Generalized]),
        ("linux", of_linux(), &["accounts.users"], &[Specialized]),
        (
            "windows",
            of_windows(),
            &["services", "boot_store", "rdp.deny_connections", "firewall.rules", "firewall.public.enabled", "sysprep.setup.kind"],
            both,
        ),
    ];
    let mut ready = Vec::new();
    for (name, ways, facts, states) in cases {
        for fact in facts {
            let (_, forget) = ways.iter().find(|(known, _)| known == fact).expect(fact);
            for state in states {
                let mut disk = disk(name, *state);
                forget(&mut disk);
                let (said, target) = ask_all(&disk, Some(*state));
                if said.verdict(&target, None) == Verdict::Ready {
                    ready.push(format!("{name} {state:?} without {fact}"));
                }
            }
        }
    }
    assert!(ready.is_empty(), "ready all the same: {ready:#?}");
}
