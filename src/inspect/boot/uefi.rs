//! Generation 2: UEFI starts a file on the EFI system partition.
//!
//! Boot entries are kept by the machine and do not travel with a disk, so that firmware which meets a disk for the first time looks for
//! the loader of removable media only: `\EFI\BOOT\BOOTX64.EFI`, `\EFI\BOOT\BOOTAA64.EFI` (UEFI 2.10, section 3.5.1.1).

use super::esp::{self, Esp};
use super::{Path, Region, Uefi, is_esp};
use crate::facts::{Fact, LoaderFacts, PartitionFacts};
use crate::partition::{PartitionTable, Scheme};

pub(super) fn learn(table: Option<&PartitionTable>, partitions: &[PartitionFacts], regions: &[Region]) -> Uefi {
    let none = || Uefi { path: Path::No("no EFI system partition".to_owned()), esp: Fact::Absent, loaders: vec![] };
    let mut best: Option<Uefi> = None;
    for partition in partitions.iter().filter(|partition| is_esp(partition)) {
        let region = regions.iter().find(|region| region.partition == Some(partition.number));
        let found = one(partition, region);
        // The first on which a loader is; else the first that may have one.
        let better = best.as_ref().is_none_or(|best| weight(&found) > weight(best));
        if better {
            best = Some(found);
        }
    }
    let Some(mut best) = best else { return none() };
    if table.is_some_and(|table| table.scheme == Scheme::Mbr) {
        let text = best.path.text().to_owned();
        best.path = match best.path {
            Path::No(_) => Path::No(text),
            _ => Path::Perhaps(format!("{text}; it is in an MBR, and whether generation 2 starts that is not documented")),
        };
    }
    best
}

fn weight(uefi: &Uefi) -> u8 {
    match (&uefi.path, uefi.loaders.is_empty()) {
        (Path::Yes(_), _) => 3,
        (Path::Perhaps(_), _) => 2,
        (Path::No(_), false) => 1,
        (Path::No(_), true) => 0,
    }
}

/// One EFI system partition.
fn one(partition: &PartitionFacts, region: Option<&Region>) -> Uefi {
    let what = format!("the EFI system partition ({})", partition.number);
    let kind = match partition.content.known() {
        Ok(content) => content.map_or("nothing that is known", |content| content.kind.as_str()),
        Err(unknown) => return unreadable(&what, &unknown.0),
    };
    if kind != "vfat" {
        return Uefi { path: Path::No(format!("{what} holds {kind}, not FAT")), esp: Fact::Absent, loaders: vec![] };
    }
    let tree = region.map_or_else(|| Err("it was not opened".to_owned()), Region::tree);
    let read = tree.and_then(|tree| esp::read(&tree, partition.number).map_err(|error| error.to_string()));
    match read {
        Ok(Esp { facts, loaders }) => Uefi { path: decide(&what, &facts.directories, &loaders), esp: Fact::Known(facts), loaders },
        Err(why) => unreadable(&what, &why),
    }
}

fn unreadable(what: &str, why: &str) -> Uefi {
    let text = format!("{what} is there, but its boot loaders cannot be read: {why}");
    Uefi { path: Path::Perhaps(text.clone()), esp: Fact::unknown(text), loaders: vec![] }
}

/// Whether firmware finds a loader that it can start.
fn decide(what: &str, directories: &[String], loaders: &[LoaderFacts]) -> Path {
    let mut troubles = Vec::new();
    let mut unsure = false;
    for loader in loaders.iter().filter(|loader| loader.fallback) {
        let path = loader.path.as_deref().unwrap_or_default();
        let wanted = if path.to_ascii_lowercase().ends_with("aa64.efi") { "Arm64" } else { "x64" };
        match loader.architecture.known() {
            Ok(Some(machine)) if machine == wanted => return Path::Yes(format!("{path} ({}, {machine}) on {what}", loader.name)),
            Ok(machine) => {
                let machine = machine.map_or("nothing that is known", String::as_str);
                troubles.push(format!("{path} is a program for {machine}, not for {wanted}"));
            }
            Err(unknown) => {
                unsure |= loader.program != Fact::Known(false);
                troubles.push(unknown.0);
            }
        }
    }
    if !troubles.is_empty() {
        let text = format!("{} on {what}", troubles.join("; "));
        return if unsure { Path::Perhaps(text) } else { Path::No(text) };
    }
    let others: Vec<&str> = loaders.iter().filter_map(|loader| loader.path.as_deref()).take(4).collect();
    let missing = r"\EFI\BOOT\BOOTX64.EFI is not";
    Path::No(match (others.as_slice(), directories) {
        ([], []) => format!("{what} has no directory \\EFI"),
        ([], some) => format!("{what} has no program in \\EFI ({})", some.join(", ")),
        ([one], _) => format!("{one} is on {what}, {missing}"),
        (several, _) => format!("{} are on {what}, {missing}", several.join(", ")),
    })
}
