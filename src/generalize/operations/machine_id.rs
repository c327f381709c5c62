//! The machine's identity: LG-06.

use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};

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

const WHY: &str = "every machine made from the template would have the same identity";

fn plan(_system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    // Never removed: systemd cannot make it again on a root that is still mounted read-only. Empty it gets a new identity without what
    // belongs to a very first boot, such as presets that undo which units were enabled by hand (machine-id(5)).
    if draft.text("/etc/machine-id")?.is_some_and(|text| text.trim() != "uninitialized") {
        draft.truncate("/etc/machine-id", WHY)?;
    }
    // A copy of its own would stay; D-Bus makes the link or reads /etc/machine-id where it is missing.
    draft.remove_unless_link("/var/lib/dbus/machine-id", WHY)?;
    Ok(())
}
