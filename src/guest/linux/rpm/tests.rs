//! Databases made by hand, and what damage does to them. Real ones are in `tests/packages_oracle.rs`.

use super::header::from_memory;
use super::*;
use crate::bytes::{Bytes, Memory};
use std::sync::Arc;

/// A header with these values; numbers of tags in their order.
fn header(name: &str, epoch: Option<u32>, version: &str, release: &str, architecture: &str) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    let mut entries = 0_u32;
    let mut put = |tag: u32, kind: u32, value: &[u8]| {
        if kind == 4 {
            while data.len() % 4 != 0 {
                data.push(0);
            }
        }
        for field in [tag, kind, data.len() as u32, 1] {
            index.extend_from_slice(&field.to_be_bytes());
        }
        data.extend_from_slice(value);
        entries += 1;
    };
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    put(1000, 6, &text(name));
    put(1001, 6, &text(version));
    put(1002, 6, &text(release));
    if let Some(epoch) = epoch {
        put(1003, 4, &epoch.to_be_bytes());
    }
    put(1004, 9, &text("a summary"));
    if !architecture.is_empty() {
        put(1022, 6, &text(architecture));
    }
    put(1028, 4, &[0; 4]);
    [&entries.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), &index, &data].concat()
}

fn ndb(blobs: &[Vec<u8>]) -> Vec<u8> {
    let word = |number: u32| number.to_le_bytes();
    let (mut slots, mut body, mut block) = (Vec::new(), Vec::new(), 256_u32);
    for (place, blob) in blobs.iter().enumerate() {
        let number = place as u32 + 1;
        let blocks = (blob.len() as u32 + 28).div_ceil(16);
        slots.extend([&b"Slot"[..], &word(number), &word(block), &word(blocks)].concat());
        body.extend([&b"BlbS"[..], &word(number), &word(0), &word(blob.len() as u32)].concat());
        body.extend(blob);
        body.resize((block as usize - 256 + blocks as usize) * 16 - 12, 0);
        body.extend([&word(0)[..], &word(blob.len() as u32), b"BlbE"].concat());
        block += blocks;
    }
    while slots.len() < 4096 - 32 {
        slots.extend([&b"Slot"[..], &word(0), &word(0), &word(0)].concat());
    }
    [&b"RpmP"[..], &word(0), &word(1), &word(1), &word(9), &[0; 12], &slots, &body].concat()
}

/// Two buckets of small and large values on pages of 512 bytes.
fn bdb(blobs: &[Vec<u8>], big: bool) -> Vec<u8> {
    let word = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let half = |number: usize| if big { (number as u16).to_be_bytes() } else { (number as u16).to_le_bytes() };
    let mut pages: Vec<Vec<u8>> = vec![vec![0; 512]; 3];
    let mut buckets: [Vec<(Vec<u8>, Vec<u8>)>; 2] = [vec![([&[1_u8][..], &[0; 4]].concat(), vec![1, 9, 0, 0, 0])], vec![]];
    for (place, blob) in blobs.iter().enumerate() {
        let key = [&[1][..], &word(place as u32 + 1)].concat();
        let value = if blob.len() < 150 {
            [&[1][..], blob].concat()
        } else {
            let first = pages.len();
            let parts: Vec<&[u8]> = blob.chunks(512 - 26).collect();
            for (at, part) in parts.iter().enumerate() {
                let next = if at + 1 == parts.len() { 0 } else { first + at + 1 };
                let mut page = vec![0; 512];
                page[8..12].copy_from_slice(&word((first + at) as u32));
                page[16..20].copy_from_slice(&word(next as u32));
                page[22..24].copy_from_slice(&half(part.len()));
                page[25] = 7;
                page[26..26 + part.len()].copy_from_slice(part);
                pages.push(page);
            }
            [&[3, 0, 0, 0][..], &word(first as u32), &word(blob.len() as u32)].concat()
        };
        buckets[place % 2].push((key, value));
    }
    for (bucket, pairs) in buckets.iter().enumerate() {
        let page = &mut pages[bucket + 1];
        page[8..12].copy_from_slice(&word(bucket as u32 + 1));
        page[20..22].copy_from_slice(&half(pairs.len() * 2));
        page[25] = 13;
        let mut end = 512;
        for (place, entry) in pairs.iter().flat_map(|(key, value)| [key, value]).enumerate() {
            end -= entry.len();
            page[end..end + entry.len()].copy_from_slice(entry);
            page[26 + place * 2..28 + place * 2].copy_from_slice(&half(end));
        }
    }
    let last = pages.len() as u32 - 1;
    for (at, value) in [(12, 0x0006_1561), (16, 9), (20, 512), (32, last), (72, 1), (76, 1), (96, 1), (100, 1)] {
        pages[0][at..at + 4].copy_from_slice(&word(value));
    }
    pages[0][25] = 8;
    pages.concat()
}

/// A table on pages of 512 bytes, a root with one leaf a row, and values that overflow.
fn sqlite(blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut pages: Vec<Vec<u8>> = vec![vec![0; 512]; 2];
    let number = |value: usize| vec![0x80 | (value >> 14) as u8, 0x80 | (value >> 7 & 0x7f) as u8, (value & 0x7f) as u8];
    let schema = [&[6, 23, 29, 29, 1, 13][..], b"table", b"Packages", b"Packages", &[2]].concat();
    let leaf = |page: &mut Vec<u8>, start: usize, cell: &[u8]| {
        let at = 512 - cell.len();
        page[start] = 0x0d;
        page[start + 3..start + 5].copy_from_slice(&1_u16.to_be_bytes());
        page[start + 8..start + 10].copy_from_slice(&(at as u16).to_be_bytes());
        page[at..].copy_from_slice(cell);
    };
    let cell = [&[schema.len() as u8, 1][..], &schema].concat();
    leaf(&mut pages[0], 100, &cell);
    let mut children = Vec::new();
    for (place, blob) in blobs.iter().enumerate() {
        let record = [&[5, 0][..], &number(blob.len() * 2 + 12), blob].concat();
        let own = pages.len();
        children.push(own as u32 + 1);
        pages.push(vec![0; 512]);
        let mut cell = [number(record.len()), vec![place as u8 + 1]].concat();
        if record.len() <= 477 {
            cell.extend(&record);
        } else {
            let least = 500 * 32 / 255 - 23;
            let here = least + (record.len() - least) % 508;
            let here = if here <= 477 { here } else { least };
            cell.extend(&record[..here]);
            cell.extend((pages.len() as u32 + 1).to_be_bytes());
            let parts: Vec<&[u8]> = record[here..].chunks(508).collect();
            for (at, part) in parts.iter().enumerate() {
                let next = if at + 1 == parts.len() { 0 } else { pages.len() as u32 + 2 };
                let mut page = [&next.to_be_bytes()[..], part].concat();
                page.resize(512, 0);
                pages.push(page);
            }
        }
        leaf(&mut pages[own], 0, &cell);
    }
    let (last, others) = children.split_last().unwrap();
    let root = &mut pages[1];
    root[0] = 5;
    root[3..5].copy_from_slice(&(others.len() as u16).to_be_bytes());
    root[8..12].copy_from_slice(&last.to_be_bytes());
    for (place, child) in others.iter().enumerate() {
        let at = 512 - 5 * (place + 1);
        root[at..at + 4].copy_from_slice(&child.to_be_bytes());
        root[at + 4] = place as u8 + 1;
        root[12 + place * 2..14 + place * 2].copy_from_slice(&(at as u16).to_be_bytes());
    }
    pages[0][..16].copy_from_slice(b"SQLite format 3\0");
    pages[0][16..18].copy_from_slice(&512_u16.to_be_bytes());
    pages.concat()
}

fn read(kind: &str, bytes: Vec<u8>) -> Result<Vec<RpmPackage>, ReadError> {
    let bytes: Bytes = Arc::new(Memory(bytes));
    let mut all = Vec::new();
    let each: Each<'_> = &mut |package| all.push(package);
    match kind {
        "ndb" => ndb::packages(&bytes, each),
        "bdb" => bdb::packages(&bytes, each),
        _ => sqlite::packages(&bytes, None, each),
    }?;
    Ok(all)
}

fn blobs() -> Vec<Vec<u8>> {
    let long = "x".repeat(700);
    vec![
        header("bash", None, "5.2.15", "1.el9", "x86_64"),
        header("grub2-efi-x64", Some(1), "2.06", "61.el9", "x86_64"),
        header("gpg-pubkey", None, "fd431d51", "4ae0493b", ""),
        header("long", Some(0), "1", &long, "noarch"),
        header("kernel-core", None, "5.14.0", "362.el9", "x86_64"),
    ]
}

fn databases() -> Vec<(&'static str, Vec<u8>)> {
    let blobs = blobs();
    vec![("ndb", ndb(&blobs)), ("bdb", bdb(&blobs, false)), ("bdb", bdb(&blobs, true)), ("sqlite", sqlite(&blobs))]
}

#[test]
fn headers_are_read() {
    let package = from_memory(&blobs()[1]).unwrap();
    assert_eq!((package.name.as_str(), package.full_version().as_str()), ("grub2-efi-x64", "1:2.06-61.el9"));
    assert_eq!(package.architecture.as_deref(), Some("x86_64"));
    assert_eq!(from_memory(&blobs()[2]).unwrap().architecture, None);
    assert_eq!(from_memory(&blobs()[3]).unwrap().full_version(), format!("0:1-{}", "x".repeat(700)));
}

#[test]
fn every_kind_of_database_gives_the_same() {
    let expected: Vec<RpmPackage> = blobs().iter().map(|blob| from_memory(blob).unwrap()).collect();
    for (kind, bytes) in databases() {
        let mut found = read(kind, bytes).unwrap_or_else(|error| panic!("{kind}: {error}"));
        found.sort_by_key(|package| expected.iter().position(|other| other == package));
        assert_eq!(found, expected, "{kind}");
    }
}

#[test]
fn damage_is_an_error_or_harmless() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for (kind, bytes) in databases() {
        for end in 0..bytes.len() {
            if let Ok(found) = read(kind, bytes[..end].to_vec()) {
                assert!(found.len() <= 5, "{kind} cut at {end}");
            }
        }
        for _ in 0..3000 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = match random() % 4 {
                    0 => 0xff,
                    1 => 0,
                    _ => random() as u8,
                };
            }
            drop(read(kind, bytes));
        }
    }
    for blob in blobs() {
        for end in 0..blob.len() {
            drop(from_memory(&blob[..end]));
        }
        for at in 0..blob.len().min(200) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut blob = blob.clone();
                blob[at] = value;
                drop(from_memory(&blob));
            }
        }
    }
}

#[test]
fn a_loop_of_pages_ends() {
    // The root points to itself.
    let mut bytes = sqlite(&blobs());
    bytes[512 + 8..512 + 12].copy_from_slice(&2_u32.to_be_bytes());
    assert!(read("sqlite", bytes).unwrap_err().to_string().contains("once"));
    // An overflow chain that leads to its start gives bytes, but never more than were asked for.
    let mut bytes = bdb(&blobs(), false);
    let at = bytes.len() - 512;
    let own = bytes[at + 8..at + 12].to_vec();
    bytes[at + 16..at + 20].copy_from_slice(&own);
    drop(read("bdb", bytes));
    // A bucket whose chain leads to itself.
    let mut bytes = bdb(&blobs(), false);
    bytes[512 + 16..512 + 20].copy_from_slice(&1_u32.to_le_bytes());
    assert!(read("bdb", bytes).unwrap_err().to_string().contains("chains"));
}
