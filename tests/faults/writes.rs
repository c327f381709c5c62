//! Every call of a command that writes, failing once: a whole image or nothing, nothing else beside it, the source as it was, one line that
//! says what failed.
//!
//! A run makes thousands of reads, and a run for each of them would take hours. With `VHDKIT_FULL`, [`MOST`] calls of each kind fail, evenly
//! apart, or all of them where there are fewer; each that writes fails with every error that is likely.

use crate::full::full;
use crate::fuzzing::Dice;
use crate::strace::{self, Traced};
use crate::support::{Disk, MIB, Ran, pattern, vhdkit};
use crate::{linux, linux_healthy, truth};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything below a directory, hidden or not: files by their digest.
pub fn tree(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(dir) else { return found };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&path));
            found.insert(path, "a directory".to_owned());
        } else {
            let sum = Sha256::digest(fs::read(&path).unwrap());
            found.insert(path, sum.iter().map(|byte| format!("{byte:02x}")).collect());
        }
    }
    found
}

/// Files by their digest, and directories.
pub type Tree = BTreeMap<PathBuf, String>;

/// What a command starts from, and what it makes of it.
#[derive(Debug, Default)]
pub struct Standing {
    pub home: PathBuf,
    /// What stands in the directory before a run, and after one that went well.
    pub before: Tree,
    pub after: Tree,
    /// Whether each file stands for itself, and may tell of the fault.
    pub apart: bool,
}

impl Standing {
    /// Each file as before, as after, or a whole report that says what could not be read.
    fn each(&self, now: &Tree) -> bool {
        let good = |(path, sum): (&PathBuf, &String)| {
            let text = || fs::read_to_string(path).unwrap();
            self.before.get(path) == Some(sum) || self.after.get(path) == Some(sum) || truth::tells_of_a_fault(&text())
        };
        now.len() == self.after.len() && now.iter().all(good)
    }

    /// What was promised and is not so, after a run that found `now`.
    pub fn violations(&self, now: &Tree, ran: &Ran, hit: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let lines: Vec<&str> = ran.err.lines().collect();
        // What could not be removed, or put back, is told: after a failure all of it in one line, otherwise each in its own.
        let failed = ran.status == Some(2);
        let left: Vec<&PathBuf> =
            now.keys().filter(|path| !self.before.contains_key(*path) && (failed || !self.after.contains_key(*path))).collect();
        let named = |path: &Path| ran.err.contains(&format!("'{}'", path.display()));
        let told = !left.is_empty() && (failed || lines.len() == left.len()) && left.iter().all(|path| named(path));
        let stuck = |path: &Path| failed && ran.err.contains(" could not be ") && named(path);
        let known = |tree: &Tree| {
            told && now.iter().all(|(path, sum)| left.contains(&path) || tree.get(path) == Some(sum) || stuck(path))
                && tree.keys().all(|path| now.contains_key(path) || stuck(path))
        };
        match ran.status {
            Some(0) if lines.is_empty() && *now == self.after => {}
            Some(0) if known(&self.after) => {}
            Some(0) => wrong.push(format!("status 0, {lines:?}")),
            Some(2) if hit => {
                let names_it =
                    ran.err.contains(self.home.to_str().unwrap()) || ran.err.contains("standard output") || ran.err.contains("thread");
                if lines.len() != 1 || !ran.err.starts_with("vhdkit: ") || !names_it {
                    wrong.push(format!("says {lines:?}"));
                }
            }
            _ => wrong.push(format!("ended as {:?} and says {lines:?}{}", ran.status, ran.out)),
        }
        if *now != self.before && *now != self.after && !known(&self.after) && !known(&self.before) && !(self.apart && self.each(now)) {
            let differ: Vec<&PathBuf> = now.iter().filter(|(path, sum)| self.after.get(*path) != Some(sum)).map(|(path, _)| path).collect();
            let names: Vec<&PathBuf> = now.keys().collect();
            wrong.push(format!("left {names:?}, of which {differ:?} are not as they should be; status {:?}, {lines:?}", ran.status));
        }
        wrong
    }
}

/// Calls of one kind that fail in one scenario, at most.
pub const MOST: usize = 40;

/// Which of all calls of a kind fail: a few, or as many as there are up to `most`.
pub fn some(all: &[u64], few: usize, most: usize, dice: &mut Dice) -> Vec<u64> {
    if full() {
        let step = all.len().div_ceil(most).max(1);
        return all.iter().skip(dice.below(step as u64) as usize).step_by(step).copied().collect();
    }
    if all.len() <= few { all.to_vec() } else { (0..few).map(|_| dice.pick(all)).collect() }
}

/// A command that writes, and what it starts from.
struct Scenario {
    name: &'static str,
    home: tempfile::TempDir,
    command: Traced,
    /// Puts things back as they were before a run.
    reset: Box<dyn Fn(&Path)>,
    standing: Standing,
    /// Calls that are let alone.
    skip: &'static [&'static str],
}

impl Scenario {
    fn new(name: &'static str, prepare: impl Fn(&Path), args: &[&str], reset: impl Fn(&Path) + 'static) -> Self {
        let home = tempfile::tempdir().unwrap();
        prepare(home.path());
        let at = |word: &str| word.replace("{}", home.path().to_str().unwrap());
        let command = Traced::new(args.iter().map(|word| at(word)));
        let standing = Standing { home: home.path().to_owned(), ..Standing::default() };
        Self { name, home, command, reset: Box::new(reset), standing, skip: &[] }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// All calls, or a few of each kind; every violation in words.
    fn hold(mut self, wrong: &mut Vec<String>) {
        (self.reset)(self.home());
        self.standing.before = tree(self.home());
        let (ran, counts) = self.command.count();
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{}: {ran:?}", self.name);
        self.standing.after = tree(self.home());
        assert!(self.standing.after != self.standing.before, "{}: nothing was written", self.name);
        let mut dice = Dice(counts.values().sum());
        let (mut runs, mut hits, mut passed) = (0, 0, BTreeMap::<String, u64>::new());
        for (call, count) in counts {
            if self.skip.contains(&call.as_str()) || self.command.always.iter().any(|fault| fault.starts_with(&format!("{call}:"))) {
                continue;
            }
            let skip = strace::before_it_begins().get(&call).copied().unwrap_or(0);
            let all: Vec<u64> = (skip + 1..=count).collect();
            let writes = !matches!(call.as_str(), "read" | "pread64" | "lseek" | "statx" | "newfstatat" | "openat" | "open");
            let few = if writes { 2 } else { 1 };
            for n in some(&all, few, MOST, &mut dice) {
                let errors = if full() && writes { strace::errors(&call).to_vec() } else { vec![dice.pick(strace::errors(&call))] };
                for error in errors {
                    (self.reset)(self.home());
                    let (ran, hit) = self.command.fail(&call, error, n);
                    runs += 1;
                    hits += u64::from(hit);
                    if hit && ran.status == Some(0) {
                        *passed.entry(format!("{call} {error}")).or_default() += 1;
                    }
                    for violation in self.standing.violations(&tree(self.home()), &ran, hit) {
                        wrong.push(format!("{}: {call} number {n} fails with {error}: {violation}", self.name));
                    }
                }
            }
        }
        eprintln!("{:24} {runs} runs, {hits} with a fault; ended well all the same: {passed:?}", self.name);
    }
}

pub fn remove_out(home: &Path) {
    fs::remove_dir_all(home.join("out")).ok();
    for entry in fs::read_dir(home).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with('.') {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

pub fn data_disk(home: &Path) {
    Disk::data(24 * MIB).put(6 * MIB, pattern(1, 300_000)).put(15 * MIB, pattern(2, 2 << 20)).write_dynamic(&home.join("data.vhd"));
}

/// An image of an earlier run under the same names, of another disk.
pub fn earlier(home: &Path) {
    remove_out(home);
    let old = home.join("old.vhd");
    if !old.exists() {
        Disk::data(24 * MIB).put(8 * MIB, pattern(3, 100_000)).write_dynamic(&old);
    }
    let words = |path: PathBuf| path.to_str().unwrap().to_owned();
    vhdkit(["prepare", &words(old), "--role=data", "--sha256", "--name=data", "-q", "-o", &words(home.join("out"))]).ended(0);
}

pub fn three_disks(home: &Path) {
    data_disk(home);
    Disk::os(24 * MIB).write_raw(&home.join("os.raw"));
    Disk::data(24 * MIB).put(6 * MIB, pattern(4, 50_000)).write_raw(&home.join("log.raw"));
}

/// Writes what [`data_disk`] makes.
pub const DATA: [&str; 7] = ["prepare", "{}/data.vhd", "--role=data", "--sha256", "--no-config", "-o", "{}/out"];

/// Writes what [`three_disks`] makes.
pub const THREE_DISKS: [&str; 10] = [
    "prepare",
    "{}/os.raw",
    "--as=generalized",
    "--data=0={}/data.vhd",
    "--data=1={}/log.raw",
    "--name=web",
    "--allow-undecided",
    "--no-config",
    "-o",
    "{}/out",
];

/// Makes a template of a Linux, `web.vhd`.
pub const TEMPLATE: [&str; 8] =
    ["generalize", "{}/web.vhd", "--remove-user=azureuser", "--allow-undecided", "--no-config", "--sha256", "-o", "{}/out"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

#[test]
fn a_data_disk_is_written_whole_or_not_at_all() {
    if !strace::able() {
        return;
    }
    let mut wrong = Vec::new();
    let deep: Vec<&str> = DATA.iter().map(|word| if *word == "{}/out" { "{}/out/of/here" } else { word }).collect();
    Scenario::new("data", data_disk, &deep, remove_out).hold(&mut wrong);
    Scenario::new("data, replaced", data_disk, &with(&DATA, &["--overwrite"]), earlier).hold(&mut wrong);
    let neighbours = |mut scenario: Scenario| {
        scenario.command = scenario.command.clone().always("open:error=EOPNOTSUPP:when=1+");
        scenario
    };
    neighbours(Scenario::new("data, named", data_disk, &DATA, remove_out)).hold(&mut wrong);
    neighbours(Scenario::new("data, named, replaced", data_disk, &with(&DATA, &["--overwrite"]), earlier)).hold(&mut wrong);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_image_of_several_disks_is_written_whole_or_not_at_all() {
    if !strace::able() {
        return;
    }
    let mut wrong = Vec::new();
    Scenario::new("three disks", three_disks, &THREE_DISKS, remove_out).hold(&mut wrong);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_template_is_written_whole_or_not_at_all() {
    if !strace::able() || !linux::able() {
        return;
    }
    let guest = |home: &Path| {
        let work = tempfile::tempdir().unwrap();
        fs::copy(linux_healthy::specialized().write(work.path()), home.join("web.vhd")).unwrap();
    };
    let mut wrong = Vec::new();
    Scenario::new("template", guest, &TEMPLATE, remove_out).hold(&mut wrong);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn reports_are_written_whole_or_not_at_all() {
    if !strace::able() {
        return;
    }
    let disk = |home: &Path| Disk::data(24 * MIB).write_fixed(&home.join("data.vhd"));
    let reset = |home: &Path| {
        for name in ["a.json", "b.jsonl", "c.xml"] {
            fs::write(home.join(name), "an earlier one").unwrap();
        }
    };
    let args = [
        "check",
        "{}/data.vhd",
        "--role=data",
        "--no-config",
        "--report=json={}/a.json",
        "--report=jsonl={}/b.jsonl",
        "--report=junit={}/c.xml",
    ];
    let mut wrong = Vec::new();
    // What the file system says of holes is no part of the disk, and goes into reports.
    let mut scenario = Scenario { skip: &["lseek"], ..Scenario::new("reports", disk, &args, reset) };
    scenario.standing.apart = true;
    scenario.hold(&mut wrong);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_source_is_never_taken_for_an_output_whatever_cannot_be_looked_at() {
    if !strace::able() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    data_disk(home.path());
    fs::hard_link(home.path().join("data.vhd"), home.path().join("same.vhd")).unwrap();
    let before = tree(home.path());
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    for more in
        [vec![at("same.vhd"), "--overwrite".into(), "-o".into(), at("")], vec![at("data.vhd"), format!("--report=json={}", at("same.vhd"))]]
    {
        let write = more.len() > 2;
        let start = if write { vec!["prepare", "--role=data", "--name=data"] } else { vec!["check", "--role=data"] };
        let command = Traced::new(start.into_iter().map(str::to_owned).chain(more));
        let (ran, counts) = command.count();
        assert!(ran.status == Some(2) && ran.err.contains("a source"), "{ran:?}");
        for (call, count) in
            counts.into_iter().filter(|(call, _)| matches!(call.as_str(), "statx" | "newfstatat" | "readlink" | "openat" | "open"))
        {
            let skip = strace::before_it_begins().get(&call).copied().unwrap_or(0);
            for (n, error) in (skip + 1..=count).flat_map(|n| ["EIO", "EACCES"].map(|error| (n, error))) {
                let (ran, _) = command.fail(&call, error, n);
                if ran.status != Some(2) || ran.err.lines().count() != 1 || tree(home.path()) != before {
                    wrong.push(format!("{call} number {n} fails with {error}: {ran:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
