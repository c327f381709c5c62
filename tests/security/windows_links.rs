//! Links of a Windows guest: symlinks, junctions and those of Linux on Windows, wherever they point at, show what is the guest's.

use crate::every::{CANARY, Said, reading, run_raw, tells};
use crate::reports::all_hold;
use crate::windows::{Change, write, write_changed};
use std::fs;
use std::process::{Command, Stdio};
use vhdkit::facts::State;

/// Files that are read of a Windows, or asked for.
const FILES: &[&str] = &[
    "Windows/Panther/unattend.xml",
    "Windows/System32/Sysprep/Panther/setuperr.log",
    "Windows/Setup/State/State.ini",
    "Windows/System32/ntoskrnl.exe",
    "Windows/System32/config/SAM",
    "Windows/System32/config/SYSTEM.LOG1",
    "Windows/System32/drivers/storvsc.sys",
    "Windows/WinSxS/pending.xml",
    "AzureData/CustomData.bin",
    "hiberfil.sys",
    "pagefile.sys",
    "autounattend.xml",
];

/// Directories that are listed.
const DIRECTORIES: &[&str] = &["WindowsAzure", "Packages/Plugins", "host", "junction", "share", "Users/x"];

/// The value of a reparse point ([MS-FSCC] 2.1.2).
fn reparse(tag: u32, data: &[u8]) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &u16::try_from(data.len()).unwrap().to_le_bytes(), &[0, 0], data].concat()
}

/// A symlink or a junction: substitute name, and the same as the one to be printed.
fn windows_link(to: &str, symlink: bool, relative: bool) -> Vec<u8> {
    let name: Vec<u8> = to.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let len = u16::try_from(name.len()).unwrap().to_le_bytes();
    let mut data = [[0, 0], len, [0, 0], len].concat();
    if symlink {
        data.extend(u32::from(relative).to_le_bytes());
    }
    data.extend(name);
    reparse(if symlink { 0xa000_000c } else { 0xa000_0003 }, &data)
}

/// A symlink of the Windows Subsystem for Linux.
fn linux_link(to: &str) -> Vec<u8> {
    reparse(0xa000_001d, &[&[2, 0, 0, 0], to.as_bytes()].concat())
}

/// One way after the other to a path of the host; the last three are for directories alone.
fn way_out(number: usize, victim: &str) -> Vec<u8> {
    let back = victim.replace('/', "\\");
    match number {
        0 => windows_link(&format!("..\\..\\..\\..\\..\\..\\..\\..\\..{back}"), true, true),
        1 => windows_link(&format!("\\??\\C:{back}"), true, false),
        2 => windows_link(&format!("\\\\?\\C:\\..\\..{back}"), true, false),
        3 => windows_link(&format!("\\??\\UNC\\localhost\\C${back}"), true, false),
        4 => windows_link(&format!("\\\\localhost{back}"), true, false),
        5 => linux_link(victim),
        6 => linux_link(&format!("../../../../../../../..{victim}")),
        7 => linux_link(&format!("/proc/self/root{victim}")),
        8 => windows_link(&format!("\\??\\GLOBALROOT\\Device\\HarddiskVolume1{back}"), true, false),
        9 => windows_link(victim, true, true),
        10 => windows_link(&format!("\\??\\C:{back}"), false, false),
        11 => windows_link(&format!("\\??\\Volume{{01234567-89ab-cdef-0123-456789abcdef}}{back}"), false, false),
        _ => windows_link(&format!("\\\\.\\C:\\Windows\\..\\..\\..{back}"), false, false),
    }
}

#[test]
fn links_of_a_windows_stay_in_the_guest() {
    if Command::new("setfattr").arg("--version").stdin(Stdio::null()).output().is_err() {
        eprintln!("SKIPPED: links of a Windows, since setfattr is not installed");
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| fs::canonicalize(work.path()).unwrap().join(name);
    let host = at("host").to_str().unwrap().to_owned();
    let victim = format!("{host}/victim");
    fs::create_dir_all(at(&format!("host/GuestAgent_2.7.1.1_{CANARY}"))).unwrap();
    fs::write(&victim, format!("{CANARY}\r\n[State]\r\nImageState={CANARY}\r\n2026-11-20 10:00:00, Error   SYSPRP {CANARY}\r\n")).unwrap();
    // Two disks with other ways in each place; in the second the registry itself leads out.
    for turn in 0..2 {
        let mut changes: Vec<Change> = Vec::new();
        for (number, path) in FILES.iter().enumerate() {
            changes.push(Change::Link((*path).to_owned(), way_out((number + turn * 5) % 10, &victim)));
        }
        for (number, path) in DIRECTORIES.iter().enumerate() {
            changes.push(Change::Link(format!("{path}/"), way_out((number + 10 + turn * 6) % 13, &host)));
        }
        changes.push(write("Users/own.txt", b"the guest's own"));
        changes.push(Change::Link("inside".to_owned(), windows_link("Users\\own.txt", true, true)));
        changes.push(Change::Link("absolute".to_owned(), windows_link("\\??\\C:\\Users\\own.txt", true, false)));
        changes.push(Change::Link("root/".to_owned(), windows_link("\\??\\C:\\", false, false)));
        changes.push(Change::Link("loop".to_owned(), windows_link("loop", true, true)));
        changes.push(Change::Link("round/".to_owned(), windows_link("\\??\\C:\\round\\round", false, false)));
        if turn == 1 {
            changes.push(Change::Link("Windows/System32/config/SYSTEM".to_owned(), way_out(0, &victim)));
        }
        let disk = at("windows.vhd");
        if !write_changed(State::Specialized, &changes, &disk) {
            return;
        }
        let all = reading(&disk, work.path(), &[]);
        for said in &all {
            assert!(!tells(&said.bytes), "{turn}: {} tells what is on the host", said.by);
        }
        all_hold(&all, work.path());
        let text = |said: &Said| String::from_utf8_lossy(&said.bytes).into_owned();
        assert!(turn == 1 || all.iter().any(|said| text(said).contains("Windows Server 2022")), "{turn}: the guest was not read");
        let ask = |command: &str, path: &str| run_raw(&[command, disk.to_str().unwrap(), path], work.path());
        let mut paths: Vec<String> = FILES.iter().chain(DIRECTORIES).map(|path| format!("/{path}")).collect();
        paths.extend(
            ["host/victim", "junction/victim", "share/victim", "root/host/victim", "loop", "round", "round/x"]
                .map(|path| format!("C:\\{path}")),
        );
        paths.extend([format!("/../../..{victim}"), format!("/root/../..{victim}"), format!("C:{victim}"), format!("\\\\?\\C:{victim}")]);
        for path in &paths {
            let (status, out, err) = ask("cat", path);
            assert!(status == Some(2) && out.is_empty(), "{turn} {path}: {}", String::from_utf8_lossy(&out));
            assert!(!tells(&err) && err.starts_with(b"vhdkit: "), "{turn} {path}: {}", String::from_utf8_lossy(&err));
            let (_, out, err) = ask("ls", path);
            let listed = String::from_utf8([out, err].concat()).unwrap();
            assert!(!listed.contains(CANARY) && !listed.lines().any(|line| line.ends_with(" victim")), "{turn} {path}: {listed}");
        }
        for path in ["/inside", "C:\\absolute", "/root/root/Users/own.txt", "/root/../../inside"] {
            let (status, out, err) = ask("cat", path);
            assert_eq!((status, &out[..]), (Some(0), &b"the guest's own"[..]), "{turn} {path}: {}", String::from_utf8_lossy(&err));
        }
        // Where a link leads that has no path here is told, and hides none of its neighbours.
        let whole = ["ls", "--partition=3", disk.to_str().unwrap()];
        let (status, out, err) = run_raw(&whole, work.path());
        let listed = String::from_utf8(out).unwrap();
        assert_eq!(status, Some(0), "{turn}: {}", String::from_utf8_lossy(&err));
        assert!(listed.contains(" inside -> Users/own.txt\n") && listed.contains(" share -> "), "{turn}: {listed}");
        let (status, out, _) = run_raw(&[&whole[..], &["--json"]].concat(), work.path());
        let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert!(status == Some(0) && document["entries"].as_array().unwrap().len() > 10, "{turn}: {document}");
    }
}
