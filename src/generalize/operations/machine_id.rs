//! The machine's identity: LG-06.

use super::paths::decisive;
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};
use crate::rules::Distribution;

pub(super) static MACHINE_ID: Operation = Operation {
    name: "machine-id",
    requirement: "LG-06",
    summary: "empty /etc/machine-id, and let D-Bus follow it",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/machine-id", "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n"),
            ("/var/lib/dbus/machine-id", "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n"),
        ],
        after: &[("/etc/machine-id", Some("")), ("/var/lib/dbus/machine-id", None)],
    },
};

const ID: &str = "/etc/machine-id";
const OF_DBUS: &str = "/var/lib/dbus/machine-id";
const WHY: &str = "every machine made from the template would have the same identity";

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    if system.distribution == Distribution::Flatcar {
        return of_an_image(system, draft);
    }
    let services = decisive(&system.linux.services)?;
    let init = services.map(|services| decisive(&services.init)).transpose()?.flatten().map(String::as_str);
    if init.is_some_and(|init| init != "systemd") {
        // dbus-uuidgen --ensure, which other inits run, makes the file and refuses an empty one.
        draft.remove_unless_link(ID, WHY)?;
        draft.remove_unless_link(OF_DBUS, WHY)?;
        return Ok(());
    }
    // Never removed: systemd cannot make it again on a root that is still mounted read-only. Empty it gets a new identity without what
    // belongs to a very first boot, such as presets that undo which units were enabled by hand (machine-id(5)).
    match draft.text(ID)? {
        Some(text) if text.trim() == "uninitialized" => {}
        Some(_) => {
            draft.truncate(ID, WHY)?;
        }
        None if init.is_some() && !draft.exists(ID)? => {
            draft.create(ID, 0o444, vec![], "systemd cannot make it while the root file system is read-only")?;
        }
        // A symlink to a place that is made at boot.
        None => {}
    }
    // A copy of its own would stay; D-Bus makes the link or reads /etc/machine-id where it is missing. Where the link goes the other way
    // round, as on old Debian, the file is the one that was emptied.
    let same = |path| Ok::<_, Error>(system.tree.find(path)?.map(|found| found.names));
    if same(ID)?.is_none_or(|names| same(OF_DBUS).ok().flatten() != Some(names)) {
        draft.remove_unless_link(OF_DBUS, WHY)?;
    }
    Ok(())
}

/// Flatcar and CoreOS: a missing file is what tells them that a boot is the first, at which Ignition sets the machine up.
fn of_an_image(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    draft.remove(ID, WHY)?;
    draft.remove_unless_link(OF_DBUS, WHY)?;
    let flag = if system.os.id.value().is_some_and(|id| id == "flatcar") { "/boot/flatcar/first_boot" } else { "/boot/ignition.firstboot" };
    if !draft.exists(flag)? {
        draft.remains("Ignition sets machines up only where a file on the boot partition asks for it", vec![format!("touch {flag}")]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exists, planned, text};
    use super::*;

    const SYSTEMD: (&str, &str) = ("/usr/lib/systemd/systemd", "x");
    const HEX: &str = "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n";

    #[test]
    fn each_init_its_own() {
        let made = planned(&MACHINE_ID, &[SYSTEMD, ("/sbin/init", "-> ../usr/lib/systemd/systemd"), ("/etc/x", "")]);
        assert_eq!(made.creates.len(), 1);
        assert_eq!((made.creates[0].mode, made.creates[0].content.len()), (0o444, 0));
        let openrc =
            [("/etc/alpine-release", "3.20"), ("/etc/os-release", "ID=alpine\n"), ("/sbin/openrc", "x"), ("/etc/runlevels/default/", "")];
        let mut files = openrc.to_vec();
        files.extend([("/etc/machine-id", HEX), ("/var/lib/dbus/machine-id", HEX)]);
        assert!(!exists(&MACHINE_ID, &files, "/etc/machine-id"));
        assert!(!exists(&MACHINE_ID, &files, "/var/lib/dbus/machine-id"));
        assert!(planned(&MACHINE_ID, &openrc).creates.is_empty());
        let flatcar = [("/etc/os-release", "ID=flatcar\n"), ("/etc/machine-id", HEX)];
        assert!(!exists(&MACHINE_ID, &flatcar, "/etc/machine-id"));
        assert_eq!(planned(&MACHINE_ID, &flatcar).remaining[0].commands, ["touch /boot/flatcar/first_boot"]);
        let asked = [flatcar[0], flatcar[1], ("/boot/flatcar/first_boot", "")];
        assert!(planned(&MACHINE_ID, &asked).remaining.is_empty());
    }

    #[test]
    fn what_is_no_id_is_emptied_and_links_stay() {
        for content in [HEX, "no id\r\n", "\u{fffd}\u{1}", &"a".repeat(100_000)] {
            assert_eq!(text(&MACHINE_ID, &[("/etc/machine-id", content)], "/etc/machine-id").as_deref(), Some(""), "{content:.20}");
        }
        let calm: [&[(&str, &str)]; 4] = [
            &[("/etc/machine-id", "uninitialized\n"), ("/var/lib/dbus/machine-id", "-> /etc/machine-id")],
            &[("/etc/machine-id", "")],
            &[SYSTEMD, ("/etc/machine-id", "-> /run/machine-id")],
            &[],
        ];
        for files in calm {
            assert_eq!(planned(&MACHINE_ID, files).changes, [], "{files:?}");
        }
        let old = [("/etc/machine-id", "-> /var/lib/dbus/machine-id"), ("/var/lib/dbus/machine-id", HEX)];
        assert_eq!(text(&MACHINE_ID, &old, "/var/lib/dbus/machine-id").as_deref(), Some(""));
        assert!(exists(&MACHINE_ID, &old, "/etc/machine-id"));
    }
}
