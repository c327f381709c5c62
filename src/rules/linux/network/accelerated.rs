//! L-45 to L-47: accelerated networking.

use super::dialect;
use crate::rules::linux;
use crate::rules::linux::provisioner::is_below;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX045",
    name: "virtual-function-managed",
    requirement: "L-45",
    also: &[],
    // Only where accelerated networking is switched on, and not on every size.
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with NetworkManager",
    summary: "NetworkManager leaves the second adapter of accelerated networking alone.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

Where NetworkManager starts: a rule of udev (`68-azure-sriov-nm-unmanaged.rules`) or `unmanaged-devices` of NetworkManager for the drivers
`mlx4_core`, `mlx5_core` and `mana`, with commas or semicolons between them.

## Why it matters

With accelerated networking a machine has a second adapter with the same hardware address, which belongs to `eth0`. NetworkManager takes
it for one of its own, asks for the same address again, and the machine has it twice: connections stall.

## How to fix it

Install the rule; Red Hat's package `WALinuxAgent-udev` has it.",
    check: Check::Disk(check),
};

pub(in crate::rules) static DRIVERS: Rule = Rule {
    code: "LNX046",
    name: "accelerated-drivers-missing",
    requirement: "L-46",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "The newest kernel has the drivers of accelerated networking.",
    azure_error: None,
    source: source::LINUX_MANA,
    docs: r"## What it checks

`mlx4_core`, `mlx5_core`, `mana` and `pci_hyperv` of the newest kernel, as modules or built in.

## Why it matters

Without them the machine works, but its traffic takes the slow way through the host; on sizes whose hardware has no driver here it always
does.

## How to fix it

Install a kernel that has them: Linux 6.2, or a distribution's older one with MANA brought in.",
    check: Check::Disk(drivers),
};

pub(in crate::rules) static FLOOR: Rule = Rule {
    code: "LNX047",
    name: "accelerated-networking-unsupported",
    requirement: "L-47",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "The distribution supports accelerated networking.",
    azure_error: None,
    source: source::LINUX_ACCELERATED,
    docs: r"## What it checks

Ubuntu 16.04, SUSE Linux Enterprise 12 SP3, Red Hat Enterprise Linux, CentOS and Oracle Linux 7.4, Debian 10, or newer.

## Why it matters

Older ones have no support for it; switched on all the same, the network may fail.

## How to fix it

Leave accelerated networking off, or move to a newer release.",
    check: Check::Disk(floor),
};

fn check(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    dialect::demand_files(&guest)?;
    if !dialect::programs(&guest).starts("NetworkManager")? {
        return Err(Skip::not_applicable("NetworkManager does not start"));
    }
    let network = &guest.linux.network;
    let rules = network.udev_rules.known()?.map(Vec::as_slice).unwrap_or_default();
    let by_rule = rules
        .iter()
        .any(|rule| rule.purpose == "azure" && !rule.masked && (rule.path.contains("unmanaged") || rule.path.contains("sriov")));
    let settings = network.unmanaged_devices.known()?.map(Vec::as_slice).unwrap_or_default();
    let drivers = ["mlx4_core", "mlx5_core", "mana", "hv_pci"];
    if by_rule || settings.iter().any(|one| drivers.iter().any(|driver| one.value.contains(driver))) {
        return Ok(vec![]);
    }
    let write = "printf '[keyfile]\\nunmanaged-devices=driver:mlx4_core;driver:mlx5_core;driver:mana\\n' > \
                 /etc/NetworkManager/conf.d/99-azure-unmanaged-devices.conf";
    Ok(vec![Finding {
        message: "nothing keeps NetworkManager from the second adapter that accelerated networking brings: the machine gets its \
                  address twice, and connections stall"
            .to_owned(),
        actual: "no rule for mlx4_core, mlx5_core and mana".to_owned(),
        required: "these drivers are unmanaged".to_owned(),
        place: None,
        remedy: Remedy::hand(write),
    }])
}

fn drivers(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let kernels = guest.linux.kernels.known()?.ok_or_else(|| Skip::not_applicable("there is no kernel"))?;
    let Some(newest) = kernels.iter().find(|kernel| !kernel.rescue) else { return Err(Skip::not_applicable("there is no kernel")) };
    let mut missing = Vec::new();
    for name in ["mlx4_core", "mlx5_core", "mana", "pci_hyperv"] {
        if let Some(driver) = newest.drivers.get(name)
            && !driver.is_there()?
        {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!(
            "the newest kernel, {}, does not have {}; accelerated networking does not work on the sizes that need them",
            newest.release,
            missing.join(", ")
        ),
        actual: format!("missing: {}", missing.join(", ")),
        required: "mlx4_core, mlx5_core, mana, pci_hyperv".to_owned(),
        place: newest.modules.value().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand("install a kernel with these drivers: Linux 6.2, or the distribution's kernel for Azure"),
    }])
}

fn floor(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let (Some(id), Some(version)) = (guest.os.id.known()?, guest.os.version.known()?) else {
        return Err(Skip::not_applicable("its release has no number"));
    };
    let floor: &[u64] = match id.as_str() {
        "ubuntu" => &[16, 4],
        "debian" => &[10],
        "sles" => &[12, 3],
        // CentOS tells no minor release.
        "rhel" | "ol" => &[7, 4],
        "centos" => &[7],
        _ => return Err(Skip::not_applicable("no floor is known for this distribution")),
    };
    if !is_below(version, floor) {
        return Ok(vec![]);
    }
    let required: Vec<String> = floor.iter().map(u64::to_string).collect();
    Ok(vec![Finding {
        message: format!("{id} {version} does not support accelerated networking; switched on, its network may fail"),
        actual: version.clone(),
        required: format!("{} or newer", required.join(".")),
        place: None,
        remedy: Remedy::hand("deploy it without accelerated networking, or move to a newer release"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::linux::unit;
    use crate::rules::testing::*;

    fn managed(change: impl FnOnce(&mut NetworkFacts)) -> DiskFacts {
        linux(|l| {
            known(&mut l.services).units.push(unit("NetworkManager.service", UnitState::Enabled));
            change(&mut l.network);
        })
    }

    #[test]
    fn the_second_adapter_is_left_alone() {
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RULE, &managed(|_| {})), "hand");
        for separator in [",", ";"] {
            let facts = managed(|n| {
                n.unmanaged_devices = Fact::Known(vec![SettingFacts {
                    path: "/etc/NetworkManager/conf.d/99-azure-unmanaged-devices.conf".to_owned(),
                    line: 2,
                    value: format!("unmanaged-devices=driver:mlx4_core{separator}driver:mlx5_core"),
                }]);
            });
            assert_eq!(ask(&RULE, &facts), "pass", "{separator}");
        }
        let ruled = managed(|n| {
            known(&mut n.udev_rules).push(UdevRuleFacts {
                path: "/usr/lib/udev/rules.d/68-azure-sriov-nm-unmanaged.rules".to_owned(),
                purpose: "azure".to_owned(),
                masked: false,
                names: 0,
            });
        });
        assert_eq!(ask(&RULE, &ruled), "pass");
        assert_eq!(ask(&RULE, &managed(|n| n.udev_rules = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn drivers_are_there() {
        assert_eq!(ask(&DRIVERS, &healthy_os()), "pass");
        let without = |state: Fact<DriverState>| {
            linux(|l| {
                for (name, driver) in &mut known(&mut l.kernels)[0].drivers {
                    if name == "mana" {
                        driver.state = state.clone();
                    }
                }
            })
        };
        assert_eq!(ask(&DRIVERS, &without(Fact::Known(DriverState::Missing))), "hand");
        assert_eq!(ask(&DRIVERS, &without(Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DRIVERS, &linux(|l| l.kernels = Fact::Absent)), "not applicable");
    }

    #[test]
    fn releases_have_a_floor() {
        for (id, version, said) in [
            ("debian", "12", "pass"),
            ("debian", "9", "hand"),
            ("ubuntu", "14.04", "hand"),
            ("ubuntu", "16.04", "pass"),
            ("rhel", "7.2", "hand"),
            ("rhel", "9.4", "pass"),
            ("centos", "7", "pass"),
            ("sles", "12.2", "hand"),
            ("arch", "1", "not applicable"),
        ] {
            let facts = os(|f| {
                let os = known(&mut f.os);
                (os.id, os.version) = (Fact::Known(id.to_owned()), Fact::Known(version.to_owned()));
            });
            assert_eq!(ask(&FLOOR, &facts), said, "{id} {version}");
        }
    }
}
