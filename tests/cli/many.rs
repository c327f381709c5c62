//! Many disks in one run: the same bytes whatever the number of threads, no failure that hides others, memory that does not grow.

use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

/// A directory of `count` disks, by name in the order of their numbers: most a good one, some another, and some that are none.
fn disks(count: usize) -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    Disk::data(24 * MIB).write_fixed(&at("good"));
    Disk::os(24 * MIB).write_dynamic(&at("system"));
    std::fs::write(at("text"), "no disk").unwrap();
    let names: Vec<String> = (0..count).map(|number| format!("disk-{number:04}.vhd")).collect();
    for (number, name) in names.iter().enumerate() {
        let source = match number % 10 {
            3 => "system",
            7 => "text",
            _ => "good",
        };
        std::fs::hard_link(at(source), at(name)).unwrap();
    }
    (dir, names)
}

fn asked(dir: &Path, command_name: &str, names: &[String], more: &[&str]) -> Command {
    let mut command = command();
    command.arg(command_name).args(more).args(names).current_dir(dir);
    command
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.ends_with('\n'), "the last line is not whole");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_bytes_are_the_same_whatever_the_number_of_threads() {
    let (dir, mut names) = disks(24);
    names.insert(5, "missing.vhd".to_owned());
    for (name, formats) in [("check", &["text", "json", "jsonl", "sarif", "junit"][..]), ("inspect", &["text", "json", "jsonl"])] {
        for format in formats {
            let mut seen: Option<Ran> = None;
            for jobs in ["1", "2", "8"] {
                let report = format!("{format}=report-{jobs}");
                let all = ["-j", jobs, "--format", format, "--report", &report];
                let ran = run(asked(dir.path(), name, &names, &all)).ended(2);
                let told: Vec<&str> = ran.err.lines().collect();
                assert!(told.len() == 1 && told[0].starts_with("vhdkit: cannot open 'missing.vhd': "), "{told:?}");
                let file = String::from_utf8(read(&dir.path().join(format!("report-{jobs}")))).unwrap();
                // In a file it is indented.
                let same = match *format {
                    "json" | "sarif" => serde_json::from_str::<Value>(&file).unwrap() == ran.json(),
                    _ => file == ran.out,
                };
                assert!(same, "{name} {format}: the file is not what was printed");
                let first = seen.get_or_insert_with(|| Ran { status: ran.status, out: ran.out.clone(), err: ran.err.clone() });
                assert!(first.out == ran.out && !ran.out.is_empty(), "{name} --format {format} -j {jobs} differs from -j 1");
            }
        }
        // Without the option too.
        let (usual, one) = (run(asked(dir.path(), name, &names, &[])), run(asked(dir.path(), name, &names, &["--jobs=1"])));
        assert_eq!(usual.out, one.out);
    }
    for bad in ["0", "-1", "x", "70000"] {
        run(asked(dir.path(), "check", &names, &[&format!("--jobs={bad}")])).ended(2).complained("--jobs");
    }
}

#[test]
fn text_is_that_of_each_disk_and_a_line_at_the_end() {
    let (dir, names) = disks(10);
    let alone: Vec<String> = names.iter().map(|name| run(asked(dir.path(), "check", std::slice::from_ref(name), &[])).out).collect();
    let ran = run(asked(dir.path(), "check", &names, &[])).ended(1);
    let (told, last) = ran.out.split_at(ran.out.rfind("\n\n").unwrap());
    assert_eq!(format!("{told}\n"), alone.join("\n"));
    assert_eq!(last.trim_start(), "10 disks: 8 ready · 2 not ready\n");
    assert!(!alone[0].contains("1 disk:"), "{}", alone[0]);

    let with_missing: Vec<String> = names.iter().take(2).cloned().chain(["missing.vhd".to_owned()]).collect();
    run(asked(dir.path(), "check", &with_missing, &[])).ended(2).said("\n3 disks: 2 ready · 1 could not be read\n");
    assert_eq!(run(asked(dir.path(), "check", &with_missing, &["-q"])).ended(2).out, "");
    let none = ["a.vhd".to_owned(), "b.vhd".to_owned()];
    assert_eq!(run(asked(dir.path(), "check", &none, &[])).ended(2).out, "2 disks: 2 could not be read\n");
}

#[test]
fn a_line_is_the_document_of_its_disk_and_failures_stand_in_their_places() {
    let (dir, mut names) = disks(8);
    names.insert(2, "missing.vhd".to_owned());
    symlink("nowhere", dir.path().join("dangling.vhd")).unwrap();
    names.push("dangling.vhd".to_owned());
    for (name, counts) in [
        ("check", serde_json::json!({ "disks": 10, "ready": 6, "not_ready": 2, "undecided": 0, "unreadable": 2, "status": 2 })),
        ("inspect", serde_json::json!({ "disks": 10, "read": 8, "unreadable": 2, "status": 2 })),
    ] {
        let ran = run(asked(dir.path(), name, &names, &["--format=jsonl", "-j3"])).ended(2);
        let told = lines(&ran.out);
        assert_eq!(told.len(), names.len() + 1);
        for (line, path) in told.iter().zip(&names) {
            assert_eq!((&line["schema_version"], &line["tool"]["name"]), (&Value::from(1), &Value::from("vhdkit")));
            if path == "missing.vhd" || path == "dangling.vhd" {
                assert_eq!(line["error"]["path"], **path);
                let said = line["error"]["message"].as_str().unwrap();
                assert!(said.contains(path.as_str()) && ran.err.contains(said), "{said}");
                assert!(line["disks"].is_null());
            } else {
                let alone = run(asked(dir.path(), name, std::slice::from_ref(path), &["--format", "json"])).json();
                assert!(*line == alone, "{name} {path}: the line is not the document of the disk alone");
            }
        }
        assert_eq!(told[names.len()]["summary"], counts);
    }
    // One disk has its line at the end too, and so has an image.
    let one = lines(&run(asked(dir.path(), "check", &names[..1], &["--format=jsonl"])).ended(0).out);
    assert_eq!((one.len(), &one[1]["summary"]["ready"]), (2, &Value::from(1)));
    let image = lines(&run(asked(dir.path(), "check", &names[4..5], &["--format=jsonl", "--data=0=good"])).out);
    assert_eq!((image.len(), image[0]["disks"].as_array().unwrap().len(), &image[1]["summary"]["disks"]), (2, 2, &Value::from(2)));
    let lost = lines(&run(asked(dir.path(), "check", &names[4..5], &["--format=jsonl", "--data=0=missing.vhd"])).ended(2).out);
    assert_eq!((lost.len(), &lost[0]["error"]["path"]), (2, &Value::from("missing.vhd")));
    // It is no form of other commands.
    vhdkit(["prepare", "x", "--role=data", "--dry-run", "--report", "jsonl=f"]).ended(2).complained("only inspect and check");
    vhdkit(["prepare", "x", "--role=data", "--dry-run", "--format", "jsonl"]).ended(2);
}

/// The peak of a run's memory in KiB, looked at after each line while the run waits for its reader.
#[cfg(target_os = "linux")]
fn peak(dir: &Path, name: &str, names: &[String]) -> u64 {
    let mut command = asked(dir, name, names, &["--format=jsonl", "-j4"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut most, mut number) = (0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        number += usize::from(!line.unwrap().is_empty());
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(found.unwrap_or(0));
    }
    wait(&mut child);
    assert_eq!(number, names.len() + 1);
    assert!(most > 0, "no peak was seen");
    most
}

/// `VHDKIT_TEST_MANY=1000` makes it a thousand.
#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_number_of_disks() {
    let count = std::env::var("VHDKIT_TEST_MANY").ok().map_or(300, |text| text.parse().unwrap());
    let (dir, names) = disks(count);
    for (name, names) in [("check", &names[..]), ("inspect", &names[..count / 2])] {
        let (few, many) = (peak(dir.path(), name, &names[..50]), peak(dir.path(), name, names));
        let count = names.len();
        eprintln!("{name}: {few} KiB with 50 disks, {many} KiB with {count}");
        // Its arguments, and what an allocator leaves unused.
        assert!(many < few + 4096, "{name}: {few} KiB with 50 disks, {many} KiB with {count}");
    }
}

#[test]
fn an_interrupt_ends_it_after_a_whole_line() {
    let (dir, names) = disks(200);
    for (format, which, status) in [("jsonl", Signal::INT, 130), ("text", Signal::TERM, 143)] {
        let mut command = asked(dir.path(), "check", &names, &["-j2", "--format", format, "--report", "json=report"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut told = String::new();
        out.read_line(&mut told).unwrap();
        // More is told than fits between the two: it is in the midst of a write now, or of a disk.
        kill_process(Pid::from_child(&child), which).unwrap();
        out.read_to_string(&mut told).unwrap();
        assert_eq!(wait(&mut child).code(), Some(status));
        if format == "jsonl" {
            let told = lines(&told);
            assert!(told.len() < names.len() && told.iter().all(|line| line["summary"].is_null()), "{}", told.len());
        } else {
            assert!(told.ends_with('\n') && !told.contains("200 disks"), "{told}");
        }
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "");
        assert!(!dir.path().join("report").exists(), "a report of a part looks like one of all");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_but_no_file() {
    let (dir, names) = disks(60);
    for report in [None, Some("json=whole"), Some("jsonl=whole")] {
        let more: Vec<&str> = ["--format=jsonl"].into_iter().chain(report.map(|_| "--report")).chain(report).collect();
        let mut command = asked(dir.path(), "check", &names, &more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let ran = finish(child).ended(0);
        assert_eq!((ran.err.as_str(), lines(&first).len()), ("", 1));
        if let Some(report) = report {
            let file = String::from_utf8(read(&dir.path().join("whole"))).unwrap();
            let number = if report.starts_with("jsonl") { lines(&file).len() - 1 } else { file.matches("\"file_size\"").count() };
            assert_eq!(number, names.len());
            std::fs::remove_file(dir.path().join("whole")).unwrap();
        }
    }
}
