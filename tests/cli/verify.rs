//! `verify`: every kind of damage has a sentence of its own.

use crate::support::*;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    /// A prepared data disk of 24 MiB.
    fn new(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("disk.vhd");
        Disk::data(24 * MIB).write_dynamic(&source);
        let image = Self { dir };
        let mut command = command();
        command.arg("prepare").arg(&source).args(["--role=data", "-o"]).arg(image.out()).args(more);
        run(command).ended(0);
        image
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn file(&self) -> File {
        File::options().read(true).write(true).open(self.out().join("disk.vhd")).unwrap()
    }

    fn verify(&self) -> Ran {
        vhdkit([Path::new("verify"), &self.out()])
    }
}

#[test]
fn each_damage_is_told_apart() {
    let intact = Image::new(&[]);
    let ran = intact.verify().ended(0).said("as prepared, ready");
    assert_eq!(ran.err, "");
    let before = listing(&intact.out());

    type Damage = fn(&Image);
    let damages: &[(&str, Damage)] = &[
        ("the content was changed", |image| {
            let mut byte = [0];
            image.file().read_exact_at(&mut byte, 2 * MIB).unwrap();
            image.file().write_all_at(&[byte[0] ^ 1], 2 * MIB).unwrap();
        }),
        // In a hole, where nothing was.
        ("the content was changed", |image| image.file().write_all_at(&[1], 9 * MIB).unwrap()),
        ("the file is missing", |image| fs::remove_file(image.out().join("disk.vhd")).unwrap()),
        ("the file is cut: it has 25166335 bytes, 1 fewer than", |image| image.file().set_len(24 * MIB + 511).unwrap()),
        ("the file is cut: it has 0 bytes", |image| image.file().set_len(0).unwrap()),
        ("the file has grown: it has 25166337 bytes, 1 more than", |image| image.file().set_len(24 * MIB + 513).unwrap()),
        ("the footer is damaged", |image| image.file().write_all_at(&[0xee], 24 * MIB + 100).unwrap()),
        ("the footer is gone", |image| image.file().write_all_at(&[0; 512], 24 * MIB).unwrap()),
        ("the footer says 26214400 bytes, the manifest 25165824", |image| {
            let mut other = footer(25 * MIB, 2, u64::MAX);
            seal(&mut other, 64);
            image.file().write_all_at(&other, 24 * MIB).unwrap();
        }),
    ];
    for (words, damage) in damages {
        let image = Image::new(&[]);
        damage(&image);
        let words_of = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let ran = image.verify().ended(1);
        assert!(words_of(&ran.out).contains(words), "no '{words}' in:\n{}", ran.out);
        let document = vhdkit([Path::new("verify"), &image.out(), Path::new("--format=json")]).ended(1).json();
        let mismatches = document["mismatches"].as_array().unwrap();
        assert!(mismatches.iter().any(|one| one.as_str().unwrap().contains(words)), "{mismatches:?}");
        assert!(mismatches.iter().all(|one| one.as_str().unwrap().starts_with("disk.vhd: ")), "{mismatches:?}");
    }
    assert_eq!(listing(&intact.out()), before, "verify writes nothing");
    let document = vhdkit([Path::new("verify"), &intact.out(), Path::new("--format=json")]).ended(0).json();
    assert_eq!((&document["verdict"], &document["mismatches"]), (&"ready".into(), &serde_json::json!([])));
    assert_eq!(document["digests_verified"], serde_json::json!([{ "file": "disk.vhd", "digest": "fs-verity" }]));
}

#[test]
fn a_changed_byte_is_seen_by_each_digest() {
    for (options, name) in [(&["--digest", "none", "--sha256"][..], "SHA-256"), (&[], "fs-verity")] {
        let image = Image::new(options);
        image.file().write_all_at(&[0xff], 5 * MIB).unwrap();
        image.verify().ended(1).said(name);
    }
    // Without a digest only the footer and the verdict speak.
    let image = Image::new(&["--digest", "none"]);
    image.file().write_all_at(&[0xff], 5 * MIB).unwrap();
    image.verify().ended(0);
}

#[test]
fn a_manifest_that_is_missing_or_none_is_status_2() {
    let image = Image::new(&[]);
    let manifest = image.out().join("manifest.json");
    let good = String::from_utf8(read(&manifest)).unwrap();
    let broken = |text: &str, words: &str| {
        fs::write(&manifest, text).unwrap();
        let ran = image.verify().ended(2).complained("manifest.json").complained(words);
        assert_eq!((ran.out.as_str(), ran.err.lines().count()), ("", 1), "{}", ran.err);
    };
    fs::write(image.dir.path().join("up.vhd"), "x").unwrap();
    for name in ["../up.vhd", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b", "C:x", "\\u001b[31mred"] {
        broken(&good.replace("\"disk.vhd\"", &format!("\"{name}\"")), "which is not a plain file name");
    }
    broken("", "it is not a manifest of vhdkit");
    broken("{}", "it is not a manifest of vhdkit");
    broken("[1]", "it is not a manifest of vhdkit");
    broken(&good[..good.len() / 2], "it is not a manifest of vhdkit");
    broken(&good.replace("\"schema_version\": 1", "\"schema_version\": 2"), "its schema version is 2");
    let disks = &good[good.find("\"disks\": [").unwrap()..good.find("  ],\n  \"verdict\"").unwrap()];
    broken(&good.replace(disks, "\"disks\": [\n"), "it lists no disks");
    broken(&"[".repeat(200_000), "it is not a manifest of vhdkit");

    fs::remove_file(&manifest).unwrap();
    image.verify().ended(2).complained("a directory without a manifest holds no finished image");
    fs::create_dir(&manifest).unwrap();
    image.verify().ended(2).complained("manifest.json");
    fs::remove_dir(&manifest).unwrap();
    // A sparse file costs nothing to make, and must not cost its length to refuse.
    File::create(&manifest).unwrap().set_len(1 << 40).unwrap();
    image.verify().ended(2).complained("more than any manifest");
    let nowhere = image.dir.path().join("nowhere");
    vhdkit([Path::new("verify"), &nowhere]).ended(2).complained("nowhere");
}

#[test]
fn a_disk_of_the_image_that_is_no_file_is_status_2() {
    let image = Image::new(&[]);
    let disk = image.out().join("disk.vhd");
    fs::remove_file(&disk).unwrap();
    fs::create_dir(&disk).unwrap();
    image.verify().ended(2).complained("disk.vhd").complained("it is a directory");
}
