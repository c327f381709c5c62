//! Free space as other people's programs know it: mkntfs and ntfs-3g's tools, mkfs.fat, mtools and fsck.fat, mkswap, LVM.
//!
//! Volumes are filled, some of it is deleted, and what is found free is read as zeros in a copy. Afterwards every checker must be content,
//! every file must have its content in another reader, and no byte of what was deleted may be left. What is not there is SKIPPED, loudly.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::let_underscore_must_use,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "support/ntfs_3g.rs"]
mod ntfs_3g;

use ntfs_3g::Mounted;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Punched, ReadAt, read_vec};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::fs::NodeId;
use vhdkit::inspect::{self, Options, Region};
use vhdkit::trim::{self, Trimmed};

fn has(programs: &[&str]) -> bool {
    for program in programs {
        if !Command::new("sh").args(["-c", &format!("PATH=$PATH:/usr/sbin:/sbin; command -v {program}")]).output().unwrap().status.success()
        {
            eprintln!("SKIPPED: {program} is not installed, so free space was not held against it");
            return false;
        }
    }
    true
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("PATH", path).env("LC_ALL", "C").env("MTOOLS_SKIP_CHECK", "1");
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {words}{}", String::from_utf8_lossy(&output.stderr));
    words
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn image(place: &Path, name: &str, size: u64) -> PathBuf {
    let path = place.join(name);
    fs::File::create(&path).unwrap().set_len(size).unwrap();
    path
}

/// Lines that tell whose they are, so that any piece of them can be found.
fn lines(word: &str, number: usize, len: usize) -> Vec<u8> {
    (0..).flat_map(|line| format!("{word} {number:04} {line:08}\n").into_bytes()).take(len).collect()
}

const GONE: &str = "DELETED-FILE";
const KEPT: &str = "KEPT-FILE";

/// How often a word stands in a file.
fn occurrences(path: &Path, word: &str) -> usize {
    let file = fs::File::open(path).unwrap();
    let (size, zeros) = (file.metadata().unwrap().len(), vec![0; 1 << 20]);
    let (mut at, mut found, mut end) = (0, 0, vec![]);
    while at < size {
        let mut piece = vec![0; usize::try_from((size - at).min(1 << 20)).unwrap()];
        file.read_exact_at(&mut piece, at).unwrap();
        at += piece.len() as u64;
        if piece == zeros[..piece.len()] {
            end.clear();
            continue;
        }
        // With the end of the piece before it, which is too short to hold the word itself.
        end.extend(&piece);
        found += String::from_utf8_lossy(&end).matches(word).count();
        end = piece.split_off(piece.len().saturating_sub(word.len() - 1));
    }
    found
}

/// The disk of an image, and what stands on it.
fn open(path: &Path) -> (Vec<Region>, Vec<Bytes>) {
    let file: Bytes = Arc::new(HostFile::open(path, Access::Positional).unwrap());
    let search = ParentSearch { directories: vec![], access: Access::Positional };
    let inspected = inspect::disk(&Source { file: &file, path, search: &search }, Options::default()).unwrap();
    (inspected.inside.unwrap().regions, vec![inspected.container.disk.unwrap()])
}

fn find(path: &Path) -> Vec<Trimmed> {
    let (regions, disks) = open(path);
    trim::find(&regions, &disks).unwrap()
}

fn only(found: Vec<Trimmed>) -> Trimmed {
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

/// Writes a copy in which the free ranges are zeros.
fn without(source: &Path, found: &[Trimmed], to: &Path) {
    let (_, disks) = open(source);
    let holes = found.iter().flat_map(|one| one.free.clone().unwrap_or_default()).map(|(_, range)| range).collect();
    let punched = Punched::new(disks[0].clone(), holes);
    let file = fs::File::create(to).unwrap();
    file.set_len(punched.size()).unwrap();
    let mut at = 0;
    while let Some(range) = punched.data(at) {
        at = range.end.min(range.start + (1 << 20));
        let part = read_vec(&punched, range.start, usize::try_from(at - range.start).unwrap()).unwrap();
        file.write_all_at(&part, range.start).unwrap();
    }
}

fn sum<'a>(ranges: impl IntoIterator<Item = &'a std::ops::Range<u64>>) -> u64 {
    ranges.into_iter().map(|range| range.end - range.start).sum()
}

/// Numbers that look random and are the same at each run.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// Flips bits of a file in these ranges.
fn flip(path: &Path, ranges: &[(u64, u64)], dice: &mut dyn FnMut(u64) -> u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    for _ in 0..=dice(6) {
        // The same in all ranges, as copies of each other.
        let (at, bit) = (dice(ranges[0].1), dice(8));
        for (start, _) in ranges {
            let mut byte = [0];
            file.read_exact_at(&mut byte, start + at).unwrap();
            byte[0] ^= 1 << bit;
            file.write_all_at(&byte, start + at).unwrap();
        }
    }
}

/// Every FAT with something deleted in it.
fn filled_fat(place: &Path, options: &[&str], kib: u64) -> (PathBuf, BTreeMap<String, Vec<u8>>) {
    let path = image(place, &format!("fat-{}", options.join("")), kib << 10);
    succeed("mkfs.fat", &[options, &[text(&path)]].concat());
    let mut kept = BTreeMap::new();
    let most = (usize::try_from(kib << 10).unwrap() / 40).min(400_000);
    for number in 0..24 {
        let gone = number % 3 == 1;
        let content = lines(if gone { GONE } else { KEPT }, number, most * (number + 1) / 24 + number);
        let (file, name) = (place.join("source"), format!("::/{}file-{number}", if number % 4 == 0 { "sub/" } else { "" }));
        fs::write(&file, &content).unwrap();
        if number == 0 {
            succeed("mmd", &["-i", text(&path), "::/sub"]);
        }
        succeed("mcopy", &["-i", text(&path), text(&file), &name]);
        if !gone {
            kept.insert(name, content);
        }
    }
    for number in (0..24).filter(|number| number % 3 == 1) {
        let name = format!("::/{}file-{number}", if number % 4 == 0 { "sub/" } else { "" });
        succeed("mdel", &["-i", text(&path), &name]);
    }
    (path, kept)
}

fn by_mtools(path: &Path, name: &str) -> Option<Vec<u8>> {
    let output = run("mtype", &["-i", text(path), name]);
    output.status.success().then_some(output.stdout)
}

const FATS: [(&[&str], u64); 4] = [
    (&["-F", "12", "-s", "8"], 4096),
    (&["-F", "16", "-s", "1"], 20_480),
    (&["-F", "32", "-s", "8", "-f", "1"], 300_000),
    (&["-F", "32", "-s", "1"], 40_960),
];

#[test]
fn fat_without_its_free_space_is_the_same_to_others() {
    if !has(&["mkfs.fat", "fsck.fat", "mcopy", "mdel", "mtype", "mmd"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    for (options, kib) in FATS {
        let (path, kept) = filled_fat(work.path(), options, kib);
        let cluster: u64 = 512 * options[3].parse::<u64>().unwrap();
        let (regions, _) = open(&path);
        let free = regions[0].opened().unwrap().free().unwrap();
        // "path: 17 files, 1234/5678 clusters", of which the first is what is in use.
        let told = succeed("fsck.fat", &["-n", "-v", text(&path)]);
        let counts = told.lines().find_map(|line| line.split_once(" files, ")?.1.split_once(" clusters")).unwrap().0;
        let (used, all) = counts.split_once('/').unwrap();
        let clusters = all.parse::<u64>().unwrap() - used.parse::<u64>().unwrap();
        assert_eq!(sum(&free), clusters * cluster, "{options:?}: {told}");

        let found = only(find(&path));
        assert!(found.free.is_ok(), "{options:?}: {found:?}");
        let copy = work.path().join("copy");
        without(&path, std::slice::from_ref(&found), &copy);
        succeed("fsck.fat", &["-n", text(&copy)]);
        for (name, content) in &kept {
            assert!(by_mtools(&copy, name).as_ref() == Some(content), "{options:?}: {name}");
        }
        let (before, after) = (occurrences(&path, GONE), occurrences(&copy, GONE));
        eprintln!(
            "{options:?}: {clusters} clusters free, {} bytes dropped, {before} lines of deleted files, then {after}",
            found.dropped_bytes
        );
        assert!(before > 1000);
        // Clusters shorter than a page, or beside one, leave what shares a page with a file.
        let edges = free.len() * 2 * 4096 / 26;
        assert!(if cluster == 4096 { after < edges.min(2000) } else { after <= edges }, "{after} of {before}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn no_damage_of_a_fat_costs_a_file() {
    if !has(&["mkfs.fat", "mcopy", "mdel", "mtype", "mmd"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (path, kept) = filled_fat(work.path(), &["-F", "12", "-s", "8", "-f", "2"], 4096);
    let boot = fs::read(&path).unwrap();
    let word = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
    let (table, length) = (word(0xe) * 512, word(0x16) * 512);
    // Where entries stand: 1020 clusters of 12 bits each.
    let entries = length.min(1022 * 3 / 2);
    let (mut dice, mut dropped, mut refused) = (dice(7), 0, 0);
    let (broken, copy) = (work.path().join("broken"), work.path().join("copy"));
    for round in 0..60 {
        fs::copy(&path, &broken).unwrap();
        flip(&broken, &[(table, entries / 3), (table + length, entries / 3)], &mut dice);
        let found = only(find(&broken));
        let Ok(free) = &found.free else {
            refused += 1;
            continue;
        };
        dropped += usize::from(!free.is_empty());
        without(&broken, &[found], &copy);
        for name in kept.keys() {
            assert!(by_mtools(&broken, name) == by_mtools(&copy, name), "round {round}: {name}");
        }
    }
    eprintln!("{dropped} damaged volumes lost free space, {refused} kept it");
    assert!(dropped > 0 && refused > 0);
}

/// An NTFS volume that ntfs-3g filled, and deleted some of.
fn filled_ntfs(place: &Path, options: &[&str]) -> Option<(PathBuf, BTreeMap<String, Vec<u8>>)> {
    let path = image(place, "ntfs", 96 << 20);
    succeed("mkntfs", &[&["-F", "-q"], options, &[text(&path)]].concat());
    let mut kept = BTreeMap::new();
    let mounted = Mounted::new(&path, &place.join("mnt"), "compression")?;
    fs::create_dir(mounted.at.join("sub")).unwrap();
    for number in 0..60 {
        let gone = number % 3 == 1;
        let content = lines(if gone { GONE } else { KEPT }, number, 6000 * (number + 1));
        let name = format!("{}file-{number}", if number % 4 == 0 { "sub/" } else { "" });
        fs::write(mounted.at.join(&name), &content).unwrap();
        if !gone {
            kept.insert(name, content);
        }
    }
    // Files of all kinds of content: in the record, compressed, with holes.
    fs::write(mounted.at.join("small"), b"small").unwrap();
    kept.insert("small".to_owned(), b"small".to_vec());
    let sparse = fs::File::create(mounted.at.join("sparse")).unwrap();
    sparse.write_all_at(b"end", 5_000_000).unwrap();
    kept.insert("sparse".to_owned(), [vec![0; 5_000_000], b"end".to_vec()].concat());
    for number in (0..60).filter(|number| number % 3 == 1) {
        fs::remove_file(mounted.at.join(format!("{}file-{number}", if number % 4 == 0 { "sub/" } else { "" }))).unwrap();
    }
    drop(sparse);
    drop(mounted);
    Some((path, kept))
}

fn by_ntfscat(path: &Path, name: &str) -> Option<Vec<u8>> {
    let output = run("ntfscat", &["-f", "-q", text(path), name]);
    output.status.success().then_some(output.stdout)
}

#[test]
fn ntfs_without_its_free_space_is_the_same_to_others() {
    if !has(&["mkntfs", "ntfs-3g", "ntfsinfo", "ntfsfix", "ntfscat"]) {
        return;
    }
    for options in [&["-c", "4096"][..], &["-c", "512"], &["-c", "65536"]] {
        let work = tempfile::tempdir().unwrap();
        let Some((path, kept)) = filled_ntfs(work.path(), options) else { return };
        let (regions, _) = open(&path);
        let fs = regions[0].opened().unwrap();
        let free = fs.free().unwrap();
        let told = succeed("ntfsinfo", &["-m", text(&path)]);
        let number = |name: &str| -> u64 {
            let line = told.lines().find(|line| line.trim().starts_with(name)).unwrap_or_else(|| panic!("no {name} in {told}"));
            line.rsplit_once(':').unwrap().1.split_whitespace().next().unwrap().parse().unwrap()
        };
        assert_eq!(sum(&free), number("Free Clusters:") * number("Cluster Size:"), "{told}");

        let found = only(find(&path));
        let ranges = found.free.clone().unwrap();
        let copy = work.path().join("copy");
        without(&path, std::slice::from_ref(&found), &copy);
        succeed("ntfsfix", &["-n", text(&copy)]);
        for (name, content) in &kept {
            assert!(by_ntfscat(&copy, name).as_ref() == Some(content), "{options:?}: {name}");
        }
        let (before, after) = (occurrences(&path, GONE), occurrences(&copy, GONE));
        eprintln!("{options:?}: {} in {} ranges dropped, {before} lines of deleted files, then {after}", found.dropped_bytes, ranges.len());
        assert!(before > 10_000);
        // The cluster of a file's end holds what was there before, in the memory of ntfs-3g at worst; shorter clusters share pages.
        assert!(if options[1] == "512" { after < ranges.len() * 2 * 4096 / 26 } else { after == 0 }, "{after}");
        // Nothing else is different.
        let (old, new) = (fs::read(&path).unwrap(), fs::read(&copy).unwrap());
        let mut at = 0;
        for (_, range) in ranges {
            let (start, end) = (range.start as usize, range.end as usize);
            assert!(old[at..start] == new[at..start] && new[start..end].iter().all(|byte| *byte == 0));
            at = end;
        }
        assert!(old[at..] == new[at..]);
    }
}

#[test]
fn no_damage_of_a_bitmap_costs_a_file() {
    if !has(&["mkntfs", "ntfs-3g", "ntfscat"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let Some((path, kept)) = filled_ntfs(work.path(), &["-c", "4096"]) else { return };
    let (regions, _) = open(&path);
    let bitmap = regions[0].opened().unwrap().extents(NodeId(6)).unwrap().unwrap();
    let start = bitmap[0].at.start;
    let (mut dice, mut dropped, mut refused) = (dice(3), 0, 0);
    let (broken, copy) = (work.path().join("broken"), work.path().join("copy"));
    for round in 0..16 {
        let source = open(&path).1;
        without(&path, &[], &broken);
        assert_eq!(source[0].size(), fs::metadata(&broken).unwrap().len());
        flip(&broken, &[(start, (96 << 20) / 4096 / 8)], &mut dice);
        let found = only(find(&broken));
        match &found.free {
            Ok(free) => dropped += usize::from(!free.is_empty()),
            Err(why) => {
                assert!(why.contains("uses") || why.contains("called free"), "{why}");
                refused += 1;
                continue;
            }
        }
        without(&broken, &[found], &copy);
        for (name, content) in &kept {
            assert!(by_ntfscat(&copy, name).as_ref() == Some(content), "round {round}: {name}");
        }
    }
    eprintln!("{dropped} damaged volumes lost free space, {refused} kept it");
    assert!(dropped > 0 && refused > 0);
}

#[test]
fn volumes_that_are_not_at_rest_are_left_alone() {
    if !has(&["mkntfs", "ntfs-3g", "mkfs.fat"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let path = image(work.path(), "ntfs", 16 << 20);
    succeed("mkntfs", &["-F", "-q", text(&path)]);
    assert!(only(find(&path)).free.is_ok());
    let asleep = |mark: &[u8]| {
        let mounted = Mounted::new(&path, &work.path().join("mnt"), "remove_hiberfile")?;
        fs::write(mounted.at.join("hiberfil.sys"), [mark, &[0; 8192]].concat()).unwrap();
        drop(mounted);
        Some(only(find(&path)).free)
    };
    if let Some(free) = asleep(b"hibr") {
        assert!(free.unwrap_err().contains("has its memory in hiberfil.sys"));
        assert!(asleep(b"wake").unwrap().is_ok());
    }
    let fat = image(work.path(), "fat", 64 << 20);
    succeed("mkfs.fat", &["-F", "32", text(&fat)]);
    assert!(only(find(&fat)).free.is_ok());
    let file = fs::OpenOptions::new().write(true).open(&fat).unwrap();
    file.write_all_at(&[1], 0x41).unwrap();
    assert!(only(find(&fat)).free.unwrap_err().contains("not left in order"));
}

#[test]
fn swap_without_its_pages_is_the_same_to_others() {
    if !has(&["mkswap", "blkid"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    for (page, size) in [("4096", 8 << 20), ("65536", (8 << 20) + 4096)] {
        let path = image(work.path(), "swap", size);
        fs::write(&path, lines(GONE, 1, usize::try_from(size).unwrap())).unwrap();
        let made = run("mkswap", &["-p", page, "-L", "exchange", text(&path)]);
        if !made.status.success() {
            eprintln!("SKIPPED: mkswap with pages of {page}: {}", String::from_utf8_lossy(&made.stderr).trim());
            continue;
        }
        let found = only(find(&path));
        let copy = work.path().join("copy");
        without(&path, std::slice::from_ref(&found), &copy);
        let told =
            |path: &Path| succeed("blkid", &["-p", "-o", "export", text(path)]).lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(told(&copy), told(&path));
        let page: u64 = page.parse().unwrap();
        // The header's page, what is no whole page behind the last, and both ends of the disk.
        let kept = page.max(6 * 4096) + page + 6 * 4096;
        assert!(size - found.free_bytes <= kept, "{found:?}");
        assert!(occurrences(&copy, GONE) < usize::try_from(kept).unwrap() / 26);
    }
}

/// A disk from the folder that `VHDKIT_IMAGES` names.
fn real(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("VHDKIT_IMAGES").unwrap_or_else(|| "../images".into());
    let path = Path::new(&folder).join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: {name}: there is no {}", path.display());
    None
}

/// What a region reads as, and what stands where it says that it lies.
#[test]
fn regions_lie_where_they_say() {
    let disks = ["A.raw", "B.raw", "C.raw", "data-ntfs.raw"];
    for path in disks.iter().filter_map(|name| real(name)) {
        let (regions, disks) = open(&path);
        for region in &regions {
            assert!(!region.lies.is_empty(), "{}", region.place);
            let mut next = 0;
            for stretch in &region.lies {
                assert_eq!(stretch.from, next);
                let mut at = stretch.at.start;
                while at < stretch.at.end {
                    let len = usize::try_from((stretch.at.end - at).min(4 << 20)).unwrap();
                    let there = read_vec(&disks[stretch.disk], at, len).unwrap();
                    assert!(read_vec(&region.bytes, next, len).unwrap() == there, "{} at byte {next}", region.place);
                    at += len as u64;
                    next += len as u64;
                }
            }
            assert_eq!(next, region.bytes.size(), "{}", region.place);
        }
        if path.ends_with("C.raw") {
            let root = regions.iter().find(|region| region.place.to_string() == "vg0/root").unwrap();
            assert_eq!(root.lies.len(), 2, "two segments");
        }
    }
}

/// A loop device for as long as this lives.
struct Looped(String);

impl Looped {
    fn new(path: &Path, offset: u64, size: u64) -> Option<Self> {
        let output = run("losetup", &["-r", "-f", "--show", "-o", &offset.to_string(), "--sizelimit", &size.to_string(), text(path)]);
        if output.status.success() {
            return Some(Self(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
        }
        eprintln!("SKIPPED: loop devices: {}", String::from_utf8_lossy(&output.stderr).trim());
        None
    }
}

impl Drop for Looped {
    fn drop(&mut self) {
        assert!(run("losetup", &["-d", &self.0]).status.success());
    }
}

/// A real disk with LVM: swap, and extents that nobody uses, full of what was there before.
#[test]
fn a_disk_with_volumes_without_its_free_space_is_the_same_to_others() {
    const PARTITION: u64 = 548_864 * 512;
    const EXTENT: u64 = 4 << 20;
    let Some(source) = real("C.raw") else { return };
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("disk");
    without(&source, &[], &path);
    // Extents 372 to 443 belong to nobody, 228 to 243 to swap.
    let extent = |number: u64| PARTITION + (1 << 20) + number * EXTENT;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for number in [372, 400, 443] {
        file.write_all_at(&lines(GONE, 1, EXTENT as usize), extent(number)).unwrap();
    }
    file.write_all_at(&lines(GONE, 2, 1 << 20), extent(228) + 4096).unwrap();
    file.write_all_at(&lines(GONE, 2, 1 << 20), extent(244) - (1 << 20)).unwrap();
    let found = find(&path);
    let names: Vec<_> = found.iter().map(|one| (one.region.as_str(), one.kind.as_str())).collect();
    assert_eq!(
        names,
        [
            ("partition 1", "ext4"),
            ("partition 15", "vfat"),
            ("vg0/root", "ext4"),
            ("vg0/var", "xfs"),
            ("vg0/swap", "swap"),
            ("free extents of vg0", "LVM2_member")
        ]
    );
    for one in &found {
        eprintln!("{}: {:?}, {} bytes free, {} dropped", one.region, one.free.as_ref().map(Vec::len), one.free_bytes, one.dropped_bytes);
    }
    assert_eq!(found[4].free, Ok(vec![(0, extent(228) + 4096..extent(244))]));
    assert_eq!((found[4].free_bytes, found[4].dropped_bytes), (16 * EXTENT - 4096, 2 << 20));
    assert_eq!(found[5].free, Ok(vec![(0, extent(372)..extent(444))]));
    assert_eq!((found[5].free_bytes, found[5].dropped_bytes), (72 * EXTENT, 3 * EXTENT));
    let copy = work.path().join("copy");
    without(&path, &found, &copy);
    assert_eq!(occurrences(&copy, GONE), 0);

    // Every volume holds the same files, and its own checker is content.
    let (regions, _) = open(&copy);
    for (name, tool) in [("partition 1", "e2fsck -f -n"), ("vg0/root", "e2fsck -f -n"), ("vg0/var", "xfs_repair -n -f")] {
        let region = regions.iter().find(|region| region.place.to_string() == name).unwrap();
        let place = work.path().join("volume");
        let out = fs::File::create(&place).unwrap();
        out.set_len(region.bytes.size()).unwrap();
        let mut at = 0;
        while let Some(range) = region.bytes.data(at) {
            at = range.end.min(range.start + (1 << 20));
            out.write_all_at(&read_vec(&region.bytes, range.start, (at - range.start) as usize).unwrap(), range.start).unwrap();
        }
        let line = format!("PATH=$PATH:/usr/sbin:/sbin; {tool} {} >/dev/null 2>&1", place.display());
        match Command::new("sh").args(["-c", &line]).status().unwrap().code() {
            Some(127) => eprintln!("SKIPPED: {tool} is not installed"),
            code => assert_eq!(code, Some(0), "{tool} of {name}"),
        }
    }
    if !has(&["lvm", "losetup"]) {
        return;
    }
    let told = |path: &Path| {
        let device = Looped::new(path, PARTITION, 3_643_392 * 512)?;
        let config = format!(
            "devices{{use_devicesfile=0 scan=[\"/dev\"] filter=[\"a|^{0}$|\",\"r|.*|\"] global_filter=[\"a|^{0}$|\",\"r|.*|\"]}}",
            device.0
        );
        let lvm = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let fixed = [words[0], "--driverloaded", "n", "--config", &config];
            succeed("lvm", &[&fixed, &words[1..]].concat()).replace(&device.0, "DEVICE")
        };
        Some([lvm(&format!("pvck {}", device.0)), lvm("vgs -o all vg0"), lvm("lvs -a -o lv_all,seg_all vg0")])
    };
    if let Some(before) = told(&path) {
        assert_eq!(Some(before), told(&copy));
    }
}

/// Real volumes of which nothing was prepared: what is dropped of them, nobody misses.
#[test]
fn a_data_disk_of_another_maker_keeps_its_files() {
    let Some(path) = real("data-ntfs.raw") else { return };
    if !has(&["ntfscat", "ntfsfix"]) {
        return;
    }
    let found = only(find(&path));
    eprintln!("{found:?}");
    let work = tempfile::tempdir().unwrap();
    let copy = work.path().join("copy");
    without(&path, std::slice::from_ref(&found), &copy);
    let part = |disk: &Path, name: &str| {
        let (regions, _) = open(disk);
        let to = work.path().join(name);
        let all = read_vec(&regions[0].bytes, 0, regions[0].bytes.size() as usize).unwrap();
        fs::write(&to, all).unwrap();
        to
    };
    let (old, new) = (part(&path, "old"), part(&copy, "new"));
    succeed("ntfsfix", &["-n", text(&new)]);
    assert!(found.free.is_ok() && found.free_bytes > 100 << 20);
    for name in ["README.txt", "blob.bin"] {
        let content = by_ntfscat(&old, name).unwrap();
        assert!(!content.is_empty() && by_ntfscat(&new, name).unwrap() == content, "{name}");
    }
}
