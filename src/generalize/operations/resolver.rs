//! Which name servers were asked: catalogue 7.1 #8.

use super::paths::remove_files;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static RESOLVER: Operation = Operation {
    name: "resolver",
    requirement: "LG-09",
    summary: "empty /etc/resolv.conf where it is a file of its own",
    default: true,
    plan,
    sample: Sample {
        before: &[("/etc/resolv.conf", "search corp.example\nnameserver 10.0.0.2\n"), ("/etc/resolvconf/resolv.conf.d/tail", "x\n")],
        after: &[("/etc/resolv.conf", Some("")), ("/etc/resolvconf/resolv.conf.d/tail", None)],
    },
};

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    const WHY: &str = "its name servers are those of the network that this machine was in; DHCP names the new ones";
    // A symlink leads to what a service writes at every boot.
    if system.tree.find_link("/etc/resolv.conf")?.is_some_and(|found| found.node.kind == NodeKind::File) {
        draft.truncate("/etc/resolv.conf", WHY)?;
    }
    // What resolvconf took over from the file that it replaced; `base` and `head` are the owner's.
    remove_files(system, draft, &["/etc/resolvconf/resolv.conf.d/tail", "/etc/resolvconf/resolv.conf.d/original"], WHY)
}

#[cfg(test)]
mod tests {
    use super::super::testing::planned;
    use super::*;

    #[test]
    fn what_a_service_writes_stays() {
        for files in [
            &[("/etc/resolv.conf", "-> ../run/systemd/resolve/stub-resolv.conf")][..],
            &[("/etc/resolv.conf", "-> /srv/resolv.conf"), ("/srv/resolv.conf", "nameserver 1.2.3.4\n")],
            &[("/etc/resolv.conf", "")],
            &[("/etc/resolvconf/resolv.conf.d/base", "x")],
            &[],
        ] {
            assert_eq!(planned(&RESOLVER, files).changes, [], "{files:?}");
        }
    }
}
