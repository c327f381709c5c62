//! The account databases: passwd(5), shadow(5), group(5), login.defs(5).
//!
//! What a password field says is told; the field itself is never kept.

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Number of its group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell; empty means `/bin/sh`.
    pub shell: String,
    /// What its own password field says: `x` where shadow has it.
    pub password: Password,
}

/// What a password field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// It is in the shadow file (`x`).
    Shadowed,
    /// No password is asked for.
    Empty,
    /// No password fits.
    Locked,
    /// Locked, and the hash of the password that was is still there (`!$6$…`).
    LockedWithHash,
    /// A password can be used.
    Set,
}

impl Password {
    fn of(field: &str) -> Self {
        match field {
            "" => Self::Empty,
            "x" => Self::Shadowed,
            _ => match field.strip_prefix('!').map(|rest| rest.trim_start_matches('!')) {
                Some(rest) if is_hash(rest) => Self::LockedWithHash,
                Some(_) => Self::Locked,
                None if is_hash(field) => Self::Set,
                None => Self::Locked,
            },
        }
    }
}

/// Whether crypt(3) could have written it: `$id$…`, or the 13 characters of DES, or `_` and 19 of BSDi's.
fn is_hash(field: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    (field.starts_with('$') && field.len() > 3)
        || (field.len() == 13 && plain(field))
        || (field.len() == 20 && field.strip_prefix('_').is_some_and(plain))
}

/// Parses `/etc/passwd`. Lines that are not seven fields with numbers are left out, as the C library leaves them out.
#[must_use]
pub fn passwd(text: &str) -> Vec<User> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        let (name, password) = (fields.next().filter(|name| !name.is_empty() && !name.starts_with(['+', '-', '#']))?, fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let _gecos = fields.next()?;
        let (home, shell) = (fields.next()?, fields.next().unwrap_or_default());
        Some(User { name: name.to_owned(), uid, gid, home: home.to_owned(), shell: shell.to_owned(), password: Password::of(password) })
    };
    text.lines().filter_map(user).collect()
}

/// A line of `/etc/shadow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// Login name.
    pub name: String,
    /// What its password field says.
    pub password: Password,
    /// Day on which the account expires, counted from 1970-01-01.
    pub expires: Option<i64>,
    /// Whether the line is the one that the Azure Linux agent writes for root: `*LOCK*` and the day 14600.
    pub by_waagent: bool,
}

/// Parses `/etc/shadow`.
#[must_use]
pub fn shadow(text: &str) -> Vec<Shadow> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let password = fields.next()?;
        let rest: Vec<&str> = fields.collect();
        Some(Shadow {
            name: name.to_owned(),
            password: Password::of(password),
            expires: rest.get(5).and_then(|days| days.parse().ok()),
            by_waagent: password == "*LOCK*" && rest.first() == Some(&"14600"),
        })
    };
    text.lines().filter_map(entry).collect()
}

/// A line of `/etc/group`: its name, its number, its members.
#[must_use]
pub fn group(text: &str) -> Vec<(String, u32, Vec<String>)> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let gid = fields.next()?.parse().ok()?;
        let members = fields.next().unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some((name.to_owned(), gid, members))
    };
    text.lines().filter_map(entry).collect()
}

/// The value of a number in `/etc/login.defs`.
#[must_use]
pub fn login_defs(text: &str, name: &str) -> Option<u32> {
    let value = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().rev().find_map(value)
}

/// The sources of a database in `/etc/nsswitch.conf`: `files`, `sss`, `ldap`, without actions in brackets.
#[must_use]
pub fn nsswitch(text: &str, database: &str) -> Option<Vec<String>> {
    let line = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let (name, sources) = line.split_once(':')?;
        (name.trim() == database).then(|| {
            let mut outside = true;
            let word = |word: &&str| {
                let was = outside && !word.starts_with('[');
                outside = word.ends_with(']') || (outside && !word.starts_with('['));
                was
            };
            sources.split_ascii_whitespace().filter(word).map(str::to_owned).collect()
        })
    };
    text.lines().find_map(line)
}

/// How many keys an `authorized_keys` file admits: lines that are neither empty nor comments (sshd(8)).
#[must_use]
pub fn authorized_keys(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        let users = passwd("root:x:0:0:root:/root:/bin/bash\n+::::::\nold:abJnggxhB/yWI:1:1::/:\n\nbroken:x:y:0::/:/\nshort:x:1:1\n");
        let short: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.uid, user.shell.as_str(), user.password)).collect();
        assert_eq!(short, [("root", 0, "/bin/bash", Password::Shadowed), ("old", 1, "", Password::Set)]);
    }

    #[test]
    fn password_fields() {
        for (field, said) in [
            ("", Password::Empty),
            ("x", Password::Shadowed),
            ("*", Password::Locked),
            ("!", Password::Locked),
            ("!!", Password::Locked),
            ("!*", Password::Locked),
            ("*LOCK*", Password::Locked),
            ("!$6$salt$hash", Password::LockedWithHash),
            ("!!$y$j9T$x", Password::LockedWithHash),
            ("$6$salt$hash", Password::Set),
            ("$y$j9T$abc", Password::Set),
            ("abJnggxhB/yWI", Password::Set),
            ("nonsense", Password::Locked),
        ] {
            assert_eq!(Password::of(field), said, "{field}");
        }
    }

    #[test]
    fn shadows_and_groups() {
        let shadows = shadow("root:*LOCK*:14600::::::\nazureuser:$6$a$b:19000:0:99999:7::19500:\nx\n");
        assert!(shadows[0].by_waagent && !shadows[1].by_waagent);
        assert_eq!(shadows[1].expires, Some(19500));
        assert_eq!(shadows.len(), 2);
        assert_eq!(group("sudo:x:27:a,b\nbad\n")[0], ("sudo".to_owned(), 27, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(login_defs("#UID_MIN 5\nUID_MIN\t\t 1000\n", "UID_MIN"), Some(1000));
        let sources = nsswitch("# x\npasswd:  files [NOTFOUND=return SUCCESS=merge] sss # y\n", "passwd").unwrap();
        assert_eq!(sources, ["files", "sss"]);
        assert_eq!(nsswitch("group: files", "passwd"), None);
        assert_eq!(authorized_keys("# c\n\nssh-ed25519 AAAA x\n no-pty ssh-rsa BBBB\n"), 2);
    }
}
