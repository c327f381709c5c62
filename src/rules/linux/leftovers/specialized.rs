//! L-56, L-24: one machine that is moved keeps its ways in, and is not set up again.

use crate::facts::{Fact, State};
use crate::rules::linux::{self, Distribution, Guest, provisioner};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX056",
    name: "nobody-can-log-in",
    requirement: "L-56",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as specialized, without the Azure Linux agent",
    summary: "Somebody can log in to a machine that is moved.",
    azure_error: None,
    source: source::LINUX_GALLERY,
    docs: r"## What it checks

That an account has a shell, and a password or a key, where the Azure Linux agent does not start. Accounts from a directory service are
not seen.

## Why it matters

Azure gives a specialized disk no account. Without one of its own, and without the agent, whose extension sets one, nobody gets in.

## How to fix it

Set a key or a password for an account, or install the Azure Linux agent.",
    check: Check::Disk(check),
};

pub(in crate::rules) static RESET: Rule = Rule {
    code: "LNX156",
    name: "login-by-reset-only",
    requirement: "L-56",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as specialized, with the Azure Linux agent",
    summary: "Somebody can log in to a machine that is moved.",
    azure_error: None,
    source: source::LINUX_GALLERY,
    docs: r"## What it checks

That an account has a shell, and a password or a key, where the Azure Linux agent starts.

## Why it matters

Azure gives a specialized disk no account. The agent's extension VMAccess can set one afterwards; until then nobody gets in.

## How to fix it

Set a key or a password for an account, or run `az vm user update` when the machine is there.",
    check: Check::Disk(reset),
};

pub(in crate::rules) static AGAIN: Rule = Rule {
    code: "LNX124",
    name: "provisioning-runs-on-one-machine",
    requirement: "L-24",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as specialized",
    summary: "Nothing sets up a machine that is moved as if it were new.",
    azure_error: None,
    source: source::LINUX_REMOVE_AGENT,
    docs: r"## What it checks

Where cloud-init or the Azure Linux agent starts and has never set this machine up: `Provisioning.Agent=disabled` in the agent's
configuration, and cloud-init switched off.

## Why it matters

Azure hands a specialized disk nothing to set up. The agent looks for it and reports that provisioning has failed; cloud-init takes the
machine for a new one, gives it another name and deletes its SSH host keys.

## How to fix it

Set `Provisioning.Agent=disabled`, and switch cloud-init off.",
    check: Check::Disk(again),
};

/// The Linux of a disk that is used as specialized.
fn asked<'a>(subject: &Subject<'a>, target: &Target) -> Result<Guest<'a>, Skip> {
    let guest = linux::guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Specialized)?;
    Ok(guest)
}

/// Whether nobody can log in.
fn is_closed(guest: &Guest<'_>) -> Result<bool, Skip> {
    if guest.distribution() == Distribution::Flatcar {
        return Err(Skip::not_applicable("Ignition makes its accounts"));
    }
    let accounts = &guest.linux.accounts;
    let users = accounts.users.known()?.ok_or_else(|| Skip::Undecided("there is no /etc/passwd".to_owned()))?;
    if users.iter().any(|user| user.can_log_in == Fact::Known(true)) {
        return Ok(false);
    }
    for user in users {
        user.can_log_in.known()?;
    }
    let local = |source: &String| matches!(source.as_str(), "files" | "compat" | "db" | "systemd" | "altfiles");
    if let Some(other) = accounts.sources.value().into_iter().flatten().find(|source| !local(source)) {
        return Err(Skip::Undecided(format!("accounts come from {other} too, which is not on the disk")));
    }
    Ok(true)
}

fn has_agent(guest: &Guest<'_>) -> Result<bool, Skip> {
    Ok(provisioner::waagent(guest)?.is_some() && provisioner::starts(guest, provisioner::WAAGENT_UNITS)?)
}

fn closed(subject: &Subject<'_>, target: &Target, with_agent: bool, effect: &str, cure: &str) -> Judgement {
    let guest = asked(subject, target)?;
    if !is_closed(&guest)? || has_agent(&guest)? != with_agent {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("no account has a shell and a password or a key: {effect}"),
        actual: "nobody can log in".to_owned(),
        required: "an account with a password or a key".to_owned(),
        place: shared::file("/etc/passwd", None),
        remedy: Remedy::hand(cure),
    }])
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let effect = "Azure gives a specialized disk none, and there is no Azure Linux agent that could set one";
    closed(
        subject,
        target,
        false,
        effect,
        "set a key or a password for an account in the machine, with passwd NAME or ~NAME/.ssh/authorized_keys",
    )
}

fn reset(subject: &Subject<'_>, target: &Target) -> Judgement {
    let effect = "until the Azure Linux agent sets one by its extension VMAccess, nobody gets in";
    let cure = "az vm user update --resource-group GROUP --name VM --username NAME --ssh-key-value KEY.pub, when the machine is there";
    closed(subject, target, true, effect, cure)
}

fn again(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    provisioner::demand_agents(&guest)?;
    let residue = &guest.linux.residue;
    let once = residue.cloud_init.known()?.is_some_and(|state| state.provisioned)
        || residue.waagent.known()?.is_some_and(|state| state.provisioned);
    if once {
        return Ok(vec![]);
    }
    let mut runs = Vec::new();
    let mut cures = Vec::new();
    if provisioner::cloud_init(&guest)? == provisioner::CloudInit::Starts {
        runs.push("cloud-init");
        cures.push("touch /etc/cloud/cloud-init.disabled".to_owned());
    }
    let configuration = guest.linux.agents.waagent.value().and_then(|agent| agent.configuration.value());
    let told = configuration.and_then(|file| file.settings.get("Provisioning.Agent"));
    if has_agent(&guest)? && told.is_none_or(|value| value != "disabled") {
        runs.push("the Azure Linux agent");
        let path = configuration.map_or("/etc/waagent.conf", |file| file.path.as_str());
        cures.push(format!("set Provisioning.Agent=disabled in {path}"));
    }
    if runs.is_empty() {
        return Ok(vec![]);
    }
    let list = runs.join(" and ");
    let verb = if runs.len() == 1 { "starts and has" } else { "start and have" };
    Ok(vec![Finding {
        message: format!(
            "{list} {verb} never set this machine up: Azure hands a specialized disk nothing, so that its name and keys change or \
             provisioning is reported as failed"
        ),
        actual: format!("{list} would provision"),
        required: "provisioning is switched off".to_owned(),
        place: configuration.and_then(|file| shared::file(&file.path, None)),
        remedy: Remedy::hand(cures.join("; ")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    fn one(change: impl FnOnce(&mut LinuxFacts)) -> DiskFacts {
        specialized_linux(|f| change(known(&mut known(&mut f.os).linux)))
    }

    fn closed(l: &mut LinuxFacts) {
        for user in known(&mut l.accounts.users) {
            user.can_log_in = Fact::Known(false);
        }
        l.accounts.sources = Fact::Known(vec!["files".to_owned(), "systemd".to_owned()]);
    }

    #[test]
    fn somebody_gets_in() {
        let both = |facts: &DiskFacts| (ask(&RULE, facts), ask(&RESET, facts));
        let said = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(both(&one(|_| {})), said("pass", "pass"));
        assert_eq!(both(&one(closed)), said("pass", "hand"));
        let without = |l: &mut LinuxFacts| {
            closed(l);
            known(&mut l.services).units.retain(|unit| unit.name != "walinuxagent.service");
        };
        assert_eq!(both(&one(without)), said("hand", "pass"));
        let directory = |l: &mut LinuxFacts| {
            closed(l);
            l.accounts.sources = Fact::Known(vec!["files".to_owned(), "sss".to_owned()]);
        };
        assert_eq!(both(&one(directory)), said("undecided", "undecided"));
        assert_eq!(both(&one(|l| l.accounts.users = Fact::unknown("x"))), said("undecided", "undecided"));
        assert_eq!(both(&healthy_os()), said("not applicable", "not applicable"));
    }

    #[test]
    fn nothing_is_set_up_again() {
        let set_up = |l: &mut LinuxFacts, once| {
            l.residue.cloud_init =
                Fact::Known(CloudInitStateFacts { instances: vec![], provisioned: once, datasource: Fact::Absent, seeds: vec![] });
        };
        assert_eq!(ask(&AGAIN, &one(|l| set_up(l, true))), "pass");
        assert_eq!(ask(&AGAIN, &one(|l| set_up(l, false))), "hand");
        let off = |l: &mut LinuxFacts| {
            set_up(l, false);
            known(&mut l.agents.cloud_init).disabled_by_file = Fact::Known(true);
            known(&mut known(&mut l.agents.waagent).configuration).settings.insert("Provisioning.Agent".to_owned(), "disabled".to_owned());
        };
        assert_eq!(ask(&AGAIN, &one(off)), "pass");
        assert_eq!(ask(&AGAIN, &one(|l| (l.residue.cloud_init, l.residue.waagent) = (Fact::Absent, Fact::unknown("x")))), "undecided");
        assert_eq!(ask(&AGAIN, &healthy_os()), "not applicable");
    }
}
