//! Changes to file systems, against the programs that know them: what is reported is what differs, nothing else does, and the file
//! system is in order.
//!
//! A small Linux is made by `mke2fs -d`; real disks (see `guests_oracle.rs`) are taken where they are. The state after the changes is read
//! by `debugfs` and `e2fsck`, or `xfs_repair`, and by root through the kernel. Without them the tests say SKIPPED and pass.
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

#[path = "support/mod.rs"]
mod support;
#[path = "support/unmount.rs"]
mod unmount;

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::{Disk, LINUX_ROOT, MIB};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Scratch, Zeros};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::generalize::{Applied, CannotApply, Draft, Planned, System, Wishes, apply, plan};
use vhdkit::inspect::{Inspected, Options, disk};

/// The attribute that is given to files.
const LABEL: &str = "security.selinux";

fn inspect(path: &Path) -> Inspected {
    let file: Bytes = Arc::new(HostFile::open(path, Access::Positional).unwrap());
    disk(&Source { file: &file, path, search: &ParentSearch::default() }, Options::default()).unwrap()
}

/// Whether there is a writer for this kind.
fn writable(kind: &str) -> bool {
    let known = vhdkit::fs::edit::open(kind, Scratch::new(Arc::new(Zeros(0)), 0)).is_some();
    if !known {
        eprintln!("SKIPPED: changes to {kind}, which has no writer yet");
    }
    known
}

fn able(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| {
        let mut command = Command::new(tool);
        command.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
    });
    if let Some(tool) = missing {
        eprintln!("SKIPPED: changes to file systems, since {tool} is not installed");
    }
    missing.is_none()
}

fn run(tool: &str, arguments: &[&str]) -> (bool, String) {
    let out = Command::new(tool).args(arguments).stdin(Stdio::null()).env("LC_ALL", "C").env("TZ", "UTC").output().unwrap();
    (out.status.success(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
}

#[track_caller]
fn must(tool: &str, arguments: &[&str]) -> String {
    let (well, said) = run(tool, arguments);
    assert!(well, "{tool} {arguments:?}: {said}");
    said
}

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sha256(path: &Path) -> Vec<u8> {
    let mut hash = Sha256::new();
    std::io::copy(&mut fs::File::open(path).unwrap(), &mut hash).unwrap();
    hash.finalize().to_vec()
}

/// The files of a small Linux.
fn files(tree: &Path) {
    let put = |path: &str, content: &[u8]| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\n");
    put("etc/passwd", b"root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n");
    put("etc/machine-id", b"8f3c1d2e4b5a69788796a5b4c3d2e1f0\n");
    put("etc/hostname", b"web-prod-01\n");
    put("etc/ssh/ssh_host_rsa_key", &[b'k'; 2600]);
    put("var/lib/dbus/machine-id", b"8f3c1d2e4b5a69788796a5b4c3d2e1f0\n");
    put("usr/bin/true", &[7; 40_000]);
    put("home/ada/.ssh/authorized_keys", b"key\n");
    put("home/ada/shared", b"kept under another name\n");
    put("var/log/syslog", &vec![b'l'; 300_000]);
    for number in 0..300 {
        put(&format!("var/lib/state/a-name-that-is-rather-long-{number:04}"), &[b's'; 100]);
        put(&format!("home/ada/many/{number}"), b"x");
    }
    fs::hard_link(tree.join("home/ada/shared"), tree.join("etc/shared")).unwrap();
    for (link, target) in [("bin", "usr/bin"), ("home/ada/out", "/etc"), ("etc/resolv.conf", "../run/resolv.conf")] {
        std::os::unix::fs::symlink(target, tree.join(link)).unwrap();
    }
    std::os::unix::fs::symlink("t".repeat(100), tree.join("etc/long")).unwrap();
}

/// A small Linux on ext4, on a disk with a GPT.
fn small(directory: &Path, options: &[&str]) -> PathBuf {
    let tree = directory.join("tree");
    files(&tree);
    let image = directory.join("root.img");
    let fixed =
        ["-q", "-F", "-t", "ext4", "-U", "a0000000-0000-4000-8000-0000000000a1", "-E", "hash_seed=a0000000-0000-4000-8000-0000000000a2"];
    let target = ["-d", words(&tree), words(&image), "30M"];
    must("mke2fs", &[&fixed[..], options, &target[..]].concat());
    let mut script = String::new();
    // Inodes of 128 bytes have no room for attributes of their own.
    let labelled = if options.contains(&"128") { "" } else { LABEL };
    for path in ["/etc", "/etc/passwd", "/etc/machine-id", "/home/ada", "/home/ada/shared"] {
        if !labelled.is_empty() {
            script += &format!("ea_set {path} {labelled} system_u:object_r:some_t:s0\n");
        }
    }
    script +=
        "ea_set /etc/hostname user.note something\nsif /home/ada uid 1000\nsif /home/ada gid 1000\nsif /etc/machine-id mode 0100444\n";
    let commands = directory.join("commands");
    fs::write(&commands, script).unwrap();
    must("debugfs", &["-w", "-f", words(&commands), words(&image)]);
    // Indexes for directories; what it finds to do is no error.
    run("e2fsck", &["-fyD", words(&image)]);
    must("e2fsck", &["-fn", words(&image)]);
    let path = directory.join("disk.vhd");
    let disk = Disk::blank(34 * MIB).gpt(&[(LINUX_ROOT, 2048, 61_440)]);
    disk.put(MIB, fs::read(&image).unwrap()).write_fixed(&path);
    path
}

/// What an operation could want, all at once.
fn wanted(planned: &mut Draft<'_>) {
    assert!(planned.truncate("/etc/machine-id", "because").unwrap());
    assert!(planned.rewrite("/etc/hostname", b"localhost.localdomain\n".to_vec(), "because").unwrap());
    assert!(planned.lines("/etc/passwd", "because", |line| (!line.starts_with(b"ada:")).then(|| line.to_vec())).unwrap());
    assert!(planned.remove("/home/ada", "because").unwrap());
    assert!(planned.remove("/etc/resolv.conf", "because").unwrap());
    planned.create("/etc/resolv.conf", 0o644, b"nameserver 168.63.129.16\n".to_vec(), "because").unwrap();
    planned.create("/etc/big.conf", 0o600, vec![b'#'; 100_000], "because").unwrap();
    assert!(planned.empty("/var/lib/state", "because").unwrap() > 0);
    assert!(planned.rewrite("/var/log/syslog", vec![b'n'; 10_001], "because").unwrap());
}

/// Lays what was changed over a copy of the disk.
fn patched(source: &Path, copy: &Path, applied: &Applied) {
    must("cp", &["--sparse=always", words(source), words(copy)]);
    must("chmod", &["u+w", words(copy)]);
    let file = fs::OpenOptions::new().write(true).open(copy).unwrap();
    let mut end = 0;
    for (at, bytes) in &applied.patches[&0] {
        assert!(*at >= end, "patches overlap, or are out of order");
        end = at + bytes.len() as u64;
        file.write_all_at(bytes, *at).unwrap();
    }
}

/// Copies a partition out of a disk.
fn partition(disk: &Path, (start, size): (u64, u64), out: &Path) {
    let (skip, count) = (format!("skip={start}"), format!("count={size}"));
    let (from, to) = (format!("if={}", words(disk)), format!("of={}", words(out)));
    must("dd", &[&from, &to, "bs=1M", "iflag=skip_bytes,count_bytes", &skip, &count, "conv=sparse", "status=none"]);
}

/// Where the file system lies that the guest's root is on.
fn root(inspected: &Inspected) -> (String, (u64, u64)) {
    let inside = inspected.inside.as_ref().unwrap();
    let fs = &inside.guests[0].tree.mounts().next().unwrap().fs;
    let region = inside.regions.iter().find(|region| region.opened().is_some_and(|other| Arc::ptr_eq(other, fs))).unwrap();
    let at = region.lies.first().map_or(0..0, |stretch| stretch.at.clone());
    (fs.kind().to_owned(), (at.start, at.end - at.start))
}

/// What `debugfs` says of every path: its inode in full, and its content.
fn manifest(image: &Path, directory: &Path) -> BTreeMap<String, (String, Vec<u8>)> {
    let out = directory.join(format!("{}.tree", image.file_name().unwrap().to_str().unwrap()));
    fs::create_dir_all(&out).unwrap();
    run("debugfs", &["-R", &format!("rdump / {}", words(&out)), words(image)]);
    let mut paths = vec![];
    let mut todo = vec![out.clone()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                todo.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    let name = |path: &Path| format!("/{}", words(path.strip_prefix(&out).unwrap()));
    let commands = directory.join("stat");
    fs::write(&commands, paths.iter().map(|path| format!("stat {}\n", name(path))).collect::<String>()).unwrap();
    let said = must("debugfs", &["-f", words(&commands), words(image)]);
    let mut stats = said.split("debugfs: stat ").skip(1);
    let mut manifest = BTreeMap::new();
    for path in &paths {
        let (first, stat) = stats.next().unwrap().split_once('\n').unwrap();
        assert_eq!(first.trim(), name(path));
        let content = if path.is_symlink() {
            words(&fs::read_link(path).unwrap()).as_bytes().to_vec()
        } else if path.is_dir() {
            vec![]
        } else {
            // Of content that lies in the inode itself, debugfs writes all the room there.
            let size = stat.split("Size:").nth(1).unwrap().split_whitespace().next().unwrap();
            let mut content = fs::read(path).unwrap();
            content.truncate(size.parse().unwrap());
            content
        };
        manifest.insert(name(path), (stat.to_owned(), content));
    }
    manifest
}

/// What of an inode stays when its content changes: kind, mode, owner, attributes, its own times.
fn stable(stat: &str) -> Vec<String> {
    let lines = stat.lines().map(str::trim);
    let kept = |line: &&str| {
        ["Inode:", "User:", "mtime:", "crtime:", "security.", "user.", "Generation:"].iter().any(|start| line.starts_with(start))
    };
    lines.filter(kept).map(|line| line.split("Size:").next().unwrap_or_default().trim().to_owned()).collect()
}

/// Paths that are reported to change, and what is said of them.
fn path(names: &[Vec<u8>]) -> String {
    names.iter().map(|name| format!("/{}", String::from_utf8_lossy(name))).collect()
}

/// Holds two manifests against the plan.
fn compare(before: &BTreeMap<String, (String, Vec<u8>)>, after: &BTreeMap<String, (String, Vec<u8>)>, planned: &Planned) {
    let removed: BTreeSet<String> = planned.unlinks.iter().map(|one| path(&one.path)).collect();
    let written: BTreeMap<String, &Vec<u8>> = planned.writes.iter().map(|one| (path(&one.path), &one.content)).collect();
    let made: BTreeMap<String, &Vec<u8>> = planned.creates.iter().map(|one| (path(&one.path), &one.content)).collect();
    let parent = |path: &String| path.rsplit_once('/').unwrap().0.to_owned();
    let touched: BTreeSet<String> = removed.iter().chain(made.keys()).map(parent).collect();
    let expected: BTreeSet<&String> = before.keys().filter(|path| !removed.contains(*path)).chain(made.keys()).collect();
    assert_eq!(after.keys().collect::<BTreeSet<_>>(), expected);
    for (path, (stat, content)) in after {
        if let Some(planned) = made.get(path) {
            assert_eq!(content, *planned, "{path}");
            continue;
        }
        let (old_stat, old_content) = &before[path];
        if let Some(planned) = written.get(path) {
            assert_eq!(content, *planned, "{path}");
            assert_eq!(stable(stat), stable(old_stat), "{path}");
            continue;
        }
        assert_eq!(content, old_content, "{path}");
        if touched.contains(path) {
            let modes = |stat: &str| stable(stat).into_iter().filter(|line| !line.starts_with("mtime:")).collect::<Vec<_>>();
            assert_eq!(modes(stat), modes(old_stat), "{path}");
        } else if stat.contains("Links: 1 ") && old_stat.contains("Links: 2 ") && stat.contains("Type: regular") {
            assert_eq!(stable(stat), stable(old_stat), "{path}");
        } else {
            assert_eq!(stat, old_stat, "{path}");
        }
    }
}

fn same_twice(applied: &Applied, source: &Path, change: &dyn Fn(&Inspected) -> (Planned, Applied)) {
    let (_, again) = change(&inspect(source));
    assert_eq!(applied.patches, again.patches, "the same disk twice");
}

#[test]
fn ext4_changes_as_planned() {
    if !able(&["mke2fs", "debugfs", "e2fsck"]) || !writable("ext4") {
        return;
    }
    for options in [
        &[][..],
        &["-O", "^metadata_csum,^64bit"],
        &["-O", "^has_journal", "-b", "1024"],
        &["-I", "128", "-O", "^extent,^metadata_csum,^64bit"],
        &["-O", "inline_data"],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let source = small(directory.path(), options);
        let hash = sha256(&source);
        let inspected = inspect(&source);
        let (kind, place) = root(&inspected);
        assert_eq!((kind.as_str(), place), ("ext4", (MIB, 30 * MIB)));
        let change = |inspected: &Inspected| {
            let inside = inspected.inside.as_ref().unwrap();
            let tree = &inside.guests[0].tree;
            let mut draft = Draft::new(tree);
            wanted(&mut draft);
            let planned = draft.finish();
            let applied = apply(&planned, tree, &inside.regions);
            (planned, applied.unwrap_or_else(|error| panic!("{options:?}: {error}")))
        };
        let (planned, applied) = change(&inspected);
        let (copy, old, new) = (directory.path().join("copy"), directory.path().join("old.img"), directory.path().join("new.img"));
        patched(&source, &copy, &applied);
        partition(&source, place, &old);
        partition(&copy, place, &new);
        let said = must("e2fsck", &["-fn", words(&new)]);
        assert!(!said.contains("fix?") && !said.contains("WARNING"), "{options:?}: {said}");
        compare(&manifest(&old, directory.path()), &manifest(&new, directory.path()), &planned);
        same_twice(&applied, &source, &change);
        assert_eq!(sha256(&source), hash, "the source was written to");
        // The disk that was changed is read as any other, and has nothing left to be changed.
        let inspected = inspect(&copy);
        let tree = &inspected.inside.as_ref().unwrap().guests[0].tree;
        assert_eq!(tree.text("/etc/resolv.conf").unwrap().as_deref(), Some("nameserver 168.63.129.16\n"));
        assert!(!tree.exists("/home/ada").unwrap());
    }
}

#[test]
fn what_the_operations_plan_is_done() {
    if !able(&["mke2fs", "debugfs", "e2fsck"]) || !writable("ext4") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = small(directory.path(), &[]);
    let planned = |inspected: &Inspected| {
        let inside = inspected.inside.as_ref().unwrap();
        let wishes = Wishes { remove: ["ada".to_owned()].into(), ..Wishes::default() };
        let system = System::new(&inside.guests[0].tree, inside.os.value().unwrap(), &wishes).unwrap();
        plan(&system).unwrap()
    };
    let inspected = inspect(&source);
    let first = planned(&inspected);
    assert!(first.changes.iter().any(|change| change.path == "/etc/machine-id"), "{:?}", first.changes);
    let inside = inspected.inside.as_ref().unwrap();
    let applied = apply(&first, &inside.guests[0].tree, &inside.regions).unwrap();
    let copy = directory.path().join("copy");
    patched(&source, &copy, &applied);
    let again = planned(&inspect(&copy));
    assert_eq!(again.changes, [], "a second time");
}

/// File systems whose journals hold work: copied while the kernel had them mounted.
#[test]
fn recovered_file_systems_change_as_planned() {
    if !support::is_root() {
        eprintln!("SKIPPED: journals that hold work, which only root can make by mounting");
        return;
    }
    let ext4: &[&str] = &["mkfs.ext4", "-q", "-F"];
    let xfs: &[&str] = &["mkfs.xfs", "-q", "-f"];
    for (make, options) in [(ext4, "loop"), (ext4, "loop,data=journal"), (xfs, "loop")] {
        let kind = make[0].split_once('.').unwrap().1;
        if !able(&[make[0], if kind == "xfs" { "xfs_repair" } else { "e2fsck" }]) || !writable(kind) {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (image, old, at, source) = (path("live.img"), path("old.img"), path("at"), path("disk.vhd"));
        let size = 320 * MIB;
        fs::File::create(&image).unwrap().set_len(size).unwrap();
        must(make[0], &[&make[1..], &[words(&image)]].concat());
        fs::create_dir_all(&at).unwrap();
        if !run("mount", &["-o", options, words(&image), words(&at)]).0 {
            eprintln!("SKIPPED: {kind} with a journal that holds work, which cannot be mounted here");
            continue;
        }
        files(&at);
        let synced = run("sync", &["-f", words(&at)]).0;
        fs::write(at.join("etc/late"), vec![b'w'; 50_000]).unwrap();
        fs::remove_file(at.join("etc/long")).unwrap();
        // What is deleted while it is open.
        let open = fs::File::create(at.join("etc/open")).unwrap();
        open.write_all_at(&[1; 5_000_000], 0).unwrap();
        fs::remove_file(at.join("etc/open")).unwrap();
        let late = fs::File::open(at.join("etc/late")).unwrap();
        late.sync_all().unwrap();
        let copied = run("cp", &["--sparse=always", words(&image), words(&old)]).0;
        drop((open, late));
        unmount::unmount(&at);
        assert!(synced && copied);
        Disk::blank(size + 4 * MIB).gpt(&[(LINUX_ROOT, 2048, size / 512)]).write_fixed(&source);
        let (from, to) = (format!("if={}", words(&old)), format!("of={}", words(&source)));
        must("dd", &[&from, &to, "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none"]);
        let inspected = inspect(&source);
        let inside = inspected.inside.as_ref().unwrap();
        let tree = &inside.guests[0].tree;
        assert!(!tree.mounts().next().unwrap().fs.clean().unwrap(), "{kind}: the journal holds nothing");
        let mut draft = Draft::new(tree);
        wanted(&mut draft);
        let planned = draft.finish();
        let applied = match apply(&planned, tree, &inside.regions) {
            Ok(applied) => applied,
            Err(refused @ CannotApply::NotChanged { .. }) if kind == "xfs" => {
                eprintln!("SKIPPED: recovery before changes: {refused}");
                continue;
            }
            Err(error) => panic!("{make:?} {options}: {error}"),
        };
        let (copy, new) = (path("copy"), path("new.img"));
        patched(&source, &copy, &applied);
        partition(&copy, (MIB, size), &new);
        if kind == "xfs" {
            must("xfs_repair", &["-n", words(&new)]);
        } else {
            must("e2fsck", &["-fn", words(&new)]);
        }
        let (before, after) = (mounted(&old, directory.path(), "old").unwrap(), mounted(&new, directory.path(), "new").unwrap());
        kernel(&before, &after, &planned);
        // Without changes nothing happens, work in the journal or not.
        assert_eq!(apply(&Planned::default(), tree, &inside.regions).unwrap().patches, BTreeMap::new());
    }
}

/// Real disks: whatever a real system holds is still there.
#[test]
fn real_disks_change_as_planned() {
    let directory = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    for name in ["A.raw", "B.raw", "D.raw"] {
        let source = directory.join(name);
        if !source.is_file() {
            eprintln!("SKIPPED: {name}; make it with shared/images/build and set VHDKIT_IMAGES to where it is");
            continue;
        }
        let inspected = inspect(&source);
        let (kind, place) = root(&inspected);
        if !writable(&kind) || !able(if kind == "xfs" { &["xfs_repair"] } else { &["e2fsck", "debugfs"] }) {
            continue;
        }
        let inside = inspected.inside.as_ref().unwrap();
        let tree = &inside.guests[0].tree;
        let mut draft = Draft::new(tree);
        draft.truncate("/etc/machine-id", "because").unwrap();
        draft.remove("/home/azureuser", "because").unwrap();
        draft.empty("/var/lib/waagent", "because").unwrap();
        draft.empty("/var/cache/apt", "because").unwrap();
        draft.remove("/usr/share/doc", "because").unwrap();
        draft.lines("/etc/passwd", "because", |line| (!line.starts_with(b"azureuser:")).then(|| line.to_vec())).unwrap();
        draft.create("/etc/made.conf", 0o640, b"made\n".to_vec(), "because").unwrap();
        let planned = draft.finish();
        let started = std::time::Instant::now();
        let applied = apply(&planned, tree, &inside.regions).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes: usize = applied.patches[&0].iter().map(|(_, bytes)| bytes.len()).sum();
        eprintln!("{name}: {} names removed, {bytes} bytes changed, {:?}", planned.unlinks.len(), started.elapsed());
        let out = tempfile::tempdir().unwrap();
        let (copy, new) = (out.path().join("copy"), out.path().join("new.img"));
        patched(&source, &copy, &applied);
        partition(&copy, place, &new);
        if kind == "xfs" {
            must("xfs_repair", &["-n", words(&new)]);
        } else {
            let said = must("e2fsck", &["-fn", words(&new)]);
            assert!(!said.contains("fix?"), "{said}");
        }
        let old = out.path().join("old.img");
        partition(&source, place, &old);
        match (mounted(&old, out.path(), "old"), mounted(&new, out.path(), "new")) {
            (Some(before), Some(after)) => kernel(&before, &after, &planned),
            _ => eprintln!("SKIPPED: {name} as the kernel sees it, which only root can mount"),
        }
    }
}

/// Walks a mounted tree: of every path what lstat says, its attributes, and what it holds.
const WALK: &str = r#"
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
def say(path):
    s = os.lstat(path)
    x = sorted((n, os.getxattr(path, n, follow_symlinks=False).hex()) for n in os.listxattr(path, follow_symlinks=False))
    if stat.S_ISREG(s.st_mode):
        c = hashlib.sha256(open(path, 'rb').read()).hexdigest()
    elif stat.S_ISLNK(s.st_mode):
        c = os.readlink(path).hex()
    else:
        c = str(s.st_rdev)
    d = stat.S_ISDIR(s.st_mode)
    print(path[len(root):].hex(), s.st_ino, oct(s.st_mode), s.st_uid, s.st_gid, s.st_nlink, 0 if d else s.st_size, s.st_mtime_ns, x, c, sep='\t')
for at, dirs, files in os.walk(root):
    for name in dirs + files:
        say(os.path.join(at, name))
"#;

/// What the kernel sees of a file system; `None` where it cannot be mounted here.
fn mounted(image: &Path, directory: &Path, name: &str) -> Option<BTreeMap<Vec<u8>, Vec<String>>> {
    let at = directory.join(name);
    fs::create_dir_all(&at).unwrap();
    // The state before may hold a journal that must be replayed, which is done on this copy.
    let (well, _) = run("mount", &["-o", "loop", words(image), words(&at)]);
    if !well {
        return None;
    }
    let (walked, said) = run("python3", &["-c", WALK, words(&at)]);
    unmount::unmount(&at);
    assert!(walked, "{said}");
    let unhex = |text: &str| (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect::<Vec<u8>>();
    let lines = said.lines().map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        (unhex(&fields.next().unwrap()), fields.collect())
    });
    Some(lines.collect())
}

/// Holds what the kernel sees against the plan.
fn kernel(before: &BTreeMap<Vec<u8>, Vec<String>>, after: &BTreeMap<Vec<u8>, Vec<String>>, planned: &Planned) {
    let full = |names: &Vec<Vec<u8>>| names.iter().flat_map(|name| [b"/", name.as_slice()].concat()).collect::<Vec<u8>>();
    let removed: BTreeSet<Vec<u8>> = planned.unlinks.iter().map(|one| full(&one.path)).collect();
    let written: BTreeMap<Vec<u8>, &Vec<u8>> = planned.writes.iter().map(|one| (full(&one.path), &one.content)).collect();
    let made: BTreeMap<Vec<u8>, &Vec<u8>> = planned.creates.iter().map(|one| (full(&one.path), &one.content)).collect();
    let parents: BTreeSet<&[u8]> =
        removed.iter().chain(made.keys()).map(|path| &path[..path.iter().rposition(|byte| *byte == b'/').unwrap()]).collect();
    let linked: BTreeSet<&str> = removed.iter().map(|path| before[path][0].as_str()).collect();
    let expected: BTreeSet<&Vec<u8>> = before.keys().filter(|path| !removed.contains(*path)).chain(made.keys()).collect();
    assert_eq!(after.keys().collect::<BTreeSet<_>>(), expected);
    let hash = |content: &[u8]| Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (path, new) in after {
        let shown = String::from_utf8_lossy(path);
        if let Some(content) = made.get(path) {
            assert_eq!(new[8], hash(content), "{shown}");
            continue;
        }
        let mut old = before[path].clone();
        if let Some(content) = written.get(path) {
            old[8] = hash(content);
            old[5] = content.len().to_string();
        }
        if parents.contains(path.as_slice()) {
            // Links and time of a directory whose entries changed.
            old[4].clone_from(&new[4]);
            old[6].clone_from(&new[6]);
        } else if linked.contains(old[0].as_str()) {
            old[4].clone_from(&new[4]);
        }
        assert_eq!(*new, old, "{shown}");
    }
}
