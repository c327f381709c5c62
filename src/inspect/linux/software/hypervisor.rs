//! Tools of other hypervisors and clouds.

use super::PROGRAM_DIRECTORIES;
use super::units::UNIT_DIRECTORIES;
use crate::facts::{HypervisorToolFacts, HypervisorToolsFacts};
use crate::fs::{Error, Tree};

/// Tools: what people call them, where they were made for, programs, units, other files.
struct Tools {
    name: &'static str,
    platform: &'static str,
    programs: &'static [&'static str],
    units: &'static [&'static str],
    files: &'static [&'static str],
}

const TOOLS: &[Tools] = &[
    Tools {
        name: "open-vm-tools",
        platform: "VMware",
        programs: &["vmtoolsd"],
        units: &["open-vm-tools.service", "vmtoolsd.service", "vmware-tools.service"],
        files: &["/etc/vmware-tools/tools.conf", "/etc/init.d/vmware-tools", "/usr/lib/vmware-tools"],
    },
    Tools {
        name: "VirtualBox Guest Additions",
        platform: "VirtualBox",
        programs: &["VBoxService", "VBoxClient"],
        units: &["vboxadd.service", "vboxadd-service.service", "vboxservice.service", "virtualbox-guest-utils.service"],
        files: &["/etc/init.d/vboxadd", "/etc/init.d/vboxadd-service"],
    },
    Tools { name: "QEMU guest agent", platform: "QEMU and KVM", programs: &["qemu-ga"], units: &["qemu-guest-agent.service"], files: &[] },
    Tools { name: "SPICE agent", platform: "QEMU and KVM", programs: &["spice-vdagentd"], units: &["spice-vdagentd.service"], files: &[] },
    Tools {
        name: "Xen guest tools",
        platform: "Xen",
        programs: &["xe-daemon", "xe-linux-distribution", "xen-guest-agent"],
        units: &["xe-daemon.service", "xe-linux-distribution.service", "xen-guest-agent.service"],
        files: &["/etc/init.d/xe-linux-distribution", "/etc/init.d/xe-guest-utilities"],
    },
    Tools {
        name: "Parallels Tools",
        platform: "Parallels",
        programs: &["prltoolsd"],
        units: &["prltoolsd.service"],
        files: &["/usr/lib/parallels-tools", "/etc/init.d/prltoolsd"],
    },
    Tools {
        name: "AWS Systems Manager agent",
        platform: "Amazon EC2",
        programs: &["amazon-ssm-agent"],
        units: &["amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service"],
        files: &["/snap/amazon-ssm-agent"],
    },
    Tools {
        name: "EC2 tools",
        platform: "Amazon EC2",
        programs: &["ec2-net-utils", "ec2net", "setup-policy-routes", "eic_run_authorized_keys"],
        units: &["ec2-instance-connect.service", "ec2-instance-connect-harvest-hostkeys.service", "hibinit-agent.service"],
        files: &["/opt/aws/bin/eic_run_authorized_keys", "/usr/share/ec2-instance-connect/eic_run_authorized_keys"],
    },
    Tools {
        name: "Google guest agent",
        platform: "Google Compute Engine",
        programs: &["google_guest_agent", "google_metadata_script_runner", "google_osconfig_agent"],
        units: &[
            "google-guest-agent.service",
            "google-startup-scripts.service",
            "google-osconfig-agent.service",
            "google-guest-agent-manager.service",
        ],
        files: &[],
    },
];

/// What of them there is.
pub(super) fn tools(tree: &Tree) -> Result<HypervisorToolsFacts, Error> {
    let mut found = HypervisorToolsFacts::default();
    let programs = super::distinct(tree, PROGRAM_DIRECTORIES)?;
    let units = super::distinct(tree, UNIT_DIRECTORIES)?;
    for tool in TOOLS {
        let in_all = |directories: &[String], names: &[&str]| -> Vec<String> {
            directories.iter().flat_map(|directory| names.iter().map(move |name| format!("{directory}/{name}"))).collect()
        };
        let mut paths = in_all(&programs, tool.programs);
        paths.extend(in_all(&units, tool.units));
        paths.extend(tool.files.iter().map(|path| (*path).to_owned()));
        let mut evidence = Vec::new();
        for path in paths {
            // A unit that leads to /dev/null is masked, and shows nothing.
            if tree.exists(&path)? && tree.target(&path)?.as_deref() != Some("/dev/null") {
                evidence.push(path);
            }
        }
        if !evidence.is_empty() {
            found.tools.push(HypervisorToolFacts { name: tool.name.to_owned(), platform: tool.platform.to_owned(), evidence });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn tools_are_told_with_evidence() {
        let found = tools(&tree(&[
            ("/lib", "-> usr/lib"),
            ("/bin", "-> usr/bin"),
            ("/usr/bin/vmtoolsd", "x"),
            ("/usr/lib/systemd/system/open-vm-tools.service", "x"),
            ("/etc/systemd/system/qemu-guest-agent.service", "-> /dev/null"),
            ("/dev/null", ""),
        ]));
        let found = found.unwrap().tools;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].name, "open-vm-tools");
        assert_eq!(found[0].evidence, ["/usr/bin/vmtoolsd", "/usr/lib/systemd/system/open-vm-tools.service"]);
        assert!(tools(&tree(&[])).unwrap().tools.is_empty());
    }
}
