//! What an account has: its home, and files that bear its name elsewhere.

use super::super::place::{is_among_homes, is_file_name, may_be_home};
use super::fate::Fate;
use crate::facts::UserFacts;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, System};
use std::collections::BTreeSet;

/// Where a file or directory bears the name of its account; `userdel -r` removes the first two, and not always.
const BY_NAME: [&str; 11] = [
    "/var/mail",
    "/var/spool/mail",
    "/var/spool/cron/crontabs",
    "/var/spool/cron/tabs",
    "/var/spool/cron",
    "/var/lib/AccountsService/users",
    "/var/lib/AccountsService/icons",
    "/var/lib/systemd/linger",
    "/var/lib/sudo/lectured",
    "/var/lib/sudo/ts",
    "/var/db/sudo/lectured",
];
/// Jobs of at(1), which bear numbers; theirs is who owns the file.
const JOBS: [&str; 3] = ["/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs"];

/// Removes what is an account's own.
///
/// # Errors
///
/// When something cannot be read.
pub(super) fn remove(system: &System<'_>, draft: &mut Draft<'_>, user: &UserFacts, fate: &Fate<'_>) -> Result<(), Error> {
    home(system, draft, user, fate)?;
    let why = format!("it is of the account {}, which is removed", user.name);
    if is_file_name(&user.name) {
        for directory in BY_NAME {
            let path = format!("{directory}/{}", user.name);
            // What is called like a directory of cron's own is not the account's.
            let is_directory = system.tree.find_link(&path)?.is_some_and(|found| found.node.kind == NodeKind::Directory);
            if !is_directory || !directory.starts_with("/var/spool/cron") {
                draft.remove(&path, why.clone())?;
            }
        }
    }
    key_files(system, draft, user, &why)?;
    if !fate.number_is_gone(user.uid) {
        return Ok(());
    }
    for directory in JOBS {
        for name in draft.names(directory)? {
            let path = format!("{directory}/{name}");
            let found = system.tree.find_link(&path)?;
            if found.is_some_and(|found| found.node.kind == NodeKind::File && found.node.uid == Some(user.uid)) {
                draft.remove(&path, why.clone())?;
            }
        }
    }
    Ok(())
}

/// Removes the home where it is the account's own: where homes are, or owned by it; nobody else's, and no directory of the system.
fn home(system: &System<'_>, draft: &mut Draft<'_>, user: &UserFacts, fate: &Fate<'_>) -> Result<(), Error> {
    let stays = |draft: &mut Draft<'_>, reason: String| {
        draft.remains(format!("{} of the removed account {} stays, because {reason}", user.home, user.name), vec![]);
    };
    if !user.home.starts_with('/') {
        return Ok(());
    }
    if user.home.contains(char::REPLACEMENT_CHARACTER) {
        let message = format!("the home of {} has a name that is not text, and cannot be removed", user.name);
        draft.problem(message, vec!["remove the account in the running guest".to_owned()]);
        return Ok(());
    }
    let Some(found) = system.tree.find(&user.home)?.filter(|found| found.node.kind == NodeKind::Directory) else { return Ok(()) };
    if !may_be_home(&found.names) {
        // `/`, `/nonexistent`, `/var/lib/x`: programs' directories, which hold nothing of a person by their nature.
        stays(draft, "it is a directory of the system; look whether something of the account is in it".to_owned());
        return Ok(());
    }
    if !is_among_homes(&found.names) && found.node.uid != Some(user.uid) {
        stays(draft, "it is not where homes are, and belongs to another account".to_owned());
        return Ok(());
    }
    if let Some(other) = fate.lives_in(&found.names) {
        stays(draft, format!("the home of {other} is in it"));
        return Ok(());
    }
    let real = found.path();
    let why = format!("it is the home of {}, which is removed", user.name);
    draft.remove(&real, why.clone())?;
    // The last name may have been a link to it.
    let link = user.home.trim_end_matches('/');
    if link != real && system.tree.find_link(link)?.is_some_and(|found| found.node.kind == NodeKind::Symlink) {
        draft.remove(link, why)?;
    }
    Ok(())
}

/// Keys that sshd is told to look for outside homes, in a file for each account.
pub(in crate::generalize::operations) fn key_files(
    system: &System<'_>,
    draft: &mut Draft<'_>,
    user: &UserFacts,
    why: &str,
) -> Result<(), Error> {
    if !is_file_name(&user.name) {
        return Ok(());
    }
    let settings = system.linux.ssh.settings.value().into_iter().flatten();
    let patterns =
        settings.filter(|setting| setting.keyword == "authorizedkeysfile").flat_map(|setting| setting.value.split_ascii_whitespace());
    for pattern in patterns.filter(|pattern| pattern.starts_with('/') && pattern.contains("%u") && !pattern.contains("%h")) {
        let path = pattern.replace("%u", &user.name);
        if system.tree.find_link(&path)?.is_some_and(|found| found.node.kind == NodeKind::File) {
            draft.remove(&path, why)?;
        }
    }
    Ok(())
}

/// Removes what bears the name of an account that is there no more: whoever gets that name would take it over. Not where accounts come
/// from a directory service too, whose names are not on the disk.
///
/// # Errors
///
/// When something cannot be read.
pub(super) fn remove_orphans(system: &System<'_>, draft: &mut Draft<'_>, users: &[UserFacts]) -> Result<(), Error> {
    let local = |source: &String| matches!(source.as_str(), "files" | "compat" | "db" | "systemd" | "altfiles");
    let sources = system.linux.accounts.sources.value();
    if users.is_empty() || sources.is_some_and(|sources| !sources.iter().all(local)) {
        return Ok(());
    }
    let names: BTreeSet<&str> = users.iter().map(|user| user.name.as_str()).collect();
    for path in system.linux.accounts.belongings.value().into_iter().flatten() {
        let name = path.rsplit('/').next().unwrap_or_default();
        if !names.contains(name) && !name.starts_with('.') {
            draft.remove(path, format!("there is no account {name} any more, and a new one of that name would take it over"))?;
        }
    }
    Ok(())
}
