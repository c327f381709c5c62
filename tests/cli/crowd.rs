//! Many disks, and among them everything that is none: no failure hides another, and the bytes are the same for every number of threads.

use crate::support::*;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// The crowd: names in their order, and how many of them can be opened.
struct Crowd {
    dir: tempfile::TempDir,
    names: Vec<OsString>,
    open: usize,
    /// It waits for somebody who listens; gone with it.
    _socket: std::os::unix::net::UnixListener,
}

/// `VHDKIT_TEST_MANY=1000` makes it a thousand.
fn count() -> usize {
    std::env::var("VHDKIT_TEST_MANY").ok().map_or(30, |text| text.parse().unwrap())
}

fn crowd() -> Crowd {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    Disk::data(24 * MIB).write_fixed(&at("good"));
    Disk::os(24 * MIB).write_dynamic(&at("system"));
    Disk::data(24 * MIB).write_differencing(&at("orphan"), "nobody.vhd");
    Disk::data(24 * MIB).write_differencing(&at("self.vhd"), "self.vhd");
    let whole = read(&at("system"));
    fs::write(at("cut"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("noise"), pattern(9, 70_000)).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("short"), "x").unwrap();
    let mut names: Vec<OsString> = Vec::new();
    for number in 0..count() {
        let source = ["good", "cut", "good", "system", "noise", "empty", "good", "orphan", "short", "good"][number % 10];
        let name = format!("disk-{number:04}.vhd");
        fs::hard_link(at(source), at(&name)).unwrap();
        names.push(name.into());
    }
    names.push("self.vhd".into());
    // The same one once more, by the same name and by another.
    names.insert(7, "disk-0000.vhd".into());
    names.insert(9, "./disk-0000.vhd".into());
    for (place, name) in
        [(3, b"a\nnew line.vhd".to_vec()), (5, b"-dash.vhd".to_vec()), (11, b"\xff\x9b not text.vhd".to_vec()), (13, b"-".to_vec())]
    {
        let name = OsString::from_vec(name);
        fs::hard_link(at("good"), dir.path().join(&name)).unwrap();
        names.insert(place, name);
    }
    let open = names.len();
    assert!(Command::new("mkfifo").arg(at("pipe.vhd")).status().unwrap().success());
    fs::create_dir(at("directory.vhd")).unwrap();
    symlink("nowhere", at("dangling.vhd")).unwrap();
    symlink("loop.vhd", at("loop.vhd")).unwrap();
    symlink("pipe.vhd", at("link to a pipe.vhd")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(at("socket.vhd")).unwrap();
    let mut none =
        vec!["pipe.vhd", "directory.vhd", "dangling.vhd", "loop.vhd", "link to a pipe.vhd", "socket.vhd", "missing.vhd", "/dev/null"];
    if is_root() {
        eprintln!("SKIPPED: a disk that may not be read, since root may read everything");
    } else {
        fs::write(at("locked.vhd"), "x").unwrap();
        fs::set_permissions(at("locked.vhd"), fs::Permissions::from_mode(0o000)).unwrap();
        none.push("locked.vhd");
    }
    for (number, name) in none.into_iter().enumerate() {
        names.insert(2 + number * 5, name.into());
    }
    Crowd { dir, names, open, _socket: socket }
}

fn ask(crowd: &Crowd, limit: Option<u32>, args: &[&str]) -> Ran {
    let mut command = command();
    if let Some(limit) = limit {
        let program = command.get_program().to_owned();
        command = Command::new("sh");
        command.env("LC_ALL", "C").stdin(std::process::Stdio::null());
        command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(program);
    }
    command.args(args).arg("--").args(&crowd.names).current_dir(crowd.dir.path());
    run(command)
}

#[test]
fn whoever_is_in_it_a_crowd_is_told_in_its_order() {
    let crowd = crowd();
    let none = crowd.names.len() - crowd.open;
    for command in ["check", "inspect"] {
        let mut first: Option<Ran> = None;
        for (jobs, limit) in [("1", None), ("2", None), ("8", None), ("8", Some(64))] {
            let ran = ask(&crowd, limit, &[command, "--format=jsonl", "-j", jobs]).ended(2);
            let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), crowd.names.len() + 1, "{command} -j {jobs}");
            for (line, name) in lines.iter().zip(&crowd.names) {
                let path = if line["error"].is_null() { &line["disks"][0]["path"] } else { &line["error"]["path"] };
                let told = path.as_str().unwrap().replace("\\n", "\n");
                let meant = name.to_string_lossy();
                // What is hidden is told by escapes where words are for people.
                assert!(told == meant || (line["error"].is_object() && meant.chars().any(char::is_control)), "{told:?} for {meant:?}");
            }
            let summary = &lines[crowd.names.len()]["summary"];
            assert_eq!((summary["disks"].as_u64(), summary["unreadable"].as_u64()), (Some(crowd.names.len() as u64), Some(none as u64)));
            assert_eq!(ran.err.lines().count(), none, "{}", ran.err);
            assert!(!ran.err.contains("panicked") && ran.err.lines().all(|line| line.starts_with("vhdkit: cannot open '")), "{}", ran.err);
            let first = first.get_or_insert_with(|| Ran { status: ran.status, out: ran.out.clone(), err: ran.err.clone() });
            assert!(first.out == ran.out && first.err == ran.err, "{command} -j {jobs} {limit:?} differs from -j 1");
        }
    }
}

#[test]
fn documents_and_summaries_tell_of_all() {
    let crowd = crowd();
    let none = crowd.names.len() - crowd.open;
    let document = ask(&crowd, None, &["check", "--format=json"]).ended(2).json();
    assert_eq!(document["disks"].as_array().unwrap().len(), crowd.open);
    let sarif = ask(&crowd, None, &["check", "--format=sarif"]).ended(2).json();
    assert_eq!(sarif["runs"].as_array().unwrap().len(), 1);
    let junit = ask(&crowd, None, &["check", "--format=junit"]).ended(2).out;
    assert_eq!(junit.matches("<testsuite ").count(), crowd.names.len());
    assert_eq!(junit.matches("type=\"unopened\"").count(), none);
    let text = ask(&crowd, None, &["check"]).ended(2);
    let last = text.out.lines().last().unwrap();
    assert!(last.starts_with(&format!("{} disks: ", crowd.names.len())) && last.ends_with(&format!("{none} could not be read")), "{last}");
    assert_eq!(ask(&crowd, None, &["check", "-q"]).ended(2).out, "");
}

/// A list that is longer than arguments may be goes through `xargs`, in several runs; each is whole, and the worst status is kept.
#[test]
fn a_list_goes_through_xargs() {
    let crowd = crowd();
    let list: Vec<u8> = crowd.names.iter().flat_map(|name| [name.clone().into_vec(), vec![0]].concat()).collect();
    let path = crowd.dir.path().join("list");
    fs::write(&path, list).unwrap();
    let mut command = Command::new("xargs");
    command.args(["-0", "-n", "25", env!("CARGO_BIN_EXE_vhdkit"), "inspect", "--format=jsonl", "--"]).current_dir(crowd.dir.path());
    command.stdin(fs::File::open(Path::new(&path)).unwrap());
    let ran = run(command).ended(123);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summaries: Vec<&Value> = lines.iter().filter(|line| line["summary"].is_object()).collect();
    let told: u64 = summaries.iter().map(|line| line["summary"]["disks"].as_u64().unwrap()).sum();
    assert_eq!(told as usize, crowd.names.len());
    assert!(summaries.len() > 1);
}
