//! `prepare` on file systems that share extents between files: the same bytes, and next to no room for them.

use crate::support::*;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A new file system on a loop device, which takes root; nothing where that is not to be had.
struct Mounted {
    dir: tempfile::TempDir,
    at: PathBuf,
}

impl Mounted {
    fn new(make: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        fs::File::create(&image).unwrap().set_len(512 * MIB).unwrap();
        fs::create_dir(&at).unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let there = done(Command::new(make[0]).args(&make[1..]).arg(&image))
            && done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        there.then_some(Self { dir, at })
    }

    /// Bytes that are not free, with everything on its device.
    fn used(&self) -> u64 {
        rustix::fs::sync();
        let told = rustix::fs::statvfs(&self.at).unwrap();
        (told.f_blocks - told.f_bfree) * told.f_frsize
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        crate::unmount::unmount(&self.at);
        assert!(self.dir.path().exists());
    }
}

/// Bytes of a file that the file system says are shared with others; `None` where nobody is there to ask.
fn shared(path: &Path) -> Option<u64> {
    let output = Command::new("filefrag").args(["-v", "-b4096"]).arg(path).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).unwrap();
    let blocks =
        text.lines().filter(|line| line.contains("shared")).map(|line| line.split(':').nth(3).unwrap().trim().parse::<u64>().unwrap());
    Some(blocks.sum::<u64>() * 4096)
}

/// 12 MiB of data that is nowhere zero, behind a partition table; then 4 MiB of written zeros, and holes.
fn disk(path: &Path, footer: bool) {
    let disk = Disk::data(40 * MIB);
    if footer {
        disk.write_fixed(path)
    } else {
        disk.write_raw(path)
    }
    let file = fs::File::options().write(true).open(path).unwrap();
    let bytes: Vec<u8> = (0..12 << 20).map(|n: u32| (n % 251 + 1) as u8).collect();
    file.write_all_at(&bytes, 8 * MIB).unwrap();
    file.write_all_at(&vec![0; 4 << 20], 20 * MIB).unwrap();
    file.sync_all().unwrap();
}

fn prepare(source: &Path, out: &Path, more: &[&str]) {
    let mut command = command();
    command.arg("prepare").arg(source).args(["--role=data", "-o"]).arg(out).args(more);
    run(command).ended(0);
}

#[test]
fn extents_are_shared_and_nothing_else_differs() {
    for (kind, make) in [("XFS", &["mkfs.xfs", "-q", "-m", "reflink=1"][..]), ("Btrfs", &["mkfs.btrfs", "-q"])] {
        let Some(mounted) = Mounted::new(make) else {
            eprintln!("SKIPPED: cannot mount {kind} on a loop device; sharing extents on it was not tested");
            continue;
        };
        let mut sources = vec!["fixed.vhd", "raw.img"];
        disk(&mounted.at.join("fixed.vhd"), true);
        disk(&mounted.at.join("raw.img"), false);
        let convert = Command::new("qemu-img").args(["convert", "-O", "vhdx", "raw.img", "dynamic.vhdx"]).current_dir(&mounted.at).status();
        if convert.is_ok_and(|status| status.success()) {
            sources.push("dynamic.vhdx");
        } else {
            eprintln!("SKIPPED: no qemu-img; sharing extents with a VHDX was not tested");
        }
        for name in sources {
            let source = mounted.at.join(name);
            let stamp = |path: &Path| (read(path), fs::metadata(path).unwrap().modified().unwrap());
            let before = stamp(&source);
            let outs = ["auto", "never"].map(|choice| {
                let (out, used) = (mounted.at.join(choice), mounted.used());
                prepare(&source, &out, &["--reflink", choice]);
                (out, mounted.used().saturating_sub(used))
            });
            let [(auto, grown), (never, all)] = &outs;
            assert_eq!(listing(auto), listing(never), "{kind}, {name}");
            for file in listing(auto) {
                assert!(read(&auto.join(&file)) == read(&never.join(&file)), "{kind}, {name}: {file} differs");
            }
            assert!(*grown < 4 * MIB && *all >= 12 * MIB, "{kind}, {name}: grown by {grown}, without sharing by {all}");
            let file = listing(auto).into_iter().find(|file| file.ends_with(".vhd")).unwrap();
            // Zeros that were written in the source are holes here, as they are without sharing.
            let blocks = |out: &Path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(out.join(&file)).unwrap());
            assert!(blocks(auto).abs_diff(blocks(never)) <= 256, "{kind}, {name}: {} and {}", blocks(auto), blocks(never));
            match (shared(&auto.join(&file)), shared(&never.join(&file))) {
                (Some(some), Some(none)) => assert!(some >= 11 * MIB && none == 0, "{kind}, {name}: {some} and {none} bytes are shared"),
                _ => eprintln!("SKIPPED: no filefrag; which extents are shared was not looked at"),
            }
            // Whoever writes into the output leaves the source as it is.
            fs::File::options().write(true).open(auto.join(&file)).unwrap().write_all_at(&[0xff; 8192], 10 * MIB).unwrap();
            assert!(stamp(&source) == before, "{kind}, {name}: the source was changed");
            for (out, _) in outs {
                fs::remove_dir_all(out).unwrap();
            }
        }
    }
}

#[test]
fn another_file_system_gets_a_copy() {
    let Some(mounted) = Mounted::new(&["mkfs.xfs", "-q", "-m", "reflink=1"]) else {
        eprintln!("SKIPPED: cannot mount XFS on a loop device; copying from one file system to another was not tested");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for (source, out) in [(mounted.at.as_path(), dir.path()), (dir.path(), mounted.at.as_path())] {
        let path = source.join("disk.vhd");
        disk(&path, true);
        let before = read(&path);
        prepare(&path, &out.join("auto"), &[]);
        prepare(&path, &out.join("never"), &["--reflink=never"]);
        for file in listing(&out.join("auto")) {
            assert!(read(&out.join("auto").join(&file)) == read(&out.join("never").join(&file)), "{file} differs");
        }
        assert!(read(&path) == before, "the source was changed");
        fs::remove_file(&path).unwrap();
    }
}
