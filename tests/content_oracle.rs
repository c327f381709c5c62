//! What mkfs writes, blkid and vhdkit call by the same name.
//!
//! Every formatter found on the machine makes images; `blkid -p` then says what they hold, and so do we: `TYPE`, `UUID` and
//! `LABEL` must be equal. A tool that is not installed is skipped loudly; without blkid nothing is compared.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::let_underscore_must_use,
    missing_docs,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{HostFile, MIB, ReadAt};
use vhdkit::fs::identify;
use vhdkit::volume::Content;

/// One image: its name, its size, and the command that formats it. `{}` stands for the image, `{dir}` for a folder with a
/// few files in it.
struct Recipe {
    name: &'static str,
    size: u64,
    command: &'static str,
}

const fn recipe(name: &'static str, mib: u64, command: &'static str) -> Recipe {
    Recipe { name, size: mib * MIB, command }
}

const RECIPES: &[Recipe] = &[
    recipe("ext2", 8, "mkfs.ext2 -q -F -L plain {}"),
    recipe("ext2-4k", 16, "mkfs.ext2 -q -F -b 4096 {}"),
    recipe("ext3", 16, "mkfs.ext3 -q -F -L journaled {}"),
    recipe("ext4", 16, "mkfs.ext4 -q -F -L root {}"),
    recipe("ext4-1k", 16, "mkfs.ext4 -q -F -b 1024 -L full-sixteen-byt {}"),
    recipe("ext4-64k", 64, "mkfs.ext4 -q -F -b 65536 {}"),
    recipe("ext4-no-journal", 16, "mkfs.ext4 -q -F -O ^has_journal {}"),
    recipe("ext4-no-csum", 16, "mkfs.ext4 -q -F -O ^metadata_csum,^64bit {}"),
    recipe("ext4-extents-only", 16, "mkfs.ext4 -q -F -O none,extent,filetype {}"),
    recipe("ext4-test", 16, "mkfs.ext4 -q -F -E test_fs {}"),
    recipe("ext4-meta-bg", 16, "mkfs.ext4 -q -F -O ^resize_inode,meta_bg {}"),
    recipe("ext4-casefold", 16, "mkfs.ext4 -q -F -O casefold {}"),
    recipe("ext2-none", 8, "mkfs.ext2 -q -F -O none -r 0 {}"),
    recipe("jbd", 16, "mke2fs -q -F -O journal_dev -L log {}"),
    recipe("xfs-v5", 320, "mkfs.xfs -q -f -L twelve-bytes {}"),
    recipe("xfs-v5-4k", 320, "mkfs.xfs -q -f -s size=4096 {}"),
    recipe("xfs-v5-bigtime", 320, "mkfs.xfs -q -f -m bigtime=1,inobtcount=1 -i size=1024 {}"),
    recipe("xfs-v4", 320, "mkfs.xfs -q -f -m crc=0 -L old {}"),
    recipe("xfs-v4-512", 320, "mkfs.xfs -q -f -m crc=0 -b size=512 {}"),
    recipe("xfs-64k", 1024, "mkfs.xfs -q -f -b size=65536 {}"),
    recipe("btrfs", 128, "mkfs.btrfs -q -f -L pool {}"),
    recipe("btrfs-xxhash", 128, "mkfs.btrfs -q -f --csum xxhash {}"),
    recipe("btrfs-mixed", 128, "mkfs.btrfs -q -f -M {}"),
    recipe("fat12", 4, "mkfs.vfat -F 12 -n FLOPPY -i a0e50001 {}"),
    recipe("fat12-plain", 2, "mkfs.vfat {}"),
    recipe("fat16", 32, "mkfs.vfat -F 16 -n DATA {}"),
    recipe("fat16-unnamed", 32, "mkfs.vfat -F 16 {}"),
    recipe("fat32", 64, "mkfs.vfat -F 32 -n EFI {}"),
    recipe("fat32-unnamed", 64, "mkfs.vfat -F 32 {}"),
    recipe("fat32-4k", 300, "mkfs.vfat -F 32 -S 4096 -n BIGSECTOR {}"),
    recipe("fat32-8-per", 300, "mkfs.vfat -F 32 -s 8 -n SPACE\\040IN {}"),
    recipe("fat-atari", 8, "mkfs.vfat -A -n ATARI {}"),
    recipe("exfat", 64, "mkfs.exfat -L Stick {}"),
    recipe("exfat-unnamed", 64, "mkfs.exfat {}"),
    recipe("exfat-clusters", 64, "mkfs.exfat -c 512 -L elevenbytes {}"),
    recipe("ntfs", 16, "mkntfs -F -q -f -L System {}"),
    recipe("ntfs-unnamed", 16, "mkntfs -F -q -f {}"),
    recipe("ntfs-64k", 64, "mkntfs -F -q -f -c 65536 -L Größe {}"),
    recipe("ntfs-4k-sectors", 64, "mkntfs -F -q -f -s 4096 -c 4096 -L Sectors {}"),
    recipe("ntfs-512", 16, "mkntfs -F -q -f -c 512 -L Small {}"),
    recipe("swap", 8, "mkswap -L exchange {}"),
    recipe("swap-16k", 8, "mkswap -p 16384 {}"),
    recipe("swap-64k", 8, "mkswap -p 65536 -L wide {}"),
    recipe("lvm2", 16, "lvm pvcreate --driverloaded n -ff -y --config devices{scan=\"/none\"} {}"),
    recipe("luks1", 16, "cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 {} {key}"),
    recipe("luks2", 32, "cryptsetup -q luksFormat --type luks2 --label sealed --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {} {key}"),
    recipe("luks2-unnamed", 32, "cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {} {key}"),
    recipe("verity", 8, "veritysetup format {dir}/text {}"),
    recipe("f2fs", 64, "mkfs.f2fs -q -f -l flash {}"),
    recipe("f2fs-checked", 64, "mkfs.f2fs -q -f -O extra_attr,sb_checksum {}"),
    recipe("nilfs2", 160, "mkfs.nilfs2 -q -f -L log {}"),
    recipe("nilfs2-small", 16, "mkfs.nilfs2 -q -f -b 1024 -B 16 {}"),
    recipe("reiserfs", 40, "mkreiserfs -q -f -f -l tree {}"),
    recipe("reiserfs-3.5", 40, "mkreiserfs -q -f -f --format 3.5 {}"),
    recipe("reiserfs-journal", 40, "mkreiserfs -q -f -f -b 1024 {}"),
    recipe("jfs", 32, "mkfs.jfs -q -L journaled {}"),
    recipe("udf-hd", 16, "mkudffs --media-type=hd -l drive {}"),
    recipe("udf-2048", 16, "mkudffs -b 2048 --media-type=hd -l disc {}"),
    recipe("udf-4096", 16, "mkudffs -b 4096 --media-type=hd -l advanced {}"),
    recipe("udf-write-once", 16, "mkudffs -b 2048 --media-type=cdr -l disc {}"),
    recipe("udf-unicode", 16, "mkudffs --utf8 -l Größe☃ {}"),
    recipe("udf-named", 16, "mkudffs --uuid=0123456789abcdef -l named {}"),
    recipe("iso", 0, "genisoimage -quiet -V PLAIN_LABEL -o {} {dir}"),
    recipe("iso-joliet", 0, "genisoimage -quiet -J -r -V Joliet -o {} {dir}"),
    recipe("iso-joliet-long", 0, "genisoimage -quiet -J -r -V ThisLabelIsLongerThanSixteen -o {} {dir}"),
    recipe("iso-udf", 0, "genisoimage -quiet -udf -r -V Bridge -o {} {dir}"),
    recipe("squashfs", 0, "mksquashfs {dir} {} -quiet -no-progress -noappend"),
    recipe("squashfs-xz", 0, "mksquashfs {dir} {} -quiet -no-progress -noappend -comp xz"),
    recipe("minix1", 8, "mkfs.minix -1 {}"),
    recipe("minix2", 8, "mkfs.minix -2 {}"),
    recipe("minix3", 8, "mkfs.minix -3 {}"),
    recipe("minix-14", 8, "mkfs.minix -1 -n 14 {}"),
    recipe("bfs", 8, "mkfs.bfs -V vol {}"),
    recipe("cramfs", 0, "mkfs.cramfs -n name {dir} {}"),
    recipe("cramfs-big", 0, "mkfs.cramfs -N big {dir} {}"),
    recipe("bcache-backing", 16, "make-bcache -B {}"),
    recipe("bcache-cache", 64, "make-bcache -C {}"),
    recipe("erofs", 8, "mkfs.erofs {} {dir}"),
    recipe("ocfs2", 64, "mkfs.ocfs2 -q -F -M local -L shared {}"),
    recipe("gfs2", 64, "mkfs.gfs2 -q -O -p lock_nolock -j 1 {}"),
];

/// What blkid prints of an image; `None` when it finds nothing or will not choose.
fn blkid(image: &Path) -> Option<BTreeMap<String, String>> {
    let out =
        Command::new("blkid").args(["-p", "-o", "export"]).arg(image).env("LC_ALL", "C.UTF-8").stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let values = text.lines().filter_map(|line| line.split_once('='));
    // blkid escapes for the shell.
    let values: BTreeMap<_, _> = values.map(|(key, value)| (key.to_owned(), value.replace('\\', ""))).collect();
    values.contains_key("TYPE").then_some(values)
}

fn ours(image: &Path) -> Option<Content> {
    identify(&HostFile::open(image, Access::default()).unwrap()).unwrap()
}

/// Whether a program of this name is in one of the usual places.
fn installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|folder| Path::new(folder).join(program).is_file())
}

/// Makes the image; an error when the formatter would not.
fn make(recipe: &Recipe, image: &Path, folder: &Path, key: &Path) -> Result<(), String> {
    if recipe.size > 0 {
        fs::File::create(image).unwrap().set_len(recipe.size).unwrap();
    }
    let names = [("{dir}", folder), ("{key}", key), ("{}", image)];
    let line = names.iter().fold(recipe.command.to_owned(), |line, (mark, path)| line.replace(mark, path.to_str().unwrap()));
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let out = Command::new("sh").args(["-c", &line]).env("PATH", path).stdin(Stdio::null()).output().unwrap();
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()) }
}

#[test]
fn blkid_says_the_same() {
    if !installed("blkid") {
        eprintln!("SKIPPED all: blkid is not installed");
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (folder, key) = (work.path().join("files"), work.path().join("key"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("text"), vec![b'x'; 65536]).unwrap();
    fs::write(&key, "secret").unwrap();
    let (mut compared, mut skipped, mut wrong) = (0, 0, Vec::new());
    for recipe in RECIPES {
        let program = recipe.command.split(' ').next().unwrap();
        if !installed(program) {
            eprintln!("SKIPPED {}: {program} is not installed", recipe.name);
            skipped += 1;
            continue;
        }
        let image = work.path().join(recipe.name);
        if let Err(reason) = make(recipe, &image, &folder, &key) {
            eprintln!("SKIPPED {}: {program} failed: {reason}", recipe.name);
            skipped += 1;
            continue;
        }
        let theirs = blkid(&image);
        let found = ours(&image);
        let value = |name: &str| theirs.as_ref().and_then(|values| values.get(name).cloned());
        let expected = (value("TYPE"), value("UUID"), value("LABEL"));
        let got = found.clone().map_or((None, None, None), |found| (Some(found.kind.to_owned()), found.uuid, found.label));
        if expected == got {
            compared += 1;
        } else {
            wrong.push(format!("{}: blkid {expected:?}, vhdkit {got:?}", recipe.name));
        }
        check_facts(recipe, &image, found.as_ref(), &mut wrong);
        fs::remove_file(&image).unwrap();
    }
    eprintln!("{compared} images compared with blkid, {skipped} skipped");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a fresh image must say beside its names: it was left in order, it fits, and no checksum is wrong.
fn check_facts(recipe: &Recipe, image: &Path, found: Option<&Content>, wrong: &mut Vec<String>) {
    let Some(found) = found else { return };
    let room = HostFile::open(image, Access::default()).unwrap().size();
    // A UDF for discs that are written once stays open.
    if found.clean == Some(false) && recipe.name != "udf-write-once" {
        wrong.push(format!("{}: said to be unclean", recipe.name));
    }
    if found.size.is_some_and(|size| size > room) || found.used > found.size {
        wrong.push(format!("{}: size {:?}, used {:?} of {room}", recipe.name, found.size, found.used));
    }
    if found.detail.iter().any(|fact| fact.contains("checksum") || fact.contains("also carries") && recipe.name != "iso-udf") {
        wrong.push(format!("{}: {:?}", recipe.name, found.detail));
    }
}
