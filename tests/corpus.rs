//! Every disk of the shared corpus, which other people's programs made, against what independent programs said of it.
//!
//! The corpus lies beside the checkout (`../shared/corpus`), or where `VHDKIT_SHARED` says; without it the tests say SKIPPED and pass.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic, and says what it skips"
)]

mod samples;

use samples::{blocks, flaw_of_fixed, installed, list, must_run, name, open, sha256, text, vhdkit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{HostFile, Slice};

/// What is right for each file: its findings, and what `prepare --role data` does. `ready` writes it; a code is what must be allowed
/// first, and what follows is what then happens; `refused` names files of which nothing can be made; `no` marks those that are no disk.
///
/// Sizes below 20 MiB are VHD006, sizes that are not whole MiB VHD003, and of qemu's making VHD015 as well.
const EXPECTED: &str = "
built-fs/fs1-systemd-repart-gpt.qemu-fixed.vhd                        -                                          ready
built-fs/fs4-superfloppy-ext.qemu-dyn.vhd                             VHD002                                     ready
built-fs/fs4-superfloppy-fat.qemu-dyn.vhd                             VHD002                                     ready
built-fs/fs4-superfloppy-ntfs.qemu-dyn.vhd                            VHD002                                     ready
built-fs/fs6a-gpt-primary-destroyed.qemu-dyn.vhd                      VHD002,VHD022                              ready
built-malformed/m01-dyn-footer-zeroed.vhd                             VHD001,VHD002,VHD006                       ready
built-malformed/m04-fixed-footer-checksum-bad.vhd                     VHD006,VHD017                              ready
built-malformed/m06-dyn-header-checksum-bad.vhd                       VHD002,VHD006,VHD103                       VHD103
built-malformed/m07-dyn-bat-past-eof.vhd                              VHD002,VHD006,VHD104                       refused
built-malformed/m11-dyn-bat-entries-ffffffff.vhd                      VHD002,VHD006,VHD103                       VHD103
built-malformed/m12-dyn-blocksize-0.vhd                               VHD002,VHD006,VHD103,VHD107                refused
built-malformed/m14-fixed-trailing-512.vhd                            VHD001,VHD006                              ready
built-malformed/m17-fixed-cursize-gt-file.vhd                         VHD004,VHD006                              refused
built-malformed/m24-empty.vhd                                         VHD001                                     no
built-malformed/m25-tiny-100.vhd                                      VHD001,VHD003,VHD006                       no
built-malformed/m29-fixed-no-footer.vhd                               VHD001,VHD006                              ready
built-malformed/x01-vhdx-header1-crc-bad.vhdx                         VHD006,VHD013                              ready
built-malformed/x03-vhdx-both-headers-bad.vhdx                        VHD006,VHD013,VHD107                       refused
built-producers/qemu-dyn-1023g-forcesize.vhd                          VHD002                                     ready
built-producers/qemu-dyn-127g-forcesize.vhd                           VHD002                                     ready
built-producers/qemu-dyn-127g.vhd                                     VHD002,VHD003,VHD015                       ready
built-producers/qemu-dyn-1g-forcesize.vhd                             VHD002                                     ready
built-producers/qemu-dyn-1g.vhd                                       VHD002,VHD003,VHD015                       ready
built-producers/qemu-dyn-200g-noforce.vhd                             VHD002                                     ready
built-producers/qemu-dyn-2040g-forcesize.vhd                          VHD002,VHD028                              ready
built-producers/qemu-dyn-odd-1000000001.vhd                           VHD002,VHD003,VHD015                       ready
built-producers/qemu-dyn-odd-forcesize-10001920.vhd                   VHD002,VHD003,VHD006                       ready
built-producers/qemu-fixed-20m-forcesize.vhd                          -                                          ready
built-producers/qemu-fixed-20m.vhd                                    VHD003,VHD015                              ready
built-producers/qemu-fixed-odd-forcesize-3146240.vhd                  VHD003,VHD006                              ready
built-producers/qemu-vhdx-1g.vhdx                                     VHD013                                     ready
built-producers/qemu-vhdx-bs1m-300m.vhdx                              VHD013                                     ready
built-producers/qemu-vhdx-fixed-16m.vhdx                              VHD006,VHD013                              ready
built-windows/D-ws2022-sysprepfailed-synth-gpt.vbox-dyn.vhd           VHD002                                     ready
built-windows/G-win11-nohvdrivers-synth-gpt.qemu-dyn-chs.vhd          VHD002,VHD003,VHD015,VHD022                ready
src-dfvfs/ext2.qcow2                                                  VHD001                                     no
src-dfvfs/ext2.raw                                                    VHD001,VHD006                              ready
src-dfvfs/ext2.vhd                                                    VHD002,VHD003,VHD006,VHD015                ready
src-dfvfs/ext2.vhdx                                                   VHD006,VHD013                              ready
src-dfvfs/ext2.vmdk                                                   VHD001                                     no
src-dfvfs/fat-parent.vhd                                              VHD006                                     ready
src-dfvfs/fat-parent.vhdx                                             VHD006,VHD013                              ready
src-dfvfs/gpt.raw                                                     VHD001,VHD006                              ready
src-dfvfs/image.vhd                                                   VHD002,VHD003,VHD006,VHD015,VHD017,VHD102  ready
src-dfvfs/mbr.raw                                                     VHD001,VHD006                              ready
src-dfvfs/ntfs-differential.vhd                                       VHD002,VHD006                              ready
src-dfvfs/ntfs-dynamic.vhdx                                           VHD006,VHD013                              ready
src-dfvfs/ntfs-fixed.vhd                                              VHD006                                     ready
src-dfvfs/ntfs-parent.vhd                                             VHD006                                     ready
src-dfvfs/ntfs.raw                                                    VHD001,VHD006                              ready
src-discutils/btrfs.vhdx                                              VHD013                                     ready
src-discutils/swap.vhdx                                               VHD013                                     ready
src-go-vhd/qemu.vhd                                                   VHD002,VHD003,VHD015                       ready
src-go-vhd/vbox.vhd                                                   VHD002                                     ready
src-go-vhd/xapi.vhd                                                   VHD002                                     ready
";

/// Contents that the corpus's README gives beside `truth.jsonl`.
const CONTENTS: &[(&str, &str)] = &[
    ("src-dfvfs/ext2.vhdx", "ec09b82aa57a3fff111b2c8cc3009c5d6bcbc74bcb0074b183467a7c5ac1b06e"),
    ("src-dfvfs/fat-parent.vhdx", "2d1954fec68faefe81dd3687282a9b387bf8417f6d2cf0da3825fa1445b64cfb"),
    ("src-dfvfs/ntfs-dynamic.vhdx", "b92731f8e4bf3532418444d22a9086823a8122569500acd09cd8d2ce20eb98e9"),
    ("src-discutils/btrfs.vhdx", "0b959f9cb4e18348ad8b646f152178282542c8304f02fddf765e3fd1a1de6864"),
    // Over its parent, which the child's locator names; 7z, libvhdi and a composition by the specification agree.
    ("src-dfvfs/ntfs-differential.vhd", "b7922a46a6b08fa4f4fc0c51a25d5587d1d49f15cfade45ca740dd07110ae144"),
];

/// Where the truth says something else than vhdkit, with the reason. All were looked at; none is an error of either.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    // The truth's reader looks for a footer in the last 512 bytes only. vhdkit finds the one 512 bytes before, and a finding says so.
    ("built-malformed/m14-fixed-trailing-512.vhd", "format", "\"vhd\""),
    ("built-malformed/m14-fixed-trailing-512.vhd", "kind", "\"fixed\""),
    ("built-malformed/m14-fixed-trailing-512.vhd", "footer", "present"),
    // A file of no bytes is not even a raw disk.
    ("built-malformed/m24-empty.vhd", "format", "\"empty\""),
    // Its table claims 2³² entries; the two that the disk needs lie in the file and are read, the truth's reader gave up.
    ("built-malformed/m11-dyn-bat-entries-ffffffff.vhd", "allocated", "2"),
    // Truth tells the kind of VHDs alone.
    ("*.vhdx", "kind", "known"),
];

/// Outputs above this size are read by no program that must touch every byte: minutes of zeros prove nothing.
const LARGE: u64 = 272 << 20;

struct Corpus {
    root: PathBuf,
    truth: BTreeMap<String, Value>,
}

fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("VHDKIT_SHARED").map_or(beside, PathBuf::from).join("corpus");
    if folder.join("truth.jsonl").exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: there is no corpus in '{}' (VHDKIT_SHARED names its parent), so no disk of others was read", folder.display());
    None
}

/// The name of an unpacked file, and the program that unpacks it.
fn unpacked(path: &str) -> (&str, Option<&'static str>) {
    let packers = [(".zst", "zstd"), (".gz", "gzip"), (".xz", "xz")];
    let packer = packers.iter().find_map(|(end, tool)| Some((path.strip_suffix(end)?, Some(*tool))));
    packer.unwrap_or((path, None))
}

/// The corpus, unpacked once for all tests of this file; `None`, loudly, where it cannot be had.
fn corpus() -> Option<&'static Corpus> {
    static CORPUS: OnceLock<Option<Corpus>> = OnceLock::new();
    CORPUS.get_or_init(unpack).as_ref()
}

fn unpack() -> Option<Corpus> {
    let folder = shared()?;
    // In cargo's folder for tests, made anew by each run: statics are never dropped.
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus");
    fs::remove_dir_all(&root).ok();
    let table = fs::read_to_string(folder.join("FILES.tsv")).unwrap();
    for packed in table.lines().skip(1).filter_map(|line| line.split('\t').next()) {
        let (plain, packer) = unpacked(packed);
        if ![".vhd", ".vhdx", ".raw", ".qcow2", ".vmdk"].iter().any(|end| plain.ends_with(end)) {
            continue;
        }
        if let Some(tool) = packer
            && !installed(tool, "the corpus cannot be unpacked and no disk of others was read")
        {
            return None;
        }
        let to = root.join(plain);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let script = "exec \"$1\" -dc <\"$2\" | cp --sparse=always /dev/stdin \"$3\"";
        match packer {
            None => must_run("cp", &["--sparse=always", "--no-preserve=mode", name(&folder.join(packed)), name(&to)]),
            Some(tool) => must_run("sh", &["-c", script, "sh", tool, name(&folder.join(packed)), name(&to)]),
        };
    }
    let truth = fs::read_to_string(folder.join("truth.jsonl")).unwrap();
    let truth = truth.lines().map(|line| {
        let entry: Value = serde_json::from_str(line).unwrap();
        (unpacked(entry["file"].as_str().unwrap()).0.to_owned(), entry)
    });
    Some(Corpus { truth: truth.collect(), root })
}

/// The lines of the table: file, codes, what `prepare` does.
fn expected() -> impl Iterator<Item = (&'static str, Vec<&'static str>, &'static str)> {
    EXPECTED.lines().filter(|line| !line.is_empty()).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[0], words[1].split(',').filter(|code| *code != "-").collect(), words[2])
    })
}

/// Seconds since 2000 as the contract prints times; counted here by itself, day by day.
fn rfc3339(seconds: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 2000;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    format!("{year:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", month + 1, days + 1, second / 3600, second / 60 % 60, second % 60)
}

/// A footer of the truth in the contract's words.
fn footer(truth: &Value) -> Value {
    if truth.is_null() {
        return Value::Null;
    }
    let part = |place: usize| truth["geometry"][place].clone();
    json!({
        "cookie": "conectix",
        "features": truth["features"],
        "format_version": truth["version"],
        "data_offset": truth["data_offset"],
        "timestamp": rfc3339(truth["timestamp"].as_u64().unwrap()),
        "creator_application": truth["creator"],
        "creator_version": truth["creator_version"],
        "creator_host_os": truth["host"],
        "original_size": truth["original_size"],
        "current_size": truth["current_size"],
        "geometry": { "cylinders": part(0), "heads": part(1), "sectors": part(2) },
        "disk_type": truth["disk_type"],
        "checksum": { "stored": truth["checksum"], "computed": truth["computed"] },
        "unique_id": truth["unique_id"],
        "saved_state": truth["saved_state"] == 1,
    })
}

/// Our footer without the fields that the truth does not have.
fn bare(ours: &Value) -> Value {
    let mut ours = ours.clone();
    if let Some(fields) = ours.as_object_mut() {
        fields.remove("offset");
        fields.remove("length");
    }
    ours
}

/// Compares one fact; a difference must be in the list of known ones, and a known one must still be there.
fn same(file: &str, fact: &str, ours: &Value, truth: &Value) {
    let known = DIFFERENCES
        .iter()
        .find(|(of, which, _)| (*of == file || of.strip_prefix('*').is_some_and(|end| file.ends_with(end))) && *which == fact);
    match known {
        None => assert_eq!(ours, truth, "{file}: {fact}"),
        Some((_, _, "present" | "known")) => assert!(truth.is_null() && !ours.is_null(), "{file}: {fact}"),
        Some((_, _, value)) => {
            assert_eq!(ours, &serde_json::from_str::<Value>(value).unwrap(), "{file}: {fact}");
            assert_ne!(ours, truth, "{file}: {fact} differs no more");
        }
    }
}

#[test]
fn every_recorded_field_is_read_as_it_was_recorded() {
    let Some(corpus) = corpus() else { return };
    assert_eq!(corpus.truth.len(), 49, "a file came or went");
    for (file, truth) in &corpus.truth {
        let run = vhdkit(&["inspect", "--format", "json", name(&corpus.root.join(file))]);
        assert_eq!(run.status, 0, "{file}: {}", run.stderr);
        let disk = run.json()["disks"][0].take();
        same(file, "file_size", &disk["file_size"], &truth["file_size"]);
        same(file, "format", &disk["format"], &truth["format"]);
        same(file, "kind", &disk["kind"], &truth["kind"]);
        same(file, "footer", &bare(&disk["footer"]), &footer(&truth["footer"]));
        same(file, "copy", &bare(&disk["footer_copy"]), &footer(&truth["copy"]));
        same(file, "allocated", &disk["block_table"]["allocated"], &truth["allocated"]);
        if truth["header"].is_object() {
            for field in ["table_offset", "max_table_entries", "block_size"] {
                same(file, field, &disk["dynamic_header"][field], &truth["header"][field]);
            }
            for (ours, theirs) in [("stored", "checksum"), ("computed", "computed")] {
                same(file, ours, &disk["dynamic_header"]["checksum"][ours], &truth["header"][theirs]);
            }
        }
        if !truth["footer"].is_null() || !truth["copy"].is_null() {
            let footer = if truth["footer"].is_null() { &truth["copy"] } else { &truth["footer"] };
            same(file, "virtual_size", &disk["virtual_size"], &footer["current_size"]);
        }
    }
}

/// The recorded content of a file, if any.
fn content(corpus: &Corpus, file: &str) -> Option<String> {
    let listed = CONTENTS.iter().find(|(of, _)| *of == file).map(|(_, hash)| (*hash).to_owned());
    listed.or_else(|| corpus.truth.get(file)?["content_sha256"].as_str().map(str::to_owned))
}

#[test]
fn every_virtual_disk_has_the_recorded_content() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for (file, _, _) in expected() {
        let Some(recorded) = content(corpus, file) else { continue };
        let disk = open(&corpus.root.join(file), &[]).disk.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(sha256(&*disk).unwrap(), recorded, "{file}");
        compared += 1;
    }
    assert_eq!(compared, 30, "a content came or went");
}

#[test]
fn findings_are_the_right_ones_and_no_more() {
    let Some(corpus) = corpus() else { return };
    let files = Command::new("find").args([name(&corpus.root), "-type", "f"]).output().unwrap().stdout;
    assert_eq!(String::from_utf8(files).unwrap().lines().count(), expected().count(), "each file has its line");
    for (file, codes, _) in expected() {
        let run = vhdkit(&["check", "--role", "data", "--format", "json", name(&corpus.root.join(file))]);
        assert_eq!(run.codes(), codes, "{file}");
        // Of these codes only VHD015 and VHD028 are notes, VHD022 and VHD102 warnings; every other is an error.
        let ready = codes.iter().all(|code| matches!(*code, "VHD015" | "VHD022" | "VHD028" | "VHD102"));
        assert_eq!(run.status, i32::from(!ready), "{file}");
        assert_eq!(run.json()["verdict"], if ready { "ready" } else { "not_ready" }, "{file}");
    }
}

/// What else lies in the corpus: packed files as they are, hives, tables, footers without their disks. None is ready, none is trouble.
#[test]
fn files_that_are_no_disks_are_named() {
    let Some(folder) = shared() else { return };
    let table = fs::read_to_string(folder.join("FILES.tsv")).unwrap();
    for file in table.lines().skip(1).filter_map(|line| line.split('\t').next()) {
        let run = vhdkit(&["check", "--role", "data", "--format", "json", name(&folder.join(file))]);
        let disk = run.json()["disks"][0].take();
        let format = text(&disk["format"]);
        let packed = [(".zst", "zstd"), (".gz", "gzip"), (".xz", "xz"), (".txt", "text"), (".tsv", "text")];
        if let Some((_, named)) = packed.iter().find(|(end, _)| file.ends_with(end)) {
            assert_eq!((format.as_str(), run.codes(), run.status), (*named, vec!["VHD001".to_owned()], 1), "{file}");
        } else if file.ends_with(".footer") {
            let found = run.codes();
            // Of a fixed disk the payload is missing, of a dynamic one the header.
            let lost = if disk["kind"] == "fixed" { "VHD004" } else { "VHD103" };
            assert!(format == "vhd" && run.status == 1 && found.iter().any(|code| code == lost), "{file}: {found:?}");
            assert!(!found.iter().any(|code| code == "VHD023"), "{file}: a footer is no disk with a footer inside");
            // The file that its author gave a wrong checksum.
            assert_eq!(found.iter().any(|code| code == "VHD017"), file.contains("ParseInvalid"), "{file}");
        } else if !file.starts_with("built-") && !file.contains(".vhd") {
            assert_eq!((run.status, run.codes().contains(&"VHD001".to_owned())), (1, true), "{file}");
        }
    }
}

/// A prepared image: its directory, its one disk, the manifest's entry.
struct Image {
    disk: PathBuf,
    entry: Value,
}

fn prepare(source: &Path, to: &Path, allow: &[&str]) -> Result<Image, samples::Run> {
    let mut args = vec!["prepare", "--role", "data", "--digest", "fsverity", "--format", "json", "-o", name(to), name(source)];
    for code in allow {
        args.extend(["--allow", code]);
    }
    let run = vhdkit(&args);
    if run.status != 0 {
        assert!(!to.join("manifest.json").exists(), "{}: a refusal wrote a manifest", source.display());
        return Err(run);
    }
    let manifest: Value = serde_json::from_slice(&fs::read(to.join("manifest.json")).unwrap()).unwrap();
    let entry = manifest["disks"][0].clone();
    Ok(Image { disk: to.join(text(&entry["file"])), entry })
}

/// All that other programs can say about one output.
struct Peers {
    python: bool,
    qemu: bool,
    vhdiinfo: bool,
    seven_zip: bool,
    sgdisk: bool,
    fsverity: bool,
}

impl Peers {
    fn find() -> Self {
        Self {
            python: installed("python3", "footers of outputs were not read by an independent reader"),
            qemu: installed("qemu-img", "outputs were not compared with qemu's reading of the sources"),
            vhdiinfo: installed("vhdiinfo", "outputs were not opened by libvhdi"),
            seven_zip: installed("7z", "outputs were not opened by 7-Zip"),
            sgdisk: installed("sgdisk", "GPTs of outputs were not verified"),
            fsverity: installed("fsverity", "digests of manifests were not computed by another program"),
        }
    }

    /// Holds an output against each program that can read it.
    fn agree(&self, file: &str, source: &Path, source_size: u64, image: &Image) {
        let disk = name(&image.disk);
        let size = image.entry["virtual_size"].as_u64().unwrap();
        if self.python {
            let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/vhdfooter.py");
            let footer: Value = serde_json::from_str(&must_run("python3", &[reader, disk])).unwrap();
            let expected = json!({
                "cookie": "conectix", "features": 2, "version": 65536, "data_offset": u64::MAX, "creator": "win ", "host": "Wi2k",
                "current_size": size, "disk_type": 2, "saved_state": 0, "reserved_is_zero": true, "file_size": size + 512,
            });
            for (field, value) in expected.as_object().unwrap() {
                // What is ready already is copied, its footer included.
                let copied = list(&image.entry["steps"]).is_empty();
                assert!(&footer[field] == value || (copied && field == "creator"), "{file}: {field} {} {value}", footer[field]);
            }
            assert_eq!(footer["checksum"], footer["computed"], "{file}");
            assert!(footer["geometry"] == footer["geometry_by_spec"] || footer["creator"] == "qem2", "{file}: {footer}");
        }
        if self.qemu {
            let info: Value = serde_json::from_str(&must_run("qemu-img", &["info", "-f", "vpc", "--output=json", disk])).unwrap();
            assert_eq!(info["virtual-size"], size, "{file}");
            self.agree_with_qemu(file, source, source_size, image);
        }
        if self.vhdiinfo {
            let words = must_run("vhdiinfo", &[disk]);
            assert!(words.contains(&format!("({size} bytes)")) && words.contains("Fixed"), "{file}: {words}");
        }
        if self.seven_zip {
            let words = must_run("7z", &["l", "-slt", "-tVHD", disk]);
            assert!(words.contains("Method = Fixed") && words.contains(&format!("\nSize = {size}\n")), "{file}: {words}");
        }
        if self.sgdisk && image.entry["steps"].to_string().contains("rebuild-gpt") {
            // sgdisk takes the file for the disk, so it gets one without the footer.
            let raw = image.disk.with_extension("raw");
            must_run("cp", &["--sparse=always", disk, name(&raw)]);
            fs::OpenOptions::new().write(true).open(&raw).unwrap().set_len(size).unwrap();
            let words = must_run("sgdisk", &["-v", name(&raw)]);
            assert!(words.contains("No problems found"), "{file}: {words}");
            fs::remove_file(raw).unwrap();
        }
        if self.fsverity && size <= LARGE {
            let words = must_run("fsverity", &["digest", "--hash-alg=sha256", disk]);
            assert_eq!(words.split_whitespace().next(), image.entry["fsverity"].as_str(), "{file}");
        }
    }

    /// The same bytes as qemu sees in the source, in a file that takes no more room than qemu's own.
    fn agree_with_qemu(&self, file: &str, source: &Path, source_size: u64, image: &Image) {
        // qemu refuses wrong checksums, footers that are not at the end, and sizes of odd bytes; a child's parent it ignores.
        let refused = ["m04-", "m11-", "m14-", "m25-", "src-dfvfs/image.vhd", "ntfs-differential"];
        if refused.iter().any(|part| file.contains(part)) {
            return;
        }
        let format = match text(&image.entry["source"]["format"]).as_str() {
            "vhd" => "vpc",
            "vhdx" => "vhdx",
            _ => "raw",
        };
        // Where a GPT was rebuilt, the bytes differ on purpose. Of a large VHDX qemu reads every hole.
        let slow = format == "vhdx" && source_size > 2 << 30;
        if !slow && !image.entry["steps"].to_string().contains("rebuild-gpt") {
            must_run("qemu-img", &["compare", "-q", "-f", format, "-F", "vpc", name(source), name(&image.disk)]);
        }
        if source_size > LARGE {
            return;
        }
        let theirs = image.disk.with_extension("qemu");
        must_run("qemu-img", &["convert", "-f", format, "-O", "vpc", "-o", "subformat=fixed,force_size=on", name(source), name(&theirs)]);
        let (we, they) = (blocks(&image.disk), blocks(&theirs));
        assert!(we <= they + 65_536, "{file}: {we} bytes on disk, {they} by qemu");
        fs::remove_file(theirs).unwrap();
    }
}

#[test]
fn prepare_writes_what_everybody_reads() {
    let Some(corpus) = corpus() else { return };
    let peers = Peers::find();
    for (file, _, then) in expected() {
        let source = corpus.root.join(file);
        let dir = tempfile::tempdir_in(&corpus.root).unwrap();
        let to = dir.path().join("image");
        let plain = prepare(&source, &to, &[]);
        let image = match (then, plain) {
            ("ready", Ok(image)) => image,
            ("ready", Err(run)) => panic!("{file}: {}{}", run.stdout, run.stderr),
            (_, Ok(_)) => panic!("{file} was prepared"),
            ("no" | "refused", Err(run)) => {
                assert_eq!(run.status, 1, "{file}: {}", run.stderr);
                assert_eq!(run.json()["stage"], "blocked", "{file}");
                assert!(!to.exists() || fs::read_dir(&to).unwrap().next().is_none(), "{file}: something was left");
                continue;
            }
            (code, Err(run)) => {
                assert_eq!(run.json()["stage"], "blocked", "{file}");
                prepare(&source, &to, &[code]).unwrap_or_else(|run| panic!("{file}: {}{}", run.stdout, run.stderr))
            }
        };
        let size = image.entry["virtual_size"].as_u64().unwrap();
        assert_eq!(flaw_of_fixed(&image.disk).filter(|flaw| flaw != "the footer's creator"), None, "{file}");
        let opened = open(&source, &[]);
        let inner = opened.virtual_size.unwrap();
        peers.agree(file, &source, inner, &image);
        same_bytes(corpus, file, &image, inner, size);
        // A prepared disk is ready, and preparing it again changes nothing.
        let again = prepare(&image.disk, &dir.path().join("again"), &[]).unwrap_or_else(|run| panic!("{file}: {}", run.stdout));
        assert_eq!(again.entry["steps"], json!([]), "{file}");
        assert_eq!(again.entry["fsverity"], image.entry["fsverity"], "{file}");
        let verified = vhdkit(&["verify", name(&to)]);
        // What was allowed was cured by writing the disk anew.
        assert_eq!(verified.status, 0, "{file}: {}{}", verified.stdout, verified.stderr);
    }
}

/// The output's first bytes are the source's; behind them are zeros, but for a GPT that was moved.
fn same_bytes(corpus: &Corpus, file: &str, image: &Image, inner: u64, size: u64) {
    let whole: vhdkit::bytes::Bytes = std::sync::Arc::new(HostFile::open(&image.disk, Access::Positional).unwrap());
    let rebuilt = image.entry["steps"].to_string().contains("rebuild-gpt");
    if inner > LARGE || rebuilt {
        return;
    }
    let recorded = content(corpus, file);
    let first = Slice::new(whole.clone(), 0, inner).unwrap();
    let source = || sha256(&*open(&corpus.root.join(file), &[]).disk.unwrap()).unwrap();
    assert_eq!(sha256(&first).unwrap(), recorded.unwrap_or_else(source), "{file}");
    if size > inner {
        let tail = Slice::new(whole, inner, size - inner).unwrap();
        samples::each_piece(&tail, |piece| assert!(piece.iter().all(|byte| *byte == 0), "{file}: behind the disk are zeros")).unwrap();
    }
}
