//! One disk, from file to facts.

use super::inside::{self, Inside};
use super::{boot, container as files, partition as tables};
use crate::bytes::{Bytes, Guard, ReadAt, ReadError, Watch, host, printable};
use crate::container::{self, Container, Source};
use crate::facts::{DiskFacts, Fact, Role};
use crate::partition::PartitionTable;
use std::sync::Arc;

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
    /// The file systems and installations, for whoever goes on to read files; `None` before [`join`], and where no disk is open.
    pub inside: Option<Inside>,
    /// Every read of the file and of the disk inside passes it.
    watch: Arc<Watch>,
}

impl Inspected {
    /// Fails where the host failed at any time, whatever became of that error since: what could not be read is not taken for absent.
    fn was_read(&self) -> Result<(), ReadError> {
        self.watch.failure().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}

/// Inspects a file by itself.
///
/// # Errors
///
/// Only when the host cannot read it, or a parent of it.
pub fn disk(source: &Source<'_>, options: Options) -> Result<Inspected, ReadError> {
    let mut inspected = surface(source, options)?;
    join(&mut inspected, &[])?;
    Ok(inspected)
}

/// Inspects what is inside a disk, together with disks that may belong to it: a volume group may spread over them, and the guest's
/// fstab may name file systems on them. Only the first one's facts change.
///
/// # Errors
///
/// Only when the host cannot read one of them.
pub fn join(first: &mut Inspected, others: &[&Inspected]) -> Result<(), ReadError> {
    let Ok(disk) = &first.container.disk else { return Ok(()) };
    let inside = inside::learn(first, others)?;
    inside::complete(&mut first.facts, &inside);
    let regions: Vec<boot::Region> = inside.regions.iter().filter(|region| region.disk == 0).map(boot::Region::of).collect();
    let name = inside.os.value().map(|os| os.name.value().map_or("an operating system", String::as_str));
    let booting = boot::learn(disk, first.table.as_ref(), &first.facts, &regions, name)?;
    let facts = &mut first.facts;
    facts.boot = booting.boot;
    facts.role = booting.role;
    facts.role_evidence = booting.evidence;
    if let Fact::Known(known) = &mut facts.partition_table {
        known.boot_code = booting.code;
    }
    // Loaders are read for what they say of themselves, and each reader has its own words for what it did not find.
    first.was_read()?;
    let facts = &mut first.facts;
    facts.volumes = inside.volumes.clone();
    facts.volume_groups = inside.volume_groups.clone();
    facts.os = inside.os.clone();
    // What cannot be looked into on a disk that cannot start is no operating system of this disk.
    if facts.os.value().is_none() && facts.role.value() == Some(&Role::Data) {
        facts.os = Fact::Absent;
    }
    first.inside = Some(inside);
    Ok(())
}

/// Looks once more inside disks that were given together: where something is missing in one that another of them may hold. Those that are
/// whole by themselves stay as they are. `of` and `of_mut` say where the inspected disk is in an item.
///
/// # Errors
///
/// When the host cannot read; the place of the disk that was looked into.
pub fn join_each<T>(disks: &mut [T], of: fn(&T) -> &Inspected, of_mut: fn(&mut T) -> &mut Inspected) -> Result<(), (usize, ReadError)> {
    for place in 0..disks.len() {
        let (before, rest) = disks.split_at_mut_checked(place).unwrap_or_default();
        let Some((first, after)) = rest.split_first_mut() else { continue };
        let others: Vec<&Inspected> = before.iter().chain(after.iter()).map(of).collect();
        let first = of_mut(first);
        if !others.is_empty() && first.inside.as_ref().is_some_and(|inside| inside.incomplete) {
            join(first, &others).map_err(|error| (place, error))?;
        }
    }
    Ok(())
}

/// Inspects a file as far as its partitions and what stands on them; [`join`] looks inside.
///
/// # Errors
///
/// Only when the host cannot read it, or a parent of it.
pub fn surface(source: &Source<'_>, options: Options) -> Result<Inspected, ReadError> {
    // Without an end: what is looked at here is bounded by its own structures.
    let watch = Watch::new(u64::MAX);
    let watched = |bytes: &Bytes| -> Bytes { Arc::new(Guard::new(bytes.clone(), watch.clone())) };
    let file = watched(source.file);
    let source = &Source { file: &file, ..*source };
    let mut container = container::open(source)?;
    // Its parents are read past the file.
    container.disk = container.disk.map(|disk| watched(&disk));
    let mut facts = files::facts(source, &container, options)?;
    let mut table = None;
    match &container.disk {
        Ok(disk) => {
            let regions = tables::learn(disk)?;
            facts.partition_table = regions.table;
            facts.partitions = regions.partitions;
            facts.content = regions.content;
            facts.allocated_size = allocated(&container, disk, source);
            table = regions.raw;
        }
        Err(error) => {
            let reason = printable(&error.to_string());
            let is_disk = matches!(facts.format.as_str(), "vhd" | "vhdx" | "raw");
            unreadable(&mut facts, is_disk.then_some(reason));
        }
    }
    let inspected = Inspected { facts, container, table, inside: None, watch };
    inspected.was_read()?;
    Ok(inspected)
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
    facts.volume_groups = fact(reason);
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
