//! What cloud-init and installers keep of a machine: LG-01, L-27.

use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};
use crate::rules::{Guest, provisioner};

pub(super) static CLOUD_INIT_STATE: Operation = Operation {
    name: "cloud-init-state",
    requirement: "LG-01",
    summary: "remove what cloud-init keeps of the machine it has set up",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/var/lib/cloud/instance", "-> instances/8f3c"),
            ("/var/lib/cloud/instances/8f3c/user-data.txt", "#cloud-config\n"),
            ("/var/lib/cloud/data/instance-id", "8f3c\n"),
            ("/var/lib/cloud/seed/nocloud/user-data", "#cloud-config\n"),
            ("/var/lib/cloud/", ""),
            ("/etc/cloud/cloud.cfg", "users: [default]\n"),
            ("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource_list: [None]\n"),
            ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\n"),
        ],
        after: &[
            ("/var/lib/cloud/instance", None),
            ("/var/lib/cloud/instances/8f3c/user-data.txt", None),
            ("/var/lib/cloud/data/instance-id", None),
            ("/var/lib/cloud/seed/nocloud/user-data", None),
            ("/etc/cloud/cloud.cfg.d/99-installer.cfg", None),
            ("/etc/ssh/sshd_config.d/50-cloud-init.conf", None),
        ],
    },
};

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    // A seed was put there for one machine, and goes before what Azure hands out to each; directories without files are the package's.
    let state = system.linux.residue.cloud_init.known().map_err(|reason| Error::Damaged(reason.0).at("/var/lib/cloud"))?;
    let is_directory =
        |path: &str| Ok::<_, Error>(system.tree.find_link(path)?.is_some_and(|found| found.node.kind == NodeKind::Directory));
    if is_directory("/var/lib/cloud")? {
        let why = if state.is_some_and(|state| !state.seeds.is_empty()) {
            "cloud-init would have the data of this machine, and its seed goes before what Azure hands out"
        } else {
            "cloud-init would have the data of this machine on every other"
        };
        draft.empty("/var/lib/cloud", why)?;
    }
    if is_directory("/run/cloud-init")? {
        draft.empty("/run/cloud-init", "it tells of this machine's last boot")?;
    }
    draft
        .remove("/etc/ssh/sshd_config.d/50-cloud-init.conf", "cloud-init has written it for this machine, and writes it anew for others")?;
    installers(system, draft)
}

/// Removes what installers have pinned. The network stays with whoever writes no other.
fn installers(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let Some(cloud) = system.linux.agents.cloud_init.value() else { return Ok(()) };
    let mut enabled = system.linux.clone();
    if let crate::facts::Fact::Known(cloud) = &mut enabled.agents.cloud_init {
        cloud.disabled_by_file = crate::facts::Fact::Known(false);
    }
    let starts = provisioner::cloud_init(&Guest { os: system.os, linux: &enabled }) == Ok(provisioner::CloudInit::Starts);
    for path in cloud.installer_leftovers.value().into_iter().flatten() {
        let of_network = path.starts_with("/etc/netplan/") || path.contains("network");
        if of_network && !starts {
            draft.remains(
                format!("{path} of the installer holds the network of this machine; it stays, because cloud-init writes no other"),
                vec![],
            );
            continue;
        }
        draft.remove(path, "the installer has written it for this machine: it pins a data source or a network on every other")?;
    }
    Ok(())
}
