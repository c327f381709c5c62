//! A second VHD writer, for tests alone. It was written from Microsoft's "Virtual Hard Disk Image Format Specification" 1.0 and shares
//! no code with vhdkit, so that a mistake in one is not made again in the other.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// One MiB.
pub const MIB: usize = 1 << 20;
/// The virtual size of every good image.
pub const SIZE: usize = 24 * MIB;
/// Bytes of data in a block of a good dynamic image.
pub const BLOCK: usize = 2 * MIB;
/// Where the dynamic header stands.
pub const HEADER: usize = 512;
/// Where the table stands.
pub const TABLE: usize = 1536;
/// Identity of every good image.
pub const ID: [u8; 16] = *b"\x10\x21\x32\x43\x54\x65\x46\x87\x98\xa9\xba\xcb\xdc\xed\xfe\x0f";
/// Identity of the parent of a good differencing image.
pub const PARENT_ID: [u8; 16] = *b"\xb0\xa1\x92\x83\x74\x65\x46\x57\x88\x39\x2a\x1b\x0c\xfd\xee\xdf";

/// Writes `bytes` at `at`.
pub fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The complement of the sum of all bytes but the sum's own four.
fn sum(bytes: &[u8], own: usize) -> u32 {
    let others = bytes.iter().enumerate().filter(|(at, _)| !(own..own + 4).contains(at));
    !others.fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)))
}

/// Makes the checksum of the footer at `at` right again.
pub fn seal_footer(file: &mut [u8], at: usize) {
    let sum = sum(&file[at..at + 512], 64);
    put(file, at + 64, &sum.to_be_bytes());
}

/// Makes the checksum of the dynamic header right again.
pub fn seal_header(file: &mut [u8]) {
    let sum = sum(&file[HEADER..HEADER + 1024], 36);
    put(file, HEADER + 36, &sum.to_be_bytes());
}

/// The specification's algorithm, step by step as its appendix has it.
pub fn geometry(size: u64) -> (u16, u8, u8) {
    let mut total = size / 512;
    if total > 65_535 * 16 * 255 {
        total = 65_535 * 16 * 255;
    }
    let (mut per_track, mut heads, mut cylinder_times_heads);
    if total >= 65_535 * 16 * 63 {
        (per_track, heads) = (255, 16);
        cylinder_times_heads = total / per_track;
    } else {
        per_track = 17;
        cylinder_times_heads = total / per_track;
        heads = cylinder_times_heads.div_ceil(1024).max(4);
        if cylinder_times_heads >= heads * 1024 || heads > 16 {
            (per_track, heads) = (31, 16);
            cylinder_times_heads = total / per_track;
        }
        if cylinder_times_heads >= heads * 1024 {
            (per_track, heads) = (63, 16);
            cylinder_times_heads = total / per_track;
        }
    }
    ((cylinder_times_heads / heads) as u16, heads as u8, per_track as u8)
}

/// A sound footer as Hyper-V writes it.
pub fn footer(kind: u32, size: u64, id: &[u8; 16]) -> Vec<u8> {
    let (cylinders, heads, sectors) = geometry(size);
    let mut out = Vec::new();
    out.extend(b"conectix");
    out.extend(2_u32.to_be_bytes());
    out.extend(0x0001_0000_u32.to_be_bytes());
    out.extend(if kind == 2 { u64::MAX } else { HEADER as u64 }.to_be_bytes());
    out.extend(800_000_000_u32.to_be_bytes());
    out.extend(b"win ");
    out.extend(0x000a_0000_u32.to_be_bytes());
    out.extend(b"Wi2k");
    out.extend(size.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(cylinders.to_be_bytes());
    out.extend([heads, sectors]);
    out.extend(kind.to_be_bytes());
    out.extend([0; 4]);
    out.extend(id);
    out.resize(512, 0);
    seal_footer(&mut out, 0);
    out
}

/// Bytes that are never zero and differ from sector to sector.
pub fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.push((state >> 24) as u8 | 1);
    }
    out
}

/// What every good image holds: data in the second, tenth and last MiB, no partition table, zeros elsewhere.
pub fn content() -> Vec<u8> {
    let mut disk = vec![0; SIZE];
    put(&mut disk, MIB, &pattern(1, 70_000));
    put(&mut disk, 9 * MIB + 1536, &pattern(2, 4096));
    put(&mut disk, SIZE - 8192, &pattern(3, 8192));
    disk
}

/// A fixed disk.
pub fn fixed(disk: &[u8]) -> Vec<u8> {
    let mut file = disk.to_vec();
    file.extend(footer(2, disk.len() as u64, &ID));
    file
}

/// Which sectors of a block are in this file and not in the parent.
pub type Present = fn(sector: usize) -> bool;

/// A way to a parent: platform and text.
pub type Locator = ([u8; 4], String);

/// What a differencing disk says of its parent.
pub struct Parent {
    /// Ways to it.
    pub locators: Vec<Locator>,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: [u8; 16],
}

/// A dynamic or differencing disk with the given blocks allocated, in the order of the list.
pub struct Sparse {
    /// 3 dynamic, 4 differencing.
    pub kind: u32,
    /// Bytes of data in a block.
    pub block: usize,
    /// Blocks with a place in the file, in the file's order.
    pub blocks: Vec<usize>,
    /// The bitmaps.
    pub present: Present,
    /// The parent of a differencing disk.
    pub parent: Option<Parent>,
    /// Its own identity.
    pub id: [u8; 16],
}

impl Sparse {
    /// A dynamic disk in which the last block comes first and one block of zeros is allocated.
    pub fn dynamic(block: usize) -> Self {
        let disk = content();
        let used = |n: &usize| disk[n * block..((n + 1) * block).min(SIZE)].iter().any(|byte| *byte != 0);
        let mut blocks: Vec<usize> = (0..SIZE.div_ceil(block)).filter(used).collect();
        blocks.reverse();
        blocks.push(0);
        Self { kind: 3, block, blocks, present: |_| true, parent: None, id: ID }
    }

    /// A differencing disk that names its parent as told.
    pub fn differencing(blocks: Vec<usize>, present: Present, locators: Vec<Locator>, name: &str, parent: [u8; 16]) -> Self {
        let parent = Parent { locators, name: name.to_owned(), id: parent };
        Self { kind: 4, block: BLOCK, blocks, present, parent: Some(parent), id: ID }
    }

    /// The file over `disk`, whose bytes fill the allocated blocks.
    pub fn write(&self, disk: &[u8]) -> Vec<u8> {
        let entries = disk.len().div_ceil(self.block);
        let end = footer(self.kind, disk.len() as u64, &self.id);
        let mut file = end.clone();
        file.extend(b"cxsparse");
        file.extend(u64::MAX.to_be_bytes());
        file.extend((TABLE as u64).to_be_bytes());
        file.extend(0x0001_0000_u32.to_be_bytes());
        file.extend((entries as u32).to_be_bytes());
        file.extend((self.block as u32).to_be_bytes());
        file.resize(TABLE, 0);
        file.resize(TABLE + (entries * 4).next_multiple_of(512), 0xff);
        if let Some(Parent { locators, name, id }) = &self.parent {
            put(&mut file, HEADER + 40, id);
            let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
            put(&mut file, HEADER + 64, &name);
            for (place, (platform, text)) in locators.iter().enumerate() {
                let data: Vec<u8> = if platform[0] == b'W' && platform[1] == b'2' {
                    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
                } else {
                    text.clone().into_bytes()
                };
                let at = HEADER + 576 + place * 24;
                let offset = file.len() as u64;
                put(&mut file, at, platform);
                put(&mut file, at + 4, &512_u32.to_be_bytes());
                put(&mut file, at + 8, &(data.len() as u32).to_be_bytes());
                put(&mut file, at + 16, &offset.to_be_bytes());
                file.extend(&data);
                file.resize(file.len().next_multiple_of(512), 0);
            }
        }
        seal_header(&mut file);
        let bitmap_len = (self.block / 512).div_ceil(8).next_multiple_of(512);
        for block in &self.blocks {
            let sector = (file.len() / 512) as u32;
            put(&mut file, TABLE + block * 4, &sector.to_be_bytes());
            let mut bitmap = vec![0_u8; bitmap_len];
            for sector in (0..self.block / 512).filter(|sector| (self.present)(*sector)) {
                bitmap[sector / 8] |= 0x80 >> (sector % 8);
            }
            file.extend(bitmap);
            let start = block * self.block;
            let data = &disk[start..(start + self.block).min(disk.len())];
            file.extend(data);
            file.resize(file.len() + self.block - data.len(), 0);
        }
        file.extend(end);
        file
    }
}

/// Puts bytes into a file; blocks of zeros become holes.
pub fn save(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    for (number, chunk) in bytes.chunks(4096).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start((number * 4096) as u64)).unwrap();
            file.write_all(chunk).unwrap();
        }
    }
    file.set_len(bytes.len() as u64).unwrap();
}
