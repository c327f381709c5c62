//! Backups of the account databases, which keep hashes and accounts that are gone: L-54.

use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static ACCOUNT_BACKUPS: Operation = Operation {
    name: "account-backups",
    requirement: "L-54",
    summary: "remove backups of the account databases",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("/etc/shadow-", "root:*:1::::::\neve:$6$salt$hash:1::::::\n"),
            ("/etc/passwd-", "root:x:0:0:root:/root:/bin/bash\neve:x:1001:1001::/home/eve:/bin/bash\n"),
            ("/etc/group.bak", "eve:x:1001:\n"),
            ("/etc/.pwd.lock", ""),
            ("/var/backups/shadow.bak", "eve:$6$salt$hash:1::::::\n"),
        ],
        after: &[("/etc/shadow-", None), ("/etc/passwd-", None), ("/etc/group.bak", None), ("/var/backups/shadow.bak", None)],
    },
};

const BASES: [&str; 6] = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
/// What is put behind the name: by shadow-utils (`-`, `+`), editors, people, and package managers.
const ENDS: [&str; 22] = [
    "-",
    "+",
    "~",
    ".bak",
    ".old",
    ".org",
    ".orig",
    ".backup",
    ".save",
    ".rpmsave",
    ".rpmorig",
    ".rpmnew",
    ".ucf-old",
    ".ucf-dist",
    ".ucf-new",
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-bak",
    ".dpkg-new",
    ".dpkg-tmp",
    ".pacsave",
    ".pacnew",
];

/// Whether a name in `/etc` is that of a backup. shadow-utils writes to `passwd.1234` (its process) before it renames.
fn is_backup(name: &str) -> bool {
    BASES.iter().filter_map(|base| name.strip_prefix(base)).any(|end| {
        let digits = end.strip_prefix('.').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        ENDS.contains(&end) || digits
    })
}

/// Whether a name in `/var/backups` is one of Debian's daily copies, rotated perhaps: `shadow.bak`, `passwd.bak.2.gz`.
fn is_daily(name: &str) -> bool {
    BASES.iter().any(|base| name.strip_prefix(base).is_some_and(|end| end == ".bak" || end.starts_with(".bak.")))
}

/// Tells whether a name is that of a backup.
type Is = fn(&str) -> bool;

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let places: [(&str, Is); 2] = [("/etc", is_backup), ("/var/backups", is_daily)];
    for (directory, is_one) in places {
        for name in draft.names(directory)? {
            let path = format!("{directory}/{name}");
            if is_one(&name) && system.tree.find_link(&path)?.is_some_and(|found| found.node.kind != NodeKind::Directory) {
                draft.remove(&path, "it keeps hashes, and accounts that are there no more")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, is) in [
            ("passwd-", true),
            ("gshadow.rpmsave", true),
            ("passwd.31337", true),
            ("passwd", false),
            ("shadow.d", false),
            ("group.", false),
            ("passwd.lock", false),
            ("security", false),
        ] {
            assert_eq!(is_backup(name), is, "{name}");
        }
        for (name, is) in [("shadow.bak", true), ("passwd.bak.3.gz", true), ("dpkg.status.0", false), ("shadow.baker", false)] {
            assert_eq!(is_daily(name), is, "{name}");
        }
    }
}
