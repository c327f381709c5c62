//! The lines of an account in passwd, shadow, group, gshadow, subuid and subgid.

use super::fate::Fate;
use super::list;
use crate::fs::{Error, NodeKind, Tree};
use crate::generalize::Draft;
use crate::guest::linux::account_lines::{field, names, without_names};
use std::collections::BTreeSet;

/// Fails where a name of a database leads to something else than a regular file, or to nothing: what a running guest would find there is
/// not known, and it is not the same as no database.
pub(super) fn are_files(tree: &Tree) -> Result<(), Error> {
    for path in ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"] {
        if tree.find_link(path)?.is_none() {
            continue;
        }
        let is = match tree.find(path)? {
            Some(found) if found.node.kind == NodeKind::File => continue,
            Some(found) => format!("a {}", found.node.kind),
            None => "a symlink that leads to nothing on the disk".to_owned(),
        };
        let why = format!("an account database that is {is}, not a regular file; put a file there in the running guest");
        return Err(Error::Unsupported(why).at(path));
    }
    Ok(())
}

/// Takes accounts out of every database.
///
/// # Errors
///
/// When one cannot be read.
pub(super) fn edit(draft: &mut Draft<'_>, fate: &Fate<'_>) -> Result<(), Error> {
    let is_gone = |name: &[u8]| fate.is_gone(name);
    let number = |name: &[u8]| {
        let uid = std::str::from_utf8(name).ok().and_then(|text| text.parse::<u32>().ok());
        uid.is_some_and(|uid| fate.number_is_gone(uid))
    };
    let why = format!("{} would be on every machine", list(&fate.gone));
    let own = |line: &[u8]| field(line, 0).is_some_and(is_gone);
    for path in ["/etc/passwd", "/etc/shadow"] {
        draft.lines(path, why.clone(), |line| (!own(line)).then(|| line.to_vec()))?;
    }
    // As userdel(8) does with USERGROUPS_ENAB: the group of the account's own name goes where nobody else is in it.
    let mut groups: BTreeSet<Vec<u8>> = BTreeSet::new();
    let is_own_group = |line: &[u8]| {
        let gid = field(line, 2).and_then(|gid| std::str::from_utf8(gid).ok()).and_then(|gid| gid.parse::<u32>().ok());
        fate.is_own_group(field(line, 0).unwrap_or_default(), gid) && names(line, 3).all(is_gone)
    };
    draft.lines("/etc/group", why.clone(), |line| {
        if is_own_group(line) {
            groups.insert(field(line, 0).unwrap_or_default().to_vec());
            return None;
        }
        Some(without_names(line, 3, is_gone))
    })?;
    draft.lines("/etc/gshadow", why.clone(), |line| {
        let name = field(line, 0).unwrap_or_default();
        if groups.contains(name) {
            return None;
        }
        Some(without_names(&without_names(line, 2, is_gone), 3, is_gone))
    })?;
    for path in ["/etc/subuid", "/etc/subgid"] {
        draft.lines(path, why.clone(), |line| {
            let owner = field(line, 0).unwrap_or_default();
            (!is_gone(owner) && !number(owner)).then(|| line.to_vec())
        })?;
    }
    Ok(())
}
