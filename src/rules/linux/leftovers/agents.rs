//! LG-01, LG-02, L-61: what the agents keep of the machine that they have set up.

use crate::facts::State;
use crate::rules::linux::{self, Guest, people, provisioner};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LGN001",
    name: "cloud-init-state-left",
    requirement: "LG-01",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "cloud-init keeps nothing of an earlier machine.",
    azure_error: None,
    source: source::LINUX_CLOUD_INIT_SOURCE,
    docs: r"## What it checks

Instances and seeds under `/var/lib/cloud`. `waagent -deprovision` does not touch them.

## Why it matters

A machine with another id is set up all the same, but what cloud-init does once only is not done again, and the data of the former
machine, its users and its keys among them, is on every new one. A seed goes before what Azure hands out.

## How to fix it

Run `cloud-init clean --logs --seed`.",
    check: Check::Disk(check),
};

pub(in crate::rules) static TRUSTS: Rule = Rule {
    code: "LGN101",
    name: "cloud-init-trusts-its-state",
    requirement: "LG-01",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized, where cloud-init provisions",
    summary: "cloud-init notices that it runs on another machine.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::LINUX_CLOUD_INIT_SOURCE,
    docs: r"## What it checks

`manual_cache_clean: true` in cloud-init's configuration, beside an instance under `/var/lib/cloud`.

## Why it matters

cloud-init then takes every machine for the one that it has set up, and asks Azure for nothing: no account, no keys, no name.

## How to fix it

Run `cloud-init clean`, and take `manual_cache_clean` out.",
    check: Check::Disk(trusts),
};

pub(in crate::rules) static AGENT: Rule = Rule {
    code: "LGN002",
    name: "azure-agent-state-left",
    requirement: "LG-02",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "The Azure Linux agent keeps nothing of an earlier machine.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

`provisioned`, `ovf-env.xml`, certificates and goal states under `/var/lib/waagent`. `cloud-init clean` does not touch them.

## Why it matters

The agent notices another machine and clears most of it. But cloud-init takes a stale `ovf-env.xml`, with the account of the former
machine, wherever it cannot read the one of the new machine; and private keys of the former are on every new one.

## How to fix it

Run `waagent -force -deprovision`. To have it remove the account that `ovf-env.xml` names, add `+user`, and do not empty the directory
before.",
    check: Check::Disk(agent),
};

pub(in crate::rules) static EXTENSIONS: Rule = Rule {
    code: "LNX061",
    name: "extension-state-left",
    requirement: "L-61",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No extension of an earlier machine is left.",
    azure_error: None,
    source: source::LINUX_REMOVE_AGENT,
    docs: r"## What it checks

Directories of extensions under `/var/lib/waagent`, and logs under `/var/log/azure`.

## Why it matters

Extensions keep settings and keys of the machine that they were installed on. Some of them go on running on the new one, and report under
the name of the former.

## How to fix it

Remove the extensions in Azure before the image is made; then run `waagent -force -deprovision`.",
    check: Check::Disk(extensions),
};

/// The Linux of a disk that is used as generalized.
fn asked<'a>(subject: &Subject<'a>, target: &Target) -> Result<Guest<'a>, Skip> {
    let guest = linux::guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    Ok(guest)
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let Some(state) = guest.linux.residue.cloud_init.known()? else { return Ok(vec![]) };
    let clean = "cloud-init clean --logs --seed";
    let mut out = Vec::new();
    if state.provisioned {
        let id = state.instances.first().map(|id| format!(" {id}")).unwrap_or_default();
        out.push(Finding {
            message: format!(
                "cloud-init still has the instance{id} that it has set up under /var/lib/cloud; its data goes to every new machine"
            ),
            actual: if id.is_empty() { "an instance".to_owned() } else { format!("instance{id}") },
            required: "no instance".to_owned(),
            place: shared::file("/var/lib/cloud/instance", None),
            remedy: Remedy::hand(clean),
        });
    }
    if let Some(first) = state.seeds.first() {
        let list = shared::first_three(&state.seeds, ", ");
        out.push(Finding {
            message: format!("cloud-init has seeds of a former machine ({list}), which go before what Azure hands out"),
            actual: list,
            required: "no seeds".to_owned(),
            place: shared::file(first, None),
            remedy: Remedy::hand(clean),
        });
    }
    Ok(out)
}

fn trusts(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    if guest.linux.residue.cloud_init.known()?.is_none_or(|state| !state.provisioned) {
        return Ok(vec![]);
    }
    if provisioner::provisioner(&guest)? != provisioner::Provisioner::CloudInit {
        return Err(Skip::not_applicable("cloud-init does not provision"));
    }
    if provisioner::cloud_config(&guest)?.and_then(|config| config.manual_cache_clean) != Some(true) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "manual_cache_clean has cloud-init take every machine for the one that it has set up before: a new one gets no account"
            .to_owned(),
        actual: "manual_cache_clean: true, with an instance under /var/lib/cloud".to_owned(),
        required: "no instance, and no manual_cache_clean".to_owned(),
        place: shared::file("/etc/cloud/cloud.cfg", None),
        remedy: Remedy::hand("cloud-init clean --logs --seed, and take manual_cache_clean out of the files of /etc/cloud"),
    }])
}

fn agent(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let Some(state) = guest.linux.residue.waagent.known()? else { return Ok(vec![]) };
    let mut left = Vec::new();
    if state.provisioned {
        left.push("provisioned".to_owned());
    }
    if state.ovf_env {
        let user = state.ovf_user.value().map(|name| format!(" with the account {name}")).unwrap_or_default();
        left.push(format!("ovf-env.xml{user}"));
    }
    for (count, one, several) in [
        (state.certificates, "a certificate or key", "certificates and keys"),
        (state.goal_states, "a file of goal states", "files of goal states"),
    ] {
        match count {
            0 => {}
            1 => left.push(one.to_owned()),
            count => left.push(format!("{count} {several}")),
        }
    }
    if left.is_empty() {
        return Ok(vec![]);
    }
    let list = left.join(", ");
    let cure = if people::waagent_program(&guest).is_none() {
        "rm -rf /var/lib/waagent/*".to_owned()
    } else if let Some(name) = people::removed_by_waagent(&guest) {
        format!("waagent -force -deprovision+user, which removes the account {name} as well")
    } else {
        "waagent -force -deprovision".to_owned()
    };
    Ok(vec![Finding {
        message: format!("/var/lib/waagent still has the state of a former machine ({list}); it goes to every new one"),
        actual: list,
        required: "an empty /var/lib/waagent".to_owned(),
        place: shared::file("/var/lib/waagent", None),
        remedy: Remedy::hand(cure),
    }])
}

fn extensions(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let residue = &guest.linux.residue;
    let installed = residue.waagent.value().map(|state| state.extensions.clone()).unwrap_or_default();
    let logs = residue.logs.value().into_iter().flatten().filter(|file| file.path.starts_with("/var/log/azure/")).count();
    if installed.is_empty() && logs == 0 {
        residue.waagent.known()?;
        residue.logs.known()?;
        return Ok(vec![]);
    }
    let (found, verb, path) = match (installed.as_slice(), logs) {
        ([], 1) => ("a log of an extension under /var/log/azure".to_owned(), "is", "/var/log/azure"),
        ([], logs) => (format!("{logs} logs of extensions under /var/log/azure"), "are", "/var/log/azure"),
        ([one], _) => (format!("the extension {one}"), "is", "/var/lib/waagent"),
        (several, _) => (format!("the extensions {}", shared::first_three(several, ", ")), "are", "/var/lib/waagent"),
    };
    Ok(vec![Finding {
        message: format!("{found} {verb} left of a former machine in Azure, with its settings"),
        actual: found,
        required: "no extensions, no /var/log/azure".to_owned(),
        place: shared::file(path, None),
        remedy: Remedy::hand("remove the extensions in Azure, then waagent -force -deprovision; rm -rf /var/log/azure"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    fn instance(l: &mut LinuxFacts) {
        l.residue.cloud_init = Fact::Known(CloudInitStateFacts {
            instances: vec!["5d0c8a3e-1f2b-4c6d-9e8f-a0b1c2d3e4f5".to_owned()],
            provisioned: true,
            datasource: Fact::Absent,
            seeds: vec![],
        });
    }

    fn state(change: fn(&mut WaagentStateFacts)) -> DiskFacts {
        linux(|l| {
            let mut state = WaagentStateFacts {
                provisioned: false,
                ovf_env: false,
                ovf_user: Fact::Absent,
                certificates: 0,
                goal_states: 0,
                extensions: vec![],
                disabled: false,
            };
            change(&mut state);
            l.residue.waagent = Fact::Known(state);
        })
    }

    #[test]
    fn cloud_init() {
        assert_eq!((ask(&RULE, &healthy_os()).as_str(), ask(&TRUSTS, &healthy_os()).as_str()), ("pass", "pass"));
        assert_eq!(ask(&RULE, &linux(instance)), "hand");
        let seeded = linux(|l| {
            instance(l);
            known(&mut l.residue.cloud_init).seeds.push("/var/lib/cloud/seed/nocloud".to_owned());
        });
        assert_eq!(ask(&RULE, &seeded), "hand, hand");
        assert_eq!(ask(&TRUSTS, &linux(instance)), "pass");
        let trusting = |l: &mut LinuxFacts| {
            instance(l);
            known(&mut known(&mut l.agents.cloud_init).configuration).manual_cache_clean = Some(true);
        };
        assert_eq!(ask(&TRUSTS, &linux(trusting)), "hand");
    }

    #[test]
    fn the_agent() {
        assert_eq!((ask(&AGENT, &healthy_os()).as_str(), ask(&EXTENSIONS, &healthy_os()).as_str()), ("pass", "pass"));
        assert_eq!(ask(&AGENT, &state(|_| {})), "pass");
        for change in [
            (|s| s.provisioned = true) as fn(&mut WaagentStateFacts),
            |s| (s.ovf_env, s.ovf_user) = (true, Fact::Known("ada".to_owned())),
            |s| s.certificates = 2,
        ] {
            assert_eq!(ask(&AGENT, &state(change)), "hand");
        }
        assert_eq!(ask(&EXTENSIONS, &state(|s| s.extensions.push("Microsoft.Azure.Extensions.CustomScript-2.1.10".to_owned()))), "hand");
        let logs = linux(|l| known(&mut l.residue.logs).push(FileFacts { path: "/var/log/azure/x/y.log".to_owned(), size: 1 }));
        assert_eq!(ask(&EXTENSIONS, &logs), "hand");
    }

    #[test]
    fn table() {
        for rule in [&RULE, &TRUSTS, &AGENT, &EXTENSIONS] {
            assert_eq!(ask(rule, &specialized_linux(|_| {})), "not applicable");
            assert_eq!(ask(rule, &healthy_data()), "not applicable");
            let unknown = linux(|l| (l.residue.cloud_init, l.residue.waagent) = (Fact::unknown("x"), Fact::unknown("x")));
            assert_eq!(ask(rule, &unknown), "undecided");
        }
    }
}
