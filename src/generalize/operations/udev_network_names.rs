//! Names that udev gives to network adapters by their hardware addresses: L-42.

use super::paths::decisive;
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static UDEV_NETWORK_NAMES: Operation = Operation {
    name: "udev-network-names",
    requirement: "L-42",
    summary: "remove names tied to hardware addresses, and keep udev from making them",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/udev/rules.d/70-persistent-net.rules", "SUBSYSTEM==\"net\", ATTR{address}==\"00:0d:3a:11:22:33\", NAME=\"eth0\"\n"),
            ("/usr/lib/udev/rules.d/75-persistent-net-generator.rules", "ACTION!=\"add\", GOTO=\"end\"\n"),
            ("/etc/systemd/network/10-lan.link", "[Match]\nMACAddress=00:0d:3a:11:22:33\n[Link]\nName=lan0\n"),
        ],
        after: &[
            ("/etc/udev/rules.d/70-persistent-net.rules", None),
            ("/etc/udev/rules.d/75-persistent-net-generator.rules", Some("")),
            ("/etc/systemd/network/10-lan.link", None),
        ],
    },
};

/// A file below /etc hides that of the same name of a package, and an empty one says nothing.
const MASK: &str = "/etc/udev/rules.d/75-persistent-net-generator.rules";

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    const WHY: &str = "it names the network adapter of this machine by its hardware address, which no other has";
    const GENERATOR: &str = "it would name the next adapter eth1, which nothing configures";
    let rules = decisive(&system.linux.network.udev_rules)?.map(Vec::as_slice).unwrap_or_default();
    for rule in rules.iter().filter(|rule| rule.purpose == "persistent-names" && !rule.masked && rule.path.starts_with("/etc/")) {
        draft.remove(&rule.path, WHY)?;
    }
    let generators = || rules.iter().filter(|rule| rule.purpose == "name-generator");
    if generators().any(|rule| !rule.masked) && !generators().any(|rule| rule.masked && rule.path == MASK) {
        if draft.exists("/etc/udev/rules.d")? {
            draft.create(MASK, 0o644, vec![], GENERATOR)?;
        } else {
            let command = format!("mkdir -p /etc/udev/rules.d && ln -sf /dev/null {MASK}");
            draft.remains("a generator of names for network adapters is not masked", vec![command]);
        }
    }
    let links = decisive(&system.linux.network.links)?.into_iter().flatten();
    for link in links.filter(|link| link.mac.is_some() && link.path.starts_with("/etc/")) {
        draft.remove(&link.path, WHY)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exists, planned};
    use super::*;

    #[test]
    fn masks_and_rules_of_others_stay() {
        let files = [
            ("/etc/udev/rules.d/70-persistent-net.rules", "-> /dev/null"),
            ("/etc/udev/rules.d/75-persistent-net-generator.rules", "\n"),
            ("/usr/lib/udev/rules.d/75-persistent-net-generator.rules", "x"),
            ("/etc/udev/rules.d/66-azure-storage.rules", "x"),
            ("/etc/systemd/network/99-default.link", "[Match]\nOriginalName=*\n[Link]\nMTUBytes=1500\n"),
        ];
        assert_eq!(planned(&UDEV_NETWORK_NAMES, &files).changes, []);
    }

    #[test]
    fn rules_of_installers_go_with_any_content() {
        for content in ["# only a comment\n", "SUBSYSTEM==\"net\"\r\n", &"x".repeat(200_000)] {
            let path = "/etc/udev/rules.d/85-persistent-net-cloud-init.rules";
            assert!(!exists(&UDEV_NETWORK_NAMES, &[(path, content)], path), "{content:.20}");
        }
        let nowhere = [("/usr/lib/udev/rules.d/75-persistent-net-generator.rules", "x")];
        assert_eq!(planned(&UDEV_NETWORK_NAMES, &nowhere).remaining.len(), 1);
    }
}
