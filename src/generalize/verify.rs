//! Whether a changed file system holds what was planned, and everything else as it was.
//!
//! Both states are read by our own reader and walked side by side, the whole file system from its top, mounted or not. For every name the
//! node, its record and its attributes are compared. Content is not read where it lies at the same places in both and nothing that was
//! changed touches them; otherwise every byte is. (A journal that carries data of files carries it in the same records as metadata, so
//! that one replayed in part shows there.) Then what is free must be no file's, and no more or less than the changes explain.
//!
//! What cannot be read, before and after, with the same words, may stay: damage that was there is no reason to refuse, if it lies outside
//! of what is planned. Reads that fail, and anything that was changed and cannot be compared, are a reason.

mod content;
mod node;
mod space;

use super::{Create, Unlink, Write};
use crate::bytes::printable;
use crate::fs::{Entry, Error, FileSystem, NodeId, NodeKind};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::{ControlFlow, Range};

/// Names that are compared, and names of one directory, which are held at once; real disks have thousands to some millions.
const MAX_NAMES: usize = 1 << 25;
const MAX_LISTED: usize = 1 << 21;

/// Why a changed file system is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not as planned.
    Differs(String),
    /// It cannot be told.
    Unread(String),
    /// The host failed to read what would tell.
    Host(String),
}

impl Fault {
    fn unread(what: String, error: &Error) -> Self {
        match error {
            Error::Read(read) if read.is_host() => Self::Host(what),
            _ => Self::Unread(what),
        }
    }
}

/// What is planned for one file system.
#[derive(Debug, Default)]
pub(super) struct Expected<'p> {
    unlinks: BTreeMap<(NodeId, &'p [u8]), &'p Unlink>,
    writes: BTreeMap<NodeId, &'p Write>,
    creates: BTreeMap<(NodeId, &'p [u8]), &'p Create>,
    /// Names that each node loses.
    lost: BTreeMap<NodeId, u32>,
    /// Directories that each directory loses.
    fewer: BTreeMap<NodeId, u32>,
    /// Directories whose entries change.
    touched: BTreeSet<NodeId>,
}

impl<'p> Expected<'p> {
    pub(super) fn new(unlinks: &[&'p Unlink], writes: &[&'p Write], creates: &[&'p Create]) -> Self {
        let mut new = Self::default();
        for unlink in unlinks {
            new.unlinks.insert((unlink.directory, &unlink.name), unlink);
            new.touched.insert(unlink.directory);
            let count = if unlink.kind == NodeKind::Directory {
                new.fewer.entry(unlink.directory).or_default()
            } else {
                new.lost.entry(unlink.node).or_default()
            };
            *count = count.saturating_add(1);
        }
        for create in creates {
            new.creates.insert((create.directory, &create.name), create);
            new.touched.insert(create.directory);
        }
        new.writes.extend(writes.iter().map(|write| (write.node, *write)));
        new
    }
}

/// Compares a file system after changes with what it was, and with what is planned; `changed` are the bytes of it that differ, in order.
pub(super) fn verify(
    before: &dyn FileSystem,
    after: &dyn FileSystem,
    expected: &Expected<'_>,
    changed: &[Range<u64>],
) -> Result<(), Fault> {
    if before.kind() != after.kind() || before.root() != after.root() {
        return Err(Fault::Differs("it has another root".to_owned()));
    }
    match after.clean() {
        Ok(true) => {}
        Ok(false) => return Err(Fault::Differs("it is not left in order".to_owned())),
        Err(error) => return Err(Fault::Differs(format!("whether it is left in order: {error}"))),
    }
    let subvolumes = |fs: &dyn FileSystem| fs.subvolumes().map_err(|error| Fault::unread(format!("subvolumes: {error}"), &error));
    let (old, new) = (subvolumes(before)?, subvolumes(after)?);
    if old != new {
        return Err(Fault::Differs("it has other subvolumes".to_owned()));
    }
    let mut walk = Walk {
        before,
        after,
        expected,
        changed,
        space: space::Space::new(before, after, expected)?,
        directories: HashSet::new(),
        linked: HashSet::new(),
        todo: Vec::new(),
        names: 0,
        met: 0,
    };
    let roots = old.iter().map(|one| (one.root, one.path.as_str()));
    let roots: BTreeMap<NodeId, &str> = roots.chain([(before.root(), "")]).collect();
    // Marked first: a subvolume is also found as a directory of another.
    walk.directories.extend(roots.keys());
    for (root, path) in &roots {
        walk.same(*root, path.as_bytes())?;
        walk.todo.push(Directory { id: *root, path: path.as_bytes().to_vec(), stays: true });
    }
    while let Some(directory) = walk.todo.pop() {
        walk.directory(&directory)?;
    }
    let planned = expected.unlinks.len().saturating_add(expected.creates.len());
    if walk.met != planned {
        return Err(Fault::Differs(format!("{} of {planned} names that change were found", walk.met)));
    }
    walk.space.finish()
}

/// A walk through both states.
#[derive(Debug)]
struct Walk<'w> {
    before: &'w dyn FileSystem,
    after: &'w dyn FileSystem,
    expected: &'w Expected<'w>,
    changed: &'w [Range<u64>],
    space: space::Space,
    /// Directories that are, or were, in `todo`.
    directories: HashSet<NodeId>,
    /// Nodes with several names that were compared.
    linked: HashSet<NodeId>,
    todo: Vec<Directory>,
    names: usize,
    /// Planned names that were found gone, or made.
    met: usize,
}

#[derive(Debug)]
struct Directory {
    id: NodeId,
    path: Vec<u8>,
    /// Whether it is still there afterwards.
    stays: bool,
}

impl Walk<'_> {
    /// Compares the names of a directory, and what stays of what they name.
    fn directory(&mut self, directory: &Directory) -> Result<(), Fault> {
        let old = entries(self.before, directory.id);
        let new = if directory.stays { entries(self.after, directory.id) } else { Ok(vec![]) };
        let (old, new) = match (old, new) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(old), Err(new)) if !self.expected.touched.contains(&directory.id) => {
                return alike(&directory.path, "its entries", &old, &new);
            }
            (Err(error), _) => return Err(unread(&directory.path, "its entries", &error)),
            (Ok(_), Err(error)) => return Err(differs(&directory.path, format!("its entries cannot be read any more: {error}"))),
        };
        self.names = self.names.saturating_add(old.len());
        if self.names > MAX_NAMES || old.len().max(new.len()) > MAX_LISTED {
            return Err(Fault::Unread(format!("{}: more than {MAX_LISTED} names, or {MAX_NAMES} in all", shown(&directory.path))));
        }
        let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.name.cmp(&new.name),
            };
            let old = if order == Ordering::Greater { None } else { old.next() };
            let new = if order == Ordering::Less { None } else { new.next() };
            self.name(directory, old, new)?;
        }
    }

    /// Compares one name of a directory.
    fn name(&mut self, directory: &Directory, old: Option<Entry>, new: Option<Entry>) -> Result<(), Fault> {
        let Some(name) = old.as_ref().or(new.as_ref()).map(|entry| entry.name.clone()) else { return Ok(()) };
        let mut path = directory.path.clone();
        path.push(b'/');
        path.extend(&name);
        let unlink = self.expected.unlinks.get(&(directory.id, name.as_slice())).copied();
        let create = self.expected.creates.get(&(directory.id, name.as_slice())).copied();
        if let Some(unlink) = unlink {
            let old = old.ok_or_else(|| differs(&path, "was to be removed, and was not there".to_owned()))?;
            if old.node != unlink.node {
                return Err(differs(&path, "was to be removed, and named another node".to_owned()));
            }
            self.met = self.met.saturating_add(1);
            self.removed(&path, unlink)?;
        } else if let Some(old) = old {
            let Some(new) = &new else { return Err(differs(&path, "is gone".to_owned())) };
            if create.is_some() {
                return Err(differs(&path, "was to be made, and was there before".to_owned()));
            }
            if old.node != new.node {
                return Err(differs(&path, "names another node".to_owned()));
            }
            return self.stays(old.node, path);
        }
        match (new, create) {
            (Some(new), Some(create)) => {
                self.met = self.met.saturating_add(1);
                self.made(&path, new.node, create)
            }
            (Some(_), None) if unlink.is_some() => Err(differs(&path, "is still there".to_owned())),
            (Some(_), None) => Err(differs(&path, "was not there before".to_owned())),
            (None, Some(_)) => Err(differs(&path, "was not made".to_owned())),
            (None, None) => Ok(()),
        }
    }

    /// A name that stays.
    fn stays(&mut self, id: NodeId, path: Vec<u8>) -> Result<(), Fault> {
        if self.same(id, &path)? == Some(NodeKind::Directory) && !self.subvolume(id) {
            self.enter(Directory { id, path, stays: true })?;
        }
        Ok(())
    }

    /// A name that goes: with a directory must go, as planned, all that is in it.
    fn removed(&mut self, path: &[u8], unlink: &Unlink) -> Result<(), Fault> {
        let node = self.before.node(unlink.node).map_err(|error| unread(path, "what was removed", &error))?;
        if node.kind == NodeKind::Directory {
            return self.enter(Directory { id: unlink.node, path: path.to_vec(), stays: false });
        }
        let lost = self.expected.lost.get(&unlink.node).copied().unwrap_or_default();
        if lost >= node.links {
            self.space.freed(self.before, unlink.node, node.size);
        }
        Ok(())
    }

    fn enter(&mut self, directory: Directory) -> Result<(), Fault> {
        if !self.directories.insert(directory.id) {
            return Err(Fault::Unread(format!("{}: a directory with two names", shown(&directory.path))));
        }
        self.todo.push(directory);
        Ok(())
    }

    /// Whether a directory is the root of a subvolume, which is walked by itself.
    fn subvolume(&self, id: NodeId) -> bool {
        self.directories.contains(&id) && self.before.subvolumes().is_ok_and(|all| all.iter().any(|one| one.root == id))
    }
}

/// The entries of a directory, sorted by name; one more than [`MAX_LISTED`] where there are more.
fn entries(fs: &dyn FileSystem, directory: NodeId) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    fs.entries(directory, &mut |entry| {
        entries.push(entry);
        if entries.len() > MAX_LISTED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Something that can be read neither before nor after.
fn alike(path: &[u8], what: &str, old: &Error, new: &Error) -> Result<(), Fault> {
    if matches!(old, Error::Read(_)) || matches!(new, Error::Read(_)) {
        return Err(unread(path, what, old));
    }
    let (old, new) = (old.to_string(), new.to_string());
    if old == new { Ok(()) } else { Err(differs(path, format!("{what} cannot be read for another reason: {new}; before: {old}"))) }
}

fn shown(path: &[u8]) -> String {
    if path.is_empty() { "/".to_owned() } else { printable(&String::from_utf8_lossy(path)).to_string() }
}

fn differs(path: &[u8], what: String) -> Fault {
    Fault::Differs(format!("{}: {what}", shown(path)))
}

fn unread(path: &[u8], what: &str, error: &Error) -> Fault {
    Fault::unread(format!("{}: {what} cannot be read: {error}", shown(path)), error)
}

#[cfg(test)]
mod tests;
