//! Images of several disks: judged, written and verified as one.

use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// An OS disk with two data disks, all raw, and so with identities of their own once they are written.
struct Set {
    dir: tempfile::TempDir,
    os: PathBuf,
    data: Vec<(u8, PathBuf)>,
}

impl Set {
    fn new(luns: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sources = dir.path().join("sources");
        fs::create_dir(&sources).unwrap();
        let os = sources.join("os.raw");
        Disk::os(24 * MIB).write_raw(&os);
        let mut data = Vec::new();
        for (seed, lun) in (10..).zip(luns) {
            let path = sources.join(format!("data-{lun}.raw"));
            Disk::data(24 * MIB).put(6 * MIB, pattern(seed, 50_000)).write_raw(&path);
            data.push((*lun, path));
        }
        Self { dir, os, data }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// A command about the whole image.
    fn ask(&self, command_name: &str, more: &[&str]) -> Ran {
        let mut command = command();
        command.arg(command_name).arg(&self.os).args(["--as=generalized"]);
        for (lun, path) in &self.data {
            command.arg("--data").arg(format!("{lun}={}", path.display()));
        }
        if command_name == "prepare" {
            command.args(["--name=web", "--allow-undecided", "-o"]).arg(self.out());
        }
        command.args(more);
        run(command)
    }

    fn prepare(&self, more: &[&str]) -> Ran {
        self.ask("prepare", more)
    }

    fn verify(&self) -> Ran {
        vhdkit([Path::new("verify"), &self.out()])
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&read(&self.out().join("manifest.json"))).unwrap()
    }

    fn write_manifest(&self, manifest: &Value) {
        fs::write(self.out().join("manifest.json"), manifest.to_string()).unwrap();
    }
}

fn codes(ran: &Ran) -> Vec<String> {
    ran.json()["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

/// All of it on one line, however the words were wrapped.
#[track_caller]
fn says(ran: &Ran, words: &str) {
    let text = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(words), "no '{words}' in:\n{}", ran.out);
}

#[test]
fn what_contradicts_itself_is_refused_before_any_work() {
    let set = Set::new(&[0]);
    let (os, data) = (set.os.to_str().unwrap(), set.data[0].1.to_str().unwrap());
    let side = tempfile::tempdir().unwrap();
    let at = |name: &str| side.path().join(name);
    std::os::unix::fs::symlink(data, at("link.raw")).unwrap();
    fs::hard_link(data, at("hard.raw")).unwrap();
    std::os::unix::fs::symlink(os, at("os-link.raw")).unwrap();
    Disk::data(24 * MIB).write_dynamic(&at("base.vhd"));
    Disk::blank(24 * MIB).put(2 * MIB, pattern(9, 5120)).write_differencing(&at("child.vhd"), "base.vhd");
    let data_of = |lun: &str, path: &str| format!("--data={lun}={path}");
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    let cases: Vec<(Vec<String>, &str)> = vec![
        (vec![data_of("64", data)], "'64' is not a LUN"),
        (vec![data_of("-1", data)], "'-1' is not a LUN"),
        (vec!["--data".to_owned(), format!("-1={data}")], "'-1' is not a LUN"),
        (vec![data_of("00", data)], "'00' is not a LUN"),
        (vec![data_of("+1", data)], "'+1' is not a LUN"),
        (vec![data_of("x", data)], "'x' is not a LUN"),
        (vec![format!("--data={data}")], "write LUN=DISK"),
        (vec!["--data=1=".to_owned()], "the disk is missing"),
        (vec![data_of("1", data), data_of("1", &path("base.vhd"))], "LUN 1 is given twice"),
        (vec![data_of("1", data), data_of("2", data)], "are the same file"),
        (vec![data_of("1", data), data_of("2", &path("link.raw"))], "are the same file"),
        (vec![data_of("1", data), data_of("2", &path("hard.raw"))], "are the same file"),
        (vec![data_of("1", os)], "are the same file"),
        (vec![data_of("1", &path("os-link.raw"))], "are the same file"),
        (vec![data_of("0", &path("child.vhd")), data_of("1", &path("base.vhd"))], "is the parent of"),
        (vec![data_of("0", &path("base.vhd")), data_of("1", &path("child.vhd"))], "is the parent of"),
        (vec![data_of("0", "/nowhere.vhd")], "/nowhere.vhd"),
        (vec!["--waive=NOPE01".to_owned()], "not the code of a rule"),
        (vec!["--waive=VHD003=".to_owned()], "the reason is missing"),
        (vec!["--waive=IMG".to_owned()], "not the code of a rule"),
        (vec![data_of("0", data), "--role=data".to_owned()], "--role data"),
    ];
    for (args, words) in &cases {
        let mut check = command();
        check.args(["check", os]).args(args);
        run(check).ended(2).complained(words);
        let mut prepare = command();
        prepare.args(["prepare", os, "--as=generalized", "--allow-undecided", "-o"]).arg(set.out()).args(args);
        let ran = run(prepare).ended(2);
        // With --role data there is an earlier contradiction.
        assert!(ran.err.contains(words) || ran.err.contains("--role data"), "no '{words}' in: {}", ran.err);
        assert!(!set.out().exists(), "{args:?}");
    }
    set.prepare(&["--allow=NOPE01"]).ended(2).complained("not the code of a rule");
    vhdkit(["check", os, data, &data_of("0", &path("base.vhd"))]).ended(2).complained("give one OS disk, not 2");
    vhdkit(["prepare", os, data, "--as=generalized", "-o", "/nowhere"]).ended(2);
    assert!(!set.out().exists());
}

#[test]
fn an_output_that_takes_no_files_is_told_at_once() {
    let set = Set::new(&[0]);
    let file = set.dir.path().join("file");
    fs::write(&file, "x").unwrap();
    // A directory of the kernel's takes no files, not even root's.
    for out in [file.join("below"), PathBuf::from("/proc/vhdkit-out")] {
        let mut command = command();
        command.arg("prepare").arg(&set.os).args(["--as=generalized", "--allow-undecided", "-o"]).arg(&out);
        run(command).ended(2).complained("cannot write into");
    }
}

#[test]
fn an_image_is_judged_as_one() {
    let set = Set::new(&[0, 1]);
    // The samples share the identities of their GPTs.
    assert!(codes(&set.ask("check", &["--format=json"])).contains(&"IMG213".to_owned()));
    let gaps = Set::new(&[0, 2]);
    assert!(!codes(&gaps.ask("check", &["--format=json"])).contains(&"IMG003".to_owned()));
    let marketplace = gaps.ask("check", &["--format=json", "--profile=marketplace"]);
    let document = marketplace.json();
    let gap = document["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "IMG003").unwrap();
    assert_eq!((&gap["severity"], &gap["actual"], &gap["required"]), (&json!("error"), &json!("0, 2"), &json!("0, 1")));
    assert_eq!(gap["remedy"]["steps"].as_array().unwrap().len(), 1);
    // An OS disk in a data disk's place.
    let other = set.dir.path().join("other.raw");
    Disk::os(24 * MIB).write_raw(&other);
    let more = format!("--data=5={}", other.display());
    assert!(codes(&set.ask("check", &["--format=json", &more])).contains(&"IMG101".to_owned()));
}

#[test]
fn the_verdict_on_the_image_comes_first_and_what_to_type_last() {
    let set = Set::new(&[0, 7]);
    let ran = set.ask("check", &["--waive=IMG008=no system on a sample"]).ended(1);
    assert!(ran.out.starts_with("image of 3 disks: NOT READY for Azure\n"), "{}", ran.out);
    let path = |at: &Path| at.to_str().unwrap().to_owned();
    says(&ran, &format!("{} (LUN 7): NOT READY for Azure", path(&set.data[1].1)));
    let last = ran.out.split("\nnext: ").nth(1).unwrap().replace("\\\n", " ");
    let words: Vec<&str> = last.split_whitespace().collect();
    let (first, second) = (format!("0={}", path(&set.data[0].1)), format!("7={}", path(&set.data[1].1)));
    let os = path(&set.os);
    let expected =
        ["vhdkit", "prepare", &os, "--as", "generalized", "--data", &first, "--data", &second, "--waive", "IMG008", "-o", "out/"];
    assert_eq!(words, expected);
}

#[test]
fn all_disks_are_written_at_the_same_time_and_told_apart() {
    let set = Set::new(&[0, 1, 2, 3, 4, 5]);
    let ran = set.prepare(&["--sha256", "--progress=json"]).ended(0);
    let lines: Vec<Value> = ran.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let manifest = set.manifest();
    let disks = manifest["disks"].as_array().unwrap();
    assert_eq!(disks.len(), 7);
    for disk in disks {
        let of: Vec<&Value> = lines.iter().filter(|line| line["file"] == disk["file"]).collect();
        let last = of.last().unwrap();
        assert_eq!(last["done_bytes"], disk["upload_size_bytes"]);
        assert!(of.is_sorted_by_key(|line| line["done_bytes"].as_u64().unwrap()));
    }
    let ids: std::collections::BTreeSet<&str> = disks.iter().map(|disk| disk["unique_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 7, "each disk has an identity of its own");
    set.verify().ended(0);
    // The same bytes, in whatever order they were written.
    let files = |out: &Path| listing(out).iter().map(|name| (name.clone(), read(&out.join(name)))).collect::<Vec<_>>();
    let first = files(&set.out());
    set.prepare(&["--sha256", "--overwrite"]).ended(0);
    assert!(files(&set.out()) == first);
}

#[test]
fn one_disk_that_cannot_be_read_keeps_all_from_being_published() {
    let set = Set::new(&[0, 1]);
    // A block of the dynamic disk that lies beyond its file.
    let broken = set.dir.path().join("broken.vhd");
    Disk::data(24 * MIB).write_dynamic(&broken);
    let file = File::options().write(true).open(&broken).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - 3 * MIB).unwrap();
    let more = format!("--data=7={}", broken.display());
    let ran = set.prepare(&[&more]);
    assert!(matches!(ran.status, Some(1 | 2)), "{ran:?}");
    assert!(!set.out().exists(), "{:?}", listing(&set.out()));
}

#[test]
fn an_interrupt_leaves_nothing_of_any_disk() {
    let set = Set::new(&[0, 1]);
    // Its whole digest takes far longer than anybody waits.
    Disk::data(100 * GIB).write_raw(&set.data[1].1);
    let mut command = command();
    command.arg("prepare").arg(&set.os).args(["--as=generalized", "--allow-undecided", "--name=web", "--sha256", "--progress=json", "-o"]);
    command.arg(set.out());
    for (lun, path) in &set.data {
        command.arg("--data").arg(format!("{lun}={}", path.display()));
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    // The other disks are done by then, or soon.
    assert!(lines.any(|line| line.contains("web-lun1.vhd")));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(wait(&mut child).code(), Some(143));
    let said: Vec<String> = lines.filter(|line| !line.starts_with('{')).collect();
    assert!(said.is_empty(), "{said:?}");
    assert!(!set.out().exists(), "{:?}", listing(&set.out()));
    assert_eq!(listing(set.dir.path()), ["sources"]);
}

#[test]
fn a_name_that_is_taken_is_told_before_anything_is_written() {
    let set = Set::new(&[0, 1]);
    fs::create_dir(set.out()).unwrap();
    fs::write(set.out().join("web-lun1.vhd"), "mine").unwrap();
    set.prepare(&[]).ended(2).complained("web-lun1.vhd").complained("exists");
    assert_eq!(listing(&set.out()), ["web-lun1.vhd"]);
    set.prepare(&["--overwrite"]).ended(0);
    assert_eq!(listing(&set.out()), ["manifest.json", "web-lun0.vhd", "web-lun1.vhd", "web.vhd"]);
    set.verify().ended(0);
    fs::remove_file(set.out().join("web-lun1.vhd")).unwrap();
    fs::create_dir(set.out().join("web-lun1.vhd")).unwrap();
    let before = listing(&set.out());
    set.prepare(&["--overwrite"]).ended(2).complained("is a directory");
    assert_eq!(listing(&set.out()), before);
}

#[test]
fn a_prepared_image_is_ready_as_it_is() {
    let set = Set::new(&[0, 1]);
    set.prepare(&[]).ended(0);
    let out = set.out();
    let mut again = command();
    again.arg("prepare").arg(out.join("web.vhd")).args(["--as=generalized", "--allow-undecided", "--name=web", "--format=json", "-o"]);
    again.arg(set.dir.path().join("again"));
    for lun in [0, 1] {
        again.arg(format!("--data={lun}={}", out.join(format!("web-lun{lun}.vhd")).display()));
    }
    let document = run(again).ended(0).json();
    for plan in document["plan"].as_array().unwrap() {
        assert_eq!(plan["steps"], json!([]), "{plan}");
    }
    for name in ["web.vhd", "web-lun0.vhd", "web-lun1.vhd"] {
        assert!(read(&out.join(name)) == read(&set.dir.path().join("again").join(name)), "{name}");
    }
    let (first, second) = (set.manifest(), document["manifest"].clone());
    assert_eq!((&first["image"], &first["verdict"]), (&second["image"], &second["verdict"]));
}

#[test]
fn what_was_accepted_is_told_with_its_words() {
    let set = Set::new(&[0]);
    set.prepare(&["--allow=IMG213"]).ended(0);
    let manifest = set.manifest();
    assert_eq!(manifest["allowed"], json!(["IMG213"]));
    let accepted = &manifest["accepted"][0];
    assert_eq!(
        (&accepted["code"], &accepted["rule"], &accepted["by"]),
        (&json!("IMG213"), &json!("duplicate-disk-identity"), &json!("allow"))
    );
    assert_eq!(accepted["file"], Value::Null);
    assert!(accepted["message"].as_str().unwrap().contains("share the disk GUID"), "{accepted}");
    let verified = vhdkit([Path::new("verify"), &set.out(), Path::new("--format=json")]).ended(0).json();
    let found = verified["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "IMG213").unwrap();
    assert!(found["waived"].as_str().unwrap().contains("accepted"), "{found}");
    set.prepare(&["--waive=IMG213=cloned on purpose", "--overwrite"]).ended(0);
    assert_eq!(set.manifest()["accepted"][0]["by"], "waive");
}

#[test]
fn cures_by_hand_come_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("data.vhd");
    Disk::data(24 * MIB).write_fixed_with(&source, |footer| footer[84] = 1);
    let mut command = command();
    command.arg("prepare").arg(&source).args(["--as=generalized", "--fail-on=warning", "--format=json", "-o"]).arg(dir.path().join("out"));
    let document = run(command).ended(1).json();
    let order: Vec<&str> = document["blocked_by"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert_eq!(order, ["IMG001", "VHD019"], "first the right disk, then its file");
}

#[test]
fn verify_covers_the_whole_set() {
    // A disk that was changed.
    for file in ["web.vhd", "web-lun0.vhd", "web-lun1.vhd"] {
        let set = Set::new(&[0, 1]);
        set.prepare(&[]).ended(0);
        set.verify().ended(0);
        File::options().write(true).open(set.out().join(file)).unwrap().write_all_at(&[0xa5], 9 * MIB).unwrap();
        says(&set.verify().ended(1), &format!("{file}: the content was changed"));
    }
    let set = Set::new(&[0, 1]);
    set.prepare(&["--digest=none"]).ended(0);
    let out = set.out();
    // One that is missing.
    fs::rename(out.join("web-lun1.vhd"), out.join("kept")).unwrap();
    says(&set.verify().ended(1), "web-lun1.vhd: the file is missing");
    fs::rename(out.join("kept"), out.join("web-lun1.vhd")).unwrap();
    set.verify().ended(0);
    // Two that changed places, which the footers tell without any digest.
    fs::rename(out.join("web-lun0.vhd"), out.join("kept")).unwrap();
    fs::rename(out.join("web-lun1.vhd"), out.join("web-lun0.vhd")).unwrap();
    fs::rename(out.join("kept"), out.join("web-lun1.vhd")).unwrap();
    says(&set.verify().ended(1), "web-lun0.vhd: it is another disk");
    let document = vhdkit([Path::new("verify"), &out, Path::new("--format=json")]).ended(1).json();
    assert_eq!(document["mismatches"].as_array().unwrap().len(), 2);
}

#[test]
fn a_manifest_with_other_luns_is_told() {
    let set = Set::new(&[0, 1]);
    set.prepare(&[]).ended(0);
    let good = set.manifest();
    let with = |first: u8, second: u8| {
        let mut manifest = good.clone();
        manifest["disks"][1]["lun"] = first.into();
        manifest["disks"][2]["lun"] = second.into();
        set.write_manifest(&manifest);
        set.verify()
    };
    with(0, 1).ended(0);
    says(&with(1, 0).ended(1), "web-lun0.vhd: the manifest gives it LUN 1");
    for (first, second) in [(0, 0), (0, 64)] {
        let ran = with(first, second).ended(1);
        says(&ran, "IMG002");
    }
    // One that names no OS disk.
    let mut manifest = good.clone();
    manifest["disks"].as_array_mut().unwrap().remove(0);
    set.write_manifest(&manifest);
    says(&set.verify().ended(1), "none is the OS disk");
    // The profile of the manifest is the one that is asked.
    let set = Set::new(&[0, 2]);
    set.prepare(&[]).ended(0);
    let mut manifest = set.manifest();
    set.verify().ended(0);
    manifest["profile"] = "marketplace".into();
    set.write_manifest(&manifest);
    says(&set.verify().ended(1), "IMG003");
}
