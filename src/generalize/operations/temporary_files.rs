//! Temporary files: catalogue 7.6 #1.

use super::paths::empty;
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static TEMPORARY_FILES: Operation = Operation {
    name: "temporary-files",
    requirement: "LG-10",
    summary: "empty /tmp and /var/tmp",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/tmp/.hidden/x", "y"),
            ("/var/tmp/systemd-private-8f3c-chrony.service-x/tmp/", ""),
            ("/etc/hosts", "127.0.0.1 localhost\n"),
        ],
        after: &[("/tmp/.hidden/x", None), ("/var/tmp/systemd-private-8f3c-chrony.service-x/tmp/", None)],
    },
};

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    for path in ["/tmp", "/var/tmp"] {
        empty(system, draft, path, "what programs put aside here is of use to this machine only, and may hold secrets")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exists, planned};
    use super::*;

    #[test]
    fn directories_stay_and_links_are_not_followed() {
        let files = [("/tmp/a/b", "x"), ("/tmp/out", "-> /etc"), ("/etc/passwd", "x"), ("/var/tmp", "-> ../tmp")];
        assert!(exists(&TEMPORARY_FILES, &files, "/tmp") && exists(&TEMPORARY_FILES, &files, "/var/tmp"));
        assert!(exists(&TEMPORARY_FILES, &files, "/etc/passwd"));
        assert_eq!(planned(&TEMPORARY_FILES, &files).unlinks.len(), 3);
        let away = planned(&TEMPORARY_FILES, &[("/tmp", "-> /"), ("/etc/passwd", "x")]);
        assert_eq!((away.unlinks.len(), away.remaining.len()), (0, 1));
    }
}
