//! What `cpio -t` lists of an archive, vhdkit lists of the initramfs that was made of it, however it was packed; and what
//! `lsinitramfs` lists of a real one. Bombs, cut files and flipped bits end in words, soon.
//!
//! A program that is not installed is skipped loudly.
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
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "trees/host.rs"]
mod host;

use host::HostTree;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use vhdkit::bytes::{MIB, Memory};
use vhdkit::facts::DriverState;
use vhdkit::guest::linux::cpio::{Entry, Visit};
use vhdkit::guest::linux::initramfs::{Limits, ListError, Listing, Segments, list, walk};
use vhdkit::guest::linux::unpack::{Compression, UnpackError, unpack};

/// Each packer, and whether it is one that the kernel unpacks.
const PACKERS: &[(&str, &str)] = &[
    ("none", "cat"),
    ("gzip", "gzip -9 -n"),
    ("bzip2", "bzip2 -9"),
    ("lzma", "xz --format=lzma"),
    ("xz", "xz --check=crc32"),
    ("xz", "xz --check=crc32 --x86 --lzma2=dict=1MiB -T0"),
    ("lzo", "lzop -9"),
    ("lz4", "lz4 -9 -l"),
    ("lz4 frame", "lz4"),
    ("zstd", "zstd -1 -T0"),
    ("zstd", "zstd --ultra -22 --long=27"),
];

fn piped(command: &str, input: &[u8]) -> Option<Vec<u8>> {
    let program = command.split(' ').next().unwrap();
    if !Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status().unwrap().success() {
        eprintln!("SKIPPED: {command}, since {program} is not installed");
        return None;
    }
    let mut child =
        Command::new("sh").args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{command}");
    Some(output.stdout)
}

#[derive(Default)]
struct Names(Vec<String>);

impl Visit for Names {
    fn entry(&mut self, entry: &Entry<'_>) -> bool {
        self.0.push(String::from_utf8_lossy(entry.name).into_owned());
        false
    }

    fn content(&mut self, _name: &[u8], _content: &[u8]) {}
}

fn names(bytes: Vec<u8>) -> Result<(Vec<String>, Segments), ListError> {
    let mut names = Names::default();
    let segments = walk(&Memory(bytes), &Limits::default(), &mut names)?;
    Ok((names.0, segments))
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// Folders, links, devices, odd names, and files of many sizes; as an archive of each kind that the kernel knows.
fn archives() -> Option<&'static [Vec<u8>; 2]> {
    static MADE: std::sync::OnceLock<Option<[Vec<u8>; 2]>> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let modules = folder.path().join("usr/lib/modules/6.1.0-test/kernel/drivers");
        fs::create_dir_all(&modules).unwrap();
        fs::create_dir_all(folder.path().join("etc/modprobe.d")).unwrap();
        fs::write(folder.path().join("etc/modprobe.d/x.conf"), "blacklist hv_balloon\n").unwrap();
        fs::write(folder.path().join("name with spaces and ü"), "x").unwrap();
        std::os::unix::fs::symlink("usr/lib", folder.path().join("lib")).unwrap();
        let mut state = 1_u32;
        for (number, name) in ["hv_vmbus.ko", "hv_storvsc.ko.xz", "nvme-core.ko.zst", "big.ko"].iter().enumerate() {
            let content = (0..number * 61_111).map(|place| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if place % 3 == 0 { 0 } else { (state >> 24) as u8 }
            });
            fs::write(modules.join(name), content.collect::<Vec<u8>>()).unwrap();
        }
        fs::hard_link(modules.join("big.ko"), folder.path().join("link")).unwrap();
        for number in 0..300 {
            fs::write(folder.path().join(format!("f{number}{}", "x".repeat(number % 90))), "y".repeat(number)).unwrap();
        }
        let made = |format: &str| {
            let script = format!("cd '{}' && find . | LC_ALL=C sort | cpio -o -H {format}", folder.path().display());
            Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).output().unwrap().stdout
        };
        let made = [made("newc"), made("crc")];
        if made.iter().any(Vec::is_empty) {
            eprintln!("SKIPPED: archives, since cpio is not installed");
            return None;
        }
        Some(made)
    })
    .as_ref()
}

#[test]
fn packed_archives_list_as_cpio_lists_them() {
    let Some(archives) = archives() else { return };
    for archive in archives {
        let expected = lines(&piped("cpio -t", archive).unwrap());
        assert!(expected.len() > 300);
        for (name, command) in PACKERS {
            let Some(packed) = piped(command, archive) else { continue };
            let (found, segments) = names(packed.clone()).unwrap();
            assert!(found == expected, "{command}: {} names, not {}", found.len(), expected.len());
            let kinds: Vec<_> =
                segments.segments.iter().map(|segment| segment.compression.map_or("none", |format| format.as_str())).collect();
            assert_eq!((kinds.as_slice(), segments.ignored), ([*name].as_slice(), None), "{command}");
            let listing = list(&Memory(packed), &Limits::default()).unwrap();
            for module in ["hv_vmbus", "hv_storvsc", "nvme_core", "big"] {
                assert!(listing.has("6.1.0-test", module), "{command}: {module}");
            }
            assert_eq!(listing.texts["etc/modprobe.d/x.conf"], "blacklist hv_balloon\n");
        }
    }
}

#[test]
fn archives_in_a_row_are_one_initramfs() {
    let Some([archive, _]) = archives() else { return };
    let expected = lines(&piped("cpio -t", archive).unwrap());
    let packed: Vec<(&str, Vec<u8>)> = PACKERS.iter().filter_map(|(name, command)| Some((*name, piped(command, archive)?))).collect();
    for (place, (name, first)) in packed.iter().enumerate() {
        for (_, second) in &packed {
            for padding in [0, 511] {
                let mut row = first.clone();
                // Legacy LZ4 ends at a length of 0, or the kernel takes what follows for a length.
                row.resize(row.len() + if *name == "lz4" { padding.max(4) } else { padding }, 0);
                // A plain archive stands at a multiple of 4.
                row.resize(row.len().next_multiple_of(4), 0);
                row.extend_from_slice(second);
                let (found, segments) = names(row).unwrap_or_else(|error| panic!("{place}, padding {padding}: {error}"));
                assert_eq!(found.len(), expected.len() * 2, "{place}, padding {padding}: {segments:?}");
            }
        }
    }
}

#[test]
fn cut_files_are_never_a_short_list() {
    let Some([archive, _]) = archives() else { return };
    for (_, command) in PACKERS {
        let Some(packed) = piped(command, archive) else { continue };
        let whole = names(packed.clone()).unwrap().0.len();
        for length in (0..packed.len()).step_by(packed.len() / 40 + 1) {
            if let Ok((found, _)) = names(packed[..length].to_vec()) {
                // Only zeros after the trailer may be missing.
                assert_eq!(found.len(), whole, "{command} cut to {length} of {}", packed.len());
            }
        }
    }
}

#[test]
fn flipped_bits_end_in_words() {
    let Some([archive, _]) = archives() else { return };
    let rounds = std::env::var("VHDKIT_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut state = 3_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (_, command) in PACKERS {
        let Some(packed) = piped(command, archive) else { continue };
        for _ in 0..rounds {
            let mut broken = packed.clone();
            for _ in 0..=random(4) {
                let place = if random(2) == 0 { random(packed.len().min(200)) } else { random(packed.len()) };
                broken[place] ^= 1 << random(8);
            }
            drop(names(broken));
        }
    }
}

#[test]
fn bombs_are_stopped() {
    let limits = Limits { unpacked: 16 * MIB, ..Limits::default() };
    let Some([archive, _]) = archives() else { return };
    // A header that promises 4 GiB, then zeros; and zeros alone, which are padding.
    let mut promise = archive[..110].to_vec();
    promise[54..62].copy_from_slice(b"FFFFFFFF");
    promise.extend_from_slice(b".\0\0\0");
    for start in [&promise[..], &archive[..], &[]] {
        for (_, command) in PACKERS.iter().filter(|(name, _)| *name != "none") {
            let mut bomb = start.to_vec();
            bomb.resize(20 << 20, 0);
            let Some(mut packed) = piped(&command.replace("-9", "-1").replace("--ultra -22", "-3"), &bomb) else { continue };
            assert!(packed.len() < 4 << 20, "{command}: {}", packed.len());
            let error = list(&Memory(packed.clone()), &limits).unwrap_err().to_string();
            assert_eq!(error, "it unpacks to more than 16 MiB", "{command}");
            // Packed twice, it is no archive.
            packed = piped("gzip -1", &packed).unwrap();
            let error = list(&Memory(packed), &limits).unwrap_err().to_string();
            assert!(error.contains("no archive"), "{command}: {error}");
        }
    }
}

/// What a program makes of some bytes.
fn filtered(command: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    piped(&command.join(" "), input)
}

fn unpacked(bytes: Vec<u8>, format: Compression) -> Result<(Vec<u8>, Option<u64>), UnpackError> {
    let mut out = Vec::new();
    let end = unpack(&Memory(bytes), 0, format, &mut |piece| {
        out.extend_from_slice(piece);
        if out.len() > 1 << 26 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok((out, end))
}

const PROGRAMS: &[(Compression, &[&str])] = &[
    (Compression::Gzip, &["gzip", "-c"]),
    (Compression::Bzip2, &["bzip2", "-c"]),
    (Compression::Bzip2, &["bzip2", "-c", "-1"]),
    (Compression::Lzma, &["xz", "-c", "--format=lzma"]),
    (Compression::Xz, &["xz", "-c"]),
    (Compression::Xz, &["xz", "-c", "--check=crc32", "--x86", "--lzma2=dict=1MiB"]),
    (Compression::Lzo, &["lzop", "-c"]),
    (Compression::Lzo, &["lzop", "-c", "-9"]),
    (Compression::Lz4, &["lz4", "-c", "-l"]),
    (Compression::Lz4Frame, &["lz4", "-c"]),
    (Compression::Lz4Frame, &["lz4", "-c", "-9", "-BD", "-B4", "-BX"]),
    (Compression::Zstd, &["zstd", "-c"]),
    (Compression::Zstd, &["zstd", "-c", "--ultra", "-22"]),
    (Compression::Zstd, &["zstd", "-c", "-19", "-T2", "--no-check"]),
];

/// Samples: nothing, little, much of the same, noise, runs of every length, and text that repeats far apart.
fn streams() -> Vec<Vec<u8>> {
    let mut state = 7_u32;
    let mut noise = |count: usize| {
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..count).map(next).collect::<Vec<u8>>()
    };
    let block = noise(120_000);
    let runs = (0..600_usize).flat_map(|length| vec![(length % 7) as u8; length]).collect();
    let far = [block.clone(), b"between".repeat(9000), block.clone(), noise(300_000), block].concat();
    vec![vec![], b"a".to_vec(), vec![0; 9_000_000], noise(5), noise(300_000), runs, far]
}

#[test]
fn what_programs_pack_comes_out_again() {
    let after = b"\x00\x00 what follows";
    for sample in streams() {
        for (format, command) in PROGRAMS {
            let Some(mut packed) = filtered(command, &sample) else { continue };
            let end = packed.len() as u64;
            assert_eq!(Compression::of(&packed), Some(*format), "{command:?}");
            assert_eq!(unpacked(packed.clone(), *format).unwrap(), (sample.clone(), Some(end)), "{command:?}, {} bytes", sample.len());
            packed.extend_from_slice(after);
            let (out, place) = unpacked(packed, *format).unwrap();
            assert!(out == sample && place == Some(end), "{command:?}, {} bytes, then others: {place:?}, not {end}", sample.len());
        }
    }
}

#[test]
fn cut_streams_are_told() {
    let sample = [streams().remove(5), b"some text to end with".repeat(30)].concat();
    for (format, command) in PROGRAMS {
        let Some(packed) = filtered(command, &sample) else { continue };
        for length in (0..packed.len()).step_by(1 + packed.len() / 60) {
            let result = unpacked(packed[..length].to_vec(), *format);
            // The legacy LZ4 format has no end mark: it may end after any block, and after its magic number.
            let complete = *format == Compression::Lz4 && length == 4;
            assert_eq!(result.is_ok(), complete, "{command:?} cut to {length} of {}", packed.len());
        }
    }
}

/// The Debian tree's kernel, modules and settings; `None`, loudly, where there is none.
fn debian() -> Option<&'static Path> {
    static TREE: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    TREE.get_or_init(|| {
        let images = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
        let tar = images.join("base.tar");
        if !tar.exists() {
            eprintln!("SKIPPED: there is no '{}' (VHDKIT_IMAGES names its folder), so no real initramfs was listed", tar.display());
            return None;
        }
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-kernel");
        fs::remove_dir_all(&root).ok();
        fs::create_dir_all(&root).unwrap();
        let mut command = Command::new("tar");
        command.arg("-xf").arg(&tar).arg("-C").arg(&root);
        command.args(["./boot", "./lib", "./usr/lib/modules", "./usr/lib/modprobe.d", "./etc/modprobe.d", "./etc/initramfs-tools"]);
        assert!(command.status().unwrap().success());
        Some(root)
    })
    .as_deref()
}

fn real_initramfs(root: &Path) -> PathBuf {
    let boot = fs::read_dir(root.join("boot")).unwrap().map(|entry| entry.unwrap().path());
    boot.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("initrd.img-")).max().unwrap()
}

#[test]
fn a_real_initramfs_lists_as_its_own_tools_list_it() {
    let Some(root) = debian() else { return };
    let path = real_initramfs(root);
    let bytes = Memory(fs::read(&path).unwrap());
    let started = Instant::now();
    let listing: Listing = list(&bytes, &Limits::default()).unwrap();
    eprintln!(
        "{} MiB listed in {:?}: {} files, {} MiB",
        bytes.0.len() >> 20,
        started.elapsed(),
        listing.entries(),
        listing.unpacked() >> 20
    );
    let Some(expected) = piped(&format!("lsinitramfs '{}'", path.display()), &[]) else { return };
    let expected: BTreeSet<String> = lines(&expected).into_iter().filter(|name| name != ".").collect();
    let (found, _) = names(bytes.0).unwrap();
    let found: BTreeSet<String> =
        found.into_iter().map(|name| name.trim_start_matches("./").to_owned()).filter(|name| name != ".").collect();
    assert_eq!(found, expected);
}

#[test]
fn a_real_kernel_has_the_drivers_that_its_files_say() {
    let Some(root) = debian() else { return };
    let facts = vhdkit::inspect::linux::learn(&HostTree::tree(root));
    let kernels = facts.kernels.value().expect("kernels");
    assert_eq!(kernels.len(), 1, "{kernels:?}");
    let kernel = &kernels[0];
    let image = kernel.image.value().unwrap();
    assert_eq!(image.path, format!("/boot/vmlinuz-{}", kernel.release));
    assert_eq!(image.architecture.value().map(String::as_str), Some("x64"));
    let initramfs = kernel.initramfs.value().unwrap();
    let content = initramfs.content.value().unwrap();
    assert_eq!(content.maker.value().map(String::as_str), Some("initramfs-tools"));
    assert_eq!(content.releases, std::slice::from_ref(&kernel.release));
    let modules = root.join("usr/lib/modules").join(&kernel.release);
    let builtin = fs::read_to_string(modules.join("modules.builtin")).unwrap();
    let listed = piped(&format!("lsinitramfs '{}'", real_initramfs(root).display()), &[]).map(|bytes| lines(&bytes));
    // What is there is looked for by file name, in another way than modules.dep.
    let files = Command::new("find").arg(&modules).args(["-name", "*.ko*"]).output().unwrap().stdout;
    let names = |lines: &[String], driver: &str| {
        let file = format!("{driver}.ko");
        lines.iter().any(|line| line.rsplit('/').next().unwrap().replace('-', "_") == file)
    };
    for (name, driver) in &kernel.drivers {
        let state = match (names(&lines(builtin.as_bytes()), name), names(&lines(&files), name)) {
            (true, _) => DriverState::BuiltIn,
            (_, true) => DriverState::Module,
            _ => DriverState::Missing,
        };
        assert_eq!(driver.state.value(), Some(&state), "{name}: {driver:?}");
        if let Some(listed) = &listed {
            assert_eq!(driver.in_initramfs.value(), Some(&names(listed, name)), "{name}");
        }
    }
    for name in ["hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "virtio_blk", "ata_piix", "udf", "sr_mod"] {
        assert_eq!(kernel.drivers[name].is_early().ok(), Some(true), "{name}");
    }
    let settings = &facts.modules;
    assert!(settings.modprobe.value().is_some() && settings.initramfs_tools.value().unwrap().policy.value().is_some());
    assert!(settings.out_of_tree.value().unwrap().is_empty());
}
