//! `prepare`: what it writes, what it refuses, and what it leaves alone.

use crate::support::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&read(&out.join("manifest.json"))).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A directory with a source, which is held to what it was when the value goes.
struct Bench {
    dir: tempfile::TempDir,
    source: PathBuf,
    before: (Vec<u8>, std::time::SystemTime),
}

impl Bench {
    fn new(name: &str, make: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join(name);
        make(&source);
        let before = (read(&source), fs::metadata(&source).unwrap().modified().unwrap());
        Self { dir, source, before }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn prepare(&self, args: &[&str]) -> Ran {
        let mut command = command();
        command.arg("prepare").arg(&self.source).arg("-o").arg(self.out()).args(args);
        run(command)
    }

    fn verify(&self) -> Ran {
        vhdkit([Path::new("verify"), &self.out()])
    }

    #[track_caller]
    fn nothing_was_written(&self) {
        assert!(!self.out().exists(), "{:?}", listing(&self.out()));
        assert_eq!(listing(self.dir.path()).len(), 1, "{:?}", listing(self.dir.path()));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let now = (read(&self.source), fs::metadata(&self.source).unwrap().modified().unwrap());
            assert!(now == self.before, "the source was changed");
        }
    }
}

/// The file that a disk must become: its bytes, and a footer of its size, identity and time.
#[track_caller]
fn holds(file: &Path, disk: &Disk) {
    let found = read(file);
    let size = usize::try_from(disk.size).unwrap();
    assert_eq!(found.len(), size + 512);
    assert!(found[..size] == disk.bytes(), "the bytes of the disk differ");
    let mut expected = footer(disk.size, 2, u64::MAX);
    seal(&mut expected, 64);
    assert_eq!(found[size..], expected, "the footer differs");
}

#[test]
fn a_data_disk_is_prepared_from_every_kind_of_source() {
    let disk = Disk::data(24 * MIB);
    for (kind, steps) in [("fixed", 0), ("dynamic", 2), ("raw", 2)] {
        let bench = Bench::new("data.vhd", |path| match kind {
            "fixed" => disk.write_fixed(path),
            "dynamic" => disk.write_dynamic(path),
            _ => disk.write_raw(path),
        });
        let ran = bench.prepare(&["--role", "data"]).ended(0).said("ready for Azure");
        assert_eq!(ran.err, "");
        assert_eq!(listing(&bench.out()), ["data.vhd", "manifest.json"]);
        let manifest = manifest(&bench.out());
        assert_eq!(manifest["disks"][0]["steps"].as_array().unwrap().len(), steps, "{manifest}");
        if kind == "raw" {
            // A raw disk has no identity; it is given one by its bytes, the same every time.
            let found = read(&bench.out().join("data.vhd"));
            assert!(found[..24 << 20] == disk.bytes());
            bench.prepare(&["--role", "data", "--overwrite"]).ended(0);
            assert!(read(&bench.out().join("data.vhd")) == found);
        } else {
            holds(&bench.out().join("data.vhd"), &disk);
        }
        bench.verify().ended(0).said("fs-verity agrees");
        vhdkit([Path::new("check"), &bench.out().join("data.vhd")]).ended(0);
    }
}

#[test]
fn a_tail_that_is_cut_knowingly_leaves_a_whole_file() {
    let disk = Disk::data(24 * MIB);
    // The footer says 22 MiB, and 24 stand before it.
    let bench = Bench::new("data.vhd", |path| {
        disk.write_fixed_with(path, |footer| footer[48..56].copy_from_slice(&(22 * MIB).to_be_bytes()));
    });
    bench.prepare(&["--role", "data"]).ended(1).said("VHD004");
    assert!(!bench.out().exists());
    bench.prepare(&["--role", "data", "--allow", "VHD004", "--allow", "GEN106"]).ended(0);
    let found = read(&bench.out().join("data.vhd"));
    assert_eq!(found.len(), (22 << 20) + 512);
    bench.verify().ended(0);
    // What was accepted stays true: the partition lost its end.
    vhdkit([Path::new("check"), &bench.out().join("data.vhd")]).ended(1).said("GEN106");
}

#[test]
fn bytes_too_few_for_a_sector_are_no_disk() {
    let bench = Bench::new("note.vhd", |path| fs::write(path, [0]).unwrap());
    bench.prepare(&["--role", "data"]).ended(1).said("shorter than one sector");
    assert!(!bench.out().exists());
}

#[test]
fn the_role_that_is_given_is_the_role_that_is_told() {
    let bench = Bench::new("os.vhd", |path| Disk::os(24 * MIB).write_fixed(path));
    let disk = &bench.source;
    for (role, found) in [(None, "os"), (Some("data"), "data"), (Some("os"), "os")] {
        let mut args = vec!["check", disk.to_str().unwrap(), "--format", "json"];
        args.extend(role.iter().flat_map(|role| ["--role", role]));
        assert_eq!(vhdkit(args).json()["disks"][0]["role"], found, "{role:?}");
    }
}

#[test]
fn a_differencing_disk_is_merged_and_its_parent_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (parent, child, out) = (dir.path().join("base.vhd"), dir.path().join("child.vhd"), dir.path().join("out"));
    let base = Disk::data(24 * MIB);
    let over = pattern(9, 5120);
    base.write_dynamic(&parent);
    Disk::blank(24 * MIB).put(2 * MIB + 1024, over.clone()).write_differencing(&child, "base.vhd");
    let before = (read(&parent), read(&child));
    vhdkit([Path::new("prepare"), &child, Path::new("--role=data"), Path::new("-o"), &out]).ended(0);
    let found = read(&out.join("child.vhd"));
    assert!(found[..24 << 20] == base.put(2 * MIB + 1024, over).bytes());
    assert!((read(&parent), read(&child)) == before);
    // Without its parent it is trouble, not a verdict; with its directory named it is found again.
    let moved = dir.path().join("elsewhere");
    fs::create_dir(&moved).unwrap();
    fs::rename(&parent, moved.join("base.vhd")).unwrap();
    fs::remove_dir_all(&out).unwrap();
    vhdkit([Path::new("prepare"), &child, Path::new("--role=data"), Path::new("-o"), &out]).ended(2).complained("base.vhd");
    assert!(!out.exists());
    let args = [Path::new("prepare"), &child, Path::new("--role=data"), Path::new("-o"), &out, Path::new("--parent-dir"), &moved];
    vhdkit(args).ended(0);
    assert!(read(&out.join("child.vhd")) == found);
}

#[test]
fn the_manifest_has_every_key_of_the_contract_in_its_order() {
    let bench = Bench::new("my disk.vhd", |path| Disk::data(24 * MIB).write_dynamic(path));
    bench.prepare(&["--role", "data", "--sha256"]).ended(0);
    assert_eq!(listing(&bench.out()), ["SHA256SUMS", "manifest.json", "my-disk.vhd"]);
    let text = String::from_utf8(read(&bench.out().join("manifest.json"))).unwrap();
    assert!(text.starts_with("{\n  \"schema_version\": 1,\n") && text.ends_with("}\n"), "{text}");
    let manifest = manifest(&bench.out());
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&manifest)[..5], ["schema_version", "tool", "image", "disks", "verdict"]);
    assert_eq!(keys(&manifest["image"]), ["kind", "name", "state", "generation", "architecture", "os"]);
    let disk = &manifest["disks"][0];
    let wanted = "role lun file unique_id virtual_size upload_size_bytes fsverity sha256 data_bytes trimmed_bytes source steps".split(' ');
    assert_eq!(keys(disk), wanted.collect::<Vec<_>>());
    assert_eq!((&manifest["generalized"], &disk["trimmed_bytes"]), (&Value::Null, &json!(0)));
    assert_eq!(keys(&disk["source"]), ["path", "format", "kind", "unique_id"]);

    let file = read(&bench.out().join("my-disk.vhd"));
    assert_eq!(manifest["tool"], json!({ "name": "vhdkit", "version": env!("CARGO_PKG_VERSION") }));
    assert_eq!(
        (&manifest["verdict"], &manifest["image"]["name"], &manifest["image"]["kind"]),
        (&json!("ready"), &json!("my-disk"), &Value::Null)
    );
    assert_eq!((&disk["role"], &disk["lun"], &disk["file"]), (&json!("data"), &Value::Null, &json!("my-disk.vhd")));
    assert_eq!((&disk["virtual_size"], &disk["upload_size_bytes"]), (&json!(24 * MIB), &json!(24 * MIB + 512)));
    assert_eq!(disk["sha256"], sha256(&file));
    let data: usize = file.chunks(4096).filter(|block| block.iter().any(|byte| *byte != 0)).map(<[u8]>::len).sum();
    assert_eq!(disk["data_bytes"], data);
    let verity = disk["fsverity"].as_str().unwrap();
    assert!(verity.starts_with("sha256:") && verity.len() == 71, "{verity}");
    assert_eq!(
        disk["source"],
        json!({
            "path": bench.source.to_str().unwrap(), "format": "vhd", "kind": "dynamic", "unique_id": "1f2e3d4c-5b6a-7988-97a6-b5c4d3e2f100",
        })
    );
    let sums = String::from_utf8(read(&bench.out().join("SHA256SUMS"))).unwrap();
    assert_eq!(sums, format!("{}  my-disk.vhd\n", sha256(&file)));
    bench.verify().ended(0).said("fs-verity agrees").said("SHA-256 agrees");
}

#[test]
fn its_own_output_is_a_fixed_point() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(24 * MIB + 512).write_fixed(path));
    bench.prepare(&["--role", "data"]).ended(0);
    let first = bench.out().join("disk.vhd");
    assert!(!manifest(&bench.out())["disks"][0]["steps"].as_array().unwrap().is_empty());
    let again = bench.dir.path().join("again");
    vhdkit([Path::new("prepare"), &first, Path::new("--role=data"), Path::new("-o"), &again]).ended(0).said("copied unchanged");
    assert_eq!(manifest(&again)["disks"][0]["steps"], json!([]));
    assert!(read(&again.join("disk.vhd")) == read(&first));
    assert_eq!(manifest(&again)["disks"][0]["fsverity"], manifest(&bench.out())["disks"][0]["fsverity"]);
}

#[test]
fn a_dry_run_writes_nothing_and_tells_what_is_done_afterwards() {
    for size in [24 * MIB, 24 * MIB + 512 * 100] {
        let bench = Bench::new("disk.vhd", |path| Disk::data(size).write_dynamic(path));
        let dry = bench.prepare(&["--role", "data", "--dry-run", "--format", "json"]).ended(0).json();
        bench.nothing_was_written();
        assert_eq!((&dry["stage"], &dry["manifest"]), (&json!("dry-run"), &Value::Null));
        let text = bench.prepare(&["--role", "data", "--dry-run"]).ended(0).out;
        bench.nothing_was_written();
        let wet = bench.prepare(&["--role", "data", "--format", "json"]).ended(0).json();
        assert_eq!(wet["stage"], "written");
        assert_eq!(dry["plan"], wet["plan"]);
        let steps = &manifest(&bench.out())["disks"][0]["steps"];
        assert_eq!(&dry["plan"][0]["steps"], steps);
        assert_eq!(wet["manifest"], manifest(&bench.out()));
        for (number, _) in steps.as_array().unwrap().iter().enumerate() {
            assert!(text.contains(&format!("{}. ", number + 1)), "{text}");
        }
        // It needs no output, and does not mind one that is there.
        vhdkit([Path::new("prepare"), &bench.source, Path::new("--role=data"), Path::new("--dry-run")]).ended(0);
        bench.prepare(&["--role", "data", "--dry-run"]).ended(0);
    }
}

#[test]
fn digests_as_asked() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(24 * MIB).write_fixed(path));
    bench.prepare(&["--role", "data", "--digest", "none"]).ended(0);
    let disk = &manifest(&bench.out())["disks"][0];
    assert_eq!((&disk["fsverity"], &disk["sha256"]), (&Value::Null, &Value::Null));
    assert_eq!(listing(&bench.out()), ["disk.vhd", "manifest.json"]);
    bench.verify().ended(0);
    bench.prepare(&["--role", "data", "--digest", "none", "--sha256", "--overwrite"]).ended(0);
    let disk = &manifest(&bench.out())["disks"][0];
    assert_eq!((&disk["fsverity"], disk["sha256"].as_str().unwrap().len()), (&Value::Null, 64));
    bench.verify().ended(0).said("SHA-256 agrees");
}

#[test]
fn digests_of_an_earlier_image_do_not_outlive_it() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(24 * MIB).write_fixed(path));
    bench.prepare(&["--role", "data", "--sha256"]).ended(0);
    bench.prepare(&["--role", "data", "--size", "32M", "--overwrite"]).ended(0);
    assert_eq!(listing(&bench.out()), ["disk.vhd", "manifest.json"], "SHA256SUMS spoke of the file that was replaced");
    // One that belongs to no image of ours is not ours to remove.
    fs::remove_file(bench.out().join("manifest.json")).unwrap();
    fs::write(bench.out().join("SHA256SUMS"), "mine").unwrap();
    bench.prepare(&["--role", "data", "--overwrite"]).ended(0);
    assert_eq!(read(&bench.out().join("SHA256SUMS")), b"mine");
}

#[test]
fn names_are_those_that_azure_takes() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(24 * MIB).write_fixed(path));
    let long = "x".repeat(81);
    for name in ["", ".", "..", "../up", "a/b", "a\\b", "-a", "a-", "a.", "a b", "ä", "a\nb", &long] {
        bench.prepare(&["--role", "data", &format!("--name={name}")]).ended(2).complained("a name has 1 to 80 letters");
        bench.nothing_was_written();
    }
    for name in ["a", "web_1.0-rc", &long[..80]] {
        bench.prepare(&["--role", "data", "--name", name]).ended(0);
        let mut files = vec![format!("{name}.vhd"), "manifest.json".to_owned()];
        files.sort();
        assert_eq!(listing(&bench.out()), files);
        assert_eq!(manifest(&bench.out())["image"]["name"], name);
        fs::remove_dir_all(bench.out()).unwrap();
    }
}

#[test]
fn an_os_disk_that_cannot_be_decided_is_written_only_when_that_is_accepted() {
    let disk = Disk::os(24 * MIB);
    let bench = Bench::new("os.vhd", |path| disk.write_fixed(path));
    for state in ["specialized", "generalized"] {
        bench.prepare(&["--as", state]).ended(1).said("IMG008").said("--allow-undecided");
        bench.nothing_was_written();
        let document = bench.prepare(&["--as", state, "--format", "json"]).ended(1).json();
        assert_eq!((&document["stage"], &document["blocked_by"][0]["code"]), (&json!("undecided"), &json!("IMG008")));
        assert_eq!(document["verdict"], "undecided");
        bench.nothing_was_written();
        bench.prepare(&["--as", state, "--allow-undecided"]).ended(0).said("UNDECIDED");
        let manifest = manifest(&bench.out());
        assert_eq!((&manifest["verdict"], &manifest["undecided"]), (&json!("undecided"), &json!(["IMG008"])));
        assert_eq!((&manifest["image"]["kind"], &manifest["image"]["state"]), (&json!("os-image"), &json!(state)));
        assert_eq!(manifest["disks"][0]["role"], "os");
        holds(&bench.out().join("os.vhd"), &disk);
        bench.verify().ended(0);
        fs::remove_dir_all(bench.out()).unwrap();
    }
    // Naming the rule accepts it too.
    bench.prepare(&["--as", "specialized", "--waive", "IMG008=seen by hand"]).ended(0);
    assert_eq!(manifest(&bench.out())["waived"], json!([{ "code": "IMG008", "reason": "seen by hand" }]));
}

#[test]
fn an_image_with_data_disks_is_written_whole() {
    let bench = Bench::new("os.vhd", |path| Disk::os(24 * MIB).write_fixed(path));
    let side = tempfile::tempdir().unwrap();
    let (one, two) = (side.path().join("one.vhd"), side.path().join("two.raw"));
    Disk::data(24 * MIB).put(3 * MIB, pattern(7, 9000)).write_dynamic(&one);
    Disk::data(26 * MIB).write_raw(&two);
    let (one, two) = (format!("3={}", one.display()), format!("12={}", two.display()));
    let ask =
        ["--as", "generalized", "--allow-undecided", "--data", &one, "--data", &two, "--name", "web", "--generation", "2", "--sha256"];
    // That all have one unique id is but a warning.
    bench.prepare(&ask).ended(0);
    assert_eq!(listing(&bench.out()), ["SHA256SUMS", "manifest.json", "web-lun12.vhd", "web-lun3.vhd", "web.vhd"]);
    let manifest = manifest(&bench.out());
    assert_eq!((&manifest["image"]["kind"], &manifest["image"]["generation"]), (&json!("vm-image"), &json!(2)));
    let luns: Vec<&Value> = manifest["disks"].as_array().unwrap().iter().map(|disk| &disk["lun"]).collect();
    assert_eq!(luns, [&Value::Null, &json!(3), &json!(12)]);
    let roles: Vec<&Value> = manifest["disks"].as_array().unwrap().iter().map(|disk| &disk["role"]).collect();
    assert_eq!(roles, ["os", "data", "data"]);
    assert_eq!(String::from_utf8(read(&bench.out().join("SHA256SUMS"))).unwrap().lines().count(), 3);
    bench.verify().ended(0);
    // One that is missing keeps all from being written.
    fs::remove_dir_all(bench.out()).unwrap();
    bench.prepare(&["--as", "generalized", "--allow-undecided", "--data", &one, "--data", "5=/nowhere.vhd"]).ended(2);
    bench.nothing_was_written();
}

#[test]
fn a_size_that_is_asked_for() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(24 * MIB).write_fixed(path));
    for (size, words) in [("20M", "disks only grow"), ("25500000", "must be a whole number of MiB"), ("32768G", "to 32767 GiB")] {
        bench.prepare(&["--role", "data", "--size", size]).ended(2).complained(words);
        bench.nothing_was_written();
    }
    bench.prepare(&["--role", "data", "--size", "32MiB"]).ended(0);
    let file = bench.out().join("disk.vhd");
    assert_eq!(fs::metadata(&file).unwrap().len(), 32 * MIB + 512);
    let facts = vhdkit([Path::new("inspect"), &file, Path::new("--format=json")]).ended(0).json()["disks"][0].clone();
    assert_eq!((&facts["virtual_size"], &facts["footer"]["current_size"]), (&json!(32 * MIB), &json!(32 * MIB)));
    assert_eq!(facts["partition_table"]["backup_offset"], 32 * MIB - 512);
    assert_eq!((&facts["partition_table"]["primary_valid"], &facts["partition_table"]["problems"]), (&json!(true), &json!([])));
    // What the partition holds is where it was.
    let (before, after) = (read(&bench.source), read(&file));
    assert!(before[1 << 20..23 << 20] == after[1 << 20..23 << 20]);
    bench.verify().ended(0);
}

#[test]
fn what_only_a_person_can_cure_stops_it_before_it_writes() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(24 * MIB).write_fixed_with(path, |footer| footer[84] = 1));
    let blocked = bench.prepare(&["--role", "data", "--fail-on", "warning"]).ended(1).said("VHD019").said("--allow");
    assert_eq!(blocked.err, "");
    bench.nothing_was_written();
    let document = bench.prepare(&["--role", "data", "--fail-on", "warning", "--format", "json"]).ended(1).json();
    assert_eq!((&document["stage"], &document["blocked_by"][0]["code"]), (&json!("blocked"), &json!("VHD019")));
    bench.prepare(&["--role", "data", "--fail-on", "warning", "--allow", "VHD002"]).ended(1);
    bench.nothing_was_written();
    bench.prepare(&["--role", "data", "--fail-on", "warning", "--allow", "VHD019"]).ended(0);
    assert_eq!(manifest(&bench.out())["allowed"], json!(["VHD019"]));
    bench.verify().ended(0);

    let text = Bench::new("text.vhd", |path| fs::write(path, "no disk\n").unwrap());
    text.prepare(&["--role", "data"]).ended(1).said("VHD001");
    text.nothing_was_written();
    let wrong = Bench::new("data.vhd", |path| Disk::data(24 * MIB).write_fixed(path));
    wrong.prepare(&["--as", "generalized", "--allow-undecided"]).ended(1).said("IMG001");
    wrong.nothing_was_written();
}

#[test]
fn progress_as_lines_adds_up() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(64 * MIB).write_dynamic(path));
    let written = bench.prepare(&["--role", "data", "--sha256", "--progress", "json"]).ended(0);
    let verified = vhdkit([Path::new("verify"), &bench.out(), Path::new("--progress=json")]).ended(0);
    for (event, ran) in [("write", written), ("verify", verified)] {
        let lines: Vec<Value> = ran.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
        let last = lines.last().unwrap();
        assert_eq!((&last["event"], &last["file"]), (&json!(event), &json!("disk.vhd")));
        assert_eq!((&last["done_bytes"], &last["total_bytes"]), (&json!(64 * MIB + 512), &json!(64 * MIB + 512)));
        assert!(lines.is_sorted_by_key(|line| line["done_bytes"].as_u64().unwrap()));
        for line in &lines {
            assert_eq!((&line["event"], &line["total_bytes"]), (&json!(event), &json!(64 * MIB + 512)));
            assert!(line["skipped_bytes"].as_u64() <= line["done_bytes"].as_u64(), "{line}");
        }
        assert_eq!(
            last["total_bytes"].as_u64().unwrap() - last["skipped_bytes"].as_u64().unwrap(),
            manifest(&bench.out())["disks"][0]["data_bytes"]
        );
    }
    assert_eq!(bench.prepare(&["--role", "data", "--overwrite", "--progress", "none"]).ended(0).err, "");
    assert_eq!(bench.prepare(&["--role", "data", "--overwrite"]).ended(0).err, "", "no bars into pipes");
    let quiet = bench.prepare(&["--role", "data", "--overwrite", "-q"]).ended(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

#[test]
fn no_mapping_and_no_place_change_what_is_written() {
    let bench = Bench::new("disk.vhd", |path| Disk::data(24 * MIB).write_dynamic(path));
    bench.prepare(&["--role", "data", "--sha256"]).ended(0);
    let files = |out: &Path| listing(out).iter().map(|name| (name.clone(), sha256(&read(&out.join(name))))).collect::<Vec<_>>();
    let first = files(&bench.out());
    bench.prepare(&["--role", "data", "--sha256", "--overwrite", "--no-mmap"]).ended(0);
    assert_eq!(files(&bench.out()), first);
    let mut command = command();
    command.arg("prepare").arg(&bench.source).args(["--role=data", "--sha256", "-o", "other"]).current_dir(bench.dir.path());
    run(command).ended(0);
    assert_eq!(files(&bench.dir.path().join("other")), first, "the output's place is no part of it");
}
