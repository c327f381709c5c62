//! Damaged operating systems through the whole pipeline: small healthy guests of every file system, damaged where their structures and their
//! files lie, mostly with the checksums made right again.
//!
//! Beside what is promised of every disk (`fuzzing/promises.rs`): every tree is walked to its end; a template of it can be made or is refused,
//! twice the same; what is left out as free lies under no file, and without it all reads as before (`fuzzing/templates.rs`); and memory is
//! bounded, which an allocator counts. A panic of a writer's is an error, and counted.
//!
//! The seeds are fixed: a failure names its case, and `VHDKIT_FUZZ_CASE` repeats it alone. `VHDKIT_FUZZ_ROUNDS` runs more of them.
#![cfg(unix)]
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic, and says what it skips"
)]

mod fuzzing;
#[path = "fuzzing/guests.rs"]
mod guests;
#[path = "planted/linux.rs"]
mod linux;
#[path = "planted/linux_healthy.rs"]
mod linux_healthy;
#[path = "planted/ready.rs"]
mod ready;
#[path = "support/mod.rs"]
mod support;
#[path = "fuzzing/templates.rs"]
mod templates;

use fuzzing::{Dice, Image, Kind, MIB, PATIENCE, damage, on_all_cores};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vhdkit::bytes::Bytes;
use vhdkit::fs::Error;
use vhdkit::inspect::Region;

/// Cases of each guest.
const ROUNDS: u64 = 60;
/// No case may have more at a time than this beside the image itself.
const MEMORY: usize = 768 * MIB as usize;

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    /// Panics of the writers, which became errors.
    static GUARDED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.get().wrapping_add(layout.size());
        NOW.set(now);
        PEAK.set(PEAK.get().max(now));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // What another thread allocated may be given back here.
        NOW.set(NOW.get().saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_promises_hold_for_damaged_guests() {
    let rounds = std::env::var("VHDKIT_FUZZ_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let only: Option<(String, u64)> = std::env::var("VHDKIT_FUZZ_CASE").ok().map(|case| {
        let (name, seed) = case.rsplit_once('/').unwrap();
        (name.to_owned(), seed.parse().unwrap())
    });
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if vhdkit::fs::edit::is_guarded() {
            GUARDED.set(GUARDED.get() + 1);
        } else {
            told(panic);
        }
    }));
    let failures = Mutex::new(Vec::new());
    on_all_cores(guests::kinds(), |kind| {
        let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut slowest, mut largest) = (Duration::ZERO, 0);
        GUARDED.set(0);
        for seed in 0..=rounds {
            if only.as_ref().is_some_and(|(name, only)| name != kind.name || *only != seed) {
                continue;
            }
            let mut dice = Dice(seed.wrapping_mul(0x1000) ^ u64::from(crc32fast::hash(kind.name.as_bytes())));
            // Case 0 is the guest as it was made.
            let image = if seed == 0 { kind.image.clone() } else { damage(&kind, &mut dice) };
            let before = NOW.get();
            PEAK.set(before);
            let started = Instant::now();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one(&kind, image, &mut dice)));
            slowest = slowest.max(started.elapsed());
            largest = largest.max(PEAK.get() - before);
            match outcome {
                Ok(what) => *tally.entry(what).or_default() += 1,
                Err(_) => failures.lock().unwrap().push(format!("{}/{seed}", kind.name)),
            }
            assert!(PEAK.get() - before < MEMORY, "{}/{seed} took {largest} bytes", kind.name);
            assert!(slowest < PATIENCE, "{}/{seed} took {slowest:?}", kind.name);
        }
        let guarded = GUARDED.get();
        eprintln!("{:16} {tally:?}, slowest {slowest:?}, {} MiB at most, {guarded} panics of its writer", kind.name, largest as u64 / MIB);
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "VHDKIT_FUZZ_CASE={} repeats the first of {}: {failures:?}", failures[0], failures.len());
}

#[test]
fn what_no_system_lets_a_name_hold_is_damage() {
    for kind in guests::kinds() {
        for (name, directory) in [(b"shadow", "/etc"), (b"azureu", "/home")] {
            for wrong in [0, b'/'] {
                let mut image = kind.image.clone();
                let mut changed = 0;
                for sector in image.sectors.values_mut() {
                    while let Some(at) = sector.windows(name.len()).position(|part| part == name) {
                        sector[at + 2] = wrong;
                        changed += 1;
                    }
                }
                assert!(changed > 0, "{}: no '{}'", kind.name, String::from_utf8_lossy(name));
                (kind.seal)(&mut image);
                guests::walk(&kind, &image);
                let inspected = fuzzing::promises::look_at(&(Arc::new(image) as Bytes), &kind.path, false);
                let fs = inspected.inside.as_ref().unwrap().regions.iter().find_map(Region::opened).unwrap();
                let directory = fs.lookup(fs.root(), &directory.as_bytes()[1..]).unwrap().unwrap();
                let listed = fs.entries(directory, &mut |_| ControlFlow::Continue(()));
                assert!(matches!(listed, Err(Error::Damaged(_))), "{}: {listed:?}", kind.name);
            }
        }
    }
}

fn one(kind: &Kind, image: Image, dice: &mut Dice) -> &'static str {
    guests::walk(kind, &image);
    let what = templates::run(kind, &image);
    // The way to a written image reads all of it, twice: a part of the cases is enough.
    if dice.one_in(4) { fuzzing::promises::run(kind, image, dice) } else { what }
}
