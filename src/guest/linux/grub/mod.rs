//! GRUB 2: its configuration, its environment block, and `/etc/default/grub`.
//!
//! Sources: GNU GRUB manual 2.06; `util/grub-mkconfig.in` and `util/grub.d` for what generated files look like; Fedora's `blscfg`.

mod command;
mod defaults;
mod run;
mod script;

pub use defaults::{DefaultGrub, default_grub};

use super::bls::BlsEntry;
use std::collections::BTreeMap;

/// Marks an environment block.
const ENVIRONMENT_MARK: &str = "# GRUB Environment Block";

/// What a script says that GRUB would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrubConfig {
    /// Menu entries in their order, those of submenus where these stand.
    pub entries: Vec<Entry>,
    /// Value of `default` at the end: a place, a title or an id, with `>` between menus.
    pub default: Option<String>,
    /// Value of `timeout` at the end.
    pub timeout: Option<String>,
    /// `terminal_input`.
    pub terminal_input: Vec<String>,
    /// `terminal_output`.
    pub terminal_output: Vec<String>,
    /// The `serial` command, whole.
    pub serial: Option<String>,
    /// Whether entries come from the Boot Loader Specification's files.
    pub uses_blscfg: bool,
    /// The last search outside menu entries.
    pub search: Option<Search>,
    /// The configuration that it goes on with, which could not be read here.
    pub leads_to: Option<String>,
    /// All variables at the end.
    pub variables: BTreeMap<String, String>,
    /// Commands that are not known, and conditions that ran both ways.
    pub not_understood: Vec<String>,
    /// Submenus: place, id or title, title.
    submenus: Vec<(Vec<usize>, String, String)>,
}

/// A menu entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// What the menu shows.
    pub title: String,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// Path of the kernel, as GRUB reads it.
    pub kernel: Option<String>,
    /// What the kernel is told.
    pub command_line: Option<String>,
    /// Paths of initial ramdisks.
    pub initrds: Vec<String>,
    /// Another loader, a unified kernel image, or a hypervisor.
    pub chain: Option<String>,
    /// The file system that the paths are on.
    pub search: Option<Search>,
    /// The file that the entry comes from, where that is not the script.
    pub source: Option<String>,
    /// Titles of the submenus around it.
    pub submenus: Vec<String>,
    /// Its place in the menu, after those of the submenus around it.
    pub place: Vec<usize>,
    /// Line of the command that loads the kernel, or of the entry.
    pub line: u32,
}

/// What a `search` looks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// UUID of a file system.
    pub uuid: Option<String>,
    /// Label of a file system.
    pub label: Option<String>,
    /// A file.
    pub file: Option<String>,
}

/// What a script finds when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// Variables that GRUB itself sets: `prefix`, `config_directory`.
    pub variables: BTreeMap<String, String>,
    /// The environment block, where there is one.
    pub saved: Option<BTreeMap<String, String>>,
    /// Entries for `blscfg`, in their order.
    pub bls: Vec<BlsEntry>,
}

/// The files that a script may ask for, by GRUB's paths.
pub trait Files: std::fmt::Debug {
    /// The text of a file; `None` where there is none.
    fn read(&self, path: &str) -> Option<String>;
    /// Whether a file exists; `None` where that cannot be told.
    fn exists(&self, path: &str) -> Option<bool>;
}

/// No files: whatever is asked for is not known.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &str) -> Option<String> {
        None
    }

    fn exists(&self, _path: &str) -> Option<bool> {
        None
    }
}

/// Reads a `grub.cfg`.
///
/// # Errors
///
/// When it is too long, nested too deep, or would run too long.
pub fn grub_config(text: &str, environment: &Environment, files: &dyn Files) -> Result<GrubConfig, String> {
    run::run(text, environment, files)
}

impl GrubConfig {
    /// The entry that starts by itself, by its place in [`GrubConfig::entries`]: what `default` names, or else the first.
    #[must_use]
    pub fn default_entry(&self) -> Option<usize> {
        let mut at: Vec<usize> = vec![];
        for name in self.default.iter().flat_map(|value| value.split('>')) {
            let Some(place) = self.place_of(&at, name.trim()) else {
                at.clear();
                break;
            };
            at.push(place);
        }
        let within = |entry: &Entry| entry.place.starts_with(&at);
        // A submenu without more: its first entry. An unknown name: the first of all.
        self.entries.iter().position(within).or_else(|| (!self.entries.is_empty()).then_some(0))
    }

    /// Whether `default` names something that is there.
    #[must_use]
    pub fn default_is_found(&self) -> bool {
        let mut at: Vec<usize> = vec![];
        for name in self.default.iter().flat_map(|value| value.split('>')) {
            let Some(place) = self.place_of(&at, name.trim()) else { return false };
            at.push(place);
        }
        self.entries.iter().any(|entry| entry.place.starts_with(&at))
    }

    /// The place in a menu that a number, an id or a title names.
    fn place_of(&self, menu: &[usize], name: &str) -> Option<usize> {
        let in_menu = |place: &[usize]| {
            let (last, above) = place.split_last()?;
            (above == menu).then_some(*last)
        };
        let entries = self.entries.iter().map(|entry| (entry.place.as_slice(), entry.id.as_deref(), entry.title.as_str()));
        let menus = self.submenus.iter().map(|(place, id, title)| (place.as_slice(), Some(id.as_str()), title.as_str()));
        let number = name.parse::<usize>().ok();
        let fits = |place: usize, id: Option<&str>, title: &str| match number {
            Some(number) => place == number,
            None => id == Some(name) || title == name,
        };
        entries.chain(menus).find_map(|(place, id, title)| in_menu(place).filter(|place| fits(*place, id, title)))
    }
}

/// The values of an environment block (`grubenv`); `None` where it is none.
#[must_use]
pub fn grub_environment(text: &str) -> Option<BTreeMap<String, String>> {
    let body = text.strip_prefix(ENVIRONMENT_MARK)?;
    let mut values = BTreeMap::new();
    let mut chars = body.chars();
    let mut line = String::new();
    // A backslash keeps a line feed, or another backslash, within a value; `#` fills the rest of the block.
    loop {
        let c = chars.next();
        match c {
            Some('\\') => line.extend(chars.next()),
            Some('\n') | None => {
                if let Some((key, value)) = line.split_once('=').filter(|(key, _)| !key.starts_with('#')) {
                    values.insert(key.to_owned(), value.to_owned());
                }
                line.clear();
                if c.is_none() {
                    return Some(values);
                }
            }
            Some(c) => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
