//! The editor of ext2, ext3 and ext4, and what the reader calls free, against e2fsprogs and the kernel. What is not there is SKIPPED, loudly.
//!
//! One file system of each kind is changed, and every kind that is refused; with `VHDKIT_FULL=1` all layouts are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::let_underscore_must_use,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may panic"
)]

#[path = "support/full.rs"]
mod full;
#[path = "support/unmount.rs"]
mod unmount;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Punched, Scratch, read_vec};
use vhdkit::fs::edit::{self, Editor, NewFile};
use vhdkit::fs::{Error, FileSystem, NodeId, NodeKind};

const SECRET: &str = "TOPSECRET-content-that-must-go";
/// What names that are removed hold.
const NAME: &str = "topsecretname";
const MOST: u64 = 1 << 30;

struct Variant {
    name: &'static str,
    kind: &'static str,
    size: &'static str,
    options: &'static [&'static str],
    /// Whether it is one that is refused.
    refused: Option<&'static str>,
}

const fn variant(name: &'static str, kind: &'static str, size: &'static str, options: &'static [&'static str]) -> Variant {
    Variant { name, kind, size, options, refused: None }
}

static VARIANTS: &[Variant] = &[
    variant("default", "ext4", "64M", &["-b", "4096"]),
    variant("ext2", "ext2", "48M", &[]),
    variant("ext3", "ext3", "64M", &["-b", "4096"]),
    variant("1k", "ext4", "64M", &["-b", "1024"]),
    variant("1k-ext2", "ext2", "48M", &["-b", "1024"]),
    variant("plain", "ext4", "64M", &["-b", "4096", "-O", "^metadata_csum,^64bit,uninit_bg"]),
    variant("bare", "ext4", "64M", &["-O", "^metadata_csum,^64bit,^uninit_bg,^flex_bg,^dir_index"]),
    variant("inline", "ext4", "64M", &["-O", "inline_data", "-b", "4096"]),
    variant("inline-1k-inode512", "ext4", "64M", &["-O", "inline_data", "-b", "1024", "-I", "512"]),
    variant("inode128", "ext4", "64M", &["-I", "128"]),
    variant("meta_bg", "ext4", "64M", &["-O", "meta_bg,^resize_inode", "-b", "1024"]),
    variant("sparse_super2", "ext4", "64M", &["-O", "sparse_super2,^resize_inode", "-b", "1024"]),
    variant("orphan_file", "ext4", "64M", &["-b", "4096", "-O", "orphan_file,metadata_csum_seed"]),
    variant("64k", "ext4", "128M", &["-b", "65536"]),
    variant("no-journal", "ext4", "48M", &["-O", "^has_journal"]),
    variant("features", "ext4", "64M", &["-O", "encrypt,casefold,verity,ea_inode,large_dir,huge_file"]),
    variant("groups", "ext4", "100M", &["-b", "1024", "-g", "4096", "-O", "^flex_bg"]),
    Variant { refused: Some("bigalloc"), ..variant("bigalloc", "ext4", "128M", &["-O", "bigalloc", "-C", "16384"]) },
    Variant { refused: Some("quota"), ..variant("quota", "ext4", "64M", &["-O", "quota"]) },
    Variant { refused: Some("mmp"), ..variant("mmp", "ext4", "64M", &["-O", "mmp"]) },
];

/// What is changed without `VHDKIT_FULL`: indexed directories, block pointers, content in inodes, and what is refused.
const DEFAULT: [&str; 7] = ["default", "1k-ext2", "ext3", "inline", "bigalloc", "quota", "mmp"];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    kind: NodeKind,
    content: Vec<u8>,
    mode: u16,
    owner: (u32, u32),
    modified: i64,
    links: u32,
    attributes: Vec<(String, Vec<u8>)>,
}

type Tree = BTreeMap<String, Seen>;

fn have(tools: &[&str]) -> bool {
    let missing: Vec<_> =
        tools.iter().filter(|tool| Command::new("which").arg(tool).output().is_ok_and(|out| !out.status.success())).collect();
    if !missing.is_empty() {
        eprintln!("SKIPPED: {missing:?} not found; install e2fsprogs");
    }
    missing.is_empty()
}

fn run(program: &str, arguments: &[&str]) -> (i32, String) {
    let out = Command::new(program).args(arguments).env("DEBUGFS_PAGER", "cat").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code().unwrap_or(-1), text)
}

fn clean(image: &Path, what: &str) {
    let (code, text) = run("e2fsck", &["-fn", image.to_str().unwrap()]);
    assert_eq!(code, 0, "{what}: {text}");
    // It ends with 0 when only counts differ, too.
    assert!(!text.contains("wrong") && !text.contains("WARNING") && !text.contains("recovering"), "{what}: {text}");
}

/// A tree on the host that file systems are made of.
fn source(root: &Path, many: usize) {
    let dir = |path: &str| fs::create_dir_all(root.join(path)).unwrap();
    let file = |path: &str, content: &[u8]| fs::write(root.join(path), content).unwrap();
    for path in ["etc", "home/topsecretname/.ssh", "var/log/deep/er", "many", "half", "tiny", "keep"] {
        dir(path);
    }
    file("etc/machine-id", format!("{SECRET}\n").as_bytes());
    file("etc/hostname", b"web-prod-01\n");
    file("etc/shadow", format!("root:{SECRET}:1::::::\n").repeat(40).as_bytes());
    file("etc/grows", b"a");
    file("etc/empty", b"");
    file("etc/stays", &b"stay ".repeat(3000));
    file("etc/big", &SECRET.repeat(20_000).into_bytes());
    file("etc/hard1", SECRET.as_bytes());
    fs::hard_link(root.join("etc/hard1"), root.join("etc/topsecretname-hard2")).unwrap();
    fs::hard_link(root.join("etc/hard1"), root.join("keep/hard3")).unwrap();
    let sparse = fs::File::create(root.join("etc/sparse")).unwrap();
    for at in 0..40 {
        sparse.write_at(SECRET.as_bytes(), at * 300_000).unwrap();
    }
    file("var/log/deep/er/log", &SECRET.repeat(5000).into_bytes());
    file("home/topsecretname/.bash_history", SECRET.as_bytes());
    file("home/topsecretname/.ssh/authorized_keys", &SECRET.repeat(30).into_bytes());
    symlink("target", root.join("home/topsecretname/fast")).unwrap();
    symlink("TOPSECRET-content-that-must-go/".repeat(6), root.join("home/topsecretname/slow")).unwrap();
    symlink("stays", root.join("etc/link")).unwrap();
    symlink("long/".repeat(40), root.join("etc/longlink")).unwrap();
    for n in 0..many {
        file(&format!("many/{NAME}-{n:04}-with-a-name-of-some-length"), if n % 3 == 0 { b"" } else { SECRET.as_bytes() });
    }
    for n in 0..many * 2 / 3 {
        let name = if n % 2 == 0 { NAME } else { "stays" };
        file(&format!("half/{name}-{n:04}-with-a-name-of-some-length"), format!("content {n}").as_bytes());
    }
    for n in 0..3 {
        file(&format!("tiny/{NAME}{n}"), b"x");
    }
    let pipe = Command::new("mkfifo").arg(root.join("home/topsecretname/pipe")).status();
    assert!(pipe.unwrap().success());
}

fn make(variant: &Variant, root: &Path, image: &Path) {
    let mut arguments = vec!["-q", "-F", "-t", variant.kind, "-N", "8192", "-d", root.to_str().unwrap()];
    arguments.extend(variant.options);
    arguments.extend([image.to_str().unwrap(), variant.size]);
    let (code, text) = run("mke2fs", &arguments);
    assert_eq!(code, 0, "{}: {text}", variant.name);
    // debugfs itself leaves a block behind that it took for attributes of large inodes.
    if variant.refused.is_some() || variant.options.contains(&"512") {
        // And mke2fs does not count quota right for what it copies.
        if variant.name != "quota" {
            clean(image, variant.name);
        }
        return;
    }
    // Attributes: in the inode, in a block, and where there is room for it in both.
    let mut script = String::new();
    for path in ["/etc/shadow", "/etc/stays", "/home/topsecretname/.bash_history", "/home/topsecretname", "/etc/longlink"] {
        let value = if path.ends_with('s') || path.ends_with('w') { "kept" } else { SECRET };
        script += &format!("ea_set {path} user.short {value}\nea_set {path} user.long {value}{}\n", "v".repeat(600));
    }
    for path in ["/etc/hostname", "/etc/empty"] {
        script += &format!("ea_set {path} security.selinux system_u:object_r:etc_t:s0\n");
    }
    let commands = image.with_extension("commands");
    fs::write(&commands, script).unwrap();
    let (code, text) = run("debugfs", &["-w", "-f", commands.to_str().unwrap(), image.to_str().unwrap()]);
    assert_eq!(code, 0, "{}: {text}", variant.name);
    clean(image, variant.name);
}

fn read(fs: &dyn FileSystem) -> Tree {
    let mut tree = Tree::new();
    let mut left = vec![(fs.root(), String::new())];
    while let Some((id, path)) = left.pop() {
        let node = fs.node(id).unwrap();
        let content = match node.kind {
            NodeKind::File => {
                let bytes = fs.open(id).unwrap();
                read_vec(&*bytes, 0, bytes.size() as usize).unwrap()
            }
            NodeKind::Symlink => fs.target(id).unwrap(),
            NodeKind::Directory => {
                let each = &mut |entry: vhdkit::fs::Entry| {
                    left.push((entry.node, format!("{path}/{}", String::from_utf8(entry.name).unwrap())));
                    ControlFlow::Continue(())
                };
                fs.entries(id, each).unwrap();
                vec![]
            }
            _ => vec![],
        };
        let seen = Seen {
            kind: node.kind,
            content,
            mode: node.mode.unwrap(),
            owner: (node.uid.unwrap(), node.gid.unwrap()),
            modified: node.modified.unwrap(),
            links: node.links,
            attributes: fs.attributes(id).unwrap(),
        };
        tree.insert(path, seen);
    }
    tree
}

fn find(fs: &dyn FileSystem, path: &str) -> NodeId {
    path.split('/')
        .filter(|name| !name.is_empty())
        .fold(fs.root(), |at, name| fs.lookup(at, name.as_bytes()).unwrap().unwrap_or_else(|| panic!("{path}")))
}

fn open_bytes(image: &Path) -> Bytes {
    Arc::new(HostFile::open(image, Access::Positional).unwrap())
}

fn parent(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap()
}

/// Removes everything below a path and then itself, the inner first.
fn remove(editor: &mut dyn Editor, fs: &dyn FileSystem, tree: &mut Tree, path: &str) {
    let below: Vec<String> = tree.keys().filter(|key| *key == path || key.starts_with(&format!("{path}/"))).cloned().collect();
    for path in below.iter().rev() {
        let (dir, name) = parent(path);
        let node = find(fs, path);
        editor.remove(find(fs, dir), name.as_bytes()).unwrap_or_else(|error| panic!("{path}: {error}"));
        let gone = tree.remove(path).unwrap();
        if gone.kind == NodeKind::Directory {
            tree.get_mut(dir).unwrap().links -= 1;
        } else if gone.links > 1 {
            let others: Vec<String> = tree.keys().filter(|other| find(fs, other) == node).cloned().collect();
            for other in others {
                tree.get_mut(&other).unwrap().links -= 1;
            }
        }
    }
}

fn write(editor: &mut dyn Editor, fs: &dyn FileSystem, tree: &mut Tree, path: &str, content: &[u8]) {
    editor.write(find(fs, path), content).unwrap_or_else(|error| panic!("{path}: {error}"));
    tree.get_mut(path).unwrap().content = content.to_vec();
}

/// The script: what is removed, written and made; gives the tree that must come out.
fn change(kind: &str, base: &Bytes) -> (Arc<Scratch>, Tree) {
    let fs = vhdkit::fs::open(kind, base.clone()).unwrap().unwrap();
    let fs = &*fs;
    let mut tree = read(fs);
    let scratch = Scratch::new(base.clone(), MOST);
    let mut editor = edit::open(kind, scratch.clone()).unwrap().unwrap();
    let ed = &mut *editor;
    let halves: Vec<String> = tree.keys().filter(|key| key.starts_with(&format!("/half/{NAME}"))).cloned().collect();
    for path in halves {
        let (dir, name) = parent(&path);
        ed.remove(find(fs, dir), name.as_bytes()).unwrap();
        tree.remove(&path);
    }
    for path in ["/many", "/home/topsecretname", "/var/log/deep", "/etc/topsecretname-hard2", "/etc/longlink"] {
        remove(ed, fs, &mut tree, path);
    }
    for n in 0..3 {
        remove(ed, fs, &mut tree, &format!("/tiny/{NAME}{n}"));
    }
    write(ed, fs, &mut tree, "/etc/machine-id", b"");
    write(ed, fs, &mut tree, "/etc/hostname", b"localhost.localdomain\n");
    write(ed, fs, &mut tree, "/etc/shadow", b"root:*:1::::::\n");
    write(ed, fs, &mut tree, "/etc/grows", &b"growing ".repeat(30_001));
    write(ed, fs, &mut tree, "/etc/empty", b"not any more\n");
    write(ed, fs, &mut tree, "/etc/big", &b"b".repeat(5000));
    write(ed, fs, &mut tree, "/etc/sparse", b"s");
    write(ed, fs, &mut tree, "/etc/hard1", b"all names\n");
    tree.get_mut("/keep/hard3").unwrap().content = b"all names\n".to_vec();
    let label = vec![("security.selinux".to_owned(), b"system_u:object_r:etc_t:s0\0".to_vec())];
    let small = read_vec(&**base, 1024 + 0x58, 2).unwrap() == [128, 0];
    let etc = find(fs, "/etc");
    for (name, content) in [("made", b"made ".repeat(2000)), ("made-empty", vec![])] {
        let new = NewFile { mode: 0o4640, uid: 70_000, gid: 1000, attributes: if small { &[] } else { &label }, content: &content };
        let id = ed.create(etc, name.as_bytes(), &new).unwrap();
        assert!(id.0 > 10);
        let modified = tree["/etc"].modified;
        let attributes = new.attributes.to_vec();
        tree.insert(
            format!("/etc/{name}"),
            Seen { kind: NodeKind::File, content, mode: 0o4640, owner: (70_000, 1000), modified, links: 1, attributes },
        );
    }
    let half = find(fs, "/half");
    ed.create(half, b"new-in-an-index", &NewFile { mode: 0o600, uid: 0, gid: 0, attributes: &[], content: b"n" }).unwrap();
    let modified = tree["/half"].modified;
    let seen = Seen { kind: NodeKind::File, content: b"n".to_vec(), mode: 0o600, owner: (0, 0), modified, links: 1, attributes: vec![] };
    tree.insert("/half/new-in-an-index".to_owned(), seen);
    editor.finish().unwrap();
    (scratch, tree)
}

fn same(found: &Tree, expected: &Tree, what: &str) {
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (found.keys().collect(), expected.keys().collect());
    assert_eq!(a, b, "{what}: names");
    for (path, seen) in expected {
        assert!(found[path] == *seen, "{what}: {path}: {:?} instead of {:?}", short(&found[path]), short(seen));
    }
}

fn short(seen: &Seen) -> Seen {
    Seen { content: seen.content.iter().copied().take(80).collect(), ..seen.clone() }
}

fn store(image: &Path, to: &Path, changes: &[(u64, Vec<u8>)]) {
    let status = Command::new("cp").arg("--sparse=always").arg(image).arg(to).status().unwrap();
    assert!(status.success());
    let file = fs::OpenOptions::new().write(true).open(to).unwrap();
    for (at, bytes) in changes {
        file.write_all_at(bytes, *at).unwrap();
    }
}

/// What debugfs copies out of it, file by file.
fn dumped(image: &Path, tree: &Tree, dir: &Path, what: &str) {
    let out = dir.join("dump");
    drop(fs::remove_dir_all(&out));
    fs::create_dir(&out).unwrap();
    let (_, text) = run("debugfs", &["-R", &format!("rdump / {}", out.display()), image.to_str().unwrap()]);
    for (path, seen) in tree.iter().filter(|(path, seen)| seen.kind == NodeKind::File && !path.contains("lost+found")) {
        let found = fs::read(out.join(&path[1..])).unwrap_or_else(|error| panic!("{what}: {path}: {error}: {text}"));
        // It gives the whole of `i_block` for data that lies there.
        let (content, rest) = found.split_at(seen.content.len().min(found.len()));
        assert!(content == seen.content && rest.iter().all(|byte| *byte == 0) && rest.len() <= 60, "{what}: {path} differs for debugfs");
    }
    drop(fs::remove_dir_all(&out));
}

/// Blocks that dumpe2fs calls free, and those of the journal but its first.
fn peers_free(image: &Path) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (code, text) = run("dumpe2fs", &[image.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    let figure = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().parse::<u64>().unwrap());
    // Of clusters it names the first block.
    let cluster = figure("Cluster size:").map_or(1, |cluster| cluster / figure("Block size:").unwrap());
    let mut free = BTreeSet::new();
    for list in text.lines().filter_map(|line| line.strip_prefix("  Free blocks: ")) {
        for range in list.split(", ").filter(|range| !range.trim().is_empty()) {
            let (from, to) = range.trim().split_once('-').unwrap_or((range.trim(), range.trim()));
            free.extend(from.parse::<u64>().unwrap()..=to.parse::<u64>().unwrap() + cluster - 1);
        }
    }
    let journal = text.contains("has_journal");
    let (_, blocks) = run("debugfs", &["-R", "bmap <8> 0", image.to_str().unwrap()]);
    let mut body = BTreeSet::new();
    if journal {
        let first: u64 = blocks.lines().find_map(|line| line.trim().parse().ok()).unwrap();
        let (_, all) = run("debugfs", &["-R", "blocks <8>", image.to_str().unwrap()]);
        body = all.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        assert!(body.remove(&first));
    }
    (free, body)
}

fn block_size(bytes: &Bytes) -> u64 {
    let log = read_vec(&**bytes, 1024 + 0x18, 1).unwrap()[0];
    1024 << log
}

/// Holds free space against dumpe2fs, punches it, and gives the bytes that are left.
fn punched(kind: &str, image: &Path, dir: &Path, what: &str) -> PathBuf {
    let bytes = open_bytes(image);
    let fs = vhdkit::fs::open(kind, bytes.clone()).unwrap().unwrap();
    let mut ranges = fs.free().unwrap_or_else(|error| panic!("{what}: {error}"));
    ranges.extend(fs.idle().unwrap_or_else(|error| panic!("{what}: {error}")));
    ranges.sort_by_key(|range| range.start);
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{what}");
    let size = block_size(&bytes);
    let found: BTreeSet<u64> = ranges.iter().flat_map(|range| range.start / size..range.end / size).collect();
    let (free, body) = peers_free(image);
    let more: BTreeSet<_> = found.difference(&free).copied().collect();
    assert!(free.is_subset(&found), "{what}: {:?} are not found", free.difference(&found).take(5).collect::<Vec<_>>());
    // A block of the journal's own map is listed among its blocks, and not free.
    assert!(more.is_subset(&body), "{what}: {:?}", more.difference(&body).take(5).collect::<Vec<_>>());
    assert!(body.len() - more.len() <= 4 + body.len() / 200, "{what}: {} of {}", more.len(), body.len());
    let to = dir.join("punched.img");
    store(image, &to, &[]);
    let file = fs::OpenOptions::new().write(true).open(&to).unwrap();
    let zeros = Punched::new(bytes, ranges.clone());
    for range in ranges {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(1 << 20);
            file.write_all_at(&read_vec(&zeros, at, len as usize).unwrap(), at).unwrap();
            at += len;
        }
    }
    to
}

/// Whether an image holds a text anywhere.
fn holds(image: &Path, text: &str) -> bool {
    let all = fs::read(image).unwrap();
    let first = text.as_bytes()[0];
    all.iter().enumerate().any(|(at, byte)| *byte == first && all[at..].starts_with(text.as_bytes()))
}

/// Reads every file from where it is said to lie.
fn lie(fs: &dyn FileSystem, bytes: &Bytes, tree: &Tree, what: &str) {
    let mut placed = 0;
    for (path, seen) in tree.iter().filter(|(_, seen)| seen.kind == NodeKind::File) {
        let Some(extents) = fs.extents(find(fs, path)).unwrap() else { continue };
        let mut content = vec![0; seen.content.len()];
        for extent in extents {
            let len = (extent.at.end - extent.at.start) as usize;
            content[extent.from as usize..][..len].copy_from_slice(&read_vec(&**bytes, extent.at.start, len).unwrap());
            placed += 1;
        }
        assert!(content == seen.content, "{what}: {path} lies elsewhere");
    }
    assert!(placed > 0, "{what}");
}

/// Lets the kernel mount it, write to it, and unmount it.
fn mounted(image: &Path, dir: &Path, what: &str) {
    let at = dir.join("mnt");
    drop(fs::create_dir(&at));
    let (code, text) = run("mount", &["-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()]);
    if code != 0 {
        eprintln!("SKIPPED: {what}: the kernel does not mount it here: {}", text.trim());
        return;
    }
    let hostname = fs::read(at.join("etc/hostname")).unwrap();
    fs::write(at.join("etc/by-the-kernel"), b"k".repeat(100_000)).unwrap();
    fs::write(at.join("half/by-the-kernel"), b"k").unwrap();
    unmount::unmount(&at);
    assert_eq!(hostname, b"localhost.localdomain\n", "{what}");
    clean(image, &format!("{what}, after the kernel"));
}

fn scratch_dir(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("vhdkit-edit-ext-{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).unwrap();
    dir
}

const TOOLS: &[&str] = &["mke2fs", "debugfs", "dumpe2fs", "e2fsck"];

/// A file system that was copied while it was mounted: its journal holds work.
#[test]
fn a_journal_is_emptied_first() {
    if !have(TOOLS) {
        return;
    }
    let dir = scratch_dir("dirty");
    let root = dir.join("root");
    fs::create_dir(&root).unwrap();
    source(&root, 150);
    for variant in full::rows(VARIANTS, &["default"], |variant| variant.name) {
        let name = variant.name;
        if !["default", "ext3", "orphan_file"].contains(&name) {
            continue;
        }
        let (image, dirty, at) = (dir.join("source.img"), dir.join("dirty.img"), dir.join("mnt"));
        drop(fs::remove_file(&image));
        make(variant, &root, &image);
        drop(fs::create_dir(&at));
        let (code, text) = run("mount", &["-o", "loop,commit=1", image.to_str().unwrap(), at.to_str().unwrap()]);
        if code != 0 {
            eprintln!("SKIPPED: the kernel does not mount it here: {}", text.trim());
            return;
        }
        // Attributes that several inodes share, inodes that are deleted while they are open, changes that only the journal has.
        let value = "kept".repeat(100);
        let tools = have(&["setfattr"]);
        for file in ["etc/hostname", "etc/stays", "etc/grows", "half/stays-0001-with-a-name-of-some-length"].iter().filter(|_| tools) {
            let (code, text) = run("setfattr", &["-n", "user.shared", "-v", &value, at.join(file).to_str().unwrap()]);
            if code != 0 {
                eprintln!("SKIPPED: attributes that are shared: {}", text.trim());
                break;
            }
        }
        fs::write(at.join("etc/in-the-journal"), b"in the journal\n").unwrap();
        let open = (name == "default").then(|| {
            let file = fs::File::create(at.join("etc/deleted")).unwrap();
            file.write_all_at(&b"d".repeat(50_000), 0).unwrap();
            file.sync_all().unwrap();
            fs::remove_file(at.join("etc/deleted")).unwrap();
            file
        });
        fs::File::open(at.join("etc/in-the-journal")).unwrap().sync_all().unwrap();
        std::thread::sleep(Duration::from_secs(3));
        store(&image, &dirty, &[]);
        drop(open);
        unmount::unmount(&at);
        let base = open_bytes(&dirty);
        let fs = vhdkit::fs::open(variant.kind, base.clone()).unwrap().unwrap();
        assert!(!fs.clean().unwrap(), "{name}");
        assert!(read(&*fs).contains_key("/etc/in-the-journal"), "{name}");
        // The body of a journal that holds work is not free.
        let size = block_size(&base);
        let idle = fs.idle().unwrap();
        let free: BTreeSet<u64> = fs.free().unwrap().iter().chain(&idle).flat_map(|range| range.start / size..range.end / size).collect();
        assert!(free.is_disjoint(&peers_free(&dirty).1), "{name}");
        let (scratch, expected) = change(variant.kind, &base);
        let after = dir.join("after.img");
        store(&dirty, &after, &scratch.changes().unwrap());
        clean(&after, name);
        same(&read(&*vhdkit::fs::open(variant.kind, open_bytes(&after)).unwrap().unwrap()), &expected, name);
        let left = punched(variant.kind, &after, &dir, name);
        clean(&left, &format!("{name}, punched"));
        same(&read(&*vhdkit::fs::open(variant.kind, open_bytes(&left)).unwrap().unwrap()), &expected, name);
        mounted(&left, &dir, name);
    }
    fs::remove_dir_all(&dir).unwrap();
}

/// What the guest protects, and what has no room, is told; nothing is damaged.
#[test]
fn what_cannot_be_done_is_told() {
    if !have(TOOLS) {
        return;
    }
    let dir = scratch_dir("refused");
    let root = dir.join("root");
    fs::create_dir(&root).unwrap();
    source(&root, 6);
    let image = dir.join("source.img");
    make(&VARIANTS[0], &root, &image);
    let script = dir.join("flags");
    fs::write(&script, "sif /etc/hostname flags 0x80010\nsif /etc/stays flags 0x80020\nsif /keep flags 0x80010\n").unwrap();
    assert_eq!(run("debugfs", &["-w", "-f", script.to_str().unwrap(), image.to_str().unwrap()]).0, 0);
    clean(&image, "flags");
    let base = open_bytes(&image);
    let fs = vhdkit::fs::open("ext4", base.clone()).unwrap().unwrap();
    let scratch = Scratch::new(base, MOST);
    let mut editor = edit::open("ext4", scratch.clone()).unwrap().unwrap();
    let new = NewFile { mode: 0o600, uid: 0, gid: 0, attributes: &[], content: b"" };
    let (etc, keep) = (find(&*fs, "/etc"), find(&*fs, "/keep"));
    let protected = |done: Result<(), Error>| assert!(matches!(done, Err(Error::Protected(_))), "{done:?}");
    protected(editor.write(find(&*fs, "/etc/hostname"), b"x"));
    protected(editor.write(find(&*fs, "/etc/stays"), b""));
    protected(editor.remove(etc, b"hostname"));
    protected(editor.remove(etc, b"stays"));
    protected(editor.remove(keep, b"hard3"));
    protected(editor.create(keep, b"new", &new).map(|_| ()));
    let told = |done: Result<(), Error>| assert!(matches!(done, Err(Error::Unsupported(_))), "{done:?}");
    told(editor.remove(fs.root(), b"etc"));
    told(editor.remove(etc, b"nothing"));
    told(editor.create(etc, b"shadow", &new).map(|_| ()));
    told(editor.write(etc, b""));
    // More than there is; and room that a removal makes is found.
    let much = vec![7; 60 << 20];
    assert!(matches!(editor.write(find(&*fs, "/etc/grows"), &much), Err(Error::Full(_))));
    drop(editor);
    let mut editor = edit::open("ext4", Scratch::new(open_bytes(&image), MOST)).unwrap().unwrap();
    let room = fs.usage().unwrap().free - (200 << 10);
    editor.write(find(&*fs, "/etc/grows"), &vec![7; room as usize]).unwrap();
    assert!(matches!(editor.write(find(&*fs, "/etc/empty"), &vec![8; 400 << 10]), Err(Error::Full(_))));
    editor.remove(etc, b"big").unwrap();
    editor.write(find(&*fs, "/etc/empty"), &vec![8; 400 << 10]).unwrap();
    editor.finish().unwrap();
    // A scratch that may not take so much.
    let mut editor = edit::open("ext4", Scratch::new(open_bytes(&image), 100 << 10)).unwrap().unwrap();
    assert!(matches!(editor.write(find(&*fs, "/etc/grows"), &vec![7; 300 << 10]), Err(Error::Full(_))));
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn every_layout_stays_in_order() {
    if !have(TOOLS) {
        return;
    }
    let dir = scratch_dir("matrix");
    let root = dir.join("root");
    let few = dir.join("few");
    fs::create_dir(&root).unwrap();
    source(&root, 1500);
    fs::create_dir(&few).unwrap();
    source(&few, 150);
    for variant in full::rows(VARIANTS, &DEFAULT, |variant| variant.name) {
        let what = variant.name;
        let image = dir.join("source.img");
        drop(fs::remove_file(&image));
        make(variant, if what == "default" { &root } else { &few }, &image);
        let base = open_bytes(&image);
        if let Some(word) = variant.refused {
            let error = edit::open(variant.kind, Scratch::new(base.clone(), MOST)).unwrap().unwrap_err();
            assert!(matches!(&error, Error::Unsupported(text) if text.contains(word)), "{what}: {error}");
            if what == "quota" {
                continue;
            }
            let before = read(&*vhdkit::fs::open(variant.kind, base).unwrap().unwrap());
            let left = punched(variant.kind, &image, &dir, what);
            clean(&left, &format!("{what}, punched"));
            same(&read(&*vhdkit::fs::open(variant.kind, open_bytes(&left)).unwrap().unwrap()), &before, what);
            continue;
        }
        let (scratch, expected) = change(variant.kind, &base);
        let changes = scratch.changes().unwrap();
        let after = dir.join("after.img");
        store(&image, &after, &changes);
        clean(&after, what);
        let fs = vhdkit::fs::open(variant.kind, open_bytes(&after)).unwrap().unwrap();
        assert!(fs.clean().unwrap(), "{what}");
        same(&read(&*fs), &expected, what);
        lie(&*fs, &open_bytes(&after), &expected, what);
        dumped(&after, &expected, &dir, what);
        // The clock has gone on; the bytes are the same.
        std::thread::sleep(Duration::from_millis(1100));
        let (again, _) = change(variant.kind, &base);
        assert!(again.changes().unwrap() == changes, "{what}: not the same bytes twice");
        let left = punched(variant.kind, &after, &dir, what);
        clean(&left, &format!("{what}, punched"));
        same(&read(&*vhdkit::fs::open(variant.kind, open_bytes(&left)).unwrap().unwrap()), &expected, &format!("{what}, punched"));
        assert!(!holds(&left, SECRET), "{what}: content is left");
        assert!(!holds(&left, NAME), "{what}: a name is left");
        mounted(&left, &dir, what);
        eprintln!("{what}: {} runs of changes", changes.len());
    }
    fs::remove_dir_all(&dir).unwrap();
}
