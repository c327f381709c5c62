//! What operations plan: a guest as it will be, without anything having been written.

use super::{Action, Change, Create, Operation, Planned, Problem, Remaining, Unlink, Write};
use crate::bytes::{int_usize, read_vec};
use crate::fs::{Error, Found, MAX_FILE, NodeId, NodeKind, Tree};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// A path as names from the guest's root, without symlinks.
type Names = Vec<Vec<u8>>;

/// Names that are removed at most, and how deep directories may lie in each other.
const MAX_REMOVED: usize = 1 << 20;
const MAX_DEPTH: usize = 128;
/// The attribute that holds a SELinux label; a new file has that of its directory, as the kernel gives it where policy says nothing.
const LABEL: &str = "security.selinux";

/// A guest with planned changes over it.
#[derive(Debug)]
pub struct Draft<'a> {
    tree: &'a Tree,
    operation: &'static str,
    requirement: &'static str,
    gone: BTreeSet<Names>,
    unlinks: Vec<Unlink>,
    writes: BTreeMap<Names, Write>,
    creates: BTreeMap<Names, Create>,
    changes: Vec<Change>,
    problems: Vec<Problem>,
    remaining: Vec<Remaining>,
}

impl<'a> Draft<'a> {
    /// The guest as it is.
    #[must_use]
    pub fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            operation: "",
            requirement: "",
            gone: BTreeSet::new(),
            unlinks: vec![],
            writes: BTreeMap::new(),
            creates: BTreeMap::new(),
            changes: vec![],
            problems: vec![],
            remaining: vec![],
        }
    }

    /// What is planned from here on is this operation's.
    pub(super) fn begin(&mut self, operation: &'static Operation) {
        self.operation = operation.name;
        self.requirement = operation.requirement;
    }

    /// Everything, in the order in which it can be done.
    #[must_use]
    pub fn finish(self) -> Planned {
        Planned {
            changes: self.changes,
            problems: self.problems,
            remaining: self.remaining,
            unlinks: self.unlinks,
            writes: self.writes.into_values().collect(),
            creates: self.creates.into_values().collect(),
        }
    }

    fn is_gone(&self, names: &[Vec<u8>]) -> bool {
        // A name whose directory is gone is in the set itself.
        self.gone.contains(names)
    }

    /// What stands at a path now; symlinks at its end are followed where `follow` says so.
    fn find(&self, path: &str, follow: bool) -> Result<Option<Found<'a>>, Error> {
        let found = if follow { self.tree.find(path)? } else { self.tree.find_link(path)? };
        Ok(found.filter(|found| !self.is_gone(&found.names)))
    }

    /// The place of a file that is to be made, or was: names of its directory without symlinks, and its own.
    fn place(&self, path: &str) -> Result<Option<(Found<'a>, Names)>, Error> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(found) = self.find(if directory.is_empty() { "/" } else { directory }, true)? else { return Ok(None) };
        let names = found.names.iter().cloned().chain([name.as_bytes().to_vec()]).collect();
        Ok(Some((found, names)))
    }

    /// Whether a path leads to anything.
    ///
    /// # Errors
    ///
    /// When something on the way cannot be read.
    pub fn exists(&self, path: &str) -> Result<bool, Error> {
        let made = self.place(path)?.is_some_and(|(_, names)| self.creates.contains_key(&names));
        Ok(made || self.find(path, false)?.is_some())
    }

    /// The content of a regular file as it is planned, symlinks followed; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is longer than [`MAX_FILE`].
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Some((_, names)) = self.place(path)?
            && let Some(new) = self.creates.get(&names)
        {
            return Ok(Some(new.content.clone()));
        }
        match self.find(path, true)?.filter(|found| found.node.kind == NodeKind::File) {
            Some(found) => self.content(&found).map(Some).map_err(|error| error.at(path)),
            None => Ok(None),
        }
    }

    fn content(&self, found: &Found<'_>) -> Result<Vec<u8>, Error> {
        if let Some(write) = self.writes.get(&found.names) {
            return Ok(write.content.clone());
        }
        if found.node.size > MAX_FILE {
            return Err(Error::Unsupported(format!("a file of {} bytes is not changed", found.node.size)));
        }
        let bytes = found.mount.fs.open(found.id)?;
        Ok(read_vec(&*bytes, 0, int_usize(bytes.size().min(MAX_FILE)))?)
    }

    /// A text file as it is planned; bytes that are not UTF-8 replaced, so this is for looking, not for [`Draft::rewrite`].
    ///
    /// # Errors
    ///
    /// As [`Draft::read`].
    pub fn text(&self, path: &str) -> Result<Option<String>, Error> {
        Ok(self.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Names in a directory that are still there, sorted; none where there is no directory.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn names(&self, path: &str) -> Result<Vec<String>, Error> {
        let mut names = self.tree.names(path)?;
        let mut fault = None;
        names.retain(|name| match self.find(&format!("{}/{name}", path.trim_end_matches('/')), false) {
            Ok(found) => found.is_some(),
            Err(error) => {
                fault.get_or_insert(error);
                true
            }
        });
        fault.map_or(Ok(names), Err)
    }

    /// Paths that match a pattern and are still there, as [`Tree::glob`] finds them.
    ///
    /// # Errors
    ///
    /// When a directory on the way cannot be read.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>, Error> {
        let mut kept = Vec::new();
        for path in self.tree.glob(pattern)? {
            if self.find(&path, false)?.is_some() {
                kept.push(path);
            }
        }
        Ok(kept)
    }

    /// Removes a file, a symlink (not what it leads to), or a directory with all in it; says whether there was anything. Where another
    /// file system is mounted, that one is emptied.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn remove(&mut self, path: &str, why: impl Into<String>) -> Result<bool, Error> {
        let Some(found) = self.find(path, false)? else { return Ok(false) };
        let names = self.unlink(&found, true).map_err(|error| error.at(path))?;
        if names > 0 {
            let action = if found.directory.is_some() { Action::Removed { names } } else { Action::Emptied { names } };
            self.change(&found.names, action, why);
        }
        Ok(names > 0)
    }

    /// Removes a path unless it is a symlink: a file of its own where others have a link. Says whether there was any.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn remove_unless_link(&mut self, path: &str, why: impl Into<String>) -> Result<bool, Error> {
        match self.find(path, false)? {
            Some(found) if found.node.kind != NodeKind::Symlink => self.remove(path, why),
            _ => Ok(false),
        }
    }

    /// Removes what is in a directory; says how many names. The directory, or the symlink that leads to it, stays.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn empty(&mut self, path: &str, why: impl Into<String>) -> Result<usize, Error> {
        let Some(found) = self.find(path, true)?.filter(|found| found.node.kind == NodeKind::Directory) else { return Ok(0) };
        let names = self.unlink(&found, false).map_err(|error| error.at(path))?;
        if names > 0 {
            self.change(&found.names, Action::Emptied { names }, why);
        }
        Ok(names)
    }

    /// Leaves a file without content; says whether it had any.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn truncate(&mut self, path: &str, why: impl Into<String>) -> Result<bool, Error> {
        let Some(found) = self.find(path, true)?.filter(|found| found.node.kind == NodeKind::File) else { return Ok(false) };
        let empty = self.writes.get(&found.names).map_or(found.node.size == 0, |write| write.content.is_empty());
        if !empty {
            self.put(&found, vec![], Action::Truncated, why);
        }
        Ok(!empty)
    }

    /// Gives a file other content; says whether that is a change. The file must exist.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not there.
    pub fn rewrite(&mut self, path: &str, content: Vec<u8>, why: impl Into<String>) -> Result<bool, Error> {
        if let Some((_, names)) = self.place(path)?
            && let Some(new) = self.creates.get_mut(&names)
        {
            let differs = new.content != content;
            new.content = content;
            return Ok(differs);
        }
        let Some(found) = self.find(path, true)?.filter(|found| found.node.kind == NodeKind::File) else {
            return Err(Error::Damaged("there is no such file to change".to_owned()).at(path));
        };
        if self.content(&found).map_err(|error| error.at(path))? == content {
            return Ok(false);
        }
        self.put(&found, content, Action::Rewritten, why);
        Ok(true)
    }

    /// Goes through the lines of a file, each given without its line break: `None` drops it, the same keeps it. Says whether anything
    /// changed; a file that does not exist has no lines.
    ///
    /// # Errors
    ///
    /// As [`Draft::rewrite`].
    pub fn lines(&mut self, path: &str, why: impl Into<String>, mut each: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Result<bool, Error> {
        let Some(before) = self.read(path)? else { return Ok(false) };
        let mut after = Vec::with_capacity(before.len());
        for line in before.split_inclusive(|byte| *byte == b'\n') {
            let (bare, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |bare| (bare, b"\n"));
            if let Some(kept) = each(bare) {
                after.extend(kept);
                after.extend(end);
            }
        }
        self.rewrite(path, after, why)
    }

    /// Makes a file, root's, with the SELinux label of its directory; one that is there already gets the content.
    ///
    /// # Errors
    ///
    /// When its directory is not there, or cannot be read.
    pub fn create(&mut self, path: &str, mode: u16, content: Vec<u8>, why: impl Into<String>) -> Result<(), Error> {
        if self.exists(path)? {
            return self.rewrite(path, content, why).map(drop);
        }
        let Some((found, names)) = self.place(path)? else {
            return Err(Error::Damaged("there is no directory for it".to_owned()).at(path));
        };
        if self.gone.contains(&names) {
            return Err(Error::Unsupported("removed and made again".to_owned()).at(path));
        }
        let label = found.mount.fs.attribute(found.id, LABEL).map_err(|error| error.at(path))?;
        let create = Create {
            mount: found.mount.place(),
            directory: found.id,
            name: names.last().cloned().unwrap_or_default(),
            mode,
            owner: (0, 0),
            attributes: label.into_iter().map(|label| (LABEL.to_owned(), label)).collect(),
            content,
            path: names.clone(),
        };
        self.creates.insert(names.clone(), create);
        self.change(&names, Action::Created, why);
        Ok(())
    }

    /// Somebody must decide before this disk becomes a template.
    pub fn problem(&mut self, message: impl Into<String>, remedies: Vec<String>) {
        let (operation, requirement) = (self.operation, self.requirement);
        self.problems.push(Problem { operation, requirement, message: message.into(), remedies });
    }

    /// Only the running guest can do this.
    pub fn remains(&mut self, message: impl Into<String>, commands: Vec<String>) {
        self.remaining.push(Remaining { operation: self.operation, message: message.into(), commands });
    }

    fn put(&mut self, found: &Found<'_>, content: Vec<u8>, action: Action, why: impl Into<String>) {
        let write = Write { mount: found.mount.place(), node: found.id, content, path: found.names.clone() };
        self.writes.insert(found.names.clone(), write);
        self.change(&found.names, action, why);
    }

    fn change(&mut self, names: &[Vec<u8>], action: Action, why: impl Into<String>) {
        let path = if names.is_empty() {
            "/".to_owned()
        } else {
            names.iter().map(|name| format!("/{}", String::from_utf8_lossy(name))).collect()
        };
        let (operation, requirement) = (self.operation, self.requirement);
        self.changes.push(Change { operation, requirement, path, action, why: why.into() });
    }

    /// Plans the removal of all below a node, the inner first, and of itself where `whole` says so and nothing is mounted there.
    fn unlink(&mut self, found: &Found<'_>, whole: bool) -> Result<usize, Error> {
        let mut removal = Removal { draft: self, mount: found.mount.place(), removed: 0 };
        let kept = if found.node.kind == NodeKind::Directory { removal.below(found, found.id, &found.names, 0)? } else { false };
        if let Some(directory) = found.directory.filter(|_| whole && !kept) {
            removal.take(directory, found.id, found.node.kind, &found.names)?;
        }
        Ok(removal.removed)
    }
}

/// A removal under way.
struct Removal<'d, 'a> {
    draft: &'d mut Draft<'a>,
    mount: usize,
    removed: usize,
}

impl Removal<'_, '_> {
    /// Takes everything in a directory; says whether something must stay, because another file system is mounted on it.
    fn below(&mut self, found: &Found<'_>, directory: NodeId, names: &[Vec<u8>], depth: usize) -> Result<bool, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::Unsupported(format!("directories lie more than {MAX_DEPTH} deep")));
        }
        let mut entries = Vec::new();
        found.mount.fs.entries(directory, &mut |entry| {
            entries.push(entry);
            if entries.len() > MAX_REMOVED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut kept = false;
        for entry in entries {
            let path: Names = names.iter().cloned().chain([entry.name]).collect();
            if self.draft.is_gone(&path) {
                continue;
            }
            if self.draft.is_mounted_on(&path) {
                kept = true;
                continue;
            }
            let kind = found.mount.fs.node(entry.node)?.kind;
            if kind == NodeKind::Directory && self.below(found, entry.node, &path, depth.saturating_add(1))? {
                kept = true;
                continue;
            }
            self.take(directory, entry.node, kind, &path)?;
        }
        Ok(kept)
    }

    fn take(&mut self, directory: NodeId, node: NodeId, kind: NodeKind, path: &[Vec<u8>]) -> Result<(), Error> {
        self.removed = self.removed.saturating_add(1);
        if self.draft.unlinks.len() >= MAX_REMOVED {
            return Err(Error::Unsupported(format!("more than {MAX_REMOVED} names would be removed")));
        }
        self.draft.writes.remove(path);
        self.draft.creates.remove(path);
        self.draft.gone.insert(path.to_vec());
        let name = path.last().cloned().unwrap_or_default();
        self.draft.unlinks.push(Unlink { mount: self.mount, directory, name, node, kind, path: path.to_vec() });
        Ok(())
    }
}

impl Draft<'_> {
    /// Whether a file system is mounted at a path.
    fn is_mounted_on(&self, path: &[Vec<u8>]) -> bool {
        self.tree.mounts().any(|mount| {
            let mut at = mount.at.split('/').filter(|part| !part.is_empty()).map(str::as_bytes);
            let mut here = path.iter().map(Vec::as_slice);
            loop {
                match (at.next(), here.next()) {
                    (None, None) => break true,
                    (Some(a), Some(b)) if a == b => {}
                    _ => break false,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
