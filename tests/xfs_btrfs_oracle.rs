//! XFS and Btrfs against other people's readers: the kernel, the tools of xfsprogs and btrfs-progs, and second crates.
//!
//! What needs a kernel mount, a tool or an image that is not there is skipped loudly.
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

#[path = "support/unmount.rs"]
mod unmount;

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, ReadAt, Slice};
use vhdkit::fs::{FileSystem, NodeId, NodeKind};

/// What a tree holds, by path.
type Tree = BTreeMap<String, Item>;

/// A node, as far as two readers can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    kind: NodeKind,
    size: u64,
    mode: u32,
    owner: (u32, u32),
    modified: i64,
    links: u32,
    device: Option<(u32, u32)>,
    /// SHA-256 of the attributes that were asked for.
    attributes: Vec<String>,
    /// SHA-256 of a file's content, or the target of a symlink.
    content: String,
}

/// The attributes that are compared.
const ATTRIBUTES: [&str; 6] =
    ["security.selinux", "security.capability", "user.small", "user.big", "user.number_077", "trusted.overlay.opaque"];

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

fn images() -> Option<PathBuf> {
    let path = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    path.is_dir().then_some(path)
}

fn shared() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared", "../../shared"].iter().map(|up| here.join(up)).find(|path| path.is_dir())
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
    let options = format!("loop,{options}");
    run("mount", &["-o", &options, image.to_str().unwrap(), dir.path().to_str().unwrap()])?;
    Some(Mounted(dir))
}

fn open(kind: &str, image: &Path, start: u64, size: Option<u64>) -> Arc<dyn FileSystem> {
    let file: Bytes = Arc::new(HostFile::open(image, Access::Mapped).unwrap());
    let size = size.unwrap_or(file.size() - start);
    vhdkit::fs::open(kind, Arc::new(Slice::new(file, start, size).unwrap())).unwrap().unwrap()
}

fn sha256(bytes: &Bytes) -> String {
    let mut hash = Sha256::new();
    let (mut at, mut buf) = (0, vec![0; 1 << 20]);
    while at < bytes.size() {
        let now = (bytes.size() - at).min(buf.len() as u64);
        bytes.read_at(at, &mut buf[..now as usize]).unwrap();
        hash.update(&buf[..now as usize]);
        at += now;
    }
    format!("{:x}", hash.finalize())
}

/// What we read.
fn ours(fs: &dyn FileSystem, root: NodeId) -> Tree {
    let mut tree = Tree::new();
    let mut waiting = vec![(String::new(), root)];
    while let Some((path, id)) = waiting.pop() {
        assert!(path.len() < 4096 && tree.len() < 100_000, "a circle: {path}");
        let node = fs.node(id).unwrap_or_else(|error| panic!("{path}: {error}"));
        let content = match node.kind {
            NodeKind::File => sha256(&fs.open(id).unwrap_or_else(|error| panic!("{path}: {error}"))),
            NodeKind::Symlink => String::from_utf8_lossy(&fs.target(id).unwrap_or_else(|error| panic!("{path}: {error}"))).into_owned(),
            _ => String::new(),
        };
        if node.kind == NodeKind::Directory {
            let mut names = vec![];
            fs.entries(id, &mut |entry| {
                names.push(entry);
                ControlFlow::Continue(())
            })
            .unwrap_or_else(|error| panic!("{path}: {error}"));
            for entry in names {
                assert_eq!(fs.lookup(id, &entry.name).unwrap(), Some(entry.node), "{path}");
                waiting.push((format!("{path}/{}", String::from_utf8_lossy(&entry.name)), entry.node));
            }
        }
        let size = if node.kind == NodeKind::File || node.kind == NodeKind::Symlink { node.size } else { 0 };
        let item = Item {
            kind: node.kind,
            size,
            mode: u32::from(node.mode.unwrap()),
            owner: (node.uid.unwrap(), node.gid.unwrap()),
            modified: node.modified.unwrap_or(-1),
            links: node.links,
            device: node.device,
            attributes: ATTRIBUTES
                .iter()
                .filter_map(|name| Some((name, fs.attribute(id, name).unwrap_or_else(|error| panic!("{path}: {error}"))?)))
                .map(|(name, value)| format!("{name}={:x}", Sha256::digest(value)))
                .collect(),
            content,
        };
        assert!(tree.insert(path.clone(), item).is_none(), "{path} twice");
    }
    tree
}

/// What the kernel reads.
fn theirs(dir: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut waiting = vec![(String::new(), dir.to_path_buf())];
    while let Some((path, at)) = waiting.pop() {
        let meta = fs::symlink_metadata(&at).unwrap();
        let kind = match meta.file_type() {
            kind if kind.is_dir() => NodeKind::Directory,
            kind if kind.is_symlink() => NodeKind::Symlink,
            kind if kind.is_block_device() => NodeKind::BlockDevice,
            kind if kind.is_char_device() => NodeKind::CharacterDevice,
            kind if kind.is_fifo() => NodeKind::Fifo,
            kind if kind.is_socket() => NodeKind::Socket,
            _ => NodeKind::File,
        };
        let content = match kind {
            NodeKind::File => {
                let (mut file, mut hash, mut buf) = (fs::File::open(&at).unwrap(), Sha256::new(), vec![0; 1 << 20]);
                loop {
                    match file.read(&mut buf).unwrap() {
                        0 => break,
                        n => hash.update(&buf[..n]),
                    }
                }
                format!("{:x}", hash.finalize())
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
        let device = matches!(kind, NodeKind::BlockDevice | NodeKind::CharacterDevice)
            .then(|| (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev())));
        let size = if kind == NodeKind::File || kind == NodeKind::Symlink { meta.len() } else { 0 };
        let item = Item {
            kind,
            size,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            // The empty directory that stands for a subvolume in a snapshot has no times of its own.
            modified: if meta.ino() == 2 && kind == NodeKind::Directory { -1 } else { meta.mtime() },
            links: meta.nlink() as u32,
            device,
            attributes: ATTRIBUTES
                .iter()
                .filter_map(|name| {
                    let mut value = vec![0; 1 << 16];
                    let len = rustix::fs::lgetxattr(&at, *name, &mut value).ok()?;
                    Some(format!("{name}={:x}", Sha256::digest(&value[..len])))
                })
                .collect(),
            content,
        };
        tree.insert(path, item);
    }
    tree
}

fn same(what: &str, ours: &Tree, theirs: &Tree) {
    for (path, item) in theirs {
        assert_eq!(ours.get(path), Some(item), "{what}: {path}");
    }
    for path in ours.keys() {
        assert!(theirs.contains_key(path), "{what}: only we see {path}");
    }
    eprintln!("{what}: {} nodes are the same", ours.len());
}

const D: u64 = 139_264 * 512;
const SIZE: u64 = 4_052_992 * 512;

#[test]
fn the_debian_root_on_xfs_is_what_the_kernel_reads() {
    let Some(image) = images().map(|dir| dir.join("D.raw")).filter(|path| path.exists()) else {
        return eprintln!("SKIPPED: no D.raw");
    };
    let fs = open("xfs", &image, D, Some(SIZE));
    let Some(mounted) = mount(&image, &format!("ro,norecovery,nouuid,offset={D},sizelimit={SIZE}")) else {
        return eprintln!("SKIPPED: the kernel does not mount XFS here");
    };
    same("D.raw", &ours(&*fs, fs.root()), &theirs(mounted.0.path()));
}

#[test]
fn the_debian_root_on_btrfs_is_what_the_kernel_reads() {
    let Some(image) = images().map(|dir| dir.join("E.raw")).filter(|path| path.exists()) else {
        return eprintln!("SKIPPED: no E.raw");
    };
    let fs = open("btrfs", &image, D, Some(SIZE));
    let subvolumes = fs.subvolumes().unwrap();
    eprintln!("{subvolumes:?}");
    let Some(mounted) = mount(&image, &format!("ro,subvolid=5,offset={D},sizelimit={SIZE}")) else {
        return eprintln!("SKIPPED: the kernel does not mount Btrfs here");
    };
    let top = subvolumes.iter().find(|one| one.id == 5).unwrap();
    same("E.raw", &ours(&*fs, top.root), &theirs(mounted.0.path()));
}

/// Fills a directory with every kind of node, of every form that it can have on the disk.
fn populate(dir: &Path, attributes: bool) {
    let text = |n: usize| (0..n).map(|i| (i * 7 + i / 251) as u8).collect::<Vec<u8>>();
    for (name, count) in [("empty", 0), ("short", 3), ("block", 40), ("leaf", 400), ("node", 3000)] {
        let sub = dir.join(name);
        fs::create_dir(&sub).unwrap();
        for i in 0..count {
            let long = "x".repeat(i % 90);
            fs::write(sub.join(format!("file {i} {long}")), format!("{i}")).unwrap();
        }
    }
    // Holes among the names.
    for i in (0..3000).step_by(3) {
        fs::remove_file(dir.join("node").join(format!("file {i} {}", "x".repeat(i % 90)))).unwrap();
    }
    fs::create_dir_all(dir.join("a/b/c/d")).unwrap();
    fs::write(dir.join("a/b/c/d/deep"), "deep").unwrap();
    fs::write(dir.join("n".repeat(255)), "long name").unwrap();
    fs::write(dir.join("Ünïcode ☃"), "name").unwrap();
    fs::write(dir.join("nothing"), "").unwrap();
    fs::write(dir.join("small"), text(100)).unwrap();
    fs::write(dir.join("inline at most"), text(2000)).unwrap();
    fs::write(dir.join("large"), text(3_000_001)).unwrap();
    fs::hard_link(dir.join("large"), dir.join("another name")).unwrap();
    std::os::unix::fs::symlink("short/target", dir.join("link")).unwrap();
    std::os::unix::fs::symlink(format!("/{}", "long/".repeat(200)), dir.join("long link")).unwrap();
    std::os::unix::fs::symlink("y".repeat(1023), dir.join("longest link")).unwrap();

    let sparse = fs::File::create(dir.join("sparse")).unwrap();
    for i in 0..600_u64 {
        sparse.write_all_at(&text(3000), i * 131_072 + 17 * i).unwrap();
    }
    sparse.set_len(90 << 20).unwrap();
    let prepared = fs::File::create(dir.join("prepared")).unwrap();
    if rustix::fs::fallocate(&prepared, rustix::fs::FallocateFlags::empty(), 0, 1 << 20).is_ok() {
        prepared.write_all_at(&text(5000), 100_000).unwrap();
    }
    drop(sparse);
    if run("cp", &["--reflink=always", dir.join("large").to_str().unwrap(), dir.join("shared").to_str().unwrap()]).is_some() {
        fs::File::options().write(true).open(dir.join("shared")).unwrap().write_all_at(b"changed", 1_000_000).unwrap();
    }
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    run("mknod", &[&path("block device"), "b", "8", "17"]);
    run("mknod", &[&path("char device"), "c", "300", "70000"]);
    run("mkfifo", &[&path("fifo")]);
    drop(std::os::unix::net::UnixListener::bind(dir.join("socket")));
    run("chmod", &["4751", &path("small")]);
    run("chown", &["1000:2000", &path("small")]);
    run("touch", &["-h", "-d", "1969-07-20 20:17", &path("small")]);
    run("touch", &["-h", "-d", "2037-01-01", &path("nothing")]);
    if attributes {
        let set = |name: &str, attribute: &str, value: &[u8]| {
            let _ = rustix::fs::lsetxattr(dir.join(name), attribute, value, rustix::fs::XattrFlags::empty());
        };
        for name in ["small", "link", "a", "nothing", "node"] {
            set(name, "security.selinux", b"system_u:object_r:etc_t:s0\0");
        }
        set("a", "trusted.overlay.opaque", b"y");
        set("small", "user.small", b"");
        set("large", "user.big", &text(3000));
        set("nothing", "user.big", &text(60_000));
        for i in 0..200 {
            set("inline at most", &format!("user.number_{i:03}"), &text(i * 3));
        }
    }
}

/// Makes an image with these options, lets the kernel fill it, and gives its path; `None` where one of them cannot.
fn made(dir: &Path, name: &str, mkfs: &[&str], size: u64) -> Option<PathBuf> {
    let image = dir.join(name);
    fs::File::create(&image).unwrap().set_len(size).unwrap();
    let arguments: Vec<&str> = mkfs[1..].iter().copied().chain([image.to_str().unwrap()]).collect();
    run(mkfs[0], &arguments)?;
    let mounted = mount(&image, "rw")?;
    populate(mounted.0.path(), true);
    drop(mounted);
    Some(image)
}

fn megabytes(count: u64) -> u64 {
    count << 20
}

/// Options of mkfs.xfs, one file system each.
const XFS: &[(&str, &str)] = &[
    ("default", ""),
    ("version 4", "-m crc=0"),
    ("version 4 with types", "-m crc=0 -n ftype=1"),
    ("version 4, first log", "-m crc=0 -l version=1"),
    ("no big times", "-m bigtime=0,inobtcount=0"),
    ("large counts", "-i nrext64=1"),
    ("all trees", "-m rmapbt=1,reflink=1,finobt=1"),
    ("no sparse inodes", "-i sparse=0 -m reflink=0,finobt=0"),
    ("small blocks", "-b size=1024"),
    ("small blocks, version 4", "-b size=512 -m crc=0 -n size=4096"),
    ("large directory blocks", "-n size=65536"),
    ("large inodes", "-i size=2048"),
    ("large sectors", "-s size=4096"),
    ("folds case", "-n version=ci"),
    ("striped log", "-l su=256k -d su=64k,sw=4"),
    ("many groups", "-d agcount=8"),
    ("16 KiB blocks", "-b size=16384"),
];

#[test]
fn xfs_of_every_form_is_what_the_kernel_reads() {
    let dir = tempfile::tempdir().unwrap();
    for (name, options) in XFS {
        let mkfs: Vec<&str> = ["mkfs.xfs", "-q"].into_iter().chain(options.split_whitespace()).collect();
        let Some(image) = made(dir.path(), name, &mkfs, megabytes(1500)) else {
            eprintln!("SKIPPED: {name}: mkfs.xfs or the kernel does not know {options}");
            continue;
        };
        let fs = open("xfs", &image, 0, None);
        assert!(fs.clean().unwrap(), "{name}");
        let Some(mounted) = mount(&image, "ro,norecovery") else { continue };
        same(name, &ours(&*fs, fs.root()), &theirs(mounted.0.path()));
        let counted = rustix::fs::statfs(mounted.0.path()).unwrap();
        let usage = fs.usage().unwrap();
        // The kernel keeps some blocks back.
        let free = counted.f_bfree * counted.f_bsize as u64;
        assert!(usage.free.abs_diff(free) < megabytes(20), "{name}: {usage:?}, {free} free");
        assert_eq!(usage.used + usage.free, usage.size);
        drop(mounted);
        drop(fs);
        fs::remove_file(image).unwrap();
    }
}

/// Changes of every kind, one after another; the seed says which.
fn churn(dir: &Path, seed: u64, rounds: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for round in 0..rounds {
        let sub = dir.join(format!("churn {}", next(6)));
        let name = sub.join(format!("{} {}", next(80), "z".repeat(next(60) as usize)));
        let other = dir.join(format!("churn {}", next(6))).join(format!("{round}"));
        let content = vec![(round % 255) as u8; next(40_000) as usize];
        let _ = match next(12) {
            0 => fs::create_dir(&sub),
            1 | 2 => fs::write(&name, &content),
            3 => fs::remove_file(&name),
            4 => fs::rename(&name, &other),
            5 => fs::hard_link(&name, &other),
            6 => std::os::unix::fs::symlink("t".repeat(1 + next(900) as usize), &other),
            7 => fs::remove_dir_all(&sub),
            8 => {
                let _ = rustix::fs::lsetxattr(
                    &name,
                    format!("user.{}", next(9)),
                    &content[..content.len().min(3000)],
                    rustix::fs::XattrFlags::empty(),
                );
                Ok(())
            }
            9 => fs::File::options().write(true).open(&name).and_then(|file| file.set_len(next(100_000))),
            10 => fs::File::options().write(true).open(&name).and_then(|file| {
                let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), next(1 << 20), 1 + next(1 << 18));
                file.write_all_at(&content, next(1 << 21))?;
                if next(3) == 0 { file.sync_all() } else { Ok(()) }
            }),
            _ => {
                let _ = fs::create_dir(&sub);
                (0..next(200)).try_for_each(|i| fs::write(sub.join(format!("many {i} {round}")), [i as u8]))
            }
        };
    }
}

/// How much is tried: `VHDKIT_FUZZ_ROUNDS` where it is set.
fn rounds() -> u64 {
    std::env::var("VHDKIT_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(150)
}

/// Logs left behind by a machine that stops: the kernel recovers a copy, we read the original.
#[test]
fn an_xfs_log_is_replayed_as_the_kernel_replays_it() {
    let dir = tempfile::tempdir().unwrap();
    let all = rounds() > 150;
    let some = ["default", "small blocks", "striped log"];
    for (round, (name, options)) in XFS.iter().filter(|(name, _)| all || some.contains(name)).enumerate() {
        let mkfs: Vec<&str> = ["mkfs.xfs", "-q"].into_iter().chain(options.split_whitespace()).collect();
        let Some(image) = made(dir.path(), "image", &mkfs, megabytes(1500)) else {
            eprintln!("SKIPPED: {name}");
            continue;
        };
        for (how, again) in [("", 0), ("-f", 1), ("-f", 2)] {
            let Some(mounted) = mount(&image, "rw") else { continue };
            let at = mounted.0.path().to_str().unwrap().to_owned();
            if again == 1 {
                let _ = fs::remove_dir_all(mounted.0.path().join("node"));
                let _ = rustix::fs::mknodat(
                    rustix::fs::CWD,
                    mounted.0.path().join("new device"),
                    rustix::fs::FileType::CharacterDevice,
                    0o600.into(),
                    rustix::fs::makedev(7, 9),
                );
            }
            churn(mounted.0.path(), round as u64 * 3 + again, 600);
            if again == 2 {
                run("sync", &["-f", &at]);
                churn(mounted.0.path(), round as u64 + 100, 300);
            }
            let stop = format!("shutdown {how}");
            if run("xfs_io", &["-x", "-c", stop.trim(), &at]).is_none() {
                eprintln!("SKIPPED: no xfs_io");
            }
            drop(mounted);
            let copy = dir.path().join("copy");
            run("cp", &["--sparse=always", image.to_str().unwrap(), copy.to_str().unwrap()]).unwrap();
            let fs = open("xfs", &image, 0, None);
            let Some(mounted) = mount(&copy, "rw,nouuid") else { panic!("{name}: the kernel does not recover it") };
            eprintln!("{name}: clean {}", fs.clean().unwrap());
            same(&format!("{name}, stopped {again}"), &ours(&*fs, fs.root()), &theirs(mounted.0.path()));
            if again > 0 {
                assert!(!fs.clean().unwrap(), "{name}");
            }
            drop((mounted, fs));
            // What was recovered is in order.
            assert!(open("xfs", &copy, 0, None).clean().unwrap());
            fs::rename(copy, &image).unwrap();
        }
        fs::remove_file(image).unwrap();
    }
}

/// Options of mkfs.btrfs and of the mount, one file system each.
const BTRFS: &[(&str, &str, &str)] = &[
    ("default", "", "compress=no"),
    ("zlib", "", "compress-force=zlib"),
    ("lzo", "", "compress-force=lzo"),
    ("zstd", "--csum xxhash", "compress-force=zstd"),
    ("sha256", "--csum sha256 -n 4096 -m single", "compress=zstd:15"),
    ("blake2", "--csum blake2", "compress=lzo"),
    ("mixed", "-M -n 4096", "compress=no"),
    ("holes", "-O ^no-holes,^skinny-metadata,^extref", "compress=no"),
    ("large nodes", "-n 65536", "compress=no,max_inline=0"),
    ("no checksums", "", "nodatasum"),
    ("data twice", "-d dup", "compress=zstd"),
];

fn btrfs_image(dir: &Path, mkfs: &str, options: &str) -> Option<PathBuf> {
    let image = dir.join("image");
    fs::File::create(&image).unwrap().set_len(megabytes(700)).unwrap();
    let arguments: Vec<&str> = ["-q", "-f"].into_iter().chain(mkfs.split_whitespace()).chain([image.to_str().unwrap()]).collect();
    run("mkfs.btrfs", &arguments)?;
    let mounted = mount(&image, &format!("rw,{options}"))?;
    let path = |name: &str| mounted.0.path().join(name).to_str().unwrap().to_owned();
    run("btrfs", &["subvolume", "create", &path("@")])?;
    populate(&mounted.0.path().join("@"), true);
    fs::create_dir_all(path("@/var/lib")).unwrap();
    run("btrfs", &["subvolume", "create", &path("@/var/lib/machines")])?;
    fs::write(path("@/var/lib/machines/inside"), "inside").unwrap();
    run("btrfs", &["subvolume", "create", &path("gone")])?;
    run("btrfs", &["subvolume", "snapshot", "-r", &path("@"), &path("snapshot of @")])?;
    fs::write(path("@/after the snapshot"), vec![b'a'; 300_000]).unwrap();
    run("btrfs", &["subvolume", "delete", "-c", &path("gone")])?;
    run("btrfs", &["subvolume", "set-default", &path("@")])?;
    drop(mounted);
    Some(image)
}

#[test]
fn btrfs_of_every_form_is_what_the_kernel_reads() {
    let dir = tempfile::tempdir().unwrap();
    for (name, mkfs, options) in BTRFS {
        let Some(image) = btrfs_image(dir.path(), mkfs, options) else {
            eprintln!("SKIPPED: {name}: mkfs.btrfs or the kernel does not know {mkfs} {options}");
            continue;
        };
        let fs = open("btrfs", &image, 0, None);
        assert!(fs.clean().unwrap(), "{name}");
        let subvolumes = fs.subvolumes().unwrap();
        let paths: Vec<(&str, bool)> = subvolumes.iter().map(|one| (one.path.as_str(), one.default)).collect();
        assert_eq!(paths, [("", false), ("@", true), ("@/var/lib/machines", false), ("snapshot of @", false)], "{name}");
        assert_eq!(fs.root(), subvolumes[1].root);
        let Some(mounted) = mount(&image, "ro,subvolid=5") else { continue };
        same(name, &ours(&*fs, subvolumes[0].root), &theirs(mounted.0.path()));
        drop(mounted);
        let Some(mounted) = mount(&image, "ro") else { continue };
        // The same nodes as above, reached from another root.
        if rounds() > 150 || *name == "default" {
            same(&format!("{name}, default subvolume"), &ours(&*fs, fs.root()), &theirs(mounted.0.path()));
        }
        let counted = rustix::fs::statfs(mounted.0.path()).unwrap();
        // The kernel counts content that is kept twice once.
        let copies = if mkfs.contains("-d dup") { 2 } else { 1 };
        assert_eq!(fs.usage().unwrap().size, copies * counted.f_blocks * counted.f_bsize as u64, "{name}");
    }
}

/// Log trees left behind by fsync: the kernel replays a copy, we read another.
#[test]
fn a_btrfs_log_tree_is_replayed_as_the_kernel_replays_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut replayed = 0;
    for (name, mkfs, options) in &BTRFS[..if rounds() > 150 { 4 } else { 2 }] {
        let Some(image) = btrfs_image(dir.path(), mkfs, options) else {
            eprintln!("SKIPPED: {name}");
            continue;
        };
        for round in 0..if rounds() > 150 { 12 } else { 2 } {
            let Some(mounted) = mount(&image, &format!("rw,commit=300,{options}")) else { continue };
            let top = mounted.0.path();
            churn(top, round, 200);
            run("sync", &["-f", top.to_str().unwrap()]);
            churn(top, round + 1000, 8 + round * 4);
            // What is fsynced after this is in the log tree, and nothing else of it.
            let mut waiting = vec![top.to_path_buf()];
            let mut turn = round;
            while let Some(at) = waiting.pop() {
                for entry in fs::read_dir(&at).unwrap().flatten() {
                    let (path, kind) = (entry.path(), entry.file_type().unwrap());
                    turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let churned = path.to_string_lossy().contains("churn");
                    if kind.is_dir() {
                        waiting.push(path.clone());
                    }
                    if (churned && (turn >> 33) % 4 == 0 || (turn >> 33) % 2000 == 0) && (kind.is_file() || kind.is_dir()) {
                        if kind.is_file() && (turn >> 40) % 2 == 0 {
                            let file = fs::File::options().write(true).open(&path).unwrap();
                            let _ = file.write_all_at(&vec![round as u8 + 1; 5000], (turn >> 41) % 60_000);
                        }
                        if kind.is_file() && (turn >> 45) % 3 == 0 {
                            let _ = fs::rename(&path, path.with_extension("renamed"));
                            let _ = fs::write(&path, "in its place");
                        }
                        let _ = fs::File::open(&path).unwrap().sync_all();
                    }
                }
            }
            let (first, second) = (dir.path().join("first"), dir.path().join("second"));
            for copy in [&first, &second] {
                run("cp", &["--sparse=always", image.to_str().unwrap(), copy.to_str().unwrap()]).unwrap();
            }
            drop(mounted);
            let fs = open("btrfs", &first, 0, None);
            let clean = fs.clean().unwrap();
            let subvolumes = fs.subvolumes().unwrap();
            let mounted = mount(&second, "rw,subvolid=5").unwrap();
            let found = ours(&*fs, subvolumes[0].root);
            same(&format!("{name}, round {round}, clean {clean}"), &found, &theirs(mounted.0.path()));
            drop(mounted);
            // What the last commit had, to see that the log changes something.
            if let Some(mounted) = mount(&first, "ro,subvolid=5,rescue=nologreplay") {
                let before = theirs(mounted.0.path());
                let changed = found.iter().filter(|(path, item)| before.get(*path) != Some(item)).count();
                let gone = before.keys().filter(|path| !found.contains_key(*path)).count();
                eprintln!("{name}, round {round}: the log changes {changed} nodes and takes away {gone}");
                assert!(clean || changed > 0);
            }
            replayed += u32::from(!clean);
        }
    }
    eprintln!("{replayed} log trees replayed");
}

/// Images that other programs made, in this repository's company or elsewhere: where they are, and where in them the file system is.
const REAL: &[(&str, &str, u64, u64)] = &[
    ("xfs", "images/synthetic/rhel9.raw.zst", 24_576, 694_272),
    ("xfs", "images/synthetic/rocky9.raw.zst", 24_576, 694_272),
    ("btrfs", "images/synthetic/sles15.raw.zst", 24_576, 366_592),
    ("btrfs", "corpus/src-discutils/btrfs.vhdx.gz", 2048, 2_095_104),
    ("btrfs", "corpus/built-fs/fs1-systemd-repart-gpt.qemu-fixed.vhd.zst", 294_872, 524_288),
    ("btrfs", "corpus/built-fs/fs6a-gpt-primary-destroyed.qemu-dyn.vhd.zst", 4096, 323_551),
];

#[test]
fn images_of_others_are_what_the_kernel_reads() {
    let Some(shared) = shared() else { return eprintln!("SKIPPED: no images") };
    let dir = tempfile::tempdir().unwrap();
    for (kind, path, start, sectors) in REAL {
        let (from, unpacked, raw) = (shared.join(path), dir.path().join("unpacked"), dir.path().join("raw"));
        let unpack = if path.ends_with("gz") { "gzip -dc" } else { "zstd -dcq" };
        let command = format!("{unpack} '{}' > '{}'", from.display(), unpacked.display());
        let (unpacked, raw) = (unpacked.to_str().unwrap().to_owned(), raw.to_str().unwrap().to_owned());
        let format = if path.contains(".raw") {
            "raw"
        } else if path.contains("vhdx") {
            "vhdx"
        } else {
            "vpc"
        };
        if run("sh", &["-c", &command]).is_none() || run("qemu-img", &["convert", "-f", format, "-O", "raw", &unpacked, &raw]).is_none() {
            eprintln!("SKIPPED: {path}");
            continue;
        }
        let fs = open(kind, Path::new(&raw), start * 512, Some(sectors * 512));
        let more = if *kind == "xfs" { "norecovery,nouuid" } else { "subvolid=5" };
        let options = format!("ro,{more},offset={},sizelimit={}", start * 512, sectors * 512);
        let Some(mounted) = mount(Path::new(&raw), &options) else {
            eprintln!("SKIPPED: the kernel does not mount {path}");
            continue;
        };
        let subvolumes = fs.subvolumes().unwrap();
        let root = subvolumes.iter().find(|one| one.id == 5).map_or(fs.root(), |top| top.root);
        same(path, &ours(&*fs, root), &theirs(mounted.0.path()));
        if !subvolumes.is_empty() {
            eprintln!("{path}: {subvolumes:?}");
        }
    }
}

/// A prototype for mkfs.xfs: it fills an image without a mount.
fn prototype(dir: &Path) -> PathBuf {
    let source = dir.join("source");
    fs::create_dir_all(&source).unwrap();
    let file = |name: &str, len: usize| {
        let path = source.join(name);
        fs::write(&path, (0..len).map(|i| (i * 13 + i / 300) as u8).collect::<Vec<u8>>()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut text = "/nothing\n0 0\nd--755 3 4\n".to_owned();
    for (name, len) in [("empty", 0), ("small", 10), ("block", 4096), ("large", 5_000_000)] {
        text += &format!("{name} ---6{}4 {len} 20 {}\n", len % 7, file(name, len));
    }
    for (name, count) in [("none", 0), ("few", 3), ("some", 60), ("many", 700), ("most", 2500)] {
        text += &format!("{name} d--750 1 2\n");
        for i in 0..count {
            text += &format!("file_{i}_{} ---644 {i} 0 {}\n", "w".repeat(i % 120), source.join("small").display());
        }
        text += "$\n";
    }
    // mkfs.xfs gives a target outside the inode no header, so it must not be longer than fits into one of version 5.
    text += &format!("link l--777 0 0 some/where\nlong_link l--777 0 0 {}\n", "../far".repeat(50));
    text += "disk b--660 0 6 8 17\nterminal c--620 0 5 4 70\npipe p--600 0 0\nset u-u755 0 0 ";
    text =
        text.replace("set u-u755 0 0 ", &format!("set -u-4755 0 0 {}\n$\n", source.join("small").display()).replace("-u-4755", "-u-755"));
    let path = dir.join("prototype");
    fs::write(&path, text).unwrap();
    path
}

/// The bytes of an image for the second readers.
struct Second(Arc<HostFile>);

impl lamxfs::BlockRead for Second {
    type Error = vhdkit::bytes::ReadError;

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        ReadAt::read_at(&self.0, offset, buf)
    }
}

impl fs_core::BlockRead for Second {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> fs_core::Result<()> {
        ReadAt::read_at(&self.0, offset, buf).map_err(|error| fs_core::Error::Io(std::io::Error::other(error)))
    }

    fn size_bytes(&self) -> u64 {
        self.0.size()
    }
}

/// Holds a tree of XFS against two other readers that need no mount.
fn second_readers(name: &str, image: &Path, tree: &Tree) {
    let file = Arc::new(HostFile::open(image, Access::Positional).unwrap());
    let digest = |content: &[u8]| format!("{:x}", Sha256::digest(content));
    let mut other = lamxfs::Xfs::open(Second(file.clone()), file.size()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let third = fs_xfs::Filesystem::mount(Arc::new(Second(file))).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut seconds, mut thirds) = (0, 0);
    // They look through a directory from its start for each name: a few of many files are enough.
    for (_, (path, item)) in tree.iter().enumerate().filter(|(i, (_, item))| item.kind != NodeKind::File || item.size > 10 || i % 23 == 0) {
        let path = if path.is_empty() { "/" } else { path.as_str() };
        match item.kind {
            NodeKind::File => {
                assert_eq!(digest(&other.read_file(lamxfs::Path::new(path.as_bytes())).unwrap()), item.content, "{name}: {path}");
                assert_eq!(digest(&third.read_path(path).unwrap()), item.content, "{name}: {path}");
            }
            NodeKind::Directory => {
                let below = |other: &String| other.rsplit_once('/').is_some_and(|(above, _)| above == path.trim_end_matches('/'));
                let expected: std::collections::BTreeSet<String> =
                    tree.keys().filter(|path| below(path)).map(|path| path.rsplit_once('/').unwrap().1.to_owned()).collect();
                let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
                let names = other.read_dir(lamxfs::Path::new(path.as_bytes())).unwrap();
                let names = names.iter().map(|entry| text(&entry.name)).filter(|name| name != "." && name != "..").collect();
                assert_eq!(expected, names, "{name}: {path}");
                assert_eq!(expected, third.list_path(path).unwrap().iter().map(|entry| text(&entry.name)).collect(), "{name}: {path}");
                thirds += 1;
            }
            NodeKind::Symlink => {
                let target = other.read_link(lamxfs::Path::new(path.as_bytes())).unwrap();
                assert_eq!(String::from_utf8_lossy(&target), item.content, "{name}: {path}");
            }
            _ => {}
        }
        let inode = third.lookup_path(path).unwrap();
        assert_eq!((u32::from(inode.permissions()), inode.mtime.sec), (item.mode, item.modified), "{name}: {path}");
        assert_eq!((inode.uid, inode.gid), item.owner, "{name}: {path}");
        seconds += 1;
    }
    eprintln!("{name}: {seconds} nodes and {thirds} directories are the same to two other readers");
}

#[test]
fn xfs_filled_by_mkfs_is_what_it_was_filled_with() {
    let dir = tempfile::tempdir().unwrap();
    let prototype = prototype(dir.path());
    for (name, options) in XFS {
        let image = dir.path().join("image");
        drop(fs::remove_file(&image));
        fs::File::create(&image).unwrap().set_len(megabytes(1500)).unwrap();
        let mut mkfs: Vec<&str> = options.split_whitespace().collect();
        mkfs.extend(["-q", "-p", prototype.to_str().unwrap(), image.to_str().unwrap()]);
        if run("mkfs.xfs", &mkfs).is_none() {
            eprintln!("SKIPPED: {name}: mkfs.xfs does not know {options}");
            continue;
        }
        let fs = open("xfs", &image, 0, None);
        assert!(fs.clean().unwrap(), "{name}");
        assert_eq!(fs.folds_case(), options.contains("=ci"));
        let tree = ours(&*fs, fs.root());
        assert_eq!(tree.len(), 1 + 4 + 5 + 3263 + 2 + 3 + 1, "{name}");
        for (path, item) in &tree {
            let source = match path.rsplit_once('/').map_or("", |(_, name)| name) {
                file if file.starts_with("file_") || file == "set" => "small",
                file => file,
            };
            if item.kind == NodeKind::File {
                let content = fs::read(dir.path().join("source").join(source)).unwrap();
                assert_eq!(
                    (item.size, &item.content),
                    (content.len() as u64, &format!("{:x}", Sha256::digest(&content))),
                    "{name}: {path}"
                );
            }
        }
        let of = |path: &str| tree.get(path).unwrap();
        assert_eq!((of("").mode, of("").owner, of("/none").mode), (0o755, (3, 4), 0o750));
        assert_eq!((of("/disk").kind, of("/disk").device), (NodeKind::BlockDevice, Some((8, 17))));
        assert_eq!((of("/terminal").kind, of("/terminal").device), (NodeKind::CharacterDevice, Some((4, 70))));
        assert_eq!((of("/pipe").kind, of("/set").mode), (NodeKind::Fifo, 0o4755));
        assert_eq!((of("/link").content.as_str(), of("/long_link").content.as_str()), ("some/where", "../far".repeat(50).as_str()));
        // They take longer than everything else here: layouts that differ most, or all that they can read.
        let some = ["default", "version 4", "small blocks", "large directory blocks", "16 KiB blocks"];
        if !options.contains("=ci") && (rounds() > 150 || some.contains(name)) {
            second_readers(name, &image, &tree);
        }
        // What xfs_db counts.
        let counted = run("xfs_db", &["-r", "-c", "sb 0", "-c", "p fdblocks blocksize", image.to_str().unwrap()]).unwrap();
        let numbers: Vec<u64> = counted.lines().filter_map(|line| line.rsplit_once("= ")?.1.trim().parse().ok()).collect();
        assert_eq!(fs.usage().unwrap().free, numbers[0] * numbers[1], "{name}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = dir.path().join(name);
        fs::File::create(&path).unwrap().set_len(megabytes(1500)).unwrap();
        path
    };
    let refused = |kind: &str, image: &Path| {
        let bytes: Bytes = Arc::new(HostFile::open(image, Access::Mapped).unwrap());
        vhdkit::fs::open(kind, bytes).unwrap().unwrap_err().to_string()
    };
    let (one, two, three) = (make("one"), make("two"), make("three"));
    let (a, b, c) = (one.to_str().unwrap(), two.to_str().unwrap(), three.to_str().unwrap());
    if run("mkfs.xfs", &["-q", "-f", "-l", &format!("logdev={b},size=64m"), a]).is_some() {
        assert!(refused("xfs", &one).contains("external log"), "{}", refused("xfs", &one));
    }
    for (profile, word) in [("raid1", "2 devices"), ("raid0", "2 devices"), ("raid5", "RAID5")] {
        if run("mkfs.btrfs", &["-q", "-f", "-d", profile, "-m", profile, a, b]).is_some() {
            assert!(refused("btrfs", &one).contains(word), "{profile}: {}", refused("btrfs", &one));
        }
    }
    if run("mkfs.btrfs", &["-q", "-f", "-d", "raid1c3", "-m", "raid1c3", a, b, c]).is_some() {
        assert!(refused("btrfs", &one).contains("3 devices"));
    }
}

/// Bytes that remember what was read of them.
#[derive(Debug)]
struct Watched(Bytes, std::sync::Mutex<std::collections::BTreeSet<u64>>);

impl ReadAt for Watched {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), vhdkit::bytes::ReadError> {
        let mut seen = self.1.lock().unwrap();
        seen.extend((offset / 512..(offset + buf.len() as u64).div_ceil(512)).take(4096));
        self.0.read_at(offset, buf)
    }
}

/// Looks at everything, within bounds; what it met: nodes, and errors.
fn visit(fs: &dyn FileSystem) -> (usize, usize) {
    let (mut nodes, mut errors, mut waiting) = (0, 0, vec![fs.root()]);
    let mut seen = std::collections::BTreeSet::new();
    let mut note = |failed: bool| errors += usize::from(failed);
    note(fs.usage().is_err());
    note(fs.clean().is_err());
    match fs.subvolumes() {
        Ok(all) => waiting.extend(all.iter().map(|one| one.root)),
        Err(_) => note(true),
    }
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) || nodes > 3000 {
            continue;
        }
        nodes += 1;
        for name in ["security.selinux", "user.big", "user.number_077"] {
            note(fs.attribute(id, name).is_err());
        }
        let Ok(node) = fs.node(id) else {
            note(true);
            continue;
        };
        match node.kind {
            NodeKind::Directory => {
                let mut names = vec![];
                note(
                    fs.entries(id, &mut |entry| {
                        names.push(entry.name.clone());
                        waiting.push(entry.node);
                        if names.len() > 3000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    })
                    .is_err(),
                );
                names.into_iter().take(5).for_each(|name| note(fs.lookup(id, &name).is_err()));
            }
            NodeKind::File => match fs.open(id) {
                Ok(bytes) => {
                    let mut at = 0;
                    for _ in 0..300 {
                        let Some(range) = bytes.data(at) else { break };
                        assert!(range.start >= at && range.start < range.end && range.end <= bytes.size());
                        let mut buf = vec![0; (range.end - range.start).min(70_000) as usize];
                        note(bytes.read_at(range.start, &mut buf).is_err());
                        at = range.start + buf.len() as u64;
                    }
                }
                Err(_) => note(true),
            },
            NodeKind::Symlink => note(fs.target(id).is_err()),
            _ => {}
        }
    }
    (nodes, errors)
}

/// Puts checksums right again where a block of metadata begins, so that damage is not found by them.
fn reseal(kind: &str, image: &dyn ReadAt, block: &mut [u8], at: u64) {
    if kind == "xfs" {
        // Records of the log need no checksum.
        for sector in block.chunks_mut(512).filter(|sector| sector.starts_with(&[0xfe, 0xed, 0xba, 0xbe])) {
            sector[32..36].fill(0);
        }
        let size = match &block[..4] {
            [b'I', b'N', ..] => 512,
            b"XFSB" | b"XAGF" => 512,
            _ => block.len(),
        };
        for part in block.chunks_mut(size) {
            let place = match &part[..4] {
                [b'I', b'N', ..] => 100,
                b"XFSB" => 224,
                b"XAGF" => 216,
                b"BMA3" => 64,
                b"XDB3" | b"XDD3" => 4,
                b"XSLM" | b"XARM" => 12,
                _ if matches!(part[8..10], [0x3b, 0xee] | [0x3e, 0xbe]) => 12,
                _ => continue,
            };
            part[place..place + 4].fill(0);
            let sum = crc32c::crc32c(part);
            part[place..place + 4].copy_from_slice(&sum.to_le_bytes());
        }
    } else {
        let mut fsid = [0; 16];
        image.read_at(65_536 + 32, &mut fsid).unwrap();
        let len = if at == 65_536 { 4096 } else { block.len() };
        if block[32..48] == fsid {
            let sum = crc32c::crc32c(&block[32..len]);
            block[..4].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

/// A small file system with something of everything, and work in its log.
fn small(dir: &Path, kind: &str) -> Option<PathBuf> {
    let image = dir.join(kind);
    fs::File::create(&image).unwrap().set_len(megabytes(if kind == "xfs" { 320 } else { 120 })).unwrap();
    let path = image.to_str().unwrap();
    run(&format!("mkfs.{kind}"), &["-q", if kind == "xfs" { "-K" } else { "-n4096" }, path])?;
    let mounted = mount(&image, if kind == "xfs" { "rw" } else { "rw,commit=300,compress-force=zstd" })?;
    let at = mounted.0.path().to_path_buf();
    for (sub, count) in [("short", 3), ("block", 30), ("node", 500)] {
        fs::create_dir(at.join(sub)).unwrap();
        for i in 0..count {
            fs::write(at.join(sub).join(format!("file {i} {}", "x".repeat(i % 40))), format!("{i}")).unwrap();
        }
    }
    let sparse = fs::File::create(at.join("sparse")).unwrap();
    (0..300_u64).for_each(|i| sparse.write_all_at(&[i as u8; 5000], i * 65_536).unwrap());
    std::os::unix::fs::symlink("z".repeat(900), at.join("link")).unwrap();
    for (name, len) in [("security.selinux", 20), ("user.big", if kind == "xfs" { 20_000 } else { 2000 })] {
        let _ = rustix::fs::lsetxattr(at.join("sparse"), name, &vec![7; len], rustix::fs::XattrFlags::empty());
    }
    for i in 0..100 {
        let _ = rustix::fs::lsetxattr(at.join("short"), format!("user.number_{i:03}"), &[9; 60], rustix::fs::XattrFlags::empty());
    }
    if kind == "btrfs" {
        run("btrfs", &["subvolume", "snapshot", at.to_str().unwrap(), at.join("snapshot").to_str().unwrap()]);
    }
    run("sync", &["-f", at.to_str().unwrap()]);
    for i in 0..60 {
        fs::write(at.join("block").join(format!("new {i}")), vec![i as u8; 3000]).unwrap();
        fs::remove_file(at.join("node").join(format!("file {i} {}", "x".repeat(i % 40)))).unwrap();
    }
    for sub in ["block", "node"] {
        fs::read_dir(at.join(sub)).unwrap().flatten().for_each(|entry| fs::File::open(entry.path()).unwrap().sync_all().unwrap());
        fs::File::open(at.join(sub)).unwrap().sync_all().unwrap();
    }
    let copy = dir.join(format!("{kind} copy"));
    if kind == "xfs" {
        run("xfs_io", &["-x", "-c", "shutdown -f", at.to_str().unwrap()])?;
    }
    run("cp", &["--sparse=always", path, copy.to_str().unwrap()])?;
    Some(copy)
}

/// Bytes of metadata changed, checksums put right: an answer or an error, soon, and never a panic.
#[test]
fn damage_ends_in_errors() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["xfs", "btrfs"] {
        let Some(image) = small(dir.path(), kind) else {
            eprintln!("SKIPPED: {kind}: no small image");
            continue;
        };
        let file: Bytes = Arc::new(HostFile::open(&image, Access::Positional).unwrap());
        let watched = Arc::new(Watched(file.clone(), std::sync::Mutex::default()));
        let fs = vhdkit::fs::open(kind, watched.clone()).unwrap().unwrap();
        let sound = visit(&*fs);
        eprintln!("{kind}: clean {:?}, {sound:?} nodes and errors before", fs.clean());
        assert_eq!(sound.1, 0, "{kind}");
        // Blocks of metadata, of the log, and of content; the records of the log lose their checksums.
        let (mut blocks, mut likely) = (vec![], vec![]);
        let mut prepared = vhdkit::bytes::Overlay::new(file.clone());
        let sectors = watched.1.lock().unwrap().clone();
        for block in sectors.iter().map(|sector| sector / 8).collect::<std::collections::BTreeSet<_>>() {
            let mut content = vec![0; 4096];
            if file.read_at(block * 4096, &mut content).is_ok() && content.iter().any(|byte| *byte != 0) {
                blocks.push(block * 4096);
                let before = content.clone();
                reseal(kind, &*file, &mut content, block * 4096);
                let log = content.chunks(512).any(|sector| sector.starts_with(&[0xfe, 0xed, 0xba, 0xbe]));
                let xfs =
                    matches!(&content[..2], b"IN" | b"XF" | b"XD" | b"BM" | b"XS" | b"XA") || matches!(content[8..10], [0x3b | 0x3e, _]);
                if log || (kind == "xfs" && xfs) || kind == "btrfs" {
                    likely.push(block * 4096);
                }
                if content != before {
                    prepared.patch(block * 4096, content).unwrap();
                }
            }
        }
        let file: Bytes = Arc::new(prepared);
        let mut state = 0x1234_5678_9abc_def1_u64;
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut refused, mut partial, mut slowest) = (0, 0, std::time::Duration::ZERO);
        for round in 0..rounds() {
            let mut overlay = vhdkit::bytes::Overlay::new(file.clone());
            let from = if next(3) > 0 { &likely } else { &blocks };
            let at = from[next(from.len() as u64) as usize];
            let mut block = vec![0; 4096];
            file.read_at(at, &mut block).unwrap();
            for _ in 0..1 + next(3) {
                let near = next(2) == 0;
                let place = next(if near { 200 } else { 4096 }) as usize;
                match next(4) {
                    0 => block[place] = next(256) as u8,
                    1 => block[place] ^= 1 << next(8),
                    2 => block[place] = 0xff,
                    _ => block[place..(place + 8).min(4096)].fill(if near { 0xff } else { 0 }),
                }
            }
            reseal(kind, &*file, &mut block, at);
            overlay.patch(at, block).unwrap();
            let start = std::time::Instant::now();
            match vhdkit::fs::open(kind, Arc::new(overlay)).unwrap() {
                Ok(fs) => partial += usize::from(visit(&*fs).1 > 0),
                Err(_) => refused += 1,
            }
            slowest = slowest.max(start.elapsed());
            assert!(start.elapsed().as_secs() < 120, "{kind}: round {round} took {:?}", start.elapsed());
        }
        eprintln!("{kind}: {} rounds, {refused} refused, {partial} with errors, slowest {slowest:?}, {} blocks", rounds(), blocks.len());
    }
}

/// The last record of a log did not reach the disk whole: the kernel drops it and takes up the state before, and so do we.
#[test]
fn a_torn_end_of_an_xfs_log_is_dropped_as_the_kernel_drops_it() {
    let dir = tempfile::tempdir().unwrap();
    for (round, how) in ["content", "header", "both of the last two"].iter().enumerate() {
        let Some(image) = made(dir.path(), "image", &["mkfs.xfs", "-q"], megabytes(400)) else { return eprintln!("SKIPPED: no XFS") };
        let Some(mounted) = mount(&image, "rw") else { return };
        for turn in 0..4 {
            churn(mounted.0.path(), round as u64 * 10 + turn, 60);
            run("sync", &["-f", mounted.0.path().to_str().unwrap()]);
        }
        churn(mounted.0.path(), round as u64 + 500, 200);
        run("xfs_io", &["-x", "-c", "shutdown -f", mounted.0.path().to_str().unwrap()]);
        drop(mounted);
        // Records by their sequence numbers.
        let file = fs::File::options().read(true).write(true).open(&image).unwrap();
        let mut sb = [0; 512];
        file.read_exact_at(&mut sb, 0).unwrap();
        let be = |at: usize, len: usize| sb[at..at + len].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let (start, log_group) = (be(48, 8), be(124, 1));
        let start = ((start >> log_group) * be(84, 4) + (start & ((1 << log_group) - 1))) * be(4, 4);
        let mut log = vec![0; (be(96, 4) * be(4, 4)) as usize];
        file.read_exact_at(&mut log, start).unwrap();
        let number = |header: &[u8], at: usize| header[at..at + 8].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let mut records: Vec<(u64, u64)> = (0..log.len() / 512)
            .filter(|block| log[block * 512..].starts_with(&[0xfe, 0xed, 0xba, 0xbe]))
            .map(|block| (number(&log[block * 512..], 16), start + block as u64 * 512))
            .collect();
        records.sort_unstable();
        let last = records[records.len() - 1].1;
        match round {
            0 => file.write_all_at(b"torn", last + 600).unwrap(),
            1 => file.write_all_at(&[0; 20], last + 20).unwrap(),
            _ => {
                file.write_all_at(b"torn", last + 516).unwrap();
                file.write_all_at(b"torn", records[records.len() - 2].1 + 700).unwrap();
            }
        }
        let copy = dir.path().join("copy");
        run("cp", &["--sparse=always", image.to_str().unwrap(), copy.to_str().unwrap()]).unwrap();
        let Some(mounted) = mount(&copy, "rw,nouuid") else {
            eprintln!(
                "torn {how}: the kernel does not mount it; we say {:?}",
                vhdkit::fs::open("xfs", Arc::new(HostFile::open(&image, Access::Mapped).unwrap())).unwrap().err()
            );
            continue;
        };
        let fs = open("xfs", &image, 0, None);
        same(&format!("torn {how}, clean {}", fs.clean().unwrap()), &ours(&*fs, fs.root()), &theirs(mounted.0.path()));
    }
}
