//! No room: small file systems, limits on files, and a standard output that takes nothing.

use crate::full::full;
use crate::support::*;
use crate::writes::tree;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A disk with some MiB of data, which needs as much room.
fn source(home: &Path) -> PathBuf {
    let path = home.join("data.vhd");
    Disk::data(24 * MIB).put(6 * MIB, pattern(1, 1 << 20)).put(12 * MIB, pattern(2, 1 << 20)).write_dynamic(&path);
    path
}

/// Prepares a disk on a file system with so many KiB left, in a namespace of mounts that ends with the script: what it prints is the status,
/// what was said, and every name that is left.
const SCRIPT: &str = r#"
mount --make-rprivate / 2>/dev/null
case $KIND in
    tmpfs) mount -t tmpfs -o size="$1"k tmpfs "$DIR" ;;
    *) mount -o loop "$IMAGE" "$DIR" ;;
esac || exit 99
if [ "$KIND" != tmpfs ]; then
    mkdir "$DIR/before" || exit 99
    rest=$(( $(df -k --output=avail "$DIR" | tail -1) - $1 ))
    while [ $rest -gt 0 ] && ! fallocate -l ${rest}k "$DIR/before/fill" 2>/dev/null; do rest=$((rest - 1000)); done
    rest=$(( $(df -k --output=avail "$DIR" | tail -1) - $1 ))
    [ $rest -le 0 ] || dd if=/dev/zero of="$DIR/before/more" bs=1k count=$rest 2>/dev/null
    sync -f "$DIR"
fi
"$VHDKIT" prepare "$SOURCE" --role=data --sha256 --no-config -q -o "$DIR/out/here" 2>&1
status=$?
echo "status $status"
cd "$DIR" && find . -path ./before -prune -o -path ./lost+found -prune -o -print
[ $status -ne 0 ] || "$VHDKIT" verify -q "$DIR/out/here" || echo "not verified"
"#;

/// What the script printed; `None` where it could not be set up.
fn with_room(kind: &str, image: &Path, home: &Path, kib: u64) -> Option<String> {
    let mount = home.join("mount");
    fs::create_dir_all(&mount).unwrap();
    let mut command = Command::new("unshare");
    command.args(if is_root() { &["-m"][..] } else { &["-rm"] }).args(["sh", "-c", SCRIPT, "sh", &kib.to_string()]);
    command.env("KIND", kind).env("DIR", &mount).env("IMAGE", image).env("SOURCE", home.join("data.vhd")).env("LC_ALL", "C");
    command.env("VHDKIT", env!("CARGO_BIN_EXE_vhdkit")).stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().ok()?;
    if !output.status.success() && String::from_utf8_lossy(&output.stdout).is_empty() {
        eprintln!("SKIPPED: {kind} with little room: {}", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_file_system_without_room_gets_a_whole_image_or_nothing() {
    let home = tempfile::tempdir().unwrap();
    let source = source(home.path());
    let before = fs::read(&source).unwrap();
    let makers: [(&str, u64, &[&str]); 4] = [
        ("tmpfs", 0, &[]),
        ("ext4", 24, &["mkfs.ext4", "-q", "-F"]),
        ("xfs", 320, &["mkfs.xfs", "-q", "-f"]),
        ("btrfs", 128, &["mkfs.btrfs", "-q", "-f"]),
    ];
    for (kind, mib, maker) in makers {
        let image = home.path().join(kind);
        if kind != "tmpfs" {
            if !is_root() {
                eprintln!("SKIPPED: {kind} with little room, which only root can mount");
                continue;
            }
            File::create(&image).unwrap().set_len(mib * MIB).unwrap();
            let made = Command::new(maker[0]).args(&maker[1..]).arg(&image).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output();
            if !made.is_ok_and(|output| output.status.success()) {
                eprintln!("SKIPPED: {kind} with little room, since {} is not here", maker[0]);
                continue;
            }
        }
        let (mut failed, mut went_well) = (0, 0);
        let step = if full() { 100 } else { 900 };
        for kib in (4..6000).step_by(step) {
            let copy = home.path().join("volume");
            if kind != "tmpfs" {
                let copied = Command::new("cp").arg("--sparse=always").args([&image, &copy]).status().unwrap();
                assert!(copied.success());
            }
            let Some(said) = with_room(kind, &copy, home.path(), kib) else { break };
            let (words, left) = said.split_once("status ").unwrap();
            let left: Vec<&str> = left.lines().collect();
            match left[0] {
                "0" => {
                    assert_eq!((words, left.len()), ("", 7), "{kind}, {kib} KiB: {said}");
                    went_well += 1;
                }
                "2" => {
                    let full = words.lines().count() == 1
                        && words.starts_with("vhdkit: cannot write")
                        && words.contains("No space left on device");
                    assert!(full, "{kind}, {kib} KiB: {said}");
                    assert_eq!(left[1..], ["."], "{kind}, {kib} KiB: {said}");
                    failed += 1;
                }
                _ => panic!("{kind}, {kib} KiB: {said}"),
            }
        }
        eprintln!("{kind}: {failed} without room, {went_well} with");
        assert!(failed + went_well == 0 || (failed > 0 && went_well > 0));
    }
    assert!(fs::read(&source).unwrap() == before);
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_any_other() {
    let home = tempfile::tempdir().unwrap();
    let source = source(home.path());
    let out = home.path().join("out");
    let before = tree(home.path());
    // In blocks of 512 or of 1024 bytes, as the shell counts.
    for limit in ["0", "1", "100", "20000", "24576", "1000000"] {
        let script = format!("ulimit -f {limit}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_vhdkit"),
            "prepare",
            words(&source),
            "--role=data",
            "--sha256",
            "-q",
            "-o",
            words(&out),
        ]);
        let ran = run(command);
        match ran.status {
            Some(0) => {
                assert_eq!(limit, "1000000");
                vhdkit(["verify", words(&out)]).ended(0);
                fs::remove_dir_all(&out).unwrap();
            }
            Some(2) => assert!(ran.err.lines().count() == 1 && ran.err.contains("File too large"), "{limit}: {ran:?}"),
            _ => panic!("{limit}: {ran:?}"),
        }
        assert_eq!(tree(home.path()), before, "{limit}: {ran:?}");
    }
}

#[test]
fn a_standard_output_that_takes_nothing_is_told_and_changes_no_file() {
    if !Path::new("/dev/full").exists() {
        eprintln!("SKIPPED: a standard output that is full, since there is no /dev/full");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (source, out, image) = (source(home.path()), home.path().join("out"), home.path().join("image"));
    let disk = words(&source);
    vhdkit(["prepare", disk, "--role=data", "-q", "-o", words(&image)]).ended(0);
    let before = tree(home.path());
    let commands: [&[&str]; 16] = [
        &["inspect", disk],
        &["inspect", disk, "--format=json"],
        &["inspect", disk, disk, "--format=jsonl"],
        &["check", disk, "--role=data"],
        &["check", disk, "--role=data", "--format=json"],
        &["check", disk, disk, "--role=data", "--format=jsonl"],
        &["check", disk, "--role=data", "--format=sarif"],
        &["check", disk, "--role=data", "--format=junit"],
        &["prepare", disk, "--role=data", "--dry-run"],
        &["prepare", disk, "--role=data", "-o", words(&out)],
        &["verify", words(&image)],
        &["recipe", words(&image)],
        &["rules"],
        &["explain", "VHD001"],
        &["completions", "bash"],
        &["man"],
    ];
    for args in commands {
        let healthy = vhdkit(args);
        fs::remove_dir_all(&out).ok();
        let writes = healthy.status == Some(0) && args.contains(&words(&out));
        let hold = |how: &str, ran: &Ran, statuses: &[Option<i32>]| {
            assert!(statuses.contains(&ran.status) && !ran.err.contains("panicked"), "{args:?} {how}: {ran:?}");
            if writes {
                vhdkit(["verify", words(&out)]).ended(0);
                fs::remove_dir_all(&out).unwrap();
            }
            assert_eq!(tree(home.path()), before, "{args:?} {how}");
        };
        let mut command = command();
        let ran = finish(
            command.args(args).stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped()).spawn().unwrap(),
        );
        if healthy.out.is_empty() {
            hold("with nothing to say", &ran, &[healthy.status]);
        } else {
            assert_eq!(ran.err, "vhdkit: cannot write to standard output: No space left on device (os error 28)\n", "{args:?}");
            hold("on a full device", &ran, &[Some(2)]);
        }
        // Without one, what is said goes nowhere; with a reader that has gone, too. No file takes its number.
        for (how, script) in [("without one", "exec \"$0\" \"$@\" >&-"), ("without any", "exec \"$0\" \"$@\" <&- >&- 2>&-")] {
            let mut command = Command::new("sh");
            command.args(["-c", script, env!("CARGO_BIN_EXE_vhdkit")]).args(args);
            let ran = run(command);
            assert_eq!((ran.err.as_str(), ran.out.as_str()), (healthy.err.as_str(), ""), "{args:?}");
            hold(how, &ran, &[healthy.status]);
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = crate::support::command();
        let ran = finish(command.args(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(ran.err, healthy.err, "{args:?}");
        hold("without a reader", &ran, &[healthy.status, Some(0)]);
    }
}
