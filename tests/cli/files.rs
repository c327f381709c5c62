//! Files that are none, or not to be had, or not to be written.

use crate::support::*;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Somebody who owns nothing.
const NOBODY: u32 = 65_534;

/// The binary for somebody who is not root; `None`, loudly, where that cannot be.
fn as_nobody(about: &str) -> Option<Command> {
    let mut command = command();
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
        let mut trial = Command::new(env!("CARGO_BIN_EXE_vhdkit"));
        let trial = trial.arg("--version").uid(NOBODY).gid(NOBODY).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !trial.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: {about}; root may do everything, and nobody else can run the binary");
            return None;
        }
    }
    Some(command)
}

/// A directory that others can reach.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn what_cannot_be_read_is_status_2_with_its_path_and_reason() {
    let dir = open_dir();
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let dangling = dir.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let around = dir.path().join("around");
    symlink("around", &around).unwrap();
    let out = dir.path().join("out");
    for (path, reason) in [
        (dir.path().join("missing.vhd"), "No such file"),
        (dir.path().to_owned(), "it is a directory"),
        (fifo, "named pipe"),
        (socket, "socket"),
        (dangling, "No such file"),
        (around, "symbolic links"),
        (PathBuf::from("/dev/zero"), "character device"),
        (PathBuf::from("/dev/null"), "character device"),
        (dir.path().join("a").join("b"), "No such file"),
        (PathBuf::from("x".repeat(5000)), "too long"),
    ] {
        for args in [&["inspect"][..], &["check"], &["check", "--no-mmap"], &["prepare", "--role", "data", "-o", out.to_str().unwrap()]] {
            let ran = vhdkit(args.iter().map(OsStr::new).chain([path.as_os_str()])).ended(2).complained("cannot open").complained(reason);
            assert_eq!((ran.out.as_str(), ran.err.lines().count()), ("", 1), "{args:?} {path:?}");
        }
        vhdkit([OsStr::new("verify"), path.as_os_str()]).ended(2).complained("cannot read");
    }
    assert!(!out.exists());
}

#[test]
fn a_file_without_the_right_to_read_it_is_status_2() {
    let dir = open_dir();
    let disk = dir.path().join("secret.vhd");
    Disk::data(24 * MIB).write_fixed(&disk);
    fs::set_permissions(&disk, fs::Permissions::from_mode(0o000)).unwrap();
    let Some(mut command) = as_nobody("a file that may not be read") else { return };
    command.arg("check").arg(&disk);
    run(command).ended(2).complained("secret.vhd").complained("Permission denied");
}

#[test]
fn a_path_that_is_not_utf_8_is_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join(OsStr::from_bytes(b"disk\xff\n\x1b[31m.vhd"));
    Disk::data(24 * MIB).write_fixed(&disk);
    let document = vhdkit([OsStr::new("inspect"), disk.as_os_str(), OsStr::new("--format=json")]).ended(0).json();
    assert!(document["disks"][0]["path"].as_str().unwrap().contains("disk\u{fffd}"));
    let text = vhdkit([OsStr::new("check"), disk.as_os_str()]).ended(0).out;
    assert!(!text.contains('\x1b'), "no name from outside controls the terminal: {text:?}");
    let out = dir.path().join("out");
    vhdkit([OsStr::new("prepare"), disk.as_os_str(), OsStr::new("--role=data"), OsStr::new("-o"), out.as_os_str()]).ended(0);
    vhdkit([OsStr::new("verify"), out.as_os_str()]).ended(0);
    // And where it is written to.
    let out = dir.path().join(OsStr::from_bytes(b"out\xfe"));
    vhdkit([OsStr::new("prepare"), disk.as_os_str(), OsStr::new("--role=data"), OsStr::new("-o"), out.as_os_str()]).ended(0);
    vhdkit([OsStr::new("verify"), out.as_os_str()]).ended(0);
    let missing = dir.path().join(OsStr::from_bytes(b"\x1b]0;gone\x07"));
    let ran = vhdkit([OsStr::new("check"), missing.as_os_str()]).ended(2);
    assert!(!ran.err.contains('\x1b') && !ran.err.contains('\x07'), "{:?}", ran.err);
    for option in ["--report=json=", "--data=0="] {
        let mut option = OsString::from(option);
        option.push(OsStr::from_bytes(b"\xff.json"));
        let ran = vhdkit([OsStr::new("check"), disk.as_os_str(), &option]);
        assert_eq!(ran.status, Some(2), "{}", ran.err);
    }
}

#[test]
fn files_of_a_few_bytes_have_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.vhd");
    for length in [0, 1, 2, 510, 511, 512, 513, 1023, 1024, 1025] {
        for byte in [0_u8, b'c', 0xff] {
            fs::write(&path, vec![byte; length]).unwrap();
            vhdkit([OsStr::new("inspect"), path.as_os_str()]).ended(0);
            vhdkit([OsStr::new("check"), path.as_os_str()]).ended(1).said("VHD001");
            let out = dir.path().join("out");
            let ran = vhdkit(["prepare", path.to_str().unwrap(), "--role", "data", "-o", out.to_str().unwrap()]);
            // Any bytes are a raw disk, and it is grown to the smallest that Azure takes; what is a file of another kind is not.
            if ran.status == Some(0) {
                vhdkit([OsStr::new("verify"), out.as_os_str()]).ended(0);
                fs::remove_dir_all(&out).unwrap();
            } else {
                ran.ended(1);
                assert!(!out.exists(), "{length} bytes");
            }
        }
    }
}

/// A disk, and a directory for its image.
struct Bench {
    dir: tempfile::TempDir,
    disk: PathBuf,
    before: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let dir = open_dir();
        let disk = dir.path().join("disk.vhd");
        Disk::data(24 * MIB).write_dynamic(&disk);
        let before = read(&disk);
        Self { dir, disk, before }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn prepare(&self, out: &Path, more: &[&str]) -> Ran {
        let mut command = command();
        command.arg("prepare").arg(&self.disk).args(["--role", "data", "-o"]).arg(out).args(more);
        run(command)
    }

    #[track_caller]
    fn source_is_untouched(&self) {
        assert!(read(&self.disk) == self.before, "the source was changed");
    }
}

#[test]
fn an_output_that_exists_is_refused_and_overwrite_replaces_it() {
    let bench = Bench::new();
    let out = bench.at("out");
    for name in ["disk.vhd", "manifest.json", "SHA256SUMS"] {
        fs::create_dir(&out).unwrap();
        fs::write(out.join(name), "mine").unwrap();
        bench.prepare(&out, &["--sha256"]).ended(2).complained(name).complained("exists").complained("--overwrite");
        assert_eq!((listing(&out), read(&out.join(name))), (vec![name.to_owned()], b"mine".to_vec()));
        bench.prepare(&out, &["--sha256", "--overwrite"]).ended(0);
        assert_eq!(listing(&out), ["SHA256SUMS", "disk.vhd", "manifest.json"]);
        vhdkit([OsStr::new("verify"), out.as_os_str()]).ended(0);
        // And once more over its own.
        bench.prepare(&out, &[]).ended(2).complained("exists");
        bench.prepare(&out, &["--sha256", "--overwrite"]).ended(0);
        fs::remove_dir_all(&out).unwrap();
    }
    // A file that is none of the image's stays.
    fs::create_dir(&out).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    bench.prepare(&out, &[]).ended(0);
    assert_eq!(listing(&out), ["disk.vhd", "manifest.json", "notes.txt"]);
    bench.source_is_untouched();
}

#[test]
fn an_output_on_a_source_is_refused_however_it_is_reached() {
    let bench = Bench::new();
    let here = bench.dir.path().to_owned();
    let refused = |out: &Path, more: &[&str]| {
        for overwrite in [&[][..], &["--overwrite"]] {
            let args: Vec<&str> = more.iter().chain(overwrite).copied().collect();
            bench.prepare(out, &args).ended(2);
            bench.source_is_untouched();
        }
    };
    refused(&here, &[]);
    bench.prepare(&here, &["--overwrite"]).ended(2).complained("is a source itself");
    let other = bench.at("other");
    symlink(&here, &other).unwrap();
    refused(&other, &[]);
    let named = bench.at("named");
    fs::create_dir(&named).unwrap();
    symlink(&bench.disk, named.join("soft.vhd")).unwrap();
    refused(&named, &["--name", "soft"]);
    fs::hard_link(&bench.disk, named.join("hard.vhd")).unwrap();
    bench.prepare(&named, &["--name", "hard"]).ended(2);
    bench.prepare(&named, &["--name", "hard", "--overwrite"]).ended(2).complained("is a source itself");
    bench.source_is_untouched();
    assert_eq!(listing(&named), ["hard.vhd", "soft.vhd"]);
    assert_eq!(listing(&here), ["disk.vhd", "named", "other"]);

    // The source as a link, the output where the link leads.
    let link = bench.at("link.vhd");
    symlink(&bench.disk, &link).unwrap();
    let ran = vhdkit(["prepare", link.to_str().unwrap(), "--role=data", "--overwrite", "--name=disk", "-o", here.to_str().unwrap()]);
    ran.ended(2).complained("is a source itself");
    bench.source_is_untouched();
}

#[test]
fn an_output_on_a_parent_of_the_source_is_refused() {
    let bench = Bench::new();
    let child = bench.at("child.vhd");
    Disk::blank(24 * MIB).put(10 * MIB, pattern(9, 5000)).write_differencing(&child, "disk.vhd");
    let here = bench.dir.path().to_str().unwrap();
    let args = ["prepare", child.to_str().unwrap(), "--role=data", "--name=disk", "-o", here, "--overwrite"];
    vhdkit(args).ended(2).complained("source");
    bench.source_is_untouched();
}

#[test]
fn an_output_directory_that_is_none_or_takes_nothing() {
    let bench = Bench::new();
    let file = bench.at("file");
    fs::write(&file, "mine").unwrap();
    bench.prepare(&file, &[]).ended(2).complained("is not a directory");
    bench.prepare(&file.join("below"), &[]).ended(2).complained("below");
    bench.prepare(Path::new("/proc/nothing/here"), &[]).ended(2);
    assert_eq!(read(&file), b"mine");
    // Directories that are missing are made.
    let deep = bench.at("a/b/c");
    bench.prepare(&deep, &[]).ended(0);
    assert_eq!(listing(&deep), ["disk.vhd", "manifest.json"]);

    let closed = bench.at("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    if let Some(mut command) = as_nobody("a directory that may not be written") {
        command.arg("prepare").arg(&bench.disk).args(["--role=data", "-o"]).arg(&closed);
        run(command).ended(2).complained("closed").complained("Permission denied");
        assert!(listing(&closed).is_empty());
    }
    bench.source_is_untouched();
}

#[test]
fn a_limit_on_the_size_of_files_is_status_2_and_leaves_nothing() {
    let bench = Bench::new();
    for limit in ["8", "20000"] {
        let out = bench.at("out");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -f {limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_vhdkit"), "prepare"]);
        command.arg(&bench.disk).args(["--role=data", "--sha256", "-o"]).arg(&out);
        let ran = run(command).ended(2).complained("File too large");
        assert!(ran.err.contains("disk.vhd"), "{}", ran.err);
        assert!(!out.exists());
        assert_eq!(listing(bench.dir.path()), ["disk.vhd"]);
    }
    bench.source_is_untouched();
}

#[test]
fn a_report_never_takes_the_place_of_a_source() {
    let bench = Bench::new();
    let child = bench.at("child.vhd");
    Disk::blank(24 * MIB).put(10 * MIB, pattern(9, 5000)).write_differencing(&child, "disk.vhd");
    fs::hard_link(&bench.disk, bench.at("hard.vhd")).unwrap();
    symlink(&bench.disk, bench.at("soft.vhd")).unwrap();
    let before = listing(bench.dir.path());
    for command in ["check", "inspect"] {
        for (disk, report) in
            [(&bench.disk, "disk.vhd"), (&bench.disk, "hard.vhd"), (&bench.disk, "soft.vhd"), (&child, "child.vhd"), (&child, "disk.vhd")]
        {
            let report = format!("json={}", bench.at(report).display());
            let ran = vhdkit([command, disk.to_str().unwrap(), "--report", &report]).ended(2).complained("it is a source");
            assert_eq!(ran.out, "");
            bench.source_is_untouched();
        }
        // Replaced by a file, a device would be gone for everybody.
        let fifo = bench.at("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        vhdkit([command, bench.disk.to_str().unwrap(), "--report", &format!("json={}", fifo.display())])
            .ended(2)
            .complained("something stands there that is not a file");
        fs::remove_file(&fifo).unwrap();
    }
    assert_eq!(listing(bench.dir.path()), before);
    let data = format!("0={}", bench.disk.display());
    let report = format!("json={}", bench.disk.display());
    vhdkit(["check", child.to_str().unwrap(), "--data", &data, "--report", &report]).ended(2).complained("it is a source");
    bench.source_is_untouched();
}

/// A file system of a few MiB, gone with the value.
struct Tiny(PathBuf);

impl Drop for Tiny {
    fn drop(&mut self) {
        crate::unmount::unmount(&self.0);
    }
}

#[test]
fn a_full_disk_is_status_2_and_leaves_nothing() {
    let bench = Bench::new();
    let mounted = bench.at("tiny");
    fs::create_dir(&mounted).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&mounted).stderr(Stdio::null()).status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a full disk; no file system can be mounted here");
        return;
    }
    let tiny = Tiny(mounted.clone());
    let out = mounted.join("out");
    let ran = bench.prepare(&out, &["--progress", "none"]).ended(2).complained("disk.vhd").complained("No space left");
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(listing(&mounted).is_empty());
    // What is there stays when it was to be replaced.
    fs::create_dir(&out).unwrap();
    fs::write(out.join("disk.vhd"), "mine").unwrap();
    fs::write(out.join("manifest.json"), "mine").unwrap();
    bench.prepare(&out, &["--overwrite"]).ended(2);
    assert_eq!(listing(&out), ["disk.vhd", "manifest.json"]);
    assert_eq!((read(&out.join("disk.vhd")), read(&out.join("manifest.json"))), (b"mine".to_vec(), b"mine".to_vec()));
    // A report that does not fit.
    fs::write(out.join("disk.vhd"), vec![1; 200 << 10]).unwrap();
    let report = format!("json={}", mounted.join("report.json").display());
    vhdkit(["check", bench.disk.to_str().unwrap(), "-v", "--report", &report, "--report", &format!("text={}", bench.at("t").display())]);
    drop(tiny);
    bench.source_is_untouched();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let bench = Bench::new();
    // Enough for more than any pipe takes.
    let disks = vec![bench.disk.clone(); 60];
    for args in [&["inspect", "-v"][..], &["inspect", "--format", "json"], &["rules"], &["man"], &["completions", "zsh"]] {
        let mut command = command();
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        if args[0] == "inspect" {
            command.args(&disks);
        }
        let mut child = command.spawn().unwrap();
        let mut few = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut few).unwrap();
        let ran = finish(child);
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{args:?}");
    }
    // Closed before a word is said.
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" inspect \"$1\" | true; exit 0", env!("CARGO_BIN_EXE_vhdkit")]).arg(&bench.disk);
    assert_eq!(run(command).ended(0).err, "");
    // A full device is a failure, though.
    if let Ok(full) = fs::File::options().write(true).open("/dev/full") {
        let mut command = self::command();
        let child = command.arg("inspect").arg(&bench.disk).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        finish(child).ended(2).complained("standard output").complained("No space left");
    }
}
