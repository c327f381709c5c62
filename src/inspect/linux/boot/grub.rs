//! GRUB's configuration in a guest's tree.

use super::files::Paths;
use super::{Configuration, ESP_MOUNTS, snippets};
use crate::facts::{BootEntryFacts, DefaultGrubFacts, Fact, GrubFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::bls::sort_as_grub;
use crate::guest::linux::grub::{self, Environment, GrubConfig, grub_config, grub_environment};
use std::collections::BTreeMap;

/// Where distributions keep it.
const CONFIGS: [&str; 4] = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/grub/grub.cfg", "/boot/efi/grub2/grub.cfg"];
/// Flatcar and its kin: an archive with the one file, which is built into GRUB.
const ARCHIVES: [&str; 2] = ["/boot/flatcar/grub/grub.cfg.tar", "/boot/coreos/grub/grub.cfg.tar"];
/// Drop-in files that are read at most.
const MAX_DROP_INS: usize = 256;

/// Configurations that have entries of their own, the one that counts first. A file that only leads on to another is none.
pub(super) fn configurations(tree: &Tree, paths: &Paths<'_>) -> Result<Vec<(Configuration, GrubFacts)>, String> {
    let mut texts = Vec::new();
    for path in CONFIGS {
        texts.extend(text(tree.text(path), path)?);
    }
    for path in ARCHIVES {
        let archive = tree.read_up_to(path, 1 << 20).map_err(|error| error.to_string())?;
        texts.extend(archive.and_then(|archive| first_file(&archive)).map(|text| (path.to_owned(), text)));
    }
    for esp in ESP_MOUNTS {
        for path in tree.glob(&format!("{esp}/EFI/*/grub.cfg")).map_err(|error| error.to_string())? {
            texts.extend(text(tree.text(&path), &path)?);
        }
    }
    let mut all = Vec::new();
    let mut only = None;
    for (path, text) in texts {
        let (configuration, facts, config) = one(tree, paths, &path, &text)?;
        let stub = config.leads_to.is_some() || path.contains("/EFI/");
        if configuration.entries.is_empty() && !config.uses_blscfg {
            // Alone it still tells about timeouts and terminals.
            only = only.or((!stub).then_some((configuration, facts)));
        } else if all.iter().all(|(other, _): &(Configuration, GrubFacts)| other.entries != configuration.entries) {
            all.push((configuration, facts));
        }
    }
    if all.is_empty() {
        all.extend(only);
    }
    Ok(all)
}

fn text(read: Result<Option<String>, Error>, path: &str) -> Result<Option<(String, String)>, String> {
    read.map(|text| text.map(|text| (path.to_owned(), text))).map_err(|error| error.to_string())
}

/// Reads one.
fn one(tree: &Tree, paths: &Paths<'_>, path: &str, text: &str) -> Result<(Configuration, GrubFacts, GrubConfig), String> {
    let directory = path.rsplit_once('/').map_or("/", |(directory, _)| directory);
    let environment = environment(tree, directory)?;
    let saved = environment.saved.clone().unwrap_or_default();
    let config = grub_config(text, &environment, paths).map_err(|reason| format!("{path}: {reason}"))?;
    let default = config.default_entry();
    let mut entries = Vec::new();
    for (place, entry) in config.entries.iter().enumerate() {
        // In an entry's own file the line of the menu says nothing.
        let (source, line) = entry.source.clone().map_or((path.to_owned(), entry.line), |source| (source, 0));
        let titles: Vec<&str> = entry.submenus.iter().chain([&entry.title]).map(String::as_str).collect();
        let mut facts = BootEntryFacts {
            title: titles.join(" > "),
            id: entry.id.clone(),
            kernel: entry.kernel.clone().or_else(|| entry.chain.clone()),
            initrds: entry.initrds.clone(),
            missing: vec![],
            command_line: entry.command_line.clone(),
            source,
            line,
            default: default == Some(place),
        };
        paths.settle(&mut facts).map_err(|error| error.to_string())?;
        entries.push(facts);
    }
    let facts = GrubFacts {
        config: path.to_owned(),
        default: config.default.clone(),
        default_found: config.default_is_found(),
        timeout: config.timeout.clone(),
        terminal_input: config.terminal_input.clone(),
        terminal_output: config.terminal_output.clone(),
        serial: config.serial.clone(),
        uses_blscfg: config.uses_blscfg,
        search_uuid: config.search.as_ref().and_then(|search| search.uuid.clone()),
        saved_entry: saved.get("saved_entry").cloned(),
        kernelopts: saved.get("kernelopts").cloned(),
        boot_success: saved.get("boot_success").cloned(),
    };
    let notes = config.not_understood.clone();
    Ok((Configuration { loader: "grub", path: path.to_owned(), entries, notes }, facts, config))
}

/// What GRUB has when it starts: its own variables, the environment block, the entries for `blscfg`.
fn environment(tree: &Tree, directory: &str) -> Result<Environment, String> {
    let arm = |esp: &&str| tree.exists(&format!("{esp}/EFI/BOOT/BOOTAA64.EFI")).unwrap_or(false);
    let uefi = |esp: &&str| tree.exists(&format!("{esp}/EFI")).unwrap_or(false);
    let (platform, cpu) = match (ESP_MOUNTS.iter().any(arm), ESP_MOUNTS.iter().any(uefi)) {
        (true, _) => ("efi", "arm64"),
        (false, true) => ("efi", "x86_64"),
        (false, false) => ("pc", "i386"),
    };
    let pairs = [("prefix", directory), ("config_directory", directory), ("grub_platform", platform), ("grub_cpu", cpu)];
    let variables: BTreeMap<String, String> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut saved = None;
    for path in [format!("{directory}/grubenv"), "/boot/grub2/grubenv".to_owned(), "/boot/grub/grubenv".to_owned()] {
        if let Some(text) = tree.text(&path).map_err(|error| error.to_string())? {
            saved = grub_environment(&text);
            break;
        }
    }
    let mut bls = Vec::new();
    for place in ["/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"] {
        bls = snippets(tree, place).map_err(|error| error.to_string())?;
        if !bls.is_empty() {
            break;
        }
    }
    sort_as_grub(&mut bls);
    Ok(Environment { variables, saved, bls })
}

/// The first file of a tar archive (POSIX ustar: size in octal at byte 124, content after 512 bytes).
fn first_file(archive: &[u8]) -> Option<String> {
    let size = std::str::from_utf8(archive.get(124..135)?).ok()?;
    let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).ok()?;
    let content = archive.get(512..512_usize.checked_add(size)?)?;
    Some(String::from_utf8_lossy(content).into_owned())
}

/// `/etc/default/grub` and what follows it.
pub(super) fn default_grub(tree: &Tree) -> Fact<DefaultGrubFacts> {
    match read_defaults(tree) {
        Ok(facts) => facts.into(),
        Err(error) => Fact::unknown(error.to_string()),
    }
}

fn read_defaults(tree: &Tree) -> Result<Option<DefaultGrubFacts>, Error> {
    let mut files = Vec::new();
    for path in std::iter::once("/etc/default/grub".to_owned()).chain(tree.glob("/etc/default/grub.d/*.cfg")?).take(MAX_DROP_INS) {
        files.extend(tree.text(&path)?.map(|text| (path, text)));
    }
    if files.is_empty() {
        return Ok(None);
    }
    let all = grub::default_grub(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let get = |name: &str| all.get(name).map(str::to_owned);
    Ok(Some(DefaultGrubFacts {
        cmdline_linux: get("GRUB_CMDLINE_LINUX"),
        cmdline_linux_default: get("GRUB_CMDLINE_LINUX_DEFAULT"),
        terminal: get("GRUB_TERMINAL"),
        terminal_input: get("GRUB_TERMINAL_INPUT"),
        terminal_output: get("GRUB_TERMINAL_OUTPUT"),
        serial_command: get("GRUB_SERIAL_COMMAND"),
        timeout: get("GRUB_TIMEOUT"),
        default: get("GRUB_DEFAULT"),
        enable_blscfg: get("GRUB_ENABLE_BLSCFG"),
        disable_os_prober: get("GRUB_DISABLE_OS_PROBER"),
        files: files.into_iter().map(|(path, _)| path).collect(),
    }))
}
