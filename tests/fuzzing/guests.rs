//! Small healthy guests on every file system that is read, and what is asked of them besides.

use crate::fuzzing::promises::look_at;
use crate::fuzzing::{Image, Kind, MIB, SECTOR, seal};
use crate::linux::{Guest, Node, able};
use crate::linux_healthy;
use crate::support::Disk;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::{Bytes, read_vec};
use vhdkit::fs::{FileSystem, NodeId, NodeKind};

/// Where the root file system begins.
const ROOT: u64 = MIB;
/// Nodes of a damaged tree that are looked at.
const MOST: usize = 20_000;

/// How a root file system is made of a tree: `{tree}`, `{proto}` and `{}` for the image.
const RECIPES: &[(&str, u64, &str)] = &[
    ("ext4", 24, "mke2fs -q -F -t ext4 -O ^metadata_csum -d {tree} {}"),
    ("ext4-checked", 24, "mke2fs -q -F -t ext4 -d {tree} {}"),
    ("ext2", 24, "mke2fs -q -F -t ext2 -d {tree} {}"),
    ("xfs", 300, "mkfs.xfs -q -f -p {proto} {}"),
    ("btrfs", 110, "mkfs.btrfs -q -f --rootdir {tree} {}"),
];

/// The guests that can be made here.
pub fn kinds() -> Vec<Kind> {
    if !able() {
        return vec![];
    }
    let mut guest = linux_healthy::specialized();
    // The EFI system partition is not on the disk, and what is mounted and not there keeps a template from being planned.
    guest.file("/etc/fstab", "");
    on(&guest, RECIPES)
}

/// A guest on file systems that are made by these recipes.
pub fn on(guest: &Guest, recipes: &[(&'static str, u64, &str)]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let home = tempfile::tempdir().unwrap();
    let (tree, proto) = (home.path().join("tree"), home.path().join("proto"));
    for (path, node) in &guest.root {
        put(&tree, path, node);
    }
    fs::write(&proto, format!("/dev/null\n0 0\nd--755 0 0\n{}$\n", prototype(&tree))).unwrap();
    for (name, mib, command) in recipes {
        let volume = home.path().join(name);
        fs::File::create(&volume).unwrap().set_len(mib * MIB).unwrap();
        let line = [("{tree}", &tree), ("{proto}", &proto), ("{}", &volume)];
        let line = line.iter().fold((*command).to_owned(), |line, (mark, path)| line.replace(mark, path.to_str().unwrap()));
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let made = Command::new("sh").args(["-c", &line]).env("PATH", path).stdin(Stdio::null()).output().unwrap();
        if !made.status.success() {
            eprintln!("SKIPPED {name}: {}", String::from_utf8_lossy(&made.stderr).trim());
            continue;
        }
        kinds.push(kind(name, &volume, mib * MIB));
    }
    kinds
}

/// A disk of one partition that holds this volume.
fn kind(name: &'static str, volume: &Path, size: u64) -> Kind {
    let total = size + 2 * MIB;
    let mut image = Image::new(total);
    for (at, bytes) in Disk::blank(total).gpt(&[("0fc63daf-8483-4772-8e79-3d69d8477de4", ROOT / SECTOR, size / SECTOR)]).pieces {
        image.put(at, &bytes);
    }
    let mut file = fs::File::open(volume).unwrap();
    let mut chunk = vec![0; MIB as usize];
    for at in (0..size).step_by(chunk.len()) {
        file.read_exact(&mut chunk).unwrap();
        for (number, sector) in (at / SECTOR..).zip(chunk.chunks_exact(512)) {
            if sector.iter().any(|byte| *byte != 0) {
                image.sectors.insert(ROOT / SECTOR + number, sector.try_into().unwrap());
            }
        }
    }
    let places = places(&image, ROOT);
    Kind { name, image, places, seal: seal_guest, path: PathBuf::from("guest.raw") }
}

/// Runs of sectors from here on that hold something; the long ones are files' contents, and count no more than the others.
pub fn places(image: &Image, from: u64) -> Vec<Range<u64>> {
    let mut places: Vec<Range<u64>> = Vec::new();
    for number in image.sectors.keys().filter(|number| **number >= from / SECTOR) {
        let range = number * SECTOR..(number + 1) * SECTOR;
        match places.last_mut() {
            Some(last) if last.end == range.start && last.end - last.start < 8192 => last.end = range.end,
            _ => places.push(range),
        }
    }
    places
}

pub fn seal_guest(image: &mut Image) {
    let size = image.size;
    seal::partition(image, ROOT, size.saturating_sub(2 * MIB));
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
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (name, kind, path) = (entry.file_name().into_string().unwrap(), entry.file_type().unwrap(), entry.path());
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
        if kind.is_dir() {
            lines += &format!("{name} d--{mode:03o} 0 0\n{}$\n", prototype(&path));
        } else if kind.is_symlink() {
            lines += &format!("{name} l--777 0 0 {}\n", fs::read_link(&path).unwrap().display());
        } else {
            lines += &format!("{name} ---{mode:03o} 0 0 {}\n", path.display());
        }
    }
    lines
}

/// Walks everything that can be reached.
pub fn walk(kind: &Kind, image: &Image) {
    let file: Bytes = Arc::new(image.clone());
    let inspected = look_at(&file, &kind.path, false);
    let Some(inside) = &inspected.inside else { return };
    for region in &inside.regions {
        if let Some(fs) = region.opened() {
            nodes(&**fs, region.bytes.size());
        }
    }
}

/// Every node, its content, its attributes; what is free lies under none of them.
fn nodes(fs: &dyn FileSystem, size: u64) {
    if let Ok(free) = fs.free() {
        assert!(free.iter().all(|range| range.start < range.end && range.end <= size), "free space outside of the volume");
        assert!(free.is_sorted_by(|a, b| a.end <= b.start), "free space out of order");
    }
    let mut seen: BTreeMap<NodeId, ()> = BTreeMap::new();
    let mut todo = vec![fs.root()];
    todo.extend(fs.subvolumes().into_iter().flatten().map(|subvolume| subvolume.root));
    while let Some(id) = todo.pop() {
        if seen.len() > MOST || seen.insert(id, ()).is_some() {
            continue;
        }
        let Ok(node) = fs.node(id) else { continue };
        drop(fs.attributes(id));
        match node.kind {
            NodeKind::Directory => {
                let each = &mut |entry: vhdkit::fs::Entry| {
                    assert!(!entry.name.is_empty() && !entry.name.contains(&b'/') && !entry.name.contains(&0), "a name {:?}", entry.name);
                    todo.push(entry.node);
                    if todo.len() > MOST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                drop(fs.entries(id, each));
            }
            NodeKind::Symlink => drop(fs.target(id)),
            NodeKind::File => content(fs, id, size),
            _ => {}
        }
    }
}

fn content(fs: &dyn FileSystem, id: NodeId, size: u64) {
    if let Ok(bytes) = fs.open(id) {
        for at in [0, bytes.size() / 2, bytes.size().saturating_sub(1)] {
            drop(read_vec(&*bytes, at, bytes.size().saturating_sub(at).min(4096) as usize));
        }
    }
    let Ok(Some(extents)) = fs.extents(id) else { return };
    assert!(extents.iter().all(|extent| extent.at.start < extent.at.end && extent.at.end <= size), "an extent outside of the volume");
}
