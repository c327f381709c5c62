//! Facts about partitions and what stands on them.

use crate::bytes::{Bytes, ReadAt, ReadError, SECTOR, Slice, read_array};
use crate::facts::{ContentFacts, Fact, PartitionFacts, PartitionTableFacts, SealedFacts, TableProblemFacts};
use crate::fs;
use crate::partition::{self, Loader, Partition, PartitionTable, PartitionType, ProblemKind, Scheme};
use crate::volume::sealed::Sealed;
use crate::volume::{self, Content};
use std::sync::Arc;

/// Partitions that are reported at most; a GPT may hold many thousands.
const MAX_PARTITIONS: usize = 4096;

/// What was learnt of a disk's regions.
#[derive(Debug)]
pub(super) struct Regions {
    pub(super) table: Fact<PartitionTableFacts>,
    pub(super) partitions: Fact<Vec<PartitionFacts>>,
    pub(super) content: Fact<ContentFacts>,
    /// The table itself.
    pub(super) raw: Option<PartitionTable>,
}

/// Reads the partition table, and the signature of what stands on each partition.
pub(super) fn learn(disk: &Bytes) -> Result<Regions, ReadError> {
    let raw = match partition::read(disk) {
        Err(error) if error.is_host() => return Err(error),
        Err(error) => {
            let reason = error.to_string();
            return Ok(Regions {
                table: Fact::unknown(reason.clone()),
                partitions: Fact::unknown(reason.clone()),
                content: Fact::unknown(reason),
                raw: None,
            });
        }
        Ok(raw) => raw,
    };
    let Some(table) = raw else {
        return Ok(Regions { table: Fact::Absent, partitions: Fact::Known(vec![]), content: content(&**disk)?, raw: None });
    };
    let partitions = partitions(&table, disk)?;
    Ok(Regions { table: Fact::Known(table_facts(&table, disk)), partitions, content: Fact::Absent, raw: Some(table) })
}

fn table_facts(table: &PartitionTable, disk: &Bytes) -> PartitionTableFacts {
    let gpt = table.gpt.as_ref();
    // A disk that ends within a sector is only ever written larger; whether its table could follow is asked of the whole sector.
    let whole = disk.size().checked_next_multiple_of(SECTOR).unwrap_or(disk.size());
    let rebuilt = gpt.map(|_| partition::rebuild(table, disk, whole));
    PartitionTableFacts {
        scheme: table.scheme.to_string(),
        sector_size: table.sector_size,
        disk_guid: gpt.and_then(|gpt| gpt.disk_guid()).map(|guid| guid.to_string()),
        disk_signature: table.mbr.as_ref().filter(|_| table.scheme == Scheme::Mbr).map(|mbr| format!("{:#010x}", mbr.disk_signature)),
        primary_valid: gpt.map(|gpt| gpt.primary.valid().is_some()),
        backup_valid: gpt.map(|gpt| gpt.backup.valid().is_some()),
        backup_offset: gpt.and_then(|gpt| gpt.backup.header()).map(|header| header.at),
        backup_expected_offset: gpt.map(|gpt| gpt.backup_expected_at),
        needs_rebuild: whole == disk.size()
            && rebuilt.as_ref().is_some_and(|patches| patches.as_ref().is_ok_and(|patches| !patches.is_empty())),
        rebuild_refused: rebuilt.and_then(Result::err).map(|error| error.to_string()),
        boot_code: None,
        hybrid: table.has(ProblemKind::HybridMbr),
        problems: table
            .problems
            .iter()
            .map(|problem| TableProblemFacts { code: kebab(problem.kind), offset: problem.at, message: problem.message.clone() })
            .collect(),
    }
}

/// `BackupMisplaced` as `backup-misplaced`.
fn kebab(kind: ProblemKind) -> String {
    let mut out = String::new();
    for c in format!("{kind:?}").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn partitions(table: &PartitionTable, disk: &Bytes) -> Result<Fact<Vec<PartitionFacts>>, ReadError> {
    if let Some(gpt) = &table.gpt
        && gpt.header().is_none()
    {
        return Ok(Fact::unknown("neither copy of the GPT is valid"));
    }
    if table.partitions.len() > MAX_PARTITIONS {
        return Ok(Fact::unknown(format!("{} partitions; at most {MAX_PARTITIONS} are read", table.partitions.len())));
    }
    table.partitions.iter().map(|one| partition_facts(one, disk)).collect::<Result<_, _>>().map(Fact::Known)
}

fn partition_facts(one: &Partition, disk: &Bytes) -> Result<PartitionFacts, ReadError> {
    let region: Arc<Slice> = Arc::new(Slice::clamped(disk.clone(), one.start, one.size));
    let extended = one.role == partition::Role::Extended;
    Ok(PartitionFacts {
        number: one.number,
        start: one.start,
        size: one.size,
        kind: match one.kind {
            PartitionType::Mbr(byte) => format!("{byte:#04x}"),
            PartitionType::Gpt(guid) => guid.to_string(),
        },
        type_name: partition::type_name(&one.kind).map(str::to_owned),
        name: one.name.clone(),
        guid: one.guid.map(|guid| guid.to_string()),
        bootable: one.bootable,
        boot_code: if extended { None } else { boot_code(&*region)? },
        content: if extended { Fact::Absent } else { content(&*region)? },
    })
}

/// The boot code of a region's first sector, where that is a boot sector.
pub(super) fn boot_code(region: &dyn ReadAt) -> Result<Option<String>, ReadError> {
    if region.size() < 512 {
        return Ok(None);
    }
    match read_array::<512>(region, 0) {
        Ok(sector) => {
            let code = partition::identify(&sector);
            Ok((code.signature && code.nonzero).then(|| loader_name(code.loader)).flatten().map(str::to_owned))
        }
        Err(error) if error.is_host() => Err(error),
        // The content of the same region says that it cannot be read.
        Err(_) => Ok(None),
    }
}

/// What a boot program is called; `None` for no code.
pub(super) fn loader_name(loader: Loader) -> Option<&'static str> {
    Some(match loader {
        Loader::None => return None,
        Loader::Grub => "GRUB",
        Loader::GrubLegacy => "GRUB Legacy",
        Loader::SyslinuxMbr => "Syslinux MBR",
        Loader::SyslinuxGptMbr => "Syslinux GPT MBR",
        Loader::Syslinux => "Syslinux",
        Loader::Extlinux => "Extlinux",
        Loader::Isolinux => "Isolinux",
        Loader::Lilo => "LILO",
        Loader::WindowsMbr => "Windows MBR",
        Loader::WindowsBootmgr => "Windows BOOTMGR",
        Loader::WindowsNtldr => "Windows NTLDR",
        Loader::FreeBsd => "FreeBSD",
        Loader::NotBootable => "not bootable",
        _ => "unknown",
    })
}

/// What stands on a region.
pub(super) fn content(region: &dyn ReadAt) -> Result<Fact<ContentFacts>, ReadError> {
    match fs::identify(region) {
        Ok(Some(found)) => {
            let sealed = sealed(region, found.kind)?;
            Ok(Fact::Known(ContentFacts { sealed, ..content_facts(found) }))
        }
        Ok(None) => Ok(Fact::Absent),
        Err(error) if error.is_host() => Err(error),
        Err(error) => Ok(Fact::unknown(error.to_string())),
    }
}

/// What the header of an encrypted volume says.
fn sealed(region: &dyn ReadAt, kind: &str) -> Result<Option<SealedFacts>, ReadError> {
    let found = match volume::sealed::describe(region, kind) {
        Ok(found) => found,
        Err(error) if error.is_host() => return Err(error),
        // It is known what it is; the rest of its header cannot be read.
        Err(_) => None,
    };
    Ok(match found {
        Some(Sealed::BitLocker(one)) => Some(SealedFacts::BitLocker {
            protected: one.is_protected(),
            method: one.metadata.as_ref().and_then(|metadata| metadata.method).map(str::to_owned),
            protectors: one.metadata.iter().flat_map(|metadata| &metadata.protectors).map(ToString::to_string).collect(),
        }),
        Some(Sealed::Luks(one)) => {
            Some(SealedFacts::Luks { version: one.version, cipher: one.cipher, key_slots: one.key_slots, tokens: one.tokens })
        }
        _ => None,
    })
}

fn content_facts(content: Content) -> ContentFacts {
    // What is no file system of files has no such counts; of a file system whose files are read they follow when it is opened.
    let has_files = fs::FILE_SYSTEMS.iter().any(|one| one.name == content.kind) && !matches!(content.kind, "swap" | "swsuspend" | "jbd");
    let told = |what: &str| format!("{what} is not told by the superblock of {}, and its files are not read", content.kind);
    fn fact<T>(value: Option<T>, has_files: bool, told: impl Fn() -> String) -> Fact<T> {
        match value {
            Some(value) => Fact::Known(value),
            None if has_files => Fact::unknown(told()),
            None => Fact::Absent,
        }
    }
    ContentFacts {
        size: fact(content.size, has_files, || told("the size")),
        used: fact(content.used, has_files, || told("the space in use")),
        clean: fact(content.clean, has_files, || told("whether it is clean")),
        kind: content.kind.to_owned(),
        sealed: None,
        uuid: content.uuid,
        label: content.label,
        detail: content.version.map(|version| format!("version {version}")).into_iter().chain(content.detail).collect(),
    }
}
