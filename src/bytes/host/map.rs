//! Mapped source files, and the guard that turns a fault under them into an error.
//!
//! Touching a mapped page that the file no longer has, or that its device cannot deliver, raises `SIGBUS`. The handler
//! installed here recognises addresses inside our own mappings, puts a page of zeros in place of the lost one so that the
//! interrupted copy can finish, and marks the mapping as failed; the copy then returns an error, and so does every later one.
//! A `SIGBUS` at any other address gets the default treatment.
//!
//! This is the only module with `unsafe`. What each use rests on is said beside it.

use super::{int_u64, io};
use crate::bytes::int_usize;
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Mappings that can exist at a time; a file beyond that is read by position.
const SLOTS: usize = 128;

/// What the handler must know about a mapping, in a form that it may read: atomics in static memory.
struct Slot {
    taken: AtomicBool,
    /// First address; 0 while the slot is empty.
    start: AtomicUsize,
    /// Address after the last.
    end: AtomicUsize,
    failed: AtomicBool,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot { taken: AtomicBool::new(false), start: AtomicUsize::new(0), end: AtomicUsize::new(0), failed: AtomicBool::new(false) }
}; SLOTS];

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
        // SAFETY: the mapped bytes are handed out by `copy` alone, which copies them into the caller's buffer with a volatile-free
        // memcpy and never forms a reference that outlives the call; a concurrent writer can therefore change what is copied but
        // no value that Rust believes to be constant. A shrinking file is dealt with by the guard.
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
        slot.end.store(start.saturating_add(map.len()), Ordering::Relaxed);
        slot.start.store(start, Ordering::Release);
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
        // SAFETY: source and length were checked against the mapping just above, the destination is an exclusive slice of that
        // very length, and a mapping made by the kernel cannot overlap it.
        unsafe { std::ptr::copy_nonoverlapping(self.map.as_ptr().wrapping_add(int_usize(offset)), buf.as_mut_ptr(), buf.len()) };
        // The handler ran on this thread, if it ran for this copy, so program order alone makes its store visible here.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        if self.slot.failed.load(Ordering::Acquire) {
            return Err(io::Error::other("the file shrank, or its device failed, while it was mapped"));
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.slot.start.store(0, Ordering::Release);
        self.slot.end.store(0, Ordering::Release);
        self.slot.taken.store(false, Ordering::Release);
        // `map` is unmapped after this, when nothing copies from it any more: `copy` borrows self.
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
    // the handler has the signature that SA_SIGINFO demands and calls only async-signal-safe functions.
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
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo, and for SIGBUS its address field is set.
    let address = unsafe { (*about).si_addr() }.addr();
    for slot in &TABLE {
        let start = slot.start.load(Ordering::Acquire);
        if start == 0 || address < start || address >= slot.end.load(Ordering::Acquire) {
            continue;
        }
        slot.failed.store(true, Ordering::Release);
        let page = PAGE.load(Ordering::Relaxed);
        let within = address & page.wrapping_sub(1);
        // SAFETY: the page lies inside a mapping of ours, which lives until its owner drops it and is only ever read; MAP_FIXED
        // replaces just this page. mmap is a bare system call here.
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
    // Not ours, or no page to be had: the default action, when the instruction is run again.
    // SAFETY: `signal` may be called from a handler.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
}
