//! Symlinks of guests: whatever they point at, what is shown is the guest's, on every file system.

use crate::every::{CANARY, reading, run_raw, tells};
use crate::support::{Disk, MIB};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a file system is made of a directory, and its size in MiB.
const KINDS: [(&str, u64, &str); 3] = [
    ("ext4", 24, "mke2fs -q -F -t ext4 -d {tree} {}"),
    ("xfs", 300, "mkfs.xfs -q -f -p {proto} {}"),
    ("btrfs", 110, "mkfs.btrfs -q -f --rootdir {tree} {}"),
];

/// Files that a system is known by or that are read of it, each of which leads out here.
const LEADS_OUT: &[&str] = &[
    "/etc/fstab",
    "/etc/shadow",
    "/etc/passwd",
    "/etc/hostname",
    "/etc/machine-id",
    "/etc/crypttab",
    "/etc/ssh/sshd_config",
    "/etc/waagent.conf",
    "/etc/cloud/cloud.cfg",
    "/etc/default/grub",
    "/boot/grub/grub.cfg",
    "/root/.bash_history",
];

/// A tree whose links all lead to the host's file, one way or another.
fn plant(tree: &Path, victim: &Path) {
    for directory in ["etc/ssh", "etc/cloud", "etc/default", "usr/lib", "usr/bin", "boot/grub", "root", "var/log", "home/x", "loops"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    fs::write(tree.join("usr/lib/os-release"), "ID=debian\nPRETTY_NAME=\"a guest\"\n").unwrap();
    symlink("../usr/lib/os-release", tree.join("etc/os-release")).unwrap();
    let absolute = victim.to_str().unwrap();
    for (number, path) in LEADS_OUT.iter().enumerate() {
        let target = match number % 4 {
            0 => absolute.to_owned(),
            1 => format!("../../../../../../../../../../..{absolute}"),
            2 => format!("/proc/self/root{absolute}"),
            _ => format!("/etc/../../..{absolute}"),
        };
        symlink(target, tree.join(path.trim_start_matches('/'))).unwrap();
    }
    symlink(victim.parent().unwrap(), tree.join("host")).unwrap();
    symlink("/", tree.join("slash")).unwrap();
    symlink("loop", tree.join("loops/loop")).unwrap();
    symlink("b", tree.join("loops/a")).unwrap();
    symlink("a", tree.join("loops/b")).unwrap();
    symlink("deep/deep", tree.join("loops/deep")).unwrap();
    fs::write(tree.join("loops/0"), "the guest's own").unwrap();
    for number in 1..=60 {
        symlink(format!("{}", number - 1), tree.join(format!("loops/{number}"))).unwrap();
    }
}

/// The lines of a directory in a prototype of `mkfs.xfs` (mkfs.xfs(8), `-p`).
fn prototype(directory: &Path) -> String {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    let line = |entry: &fs::DirEntry| {
        let (name, path, kind) = (entry.file_name().into_string().unwrap(), entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            format!("{name} d--755 0 0\n{}$\n", prototype(&path))
        } else if kind.is_symlink() {
            format!("{name} l--777 0 0 {}\n", fs::read_link(&path).unwrap().display())
        } else {
            format!("{name} ---644 0 0 {}\n", path.display())
        }
    };
    entries.iter().map(line).collect()
}

#[test]
fn links_of_guests_stay_in_the_guest() {
    let mut made = 0;
    for (kind, mib, command) in KINDS {
        let work = tempfile::tempdir().unwrap();
        let at = |name: &str| fs::canonicalize(work.path()).unwrap().join(name);
        fs::create_dir(at("host")).unwrap();
        let victim = at("host/victim");
        fs::write(&victim, format!("{CANARY}\nroot:{CANARY}:0:0:{CANARY}:/root:/bin/sh\n")).unwrap();
        plant(&at("tree"), &victim);
        fs::write(at("proto"), format!("/dev/null\n0 0\nd--755 0 0\n{}$\n", prototype(&at("tree")))).unwrap();
        fs::File::create(at("volume")).unwrap().set_len(mib * MIB).unwrap();
        let words = |name: &str| at(name).to_str().unwrap().to_owned();
        let line = [("{tree}", "tree"), ("{proto}", "proto"), ("{}", "volume")]
            .iter()
            .fold(command.to_owned(), |line, (mark, name)| line.replace(mark, &words(name)));
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let out = Command::new("sh").args(["-c", &line]).env("PATH", path).stdin(Stdio::null()).output().unwrap();
        if !out.status.success() {
            eprintln!("SKIPPED: {kind}: {}", String::from_utf8_lossy(&out.stderr).trim());
            continue;
        }
        made += 1;
        let disk = at("disk.raw");
        let mut whole = Disk::blank((mib + 2) * MIB).gpt(&[("0fc63daf-8483-4772-8e79-3d69d8477de4", 2048, mib * 2048)]);
        for (number, piece) in fs::read(at("volume")).unwrap().chunks(4096).enumerate().filter(|(_, piece)| piece.iter().any(|b| *b != 0)) {
            whole = whole.put(MIB + number as u64 * 4096, piece);
        }
        whole.write_raw(&disk);
        fs::remove_dir_all(at("tree")).unwrap();
        let all = reading(&disk, work.path(), &[]);
        for said in &all {
            assert!(!tells(&said.bytes), "{kind}: {} tells what is on the host", said.by);
        }
        assert!(all.iter().any(|said| String::from_utf8_lossy(&said.bytes).contains("a guest")), "{kind}: the guest was not read");
        let ask = |command: &str, path: &str| run_raw(&[command, words("disk.raw").as_str(), path], work.path());
        let mut paths: Vec<String> = LEADS_OUT.iter().map(|path| (*path).to_owned()).collect();
        paths.extend(
            ["host", "host/victim", "slash/host/victim", "loops/loop", "loops/a", "loops/deep", "loops/60"].map(|p| format!("/{p}")),
        );
        paths.extend(["/../../../../../..", "/slash/../.."].map(|way| format!("{way}{}", victim.display())));
        for path in &paths {
            let (status, out, err) = ask("cat", path);
            assert_eq!(status, Some(2), "{kind} {path}: {}", String::from_utf8_lossy(&out));
            assert!(out.is_empty() && String::from_utf8(err).unwrap().starts_with("vhdkit: "), "{kind} {path}");
            let (status, out, _) = ask("ls", path);
            let listed = String::from_utf8(out).unwrap();
            // A link is listed itself, with where it points; nothing behind it.
            assert!(
                !listed.contains(CANARY) && !listed.lines().any(|line| line.ends_with(" victim")),
                "{kind} {path}: {status:?} {listed}"
            );
        }
        // As on Linux: 40 links may follow each other, and no more.
        for (path, status) in [("/loops/40", 0), ("/loops/41", 2), ("/slash/slash/slash/loops/0", 0), ("/../../loops/0", 0)] {
            let (ended, out, _) = ask("cat", path);
            assert_eq!(ended, Some(status), "{kind} {path}");
            assert_eq!(out == b"the guest's own", status == 0, "{kind} {path}");
        }
    }
    if made == 0 {
        eprintln!("SKIPPED: links of guests, since no file system can be made");
    }
}
