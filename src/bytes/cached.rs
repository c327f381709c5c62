//! Pages of other bytes, kept for the next reader.
//!
//! File systems are read in small pieces that lie close together: inodes, descriptors, directory blocks. Each piece read through
//! a chain of VHDs, partitions and volumes costs the whole way down; a page read once costs it once.

use super::{Bytes, KIB, Origin, ReadAt, ReadError, check_bounds, int_u64, int_usize, read_vec};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Other bytes behind a bounded cache of pages, the longest unused going first.
///
/// What is below must not change while this lives. Reads longer than a few pages go past the cache: content streams by, only what is
/// small is worth keeping.
pub struct Cached {
    inner: Bytes,
    /// Bytes in a page; a power of two.
    page: u64,
    /// Pages that are kept.
    capacity: usize,
    pages: Mutex<Pages>,
}

/// The pages by number, and their numbers by the time of their last use.
#[derive(Default)]
struct Pages {
    kept: HashMap<u64, (Arc<[u8]>, u64)>,
    order: BTreeMap<u64, u64>,
    clock: u64,
}

impl Cached {
    /// Pages of this many bytes unless told otherwise.
    pub const PAGE: u64 = 16 * KIB;
    /// This many of them: 8 MiB.
    pub const PAGES: usize = 512;
    /// Reads of more pages than this go past the cache.
    const LONG: u64 = 4;

    /// A cache of [`Cached::PAGES`] pages of [`Cached::PAGE`] bytes.
    #[must_use]
    pub fn new(inner: Bytes) -> Self {
        Self::with(inner, Self::PAGE, Self::PAGES)
    }

    /// A cache of `capacity` pages of `page` bytes; a page is made a power of two between 512 bytes and 1 MiB.
    #[must_use]
    pub fn with(inner: Bytes, page: u64, capacity: usize) -> Self {
        let page = page.clamp(512, 1024 * KIB).checked_next_power_of_two().unwrap_or(Self::PAGE);
        Self { inner, page, capacity: capacity.max(1), pages: Mutex::default() }
    }

    /// The page of this number, from the cache or from below.
    fn page(&self, number: u64) -> Result<Arc<[u8]>, ReadError> {
        if let Some(kept) = self.lock().take_up(number) {
            return Ok(kept);
        }
        let start = number.saturating_mul(self.page);
        let len = self.page.min(self.inner.size().saturating_sub(start));
        let bytes: Arc<[u8]> = read_vec(&*self.inner, start, int_usize(len))?.into();
        self.lock().keep(number, bytes.clone(), self.capacity);
        Ok(bytes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// The page, if it is kept; it is then the last one used.
    fn take_up(&mut self, number: u64) -> Option<Arc<[u8]>> {
        let (bytes, used) = self.kept.get_mut(&number)?;
        self.order.remove(used);
        self.clock = self.clock.wrapping_add(1);
        *used = self.clock;
        self.order.insert(self.clock, number);
        Some(bytes.clone())
    }

    /// Keeps a page, and drops the longest unused where there are too many.
    fn keep(&mut self, number: u64, bytes: Arc<[u8]>, capacity: usize) {
        if self.take_up(number).is_some() {
            return;
        }
        while self.kept.len() >= capacity {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.kept.remove(&oldest);
        }
        self.clock = self.clock.wrapping_add(1);
        self.kept.insert(number, (bytes, self.clock));
        self.order.insert(self.clock, number);
    }
}

impl ReadAt for Cached {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size())?;
        if int_u64(buf.len()) > self.page.saturating_mul(Self::LONG) {
            return self.inner.read_at(offset, buf);
        }
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let number = at.checked_div(self.page).unwrap_or_default();
            let within = int_usize(at.checked_rem(self.page).unwrap_or_default());
            // Part of a page may lie where nothing can be read (a damaged block of a VHD); what was asked for may not.
            let Ok(page) = self.page(number) else { return self.inner.read_at(at, rest) };
            let from = page.get(within..).unwrap_or_default();
            let Some((now, later)) = rest.split_at_mut_checked(from.len().min(rest.len())) else { break };
            for (to, from) in now.iter_mut().zip(from) {
                *to = *from;
            }
            if now.is_empty() {
                break;
            }
            at = at.saturating_add(int_u64(now.len()));
            rest = later;
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        self.inner.data(from)
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        self.inner.origin(range)
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("inner", &self.inner)
            .field("page", &self.page)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Bytes that tell their place and count reads; from `broken` on nothing can be read.
    #[derive(Debug)]
    struct Counted {
        size: u64,
        broken: u64,
        reads: AtomicUsize,
    }

    impl Counted {
        fn new(size: u64, broken: u64) -> Arc<Self> {
            Arc::new(Self { size, broken, reads: AtomicUsize::new(0) })
        }

        fn byte(at: u64) -> u8 {
            (at.wrapping_mul(0x9e37_79b9) >> 13) as u8
        }
    }

    impl ReadAt for Counted {
        fn size(&self) -> u64 {
            self.size
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            check_bounds(offset, buf.len(), self.size)?;
            self.reads.fetch_add(1, Ordering::Relaxed);
            if offset + int_u64(buf.len()) > self.broken {
                return Err(ReadError::Unsupported("broken".to_owned()));
            }
            for (at, to) in (offset..).zip(buf) {
                *to = Self::byte(at);
            }
            Ok(())
        }

        fn data(&self, _from: u64) -> Option<Range<u64>> {
            Some(7..9)
        }
    }

    #[test]
    fn the_same_bytes_come_at_every_place_and_length() {
        let below = Counted::new(10_001, 10_001);
        let cached = Cached::with(below, 1024, 3);
        let mut seed = 1_u64;
        for _ in 0..5_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let offset = (seed >> 20) % 10_002;
            let len = (seed >> 40) % (10_002 - offset);
            let mut buf = vec![0; int_usize(len)];
            cached.read_at(offset, &mut buf).unwrap();
            assert!((offset..).zip(&buf).all(|(at, byte)| Counted::byte(at) == *byte), "{len} bytes at {offset}");
        }
        assert!(cached.read_at(10_000, &mut [0; 2]).is_err());
        assert!(cached.lock().kept.len() <= 3 && cached.lock().order.len() <= 3);
        assert_eq!(cached.data(0), Some(7..9));
    }

    #[test]
    fn a_page_is_read_once_until_it_goes() {
        let below = Counted::new(1 << 20, 1 << 20);
        let cached = Cached::with(below.clone(), 4096, 2);
        let reads = |offset| {
            let before = below.reads.load(Ordering::Relaxed);
            cached.read_at(offset, &mut [0; 100]).unwrap();
            below.reads.load(Ordering::Relaxed) - before
        };
        assert_eq!([reads(0), reads(200), reads(4096), reads(0), reads(8192)], [1, 0, 1, 0, 1]);
        assert_eq!([reads(0), reads(4096)], [0, 1], "the page at 4096 was the longest unused");
    }

    #[test]
    fn what_can_be_read_is_read_though_its_page_cannot() {
        let below = Counted::new(8192, 5000);
        let cached = Cached::with(below, 4096, 4);
        assert!(cached.read_at(4000, &mut [0; 900]).is_ok());
        assert!(cached.read_at(4999, &mut [0; 2]).is_err());
    }
}
