//! The whole pipeline over damaged disks: inspect, judge, plan, build, and judge what would be written.
//!
//! Small disks of every kind are damaged where their structures lie, mostly with the checksums made right again, so that the damage
//! gets past the first gate. Whatever comes out must keep the promises:
//!
//! - no panic, no hang, and an answer from every rule;
//! - the JSON serializes, each `unknown` pointer leads to a `null`, no text steers a terminal, JUnit is well-formed, and SARIF's results
//!   lead to their rules, also for an image of two disks;
//! - a file that is called ready is a fixed VHD by four lines of code that share nothing with vhdkit's own;
//! - what `prepare` takes on can be read to its end, is the same when built twice, is the disk inside the source byte for byte, and
//!   then no finding is left that `prepare` said it would cure, nor anything to do in a second run;
//! - the holes of a disk are zeros.
//!
//! The seeds are fixed: a failure names its case, and `VHDKIT_FUZZ_CASE` repeats it alone. `VHDKIT_FUZZ_ROUNDS` runs more than the
//! default number of cases for each kind of disk.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic"
)]

#[path = "fuzzing/disks.rs"]
mod disks;
mod fuzzing;

use disks::{kinds, parent};
use fuzzing::promises::run;
use fuzzing::{Dice, PATIENCE, damage, on_all_cores};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Cases of each kind of disk.
const ROUNDS: u64 = 100;

#[test]
fn the_promises_hold_for_damaged_disks() {
    let rounds = std::env::var("VHDKIT_FUZZ_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let only: Option<(String, u64)> = std::env::var("VHDKIT_FUZZ_CASE").ok().map(|case| {
        let (name, seed) = case.rsplit_once('/').unwrap();
        (name.to_owned(), seed.parse().unwrap())
    });
    let dir = tempfile::tempdir().unwrap();
    let parent_bytes = parent(dir.path());

    let failures = Mutex::new(Vec::new());
    on_all_cores(kinds(dir.path()), |kind| {
        let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
        let mut slowest = Duration::ZERO;
        for seed in 0..=rounds {
            if only.as_ref().is_some_and(|(name, only)| name != kind.name || *only != seed) {
                continue;
            }
            let mut dice = Dice(seed.wrapping_mul(0x1000) ^ crc32fast::hash(kind.name.as_bytes()) as u64);
            // Case 0 is the disk as it was made: the fuzzer must know what health looks like.
            let image = if seed == 0 { kind.image.clone() } else { damage(&kind, &mut dice) };
            let started = Instant::now();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&kind, image, &mut dice)));
            slowest = slowest.max(started.elapsed());
            match outcome {
                Ok(what) => *tally.entry(what).or_default() += 1,
                Err(_) => failures.lock().unwrap().push(format!("{}/{seed}", kind.name)),
            }
        }
        eprintln!("{:16} {tally:?}, slowest {slowest:?}", kind.name);
        assert!(slowest < PATIENCE, "{} took {slowest:?}", kind.name);
    });
    let failures = failures.into_inner().unwrap();
    assert_eq!(std::fs::read(dir.path().join("parent.vhd")).unwrap(), parent_bytes, "a parent was changed");
    assert!(failures.is_empty(), "VHDKIT_FUZZ_CASE={} repeats the first of {}: {failures:?}", failures[0], failures.len());
}
