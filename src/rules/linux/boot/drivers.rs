//! L-01, L-02, L-04: the drivers of Hyper-V, without which a Linux finds neither its disk nor its network.

use super::started::{Started, started};
use crate::facts::{DriverState, ModuleLineFacts};
use crate::rules::linux::{Guest, guest};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// The bus, and the disks on it.
const STORAGE: [&str; 2] = ["hv_vmbus", "hv_storvsc"];
/// All that Microsoft asks to be kept in the initial ramdisk.
const ALL: [&str; 3] = ["hv_vmbus", "hv_storvsc", "hv_netvsc"];

pub(in crate::rules) static STORAGE_EARLY: Rule = Rule {
    code: "LNX001",
    name: "storage-drivers-not-early",
    requirement: "L-01",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The kernel that starts by itself has hv_vmbus and hv_storvsc before the root file system is mounted.",
    azure_error: Some("dracut-initqueue timeout / ALERT! UUID=… does not exist. Dropping to a shell!"),
    source: source::LINUX_DRIVERS,
    docs: r"## What it checks

The kernel that the default boot entry starts must have the drivers `hv_vmbus` and `hv_storvsc` built in, or find them in the initial
ramdisk (initramfs) that the same entry loads. The archive itself is read, not its list.

## Why it matters

The disk of a machine in Azure hangs on Hyper-V's bus. Without these two drivers the initial ramdisk does not see it, waits, and drops to a
shell that nobody reaches: the machine never starts. An initial ramdisk that was made on KVM, VMware or bare metal with only the
drivers of that machine is the usual cause.

## How to fix it

In the machine, before the disk is exported, have the drivers included and the initial ramdisk made anew. With dracut (Red Hat, SUSE, Azure
Linux): a line `add_drivers+=' hv_vmbus hv_netvsc hv_storvsc '` in `/etc/dracut.conf.d/azure.conf`, then `dracut -f --kver RELEASE`. With
initramfs-tools (Debian, Ubuntu): one name a line in `/etc/initramfs-tools/modules`, then `update-initramfs -u -k RELEASE`.",
    check: Check::Disk(storage_early),
};

pub(in crate::rules) static OTHER_KERNELS: Rule = Rule {
    code: "LNX101",
    name: "other-kernel-without-storage-drivers",
    requirement: "L-01",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux that has several kernels",
    summary: "Kernels that do not start by themselves have hv_vmbus and hv_storvsc early too.",
    azure_error: None,
    source: source::LINUX_DRIVERS,
    docs: r"## What it checks

Kernels beside the one that starts by itself, those for rescue left out: whether they have `hv_vmbus` and `hv_storvsc` built in or in
their own initial ramdisk.

## Why it matters

Somebody who goes back to an older kernel after a bad update expects it to start. Without the drivers it does not see its disk.

## How to fix it

Make the initial ramdisk of that kernel anew with the drivers, or remove the kernel.",
    check: Check::Disk(other_kernels),
};

pub(in crate::rules) static NETWORK: Rule = Rule {
    code: "LNX002",
    name: "no-network-driver",
    requirement: "L-02",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The kernel that starts by itself has the driver hv_netvsc.",
    azure_error: None,
    source: source::LINUX_DRIVERS,
    docs: r"## What it checks

The kernel that the default boot entry starts must have `hv_netvsc` built in, as a module, or in its initial ramdisk.

## Why it matters

Every network interface in Azure is one of Hyper-V's; accelerated networking only adds another path beside it. Without the driver the
machine has no network: nobody can connect, and provisioning times out.

## How to fix it

Install the kernel's package of modules that holds it (Ubuntu: `linux-modules-extra-RELEASE` or `linux-azure`; Red Hat: `kernel-modules`),
or a kernel for clouds.",
    check: Check::Disk(network),
};

pub(in crate::rules) static NOT_LASTING: Rule = Rule {
    code: "LNX004",
    name: "drivers-not-kept-in-initramfs",
    requirement: "L-04",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux whose initial ramdisk holds only what the machine needed that made it",
    summary: "The next initial ramdisk will have the drivers of Hyper-V too.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

Where the tool that makes initial ramdisks includes only what the machine at hand needs (dracut `hostonly`, initramfs-tools `MODULES=dep`,
mkinitcpio's `autodetect`): whether its configuration names `hv_vmbus`, `hv_storvsc` and `hv_netvsc`. Built-in drivers need no line.

## Why it matters

An update of the kernel on another hypervisor makes an initial ramdisk without them, and the disk that is exported afterwards does not start
in Azure. Updates within Azure include them by themselves.

## How to fix it

Name the drivers in the tool's configuration: `/etc/dracut.conf.d/azure.conf`, `/etc/initramfs-tools/modules` or `MODULES` in
`/etc/mkinitcpio.conf`.",
    check: Check::Disk(not_lasting),
};

fn storage_early(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let started = started(&guest)?;
    if started.entry.is_some_and(|entry| !entry.missing.is_empty()) {
        return Err(Skip::not_applicable("the default entry names files that are not there, which is a finding by itself"));
    }
    let missing = started.not_early(&STORAGE)?;
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let drivers = missing.join(" and ");
    let release = started.release();
    let ramdisk = started.initramfs().ok().flatten();
    let place = match ramdisk {
        Some(ramdisk) => format!("neither built in nor in {}", ramdisk.path),
        None => "not built in, and the default entry loads no initial ramdisk".to_owned(),
    };
    let nowhere =
        missing.iter().any(|name| matches!(started.driver(name), Ok(driver) if driver.state.value() == Some(&DriverState::Missing)));
    let remedy = if nowhere {
        format!("this kernel lacks {drivers}: install a kernel of the distribution that has, and make its initial ramdisk with them")
    } else {
        guest.distribution().add_drivers(&ALL, release)
    };
    Ok(vec![Finding {
        message: format!(
            "the kernel {release}, which starts by itself, lacks {drivers} before its root file system is mounted ({place}); in Azure it \
             does not find its disk and never starts"
        ),
        actual: format!("{drivers}: {place}"),
        required: "hv_vmbus and hv_storvsc built in or in the initial ramdisk".to_owned(),
        place: ramdisk.and_then(|ramdisk| shared::file(&ramdisk.path, None)),
        remedy: Remedy::hand(remedy),
    }])
}

fn other_kernels(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let default = started(&guest)?;
    let others = guest.linux.kernels.known()?.map(Vec::as_slice).unwrap_or_default();
    let mut found = Vec::new();
    let mut looked = false;
    for kernel in others.iter().filter(|kernel| !kernel.rescue && kernel.release != default.kernel.release) {
        // Modules without an image are left over, and nothing starts them.
        if kernel.image.value().is_none() {
            continue;
        }
        looked = true;
        let early = |name: &&str| kernel.drivers.get(*name).is_none_or(|driver| driver.is_early().unwrap_or(true));
        if !STORAGE.iter().all(early) {
            found.push(kernel.release.clone());
        }
    }
    if !looked {
        return Err(Skip::not_applicable("there is no other kernel"));
    }
    let Some(first) = found.first() else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!(
            "{} there without hv_vmbus or hv_storvsc in the initial ramdisk; chosen in the boot menu in Azure, such a kernel does not \
             find its disk",
            match found.len() {
                1 => format!("the kernel {first} is"),
                _ => format!("the kernels {} are", shared::first_three(&found, ", ")),
            }
        ),
        actual: shared::first_three(&found, ", "),
        required: "hv_vmbus and hv_storvsc built in or in the initial ramdisk of every kernel".to_owned(),
        place: None,
        remedy: Remedy::hand(format!("{}, or remove the kernel", guest.distribution().add_drivers(&ALL, first))),
    }])
}

fn network(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let started = started(&guest)?;
    if started.not_there(&["hv_netvsc"])?.is_empty() {
        return Ok(vec![]);
    }
    let release = started.release();
    let remedy = match guest.os.id.value().map(String::as_str) {
        Some("ubuntu") => format!("apt-get install linux-azure, or {}", word::sh(&format!("linux-modules-extra-{release}"))),
        Some("debian") => {
            let arm = guest.os.architecture.value().is_some_and(|machine| machine == "Arm64");
            format!("apt-get install linux-image-cloud-{}", if arm { "arm64" } else { "amd64" })
        }
        Some("rhel" | "almalinux" | "rocky" | "ol" | "centos") => format!("dnf install {}", word::sh(&format!("kernel-modules-{release}"))),
        _ => "install a kernel, or a package of its modules, that has hv_netvsc".to_owned(),
    };
    Ok(vec![Finding {
        message: format!("the kernel {release}, which starts by itself, has no driver hv_netvsc; in Azure it has no network"),
        actual: "no hv_netvsc".to_owned(),
        required: "hv_netvsc built in or as a module".to_owned(),
        place: started.kernel.modules.value().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand(remedy),
    }])
}

fn not_lasting(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let started = started(&guest)?;
    let built_in = |name: &str| matches!(started.driver(name), Ok(driver) if driver.state.value() == Some(&DriverState::BuiltIn));
    let wanted: Vec<&str> = ALL.into_iter().filter(|name| !built_in(name)).collect();
    let (file, listed) = configured(&guest, &started)?;
    let has = |name: &&str| listed.iter().any(|line| line.module == **name);
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let names = missing.join(", ");
    Ok(vec![Finding {
        message: format!(
            "initial ramdisks are made with only the drivers of the machine at hand, and {file} does not name {names}; one that is made \
             outside Hyper-V does not start in Azure"
        ),
        actual: format!("{names} not named"),
        required: "hv_vmbus, hv_storvsc and hv_netvsc named in the tool's configuration".to_owned(),
        place: shared::file(file, None),
        remedy: Remedy::hand(guest.distribution().add_drivers(&missing, started.release())),
    }])
}

/// The file that names drivers for initial ramdisks, and those that it names; not applicable where all drivers are included anyway.
fn configured<'a>(guest: &Guest<'a>, started: &Started<'a>) -> Result<(&'static str, Vec<&'a ModuleLineFacts>), Skip> {
    let everything = || Skip::not_applicable("initial ramdisks are made with the drivers of every machine");
    let modules = &guest.linux.modules;
    if let Some(tools) = modules.initramfs_tools.known()? {
        let narrow = tools.policy.known()?.is_some_and(|policy| policy == "dep" || policy == "list");
        return if narrow { Ok(("/etc/initramfs-tools/modules", tools.modules.iter().collect())) } else { Err(everything()) };
    }
    if let Some(dracut) = modules.dracut.known()? {
        let made =
            started.kernel.initramfs.value().and_then(|ramdisk| ramdisk.content.value()).and_then(|content| content.host_only.value());
        let narrow = dracut.host_only.value().or(made) == Some(&true);
        let listed = dracut.add_drivers.iter().chain(&dracut.force_drivers).chain(&dracut.drivers).collect();
        return if narrow { Ok(("/etc/dracut.conf.d", listed)) } else { Err(everything()) };
    }
    if let Some(tool) = modules.mkinitcpio.known()? {
        let narrow = tool.hooks.iter().any(|hook| hook == "autodetect");
        return if narrow { Ok(("/etc/mkinitcpio.conf", tool.modules.iter().collect())) } else { Err(everything()) };
    }
    Err(Skip::not_applicable("no tool that makes initial ramdisks was found"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, DracutFacts, Fact, LinuxFacts};
    use crate::rules::testing::linux::{driver, kernel};
    use crate::rules::testing::*;

    fn set(linux: &mut LinuxFacts, names: &[&str], state: DriverState, early: bool) {
        for name in names {
            known(&mut linux.kernels)[0].drivers.insert((*name).to_owned(), driver(state, early));
        }
    }

    fn with(names: &[&str], state: DriverState, early: bool) -> DiskFacts {
        linux(|l| set(l, names, state, early))
    }

    #[test]
    fn storage_drivers_must_be_early() {
        use DriverState::{BuiltIn, Missing, Module};
        assert_eq!(ask(&STORAGE_EARLY, &healthy_os()), "pass");
        assert_eq!(ask(&STORAGE_EARLY, &with(&STORAGE, BuiltIn, false)), "pass");
        assert_eq!(ask(&STORAGE_EARLY, &with(&["hv_storvsc"], Module, false)), "hand");
        assert_eq!(ask(&STORAGE_EARLY, &with(&STORAGE, Missing, false)), "hand");
        assert_eq!(ask(&STORAGE_EARLY, &healthy_data()), "not applicable");
        assert_eq!(ask(&STORAGE_EARLY, &windows_disk(|_| {})), "not applicable");
        assert_eq!(ask(&STORAGE_EARLY, &linux(|l| l.kernels = Fact::unknown("x"))), "undecided");
        let unknown = linux(|l| {
            let driver = known(&mut l.kernels)[0].drivers.get_mut("hv_vmbus").unwrap();
            driver.in_initramfs = Fact::unknown("x");
        });
        assert_eq!(ask(&STORAGE_EARLY, &unknown), "undecided");
        let half_unknown = linux(|l| {
            set(l, &["hv_storvsc"], Module, false);
            known(&mut l.kernels)[0].drivers.get_mut("hv_vmbus").unwrap().in_initramfs = Fact::unknown("x");
        });
        assert_eq!(ask(&STORAGE_EARLY, &half_unknown), "hand");
        assert_eq!(ask(&STORAGE_EARLY, &linux(|l| known(&mut l.boot.entries)[0].missing.push("/boot/x".to_owned()))), "not applicable");
        let found = findings(&STORAGE_EARLY, &with(&["hv_storvsc"], Module, false), &Target::default());
        assert!(found[0].remedy.text().contains("update-initramfs -u -k 6.1.0-56-cloud-amd64"), "{found:?}");
    }

    #[test]
    fn other_kernels_are_noted() {
        let second = |early: bool| {
            linux(|l| {
                let mut other = kernel();
                other.release = "5.10.0-1".to_owned();
                known(&mut other.image).path = "/boot/vmlinuz-5.10.0-1".to_owned();
                other.drivers.insert("hv_storvsc".to_owned(), driver(DriverState::Module, early));
                known(&mut l.kernels).push(other);
            })
        };
        assert_eq!(ask(&OTHER_KERNELS, &healthy_os()), "not applicable");
        assert_eq!(ask(&OTHER_KERNELS, &second(true)), "pass");
        assert_eq!(ask(&OTHER_KERNELS, &second(false)), "hand");
        assert_eq!(ask(&STORAGE_EARLY, &second(false)), "pass");
    }

    #[test]
    fn the_network_driver_may_be_a_module() {
        assert_eq!(ask(&NETWORK, &healthy_os()), "pass");
        assert_eq!(ask(&NETWORK, &with(&["hv_netvsc"], DriverState::Module, false)), "pass");
        assert_eq!(ask(&NETWORK, &with(&["hv_netvsc"], DriverState::Missing, false)), "hand");
        assert_eq!(ask(&NETWORK, &linux(|l| l.kernels = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn narrow_ramdisks_need_the_names() {
        assert_eq!(ask(&NOT_LASTING, &healthy_os()), "not applicable");
        let dep = |names: bool| {
            linux(|l| {
                let tools = known(&mut l.modules.initramfs_tools);
                tools.policy = Fact::Known("dep".to_owned());
                if !names {
                    tools.modules.clear();
                }
            })
        };
        assert_eq!(ask(&NOT_LASTING, &dep(true)), "pass");
        assert_eq!(ask(&NOT_LASTING, &dep(false)), "hand");
        let dracut = |host_only| {
            linux(|l| {
                l.modules.initramfs_tools = Fact::Absent;
                l.modules.dracut = Fact::Known(DracutFacts { host_only, ..DracutFacts::default() });
            })
        };
        assert_eq!(ask(&NOT_LASTING, &dracut(Fact::Known(true))), "hand");
        assert_eq!(ask(&NOT_LASTING, &dracut(Fact::Absent)), "not applicable");
        assert_eq!(ask(&NOT_LASTING, &linux(|l| l.modules.initramfs_tools = Fact::unknown("x"))), "undecided");
    }
}
