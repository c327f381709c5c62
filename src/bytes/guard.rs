//! A watch over reads: the host's failures are kept, and a reader that never ends is ended.

use super::{ByteSize, Bytes, Origin, ReadAt, ReadError, int_u64};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Bytes whose reads are watched.
///
/// Readers of file systems turn errors into their own words, so that a failing host could look like a damaged file system. The guard
/// keeps the first failure of the host for whoever asks at the end. It also counts: a damaged image can send a reader round and round,
/// and past the budget every read fails.
#[derive(Debug)]
pub struct Guard {
    base: Bytes,
    watch: Arc<Watch>,
}

/// What a guard has seen; one watch may serve several guards.
#[derive(Debug)]
pub struct Watch {
    /// Bytes that may still be read.
    left: AtomicU64,
    budget: u64,
    failure: OnceLock<ReadError>,
}

impl Watch {
    /// A watch that lets `budget` bytes be read; a read counts as 512 bytes at least.
    #[must_use]
    pub fn new(budget: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(budget), budget, failure: OnceLock::new() })
    }

    /// The first failure of the host.
    #[must_use]
    pub fn failure(&self) -> Option<&ReadError> {
        self.failure.get()
    }

    /// Whether more was asked for than the budget holds.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

impl Guard {
    /// Watches reads of `base`.
    #[must_use]
    pub fn new(base: Bytes, watch: Arc<Watch>) -> Self {
        Self { base, watch }
    }
}

impl ReadAt for Guard {
    fn size(&self) -> u64 {
        self.base.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let cost = int_u64(buf.len()).max(512);
        let take = |left: u64| Some(left.saturating_sub(cost));
        let before = self.watch.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(0);
        if before < cost {
            let budget = ByteSize(self.watch.budget);
            return Err(ReadError::Unsupported(format!("more than {budget} of metadata was asked for; the image sends its reader round")));
        }
        let result = self.base.read_at(offset, buf);
        if let Err(error) = &result
            && error.is_host()
        {
            self.watch.failure.get_or_init(|| error.clone());
        }
        result
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        self.base.data(from)
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        self.base.origin(range)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Zeros};
    use super::*;

    #[test]
    fn a_budget_ends_reading() {
        let watch = Watch::new(2048);
        let guard = Guard::new(Arc::new(Zeros(1 << 20)), watch.clone());
        assert!(guard.read_at(0, &mut [0; 1024]).is_ok());
        assert!(guard.read_at(0, &mut [0; 1]).is_ok());
        assert!(guard.read_at(0, &mut [0; 1]).is_ok());
        assert!(matches!(guard.read_at(0, &mut [0; 1]), Err(ReadError::Unsupported(_))));
        assert!(watch.is_spent());
        assert!(watch.failure().is_none());
    }

    #[test]
    fn the_hosts_failure_is_kept_and_the_images_is_not() {
        #[derive(Debug)]
        struct Failing;
        impl ReadAt for Failing {
            fn size(&self) -> u64 {
                10
            }
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
                Err(ReadError::host(offset, buf.len(), std::io::Error::other("gone")))
            }
        }
        let watch = Watch::new(u64::MAX);
        let guard = Guard::new(Arc::new(Memory(vec![1; 4])), watch.clone());
        assert!(guard.read_at(4, &mut [0]).is_err());
        assert!(watch.failure().is_none());
        assert!(Guard::new(Arc::new(Failing), watch.clone()).read_at(3, &mut [0]).is_err());
        assert!(watch.failure().is_some_and(ReadError::is_host));
    }
}
