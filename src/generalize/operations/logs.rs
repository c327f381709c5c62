//! What was logged: LG-10.

use super::paths::{empty, is_own, remove_files};
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static LOGS: Operation = Operation {
    name: "logs",
    requirement: "LG-10",
    summary: "empty current logs, and remove old ones, journals and crash dumps",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/var/log/syslog", "Nov 21 web-01 sshd: x\n"),
            ("/var/log/syslog.1", "x"),
            ("/var/log/syslog.2.gz", "x"),
            ("/var/log/wtmp", "x"),
            ("/var/log/waagent.log", "x"),
            ("/var/log/cloud-init-output.log", "x"),
            ("/var/log/azure/Microsoft.Azure.Extension/handler.log", "x"),
            ("/var/log/installer/autoinstall-user-data", "password: x"),
            ("/var/log/journal/8f3c1d2e4b5a69788796a5b4c3d2e1f0/system.journal", "x"),
            ("/var/log/audit/audit.log", "x"),
            ("/var/lib/systemd/coredump/core.x.zst", "x"),
        ],
        after: &[
            ("/var/log/syslog", Some("")),
            ("/var/log/syslog.1", None),
            ("/var/log/syslog.2.gz", None),
            ("/var/log/wtmp", Some("")),
            ("/var/log/waagent.log", None),
            ("/var/log/cloud-init-output.log", None),
            ("/var/log/azure/Microsoft.Azure.Extension/handler.log", None),
            ("/var/log/installer/autoinstall-user-data", None),
            ("/var/log/journal/8f3c1d2e4b5a69788796a5b4c3d2e1f0/system.journal", None),
            ("/var/log/audit/audit.log", Some("")),
            ("/var/lib/systemd/coredump/core.x.zst", None),
        ],
    },
};

const WHY: &str = "it tells of this machine: its names, addresses and users";
const ROTATED: &str = "it is an old log of this machine";
const RECORDS: &str = "installers record there what they were told, passwords among it";
const DUMPS: &str = "dumps hold what was in this machine's memory, secrets among it";
const LOG: &str = "/var/log";
/// Directories below it at most in each other.
const MAX_DEPTH: usize = 32;

/// Logs that their programs make with the right owner; a deprovisioning removes them too.
const OF_AGENTS: [&str; 3] = ["/var/log/waagent.log*", "/var/log/cloud-init.log*", "/var/log/cloud-init-output.log*"];
/// Directories whose contents are dated or named by machines: nobody needs a file in them.
const DATED: [&str; 4] = ["/var/log/azure", "/var/log/sa", "/var/log/sysstat", "/var/log/atop"];
const INSTALLERS: [&str; 2] = ["/var/log/installer", "/var/log/anaconda"];
const INSTALLER_FILES: [&str; 7] = [
    "/root/anaconda-ks.cfg",
    "/root/original-ks.cfg",
    "/root/initial-setup-ks.cfg",
    "/root/install.log",
    "/root/install.log.syslog",
    "/root/autoinst.xml",
    "/var/adm/autoinstall/cache/installedSystem.xml",
];
const CRASHES: [&str; 3] = ["/var/lib/systemd/coredump", "/var/crash", "/var/spool/abrt"];
/// Logins and processes outside of /var/log; where rsyslog stands in the journal that goes.
const RECORDS_ELSEWHERE: [&str; 4] =
    ["/var/lib/wtmpdb/wtmp.db*", "/var/lib/lastlog/lastlog2.db*", "/var/lib/rsyslog/imjournal.state", "/var/account/pacct-*"];
const CURRENT_ELSEWHERE: [&str; 3] = ["/run/utmp", "/var/run/utmp", "/var/account/pacct"];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    remove_files(system, draft, &INSTALLER_FILES, RECORDS)?;
    for path in CRASHES {
        empty(system, draft, path, DUMPS)?;
    }
    remove_files(system, draft, &RECORDS_ELSEWHERE, WHY)?;
    for path in CURRENT_ELSEWHERE {
        draft.truncate(path, WHY)?;
    }
    if !is_own(system, LOG)? {
        draft.remains(
            format!("{LOG} leads to another directory, which was left as it is"),
            vec![format!("find -H {LOG} -type f -exec truncate -s 0 {{}} +")],
        );
        return Ok(());
    }
    remove_files(system, draft, &OF_AGENTS, WHY)?;
    for path in DATED {
        empty(system, draft, path, WHY)?;
    }
    for path in INSTALLERS {
        draft.remove_unless_link(path, RECORDS)?;
    }
    journal(system, draft)?;
    let mut strange = 0;
    below(system, draft, LOG, 0, &mut strange)?;
    if strange > 0 {
        draft.remains(
            format!("{strange} names below {LOG} are not UTF-8 and were left as they are"),
            vec![format!("find {LOG} -type f -exec truncate -s 0 {{}} +")],
        );
    }
    Ok(())
}

/// The journal of each machine id goes, with the directory that bears the id; the directory above says that there is to be a journal.
fn journal(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    const JOURNAL: &str = "/var/log/journal";
    for entry in system.tree.list(JOURNAL)?.unwrap_or_default() {
        let path = format!("{JOURNAL}/{}", entry.name);
        let id = entry.name.split('.').next().is_some_and(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if entry.node.kind != NodeKind::Directory || id {
            draft.remove(&path, WHY)?;
        } else {
            // `remote` belongs to the service that receives other machines' journals.
            draft.empty(&path, WHY)?;
        }
    }
    Ok(())
}

/// Goes through the logs. Directories stay, because daemons fail without theirs, and so do current logs, with their owners and modes.
fn below(system: &System<'_>, draft: &mut Draft<'_>, directory: &str, depth: usize, strange: &mut usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Unsupported(format!("directories lie more than {MAX_DEPTH} deep")).at(LOG));
    }
    for entry in system.tree.list(directory)?.unwrap_or_default() {
        let path = format!("{directory}/{}", entry.name);
        match entry.node.kind {
            _ if entry.name.contains(char::REPLACEMENT_CHARACTER) => *strange = strange.saturating_add(1),
            NodeKind::Directory => below(system, draft, &path, depth.saturating_add(1), strange)?,
            NodeKind::File if is_rotated(&entry.name) => {
                draft.remove(&path, ROTATED)?;
            }
            // Whatever has another name may be no log there.
            NodeKind::File if entry.node.links > 1 => {
                draft.remove(&path, WHY)?;
            }
            NodeKind::File => {
                draft.truncate(&path, WHY)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a name is one that logrotate and its like give to what was: `messages.1`, `messages-20240101`, `dmesg.old`, `syslog.2.gz`.
fn is_rotated(name: &str) -> bool {
    const ENDS: [&str; 9] = [".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z", ".old", ".bak", "~"];
    if ENDS.iter().any(|end| name.ends_with(end)) {
        return true;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let after = |sign: char| name.rsplit_once(sign).filter(|(before, _)| !before.is_empty()).map_or("", |(_, after)| after);
    // A date, with an hour or without; logrotate's `dateext`, and its `extension` behind: boot.log-20240101, boot-20240101.log.
    let date = |text: &str| text.len() >= 8 && digits(text);
    let stem = name.strip_suffix(".log").unwrap_or(name);
    digits(after('.'))
        || date(after('-'))
        || stem.rsplit_once(['-', '.', '_']).is_some_and(|(before, last)| !before.is_empty() && date(last))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exists, planned, text};
    use super::*;

    #[test]
    fn names_of_old_logs() {
        for name in [
            "messages.1",
            "messages-20240101",
            "boot.log-2024010112",
            "a-20240101.log",
            "syslog.2.gz",
            "dmesg.old",
            "Xorg.0.log.old",
            "x.10",
        ] {
            assert!(is_rotated(name), "{name}");
        }
        for name in ["messages", "wtmp", "postgresql-15-main.log", "Xorg.0.log", "boot.log", "faillog", ".1", "-20240101", "", "a.1b"] {
            assert!(!is_rotated(name), "{name}");
        }
    }

    #[test]
    fn directories_and_current_logs_stay() {
        let files = [
            ("/var/log/apache2/access.log", "10.0.0.9 GET /\n"),
            ("/var/log/apache2/access.log.1", "x"),
            ("/var/log/private/", ""),
            ("/var/log/journal/remote/r.journal", "x"),
            ("/var/log/journal/8f3c1d2e4b5a69788796a5b4c3d2e1f0.name/a.journal", "x"),
            ("/var/log/README", "-> ../../usr/share/doc/systemd/README.logs"),
            ("/var/log/empty.log", ""),
            ("/var/log/dead.log", "!damaged"),
            ("/var/lib/logrotate/status", "x"),
        ];
        let planned = planned(&LOGS, &files);
        assert_eq!(planned.problems, []);
        for path in [
            "/var/log/apache2",
            "/var/log/private",
            "/var/log/journal/remote",
            "/var/log/README",
            "/var/log/empty.log",
            "/var/lib/logrotate/status",
        ] {
            assert!(exists(&LOGS, &files, path), "{path}");
        }
        assert_eq!(text(&LOGS, &files, "/var/log/apache2/access.log").as_deref(), Some(""));
        assert_eq!(text(&LOGS, &files, "/var/log/dead.log").as_deref(), Some(""), "what is in it does not matter");
        for path in
            ["/var/log/apache2/access.log.1", "/var/log/journal/remote/r.journal", "/var/log/journal/8f3c1d2e4b5a69788796a5b4c3d2e1f0.name"]
        {
            assert!(!exists(&LOGS, &files, path), "{path}");
        }
    }

    #[test]
    fn links_out_of_the_logs_are_not_followed() {
        let away = planned(&LOGS, &[("/var/log", "-> /etc"), ("/etc/passwd", "x")]);
        assert_eq!((away.changes.len(), away.remaining.len()), (0, 1));
        let inner =
            planned(&LOGS, &[("/var/log/etc", "-> /etc"), ("/etc/passwd", "x"), ("/var/crash", "-> /"), ("/var/log/sa", "-> /srv")]);
        assert_eq!(inner.changes, []);
        let moved = planned(&LOGS, &[("/var/log", "-> /srv/log"), ("/srv/log/syslog", "x")]);
        assert_eq!(moved.writes.len(), 1);
    }
}
