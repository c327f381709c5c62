//! Changes to XFS of version 5, by the crate `rust-fs-xfs`.
//!
//! The crate knows allocation, directories and attributes; what it takes from the clock is put right here, in the inodes themselves, once
//! all is done: a node that stays keeps its times, and a new one takes that of its directory. An inode that is freed is blanked behind its
//! core, where targets of short symlinks, names of short directories and attributes were; of one that stays what its content no longer
//! uses is blanked. Blocks that are freed keep what they hold, and so do names that are removed from a directory that has blocks.
//!
//! The log is ended as after an unmount, and blanked: it holds metadata only, so old names and symlink targets, never the content of
//! files. A log of more than 128 MiB is ended but not blanked.
//!
//! Refused by name: version 4; large extent counts (nrext64), where the writer gave a new file other content; a log that holds work, and
//! inodes that were deleted while open; quotas that are accounted for; names that fold case; directory blocks of more than 16 KiB; log
//! records aligned to more than 32 KiB; parent pointers; a metadata directory; content on the realtime device; removing a directory
//! whose extents are a tree; a new file where its directory hands down an access control list, or has no free inode and no room for more
//! in its allocation group, or where the writer would lay out the directory in fewer blocks than it had (which it reports as an overflow
//! of quotas).
//! A directory grows in its own group only, and content is written in as many pieces as the inode itself can list.

mod device;

use super::super::fields::{array, be16, be32, be64};
use super::super::xfs::{BIG_TIME, CHECKSUM, CORE_3, Layout, cannot_write, put, seal, seconds};
use super::super::{Error, NodeId};
use super::{Editor, NewFile, guard};
use crate::bytes::{Scratch, int_usize};
use device::Device;
use fs_xfs::Filesystem;
use fs_xfs::attr_write::XattrMode;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Access, content, status: the three times in the middle of a core; when it was made stands at its end.
const TIMES: std::ops::Range<usize> = 32..56;
const MODIFIED: usize = 40;
const MADE: usize = 144;
/// Blocks of both forks.
const BLOCKS: usize = 64;
/// `di_format`, `di_aformat`: in the inode; in extents that the inode lists; in extents that a tree lists.
const LOCAL: u8 = 1;
const EXTENTS: u8 = 2;
const TREE: u8 = 3;

/// `di_flags`: content on the realtime device; immutable; append-only.
const REALTIME: u16 = 0x1;
const IMMUTABLE: u16 = 0x8;
const APPEND: u16 = 0x10;
/// `di_flags2`: extents may be shared; what the inode must say itself.
const SHARED: u64 = 0x2;
/// Counts of extents have 64 bits, and stand elsewhere.
const LARGE_COUNTS: u64 = 0x10;
/// Where `di_flags2` stands.
const FLAGS_2: usize = 120;

/// Types in a mode.
const TYPE: u16 = 0o170_000;
const FILE: u16 = 0o100_000;
const DIRECTORY: u16 = 0o040_000;

/// An attribute that hands down access control lists.
const HANDED_DOWN: &[u8] = b"trusted.SGI_ACL_DEFAULT";

/// Opens for changes.
pub(super) fn open(scratch: Arc<Scratch>) -> Result<Box<dyn Editor>, Error> {
    let layout = Layout::open(&scratch)?;
    let device = Arc::new(Device::new(scratch.clone(), &layout));
    let writer = ask(&device, || Filesystem::mount_rw(device.clone()))?;
    Ok(Box::new(Xfs { scratch, layout, device, writer, touched: BTreeMap::new(), failed: false }))
}

/// What becomes of an inode in the end.
#[derive(Debug, Clone)]
enum Fate {
    /// It stays, with these times.
    Stays([u8; 24]),
    /// It is freed, and had these times until then, and this one from when it was made.
    Freed([u8; 24], [u8; 8]),
    /// It is new.
    New {
        mode: u16,
        uid: u32,
        gid: u32,
        /// Seconds and nanoseconds since 1970.
        time: (i64, u32),
    },
}

/// A file system of version 5.
struct Xfs {
    scratch: Arc<Scratch>,
    layout: Layout,
    device: Arc<Device>,
    writer: Filesystem,
    touched: BTreeMap<u64, Fate>,
    /// Whether a change failed, perhaps halfway.
    failed: bool,
}

impl fmt::Debug for Xfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Xfs").field("layout", &self.layout).field("touched", &self.touched).finish_non_exhaustive()
    }
}

/// Lets the writer do something. What it does on damaged metadata that nobody thought of must not end the program.
fn ask<T>(device: &Device, act: impl FnOnce() -> fs_xfs::Result<T>) -> Result<T, Error> {
    match guard::guarded(act) {
        Some(Ok(done)) => Ok(done),
        Some(Err(error)) => Err(device.failure().unwrap_or_else(|| of_writer(&error))),
        None => Err(Error::Damaged("metadata that its writer stumbles over; run xfs_repair".to_owned())),
    }
}

/// The writer's errors, in our words where it has none of its own.
fn of_writer(error: &fs_xfs::Error) -> Error {
    use fs_xfs::Error as E;
    match error {
        E::NoSpace(_) => Error::Full("its allocation groups have too few free blocks".to_owned()),
        E::UnsupportedFeature(what) => Error::Unsupported(what.clone()),
        E::DirtyLog => Error::Unsupported(
            "changing an XFS with inodes that were deleted while open: start the machine and shut it down cleanly, or run xfs_repair, first"
                .to_owned(),
        ),
        other => Error::Damaged(other.to_string()),
    }
}

impl Xfs {
    /// An inode as it is by now.
    fn inode(&self, number: u64) -> Result<Vec<u8>, Error> {
        ask(&self.device, || self.writer.read_inode_raw(number).map(|(_, raw)| raw))
    }

    /// Remembers the times of an inode that stays, unless it is known already.
    fn stays(&mut self, number: u64, raw: &[u8]) {
        self.touched.entry(number).or_insert_with(|| Fate::Stays(array(raw, TIMES.start)));
    }

    /// Remembers that an inode is freed.
    fn freed(&mut self, number: u64, raw: &[u8]) {
        let (times, made) = match self.touched.get(&number) {
            Some(Fate::Stays(times)) => (*times, array(raw, MADE)),
            Some(Fate::New { .. }) => ([0; 24], [0; 8]),
            Some(Fate::Freed(..)) | None => (array(raw, TIMES.start), array(raw, MADE)),
        };
        self.touched.insert(number, Fate::Freed(times, made));
    }

    /// Fails where the guest has forbidden changes.
    fn allowed(number: u64, raw: &[u8], forbidden: u16) -> Result<(), Error> {
        let flags = be16(raw, 90) & forbidden;
        if flags & IMMUTABLE != 0 {
            return Err(Error::Protected(format!("inode {number} is immutable")));
        }
        if flags & APPEND != 0 {
            return Err(Error::Protected(format!("inode {number} is append-only")));
        }
        Ok(())
    }

    /// Lets a directory count only the blocks of its entries for now: the writer forgets those of attributes when it counts again, and
    /// stumbles over the difference.
    fn count_entries(&self, number: u64, raw: &[u8]) -> Result<(), Error> {
        let in_blocks = raw.get(82).is_some_and(|offset| *offset != 0) && raw.get(83).is_some_and(|format| *format != LOCAL);
        if !in_blocks {
            return Ok(());
        }
        ask(&self.device, || self.writer.sync())?;
        let (content, _) = self.layout.blocks(&self.scratch, number)?;
        self.change(number, |raw| put(raw, BLOCKS, &content.to_be_bytes()))
    }

    /// A directory that is to be changed.
    fn directory(&self, number: u64, forbidden: u16) -> Result<Vec<u8>, Error> {
        let raw = self.inode(number)?;
        if be16(&raw, 2) & TYPE != DIRECTORY {
            return Err(Error::Damaged(format!("inode {number}: is not a directory")));
        }
        Self::allowed(number, &raw, forbidden)?;
        Ok(raw)
    }

    /// Takes all blocks from a file, those behind its end too.
    fn empty(&self, number: u64, raw: &[u8]) -> Result<(), Error> {
        if be16(raw, 90) & REALTIME != 0 {
            return Err(Error::Unsupported(format!("changing inode {number}, whose content lies on the realtime device")));
        }
        let extents = ask(&self.device, || self.writer.read_inode(number).map(|inode| inode.nextents))?;
        if extents > 0 {
            ask(&self.device, || self.writer.truncate_to_zero(number))?;
        } else if be64(raw, 56) > 0 {
            ask(&self.device, || self.writer.truncate_to(number, 0))?;
        }
        if be64(raw, FLAGS_2) & SHARED != 0 {
            // Nothing is shared where there is nothing; the writer leaves the mark, and refuses to write then.
            ask(&self.device, || self.writer.sync())?;
            self.change(number, |raw| {
                let flags = be64(raw, FLAGS_2) & !SHARED;
                put(raw, FLAGS_2, &flags.to_be_bytes());
            })?;
        }
        Ok(())
    }

    /// Fills a file that has no blocks.
    fn fill(&self, number: u64, content: &[u8]) -> Result<(), Error> {
        if !content.is_empty() {
            // A block of metadata that was freed may be given out for content, and what the writer holds of it would come over that later.
            ask(&self.device, || self.writer.sync())?;
            ask(&self.device, || self.writer.write(number, 0, content))?;
        }
        Ok(())
    }

    /// Changes an inode where it lies, which the writer must have nothing newer of.
    fn change(&self, number: u64, change: impl FnOnce(&mut [u8])) -> Result<(), Error> {
        let (at, mut raw) = self.layout.inode(&self.scratch, number)?;
        change(&mut raw);
        seal(&mut raw, CHECKSUM);
        self.scratch.write_at(at, &raw).map_err(cannot_write)
    }

    fn try_write(&mut self, number: u64, content: &[u8]) -> Result<(), Error> {
        let raw = self.inode(number)?;
        if be16(&raw, 2) & TYPE != FILE {
            return Err(Error::Damaged(format!("inode {number}: is not a regular file")));
        }
        Self::allowed(number, &raw, IMMUTABLE | APPEND)?;
        self.stays(number, &raw);
        self.empty(number, &raw)?;
        self.fill(number, content)
    }

    fn try_remove(&mut self, parent: u64, name: &[u8]) -> Result<(), Error> {
        let directory = self.directory(parent, IMMUTABLE | APPEND)?;
        let found = ask(&self.device, || {
            let (inode, raw) = self.writer.read_inode_raw(parent)?;
            match self.writer.lookup(&inode, &raw, name) {
                Err(fs_xfs::Error::NotFound) => Ok(None),
                other => other.map(Some),
            }
        })?;
        let node = found.ok_or_else(|| Error::Damaged(format!("directory {parent}: the name to be removed is not in it")))?;
        let raw = self.inode(node.ino)?;
        Self::allowed(node.ino, &raw, IMMUTABLE | APPEND)?;
        if node.is_realtime() {
            return Err(Error::Unsupported(format!("removing inode {}, whose content lies on the realtime device", node.ino)));
        }
        self.stays(parent, &directory);
        self.count_entries(parent, &directory)?;
        if node.is_dir() {
            let removed = ask(&self.device, || match self.writer.remove_directory(parent, name) {
                Err(fs_xfs::Error::DirectoryNotEmpty) => Ok(false),
                other => other.map(|_| true),
            })?;
            if !removed {
                return Err(Error::Unsupported(format!("removing directory {}, which is not empty", node.ino)));
            }
            self.freed(node.ino, &raw);
            return Ok(());
        }
        let last = node.nlink <= 1;
        // The writer does not free a tree of extents with its inode.
        if last && node.is_regular_file() && raw.get(5) == Some(&TREE) {
            self.empty(node.ino, &raw)?;
        }
        ask(&self.device, || self.writer.unlink_file(parent, name))?;
        if last {
            self.freed(node.ino, &raw);
        } else {
            self.stays(node.ino, &raw);
        }
        Ok(())
    }

    fn try_create(&mut self, parent: u64, name: &[u8], new: &NewFile<'_>) -> Result<NodeId, Error> {
        let directory = self.directory(parent, IMMUTABLE)?;
        let handed_down = ask(&self.device, || {
            let (inode, raw) = self.writer.read_inode_raw(parent)?;
            self.writer.get_xattr(&inode, &raw, HANDED_DOWN)
        })?;
        if handed_down.is_some() {
            return Err(Error::Unsupported(format!("a new file in directory {parent}, which hands down an access control list")));
        }
        self.stays(parent, &directory);
        self.count_entries(parent, &directory)?;
        // The writer has put the clock's time into a directory that was changed before.
        let mut unchanged = directory;
        if let Some(Fate::Stays(times)) = self.touched.get(&parent) {
            put(&mut unchanged, TIMES.start, times);
        }
        let (number, _) = ask(&self.device, || match self.writer.create_file(parent, name, new.mode & 0o7777) {
            Err(fs_xfs::Error::AlreadyExists) => Ok((0, 0)),
            other => other,
        })?;
        if number == 0 {
            return Err(Error::Damaged(format!("directory {parent}: the name to be made is in it already")));
        }
        let time = time(&unchanged);
        self.touched.insert(number, Fate::New { mode: new.mode & 0o7777, uid: new.uid, gid: new.gid, time });
        for (name, value) in new.attributes {
            ask(&self.device, || self.writer.set_xattr(number, name.as_bytes(), value, XattrMode::Create))?;
        }
        self.fill(number, new.content)?;
        Ok(NodeId(number))
    }

    /// Remembers that a change failed.
    fn ended<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.failed |= result.is_err();
        result
    }

    /// Fails after a change that failed: what came of it is not known.
    fn whole(&self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Unsupported("going on after a change that failed".to_owned()));
        }
        Ok(())
    }
}

impl Editor for Xfs {
    fn write(&mut self, file: NodeId, content: &[u8]) -> Result<(), Error> {
        self.whole()?;
        let result = self.try_write(file.0, content);
        self.ended(result)
    }

    fn remove(&mut self, directory: NodeId, name: &[u8]) -> Result<(), Error> {
        self.whole()?;
        let result = self.try_remove(directory.0, name);
        self.ended(result)
    }

    fn create(&mut self, directory: NodeId, name: &[u8], new: &NewFile<'_>) -> Result<NodeId, Error> {
        self.whole()?;
        let result = self.try_create(directory.0, name, new);
        self.ended(result)
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.whole()?;
        let Self { scratch, layout, device, writer, touched, .. } = *self;
        ask(&device, || writer.unmount())?;
        for (number, fate) in touched {
            let (at, mut raw) = layout.inode(&scratch, number)?;
            settle(&mut raw, &fate);
            if !matches!(fate, Fate::Freed(..)) {
                // The writer forgets the blocks of attributes in some of its counts.
                let (content, attributes) = layout.blocks(&scratch, number)?;
                put(&mut raw, BLOCKS, &content.saturating_add(attributes).to_be_bytes());
            }
            seal(&mut raw, CHECKSUM);
            scratch.write_at(at, &raw).map_err(cannot_write)?;
        }
        layout.close(&scratch)
    }
}

/// Puts into an inode what the writer cannot know.
fn settle(raw: &mut [u8], fate: &Fate) {
    match fate {
        Fate::Stays(times) => {
            put(raw, TIMES.start, times);
            blank_rest(raw);
        }
        Fate::Freed(times, made) => {
            put(raw, TIMES.start, times);
            put(raw, MADE, made);
            raw.get_mut(CORE_3..).unwrap_or_default().fill(0);
        }
        Fate::New { mode, uid, gid, time } => {
            let kind = be16(raw, 2) & TYPE;
            put(raw, 2, &(kind | mode).to_be_bytes());
            put(raw, 8, &uid.to_be_bytes());
            put(raw, 12, &gid.to_be_bytes());
            // A freed inode keeps its project and its hints for the sizes of extents.
            put(raw, 20, &[0; 4]);
            put(raw, 72, &[0; 4]);
            put(raw, 124, &[0; 4]);
            let stored = stored(*time, be64(raw, FLAGS_2) & BIG_TIME != 0);
            for at in [TIMES.start, MODIFIED, MODIFIED.saturating_add(8), MADE] {
                put(raw, at, &stored);
            }
        }
    }
}

/// Blanks what the content of an inode does not use of the room in it: names that a short directory had stay there otherwise.
fn blank_rest(raw: &mut [u8]) {
    let used = match raw.get(5) {
        Some(&LOCAL) => be64(raw, 56),
        Some(&EXTENTS) if be64(raw, FLAGS_2) & LARGE_COUNTS != 0 => be64(raw, 24).saturating_mul(16),
        Some(&EXTENTS) => u64::from(be32(raw, 76)).saturating_mul(16),
        _ => return,
    };
    let room = match raw.get(82) {
        Some(&offset) if offset != 0 => usize::from(offset).saturating_mul(8),
        _ => raw.len(),
    };
    let content = raw.get_mut(CORE_3..).unwrap_or_default().iter_mut();
    content.take(room).skip(int_usize(used)).for_each(|byte| *byte = 0);
}

/// When the content of an inode last changed.
fn time(raw: &[u8]) -> (i64, u32) {
    let (stored, big) = (be64(raw, MODIFIED), be64(raw, FLAGS_2) & BIG_TIME != 0);
    let fraction = if big { u32::try_from(stored % 1_000_000_000).unwrap_or_default() } else { be32(raw, MODIFIED.saturating_add(4)) };
    (seconds(stored.to_be_bytes(), big), fraction)
}

/// A time as an inode has it. A time behind what 32 bits of seconds can say becomes the last one that they can.
fn stored((seconds, fraction): (i64, u32), big: bool) -> [u8; 8] {
    if big {
        let whole = u64::try_from(seconds.saturating_sub(i64::from(i32::MIN))).unwrap_or_default();
        return whole.saturating_mul(1_000_000_000).saturating_add(u64::from(fraction)).to_be_bytes();
    }
    let seconds = i32::try_from(seconds).unwrap_or(if seconds < 0 { i32::MIN } else { i32::MAX });
    let mut stored = [0; 8];
    put(&mut stored, 0, &seconds.to_be_bytes());
    put(&mut stored, 4, &fraction.to_be_bytes());
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_in_both_forms() {
        for big in [false, true] {
            for moment in [(0, 0), (1_700_000_000, 999_999_999), (-5, 7), (i64::from(i32::MIN), 0), (i64::from(i32::MAX), 1)] {
                let mut raw = vec![0; 176];
                put(&mut raw, FLAGS_2, &(if big { BIG_TIME } else { 0 }).to_be_bytes());
                put(&mut raw, MODIFIED, &stored(moment, big));
                assert_eq!(time(&raw), moment, "{big}");
            }
        }
        assert_eq!(stored((1 << 40, 3), false), [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 3]);
    }

    #[test]
    fn what_a_short_directory_no_longer_uses_is_blank() {
        for (format, large, offset, from, to) in
            [(LOCAL, 0, 4, 182, 208), (LOCAL, 0, 0, 182, 512), (EXTENTS, 0, 4, 192, 208), (EXTENTS, LARGE_COUNTS, 0, 208, 512)]
        {
            let mut raw = vec![9; 512];
            (raw[5], raw[82]) = (format, offset);
            put(&mut raw, 56, &6_u64.to_be_bytes());
            put(&mut raw, 76, &1_u32.to_be_bytes());
            put(&mut raw, 24, &2_u64.to_be_bytes());
            put(&mut raw, FLAGS_2, &large.to_be_bytes());
            settle(&mut raw, &Fate::Stays([9; 24]));
            let blank = raw.iter().enumerate().skip(CORE_3).filter(|(_, byte)| **byte == 0).map(|(at, _)| at);
            assert_eq!(blank.collect::<Vec<_>>(), (from..to).collect::<Vec<_>>(), "{format} {large} {offset}");
        }
    }

    #[test]
    fn a_freed_inode_is_blank_behind_its_core() {
        let mut raw = vec![9; 512];
        settle(&mut raw, &Fate::Freed([9; 24], [9; 8]));
        assert!(raw[..CORE_3].iter().all(|byte| *byte == 9) && raw[CORE_3..].iter().all(|byte| *byte == 0));
    }
}
