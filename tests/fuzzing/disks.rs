//! Small disks of every container and partition table, and how their checksums are made right. They share no code with vhdkit's writers.

use crate::fuzzing::{Image, Kind, MIB, SECTOR};
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;
use vhdkit::bytes::{Guid, is_zero, read_vec};

fn vhd_sum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

/// A footer of this kind (2 fixed, 3 dynamic, 4 differencing), its sum not yet made.
fn footer(size: u64, kind: u32, id: u8) -> Vec<u8> {
    let mut out = b"conectix".to_vec();
    out.extend([2_u32, 0x10000].into_iter().flat_map(u32::to_be_bytes));
    out.extend(if kind == 2 { u64::MAX } else { 512 }.to_be_bytes());
    out.extend(0x1000_u32.to_be_bytes());
    out.extend(b"win \x00\x0a\x00\x00Wi2k");
    out.extend([size, size].into_iter().flat_map(u64::to_be_bytes));
    out.extend([2, 0, 4, 17]);
    out.extend(kind.to_be_bytes());
    out.extend([0; 4]);
    out.extend([id; 16]);
    out.resize(512, 0);
    out
}

fn seal_vhd_footer(image: &mut Image, at: u64) {
    if image.get(at, 8) == b"conectix" {
        image.put(at + 64, &[0; 4]);
        let sum = vhd_sum(&image.get(at, 512));
        image.put(at + 64, &sum.to_be_bytes());
    }
}

fn seal_fixed(image: &mut Image) {
    seal_gpt(image);
    seal_vhd_footer(image, image.size.saturating_sub(SECTOR));
}

fn seal_dynamic(image: &mut Image) {
    seal_vhd_footer(image, 0);
    seal_vhd_footer(image, image.size.saturating_sub(SECTOR));
    if image.get(512, 8) == b"cxsparse" {
        image.put(512 + 36, &[0; 4]);
        let sum = vhd_sum(&image.get(512, 1024));
        image.put(512 + 36, &sum.to_be_bytes());
    }
}

fn gpt_header(image: &Image, mine: u64, other: u64, array: u64, last: u64) -> Vec<u8> {
    let mut out = b"EFI PART\0\0\x01\0\x5c\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([mine, other, 34, last - 33].into_iter().flat_map(u64::to_le_bytes));
    out.extend([0x33; 16]);
    out.extend(array.to_le_bytes());
    out.extend([128_u32, 128].into_iter().flat_map(u32::to_le_bytes));
    out.extend(crc32fast::hash(&image.get(array * SECTOR, 128 * 128)).to_le_bytes());
    let sum = crc32fast::hash(&out);
    out[16..20].copy_from_slice(&sum.to_le_bytes());
    out
}

/// A GPT with three partitions, the last up to the very end of what can be used.
fn gpt(image: &mut Image, size: u64) {
    let last = size / SECTOR - 1;
    let mut mbr = vec![0; 512];
    mbr[446..462].copy_from_slice(&[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0]);
    mbr[458..462].copy_from_slice(&(last as u32).to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    image.put(0, &mbr);
    let kinds = ["28732ac11ff8d211ba4b00a0c93ec93b", "af3dc60f838472478e793d69d8477de4", "4861682149646f6e744e656564454649"];
    let mut array = Vec::new();
    for (number, (kind, (start, end))) in (1_u8..).zip(kinds.into_iter().zip([(2048, 4095), (4096, 8191), (8192, last - 33)])) {
        let mut entry: Vec<u8> = u128::from_str_radix(kind, 16).unwrap().to_be_bytes().to_vec();
        entry.extend([number; 16]);
        entry.extend([start, end, 0].into_iter().flat_map(u64::to_le_bytes));
        entry.extend("name\u{1b}".encode_utf16().flat_map(u16::to_le_bytes));
        entry.resize(128, 0);
        array.extend(entry);
    }
    for at in [2, last - 32] {
        image.put(at * SECTOR, &array);
    }
    for (mine, other, array) in [(1, last, 2), (last, 1, last - 32)] {
        let header = gpt_header(image, mine, other, array, last);
        image.put(mine * SECTOR, &header);
    }
}

/// Makes the checksums of every GPT header right that stands where one is expected, entries first.
fn seal_gpt(image: &mut Image) {
    let ends = [image.size.saturating_sub(SECTOR), image.size.saturating_sub(2 * SECTOR)];
    for at in ends.into_iter().chain([SECTOR]) {
        if image.get(at, 8) != b"EFI PART" {
            continue;
        }
        let number = |image: &Image, place: u64| u32::from_le_bytes(image.get(at + place, 4).try_into().unwrap());
        let array = u64::from_le_bytes(image.get(at + 72, 8).try_into().unwrap());
        let length = u64::from(number(image, 80)) * u64::from(number(image, 84));
        if length < MIB && array < image.size / SECTOR {
            let sum = crc32fast::hash(&image.get(array * SECTOR, length as usize));
            image.put(at + 88, &sum.to_le_bytes());
        }
        let size = number(image, 12);
        if (92..=512).contains(&size) {
            image.put(at + 16, &[0; 4]);
            let sum = crc32fast::hash(&image.get(at, size as usize));
            image.put(at + 16, &sum.to_le_bytes());
        }
    }
}

/// The superblock of an ext4, enough to be named.
fn ext4(image: &mut Image, at: u64) {
    let mut block = vec![0; 1024];
    block[0..8].copy_from_slice(&[64, 0, 0, 0, 0, 4, 0, 0]);
    block[24] = 0;
    block[0x28] = 64;
    block[0x38..0x3c].copy_from_slice(&[0x53, 0xef, 1, 0]);
    block[0x4c] = 1;
    block[0x58..0x5a].copy_from_slice(&256_u16.to_le_bytes());
    block[0x5c..0x68].copy_from_slice(&[0x3c, 0, 0, 0, 0x42, 2, 0, 0, 0x7b, 0, 0, 0]);
    block[0x68..0x78].copy_from_slice(&[0x55; 16]);
    block[0x78..0x7e].copy_from_slice(b"\x1b[2Jx\0");
    image.put(at + 1024, &block);
}

/// A FAT16 boot sector.
fn fat(image: &mut Image, at: u64) {
    let mut boot = b"\xeb\x3c\x90mkfs.fat\x00\x02\x04\x04\x00\x02\x00\x02\x00\x20\xf8\x20\x00\x20\x00\x40\x00".to_vec();
    boot.resize(36, 0);
    boot.extend(b"\x80\x00\x29\x12\x34\x56\x78EFI\x07SYSTEM FAT16   ");
    boot.resize(510, 0x90);
    boot.extend([0x55, 0xaa]);
    image.put(at, &boot);
}

fn mbr_disk(image: &mut Image) {
    let mut mbr = b"\xeb\x63\x90GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n".to_vec();
    mbr.resize(446, 0x90);
    mbr.extend(b"\x80\xfe\xff\xff\x83\xfe\xff\xff\x00\x08\x00\x00\x00\x20\x00\x00");
    mbr.extend(b"\x00\xfe\xff\xff\x05\xfe\xff\xff\x00\x28\x00\x00\x00\x20\x00\x00");
    mbr.resize(510, 0);
    mbr.extend([0x55, 0xaa]);
    image.put(0, &mbr);
    ext4(image, MIB);
    let mut logical = vec![0; 446];
    logical.extend(b"\x00\xfe\xff\xff\x82\xfe\xff\xff\x00\x08\x00\x00\x00\x10\x00\x00");
    logical.resize(510, 0);
    logical.extend([0x55, 0xaa]);
    image.put(0x2800 * SECTOR, &logical);
}

/// A dynamic disk of `size` bytes with small blocks, the first of which hold an MBR disk; `parent` is an id and a name.
fn dynamic(size: u64, parent: Option<(u8, &str)>) -> Image {
    let block = 64 * 1024_u64;
    let needed = size.div_ceil(block);
    let table_sectors = (needed * 4).div_ceil(SECTOR);
    let locator = 1536 + table_sectors * SECTOR;
    let mut inside = Image::new(size);
    mbr_disk(&mut inside);
    let used: Vec<u64> = inside.sectors.keys().map(|sector| sector * SECTOR / block).collect();
    let mut allocated: Vec<u64> = used.into_iter().chain([needed - 1]).collect();
    allocated.dedup();
    let first = locator + SECTOR;
    let mut image = Image::new(first + allocated.len() as u64 * (block + SECTOR) + SECTOR);
    let foot = footer(size, if parent.is_some() { 4 } else { 3 }, 0x22);
    image.put(0, &foot);
    let mut header = b"cxsparse\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\x06\0\0\x01\0\0".to_vec();
    header.extend([needed as u32, block as u32, 0].into_iter().flat_map(u32::to_be_bytes));
    if let Some((id, name)) = parent {
        header.extend([id; 16]);
        header.resize(64, 0);
        header.extend(name.encode_utf16().flat_map(u16::to_be_bytes));
        header.resize(576, 0);
        let path: Vec<u8> = format!(".\\{name}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        header.extend(b"W2ru\0\0\x02\0");
        header.extend([path.len() as u32, 0].into_iter().flat_map(u32::to_be_bytes));
        header.extend(locator.to_be_bytes());
        image.put(locator, &path);
    }
    header.resize(1024, 0);
    image.put(512, &header);
    image.put(1536, &vec![0xff; (table_sectors * SECTOR) as usize]);
    for (place, number) in (0..).zip(&allocated) {
        let start = first + place * (block + SECTOR);
        image.put(1536 + number * 4, &((start / SECTOR) as u32).to_be_bytes());
        image.put(start, &if parent.is_some() { vec![0xa5; 16] } else { vec![0xff; 16] });
        let bytes = inside.get(number * block, block as usize);
        if !is_zero(&bytes) {
            image.put(start + SECTOR, &bytes);
        }
    }
    image.sectors.retain(|_, sector| !is_zero(sector));
    let end = image.size - SECTOR;
    image.put(end, &foot);
    seal_dynamic(&mut image);
    image
}

fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: LazyLock<Vec<u32>> = LazyLock::new(|| {
        (0..256).map(|byte| (0..8).fold(byte, |sum, _| if sum & 1 == 0 { sum >> 1 } else { (sum >> 1) ^ 0x82f6_3b78 })).collect()
    });
    let table = &*TABLE;
    !bytes.iter().fold(!0, |sum, byte| table[((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8))
}

fn stored(id: &str) -> Vec<u8> {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    Guid(u128::from_str_radix(&digits, 16).unwrap().to_be_bytes()).to_mixed_endian().to_vec()
}

/// A VHDX of 24 blocks of 1 MiB, of which some are in the file.
fn vhdx() -> Image {
    let mut image = Image::new(8 * MIB);
    image.put(0, b"vhdxfilef\0u\0z\0z\0");
    for (n, at) in [(1_u64, 0x10000), (2, 0x20000)] {
        let mut header = b"head\0\0\0\0".to_vec();
        header.extend(n.to_le_bytes());
        header.extend([[1; 16], [2; 16], [0; 16]].concat());
        header.extend([0, 0, 1, 0]);
        header.extend((MIB as u32).to_le_bytes());
        header.extend(MIB.to_le_bytes());
        image.put(at, &header);
    }
    for at in [0x30000, 0x40000] {
        let mut table = b"regi\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
        for (id, offset) in [("2dc27766-f623-4200-9d64-115e9bfd4a08", 3 * MIB), ("8b7ca206-4790-4b9a-b8fe-575f050f886e", 2 * MIB)] {
            table.extend(stored(id));
            table.extend(offset.to_le_bytes());
            table.extend([(MIB as u32).to_le_bytes(), 1_u32.to_le_bytes()].concat());
        }
        image.put(at, &table);
    }
    let ids = [
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", (MIB as u32).to_le_bytes().to_vec(), 8_u32),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", (24 * MIB).to_le_bytes().to_vec(), 8),
        ("beca12ab-b2e6-4523-93ef-c309e000c746", vec![7; 16], 16),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", 512_u32.to_le_bytes().to_vec(), 4),
        ("cda348c7-445d-4471-9cc9-e9885251c556", 4096_u32.to_le_bytes().to_vec(), 4),
    ];
    let mut table = b"metadata\0\0\x05\0".to_vec();
    table.resize(32, 0);
    for (n, (id, value, length)) in (0_u32..).zip(ids) {
        let offset = 0x10000 + n * 32;
        table.extend(stored(id));
        table.extend([offset, length, 6, 0].into_iter().flat_map(u32::to_le_bytes));
        image.put(2 * MIB + u64::from(offset), &value);
    }
    image.put(2 * MIB, &table);
    let entry = |block: u64, place: u64| (3 * MIB + block * 8, ((place * MIB) | 6).to_le_bytes());
    for (at, bytes) in [entry(0, 4), entry(1, 5), entry(5, 6), entry(23, 7)] {
        image.put(at, &bytes);
    }
    let mut inside = Image::new(24 * MIB);
    mbr_disk(&mut inside);
    for (number, sector) in &inside.sectors {
        let at = number * SECTOR;
        let place = match at / MIB {
            0 => 4,
            1 => 5,
            _ => 6,
        };
        image.put(place * MIB + at % MIB, sector);
    }
    seal_vhdx(&mut image);
    image
}

fn seal_vhdx(image: &mut Image) {
    for (at, signature, length) in
        [(0x10000, b"head", 4096), (0x20000, b"head", 4096), (0x30000, b"regi", 0x10000), (0x40000, b"regi", 0x10000)]
    {
        if image.get(at, 4) == signature {
            image.put(at + 4, &[0; 4]);
            let sum = crc32c(&image.get(at, length));
            image.put(at + 4, &sum.to_le_bytes());
        }
    }
}

fn no_seal(_: &mut Image) {}

/// Writes the parent of the differencing disk into this directory, and tells its bytes.
pub fn parent(dir: &Path) -> Vec<u8> {
    let mut parent = Image::new(24 * MIB + SECTOR);
    mbr_disk(&mut parent);
    parent.put(9 * MIB, &[0x77; 4096]);
    parent.put(24 * MIB, &footer(24 * MIB, 2, 0x66));
    seal_fixed(&mut parent);
    let bytes = read_vec(&parent, 0, parent.size as usize).unwrap();
    std::fs::write(dir.join("parent.vhd"), &bytes).unwrap();
    bytes
}

/// The disks; the parent of the differencing one is looked for in this directory.
pub fn kinds(dir: &Path) -> Vec<Kind> {
    let at_end = |size: u64| size - SECTOR..size;
    let gpt_places = |size: u64| {
        let last = size / SECTOR * SECTOR;
        vec![
            446..512,
            512..604,
            512..604,
            1024..1536,
            last - SECTOR..last - 420,
            last - SECTOR..last - 420,
            last - 33 * SECTOR..last - 32 * SECTOR,
        ]
    };
    let mut out = Vec::new();
    let mut add = |name: &'static str, image: Image, places: Vec<Range<u64>>, seal: fn(&mut Image)| {
        out.push(Kind { name, image, places, seal, path: dir.join(format!("{name}.vhd")) });
    };

    let mut fixed = Image::new(24 * MIB + SECTOR);
    mbr_disk(&mut fixed);
    fixed.put(24 * MIB, &footer(24 * MIB, 2, 0x11));
    seal_fixed(&mut fixed);
    add("fixed", fixed, vec![at_end(24 * MIB + SECTOR), at_end(24 * MIB + SECTOR), 440..512, MIB + 1024..MIB + 2048], seal_fixed);

    let mut fixed = Image::new(24 * MIB + SECTOR);
    gpt(&mut fixed, 24 * MIB);
    fat(&mut fixed, MIB);
    ext4(&mut fixed, 2 * MIB);
    fixed.put(24 * MIB, &footer(24 * MIB, 2, 0x11));
    seal_fixed(&mut fixed);
    let mut places = gpt_places(24 * MIB);
    places.extend([at_end(24 * MIB + SECTOR), MIB..MIB + 64]);
    add("fixed-gpt", fixed, places, seal_fixed);

    for (name, size) in [("raw-gpt", 24 * MIB), ("raw-gpt-odd", 24 * MIB - 7 * SECTOR), ("raw-gpt-torn", 24 * MIB + 100)] {
        let mut raw = Image::new(size);
        gpt(&mut raw, size);
        ext4(&mut raw, 2 * MIB);
        add(name, raw, gpt_places(size), seal_gpt);
    }
    let mut raw = Image::new(20 * MIB + 1);
    mbr_disk(&mut raw);
    add("raw-mbr", raw, vec![440..512, 0x2800 * SECTOR + 440..0x2800 * SECTOR + 512, MIB + 1024..MIB + 2048], no_seal);

    let image = dynamic(21 * MIB - 3 * SECTOR, None);
    let size = image.size;
    add("dynamic", image, vec![0..86, 512..576, 1536..3072, size - SECTOR..size - 427], seal_dynamic);
    let image = dynamic(24 * MIB, Some((0x66, "parent.vhd")));
    let size = image.size;
    add("differencing", image, vec![0..86, 512..680, 1088..1112, 1536..3072, size - SECTOR..size - 427], seal_dynamic);

    let ranges = vec![0x10000..0x10060, 0x20000..0x20060, 0x30000..0x30060, 2 * MIB..2 * MIB + 192, 2 * MIB + 0x10000..2 * MIB + 0x100a0];
    add("vhdx", vhdx(), [ranges, vec![3 * MIB..3 * MIB + 200, 3 * MIB..3 * MIB + 200]].concat(), seal_vhdx);
    out
}
