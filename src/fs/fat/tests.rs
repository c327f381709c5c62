//! A FAT12 made by hand, and what damage makes of it.

use super::*;
use crate::bytes::{Memory, read_vec};

#[test]
fn dates_are_those_of_the_calendar() {
    let modified = |date: (u16, u16, u16), time: (u16, u16, u16)| {
        let mut raw = [0; 32];
        raw[22..24].copy_from_slice(&((time.0 << 11) | (time.1 << 5) | (time.2 / 2)).to_le_bytes());
        raw[24..26].copy_from_slice(&(((date.0 - 1980) << 9) | (date.1 << 5) | date.2).to_le_bytes());
        Record::parse(&raw).modified()
    };
    // `date -u -d '… UTC' +%s`.
    for (date, time, seconds) in [
        ((1980, 1, 1), (0, 0, 0), 315_532_800),
        ((2000, 2, 29), (12, 30, 58), 951_827_458),
        ((2000, 3, 1), (0, 0, 0), 951_868_800),
        ((2026, 11, 21), (13, 7, 2), 1_795_266_422),
        ((2099, 12, 31), (23, 59, 58), 4_102_444_798),
    ] {
        assert_eq!(modified(date, time), Some(seconds), "{date:?}");
    }
    assert_eq!(modified((1980, 0, 0), (0, 0, 0)), None);
    assert_eq!(modified((1980, 1, 1), (31, 0, 0)), None);
}

/// Sectors of 512 bytes, one a cluster: the boot sector, one table, a root of 16 entries, and clusters from byte 1536 on.
fn volume() -> Vec<u8> {
    let mut image = vec![0; 64 * 512];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\xeb\x3c\x90MSDOS5.0");
    put(0xb, &[0, 2, 1, 1, 0, 1, 16, 0, 64, 0, 0xf8, 1, 0]);
    put(0x36, b"FAT12   ");
    put(510, &[0x55, 0xaa]);
    // Entries 0 and 1; 2 to 4 chain a file, 5 a directory, 6 follows 7 follows 6.
    put(512, &pack(&[0xff8, 0xfff, 3, 4, 0xfff, 0xfff, 7, 6, 0xff7]));
    put(1024, &record(b"LABEL      ", 0x08, 0, 0));
    put(1056, &record(b"FILE    TXT", 0x20, 2, 1100));
    put(1088, &record(b"DIR        ", 0x10, 5, 0));
    put(1120, &record(b"LOOP       ", 0x20, 6, 5000));
    put(1152, &record(b"\xe5ONE       ", 0x20, 2, 9));
    put(1184, &record(b"SHORT      ", 0x20, 4, 513));
    put(1216, &record(b"ROUND      ", 0x10, 6, 0));
    put(1248, &record(b"EMPTY      ", 0x20, 0, 0));
    let cluster = |number: usize| 1536 + (number - 2) * 512;
    put(cluster(2), &[2; 512]);
    put(cluster(3), &[3; 512]);
    put(cluster(4), &[4; 512]);
    put(cluster(5), &record(b".          ", 0x10, 5, 0));
    put(cluster(5) + 32, &record(b"..         ", 0x10, 0, 0));
    put(cluster(5) + 64, &record(b"INNER      ", 0x20, 0, 0));
    image
}

fn pack(entries: &[u16]) -> Vec<u8> {
    let pairs = entries.chunks(2).map(|pair| u32::from(pair[0]) | (u32::from(pair.get(1).copied().unwrap_or_default()) << 12));
    pairs.flat_map(|pair| pair.to_le_bytes()[..3].to_vec()).collect()
}

fn record(name: &[u8; 11], attributes: u8, cluster: u16, size: u32) -> [u8; 32] {
    let mut raw = [0; 32];
    raw[..11].copy_from_slice(name);
    raw[11] = attributes;
    raw[26..28].copy_from_slice(&cluster.to_le_bytes());
    raw[28..].copy_from_slice(&size.to_le_bytes());
    raw
}

fn opened(image: Vec<u8>) -> Result<Arc<dyn FileSystem>, Error> {
    open(Arc::new(Memory(image)))
}

fn names(system: &dyn FileSystem, directory: NodeId) -> Result<Vec<String>, Error> {
    let mut names = vec![];
    system.entries(directory, &mut |entry| {
        names.push(String::from_utf8(entry.name).unwrap());
        if names.len() < 10_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(names)
}

#[test]
fn a_small_volume_reads() {
    let system = opened(volume()).unwrap();
    let find = |name: &str| system.lookup(ROOT, name.as_bytes()).unwrap().unwrap();
    assert_eq!(names(&*system, ROOT).unwrap(), ["FILE.TXT", "DIR", "LOOP", "SHORT", "ROUND", "EMPTY"]);
    assert_eq!(names(&*system, find("dir")).unwrap(), ["INNER"]);
    let content = system.open(find("file.txt")).unwrap();
    let bytes = read_vec(&*content, 0, 1100).unwrap();
    assert!(bytes[..512].iter().all(|byte| *byte == 2) && bytes[1024..].iter().all(|byte| *byte == 4));
    assert_eq!(read_vec(&*content, 511, 2).unwrap(), [2, 3]);
    assert!(content.read_at(1000, &mut [0; 101]).is_err());
    assert_eq!(system.open(find("empty")).unwrap().size(), 0);
    assert!(system.clean().unwrap());
    // 61 clusters, seven of them taken.
    assert_eq!(system.usage().unwrap(), Usage { size: 32_768, used: 32_768 - 54 * 512, free: 54 * 512 });
}

#[test]
fn chains_that_loop_or_end_early_are_damage() {
    let system = opened(volume()).unwrap();
    let find = |name: &str| system.lookup(ROOT, name.as_bytes()).unwrap().unwrap();
    let failed = |result: Result<Bytes, Error>| result.unwrap_err().to_string();
    assert_eq!(failed(system.open(find("loop"))), "damaged: the chain of cluster 6 returns to cluster 6");
    assert_eq!(failed(system.open(find("short"))), "damaged: 512 of 513 bytes are in the chain of cluster 4");
    assert!(names(&*system, find("round")).is_err());
    assert!(names(&*system, find("file.txt")).is_err());
    assert!(system.open(find("dir")).is_err());
    let mut image = volume();
    image[512 + 4..512 + 6].copy_from_slice(&[0, 0]);
    let system = opened(image).unwrap();
    assert!(
        failed(system.open(system.lookup(ROOT, b"file.txt").unwrap().unwrap())).starts_with("damaged: the chain of cluster 2 leads to")
    );
}

#[test]
fn no_byte_of_it_can_make_it_panic() {
    let image = volume();
    let rummage = |image: Vec<u8>| {
        let Ok(system) = opened(image) else { return };
        drop((system.usage(), system.clean(), system.free()));
        let mut nodes = vec![];
        drop(system.entries(ROOT, &mut |entry| {
            nodes.push(entry.node);
            ControlFlow::Continue(())
        }));
        for id in nodes {
            drop((system.node(id), names(&*system, id), system.target(id), system.extents(id)));
            let Ok(content) = system.open(id) else { continue };
            drop(content.read_at(0, &mut vec![0; content.size().min(4096) as usize]));
        }
    };
    for at in (0..100).chain(510..530).chain(1024..1280) {
        for value in [0, 1, 2, 0x0f, 0x40, 0x7f, 0x80, 0xff] {
            let mut broken = image.clone();
            broken[at] = value;
            rummage(broken);
        }
    }
    for len in (0..image.len()).step_by(37) {
        rummage(image[..len].to_vec());
    }
}

fn words<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.to_string(), |good| format!("no error but {good:?}"))
}

#[test]
#[expect(clippy::single_range_in_vec_init, reason = "lists of ranges are what is compared")]
fn free_clusters_and_where_files_lie() {
    let system = opened(volume()).unwrap();
    let find = |name: &str| system.lookup(ROOT, name.as_bytes()).unwrap().unwrap();
    // Clusters 2 to 8 are taken; there are 61.
    assert_eq!(system.free().unwrap(), [1536 + 7 * 512..32_768]);
    assert_eq!(system.extents(find("file.txt")).unwrap(), Some(vec![Extent { from: 0, at: 1536..1536 + 1100 }]));
    assert_eq!(system.extents(find("empty")).unwrap(), None);
    assert!(system.extents(find("dir")).is_err() && system.extents(find("loop")).is_err());

    // Two tables, the root directory and the clusters a sector later each.
    let mut twice = volume();
    twice.splice(1024..1024, volume()[512..1024].to_vec());
    twice.truncate(64 * 512);
    twice[0x10] = 2;
    assert_eq!(opened(twice.clone()).unwrap().free().unwrap(), [2048 + 7 * 512..32_768]);
    for (at, differs) in [(1024, false), (1026, false), (1027, true), (1024 + 90, true), (512 + 13, true), (1024 + 100, false)] {
        let mut broken = twice.clone();
        broken[at] ^= 0x10;
        let told = words(opened(broken).unwrap().free());
        assert_eq!(told.contains("the tables differ"), differs, "byte {at}: {told}");
    }

    let with = |at: usize, value: u8| {
        let mut image = volume();
        image[at] = value;
        words(opened(image).unwrap().free())
    };
    assert!(with(0x25, 1).contains("not unmounted"));
    assert!(with(512, 0xf0).contains("begins with 0xf0"));
    // Cut off behind what files use, and within it.
    let cut = |sectors: usize| opened(volume()[..sectors * 512].to_vec()).unwrap();
    assert_eq!(words(cut(60).free()), "damaged: free space lies at bytes 5120 to 32768, the volume has 30720");
    assert!(cut(60).extents(find("file.txt")).is_ok());
    assert!(words(cut(5).extents(find("file.txt"))).contains("the file lies at bytes 1536 to 2636, the volume has 2560"));
    // A gap in a chain is free; that a file lies there is for others to see.
    assert_eq!(with(512 + 3, 0), "no error but [1536..2048, 5120..32768]");
}
