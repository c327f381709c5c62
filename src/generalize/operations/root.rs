//! root's password and keys: L-55.

use super::accounts::{is_kept, key_files, users};
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};
use crate::guest::linux::account_lines::{field, with_field};

pub(super) static ROOT: Operation = Operation {
    name: "root",
    requirement: "L-55",
    summary: "lock root's password and remove its SSH keys",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("/etc/shadow", "root:$6$salt$hash:19000:0:99999:7:::\nbin:*:19000::::::\n"),
            ("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n"),
            ("/root/.ssh/id_ed25519", "key\n"),
            ("/root/.ssh/config", "Host x\n"),
        ],
        after: &[
            ("/etc/shadow", Some("root:*:19000:0:99999:7:::\nbin:*:19000::::::\n")),
            ("/root/.ssh/authorized_keys", None),
            ("/root/.ssh/id_ed25519", None),
        ],
    },
};

const PASSWORD: &str = "every machine would admit the same password as root";
const KEY: &str = "every machine would admit or have the same key as root";

/// Whether no password fits a field, and no hash is left in it: `*`, `!`, `!!`, `*LOCK*` of the Azure Linux agent, `x` in passwd.
fn is_locked(field: &[u8]) -> bool {
    matches!(field, b"*LOCK*" | b"x") || (!field.is_empty() && field.iter().all(|byte| matches!(byte, b'*' | b'!')))
}

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    // root may have other names; all of them are root.
    let roots = users(system)?.iter().filter(|user| user.uid == 0 && !is_kept(system, user));
    for user in roots {
        for path in ["/etc/shadow", "/etc/passwd"] {
            draft.lines(path, PASSWORD, |line| {
                let is_own = field(line, 0) == Some(user.name.as_bytes());
                let open = is_own && field(line, 1).is_some_and(|password| !is_locked(password));
                Some(if open { with_field(line, 1, b"*") } else { None }.unwrap_or_else(|| line.to_vec()))
            })?;
        }
        if !user.home.starts_with('/') {
            continue;
        }
        let directory = format!("{}/.ssh", user.home.trim_end_matches('/'));
        // Others may have put whole directories there; `known_hosts` and `config` let nobody in.
        for name in draft.names(&directory)? {
            let path = format!("{directory}/{name}");
            let is_key = matches!(name.as_str(), "authorized_keys" | "authorized_keys2") || name.starts_with("id_");
            if is_key && system.tree.find_link(&path)?.is_some_and(|found| found.node.kind != NodeKind::Directory) {
                draft.remove(&path, KEY)?;
            }
        }
        key_files(system, draft, user, KEY)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::trial::{after, wishes};

    #[test]
    fn passwords_are_locked() {
        for (field, locked) in [
            ("$6$s$h", "*"),
            ("!$6$s$h", "*"),
            ("!!$y$x", "*"),
            ("", "*"),
            ("{SSHA}x", "*"),
            ("*", "*"),
            ("!", "!"),
            ("!!", "!!"),
            ("!*", "!*"),
            ("*LOCK*", "*LOCK*"),
        ] {
            let shadow = format!("root:{field}:1::::::\r\n\u{e9}:x\nroot:{field}");
            let left = after("root", &[("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"), ("/etc/shadow", &shadow)], &wishes(&[], &[]));
            assert_eq!(left.get("/etc/shadow").unwrap(), &format!("root:{locked}:1::::::\r\n\u{e9}:x\nroot:{locked}"), "{field:?}");
        }
    }

    #[test]
    fn a_hash_in_passwd_goes_and_so_does_that_of_any_other_name_of_root() {
        let files = [("/etc/passwd", "root:$1$a$b:0:0::/root:/bin/sh\ntoor:abcdefghijklm:0:0::/r:/bin/sh\nx:$1$a$b:5:5::/:/bin/false\n")];
        let left = after("root", &files, &wishes(&[], &[]));
        assert_eq!(left["/etc/passwd"], "root:*:0:0::/root:/bin/sh\ntoor:*:0:0::/r:/bin/sh\nx:$1$a$b:5:5::/:/bin/false\n");
        assert_eq!(after("root", &files, &wishes(&["root", "toor"], &[]))["/etc/passwd"], files[0].1);
    }
}
