//! NTFS volumes as ntfs-3g shows them, and as vhdkit reads them: every path, size, time and content must be equal.
//!
//! `mkntfs` makes the volumes and `ntfs-3g` fills them through FUSE; where either is missing, or FUSE does not work, the test says SKIPPED
//! and passes. Real volumes are read from the shared corpus where there is one.
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

#[path = "support/ntfs_3g.rs"]
mod ntfs_3g;

use ntfs_3g::Mounted;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Memory, Overlay, Slice, read_vec};
use vhdkit::container::{self, ParentSearch, Source};
use vhdkit::fs::{FileSystem, NodeId, NodeKind};
use vhdkit::partition;

/// What is compared of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    kind: &'static str,
    size: u64,
    content: String,
    modified: i64,
    links: u32,
}

type Seens = BTreeMap<String, Seen>;

fn installed(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdin(Stdio::null()).output().is_ok();
    if !found {
        eprintln!("SKIPPED: {tool} is not installed, so NTFS was not held against it");
    }
    found
}

fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{tool}: {error}"));
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{tool} {args:?}: {words}{}", String::from_utf8_lossy(&output.stderr));
    words
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Bytes that no compressor shortens, the same at each run.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend(next());
    }
    out.truncate(len);
    out
}

/// Text that compressors like, with some noise in it.
fn prose(seed: u64, len: usize) -> Vec<u8> {
    let salt = noise(seed, len / 50 + 8);
    let mut out = Vec::with_capacity(len + 64);
    let mut line = 0;
    while out.len() < len {
        out.extend(format!("line {line}: the quick brown fox jumps over the lazy dog;").bytes());
        out.push(salt[line % salt.len()]);
        line += 1;
    }
    out.truncate(len);
    out
}

/// Fills a mounted volume with what a reader may meet.
fn fill(root: &Path, compressed: bool) {
    let put = |path: &str, content: &[u8]| fs::write(root.join(path), content).unwrap();
    for (path, len) in [("empty", 0), ("one", 1), ("small.txt", 300), ("edge", 700), ("cluster", 4096), ("odd", 70_001), ("large", 3 << 20)]
    {
        put(path, &noise(len as u64 + 3, len));
    }
    for dir in ["docs/a/b/c", "many", "Ünïcödé 盘", "packed", "long"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    put("docs/a/b/c/deep", b"deep");
    put("Ünïcödé 盘/ÄÖÜ 😀.txt", b"names");
    for number in 0..700 {
        put(&format!("many/File Number {number:05} of them"), &noise(number, number as usize % 50));
    }
    for number in 0..60 {
        put(&format!("long/{}{number}", "n".repeat(220)), b"");
    }
    // Removed names leave blocks of the index half empty.
    for number in (0..700).step_by(3).chain(200..400) {
        let _ = fs::remove_file(root.join(format!("many/File Number {number:05} of them")));
    }
    fs::hard_link(root.join("small.txt"), root.join("docs/hard link")).unwrap();
    for number in 0..40 {
        fs::hard_link(root.join("odd"), root.join(format!("docs/odd with a rather long name of its own {number}"))).unwrap();
    }
    let mut sparse = fs::File::create(root.join("sparse")).unwrap();
    for place in [0, 1 << 20, 5_000_000, 40 << 20] {
        sparse.seek(SeekFrom::Start(place)).unwrap();
        sparse.write_all(&noise(place, 5000)).unwrap();
    }
    sparse.set_len(60 << 20).unwrap();
    // Files that grow in turns lie in pieces, more than one record can list.
    let mut parts: Vec<fs::File> = (0..3).map(|number| fs::File::create(root.join(format!("pieces{number}"))).unwrap()).collect();
    for turn in 0..400 {
        for (number, part) in parts.iter_mut().enumerate() {
            part.seek(SeekFrom::Start(turn * 131_072 + 65536 * number as u64)).unwrap();
            part.write_all(&noise(turn + 1, 3000)).unwrap();
        }
    }
    drop(parts);
    if compressed {
        // FILE_ATTRIBUTE_COMPRESSED on a directory: what is made in it is compressed.
        run("setfattr", &["-h", "-n", "system.ntfs_attrib_be", "-v", "0x00000810", text(&root.join("packed"))]);
    }
    for (number, len) in [0, 10, 3000, 4096, 65_536, 65_537, 131_072, 200_000, 3_000_001].into_iter().enumerate() {
        put(&format!("packed/prose{number}"), &prose(len as u64, len));
        put(&format!("packed/noise{number}"), &noise(len as u64, len));
        put(&format!("packed/zeros{number}"), &vec![0; len]);
        let mixed = [prose(1, len / 3), noise(2, len / 3), vec![0; len / 3], prose(4, len / 5)].concat();
        put(&format!("packed/mixed{number}"), &mixed);
    }
    let mut holes = fs::File::create(root.join("packed/holes")).unwrap();
    for place in [300_000_u64, 1 << 20, 9_000_000] {
        holes.seek(SeekFrom::Start(place)).unwrap();
        holes.write_all(&prose(place, 100_000)).unwrap();
    }
}

/// Everything below a mounted directory.
fn seen_by_host(root: &Path, below: &str, seens: &mut Seens) {
    for entry in fs::read_dir(root.join(below.trim_start_matches('/'))).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        let mut seen = Seen { kind: "other", size: meta.len(), content: String::new(), modified: meta.mtime(), links: meta.nlink() as u32 };
        if meta.is_dir() {
            (seen.kind, seen.size, seen.links) = ("directory", 0, 1);
            seen_by_host(root, &path, seens);
        } else if meta.is_file() {
            seen.kind = "file";
            seen.content = hex(&fs::read(entry.path()).unwrap());
        } else if meta.is_symlink() {
            seen.kind = "symlink";
            seen.content = fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned();
        }
        seens.insert(path, seen);
    }
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list(fs: &dyn FileSystem, directory: NodeId) -> Vec<(String, NodeId)> {
    let mut all = Vec::new();
    fs.entries(directory, &mut |entry| {
        all.push((String::from_utf8(entry.name).unwrap(), entry.node));
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

/// A file whole, read at once and in pieces, its holes looked at too.
fn content(fs: &dyn FileSystem, file: NodeId) -> Vec<u8> {
    let bytes = fs.open(file).unwrap();
    let size = bytes.size();
    let whole = read_vec(&*bytes, 0, size as usize).unwrap();
    for draw in noise(size, 64).as_chunks::<8>().0 {
        let draw = u64::from_le_bytes(*draw);
        let (at, len) = (draw % (size + 1), (draw >> 32) % 100_000);
        let len = len.min(size - at);
        assert!(read_vec(&*bytes, at, len as usize).unwrap() == whole[at as usize..(at + len) as usize], "{len} bytes at {at}");
    }
    let mut at = 0;
    while let Some(range) = bytes.data(at) {
        assert!(range.start >= at && range.start < range.end && range.end <= size, "{range:?} after {at} of {size}");
        assert!(whole[at as usize..range.start as usize].iter().all(|byte| *byte == 0), "a hole that is none at {at}");
        at = range.end;
    }
    assert!(whole[at as usize..].iter().all(|byte| *byte == 0), "a hole that is none at {at}");
    whole
}

fn seen_by_vhdkit(fs: &dyn FileSystem, directory: NodeId, below: &str, seens: &mut Seens) {
    let all = list(fs, directory);
    for (name, id) in &all {
        assert_eq!(fs.lookup(directory, name.as_bytes()).unwrap(), Some(*id), "{below}/{name}");
        let other: String =
            name.chars().map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect();
        assert!(fs.lookup(directory, other.as_bytes()).unwrap().is_some(), "{below}/{other}");
        assert_eq!(fs.lookup(directory, format!("{name}~").as_bytes()).unwrap(), None);
        let path = format!("{below}/{name}");
        let node = fs.node(*id).unwrap();
        let mut seen = Seen { kind: "other", size: node.size, content: String::new(), modified: node.modified.unwrap(), links: node.links };
        match node.kind {
            NodeKind::Directory => {
                (seen.kind, seen.links) = ("directory", 1);
                seen_by_vhdkit(fs, *id, &path, seens);
            }
            NodeKind::File => {
                seen.kind = "file";
                let content = content(fs, *id);
                assert_eq!(content.len() as u64, node.size, "{path}");
                seen.content = hex(&content);
                // To Windows and to Linux' own driver a file, to ntfs-3g a symlink.
                if let Some(target) = content.strip_prefix(b"IntxLNK\x01") {
                    let units: Vec<u16> = target.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
                    let target = String::from_utf16(&units).unwrap();
                    seen = Seen { kind: "symlink", size: target.len() as u64, content: target, ..seen };
                }
            }
            NodeKind::Symlink => {
                seen.kind = "symlink";
                // Absolute ones lead into a mount point of ntfs-3g's own.
                let target = fs.target(*id).map(|target| String::from_utf8(target).unwrap());
                (seen.size, seen.content) = match target {
                    Ok(target) if !target.starts_with('/') => (seen.size, target),
                    other => (0, format!("absolute: {other:?}")),
                };
            }
            _ => {}
        }
        seens.insert(path, seen);
    }
}

fn open(bytes: Bytes) -> Arc<dyn FileSystem> {
    vhdkit::fs::open("ntfs", bytes).unwrap().unwrap()
}

fn image(path: &Path) -> Bytes {
    Arc::new(HostFile::open(path, Access::Positional).unwrap())
}

/// Both lists, said in a way that shows only what differs.
fn compare(ours: &Seens, theirs: &Seens, of: &str) {
    for (path, seen) in theirs {
        let found = ours.get(path);
        match found.filter(|found| found.content.starts_with("absolute: ")) {
            Some(found) => {
                eprintln!("{of}: {path}: {}", found.content);
                assert_eq!((found.kind, found.modified), (seen.kind, seen.modified), "{of}: {path}");
            }
            None => assert_eq!(found, Some(seen), "{of}: {path}"),
        }
    }
    let more: Vec<_> = ours.keys().filter(|path| !theirs.contains_key(*path)).collect();
    assert!(more.is_empty(), "{of}: ntfs-3g has no {more:?}");
}

/// What a mounted volume holds, and its free bytes.
fn host(image: &Path, at: &Path) -> Option<(Seens, u64)> {
    let _mounted = Mounted::new(image, at, "ro")?;
    let mut seens = Seens::new();
    seen_by_host(at, "", &mut seens);
    let space = run("stat", &["-f", "-c", "%S %f", text(at)]);
    let numbers: Vec<u64> = space.split_whitespace().map(|number| number.parse().unwrap()).collect();
    Some((seens, numbers[0] * numbers[1]))
}

/// Compares all that is in a volume, and its free space.
fn agree(bytes: Bytes, theirs: &(Seens, u64), of: &str) -> Arc<dyn FileSystem> {
    let fs = open(bytes);
    let mut ours = Seens::new();
    seen_by_vhdkit(&*fs, fs.root(), "", &mut ours);
    compare(&ours, &theirs.0, of);
    let usage = fs.usage().unwrap();
    assert_eq!(usage.used + usage.free, usage.size);
    // ntfs-3g leaves no less than it reserves for names.
    assert_eq!(usage.free, theirs.1, "{of}: free");
    eprintln!("{of}: {} paths and {} free bytes are equal", ours.len(), usage.free);
    fs
}

/// A new volume.
fn format(path: &Path, mib: u64, options: &[&str]) {
    fs::File::create(path).unwrap().set_len(mib << 20).unwrap();
    run("mkntfs", &[&["-q", "-F", "-Q", "-C", "-L", "oracle"], options, &[text(path)]].concat());
}

fn tools() -> bool {
    ["mkntfs", "ntfs-3g", "ntfsinfo", "setfattr"].iter().all(|tool| installed(tool))
}

#[test]
fn volumes_of_every_cluster_size() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for cluster in [512_u32, 2048, 4096, 65536] {
        let (path, at) = (folder.path().join(format!("{cluster}.img")), folder.path().join("mounted"));
        format(&path, 220, &["-c", &cluster.to_string()]);
        let Some(mounted) = Mounted::new(&path, &at, "compression") else { return };
        fill(&at, cluster <= 4096);
        drop(mounted);
        // What the comparison is to prove is there.
        let about = |file: &str| run("ntfsinfo", &["-f", "-v", "-F", file, text(&path)]);
        assert!(about("/pieces0").contains("$ATTRIBUTE_LIST"), "clusters of {cluster}");
        assert!(about("/many").contains("$INDEX_ALLOCATION"), "clusters of {cluster}");
        assert_eq!(about("/packed/prose7").contains("COMPRESSED"), cluster <= 4096);
        let Some(theirs) = host(&path, &at) else { return };
        let fs = agree(image(&path), &theirs, &format!("clusters of {cluster}"));
        assert!(fs.clean().unwrap());
        assert!(theirs.0.len() > 300, "{}", theirs.0.len());
        fs::remove_file(&path).unwrap();
    }
}

/// UTF-16 as NTFS writes it.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The value of a reparse point.
fn reparse(tag: u32, data: &[u8]) -> String {
    let value = [&tag.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &[0, 0], data].concat();
    value.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn junction(to: &str) -> String {
    let name = wide(to);
    let len = (name.len() as u16).to_le_bytes();
    let after = (name.len() as u16 + 2).to_le_bytes();
    reparse(0xa000_0003, &[&[0, 0], &len[..], &after, &[0, 0], &name, &[0, 0, 0, 0]].concat())
}

fn symlink(to: &str, flags: u8) -> String {
    let name = wide(to);
    let len = (name.len() as u16).to_le_bytes();
    reparse(0xa000_000c, &[&[0, 0], &len[..], &[0, 0], &len, &[flags, 0, 0, 0], &name].concat())
}

fn set(path: &Path, attribute: &str, value: &str) {
    run("setfattr", &["-h", "-n", attribute, "-v", value, text(path)]);
}

#[test]
fn links_and_short_names() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, at) = (folder.path().join("links.img"), folder.path().join("mounted"));
    format(&path, 32, &[]);
    let Some(mounted) = Mounted::new(&path, &at, "special_files=wsl,streams_interface=windows") else { return };
    for dir in ["Windows/System32/config", "Users/Public", "gone"] {
        fs::create_dir_all(at.join(dir)).unwrap();
    }
    fs::write(at.join("Windows/System32/config/SYSTEM"), b"regf").unwrap();
    let links = [
        ("Documents and Settings", junction(r"\??\C:\Users"), Ok("/Users")),
        ("to the root", junction(r"\??\c:\"), Ok("/")),
        ("other drive", junction(r"\??\D:\Data"), Err("drive D:")),
        ("mount point", junction(r"\??\Volume{01234567-89ab-cdef-0123-456789abcdef}\"), Err("Volume{01234567")),
        ("relative", symlink(r"..\Windows\System32", 1), Ok("../Windows/System32")),
        ("rooted", symlink(r"\Users\Public", 1), Ok("/Users/Public")),
        ("absolute", symlink(r"\??\C:\Windows", 0), Ok("/Windows")),
        ("network", symlink(r"\??\UNC\server\share", 0), Err(r"\??\UNC\server\share")),
    ];
    for (name, value, _) in &links {
        if name.starts_with("abs") || name.starts_with("rel") {
            fs::write(at.join(name), b"").unwrap();
        } else {
            fs::create_dir(at.join(name)).unwrap();
        }
        set(&at.join(name), "system.ntfs_reparse_data", value);
    }
    for (name, tag) in [("cloud", 0x9000_301a_u32), ("dedup", 0x8000_0013), ("what", 0x8765_4321)] {
        fs::write(at.join(name), b"not the content").unwrap();
        set(&at.join(name), "system.ntfs_reparse_data", &reparse(tag, &[1, 2, 3, 4]));
    }
    std::os::unix::fs::symlink("relative/of wsl", at.join("wsl")).unwrap();
    run("mkfifo", &[text(&at.join("fifo"))]);
    fs::write(at.join("A very long name.text"), b"long").unwrap();
    set(&at.join("A very long name.text"), "system.ntfs_dos_name", "AVERYL~1.TEX");
    drop(mounted);

    let fs = open(image(&path));
    let find = |name: &str| fs.lookup(fs.root(), name.as_bytes()).unwrap().unwrap_or_else(|| panic!("{name}"));
    for (name, _, expected) in links {
        let id = find(name);
        let node = fs.node(id).unwrap();
        assert_eq!(node.kind, NodeKind::Symlink, "{name}");
        match (fs.target(id), expected) {
            (Ok(target), Ok(expected)) => {
                assert_eq!(String::from_utf8(target).unwrap(), expected, "{name}");
                assert_eq!(node.size, expected.len() as u64);
            }
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{name}: {error}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    for (name, words) in [("cloud", "OneDrive"), ("dedup", "deduplication"), ("what", "0x87654321")] {
        assert_eq!(fs.node(find(name)).unwrap().kind, NodeKind::File);
        let error = fs.open(find(name)).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    assert_eq!(fs.target(find("wsl")).unwrap(), b"relative/of wsl");
    assert_eq!(fs.node(find("fifo")).unwrap().kind, NodeKind::Fifo);
    let long = find("a VERY long name.TEXT");
    assert_eq!(find("averyl~1.tex"), long);
    assert_eq!((fs.node(long).unwrap().links, content(&*fs, long)), (1, b"long".to_vec()));
    let names: Vec<String> = list(&*fs, fs.root()).into_iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name.contains('~') || name.starts_with('$') || name == "."), "{names:?}");

    let tree = vhdkit::fs::Tree::new("p1", fs.clone(), fs.root());
    assert_eq!(tree.read("/documents and settings/../WINDOWS/system32/Config/system").unwrap().unwrap(), b"regf");
    assert_eq!(tree.read("/absolute/System32/config/SYSTEM").unwrap().unwrap(), b"regf");
    assert!(tree.find("/mount point/x").unwrap_err().to_string().contains("another volume"));
}

/// The stored bytes of the resource of this many bytes in a WIM: a table of chunks, and the chunks.
fn resource(wim: &[u8], size: u64) -> Vec<u8> {
    let le64 = |at: usize| u64::from_le_bytes(wim[at..at + 8].try_into().unwrap());
    // Of the blob table: its bytes, and where it begins. Each line has 50 bytes: stored bytes and flags, place, bytes, and a hash.
    let (table, len) = (le64(56) as usize, le64(64) as usize);
    let line = (table..table + len).step_by(50).find(|line| le64(line + 16) == size).unwrap();
    assert_eq!(le64(line) >> 56 & 4, 4, "not compressed");
    let (stored, place) = ((le64(line) & 0x00ff_ffff_ffff_ffff) as usize, le64(line + 8) as usize);
    wim[place..place + stored].to_vec()
}

#[test]
fn files_of_the_overlay_filter() {
    if !tools() || !installed("wimlib-imagex") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, at, tree) = (folder.path().join("wof.img"), folder.path().join("mounted"), folder.path().join("tree"));
    format(&path, 64, &[]);
    fs::create_dir(&tree).unwrap();
    // Machine code with its calls, text, noise that stays as it is, and zeros; sizes around those of chunks, none twice.
    let code = fs::read(std::env::current_exe().unwrap()).unwrap();
    let code = &code[..code.len().min(1_500_000)];
    let mixed = [prose(3, 100_000), noise(9, 100_000), vec![0; 100_000], prose(5, 77_777)].concat();
    let mut files = vec![("code", code.to_vec()), ("mixed", mixed), ("zeros", vec![0; 200_001])];
    for (number, size) in [700_usize, 4095, 4096, 4097, 8192, 16_385, 32_767, 32_768, 32_769, 65_536, 65_537].into_iter().enumerate() {
        files.push((["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"][number], prose(size as u64, size)));
    }
    for (name, content) in &files {
        fs::write(tree.join(name), content).unwrap();
    }
    let Some(mounted) = Mounted::new(&path, &at, "streams_interface=windows") else { return };
    let algorithms = [(0_u8, "XPRESS", "4096"), (1, "LZX", "32768"), (2, "XPRESS", "8192"), (3, "XPRESS", "16384")];
    for (number, algorithm, chunk) in algorithms {
        let wim = folder.path().join(format!("{number}.wim"));
        let options = [format!("--compress={algorithm}"), format!("--chunk-size={chunk}")];
        run("wimlib-imagex", &["capture", text(&tree), text(&wim), &options[0], &options[1], "--threads=1"]);
        let wim = fs::read(&wim).unwrap();
        for (name, content) in &files {
            let file = at.join(format!("{number}-{name}"));
            fs::File::create(&file).unwrap().set_len(content.len() as u64).unwrap();
            let stored = resource(&wim, content.len() as u64);
            fs::write(format!("{}:WofCompressedData", text(&file)), stored).unwrap();
            let external: Vec<u8> = [1_u32, 2, 1, u32::from(number)].into_iter().flat_map(u32::to_le_bytes).collect();
            set(&file, "system.ntfs_reparse_data", &reparse(0x8000_0017, &external));
        }
    }
    drop(mounted);
    let fs = open(image(&path));
    for (number, algorithm, chunk) in algorithms {
        for (name, expected) in &files {
            let id = fs.lookup(fs.root(), format!("{number}-{name}").as_bytes()).unwrap().unwrap();
            let node = fs.node(id).unwrap();
            assert_eq!((node.kind, node.size), (NodeKind::File, expected.len() as u64));
            assert!(content(&*fs, id) == *expected, "{algorithm} in chunks of {chunk}: {name}");
        }
    }
    eprintln!("{} files of the overlay filter are equal", files.len() * algorithms.len());
}

/// The folders of other people's disks: beside the checkout, or where the environment says.
fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("VHDKIT_SHARED").map(PathBuf::from);
    let beside = ["../shared", "../../shared"].map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    named.into_iter().chain(beside).map(|folder| folder.join("corpus")).find(|folder| folder.exists())
}

/// Disks with NTFS on them, unpacked; what cannot be had is said.
fn real_disks(folder: &Path) -> Vec<PathBuf> {
    let mut disks = Vec::new();
    let images = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    let data = images.join("data-ntfs.raw");
    if data.exists() {
        disks.push(data);
    } else {
        eprintln!("SKIPPED: there is no {}", data.display());
    }
    let Some(corpus) = corpus() else {
        eprintln!("SKIPPED: there is no corpus beside the checkout, so no disk of others was read");
        return disks;
    };
    let packed = [
        "src-dfvfs/ntfs.raw",
        "src-dfvfs/ntfs-fixed.vhd",
        "src-dfvfs/ntfs-parent.vhd",
        "src-dfvfs/ntfs-dynamic.vhdx",
        "built-fs/fs4-superfloppy-ntfs.qemu-dyn.vhd",
        "built-windows/D-ws2022-sysprepfailed-synth-gpt.vbox-dyn.vhd",
        "built-windows/G-win11-nohvdrivers-synth-gpt.qemu-dyn-chs.vhd",
    ];
    if installed("zstd") {
        for name in packed {
            let to = folder.join(name.rsplit('/').next().unwrap());
            run("zstd", &["-q", "-d", "--sparse", text(&corpus.join(format!("{name}.zst"))), "-o", text(&to)]);
            disks.push(to);
        }
    }
    disks
}

#[test]
fn volumes_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let mounts = installed("ntfs-3g");
    let mut volumes = 0;
    for path in real_disks(folder.path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = image(&path);
        let search = ParentSearch { directories: vec![], access: Access::Positional };
        let disk = container::open(&Source { file: &file, path: &path, search: &search }).unwrap().disk.unwrap();
        let mut parts = vec![(0, disk.size())];
        parts.extend(partition::read(&disk).unwrap().into_iter().flat_map(|table| table.partitions).map(|part| (part.start, part.size)));
        for (start, size) in parts {
            let Ok(part) = Slice::new(disk.clone(), start, size) else { continue };
            let part: Bytes = Arc::new(part);
            if vhdkit::fs::identify(&*part).unwrap().is_none_or(|found| found.kind != "ntfs") {
                continue;
            }
            volumes += 1;
            let of = format!("{name} at {start}");
            let raw = folder.path().join("volume.raw");
            let mut copy = fs::File::create(&raw).unwrap();
            copy.set_len(size).unwrap();
            let mut at = 0;
            while let Some(range) = part.data(at) {
                at = range.end.min(range.start + (1 << 20));
                copy.seek(SeekFrom::Start(range.start)).unwrap();
                copy.write_all(&read_vec(&*part, range.start, (at - range.start) as usize).unwrap()).unwrap();
            }
            drop(copy);
            let began = Instant::now();
            let fs = match mounts.then(|| host(&raw, &folder.path().join("mounted"))).flatten() {
                Some(theirs) => agree(part, &theirs, &of),
                None => open(part),
            };
            eprintln!("{of}: clean: {:?}, {:?}", fs.clean(), began.elapsed());
            assert!(fs.clean().unwrap(), "{of}");
            // Windows closed these logs in order. With that mark gone, their last checkpoint must still say that nothing waits.
            if ["ntfs-fixed", "ntfs-parent", "ntfs-dynamic"].iter().any(|made| name.starts_with(made)) {
                let mut whole = fs::read(&raw).unwrap();
                let pages: Vec<usize> = (0..whole.len()).step_by(4096).filter(|page| whole[*page..].starts_with(b"RSTR")).collect();
                assert_eq!(pages.len(), 2, "{of}");
                for page in pages {
                    let area = page + usize::from(whole[page + 24]);
                    assert_eq!(whole[area + 14], 2);
                    whole[area + 14] = 0;
                }
                assert!(open(Arc::new(Memory(whole))).clean().unwrap(), "{of}: a log that ends with a checkpoint");
            }
        }
    }
    eprintln!("{volumes} volumes of others");
}

/// A record or an index block with its saved bytes back in place, or sealed again.
fn turn(block: &mut [u8], seal: bool) {
    let array = usize::from(u16::from_le_bytes([block[4], block[5]]));
    for sector in 1..=block.len() / 512 {
        let (end, saved) = (sector * 512 - 2, array + sector * 2);
        if saved + 2 > block.len() || array + 2 > block.len() {
            return;
        }
        for byte in 0..2 {
            if seal {
                block[saved + byte] = block[end + byte];
                block[end + byte] = block[array + byte];
            } else {
                block[end + byte] = block[saved + byte];
            }
        }
    }
}

#[test]
fn damaged_volumes_are_read_in_bounded_time() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, at) = (folder.path().join("damaged.img"), folder.path().join("mounted"));
    format(&path, 12, &[]);
    let Some(mounted) = Mounted::new(&path, &at, "compression,streams_interface=windows") else { return };
    fs::create_dir_all(at.join("many")).unwrap();
    fs::create_dir_all(at.join("packed")).unwrap();
    for number in 0..150 {
        fs::write(at.join(format!("many/a name that takes some place {number}")), b"x").unwrap();
    }
    set(&at.join("packed"), "system.ntfs_attrib_be", "0x00000810");
    fs::write(at.join("packed/prose"), prose(1, 300_000)).unwrap();
    let mut parts: Vec<fs::File> = (0..2).map(|number| fs::File::create(at.join(format!("pieces{number}"))).unwrap()).collect();
    for turn in 0..200 {
        for part in &mut parts {
            part.seek(SeekFrom::Start(turn * 131_072)).unwrap();
            part.write_all(&noise(turn + 1, 3000)).unwrap();
        }
    }
    drop(parts);
    let code = at.join("code");
    fs::File::create(&code).unwrap().set_len(100_000).unwrap();
    fs::write(format!("{}:WofCompressedData", text(&code)), noise(3, 50_000)).unwrap();
    let external: Vec<u8> = [1_u32, 2, 1, 1].into_iter().flat_map(u32::to_le_bytes).collect();
    set(&code, "system.ntfs_reparse_data", &reparse(0x8000_0017, &external));
    drop(mounted);

    let whole = fs::read(&path).unwrap();
    let blocks: Vec<(usize, usize)> = (0..whole.len() / 1024)
        .map(|place| place * 1024)
        .filter_map(|place| match &whole[place..place + 4] {
            b"FILE" => Some((place, 1024)),
            b"INDX" => Some((place, 4096)),
            _ => None,
        })
        .collect();
    assert!(blocks.len() > 150);
    let base: Bytes = Arc::new(Memory(whole.clone()));
    let rounds: u64 = std::env::var("VHDKIT_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let draws = noise(round * 7919 + 13, 800);
        let mut draws = draws.as_chunks::<8>().0.iter().map(|draw| u64::from_le_bytes(*draw) >> 3);
        let mut draw = |below: usize| (draws.next().unwrap() % below as u64) as usize;
        let mut changed = Overlay::new(base.clone());
        for _ in 0..=draw(4) {
            // One in two hits what every walk goes through.
            let (place, len) = blocks[if draw(2) == 0 { draw(blocks.len()) } else { draw(40) }];
            let mut block = whole[place..place + len].to_vec();
            turn(&mut block, false);
            for _ in 0..=draw(3) {
                let values = [0_u64, 1, 0x80, 0xff, 0xffff, 0x7fff_ffff, u64::MAX, u64::MAX >> 1, 1 << 40, round];
                let (width, value) = ([1, 2, 4, 8][draw(4)], values[draw(values.len())]);
                let field = draw(if len == 1024 { 480 } else { len - 8 });
                block[field..field + width].copy_from_slice(&value.to_le_bytes()[..width]);
            }
            turn(&mut block, true);
            // Two changes in one place make one; the overlay wants no other.
            drop(changed.patch(place as u64, block));
        }
        let began = Instant::now();
        let Ok(fs) = vhdkit::fs::open("ntfs", Arc::new(changed)).unwrap() else { continue };
        drop((fs.usage(), fs.clean()));
        let (mut todo, mut seen, mut left) = (vec![fs.root()], BTreeMap::new(), 2000_u32);
        while let Some(id) = todo.pop() {
            if seen.insert(id, ()).is_some() {
                continue;
            }
            let mut names = Vec::new();
            drop(fs.entries(id, &mut |entry| {
                left = left.saturating_sub(1);
                todo.push(entry.node);
                names.push(entry.name);
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }));
            drop((fs.node(id), fs.target(id)));
            for name in names.iter().take(20) {
                drop(fs.lookup(id, name));
            }
            let Ok(bytes) = fs.open(id) else { continue };
            for place in [0, bytes.size() / 2, bytes.size().saturating_sub(70_000)] {
                drop(read_vec(&*bytes, place, (bytes.size() - place).min(70_000) as usize));
            }
            let mut place = 0;
            for _ in 0..50 {
                let Some(range) = bytes.data(place) else { break };
                assert!(place <= range.start && range.start < range.end && range.end <= bytes.size(), "round {round}: {range:?}");
                place = range.end;
            }
        }
        slowest = slowest.max(began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(120), "round {round}: {:?}", began.elapsed());
    }
    eprintln!("{rounds} damaged volumes, the slowest in {slowest:?}");
}
