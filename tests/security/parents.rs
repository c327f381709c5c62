//! Parents of differencing disks: whatever a disk calls its parent, nothing outside of the directories allowed is opened, nor waited for.

use crate::every::{run_raw, tells};
use crate::sample::{PARENT_ID, SIZE, Sparse, content, fixed, put, save, seal_footer};
use crate::support::is_root;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the file holds that nobody may read.
const CANARY: &[u8] = crate::every::CANARY.as_bytes();

/// A child in a directory of its own, and beside that directory a parent that would fit.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["child", "outside"] {
            fs::create_dir(home.at(name)).unwrap();
        }
        save(&home.at("outside/parent.vhd"), &parent());
        fs::write(home.at("outside/notes.txt"), CANARY).unwrap();
        home
    }

    fn at(&self, path: &str) -> PathBuf {
        // Without the links that a temporary directory may lie behind.
        fs::canonicalize(self.dir.path()).unwrap().join(path)
    }

    /// The child, with one locator and a name.
    fn save_child(&self, platform: [u8; 4], locator: &str, name: &str) {
        let none: [([u8; 4], String); 1] = [(platform, locator.to_owned())];
        let locators = if locator.is_empty() { vec![] } else { none.to_vec() };
        save(&self.at("child/child.vhd"), &child(PARENT_ID, [7; 16], locators, name));
    }

    /// What the program says of the child, and the system calls that it made for it where strace is installed.
    fn ask(&self, what: &str) -> (String, Option<String>) {
        let dir = self.at("child");
        let mut said = String::new();
        for args in [
            &["inspect", "--format=json", "child.vhd"][..],
            &["check", "--no-config", "child.vhd"],
            &["prepare", "--role=data", "--dry-run", "child.vhd"],
            &["ls", "child.vhd"],
        ] {
            let (status, out, err) = run_raw(args, &dir);
            assert!(matches!(status, Some(0..=2)), "{what}: {args:?}: {status:?}");
            for bytes in [&out, &err] {
                assert!(!tells(bytes), "{what}: {args:?} told what is outside");
                said += &String::from_utf8_lossy(bytes);
            }
        }
        let log = self.at("calls");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-s", "4096", "-e", "trace=%file,connect", "-o"]).arg(&log);
        strace.arg(env!("CARGO_BIN_EXE_vhdkit")).args(["inspect", "child.vhd"]).current_dir(&dir);
        let ran = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        // Some sandboxes do not let one process look at another.
        let calls = ran.ok().and_then(|_| fs::read_to_string(&log).ok()).filter(|calls| calls.contains("child.vhd"));
        (said, calls)
    }
}

fn parent() -> Vec<u8> {
    let mut disk = content();
    put(&mut disk, 4096, CANARY);
    let mut file = fixed(&disk);
    put(&mut file, SIZE + 68, &PARENT_ID);
    seal_footer(&mut file, SIZE);
    file
}

fn child(parent: [u8; 16], id: [u8; 16], locators: Vec<([u8; 4], String)>, name: &str) -> Vec<u8> {
    let mut sparse = Sparse::differencing(vec![], |_| true, locators, name, parent);
    sparse.id = id;
    sparse.write(&vec![0; SIZE])
}

/// Calls that opened something, or tried to, with these words in them.
fn opened<'c>(calls: &'c str, words: &str) -> Vec<&'c str> {
    calls.lines().filter(|line| line.contains("open") && line.contains(words)).collect()
}

#[test]
fn a_parent_by_name_is_never_looked_at_outside() {
    let home = Home::new();
    let outside = home.at("outside/parent.vhd").to_str().unwrap().to_owned();
    let windows = outside.replace('/', "\\");
    let relative = |text: &str| (*b"W2ru", text.to_owned());
    let absolute = |text: &str| (*b"W2ku", text.to_owned());
    let mac = |text: &str| (*b"MacX", text.to_owned());
    let mut traced = 0;
    for (platform, locator) in [
        relative("..\\outside\\parent.vhd"),
        relative(".\\..\\outside\\parent.vhd"),
        relative("x\\..\\..\\outside\\parent.vhd"),
        relative("../outside/parent.vhd"),
        relative("..\\..\\..\\..\\..\\..\\..\\..\\etc\\passwd"),
        relative("..\\..\\..\\..\\..\\..\\..\\..\\dev\\zero"),
        relative("..\\..\\..\\..\\..\\..\\..\\..\\net\\server\\share\\parent.vhd"),
        relative(&windows),
        relative(&outside),
        absolute(&outside),
        absolute(&format!("\\\\?\\{windows}")),
        absolute(&format!("\\\\?\\C:{windows}")),
        absolute("\\\\server\\share\\parent.vhd"),
        absolute("\\\\.\\pipe\\x"),
        absolute("C:\\..\\..\\etc\\passwd"),
        absolute("/dev/zero"),
        absolute("/dev/stdin"),
        absolute("/proc/self/fd/0"),
        absolute("NUL"),
        absolute("CON"),
        absolute("COM1:"),
        absolute("~/.ssh/id_ed25519"),
        absolute("$HOME/parent.vhd"),
        mac(&format!("file://{outside}")),
        mac("file:///etc/passwd"),
        mac("https://example.org/parent.vhd"),
        absolute("parent.vhd\0../../outside/parent.vhd"),
        relative("parent.vhd\0"),
        absolute("a\nb\r\x1b[2Jc"),
        absolute(""),
        absolute(".."),
        relative(".."),
        relative("."),
    ] {
        for name in ["", "../outside/parent.vhd", "/etc/passwd"] {
            if name.len() > 1 && locator.len() % 3 > 0 {
                continue;
            }
            home.save_child(platform, &locator, name);
            let (said, calls) = home.ask(&format!("{locator:?} {name:?}"));
            assert!(said.contains("parent"), "{locator:?}: {said}");
            assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{locator:?}: {said:?}");
            let Some(calls) = calls else { continue };
            traced += 1;
            for words in ["/outside/", "etc/passwd\"", "/dev/zero", "dev/stdin", "/net/", "self/fd/0", ".ssh/", "connect("] {
                let found: Vec<&str> = calls.lines().filter(|line| line.contains(words)).collect();
                assert!(found.is_empty(), "{locator:?} {name:?}: {found:#?}");
            }
        }
    }
    if traced == 0 {
        eprintln!("SKIPPED: the calls that were made, since strace cannot be run here");
    }
}

#[test]
fn links_do_not_lead_outside() {
    let home = Home::new();
    let other = tempfile::tempdir().unwrap();
    save(&other.path().join("parent.vhd"), &parent());
    let links: [(&str, PathBuf, &str); 7] = [
        ("parent.vhd", "../outside/parent.vhd".into(), ".\\parent.vhd"),
        ("parent.vhd", home.at("outside/parent.vhd"), ".\\parent.vhd"),
        ("parent.vhd", "/dev/zero".into(), ".\\parent.vhd"),
        ("parent.vhd", "/dev/stdin".into(), ".\\parent.vhd"),
        ("parent.vhd", "/etc/passwd".into(), ".\\parent.vhd"),
        ("sub", "../outside".into(), ".\\sub\\parent.vhd"),
        ("sub", other.path().to_owned(), "sub\\parent.vhd"),
    ];
    for (name, target, locator) in links {
        let link = home.at("child").join(name);
        symlink(&target, &link).unwrap();
        home.save_child(*b"W2ru", locator, "");
        let (said, calls) = home.ask(&format!("{name} -> {}", target.display()));
        assert!(said.contains("lies outside the directories") || said.contains("was not found"), "{}: {said}", target.display());
        if let Some(calls) = calls {
            for words in ["outside/", "/dev/zero", "etc/passwd\"", other.path().to_str().unwrap(), "/sub"] {
                let found = opened(&calls, words);
                assert!(found.is_empty(), "{}: {found:#?}", target.display());
            }
        }
        fs::remove_file(link).unwrap();
    }
    // Within the directory, a link is as good as the file.
    fs::create_dir(home.at("child/sub")).unwrap();
    save(&home.at("child/sub/real.vhd"), &parent());
    symlink("sub/real.vhd", home.at("child/parent.vhd")).unwrap();
    home.save_child(*b"W2ru", ".\\parent.vhd", "");
    let (status, out, _) = run_raw(&["inspect", "--format=json", "child.vhd"], &home.at("child"));
    let out: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert!(status == Some(0) && out["disks"][0]["parents"].as_array().is_some_and(|list| list.len() == 1), "{out}");
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_read() {
    let home = Home::new();
    let place = home.at("child/parent.vhd");
    home.save_child(*b"W2ru", ".\\parent.vhd", "parent.vhd");
    let fifo = |path: &Path| Command::new("mkfifo").arg(path).status().unwrap().success();
    assert!(fifo(&place));
    assert!(home.ask("a pipe").0.contains("a named pipe"));
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    assert!(home.ask("a directory").0.contains("a directory"));
    fs::remove_dir(&place).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&place).unwrap();
    assert!(home.ask("a socket").0.contains("a socket"));
    drop(socket);
    fs::remove_file(&place).unwrap();
    if is_root() && Command::new("mknod").arg(&place).args(["c", "1", "5"]).status().is_ok_and(|status| status.success()) {
        assert!(home.ask("a device").0.contains("a character device"));
        fs::remove_file(&place).unwrap();
    } else {
        eprintln!("SKIPPED: a character device beside the disk, since none can be made");
    }
    fs::write(&place, CANARY).unwrap();
    assert!(home.ask("a text").0.contains("not a VHD"));
}

#[test]
fn chains_end() {
    let home = Home::new();
    let path = |number: u32| home.at(&format!("child/{number}.vhd"));
    let id = |number: u32| {
        let mut id = [9; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    };
    let link = |number: u32, next: u32| save(&path(number), &child(id(next), id(number), vec![], &format!("{next}.vhd")));
    let ask = |number: u32| {
        let (status, out, err) = run_raw(&["check", "--no-config", &format!("{number}.vhd")], &home.at("child"));
        assert!(matches!(status, Some(1 | 2)), "{status:?}");
        String::from_utf8(out).unwrap() + &String::from_utf8(err).unwrap()
    };
    link(0, 0);
    assert!(ask(0).contains("its own ancestor"));
    link(1, 2);
    link(2, 1);
    assert!(ask(1).contains("its own ancestor"));
    // By another name it is the same file.
    link(3, 4);
    symlink("3.vhd", path(4)).unwrap();
    assert!(ask(3).contains("3.vhd") || ask(3).contains("4.vhd"));
    for number in 10..1010 {
        link(number, number + 1);
    }
    assert!(ask(10).split_whitespace().collect::<Vec<_>>().join(" ").contains("more than 64 parents"), "{}", ask(10));
}
