//! VHDX files that QEMU makes, read by vhdkit and by QEMU: both must see the same disk.
//!
//! Needs `qemu-img` and `qemu-io`; without them each test says that it was skipped.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic"
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Memory, ReadAt, is_zero, read_vec};
use vhdkit::container::vhdx::{LogState, Vhdx, open, read};

const MIB: u64 = 1 << 20;

fn installed() -> bool {
    let found =
        ["qemu-img", "qemu-io"].iter().all(|tool| Command::new(tool).arg("--version").output().is_ok_and(|out| out.status.success()));
    if !found {
        eprintln!("SKIPPED: qemu-img and qemu-io are not both installed, so nothing was compared with QEMU");
    }
    found
}

fn run(tool: &str, args: &[&str]) {
    let out = Command::new(tool).args(args).output().unwrap();
    assert!(out.status.success(), "{tool} {args:?}: {}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn create(path: &Path, options: &str, size: &str) {
    run("qemu-img", &["create", "-q", "-f", "vhdx", "-o", options, text(path), size]);
}

fn write(path: &Path, commands: &[&str]) {
    let mut args = vec!["-f", "vhdx"];
    for command in commands {
        args.extend(["-c", command]);
    }
    args.push(text(path));
    run("qemu-io", &args);
}

fn host(path: &Path) -> Bytes {
    Arc::new(HostFile::open(path, Access::default()).unwrap())
}

/// What QEMU says the disk holds.
fn oracle(path: &Path) -> Bytes {
    let raw = path.with_extension("raw");
    run("qemu-img", &["convert", "-f", "vhdx", "-O", "raw", text(path), text(&raw)]);
    host(&raw)
}

/// Both disks are the same, read in pieces of an odd size; what both leave out as holes is zeros.
fn compare(ours: &dyn ReadAt, theirs: &dyn ReadAt) {
    assert_eq!(ours.size(), theirs.size());
    let piece = 3 * MIB / 2 + 4099;
    let mut at = 0;
    while let Some(start) = [ours.data(at), theirs.data(at)].into_iter().flatten().map(|data| data.start.max(at)).min() {
        let len = piece.min(ours.size() - start) as usize;
        let (mine, other) = (read_vec(ours, start, len).unwrap(), read_vec(theirs, start, len).unwrap());
        assert!(mine == other, "differs within {len} bytes at {start}");
        let hole = ours.data(start).map_or(len, |data| ((data.start - start) as usize).min(len));
        assert!(is_zero(&other[..hole]), "data in the hole at {start}");
        at = start + len as u64;
    }
    let last = ours.size() - 512;
    assert_eq!(read_vec(ours, last, 512).unwrap(), read_vec(theirs, last, 512).unwrap());
}

/// Reads a file as QEMU does, without any deviation.
fn agrees(path: &Path) -> Vhdx {
    let (facts, disk) = open(&host(path)).unwrap();
    compare(&disk, &oracle(path));
    assert_eq!(facts.deviations, []);
    facts
}

#[test]
fn dynamic_disks_of_every_shape() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.vhdx");
    // The last is above one chunk of 4 GiB, so that entries for sector bitmaps lie between those for blocks.
    for (options, size) in [
        ("block_size=1M,subformat=dynamic", "10M"),
        ("block_size=1M,subformat=dynamic", "3146240"),
        ("block_size=2M,subformat=dynamic", "64M"),
        ("block_size=32M,subformat=dynamic", "127M"),
        ("block_size=256M,subformat=dynamic", "300M"),
        ("block_size=1M,subformat=dynamic,block_state_zero=off", "10M"),
        ("block_size=1M,subformat=dynamic,log_size=4M", "10M"),
        ("block_size=1M,subformat=dynamic", "9G"),
    ] {
        create(&path, options, size);
        let facts = agrees(&path);
        assert_eq!(facts.headers, [true; 2]);
        assert_eq!((facts.leave_allocated, facts.has_parent), (Some(false), Some(false)));
        write(&path, &["write -P 1 0 512", "write -P 2 1536k 1M", "write -P 3 2621440 512", "write -P 0 1k 512"]);
        if size == "9G" {
            write(&path, &["write -P 4 4095M 2M", "write -P 5 8191M 3M", "write -P 6 9215M 1M"]);
        }
        let facts = agrees(&path);
        assert!(facts.creator.starts_with("QEMU v"), "{}", facts.creator);
        let blocks = facts.blocks.unwrap();
        assert!(blocks.fully_present > 0 && blocks.fully_present < blocks.total || blocks.total <= 3, "{options} {size}: {blocks:?}");
    }
}

#[test]
fn fixed_disks() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.vhdx");
    for (options, size) in [("block_size=1M,subformat=fixed", "10M"), ("block_size=8M,subformat=fixed", "20M")] {
        create(&path, options, size);
        write(&path, &["write -P 7 1M 512", "write -P 8 9437184 1M"]);
        // QEMU gives every block its place, but marks those that are zeros.
        let facts = agrees(&path);
        let blocks = facts.blocks.unwrap();
        assert_eq!((facts.leave_allocated, blocks.fully_present + blocks.zero), (Some(true), blocks.total));
    }
}

#[test]
fn a_whole_disk_converted_by_qemu() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (raw, path) = (dir.path().join("in.raw"), dir.path().join("disk.vhdx"));
    let mut state = 1_u64;
    let mut bytes = Vec::new();
    for block in 0..12 * 256 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let filler = if state >> 62 == 0 { (block % 255) as u8 + 1 } else { 0 };
        bytes.extend([filler; 4096]);
    }
    fs::write(&raw, &bytes).unwrap();
    run("qemu-img", &["convert", "-f", "raw", "-O", "vhdx", "-o", "block_size=1M", text(&raw), text(&path)]);
    let (_, disk) = open(&host(&path)).unwrap();
    compare(&disk, &Memory(bytes));
}

/// A file whose change of the BAT is only in the log: as QEMU would leave it when it dies right after the log was flushed.
#[test]
fn a_log_is_replayed_as_qemu_does() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.vhdx");
    create(&path, "block_size=1M,subformat=dynamic", "20M");
    let before = fs::read(&path).unwrap();
    write(&path, &["write -P 9 3M 64k", "write -P 10 7M 1M"]);
    let want = oracle(&path);
    let mut dirty = fs::read(&path).unwrap();
    let size = dirty.len() as u64;

    // Sectors outside of headers, log (at 1 MiB) and payload that the writes changed.
    let changed: Vec<usize> = (192 * 1024..before.len().min(8 << 20))
        .step_by(4096)
        .filter(|at| !(MIB as usize..2 * MIB as usize).contains(at) && before[*at..at + 4096] != dirty[*at..at + 4096])
        .collect();
    assert!(!changed.is_empty(), "the writes changed the BAT");
    let guid = [0x5a; 16];
    // Two entries, so that the second overwrites what the first says, in a ring that they wrap around.
    let start = MIB as usize - 8192;
    let stale = changed.iter().map(|at| (*at, before[*at..at + 4096].to_vec())).collect::<Vec<_>>();
    let fresh = changed.iter().map(|at| (*at, dirty[*at..at + 4096].to_vec())).collect::<Vec<_>>();
    for (at, sector) in &stale {
        dirty[*at..at + 4096].copy_from_slice(sector);
    }
    let one = entry(41, start, &stale, guid, size);
    let two = entry(42, start, &fresh, guid, size);
    for (n, byte) in one.iter().chain(&two).enumerate() {
        dirty[MIB as usize + (start + n) % MIB as usize] = *byte;
    }
    // Both headers name the log; the sequence numbers stay.
    for at in [64 * 1024, 128 * 1024] {
        dirty[at + 48..at + 64].copy_from_slice(&guid);
        seal(&mut dirty[at..at + 4096]);
    }
    let path = dir.path().join("dirty.vhdx");
    fs::write(&path, &dirty).unwrap();

    let (facts, disk) = open(&host(&path)).unwrap();
    assert_eq!(facts.log, LogState::Replayed { entries: 2, sectors: changed.len() as u64 });
    compare(&disk, &want);
    assert_eq!(fs::read(&path).unwrap(), dirty, "the source is as it was");

    run("qemu-img", &["check", "-q", "-r", "all", text(&path)]);
    compare(&disk_of(&path), &oracle(&path));
    compare(&disk, &oracle(&path));
    assert_eq!(read(&host(&path)).unwrap().log, LogState::Clean);

    // The log speaks of a file that is longer than this one.
    dirty.truncate(dirty.len() - MIB as usize);
    let facts = read(&(Arc::new(Memory(dirty)) as Bytes)).unwrap();
    assert!(facts.refusal.unwrap().to_string().contains("expected a file of at least"));
}

fn disk_of(path: &Path) -> Bytes {
    open(&host(path)).unwrap().1
}

/// An entry of the log that changes whole sectors.
fn entry(number: u64, tail: usize, sectors: &[(usize, Vec<u8>)], guid: [u8; 16], size: u64) -> Vec<u8> {
    let mut head = vec![0; 4096];
    head[..4].copy_from_slice(b"loge");
    head[8..12].copy_from_slice(&(4096 * (sectors.len() as u32 + 1)).to_le_bytes());
    head[12..16].copy_from_slice(&(tail as u32).to_le_bytes());
    head[16..24].copy_from_slice(&number.to_le_bytes());
    head[24..28].copy_from_slice(&(sectors.len() as u32).to_le_bytes());
    head[32..48].copy_from_slice(&guid);
    head[48..56].copy_from_slice(&size.to_le_bytes());
    head[56..64].copy_from_slice(&size.to_le_bytes());
    let mut data = Vec::new();
    for (n, (at, sector)) in sectors.iter().enumerate() {
        let descriptor = &mut head[64 + 32 * n..][..32];
        descriptor[..4].copy_from_slice(b"desc");
        descriptor[4..8].copy_from_slice(&sector[4092..]);
        descriptor[8..16].copy_from_slice(&sector[..8]);
        descriptor[16..24].copy_from_slice(&(*at as u64).to_le_bytes());
        descriptor[24..].copy_from_slice(&number.to_le_bytes());
        data.extend_from_slice(b"data");
        data.extend(((number >> 32) as u32).to_le_bytes());
        data.extend(&sector[8..4092]);
        data.extend((number as u32).to_le_bytes());
    }
    head.extend(data);
    seal(&mut head);
    head
}

/// Sets the CRC-32C at byte 4, computed bit by bit: independent of the one under test.
fn seal(structure: &mut [u8]) {
    structure[4..8].fill(0);
    let mut sum = !0_u32;
    for byte in structure.iter() {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
        }
    }
    structure[4..8].copy_from_slice(&(!sum).to_le_bytes());
}
