//! Which partition of the disks Windows means.

use crate::bytes::Guid;
use crate::facts::{DiskFacts, Fact, PartitionFacts, PartitionReferenceFacts, PartitionTableFacts};

/// A partition by its disk's signature and its first byte.
pub(super) fn by_offset(disks: &[&DiskFacts], signature: u32, offset: u64) -> PartitionReferenceFacts {
    let signature = format!("{signature:#010x}");
    let same_disk = |table: &PartitionTableFacts| table.scheme == "mbr" && table.disk_signature.as_ref() == Some(&signature);
    let (on_disk, number) = find(disks, same_disk, |partition| partition.start == offset);
    PartitionReferenceFacts {
        scheme: "mbr".to_owned(),
        disk: Fact::Known(signature),
        offset: Fact::Known(offset),
        guid: Fact::Absent,
        on_disk,
        number,
    }
}

/// A partition by its GUID, and its disk's where that is said.
pub(super) fn by_guid(disks: &[&DiskFacts], disk: Option<Guid>, partition: Guid) -> PartitionReferenceFacts {
    let (disk, guid) = (disk.map(|id| id.to_string()), partition.to_string());
    let same = |one: &Option<String>, other: &str| one.as_ref().is_some_and(|one| one.eq_ignore_ascii_case(other));
    let holds = |facts: &&DiskFacts| {
        let partitions = facts.partitions.value().map(Vec::as_slice).unwrap_or_default();
        partitions.iter().any(|partition| same(&partition.guid, &guid))
    };
    // Without the disk's GUID, the disk is the one that has the partition.
    let holder = disks.iter().find(|facts| holds(facts)).and_then(|facts| facts.partition_table.value()?.disk_guid.clone());
    let wanted = disk.clone().or(holder);
    let same_disk = |table: &PartitionTableFacts| wanted.as_ref().is_some_and(|wanted| same(&table.disk_guid, wanted));
    let (on_disk, number) = find(disks, same_disk, |partition| same(&partition.guid, &guid));
    PartitionReferenceFacts { scheme: "gpt".to_owned(), disk: disk.into(), offset: Fact::Absent, guid: Fact::Known(guid), on_disk, number }
}

/// The disk's place, and the partition's number.
fn find(
    disks: &[&DiskFacts],
    same_disk: impl Fn(&PartitionTableFacts) -> bool,
    same_partition: impl Fn(&PartitionFacts) -> bool,
) -> (Fact<usize>, Fact<u32>) {
    let mut unread = None;
    for (place, facts) in disks.iter().enumerate() {
        match facts.partition_table.known() {
            Ok(Some(table)) if same_disk(table) => {
                let number = match facts.partitions.known() {
                    Ok(partitions) => {
                        let partitions = partitions.map(Vec::as_slice).unwrap_or_default();
                        partitions.iter().find(|partition| same_partition(partition)).map(|partition| partition.number).into()
                    }
                    Err(reason) => Fact::Unknown(reason),
                };
                return (Fact::Known(place), number);
            }
            Ok(_) => {}
            Err(reason) => unread = unread.or(Some(reason)),
        }
    }
    unread.map_or((Fact::Absent, Fact::Absent), |reason| (Fact::Unknown(reason.clone()), Fact::Unknown(reason)))
}
