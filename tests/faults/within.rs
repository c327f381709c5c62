//! Reads that fail while a disk is looked at, in process: the n-th, all from the n-th on, and all that touch some bytes.

use crate::full::full;
use crate::fuzzing::{Dice, Kind};
use crate::planted::windows;
use crate::support::{Disk, MIB, footer, pattern, seal};
use crate::{guests, linux, linux_healthy, truth};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, ReadAt, ReadError};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::State;
use vhdkit::inspect::{self, Options};
use vhdkit::report::{Checked, json};
use vhdkit::rules::{Profile, Subject, Target, judge};

/// Which reads fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The read of this number alone.
    Nth(u64),
    /// It, and all after it: the device is gone.
    From(u64),
    /// All that touch these bytes: a bad sector.
    Bytes(Range<u64>),
}

/// Bytes below which the host fails.
#[derive(Debug)]
pub struct Failing {
    inner: Bytes,
    fault: Fault,
    pub reads: AtomicU64,
}

impl Failing {
    pub fn new(inner: &Bytes, fault: Fault) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), fault, reads: AtomicU64::new(0) })
    }
}

impl ReadAt for Failing {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let number = self.reads.fetch_add(1, Ordering::SeqCst);
        let end = offset.saturating_add(buf.len() as u64);
        let fails = match &self.fault {
            Fault::None => false,
            Fault::Nth(n) => number == *n,
            Fault::From(n) => number >= *n,
            Fault::Bytes(range) => offset < range.end && range.start < end,
        };
        if fails {
            return Err(ReadError::host(offset, buf.len(), std::io::Error::from_raw_os_error(5)));
        }
        self.inner.read_at(offset, buf)
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        self.inner.data(from)
    }
}

/// What `check` says of a disk, or that it cannot be read.
fn check(file: &Bytes, path: &Path, target: &Target, deep: bool) -> Result<Value, String> {
    let search = ParentSearch::default();
    let inspected = inspect::disk(&Source { file, path, search: &search }, Options { deep }).map_err(|error| error.to_string())?;
    let facts = &inspected.facts;
    let subject = Subject { facts, role: facts.role.clone(), lun: None, in_image: false };
    let outcomes = judge(std::slice::from_ref(&subject), target, &[]);
    Ok(json::check(&Checked { disks: &[facts], outcomes: &outcomes, target, image: None, luns: &[None] }).unwrap())
}

/// Lets reads of a disk fail, and returns every lie that is told then with a fault that brings it out.
fn hold(name: &str, file: &Bytes, path: &Path, target: &Target, deep: bool) -> BTreeMap<String, (Fault, u64)> {
    let counting = Failing::new(file, Fault::None);
    let healthy = check(&(counting.clone() as Bytes), path, target, deep).unwrap();
    let reads = counting.reads.load(Ordering::SeqCst);
    let started = Instant::now();
    let mut dice = Dice(reads);
    let mut faults = vec![Fault::Nth(0), Fault::Nth(reads - 1), Fault::From(reads - 1)];
    let few = if full() { u64::MAX } else { 16 };
    let step = (reads / few).max(1);
    for n in (0..reads).step_by(step as usize) {
        // A place of its own in each step, so that runs differ in nothing but the disk.
        let n = if step == 1 { n } else { (n + dice.below(step)).min(reads - 1) };
        faults.push(Fault::Nth(n));
        if step == 1 || dice.one_in(2) {
            faults.push(Fault::From(n));
        }
    }
    let mut data = Vec::new();
    let mut at = 0;
    while let Some(range) = file.data(at) {
        at = range.end;
        data.push(range);
    }
    for _ in 0..if full() { 600 } else { 12 } {
        let range = dice.pick(&data);
        let start = range.start + dice.below((range.end - range.start).div_ceil(512)) * 512;
        faults.push(Fault::Bytes(start..start + dice.pick(&[512, 512, 4096, 65_536])));
    }
    let (mut lies, mut refused, mut differ) = (BTreeMap::<String, (Fault, u64)>::new(), 0, 0);
    for fault in &faults {
        match check(&(Failing::new(file, fault.clone()) as Bytes), path, target, deep) {
            Err(error) => {
                assert!(truth::tells_of_a_fault(&error), "{name}: {fault:?}: {error}");
                refused += 1;
            }
            Ok(told) => {
                differ += u64::from(told != healthy);
                for lie in truth::lies(&healthy, &told) {
                    lies.entry(lie).or_insert((fault.clone(), 0)).1 += 1;
                }
            }
        }
    }
    eprintln!(
        "{name:24} {reads} reads, {} faults: {refused} refused, {differ} differ, {} lies, {:?}",
        faults.len(),
        lies.len(),
        started.elapsed()
    );
    lies
}

/// A disk to look at.
struct Case {
    name: &'static str,
    path: PathBuf,
    state: Option<State>,
    deep: bool,
}

/// Sparse disks on the host, of every kind that can be made here.
fn cases(home: &Path) -> Vec<Case> {
    let at = |name: &str| home.join(name);
    let case = |name, state| Case { name, path: at(name), state, deep: false };
    let mut cases = vec![];
    let disk = Disk::os(24 * MIB);
    disk.write_fixed(&at("fixed.vhd"));
    disk.write_dynamic(&at("dynamic.vhd"));
    Disk::data(24 * MIB).write_dynamic(&at("base.vhd"));
    Disk::blank(24 * MIB).put(10 * MIB, pattern(9, 5000)).write_differencing(&at("child.vhd"), "base.vhd");
    cases.extend([case("fixed.vhd", Some(State::Generalized)), case("dynamic.vhd", None), case("child.vhd", None)]);
    cases.push(Case { deep: true, ..case("dynamic.vhd", None) });
    for Kind { name, image, .. } in guests::kinds() {
        let file = File::create(at(name)).unwrap();
        file.set_len(image.size).unwrap();
        image.sectors.iter().for_each(|(number, sector)| file.write_all_at(sector, number * 512).unwrap());
        // A VHD, since a raw disk is searched for lost footers, which takes its time.
        let mut footer = footer(image.size, 2, u64::MAX);
        seal(&mut footer, 64);
        file.write_all_at(&footer, image.size).unwrap();
        cases.push(case(name, Some(State::Generalized)));
    }
    if linux::able() {
        let work = tempfile::tempdir().unwrap();
        let guest = linux_healthy::specialized().write(work.path());
        assert!(Command::new("cp").arg("--sparse=always").arg(guest).arg(at("linux.vhd")).status().unwrap().success());
        cases.push(case("linux.vhd", Some(State::Generalized)));
    }
    if windows::write_healthy(State::Specialized, &at("windows.vhd")) {
        cases.push(case("windows.vhd", Some(State::Generalized)));
    }
    cases
}

#[test]
fn what_cannot_be_read_is_not_taken_for_absent_or_well() {
    let home = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for Case { name, path, state, deep } in cases(home.path()) {
        let file: Bytes = Arc::new(HostFile::open(&path, Access::Positional).unwrap());
        let target = Target { state, profile: Profile::Marketplace, generation: Some(2), ..Target::default() };
        let lies = hold(name, &file, &path, &target, deep);
        wrong.extend(lies.into_iter().map(|(lie, (fault, times))| format!("{name}, {fault:?} ({times} times): {lie}")));
    }
    assert!(wrong.is_empty(), "{} lies:\n{}", wrong.len(), wrong.join("\n"));
}
