//! Seeds of random numbers, and secrets that stand for one machine: LG-12.

use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static RANDOM_SEEDS: Operation = Operation {
    name: "random-seeds",
    requirement: "LG-12",
    summary: "remove random seeds and the secrets that are made once for each machine",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/var/lib/systemd/random-seed", "512 bytes"),
            ("/var/lib/systemd/credential.secret", "secret"),
            ("/var/lib/seedrng/seed.credit", "256 bits"),
        ],
        after: &[
            ("/var/lib/systemd/random-seed", None),
            ("/var/lib/systemd/credential.secret", None),
            ("/var/lib/seedrng/seed.credit", None),
        ],
    },
};

/// Seeds: of systemd, of Red Hat's and SUSE's older scripts, of Debian's, of Alpine's and busybox's; systemd-boot's last.
const SEEDS: [&str; 11] = [
    "/var/lib/systemd/random-seed",
    "/var/lib/random-seed",
    "/var/lib/urandom/random-seed",
    "/var/lib/urandom/urandom.pool",
    "/var/lib/misc/random-seed",
    "/var/lib/seedrng/seed.credit",
    "/var/lib/seedrng/seed.no-credit",
    "/etc/random.seed",
    "/boot/efi/loader/random-seed",
    "/boot/loader/random-seed",
    "/efi/loader/random-seed",
];
const CREDENTIAL_SECRET: &str = "/var/lib/systemd/credential.secret";
/// From which NetworkManager derives addresses and client identities; it makes a missing one.
const NETWORK_SECRET: &str = "/var/lib/NetworkManager/secret_key";

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    for path in SEEDS {
        remove(system, draft, path, "every machine made from the template would begin with the same random numbers")?;
    }
    remove(system, draft, NETWORK_SECRET, "machines made from the template would derive the same identities from it")?;
    if remove(system, draft, CREDENTIAL_SECRET, "it opens the sealed credentials of every machine made from the template")? {
        let sealed = draft.names("/etc/credstore.encrypted")?;
        if !sealed.is_empty() {
            draft.remains(
                format!("credentials in /etc/credstore.encrypted may be sealed with this machine's secret: {}", sealed.join(", ")),
                vec!["systemd-creds encrypt, on each new machine".to_owned()],
            );
        }
    }
    Ok(())
}

/// Removes a file; says whether there was one.
fn remove(system: &System<'_>, draft: &mut Draft<'_>, path: &str, why: &str) -> Result<bool, Error> {
    let Some(found) = system.tree.find_link(path)?.filter(|found| found.node.kind != NodeKind::Directory) else { return Ok(false) };
    if found.mount.fs.kind() == "vfat" {
        // systemd-boot mixes it with a token of the firmware's, which is each machine's own.
        draft.remains(format!("{path} stays: its file system is FAT, which is not changed offline"), vec![format!("rm -f {path}")]);
        return Ok(false);
    }
    draft.remove(path, why)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{planned, with};
    use super::*;
    use crate::fs::NodeId;
    use crate::fs::testing::{Item, MemoryFileSystem, tree};
    use std::sync::Arc;

    #[test]
    fn a_seed_on_fat_is_told_of_and_left() {
        let mut esp = MemoryFileSystem::new(true).called("vfat");
        esp.add("/loader/random-seed", Item::File(b"seed".to_vec()), 0o755, 0);
        let mut tree = tree(&[("/boot/efi/", ""), ("/var/lib/random-seed", "x")]);
        tree.mount("/boot/efi", "partition 1", Arc::new(esp), NodeId(0));
        let planned = with(&RANDOM_SEEDS, &tree, |draft| draft.finish()).unwrap();
        assert_eq!(planned.unlinks.len(), 1);
        assert_eq!(planned.remaining[0].commands, ["rm -f /boot/efi/loader/random-seed"]);
    }

    #[test]
    fn seeds_of_every_init() {
        for path in SEEDS.iter().chain([&CREDENTIAL_SECRET, &NETWORK_SECRET]) {
            assert_eq!(planned(&RANDOM_SEEDS, &[(path, "x")]).unlinks.len(), 1, "{path}");
            assert!(planned(&RANDOM_SEEDS, &[(&format!("{path}/x"), "x")]).unlinks.is_empty(), "{path}");
        }
        let sealed = planned(&RANDOM_SEEDS, &[(CREDENTIAL_SECRET, "x"), ("/etc/credstore.encrypted/db.password", "x")]);
        assert!(sealed.remaining[0].message.ends_with("db.password"));
    }
}
