//! L-20 to L-24: somebody sets up a machine that is made from the disk.

use super::waagent;
use crate::facts::State;
use crate::rules::linux;
use crate::rules::linux::provisioner::{CloudInit, Provisioner, cloud_init, demand_agents, provisioner};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX020",
    name: "no-provisioning-agent",
    requirement: "L-20",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "An agent that starts by itself sets up every machine that is made from the disk.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::LINUX_NO_AGENT,
    docs: r"## What it checks

That cloud-init or the Azure Linux agent is installed, and that one of them starts by itself. A program of your own that reports the
machine ready to the platform cannot be seen; waive the rule where there is one.

## Why it matters

Azure hands every new machine its name, its account and its keys, and waits for the guest to report that it has taken them. Without an
agent nobody takes them: nobody can log in, and after 40 minutes the deployment fails.

## How to fix it

Install cloud-init and the Azure Linux agent in the machine, enable them, and generalize it again.",
    check: Check::Disk(check),
};

pub(in crate::rules) static UNITS: Rule = Rule {
    code: "LNX021",
    name: "cloud-init-units-not-enabled",
    requirement: "L-21",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "All stages of cloud-init start by themselves where it is what provisions.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::PREPARE_SUSE,
    docs: r"## What it checks

Where cloud-init is installed and the Azure Linux agent does not provision by itself: every stage must be enabled, `cloud-init-local`,
`cloud-init`, `cloud-config` and `cloud-final`, or since 24.3 `cloud-init-main`, `cloud-init-local`, `cloud-init-network`, `cloud-config`
and `cloud-final`; and where a target wants them, cloud-init's generator or the target itself must start it.

## Why it matters

A stage that does not start leaves its part of the work undone: without the first there is no network and no account, without the later
ones no keys and no report to Azure.

## How to fix it

Enable the units that are named.",
    check: Check::Disk(units),
};

pub(in crate::rules) static DISABLED: Rule = Rule {
    code: "LNX022",
    name: "cloud-init-disabled",
    requirement: "L-22",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "cloud-init is not switched off where it is what provisions.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::LINUX_CLOUD_INIT,
    docs: r"## What it checks

`/etc/cloud/cloud-init.disabled`, `cloud-init=disabled` on the kernel command line, and `policy: disabled` in
`/etc/cloud/ds-identify.cfg`, where the Azure Linux agent does not provision instead.

## Why it matters

Each of them keeps cloud-init from starting on every machine that is made from the disk. Nobody creates the account then, and nobody
reports to Azure. The agent does not step in where it is told `auto`: it asks only whether `cloud-init-local.service` is enabled, which
none of the three changes, and waits half an hour.

## How to fix it

Take away what switches it off.",
    check: Check::Disk(disabled),
};

pub(in crate::rules) static DISAGREE: Rule = Rule {
    code: "LNX023",
    name: "provisioning-agents-disagree",
    requirement: "L-23",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "The Azure Linux agent and cloud-init agree on which of them provisions.",
    azure_error: Some(
        "OS Provisioning failed for VM '<n>' due to an internal error: [000004] cloud-init appears to be running, this is not expected, \
         cannot continue.",
    ),
    source: source::LINUX_AGENT,
    docs: r"## What it checks

`Provisioning.Agent` in the agent's configuration against whether `cloud-init-local.service` starts. `auto` fits both; `waagent` does not
fit a cloud-init that starts; `cloud-init` does not fit one that does not.

## Why it matters

Told `waagent`, the agent finds cloud-init running and reports at once that provisioning has failed. Told `cloud-init` without one, it
waits half an hour for a file that nobody writes, and the deployment times out.

## How to fix it

Set `Provisioning.Agent=auto`, and enable or remove cloud-init as you want it.",
    check: Check::Disk(disagree),
};

pub(in crate::rules) static TOLD_NOTHING: Rule = Rule {
    code: "LNX024",
    name: "provisioning-agent-disabled",
    requirement: "L-24",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "The Azure Linux agent is not told to provision nothing where cloud-init does not either.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

`Provisioning.Agent=disabled` (in agents before 2.2.45 `Provisioning.Enabled=n`) without a cloud-init that starts.

## Why it matters

The agent reports every new machine ready at once and sets nothing up: the deployment succeeds, and nobody can log in. The value is meant
for one machine that is moved as it is.

## How to fix it

Set `Provisioning.Agent=auto` in the agent's configuration, or install and enable cloud-init.",
    check: Check::Disk(told_nothing),
};

/// Who provisions, and what becomes of cloud-init.
fn asked<'a>(subject: &Subject<'a>, target: &Target) -> Result<(linux::Guest<'a>, Provisioner, CloudInit), Skip> {
    let guest = linux::guest(subject)?;
    demand_agents(&guest)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    Ok((guest, provisioner(&guest)?, cloud_init(&guest)?))
}

/// The finding, at the agent's configuration where that says something.
fn finding(guest: &linux::Guest<'_>, message: String, actual: String, required: &str, cure: String) -> Judgement {
    let configuration = guest.linux.agents.waagent.value().and_then(|agent| agent.configuration.value());
    let place = configuration.filter(|_| actual.contains("Provisioning.")).and_then(|file| shared::file(&file.path, None));
    Ok(vec![Finding { message, actual, required: required.to_owned(), place, remedy: Remedy::hand(cure) }])
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (guest, who, cloud) = asked(subject, target)?;
    if who != Provisioner::Nobody || cloud != CloudInit::Missing {
        // Other rules tell why a cloud-init that is there does not start.
        return Ok(vec![]);
    }
    let distribution = guest.distribution();
    let enable = distribution.enable(waagent::unit(&guest));
    let (found, cure) = if waagent::is_installed(&guest)? {
        ("the Azure Linux agent is installed but does not start by itself, and cloud-init is not installed", enable)
    } else {
        let cure = match distribution {
            linux::Distribution::Alpine => format!("{}; setup-cloud-init", distribution.install("cloud-init")),
            linux::Distribution::Arch | linux::Distribution::Other => {
                format!("{}, and enable its units", distribution.install("cloud-init"))
            }
            _ => format!("{}; {enable}", distribution.install(&format!("cloud-init {}", waagent::package(&guest)))),
        };
        ("neither cloud-init nor the Azure Linux agent is installed", cure)
    };
    finding(
        &guest,
        format!("{found}: nobody creates the account of a new machine and reports it to Azure, which gives up after 40 minutes"),
        found.to_owned(),
        "cloud-init or the Azure Linux agent, enabled",
        cure,
    )
}

fn units(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (guest, who, cloud) = asked(subject, target)?;
    let CloudInit::Stopped(stopped) = cloud else { return Ok(vec![]) };
    if !matches!(who, Provisioner::Nobody | Provisioner::Waits) {
        return Ok(vec![]);
    }
    let list = stopped.join(" ");
    let waits = if who == Provisioner::Waits { ", for which the Azure Linux agent waits half an hour" } else { "" };
    finding(
        &guest,
        format!("cloud-init does not start whole{waits}: not enabled are {list}; a new machine is not set up"),
        format!("not started: {list}"),
        "every stage of cloud-init starts by itself",
        match guest.distribution() {
            linux::Distribution::Alpine => "setup-cloud-init".to_owned(),
            other => other.enable(&list),
        },
    )
}

fn disabled(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (guest, who, cloud) = asked(subject, target)?;
    let CloudInit::Disabled(by) = cloud else { return Ok(vec![]) };
    if !matches!(who, Provisioner::Nobody | Provisioner::Waits) {
        return Ok(vec![]);
    }
    let cure = if by.starts_with('/') {
        format!("rm {}", word::sh(&by))
    } else if by.contains("command line") {
        "take cloud-init=disabled off the kernel command line, in the boot loader's entries and in what they are made from".to_owned()
    } else {
        "rm /etc/cloud/ds-identify.cfg".to_owned()
    };
    finding(
        &guest,
        format!(
            "cloud-init is switched off by {by}, and nothing provisions instead: a new machine gets no account, and Azure gives up \
             after 40 minutes"
        ),
        by,
        "cloud-init is not switched off",
        cure,
    )
}

fn disagree(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (guest, who, cloud) = asked(subject, target)?;
    match (who, cloud) {
        (Provisioner::Conflict, _) => finding(
            &guest,
            "the Azure Linux agent is told to provision, but cloud-init-local.service is enabled: the agent reports at once that \
             provisioning has failed"
                .to_owned(),
            "Provisioning.Agent=waagent, and cloud-init-local.service is enabled".to_owned(),
            "Provisioning.Agent=auto or cloud-init",
            "set Provisioning.Agent=auto in the agent's configuration".to_owned(),
        ),
        (Provisioner::Waits, CloudInit::Missing) => finding(
            &guest,
            "the Azure Linux agent is told to wait for cloud-init, which is not installed: it waits half an hour, and the \
             deployment times out"
                .to_owned(),
            "Provisioning.Agent=cloud-init without cloud-init".to_owned(),
            "Provisioning.Agent=auto, or cloud-init",
            format!("set Provisioning.Agent=auto in the agent's configuration, or {}", guest.distribution().install("cloud-init")),
        ),
        _ => Ok(vec![]),
    }
}

fn told_nothing(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (guest, who, _) = asked(subject, target)?;
    if who != Provisioner::ReportsOnly {
        return Ok(vec![]);
    }
    finding(
        &guest,
        "the Azure Linux agent is told to provision nothing, and cloud-init does not start: a new machine is reported ready, and \
         nobody can log in"
            .to_owned(),
        "Provisioning is disabled in the configuration of the Azure Linux agent".to_owned(),
        "Provisioning.Agent=auto or cloud-init",
        "set Provisioning.Agent=auto in the agent's configuration".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    const ALL: [(&str, &Rule); 5] =
        [("LNX020", &RULE), ("LNX021", &UNITS), ("LNX022", &DISABLED), ("LNX023", &DISAGREE), ("LNX024", &TOLD_NOTHING)];

    /// The one rule that finds something.
    fn found(facts: &DiskFacts) -> Vec<&'static str> {
        ALL.iter().filter(|(_, rule)| ask(rule, facts) == "hand").map(|(code, _)| *code).collect()
    }

    fn told(l: &mut LinuxFacts, agent: &str) {
        let configuration = known(&mut known(&mut l.agents.waagent).configuration);
        configuration.settings.insert("Provisioning.Agent".to_owned(), agent.to_owned());
    }

    fn without(l: &mut LinuxFacts, start: &str) {
        known(&mut l.services).units.retain(|unit| !unit.name.starts_with(start));
    }

    #[test]
    fn each_fault_has_one_finding() {
        type Change = fn(&mut LinuxFacts);
        let cases: [(Change, &[&str]); 13] = [
            (|_| {}, &[]),
            (|l| (l.agents.cloud_init, l.agents.waagent) = (Fact::Absent, Fact::Absent), &["LNX020"]),
            (
                |l| {
                    l.agents.cloud_init = Fact::Absent;
                    without(l, "walinux")
                },
                &["LNX020"],
            ),
            (
                |l| {
                    without(l, "cloud-final");
                    without(l, "walinux")
                },
                &["LNX021"],
            ),
            (|l| without(l, "cloud-init-local"), &["LNX021"]),
            (
                |l| {
                    told(l, "auto");
                    without(l, "cloud-")
                },
                &[],
            ),
            (|l| known(&mut l.agents.cloud_init).disabled_by_file = Fact::Known(true), &["LNX022"]),
            (|l| known(&mut l.boot.parameters).push("cloud-init=disabled".to_owned()), &["LNX022"]),
            (
                |l| {
                    known(&mut l.agents.cloud_init).disabled_by_file = Fact::Known(true);
                    told(l, "auto")
                },
                &["LNX022"],
            ),
            (|l| told(l, "waagent"), &["LNX023"]),
            (|l| l.agents.cloud_init = Fact::Absent, &["LNX023"]),
            (|l| told(l, "disabled"), &[]),
            (
                |l| {
                    told(l, "disabled");
                    l.agents.cloud_init = Fact::Absent
                },
                &["LNX024"],
            ),
        ];
        for (case, (change, expected)) in cases.into_iter().enumerate() {
            // A package that is listed counts as installed; these facts take the programs away alone.
            let facts = linux(|l| {
                let gone = |fact: bool, name: &str, l: &mut LinuxFacts| {
                    if fact {
                        known(&mut l.packages).of_interest.retain(|one| one.name != name)
                    }
                };
                change(l);
                gone(l.agents.cloud_init == Fact::Absent, "cloud-init", l);
                gone(l.agents.waagent == Fact::Absent, "waagent", l);
            });
            assert_eq!(found(&facts), expected, "{case}");
        }
    }

    #[test]
    fn table() {
        for (_, rule) in ALL {
            assert_eq!(ask(rule, &specialized_linux(|_| {})), "not applicable");
            assert_eq!(ask(rule, &healthy_data()), "not applicable");
            assert_eq!(ask(rule, &linux(|l| l.services = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &linux(|l| l.agents.cloud_init = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &os(|f| known(&mut f.os).id = Fact::Known("flatcar".to_owned()))), "not applicable");
        }
    }
}
