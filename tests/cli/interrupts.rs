//! Ends that come early, and sources that do not keep still: nothing half done may be left.

use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn prepare(source: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = command();
    command.arg("prepare").arg(source).args(["--role=data", "-o"]).arg(out).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn verified(out: &Path) {
    vhdkit([Path::new("verify"), out]).ended(0);
}

/// A source whose whole digest takes far longer than anybody waits: 100 GiB of zeros.
fn endless(dir: &Path) -> PathBuf {
    let source = dir.join("endless.raw");
    Disk::data(100 * GIB).write_raw(&source);
    source
}

/// A `prepare` that is in the midst of writing.
fn writing(source: &Path, out: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = prepare(source, out, &["--sha256", "--progress", "json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    assert!(first.contains("\"event\":\"write\""), "{first}");
    (child, lines)
}

#[test]
fn an_interrupt_ends_it_with_its_own_status_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = endless(dir.path());
    for there in [false, true] {
        for (which, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let out = dir.path().join("out");
            if there {
                fs::create_dir(&out).unwrap();
            }
            let (mut child, lines) = writing(&source, &out);
            assert!(listing(&out).is_empty(), "nothing has a name before it is finished");
            signal(&child, which);
            assert_eq!(wait(&mut child).code(), Some(status));
            let said: Vec<String> = lines.filter(|line| !line.starts_with('{')).collect();
            assert!(!said.iter().any(|line| line.contains("panicked")), "{said:?}");
            assert_eq!(out.exists(), there);
            assert!(listing(&out).is_empty(), "{:?}", listing(&out));
            if there {
                fs::remove_dir(&out).unwrap();
            }
            assert_eq!(listing(dir.path()), ["endless.raw"]);
        }
    }
}

#[test]
fn a_second_interrupt_ends_it_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let source = endless(dir.path());
    let out = dir.path().join("out");
    let (mut child, _lines) = writing(&source, &out);
    signal(&child, Signal::INT);
    // It may be gone by now.
    kill_process(Pid::from_child(&child), Signal::INT).ok();
    assert_eq!(wait(&mut child).code(), Some(130));
    assert!(!out.exists());
    assert_eq!(listing(dir.path()), ["endless.raw"]);
}

#[test]
fn an_interrupt_ends_verify_too() {
    let dir = tempfile::tempdir().unwrap();
    let source = endless(dir.path());
    let out = dir.path().join("out");
    run(prepare(&source, &out, &[])).ended(0);
    // A digest that must be made of all its bytes; that it is the wrong one would only show at the end.
    let manifest = out.join("manifest.json");
    let text = String::from_utf8(read(&manifest)).unwrap();
    fs::write(&manifest, text.replace("\"sha256\": null", &format!("\"sha256\": \"{}\"", "0".repeat(64)))).unwrap();
    let mut child = command();
    child.arg("verify").arg(&out).args(["--progress", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("\"event\":\"verify\""));
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(143));
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_or_a_whole_image() {
    const MOMENTS: u32 = 40;
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("disk.vhd");
    Disk::data(192 * MIB).put(60 * MIB, pattern(5, 6 << 20)).write_dynamic(&source);
    let before = Sha256::digest(read(&source));
    let out = dir.path().join("out");

    let started = Instant::now();
    run(prepare(&source, &out, &["--sha256"])).ended(0);
    let whole = started.elapsed();
    fs::remove_dir_all(&out).unwrap();

    let (mut empty, mut finished, mut unfinished) = (0, 0, 0);
    for moment in 0..MOMENTS {
        let mut child = prepare(&source, &out, &["--sha256"]).spawn().unwrap();
        // And past the end, so that the last steps are met as well, however busy the machine is now.
        std::thread::sleep(whole * moment * 3 / (MOMENTS * 2));
        child.kill().unwrap();
        wait(&mut child);
        let left = listing(&out);
        if left.is_empty() {
            empty += 1;
        } else if left.iter().any(|name| name == "manifest.json") {
            assert_eq!(left, ["SHA256SUMS", "disk.vhd", "manifest.json"]);
            verified(&out);
            finished += 1;
        } else {
            // Between two names: what has one is whole, and the manifest that would call the image finished is missing.
            assert!(left.iter().all(|name| name == "disk.vhd" || name == "SHA256SUMS"), "{left:?}");
            vhdkit([Path::new("check"), &out.join("disk.vhd")]).ended(0);
            vhdkit([Path::new("verify"), &out]).ended(2).complained("holds no finished image");
            unfinished += 1;
        }
        if out.exists() {
            fs::remove_dir_all(&out).unwrap();
        }
        assert_eq!(listing(dir.path()), ["disk.vhd"], "killed at moment {moment}");
    }
    eprintln!("{whole:?}: {empty} empty, {unfinished} unfinished, {finished} finished");
    assert!(empty > 0, "no kill came before the end");
    assert!(Sha256::digest(read(&source)) == before, "the source was changed");
}

#[test]
fn a_kill_while_an_image_is_replaced_leaves_the_old_or_the_new_or_none_that_is_finished() {
    const MOMENTS: u32 = 12;
    let dir = tempfile::tempdir().unwrap();
    let (old, new, out) = (dir.path().join("old.vhd"), dir.path().join("new.vhd"), dir.path().join("out"));
    Disk::data(64 * MIB).write_dynamic(&old);
    Disk::data(64 * MIB).put(30 * MIB, pattern(8, 100_000)).write_dynamic(&new);
    let started = Instant::now();
    run(prepare(&new, &out, &["--name", "x", "--sha256"])).ended(0);
    let whole = started.elapsed();
    for moment in 0..MOMENTS {
        run(prepare(&old, &out, &["--name", "x", "--sha256", "--overwrite"])).ended(0);
        let mut child = prepare(&new, &out, &["--name", "x", "--sha256", "--overwrite"]).spawn().unwrap();
        std::thread::sleep(whole * moment * 3 / (MOMENTS * 2));
        child.kill().unwrap();
        wait(&mut child);
        if out.join("manifest.json").exists() {
            verified(&out);
        } else {
            vhdkit([Path::new("verify"), &out]).ended(2).complained("holds no finished image");
        }
        // A name that is taken is replaced through a hidden one, which a kill between the two leaves.
        for name in listing(&out).iter().filter(|name| name.starts_with(".vhdkit-")) {
            fs::remove_file(out.join(name)).unwrap();
        }
        assert!(listing(&out).iter().all(|name| ["SHA256SUMS", "manifest.json", "x.vhd"].contains(&name.as_str())), "{:?}", listing(&out));
    }
}

#[test]
fn of_two_that_write_the_same_image_one_wins() {
    for round in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let (source, out) = (dir.path().join("disk.vhd"), dir.path().join("out"));
        Disk::data(64 * MIB).write_dynamic(&source);
        let racers: Vec<Child> = (0..2).map(|_| prepare(&source, &out, &["--sha256"]).spawn().unwrap()).collect();
        let mut ran: Vec<Ran> = racers.into_iter().map(finish).collect();
        ran.sort_by_key(|ran| ran.status);
        assert_eq!(ran.iter().map(|ran| ran.status).collect::<Vec<_>>(), [Some(0), Some(2)], "round {round}: {ran:?}");
        assert!(ran[1].err.contains("exists"), "{}", ran[1].err);
        assert_eq!(listing(&out), ["SHA256SUMS", "disk.vhd", "manifest.json"]);
        verified(&out);
    }
}

/// Prepares from a source that somebody does something to, over and over; `Some` is the image's directory where there is one.
fn disturbed(source: &Path, out: &Path, more: &[&str], disturb: impl Fn(&File, u64) + Sync) -> Ran {
    let file = File::options().read(true).write(true).open(source).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                disturb(&file, round);
                round += 1;
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let ran = run(prepare(source, out, more));
        done.store(true, Ordering::Relaxed);
        ran
    })
}

#[test]
fn a_source_that_does_not_keep_still_is_never_published_wrong() {
    const SIZE: u64 = 48 * MIB;
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("disk.vhd"), dir.path().join("out"));
    type Disturbance = fn(&File, u64);
    let rewrite: Disturbance = |file, round| file.write_all_at(&[round as u8; 4096], 30 * MIB + round % 64 * 4096).unwrap();
    let truncate: Disturbance = |file, round| file.set_len(if round % 2 == 0 { 10 * MIB } else { SIZE + 512 }).unwrap();
    let extend: Disturbance = |file, round| file.set_len(SIZE + 512 + round % 1000 * 512).unwrap();
    let shrink: Disturbance = |file, round| {
        if round == 5 {
            file.set_len(MIB).unwrap();
        }
    };
    for (name, disturbance) in [("rewrite", rewrite), ("truncate", truncate), ("extend", extend), ("shrink", shrink)] {
        for more in [&[][..], &["--no-mmap"], &["--sha256"]] {
            let mut disk = Disk::data(SIZE);
            disk = disk.put(4 * MIB, pattern(6, 20 << 20));
            disk.write_fixed(&source);
            let ran = disturbed(&source, &out, more, disturbance);
            match ran.status {
                Some(0) => {
                    // It was over before the first disturbance, or what it read was of one moment.
                    verified(&out);
                    fs::remove_dir_all(&out).unwrap();
                }
                // A cut file is not a VHD: judged so, and nothing is written.
                Some(1) => assert!(name != "rewrite" && ran.out.contains("nothing was written"), "{name}: {ran:?}"),
                Some(2) => {
                    assert_eq!(ran.err.lines().count(), 1, "{name}: {}", ran.err);
                    assert!(ran.err.starts_with("vhdkit: ") && ran.err.contains("disk.vhd"), "{name}: {}", ran.err);
                }
                _ => panic!("{name}: {ran:?}"),
            }
            assert!(!out.exists(), "{name} left {:?}", listing(&out));
            assert_eq!(listing(dir.path()), ["disk.vhd"], "{name}");
        }
    }
}

#[test]
fn a_source_that_shrinks_while_it_is_written_out_is_status_2() {
    let dir = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--no-mmap"]] {
        let source = dir.path().join("long.raw");
        // Zeros first, which take their time to be hashed, then data that will be gone when it is wanted.
        Disk::data(5 * GIB).put(4 * GIB, pattern(7, 1 << 20)).write_raw(&source);
        let out = dir.path().join("out");
        let mut child = prepare(&source, &out, &["--sha256", "--progress", "json"]).args(more).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.next().unwrap().starts_with('{'));
        File::options().write(true).open(&source).unwrap().set_len(GIB).unwrap();
        // What was read before the cut cannot be known; that it is told in the end can.
        let said: Vec<String> = lines.filter(|line| !line.starts_with('{')).collect();
        assert_eq!(wait(&mut child).code(), Some(2));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("shrank") || said[0].contains("its length went from"), "{said:?}");
        assert!(!out.exists());
    }
}

#[test]
fn a_run_waits_for_its_turn_in_a_directory_and_can_be_ended_while_it_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("data.vhd"), dir.path().join("out"));
    Disk::data(24 * MIB).put(6 * MIB, pattern(4, 100_000)).write_dynamic(&source);
    fs::create_dir(&out).unwrap();
    for ended in [Some(Signal::INT), None] {
        let turn = File::open(&out).unwrap();
        turn.lock().unwrap();
        let mut child = prepare(&source, &out, &["-q"]).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(2));
        assert!(child.try_wait().unwrap().is_none() && listing(&out).is_empty());
        match ended {
            Some(which) => signal(&child, which),
            None => turn.unlock().unwrap(),
        }
        assert_eq!(wait(&mut child).code(), Some(if ended.is_some() { 130 } else { 0 }));
        assert_eq!(listing(&out).is_empty(), ended.is_some());
    }
    verified(&out);
}
