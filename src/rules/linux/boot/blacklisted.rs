//! L-03: nothing forbids the drivers of Hyper-V to load.

use super::blocked::block;
use super::started::started;
use crate::rules::linux::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

/// Without these there is no disk, or no network.
const NEEDED: [(&str, bool, &str); 3] = [
    ("hv_vmbus", true, "without the bus it finds neither disk nor network"),
    ("hv_storvsc", true, "without it the machine does not find its disk"),
    ("hv_netvsc", false, "without it the machine has no network"),
];

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX003",
    name: "hyperv-driver-blocked",
    requirement: "L-03",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "Nothing forbids hv_vmbus, hv_storvsc and hv_netvsc to load.",
    azure_error: None,
    source: source::LINUX_DRIVERS,
    docs: r"## What it checks

No line of `modprobe.d` (`blacklist`, `install … /bin/true`), on the disk or in the initial ramdisk, and no parameter of the kernel
(`modprobe.blacklist=`, `rd.driver.blacklist=`, `module_blacklist=`) may keep `hv_vmbus`, `hv_storvsc` or `hv_netvsc` from loading.
Drivers that are built in are not concerned, and neither is a blacklisted one that the initial ramdisk is told to load by name.

## Why it matters

The driver is there and yet does not load: the machine finds no disk and does not start, or has no network.

## How to fix it

Remove the line or the parameter, and make the initial ramdisk anew, since it keeps a copy of `modprobe.d`.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let started = started(&guest)?;
    let mut found = Vec::new();
    let mut unknown = None;
    for (module, early, effect) in NEEDED {
        match block(&guest, &started, module, early) {
            Ok(None) => {}
            Ok(Some(block)) => found.push(Finding {
                message: format!("{module} is kept from loading by {}; {effect}", block.shown()),
                actual: block.text.clone(),
                required: format!("nothing that blocks {module}"),
                place: shared::file(&block.file, block.line),
                remedy: Remedy::hand(format!(
                    "remove {}, then {}",
                    block.shown(),
                    guest.distribution().rebuild_initramfs(started.release())
                )),
            }),
            Err(reason) => unknown = Some(reason),
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriverState, Fact, ModuleLineFacts};
    use crate::rules::testing::linux::driver;
    use crate::rules::testing::*;

    fn line(module: &str) -> ModuleLineFacts {
        let text = format!("blacklist {module}");
        ModuleLineFacts { module: module.to_owned(), text, file: "/etc/modprobe.d/x.conf".to_owned(), line: 3 }
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        let disabled = |module: &str| linux(|l| known(&mut l.modules.modprobe).disabled.push(line(module)));
        assert_eq!(ask(&RULE, &disabled("hv_storvsc")), "hand");
        assert_eq!(ask(&RULE, &disabled("hv_*")), "hand, hand, hand");
        assert_eq!(ask(&RULE, &disabled("hv_balloon")), "pass");
        // The initial ramdisk is told to load it by name.
        assert_eq!(ask(&RULE, &linux(|l| known(&mut l.modules.modprobe).blacklisted.push(line("hv_storvsc")))), "pass");
        let blacklisted = linux(|l| {
            l.modules.initramfs_tools = Fact::Absent;
            known(&mut l.modules.modprobe).blacklisted.push(line("hv_storvsc"));
        });
        assert_eq!(ask(&RULE, &blacklisted), "hand");
        let early = linux(|l| {
            let ramdisk = known(&mut known(&mut l.kernels)[0].initramfs);
            known(&mut ramdisk.content).disabled.push(line("hv_vmbus"));
        });
        assert_eq!(ask(&RULE, &early), "hand");
        for parameter in ["modprobe.blacklist=floppy,hv-netvsc", "rd.driver.blacklist=hv_netvsc", "module_blacklist=hv_netvsc"] {
            assert_eq!(ask(&RULE, &linux(|l| known(&mut l.boot.parameters).push(parameter.to_owned()))), "hand", "{parameter}");
        }
        let built_in = linux(|l| {
            known(&mut l.kernels)[0].drivers.insert("hv_vmbus".to_owned(), driver(DriverState::BuiltIn, false));
            known(&mut l.modules.modprobe).disabled.push(line("hv_vmbus"));
        });
        assert_eq!(ask(&RULE, &built_in), "pass");
        assert_eq!(ask(&RULE, &linux(|l| l.modules.modprobe = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_data()), "not applicable");
    }
}
