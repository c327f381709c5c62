//! How long all rules take over the facts of disks, without reading any: `cargo bench --bench rules -- os.vhd [data.vhd …]`.
//!
//! The first disk is judged as the OS disk of an image, the others as its data disks. Without names, disks of `testdata/` are taken.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may panic, and prints")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::inspect::{self, Inspected, Options};
use vhdkit::rules::{RULES, Subject, Target, judge};

fn main() {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).filter(|word| word != "--bench").map(PathBuf::from).collect();
    if paths.is_empty() {
        paths = ["not-ready.vhd", "becomes-ready.vhd"].map(|name| PathBuf::from("testdata").join(name)).to_vec();
    }
    let mut disks: Vec<Inspected> = paths
        .iter()
        .map(|path| {
            let file: Bytes = Arc::new(HostFile::open(path, Access::Positional).unwrap());
            inspect::disk(&Source { file: &file, path, search: &ParentSearch::default() }, Options::default()).unwrap()
        })
        .collect();
    let joined = inspect::join_each(&mut disks, |disk| disk, |disk| disk);
    assert!(joined.is_ok(), "the disks are read");
    let in_image = disks.len() > 1;
    let subjects: Vec<Subject<'_>> = disks
        .iter()
        .zip(0_u8..)
        .map(|(disk, place)| Subject { facts: &disk.facts, role: disk.facts.role.clone(), lun: place.checked_sub(1), in_image })
        .collect();
    let mut runs: Vec<Duration> = (0..201)
        .map(|_| {
            let start = Instant::now();
            let said = judge(&subjects, &Target::default(), &[]);
            let took = start.elapsed();
            assert!(!said.outcomes.is_empty(), "every rule answers");
            took
        })
        .collect();
    runs.sort();
    let findings = judge(&subjects, &Target::default(), &[]).findings.len();
    let at = |share: usize| runs.get(runs.len().saturating_sub(1).saturating_mul(share).checked_div(100).unwrap_or(0)).unwrap();
    println!("{} rules over {} disk(s), {findings} findings: median {:?}, 99 % within {:?}", RULES.len(), disks.len(), at(50), at(99));
}
