//! Mapped source files, and the guard that turns a fault under them into an error.
//!
//! Touching a mapped page that the file no longer has, or that its device cannot deliver, raises `SIGBUS`. The handler
//! installed here recognises addresses inside our own mappings, puts a page of zeros in place of the lost one so that the
//! interrupted copy can finish, and marks the mapping as failed; the copy then returns an error, and so does every later one.
//! A `SIGBUS` at any other address, or sent by somebody, gets the default treatment.
//!
//! This is the only module with `unsafe`. What each use rests on is said beside it.

use super::{int_u64, io};
use crate::bytes::int_usize;
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// Mappings that can exist at a time; a file beyond that is read by position.
const SLOTS: usize = 128;

/// What the handler must know about a mapping, in a form that it may read: atomics in static memory.
///
/// Threads take and give back slots while the handler of another thread reads them. `version` tells it whether what it read belongs
/// together: it is odd while the addresses change, and another number afterwards. The mapping that a thread copies from cannot be given
/// back meanwhile, so the slot that the handler looks for never changes under it.
struct Slot {
    taken: AtomicBool,
    version: AtomicUsize,
    /// First address; 0 while the slot is empty.
    start: AtomicUsize,
    /// Address after the last.
    end: AtomicUsize,
    failed: AtomicBool,
}

static TABLE: [Slot; SLOTS] = [const { Slot::empty() }; SLOTS];

impl Slot {
    const fn empty() -> Self {
        Self {
            taken: AtomicBool::new(false),
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// Changes the addresses. Only the thread that has taken the slot may.
    fn set(&self, start: usize, end: usize) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Whoever sees one of the addresses sees the odd version too.
        fence(Ordering::Release);
        self.start.store(start, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Whether an address lies in the mapping. Waits for nothing, so that the handler may call it.
    fn holds(&self, address: usize) -> bool {
        let before = self.version.load(Ordering::Acquire);
        let (start, end) = (self.start.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        // The addresses are read before the version is read again.
        fence(Ordering::Acquire);
        let settled = before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before;
        settled && start != 0 && (start..end).contains(&address)
    }
}

static PAGE: AtomicUsize = AtomicUsize::new(4096);
static GUARD: Once = Once::new();

/// A whole file, mapped for reading.
pub(super) struct Mapping {
    map: Mmap,
    slot: &'static Slot,
}

impl Mapping {
    /// Maps the first `size` bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be mapped, or all slots are taken.
    #[expect(unsafe_code, reason = "mapping a file is unsafe in Rust's eyes because others may change it")]
    pub(super) fn new(file: &File, size: u64) -> io::Result<Self> {
        GUARD.call_once(install_guard);
        let slot = TABLE
            .iter()
            .find(|slot| slot.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok())
            .ok_or_else(|| io::Error::other("too many files are mapped"))?;
        // SAFETY: the danger of a mapped file is a reference to bytes that others change. None is ever made: `Mmap` is private to this
        // module, and of its methods only `as_ptr` and `len` are called, neither of which touches the bytes; `copy` alone reads them,
        // through the pointer. Another process may change what is copied while it is copied; the caller then has a mixture of old and
        // new bytes, each of which is a valid `u8`, and `HostFile::unchanged` tells of it. A file that shrinks is the guard's matter.
        let map = unsafe { MmapOptions::new().len(int_usize(size)).map(file) };
        let map = match map {
            Ok(map) => map,
            Err(error) => {
                slot.taken.store(false, Ordering::Release);
                return Err(error);
            }
        };
        let start = map.as_ptr().addr();
        slot.failed.store(false, Ordering::Relaxed);
        slot.set(start, start.saturating_add(map.len()));
        Ok(Self { map, slot })
    }

    /// Copies `buf.len()` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// When the range passes the end, and when any page of this mapping was ever lost.
    #[expect(unsafe_code, reason = "copies out of memory that others may change, without a reference to it")]
    pub(super) fn copy(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(int_u64(buf.len()));
        if end.is_none_or(|end| end > int_u64(self.map.len())) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: source and length were checked against the mapping just above, and it lives as long as `self`, which is borrowed. The
        // destination is an exclusive slice of that very length, which no mapping of the kernel's own choosing overlaps. Bytes need no
        // alignment and have no invalid values. Lost pages are replaced within the same addresses, so the pointer stays good even when
        // the handler runs in the midst of it, on this thread or on another that copies the same page.
        unsafe { std::ptr::copy_nonoverlapping(self.map.as_ptr().wrapping_add(int_usize(offset)), buf.as_mut_ptr(), buf.len()) };
        // The handler may have run for this copy on this thread, or for the same page on another: there `failed` was set before the page
        // of zeros appeared. So it must be looked at after the bytes were, by the processor as by the compiler.
        fence(Ordering::SeqCst);
        if self.slot.failed.load(Ordering::Acquire) {
            return Err(io::Error::other("the file shrank, or its device failed, while it was mapped"));
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.slot.set(0, 0);
        self.slot.taken.store(false, Ordering::Release);
        // `map` is unmapped after this, when nothing copies from it any more: `copy` borrows self. Whoever takes the slot now cannot get
        // the same addresses before that.
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").field("len", &self.map.len()).finish()
    }
}

/// Installs the handler, once for the process.
#[expect(unsafe_code, reason = "installing a signal handler is a call into C")]
#[expect(clippy::as_conversions, reason = "sigaction takes the handler's address as an integer")]
fn install_guard() {
    // SAFETY: `sysconf` has no preconditions. `action` is zeroed, which is a valid sigaction (empty mask, no flags), and then filled;
    // the pointers given to `sigemptyset` and `sigaction` are to it, or null where the old action is not wanted. The handler has the
    // signature that SA_SIGINFO demands, never unwinds (nothing in it can panic), and calls only async-signal-safe functions; statics and
    // atomics are all that it touches. It cannot be nested, since SIGBUS is blocked while it runs, and needs little of the stack that
    // SA_ONSTACK gives it.
    unsafe {
        if let Ok(page) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE))
            && page.is_power_of_two()
        {
            PAGE.store(page, Ordering::Relaxed);
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        action.sa_sigaction = on_bus_error as *const () as usize;
        libc::sigemptyset(&raw mut action.sa_mask);
        // Should it fail, faults keep their default treatment: the process dies, and unnamed outputs vanish with it.
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

/// Runs on the thread that touched a lost page.
#[expect(unsafe_code, reason = "a signal handler reads what the kernel hands it and talks to the kernel")]
extern "C" fn on_bus_error(_signal: libc::c_int, about: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a pointer to a valid siginfo, which lives until the handler returns. Its code says whether
    // the kernel raised the signal (above 0) or somebody sent it; only then is there an address in it, and not a sender's number.
    let address = unsafe { if (*about).si_code > 0 { (*about).si_addr().addr() } else { 0 } };
    for slot in TABLE.iter().filter(|slot| slot.holds(address)) {
        slot.failed.store(true, Ordering::SeqCst);
        let page = PAGE.load(Ordering::Relaxed);
        let within = address & page.wrapping_sub(1);
        // SAFETY: the page lies inside a mapping of ours, which begins at a page and is only ever read. Its owner cannot drop it while
        // this thread, stopped in `copy`, borrows it; so MAP_FIXED replaces just this page and nothing of anybody else's. `mmap` is a bare
        // system call here; it leaves errno alone where it succeeds, and where it fails the process is about to end.
        let fresh = unsafe {
            libc::mmap(
                std::ptr::without_provenance_mut(address.wrapping_sub(within)),
                page,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if fresh != libc::MAP_FAILED {
            return;
        }
    }
    // Not ours, or no page to be had: the default action. A fault comes again when the instruction is run again; a signal that was sent
    // does not, so it is sent anew, and comes when this handler returns.
    // SAFETY: both may be called from a handler (signal-safety(7)), with a signal that exists.
    unsafe {
        libc::signal(libc::SIGBUS, libc::SIG_DFL);
        libc::raise(libc::SIGBUS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_slot_holds_its_own_addresses() {
        let slot = Slot::empty();
        assert!(!slot.holds(0) && !slot.holds(4096), "nothing is in it yet");
        slot.set(4096, 8192);
        assert!(slot.holds(4096) && slot.holds(8191) && !slot.holds(4095) && !slot.holds(8192) && !slot.holds(0));
        slot.version.fetch_add(1, Ordering::Relaxed);
        assert!(!slot.holds(4096), "it is being changed");
        slot.version.fetch_add(1, Ordering::Relaxed);
        slot.set(0, 0);
        assert!(!slot.holds(4096) && !slot.holds(0), "it was given back");
    }

    /// Mixed of two mappings, the addresses would hold what neither does.
    #[test]
    fn addresses_of_two_mappings_are_never_mixed() {
        let (slot, done) = (Slot::empty(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100_000 {
                    slot.set(0x1000, 0x2000);
                    slot.set(0x8000, 0x9000);
                }
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                assert!(!slot.holds(0x5000));
            }
        });
    }

    /// Threads that copy the same lost pages, while others map and unmap: each that copied zeros is told so.
    fn lost_pages_are_errors_on_every_thread() {
        const SIZE: usize = 1 << 20;
        for _ in 0..20 {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&vec![7; SIZE]).unwrap();
            let mapping = Mapping::new(&file, int_u64(SIZE)).unwrap();
            file.set_len(0).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let mut buf = vec![1; SIZE];
                        assert!(mapping.copy(0, &mut buf).is_err());
                    });
                }
                scope.spawn(|| {
                    for _ in 0..50 {
                        let other = tempfile::tempfile().unwrap();
                        other.set_len(8192).unwrap();
                        let other = Mapping::new(&other, 8192).unwrap();
                        other.copy(0, &mut [1; 8192]).expect("nothing of it was lost");
                    }
                });
            });
        }
    }

    fn slots_run_out_and_come_back() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mut all = Vec::new();
        // Other tests may hold some.
        while let Ok(mapping) = Mapping::new(&file, 4096) {
            all.push(mapping);
            assert!(all.len() <= SLOTS);
        }
        assert!(all.pop().is_some());
        assert!(Mapping::new(&file, 4096).is_ok());
        assert!(all[0].copy(4000, &mut [0; 97]).is_err(), "past the end");
    }

    /// One after the other: the second leaves no slot to anybody.
    #[test]
    fn mappings_of_many_threads() {
        lost_pages_are_errors_on_every_thread();
        slots_run_out_and_come_back();
    }
}
