//! Words of the guest in commands that people copy: whatever is in them, a shell takes them for one word.

/// A word for a POSIX shell: as it is where that is safe, else quoted. A path stays a path where it begins with `-`.
pub(crate) fn sh(text: &str) -> String {
    let text = if text.starts_with('-') { format!("./{text}") } else { text.to_owned() };
    sh_name(&text)
}

/// The same for a name that is no path, of an account say; `--` must stand before it where it may begin with `-`.
pub(crate) fn sh_name(text: &str) -> String {
    if is_tame(text, "/._-+,:@%=") {
        return text.to_owned();
    }
    if !text.chars().any(is_unseen) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    // What cannot be seen cannot be copied either.
    let mut out = String::from("$'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if is_unseen(c) => {
                let mut bytes = [0; 4];
                out.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\x{byte:02x}")));
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Several words with spaces between them.
pub(crate) fn sh_all<T: AsRef<str>>(words: &[T]) -> String {
    words.iter().map(|word| sh(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A word for PowerShell: as it is where that is safe, else quoted. It takes the curly quotes of word processors for its own.
pub(super) fn powershell(text: &str) -> String {
    // A word that begins with a dash is a parameter, and one with a dot or a digit may be a number.
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic()) || is_address(text);
    if bare && is_tame(text, "/._-+:\\") { text.to_owned() } else { powershell_quoted(text) }
}

/// The same, always in quotes.
pub(super) fn powershell_quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' => out.extend([c, c]),
            c if is_unseen(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Whether cmd.exe, PowerShell and people read a path the same way, in double quotes and without.
pub(super) fn is_plain_path(text: &str) -> bool {
    is_tame(text, "/._-:\\")
}

fn is_address(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn is_tame(text: &str, also: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

/// Controls, and what reorders or hides text.
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(u32::from(c), 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::*;
    use crate::rules::{Profile, Target, judge};

    #[test]
    fn words_of_a_shell_stay_words() {
        for (text, expected) in [
            ("/etc/sudoers.d/90-cloud-init-users", "/etc/sudoers.d/90-cloud-init-users"),
            ("UUID=1234-ABCD", "UUID=1234-ABCD"),
            ("x; rm -rf /", "'x; rm -rf /'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("/home/*", "'/home/*'"),
            ("~root", "'~root'"),
            ("", "''"),
            ("-rf", "./-rf"),
            ("-rf x", "'./-rf x'"),
            ("a\nreboot", r"$'a\x0areboot'"),
            ("a'\\\u{202e}b", r"$'a\'\\\xe2\x80\xaeb'"),
        ] {
            assert_eq!(sh(text), expected, "{text:?}");
        }
        assert_eq!(sh_name("-rf"), "-rf");
        assert_eq!(sh_all(&["/a", "/b c"]), "/a '/b c'");
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_them_so() {
        for text in
            ["x; exit 3", "$(exit 3)", "`exit 3`", "it's", "*", "a\\b", "\"", "a  b", "!x", "#x", "é", "{a,b}", "a&b", "<>|", "a\u{fffd}"]
        {
            let script = format!("printf %s {}", sh(text));
            let Ok(out) = std::process::Command::new("sh").args(["-c", &script]).output() else { return };
            assert!(out.status.success(), "{text:?}");
            assert_eq!(String::from_utf8_lossy(&out.stdout), text);
        }
    }

    #[test]
    fn words_of_powershell_stay_words() {
        for (text, expected) in [
            ("VBoxService", "VBoxService"),
            (r"C:\AzureData", r"C:\AzureData"),
            ("10.0.0.1", "10.0.0.1"),
            ("x; Restart-Computer", "'x; Restart-Computer'"),
            ("$(Restart-Computer)", "'$(Restart-Computer)'"),
            ("it's \u{2019}", "'it''s \u{2019}\u{2019}'"),
            ("-Force", "'-Force'"),
            ("a,b", "'a,b'"),
            ("@x", "'@x'"),
            ("", "''"),
            ("a\nb", "'a\u{fffd}b'"),
        ] {
            assert_eq!(powershell(text), expected, "{text:?}");
        }
        assert_eq!(powershell_quoted("a"), "'a'");
        assert!(is_plain_path(r"C:\Windows") && !is_plain_path(r"C:\%x%") && !is_plain_path("C:\\a b") && !is_plain_path(""));
    }

    /// What is left of a command without its quoted words.
    fn bare(command: &str) -> String {
        let (mut out, mut chars) = (String::new(), command.chars());
        while let Some(c) = chars.next() {
            match c {
                '\'' => while chars.next().is_some_and(|c| c != '\'') {},
                '\\' => drop(chars.next()),
                c => out.push(c),
            }
        }
        out
    }

    #[test]
    fn no_word_of_a_linux_is_run() {
        let evil = |text: &str| format!("{text};$(reboot)");
        let facts = specialized_linux(|disk| {
            let linux = known(&mut known(&mut disk.os).linux);
            let file = || FileFacts { path: evil("/x/y"), size: 4096 };
            for user in known(&mut linux.accounts.users) {
                user.home = evil("/home/x");
                user.authorized_keys = Fact::Known(1);
                user.private_keys = Fact::Known(vec![evil("/home/x/.ssh/id_rsa")]);
                if user.person {
                    user.name = evil("x");
                }
            }
            known(&mut linux.accounts.sudo).rules = vec![SudoRuleFacts {
                path: evil("/etc/sudoers.d/x"),
                line: 1,
                who: vec!["leftover".to_owned(), evil("x")],
                no_password: true,
                everything: true,
            }];
            linux.accounts.belongings = Fact::Known(vec![evil("/var/mail/x"), evil("/var/spool/cron/x")]);
            linux.accounts.backups = Fact::Known(vec![AccountBackupFacts {
                path: evil("/etc/shadow.bak"),
                deleted_accounts: vec![],
                accounts_with_hash: vec![evil("x")],
            }]);
            *known(&mut linux.identity.host_name) = HostNameFacts { name: evil("web"), path: evil("/etc/hostname") };
            linux.residue.histories = Fact::Known(vec![FileFacts { path: evil("/x") + "/.bash_history", size: 4096 }, file()]);
            linux.residue.leases = Fact::Known(vec![evil("/var/lib/dhcp/x")]);
            linux.residue.seeds = Fact::Known(vec![evil("/var/lib/seed"), evil("/x/") + "credential.secret"]);
            linux.residue.credentials = Fact::Known(vec![evil("/x/.netrc")]);
            linux.residue.logs = Fact::Known(vec![file()]);
            known(&mut linux.agents.cloud_init).installer_leftovers = Fact::Known(vec![evil("/etc/cloud/x")]);
            let mut eth0 = linux::interface(&(evil("/etc/netplan/50-cloud-init") + ".yaml"), "eth0");
            eth0.mac = Some("00:15:5d:00:00:01".to_owned());
            linux.network.networkd = Fact::Known(vec![eth0]);
            for kernel in known(&mut linux.kernels) {
                kernel.release = evil("6.1.0");
                kernel.drivers.insert("hv_netvsc".to_owned(), linux::driver(DriverState::Missing, false));
            }
            linux.boot.root = Fact::Known(evil("/dev/sda1"));
            linux.mounts.fstab = Fact::Known(vec![linux::fstab(1, &evil("/dev/sdb1"), "/x", "ext4", "device", Fact::Absent)]);
        });
        let mut told = 0;
        for state in [State::Generalized, State::Specialized] {
            let target = Target { state: Some(state), profile: Profile::Marketplace, ..Target::default() };
            for found in judge(&[subject(&facts)], &target, &[]).findings {
                for step in found.finding.remedy.steps() {
                    let first = step.split(' ').next().unwrap_or_default();
                    let command = match step.split_once("'blkid") {
                        Some((_, command)) => command,
                        None if ["rm", "userdel", "unset", "echo", "dnf", "apt-get", "update-initramfs"].contains(&first) => &step,
                        None => continue,
                    };
                    told += usize::from(step.contains("$(reboot)"));
                    assert!(!bare(command).contains("$(reboot)"), "{}: {step}", found.rule.code);
                }
            }
        }
        assert!(told >= 18, "only {told} commands have a word of the guest");
    }
}
