//! Literals of every format, and near misses of most.

use super::*;
use crate::bytes::{Memory, Overlay, Zeros};
use std::sync::Arc;

fn seen(bytes: &[u8]) -> Sniffed {
    sniff(&Memory(bytes.to_vec())).unwrap()
}

/// `parts` over zeros of `len` bytes.
fn laid(len: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, part) in parts {
        bytes[*at..*at + part.len()].copy_from_slice(part);
    }
    bytes
}

fn tar_member(name: &str, kind: u8, size: &str) -> Vec<u8> {
    let mut block = laid(512, &[(0, name.as_bytes()), (124, size.as_bytes()), (148, b"        "), (156, &[kind]), (257, b"ustar\x0000")]);
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Format, content, detail, virtual size.
type Sample = (&'static str, Vec<u8>, Option<&'static str>, Option<u64>);

/// At least one sample of each registered format.
fn samples() -> Vec<Sample> {
    let size = (8_u64 << 30).to_be_bytes();
    let sectors = 2048_u64.to_le_bytes();
    let exe = laid(512, &[(0, b"MZ"), (60, &[128, 0, 0, 0]), (128, b"PE\0\0")]);
    let pax = [tar_member("PaxHeader/x", b'x', "00000000012\0"), vec![b'a'; 512], tar_member("disk.vhd", b'0', "00000001000\0")].concat();
    vec![
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), None, None),
        ("bzip2", b"BZh91AY&SY".to_vec(), None, None),
        (
            "dmg",
            laid(1536, &[(0, b"BZh91AY&SY"), (1024, b"koly\0\0\0\x04\0\0\x02\0"), (1516, &2048_u64.to_be_bytes())]),
            Some("Apple disk image"),
            Some(1 << 20),
        ),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03x".to_vec(), Some("gzip, perhaps of a tar"), None),
        ("gzip", b"\x1f\x8b\x08\x08\0\0\0\0\0\x03disk.vhd\0x".to_vec(), Some("gzip of disk.vhd"), None),
        ("gzip", b"\x1f\x8b\x08\x0c\0\0\0\0\0\x03\x02\0eea.tar\0x".to_vec(), Some("gzip of a.tar"), None),
        ("iso9660", laid(40_000, &[(32_768, b"\x01CD001\x01"), (32_808, b"UBUNTU  ")]), Some("ISO 9660 volume 'UBUNTU'"), None),
        ("lz4", b"\x04\x22\x4d\x18\x64".to_vec(), None, None),
        ("lzma", b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x01".to_vec(), None, None),
        ("lzop", b"\x89LZO\0\r\n\x1a\n\x10".to_vec(), None, None),
        ("ova", tar_member("box.ovf", b'0', "00000001000\0"), Some("OVF package; first member box.ovf"), None),
        ("parallels", laid(64, &[(0, b"WithouFreSpacExt"), (36, &sectors)]), Some("Parallels expanding disk"), Some(1 << 20)),
        ("pe", exe, Some("a program for Windows or UEFI"), None),
        ("qcow", laid(512, &[(0, b"QFI\xfb\0\0\0\x01"), (24, &size)]), Some("qcow version 1"), Some(8 << 30)),
        ("qcow2", laid(512, &[(0, b"QFI\xfb\0\0\0\x03"), (24, &size)]), Some("qcow2 version 3"), Some(8 << 30)),
        (
            "qcow2",
            laid(1024, &[(0, b"QFI\xfb\0\0\0\x02"), (14, &[2, 0]), (19, &[10]), (24, &size), (35, &[1]), (512, b"base.qcow2")]),
            Some("qcow2 version 2, needs its backing file base.qcow2, encrypted"),
            Some(8 << 30),
        ),
        ("qed", laid(512, &[(0, b"QED\0"), (48, &[0, 0, 1])]), Some("QEMU enhanced disk"), Some(65_536)),
        ("rar", b"Rar!\x1a\x07\x01\0".to_vec(), None, None),
        ("tar", pax, Some("tar archive; first member disk.vhd"), None),
        (
            "vdi",
            laid(512, &[(64, &[0x7f, 0x10, 0xda, 0xbe, 1, 0, 1, 0]), (76, &[1]), (368, &[0, 0, 16])]),
            Some("VirtualBox disk image, dynamic"),
            Some(1 << 20),
        ),
        ("vhdx", b"vhdxfileQ\0E\0M\0U\0".to_vec(), None, None),
        ("vma", b"VMA\0\0\0\0\x01".to_vec(), None, None),
        (
            "vmdk",
            laid(1024, &[(0, b"KDMV\x01"), (12, &sectors), (28, &[1]), (512, b"# Disk DescriptorFile")]),
            Some("VMware 4 sparse extent"),
            Some(1 << 20),
        ),
        (
            "vmdk",
            laid(1024, &[(0, b"KDMV\x03\0\0\0\0\0\x01"), (12, &sectors), (28, &[1]), (512, b"# Disk DescriptorFile")]),
            Some("VMware 4 sparse extent, stream-optimized"),
            Some(1 << 20),
        ),
        (
            "vmdk",
            laid(1024, &[(0, b"KDMV\x01"), (12, &sectors), (28, &[1])]),
            Some("VMware 4 sparse extent without a descriptor, one part of a disk"),
            None,
        ),
        ("vmdk", laid(512, &[(0, b"COWD\x01"), (12, &sectors)]), Some("VMware 3 sparse extent, one part of a disk"), None),
        (
            "vmdk",
            b"# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\nRW 2048 SPARSE \"a.vmdk\"\nRW 2048 FLAT \"b.vmdk\" 0\n".to_vec(),
            Some("VMware descriptor; the disk's bytes are in other files"),
            Some(2 << 20),
        ),
        ("wim", b"MSWIM\0\0\0\xd0\0".to_vec(), None, None),
        ("xz", b"\xfd7zXZ\0\0\x04".to_vec(), None, None),
        ("zip", laid(64, &[(0, b"PK\x03\x04"), (26, &[8]), (30, b"disk.vhd")]), Some("zip archive; first member disk.vhd"), None),
        ("zip", laid(22, &[(0, b"PK\x05\x06")]), Some("zip archive without members"), None),
        ("zstd", b"\x28\xb5\x2f\xfd\x24".to_vec(), None, None),
        ("zstd", b"\x5e\x2a\x4d\x18\x04".to_vec(), Some("zstd, behind a skippable frame"), None),
    ]
}

#[test]
fn every_format_is_told_from_every_other() {
    for (format, bytes, detail, size) in samples() {
        let got = seen(&bytes);
        assert_eq!((got.format, got.detail.as_deref(), got.virtual_size), (format, detail, size));
        let file = File { bytes: &Memory(bytes.clone()), head: bytes };
        let hits = DISKS.iter().chain(PACKED).filter(|entry| entry.probe.look(&file).unwrap().is_some());
        let hits: Vec<_> = hits.map(|entry| entry.name).collect();
        // The only overlap that the order of the registries has to decide.
        assert!(hits == [format] || hits == ["dmg", "bzip2"], "{hits:?}");
    }
}

#[test]
fn registries_are_sorted_complete_and_speak_plainly() {
    let samples = samples();
    for registry in [DISKS, PACKED] {
        assert!(registry.is_sorted_by(|a, b| a.name < b.name));
    }
    for format in DISKS.iter().chain(PACKED) {
        assert!(samples.iter().any(|(name, ..)| *name == format.name), "{} has a sample", format.name);
        assert!(format.advice.starts_with(|c: char| c.is_ascii_uppercase()) && format.advice.ends_with('.'), "{}", format.advice);
        if let Probe::Magic(magic) = format.probe {
            assert!(magic.len() >= 4, "{}", format.name);
        }
    }
}

#[test]
fn near_misses_are_raw() {
    let mut bad_sum = tar_member("disk.vhd", b'0', "00000001000\0");
    bad_sum[0] = b'D';
    let near: &[&[u8]] = &[
        &laid(512, &[(0, b"QFI\xfa\0\0\0\x03")]),
        &laid(512, &[(0, b"QFI\xfb\0\0\0\0")]),
        &laid(512, &[(0, b"vhdxfilf")]),
        &laid(1024, &[(0, b"KDMW")]),
        &laid(512, &[(0, b"MZ"), (510, &[0x55, 0xaa])]),
        &laid(512, &[(0, b"MZ"), (60, &[255; 4])]),
        &laid(512, &[(0, b"BZh9\0")]),
        &laid(512, &[(0, b"\x1f\x8b\x08\xe0")]),
        &laid(512, &[(0, b"\x5d\0\0\x80\0")]),
        &laid(512, &[(0, b"PK\x01\x02")]),
        &laid(512, &[(63, &[0x7f, 0x10, 0xda, 0xbe])]),
        &laid(512, &[(0, b"koly\0\0\0\x03\0\0\x02\0")]),
        &laid(512, &[(0, &[0xeb, 0x63, 0x90]), (510, &[0x55, 0xaa])]),
        &bad_sum,
        &laid(512, &[]),
    ];
    for bytes in near {
        let got = seen(bytes);
        assert_eq!((got.format, got.detail), ("raw", None), "{:?}", &bytes[..16]);
    }
}

#[test]
fn the_odd_ends_of_raw_are_told() {
    assert_eq!(seen(&[]).format, "empty");
    assert_eq!(seen(&[0]).detail.as_deref(), Some("shorter than one sector"));
    assert_eq!(seen(&[0xeb; 511]).detail.as_deref(), Some("shorter than one sector"));
    assert_eq!(seen(&[0xeb; 512]).detail, None);
    assert_eq!(seen(&[0xeb; 1030]).detail.as_deref(), Some("6 bytes follow the last whole sector"));
}

#[test]
fn an_iso_written_to_a_larger_disk_is_that_disk() {
    let stick = |size: u64, blocks: u32| {
        let mut disk = Overlay::new(Arc::new(Zeros(size)));
        disk.patch(510, vec![0x55, 0xaa]).unwrap();
        disk.patch(32_768, b"\x01CD001\x01".to_vec()).unwrap();
        disk.patch(32_848, blocks.to_le_bytes().to_vec()).unwrap();
        disk.patch(32_896, 2048_u16.to_le_bytes().to_vec()).unwrap();
        sniff(&disk).unwrap().format
    };
    assert_eq!(stick(100 << 20, 50 << 9), "raw");
    assert_eq!(stick(50 << 20, 50 << 9), "iso9660");
    assert_eq!(stick(51 << 20, 50 << 9), "iso9660");
    assert_eq!(stick((51 << 20) + 1, 50 << 9), "raw");
}

#[test]
fn text_is_told_by_what_it_says() {
    let utf16: Vec<u8> = "\u{feff}<html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, detail) in [
        (&b"<!DOCTYPE html>\n<title>404</title>"[..], "web page (HTML)"),
        (
            b"\xef\xbb\xbf<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code></Error>",
            "error message of a storage service (XML): AuthenticationFailed",
        ),
        (b"<?xml version=\"1.0\"?><a/>", "XML document"),
        (b"<?xml version=\"1.0\"?><Envelope/>", "OVF description; the disk is in another file"),
        (b" {\"error\": 1}", "JSON document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer; the content was not fetched"),
        (b"hello", "text"),
        ("gr\u{fc}n".as_bytes(), "text"),
        (&utf16, "web page (HTML)"),
    ] {
        let got = seen(bytes);
        assert_eq!((got.format, got.detail.as_deref()), ("text", Some(detail)));
    }
    for bytes in [&b"hel\0lo"[..], b"hello\xff", b"a\x01b", b"\xff\xfe\0\xd8", "gr\u{fc}".as_bytes().split_last().unwrap().1] {
        assert_eq!(seen(bytes).format, "raw", "{bytes:?}");
    }
    // A character across the end of the sample does not make it binary, and a NUL behind the sample is not looked for.
    let mut long = "a".repeat(TEXT - 1);
    long.push('\u{fc}');
    assert_eq!(seen(long.as_bytes()).format, "text");
}

#[test]
fn names_from_strangers_are_made_safe() {
    let bytes = laid(512, &[(0, b"PK\x03\x04"), (26, &[0xff, 0xff]), (30, b"\x1b[31mx")]);
    assert_eq!(seen(&bytes).detail.as_deref(), Some("zip archive; first member \\u{1b}[31mx"));
    let huge = laid(512, &[(0, b"QFI\xfb\0\0\0\x03"), (8, &[255; 12])]);
    assert_eq!(seen(&huge).detail.as_deref(), Some("qcow2 version 3"));
}

#[test]
fn a_tar_of_notes_without_end_ends() {
    let notes = tar_member("note", b'x', "00000000000\0").repeat(50);
    assert_eq!(seen(&notes).format, "tar");
    let far = tar_member("note", b'x', "77777777777\0");
    assert_eq!(seen(&far).format, "tar");
}

#[test]
fn any_start_has_a_name() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for (_, sample, ..) in samples() {
        for _ in 0..200 {
            let mut bytes = sample.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 24) as u8;
            }
            bytes.truncate(((state >> 20) as usize % bytes.len()).max(1));
            assert!(!seen(&bytes).advice.is_empty());
        }
    }
}
