//! Removing names: what is below a directory before the directory, and never through a symlink.

use super::{About, Draft, NameKey};
use crate::fs::{Error, Found, Mount, NodeId, NodeKind};
use crate::generalize::{Action, Unlink};
use std::ops::ControlFlow;

/// Names that are removed at most, and how deep directories may lie in each other.
const MAX_REMOVED: usize = 1 << 20;
const MAX_DEPTH: usize = 128;

impl Draft<'_> {
    /// Removes a file, a symlink (not what it leads to), or a directory with all in it; says whether there was anything. As `rm -r` it goes
    /// into file systems that are mounted there; the directories that they are mounted on stay. The guest's root is not removed, by whatever
    /// path.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is the root.
    pub fn remove(&mut self, path: &str, why: impl Into<String>) -> Result<bool, Error> {
        if let Some(key) = self.made(path)? {
            self.withdraw(&key);
            return Ok(true);
        }
        let Some(found) = self.find(path, false)? else { return Ok(false) };
        let (names, whole) = self.unlink(&found, true).map_err(|error| error.at(path))?;
        if names > 0 {
            let action = if whole { Action::Removed { names } } else { Action::Emptied { names } };
            self.change(About::Names, &found.names, action, why);
        }
        Ok(names > 0)
    }

    /// Removes a path unless it is a symlink: a file of its own where others have a link. Says whether there was any.
    ///
    /// # Errors
    ///
    /// As [`Draft::remove`].
    pub fn remove_unless_link(&mut self, path: &str, why: impl Into<String>) -> Result<bool, Error> {
        let link = self.made(path)?.is_none() && self.find(path, false)?.is_some_and(|found| found.node.kind == NodeKind::Symlink);
        if link { Ok(false) } else { self.remove(path, why) }
    }

    /// Removes what is in a directory, as [`Draft::remove`] would; says how many names. The directory, or the symlink that leads to it,
    /// stays.
    ///
    /// # Errors
    ///
    /// As [`Draft::remove`].
    pub fn empty(&mut self, path: &str, why: impl Into<String>) -> Result<usize, Error> {
        let Some(found) = self.find(path, true)?.filter(|found| found.node.kind == NodeKind::Directory) else { return Ok(0) };
        let (names, _) = self.unlink(&found, false).map_err(|error| error.at(path))?;
        if names > 0 {
            self.change(About::Names, &found.names, Action::Emptied { names }, why);
        }
        Ok(names)
    }

    /// A file is not made after all.
    fn withdraw(&mut self, key: &NameKey) {
        self.creates.remove(key);
        self.changes.retain(|(about, _)| !matches!(about, About::Made(made) if made == key));
    }

    /// Plans the removal of all below a node, the inner first, and of itself where `whole` says so and nothing is mounted in it. Says how
    /// many names go, and whether its own is one of them.
    fn unlink(&mut self, found: &Found<'_>, whole: bool) -> Result<(usize, bool), Error> {
        let before = self.unlinks.len();
        let kept = found.node.kind == NodeKind::Directory && self.below(found.mount, found.id, &found.names, 0)?;
        let point = self.points.contains(&self.node_key(found.mount, found.id));
        let directory = found.directory.filter(|_| whole && !kept && !point);
        if let Some(directory) = directory {
            self.take(found.mount, directory, found.id, &found.names)?;
        }
        Ok((self.unlinks.len().saturating_sub(before), directory.is_some()))
    }

    /// Takes everything in a directory; says whether something must stay, because another file system is mounted on it.
    fn below(&mut self, mount: &Mount, directory: NodeId, path: &[Vec<u8>], depth: usize) -> Result<bool, Error> {
        if self
            .tree
            .mounts()
            .next()
            .is_some_and(|root| root.root == directory && self.node_key(root, directory) == self.node_key(mount, directory))
        {
            return Err(Error::Protected("this is the guest's root, which is not removed".to_owned()));
        }
        if depth > MAX_DEPTH {
            return Err(Error::Unsupported(format!("directories lie more than {MAX_DEPTH} deep")));
        }
        let here = self.node_key(mount, directory);
        let made: Vec<NameKey> = self.creates.keys().filter(|(fs, id, _)| (*fs, *id) == here).cloned().collect();
        for key in made {
            self.withdraw(&key);
        }
        let mut entries = Vec::new();
        mount.fs.entries(directory, &mut |entry| {
            entries.push(entry);
            if entries.len() > MAX_REMOVED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        // In the directory's own order: writers look for a name from its start, which is then empty up to there. By name, removing tens of
        // thousands of them would go over all the others for each.
        let mut kept = false;
        for entry in entries {
            if self.is_gone(mount, directory, &entry.name) {
                continue;
            }
            let path: Vec<Vec<u8>> = path.iter().cloned().chain([entry.name]).collect();
            let deeper = depth.saturating_add(1);
            if let Some(other) = self.mounted_on(&path) {
                kept = true;
                self.below(other, other.root, &path, deeper)?;
                continue;
            }
            let within = mount.fs.node(entry.node)?.kind == NodeKind::Directory && self.below(mount, entry.node, &path, deeper)?;
            // The same directory may be a mount point by another path.
            if within || self.points.contains(&self.node_key(mount, entry.node)) {
                kept = true;
                continue;
            }
            self.take(mount, directory, entry.node, &path)?;
        }
        Ok(kept)
    }

    fn take(&mut self, mount: &Mount, directory: NodeId, id: NodeId, path: &[Vec<u8>]) -> Result<(), Error> {
        if self.unlinks.len() >= MAX_REMOVED {
            return Err(Error::Unsupported(format!("more than {MAX_REMOVED} names would be removed")));
        }
        let name = path.last().cloned().unwrap_or_default();
        if !self.gone.insert(self.name_key(mount, directory, &name)) {
            return Ok(());
        }
        let node = mount.fs.node(id)?;
        let key = self.node_key(mount, id);
        let lost = self.lost.entry(key).or_default();
        *lost = lost.saturating_add(1);
        // What has another name is still written.
        if *lost >= node.links && self.writes.remove(&key).is_some() {
            self.changes.retain(|(about, _)| *about != About::Written(key));
        }
        self.unlinks.push(Unlink { mount: mount.place(), directory, name, node: id, kind: node.kind, path: path.to_vec() });
        Ok(())
    }
}

impl<'a> Draft<'a> {
    /// The file system that is mounted at a path; of several the last.
    fn mounted_on(&self, path: &[Vec<u8>]) -> Option<&'a Mount> {
        let stands_here = |mount: &&Mount| {
            let at = mount.at.split('/').filter(|part| !part.is_empty()).map(str::as_bytes);
            at.eq(path.iter().map(Vec::as_slice))
        };
        self.tree.mounts().filter(stands_here).last()
    }
}
