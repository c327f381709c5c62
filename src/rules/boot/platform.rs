//! G-11, G-15, G-16, G-19: processors and versions that Azure's features are for.

use crate::facts::{OsFacts, Role};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// The first version of each distribution, and the first build of Windows.
struct Floor {
    linux: &'static [(&'static str, &'static [u64])],
    windows: u32,
}

/// <https://learn.microsoft.com/azure/virtual-machines/trusted-launch>, read 2026-11-20. What is newer than the page passes.
const TRUSTED: Floor = Floor {
    linux: &[
        ("almalinux", &[8, 7]),
        ("azurelinux", &[1]),
        ("debian", &[11]),
        ("mariner", &[1]),
        ("ol", &[8, 3]),
        ("rhel", &[8, 6]),
        ("rocky", &[8, 6]),
        ("sles", &[15, 3]),
        ("ubuntu", &[18, 4]),
    ],
    windows: 10_240,
};
/// <https://learn.microsoft.com/azure/virtual-machines/enable-nvme-interface>, read 2026-11-20.
const NVME: Floor = Floor {
    linux: &[
        ("almalinux", &[8]),
        ("azurelinux", &[3]),
        ("debian", &[11]),
        ("ol", &[7, 9]),
        ("rhel", &[7, 9]),
        ("rocky", &[8, 10]),
        ("sles", &[15, 4]),
        ("ubuntu", &[18, 4]),
    ],
    windows: 17_763,
};

pub(in crate::rules) static TRUSTED_LAUNCH: Rule = Rule {
    code: "GEN011",
    name: "not-listed-for-trusted-launch",
    requirement: "G-11",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 2",
    summary: "The operating system is one that Microsoft lists for Trusted Launch.",
    azure_error: None,
    source: source::TRUSTED_LAUNCH,
    docs: r"## What it checks

The distribution and its version, or the build of Windows, against Microsoft's list for Trusted Launch. Versions after those listed pass.

## Why it matters

New generation 2 machines have Trusted Launch unless something else is asked for. Others may start with it, but Microsoft does not support
that.

## How to fix it

Create machines with `--security-type Standard`, or use a version that is listed.",
    check: Check::Disk(trusted_launch),
};

pub(in crate::rules) static REMOTE_NVME: Rule = Rule {
    code: "GEN019",
    name: "not-listed-for-nvme",
    requirement: "G-19",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 2",
    summary: "The operating system is one that Microsoft lists for disks on NVMe.",
    azure_error: None,
    source: source::NVME,
    docs: r"## What it checks

The distribution and its version, or the build of Windows, against Microsoft's list for remote disks on NVMe. Versions after those listed
pass.

## Why it matters

Newer sizes of machines offer their disks by NVMe only, and Azure starts there only images that are marked for it.

## How to fix it

Mark the image for NVMe (`DiskControllerTypes=SCSI,NVMe`) only if it was tried on such a size; otherwise choose sizes with SCSI.",
    check: Check::Disk(remote_nvme),
};

pub(in crate::rules) static MIXED: Rule = Rule {
    code: "GEN015",
    name: "loader-for-another-processor",
    requirement: "G-15",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks",
    summary: "The boot loaders are for the processor that the operating system is for.",
    azure_error: None,
    source: source::GENERATIONS,
    docs: r"## What it checks

The processor that the boot loaders are for, and that the programs of the operating system are for: x64 or Arm64, and the same.

## Why it matters

A loader for one processor does not start on the other, nor does it start a kernel of the other.

## How to fix it

Install the boot loader of the distribution for the processor of the operating system.",
    check: Check::Disk(mixed),
};

pub(in crate::rules) static ARM64: Rule = Rule {
    code: "GEN115",
    name: "arm64",
    requirement: "G-15",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for Arm64",
    summary: "An image for Arm64 is marked so.",
    azure_error: None,
    source: source::IMAGE_VERSION,
    docs: r"## What it checks

Whether the operating system is for Arm64.

## Why it matters

Azure does not look into the disk: a managed disk or an image definition without the mark is taken for x64 and does not start. Legacy
managed images know no Arm64, and machines for it are generation 2 only.

## How to fix it

Say `--architecture Arm64` where the managed disk or the image definition is made, and use a gallery.",
    check: Check::Disk(arm64),
};

pub(in crate::rules) static BITS_32: Rule = Rule {
    code: "GEN016",
    name: "operating-system-of-32-bits",
    requirement: "G-16",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "OS disks",
    summary: "The operating system is of 64 bits.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Whether the programs of the operating system are for 32-bit processors (x86, Arm).

## Why it matters

A system for x86 may start as generation 1, but Azure's agent and extensions are not made for it, Microsoft does not support it, and
certification refuses it.

## How to fix it

Install the system anew with 64 bits; there is no way to convert it.",
    check: Check::Disk(bits_32),
};

fn os<'a>(subject: &Subject<'a>) -> Result<&'a OsFacts, Skip> {
    let os = subject.facts.os.known()?.ok_or_else(|| Skip::not_applicable("no operating system was found"))?;
    subject.demand(Role::Os)?;
    Ok(os)
}

/// What is below a floor, in words; `None` where it is listed.
fn below(os: &OsFacts, floor: &Floor) -> Result<Option<String>, Skip> {
    if let Some(windows) = os.windows.known()? {
        let build = *windows.product.build.known()?.ok_or_else(|| Skip::Undecided("the build of Windows is not known".to_owned()))?;
        return Ok((build < floor.windows).then(|| format!("Windows, build {build}")));
    }
    let Some(id) = os.id.known()? else { return Err(Skip::Undecided("the distribution does not tell its name".to_owned())) };
    let name = || os.name.value().cloned().unwrap_or_else(|| id.clone());
    // Flatcar is in lists of its own, which change with its channels.
    if id == "flatcar" {
        return Ok(None);
    }
    let listed = id.strip_suffix("_sap").or_else(|| id.strip_suffix("_hpc")).unwrap_or(id);
    let Some((_, first)) = floor.linux.iter().find(|(listed_id, _)| *listed_id == listed) else { return Ok(Some(name())) };
    // Debian's testing has no version, and is newer than all that have.
    let Some(version) = os.version.known()? else { return Ok(None) };
    let numbers: Vec<u64> = version.split('.').map_while(|part| part.parse().ok()).collect();
    Ok((numbers.as_slice() < *first).then(name))
}

fn listed(subject: &Subject<'_>, target: &Target, floor: &Floor, tell: impl Fn(&str) -> (String, &'static str, &'static str)) -> Judgement {
    let os = os(subject)?;
    shared::demand_possible_generation(subject.facts, target, 2)?;
    let Some(name) = below(os, floor)? else { return Ok(vec![]) };
    let (message, required, cure) = tell(&name);
    Ok(vec![Finding { message, actual: name, required: required.to_owned(), place: None, remedy: Remedy::hand(cure) }])
}

fn trusted_launch(subject: &Subject<'_>, target: &Target) -> Judgement {
    listed(subject, target, &TRUSTED, |name| {
        (
            format!("{name} is not on Microsoft's list for Trusted Launch, which new generation 2 machines have unless told otherwise"),
            "an operating system that is listed for Trusted Launch",
            "create machines with --security-type Standard",
        )
    })
}

fn remote_nvme(subject: &Subject<'_>, target: &Target) -> Judgement {
    listed(subject, target, &NVME, |name| {
        (
            format!("{name} is not on Microsoft's list for disks on NVMe; on sizes that have only those it may not start"),
            "an operating system that is listed for NVMe",
            "choose sizes with SCSI, or try the image on NVMe before it is marked for it",
        )
    })
}

fn mixed(subject: &Subject<'_>, _: &Target) -> Judgement {
    let os = os(subject)?;
    let boot = subject.facts.boot.known()?;
    let loaders = boot.map(|boot| boot.loaders.known()).transpose()?.flatten().map(Vec::as_slice).unwrap_or_default();
    // Boot sectors do not tell, and a loader whose headers are damaged is judged elsewhere.
    let told = loaders.iter().filter(|loader| loader.fallback).filter_map(|loader| loader.architecture.value());
    let known: Vec<&str> = told.map(String::as_str).filter(|machine| is_azures(machine)).collect();
    if known.is_empty() {
        return Err(Skip::not_applicable("no boot loader tells its processor"));
    }
    let Some(system) = os.architecture.known()?.filter(|machine| is_azures(machine)) else {
        return Err(Skip::not_applicable("the operating system is for neither x64 nor Arm64"));
    };
    if known.contains(&system.as_str()) {
        return Ok(vec![]);
    }
    let loaders = known.join(" and ");
    Ok(vec![Finding {
        message: format!("the boot loaders are for {loaders}, but the operating system is for {system}; it does not start on either"),
        actual: format!("loaders for {loaders}, system for {system}"),
        required: "the same processor".to_owned(),
        place: None,
        remedy: Remedy::hand(format!("install the boot loader for {system}")),
    }])
}

/// Whether Azure has that processor.
fn is_azures(machine: &str) -> bool {
    matches!(machine, "x64" | "Arm64")
}

fn arm64(subject: &Subject<'_>, _: &Target) -> Judgement {
    let os = os(subject)?;
    if os.architecture.known()?.is_none_or(|machine| machine != "Arm64") {
        return Err(Skip::not_applicable("it is not for Arm64"));
    }
    Ok(vec![Finding {
        message: "the operating system is for Arm64; a disk or image definition that is not marked so is taken for x64 and does not start"
            .to_owned(),
        actual: "Arm64".to_owned(),
        required: "--architecture Arm64, generation 2, a gallery".to_owned(),
        place: None,
        remedy: Remedy::hand("say --architecture Arm64 in az disk create and az sig image-definition create"),
    }])
}

fn bits_32(subject: &Subject<'_>, _: &Target) -> Judgement {
    let os = os(subject)?;
    match os.architecture.known()? {
        Some(machine) if matches!(machine.as_str(), "x86" | "Arm") => Ok(vec![Finding {
            message: format!(
                "the operating system is of 32 bits ({machine}); Azure's agent does not run on it, and certification refuses it"
            ),
            actual: machine.clone(),
            required: "x64 or Arm64".to_owned(),
            place: None,
            remedy: Remedy::hand("install the system anew with 64 bits"),
        }]),
        _ => Ok(vec![]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::{ask, healthy_data, healthy_os, known, os as changed, windows, windows_disk};

    fn with(id: &str, version: &str) -> DiskFacts {
        changed(|f| {
            let os = known(&mut f.os);
            (os.id, os.version) = (Fact::Known(id.to_owned()), Fact::Known(version.to_owned()));
        })
    }

    fn machine(name: &str) -> DiskFacts {
        changed(|f| known(&mut f.os).architecture = Fact::Known(name.to_owned()))
    }

    #[test]
    fn lists() {
        for (id, version, trusted, nvme) in [
            ("debian", "12", "pass", "pass"),
            ("debian", "10", "hand", "hand"),
            ("ubuntu", "18.04", "pass", "pass"),
            ("ubuntu", "16.04", "hand", "hand"),
            ("rhel", "8.10", "pass", "pass"),
            ("rhel", "8.5", "hand", "pass"),
            ("rocky", "8.9", "pass", "hand"),
            ("sles_sap", "15.5", "pass", "pass"),
            ("opensuse-leap", "15.5", "hand", "hand"),
            ("flatcar", "3815.2.0", "pass", "pass"),
        ] {
            let facts = with(id, version);
            assert_eq!((ask(&TRUSTED_LAUNCH, &facts), ask(&REMOTE_NVME, &facts)), (trusted.to_owned(), nvme.to_owned()), "{id} {version}");
        }
        assert_eq!(ask(&TRUSTED_LAUNCH, &windows_disk(|_| {})), "pass");
        let old = windows(|w| w.product.build = Fact::Known(14_393));
        assert_eq!((ask(&TRUSTED_LAUNCH, &old), ask(&REMOTE_NVME, &old)), ("pass".to_owned(), "hand".to_owned()));
        assert_eq!(ask(&REMOTE_NVME, &windows(|w| w.product.build = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&REMOTE_NVME, &healthy_data()), "not applicable");
    }

    #[test]
    fn processors() {
        assert_eq!((ask(&MIXED, &healthy_os()), ask(&BITS_32, &healthy_os())), ("pass".to_owned(), "pass".to_owned()));
        assert_eq!((ask(&MIXED, &machine("Arm64")), ask(&ARM64, &machine("Arm64"))), ("hand".to_owned(), "hand".to_owned()));
        assert_eq!((ask(&MIXED, &machine("x86")), ask(&BITS_32, &machine("x86"))), ("not applicable".to_owned(), "hand".to_owned()));
        let bios = changed(|f| known(&mut known(&mut f.boot).loaders).truncate(1));
        assert_eq!(ask(&MIXED, &bios), "not applicable");
        assert_eq!(ask(&ARM64, &healthy_os()), "not applicable");
        let unknown = changed(|f| known(&mut f.os).architecture = Fact::unknown("x"));
        assert_eq!(ask(&BITS_32, &unknown), "undecided");
    }
}
