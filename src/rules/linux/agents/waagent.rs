//! L-25, L-31, L-34: the Azure Linux agent runs, and does not do the work of cloud-init.

use crate::facts::State;
use crate::rules::linux::{self, Guest, provisioner::*};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX031",
    name: "azure-agent-not-running",
    requirement: "L-31",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "The Azure Linux agent is installed and starts by itself.",
    azure_error: None,
    source: source::LINUX_AGENT_SUPPORT,
    docs: r"## What it checks

That the agent is installed, and that its unit is enabled (`walinuxagent` on Debian and Ubuntu, `waagent` elsewhere).

## Why it matters

Without the agent the machine runs, but no extension does: no backup, no monitoring, no reset of a password, no Custom Script. A
deployment that asks for an extension waits 40 minutes and fails. Support asks for the agent.

## How to fix it

Install and enable it.",
    check: Check::Disk(check),
};

pub(in crate::rules) static OLD: Rule = Rule {
    code: "LNX131",
    name: "azure-agent-too-old",
    requirement: "L-31",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks with the Azure Linux agent",
    summary: "The Azure Linux agent is at least 2.2.53.1.",
    azure_error: None,
    source: source::LINUX_AGENT_SUPPORT,
    docs: r"## What it checks

The version of the agent that is installed, and the versions that it has fetched since.

## Why it matters

Microsoft supports extensions from 2.2.53.1 on. Older ones may not speak to the platform any more.

## How to fix it

Update the package.",
    check: Check::Disk(old),
};

pub(in crate::rules) static UPDATES: Rule = Rule {
    code: "LNX231",
    name: "azure-agent-does-not-update",
    requirement: "L-31",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with the Azure Linux agent",
    summary: "The Azure Linux agent keeps itself up to date.",
    azure_error: None,
    source: source::LINUX_AGENT_SUPPORT,
    docs: r"## What it checks

`AutoUpdate.UpdateToLatestVersion`, or in older agents `AutoUpdate.Enabled`, is not `n`.

## Why it matters

The agent of an image ages with it. Certification asks for automatic updates.

## How to fix it

Set `AutoUpdate.UpdateToLatestVersion=y` in the agent's configuration.",
    check: Check::Disk(updates),
};

pub(in crate::rules) static OFF: Rule = Rule {
    code: "LNX034",
    name: "azure-agent-switched-off",
    requirement: "L-34",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with the Azure Linux agent",
    summary: "No file stops the Azure Linux agent.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

`disable_agent` in the agent's directory, `/var/lib/waagent` unless its configuration says another.

## Why it matters

The agent sees the file and ends. No extension runs, and where the agent provisions, nobody does.

## How to fix it

Delete the file.",
    check: Check::Disk(off),
};

pub(in crate::rules) static TWICE: Rule = Rule {
    code: "LNX025",
    name: "temporary-disk-prepared-twice",
    requirement: "L-25",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with the Azure Linux agent, where cloud-init provisions",
    summary: "The Azure Linux agent leaves the temporary disk to cloud-init where cloud-init provisions.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

`ResourceDisk.Format` and `ResourceDisk.EnableSwap` in the agent's configuration, where cloud-init starts. Without cloud-init the agent is
right to format it.

## Why it matters

Both find the temporary disk at every boot after the machine has moved to another host, and both partition, format and mount it. Which of
them wins is chance; swap space and mount points come and go.

## How to fix it

Set both to `n`; have cloud-init make the swap space.",
    check: Check::Disk(twice),
};

/// The name of its unit, without the suffix.
pub(super) fn unit(guest: &Guest<'_>) -> &'static str {
    if guest.distribution() == linux::Distribution::Debian { "walinuxagent" } else { "waagent" }
}

/// The package that brings the agent.
pub(super) fn package(guest: &Guest<'_>) -> &'static str {
    let ubuntu = guest.os.id.value().is_some_and(|id| id == "ubuntu");
    match guest.distribution() {
        linux::Distribution::Debian if ubuntu => "walinuxagent",
        linux::Distribution::Debian => "waagent",
        linux::Distribution::Suse => "python-azure-agent",
        _ => "WALinuxAgent",
    }
}

/// Has the agent installed; some distributions have no package of it.
fn install(guest: &Guest<'_>) -> String {
    use linux::Distribution::{Alpine, Arch, Other};
    match guest.distribution() {
        Alpine | Arch | Other => "install the Azure Linux agent (https://github.com/Azure/WALinuxAgent)".to_owned(),
        other => other.install(package(guest)),
    }
}

/// Whether the agent is installed.
pub(super) fn is_installed(guest: &Guest<'_>) -> Result<bool, Skip> {
    Ok(waagent(guest)?.is_some())
}

/// The agent, where it is installed.
fn asked<'a>(subject: &Subject<'a>) -> Result<(Guest<'a>, &'a crate::facts::WaagentFacts), Skip> {
    let guest = linux::guest(subject)?;
    demand_agents(&guest)?;
    let agent = waagent(&guest)?.ok_or_else(|| Skip::not_applicable("the Azure Linux agent is not installed"))?;
    Ok((guest, agent))
}

fn check(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    demand_agents(&guest)?;
    let (found, cure) = if waagent(&guest)?.is_none() {
        let install = install(&guest);
        ("the Azure Linux agent is not installed", format!("{install}; {}", guest.distribution().enable(unit(&guest))))
    } else if starts(&guest, WAAGENT_UNITS)? {
        return Ok(vec![]);
    } else {
        ("the Azure Linux agent does not start by itself", guest.distribution().enable(unit(&guest)))
    };
    Ok(vec![Finding {
        message: format!("{found}: no extension runs, and a deployment that asks for one fails after 40 minutes"),
        actual: found.to_owned(),
        required: "installed and enabled".to_owned(),
        place: None,
        remedy: Remedy::hand(cure),
    }])
}

fn old(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let (guest, agent) = asked(subject)?;
    let floor = [2, 2, 53, 1];
    let fetched = agent.fetched.value().and_then(|versions| versions.last());
    let Some(installed) = version(&guest) else {
        agent.version.known()?;
        return Err(Skip::Undecided("the version of the Azure Linux agent is not known".to_owned()));
    };
    if !is_below(installed, &floor) || fetched.is_some_and(|version| !is_below(version, &floor)) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("the Azure Linux agent is {installed}; Microsoft supports it, and its extensions, from 2.2.53.1 on"),
        actual: installed.to_owned(),
        required: "2.2.53.1 or newer".to_owned(),
        place: None,
        remedy: Remedy::hand(install(&guest)),
    }])
}

fn updates(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let (_, agent) = asked(subject)?;
    let Some(configuration) = agent.configuration.known()? else { return Ok(vec![]) };
    // The newer key goes before the older one, which agents of today still read.
    let key = ["AutoUpdate.UpdateToLatestVersion", "AutoUpdate.Enabled"].into_iter().find(|key| configuration.switch(key).is_some());
    let Some(key) = key.filter(|key| configuration.switch(key) == Some(false)) else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!("{} keeps the Azure Linux agent from updating itself ({key}=n); it ages with the image", configuration.path),
        actual: format!("{key}=n"),
        required: format!("{key}=y"),
        place: shared::file(&configuration.path, None),
        remedy: Remedy::hand(format!("set {key}=y in {}", configuration.path)),
    }])
}

fn off(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let (_, agent) = asked(subject)?;
    if agent.disabled_by_file.known()? != Some(&true) {
        return Ok(vec![]);
    }
    let settings = agent.configuration.value().map(|file| &file.settings);
    let directory = settings.and_then(|settings| settings.get("Lib.Dir")).map_or("/var/lib/waagent", |path| path.trim_end_matches('/'));
    let path = format!("{directory}/disable_agent");
    Ok(vec![Finding {
        message: format!("{path} stops the Azure Linux agent at every start: no extension runs"),
        actual: format!("{path} is there"),
        required: "no such file".to_owned(),
        place: shared::file(&path, None),
        remedy: Remedy::hand(format!("rm {}", word::sh(&path))),
    }])
}

fn twice(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (guest, agent) = asked(subject)?;
    let Some(configuration) = agent.configuration.known()? else { return Ok(vec![]) };
    // Swap space is made on the disk that the agent has formatted, or not at all.
    if configuration.switch("ResourceDisk.Format") != Some(true) {
        return Ok(vec![]);
    }
    let generalized = shared::purpose(guest.os, target)? == Some(State::Generalized);
    if cloud_init(&guest)? != CloudInit::Starts
        || !starts(&guest, WAAGENT_UNITS)?
        || (generalized && provisioner(&guest)? != Provisioner::CloudInit)
    {
        return Err(Skip::not_applicable("cloud-init and the Azure Linux agent do not both run"));
    }
    let swap = configuration.switch("ResourceDisk.EnableSwap") == Some(true);
    let set = if swap { "ResourceDisk.Format=y and ResourceDisk.EnableSwap=y" } else { "ResourceDisk.Format=y" };
    Ok(vec![Finding {
        message: format!(
            "{} sets {set} while cloud-init runs: both format and mount the temporary disk, and which of them wins is chance",
            configuration.path
        ),
        actual: set.to_owned(),
        required: "ResourceDisk.Format=n and ResourceDisk.EnableSwap=n".to_owned(),
        place: shared::file(&configuration.path, None),
        remedy: Remedy::hand(format!(
            "sed -i -e 's/^ResourceDisk.Format=.*/ResourceDisk.Format=n/' -e 's/^ResourceDisk.EnableSwap=.*/ResourceDisk.EnableSwap=n/' {}",
            word::sh(&configuration.path)
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    fn agent(change: impl FnOnce(&mut WaagentFacts)) -> DiskFacts {
        linux(|l| change(known(&mut l.agents.waagent)))
    }

    fn set(key: &str, value: &str) -> DiskFacts {
        agent(|a| {
            known(&mut a.configuration).settings.insert(key.to_owned(), value.to_owned());
        })
    }

    #[test]
    fn it_runs() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        let gone = linux(|l| {
            l.agents.waagent = Fact::Absent;
            known(&mut l.packages).of_interest.retain(|one| one.name != "waagent");
        });
        assert_eq!(ask(&RULE, &gone), "hand");
        for rule in [&OLD, &UPDATES, &OFF, &TWICE] {
            assert_eq!(ask(rule, &gone), "not applicable", "{}", rule.code);
            assert_eq!(ask(rule, &healthy_os()), "pass", "{}", rule.code);
        }
        assert_eq!(ask(&RULE, &linux(|l| known(&mut l.services).units.retain(|unit| !unit.name.starts_with("wal")))), "hand");
        assert_eq!(ask(&RULE, &linux(|l| l.agents.waagent = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn it_is_of_today() {
        for (version, fetched, said) in
            [("2.2.53.1", None, "pass"), ("2.2.46", None, "hand"), ("2.2.46", Some("2.9.1.1"), "pass"), ("2.2.41", Some("2.2.50"), "hand")]
        {
            let facts = agent(|a| {
                a.version = Fact::Known(version.to_owned());
                a.fetched = Fact::Known(fetched.map(str::to_owned).into_iter().collect());
            });
            assert_eq!(ask(&OLD, &facts), said, "{version} {fetched:?}");
        }
        assert_eq!(ask(&UPDATES, &set("AutoUpdate.UpdateToLatestVersion", "n")), "hand");
        assert_eq!(ask(&UPDATES, &set("AutoUpdate.Enabled", "n")), "pass", "the newer key counts");
        assert_eq!(ask(&UPDATES, &agent(|a| a.configuration = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn nothing_stops_it() {
        assert_eq!(ask(&OFF, &agent(|a| a.disabled_by_file = Fact::Known(true))), "hand");
        assert_eq!(ask(&OFF, &agent(|a| a.disabled_by_file = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn the_temporary_disk_has_one_master() {
        assert_eq!(ask(&TWICE, &set("ResourceDisk.Format", "y")), "hand");
        assert_eq!(ask(&TWICE, &set("ResourceDisk.EnableSwap", "y")), "pass", "nothing is formatted");
        let alone = linux(|l| {
            known(&mut l.services).units.retain(|unit| !unit.name.starts_with("cloud"));
            let settings = &mut known(&mut known(&mut l.agents.waagent).configuration).settings;
            settings.insert("ResourceDisk.Format".to_owned(), "y".to_owned());
            settings.insert("Provisioning.Agent".to_owned(), "auto".to_owned());
        });
        assert_eq!(ask(&TWICE, &alone), "not applicable");
    }
}
