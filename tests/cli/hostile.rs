//! Guests that nobody can make a template of, and guests that look like it: what is said of each, and that nothing is left of the attempt.

use crate::generalize::Bench;
use crate::linux::{Guest, able};
use crate::linux_healthy;
use crate::support::*;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where the root file system of a planted guest begins.
const ROOT: u64 = 18 * MIB;

/// A machine with one person, who is to be removed, and state of its own.
fn machine() -> Guest {
    linux_healthy::specialized()
}

/// The same without an EFI system partition.
fn alone() -> Guest {
    let mut guest = machine();
    guest.file("/etc/fstab", "");
    guest
}

/// What is asked for in every case.
const ASKED: [&str; 2] = ["--remove-user", "azureuser"];

/// Whether guests can be made, and damaged where they are made.
fn able_to_damage() -> bool {
    let there = Command::new("debugfs").arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("SKIPPED: damaged guests, since debugfs is not installed");
    }
    there && able()
}

/// Lets debugfs work on the root file system of a disk.
#[track_caller]
fn debugfs(disk: &Path, script: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let commands = dir.path().join("commands");
    fs::write(&commands, script).unwrap();
    let place = format!("{}?offset={ROOT}", disk.display());
    let ran = Command::new("debugfs").arg("-w").arg("-f").arg(&commands).arg(place).stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}");
    said
}

/// What ran was refused: its status, words on either stream, nothing of it is left.
#[track_caller]
fn refused(bench: &Bench, args: &[&str], status: i32, words: &[&str]) {
    let out = bench.out("out");
    for more in [&[][..], &["-o", &out]] {
        let ran = bench.ask(&[args, more].concat());
        let said = format!("{}{}", ran.out, ran.err);
        assert_eq!(ran.status, Some(status), "{more:?}: {said}");
        for words in words {
            assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{more:?}: no {words:?} in {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
        assert!(ran.err.lines().count() <= 1, "{}", ran.err);
        assert_eq!(listing(bench.dir.path()), ["web.vhd"]);
    }
}

/// A template was made: what is read of it.
#[track_caller]
fn made(bench: &Bench, args: &[&str]) -> PathBuf {
    bench.ask(args).ended(0);
    let out = bench.out("out");
    let ran = bench.ask(&[args, &["--allow-undecided", "-o", &out]].concat()).ended(0);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    assert_eq!(listing(bench.dir.path()), ["out", "web.vhd"]);
    let disk = Path::new(&out).join("web.vhd");
    let image = bench.dir.path().join("out/root.img");
    let bytes = read(&disk);
    fs::write(&image, &bytes[ROOT as usize..][..24 << 20]).unwrap();
    let checked = Command::new("e2fsck").arg("-fn").arg(&image).stdin(Stdio::null()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    fs::remove_file(image).unwrap();
    disk
}

/// A file of the disk, or that it is not there.
fn cat(disk: &Path, path: &str) -> Option<String> {
    let ran = vhdkit([Path::new("cat"), disk, Path::new(path)]);
    (ran.status == Some(0)).then_some(ran.out)
}

/// One guest that is refused.
struct Refusal {
    name: &'static str,
    plant: fn(&mut Guest),
    script: &'static [u8],
    status: i32,
    words: &'static [&'static str],
}

#[test]
fn what_cannot_be_read_or_changed_is_told_and_nothing_is_written() {
    if !able_to_damage() {
        return;
    }
    let same: fn(&mut Guest) = |_| {};
    let cases = [
        Refusal {
            name: "immutable",
            plant: same,
            script: b"sif /etc/machine-id flags 0x80010\n",
            status: 1,
            words: &["immutable", "/etc/machine-id", "chattr -i"],
        },
        Refusal { name: "append-only", plant: same, script: b"sif /etc/machine-id flags 0x80020\n", status: 1, words: &["append-only"] },
        Refusal {
            name: "journal that cannot be replayed",
            plant: same,
            script: b"jo\njw -b 23000 /dev/null\njc\nzap_block -f <8> 0\nfeature needs_recovery\n",
            status: 2,
            words: &["journal"],
        },
        Refusal {
            name: "shadow is a directory",
            plant: |guest| {
                guest.remove("/etc/shadow").directory("/etc/shadow");
            },
            script: b"",
            status: 2,
            words: &["/etc/shadow"],
        },
        Refusal {
            name: "shadow leads to /proc",
            plant: |guest| {
                guest.remove("/etc/shadow").link("/etc/shadow", "/proc/self/mem");
            },
            script: b"",
            status: 2,
            words: &["/etc/shadow"],
        },
        Refusal {
            name: "shadow is a pipe",
            plant: |guest| {
                guest.remove("/etc/shadow");
            },
            script: b"cd /etc\nmknod shadow p\n",
            status: 2,
            words: &["/etc/shadow"],
        },
        Refusal {
            name: "name of an account is not text",
            plant: |guest| {
                let passwd = [guest.text("/etc/passwd").as_bytes(), b"\xff\xfe:x:1001:1001::/home/x:/bin/bash\n"].concat();
                let shadow = [guest.text("/etc/shadow").as_bytes(), b"\xff\xfe:$6$salt$hash:20000:0:99999:7:::\n"].concat();
                guest.file("/etc/passwd", passwd).mode("/etc/shadow", shadow, 0o640);
            },
            script: b"",
            status: 1,
            words: &["uid 1001"],
        },
        Refusal {
            name: "directory below /var/log",
            plant: |guest| {
                guest.file("/var/log/journal/8f3c/system.journal", "entries");
            },
            script: b"zap_block -f /var/log/journal -p 0xff 0\n",
            status: 2,
            words: &["/var/log/journal"],
        },
    ];
    for case in cases {
        eprintln!("{}", case.name);
        let mut guest = machine();
        (case.plant)(&mut guest);
        let bench = Bench::after(&guest, |disk, _| drop(debugfs(disk, case.script)));
        refused(&bench, &ASKED, case.status, case.words);
    }
}

#[test]
fn a_journal_that_holds_work_is_replayed_into_the_template() {
    if !able_to_damage() {
        return;
    }
    let block = tempfile::NamedTempFile::new().unwrap();
    fs::write(block.path(), [b'j'; 1024]).unwrap();
    let script = format!("jo\njw -b 24000 {}\njc\n", block.path().display());
    let bench = Bench::after(&machine(), |disk, _| drop(debugfs(disk, script.as_bytes())));
    let disk = made(&bench, &ASKED);
    assert_eq!(cat(&disk, "/etc/machine-id").as_deref(), Some(""));
    assert!(!cat(&disk, "/etc/passwd").unwrap().contains("azureuser"));
}

#[test]
fn a_full_file_system_has_room_for_what_is_left() {
    if !able_to_damage() {
        return;
    }
    let filler = tempfile::NamedTempFile::new().unwrap();
    fs::write(filler.path(), vec![0x55; 30 << 20]).unwrap();
    let bench = Bench::after(&machine(), |disk, work| {
        let script = format!("write {} /filler\n", filler.path().display());
        debugfs(disk, script.as_bytes());
        // What debugfs began and could not end.
        let image = work.join("full.img");
        let mut bytes = read(disk);
        fs::write(&image, &bytes[ROOT as usize..][..24 << 20]).unwrap();
        Command::new("e2fsck").arg("-fy").arg(&image).stdin(Stdio::null()).output().unwrap();
        bytes[ROOT as usize..][..24 << 20].copy_from_slice(&read(&image));
        fs::write(disk, bytes).unwrap();
        let said = debugfs(disk, b"stats\n");
        assert!(said.lines().any(|line| line.contains("Free blocks:") && line.ends_with(" 0")), "{said}");
    });
    let disk = made(&bench, &ASKED);
    assert_eq!(cat(&disk, "/etc/machine-id").as_deref(), Some(""));
}

#[test]
fn several_systems_on_a_disk_are_for_somebody_to_choose_from() {
    if !able_to_damage() {
        return;
    }
    let bench = Bench::after(&alone(), |disk, work| {
        let root = read(&work.join("root.img"));
        let second = work.join("second.img");
        fs::write(&second, &root).unwrap();
        let given = Command::new("tune2fs").args(["-f", "-U", "5f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c12"]).arg(&second).output().unwrap();
        assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));
        let sectors = 24 * MIB / 512;
        Disk::blank(60 * MIB)
            .gpt(&[(LINUX_DATA, 2048, sectors), (LINUX_DATA, 2048 + sectors, sectors)])
            .put(MIB, root)
            .put(25 * MIB, read(&second))
            .write_fixed(disk);
    });
    refused(&bench, &ASKED, 1, &["partition 1", "partition 2"]);
}

#[test]
fn accounts_of_a_directory_are_not_taken_for_the_machines() {
    if !able() {
        return;
    }
    let mut guest = machine();
    guest.replace("/etc/nsswitch.conf", "passwd: files systemd", "passwd: files ldap");
    let bench = Bench::new(&guest);
    refused(&bench, &["--remove-user", "grace"], 2, &["no such account", "azureuser"]);
}

#[test]
fn an_account_that_lives_at_the_root_takes_nothing_with_it() {
    if !able_to_damage() {
        return;
    }
    let mut guest = machine();
    guest.append("/etc/passwd", "ada:x:1001:1001::/:/bin/bash\ngrace:x:1002:1002::/etc/../home/..:/bin/bash\n");
    let bench = Bench::new(&guest);
    let disk = made(&bench, &["--remove-user", "azureuser", "--remove-user", "ada", "--remove-user", "grace"]);
    assert!(cat(&disk, "/etc/debian_version").is_some() && cat(&disk, "/usr/lib/os-release").is_some());
    let passwd = cat(&disk, "/etc/passwd").unwrap();
    assert!(passwd.contains("root:") && !passwd.contains("ada:") && !passwd.contains("grace:"), "{passwd}");
}

#[test]
fn two_thousand_accounts_take_no_longer_than_they_must() {
    if !able_to_damage() {
        return;
    }
    let mut guest = machine();
    let many: String = (0..2_000).map(|n| format!("u{n}:x:{}:100::/home/u{n}:/usr/sbin/nologin\n", 2000 + n)).collect();
    guest.append("/etc/passwd", &many);
    let started = Instant::now();
    let bench = Bench::new(&guest);
    bench.ask(&ASKED).ended(0);
    eprintln!("{:?}", started.elapsed());
}

#[test]
fn a_loop_of_symlinks_and_names_that_are_no_text_are_only_names() {
    if !able_to_damage() {
        return;
    }
    let mut guest = machine();
    guest.link("/var/log/loop", "loop").link("/tmp/one", "two").link("/tmp/two", "one").link("/home/azureuser/up", "..");
    let script = b"cd /tmp\nmknod \xff\xfe p\nmkdir \xc3(\ncd \xc3(\nmknod \xe2\x82 p\n";
    let bench = Bench::after(&guest, |disk, _| drop(debugfs(disk, script)));
    let disk = made(&bench, &ASKED);
    let left = vhdkit([Path::new("ls"), &disk, Path::new("/tmp")]).ended(0).out;
    assert_eq!(left.trim(), "", "{left}");
}

/// A directory of fifty thousand names of one file, written as it lies on the disk.
fn crowded(number: u32, parent: u32, file: u32, names: u32) -> Vec<u8> {
    let entry = |node: u32, length: usize, kind: u8, name: &[u8]| {
        let mut bytes = [&node.to_le_bytes()[..], &(length as u16).to_le_bytes(), &[name.len() as u8, kind], name].concat();
        bytes.resize(length, 0);
        bytes
    };
    let mut blocks = [entry(number, 12, 2, b"."), entry(parent, 1012, 2, b"..")].concat();
    let mut next = 0;
    while next < names {
        let held = (names - next).min(51);
        for place in 0..held {
            let length = if place + 1 == held { 1024 - 20 * (held as usize - 1) } else { 20 };
            blocks.extend(entry(file, length, 1, format!("name-{next:05}").as_bytes()));
            next += 1;
        }
    }
    blocks
}

#[test]
fn thousands_of_names_are_removed_one_by_one() {
    if !able_to_damage() {
        return;
    }
    const NAMES: u32 = 5_000;
    let started = Instant::now();
    let bench = Bench::after(&machine(), |disk, work| {
        let number =
            |said: &str| -> u32 { said.rsplit("Allocated inode: ").next().unwrap().split_whitespace().next().unwrap().parse().unwrap() };
        let (one, blob) = (work.join("one"), work.join("blob"));
        fs::write(&one, "one file").unwrap();
        let file = number(&debugfs(disk, format!("write {} /tmp/one\n", one.display()).as_bytes()));
        let stat = debugfs(disk, b"stat /tmp\n");
        let parent: u32 = stat.split("Inode: ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        // It gets the number again that it had.
        fs::write(&blob, [1; 1024]).unwrap();
        let write = format!("write {} /tmp/many\n", blob.display());
        let own = number(&debugfs(disk, write.as_bytes()));
        debugfs(disk, b"rm /tmp/many\n");
        fs::write(&blob, crowded(own, parent, file, NAMES)).unwrap();
        assert_eq!(number(&debugfs(disk, write.as_bytes())), own);
        let script = format!(
            "sif /tmp/many mode 040755\nsif /tmp/many links_count 2\nsif /tmp links_count 3\nsif /tmp/one links_count {}\n",
            NAMES + 1
        );
        debugfs(disk, script.as_bytes());
        // debugfs leaves the count of directories to e2fsck.
        let place = format!("{}?offset={ROOT}", disk.display());
        let mended = Command::new("e2fsck").args(["-f", "-y", &place]).stdin(Stdio::null()).output().unwrap();
        assert_eq!(mended.status.code(), Some(1), "{}", String::from_utf8_lossy(&mended.stdout));
    });
    made(&bench, &ASKED);
    eprintln!("{:?}", started.elapsed());
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_or_a_whole_template() {
    const MOMENTS: u64 = 40;
    if !able() {
        return;
    }
    let bench = Bench::new(&machine());
    let (source, out) = (bench.source.clone(), PathBuf::from(bench.out("out")));
    let before = Sha256::digest(read(&source));
    let start = || {
        let mut command = command();
        command.arg("generalize").arg(&source).args(ASKED).args(["--allow-undecided", "-o"]).arg(&out);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let began = Instant::now();
    finish(start()).ended(0);
    let whole = began.elapsed();
    fs::remove_dir_all(&out).unwrap();
    let signals = [rustix::process::Signal::KILL, rustix::process::Signal::INT, rustix::process::Signal::TERM];
    let (mut dice, mut finished) = (0x5eed_u64, 0);
    for moment in 0..MOMENTS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = start();
        std::thread::sleep(whole * u32::try_from((dice >> 33) % 1200).unwrap() / 1000);
        // It may have ended.
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signals[moment as usize % 3]).ok();
        wait(&mut child);
        let left = listing(&out);
        if left.iter().any(|name| name == "manifest.json") {
            vhdkit([Path::new("verify"), &out]).ended(0);
            assert_eq!(cat(&out.join("web.vhd"), "/etc/machine-id").as_deref(), Some(""));
            finished += 1;
        } else {
            assert!(left.iter().all(|name| name == "web.vhd" || name == "SHA256SUMS"), "{left:?}");
        }
        if out.exists() {
            fs::remove_dir_all(&out).unwrap();
        }
        assert_eq!(listing(bench.dir.path()), ["web.vhd"], "killed at moment {moment}");
    }
    eprintln!("{whole:?}: {finished} of {MOMENTS} finished");
    assert!(finished < MOMENTS, "no kill came before the end");
    assert!(Sha256::digest(read(&source)) == before, "the source was changed");
}

#[test]
fn an_xfs_whose_log_holds_work_is_told_to_be_shut_down() {
    if !able() || !is_root() {
        eprintln!("SKIPPED: an XFS with a log that holds work, which only root can make");
        return;
    }
    let mut shut = true;
    let bench = Bench::after(&alone(), |disk, work| {
        let (image, at) = (work.join("xfs.img"), work.join("at"));
        fs::File::create(&image).unwrap().set_len(300 * MIB).unwrap();
        fs::create_dir(&at).unwrap();
        let script = "set -e
            mkfs.xfs -q \"$1\"
            mount -o loop \"$1\" \"$2\"
            cp -a \"$3\"/. \"$2\"
            sync
            echo more > \"$2\"/etc/more
            xfs_io -x -c 'shutdown -f' \"$2\" || { umount \"$2\"; exit 1; }
            umount \"$2\"";
        let tree = work.join("tree");
        let words: Vec<&std::ffi::OsStr> = vec![image.as_os_str(), at.as_os_str(), tree.as_os_str()];
        let ran = Command::new("sh").args(["-c", script, "sh"]).args(words).stdin(Stdio::null()).output().unwrap();
        shut = ran.status.success();
        if !shut {
            eprintln!("SKIPPED: an XFS with a log that holds work: {}", String::from_utf8_lossy(&ran.stderr).trim());
            return;
        }
        Disk::blank(302 * MIB).gpt(&[(LINUX_DATA, 2048, 300 * MIB / 512)]).put(MIB, read(&image)).write_fixed(disk);
    });
    if shut {
        refused(&bench, &ASKED, 1, &["log", "shut it down"]);
    }
}
