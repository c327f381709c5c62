//! A VHDX built by code; one thing is changed, and one named thing follows.

mod log;

use super::{LogState, PayloadBlocks, Vhdx, crc32c, open, read};
use crate::bytes::{Bytes, Guid, KIB, MIB, Overlay, ReadAt, ReadError, TIB, Zeros, read_array, read_vec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const REGIONS: [u64; 2] = [192 * KIB, 256 * KIB];
const LOG: u64 = MIB;
const METADATA: u64 = 2 * MIB;
const ITEMS: u64 = METADATA + 64 * KIB;
const BAT: u64 = 3 * MIB;
const LOG_GUID: [u8; 16] = [0x77; 16];
const BAT_ID: &str = "2dc27766-f623-4200-9d64-115e9bfd4a08";
const METADATA_ID: &str = "8b7ca206-4790-4b9a-b8fe-575f050f886e";
const ITEM_IDS: [&str; 6] = [
    "caa16737-fa36-4d43-b3b6-33f0aa44e76b",
    "2fa54224-cd1b-4876-b211-5dbed83bf4b8",
    "beca12ab-b2e6-4523-93ef-c309e000c746",
    "8141bf1d-a96f-4709-ba47-f233a8faab5f",
    "cda348c7-445d-4471-9cc9-e9885251c556",
    "a8d35f2d-b30b-454d-abf7-d3d84834ab0c",
];

/// What is expected, and the change that causes it.
type Case = (&'static str, fn(&mut Image) -> &mut Image);

/// An identity as the format stores it.
fn stored(id: &str) -> Vec<u8> {
    let digits: Vec<u8> = id.bytes().filter(|byte| *byte != b'-').collect();
    let kept: Vec<u8> = digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    Guid(kept.try_into().unwrap()).to_mixed_endian().to_vec()
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Structures at their places in a file that is zeros elsewhere.
#[derive(Clone)]
struct Image {
    size: u64,
    parts: BTreeMap<u64, Vec<u8>>,
    /// Structures whose checksum is left as it is.
    unsealed: BTreeSet<u64>,
}

impl Image {
    /// Six blocks of 1 MiB, the last of which has 4 KiB on the disk; block 0, 3 and 5 are in the file.
    fn new() -> Self {
        let mut image = Self { size: 7 * MIB, parts: BTreeMap::new(), unsealed: BTreeSet::new() };
        image.parts.insert(0, join(&[b"vhdxfile", b"t\0e\0s\0t\0\0\0x\0"]));
        for (n, at) in HEADERS.into_iter().enumerate() {
            let mut header = join(&[b"head\0\0\0\0", &(7 + n as u64).to_le_bytes(), &[1; 16], &[2; 16], &[0; 16]]);
            header.extend(join(&[&[0, 0, 1, 0], &(MIB as u32).to_le_bytes(), &LOG.to_le_bytes()]));
            header.resize(4096, 0);
            image.parts.insert(at, header);
        }
        for at in REGIONS {
            let mut table = join(&[b"regi\0\0\0\0", &[2, 0, 0, 0, 0, 0, 0, 0]]);
            for (id, offset) in [(BAT_ID, BAT), (METADATA_ID, METADATA)] {
                table.extend(join(&[&stored(id), &offset.to_le_bytes(), &(MIB as u32).to_le_bytes(), &[1, 0, 0, 0]]));
            }
            table.resize(64 * 1024, 0);
            image.parts.insert(at, table);
        }
        let mut table = join(&[b"metadata\0\0", &[5, 0], &[0; 20]]);
        for (n, length) in [8_u32, 8, 16, 4, 4].into_iter().enumerate() {
            let offset = 64 * 1024 + 32 * n as u32;
            table.extend(join(&[&stored(ITEM_IDS[n]), &offset.to_le_bytes(), &length.to_le_bytes(), &[6, 0, 0, 0], &[0; 4]]));
        }
        table.resize(64 * 1024, 0);
        image.parts.insert(METADATA, table);
        let mut items = vec![0; 4096];
        items[..4].copy_from_slice(&(MIB as u32).to_le_bytes());
        items[32..40].copy_from_slice(&(5 * MIB + 4096).to_le_bytes());
        items[64..80].copy_from_slice(&[3; 16]);
        items[96..98].copy_from_slice(&512_u16.to_le_bytes());
        items[128..130].copy_from_slice(&4096_u16.to_le_bytes());
        image.parts.insert(ITEMS, items);
        let entries = [(4 * MIB) | 6, 0, 2, (5 * MIB) | 6, 3, (6 * MIB) | 6, 0, 0];
        image.parts.insert(BAT, entries.into_iter().flat_map(u64::to_le_bytes).collect());
        for (at, fill) in [(4 * MIB, 0xa0), (5 * MIB + 8192, 0xa3), (6 * MIB, 0xa5)] {
            image.parts.insert(at, vec![fill; 4096]);
        }
        image
    }

    fn put(&mut self, part: u64, at: usize, bytes: &[u8]) -> &mut Self {
        self.parts.get_mut(&part).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn both(&mut self, parts: [u64; 2], at: usize, bytes: &[u8]) -> &mut Self {
        parts.into_iter().fold(self, |image, part| image.put(part, at, bytes))
    }

    fn bat(&mut self, index: usize, entry: u64) -> &mut Self {
        self.put(BAT, 8 * index, &entry.to_le_bytes())
    }

    /// A sixth metadata entry, or an entry of the region tables: what the reader may not know.
    fn item(&mut self, id: &str, item: &[u8], flags: u8) -> &mut Self {
        let count = self.parts[&METADATA][10];
        let offset = 64 * 1024 + 4096;
        let entry = join(&[&stored(id), &(offset as u32).to_le_bytes(), &(item.len() as u32).to_le_bytes(), &[flags, 0, 0, 0], &[0; 4]]);
        self.put(METADATA, 32 + 32 * usize::from(count), &entry).put(METADATA, 10, &[count + 1]);
        self.parts.insert(METADATA + offset, item.to_vec());
        self
    }

    fn region(&mut self, id: &str, offset: u64, length: u32, required: u8) -> &mut Self {
        let count = self.parts[&REGIONS[0]][8];
        let entry = join(&[&stored(id), &offset.to_le_bytes(), &length.to_le_bytes(), &[required, 0, 0, 0]]);
        self.both(REGIONS, 16 + 32 * usize::from(count), &entry).both(REGIONS, 8, &[count + 1])
    }

    /// An entry of the log at a byte of it; the headers then name the log.
    fn log(&mut self, at: u64, tail: u64, number: u64, changes: &[Change]) -> &mut Self {
        let size = self.size;
        let mut head = join(&[b"loge\0\0\0\0", &[0; 4], &(tail as u32).to_le_bytes(), &number.to_le_bytes()]);
        head.extend(join(&[&(changes.len() as u32).to_le_bytes(), &[0; 4], &LOG_GUID, &size.to_le_bytes(), &size.to_le_bytes()]));
        let mut data = Vec::new();
        for change in changes {
            match change {
                Change::Data(to, sector) => {
                    head.extend(join(&[b"desc", &sector[4092..], &sector[..8], &to.to_le_bytes(), &number.to_le_bytes()]));
                    data.extend(join(&[b"data", &[0; 4], &sector[8..4092], &(number as u32).to_le_bytes()]));
                }
                Change::Zero(to, length) => {
                    head.extend(join(&[b"zero\0\0\0\0", &length.to_le_bytes(), &to.to_le_bytes(), &number.to_le_bytes()]));
                }
            }
        }
        head.resize(head.len().next_multiple_of(4096), 0);
        head.extend(data);
        let length = head.len() as u32;
        head[8..12].copy_from_slice(&length.to_le_bytes());
        self.parts.insert(LOG + at, head);
        self.both(HEADERS, 48, &LOG_GUID)
    }

    fn unsealed(&mut self, part: u64) -> &mut Self {
        self.unsealed.insert(part);
        self
    }

    fn bytes(&self) -> Bytes {
        let mut file = Overlay::new(Arc::new(Zeros(self.size)));
        for (at, part) in &self.parts {
            let mut part = part.clone();
            let summed = HEADERS.contains(at) || REGIONS.contains(at) || (LOG..LOG + MIB).contains(at);
            if summed && !self.unsealed.contains(at) {
                let sum = crc32c::of_structure(&part, []);
                part[4..8].copy_from_slice(&sum.to_le_bytes());
            }
            // What passes the end of a file or of the log's ring goes round or is cut.
            let wraps = (LOG..LOG + MIB).contains(at);
            let end = if wraps { LOG + MIB } else { self.size };
            let rest = part.split_off(part.len().min(end.saturating_sub(*at) as usize));
            file.patch(*at, part).unwrap();
            if wraps {
                file.patch(LOG, rest).unwrap();
            }
        }
        Arc::new(file)
    }

    fn facts(&self) -> Vhdx {
        read(&self.bytes()).unwrap()
    }

    fn refusal(&self) -> String {
        let refusal = self.facts().refusal.map_or_else(String::new, |error| error.to_string());
        assert_eq!(open(&self.bytes()).err().map_or_else(String::new, |error| error.to_string()), refusal);
        refusal
    }
}

enum Change {
    Data(u64, Vec<u8>),
    Zero(u64, u64),
}

/// The sector of the BAT with one entry changed.
fn bat_sector(image: &Image, index: usize, entry: u64) -> Change {
    let mut sector = image.parts[&BAT].clone();
    sector[8 * index..8 * index + 8].copy_from_slice(&entry.to_le_bytes());
    sector.resize(4096, 0);
    Change::Data(BAT, sector)
}

#[test]
fn a_good_file_tells_everything() {
    let facts = Image::new().facts();
    assert_eq!((facts.creator.as_str(), facts.headers, facts.region_tables), ("test", [true; 2], [true; 2]));
    assert_eq!((facts.log, facts.virtual_size, facts.block_size), (LogState::Clean, Some(5 * MIB + 4096), Some(1 << 20)));
    assert_eq!((facts.logical_sector_size, facts.physical_sector_size), (Some(512), Some(4096)));
    assert_eq!((facts.leave_allocated, facts.has_parent, facts.parent), (Some(false), Some(false), None));
    assert_eq!((facts.disk_id, facts.data_write_guid), (Some(Guid([3; 16])), Some(Guid([2; 16]))));
    let blocks = PayloadBlocks { total: 6, not_present: 1, zero: 1, unmapped: 1, fully_present: 3, ..PayloadBlocks::default() };
    assert_eq!(facts.blocks, Some(blocks));
    assert_eq!(facts.deviations, []);
    assert!(facts.refusal.is_none());
}

#[test]
fn the_disk_is_what_the_blocks_say() {
    let (_, disk) = open(&Image::new().bytes()).unwrap();
    assert_eq!(disk.size(), 5 * MIB + 4096);
    let all = read_vec(&disk, 0, disk.size() as usize).unwrap();
    let mut want = vec![0; all.len()];
    for (at, fill) in [(0, 0xa0), (3 * MIB as usize + 8192, 0xa3), (5 * MIB as usize, 0xa5)] {
        want[at..at + 4096].fill(fill);
    }
    assert!(all == want);
    assert_eq!(disk.data(0), Some(0..4096));
    assert_eq!(disk.data(100), Some(100..4096));
    assert_eq!(disk.data(4096), Some(3 * MIB + 8192..3 * MIB + 12288));
    assert_eq!(disk.data(3 * MIB + 12288), Some(5 * MIB..5 * MIB + 4096));
    assert_eq!(disk.data(disk.size()), None);
    assert!(disk.read_at(disk.size(), &mut [0]).is_err());
}

#[test]
fn one_thing_corrupt_one_named_error() {
    let cases: &[Case] = &[
        ("header at byte 65540: expected CRC-32C", |i| i.both(HEADERS, 4, &[1; 4]).unsealed(HEADERS[0]).unsealed(HEADERS[1])),
        ("header at byte 65536: expected 'head', found hea\\xff", |i| i.both(HEADERS, 0, b"hea\xff")),
        ("not supported: VHDX version 2", |i| i.both(HEADERS, 66, &[2])),
        ("not supported: VHDX version 2", |i| i.put(HEADERS[1], 66, &[2]).put(HEADERS[0], 0, b"x")),
        ("header at byte 131080: expected another sequence number", |i| i.put(HEADERS[1], 8, &[7]).put(HEADERS[1], 32, &[9])),
        ("region table at byte 196612: expected CRC-32C", |i| i.both(REGIONS, 4, &[1; 4]).unsealed(REGIONS[0]).unsealed(REGIONS[1])),
        ("region table at byte 196616: expected at most 2047 entries, found 2048", |i| i.both(REGIONS, 8, &[0, 8])),
        ("found regions or a log that overlap at byte 2097152", |i| i.both(REGIONS, 16 + 16, &METADATA.to_le_bytes())),
        ("found regions or a log that overlap at byte 1048576", |i| i.both(REGIONS, 16 + 16, &LOG.to_le_bytes())),
        ("region table entry at byte 196640: expected an offset in whole MiB", |i| i.both(REGIONS, 16 + 16, &[1])),
        ("region table entry at byte 196640: expected a region inside the file", |i| i.both(REGIONS, 16 + 16, &(7 * MIB).to_le_bytes())),
        ("expected a length in whole MiB, found 0", |i| i.both(REGIONS, 16 + 24, &[0; 4])),
        ("expected each region once", |i| i.region(BAT_ID, 6 * MIB, 1 << 20, 1)),
        ("expected a region for the block allocation table, found none", |i| i.both(REGIONS, 16, &[0; 16]).both(REGIONS, 44, &[0])),
        ("not supported: a VHDX that requires the region 00000000", |i| i.both(REGIONS, 16, &[0; 16])),
        ("metadata table at byte 2097152: expected 'metadata'", |i| i.put(METADATA, 0, b"M")),
        ("metadata table at byte 2097162: expected at most 2047 entries, found 65535", |i| i.put(METADATA, 10, &[255; 2])),
        ("metadata table entry at byte 2097184: expected an item of at most 1 MiB", |i| i.put(METADATA, 32 + 16, &[0; 4])),
        ("expected an item of at most 1 MiB", |i| i.put(METADATA, 32 + 20, &[255; 4])),
        ("expected each item once, found caa16737", |i| i.put(METADATA, 64, &stored(ITEM_IDS[0]))),
        ("file parameters at byte 2162688: expected 8 bytes, found 9", |i| i.put(METADATA, 32 + 20, &[9])),
        ("expected the item file parameters, found none", |i| i.put(METADATA, 32, &[0; 16]).put(METADATA, 32 + 24, &[0])),
        ("not supported: a VHDX that requires the metadata item 00000000", |i| i.put(METADATA, 32, &[0; 16])),
        ("file parameters at byte 2162688: expected a power of two", |i| i.put(ITEMS, 0, &[0; 4])),
        ("expected a power of two", |i| i.put(ITEMS, 0, &(3_u32 << 20).to_le_bytes())),
        ("expected a power of two", |i| i.put(ITEMS, 0, &(1_u32 << 29).to_le_bytes())),
        ("virtual disk size at byte 2162720: expected a multiple of the logical sector size, 512", |i| i.put(ITEMS, 32, &[1])),
        ("expected 1 byte to 64 TiB, found 0", |i| i.put(ITEMS, 32, &[0; 8])),
        ("expected 1 byte to 64 TiB", |i| i.put(ITEMS, 32, &(64 * TIB + 512).to_le_bytes())),
        ("logical sector size at byte 2162784: expected 512 or 4096, found 0", |i| i.put(ITEMS, 96, &[0; 4])),
        ("expected a finished file", |i| i.item("71cc85f0-1b69-4e28-9558-c3bf83ae75d3", &[1], 0)),
        ("BAT region at byte 3145728: expected at least 537001976 bytes", |i| i.put(ITEMS, 32, &(64 * TIB).to_le_bytes())),
        ("BAT entry at byte 3145728: expected a state that a payload block can have, found 4", |i| i.bat(0, 4)),
        ("found 5", |i| i.bat(0, 5)),
        ("found 7", |i| i.bat(0, (4 * MIB) | 7)),
        ("BAT entry at byte 3145736: expected a block behind the first MiB, found 0", |i| i.bat(1, 6)),
        ("expected a block inside the file, found 1048576 bytes at byte 7340032 of a file of 7340032", |i| i.bat(1, (7 * MIB) | 6)),
        ("expected a block inside the file", |i| i.bat(1, !7 | 6)),
        ("BAT entry at byte 3145752: expected a block of its own, found bytes from 4194304 on", |i| i.bat(3, (4 * MIB) | 6)),
        ("expected a block of its own, found bytes from 2097152 on", |i| i.bat(3, METADATA | 6)),
        ("expected a block of its own, found bytes from 1048576 on", |i| i.bat(3, LOG | 6)),
    ];
    for (n, (expected, corrupt)) in cases.iter().enumerate() {
        let mut image = Image::new();
        corrupt(&mut image);
        let refusal = image.refusal();
        assert!(refusal.contains(expected), "case {n}: expected '{expected}' in '{refusal}'");
    }
}

#[test]
fn harmless_deviations_are_told_and_the_disk_is_given() {
    let cases: &[Case] = &[
        ("only one of two headers is valid", |i| i.put(HEADERS[1], 0, b"x")),
        ("only one of two region tables is valid", |i| i.put(REGIONS[0], 0, b"x")),
        ("the second region table differs", |i| i.put(REGIONS[1], 60_000, b"x")),
        ("expected 512 or 4096, found 0", |i| i.put(ITEMS, 128, &[0; 4])),
        ("expected a log at a whole MiB", |i| i.both(HEADERS, 72, &[1])),
        ("reserved bits are set", |i| i.bat(1, 8)),
        ("the content of 1 payload blocks is not defined", |i| i.bat(1, 1)),
        ("a block ends at byte 7340032, behind the file's end at byte 6299648", |i| {
            i.size = 6 * MIB + 8192;
            i
        }),
        ("no parent", |i| i.item(ITEM_IDS[5], &[0; 20], 4)),
    ];
    for (expected, change) in cases {
        let mut image = Image::new();
        change(&mut image);
        assert_eq!(image.refusal(), "", "{expected}");
        let deviations = image.facts().deviations;
        assert!(deviations.len() == 1 && deviations[0].message.contains(expected), "'{expected}' in {deviations:?}");
    }
    let mut image = Image::new();
    image.region("11111111-1111-1111-1111-111111111111", 20 * MIB, 1 << 20, 0).item("11111111-1111-1111-1111-111111111111", &[1], 2);
    image.size = 21 * MIB;
    assert_eq!((image.refusal(), image.facts().deviations.len()), (String::new(), 0), "what is not required may be unknown");
}

#[test]
fn the_newer_header_counts() {
    for (sequence, log) in [(6, LogState::Unknown), (8, LogState::Clean)] {
        let mut image = Image::new();
        image.put(HEADERS[1], 8, &[sequence]).put(HEADERS[0], 48, &LOG_GUID);
        assert_eq!(image.facts().log, log, "the first header names a log without entries");
    }
    let mut image = Image::new();
    let same = image.parts[&HEADERS[0]].clone();
    image.put(HEADERS[1], 0, &same);
    assert_eq!(image.refusal(), "", "headers that are the same do not contradict");
}

#[test]
fn what_is_not_a_vhdx_is_refused_and_a_cut_one_named() {
    assert!(matches!(read(&(Arc::new(Zeros(MIB)) as Bytes)), Err(ReadError::Corrupt(_))));
    assert!(read(&(Arc::new(Zeros(3)) as Bytes)).is_err());
    for size in [8, 9, 520, 64 * KIB, 70 * KIB, 200 * KIB, MIB, 2 * MIB, 3 * MIB - 1, 4 * MIB, 6 * MIB + 4095] {
        let mut image = Image::new();
        image.size = size;
        image.parts.retain(|at, _| *at < size);
        assert!(!image.refusal().is_empty(), "{size}");
    }
}

#[test]
fn damage_leaves_what_can_be_learnt() {
    let mut image = Image::new();
    image.both(HEADERS, 0, b"x");
    let facts = image.facts();
    assert_eq!((facts.headers, facts.log, facts.virtual_size), ([false; 2], LogState::Unknown, Some(5 * MIB + 4096)));
    assert!(facts.blocks.is_some() && facts.refusal.is_some());
    let mut image = Image::new();
    image.put(ITEMS, 0, &[0; 4]);
    let facts = image.facts();
    assert_eq!((facts.block_size, facts.virtual_size, facts.has_parent), (None, Some(5 * MIB + 4096), Some(false)));
}

#[test]
fn sectors_of_4096_bytes_are_read() {
    let mut image = Image::new();
    image.put(ITEMS, 96, &4096_u16.to_le_bytes());
    assert_eq!((image.refusal().as_str(), image.facts().logical_sector_size), ("", Some(4096)));
    image.put(ITEMS, 32, &(5 * MIB + 512).to_le_bytes());
    assert!(image.refusal().contains("a multiple of the logical sector size, 4096"));
}

#[test]
fn entries_for_sector_bitmaps_lie_between_those_for_blocks() {
    // Blocks of 256 MiB, so 16 to a chunk: the entry of block 16 is the one at 17.
    let mut image = Image::new();
    image.size = 8 * 256 * MIB;
    image.parts.insert(BAT, vec![0; 8 * 40]);
    image.put(ITEMS, 0, &(256_u32 << 20).to_le_bytes()).put(ITEMS, 32, &(20 * 256 * MIB).to_le_bytes());
    image.parts.retain(|at, _| *at < 4 * MIB);
    image.bat(17, (256 * MIB) | 6).parts.insert(256 * MIB + 512, vec![0xbb; 512]);
    let (facts, disk) = open(&image.bytes()).unwrap();
    assert_eq!(facts.blocks.map(|blocks| (blocks.total, blocks.fully_present, blocks.not_present)), Some((20, 1, 19)));
    assert_eq!(disk.data(0), Some(16 * 256 * MIB + 512..16 * 256 * MIB + 1024));
    assert_eq!(read_array(&disk, 16 * 256 * MIB + 1020).unwrap(), [0xbb, 0xbb, 0xbb, 0xbb, 0, 0]);
    image.bat(16, (512 * MIB) | 6);
    assert_eq!(image.facts().deviations[0].message, "there is a sector bitmap block, but no parent");
}

#[test]
fn the_largest_disk_costs_what_is_in_it() {
    let mut image = Image::new();
    image.both(REGIONS, 16 + 16, &(8 * MIB).to_le_bytes()).both(REGIONS, 16 + 24, &(513 * MIB as u32).to_le_bytes());
    image.put(ITEMS, 32, &(64 * TIB).to_le_bytes());
    image.size = 600 * MIB;
    let last = 64 * MIB - 1;
    // 4096 blocks of 1 MiB to a chunk.
    image.parts.insert(8 * MIB + 8 * (last + last / 4096), ((599 * MIB) | 6).to_le_bytes().to_vec());
    image.parts.insert(599 * MIB, vec![1; 512]);
    let (facts, disk) = open(&image.bytes()).unwrap();
    assert_eq!(facts.blocks.map(|blocks| (blocks.total, blocks.fully_present)), Some((64 * MIB, 1)));
    assert_eq!(disk.data(0), Some(64 * TIB - MIB..64 * TIB - MIB + 512));
}

#[test]
fn a_file_of_faults_is_not_read_to_its_end() {
    let mut image = Image::new();
    image.put(ITEMS, 32, &(5000 * MIB).to_le_bytes());
    image.parts.insert(BAT, vec![0xff; 8 * 5001]);
    let facts = image.facts();
    assert_eq!((facts.blocks, facts.deviations.len()), (None, 33));
    assert!(facts.refusal.is_some());
}

#[test]
fn a_differencing_disk_names_its_parent() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (key, value) = (utf16("relative_path"), utf16("..\\base.vhdx"));
    let mut locator = join(&[&stored("b04aefb7-d19e-4a81-b789-25b8e9445913"), &[0, 0, 1, 0]]);
    locator.extend(join(&[&32_u32.to_le_bytes(), &(32 + key.len() as u32).to_le_bytes()]));
    locator.extend(join(&[&(key.len() as u16).to_le_bytes(), &(value.len() as u16).to_le_bytes(), &key, &value]));
    let mut image = Image::new();
    image.put(ITEMS, 4, &[2]).item(ITEM_IDS[5], &locator, 4);
    image.parts.insert(BAT, vec![0; 8 * 4097]);
    image.bat(0, (4 * MIB) | 7).bat(4096, (5 * MIB) | 6);
    let facts = image.facts();
    let parent = facts.parent.unwrap();
    assert_eq!((parent.kind, parent.get("relative_path")), (super::ParentLocator::VHDX, Some("..\\base.vhdx")));
    assert_eq!(facts.blocks.map(|blocks| (blocks.total, blocks.partially_present)), Some((6, 1)));
    assert_eq!(image.refusal(), "not supported: a differencing VHDX; its parent is ..\\base.vhdx");
    image.bat(4096, (4 * MIB) | 6);
    assert!(image.refusal().contains("a block of its own"));
    let mut cut = locator.clone();
    cut[16 + 4] = 200;
    let mut image = Image::new();
    image.put(ITEMS, 4, &[2]).item(ITEM_IDS[5], &cut, 4);
    image.parts.insert(BAT, vec![0; 8 * 4097]);
    assert!(image.refusal().contains("parent locator at byte 2166784: expected entries inside the item, found entry 0 of 1 outside"));
    let mut none = Image::new();
    none.put(ITEMS, 4, &[2]);
    assert!(none.refusal().contains("expected a parent locator"));
}

/// Whatever a file holds, it is read or refused, and an open disk can be read to its end or says why not.
#[test]
fn mutations_end_in_a_disk_or_a_refusal() {
    let mut state = 0x0123_4567_89ab_cdef_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut base = Image::new();
    base.log(0, 0, 5, &[bat_sector(&base, 1, 0), Change::Zero(7 * MIB - 4096, 4096)]).log(8192, 0, 6, &[]);
    let places: Vec<u64> = base.parts.keys().copied().filter(|at| *at < 4 * MIB).collect();
    let edges = [0, 1, 6, 7, 8, 0x7f, 0x80, 0xff, u64::MAX, 1 << 20, 1 << 31, 1 << 32, 1 << 46, 1 << 63, (u64::MAX << 20) | 6];
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..1500 {
        let mut image = base.clone();
        for _ in 0..=next(3) {
            let part = places[next(places.len() as u64) as usize];
            let length = image.parts[&part].len() as u64;
            // Mostly the first bytes, where the fields are.
            let reach = if next(4) == 0 { length } else { length.min(256) };
            let width = [1, 2, 4, 8][next(4) as usize];
            let at = (next(reach) as usize).min(length as usize - width);
            let value = if next(2) == 0 { edges[next(edges.len() as u64) as usize] } else { next(u64::MAX) };
            image.put(part, at, &value.to_le_bytes()[..width]);
        }
        if next(20) == 0 {
            image.unsealed(places[next(places.len() as u64) as usize]);
        }
        if image.parts[&0].get(..8) != Some(b"vhdxfile") {
            continue;
        }
        match open(&image.bytes()) {
            Err(_) => refused += 1,
            Ok((facts, disk)) => {
                opened += 1;
                assert_eq!(Some(disk.size()), facts.virtual_size);
                assert!(facts.deviations.len() <= 33);
                let mut at = 0;
                for _ in 0..64 {
                    let Some(data) = disk.data(at) else { break };
                    assert!(data.start >= at && data.start < data.end && data.end <= disk.size());
                    let len = (data.end - data.start).min(65_536) as usize;
                    assert!(read_vec(&disk, data.start, len).is_ok());
                    at = data.end;
                }
                assert!(read_vec(&disk, disk.size() - 512, 512).is_ok());
            }
        }
        assert!(read(&image.bytes()).is_ok());
    }
    assert!(opened > 100 && refused > 100, "{opened} opened, {refused} refused");
}
