//! Ends that come early for an image of several disks, the terminal that goes away, and directories that do not keep still.

use crate::support::*;
use crate::writes::tree;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// An OS disk with two data disks.
struct Set {
    home: tempfile::TempDir,
    sources: PathBuf,
}

impl Set {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let sources = home.path().join("sources");
        fs::create_dir(&sources).unwrap();
        Disk::os(24 * MIB).write_raw(&sources.join("os.raw"));
        Disk::data(24 * MIB).put(6 * MIB, pattern(4, 2 << 20)).write_raw(&sources.join("one.raw"));
        Disk::data(64 * MIB).put(16 * MIB, pattern(5, 4 << 20)).write_dynamic(&sources.join("two.vhd"));
        Self { home, sources }
    }

    fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    /// Two images of the same names that differ in their second data disk.
    fn prepare(&self, second: &str, more: &[&str]) -> Command {
        let data = |lun: u8, name: &str| format!("--data={lun}={}", self.sources.join(name).display());
        let mut command = command();
        command.arg("prepare").arg(self.sources.join("os.raw")).args([data(0, "one.raw"), data(1, second)]);
        command.args(["--as=generalized", "--name=web", "--allow-undecided", "--sha256", "-q", "-o"]).arg(self.out()).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

const NAMES: [&str; 5] = ["SHA256SUMS", "manifest.json", "web-lun0.vhd", "web-lun1.vhd", "web.vhd"];

#[test]
fn an_image_of_several_disks_that_is_ended_at_any_moment_is_whole_or_not_finished() {
    let moments = if crate::full::full() { 200 } else { 12 };
    let set = Set::new();
    let before = tree(&set.sources);
    let began = Instant::now();
    run(set.prepare("two.vhd", &[])).ended(0);
    let whole = began.elapsed();
    assert_eq!(listing(&set.out()), NAMES);
    fs::remove_dir_all(set.out()).unwrap();
    let signals = [(Signal::KILL, None), (Signal::INT, Some(130)), (Signal::TERM, Some(143)), (Signal::HUP, Some(129))];
    let mut tally = [0; 3];
    for moment in 0..moments {
        let mut child = in_the_foreground(set.prepare("two.vhd", &[])).spawn().unwrap();
        std::thread::sleep(whole * moment * 3 / (moments * 2));
        let (signal, status) = signals[moment as usize % signals.len()];
        kill_process(Pid::from_child(&child), signal).ok();
        let ended = wait(&mut child);
        let left = listing(&set.out());
        if left.iter().any(|name| name == "manifest.json") {
            assert_eq!(left, NAMES);
            vhdkit([Path::new("verify"), &set.out()]).ended(0);
            tally[2] += 1;
        } else {
            // Only a kill leaves names without the last one.
            assert!(left.is_empty() || ended.code().is_none(), "{signal:?}: {left:?}");
            assert!(left.iter().all(|name| NAMES.contains(&name.as_str())), "{left:?}");
            assert!(ended.code().is_none() || ended.code() == status, "{signal:?}: {ended:?}");
            tally[usize::from(!left.is_empty())] += 1;
        }
        fs::remove_dir_all(set.out()).ok();
        assert_eq!(listing(set.home.path()), ["sources"], "{signal:?} at moment {moment}");
    }
    eprintln!("{whole:?}: {} empty, {} unfinished, {} finished", tally[0], tally[1], tally[2]);
    assert!(tree(&set.sources) == before);
}

/// The command with the terminal's signal as a shell leaves it, however this test was started.
fn in_the_foreground(command: Command) -> Command {
    if Command::new("env").args(["--default-signal=HUP", "true"]).output().is_ok_and(|output| output.status.success()) {
        through_env(&command, "--default-signal=HUP")
    } else {
        command
    }
}

fn through_env(command: &Command, option: &str) -> Command {
    let mut outer = Command::new("env");
    outer.arg(option).arg(command.get_program()).args(command.get_args());
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    outer
}

#[test]
fn a_terminal_that_goes_away_ends_it_cleanly_and_not_at_all_under_nohup() {
    if !Command::new("env").args(["--default-signal=HUP", "true"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: signals that were ignored before the start, since this env cannot set them");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("endless.raw"), dir.path().join("out"));
    Disk::data(100 * GIB).write_raw(&source);
    let start = |option: &str| -> (Child, BufReader<std::process::ChildStderr>) {
        let mut command = command();
        command.arg("prepare").arg(&source).args(["--role=data", "--sha256", "--progress=json", "-o"]).arg(&out);
        let mut child = through_env(&command, option).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        (child, lines)
    };
    let (mut child, _lines) = start("--default-signal=HUP");
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert_eq!(wait(&mut child).code(), Some(129));
    assert_eq!(listing(dir.path()), ["endless.raw"]);

    let (mut child, mut lines) = start("--ignore-signal=HUP");
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    // It goes on telling of its progress.
    for _ in 0..3 {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.starts_with('{'), "{line}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    assert_eq!(wait(&mut child).code(), Some(143));
    assert_eq!(listing(dir.path()), ["endless.raw"]);
}

#[test]
fn of_two_images_of_the_same_names_one_is_there_and_whole() {
    let set = Set::new();
    let other = set.sources.join("other.vhd");
    Disk::data(64 * MIB).put(20 * MIB, pattern(6, 1 << 20)).write_dynamic(&other);
    for (round, overwrite) in [&[][..], &[], &["--overwrite"], &["--overwrite"]].into_iter().enumerate() {
        let racers = [set.prepare("two.vhd", overwrite).spawn().unwrap(), set.prepare("other.vhd", overwrite).spawn().unwrap()];
        let ran: Vec<Ran> = racers.into_iter().map(finish).collect();
        for ran in &ran {
            assert!(
                matches!(ran.status, Some(0 | 2)) && ran.err.lines().count() == usize::from(ran.status == Some(2)),
                "round {round}: {ran:?}"
            );
        }
        // Those that replace take their turns.
        let won = ran.iter().filter(|ran| ran.status == Some(0)).count();
        assert_eq!(won, if overwrite.is_empty() { 1 } else { 2 }, "round {round}: {ran:?}");
        vhdkit([Path::new("verify"), &set.out()]).ended(0);
        assert_eq!(listing(&set.out()), NAMES, "round {round}: {ran:?}");
        fs::remove_dir_all(set.out()).unwrap();
    }
}

#[test]
fn an_output_directory_that_does_not_keep_still_gets_a_whole_image_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("data.vhd"), dir.path().join("out"));
    Disk::data(24 * MIB).put(6 * MIB, pattern(4, 2 << 20)).write_dynamic(&source);
    for round in 0..if crate::full::full() { 60 } else { 8 } {
        fs::create_dir_all(&out).unwrap();
        let done = AtomicBool::new(false);
        let ran = std::thread::scope(|scope| {
            scope.spawn(|| {
                let other = dir.path().join("moved");
                while !done.load(Ordering::Relaxed) {
                    match round % 4 {
                        0 => drop(fs::remove_dir(&out)),
                        1 => drop((fs::rename(&out, &other), fs::rename(&other, &out))),
                        2 => drop((fs::remove_dir(&out), fs::create_dir(&out))),
                        _ => drop((fs::remove_dir(&out), symlink("nowhere", &out), fs::remove_file(&out))),
                    }
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            });
            let ran = vhdkit([Path::new("prepare"), &source, Path::new("--role=data"), Path::new("-q"), Path::new("-o"), &out]);
            done.store(true, Ordering::Relaxed);
            ran
        });
        match ran.status {
            Some(0) => drop(vhdkit([Path::new("verify"), &out]).ended(0)),
            Some(2) => {
                assert!(ran.err.lines().count() == 1 && ran.err.contains("out"), "round {round}: {ran:?}");
                assert!(listing(&out).is_empty(), "round {round}: {:?} after {ran:?}", listing(&out));
            }
            _ => panic!("round {round}: {ran:?}"),
        }
        fs::remove_dir_all(&out).or_else(|_| fs::remove_file(&out)).ok();
        fs::remove_dir_all(dir.path().join("moved")).ok();
        assert_eq!(listing(dir.path()), ["data.vhd"], "round {round}: {ran:?}");
    }
}

#[test]
fn directories_that_take_no_image_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("data.vhd");
    Disk::data(24 * MIB).write_dynamic(&source);
    let into = |out: &Path| vhdkit([Path::new("prepare"), &source, Path::new("--role=data"), Path::new("-q"), Path::new("-o"), out]);
    let (real, link, dangling) = (dir.path().join("real"), dir.path().join("link"), dir.path().join("dangling"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    symlink("nowhere", &dangling).unwrap();
    into(&link).ended(0);
    vhdkit([Path::new("verify"), &real]).ended(0);
    into(&dangling).ended(2).complained("dangling");
    into(&source).ended(2).complained("is not a directory");
    into(&source.join("below")).ended(2).complained("data.vhd");
    into(&dir.path().join("n".repeat(300))).ended(2).complained("File name too long");
    into(&dir.path().join("n/".repeat(2500))).ended(2).complained("File name too long");
    into(Path::new("/proc/vhdkit")).ended(2).complained("/proc");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o555)).unwrap();
    if !is_root() {
        into(&real.join("new")).ended(2).complained("Permission denied");
    }
    assert_eq!(listing(dir.path()), ["dangling", "data.vhd", "link", "real"]);
    assert!(dangling.symlink_metadata().unwrap().is_symlink());
}
