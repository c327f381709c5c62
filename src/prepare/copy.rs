//! Copying bytes into a file, and digesting them on the way.
//!
//! Cost follows what is there: holes that the source knows are neither read nor written, and blocks that turn out to be zero after
//! reading are not written either, so that they stay holes of the output. A few threads each take the next chunk, read it, find its
//! zeros, write the rest and hash it, all from one buffer while it is warm. The calling thread collects what they found, and where the
//! whole file is hashed, which can only be done from the front, it does that too; the number of buffers on their way bounds how far
//! the others run ahead of it.

use super::fsverity::{self, BLOCK, Digest, GROUP, Tree};
use super::output::Output;
use super::share::{Share, default_threads};
use crate::bytes::{Bytes, ReadAt, ReadError, int_u64, int_usize, is_zero};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes that a thread takes at a time: small enough to stay in a processor's own cache from the read to the write, and whole groups
/// of the fs-verity tree.
const CHUNK: usize = 2 * GROUP;

/// Buffers on their way to the hash of the whole file, beside those that threads are working on.
const AHEAD: usize = 4;

/// Threads that the caller may ask for, at most; with it all buffers together take 20 MiB.
const MOST_THREADS: usize = 16;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// What to do beside copying.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions<'a> {
    /// Threads that read, write and hash groups, 16 at most; by default one for each processor, up to four.
    pub threads: Option<NonZero<usize>>,
    /// Compute the fs-verity digest.
    pub fsverity: bool,
    /// Compute the SHA-256 of the whole file. Takes as long as hashing takes for its full length, holes included.
    pub sha256: bool,
    /// What other copies at the same time work with too; by default the threads are its own.
    pub share: Option<&'a Share>,
    /// Let the output share extents with the source's file, where the file system can.
    pub reflink: bool,
}

/// Hears how far a copy has come.
///
/// Called from the thread that called [`copy()`] or [`digest()`], about once for each MiB of data; all calls together add up to the size.
pub trait Progress: Sync {
    /// So many bytes more are done: `data` bytes that hold something, `skipped` bytes that are empty.
    fn advance(&self, data: u64, skipped: u64);
}

/// Nobody listens.
impl Progress for () {
    fn advance(&self, _data: u64, _skipped: u64) {}
}

/// What was copied.
///
/// `data_bytes`, `zero_bytes_read` and `hole_bytes` add up to `size`; they count blocks of 4 KiB, the last one as long as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Length of the source, and of the output.
    pub size: u64,
    /// Bytes in blocks that hold something, all of which were written.
    pub data_bytes: u64,
    /// Bytes that were read, found to be zero, and left out.
    pub zero_bytes_read: u64,
    /// Bytes that the source knew to be zero, and that were not read.
    pub hole_bytes: u64,
    /// Bytes of `data_bytes` that were not written, because the output refers to where they stand in the source's file.
    pub shared_bytes: u64,
    /// The fs-verity digest, where asked for.
    pub fsverity: Option<Digest>,
    /// The SHA-256 of the whole file, where asked for.
    pub sha256: Option<Digest>,
}

/// Why a copy ended early. What was written until then is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output could not be written; `cause` says `StorageFull` where there is no room for it.
    #[error("cannot write at byte {offset}: {cause}")]
    Write {
        /// The first byte that was not written.
        offset: u64,
        /// The host's own words.
        cause: io::Error,
    },
    /// The output could not be given its length.
    #[error("cannot make the output {size} bytes long: {cause}")]
    Length {
        /// The length.
        size: u64,
        /// The host's own words.
        cause: io::Error,
    },
    /// The host gave no thread to copy with.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Someone asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Copies all of `source` into `out`, which must be an empty regular file, and leaves holes where there are zeros.
///
/// Nothing is flushed to the device. `cancel` is looked at for each MiB of data.
///
/// # Errors
///
/// The first failure that any thread met; by the time this returns, all have stopped. The output is then half written.
pub fn copy(
    source: &Bytes,
    out: &File,
    options: &CopyOptions<'_>,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Result<Copied, CopyError> {
    let size = source.size();
    let length = |cause| CopyError::Length { size, cause };
    // What an old file holds would shine through the holes of the new one.
    if out.metadata().map_err(length)?.len() != 0 {
        return Err(length(io::Error::new(io::ErrorKind::AlreadyExists, "the output is not empty")));
    }
    let out = Output::new(out, size, options.reflink).map_err(length)?;
    run(source.as_ref(), Some(&out), options, progress, cancel)
}

/// Reads all of `source` and computes the digests that `options` ask for; the counts say what [`copy()`] would have written.
///
/// # Errors
///
/// As [`copy()`], writing aside.
pub fn digest(source: &Bytes, options: &CopyOptions<'_>, progress: &dyn Progress, cancel: &AtomicBool) -> Result<Copied, CopyError> {
    run(source.as_ref(), None, options, progress, cancel)
}

fn run(
    source: &dyn ReadAt,
    out: Option<&Output<'_>>,
    options: &CopyOptions<'_>,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Result<Copied, CopyError> {
    let threads = options.threads.map_or_else(default_threads, NonZero::get).min(MOST_THREADS);
    let (free, buffers) = channel();
    let (found, pieces) = channel();
    let crew = Crew { source, out, options, cancel, walk: Mutex::new(Walk::new(source)), buffers: Mutex::new(buffers) };
    let mut tally = Tally::new(source.size(), options, progress, cancel);

    thread::scope(|scope| {
        // Both ends that the collector holds are dropped when it leaves, early or not, and that stops whoever waits on the other.
        let (free, pieces) = (free, pieces);
        for number in 0..threads {
            let (crew, found) = (&crew, found.clone());
            match thread::Builder::new().name(format!("copy-{number}")).spawn_scoped(scope, move || crew.work(&found)) {
                Ok(_) => {}
                Err(error) if number == 0 => return Err(CopyError::Thread(error)),
                // Fewer will do.
                Err(_) => break,
            }
        }
        drop(found);
        if options.sha256 {
            for _ in 0..threads.saturating_add(AHEAD) {
                // Fails when all have stopped already, which the loop below then sees.
                free.send(Vec::new()).ok();
            }
        }
        for piece in pieces {
            tally.take(piece?, &free)?;
        }
        Ok(())
    })?;
    Ok(tally.finish())
}

/// The next piece of work: a hole, and the chunk behind it.
#[derive(Debug)]
struct Job {
    /// Place in the order of the file.
    number: u64,
    /// First byte of the hole.
    hole: u64,
    /// First byte of the chunk.
    start: u64,
    /// Bytes in the chunk; 0 when only the hole was left.
    len: usize,
    /// Where the chunk may hold something, relative to its start: whole blocks, ascending, apart.
    extents: Vec<Range<usize>>,
}

/// Goes over the source from its start, from one range of data to the next.
#[derive(Debug)]
struct Walk<'a> {
    source: &'a dyn ReadAt,
    size: u64,
    number: u64,
    at: u64,
    /// The range that was found last; it may reach far past the chunk in which it was found.
    found: Option<Range<u64>>,
}

impl<'a> Walk<'a> {
    fn new(source: &'a dyn ReadAt) -> Self {
        Self { source, size: source.size(), number: 0, at: 0, found: Some(0..0) }
    }

    /// The next whole blocks at or after `from` that may hold something.
    fn blocks(&mut self, from: u64) -> Option<Range<u64>> {
        if self.found.as_ref()?.end <= from {
            // A range that breaks the trait's promise is answered with all that is left: slower, never wrong, and it ends.
            let whole = from..self.size;
            self.found = self.source.data(from).map(|r| if r.start >= from && r.start < r.end { r } else { whole });
        }
        let found = self.found.as_ref()?;
        let start = floor(found.start, BLOCK).max(from);
        let end = floor(found.end.saturating_add(int_u64(BLOCK - 1)), BLOCK).min(self.size);
        (start < end).then_some(start..end)
    }
}

impl Iterator for Walk<'_> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        if self.at >= self.size {
            return None;
        }
        let (number, hole) = (self.number, self.at);
        self.number = number.saturating_add(1);
        let Some(mut found) = self.blocks(hole) else {
            self.at = self.size;
            return Some(Job { number, hole, start: self.size, len: 0, extents: Vec::new() });
        };
        let start = floor(found.start, CHUNK);
        let end = start.saturating_add(int_u64(CHUNK)).min(self.size);
        self.at = end;
        let mut extents: Vec<Range<usize>> = Vec::new();
        loop {
            let from = int_usize(found.start.saturating_sub(start));
            let to = int_usize(found.end.min(end).saturating_sub(start));
            match extents.last_mut() {
                // Two ranges that share a block, or meet.
                Some(last) if last.end == from => last.end = to,
                _ => extents.push(from..to),
            }
            if found.end >= end {
                break;
            }
            match self.blocks(found.end) {
                Some(next) if next.start < end => found = next,
                _ => break,
            }
        }
        Some(Job { number, hole, start, len: int_usize(end.saturating_sub(start)), extents })
    }
}

/// The largest multiple of `step`, a power of two, that is not above `value`.
fn floor(value: u64, step: usize) -> u64 {
    value & !int_u64(step).saturating_sub(1)
}

/// A chunk that was read, written, and hashed for fs-verity.
#[derive(Debug)]
struct Piece {
    job: Job,
    /// For each block whether it holds something.
    full: Vec<bool>,
    /// The digest of each group, `None` for zeros; empty unless asked for.
    groups: Vec<Option<Digest>>,
    /// Bytes that were shared instead of written.
    shared: u64,
    /// The bytes, where the hash of the whole file needs them. Only full blocks are as in the source.
    buffer: Vec<u8>,
}

impl Piece {
    /// Stretches of full blocks and of empty ones in turn.
    fn stretches(&self) -> impl Iterator<Item = (bool, Range<usize>)> {
        let mut at = 0_usize;
        self.full.chunk_by(PartialEq::eq).map(move |blocks| {
            let start = at;
            at = start.saturating_add(blocks.len().saturating_mul(BLOCK)).min(self.job.len);
            (blocks.first().copied().unwrap_or_default(), start..at)
        })
    }

    fn data_bytes(&self) -> usize {
        self.stretches().filter(|(full, _)| *full).map(|(_, range)| range.len()).sum()
    }
}

/// What all threads share.
struct Crew<'a> {
    source: &'a dyn ReadAt,
    out: Option<&'a Output<'a>>,
    options: &'a CopyOptions<'a>,
    cancel: &'a AtomicBool,
    walk: Mutex<Walk<'a>>,
    /// Buffers that the hash of the whole file is done with.
    buffers: Mutex<Receiver<Vec<u8>>>,
}

impl Crew<'_> {
    /// Takes chunks until there are none, or nobody wants them any more.
    fn work(&self, found: &Sender<Result<Piece, CopyError>>) {
        let _last_word = LastWord(found);
        let mut own = Vec::new();
        loop {
            // First a buffer, then a chunk: so the first chunk in the file that is not done always has one, and all wait for it alone.
            let mut buffer = if self.options.sha256 {
                let Ok(buffer) = locked(&self.buffers).recv() else { return };
                buffer
            } else {
                std::mem::take(&mut own)
            };
            let Some(job) = locked(&self.walk).next() else { return };
            let mut piece = self.process(job, &mut buffer);
            match &mut piece {
                Ok(piece) if self.options.sha256 => piece.buffer = buffer,
                _ => own = buffer,
            }
            let failed = piece.is_err();
            if found.send(piece).is_err() || failed {
                return;
            }
        }
    }

    fn process(&self, job: Job, buffer: &mut Vec<u8>) -> Result<Piece, CopyError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(CopyError::Cancelled);
        }
        let _turn = self.options.share.map(Share::turn);
        let mut full = vec![false; job.len.div_ceil(BLOCK)];
        if job.len > 0 {
            buffer.resize(CHUNK, 0);
        }
        for extent in &job.extents {
            let part = buffer.get_mut(extent.clone()).unwrap_or_default();
            self.source.read_at(job.start.saturating_add(int_u64(extent.start)), part)?;
            for (block, full) in part.chunks(BLOCK).zip(full.iter_mut().skip(extent.start / BLOCK)) {
                *full = !is_zero(block);
            }
        }
        let mut piece = Piece { job, full, groups: Vec::new(), shared: 0, buffer: Vec::new() };
        if let Some(out) = self.out {
            let mut shared = 0_u64;
            for (_, range) in piece.stretches().filter(|(full, _)| *full) {
                let offset = piece.job.start.saturating_add(int_u64(range.start));
                shared = shared.saturating_add(out.put(self.source, offset, buffer.get(range).unwrap_or_default())?);
            }
            piece.shared = shared;
        }
        if self.options.fsverity {
            let size = self.source.size();
            let bytes = buffer.get(..piece.job.len).unwrap_or_default();
            piece.groups = bytes
                .chunks(GROUP)
                .zip(piece.full.chunks(GROUP / BLOCK))
                .map(|(group, full)| {
                    let blocks = group.chunks(BLOCK).zip(full).map(|(block, full)| full.then_some(block));
                    full.contains(&true).then(|| fsverity::group_digest(size, blocks))
                })
                .collect();
        }
        Ok(piece)
    }
}

/// Stops the collector when a thread dies of a panic: the piece that it was to deliver would be waited for in vain.
struct LastWord<'a>(&'a Sender<Result<Piece, CopyError>>);

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // The panic itself is passed on when the threads are joined, so this error is never seen.
            self.0.send(Err(CopyError::Cancelled)).ok();
        }
    }
}

/// What has come so far.
struct Tally<'a> {
    progress: &'a dyn Progress,
    cancel: &'a AtomicBool,
    copied: Copied,
    tree: Option<Tree>,
    hash: Option<Sha256>,
    /// The piece that is to be hashed next.
    next: u64,
    /// Pieces that came before their turn; as many as there are buffers, at most.
    early: BTreeMap<u64, Piece>,
}

impl<'a> Tally<'a> {
    fn new(size: u64, options: &CopyOptions<'_>, progress: &'a dyn Progress, cancel: &'a AtomicBool) -> Self {
        Self {
            progress,
            cancel,
            copied: Copied { size, data_bytes: 0, zero_bytes_read: 0, hole_bytes: 0, shared_bytes: 0, fsverity: None, sha256: None },
            tree: options.fsverity.then(|| Tree::new(size)),
            hash: options.sha256.then(Sha256::new),
            next: 0,
            early: BTreeMap::new(),
        }
    }

    fn take(&mut self, piece: Piece, free: &Sender<Vec<u8>>) -> Result<(), CopyError> {
        self.count(&piece);
        if self.hash.is_none() {
            let data = int_u64(piece.data_bytes());
            let end = piece.job.start.saturating_add(int_u64(piece.job.len));
            self.progress.advance(data, end.saturating_sub(piece.job.hole).saturating_sub(data));
            return Ok(());
        }
        self.early.insert(piece.job.number, piece);
        while let Some(piece) = self.early.remove(&self.next) {
            self.next = self.next.saturating_add(1);
            self.hash(&piece)?;
            // Nobody takes it when all threads are done.
            free.send(piece.buffer).ok();
        }
        Ok(())
    }

    fn count(&mut self, piece: &Piece) {
        let Job { hole, start, len, ref extents, .. } = piece.job;
        let data = int_u64(piece.data_bytes());
        let read: u64 = extents.iter().map(|extent| int_u64(extent.len())).sum();
        let span = start.saturating_add(int_u64(len)).saturating_sub(hole);
        let copied = &mut self.copied;
        copied.data_bytes = copied.data_bytes.saturating_add(data);
        copied.shared_bytes = copied.shared_bytes.saturating_add(piece.shared);
        copied.zero_bytes_read = copied.zero_bytes_read.saturating_add(read.saturating_sub(data));
        copied.hole_bytes = copied.hole_bytes.saturating_add(span.saturating_sub(read));

        let Some(tree) = &mut self.tree else { return };
        // Chunks and holes between them start at whole groups and end there, or at the end of the file.
        let group = |offset: u64| offset.div_ceil(int_u64(GROUP));
        tree.put_zeros(group(hole)..group(start));
        for (index, digest) in (group(start)..).zip(&piece.groups) {
            match digest {
                Some(digest) => tree.put(index, *digest),
                None => tree.put_zeros(index..index.saturating_add(1)),
            }
        }
    }

    fn hash(&mut self, piece: &Piece) -> Result<(), CopyError> {
        self.hash_zeros(piece.job.start.saturating_sub(piece.job.hole))?;
        for (full, range) in piece.stretches() {
            let len = int_u64(range.len());
            if full {
                if let Some(hash) = &mut self.hash {
                    hash.update(piece.buffer.get(range).unwrap_or_default());
                }
                self.progress.advance(len, 0);
            } else {
                self.hash_zeros(len)?;
            }
        }
        Ok(())
    }

    fn hash_zeros(&mut self, mut count: u64) -> Result<(), CopyError> {
        while count > 0 {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(CopyError::Cancelled);
            }
            let part = count.min(int_u64(CHUNK));
            let mut left = int_usize(part);
            while let Some(zeros) = ZEROS.get(..left.min(ZEROS.len())).filter(|zeros| !zeros.is_empty()) {
                if let Some(hash) = &mut self.hash {
                    hash.update(zeros);
                }
                left = left.saturating_sub(zeros.len());
            }
            self.progress.advance(0, part);
            count = count.saturating_sub(part);
        }
        Ok(())
    }

    fn finish(mut self) -> Copied {
        self.copied.fsverity = self.tree.take().and_then(Tree::finish);
        self.copied.sha256 = self.hash.take().map(|hash| Digest(hash.finalize().into()));
        self.copied
    }
}

/// Nothing that these locks guard is left half done by a panic, which ends the copy anyway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "what was not tested is said aloud")]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
mod tests {
    use super::super::fsverity::tests::naive;
    use super::*;
    use crate::bytes::host::Access;
    use crate::bytes::{HostFile, MIB, Memory, TIB, Zeros, check_bounds};
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize};

    const BOTH: CopyOptions<'_> = CopyOptions { threads: None, fsverity: true, sha256: true, share: None, reflink: false };
    static GO_ON: AtomicBool = AtomicBool::new(false);

    /// Bytes with holes, which fail at the read that they are told to fail at.
    #[derive(Debug, Default)]
    struct Sparse {
        bytes: Vec<u8>,
        /// Where there is data, ascending and apart.
        extents: Vec<Range<u64>>,
        reads: AtomicUsize,
        fail: Option<usize>,
        panic: bool,
    }

    impl Sparse {
        /// `size` zeros with a pattern in `filled`; holes are known outside of `extents`.
        fn new(size: u64, extents: &[Range<u64>], filled: &[Range<u64>]) -> Self {
            let mut bytes = vec![0; size as usize];
            for range in filled {
                for at in range.clone() {
                    bytes[at as usize] = (at % 251 + 1) as u8;
                }
            }
            Self { bytes, extents: extents.to_vec(), ..Self::default() }
        }
    }

    impl ReadAt for Sparse {
        fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            check_bounds(offset, buf.len(), self.size())?;
            if self.fail == Some(self.reads.fetch_add(1, Ordering::Relaxed)) {
                assert!(!self.panic, "told to");
                return Err(ReadError::host(offset, buf.len(), io::Error::other("told to fail")));
            }
            buf.copy_from_slice(&self.bytes[offset as usize..][..buf.len()]);
            Ok(())
        }

        fn data(&self, from: u64) -> Option<Range<u64>> {
            self.extents.iter().find(|e| e.end > from).map(|e| e.start.max(from)..e.end)
        }
    }

    #[derive(Default)]
    struct Counter {
        data: AtomicU64,
        skipped: AtomicU64,
    }

    impl Progress for Counter {
        fn advance(&self, data: u64, skipped: u64) {
            self.data.fetch_add(data, Ordering::Relaxed);
            self.skipped.fetch_add(skipped, Ordering::Relaxed);
        }
    }

    fn content(mut file: &File) -> Vec<u8> {
        use std::io::Seek;
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Copies in every manner, and holds each against the plain bytes.
    fn check(source: Sparse) -> Copied {
        let bytes = source.bytes.clone();
        let source: Bytes = Arc::new(source);
        let mut last = None;
        for threads in [1, 2, 7] {
            for (fsverity, sha256) in [(false, false), (true, false), (false, true), (true, true)] {
                let options = CopyOptions { threads: NonZero::new(threads), fsverity, sha256, share: None, reflink: true };
                let out = tempfile::tempfile().unwrap();
                let progress = Counter::default();
                let copied = copy(&source, &out, &options, &progress, &GO_ON).unwrap();
                assert!(content(&out) == bytes, "{options:?}: the bytes are the same");
                assert_eq!(copied.fsverity, fsverity.then(|| naive(&bytes)), "{options:?}");
                assert_eq!(copied.sha256, sha256.then(|| Digest(Sha256::digest(&bytes).into())), "{options:?}");
                assert_eq!(copied.size, bytes.len() as u64);
                assert_eq!(copied.data_bytes + copied.zero_bytes_read + copied.hole_bytes, copied.size);
                assert_eq!(progress.data.into_inner(), copied.data_bytes, "{options:?}");
                assert_eq!(progress.skipped.into_inner(), copied.zero_bytes_read + copied.hole_bytes, "{options:?}");
                assert_eq!(digest(&source, &options, &(), &GO_ON).unwrap(), copied, "{options:?}: the same without an output");
                last = Some(copied);
            }
        }
        last.unwrap()
    }

    #[test]
    fn every_shape_comes_over() {
        let (block, chunk) = (BLOCK as u64, CHUNK as u64);
        for size in [0, 1, 511, 512, block - 1, block, block + 1, chunk - 1, chunk, chunk + 512, 3 * chunk + 512] {
            let all = 0..size;
            let none = [];
            // All data, all zeros that were read, all hole, and a hole that turns out to be zero where it is read.
            let full = check(Sparse::new(size, std::slice::from_ref(&all), std::slice::from_ref(&all)));
            assert_eq!((full.data_bytes, full.hole_bytes), (size, 0));
            let zero = check(Sparse::new(size, std::slice::from_ref(&all), &none));
            assert_eq!((zero.zero_bytes_read, zero.hole_bytes), (size, 0));
            let hole = check(Sparse::new(size, &none, &none));
            assert_eq!(hole.hole_bytes, size);
            if size > 0 {
                let last = [size - 1..size];
                let tail = check(Sparse::new(size, &last, &last));
                assert_eq!(tail.data_bytes, (size - 1) % block + 1, "the last block, as long as it is");
            }
        }
    }

    #[test]
    fn ranges_off_the_grid_come_over() {
        let mib = MIB;
        let extents = [5..6, 4000..4100, 4200..8192, 100_000..100_512, mib - 1..mib + 1, 2 * mib..4 * mib, 5 * mib + 512..5 * mib + 1024];
        let filled =
            [5..6, 4099..4100, 4200..4201, 100_511..100_512, mib - 1..mib + 1, 2 * mib + 8192..3 * mib + 1, 5 * mib + 1000..5 * mib + 1001];
        let copied = check(Sparse::new(7 * mib + 512, &extents, &filled));
        // Blocks 0 and 1; the block of 100000; one on each side of 1 MiB; 255 - 2 + 1 blocks and one more; one.
        assert_eq!(copied.data_bytes, (2 + 1 + 2 + 254 + 1 + 1) * 4096);
        assert_eq!(copied.zero_bytes_read, (2 + 255) * 4096);
    }

    #[test]
    fn many_small_runs_come_over() {
        let mut runs = Vec::new();
        let mut at = 0;
        for n in 0..2000_u64 {
            at += 512 * (1 + n * n % 17);
            runs.push(at..at + 512 * (1 + n % 5));
            at = runs.last().unwrap().end;
        }
        let every_other: Vec<_> = runs.iter().step_by(2).cloned().collect();
        check(Sparse::new(at + 5 * MIB + 512, &runs, &every_other));
    }

    #[test]
    fn what_is_shared_where_that_can_be_is_the_same() {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; 3 << 20]).unwrap();
        file.as_file().set_len(20 << 20).unwrap();
        let host: Bytes = Arc::new(HostFile::open(file.path(), Access::Mapped).unwrap());
        let mut plan = crate::bytes::Overlay::resized(host, (20 << 20) + 512);
        plan.patch(1 << 20, vec![8; 700]).unwrap();
        plan.patch(20 << 20, vec![9; 512]).unwrap();
        let plan: Bytes = Arc::new(plan);
        let copied = [true, false].map(|reflink| {
            let out = tempfile::tempfile().unwrap();
            let copied = copy(&plan, &out, &CopyOptions { reflink, ..BOTH }, &(), &GO_ON).unwrap();
            (Copied { shared_bytes: 0, ..copied }, copied.shared_bytes, content(&out))
        });
        assert!(copied[0].2 == copied[1].2 && copied[0].0 == copied[1].0);
        assert_eq!(copied[1].1, 0);
        // The block of the patch and that of the footer are not; where the file system shares nothing, none are.
        assert!([0, (3 << 20) - 4096].contains(&copied[0].1), "{}", copied[0].1);
    }

    #[test]
    fn zeros_stay_holes() {
        let source: Bytes = Arc::new(Memory([vec![0; 8 << 20], vec![1; 4096], vec![0; 8 << 20]].concat()));
        let out = tempfile::tempfile().unwrap();
        let copied = copy(&source, &out, &CopyOptions::default(), &(), &GO_ON).unwrap();
        assert_eq!((copied.data_bytes, copied.zero_bytes_read), (4096, 16 << 20));
        let out = HostFile::from_file(out, Access::Positional).unwrap();
        if out.data(0) == Some(0..out.size()) {
            eprintln!("SKIPPED: the file system of the temporary directory keeps no holes");
            return;
        }
        assert!(crate::bytes::host::data_bytes(&out, 0..out.size()) <= 64 << 10);
    }

    #[test]
    fn thirty_two_tib_of_hole_cost_nothing() {
        // Read or hashed byte by byte, they would take all day.
        let mut disk = crate::bytes::Overlay::new(Arc::new(Zeros(32 * TIB + 512)));
        disk.patch(0, vec![1; 512]).unwrap();
        disk.patch(32 * TIB, vec![2; 512]).unwrap();
        let options = CopyOptions { fsverity: true, ..CopyOptions::default() };
        let copied = digest(&(Arc::new(disk) as Bytes), &options, &(), &GO_ON).unwrap();
        assert_eq!((copied.data_bytes, copied.zero_bytes_read), (4096 + 512, 0));
        assert!(copied.fsverity.is_some());
    }

    #[test]
    fn a_source_that_lies_about_its_data_is_copied_all_the_same() {
        #[derive(Debug)]
        struct Liar(Memory);
        impl ReadAt for Liar {
            fn size(&self) -> u64 {
                self.0.size()
            }
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
                self.0.read_at(offset, buf)
            }
            fn data(&self, from: u64) -> Option<Range<u64>> {
                // Behind what was asked for, then past the end.
                Some(if from == 0 { 0..1 } else { 0..u64::MAX })
            }
        }
        let bytes: Vec<u8> = (0..3 << 20).map(|n| (n % 255) as u8).collect();
        let out = tempfile::tempfile().unwrap();
        copy(&(Arc::new(Liar(Memory(bytes.clone()))) as Bytes), &out, &BOTH, &(), &GO_ON).unwrap();
        assert!(content(&out) == bytes);
    }

    #[test]
    fn any_failed_read_ends_the_copy() {
        let size = 40 * MIB + 512;
        for sha256 in [false, true] {
            for fail in [0, 1, 7, 20, 40] {
                let all = [0..size];
                let source = Sparse { fail: Some(fail), ..Sparse::new(size, &all, &all) };
                let out = tempfile::tempfile().unwrap();
                let options = CopyOptions { threads: NonZero::new(3), fsverity: true, sha256, share: None, reflink: false };
                let error = copy(&(Arc::new(source) as Bytes), &out, &options, &(), &GO_ON).unwrap_err();
                assert!(matches!(error, CopyError::Read(ReadError::Host { .. })), "{error}");
            }
        }
    }

    #[test]
    fn a_panic_in_the_source_is_passed_on_and_hangs_nothing() {
        for sha256 in [false, true] {
            let size = 40 * MIB;
            let source: Bytes = Arc::new(Sparse { fail: Some(3), panic: true, ..Sparse::new(size, &[0..size], &[0..1]) });
            let options = CopyOptions { threads: NonZero::new(3), fsverity: true, sha256, share: None, reflink: false };
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| digest(&source, &options, &(), &GO_ON)));
            assert!(ended.is_err());
        }
    }

    #[test]
    fn a_cancelled_copy_ends() {
        /// Cancels after so many bytes.
        struct After<'a>(u64, AtomicU64, &'a AtomicBool);
        impl Progress for After<'_> {
            fn advance(&self, data: u64, skipped: u64) {
                if self.1.fetch_add(data + skipped, Ordering::Relaxed) >= self.0 {
                    self.2.store(true, Ordering::Relaxed);
                }
            }
        }
        for sha256 in [false, true] {
            for after in [0, 5 * MIB] {
                let cancel = AtomicBool::new(after == 0);
                let bytes: Bytes = Arc::new(Memory(vec![1; 200 << 20]));
                let progress = After(after, AtomicU64::new(0), &cancel);
                let out = tempfile::tempfile().unwrap();
                let error = copy(&bytes, &out, &CopyOptions { sha256, ..CopyOptions::default() }, &progress, &cancel).unwrap_err();
                assert!(matches!(error, CopyError::Cancelled), "{error}");
                assert!(progress.1.into_inner() < 200 << 20, "it ended before all was done");
            }
        }
        // While a hole is hashed for hours.
        let cancel = AtomicBool::new(false);
        let progress = After(5 * MIB, AtomicU64::new(0), &cancel);
        let error = digest(&(Arc::new(Zeros(32 * TIB)) as Bytes), &BOTH, &progress, &cancel).unwrap_err();
        assert!(matches!(error, CopyError::Cancelled), "{error}");
    }

    #[test]
    fn an_output_with_something_in_it_is_refused() {
        use std::io::Write;
        let mut out = tempfile::tempfile().unwrap();
        out.write_all(b"old").unwrap();
        let error = copy(&(Arc::new(Zeros(10)) as Bytes), &out, &BOTH, &(), &GO_ON).unwrap_err();
        assert!(matches!(&error, CopyError::Length { cause, .. } if cause.kind() == io::ErrorKind::AlreadyExists), "{error}");
        assert_eq!(content(&out), b"old");
    }

    #[test]
    fn an_output_that_cannot_be_written_is_a_write_error_with_its_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(0).unwrap();
        // Open for reading only: it cannot even be given its length.
        let out = File::open(file.path()).unwrap();
        let error = copy(&(Arc::new(Memory(vec![1; 10])) as Bytes), &out, &BOTH, &(), &GO_ON).unwrap_err();
        assert!(matches!(error, CopyError::Length { size: 10, .. }), "{error}");
    }

    /// A file system with room for 4 MiB, which takes root to mount; `None` where that is not to be had.
    #[cfg(target_os = "linux")]
    struct Small(tempfile::TempDir);

    #[cfg(target_os = "linux")]
    impl Small {
        fn mount() -> Option<Self> {
            let dir = tempfile::tempdir().unwrap();
            let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "small"]).arg(dir.path()).output();
            mount.is_ok_and(|output| output.status.success()).then(|| Self(dir))
        }
    }

    #[cfg(target_os = "linux")]
    impl Drop for Small {
        fn drop(&mut self) {
            std::process::Command::new("umount").arg(self.0.path()).status().ok();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_file_system_is_a_write_error_with_its_place() {
        let Some(small) = Small::mount() else {
            eprintln!("SKIPPED: cannot mount a small file system; a full one was not tested");
            return;
        };
        for sha256 in [false, true] {
            let out = tempfile::tempfile_in(small.0.path()).unwrap();
            let options = CopyOptions { sha256, ..CopyOptions::default() };
            let error = copy(&(Arc::new(Memory(vec![1; 64 << 20])) as Bytes), &out, &options, &(), &GO_ON).unwrap_err();
            let CopyError::Write { offset, cause } = &error else { panic!("{error}") };
            assert_eq!(cause.kind(), io::ErrorKind::StorageFull);
            // Threads are at most a chunk each, and the error's, past what was written.
            assert!((1 << 20..16 << 20).contains(offset), "{error}");
            assert!(error.to_string().starts_with(&format!("cannot write at byte {offset}: ")), "{error}");
        }
        // What fits still fits, holes included.
        let out = tempfile::tempfile_in(small.0.path()).unwrap();
        let disk = Sparse::new(64 << 20, &[30 << 20..33 << 20], &[31 << 20..32 << 20]);
        copy(&(Arc::new(disk) as Bytes), &out, &CopyOptions::default(), &(), &GO_ON).unwrap();
    }
}
