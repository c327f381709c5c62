//! Drive letters.

use super::partitions::{by_guid, by_offset};
use super::registry::Registry;
use crate::bytes::printable;
use crate::facts::{DiskFacts, DriveLetterFacts, Fact, Unknown};
use crate::guest::windows::mounted_device::{self, MountedDevice};

/// Characters of a device's name that are kept.
const MOST_NAME: usize = 512;

/// Learns `drives`.
pub(super) fn drives(registry: &Registry, disks: &[&DiskFacts]) -> Fact<Vec<DriveLetterFacts>> {
    let read = || -> Result<Vec<DriveLetterFacts>, Unknown> {
        let values = registry.values("SYSTEM\\MountedDevices")?;
        let mut drives: Vec<DriveLetterFacts> = values
            .iter()
            .filter_map(|value| Some(drive(mounted_device::letter(&value.name)?, mounted_device::parse(&value.data), disks)))
            .collect();
        drives.sort_by(|one, other| one.letter.cmp(&other.letter));
        drives.dedup_by(|one, other| one.letter == other.letter);
        Ok(drives)
    };
    read().into()
}

fn drive(letter: char, device: MountedDevice, disks: &[&DiskFacts]) -> DriveLetterFacts {
    let (kind, partition, device) = match device {
        MountedDevice::Mbr { signature, offset } => ("partition", Fact::Known(by_offset(disks, signature, offset)), Fact::Absent),
        MountedDevice::Gpt(guid) => ("partition", Fact::Known(by_guid(disks, None, guid)), Fact::Absent),
        MountedDevice::Device(name) => {
            let name: String = name.chars().take(MOST_NAME).collect();
            ("device", Fact::Absent, Fact::Known(printable(&name)))
        }
        MountedDevice::Other => ("other", Fact::Absent, Fact::Absent),
    };
    DriveLetterFacts { letter: letter.to_string(), kind: kind.to_owned(), partition, device }
}
