//! Hives and logs made for tests.

use super::base::checksum;
use super::fields::name_hash;
use super::marvin::Marvin32;
use super::values::kind;
use crate::bytes::{Bytes, Memory};
use std::sync::Arc;

/// How a key lists its subkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// First four characters.
    Lf,
    /// Hashes.
    Lh,
    /// Offsets only.
    Li,
    /// A list of `lh` lists of so many keys each.
    Ri(usize),
}

/// A key to be.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) class: Option<String>,
    pub(crate) list: List,
    pub(crate) keys: Vec<Self>,
    pub(crate) values: Vec<(String, u32, Vec<u8>)>,
}

/// UTF-16LE with a NUL at the end.
pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

impl Node {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), class: None, list: List::Lh, keys: Vec::new(), values: Vec::new() }
    }

    pub(crate) fn list(mut self, list: List) -> Self {
        self.list = list;
        self
    }

    pub(crate) fn class(mut self, class: &str) -> Self {
        self.class = Some(class.to_owned());
        self
    }

    pub(crate) fn key(mut self, key: Self) -> Self {
        self.keys.push(key);
        self
    }

    pub(crate) fn value(mut self, name: &str, kind: u32, data: &[u8]) -> Self {
        self.values.push((name.to_owned(), kind, data.to_vec()));
        self
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        self.value(name, kind::SZ, &wide(text))
    }

    pub(crate) fn dword(self, name: &str, number: u32) -> Self {
        self.value(name, kind::DWORD, &number.to_le_bytes())
    }

    /// A key below this one, made on the way where it is missing.
    pub(crate) fn at(&mut self, path: &str) -> &mut Self {
        path.split('\\').filter(|part| !part.is_empty()).fold(self, |key, part| {
            let place = key.keys.iter().position(|key| key.name == part).unwrap_or_else(|| {
                key.keys.push(Self::new(part));
                key.keys.len() - 1
            });
            &mut key.keys[place]
        })
    }

    /// A clean hive of format 1.`minor` whose root this is.
    pub(crate) fn hive(&self, minor: u32) -> Vec<u8> {
        let mut cells = Maker { bytes: vec![0; 32], minor };
        let root = cells.key(self, 0);
        assert_eq!(root, 32);
        let bins = cells.finish();
        let mut hive = base_block((7, 7), bins.len() as u32, minor, 0);
        hive.extend(bins);
        hive
    }

    /// The same as [`Bytes`].
    pub(crate) fn bytes(&self) -> Bytes {
        Arc::new(Memory(self.hive(5)))
    }
}

/// A base block of 4096 bytes.
pub(crate) fn base_block(sequence: (u32, u32), bins_size: u32, minor: u32, file_type: u32) -> Vec<u8> {
    let mut block = vec![0; 4096];
    block[..4].copy_from_slice(b"regf");
    let mut put = |at: usize, value: u32| block[at..at + 4].copy_from_slice(&value.to_le_bytes());
    put(4, sequence.0);
    put(8, sequence.1);
    put(12, 0x1234_5678);
    put(20, 1);
    put(24, minor);
    put(28, file_type);
    put(32, 1);
    put(36, 32);
    put(40, bins_size);
    put(44, 1);
    seal(&mut block);
    block
}

/// Makes the checksum of a base block right.
pub(crate) fn seal(block: &mut [u8]) {
    let sum = checksum(&block[..512]);
    block[508..512].copy_from_slice(&sum.to_le_bytes());
}

/// A log entry: its sequence number, the size of the bins after it, and pages by their offset in the bins.
pub(crate) type Entry<'e> = (u32, u32, &'e [(u32, Vec<u8>)]);

/// A log of the format of Windows 8.1.
pub(crate) fn log(entries: &[Entry<'_>]) -> Vec<u8> {
    let first = entries.first().map_or(1, |entry| entry.0);
    let mut log = base_block((first, first), 4096, 5, 6);
    log.truncate(512);
    for (sequence, bins_size, pages) in entries {
        let mut body = Vec::new();
        for (to, page) in *pages {
            body.extend(to.to_le_bytes());
            body.extend((page.len() as u32).to_le_bytes());
        }
        for (_, page) in *pages {
            body.extend(page);
        }
        let size = (body.len() + 40).next_multiple_of(512);
        body.resize(size - 40, 0);
        let mut head = b"HvLE".to_vec();
        for field in [size as u32, 0, *sequence, *bins_size, pages.len() as u32] {
            head.extend(field.to_le_bytes());
        }
        head.extend(Marvin32::new().finish(&body).to_le_bytes());
        let sum = Marvin32::new().finish(&head);
        head.extend(sum.to_le_bytes());
        log.extend(head);
        log.extend(body);
    }
    log
}

/// A log of the older format: `sectors` of the bins, which have `bins_size` bytes, and what is in them.
pub(crate) fn bitmap_log(sequence: u32, bins_size: u32, sectors: &[(usize, [u8; 512])]) -> Vec<u8> {
    let mut log = base_block((sequence, sequence), bins_size, 5, 1);
    log.truncate(512);
    let mut bitmap = b"DIRT".to_vec();
    bitmap.resize(4 + (bins_size as usize / 512).div_ceil(8), 0);
    for (sector, _) in sectors {
        bitmap[4 + sector / 8] |= 1 << (sector % 8);
    }
    bitmap.resize(bitmap.len().next_multiple_of(512), 0);
    log.extend(bitmap);
    for (_, content) in sectors {
        log.extend(content);
    }
    log
}

/// One bin that grows cell by cell.
struct Maker {
    bytes: Vec<u8>,
    minor: u32,
}

impl Maker {
    /// A cell in use with this record.
    fn cell(&mut self, record: &[u8]) -> u32 {
        let at = self.bytes.len();
        let size = (record.len() + 4).next_multiple_of(8);
        self.bytes.extend((-(size as i32)).to_le_bytes());
        self.bytes.extend(record);
        self.bytes.resize(at + size, 0);
        at as u32
    }

    /// A name, and whether it is kept with one byte per character.
    fn name(name: &str) -> (Vec<u8>, bool) {
        match name.chars().map(|c| u8::try_from(u32::from(c))).collect() {
            Ok(bytes) => (bytes, true),
            Err(_) => (name.encode_utf16().flat_map(u16::to_le_bytes).collect(), false),
        }
    }

    fn key(&mut self, node: &Node, parent: u32) -> u32 {
        let (name, compressed) = Self::name(&node.name);
        let mut record = vec![0; 76];
        record.extend(&name);
        let at = self.cell(&record);
        let class = node.class.as_ref().map(|class| class.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
        let class_at = class.as_ref().map_or(u32::MAX, |class| self.cell(class));
        let values: Vec<u32> = node.values.iter().map(|value| self.value(value)).collect();
        let value_list =
            if values.is_empty() { u32::MAX } else { self.cell(&values.iter().flat_map(|at| at.to_le_bytes()).collect::<Vec<u8>>()) };
        let mut sorted: Vec<&Node> = node.keys.iter().collect();
        sorted.sort_by_key(|key| key.name.to_uppercase());
        let keys: Vec<(u32, &str)> = sorted.into_iter().map(|key| (self.key(key, at), key.name.as_str())).collect();
        let key_list = if keys.is_empty() { u32::MAX } else { self.list(node.list, &keys) };
        let mut put = |offset: usize, field: &[u8]| {
            let start = at as usize + 4 + offset;
            self.bytes[start..start + field.len()].copy_from_slice(field);
        };
        put(0, b"nk");
        put(2, &(u16::from(compressed) << 5).to_le_bytes());
        put(4, &0x01d7_0000_0000_0000_u64.to_le_bytes());
        put(16, &parent.to_le_bytes());
        put(20, &(keys.len() as u32).to_le_bytes());
        put(24, &3_u32.to_le_bytes());
        put(28, &key_list.to_le_bytes());
        // Volatile keys: a list that must not be followed.
        put(32, &0x8000_0020_u32.to_le_bytes());
        put(36, &(values.len() as u32).to_le_bytes());
        put(40, &value_list.to_le_bytes());
        put(44, &u32::MAX.to_le_bytes());
        put(48, &class_at.to_le_bytes());
        put(72, &(name.len() as u16).to_le_bytes());
        put(74, &(class.map_or(0, |class| class.len()) as u16).to_le_bytes());
        at
    }

    fn list(&mut self, list: List, keys: &[(u32, &str)]) -> u32 {
        if let List::Ri(each) = list {
            let leaves: Vec<u32> = keys.chunks(each).map(|keys| self.list(List::Lh, keys)).collect();
            let mut record = b"ri".to_vec();
            record.extend((leaves.len() as u16).to_le_bytes());
            record.extend(leaves.iter().flat_map(|at| at.to_le_bytes()));
            return self.cell(&record);
        }
        let mut record = match list {
            List::Lf => b"lf".to_vec(),
            List::Li => b"li".to_vec(),
            _ => b"lh".to_vec(),
        };
        record.extend((keys.len() as u16).to_le_bytes());
        for (at, name) in keys {
            record.extend(at.to_le_bytes());
            match list {
                List::Lf => record.extend(name.chars().map(|c| if c.is_ascii() { c as u8 } else { 0 }).chain([0; 4]).take(4)),
                List::Lh => record.extend(name_hash(name).to_le_bytes()),
                _ => {}
            }
        }
        self.cell(&record)
    }

    fn value(&mut self, (name, kind, data): &(String, u32, Vec<u8>)) -> u32 {
        let (name, compressed) = Self::name(name);
        let mut size = data.len() as u32;
        let place = if data.len() <= 4 {
            size |= 0x8000_0000;
            u32::from_le_bytes(data.iter().copied().chain([0; 4]).take(4).collect::<Vec<u8>>().try_into().unwrap())
        } else if data.len() > 16344 && self.minor > 3 {
            let segments: Vec<u32> = data.chunks(16344).map(|segment| self.cell(segment)).collect();
            let list = self.cell(&segments.iter().flat_map(|at| at.to_le_bytes()).collect::<Vec<u8>>());
            let mut record = b"db".to_vec();
            record.extend((segments.len() as u16).to_le_bytes());
            record.extend(list.to_le_bytes());
            self.cell(&record)
        } else {
            self.cell(data)
        };
        let mut record = b"vk".to_vec();
        record.extend((name.len() as u16).to_le_bytes());
        record.extend(size.to_le_bytes());
        record.extend(place.to_le_bytes());
        record.extend(kind.to_le_bytes());
        record.extend(u16::from(compressed).to_le_bytes());
        record.extend([0; 2]);
        record.extend(name);
        self.cell(&record)
    }

    /// The bins: one bin, whose rest is free.
    fn finish(mut self) -> Vec<u8> {
        let used = self.bytes.len();
        let size = used.next_multiple_of(4096);
        if size > used {
            self.bytes.extend(((size - used) as i32).to_le_bytes());
            self.bytes.resize(size, 0);
        }
        self.bytes[..4].copy_from_slice(b"hbin");
        self.bytes[8..12].copy_from_slice(&(size as u32).to_le_bytes());
        self.bytes[20..24].copy_from_slice(&0x1234_5678_u32.to_le_bytes());
        self.bytes
    }
}
