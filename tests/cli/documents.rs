//! The JSON documents: keys and their types, pointers to what is unknown, and stability.

use crate::support::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Demands a key with a type: `s` text, `n` whole number, `b` truth, `a` list, `o` object; `?` allows `null`.
#[track_caller]
fn keys(value: &Value, at: &str, wanted: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("{at} is no object: {value}"));
    for one in wanted.split_whitespace() {
        let (key, kind) = one.split_once(':').unwrap();
        let found = object.get(key).unwrap_or_else(|| panic!("{at} has no '{key}': {value}"));
        let fits = match kind.trim_end_matches('?') {
            "s" => found.is_string(),
            "n" => found.is_u64(),
            "b" => found.is_boolean(),
            "a" => found.is_array(),
            "o" => found.is_object(),
            other => panic!("no such type: {other}"),
        };
        assert!(fits || (found.is_null() && kind.ends_with('?')), "{at}/{key} is not {kind}: {found}");
    }
}

fn order(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("'{key}' is no list: {value}"))
}

#[track_caller]
fn head(document: &Value) {
    keys(document, "", "schema_version:n tool:o");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["tool"], serde_json::json!({ "name": "vhdkit", "version": env!("CARGO_PKG_VERSION") }));
}

#[track_caller]
fn content(value: &Value, at: &str) {
    if !value.is_null() {
        keys(value, at, "type:s uuid:s? label:s? size:n? used:n? clean:b?");
    }
}

#[track_caller]
fn footer(value: &Value, at: &str) {
    keys(
        value,
        at,
        "cookie:s features:n format_version:n data_offset:n timestamp:s creator_application:s creator_version:n creator_host_os:s \
         original_size:n current_size:n geometry:o disk_type:n checksum:o unique_id:s saved_state:b offset:n length:n",
    );
    keys(&value["geometry"], at, "cylinders:n heads:n sectors:n");
    keys(&value["checksum"], at, "stored:n computed:n");
    let time = value["timestamp"].as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    let id = value["unique_id"].as_str().unwrap();
    assert!(id.len() == 36 && id.chars().all(|c| c == '-' || c.is_ascii_digit() || c.is_ascii_lowercase()), "{id}");
}

/// One disk as the contract has it, and its pointers into the document.
#[track_caller]
fn disk(document: &Value, place: usize) {
    let disk = &document["disks"][place];
    let at = format!("/disks/{place}");
    keys(
        disk,
        &at,
        "path:s role:s? format:s kind:s? virtual_size:n? file_size:n allocated_size:n? footer:o? footer_copy:o? dynamic_header:o? \
         block_table:o? partition_table:o? partitions:a? volumes:a? boot:o? os:o? unknown:a",
    );
    for key in ["footer", "footer_copy"] {
        if !disk[key].is_null() {
            footer(&disk[key], &at);
        }
    }
    if !disk["dynamic_header"].is_null() {
        let header = &disk["dynamic_header"];
        keys(header, &at, "table_offset:n header_version:n max_table_entries:n block_size:n checksum:o parent:o?");
        if !header["parent"].is_null() {
            keys(&header["parent"], &at, "unique_id:s timestamp:s name:s locators:a path:s?");
            for locator in list(&header["parent"], "locators") {
                keys(locator, &at, "platform:s path:s?");
            }
        }
    }
    if !disk["block_table"].is_null() {
        keys(&disk["block_table"], &at, "entries:n allocated:n out_of_range:n overlapping:n");
    }
    if !disk["partition_table"].is_null() {
        keys(&disk["partition_table"], &at, "scheme:s disk_guid:s? disk_signature:s? primary_valid:b? backup_valid:b?");
    }
    for partition in disk["partitions"].as_array().into_iter().flatten() {
        keys(partition, &at, "number:n start:n size:n type:s type_name:s? name:s? guid:s? bootable:b content:o?");
        content(&partition["content"], &at);
    }
    for volume in disk["volumes"].as_array().into_iter().flatten() {
        keys(volume, &at, "name:s size:n content:o?");
        content(&volume["content"], &at);
    }
    if !disk["boot"].is_null() {
        keys(&disk["boot"], &at, "generations:a? architecture:s? loaders:a?");
    }
    for unknown in list(disk, "unknown") {
        keys(unknown, &at, "at:s reason:s");
        let pointer = unknown["at"].as_str().unwrap();
        assert!(pointer.starts_with(&format!("{at}/")), "{pointer}");
        assert_eq!(document.pointer(pointer), Some(&Value::Null), "{pointer} in {document}");
        assert!(!unknown["reason"].as_str().unwrap().is_empty());
    }
}

/// One of each kind, and what the document must say of it: format, kind, role.
fn zoo(dir: &Path) -> Vec<(PathBuf, &'static str, Option<&'static str>, Option<&'static str>)> {
    let at = |name: &str| dir.join(name);
    let child = Disk::blank(24 * MIB).put(10 * MIB, pattern(9, 5000));
    Disk::data(24 * MIB).write_fixed(&at("fixed.vhd"));
    Disk::os(24 * MIB).write_fixed(&at("os.vhd"));
    Disk::data(24 * MIB).write_dynamic(&at("dynamic.vhd"));
    child.write_differencing(&at("child.vhd"), "fixed.vhd");
    child.write_differencing(&at("orphan.vhd"), "gone.vhd");
    Disk::data(24 * MIB).write_raw(&at("disk.raw"));
    let mut qcow2 = b"QFI\xfb\0\0\0\x03".to_vec();
    qcow2.resize(65_536, 0);
    fs::write(at("qcow2.vhd"), qcow2).unwrap();
    fs::write(at("empty.vhd"), "").unwrap();
    fs::write(at("text.vhd"), "This is not a disk.\n").unwrap();
    fs::write(at("one.vhd"), [0]).unwrap();
    vec![
        (at("fixed.vhd"), "vhd", Some("fixed"), Some("data")),
        (at("os.vhd"), "vhd", Some("fixed"), Some("os")),
        (at("dynamic.vhd"), "vhd", Some("dynamic"), Some("data")),
        (at("child.vhd"), "vhd", Some("differencing"), Some("data")),
        (at("orphan.vhd"), "vhd", Some("differencing"), None),
        (at("disk.raw"), "raw", None, Some("data")),
        (at("qcow2.vhd"), "qcow2", None, None),
        (at("empty.vhd"), "empty", None, None),
        (at("text.vhd"), "text", None, None),
        (at("one.vhd"), "raw", None, Some("data")),
    ]
}

fn paths(zoo: &[(PathBuf, &'static str, Option<&'static str>, Option<&'static str>)]) -> Vec<String> {
    zoo.iter().map(|(path, ..)| path.to_str().unwrap().to_owned()).collect()
}

#[test]
fn inspect_has_every_key_of_the_contract_for_every_kind_of_file() {
    let dir = tempfile::tempdir().unwrap();
    let zoo = zoo(dir.path());
    for (path, format, kind, role) in &zoo {
        let document = vhdkit([Path::new("inspect"), path, Path::new("--format"), Path::new("json")]).ended(0).json();
        head(&document);
        assert_eq!(list(&document, "disks").len(), 1);
        disk(&document, 0);
        let found = &document["disks"][0];
        assert_eq!(found["path"].as_str(), path.to_str());
        assert_eq!((found["format"].as_str(), found["kind"].as_str()), (Some(*format), *kind), "{path:?}");
        assert_eq!(found["role"].as_str(), *role, "{path:?}");
        assert_eq!(found["file_size"], fs::metadata(path).unwrap().len());
    }
    // All at once: the pointers count the disks.
    let mut args = vec!["inspect".to_owned(), "--format".to_owned(), "json".to_owned()];
    args.extend(paths(&zoo));
    let document = vhdkit(&args).ended(0).json();
    for place in 0..zoo.len() {
        disk(&document, place);
    }
}

#[test]
fn inspect_tells_what_was_put_in() {
    let dir = tempfile::tempdir().unwrap();
    zoo(dir.path());
    let ask =
        |name: &str| vhdkit([Path::new("inspect"), &dir.path().join(name), Path::new("--format=json")]).ended(0).json()["disks"][0].clone();
    let fixed = ask("fixed.vhd");
    assert_eq!(fixed["virtual_size"], 24 * MIB);
    assert_eq!(fixed["footer"]["unique_id"], "1f2e3d4c-5b6a-7988-97a6-b5c4d3e2f100");
    assert_eq!(fixed["footer"]["offset"], 24 * MIB);
    assert_eq!(fixed["footer"]["checksum"]["stored"], fixed["footer"]["checksum"]["computed"]);
    assert_eq!(fixed["footer_copy"], Value::Null);
    let table = &fixed["partition_table"];
    assert_eq!((&table["scheme"], &table["primary_valid"], &table["backup_valid"]), (&"gpt".into(), &true.into(), &true.into()));
    let partition = &fixed["partitions"][0];
    assert_eq!((&partition["number"], &partition["start"], &partition["type"]), (&1.into(), &MIB.into(), &LINUX_DATA.into()));

    let dynamic = ask("dynamic.vhd");
    assert_eq!(dynamic["footer"]["disk_type"], 3);
    assert_eq!(dynamic["footer_copy"]["offset"], 0);
    assert_eq!(dynamic["dynamic_header"]["block_size"], 2 * MIB);
    assert_eq!((&dynamic["block_table"]["entries"], &dynamic["block_table"]["out_of_range"]), (&12.into(), &0.into()));
    assert_eq!(dynamic["allocated_size"], dynamic["block_table"]["allocated"].as_u64().unwrap() * 2 * MIB);
    assert_eq!(dynamic["partitions"], fixed["partitions"]);

    let child = ask("child.vhd");
    let parent = &child["dynamic_header"]["parent"];
    assert_eq!((&parent["name"], &parent["unique_id"]), (&"fixed.vhd".into(), &fixed["footer"]["unique_id"]));
    assert_eq!(parent["locators"][0], serde_json::json!({ "platform": "W2ru", "path": ".\\fixed.vhd" }));
    assert!(parent["path"].as_str().unwrap().ends_with("fixed.vhd"), "{parent}");
    let orphan = ask("orphan.vhd");
    assert_eq!(orphan["dynamic_header"]["parent"]["path"], Value::Null);
    assert!(!orphan["unknown"].as_array().unwrap().is_empty());

    let os = ask("os.vhd");
    assert_eq!(os["partitions"][0]["content"]["type"], "vfat");
    assert_eq!(os["partitions"][0]["content"]["uuid"], "EFBE-ADDE");
    // A loader is there, and nothing installed that it could start.
    assert_eq!(os["os"], Value::Null, "{os}");
    let at = |pointer: &str| os["unknown"].as_array().unwrap().iter().any(|unknown| unknown["at"] == pointer);
    assert!(at("/disks/0/boot/esp/fallback/complete"), "{}", os["unknown"]);
    assert_eq!((&os["boot"]["generations"], &os["boot"]["architecture"]), (&serde_json::json!([2]), &"x64".into()));
    assert_eq!(os["boot"]["loaders"][0]["path"], r"\EFI\BOOT\BOOTX64.EFI");
}

#[test]
fn check_has_every_key_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    for (path, ..) in zoo(dir.path()) {
        let ran = vhdkit([Path::new("check"), &path, Path::new("--format"), Path::new("json")]);
        let document = ran.json();
        checked(&document);
        disk(&document, 0);
        let status = if document["verdict"] == "ready" { 0 } else { 1 };
        assert_eq!(ran.status, Some(status), "{path:?}");
    }
    let (os, data) = (dir.path().join("os.vhd"), dir.path().join("fixed.vhd"));
    let pair = format!("7={}", data.display());
    let os = os.to_str().unwrap();
    let args = ["check", os, "--data", &pair, "--as", "specialized", "--generation", "2", "--profile", "marketplace", "--format", "json"];
    let document = vhdkit(args).ended(1).json();
    checked(&document);
    assert_eq!(
        document["target"],
        serde_json::json!({ "as": "specialized", "profile": "marketplace", "generation": 2, "fail_on": "error" })
    );
    assert_eq!(document["image"]["kind"], "vm-image");
    for place in 0..2 {
        disk(&document, place);
    }
    let alone = vhdkit(["check", os, "--format", "json"]).json();
    assert_eq!(alone["target"], serde_json::json!({ "as": null, "profile": "azure", "generation": null, "fail_on": "error" }));
    assert_eq!(alone["image"]["kind"], "os-image");
}

#[track_caller]
fn checked(document: &Value) {
    head(document);
    keys(document, "", "target:o verdict:s image:o disks:a findings:a rules:a");
    keys(&document["target"], "/target", "as:s? profile:s generation:n?");
    keys(&document["image"], "/image", "kind:s?");
    assert!(matches!(document["verdict"].as_str(), Some("ready" | "not_ready" | "undecided")));
    for finding in list(document, "findings") {
        keys(
            finding,
            "/findings",
            "code:s rule:s requirement:s severity:s disk:n? message:s actual:s required:s place:o? azure_error:s? remedy:o waived:s?",
        );
        keys(&finding["remedy"], "/findings/remedy", "by:s text:s");
        assert!(matches!(finding["remedy"]["by"].as_str(), Some("prepare" | "hand")), "{finding}");
        assert!(matches!(finding["severity"].as_str(), Some("error" | "warning" | "note")), "{finding}");
        let place = &finding["place"];
        if !place.is_null() {
            let shapes = [&["offset", "length"][..], &["path", "line"], &["registry"]];
            let found: Vec<&String> = place.as_object().unwrap().keys().collect();
            assert!(shapes.iter().any(|shape| found == *shape), "{place}");
        }
    }
    for rule in list(document, "rules") {
        keys(rule, "/rules", "code:s outcome:s disk:n? reason:s?");
        let outcome = rule["outcome"].as_str().unwrap();
        assert!(matches!(outcome, "pass" | "finding" | "not_applicable" | "undecided"), "{rule}");
        assert_eq!(rule["reason"].is_string(), matches!(outcome, "not_applicable" | "undecided"), "{rule}");
        let has = list(document, "findings").iter().any(|finding| finding["code"] == rule["code"] && finding["disk"] == rule["disk"]);
        assert_eq!(outcome == "finding", has, "{rule}");
    }
}

#[test]
fn rules_are_listed_with_every_key() {
    let document = vhdkit(["rules", "--format", "json"]).ended(0).json();
    let rules = document.as_array().unwrap();
    assert!(rules.len() > 30);
    for rule in rules {
        keys(rule, "/", "code:s rule:s requirement:s severity:s profile:s applies_to:s summary:s source:s");
    }
    let text = vhdkit(["rules"]).ended(0).out;
    for rule in rules {
        assert!(text.contains(rule["code"].as_str().unwrap()) && text.contains(rule["rule"].as_str().unwrap()));
    }
}

#[test]
fn documents_are_one_line_stable_and_free_of_time_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let disks = paths(&zoo(dir.path()));
    for command_name in ["inspect", "check"] {
        let ask = |cwd: &Path| {
            let mut command = command();
            command.arg(command_name).args(&disks).args(["--format", "json"]).current_dir(cwd);
            command.env("TZ", if cwd == dir.path() { "Asia/Kathmandu" } else { "America/St_Johns" });
            run(command).out
        };
        let first = ask(dir.path());
        assert_eq!(first.matches('\n').count(), 1, "one line when piped");
        assert!(first.ends_with("}\n"));
        assert_eq!(first, ask(dir.path()), "two runs");
        assert_eq!(first, ask(elsewhere.path()), "two directories");
        // Times of the files are not of the disks.
        for disk in &disks {
            let file = fs::File::options().append(true).open(disk).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
        }
        assert_eq!(first, ask(elsewhere.path()), "two times");
        let document: Value = serde_json::from_str(&first).unwrap();
        let top = if command_name == "check" {
            &["schema_version", "tool", "target", "verdict", "image", "disks", "findings", "rules", "waivers"][..]
        } else {
            &["schema_version", "tool", "disks"]
        };
        assert_eq!(order(&document), top, "the keys come in the contract's order");
        let disk = order(&document["disks"][0]);
        let place = |key: &str| disk.iter().position(|found| *found == key).unwrap();
        let keys =
            ["path", "role", "format", "kind", "virtual_size", "file_size", "footer", "partitions", "volumes", "boot", "os", "unknown"];
        assert!(keys.map(place).is_sorted(), "{disk:?}");
    }
    let relative = |cwd: &Path, path: &str| {
        let mut command = command();
        command.args(["inspect", path, "--format", "json"]).current_dir(cwd);
        run(command).ended(0).json()["disks"][0]["path"].clone()
    };
    assert_eq!(relative(dir.path(), "fixed.vhd"), "fixed.vhd", "the path is as given");
    assert_eq!(relative(dir.path(), "./fixed.vhd"), "./fixed.vhd");
}

#[test]
fn a_report_goes_to_a_file_as_well_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk.vhd");
    Disk::data(24 * MIB).write_dynamic(&disk);
    let disk = disk.to_str().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (command, status) in [("check", 1), ("inspect", 0)] {
        let (json, text) = (at("report.json"), at("report.txt"));
        let args = [command, disk, "--report", &format!("json={json}"), "--report", &format!("text={text}"), "--color", "always"];
        let ran = vhdkit(args).ended(status);
        assert!(ran.out.contains("disk.vhd"), "standard output has its report too");
        let written: Value = serde_json::from_slice(&read(Path::new(&json))).unwrap();
        assert_eq!(written, vhdkit([command, disk, "--format", "json"]).json());
        let written = String::from_utf8(read(Path::new(&text))).unwrap();
        assert_eq!(written, vhdkit([command, disk]).out, "no colours in a file");
        // The next run replaces it.
        fs::write(&json, "old").unwrap();
        vhdkit([command, disk, "-q", "--report", &format!("json={json}")]).ended(status);
        assert!(serde_json::from_slice::<Value>(&read(Path::new(&json))).is_ok());
        // What is piped while the report is written stays one document.
        vhdkit([command, disk, "--format", "json", "--report", &format!("text={text}")]).ended(status).json();
    }
    for path in
        [at("no/such/dir/report.json"), dir.path().to_str().unwrap().to_owned(), format!("{disk}/x.json"), "/proc/x.json".to_owned()]
    {
        vhdkit(["check", disk, "--report", &format!("json={path}")]).ended(2).complained("cannot write the report");
    }
    assert_eq!(listing(dir.path()), ["disk.vhd", "report.json", "report.txt"], "no litter");
}
