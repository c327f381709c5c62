//! What DHCP clients remember of addresses: LG-09.

use super::paths::{empty, remove_files};
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static DHCP_LEASES: Operation = Operation {
    name: "dhcp-leases",
    requirement: "LG-09",
    summary: "remove the leases and client identities of DHCP clients",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/var/lib/dhcp/dhclient.eth0.leases", "lease {\n}\n"),
            ("/var/lib/NetworkManager/internal-8f3c-eth0.lease", "ADDRESS=10.0.0.4\n"),
            ("/var/lib/NetworkManager/NetworkManager.state", "[main]\n"),
            ("/var/lib/wicked/duid.xml", "<duid/>"),
        ],
        after: &[
            ("/var/lib/dhcp/dhclient.eth0.leases", None),
            ("/var/lib/NetworkManager/internal-8f3c-eth0.lease", None),
            ("/var/lib/wicked/duid.xml", None),
        ],
    },
};

/// Directories of nothing but leases: those that `waagent -deprovision` empties, with dhclient's and dhcpcd's of other releases.
const DIRECTORIES: [&str; 6] =
    ["/var/lib/dhclient", "/var/lib/dhcpcd", "/var/lib/dhcpcd5", "/var/lib/dhcp", "/var/lib/dhcp3", "/var/db/dhcpcd"];
/// Leases beside other files.
const FILES: [&str; 10] = [
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/NetworkManager/*.leases",
    "/var/lib/wicked/lease-*",
    "/var/lib/systemd/network/*lease*",
    "/var/db/dhclient.leases*",
    "/run/systemd/netif/leases/*",
    "/run/dhclient*.lease*",
    "/run/NetworkManager/*.lease",
    "/var/lib/dhcp6/*",
    "/var/lib/udhcpc/*",
];
/// By what a client tells the server who it is. They are made anew where they are missing.
const IDENTITIES: [&str; 4] = ["/var/lib/wicked/duid.xml", "/var/lib/wicked/iaid.xml", "/etc/dhcpcd.duid", "/etc/dhcpcd.secret"];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    const WHY: &str = "a new machine would ask for the address of this one first";
    for path in DIRECTORIES {
        empty(system, draft, path, WHY)?;
    }
    remove_files(system, draft, &FILES, WHY)?;
    remove_files(system, draft, &IDENTITIES, "DHCP servers would take every machine made from the template for this one")
}

#[cfg(test)]
mod tests {
    use super::super::testing::planned;
    use super::*;

    #[test]
    fn leases_of_every_client() {
        for path in [
            "/var/lib/dhclient/dhclient-5fb0-eth0.lease",
            "/var/lib/dhcpcd/duid",
            "/var/lib/dhcpcd/eth0.lease",
            "/var/lib/dhcp/dhclient6.leases",
            "/var/lib/NetworkManager/dhclient-1-eth0.lease",
            "/var/lib/wicked/lease-eth0-dhcp-ipv4.xml",
            "/var/lib/systemd/network/eth0.lease",
            "/var/db/dhclient.leases.hn0",
            "/run/systemd/netif/leases/2",
        ] {
            let planned = planned(&DHCP_LEASES, &[(path, "x\n")]);
            assert_eq!(planned.unlinks.len(), 1, "{path}");
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for files in [
            &[("/var/lib/NetworkManager/NetworkManager.state", "x")][..],
            &[("/var/lib/dhcp/", "")],
            &[("/var/lib/dhcp", "-> /etc"), ("/etc/passwd", "x")],
            &[("/var/lib/wicked/lease-x/inner", "x")],
        ] {
            assert_eq!(planned(&DHCP_LEASES, files).changes, [], "{files:?}");
        }
        let moved = [("/var/lib/dhcp", "-> /srv/dhcp"), ("/srv/dhcp/a.leases", "x")];
        assert_eq!(planned(&DHCP_LEASES, &moved).unlinks.len(), 1);
    }
}
