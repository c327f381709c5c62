//! The log: where its live part begins and ends, and the transactions in it.
//!
//! Records of at most 256 KiB follow each other round a ring of 512-byte blocks. The first four bytes of each block are the number of
//! the round that it was written in, so that the end of what was written last can be found; the bytes that stood there are kept in the
//! record's header. `struct xlog_rec_header`, `struct xlog_op_header` in `fs/xfs/libxfs/xfs_log_format.h`; the search as in
//! `fs/xfs/xfs_log_recover.c`.

use super::super::Error;
use super::fields::{array, be32, be64, byte, le16, le32, part, put};
use super::geometry::Geometry;
use crate::bytes::{ReadAt, int_u64, int_usize};
use std::collections::BTreeMap;

pub(super) const BLOCK: usize = 512;
pub(super) const BLOCK_SIZE: u64 = 512;
pub(super) const MAGIC: [u8; 4] = 0xfeed_babe_u32.to_be_bytes();
/// Bytes of content that one block of a record's header keeps the first words of.
pub(super) const PER_HEADER: u64 = 32 * 1024;
/// The longest record.
const MAX_RECORD: u32 = 256 * 1024;
/// Records that may have been under way when the machine stopped: `XLOG_MAX_ICLOGS`.
const UNDER_WAY: usize = 8;
/// Blocks before the end of the live part that may be out of order: as many as so many of the longest records have.
const WINDOW: u64 = 4096;
/// `h_fmt`: written by a little-endian Linux.
pub(super) const LITTLE_ENDIAN: u32 = 1;

/// Flags of operations.
const START: u8 = 0x01;
const COMMIT: u8 = 0x02;
const CONTINUES: u8 = 0x04;
const CONTINUED: u8 = 0x08;
const END: u8 = 0x10;
pub(super) const UNMOUNT: u8 = 0x20;

/// Bytes of transactions that are held at a time.
const MAX_HELD: usize = 256 << 20;
/// Regions of an item at most; the kernel allows fewer.
const MAX_REGIONS: usize = 4096;

/// A log.
#[derive(Debug)]
pub(super) struct Log<'a> {
    pub(super) bytes: &'a dyn ReadAt,
    pub(super) start: u64,
    pub(super) blocks: u64,
    uuid: [u8; 16],
}

/// The live part of a log: from the oldest record that is still needed to the end of the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Live {
    tail: u64,
    head: u64,
}

/// A record's header.
#[derive(Debug)]
struct Record {
    block: u64,
    headers: Vec<u8>,
    len: usize,
    /// Blocks of header and content.
    blocks: u64,
}

/// What a transaction changes at one place: a format that says where, and the content.
#[derive(Debug, Default, Clone)]
pub(super) struct Item {
    pub(super) regions: Vec<Vec<u8>>,
    /// Regions that the format announces; zero before it has been seen.
    announced: usize,
}

impl Item {
    /// The first region: its kind, the number of regions, and more as the kind has it.
    pub(super) fn format(&self) -> &[u8] {
        self.regions.first().map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn kind(&self) -> u16 {
        le16(self.format(), 0)
    }
}

/// A transaction under way.
#[derive(Debug, Default)]
struct Transaction {
    /// The header of 16 bytes, as far as it has been seen.
    header: Vec<u8>,
    items: Vec<Item>,
}

impl<'a> Log<'a> {
    /// The log of a file system.
    ///
    /// # Errors
    ///
    /// When there is no room for one record.
    pub(super) fn new(bytes: &'a dyn ReadAt, geometry: &Geometry) -> Result<Self, Error> {
        let (start, size) = geometry.log;
        let blocks = size / BLOCK_SIZE;
        if blocks < 16 {
            return Err(Error::Damaged("log: too small".to_owned()));
        }
        Ok(Self { bytes, start, blocks, uuid: geometry.uuid })
    }

    /// The part that has to be replayed; `None` when it was left in order.
    ///
    /// # Errors
    ///
    /// When it cannot be found.
    pub(super) fn live(&self) -> Result<Option<Live>, Error> {
        let Some(head) = self.head()? else { return Ok(None) };
        let Some(last) = self.before(head)? else { return Err(damaged(head, "no record before the end")) };
        let record = self.record(last)?;
        if self.distance(last, head) != record.blocks {
            return Err(damaged(last, "record does not end where the log does"));
        }
        let content = self.content(&record)?;
        if be32(&record.headers, 40) == 1 && byte(&content, 9) & UNMOUNT != 0 {
            return Ok(None);
        }
        let tail = u64::from(be32(&record.headers, 28));
        if tail >= self.blocks || be64(&record.headers, 24) == 0 {
            return Err(damaged(last, "the oldest record that it names lies outside"));
        }
        Ok(Some(Live { tail, head }))
    }

    /// The block behind the last record that counts; `None` in a log that was never written to.
    ///
    /// # Errors
    ///
    /// When it cannot be found.
    pub(super) fn head(&self) -> Result<Option<u64>, Error> {
        let Some(head) = self.written()? else { return Ok(None) };
        let Some(last) = self.before(head)? else { return Err(damaged(head, "no record before the end")) };
        // A record that was being written when the machine stopped does not count.
        let whole = self.distance(last, head) == self.record(last)?.blocks;
        self.untorn(if whole { head } else { last }).map(Some)
    }

    /// Where the newest round ends; `None` in a log that was never written to.
    fn written(&self) -> Result<Option<u64>, Error> {
        let end = self.blocks.saturating_sub(1);
        let (first, last) = (self.round(0)?, self.round(end)?);
        if first == 0 {
            return Ok(None);
        }
        let (mut head, older) = if first == last {
            (self.blocks, first.wrapping_sub(1))
        } else {
            let (mut low, mut high) = (0, end);
            while high.saturating_sub(low) > 1 {
                let middle = low.midpoint(high);
                *(if self.round(middle)? == last { &mut high } else { &mut low }) = middle;
            }
            (high, last)
        };
        // Blocks are written out of order; the first that the newest round has left out ends the log.
        let window = WINDOW.min(self.blocks);
        let before = self.blocks.saturating_sub(window.saturating_sub(head))..self.blocks;
        let near = head.saturating_sub(window)..head;
        if let Some(hole) = self.find_round(before, older.wrapping_sub(1))? {
            head = hole;
        } else if let Some(hole) = self.find_round(near, older)? {
            head = hole;
        }
        Ok(Some(if head == self.blocks { 0 } else { head }))
    }

    fn find_round(&self, blocks: std::ops::Range<u64>, wanted: u32) -> Result<Option<u64>, Error> {
        for block in blocks {
            if self.round(block)? == wanted {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// The round that a block was written in.
    pub(super) fn round(&self, block: u64) -> Result<u32, Error> {
        let mut start = [0; 8];
        self.bytes.read_at(self.at(block), &mut start)?;
        Ok(be32(&start, if start.starts_with(&MAGIC) { 4 } else { 0 }))
    }

    /// The end without the records that did not reach the disk whole: of the last few, the first with a wrong checksum and all
    /// behind it.
    fn untorn(&self, head: u64) -> Result<u64, Error> {
        let (mut records, mut at) = (Vec::new(), head);
        while records.len() < UNDER_WAY {
            match self.before(at)? {
                Some(block) if self.distance(block, head) > self.ring(self.distance(at, head)) => {
                    records.push(block);
                    at = block;
                }
                _ => break,
            }
        }
        for block in records.iter().rev() {
            let sound = self.record(*block).and_then(|record| self.content(&record));
            if matches!(sound, Err(Error::Damaged(_))) {
                return Ok(*block);
            }
        }
        Ok(head)
    }

    /// The last record that begins before a block, no further away than a record is long.
    fn before(&self, head: u64) -> Result<Option<u64>, Error> {
        for back in 1..=WINDOW.min(self.blocks) {
            let block = self.ring(head.saturating_add(self.blocks).saturating_sub(back));
            let mut magic = [0; 4];
            self.bytes.read_at(self.at(block), &mut magic)?;
            if magic == MAGIC {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// Blocks from one to another, onwards; the whole ring from one to itself.
    fn distance(&self, from: u64, to: u64) -> u64 {
        match self.ring(to.saturating_add(self.blocks).saturating_sub(from)) {
            0 => self.blocks,
            blocks => blocks,
        }
    }

    /// A block counted on past the end of the ring.
    fn ring(&self, block: u64) -> u64 {
        block.checked_rem(self.blocks).unwrap_or_default()
    }

    /// The byte of a block.
    fn at(&self, block: u64) -> u64 {
        self.start.saturating_add(block.saturating_mul(BLOCK_SIZE))
    }

    /// `count` blocks from `block` on, round the ring.
    fn read(&self, block: u64, count: u64) -> Result<Vec<u8>, Error> {
        let mut content = vec![0; int_usize(count).saturating_mul(BLOCK)];
        let straight = int_usize(self.blocks.saturating_sub(block).min(count)).saturating_mul(BLOCK);
        let (ahead, round) = content.split_at_mut_checked(straight).unwrap_or_default();
        self.bytes.read_at(self.at(block), ahead)?;
        self.bytes.read_at(self.start, round)?;
        Ok(content)
    }

    /// The record at a block.
    fn record(&self, block: u64) -> Result<Record, Error> {
        let first = self.read(block, 1)?;
        if !first.starts_with(&MAGIC) || array(&first, 304) != self.uuid {
            return Err(damaged(block, "no record"));
        }
        let (version, len, size) = (be32(&first, 8), be32(&first, 12), be32(&first, 320));
        if !(1..=3).contains(&version) || len > MAX_RECORD || u64::from(be32(&first, 20)) != block {
            return Err(damaged(block, "impossible record"));
        }
        let headers = if version & 2 == 0 { 1 } else { u64::from(size.clamp(1, MAX_RECORD)).div_ceil(PER_HEADER) };
        let blocks = headers.saturating_add(u64::from(len).div_ceil(BLOCK_SIZE));
        // mkfs may pad its only record further than its header says.
        if blocks > self.blocks || (u64::from(len) > headers.saturating_mul(PER_HEADER) && be32(&first, 40) != 1) {
            return Err(damaged(block, "record longer than can be"));
        }
        if be32(&first, 300) != LITTLE_ENDIAN {
            return Err(Error::Unsupported("XFS log of a big-endian machine".to_owned()));
        }
        let len = usize::try_from(len).unwrap_or_default();
        Ok(Record { block, headers: self.read(block, headers)?, len, blocks })
    }

    /// The content of a record as it was before its blocks were numbered.
    fn content(&self, record: &Record) -> Result<Vec<u8>, Error> {
        let headers = int_u64(record.headers.len()) / BLOCK_SIZE;
        let first = self.ring(record.block.saturating_add(headers));
        let mut content = self.read(first, record.blocks.saturating_sub(headers))?;
        let stored = le32(&record.headers, 32);
        // The header as 64-bit machines have it, or as 32-bit ones do; kernels before 3.8 kept no checksum.
        let sums = [328, 324].map(|header| checksum(&record.headers, header, part(&content, 0, record.len).unwrap_or_default()));
        if stored != 0 && !sums.contains(&stored) {
            return Err(damaged(record.block, "checksum is wrong"));
        }
        for (place, block) in content.chunks_mut(BLOCK).enumerate() {
            let (header, word) = (place / 64, place % 64);
            // The first header has other fields before the words, those behind it their round.
            let before = if header == 0 { 44 } else { header.saturating_mul(BLOCK).saturating_add(4) };
            put(block, 0, part(&record.headers, before.saturating_add(word.saturating_mul(4)), 4).unwrap_or_default());
        }
        content.truncate(record.len);
        Ok(content)
    }

    /// Gives the items of every transaction that was committed, in the order of commits.
    ///
    /// # Errors
    ///
    /// When a record is damaged, and those of `each`.
    pub(super) fn transactions(&self, live: Live, each: &mut dyn FnMut(Vec<Item>) -> Result<(), Error>) -> Result<(), Error> {
        let mut under_way: BTreeMap<u32, Transaction> = BTreeMap::new();
        let (mut block, mut rest, mut held) = (live.tail, self.distance(live.tail, live.head), 0_usize);
        while rest > 0 {
            let record = self.record(block)?;
            rest = rest.checked_sub(record.blocks).ok_or_else(|| damaged(block, "record passes the end of the log"))?;
            let content = self.content(&record)?;
            held = held.saturating_add(content.len());
            if held > MAX_HELD {
                return Err(Error::Unsupported("XFS log with more work than is replayed in memory".to_owned()));
            }
            let mut content = content.as_slice();
            for _ in 0..be32(&record.headers, 40) {
                let short = || damaged(block, "operation passes the end of its record");
                let (operation, after) = content.split_first_chunk::<12>().ok_or_else(short)?;
                let length = usize::try_from(be32(operation, 4)).unwrap_or(usize::MAX);
                let (region, after) = after.split_at_checked(length).ok_or_else(short)?;
                content = after;
                let committed = operate(&mut under_way, operation, region).ok_or_else(|| damaged(block, "operation out of place"))?;
                if let Some(items) = committed {
                    each(items)?;
                }
            }
            if under_way.is_empty() {
                held = 0;
            }
            block = self.ring(block.saturating_add(record.blocks));
        }
        Ok(())
    }
}

/// Takes up one operation; the items of the transaction where it commits one. `None` where the operation cannot be.
fn operate(under_way: &mut BTreeMap<u32, Transaction>, operation: &[u8; 12], region: &[u8]) -> Option<Option<Vec<Item>>> {
    let (transaction, flags) = (be32(operation, 0), byte(operation, 9) & !END);
    let Some(found) = under_way.get_mut(&transaction) else {
        // One that began before the oldest record is on the disk already.
        if flags & START != 0 {
            under_way.insert(transaction, Transaction::default());
        }
        return Some(None);
    };
    match if flags & CONTINUED != 0 { flags & !CONTINUES } else { flags } {
        0 | CONTINUES => found.add(region)?,
        CONTINUED => found.extend(region)?,
        UNMOUNT => drop(under_way.remove(&transaction)),
        COMMIT => return Some(under_way.remove(&transaction).map(|done| done.items)),
        _ => return None,
    }
    Some(None)
}

impl Transaction {
    /// A new region, or the header of the transaction.
    fn add(&mut self, region: &[u8]) -> Option<()> {
        if region.is_empty() {
            return Some(());
        }
        if self.header.is_empty() {
            self.header = region.get(..16).unwrap_or(region).to_vec();
            return (region.len() <= 16 && self.header.starts_with(&0x5452_414e_u32.to_le_bytes())).then_some(());
        }
        let whole = self.items.last().is_none_or(|item| item.regions.len() >= item.announced);
        if whole {
            let announced = usize::from(le16(region, 2));
            if announced == 0 || announced > MAX_REGIONS {
                return None;
            }
            self.items.push(Item { regions: vec![region.to_vec()], announced });
        } else {
            self.items.last_mut()?.regions.push(region.to_vec());
        }
        Some(())
    }

    /// The rest of a region that a record had no room for.
    fn extend(&mut self, region: &[u8]) -> Option<()> {
        let Some(item) = self.items.last_mut() else {
            self.header.extend(region);
            return (self.header.len() <= 16).then_some(());
        };
        item.regions.last_mut()?.extend(region);
        Some(())
    }
}

/// The checksum of a record: its header with the field blank, the words of further headers, the content as it was written.
pub(super) fn checksum(headers: &[u8], header: usize, content: &[u8]) -> u32 {
    let first = part(headers, 0, header).unwrap_or_default();
    let mut sum = crc32c::crc32c(first.get(..32).unwrap_or_default());
    sum = crc32c::crc32c_append(sum, &[0; 4]);
    sum = crc32c::crc32c_append(sum, first.get(36..).unwrap_or_default());
    if be32(headers, 8) & 2 != 0 {
        let further = content.len().div_ceil(int_usize(PER_HEADER)).saturating_sub(1);
        for more in headers.chunks(BLOCK).skip(1).take(further) {
            sum = crc32c::crc32c_append(sum, more.get(..260).unwrap_or_default());
        }
    }
    crc32c::crc32c_append(sum, content)
}

fn damaged(block: u64, what: &str) -> Error {
    Error::Damaged(format!("log block {block}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Memory;

    const BLOCKS: usize = 64;

    /// Puts a record into a ring: its operations, each with flags and content.
    fn record(ring: &mut [u8], block: usize, round: u32, tail: u32, operations: &[(u8, &[u8])]) -> usize {
        let mut content = Vec::new();
        for (flags, region) in operations {
            content.extend(7_u32.to_be_bytes());
            content.extend((region.len() as u32).to_be_bytes());
            content.extend([0x69, *flags, 0, 0]);
            content.extend(*region);
        }
        let len = content.len();
        content.resize(len.next_multiple_of(BLOCK), 0);
        let mut header = vec![0; BLOCK];
        for (at, value) in [(4, round), (8, 2), (12, len as u32), (16, round), (20, block as u32), (24, 1), (28, tail)] {
            put(&mut header, at, &value.to_be_bytes());
        }
        put(&mut header, 0, &MAGIC);
        put(&mut header, 40, &(operations.len() as u32).to_be_bytes());
        put(&mut header, 300, &1_u32.to_be_bytes());
        put(&mut header, 304, &[9; 16]);
        put(&mut header, 320, &(32 * 1024_u32).to_be_bytes());
        for (place, block) in content.chunks_mut(BLOCK).enumerate() {
            put(&mut header, 44 + 4 * place, &block[..4]);
            put(block, 0, &round.to_be_bytes());
        }
        let sum = checksum(&header, 328, &content[..len]);
        put(&mut header, 32, &sum.to_le_bytes());
        for (place, from) in header.chunks(BLOCK).chain(content.chunks(BLOCK)).enumerate() {
            let at = (block + place) % BLOCKS * BLOCK;
            put(&mut ring[at..at + BLOCK], 0, from);
        }
        (block + 1 + content.len() / BLOCK) % BLOCKS
    }

    fn header() -> Vec<u8> {
        [0x5452_414e_u32, 0, 0, 1].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// An item of one region: its kind, one region, and more.
    fn item(kind: u16, len: usize) -> Vec<u8> {
        let mut region = vec![5; len];
        put(&mut region, 0, &kind.to_le_bytes());
        put(&mut region, 2, &1_u16.to_le_bytes());
        region
    }

    fn ring(bytes: &Memory) -> Log<'_> {
        Log { bytes, start: 0, blocks: BLOCKS as u64, uuid: [9; 16] }
    }

    type Transactions = Vec<Vec<(u16, usize)>>;

    fn transactions(ring: Vec<u8>) -> Result<Option<Transactions>, Error> {
        let bytes = Memory(ring);
        let log = self::ring(&bytes);
        let Some(live) = log.live()? else { return Ok(None) };
        let mut all = vec![];
        log.transactions(live, &mut |items| {
            all.push(items.iter().map(|item| (item.kind(), item.regions.iter().map(Vec::len).sum())).collect());
            Ok(())
        })?;
        Ok(Some(all))
    }

    /// mkfs's record, a transaction over two records, one that is not committed.
    fn sample() -> (Vec<u8>, [usize; 3]) {
        let mut bytes = vec![0; BLOCKS * BLOCK];
        let first = record(&mut bytes, 0, 1, 0, &[(UNMOUNT, &[0; 8])]);
        let (long, header) = (item(0x123c, 900), header());
        let start: &[(u8, &[u8])] = &[(START, &[]), (0, &header), (0, &item(0x123b, 60)), (CONTINUES, &long[..500])];
        let second = record(&mut bytes, first, 1, first as u32, start);
        let third =
            record(&mut bytes, second, 1, first as u32, &[(CONTINUED | END, &long[500..]), (COMMIT, &[]), (START, &[]), (0, &header)]);
        (bytes, [first, second, third])
    }

    #[test]
    fn transactions_are_put_together_from_records() {
        let (bytes, _) = sample();
        assert_eq!(transactions(bytes).unwrap(), Some(vec![vec![(0x123b, 60), (0x123c, 900)]]));
    }

    #[test]
    fn a_log_that_was_left_in_order_holds_no_work() {
        assert_eq!(transactions(vec![0; BLOCKS * BLOCK]).unwrap(), None, "never written");
        let (mut bytes, [.., end]) = sample();
        record(&mut bytes, end, 1, end as u32, &[(UNMOUNT, &[0; 8])]);
        assert_eq!(transactions(bytes).unwrap(), None);
    }

    #[test]
    fn the_end_is_found_in_any_round() {
        for before in 0..BLOCKS {
            let mut bytes = vec![0; BLOCKS * BLOCK];
            // Rounds that fill the ring with records of two blocks.
            let (mut block, mut round) = (0, 1);
            for _ in 0..BLOCKS + before {
                let next = record(&mut bytes, block, round, block as u32, &[(0, &[1; 8])]);
                round += u32::from(next < block);
                block = next;
            }
            let header = header();
            let end = record(&mut bytes, block, round, block as u32, &[(START, &[]), (0, &header), (0, &item(0x123b, 60)), (COMMIT, &[])]);
            assert_eq!(transactions(bytes.clone()).unwrap(), Some(vec![vec![(0x123b, 60)]]), "{before}: from {block} to {end}");
        }
    }

    #[test]
    fn a_torn_record_at_the_end_does_not_count() {
        let (mut bytes, [_, second, third]) = sample();
        bytes[(second + 1) * BLOCK + 100] ^= 1;
        // Without its end, the transaction is none.
        assert_eq!(transactions(bytes.clone()).unwrap(), Some(vec![]));
        put(&mut bytes, (third - 1) * BLOCK, &[0; 4]);
        assert_eq!(transactions(bytes).unwrap(), Some(vec![]));
    }

    #[test]
    fn any_damage_ends() {
        let (sound, _) = sample();
        for at in 0..6 * BLOCK {
            for change in [0xff, 1] {
                let mut bytes = sound.clone();
                bytes[at] ^= change;
                for header in bytes.chunks_mut(BLOCK).filter(|block| block.starts_with(&MAGIC)) {
                    put(header, 32, &[0; 4]);
                }
                drop(transactions(bytes));
            }
        }
    }
}
