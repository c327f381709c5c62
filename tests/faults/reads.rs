//! Every call about a source, failing once: the command says so, or it says what it says of the source when all goes well.

use crate::full::full;
use crate::fuzzing::Dice;
use crate::strace::{self, Traced};
use crate::support::{Disk, MIB, Ran, pattern, vhdkit};
use crate::writes::tree;
use crate::{linux, linux_healthy, truth};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Asks with every call about a file failing, or a few of each kind.
fn hold(name: &str, args: &[&str], about: &Path, wrong: &mut Vec<String>) {
    let command = Traced::new(args.iter().copied()).about(about);
    let (ran, counts) = command.count();
    assert!(matches!(ran.status, Some(0 | 1)), "{name}: {ran:?}");
    let healthy: Value = serde_json::from_str(&ran.out).unwrap();
    let mut dice = Dice(counts.values().sum());
    let (mut runs, mut refused) = (0, 0);
    for (call, count) in counts {
        let few = if full() { count } else { count.min(if call == "pread64" { 5 } else { 2 }) };
        for n in 1..=few {
            let n = if few == count { n } else { 1 + dice.below(count) };
            let error = dice.pick(strace::errors(&call));
            let (ran, hit) = command.fail(&call, error, n);
            runs += u64::from(hit);
            let what = format!("{name}: {call} number {n} fails with {error}");
            refused += u64::from(judge(&what, &ran, &healthy, &[about.file_name().unwrap().to_str().unwrap()], wrong));
        }
    }
    eprintln!("{name:32} {runs} faults, {refused} refused");
}

/// Holds what is said of a source that could not be read against what is said of it when it can; whether it is refused. The error names
/// one of the files.
pub fn judge(what: &str, ran: &Ran, healthy: &Value, files: &[&str], wrong: &mut Vec<String>) -> bool {
    match ran.status {
        Some(2) => {
            let names_it = files.iter().any(|file| ran.err.contains(file));
            if ran.err.lines().count() != 1 || !ran.err.starts_with("vhdkit: ") || !names_it {
                wrong.push(format!("{what}: says {:?}", ran.err));
            }
            return true;
        }
        status @ Some(0 | 1) => match serde_json::from_str(&ran.out) {
            Err(error) => wrong.push(format!("{what}: {error} in {:?}, {:?}", ran.out, ran.err)),
            Ok(told) => {
                wrong.extend(truth::lies(healthy, &told).into_iter().map(|lie| format!("{what}: {lie}")));
                if !ran.err.is_empty() {
                    wrong.push(format!("{what}: status {status:?}, and says {:?}", ran.err));
                }
            }
        },
        status => wrong.push(format!("{what}: ended as {status:?}: {:?}", ran.err)),
    }
    false
}

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn sources_that_cannot_be_read_are_not_judged_by_what_is_left() {
    if !strace::able() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let (fixed, dynamic, base, child) = (at("fixed.vhd"), at("dynamic.vhd"), at("base.vhd"), at("child.vhd"));
    Disk::os(24 * MIB).write_fixed(&fixed);
    Disk::os(24 * MIB).write_dynamic(&dynamic);
    Disk::data(24 * MIB).write_dynamic(&base);
    Disk::blank(24 * MIB).put(10 * MIB, pattern(9, 5000)).write_differencing(&child, "base.vhd");
    let mut disks: Vec<(PathBuf, PathBuf)> =
        vec![(fixed.clone(), fixed), (dynamic.clone(), dynamic), (child.clone(), child.clone()), (child, base)];
    if linux::able() {
        let work = tempfile::tempdir().unwrap();
        fs::copy(linux_healthy::specialized().write(work.path()), at("linux.vhd")).unwrap();
        disks.push((at("linux.vhd"), at("linux.vhd")));
    }
    let before = tree(home.path());
    let mut wrong = Vec::new();
    for (disk, about) in &disks {
        for (number, args) in
            [&["inspect"][..], &["check", "--no-config"], &["prepare", "--role=data", "--dry-run", "--no-config"]].into_iter().enumerate()
        {
            if number == 0 && !full() {
                continue;
            }
            let name = format!("{}, {} ({})", args[0], words(disk).rsplit('/').next().unwrap(), words(about).rsplit('/').next().unwrap());
            hold(&name, &[args, &["--format=json", words(disk)]].concat(), about, &mut wrong);
        }
    }
    assert_eq!(tree(home.path()), before);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_image_that_cannot_be_read_is_not_verified() {
    if !strace::able() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (disk, out) = (home.path().join("data.vhd"), home.path().join("out"));
    Disk::data(24 * MIB).put(6 * MIB, pattern(1, 3_000_000)).write_dynamic(&disk);
    vhdkit(["prepare", words(&disk), "--role=data", "--sha256", "-q", "-o", words(&out)]).ended(0);
    let before = tree(home.path());
    let mut wrong = Vec::new();
    for more in [&[][..], &["--no-mmap"]] {
        for about in ["data.vhd", "manifest.json"] {
            let args = [&["verify", "--format=json", words(&out)], more].concat();
            hold(&format!("verify {more:?} ({about})"), &args, &out.join(about), &mut wrong);
        }
    }
    assert_eq!(tree(home.path()), before);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
