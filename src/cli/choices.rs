//! What options take: choices, disks with their LUNs, codes, names.

use super::nearest::nearest;
use crate::bytes::printable;
use crate::facts::{Role, State};
use crate::generalize::OPERATIONS;
use crate::rules::azure::MAX_LUN;
use crate::rules::{self, Profile, Severity};
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// `--as`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StateChoice {
    /// A template for many machines
    Generalized,
    /// One machine, moved as it is
    Specialized,
}

impl From<StateChoice> for State {
    fn from(choice: StateChoice) -> Self {
        match choice {
            StateChoice::Generalized => Self::Generalized,
            StateChoice::Specialized => Self::Specialized,
        }
    }
}

/// `--role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleChoice {
    /// It boots
    Os,
    /// It does not
    Data,
}

impl From<RoleChoice> for Role {
    fn from(choice: RoleChoice) -> Self {
        match choice {
            RoleChoice::Os => Self::Os,
            RoleChoice::Data => Self::Data,
        }
    }
}

/// `--profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProfileChoice {
    /// What any VM in Azure needs
    Azure,
    /// Marketplace certification besides
    Marketplace,
}

impl From<ProfileChoice> for Profile {
    fn from(choice: ProfileChoice) -> Self {
        match choice {
            ProfileChoice::Azure => Self::Azure,
            ProfileChoice::Marketplace => Self::Marketplace,
        }
    }
}

/// `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SeverityChoice {
    /// Anything found
    Note,
    /// Warnings and errors
    Warning,
    /// Errors only
    Error,
}

impl From<SeverityChoice> for Severity {
    fn from(choice: SeverityChoice) -> Self {
        match choice {
            SeverityChoice::Note => Self::Note,
            SeverityChoice::Warning => Self::Warning,
            SeverityChoice::Error => Self::Error,
        }
    }
}

/// `--digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DigestChoice {
    /// fs-verity: SHA-256 over a tree of 4 KiB blocks; holes cost nothing
    Fsverity,
    /// None
    None,
}

/// `--reflink`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReflinkChoice {
    /// Where the file system shares extents between files
    Auto,
    /// Every byte is written
    Never,
}

/// One `--data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataDisk {
    pub(super) lun: u8,
    pub(super) path: PathBuf,
}

pub(super) fn parse_data(text: &str) -> Result<DataDisk, String> {
    let (lun, path) = text.split_once('=').ok_or("write LUN=DISK, for example 0=data.vhd")?;
    // `00` and `+1` parse too, but a LUN has one spelling.
    let number: Option<u8> = lun.parse().ok().filter(|number: &u8| *number <= MAX_LUN && number.to_string() == lun);
    let lun = number.ok_or_else(|| format!("'{lun}' is not a LUN: a whole number from 0 to {MAX_LUN}"))?;
    if path.is_empty() {
        return Err("the disk is missing after '='".to_owned());
    }
    Ok(DataDisk { lun, path: path.into() })
}

pub(super) fn parse_code(text: &str) -> Result<String, String> {
    let found = rules::RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(text));
    found.map(|rule| rule.code.to_owned()).ok_or_else(|| format!("'{text}' is not the code of a rule; 'vhdkit rules' lists them"))
}

pub(super) fn parse_waiver(text: &str) -> Result<(String, String), String> {
    let (code, reason) = text.split_once('=').unwrap_or((text, "no reason given"));
    if reason.trim().is_empty() {
        return Err("the reason is missing after '='".to_owned());
    }
    Ok((parse_code(code)?, reason.to_owned()))
}

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let ends = text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins && ends && text.len() <= 80 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 80 letters, digits, '-', '_' or '.', begins with a letter or digit, and ends with one or '_'".to_owned())
    }
}

/// Names of operations that are to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OperationList(pub(super) BTreeSet<String>);

/// One `--operations`, in the words of virt-sysprep: names, `all` and `defaults`, each taken out where `-` stands before it. A list that
/// begins by taking out begins with the defaults.
pub(super) fn parse_operations(text: &str) -> Result<OperationList, String> {
    let defaults = || OPERATIONS.iter().filter(|one| one.default).map(|one| one.name);
    let mut chosen: BTreeSet<&str> = if text.trim_start().starts_with('-') { defaults().collect() } else { BTreeSet::new() };
    for item in text.split(',').map(str::trim) {
        let (out, word) = item.strip_prefix('-').map_or((false, item), |word| (true, word));
        let named: Vec<&str> = match word {
            "all" => OPERATIONS.iter().map(|one| one.name).collect(),
            "defaults" => defaults().collect(),
            name => vec![known_operation(name)?],
        };
        for name in named {
            if out {
                chosen.remove(name)
            } else {
                chosen.insert(name)
            };
        }
    }
    if chosen.is_empty() {
        return Err("no operation is left to do".to_owned());
    }
    Ok(OperationList(chosen.into_iter().map(str::to_owned).collect()))
}

fn known_operation(name: &str) -> Result<&'static str, String> {
    if let Some(found) = OPERATIONS.iter().find(|one| one.name == name) {
        return Ok(found.name);
    }
    let near = nearest(name, OPERATIONS.iter().map(|one| one.name));
    let meant = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    let name = printable(&name.chars().take(200).collect::<String>());
    Err(format!("'{name}' is not an operation{meant}; 'vhdkit generalize --list-operations' lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse_operations(text).unwrap().0.into_iter().collect()
    }

    #[test]
    fn operations_are_chosen_as_virt_sysprep_does() {
        let all: BTreeSet<String> = OPERATIONS.iter().map(|one| one.name.to_owned()).collect();
        let defaults: BTreeSet<String> = OPERATIONS.iter().filter(|one| one.default).map(|one| one.name.to_owned()).collect();
        assert_eq!(names("machine-id"), ["machine-id"]);
        assert_eq!(names(" machine-id , machine-id"), ["machine-id"]);
        assert_eq!(parse_operations("all").unwrap().0, all);
        assert_eq!(parse_operations("defaults").unwrap().0, defaults);
        let rest: BTreeSet<String> = defaults.iter().filter(|name| *name != "machine-id").cloned().collect();
        for text in ["-machine-id", "defaults,-machine-id"] {
            match parse_operations(text) {
                Ok(list) => assert_eq!(list.0, rest, "{text}"),
                Err(error) => assert!(rest.is_empty(), "{text}: {error}"),
            }
        }
        assert_eq!(names("-machine-id,machine-id"), defaults.into_iter().collect::<Vec<_>>());
        assert_eq!(names("-all,machine-id"), ["machine-id"]);
        assert_eq!(parse_operations("all,-all").unwrap_err(), "no operation is left to do");
        assert!(parse_operations("machine-ids").unwrap_err().contains("near it: machine-id;"));
        for text in ["", "machine-id,", "-", "--", "Machine-ID", "\u{1b}[31m"] {
            let said = parse_operations(text).unwrap_err();
            assert!(said.contains("is not an operation") && !said.contains('\u{1b}'), "{text:?}: {said}");
        }
    }
}
