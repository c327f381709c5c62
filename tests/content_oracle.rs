//! What mkfs writes, blkid and vhdkit call by the same name.
//!
//! Every formatter found on the machine makes images; `blkid -p` then says what they hold, and so do we: `TYPE`, `UUID` and
//! `LABEL` must be equal. A tool that is not installed is skipped loudly; without blkid nothing is compared.
#![cfg(unix)]
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
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, MIB, Slice};
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
    // LVM takes block devices only.
    recipe(
        "lvm2",
        16,
        "lvm version >/dev/null 2>&1 && D=$(losetup -f --show {}) || exit 1; \
         lvm pvcreate --driverloaded n -y --config devices{use_devicesfile=0} $D; R=$?; losetup -d $D; exit $R",
    ),
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

/// What blkid prints of a part of an image; `None` when it finds nothing or will not choose.
fn blkid(image: &Path, offset: u64, size: u64) -> Option<BTreeMap<String, String>> {
    let mut command = Command::new("blkid");
    command.args(["-p", "-o", "export", "-O", &offset.to_string(), "-S", &size.to_string()]).arg(image);
    let out = command.stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let values = text.lines().filter_map(|line| line.split_once('='));
    // Only labels are escaped: an LVM UUID may well hold an `M` before one of its hyphens.
    let value_of = |key: &str, value: &str| if key.starts_with("LABEL") { plain(value) } else { value.to_owned() };
    let values: BTreeMap<_, _> = values.map(|(key, value)| (key.to_owned(), value_of(key, value))).collect();
    values.contains_key("TYPE").then_some(values)
}

/// A value as it was before blkid made it printable: a backslash before what a shell would read, `M-C` for byte 0xc3, `^A`
/// for byte 1.
fn plain(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match rest {
            [b'\\', byte, after @ ..] => (*byte, after),
            [b'M', b'-', b'\\', byte, after @ ..] => (byte | 0x80, after),
            [b'M', b'-', b'^', byte, after @ ..] => ((byte ^ 0x40) | 0x80, after),
            [b'M', b'-', byte, after @ ..] => (byte | 0x80, after),
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

type Named = (Option<String>, Option<String>, Option<String>);

/// TYPE, UUID and LABEL as blkid and as we give them.
fn compare(image: &Path, offset: u64, size: u64) -> (Named, Named, Option<Content>) {
    let theirs = blkid(image, offset, size);
    let value = |name: &str| theirs.as_ref().and_then(|values| values.get(name).cloned());
    let whole: Bytes = Arc::new(HostFile::open(image, Access::default()).unwrap());
    let found = identify(&Slice::new(whole, offset, size).unwrap()).unwrap();
    let named = found.clone().map_or((None, None, None), |found| (Some(found.kind.to_owned()), found.uuid, found.label));
    ((value("TYPE"), value("UUID"), value("LABEL")), named, found)
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
        let room = fs::metadata(&image).unwrap().len();
        let (expected, got, found) = compare(&image, 0, room);
        if expected == got && got.0.is_some() {
            compared += 1;
        } else {
            wrong.push(format!("{}: blkid {expected:?}, vhdkit {got:?}", recipe.name));
        }
        check_facts(recipe, room, found.as_ref(), &mut wrong);
        fs::remove_file(&image).unwrap();
    }
    eprintln!("{compared} images compared with blkid, {skipped} skipped");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a fresh image must say beside its names: it was left in order, it fits, and no checksum is wrong.
fn check_facts(recipe: &Recipe, room: u64, found: Option<&Content>, wrong: &mut Vec<String>) {
    let Some(found) = found else { return };
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

/// A signature of which no formatter is at hand, as literals on zeros.
struct Literal {
    name: &'static str,
    size: u64,
    patches: &'static [(u64, &'static [u8])],
}

const fn literal(name: &'static str, size: u64, patches: &'static [(u64, &'static [u8])]) -> Literal {
    Literal { name, size, patches }
}

const ID: &[u8; 16] = b"\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20";
const MD: &[u8; 8] = b"\xfc\x4e\x2b\xa9\x01\0\0\0";
/// 4 MiB less so many sectors.
const fn back(sectors: u64) -> u64 {
    4 * MIB - sectors * 512
}

const LITERALS: &[Literal] = &[
    literal("md-0.90", 4 * MIB, &[(4 * MIB - 0x10000, b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a"), (4 * MIB - 0x10000 + 20, ID)]),
    literal("md-0.90-big", 4 * MIB, &[(4 * MIB - 0x10000, b"\xa9\x2b\x4e\xfc\0\0\0\0\0\0\0\x5a"), (4 * MIB - 0x10000 + 52, ID)]),
    literal("md-1.0", 4 * MIB, &[(4 * MIB - 0x2000, MD), (4 * MIB - 0x2000 + 16, ID), (4 * MIB - 0x2000 + 144, b"\xf0\x1f")]),
    literal("md-1.1", 4 * MIB, &[(0, MD), (16, ID), (32, b"host:data")]),
    literal("md-1.2", 4 * MIB, &[(4096, MD), (4112, ID), (4128, b"host:root"), (4096 + 144, b"\x08")]),
    literal("md-1.2-astray", 4 * MIB, &[(4096, MD), (4112, ID), (4096 + 144, b"\x09")]),
    literal("isw", 4 * MIB, &[(back(2), b"Intel Raid ISM Cfg Sig. 1.1.00")]),
    literal("lsi", 4 * MIB, &[(back(1), b"$XIDE$")]),
    literal("via", 4 * MIB, &[(back(1), b"\x55\xaa\x01\x07"), (back(1) + 50, b"\x07")]),
    literal("via-wrong-sum", 4 * MIB, &[(back(1), b"\x55\xaa\x01\x07"), (back(1) + 50, b"\x08")]),
    literal("silicon", 4 * MIB, &[(back(1) + 0x63, b"\x2f"), (back(1) + 0x13e, b"\0\xd1")]),
    literal("nvidia", 4 * MIB, &[(back(2), b"NVIDIA")]),
    literal("promise", 4 * MIB, &[(back(399), b"Promise Technology, Inc.")]),
    literal("hpt45x", 4 * MIB, &[(back(11), b"\xfd\x16\x78\x5a")]),
    literal("hpt37x", 4 * MIB, &[(4640, b"\xf0\x16\x78\x5a")]),
    literal("adaptec", 4 * MIB, &[(back(1), b"\x37\xfc\x4d\x1e"), (back(1) + 256, b"DPTM")]),
    literal("bluestore", 4 * MIB, &[(0, b"bluestore block device\n")]),
    literal("drbd-8", 4 * MIB, &[(4 * MIB - 4096 + 40, ID), (4 * MIB - 4096 + 60, b"\x83\x74\x02\x6b")]),
    literal("drbd-9", 4 * MIB, &[(4 * MIB - 4096 + 48, b"\0\0\x12"), (4 * MIB - 4096 + 60, b"\x83\x74\x02\x6d")]),
    literal("lvm1", 4 * MIB, &[(0, b"HM\x01\0"), (44, b"abcdefGHIJKLmnopQRSTuvwxYZ012345")]),
    literal("snapshot", 4 * MIB, &[(0, b"SnAp\x01\0\0\0\x01\0\0\0")]),
    literal("integrity", 4 * MIB, &[(0, b"integrt\0\x03")]),
    literal("luks2-second", 8 * MIB, &[(0x8000, b"SKUL\xba\xbe\0\x02"), (0x80a8, b"an-id"), (0x8106, b"\x80")]),
    literal("vmfs-volume", 4 * MIB, &[(MIB, b"\x0d\xd0\x01\xc0"), (MIB + 532, b"4f3e1a2b-5c6d7e8f-9a0b-1c2d3e4f5a6b")]),
    literal("vmfs", 4 * MIB, &[(2 * MIB, b"\x5e\xf1\xab\x2f"), (2 * MIB + 9, ID), (2 * MIB + 29, b"datastore1")]),
    literal("vdo", 4 * MIB, &[(0, b"dmvdo001"), (40, ID)]),
    literal("bitlocker-vista", 4 * MIB, &[(0, b"\xeb\x52\x90-FVE-FS-")]),
    literal("bitlocker-7", 4 * MIB, &[(0, b"\xeb\x58\x90-FVE-FS-"), (176, b"\0\0\x01"), (0x10000, b"-FVE-FS-")]),
    literal("bitlocker-to-go", 4 * MIB, &[(0, b"\xeb\x58\x90MSWIN4.1"), (440, b"\0\0\x01"), (0x10000, b"-FVE-FS-")]),
    literal("hibernated", 4 * MIB, &[(1024, b"\x01\0\0\0\x99"), (1036, ID), (1052, b"swap"), (4086, b"S1SUSPEND")]),
    literal("hibernated-64k", 4 * MIB, &[(1024, b"\x01\0\0\0\x99"), (1036, ID), (65526, b"LINHIB0001")]),
    literal("swap-big", 4 * MIB, &[(1024, b"\0\0\0\x01\0\0\0\x09"), (1036, ID), (8182, b"SWAPSPACE2")]),
    literal("swap-0", 4 * MIB, &[(4086, b"SWAP-SPACE")]),
    literal("xfs-log", 16 * MIB, &[(1024, b"\xfe\xed\xba\xbe"), (1035, b"\x02\0\0\x02"), (1024 + 303, b"\x01")]),
    literal("reiser4", 4 * MIB, &[(65536, b"ReIsEr4"), (65556, ID), (65572, b"tree")]),
    literal("high-sierra", 4 * MIB, &[(0x8009, b"CDROM"), (0x8030, b"OLD_DISC")]),
    literal("hfs", 4 * MIB, &[(1024, b"BD"), (1024 + 20, b"\0\0\x02"), (1024 + 36, b"\x04Disk")]),
    literal("hfsplus", 4 * MIB, &[(1024, b"H+\0\x04"), (1024 + 42, b"\x10")]),
    literal(
        "hfsplus-wrapped",
        4 * MIB,
        &[(1024, b"BD"), (1024 + 22, b"\x02"), (1148, b"H+"), (2048, b"H+"), (1052, b"\0\x02"), (2090, b"\x10")],
    ),
    literal("ufs1", 4 * MIB, &[(8192 + 144, b"\x01\x02\x03\x04\x05\x06\x07\x08"), (8192 + 1372, b"\x54\x19\x01\0")]),
    literal("ufs2", 4 * MIB, &[(65536 + 144, ID), (65536 + 680, b"usr"), (65536 + 1372, b"\x19\x01\x54\x19")]),
    literal(
        "hpfs",
        4 * MIB,
        &[
            (0x2000, b"\x49\xe8\x95\xf9"),
            (0x2200, b"\x49\x18\x91\xf9"),
            (0x26, b"\x28\x01\x02\x03\x04OS2"),
            (0x36, b"HPFS"),
            (510, b"\x55\xaa"),
        ],
    ),
    literal("refs", 4 * MIB, &[(0, b"\0\0\0ReFS\0")]),
    literal("romfs", 4 * MIB, &[(0, b"-rom1fs-\0\0\x10\0"), (16, b"rom")]),
    literal("gfs", 64 * MIB, &[(65536, b"\x01\x16\x19\x70"), (65560, b"\0\0\x05\x1d\0\0\x05\x79"), (65696, b"c:fs"), (65792, ID)]),
    literal("gfs2", 64 * MIB, &[(65536, b"\x01\x16\x19\x70"), (65560, b"\0\0\x07\x09\0\0\x07\x6c"), (65696, b"c:fs"), (65792, ID)]),
    literal("gfs2-1802", 64 * MIB, &[(65536, b"\x01\x16\x19\x70"), (65560, b"\0\0\x07\x0a\0\0\x07\x6c"), (65792, ID)]),
    literal("ocfs2", 16 * MIB, &[(2048, b"OCFSV2"), (2048 + 272, b"shared"), (2048 + 336, ID)]),
    literal("oracleasm", 4 * MIB, &[(32, b"ORCLDISKVOL1")]),
    literal("vxfs", 4 * MIB, &[(1024, b"\xf5\xfc\x01\xa5\x05")]),
    literal("squashfs3", 4 * MIB, &[(0, b"sqsh"), (28, b"\0\x03\0\x01")]),
    literal(
        "befs",
        4 * MIB,
        &[
            (0, b"Haiku"),
            (32, b"1SFB"),
            (36, b"EGIB"),
            (41, b"\x08"),
            (44, b"\x0b"),
            (68, b"\x31\x10\x12\xdd"),
            (112, b"\x0e\x83\xb6\x15"),
            (122, b"\x01"),
            (116, b"\0\0\0\0\x01"),
            (2048, b"\xd9\x0a\xbe\x3b"),
        ],
    ),
    literal("erofs", 4 * MIB, &[(1024, b"\xe2\xe1\xf5\xe0"), (1036, b"\x0c"), (1072, ID), (1088, b"img")]),
    literal("apfs", 4 * MIB, &[(24, b"\x01"), (32, b"NXSB\0\x10"), (72, ID)]),
    literal("empty", 4 * MIB, &[]),
];

#[test]
fn blkid_reads_literals_alike() {
    if !installed("blkid") {
        eprintln!("SKIPPED literals: blkid is not installed");
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for literal in LITERALS {
        let path = work.path().join(literal.name);
        let file = fs::File::create(&path).unwrap();
        file.set_len(literal.size).unwrap();
        for (offset, bytes) in literal.patches {
            file.write_all_at(bytes, *offset).unwrap();
        }
        let (expected, got, _) = compare(&path, 0, literal.size);
        if expected != got {
            wrong.push(format!("{}: blkid {expected:?}, vhdkit {got:?}", literal.name));
        }
        fs::remove_file(&path).unwrap();
    }
    eprintln!("{} literals compared with blkid", LITERALS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every partition of the raw disks in the folder that `VHDKIT_TEST_DISKS` names; a disk without a table is one.
#[test]
fn blkid_says_the_same_of_whole_disks() {
    let Some(folder) = std::env::var_os("VHDKIT_TEST_DISKS") else {
        eprintln!("SKIPPED disks: VHDKIT_TEST_DISKS is not set");
        return;
    };
    let (mut compared, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let out = Command::new("sfdisk").arg("-J").arg(&path).stderr(Stdio::null()).output().unwrap();
        let table: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        let table = &table["partitiontable"];
        let sector = table["sectorsize"].as_u64().unwrap_or(512);
        let parts: Vec<_> = table["partitions"].as_array().into_iter().flatten().collect();
        let mut places: Vec<_> =
            parts.iter().map(|part| (part["start"].as_u64().unwrap() * sector, part["size"].as_u64().unwrap() * sector)).collect();
        if places.is_empty() {
            places.push((0, fs::metadata(&path).unwrap().len()));
        }
        for (offset, size) in places {
            let (expected, got, found) = compare(&path, offset, size);
            eprintln!("{} at {offset}: {found:?}", path.file_name().unwrap().display());
            compared += 1;
            if expected != got {
                wrong.push(format!("{} at {offset}: blkid {expected:?}, vhdkit {got:?}", path.display()));
            }
        }
    }
    eprintln!("{compared} partitions compared with blkid");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
