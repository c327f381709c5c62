//! Directory trees of many shapes, and whole file systems as lists that can be compared.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vhdkit::bytes::{ReadAt, int_u64, int_usize};
use vhdkit::fs::{Error, FileSystem, NodeId, NodeKind};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: NodeKind,
    /// Bytes of a file.
    pub size: u64,
    /// SHA-256 of a file's content, or a symlink's target in words; empty for others.
    pub content: String,
    /// Permission bits, owner and group, where the file system has them.
    pub owner: Option<(u16, u32, u32)>,
    /// Seconds since 1970.
    pub modified: Option<i64>,
    pub device: Option<(u32, u32)>,
}

/// Paths from the root, without a leading `/`, and what stands there.
pub type Listing = BTreeMap<Vec<u8>, Item>;

/// A path in words.
pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of what can be read at offsets. Holes are taken from [`ReadAt::data`], and it is an error if a hole is anything but zeros.
pub fn digest(bytes: &dyn ReadAt) -> Result<String, String> {
    let mut sha = Sha256::new();
    let (mut at, size) = (0, bytes.size());
    let zeros = vec![0; 1 << 20];
    let mut buf = vec![0; 1 << 20];
    let mut step = 0_u64;
    while at < size {
        let data = bytes.data(at).unwrap_or(size..size);
        assert!(data.start >= at && data.end <= size && (data.start < data.end || data.start == size), "{data:?} at {at} of {size}");
        while at < data.start {
            let len = (data.start - at).min(int_u64(zeros.len()));
            // A hole that is long is looked into here and there.
            if step.is_multiple_of(16) {
                let part = &mut buf[..int_usize(len)];
                bytes.read_at(at, part).map_err(|error| error.to_string())?;
                assert!(part.iter().all(|byte| *byte == 0), "a hole at {at} is not empty");
            }
            step += 1;
            sha.update(&zeros[..int_usize(len)]);
            at += len;
        }
        while at < data.end {
            let part = &mut buf[..int_usize((data.end - at).min(1 << 20))];
            bytes.read_at(at, part).map_err(|error| error.to_string())?;
            sha.update(&*part);
            at += int_u64(part.len());
        }
    }
    Ok(hex(sha.finalize()))
}

/// Everything in a file system, from its root.
pub fn listing(system: &dyn FileSystem) -> Listing {
    let mut found = Listing::new();
    walk(system, &mut |path, item| {
        let item = item.unwrap_or_else(|error| panic!("{}: {error}", shown(&path)));
        assert!(found.insert(path, item).is_none(), "a name twice");
    });
    found
}

/// Gives everything in a file system to `each`, with what could not be read as an error; stops after a million names.
pub fn walk(system: &dyn FileSystem, each: &mut dyn FnMut(Vec<u8>, Result<Item, Error>)) {
    let mut todo: Vec<(Vec<u8>, NodeId)> = vec![(Vec::new(), system.root())];
    let mut names = 0;
    while let Some((path, id)) = todo.pop() {
        let mut entries = Vec::new();
        let result = system.entries(id, &mut |entry| {
            entries.push(entry);
            names += 1;
            if names < 1_000_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if let Err(error) = result {
            each(path.clone(), Err(error));
        }
        for entry in entries {
            let mut below = path.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend(&entry.name);
            let item = item(system, entry.node);
            // A loop of directories would never end.
            if item.as_ref().is_ok_and(|item| item.kind == NodeKind::Directory) && below.iter().filter(|byte| **byte == b'/').count() < 100
            {
                todo.push((below.clone(), entry.node));
            }
            each(below, item);
        }
    }
}

fn item(system: &dyn FileSystem, id: NodeId) -> Result<Item, Error> {
    let node = system.node(id)?;
    let content = match node.kind {
        NodeKind::File => {
            let bytes = system.open(id)?;
            assert_eq!(bytes.size(), node.size);
            digest(&*bytes).map_err(Error::Damaged)?
        }
        NodeKind::Symlink => {
            let target = system.target(id)?;
            assert_eq!(int_u64(target.len()), node.size);
            shown(&target)
        }
        _ => String::new(),
    };
    let owner = node.mode.map(|mode| (mode, node.uid.unwrap_or(u32::MAX), node.gid.unwrap_or(u32::MAX)));
    let size = if node.kind == NodeKind::File { node.size } else { 0 };
    Ok(Item { kind: node.kind, size, content, owner, modified: node.modified, device: node.device })
}

/// Everything in a directory of this machine.
pub fn host(root: &Path) -> Listing {
    let mut found = Listing::new();
    let mut todo: Vec<(Vec<u8>, PathBuf)> = vec![(Vec::new(), root.to_owned())];
    while let Some((path, place)) = todo.pop() {
        for entry in fs::read_dir(&place).unwrap() {
            let entry = entry.unwrap();
            let mut below = path.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend(entry.file_name().as_bytes());
            let item = host_item(&entry.path());
            if item.kind == NodeKind::Directory {
                todo.push((below.clone(), entry.path()));
            }
            found.insert(below, item);
        }
    }
    found
}

fn host_item(place: &Path) -> Item {
    let meta = fs::symlink_metadata(place).unwrap();
    let kind = meta.file_type();
    let (kind, content) = if kind.is_symlink() {
        (NodeKind::Symlink, shown(&fs::read_link(place).unwrap().into_os_string().into_vec()))
    } else if kind.is_dir() {
        (NodeKind::Directory, String::new())
    } else if kind.is_char_device() {
        (NodeKind::CharacterDevice, String::new())
    } else if kind.is_block_device() {
        (NodeKind::BlockDevice, String::new())
    } else if kind.is_fifo() {
        (NodeKind::Fifo, String::new())
    } else if kind.is_socket() {
        (NodeKind::Socket, String::new())
    } else {
        let file = vhdkit::bytes::HostFile::open(place, vhdkit::bytes::host::Access::Positional).unwrap();
        (NodeKind::File, digest(&file).unwrap())
    };
    let device = meta.rdev();
    let numbers = (((device >> 8) & 0xfff) as u32, ((device & 0xff) | ((device >> 12) & 0xf_ff00)) as u32);
    Item {
        kind,
        size: if kind == NodeKind::File { meta.len() } else { 0 },
        content,
        owner: Some(((meta.mode() & 0o7777) as u16, meta.uid(), meta.gid())),
        modified: Some(meta.mtime()),
        device: matches!(kind, NodeKind::CharacterDevice | NodeKind::BlockDevice).then_some(numbers),
    }
}

/// What is compared of an item besides its kind, size and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    /// Nothing.
    Content,
    /// Permissions, owner, group, device numbers, and the time of the last change of all but directories.
    Everything,
}

/// Fails, naming the first few paths, unless both list the same. Names that begin with `lost+found` are left out on both sides.
pub fn same(ours: &Listing, theirs: &Listing, with: With, what: &str) {
    let mut differences: Vec<(String, Option<Item>, Option<Item>)> = Vec::new();
    let counts = |path: &[u8]| !path.starts_with(b"lost+found");
    for path in ours.keys().chain(theirs.keys()).filter(|path| counts(path)) {
        let [mut one, mut other] = [ours, theirs].map(|listing| listing.get(path).cloned());
        for item in [&mut one, &mut other].into_iter().flatten() {
            if with == With::Content {
                (item.owner, item.modified, item.device) = (None, None, None);
            } else if item.kind == NodeKind::Directory {
                item.modified = None;
            }
        }
        if one != other && !differences.iter().any(|(known, ..)| known == &shown(path)) {
            differences.push((shown(path), one, other));
        }
    }
    let list: Vec<String> =
        differences.iter().take(8).map(|(path, one, other)| format!("{path:.120}\n   ours   {one:?}\n   theirs {other:?}")).collect();
    assert!(differences.is_empty(), "{what}: {} of {} paths differ\n{}", differences.len(), theirs.len(), list.join("\n"));
}

/// Bytes that look random and are the same in every run.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
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

/// What a file system can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Symlinks, sparse files, any name, devices where root makes them.
    Unix,
    /// Files and directories whose names differ in more than case.
    Dos,
}

/// Fills a directory with a tree of many shapes: empty, tiny, block-sized and large files, 1,500 names in one directory, deep paths, long
/// and foreign names; for Unix also sparse files, symlinks short and long, modes, a fifo and device nodes.
pub fn fill(root: &Path, kind: Kind) {
    fs::create_dir_all(root).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let place = root.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    };
    write("empty", b"");
    for len in [1, 59, 60, 61, 100, 150, 511, 512, 1023, 1024, 1025, 4095, 4096, 4097, 12 * 1024, 12 * 1024 + 1, 65_536, 300_000] {
        write(&format!("sizes/{len}"), &noise(len as u64 + 7, len));
    }
    write("large", &noise(99, 6_000_000));
    for number in 0..1500 {
        // Short names that are alike make mtools search for a long time.
        let name = if kind == Kind::Dos { format!("many/F{number:04}.Txt") } else { format!("many/file-{number:04}-with-a-name") };
        write(&name, format!("content {number}").as_bytes());
    }
    fs::create_dir_all(root.join("empty directory")).unwrap();
    let mut deep = "deep".to_owned();
    for level in 0..20 {
        deep.push_str(&format!("/level {level}"));
    }
    write(&format!("{deep}/bottom"), b"bottom\n");
    write(&format!("names/{}", "l".repeat(250)), b"long");
    for name in
        ["häßlich.txt", "日本語のファイル名.txt", "with space", "UPPER.TXT", "lower.txt", "Mixed.Case", "a.b.c.d", "no_extension_at_all"]
    {
        write(&format!("names/{name}"), name.as_bytes());
    }
    if kind == Kind::Dos {
        return;
    }
    // Both end in data: mke2fs loses a hole at the end where it has inline data. The second needs all levels of pointers of 1 KiB.
    for (name, ranges) in [("holes", vec![(0, 3000), (8192, 4096), (1 << 20, 10), (3 << 20, 5)]), ("one-byte-far-out", vec![(70 << 20, 1)])]
    {
        let file = fs::File::create(root.join(name)).unwrap();
        for (at, len) in ranges {
            file.write_all_at(&noise(at + 3, len), at).unwrap();
        }
    }
    fs::File::create(root.join("only a hole")).unwrap().set_len(5_000_000).unwrap();
    for (name, target) in
        [("to-a-file", "sizes/100".to_owned()), ("absolute", "/etc/passwd".to_owned()), ("dangling", "nowhere".to_owned())]
    {
        symlink(target, root.join(name)).unwrap();
    }
    for len in [1, 58, 59, 60, 61, 300, 1000] {
        symlink("t".repeat(len), root.join(format!("symlink-of-{len}"))).unwrap();
    }
    fs::hard_link(root.join("sizes/4096"), root.join("hardlink")).unwrap();
    let bytes = std::ffi::OsString::from_vec(b"not \xff utf-8".to_vec());
    fs::write(root.join(bytes), b"bytes").unwrap();
    write("names/emoji 🦀.rs", b"beyond 16 bits");
    write("names/case.collision", b"lower");
    write("names/CASE.COLLISION", b"upper");
    for (name, mode) in [("mode-0600", 0o600), ("setuid", 0o4755), ("sticky", 0o1777)] {
        write(name, name.as_bytes());
        fs::set_permissions(root.join(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    // Devices need root; where they cannot be made there are none to compare.
    for arguments in [&["fifo", "p"][..], &["null", "c", "1", "3"], &["far", "b", "259", "70000"]] {
        drop(std::process::Command::new("mknod").current_dir(root).args(arguments).output());
    }
}

/// Opens the file system in a file of this machine, as what it says it is.
pub fn open(image: &Path) -> Arc<dyn FileSystem> {
    open_bytes(Arc::new(vhdkit::bytes::HostFile::open(image, vhdkit::bytes::host::Access::Positional).unwrap()))
}

/// Opens the file system in bytes, as what it says it is.
pub fn open_bytes(bytes: vhdkit::bytes::Bytes) -> Arc<dyn FileSystem> {
    let kind = vhdkit::fs::identify(&*bytes).unwrap().expect("a file system").kind;
    vhdkit::fs::open(kind, bytes).expect("a reader").unwrap_or_else(|error| panic!("{kind}: {error}"))
}
