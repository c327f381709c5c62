//! L-15, L-18, L-19, L-51: LVM, file systems, SELinux, and Azure's names for disks.

use crate::facts::{OsRoot, UdevRuleFacts};
use crate::rules::linux::{Distribution, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// EFI System Partition, which has a rule of its own.
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const DEVICES: &str = "/etc/lvm/devices/system.devices";

pub(in crate::rules) static LVM_DEVICES: Rule = Rule {
    code: "LNX015",
    name: "lvm-devices-file",
    requirement: "L-15",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux on LVM",
    summary: "No file ties LVM to the devices of the machine where the disk was made.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

Where the disk has logical volumes: whether `/etc/lvm/devices/system.devices` exists and names devices by an identity that the hardware
gives (`sys_wwid`, `sys_serial`) or by name (`devname`).

## Why it matters

Where the file exists, LVM looks at no other device. The identities in it are those of the old disk; in Azure the disk has another, and
volumes that are not opened in the initial ramdisk may stay away.

## How to fix it

Remove the file; LVM then looks at every device. In Azure, `vgimportdevices -a` makes it anew.",
    check: Check::Disk(lvm_devices),
};

pub(in crate::rules) static ROOT_ON_LVM: Rule = Rule {
    code: "LNX115",
    name: "root-on-lvm",
    requirement: "L-15",
    also: &[],
    severity: Severity::Note,
    marketplace: Some(Severity::Warning),
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The root file system is on a partition of its own.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

Whether the root file system is on a logical volume.

## Why it matters

It works, and Red Hat's own images have it. But a broken machine is repaired by attaching its disk to another of the same image, and then
two volume groups have one name. Certification asks for a single root partition.

## How to fix it

Nothing, unless the image is for the Marketplace: then install on a plain partition.",
    check: Check::Disk(root_on_lvm),
};

pub(in crate::rules) static NOT_CLEAN: Rule = Rule {
    code: "LNX018",
    name: "file-system-not-clean",
    requirement: "L-18",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "The file systems were unmounted cleanly.",
    azure_error: None,
    source: source::UEFI_FAILURES,
    docs: r"## What it checks

What the superblocks of all file systems on the disk say: ext2 to ext4, XFS, Btrfs, FAT. That of an EFI System Partition is judged by
GEN105.

## Why it matters

The disk was copied from a running machine, or that one was switched off hard. Journals are replayed at the next start, but what programs
had not written is lost, and files may be damaged. Every machine that is made from the image starts from that state.

## How to fix it

Start the machine, shut it down cleanly, and export the disk again.",
    check: Check::Disk(not_clean),
};

pub(in crate::rules) static SELINUX: Rule = Rule {
    code: "LNX019",
    name: "selinux-labels-missing",
    requirement: "L-19",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux whose SELinux is enforcing",
    summary: "Files have their SELinux labels, or a relabelling is asked for.",
    azure_error: None,
    source: source::SELINUX,
    docs: r"## What it checks

Where `/etc/selinux/config` says `enforcing` and the kernel command line does not take that back (`selinux=0`, `enforcing=0`): whether
`/etc/passwd` has a label, or `/.autorelabel` asks for all labels to be made anew at the next start. Outside Red Hat's family the kernel
must also be told to start SELinux (`security=selinux`).

## Why it matters

A file that was written while SELinux was off, or from outside, has no label, and services may not read it. Without `/etc/passwd` nobody
can log in, and services do not start.

## How to fix it

In the machine: `touch /.autorelabel` and restart, or `restorecon -RF /`. From outside, put an empty file `/.autorelabel` on the root file
system.",
    check: Check::Disk(selinux),
};

pub(in crate::rules) static LINKS: Rule = Rule {
    code: "LNX051",
    name: "no-azure-disk-links",
    requirement: "L-51",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux that has udev",
    summary: "Rules of udev make the links below /dev/disk/azure.",
    azure_error: None,
    source: source::NVME_LINUX,
    docs: r"## What it checks

Whether rules of udev for Azure's disks are there and not switched off: `66-azure-storage.rules` of the Azure agent or cloud-init, or
`80-azure-disk.rules` of `azure-vm-utils`.

## Why it matters

Without them a script cannot tell which disk is the temporary one, and which LUN a data disk has: the kernel's names change from start to
start.

## How to fix it

Install the Azure Linux agent or the package `azure-vm-utils`.",
    check: Check::Disk(links),
};

fn lvm_devices(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let devices = guest.linux.mounts.lvm_devices.known()?.map(Vec::as_slice).unwrap_or_default();
    if devices.is_empty() {
        return Ok(vec![]);
    }
    if subject.facts.volumes.known()?.is_none_or(Vec::is_empty) {
        return Err(Skip::not_applicable("there are no logical volumes on it"));
    }
    Ok(vec![Finding {
        message: format!("{DEVICES} ties LVM to the devices of the machine where the disk was made; in Azure its volumes may not be found"),
        actual: shared::first_three(devices, ", "),
        required: "no such file".to_owned(),
        place: shared::file(DEVICES, None),
        remedy: Remedy::hand(format!("rm {DEVICES}; in Azure, vgimportdevices -a makes it anew")),
    }])
}

fn root_on_lvm(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    match guest.os.root.known()? {
        Some(OsRoot::Volume(name)) if name.contains('/') => Ok(vec![Finding {
            message: format!(
                "the root file system is on the logical volume {name}; that works, but a repair by a machine of the same image is harder"
            ),
            actual: name.clone(),
            required: "a partition of its own".to_owned(),
            place: None,
            remedy: Remedy::hand("nothing to do; for the Marketplace, install on a plain partition"),
        }]),
        _ => Ok(vec![]),
    }
}

fn not_clean(subject: &Subject<'_>, _: &Target) -> Judgement {
    guest(subject)?;
    let facts = subject.facts;
    let partitions = facts.partitions.value().map(Vec::as_slice).unwrap_or_default();
    let is_esp = |at: &str| {
        let esp = partitions.iter().filter(|partition| partition.kind.eq_ignore_ascii_case(ESP));
        esp.map(|partition| format!("partition {}", partition.number)).any(|name| name == at)
    };
    let contents = shared::contents(facts, true);
    let mut unknown = contents.unknown;
    let mut found = Vec::new();
    for (at, content) in contents.known.iter().filter(|(at, _)| !is_esp(at)) {
        match content.clean.known() {
            Ok(Some(false)) => found.push(format!("{at} ({})", content.kind)),
            Ok(_) => {}
            Err(reason) => unknown = Some(reason),
        }
    }
    if found.is_empty() {
        return unknown.map_or(Ok(vec![]), |reason| Err(reason.into()));
    }
    let names = shared::first_three(&found, ", ");
    Ok(vec![Finding {
        message: format!(
            "not unmounted cleanly: {names}; the disk was copied from a running machine, and what was written last may be lost"
        ),
        actual: format!("not clean: {names}"),
        required: "clean file systems".to_owned(),
        place: None,
        remedy: Remedy::hand("start the machine, shut it down cleanly, and export the disk again"),
    }])
}

fn selinux(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let Some(selinux) = guest.linux.security.selinux.known()? else { return Err(Skip::not_applicable("it has no SELinux")) };
    if selinux.mode.as_deref() != Some("enforcing") {
        return Err(Skip::not_applicable("SELinux is not enforcing"));
    }
    // What the kernel is told goes before the file.
    let told = guest.linux.boot.parameters.value().map(Vec::as_slice).unwrap_or_default();
    if told.iter().any(|word| matches!(word.as_str(), "selinux=0" | "enforcing=0")) {
        return Err(Skip::not_applicable("the kernel is told not to enforce SELinux"));
    }
    if selinux.autorelabel || selinux.label_of_passwd.known()?.is_some() {
        return Ok(vec![]);
    }
    // Kernels of Red Hat and its kin start SELinux by themselves; those of others, which have AppArmor or nothing, when they are told to.
    let asks = |word: &String| {
        let list = word.strip_prefix("lsm=").or_else(|| word.strip_prefix("security=")).unwrap_or_default();
        word == "selinux=1" || list.split(',').any(|name| name == "selinux")
    };
    if guest.distribution() != Distribution::RedHat && !told.iter().any(asks) {
        return Err(Skip::Undecided("whether the kernel starts SELinux is not known: its command line does not say".to_owned()));
    }
    Ok(vec![Finding {
        message: "SELinux is enforcing, and /etc/passwd has no label; nobody can log in, and services do not start".to_owned(),
        actual: "no label".to_owned(),
        required: "labels, or /.autorelabel".to_owned(),
        place: shared::file("/etc/passwd", None),
        remedy: Remedy::hand("touch /.autorelabel on the root file system; the next start makes all labels anew"),
    }])
}

fn links(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    if guest.distribution() == Distribution::Flatcar {
        return Err(Skip::not_applicable("its image brings its own rules"));
    }
    let rules = guest.linux.network.udev_rules.known()?.map(Vec::as_slice).unwrap_or_default();
    let of_disks = |rule: &&UdevRuleFacts| rule.purpose == "azure" && !rule.path.contains("product-uuid");
    let name = |rule: &UdevRuleFacts| shared::file_name(&rule.path).to_owned();
    let masked: Vec<String> = rules.iter().filter(|rule| rule.masked).map(name).collect();
    if rules.iter().filter(of_disks).any(|rule| !rule.masked && !masked.contains(&name(rule))) {
        return Ok(vec![]);
    }
    let agent = match guest.distribution() {
        Distribution::Debian if guest.os.id.value().is_some_and(|id| id == "ubuntu") => "apt-get install walinuxagent",
        Distribution::Debian => "apt-get install waagent",
        Distribution::Suse => "zypper install python-azure-agent",
        Distribution::RedHat | Distribution::AzureLinux => "dnf install WALinuxAgent",
        _ => "install the Azure Linux agent",
    };
    Ok(vec![Finding {
        message: "no rules of udev make the links below /dev/disk/azure; scripts cannot tell data disks and the temporary disk by them"
            .to_owned(),
        actual: if masked.is_empty() { "no rules".to_owned() } else { "switched off".to_owned() },
        required: "66-azure-storage.rules or 80-azure-disk.rules".to_owned(),
        place: None,
        remedy: Remedy::hand(format!("{agent}, or install azure-vm-utils")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ContentFacts, Fact, SelinuxFacts, VolumeFacts};
    use crate::rules::testing::*;

    #[test]
    fn lvm() {
        assert_eq!(ask(&LVM_DEVICES, &healthy_os()), "pass");
        let volume = || VolumeFacts { name: "vg0/root".to_owned(), uuid: String::new(), size: 1, segments: vec![], content: Fact::Absent };
        let tied = |volumes: Vec<VolumeFacts>| {
            os(|f| {
                f.volumes = Fact::Known(volumes);
                known(&mut known(&mut f.os).linux).mounts.lvm_devices = Fact::Known(vec!["sys_wwid naa.1".to_owned()]);
            })
        };
        assert_eq!(ask(&LVM_DEVICES, &tied(vec![volume()])), "hand");
        assert_eq!(ask(&LVM_DEVICES, &tied(vec![])), "not applicable");
        assert_eq!(ask(&ROOT_ON_LVM, &healthy_os()), "pass");
        assert_eq!(ask(&ROOT_ON_LVM, &os(|f| known(&mut f.os).root = Fact::Known(OsRoot::Volume("vg0/root".to_owned())))), "hand");
        assert_eq!(ask(&ROOT_ON_LVM, &os(|f| known(&mut f.os).root = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn file_systems_are_clean() {
        let with =
            |place: usize, clean| os(|f| known(&mut f.partitions)[place].content = Fact::Known(ContentFacts { clean, ..content("ext4") }));
        assert_eq!(ask(&NOT_CLEAN, &healthy_os()), "pass");
        assert_eq!(ask(&NOT_CLEAN, &with(2, Fact::Known(false))), "hand");
        assert_eq!(ask(&NOT_CLEAN, &with(1, Fact::Known(false))), "pass");
        assert_eq!(ask(&NOT_CLEAN, &with(2, Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&NOT_CLEAN, &healthy_data()), "not applicable");
    }

    #[test]
    fn labels() {
        let with = |mode: &str, autorelabel, label_of_passwd| {
            let selinux = SelinuxFacts { mode: Some(mode.to_owned()), policy: Some("targeted".to_owned()), autorelabel, label_of_passwd };
            let mut facts = linux(|l| l.security.selinux = Fact::Known(selinux));
            known(&mut facts.os).id = Fact::Known("rhel".to_owned());
            facts
        };
        assert_eq!(ask(&SELINUX, &healthy_os()), "not applicable");
        assert_eq!(ask(&SELINUX, &with("enforcing", false, Fact::Known("x".to_owned()))), "pass");
        assert_eq!(ask(&SELINUX, &with("enforcing", true, Fact::Absent)), "pass");
        assert_eq!(ask(&SELINUX, &with("enforcing", false, Fact::Absent)), "hand");
        assert_eq!(ask(&SELINUX, &with("permissive", false, Fact::Absent)), "not applicable");
        assert_eq!(ask(&SELINUX, &with("enforcing", false, Fact::unknown("x"))), "undecided");
        // openSUSE, Debian and Azure Linux have the file, and AppArmor or nothing in force.
        for (id, word, answer) in [
            ("rhel", "selinux=0", "not applicable"),
            ("rocky", "enforcing=0", "not applicable"),
            ("debian", "quiet", "undecided"),
            ("azurelinux", "lsm=landlock,yama", "undecided"),
            ("azurelinux", "lsm=landlock,selinux", "hand"),
            ("opensuse-tumbleweed", "security=selinux", "hand"),
        ] {
            let mut facts = with("enforcing", false, Fact::Absent);
            let os = known(&mut facts.os);
            os.id = Fact::Known(id.to_owned());
            known(&mut known(&mut os.linux).boot.parameters).push(word.to_owned());
            assert_eq!(ask(&SELINUX, &facts), answer, "{id} {word}");
        }
    }

    #[test]
    fn links_of_azure() {
        assert_eq!(ask(&LINKS, &healthy_os()), "pass");
        assert_eq!(ask(&LINKS, &linux(|l| known(&mut l.network.udev_rules).clear())), "hand");
        assert_eq!(ask(&LINKS, &linux(|l| known(&mut l.network.udev_rules)[0].masked = true)), "hand");
        assert_eq!(ask(&LINKS, &linux(|l| l.network.udev_rules = Fact::unknown("x"))), "undecided");
    }
}
