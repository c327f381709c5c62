//! What several operations do with paths.

use crate::facts::Fact;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, System};
use crate::rules::Skip;

/// A fact that decides: what is unknown ends the operation.
pub(super) fn decisive<T>(fact: &Fact<T>) -> Result<Option<&T>, Error> {
    fact.known().map_err(|unknown| Error::Damaged(unknown.0))
}

/// Why something is not decided.
pub(super) fn reason(skip: Skip) -> String {
    match skip {
        Skip::NotApplicable(reason) | Skip::Undecided(reason) => reason,
    }
}

/// Removes the files and symlinks that match one of the patterns; directories stay.
pub(super) fn remove_files(system: &System<'_>, draft: &mut Draft<'_>, patterns: &[&str], why: &str) -> Result<(), Error> {
    for pattern in patterns {
        for path in draft.glob(pattern)? {
            if is_leaf(system, &path)? {
                draft.remove(&path, why)?;
            }
        }
    }
    Ok(())
}

fn is_leaf(system: &System<'_>, path: &str) -> Result<bool, Error> {
    Ok(system.tree.find_link(path)?.is_some_and(|found| found.node.kind != NodeKind::Directory))
}

/// Empties a directory. One that a symlink leads to is emptied only where the symlink leads to a directory of the same name, or to
/// another of those that are emptied: `/tmp` may lead to `/var/tmp`, and must not lead to `/`.
pub(super) fn empty(system: &System<'_>, draft: &mut Draft<'_>, path: &str, why: &str) -> Result<(), Error> {
    if is_own(system, path)? {
        draft.empty(path, why)?;
    } else {
        draft.remains(
            format!("{path} leads to another directory, which was left as it is"),
            vec![format!("Look through {path} and remove what belongs to this machine")],
        );
    }
    Ok(())
}

/// Whether a directory is where its path says, or at a place that is named alike; true where there is none.
pub(super) fn is_own(system: &System<'_>, path: &str) -> Result<bool, Error> {
    let Some(found) = system.tree.find(path)? else { return Ok(true) };
    Ok(found.names.last().map(Vec::as_slice) == path.rsplit('/').next().map(str::as_bytes))
}
