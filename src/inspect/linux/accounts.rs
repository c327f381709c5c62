//! Accounts: who can log in and how.

use super::mounts::optional;
use super::sudo;
use crate::facts::{AccountBackupFacts, AccountsFacts, Fact, SudoFacts, UserFacts};
use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::accounts::{self, Password, Shadow, User};
use std::collections::{BTreeMap, BTreeSet};

/// The lowest number of a person's account where `login.defs` is silent (login.defs(5)).
const UID_MIN: u32 = 1000;
/// Accounts that are looked at; more are no installation's.
const MAX_USERS: usize = 10_000;
/// Where accounts have files outside their homes; the last part of a path is the account's name.
const BELONGINGS: [&str; 6] = [
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/*",
    "/var/mail/*",
    "/var/lib/AccountsService/users/*",
    "/var/lib/systemd/linger/*",
    "/var/spool/cron/tabs/*",
];

/// What the databases say, before homes are looked into.
struct Databases {
    users: Vec<User>,
    shadow: Result<BTreeMap<String, Shadow>, Error>,
    groups: Result<Groups, Error>,
    sudo: Fact<SudoFacts>,
    uid_min: u32,
}

/// Groups in the order of their file, found by number and by member: an account is looked up in all of them.
#[derive(Default)]
struct Groups {
    names: Vec<String>,
    by_number: BTreeMap<u32, Vec<usize>>,
    by_member: BTreeMap<String, Vec<usize>>,
}

impl Groups {
    fn new(lines: Vec<(String, u32, Vec<String>)>) -> Self {
        let mut groups = Self::default();
        for (place, (name, number, members)) in lines.into_iter().enumerate() {
            groups.names.push(name);
            groups.by_number.entry(number).or_default().push(place);
            for member in members {
                groups.by_member.entry(member).or_default().push(place);
            }
        }
        groups
    }

    /// The groups of an account, in the order of their file.
    fn of(&self, user: &User) -> Vec<String> {
        let places: BTreeSet<usize> =
            self.by_number.get(&user.gid).into_iter().chain(self.by_member.get(&user.name)).flatten().copied().collect();
        places.iter().filter_map(|place| self.names.get(*place)).cloned().collect()
    }
}

/// Learns `accounts`.
pub(super) fn accounts(tree: &Tree) -> AccountsFacts {
    let uid_min = tree.text("/etc/login.defs").ok().flatten().and_then(|text| accounts::login_defs(&text, "UID_MIN")).unwrap_or(UID_MIN);
    let shadow = tree.text("/etc/shadow").map(|text| {
        let mut lines = BTreeMap::new();
        for line in accounts::shadow(&text.unwrap_or_default()) {
            // The first line of a name is the one that counts.
            lines.entry(line.name.clone()).or_insert(line);
        }
        lines
    });
    let by_waagent = match &shadow {
        Ok(lines) => lines.get("root").map(|line| line.by_waagent).into(),
        Err(error) => Fact::unknown(error.to_string()),
    };
    let sudo = sudo::sudo(tree);
    let users = optional(tree.text("/etc/passwd")).map(|text| accounts::passwd(&text));
    let names: BTreeSet<String> = users.value().into_iter().flatten().map(|user| user.name.clone()).collect();
    AccountsFacts {
        users: match users {
            Fact::Known(users) if users.len() > MAX_USERS => Fact::unknown(format!("/etc/passwd has more than {MAX_USERS} accounts")),
            Fact::Known(users) => {
                let groups = tree.text("/etc/group").map(|text| Groups::new(accounts::group(&text.unwrap_or_default())));
                let databases = Databases { users, shadow, groups, sudo: sudo.clone(), uid_min };
                Fact::Known(databases.users.iter().map(|user| user_facts(tree, user, &databases)).collect())
            }
            Fact::Absent => Fact::Absent,
            Fact::Unknown(reason) => Fact::Unknown(reason),
        },
        uid_min,
        root_locked_by_waagent: by_waagent,
        sources: optional(tree.text("/etc/nsswitch.conf").map(|text| text.and_then(|text| accounts::nsswitch(&text, "passwd")))),
        backups: backups(tree, &names).into(),
        sudo,
        belongings: belongings(tree).into(),
    }
}

fn user_facts(tree: &Tree, user: &User, databases: &Databases) -> UserFacts {
    let shadow = match &databases.shadow {
        Ok(lines) => Ok(lines.get(&user.name)),
        Err(error) => Err(error.clone()),
    };
    let password = match (user.password, &shadow) {
        (Password::Shadowed, Ok(Some(line))) => Fact::Known(line.password),
        // Without its line in the shadow file no password fits.
        (Password::Shadowed, Ok(None)) => Fact::Known(Password::Locked),
        (Password::Shadowed, Err(error)) => Fact::unknown(error.to_string()),
        (own, _) => Fact::Known(own),
    };
    let authorized_keys: Fact<usize> = authorized_keys(tree, user).into();
    let groups = groups_of(user, databases);
    let shell = !["nologin", "false", "sync", "halt", "shutdown"].iter().any(|end| user.shell.rsplit('/').next() == Some(end));
    UserFacts {
        person: user.uid >= databases.uid_min && user.uid < 65_534 && user.name != "nobody",
        can_log_in: can_log_in(shell, &password, &authorized_keys),
        can_become_root: sudo::can_become_root(&databases.sudo, user, &groups),
        groups: groups.value().cloned().unwrap_or_default(),
        password: password.map(|password| word(password).to_owned()),
        expires_day: shadow.ok().flatten().and_then(|line| line.expires),
        authorized_keys,
        private_keys: private_keys(tree, user).into(),
        name: user.name.clone(),
        uid: user.uid,
        gid: user.gid,
        home: user.home.clone(),
        shell: user.shell.clone(),
    }
}

fn word(password: Password) -> &'static str {
    match password {
        Password::Empty => "empty",
        Password::Shadowed | Password::Locked => "locked",
        Password::LockedWithHash => "locked_with_hash",
        Password::Set => "set",
    }
}

fn can_log_in(shell: bool, password: &Fact<Password>, keys: &Fact<usize>) -> Fact<bool> {
    if !shell {
        return Fact::Known(false);
    }
    let by_password = password.value().map(|password| matches!(password, Password::Set | Password::Empty));
    let by_key = keys.value().map(|keys| *keys > 0);
    match (by_password, by_key) {
        (Some(true), _) | (_, Some(true)) => Fact::Known(true),
        (Some(false), Some(false)) => Fact::Known(false),
        _ => Fact::unknown(password.reason().or_else(|| keys.reason()).unwrap_or("its password is not known")),
    }
}

fn groups_of(user: &User, databases: &Databases) -> Fact<Vec<String>> {
    match &databases.groups {
        Ok(groups) => Fact::Known(groups.of(user)),
        Err(error) => Fact::unknown(error.to_string()),
    }
}

/// Where sshd looks by default (sshd_config(5), `AuthorizedKeysFile`).
fn authorized_keys(tree: &Tree, user: &User) -> Result<usize, Error> {
    let mut count = 0_usize;
    if user.home.starts_with('/') {
        for name in ["authorized_keys", "authorized_keys2"] {
            let text = tree.text(&format!("{}/.ssh/{name}", user.home))?;
            count = count.saturating_add(text.map_or(0, |text| accounts::authorized_keys(&text)));
        }
    }
    Ok(count)
}

fn private_keys(tree: &Tree, user: &User) -> Result<Vec<String>, Error> {
    if !user.home.starts_with('/') || user.home == "/" {
        return Ok(vec![]);
    }
    let mut paths = tree.glob(&format!("{}/.ssh/id_*", user.home.replace('*', "")))?;
    paths.retain(|path| !path.ends_with(".pub"));
    Ok(paths)
}

fn backups(tree: &Tree, names: &BTreeSet<String>) -> Result<Vec<AccountBackupFacts>, Error> {
    let mut out = Vec::new();
    let bases = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
    let ends = ["-", ".bak", ".old", ".backup", ".org", "~"];
    for path in bases.iter().flat_map(|base| ends.iter().map(move |end| format!("/etc/{base}{end}"))) {
        let Some(text) = tree.text(&path)? else { continue };
        // The first field is an account in all of them but the databases of groups, where it is a group.
        let of_groups = path.contains("group") || path.contains("gshadow");
        let first = |line: &str| line.split(':').next().filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned);
        let mut deleted: Vec<String> =
            if of_groups { vec![] } else { text.lines().filter_map(first).filter(|name| !names.contains(name)).collect() };
        deleted.dedup();
        let hashed = accounts::shadow(&text).into_iter().filter(|line| matches!(line.password, Password::Set | Password::LockedWithHash));
        let accounts_with_hash = if of_groups { vec![] } else { hashed.map(|line| line.name).collect() };
        out.push(AccountBackupFacts { path, deleted_accounts: deleted, accounts_with_hash });
    }
    Ok(out)
}

fn belongings(tree: &Tree) -> Result<Vec<String>, Error> {
    let mut paths = Vec::new();
    for pattern in BELONGINGS {
        for path in tree.glob(pattern)? {
            if tree.find_link(&path)?.is_some_and(|found| found.node.kind == NodeKind::File) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nazureuser:x:1000:1000::/home/azureuser:/bin/bash\n\
                          keyonly:x:1001:1001::/home/keyonly:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n";
    const SHADOW: &str =
        "root:*LOCK*:14600::::::\ndaemon:*:19000:::::\nazureuser:$6$salt$secrethash:19000:::::20000:\nkeyonly:!:19000:::::\n";

    #[test]
    fn who_can_log_in() {
        let facts = accounts(&tree(&[
            ("/etc/passwd", PASSWD),
            ("/etc/shadow", SHADOW),
            ("/etc/group", "root:x:0:\nsudo:x:27:azureuser\nkeyonly:x:1001:\n"),
            ("/etc/sudoers", "%sudo ALL=(ALL:ALL) ALL\n"),
            ("/etc/nsswitch.conf", "passwd: files systemd\n"),
            ("/home/keyonly/.ssh/authorized_keys", "ssh-ed25519 AAAA\n"),
            ("/home/azureuser/.ssh/id_ed25519", "PRIVATE"),
            ("/home/azureuser/.ssh/id_ed25519.pub", "public"),
            ("/etc/shadow-", "gone:$6$x$oldhash:1:::::\nroot:*:1:::::\n"),
            ("/etc/group-", "gone:x:1005:\n"),
            ("/var/spool/cron/crontabs/azureuser", "x"),
        ]));
        let users = facts.users.value().unwrap();
        let login: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.person, user.can_log_in.value().copied())).collect();
        assert_eq!(
            login,
            [
                ("root", false, Some(false)),
                ("daemon", false, Some(false)),
                ("azureuser", true, Some(true)),
                ("keyonly", true, Some(true)),
                ("nobody", false, Some(false)),
            ]
        );
        assert_eq!(users[2].private_keys, Fact::Known(vec!["/home/azureuser/.ssh/id_ed25519".to_owned()]));
        assert_eq!(users[2].can_become_root, Fact::Known(true));
        assert_eq!(users[3].can_become_root, Fact::Known(false));
        assert_eq!(users[2].expires_day, Some(20000));
        assert_eq!(facts.root_locked_by_waagent, Fact::Known(true));
        assert_eq!(facts.belongings, Fact::Known(vec!["/var/spool/cron/crontabs/azureuser".to_owned()]));
        let backups = facts.backups.value().unwrap();
        assert_eq!(backups.len(), 2);
        assert_eq!(
            (backups[0].deleted_accounts.as_slice(), backups[0].accounts_with_hash.as_slice()),
            (&["gone".to_owned()][..], &["gone".to_owned()][..])
        );
        let told = serde_json::to_string(&facts).unwrap();
        assert!(
            !told.contains("hash:") && !told.contains("secrethash") && !told.contains("oldhash") && !told.contains("PRIVATE"),
            "{told}"
        );
    }

    #[test]
    fn an_unreadable_shadow_file_leaves_logins_unknown() {
        let facts = accounts(&tree(&[("/etc/passwd", PASSWD), ("/etc/shadow", "!damaged"), ("/home/keyonly/.ssh/authorized_keys", "k\n")]));
        let users = facts.users.value().unwrap();
        assert!(users[2].can_log_in.reason().is_some());
        assert_eq!(users[3].can_log_in, Fact::Known(true));
        assert_eq!(users[1].can_log_in, Fact::Known(false));
        assert!(facts.root_locked_by_waagent.reason().is_some());
        assert_eq!(accounts(&tree(&[])).users, Fact::Absent);
    }
}
