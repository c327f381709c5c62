//! X-13: what the guest finds by UUID or label is on one disk.

use super::{demand_several, named, os_disk};
use crate::facts::{ContentFacts, DiskFacts, FstabLineFacts, OsFamily, PartitionFacts, Unknown};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};
use std::collections::BTreeMap;

pub(in crate::rules) static MOUNTED: Rule = Rule {
    code: "IMG313",
    name: "mount-ambiguous",
    requirement: "X-13",
    also: &[],
    // What is mounted is left to chance whatever the distribution: the name leads to the device that was announced last.
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "images of several disks with a Linux",
    summary: "What /etc/fstab names by UUID or label is on one disk of the image only.",
    azure_error: None,
    source: source::FSTAB_MANUAL,
    docs: r"## What it checks

Each UUID and label of file systems and partitions by which `/etc/fstab` mounts something must be on one disk of the image only.

## Why it matters

Linux finds such a file system by a name that the last disk to appear takes. Where two disks have it, the machine comes up with one of
them by chance: with an old copy of its data, or of its root. XFS and Btrfs refuse to mount the second at all.

## How to fix it

Check that the right files were given: one may be a copy of the other. If both are meant, give one a new identity, on a copy of the disk:
`tune2fs -U random`, `xfs_admin -U generate`, `btrfstune -u`, `swaplabel -U`, `e2label`, `sgdisk -G` for partitions. Then name it so in
`/etc/fstab`.",
    check: Check::Image(mounted),
};

pub(in crate::rules) static SHARED: Rule = Rule {
    code: "IMG413",
    name: "duplicate-file-system",
    requirement: "X-13",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "images of several disks, but for those with a Windows",
    summary: "No two disks of an image hold file systems with the same UUID.",
    azure_error: None,
    source: source::FSTAB_MANUAL,
    docs: r"## What it checks

File systems, swap areas and LUKS containers on different disks of the image must have different UUIDs, also where `/etc/fstab` names none
of them. Members of arrays, and of Btrfs file systems on several devices, share one by design and are not compared.

## Why it matters

One is usually a copy of the other. Whoever looks for a file system by its UUID finds either, and XFS and Btrfs refuse to mount the
second.

## How to fix it

Check that the right files were given. If they are, give one file system a new UUID, on a copy of its disk: `tune2fs -U random`,
`xfs_admin -U generate`, `btrfstune -u`, `swaplabel -U`, `cryptsetup luksUUID`.",
    check: Check::Image(duplicate),
};

/// Contents with a UUID of their own.
const SINGLE: &[&str] =
    &["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "vfat", "exfat", "ntfs", "swap", "crypto_LUKS"];

/// What stands somewhere on a disk.
struct Item<'a> {
    subject: &'a Subject<'a>,
    at: String,
    /// Identity of the logical volume that it is on.
    volume: Option<&'a str>,
    partition: Option<&'a PartitionFacts>,
    content: Option<&'a ContentFacts>,
}

impl Item<'_> {
    /// The content, where it is alone in having its identity.
    fn single(&self) -> Option<&ContentFacts> {
        let several = |content: &ContentFacts| content.kind == "btrfs" && content.detail.iter().any(|part| part.starts_with("one of "));
        self.content.filter(|content| SINGLE.contains(&content.kind.as_str()) && !several(content))
    }

    fn shown(&self) -> String {
        format!("{} of {}", self.at, named(self.subject))
    }
}

/// Everything on all disks, and why not all of it is known. Volumes that cannot be looked into are told by other rules.
fn items<'a>(subjects: &'a [Subject<'a>]) -> (Vec<Item<'a>>, Option<Unknown>) {
    let mut all = Vec::new();
    let mut unknown = None;
    for subject in subjects {
        let facts: &DiskFacts = subject.facts;
        match facts.content.known() {
            Ok(content) => all.push(Item { subject, at: "the whole disk".to_owned(), volume: None, partition: None, content }),
            Err(reason) => unknown = Some(reason),
        }
        match facts.partitions.known() {
            Ok(partitions) => {
                for partition in partitions.into_iter().flatten() {
                    if let Err(reason) = partition.content.known() {
                        unknown = Some(reason);
                    }
                    let content = partition.content.value();
                    let at = format!("partition {}", partition.number);
                    all.push(Item { subject, at, volume: None, partition: Some(partition), content });
                }
            }
            Err(reason) => unknown = Some(reason),
        }
        for volume in facts.volumes.value().into_iter().flatten() {
            let at = format!("volume {}", volume.name);
            all.push(Item { subject, at, volume: Some(&volume.uuid), partition: None, content: volume.content.value() });
        }
    }
    (all, unknown)
}

/// Of those on several disks, one for each disk; a volume over two disks is one.
fn on_several<'a>(items: &[&'a Item<'a>]) -> Vec<&'a Item<'a>> {
    let mut out: Vec<&Item<'_>> = Vec::new();
    for item in items {
        let same = |known: &&Item<'_>| std::ptr::eq(known.subject, item.subject) || (item.volume.is_some() && known.volume == item.volume);
        if !out.iter().any(same) {
            out.push(item);
        }
    }
    if out.len() > 1 { out } else { vec![] }
}

/// How a line of fstab names its file system, and by what.
fn name(line: &FstabLineFacts) -> Option<(&str, String)> {
    let value = match line.named_by.as_str() {
        "uuid" | "label" | "partuuid" | "partlabel" => line.source.split_once('=')?.1,
        "link" => line.source.strip_prefix("/dev/disk/by-")?.split_once('/')?.1,
        _ => return None,
    };
    let by = match line.named_by.as_str() {
        "link" => line.source.strip_prefix("/dev/disk/by-")?.split_once('/')?.0,
        by => by,
    };
    let value = value.trim_matches('"');
    (!value.is_empty()).then(|| (by, value.to_owned()))
}

fn is_named(item: &Item<'_>, by: &str, value: &str) -> bool {
    let text = match by {
        "uuid" => item.single().and_then(|content| content.uuid.as_deref()),
        "label" => item.single().and_then(|content| content.label.as_deref()),
        "partuuid" => item.partition.and_then(|partition| partition.guid.as_deref()),
        "partlabel" => item.partition.and_then(|partition| partition.name.as_deref()),
        _ => None,
    };
    match by {
        // udev writes UUIDs as blkid does; people write them in either case.
        "uuid" | "partuuid" => text.is_some_and(|text| text.eq_ignore_ascii_case(value)),
        _ => text == Some(value),
    }
}

fn mounted(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_several(subjects)?;
    let none = || Skip::not_applicable("there is no Linux on the OS disk");
    let os = os_disk(subjects).ok_or_else(none)?.facts.os.known()?.ok_or_else(none)?;
    let lines = os.linux.known()?.ok_or_else(none)?.mounts.fstab.known()?.map(Vec::as_slice).unwrap_or_default();
    let (all, unknown) = items(subjects);
    let mut found = Vec::new();
    let mut named_lines = lines.iter().filter_map(|line| Some((line, name(line)?))).peekable();
    if named_lines.peek().is_none() {
        return Ok(vec![]);
    }
    let mut clashes: Vec<Clash<'_>> = Vec::new();
    for (line, (by, value)) in named_lines {
        let candidates: Vec<&Item<'_>> = all.iter().filter(|item| is_named(item, by, &value)).collect();
        let several = on_several(&candidates);
        let disks: Vec<String> = several.iter().map(|item| named(item.subject)).collect();
        if several.is_empty() {
            continue;
        }
        let command = new_identity(by, &several);
        match clashes.iter_mut().find(|clash| clash.disks == disks) {
            Some(clash) => {
                clash.lines.push(line);
                if !clash.commands.contains(&command) {
                    clash.commands.push(command);
                }
            }
            None => clashes.push(Clash { disks, lines: vec![line], commands: vec![command] }),
        }
    }
    found.extend(clashes.iter().map(Clash::finding));
    match unknown {
        Some(reason) if found.is_empty() => Err(reason.into()),
        _ => Ok(found),
    }
}

/// Lines of fstab whose file systems are on the same disks.
struct Clash<'a> {
    disks: Vec<String>,
    lines: Vec<&'a FstabLineFacts>,
    commands: Vec<String>,
}

impl Clash<'_> {
    fn finding(&self) -> Finding {
        let mounts: Vec<String> = self.lines.iter().map(|line| format!("{} on {}", line.source, line.target)).collect();
        let sources: Vec<String> = self.lines.iter().map(|line| line.source.clone()).collect();
        Finding {
            message: format!(
                "/etc/fstab mounts {}; each of {} has that, and the machine comes up with one of them by chance",
                shared::first_three(&mounts, ", "),
                shared::first_three(&self.disks, ", ")
            ),
            actual: format!("{} on {} disks", shared::first_three(&sources, ", "), self.disks.len()),
            required: "on one disk".to_owned(),
            place: shared::file("/etc/fstab", self.lines.first().and_then(|line| u32::try_from(line.line).ok())),
            remedy: Remedy::Steps(vec![
                "check that the right files were given: one disk may be a copy of the other".to_owned(),
                format!("if both are meant, give the second new identities, on a copy of its disk: {}", self.commands.join(", ")),
                "name them so in /etc/fstab, if they are to be mounted".to_owned(),
            ]),
        }
    }
}

/// The command for the second of them.
fn new_identity(by: &str, several: &[&Item<'_>]) -> String {
    let kind = several.last().and_then(|item| item.content).map(|content| content.kind.as_str()).unwrap_or_default();
    match (by, kind) {
        ("partuuid", _) => "sgdisk -G DISK".to_owned(),
        ("partlabel", _) => "sgdisk -c NUMBER:NAME DISK".to_owned(),
        ("label", "ext2" | "ext3" | "ext4") => "e2label PARTITION NAME".to_owned(),
        ("label", "xfs") => "xfs_admin -L NAME PARTITION".to_owned(),
        ("label", "btrfs") => "btrfs filesystem label PARTITION NAME".to_owned(),
        ("label", "swap") => "swaplabel -L NAME PARTITION".to_owned(),
        ("label", _) => "set another label".to_owned(),
        (_, "ext2" | "ext3" | "ext4") => "tune2fs -U random PARTITION".to_owned(),
        (_, "xfs") => "xfs_admin -U generate PARTITION".to_owned(),
        (_, "btrfs") => "btrfstune -u PARTITION".to_owned(),
        (_, "swap") => "swaplabel -U \"$(uuidgen)\" PARTITION".to_owned(),
        (_, "crypto_LUKS") => "cryptsetup luksUUID --uuid \"$(uuidgen)\" PARTITION".to_owned(),
        _ => "make the file system anew, or set its serial number".to_owned(),
    }
}

fn duplicate(subjects: &[Subject<'_>], _: &Target) -> Judgement {
    demand_several(subjects)?;
    let os = os_disk(subjects).and_then(|os| os.facts.os.value());
    if os.and_then(|os| os.family.value()) == Some(&OsFamily::Windows) {
        return Err(Skip::not_applicable("Windows finds volumes by their partitions"));
    }
    let mounts = os.and_then(|os| os.linux.value()).and_then(|linux| linux.mounts.fstab.value());
    let told: Vec<(&str, String)> = mounts.into_iter().flatten().filter_map(name).collect();
    let (all, unknown) = items(subjects);
    let mut by_uuid: BTreeMap<&str, Vec<&Item<'_>>> = BTreeMap::new();
    for item in &all {
        if let Some(uuid) = item.single().and_then(|content| content.uuid.as_deref()) {
            by_uuid.entry(uuid).or_default().push(item);
        }
    }
    let mut found = Vec::new();
    for (uuid, items) in by_uuid {
        let several = on_several(&items);
        // Those that are mounted are told as an error.
        if several.is_empty() || told.iter().any(|(by, value)| items.iter().any(|item| is_named(item, by, value))) {
            continue;
        }
        let places: Vec<String> = several.iter().map(|item| item.shown()).collect();
        found.push(Finding {
            message: format!("the UUID {uuid} is on {}; one may be a copy of the other", shared::first_three(&places, " and on ")),
            actual: uuid.to_owned(),
            required: "a UUID of its own for each file system".to_owned(),
            place: None,
            remedy: Remedy::hand(format!(
                "check that both files are meant; if so, give the second a new UUID on a copy of its disk: {}",
                new_identity("uuid", &several)
            )),
        });
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason.into()),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, VolumeFacts};
    use crate::rules::testing::*;

    fn said(rule: &Rule, first: &DiskFacts, second: &DiskFacts) -> String {
        ask_image(rule, &[subject(first), Subject { lun: Some(0), in_image: true, ..subject(second) }], &Target::default())
    }

    fn holding(content: ContentFacts) -> DiskFacts {
        data(|f| known(&mut f.partitions)[0].content = Fact::Known(content))
    }

    fn with_uuid(kind: &str, uuid: &str) -> DiskFacts {
        holding(ContentFacts { uuid: Some(uuid.to_owned()), ..content(kind) })
    }

    /// The healthy OS disk with one line more.
    fn mounting(source: &str, by: &str) -> DiskFacts {
        linux(|l| known(&mut l.mounts.fstab).push(linux::fstab(9, source, "/srv", "xfs", by, Fact::Absent)))
    }

    #[test]
    fn what_is_mounted_is_on_one_disk() {
        let root = linux::ROOT_UUID;
        assert_eq!(ask_image(&MOUNTED, &[subject(&healthy_os())], &Target::default()), "not applicable");
        assert_eq!(said(&MOUNTED, &healthy_os(), &healthy_data()), "pass");
        assert_eq!(said(&MOUNTED, &healthy_os(), &with_uuid("ext4", root)), "hand");
        assert_eq!(said(&MOUNTED, &healthy_os(), &with_uuid("ext4", &root.to_ascii_uppercase())), "hand");
        // It is not the file system that is meant, but a member of something.
        assert_eq!(said(&MOUNTED, &healthy_os(), &with_uuid("linux_raid_member", root)), "pass");
        assert_eq!(said(&MOUNTED, &windows(|_| {}), &with_uuid("ext4", root)), "not applicable");
        assert_eq!(said(&MOUNTED, &os(|f| f.os = Fact::unknown("x")), &healthy_data()), "undecided");
        assert_eq!(said(&MOUNTED, &healthy_os(), &data(|f| f.partitions = Fact::unknown("x"))), "undecided");
        let unread = data(|f| known(&mut f.partitions)[0].content = Fact::unknown("x"));
        assert_eq!(said(&MOUNTED, &healthy_os(), &unread), "undecided");
        assert_eq!(said(&MOUNTED, &linux(|l| l.mounts.fstab = Fact::Known(vec![])), &unread), "pass");
        assert_eq!(said(&MOUNTED, &linux(|l| l.mounts.fstab = Fact::unknown("x")), &healthy_data()), "undecided");
        assert_eq!(said(&MOUNTED, &healthy_os(), &healthy_os()), "hand", "all lines of one pair are one finding");
    }

    #[test]
    fn every_kind_of_name_counts() {
        for (source, by) in [
            ("LABEL=files", "label"),
            ("LABEL=\"files\"", "label"),
            ("/dev/disk/by-label/files", "link"),
            ("PARTLABEL=part", "partlabel"),
            ("PARTUUID=aaaa0000-0000-4000-8000-000000000001", "partuuid"),
            ("/dev/disk/by-partuuid/aaaa0000-0000-4000-8000-000000000001", "link"),
        ] {
            let both = |facts: &mut DiskFacts, place: usize| {
                let partition = &mut known(&mut facts.partitions)[place];
                partition.name = Some("part".to_owned());
                partition.guid = Some("AAAA0000-0000-4000-8000-000000000001".to_owned());
                known(&mut partition.content).label = Some("files".to_owned());
            };
            let mut first = mounting(source, by);
            both(&mut first, 2);
            assert_eq!(said(&MOUNTED, &first, &data(|f| both(f, 0))), "hand", "{source}");
            assert_eq!(said(&MOUNTED, &first, &healthy_data()), "pass", "{source}");
        }
        for (source, by) in [("/dev/sdc1", "device"), ("server:/x", "network"), ("UUID=", "uuid"), ("/dev/disk/by-id/x", "link")] {
            assert_eq!(said(&MOUNTED, &mounting(source, by), &healthy_data()), "pass", "{source}");
        }
    }

    #[test]
    fn what_is_not_mounted_is_only_told() {
        let uuid = "11111111-2222-4333-8444-555555555555";
        let os_disk = os(|f| known(&mut known(&mut f.partitions)[2].content).uuid = Some(uuid.to_owned()));
        assert_eq!(said(&SHARED, &os_disk, &with_uuid("xfs", uuid)), "hand");
        assert_eq!(said(&SHARED, &os_disk, &healthy_data()), "pass");
        assert_eq!(said(&SHARED, &os_disk, &with_uuid("zfs_member", uuid)), "pass");
        assert_eq!(said(&SHARED, &healthy_os(), &with_uuid("ext4", linux::ROOT_UUID)), "pass", "told as an error");
        let spread = ContentFacts { uuid: Some(uuid.to_owned()), detail: vec!["one of 2 devices".to_owned()], ..content("btrfs") };
        assert_eq!(said(&SHARED, &holding(spread.clone()), &holding(spread)), "pass");
        assert_eq!(said(&SHARED, &windows(|_| {}), &healthy_data()), "not applicable");
        assert_eq!(said(&SHARED, &healthy_os(), &data(|f| f.partitions = Fact::unknown("x"))), "undecided");
        assert_eq!(said(&SHARED, &healthy_os(), &gzip()), "pass");
    }

    #[test]
    fn a_volume_over_two_disks_is_one() {
        let with_volume = |mut facts: DiskFacts, volume: &str| {
            facts.volumes = Fact::Known(vec![VolumeFacts {
                name: "vg0/root".to_owned(),
                uuid: volume.to_owned(),
                size: 1 << 30,
                segments: vec![],
                content: Fact::Known(ContentFacts { uuid: Some("same".to_owned()), ..content("ext4") }),
            }]);
            facts
        };
        assert_eq!(said(&SHARED, &with_volume(healthy_os(), "a"), &with_volume(healthy_data(), "a")), "pass");
        assert_eq!(said(&SHARED, &with_volume(healthy_os(), "a"), &with_volume(healthy_data(), "b")), "hand");
    }
}
