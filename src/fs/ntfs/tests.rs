//! A volume made by hand, what is right in it, and what is damaged.

use super::*;
use crate::bytes::{Memory, Overlay};
use crate::fs::Tree;
use std::time::Instant;

/// Bytes of a cluster, of a record and of an index block alike.
const CLUSTER: usize = 1024;
/// Clusters of the volume.
const CLUSTERS_ALL: usize = 160;
/// Cluster at which the first part of the table begins: records 0 to 31.
const TABLE: usize = 4;
/// Cluster at which the second part of the table begins: records 32 to 39.
const TABLE_2: usize = 60;
/// Cluster of content; those after it are content too.
const CONTENT: usize = 70;
/// Cluster of an index block.
const BLOCK: usize = 90;
/// Cluster of the log: 16 of them.
const LOGGED: usize = 100;

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Puts the update sequence in.
fn sealed(mut block: Vec<u8>) -> Vec<u8> {
    let array = usize::from(le16(&block, 4).unwrap());
    put(&mut block, array, &[0x5a, 0xa5]);
    for sector in 1..=block.len() / 512 {
        let end = sector * 512 - 2;
        let saved = [block[end], block[end + 1]];
        put(&mut block, array + sector * 2, &saved);
        put(&mut block, end, &[0x5a, 0xa5]);
    }
    block
}

fn record(flags: u16, base: u64, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; CLUSTER];
    put(&mut out, 0, b"FILE\x30\0\x03\0");
    put(&mut out, 16, &[1, 0, 1, 0, 56, 0]);
    put(&mut out, 22, &flags.to_le_bytes());
    put(&mut out, 32, &base.to_le_bytes());
    let mut at = 56;
    for attribute in attributes {
        put(&mut out, at, attribute);
        at += attribute.len();
    }
    put(&mut out, at, &[0xff; 4]);
    put(&mut out, 24, &(at as u32 + 8).to_le_bytes());
    sealed(out)
}

fn attribute(kind: u32, name: &str, id: u16, flags: u16, resident: bool, rest: &[u8], value: &[u8]) -> Vec<u8> {
    let name_at = 16 + rest.len();
    let value_at = (name_at + name.len() * 2).next_multiple_of(8);
    let mut out = vec![0; value_at];
    put(&mut out, 0, &kind.to_le_bytes());
    put(&mut out, 8, &[u8::from(!resident), name.len() as u8, name_at as u8, 0]);
    put(&mut out, 12, &flags.to_le_bytes());
    put(&mut out, 14, &id.to_le_bytes());
    put(&mut out, 16, rest);
    put(&mut out, name_at, &wide(name));
    put(&mut out, if resident { 20 } else { 32 }, &[value_at as u8, 0]);
    out.extend(value);
    let mut out = padded(out);
    let length = (out.len() as u32).to_le_bytes();
    put(&mut out, 4, &length);
    out
}

fn resident(kind: u32, name: &str, id: u16, value: &[u8]) -> Vec<u8> {
    attribute(kind, name, id, 0, true, &[&(value.len() as u32).to_le_bytes()[..], &[0; 4]].concat(), value)
}

/// `sizes`: first cluster, bytes, bytes written.
fn mapped(kind: u32, name: &str, id: u16, flags: u16, sizes: [u64; 3], pairs: &[u8]) -> Vec<u8> {
    let unit = if flags & COMPRESSED != 0 { 4 } else { 0 };
    let fields = [sizes[0], 0, unit << 16, 0, sizes[1], sizes[2]];
    attribute(kind, name, id, flags, false, &fields.map(u64::to_le_bytes).concat(), pairs)
}

fn file_name(name: &str, namespace: u8) -> Vec<u8> {
    let mut value = vec![0; 64];
    value.extend([name.encode_utf16().count() as u8, namespace]);
    value.extend(wide(name));
    value
}

fn entry(name: &str, namespace: u8, file: u64, child: Option<u64>) -> Vec<u8> {
    let key = if name.is_empty() { vec![] } else { file_name(name, namespace) };
    let flags = u16::from(child.is_some()) | if name.is_empty() { 2 } else { 0 };
    let mut out =
        padded([&file.to_le_bytes()[..], &[0, 0], &(key.len() as u16).to_le_bytes(), &flags.to_le_bytes(), &[0; 2], &key].concat());
    out.extend(child.into_iter().flat_map(u64::to_le_bytes));
    let length = (out.len() as u16).to_le_bytes();
    put(&mut out, 8, &length);
    out
}

fn node(entries: &[Vec<u8>], first: u32) -> Vec<u8> {
    let entries = entries.concat();
    let total = first + entries.len() as u32;
    let header = [first, total, total, 0].map(u32::to_le_bytes).concat();
    [header, vec![0; first as usize - 16], entries].concat()
}

fn index_root(entries: &[Vec<u8>]) -> Vec<u8> {
    let header = [0x30, 1, CLUSTER as u32, 1].map(u32::to_le_bytes).concat();
    resident(INDEX_ROOT, "$I30", 7, &[header, node(entries, 16)].concat())
}

fn index_block(vcn: u64, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; CLUSTER];
    put(&mut out, 0, b"INDX\x28\0\x03\0");
    put(&mut out, 16, &vcn.to_le_bytes());
    put(&mut out, 24, &node(entries, 40));
    sealed(out)
}

fn listed(kind: u32, name: &str, first: u64, record: u64, id: u16) -> Vec<u8> {
    let mut out = vec![0; 26];
    put(&mut out, 0, &kind.to_le_bytes());
    put(&mut out, 6, &[name.len() as u8, 26]);
    put(&mut out, 8, &first.to_le_bytes());
    put(&mut out, 16, &record.to_le_bytes());
    put(&mut out, 24, &id.to_le_bytes());
    out.extend(wide(name));
    let mut out = padded(out);
    let length = (out.len() as u16).to_le_bytes();
    put(&mut out, 4, &length);
    out
}

/// A volume whose table lies in two parts, the second told by a list of attributes. Cluster numbers above 127 are not used, so that one
/// byte holds each.
fn volume() -> Vec<u8> {
    let mut disk = vec![0; CLUSTER * CLUSTERS_ALL];
    put(&mut disk, 3, b"NTFS    \0\x02\x02");
    put(&mut disk, 40, &(CLUSTERS_ALL as u64 * 2).to_le_bytes());
    put(&mut disk, 48, &(TABLE as u64).to_le_bytes());
    put(&mut disk, 64, &[0xf6]);
    let whole = (40 * CLUSTER) as u64;
    let list = [listed(DATA, "", 0, 0, 1), listed(DATA, "", 32, 15, 2)].concat();
    let base = [resident(record::ATTRIBUTE_LIST, "", 3, &list), mapped(DATA, "", 1, 0, [0, whole, whole], &[0x11, 32, TABLE as u8, 0])];
    set(&mut disk, 0, record(1, 0, &base));
    set(&mut disk, 15, record(1, 1 << 48, &[mapped(DATA, "", 2, 0, [32, 0, 0], &[0x11, 8, TABLE_2 as u8, 0])]));
    set(&mut disk, 2, record(1, 0, &[mapped(DATA, "", 1, 0, [0, 16384, 16384], &[0x11, 16, LOGGED as u8, 0])]));
    put(&mut disk, LOGGED * CLUSTER, &[0xff; 16384]);
    set(&mut disk, 3, record(1, 0, &[resident(VOLUME_INFORMATION, "", 1, &[0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0])]));
    let bitmap = [&[0xff; 15][..], &[0x0f, 0, 0, 0, 0xf0]].concat();
    set(&mut disk, 6, record(1, 0, &[resident(DATA, "", 1, &bitmap)]));
    let upcase: Vec<u8> = (0..128_u16).flat_map(|unit| if (97..123).contains(&unit) { unit - 32 } else { unit }.to_le_bytes()).collect();
    set(&mut disk, 10, record(1, 0, &[resident(DATA, "", 1, &upcase)]));
    let names = [
        entry("$MFT", 3, 1 << 48, None),
        entry(".", 3, 5 << 48 | 5, None),
        entry("Folder", 1, 1 << 48 | 25, Some(0)),
        entry("FOLDER~1", 2, 1 << 48 | 25, None),
        entry("holes", 0, 33, None),
        entry("", 0, 0, None),
    ];
    let block = [entry("abc", 1, 1 << 48 | 24, None), entry("ABC", 0, 1 << 48 | 32, None), entry("", 0, 0, None)];
    let mut sorted = block;
    sorted.swap(0, 1);
    let blocks = [
        index_root(&names),
        mapped(INDEX_ALLOCATION, "$I30", 8, 0, [0, 1024, 1024], &[0x11, 1, BLOCK as u8, 0]),
        resident(BITMAP, "$I30", 9, &[1, 0, 0, 0, 0, 0, 0, 0]),
    ];
    set(&mut disk, 5, record(3, 0, &blocks));
    put(&mut disk, BLOCK * CLUSTER, &index_block(0, &sorted));
    let time = (11_644_473_600_u64 + 1_700_000_000) * 10_000_000;
    let times = [[0; 8], time.to_le_bytes(), [0; 8], [0; 8], [0; 8], [0; 8]].concat();
    set(&mut disk, 24, record(1, 0, &[resident(STANDARD_INFORMATION, "", 0, &times), resident(DATA, "", 1, b"small")]));
    set(&mut disk, 25, record(3, 0, &[index_root(&[entry("", 0, 0, None)])]));
    set(&mut disk, 32, record(1, 0, &[mapped(DATA, "", 1, 0, [0, 3000, 1500], &[0x11, 3, CONTENT as u8, 0])]));
    set(&mut disk, 33, record(1, 0, &[mapped(DATA, "", 1, 0x8000, [0, 5000, 5000], &[0x01, 2, 0x11, 1, CONTENT as u8, 0x01, 2, 0])]));
    put(&mut disk, CONTENT * CLUSTER, &[b'x'; 3 * CLUSTER]);
    disk
}

fn place(number: usize) -> usize {
    CLUSTER * if number < 32 { TABLE + number } else { TABLE_2 + number - 32 }
}

fn set(disk: &mut [u8], number: usize, record: Vec<u8>) {
    put(disk, place(number), &record);
}

fn opened(disk: Vec<u8>) -> Result<Arc<dyn FileSystem>, Error> {
    open(Arc::new(Memory(disk)))
}

fn words<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.to_string(), |good| format!("no error but {good:?}"))
}

fn names(fs: &dyn FileSystem, directory: NodeId) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    fs.entries(directory, &mut |entry| {
        names.push(String::from_utf8(entry.name).unwrap());
        ControlFlow::Continue(())
    })?;
    Ok(names)
}

#[test]
fn what_is_right_is_read() {
    let fs = opened(volume()).unwrap();
    assert_eq!(names(&*fs, fs.root()).unwrap(), ["Folder", "holes", "ABC", "abc"]);
    let find = |name: &str| fs.lookup(fs.root(), name.as_bytes()).unwrap().map(|id| id.0 & 0xffff);
    let found = ["abc", "ABC", "aBc", "folder", "folder~1", "HOLES", "nothing", "zzz"].map(find);
    assert_eq!(found, [Some(24), Some(32), Some(32), Some(25), Some(25), Some(33), None, None]);
    let node = fs.node(NodeId(24)).unwrap();
    assert_eq!((node.kind, node.size, node.modified, node.links), (NodeKind::File, 5, Some(1_700_000_000), 1));

    let read = |record: u64| {
        let bytes = fs.open(NodeId(record)).unwrap();
        (read_vec(&*bytes, 0, bytes.size() as usize).unwrap(), bytes.data(0))
    };
    assert_eq!(read(24).0, b"small");
    assert_eq!(read(32), ([vec![b'x'; 1500], vec![0; 1500]].concat(), Some(0..1500)), "what was not written is zero");
    assert_eq!(read(33), ([vec![0; 2048], vec![b'x'; 1024], vec![0; 1928]].concat(), Some(2048..3072)), "and so are holes");

    let usage = fs.usage().unwrap();
    assert_eq!((usage.size, usage.used), (160 * 1024, 128 * 1024), "124 of the first clusters and the last four");
    assert!(fs.clean().unwrap());
    let tree = Tree::new("p1", fs.clone(), fs.root());
    assert_eq!(tree.text("/abc").unwrap().unwrap(), "small");
    assert_eq!(tree.names("/folder").unwrap(), [""; 0]);
}

#[test]
fn the_copy_of_the_table_stands_in() {
    let mut disk = volume();
    put(&mut disk, 56, &120_u64.to_le_bytes());
    disk.copy_within(place(0)..place(0) + CLUSTER, 120 * CLUSTER);
    disk[place(0)] = b'B';
    assert_eq!(names(&*opened(disk.clone()).unwrap(), NodeId(ROOT)).unwrap().len(), 4);
    disk[120 * CLUSTER] = b'B';
    assert_eq!(words(opened(disk)), "damaged: record 0: it does not begin with FILE");
}

#[test]
fn damage_is_told_with_its_place() {
    let long = [mapped(DATA, "", 1, 0, [0, 9000, 9000], &[0x11, 3, CONTENT as u8, 0])];
    let list = |lines: &[Vec<u8>]| record(1, 0, &[resident(record::ATTRIBUTE_LIST, "", 3, &lines.concat())]);
    let pairs = |pairs: &[u8]| record(1, 0, &[mapped(DATA, "", 1, 0, [0, 9000, 9000], pairs)]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (record(0, 0, &[]), "it is not in use"),
        (record(1, 1 << 48 | 25, &[]), "it is a continuation"),
        (record(1, 0, &long), "9000 bytes, of which 3072 are mapped"),
        (list(&[listed(DATA, "", 0, 24, 5)]), "an attribute that it lists is not in record 24"),
        (list(&[listed(DATA, "", 0, 25, 5)]), "leads to record 25, which is not part of it"),
        (list(&[listed(DATA, "", 0, 9999, 5)]), "record 9999: it lies past the end"),
        (list(&[vec![0; 30]]), "its list of attributes is damaged"),
        (pairs(&[0x11, 3, 0xf0, 0]), "past the end of the volume"),
        (pairs(&[0x88, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0]), "past the end of the volume"),
        (pairs(&[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0]), "past the end of the volume"),
        (pairs(&[0x11, 0x80, 1, 0]), "an impossible length"),
        (record(1, 0, &[resident(REPARSE_POINT, "", 1, &[3, 0, 0, 0xa0, 9, 0, 0, 0])]), "its reparse point is damaged"),
        (record(1, 0, &[mapped(DATA, "", 1, ENCRYPTED, [0, 1000, 1000], &[0x11, 3, CONTENT as u8, 0])]), "encrypted (EFS)"),
        (record(1, 0, &[]), "it has no data"),
    ];
    for (record, expected) in cases {
        let mut disk = volume();
        set(&mut disk, 24, record);
        let fs = opened(disk).unwrap();
        let found = words(fs.open(NodeId(24)));
        assert!(found.contains(expected), "{found}, not {expected}");
        assert!(fs.open(NodeId(32)).is_ok(), "and the rest is read");
    }
    let stale = opened(volume()).unwrap().node(NodeId(2 << 48 | 24));
    assert_eq!(words(stale), "damaged: record 24: it now holds another file than the one that a directory names");
    assert!(words(opened(volume()).unwrap().node(NodeId(u64::MAX >> 16))).contains("past the end"));
    let mut disk = volume();
    disk[place(24) + 510] ^= 1;
    assert_eq!(words(opened(disk).unwrap().node(NodeId(24))), "damaged: record 24: it was not written whole");
}

#[test]
fn indexes_that_go_nowhere_end() {
    let list = |names: &[Vec<u8>], block: Vec<u8>| {
        let mut disk = volume();
        let blocks = [
            index_root(names),
            mapped(INDEX_ALLOCATION, "$I30", 8, 0, [0, 2048, 2048], &[0x11, 1, BLOCK as u8, 0x11, 1, 0, 0]),
            resident(BITMAP, "$I30", 9, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ];
        set(&mut disk, 25, record(3, 0, &blocks));
        put(&mut disk, BLOCK * CLUSTER, &block);
        let fs = opened(disk).unwrap();
        (words(names_of(&*fs)), words(fs.lookup(NodeId(25), b"m")))
    };
    fn names_of(fs: &dyn FileSystem) -> Result<Vec<String>, Error> {
        names(fs, NodeId(25))
    }
    let down = [entry("", 0, 0, Some(0))];
    let (listed, found) = list(&down, index_block(0, &[entry("", 0, 0, Some(0))]));
    assert_eq!((listed.as_str(), found.as_str()), ("no error but []", "damaged: record 25: in its index, more than 32 levels"));
    let (listed, found) = list(&down, index_block(1, &[entry("", 0, 0, None)]));
    assert!(listed.contains("block 0 says that it is another one") && found.contains("block 0 says"), "{listed} {found}");
    let (_, found) = list(&[entry("", 0, 0, Some(1))], index_block(0, &[entry("", 0, 0, None)]));
    assert!(found.contains("block 1 says that it is another one"), "two blocks in one place: {found}");
    let (_, found) = list(&[entry("", 0, 0, Some(u64::MAX))], index_block(0, &[entry("", 0, 0, None)]));
    assert!(found.contains("lies outside"), "{found}");
    let mut endless = index_block(0, &[entry("x", 0, 30, None), entry("", 0, 0, None)]);
    put(&mut endless, 24 + 40 + 8, &[0, 0]);
    let (listed, _) = list(&down, endless);
    assert!(listed.contains("block 0 is damaged"), "{listed}");
}

#[test]
fn a_name_that_no_file_can_have_damages_its_directory() {
    for (name, kept) in [("a/b", false), ("a\0b", false), ("/", false), ("a\\b", true), ("..", true), ("a:b", true)] {
        let mut disk = volume();
        set(&mut disk, 25, record(3, 0, &[index_root(&[entry(name, 1, 1 << 48 | 24, None), entry("", 0, 0, None)])]));
        let fs = opened(disk).unwrap();
        let listed = words(names(&*fs, NodeId(25)));
        assert_eq!(listed == "damaged: record 25: in its index, what it calls file 24 is no name", !kept, "{name:?}: {listed}");
        assert_eq!(names(&*fs, fs.root()).unwrap().len(), 4, "and the rest is read");
    }
}

/// A log that a client has open, with a checkpoint in its third page; `pages` and `transactions` are the lengths of what it lists.
fn log(client: u16, flags: u16, checkpoint: u64, pages: u32, newest: u64) -> Vec<u8> {
    let mut log = vec![0xff; 16384];
    for start in [0, 4096] {
        let mut page = vec![0; 4096];
        put(&mut page, 0, b"RSTR\x1e\0\x09\0");
        put(&mut page, 16, &[0, 16, 0, 0, 0, 16, 0, 0, 48, 0]);
        put(&mut page, 48, &CHECKPOINT.to_le_bytes());
        put(&mut page, 48 + 8, &[1, 0, 0xff, 0xff]);
        put(&mut page, 48 + 12, &client.to_le_bytes());
        put(&mut page, 48 + 14, &flags.to_le_bytes());
        put(&mut page, 48 + 16, &[45, 0, 0, 0, 0, 0, 64, 0]);
        put(&mut page, 48 + 36, &[48, 0]);
        put(&mut page, 48 + 64 + 8, &checkpoint.to_le_bytes());
        put(&mut log, start, &sealed(page));
    }
    let mut page = vec![0; 4096];
    put(&mut page, 0, b"RCRD\x28\0\x09\0");
    put(&mut page, 32, &newest.to_le_bytes());
    put(&mut page, 0x80, &CHECKPOINT.to_le_bytes());
    put(&mut page, 0x80 + 24, &[64, 0, 0, 0]);
    put(&mut page, 0x80 + 32, &[2, 0, 0, 0]);
    put(&mut page, 0x80 + 48 + 56, &pages.to_le_bytes());
    put(&mut log, 8192, &sealed(page));
    log
}

/// The number of a record at byte 0x2080 of the log: that in units of eight, with a sequence of 3 above its 19 bits.
const CHECKPOINT: u64 = 3 << 19 | 0x2080 >> 3;

#[test]
fn the_log_tells_of_work() {
    let clean = |log: &[u8]| {
        let mut disk = volume();
        put(&mut disk, LOGGED * CLUSTER, log);
        opened(disk).unwrap().clean()
    };
    assert!(clean(&log(0xffff, 0, 0, 9, 0)).unwrap(), "nobody has it open");
    assert!(clean(&log(0, 2, 0, 9, 0)).unwrap(), "marked clean");
    assert!(clean(&log(0, 0, CHECKPOINT, 0, CHECKPOINT)).unwrap(), "a checkpoint that lists nothing");
    assert!(!clean(&log(0, 0, CHECKPOINT, 44, CHECKPOINT)).unwrap(), "one that lists pages");
    assert!(!clean(&log(0, 0, CHECKPOINT, 0, CHECKPOINT + 1)).unwrap(), "records after it");
    assert!(!clean(&log(0, 0, CHECKPOINT - 9, 0, CHECKPOINT)).unwrap(), "records after it, which the restart area knows");
    assert!(!clean(&log(7, 0, CHECKPOINT, 0, CHECKPOINT)).unwrap(), "a client that is not there");
    assert!(words(clean(&[0; 16384])).contains("no restart area"));
    let mut disk = volume();
    set(&mut disk, 3, record(1, 0, &[resident(VOLUME_INFORMATION, "", 1, &[0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, 0])]));
    assert!(!opened(disk).unwrap().clean().unwrap(), "marked dirty");
}

#[test]
fn any_bytes_are_read_in_bounded_time() {
    let disk = whole();
    let base: Bytes = Arc::new(Memory(disk.clone()));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let records = [0, 2, 3, 5, 6, 10, 15, 24, 25, 32, 33];
    for round in 0..1500 {
        let began = Instant::now();
        let mut changed = Overlay::new(base.clone());
        let at = if draw(6) == 0 { BLOCK * CLUSTER } else { place(records[draw(11) as usize]) };
        let mut block = disk[at..at + CLUSTER].to_vec();
        if draw(10) > 0 && record::fix_up(&mut block, &disk[at..at + 4].try_into().unwrap()).is_ok() {
            for _ in 0..=draw(3) {
                let values = [0_u64, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, u64::MAX, u64::MAX >> 1, draw(1 << 31), draw(256)];
                let (width, value) = ([1, 2, 4, 8][draw(4) as usize], values[draw(11) as usize]);
                put(&mut block, draw(600) as usize, &value.to_le_bytes()[..width]);
            }
            if block.len() == CLUSTER && le16(&block, 4).is_some_and(|array| array < 500) {
                block = sealed(block);
            }
        } else {
            block[draw(CLUSTER as u64) as usize] ^= 1 << draw(8);
        }
        changed.patch(at as u64, block).unwrap();
        if draw(8) == 0 {
            changed.patch(11 + draw(60), vec![draw(256) as u8]).unwrap();
        }
        let Ok(fs) = open(Arc::new(changed)) else { continue };
        let mut all = vec![fs.root()];
        drop(fs.entries(fs.root(), &mut |entry| {
            all.push(entry.node);
            ControlFlow::Continue(())
        }));
        drop((fs.usage(), fs.clean(), fs.free(), fs.lookup(fs.root(), b"holes")));
        for id in all.into_iter().chain((0..40).map(NodeId)) {
            drop((fs.node(id), fs.target(id), fs.extents(id), fs.lookup(id, b"abc"), names_lossy(&*fs, id)));
            if let Ok(bytes) = fs.open(id) {
                let _ = read_vec(&*bytes, 0, bytes.size().min(1 << 16) as usize);
                let _ = read_vec(&*bytes, bytes.size().saturating_sub(999), bytes.size().min(999) as usize);
                let mut at = 0;
                for _ in 0..100 {
                    let Some(range) = bytes.data(at) else { break };
                    assert!(at <= range.start && range.start < range.end && range.end <= bytes.size(), "round {round}: {range:?}");
                    at = range.end;
                }
            }
        }
        assert!(began.elapsed().as_secs() < 120, "round {round}: {:?}", began.elapsed());
    }
}

fn names_lossy(fs: &dyn FileSystem, id: NodeId) -> Result<usize, Error> {
    let mut count = 0;
    fs.entries(id, &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// The same volume with what nothing can be called free without: `$MFTMirr` in clusters 120 to 123, `$Boot` in 0 to 3.
fn whole() -> Vec<u8> {
    let mut disk = volume();
    put(&mut disk, 56, &120_u64.to_le_bytes());
    set(&mut disk, 1, record(1, 0, &[mapped(DATA, "", 1, 0, [0, 4096, 4096], &[0x11, 4, 120, 0])]));
    set(&mut disk, 7, record(1, 0, &[mapped(DATA, "", 1, 0, [0, 4096, 4096], &[0x11, 4, 0, 0])]));
    disk
}

#[test]
fn free_clusters_are_those_that_nothing_uses() {
    let free = |disk: &[u8]| opened(disk.to_vec()).unwrap().free();
    let kib = |start: u64, end: u64| start * 1024..end * 1024;
    assert_eq!(free(&whole()).unwrap(), [kib(124, 156)]);
    let bitmap = |change: &dyn Fn(&mut [u8])| {
        let mut bits = [&[0xff; 15][..], &[0x0f, 0, 0, 0, 0xf0]].concat();
        change(&mut bits);
        let mut disk = whole();
        set(&mut disk, 6, record(1, 0, &[resident(DATA, "", 1, &bits)]));
        words(free(&disk))
    };
    assert_eq!(bitmap(&|bits| bits[16] = 1), "no error but [126976..131072, 132096..159744]");
    let clear = |cluster: usize| bitmap(&move |bits| bits[cluster / 8] &= !(1 << (cluster % 8)));
    // What each of them is used by.
    for (cluster, by) in [(0, "the boot sector"), (3, "record 7"), (4, "$MFT"), (35, "record 0"), (67, "record 15"), (72, "record 32")] {
        assert!(clear(cluster).contains(&format!("calls cluster {cluster} free, which {by} uses")), "{}", clear(cluster));
    }
    for (cluster, by) in [(90, "record 5"), (115, "record 2"), (120, "$MFTMirr"), (123, "record 1")] {
        assert!(clear(cluster).contains(&format!("calls cluster {cluster} free, which {by} uses")), "{}", clear(cluster));
    }
    assert!(clear(80).starts_with("no error"), "nothing lies there");
    assert!(words(free(&whole()[..150 * 1024])).contains("free space lies at bytes 126976 to 159744, the volume has 153600"));

    let with = |number: usize, record: Vec<u8>| {
        let mut disk = whole();
        set(&mut disk, number, record);
        words(free(&disk))
    };
    assert!(with(7, record(0, 0, &[])).contains("record 7: it is not in use"));
    assert!(with(1, record(1, 0, &[resident(DATA, "", 1, b"x")])).contains("record 1, which is the file system's own"));
    assert!(with(6, record(1, 0, &[resident(DATA, "", 1, &[0; 19])])).contains("19 of the 20 bytes"));
    let sparse = record(1, 0, &[mapped(DATA, "", 1, 0, [0, 20, 20], &[0x01, 1, 0])]);
    assert!(with(6, sparse).contains("0 of the 20 bytes"));
    let unwritten = record(1, 0, &[mapped(DATA, "", 1, 0, [0, 20, 8], &[0x11, 1, 100, 0])]);
    assert!(with(6, unwritten).contains("8 of the 20 bytes"));
    let dirty = record(1, 0, &[resident(VOLUME_INFORMATION, "", 1, &[0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, 0])]);
    assert!(with(3, dirty).contains("marked dirty"));
    // A file that no directory names, in a record that nothing else reads.
    let lost = record(1, 0, &[mapped(DATA, "lost", 1, 0, [0, 1024, 1024], &[0x11, 1, 125, 0])]);
    assert!(with(38, lost.clone()).contains("cluster 125 free, which record 38 uses"));
    let mut torn = lost;
    torn[510] ^= 1;
    assert!(with(38, torn).contains("record 38: it was not written whole"));
}

#[test]
fn a_sleeping_windows_keeps_everything() {
    for (mark, asleep) in [(b"HIBR", true), (b"hibr", true), (b"RSTR", true), (b"wake", false), (b"WAKE", false), (&[0; 4], false)] {
        let mut disk = whole();
        let names = [entry("hiberfil.sys", 1, 1 << 48 | 24, None), entry("", 0, 0, None)];
        set(&mut disk, 5, record(3, 0, &[index_root(&names)]));
        set(&mut disk, 24, record(1, 0, &[resident(DATA, "", 1, &[&mark[..], &[0; 12]].concat())]));
        let told = words(opened(disk).unwrap().free());
        assert_eq!(told.contains("has its memory in hiberfil.sys"), asleep, "{mark:?}: {told}");
    }
}

#[test]
fn files_lie_where_their_runs_say() {
    let fs = opened(volume()).unwrap();
    let at = |from, start, end| Extent { from, at: start..end };
    let content = (CONTENT * CLUSTER) as u64;
    assert_eq!(fs.extents(NodeId(24)).unwrap(), None, "in its record");
    assert_eq!(fs.extents(NodeId(32)).unwrap(), Some(vec![at(0, content, content + 1500)]), "what was written");
    assert_eq!(fs.extents(NodeId(33)).unwrap(), Some(vec![at(2048, content, content + 1024)]), "holes lie nowhere");
    assert!(fs.extents(NodeId(25)).is_err());
    let mut disk = volume();
    set(&mut disk, 24, record(1, 0, &[mapped(DATA, "", 1, 1, [0, 9000, 9000], &[0x11, 3, CONTENT as u8, 0x01, 13, 0])]));
    assert_eq!(opened(disk).unwrap().extents(NodeId(24)).unwrap(), Some(vec![at(0, content, content + 3072)]), "whole clusters");
}
