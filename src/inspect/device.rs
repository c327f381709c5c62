//! What a device is called in fstab and on the kernel command line, and which region that is.

use super::region::{Place, Region};

/// The region that a guest means by `name`: `UUID=…`, `/dev/disk/by-label/…`, `/dev/mapper/vg0-root`, `/dev/sda1`. Where several fit,
/// one on the disk `home` goes first.
///
/// Of names that count disks only the first disk's are understood (`sda`, `nvme0n1`): it is the one the guest booted from, `home`. Which
/// disk another letter meant cannot be known.
pub(super) fn find(name: &str, regions: &[Region], home: usize) -> Option<usize> {
    let name = name.trim_matches('"');
    let wanted = wanted(name, home)?;
    let fits = |region: &&(usize, &Region)| wanted.fits(region.1);
    let all: Vec<(usize, &Region)> = regions.iter().enumerate().collect();
    let at_home = all.iter().filter(|(_, region)| region.disk == home).find(fits);
    at_home.or_else(|| all.iter().find(fits)).map(|(place, _)| *place)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Uuid(String),
    Label(String),
    PartitionUuid(String),
    PartitionName(String),
    Volume(String),
    Mapper(String),
    Partition { disk: usize, number: u32 },
    Whole { disk: usize },
}

impl Wanted {
    fn fits(&self, region: &Region) -> bool {
        let content = region.content.as_ref();
        let same = |a: Option<&String>, b: &str| a.is_some_and(|a| a.eq_ignore_ascii_case(b));
        match self {
            Self::Uuid(uuid) => same(content.and_then(|content| content.uuid.as_ref()), uuid),
            Self::Label(label) => content.and_then(|content| content.label.as_ref()) == Some(label),
            Self::PartitionUuid(uuid) => same(region.partition_uuid.as_ref(), uuid),
            Self::PartitionName(name) => region.partition_name.as_ref() == Some(name),
            Self::Volume(name) => region.place == Place::Volume(name.clone()),
            Self::Mapper(uuid) => region.mapper_uuid.as_ref() == Some(uuid),
            Self::Partition { disk, number } => region.disk == *disk && region.place == Place::Partition(*number),
            Self::Whole { disk } => region.disk == *disk && region.place == Place::Whole,
        }
    }
}

fn wanted(name: &str, home: usize) -> Option<Wanted> {
    type Make = fn(String) -> Wanted;
    let tags: [(&str, &str, Make); 4] = [
        ("UUID=", "/dev/disk/by-uuid/", Wanted::Uuid),
        ("LABEL=", "/dev/disk/by-label/", Wanted::Label),
        ("PARTUUID=", "/dev/disk/by-partuuid/", Wanted::PartitionUuid),
        ("PARTLABEL=", "/dev/disk/by-partlabel/", Wanted::PartitionName),
    ];
    for (tag, link, make) in tags {
        if let Some(value) = name.strip_prefix(tag) {
            return Some(make(value.trim_matches('"').to_owned()));
        }
        if let Some(value) = name.strip_prefix(link) {
            return Some(make(unescape(value)));
        }
    }
    // Ubuntu's installer names logical volumes so.
    if let Some(uuid) = name.strip_prefix("/dev/disk/by-id/dm-uuid-") {
        return Some(Wanted::Mapper(uuid.to_owned()));
    }
    if let Some(mapped) = name.strip_prefix("/dev/disk/by-id/dm-name-") {
        return mapped_volume(mapped).map(Wanted::Volume);
    }
    let device = name.strip_prefix("/dev/")?;
    if let Some(mapped) = device.strip_prefix("mapper/") {
        return mapped_volume(mapped).map(Wanted::Volume);
    }
    if let Some((group, volume)) = device.split_once('/') {
        let plain = !volume.contains('/') && !matches!(group, "disk" | "block" | "md" | "mapper" | "input" | "net");
        return plain.then(|| Wanted::Volume(format!("{group}/{volume}")));
    }
    let first = ["sda", "vda", "xvda", "hda", "nvme0n1p", "mmcblk0p", "nvme0n1", "mmcblk0"];
    let rest = first.iter().find_map(|disk| device.strip_prefix(disk))?;
    if rest.is_empty() {
        return Some(Wanted::Whole { disk: home });
    }
    rest.parse().ok().map(|number| Wanted::Partition { disk: home, number })
}

/// `vg--a-root` of the device mapper as `vg-a/root`: a hyphen within a name is doubled.
fn mapped_volume(mapped: &str) -> Option<String> {
    let mut group = String::new();
    let mut rest = mapped;
    loop {
        let (before, after) = rest.split_once('-')?;
        group.push_str(before);
        match after.strip_prefix('-') {
            Some(more) => {
                group.push('-');
                rest = more;
            }
            None => return Some(format!("{group}/{}", after.replace("--", "-"))),
        }
    }
}

/// `\x20` of udev's links as the character that it stands for.
fn unescape(link: &str) -> String {
    let mut parts = link.split("\\x");
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                out.extend(part.bytes().skip(2));
            }
            None => {
                out.extend(b"\\x");
                out.extend(part.bytes());
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Zeros;
    use crate::facts::{ContentFacts, Fact};
    use std::sync::Arc;

    fn region(disk: usize, place: Place, uuid: &str, label: &str) -> Region {
        let content = ContentFacts {
            kind: "test".to_owned(),
            uuid: Some(uuid.to_owned()),
            label: Some(label.to_owned()),
            size: Fact::Absent,
            used: Fact::Absent,
            clean: Fact::Absent,
            sealed: None,
            detail: vec![],
        };
        let mut region = Region::new(disk, place, Arc::new(Zeros(512)), Some(content));
        region.partition_uuid = Some(format!("p-{uuid}"));
        region.partition_name = Some(format!("name {label}"));
        region.mapper_uuid = matches!(region.place, Place::Volume(_)).then(|| format!("LVM-g{uuid}"));
        region
    }

    #[test]
    fn names_of_all_kinds() {
        let regions = [
            region(0, Place::Partition(1), "a0", "root"),
            region(0, Place::Partition(15), "A0E5-0001", "UEFI"),
            region(1, Place::Partition(1), "a0", "my data"),
            region(0, Place::Volume("vg-a/lv-b".to_owned()), "c1", "x"),
            region(2, Place::Whole, "d1", "whole"),
        ];
        for (name, home, found) in [
            ("UUID=a0", 0, Some(0)),
            ("UUID=a0", 1, Some(2)),
            ("UUID=a0", 2, Some(0)),
            ("UUID=\"a0e5-0001\"", 0, Some(1)),
            ("LABEL=my data", 0, Some(2)),
            ("/dev/disk/by-label/my\\x20data", 0, Some(2)),
            ("/dev/disk/by-uuid/c1", 0, Some(3)),
            ("PARTUUID=P-A0E5-0001", 0, Some(1)),
            ("PARTLABEL=name UEFI", 0, Some(1)),
            ("/dev/mapper/vg--a-lv--b", 0, Some(3)),
            ("/dev/vg-a/lv-b", 0, Some(3)),
            ("/dev/disk/by-id/dm-name-vg--a-lv--b", 0, Some(3)),
            ("/dev/disk/by-id/dm-uuid-LVM-gc1", 0, Some(3)),
            ("/dev/disk/by-id/dm-uuid-LVM-gd1", 0, None),
            ("/dev/disk/by-id/scsi-36000c29", 0, None),
            ("/dev/sda15", 0, Some(1)),
            ("/dev/nvme0n1p1", 1, Some(2)),
            ("/dev/vda", 2, Some(4)),
            ("/dev/sdb1", 0, None),
            ("/dev/sda2", 0, None),
            ("/dev/mapper/luks", 0, None),
            ("server:/export", 0, None),
            ("tmpfs", 0, None),
            ("/dev/md/0", 0, None),
        ] {
            assert_eq!(find(name, &regions, home), found, "{name} from {home}");
        }
    }
}
