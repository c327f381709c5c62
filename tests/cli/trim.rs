//! `--trim`: what is free is left out, on any disk that is prepared.

use crate::linux::able;
use crate::linux_healthy;
use crate::support::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn manifest(out: &str) -> Value {
    serde_json::from_slice(&read(&Path::new(out).join("manifest.json"))).unwrap()
}

/// Puts bytes where a file system of 4 KiB blocks or smaller has nothing: far behind everything that mke2fs wrote.
fn litter(disk: &Path) -> u64 {
    use std::os::unix::fs::FileExt;
    // The root begins at 18 MiB and has 24; its last MiB is not used by so few files.
    let at = 40 * MIB;
    let file = fs::File::options().read(true).write(true).open(disk).unwrap();
    let mut there = vec![0; 65_536];
    file.read_exact_at(&mut there, at).unwrap();
    assert!(there.iter().all(|byte| *byte == 0), "something stands where nothing should");
    file.write_all_at(&pattern(7, 65_536), at).unwrap();
    at
}

#[test]
fn a_disk_without_free_space_to_find_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, out) = (dir.path().join("data.vhd"), dir.path().join("out"));
    // Nothing that is a file system stands on it, so nobody says that anything is free.
    Disk::data(24 * MIB).write_fixed(&disk);
    for option in [&["--trim"][..], &["--no-trim"], &["--trim", "--no-trim"], &["--no-trim", "--trim"], &[]] {
        let (disk, to) = (disk.to_str().unwrap(), out.to_str().unwrap());
        let args = [&["prepare", disk, "--role", "data", "-o", to, "--overwrite"][..], option].concat();
        vhdkit(args).ended(0).said("copied unchanged");
        assert_eq!(manifest(to)["disks"][0]["trimmed_bytes"], 0);
        assert!(read(&out.join("data.vhd")) == read(Path::new(disk)), "{option:?}");
    }
}

#[test]
fn what_is_free_is_left_out_where_it_is_asked() {
    if !able() {
        return;
    }
    let (dir, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = dir.path().join("web.vhd");
    fs::copy(linux_healthy::generalized().write(work.path()), &disk).unwrap();
    let at = litter(&disk) as usize;
    let words = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (source, out, again) = (disk.to_str().unwrap(), words("out"), words("again"));
    let prepare = |disk: &str, out: &str, more: &[&str]| {
        vhdkit([&["prepare", disk, "--as=generalized", "--name=web", "--overwrite", "--format=json", "-o", out][..], more].concat())
            .ended(0)
            .json()
    };

    // Without the option it stays.
    let kept = prepare(source, &out, &[]);
    assert_eq!((&kept["trim"], &kept["manifest"]["disks"][0]["trimmed_bytes"]), (&json!([]), &json!(0)));
    assert!(read(&Path::new(&out).join("web.vhd"))[at..at + 65_536] == pattern(7, 65_536));

    let dry = prepare(source, &out, &["--trim", "--dry-run"]);
    if dry["trim"] == json!([]) {
        eprintln!("SKIPPED: what trimming leaves out, since this program does not look for free space yet");
        return;
    }
    let wet = prepare(source, &out, &["--trim"]);
    assert_eq!((&dry["trim"], &dry["plan"]), (&wet["trim"], &wet["plan"]));
    let root = wet["trim"].as_array().unwrap().iter().find(|one| one["kind"] == "ext4").unwrap();
    let keys: Vec<&String> = root.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["region", "kind", "free_bytes", "dropped_bytes", "reason"]);
    assert_eq!(root["reason"], Value::Null);
    let dropped = root["dropped_bytes"].as_u64().unwrap();
    assert!(dropped >= 65_536 && root["free_bytes"].as_u64().unwrap() > dropped, "{root}");
    let made = &wet["manifest"]["disks"][0];
    let trimmed = made["trimmed_bytes"].as_u64().unwrap();
    assert!(trimmed >= dropped);
    assert_eq!(made["steps"], json!([{ "step": "trim", "bytes": trimmed }]));
    let file = Path::new(&out).join("web.vhd");
    assert!(read(&file)[at..at + 65_536].iter().all(|byte| *byte == 0), "what was deleted went out");
    vhdkit(["verify", &out]).ended(0);
    vhdkit(["prepare", source, "--as=generalized", "--trim", "--dry-run"]).ended(0).said("call free").said("left out");
    // What is gone cannot be left out again, and nothing else is done to the file.
    let second = prepare(file.to_str().unwrap(), &again, &["--trim"]);
    assert_eq!(second["plan"][0]["steps"], json!([]));
    assert!(read(&Path::new(&again).join("web.vhd")) == read(&file));
}
