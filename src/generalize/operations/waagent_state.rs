//! What the Azure Linux agent keeps of a machine: LG-02.

use super::place::may_be_state;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static WAAGENT_STATE: Operation = Operation {
    name: "waagent-state",
    requirement: "LG-02",
    summary: "remove what the Azure Linux agent keeps of the machine it has set up",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/var/lib/waagent/", ""),
            ("/var/lib/waagent/provisioned", "8f3c1d2e\n"),
            ("/var/lib/waagent/ovf-env.xml", "<UserName>ada</UserName>"),
            ("/var/lib/waagent/Microsoft.Azure.Extensions.CustomScript-2.1.10/config/0.settings", "{}"),
            ("/etc/systemd/system/waagent-network-setup.service", "[Unit]\n"),
            ("/etc/systemd/system/multi-user.target.wants/waagent-network-setup.service", "-> ../waagent-network-setup.service"),
            ("/usr/lib/systemd/system/walinuxagent.service.d/11-CPUAccounting.conf", "[Service]\n"),
            ("/usr/lib/systemd/system/walinuxagent.service", "[Unit]\n"),
        ],
        after: &[
            ("/var/lib/waagent/provisioned", None),
            ("/var/lib/waagent/ovf-env.xml", None),
            ("/var/lib/waagent/Microsoft.Azure.Extensions.CustomScript-2.1.10/config/0.settings", None),
            ("/etc/systemd/system/waagent-network-setup.service", None),
            ("/etc/systemd/system/multi-user.target.wants/waagent-network-setup.service", None),
            ("/usr/lib/systemd/system/walinuxagent.service.d/11-CPUAccounting.conf", None),
        ],
    },
};

const STATE: &str = "/var/lib/waagent";
/// Where the agent puts units, by the distribution.
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// The agent's own unit; SUSE, Red Hat and others have the second name.
const AGENTS: [&str; 2] = ["walinuxagent", "waagent"];
/// Files that it puts beside its unit (WALinuxAgent, `azurelinuxagent/pa/deprovision/default.py`).
const DROP_INS: [&str; 4] = ["10-Slice.conf", "11-CPUAccounting.conf", "12-CPUQuota.conf", "13-MemoryAccounting.conf"];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let configured = system.linux.agents.waagent.value().and_then(|agent| agent.configuration.value());
    let configured = configured.and_then(|file| file.settings.get("Lib.Dir")).filter(|path| path.starts_with('/'));
    let configured = configured.map(|path| format!("/{}", path.trim_matches('/')));
    let mut directories = vec![STATE.to_owned()];
    directories.extend(configured.filter(|path| path != STATE));
    for directory in directories {
        let Some(found) = system.tree.find(&directory)?.filter(|found| found.node.kind == NodeKind::Directory) else { continue };
        if may_be_state(&found.names) {
            draft.empty(&directory, "accounts, certificates and extensions of this machine would be on every other")?;
        } else {
            let message = format!("{directory} is the agent's directory by its configuration, and may hold what is not the agent's");
            draft.problem(message, vec!["empty it in the machine with waagent -force -deprovision, or correct Lib.Dir".to_owned()]);
        }
    }
    const UNIT: &str = "the agent makes it anew for each machine";
    for directory in UNITS {
        for agent in AGENTS {
            let unit = format!("{agent}-network-setup.service");
            draft.remove(&format!("{directory}/{unit}"), UNIT)?;
            for link in draft.glob(&format!("{directory}/*.wants/{unit}"))? {
                draft.remove(&link, UNIT)?;
            }
            for name in DROP_INS {
                draft.remove(&format!("{directory}/{agent}.service.d/{name}"), UNIT)?;
            }
        }
        draft.remove(&format!("{directory}/azure-walinuxagent-logcollector.slice"), UNIT)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::trial::{after, planned, wishes};

    /// The configuration is the guest's own word, and may say anything.
    #[test]
    fn only_a_directory_of_the_agents_own_is_emptied() {
        for (directory, emptied) in [("/", false), ("/etc", false), ("/var/lib", false), ("/home/x", false), ("/opt/waagent", true)] {
            let configuration = format!("Lib.Dir={directory}\n");
            let files = [
                ("/etc/waagent.conf", configuration.as_str()),
                ("/etc/passwd", "x"),
                ("/opt/waagent/x", "x"),
                ("/home/x/y", "x"),
                ("/var/lib/x", "x"),
            ];
            let left = after("waagent-state", &files, &wishes(&[], &[]));
            assert_eq!(left.len(), files.len() - usize::from(emptied), "{directory}");
            assert_eq!(planned("waagent-state", &files, &wishes(&[], &[])).problems.is_empty(), emptied, "{directory}");
        }
    }
}
