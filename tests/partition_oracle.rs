//! The partition layer against other people's tools: sfdisk and sgdisk make and judge disks, mkfs makes file systems
//! without a partition table. A test whose tool is not installed says SKIPPED and passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::let_underscore_must_use,
    clippy::print_stderr,
    reason = "a test may panic, and says what it skips"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile};
use vhdkit::partition::types::{GPT_TYPES, MBR_TYPES};
use vhdkit::partition::{GptCopy, PartitionTable, PartitionType, ProblemKind, Scheme, read, rebuild};

const MIB: u64 = 1 << 20;

/// Whether all tools are here; says which one is not.
fn have(tools: &[&str]) -> bool {
    tools.iter().all(|tool| {
        let found = Command::new(tool).arg("--help").stdin(Stdio::null()).output().is_ok();
        if !found {
            eprintln!("SKIPPED: {tool} is not installed");
        }
        found
    })
}

/// Runs a tool with `input`; its words, and whether it was content.
fn run(tool: &str, args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(tool).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A tool that refuses its arguments closes its input; what it says is in its output.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

fn must_run(tool: &str, args: &[&str], input: &str) -> String {
    let (content, words) = run(tool, args, input);
    assert!(content, "{tool} {args:?}: {words}");
    words
}

/// A disk file that goes away with the test.
struct Disk {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Disk {
    fn blank(size: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        File::create(&path).unwrap().set_len(size).unwrap();
        Self { _folder: folder, path }
    }

    /// A disk partitioned by sfdisk.
    fn scripted(size: u64, script: &str) -> Self {
        let disk = Self::blank(size);
        must_run("sfdisk", &["-q", "--no-reread", "--no-tell-kernel", disk.name()], script);
        disk
    }

    fn copy(&self) -> Self {
        let disk = Self::blank(0);
        must_run("cp", &["--sparse=always", self.name(), disk.name()], "");
        disk
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn size(&self) -> u64 {
        fs::metadata(&self.path).unwrap().len()
    }

    fn resize(&self, size: u64) {
        OpenOptions::new().write(true).open(&self.path).unwrap().set_len(size).unwrap();
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let mut file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn bytes(&self) -> Bytes {
        Arc::new(HostFile::open(&self.path, Access::Positional).unwrap())
    }

    fn table(&self) -> PartitionTable {
        read(&self.bytes()).unwrap().expect("a partition table")
    }

    /// Makes the GPT right for a disk of `size` bytes; how many patches it took.
    fn rebuild(&self, size: u64) -> usize {
        let table = self.table();
        let patches = rebuild(&table, &self.bytes(), size).unwrap();
        self.resize(size);
        for patch in &patches {
            self.write(patch.offset, &patch.bytes);
        }
        patches.len()
    }

    /// What sfdisk reads.
    fn sfdisk(&self) -> Value {
        let words = must_run("sfdisk", &["--json", self.name()], "");
        serde_json::from_str::<Value>(&words[words.find('{').unwrap()..=words.rfind('}').unwrap()]).unwrap()["partitiontable"].take()
    }
}

/// One partition as text, the way both sides can tell it: number, start, size, type, GUID, name, bootable.
type Row = (u32, u64, u64, String, String, String, bool);

fn our_rows(table: &PartitionTable) -> Vec<Row> {
    let rows = table.partitions.iter().map(|p| {
        let kind = match p.kind {
            PartitionType::Mbr(byte) => format!("{byte:x}"),
            PartitionType::Gpt(guid) => guid.to_string(),
        };
        let guid = p.guid.map(|guid| guid.to_string()).unwrap_or_default();
        assert_eq!((p.start % 512, p.size % 512), (0, 0));
        (p.number, p.start / 512, p.size / 512, kind, guid, p.name.clone().unwrap_or_default(), p.bootable)
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort();
    rows
}

fn their_rows(json: &Value, path: &Path) -> Vec<Row> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = json["partitions"].as_array().into_iter().flatten().map(|p| {
        let node = text(&p["node"]);
        let number = node.strip_prefix(path.to_str().unwrap()).unwrap().trim_start_matches('p').parse().unwrap();
        let bootable = p["bootable"].as_bool().unwrap_or_default() || text(&p["attrs"]).contains("LegacyBIOSBootable");
        let (start, size) = (p["start"].as_u64().unwrap(), p["size"].as_u64().unwrap());
        (number, start, size, text(&p["type"]).to_lowercase(), text(&p["uuid"]).to_lowercase(), text(&p["name"]), bootable)
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort();
    rows
}

fn same_as_sfdisk(disk: &Disk) -> PartitionTable {
    let table = disk.table();
    let json = disk.sfdisk();
    assert_eq!(our_rows(&table), their_rows(&json, &disk.path));
    let id = json["id"].as_str().unwrap().to_lowercase();
    match table.scheme {
        Scheme::Gpt => {
            assert_eq!(json["label"], "gpt");
            let header = table.gpt.as_ref().unwrap().header().unwrap();
            assert_eq!(header.disk_guid.to_string(), id);
            assert_eq!(json["firstlba"].as_u64(), Some(header.first_usable_lba));
            assert_eq!(json["lastlba"].as_u64(), Some(header.last_usable_lba));
        }
        Scheme::Mbr => {
            assert_eq!(json["label"], "dos");
            assert_eq!(format!("0x{:08x}", table.mbr.as_ref().unwrap().disk_signature), id);
        }
    }
    table
}

/// sgdisk finds nothing to say against the disk.
fn sgdisk_is_content(disk: &Disk) {
    let words = must_run("sgdisk", &["-v", disk.name()], "");
    assert!(words.contains("No problems found"), "{words}");
}

/// Tables as installers and image builders lay them out.
const GPT_SCRIPTS: [&str; 5] = [
    "label: gpt\n",
    "label: gpt\nstart=2048, size=20480, type=U, name=\"EFI System Partition\"\n\
     type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=\"root\"\n",
    "label: gpt\nlabel-id: A0000000-0000-4000-8000-00000000D15C\n\
     1: start=139264, size=40960, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=A0000000-0000-4000-8000-000000000001\n\
     14: start=2048, size=6144, type=21686148-6449-6E6F-744E-656564454649, attrs=\"LegacyBIOSBootable\"\n\
     15: start=8192, size=131072, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=\"ESP – größer\"\n",
    "label: gpt\ntable-length: 4\nsize=2048, attrs=\"RequiredPartition GUID:60,63\"\nsize=2048\nsize=4096\nsize=1\n",
    "label: gpt\ntable-length: 200\nfirst-lba: 4096\nlast-lba: 100000\n200: size=8192, type=S\n7: size=8192, type=L\n",
];

const MBR_SCRIPTS: [&str; 5] = [
    "label: dos\n",
    "label: dos\nlabel-id: 0xb0b0b0b0\nstart=2048, type=83, bootable\n",
    "label: dos\nsize=20480, type=7, bootable\nsize=20480, type=c\nsize=2048, type=82\nsize=4096, type=27\n",
    "label: dos\nsize=20480, type=83\nsize=100000, type=f\n\
     5: size=8192, type=83\n6: size=4096, type=82\n7: size=2048, type=8e\n8: type=fd\n",
    "label: dos\n4: start=63, size=20000, type=5\n\
     5: start=126, size=1000, type=6\n6: start=1200, size=1000, type=e\n1: start=20480, size=64, type=a5\n",
];

#[test]
fn gpts_are_read_as_sfdisk_reads_them() {
    if !have(&["sfdisk", "sgdisk"]) {
        return;
    }
    for script in GPT_SCRIPTS {
        let disk = Disk::scripted(96 * MIB, script);
        let table = same_as_sfdisk(&disk);
        assert_eq!(table.problems, [], "{script}");
        assert_eq!(disk.copy().rebuild(disk.size()), 0, "sfdisk made it right: {script}");
        // Either header alone gives the same.
        for (at, copy) in [(512, GptCopy::Backup), (disk.size() - 512, GptCopy::Primary)] {
            let broken = disk.copy();
            broken.write(at, &[0; 512]);
            let table = same_as_sfdisk(&broken);
            assert_eq!(table.gpt.as_ref().unwrap().used, Some(copy));
        }
    }
}

#[test]
fn mbrs_are_read_as_sfdisk_reads_them() {
    if !have(&["sfdisk"]) {
        return;
    }
    for script in MBR_SCRIPTS {
        let table = same_as_sfdisk(&Disk::scripted(96 * MIB, script));
        assert_eq!(table.problems, [], "{script}");
    }
}

#[test]
fn hybrid_disks_stay_gpts() {
    if !have(&["sfdisk", "sgdisk"]) {
        return;
    }
    let disk = Disk::scripted(96 * MIB, GPT_SCRIPTS[2]);
    must_run("sgdisk", &["-h", "1:15", disk.name()], "");
    let table = same_as_sfdisk(&disk);
    assert_eq!(table.problems.iter().map(|p| p.kind).collect::<Vec<_>>(), [ProblemKind::HybridMbr]);
    disk.rebuild(128 * MIB);
    assert_eq!(our_rows(&disk.table()), our_rows(&table));
    sgdisk_is_content(&disk);
}

#[test]
fn rebuilt_disks_please_sgdisk() {
    if !have(&["sfdisk", "sgdisk"]) {
        return;
    }
    for script in &GPT_SCRIPTS[1..] {
        // Partitions that take all there is would forbid smaller sizes.
        let script = script.replace("09, name=\"root\"", "09, size=8192, name=\"root\"");
        let made = Disk::scripted(96 * MIB, &script);
        let rows = our_rows(&made.table());
        let needed = rows.iter().map(|row| row.1 + row.2).max().unwrap() * 512;
        let sizes = [96 * MIB, 96 * MIB + 512, 96 * MIB + 20 * 512, 97 * MIB, 300 * MIB, 5000 * MIB, needed.next_multiple_of(MIB) + MIB];
        for size in sizes {
            for damage in [None, Some(512), Some(1024), Some(96 * MIB - 512), Some(96 * MIB - 1024)] {
                let disk = made.copy();
                if let Some(at) = damage {
                    disk.write(at, &[0x11; 100]);
                    if disk.table().gpt.unwrap().header().is_none() {
                        panic!("one damage leaves one copy: {script} {at}");
                    }
                }
                disk.rebuild(size);
                sgdisk_is_content(&disk);
                let table = same_as_sfdisk(&disk);
                assert_eq!((our_rows(&table), table.problems), (rows.clone(), vec![]), "{size} {damage:?}");
                assert_eq!(disk.rebuild(size), 0);
                let mut file = File::open(&disk.path).unwrap();
                let mut tail = Vec::new();
                file.seek(SeekFrom::Start(size.saturating_sub(64 * MIB))).unwrap();
                file.read_to_end(&mut tail).unwrap();
                let headers = tail.chunks_exact(512).filter(|sector| sector.starts_with(b"EFI PART")).count();
                assert!(headers <= 2, "an old header is left");
            }
        }
    }
}

#[test]
fn a_grown_disk_has_the_problem_that_sgdisk_has() {
    if !have(&["sfdisk", "sgdisk"]) {
        return;
    }
    let disk = Disk::scripted(96 * MIB, GPT_SCRIPTS[2]);
    disk.resize(97 * MIB);
    let table = same_as_sfdisk(&disk);
    assert_eq!(table.problems.iter().map(|p| p.kind).collect::<Vec<_>>(), [ProblemKind::ProtectiveSize, ProblemKind::BackupMisplaced]);
    let (_, words) = run("sgdisk", &["-v", disk.name()], "");
    assert!(words.contains("Identified 1 problems") || words.contains("the backup GPT header is not on the end"), "{words}");
    // sgdisk's own cure needs none of ours, though it puts the backup's entries and the last usable sector elsewhere.
    let theirs = disk.copy();
    must_run("sgdisk", &["-e", theirs.name()], "");
    let cured = same_as_sfdisk(&theirs);
    assert_eq!((cured.problems, theirs.rebuild(97 * MIB)), (vec![], 0));
    disk.rebuild(97 * MIB);
    assert_eq!(our_rows(&same_as_sfdisk(&disk)), our_rows(&theirs.table()));
}

#[test]
fn file_systems_on_whole_disks_are_no_tables() {
    let makers: [(&str, &[&str]); 10] = [
        ("mkfs.vfat", &["-I", "-F", "12"]),
        ("mkfs.vfat", &["-I", "-F", "16"]),
        ("mkfs.vfat", &["-I", "-F", "32"]),
        ("mkfs.ntfs", &["-F", "-Q", "-q"]),
        ("mkfs.exfat", &[]),
        ("mkfs.ext4", &["-q", "-F"]),
        ("mkfs.xfs", &["-q", "-f"]),
        ("mkfs.btrfs", &["-q", "-f"]),
        ("mkswap", &["-f"]),
        ("mkfs.minix", &[]),
    ];
    for (tool, args) in makers {
        if !have(&[tool]) {
            continue;
        }
        let disk = Disk::blank(if args.contains(&"12") { 16 * MIB } else { 512 * MIB });
        must_run(tool, &[args, &[disk.name()]].concat(), "");
        assert_eq!(read(&disk.bytes()).unwrap(), None, "{tool} {args:?}");
        // Over an older GPT, of which the backup may remain.
        if !have(&["sfdisk"]) || tool == "mkswap" || tool == "mkfs.minix" {
            continue;
        }
        let disk = Disk::scripted(disk.size(), "label: gpt\nsize=2048\n");
        must_run(tool, &[args, &[disk.name()]].concat(), "");
        assert_eq!(read(&disk.bytes()).unwrap(), None, "{tool} {args:?} over a GPT");
    }
}

/// A GPT for sectors of 4096 bytes with one partition of 8 MiB at 1 MiB, written from UEFI 2.10 section 5.3.
fn made_for_4096_byte_sectors() -> Disk {
    const LBA: u64 = 4096;
    let disk = Disk::blank(96 * MIB);
    let last = disk.size() / LBA - 1;
    let mut entries = vec![0; 128 * 128];
    // Linux file system data, as stored; then the partition's own GUID.
    entries[..16].copy_from_slice(&[0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4]);
    entries[16..32].fill(7);
    entries[32..40].copy_from_slice(&256_u64.to_le_bytes());
    entries[40..48].copy_from_slice(&2303_u64.to_le_bytes());
    let header = |mine: u64, other: u64, array: u64| {
        let mut header = b"EFI PART\0\0\x01\0\x5c\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        for lba in [mine, other, 6, last - 5] {
            header.extend(lba.to_le_bytes());
        }
        header.extend([9; 16]);
        header.extend(array.to_le_bytes());
        header.extend([128_u32, 128, crc32fast::hash(&entries)].map(u32::to_le_bytes).concat());
        let sum = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        header
    };
    let protective =
        [&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff][..], &1_u32.to_le_bytes(), &u32::try_from(last).unwrap().to_le_bytes()].concat();
    disk.write(446, &protective);
    disk.write(510, &[0x55, 0xaa]);
    disk.write(LBA, &header(1, last, 2));
    disk.write(2 * LBA, &entries);
    disk.write((last - 4) * LBA, &entries);
    disk.write(last * LBA, &header(last, 1, last - 4));
    disk
}

#[test]
fn partitions_made_for_4096_byte_sectors_are_told() {
    let disk = made_for_4096_byte_sectors();
    let table = disk.table();
    assert_eq!(table.sector_size, 4096);
    assert_eq!(table.problems.iter().map(|p| p.kind).collect::<Vec<_>>(), [ProblemKind::SectorSize]);
    assert_eq!(table.partitions.iter().map(|p| (p.start, p.size)).collect::<Vec<_>>(), [(MIB, 8 * MIB)]);
}

/// Why such a table is an error and no warning: whoever addresses the disk in sectors of 512 bytes, as a VHD is, finds no partition.
#[test]
fn readers_with_512_byte_sectors_find_no_partition_made_for_4096() {
    if !have(&["sfdisk", "blkid"]) {
        return;
    }
    let disk = made_for_4096_byte_sectors();
    let json = disk.sfdisk();
    let label = &json["label"];
    assert_eq!(label, "dos", "sfdisk takes the protective MBR for the table: {json}");
    let kinds: Vec<&Value> = json["partitions"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["ee"]);
    assert_eq!(must_run("blkid", &["-p", "-o", "value", "-s", "PTTYPE", disk.name()], "").trim(), "PMBR");
}

#[test]
fn type_numbers_are_those_of_sfdisk() {
    if !have(&["sfdisk"]) {
        return;
    }
    // Not in sfdisk's list: LUKS and dm-crypt (sgdisk 8309, 8308), ChromeOS firmware (sgdisk 7F03), and the four of Flatcar.
    let unlisted = ["ca7d7ccb", "7ffec5c9", "cab6e88e", "c95dc21a", "5dfbf5f4", "3884dd41", "be9067b9"];
    let list = |label: &str| -> BTreeMap<String, String> {
        let words = must_run("sfdisk", &["--list-types", "--label", label], "");
        let rows = words.lines().filter_map(|line| line.trim().split_once(' '));
        rows.map(|(id, name)| (id.to_lowercase(), name.trim().to_owned())).collect()
    };
    let known = list("gpt");
    for (guid, name) in GPT_TYPES {
        let guid = guid.to_string();
        assert!(known.contains_key(&guid) != unlisted.contains(&&guid[..8]), "{guid} {name}");
    }
    let known = list("dos");
    for (byte, name) in MBR_TYPES.iter().filter(|(byte, _)| *byte != 0xe8) {
        assert!(known.contains_key(&format!("{byte:x}")), "{byte:x} {name}");
    }
}
