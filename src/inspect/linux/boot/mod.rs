//! How a Linux boots: the configuration that its loader would read, the entry that starts by itself, and what it tells the kernel.

mod files;
mod grub;
mod uki;

use crate::bytes::without_secrets;
use crate::facts::{BootEntryFacts, Fact, LinuxBootFacts, OtherCommandLineFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::bls::{BlsEntry, bls_entry, fits, loader_conf, sort_as_systemd};
use crate::guest::linux::cmdline::CommandLine;
use crate::guest::linux::syslinux::{Menu, grub_legacy, syslinux};
use files::Paths;

/// Where an EFI system partition is mounted.
const ESP_MOUNTS: [&str; 3] = ["/boot/efi", "/efi", "/boot"];
/// Files of the Boot Loader Specification that are read at most.
const MAX_SNIPPETS: usize = 1024;
/// Configurations of syslinux and its kin.
const SYSLINUX: [&str; 8] = [
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/extlinux/extlinux.conf",
    "/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/boot/syslinux/extlinux.conf",
    "/syslinux/syslinux.cfg",
    "/boot/efi/EFI/BOOT/syslinux.cfg",
];
/// Configurations of GRUB Legacy.
const GRUB_LEGACY: [&str; 3] = ["/boot/grub/menu.lst", "/boot/grub/grub.conf", "/boot/menu.lst"];
/// Notes that are kept at most.
const MAX_NOTES: usize = 64;

/// A reader of menus.
type MenuParser = fn(&str) -> Menu;

/// One configuration with its entries.
#[derive(Debug, Default)]
struct Configuration {
    loader: &'static str,
    /// Its path, or the directory of its entries.
    path: String,
    entries: Vec<BootEntryFacts>,
    notes: Vec<String>,
}

impl Configuration {
    fn default(&self) -> Option<&BootEntryFacts> {
        self.entries.iter().find(|entry| entry.default)
    }
}

/// Learns `boot`.
pub(super) fn boot(tree: &Tree) -> LinuxBootFacts {
    let mut facts = LinuxBootFacts { default_grub: grub::default_grub(tree), ..LinuxBootFacts::default() };
    let paths = Paths::new(tree);
    let mut troubles = Vec::new();
    let mut all = Vec::new();
    facts.unified_kernels = uki::unified_kernels(tree).into();
    let images = match &facts.unified_kernels {
        Fact::Unknown(unknown) => {
            troubles.push(unknown.0.clone());
            vec![]
        }
        known => known.value().cloned().unwrap_or_default(),
    };
    match grub::configurations(tree, &paths) {
        Ok(found) => {
            let mut found = found.into_iter();
            for (configuration, grub) in found.by_ref() {
                if matches!(facts.grub, Fact::Absent) {
                    facts.grub = Fact::Known(grub);
                }
                all.push(configuration);
            }
        }
        Err(reason) => {
            facts.grub = Fact::unknown(reason.clone());
            troubles.push(reason);
        }
    }
    for read in [menus(tree, &paths), systemd_boot(tree, &paths)] {
        match read {
            Ok(found) => all.extend(found),
            Err(error) => troubles.push(error.to_string()),
        }
    }
    all.extend(uki::configuration(&images, &all));
    // What firmware starts first decides between GRUB and systemd-boot, where both were installed.
    if fallback_is_systemd_boot(tree) {
        all.sort_by_key(|configuration| !matches!(configuration.loader, "systemd-boot" | "uki"));
    }
    facts.not_understood =
        all.iter().flat_map(|one| one.notes.iter().map(|note| format!("{}: {note}", one.path))).take(MAX_NOTES).collect();
    fill(&mut facts, &all, &troubles);
    keep_secrets(&mut facts);
    facts
}

/// Takes secrets out of what the kernel is told: some of it is for init and for provisioning.
fn keep_secrets(facts: &mut LinuxBootFacts) {
    let quiet = |text: &mut String| *text = without_secrets(text);
    let known = |fact: &mut Fact<String>| {
        if let Fact::Known(text) = fact {
            quiet(text);
        }
    };
    known(&mut facts.command_line);
    known(&mut facts.root_flags);
    if let Fact::Known(parameters) = &mut facts.parameters {
        parameters.iter_mut().for_each(quiet);
    }
    if let Fact::Known(entries) = &mut facts.entries {
        entries.iter_mut().filter_map(|entry| entry.command_line.as_mut()).for_each(quiet);
    }
    facts.other_command_lines.iter_mut().for_each(|other| quiet(&mut other.command_line));
    facts.not_understood.iter_mut().for_each(quiet);
    if let Fact::Known(images) = &mut facts.unified_kernels {
        images.iter_mut().for_each(|image| known(&mut image.command_line));
    }
    if let Fact::Known(defaults) = &mut facts.default_grub {
        [&mut defaults.cmdline_linux, &mut defaults.cmdline_linux_default].into_iter().flatten().for_each(quiet);
    }
}

/// The facts on the entry that starts by itself.
fn fill(facts: &mut LinuxBootFacts, all: &[Configuration], troubles: &[String]) {
    // A configuration that cannot be read may be the one that counts.
    if let Some(first) = troubles.first() {
        facts.loader = Fact::unknown(first.clone());
        facts.entries = Fact::unknown(first.clone());
        facts.default_entry = Fact::unknown(first.clone());
        facts.command_line = Fact::unknown(first.clone());
        facts.command_line_source = Fact::unknown(first.clone());
        facts.parameters = Fact::unknown(first.clone());
        facts.consoles = Fact::unknown(first.clone());
        facts.root = Fact::unknown(first.clone());
        facts.root_flags = Fact::unknown(first.clone());
        return;
    }
    facts.entries = Fact::Known(all.iter().flat_map(|one| one.entries.iter().cloned()).collect());
    let Some(main) = all.iter().find(|one| !one.entries.is_empty()).or_else(|| all.first()) else { return };
    facts.loader = Fact::Known(main.loader.to_owned());
    let Some(entry) = main.default() else { return };
    facts.default_entry = Fact::Known(entry.title.clone());
    let Some(line) = &entry.command_line else { return };
    let parsed = CommandLine::parse(line);
    facts.command_line = Fact::Known(line.clone());
    facts.command_line_source = Fact::Known(if entry.line > 0 { format!("{}:{}", entry.source, entry.line) } else { entry.source.clone() });
    facts.consoles = Fact::Known(parsed.values("console").into_iter().map(str::to_owned).collect());
    facts.root = parsed.value("root").map(str::to_owned).into();
    facts.root_flags = parsed.value("rootflags").map(str::to_owned).into();
    facts.parameters = Fact::Known(parsed.texts());
    for other in all.iter().filter(|other| other.path != main.path) {
        let line = other.default().and_then(|entry| entry.command_line.clone());
        if let Some(command_line) = line.filter(|other| other != line_of(entry)) {
            facts.other_command_lines.push(OtherCommandLineFacts { source: other.path.clone(), command_line });
        }
    }
}

fn line_of(entry: &BootEntryFacts) -> &str {
    entry.command_line.as_deref().unwrap_or_default()
}

/// Menus of syslinux and of GRUB Legacy.
fn menus(tree: &Tree, paths: &Paths<'_>) -> Result<Vec<Configuration>, Error> {
    let kinds: [(&'static str, &[&str], MenuParser); 2] = [("extlinux", &SYSLINUX, syslinux), ("grub-legacy", &GRUB_LEGACY, grub_legacy)];
    let mut all = Vec::new();
    for (loader, places, read) in kinds {
        for path in places {
            let Some(text) = tree.text(path)? else { continue };
            let menu = read(&text);
            if menu.entries.is_empty() {
                continue;
            }
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let mut entries = Vec::new();
            for (place, entry) in menu.entries.into_iter().enumerate() {
                let absolute = |given: String| if given.starts_with(['/', '(']) { given } else { format!("{directory}/{given}") };
                let mut facts = BootEntryFacts {
                    title: entry.title,
                    id: Some(entry.label).filter(|_| loader == "extlinux"),
                    kernel: entry.kernel.map(absolute),
                    initrds: entry.initrds.into_iter().map(absolute).collect(),
                    missing: vec![],
                    command_line: entry.command_line,
                    source: (*path).to_owned(),
                    line: entry.line,
                    default: menu.default == Some(place),
                };
                paths.settle(&mut facts)?;
                entries.push(facts);
            }
            all.push(Configuration { loader, path: (*path).to_owned(), entries, notes: menu.not_understood });
            break;
        }
    }
    Ok(all)
}

/// systemd-boot: entries in files, unified kernel images, and its own settings.
fn systemd_boot(tree: &Tree, paths: &Paths<'_>) -> Result<Vec<Configuration>, Error> {
    let mut all = Vec::new();
    for esp in ESP_MOUNTS {
        let Some(settings) = tree.text(&format!("{esp}/loader/loader.conf"))? else { continue };
        let settings = loader_conf(&settings);
        let mut entries = Vec::new();
        for place in ["/boot", esp] {
            let directory = format!("{place}/loader/entries");
            if entries.iter().all(|(from, _): &(String, BlsEntry)| from != place) {
                entries.extend(snippets(tree, &directory)?.into_iter().map(|entry| (place.to_owned(), entry)));
            }
        }
        let mut sorted: Vec<BlsEntry> = entries.into_iter().map(|(_, entry)| entry).collect();
        sort_as_systemd(&mut sorted);
        let pattern = settings.default.as_deref().filter(|pattern| !pattern.starts_with('@'));
        let named = pattern.and_then(|pattern| sorted.iter().position(|entry| fits(pattern, entry.file()) || fits(pattern, entry.id())));
        let mut found = Vec::new();
        for (place, entry) in sorted.into_iter().enumerate() {
            found.push(paths.of_snippet(entry, place == named.unwrap_or(0))?);
        }
        if !found.is_empty() {
            let notes =
                settings.default.filter(|default| default.starts_with('@')).map(|default| format!("default {default} is the machine's"));
            let path = format!("{esp}/loader/loader.conf");
            all.push(Configuration { loader: "systemd-boot", path, entries: found, notes: notes.into_iter().collect() });
            break;
        }
    }
    Ok(all)
}

/// The entries in a directory of the Boot Loader Specification.
fn snippets(tree: &Tree, directory: &str) -> Result<Vec<BlsEntry>, Error> {
    let names = tree.names(directory)?;
    let mut entries = Vec::new();
    for name in names.into_iter().filter(|name| name.ends_with(".conf") && !name.starts_with('.')) {
        if entries.len() >= MAX_SNIPPETS {
            return Err(Error::Unsupported(format!("more than {MAX_SNIPPETS} boot entries")).at(directory));
        }
        let path = format!("{directory}/{name}");
        if let Some(text) = tree.read_up_to(&path, 64 * 1024)? {
            entries.push(bls_entry(&path, &String::from_utf8_lossy(&text)));
        }
    }
    Ok(entries)
}

/// Whether the loader that firmware starts without an entry is systemd-boot. What cannot be read is taken for another.
fn fallback_is_systemd_boot(tree: &Tree) -> bool {
    ESP_MOUNTS.iter().flat_map(|esp| ["BOOTX64.EFI", "BOOTAA64.EFI"].map(|name| format!("{esp}/EFI/BOOT/{name}"))).any(|path| {
        let Ok(Some(bytes)) = tree.open(&path) else { return false };
        uki::is_systemd_boot(&bytes)
    })
}

#[cfg(test)]
mod tests;
