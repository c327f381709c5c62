//! L-05, L-06: the kernel is not too old.

use super::started::started;
use crate::facts::KernelFacts;
use crate::rules::linux::{Distribution, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

/// The first kernel that starts in Azure without `numa=off`, and Red Hat's with the same change.
const NUMA: &[u64] = &[2, 6, 37];
const NUMA_RED_HAT: &[u64] = &[2, 6, 32, 504];
/// The first whose drivers Microsoft supports in custom kernels.
const SUPPORTED: &[u64] = &[3, 8];
/// From here on kernels have the corrections of June 2019 (CVE-2019-11477, -11478, -11479).
const SACK: &[u64] = &[5, 2];

/// Kernels of Red Hat and its kin with those corrections: a series, and the first of it.
const SACK_RED_HAT: &[(&[u64], &[u64])] = &[
    (&[2, 6, 32, 754], &[15, 3]),
    (&[3, 10, 0, 327], &[79, 2]),
    (&[3, 10, 0, 514], &[66, 2]),
    (&[3, 10, 0, 693], &[50, 3]),
    (&[3, 10, 0, 862], &[34, 2]),
    (&[3, 10, 0, 957], &[21, 3]),
    (&[3, 10, 0, 1062], &[1, 1]),
    (&[4, 18, 0, 80], &[4, 2]),
];
/// Ubuntu's kernels for Azure with them.
const SACK_UBUNTU: &[(&[u64], &[u64])] = &[(&[4, 15, 0], &[1049]), (&[4, 18, 0], &[1023]), (&[5, 0, 0], &[1010])];
/// SUSE's with them.
const SACK_SUSE: &[(&[u64], &[u64])] = &[(&[3, 0, 101], &[108, 95]), (&[4, 4], &[180, 4, 31]), (&[4, 12, 14], &[5, 30])];

pub(in crate::rules) static TOO_OLD: Rule = Rule {
    code: "LNX005",
    name: "kernel-too-old",
    requirement: "L-05",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The kernel is 2.6.37 or later (Red Hat: 2.6.32-504), or started with numa=off.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

The kernel that starts by itself must be 2.6.37 or later; of Red Hat Enterprise Linux 6 and its kin 2.6.32-504 or later. An older one passes
with `numa=off` on its command line.

## Why it matters

Older kernels cannot cope with the description of memory that Hyper-V gives larger machines, and stop while starting.

## How to fix it

Update the kernel. Where that is not possible, add `numa=off` to the kernel command line.",
    check: Check::Disk(too_old),
};

pub(in crate::rules) static OLD: Rule = Rule {
    code: "LNX105",
    name: "kernel-old",
    requirement: "L-05",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The kernel is 3.8 or later, unless it is one of Red Hat's.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

The kernel that starts by itself should be 3.8 or later. Those of Red Hat Enterprise Linux 6 and its kin carry the drivers of later
kernels and pass.

## Why it matters

Microsoft supports custom kernels from 3.8 on. Earlier ones lack corrections to the drivers of Hyper-V, and agents of today do not run
beside them.

## How to fix it

Update the distribution.",
    check: Check::Disk(old),
};

pub(in crate::rules) static SACK_PANIC: Rule = Rule {
    code: "LNX006",
    name: "kernel-before-sack-fixes",
    requirement: "L-06",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "OS disks with a Linux whose kernel is known to lack or to have the fixes",
    summary: "The kernel has the corrections for CVE-2019-11477, CVE-2019-11478 and CVE-2019-11479.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

The release of the kernel that starts by itself, against the first ones with the corrections: upstream from 5.2 on, and the releases that
certification lists for Red Hat, SUSE and Ubuntu. Kernels of other distributions before 5.2 are not judged.

## Why it matters

Certification refuses images that a few network packets can bring down.

## How to fix it

Update the kernel and restart, so that the new one starts by itself.",
    check: Check::Disk(sack),
};

fn numbers(kernel: &KernelFacts) -> Result<&[u64], Skip> {
    match kernel.numbers.as_slice() {
        [] | [_] => Err(Skip::Undecided(format!("the kernel {} does not tell its version", kernel.release))),
        numbers => Ok(numbers),
    }
}

/// Red Hat's kernels carry their mark.
fn is_red_hats(kernel: &KernelFacts) -> bool {
    kernel.release.contains(".el") && kernel.numbers.starts_with(&[2, 6, 32])
}

fn below_floor(kernel: &KernelFacts) -> Result<bool, Skip> {
    let numbers = numbers(kernel)?;
    Ok(if is_red_hats(kernel) { numbers < NUMA_RED_HAT } else { numbers < NUMA })
}

fn finding(release: &str, message: String, required: &str, remedy: String) -> Vec<Finding> {
    vec![Finding { message, actual: release.to_owned(), required: required.to_owned(), place: None, remedy: Remedy::hand(remedy) }]
}

fn too_old(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let started = started(&guest)?;
    if !below_floor(started.kernel)? {
        return Ok(vec![]);
    }
    if guest.linux.boot.parameters.known()?.is_some_and(|all| all.iter().any(|parameter| parameter == "numa=off")) {
        return Ok(vec![]);
    }
    let release = started.release();
    Ok(finding(
        release,
        format!("the kernel {release}, which starts by itself, is older than 2.6.37 and does not start in Azure without numa=off"),
        "2.6.37 or later (Red Hat: 2.6.32-504), or numa=off",
        format!("update the kernel, or {}", guest.distribution().add_parameters("numa=off")),
    ))
}

fn old(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let started = started(&guest)?;
    if below_floor(started.kernel)? && !guest.linux.boot.parameters.value().is_some_and(|all| all.iter().any(|one| one == "numa=off")) {
        return Err(Skip::not_applicable("it is too old to start, which is a finding by itself"));
    }
    if is_red_hats(started.kernel) || numbers(started.kernel)? >= SUPPORTED {
        return Ok(vec![]);
    }
    let release = started.release();
    Ok(finding(
        release,
        format!("the kernel {release}, which starts by itself, is older than 3.8; Microsoft does not support it, and agents may not run"),
        "3.8 or later",
        "update the distribution".to_owned(),
    ))
}

fn sack(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let started = started(&guest)?;
    let numbers = numbers(started.kernel)?;
    if numbers >= SACK {
        return Ok(vec![]);
    }
    let release = started.release();
    let table = match (guest.distribution(), guest.os.id.value().map(String::as_str)) {
        (Distribution::RedHat, _) if release.contains(".el") => SACK_RED_HAT,
        (Distribution::Debian, Some("ubuntu")) if release.ends_with("-azure") => SACK_UBUNTU,
        (Distribution::Suse, _) => SACK_SUSE,
        _ => return Err(Skip::not_applicable("which kernels of this distribution have the fixes is not listed")),
    };
    let Some(fixed) = has_fixes(numbers, table) else {
        return Err(Skip::not_applicable("which kernels of this series have the fixes is not listed"));
    };
    if fixed {
        return Ok(vec![]);
    }
    Ok(finding(
        release,
        format!(
            "the kernel {release}, which starts by itself, lacks the corrections for CVE-2019-11477, -11478 and -11479; certification \
             refuses it"
        ),
        "a kernel with the corrections of June 2019",
        match guest.distribution() {
            Distribution::Debian => "apt-get update && apt-get dist-upgrade, and restart".to_owned(),
            Distribution::Suse => "zypper update, and restart".to_owned(),
            _ => "dnf update kernel (or yum update kernel), and restart".to_owned(),
        },
    ))
}

/// Whether a kernel has them; a series after the last of its version has, and `None` where no series of that version is listed.
fn has_fixes(numbers: &[u64], table: &[(&[u64], &[u64])]) -> Option<bool> {
    if let Some((series, first)) = table.iter().find(|(series, _)| numbers.starts_with(series)) {
        return Some(numbers.get(series.len()..).is_some_and(|rest| rest >= *first));
    }
    let version = numbers.get(..3)?;
    let last = table.iter().filter(|(series, _)| series.starts_with(version)).map(|(series, _)| *series).max()?;
    Some(numbers > last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(id: &str, release: &str, parameter: Option<&str>) -> DiskFacts {
        let mut facts = linux(|l| {
            let kernel = &mut known(&mut l.kernels)[0];
            kernel.release = release.to_owned();
            let numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
            kernel.numbers = numbers.collect();
            known(&mut l.boot.parameters).extend(parameter.map(str::to_owned));
        });
        known(&mut facts.os).id = Fact::Known(id.to_owned());
        facts
    }

    #[test]
    fn floors() {
        for (release, parameter, too_old, old) in [
            ("6.1.0-56-cloud-amd64", None, "pass", "pass"),
            ("2.6.32-5-amd64", None, "hand", "not applicable"),
            ("2.6.32-5-amd64", Some("numa=off"), "pass", "hand"),
            ("2.6.32-431.el6.x86_64", None, "hand", "not applicable"),
            ("2.6.32-504.el6.x86_64", None, "pass", "pass"),
            ("3.2.0-4-amd64", None, "pass", "hand"),
            ("virt", None, "undecided", "undecided"),
        ] {
            assert_eq!(ask(&TOO_OLD, &with("debian", release, parameter)), too_old, "{release}");
            assert_eq!(ask(&OLD, &with("debian", release, parameter)), old, "{release}");
        }
        assert_eq!(ask(&TOO_OLD, &healthy_data()), "not applicable");
    }

    #[test]
    fn fixes_of_2019() {
        for (id, release, said) in [
            ("debian", "6.1.0-56-cloud-amd64", "pass"),
            ("debian", "4.9.0-9-amd64", "not applicable"),
            ("rhel", "3.10.0-957.21.2.el7.x86_64", "hand"),
            ("rhel", "3.10.0-957.21.3.el7.x86_64", "pass"),
            ("rhel", "3.10.0-1160.el7.x86_64", "pass"),
            ("rhel", "3.10.0-229.el7.x86_64", "hand"),
            ("rhel", "4.18.0-80.el8.x86_64", "hand"),
            ("rhel", "4.18.0-553.el8.x86_64", "pass"),
            ("ubuntu", "4.15.0-1048-azure", "hand"),
            ("ubuntu", "5.0.0-1040-azure", "pass"),
            ("ubuntu", "4.15.0-52-generic", "not applicable"),
            ("sles", "4.12.14-5.29-azure", "hand"),
            ("sles", "4.12.14-150.41-default", "pass"),
        ] {
            assert_eq!(ask(&SACK_PANIC, &with(id, release, None)), said, "{release}");
        }
    }
}
