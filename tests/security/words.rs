//! Words of strangers in headers: volumes, file systems, sealed ones and containers. Their own programs refuse most of such names, so
//! headers are written here, checksums too, or labels that programs wrote are replaced in place.
//!
//! Every place has a mark of its own, which must be told somewhere: a place whose words nobody tells would prove nothing.

use crate::every::{Said, reading, writing};
use crate::reports::{EVIL, all_hold, name_partitions};
use crate::sample;
use crate::support::{Disk, LINUX_DATA, MIB};
use sha2::{Digest, Sha256};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A mark, and what short fields have room for.
fn short(mark: &str, len: usize) -> Vec<u8> {
    let mut bytes = [mark.as_bytes(), b"\x1b[2J##[x]\x9b\xff\xe2\x80\xae::error::##vso[a]b\r\n&<\"'`$(x)\x07\x7f"].concat();
    bytes.truncate(len);
    bytes
}

/// The same in units of UTF-16, half a pair among them.
pub fn wide(mark: &str, len: usize) -> Vec<u16> {
    let mut units: Vec<u16> = format!("{mark}\x1b[2J").encode_utf16().collect();
    units.extend([0xd83d, 0x202e, 0x9b, 0xdc00]);
    units.extend("##vso[a]::error::<&\"\u{2028}\u{200b}".encode_utf16());
    units.truncate(len);
    units
}

pub fn bytes_of(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

/// Fails where the words of one of the marks are told nowhere.
#[track_caller]
pub fn are_told<M: AsRef<str>>(marks: &[M], all: &[Said]) {
    let told: String = all.iter().map(|said| String::from_utf8_lossy(&said.bytes)).collect();
    // What follows a mark is written as an escape, and in JSON the escape's sign may be escaped itself.
    let silent: Vec<&str> = marks.iter().map(AsRef::as_ref).filter(|mark| !told.contains(&format!("{mark}\\"))).collect();
    assert!(silent.is_empty(), "nobody tells {silent:?}");
}

/// Holds all that is said of a disk, with what preparing it leaves and says.
fn hold(disk: &Path, work: &Path, marks: &[&str]) {
    let mut all = reading(disk, work, &[]);
    all.extend(writing(disk, work, &["prepare", "-v", "--role=data", "--allow-undecided"]));
    are_told(marks, &all);
    all_hold(&all, work);
}

/// LVM's CRC (`lib/misc/crc.c`): begun with a number of its own, not inverted.
fn lvm_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A physical volume with this text in its metadata area (`lib/format_text/layout.h`).
fn physical_volume(size: u64, text: &str) -> Vec<u8> {
    let mut bytes = vec![0; 64 << 10];
    let put = |bytes: &mut Vec<u8>, at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(&mut bytes, 512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001");
    put(&mut bytes, 544, "a".repeat(32).as_bytes());
    for (at, value) in [(576, size), (584, 64 << 10), (616, 4096), (624, 56 << 10)] {
        put(&mut bytes, at, &u64::to_le_bytes(value));
    }
    let sum = lvm_crc(&bytes[532..1024]);
    put(&mut bytes, 528, &sum.to_le_bytes());
    put(&mut bytes, 4100, b" LVM2 x[5A%r0N*>\x01\0\0\0");
    for (at, value) in [(4120, 4096), (4128, 56 << 10), (4136, 512), (4144, text.len() as u64)] {
        put(&mut bytes, at, &u64::to_le_bytes(value));
    }
    put(&mut bytes, 4152, &lvm_crc(text.as_bytes()).to_le_bytes());
    put(&mut bytes, 4608, text.as_bytes());
    let sum = lvm_crc(&bytes[4100..4608]);
    put(&mut bytes, 4096, &sum.to_le_bytes());
    bytes
}

/// Words in quotes, as LVM's text has them.
fn quoted(mark: &str) -> String {
    format!("\"{}\"", format!("{mark}{EVIL}").replace('\\', "\\\\").replace('"', "\\\""))
}

fn swap(label: &[u8]) -> Vec<u8> {
    let mut swap = vec![0; 4096];
    swap[1024] = 1;
    swap[1028] = 1;
    swap[1036..1052].fill(0x11);
    swap[1052..1052 + label.len()].copy_from_slice(label);
    swap[4086..].copy_from_slice(b"SWAPSPACE2");
    swap
}

#[test]
fn names_of_lvm_are_told_safely() {
    let id = |letter: &str| letter.repeat(32);
    let physical = |name: &str, letter: &str, device: &str| {
        format!("{name} {{\nid = \"{}\"\ndevice = {device}\ndev_size = 16384\npe_start = 128\npe_count = 100\n}}\n", id(letter))
    };
    let logical = |name: &str, letter: &str, segment: &str| {
        format!(
            "{name} {{\nid = \"{}\"\ntags = [{}]\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nsegment_count = 1\n{segment}}}\n",
            id(letter),
            quoted("silent")
        )
    };
    let segment = |name: &str, body: &str| format!("{name} {{\nstart_extent = 0\nextent_count = 16\n{body}\n}}\n");
    let (here, gone) = (quoted("Qa"), quoted("Qb"));
    let striped = |volume: &str, extent: u32| format!("type = \"striped\"\nstripe_count = 1\nstripes = [{volume}, {extent}]");
    let text = format!(
        "{} {{\nid = \"{}\"\nseqno = 1\nstatus = [\"READ\", \"WRITE\"]\ntags = [{}]\nextent_size = 16\nphysical_volumes {{\n{}{}}}\n\
         logical_volumes {{\n{}{}{}{}}}\n}}\ncontents = \"Text Format Volume Group\"\nversion = 1\ndescription = {}\ncreation_host = {}\n\0",
        quoted("Qc"),
        id("g"),
        quoted("silent"),
        physical(&here, "a", &quoted("Qd")),
        physical(&gone, "b", &quoted("Qe")),
        logical(&quoted("Qf"), "f", &segment("segment1", &striped(&here, 0))),
        logical(&quoted("Qg"), "h", &segment(&quoted("Qh"), "")),
        logical(&quoted("Qi"), "i", &segment("segment1", &format!("type = {}", quoted("Qj")))),
        logical(&quoted("Qk"), "k", &segment("segment1", &striped(&gone, 3))),
        quoted("silent"),
        quoted("silent"),
    );
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("lvm.vhd");
    let disk = |text: &str| Disk::blank(24 * MIB).gpt(&[(LINUX_DATA, 2048, 16_384)]).put(MIB, physical_volume(8 * MIB, text));
    // In the first logical volume stands a swap.
    disk(&text).put(MIB + (64 << 10), swap(&short("Ql", 16))).write_fixed(&path);
    hold(&path, work.path(), &["Qc", "Qe", "Qf", "Qg", "Qi", "Qj", "Qk", "Ql"]);

    // A group whose text says too little, in words of its own.
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("lvm.vhd");
    let broken = format!("{} {{\nid = \"{}\"\n}}\ncontents = \"Text Format Volume Group\"\nversion = 1\n\0", quoted("Qm"), id("g"));
    disk(&broken).write_fixed(&path);
    hold(&path, work.path(), &["Qm"]);
}

/// A header of LUKS2, sealed as cryptsetup seals it (LUKS2 On-Disk Format Specification 1.1.1, section 2).
fn luks2(mark: &str, json: &str) -> Vec<u8> {
    let mut header = vec![0; 0x4000];
    let put = |header: &mut Vec<u8>, at: usize, value: &[u8]| header[at..at + value.len()].copy_from_slice(value);
    put(&mut header, 0, b"LUKS\xba\xbe\0\x02");
    put(&mut header, 8, &0x4000_u64.to_be_bytes());
    put(&mut header, 24, &short(&format!("{mark}a"), 48));
    put(&mut header, 72, b"sha256");
    put(&mut header, 168, &short(&format!("{mark}b"), 40));
    put(&mut header, 208, &short(&format!("{mark}c"), 48));
    put(&mut header, 4096, json.as_bytes());
    let digest = Sha256::digest(&header);
    put(&mut header, 448, &digest);
    header
}

#[test]
fn headers_of_sealed_volumes_and_arrays_are_told_safely() {
    let word = |mark: &str| serde_json::Value::from(format!("{mark}{EVIL}")).to_string();
    let mut luks1 = vec![0; 4096];
    luks1[..8].copy_from_slice(b"LUKS\xba\xbe\0\x01");
    for (at, mark, len) in [(8, "Qa", 32), (40, "silent", 32), (168, "Qb", 40)] {
        luks1[at..at + len].copy_from_slice(&short(mark, len).into_iter().chain(std::iter::repeat(b'x')).take(len).collect::<Vec<u8>>());
    }
    let good = format!(
        "{{\"keyslots\":{{{}:{{\"type\":{}}},\"1\":{{\"type\":\"luks2\",\"key_size\":64}}}},\"tokens\":{{\"0\":{{\"type\":{}}}}},\
         \"segments\":{{\"0\":{{\"type\":\"crypt\",\"offset\":\"16384\",\"encryption\":{},\"integrity\":{{\"type\":{}}}}}}},\
         \"config\":{{\"requirements\":{{\"mandatory\":[{}]}}}}}}",
        word("silent"),
        word("silent"),
        word("Qd"),
        word("Qe"),
        word("Qf"),
        word("Qg")
    );
    let odd = format!("{{\"segments\":{{\"0\":{{\"type\":{},\"offset\":\"0\"}}}}}}", word("Qi"));
    // What is wrong with a text is told in its parser's words, which repeat the text's.
    let wrong = format!("{{\"keyslots\": {}}}", word("Qk"));
    // A member of an array (version 1.2), and an anchor of DDF in the last sector.
    let mut raid = vec![0; 256];
    raid[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
    raid[4] = 1;
    raid[16..32].fill(0x12);
    raid[32..64].copy_from_slice(&short("Ql", 32));
    raid[72] = 1;
    raid[92] = 2;
    raid[136..144].copy_from_slice(&1000_u64.to_le_bytes());
    raid[144] = 8;
    let mut ddf = vec![0xff; 512];
    ddf[..4].copy_from_slice(&[0xde, 0x11, 0xde, 0x11]);
    ddf[8..32].copy_from_slice(&short("Qm", 24));
    ddf[32..40].copy_from_slice(&short("Qn", 8));
    let mut cluster = vec![0; 4096];
    cluster[32..40].copy_from_slice(b"ORCLDISK");
    cluster[40..64].copy_from_slice(&short("Qo", 24));

    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("sealed.vhd");
    let pieces: [(u64, Vec<u8>); 7] = [
        (0, luks1),
        (0, luks2("Qc", &good)),
        (0, luks2("Qh", &odd)),
        (0, luks2("Qj", &wrong)),
        (4096, raid),
        (MIB - 512, ddf),
        (0, cluster),
    ];
    let places: Vec<(&str, u64, u64)> = (1..).take(pieces.len()).map(|place| (LINUX_DATA, place * 2048, 2048)).collect();
    let mut disk = Disk::blank(24 * MIB).gpt(&places);
    for ((_, first, _), (at, piece)) in places.iter().zip(pieces) {
        disk = disk.put(first * 512 + at, piece);
    }
    disk.write_fixed(&path);
    let marks = ["Qa", "Qb", "Qca", "Qcb", "Qcc", "Qd", "Qe", "Qf", "Qg", "Qha", "Qhb", "Qhc", "Qi", "Qja", "Qk", "Ql", "Qm", "Qn", "Qo"];
    hold(&path, work.path(), &marks);
}

/// Makes a file system in a new file; `false`, told loudly, without its program.
fn made(path: &Path, mib: u64, command: &str) -> bool {
    std::fs::File::create(path).unwrap().set_len(mib * MIB).unwrap();
    let programs = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let line = command.replace("{}", path.to_str().unwrap());
    let out = Command::new("sh").args(["-c", &line]).env("PATH", programs).stdin(Stdio::null()).output().unwrap();
    if !out.status.success() {
        eprintln!("SKIPPED: {command}: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    out.status.success()
}

/// A file system that a program made, with another label than it was given.
fn labelled(work: &Path, mib: u64, command: &str, given: &[u8], label: &[u8]) -> Option<Vec<u8>> {
    let path = work.join("volume");
    if !made(&path, mib, command) {
        return None;
    }
    let mut bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(given.len(), label.len());
    let first = given[0];
    let places: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(at, _)| at).collect();
    let places: Vec<usize> = places.into_iter().filter(|at| bytes[*at..].starts_with(given)).collect();
    assert!(!places.is_empty(), "{command}: the label is not there");
    for at in places {
        bytes[at..at + label.len()].copy_from_slice(label);
    }
    Some(bytes)
}

/// Where it is not zeros.
fn laid(mut disk: Disk, at: u64, bytes: &[u8]) -> Disk {
    for (number, piece) in bytes.chunks(4096).enumerate().filter(|(_, piece)| piece.iter().any(|byte| *byte != 0)) {
        disk = disk.put(at + number as u64 * 4096, piece);
    }
    disk
}

#[test]
fn labels_are_told_safely() {
    let work = tempfile::tempdir().unwrap();
    let ascii = "LABELLABEL";
    let units = |text: &str| bytes_of(&text.encode_utf16().collect::<Vec<u16>>());
    let kinds: [(&str, &str, Vec<u8>, Vec<u8>); 4] = [
        ("Qa", "mke2fs -q -F -t ext4 -O ^metadata_csum -L LABELLABELLABELX {}", b"LABELLABELLABELX".to_vec(), short("Qa", 16)),
        ("Qb", "mkfs.vfat -n LABELLABELX {}", b"LABELLABELX".to_vec(), short("Qb", 11)),
        ("Qc", "mkntfs -q -Q -F -L LABELLABEL {}", units(ascii), bytes_of(&wide("Qc", 10))),
        ("Qd", "mkfs.exfat -L LABELLABEL {}", units(ascii), bytes_of(&wide("Qd", 10))),
    ];
    let mut marks = vec!["Qe", "Qf", "Qg"];
    let mut volumes = vec![swap(&short("Qe", 16))];
    for (mark, command, given, label) in &kinds {
        if let Some(volume) = labelled(work.path(), 4, command, given, label) {
            marks.push(mark);
            volumes.push(volume);
        }
    }
    let places: Vec<(&str, u64, u64)> = (0..volumes.len() as u64).map(|place| (LINUX_DATA, 2048 + place * 8192, 8192)).collect();
    let mut disk = Disk::blank(24 * MIB).gpt(&places);
    for ((_, first, _), volume) in places.iter().zip(&volumes) {
        disk = laid(disk, first * 512, volume);
    }
    let mut bytes = disk.bytes();
    name_partitions(&mut bytes, &[wide("Qf", 36)]);
    let path = work.path().join("labels.vhd");
    laid(Disk::blank(24 * MIB), 0, &bytes).write_fixed_with(&path, |footer| {
        footer[28..32].copy_from_slice(b"Qg\x1b\x9b");
        footer[36..40].copy_from_slice(b"\x1b[m\r");
    });
    hold(&path, work.path(), &marks);
}

#[test]
fn labels_of_larger_file_systems_are_told_safely() {
    // The label, and what is sealed with it: where the block is, how long, where its checksum lies and what of it counts.
    for (mark, mib, command, places, label, block, checksum, counted) in [
        ("Qx", 300, "mkfs.xfs -q -f {}", &[0][..], 108, 512, 224, 0..512),
        ("Qy", 110, "mkfs.btrfs -q -f {}", &[0x1_0000, 0x400_0000], 0x12b, 4096, 0, 32..4096),
    ] {
        let work = tempfile::tempdir().unwrap();
        let path = work.path().join("volume.raw");
        if !made(&path, mib, command) {
            continue;
        }
        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        for at in places {
            let mut bytes = vec![0; block];
            file.read_exact_at(&mut bytes, *at).unwrap();
            bytes[label..label + 12].copy_from_slice(&short(mark, 12));
            bytes[checksum..checksum + 4].fill(0);
            let sum = crc32c::crc32c(&bytes[counted.clone()]);
            bytes[checksum..checksum + 4].copy_from_slice(&sum.to_le_bytes());
            file.write_all_at(&bytes, *at).unwrap();
        }
        let all = reading(&path, work.path(), &[]);
        are_told(&[mark], &all);
        all_hold(&all, work.path());
    }
}

#[test]
fn names_of_parents_are_told_safely() {
    let locators = |name: &str| vec![(*b"W2ru", format!(".\\{name}")), (*b"W2ku", format!("C:\\{name}")), (*b"MacX", name.to_owned())];
    let name: String = format!("Qa{}", EVIL.replace(['/', '\\', ':'], "")).chars().take(120).collect();
    for there in [false, true] {
        let work = tempfile::tempdir().unwrap();
        let disk = sample::content();
        let shape = sample::Sparse::differencing(vec![0], |_| false, locators(&name), &name, sample::PARENT_ID);
        let mut child = shape.write(&disk);
        if there {
            let mut parent = disk.clone();
            parent.extend(sample::footer(2, disk.len() as u64, &sample::PARENT_ID));
            sample::save(&work.path().join(&name), &parent);
        } else {
            // Half a pair in the name: no file of a host has it.
            sample::put(
                &mut child,
                sample::HEADER + 64,
                &bytes_of(&wide("Qb", 30)).chunks(2).flat_map(|unit| [unit[1], unit[0]]).collect::<Vec<u8>>(),
            );
            sample::seal_header(&mut child);
        }
        let path = work.path().join("child.vhd");
        sample::save(&path, &child);
        hold(&path, work.path(), &["Qa"]);
    }
}

/// A differencing VHDX with these entries of its parent locator ([MS-VHDX] 2.2 to 2.6).
fn vhdx(entries: &[(Vec<u16>, Vec<u16>)]) -> Vec<u8> {
    let mib = 1 << 20;
    let mut file = vec![0; 4 * mib];
    let stored = |id: &str| {
        let digits: String = id.chars().filter(|c| *c != '-').collect();
        let mut bytes: Vec<u8> = (0..16).map(|n| u8::from_str_radix(&digits[n * 2..n * 2 + 2], 16).unwrap()).collect();
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    };
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    let seal = |file: &mut Vec<u8>, at: usize, len: usize| {
        let sum = crc32c::crc32c(&file[at..at + len]);
        file[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
    };
    put(&mut file, 0, b"vhdxfile");
    put(&mut file, 8, &bytes_of(&wide("Qz", 30)));
    for (number, at) in [(1_u64, 0x10000), (2, 0x20000)] {
        let log = [&[0, 0, 1, 0][..], &(mib as u32).to_le_bytes(), &(mib as u64).to_le_bytes()].concat();
        put(&mut file, at, &[&b"head\0\0\0\0"[..], &number.to_le_bytes(), &[1; 16], &[2; 16], &[0; 16], &log].concat());
        seal(&mut file, at, 4096);
    }
    for at in [0x30000, 0x40000] {
        put(&mut file, at, b"regi\0\0\0\0\x02\0\0\0\0\0\0\0");
        for (number, id) in ["2dc27766-f623-4200-9d64-115e9bfd4a08", "8b7ca206-4790-4b9a-b8fe-575f050f886e"].iter().enumerate() {
            let place = [3 * mib as u64, 2 * mib as u64][number].to_le_bytes();
            let rest = [&place[..], &(mib as u32).to_le_bytes(), &1_u32.to_le_bytes()].concat();
            put(&mut file, at + 16 + number * 32, &[stored(id), rest].concat());
        }
        seal(&mut file, at, 0x10000);
    }
    let mut locator = [stored("b04aefb7-d19e-4a81-b789-25b8e9445913"), vec![0, 0], (entries.len() as u16).to_le_bytes().to_vec()].concat();
    let mut words = Vec::new();
    let start = 20 + 12 * entries.len();
    for (key, value) in entries {
        let (key, value) = (bytes_of(key), bytes_of(value));
        let at = (start + words.len()) as u32;
        locator.extend([at.to_le_bytes(), (at + key.len() as u32).to_le_bytes()].concat());
        locator.extend([(key.len() as u16).to_le_bytes(), (value.len() as u16).to_le_bytes()].concat());
        words.extend([key, value].concat());
    }
    locator.extend(words);
    let items = [
        // Blocks of 1 MiB, and a parent.
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", [(mib as u32).to_le_bytes(), 2_u32.to_le_bytes()].concat(), 4_u32),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", (24 * mib as u64).to_le_bytes().to_vec(), 6),
        ("beca12ab-b2e6-4523-93ef-c309e000c746", vec![7; 16], 6),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", 512_u32.to_le_bytes().to_vec(), 6),
        ("cda348c7-445d-4471-9cc9-e9885251c556", 4096_u32.to_le_bytes().to_vec(), 6),
        ("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", locator, 4),
    ];
    put(&mut file, 2 * mib, b"metadata\0\0\x06\0");
    for (number, (id, value, flags)) in items.iter().enumerate() {
        let offset = 0x10000 + number * 32;
        let rest = [offset as u32, value.len() as u32, *flags, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        put(&mut file, 2 * mib + 32 + number * 32, &[stored(id), rest].concat());
        put(&mut file, 2 * mib + offset, value);
    }
    file
}

#[test]
fn locators_of_vhdx_are_told_safely() {
    let text = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    for (paths, tells) in [(vec!["relative_path"], true), (vec!["absolute_win32_path"], true), (vec!["volume_path"], false)] {
        let mut entries = vec![(text(&format!("Qs{EVIL}")), text(&format!("Qt{EVIL}"))), (text("parent_linkage"), wide("Qu", 30))];
        entries.extend(paths.iter().map(|key| (text(key), wide("Qv", 30))));
        let work = tempfile::tempdir().unwrap();
        let path = work.path().join("child.vhdx");
        std::fs::write(&path, vhdx(&entries)).unwrap();
        let all = reading(&path, work.path(), &[]);
        are_told(if tells { &["Qv"] } else { &[] }, &all);
        all_hold(&all, work.path());
    }
}
