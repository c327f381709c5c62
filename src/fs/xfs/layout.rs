//! What a writer has to know of a file system before it changes it, and how its log is ended afterwards.
//!
//! A writer changes metadata where it lies; what is in the log then is of no use to anyone. [`Layout::close`] leaves in it a single record
//! that says that the file system was unmounted, behind everything that was there, so that no log sequence number in metadata is ahead of
//! it, and blanks the rest: every other block has nothing but the number of its round. `mkfs.xfs` and `xfs_repair -L` leave logs like
//! this one, only from the log's beginning on (`libxfs_log_clear` in xfsprogs' `libxfs/rdwr.c`).

use super::super::Error;
use super::fields::{be16, be32, put};
use super::geometry::{Geometry, load};
use super::inode::Inode;
use super::log::{self, BLOCK, BLOCK_SIZE, Log};
use super::replay;
use super::{Volume, extents};
use crate::bytes::{ByteSize, Bytes, KIB, Scratch, ScratchError, int_u64, int_usize};
use std::ops::Range;
use std::sync::Arc;

/// A log longer than this keeps what is in it; only the numbers of rounds are put right.
const MAX_BLANKED: u64 = 128 << 20;
/// Blocks of the log that are looked at at a time.
const AT_ONCE: u64 = 128;
/// Bytes of a change to the log.
const PIECE: usize = 4096;
/// The longest directory block that is written.
const MAX_DIRECTORY_BLOCK: u64 = 16 * KIB;

/// `sb_qflags`: users, groups or projects are accounted for.
const ACCOUNTED: u16 = 0x1 | 0x8 | 0x40;
/// `sb_features_ro_compat`: free inodes, reverse maps, shared extents, counts of inode trees.
const WRITABLE: u32 = 0x1 | 0x2 | 0x4 | 0x8;
/// `sb_features_incompat`: the names of those that are read, but not known to be written right.
const NOT_WRITTEN: [(u32, &str); 3] = [(0x20, "large extent counts"), (0x80, "parent pointers"), (0x100, "a metadata directory")];

/// Sizes and places for a writer.
#[derive(Debug, Clone)]
pub(in crate::fs) struct Layout {
    geometry: Geometry,
    /// Blocks that a log record's length is a multiple of.
    stripe: u64,
}

impl Layout {
    /// Looks at a file system that is to be changed.
    ///
    /// # Errors
    ///
    /// When it is damaged, or uses what is not known to be written right.
    pub(in crate::fs) fn open(scratch: &Arc<Scratch>) -> Result<Self, Error> {
        let bytes: Bytes = scratch.clone();
        let geometry = Geometry::read(&*bytes)?;
        let superblock = load(&*bytes, 0, 512)?;
        let unsupported = |what: &str| Err(Error::Unsupported(format!("changing an XFS {what}")));
        if !geometry.checked {
            return unsupported("of version 4, which has no checksums");
        }
        if geometry.folds_case {
            return unsupported("with names that fold case");
        }
        if be16(&superblock, 176) & ACCOUNTED != 0 {
            return unsupported("that accounts for quotas");
        }
        let compatible = be32(&superblock, 212);
        if compatible & !WRITABLE != 0 {
            return unsupported(&format!("with unknown features {:#x}", compatible & !WRITABLE));
        }
        for (bit, name) in NOT_WRITTEN {
            if be32(&superblock, 216) & bit != 0 {
                return unsupported(&format!("with {name}"));
            }
        }
        // Their writer puts a change to a block into one record, whose content it keeps below 32 KiB.
        if geometry.directory_block > MAX_DIRECTORY_BLOCK {
            return unsupported(&format!("with directory blocks of {}", ByteSize(geometry.directory_block)));
        }
        if stripe_of(&superblock) > log::PER_HEADER {
            return unsupported("whose log records are aligned to more than 32 KiB");
        }
        let stripe = stripe_of(&superblock);
        if !stripe.is_multiple_of(BLOCK_SIZE) {
            return Err(Error::Damaged(format!("superblock: log records aligned to {stripe} bytes")));
        }
        if !replay::recover(&bytes, &geometry)?.clean {
            return Err(Error::Unsupported(
                "changing an XFS whose log holds work: start the machine and shut it down cleanly, or run xfs_repair, first".to_owned(),
            ));
        }
        Ok(Self { geometry, stripe: stripe / BLOCK_SIZE })
    }

    /// Where the log lies.
    pub(in crate::fs) fn log(&self) -> Range<u64> {
        let (start, length) = self.geometry.log;
        start..start.saturating_add(length)
    }

    /// The first bytes of a log that was never used and is in order; zeros follow.
    pub(in crate::fs) fn fresh_log(&self) -> Vec<u8> {
        self.unmounted(0, 1)
    }

    /// Reads an inode, whatever it is.
    ///
    /// # Errors
    ///
    /// When it lies outside.
    pub(in crate::fs) fn inode(&self, scratch: &Scratch, number: u64) -> Result<(u64, Vec<u8>), Error> {
        let at = self.geometry.inode_at(number).ok_or_else(|| Error::Damaged(format!("inode {number}: lies outside")))?;
        Ok((at, load(scratch, at, self.geometry.inode_len())?))
    }

    /// Blocks that the content of an inode takes, and those that its attributes do.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub(in crate::fs) fn blocks(&self, scratch: &Arc<Scratch>, number: u64) -> Result<(u64, u64), Error> {
        let volume = Volume { bytes: scratch.clone(), geometry: self.geometry.clone() };
        let inode = Inode::read(&volume, number)?;
        let attributes = inode.attributes.as_ref().map_or(Ok(0), |fork| extents::blocks(&volume, &inode, fork))?;
        Ok((extents::blocks(&volume, &inode, &inode.data)?, attributes))
    }

    /// Leaves nothing in the log but that all is in order.
    ///
    /// # Errors
    ///
    /// When its end cannot be found, or it cannot be written to.
    pub(in crate::fs) fn close(&self, scratch: &Scratch) -> Result<(), Error> {
        let log = Log::new(scratch, &self.geometry)?;
        // Kernels take a log of zeros for a new one.
        let Some(head) = log.head()? else { return Ok(()) };
        let round = log.round(head.checked_sub(1).unwrap_or(log.blocks.saturating_sub(1)))?;
        let at = head.checked_next_multiple_of(self.stripe).unwrap_or(log.blocks);
        let length = int_u64(self.unmounted(0, 0).len()) / BLOCK_SIZE;
        let fits = head > 0 && at.saturating_add(length) <= log.blocks;
        let (at, round) = if fits { (at, round) } else { (0, round.checked_add(1).ok_or_else(too_old)?) };
        let record = self.unmounted(at, round);
        let blank = self.geometry.log.1 <= MAX_BLANKED;
        for first in (0..log.blocks).step_by(int_usize(AT_ONCE)) {
            let count = AT_ONCE.min(log.blocks.saturating_sub(first));
            let place = log.start.saturating_add(first.saturating_mul(BLOCK_SIZE));
            let before = load(scratch, place, int_usize(count).saturating_mul(BLOCK))?;
            let mut after = if blank { vec![0; before.len()] } else { before.clone() };
            for (number, (block, old)) in (first..).zip(after.chunks_mut(BLOCK).zip(before.chunks(BLOCK))) {
                let within = number.checked_sub(at).filter(|within| *within < length).map(int_usize);
                if let Some(part) = within.and_then(|within| record.chunks(BLOCK).nth(within)) {
                    put(block, 0, part);
                    continue;
                }
                // The round before the first wrote nothing.
                let wanted = if number < at { round } else { round.saturating_sub(1) };
                if wanted == 0 {
                    block.fill(0);
                } else if blank || be32(old, if old.starts_with(&log::MAGIC) { 4 } else { 0 }) != wanted {
                    put(block, 0, &wanted.to_be_bytes());
                }
            }
            for (piece, (new, old)) in (0_u64..).zip(after.chunks(PIECE).zip(before.chunks(PIECE))) {
                if new != old {
                    scratch.write_at(place.saturating_add(piece.saturating_mul(int_u64(PIECE))), new).map_err(cannot_write)?;
                }
            }
        }
        Ok(())
    }

    /// A record that says that the file system was unmounted, at a block of the log, in a round.
    fn unmounted(&self, at: u64, round: u32) -> Vec<u8> {
        let size = self.stripe.saturating_mul(BLOCK_SIZE).max(log::PER_HEADER);
        let headers = int_usize(size.div_ceil(log::PER_HEADER));
        let blocks = headers.saturating_add(1).next_multiple_of(int_usize(self.stripe));
        let mut record = vec![0; blocks.saturating_mul(BLOCK)];
        for block in record.chunks_mut(BLOCK).skip(1) {
            put(block, 0, &round.to_be_bytes());
        }
        let number = (u64::from(round) << 32) | at;
        let content = blocks.saturating_sub(headers).saturating_mul(BLOCK);
        // One operation of the log itself, with the 8 bytes of `struct xfs_unmount_log_format`.
        let transaction = 1_u32.to_be_bytes();
        let data = headers.saturating_mul(BLOCK);
        put(&mut record, data.saturating_add(4), &[0, 0, 0, 8, 0xaa, log::UNMOUNT]);
        put(&mut record, data.saturating_add(12), &0x556e_u16.to_le_bytes());
        put(&mut record, 0, &log::MAGIC);
        put(&mut record, 4, &round.to_be_bytes());
        put(&mut record, 8, &2_u32.to_be_bytes());
        put(&mut record, 12, &u32::try_from(content).unwrap_or_default().to_be_bytes());
        put(&mut record, 16, &number.to_be_bytes());
        put(&mut record, 24, &number.to_be_bytes());
        put(&mut record, 36, &u32::MAX.to_be_bytes());
        put(&mut record, 40, &1_u32.to_be_bytes());
        put(&mut record, 44, &transaction);
        put(&mut record, 300, &log::LITTLE_ENDIAN.to_be_bytes());
        put(&mut record, 304, &self.geometry.uuid);
        put(&mut record, 320, &u32::try_from(size).unwrap_or_default().to_be_bytes());
        let (head, tail) = record.split_at_checked(data).unwrap_or_default();
        let sum = log::checksum(head, 328, tail);
        put(&mut record, 32, &sum.to_le_bytes());
        record
    }
}

/// Bytes that log records are aligned to: `sb_logsunit`.
fn stripe_of(superblock: &[u8]) -> u64 {
    u64::from(be32(superblock, 196)).max(BLOCK_SIZE)
}

fn too_old() -> Error {
    Error::Unsupported("XFS log in its last round".to_owned())
}

/// What a failed write to scratch bytes is for a file system.
pub(in crate::fs) fn cannot_write(error: ScratchError) -> Error {
    match error {
        ScratchError::Read(error) => Error::Read(error),
        ScratchError::TooMuch(_) => Error::Unsupported(format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::seal;
    use super::super::geometry::CHECKSUM;
    use super::*;
    use crate::bytes::{Memory, read_vec};

    const LOG: usize = 16 * 4096;
    const BLOCKS: u64 = 128;

    /// A file system of 64 blocks of which 16, from the 16th on, are the log.
    fn image(log: &[u8]) -> Arc<Scratch> {
        let mut bytes = vec![0; 64 * 4096];
        for (at, field) in [
            (0, b"XFSB".to_vec()),
            (4, 4096_u32.to_be_bytes().to_vec()),
            (8, 64_u64.to_be_bytes().to_vec()),
            (32, vec![0x5a; 16]),
            (48, 16_u64.to_be_bytes().to_vec()),
            (56, 128_u64.to_be_bytes().to_vec()),
            (84, 64_u32.to_be_bytes().to_vec()),
            (88, 1_u32.to_be_bytes().to_vec()),
            (96, 16_u32.to_be_bytes().to_vec()),
            (100, 0xb4a5_u16.to_be_bytes().to_vec()),
            (102, 512_u16.to_be_bytes().to_vec()),
            (104, 512_u16.to_be_bytes().to_vec()),
            (106, 8_u16.to_be_bytes().to_vec()),
            (120, vec![12, 9, 9, 3, 6]),
            (200, 0x18a_u32.to_be_bytes().to_vec()),
            (216, 1_u32.to_be_bytes().to_vec()),
        ] {
            put(&mut bytes, at, &field);
        }
        seal(&mut bytes[..512], CHECKSUM);
        put(&mut bytes, LOG, log);
        Scratch::new(Arc::new(Memory(bytes)), 1 << 20)
    }

    /// A log of blocks that say their round and something else, with a record of `layout` at a place, in a round.
    fn ring(layout: &Layout, at: u64, round: u32) -> Vec<u8> {
        let mut log = Vec::new();
        for block in 0..BLOCKS {
            let round = if block < at { round } else { round - 1 };
            log.extend(round.to_be_bytes());
            log.extend(if round == 0 { [0; 508] } else { [0x77; 508] });
        }
        put(&mut log, int_usize(at) * BLOCK, &layout.unmounted(at, round));
        log
    }

    #[test]
    fn a_log_is_ended_behind_what_was_there_and_blanked() {
        let layout = Layout::open(&image(&[])).unwrap();
        assert_eq!(layout.fresh_log().len(), 2 * BLOCK);
        for (at, round, ends_at, ends_in) in [(0, 1, 2, 1), (6, 1, 8, 1), (6, 9, 8, 9), (124, 9, 126, 9), (125, 9, 0, 10), (126, 9, 0, 10)]
        {
            let scratch = image(&ring(&layout, at, round));
            let layout = Layout::open(&scratch).unwrap();
            layout.close(&scratch).unwrap();
            let log = read_vec(&*scratch, int_u64(LOG), int_usize(BLOCKS) * BLOCK).unwrap();
            let mut expected = vec![0; log.len()];
            for (block, content) in (0_u64..).zip(expected.chunks_mut(BLOCK)) {
                let round: u32 = if block < ends_at { ends_in } else { ends_in - 1 };
                put(content, 0, &round.to_be_bytes());
            }
            put(&mut expected, int_usize(ends_at) * BLOCK, &layout.unmounted(ends_at, ends_in));
            assert!(log == expected, "{at} {round}");
            let whole = Log::new(&*scratch, &layout.geometry).unwrap();
            assert_eq!((whole.live().unwrap(), whole.head().unwrap()), (None, Some((ends_at + 2) % BLOCKS)), "{at} {round}");
            Layout::open(&scratch).unwrap();
        }
    }

    #[test]
    fn what_is_not_written_right_is_refused_by_name() {
        for (at, field, said) in [
            (100, 0xb4a4_u16.to_be_bytes().to_vec(), "version 4"),
            (100, 0xf4a5_u16.to_be_bytes().to_vec(), "fold case"),
            (176, 1_u16.to_be_bytes().to_vec(), "quotas"),
            (212, 0x10_u32.to_be_bytes().to_vec(), "unknown features 0x10"),
            (216, 0x81_u32.to_be_bytes().to_vec(), "parent pointers"),
        ] {
            let scratch = image(&[]);
            let mut superblock = read_vec(&*scratch, 0, 512).unwrap();
            put(&mut superblock, at, &field);
            seal(&mut superblock, CHECKSUM);
            scratch.write_at(0, &superblock).unwrap();
            let error = Layout::open(&scratch).unwrap_err();
            assert!(matches!(&error, Error::Unsupported(what) if what.contains(said)), "{said}: {error}");
        }
    }
}
