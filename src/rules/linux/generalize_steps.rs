//! How this very Linux is made a template for many machines, in the order that works.
//!
//! The Azure Linux agent comes first, because it learns from `/var/lib/waagent/ovf-env.xml` whom it removes, and every recipe that empties
//! that directory before has it remove nobody. Histories come last, because every step before them is written there.

use super::network::dialect;
use super::{Distribution, Guest, people, provisioner};
use crate::facts::{Fact, LinuxFacts};
use crate::rules::{Skip, word};

/// The steps, in a root shell of the running machine: each a command, or a short instruction where it begins with a capital letter.
pub(crate) fn generalize_steps(guest: &Guest<'_>) -> Vec<String> {
    let mut steps = vec!["sudo -i".to_owned()];
    if guest.distribution() == Distribution::Flatcar {
        flatcar(guest, &mut steps);
    } else {
        deprovision(guest, &mut steps);
        accounts(guest, &mut steps);
        host_keys(guest, &mut steps);
        network(guest, &mut steps);
        host_name(guest, &mut steps);
        machine_id(guest.linux, &mut steps);
        subscriptions(guest.linux, &mut steps);
        remains(guest, &mut steps);
    }
    histories(guest, &mut steps);
    steps.push("poweroff".to_owned());
    steps.push("Copy the disk before the machine starts again".to_owned());
    steps
}

/// Ignition makes a machine of the installation, at a first boot.
fn flatcar(guest: &Guest<'_>, steps: &mut Vec<String>) {
    for user in people::to_remove(guest) {
        steps.push(if user.name == "core" {
            "rm -f /home/core/.ssh/authorized_keys*".to_owned()
        } else {
            people::remove(Distribution::Flatcar, &user.name)
        });
    }
    steps.push("rm -rf /var/lib/waagent/* /var/log/waagent.log".to_owned());
    steps.push("rm -f /etc/ssh/ssh_host_*".to_owned());
    steps.push("rm -f /etc/machine-id /etc/hostname".to_owned());
    let flatcar = guest.os.id.value().is_some_and(|id| id == "flatcar");
    steps.push(format!("touch {}", if flatcar { "/boot/flatcar/first_boot" } else { "/boot/ignition.firstboot" }));
}

/// The agents' own commands.
fn deprovision(guest: &Guest<'_>, steps: &mut Vec<String>) {
    if people::waagent_program(guest).is_some() {
        // Without a name in ovf-env.xml `+user` removes nobody.
        let user = if people::removed_by_waagent(guest).is_some() { "+user" } else { "" };
        steps.push(format!("waagent -force -deprovision{user}"));
    }
    if has_cloud_init(guest.linux) {
        // Not with --machine-id: some versions delete the file, and systemd cannot make it again on a root that is still read-only.
        steps.push("cloud-init clean --logs --seed".to_owned());
    } else if guest.linux.residue.cloud_init.value().is_some() {
        steps.push("rm -rf /var/lib/cloud/*".to_owned());
    }
    if people::waagent_program(guest).is_none() && guest.linux.residue.waagent.value().is_some() {
        steps.push("rm -rf /var/lib/waagent/*".to_owned());
    }
}

fn has_cloud_init(linux: &LinuxFacts) -> bool {
    linux.agents.cloud_init.value().is_some_and(|cloud| cloud.program.value().is_some())
}

fn accounts(guest: &Guest<'_>, steps: &mut Vec<String>) {
    let distribution = guest.distribution();
    let all = people::to_remove(guest);
    let gone = people::removed_by_waagent(guest);
    for user in all.iter().filter(|user| Some(user.name.as_str()) != gone) {
        // Whoever is logged in is removed by force only.
        let command = people::remove(distribution, &user.name);
        steps.push(command.replacen("userdel -r", "userdel -f -r", 1));
    }
    let named = |who: &[String]| who.iter().any(|name| all.iter().any(|user| user.name == *name));
    let sudo = guest.linux.accounts.sudo.value();
    let mut files: Vec<&str> = sudo
        .into_iter()
        .flat_map(|sudo| &sudo.rules)
        .filter(|rule| rule.path.starts_with("/etc/sudoers.d/") && named(&rule.who))
        .map(|rule| rule.path.as_str())
        .collect();
    files.dedup();
    remove(&files, steps);
    steps.push(people::lock_root(distribution).to_owned());
    steps.push("rm -f /root/.ssh/authorized_keys /root/.ssh/id_*".to_owned());
    let belongings = guest.linux.accounts.belongings.value().into_iter().flatten();
    let of_the_removed: Vec<&str> =
        belongings.map(String::as_str).filter(|path| all.iter().any(|user| path.rsplit('/').next() == Some(user.name.as_str()))).collect();
    remove(&of_the_removed, steps);
    // userdel and waagent make these anew, with the hashes of those whom they remove.
    steps.push("rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-".to_owned());
    let backups = guest.linux.accounts.backups.value().into_iter().flatten();
    let other: Vec<&str> = backups.map(|file| file.path.as_str()).filter(|path| !path.ends_with('-')).collect();
    remove(&other, steps);
}

fn remove(paths: &[&str], steps: &mut Vec<String>) {
    if !paths.is_empty() {
        steps.push(format!("rm -f {}", word::sh_all(paths)));
    }
}

fn host_keys(guest: &Guest<'_>, steps: &mut Vec<String>) {
    if !has_cloud_init(guest.linux)
        && matches!(guest.distribution(), Distribution::Debian | Distribution::Other)
        && let Some(agent) = guest.linux.agents.waagent.value()
        && let Some(configuration) = agent.configuration.value()
        && configuration.switch("Provisioning.RegenerateSshHostKeyPair") != Some(true)
    {
        steps.push(format!(
            "Set Provisioning.RegenerateSshHostKeyPair=y in {}, so that each machine makes keys of its own",
            configuration.path
        ));
    }
    steps.push("rm -f /etc/ssh/ssh_host_*".to_owned());
}

fn network(guest: &Guest<'_>, steps: &mut Vec<String>) {
    let linux = guest.linux;
    let installers = installers(guest).unwrap_or_default();
    remove(&installers, steps);
    let rewritten = is_network_rewritten(guest).unwrap_or(false);
    let rules = linux.network.udev_rules.value().into_iter().flatten();
    let names: Vec<&str> = rules.filter(|rule| rule.purpose == "persistent-names" && !rule.masked).map(|rule| rule.path.as_str()).collect();
    remove(&names, steps);
    let dialects = [&linux.network.netplan, &linux.network.network_manager, &linux.network.ifupdown, &linux.network.networkd];
    let mut rendered: Vec<&str> = dialects
        .into_iter()
        .filter_map(Fact::value)
        .flatten()
        // Where nobody writes it anew, what gives eth0 its address stays.
        .filter(|interface| is_rendered(&interface.path) && (rewritten || !dialect::covers(interface)))
        .map(|interface| interface.path.as_str())
        .collect();
    rendered.dedup();
    remove(&rendered, steps);
    let leases: Vec<&str> =
        linux.residue.leases.value().into_iter().flatten().map(String::as_str).filter(|path| !path.starts_with("/run/")).collect();
    remove(&leases, steps);
}

/// Files by which Ubuntu's installers keep cloud-init away from the network, to be removed where it runs.
pub(in crate::rules) fn installers<'a>(guest: &Guest<'a>) -> Result<Vec<&'a str>, Skip> {
    if provisioner::cloud_init(guest)? != provisioner::CloudInit::Starts {
        return Ok(vec![]);
    }
    let left = guest.linux.agents.cloud_init.value().and_then(|cloud| cloud.installer_leftovers.value());
    Ok(left.into_iter().flatten().map(String::as_str).collect())
}

/// Whether cloud-init writes the network anew on every new machine, once those files are gone.
pub(in crate::rules) fn is_network_rewritten(guest: &Guest<'_>) -> Result<bool, Skip> {
    if provisioner::cloud_init(guest)? != provisioner::CloudInit::Starts {
        return Ok(false);
    }
    let set_free = installers(guest)?.iter().any(|path| path.ends_with("networking.cfg") || path.ends_with("network.cfg"));
    Ok(set_free || dialect::by_cloud_init(guest)?)
}

/// Whether cloud-init has written a file of network configuration for the machine that it set up.
pub(in crate::rules) fn is_rendered(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("50-cloud-init") || name.starts_with("cloud-init-") || name.starts_with("10-cloud-init-")
}

fn host_name(guest: &Guest<'_>, steps: &mut Vec<String>) {
    let identity = &guest.linux.identity;
    let Some(host) = identity.host_name.value() else { return };
    if host.name == "localhost.localdomain" || host.name == "localhost" || host.name.is_empty() {
        return;
    }
    // waagent -deprovision sets it.
    if people::waagent_program(guest).is_none() {
        steps.push(people::forget_host_name(guest.distribution(), &host.path));
    }
    let lines = identity.hosts.value().into_iter().flatten();
    if lines.into_iter().any(|line| line.names.contains(&host.name)) {
        steps.push(format!("Take {} out of /etc/hosts", host.name));
    }
}

fn machine_id(linux: &LinuxFacts, steps: &mut Vec<String>) {
    let init = linux.services.value().and_then(|services| services.init.value());
    if init.is_some_and(|init| init != "systemd") {
        steps.push("rm -f /etc/machine-id /var/lib/dbus/machine-id".to_owned());
        return;
    }
    steps.push("truncate -s 0 /etc/machine-id".to_owned());
    if linux.identity.dbus_machine_id.value().is_some_and(|kind| kind != "link") {
        steps.push("ln -sf /etc/machine-id /var/lib/dbus/machine-id".to_owned());
    }
}

fn subscriptions(linux: &LinuxFacts, steps: &mut Vec<String>) {
    let mut kinds: Vec<&str> = linux.security.subscriptions.value().into_iter().flatten().map(|one| one.kind.as_str()).collect();
    kinds.dedup();
    steps.extend(kinds.into_iter().map(|kind| leave(kind).to_owned()));
}

/// Gives a registration up, with what it leaves on the disk.
pub(in crate::rules) fn leave(kind: &str) -> &'static str {
    match kind {
        "rhsm" => "subscription-manager unregister; subscription-manager clean",
        "rhn" => "rm -f /etc/sysconfig/rhn/systemid",
        "suse" => "SUSEConnect --de-register; SUSEConnect --cleanup",
        "ubuntu-pro" => "pro detach --assume-yes",
        _ => "Give the registration up",
    }
}

fn remains(guest: &Guest<'_>, steps: &mut Vec<String>) {
    let residue = &guest.linux.residue;
    let seeds: Vec<&str> = residue.seeds.value().into_iter().flatten().map(String::as_str).collect();
    remove(&seeds, steps);
    let kept = kept_homes(guest);
    let credentials: Vec<&str> = residue.credentials.value().into_iter().flatten().map(String::as_str).filter(|path| kept(path)).collect();
    remove(&credentials, steps);
    if residue.logs.value().is_none_or(|logs| !logs.is_empty()) {
        steps.push("rm -rf /var/log/azure /var/log/journal/* && find /var/log -type f -exec truncate -s 0 {} +".to_owned());
    }
    if residue.temporary.value().is_none_or(|count| *count > 0) {
        steps.push("rm -rf /tmp/* /var/tmp/*".to_owned());
    }
}

/// Whether a path is outside the homes that go with their accounts.
fn kept_homes<'a>(guest: &Guest<'a>) -> impl Fn(&str) -> bool + use<'a> {
    let gone: Vec<String> = people::to_remove(guest).iter().map(|user| format!("{}/", user.home.trim_end_matches('/'))).collect();
    move |path| !gone.iter().any(|home| path.starts_with(home.as_str()))
}

fn histories(guest: &Guest<'_>, steps: &mut Vec<String>) {
    let kept = kept_homes(guest);
    let mut paths: Vec<&str> =
        guest.linux.residue.histories.value().into_iter().flatten().map(|file| file.path.as_str()).filter(|path| kept(path)).collect();
    if !paths.contains(&"/root/.bash_history") {
        paths.push("/root/.bash_history");
    }
    steps.push(format!("unset HISTFILE; rm -f {}", word::sh_all(&paths)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::linux::Guest;
    use crate::rules::testing::linux::user;
    use crate::rules::testing::*;

    fn steps(facts: &DiskFacts) -> Vec<String> {
        let os = facts.os.value().unwrap();
        generalize_steps(&Guest { os, linux: os.linux.value().unwrap() })
    }

    fn place(steps: &[String], start: &str) -> usize {
        steps.iter().position(|step| step.starts_with(start)).unwrap_or_else(|| panic!("{start} in {steps:#?}"))
    }

    fn specialized(change: impl FnOnce(&mut LinuxFacts)) -> Vec<String> {
        steps(&specialized_linux(|facts| change(known(&mut known(&mut facts.os).linux))))
    }

    fn state(user: Fact<String>) -> Fact<WaagentStateFacts> {
        Fact::Known(WaagentStateFacts {
            provisioned: true,
            ovf_env: user.value().is_some(),
            ovf_user: user,
            certificates: 2,
            goal_states: 3,
            extensions: vec![],
            disabled: false,
        })
    }

    #[test]
    fn every_step_is_one_line() {
        for facts in [healthy_os(), specialized_linux(|_| {})] {
            for step in steps(&facts) {
                assert!(!step.is_empty() && !step.contains('\n') && !step.ends_with('.'), "{step:?}");
            }
        }
    }

    #[test]
    fn the_agent_comes_before_what_empties_its_directory_and_histories_come_last() {
        let steps = specialized(|l| {
            l.residue.waagent = state(Fact::Known("azureuser".to_owned()));
            known(&mut l.accounts.users).push(user("app", 1001, "/home/app", "/bin/bash", "set"));
            known(&mut l.residue.histories).push(FileFacts { path: "/home/app/.bash_history".to_owned(), size: 10 });
            known(&mut l.residue.histories).push(FileFacts { path: "/srv/x/.bash_history".to_owned(), size: 10 });
        });
        let order = [
            "waagent -force -deprovision+user",
            "cloud-init clean",
            "userdel -f -r app",
            "usermod -p '*' root",
            "rm -f /etc/passwd-",
            "truncate -s 0 /etc/machine-id",
            "unset HISTFILE; rm -f /srv/x/.bash_history /root/.bash_history",
            "poweroff",
        ];
        assert!(order.iter().map(|start| place(&steps, start)).is_sorted(), "{steps:#?}");
        assert!(!steps.iter().any(|step| step.contains("userdel -f -r azureuser")), "waagent does: {steps:#?}");
    }

    #[test]
    fn accounts_are_removed_by_name_where_the_agent_would_remove_nobody() {
        for ovf in [Fact::Absent, Fact::Known("somebody-else".to_owned())] {
            let steps = specialized(|l| l.residue.waagent = state(ovf));
            place(&steps, "userdel -f -r azureuser");
            assert!(steps.contains(&"waagent -force -deprovision".to_owned()), "{steps:#?}");
        }
        let steps = specialized(|l| l.agents.waagent = Fact::Absent);
        assert!(!steps.iter().any(|step| step.starts_with("waagent")), "{steps:#?}");
        place(&steps, "echo localhost.localdomain > /etc/hostname");
    }

    #[test]
    fn distributions_have_their_own_commands() {
        let of = |id: &str, change: fn(&mut LinuxFacts)| {
            steps(&specialized_linux(|facts| {
                let os = known(&mut facts.os);
                os.id = Fact::Known(id.to_owned());
                change(known(&mut os.linux));
            }))
        };
        let alpine = of("alpine", |l| known(&mut l.services).init = Fact::Known("openrc".to_owned()));
        for start in ["deluser --remove-home azureuser", "sed -i", "rm -f /etc/machine-id /var/lib/dbus/machine-id"] {
            place(&alpine, start);
        }
        let flatcar = of("flatcar", |_| {});
        place(&flatcar, "touch /boot/flatcar/first_boot");
        let subscribed = of("rhel", |l| {
            let one = SubscriptionFacts { kind: "rhsm".to_owned(), path: "/etc/pki/consumer/cert.pem".to_owned() };
            l.security.subscriptions = Fact::Known(vec![one.clone(), one]);
        });
        assert_eq!(subscribed.iter().filter(|step| step.starts_with("subscription-manager")).count(), 1, "{subscribed:#?}");
    }

    /// Ubuntu's installer writes 50-cloud-init.yaml itself, and forbids cloud-init to.
    #[test]
    fn the_last_configuration_of_the_network_stays_where_nobody_writes_it_anew() {
        let of = |change: fn(&mut LinuxFacts)| {
            specialized(|l| {
                l.network.ifupdown = Fact::Absent;
                l.network.netplan = Fact::Known(vec![crate::rules::testing::linux::interface("/etc/netplan/50-cloud-init.yaml", "eth0")]);
                change(l);
            })
        };
        let removed = |steps: &[String]| steps.iter().any(|step| step == "rm -f /etc/netplan/50-cloud-init.yaml");
        assert!(removed(&of(|_| {})));
        assert!(!removed(&of(|l| {
            l.agents.cloud_init = Fact::Absent;
            known(&mut l.packages).of_interest.retain(|package| package.name != "cloud-init");
        })));
        let forbidden = |l: &mut LinuxFacts| known(&mut known(&mut l.agents.cloud_init).configuration).network_disabled = true;
        assert!(!removed(&of(forbidden)));
        let by_installer = of(|l| {
            let cloud = known(&mut l.agents.cloud_init);
            known(&mut cloud.configuration).network_disabled = true;
            cloud.installer_leftovers = Fact::Known(vec!["/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg".to_owned()]);
        });
        place(&by_installer, "rm -f /etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg");
        assert!(removed(&by_installer), "{by_installer:#?}");
    }

    #[test]
    fn files_of_this_machine_are_named() {
        let steps = specialized(|l| {
            let rule = |path: &str, who: &str| SudoRuleFacts {
                path: path.to_owned(),
                line: 1,
                who: vec![who.to_owned()],
                no_password: true,
                everything: true,
            };
            known(&mut l.accounts.sudo).rules = vec![rule("/etc/sudoers", "root"), rule("/etc/sudoers.d/90-cloud-init-users", "azureuser")];
            known(&mut l.network.udev_rules).push(UdevRuleFacts {
                path: "/etc/udev/rules.d/70-persistent-net.rules".to_owned(),
                purpose: "persistent-names".to_owned(),
                masked: false,
                names: 1,
            });
            let mut rendered = crate::rules::testing::linux::interface("/etc/network/interfaces.d/50-cloud-init", "eth0");
            rendered.mac = Some("00:0d:3a:aa:bb:cc".to_owned());
            known(&mut l.network.ifupdown).push(rendered);
            l.identity.dbus_machine_id = Fact::Known("different".to_owned());
            l.agents.cloud_init = Fact::Absent;
            known(&mut l.residue.seeds).push("/var/lib/systemd/random-seed".to_owned());
        });
        for start in [
            "rm -f /etc/sudoers.d/90-cloud-init-users",
            "rm -f /etc/udev/rules.d/70-persistent-net.rules",
            "rm -f /etc/network/interfaces.d/50-cloud-init",
            "ln -sf /etc/machine-id /var/lib/dbus/machine-id",
            "rm -f /var/lib/systemd/random-seed",
            "Set Provisioning.RegenerateSshHostKeyPair=y in /etc/waagent.conf",
        ] {
            place(&steps, start);
        }
    }
}
