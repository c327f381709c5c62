//! Faults that no system call can be given from outside, by a file system of our own (FUSE): pages of a mapping that cannot be had, reads
//! that bring less than was asked for, writes that take less than they were given, files that shrink, writes that are lost until they are
//! flushed, requests that are carried out and answered with an error all the same, a file system that is gone from some moment on, and
//! file systems that lack what others have.
//!
//! A few requests of each kind fail; `VHDKIT_FULL` lets all of them, up to [`MOST`] or [`MOST_READING`] of each kind, evenly apart. What is
//! promised is what `reads` and `writes` promise.

mod server;
mod wire;

use crate::full::full;
use crate::fuzzing::Dice;
use crate::reads::judge;
use crate::support::{Disk, MIB, pattern, vhdkit};
use crate::writes::{DATA, MOST, Standing, TEMPLATE, THREE_DISKS, Tree, data_disk, earlier, remove_out, some, three_disks, tree};
use crate::{linux, linux_healthy};
use rustix::io::Errno;
use serde_json::Value;
use server::{Fault, How, Mount};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use wire::Kind;

/// As [`MOST`], while a source is read: there are many more of these runs.
const MOST_READING: usize = 12;

/// A file system, told loudly where there can be none.
fn mount(lacks: &[(Kind, Errno)]) -> Option<Mount> {
    match Mount::new(lacks) {
        Ok(mount) => Some(mount),
        Err(why) => {
            eprintln!("SKIPPED: faults of a file system, since FUSE cannot be mounted here ({why})");
            None
        }
    }
}

/// The numbers of so many requests.
fn numbers(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

/// The ways in which a request of this kind may fail while a source is read.
fn ways_of_reading(kind: Kind, direct: bool) -> Vec<(How, bool)> {
    let error = How::Error(Errno::IO);
    match (kind, direct) {
        // With a page cache, what a read does not bring reads as zeros: that is the kernel's word, and nobody can tell.
        (Kind::Read, false) => vec![(error, false), (error, true), (How::Shrinks, false)],
        (Kind::Read, true) => {
            vec![(error, false), (error, true), (How::Shrinks, false), (How::Short, false), (How::Short, true), (How::Nothing, true)]
        }
        _ => vec![(error, false), (error, true)],
    }
}

/// Asks with every request failing, or a few of each kind.
fn hold_reading(name: &str, mount: &Mount, args: &[&str], files: &[&str], direct: bool, wrong: &mut Vec<String>) {
    mount.past_the_cache(direct);
    mount.arm(None);
    let ran = vhdkit(args);
    let (counts, _) = mount.disarm();
    assert!(matches!(ran.status, Some(0 | 1)), "{name}: {ran:?}");
    assert!(counts.contains_key(&Kind::Read), "{name}: nothing is read");
    let healthy: Value = ran.json();
    let mut dice = Dice(counts.values().sum());
    let (mut runs, mut hits, mut refused, mut whole) = (0, 0, 0, 0);
    for (kind, count) in counts {
        let ways = ways_of_reading(kind, direct);
        // Where there is a parent, both are looked at in several places, each with words of its own.
        let few = match kind {
            Kind::Read => 4,
            Kind::Lookup | Kind::Getattr if files.len() > 1 => 12,
            _ => 1,
        };
        for n in some(&numbers(count), few, MOST_READING, &mut dice) {
            for (how, lasting) in if full() || few > 4 { ways.clone() } else { vec![dice.pick(&ways)] } {
                mount.arm(Some(Fault { kind: Some(kind), n, lasting, how }));
                let ran = vhdkit(args);
                let hit = mount.disarm().1 > 0;
                (runs, hits) = (runs + 1, hits + u64::from(hit));
                let what = format!("{name}: {kind:?} number {n}{} {how}", if lasting { " and all later" } else { "" });
                if how == How::Short || !hit {
                    whole += 1;
                    if ran.status.is_none_or(|status| status > 1) || ran.json() != healthy || !ran.err.is_empty() {
                        wrong.push(format!("{what}: {ran:?}"));
                    }
                } else {
                    refused += u64::from(judge(&what, &ran, &healthy, files, wrong));
                }
            }
        }
    }
    eprintln!("{name:44} {runs} runs, {hits} with a fault, {refused} refused, {whole} without harm");
}

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A guest, sparse.
fn linux_guest(at: &Path) {
    let work = tempfile::tempdir().unwrap();
    let guest = linux_healthy::specialized().write(work.path());
    assert!(Command::new("cp").arg("--sparse=always").arg(guest).arg(at).status().unwrap().success());
}

#[test]
fn sources_on_a_file_system_that_fails_are_not_judged_by_what_is_left() {
    let Some(mount) = mount(&[]) else { return };
    let below = |name: &str| mount.below.join(name);
    Disk::os(24 * MIB).write_fixed(&below("fixed.vhd"));
    Disk::os(24 * MIB).write_dynamic(&below("dynamic.vhd"));
    Disk::data(24 * MIB).write_dynamic(&below("base.vhd"));
    Disk::blank(24 * MIB).put(10 * MIB, pattern(9, 5000)).write_differencing(&below("child.vhd"), "base.vhd");
    let mut disks: Vec<&[&str]> = vec![&["fixed.vhd"], &["dynamic.vhd"], &["child.vhd", "base.vhd"]];
    if linux::able() {
        linux_guest(&below("linux.vhd"));
        disks.push(&["linux.vhd"]);
    }
    let before = tree(&mount.below);
    let mut wrong = Vec::new();
    let commands: [&[&str]; 4] = [
        &["check", "--no-config"],
        &["check", "--no-config", "--no-mmap"],
        &["prepare", "--role=data", "--dry-run", "--no-config"],
        &["inspect", "--deep"],
    ];
    for (place, files) in disks.iter().enumerate() {
        for (number, args) in commands.iter().enumerate() {
            // Each disk by one command or two, each command on one disk or two.
            if !full() && !matches!((number + place) % 4, 0) && number != 3 - place {
                continue;
            }
            for direct in if full() { vec![false, true] } else { vec![(number + place) % 2 == 1] } {
                let disk = mount.at.join(files[0]);
                let name = format!("{} ({}{})", args.join(" "), files[0], if direct { ", no cache" } else { "" });
                hold_reading(&name, &mount, &[*args, &["--format=json", words(&disk)]].concat(), files, direct, &mut wrong);
            }
        }
    }
    assert_eq!(tree(&mount.below), before);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_image_on_a_file_system_that_fails_is_not_verified() {
    let Some(mount) = mount(&[]) else { return };
    let home = tempfile::tempdir().unwrap();
    let disk = home.path().join("data.vhd");
    Disk::data(24 * MIB).put(6 * MIB, pattern(1, 3_000_000)).write_dynamic(&disk);
    vhdkit(["prepare", words(&disk), "--role=data", "--sha256", "-q", "-o", words(&mount.below.join("out"))]).ended(0);
    let (out, before) = (mount.at.join("out"), tree(&mount.below));
    let mut wrong = Vec::new();
    for more in [&[][..], &["--no-mmap"]] {
        for direct in [false, true] {
            let args = [&["verify", "--format=json", words(&out)], more].concat();
            let name = format!("verify {}{}", more.join(" "), if direct { " (no cache)" } else { "" });
            hold_reading(&name, &mount, &args, &["data.vhd", "manifest.json", "out"], direct, &mut wrong);
        }
    }
    assert_eq!(tree(&mount.below), before);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The kernel raises SIGBUS where it cannot get a page of a mapping.
#[test]
fn a_mapping_that_cannot_be_read_is_told() {
    let Some(mount) = mount(&[]) else { return };
    let home = tempfile::tempdir().unwrap();
    let disk = home.path().join("data.vhd");
    Disk::data(24 * MIB).put(6 * MIB, pattern(1, 3_000_000)).write_dynamic(&disk);
    vhdkit(["prepare", words(&disk), "--role=data", "--sha256", "-q", "-o", words(&mount.below.join("out"))]).ended(0);
    let verify = |fault| {
        mount.arm(fault);
        let ran = vhdkit([Path::new("verify"), &mount.at.join("out")]);
        (ran, mount.disarm().0[&Kind::Read])
    };
    let (ran, reads) = verify(None);
    ran.ended(0);
    // Facts come first, by position; then the digests, from the mapping.
    let fault = |how| Fault { kind: Some(Kind::Read), n: reads * 2 / 3, lasting: true, how };
    let (ran, _) = verify(Some(fault(How::Error(Errno::IO))));
    assert!(ran.ended(2).err.ends_with("the file shrank, or its device failed, while it was mapped\n"));
    let (ran, _) = verify(Some(fault(How::Shrinks)));
    assert!(ran.ended(2).err.contains(" shrank"));
    let (ran, _) = verify(None);
    ran.ended(0);
}

/// The ways in which a request of this kind may fail while something is written.
fn ways_of_writing(kind: Kind) -> &'static [How] {
    const IO: How = How::Error(Errno::IO);
    const FULL: How = How::Error(Errno::NOSPC);
    const READ_ONLY: How = How::Error(Errno::ROFS);
    const DONE: How = How::Done(Errno::IO);
    match kind {
        Kind::Write => &[IO, FULL, How::Short, How::Nothing, How::Lost],
        Kind::Fsync | Kind::Fsyncdir | Kind::Flush => &[IO, FULL],
        Kind::Link | Kind::Rename | Kind::Rename2 => &[IO, FULL, READ_ONLY, DONE],
        Kind::Unlink | Kind::Rmdir => &[IO, READ_ONLY, DONE],
        Kind::Mkdir => &[IO, FULL, DONE],
        Kind::Create | Kind::Tmpfile | Kind::Mknod | Kind::Setattr => &[IO, FULL, READ_ONLY],
        _ => &[IO],
    }
}

/// A command that writes onto the file system, and what it starts from.
struct Scenario {
    name: String,
    mount: Mount,
    args: Vec<String>,
    /// Puts things back as they were before a run.
    reset: Box<dyn Fn(&Path)>,
    standing: Standing,
    direct: bool,
    /// How many requests of each kind fail, where not all do.
    few: usize,
}

impl Scenario {
    fn new(name: &str, lacks: &[(Kind, Errno)], prepare: impl Fn(&Path), args: &[&str], reset: impl Fn(&Path) + 'static) -> Option<Self> {
        let mount = mount(lacks)?;
        prepare(&mount.below);
        let args = args.iter().map(|word| word.replace("{}", words(&mount.at))).collect();
        let standing = Standing { home: mount.at.clone(), ..Standing::default() };
        Some(Self { name: name.to_owned(), mount, args, reset: Box::new(reset), standing, direct: false, few: 1 })
    }

    /// What stands on the file system. Sources are not read through each time: whoever writes to a file changes the time of its last
    /// change, which nobody can set.
    fn now(&self) -> Tree {
        let mut now = Tree::new();
        for entry in fs::read_dir(&self.mount.below).unwrap().map(Result::unwrap) {
            let (path, at) = (entry.path(), self.mount.at.join(entry.file_name()));
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                let inner = tree(&path);
                now.extend(inner.into_iter().map(|(path, sum)| (self.mount.at.join(path.strip_prefix(&self.mount.below).unwrap()), sum)));
                now.insert(at, "a directory".to_owned());
            } else if path.extension().is_some_and(|extension| extension == "vhd" || extension == "raw") {
                now.insert(at, format!("{} {} {} {}", metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()));
            } else {
                now.insert(at, tree(&self.mount.below).remove(&path).unwrap());
            }
        }
        now
    }

    fn run(&self, fault: Option<Fault>) -> (crate::support::Ran, BTreeMap<Kind, u64>, bool) {
        (self.reset)(&self.mount.below);
        self.mount.arm(fault);
        let ran = vhdkit(&self.args);
        let (counts, hits) = self.mount.disarm();
        (ran, counts, hits > 0)
    }

    /// All requests, or a few of each kind; every violation in words.
    fn hold(mut self, wrong: &mut Vec<String>) {
        self.mount.past_the_cache(self.direct);
        (self.reset)(&self.mount.below);
        let sources = tree(&self.mount.below);
        self.standing.before = self.now();
        let (ran, counts, _) = self.run(None);
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{}: {ran:?}", self.name);
        self.standing.after = self.now();
        assert!(self.standing.after != self.standing.before, "{}: nothing was written", self.name);
        if self.args[0] != "check" {
            vhdkit([Path::new("verify"), Path::new(self.args.last().unwrap())]).ended(0);
        }
        let all: u64 = counts.values().sum();
        let mut dice = Dice(all);
        let mut faults = Vec::new();
        for (kind, count) in counts {
            for n in some(&numbers(count), self.few, MOST, &mut dice) {
                let ways = ways_of_writing(kind);
                for how in if full() { ways.to_vec() } else { vec![dice.pick(ways)] } {
                    faults.push(Fault { kind: Some(kind), n, lasting: false, how });
                }
            }
        }
        let gone = |n| Fault { kind: None, n, lasting: true, how: How::Error(Errno::IO) };
        faults.extend(some(&numbers(all), 2 * self.few, MOST, &mut dice).into_iter().map(gone));
        let (mut hits, mut passed) = (0, BTreeMap::<String, u64>::new());
        for fault in &faults {
            let (ran, _, hit) = self.run(Some(*fault));
            hits += u64::from(hit);
            let what = match fault.kind {
                Some(kind) => format!("{kind:?} {}", fault.how),
                None => "gone".to_owned(),
            };
            for violation in self.standing.violations(&self.now(), &ran, hit) {
                wrong.push(format!("{}: {what}, number {}: {violation}", self.name, fault.n));
            }
            if let (Some(2), How::Error(error) | How::Done(error)) = (ran.status, fault.how)
                && !ran.err.contains(&std::io::Error::from(error).to_string())
            {
                wrong.push(format!("{}: {what}, number {}: does not say why: {}", self.name, fault.n, ran.err));
            }
            if !fault.lasting && ["Input/output error", "No space left", "Read-only"].iter().any(|why| ran.err.matches(why).count() > 1) {
                wrong.push(format!("{}: {what}, number {}: says it twice: {}", self.name, fault.n, ran.err));
            }
            if hit && ran.status == Some(0) {
                *passed.entry(what).or_default() += 1;
            }
        }
        (self.reset)(&self.mount.below);
        assert_eq!(tree(&self.mount.below), sources, "{}", self.name);
        eprintln!("{:24} {} runs, {hits} with a fault; ended well all the same: {passed:?}", self.name, faults.len());
    }
}

#[test]
fn a_data_disk_is_written_whole_or_not_at_all_onto_a_file_system_that_fails() {
    let mut wrong = Vec::new();
    let deep: Vec<&str> = DATA.iter().map(|word| if *word == "{}/out" { "{}/out/of/here" } else { word }).collect();
    let mut replace = DATA.to_vec();
    replace.insert(1, "--overwrite");
    let neighbours = [(Kind::Tmpfile, Errno::NOSYS)];
    let scenarios = [
        Scenario::new("data", &[], data_disk, &deep, remove_out),
        Scenario::new("data, no cache", &[], data_disk, &DATA, remove_out).map(|one| Scenario { direct: true, ..one }),
        Scenario::new("data, replaced", &[], data_disk, &replace, earlier),
        Scenario::new("data, named", &neighbours, data_disk, &deep, remove_out),
        Scenario::new("data, named, replaced", &neighbours, data_disk, &replace, earlier),
    ];
    scenarios.into_iter().flatten().for_each(|scenario| scenario.hold(&mut wrong));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_image_of_several_disks_is_written_whole_or_not_at_all_onto_a_file_system_that_fails() {
    let mut wrong = Vec::new();
    if let Some(scenario) = Scenario::new("three disks", &[], three_disks, &THREE_DISKS, remove_out) {
        scenario.hold(&mut wrong);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_template_is_written_whole_or_not_at_all_onto_a_file_system_that_fails() {
    if !linux::able() {
        return;
    }
    let mut wrong = Vec::new();
    if let Some(scenario) = Scenario::new("template", &[], |home| linux_guest(&home.join("web.vhd")), &TEMPLATE, remove_out) {
        scenario.hold(&mut wrong);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn reports_are_written_whole_or_not_at_all_onto_a_file_system_that_fails() {
    let reset = |home: &Path| {
        for name in ["a.json", "b.jsonl", "c.xml"] {
            fs::write(home.join(name), "an earlier one").unwrap();
        }
        for name in crate::support::listing(home).into_iter().filter(|name| name.starts_with('.')) {
            fs::remove_file(home.join(name)).unwrap();
        }
    };
    // The disk is elsewhere: what is told of it stays as it is.
    let home = tempfile::tempdir().unwrap();
    let disk = home.path().join("data.vhd");
    Disk::data(24 * MIB).write_fixed(&disk);
    let args = [
        "check",
        words(&disk),
        "--role=data",
        "--no-config",
        "-q",
        "--report=json={}/a.json",
        "--report=jsonl={}/b.jsonl",
        "--report=junit={}/c.xml",
    ];
    let mut wrong = Vec::new();
    for lacks in [&[][..], &[(Kind::Tmpfile, Errno::OPNOTSUPP)]] {
        let name = if lacks.is_empty() { "reports" } else { "reports, named" };
        if let Some(mut scenario) = Scenario::new(name, lacks, |_| {}, &args, reset) {
            scenario.standing.apart = true;
            scenario.hold(&mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_file_system_that_lacks_something_gets_a_whole_image_or_is_told_what_it_lacks() {
    use Kind::*;
    let home = tempfile::tempdir().unwrap();
    data_disk(home.path());
    let (disk, first) = (home.path().join("data.vhd"), home.path().join("first"));
    let prepare = |out: &Path, more: &[&str]| {
        let args = ["prepare", words(&disk), "--role=data", "--sha256", "--no-config", "-o", words(out)];
        vhdkit(args.iter().chain(more))
    };
    prepare(&first, &[]).ended(0);
    let relative =
        |dir: &Path| -> Vec<_> { tree(dir).into_iter().map(|(path, sum)| (path.strip_prefix(dir).unwrap().to_owned(), sum)).collect() };
    let whole = relative(&first);
    // What is lacking, and what is said where nothing can be done about it: where the kernel is told that there is no such request, and
    // where each of them fails.
    let lacking: [(&[Kind], [Option<&str>; 2]); 17] = [
        (&[Tmpfile], [None, None]),
        (&[Fallocate], [None, None]),
        (&[Lseek], [None, None]),
        (&[CopyFileRange], [None, None]),
        (&[Fsyncdir], [None, None]),
        (&[Flush], [None, None]),
        (&[Statfs], [None, None]),
        (&[Rename2], [None, None]),
        (&[Rename2, Tmpfile], [None, None]),
        (&[Link, Tmpfile], [None, None]),
        (&[Tmpfile, Fallocate, Lseek, CopyFileRange, Fsyncdir, Flush, Statfs, Rename2], [None, None]),
        (&[Create, Tmpfile], [None, Some("cannot create a file")]),
        (&[Fsync], [None, Some("cannot flush the output to its device: Operation not supported")]),
        (&[Link], [Some("no hard links"), Some("no hard links")]),
        (&[Link, Tmpfile, Rename2], [Some("no hard links"), Some("no hard links")]),
        (&[Setattr], [Some("Function not implemented"), Some("Operation not supported")]),
        (&[Mkdir], [Some("cannot make the directory"), Some("cannot make the directory")]),
    ];
    let mut wrong = Vec::new();
    for (kinds, told) in lacking {
        for (error, told) in [Errno::NOSYS, Errno::OPNOTSUPP].into_iter().zip(told) {
            let lacks: Vec<(Kind, Errno)> = kinds.iter().map(|kind| (*kind, error)).collect();
            let Some(mount) = mount(&lacks) else { return };
            for more in [&[][..], &["--overwrite"]] {
                let ran = prepare(&mount.at.join("out"), more);
                let left = relative(&mount.below.join("out"));
                let good = match told {
                    None => ran.status == Some(0) && ran.err.is_empty() && left == whole,
                    Some(told) => ran.status == Some(2) && ran.err.lines().count() == 1 && ran.err.contains(told) && left.is_empty(),
                };
                let names = crate::support::listing(&mount.below);
                if !good || names.iter().any(|name| name != "out") || names.is_empty() != told.is_some() {
                    wrong.push(format!("without {kinds:?} ({error:?}, {more:?}): {ran:?}, left {names:?} {left:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
