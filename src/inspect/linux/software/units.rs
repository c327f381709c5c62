//! Which units systemd would start, as `systemctl is-enabled` tells it (systemd 252, `src/shared/install.c`).

use super::distinct;
use crate::facts::{Fact, UnitFacts, UnitState};
use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::systemd::{Install, install};
use std::collections::BTreeMap;

/// The administrator's units.
pub(super) const ADMINISTRATOR: &str = "/etc/systemd/system";
/// All units, in the order in which systemd looks for them. Those in `/run` are of no disk.
pub(super) const UNIT_DIRECTORIES: &[&str] =
    &[ADMINISTRATOR, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Directories of links that have a unit started.
const PULLING: &[&str] = &[".wants", ".requires", ".upholds"];

/// The directories of units, with the links in them.
#[derive(Debug)]
pub(super) struct Units<'a> {
    tree: &'a Tree,
    directories: Vec<String>,
    /// Units that links in `/etc` have started, by name, each with its first link.
    enabled: BTreeMap<String, String>,
    /// Units that links of packages have started.
    pulled: BTreeMap<String, String>,
    /// Units that have another name in `/etc`.
    aliased: BTreeMap<String, String>,
}

impl<'a> Units<'a> {
    pub(super) fn new(tree: &'a Tree) -> Result<Self, Error> {
        let directories = distinct(tree, UNIT_DIRECTORIES)?;
        let mut units = Self { tree, directories, enabled: BTreeMap::new(), pulled: BTreeMap::new(), aliased: BTreeMap::new() };
        for directory in units.directories.clone() {
            let administrators = directory == ADMINISTRATOR;
            for name in tree.names(&directory)? {
                let path = format!("{directory}/{name}");
                if PULLING.iter().any(|suffix| name.ends_with(suffix)) {
                    let links = if administrators { &mut units.enabled } else { &mut units.pulled };
                    for unit in tree.names(&path)? {
                        let link = format!("{path}/{unit}");
                        links.entry(unit).or_insert(link);
                    }
                } else if administrators
                    && let Some(target) = tree.target(&path)?
                    && let Some(unit) = last_name(&target).filter(|unit| *unit != name && target != "/dev/null")
                {
                    units.aliased.entry(unit.to_owned()).or_insert(path);
                }
            }
        }
        Ok(units)
    }

    /// What systemd would do with a unit; `None` where it is not installed.
    pub(super) fn unit(&self, name: &str) -> Option<UnitFacts> {
        match self.look(name) {
            Ok(found) => found,
            Err(error) => Some(UnitFacts { name: name.to_owned(), state: Fact::unknown(error.to_string()), by: None, file: None }),
        }
    }

    fn look(&self, name: &str) -> Result<Option<UnitFacts>, Error> {
        let facts = |state, by, file| Some(UnitFacts { name: name.to_owned(), state: Fact::Known(state), by, file });
        let mut file = None;
        for directory in &self.directories {
            let path = format!("{directory}/{name}");
            let Some(found) = self.tree.find_link(&path)? else { continue };
            if found.node.kind == NodeKind::Symlink {
                let target = self.tree.target(&path)?.unwrap_or_default();
                if target == "/dev/null" {
                    return Ok(facts(UnitState::Masked, Some(path), None));
                }
                if last_name(&target).is_some_and(|other| other != name && !is_template_of(other, name)) {
                    return Ok(facts(UnitState::Alias, Some(path), Some(target)));
                }
            } else if found.node.kind == NodeKind::File && found.node.size == 0 {
                return Ok(facts(UnitState::Masked, Some(path), None));
            }
            file = Some(path);
            break;
        }
        if file.is_none() {
            file = self.template(name)?;
        }
        let Some(file) = file else { return Ok(None) };
        if let Some(link) = self.enabled.get(name).or_else(|| self.aliased.get(name)) {
            return Ok(facts(UnitState::Enabled, Some(link.clone()), Some(file)));
        }
        if let Some(link) = self.pulled.get(name) {
            return Ok(facts(UnitState::Static, Some(link.clone()), Some(file)));
        }
        let state = match install(&self.tree.text(&file)?.unwrap_or_default()) {
            Install::Links => UnitState::Disabled,
            Install::OthersOnly => UnitState::Indirect,
            Install::Nothing => UnitState::Static,
        };
        Ok(facts(state, None, Some(file)))
    }

    /// The file of the template that an instance is made of: `getty@.service` of `getty@tty1.service`.
    fn template(&self, name: &str) -> Result<Option<String>, Error> {
        let Some((start, rest)) = name.split_once('@') else { return Ok(None) };
        let Some((_, suffix)) = rest.rsplit_once('.') else { return Ok(None) };
        for directory in &self.directories {
            let path = format!("{directory}/{start}@.{suffix}");
            if self.tree.exists(&path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

fn last_name(path: &str) -> Option<&str> {
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

/// Whether one name is the template of the other.
fn is_template_of(template: &str, instance: &str) -> bool {
    template.split_once("@.").is_some_and(|(start, suffix)| {
        instance.strip_prefix(start).is_some_and(|rest| rest.starts_with('@') && rest.ends_with(&format!(".{suffix}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn states_are_those_of_systemctl() {
        let installed = "[Install]\nWantedBy=multi-user.target\n";
        let tree = tree(&[
            ("/lib", "-> usr/lib"),
            ("/usr/lib/systemd/system/ssh.service", installed),
            ("/usr/lib/systemd/system/off.service", installed),
            ("/usr/lib/systemd/system/alone.service", "[Service]\n"),
            ("/usr/lib/systemd/system/pulled.service", "[Service]\n"),
            ("/usr/lib/systemd/system/others.service", "[Install]\nAlso=ssh.service\n"),
            ("/usr/lib/systemd/system/masked.service", installed),
            ("/usr/lib/systemd/system/hidden.service", "-> /dev/null"),
            ("/usr/lib/systemd/system/getty@.service", "[Install]\nWantedBy=getty.target\n"),
            ("/usr/lib/systemd/system/dm.service", "[Install]\nAlias=display-manager.service\n"),
            ("/usr/lib/systemd/system/broken.service", "!damaged"),
            ("/usr/lib/systemd/system/sysinit.target.wants/pulled.service", "-> ../pulled.service"),
            ("/etc/systemd/system/multi-user.target.wants/ssh.service", "-> /lib/systemd/system/ssh.service"),
            ("/etc/systemd/system/multi-user.target.wants/gone.service", "-> /lib/systemd/system/gone.service"),
            ("/etc/systemd/system/sshd.service", "-> /lib/systemd/system/ssh.service"),
            ("/etc/systemd/system/display-manager.service", "-> /lib/systemd/system/dm.service"),
            ("/etc/systemd/system/masked.service", "-> /dev/null"),
            ("/etc/systemd/system/empty.service", ""),
            ("/etc/systemd/system/getty.target.wants/getty@tty1.service", "-> /lib/systemd/system/getty@.service"),
        ]);
        let units = Units::new(&tree).unwrap();
        for (name, state, by) in [
            ("ssh.service", UnitState::Enabled, Some("/etc/systemd/system/multi-user.target.wants/ssh.service")),
            ("sshd.service", UnitState::Alias, Some("/etc/systemd/system/sshd.service")),
            ("off.service", UnitState::Disabled, None),
            ("alone.service", UnitState::Static, None),
            ("pulled.service", UnitState::Static, Some("/usr/lib/systemd/system/sysinit.target.wants/pulled.service")),
            ("others.service", UnitState::Indirect, None),
            ("masked.service", UnitState::Masked, Some("/etc/systemd/system/masked.service")),
            ("hidden.service", UnitState::Masked, Some("/usr/lib/systemd/system/hidden.service")),
            ("empty.service", UnitState::Masked, Some("/etc/systemd/system/empty.service")),
            ("getty@tty1.service", UnitState::Enabled, Some("/etc/systemd/system/getty.target.wants/getty@tty1.service")),
            ("getty@ttyS0.service", UnitState::Disabled, None),
            ("dm.service", UnitState::Enabled, Some("/etc/systemd/system/display-manager.service")),
        ] {
            let unit = units.unit(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((unit.state, unit.by.as_deref()), (Fact::Known(state), by), "{name}");
        }
        assert!(units.unit("broken.service").unwrap().state.reason().is_some());
        assert_eq!(units.unit("gone.service"), None);
        assert_eq!(units.unit("absent.service"), None);
    }
}
