//! Devices that this machine knew, and its names in storage networks.

use super::lines::assigned;
use super::paths::remove_files;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static LVM_DEVICES: Operation = Operation {
    name: "lvm-devices",
    requirement: "LG-09",
    summary: "forget this machine's storage devices, and its names in storage networks",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/lvm/devices/system.devices", "IDTYPE=sys_wwid IDNAME=naa.600224 DEVNAME=/dev/sda3\n"),
            ("/etc/lvm/lvm.conf", "devices {\n}\n"),
            ("/etc/multipath/wwids", "/360022480/\n"),
            ("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1994-05.com.redhat:8f3c1d2e\n"),
            ("/usr/lib/systemd/system/iscsi-init.service", "[Unit]\n"),
            ("/etc/nvme/hostid", "8f3c1d2e-4b5a-6978-8796-a5b4c3d2e1f0\n"),
        ],
        after: &[
            ("/etc/lvm/devices/system.devices", None),
            ("/etc/multipath/wwids", None),
            ("/etc/iscsi/initiatorname.iscsi", None),
            ("/etc/nvme/hostid", None),
        ],
    },
};

/// LVM uses every device where no file lists them, and nothing where those that are listed are not there. `/etc/lvm/backup` and
/// `/etc/lvm/archive` stay: they describe volume groups, which the template has too.
const LVM: [&str; 2] = ["/etc/lvm/devices/system.devices", "/etc/lvm/devices/backup/*"];
/// What libblkid and multipathd saw last; both look again.
const SEEN: [&str; 6] = [
    "/etc/blkid.tab",
    "/etc/blkid.tab.old",
    "/etc/blkid/blkid.tab",
    "/etc/blkid/blkid.tab.old",
    "/etc/multipath/bindings",
    "/etc/multipath/wwids",
];
/// nvme-cli derives both from the firmware's UUID where the files are missing.
const NVME: [&str; 2] = ["/etc/nvme/hostid", "/etc/nvme/hostnqn"];
const INITIATOR: &str = "/etc/iscsi/initiatorname.iscsi";

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    remove_files(system, draft, &LVM, "LVM would look for the disks of this machine only")?;
    remove_files(system, draft, &SEEN, "it lists disks that only this machine had")?;
    remove_files(system, draft, &NVME, "storage targets would take every machine made from the template for this one")?;
    initiator(system, draft)
}

/// The name of an iSCSI initiator. Those of Red Hat and SUSE have a unit that makes a missing file; Debian's daemon does not start
/// without the file, and makes a name where the file asks for one.
fn initiator(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    const WHY: &str = "iSCSI targets would take every machine made from the template for this one";
    if system.tree.find_link(INITIATOR)?.is_none_or(|found| found.node.kind != NodeKind::File) {
        return Ok(());
    }
    let named = draft.read(INITIATOR)?.is_some_and(|text| {
        text.split(|byte| *byte == b'\n').any(|line| assigned(line, "InitiatorName").is_some_and(|name| !name.is_empty()))
    });
    if !named {
        return Ok(());
    }
    let any = |paths: &[&str]| -> Result<bool, Error> {
        for path in paths {
            if draft.exists(path)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let made_when_missing = any(&["/usr/lib/systemd/system/iscsi-init.service", "/lib/systemd/system/iscsi-init.service"])?;
    let made_when_asked = any(&["/usr/lib/open-iscsi/startup-checks.sh", "/lib/open-iscsi/startup-checks.sh"])?;
    if made_when_missing {
        draft.remove(INITIATOR, WHY)?;
    } else if made_when_asked {
        draft.rewrite(INITIATOR, b"GenerateName=yes\n".to_vec(), WHY)?;
    } else {
        draft.remains(
            format!("{INITIATOR} names this machine, and nothing is known to make another name"),
            vec![format!("echo \"InitiatorName=$(iscsi-iname)\" > {INITIATOR}, on each new machine")],
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{planned, text};
    use super::*;

    #[test]
    fn initiators_are_named_anew_or_stay() {
        let named = (INITIATOR, "## DO NOT EDIT\nInitiatorName=iqn.1993-08.org.debian:01:8f3c\n");
        let debian = [named, ("/usr/lib/open-iscsi/startup-checks.sh", "x")];
        assert_eq!(text(&LVM_DEVICES, &debian, INITIATOR).as_deref(), Some("GenerateName=yes\n"));
        let other = planned(&LVM_DEVICES, &[named]);
        assert_eq!((other.changes.len(), other.remaining.len()), (0, 1));
        assert_eq!(planned(&LVM_DEVICES, &[(INITIATOR, "GenerateName=yes\n")]).remaining, []);
    }

    #[test]
    fn what_describes_volume_groups_stays() {
        let files = [
            ("/etc/lvm/backup/vg0", "x"),
            ("/etc/lvm/archive/vg0_00000.vg", "x"),
            ("/etc/lvm/devices/", ""),
            ("/etc/nvme/discovery.conf", "x"),
        ];
        assert_eq!(planned(&LVM_DEVICES, &files).changes, []);
    }
}
