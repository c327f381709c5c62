//! SARIF and JUnit, held against their published schemas; report files; `vhdkit.toml`.

use crate::support::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The SARIF schema, as OASIS publishes it.
const SARIF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/schemas/sarif-schema-2.1.0.json");

/// Disks of every kind that reports differ by, in a directory of their own.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        Disk::data(24 * MIB).write_fixed(&at("fixed.vhd"));
        Disk::data(24 * MIB).write_dynamic(&at("my \"dynamic\" & <disk> #1.vhd"));
        Disk::os(24 * MIB).write_fixed(&at("os.vhd"));
        Disk::data(24 * MIB).write_fixed_with(&at("saved.vhd"), |footer| footer[84] = 1);
        std::fs::write(at("text.txt"), "no disk").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = command();
        command.args(args).current_dir(self.dir.path());
        run(command)
    }
}

const DISKS: &[&str] = &["fixed.vhd", "my \"dynamic\" & <disk> #1.vhd", "os.vhd", "saved.vhd", "text.txt"];

/// The runs whose reports are held against schemas: name, arguments, status.
fn runs() -> Vec<(&'static str, Vec<&'static str>, i32)> {
    let with = |more: &[&'static str]| [&["check"], DISKS, more].concat();
    vec![
        ("clean", vec!["check", "fixed.vhd"], 0),
        ("several", with(&[]), 1),
        ("waived", with(&["--waive", "VHD002=it is converted \"later\"", "--fail-on", "note"]), 1),
        ("marketplace", with(&["--profile", "marketplace", "--role", "os", "--as", "generalized"]), 1),
        ("image", vec!["check", "os.vhd", "--data", "0=fixed.vhd", "--data", "1=saved.vhd", "--as", "specialized"], 1),
        ("missing", with(&["missing.vhd"]), 2),
        ("nothing", vec!["check", "missing.vhd"], 2),
    ]
}

/// A Python that has a module.
fn python(module: &str) -> Option<&'static str> {
    let has = |python: &&str| {
        let mut asked = Command::new(python);
        asked.args(["-c", &format!("import {module}")]).stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has)
}

#[test]
fn sarif_keeps_to_its_schema() {
    let bench = Bench::new();
    let mut files = Vec::new();
    for (name, args, status) in runs() {
        let ran = bench.run(&[&args[..], &["--format", "sarif"]].concat()).ended(status);
        let document = ran.json();
        assert_eq!((&document["version"], document["runs"].as_array().unwrap().len()), (&"2.1.0".into(), 1), "{name}");
        let again = bench.run(&[&args[..], &["--format", "sarif"]].concat());
        assert_eq!(ran.out, again.out, "{name}: two runs");
        let path = bench.path(&format!("{name}.sarif"));
        std::fs::write(&path, ran.out).unwrap();
        files.push(path);
    }
    let Some(python) = python("jsonschema") else {
        eprintln!("SKIPPED: SARIF against its schema: no Python with the module jsonschema");
        return;
    };
    let script = "import json, sys, jsonschema\n\
                  schema = json.load(open(sys.argv[1]))\n\
                  check = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())\n\
                  bad = [(f, list(e.absolute_path), e.message) for f in sys.argv[2:] for e in check.iter_errors(json.load(open(f)))]\n\
                  [print(*one) for one in bad[:20]]\n\
                  sys.exit(bool(bad))\n";
    let checked = Command::new(python).args(["-c", script, SARIF]).args(&files).output().unwrap();
    assert!(checked.status.success(), "{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
}

/// The schema by which Jenkins' plugins read JUnit, where it was fetched: `tests/run.sh` does where there is a network.
fn junit_schema() -> Option<PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemas/junit-10.xsd");
    std::env::var_os("VHDKIT_JUNIT_XSD").map(PathBuf::from).or(Some(fetched)).filter(|path| path.is_file())
}

#[test]
fn junit_keeps_to_its_schema() {
    let bench = Bench::new();
    let mut files = Vec::new();
    for (name, args, status) in runs() {
        let ran = bench.run(&[&args[..], &["--format", "junit"]].concat()).ended(status);
        assert!(ran.out.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{name}: {}", ran.out);
        assert!(!ran.out.contains("hostname") && !ran.out.contains("timestamp"), "{name}");
        counts_add_up(&ran.out, name);
        let path = bench.path(&format!("{name}.xml"));
        std::fs::write(&path, ran.out).unwrap();
        files.push(path);
    }
    let lint = |args: &[&str]| Command::new("xmllint").arg("--noout").args(args).args(&files).output();
    match lint(&[]) {
        Ok(parsed) => assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr)),
        Err(_) => {
            eprintln!("SKIPPED: JUnit against its schema: xmllint is not here");
            return;
        }
    }
    let Some(schema) = junit_schema() else {
        eprintln!(
            "SKIPPED: JUnit against Jenkins' schema: junit-10.xsd was not fetched (tests/run.sh does), and VHDKIT_JUNIT_XSD is not set"
        );
        return;
    };
    let checked = lint(&["--schema", schema.to_str().unwrap()]).unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// What the attributes say is what there is.
fn counts_add_up(text: &str, name: &str) {
    let attribute = |line: &str, key: &str| -> usize {
        let (_, rest) = line.split_once(&format!(" {key}=\"")).unwrap_or_else(|| panic!("{name}: no {key} in {line}"));
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let whole = text.lines().nth(1).unwrap();
    let all = ["tests", "failures", "errors"].map(|key| attribute(whole, key));
    assert_eq!(all, ["<testcase ", "<failure ", "<error "].map(|tag| text.matches(tag).count()), "{name}");
    for suite in text.split("<testsuite ").skip(1) {
        let line = format!(" {}", suite.lines().next().unwrap());
        let said = ["tests", "failures", "errors", "skipped"].map(|key| attribute(&line, key));
        assert_eq!(said, ["<testcase ", "<failure ", "<error ", "<skipped "].map(|tag| suite.matches(tag).count()), "{name}: {line}");
    }
}

#[test]
fn several_reports_at_once() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("out")).unwrap();
    let reports = ["text=out/check.txt", "json=out/check.json", "sarif=out/check.sarif", "junit=out/check.xml"];
    let asked: Vec<&str> = reports.iter().flat_map(|report| ["--report", report]).collect();
    let ran = bench.run(&[&["check", "fixed.vhd", "saved.vhd"][..], &asked].concat()).ended(0).said("fixed.vhd: ready");
    assert_eq!(listing(&bench.path("out")), ["check.json", "check.sarif", "check.txt", "check.xml"]);
    let file = |name: &str| String::from_utf8(read(&bench.path("out").join(name))).unwrap();
    assert_eq!(file("check.txt"), ran.out);
    assert!(file("check.json").contains("\"verdict\": \"ready\""));
    assert!(file("check.sarif").contains("\"version\": \"2.1.0\""));
    assert!(file("check.xml").contains("<testsuite name=\"saved.vhd\""));
    // Quiet keeps standard output empty, and the files come all the same.
    let quiet = bench.run(&["check", "fixed.vhd", "-q", "--report", "junit=quiet.xml"]).ended(0);
    assert_eq!(quiet.out, "");
    assert!(read(&bench.path("quiet.xml")).len() > 100);
}

#[test]
fn report_files_are_checked_before_any_work() {
    let bench = Bench::new();
    std::os::unix::fs::symlink(bench.path("fixed.vhd"), bench.path("link.json")).unwrap();
    std::fs::create_dir(bench.path("dir")).unwrap();
    std::fs::write(bench.path("vhdkit.toml"), "").unwrap();
    for (reports, words) in [
        (&["json=nowhere/a.json"][..], "there is no directory 'nowhere'"),
        (&["json=a.json", "sarif=a.json"], "two reports would be written to it"),
        (&["json=a.json", "sarif=./dir/../a.json"], "two reports would be written to it"),
        (&["json=fixed.vhd"], "it is a source"),
        (&["junit=link.json"], "it is a source"),
        (&["junit=dir"], "not a file"),
        (&["sarif=-"], "--format"),
        (&["text=vhdkit.toml"], "it is a source"),
        (&["json=good.json", "sarif=nowhere/b.json"], "there is no directory 'nowhere'"),
    ] {
        let asked: Vec<&str> = reports.iter().flat_map(|report| ["--report", report]).collect();
        let before = listing(bench.dir.path());
        // The first disk is missing: whoever had begun to work would speak of that.
        let ran = bench.run(&[&["check", "missing.vhd", "fixed.vhd"][..], &asked].concat()).ended(2).complained(words);
        assert!(!ran.err.contains("missing.vhd") && ran.out.is_empty(), "{}", ran.err);
        assert_eq!(listing(bench.dir.path()), before);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_named_and_the_others_come() {
    if is_root() {
        eprintln!("SKIPPED: a directory that cannot be written to: root can write everywhere");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    std::fs::create_dir(bench.path("locked")).unwrap();
    std::fs::set_permissions(bench.path("locked"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let ran = bench.run(&["check", "fixed.vhd", "--report", "json=locked/a.json", "--report", "junit=b.xml"]).ended(2);
    assert!(ran.err.contains("locked/a.json") && !ran.err.contains("b.xml"), "{}", ran.err);
    assert!(ran.out.contains("ready for Azure"));
    assert!(bench.path("b.xml").is_file());
}

#[test]
fn only_check_speaks_sarif_and_junit() {
    let bench = Bench::new();
    for format in ["sarif", "junit"] {
        for args in [&["inspect", "fixed.vhd"][..], &["prepare", "fixed.vhd", "--role", "data", "-o", "out"], &["verify", "."]] {
            let ran = bench.run(&[args, &["--format", format]].concat()).ended(2).complained("[possible values: text, json");
            assert_eq!(ran.out, "");
        }
        let report = format!("{format}=a.out");
        bench.run(&["inspect", "fixed.vhd", "--report", &report]).ended(2).complained("which only check gives");
    }
}

#[test]
fn a_configuration_that_is_a_pipe_is_not_waited_for() {
    let bench = Bench::new();
    let made = Command::new("mkfifo").arg(bench.path("vhdkit.toml")).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a pipe in the place of vhdkit.toml: no mkfifo");
        return;
    }
    bench.run(&["check", DISKS[1]]).ended(2).complained("it is no file");
}

#[test]
fn a_configuration_beside_the_disk_counts() {
    let bench = Bench::new();
    let dynamic = DISKS[1];
    let write = |text: &str| std::fs::write(bench.path("vhdkit.toml"), text).unwrap();
    bench.run(&["check", dynamic]).ended(1);
    write("[[waive]]\ncode = \"VHD002\"\nreason = \"it is converted later\"\n");
    bench.run(&["check", dynamic]).ended(0).said("it is converted later");
    let document = bench.run(&["check", dynamic, "--format", "json"]).ended(0).json();
    assert_eq!(document["findings"][0]["waived"], "it is converted later");
    assert_eq!(
        document["waivers"],
        serde_json::json!([{ "code": "VHD002", "reason": "it is converted later", "expires": null, "state": "active", "source": "vhdkit.toml:2" }])
    );
    bench.run(&["check", dynamic, "--no-config"]).ended(1);
    // Only the first disk's directory is looked into, and the command line beats the file.
    let elsewhere = tempfile::tempdir().unwrap();
    Disk::data(24 * MIB).write_fixed(&elsewhere.path().join("other.vhd"));
    let other = elsewhere.path().join("other.vhd");
    let other = other.to_str().unwrap();
    bench.run(&["check", other, dynamic]).ended(1);
    bench.run(&["check", dynamic, other]).ended(0);
    bench.run(&["check", other, dynamic, "--config", "vhdkit.toml"]).ended(0);
    bench.run(&["check", dynamic, "--waive", "VHD002=said here"]).ended(0).said("said here");
    // Profile and severity.
    write("fail-on = \"warning\"\n");
    bench.run(&["check", "saved.vhd"]).ended(1);
    bench.run(&["check", "saved.vhd", "--fail-on", "error"]).ended(0);
    write("profile = \"marketplace\"\n");
    assert_eq!(bench.run(&["check", "saved.vhd", "--format", "json"]).json()["target"]["profile"], "marketplace");
    assert_eq!(bench.run(&["check", "saved.vhd", "--format", "json", "--profile", "azure"]).json()["target"]["profile"], "azure");
    // prepare takes it too.
    write("[[waive]]\ncode = \"VHD999\"\nreason = \"x\"\n");
    for args in [&["check", "missing.vhd"][..], &["prepare", "missing.vhd", "--role", "data", "-o", "out"]] {
        let ran = bench.run(args).ended(2).complained("vhdkit.toml:2: 'VHD999' is not the code of a rule");
        assert!(!ran.err.contains("missing.vhd"), "before any work: {}", ran.err);
    }
    write("[[waive]]\ncode = \"VHD019\"\nreason = \"resumed by hand\"\n");
    bench.run(&["prepare", "saved.vhd", "--role", "data", "-o", "out", "--fail-on", "warning"]).ended(0);
    let manifest = String::from_utf8(read(&bench.path("out/manifest.json"))).unwrap();
    assert!(manifest.contains("resumed by hand"), "{manifest}");
    bench.run(&["check", "fixed.vhd", "--config", "nowhere.toml"]).ended(2).complained("nowhere.toml");
    bench.run(&["check", "fixed.vhd", "--config", "vhdkit.toml", "--no-config"]).ended(2);
}

#[test]
fn an_expired_waiver_does_not_waive_and_is_told() {
    let bench = Bench::new();
    let text = "[[waive]]\ncode = \"VHD002\"\nreason = \"until the move\"\nexpires = 2026-03-31\n";
    std::fs::write(bench.path("vhdkit.toml"), text).unwrap();
    let on = |epoch: &str, args: &[&str]| {
        let mut command = command();
        command.args(["check", DISKS[1]]).args(args).current_dir(bench.dir.path()).env("SOURCE_DATE_EPOCH", epoch);
        run(command)
    };
    // The last second of that day, and the first after it.
    on("1775001599", &[]).ended(0).said("until the move");
    let after = "1775001600";
    on(after, &[]).ended(1).said("VHD002 expired on 2026-03-31");
    let document = on(after, &["--format", "json"]).ended(1).json();
    assert_eq!((&document["waivers"][0]["state"], &document["findings"][0]["waived"]), (&"expired".into(), &serde_json::Value::Null));
    let document = on(after, &["--format", "sarif"]).ended(1).json();
    let notes = &document["runs"][0]["invocations"][0]["toolConfigurationNotifications"];
    assert!(notes[0]["message"]["text"].as_str().unwrap().contains("2026-03-31"), "{notes}");
    on(after, &["--format", "junit"]).ended(1).said("<system-err>warning: the waiver of VHD002 expired on 2026-03-31");
    on("yesterday", &[]).ended(2).complained("SOURCE_DATE_EPOCH");
}
