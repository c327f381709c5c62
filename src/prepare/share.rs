//! Work that several copies at a time share among them.

use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Threads that work at a time, unless told otherwise, at most. More wait for one another at the output's lock on most file systems.
pub(super) const THREADS: usize = 4;

/// Threads by default: one for each processor, up to four.
pub(super) fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(THREADS)
}

/// How many threads may work at a time, over all copies that share it. One copy alone uses all of it.
#[derive(Debug)]
pub struct Share {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Share {
    /// A share of as many threads as one copy has by default.
    #[must_use]
    pub fn new() -> Self {
        Self { free: Mutex::new(default_threads().max(1)), freed: Condvar::new() }
    }

    /// Waits until one thread more may work. Whoever holds this must wait for nobody.
    pub(super) fn turn(&self) -> Turn<'_> {
        let mut free = self.locked();
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free = free.saturating_sub(1);
        Turn(self)
    }

    fn locked(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::new()
    }
}

/// The right to work, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Share);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut free = self.0.locked();
        *free = free.saturating_add(1);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_work_than_were_let() {
        let share = Share::new();
        let (working, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _turn = share.turn();
                        most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        working.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((1..=default_threads()).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        assert_eq!(*share.locked(), default_threads());
    }
}
