//! The journal, replayed in memory.
//!
//! What committed transactions hold is laid over the file system as places in the journal, not as copies: a replay costs a few bytes a
//! block, however much it restores. The structures: `Documentation/filesystems/ext4/journal.rst` of the Linux kernel; where the log ends,
//! and what is believed of it: `do_one_pass` in its `fs/jbd2/recovery.c`.

use super::checksum::{crc32, crc32c, crc32c_without};
use super::disk::Disk;
use super::field::{be16, be32, byte, joined, le16, le32, part, put};
use super::inode::Inode;
use super::{Write, map};
use crate::bytes::{Bytes, ReadAt, ReadError, check_bounds, int_u64, int_usize, read_vec};
use crate::fs::Error;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

const MAGIC: u32 = 0xc03b_3998;
/// `h_blocktype`.
mod kind {
    pub(super) const DESCRIPTOR: u32 = 1;
    pub(super) const COMMIT: u32 = 2;
    pub(super) const SUPERBLOCK_1: u32 = 3;
    pub(super) const SUPERBLOCK_2: u32 = 4;
    pub(super) const REVOKE: u32 = 5;
}
/// `s_feature_compat`: commits carry a checksum of the transaction's blocks. (Linux 2.6.28 to 3.17, if told to.)
const CHECKSUM_1: u32 = 0x1;
/// `s_feature_incompat`.
mod feature {
    pub(super) const WIDE: u32 = 0x2;
    pub(super) const ASYNC_COMMIT: u32 = 0x4;
    pub(super) const CHECKSUM_2: u32 = 0x8;
    pub(super) const CHECKSUM_3: u32 = 0x10;
    pub(super) const FAST_COMMIT: u32 = 0x20;
    pub(super) const READ: u32 = 0x3b;
}
/// Flags of a tag.
mod tag {
    pub(super) const ESCAPED: u32 = 0x1;
    pub(super) const SAME_UUID: u32 = 0x2;
    pub(super) const LAST: u32 = 0x8;
}
/// Bytes before a block's own fields, and of all the fields of a commit.
const HEADER: usize = 12;
const COMMIT: usize = 60;
/// Blocks and revocations that are kept: 4 GiB of blocks of 4 KiB. Journals of mke2fs have at most 1 GiB.
const MAX_KEPT: usize = 1 << 20;

/// The bytes as they are after recovery, and how many blocks the journal changes.
pub(super) fn replay(disk: &Disk) -> Result<Bytes, Error> {
    if disk.superblock.journal == 0 {
        return Err(Error::Unsupported("work in a journal on another device".to_owned()));
    }
    let inode = disk.inode(u64::from(disk.superblock.journal)).map_err(|error| error.at("journal"))?;
    let mut log = Log { disk, inode, run: None };
    let Some(settings) = Settings::read(&mut log)? else { return Ok(disk.bytes.clone()) };
    let (blocks, _) = Walk::new(&settings).run(&mut log)?;
    Ok(Arc::new(Replayed { base: disk.bytes.clone(), block_size: disk.superblock.block_size, blocks }))
}

/// Gives `write` what the journal holds, each block where it belongs, and at last the journal's superblock of an empty journal: what
/// `jbd2_journal_recover` of the Linux kernel leaves.
pub(super) fn empty(disk: &Disk, write: Write<'_>) -> Result<(), Error> {
    if disk.superblock.journal == 0 {
        return Err(Error::Unsupported("work in a journal on another device".to_owned()));
    }
    let inode = disk.inode(u64::from(disk.superblock.journal)).map_err(|error| error.at("journal"))?;
    let mut log = Log { disk, inode, run: None };
    let Some(settings) = Settings::read(&mut log)? else { return Ok(()) };
    let (mut head, place) = (log.read(0)?, log.place(0)?);
    if be32(&head, 0x20) != 0 {
        return Err(damaged(format!("it records error {}", be32(&head, 0x20))));
    }
    let (blocks, next) = Walk::new(&settings).run(&mut log)?;
    let block_size = disk.superblock.block_size;
    let replayed = Replayed { base: disk.bytes.clone(), block_size, blocks };
    for at in replayed.blocks.keys().map(|block| block.saturating_mul(block_size)) {
        write(at, &read_vec(&replayed, at, settings.block_size)?)?;
    }
    // The kernel leaves out one number, so that what is left of a torn transaction never fits.
    put(&mut head, 0x18, &next.wrapping_add(1).to_be_bytes());
    put(&mut head, 0x1c, &[0; 4]);
    if settings.seed.is_some() {
        let sum = crc32c_without(!0, part(&head, 0, 1024), 0xfc, 4);
        put(&mut head, 0xfc, &sum.to_be_bytes());
    }
    write(place, &head)
}

/// Where the body of an empty journal lies, in blocks: everything but its superblock. Nothing where the journal is not empty.
pub(super) fn body(disk: &Disk) -> Result<Vec<Range<u64>>, Error> {
    let inode = disk.inode(u64::from(disk.superblock.journal)).map_err(|error| error.at("journal"))?;
    let mut log = Log { disk, inode, run: None };
    let empty = Settings::read(&mut log)?.is_none() && be32(&log.read(0)?, 0x20) == 0;
    if !empty || disk.superblock.needs_recovery() {
        return Ok(vec![]);
    }
    let runs = map::runs(disk, &log.inode)?;
    Ok(runs.into_iter().map(|(from, run)| run.start.saturating_add(u64::from(from == 0))..run.end).collect())
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Damaged(format!("journal: {what}"))
}

/// The journal's blocks by their number in it.
struct Log<'a> {
    disk: &'a Disk,
    inode: Inode,
    /// The last run of blocks that was found: its first number here, and on the disk, and its length.
    run: Option<(u64, u64, u64)>,
}

impl Log<'_> {
    /// Where a block lies, in bytes.
    fn place(&mut self, number: u64) -> Result<u64, Error> {
        let size = self.disk.superblock.block_size;
        let known = self.run.and_then(|(start, first, count)| {
            let within = number.checked_sub(start).filter(|within| *within < count)?;
            first.checked_add(within)
        });
        let block = match known {
            Some(block) => block,
            None => {
                let run = map::run(self.disk, &self.inode, number)?;
                let first = run.first.ok_or_else(|| damaged(format!("its block {number} is a hole")))?;
                self.run = Some((number, first, run.count));
                first
            }
        };
        Ok(block.saturating_mul(size))
    }

    fn read(&mut self, number: u64) -> Result<Vec<u8>, Error> {
        let at = self.place(number)?;
        Ok(read_vec(&*self.disk.bytes, at, int_usize(self.disk.superblock.block_size))?)
    }
}

/// What the journal's superblock says.
#[derive(Debug)]
struct Settings {
    block_size: usize,
    /// Blocks of the file system.
    blocks: u64,
    /// First block of the log, and the one behind its last.
    first: u64,
    end: u64,
    /// Where the log begins now, and with which transaction.
    start: u64,
    sequence: u32,
    features: u32,
    /// Seed of the checksums of versions 2 and 3, where there are any.
    seed: Option<u32>,
    /// Whether there are checksums of version 1.
    summed: bool,
}

impl Settings {
    /// `None` where nothing has to be replayed.
    fn read(log: &mut Log<'_>) -> Result<Option<Self>, Error> {
        let raw = log.read(0)?;
        let kind = be32(&raw, 4);
        if be32(&raw, 0) != MAGIC || !matches!(kind, kind::SUPERBLOCK_1 | kind::SUPERBLOCK_2) {
            return Err(damaged("it has no superblock"));
        }
        let [size, length, first, sequence, start] = [0xc, 0x10, 0x14, 0x18, 0x1c].map(|at| be32(&raw, at));
        if start == 0 {
            return Ok(None);
        }
        let newer = |at| if kind == kind::SUPERBLOCK_2 { be32(&raw, at) } else { 0 };
        let features = newer(0x28);
        if features & !feature::READ != 0 {
            let name = if features & feature::ASYNC_COMMIT != 0 { "async_commit".to_owned() } else { format!("{features:#x}") };
            return Err(Error::Unsupported(format!("work in a journal with the feature {name}")));
        }
        let seed = match features & (feature::CHECKSUM_2 | feature::CHECKSUM_3) {
            0 => None,
            feature::CHECKSUM_2 | feature::CHECKSUM_3 if raw.get(0x50) == Some(&4) => Some(crc32c(!0, part(&raw, 0x30, 16))),
            _ => return Err(damaged(format!("checksums of type {}, features {features:#x}", raw.get(0x50).copied().unwrap_or_default()))),
        };
        if seed.is_some() && crc32c_without(!0, part(&raw, 0, 1024), 0xfc, 4) != be32(&raw, 0xfc) {
            return Err(damaged("the checksum of its superblock is wrong"));
        }
        let block_size = log.disk.superblock.block_size;
        // Behind the log proper is room for fast commits; 256 blocks unless it is told, none where that leaves too few.
        let fast = match newer(0x54) {
            _ if features & feature::FAST_COMMIT == 0 => 0,
            0 => 256,
            told => told,
        };
        let end = length.checked_sub(fast).filter(|end| fast == 0 || *end >= 1024).unwrap_or(length);
        let [length, first, start, end] = [length, first, start, end].map(u64::from);
        if u64::from(size) != block_size || length > log.inode.blocks(block_size) || first == 0 || !(first..end).contains(&start) {
            return Err(damaged(format!("{length} blocks of {size} bytes, the log from {first} to {end}, work from {start}")));
        }
        let blocks = log.disk.superblock.blocks;
        let summed = newer(0x24) & CHECKSUM_1 != 0;
        if summed && seed.is_some() {
            return Err(damaged("checksums of two kinds"));
        }
        Ok(Some(Self { block_size: int_usize(block_size), blocks, first, end, start, sequence, features, seed, summed }))
    }

    const fn has(&self, feature: u32) -> bool {
        self.features & feature != 0
    }

    /// Bytes of a tag, without the UUID that may follow it.
    const fn tag(&self) -> usize {
        match (self.has(feature::CHECKSUM_3), self.has(feature::CHECKSUM_2), self.has(feature::WIDE)) {
            (true, ..) => 16,
            (_, true, true) => 14,
            (_, true, false) => 10,
            (_, false, true) => 12,
            (_, false, false) => 8,
        }
    }

    /// A descriptor's or revocation's bytes without its checksum, and whether that holds.
    fn checked<'a>(&self, raw: &'a [u8]) -> (&'a [u8], bool) {
        let Some(seed) = self.seed else { return (raw, true) };
        let end = raw.len().saturating_sub(4);
        (part(raw, 0, end), crc32c_without(seed, raw, end, 4) == be32(raw, end))
    }

    /// The block after another; behind the last comes the first.
    fn next(&self, number: u64) -> u64 {
        match number.saturating_add(1) {
            next if next >= self.end => self.first,
            next => next,
        }
    }
}

/// A block's newest copy in the log.
#[derive(Debug, Clone, Copy)]
struct Copied {
    /// Where it lies, in bytes.
    at: u64,
    /// Its first four bytes were those of the journal's magic.
    escaped: bool,
    sequence: u32,
}

/// A walk through the log, transaction by transaction.
struct Walk<'a> {
    settings: &'a Settings,
    sequence: u32,
    /// What the open transaction holds, until it is committed.
    open: Vec<(u64, Copied)>,
    open_revoked: Vec<u64>,
    /// Checksum of its descriptors and copies, in version 1.
    sum: u32,
    /// What is wrong with it. That matters only if it was committed: a crash leaves transactions that are torn.
    wrong: Option<String>,
    /// When the last transaction was committed.
    committed: u64,
    blocks: BTreeMap<u64, Copied>,
    revoked: BTreeMap<u64, u32>,
}

/// Whether one transaction came after another; their numbers wrap.
const fn after(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

impl<'a> Walk<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            sequence: settings.sequence,
            open: vec![],
            open_revoked: vec![],
            sum: !0,
            wrong: None,
            committed: 0,
            blocks: BTreeMap::new(),
            revoked: BTreeMap::new(),
        }
    }

    /// Walks to the log's end: what it restores, and the number that the next transaction would have had.
    fn run(mut self, log: &mut Log<'_>) -> Result<(BTreeMap<u64, Copied>, u32), Error> {
        let settings = self.settings;
        let mut at = settings.start;
        let mut left = settings.end.saturating_sub(settings.first);
        while left > 0 {
            let raw = log.read(at)?;
            if be32(&raw, 0) != MAGIC || be32(&raw, 8) != self.sequence {
                break;
            }
            left = left.saturating_sub(1);
            let here = at;
            at = settings.next(at);
            match be32(&raw, 4) {
                kind::DESCRIPTOR => {
                    let (tags, holds) = settings.checked(&raw);
                    if !holds {
                        self.wrong = Some(format!("the checksum of the descriptor in block {here} is wrong"));
                    }
                    if settings.summed {
                        self.sum = crc32(self.sum, &raw);
                    }
                    if !self.descriptor(log, tags, &mut at, &mut left)? {
                        break;
                    }
                }
                kind::REVOKE => {
                    let (list, holds) = settings.checked(&raw);
                    if !holds {
                        self.wrong = Some(format!("the checksum of the revocations in block {here} is wrong"));
                    }
                    self.revocations(list, here);
                }
                kind::COMMIT => {
                    if !self.commit(&raw)? {
                        break;
                    }
                }
                _ => break,
            }
            if self.blocks.len().max(self.open.len()).max(self.revoked.len()).max(self.open_revoked.len()) > MAX_KEPT {
                return Err(Error::Unsupported(format!("a journal that restores more than {MAX_KEPT} blocks")));
            }
        }
        if settings.has(feature::FAST_COMMIT) {
            self.refuse_fast_commits(log)?;
        }
        self.blocks.retain(|block, copied| self.revoked.get(block).is_none_or(|revoked| after(copied.sequence, *revoked)));
        Ok((self.blocks, self.sequence))
    }

    /// Takes the tags of a descriptor, and steps over the blocks that they stand for. `false` when the log ends here.
    fn descriptor(&mut self, log: &mut Log<'_>, tags: &[u8], at: &mut u64, left: &mut u64) -> Result<bool, Error> {
        let settings = self.settings;
        let size = settings.tag();
        let mut rest = tags.get(HEADER..).unwrap_or_default();
        while rest.len() >= size {
            let Some(remaining) = left.checked_sub(1) else { return Ok(false) };
            let version_3 = settings.has(feature::CHECKSUM_3);
            let flags = if version_3 { be32(rest, 4) } else { u32::from(be16(rest, 6)) };
            let high = if settings.has(feature::WIDE) { be32(rest, 8) } else { 0 };
            let block = joined(high, be32(rest, 0));
            if settings.summed {
                self.sum = crc32(self.sum, &log.read(*at)?);
            }
            if let Some(seed) = settings.seed {
                let copy = log.read(*at)?;
                let sum = crc32c(crc32c(seed, &self.sequence.to_be_bytes()), &copy);
                let holds = if version_3 { sum == be32(rest, 12) } else { sum & 0xffff == u32::from(be16(rest, 4)) };
                if !holds {
                    self.wrong = Some(format!("the checksum of the copy in block {at} is wrong"));
                }
            }
            if block >= settings.blocks {
                self.wrong = Some(format!("a copy of block {block} of {}", settings.blocks));
            }
            self.open.push((block, Copied { at: log.place(*at)?, escaped: flags & tag::ESCAPED != 0, sequence: self.sequence }));
            (*at, *left) = (settings.next(*at), remaining);
            let step = size.saturating_add(if flags & tag::SAME_UUID == 0 { 16 } else { 0 });
            rest = rest.get(step..).unwrap_or_default();
            if flags & tag::LAST != 0 {
                break;
            }
        }
        Ok(true)
    }

    /// Takes the numbers of blocks whose older copies must not be restored.
    fn revocations(&mut self, list: &[u8], here: u64) {
        // The count is one of bytes, from the block's first.
        let end = int_usize(u64::from(be32(list, HEADER)));
        if end > list.len() {
            self.wrong = Some(format!("{end} bytes of revocations in block {here}"));
        }
        let wide = self.settings.has(feature::WIDE);
        let numbers = part(list, 0, end).get(16..).unwrap_or_default();
        self.open_revoked.extend(
            numbers
                .chunks_exact(if wide { 8 } else { 4 })
                .map(|one| if wide { joined(be32(one, 0), be32(one, 4)) } else { u64::from(be32(one, 0)) }),
        );
    }

    /// Ends a transaction: its work counts from now on. `false` when the log ends before it.
    fn commit(&mut self, raw: &[u8]) -> Result<bool, Error> {
        let time = joined(be32(raw, 0x30), be32(raw, 0x34));
        // An older block of the log may have the right number by chance of a new journal; its time is then an older one.
        let stale = time < self.committed;
        if self.wrong.is_none() && !self.commit_holds(raw) {
            self.wrong = Some("the checksum of its commit is wrong".to_owned());
        }
        if let Some(wrong) = self.wrong.take() {
            return if stale { Ok(false) } else { Err(damaged(format!("transaction {}: {wrong}", self.sequence))) };
        }
        self.blocks.extend(self.open.drain(..));
        self.revoked.extend(self.open_revoked.drain(..).map(|block| (block, self.sequence)));
        self.committed = time;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(true)
    }

    /// Whether a commit has the checksum that it should have.
    fn commit_holds(&mut self, raw: &[u8]) -> bool {
        let stored = be32(raw, 0x10);
        if let Some(seed) = self.settings.seed {
            // Only the first sector may have reached the disk; what follows is zeros where the block is whole.
            let mut fields = part(raw, 0, COMMIT).to_vec();
            fields.resize(self.settings.block_size, 0);
            return [raw, &fields].into_iter().any(|block| crc32c_without(seed, block, 0x10, 4) == stored);
        }
        let sum = std::mem::replace(&mut self.sum, !0);
        // The kind of the checksum, and its length.
        match (byte(raw, 0xc), byte(raw, 0xd)) {
            _ if !self.settings.summed => true,
            (0, 0) => stored == 0,
            kind => kind == (1, 4) && sum == stored,
        }
    }

    /// Fast commits tell changes in words of their own, which are not read.
    fn refuse_fast_commits(&self, log: &mut Log<'_>) -> Result<(), Error> {
        /// The tag that begins them, and the length of what it holds.
        const HEAD: (u16, u16) = (9, 8);
        let number = self.settings.end.saturating_add(1);
        if number >= log.inode.blocks(log.disk.superblock.block_size) {
            return Ok(());
        }
        let raw = log.read(number)?;
        if (le16(&raw, 0), le16(&raw, 2)) == HEAD && le32(&raw, 8) == self.sequence {
            return Err(Error::Unsupported("work in a journal as fast commits".to_owned()));
        }
        Ok(())
    }
}

/// A file system whose journal was replayed: some of its blocks are read from the log.
#[derive(Debug)]
struct Replayed {
    base: Bytes,
    block_size: u64,
    blocks: BTreeMap<u64, Copied>,
}

impl ReadAt for Replayed {
    fn size(&self) -> u64 {
        self.base.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size())?;
        self.base.read_at(offset, buf)?;
        let end = offset.saturating_add(int_u64(buf.len()));
        let number = |at: u64| at.checked_div(self.block_size).unwrap_or_default();
        for (block, copied) in self.blocks.range(number(offset)..=number(end.saturating_sub(1))) {
            let start = block.saturating_mul(self.block_size);
            let (from, to) = (start.max(offset), start.saturating_add(self.block_size).min(end));
            let within = int_usize(from.saturating_sub(offset))..int_usize(to.saturating_sub(offset));
            let Some(part) = buf.get_mut(within) else { continue };
            let skip = from.saturating_sub(start);
            self.base.read_at(copied.at.saturating_add(skip), part)?;
            if copied.escaped {
                for (byte, magic) in part.iter_mut().zip(MAGIC.to_be_bytes().into_iter().skip(int_usize(skip))) {
                    *byte = magic;
                }
            }
        }
        Ok(())
    }
}
