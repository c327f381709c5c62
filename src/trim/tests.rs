//! Disks made by hand.

use super::*;
use crate::bytes::{Memory, Punched, read_vec};
use crate::facts::{ContentFacts, Fact};
use crate::inspect::Stretch;
use std::sync::Arc;

/// Where the file system begins on its disk, and bytes of it.
const AT: usize = 64 << 10;
const SIZE: usize = 1 << 20;

/// FAT12 with clusters of 4096 bytes from byte 12288 on: `KEPT` in clusters 2 and 3, `ONE` in 4; what was deleted lies in 6 and 7.
fn fat() -> Vec<u8> {
    let mut image = vec![0; SIZE];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\xeb\x3c\x90MSDOS5.0");
    put(0xb, &[0, 2, 8, 8, 0, 1, 128, 0, 0, 8, 0xf8, 8, 0]);
    put(0x36, b"FAT12   ");
    put(510, &[0x55, 0xaa]);
    // Entries 0 to 5: two that are no cluster's, 2 leads to 3, 3 and 4 end, 5 is free.
    put(4096, &[0xf8, 0xff, 0xff, 0x03, 0xf0, 0xff, 0xff, 0x0f, 0]);
    let entry = |name: &[u8; 11], cluster: u8, size: u32| {
        let mut raw = [0; 32];
        raw[..11].copy_from_slice(name);
        (raw[11], raw[26]) = (0x20, cluster);
        raw[28..].copy_from_slice(&size.to_le_bytes());
        raw
    };
    put(8192, &entry(b"KEPT       ", 2, 8192));
    put(8224, &entry(b"ONE        ", 4, 4096));
    put(12_288, &[b'k'; 3 * 4096]);
    put(12_288 + 4 * 4096, &[b'd'; 2 * 4096]);
    image
}

/// Swap of 16 pages, all but the first full.
fn swap() -> Vec<u8> {
    let mut image = vec![b's'; 16 * 4096];
    image[..4096].fill(0);
    image[1024..1032].copy_from_slice(&[1, 0, 0, 0, 15, 0, 0, 0]);
    image[4086..4096].copy_from_slice(b"SWAPSPACE2");
    image
}

fn content(kind: &str) -> ContentFacts {
    ContentFacts {
        kind: kind.to_owned(),
        uuid: None,
        label: None,
        size: Fact::Absent,
        used: Fact::Absent,
        clean: Fact::Absent,
        sealed: None,
        detail: vec![],
    }
}

fn region(number: u32, at: usize, kind: &str, bytes: Vec<u8>) -> Region {
    let (start, len) = (at as u64, bytes.len() as u64);
    let bytes: Bytes = Arc::new(Memory(bytes));
    Region {
        disk: 0,
        place: Place::Partition(number),
        fs: fs::open(kind, bytes.clone()),
        bytes,
        content: Some(content(kind)),
        partition_type: None,
        partition_uuid: None,
        partition_name: None,
        mapper_uuid: None,
        lies: vec![Stretch { from: 0, disk: 0, at: start..start + len }],
    }
}

/// The disk that these regions stand on.
fn disk(regions: &[Region]) -> Vec<Bytes> {
    let mut all = vec![0; 4 << 20];
    for region in regions {
        for stretch in &region.lies {
            let len = usize::try_from(stretch.at.end - stretch.at.start).unwrap();
            let at = usize::try_from(stretch.at.start).unwrap();
            all[at..at + len].copy_from_slice(&read_vec(&region.bytes, stretch.from, len).unwrap());
        }
    }
    vec![Arc::new(Memory(all))]
}

fn both() -> Vec<Region> {
    vec![region(1, AT, "vfat", fat()), region(2, 2 << 20, "swap", swap())]
}

fn found(regions: &[Region]) -> Vec<Trimmed> {
    find(regions, &disk(regions)).unwrap()
}

/// Why nothing of the first region is dropped.
fn why(regions: &[Region]) -> String {
    let first = found(regions).remove(0);
    assert_eq!((first.free_bytes, first.dropped_bytes), (0, 0));
    first.free.unwrap_err()
}

#[test]
fn what_is_free_is_found_where_it_lies() {
    let regions = both();
    let found = found(&regions);
    let data = (AT + 12_288) as u64;
    let end = (AT + SIZE) as u64;
    assert_eq!((found[0].region.as_str(), found[0].kind.as_str()), ("partition 1", "vfat"));
    assert_eq!(found[0].free, Ok(vec![(0, data + 3 * 4096..end)]), "253 clusters, three of them taken");
    assert_eq!((found[0].free_bytes, found[0].dropped_bytes), (250 * 4096, 2 * 4096));
    assert_eq!(found[1].free, Ok(vec![(0, (2 << 20) + 4096..(2 << 20) + 65_536)]));
    assert_eq!((found[1].free_bytes, found[1].dropped_bytes), (15 * 4096, 15 * 4096));

    let holes = found.iter().flat_map(|one| one.free.clone().unwrap()).map(|(_, range)| range).collect();
    let punched = Punched::new(disk(&regions).remove(0), holes);
    let after = read_vec(&punched, 0, 4 << 20).unwrap();
    let mut expected = fat();
    expected[12_288 + 3 * 4096..].fill(0);
    assert!(after[AT..AT + SIZE] == expected);
    assert!(after[2 << 20..].iter().all(|byte| *byte != b's'));
}

#[test]
fn ranges_that_are_not_whole_pages_are_dropped_whole() {
    let found = found(&[region(1, AT + 512, "vfat", fat())]);
    let data = (AT + 512 + 12_288) as u64;
    assert_eq!(found[0].free, Ok(vec![(0, data + 3 * 4096..(AT + 512 + SIZE) as u64)]));
    assert_eq!(found[0].dropped_bytes, 3 * 4096, "two clusters over three pages");
}

#[test]
fn a_file_where_it_is_free_keeps_everything() {
    let mut image = fat();
    image[4096 + 6] = 0;
    image[4096 + 7] = 0;
    assert_eq!(why(&[region(1, AT, "vfat", image)]), "damaged: the file of node 8224 lies at byte 20480, which is called free");
    let mut image = fat();
    image[0x25] = 1;
    assert_eq!(why(&[region(1, AT, "vfat", image)]), "it was not left in order; start its system and shut it down, then run again");
}

#[test]
fn regions_that_claim_the_same_bytes_keep_them() {
    let mut regions = vec![region(1, AT, "vfat", fat()), region(2, AT + SIZE - 4096, "swap", swap())];
    let told: Vec<_> = found(&regions).into_iter().map(|one| one.free.unwrap_err()).collect();
    assert_eq!(told, ["its bytes are claimed twice, where partition 2 lies", "its bytes are claimed twice, where partition 1 lies"]);
    // Whatever it is, or that nobody knows what.
    regions[1].content = None;
    assert_eq!(why(&regions), "its bytes are claimed twice, where partition 2 lies");
    // An extended partition is around its logical ones by right.
    regions[1].partition_type = Some("0x0f".to_owned());
    assert!(found(&regions)[0].free.is_ok());
    // A logical volume lies in its physical one by right, and in nothing else.
    let volume = |number, at, kind, bytes| Region { place: Place::Volume(format!("vg/{number}")), ..region(number, at, kind, bytes) };
    let mut regions = vec![volume(1, AT, "vfat", fat()), region(2, AT - 4096, group::MEMBER, vec![0; SIZE + 8192])];
    assert!(found(&regions)[0].free.is_ok());
    regions[1].content = Some(content("ext4"));
    assert!(why(&regions).contains("claimed twice, where partition 2 lies"));
    regions[1].content = Some(content(group::MEMBER));
    regions.push(region(3, AT + SIZE + 4096 - 512, "swap", swap()));
    assert_eq!(why(&regions), "its bytes are claimed twice, where partition 2 lies", "what is in it goes with it");
    let twice = [volume(1, AT, "vfat", fat()), volume(2, AT, "vfat", fat())];
    assert!(why(&twice).contains("claimed twice, where vg/2 lies"));
}

#[test]
fn what_is_not_known_stays() {
    let kinds = ["crypto_LUKS", "BitLocker", "linux_raid_member", "squashfs", "ext4"];
    let told = kinds.map(|kind| why(&[region(1, AT, kind, vec![1; 65_536])]));
    assert_eq!(told[..2], ["it is encrypted"; 2]);
    assert_eq!(told[2..4], ["what is free on linux_raid_member is not known", "what is free on squashfs is not known"]);
    assert!(!told[4].is_empty());
    let with = |change: &dyn Fn(&mut Region)| {
        let mut regions = both();
        change(&mut regions[0]);
        why(&regions)
    };
    let two = with(&|region| region.content.as_mut().unwrap().detail.push("also carries a signature of ext4".to_owned()));
    assert_eq!(two, "it also carries a signature of ext4, so that it is not certain what it is");
    assert!(with(&|region| region.lies.clear()).starts_with("where its bytes lie on the disks is not known"));
    assert!(with(&|region| region.lies[0].at.end -= 4096).starts_with("what it calls free passes its end"));
    let mut longer = fat();
    longer[0x14] = 9;
    assert_eq!(why(&[region(1, AT, "vfat", longer)]), "damaged: free space lies at bytes 24576 to 1179648, the volume has 1048576");
    assert!(with(&|region| region.partition_type = Some("5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6".to_owned())).contains("dm-verity"));
    assert!(find(&both(), &[]).unwrap()[0].free.as_ref().unwrap_err().contains("not among those given"));
    let mut nothing = both();
    nothing[0].content = None;
    assert_eq!(found(&nothing).len(), 1, "what is not recognised is not even told of");
}

#[test]
fn what_sleeps_or_is_sealed_keeps_all() {
    let mut regions = both();
    regions[1].content = Some(content("swsuspend"));
    let told: Vec<_> = found(&regions).into_iter().map(|one| one.free.unwrap_err()).collect();
    assert!(
        told.len() == 2 && told.iter().all(|why| why.starts_with("a system that hibernates has its memory in partition 2")),
        "{told:?}"
    );
    regions[1].content = Some(content("DM_verity_hash"));
    assert!(why(&regions).contains("hashes of another volume"));
    regions[1] = region(2, 2 << 20, "xfs", vec![0; 4096]);
    regions[1].partition_type = Some("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5".to_owned());
    assert!(why(&regions).contains("hashes of another volume"));
}

#[test]
fn names_tell_the_disk_where_there_are_more() {
    let mut regions = both();
    regions[1].disk = 1;
    let disks = [disk(&regions), disk(&regions)].concat();
    let names: Vec<_> = find(&regions, &disks).unwrap().into_iter().map(|one| one.region).collect();
    assert_eq!(names, ["partition 1 of disk 1", "partition 2 of disk 2"]);
}
