//! What goes before and after a writer: a file system made ready for changes, and put in order behind them.
//!
//! Before: what is not known to be right under changes is refused by name; the journal is emptied into the file system; and what the writer
//! need not know is hidden from it. Without the journal it writes where things belong, and nothing is logged; encryption, case folding and
//! verity are properties of single inodes, and are asked of each. After: what was removed leaves no names behind in directories that stay,
//! times are those from before, and the superblock is that of an unmounted file system.
//!
//! Features and states are those of `Documentation/filesystems/ext4/super.rst` of the Linux kernel.

use super::checksum::crc32c;
use super::disk::Disk;
use super::field::{byte, joined, le16, le32, put};
use super::inode::{Inode, seal};
use super::superblock::Superblock;
use super::{Write, attribute, directory, journal, sweep};
use crate::bytes::{Scratch, ScratchError, read_vec};
use crate::fs::{Error, NodeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Where the superblock lies, and how long it is.
const OFFSET: u64 = 1024;
const LENGTH: usize = 1024;
/// Fields of it.
mod at {
    pub(super) const FREE_BLOCKS: usize = 0xc;
    pub(super) const FREE_INODES: usize = 0x10;
    pub(super) const STATE: usize = 0x3a;
    pub(super) const COMPAT: usize = 0x5c;
    pub(super) const INCOMPAT: usize = 0x60;
    pub(super) const RO_COMPAT: usize = 0x64;
    pub(super) const JOURNAL: usize = 0xe0;
    pub(super) const LAST_ORPHAN: usize = 0xe8;
    pub(super) const FREE_BLOCKS_HIGH: usize = 0x158;
    pub(super) const ORPHAN_FILE: usize = 0x280;
    pub(super) const CHECKSUM: usize = 0x3fc;
}

const HAS_JOURNAL: u32 = 0x4;
const RECOVER: u32 = 0x4;
const ENCRYPT: u32 = 0x1_0000;
const CASEFOLD: u32 = 0x2_0000;
const VERITY: u32 = 0x8000;
const ORPHAN_PRESENT: u32 = 0x1_0000;
const METADATA_CSUM: u32 = 0x400;
const FILETYPE: u32 = 0x2;
const VALID: u16 = 1;
const ERRORS: u16 = 2;
/// Compatible features that mean nothing to a writer, or that it knows.
const COMPATIBLE: u32 = 0x1e3f;
/// `s_feature_ro_compat` as far as it is kept right: sparse_super, large_file, btree_dir, huge_file, uninit_bg, dir_nlink, extra_isize,
/// metadata_csum, and, by inode, verity; orphan_present is a state.
const KEPT: u32 = 0x1_847f;
/// Names of what is not.
const REFUSED: [(u32, &str); 6] =
    [(0x80, "has_snapshot"), (0x100, "quota"), (0x200, "bigalloc"), (0x1000, "read-only"), (0x2000, "project"), (0x4000, "shared_blocks")];
const MMP: u32 = 0x100;

/// What to do about a file system that was not unmounted.
const BOOT_IT: &str = "boot it once and shut it down";

/// A file system that is being changed.
#[derive(Debug)]
pub(in crate::fs) struct Ground {
    scratch: Arc<Scratch>,
    disk: Arc<Disk>,
    /// The superblock's features, journal and time as they were.
    before: Before,
}

#[derive(Debug)]
struct Before {
    compat: u32,
    incompat: u32,
    ro_compat: u32,
    journal: u32,
    time: i64,
}

/// An inode, as far as a change must know it.
#[derive(Debug, Clone)]
pub(in crate::fs) struct Standing {
    /// What it is.
    pub(in crate::fs) kind: NodeKind,
    /// `i_flags`.
    pub(in crate::fs) flags: u32,
    /// Names that lead to it.
    pub(in crate::fs) links: u16,
    /// Bytes of its content.
    pub(in crate::fs) size: u64,
    /// Blocks that it counts as its own, and how many of them others share: the block of its attributes.
    pub(in crate::fs) blocks: u64,
    pub(in crate::fs) shared: u64,
    /// Whether it has a block of attributes.
    pub(in crate::fs) attributes: bool,
    /// Whether values of its attributes are kept in inodes of their own.
    pub(in crate::fs) elsewhere: bool,
    /// Its times.
    pub(in crate::fs) times: Times,
}

/// A name of a directory.
#[derive(Debug, Clone)]
pub(in crate::fs) struct Placed {
    /// Which block of the directory it stands in, and where that is in the file system.
    pub(in crate::fs) logical: u64,
    pub(in crate::fs) block: u64,
    pub(in crate::fs) name: Vec<u8>,
    pub(in crate::fs) inode: u32,
}

/// The times of an inode as they lie in it.
#[derive(Debug, Clone)]
pub(in crate::fs) struct Times {
    /// `i_atime`, `i_ctime`, `i_mtime`.
    core: [u8; 12],
    /// `i_ctime_extra`, `i_mtime_extra`, `i_atime_extra`.
    extra: [u8; 12],
    /// `i_crtime` and `i_crtime_extra`, where they are set too.
    born: Option<[u8; 8]>,
}

impl Times {
    fn of(raw: &[u8]) -> Self {
        let array = |at| crate::fs::fields::array::<12>(raw, at);
        Self { core: array(0x8), extra: if raw.len() > 128 { array(0x84) } else { [0; 12] }, born: None }
    }

    /// Those of something made when this was last changed.
    #[must_use]
    pub(in crate::fs) fn for_new(&self) -> Self {
        let [.., a, b, c, d] = self.core;
        let [_, _, _, _, e, f, g, h, ..] = self.extra;
        Self {
            core: [a, b, c, d, a, b, c, d, a, b, c, d],
            extra: [e, f, g, h, e, f, g, h, e, f, g, h],
            born: Some([a, b, c, d, e, f, g, h]),
        }
    }

    fn put(&self, raw: &mut [u8]) {
        put(raw, 0x8, &self.core);
        if raw.len() <= 128 {
            return;
        }
        let room = usize::from(le16(raw, 0x80)).saturating_sub(4);
        put(raw, 0x84, self.extra.get(..room.min(12)).unwrap_or_default());
        if let Some(born) = self.born
            && room >= 20
        {
            put(raw, 0x90, &born);
        }
    }
}

impl Ground {
    /// Makes a file system ready for a writer.
    pub(in crate::fs) fn open(scratch: Arc<Scratch>) -> Result<Self, Error> {
        let superblock = Superblock::read(&*scratch)?;
        let raw = read_vec(&*scratch, OFFSET, LENGTH)?;
        refuse(&raw)?;
        let disk = Disk { bytes: scratch.clone(), superblock };
        if disk.superblock.needs_recovery() {
            recover(&scratch, &disk)?;
        }
        let mut raw = read_vec(&*scratch, OFFSET, LENGTH)?;
        let disk = Arc::new(Disk { bytes: scratch.clone(), superblock: Superblock::read(&*scratch)? });
        refuse(&raw)?;
        let [compat, incompat, mut ro_compat] = [at::COMPAT, at::INCOMPAT, at::RO_COMPAT].map(|at| le32(&raw, at));
        if ro_compat & ORPHAN_PRESENT != 0 {
            no_orphans(&disk, &raw)?;
            ro_compat &= !ORPHAN_PRESENT;
        }
        chain_can_be_freed(&disk, &raw)?;
        // Written last, made last, mounted last: whichever is the latest, so that it can be told from an inode's number.
        let seconds = |low: usize, high: usize| i64::from(le32(&raw, low)) | (i64::from(byte(&raw, high)) << 32);
        let time =
            [(0x30, 0x274), (0x108, 0x276), (0x2c, 0x275)].map(|(low, high)| seconds(low, high)).into_iter().max().unwrap_or_default();
        let before = Before { compat, incompat, ro_compat, journal: le32(&raw, at::JOURNAL), time };
        put(&mut raw, at::COMPAT, &(compat & !HAS_JOURNAL).to_le_bytes());
        put(&mut raw, at::INCOMPAT, &(incompat & !(ENCRYPT | CASEFOLD)).to_le_bytes());
        put(&mut raw, at::RO_COMPAT, &(ro_compat & !VERITY).to_le_bytes());
        put(&mut raw, at::JOURNAL, &[0; 4]);
        put(&mut raw, at::STATE, &VALID.to_le_bytes());
        write_superblock(&scratch, &mut raw)?;
        Ok(Self { scratch, disk, before })
    }

    /// When the file system was last written to, in seconds since 1970 UTC.
    pub(in crate::fs) fn time(&self) -> i64 {
        self.before.time.max(1)
    }

    /// Where new inodes' generations begin: the same for the same file system.
    pub(in crate::fs) fn generation(&self) -> Result<u32, Error> {
        let raw = read_vec(&*self.scratch, OFFSET, LENGTH)?;
        Ok(crc32c(!0, &raw))
    }

    /// Free blocks and the first orphan, as the superblock now has them.
    pub(in crate::fs) fn counts(&self) -> Result<(u64, u32), Error> {
        let raw = read_vec(&*self.scratch, OFFSET, LENGTH)?;
        let high = if self.disk.superblock.wide() { le32(&raw, at::FREE_BLOCKS_HIGH) } else { 0 };
        Ok((joined(high, le32(&raw, at::FREE_BLOCKS)), le32(&raw, at::LAST_ORPHAN)))
    }

    /// Bytes of a block.
    pub(in crate::fs) fn block_size(&self) -> u64 {
        self.disk.superblock.block_size
    }

    /// The names of a directory in blocks of its own, in their order.
    pub(in crate::fs) fn names(&self, number: u64) -> Result<Vec<Placed>, Error> {
        let mut names = Vec::new();
        directory::walk_blocks(&self.disk, &self.disk.inode(number)?, &mut |place, name, inode| {
            names.extend(place.map(|(logical, block)| Placed { logical, block, name: name.to_vec(), inode }));
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }

    /// What an inode is now.
    pub(in crate::fs) fn standing(&self, number: u64) -> Result<Standing, Error> {
        const HUGE: u32 = 0x4_0000;
        let inode = self.disk.inode(number)?;
        let raw = inode.raw();
        let flags = le32(raw, 0x20);
        let sectors = joined(u32::from(le16(raw, 0x74)), le32(raw, 0x1c));
        let per_block = if flags & HUGE == 0 { self.disk.superblock.block_size / 512 } else { 1 };
        let attributes = attribute::block(&self.disk, &inode)?;
        Ok(Standing {
            kind: inode.kind,
            flags,
            links: le16(raw, 0x1a),
            size: inode.size,
            blocks: sectors.checked_div(per_block).unwrap_or_default(),
            shared: u64::from(attributes.as_ref().is_some_and(|block| le32(block, 4) > 1)),
            attributes: attributes.is_some(),
            elsewhere: attribute::elsewhere(&self.disk, &inode)?,
            times: Times::of(raw),
        })
    }

    /// A path to a file, from the root. Only text can be given to the writer.
    pub(in crate::fs) fn path(&self, wanted: u64) -> Result<String, Error> {
        const MOST: usize = 1 << 20;
        let mut seen = BTreeSet::from([super::ROOT]);
        let mut left = vec![(super::ROOT, String::new())];
        while let Some((number, path)) = left.pop() {
            let inode = self.disk.inode(number)?;
            if inode.encrypted() {
                continue;
            }
            let mut entries = Vec::new();
            directory::walk(&self.disk, &inode, &mut |name, number| {
                entries.push((name.to_vec(), u64::from(number)));
                ControlFlow::Continue(())
            })?;
            for (name, number) in entries {
                let Ok(name) = String::from_utf8(name) else { continue };
                if number == wanted {
                    return Ok(format!("{path}/{name}"));
                }
                if self.disk.inode(number)?.kind == NodeKind::Directory && seen.insert(number) {
                    left.push((number, format!("{path}/{name}")));
                }
            }
            if seen.len() > MOST {
                break;
            }
        }
        Err(Error::Unsupported(format!("inode {wanted} has block pointers, and no path of text leads to it")))
    }

    /// Puts everything in order: `directories` had entries removed, and `times` are what inodes shall have.
    pub(in crate::fs) fn close(self, directories: &BTreeSet<u64>, times: &BTreeMap<u64, Times>) -> Result<(), Error> {
        let raw = read_vec(&*self.scratch, OFFSET, LENGTH)?;
        let filetype = le32(&raw, at::INCOMPAT) & FILETYPE != 0;
        let mut write = |at: u64, bytes: &[u8]| self.scratch.write_at(at, bytes).map_err(unwritten);
        for number in directories {
            let inode = self.disk.inode(*number)?;
            if inode.kind == NodeKind::Directory {
                sweep::directory(&self.disk, &inode, filetype, &mut write)?;
            }
        }
        for (number, times) in times {
            let inode = self.disk.inode(*number)?;
            let mut raw = inode.raw().to_vec();
            times.put(&mut raw);
            write_inode(&self.disk, &inode, raw, &mut write)?;
        }
        let mut raw = read_vec(&*self.scratch, OFFSET, LENGTH)?;
        put(&mut raw, at::COMPAT, &self.before.compat.to_le_bytes());
        put(&mut raw, at::INCOMPAT, &self.before.incompat.to_le_bytes());
        put(&mut raw, at::RO_COMPAT, &(self.before.ro_compat & !ORPHAN_PRESENT).to_le_bytes());
        put(&mut raw, at::JOURNAL, &self.before.journal.to_le_bytes());
        put(&mut raw, at::STATE, &VALID.to_le_bytes());
        write_superblock(&self.scratch, &mut raw)
    }
}

/// Writes an inode's bytes back, its checksum made right.
pub(super) fn write_inode(disk: &Disk, inode: &Inode, mut raw: Vec<u8>, write: Write<'_>) -> Result<(), Error> {
    if let Some(seed) = inode.seed {
        seal(seed, &mut raw);
    }
    write(disk.inode_at(u64::from(inode.number))?.1, &raw)
}

fn unwritten(error: ScratchError) -> Error {
    match error {
        ScratchError::Read(error) => Error::Read(error),
        error @ ScratchError::TooMuch(_) => Error::Full(error.to_string()),
    }
}

fn write_superblock(scratch: &Scratch, raw: &mut [u8]) -> Result<(), Error> {
    if le32(raw, at::RO_COMPAT) & METADATA_CSUM != 0 {
        let sum = crc32c(!0, raw.get(..at::CHECKSUM).unwrap_or_default());
        put(raw, at::CHECKSUM, &sum.to_le_bytes());
    }
    scratch.write_at(OFFSET, raw).map_err(unwritten)
}

/// Fails, by name, for what is not known to stay right.
fn refuse(raw: &[u8]) -> Result<(), Error> {
    let unsupported = |what: String| Err(Error::Unsupported(format!("changing files on ext4 with {what}")));
    let [compat, incompat, ro_compat] = [at::COMPAT, at::INCOMPAT, at::RO_COMPAT].map(|at| le32(raw, at));
    if let Some((_, name)) = REFUSED.into_iter().find(|(bit, _)| ro_compat & bit != 0) {
        return unsupported(format!("the feature {name}"));
    }
    if incompat & MMP != 0 {
        return unsupported("the feature mmp".to_owned());
    }
    if compat & !COMPATIBLE != 0 || ro_compat & !KEPT != 0 {
        return unsupported(format!("features {:#x} and {:#x}", compat & !COMPATIBLE, ro_compat & !KEPT));
    }
    if compat & HAS_JOURNAL != 0 && le32(raw, at::JOURNAL) == 0 {
        return unsupported("a journal on another device".to_owned());
    }
    let state = le16(raw, at::STATE);
    if state & ERRORS != 0 {
        return Err(Error::Damaged("the kernel has recorded errors of this file system; run e2fsck on it first".to_owned()));
    }
    if state & VALID == 0 && incompat & RECOVER == 0 {
        return Err(Error::Unsupported(format!("changing files where it was not unmounted and has no journal; {BOOT_IT}, or run e2fsck")));
    }
    Ok(())
}

/// Empties the journal into the file system, and counts anew what the superblock counts: the kernel does not log that.
fn recover(scratch: &Scratch, disk: &Disk) -> Result<(), Error> {
    journal::empty(disk, &mut |at, bytes| scratch.write_at(at, bytes).map_err(unwritten))?;
    let superblock = Superblock::read(scratch)?;
    let disk = Disk { bytes: disk.bytes.clone(), superblock };
    let (mut clusters, mut inodes) = (0_u64, 0_u64);
    for group in 0..disk.superblock.groups {
        let descriptor = disk.descriptor(group)?;
        clusters = clusters.saturating_add(descriptor.free_clusters);
        inodes = inodes.saturating_add(descriptor.free_inodes);
    }
    let mut raw = read_vec(scratch, OFFSET, LENGTH)?;
    let [a, b, c, d, e, f, g, h] = clusters.saturating_mul(disk.superblock.cluster).to_le_bytes();
    put(&mut raw, at::FREE_BLOCKS, &[a, b, c, d]);
    if disk.superblock.wide() {
        put(&mut raw, at::FREE_BLOCKS_HIGH, &[e, f, g, h]);
    }
    let inodes = u32::try_from(inodes).map_err(|error| Error::Damaged(format!("{inodes} free inodes: {error}")))?;
    put(&mut raw, at::FREE_INODES, &inodes.to_le_bytes());
    let incompat = le32(&raw, at::INCOMPAT) & !RECOVER;
    put(&mut raw, at::INCOMPAT, &incompat.to_le_bytes());
    // The log was written by a mount; what it found it put in order.
    let state = le16(&raw, at::STATE) | VALID;
    put(&mut raw, at::STATE, &state.to_le_bytes());
    write_superblock(scratch, &mut raw)
}

/// Fails if the orphan file names an inode.
fn no_orphans(disk: &Arc<Disk>, raw: &[u8]) -> Result<(), Error> {
    /// Magic and checksum at the end of each block.
    const TAIL: usize = 8;
    let inode = disk.inode(u64::from(le32(raw, at::ORPHAN_FILE)))?;
    for (_, blocks) in super::map::runs(disk, &inode)? {
        for number in blocks {
            let block = disk.block(number)?;
            if block.iter().take(block.len().saturating_sub(TAIL)).any(|byte| *byte != 0) {
                return Err(orphans());
            }
        }
    }
    Ok(())
}

fn orphans() -> Error {
    Error::Unsupported(format!("changing files where it was not unmounted, and files were being deleted or cut; {BOOT_IT}"))
}

/// Follows the chain of orphans, inodes that were deleted while they were open. The writer frees those that have no names; that a truncation
/// was cut short is for the kernel.
fn chain_can_be_freed(disk: &Arc<Disk>, raw: &[u8]) -> Result<(), Error> {
    const MOST: usize = 100_000;
    let mut next = u64::from(le32(raw, at::LAST_ORPHAN));
    let mut seen = BTreeSet::new();
    while next != 0 {
        let (number, at) = disk.inode_at(next)?;
        let raw = read_vec(&*disk.bytes, at, crate::bytes::int_usize(disk.superblock.inode_size))?;
        let attributes = joined(u32::from(le16(&raw, 0x76)), le32(&raw, 0x68));
        if le16(&raw, 0x1a) != 0 || attributes != 0 || !seen.insert(number) || seen.len() > MOST {
            return Err(orphans());
        }
        next = u64::from(le32(&raw, 0x14));
    }
    Ok(())
}
