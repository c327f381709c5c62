//! Many disks at a time, told one after the other.
//!
//! Disks are worked on by a bounded number of threads and told in the order in which they were given, so that what is printed is the same
//! whatever their number. No thread runs further ahead of what was told than [`AHEAD`] disks for each of them: one slow disk cannot make
//! the results of all others pile up behind it.

use super::interrupt;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Results for each thread that may wait to be told.
const AHEAD: usize = 2;

/// Threads that are started unless more are asked for: each holds a disk's trees and caches, and a disk is mostly waited for.
const USUAL: usize = 8;

/// Bytes of a thread's stack, as the first one has on Linux.
const STACK: usize = 8 << 20;

/// How often it is looked whether somebody asked to stop; a signal wakes no condition variable.
const LOOK: Duration = Duration::from_millis(50);

/// How the disks were gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All were told.
    Whole,
    /// Somebody asked to stop before that.
    Stopped,
}

/// Threads for `count` disks.
pub(super) fn threads(asked: Option<NonZeroU16>, count: usize) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from).min(USUAL);
    asked.map_or_else(cores, |jobs| usize::from(jobs.get())).min(count).max(1)
}

/// What the threads share.
#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Asked to stop, or nothing more will be told.
    stop: AtomicBool,
}

#[derive(Debug)]
struct State<T> {
    /// The next disk that nobody has taken.
    next: usize,
    /// Disks that were told, or are being told.
    told: usize,
    done: BTreeMap<usize, T>,
    /// A thread ended that should not have.
    broken: bool,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next disk, once there is room for its result; `None` where there is nothing more to do.
    fn take(&self, count: usize, window: usize) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.next >= count || self.stop.load(Ordering::SeqCst) {
                return None;
            }
            if state.next < state.told.saturating_add(window) {
                let place = state.next;
                state.next = place.saturating_add(1);
                return Some(place);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }
}

/// Tells of a thread that panicked, or it would be waited for without end.
struct Watched<'a, T>(&'a Shared<T>);

impl<T> Drop for Watched<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.state().broken = true;
            self.0.changed.notify_all();
        }
    }
}

/// Does `work` for each of `count` disks on `jobs` threads, and gives the results to `tell` in their order.
///
/// Where there are several, a signal lets what is being told be finished, and stops then without waiting for the threads: they only read.
///
/// # Errors
///
/// The first of `tell`'s own, after which nothing more is told.
pub(super) fn in_order<T: Send + 'static>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Send + Sync + 'static,
    mut tell: impl FnMut(usize, T) -> anyhow::Result<()>,
) -> anyhow::Result<Ended> {
    if count <= 1 {
        // Nothing is told but at the end: a signal ends it at once.
        (0..count).try_for_each(|place| tell(place, work(place)))?;
        return Ok(Ended::Whole);
    }
    let asked = interrupt::defer();
    let told = go_through(count, jobs, work, &mut tell, &asked);
    interrupt::at_once();
    let stopped = asked.load(Ordering::SeqCst);
    told?;
    Ok(if stopped { Ended::Stopped } else { Ended::Whole })
}

fn go_through<T: Send + 'static>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Send + Sync + 'static,
    tell: &mut impl FnMut(usize, T) -> anyhow::Result<()>,
    asked: &AtomicBool,
) -> anyhow::Result<()> {
    let window = jobs.saturating_mul(AHEAD);
    let state = State { next: 0, told: 0, done: BTreeMap::new(), broken: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), stop: AtomicBool::new(false) });
    let work = Arc::new(work);
    let mut started = 0_usize;
    for number in 0..jobs {
        let (shared, work) = (shared.clone(), work.clone());
        let run = move || {
            let watched = Watched(&shared);
            while let Some(place) = watched.0.take(count, window) {
                let result = work(place);
                watched.0.state().done.insert(place, result);
                watched.0.changed.notify_all();
            }
        };
        // Where the host gives no further thread, those that there are do all of it.
        if thread::Builder::new().name(format!("disk-{number}")).stack_size(STACK).spawn(run).is_err() {
            break;
        }
        started = started.saturating_add(1);
    }
    let mut outcome = Ok(());
    for place in 0..count {
        let result = if started == 0 { (!asked.load(Ordering::SeqCst)).then(|| work(place)) } else { await_result(&shared, place, asked)? };
        let Some(result) = result else { break };
        outcome = tell(place, result);
        if outcome.is_err() {
            break;
        }
    }
    shared.end();
    outcome
}

/// The result of one disk, once it is there; `None` where somebody asked to stop.
fn await_result<T>(shared: &Shared<T>, place: usize, asked: &AtomicBool) -> anyhow::Result<Option<T>> {
    let mut state = shared.state();
    loop {
        if asked.load(Ordering::SeqCst) {
            return Ok(None);
        }
        if let Some(result) = state.done.remove(&place) {
            state.told = place.saturating_add(1);
            drop(state);
            shared.changed.notify_all();
            return Ok(Some(result));
        }
        anyhow::ensure!(!state.broken, "a thread ended before its work was done; what was printed is not all of it");
        state = shared.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn results_come_in_order_and_none_runs_far_ahead() {
        for jobs in [1, 2, 8] {
            let (told, furthest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (seen, far) = (told.clone(), furthest.clone());
            let work = move |place: usize| {
                far.fetch_max(place.saturating_sub(seen.load(Ordering::SeqCst)), Ordering::SeqCst);
                // The first is the slowest: all others wait for it.
                thread::sleep(Duration::from_millis(if place == 0 { 50 } else { 0 }));
                place * 10
            };
            let mut all = Vec::new();
            let ended = go_through(
                200,
                jobs,
                work,
                &mut |place, result| {
                    all.push((place, result));
                    told.store(place + 1, Ordering::SeqCst);
                    Ok(())
                },
                &AtomicBool::new(false),
            );
            ended.unwrap();
            assert_eq!(all, (0..200).map(|place| (place, place * 10)).collect::<Vec<_>>());
            assert!(furthest.load(Ordering::SeqCst) <= jobs * AHEAD, "{jobs}: {furthest:?}");
        }
    }

    #[test]
    fn it_stops_on_a_failure_a_request_and_a_thread_that_breaks() {
        let asked = AtomicBool::new(false);
        let mut number = 0;
        let failed = go_through(
            100,
            2,
            |place| place,
            &mut |place, _| {
                number = place;
                anyhow::ensure!(place < 7, "enough");
                Ok(())
            },
            &asked,
        );
        assert_eq!((failed.unwrap_err().to_string().as_str(), number), ("enough", 7));

        let mut number = 0;
        let stopped = go_through(
            100,
            2,
            |place| place,
            &mut |place, _| {
                number = place;
                asked.store(place == 7, Ordering::SeqCst);
                Ok(())
            },
            &asked,
        );
        stopped.unwrap();
        assert_eq!(number, 7);

        let broken = go_through(
            100,
            2,
            |place| {
                assert_ne!(place, 7, "meant to fail");
                place
            },
            &mut |_, _| Ok(()),
            &AtomicBool::new(false),
        );
        assert!(broken.unwrap_err().to_string().contains("a thread ended"));
    }

    #[test]
    fn threads_are_bounded() {
        assert_eq!(threads(NonZeroU16::new(3), 1000), 3);
        assert_eq!(threads(NonZeroU16::new(300), 2), 2);
        assert!((1..=USUAL).contains(&threads(None, 1000)));
        assert_eq!(threads(None, 0), 1);
    }
}
