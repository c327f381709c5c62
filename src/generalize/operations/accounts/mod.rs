//! Accounts of people: LG-04. Who is removed says the owner, by name: `ovf-env.xml` names one account at most, and may name a former one.

mod belongings;
mod databases;
mod fate;
mod sudo;

pub(super) use belongings::key_files;

use crate::facts::{Fact, UserFacts};
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};
use crate::rules::{people, sh};
use fate::Fate;
use std::collections::{BTreeMap, BTreeSet};

pub(super) static ACCOUNTS: Operation = Operation {
    name: "accounts",
    requirement: "LG-04",
    summary: "remove the accounts that are to go, with all that is theirs",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000:Ada,,,:/home/ada:/bin/bash\n"),
            ("/etc/shadow", "root:*:19000:0:99999:7:::\nada:$6$salt$hash:19000:0:99999:7:::\n"),
            ("/etc/group", "root:x:0:\nsudo:x:27:ada\nada:x:1000:\n"),
            ("/etc/gshadow", "root:*::\nsudo:*::ada\nada:!::\n"),
            ("/etc/subuid", "ada:100000:65536\n"),
            ("/etc/subgid", "ada:100000:65536\n"),
            ("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"),
            ("/etc/sudoers.d/90-cloud-init-users", "# User rules for ada\nada ALL=(ALL) NOPASSWD:ALL\n"),
            ("/home/ada/.bash_history", "mysql -psecret\n"),
            ("/home/ada/.ssh/authorized_keys", "ssh-ed25519 AAAA ada\n"),
            ("/var/mail/ada", "From x\n"),
            ("/var/spool/cron/crontabs/ada", "* * * * * true\n"),
        ],
        after: &[
            ("/etc/passwd", Some("root:x:0:0:root:/root:/bin/bash\n")),
            ("/etc/shadow", Some("root:*:19000:0:99999:7:::\n")),
            ("/etc/group", Some("root:x:0:\nsudo:x:27:\n")),
            ("/etc/gshadow", Some("root:*::\nsudo:*::\n")),
            ("/etc/subuid", Some("")),
            ("/etc/subgid", Some("")),
            ("/etc/sudoers.d/90-cloud-init-users", None),
            ("/home/ada/.bash_history", None),
            ("/home/ada/.ssh/authorized_keys", None),
            ("/var/mail/ada", None),
            ("/var/spool/cron/crontabs/ada", None),
        ],
    },
};

/// Accounts as the facts have them.
///
/// # Errors
///
/// When the databases could not be read, or are no regular files: what is not known cannot be called clean.
pub(super) fn users<'a>(system: &System<'a>) -> Result<&'a [UserFacts], Error> {
    databases::are_files(system.tree)?;
    match &system.linux.accounts.users {
        Fact::Known(users) => Ok(users),
        Fact::Absent => Ok(&[]),
        Fact::Unknown(reason) => Err(Error::Damaged(reason.0.clone()).at("/etc/passwd")),
    }
}

/// Names to keep or to remove that no account has, in their order.
#[must_use]
pub fn unknown_users<'a>(system: &System<'a>) -> Vec<&'a str> {
    let users = system.linux.accounts.users.value().into_iter().flatten();
    let names: BTreeSet<&str> = users.map(|user| user.name.as_str()).collect();
    let wanted = system.wishes.keep.iter().chain(&system.wishes.remove).map(String::as_str);
    wanted.filter(|name| !names.contains(name)).collect()
}

/// Names of accounts that are not removed, each with the reason.
#[must_use]
pub fn irremovable<'a>(system: &System<'a>) -> BTreeMap<&'a str, String> {
    let uid_min = system.linux.accounts.uid_min;
    let mut reasons = BTreeMap::new();
    for user in system.linux.accounts.users.value().into_iter().flatten() {
        let reason = if user.uid == 0 {
            "it is root: leave it out, and its password is locked and its keys are removed all the same".to_owned()
        } else if !user.person {
            format!("it is an account of the system (number {}; people's begin at {uid_min}), and programs may need it", user.uid)
        } else if user.name.contains(char::REPLACEMENT_CHARACTER) {
            "its name is not text, so that it cannot be told from others: remove it in the running guest".to_owned()
        } else {
            continue;
        };
        // Of accounts with the same name the first that is not removed.
        reasons.entry(user.name.as_str()).or_insert(reason);
    }
    reasons
}

/// Whether the owner wants the account to stay as it is.
pub(super) fn is_kept(system: &System<'_>, user: &UserFacts) -> bool {
    system.wishes.keep.contains(&user.name)
}

/// What lets somebody in, without a secret.
fn ways_in(user: &UserFacts) -> String {
    let password = match user.password.value().map(String::as_str) {
        Some("set") => "a password",
        Some("empty") => "an empty password",
        Some("locked_with_hash") => "the hash of a locked password",
        _ => "",
    };
    let keys = match user.authorized_keys.value().copied().unwrap_or_default() {
        0 => String::new(),
        1 => "1 SSH key".to_owned(),
        keys => format!("{keys} SSH keys"),
    };
    [password, &keys].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" and ")
}

/// An option for an account; one that begins with a dash would be taken for another option.
fn option(name: &str, user: &str) -> String {
    if user.starts_with('-') { format!("--{name}={}", sh(user)) } else { format!("--{name} {}", sh(user)) }
}

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let users = users(system)?;
    let fixed = irremovable(system);
    let goes = |user: &UserFacts| system.wishes.remove.contains(&user.name) && !fixed.contains_key(user.name.as_str());
    for name in &system.wishes.remove {
        if let Some(reason) = fixed.get(name.as_str()) {
            draft.problem(
                format!("the account {name} is not removed: {reason}"),
                vec![format!("leave out {}", option("remove-user", name))],
            );
        }
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for user in users.iter().filter(|user| user.person && !is_kept(system, user) && !goes(user)) {
        let opens = people::opens(user);
        if let Some(reason) = opens.reason() {
            return Err(Error::Damaged(format!("whether {} can log in is not known: {reason}", user.name)).at("/etc/passwd"));
        }
        if !seen.insert(&user.name) {
            continue;
        }
        let remove = (!fixed.contains_key(user.name.as_str())).then(|| option("remove-user", &user.name));
        if opens != Fact::Known(true) {
            stays(draft, user, remove.as_deref());
            continue;
        }
        let remedies = remove.into_iter().chain([option("keep-user", &user.name)]).collect();
        let message = format!("the account {} (uid {}) would be on every machine, with {}", user.name, user.uid, ways_in(user));
        draft.problem(message, remedies);
    }
    let fate = Fate::new(system.tree, users, goes)?;
    if !fate.gone.is_empty() {
        databases::edit(draft, &fate)?;
        sudo::edit(system, draft, &fate)?;
        for user in &fate.gone {
            belongings::remove(system, draft, user, &fate)?;
        }
        shut_out(system, draft, &fate);
    }
    belongings::remove_orphans(system, draft, users)
}

/// Tells of an account that stays, though nobody has said so, and by which option it would not.
fn stays(draft: &mut Draft<'_>, user: &UserFacts, remove: Option<&str>) {
    let (name, uid) = (&user.name, user.uid);
    let other = remove.map(|option| format!("; {option} removes it")).unwrap_or_default();
    draft.remains(format!("the account {name} (uid {uid}) stays, as no password and no SSH key lets anybody in with it{other}"), vec![]);
}

/// Tells where sshd admits nobody but those who go.
fn shut_out(system: &System<'_>, draft: &mut Draft<'_>, fate: &Fate<'_>) {
    let settings = system.linux.ssh.settings.value().into_iter().flatten();
    let allowed: Vec<_> = settings.filter(|setting| setting.keyword == "allowusers").collect();
    let is_gone = |word: &str| word.split('@').next().is_some_and(|name| fate.is_gone(name.as_bytes()));
    if let Some(first) = allowed.first()
        && allowed.iter().all(|setting| setting.value.split_ascii_whitespace().all(is_gone))
    {
        let message = format!("AllowUsers on line {} of {} admits nobody but accounts that are removed", first.line, first.path);
        draft.remains(message, vec![format!("sed -i '/^[[:space:]]*AllowUsers[[:space:]]/Id' {}", sh(&first.path))]);
    }
}

/// Names in a list, for people.
fn list(users: &[&UserFacts]) -> String {
    let mut names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests;
