//! How a disk can boot, and whether it is an OS disk, as far as partitions and boot sectors tell.

use super::partition::loader_name;
use crate::bytes::{Bytes, ReadAt, ReadError, read_array};
use crate::facts::{BootFacts, DiskFacts, Fact, LoaderFacts, PartitionFacts, Role};
use crate::partition::{Loader, PartitionTable, Scheme, identify, types};

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
#[derive(Debug, Clone)]
enum Path {
    Yes(String, LoaderFacts),
    No(String),
    /// There are marks, but what would decide is not known.
    Perhaps(String),
}

/// Learns from the first sector, the table and the partitions.
pub(super) fn learn(disk: &Bytes, table: Option<&PartitionTable>, facts: &DiskFacts) -> Result<Booting, ReadError> {
    let (code, loader) = first_sector(disk)?;
    let (Ok(Some(partitions)), Fact::Known(_) | Fact::Absent) = (facts.partitions.known(), &facts.partition_table) else {
        let reason = facts.partitions.reason().or_else(|| facts.partition_table.reason()).unwrap_or("the partitions are not known");
        return Ok(Booting { boot: Fact::unknown(reason), role: Fact::unknown(reason), evidence: vec![], code });
    };
    let bios = bios(loader, table, partitions, disk.size());
    let uefi = uefi(table, partitions);
    let boot = boot_facts(&bios, &uefi);
    let (role, evidence) = role(&bios, &uefi, table, partitions, facts);
    Ok(Booting { boot, role, evidence, code })
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

/// Generation 1: the BIOS starts the code in the first sector.
fn bios(loader: Option<Loader>, table: Option<&PartitionTable>, partitions: &[PartitionFacts], size: u64) -> Path {
    let Some(loader) = loader.filter(|loader| !matches!(loader, Loader::None | Loader::NotBootable)) else {
        return Path::No(if size < 512 { "the disk has no sector" } else { "no boot code in the first sector" }.to_owned());
    };
    let name = loader_name(loader).unwrap_or("unknown");
    let yes = |why: String| Path::Yes(why, LoaderFacts { generation: 1, name: name.to_owned(), place: "MBR".to_owned() });
    let Some(table) = table else {
        // A boot sector of a file system that fills the disk.
        return match loader {
            Loader::Unknown => Path::Perhaps("unknown boot code on a disk without partitions".to_owned()),
            _ => Path::Perhaps(format!("boot code of {name} on a disk without partitions")),
        };
    };
    let has = |kind: &str| partitions.iter().any(|partition| partition.kind == kind);
    match (table.scheme, loader) {
        (Scheme::Mbr, Loader::Grub | Loader::GrubLegacy | Loader::Lilo | Loader::Isolinux) => yes(format!("{name} in the MBR")),
        (Scheme::Gpt, Loader::Grub) if has(&types::BIOS_BOOT.to_string()) => yes("GRUB in the MBR and a BIOS boot partition".to_owned()),
        (Scheme::Gpt, Loader::SyslinuxGptMbr) if partitions.iter().any(|partition| partition.bootable) => {
            yes("Syslinux in the MBR and a partition marked for legacy boot".to_owned())
        }
        (Scheme::Gpt, Loader::FreeBsd) => yes("FreeBSD's boot code in the MBR".to_owned()),
        (Scheme::Gpt, Loader::Grub) => Path::Perhaps("GRUB in the MBR without a BIOS boot partition".to_owned()),
        (Scheme::Gpt, _) if !table.partitions.iter().any(|one| one.bootable) => {
            Path::No(format!("boot code ({name}) in the first sector, but nothing on this GPT that it could start"))
        }
        (_, _) => active(name, loader, partitions),
    }
}

/// Boot code that starts the active partition.
fn active(name: &str, loader: Loader, partitions: &[PartitionFacts]) -> Path {
    let active: Vec<&PartitionFacts> = partitions.iter().filter(|partition| partition.bootable).collect();
    match (active.as_slice(), loader) {
        ([one], _) => match one.boot_code.as_deref() {
            Some(code) if code != "not bootable" => {
                let place = format!("partition {}", one.number);
                let why = format!("{name} in the first sector, active partition {} with boot code ({code})", one.number);
                Path::Yes(why, LoaderFacts { generation: 1, name: code.to_owned(), place })
            }
            _ => Path::No(format!("partition {} is active but has no boot sector", one.number)),
        },
        ([], Loader::Unknown) => Path::Perhaps("unknown boot code in the first sector, and no active partition".to_owned()),
        ([], _) => Path::No(format!("boot code ({name}) in the first sector, but no active partition")),
        (several, _) => Path::No(format!("{} partitions are active; one must be", several.len())),
    }
}

/// Generation 2: UEFI starts a file on the EFI system partition.
fn uefi(table: Option<&PartitionTable>, partitions: &[PartitionFacts]) -> Path {
    let esp = types::ESP.to_string();
    let found = partitions.iter().find(|partition| partition.kind == esp || partition.kind == "0xef");
    match (table.map(|table| table.scheme), found) {
        (Some(Scheme::Gpt), Some(one)) => match one.content.known() {
            Ok(Some(content)) if content.kind == "vfat" => Path::Perhaps(format!(
                "the EFI system partition ({}) is there; which boot loaders it holds is not read by this version",
                one.number
            )),
            Ok(content) => {
                let holds = content.map_or("nothing that is known", |content| content.kind.as_str());
                Path::No(format!("the EFI system partition ({}) holds {holds}, not FAT", one.number))
            }
            Err(unknown) => Path::Perhaps(unknown.0),
        },
        (Some(Scheme::Mbr), Some(one)) => {
            Path::Perhaps(format!("an EFI system partition ({}) in an MBR; whether generation 2 starts that is not documented", one.number))
        }
        (_, _) => Path::No("no EFI system partition".to_owned()),
    }
}

fn boot_facts(bios: &Path, uefi: &Path) -> Fact<BootFacts> {
    if let (Path::No(_), Path::No(_)) = (bios, uefi) {
        return Fact::Absent;
    }
    let mut generations = Vec::new();
    let mut loaders = Vec::new();
    let mut evidence = Vec::new();
    let mut open = Vec::new();
    for (generation, path) in [(1_u8, bios), (2, uefi)] {
        let text = match path {
            Path::Yes(text, loader) => {
                generations.push(generation);
                loaders.push(loader.clone());
                text
            }
            Path::No(text) => text,
            Path::Perhaps(text) => {
                open.push(text.clone());
                text
            }
        };
        evidence.push(format!("generation {generation}: {text}"));
    }
    let undecided = (!open.is_empty()).then(|| open.join("; "));
    Fact::Known(BootFacts {
        generations: undecided.clone().map_or(Fact::Known(generations), Fact::unknown),
        architecture: Fact::unknown("boot loaders and programs are not read by this version"),
        loaders: undecided.map_or(Fact::Known(loaders), Fact::unknown),
        evidence,
    })
}

/// OS disk by positive marks; data disk where nothing on it could start; otherwise not known.
fn role(
    bios: &Path,
    uefi: &Path,
    table: Option<&PartitionTable>,
    partitions: &[PartitionFacts],
    facts: &DiskFacts,
) -> (Fact<Role>, Vec<String>) {
    let mut marks = Vec::new();
    if let Path::Yes(text, _) = bios {
        marks.push(text.clone());
    }
    for partition in partitions {
        let mark = os_mark(partition, table);
        marks.extend(mark.map(|mark| format!("partition {}: {mark}", partition.number)));
    }
    if !marks.is_empty() {
        return (Fact::Known(Role::Os), marks);
    }
    match (bios, uefi) {
        (Path::No(bios), Path::No(uefi)) => {
            let empty = table.is_none() && matches!(facts.content, Fact::Absent);
            let first = if empty { "nothing is on it".to_owned() } else { format!("nothing on it can start: {bios}, {uefi}") };
            (Fact::Known(Role::Data), vec![first])
        }
        (Path::Perhaps(text), _) | (_, Path::Perhaps(text)) => (Fact::unknown(text.clone()), vec![]),
        // A way to boot was a mark above.
        _ => (Fact::unknown("the ways to boot contradict each other"), vec![]),
    }
}

/// What on a partition shows that the disk carries an operating system.
fn os_mark(partition: &PartitionFacts, table: Option<&PartitionTable>) -> Option<&'static str> {
    let kind = partition.kind.as_str();
    let gpt = table.is_some_and(|table| table.scheme == Scheme::Gpt);
    let is = |guid: crate::bytes::Guid| gpt && kind == guid.to_string();
    if is(types::ESP) && partition.content.value().is_some_and(|content| content.kind == "vfat") {
        return Some("an EFI system partition");
    }
    if is(types::BIOS_BOOT) {
        return Some("a BIOS boot partition");
    }
    if [types::LINUX_ROOT_X86, types::LINUX_ROOT_X86_64, types::LINUX_ROOT_ARM64].into_iter().any(is) {
        return Some("a root partition by its type");
    }
    None
}
