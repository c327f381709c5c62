//! Btrfs: what we call free and what we change, held against `btrfs check` and the kernel.
//!
//! What needs mkfs.btrfs, a kernel mount or an image that is not there is skipped loudly. Two layouts are changed; with `VHDKIT_FULL=1`
//! all are, more often.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::let_underscore_must_use,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "support/full.rs"]
mod full;
#[path = "support/unmount.rs"]
mod unmount;

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::ops::{ControlFlow, Range};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, ReadAt, Scratch};
use vhdkit::fs::edit;
use vhdkit::fs::{Error, FileSystem, NodeId, NodeKind};

/// Runs a command; its output, or `None` when it fails or is not there.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        eprintln!("{program} {arguments:?}: {}", words.lines().next().unwrap_or_default());
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What `btrfs check` has against an image; nothing for a clean one.
fn faults(image: &Path) -> Option<String> {
    let mut all = String::new();
    for arguments in [&["check"][..], &["check", "--check-data-csum"]] {
        let output = Command::new("btrfs").args(arguments).arg(image).stdin(Stdio::null()).output().ok()?;
        let lines = [output.stdout, output.stderr].concat();
        let lines = String::from_utf8_lossy(&lines).into_owned();
        // What it always says: its steps, and its sums.
        let known = |line: &&str| {
            let steps = ["Opening filesystem", "Checking filesystem", "UUID: ", "[", "found ", "total ", "btree space", "file data blocks"];
            line.is_empty() || line.starts_with(" referenced ") || steps.iter().any(|step| line.starts_with(step))
        };
        let clean = output.status.success() && lines.contains("no error found") && lines.lines().all(|line| known(&line));
        if !clean {
            all.push_str(&lines);
        }
    }
    Some(all)
}

fn images() -> Option<PathBuf> {
    let path = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    path.is_dir().then_some(path)
}

/// A mount by the kernel, undone when it goes.
struct Mounted(tempfile::TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount::unmount(self.0.path());
    }
}

fn mount(image: &Path, options: &str) -> Option<Mounted> {
    let dir = tempfile::tempdir().unwrap();
    run("mount", &["-t", "btrfs", "-o", &format!("loop,{options}"), image.to_str().unwrap(), dir.path().to_str().unwrap()])?;
    Some(Mounted(dir))
}

fn open(image: &Path) -> Arc<dyn FileSystem> {
    let file: Bytes = Arc::new(HostFile::open(image, Access::Positional).unwrap());
    vhdkit::fs::open("btrfs", file).unwrap().unwrap()
}

/// What a tree holds: kind, mode, owner, links, and content, by path.
type Tree = BTreeMap<String, String>;

/// What we read below a directory.
fn ours(fs: &dyn FileSystem, root: NodeId) -> Tree {
    let (mut tree, mut waiting) = (Tree::new(), vec![(String::new(), root)]);
    while let Some((path, id)) = waiting.pop() {
        let node = fs.node(id).unwrap_or_else(|error| panic!("{path}: {error}"));
        let content = match node.kind {
            NodeKind::File => {
                let bytes = fs.open(id).unwrap_or_else(|error| panic!("{path}: {error}"));
                let (mut hash, mut at, mut buf) = (Sha256::new(), 0, vec![0; 1 << 20]);
                while at < bytes.size() {
                    let now = (bytes.size() - at).min(buf.len() as u64) as usize;
                    bytes.read_at(at, &mut buf[..now]).unwrap_or_else(|error| panic!("{path}: {error}"));
                    hash.update(&buf[..now]);
                    at += now as u64;
                }
                format!("{} {:x}", node.size, hash.finalize())
            }
            NodeKind::Symlink => String::from_utf8_lossy(&fs.target(id).unwrap()).into_owned(),
            _ => String::new(),
        };
        if node.kind == NodeKind::Directory {
            fs.entries(id, &mut |entry| {
                waiting.push((format!("{path}/{}", String::from_utf8_lossy(&entry.name)), entry.node));
                ControlFlow::Continue(())
            })
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        let attributes: Vec<(String, Vec<u8>)> =
            fs.attributes(id).unwrap().into_iter().filter(|(name, _)| name.starts_with("user.")).collect();
        for (name, value) in &attributes {
            assert_eq!(fs.attribute(id, name).unwrap().as_ref(), Some(value));
        }
        let attributes = format!("{:x}", Sha256::digest(format!("{attributes:?}")));
        // The empty directory that stands for a subvolume in a snapshot has no times of its own.
        let modified = node.modified.unwrap_or(-1);
        let (mode, uid, gid) = (node.mode.unwrap(), node.uid.unwrap(), node.gid.unwrap());
        tree.insert(path, format!("{} {mode:o} {uid}:{gid} {modified} {} {attributes} {content}", node.kind, node.links));
    }
    tree
}

/// What the kernel reads.
fn theirs(dir: &Path) -> Tree {
    let (mut tree, mut waiting) = (Tree::new(), vec![(String::new(), dir.to_path_buf())]);
    while let Some((path, at)) = waiting.pop() {
        let meta = fs::symlink_metadata(&at).unwrap();
        let kind = match meta.mode() >> 12 {
            0o4 => NodeKind::Directory,
            0o12 => NodeKind::Symlink,
            0o10 => NodeKind::File,
            0o6 => NodeKind::BlockDevice,
            0o2 => NodeKind::CharacterDevice,
            0o1 => NodeKind::Fifo,
            _ => NodeKind::Socket,
        };
        let content = match kind {
            NodeKind::File => {
                let (mut file, mut hash, mut buf) = (fs::File::open(&at).unwrap(), Sha256::new(), vec![0; 1 << 20]);
                loop {
                    match file.read(&mut buf).unwrap_or_else(|error| panic!("{path}: {error}")) {
                        0 => break,
                        n => hash.update(&buf[..n]),
                    }
                }
                format!("{} {:x}", meta.len(), hash.finalize())
            }
            NodeKind::Symlink => String::from_utf8_lossy(fs::read_link(&at).unwrap().as_os_str().as_bytes()).into_owned(),
            _ => String::new(),
        };
        if kind == NodeKind::Directory {
            for entry in fs::read_dir(&at).unwrap() {
                let entry = entry.unwrap();
                waiting.push((format!("{path}/{}", entry.file_name().to_string_lossy()), entry.path()));
            }
        }
        let mut names = vec![0; 1 << 16];
        let len = rustix::fs::llistxattr(&at, &mut names).unwrap_or(0);
        let mut attributes: Vec<(String, Vec<u8>)> = vec![];
        for name in names[..len].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
            let mut value = vec![0; 1 << 16];
            let name = std::str::from_utf8(name).unwrap();
            let len = rustix::fs::lgetxattr(&at, name, &mut value).unwrap();
            attributes.push((name.to_owned(), value[..len].to_vec()));
        }
        attributes.sort();
        let attributes = format!("{:x}", Sha256::digest(format!("{attributes:?}")));
        let modified = if meta.ino() == 2 { -1 } else { meta.mtime() };
        let (mode, uid, gid, links) = (meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.nlink());
        tree.insert(path, format!("{kind} {mode:o} {uid}:{gid} {modified} {links} {attributes} {content}"));
    }
    tree
}

fn same(what: &str, one: &Tree, other: &Tree) {
    for (path, item) in other {
        assert_eq!(one.get(path), Some(item), "{what}: {path}");
    }
    assert_eq!(one.len(), other.len(), "{what}");
}

/// The top of all subvolumes.
fn top(fs: &dyn FileSystem) -> NodeId {
    fs.subvolumes().unwrap().iter().find(|one| one.id == 5).unwrap().root
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Files of all sizes.
fn populate(dir: &Path) {
    for (place, sub) in ["etc", "etc/ssh", "var", "var/log", "home"].iter().enumerate() {
        fs::create_dir(dir.join(sub)).unwrap();
        for n in 0..60 + place * 70 {
            let len = [0, 5, 40, 900, 2000, 3000, 4096, 9000, 40_000, 300_000][(n * 7 + place) % 10];
            fs::write(dir.join(sub).join(format!("{n} {}", "f".repeat(n % 70))), noise((place * 1000 + n) as u64, len)).unwrap();
        }
    }
    for n in 0..20 {
        fs::hard_link(dir.join("etc/ssh").join(format!("{n} {}", "f".repeat(n % 70))), dir.join(format!("home/link {n}"))).unwrap();
        std::os::unix::fs::symlink(format!("../etc/{n}"), dir.join(format!("var/symlink {n}"))).unwrap();
        let _ = rustix::fs::lsetxattr(
            dir.join(format!("home/link {n}")),
            "user.note",
            &noise(n as u64, n * 30),
            rustix::fs::XattrFlags::empty(),
        );
        let _ = rustix::fs::lsetxattr(dir.join(format!("home/link {n}")), "user.a", b"b", rustix::fs::XattrFlags::empty());
    }
    run("mkfifo", &[dir.join("var/fifo").to_str().unwrap()]);
    fs::create_dir(dir.join("var/empty")).unwrap();
}

/// Options of mkfs.btrfs, one file system each.
const LAYOUTS: &[(&str, &str)] = &[
    ("default", ""),
    ("everything once", "-m single"),
    ("everything twice", "-m dup -d dup"),
    ("mixed", "-M -n 4096"),
    ("small nodes", "-n 4096 --csum xxhash"),
    ("large nodes", "-n 65536 --csum sha256"),
    ("BLAKE2", "--csum blake2 -n 16384"),
    ("first caches", "-R ^free-space-tree"),
    ("old references", "-O ^no-holes,^skinny-metadata,^extref"),
    ("group tree", "-O block-group-tree"),
];

/// What is changed without `VHDKIT_FULL`.
const DEFAULT: [&str; 2] = ["default", "old references"];

/// A file system that mkfs.btrfs has filled; `None` where it cannot.
fn filled(dir: &Path, options: &str) -> Option<PathBuf> {
    let (tree, image) = (dir.join("tree"), dir.join("image"));
    if !tree.exists() {
        fs::create_dir(&tree).unwrap();
        populate(&tree);
    }
    fs::write(&image, b"").unwrap();
    fs::File::options().write(true).open(&image).unwrap().set_len(400 << 20).unwrap();
    let mut arguments = vec!["-q", "-f", "--rootdir", tree.to_str().unwrap()];
    arguments.extend(options.split_whitespace());
    arguments.push(image.to_str().unwrap());
    run("mkfs.btrfs", &arguments)?;
    Some(image)
}

/// A file system that the kernel has worked on: subvolumes, a snapshot, shared extents, compression, a deleted subvolume.
fn worked_on(dir: &Path, mkfs: &str, options: &str) -> Option<PathBuf> {
    let image = dir.join("worked on");
    fs::write(&image, b"").unwrap();
    fs::File::options().write(true).open(&image).unwrap().set_len(600 << 20).unwrap();
    let arguments: Vec<&str> = ["-q", "-f"].into_iter().chain(mkfs.split_whitespace()).chain([image.to_str().unwrap()]).collect();
    run("mkfs.btrfs", &arguments)?;
    let mounted = mount(&image, options)?;
    let path = |name: &str| mounted.0.path().join(name).to_str().unwrap().to_owned();
    for name in ["@", "@home", "gone"] {
        run("btrfs", &["subvolume", "create", &path(name)])?;
        populate(&mounted.0.path().join(name));
        run("sync", &["-f", &path(name)]);
    }
    run("btrfs", &["subvolume", "snapshot", "-r", &path("@"), &path("snapshot of @")])?;
    run("cp", &["--reflink=always", &path("@home/etc/9 fffffffff"), &path("@home/shared")]);
    for n in (0..60).step_by(3) {
        fs::remove_file(path(&format!("@/etc/{n} {}", "f".repeat(n % 70)))).unwrap();
        fs::write(path(&format!("@home/new {n}")), noise(n as u64, n * 5000)).unwrap();
    }
    let prepared = fs::File::create(path("@home/prepared")).unwrap();
    rustix::fs::fallocate(&prepared, rustix::fs::FallocateFlags::empty(), 0, 1 << 20).ok();
    prepared.write_all_at(&noise(1, 50_000), 100_000).unwrap();
    drop(prepared);
    run("btrfs", &["subvolume", "delete", "-c", &path("gone")])?;
    run("btrfs", &["subvolume", "sync", &path("")])?;
    drop(mounted);
    Some(image)
}

/// Fills what is free with noise, checks, and fills it with zeros.
fn overwritten(name: &str, image: &Path) {
    let fs = open(image);
    let before = ours(&*fs, top(&*fs));
    let free = fs.free().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(free.windows(2).all(|pair| pair[0].end < pair[1].start) && free.iter().all(|range| range.start < range.end), "{name}");
    apart(name, &*fs, &free);
    let size = fs::metadata(image).unwrap().len();
    let total: u64 = free.iter().map(|range| range.end - range.start).sum();
    let usage = fs.usage().unwrap();
    // Everything twice at most, and what is kept for superblocks.
    assert!(total + 2 * usage.used + (2 << 20) >= size && total + usage.used <= size, "{name}: {total} of {size} free, {usage:?}");
    eprintln!("{name}: {} ranges, {} MiB of {} free", free.len(), total >> 20, size >> 20);
    drop(fs);
    for fill in [0xa5, 0] {
        let file = fs::File::options().write(true).open(image).unwrap();
        for range in &free {
            let mut at = range.start;
            while at < range.end {
                let now = (range.end - at).min(1 << 20);
                file.write_all_at(&vec![fill; now as usize], at).unwrap();
                at += now;
            }
        }
        drop(file);
        assert_eq!(faults(image).as_deref(), Some(""), "{name}");
        let fs = open(image);
        same(name, &ours(&*fs, top(&*fs)), &before);
        assert_eq!(fs.free().unwrap(), free, "{name}");
    }
    let Some(mounted) = mount(image, "ro,subvolid=5") else { return eprintln!("SKIPPED: the kernel does not mount Btrfs here") };
    same(name, &theirs(mounted.0.path()), &before);
    drop(mounted);
    // What is free can be written to, and the file system stays in order.
    let Some(mounted) = mount(image, "rw,subvolid=5") else { return };
    for n in 0..50 {
        fs::write(mounted.0.path().join(format!("later {n}")), noise(n, 50_000)).unwrap();
    }
    drop(mounted);
    assert_eq!(faults(image).as_deref(), Some(""), "{name}, written to");
}

/// No file lies in what is free.
fn apart(name: &str, fs: &dyn FileSystem, free: &[Range<u64>]) {
    let (mut waiting, mut places) = (vec![top(fs)], 0);
    while let Some(id) = waiting.pop() {
        match fs.node(id).unwrap().kind {
            NodeKind::Directory => fs
                .entries(id, &mut |entry| {
                    waiting.push(entry.node);
                    ControlFlow::Continue(())
                })
                .unwrap(),
            NodeKind::File => {
                for extent in fs.extents(id).unwrap().unwrap_or_default() {
                    let next = free.partition_point(|range| range.end <= extent.at.start);
                    assert!(free.get(next).is_none_or(|range| range.start >= extent.at.end), "{name}: {extent:?} is free");
                    places += 1;
                }
            }
            _ => {}
        }
    }
    assert!(places > 20, "{name}: {places} extents");
}

#[test]
fn what_is_free_can_be_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    for (name, options) in full::rows(LAYOUTS, &DEFAULT, |(name, _)| name) {
        match filled(dir.path(), options) {
            Some(image) => overwritten(name, &image),
            None => eprintln!("SKIPPED: {name}: mkfs.btrfs does not know {options}"),
        }
    }
    for (name, mkfs, options) in [("zstd", "", "compress-force=zstd"), ("data twice", "-d dup -n 4096", "compress=no")] {
        match worked_on(dir.path(), mkfs, options) {
            Some(image) => overwritten(name, &image),
            None => eprintln!("SKIPPED: {name}: mkfs.btrfs or the kernel cannot"),
        }
    }
}

const PARTITION: u64 = 139_264 * 512;
const SIZE: u64 = 4_052_992 * 512;

/// The Debian root, taken out of its disk.
fn debian(dir: &Path) -> Option<PathBuf> {
    let disk = images().map(|dir| dir.join("E.raw")).filter(|path| path.exists())?;
    let image = dir.join("debian");
    let disk = HostFile::open(&disk, Access::Positional).unwrap();
    let file = fs::File::create(&image).unwrap();
    file.set_len(SIZE).unwrap();
    let (mut at, mut buf) = (0, vec![0; 1 << 20]);
    while at < SIZE {
        let now = (SIZE - at).min(1 << 20) as usize;
        disk.read_at(PARTITION + at, &mut buf[..now]).unwrap();
        if buf[..now].iter().any(|byte| *byte != 0) {
            file.write_all_at(&buf[..now], at).unwrap();
        }
        at += now as u64;
    }
    Some(image)
}

#[test]
fn what_is_free_on_the_debian_root_can_be_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let Some(image) = debian(dir.path()) else { return eprintln!("SKIPPED: no E.raw") };
    if run("btrfs", &["--version"]).is_none() {
        return eprintln!("SKIPPED: no btrfs-progs");
    }
    overwritten("E.raw", &image);
}

/// A byte of a count, of an extent item, or of the flags is not as it should be: nothing is free then.
#[test]
fn nothing_is_free_where_counts_disagree() {
    let dir = tempfile::tempdir().unwrap();
    let Some(image) = filled(dir.path(), "") else { return eprintln!("SKIPPED: no mkfs.btrfs") };
    let sound = fs::read(&image).unwrap();
    let with = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = sound.clone();
        change(&mut bytes[65_536..65_536 + 4096]);
        let sum = crc32c::crc32c(&bytes[65_536 + 32..65_536 + 4096]);
        bytes[65_536..65_540].copy_from_slice(&sum.to_le_bytes());
        let fs = vhdkit::fs::open("btrfs", Arc::new(vhdkit::bytes::Memory(bytes))).unwrap();
        fs.and_then(|fs| fs.free()).map(|free| free.len()).map_err(|error| error.to_string())
    };
    assert!(with(&|_| {}).is_ok());
    for (place, value, word) in [
        (121, sound[65_536 + 121] ^ 1, "are said to be used"),
        (56, 5, "flags 0x4"),
        (60, 1, "a seed"),
        (181, 1, "read-only compatible features 0x100"),
        (212, 0, "impossible place"),
    ] {
        let error = with(&|superblock| superblock[place] = value).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

/// A name that can be removed, or a file that can be written to.
#[derive(Debug, Clone)]
struct Known {
    path: String,
    directory: NodeId,
    name: Vec<u8>,
    node: NodeId,
    kind: NodeKind,
    size: u64,
}

/// Every name below the top.
fn all(fs: &dyn FileSystem) -> Vec<Known> {
    let (mut found, mut waiting) = (vec![], vec![(String::new(), top(fs))]);
    while let Some((path, id)) = waiting.pop() {
        fs.entries(id, &mut |entry| {
            let (path, node) = (format!("{path}/{}", String::from_utf8_lossy(&entry.name)), fs.node(entry.node).unwrap());
            if node.kind == NodeKind::Directory {
                waiting.push((path.clone(), entry.node));
            }
            found.push(Known { path, directory: id, name: entry.name, node: entry.node, kind: node.kind, size: node.size });
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    found
}

/// What is done to a name: other content for it, its removal, or a file made below it.
#[derive(Debug, Clone)]
enum Act {
    Write(Vec<u8>),
    Remove,
    Create(Made),
}

#[derive(Debug, Clone)]
struct Made {
    name: Vec<u8>,
    content: Vec<u8>,
    attributes: Vec<(String, Vec<u8>)>,
}

impl Made {
    fn as_new(&self) -> edit::NewFile<'_> {
        edit::NewFile { mode: 0o640, uid: 7, gid: 70_000, attributes: &self.attributes, content: &self.content }
    }

    /// What a tree says of it, made in a directory that the tree says this of.
    fn item(&self, directory: &str) -> String {
        let modified = directory.split(' ').nth(3).unwrap();
        let mut attributes = self.attributes.clone();
        attributes.sort();
        let attributes = format!("{:x}", Sha256::digest(format!("{attributes:?}")));
        let kind = NodeKind::File;
        format!("{kind} 640 7:70000 {modified} 1 {attributes} {} {:x}", self.content.len(), Sha256::digest(&self.content))
    }
}

type Change = (Known, Act);

/// What a script of changes came to.
#[derive(Debug, Default)]
struct Done {
    made: usize,
    refused: BTreeMap<String, usize>,
}

fn lines(refused: &BTreeMap<String, usize>) -> String {
    refused.iter().map(|(word, count)| format!("\n    {count} {word}")).collect()
}

/// Makes changes with one editor; without those that are refused.
fn batch(image: &Path, plan: &mut Vec<Change>, done: &mut Done) {
    let file: Bytes = Arc::new(HostFile::open(image, Access::Positional).unwrap());
    let scratch = Scratch::new(file, 1 << 30);
    'again: loop {
        let mut editor = edit::open("btrfs", scratch.clone()).unwrap().unwrap();
        for (place, (one, act)) in plan.iter().enumerate() {
            let outcome = match act {
                Act::Write(content) => editor.write(one.node, content),
                Act::Remove => editor.remove(one.directory, &one.name),
                Act::Create(made) => editor.create(one.node, &made.name, &made.as_new()).map(drop),
            };
            if let Err(error) = outcome {
                assert!(!matches!(error, Error::Damaged(_) | Error::Read(_)), "{}: {error}", one.path);
                *done.refused.entry(error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect()).or_default() += 1;
                plan.remove(place);
                assert!(scratch.changes().unwrap().is_empty());
                continue 'again;
            }
        }
        editor.finish().unwrap();
        break;
    }
    done.made += plan.len();
    let target = fs::File::options().write(true).open(image).unwrap();
    for (at, bytes) in scratch.changes().unwrap() {
        target.write_all_at(&bytes, at).unwrap();
    }
}

/// Items without the number of names, for nodes that may have lost one.
fn unlinked(item: &str) -> String {
    let mut words: Vec<&str> = item.split(' ').collect();
    words[4] = "";
    words.join(" ")
}

/// Runs a script of changes; then everything must be as it was, but for them.
fn script(name: &str, image: &Path, steps: usize, next: &mut dyn FnMut(u64) -> u64) -> Done {
    let fs = open(image);
    let mut known = all(&*fs);
    let before = ours(&*fs, top(&*fs));
    drop(fs);
    let nodes: BTreeMap<String, NodeId> = known.iter().map(|one| (one.path.clone(), one.node)).collect();
    let mut plan: Vec<Change> = vec![];
    // Whole directories go at times: that empties leaves.
    let whole = known.get(next(known.len() as u64 * 2) as usize).map(|one| one.directory);
    if let Some(directory) = whole {
        let goes = |one: &Known| one.directory == directory && one.kind != NodeKind::Directory;
        let (gone, kept): (Vec<_>, Vec<_>) = known.into_iter().partition(goes);
        plan.extend(gone.into_iter().map(|one| (one, Act::Remove)));
        known = kept;
    }
    for _ in 0..steps {
        if known.is_empty() {
            break;
        }
        let one = known[next(known.len() as u64) as usize].clone();
        if one.kind == NodeKind::File && next(2) == 0 {
            let len = match next(8) {
                6 | 7 => next(20_001),
                0 => 0,
                1 => next(100),
                2 => next(2049),
                3 => one.size,
                4 => one.size.saturating_sub(next(9000)),
                _ => next(one.size + 5000),
            };
            let content = noise(next(1 << 40), len as usize);
            plan.push((one, Act::Write(content)));
        } else if one.kind == NodeKind::Directory && one.node != NodeId(u64::MAX) {
            for n in 0..next(6) {
                let name = format!("made {n} {} {}", next(1 << 40), "m".repeat(next(200) as usize)).into_bytes();
                let len = [0, next(100), next(2100), next(20_001)][next(4) as usize];
                let attributes: Vec<(String, Vec<u8>)> =
                    (0..next(4)).map(|n| (format!("user.{n}"), noise(n, next(300) as usize))).collect();
                plan.push((one.clone(), Act::Create(Made { name, content: noise(next(1 << 40), len as usize), attributes })));
            }
            if next(3) == 0 {
                known.retain(|other| other.path != one.path);
                plan.push((one, Act::Remove));
            }
        } else {
            known.retain(|other| other.path != one.path);
            plan.push((one, Act::Remove));
        }
    }
    let mut done = Done::default();
    let (mut expected, mut touched) = (before, std::collections::BTreeSet::new());
    let mut rest = plan.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + next(60) as usize).min(rest.len()));
        rest = later;
        let mut plan = now.to_vec();
        batch(image, &mut plan, &mut done);
        for (one, act) in plan {
            let content = match act {
                Act::Write(content) => content,
                Act::Remove => {
                    touched.insert(one.node);
                    expected.remove(&one.path);
                    continue;
                }
                Act::Create(made) => {
                    let item = made.item(&expected[&one.path]);
                    expected.insert(format!("{}/{}", one.path, String::from_utf8_lossy(&made.name)), item);
                    continue;
                }
            };
            touched.insert(one.node);
            for (path, item) in expected.iter_mut().filter(|(path, _)| nodes.get(*path) == Some(&one.node)) {
                let kept = item.split(' ').take(6).collect::<Vec<_>>().join(" ");
                *item = format!("{kept} {} {:x}", content.len(), Sha256::digest(&content));
                assert!(!path.is_empty());
            }
        }
    }
    let compare = |who: &str, found: &Tree| {
        for (path, item) in &expected {
            let found = found.get(path).unwrap_or_else(|| panic!("{name}, {who}: no {path}"));
            let lost = nodes.get(path).is_some_and(|node| touched.contains(node));
            let (found, item) = if lost { (unlinked(found), unlinked(item)) } else { (found.clone(), item.clone()) };
            assert_eq!(found, item, "{name}, {who}: {path}");
        }
        assert_eq!(found.len(), expected.len(), "{name}, {who}");
    };
    let fs = open(image);
    compare("we", &ours(&*fs, top(&*fs)));
    drop(fs);
    assert_eq!(faults(image).as_deref(), Some(""), "{name}: {done:?}");
    if let Some(mounted) = mount(image, "ro,subvolid=5") {
        compare("the kernel", &theirs(mounted.0.path()));
    }
    done
}

fn rounds() -> u64 {
    std::env::var("VHDKIT_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(if full::full() { 2 } else { 1 })
}

fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below.max(1)
    }
}

/// Writes by the kernel after ours, and what `btrfs check` says then.
fn written_to(name: &str, image: &Path) {
    let Some(mounted) = mount(image, "rw,subvolid=5") else { return eprintln!("SKIPPED: the kernel does not mount Btrfs here") };
    for n in 0..150 {
        fs::write(mounted.0.path().join(format!("later {n}")), noise(n, (n * 700) as usize)).unwrap();
    }
    run("sync", &["-f", mounted.0.path().to_str().unwrap()]);
    for n in 0..50 {
        fs::remove_file(mounted.0.path().join(format!("later {n}"))).unwrap();
    }
    drop(mounted);
    assert_eq!(faults(image).as_deref(), Some(""), "{name}, written to by the kernel");
}

#[test]
fn changes_leave_all_else_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let seeds: u64 = std::env::var("VHDKIT_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for (name, options) in full::rows(LAYOUTS, &DEFAULT, |(name, _)| name) {
        for seed in seeds..seeds + rounds() {
            let Some(image) = filled(dir.path(), options) else {
                eprintln!("SKIPPED: {name}: mkfs.btrfs does not know {options}");
                break;
            };
            let mut next = numbers(seed);
            let mut done = Done::default();
            for _ in 0..3 {
                let steps = next(120) as usize;
                let one = script(&format!("{name}, seed {seed}"), &image, steps, &mut next);
                done.made += one.made;
                one.refused.into_iter().for_each(|(word, count)| *done.refused.entry(word).or_default() += count);
            }
            eprintln!("{name}, seed {seed}: {} changes; refused: {}", done.made, lines(&done.refused));
            assert!(done.made > 0);
            written_to(name, &image);
        }
    }
}

#[test]
fn changes_beside_snapshots_leave_all_else_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for (name, mkfs, options) in [
        ("zstd", "", "compress-force=zstd"),
        ("data twice, small nodes", "-d dup -n 4096", "compress=no"),
        ("no checksums, first caches", "-R ^free-space-tree", "nodatasum,space_cache=v1"),
    ] {
        let Some(image) = worked_on(dir.path(), mkfs, options) else {
            eprintln!("SKIPPED: {name}: mkfs.btrfs or the kernel cannot");
            continue;
        };
        let done = script(name, &image, 150, &mut numbers(7));
        eprintln!("{name}: {} changes; refused: {}", done.made, lines(&done.refused));
        let refused = |word: &str| done.refused.keys().any(|line| line.contains(word));
        assert!(done.made > 0 && refused("snapshot or another subvolume shares") && refused("is read-only"), "{name}");
        written_to(name, &image);
    }
}

/// Names with the same hash share an item, and many files make leaves that are divided.
#[test]
fn many_files_are_made() {
    let dir = tempfile::tempdir().unwrap();
    // Names of one length with the same checksum have the same hash too.
    let mut seen: BTreeMap<u32, String> = BTreeMap::new();
    let mut twins = vec![];
    for n in 0..300_000_u64 {
        let name = format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if let Some(other) = seen.insert(crc32c::crc32c(name.as_bytes()), name.clone()) {
            twins.push((other, name));
        }
    }
    twins.truncate(5);
    assert!(!twins.is_empty());
    for (name, options) in [LAYOUTS[0], LAYOUTS[2], LAYOUTS[7]] {
        let Some(image) = filled(dir.path(), options) else {
            eprintln!("SKIPPED: {name}: mkfs.btrfs does not know {options}");
            continue;
        };
        let fs = open(&image);
        let etc = all(&*fs).into_iter().find(|one| one.path == "/etc").unwrap();
        let mut expected = ours(&*fs, top(&*fs));
        drop(fs);
        let made = |name: String, n: u64| Made { name: name.into_bytes(), content: noise(n, (n * 13 % 9000) as usize), attributes: vec![] };
        let mut plan: Vec<Change> = (0..200).map(|n| (etc.clone(), Act::Create(made(format!("file {n}"), n)))).collect();
        for (one, other) in &twins {
            plan.extend([one, other].map(|name: &String| (etc.clone(), Act::Create(made(name.clone(), 3)))));
        }
        for (_, act) in &plan {
            let Act::Create(made) = act else { panic!("only files are made here") };
            expected.insert(format!("/etc/{}", String::from_utf8_lossy(&made.name)), made.item(&expected["/etc"]));
        }
        let mut done = Done::default();
        batch(&image, &mut plan, &mut done);
        assert!(done.refused.is_empty(), "{name}: {}", lines(&done.refused));
        // One of two with the same hash goes again.
        let fs = open(&image);
        same(name, &ours(&*fs, top(&*fs)), &expected);
        let goes = |one: &Known| twins.iter().any(|(twin, _)| one.name == twin.as_bytes());
        let mut plan: Vec<Change> = all(&*fs).into_iter().filter(goes).map(|one| (one, Act::Remove)).collect();
        drop(fs);
        assert_eq!(plan.len(), twins.len());
        expected.retain(|path, _| plan.iter().all(|(one, _)| one.path != *path));
        batch(&image, &mut plan, &mut done);
        let fs = open(&image);
        same(name, &ours(&*fs, top(&*fs)), &expected);
        drop(fs);
        assert_eq!(faults(&image).as_deref(), Some(""), "{name}");
        if let Some(mounted) = mount(&image, "ro,subvolid=5") {
            same(&format!("{name}, the kernel"), &theirs(mounted.0.path()), &expected);
        }
        written_to(name, &image);
    }
}

/// What generalizing does, on the disk of a real system.
#[test]
fn the_debian_root_is_changed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let Some(image) = debian(dir.path()) else { return eprintln!("SKIPPED: no E.raw") };
    if run("btrfs", &["--version"]).is_none() {
        return eprintln!("SKIPPED: no btrfs-progs");
    }
    let fs = open(&image);
    let (known, mut expected) = (all(&*fs), ours(&*fs, top(&*fs)));
    drop(fs);
    let gone = |path: &str| {
        let below =
            ["/@/var/lib/cloud/", "/@/var/lib/waagent/", "/@var_log/", "/@home/azureuser", "/@/etc/ssh/ssh_host_", "/@/usr/share/doc/"];
        below.iter().any(|start| path.starts_with(start)) || path == "/@/etc/shadow-" || path == "/@/root/.bash_history"
    };
    let mut names: Vec<&Known> = known.iter().filter(|one| gone(&one.path)).collect();
    // The inner before the outer.
    names.sort_by(|one, other| other.path.cmp(&one.path));
    let writes = [
        ("/@/etc/machine-id", b"uninitialized\n".to_vec()),
        ("/@/etc/shadow", noise(4, 700)),
        ("/@/etc/hostname", vec![]),
        // Does not fit where it lies.
        ("/@/etc/waagent.conf", noise(5, 3349)),
        ("/@/etc/passwd", noise(6, 70_000)),
    ];
    let creates: Vec<(&str, Made)> = (0..3_u64)
        .map(|n| {
            let attributes = vec![("user.note".to_owned(), noise(n, 90))];
            let directory = ["/@/etc", "/@/etc/ssh", "/@/var/lib"][(n % 3) as usize];
            (directory, Made { name: format!("made {n}").into_bytes(), content: noise(n, (n * n * 7) as usize), attributes })
        })
        .collect();
    let edited = || {
        let file: Bytes = Arc::new(HostFile::open(&image, Access::Positional).unwrap());
        let scratch = Scratch::new(file, 1 << 30);
        let mut editor = edit::open("btrfs", scratch.clone()).unwrap().unwrap();
        for one in &names {
            editor.remove(one.directory, &one.name).unwrap_or_else(|error| panic!("{}: {error}", one.path));
        }
        for (path, content) in &writes {
            let node = known.iter().find(|one| one.path == *path).unwrap().node;
            editor.write(node, content).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        for (path, made) in &creates {
            let node = known.iter().find(|one| one.path == *path).unwrap().node;
            editor.create(node, &made.name, &made.as_new()).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        editor.finish().unwrap();
        scratch.changes().unwrap()
    };
    let changes = edited();
    assert!(changes == edited(), "the same changes come out otherwise the second time");
    for one in &names {
        expected.remove(&one.path);
    }
    for (path, content) in &writes {
        let item = expected.get_mut(*path).unwrap();
        let kept = item.split(' ').take(6).collect::<Vec<_>>().join(" ");
        *item = format!("{kept} {} {:x}", content.len(), Sha256::digest(content));
    }
    for (path, made) in &creates {
        expected.insert(format!("{path}/{}", String::from_utf8_lossy(&made.name)), made.item(&expected[*path]));
    }
    let target = fs::File::options().write(true).open(&image).unwrap();
    for (at, bytes) in &changes {
        target.write_all_at(bytes, *at).unwrap();
    }
    drop(target);
    eprintln!("E.raw: {} names, {} KiB changed", names.len(), changes.iter().map(|(_, bytes)| bytes.len() >> 10).sum::<usize>());
    assert!(names.len() > 100);
    assert_eq!(faults(&image).as_deref(), Some(""));
    let fs = open(&image);
    let nodes: BTreeMap<String, String> = ours(&*fs, top(&*fs));
    // Names that others of the same node had are fewer.
    let plain = |tree: &Tree| tree.iter().map(|(path, item)| (path.clone(), unlinked(item))).collect::<Tree>();
    same("E.raw", &plain(&nodes), &plain(&expected));
    drop(fs);
    if let Some(mounted) = mount(&image, "ro,subvolid=5") {
        same("E.raw, the kernel", &theirs(mounted.0.path()), &nodes);
    }
    overwritten("E.raw, changed", &image);
}

/// Everything that stands against a change is told by name, and nothing is changed.
#[test]
fn what_cannot_be_changed_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    fs::File::create(&image).unwrap().set_len(300 << 20).unwrap();
    let path = image.to_str().unwrap();
    let (Some(_), true) = (run("mkfs.btrfs", &["-q", path]), run("chattr", &["-V"]).is_some() || Path::new("/usr/bin/chattr").exists())
    else {
        return eprintln!("SKIPPED: no mkfs.btrfs, or no chattr");
    };
    let Some(mounted) = mount(&image, "rw") else { return eprintln!("SKIPPED: the kernel does not mount Btrfs here") };
    let at = mounted.0.path().to_path_buf();
    for name in ["frozen", "appended", "one", "large", "many", "prepared"] {
        fs::write(at.join(name), noise(1, if name == "large" { 300_000 } else { 90 })).unwrap();
    }
    run("cp", &["--reflink=always", at.join("large").to_str().unwrap(), at.join("copy").to_str().unwrap()]);
    run("btrfs", &["subvolume", "create", at.join("sub").to_str().unwrap()]);
    fs::create_dir(at.join("full")).unwrap();
    fs::write(at.join("full/file"), "").unwrap();
    run("chattr", &["+i", at.join("frozen").to_str().unwrap()]);
    run("chattr", &["+a", at.join("appended").to_str().unwrap()]);
    drop(mounted);
    let fs = open(&image);
    let root = fs.root();
    let node = |name: &str| fs.lookup(root, name.as_bytes()).unwrap().unwrap();
    let bytes = || -> Bytes { Arc::new(HostFile::open(&image, Access::Positional).unwrap()) };
    let with = |change: &dyn Fn(&mut dyn edit::Editor) -> Result<(), Error>| {
        let scratch = Scratch::new(bytes(), 1 << 30);
        let mut editor = edit::open("btrfs", scratch.clone()).unwrap().unwrap();
        let error = change(&mut *editor).unwrap_err();
        assert!(editor.finish().is_err() || matches!(error, Error::Unsupported(_)), "{error}");
        assert!(scratch.changes().unwrap().is_empty(), "{error}");
        error
    };
    for name in ["frozen", "appended"] {
        assert!(matches!(with(&|editor| editor.write(node(name), b"")), Error::Protected(_)), "{name}");
        assert!(matches!(with(&|editor| editor.remove(root, name.as_bytes())), Error::Protected(_)), "{name}");
    }
    let new = edit::NewFile { mode: 0o644, uid: 0, gid: 0, attributes: &[], content: b"" };
    for (error, word) in [
        (with(&|editor| editor.remove(root, b"large")), "shares an extent"),
        (with(&|editor| editor.write(node("large"), b"")), "shares an extent"),
        (with(&|editor| editor.remove(root, b"sub")), "name of a subvolume"),
        (with(&|editor| editor.remove(root, b"full")), "not empty"),
        (with(&|editor| editor.remove(root, b"nothing")), "no such name"),
        (with(&|editor| editor.write(node("large"), &noise(1, 400_000))), "shares an extent"),
        (with(&|editor| editor.create(root, b"a/b", &new).map(drop)), "no file can have"),
        (with(&|editor| editor.create(root, &[b'n'; 256], &new).map(drop)), "no file can have"),
    ] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    // Names that are there, places that are none, and more than there is room for.
    let damaged = |change: &dyn Fn(&mut dyn edit::Editor) -> Result<(), Error>| {
        let scratch = Scratch::new(bytes(), 1 << 30);
        let mut editor = edit::open("btrfs", scratch.clone()).unwrap().unwrap();
        let error = change(&mut *editor).unwrap_err();
        assert!(editor.finish().is_err() && scratch.changes().unwrap().is_empty(), "{error}");
        error.to_string()
    };
    assert!(damaged(&|editor| editor.create(root, b"one", &new).map(drop)).contains("has this name already"));
    assert!(damaged(&|editor| editor.create(node("one"), b"new", &new).map(drop)).contains("is not a directory"));
    assert!(damaged(&|editor| editor.write(node("one"), &vec![7; 310 << 20])).contains("no room"));
    drop(fs);
    let Some(mounted) = mount(&image, "rw") else { return };
    run("btrfs", &["quota", "enable", mounted.0.path().to_str().unwrap()]).unwrap();
    drop(mounted);
    let error = edit::open("btrfs", Scratch::new(bytes(), 1 << 30)).unwrap().unwrap_err().to_string();
    assert!(error.contains("quota disable"), "{error}");
}
