//! Disks that are made once, by the peers' tools, and kept in `fuzz/disks`: so that an input means the same at every start.

use crate::fuzzing::promises::look_at;
use crate::fuzzing::{Image, Kind, SECTOR};
use crate::patches::{Spot, Template};
use crate::{guests, linux, rich, sums, windows, windows_healthy};
use std::fs::{self, File};
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use vhdkit::bytes::{Bytes, read_vec};
use vhdkit::facts::State;
use vhdkit::fs::{FileSystem, NodeId, NodeKind};
use vhdkit::inspect::Region;

/// Files of a disk whose content inputs may name.
const MOST: usize = 4096;

/// Where the disks are kept: here, or where the environment says.
fn home() -> PathBuf {
    std::env::var_os("VHDKIT_FUZZ_DISKS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("disks"), PathBuf::from)
}

/// Whole guests. They are made where there are none yet.
pub fn guests() -> Vec<Template> {
    let made = |home: &Path| {
        for kind in guests::kinds().into_iter().chain(guests::on(&rich::guest(), rich::RECIPES)) {
            save(&kind.image, &home.join(format!("guest-{}.raw", kind.name)));
        }
        windows::healthy_disks(home);
        pieces(home);
    };
    kept("guest", made, |image| {
        // One partition from the first MiB on, or else Windows, of which only hives have sums.
        if image.size < 1 << 30 { guests::seal_guest(image) } else { sums::all(image) }
    })
}

/// Files of the guests, from which seeds.py makes seeds of other targets.
fn pieces(home: &Path) {
    for (name, bytes) in [("efi", linux::efi(0x8664, "shim", Some("Microsoft UEFI CA 2023"))), ("kernel", linux::kernel(linux::RELEASE))] {
        fs::write(home.join(format!("piece-{name}")), bytes).unwrap();
    }
    windows_healthy::registry(State::Specialized).write(&home.join("hives"), &["SYSTEM", "SAM", "SECURITY", "BCD"]);
}

/// Volumes that stand on a disk alone.
pub fn volumes() -> Vec<Template> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("disks.sh");
    kept("volume", |home| assert!(Command::new("bash").arg(&script).arg(home).status().unwrap().success(), "disks.sh"), sums::all)
}

fn kept(group: &str, make: impl Fn(&Path), seal: fn(&mut Image)) -> Vec<Template> {
    let home = home();
    let find = || -> Vec<PathBuf> {
        let entries = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
        let prefix = format!("{group}-");
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&prefix)).collect()
    };
    fs::create_dir_all(&home).unwrap();
    let mut found = find();
    if found.is_empty() {
        make(&home);
        found = find();
    }
    found.sort();
    assert!(!found.is_empty(), "no disk can be made here: README.md says which programs it takes");
    found.iter().map(|path| template(path, seal)).collect()
}

fn save(image: &Image, path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(image.size).unwrap();
    for (number, sector) in &image.sectors {
        file.write_all_at(sector, number * SECTOR).unwrap();
    }
}

/// A disk that is kept, and where its files lie.
fn template(path: &Path, seal: fn(&mut Image)) -> Template {
    let mut file = File::open(path).unwrap();
    let mut image = Image::new(file.metadata().unwrap().len());
    let holes = vhdkit::bytes::HostFile::open(path, vhdkit::bytes::host::Access::Positional).unwrap();
    let mut from = 0;
    while let Some(range) = vhdkit::bytes::ReadAt::data(&holes, from) {
        let start = range.start / SECTOR * SECTOR;
        let mut bytes = vec![0; usize::try_from(range.end - start).unwrap()];
        file.read_exact_at(&mut bytes, start).unwrap();
        for (number, sector) in (start / SECTOR..).zip(bytes.chunks(512)).filter(|(_, sector)| sector.iter().any(|byte| *byte != 0)) {
            let mut whole = [0; 512];
            whole[..sector.len()].copy_from_slice(sector);
            image.sectors.insert(number, whole);
        }
        from = range.end;
    }
    drop(file.read(&mut []));
    let places = guests::places(&image, 0);
    let name: &'static str = path.file_stem().unwrap().to_str().unwrap().to_owned().leak();
    let files = files(&image);
    eprintln!("{name}: {} sectors, {} files", image.sectors.len(), files.len());
    Template::new(Kind { name, image, places, seal, path: PathBuf::from("fuzz.vhd") }, files)
}

/// Where the contents of files lie.
fn files(image: &Image) -> Vec<Spot> {
    let inspected = look_at(&(Arc::new(image.clone()) as Bytes), Path::new("fuzz.vhd"), false);
    let mut spots = Vec::new();
    for region in inspected.inside.iter().flat_map(|inside| &inside.regions) {
        if let Some(fs) = region.opened() {
            let mut todo = vec![fs.root()];
            todo.extend(fs.subvolumes().into_iter().flatten().map(|subvolume| subvolume.root));
            while let Some(id) = todo.pop()
                && spots.len() < MOST
            {
                match fs.node(id).map(|node| node.kind) {
                    Ok(NodeKind::Directory) => {
                        let each = &mut |entry: vhdkit::fs::Entry| {
                            todo.push(entry.node);
                            ControlFlow::Continue(())
                        };
                        drop(fs.entries(id, each));
                    }
                    Ok(NodeKind::File) => spots.extend(spot(&**fs, region, id)),
                    _ => {}
                }
            }
        }
    }
    spots
}

/// Where a file's first bytes lie, and its size.
fn spot(fs: &dyn FileSystem, region: &Region, id: NodeId) -> Option<Spot> {
    let first = fs.extents(id).ok()??.into_iter().find(|extent| extent.from == 0)?;
    let (_, at) = region.on_disks(&[first.at])?.into_iter().next()?;
    let size_at = if fs.kind().starts_with("ext") { inode(region, id).map(|inode| inode + 4) } else { None };
    Some(Spot { at, size: fs.node(id).ok()?.size, size_at })
}

/// Where an inode of an ext lies on the disk (`Documentation/filesystems/ext4/`, "Block Group Descriptors").
fn inode(region: &Region, id: NodeId) -> Option<u64> {
    let superblock = read_vec(&*region.bytes, 1024, 1024).ok()?;
    let le = |bytes: &[u8], at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let block = 1024 << le(&superblock, 24, 4);
    let (inodes, inode_size) = (le(&superblock, 40, 4), le(&superblock, 88, 2));
    let descriptor = if le(&superblock, 96, 4) & 0x80 != 0 { le(&superblock, 254, 2) } else { 32 };
    let at = (le(&superblock, 20, 4) + 1) * block + (id.0 - 1) / inodes * descriptor;
    let table = le(&read_vec(&*region.bytes, at + 8, 4).ok()?, 0, 4) * block;
    let at = table + (id.0 - 1) % inodes * inode_size;
    Some(region.on_disks(&[at..at + inode_size])?.first()?.1.start)
}
