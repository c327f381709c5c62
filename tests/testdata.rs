//! What `testdata/README.md` promises about the disks beside it. No other program is needed.
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
    reason = "a test may panic"
)]

mod samples;

use samples::{each_piece, flaw_of_fixed, list, name, open, text, vhdkit};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The size that qemu-img gave 24 MiB.
const ROUNDED: u64 = 25_171_968;
/// The next whole MiB.
const WHOLE: u64 = 25 << 20;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn check(path: &Path, more: &[&str]) -> (i32, Vec<String>, Value) {
    let run = vhdkit(&[&["check", "--format", "json", name(path)], more].concat());
    (run.status, run.codes(), run.json())
}

fn whole(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    each_piece(&*open(path, &[]).disk.unwrap(), |piece| bytes.extend_from_slice(piece)).unwrap();
    bytes
}

#[test]
fn the_readme_lists_the_disks_that_are_here() {
    let readme = fs::read_to_string(sample("README.md")).unwrap();
    let mut disks: Vec<String> = fs::read_dir(sample(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".vhd"))
        .collect();
    disks.sort();
    assert_eq!(disks, ["becomes-ready.vhd", "child.vhd", "not-ready.vhd", "parent.vhd"]);
    assert!(disks.iter().all(|disk| readme.contains(&format!("| `{disk}` |"))));
}

#[test]
fn two_disks_are_not_ready_for_four_reasons() {
    for (disk, role, partitions) in [("not-ready.vhd", "os", 2), ("becomes-ready.vhd", "data", 1)] {
        let (status, codes, report) = check(&sample(disk), &[]);
        assert_eq!((status, report["verdict"].as_str()), (1, Some("not_ready")), "{disk}");
        assert_eq!(codes, ["VHD002", "VHD003", "VHD015", "VHD022"], "{disk}");
        assert!(list(&report["findings"]).iter().all(|finding| finding["remedy"]["by"] == "prepare"), "{disk}");
        let facts = &report["disks"][0];
        assert_eq!((facts["kind"].as_str(), facts["virtual_size"].as_u64()), (Some("dynamic"), Some(ROUNDED)), "{disk}");
        assert_eq!(facts["footer"]["creator_application"], "qemu", "{disk}");
        assert_eq!((facts["role"].as_str(), list(&facts["partitions"]).len()), (Some(role), partitions), "{disk}");
        let table = &facts["partition_table"];
        let (stands, belongs) = (table["backup_offset"].as_u64().unwrap(), table["backup_expected_offset"].as_u64().unwrap());
        assert_eq!((belongs, belongs - stands), (ROUNDED - 512, 6144), "{disk}");
    }
    let (_, _, report) = check(&sample("not-ready.vhd"), &[]);
    let contents: Vec<String> = list(&report["disks"][0]["partitions"]).iter().map(|p| text(&p["content"]["type"])).collect();
    assert_eq!(contents, ["vfat", "ext4"]);
}

#[test]
fn becomes_ready_becomes_ready() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("ready");
    let run = vhdkit(&["prepare", name(&sample("becomes-ready.vhd")), "--role", "data", "-o", name(&to), "--sha256"]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert_eq!(vhdkit(&["verify", name(&to)]).status, 0);
    let disk = to.join("becomes-ready.vhd");
    assert_eq!(flaw_of_fixed(&disk), None);
    assert_eq!(fs::metadata(&disk).unwrap().len(), WHOLE + 512);
    let (status, codes, report) = check(&disk, &[]);
    assert_eq!((status, codes, &report["verdict"]), (0, vec![], &json!("ready")));
    assert_eq!(report["disks"][0]["partition_table"]["backup_offset"], WHOLE - 512);
    assert_eq!(report["disks"][0]["partitions"][0]["content"]["label"], "data");
    // The partition is what it was.
    let (before, after) = (whole(&sample("becomes-ready.vhd")), whole(&disk));
    assert!(before[1 << 20..23 << 20] == after[1 << 20..23 << 20]);
    // It is that disk still, in the manifest and in the footer.
    let manifest: Value = serde_json::from_slice(&fs::read(to.join("manifest.json")).unwrap()).unwrap();
    let made = &manifest["disks"][0];
    assert_eq!(made["source"]["unique_id"], "5f0c6a1e-0000-4000-8000-00000000a004");
    assert_eq!(report["disks"][0]["footer"]["unique_id"], made["source"]["unique_id"]);
    let steps: Vec<String> = list(&made["steps"]).iter().map(|step| text(&step["step"])).collect();
    assert_eq!(steps, ["write-fixed", "grow", "rebuild-gpt", "write-footer"]);
    let sums = fs::read_to_string(to.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, format!("{}  becomes-ready.vhd\n", text(&made["sha256"])));
    // Twice is the same file.
    let again = dir.path().join("again");
    assert_eq!(vhdkit(&["prepare", name(&sample("becomes-ready.vhd")), "--role", "data", "-o", name(&again)]).status, 0);
    assert!(fs::read(again.join("becomes-ready.vhd")).unwrap() == fs::read(&disk).unwrap());
}

/// A sector that `pair.py` wrote.
fn line(words: &str) -> Vec<u8> {
    let mut bytes = words.as_bytes().to_vec();
    bytes.resize(512, b'.');
    bytes
}

#[test]
fn the_pair_is_read_as_one_disk() {
    let mut both = vec![0; 20 << 20];
    let mut put = |sector: usize, words: String| both[sector * 512..sector * 512 + 512].copy_from_slice(&line(&words));
    (0..8).for_each(|sector| put(256 * 8 + sector, format!("parent, block 256, sector {sector}")));
    put(20 * 2048 - 1, "parent, the last sector of the disk".to_owned());
    [0, 3, 7].iter().for_each(|sector| put(256 * 8 + sector, format!("child, block 256, sector {sector}")));
    put(1000 * 8 + 2, "child, block 1000, sector 2".to_owned());
    assert!(whole(&sample("child.vhd")) == both);
    let (status, codes, report) = check(&sample("child.vhd"), &[]);
    assert_eq!((status, codes), (1, vec!["VHD002".to_owned()]));
    assert_eq!(report["disks"][0]["dynamic_header"]["parent"]["name"], "parent.vhd");
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("merged");
    assert_eq!(vhdkit(&["prepare", name(&sample("child.vhd")), "--role", "data", "-o", name(&to)]).status, 0);
    assert!(fs::read(to.join("child.vhd")).unwrap()[..20 << 20] == both);
    // Alone, the child is nothing.
    let lonely = dir.path().join("child.vhd");
    fs::copy(sample("child.vhd"), &lonely).unwrap();
    assert_eq!(check(&lonely, &[]).1, ["VHD002", "VHD018"]);
    assert_eq!(vhdkit(&["prepare", name(&lonely), "--role", "data", "-o", name(&dir.path().join("none"))]).status, 2);
    assert_eq!(check(&lonely, &["--parent-dir", name(&sample(""))]).1, ["VHD002"]);
    let (status, codes, _) = check(&sample("parent.vhd"), &[]);
    assert_eq!((status, codes), (1, vec!["VHD002".to_owned()]));
}

/// The screen in README.md is what the program prints, word for word.
#[test]
fn the_readme_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, shown) = readme.split_once("```text\n$ vhdkit check testdata/not-ready.vhd\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_vhdkit"));
    let ran = program.current_dir(root).args(["check", "testdata/not-ready.vhd"]).output().unwrap();
    assert_eq!(shown, String::from_utf8(ran.stdout).unwrap());
    assert_eq!(ran.status.code(), Some(1));
}
