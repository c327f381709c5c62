//! Changes to XFS, and its free space, against `xfs_repair`, `xfs_db`, the kernel and a second reader.
//!
//! File systems are filled by `mkfs.xfs` from a prototype, which needs no root, and by the kernel where it may mount. What needs a mount
//! or a tool that is not there is skipped loudly. Two layouts are changed; with `VHDKIT_FULL=1` all are.
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
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Overlay, Punched, ReadAt, Scratch, Slice, read_vec};
use vhdkit::fs::edit::{self, NewFile};
use vhdkit::fs::{Error, FileSystem, Node, NodeId, NodeKind};

const MIB: u64 = 1 << 20;

/// What mkfs.xfs is told.
const OPTIONS: [(&str, &str); 10] = [
    ("default", ""),
    ("everything", "-m rmapbt=1,reflink=1,bigtime=1"),
    ("no finobt", "-m finobt=0,inobtcount=0"),
    ("1k blocks", "-b size=1024"),
    ("16k directory blocks", "-n size=16384"),
    ("aligned log", "-l su=32768,version=2"),
    ("4k sectors", "-s size=4096"),
    ("2k inodes", "-i size=2048"),
    ("no reflink", "-m reflink=0"),
    ("old", "-m rmapbt=0,reflink=0,bigtime=0,inobtcount=0,finobt=0 -i sparse=0"),
];

/// What is changed without `VHDKIT_FULL`.
const DEFAULT: [&str; 2] = ["default", "old"];

/// Runs a command; its output, or `None` when it fails or is not there.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        eprintln!("{program} {arguments:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn there(program: &str) -> bool {
    Command::new(program).arg("-V").stdin(Stdio::null()).output().is_ok()
}

fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(31).wrapping_add(seed.wrapping_mul(17)).wrapping_add(at / 251) % 255) as u8 + 1).collect()
}

/// A node, as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    node: Node,
    attributes: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
}

/// By path.
type Tree = BTreeMap<String, (NodeId, Item)>;

fn tree_of(fs: &dyn FileSystem) -> Tree {
    let mut tree = Tree::new();
    let mut waiting = vec![(String::new(), fs.root())];
    while let Some((path, id)) = waiting.pop() {
        let mut node = fs.node(id).unwrap_or_else(|error| panic!("{path}: {error}"));
        let content = match node.kind {
            NodeKind::File => {
                let open = fs.open(id).unwrap();
                read_vec(&*open, 0, open.size() as usize).unwrap()
            }
            NodeKind::Symlink => fs.target(id).unwrap(),
            _ => vec![],
        };
        if node.kind == NodeKind::Directory {
            node.size = 0;
            fs.entries(id, &mut |entry| {
                waiting.push((format!("{path}/{}", String::from_utf8_lossy(&entry.name)), entry.node));
                ControlFlow::Continue(())
            })
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        let attributes = fs.attributes(id).unwrap_or_else(|error| panic!("{path}: {error}"));
        for (name, value) in &attributes {
            assert_eq!(fs.attribute(id, name).unwrap().as_ref(), Some(value), "{path}: {name}");
        }
        assert!(tree.insert(path.clone(), (id, Item { node, attributes, content })).is_none(), "{path} twice");
    }
    tree
}

fn below(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap()
}

/// One change.
#[derive(Debug, Clone)]
enum Change {
    Write(String, Vec<u8>),
    Remove(String),
    Create(String, u16, (u32, u32), Vec<(String, Vec<u8>)>, Vec<u8>),
}

/// Makes the changes, by the editor and in the tree.
fn change(name: &str, base: &Bytes, tree: &mut Tree, changes: &[Change]) -> Arc<Scratch> {
    let scratch = Scratch::new(base.clone(), 400 * MIB);
    let started = Instant::now();
    let mut editor = edit::open("xfs", scratch.clone()).unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
    for change in changes {
        let what = |error: Error| format!("{name}: {:.80}: {error}", format!("{change:?}"));
        match change {
            Change::Write(path, content) => {
                let id = tree[path].0;
                editor.write(id, content).map_err(what).unwrap();
                for (_, item) in tree.values_mut().filter(|(other, _)| *other == id) {
                    item.content.clone_from(content);
                    item.node.size = content.len() as u64;
                }
            }
            Change::Remove(path) => {
                let (id, item) = tree.remove(path).unwrap_or_else(|| panic!("{name}: {path} is not there"));
                let (parent, last) = below(path);
                editor.remove(tree[parent].0, last.as_bytes()).map_err(what).unwrap();
                for (_, item) in tree.values_mut().filter(|(other, _)| *other == id) {
                    item.node.links -= 1;
                }
                if item.node.kind == NodeKind::Directory {
                    tree.get_mut(parent).unwrap().1.node.links -= 1;
                }
            }
            Change::Create(path, mode, (uid, gid), attributes, content) => {
                let (parent, last) = below(path);
                let (parent, above) = tree[parent].clone();
                let new = NewFile { mode: *mode, uid: *uid, gid: *gid, attributes, content };
                let id = editor.create(parent, last.as_bytes(), &new).map_err(what).unwrap();
                let node = Node {
                    kind: NodeKind::File,
                    size: content.len() as u64,
                    mode: Some(*mode),
                    uid: Some(*uid),
                    gid: Some(*gid),
                    modified: above.node.modified,
                    links: 1,
                    device: None,
                };
                let mut attributes = attributes.clone();
                attributes.sort();
                tree.insert(path.clone(), (id, Item { node, attributes, content: content.clone() }));
            }
        }
    }
    editor.finish().unwrap_or_else(|error| panic!("{name}: {error}"));
    let size: usize = scratch.changes().unwrap().iter().map(|(_, run)| run.len()).sum();
    eprintln!("{name}: {} changes in {:?}, {size} bytes changed", changes.len(), started.elapsed());
    scratch
}

/// A sparse file with these bytes.
fn save(bytes: &dyn ReadAt, path: &Path) {
    drop(fs::remove_file(path));
    let file = fs::File::create(path).unwrap();
    file.set_len(bytes.size()).unwrap();
    let mut at = 0;
    while let Some(range) = bytes.data(at) {
        let end = range.end.min(range.start + MIB);
        let content = read_vec(bytes, range.start, (end - range.start) as usize).unwrap();
        if content.iter().any(|byte| *byte != 0) {
            file.write_all_at(&content, range.start).unwrap();
        }
        at = end;
    }
}

fn read(bytes: Bytes) -> Arc<dyn FileSystem> {
    vhdkit::fs::open("xfs", bytes).unwrap().unwrap()
}

fn same(name: &str, expected: &Tree, found: &Tree) {
    let names = |tree: &Tree| tree.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(expected), names(found), "{name}");
    for (path, wanted) in expected {
        let short = |item: &(NodeId, Item)| {
            format!("{:?} {:?} {:?} {:?}", item.0, item.1.node, item.1.attributes, item.1.content.get(..item.1.content.len().min(40)))
        };
        assert!(*wanted == found[path], "{name}: {path}: {} expected, {} found", short(wanted), short(&found[path]));
    }
}

struct Second(Bytes);

impl lamxfs::BlockRead for Second {
    type Error = vhdkit::bytes::ReadError;

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        ReadAt::read_at(&self.0, offset, buf)
    }
}

/// Holds a tree against a reader of other people. It looks through a directory from its start for each name.
fn second(name: &str, bytes: Bytes, tree: &Tree) {
    let size = bytes.size();
    let mut other = lamxfs::Xfs::open(Second(bytes), size).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    for (_, (path, (_, item))) in tree.iter().enumerate().filter(|(n, (path, _))| path.matches('/').count() < 2 || n % 37 == 0) {
        let at = lamxfs::Path::new(if path.is_empty() { b"/" } else { path.as_bytes() });
        match item.node.kind {
            NodeKind::File => assert!(other.read_file(at).unwrap() == item.content, "{name}: {path}"),
            NodeKind::Symlink => assert_eq!(other.read_link(at).unwrap(), item.content, "{name}: {path}"),
            NodeKind::Directory => {
                let names = other.read_dir(at).unwrap();
                let names: BTreeSet<String> = names.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
                let inside = |other: &&String| !other.is_empty() && below(other).0 == path;
                let mut expected: BTreeSet<String> = tree.keys().filter(inside).map(|path| below(path).1.to_owned()).collect();
                expected.extend([".".to_owned(), "..".to_owned()].into_iter().filter(|dot| names.contains(dot)));
                assert_eq!(expected, names, "{name}: {path}");
            }
            _ => {}
        }
        let inode = other.resolve(at).unwrap();
        let meta = other.metadata(&inode).unwrap();
        assert_eq!(meta.mode() & 0o7777, u32::from(item.node.mode.unwrap()), "{name}: {path}");
    }
}

/// What `xfs_db` finds free, in the trees by place; `None` where it is not there.
fn freesp(image: &Path) -> Option<Vec<Range<u64>>> {
    let image = image.to_str().unwrap();
    let field = |what: &str| {
        let printed = run("xfs_db", &["-r", "-c", "sb 0", "-c", &format!("p {what}"), image])?;
        printed.trim().rsplit_once(' ')?.1.parse::<u64>().ok()
    };
    let (block, group, groups) = (field("blocksize")?, field("agblocks")?, field("agcount")?);
    let mut found = vec![];
    for number in 0..groups {
        let printed = run("xfs_db", &["-r", "-c", &format!("freesp -d -a {number}"), image])?;
        // Blocks of the free list are printed first, each as one line.
        let listed: BTreeSet<u64> = run(
            "xfs_db",
            &[
                "-r",
                "-c",
                &format!("agf {number}"),
                "-c",
                "p flfirst fllast flcount",
                "-c",
                &format!("agfl {number}"),
                "-c",
                "p bno",
                image,
            ],
        )
        .map(|printed| agfl(&printed))?;
        for line in printed.lines() {
            let numbers: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
            let [of, start, count] = numbers[..] else { continue };
            if of != number || (count == 1 && listed.contains(&start)) {
                continue;
            }
            let at = (number * group + start) * block;
            found.push(at..at + count * block);
        }
    }
    found.sort_by_key(|range| range.start);
    Some(found)
}

/// Blocks in use of a free list, from what `xfs_db` prints of it.
fn agfl(printed: &str) -> BTreeSet<u64> {
    let field =
        |what: &str| printed.lines().find_map(|line| line.strip_prefix(what)?.trim_start_matches([' ', '=']).parse::<u64>().ok()).unwrap();
    let (first, last, count) = (field("flfirst"), field("fllast"), field("flcount"));
    let mut slots = BTreeMap::new();
    let entries = printed.split_once("bno[").map_or("", |(_, rest)| rest.split_once('=').map_or("", |(_, rest)| rest));
    for entry in entries.split_whitespace() {
        if let Some((slot, block)) = entry.split_once(':') {
            let Ok(block) = block.parse::<u64>() else { continue };
            let (from, to) = slot.split_once('-').unwrap_or((slot, slot));
            for slot in from.parse::<u64>().unwrap()..=to.parse::<u64>().unwrap() {
                slots.insert(slot, block);
            }
        }
    }
    let used = |slot: u64| count > 0 && if first <= last { (first..=last).contains(&slot) } else { slot >= first || slot <= last };
    slots.into_iter().filter(|(slot, _)| used(*slot)).map(|(_, block)| block).collect()
}

fn repaired(name: &str, image: &Path) {
    let output = Command::new("xfs_repair").args(["-n", image.to_str().unwrap()]).stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let told: String = said.lines().filter(|line| !line.trim_start().starts_with("- ")).fold(String::new(), |all, line| all + line + "\n");
    assert!(output.status.success(), "{name}: xfs_repair -n: {told}");
    for word in ["would ", "bad ", "dirty", "ahead of"] {
        assert!(!told.contains(word), "{name}: xfs_repair -n: {told}");
    }
}

/// Changes a file system and holds what came out against everybody who can tell.
fn changed(name: &str, image: &Path, changes: impl Fn(&Tree) -> Vec<Change>) -> PathBuf {
    let base: Bytes = Arc::new(HostFile::open(image, Access::Positional).unwrap());
    let before = tree_of(&*read(base.clone()));
    let changes = changes(&before);
    let mut expected = before.clone();
    let scratch = change(name, &base, &mut expected, &changes);
    let reread = read(scratch.clone());
    assert!(reread.clean().unwrap(), "{name}");
    same(name, &expected, &tree_of(&*reread));
    second(name, scratch.clone(), &expected);

    // The same again, later: the same bytes.
    std::thread::sleep(Duration::from_millis(1100));
    let again = change(name, &base, &mut before.clone(), &changes);
    for ((at, one), (other_at, other)) in scratch.changes().unwrap().iter().zip(again.changes().unwrap().iter()) {
        assert_eq!((at, one.len()), (other_at, other.len()), "{name}: a second run changes other places");
        if let Some(within) = one.iter().zip(other).position(|(one, other)| one != other) {
            panic!("{name}: a second run gives another byte at {:#x}", at + within as u64);
        }
    }

    let after = image.with_extension("after");
    save(&*scratch, &after);
    repaired(name, &after);
    held(name, &after, &expected);
    log_is_blank(name, &after);
    after
}

/// Free space against `xfs_db`; and with everything that is free overwritten the file system is what it was.
fn held(name: &str, image: &Path, expected: &Tree) {
    let bytes: Bytes = Arc::new(HostFile::open(image, Access::Positional).unwrap());
    let fs = read(bytes.clone());
    let free = fs.free().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(free.array_windows::<2>().all(|[one, next]| one.end < next.start) && !free.is_empty(), "{name}: free runs");
    let usage = fs.usage().unwrap();
    let total: u64 = free.iter().map(|run| run.end - run.start).sum();
    assert!(total <= usage.free && usage.free - total < usage.size / 20, "{name}: {total} of {}", usage.free);
    if let Some(theirs) = freesp(image) {
        assert_eq!(free, theirs, "{name}: free space");
    } else {
        eprintln!("SKIPPED: {name}: no xfs_db to hold free space against");
    }
    for (path, (id, item)) in expected.iter().filter(|(_, (_, item))| item.node.kind == NodeKind::File) {
        let Some(extents) = fs.extents(*id).unwrap() else { panic!("{name}: {path}: files of XFS have places") };
        let mut content = vec![0; item.content.len().next_multiple_of(65536)];
        for extent in extents {
            let touched = free.partition_point(|run| run.end <= extent.at.start);
            assert!(free.get(touched).is_none_or(|run| run.start >= extent.at.end), "{name}: {path} lies in free space");
            let part = read_vec(&*bytes, extent.at.start, (extent.at.end - extent.at.start) as usize).unwrap();
            content[extent.from as usize..][..part.len()].copy_from_slice(&part);
        }
        let (content, tail) = content.split_at(item.content.len());
        assert!(content == item.content && tail.iter().all(|byte| *byte == 0), "{name}: {path}: extents");
    }
    let punched: Bytes = Arc::new(Punched::new(bytes.clone(), free.clone()));
    let mut junk = Overlay::new(bytes);
    for run in free.iter().take(2000) {
        junk.patch(run.start, vec![0xa5; ((run.end - run.start) as usize).min(70_000)]).unwrap();
    }
    for other in [punched, Arc::new(junk)] {
        same(name, expected, &tree_of(&*read(other.clone())));
        let copy = image.with_extension("free");
        save(&*other, &copy);
        repaired(name, &copy);
        fs::remove_file(copy).unwrap();
    }
}

/// No block of the log has anything but the number of its round, except the record that ends it.
fn log_is_blank(name: &str, image: &Path) {
    let printed =
        run("xfs_db", &["-r", "-c", "sb 0", "-c", "p logstart logblocks blocksize agblocks agblklog", image.to_str().unwrap()]).unwrap();
    let fields: Vec<u64> = printed.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    let [start, blocks, block, group, bits] = fields[..] else { panic!("{printed}") };
    let at = ((start >> bits) * group + (start & ((1 << bits) - 1))) * block;
    let bytes = HostFile::open(image, Access::Positional).unwrap();
    let log = read_vec(&bytes, at, (blocks * block) as usize).unwrap();
    let used = log.chunks(512).filter(|sector| sector[4..].iter().any(|byte| *byte != 0)).count();
    assert!((1..=2).contains(&used), "{name}: {used} blocks of the log are used");
}

/// A prototype for mkfs.xfs, with what it names.
fn prototype(dir: &Path) -> PathBuf {
    let source = dir.join("source");
    fs::create_dir(&source).unwrap();
    for (seed, len) in [0, 1, 100, 4096, 5000, 70_000, 3_000_000].into_iter().enumerate() {
        fs::write(source.join(format!("f{len}")), pattern(seed, len)).unwrap();
    }
    let at = |len: usize| source.join(format!("f{len}")).display().to_string();
    let mut proto = "boot\n0 0\nd--755 3 4\n".to_owned();
    let mut put = |line: String| writeln!(proto, "{line}").unwrap();
    for len in [0, 1, 100, 4096, 5000, 70_000, 3_000_000] {
        put(format!("f{len} ---640 7 8 {}", at(len)));
    }
    put("short l--777 0 0 some/where".to_owned());
    // mkfs.xfs writes longer ones without the header that they need.
    put(format!("long l--777 0 0 {}", "long/".repeat(60)));
    put("null c--666 0 0 1 3".to_owned());
    put("disk b--660 0 6 8 0".to_owned());
    put("pipe p--600 0 0".to_owned());
    put("set -u-755 0 0 ".to_owned() + &at(100));
    for (name, count) in [("empty", 0), ("few", 3), ("block", 60), ("leaf", 300), ("node", 1500)] {
        put(format!("{name} d--755 0 0"));
        for number in 0..count {
            put(format!("entry_with_a_name_that_is_long_{number:05} ---644 0 0 {}", at(if number % 10 == 0 { 100 } else { 0 })));
        }
        put("$".to_owned());
    }
    put("journal d-g755 0 5".to_owned());
    put("0123456789abcdef d--755 0 0".to_owned());
    for number in 0..120 {
        put(format!("system@{number:016x}.journal ---640 0 0 {}", at(if number % 20 == 0 { 70_000 } else { 5000 })));
    }
    put("$\n$\n$".to_owned());
    let path = dir.join("prototype");
    fs::write(&path, proto).unwrap();
    path
}

fn file(path: &str) -> String {
    path.to_owned()
}

/// Changes of every kind to what a prototype made.
fn script(tree: &Tree) -> Vec<Change> {
    let mut changes = vec![
        Change::Write(file("/f0"), b"from empty".to_vec()),
        Change::Write(file("/f1"), vec![]),
        Change::Write(file("/f100"), pattern(70, 99)),
        Change::Write(file("/f4096"), pattern(71, 4097)),
        Change::Write(file("/f5000"), pattern(72, 4096)),
        Change::Write(file("/f70000"), pattern(73, 3)),
        Change::Write(file("/f3000000"), pattern(74, 5_000_001)),
        Change::Write(file("/f70000"), pattern(75, 200_000)),
        Change::Remove(file("/short")),
        Change::Remove(file("/long")),
        Change::Remove(file("/null")),
        Change::Remove(file("/disk")),
        Change::Remove(file("/pipe")),
        Change::Remove(file("/f1")),
        Change::Remove(file("/set")),
        Change::Remove(file("/empty")),
        Change::Create(file("/new"), 0o4750, (1000, 1001), vec![], b"new content".to_vec()),
        Change::Create(
            file("/few/labelled"),
            0o600,
            (0, 0),
            vec![(file("security.selinux"), b"system_u:object_r:etc_t:s0\0".to_vec())],
            vec![],
        ),
        Change::Create(
            file("/few/rich"),
            0o444,
            (5, 6),
            vec![(file("user.big"), pattern(3, 3000)), (file("user.small"), b"x".to_vec()), (file("trusted.t"), vec![])],
            pattern(5, 9000),
        ),
        Change::Create(file("/journal/set group"), 0o644, (1, 2), vec![], vec![]),
    ];
    for number in 0..25 {
        changes.push(Change::Create(
            format!("/few/grows_until_it_leaves_its_inode_{number}"),
            0o644,
            (0, 0),
            vec![],
            pattern(number, number * 10),
        ));
    }
    for (path, _) in tree.iter().filter(|(path, _)| path.starts_with("/journal/0123456789abcdef/") || path.starts_with("/block/")) {
        changes.push(Change::Remove(path.clone()));
    }
    changes.push(Change::Remove(file("/journal/0123456789abcdef")));
    changes.push(Change::Remove(file("/block")));
    for directory in ["leaf", "node"] {
        for number in (0..290).filter(|number| number % 9 == 3) {
            changes.push(Change::Remove(format!("/{directory}/entry_with_a_name_that_is_long_{number:05}")));
        }
        for number in 0..5 {
            changes.push(Change::Create(format!("/{directory}/a new one {number}"), 0o600, (0, 0), vec![], b"x".to_vec()));
        }
        changes.push(Change::Write(format!("/{directory}/entry_with_a_name_that_is_long_00100"), pattern(9, 1234)));
    }
    changes
}

/// A file system from a prototype; `None` where mkfs.xfs does not know the options.
fn made(dir: &Path, prototype: &Path, options: &str) -> Option<PathBuf> {
    let image = dir.join("image");
    drop(fs::remove_file(&image));
    fs::File::create(&image).unwrap().set_len(320 * MIB).unwrap();
    let mut mkfs: Vec<&str> = options.split_whitespace().collect();
    mkfs.extend(["-q", "-p", prototype.to_str().unwrap(), image.to_str().unwrap()]);
    run("mkfs.xfs", &mkfs)?;
    Some(image)
}

#[test]
fn what_mkfs_filled_is_changed() {
    if !there("mkfs.xfs") || !there("xfs_repair") {
        eprintln!("SKIPPED: no mkfs.xfs and xfs_repair");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let prototype = prototype(dir.path());
    for (name, options) in full::rows(&OPTIONS, &DEFAULT, |(name, _)| name) {
        let Some(image) = made(dir.path(), &prototype, options) else {
            eprintln!("SKIPPED: {name}: mkfs.xfs does not know {options}");
            continue;
        };
        let after = changed(name, &image, script);
        mounted(name, &after);
    }
    for (options, said) in [
        ("-n size=65536", "directory blocks"),
        ("-m crc=0", "version 4"),
        ("-i nrext64=1", "large extent counts"),
        ("-l su=65536,version=2", "log records"),
    ] {
        let Some(image) = made(dir.path(), &prototype, options) else { continue };
        let base: Bytes = Arc::new(HostFile::open(&image, Access::Positional).unwrap());
        let error = edit::open("xfs", Scratch::new(base.clone(), MIB)).unwrap().unwrap_err();
        assert!(error.to_string().contains(said), "{options}: {error}");
        assert_eq!(read(base).free().unwrap(), freesp(&image).unwrap_or_default(), "{options}");
    }
}

/// The kernel mounts it without recovery, and changes it.
fn mounted(name: &str, image: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    if run("mount", &["-o", "loop,ro,norecovery,nouuid", image.to_str().unwrap(), at]).is_none() {
        eprintln!("SKIPPED: {name}: no mount");
        return;
    }
    unmount::unmount(Path::new(at));
    run("mount", &["-o", "loop,nouuid", image.to_str().unwrap(), at]).unwrap();
    fs::write(dir.path().join("by the kernel"), pattern(1, 100_000)).unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    for number in 0..200 {
        fs::write(dir.path().join(format!("directory/{number}")), b"x").unwrap();
    }
    unmount::unmount(Path::new(at));
    repaired(name, image);
}

/// What only a kernel makes: more names of one file, shared and unwritten extents, trees of extents, attributes, sockets, flags.
const FILL: &str = r##"
set -e
cd "$1"
for n in 0 1 2 3 4 5; do head -c 300000 /dev/zero | tr '\0' "$n" > plain$n; done
ln plain0 name1; mkdir sub; ln plain0 sub/name2
cp --reflink=auto plain1 shared1; cp --reflink=auto plain1 shared2; cp --reflink=auto plain2 shared3
fallocate -l 200000 unwritten; fallocate -l 500000 tail; printf 'short' | dd of=tail conv=notrunc status=none
truncate -s 1000000 sparse; truncate -s 1000000 holes; printf x | dd of=holes bs=1 seek=500000 conv=notrunc status=none
for n in fragmented fragments; do
  truncate -s 1M $n
  xfs_io -c "$(printf 'extsize 4096')" $n > /dev/null
  i=0; while [ $i -lt 100 ]; do echo "pwrite -q $((i * 8192)) 4096"; i=$((i + 1)); done | xfs_io $n > /dev/null
done
ln -s "$(printf 'long/%.0s' $(seq 200))" long
ln -s "$(printf 'long/%.0s' $(seq 190))" long2
python3 - <<'P'
import os, socket
s = socket.socket(socket.AF_UNIX); s.bind('socket')
os.mkfifo('fifo')
for n in range(40):
    p = 'attr%d' % n
    open(p, 'w').write('x' * n)
    os.setxattr(p, 'security.selinux', b'system_u:object_r:var_log_t:s0\0')
    for k in range(n % 8 * 3):
        os.setxattr(p, 'user.number_%d' % k, bytes([k]) * (n * 10))
    if n % 10 == 9:
        os.setxattr(p, 'user.remote', b'r' * 20000)
        os.setxattr(p, 'trusted.t', b't')
os.mkdir('labelled'); os.setxattr('labelled', 'user.large', b'd' * 3000)
for n in range(160): open('labelled/file%d' % n, 'w').write('content')
os.mkdir('gaps')
for n in range(1500): open('gaps/a name of some length %d' % n, 'w').write('y' * (n % 3 * 5000))
for n in range(0, 1500, 3): os.unlink('gaps/a name of some length %d' % n)
for n in range(1, 1500, 3): os.unlink('gaps/a name of some length %d' % n) if n % 2 else None
os.mkdir('tree'); os.setxattr('tree', 'user.large', b'd' * 3000)
filler = os.open('filler', os.O_WRONLY | os.O_CREAT)
for k in range(30):
    for n in range(12): open('tree/%d %s' % (k * 100 + n, 'n' * 220), 'w').close()
    os.write(filler, b'f' * 4096); os.fsync(filler)
P
echo locked > locked; chattr +i locked; echo appended > appended; chattr +a appended
mkdir closed; echo x > closed/file; chattr +i closed
sync
"##;

/// Changes to what the kernel made.
fn hard(tree: &Tree) -> Vec<Change> {
    let mut changes = vec![
        Change::Write(file("/name1"), pattern(1, 12_345)),
        Change::Remove(file("/plain0")),
        Change::Remove(file("/sub/name2")),
        Change::Write(file("/shared1"), pattern(2, 300_001)),
        Change::Write(file("/plain1"), pattern(3, 10)),
        Change::Remove(file("/shared3")),
        Change::Write(file("/unwritten"), pattern(4, 100)),
        Change::Write(file("/tail"), pattern(4, 60_000)),
        Change::Write(file("/sparse"), pattern(5, 5000)),
        Change::Write(file("/holes"), vec![]),
        Change::Write(file("/fragmented"), pattern(6, 6000)),
        Change::Remove(file("/fragments")),
        Change::Remove(file("/long")),
        Change::Remove(file("/socket")),
        Change::Remove(file("/fifo")),
        Change::Write(file("/attr39"), pattern(7, 77_777)),
        Change::Create(file("/labelled/new"), 0o640, (0, 4), vec![(file("security.selinux"), pattern(1, 30))], pattern(8, 8192)),
        Change::Write(file("/labelled/file7"), vec![]),
    ];
    changes.extend((0..39).filter(|number| number % 2 == 1).map(|number| Change::Remove(format!("/attr{number}"))));
    changes.extend((100..160).map(|number| Change::Remove(format!("/labelled/file{number}"))));
    changes.extend(tree.keys().filter(|path| path.starts_with("/tree/") && path.contains("00 ")).cloned().map(Change::Remove));
    changes.extend((0..20).map(|number| Change::Create(format!("/tree/new {number} {}", "m".repeat(220)), 0o600, (0, 0), vec![], vec![])));
    changes.extend(tree.keys().filter(|path| path.starts_with("/gaps/a") && path.ends_with('8')).cloned().map(Change::Remove));
    changes
}

#[test]
fn what_the_kernel_filled_is_changed() {
    if !there("mkfs.xfs") || !there("xfs_repair") {
        eprintln!("SKIPPED: no mkfs.xfs and xfs_repair");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, options) in full::rows(&OPTIONS, &DEFAULT, |(name, _)| name) {
        let image = dir.path().join("image");
        drop(fs::remove_file(&image));
        fs::File::create(&image).unwrap().set_len(320 * MIB).unwrap();
        let mut mkfs: Vec<&str> = options.split_whitespace().collect();
        mkfs.extend(["-q", image.to_str().unwrap()]);
        if run("mkfs.xfs", &mkfs).is_none() {
            eprintln!("SKIPPED: {name}: mkfs.xfs does not know {options}");
            continue;
        }
        let at = dir.path().join("mount");
        drop(fs::create_dir(&at));
        let at = at.to_str().unwrap();
        if run("mount", &["-o", "loop", image.to_str().unwrap(), at]).is_none() {
            eprintln!("SKIPPED: {name}: no mount");
            continue;
        }
        let filled = run("bash", &["-c", FILL, "fill", at]);
        unmount::unmount(Path::new(at));
        filled.expect("the kernel fills it");
        protected(&image);
        let after = changed(name, &image, hard);
        mounted(name, &after);
    }
}

/// What the guest has forbidden is not done.
fn protected(image: &Path) {
    let base: Bytes = Arc::new(HostFile::open(image, Access::Positional).unwrap());
    let tree = tree_of(&*read(base.clone()));
    let new = NewFile { mode: 0o600, uid: 0, gid: 0, attributes: &[], content: b"" };
    let root = tree[""].0;
    for number in 0..6 {
        let scratch = Scratch::new(base.clone(), 100 * MIB);
        let mut editor = edit::open("xfs", scratch).unwrap().unwrap();
        let ended = match number {
            0 => editor.write(tree["/locked"].0, b"x"),
            1 => editor.remove(root, b"locked"),
            2 => editor.write(tree["/appended"].0, b"x"),
            3 => editor.remove(root, b"appended"),
            4 => editor.create(tree["/closed"].0, b"new", &new).map(|_| ()),
            _ => editor.remove(tree["/closed"].0, b"file"),
        };
        assert!(matches!(ended, Err(Error::Protected(_))), "{number}: {ended:?}");
        assert!(editor.finish().is_err(), "{number}: nothing is finished after a change that failed");
    }
}

/// A node, its attributes, and the digest of its content.
type Digested = (NodeId, Node, Vec<(String, Vec<u8>)>, Vec<u8>);

/// Everything about the nodes of a big tree but their content, of which the digest is kept.
fn digests(fs: &dyn FileSystem) -> BTreeMap<String, Digested> {
    let mut tree = BTreeMap::new();
    let mut waiting = vec![(String::new(), fs.root())];
    while let Some((path, id)) = waiting.pop() {
        let mut node = fs.node(id).unwrap();
        let content = match node.kind {
            NodeKind::File => {
                let open = fs.open(id).unwrap();
                Sha256::digest(read_vec(&*open, 0, open.size() as usize).unwrap()).to_vec()
            }
            NodeKind::Symlink => fs.target(id).unwrap(),
            _ => vec![],
        };
        if node.kind == NodeKind::Directory {
            (node.size, node.links) = (0, 0);
            fs.entries(id, &mut |entry| {
                waiting.push((format!("{path}/{}", String::from_utf8_lossy(&entry.name)), entry.node));
                ControlFlow::Continue(())
            })
            .unwrap();
        }
        tree.insert(path, (id, node, fs.attributes(id).unwrap(), content));
    }
    tree
}

/// Real disks: the root of one, `/var` of another, by their place on the disk.
#[test]
fn real_file_systems_are_changed() {
    let images = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    for (name, start, sectors, log) in
        [("D.raw", 139_264_u64, 4_052_992_u64, "/var/log/"), ("C.raw", 548_864 + 2048 + 128 * 8192, 819_200, "/log/")]
    {
        let Ok(disk) = HostFile::open(&images.join(name), Access::Positional) else {
            eprintln!("SKIPPED: {name} is not there");
            continue;
        };
        let base: Bytes = Arc::new(Slice::new(Arc::new(disk), start * 512, sectors * 512).unwrap());
        let mut expected = digests(&*read(base.clone()));
        let scratch = Scratch::new(base.clone(), 200 * MIB);
        let started = Instant::now();
        let mut editor = edit::open("xfs", scratch.clone()).unwrap().unwrap();
        let (mut written, mut removed) = (0, 0);
        for path in expected.keys().cloned().collect::<Vec<_>>() {
            let (id, node, ..) = expected[&path].clone();
            if node.kind != NodeKind::File || !(path.starts_with(log) || path.contains("/lib/dpkg/info/")) {
                continue;
            }
            if path.ends_with(".md5sums") || path.ends_with(".journal") {
                let (parent, last) = below(&path);
                editor.remove(expected[parent].0, last.as_bytes()).unwrap();
                expected.remove(&path);
                removed += 1;
            } else if path.starts_with(log) {
                editor.write(id, b"written\n").unwrap();
                let item = expected.get_mut(&path).unwrap();
                (item.1.size, item.3) = (8, Sha256::digest(b"written\n").to_vec());
                written += 1;
            }
        }
        editor.finish().unwrap();
        eprintln!("{name}: {written} written and {removed} removed in {:?}", started.elapsed());
        assert!(written > 0 && removed > 0, "{name}");
        let after = dir.path().join(name);
        save(&*scratch, &after);
        let fs = read(scratch.clone());
        assert!(digests(&*fs) == expected, "{name}: another tree");
        if there("xfs_repair") {
            repaired(name, &after);
            assert_eq!(Some(fs.free().unwrap()), freesp(&after), "{name}");
            let free = fs.free().unwrap();
            eprintln!("{name}: {} runs are free, {} bytes", free.len(), free.iter().map(|run| run.end - run.start).sum::<u64>());
            save(&Punched::new(scratch.clone(), free), &after);
            repaired(name, &after);
            mounted(name, &after);
        }
    }
}
