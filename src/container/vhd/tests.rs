//! Files built field by field, each with one thing wrong, and what is said of them.

use super::footer::{NO_OFFSET, checksum_of};
use super::*;
use crate::bytes::{Bytes, GIB, Guid, MIB, Memory, ReadAt, int_u64, int_usize, read_vec};
use std::sync::Arc;

const BLOCK: usize = 4096;
const BLOCKS: usize = 5;

/// A footer of the given type and size.
fn footer(disk_type: u32, size: u64, data_offset: u64) -> Footer {
    let mut footer = fixed_footer(size, size, Guid(*b"0123456789abcdef"), 1000);
    footer.disk_type = DiskType(disk_type);
    footer.data_offset = data_offset;
    footer.sealed()
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn reseal_header(file: &mut [u8]) {
    let sum = checksum_of(&file[512..1536], 36);
    put(file, 512 + 36, &sum.to_be_bytes());
}

/// A disk of five blocks of 4 KiB, of which blocks 1 and 3 are allocated (3 first) and filled with their number.
fn sparse(disk_type: u32) -> Vec<u8> {
    let size = BLOCK * BLOCKS;
    let footer = footer(disk_type, size as u64, 512).encode();
    let mut file = vec![0; 2048];
    put(&mut file, 0, &footer);
    put(&mut file, 512, b"cxsparse");
    put(&mut file, 520, &NO_OFFSET.to_be_bytes());
    put(&mut file, 528, &1536_u64.to_be_bytes());
    put(&mut file, 536, &0x0001_0000_u32.to_be_bytes());
    put(&mut file, 540, &(BLOCKS as u32).to_be_bytes());
    put(&mut file, 544, &(BLOCK as u32).to_be_bytes());
    reseal_header(&mut file);
    file[1536..2048].fill(0xff);
    for block in [3_usize, 1] {
        let sector = (file.len() / 512) as u32;
        put(&mut file, 1536 + block * 4, &sector.to_be_bytes());
        let mut bitmap = vec![0; 512];
        bitmap[0] = 0xff;
        file.extend(bitmap);
        file.extend(vec![block as u8; BLOCK]);
    }
    file.extend(footer);
    file
}

fn fixed(size: usize) -> Vec<u8> {
    let mut file: Vec<u8> = (0..size).map(|n| (n % 255) as u8).collect();
    file.extend(footer(2, size as u64, NO_OFFSET).encode());
    file
}

fn kinds(vhd: &Vhd) -> Vec<DeviationKind> {
    vhd.deviations.iter().map(|deviation| deviation.kind).collect()
}

fn learn(file: &[u8]) -> (Option<Vhd>, Bytes) {
    let bytes: Bytes = Arc::new(Memory(file.to_vec()));
    (read(&*bytes).unwrap(), bytes)
}

fn content(file: &[u8]) -> Result<Vec<u8>, ReadError> {
    let (vhd, bytes) = learn(file);
    let disk = open(&vhd.unwrap(), &bytes, None)?;
    read_vec(&*disk, 0, int_usize(disk.size()))
}

fn good_content() -> Vec<u8> {
    (0..BLOCKS).flat_map(|block| vec![if block % 2 == 1 { block as u8 } else { 0 }; BLOCK]).collect()
}

#[test]
fn sound_files_have_no_deviations_and_their_bytes() {
    let (vhd, _) = learn(&fixed(8192));
    assert_eq!(kinds(&vhd.unwrap()), []);
    assert_eq!(content(&fixed(8192)).unwrap(), fixed(8192)[..8192]);
    let (vhd, bytes) = learn(&sparse(3));
    let vhd = vhd.unwrap();
    assert_eq!(kinds(&vhd), []);
    let table = vhd.table.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((table.allocated, table.out_of_range, table.overlapping), (2, 0, 0));
    assert_eq!(content(&sparse(3)).unwrap(), good_content());
    let disk = open(&vhd, &bytes, None).unwrap();
    assert_eq!(disk.data(0), Some(4096..8192));
    assert_eq!(disk.data(8192), Some(12_288..16_384));
    assert_eq!(disk.data(16_384), None);
    // Reads across block borders and at odd places.
    for (from, len) in [(4000, 300), (0, 20_480), (8191, 4098), (12_287, 2)] {
        assert_eq!(read_vec(&*disk, from as u64, len).unwrap(), good_content()[from..from + len]);
    }
}

/// Changes one thing in a file, and names the one deviation that follows.
type Corruption = (&'static str, DeviationKind, fn(&mut Vec<u8>));

/// Redoes the checksum of the footer at `at`.
fn reseal_footer(file: &mut [u8], at: usize) {
    let sum = checksum_of(&file[at..at + 512], 64);
    put(file, at + 64, &sum.to_be_bytes());
}

#[test]
fn each_corruption_of_a_fixed_disk_has_its_name() {
    use DeviationKind as K;
    let end = 8192;
    let cases: &[Corruption] = &[
        ("checksum", K::FooterChecksum, |f| f[8192 + 64] ^= 1),
        ("features", K::FooterFeatures, |f| {
            f[8192 + 11] = 0;
            reseal_footer(f, 8192);
        }),
        ("version", K::FooterVersion, |f| {
            f[8192 + 13] = 2;
            reseal_footer(f, 8192);
        }),
        ("data offset of 32 bits", K::FooterDataOffset, |f| {
            f[8192 + 16..8192 + 20].fill(0);
            reseal_footer(f, 8192);
        }),
        ("type", K::FooterDiskType, |f| {
            f[8192 + 63] = 7;
            reseal_footer(f, 8192);
        }),
        ("reserved", K::FooterReserved, |f| {
            f[8192 + 400] = 1;
            reseal_footer(f, 8192);
        }),
        ("hidden byte of another producer", K::FooterReserved, |f| {
            f[8192 + 85] = 1;
            reseal_footer(f, 8192);
        }),
        ("hidden by XenServer", K::FooterHidden, |f| {
            put(f, 8192 + 28, b"tap\0");
            reseal_footer(f, 8192);
            // Early versions did not redo the sum.
            f[8192 + 85] = 1;
        }),
        ("poisoned", K::FooterPoisoned, |f| {
            put(f, 8192, b"v_poison");
            reseal_footer(f, 8192);
        }),
        ("no id", K::FooterNoUniqueId, |f| {
            f[8192 + 68..8192 + 84].fill(0);
            reseal_footer(f, 8192);
        }),
        ("512 bytes behind", K::FooterNotAtEnd, |f| f.extend([0; 512])),
        ("4 KiB behind", K::FooterNotAtEnd, |f| f.extend([0; 4096])),
        ("77 bytes behind", K::FooterNotAtEnd, |f| f.extend([b'x'; 77])),
        ("one byte less", K::FooterShort, |f| f.truncate(8192 + 511)),
        ("size too large", K::PayloadShort, |f| {
            put(f, 8192 + 48, &16_384_u64.to_be_bytes());
            reseal_footer(f, 8192);
        }),
        ("size too small", K::PayloadLong, |f| {
            put(f, 8192 + 48, &4096_u64.to_be_bytes());
            reseal_footer(f, 8192);
        }),
        ("a VHD inside", K::PayloadBeginsWithFooter, |f| put(f, 0, b"conectix")),
    ];
    for (what, kind, corrupt) in cases {
        let mut file = fixed(end);
        corrupt(&mut file);
        let (vhd, bytes) = learn(&file);
        let vhd = vhd.or_else(|| read_displaced(&*bytes).unwrap());
        assert_eq!(kinds(&vhd.expect(what)), [*kind], "{what}");
    }
}

#[test]
fn each_corruption_of_a_dynamic_disk_has_its_name() {
    use DeviationKind as K;
    let cases: &[Corruption] = &[
        ("no end footer", K::FooterMissing, |f| f.truncate(f.len() - 512)),
        ("zeroed end footer", K::FooterMissing, |f| {
            let end = f.len() - 512;
            f[end..].fill(0);
        }),
        ("no copy", K::CopyMissing, |f| f[..512].fill(0)),
        ("copy's checksum", K::CopyChecksum, |f| f[64] ^= 1),
        ("copy differs", K::CopyDiffers, |f| {
            f[70] ^= 1;
            reseal_footer(f, 0);
        }),
        ("header checksum", K::HeaderChecksum, |f| f[512 + 36] ^= 1),
        ("header version", K::HeaderVersion, |f| {
            f[536] = 9;
            reseal_header(f);
        }),
        ("header's 32-bit offset", K::HeaderDataOffset, |f| {
            f[520..524].fill(0);
            reseal_header(f);
        }),
        ("header's reserved bytes", K::HeaderReserved, |f| {
            f[512 + 1000] = 1;
            reseal_header(f);
        }),
        ("header's cookie", K::HeaderMissing, |f| f[512] = b'x'),
        ("block size 0", K::BlockSize, |f| {
            f[544..548].fill(0);
            reseal_header(f);
        }),
        ("block size 3000", K::BlockSize, |f| {
            put(f, 544, &3000_u32.to_be_bytes());
            reseal_header(f);
        }),
        ("table outside", K::TableOutside, |f| {
            put(f, 528, &(1_u64 << 40).to_be_bytes());
            reseal_header(f);
        }),
        ("table too short", K::TableShort, |f| {
            put(f, 540, &4_u32.to_be_bytes());
            reseal_header(f);
        }),
        ("table of 2^31 entries", K::TableOverlong, |f| {
            put(f, 540, &(u32::MAX / 2).to_be_bytes());
            reseal_header(f);
        }),
        ("surplus entries", K::TableSurplus, |f| {
            put(f, 540, &8_u32.to_be_bytes());
            reseal_header(f);
        }),
        ("block past the end", K::BlockPastEnd, |f| put(f, 1536 + 4, &1_000_000_u32.to_be_bytes())),
        ("block in the header", K::BlockInHeader, |f| put(f, 1536 + 4, &1_u32.to_be_bytes())),
        ("same block twice", K::BlocksOverlap, |f| {
            let entry = f[1536 + 12..1536 + 16].to_vec();
            put(f, 1536 + 4, &entry);
        }),
        ("blocks that overlap by half", K::BlocksOverlap, |f| put(f, 1536 + 4, &8_u32.to_be_bytes())),
    ];
    for (what, kind, corrupt) in cases {
        let mut file = sparse(3);
        corrupt(&mut file);
        let (vhd, _) = learn(&file);
        assert_eq!(kinds(&vhd.expect(what)), [*kind], "{what}");
    }
}

#[test]
fn blocks_beyond_a_size_that_lies_are_told() {
    // The disk had five blocks, of which 1 and 3 are in the file; both footers say that it has three, or none.
    for (size, told) in [(3 * BLOCK, 1), (0, 2)] {
        let mut file = sparse(3);
        let end = file.len() - 512;
        for at in [0, end] {
            put(&mut file, at + 48, &(size as u64).to_be_bytes());
            reseal_footer(&mut file, at);
        }
        let (vhd, _) = learn(&file);
        let vhd = vhd.unwrap();
        assert_eq!(kinds(&vhd), [DeviationKind::TableSurplus, DeviationKind::BlocksBeyondDisk], "{size}");
        assert!(vhd.deviations[1].found.starts_with(&format!("{told} in the file")), "{}", vhd.deviations[1].found);
    }
}

#[test]
fn displaced_footers_are_found_wherever_pieces_of_the_search_end() {
    // Pieces of 4096 bytes: the cookie reaches over the end of one in some of these.
    for size in (0..24).map(|more| 12_280 + more) {
        let file = [vec![0; size], footer(2, size as u64, NO_OFFSET).encode().to_vec(), vec![0; 5]].concat();
        let found = read_displaced(&Memory(file)).unwrap().and_then(|vhd| vhd.footer);
        assert_eq!(found.map(|footer| footer.offset), Some(size as u64));
    }
}

#[test]
fn a_footer_alone_is_no_copy_of_itself() {
    let (vhd, _) = learn(&fixed(0));
    assert_eq!(kinds(&vhd.unwrap()), []);
}

#[test]
fn damage_of_one_block_is_an_error_where_it_is_and_nowhere_else() {
    let mut file = sparse(3);
    put(&mut file, 1536 + 4, &1_000_000_u32.to_be_bytes());
    let (vhd, bytes) = learn(&file);
    let disk = open(&vhd.unwrap(), &bytes, None).unwrap();
    assert_eq!(read_vec(&*disk, 12_288, 4096).unwrap(), vec![3; 4096]);
    assert!(matches!(read_vec(&*disk, 4096, 1), Err(ReadError::Corrupt(_))));
    assert_eq!(disk.data(0), Some(4096..8192), "a block that cannot be read must not be skipped as a hole");
}

#[test]
fn bytes_that_the_file_lacks_are_errors_not_zeros() {
    let mut file = fixed(8192);
    put(&mut file, 8192 + 48, &16_384_u64.to_be_bytes());
    reseal_footer(&mut file, 8192);
    let (vhd, bytes) = learn(&file);
    let disk = open(&vhd.unwrap(), &bytes, None).unwrap();
    assert_eq!(disk.size(), 16_384);
    assert!(disk.read_at(0, &mut [0; 8192]).is_ok());
    assert!(disk.read_at(8191, &mut [0; 2]).is_err());
    assert_eq!(disk.data(8192), Some(8192..16_384));
}

#[test]
fn a_differencing_disk_shows_its_parent_sector_by_sector() {
    let mut file = sparse(4);
    // Of block 1 only sectors 0 and 7 are here; of block 3 all.
    let bitmap_of_1 = file.len() - 512 - BLOCK - 512;
    file[bitmap_of_1] = 0b1000_0001;
    let (vhd, bytes) = learn(&file);
    let vhd = vhd.unwrap();
    assert!(open(&vhd, &bytes, None).is_err());
    // The parent is shorter than the child: beyond it are zeros.
    let parent: Bytes = Arc::new(Memory(vec![9; 9000]));
    let disk = open(&vhd, &bytes, Some(parent)).unwrap();
    let got = read_vec(&*disk, 0, BLOCK * BLOCKS).unwrap();
    let mut expected = vec![9; 9000];
    expected.resize(BLOCK * BLOCKS, 0);
    expected[4096..4608].fill(1);
    expected[8192 - 512..8192].fill(1);
    expected[12_288..16_384].fill(3);
    assert_eq!(got, expected);
    for (from, len) in [(4095, 3), (4600, 20), (7679, 2), (7000, 1500), (8190, 900)] {
        assert_eq!(read_vec(&*disk, from as u64, len).unwrap(), expected[from..from + len], "{from}+{len}");
    }
}

#[test]
fn remains_of_a_vhd_at_the_end_of_a_raw_disk_do_not_make_it_one() {
    // A footer that stands where no payload of its size ends.
    let mut file = fixed(8192);
    file.splice(0..0, vec![1; 4096]);
    file.extend([1; 1024]);
    let bytes: Bytes = Arc::new(Memory(file));
    assert!(read(&*bytes).unwrap().is_none());
    assert!(read_displaced(&*bytes).unwrap().is_none());
}

#[test]
fn a_dynamic_vhd_kept_on_a_raw_disk_does_not_make_it_one() {
    let mut file = vec![1; 1 << 20];
    put(&mut file, 1 << 19, &sparse(3));
    let bytes: Bytes = Arc::new(Memory(file));
    assert!(read(&*bytes).unwrap().is_none());
    assert!(read_displaced(&*bytes).unwrap().is_none());
    // With its header where it belongs it is a VHD that lost its copy and got something appended.
    let mut file = sparse(3);
    file[..8].fill(0);
    file.extend([1; 1024]);
    let bytes: Bytes = Arc::new(Memory(file));
    assert!(kinds(&read_displaced(&*bytes).unwrap().unwrap()).contains(&DeviationKind::FooterNotAtEnd));
}

#[test]
fn stranded_footers_are_found() {
    let mut disk = vec![0; int_usize(3 * MIB)];
    put(&mut disk, 1 << 20, &footer(2, 1 << 20, NO_OFFSET).encode());
    put(&mut disk, 777 * 512, b"conectix");
    let bytes = Memory(disk);
    let usual = stale_footers(&bytes, &[], false).unwrap();
    assert_eq!(usual, [StaleFooter { offset: 1 << 20, current_size: 1 << 20, valid: true }]);
    let hinted = stale_footers(&bytes, &[777 * 512, 1 << 50], false).unwrap();
    assert_eq!(hinted.len(), 2);
    let deep = stale_footers(&bytes, &[], true).unwrap();
    assert_eq!(deep.iter().map(|stale| (stale.offset, stale.valid)).collect::<Vec<_>>(), [(777 * 512, false), (1 << 20, true)]);
}

#[test]
fn stranded_footers_are_found_between_holes() {
    // More places than are asked for at once, and each footer is data of its own in a hole.
    let borders = [0, 3, 16, 17, 18, 33, 39].map(|n| n * GIB);
    let mut disk = crate::bytes::Overlay::new(Arc::new(crate::bytes::Zeros(40 * GIB)));
    for border in borders {
        disk.patch(border, footer(2, 1 << 20, NO_OFFSET).encode().to_vec()).unwrap();
    }
    let found = stale_footers(&disk, &[], false).unwrap();
    assert_eq!(found.iter().map(|stale| stale.offset).collect::<Vec<_>>(), borders);
}

#[test]
fn allocated_entries_are_found_in_any_place() {
    for len in [0, 1, 63, 64, 65, 200] {
        for place in 0..len {
            let mut entries = vec![table::UNALLOCATED; len];
            entries[place] = 7;
            assert_eq!(table::allocated(&entries).collect::<Vec<_>>(), [(int_u64(place), 7)]);
        }
        assert_eq!(table::allocated(&vec![table::UNALLOCATED; len]).count(), 0);
        assert_eq!(table::allocated(&vec![table::UNALLOCATED - 1; len]).count(), len);
    }
}

#[test]
fn bitmaps_that_deny_data_are_counted() {
    let mut file = sparse(3);
    let bitmap_of_1 = file.len() - 512 - BLOCK - 512;
    file[bitmap_of_1] = 0b0111_1110;
    let (vhd, bytes) = learn(&file);
    let vhd = vhd.unwrap();
    let quick = survey_bitmaps(&vhd, &bytes, false).unwrap().unwrap();
    assert_eq!((quick.blocks, quick.read, quick.clear_sectors, quick.conflicts), (2, 2, 2, None));
    let deep = survey_bitmaps(&vhd, &bytes, true).unwrap().unwrap();
    assert_eq!((deep.conflicts, deep.first_conflict), (Some(2), Some(bitmap_of_1 as u64 + 512)));
    // The data is shown all the same.
    assert_eq!(content(&file).unwrap(), good_content());
}

/// Any bytes are valid input: random damage, checksums redone so that it reaches deep, must end in an answer.
#[test]
fn mutated_files_always_get_an_answer() {
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..20_000 {
        let mut file = if round % 3 == 0 { fixed(4096) } else { sparse(3 + (round % 2) as u32) };
        let end = file.len() - 512;
        for _ in 0..1 + next() % 4 {
            let zones = [(0, 84), (512, 200), (1536, 24), (end, 84)];
            let (start, len) = zones[(next() % 4) as usize];
            let at = (start + (next() as usize) % len).min(file.len() - 1);
            file[at] = [0, 0xff, 0x80, next() as u8][(next() % 4) as usize];
        }
        if round % 5 != 0 {
            reseal_footer(&mut file, 0);
            reseal_footer(&mut file, end);
            reseal_header(&mut file);
        }
        if round % 7 == 0 {
            file.truncate((next() as usize) % file.len());
        }
        let (vhd, bytes) = learn(&file);
        let Some(vhd) = vhd.or_else(|| read_displaced(&*bytes).unwrap()) else { continue };
        let _ = survey_bitmaps(&vhd, &bytes, true);
        let parent: Bytes = Arc::new(Memory(vec![1; 5000]));
        if let Ok(disk) = open(&vhd, &bytes, Some(parent)) {
            let mut from = 0;
            for _ in 0..50 {
                let Some(range) = disk.data(from) else { break };
                assert!(range.start >= from && range.start < range.end && range.end <= disk.size());
                let _ = disk.read_at(range.start, &mut vec![0; int_usize((range.end - range.start).min(8192))]);
                from = range.end;
            }
            let _ = stale_footers(&*disk, &[1 << 20], false);
        }
    }
}
