//! How a disk can boot, and whether it is an OS disk: boot sectors, what they lead to, and the loaders on the EFI system partition.

mod bios;
mod esp;
mod loader;
mod role;
mod uefi;

use super::partition::loader_name;
use super::region::Place;
use crate::bytes::{Bytes, ReadAt, ReadError, read_array};
use crate::facts::{BootFacts, DiskFacts, EspFacts, Fact, LoaderFacts, PartitionFacts, Role};
use crate::fs::{self, FileSystem, Tree};
use crate::partition::{Loader, PartitionTable, identify, types};
use std::sync::Arc;

/// A partition, or the whole disk, with the file system on it.
#[derive(Debug)]
pub(super) struct Region {
    /// Its number; `None` for a disk without partitions.
    pub(super) partition: Option<u32>,
    /// What stands on it, by blkid's name; empty where that is not known.
    pub(super) kind: String,
    /// Its file system; `None` where files of that kind are not read.
    pub(super) fs: Option<Result<Arc<dyn FileSystem>, fs::Error>>,
}

impl Region {
    /// Of a region of the disk.
    pub(super) fn of(region: &super::region::Region) -> Self {
        let partition = match region.place {
            Place::Partition(number) => Some(number),
            Place::Whole | Place::Volume(_) => None,
        };
        Self { partition, kind: region.kind().unwrap_or_default().to_owned(), fs: region.fs.clone() }
    }

    /// Its files; the reason where they cannot be read.
    fn tree(&self) -> Result<Tree, String> {
        match &self.fs {
            Some(Ok(fs)) => Ok(Tree::new(self.kind.clone(), fs.clone(), fs.root())),
            Some(Err(error)) => Err(error.to_string()),
            None => Err(format!("files of {} are not read", self.kind)),
        }
    }
}

/// What was learnt of booting.
#[derive(Debug)]
pub(super) struct Booting {
    pub(super) boot: Fact<BootFacts>,
    pub(super) role: Fact<Role>,
    pub(super) evidence: Vec<String>,
    /// Boot code in the disk's first sector.
    pub(super) code: Option<String>,
}

/// Whether one generation can boot it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Path {
    Yes(String),
    No(String),
    /// There are marks, but what would decide is not known.
    Perhaps(String),
}

impl Path {
    fn text(&self) -> &str {
        match self {
            Self::Yes(text) | Self::No(text) | Self::Perhaps(text) => text,
        }
    }
}

/// Learns from the first sector, the table, the partitions and the file systems on them; `os` is the name of an
/// installation that was found on the disk.
pub(super) fn learn(
    disk: &Bytes,
    table: Option<&PartitionTable>,
    facts: &DiskFacts,
    regions: &[Region],
    os: Option<&str>,
) -> Result<Booting, ReadError> {
    let (code, loader) = first_sector(disk)?;
    let (Ok(Some(partitions)), Fact::Known(_) | Fact::Absent) = (facts.partitions.known(), &facts.partition_table) else {
        let reason = facts.partitions.reason().or_else(|| facts.partition_table.reason()).unwrap_or("the partitions are not known");
        return Ok(Booting { boot: Fact::unknown(reason), role: Fact::unknown(reason), evidence: vec![], code });
    };
    let bios = bios::learn(disk, loader, table, partitions, regions);
    let uefi = uefi::learn(table, partitions, regions);
    let (role, evidence) = role::learn(&bios.path, &uefi, table, partitions, facts, os);
    let boot = boot_facts(bios, uefi, code.is_some(), partitions.iter().any(is_esp));
    Ok(Booting { boot, role, evidence, code })
}

/// What was learnt of generation 1.
#[derive(Debug)]
struct Bios {
    path: Path,
    loader: Option<LoaderFacts>,
}

/// What was learnt of generation 2.
#[derive(Debug)]
struct Uefi {
    path: Path,
    /// The EFI system partition; absent where there is none.
    esp: Fact<EspFacts>,
    loaders: Vec<LoaderFacts>,
}

fn first_sector(disk: &Bytes) -> Result<(Option<String>, Option<Loader>), ReadError> {
    if disk.size() < 512 {
        return Ok((None, None));
    }
    match read_array::<512>(&**disk, 0) {
        Ok(sector) => {
            let code = identify(&sector);
            let loader = (code.signature && code.nonzero).then_some(code.loader);
            Ok((loader.and_then(loader_name).map(str::to_owned), loader))
        }
        Err(error) if error.is_host() => Err(error),
        Err(_) => Ok((None, None)),
    }
}

/// Whether a partition is an EFI system partition by its type.
fn is_esp(partition: &PartitionFacts) -> bool {
    partition.kind == types::ESP.to_string() || partition.kind == "0xef"
}

fn boot_facts(bios: Bios, uefi: Uefi, code: bool, esp: bool) -> Fact<BootFacts> {
    // Without boot code and without such a partition there is nothing to tell about.
    if !code && !esp {
        return Fact::Absent;
    }
    let paths = [(1_u8, &bios.path), (2, &uefi.path)];
    let open: Vec<&str> = paths.iter().filter(|(_, path)| matches!(path, Path::Perhaps(_))).map(|(_, path)| path.text()).collect();
    let known = paths.iter().filter(|(_, path)| matches!(path, Path::Yes(_))).map(|(generation, _)| *generation).collect();
    let undecided = (!open.is_empty()).then(|| open.join("; "));
    let evidence = paths.iter().map(|(generation, path)| format!("generation {generation}: {}", path.text())).collect();
    let loaders: Vec<LoaderFacts> = bios.loader.into_iter().chain(uefi.loaders).collect();
    // A partition whose loaders cannot be read hides some; that others are known does not make the list whole.
    let hidden = uefi.esp.reason().map(str::to_owned);
    Fact::Known(BootFacts {
        generations: undecided.map_or(Fact::Known(known), Fact::unknown),
        architecture: architecture(&loaders, hidden.as_deref()),
        loaders: hidden.map_or(Fact::Known(loaders), Fact::unknown),
        esp: uefi.esp,
        evidence,
    })
}

/// What the fallback loader is for, or else what all others are for.
fn architecture(loaders: &[LoaderFacts], hidden: Option<&str>) -> Fact<String> {
    let of = |loader: &LoaderFacts| loader.architecture.value().cloned();
    if let Some(known) = loaders.iter().filter(|loader| loader.fallback).find_map(of) {
        return Fact::Known(known);
    }
    if let Some(reason) = hidden {
        return Fact::unknown(reason);
    }
    let mut all: Vec<String> = loaders.iter().filter_map(of).collect();
    all.sort();
    all.dedup();
    match all.as_slice() {
        [one] => Fact::Known(one.clone()),
        [] if loaders.is_empty() => Fact::Absent,
        [] => Fact::unknown("a boot sector does not tell 32-bit systems from 64-bit ones"),
        several => Fact::unknown(format!("the loaders are for several: {}", several.join(", "))),
    }
}

#[cfg(test)]
mod tests;
