//! L-35, L-37: somebody who is let in by SSH can administer the machine.

use crate::facts::UnitState;
use crate::rules::linux::{self, Distribution, Guest, provisioner::*};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX035",
    name: "ssh-server-not-enabled",
    requirement: "L-35",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "An SSH server is installed and starts by itself.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

That sshd is installed, and that its service or its socket is enabled (`ssh` on Debian and Ubuntu, `sshd` elsewhere).

## Why it matters

SSH is the way into a machine in Azure. There is a serial console, but it asks for a password, which machines made with a key do not have.

## How to fix it

Install and enable the SSH server.",
    check: Check::Disk(check),
};

pub(in crate::rules) static KEEP_ALIVE: Rule = Rule {
    code: "LNX135",
    name: "ssh-keep-alive-out-of-range",
    requirement: "L-35",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "Linux OS disks for the Marketplace",
    summary: "sshd asks idle clients for a sign of life every 30 to 235 seconds.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

`ClientAliveInterval` of sshd's configuration, with what it includes.

## Why it matters

Azure's load balancers drop connections that are idle for four minutes. Certification asks for a value from 30 to 235, and recommends 180.

## How to fix it

Set `ClientAliveInterval 180` in `/etc/ssh/sshd_config`.",
    check: Check::Disk(keep_alive),
};

pub(in crate::rules) static TARGET: Rule = Rule {
    code: "LNX037",
    name: "sudo-asks-for-the-password-of-root",
    requirement: "L-37",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "sudo asks for the password of the one who calls it.",
    azure_error: None,
    source: source::PREPARE_SUSE,
    docs: r"## What it checks

`Defaults targetpw` together with `ALL ALL=(ALL) ALL` in the rules of sudo, as SUSE's installations have them.

## Why it matters

sudo then asks for the password of root, which a machine in Azure does not have. Whoever was made with a password cannot become root;
those that were made with a key may, for their rule asks for no password.

## How to fix it

Take both lines out of `/etc/sudoers`.",
    check: Check::Disk(target_password),
};

const UNITS: [&str; 4] = ["ssh.service", "sshd.service", "ssh.socket", "sshd.socket"];

fn check(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    if guest.distribution() == Distribution::Flatcar {
        return Err(Skip::not_applicable("it brings an SSH server in its image"));
    }
    let unit = if guest.distribution() == Distribution::Debian { "ssh" } else { "sshd" };
    let package = if matches!(guest.distribution(), Distribution::Suse | Distribution::Arch) { "openssh" } else { "openssh-server" };
    let packages = guest.linux.packages.value().map(|packages| &packages.of_interest);
    let packaged = packages.is_some_and(|list| list.iter().any(|one| one.name.starts_with("openssh-server")));
    if guest.linux.ssh.installed.known()? != Some(&true) && !packaged {
        let enable = guest.distribution().enable(unit);
        return Ok(vec![finding("no SSH server is installed", format!("{}; {enable}", guest.distribution().install(package)))]);
    }
    if starts(&guest, &UNITS)? {
        return Ok(vec![]);
    }
    let services = guest.linux.services.value();
    let plain = |name: &str| name.trim_end_matches(".service").to_owned();
    let there = |name: &str| services.is_some_and(|services| services.units.iter().any(|one| plain(&one.name) == plain(name)));
    if !UNITS.iter().any(|name| there(name)) {
        // Another server, dropbear say, whose unit is not looked for.
        return Err(Skip::Undecided("an SSH server is installed, but no unit that is known starts it".to_owned()));
    }
    let masked = UNITS.iter().find(|name| services.is_some_and(|services| services.state(name).value() == Some(&UnitState::Masked)));
    let unmask = masked.map(|name| format!("systemctl unmask {name}; ")).unwrap_or_default();
    Ok(vec![finding("the SSH server is installed but does not start by itself", format!("{unmask}{}", guest.distribution().enable(unit)))])
}

fn finding(found: &str, cure: String) -> Finding {
    Finding {
        message: format!("{found}: nobody can connect to the machine"),
        actual: found.to_owned(),
        required: "an SSH server that starts by itself".to_owned(),
        place: None,
        remedy: Remedy::hand(cure),
    }
}

/// Seconds of a time as sshd writes it: `180`, `3m`, `1h30m`.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number): (u64, Option<u64>) = (0, None);
    for letter in text.trim().chars() {
        if let Some(digit) = letter.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match letter.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    total.checked_add(number.unwrap_or(0))
}

fn keep_alive(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let settings = guest.linux.ssh.settings.known()?.ok_or_else(|| Skip::not_applicable("sshd has no configuration"))?;
    let set = settings.iter().find(|one| one.keyword == "clientaliveinterval");
    if set.and_then(|one| seconds(&one.value)).is_some_and(|interval| (30..=235).contains(&interval)) {
        return Ok(vec![]);
    }
    let path = set.map_or("/etc/ssh/sshd_config", |one| one.path.as_str());
    let line = set.and_then(|one| u32::try_from(one.line).ok());
    let found = set.map_or_else(|| "not set".to_owned(), |one| one.value.clone());
    Ok(vec![Finding {
        message: format!(
            "ClientAliveInterval of sshd is {found}; certification demands 30 to 235 seconds, because idle connections are dropped \
             after four minutes"
        ),
        actual: found,
        required: "30 to 235, best 180".to_owned(),
        place: shared::file(path, line),
        remedy: Remedy::hand(format!("set ClientAliveInterval 180 in {path}")),
    }])
}

/// Not an error: a machine that is made with a key has a rule that asks for no password.
fn target_password(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest: Guest<'_> = linux::guest(subject)?;
    let sudo = guest.linux.accounts.sudo.known()?.ok_or_else(|| Skip::not_applicable("sudo is not installed"))?;
    if !(sudo.target_password && sudo.anybody) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message:
            "sudo asks for the password of root (Defaults targetpw), which machines in Azure do not have: who logs in by password cannot \
                  become root"
                .to_owned(),
        actual: "Defaults targetpw and ALL ALL=(ALL) ALL".to_owned(),
        required: "neither of them".to_owned(),
        place: shared::file("/etc/sudoers", None),
        remedy: Remedy::hand("take 'Defaults targetpw' and 'ALL ALL=(ALL) ALL' out of /etc/sudoers, with visudo"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::linux::unit;
    use crate::rules::testing::*;

    fn with(installed: bool, units: &[(&str, UnitState)]) -> DiskFacts {
        linux(|l| {
            l.ssh.installed = Fact::Known(installed);
            known(&mut l.packages).of_interest.retain(|one| !one.name.starts_with("openssh"));
            let services = known(&mut l.services);
            services.units.retain(|unit| !unit.name.starts_with("ssh"));
            services.units.extend(units.iter().map(|(name, state)| unit(name, *state)));
        })
    }

    #[test]
    fn the_server_starts() {
        for (installed, units, said) in [
            (true, &[("ssh.service", UnitState::Enabled)][..], "pass"),
            (true, &[("ssh.service", UnitState::Disabled), ("ssh.socket", UnitState::Enabled)], "pass"),
            (true, &[("ssh.service", UnitState::Disabled), ("ssh.socket", UnitState::Disabled)], "hand"),
            (true, &[("sshd.service", UnitState::Masked)], "hand"),
            (true, &[], "undecided"),
            (false, &[], "hand"),
        ] {
            assert_eq!(ask(&RULE, &with(installed, units)), said, "{installed} {units:?}");
        }
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &linux(|l| l.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &os(|f| known(&mut f.os).id = Fact::Known("flatcar".to_owned()))), "not applicable");
    }

    #[test]
    fn times_are_read() {
        for (text, expected) in
            [("180", Some(180)), ("3m", Some(180)), ("1h30m", Some(5400)), ("x", None), ("m", None), ("99999999999999999999", None)]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn idle_clients_are_asked() {
        for (value, said) in [(Some("180"), "pass"), (Some("30"), "pass"), (Some("236"), "hand"), (Some("0"), "hand"), (None, "hand")] {
            let facts = linux(|l| {
                let settings = known(&mut l.ssh.settings);
                match value {
                    Some(value) => settings[0].value = value.to_owned(),
                    None => settings.clear(),
                }
            });
            assert_eq!(ask(&KEEP_ALIVE, &facts), said, "{value:?}");
        }
        assert_eq!(ask(&KEEP_ALIVE, &linux(|l| l.ssh.settings = Fact::Absent)), "not applicable");
        assert_eq!(ask(&KEEP_ALIVE, &linux(|l| l.ssh.settings = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn whose_password_sudo_asks_for() {
        let with =
            |target_password, anybody| linux(|l| l.accounts.sudo = Fact::Known(SudoFacts { rules: vec![], target_password, anybody }));
        for (target, anybody, said) in [(false, false, "pass"), (true, false, "pass"), (false, true, "pass"), (true, true, "hand")] {
            assert_eq!(ask(&TARGET, &with(target, anybody)), said);
        }
        assert_eq!(ask(&TARGET, &linux(|l| l.accounts.sudo = Fact::Absent)), "not applicable");
        assert_eq!(ask(&TARGET, &linux(|l| l.accounts.sudo = Fact::unknown("x"))), "undecided");
    }
}
