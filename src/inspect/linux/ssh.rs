//! The SSH server: its settings with what they include, and its host keys.

use crate::bytes::{program_of, without_secrets};
use crate::facts::{Fact, HostKeyFacts, SshFacts, SshSettingFacts};
use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::sshd::{self, Line};
use std::collections::BTreeMap;

/// Includes within includes, as sshd has it (`SERVCONF_MAX_DEPTH` in servconf.c).
const MAX_DEPTH: usize = 16;
/// Files that are read at most.
const MAX_FILES: usize = 512;
/// Keywords that add up instead of holding the first value (sshd_config(5)).
const LISTS: [&str; 8] = ["port", "listenaddress", "hostkey", "acceptenv", "allowusers", "allowgroups", "denyusers", "denygroups"];

/// Learns `ssh`.
pub(super) fn ssh(tree: &Tree) -> SshFacts {
    let mut reader = Reader { tree, settings: BTreeMap::new(), has_match: false, files: 0 };
    // SUSE keeps the vendor's file below /usr since 15 SP6.
    let path = ["/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"].into_iter().find(|path| !matches!(tree.exists(path), Ok(false)));
    let read = path.map(|path| reader.file(path, 0)).transpose();
    SshFacts {
        installed: installed(tree).into(),
        settings: match (&read, path) {
            (Err(error), _) => Fact::unknown(error.to_string()),
            (Ok(_), None) => Fact::Absent,
            (Ok(_), Some(_)) => Fact::Known(reader.settings.into_values().flatten().collect()),
        },
        has_match: match (&read, path) {
            (Err(error), _) => Fact::unknown(error.to_string()),
            (Ok(_), None) => Fact::Absent,
            (Ok(_), Some(_)) => Fact::Known(reader.has_match),
        },
        host_keys: host_keys(tree).into(),
    }
}

fn installed(tree: &Tree) -> Result<bool, Error> {
    for path in ["/usr/sbin/sshd", "/sbin/sshd", "/usr/bin/sshd", "/usr/sbin/dropbear"] {
        if tree.exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Reader<'a> {
    tree: &'a Tree,
    settings: BTreeMap<String, Vec<SshSettingFacts>>,
    has_match: bool,
    files: usize,
}

impl Reader<'_> {
    /// Reads a file and what it includes, where it includes it. `Match` ends what holds for every connection, in this file only.
    fn file(&mut self, path: &str, depth: usize) -> Result<(), Error> {
        self.files = self.files.saturating_add(1);
        if depth > MAX_DEPTH || self.files > MAX_FILES {
            return Err(Error::Unsupported(format!("{path}: too many files are included")));
        }
        let Some(text) = self.tree.text(path)? else { return Ok(()) };
        for line in sshd::parse(&text) {
            match line {
                Line::Match(_) => {
                    self.has_match = true;
                    break;
                }
                Line::Include(_, patterns) => {
                    for pattern in patterns {
                        let pattern = if pattern.starts_with('/') { pattern } else { format!("/etc/ssh/{pattern}") };
                        for path in self.tree.glob(&pattern)? {
                            self.file(&path, depth.saturating_add(1))?;
                        }
                    }
                }
                Line::Setting(line, keyword, value) => {
                    let value = told(&keyword, &value);
                    let values = self.settings.entry(keyword.clone()).or_default();
                    if values.is_empty() || LISTS.contains(&keyword.as_str()) {
                        values.push(SshSettingFacts { keyword, value, path: path.to_owned(), line });
                    }
                }
            }
        }
        Ok(())
    }
}

/// A value as it is told: of a command its program alone, since its arguments may be secrets.
fn told(keyword: &str, value: &str) -> String {
    if keyword.ends_with("command") { program_of(value) } else { without_secrets(value) }
}

fn host_keys(tree: &Tree) -> Result<Vec<HostKeyFacts>, Error> {
    let mut keys: BTreeMap<String, HostKeyFacts> = BTreeMap::new();
    for path in tree.glob("/etc/ssh/ssh_host_*key*")? {
        let (base, public) = path.strip_suffix(".pub").map_or((path.as_str(), false), |base| (base, true));
        let name = base.rsplit('/').next().unwrap_or_default();
        let Some(kind) = name.strip_prefix("ssh_host_").and_then(|rest| rest.strip_suffix("_key").or(rest.strip_suffix("key"))) else {
            continue;
        };
        if tree.find(&path)?.is_none_or(|found| found.node.kind != NodeKind::File) {
            continue;
        }
        let kind = if kind.is_empty() { "rsa1" } else { kind }.to_owned();
        let key =
            keys.entry(base.to_owned()).or_insert_with(|| HostKeyFacts { path: base.to_owned(), kind, private: false, public: false });
        if public {
            key.public = true;
        } else {
            key.private = true;
        }
    }
    Ok(keys.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn the_first_value_holds_and_includes_stand_in_their_place() {
        let facts = ssh(&tree(&[
            ("/usr/sbin/sshd", "x"),
            (
                "/etc/ssh/sshd_config",
                "Include /etc/ssh/sshd_config.d/*.conf\nClientAliveInterval 300\nPort 22\nPort 2222\nMatch User a\nX11Forwarding yes\n",
            ),
            ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "ClientAliveInterval 120\nMatch all\nUseDNS no\n"),
            ("/etc/ssh/sshd_config.d/60.conf", "clientaliveinterval 60\nPasswordAuthentication no\n"),
            ("/etc/ssh/ssh_host_rsa_key", "PRIVATE"),
            ("/etc/ssh/ssh_host_rsa_key.pub", "x"),
            ("/etc/ssh/ssh_host_ed25519_key.pub", "x"),
        ]));
        let said: Vec<_> = facts
            .settings
            .value()
            .unwrap()
            .iter()
            .map(|one| (one.keyword.as_str(), one.value.as_str(), one.path.rsplit('/').next().unwrap()))
            .collect();
        assert_eq!(
            said,
            [
                ("clientaliveinterval", "120", "50-cloud-init.conf"),
                ("passwordauthentication", "no", "60.conf"),
                ("port", "22", "sshd_config"),
                ("port", "2222", "sshd_config"),
            ]
        );
        assert_eq!(facts.has_match, Fact::Known(true));
        let keys: Vec<_> = facts.host_keys.value().unwrap().iter().map(|key| (key.kind.as_str(), key.private, key.public)).collect();
        assert_eq!(keys, [("ed25519", false, true), ("rsa", true, true)]);
    }

    #[test]
    fn an_include_of_itself_ends() {
        let facts = ssh(&tree(&[("/etc/ssh/sshd_config", "Include sshd_config\n")]));
        assert!(facts.settings.reason().is_some());
        assert_eq!(ssh(&tree(&[])).settings, Fact::Absent);
    }
}
