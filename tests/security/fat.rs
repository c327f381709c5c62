//! FAT has no links, but names that its programs would never write: `..` where none belongs, paths, loops. None of them leads out.

use crate::every::{CANARY, reading, run_raw, tells};
use crate::reports::{EVIL, all_hold};
use crate::support::{Disk, ESP, LINUX_DATA, MIB, directory_entry as entry};
use std::fs;

const SECTORS: u64 = 32_768;

/// An entry with a long name before it ("FAT32 File System Specification" 1.03, "Long Directory Entries").
fn long(name: &[u16], short: &[u8; 11], attributes: u8, cluster: u16, size: u32) -> Vec<u8> {
    let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let mut units = name.to_vec();
    if !units.len().is_multiple_of(13) {
        units.push(0);
    }
    units.resize(units.len().next_multiple_of(13), 0xffff);
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (number, part) in units.chunks(13).enumerate() {
        let mut bytes = vec![0; 32];
        bytes[0] = number as u8 + 1;
        bytes[11] = 0x0f;
        bytes[13] = sum;
        for (unit, at) in part.iter().zip([1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]) {
            bytes[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        parts.push(bytes);
    }
    parts.last_mut().unwrap()[0] |= 0x40;
    parts.reverse();
    parts.push(entry(short, attributes, cluster, size));
    parts.concat()
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A FAT16 whose root directory has these entries; clusters 2 to 4 are directories, 5 is a file.
fn volume(root: &[Vec<u8>], directories: [Vec<u8>; 3], file: &[u8]) -> [(u64, Vec<u8>); 6] {
    let mut boot = vec![0; 512];
    boot[..11].copy_from_slice(b"\xeb\x3c\x90mkfs.fat");
    boot[11..13].copy_from_slice(&512_u16.to_le_bytes());
    // Sectors a cluster, reserved sectors, FATs.
    boot[13..17].copy_from_slice(&[4, 4, 0, 2]);
    boot[17..19].copy_from_slice(&512_u16.to_le_bytes());
    boot[19..21].copy_from_slice(&(SECTORS as u16).to_le_bytes());
    boot[21] = 0xf8;
    boot[22..24].copy_from_slice(&32_u16.to_le_bytes());
    boot[24..28].copy_from_slice(&[63, 0, 255, 0]);
    boot[36..39].copy_from_slice(&[0x80, 0, 0x29]);
    boot[39..43].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    boot[43..62].copy_from_slice(b"..\\../../..FAT16   ");
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    let table = [&[0xf8, 0xff, 0xff, 0xff][..], &[0xff; 8]].concat();
    let data = directories.concat();
    assert!(data.len() == 3 * 2048);
    [(0, boot), (4 * 512, table.clone()), (36 * 512, table), (68 * 512, root.concat()), (100 * 512, data), (112 * 512, file.to_vec())]
}

fn directory(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.resize(2048, 0);
    bytes
}

#[test]
fn odd_names_of_fat_stay_in_the_guest() {
    let work = tempfile::tempdir().unwrap();
    let host = fs::canonicalize(work.path()).unwrap().join("host");
    fs::create_dir(&host).unwrap();
    let victim = host.join("victim").to_str().unwrap().to_owned();
    fs::write(&victim, CANARY).unwrap();
    let own = b"the guest's own";
    let size = own.len() as u32;
    let (back, dots) = (victim.replace('/', "\\"), "../".repeat(12));
    let broken: Vec<u16> = [0xd83d, 0x202e].into_iter().chain(units("##vso[x]")).collect();
    let root = [
        entry(b"OWN     TXT", 0x20, 5, size),
        entry(b"LOOP       ", 0x10, 2, 0),
        entry(b"..         ", 0x10, 2, 0),
        entry(b".          ", 0x10, 3, 0),
        entry(b"AB\x1b[2J\x07\x9b##[", 0x20, 5, size),
        long(&units(&back), b"VICTIM3    ", 0x20, 5, size),
        long(&units(&format!("C:{back}")), b"VICTIM4    ", 0x20, 5, size),
        long(&units(".."), b"UP         ", 0x10, 3, 0),
        long(&units("..\\.."), b"UPUP       ", 0x10, 3, 0),
        long(&units(&EVIL.replace('/', "").chars().take(200).collect::<String>()), b"WORDS      ", 0x20, 5, size),
        long(&broken, b"BROKEN     ", 0x20, 5, size),
        entry(b"EFI        ", 0x10, 3, 0),
    ];
    let loops = directory(&[
        entry(b".          ", 0x10, 3, 0),
        entry(b"..         ", 0x10, 2, 0),
        entry(b"LOOP       ", 0x10, 2, 0),
        entry(b"OWN     TXT", 0x20, 5, size),
    ]);
    // A name with a slash is none: what holds it is damaged.
    let efi = directory(&[
        entry(b".          ", 0x10, 3, 0),
        entry(b"..         ", 0x10, 0, 0),
        entry(b"BOOT       ", 0x10, 4, 0),
        long(&units(&format!("{dots}BOOT")), b"BOOT2      ", 0x10, 4, 0),
    ]);
    let boot = directory(&[
        entry(b".          ", 0x10, 4, 0),
        entry(b"..         ", 0x10, 3, 0),
        long(&units(&format!("{dots}{victim}.efi")), b"BOOTX64 EFI", 0x20, 5, size),
        entry(b"BOOTX64 EFI", 0x20, 5, size),
        entry(b"../../../..", 0x10, 0, 0),
        entry(b"/          ", 0x10, 0, 0),
    ]);
    for kind in [ESP, LINUX_DATA] {
        let disk = work.path().join("fat.raw");
        let mut whole = Disk::blank(24 * MIB).gpt(&[(kind, 2048, SECTORS)]);
        for (at, piece) in volume(&root, [loops.clone(), efi.clone(), boot.clone()], own) {
            whole = whole.put(MIB + at, piece);
        }
        whole.write_raw(&disk);
        let all = reading(&disk, work.path(), &[]);
        for said in &all {
            assert!(!tells(&said.bytes), "{} tells what is on the host", said.by);
        }
        all_hold(&all, work.path());
        if kind != ESP {
            continue;
        }
        let ask = |command: &str, path: &str| run_raw(&[command, disk.to_str().unwrap(), path], work.path());
        let deep = format!("/{}OWN.TXT", "LOOP/".repeat(300));
        for path in ["/OWN.TXT", "C:\\own.txt", "/LOOP/LOOP/LOOP/OWN.TXT", "/LOOP/../OWN.TXT", "/../../OWN.TXT", &deep] {
            let (status, out, err) = ask("cat", path);
            assert_eq!((status, &out[..]), (Some(0), &own[..]), "{path}: {}", String::from_utf8_lossy(&err));
        }
        let mut paths = vec![victim.clone(), format!("/{dots}{victim}"), format!("/LOOP/{dots}{victim}"), format!("C:{back}")];
        paths.extend(
            ["/..", "/../..", "/LOOP/../..", "/EFI/../..", "/.", "/LOOP/LOOP", "//", "/../../../..", "C:", "/UP", "/EFI/BOOT"]
                .map(str::to_owned),
        );
        for path in &paths {
            let (status, out, err) = ask("cat", path);
            assert!(status == Some(2) && out.is_empty(), "{path}: {}", String::from_utf8_lossy(&out));
            assert!(!String::from_utf8(err).unwrap().contains(CANARY), "{path}");
            let (_, out, err) = ask("ls", path);
            let listed = String::from_utf8([out, err].concat()).unwrap();
            assert!(!listed.contains(CANARY) && !listed.lines().any(|line| line.ends_with(" victim")), "{path}: {listed}");
        }
    }
}
