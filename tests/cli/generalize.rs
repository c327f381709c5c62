//! `generalize`, and `prepare --generalize`: what they refuse, what they tell, and that both tell and do the same.

use crate::linux::{Guest, able};
use crate::linux_healthy;
use crate::support::*;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A directory with the disk of a Linux, which is held to what it was when the value goes.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub source: PathBuf,
    before: (Vec<u8>, std::time::SystemTime),
}

impl Bench {
    pub fn new(guest: &Guest) -> Self {
        Self::after(guest, |_, _| {})
    }

    /// After something was done to the disk; the other directory holds what it was made of.
    pub fn after(guest: &Guest, act: impl FnOnce(&Path, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let work = tempfile::tempdir().unwrap();
        let source = dir.path().join("web.vhd");
        fs::copy(guest.write(work.path()), &source).unwrap();
        act(&source, work.path());
        let before = (read(&source), fs::metadata(&source).unwrap().modified().unwrap());
        Self { dir, source, before }
    }

    pub fn ask(&self, args: &[&str]) -> Ran {
        let mut command = command();
        command.arg("generalize").arg(&self.source).args(args);
        run(command)
    }

    pub fn out(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
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

/// A machine with an identity and nothing else that needs a decision.
fn machine() -> Guest {
    let mut guest = linux_healthy::generalized();
    guest.file("/etc/machine-id", "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n");
    guest
}

/// Whether this program changes files on ext4. Where it does not, nothing that it planned is ever written.
fn changes_files(bench: &Bench) -> bool {
    let ran = bench.ask(&["--operations", "machine-id"]);
    if ran.status == Some(2) && ran.err.contains("changes were planned, and none was made") {
        eprintln!("SKIPPED: what generalizing writes, since no writer of ext4 is in this program");
        let out = bench.out("never");
        bench.ask(&["--operations", "machine-id", "-o", &out]).ended(2).complained("nothing was written");
        assert!(!Path::new(&out).exists());
        return false;
    }
    true
}

fn operations() -> Vec<Value> {
    vhdkit(["generalize", "--list-operations", "--format", "json"]).ended(0).json().as_array().unwrap().clone()
}

#[test]
fn operations_are_listed_without_a_disk() {
    let all = operations();
    assert!(!all.is_empty());
    let text = vhdkit(["generalize", "--list-operations"]).ended(0).out;
    for one in &all {
        let keys: Vec<&String> = one.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["name", "default", "requirement", "summary"]);
        assert!(text.contains(one["name"].as_str().unwrap()) && text.contains(one["requirement"].as_str().unwrap()), "{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let machine_id = all.iter().find(|one| one["name"] == "machine-id").unwrap();
    assert_eq!((&machine_id["default"], &machine_id["requirement"]), (&json!(true), &json!("LG-06")));
    vhdkit(["generalize", "--list-operations", "disk.vhd"]).ended(2);
}

#[test]
fn what_contradicts_itself_is_refused_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    // Not a disk: whoever had begun to work would speak of that.
    let disk = dir.path().join("disk.vhd");
    fs::write(&disk, "no disk").unwrap();
    let (disk, out) = (disk.to_str().unwrap(), dir.path().join("out"));
    let to = out.to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["generalize"], "<DISK>"),
        (&["generalize", disk, "--operations", "machine-ids"], "near it: machine-id;"),
        (&["generalize", disk, "--operations", "-machine-ids"], "near it: machine-id;"),
        (&["generalize", disk, "--operations", ""], "is not an operation"),
        (&["generalize", disk, "--operations", "all,-all"], "no operation is left"),
        (
            &["generalize", disk, "--keep-user", "ada", "--remove-user", "ada"],
            "the account ada is named by --keep-user and by --remove-user",
        ),
        (&["generalize", disk, "--format", "markdown"], "--list-operations"),
        (&["generalize", disk, "--format", "sarif"], "sarif"),
        (&["generalize", disk, "--as", "generalized"], "--as"),
        (&["generalize", disk, "--role", "data"], "--role"),
        (&["generalize", disk, "--sha256"], "-o DIR"),
        (&["generalize", disk, "--allow-undecided"], "-o DIR"),
        (&["generalize", disk, "--name", "x"], "-o DIR"),
        (&["generalize", disk, "--data", &format!("0={disk}")], "same file"),
        (&["generalize", disk, "--report", &format!("json={disk}")], "it is a source"),
        (&["prepare", disk, "-o", to, "--as", "specialized", "--generalize"], "--as specialized"),
        (&["prepare", disk, "-o", to, "--role", "data", "--generalize"], "--role data"),
        (&["prepare", disk, "-o", to, "--as", "generalized", "--keep-user", "ada"], "add --generalize"),
        (&["prepare", disk, "-o", to, "--as", "generalized", "--remove-user", "ada"], "add --generalize"),
        (&["prepare", disk, "-o", to, "--as", "generalized", "--operations", "all"], "add --generalize"),
        (&["prepare", disk, "-o", to, "--generalize", "--keep-user", "ada", "--remove-user", "ada"], "give one of the two"),
    ];
    for (args, words) in cases {
        let ran = vhdkit(*args).ended(2).complained(words);
        assert_eq!(ran.out, "", "{args:?}");
        assert!(!out.exists());
    }
}

#[test]
fn disks_without_a_linux_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, os, text) = (at("data.vhd"), at("os.vhd"), at("text.vhd"));
    Disk::data(24 * MIB).write_fixed(Path::new(&data));
    Disk::os(24 * MIB).write_fixed(Path::new(&os));
    fs::write(&text, "This is not a disk.\n").unwrap();
    vhdkit(["generalize", &data]).ended(2).complained("no operating system");
    // Something that starts is there, and what it starts cannot be read.
    vhdkit(["generalize", &os]).ended(2);
    vhdkit(["generalize", &text]).ended(2).complained("cannot generalize");
    vhdkit(["generalize", &at("missing.vhd")]).ended(2).complained("No such file");
    for disk in [&data, &os, &text] {
        vhdkit(["generalize", disk, "-o", &at("out")]).ended(2);
        assert!(!Path::new(&at("out")).exists());
    }
}

#[test]
fn a_template_has_nothing_left_to_do() {
    if !able() {
        return;
    }
    let bench = Bench::new(&linux_healthy::generalized());
    let ran = bench.ask(&["--operations", "machine-id"]).ended(0).said("nothing is left to generalize; nothing was written");
    assert_eq!(ran.err, "");
    let document = bench.ask(&["--operations", "machine-id", "--format", "json"]).ended(0).json();
    assert_eq!(document["verdict"], "nothing_to_do");
    // Written, it is what it was: no step, the same bytes.
    let out = bench.out("out");
    let args = ["--operations", "machine-id", "--no-trim", "-o", &out];
    bench.ask(&args).ended(0).said("copied unchanged");
    assert!(read(&Path::new(&out).join("web.vhd")) == bench.before.0);
    let manifest: Value = serde_json::from_slice(&read(&Path::new(&out).join("manifest.json"))).unwrap();
    assert_eq!(manifest["image"]["state"], "generalized");
    assert_eq!(manifest["disks"][0]["steps"], json!([]));
    assert_eq!(
        manifest["generalized"],
        json!({ "operations": [{ "name": "machine-id", "requirement": "LG-06", "changes": [] }], "kept_users": [] })
    );
    vhdkit(["verify", &out]).ended(0);
}

#[test]
fn accounts_that_do_not_exist_are_named_with_those_that_do() {
    if !able() {
        return;
    }
    let bench = Bench::new(&linux_healthy::specialized());
    for option in ["--keep-user", "--remove-user"] {
        let ran = bench.ask(&[option, "azureusr"]).ended(2).complained("azureuser").complained(option);
        assert_eq!(ran.out, "");
        bench.ask(&[option, "azureusr", "-o", &bench.out("out")]).ended(2).complained("no such account");
    }
    bench.ask(&["--keep-user", "\u{1b}[31m"]).ended(2).complained("no such account");
    assert_eq!(listing(bench.dir.path()), ["web.vhd"]);
}

#[test]
fn a_report_has_every_key_and_writes_nothing() {
    if !able() {
        return;
    }
    let bench = Bench::new(&machine());
    if !changes_files(&bench) {
        return;
    }
    let file = bench.out("report.json");
    let report = format!("json={file}");
    let document = bench.ask(&["--operations", "machine-id", "--format", "json", "--report", &report]).ended(0).json();
    assert_eq!(serde_json::from_slice::<Value>(&read(Path::new(&file))).unwrap(), document);
    fs::remove_file(&file).unwrap();
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["schema_version", "tool", "disk", "operations", "problems", "remaining", "in_guest", "trim", "verdict"]);
    assert_eq!((&document["verdict"], &document["in_guest"], &document["problems"]), (&json!("possible"), &Value::Null, &json!([])));
    let all = document["operations"].as_array().unwrap();
    assert_eq!(all.len(), operations().len());
    for one in all {
        let keys: Vec<&String> = one.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["name", "requirement", "done", "changes"]);
        assert_eq!(one["done"], one["name"] == "machine-id");
    }
    let change = &all.iter().find(|one| one["name"] == "machine-id").unwrap()["changes"][0];
    assert_eq!((&change["path"], &change["action"]), (&json!("/etc/machine-id"), &json!("truncated")));
    assert!(change["why"].as_str().is_some_and(|why| why.len() > 10) && change["names"].is_null(), "{change}");
    let keys: Vec<&String> = change.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["path", "action", "names", "why"]);
    // Another operation alone leaves it as it is.
    let text = bench.ask(&["--operations", "machine-id"]).ended(0).said("- /etc/machine-id  truncated").said("machine-id  LG-06").out;
    assert!(text.lines().all(|line| line.chars().count() <= 80 || line.contains(bench.source.to_str().unwrap())), "{text}");
    // The verdict first, and with it that nothing was written; at the end what to type.
    assert!(text.starts_with(bench.source.to_str().unwrap()), "{text}");
    assert!(text.contains(": can be generalized offline; nothing was") && text.contains("to write it: vhdkit generalize"), "{text}");
    let kept = bench.ask(&["--operations", "machine-id", "--no-trim"]).ended(0).said("(--no-trim)").out;
    assert!(!kept.contains("file systems call free") && !text.contains("--no-trim"), "{kept}");
    bench.ask(&["--operations", "machine-id", "-q"]).ended(0).said("");
    assert_eq!(listing(bench.dir.path()), ["web.vhd"]);
}

#[test]
fn a_machine_is_told_of_the_way_offline() {
    if !able() {
        return;
    }
    let bench = Bench::new(&linux_healthy::specialized());
    let source = bench.source.to_str().unwrap();
    let document = vhdkit(["check", source, "--as", "generalized", "--format", "json"]).ended(1).json();
    let found = document["findings"].as_array().unwrap().iter().find(|one| one["code"] == "IMG008").unwrap();
    assert_eq!(found["remedy"]["by"], "hand");
    assert!(found["remedy"]["steps"][0].as_str().unwrap().contains("vhdkit prepare --generalize"), "{found}");
    vhdkit(["explain", "LGN001"]).ended(0).said("cloud-init-state");
    // Somebody has to decide, the report says so at once, and ends with commands that can be typed.
    let ran = bench.ask(&["-v"]).ended(1).said("TO BE DECIDED before it is generalized; nothing was");
    let commands: Vec<&str> = ran.out.lines().skip_while(|line| !line.starts_with("Decide for each")).skip(1).collect();
    assert!(commands.join(" ").contains("--remove-user azureuser") && commands.join(" ").contains("--keep-user azureuser"), "{}", ran.out);
}

#[test]
fn a_dry_run_tells_what_the_run_does_and_a_second_run_does_nothing() {
    if !able() {
        return;
    }
    let bench = Bench::new(&machine());
    if !changes_files(&bench) {
        return;
    }
    let (out, again) = (bench.out("out"), bench.out("again"));
    let args = |more: &[&'static str]| ["--operations", "machine-id", "--format", "json"].iter().chain(more).copied().collect::<Vec<_>>();
    let dry = bench.ask(&[args(&["--dry-run"]), vec!["-o", &out]].concat()).ended(0).json();
    assert!(!Path::new(&out).exists());
    let told = bench.ask(&["--operations", "machine-id", "--dry-run", "-v"]).ended(0).out;
    let wet = bench.ask(&[args(&[]), vec!["-o", &out]].concat()).ended(0).json();
    for key in ["plan", "generalize", "trim", "findings", "verdict"] {
        assert_eq!(dry[key], wet[key], "{key}");
    }
    assert_eq!((&dry["stage"], &wet["stage"]), (&json!("dry-run"), &json!("written")));
    assert!(told.contains("/etc/machine-id") && told.contains("generalize the guest: 1 operation, 1 change"), "{told}");
    let manifest = &wet["manifest"];
    assert_eq!(manifest["disks"][0]["steps"][0], json!({ "step": "generalize", "operations": 1, "changes": 1 }));
    let done = &manifest["generalized"]["operations"][0];
    assert_eq!(done["changes"], json!([{ "path": "/etc/machine-id", "action": "truncated", "names": null }]));
    let made = Path::new(&out).join("web.vhd");
    vhdkit([Path::new("verify"), Path::new(&out)]).ended(0);
    vhdkit([Path::new("recipe"), Path::new(&out)]).ended(0);
    let args = ["--operations", "machine-id", "-o", &out, "--overwrite"];
    bench.ask(&args).ended(0).said("next: vhdkit verify ").said("vhdkit recipe ");
    let id = vhdkit([Path::new("cat"), &made, Path::new("/etc/machine-id")]).ended(0).out;
    assert_eq!(id, "");
    // By the other command the same bytes come out.
    let other = bench.out("other");
    let source = bench.source.to_str().unwrap();
    vhdkit(["prepare", source, "--as=generalized", "--generalize", "--operations=machine-id", "-o", &other]).ended(0);
    assert!(read(&Path::new(&other).join("web.vhd")) == read(&made));
    // And from there nothing is left to do.
    let second = vhdkit(["generalize", made.to_str().unwrap(), "--operations=machine-id", "--format=json", "-o", &again]).ended(0).json();
    assert_eq!(second["plan"][0]["steps"], json!([]));
    assert_eq!(second["generalize"]["verdict"], "nothing_to_do");
    assert!(read(&Path::new(&again).join("web.vhd")) == read(&made));
}

#[test]
fn what_generalizing_does_not_cure_still_stops_it() {
    if !able() {
        return;
    }
    let mut guest = machine();
    // A root that Azure's devices do not have.
    guest.append("/etc/fstab", "/dev/sdb1 /data ext4 defaults 0 2\n");
    let bench = Bench::new(&guest);
    if !changes_files(&bench) {
        return;
    }
    let out = bench.out("out");
    let document = bench.ask(&["--operations", "machine-id", "--format", "json", "-o", &out]).ended(1).json();
    assert_eq!(document["stage"], "blocked", "{document}");
    let codes: Vec<&str> = document["blocked_by"].as_array().unwrap().iter().map(|found| found["code"].as_str().unwrap()).collect();
    assert!(!codes.is_empty() && !codes.contains(&"IMG008"), "{codes:?}");
    assert!(!Path::new(&out).exists());
}
