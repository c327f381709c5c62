//! LG-03, LG-06, LG-07: what makes one machine of an installation.

use crate::facts::State;
use crate::rules::linux::{self, Distribution, Guest, people, provisioner};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LGN003",
    name: "host-keys-left",
    requirement: "LG-03",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No SSH host keys are left on a template.",
    azure_error: None,
    source: source::LINUX_CLOUD_INIT_SOURCE,
    docs: r"## What it checks

Private host keys in `/etc/ssh`, where cloud-init (`ssh_deletekeys`, on unless it is switched off) or the Azure Linux agent
(`RegenerateSshHostKeyPair`) makes new ones on every machine.

## Why it matters

The machines get keys of their own, but the old ones go to everybody who gets the image, and may still be those of the machine that the
image was made of.

## How to fix it

Delete them.",
    check: Check::Disk(check),
};

pub(in crate::rules) static SHARED: Rule = Rule {
    code: "LGN103",
    name: "host-keys-shared",
    requirement: "LG-03",
    also: &[],
    // Machines come up and are reached all the same: what is lost is that their keys are their own.
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "Every machine has SSH host keys of its own.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

Private host keys in `/etc/ssh`, where neither cloud-init nor the Azure Linux agent replaces them.

## Why it matters

All machines that are made from the disk show the same key. Whoever has one of them, or the image, can pass for any other, and no client
notices.

## How to fix it

Delete the keys, and have them made anew: set `RegenerateSshHostKeyPair` in the agent's configuration, or leave cloud-init its
`ssh_deletekeys`.",
    check: Check::Disk(same),
};

pub(in crate::rules) static NONE_MADE: Rule = Rule {
    code: "LGN203",
    name: "no-host-keys-made",
    requirement: "LG-03",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Debian and Ubuntu OS disks, used as generalized",
    summary: "Something makes the SSH host keys that are not there.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

Where no private host key is left in `/etc/ssh`: that cloud-init provisions, or that the Azure Linux agent does and is told
`RegenerateSshHostKeyPair=y`. Only on Debian up to 12 and Ubuntu, whose SSH server makes none by itself.

## Why it matters

sshd does not start without a host key, and nobody can connect.

## How to fix it

Set `Provisioning.RegenerateSshHostKeyPair=y` in the agent's configuration.",
    check: Check::Disk(none_made),
};

pub(in crate::rules) static ID: Rule = Rule {
    code: "LGN006",
    name: "machine-id-left",
    requirement: "LG-06",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "A template has no machine id.",
    azure_error: None,
    source: source::LINUX_MACHINE_ID,
    docs: r"## What it checks

That `/etc/machine-id` is empty or says `uninitialized`, and that D-Bus's copy follows it. `waagent -deprovision` and `cloud-init clean`
leave it as it is.

## Why it matters

All machines that are made from the disk have the same id. DHCP servers take them for one machine, logs that are collected are mixed up,
and agents that register by it overwrite each other.

## How to fix it

Empty the file; do not delete it.",
    check: Check::Disk(machine_id),
};

pub(in crate::rules) static NO_ID: Rule = Rule {
    code: "LGN106",
    name: "machine-id-missing",
    requirement: "LG-06",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized, with systemd",
    summary: "/etc/machine-id exists.",
    azure_error: None,
    source: source::LINUX_MACHINE_ID,
    docs: r"## What it checks

That the file exists where systemd starts the system. `cloud-init clean --machine-id` deletes it in some versions.

## Why it matters

systemd cannot make the file while the root file system is still read-only. It goes on with an id of its own for this boot: each boot has
another one, and every boot counts as the first.

## How to fix it

Make an empty file.",
    check: Check::Disk(no_id),
};

pub(in crate::rules) static NAME: Rule = Rule {
    code: "LGN007",
    name: "host-name-left",
    requirement: "LG-07",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "A template has no host name of one machine.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

The host name, and the names of the machine's own address in `/etc/hosts`.

## Why it matters

Azure gives each machine its name at provisioning. Until then, and wherever `/etc/hosts` is asked, it has the name of the former one.

## How to fix it

Set the host name to `localhost.localdomain`, and take the old one out of `/etc/hosts`.",
    check: Check::Disk(name),
};

pub(in crate::rules) static KEPT: Rule = Rule {
    code: "LGN107",
    name: "host-name-kept",
    requirement: "LG-07",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized, where cloud-init provisions",
    summary: "cloud-init may set the host name.",
    azure_error: None,
    source: source::LINUX_CLOUD_INIT_SOURCE,
    docs: r"## What it checks

`preserve_hostname: true` in cloud-init's configuration, beside a host name of one machine.

## Why it matters

cloud-init leaves the host name alone, so that every machine that is made from the disk has the same one.

## How to fix it

Set `preserve_hostname: false`.",
    check: Check::Disk(kept),
};

/// The Linux of a disk that is used as generalized.
fn asked<'a>(subject: &Subject<'a>, target: &Target) -> Result<Guest<'a>, Skip> {
    let guest = linux::guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    Ok(guest)
}

/// Whether cloud-init or the agent replaces host keys on every new machine, once it provisions: what keeps it from that is told elsewhere.
fn are_replaced(guest: &Guest<'_>) -> Result<bool, Skip> {
    use provisioner::Provisioner::{CloudInit, Conflict, Waagent};
    provisioner::demand_agents(guest)?;
    let who = provisioner::provisioner(guest)?;
    let installed = provisioner::installed_cloud_init(guest)?.is_some();
    if matches!(who, CloudInit | Conflict) || (who != Waagent && installed) {
        return Ok(provisioner::cloud_config(guest)?.is_none_or(|config| config.ssh_deletekeys != Some(false)));
    }
    // What the configuration does not say is no.
    let agent = provisioner::waagent(guest)?.and_then(|agent| agent.configuration.value());
    Ok(agent.and_then(|configuration| configuration.switch("Provisioning.RegenerateSshHostKeyPair")) == Some(true))
}

fn private_keys(guest: &Guest<'_>) -> Result<Vec<String>, Skip> {
    let keys = guest.linux.ssh.host_keys.known()?.map(Vec::as_slice).unwrap_or_default();
    Ok(keys.iter().filter(|key| key.private).map(|key| key.path.clone()).collect())
}

fn keys_left(subject: &Subject<'_>, target: &Target, replaced: bool, effect: &str) -> Judgement {
    let guest = asked(subject, target)?;
    let keys = private_keys(&guest)?;
    if keys.is_empty() || are_replaced(&guest)? != replaced {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!(
            "{} SSH host key{} left ({}); {effect}",
            keys.len(),
            if keys.len() == 1 { " is" } else { "s are" },
            shared::first_three(&keys, ", ")
        ),
        actual: if keys.len() == 1 { "1 host key".to_owned() } else { format!("{} host keys", keys.len()) },
        required: "none, and new ones on every machine".to_owned(),
        place: keys.first().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand(if replaced {
            "rm -f /etc/ssh/ssh_host_*".to_owned()
        } else {
            format!("{}; rm -f /etc/ssh/ssh_host_*", make_them(&guest))
        }),
    }])
}

/// Has keys made on every machine.
fn make_them(guest: &Guest<'_>) -> String {
    let settings = guest.linux.agents.waagent.value().and_then(|agent| agent.configuration.value());
    match (provisioner::provisioner(guest), settings) {
        (Ok(provisioner::Provisioner::CloudInit | provisioner::Provisioner::Conflict), _) => {
            "take ssh_deletekeys: false out of the files of /etc/cloud".to_owned()
        }
        (_, Some(file)) => format!("set Provisioning.RegenerateSshHostKeyPair=y in {}", file.path),
        _ => "have cloud-init or the Azure Linux agent make new ones on every machine".to_owned(),
    }
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    keys_left(subject, target, true, "new machines replace them, but whoever gets the image has those of the machine that it was made of")
}

fn same(subject: &Subject<'_>, target: &Target) -> Judgement {
    keys_left(subject, target, false, "nothing replaces them, so that every machine that is made from the disk has the same")
}

fn none_made(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    // Later releases have a unit that makes them.
    let concerns = match guest.os.id.known()?.map(String::as_str) {
        Some("ubuntu") => true,
        Some("debian") => provisioner::is_below(guest.os.version.known()?.map(String::as_str).unwrap_or_default(), &[13]),
        _ => false,
    };
    if !concerns || guest.linux.ssh.installed.known()? != Some(&true) {
        return Err(Skip::not_applicable("its SSH server makes host keys by itself"));
    }
    let who = provisioner::provisioner(&guest)?;
    if !private_keys(&guest)?.is_empty() || !matches!(who, provisioner::Provisioner::Waagent) || are_replaced(&guest)? {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "no SSH host keys are left, and the Azure Linux agent is not told to make any: sshd does not start without".to_owned(),
        actual: "Provisioning.RegenerateSshHostKeyPair is not y".to_owned(),
        required: "host keys are made at the first boot".to_owned(),
        place: shared::file("/etc/waagent.conf", None),
        remedy: Remedy::hand(make_them(&guest)),
    }])
}

fn machine_id(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let state = guest.linux.identity.machine_id.known()?.map(|id| id.state.as_str());
    let bus = guest.linux.identity.dbus_machine_id.value().map(String::as_str);
    let link = if matches!(bus, Some("same" | "different")) { "; ln -sf /etc/machine-id /var/lib/dbus/machine-id" } else { "" };
    let (actual, path) = match state {
        Some("set") => ("/etc/machine-id holds the id of one machine", "/etc/machine-id"),
        Some("malformed") => ("/etc/machine-id holds no valid id", "/etc/machine-id"),
        _ if bus == Some("different") => ("/var/lib/dbus/machine-id holds the id of one machine", "/var/lib/dbus/machine-id"),
        _ => return Ok(vec![]),
    };
    let empty = if guest.distribution() == Distribution::Flatcar { "rm /etc/machine-id" } else { "truncate -s 0 /etc/machine-id" };
    Ok(vec![Finding {
        message: format!("{actual}; every machine that is made from the disk would have the same"),
        actual: actual.to_owned(),
        required: if guest.distribution() == Distribution::Flatcar { "no /etc/machine-id" } else { "an empty /etc/machine-id" }.to_owned(),
        place: shared::file(path, None),
        remedy: Remedy::hand(format!("{empty}{link}")),
    }])
}

fn no_id(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let none = || Skip::not_applicable("it needs no such file");
    if guest.distribution() == Distribution::Flatcar {
        return Err(none());
    }
    let init = guest.linux.services.known()?.map(|services| services.init.known()).transpose()?.flatten();
    if init.is_none_or(|init| init != "systemd") {
        return Err(none());
    }
    if guest.linux.identity.machine_id.known()?.is_some() {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message:
            "/etc/machine-id is missing: systemd cannot make it while the root file system is read-only, so that each boot has another id"
                .to_owned(),
        actual: "no /etc/machine-id".to_owned(),
        required: "an empty /etc/machine-id".to_owned(),
        place: shared::file("/etc/machine-id", None),
        remedy: Remedy::hand("touch /etc/machine-id"),
    }])
}

/// Whether a name is one that installations have before they are given one.
pub(in crate::rules::linux) fn is_neutral(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or(name);
    matches!(first, "" | "localhost" | "debian" | "ubuntu" | "fedora" | "linux" | "alpine" | "archlinux" | "azurelinux")
        || first.starts_with("ip6-")
        || name.eq_ignore_ascii_case("(none)")
}

fn name(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let identity = &guest.linux.identity;
    let mut out = Vec::new();
    if let Some(host) = identity.host_name.known()?.filter(|host| !is_neutral(&host.name)) {
        out.push(Finding {
            message: format!("{} still names one machine, {}", host.path, host.name),
            actual: host.name.clone(),
            required: "localhost.localdomain".to_owned(),
            place: shared::file(&host.path, None),
            remedy: Remedy::hand(people::forget_host_name(guest.distribution(), &host.path)),
        });
    }
    let own = |address: &str| address.starts_with("127.");
    for line in identity.hosts.known()?.into_iter().flatten().filter(|line| own(&line.address)) {
        let names: Vec<String> = line.names.iter().filter(|name| !is_neutral(name)).cloned().collect();
        if !names.is_empty() {
            out.push(Finding {
                message: format!(
                    "/etc/hosts gives the machine's own address {} the name of one machine, {}",
                    line.address,
                    names.join(" ")
                ),
                actual: names.join(" "),
                required: "localhost".to_owned(),
                place: shared::file("/etc/hosts", u32::try_from(line.line).ok()),
                // The line may name localhost too, and others below it would move up.
                remedy: Remedy::hand(format!("take {} out of line {} of /etc/hosts", names.join(" "), line.line)),
            });
        }
    }
    Ok(out)
}

fn kept(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    if provisioner::provisioner(&guest)? != provisioner::Provisioner::CloudInit {
        return Err(Skip::not_applicable("cloud-init does not provision"));
    }
    let preserved = provisioner::cloud_config(&guest)?.and_then(|config| config.preserve_hostname) == Some(true);
    let Some(host) = guest.linux.identity.host_name.known()?.filter(|host| preserved && !is_neutral(&host.name)) else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!("preserve_hostname has cloud-init leave the host name, so that every machine is called {}", host.name),
        actual: format!("preserve_hostname: true, and {} names {}", host.path, host.name),
        required: "preserve_hostname: false".to_owned(),
        place: shared::file("/etc/cloud/cloud.cfg", None),
        remedy: Remedy::hand("set preserve_hostname: false in /etc/cloud/cloud.cfg"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    const ALL: [(&str, &Rule); 7] = [
        ("LGN003", &RULE),
        ("LGN103", &SHARED),
        ("LGN203", &NONE_MADE),
        ("LGN006", &ID),
        ("LGN106", &NO_ID),
        ("LGN007", &NAME),
        ("LGN107", &KEPT),
    ];

    fn found(change: impl FnOnce(&mut LinuxFacts)) -> Vec<&'static str> {
        let facts = linux(change);
        ALL.iter().filter(|(_, rule)| ask(rule, &facts).starts_with("hand")).map(|(code, _)| *code).collect()
    }

    fn key(l: &mut LinuxFacts) {
        let path = "/etc/ssh/ssh_host_rsa_key".to_owned();
        known(&mut l.ssh.host_keys).push(HostKeyFacts { path, kind: "rsa".to_owned(), private: true, public: true });
    }

    /// The agent provisions, and replaces host keys or not.
    fn agent(l: &mut LinuxFacts, replaces: &str) {
        known(&mut l.services).units.retain(|unit| !unit.name.starts_with("cloud"));
        let settings = &mut known(&mut known(&mut l.agents.waagent).configuration).settings;
        settings.insert("Provisioning.Agent".to_owned(), "auto".to_owned());
        settings.insert("Provisioning.RegenerateSshHostKeyPair".to_owned(), replaces.to_owned());
    }

    #[test]
    fn host_keys() {
        assert_eq!(found(|_| {}), Vec::<&str>::new());
        assert_eq!(found(key), ["LGN003"]);
        let kept = |l: &mut LinuxFacts| {
            key(l);
            known(&mut known(&mut l.agents.cloud_init).configuration).ssh_deletekeys = Some(false);
        };
        assert_eq!(found(kept), ["LGN103"]);
        for (replaces, there, codes) in
            [("y", true, &["LGN003"][..]), ("n", true, &["LGN103"]), ("y", false, &[]), ("n", false, &["LGN203"])]
        {
            let change = |l: &mut LinuxFacts| {
                agent(l, replaces);
                if there {
                    key(l);
                }
            };
            assert_eq!(found(change), codes, "{replaces} {there}");
        }
    }

    #[test]
    fn machine_ids() {
        let id = |state: &str| Fact::Known(MachineIdFacts { state: state.to_owned(), id: None });
        for (fact, bus, codes) in [
            (id("empty"), "link", &[][..]),
            (id("uninitialized"), "link", &[]),
            (id("set"), "link", &["LGN006"]),
            (id("malformed"), "link", &["LGN006"]),
            (id("empty"), "different", &["LGN006"]),
            (Fact::Absent, "link", &["LGN106"]),
        ] {
            let change =
                |l: &mut LinuxFacts| (l.identity.machine_id, l.identity.dbus_machine_id) = (fact.clone(), Fact::Known(bus.to_owned()));
            assert_eq!(found(change), codes, "{fact:?} {bus}");
        }
    }

    #[test]
    fn names() {
        let called = |l: &mut LinuxFacts| known(&mut l.identity.host_name).name = "web-prod-01".to_owned();
        assert_eq!(found(called), ["LGN007"]);
        let kept = |l: &mut LinuxFacts| {
            known(&mut l.identity.host_name).name = "web-prod-01".to_owned();
            known(&mut known(&mut l.agents.cloud_init).configuration).preserve_hostname = Some(true);
        };
        assert_eq!(found(kept), ["LGN007", "LGN107"]);
        let hosts = |l: &mut LinuxFacts| {
            let names = vec!["web-prod-01.corp.example".to_owned(), "web-prod-01".to_owned()];
            known(&mut l.identity.hosts).push(HostLineFacts { line: 2, address: "127.0.1.1".to_owned(), names });
        };
        assert_eq!(found(hosts), ["LGN007"]);
        let both = linux(|l| known(&mut l.identity.hosts)[0].names.push("web-prod-01".to_owned()));
        let one = findings(&NAME, &both, &Target::default()).remove(0);
        assert_eq!(one.remedy, Remedy::hand("take web-prod-01 out of line 1 of /etc/hosts"), "localhost stays");
    }

    #[test]
    fn table() {
        for (code, rule) in ALL {
            assert_eq!(ask(rule, &healthy_data()), "not applicable", "{code}");
            assert_eq!(ask(rule, &specialized_linux(|_| {})), "not applicable", "{code}");
        }
        assert_eq!(ask(&RULE, &linux(|l| l.ssh.host_keys = Fact::unknown("x"))), "undecided");
        assert_eq!(
            ask(
                &SHARED,
                &linux(|l| {
                    key(l);
                    l.services = Fact::unknown("x")
                })
            ),
            "undecided"
        );
        assert_eq!(ask(&ID, &linux(|l| l.identity.machine_id = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&NO_ID, &linux(|l| l.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&NAME, &linux(|l| l.identity.host_name = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&KEPT, &linux(|l| l.services = Fact::unknown("x"))), "undecided");
    }
}
