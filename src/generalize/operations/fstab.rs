//! `/etc/fstab`: L-13, L-14, L-16.

use crate::facts::{ContentFacts, FstabLineFacts};
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};
use crate::guest::linux::{fstab, systemd};
use crate::rules::sh;
use std::collections::BTreeSet;

pub(super) static FSTAB: Operation = Operation {
    name: "fstab",
    requirement: "L-16",
    summary: "take swap and the temporary disk out of fstab, and name file systems by UUID",
    default: true,
    plan,
    sample: Sample {
        before: &[
            (
                "/etc/fstab",
                "UUID=a0 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n\
                 /dev/disk/cloud/azure_resource-part1\t/mnt\tauto\tdefaults,nofail,comment=cloudconfig\t0\t2\n",
            ),
            ("/swapfile", "not made by mkswap"),
        ],
        after: &[("/etc/fstab", Some("UUID=a0 / ext4 defaults 0 1\n"))],
    },
};

const PATH: &str = "/etc/fstab";
/// Names that depend on the order in which disks are found, or on the kind of controller.
const DEVICES: [&str; 6] = ["sd", "vd", "hd", "xvd", "nvme", "mmcblk"];
/// Where mkswap(8) writes its mark, by the size of pages.
const MARKS: [u64; 2] = [4096 - 10, 65_536 - 10];

/// What is done with a line.
enum Fate {
    Stays,
    /// It goes, and why.
    Goes(&'static str),
    /// Its source is named by this UUID.
    Named(String),
}

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let known = |error: crate::facts::Unknown| Error::Damaged(error.0).at(PATH);
    let facts = system.linux.mounts.fstab.known().map_err(known)?.map(Vec::as_slice).unwrap_or_default();
    let files = system.linux.mounts.swap_files.known().map_err(known)?.map(Vec::as_slice).unwrap_or_default();
    let (mut why, mut number) = (BTreeSet::new(), 0_usize);
    let mut remaining = Vec::new();
    let before = draft.read(PATH)?.unwrap_or_default();
    let mut after = Vec::with_capacity(before.len());
    for raw in before.split_inclusive(|byte| *byte == b'\n') {
        number = number.saturating_add(1);
        let fate = match facts.iter().find(|line| line.line == number) {
            Some(line) if is_line(raw, line) => fate(system, line, &mut remaining),
            _ => Fate::Stays,
        };
        match fate {
            Fate::Stays => after.extend(raw),
            Fate::Goes(reason) => drop(why.insert(reason)),
            Fate::Named(uuid) => {
                why.insert("names of devices change with the controller and the order of disks");
                after.extend(renamed(raw, &uuid));
            }
        }
    }
    if after != before {
        draft.rewrite(PATH, after, why.into_iter().collect::<Vec<_>>().join("; "))?;
    }
    for (message, command) in remaining {
        draft.remains(message, command.into_iter().collect());
    }
    swap_files(system, draft, files)
}

/// Whether a line is the one that facts tell of.
fn is_line(raw: &[u8], line: &FstabLineFacts) -> bool {
    fstab::parse(&String::from_utf8_lossy(raw)).first().is_some_and(|parsed| parsed.source == line.source && parsed.target == line.target)
}

fn fate(system: &System<'_>, line: &FstabLineFacts, remaining: &mut Vec<(String, Option<String>)>) -> Fate {
    let FstabLineFacts { source, target, kind, .. } = line;
    let by_cloud_init = line.options.iter().any(|option| option == "comment=cloudconfig");
    if by_cloud_init || source.starts_with("/dev/disk/cloud/azure_resource") {
        return Fate::Goes("cloud-init has written it for this machine's temporary disk, and writes it anew for others");
    }
    if kind == "swap" {
        if matches!(line.named_by.as_str(), "virtual" | "network") || source.starts_with("/dev/zram") {
            return Fate::Stays;
        }
        if line.named_by != "file"
            && let Some(on) = line.on.value()
        {
            remaining.push((
                format!("{on} stays as it is, with what this machine has swapped out to it; no line of fstab uses it any more"),
                None,
            ));
        }
        return Fate::Goes("swap on the OS disk is slow, and certification refuses it; in Azure it belongs on the temporary disk");
    }
    let changing =
        source.strip_prefix("/dev/").is_some_and(|name| !name.contains('/') && DEVICES.iter().any(|kind| name.starts_with(kind)));
    if !changing {
        return Fate::Stays;
    }
    if let Some(uuid) = uuid(system, line) {
        return Fate::Named(uuid);
    }
    let message = format!("{PATH} names {source} for {target}, and which file system that is cannot be told from the disk");
    remaining.push((message, Some(format!("blkid -s UUID -o value {}", sh(source)))));
    Fate::Stays
}

/// The UUID of the file system that the line certainly means.
fn uuid(system: &System<'_>, line: &FstabLineFacts) -> Option<String> {
    let number: u32 = line.on.value()?.strip_prefix("partition ")?.parse().ok()?;
    let partitions = system.disk?.partitions.value()?;
    let content: &ContentFacts = partitions.iter().find(|partition| partition.number == number)?.content.value()?;
    let same_kind = line.kind == "auto" || line.kind == content.kind || line.kind.split(',').any(|kind| kind == content.kind);
    let uuid = content.uuid.as_ref().filter(|_| same_kind)?;
    let plain = !uuid.is_empty() && uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| uuid.clone())
}

/// The line with another first field.
fn renamed(raw: &[u8], uuid: &str) -> Vec<u8> {
    let blank = raw.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let rest = raw.get(blank..).unwrap_or_default();
    let field = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    [raw.get(..blank).unwrap_or_default(), b"UUID=", uuid.as_bytes(), rest.get(field..).unwrap_or_default()].concat()
}

/// Removes swap files that are some, with their units: fstab may name any file.
fn swap_files(system: &System<'_>, draft: &mut Draft<'_>, files: &[String]) -> Result<(), Error> {
    let mut removed: Vec<&str> = Vec::new();
    for path in files {
        if system.tree.find_link(path)?.is_none_or(|found| found.node.kind != NodeKind::File) || !is_swap(system, path)? {
            continue;
        }
        draft.remove(path, "it holds what this machine has swapped out, and swap on the OS disk is slow")?;
        removed.push(path);
    }
    for unit in system.linux.mounts.units.value().into_iter().flatten().filter(|name| name.ends_with(".swap")) {
        let path = format!("/etc/systemd/system/{unit}");
        let text = draft.text(&path)?.unwrap_or_default();
        let of_removed = systemd::settings(&text).iter().any(|setting| setting.name == "What" && removed.contains(&setting.value.as_str()));
        if of_removed {
            draft.remove(&path, "its swap file is removed")?;
            for link in draft.glob("/etc/systemd/system/*/*")?.into_iter().filter(|link| link.rsplit('/').next() == Some(unit.as_str())) {
                draft.remove(&link, "its swap file is removed")?;
            }
        }
    }
    Ok(())
}

fn is_swap(system: &System<'_>, path: &str) -> Result<bool, Error> {
    let Some(bytes) = system.tree.open(path)? else { return Ok(false) };
    for at in MARKS {
        if bytes.size() >= at.saturating_add(10) && crate::bytes::read_vec(&*bytes, at, 10)? == b"SWAPSPACE2" {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::trial::{after, planned, wishes};
    use super::renamed;

    fn swap() -> String {
        format!("{}SWAPSPACE2", "\0".repeat(4086))
    }

    #[test]
    fn lines_stay_byte_for_byte_otherwise() {
        let before = "# /dev/sda1\n\nUUID=a0\t/  ext4 defaults 0 1\r\n LABEL=x /x\n/dev/zram0 none swap sw 0 0\nlonely\n\
                      UUID=5 none swap sw 0 0\n/dev/sdb1 /mnt auto comment=cloudconfig\nnas:/x /y nfs nofail";
        let left = after("fstab", &[("/etc/fstab", before)], &wishes(&[], &[]));
        let expected =
            "# /dev/sda1\n\nUUID=a0\t/  ext4 defaults 0 1\r\n LABEL=x /x\n/dev/zram0 none swap sw 0 0\nlonely\nnas:/x /y nfs nofail";
        assert_eq!(left["/etc/fstab"], expected);
        assert_eq!(renamed(b"  /dev/sda1\t/ ext4\r\n", "a-0"), b"  UUID=a-0\t/ ext4\r\n");
        let unsure = planned("fstab", &[("/etc/fstab", "/dev/sda1 / ext4\n")], &wishes(&[], &[]));
        assert!(unsure.changes.is_empty() && unsure.remaining.len() == 1, "{unsure:?}");
    }

    #[test]
    fn swap_files_that_are_some_go() {
        let content = swap();
        let files = [
            ("/etc/fstab", "/swap.img none swap sw 0 0\n/etc/shadow none swap sw 0 0\n"),
            ("/swap.img", content.as_str()),
            ("/swapfile", "words"),
            ("/etc/shadow", "root:*:\n"),
            ("/etc/systemd/system/swap.img.swap", "[Swap]\nWhat=/swap.img\n"),
            ("/etc/systemd/system/swap.target.wants/swap.img.swap", "-> ../swap.img.swap"),
            ("/etc/systemd/system/other.swap", "[Swap]\nWhat=/other\n"),
        ];
        let left = after("fstab", &files, &wishes(&[], &[]));
        assert_eq!(left.keys().collect::<Vec<_>>(), ["/etc/fstab", "/etc/shadow", "/etc/systemd/system/other.swap", "/swapfile"]);
        assert_eq!(left["/etc/fstab"], "");
    }
}
