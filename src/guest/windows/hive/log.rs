//! Transaction logs: changes that Windows had written down and not yet brought into the hive.
//!
//! Since Windows 8.1 a log is a base block and entries (`HvLE`), each of which gives new content for pages of the hive; before that, a base
//! block, a bitmap of changed sectors (`DIRT`) and the sectors. Both are laid over the hive as Windows would when it loads it; nothing is
//! written.

use super::base::{BaseBlock, PAGE};
use super::fields::{u32_at, u64_at};
use super::marvin::Marvin32;
use super::{BASE_BLOCK, Recovery};
use crate::bytes::{Bytes, MIB, ReadAt, ReadError, SECTOR, check_bounds, int_u64, int_usize, read_array, read_vec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Logs larger than this are not looked at; real ones have a few MiB.
const MOST_LOG: u64 = 1024 * MIB;
/// Bytes before the page references of an entry.
const ENTRY: usize = 40;
/// A page reference and the smallest page.
const LEAST_PAGE: u64 = 8 + SECTOR;
/// Bytes that are hashed at once.
const PIECE: u64 = 64 * 1024;

/// A hive with its logs laid over it.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) bytes: Bytes,
    pub(super) base: BaseBlock,
    pub(super) dirty: bool,
    pub(super) recovery: Recovery,
}

/// Replays `logs` over a hive that needs it.
pub(super) fn recover(bytes: Bytes, base: BaseBlock, logs: &[Bytes]) -> Recovered {
    let dirty = base.is_dirty();
    let mut reasons = Vec::new();
    let mut read = Vec::new();
    for log in logs.iter().filter(|log| log.size() > 0) {
        match Log::read(log) {
            Ok(log) => read.push(log),
            Err(reason) => reasons.push(reason),
        }
    }
    if !dirty {
        let newest = read.iter().filter_map(Log::newest).filter(|newest| *newest > base.primary_sequence).max();
        let recovery = newest.map_or(Recovery::Clean, |newest| Recovery::Ignored { newest });
        return Recovered { bytes, base, dirty: newest.is_some(), recovery };
    }
    match replay(&bytes, &base, &read) {
        Ok((bytes, base, recovery)) => Recovered { bytes, base, dirty, recovery },
        Err(reason) => {
            reasons.push(reason);
            Recovered { bytes, base, dirty, recovery: Recovery::Failed(reasons.join("; ")) }
        }
    }
}

/// The hive as the logs make it.
fn replay(bytes: &Bytes, base: &BaseBlock, logs: &[Log]) -> Result<(Bytes, BaseBlock, Recovery), String> {
    if logs.is_empty() {
        return Err("there is no log that can be read".to_owned());
    }
    if logs.iter().any(|log| matches!(log.changes, Changes::Entries(_))) {
        return replay_entries(bytes, base, logs);
    }
    // A bitmap log says in its base block which writing of the hive it belongs to: by the time, which a damaged hive keeps in its first bin.
    let written = if base.checksum_fits { Some(base.written) } else { first_bin_written(bytes) };
    let fitting = logs.iter().find(|log| Some(log.base.written) == written && log.base.primary_sequence == log.base.secondary_sequence);
    let Some(Log { bytes: log, base: logged, changes: Changes::Sectors(sectors) }) = fitting else {
        return Err("no log belongs to the last writing of the hive".to_owned());
    };
    let mut laid = Laid::over(bytes);
    for (to, from, len) in sectors {
        laid.lay(*to, *len, log, *from);
    }
    let sequence = logged.primary_sequence;
    Ok((
        laid.finish(logged.bins_size),
        logged.as_hive(sequence, logged.bins_size),
        Recovery::Replayed { entries: 1, sequence, left_out: 0 },
    ))
}

/// As [`replay`], for logs of entries: those from the hive's second sequence number on, as long as each continues the one before.
fn replay_entries(bytes: &Bytes, base: &BaseBlock, logs: &[Log]) -> Result<(Bytes, BaseBlock, Recovery), String> {
    let from = if base.checksum_fits { base.secondary_sequence } else { 0 };
    let mut runs = Vec::new();
    for log in logs {
        if let Changes::Entries(entries) = &log.changes {
            let newer: Vec<&Entry> = entries.iter().filter(|entry| entry.sequence >= from).collect();
            if let Some(first) = newer.first() {
                runs.push((first.sequence, log, newer));
            }
        }
    }
    runs.sort_by_key(|(first, ..)| *first);
    let mut laid = Laid::over(bytes);
    let mut last: Option<&Entry> = None;
    let (mut entries, mut left_out) = (0_u32, 0_u32);
    let mut start = base;
    for (_, log, run) in runs {
        for entry in run {
            if left_out > 0 || last.is_some_and(|last| last.sequence.checked_add(1) != Some(entry.sequence)) {
                left_out = left_out.saturating_add(1);
                continue;
            }
            if last.is_none() && !base.checksum_fits {
                start = &log.base;
            }
            for (to, from, len) in entry.pages(&log.bytes).map_err(|error| format!("a log cannot be read: {error}"))? {
                laid.lay(to, len, &log.bytes, from);
            }
            entries = entries.saturating_add(1);
            last = Some(entry);
        }
    }
    let last = last.ok_or_else(|| "the logs hold no newer entries".to_owned())?;
    let recovery = Recovery::Replayed { entries, sequence: last.sequence, left_out };
    Ok((laid.finish(last.bins_size), start.as_hive(last.sequence, last.bins_size), recovery))
}

/// The time in the first bin, which repeats the base block's.
fn first_bin_written(bytes: &Bytes) -> Option<u64> {
    let header: [u8; 32] = read_array(bytes, BASE_BLOCK).ok()?;
    if header.starts_with(b"hbin") { u64_at(&header, 20) } else { None }
}

/// One log.
#[derive(Debug)]
struct Log {
    bytes: Bytes,
    base: BaseBlock,
    changes: Changes,
}

#[derive(Debug)]
enum Changes {
    /// Whole and in sequence.
    Entries(Vec<Entry>),
    /// Offset in the bins, offset in the log, length.
    Sectors(Vec<(u32, u64, u64)>),
}

/// An entry whose hashes are right.
#[derive(Debug)]
struct Entry {
    at: u64,
    sequence: u32,
    /// Bytes of bins after it.
    bins_size: u32,
    pages: u32,
    size: u32,
}

impl Log {
    /// Reads a log; the reason when it is of no use.
    fn read(bytes: &Bytes) -> Result<Self, String> {
        if bytes.size() > MOST_LOG {
            return Err(format!("a log has {} bytes, which is more than is read", bytes.size()));
        }
        let fail = |error: &dyn std::fmt::Display| format!("a log cannot be read: {error}");
        let base = BaseBlock::read(bytes).map_err(|error| fail(&error))?;
        if !base.checksum_fits {
            return Err("a log's base block has a wrong checksum".to_owned());
        }
        // The base block takes one sector of the disk that the log was made for.
        let head: [u8; 48] = read_array(bytes, 0).map_err(|error| fail(&error))?;
        let sector = u64::from(u32_at(&head, 44).unwrap_or(1).clamp(1, 8)).saturating_mul(SECTOR);
        let changes = match base.file_type {
            6 => {
                let start = if signature(bytes, sector) == Some(*b"HvLE") { sector } else { SECTOR };
                Changes::Entries(Self::entries(bytes, start, base.primary_sequence).map_err(|error| fail(&error))?)
            }
            1 | 2 => {
                let start = if signature(bytes, sector) == Some(*b"DIRT") { sector } else { SECTOR };
                Changes::Sectors(Self::sectors(bytes, start, sector, base.bins_size)?)
            }
            other => return Err(format!("a log's base block says file type {other}, which is no log's")),
        };
        Ok(Self { bytes: bytes.clone(), base, changes })
    }

    /// Entries from the log's own sequence number on, up to the first that does not continue the one before or is not whole.
    fn entries(bytes: &Bytes, start: u64, first: u32) -> Result<Vec<Entry>, ReadError> {
        let mut found = Vec::new();
        let (mut at, mut expected) = (start, Some(first));
        while let Some(entry) = Entry::read(bytes, at)?.filter(|entry| Some(entry.sequence) == expected) {
            at = at.saturating_add(u64::from(entry.size));
            expected = entry.sequence.checked_add(1);
            found.push(entry);
        }
        Ok(found)
    }

    /// Sectors that the bitmap names, which follow it in order.
    fn sectors(bytes: &Bytes, start: u64, sector: u64, bins_size: u32) -> Result<Vec<(u32, u64, u64)>, String> {
        let bits = u64::from(bins_size).div_ceil(SECTOR);
        let len = bits.div_ceil(8).saturating_add(4);
        let bitmap = read_vec(bytes, start, int_usize(len)).map_err(|error| format!("a log cannot be read: {error}"))?;
        let bitmap = bitmap.strip_prefix(b"DIRT").ok_or_else(|| "a log has no bitmap of changed sectors".to_owned())?;
        let mut from = start.saturating_add(len.div_ceil(sector).saturating_mul(sector));
        let mut to = 0_u32;
        let mut found: Vec<(u32, u64, u64)> = Vec::new();
        for bit in bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte.checked_shr(bit).unwrap_or_default() & 1)).take(int_usize(bits))
        {
            if bit == 1 {
                match found.last_mut() {
                    Some((start, _, len)) if u64::from(*start).saturating_add(*len) == u64::from(to) => *len = len.saturating_add(SECTOR),
                    _ => found.push((to, from, SECTOR)),
                }
                from = from.saturating_add(SECTOR);
                if from > bytes.size() {
                    return Err("a log is cut short".to_owned());
                }
            }
            to = to.saturating_add(512);
        }
        Ok(found)
    }

    /// The sequence number of the last entry.
    fn newest(&self) -> Option<u32> {
        match &self.changes {
            Changes::Entries(entries) => entries.last().map(|entry| entry.sequence),
            Changes::Sectors(_) => None,
        }
    }
}

/// The first four bytes at `at`.
fn signature(bytes: &Bytes, at: u64) -> Option<[u8; 4]> {
    read_array(bytes, at).ok()
}

impl Entry {
    /// The entry at `at`; `None` when there is no whole one.
    fn read(bytes: &Bytes, at: u64) -> Result<Option<Self>, ReadError> {
        let left = bytes.size().saturating_sub(at);
        if left < int_u64(ENTRY) {
            return Ok(None);
        }
        let head: [u8; ENTRY] = read_array(bytes, at)?;
        let fields = || {
            let entry = Self {
                at,
                size: u32_at(&head, 4)?,
                sequence: u32_at(&head, 12)?,
                bins_size: u32_at(&head, 16)?,
                pages: u32_at(&head, 20)?,
            };
            Some((entry, u64_at(&head, 24)?, u64_at(&head, 32)?))
        };
        let Some((entry, body_hash, head_hash)) = fields().filter(|_| head.starts_with(b"HvLE")) else { return Ok(None) };
        let least = u64::from(entry.pages).saturating_mul(LEAST_PAGE).saturating_add(int_u64(ENTRY));
        let size = u64::from(entry.size);
        let sane = size <= left
            && size >= least
            && size.is_multiple_of(SECTOR)
            && entry.bins_size.is_multiple_of(PAGE)
            && entry.bins_size > 0
            && head.first_chunk::<32>().is_some_and(|covered| Marvin32::new().finish(covered) == head_hash);
        if !sane || body_sum(bytes, at.saturating_add(int_u64(ENTRY)), at.saturating_add(size))? != body_hash {
            return Ok(None);
        }
        // Pages that are no sectors, or pass the entry or the bins, make it a bad one whatever its hashes.
        let fits = match entry.pages(bytes) {
            Ok(pages) => pages.iter().all(|(to, from, len)| {
                *len > 0
                    && len.is_multiple_of(SECTOR)
                    && from.saturating_add(*len) <= at.saturating_add(size)
                    && u64::from(*to).saturating_add(*len) <= u64::from(entry.bins_size)
            }),
            Err(error) => return Err(error),
        };
        Ok(fits.then_some(entry))
    }

    /// Pages: offset in the bins, offset in the log, length.
    fn pages(&self, bytes: &Bytes) -> Result<Vec<(u32, u64, u64)>, ReadError> {
        let len = u64::from(self.pages).saturating_mul(8);
        let start = self.at.saturating_add(int_u64(ENTRY));
        let references = read_vec(bytes, start, int_usize(len))?;
        let mut from = start.saturating_add(len);
        let mut pages = Vec::new();
        for reference in references.as_chunks::<8>().0 {
            let (to, len) = (u32_at(reference, 0).unwrap_or_default(), u64::from(u32_at(reference, 4).unwrap_or_default()));
            pages.push((to, from, len));
            from = from.saturating_add(len);
        }
        Ok(pages)
    }
}

/// The sum over `at..end`, a piece at a time.
fn body_sum(bytes: &Bytes, mut at: u64, end: u64) -> Result<u64, ReadError> {
    let mut sum = Marvin32::new();
    loop {
        let left = end.saturating_sub(at);
        let piece = read_vec(bytes, at, int_usize(left.min(PIECE)))?;
        if left <= PIECE {
            return Ok(sum.finish(&piece));
        }
        sum.words(&piece);
        at = at.saturating_add(PIECE);
    }
}

/// A hive with runs of its logs over it, which stay where they are. Later runs hide earlier ones.
#[derive(Debug)]
struct Laid {
    base: Bytes,
    size: u64,
    /// By first byte in the hive: length, log and offset there. They do not overlap.
    runs: BTreeMap<u64, (u64, Bytes, u64)>,
}

impl Laid {
    fn over(base: &Bytes) -> Self {
        Self { base: base.clone(), size: base.size(), runs: BTreeMap::new() }
    }

    /// Lays `len` bytes of `log`, from `from` on, over the bins from `to` on.
    fn lay(&mut self, to: u32, len: u64, log: &Bytes, from: u64) {
        if len == 0 {
            return;
        }
        let start = BASE_BLOCK.saturating_add(u64::from(to));
        let end = start.saturating_add(len);
        // What is hidden in part keeps what sticks out at either side.
        while let Some((&first, &(old_len, _, old_from))) = self.runs.range(..end).next_back() {
            let last = first.saturating_add(old_len);
            if last <= start {
                break;
            }
            let Some((_, old_log, _)) = self.runs.remove(&first) else { break };
            if last > end {
                let skipped = end.saturating_sub(first);
                self.runs.insert(end, (last.saturating_sub(end), old_log.clone(), old_from.saturating_add(skipped)));
            }
            if first < start {
                self.runs.insert(first, (start.saturating_sub(first), old_log, old_from));
            }
        }
        self.runs.insert(start, (len, log.clone(), from));
    }

    /// These bytes, with room for `bins_size` bytes of bins.
    fn finish(mut self, bins_size: u32) -> Bytes {
        self.size = self.size.max(BASE_BLOCK.saturating_add(u64::from(bins_size)));
        Arc::new(self)
    }
}

impl ReadAt for Laid {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let over = self.runs.range(..=at).next_back().filter(|(first, run)| first.saturating_add(run.0) > at);
            let (source, from, until) = match over {
                Some((first, (len, log, from))) => (log, from.saturating_add(at.saturating_sub(*first)), first.saturating_add(*len)),
                None => (&self.base, at, self.runs.range(at..).next().map_or(self.size, |(first, _)| *first)),
            };
            let Some((now, later)) = rest.split_at_mut_checked(int_usize(until.saturating_sub(at)).min(rest.len())) else { break };
            let there = int_usize(source.size().saturating_sub(from)).min(now.len());
            let (read, grown) = now.split_at_mut_checked(there).unwrap_or_default();
            if !read.is_empty() {
                source.read_at(from, read)?;
            }
            grown.fill(0);
            at = at.saturating_add(int_u64(now.len()));
            rest = later;
        }
        Ok(())
    }
}

impl BaseBlock {
    /// The base block of the hive that a replay makes.
    fn as_hive(&self, sequence: u32, bins_size: u32) -> Self {
        Self { primary_sequence: sequence, secondary_sequence: sequence, file_type: 0, bins_size, checksum_fits: true, ..*self }
    }
}
