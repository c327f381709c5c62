//! Time zones, locales, clocks, modes, names and devices: what is written and told follows from the disk alone.

use crate::support::*;
use crate::writes::tree;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files by their names below a directory.
fn files(dir: &Path) -> BTreeMap<PathBuf, String> {
    tree(dir).into_iter().map(|(path, sum)| (path.strip_prefix(dir).unwrap().to_owned(), sum)).collect()
}

#[test]
fn the_same_disk_gives_the_same_bytes_and_words_wherever_and_whenever() {
    let home = tempfile::tempdir().unwrap();
    let (source, out) = (home.path().join("data.raw"), home.path().join("out"));
    Disk::data(24 * MIB).put(6 * MIB, pattern(1, 1 << 20)).write_raw(&source);
    let args: [&OsStr; 6] =
        ["prepare".as_ref(), source.as_os_str(), "--role=data".as_ref(), "--sha256".as_ref(), "-o".as_ref(), out.as_os_str()];
    let ask = |mut command: Command| {
        let ran = run({
            command.args(args);
            command
        });
        let ran = ran.ended(0);
        assert_eq!(ran.err, "");
        let written = files(&out);
        fs::remove_dir_all(&out).unwrap();
        (ran.out, written)
    };
    let wanted = ask(command());
    let mut others: Vec<(String, Command)> = Vec::new();
    for (name, value) in [
        ("TZ", "Pacific/Kiritimati"),
        ("TZ", ":/nowhere"),
        ("LC_ALL", "de_DE.UTF-8"),
        ("LC_ALL", "xx_YY.broken"),
        ("LANG", "ja_JP.SJIS"),
        ("SOURCE_DATE_EPOCH", "86400"),
        ("TMPDIR", "/nowhere"),
        ("HOME", ""),
        ("COLUMNS", "0"),
    ] {
        let mut other = command();
        other.env(name, value);
        others.push((format!("{name}={value}"), other));
    }
    let mut bare = Command::new(env!("CARGO_BIN_EXE_vhdkit"));
    bare.env_clear().stdin(Stdio::null());
    others.push(("no environment".to_owned(), bare));
    let mut gone = Command::new("sh");
    let dir = home.path().join("gone");
    gone.args([
        "-c",
        &format!("mkdir '{0}' && cd '{0}' && rmdir '{0}' && exec \"$0\" \"$@\"", dir.display()),
        env!("CARGO_BIN_EXE_vhdkit"),
    ]);
    others.push(("a working directory that is gone".to_owned(), gone));
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$0\" \"$@\" <&-", env!("CARGO_BIN_EXE_vhdkit")]);
    others.push(("no standard input".to_owned(), closed));
    if Command::new("faketime").args(["2000-01-01", "true"]).output().is_ok_and(|output| output.status.success()) {
        for when in ["1969-07-20 20:17:40", "1999-12-31 23:59:59", "2038-01-19 03:14:08", "2137-01-01 00:00:00"] {
            let mut other = Command::new("faketime");
            other.args([when, env!("CARGO_BIN_EXE_vhdkit")]).stdin(Stdio::null());
            others.push((format!("in {when}"), other));
        }
    } else {
        eprintln!("SKIPPED: clocks that are wrong, since faketime is not here");
    }
    for (name, other) in others {
        let found = ask(other);
        assert!(found == wanted, "{name}: {found:?} instead of {wanted:?}");
    }
}

#[test]
fn a_umask_is_kept_and_keeps_nobody_from_writing() {
    let home = tempfile::tempdir().unwrap();
    let (source, out) = (home.path().join("data.vhd"), home.path().join("out"));
    Disk::data(24 * MIB).write_dynamic(&source);
    // Others may not write whatever the umask allows them.
    for (umask, file) in [("000", 0o664), ("022", 0o644), ("077", 0o600), ("0777", 0)] {
        if umask == "0777" && !is_root() {
            // Not even the owner could put anything into a directory that is made.
            fs::create_dir(&out).unwrap();
        }
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_vhdkit"), "prepare"]);
        run({
            command.arg(&source).args(["--role=data", "--sha256", "-q", "-o"]).arg(&out);
            command
        })
        .ended(0);
        for name in listing(&out) {
            assert_eq!(out.join(&name).metadata().unwrap().permissions().mode() & 0o7777, file, "umask {umask}: {name}");
        }
        if file != 0 || is_root() {
            vhdkit([Path::new("verify"), &out]).ended(0);
        }
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn names_that_are_no_text_are_names() {
    let home = tempfile::tempdir().unwrap();
    let name = |bytes: &[u8]| home.path().join(OsStr::from_bytes(bytes));
    let (source, out, missing) = (name(b"d\xff\x1b[31m\n.vhd"), name(b"o\xfe"), name(b"m\xff\x1b[0m\n.vhd"));
    Disk::data(24 * MIB).write_dynamic(&source);
    let printable = |ran: &Ran| {
        let text = format!("{}{}", ran.out, ran.err);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    };
    for args in [
        vec!["inspect"],
        vec!["check", "--role=data"],
        vec!["check", "--role=data", "--format=json"],
        vec!["check", "--role=data", "--format=junit"],
    ] {
        let with = |path: &Path| args.iter().map(OsString::from).chain([path.as_os_str().to_owned()]).collect::<Vec<_>>();
        let ran = vhdkit(with(&source));
        assert!(matches!(ran.status, Some(0 | 1)) && ran.err.is_empty(), "{ran:?}");
        printable(&ran);
        let ran = vhdkit(with(&missing)).ended(2).complained("No such file");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        printable(&ran);
    }
    let ran = vhdkit([Path::new("prepare"), &source, Path::new("--role=data"), Path::new("-o"), &out]).ended(0);
    printable(&ran);
    printable(&vhdkit([Path::new("verify"), &out]).ended(0));
    vhdkit([OsStr::from_bytes(b"--\xff")]).ended(2);
    vhdkit([OsStr::new("check"), OsStr::from_bytes(b"--waive=\xff"), source.as_os_str()]).ended(2);
}

/// A loop device, until it is dropped.
struct Loop(String);

impl Loop {
    fn over(file: &Path) -> Option<Self> {
        let output =
            Command::new("losetup").args(["-f", "--show", "-r"]).arg(file).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output().ok()?;
        output.status.success().then(|| Self(String::from_utf8(output.stdout).unwrap().trim().to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Command::new("losetup").args(["-d", &self.0]).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").status().unwrap();
    }
}

#[test]
fn a_device_that_fails_is_told() {
    let home = tempfile::tempdir().unwrap();
    let (file, out) = (home.path().join("file"), home.path().join("out"));
    Disk::data(24 * MIB).put(6 * MIB, pattern(1, 12 << 20)).write_raw(&file);
    let Some(device) = Some(&file).filter(|_| is_root()).and_then(|file| Loop::over(file)) else {
        eprintln!("SKIPPED: a device that fails, since there is no loop device to be had");
        return;
    };
    let device = device;
    let prepare = || vhdkit(["prepare", &device.0, "--role=data", "--name=data", "-q", "-o", out.to_str().unwrap()]);
    prepare().ended(0);
    vhdkit([Path::new("verify"), &out]).ended(0);
    fs::remove_dir_all(&out).unwrap();
    // What the device stands on is cut, and what it still remembers forgotten: the kernel answers reads behind the cut with EIO.
    File::options().write(true).open(&file).unwrap().set_len(9 * MIB).unwrap();
    let forgotten = Command::new("blockdev").args(["--flushbufs", &device.0]).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").status();
    if !forgotten.is_ok_and(|status| status.success()) || fs::read(&device.0).is_ok() {
        eprintln!("SKIPPED: a device that fails, since this one does not");
        return;
    }
    for args in [&["inspect"][..], &["check", "--role=data"], &["check", "--no-mmap", "--role=data"]] {
        let ran = vhdkit(args.iter().copied().chain([device.0.as_str()])).ended(2).complained("Input/output error");
        assert!(ran.err.lines().count() == 1 && ran.err.contains(&device.0) && ran.out.is_empty(), "{ran:?}");
    }
    let ran = prepare().ended(2).complained("Input/output error");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    assert_eq!(listing(home.path()), ["file"]);
}
