//! What is on an EFI system partition.

use super::loader;
use crate::bytes::{Bytes, MIB, ReadAt, int_usize, read_vec};
use crate::facts::{EspFacts, EspGrubConfigFacts, Fact, FallbackFacts, LoaderFacts};
use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::grub::{Environment, NoFiles, grub_config};

/// Directories below `\EFI` that are looked into at most.
const MAX_DIRECTORIES: usize = 256;
/// Programs that are read at most.
const MAX_PROGRAMS: usize = 256;
/// A configuration longer than this is none.
const MAX_CONFIG: u64 = 4 * MIB;
/// The loaders that firmware starts without an entry, with the processor they are for (UEFI 2.10, section 3.5.1.1).
const FALLBACKS: [(&str, &str); 2] = [("bootx64.efi", "x64"), ("bootaa64.efi", "Arm64")];
/// Places outside `\EFI` where GRUB's configuration may lie.
const CONFIGS: [&str; 5] = ["grub/grub.cfg", "grub2/grub.cfg", "boot/grub/grub.cfg", "boot/grub2/grub.cfg", "grub.cfg"];

/// An EFI system partition and its programs.
#[derive(Debug)]
pub(super) struct Esp {
    pub(super) facts: EspFacts,
    /// The fallback loaders first.
    pub(super) loaders: Vec<LoaderFacts>,
}

/// A file below `\EFI`.
#[derive(Debug)]
struct File {
    /// The path as the tree has it: `/EFI/BOOT/BOOTX64.EFI`.
    path: String,
}

impl File {
    /// Lower-case path, to compare.
    fn folded(&self) -> String {
        self.path.to_ascii_lowercase()
    }

    /// As the firmware writes it.
    fn shown(&self) -> String {
        self.path.replace('/', "\\")
    }
}

/// Reads it.
pub(super) fn read(tree: &Tree, partition: u32) -> Result<Esp, Error> {
    let (directories, files) = walk(tree)?;
    let find = |path: &str| files.iter().find(|file| file.folded() == path);
    let mut loaders = Vec::new();
    for file in files.iter().filter(|file| file.folded().ends_with(".efi")) {
        if loaders.len() >= MAX_PROGRAMS {
            return Err(Error::Unsupported(format!("more than {MAX_PROGRAMS} programs on the EFI system partition")));
        }
        let folded = file.folded();
        let fallback = FALLBACKS.iter().any(|(name, _)| folded == format!("/efi/boot/{name}"));
        if let Some(bytes) = tree.open(&file.path)? {
            loaders.push(loader::read(&bytes, &file.shown(), partition, fallback));
        }
    }
    loaders.sort_by_key(|loader| !loader.fallback);
    let configs = configs(tree, &files);
    let mut facts = EspFacts {
        partition,
        directories,
        windows_boot_manager: Fact::Known(find("/efi/microsoft/boot/bootmgfw.efi").is_some()),
        bcd: Fact::Known(find("/efi/microsoft/boot/bcd").is_some()),
        grub_configs: configs,
        fallback: Fact::Absent,
    };
    if let Some(loader) = loaders.iter().find(|loader| loader.fallback) {
        facts.fallback = Fact::Known(fallback(tree, loader, &files, &facts));
    }
    Ok(Esp { facts, loaders })
}

/// The directories in `\EFI`, and the files in them and one level below.
fn walk(tree: &Tree) -> Result<(Vec<String>, Vec<File>), Error> {
    let mut directories = Vec::new();
    let mut files = Vec::new();
    let mut todo = vec![("/EFI".to_owned(), 0_u8)];
    let mut visited = 0_usize;
    while let Some((path, depth)) = todo.pop() {
        visited = visited.saturating_add(1);
        if visited > MAX_DIRECTORIES {
            return Err(Error::Unsupported(format!("more than {MAX_DIRECTORIES} directories in \\EFI")));
        }
        for entry in tree.list(&path)?.unwrap_or_default() {
            let below = format!("{path}/{}", entry.name);
            match entry.node.kind {
                NodeKind::Directory => {
                    if depth == 0 {
                        directories.push(entry.name);
                    }
                    // \EFI\Microsoft\Boot\Fonts and its like hold no programs.
                    if depth < 2 {
                        todo.push((below, depth.saturating_add(1)));
                    }
                }
                NodeKind::File => files.push(File { path: below }),
                _ => {}
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((directories, files))
}

/// GRUB's configuration files.
fn configs(tree: &Tree, files: &[File]) -> Fact<Vec<EspGrubConfigFacts>> {
    let mut paths: Vec<String> = files.iter().filter(|file| file.folded().ends_with("/grub.cfg")).map(|file| file.path.clone()).collect();
    let mut all = Vec::new();
    for path in CONFIGS {
        match tree.exists(path) {
            Ok(true) => paths.push(format!("/{path}")),
            Ok(false) => {}
            Err(error) => return Fact::unknown(error.to_string()),
        }
    }
    for path in paths {
        let text = match tree.read_up_to(&path, MAX_CONFIG) {
            Ok(Some(text)) => String::from_utf8_lossy(&text).into_owned(),
            Ok(None) => continue,
            Err(error) => return Fact::unknown(error.to_string()),
        };
        match grub_config(&text, &Environment::default(), &NoFiles) {
            Ok(config) => {
                let search = config.search.unwrap_or_default();
                all.push(EspGrubConfigFacts {
                    path: path.replace('/', "\\"),
                    search_uuid: search.uuid,
                    search_label: search.label,
                    leads_to: config.leads_to,
                    entries: !config.entries.is_empty() || config.uses_blscfg,
                });
            }
            Err(reason) => return Fact::unknown(format!("{path}: {reason}")),
        }
    }
    Fact::Known(all)
}

/// What the fallback loader finds.
fn fallback(tree: &Tree, loader: &LoaderFacts, files: &[File], esp: &EspFacts) -> FallbackFacts {
    let path = loader.path.clone().unwrap_or_default();
    let suffix = if path.to_ascii_lowercase().ends_with("aa64.efi") { "aa64" } else { "x64" };
    let named = |path: String| files.iter().find(|file| file.folded() == path).map(File::shown);
    let grub = named(format!("/efi/boot/grub{suffix}.efi"));
    let entry_maker = named(format!("/efi/boot/fb{suffix}.efi")).or_else(|| named("/efi/boot/fallback.efi".to_owned()));
    let list = |file: &&File| {
        let folded = file.folded();
        folded.ends_with(&format!("/boot{suffix}.csv")) || folded.ends_with("/boot.csv")
    };
    let entry_lists: Vec<String> = files.iter().filter(list).map(File::shown).collect();
    let (complete, evidence) = match loader.name.as_str() {
        "shim" => shim(tree, grub.as_deref(), entry_maker.as_deref(), &entry_lists),
        "GRUB" => of_grub(tree, &path, esp),
        "Windows Boot Manager" => match esp.bcd.value() {
            Some(true) => (Fact::Known(true), r"the Windows Boot Manager and \EFI\Microsoft\Boot\BCD".to_owned()),
            _ => (Fact::Known(false), r"the Windows Boot Manager without \EFI\Microsoft\Boot\BCD".to_owned()),
        },
        "unified kernel image" => (Fact::Known(true), "it is a kernel itself".to_owned()),
        "systemd-boot" => systemd_boot(tree, files),
        other => {
            let why = format!("what a loader of this kind needs is not known: {other}");
            (Fact::unknown(why.clone()), why)
        }
    };
    FallbackFacts { path, grub, entry_maker, entry_lists, complete, evidence }
}

/// shim starts its fallback program where that stands beside it, and else GRUB.
fn shim(tree: &Tree, grub: Option<&str>, maker: Option<&str>, lists: &[String]) -> (Fact<bool>, String) {
    let Some(maker) = maker else {
        return match grub {
            Some(grub) => (Fact::Known(true), format!("shim starts {grub}")),
            None => (Fact::Known(false), "shim has neither a GRUB nor a fallback program beside it".to_owned()),
        };
    };
    for list in lists {
        match entry_of(tree, list) {
            Ok(Some(program)) => return (Fact::Known(true), format!("shim starts {maker}, and that starts {program} by {list}")),
            Ok(None) => {}
            Err(error) => return (Fact::unknown(error.to_string()), format!("{list} cannot be read")),
        }
    }
    (Fact::Known(false), format!("shim starts {maker}, which finds no boot entry (BOOT*.CSV) that leads to a program"))
}

/// The first program that a list of boot entries names and that is there. A list is UTF-16 text: file, label, options, comment.
fn entry_of(tree: &Tree, list: &str) -> Result<Option<String>, Error> {
    let path = list.replace('\\', "/");
    let Some(bytes) = tree.read_up_to(&path, MIB)? else { return Ok(None) };
    let units: Vec<u16> = bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect();
    let text = String::from_utf16_lossy(&units);
    let (directory, _) = path.rsplit_once('/').unwrap_or_default();
    for line in text.trim_start_matches('\u{feff}').lines().take(64) {
        let file = line.split(',').next().unwrap_or_default().trim_matches(['\0', ' ', '"']);
        if !file.is_empty() && tree.exists(&format!("{directory}/{file}"))? {
            return Ok(Some(format!("{}\\{file}", directory.replace('/', "\\"))));
        }
    }
    Ok(None)
}

/// GRUB reads its configuration from the partition, or has one within itself that leads on.
fn of_grub(tree: &Tree, path: &str, esp: &EspFacts) -> (Fact<bool>, String) {
    match esp.grub_configs.known() {
        Ok(Some(configs)) if !configs.is_empty() => {
            let all = configs.iter().map(|config| config.path.as_str()).collect::<Vec<_>>().join(", ");
            (Fact::Known(true), format!("GRUB with {all}"))
        }
        Ok(_) => match tree.open(&path.replace('\\', "/")) {
            Ok(Some(bytes)) if embedded(&bytes) => (Fact::Known(true), "GRUB with a configuration within itself".to_owned()),
            _ => {
                let why = "GRUB without a configuration on the EFI system partition; whether it finds another is not known";
                (Fact::unknown(why), why.to_owned())
            }
        },
        Err(unknown) => (Fact::Unknown(unknown.clone()), unknown.0),
    }
}

/// Whether a GRUB has a small script within itself that sets its prefix, as grub-install makes it.
fn embedded(bytes: &Bytes) -> bool {
    let size = int_usize(bytes.size().min(16 * MIB));
    let Ok(content) = read_vec(&**bytes, 0, size) else { return false };
    [b"set prefix=(".as_slice(), b"configfile ($", b"search.fs_uuid "].iter().any(|words| {
        let mut found = content.windows(words.len()).enumerate().filter(|(_, window)| window == words);
        // The module of that command has its own name in it, followed by a NUL and not by what it looks for.
        found.any(|(at, _)| content.get(at.saturating_add(words.len())).is_some_and(u8::is_ascii_graphic))
    })
}

/// systemd-boot needs entries on the partition, or on one beside it.
fn systemd_boot(tree: &Tree, files: &[File]) -> (Fact<bool>, String) {
    let images = files.iter().filter(|file| file.folded().starts_with("/efi/linux/") && file.folded().ends_with(".efi")).count();
    match tree.names("loader/entries") {
        Ok(names) => {
            let entries = names.iter().filter(|name| name.to_ascii_lowercase().ends_with(".conf")).count();
            if entries > 0 || images > 0 {
                return (Fact::Known(true), format!("systemd-boot with {entries} entries and {images} unified kernel images"));
            }
            let why = "systemd-boot without entries on the EFI system partition; an extended boot partition may have some";
            (Fact::unknown(why), why.to_owned())
        }
        Err(error) => (Fact::unknown(error.to_string()), "its entries cannot be read".to_owned()),
    }
}
