//! The readers of ext2, ext3, ext4 and FAT against other people's programs: mke2fs, debugfs, dumpe2fs, e2fsck, mtools,
//! and the crates ext4-view and rust-fs-ext4. What is not there is SKIPPED, loudly.
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

mod trees;
#[path = "support/unmount.rs"]
mod unmount;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trees::{Kind, Listing, With, fill, host, listing, noise, same, shown};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Memory, Overlay, ReadAt, ReadError, Slice, read_vec};
use vhdkit::fs::{FileSystem, NodeKind};

/// Whether a program is installed; says so where it is not.
fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// Runs a program to its end, input empty.
fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// The same; it has to succeed.
fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An empty file of this many bytes.
fn image(place: &Path, name: &str, size: u64) -> PathBuf {
    let image = place.join(name);
    fs::File::create(&image).unwrap().set_len(size).unwrap();
    image
}

/// Option sets of mke2fs; each is one file system.
const EXT: &[(&str, &[&str])] = &[
    ("ext4", &["-t", "ext4"]),
    ("ext4, 1 KiB blocks", &["-t", "ext4", "-b", "1024"]),
    ("ext4, 2 KiB blocks, 128-byte inodes", &["-t", "ext4", "-b", "2048", "-I", "128", "-O", "^metadata_csum"]),
    ("ext4 without checksums", &["-t", "ext4", "-O", "^metadata_csum,^64bit"]),
    ("ext4 with descriptor checksums", &["-t", "ext4", "-O", "^metadata_csum,uninit_bg"]),
    ("ext4 with inline data", &["-t", "ext4", "-O", "inline_data"]),
    ("ext4 with inline data, 1 KiB inodes", &["-t", "ext4", "-O", "inline_data", "-I", "1024"]),
    ("ext4 with an orphan file", &["-t", "ext4", "-O", "orphan_file,metadata_csum_seed"]),
    ("ext4 in meta block groups", &["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"]),
    ("ext4 with two superblocks", &["-t", "ext4", "-b", "1024", "-O", "sparse_super2"]),
    ("ext4 in clusters", &["-t", "ext4", "-O", "bigalloc", "-C", "16384"]),
    ("ext4 that can fold case", &["-t", "ext4", "-O", "casefold"]),
    ("ext4 that can encrypt and verify", &["-t", "ext4", "-O", "encrypt,verity"]),
    ("ext4 with everything", &["-t", "ext4", "-O", "inline_data,ea_inode,large_dir,mmp,project,quota,fast_commit"]),
    ("ext4 without extents", &["-t", "ext4", "-O", "^extents,^64bit"]),
    ("ext4 without flexible groups", &["-t", "ext4", "-O", "^flex_bg", "-b", "1024"]),
    ("ext4 without a journal", &["-t", "ext4", "-O", "^has_journal"]),
    ("ext3", &["-t", "ext3"]),
    ("ext3, 1 KiB blocks", &["-t", "ext3", "-b", "1024"]),
    ("ext2", &["-t", "ext2"]),
    ("ext2, 1 KiB blocks", &["-t", "ext2", "-b", "1024"]),
    ("ext2 without file types", &["-t", "ext2", "-O", "^filetype,^dir_index"]),
    ("ext2 of revision 0", &["-t", "ext2", "-r", "0", "-b", "1024"]),
];

#[test]
fn ext_of_every_shape_reads_as_the_tree_it_was_made_of() {
    if !has("mke2fs") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    fill(&tree, Kind::Unix);
    let truth = host(&tree);
    for (what, options) in EXT {
        let image = image(place.path(), "image", 96 << 20);
        let made = run("mke2fs", &[&["-q", "-F", "-d", text(&tree)], *options, &[text(&image)]].concat());
        if !made.status.success() {
            eprintln!("SKIPPED: {what}: {}", String::from_utf8_lossy(&made.stderr));
            continue;
        }
        let system = trees::open(&image);
        same(&listing(&*system), &truth, With::Everything, what);
        assert!(system.clean().unwrap(), "{what}");
        counts_agree(&*system, &image, 0, what);
    }
}

/// Holds the counts against dumpe2fs.
fn counts_agree(system: &dyn FileSystem, image: &Path, offset: u64, what: &str) {
    // dumpe2fs opens no image at an offset; debugfs does, and says the same.
    let stats = succeed("debugfs", &["-R", "stats -h", &format!("{}?offset={offset}", text(image))]);
    let field = |name: &str| -> u64 {
        let line = stats.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{what}: no {name} in {stats}"));
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    let (block, usage) = (field("Block size:"), system.usage().unwrap());
    assert_eq!((usage.size, usage.free), (field("Block count:") * block, field("Free blocks:") * block), "{what}");
    assert_eq!(usage.used, usage.size - usage.free);
}

/// Files, directories and symlinks as debugfs restores them.
fn by_debugfs(image: &Path, offset: u64, place: &Path) -> Listing {
    fs::create_dir_all(place).unwrap();
    let image = format!("{}?offset={offset}", text(image));
    succeed("debugfs", &["-R", &format!("rdump / {}", text(place)), &image]);
    let mut found = host(place);
    found.retain(|_, item| plain(item.kind));
    found
}

fn plain(kind: NodeKind) -> bool {
    matches!(kind, NodeKind::File | NodeKind::Directory | NodeKind::Symlink)
}

/// A listing without what debugfs does not restore.
fn restorable(mut listing: Listing) -> Listing {
    listing.retain(|_, item| plain(item.kind));
    listing
}

/// Everything as the crate ext4-view reads it.
fn by_ext4_view(bytes: Bytes) -> Listing {
    use sha2::{Digest, Sha256};
    struct Reader(Bytes);
    impl ext4_view::Ext4Read for Reader {
        fn read(&mut self, start: u64, to: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Ok(self.0.read_at(start, to)?)
        }
    }
    let system = ext4_view::Ext4::load(Box::new(Reader(bytes))).unwrap();
    let mut found = Listing::new();
    let mut todo: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(path) = todo.pop() {
        let place = [&b"/"[..], &path].concat();
        for entry in system.read_dir(&place[..]).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let name: &[u8] = name.as_ref();
            if name == b"." || name == b".." {
                continue;
            }
            let below = if path.is_empty() { name.to_vec() } else { [&path[..], b"/", name].concat() };
            let place = [&b"/"[..], &below].concat();
            let meta = entry.metadata().unwrap();
            let kind = meta.file_type();
            let mut content = String::new();
            let kind = if kind.is_dir() {
                todo.push(below.clone());
                NodeKind::Directory
            } else if kind.is_symlink() {
                if meta.len() > 255 {
                    continue;
                }
                content = shown(system.read_link(&place[..]).unwrap().as_ref());
                NodeKind::Symlink
            } else if kind.is_regular_file() {
                content = Sha256::digest(system.read(&place[..]).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
                NodeKind::File
            } else {
                continue;
            };
            let size = if kind == NodeKind::File { meta.len() } else { 0 };
            found.insert(below, trees::Item { kind, size, content, owner: None, modified: None, device: None });
        }
    }
    found
}

/// Everything as the crate rust-fs-ext4 reads it, which unlike ext4-view knows inline data.
fn by_rust_fs_ext4(bytes: Bytes) -> Listing {
    use sha2::{Digest, Sha256};
    struct Device(Bytes);
    impl fs_ext4::block_io::BlockDevice for Device {
        fn read_at(&self, offset: u64, to: &mut [u8]) -> fs_ext4::Result<()> {
            self.0.read_at(offset, to).map_err(|error| fs_ext4::Error::Io(std::io::Error::other(error)))
        }
        fn size_bytes(&self) -> u64 {
            self.0.size()
        }
    }
    let system = fs_ext4::Filesystem::mount(Arc::new(Device(bytes))).unwrap();
    let mut found = Listing::new();
    let mut todo = vec![(Vec::new(), 2_u32)];
    while let Some((path, directory)) = todo.pop() {
        for entry in system.read_dir_ino(directory).unwrap() {
            if entry.name == b"." || entry.name == b".." {
                continue;
            }
            let below = if path.is_empty() { entry.name.clone() } else { [&path[..], b"/", &entry.name].concat() };
            let (inode, raw) = system.read_inode_verified(entry.inode).unwrap();
            let (mut size, mut content) = (0, String::new());
            let kind = if inode.is_dir() {
                todo.push((below.clone(), entry.inode));
                NodeKind::Directory
            } else if inode.is_file() && entry.name != b"only a hole" {
                let mut whole = vec![0; inode.size as usize];
                fs_ext4::file_io::read_with_raw(&system, &inode, &raw, 0, inode.size, &mut whole).unwrap();
                (size, content) = (inode.size, Sha256::digest(whole).iter().map(|byte| format!("{byte:02x}")).collect());
                NodeKind::File
            } else {
                continue;
            };
            found.insert(below, trees::Item { kind, size, content, owner: None, modified: None, device: None });
        }
    }
    found
}

#[test]
fn a_second_reader_sees_the_same() {
    if !has("mke2fs") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    fill(&tree, Kind::Unix);
    // rust-fs-ext4 refuses inline data that a hole follows, which the kernel reads as zeros, and inline symlinks.
    let readable = |mut listing: Listing| {
        listing.retain(|path, item| path != b"only a hole" && item.kind != NodeKind::Symlink);
        listing
    };
    let other = image(place.path(), "inline", 96 << 20);
    succeed("mke2fs", &["-q", "-F", "-t", "ext4", "-O", "inline_data,64bit", "-d", text(&tree), text(&other)]);
    let bytes: Bytes = Arc::new(HostFile::open(&other, Access::Positional).unwrap());
    let ours = restorable(listing(&*trees::open_bytes(bytes.clone())));
    let (ours, theirs) = (readable(ours), by_rust_fs_ext4(bytes));
    same(&ours, &theirs, With::Content, "rust-fs-ext4");
    let image = image(place.path(), "image", 96 << 20);
    succeed("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "1024", "-d", text(&tree), text(&image)]);
    let bytes: Bytes = Arc::new(HostFile::open(&image, Access::Positional).unwrap());
    let ours = restorable(listing(&*trees::open_bytes(bytes.clone())));
    same(&ours, &by_debugfs(&image, 0, &place.path().join("restored")), With::Content, "debugfs");
    // To ext4-view a target is a path, and a name in it has at most 255 bytes.
    let mut paths = ours;
    paths.retain(|_, item| item.kind != NodeKind::Symlink || item.content.len() < 256);
    same(&paths, &by_ext4_view(bytes), With::Content, "ext4-view");
}

/// Runs debugfs with commands, one a line. It fails silently; so what it says on its way is given back.
fn debugfs(image: &Path, commands: &str) -> String {
    let script = image.with_extension("commands");
    fs::write(&script, commands).unwrap();
    let output = run("debugfs", &["-w", "-f", text(&script), text(image)]);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Blocks in which two images differ, and their bytes in the second.
fn changes(one: &Path, other: &Path, block: usize) -> BTreeMap<u64, Vec<u8>> {
    let (one, other) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    let pairs = one.chunks(block).zip(other.chunks(block)).enumerate();
    pairs.filter(|(_, (one, other))| one != other).map(|(number, (_, other))| (number as u64, other.to_vec())).collect()
}

#[test]
fn work_in_a_journal_counts_as_done() {
    if !has("mke2fs") || !has("debugfs") || !has("e2fsck") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    for (name, len) in [("kept", 5000), ("removed", 9000), ("replaced", 100), ("in/a/directory", 70_000)] {
        fs::create_dir_all(tree.join(name).parent().unwrap()).unwrap();
        fs::write(tree.join(name), noise(len as u64, len)).unwrap();
    }
    fs::write(place.path().join("new"), noise(5, 20_000)).unwrap();
    // A block that begins as one of the journal's own is kept there in disguise.
    let disguised = [&[0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 1][..], &noise(6, 9000)].concat();
    fs::write(place.path().join("disguised"), &disguised).unwrap();
    for (what, options, open) in [
        ("no checksums, 32 bits", &["-t", "ext4", "-b", "4096", "-O", "^metadata_csum,^64bit"][..], "jo"),
        ("no checksums, 64 bits", &["-t", "ext4", "-b", "4096", "-O", "^metadata_csum,64bit"], "jo"),
        ("checksums 1", &["-t", "ext4", "-b", "4096", "-O", "^metadata_csum"], "jo -c"),
        ("checksums 2, 32 bits", &["-t", "ext4", "-b", "4096", "-O", "^64bit"], "jo -c -v 2"),
        ("checksums 2, 64 bits", &["-t", "ext4", "-b", "4096"], "jo -c -v 2"),
        ("checksums 3, 32 bits", &["-t", "ext4", "-b", "4096", "-O", "^64bit"], "jo -c -v 3"),
        ("checksums 3, 64 bits", &["-t", "ext4", "-b", "4096"], "jo -c -v 3"),
        ("checksums 3, blocks of 1 KiB", &["-t", "ext4", "-b", "1024"], "jo -c -v 3"),
        ("ext3", &["-t", "ext3", "-b", "4096"], "jo"),
        ("ext3, blocks of 1 KiB", &["-t", "ext3", "-b", "1024"], "jo"),
    ] {
        let before = image(place.path(), "before", 24 << 20);
        succeed("mke2fs", &[&["-q", "-F", "-d", text(&tree)], options, &[text(&before)]].concat());
        let block = if options.contains(&"1024") { 1024 } else { 4096 };
        // What the work leads to.
        let wanted = place.path().join("wanted");
        fs::copy(&before, &wanted).unwrap();
        let (new, hidden) = (place.path().join("new"), place.path().join("disguised"));
        debugfs(
            &wanted,
            &format!(
                "rm removed\nrm replaced\nwrite {} replaced\nmkdir made\nwrite {} made/disguised\nsymlink link kept\n",
                text(&new),
                text(&hidden)
            ),
        );
        let truth = restorable(listing(&*trees::open(&wanted)));
        same(&truth, &by_debugfs(&wanted, 0, &place.path().join(what.replace([' ', ','], "_"))), With::Content, what);
        assert!(truth.contains_key(&b"made/disguised"[..]) && !truth.contains_key(&b"removed"[..]), "{what}");
        // The same as a transaction, behind one that is revoked and one of an earlier state; all from where the log wraps, for some.
        let changes = changes(&before, &wanted, block);
        let numbers = |blocks: &mut dyn Iterator<Item = &u64>| blocks.map(u64::to_string).collect::<Vec<_>>().join(",");
        let all = numbers(&mut changes.keys());
        let (content, rubbish) = (place.path().join("content"), place.path().join("rubbish"));
        fs::write(&content, changes.values().flatten().copied().collect::<Vec<_>>()).unwrap();
        let kept = truth_blocks(&before, "kept");
        fs::write(&rubbish, noise(8, block * changes.len().max(kept.len()))).unwrap();
        let kept = numbers(&mut kept.iter());
        let dirty = place.path().join("dirty");
        fs::copy(&before, &dirty).unwrap();
        // debugfs gets the first kind of checksums wrong where blocks are revoked: neither e2fsck nor the kernel take them.
        let (c, r) = (text(&content), text(&rubbish));
        let revoked = if open == "jo -c" { String::new() } else { format!("jw -b {kept} {r}\njw -r {kept}\n") };
        let said = debugfs(&dirty, &format!("{open}\n{revoked}jw -b {all} {r}\njw -b {all} {c}\njc\n"));
        let system = trees::open(&dirty);
        assert!(!system.clean().unwrap(), "{what}: {said}");
        same(&restorable(listing(&*system)), &truth, With::Everything, what);
        counts_agree(&*system, &wanted, 0, what);
        // What e2fsck makes of it.
        let recovered = place.path().join("recovered");
        fs::copy(&dirty, &recovered).unwrap();
        run("e2fsck", &["-fy", "-E", "journal_only", text(&recovered)]);
        let system = trees::open(&recovered);
        assert!(system.clean().unwrap(), "{what}");
        same(&truth, &restorable(listing(&*system)), With::Everything, what);
    }
}

/// What the kernel leaves when power goes: a copy of the image while it is mounted. Mounting needs root and leave to do it.
#[test]
fn what_the_kernel_leaves_is_read_as_it_recovers_it() {
    if std::env::var_os("VHDKIT_MOUNT").is_none() {
        eprintln!("SKIPPED: VHDKIT_MOUNT is not set");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (image_path, mount) = (image(place.path(), "image", 200 << 20), place.path().join("mount"));
    fs::create_dir_all(&mount).unwrap();
    for (what, options, mount_options) in [
        ("ext4", &["-t", "ext4"][..], "loop"),
        ("ext4, data in the journal", &["-t", "ext4", "-b", "1024"], "loop,data=journal"),
        ("ext4, inline", &["-t", "ext4", "-O", "inline_data,orphan_file"], "loop"),
        ("ext4, fast commits", &["-t", "ext4", "-O", "fast_commit"], "loop"),
        ("ext3", &["-t", "ext3"], "loop"),
        ("ext2", &["-t", "ext2"], "loop"),
    ] {
        succeed("mke2fs", &[&["-q", "-F"], options, &[text(&image_path)]].concat());
        succeed("mount", &["-o", mount_options, text(&image_path), text(&mount)]);
        let (dirty, recovered) = (place.path().join("dirty"), place.path().join("recovered"));
        fill(&mount.join("first"), Kind::Unix);
        succeed("sync", &["-f", text(&mount)]);
        fill(&mount.join("second"), Kind::Unix);
        for gone in ["many", "names", "sizes"] {
            fs::remove_dir_all(mount.join("first").join(gone)).unwrap();
        }
        for number in 0..50 {
            let file = fs::File::create(mount.join(format!("synced-{number}"))).unwrap();
            file.write_all_at(&noise(number, 10_000), 3000).unwrap();
            file.sync_all().unwrap();
        }
        succeed("cp", &["--sparse=always", text(&image_path), text(&dirty)]);
        unmount::unmount(&mount);
        let unmounted = trees::open(&image_path);
        assert!(unmounted.clean().unwrap(), "{what}");
        succeed("mount", &["-o", "loop,ro", text(&image_path), text(&mount)]);
        let truth = host(&mount);
        unmount::unmount(&mount);
        same(&listing(&*unmounted), &truth, With::Everything, what);
        let bytes: Bytes = Arc::new(HostFile::open(&dirty, Access::Positional).unwrap());
        let kind = vhdkit::fs::identify(&*bytes).unwrap().unwrap().kind;
        let system = match vhdkit::fs::open(kind, bytes).unwrap() {
            Ok(system) => system,
            Err(error) => {
                assert!(error.to_string().contains("fast commits") && what.contains("fast"), "{what}: {error}");
                eprintln!("{what}: {error}");
                continue;
            }
        };
        assert!(!system.clean().unwrap(), "{what}");
        if what == "ext2" {
            continue;
        }
        fs::copy(&dirty, &recovered).unwrap();
        succeed("mount", &["-o", "loop", text(&recovered), text(&mount)]);
        let truth = host(&mount);
        unmount::unmount(&mount);
        assert!(truth.len() > 100, "{what}");
        same(&listing(&*system), &truth, With::Everything, what);
        eprintln!("{what}: {} names after recovery", truth.len());
    }
}

/// Blocks of a file, as debugfs tells them.
fn truth_blocks(image: &Path, name: &str) -> Vec<u64> {
    succeed("debugfs", &["-R", &format!("blocks {name}"), text(image)]).split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn attributes_and_rare_nodes_are_read() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let long = place.path().join("long");
    fs::write(&long, noise(3, 3000)).unwrap();
    let context = place.path().join("context");
    fs::write(&context, b"system_u:object_r:etc_t:s0\0").unwrap();
    for (what, options) in [
        ("256-byte inodes", &["-t", "ext4", "-b", "4096"][..]),
        ("128-byte inodes", &["-t", "ext4", "-b", "4096", "-I", "128"]),
        ("values in inodes of their own", &["-t", "ext4", "-b", "1024", "-O", "ea_inode"]),
        ("ext2", &["-t", "ext2", "-b", "4096"]),
    ] {
        let image = image(place.path(), "image", 24 << 20);
        succeed("mke2fs", &[&["-q", "-F"], options, &[text(&image)]].concat());
        let (c, l) = (text(&context), text(&long));
        debugfs(
            &image,
            &format!(
                "write {l} file\nea_set -f {c} file security.selinux\nea_set -f {l} file user.long\nea_set file user.x y\nmknod null c 1 3\n\
                 mknod far b 8 300\nmknod pipe p\nsymlink link target\nea_set -f {c} link security.selinux\nset_inode_field file mtime @4400000000\n"
            ),
        );
        let system = trees::open(&image);
        let find = |name: &str| system.lookup(system.root(), name.as_bytes()).unwrap().unwrap_or_else(|| panic!("{what}: {name}"));
        let value = |file: &str, name: &str| system.attribute(find(file), name).unwrap();
        assert_eq!(value("file", "security.selinux").as_deref(), Some(&b"system_u:object_r:etc_t:s0\0"[..]), "{what}");
        assert_eq!(value("link", "security.selinux").as_deref(), Some(&b"system_u:object_r:etc_t:s0\0"[..]), "{what}");
        assert_eq!(value("file", "user.x").as_deref(), Some(&b"y"[..]), "{what}");
        // debugfs takes one block of a value.
        let long = if options.contains(&"1024") { 1024 } else { 3000 };
        assert!(value("file", "user.long") == Some(noise(3, 3000)[..long].to_vec()), "{what}");
        assert_eq!([value("file", "user.none"), value("file", "nothing"), value("null", "security.selinux")], [None, None, None]);
        assert_eq!(system.target(find("link")).unwrap(), b"target", "{what}");
        let device = |name: &str| system.node(find(name)).unwrap().device;
        assert_eq!([device("null"), device("far"), device("pipe")], [Some((1, 3)), Some((8, 300)), None], "{what}");
        assert_eq!(system.node(find("pipe")).unwrap().kind, NodeKind::Fifo);
        if !options.contains(&"128") && !options.contains(&"ext2") {
            assert_eq!(system.node(find("file")).unwrap().modified, Some(4_400_000_000), "{what}");
        }
        for name in ["null", "link", "."] {
            let id = if name == "." { system.root() } else { find(name) };
            assert!(system.open(id).is_err(), "{what}: {name} is no file");
        }
        assert!(system.entries(find("file"), &mut |_| panic!("an entry")).is_err());
        assert!(system.target(find("file")).is_err());
    }
}

#[test]
fn files_larger_than_memory_stream() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    fs::create_dir_all(&tree).unwrap();
    let (mib, size) = (1_u64 << 20, 5_u64 << 30);
    let ends = [(0, b"begin"), (2 << 30, b"inner"), ((4 << 30) + 7, b"above"), (size - 5, b"ended")];
    let file = fs::File::create(tree.join("file")).unwrap();
    ends.iter().for_each(|(at, bytes)| file.write_all_at(*bytes, *at).unwrap());
    for (what, options) in [("extents", &["-t", "ext4"][..]), ("pointers, three levels", &["-t", "ext3", "-O", "large_file"])] {
        let image = image(place.path(), "image", 40 * mib);
        succeed("mke2fs", &[&["-q", "-F", "-d", text(&tree)], options, &[text(&image)]].concat());
        let system = trees::open(&image);
        let content = system.open(system.lookup(system.root(), b"file").unwrap().unwrap()).unwrap();
        assert_eq!(content.size(), size);
        for (at, bytes) in ends {
            assert_eq!(read_vec(&*content, at, 5).unwrap(), bytes, "{what} at {at}");
        }
        let mut data = 0;
        let mut at = 0;
        while let Some(range) = content.data(at) {
            (data, at) = (data + range.end - range.start, range.end);
        }
        assert!(data <= 4 * mib, "{what}: {data} bytes of data");
        assert!(content.read_at(size - 4, &mut [0; 5]).is_err());
    }
}

#[test]
fn what_is_encrypted_is_refused_by_name() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let image = image(place.path(), "image", 24 << 20);
    succeed("mke2fs", &["-q", "-F", "-t", "ext4", "-O", "encrypt,casefold,verity", text(&image)]);
    let file = place.path().join("file");
    fs::write(&file, noise(1, 10_000)).unwrap();
    let file = text(&file);
    debugfs(
        &image,
        &format!(
            "write {file} secret\nset_inode_field secret flags 0x80800\nmkdir secrets\nset_inode_field secrets flags 0x80800\n\
             write {file} sealed\nset_inode_field sealed flags 0x180000\nmkdir folded\nset_inode_field folded flags 0x40080000\n\
             write {file} folded/Mixed\n"
        ),
    );
    let system = trees::open(&image);
    let find = |name: &[u8]| system.lookup(system.root(), name).unwrap().unwrap();
    for error in [system.open(find(b"secret")).unwrap_err(), system.entries(find(b"secrets"), &mut |_| panic!("an entry")).unwrap_err()] {
        assert!(matches!(&error, vhdkit::fs::Error::Unsupported(what) if what.contains("fscrypt")), "{error}");
    }
    assert_eq!(read_vec(&*system.open(find(b"sealed")).unwrap(), 0, 10_000).unwrap(), noise(1, 10_000));
    let folded = find(b"folded");
    assert!(system.lookup(folded, b"mIXED").unwrap().is_some());
    assert!(system.lookup(folded, b"mIXE").unwrap().is_none());
    assert!(system.lookup(system.root(), b"SECRET").unwrap().is_none());
}

#[test]
fn features_that_are_not_read_are_refused_by_name() {
    if !has("mke2fs") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let image = image(place.path(), "image", 8 << 20);
    succeed("mke2fs", &["-q", "-F", "-t", "ext2", text(&image)]);
    let plain = fs::read(&image).unwrap();
    for (bit, name) in [(0x1_u32, "compression"), (0x1000, "dirdata"), (0x8000_0000, "0x80000000")] {
        let mut changed = plain.clone();
        let features = u32::from_le_bytes(changed[1024 + 0x60..][..4].try_into().unwrap()) | bit;
        changed[1024 + 0x60..][..4].copy_from_slice(&features.to_le_bytes());
        let error = vhdkit::fs::open("ext4", Arc::new(Memory(changed))).unwrap().unwrap_err().to_string();
        assert!(error.starts_with("not supported") && error.contains(name), "{error}");
    }
}

/// Bytes that count what is read of them.
#[derive(Debug)]
struct Counted {
    inner: Bytes,
    read: AtomicU64,
}

impl ReadAt for Counted {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.inner.read_at(offset, buf)
    }
}

/// Reads all there is of a damaged file system, but of every file only its ends. Returns what was read of the bytes, and how many
/// names were found.
fn rummage(kind: &str, bytes: Bytes) -> (u64, u64) {
    let counted = Arc::new(Counted { inner: bytes, read: AtomicU64::new(0) });
    let Ok(system) = vhdkit::fs::open(kind, counted.clone()).unwrap() else { return (counted.read.load(Ordering::Relaxed), 0) };
    drop((system.usage(), system.clean()));
    let (mut todo, mut names) = (vec![system.root()], 0);
    while let Some(id) = todo.pop() {
        let mut found = Vec::new();
        drop(system.entries(id, &mut |entry| {
            found.push(entry.node);
            names += 1;
            if names < 3000 { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
        }));
        for id in found {
            let Ok(node) = system.node(id) else { continue };
            drop(system.attribute(id, "security.selinux"));
            match node.kind {
                NodeKind::Directory => todo.push(id),
                NodeKind::Symlink => drop(system.target(id)),
                NodeKind::File => {
                    let Ok(content) = system.open(id) else { continue };
                    let mut buf = vec![0; 20_000.min(content.size() as usize)];
                    drop(content.read_at(0, &mut buf));
                    drop(content.read_at(content.size() - buf.len() as u64, &mut buf));
                    let mut at = 0;
                    for _ in 0..50 {
                        let Some(range) = content.data(at) else { break };
                        assert!(range.start >= at && range.start < range.end && range.end <= content.size());
                        at = range.end;
                    }
                }
                _ => {}
            }
        }
        if names >= 3000 {
            break;
        }
    }
    (counted.read.load(Ordering::Relaxed), names)
}

/// Damages a file system in places that are not zero, and rummages in what is left.
fn damage(kind: &str, image: Vec<u8>, what: &str, reach: impl Iterator<Item = usize>) {
    let rounds: u64 = std::env::var("VHDKIT_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(150);
    let places: Vec<usize> = reach.filter(|at| image.get(*at).is_some_and(|byte| *byte != 0)).collect();
    let base: Bytes = Arc::new(Memory(image));
    let (_, undamaged) = rummage(kind, base.clone());
    assert!(undamaged > 50, "{what}: {undamaged} names");
    let mut state = 0x5eed_u64;
    let mut below = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % end as u64) as usize
    };
    let (mut most, mut slowest, mut total) = (0, Duration::ZERO, 0);
    for round in 0..rounds {
        let mut broken = Overlay::new(base.clone());
        for _ in 0..=below(4) {
            let at = places[below(places.len())] as u64;
            let value =
                [vec![0xff], vec![0], vec![below(256) as u8], vec![0xff; 4], vec![below(256) as u8, below(8) as u8]][below(5)].clone();
            // Two patches at one place are one too many.
            drop(broken.patch(at, value));
        }
        let start = Instant::now();
        let (read, names) = rummage(kind, Arc::new(broken));
        (most, slowest, total) = (most.max(read), slowest.max(start.elapsed()), total + names);
        assert!(read < 1 << 30, "{what}, round {round}: {read} bytes read");
        assert!(start.elapsed() < Duration::from_secs(120), "{what}, round {round}: {:?}", start.elapsed());
    }
    eprintln!("{what}: {rounds} rounds, {total} names, at most {most} bytes read and {slowest:?} in one");
}

/// A small tree with all that ext has.
fn small(place: &Path) -> PathBuf {
    let tree = place.join("tree");
    for number in 0..120 {
        let name = tree.join(format!("directory-{}/file-{number:03}-with-a-long-name-to-fill-blocks", number % 3));
        fs::create_dir_all(name.parent().unwrap()).unwrap();
        fs::write(name, noise(number, (number * number) as usize)).unwrap();
    }
    let sparse = fs::File::create(tree.join("sparse")).unwrap();
    for piece in 0..60 {
        sparse.write_all_at(b"piece", piece * 10_000).unwrap();
    }
    for len in [10, 80] {
        std::os::unix::fs::symlink("t".repeat(len), tree.join(format!("link-{len}"))).unwrap();
    }
    tree
}

#[test]
fn damaged_ext_costs_neither_panic_nor_time() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tree = small(place.path());
    for (what, options) in [
        ("ext4 without checksums", &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit,^resize_inode"][..]),
        ("ext4 with inline data", &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,inline_data,^resize_inode"]),
        ("ext4 with checksums", &["-t", "ext4", "-b", "1024", "-O", "^resize_inode"]),
        ("ext2", &["-t", "ext2", "-b", "1024", "-O", "^resize_inode"]),
    ] {
        let image = image(place.path(), "image", 8 << 20);
        succeed("mke2fs", &[&["-q", "-F", "-N", "200", "-d", text(&tree)], options, &[text(&image)]].concat());
        let bytes = fs::read(&image).unwrap();
        // The superblock and descriptors; the first inodes; and all the blocks of directories and trees.
        let whole = 0..bytes.len().min(3 << 20);
        damage("ext4", bytes.clone(), what, 1024..4096);
        damage("ext4", bytes.clone(), what, whole);
        let table = 1024 * inode_table(&image);
        damage("ext4", bytes, what, table..table + 200 * 256);
    }
    // A journal that holds work.
    let image = image(place.path(), "journal", 12 << 20);
    succeed("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^resize_inode", "-d", text(&tree), text(&image)]);
    let content = place.path().join("content");
    fs::write(&content, noise(4, 40 * 1024)).unwrap();
    let list: Vec<String> = (6000..6040).map(|number| number.to_string()).collect();
    let list = list.join(",");
    debugfs(&image, &format!("jo\njw -b {list} {c}\njw -r {list}\njw -b {list} {c}\njc\n", c = text(&content)));
    let first = truth_blocks(&image, "<8>")[0] as usize * 1024;
    damage("ext4", fs::read(&image).unwrap(), "a journal", (first..first + 8 * 1024).chain(first + 40 * 1024..first + 48 * 1024));
}

/// First block of the inodes of group 0.
fn inode_table(image: &Path) -> usize {
    let stats = succeed("debugfs", &["-R", "stats", text(image)]);
    let line = stats.lines().find(|line| line.contains("inode table at")).unwrap();
    line.split("inode table at ").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn damaged_fat_costs_neither_panic_nor_time() {
    if !has("mkfs.fat") || !has("mcopy") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tree = small(place.path());
    for name in ["sparse", "link-10", "link-80"] {
        fs::remove_file(tree.join(name)).unwrap();
    }
    for (what, options, mib) in
        [("FAT12", &["-F", "12", "-s", "8"][..], 8), ("FAT16", &["-F", "16", "-s", "4"], 16), ("FAT32", &["-F", "32", "-s", "2"], 80)]
    {
        let image = image(place.path(), "image", mib << 20);
        succeed("mkfs.fat", &[options, &[text(&image)]].concat());
        let names: Vec<String> = fs::read_dir(&tree).unwrap().map(|entry| text(&entry.unwrap().path()).to_owned()).collect();
        assert!(Command::new("mcopy").args(["-s", "-Q", "-i", text(&image)]).args(&names).arg("::/").status().unwrap().success());
        let bytes = fs::read(&image).unwrap();
        damage("vfat", bytes.clone(), what, 0..100);
        damage("vfat", bytes, what, 0..3 << 20);
    }
}

/// Where the real disks are.
fn real() -> Option<PathBuf> {
    let place = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    let found = place.is_dir();
    if !found {
        eprintln!("SKIPPED: no disks at {}", place.display());
    }
    found.then_some(place)
}

#[test]
fn disks_that_were_really_used_read_as_debugfs_reads_them() {
    let Some(images) = real().filter(|_| has("debugfs")) else { return };
    for (name, sector) in [("A.raw", 139_264_u64), ("data-ext4.raw", 2048)] {
        let disk = images.join(name);
        if !disk.is_file() {
            eprintln!("SKIPPED: no {name}");
            continue;
        }
        let place = tempfile::tempdir().unwrap();
        let whole: Bytes = Arc::new(HostFile::open(&disk, Access::Positional).unwrap());
        let bytes: Bytes = Arc::new(Slice::clamped(whole, sector * 512, u64::MAX));
        let system = trees::open_bytes(bytes.clone());
        let ours = restorable(listing(&*system));
        assert!(ours.len() > 2, "{name}");
        same(&ours, &by_debugfs(&disk, sector * 512, place.path()), With::Content, name);
        same(&ours, &by_ext4_view(bytes), With::Content, name);
        counts_agree(&*system, &disk, sector * 512, name);
    }
}

/// A compressed file of the corpus, unpacked.
fn corpus(name: &str, place: &Path) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packed =
        ["../shared", "../../shared"].map(|shared| root.join(shared).join("corpus").join(name)).into_iter().find(|path| path.is_file());
    let Some(packed) = packed.filter(|_| has("zstd")) else {
        eprintln!("SKIPPED: no {name} in the corpus");
        return None;
    };
    let image = place.join("corpus");
    succeed("zstd", &["-q", "-d", "-f", text(&packed), "-o", text(&image)]);
    Some(image)
}

#[test]
fn disks_of_another_project_read_as_debugfs_reads_them() {
    let place = tempfile::tempdir().unwrap();
    for name in ["test_disk1", "test_disk_ext2"] {
        let Some(image) = corpus(&format!("src-ext4-view/{name}.bin.zst"), place.path()) else { continue };
        let system = trees::open(&image);
        let mut refused = 0;
        let mut ours = Listing::new();
        trees::walk(&*system, &mut |path, item| match item {
            Ok(item) => drop(ours.insert(path, item)),
            Err(vhdkit::fs::Error::Unsupported(what)) if what.contains("fscrypt") => refused += 1,
            Err(error) => panic!("{name}: {}: {error}", shown(&path)),
        });
        let mut theirs = by_debugfs(&image, 0, &place.path().join(name));
        // debugfs gives what is encrypted as it lies there.
        theirs.retain(|path, _| ours.contains_key(path) || !shown(path).contains("encrypted"));
        same(&restorable(ours), &theirs, With::Content, name);
        eprintln!("{name}: {refused} refused");
    }
}

/// Option sets of mkfs.fat, and the size of the file system in KiB.
const FAT: &[(&str, &[&str], u64)] = &[
    ("FAT12", &["-F", "12"], 48 << 10),
    ("FAT16", &["-F", "16"], 60 << 10),
    ("FAT16, one table, large clusters", &["-F", "16", "-f", "1", "-s", "64"], 200 << 10),
    ("FAT32", &["-F", "32", "-s", "8"], 300 << 10),
    ("FAT32, sectors of 4096 bytes", &["-F", "32", "-S", "4096", "-s", "1"], 300 << 10),
    ("FAT32, small clusters", &["-F", "32", "-s", "2", "-R", "64"], 100 << 10),
];

#[test]
fn fat_of_every_width_reads_as_the_tree_it_was_made_of() {
    if !has("mkfs.fat") || !has("mcopy") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    fill(&tree, Kind::Dos);
    let truth = host(&tree);
    for (what, options, kib) in FAT {
        let image = image(place.path(), "image", kib << 10);
        succeed("mkfs.fat", &[*options, &["-n", "A LABEL", text(&image)]].concat());
        let names: Vec<String> = fs::read_dir(&tree).unwrap().map(|entry| text(&entry.unwrap().path()).to_owned()).collect();
        let copy = Command::new("mcopy")
            .env("LC_ALL", "C.UTF-8")
            .args(["-s", "-m", "-Q", "-i", text(&image)])
            .args(&names)
            .arg("::/")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(copy.status.success(), "{what}: {}", String::from_utf8_lossy(&copy.stderr));
        let system = trees::open(&image);
        assert_eq!(system.kind(), "vfat");
        same(&listing(&*system), &truth, With::Content, what);
        assert!(system.clean().unwrap(), "{what}");
        // minfo counts nothing; mdir ends with the bytes that are free.
        let free: String = succeed("mdir", &["-i", text(&image), "::/"])
            .lines()
            .rfind(|line| line.contains("bytes free"))
            .unwrap()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let usage = system.usage().unwrap();
        assert_eq!(usage.free.to_string(), free, "{what}");
        assert_eq!(usage.size - usage.used, usage.free, "{what}");
    }
}
