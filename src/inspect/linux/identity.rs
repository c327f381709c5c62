//! What makes one machine of an installation.

use super::mounts::optional;
use crate::facts::{HostLineFacts, HostNameFacts, IdentityFacts, MachineIdFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::identity::{self as files, MachineId};

/// Learns `identity`.
pub(super) fn identity(tree: &Tree) -> IdentityFacts {
    let machine_id = tree.text("/etc/machine-id");
    IdentityFacts {
        dbus_machine_id: optional(dbus(tree, machine_id.as_ref().ok().and_then(Option::as_deref))),
        machine_id: optional(machine_id.map(|text| text.map(|text| machine_id_facts(files::machine_id(&text))))),
        host_name: optional(host_name(tree)),
        hosts: optional(tree.text("/etc/hosts").map(|text| text.map(|text| hosts(&text)))),
    }
}

fn machine_id_facts(parsed: MachineId) -> MachineIdFacts {
    let (state, id) = match parsed {
        MachineId::Empty => ("empty", None),
        MachineId::Uninitialized => ("uninitialized", None),
        MachineId::Set(id) => ("set", Some(id)),
        MachineId::Malformed => ("malformed", None),
    };
    MachineIdFacts { state: state.to_owned(), id }
}

fn dbus(tree: &Tree, machine_id: Option<&str>) -> Result<Option<String>, Error> {
    const PATH: &str = "/var/lib/dbus/machine-id";
    if tree.target(PATH)?.is_some() {
        return Ok(Some("link".to_owned()));
    }
    let Some(text) = tree.text(PATH)? else { return Ok(None) };
    let same = machine_id.is_some_and(|id| files::machine_id(id) == files::machine_id(&text));
    Ok(Some(if same { "same" } else { "different" }.to_owned()))
}

/// The file that the distribution reads first goes first.
fn host_name(tree: &Tree) -> Result<Option<HostNameFacts>, Error> {
    type Parse = fn(&str) -> Option<String>;
    let of_network: Parse = |text| files::assignment(text, "HOSTNAME").filter(|name| !name.is_empty());
    let places: [(&str, Parse); 4] = [
        ("/etc/hostname", files::host_name),
        ("/etc/HOSTNAME", files::host_name),
        ("/etc/sysconfig/network", of_network),
        ("/etc/conf.d/hostname", |text| files::assignment(text, "hostname").filter(|name| !name.is_empty())),
    ];
    for (path, parse) in places {
        if let Some(name) = tree.text(path)?.as_deref().and_then(parse) {
            return Ok(Some(HostNameFacts { name, path: path.to_owned() }));
        }
    }
    Ok(None)
}

fn hosts(text: &str) -> Vec<HostLineFacts> {
    files::hosts(text).into_iter().map(|(line, address, names)| HostLineFacts { line, address, names }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::fs::testing::tree;

    #[test]
    fn a_specialized_machine() {
        let id = "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n";
        let facts = identity(&tree(&[
            ("/etc/machine-id", id),
            ("/var/lib/dbus/machine-id", "-> /etc/machine-id"),
            ("/etc/hostname", "web-prod-01\n"),
            ("/etc/sysconfig/network", "HOSTNAME=other"),
            ("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 web-prod-01\n"),
        ]));
        assert_eq!(facts.machine_id.value().unwrap().id.as_deref(), Some(id.trim()));
        assert_eq!(facts.dbus_machine_id, Fact::Known("link".to_owned()));
        assert_eq!(facts.host_name.value().unwrap().name, "web-prod-01");
        assert_eq!(facts.hosts.value().unwrap()[1].names, ["web-prod-01"]);
    }

    #[test]
    fn copies_and_blanks() {
        for (copy, said) in [("uninitialized", "different"), ("", "same")] {
            let facts = identity(&tree(&[("/etc/machine-id", ""), ("/var/lib/dbus/machine-id", copy)]));
            assert_eq!(facts.dbus_machine_id, Fact::Known(said.to_owned()));
            assert_eq!(facts.machine_id.value().unwrap().state, "empty");
        }
        let facts = identity(&tree(&[("/etc/machine-id", "!damaged"), ("/etc/HOSTNAME", "suse")]));
        assert!(facts.machine_id.reason().is_some());
        assert_eq!(facts.host_name.value().unwrap().path, "/etc/HOSTNAME");
        assert_eq!(identity(&tree(&[])).machine_id, Fact::Absent);
    }
}
