//! What is removed is nowhere on what is written: every byte is searched, free space, journals and the rest of blocks too.
//!
//! A small Linux full of marked secrets is made on ext4, XFS and Btrfs; real disks (see `generalize_oracle.rs`) are taken where they are,
//! and searched for what they themselves hold. Out of scope are secrets in files that stay (an application's own configuration), copies
//! that a snapshot keeps, and the EFI system partition, which nothing writes to. Without the programs that make file systems, and without
//! the disks, the tests say SKIPPED and pass.
#![cfg(unix)]
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic, and says what it skips"
)]

#[path = "planted/linux.rs"]
mod linux;
#[path = "planted/linux_healthy.rs"]
mod linux_healthy;
#[path = "planted/ready.rs"]
mod ready;
#[path = "support/mod.rs"]
mod support;

use linux::{Guest, Node, ROOT_UUID};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::{Disk, MIB, vhdkit};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::generalize::{self, System, Wishes};
use vhdkit::inspect::{Inspected, Options, disk};
use vhdkit::trim;

/// What every planted secret begins with.
const MARK: &str = "Pl4ntedS3cret";
/// Names the machine, in a file and in the name of its journal.
const MACHINE: &str = "8f3c1d2e4b5a69788796a5b4c3d2e1f0";
/// How a file system is made, its size in MiB, and how it is checked.
const KINDS: [(&str, u64, &str, &[&str]); 3] = [
    ("ext4", 24, "mke2fs -q -F -t ext4 -U {uuid} -d {tree} {}", &["e2fsck", "-fn"]),
    ("xfs", 300, "mkfs.xfs -q -f -m uuid={uuid} -p {proto} {}", &["xfs_repair", "-n"]),
    ("btrfs", 110, "mkfs.btrfs -q -f -U {uuid} --rootdir {tree} {}", &["btrfs", "check"]),
];

/// A machine that has been in use.
fn used() -> Guest {
    let mut guest = linux_healthy::specialized();
    let shadow = format!(
        "root:$6$salt${MARK}Root:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nazureuser:$6$salt${MARK}User:20000:0:99999:7:::\n"
    );
    let many = |name: &str| (0..400).map(|number| format!("{MARK}{name}{number:04} and so on\n")).collect::<String>();
    guest
        .mode("/etc/shadow", &shadow, 0o640)
        .mode("/etc/shadow-", shadow.replace("User", "Former"), 0o600)
        .mode("/etc/ssh/ssh_host_ed25519_key", many("HostKey"), 0o600)
        .file("/etc/ssh/ssh_host_ed25519_key.pub", format!("ssh-ed25519 {MARK}HostPublic root\n"))
        .mode("/home/azureuser/.ssh/id_ed25519", format!("{MARK}UserKey\n"), 0o600)
        .mode("/home/azureuser/.ssh/authorized_keys", format!("ssh-ed25519 {MARK}Admitted azureuser\n"), 0o600)
        .mode("/home/azureuser/.bash_history", many("Typed"), 0o600)
        .mode("/root/.bash_history", format!("mysql -p{MARK}RootTyped\n"), 0o600)
        .mode("/root/.ssh/authorized_keys", format!("ssh-ed25519 {MARK}RootAdmitted root\n"), 0o600)
        .file("/var/lib/dhcp/dhclient.eth0.leases", format!("lease {{ option {MARK}Lease; }}\n"))
        .mode("/var/lib/systemd/random-seed", format!("{MARK}Seed").repeat(32), 0o600)
        .mode("/var/lib/waagent/TransportPrivate.pem", many("Transport"), 0o600)
        .mode("/var/lib/waagent/0F.prv", format!("{MARK}Certificate\n"), 0o600)
        .mode("/var/lib/waagent/ovf-env.xml", format!("<UserPassword>{MARK}Ovf</UserPassword>"), 0o600)
        .mode("/var/lib/cloud/instances/5d0c/user-data.txt", format!("password: {MARK}UserData\n"), 0o600)
        .mode("/var/spool/cron/crontabs/azureuser", format!("* * * * * curl {MARK}Cron\n"), 0o600)
        .mode(&format!("/var/log/journal/{MACHINE}/system.journal"), many("Journal"), 0o640)
        .mode("/var/log/syslog", many("Syslog"), 0o640)
        .link("/tmp/link", &format!("/{MARK}Target"));
    for number in 0..60 {
        guest.file(&format!("/tmp/{MARK}-a-rather-long-name-{number}"), format!("{MARK}Temporary"));
    }
    guest
}

fn must(tool: &str, arguments: &[&str]) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let out = Command::new(tool).args(arguments).env("PATH", path).stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{tool} {arguments:?}: {said}");
}

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn put(base: &Path, path: &str, node: &Node) {
    let at = base.join(path.trim_start_matches('/'));
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    match node {
        Node::File(bytes, mode) => {
            fs::write(&at, bytes).unwrap();
            fs::set_permissions(&at, fs::Permissions::from_mode(*mode)).unwrap();
        }
        Node::Link(target) => symlink(target, &at).unwrap(),
        Node::Directory(_) => fs::create_dir_all(&at).unwrap(),
    }
}

/// The lines of a directory in a prototype of `mkfs.xfs` (mkfs.xfs(8), `-p`).
fn prototype(directory: &Path) -> String {
    let mut lines = String::new();
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.is_dir() {
            lines += &format!("{name} d--{mode:03o} 0 0\n{}$\n", prototype(&path));
        } else if metadata.is_symlink() {
            lines += &format!("{name} l--777 0 0 {}\n", fs::read_link(&path).unwrap().display());
        } else {
            lines += &format!("{name} ---{mode:03o} 0 0 {}\n", path.display());
        }
    }
    lines
}

/// A raw disk of one partition with the guest on it; `None` where the file system cannot be made.
fn made(directory: &Path, guest: &Guest, mib: u64, command: &str) -> Option<PathBuf> {
    let (tree, proto, volume) = (directory.join("tree"), directory.join("proto"), directory.join("volume"));
    for (path, node) in &guest.root {
        put(&tree, path, node);
    }
    fs::write(&proto, format!("/dev/null\n0 0\nd--755 0 0\n{}$\n", prototype(&tree))).unwrap();
    fs::File::create(&volume).unwrap().set_len(mib * MIB).unwrap();
    let marks = [("{uuid}", ROOT_UUID), ("{tree}", words(&tree)), ("{proto}", words(&proto)), ("{}", words(&volume))];
    let line = marks.iter().fold(command.to_owned(), |line, (mark, text)| line.replace(mark, text));
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let out = Command::new("sh").args(["-c", &line]).env("PATH", path).stdin(Stdio::null()).output().unwrap();
    if !out.status.success() {
        eprintln!("SKIPPED: {line}: {}", String::from_utf8_lossy(&out.stderr).trim());
        return None;
    }
    let disk = directory.join("disk.raw");
    Disk::blank((mib + 2) * MIB).gpt(&[("0fc63daf-8483-4772-8e79-3d69d8477de4", 2048, mib * 2048)]).write_raw(&disk);
    let (from, to) = (format!("if={}", words(&volume)), format!("of={}", words(&disk)));
    must("dd", &[&from, &to, "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none"]);
    Some(disk)
}

fn open(path: &Path) -> Bytes {
    Arc::new(HostFile::open(path, Access::Positional).unwrap())
}

fn inspect(file: &Bytes, path: &Path) -> Inspected {
    disk(&Source { file, path, search: &ParentSearch::default() }, Options::default()).unwrap()
}

/// Where a file holds one of these texts, and what stands there.
fn found(path: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let longest = needles.iter().map(Vec::len).max().unwrap();
    let firsts: BTreeSet<u8> = needles.iter().map(|needle| needle[0]).collect();
    let mut file = fs::File::open(path).unwrap();
    let (mut chunk, zeros, mut kept, mut at) = (vec![0; MIB as usize], vec![0; MIB as usize], Vec::new(), 0);
    let mut all = Vec::new();
    loop {
        let len = file.read(&mut chunk).unwrap();
        if len == 0 {
            return all;
        }
        if chunk[..len] == zeros[..len] {
            kept.clear();
        } else {
            let start = at - kept.len();
            kept.extend_from_slice(&chunk[..len]);
            for (place, byte) in kept.iter().enumerate() {
                if firsts.contains(byte)
                    && let Some(needle) = needles.iter().find(|needle| kept[place..].starts_with(needle))
                {
                    let end = (place + needle.len() + 16).min(kept.len());
                    all.push(format!("{}: {}", start + place, String::from_utf8_lossy(&kept[place..end])));
                }
            }
            // What begins in the last bytes is found with the next.
            kept.drain(..kept.len().saturating_sub(longest - 1));
        }
        at += len;
    }
}

fn planted() -> [Vec<u8>; 2] {
    [MARK.as_bytes().to_vec(), MACHINE.as_bytes().to_vec()]
}

/// Takes out of a disk what makes one machine of it, and what is free, as `prepare` does.
fn cleaned(disk: &Path, kind: &str) {
    let wishes = Wishes { remove: ["azureuser".to_owned()].into(), ..Wishes::default() };
    let file = open(disk);
    let inspected = inspect(&file, disk);
    let inside = inspected.inside.as_ref().unwrap();
    let guest = &inside.guests[0];
    let system = System::new(&guest.tree, inspected.facts.os.value().unwrap(), &wishes).unwrap();
    let planned = generalize::plan(&system).unwrap();
    assert_eq!(planned.problems, [], "{kind}");
    let applied = generalize::apply(&planned, &guest.tree, &inside.regions).unwrap_or_else(|error| panic!("{kind}: {error}"));
    let again = generalize::apply(&planned, &guest.tree, &inside.regions).unwrap();
    assert_eq!(applied.patches, again.patches, "{kind}: the same twice");
    let writer = fs::OpenOptions::new().write(true).open(disk).unwrap();
    for (at, bytes) in &applied.patches[&0] {
        writer.write_all_at(bytes, *at).unwrap();
    }
    let file = open(disk);
    let inspected = inspect(&file, disk);
    for one in trim::find(&inspected.inside.as_ref().unwrap().regions, std::slice::from_ref(&file)).unwrap() {
        for (_, range) in one.free.unwrap_or_else(|why| panic!("{kind}: {}: {why}", one.region)) {
            for at in (range.start..range.end).step_by(MIB as usize) {
                let mut bytes = vec![0; (range.end - at).min(MIB) as usize];
                file.read_at(at, &mut bytes).unwrap();
                if bytes.iter().any(|byte| *byte != 0) {
                    bytes.fill(0);
                    writer.write_all_at(&bytes, at).unwrap();
                }
            }
        }
    }
}

#[test]
fn nothing_that_is_removed_is_left_on_any_file_system() {
    let mut guest = used();
    // These disks have no EFI system partition.
    guest.file("/etc/fstab", format!("UUID={ROOT_UUID} / auto defaults 0 1\n"));
    for (kind, mib, command, check) in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let Some(disk) = made(directory.path(), &guest, mib, command) else { continue };
        assert!(found(&disk, &planted()).len() > 1000, "{kind}: the search finds what is there");
        cleaned(&disk, kind);
        assert_eq!(found(&disk, &planted()), Vec::<String>::new(), "{kind}");
        let (volume, from) = (directory.path().join("volume"), format!("if={}", words(&disk)));
        let to = format!("of={}", words(&volume));
        must("dd", &[&from, &to, "bs=1M", "skip=1", &format!("count={mib}"), "conv=sparse", "status=none"]);
        must(check[0], &[&check[1..], &[words(&volume)]].concat());
    }
}

/// The program itself: what it writes holds none of it, and is the same twice; without trimming it says that free space keeps it.
#[test]
fn the_image_that_is_written_holds_none_and_is_the_same_twice() {
    if !linux::able() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = used().write(directory.path());
    let name = source.file_name().unwrap().to_owned();
    let out = |number: usize| directory.path().join(format!("out{number}"));
    for number in 0..2 {
        vhdkit(["generalize", words(&source), "--remove-user", "azureuser", "-o", words(&out(number))]).ended(0);
    }
    let (first, second) = (out(0).join(&name), out(1).join(&name));
    assert_eq!(found(&first, &planted()), Vec::<String>::new());
    assert!(fs::read(&first).unwrap() == fs::read(second).unwrap(), "the same disk twice");
    // The footer's own time and id come from what it is written of.
    vhdkit(["generalize", words(&source), "--remove-user", "azureuser", "--no-trim", "-o", words(&out(2))])
        .ended(0)
        .said("Free space stays as it is");
    assert_ne!(found(&out(2).join(&name), &planted()), Vec::<String>::new(), "nothing was left out");
}

/// Lines of a file of the guest that are worth a search.
fn lines(disk: &Path, path: &str) -> Vec<Vec<u8>> {
    let out = support::command().args(["cat", words(disk), path]).output().unwrap();
    let lines = out.stdout.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    lines.filter(|line| line.len() >= 24 && !line.starts_with(b"-----")).collect()
}

/// Real disks, searched for what they themselves hold.
#[test]
fn real_disks_keep_nothing_that_is_removed() {
    // A search of gigabytes takes minutes without optimization: only who names the disks asks for it.
    let images = std::env::var_os("VHDKIT_IMAGES").map(PathBuf::from).unwrap_or_default();
    for name in ["A.raw", "C.raw", "D.raw"] {
        let source = images.join(name);
        if !source.is_file() {
            eprintln!("SKIPPED: {name}; make it with shared/images/build and set VHDKIT_IMAGES to where it is");
            continue;
        }
        let mut secrets: Vec<Vec<u8>> = vec![MACHINE.as_bytes().to_vec()];
        for path in ["/etc/shadow", "/etc/shadow-"] {
            let hashes = lines(&source, path).into_iter().filter_map(|line| line.split(|byte| *byte == b':').nth(1).map(<[u8]>::to_vec));
            secrets.extend(hashes.filter(|hash| hash.len() > 20));
        }
        for path in [
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/ssh/ssh_host_ecdsa_key",
            "/etc/ssh/ssh_host_ed25519_key",
            "/home/azureuser/.ssh/id_ed25519",
            "/home/azureuser/.ssh/authorized_keys",
            "/root/.ssh/authorized_keys",
            "/root/.bash_history",
            "/home/azureuser/.bash_history",
            "/var/lib/waagent/TransportPrivate.pem",
            "/var/lib/waagent/TransportCert.pem",
        ] {
            let found = lines(&source, path);
            assert!(!found.is_empty() || path.ends_with("history"), "{name}: {path} has nothing to search for");
            secrets.extend(found);
        }
        let out = tempfile::tempdir().unwrap();
        vhdkit(["generalize", words(&source), "--remove-user", "azureuser", "-o", words(out.path())]).ended(0);
        let written = out.path().join(name.replace(".raw", ".vhd"));
        assert_eq!(found(&written, &secrets), Vec::<String>::new(), "{name}");
    }
}
