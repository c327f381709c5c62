//! An ext2 made by hand, one field after another, and what damage makes of it.

use super::*;
use crate::bytes::{Corrupt, ReadAt, ReadError};

const BLOCK: usize = 1024;
/// First block of the inodes; 16 of 128 bytes.
const TABLE: usize = 5;

/// 64 blocks of 1 KiB in one group.
struct Image(Vec<u8>);

impl Image {
    fn new() -> Self {
        let mut image = Self(vec![0; 64 * BLOCK]);
        for (at, value) in
            [(0x0, 16), (0x4, 64), (0xc, 40), (0x14, 1), (0x20, 8192), (0x24, 8192), (0x28, 16), (0x4c, 1), (0x54, 11), (0x60, 0x42)]
        {
            image.le32(1024 + at, value);
        }
        image.put(1024 + 0x38, &[0x53, 0xef, 1, 0]);
        image.put(1024 + 0x58, &[128, 0]);
        image.le32(2 * BLOCK + 0x8, TABLE as u32);
        image.put(2 * BLOCK + 0xc, &[40, 0]);
        image.inode(2, 0o040_755, BLOCK as u32, 0, &numbers(&[10]));
        image.directory(10, &[(2, b"."), (2, b".."), (11, b"file")]);
        image
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn le32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    fn inode(&mut self, number: usize, mode: u16, size: u32, flags: u32, block: &[u8]) {
        let at = TABLE * BLOCK + (number - 1) * 128;
        self.put(at, &mode.to_le_bytes());
        self.le32(at + 0x4, size);
        self.put(at + 0x1a, &[1, 0]);
        self.le32(at + 0x1c, 2);
        self.le32(at + 0x20, flags);
        self.put(at + 0x28, block);
    }

    /// A block of entries, the last of which reaches to its end.
    fn directory(&mut self, block: usize, entries: &[(u32, &[u8])]) {
        let mut at = block * BLOCK;
        for (index, (inode, name)) in entries.iter().enumerate() {
            let len = if index + 1 == entries.len() { (block + 1) * BLOCK - at } else { (8 + name.len()).next_multiple_of(4) };
            self.le32(at, *inode);
            self.put(at + 4, &(len as u16).to_le_bytes());
            self.put(at + 6, &[name.len() as u8, 1]);
            self.put(at + 8, name);
            at += len;
        }
    }

    fn open(self) -> Result<Arc<dyn FileSystem>, Error> {
        open(Arc::new(Memory(self.0)))
    }

    /// The content of inode 11.
    fn file(self) -> Result<Bytes, Error> {
        self.open().unwrap().open(NodeId(11))
    }

    /// The names in the root.
    fn names(self) -> Result<Vec<String>, Error> {
        let mut names = vec![];
        self.open().unwrap().entries(NodeId(2), &mut |entry| {
            names.push(String::from_utf8_lossy(&entry.name).into_owned());
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }
}

fn numbers(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A node of an extent tree: its level, and its entries as they stand.
fn node(level: u16, entries: &[[u8; 12]]) -> Vec<u8> {
    let count = entries.len() as u16;
    let head = [0xf30a, count, count.max(4), level, 0, 0].into_iter().flat_map(u16::to_le_bytes);
    head.chain(entries.iter().flatten().copied()).collect()
}

fn extent(first: u32, len: u16, start: u32) -> [u8; 12] {
    let fields = [&first.to_le_bytes()[..], &len.to_le_bytes(), &[0, 0], &start.to_le_bytes()];
    fields.concat().try_into().unwrap()
}

fn index(first: u32, block: u32) -> [u8; 12] {
    [&first.to_le_bytes()[..], &block.to_le_bytes(), &[0; 4]].concat().try_into().unwrap()
}

const FILE: u16 = 0o100_644;
const EXTENTS: u32 = 0x8_0000;

#[test]
fn a_small_file_system_reads() {
    let mut image = Image::new();
    image.inode(11, FILE, 5000, 0, &numbers(&[20, 0, 0, 21, 22]));
    for block in 20..23 {
        image.put(block * BLOCK, &[block as u8; BLOCK]);
    }
    let system = image.open().unwrap();
    assert_eq!(system.kind(), "ext4");
    let content = system.open(system.lookup(system.root(), b"file").unwrap().unwrap()).unwrap();
    let bytes = read_vec(&*content, 0, 5000).unwrap();
    let expected: Vec<u8> = [20, 0, 0, 21, 22].into_iter().flat_map(|byte| [byte; BLOCK]).take(5000).collect();
    assert_eq!(bytes, expected);
    assert_eq!(
        [content.data(0), content.data(1024), content.data(4096), content.data(5000)],
        [Some(0..1024), Some(3072..5000), Some(4096..5000), None]
    );
    assert_eq!(system.usage().unwrap(), Usage { size: 65_536, used: 24 * 1024, free: 40 * 1024 });
    assert!(system.clean().unwrap());
    assert!(system.lookup(system.root(), b"File").unwrap().is_none());
}

#[test]
fn extents_are_told_from_holes_and_from_what_was_never_written() {
    let mut image = Image::new();
    let list = [extent(1, 2, 20), extent(5, 32_768 + 2, 22), extent(9, 1, 24)];
    image.inode(11, FILE, 12_000, EXTENTS, &node(0, &list));
    for block in 20..25 {
        image.put(block * BLOCK, &[block as u8; BLOCK]);
    }
    let content = image.file().unwrap();
    let bytes = read_vec(&*content, 0, 12_000).unwrap();
    let shown: Vec<u8> = bytes.chunks(BLOCK).map(|block| block[0]).collect();
    assert_eq!(shown, [0, 20, 21, 0, 0, 0, 0, 0, 0, 24, 0, 0]);
    assert_eq!([content.data(0), content.data(3072), content.data(10_240)], [Some(1024..3072), Some(9216..10_240), None]);
}

#[test]
fn trees_that_contradict_themselves_are_damage() {
    for (what, root, block) in [
        ("a loop", node(1, &[index(0, 20)]), node(1, &[index(0, 20)])),
        ("a level that is not the next", node(3, &[index(0, 20)]), node(1, &[index(0, 20)])),
        ("too deep", node(6, &[index(0, 20)]), vec![]),
        ("no magic", vec![0; 12], vec![]),
        ("no magic below", node(1, &[index(0, 20)]), vec![0; 12]),
        ("no entries", node(1, &[]), vec![]),
        ("out of order", node(1, &[index(0, 20), index(0, 21)]), vec![]),
        ("beyond the end", node(1, &[index(0, 64)]), vec![]),
        ("block 0", node(1, &[index(0, 0)]), vec![]),
        ("an empty extent", node(0, &[extent(0, 0, 20)]), vec![]),
        ("extents that overlap", node(0, &[extent(0, 3, 20), extent(2, 1, 20)]), vec![]),
        ("an extent beyond the end", node(0, &[extent(0, 3, 62)]), vec![]),
        ("more entries than room", [&[0x0a, 0xf3, 5, 0, 4, 0][..], &[0; 54]].concat(), vec![]),
        ("more room than bytes", [&[0x0a, 0xf3, 5, 0, 5, 0][..], &[0; 54]].concat(), vec![]),
    ] {
        let mut image = Image::new();
        image.inode(11, FILE, 3000, EXTENTS, &root);
        image.put(20 * BLOCK, &block);
        let content = image.file().unwrap();
        let error = content.read_at(2500, &mut [0; 1]).unwrap_err();
        assert!(matches!(&error, ReadError::Corrupt(Corrupt { found, .. }) if found.contains("inode 11")), "{what}: {error}");
        assert_eq!(content.data(10), Some(10..3000), "{what}");
    }
}

#[test]
fn pointers_beyond_the_end_are_damage() {
    for block in [numbers(&[64]), numbers(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, u32::MAX])] {
        let mut image = Image::new();
        image.inode(11, FILE, 20_000, 0, &block);
        let content = image.file().unwrap();
        assert!(read_vec(&*content, 0, 20_000).is_err());
    }
}

#[test]
fn entries_that_contradict_themselves_are_damage() {
    for (at, bytes, why) in [
        (4, &[0, 0][..], "the entry at byte 0 is 0 bytes long"),
        (4, &[8, 0], "the entry at byte 0 is 8 bytes long"),
        (4, &[13, 0], "the entry at byte 0 is 13 bytes long"),
        (4, &[0, 8], "the entry at byte 0 is 2048 bytes long"),
        (6, &[200], "its name 200"),
        (24 + 8, b"a/b", "the name at byte 24 is none"),
        (24 + 6, &[0], "the name at byte 24 is none"),
    ] {
        let mut image = Image::new();
        image.put(10 * BLOCK + at, bytes);
        let error = image.names().unwrap_err().to_string();
        assert!(error.starts_with("damaged: inode 2: block 0 of the directory") && error.contains(why), "{error}");
    }
    assert_eq!(Image::new().names().unwrap(), ["file"]);
    let mut image = Image::new();
    image.inode(2, 0o040_755, 2048, 0, &numbers(&[10, 0]));
    assert!(image.names().unwrap_err().to_string().contains("block 1 of the directory is a hole"));
}

#[test]
fn inodes_that_are_none_are_damage() {
    let system = Image::new().open().unwrap();
    for number in [0, 17, u64::from(u32::MAX), u64::MAX] {
        assert!(matches!(system.node(NodeId(number)), Err(Error::Damaged(_))), "{number}");
    }
    assert!(matches!(system.node(NodeId(12)), Err(Error::Damaged(_))), "never used");
    let mut image = Image::new();
    image.inode(11, FILE, 0, 0, &[]);
    image.put(TABLE * BLOCK + 10 * 128 + 0x1a, &[0, 0]);
    assert!(image.file().unwrap_err().to_string().contains("deleted"));
    let mut image = Image::new();
    image.inode(11, FILE, 0, 0, &[]);
    image.le32(TABLE * BLOCK + 10 * 128 + 0x6c, 0x4000_0000);
    assert!(image.file().unwrap_err().to_string().contains("more than a file can have"));
}

#[test]
fn no_byte_of_it_can_make_it_panic() {
    let rummage = |image: Vec<u8>| {
        let Ok(system) = open(Arc::new(Memory(image))) else { return };
        drop((system.usage(), system.clean()));
        for number in 1..18 {
            let id = NodeId(number);
            drop((system.node(id), system.target(id), system.attribute(id, "security.selinux")));
            let mut left = 2000;
            drop(system.entries(id, &mut |_| {
                left -= 1;
                if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }));
            let Ok(content) = system.open(id) else { continue };
            drop((content.read_at(0, &mut vec![0; content.size().min(4096) as usize]), content.data(100)));
        }
    };
    let mut image = Image::new();
    image.inode(11, FILE, 12_000, EXTENTS, &node(1, &[index(0, 20)]));
    image.put(20 * BLOCK, &node(0, &[extent(0, 2, 30), extent(4, 2, 32)]));
    image.inode(12, FILE, 400_000, 0, &numbers(&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 21, 22]));
    image.inode(13, 0o120_777, 70, 0, &numbers(&[33]));
    image.le32(TABLE * BLOCK + 11 * 128 + 0x68, 34);
    image.put(34 * BLOCK, &[0, 0, 2, 0xea, 1, 0, 0, 0, 1, 0, 0, 0]);
    image.put(34 * BLOCK + 32, &[7, 6, 0, 2, 0, 0, 0, 0, 9, 0, 0, 0]);
    image.put(34 * BLOCK + 48, b"selinux");
    let parts = [1024..1024 + 0x180, 2 * BLOCK..2 * BLOCK + 32, TABLE * BLOCK..TABLE * BLOCK + 13 * 128, 10 * BLOCK..10 * BLOCK + 64];
    let more = [20 * BLOCK..20 * BLOCK + 40, 34 * BLOCK..34 * BLOCK + 64];
    for at in parts.into_iter().chain(more).flatten() {
        for value in [0, 1, 4, 0x40, 0x7f, 0x80, 0xff] {
            let mut broken = image.0.clone();
            broken[at] = value;
            rummage(broken);
        }
    }
    for len in (0..image.0.len()).step_by(333) {
        rummage(image.0[..len].to_vec());
    }
}
