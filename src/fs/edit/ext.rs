//! Changes to ext2, ext3 and ext4, with the crate `rust-fs-ext4` as the writer.
//!
//! The crate allocates and frees; before and after it, `fs/ext/writing.rs` makes the file system ready and puts it in order. The crate's
//! clock and its generations are those of the file system, so that the same changes give the same bytes. After each change the count of
//! free blocks is held against what the inode said it had: what does not add up ends with an error, and nothing of it is used.
//!
//! What is refused, by name:
//!
//! - the whole file system: bigalloc, quota, project, mmp, snapshots, shared blocks, features that nobody here knows; a journal on another
//!   device, fast commits to be replayed; recorded errors; not unmounted and without a journal; files that were being cut when it stopped,
//!   or that its orphan file names;
//! - single inodes: content that is encrypted by fscrypt, or sealed by verity; content counted in blocks (`huge_file`, from 2 TiB on);
//!   entries of directories that are encrypted or fold case; removing what has values of attributes in inodes of their own (`ea_inode`);
//!   new files whose attributes do not fit the inode; with block pointers, content that has no path of text, or finds no room in one piece.
//!
//! Blocks that are freed keep their bytes: leaving them out is for whoever copies the disk. Inodes that are freed become zeros, and so do
//! names that were removed from directories that stay.

mod device;
mod front;

use self::device::{Clock, Device};
use self::front::{Front, LARGE, View};
use super::{Editor, NewFile, guard};
use crate::bytes::{Scratch, int_u64};
use crate::fs::ext::writing::{Ground, Standing, Times};
use crate::fs::{Error, NodeId, NodeKind};
use fs_ext4::fs::Filesystem;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::fmt;
use std::sync::Arc;

/// `i_flags`.
mod flag {
    pub(super) const IMMUTABLE: u32 = 0x10;
    pub(super) const APPEND: u32 = 0x20;
    pub(super) const ENCRYPT: u32 = 0x800;
    pub(super) const HUGE_FILE: u32 = 0x4_0000;
    pub(super) const EXTENTS: u32 = 0x8_0000;
    pub(super) const VERITY: u32 = 0x10_0000;
    pub(super) const EA_INODE: u32 = 0x20_0000;
    pub(super) const INLINE_DATA: u32 = 0x1000_0000;
    pub(super) const CASEFOLD: u32 = 0x4000_0000;
}

/// Opens a file system for changes.
pub(super) fn open(scratch: Arc<Scratch>) -> Result<Box<dyn Editor>, Error> {
    Ok(Box::new(open_editor(scratch)?))
}

fn open_editor(scratch: Arc<Scratch>) -> Result<ExtEditor, Error> {
    let ground = Ground::open(scratch.clone())?;
    let device = Arc::new(Device::new(scratch));
    let clock = Arc::new(Clock::new(ground.time(), ground.generation()?));
    let writer = mount(&device, &clock)?;
    if ground.counts()?.1 != 0 {
        return Err(Error::Unsupported("deleted files that could not be freed; boot it once and shut it down".to_owned()));
    }
    let (times, swept, fronts) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    Ok(ExtEditor { ground, device, clock, writer: Some(writer), stale: false, times, swept, fronts })
}

/// An ext file system, open for changes.
struct ExtEditor {
    ground: Ground,
    device: Arc<Device>,
    clock: Arc<Clock>,
    /// `None` only while it is opened anew, and when that failed.
    writer: Option<Filesystem>,
    /// Whether something was freed that the writer's copy of the descriptors does not have.
    stale: bool,
    /// What the times of changed inodes shall be.
    times: BTreeMap<u64, Times>,
    /// Directories that entries were removed from.
    swept: BTreeSet<u64>,
    /// Large directories that names are being removed from.
    fronts: BTreeMap<u64, Front>,
}

impl fmt::Debug for ExtEditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtEditor").field("ground", &self.ground).finish_non_exhaustive()
    }
}

fn mount(device: &Arc<Device>, clock: &Arc<Clock>) -> Result<Filesystem, Error> {
    guarded(device, || Filesystem::mount_with_runtime(device.clone(), clock.clone()))
}

/// Calls the writer; its errors become ours, and if it should panic over what it was given, that is an error too.
fn guarded<T>(device: &Device, call: impl FnOnce() -> Result<T, fs_ext4::error::Error>) -> Result<T, Error> {
    use fs_ext4::error::Error as Theirs;
    let done = guard::guarded(call);
    if let Some(error) = device.failed() {
        return Err(error);
    }
    let Some(done) = done else { return Err(Error::Damaged("the writer gave up over what it found".to_owned())) };
    done.map_err(|error| match error {
        Theirs::NoSpaceLeftOnDevice => Error::Full("no free blocks".to_owned()),
        Theirs::Corrupt(what) if what.contains("contiguous free run") => Error::Full("no free blocks in one piece".to_owned()),
        Theirs::Corrupt(what) if what.contains("free inode") => Error::Full("no free inodes".to_owned()),
        Theirs::UnsupportedIncompat(_) | Theirs::UnsupportedRoCompat(_) | Theirs::Unsupported(_) | Theirs::InvalidArgument(_) => {
            Error::Unsupported(error.to_string())
        }
        Theirs::NotFound | Theirs::AlreadyExists | Theirs::DirectoryNotEmpty | Theirs::NotADirectory | Theirs::IsADirectory => {
            Error::Unsupported(format!("the name is not as the change expects it: {error}"))
        }
        other => Error::Damaged(other.to_string()),
    })
}

impl ExtEditor {
    /// Calls the writer.
    fn call<T>(&self, call: impl FnOnce(&Filesystem) -> Result<T, fs_ext4::error::Error>) -> Result<T, Error> {
        let writer = self.writer.as_ref().ok_or_else(|| Error::Unsupported("a writer that failed before".to_owned()))?;
        guarded(&self.device, || call(writer))
    }

    /// Lets the writer see what was freed: it looks for room by a copy of the descriptors that it takes when it opens. Blocks are where they
    /// are then, since others may get them.
    fn refresh(&mut self) -> Result<(), Error> {
        self.fronts.clear();
        if !self.device.view().is_plain() {
            return self.reopen(|view| *view = View::default());
        }
        if self.stale {
            return self.reopen(|_| {});
        }
        Ok(())
    }

    /// Opens the writer anew, over another view.
    fn reopen(&mut self, change: impl FnOnce(&mut View)) -> Result<(), Error> {
        self.stale = false;
        self.end_writer()?;
        change(&mut self.device.view());
        self.writer = Some(mount(&self.device, &self.clock)?);
        Ok(())
    }

    /// The inode of a name that is to be removed. The block of a large directory that it stands in is brought to the front before.
    fn named(&mut self, directory: u32, standing: &Standing, name: &[u8]) -> Result<u32, Error> {
        let id = u64::from(directory);
        let size = self.ground.block_size();
        if standing.size < size.saturating_mul(LARGE) || standing.flags & flag::INLINE_DATA != 0 {
            return self.call(|writer| writer.lookup_at(directory, name));
        }
        if let btree_map::Entry::Vacant(place) = self.fronts.entry(id) {
            place.insert(Front::new(self.ground.names(id)?));
        }
        let found = self.fronts.get_mut(&id).and_then(|front| front.find(name));
        let (number, swap) = found.ok_or_else(|| Error::Unsupported("the name is not as the change expects it: not found".to_owned()))?;
        if let Some((first, block)) = swap {
            self.reopen(|view| view.swap(size, first, block))?;
        }
        Ok(number)
    }

    fn end_writer(&mut self) -> Result<(), Error> {
        match self.writer.take() {
            Some(writer) => guarded(&self.device, || writer.finish()),
            None => Err(Error::Unsupported("a writer that failed before".to_owned())),
        }
    }

    /// Free blocks now.
    fn free(&self) -> Result<u64, Error> {
        Ok(self.ground.counts()?.0)
    }

    /// An inode to be changed; what it was is kept for its times.
    fn standing(&mut self, id: NodeId) -> Result<(u32, Standing), Error> {
        let number = u32::try_from(id.0).map_err(|error| Error::Damaged(format!("inode {}: {error}", id.0)))?;
        let standing = self.ground.standing(id.0)?;
        self.times.entry(id.0).or_insert_with(|| standing.times.clone());
        Ok((number, standing))
    }

    /// A directory whose entries are to be changed.
    fn directory(&mut self, id: NodeId) -> Result<(u32, Standing), Error> {
        let (number, standing) = self.standing(id)?;
        if standing.kind != NodeKind::Directory {
            return Err(Error::Unsupported(format!("inode {number}: a {}, not a directory", standing.kind)));
        }
        has_not(number, &standing, flag::ENCRYPT, "names encrypted by fscrypt")?;
        has_not(number, &standing, flag::CASEFOLD, "a directory that folds case")?;
        Ok((number, standing))
    }

    /// Frees the content of a file.
    fn empty(&self, number: u32, file: &Standing) -> Result<(), Error> {
        if file.size == 0 && file.blocks > u64::from(file.attributes) && file.flags & flag::INLINE_DATA == 0 {
            // Blocks that were allocated ahead go only with an end that moves.
            self.call(|writer| writer.apply_truncate_ino(number, 1))?;
        }
        self.call(|writer| writer.apply_truncate_ino(number, 0))
    }

    /// Checks that a change has freed what it should have.
    fn freed(&self, number: u32, before: u64, expected: u64) -> Result<(), Error> {
        let freed = self.free()?.checked_sub(before);
        if freed == Some(expected) {
            return Ok(());
        }
        Err(Error::Damaged(format!("inode {number}: it counts {expected} blocks of its own, and {freed:?} were found")))
    }

    /// Puts attributes into an inode that has none.
    fn attach(&self, number: u32, attributes: &[(String, Vec<u8>)]) -> Result<(), Error> {
        if attributes.is_empty() {
            return Ok(());
        }
        let mut raw = self.call(|writer| writer.read_inode_raw(number))?;
        let extra = raw.get(0x80..0x82).and_then(|field| field.first_chunk()).map_or(0, |field| u16::from_le_bytes(*field));
        let region = raw.get_mut(usize::from(extra).saturating_add(128)..).filter(|_| extra != 0).unwrap_or_default();
        for (name, value) in attributes {
            let fits = guarded(&self.device, || fs_ext4::xattr::plan_set_in_inode_region(region, name, value));
            fits.map_err(|error| Error::Unsupported(format!("attribute {name} of a new file does not fit its inode ({error})")))?;
        }
        let generation = raw.get(0x64..0x68).and_then(|field| field.first_chunk()).map_or(0, |field| u32::from_le_bytes(*field));
        self.call(|writer| {
            if let Some((low, high)) = writer.csum.compute_inode_checksum(number, generation, &raw) {
                for (at, half) in [(0x7c_usize, low), (0x82, high)] {
                    if let Some(field) = raw.get_mut(at..at.saturating_add(2)) {
                        field.copy_from_slice(&half.to_le_bytes());
                    }
                }
            }
            writer.write_inode_raw(number, &raw)
        })
    }
}

/// Fails if an inode has a flag.
fn has_not(number: u32, standing: &Standing, flag: u32, what: &str) -> Result<(), Error> {
    if standing.flags & flag == 0 { Ok(()) } else { Err(Error::Unsupported(format!("inode {number}: {what}"))) }
}

/// Fails if the guest forbids a change.
fn allowed(number: u32, standing: &Standing, flags: u32) -> Result<(), Error> {
    let what = match standing.flags & flags {
        0 => return Ok(()),
        flags if flags & flag::IMMUTABLE != 0 => "immutable (chattr +i)",
        _ => "append-only (chattr +a)",
    };
    Err(Error::Protected(format!("inode {number} is {what}")))
}

impl Editor for ExtEditor {
    fn write(&mut self, file: NodeId, content: &[u8]) -> Result<(), Error> {
        self.refresh()?;
        let (number, standing) = self.standing(file)?;
        if standing.kind != NodeKind::File {
            return Err(Error::Unsupported(format!("inode {number}: a {}, not a file", standing.kind)));
        }
        allowed(number, &standing, flag::IMMUTABLE | flag::APPEND)?;
        has_not(number, &standing, flag::ENCRYPT, "content encrypted by fscrypt")?;
        has_not(number, &standing, flag::VERITY, "content sealed by verity")?;
        has_not(number, &standing, flag::EA_INODE, "an attribute's value, not a file")?;
        has_not(number, &standing, flag::HUGE_FILE, "content counted in blocks")?;
        let before = self.free()?;
        let own = standing.blocks.saturating_sub(u64::from(standing.attributes));
        self.stale = true;
        if standing.flags & (flag::EXTENTS | flag::INLINE_DATA) == 0 {
            let path = self.ground.path(file.0)?;
            self.call(|writer| writer.apply_replace_file_content(&path, &[]))?;
            self.freed(number, before, own)?;
            if !content.is_empty() {
                self.refresh()?;
                self.call(|writer| writer.apply_replace_file_content(&path, content))?;
            }
        } else {
            self.empty(number, &standing)?;
            self.freed(number, before, own)?;
            if !content.is_empty() {
                self.refresh()?;
                self.call(|writer| writer.apply_pwrite_ino(number, 0, content))?;
            }
        }
        self.stale = true;
        let now = self.ground.standing(file.0)?;
        let spent = before.saturating_add(own).saturating_sub(self.free()?);
        let expected = now.blocks.saturating_sub(u64::from(now.attributes));
        if now.size != int_u64(content.len()) || spent != expected {
            return Err(Error::Damaged(format!("inode {number}: {} bytes in {spent} blocks, and it counts {expected}", now.size)));
        }
        Ok(())
    }

    fn remove(&mut self, directory: NodeId, name: &[u8]) -> Result<(), Error> {
        let (parent, standing) = self.directory(directory)?;
        allowed(parent, &standing, flag::IMMUTABLE | flag::APPEND)?;
        let number = self.named(parent, &standing, name)?;
        let (_, target) = self.standing(NodeId(u64::from(number)))?;
        allowed(number, &target, flag::IMMUTABLE | flag::APPEND)?;
        if target.elsewhere {
            return Err(Error::Unsupported(format!("inode {number}: removing what has attributes in inodes of their own")));
        }
        let before = self.free()?;
        let is_directory = target.kind == NodeKind::Directory;
        let last = is_directory || target.links == 1;
        self.call(|writer| if is_directory { writer.apply_rmdir_at(parent, name) } else { writer.apply_unlink_at(parent, name) })?;
        self.stale = true;
        self.swept.insert(directory.0);
        self.freed(number, before, if last { target.blocks.saturating_sub(target.shared) } else { 0 })?;
        if last {
            self.times.remove(&u64::from(number));
            self.swept.remove(&u64::from(number));
            self.fronts.remove(&u64::from(number));
        }
        Ok(())
    }

    fn create(&mut self, directory: NodeId, name: &[u8], new: &NewFile<'_>) -> Result<NodeId, Error> {
        self.refresh()?;
        let (parent, standing) = self.directory(directory)?;
        allowed(parent, &standing, flag::IMMUTABLE)?;
        let number = self.call(|writer| writer.apply_create_at(parent, name, new.mode))?;
        self.call(|writer| writer.apply_chown_ino(number, new.uid, new.gid))?;
        self.attach(number, new.attributes)?;
        let id = NodeId(u64::from(number));
        self.times.insert(id.0, self.times.get(&directory.0).unwrap_or(&standing.times).for_new());
        self.swept.insert(directory.0);
        self.stale = true;
        if !new.content.is_empty() {
            self.write(id, new.content)?;
        }
        Ok(id)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.end_writer()?;
        self.ground.close(&self.swept, &self.times)
    }
}

#[cfg(test)]
mod tests;
