//! What is mounted at boot.

use crate::bytes::without_secrets;
use crate::facts::{CrypttabLineFacts, Fact, FstabLineFacts, MountsFacts};
use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::{crypttab, fstab};

/// Where installers and agents put swap files; others are named by fstab.
const SWAP_FILES: [&str; 6] = ["/swapfile", "/swap.img", "/swap/swapfile", "/var/swap", "/mnt/resource/swapfile", "/mnt/swapfile"];

/// Learns `mounts`. Where a source is found is filled in by whoever knows the disks.
pub(super) fn mounts(tree: &Tree) -> MountsFacts {
    let fstab = tree.text("/etc/fstab").map(|text| text.map(|text| fstab::parse(&text)));
    let swap_files = fstab.as_ref().map_err(Clone::clone).and_then(|lines| swap_files(tree, lines.as_deref().unwrap_or_default()));
    MountsFacts {
        fstab: optional(fstab.map(|lines| lines.map(|lines| lines.into_iter().map(fstab_line).collect()))),
        crypttab: optional(
            tree.text("/etc/crypttab").map(|text| text.map(|text| crypttab::parse(&text).into_iter().map(crypttab_line).collect())),
        ),
        units: units(tree).into(),
        swap_files: swap_files.into(),
        lvm_devices: optional(tree.text("/etc/lvm/devices/system.devices").map(|text| text.as_deref().map(lvm_devices))),
    }
}

/// A fact from what may be missing and may be unreadable.
pub(super) fn optional<T>(read: Result<Option<T>, Error>) -> Fact<T> {
    match read {
        Ok(value) => value.into(),
        Err(error) => Fact::unknown(error.to_string()),
    }
}

fn fstab_line(line: fstab::Line) -> FstabLineFacts {
    FstabLineFacts {
        line: line.number,
        named_by: named_by(&line).to_owned(),
        optional: line.has("nofail") || line.has("noauto"),
        source: without_secrets(&line.source),
        target: line.target,
        kind: line.kind,
        options: line.options.iter().map(|option| without_secrets(option)).collect(),
        on: Fact::Absent,
    }
}

fn named_by(line: &fstab::Line) -> &'static str {
    let source = line.source.trim_matches('"');
    let network = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "glusterfs", "ceph", "fuse.sshfs", "9p", "virtiofs", "davfs", "lustre"];
    let by_start = [
        ("UUID=", "uuid"),
        ("LABEL=", "label"),
        ("PARTUUID=", "partuuid"),
        ("PARTLABEL=", "partlabel"),
        ("/dev/disk/", "link"),
        ("/dev/mapper/", "mapper"),
    ];
    if network.contains(&line.kind.as_str()) || source.starts_with("//") || (source.contains(":/") && !source.starts_with('/')) {
        return "network";
    }
    if let Some((_, name)) = by_start.iter().find(|(start, _)| source.starts_with(start)) {
        return name;
    }
    match source.strip_prefix("/dev/") {
        Some(device) if device.contains('/') => "mapper",
        Some(_) => "device",
        None if source.starts_with('/') => "file",
        None => "virtual",
    }
}

fn crypttab_line(line: crypttab::Line) -> CrypttabLineFacts {
    CrypttabLineFacts {
        line: line.number,
        name: line.name,
        source: line.source,
        key_file: line.key,
        options: line.options.iter().map(|option| without_secrets(option)).collect(),
        on: Fact::Absent,
    }
}

fn units(tree: &Tree) -> Result<Vec<String>, Error> {
    let mut names = tree.names("/etc/systemd/system")?;
    names.retain(|name| [".mount", ".automount", ".swap"].iter().any(|end| name.ends_with(end)));
    Ok(names)
}

fn swap_files(tree: &Tree, lines: &[fstab::Line]) -> Result<Vec<String>, Error> {
    let named = lines.iter().filter(|line| line.kind == "swap" && line.source.starts_with('/') && !line.source.starts_with("/dev/"));
    let mut paths: Vec<&str> = SWAP_FILES.into_iter().chain(named.map(|line| line.source.as_str())).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut found = Vec::new();
    for path in paths {
        if tree.find(path)?.is_some_and(|found| found.node.kind == NodeKind::File) {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

/// `IDTYPE=… IDNAME=… DEVNAME=… PVID=…` a line (lvmdevices(8)); the name by which LVM knows the device.
fn lvm_devices(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let value = |key: &str| line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        Some(format!("{} {}", value("IDTYPE")?, value("IDNAME")?))
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn lines_say_how_they_are_named() {
        let tree = tree(&[
            (
                "/etc/fstab",
                "UUID=a / ext4 defaults 0 1\n/dev/sdb1 /data xfs noauto\n/dev/vg/lv /var xfs nofail\n/dev/disk/azure/scsi1/lun0 /x ext4\n\
                 server:/x /nfs nfs _netdev\n//s/x /smb cifs\ntmpfs /tmp tmpfs\n/swap.img none swap sw\n/extra/swap none swap sw\nPARTLABEL=e /boot/efi vfat\n",
            ),
            ("/swap.img", "x"),
            ("/extra/swap", "x"),
            ("/etc/lvm/devices/system.devices", "# x\nVERSION=1\nIDTYPE=sys_wwid IDNAME=naa.6 DEVNAME=/dev/sda2 PVID=x\n"),
            ("/etc/systemd/system/data.mount", ""),
            ("/etc/systemd/system/ssh.service", ""),
        ]);
        let facts = mounts(&tree);
        let lines = facts.fstab.value().unwrap();
        let named: Vec<(&str, bool)> = lines.iter().map(|line| (line.named_by.as_str(), line.optional)).collect();
        assert_eq!(
            named,
            [
                ("uuid", false),
                ("device", true),
                ("mapper", true),
                ("link", false),
                ("network", false),
                ("network", false),
                ("virtual", false),
                ("file", false),
                ("file", false),
                ("partlabel", false),
            ]
        );
        assert_eq!(facts.swap_files, Fact::Known(vec!["/extra/swap".to_owned(), "/swap.img".to_owned()]));
        assert_eq!(facts.lvm_devices, Fact::Known(vec!["sys_wwid naa.6".to_owned()]));
        assert_eq!(facts.units, Fact::Known(vec!["data.mount".to_owned()]));
        assert_eq!(facts.crypttab, Fact::Absent);
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_the_rest_is_not() {
        let facts = mounts(&tree(&[("/etc/fstab", "!damaged"), ("/etc/crypttab", "a b none luks\n"), ("/swapfile", "x")]));
        assert!(facts.fstab.reason().unwrap().contains("/etc/fstab"));
        assert!(facts.swap_files.reason().is_some());
        assert_eq!(facts.crypttab.value().unwrap().len(), 1);
    }
}
