//! One disk, from file to facts.

use super::{boot, container as files, partition as tables};
use crate::bytes::{Bytes, ReadAt, ReadError, host, printable};
use crate::container::{self, Container, Source};
use crate::facts::{DiskFacts, Fact, Role};
use crate::partition::PartitionTable;

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Read data too, where only that can tell: sector bitmaps against data, footers at any sector.
    pub deep: bool,
}

/// Facts, and the open disk behind them.
#[derive(Debug)]
pub struct Inspected {
    /// What was learnt.
    pub facts: DiskFacts,
    /// The container, for whoever goes on to read the disk.
    pub container: Container,
    /// The partition table, for whoever goes on to rebuild it.
    pub table: Option<PartitionTable>,
}

/// Inspects a file.
///
/// # Errors
///
/// Only when the host cannot read it, or a parent of it.
pub fn disk(source: &Source<'_>, options: Options) -> Result<Inspected, ReadError> {
    let container = container::open(source)?;
    let mut facts = files::facts(source, &container, options)?;
    let mut table = None;
    match &container.disk {
        Ok(disk) => {
            let regions = tables::learn(disk)?;
            facts.partition_table = regions.table;
            facts.partitions = regions.partitions;
            facts.content = regions.content;
            facts.allocated_size = allocated(&container, disk, source);
            let booting = boot::learn(disk, regions.raw.as_ref(), &facts)?;
            facts.boot = booting.boot;
            facts.role = booting.role;
            facts.role_evidence = booting.evidence;
            if let Fact::Known(known) = &mut facts.partition_table {
                known.boot_code = booting.code;
            }
            facts.volumes = volumes(&facts);
            facts.os = operating_system(&facts);
            table = regions.raw;
        }
        Err(error) => {
            let reason = printable(&error.to_string());
            let is_disk = matches!(facts.format.as_str(), "vhd" | "vhdx" | "raw");
            unreadable(&mut facts, is_disk.then_some(reason));
        }
    }
    Ok(Inspected { facts, container, table })
}

/// What cannot be known of a disk that cannot be read; all of it absent where the file holds no disk that we open.
fn unreadable(facts: &mut DiskFacts, reason: Option<String>) {
    fn fact<T>(reason: Option<&String>) -> Fact<T> {
        reason.map_or(Fact::Absent, Fact::unknown)
    }
    let reason = reason.as_ref();
    facts.partition_table = fact(reason);
    facts.partitions = fact(reason);
    facts.content = fact(reason);
    facts.volumes = fact(reason);
    facts.boot = fact(reason);
    facts.os = fact(reason);
    facts.role = fact(reason);
    facts.stale_footers = fact(reason);
    facts.allocated_size = fact(reason);
}

/// Bytes of the disk that the container backs.
fn allocated(container: &Container, disk: &Bytes, source: &Source<'_>) -> Fact<u64> {
    if let Some(vhd) = &container.vhd
        && let Some(table) = vhd.table.as_ref().and_then(|table| table.as_ref().ok())
    {
        return Fact::Known(table.allocated_bytes(disk.size()));
    }
    if let Some(vhd) = &container.vhd {
        let end = vhd.payload_end().min(disk.size());
        return Fact::Known(host::data_bytes(&**source.file, 0..end));
    }
    Fact::Known(host::data_bytes(&**disk, 0..disk.size()))
}

/// Logical volumes: none where no physical volume is; not read otherwise.
fn volumes(facts: &DiskFacts) -> Fact<Vec<crate::facts::VolumeFacts>> {
    let mut kinds = Vec::new();
    match facts.partitions.known() {
        Err(unknown) => return Fact::Unknown(unknown),
        Ok(list) => {
            for partition in list.into_iter().flatten() {
                match partition.content.known() {
                    Err(unknown) => return Fact::Unknown(unknown),
                    Ok(content) => kinds.extend(content.map(|content| content.kind.as_str())),
                }
            }
        }
    }
    match facts.content.known() {
        Err(unknown) => return Fact::Unknown(unknown),
        Ok(content) => kinds.extend(content.map(|content| content.kind.as_str())),
    }
    match kinds.iter().find(|kind| kind.ends_with("_member") || matches!(**kind, "storage_spaces" | "bcache" | "stratis")) {
        Some(kind) => Fact::unknown(format!("volumes on {kind} are not read by this version")),
        None => Fact::Known(vec![]),
    }
}

/// The operating system: absent where nothing stands on the disk, unknown while file systems are not read.
fn operating_system(facts: &DiskFacts) -> Fact<crate::facts::OsFacts> {
    let empty = facts.partitions.value().is_none_or(Vec::is_empty) && matches!(facts.content, Fact::Absent);
    let known = facts.partitions.reason().is_none();
    if empty && known || facts.role.value() == Some(&Role::Data) {
        return Fact::Absent;
    }
    Fact::unknown("file systems are not read by this version")
}
