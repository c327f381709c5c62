//! LG-08 to LG-10, LG-12, L-53, L-58, L-60: traces of the machine that the disk was.

use crate::facts::State;
use crate::rules::linux::network::{dialect, eth0};
use crate::rules::linux::{self, Guest, generalize_steps, people};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LGN008",
    name: "sudo-rule-left",
    requirement: "LG-08",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No rule of sudo is left for an account of an earlier machine.",
    azure_error: None,
    source: source::LINUX_SYSPREP,
    docs: r"## What it checks

Files of `/etc/sudoers.d` that let a single account do everything, such as `waagent` and `90-cloud-init-users`, where it is a person's or
exists no more.

## Why it matters

The rule waits for an account of that name: whoever gets it on a new machine is root there, without a password in most cases.

## How to fix it

Delete the file.",
    check: Check::Disk(check),
};

pub(in crate::rules) static NETWORK: Rule = Rule {
    code: "LGN009",
    name: "network-of-donor-left",
    requirement: "LG-09",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No network configuration is bound to the hardware address of an earlier machine.",
    azure_error: None,
    source: source::LINUX_CLOUD_INIT_SOURCE,
    docs: r"## What it checks

Entries of netplan, NetworkManager, ifcfg and others for one hardware address, where something else gives `eth0` its address all the same;
`50-cloud-init.yaml` is the usual one.

## Why it matters

The entry does not fit the new machine. Where cloud-init writes the file anew it does no harm; where it does not, it is dead and misleads.

## How to fix it

Delete the file, or take the hardware address out of it.",
    check: Check::Disk(network),
};

pub(in crate::rules) static LEASES: Rule = Rule {
    code: "LGN109",
    name: "leases-left",
    requirement: "LG-09",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No leases of DHCP are left.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

Leases of dhclient, dhcpcd, NetworkManager, wicked and systemd-networkd.

## Why it matters

New machines ask for the address of the former one first, and lose a moment over it. The lease tells everybody the former machine's
network.

## How to fix it

Delete the files.",
    check: Check::Disk(leases),
};

pub(in crate::rules) static LOGS: Rule = Rule {
    code: "LGN010",
    name: "logs-left",
    requirement: "LG-10",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No logs of an earlier machine are left.",
    azure_error: None,
    source: source::LINUX_SYSPREP,
    docs: r"## What it checks

Logs under `/var/log` that are not empty: those of the agents, of logins, of the system, and the journal.

## Why it matters

They tell names, addresses and users of the former machine to everybody who gets the image, and mix with those of the new one.

## How to fix it

Empty them.",
    check: Check::Disk(logs),
};

pub(in crate::rules) static SEEDS: Rule = Rule {
    code: "LGN012",
    name: "random-seed-left",
    requirement: "LG-12",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No two machines start with the same random seed.",
    azure_error: None,
    source: source::LINUX_SYSPREP,
    docs: r"## What it checks

Seeds of the random number generator under `/var/lib`, and on the EFI system partition.

## Why it matters

All machines that are made from the disk start from the same seed. The kernel mixes in more before it trusts what comes out, so that this
is a matter of care.

## How to fix it

Delete the files; each machine writes its own.",
    check: Check::Disk(seeds),
};

pub(in crate::rules) static SECRET: Rule = Rule {
    code: "LGN112",
    name: "credential-secret-left",
    requirement: "LG-12",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No two machines have the same secret for systemd's credentials.",
    azure_error: None,
    source: source::LINUX_SYSPREP,
    docs: r"## What it checks

`/var/lib/systemd/credential.secret`.

## Why it matters

It is the key with which systemd seals credentials for one machine. With the same key on all of them, what one has sealed each other one
opens.

## How to fix it

Delete the file; systemd makes another when it needs one.",
    check: Check::Disk(secret),
};

pub(in crate::rules) static HISTORIES: Rule = Rule {
    code: "LNX053",
    name: "histories-left",
    requirement: "L-53",
    also: &["LG-22"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No histories of shells are left.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Histories of shells and other programs in all homes that are not empty.

## Why it matters

What was typed is in them, with passwords at times. It goes to everybody who gets the image.

## How to fix it

Delete them in the last step, in a shell that writes none: `unset HISTFILE`. `sudo export HISTSIZE=0`, as some recipes have it, does
nothing.",
    check: Check::Disk(histories),
};

pub(in crate::rules) static TOO_LONG: Rule = Rule {
    code: "LNX153",
    name: "history-too-long",
    requirement: "L-53",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "Linux OS disks for the Marketplace",
    summary: "No .bash_history has more than 1 KB.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

`.bash_history` in all homes.

## Why it matters

Certification refuses an image whose history is longer, because it may hold what is nobody's business.

## How to fix it

Delete it in the last step, in a shell that writes none: `unset HISTFILE`.",
    check: Check::Disk(too_long),
};

pub(in crate::rules) static SUBSCRIBED: Rule = Rule {
    code: "LNX058",
    name: "subscription-left",
    requirement: "L-58",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No subscription of an earlier machine is left.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

Registrations with Red Hat, SUSE and Ubuntu Pro, by the certificates and credentials that they leave.

## Why it matters

All machines that are made from the disk take part under one identity. The registration is counted for one of them, and revoked for all at
once.

## How to fix it

Give the registration up before the image is made.",
    check: Check::Disk(subscribed),
};

pub(in crate::rules) static TOOLS: Rule = Rule {
    code: "LNX060",
    name: "tools-of-another-platform",
    requirement: "L-60",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "No tools of another hypervisor or cloud are left.",
    azure_error: None,
    source: source::LINUX_SYSPREP,
    docs: r"## What it checks

Guest tools of VMware, VirtualBox, QEMU, Xen and other clouds, by their programs and units.

## Why it matters

They find no host to talk to. Most of them end by themselves; some change the network or the clock first.

## How to fix it

Remove them.",
    check: Check::Disk(tools),
};

/// The Linux of a disk that is used as generalized.
fn asked<'a>(subject: &Subject<'a>, target: &Target) -> Result<Guest<'a>, Skip> {
    let guest = linux::guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    Ok(guest)
}

/// A finding on files that are to be deleted.
fn files(message: String, paths: &[String], required: &str, cure: String) -> Judgement {
    Ok(vec![Finding {
        message,
        actual: shared::first_three(paths, ", "),
        required: required.to_owned(),
        place: paths.first().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand(cure),
    }])
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let Some(sudo) = guest.linux.accounts.sudo.known()? else { return Err(Skip::not_applicable("sudo is not installed")) };
    let rules = sudo.rules.iter().filter(|rule| rule.everything && rule.path.starts_with("/etc/sudoers.d/"));
    let mut out = Vec::new();
    for rule in rules {
        let users = guest.linux.accounts.users.known()?.map(Vec::as_slice).unwrap_or_default();
        // Groups, numbers, aliases and everybody are not single accounts.
        let single = |name: &&String| name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        let leftover = |name: &&String| users.iter().find(|user| user.name == **name).is_none_or(|user| user.person && !target.keeps(name));
        let who: Vec<String> = rule.who.iter().filter(single).filter(leftover).cloned().collect();
        if who.is_empty() {
            continue;
        }
        let list = who.join(", ");
        let password = if rule.no_password { ", without a password" } else { "" };
        out.push(Finding {
            message: format!("{} lets {list} do everything{password}; whoever has that name on a new machine is root there", rule.path),
            actual: list,
            required: "no rule for a single account".to_owned(),
            place: shared::file(&rule.path, u32::try_from(rule.line).ok()),
            remedy: Remedy::hand(format!("rm -f {}", word::sh(&rule.path))),
        });
    }
    Ok(out)
}

fn network(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    dialect::demand_files(&guest)?;
    let network = &guest.linux.network;
    let mut bound: Vec<(String, String)> = Vec::new();
    let mut unknown = None;
    for fact in [&network.netplan, &network.network_manager, &network.ifcfg, &network.ifupdown, &network.networkd, &network.links] {
        match fact.known() {
            Ok(list) => bound.extend(list.into_iter().flatten().filter_map(|one| Some((one.path.clone(), one.mac.clone()?)))),
            Err(reason) => unknown = Some(reason),
        }
    }
    bound.dedup_by(|a, b| a.0 == b.0);
    if bound.is_empty() {
        return unknown.map_or(Ok(vec![]), |reason| Err(reason.into()));
    }
    if !eth0::has_network(&guest)? {
        // That the machine has no network at all is another rule's finding.
        return Ok(vec![]);
    }
    let found = bound.into_iter().map(|(path, mac)| Finding {
        message: format!("{path} is for the network adapter of another machine, with the hardware address {mac}"),
        actual: mac,
        required: "no hardware address".to_owned(),
        place: shared::file(&path, None),
        remedy: Remedy::hand(if generalize_steps::is_rendered(&path) {
            format!("rm -f {}", word::sh(&path))
        } else {
            format!("take the hardware address out of {path}")
        }),
    });
    Ok(found.collect())
}

fn leases(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let Some(paths) = guest.linux.residue.leases.known()?.filter(|paths| !paths.is_empty()) else { return Ok(vec![]) };
    let message = format!("leases of a former machine are left ({}); new ones ask for its address first", shared::first_three(paths, ", "));
    files(message, paths, "no leases", format!("rm -f {}", word::sh_all(paths)))
}

fn logs(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let all = guest.linux.residue.logs.known()?.map(Vec::as_slice).unwrap_or_default();
    let paths: Vec<String> = all.iter().filter(|file| file.size > 0).map(|file| file.path.clone()).collect();
    if paths.is_empty() {
        return Ok(vec![]);
    }
    let message = format!("logs of a former machine are left ({}), with its names, addresses and users", shared::first_three(&paths, ", "));
    files(message, &paths, "no logs", "rm -rf /var/log/journal/*; find /var/log -type f -exec truncate -s 0 {} +".to_owned())
}

const CREDENTIAL_SECRET: &str = "credential.secret";

fn seeds_of(subject: &Subject<'_>, target: &Target, secret: bool) -> Result<Vec<String>, Skip> {
    let guest = asked(subject, target)?;
    let all = guest.linux.residue.seeds.known()?.map(Vec::as_slice).unwrap_or_default();
    Ok(all.iter().filter(|path| path.ends_with(CREDENTIAL_SECRET) == secret).cloned().collect())
}

fn seeds(subject: &Subject<'_>, target: &Target) -> Judgement {
    let paths = seeds_of(subject, target, false)?;
    if paths.is_empty() {
        return Ok(vec![]);
    }
    let message =
        format!("every machine that is made from the disk starts with the same random seed ({})", shared::first_three(&paths, ", "));
    files(message, &paths, "no random seed", format!("rm -f {}", word::sh_all(&paths)))
}

fn secret(subject: &Subject<'_>, target: &Target) -> Judgement {
    let paths = seeds_of(subject, target, true)?;
    let Some(path) = paths.first() else { return Ok(vec![]) };
    let message = format!("{path} is the secret that seals systemd's credentials; every machine that is made from the disk has the same");
    files(message, &paths, "no such file", format!("rm -f {}", word::sh(path)))
}

fn histories(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let all = guest.linux.residue.histories.known()?.map(Vec::as_slice).unwrap_or_default();
    let theirs = |path: &str| people::is_kept(&guest, target, path);
    let paths: Vec<String> = all.iter().filter(|file| file.size > 0 && !theirs(&file.path)).map(|file| file.path.clone()).collect();
    if paths.is_empty() {
        return Ok(vec![]);
    }
    let message = format!("what was typed on a former machine is left ({}), with secrets perhaps", shared::first_three(&paths, ", "));
    files(message, &paths, "no histories", format!("unset HISTFILE; rm -f {}, as the last step", word::sh_all(&paths)))
}

/// Bytes of a history that certification lets pass.
const LONGEST_HISTORY: u64 = 1024;

fn too_long(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let all = guest.linux.residue.histories.known()?.map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().filter(|file| file.path.ends_with("/.bash_history") && file.size > LONGEST_HISTORY).map(|file| Finding {
        message: format!("{} has {} bytes; certification lets at most {LONGEST_HISTORY} pass", file.path, file.size),
        actual: format!("{} bytes", file.size),
        required: format!("at most {LONGEST_HISTORY} bytes"),
        place: shared::file(&file.path, None),
        remedy: Remedy::hand(format!("unset HISTFILE; rm -f {}, as the last step", word::sh(&file.path))),
    });
    Ok(found.collect())
}

fn subscribed(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let all = guest.linux.security.subscriptions.known()?.map(Vec::as_slice).unwrap_or_default();
    let mut kinds: Vec<&str> = all.iter().map(|one| one.kind.as_str()).collect();
    kinds.dedup();
    let found = kinds.into_iter().map(|kind| {
        let path = all.iter().find(|one| one.kind == kind).map_or("", |one| one.path.as_str());
        let whose = match kind {
            "rhsm" | "rhn" => "Red Hat",
            "suse" => "SUSE",
            "ubuntu-pro" => "Ubuntu Pro",
            other => other,
        };
        Finding {
            message: format!(
                "a registration with {whose} is left ({path}); every machine that is made from the disk would take part under it"
            ),
            actual: path.to_owned(),
            required: "no registration".to_owned(),
            place: shared::file(path, None),
            remedy: Remedy::hand(generalize_steps::leave(kind)),
        }
    });
    Ok(found.collect())
}

fn tools(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest: Guest<'_> = linux::guest(subject)?;
    let all = guest.linux.hypervisor_tools.known()?.map(|found| found.tools.as_slice()).unwrap_or_default();
    let names: Vec<String> = all.iter().map(|tool| format!("{} ({})", tool.name, tool.platform)).collect();
    let Some(first) = all.first() else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!("tools of another platform are left, which find no host to talk to in Azure: {}", names.join(", ")),
        actual: names.join(", "),
        required: "none".to_owned(),
        place: first.evidence.first().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand(format!("remove {}", all.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>().join(", "))),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::linux::interface;
    use crate::rules::testing::*;

    const ALL: [(&str, &Rule); 10] = [
        ("LGN008", &RULE),
        ("LGN009", &NETWORK),
        ("LGN109", &LEASES),
        ("LGN010", &LOGS),
        ("LGN012", &SEEDS),
        ("LGN112", &SECRET),
        ("LNX053", &HISTORIES),
        ("LNX153", &TOO_LONG),
        ("LNX058", &SUBSCRIBED),
        ("LNX060", &TOOLS),
    ];

    fn found(change: impl FnOnce(&mut LinuxFacts)) -> Vec<&'static str> {
        let facts = linux(change);
        ALL.iter().filter(|(_, rule)| ask(rule, &facts).starts_with("hand")).map(|(code, _)| *code).collect()
    }

    fn file(path: &str, size: u64) -> FileFacts {
        FileFacts { path: path.to_owned(), size }
    }

    #[test]
    fn traces() {
        assert_eq!(found(|_| {}), Vec::<&str>::new());
        assert_eq!(found(|l| known(&mut l.residue.leases).push("/var/lib/dhcp/dhclient.eth0.leases".to_owned())), ["LGN109"]);
        assert_eq!(found(|l| *known(&mut l.residue.logs) = vec![file("/var/log/syslog", 54), file("/var/log/wtmp", 0)]), ["LGN010"]);
        assert_eq!(found(|l| *known(&mut l.residue.logs) = vec![file("/var/log/wtmp", 0)]), Vec::<&str>::new());
        assert_eq!(found(|l| known(&mut l.residue.seeds).push("/var/lib/systemd/random-seed".to_owned())), ["LGN012"]);
        assert_eq!(found(|l| known(&mut l.residue.seeds).push("/var/lib/systemd/credential.secret".to_owned())), ["LGN112"]);
        assert_eq!(found(|l| known(&mut l.residue.histories).push(file("/root/.bash_history", 1024))), ["LNX053"]);
        assert_eq!(found(|l| known(&mut l.residue.histories).push(file("/root/.bash_history", 1025))), ["LNX053", "LNX153"]);
        let pro =
            SubscriptionFacts { kind: "ubuntu-pro".to_owned(), path: "/var/lib/ubuntu-advantage/private/machine-token.json".to_owned() };
        assert_eq!(found(|l| known(&mut l.security.subscriptions).push(pro)), ["LNX058"]);
        let tool = HypervisorToolFacts {
            name: "open-vm-tools".to_owned(),
            platform: "VMware".to_owned(),
            evidence: vec!["/usr/bin/vmtoolsd".to_owned()],
        };
        assert_eq!(found(|l| known(&mut l.hypervisor_tools).tools.push(tool)), ["LNX060"]);
    }

    #[test]
    fn rules_of_sudo() {
        let with = |path: &str, who: &str| {
            let rule = SudoRuleFacts { path: path.to_owned(), line: 1, who: vec![who.to_owned()], no_password: true, everything: true };
            found(|l| known(&mut l.accounts.sudo).rules.push(rule))
        };
        assert_eq!(with("/etc/sudoers.d/waagent", "gone"), ["LGN008"]);
        for (path, who) in
            [("/etc/sudoers.d/90-cloud", "%sudo"), ("/etc/sudoers.d/x", "root"), ("/etc/sudoers.d/x", "ALL"), ("/etc/sudoers", "ada")]
        {
            assert_eq!(with(path, who), Vec::<&str>::new(), "{path} {who}");
        }
    }

    #[test]
    fn networks_of_another_machine() {
        let bound = || InterfaceFacts { mac: Some("00:0d:3a:aa:bb:cc".to_owned()), ..interface("/etc/netplan/50-cloud-init.yaml", "eth0") };
        assert_eq!(found(|l| l.network.netplan = Fact::Known(vec![bound()])), ["LGN009"]);
        let alone = |l: &mut LinuxFacts| {
            l.network.netplan = Fact::Known(vec![bound()]);
            l.network.ifupdown = Fact::Absent;
            known(&mut known(&mut l.agents.cloud_init).configuration).network_disabled = true;
        };
        assert_eq!(found(alone), Vec::<&str>::new(), "another rule finds that there is no network");
    }

    #[test]
    fn table() {
        let unknown = linux(|l| {
            l.accounts.sudo = Fact::unknown("x");
            l.network.netplan = Fact::unknown("x");
            l.residue.leases = Fact::unknown("x");
            l.residue.logs = Fact::unknown("x");
            l.residue.seeds = Fact::unknown("x");
            l.residue.histories = Fact::unknown("x");
            l.security.subscriptions = Fact::unknown("x");
            l.hypervisor_tools = Fact::unknown("x");
        });
        for (code, rule) in ALL {
            assert_eq!(ask(rule, &healthy_data()), "not applicable", "{code}");
            assert_eq!(ask(rule, &unknown), "undecided", "{code}");
            if !matches!(code, "LNX153" | "LNX060") {
                assert_eq!(ask(rule, &specialized_linux(|_| {})), "not applicable", "{code}");
            }
        }
    }
}
