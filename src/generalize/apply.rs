//! From planned changes to bytes: every file system that is touched is changed on scratch bytes, opened again, compared, and only then
//! laid over its disk.

mod place;

use super::verify::{Expected, Fault, verify};
use super::{Create, Planned, Unlink, Write};
use crate::bytes::{Bytes, GIB, Guard, Overlay, Scratch, Watch, int_u64};
use crate::fs::edit::{self, Editor, NewFile};
use crate::fs::{self, FileSystem, Mount, NodeId, NodeKind, Tree};
use crate::inspect::Region;
use crate::volume::Content;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Bytes of a file system that are changed at most, counted in pages of 4 KiB; memory holds them up to three times. A Debian changes some
/// hundred KiB; what removes a user with a million files stays below 200 MiB.
const MOST: u64 = GIB;

/// What was changed.
#[derive(Debug)]
pub struct Applied {
    /// The regions that were given; those that were changed with their new bytes, opened by our own reader.
    pub regions: Vec<Region>,
    /// By disk: bytes to lay over it, each with its first byte; in order and apart.
    pub patches: BTreeMap<usize, Vec<(u64, Vec<u8>)>>,
}

/// Why the changes cannot be made. Nothing was written anywhere.
#[derive(Debug, thiserror::Error)]
pub enum CannotApply {
    /// The file system is not one that is changed, or uses what its writer does not know.
    #[error("{place} ({kind}) cannot be changed offline: {why}")]
    NotChanged {
        /// Where: `partition 1`.
        place: String,
        /// blkid's name.
        kind: String,
        /// Why.
        why: String,
    },
    /// One of the changes failed.
    #[error("{place} ({kind}): {error}")]
    Change {
        /// Where.
        place: String,
        /// blkid's name.
        kind: String,
        /// What failed, with the path.
        error: fs::Error,
    },
    /// The host could not read it: that says nothing of the file system.
    #[error("{place} ({kind}) cannot be read: {what}")]
    Host {
        /// Where.
        place: String,
        /// blkid's name.
        kind: String,
        /// The host's own words.
        what: String,
    },
    /// What was changed reads back otherwise than planned.
    #[error("{place} ({kind}) reads back otherwise than planned: {what}; nothing was written. Please report this")]
    Differs {
        /// Where.
        place: String,
        /// blkid's name.
        kind: String,
        /// What differs.
        what: String,
    },
}

/// Makes the planned changes over the regions, which must be those that the tree was joined from.
///
/// A file system without planned changes stays as it is, also where its journal holds work. Which of the plan's problems may be passed
/// over is for the caller to have decided.
///
/// # Errors
///
/// The first thing that cannot be done, or that came out otherwise.
pub fn apply(planned: &Planned, tree: &Tree, regions: &[Region]) -> Result<Applied, CannotApply> {
    apply_with(planned, tree, regions, edit::open)
}

/// How a file system is opened for changes: [`edit::open`].
type Open = fn(&str, Arc<Scratch>) -> Option<Result<Box<dyn Editor>, fs::Error>>;

fn apply_with(planned: &Planned, tree: &Tree, regions: &[Region], open: Open) -> Result<Applied, CannotApply> {
    let mut applied = Applied { regions: regions.to_vec(), patches: BTreeMap::new() };
    let mounts: Vec<&Mount> = tree.mounts().collect();
    let mut done: Vec<&Arc<dyn FileSystem>> = Vec::new();
    for mount in &mounts {
        if done.iter().any(|fs| Arc::ptr_eq(fs, &mount.fs)) {
            continue;
        }
        done.push(&mount.fs);
        let ours = |place: usize| mounts.get(place).is_some_and(|other| Arc::ptr_eq(&other.fs, &mount.fs));
        let share = Share {
            unlinks: planned.unlinks.iter().filter(|one| ours(one.mount)).collect(),
            writes: planned.writes.iter().filter(|one| ours(one.mount)).collect(),
            creates: planned.creates.iter().filter(|one| ours(one.mount)).collect(),
        };
        if share.unlinks.is_empty() && share.writes.is_empty() && share.creates.is_empty() {
            continue;
        }
        let found = regions.iter().position(|region| region.opened().is_some_and(|fs| Arc::ptr_eq(fs, &mount.fs)));
        let Some((place, region)) = found.and_then(|place| regions.get(place).map(|region| (place, region))) else {
            let why = "it is not on the disks given; give them together".to_owned();
            return Err(CannotApply::NotChanged { place: mount.from.clone(), kind: mount.fs.kind().to_owned(), why });
        };
        let (bytes, runs) = share.change(region, mount.fs.as_ref(), open)?;
        place::lay(&runs, region, place, regions, &mut applied.patches).map_err(|why| not_changed(region, why))?;
        if let Some(new) = applied.regions.get_mut(place) {
            *new = region.with(bytes);
        }
    }
    place::order(&mut applied.patches).map_err(|disk| CannotApply::NotChanged {
        place: format!("disk {}", disk.saturating_add(1)),
        kind: "partitions".to_owned(),
        why: "two of its file systems lie over each other".to_owned(),
    })?;
    Ok(applied)
}

/// Changed bytes, by their first byte.
type Runs = Vec<(u64, Vec<u8>)>;

/// What is planned for one file system.
#[derive(Debug)]
struct Share<'p> {
    unlinks: Vec<&'p Unlink>,
    writes: Vec<&'p Write>,
    creates: Vec<&'p Create>,
}

impl Share<'_> {
    /// Makes the changes and checks them: the new bytes of the region, and what of them is changed.
    ///
    /// Writers and readers tell of a failing host in words of their own, so the reads below them are watched.
    fn change(&self, region: &Region, before: &dyn FileSystem, open: Open) -> Result<(Bytes, Runs), CannotApply> {
        let watch = Watch::new(u64::MAX);
        let base: Bytes = Arc::new(Guard::new(region.bytes.clone(), watch.clone()));
        let changed = self.change_over(&base, region, before, open);
        match watch.failure() {
            Some(error) => Err(host(region, before, error.to_string())),
            None => changed,
        }
    }

    fn change_over(&self, base: &Bytes, region: &Region, before: &dyn FileSystem, open: Open) -> Result<(Bytes, Runs), CannotApply> {
        let kind = before.kind();
        let scratch = Scratch::new(base.clone(), MOST);
        let editor = match open(kind, scratch.clone()) {
            None => return Err(not_changed(region, no_writer(kind))),
            Some(Err(error)) => return Err(not_changed(region, error.to_string())),
            Some(Ok(editor)) => editor,
        };
        self.edit(editor, before).map_err(|error| CannotApply::Change { place: region.place.to_string(), kind: kind.to_owned(), error })?;
        let runs = scratch.changes().map_err(|error| not_changed(region, error.to_string()))?;
        drop(scratch);
        let differs = |what: String| CannotApply::Differs { place: region.place.to_string(), kind: kind.to_owned(), what };
        let mut overlay = Overlay::new(base.clone());
        for (at, run) in &runs {
            overlay.patch(*at, run.clone()).map_err(|error| differs(error.to_string()))?;
        }
        let bytes: Bytes = Arc::new(overlay);
        identity(region, &bytes).map_err(differs)?;
        let changed: Vec<Range<u64>> = runs.iter().map(|(at, run)| *at..at.saturating_add(int_u64(run.len()))).collect();
        let after = match region.with(bytes.clone()).fs {
            Some(Ok(after)) => after,
            Some(Err(error)) => return Err(differs(error.to_string())),
            None => return Err(differs("no file system".to_owned())),
        };
        verify(before, &*after, &Expected::new(&self.unlinks, &self.writes, &self.creates), &changed).map_err(|fault| match fault {
            Fault::Differs(what) => differs(what),
            Fault::Host(what) => host(region, before, what),
            Fault::Unread(what) => not_changed(region, format!("{what}; so nobody can tell that all else stays as it is")),
        })?;
        Ok((bytes, runs))
    }

    /// Names in the order in which they are removed: those of files first, of each directory in its own order, and then directories, the
    /// inner before the outer. Writers look for a name from a directory's start, which is then empty up to there.
    fn in_order(&self, before: &dyn FileSystem) -> Result<Vec<&Unlink>, fs::Error> {
        let (directories, files): (Vec<&Unlink>, Vec<&Unlink>) = self.unlinks.iter().partition(|one| one.kind == NodeKind::Directory);
        let mut by_directory: BTreeMap<NodeId, BTreeMap<&[u8], &Unlink>> = BTreeMap::new();
        for one in files {
            by_directory.entry(one.directory).or_default().insert(&one.name, one);
        }
        let mut ordered = Vec::with_capacity(self.unlinks.len());
        for (directory, mut names) in by_directory {
            before.entries(directory, &mut |entry| {
                ordered.extend(names.remove(entry.name.as_slice()));
                if names.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            // What is not there is for the writer to say.
            ordered.extend(names.into_values());
        }
        ordered.extend(directories);
        Ok(ordered)
    }

    /// Removals first: a file system that is full has room then.
    fn edit(&self, mut editor: Box<dyn Editor>, before: &dyn FileSystem) -> Result<(), fs::Error> {
        for unlink in self.in_order(before)? {
            editor.remove(unlink.directory, &unlink.name).map_err(|error| error.at(&path(&unlink.path)))?;
        }
        for write in &self.writes {
            editor.write(write.node, &write.content).map_err(|error| error.at(&path(&write.path)))?;
        }
        for create in &self.creates {
            let (uid, gid) = create.owner;
            let new = NewFile { mode: create.mode, uid, gid, attributes: &create.attributes, content: &create.content };
            editor.create(create.directory, &create.name, &new).map(drop).map_err(|error| error.at(&path(&create.path)))?;
        }
        editor.finish()
    }
}

/// Checks that the superblock says the same of what the file system is.
fn identity(region: &Region, new: &Bytes) -> Result<(), String> {
    let read = |bytes: &Bytes| fs::identify(&**bytes).map_err(|error| error.to_string());
    let said = |content: Content| (content.kind, content.uuid, content.label, content.version);
    let (old, new) = (read(&region.bytes)?.map(said), read(new)?.map(said));
    if old == new { Ok(()) } else { Err("its superblock says that it is another file system".to_owned()) }
}

fn path(names: &[Vec<u8>]) -> String {
    names.iter().map(|name| format!("/{}", String::from_utf8_lossy(name))).collect()
}

fn not_changed(region: &Region, why: String) -> CannotApply {
    let kind = region.opened().map_or("unknown", |fs| fs.kind()).to_owned();
    CannotApply::NotChanged { place: region.place.to_string(), kind, why }
}

fn host(region: &Region, fs: &dyn FileSystem, what: String) -> CannotApply {
    CannotApply::Host { place: region.place.to_string(), kind: fs.kind().to_owned(), what }
}

/// What to do where there is no writer.
fn no_writer(kind: &str) -> String {
    format!(
        "files on {kind} are read, not written; start the system, make the changes that are listed, shut it down, and take its disk again"
    )
}

#[cfg(test)]
mod tests;
