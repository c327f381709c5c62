//! L-26, L-38: cloud-init finds what Azure hands out.

use crate::facts::State;
use crate::rules::linux::{self, Guest, provisioner::*};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX026",
    name: "azure-data-source-excluded",
    requirement: "L-26",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "The data sources that cloud-init looks for include Azure.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::PREPARE_UBUNTU,
    docs: r"## What it checks

Where cloud-init provisions: `datasource_list` of its merged configuration, and `datasource` of `/etc/cloud/ds-identify.cfg`.

## Why it matters

A list without Azure has cloud-init look elsewhere, find nothing, and set the machine up with nothing. It gets no account, and Azure waits
in vain. Installers leave such lists (`99-installer.cfg`).

## How to fix it

Write `datasource_list: [ Azure ]` to a file that is read last, and take the other list away.",
    check: Check::Disk(check),
};

pub(in crate::rules) static NOT_LISTED: Rule = Rule {
    code: "LNX126",
    name: "azure-data-source-not-listed",
    requirement: "L-26",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "cloud-init is told that its data source is Azure.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

Where cloud-init provisions: that some file sets `datasource_list`. Without it cloud-init tries every source that it knows.

## Why it matters

The built-in list includes Azure, and cloud-init knows it by a mark in the firmware. So it works as a rule; but each other source is a
chance to be taken for that one, and where no generator looks first each costs time at every first boot.

## How to fix it

Write `datasource_list: [ Azure ]` to `/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg`.",
    check: Check::Disk(not_listed),
};

pub(in crate::rules) static REPLACED: Rule = Rule {
    code: "LNX038",
    name: "cloud-init-configuration-replaced",
    requirement: "L-38",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with cloud-init",
    summary: "cloud-init reads the configuration of its distribution.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

`CLOUD_CFG` in `DefaultEnvironment` of systemd's `system.conf`, which some recipes for swap space set.

## Why it matters

cloud-init then reads that file instead of `/etc/cloud/cloud.cfg`. What the distribution, its users and its modules set there no longer
counts, and what is set in the other file cannot be judged here.

## How to fix it

Take `CLOUD_CFG` out of `DefaultEnvironment`, and put your settings into a file of `/etc/cloud/cloud.cfg.d`.",
    check: Check::Disk(replaced),
};

/// Goes on only where cloud-init provisions.
fn asked<'a>(subject: &Subject<'a>, target: &Target) -> Result<Guest<'a>, Skip> {
    let guest = linux::guest(subject)?;
    demand_agents(&guest)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    if provisioner(&guest)? == Provisioner::CloudInit { Ok(guest) } else { Err(Skip::not_applicable("cloud-init does not provision")) }
}

const WRITE: &str = "echo 'datasource_list: [ Azure ]' > /etc/cloud/cloud.cfg.d/91-azure_datasource.cfg";

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let Some(cloud) = guest.linux.agents.cloud_init.known()? else { return Ok(vec![]) };
    let pinned = cloud.ds_identify.value().and_then(|identify| identify.datasource.as_deref());
    let others = |name: &&str| !name.split([',', ' ']).any(|one| one.eq_ignore_ascii_case("azure"));
    if let Some(name) = pinned.filter(others) {
        return Ok(vec![Finding {
            message: format!(
                "/etc/cloud/ds-identify.cfg has cloud-init look for {name} alone: it does not find Azure, and sets nothing up"
            ),
            actual: format!("datasource: {name}"),
            required: "Azure".to_owned(),
            place: shared::file("/etc/cloud/ds-identify.cfg", None),
            remedy: Remedy::hand("rm /etc/cloud/ds-identify.cfg"),
        }]);
    }
    let Some(list) = cloud_config(&guest)?.and_then(|config| config.datasource_list.as_ref()) else { return Ok(vec![]) };
    if list.is_empty() || list.iter().any(|name| name.eq_ignore_ascii_case("azure")) {
        return Ok(vec![]);
    }
    let sets =
        |file: &&crate::facts::CloudConfigFileFacts| file.sets.value().is_some_and(|keys| keys.iter().any(|key| key == "datasource_list"));
    let file = cloud.files.iter().rev().find(sets).map_or("/etc/cloud/cloud.cfg", |file| file.path.as_str());
    let shown = list.join(", ");
    Ok(vec![Finding {
        message: format!(
            "{file} has cloud-init look for the data sources {shown} only: it does not find Azure, and a new machine gets no account"
        ),
        actual: format!("datasource_list: [ {shown} ]"),
        required: "a list with Azure".to_owned(),
        place: shared::file(file, None),
        remedy: Remedy::hand(format!("take datasource_list out of {file}, and {WRITE}")),
    }])
}

fn not_listed(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let Some(config) = cloud_config(&guest)? else { return Ok(vec![]) };
    if config.datasource_list.as_ref().is_some_and(|list| !list.is_empty()) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "no file sets datasource_list: cloud-init has to find out by itself that the machine is in Azure, among all data \
                  sources it knows"
            .to_owned(),
        actual: "datasource_list is not set".to_owned(),
        required: "datasource_list: [ Azure ]".to_owned(),
        place: shared::file("/etc/cloud/cloud.cfg", None),
        remedy: Remedy::hand(WRITE),
    }])
}

fn replaced(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let Some(cloud) = installed_cloud_init(&guest)? else { return Err(Skip::not_applicable("cloud-init is not installed")) };
    let Some(other) = cloud.configuration_override.known()? else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!(
            "{} has cloud-init read {} instead of /etc/cloud/cloud.cfg, so that the distribution's settings no longer count",
            other.path, other.value
        ),
        actual: format!("CLOUD_CFG={}", other.value),
        required: "CLOUD_CFG is not set".to_owned(),
        place: shared::file(&other.path, None),
        remedy: Remedy::hand(format!(
            "take CLOUD_CFG out of DefaultEnvironment in {}, and move the settings to a file of /etc/cloud/cloud.cfg.d",
            other.path
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    fn listed(list: Option<&[&str]>) -> DiskFacts {
        linux(|l| {
            let config = known(&mut known(&mut l.agents.cloud_init).configuration);
            config.datasource_list = list.map(|list| list.iter().map(|name| (*name).to_owned()).collect());
        })
    }

    #[test]
    fn lists_of_data_sources() {
        for (list, excluded, not_listed) in [
            (Some(&["Azure"][..]), "pass", "pass"),
            (Some(&["NoCloud", "Azure", "None"]), "pass", "pass"),
            (Some(&["NoCloud", "None"]), "hand", "pass"),
            (Some(&["None"]), "hand", "pass"),
            (Some(&[]), "pass", "hand"),
            (None, "pass", "hand"),
        ] {
            let facts = listed(list);
            assert_eq!((ask(&RULE, &facts).as_str(), ask(&NOT_LISTED, &facts).as_str()), (excluded, not_listed), "{list:?}");
        }
    }

    #[test]
    fn ds_identify_may_pin_another() {
        for (name, said) in [("NoCloud", "hand"), ("Azure", "pass")] {
            let facts = linux(|l| {
                known(&mut l.agents.cloud_init).ds_identify =
                    Fact::Known(DsIdentifyFacts { policy: None, datasource: Some(name.to_owned()) });
            });
            assert_eq!(ask(&RULE, &facts), said, "{name}");
        }
    }

    #[test]
    fn table() {
        for rule in [&RULE, &NOT_LISTED] {
            assert_eq!(ask(rule, &specialized_linux(|_| {})), "not applicable");
            assert_eq!(ask(rule, &linux(|l| l.services = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &linux(|l| known(&mut l.agents.cloud_init).configuration = Fact::unknown("x"))), "undecided");
            let without = linux(|l| {
                l.agents.cloud_init = Fact::Absent;
                known(&mut l.packages).of_interest.retain(|one| one.name != "cloud-init");
            });
            assert_eq!(ask(rule, &without), "not applicable");
        }
        let other = linux(|l| {
            known(&mut l.agents.cloud_init).configuration_override =
                Fact::Known(OverrideFacts { path: "/etc/systemd/system.conf".to_owned(), value: "/etc/cloud/other.cfg".to_owned() });
        });
        assert_eq!((ask(&RULE, &other).as_str(), ask(&REPLACED, &other).as_str()), ("undecided", "hand"));
        assert_eq!(ask(&REPLACED, &healthy_os()), "pass");
        assert_eq!(ask(&REPLACED, &linux(|l| l.agents.cloud_init = Fact::Absent)), "not applicable");
    }
}
