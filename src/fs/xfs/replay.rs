//! Recovery: what the log holds laid over the file system, in memory.
//!
//! As Linux does it (`fs/xfs/xfs_log_recover.c` and the `*_item_recover.c` beside it), with what only writers would miss left out:
//! - A first pass counts the buffers that were freed; changes to them before they were are passed over.
//! - Changes are laid in the order of commits, in each transaction buffers before inodes. Linux passes over what the disk already has
//!   in a newer state; here it is laid again, and so is everything that followed it, with the same end.
//! - Intents to free space, or to change reverse maps and reference counts, change nothing that is read. One to move or exchange
//!   extents that was not done makes the file system unreadable here; one to change attributes, those of its inode.

use super::super::Error;
use super::fields::{be16, be32, be64, byte, le16, le32, le64, part, put, seal};
use super::geometry::{self, Geometry};
use super::inode;
use super::log::{Item, Log};
use crate::bytes::{Bytes, Overlay, ReadAt, int_u64, int_usize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SECTOR: usize = 512;
/// Sectors that are laid at most: 256 MiB.
const MAX_SECTORS: usize = 1 << 19;
/// Bytes of a buffer at most: a directory block, an inode chunk.
const MAX_BUFFER: u64 = 256 * 1024;
/// Bytes that one bit of a buffer's map stands for.
const CHUNK: usize = 128;

/// Kinds of items: `xfs_log_format.h`.
const INODE: u16 = 0x123b;
const BUFFER: u16 = 0x123c;
const NEW_INODES: u16 = 0x123f;
const MOVE: u16 = 0x1244;
const MOVE_DONE: u16 = 0x1245;
const ATTRIBUTE: u16 = 0x1246;
const ATTRIBUTE_DONE: u16 = 0x1247;
const EXCHANGE: u16 = 0x1248;
const EXCHANGE_DONE: u16 = 0x1249;
/// Space freed, unlinked inodes, quotas, reverse maps, reference counts, and the last three for the realtime device.
const PASSED_OVER: [u16; 15] =
    [0x1236, 0x1237, 0x1238, 0x123d, 0x123e, 0x1240, 0x1241, 0x1242, 0x1243, 0x124a, 0x124b, 0x124c, 0x124d, 0x124e, 0x124f];

/// `blf_flags`: a buffer of inodes (of which only the chain of unlinked ones is logged), a freed buffer, and buffers of quotas.
const INODES: u16 = 0x1;
const FREED: u16 = 0x2;
const QUOTAS: u16 = 0x4 | 0x8 | 0x10;

/// `ilf_fields`.
const DATA: u32 = 0x2 | 0x4;
const DATA_ROOT: u32 = 0x8;
const DEVICE: u32 = 0x10;
const ATTRIBUTES: u32 = 0x40 | 0x80;
const ATTRIBUTES_ROOT: u32 = 0x100;
const OWNERS: u32 = 0x200 | 0x400;

/// What came of the log.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The file system as it is after recovery.
    pub(super) bytes: Bytes,
    /// Whether it was left in order.
    pub(super) clean: bool,
    /// Inodes with a change of attributes under way.
    pub(super) unsettled: BTreeSet<u64>,
}

/// Replays the log, if it holds work.
///
/// # Errors
///
/// When it cannot be replayed: what the file system says cannot be known then.
pub(super) fn recover(bytes: &Bytes, geometry: &Geometry) -> Result<Recovered, Error> {
    let log = Log::new(&**bytes, geometry)?;
    let Some(live) = log.live()? else { return Ok(Recovered { bytes: bytes.clone(), clean: true, unsettled: BTreeSet::new() }) };
    // Bit 0: attribute changes, which are known.
    if geometry.log_features & !1 != 0 {
        return Err(Error::Unsupported(format!("XFS log with unknown features {:#x}", geometry.log_features)));
    }
    let mut replay = Replay { geometry, bytes, sectors: BTreeMap::new(), freed: BTreeMap::new() };
    let mut intents = Intents::default();
    log.transactions(live, &mut |items| {
        for item in &items {
            replay.count_freed(item);
            intents.count(item)?;
        }
        Ok(())
    })?;
    if !intents.moves.is_empty() {
        return Err(Error::Unsupported("XFS log that leaves a move of extents half done".to_owned()));
    }
    log.transactions(live, &mut |items| replay.transaction(&items))?;
    let laid = replay.laid()?;
    Ok(Recovered { bytes: laid, clean: false, unsettled: intents.attributes.into_values().collect() })
}

/// Intents that no done item has answered, by their numbers.
#[derive(Debug, Default)]
struct Intents {
    moves: BTreeSet<u64>,
    /// With the inodes whose attributes are to change.
    attributes: BTreeMap<u64, u64>,
}

impl Intents {
    fn count(&mut self, item: &Item) -> Result<(), Error> {
        let (format, kind) = (item.format(), item.kind());
        // Every one of these formats has its number at the same place.
        let number = le64(format, 8);
        match kind {
            MOVE | EXCHANGE => drop(self.moves.insert(number)),
            MOVE_DONE | EXCHANGE_DONE => drop(self.moves.remove(&number)),
            ATTRIBUTE => drop(self.attributes.insert(number, le64(format, 16))),
            ATTRIBUTE_DONE => drop(self.attributes.remove(&number)),
            INODE | BUFFER | NEW_INODES => {}
            other if PASSED_OVER.contains(&other) => {}
            other => return Err(Error::Unsupported(format!("XFS log with items of unknown kind {other:#x}"))),
        }
        Ok(())
    }
}

/// Sectors as they are after recovery.
struct Replay<'a> {
    geometry: &'a Geometry,
    bytes: &'a Bytes,
    sectors: BTreeMap<u64, [u8; SECTOR]>,
    /// Buffers that a transaction still to come frees, by first sector and sectors, and how often.
    freed: BTreeMap<(u64, u64), u32>,
}

impl Replay<'_> {
    fn count_freed(&mut self, item: &Item) {
        if item.kind() == BUFFER && Buffer::new(item).flags & FREED != 0 {
            let count = self.freed.entry(Buffer::new(item).place()).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn transaction(&mut self, items: &[Item]) -> Result<(), Error> {
        let of = |kinds: &'static [u16]| items.iter().filter(|item| kinds.contains(&item.kind()));
        for item in of(&[BUFFER, NEW_INODES]) {
            if item.kind() == BUFFER { self.buffer(item)? } else { self.new_inodes(item)? }
        }
        for item in of(&[INODE]) {
            self.inode(item)?;
        }
        for item in of(&[BUFFER]) {
            let buffer = Buffer::new(item);
            if buffer.flags & FREED != 0
                && let Some(count) = self.freed.get_mut(&buffer.place())
            {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.freed.remove(&buffer.place());
                }
            }
        }
        Ok(())
    }

    /// A buffer: the runs of chunks that its map names. A region may end before its run does; the next one goes on then.
    fn buffer(&mut self, item: &Item) -> Result<(), Error> {
        let buffer = Buffer::new(item);
        if buffer.flags & (FREED | INODES | QUOTAS) != 0 || self.freed.contains_key(&buffer.place()) || buffer.sectors == 0 {
            return Ok(());
        }
        let mut content = self.read(buffer.sector, buffer.sectors)?;
        let mut bit = 0_usize;
        for region in item.regions.iter().skip(1) {
            while bit < buffer.bits() && !buffer.bit(bit) {
                bit = bit.saturating_add(1);
            }
            let run = (bit..buffer.bits()).take_while(|bit| buffer.bit(*bit)).count().min(region.len() / CHUNK);
            let at = bit.saturating_mul(CHUNK);
            let len = run.saturating_mul(CHUNK);
            if run == 0 || at.saturating_add(len) > content.len() {
                return Err(damaged(buffer.sector, "a change does not fit its buffer"));
            }
            put(&mut content, at, part(region, 0, len).unwrap_or_default());
            bit = bit.saturating_add(run);
        }
        if self.geometry.checked
            && let Some(at) = checksum_of(&content)
        {
            seal(&mut content, at);
        }
        self.write(buffer.sector, &content)
    }

    /// An inode: its core, in the byte order of the machine, and the forks that changed.
    fn inode(&mut self, item: &Item) -> Result<(), Error> {
        let format = item.format();
        // 32-bit machines pack the format more tightly.
        let (fields, device, place) = match format.len() {
            56.. => (le32(format, 4), le32(format, 24), 40),
            52.. => (le32(format, 4), le32(format, 20), 36),
            _ => return Err(damaged(0, "an inode without its format")),
        };
        let (sector, sectors) = (le64(format, place), u64::from(le32(format, place.saturating_add(8))));
        let within = u64::from(le32(format, place.saturating_add(12)));
        if self.freed.contains_key(&(sector, sectors)) {
            return Ok(());
        }
        if fields & OWNERS != 0 {
            return Err(Error::Unsupported("XFS log that exchanges extents of files as version 5.x of Linux did".to_owned()));
        }
        let bad = |what: &str| damaged(sector, what);
        let bytes = self.geometry.inode;
        if within.checked_rem(bytes) != Some(0) || within.saturating_add(bytes) > sectors.saturating_mul(512) {
            return Err(bad("an inode outside its buffer"));
        }
        let mut content = self.read(sector, sectors)?;
        let Some(slot) = content.get_mut(int_usize(within)..int_usize(within.saturating_add(bytes))) else {
            return Err(bad("an inode outside its buffer"));
        };
        let core = item.regions.get(1).ok_or_else(|| bad("an inode without its core"))?;
        let start = lay_core(slot, core, self.geometry.checked).ok_or_else(|| bad("an impossible inode"))?;
        let split = start.saturating_add(usize::from(byte(slot, 82)).saturating_mul(8));
        let (data, attributes) = if split > start { (start..split, split..slot.len()) } else { (start..slot.len(), 0..0) };
        if fields & DEVICE != 0 {
            put(slot, start, &device.to_be_bytes());
        }
        let mut regions = item.regions.iter().skip(2);
        for (plain, root, range) in [(DATA, DATA_ROOT, data), (ATTRIBUTES, ATTRIBUTES_ROOT, attributes)] {
            if fields & (plain | root) == 0 {
                continue;
            }
            // A fork that is empty has no region.
            let Some(region) = regions.next() else { continue };
            let fork = slot.get_mut(range).ok_or_else(|| bad("a fork outside its inode"))?;
            if fields & root != 0 {
                lay_root(fork, region, self.geometry.checked).ok_or_else(|| bad("an impossible tree of extents"))?;
            } else {
                put(fork, 0, region);
            }
        }
        if self.geometry.checked {
            seal(slot, inode::CHECKSUM);
        }
        self.write(sector, &content)
    }

    /// Inodes that were made and not yet written: free ones, until one of them is logged.
    fn new_inodes(&mut self, item: &Item) -> Result<(), Error> {
        let [group, block, count, size, length, generation] = [4, 8, 12, 16, 20, 24].map(|at| be32(item.format(), at));
        let bad = |what| Error::Damaged(format!("log: new inodes {what}"));
        let number = self.geometry.number(u64::from(group), u64::from(block));
        let at = self.geometry.place(number, u64::from(length)).ok_or_else(|| bad("outside"))?;
        let bytes = u64::from(length).saturating_mul(self.geometry.block);
        if u64::from(size) != self.geometry.inode || u64::from(count).saturating_mul(u64::from(size)) != bytes || bytes > MAX_BUFFER {
            return Err(bad("of impossible size"));
        }
        let sectors = at / 512..at.saturating_add(bytes) / 512;
        // Freed again later: what stands there now may be content.
        if self.freed.keys().any(|(start, count)| *start < sectors.end && start.saturating_add(*count) > sectors.start) {
            return Ok(());
        }
        let mut content = vec![0; int_usize(bytes)];
        for (slot, inode) in content.chunks_exact_mut(self.geometry.inode_len()).zip(self.geometry.first_inode(number)..) {
            put(slot, 0, b"IN");
            put(slot, 4, &[3]);
            put(slot, 92, &generation.to_be_bytes());
            put(slot, 96, &u32::MAX.to_be_bytes());
            put(slot, 152, &inode.to_be_bytes());
            put(slot, 160, &self.geometry.meta_uuid);
            seal(slot, inode::CHECKSUM);
        }
        self.write(sectors.start, &content)
    }

    /// Sectors as they are by now.
    fn read(&self, sector: u64, sectors: u64) -> Result<Vec<u8>, Error> {
        let bytes = sectors.saturating_mul(512);
        let end = sector.checked_add(sectors).and_then(|end| end.checked_mul(512));
        if bytes > MAX_BUFFER || end.is_none_or(|end| end > self.geometry.size()) {
            return Err(damaged(sector, "a buffer outside"));
        }
        let mut content = vec![0; int_usize(bytes)];
        self.bytes.read_at(sector.saturating_mul(512), &mut content)?;
        for (at, laid) in self.sectors.range(sector..sector.saturating_add(sectors)) {
            put(&mut content, int_usize(at.saturating_sub(sector)).saturating_mul(SECTOR), laid);
        }
        Ok(content)
    }

    fn write(&mut self, sector: u64, content: &[u8]) -> Result<(), Error> {
        for (at, laid) in (sector..).zip(content.as_chunks::<SECTOR>().0) {
            self.sectors.insert(at, *laid);
        }
        if self.sectors.len() > MAX_SECTORS {
            return Err(Error::Unsupported("XFS log that changes more than 256 MiB".to_owned()));
        }
        Ok(())
    }

    /// The sectors over the bytes below.
    fn laid(self) -> Result<Bytes, Error> {
        let mut overlay = Overlay::new(self.bytes.clone());
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        for (sector, content) in self.sectors {
            let at = sector.saturating_mul(512);
            match runs.last_mut() {
                Some((start, run)) if start.saturating_add(int_u64(run.len())) == at => run.extend(content),
                _ => runs.push((at, content.to_vec())),
            }
        }
        for (at, run) in runs {
            overlay.patch(at, run).map_err(|error| Error::Damaged(format!("log: {error}")))?;
        }
        Ok(Arc::new(overlay))
    }
}

/// `struct xfs_buf_log_format`.
struct Buffer<'a> {
    flags: u16,
    sectors: u64,
    sector: u64,
    map: &'a [u8],
}

impl<'a> Buffer<'a> {
    fn new(item: &'a Item) -> Self {
        let format = item.format();
        let words = usize::try_from(le32(format, 16)).unwrap_or_default();
        let map = format.get(20..).unwrap_or_default();
        Self {
            flags: le16(format, 4),
            sectors: u64::from(le16(format, 6)),
            sector: le64(format, 8),
            map: part(map, 0, words.saturating_mul(4)).unwrap_or(map),
        }
    }

    fn place(&self) -> (u64, u64) {
        (self.sector, self.sectors)
    }

    fn bits(&self) -> usize {
        self.map.len().saturating_mul(8)
    }

    /// Little-endian words, so bits count on from byte to byte.
    fn bit(&self, bit: usize) -> bool {
        byte(self.map, bit / 8).wrapping_shr(u32::try_from(bit % 8).unwrap_or_default()) & 1 != 0
    }
}

/// Where metadata that is read here has its checksum; what is not read needs none.
fn checksum_of(content: &[u8]) -> Option<usize> {
    match content.first_chunk::<4>()? {
        b"XFSB" => Some(geometry::CHECKSUM),
        b"XAGF" => Some(216),
        b"BMA3" => Some(64),
        b"XDB3" | b"XDD3" => Some(4),
        b"XSLM" => Some(12),
        // Nodes and leaves of attributes.
        _ if matches!(be16(content, 8), 0x3ebe | 0x3bee) => Some(12),
        _ => None,
    }
}

/// Lays a core over an inode: `struct xfs_log_dinode`, every field in the machine's byte order. Where the chain of unlinked inodes goes on
/// is not part of it. Gives where the data fork begins.
fn lay_core(slot: &mut [u8], core: &[u8], checked: bool) -> Option<usize> {
    // Fields of 2, 4 and 8 bytes; single bytes, identities and padding stay as they are.
    const FIELDS: [(usize, usize); 23] = [
        (0, 2),
        (2, 2),
        (6, 2),
        (8, 4),
        (12, 4),
        (16, 4),
        (20, 2),
        (22, 2),
        (56, 8),
        (64, 8),
        (72, 4),
        (76, 4),
        (80, 2),
        (84, 4),
        (88, 2),
        (90, 2),
        (92, 4),
        (104, 8),
        (112, 8),
        (120, 8),
        (128, 4),
        (152, 8),
        (30, 2),
    ];
    let version = byte(core, 4);
    let (len, start) = match (checked, version) {
        (false, 1 | 2) => (96, inode::CORE_2),
        (true, 3) => (inode::CORE_3, inode::CORE_3),
        _ => return None,
    };
    let mut disk = part(core, 0, len)?.to_vec();
    let swap = |disk: &mut [u8], at: usize, len: usize| {
        if let Some(field) = at.checked_add(len).and_then(|end| disk.get_mut(at..end)) {
            field.reverse();
        }
    };
    for (at, len) in FIELDS {
        swap(&mut disk, at, len);
    }
    let more = if version == 3 { be64(&disk, 120) } else { 0 };
    if more & inode::LARGE_COUNTS != 0 {
        // The count of extents, which else are padding and the number of flushes.
        put(&mut disk, 24, &le64(core, 24).to_be_bytes());
    }
    for at in [32, 40, 48, 144] {
        if more & inode::BIG_TIME != 0 {
            swap(&mut disk, at, 8);
        } else {
            swap(&mut disk, at, 4);
            swap(&mut disk, at.checked_add(4)?, 4);
        }
    }
    if !disk.starts_with(b"IN") {
        return None;
    }
    put(slot, 0, part(&disk, 0, 96)?);
    put(slot, 100, disk.get(100..).unwrap_or_default());
    Some(start)
}

/// Lays the root of a tree of extents, as it is in memory, into a fork: keys and pointers stand closer there.
fn lay_root(fork: &mut [u8], root: &[u8], checked: bool) -> Option<()> {
    let header = if checked { 72 } else { 24 };
    let (level, count) = (be16(root, 4), usize::from(be16(root, 6)));
    let (in_memory, in_fork) = (root.len().checked_sub(header)? / 16, fork.len().checked_sub(4)? / 16);
    if level == 0 || count == 0 || count > in_memory || count > in_fork {
        return None;
    }
    let len = count.checked_mul(8)?;
    let keys = part(root, header, len)?;
    let pointers = part(root, header.checked_add(in_memory.checked_mul(8)?)?, len)?;
    put(fork, 0, part(root, 4, 4)?);
    put(fork, 4, keys);
    put(fork, in_fork.checked_mul(8)?.checked_add(4)?, pointers);
    Some(())
}

fn damaged(sector: u64, what: &str) -> Error {
    Error::Damaged(format!("log, for sector {sector}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core as a machine has it: every field a number of its own.
    fn core(version: u8) -> Vec<u8> {
        let mut core: Vec<u8> = (0..176_u8).collect();
        put(&mut core, 0, &0x494e_u16.to_le_bytes());
        put(&mut core, 2, &0o100_644_u16.to_le_bytes());
        core[4] = version;
        put(&mut core, 16, &3_u32.to_le_bytes());
        put(&mut core, 32, &11_u32.to_le_bytes());
        put(&mut core, 40, &12_u32.to_le_bytes());
        put(&mut core, 56, &0x0102_0304_0506_u64.to_le_bytes());
        put(&mut core, 76, &5_u32.to_le_bytes());
        put(&mut core, 80, &6_u16.to_le_bytes());
        put(&mut core, 120, &0_u64.to_le_bytes());
        put(&mut core, 152, &131_u64.to_le_bytes());
        core
    }

    #[test]
    fn a_core_is_laid_in_the_order_of_the_disk() {
        for (version, checked, start, len) in [(2, false, 100, 256), (3, true, 176, 512)] {
            let mut slot = vec![0xee; len];
            assert_eq!(lay_core(&mut slot, &core(version), checked), Some(start));
            assert_eq!((be16(&slot, 2), be32(&slot, 16), be64(&slot, 56)), (0o100_644, 3, 0x0102_0304_0506), "version {version}");
            assert_eq!((be32(&slot, 32), be32(&slot, 40), be32(&slot, 76), be16(&slot, 80)), (11, 12, 5, 6));
            assert_eq!(be32(&slot, 96), 0xeeee_eeee, "the chain of unlinked inodes stays");
            assert_eq!(slot[start..], vec![0xee; len - start]);
            if checked {
                assert_eq!((be64(&slot, 152), be64(&slot, 120)), (131, 0));
            } else {
                assert_eq!(slot[100..104], [0xee; 4], "version 2 ends here");
            }
        }
        assert_eq!(lay_core(&mut [0; 512], &core(2), true), None);
        assert_eq!(lay_core(&mut [0; 512], &core(3)[..175], true), None);
        let mut large = core(3);
        put(&mut large, 120, &(inode::BIG_TIME | inode::LARGE_COUNTS).to_le_bytes());
        put(&mut large, 24, &9_u64.to_le_bytes());
        put(&mut large, 40, &77_u64.to_le_bytes());
        let mut slot = [0; 512];
        lay_core(&mut slot, &large, true).unwrap();
        assert_eq!((be64(&slot, 24), be64(&slot, 40)), (9, 77));
    }

    #[test]
    fn a_root_moves_closer_together() {
        let mut root = vec![0; 72 + 5 * 16];
        put(&mut root, 4, &[0, 1, 0, 2]);
        put(&mut root, 72, &[1; 16]);
        put(&mut root, 72 + 40, &[2; 16]);
        let mut fork = [0; 4 + 3 * 16];
        lay_root(&mut fork, &root, true).unwrap();
        assert_eq!(fork[..20], [[0, 1, 0, 2].as_slice(), &[1; 16]].concat());
        assert_eq!(fork[28..44], [2; 16]);
        assert_eq!(lay_root(&mut [0; 20], &root, true), None, "two do not fit");
        assert_eq!(lay_root(&mut fork, &root[..70], true), None);
    }

    #[test]
    fn bits_of_a_map_count_on_from_word_to_word() {
        let mut format = vec![0; 28];
        put(&mut format, 16, &2_u32.to_le_bytes());
        put(&mut format, 20, &0x8000_0001_u32.to_le_bytes());
        put(&mut format, 24, &2_u32.to_le_bytes());
        let mut item = Item::default();
        item.regions.push(format);
        let buffer = Buffer::new(&item);
        let set: Vec<usize> = (0..buffer.bits()).filter(|bit| buffer.bit(*bit)).collect();
        assert_eq!(set, [0, 31, 33]);
    }
}
