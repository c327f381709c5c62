//! What operations plan: a guest as it will be, without anything having been written.
//!
//! Everything is kept by node and by name in its directory, not by path: a file system that is mounted twice and a file that has two names
//! are one, whichever path leads there. What is planned is what is seen: a removed name leads nowhere, nor does a symlink or a directory
//! that is gone, and a file that is made is read and listed like any other.

mod removal;

use super::{Action, Change, Create, Operation, Planned, Problem, Remaining, Unlink, Write};
use crate::bytes::{int_usize, read_vec};
use crate::fs::{Entry, Error, Found, MAX_ENTRIES, MAX_FILE, Mount, NodeId, NodeKind, Tree, glob};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A node: the first mount of its file system, and its number there.
type NodeKey = (usize, NodeId);
/// A name in a directory.
type NameKey = (usize, NodeId, Vec<u8>);

/// The attribute that holds a SELinux label; a new file has that of its directory, as the kernel gives it where policy says nothing.
const LABEL: &str = "security.selinux";
/// Bytes of a name, as Linux has it (`NAME_MAX`).
const MAX_NAME: usize = 255;

/// A guest with planned changes over it.
#[derive(Debug)]
pub struct Draft<'a> {
    tree: &'a Tree,
    operation: &'static str,
    requirement: &'static str,
    /// By place of a mount: the first mount of the same file system.
    first: Vec<usize>,
    /// Directories that other file systems are mounted on.
    points: BTreeSet<NodeKey>,
    gone: BTreeSet<NameKey>,
    /// Names that each node loses.
    lost: BTreeMap<NodeKey, u32>,
    unlinks: Vec<Unlink>,
    writes: BTreeMap<NodeKey, Write>,
    creates: BTreeMap<NameKey, Create>,
    changes: Vec<(About, Change)>,
    problems: Vec<Problem>,
    remaining: Vec<Remaining>,
}

/// What a change is about; the change is withdrawn when that comes to nothing.
#[derive(Debug, PartialEq, Eq)]
enum About {
    Names,
    Written(NodeKey),
    Made(NameKey),
}

impl<'a> Draft<'a> {
    /// The guest as it is.
    #[must_use]
    pub fn new(tree: &'a Tree) -> Self {
        let first = |mount: &Mount| tree.mounts().position(|one| Arc::ptr_eq(&one.fs, &mount.fs)).unwrap_or_default();
        let mut draft = Self {
            tree,
            operation: "",
            requirement: "",
            first: tree.mounts().map(first).collect(),
            points: BTreeSet::new(),
            gone: BTreeSet::new(),
            lost: BTreeMap::new(),
            unlinks: vec![],
            writes: BTreeMap::new(),
            creates: BTreeMap::new(),
            changes: vec![],
            problems: vec![],
            remaining: vec![],
        };
        draft.points = tree.mounts().filter_map(|mount| draft.point(mount)).collect();
        draft
    }

    /// The directory that a file system is mounted on. What cannot be read has none that could be removed either.
    fn point(&self, mount: &Mount) -> Option<NodeKey> {
        let (above, name) = mount.at.trim_end_matches('/').rsplit_once('/')?;
        let above = self.walk(if above.is_empty() { b"/" } else { above.as_bytes() }, true).ok().flatten()?;
        let node = above.mount.fs.lookup(above.id, name.as_bytes()).ok().flatten()?;
        Some(self.node_key(above.mount, node))
    }

    fn node_key(&self, mount: &Mount, node: NodeId) -> NodeKey {
        (self.first.get(mount.place()).copied().unwrap_or_default(), node)
    }

    fn name_key(&self, mount: &Mount, directory: NodeId, name: &[u8]) -> NameKey {
        (self.node_key(mount, directory).0, directory, name.to_vec())
    }

    /// What is planned from here on is this operation's.
    pub(super) fn begin(&mut self, operation: &'static Operation) {
        self.operation = operation.name;
        self.requirement = operation.requirement;
    }

    /// Everything, in the order in which it can be done.
    #[must_use]
    pub fn finish(self) -> Planned {
        let mut writes: Vec<Write> = self.writes.into_values().collect();
        writes.sort_by(|a, b| a.path.cmp(&b.path));
        let mut creates: Vec<Create> = self.creates.into_values().collect();
        creates.sort_by(|a, b| a.path.cmp(&b.path));
        Planned {
            changes: self.changes.into_iter().map(|(_, change)| change).collect(),
            problems: self.problems,
            remaining: self.remaining,
            unlinks: self.unlinks,
            writes,
            creates,
        }
    }

    fn is_gone(&self, mount: &Mount, directory: NodeId, name: &[u8]) -> bool {
        !self.gone.is_empty() && self.gone.contains(&self.name_key(mount, directory, name))
    }

    fn walk(&self, path: &[u8], follow: bool) -> Result<Option<Found<'a>>, Error> {
        self.tree.find_without(path, follow, &|mount, directory, name| self.is_gone(mount, directory, name))
    }

    /// What of the guest's own stands at a path now; symlinks at its end are followed where `follow` says so.
    fn find(&self, path: &str, follow: bool) -> Result<Option<Found<'a>>, Error> {
        self.walk(&self.raw(path)?, follow)
    }

    /// The bytes of a path. A name that is not UTF-8 was listed with some of its bytes replaced; it is found again by that.
    fn raw(&self, path: &str) -> Result<Vec<u8>, Error> {
        if !path.contains(char::REPLACEMENT_CHARACTER) {
            return Ok(path.as_bytes().to_vec());
        }
        let mut raw = Vec::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let name = if part.contains(char::REPLACEMENT_CHARACTER) { self.meant(&raw, part)? } else { part.as_bytes().to_vec() };
            raw.push(b'/');
            raw.extend(name);
        }
        Ok(raw)
    }

    fn meant(&self, directory: &[u8], part: &str) -> Result<Vec<u8>, Error> {
        let found = self.walk(if directory.is_empty() { b"/" } else { directory }, true)?;
        let Some(found) = found.filter(|found| found.node.kind == NodeKind::Directory) else { return Ok(part.as_bytes().to_vec()) };
        let mut same = self.entries(&found)?.into_iter().filter(|entry| String::from_utf8_lossy(&entry.name) == part);
        match (same.next(), same.next()) {
            (None, _) => Ok(part.as_bytes().to_vec()),
            (Some(one), None) => Ok(one.name),
            _ => Err(Error::Unsupported(format!("{part}: names that differ only in bytes that are not UTF-8"))),
        }
    }

    /// What is still there of a directory.
    fn entries(&self, found: &Found<'_>) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        found.mount.fs.entries(found.id, &mut |entry| {
            entries.push(entry);
            if entries.len() > MAX_ENTRIES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if entries.len() > MAX_ENTRIES {
            return Err(Error::Unsupported(format!("more than {MAX_ENTRIES} entries")));
        }
        entries.retain(|entry| !self.is_gone(found.mount, found.id, &entry.name));
        Ok(entries)
    }

    /// The directory of a path, symlinks followed, and its last name; `None` where the directory is not there, or the path ends in no name.
    fn place(&self, path: &str) -> Result<Option<(Found<'a>, Vec<u8>)>, Error> {
        let raw = self.raw(path.trim_end_matches('/'))?;
        let cut = raw.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash.saturating_add(1));
        let (directory, name) = raw.split_at_checked(cut).unwrap_or_default();
        if name.is_empty() || name == b"." || name == b".." {
            return Ok(None);
        }
        let found = self.walk(if directory.is_empty() { b"/" } else { directory }, true)?;
        Ok(found.filter(|found| found.node.kind == NodeKind::Directory).map(|found| (found, name.to_vec())))
    }

    /// The planned file at a path.
    fn made(&self, path: &str) -> Result<Option<NameKey>, Error> {
        if self.creates.is_empty() {
            return Ok(None);
        }
        let key = self.place(path)?.map(|(found, name)| self.name_key(found.mount, found.id, &name));
        Ok(key.filter(|key| self.creates.contains_key(key)))
    }

    /// Whether a path leads to anything, be it a symlink that leads nowhere.
    ///
    /// # Errors
    ///
    /// When something on the way cannot be read.
    pub fn exists(&self, path: &str) -> Result<bool, Error> {
        Ok(self.made(path)?.is_some() || self.find(path, false)?.is_some())
    }

    /// The content of a regular file as it is planned, symlinks followed; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is longer than [`MAX_FILE`].
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Some(new) = self.made(path)?.and_then(|key| self.creates.get(&key)) {
            return Ok(Some(new.content.clone()));
        }
        match self.find(path, true)?.filter(|found| found.node.kind == NodeKind::File) {
            Some(found) => self.content(&found).map(Some).map_err(|error| error.at(path)),
            None => Ok(None),
        }
    }

    fn content(&self, found: &Found<'_>) -> Result<Vec<u8>, Error> {
        if let Some(write) = self.writes.get(&self.node_key(found.mount, found.id)) {
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

    /// Names in a directory, sorted; none where there is no directory. Bytes that are not UTF-8 are replaced; the other functions here
    /// understand such a name, unless another looks the same.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has more than [`MAX_ENTRIES`].
    pub fn names(&self, path: &str) -> Result<Vec<String>, Error> {
        let Some(found) = self.find(path, true)?.filter(|found| found.node.kind == NodeKind::Directory) else { return Ok(vec![]) };
        let entries = self.entries(&found).map_err(|error| error.at(path))?;
        let directory = self.node_key(found.mount, found.id);
        let made = self.creates.keys().filter(|(fs, id, _)| (*fs, *id) == directory).map(|(_, _, name)| name.clone());
        let all: BTreeSet<Vec<u8>> = entries.into_iter().map(|entry| entry.name).chain(made).collect();
        let mut names: Vec<String> = all.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Paths that match a pattern, sorted, as [`Tree::glob`] finds them.
    ///
    /// # Errors
    ///
    /// When a directory on the way cannot be read.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>, Error> {
        glob(pattern, |path| self.names(path), |path| self.exists(path))
    }

    /// Leaves a file without content; says whether it had any.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn truncate(&mut self, path: &str, why: impl Into<String>) -> Result<bool, Error> {
        if self.made(path)?.is_some() {
            return self.rewrite(path, vec![], why);
        }
        let Some(found) = self.find(path, true)?.filter(|found| found.node.kind == NodeKind::File) else { return Ok(false) };
        let planned = self.writes.get(&self.node_key(found.mount, found.id));
        let empty = planned.map_or(found.node.size == 0, |write| write.content.is_empty());
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
        if let Some(new) = self.made(path)?.and_then(|key| self.creates.get_mut(&key)) {
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
    /// When its directory is not there, or cannot be read, and when the path ends in no name that a file can have.
    pub fn create(&mut self, path: &str, mode: u16, content: Vec<u8>, why: impl Into<String>) -> Result<(), Error> {
        if self.exists(path)? {
            return self.rewrite(path, content, why).map(drop);
        }
        let Some((found, name)) = self.place(path)? else {
            return Err(Error::Damaged("there is no directory for it".to_owned()).at(path));
        };
        if name.len() > MAX_NAME || name.contains(&0) {
            return Err(Error::Unsupported("not a name of a file".to_owned()).at(path));
        }
        let label = found.mount.fs.attribute(found.id, LABEL).map_err(|error| error.at(path))?;
        let names: Vec<Vec<u8>> = found.names.iter().cloned().chain([name.clone()]).collect();
        let key = self.name_key(found.mount, found.id, &name);
        self.change(About::Made(key.clone()), &names, Action::Created, why);
        let create = Create {
            mount: found.mount.place(),
            directory: found.id,
            name,
            mode,
            owner: (0, 0),
            attributes: label.into_iter().map(|label| (LABEL.to_owned(), label)).collect(),
            content,
            path: names,
        };
        self.creates.insert(key, create);
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
        let key = self.node_key(found.mount, found.id);
        self.writes.insert(key, Write { mount: found.mount.place(), node: found.id, content, path: found.names.clone() });
        self.change(About::Written(key), &found.names, action, why);
    }

    fn change(&mut self, about: About, names: &[Vec<u8>], action: Action, why: impl Into<String>) {
        let path = if names.is_empty() {
            "/".to_owned()
        } else {
            names.iter().map(|name| format!("/{}", String::from_utf8_lossy(name))).collect()
        };
        let (operation, requirement) = (self.operation, self.requirement);
        self.changes.push((about, Change { operation, requirement, path, action, why: why.into() }));
    }
}

#[cfg(test)]
mod tests;
