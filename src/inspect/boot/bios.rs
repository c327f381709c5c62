//! Generation 1: the BIOS starts the code in the first sector.
//!
//! GRUB: `grub-core/boot/i386/pc/boot.S` has the sector of its second part, `core.img`, at byte 0x5c (`include/grub/i386/pc/boot.h`,
//! GRUB_BOOT_MACHINE_KERNEL_SECTOR), counted in 512 bytes; the first sector there is `diskboot.S`, which lists where the rest lies from
//! byte 0x1f4 downwards.

use super::super::partition::loader_name;
use super::{Bios, Path, Region};
use crate::bytes::{Bytes, ReadAt, SECTOR, is_zero, read_array};
use crate::facts::{LoaderFacts, PartitionFacts};
use crate::fs::Tree;
use crate::partition::{Loader, PartitionTable, Scheme, types};
use byteorder::{ByteOrder, LittleEndian};

/// Where GRUB's `boot.img` keeps the sector of `core.img`.
const KERNEL_SECTOR_AT: usize = 0x5c;
/// Where the list of `diskboot.img` begins; it grows downwards, twelve bytes each.
const BLOCK_LIST_AT: usize = 0x1f4;
/// What `diskboot.img` prints when it fails, in all versions.
const DISKBOOT_WORDS: [&[u8]; 2] = [b"Geom\0Read\0", b"Read\0 Error"];

pub(super) fn learn(
    disk: &Bytes,
    loader: Option<Loader>,
    table: Option<&PartitionTable>,
    partitions: &[PartitionFacts],
    regions: &[Region],
) -> Bios {
    let Some(loader) = loader.filter(|loader| !matches!(loader, Loader::None | Loader::NotBootable)) else {
        let why = if disk.size() < SECTOR { "the disk has no sector" } else { "no boot code in the first sector" };
        return Bios { path: Path::No(why.to_owned()), loader: None };
    };
    let name = loader_name(loader).unwrap_or("unknown");
    let Some(table) = table else {
        // A boot sector of a file system that fills the disk.
        let what = if loader == Loader::Unknown { "unknown boot code".to_owned() } else { format!("boot code of {name}") };
        return Bios { path: Path::Perhaps(format!("{what} on a disk without partitions")), loader: None };
    };
    let in_mbr = |path: Path| {
        let found = !matches!(path, Path::No(_));
        Bios { path, loader: found.then(|| boot_sector(name, "MBR".to_owned())) }
    };
    match (table.scheme, loader) {
        (_, Loader::Grub) => in_mbr(grub(disk, table, partitions)),
        (Scheme::Mbr, Loader::GrubLegacy | Loader::Lilo | Loader::Isolinux) => in_mbr(Path::Yes(format!("{name} in the MBR"))),
        (Scheme::Gpt, Loader::SyslinuxGptMbr) if partitions.iter().any(|partition| partition.bootable) => {
            in_mbr(Path::Yes("Syslinux in the MBR and a partition marked for legacy boot".to_owned()))
        }
        (Scheme::Gpt, Loader::FreeBsd) => in_mbr(Path::Yes("FreeBSD's boot code in the MBR".to_owned())),
        (Scheme::Gpt, Loader::WindowsMbr) => {
            Bios { path: Path::No("the MBR of Windows on a GPT, from which Windows does not start by BIOS".to_owned()), loader: None }
        }
        (Scheme::Gpt, _) if !table.partitions.iter().any(|one| one.bootable) => {
            let why = format!("boot code ({name}) in the first sector, but nothing on this GPT that it could start");
            Bios { path: Path::No(why), loader: None }
        }
        (_, _) => active(name, loader, partitions, regions),
    }
}

fn boot_sector(name: &str, place: String) -> LoaderFacts {
    LoaderFacts { generation: 1, name: name.to_owned(), place, ..LoaderFacts::default() }
}

/// GRUB in the first sector leads to its second part, wherever that lies.
fn grub(disk: &Bytes, table: &PartitionTable, partitions: &[PartitionFacts]) -> Path {
    let Ok(first) = read_array::<512>(&**disk, 0) else { return Path::Perhaps("GRUB in the MBR, which cannot be read".to_owned()) };
    let sector = first.get(KERNEL_SECTOR_AT..).and_then(|rest| rest.get(..8)).map(LittleEndian::read_u64).unwrap_or_default();
    let missing = |what: &str| Path::No(format!("GRUB in the MBR leads to sector {sector}, {what}; its core.img is missing"));
    let Some(at) = sector.checked_mul(SECTOR).filter(|at| *at > 0 && at.checked_add(SECTOR).is_some_and(|end| end <= disk.size())) else {
        return missing("which is not on the disk");
    };
    let core = match read_array::<512>(&**disk, at) {
        Ok(core) => core,
        Err(error) => return Path::Perhaps(format!("GRUB in the MBR, whose core.img cannot be read: {error}")),
    };
    if is_zero(&core) {
        return missing("which is empty");
    }
    if core.starts_with(b"EFI PART") {
        return missing("where the GPT stands");
    }
    let place = place(at, table, partitions);
    if !DISKBOOT_WORDS.iter().any(|words| core.windows(words.len()).any(|found| found == *words)) {
        return Path::Perhaps(format!("GRUB in the MBR leads to {place}, which does not look like its core.img"));
    }
    // The rest of core.img, by the first entry of the list.
    let list = core.get(BLOCK_LIST_AT..).unwrap_or_default();
    let start = list.get(..8).map(LittleEndian::read_u64).unwrap_or_default();
    let count = list.get(8..10).map(LittleEndian::read_u16).unwrap_or_default();
    let rest = start.checked_mul(SECTOR).map(|at| read_array::<512>(&**disk, at));
    match rest {
        Some(Ok(rest)) if count > 0 && !is_zero(&rest) => Path::Yes(format!("GRUB in the MBR and its core.img in {place}")),
        _ => Path::No(format!("GRUB in the MBR and the first sector of its core.img in {place}, but the rest is missing")),
    }
}

/// Where a byte lies, in words.
fn place(at: u64, table: &PartitionTable, partitions: &[PartitionFacts]) -> String {
    let holds = |one: &&PartitionFacts| one.start <= at && at < one.start.saturating_add(one.size);
    match partitions.iter().filter(holds).min_by_key(|one| one.size) {
        Some(one) if one.kind == types::BIOS_BOOT.to_string() => format!("the BIOS boot partition ({})", one.number),
        Some(one) => format!("partition {}", one.number),
        None if table.partitions.iter().all(|one| at < one.start) => "the gap before the first partition".to_owned(),
        None => "a gap between partitions".to_owned(),
    }
}

/// Boot code that starts the active partition.
fn active(name: &str, loader: Loader, partitions: &[PartitionFacts], regions: &[Region]) -> Bios {
    let active: Vec<&PartitionFacts> = partitions.iter().filter(|partition| partition.bootable).collect();
    let path = match (active.as_slice(), loader) {
        ([one], _) => match one.boot_code.as_deref() {
            Some(code) if code != "not bootable" => {
                let region = regions.iter().find(|region| region.partition == Some(one.number));
                let start = format!("{name} in the first sector, active partition {} with boot code ({code})", one.number);
                let path = files(code, region).path(&start);
                let found = !matches!(path, Path::No(_));
                return Bios { path, loader: found.then(|| boot_sector(code, format!("partition {}", one.number))) };
            }
            _ => Path::No(format!("partition {} is active but has no boot sector", one.number)),
        },
        ([], Loader::Unknown) => Path::Perhaps("unknown boot code in the first sector, and no active partition".to_owned()),
        ([], _) => Path::No(format!("boot code ({name}) in the first sector, but no active partition")),
        (several, _) => Path::No(format!("{} partitions are active; one must be", several.len())),
    };
    Bios { path, loader: None }
}

/// Files that a boot sector needs.
#[derive(Debug)]
enum Needed {
    /// None that are known of.
    Nothing,
    There(String),
    Missing(String),
    Unknown(String),
}

impl Needed {
    fn path(self, start: &str) -> Path {
        match self {
            Self::Nothing => Path::Yes(start.to_owned()),
            Self::There(files) => Path::Yes(format!("{start}, {files}")),
            Self::Missing(file) => Path::No(format!("{start}, but {file} is missing")),
            Self::Unknown(why) => Path::Perhaps(format!("{start}; whether its files are there is not known: {why}")),
        }
    }
}

/// Windows needs its boot manager and that one's store beside the boot sector.
fn files(code: &str, region: Option<&Region>) -> Needed {
    let files: &[&str] = match code {
        "Windows BOOTMGR" => &["/bootmgr", "/Boot/BCD"],
        "Windows NTLDR" => &["/ntldr", "/NTDETECT.COM"],
        _ => return Needed::Nothing,
    };
    let Some(region) = region else { return Needed::Unknown("the partition was not opened".to_owned()) };
    let tree: Tree = match region.tree() {
        Ok(tree) => tree,
        Err(why) => return Needed::Unknown(why),
    };
    let windows = |path: &str| path.replace('/', "\\");
    for file in files {
        match tree.exists(file) {
            Ok(true) => {}
            Ok(false) => return Needed::Missing(windows(file)),
            Err(error) => return Needed::Unknown(error.to_string()),
        }
    }
    Needed::There(files.iter().map(|file| windows(file)).collect::<Vec<_>>().join(" and "))
}
