//! The log tree: what fsync has put on the disk since the last commit, laid over the tree of a subvolume in memory.
//!
//! The steps are those of `btrfs_recover_log_trees` and `replay_one_buffer` (`fs/btrfs/tree-log.c`): inodes first, with the names that
//! directories lost and the attributes that inodes lost; then names that directories gained; then names, attributes and extents of inodes.

use super::super::{Error, NodeKind};
use super::content::filled;
use super::item::{Name, Named, named, names};
use super::tree::{Key, Root, Volume};
use crate::fs::fields::{le32, le64};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Items of a log tree, and entries of the directories that it changes, at most. A log holds the work of seconds.
const MAX_ITEMS: usize = 1 << 19;
/// The object of checksums.
const CHECKSUMS: u64 = 0_u64.wrapping_sub(10);

/// Where in an inode item some fields are.
const GENERATION: usize = 0;
const SIZE: usize = 16;
const LINKS: usize = 40;
const MODE: usize = 52;

/// What a log changes in a subvolume.
#[derive(Debug, Default)]
pub(super) struct Logged {
    inodes: BTreeMap<u64, Vec<u8>>,
    content: BTreeMap<u64, Changes>,
    attributes: BTreeMap<u64, Vec<Named>>,
    directories: BTreeMap<u64, Directory>,
    links: BTreeMap<u64, u32>,
    sums: BTreeMap<u64, [u8; 32]>,
}

/// What a log changes in the content of a file.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Extents behind this byte are gone.
    pub(super) end: u64,
    /// Extents that take the place of others, by their first byte.
    pub(super) extents: Vec<(u64, Vec<u8>)>,
}

/// A directory that a log changes, whole.
#[derive(Debug, Default)]
struct Directory {
    /// By index, which is the order of the disk.
    entries: BTreeMap<u64, Named>,
    by_name: BTreeMap<Vec<u8>, u64>,
    by_inode: BTreeSet<(u64, u64)>,
}

impl Directory {
    fn add(&mut self, index: u64, entry: Named) {
        self.remove(index);
        self.by_name.insert(entry.name.clone(), index);
        self.by_inode.insert((entry.location.object, index));
        self.entries.insert(index, entry);
    }

    fn remove(&mut self, index: u64) {
        if let Some(gone) = self.entries.remove(&index) {
            self.by_name.remove(&gone.name);
            self.by_inode.remove(&(gone.location.object, index));
        }
    }

    /// The entry of this name, and its index.
    fn named(&self, name: &[u8]) -> Option<(u64, &Named)> {
        let index = self.by_name.get(name)?;
        Some((*index, self.entries.get(index)?))
    }

    /// Indices of the entries that name an inode.
    fn of(&self, inode: u64) -> Vec<u64> {
        self.by_inode.range((inode, 0)..=(inode, u64::MAX)).map(|(_, index)| *index).collect()
    }
}

impl Logged {
    /// The item of an inode that was logged.
    pub(super) fn inode(&self, number: u64) -> Option<&[u8]> {
        self.inodes.get(&number).map(Vec::as_slice)
    }

    /// Names of an inode, where the log changes them.
    pub(super) fn links(&self, number: u64) -> Option<u32> {
        self.links.get(&number).copied()
    }

    pub(super) fn content(&self, number: u64) -> Option<&Changes> {
        self.content.get(&number)
    }

    /// Attributes of an inode that was logged: all that it has.
    pub(super) fn attributes(&self, number: u64) -> Option<&[Named]> {
        self.attributes.get(&number).map(Vec::as_slice)
    }

    /// Entries of a directory that the log changes.
    pub(super) fn entries(&self, number: u64) -> Option<impl Iterator<Item = &Named>> {
        Some(self.directories.get(&number)?.entries.values())
    }

    pub(super) fn entry(&self, number: u64, name: &[u8]) -> Option<Option<&Named>> {
        Some(self.directories.get(&number)?.named(name).map(|(_, entry)| entry))
    }

    pub(super) fn sum(&self, address: u64) -> Option<[u8; 32]> {
        self.sums.get(&address).copied()
    }
}

/// Replays a log over the tree of a subvolume.
///
/// # Errors
///
/// When one of them is damaged, or the log has more than is held in memory.
pub(super) fn replay(volume: &Volume, tree: Root, log: Root) -> Result<Logged, Error> {
    let mut items = BTreeMap::new();
    volume.walk(log, Key::new(0, 0, 0), &mut |key, item| {
        items.insert(key, item.to_vec());
        if items.len() > MAX_ITEMS { Err(too_much()) } else { Ok(ControlFlow::Continue(())) }
    })?;
    let mut replay =
        Replay { volume, tree, items: &items, unlinked: BTreeSet::new(), changed: BTreeSet::new(), held: 0, done: Logged::default() };
    for (key, item) in of_kind(&items, Key::INODE) {
        replay.inode(*key, item)?;
    }
    for (key, item) in of_kind(&items, Key::ENTRY).filter(|(key, _)| !replay.unlinked.contains(&key.object)).collect::<Vec<_>>() {
        for entry in named(key.object, item)? {
            replay.entry(*key, entry)?;
        }
    }
    for (key, item) in items.iter().filter(|(key, _)| !replay.unlinked.contains(&key.object)).collect::<Vec<_>>() {
        match key.kind {
            Key::NAME | Key::FAR_NAME => replay.names(*key, item)?,
            Key::EXTENT => {
                let changes = replay.done.content.entry(key.object).or_insert_with(|| Changes { end: u64::MAX, extents: vec![] });
                changes.extents.push((key.offset, item.clone()));
            }
            Key::ATTRIBUTE => replay.done.attributes.entry(key.object).or_default().extend(named(key.object, item)?),
            Key::CHECKSUMS if key.object == CHECKSUMS => replay.sums(key.offset, item),
            _ => {}
        }
    }
    replay.count_links()?;
    Ok(replay.done)
}

fn of_kind(items: &BTreeMap<Key, Vec<u8>>, kind: u8) -> impl Iterator<Item = (&Key, &Vec<u8>)> {
    items.iter().filter(move |(key, _)| key.kind == kind)
}

fn too_much() -> Error {
    Error::Unsupported("Btrfs log tree with more changes than are held in memory".to_owned())
}

struct Replay<'a> {
    volume: &'a Volume,
    tree: Root,
    items: &'a BTreeMap<Key, Vec<u8>>,
    /// Inodes that were logged without a name: nothing of them is replayed.
    unlinked: BTreeSet<u64>,
    /// Inodes whose names may have changed.
    changed: BTreeSet<u64>,
    /// Entries of directories that are held.
    held: usize,
    done: Logged,
}

impl Replay<'_> {
    /// An inode, and what it lost.
    fn inode(&mut self, key: Key, item: &[u8]) -> Result<(), Error> {
        let number = key.object;
        if le32(item, LINKS) == 0 {
            self.unlinked.insert(number);
            return Ok(());
        }
        let logged = NodeKind::of_mode(le32(item, MODE));
        self.done.attributes.entry(number).or_default();
        if logged == Some(NodeKind::Directory) {
            self.lost_names(number)?;
        }
        let before = self.volume.item(self.tree, key)?;
        // Logged with no generation only so that it exists: its size alone counts, if it has one.
        let now = match before {
            Some(mut before) if le64(item, GENERATION) == 0 => {
                let both_files = [logged, NodeKind::of_mode(le32(&before, MODE))].iter().all(|kind| *kind == Some(NodeKind::File));
                if both_files
                    && le64(item, SIZE) != 0
                    && let (Some(to), Some(from)) = (before.get_mut(SIZE..SIZE + 8), item.get(SIZE..SIZE + 8))
                {
                    to.copy_from_slice(from);
                }
                before
            }
            _ => item.to_vec(),
        };
        if logged == Some(NodeKind::File) {
            let end = le64(&now, SIZE).checked_next_multiple_of(self.volume.superblock.sector).unwrap_or(u64::MAX);
            self.done.content.insert(number, Changes { end, extents: vec![] });
        }
        self.done.inodes.insert(number, now);
        self.changed.insert(number);
        Ok(())
    }

    /// Takes away the names that a directory has in a logged range and its log does not have.
    fn lost_names(&mut self, directory: u64) -> Result<(), Error> {
        let of = |kind| self.items.range(Key::new(directory, kind, 0)..=Key::new(directory, kind, u64::MAX));
        let ranges: Vec<_> = of(Key::LOGGED_RANGE).map(|(key, item)| key.offset..=le64(item, 0)).collect();
        let items = self.items;
        let Some(found) = self.directory(directory)?.filter(|_| !ranges.is_empty()) else { return Ok(()) };
        let mut gone = Vec::new();
        for (index, entry) in ranges.into_iter().filter(|range| !range.is_empty()).flat_map(|range| found.entries.range(range)) {
            let logged = items.get(&Key::new(directory, Key::ENTRY, *index)).map(|item| named(directory, item)).transpose()?;
            if !logged.is_some_and(|logged| logged.iter().any(|other| other.name == entry.name)) {
                gone.push((*index, entry.location.object));
            }
        }
        for (index, inode) in gone {
            self.remove(directory, index);
            self.changed.insert(inode);
        }
        Ok(())
    }

    /// A name that a directory gained.
    fn entry(&mut self, key: Key, entry: Named) -> Result<(), Error> {
        let (directory, index) = (key.object, key.offset);
        let exists = self.exists(entry.location.object)?;
        let Some(found) = self.directory(directory)? else {
            return Err(Error::Damaged(format!("log tree: names in directory {directory}, which is not")));
        };
        let same = |other: &Named| other.location == entry.location;
        let (mut by_name, mut by_index, mut conflicts) = (false, false, vec![]);
        if let Some((at, other)) = found.named(&entry.name) {
            by_name = same(other);
            by_index = by_name && at == index;
            if !by_name && exists {
                conflicts.push((at, other.location.object));
            }
        }
        if by_name && by_index {
            return Ok(());
        }
        for (at, inode) in conflicts {
            self.remove(directory, at);
            self.changed.insert(inode);
        }
        // What the inode's own log says of the name is laid later; a name that stands in the way stays.
        let later = self.logged_names(entry.location.object, directory)?.iter().any(|name| name.name == entry.name);
        if later || !exists {
            return Ok(());
        }
        if let Some(found) = self.directory(directory)?
            && found.named(&entry.name).is_none()
            && !found.entries.contains_key(&index)
        {
            self.changed.insert(entry.location.object);
            self.add(directory, index, entry);
        }
        Ok(())
    }

    /// Names of an inode in its own log.
    fn names(&mut self, key: Key, item: &[u8]) -> Result<(), Error> {
        let number = key.object;
        // The root directory has `..` for a name, in itself.
        if (key.kind == Key::NAME && key.offset == number) || !self.exists(number)? {
            return Ok(());
        }
        for Name { directory, index, name } in names(key, item)? {
            let logged: BTreeSet<Vec<u8>> = self.logged_names(number, directory)?.into_iter().map(|name| name.name).collect();
            let Some(found) = self.directory(directory)? else { continue };
            let there = found.entries.get(&index).is_some_and(|entry| entry.name == name && entry.location.object == number);
            // Names that it no longer has there, and others that stand in the way.
            let lost = found.of(number).into_iter().filter(|at| found.entries.get(at).is_some_and(|entry| !logged.contains(&entry.name)));
            let mut gone: Vec<u64> = lost.collect();
            if !there {
                gone.extend(found.named(&name).map(|(at, _)| at));
                gone.extend(found.entries.contains_key(&index).then_some(index));
            }
            let others: Vec<u64> = gone.iter().filter_map(|at| found.entries.get(at)).map(|entry| entry.location.object).collect();
            self.changed.extend(others);
            for at in gone {
                self.remove(directory, at);
            }
            if !there {
                self.add(directory, index, Named { location: Key::new(number, Key::INODE, 0), name, value: vec![] });
            }
            self.changed.insert(number);
        }
        Ok(())
    }

    fn sums(&mut self, first: u64, item: &[u8]) {
        let (sector, digest) = (self.volume.superblock.sector, self.volume.superblock.checksum.digest_len());
        let mut at = first;
        for sum in item.chunks_exact(digest) {
            self.done.sums.insert(at, filled(sum));
            at = at.saturating_add(sector);
        }
    }

    /// The names that the log has for an inode in a directory.
    fn logged_names(&self, inode: u64, directory: u64) -> Result<Vec<Name>, Error> {
        let mut found = Vec::new();
        for (key, item) in self.items.range(Key::new(inode, Key::NAME, 0)..=Key::new(inode, Key::FAR_NAME, u64::MAX)) {
            found.extend(names(*key, item)?.into_iter().filter(|name| name.directory == directory));
        }
        Ok(found)
    }

    fn exists(&self, inode: u64) -> Result<bool, Error> {
        if self.done.inodes.contains_key(&inode) {
            return Ok(true);
        }
        Ok(self.volume.item(self.tree, Key::new(inode, Key::INODE, 0))?.is_some())
    }

    /// A directory as it is by now; `None` where there is none.
    fn directory(&mut self, number: u64) -> Result<Option<&Directory>, Error> {
        if !self.done.directories.contains_key(&number) {
            if !self.exists(number)? {
                return Ok(None);
            }
            let (mut found, mut held) = (Directory::default(), self.held);
            self.volume.items(self.tree, Key::new(number, Key::ENTRY, 0), &mut |index, item| {
                for entry in named(number, item)? {
                    found.add(index, entry);
                    held = held.saturating_add(1);
                }
                if held > MAX_ITEMS { Err(too_much()) } else { Ok(ControlFlow::Continue(())) }
            })?;
            self.held = held;
            self.done.directories.insert(number, found);
        }
        Ok(self.done.directories.get(&number))
    }

    fn add(&mut self, directory: u64, index: u64, entry: Named) {
        self.done.directories.entry(directory).or_default().add(index, entry);
    }

    fn remove(&mut self, directory: u64, index: u64) {
        self.done.directories.entry(directory).or_default().remove(index);
    }

    /// Counts the names of inodes whose names may have changed: those in directories that are held, and those of the tree elsewhere.
    fn count_links(&mut self) -> Result<(), Error> {
        for number in self.changed.clone() {
            let held = self.done.directories.values().map(|directory| directory.of(number).len());
            let mut count: usize = held.sum();
            for kind in [Key::NAME, Key::FAR_NAME] {
                self.volume.items(self.tree, Key::new(number, kind, 0), &mut |offset, item| {
                    let elsewhere = names(Key::new(number, kind, offset), item)?;
                    let elsewhere = elsewhere.iter().filter(|name| !self.done.directories.contains_key(&name.directory));
                    count = count.saturating_add(elsewhere.count());
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            self.done.links.insert(number, u32::try_from(count).unwrap_or(u32::MAX));
        }
        Ok(())
    }
}
