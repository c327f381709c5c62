//! L-50: machines whose disks hang on NVMe.

use super::console::{parameters, place};
use super::started::started;
use crate::rules::linux::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

/// The driver, and what it stands on.
const DRIVERS: [&str; 2] = ["nvme", "nvme_core"];

pub(in crate::rules) static DRIVER: Rule = Rule {
    code: "LNX050",
    name: "nvme-driver-not-early",
    requirement: "L-50",
    also: &[],
    // It starts on every size with SCSI, and Azure offers sizes with NVMe only to images that are marked for it.
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux for generation 2",
    summary: "The kernel that starts by itself has nvme and nvme_core before the root file system is mounted.",
    azure_error: None,
    source: source::NVME_LINUX,
    docs: r"## What it checks

The kernel that the default boot entry starts must have `nvme` and `nvme_core` built in, or in the initial ramdisk that is loaded with it.

## Why it matters

Newer sizes of machines offer their disks by NVMe only. An image without the driver starts on older sizes and not on
these.

## How to fix it

Have the driver included in the initial ramdisk, as LNX001 tells for Hyper-V's drivers. If the image is never meant for such sizes, leave
the feature `DiskControllerTypes=SCSI,NVMe` away from its definition, and accept the finding.",
    check: Check::Disk(driver),
};

pub(in crate::rules) static TIMEOUT: Rule = Rule {
    code: "LNX150",
    name: "nvme-timeout",
    requirement: "L-50",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux for generation 2",
    summary: "The kernel waits 240 seconds for a disk on NVMe: nvme_core.io_timeout=240.",
    azure_error: None,
    source: source::NVME_LINUX,
    docs: r"## What it checks

The command line of the boot entry that starts by itself, for `nvme_core.io_timeout=240`.

## Why it matters

Azure's remote disks may pause while their host is serviced. Without the parameter the kernel gives up after 30 seconds, and file systems
turn read-only.

## How to fix it

Add `nvme_core.io_timeout=240` to the kernel command line, and make the boot loader's configuration anew.",
    check: Check::Disk(timeout),
};

fn driver(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_possible_generation(subject.facts, target, 2)?;
    let started = started(&guest)?;
    let missing = started.not_early(&DRIVERS)?;
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let names = missing.join(" and ");
    let release = started.release();
    Ok(vec![Finding {
        message: format!(
            "the kernel {release}, which starts by itself, lacks {names} before its root file system is mounted; it does not start on \
             sizes \
             whose disks are on NVMe"
        ),
        actual: format!("{names} neither built in nor in the initial ramdisk"),
        required: "nvme and nvme_core built in or in the initial ramdisk".to_owned(),
        place: None,
        remedy: Remedy::hand(guest.distribution().add_drivers(&DRIVERS, release)),
    }])
}

fn timeout(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_possible_generation(subject.facts, target, 2)?;
    let parameters = parameters(&guest)?;
    let value =
        parameters.iter().rev().find_map(|parameter| parameter.replace('-', "_").strip_prefix("nvme_core.io_timeout=").map(str::to_owned));
    let seconds = value.as_deref().and_then(|value| value.parse::<u32>().ok());
    if seconds.is_some_and(|seconds| seconds >= 240) {
        return Ok(vec![]);
    }
    let modprobe = guest.linux.modules.modprobe.value();
    let option = |text: &str| text.contains("io_timeout=240") || text.contains("io_timeout=255") || text.contains("io_timeout=4294967295");
    if modprobe.is_some_and(|modprobe| modprobe.options.iter().any(|line| line.module == "nvme_core" && option(&line.text))) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "the kernel gives up on a disk on NVMe after 30 seconds (nvme_core.io_timeout is not 240); Azure's disks may pause longer"
            .to_owned(),
        actual: value.map_or_else(|| "not set".to_owned(), |value| format!("nvme_core.io_timeout={value}")),
        required: "nvme_core.io_timeout=240".to_owned(),
        place: place(&guest),
        remedy: Remedy::hand(guest.distribution().add_parameters("nvme_core.io_timeout=240")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriverState, Fact};
    use crate::rules::testing::linux::driver as healthy;
    use crate::rules::testing::*;

    #[test]
    fn nvme_is_for_generation_2() {
        assert_eq!(ask(&DRIVER, &healthy_os()), "pass");
        let late = linux(|l| drop(known(&mut l.kernels)[0].drivers.insert("nvme".to_owned(), healthy(DriverState::Module, false))));
        assert_eq!(ask(&DRIVER, &late), "hand");
        assert_eq!(ask_for(&DRIVER, &subject(&late), &Target { generation: Some(1), ..Target::default() }), "not applicable");
        assert_eq!(ask(&DRIVER, &linux(|l| l.kernels = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DRIVER, &healthy_data()), "not applicable");
    }

    #[test]
    fn the_timeout_is_long() {
        let with = |parameter: &str| {
            let parameter = parameter.to_owned();
            linux(|l| l.boot.parameters = Fact::Known(vec![parameter]))
        };
        assert_eq!(ask(&TIMEOUT, &healthy_os()), "pass");
        assert_eq!(ask(&TIMEOUT, &with("nvme-core.io_timeout=240")), "pass");
        assert_eq!(ask(&TIMEOUT, &with("nvme_core.io_timeout=30")), "hand");
        assert_eq!(ask(&TIMEOUT, &with("ro")), "hand");
        assert_eq!(ask(&TIMEOUT, &linux(|l| l.boot.parameters = Fact::unknown("x"))), "undecided");
    }
}
