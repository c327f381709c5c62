//! L-17, X-01, X-02: a new machine can read the disc from which Azure tells it who it is.

use super::blocked::{Block, block};
use super::started::{Started, started};
use crate::facts::State;
use crate::rules::linux::{Guest, guest};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// What reads the disc, and its file system.
const NEEDED: [&str; 3] = ["udf", "sr_mod", "cdrom"];

pub(in crate::rules) static NEEDS_DISC: Rule = Rule {
    code: "LNX017",
    name: "provisioning-disc-unreadable",
    requirement: "L-17",
    also: &["X-01", "X-02"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "generalized Linux that the Azure agent, or cloud-init before 21.2, provisions",
    summary: "The file system udf and the drivers of CD drives load.",
    azure_error: Some("OS Provisioning for VM '<n>' did not finish in the allotted time / Failed to get dvd device from /dev"),
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

In a guest for a generalized image that is not provisioned by cloud-init 21.2 or later: the kernel must have the file system `udf` and the
drivers `sr_mod` and `cdrom`, and nothing in `modprobe.d` or on the kernel command line may keep them from loading.

## Why it matters

Azure hands a new machine its name, account and keys on a virtual DVD with a UDF file system. A guest that cannot mount it never learns
them, and Azure gives up after 40 minutes. Hardening guides (CIS, STIG) forbid `udf`; that is the most frequent cause.

## How to fix it

Remove the lines for `udf` from `/etc/modprobe.d` (often `CIS.conf` or `blacklist-filesystem.conf`), and make the initial ramdisk anew.
Where the driver is missing, install the package with the kernel's other modules.",
    check: Check::Disk(needs_disc),
};

pub(in crate::rules) static MAY_NEED_DISC: Rule = Rule {
    code: "LNX117",
    name: "provisioning-disc-unreadable-by-cloud-init",
    requirement: "L-17",
    also: &["X-01", "X-02"],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "generalized Linux that cloud-init 21.2 or later provisions",
    summary: "The file system udf and the drivers of CD drives load, so that passwords and custom data arrive.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

As LNX017, in a guest that cloud-init 21.2 or later provisions.

## Why it matters

Such a cloud-init asks Azure's metadata service, and needs the DVD only for what that does not tell: a password, and custom data. Machines
that are made with an SSH key and without custom data come up; others time out in provisioning.

## How to fix it

As LNX017: remove what forbids `udf`. Or make machines only with SSH keys and without custom data, and accept the finding.",
    check: Check::Disk(may_need_disc),
};

fn needs_disc(subject: &Subject<'_>, target: &Target) -> Judgement {
    asked(subject, target, false)
}

fn may_need_disc(subject: &Subject<'_>, target: &Target) -> Judgement {
    asked(subject, target, true)
}

fn asked(subject: &Subject<'_>, target: &Target, relaxed: bool) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    let by_other = || Skip::not_applicable("another rule judges what provisions it");
    let new = by_new_cloud_init(&guest);
    if new.as_ref().is_ok_and(|new| *new != relaxed) {
        return Err(by_other());
    }
    let troubles = troubles(&guest)?;
    if troubles.is_empty() {
        return Ok(vec![]);
    }
    if new? != relaxed {
        return Err(by_other());
    }
    let effect = if relaxed {
        "machines that are made with a password or with custom data do not get them, and time out in provisioning; with an SSH key and \
         without \
         custom data cloud-init needs no disc"
    } else {
        "a new machine cannot read the disc on which Azure hands over its name and account, and times out in provisioning"
    };
    let finding = |trouble: Trouble| Finding {
        message: format!("{}; {effect}", trouble.what),
        actual: trouble.actual,
        required: format!("{} that loads", trouble.module),
        place: trouble.block.as_ref().and_then(|block| shared::file(&block.file, block.line)),
        remedy: Remedy::hand(trouble.remedy),
    };
    Ok(troubles.into_iter().map(finding).collect())
}

struct Trouble {
    module: &'static str,
    what: String,
    actual: String,
    block: Option<Block>,
    remedy: String,
}

fn troubles(guest: &Guest<'_>) -> Result<Vec<Trouble>, Skip> {
    let started = started(guest)?;
    let mut found = Vec::new();
    let mut unknown = None;
    for module in NEEDED {
        match trouble(guest, &started, module) {
            Ok(trouble) => found.extend(trouble),
            Err(reason) => unknown = Some(reason),
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

fn trouble(guest: &Guest<'_>, started: &Started<'_>, module: &'static str) -> Result<Option<Trouble>, Skip> {
    let release = started.release();
    // A line that forbids it is one, whether or not the driver is known to be there.
    if let Some(block) = block(guest, started, module, false)? {
        return Ok(Some(Trouble {
            module,
            what: format!("{module} is kept from loading by {}", block.shown()),
            actual: block.text.clone(),
            remedy: format!("remove {}, then {}", block.shown(), guest.distribution().rebuild_initramfs(release)),
            block: Some(block),
        }));
    }
    if started.driver(module)?.is_there()? {
        return Ok(None);
    }
    Ok(Some(Trouble {
        module,
        what: format!("the kernel {release}, which starts by itself, has no {module}"),
        actual: format!("no {module}"),
        block: None,
        remedy: match guest.os.id.value().map(String::as_str) {
            Some("ubuntu") => format!("apt-get install {}, or linux-azure", word::sh(&format!("linux-modules-extra-{release}"))),
            Some("rhel" | "almalinux" | "rocky" | "ol" | "centos") => {
                format!("dnf install {}", word::sh(&format!("kernel-modules-{release}")))
            }
            _ => format!("install a kernel, or a package of its modules, that has {module}"),
        },
    }))
}

/// Whether cloud-init provisions, and one that can do without the disc.
fn by_new_cloud_init(guest: &Guest<'_>) -> Result<bool, Skip> {
    let agents = &guest.linux.agents;
    let Some(cloud_init) = agents.cloud_init.known()? else { return Ok(false) };
    if cloud_init.disabled_by_file.known()? == Some(&true) {
        return Ok(false);
    }
    let setting = agents.waagent.value().and_then(|agent| agent.configuration.value());
    if setting.and_then(|configuration| configuration.settings.get("Provisioning.Agent")).is_some_and(|agent| agent == "waagent") {
        return Ok(false);
    }
    if let Some(services) = guest.linux.services.value() {
        let starts = |unit: &str| services.starts(unit).value() != Some(&false);
        if services.init.value().is_some_and(|init| init == "systemd")
            && !starts("cloud-init-local.service")
            && !starts("cloud-init.service")
        {
            return Ok(false);
        }
    }
    let Some(version) = cloud_init.version.known()? else { return Ok(false) };
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or_default());
    let floor = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    Ok(floor >= (21, 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriverState, Fact, LinuxFacts, ModuleLineFacts};
    use crate::rules::testing::linux::driver;
    use crate::rules::testing::*;

    fn forbid(linux: &mut LinuxFacts) {
        known(&mut linux.modules.modprobe).disabled.push(ModuleLineFacts {
            module: "udf".to_owned(),
            text: "install udf /bin/true".to_owned(),
            file: "/etc/modprobe.d/CIS.conf".to_owned(),
            line: 7,
        });
    }

    #[test]
    fn a_new_cloud_init_does_without_it_mostly() {
        assert_eq!((ask(&NEEDS_DISC, &healthy_os()), ask(&MAY_NEED_DISC, &healthy_os())), ("not applicable".to_owned(), "pass".to_owned()));
        let new = linux(forbid);
        assert_eq!(ask(&NEEDS_DISC, &new), "not applicable");
        assert_eq!(ask(&MAY_NEED_DISC, &new), "hand");
        let old = |version: &str| {
            linux(|l| {
                forbid(l);
                known(&mut l.agents.cloud_init).version = Fact::Known(version.to_owned());
            })
        };
        assert_eq!(ask(&NEEDS_DISC, &old("20.4.1")), "hand");
        assert_eq!(ask(&MAY_NEED_DISC, &old("20.4.1")), "not applicable");
        assert_eq!(ask(&MAY_NEED_DISC, &old("21.2-3-g899bfaa9")), "hand");
        let agent = linux(|l| {
            forbid(l);
            l.agents.cloud_init = Fact::Absent;
        });
        assert_eq!(ask(&NEEDS_DISC, &agent), "hand");
        assert_eq!(ask(&NEEDS_DISC, &linux(|l| l.agents.cloud_init = Fact::unknown("x"))), "pass");
        let unknown = linux(|l| {
            forbid(l);
            l.agents.cloud_init = Fact::unknown("x");
        });
        assert_eq!(ask(&NEEDS_DISC, &unknown), "undecided");
    }

    #[test]
    fn only_for_generalized_guests() {
        let one = specialized_linux(|f| forbid(known(&mut known(&mut f.os).linux)));
        assert_eq!(ask(&MAY_NEED_DISC, &one), "not applicable");
        let missing = linux(|l| drop(known(&mut l.kernels)[0].drivers.insert("sr_mod".to_owned(), driver(DriverState::Missing, false))));
        assert_eq!(ask(&MAY_NEED_DISC, &missing), "hand");
        assert_eq!(ask(&MAY_NEED_DISC, &linux(|l| l.modules.modprobe = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&NEEDS_DISC, &healthy_data()), "not applicable");
    }
}
