//! L-27 to L-30: settings of cloud-init that go wrong on Azure.

use crate::facts::State;
use crate::rules::linux::{self, Guest, provisioner::*};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX027",
    name: "installer-leftovers",
    requirement: "L-27",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "Files that an installer has written for one machine are gone.",
    azure_error: None,
    source: source::PREPARE_UBUNTU,
    docs: r"## What it checks

Files of Ubuntu's installers in `/etc/cloud/cloud.cfg.d` and `/etc/netplan` that pin a data source, keep cloud-init away from the network,
or hold the network of the machine that was installed.

## Why it matters

They hold for every machine that is made from the disk: cloud-init finds no data source, or leaves a network that is not there any more.
Other rules tell which of this has come to pass.

## How to fix it

Delete the files that are named.",
    check: Check::Disk(check),
};

pub(in crate::rules) static OLD: Rule = Rule {
    code: "LNX028",
    name: "cloud-init-before-accelerated-networking",
    requirement: "L-28",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with cloud-init",
    summary: "cloud-init is at least 19.4.",
    azure_error: None,
    source: source::LINUX_ACCELERATED,
    docs: r"## What it checks

The version of cloud-init, of its own code or of its package.

## Why it matters

Older ones do not know that a machine with accelerated networking has two interfaces with one hardware address, and may configure the
wrong one.

## How to fix it

Update cloud-init.",
    check: Check::Disk(old),
};

pub(in crate::rules) static MODULES: Rule = Rule {
    code: "LNX029",
    name: "disk-modules-missing",
    requirement: "L-29",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with cloud-init before 23, on Red Hat's and SUSE's systems",
    summary: "An older cloud-init runs disk_setup and mounts.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

That `cloud_init_modules` lists `disk_setup` and `mounts`, for cloud-init before 23.

## Why it matters

Without them nobody formats and mounts the temporary disk, for the Azure Linux agent leaves it to cloud-init.

## How to fix it

List both in `cloud_init_modules` of `/etc/cloud/cloud.cfg`.",
    check: Check::Disk(modules),
};

pub(in crate::rules) static REPORTING: Rule = Rule {
    code: "LNX030",
    name: "cloud-init-not-reporting",
    requirement: "L-30",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with cloud-init",
    summary: "cloud-init writes its output to a log, and reports its progress to the platform.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

`output: all` and `reporting: telemetry: type: hyperv` in the merged configuration.

## Why it matters

When provisioning fails nobody can log in to see why. The log reaches the serial console, and the report the platform, which shows both.

## How to fix it

Set both in files of `/etc/cloud/cloud.cfg.d`; keys are in lower case.",
    check: Check::Disk(reporting),
};

/// cloud-init, where it starts.
fn asked<'a>(subject: &Subject<'a>) -> Result<Guest<'a>, Skip> {
    let guest = linux::guest(subject)?;
    demand_agents(&guest)?;
    match cloud_init(&guest)? {
        CloudInit::Starts => Ok(guest),
        CloudInit::Missing => Err(Skip::not_applicable("cloud-init is not installed")),
        _ => Err(Skip::not_applicable("cloud-init does not start")),
    }
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    let Some(cloud) = guest.linux.agents.cloud_init.known()? else { return Err(Skip::not_applicable("cloud-init is not installed")) };
    let Some(files) = cloud.installer_leftovers.known()?.filter(|files| !files.is_empty()) else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!(
            "files of the installer are left that hold for one machine ({}); they pin a data source or a network on every other one",
            files.join(", ")
        ),
        actual: files.join(", "),
        required: "none".to_owned(),
        place: files.first().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand(format!("rm -f {}", word::sh_all(files))),
    }])
}

/// Its version: of its own code, or else of its package.
fn version_of<'a>(guest: &Guest<'a>) -> Result<&'a str, Skip> {
    let own = guest.linux.agents.cloud_init.value().and_then(|cloud| cloud.version.value());
    let package = || guest.linux.packages.value().and_then(|packages| packages.of_interest.iter().find(|one| one.name == "cloud-init"));
    let version = own.map(String::as_str).or_else(|| package().map(|package| package.version.as_str()));
    version.ok_or_else(|| Skip::Undecided("the version of cloud-init is not known".to_owned()))
}

fn old(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = asked(subject)?;
    let version = version_of(&guest)?;
    if !is_below(version, &[19, 4]) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!(
            "cloud-init is {version}; before 19.4 it may configure the wrong one of the two interfaces that accelerated networking brings"
        ),
        actual: version.to_owned(),
        required: "19.4 or newer".to_owned(),
        place: None,
        remedy: Remedy::hand(guest.distribution().install("cloud-init")),
    }])
}

fn modules(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = asked(subject)?;
    let concerns = matches!(guest.distribution(), linux::Distribution::RedHat | linux::Distribution::Suse);
    if !concerns || !is_below(version_of(&guest)?, &[23]) {
        return Err(Skip::not_applicable("its cloud-init lists them by itself"));
    }
    let Some(list) = cloud_config(&guest)?.and_then(|config| config.init_modules.as_ref()) else { return Ok(vec![]) };
    let missing: Vec<&str> =
        ["disk_setup", "mounts"].into_iter().filter(|name| !list.iter().any(|one| one.replace('-', "_") == *name)).collect();
    if missing.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("cloud_init_modules does not list {}, so that nobody prepares the temporary disk", missing.join(" and ")),
        actual: format!("missing: {}", missing.join(", ")),
        required: "disk_setup and mounts in cloud_init_modules".to_owned(),
        place: shared::file("/etc/cloud/cloud.cfg", None),
        remedy: Remedy::hand(format!("add {} to cloud_init_modules in /etc/cloud/cloud.cfg", missing.join(" and "))),
    }])
}

fn reporting(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = asked(subject)?;
    let Some(config) = cloud_config(&guest)? else { return Ok(vec![]) };
    let mut missing = Vec::new();
    if config.output.is_none() {
        missing
            .push(("output", "echo \"output: {all: '| tee -a /var/log/cloud-init-output.log'}\" > /etc/cloud/cloud.cfg.d/05_logging.cfg"));
    }
    if config.telemetry.as_deref() != Some("hyperv") {
        missing.push(("reporting.telemetry", "echo 'reporting: {telemetry: {type: hyperv}}' > /etc/cloud/cloud.cfg.d/10-azure-kvp.cfg"));
    }
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let (keys, commands): (Vec<&str>, Vec<&str>) = missing.into_iter().unzip();
    Ok(vec![Finding {
        message: format!("cloud-init does not set {}, so that less is seen from outside when provisioning fails", keys.join(" and ")),
        actual: format!("not set: {}", keys.join(", ")),
        required: "output to a log, telemetry of type hyperv".to_owned(),
        place: shared::file("/etc/cloud/cloud.cfg", None),
        remedy: Remedy::hand(commands.join("; ")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    fn cloud(change: impl FnOnce(&mut CloudInitFacts)) -> DiskFacts {
        linux(|l| change(known(&mut l.agents.cloud_init)))
    }

    #[test]
    fn leftovers_are_told() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        let facts = cloud(|c| c.installer_leftovers = Fact::Known(vec!["/etc/cloud/cloud.cfg.d/99-installer.cfg".to_owned()]));
        assert_eq!(ask(&RULE, &facts), "hand");
        assert_eq!(ask(&RULE, &cloud(|c| c.installer_leftovers = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &specialized_linux(|_| {})), "not applicable");
    }

    #[test]
    fn versions_and_modules() {
        assert_eq!((ask(&OLD, &healthy_os()).as_str(), ask(&MODULES, &healthy_os()).as_str()), ("pass", "not applicable"));
        assert_eq!(ask(&OLD, &cloud(|c| c.version = Fact::Known("18.5".to_owned()))), "hand");
        let red_hat = |change: fn(&mut CloudInitFacts)| {
            os(|f| {
                let os = known(&mut f.os);
                os.id = Fact::Known("rhel".to_owned());
                change(known(&mut known(&mut os.linux).agents.cloud_init));
            })
        };
        assert_eq!(ask(&MODULES, &red_hat(|_| {})), "pass");
        let short: fn(&mut CloudInitFacts) =
            |c| known(&mut c.configuration).init_modules = Some(vec!["migrator".to_owned(), "disk-setup".to_owned()]);
        assert_eq!(ask(&MODULES, &red_hat(short)), "hand");
        assert_eq!(ask(&MODULES, &red_hat(|c| c.version = Fact::Known("23.4".to_owned()))), "not applicable");
    }

    #[test]
    fn reports_are_wanted() {
        assert_eq!(ask(&REPORTING, &healthy_os()), "pass");
        assert_eq!(ask(&REPORTING, &cloud(|c| known(&mut c.configuration).telemetry = None)), "hand");
        assert_eq!(ask(&REPORTING, &cloud(|c| c.configuration = Fact::unknown("x"))), "undecided");
        let without = linux(|l| {
            l.agents.cloud_init = Fact::Absent;
            known(&mut l.packages).of_interest.retain(|one| one.name != "cloud-init");
        });
        assert_eq!(ask(&REPORTING, &without), "not applicable");
    }
}
