//! L-57, L-59: which distribution it is, and whether its kernel is the one for Azure.

use super::started::started;
use crate::rules::linux::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// `ID` of the distributions that Microsoft endorses, and of its own.
const ENDORSED: &[&str] =
    &["almalinux", "azurelinux", "debian", "flatcar", "mariner", "ol", "rhel", "rocky", "sles", "sles_sap", "sle_hpc", "ubuntu"];

pub(in crate::rules) static NOT_ENDORSED: Rule = Rule {
    code: "LNX057",
    name: "distribution-not-endorsed",
    requirement: "L-57",
    also: &[],
    severity: Severity::Note,
    marketplace: Some(Severity::Warning),
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The distribution is one that Microsoft endorses, and says its name in /etc/os-release.",
    azure_error: None,
    source: source::ENDORSED,
    docs: r"## What it checks

`ID` in `/etc/os-release`: whether it is there, and whether it is one of the distributions that Microsoft endorses for Azure.

## Why it matters

Others run as well, but without Microsoft's support and service level, and agents and extensions tell by that file what to do.

## How to fix it

Nothing needs to be done if support is not needed. Where the file is missing, install the package of the distribution that brings it.",
    check: Check::Disk(not_endorsed),
};

pub(in crate::rules) static UBUNTU_KERNEL: Rule = Rule {
    code: "LNX059",
    name: "ubuntu-kernel-not-for-azure",
    requirement: "L-59",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Ubuntu",
    summary: "Ubuntu starts the kernel linux-azure.",
    azure_error: None,
    source: source::PREPARE_UBUNTU,
    docs: r"## What it checks

The release of the kernel that starts by itself must end in `-azure`, or in `-azure-fde` for confidential machines.

## Why it matters

Ubuntu's kernel for Azure has Hyper-V's drivers built in, and is the one that Canonical and Microsoft test there. Others start as well, if
their initial ramdisk has the drivers.

## How to fix it

`apt-get install linux-azure`, make it the default, and remove the generic kernel.",
    check: Check::Disk(ubuntu_kernel),
};

fn not_endorsed(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let id = guest.os.id.known()?;
    if id.is_some_and(|id| ENDORSED.contains(&id.to_ascii_lowercase().as_str())) {
        return Ok(vec![]);
    }
    let (message, actual, remedy) = match id {
        Some(id) => (
            format!(
                "the distribution is {}, which Microsoft does not endorse for Azure; it may run, without Microsoft's support",
                name(&guest, id)
            ),
            id.clone(),
            "nothing to do if support is not needed; otherwise use an endorsed distribution",
        ),
        None => (
            "there is no ID in /etc/os-release; agents and extensions cannot tell the distribution".to_owned(),
            "no ID".to_owned(),
            "install the package of the distribution that brings /etc/os-release",
        ),
    };
    Ok(vec![Finding {
        message,
        actual,
        required: "an endorsed distribution, named in /etc/os-release".to_owned(),
        place: shared::file("/etc/os-release", None),
        remedy: Remedy::hand(remedy),
    }])
}

fn name<'a>(guest: &crate::rules::linux::Guest<'a>, id: &'a str) -> &'a str {
    guest.os.name.value().map_or(id, String::as_str)
}

fn ubuntu_kernel(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    if guest.os.id.known()?.is_none_or(|id| id != "ubuntu") {
        return Err(Skip::not_applicable("it is not Ubuntu"));
    }
    let started = started(&guest)?;
    let release = started.release();
    if ["-azure", "-azure-fde", "-azure-cvm", "-azure-nvidia"].iter().any(|end| release.ends_with(end)) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("the kernel {release}, which starts by itself, is not Ubuntu's kernel for Azure"),
        actual: release.to_owned(),
        required: "a kernel of linux-azure".to_owned(),
        place: started.kernel.image.value().and_then(|image| shared::file(&image.path, None)),
        remedy: Remedy::hand("apt-get install linux-azure, and remove the generic kernel"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(id: Fact<String>, release: &str) -> DiskFacts {
        os(|f| {
            let os = known(&mut f.os);
            os.id = id;
            known(&mut known(&mut os.linux).kernels)[0].release = release.to_owned();
        })
    }

    #[test]
    fn endorsed_distributions() {
        let id = |id: &str| with(Fact::Known(id.to_owned()), "6.1");
        assert_eq!(ask(&NOT_ENDORSED, &healthy_os()), "pass");
        assert_eq!(ask(&NOT_ENDORSED, &id("rhel")), "pass");
        assert_eq!(ask(&NOT_ENDORSED, &id("alpine")), "hand");
        assert_eq!(ask(&NOT_ENDORSED, &with(Fact::Absent, "6.1")), "hand");
        assert_eq!(ask(&NOT_ENDORSED, &with(Fact::unknown("x"), "6.1")), "undecided");
        assert_eq!(ask(&NOT_ENDORSED, &healthy_data()), "not applicable");
    }

    #[test]
    fn ubuntu_has_a_kernel_for_azure() {
        let ubuntu = |release: &str| with(Fact::Known("ubuntu".to_owned()), release);
        assert_eq!(ask(&UBUNTU_KERNEL, &healthy_os()), "not applicable");
        assert_eq!(ask(&UBUNTU_KERNEL, &ubuntu("6.8.0-1015-azure")), "pass");
        assert_eq!(ask(&UBUNTU_KERNEL, &ubuntu("6.8.0-45-generic")), "hand");
    }
}
