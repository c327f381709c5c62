//! L-42: no rule of udev ties names to the hardware addresses of another machine.

use crate::rules::linux;
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX042",
    name: "persistent-names-with-generator",
    requirement: "L-42",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with a generator of names",
    summary: "eth0 is not the name of another machine's network adapter.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

`70-persistent-net.rules` that names interfaces, together with a generator (`75-persistent-net-generator.rules`) that is not masked.

## Why it matters

The rule gives the name `eth0` to the hardware address of the former machine. The generator sees the adapter of the new one as a further
one, and writes the name `eth1` for it. Nothing is configured for `eth1`.

## How to fix it

Delete the rules, and mask the generator.",
    check: Check::Disk(check),
};

pub(in crate::rules) static LEFT: Rule = Rule {
    code: "LNX142",
    name: "persistent-names-left",
    requirement: "L-42",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "No rule of udev names the network adapters of another machine.",
    azure_error: None,
    source: source::PREPARE_SUSE,
    docs: r"## What it checks

Files such as `/etc/udev/rules.d/70-persistent-net.rules` that name interfaces, where no generator writes more of them; and a generator
that is not masked.

## Why it matters

The rule is for a hardware address that no machine in Azure has. `eth0` keeps its name as long as nothing writes a second line; a
generator writes one as soon as the hardware address changes, for which it is enough to give the machine another network interface.

## How to fix it

Delete the rules, and mask the generator.",
    check: Check::Disk(left),
};

/// Rules that name interfaces, and whether a generator writes more of them.
fn asked<'a>(subject: &Subject<'a>) -> Result<(Vec<&'a crate::facts::UdevRuleFacts>, Option<&'a str>), Skip> {
    let guest = linux::guest(subject)?;
    let rules = guest.linux.network.udev_rules.known()?.map(Vec::as_slice).unwrap_or_default();
    let names = rules.iter().filter(|rule| rule.purpose == "persistent-names" && !rule.masked && rule.names > 0).collect();
    // One below /etc hides that of the same name below /usr/lib.
    let generators = || rules.iter().filter(|rule| rule.purpose == "name-generator");
    let generator = if generators().any(|rule| rule.masked && rule.path.starts_with("/etc/")) {
        None
    } else {
        generators().find(|rule| !rule.masked).map(|rule| rule.path.as_str())
    };
    Ok((names, generator))
}

/// So many lines, in words.
fn lines(names: usize) -> String {
    match names {
        1 => "a line that gives a name".to_owned(),
        names => format!("{names} lines that give names"),
    }
}

const MASK: &str = "ln -sf /dev/null /etc/udev/rules.d/75-persistent-net-generator.rules";

fn check(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let (names, generator) = asked(subject)?;
    let Some(generator) = generator else { return Err(Skip::not_applicable("nothing generates names of interfaces")) };
    let found = names.into_iter().map(|rule| Finding {
        message: format!(
            "{} keeps the names of another machine's network adapters, and {generator} writes on: the adapter in Azure becomes eth1",
            rule.path
        ),
        actual: lines(rule.names),
        required: "no names, and no generator".to_owned(),
        place: shared::file(&rule.path, None),
        remedy: Remedy::hand(format!("rm -f {} && {MASK}", word::sh(&rule.path))),
    });
    Ok(found.collect())
}

fn left(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let (names, generator) = asked(subject)?;
    if let Some(generator) = generator {
        if !names.is_empty() {
            // The other rule tells.
            return Ok(vec![]);
        }
        return Ok(vec![Finding {
            message: format!(
                "{generator} ties the name eth0 to the first hardware address it sees; with another network interface the adapter \
                 becomes eth1"
            ),
            actual: format!("{generator} is not masked"),
            required: "no generator of names".to_owned(),
            place: shared::file(generator, None),
            remedy: Remedy::hand(MASK),
        }]);
    }
    let found = names.into_iter().map(|rule| Finding {
        message: format!(
            "{} names the network adapters of another machine by their hardware addresses, which no machine in Azure has",
            rule.path
        ),
        actual: lines(rule.names),
        required: "no such rules".to_owned(),
        place: shared::file(&rule.path, None),
        remedy: Remedy::hand(format!("rm -f {}", word::sh(&rule.path))),
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    fn with(rules: &[(&str, &str, bool, usize)]) -> DiskFacts {
        linux(|l| {
            known(&mut l.network.udev_rules).extend(rules.iter().map(|(path, purpose, masked, names)| UdevRuleFacts {
                path: (*path).to_owned(),
                purpose: (*purpose).to_owned(),
                masked: *masked,
                names: *names,
            }));
        })
    }

    #[test]
    fn table() {
        let names = ("/etc/udev/rules.d/70-persistent-net.rules", "persistent-names", false, 1);
        let generator = ("/lib/udev/rules.d/75-persistent-net-generator.rules", "name-generator", false, 0);
        let masked = ("/etc/udev/rules.d/75-persistent-net-generator.rules", "name-generator", true, 0);
        for (rules, generated, left) in [
            (&[][..], "not applicable", "pass"),
            (&[names], "not applicable", "hand"),
            (&[("/etc/udev/rules.d/70-persistent-net.rules", "persistent-names", true, 0)], "not applicable", "pass"),
            (&[names, generator], "hand", "pass"),
            (&[generator], "pass", "hand"),
            (&[names, masked, generator], "not applicable", "hand"),
        ] {
            let facts = with(rules);
            assert_eq!((ask(&RULE, &facts).as_str(), ask(&LEFT, &facts).as_str()), (generated, left), "{rules:?}");
        }
        for rule in [&RULE, &LEFT] {
            assert_eq!(ask(rule, &linux(|l| l.network.udev_rules = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_data()), "not applicable");
        }
    }
}
