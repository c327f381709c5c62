//! L-33, L-36: programs that provisioning needs, and packages that help.

use crate::facts::State;
use crate::rules::linux::{self, Guest, provisioner::*};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX033",
    name: "agent-needs-programs",
    requirement: "L-33",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized, where the Azure Linux agent provisions",
    summary: "The programs that the Azure Linux agent needs are installed.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

Where the agent provisions by itself: openssl and sudo, by the list of packages; and from Python 3.13 on a replacement of the module
`crypt` (`crypt-r` or `legacycrypt`), which Python no longer has.

## Why it matters

Without openssl the agent cannot read the certificates that it is handed; without sudo the account of a new machine cannot become root;
without `crypt` the agent cannot set a password, so that a machine that is made with one is not set up.

## How to fix it

Install what is missing; or let cloud-init provision.",
    check: Check::Disk(check),
};

pub(in crate::rules) static HELPFUL: Rule = Rule {
    code: "LNX036",
    name: "helpful-packages-missing",
    requirement: "L-36",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks whose packages are known",
    summary: "The Hyper-V daemons, growpart and gdisk are installed.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

By the list of packages: the daemons of Hyper-V (`hyperv-daemons`, `hyper-v`, `linux-cloud-tools`, `hvtools`), growpart
(`cloud-guest-utils`, `cloud-utils-growpart`, `growpart`) and gdisk (`gdisk`, `gptfdisk`).

## Why it matters

The daemons report the machine's addresses to the host and freeze file systems for backups. growpart and gdisk let the root file system
grow to the size of a larger OS disk at the first boot.

## How to fix it

Install what is missing.",
    check: Check::Disk(helpful),
};

fn packages<'a>(guest: &Guest<'a>) -> Result<&'a crate::facts::PackagesFacts, Skip> {
    guest.linux.packages.known()?.ok_or_else(|| Skip::not_applicable("no list of packages was found"))
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    if provisioner(&guest)? != Provisioner::Waagent {
        return Err(Skip::not_applicable("the Azure Linux agent does not provision"));
    }
    let packages = packages(&guest)?;
    let python = packages.named("python3").next().map(|package| package.version.as_str());
    let mut missing: Vec<String> =
        ["openssl", "sudo"].into_iter().filter(|name| packages.named(name).next().is_none()).map(str::to_owned).collect();
    // The list of packages tells of crypt-r; legacycrypt does the same, but comes by other ways too: no more than a warning.
    let replaced = packages.of_interest.iter().any(|package| package.name.contains("crypt-r") || package.name.contains("legacycrypt"));
    let crypt = python.filter(|version| !is_below(version, &[3, 13]) && !numbers(version).is_empty() && !replaced);
    if crypt.is_some() {
        missing.push("python3-crypt-r".to_owned());
    }
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let why = crypt
        .map(|version| format!("; Python {version} has no module crypt, without which the agent sets no password"))
        .unwrap_or_default();
    Ok(vec![Finding {
        message: format!(
            "the Azure Linux agent provisions, but {} {} not installed{why}",
            missing.join(", "),
            if missing.len() == 1 { "is" } else { "are" }
        ),
        actual: format!("missing: {}", missing.join(", ")),
        required: "openssl, sudo, and a module crypt for its Python".to_owned(),
        place: shared::file(&packages.database, None),
        remedy: Remedy::hand(guest.distribution().install(&missing.join(" "))),
    }])
}

/// What helps, under the names that distributions have for it.
const HELP: [(&str, &[&str]); 3] = [
    ("the Hyper-V daemons", &["hyperv-daemons", "hyper-v", "hvtools", "hypervkvpd", "hyperv-tools"]),
    ("growpart", &["cloud-guest-utils", "cloud-utils-growpart", "growpart", "cloud-utils"]),
    ("gdisk", &["gdisk", "gptfdisk"]),
];

fn helpful(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    demand_agents(&guest)?;
    let packages = packages(&guest)?;
    let has = |names: &[&str]| {
        packages
            .of_interest
            .iter()
            .any(|one| names.contains(&one.name.as_str()) || (names.contains(&"hyper-v") && one.name.starts_with("linux-cloud-tools")))
    };
    let missing: Vec<(&str, &str)> =
        HELP.iter().filter(|(_, names)| !has(names)).map(|(what, names)| (*what, package_of(guest.distribution(), what, names))).collect();
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let why: Vec<String> = missing.iter().map(|(what, _)| format!("{what}, which {}", purpose(what))).collect();
    let (what, install): (Vec<&str>, Vec<&str>) = missing.into_iter().unzip();
    Ok(vec![Finding {
        message: format!("not installed: {}", why.join("; ")),
        actual: format!("missing: {}", what.join(", ")),
        required: "the Hyper-V daemons, growpart, gdisk".to_owned(),
        place: shared::file(&packages.database, None),
        remedy: Remedy::hand(guest.distribution().install(&install.join(" "))),
    }])
}

/// What it is good for.
fn purpose(what: &str) -> &'static str {
    match what {
        "the Hyper-V daemons" => "report addresses to the host and freeze file systems for backups",
        "growpart" => "lets the root file system grow with its disk",
        _ => "moves the backup GPT when the disk has grown",
    }
}

/// A distribution's name for it.
fn package_of(distribution: linux::Distribution, what: &str, names: &[&'static str]) -> &'static str {
    use linux::Distribution::{Alpine, AzureLinux, Debian, RedHat, Suse};
    match (distribution, what) {
        (Suse, "the Hyper-V daemons") => "hyper-v",
        (Alpine, "the Hyper-V daemons") => "hvtools",
        (RedHat | Alpine | AzureLinux, "growpart") => "cloud-utils-growpart",
        (Suse, "growpart") => "growpart",
        (Debian, _) => names.first().copied().unwrap_or_default(),
        (Suse, "gdisk") => "gptfdisk",
        _ => names.first().copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;

    fn packaged(change: fn(&mut Vec<PackageFacts>), own: bool) -> DiskFacts {
        linux(|l| {
            change(&mut known(&mut l.packages).of_interest);
            if own {
                l.agents.cloud_init = Fact::Absent;
                known(&mut l.packages).of_interest.retain(|one| one.name != "cloud-init");
                known(&mut known(&mut l.agents.waagent).configuration).settings.insert("Provisioning.Agent".to_owned(), "auto".to_owned());
            }
        })
    }

    #[test]
    fn programs_of_the_agent() {
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RULE, &packaged(|_| {}, true)), "pass");
        assert_eq!(ask(&RULE, &packaged(|list| list.retain(|one| one.name != "openssl"), true)), "hand");
        let newer = |list: &mut Vec<PackageFacts>| {
            for one in list.iter_mut().filter(|one| one.name == "python3") {
                one.version = "3.13.5-1".to_owned();
            }
        };
        assert_eq!(ask(&RULE, &packaged(newer, true)), "hand");
        let replaced: fn(&mut Vec<PackageFacts>) = |list| {
            for one in list.iter_mut().filter(|one| one.name == "python3") {
                one.version = "3.13.5-1".to_owned();
            }
            list.push(PackageFacts { name: "python3-crypt-r".to_owned(), version: "1".to_owned(), architecture: "all".to_owned() });
        };
        assert_eq!(ask(&RULE, &packaged(replaced, true)), "pass");
        assert_eq!(ask(&RULE, &specialized_linux(|_| {})), "not applicable");
        assert_eq!(ask(&RULE, &linux(|l| l.services = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn packages_that_help() {
        assert_eq!(ask(&HELPFUL, &healthy_os()), "pass");
        assert_eq!(ask(&HELPFUL, &packaged(|list| list.retain(|one| one.name != "gdisk" && one.name != "hyperv-daemons"), false)), "hand");
        assert_eq!(ask(&HELPFUL, &linux(|l| l.packages = Fact::Absent)), "not applicable");
        assert_eq!(ask(&HELPFUL, &linux(|l| l.packages = Fact::unknown("x"))), "undecided");
    }
}
