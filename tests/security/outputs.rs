//! What is written: where it goes, whose it replaces, and who may touch it.

use crate::every::run_raw;
use crate::support::{Disk, MIB, is_root, listing, read};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A good source in a directory of its own.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        Disk::data(24 * MIB).write_fixed(&bench.at("web.vhd"));
        bench
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn prepare(&self, more: &[&str]) -> (Option<i32>, String) {
        let args = [&["prepare", "web.vhd", "--role=data"][..], more].concat();
        let (status, _, err) = run_raw(&args, self.dir.path());
        (status, String::from_utf8(err).unwrap())
    }

    /// It was refused in words, and everything is as it was.
    #[track_caller]
    fn refused(&self, more: &[&str], words: &str) {
        let (before, names) = (read(&self.at("web.vhd")), listing(self.dir.path()));
        let (status, err) = self.prepare(more);
        assert_eq!(status, Some(2), "{more:?}: {err}");
        assert!(err.contains(words), "{more:?}: {err}");
        assert!(!err.chars().any(|c| c.is_control() && c != '\n'), "{err:?}");
        assert_eq!(listing(self.dir.path()), names, "{more:?}");
        assert!(read(&self.at("web.vhd")) == before, "{more:?}: the source was changed");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let bench = Bench::new();
    let long = "n".repeat(300);
    for name in ["", ".", "..", "../x", "/tmp/x", "a/b", "a\\b", "-x", ".hidden", "a\nb", "a\u{1b}[2Jb", "C:x", "x.", " ", "ä", &long] {
        bench.refused(&["-o", "out", &format!("--name={name}")], "a name has 1 to 80 letters");
    }
    for name in ["con", "nul", "aux.x", "$(id)"] {
        let (status, err) = bench.prepare(&["-o", "out", "--name", name, "--dry-run"]);
        assert!(matches!(status, Some(0 | 2)), "{name}: {err}");
    }
}

#[test]
fn directories_that_are_none_are_refused_and_links_to_them_are_the_users_choice() {
    let bench = Bench::new();
    fs::write(bench.at("file"), "mine").unwrap();
    symlink("nowhere", bench.at("dangling")).unwrap();
    symlink("dangling", bench.at("dangling2")).unwrap();
    symlink("self", bench.at("self")).unwrap();
    for (out, words) in [("file", "is not a directory"), ("dangling", "dangling"), ("dangling2", "dangling2"), ("self", "self")] {
        bench.refused(&["-o", out], words);
    }
    bench.refused(&["-o", "file/below"], "file");
    fs::create_dir(bench.at("real")).unwrap();
    symlink("real", bench.at("link")).unwrap();
    let (status, err) = bench.prepare(&["-o", "link"]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert_eq!(listing(&bench.at("real")), ["manifest.json", "web.vhd"]);
}

#[test]
fn links_under_the_names_of_outputs_are_replaced_and_not_followed() {
    for (name, hard) in [("web.vhd", false), ("manifest.json", false), ("SHA256SUMS", false), ("web.vhd", true), ("manifest.json", true)] {
        let bench = Bench::new();
        fs::create_dir(bench.at("out")).unwrap();
        fs::write(bench.at("victim"), "precious").unwrap();
        let taken = bench.at("out").join(name);
        if hard {
            fs::hard_link(bench.at("victim"), &taken).unwrap();
        } else {
            symlink("../victim", &taken).unwrap();
        }
        bench.refused(&["-o", "out", "--sha256"], "exists");
        let (status, err) = bench.prepare(&["-o", "out", "--sha256", "--overwrite"]);
        assert_eq!((status, err.as_str()), (Some(0), ""), "{name}");
        assert_eq!(read(&bench.at("victim")), b"precious", "{name}");
        assert!(taken.symlink_metadata().unwrap().is_file() && taken.symlink_metadata().unwrap().nlink() == 1, "{name}");
        assert_eq!(listing(&bench.at("out")), ["SHA256SUMS", "manifest.json", "web.vhd"]);
    }
    // Of a report too.
    let bench = Bench::new();
    fs::write(bench.at("victim"), "precious").unwrap();
    symlink("victim", bench.at("report")).unwrap();
    let (status, _, _) = run_raw(&["check", "web.vhd", "--report=json=report"], bench.dir.path());
    assert_eq!((status, read(&bench.at("victim"))), (Some(0), b"precious".to_vec()));
    assert!(bench.at("report").symlink_metadata().unwrap().is_file());
}

#[test]
fn a_source_is_not_overwritten_by_any_name() {
    let bench = Bench::new();
    fs::create_dir(bench.at("out")).unwrap();
    let words = "never writes on";
    bench.refused(&["-o", ".", "--overwrite"], words);
    bench.refused(&["-o", "out/..", "--overwrite"], words);
    symlink(".", bench.at("here")).unwrap();
    bench.refused(&["-o", "here", "--overwrite"], words);
    for hard in [true, false] {
        let taken = bench.at("out/other.vhd");
        if hard {
            fs::hard_link(bench.at("web.vhd"), &taken).unwrap();
        } else {
            symlink("../web.vhd", &taken).unwrap();
        }
        bench.refused(&["-o", "out", "--name=other", "--overwrite"], words);
        fs::remove_file(&taken).unwrap();
    }
    for name in ["manifest.json", "SHA256SUMS"] {
        fs::hard_link(bench.at("web.vhd"), bench.at("out").join(name)).unwrap();
        bench.refused(&["-o", "out", "--name=other", "--sha256", "--overwrite"], words);
        fs::remove_file(bench.at("out").join(name)).unwrap();
    }
    for report in ["json=web.vhd", "json=./out/../web.vhd"] {
        let (status, _, err) = run_raw(&["check", "web.vhd", "--report", report], bench.dir.path());
        assert!(status == Some(2) && String::from_utf8(err).unwrap().contains("source"), "{report}");
    }
}

/// Runs a preparation under a umask, and the modes that what it made has.
fn modes(umask: &str) -> Option<Vec<(String, u32)>> {
    let bench = Bench::new();
    fs::set_permissions(bench.at("web.vhd"), fs::Permissions::from_mode(0o6777)).unwrap();
    let script = format!("umask {umask}; exec \"$0\" prepare web.vhd --role=data --sha256 -q -o new/out --report json=report");
    let out = Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_vhdkit")]).current_dir(bench.dir.path()).output().unwrap();
    if !out.status.success() {
        assert!(!bench.at("new").exists(), "{umask}: {}", String::from_utf8_lossy(&out.stderr));
        return None;
    }
    let mode = |path: &str| (path.to_owned(), bench.at(path).symlink_metadata().unwrap().mode() & 0o7777);
    Some(["new", "new/out", "new/out/web.vhd", "new/out/manifest.json", "new/out/SHA256SUMS", "report"].map(mode).to_vec())
}

#[test]
fn modes_are_those_of_the_umask_and_never_for_everybody_to_write() {
    for (umask, directory, file) in [("000", 0o775, 0o664), ("022", 0o755, 0o644), ("027", 0o750, 0o640), ("077", 0o700, 0o600)] {
        let modes = modes(umask).unwrap();
        for (path, mode) in modes {
            let wanted = if path.starts_with("new") && !path.contains('.') && !path.contains("SUMS") { directory } else { file };
            assert_eq!(mode, wanted, "{umask}: {path} is {mode:o}");
        }
    }
    // Nobody but root can work in a directory without rights; nothing is left of the attempt.
    let ended = modes("0777");
    assert_eq!(ended.is_some(), is_root());
    assert!(ended.into_iter().flatten().all(|(path, mode)| mode == 0 || path == "new"), "umask 0777");
}

/// What others could see while an output is in the making: nothing with a name, or a hidden file for the owner alone.
#[test]
fn nothing_that_others_may_write_appears_meanwhile() {
    let bench = Bench::new();
    fs::create_dir(bench.at("out")).unwrap();
    let log = bench.at("calls");
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-s",
        "200",
        "-e",
        "trace=open,openat,openat2,creat,mkdir,mkdirat,link,linkat,rename,renameat,renameat2,chmod,fchmod,fchmodat",
        "-o",
    ]);
    strace.arg(&log).arg(env!("CARGO_BIN_EXE_vhdkit"));
    strace.args(["prepare", "web.vhd", "--role=data", "-q", "-o", "out"]).current_dir(bench.dir.path());
    let ran = strace.stdin(Stdio::null()).stderr(Stdio::null()).status();
    let calls = ran.ok().and_then(|_| fs::read_to_string(&log).ok()).filter(|calls| calls.contains("web.vhd"));
    let Some(calls) = calls else {
        eprintln!("SKIPPED: the calls that were made, since strace cannot be run here");
        return;
    };
    let mut made = 0;
    for line in calls.lines().filter(|line| line.contains("O_CREAT") || line.contains("O_TMPFILE")) {
        // With a name only under one that nobody can guess, and never through what stands there.
        assert!(line.contains("O_TMPFILE") || line.contains("O_EXCL"), "{line}");
        assert!(line.contains("0600"), "{line}");
        made += 1;
    }
    assert!(made >= 2, "{calls}");
    for line in calls.lines().filter(|line| line.contains("chmod")) {
        assert!(!line.contains("0666") && !line.contains("0777"), "{line}");
    }
    // Its name comes from a link that fails where something stands, not from an open.
    assert!(calls.lines().any(|line| line.contains("linkat(") || line.contains("rename")), "{calls}");
}
