//! Volumes that other programs made or read: LVM's groups, and the headers of sealed ones.
//!
//! What LVM says of a group must be what we say, and the bytes of a logical volume must be those that stand at the places which it
//! names. What cryptsetup and mdadm print of a header must be what we tell of it. What is not there is skipped loudly.
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

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, ReadAt, Slice, read_array, read_vec};
use vhdkit::fs::identify;
use vhdkit::volume::Role;
use vhdkit::volume::lvm::{VolumeGroup, assemble, physical_volume};
use vhdkit::volume::sealed::{BitLocker, Conversion, Luks, Protector, Sealed, describe};

/// A disk from the folder that `VHDKIT_IMAGES` names.
fn image(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("VHDKIT_IMAGES").unwrap_or_else(|| "../images".into());
    let path = Path::new(&folder).join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: {name}: there is no {}", path.display());
    None
}

fn open(path: &Path) -> Bytes {
    Arc::new(HostFile::open(path, Access::default()).unwrap())
}

fn groups(volumes: &[Bytes]) -> Vec<VolumeGroup> {
    assemble(volumes.iter().map(|bytes| physical_volume(bytes).unwrap().expect("a physical volume")).collect())
}

/// Writes a volume to a file, its holes as holes.
fn extract(bytes: &Bytes, path: &Path) {
    let file = fs::File::create(path).unwrap();
    file.set_len(bytes.size()).unwrap();
    let mut at = 0;
    while let Some(range) = bytes.data(at) {
        at = range.end.min(range.start + (1 << 20));
        let part = read_vec(bytes, range.start, usize::try_from(at - range.start).unwrap()).unwrap();
        file.write_all_at(&part, range.start).unwrap();
    }
}

/// A disk of a real system: root in two pieces, with other volumes between them.
#[test]
fn the_volumes_of_a_debian_disk() {
    let Some(path) = image("C.raw") else { return };
    let disk = open(&path);
    let partition: Bytes = Arc::new(Slice::new(disk.clone(), 548_864 * 512, 3_643_392 * 512).unwrap());
    let groups = groups(std::slice::from_ref(&partition));
    let [group] = groups.as_slice() else { panic!("{groups:?}") };
    assert_eq!((group.name.as_str(), group.extent_size, group.extent_count), ("vg0", 4 << 20, 444));
    assert_eq!((group.free_extents, group.sequence), (444 - 372, 5));
    assert_eq!(group.problems, [""; 0]);
    assert!(group.physical_volumes[0].present);
    let told = fs::read_to_string(path.with_extension("lvm.txt")).unwrap_or_default();
    for uuid in group.logical_volumes.iter().map(|volume| &volume.uuid).chain([&group.uuid, &group.physical_volumes[0].uuid]) {
        assert!(told.is_empty() || told.contains(uuid.as_str()), "{uuid} is not in\n{told}");
    }
    let volumes: Vec<_> = group.logical_volumes.iter().map(|volume| (volume.name.as_str(), volume.bytes.clone().unwrap())).collect();
    let names: Vec<_> = volumes.iter().map(|(name, bytes)| (*name, bytes.size() >> 22)).collect();
    assert_eq!(names, [("root", 256), ("var", 100), ("swap", 16)]);
    let content: Vec<_> = volumes.iter().map(|(_, bytes)| identify(bytes).unwrap().unwrap()).collect();
    let content: Vec<_> = content.iter().map(|content| (content.kind, content.uuid.clone().unwrap_or_default())).collect();
    let id = |number: u8| format!("c0000000-0000-4000-8000-0000000000c{number}");
    assert_eq!(content, [("ext4", id(1)), ("xfs", id(2)), ("swap", id(3))]);

    // The places of the two pieces of root, by the extents that LVM names.
    let root = &volumes[0].1;
    for (extent, physical) in [(0, 0), (1, 1), (127, 127), (128, 244), (255, 371)] {
        let there = read_vec(&partition, (2048 << 9) + (physical << 22), 4 << 20).unwrap();
        assert_eq!(read_vec(root, extent << 22, 4 << 20).unwrap(), there, "extent {extent}");
    }
    let crossing: [u8; 8] = read_array(root, (128 << 22) - 4).unwrap();
    let [before, after]: [[u8; 4]; 2] =
        [(2048 << 9) + (128 << 22) - 4, (2048 << 9) + (244 << 22)].map(|at| read_array(&partition, at).unwrap());
    assert_eq!(crossing, [before, after].concat().as_slice());

    let work = tempfile::tempdir().unwrap();
    for (number, tool) in [(0, "e2fsck -f -n"), (1, "xfs_repair -n -f")] {
        let file = work.path().join(volumes[number].0);
        extract(&volumes[number].1, &file);
        let line = format!("PATH=$PATH:/usr/sbin:/sbin; {tool} {} >/dev/null 2>&1", file.display());
        let status = Command::new("sh").args(["-c", &line]).status().unwrap();
        match status.code() {
            Some(127) => eprintln!("SKIPPED: {tool} is not installed"),
            code => assert_eq!(code, Some(0), "{tool} of {}", volumes[number].0),
        }
        fs::remove_file(file).unwrap();
    }
}

/// Runs a program with arguments; its output, or why it failed.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path).env("LVM_SUPPRESS_FD_WARNINGS", "1").env("LC_ALL", "C").env("TZ", "UTC");
    let out = command.output().map_err(|error| format!("{program}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(format!("{program} {arguments:?}: {}", text(&out.stderr))) }
}

/// Files as block devices, for as long as this lives.
struct Loops(Vec<String>);

impl Loops {
    fn new(files: &[PathBuf]) -> Result<Self, String> {
        let mut loops = Self(Vec::new());
        for file in files {
            loops.0.push(run("losetup", &["-f", "--show", file.to_str().unwrap()])?);
        }
        Ok(loops)
    }

    /// An LVM command that sees these devices only, and does without the device mapper.
    fn lvm(&self, line: &str) -> Result<String, String> {
        let ours: Vec<_> = self.0.iter().map(|device| format!("\"a|^{device}$|\"")).collect();
        let filter = format!("[{},\"r|.*|\"]", ours.join(","));
        let config = format!(
            "devices{{use_devicesfile=0 scan=[\"/dev\"] filter={filter} global_filter={filter}}} \
             activation{{udev_sync=0 udev_rules=0 monitoring=0}} backup{{backup=0 archive=0}}"
        );
        let (command, rest) = line.split_once(' ').unwrap();
        let fixed = [command, "--driverloaded", "n", "--config", &config];
        let words: Vec<_> = fixed.into_iter().chain(rest.split(' ')).collect();
        run("lvm", &words)
    }

    /// A report of LVM's as rows of fields.
    fn report(&self, line: &str) -> Vec<Vec<String>> {
        let (command, rest) = line.split_once(' ').unwrap();
        let text = self.lvm(&format!("{command} --noheadings --separator ; --units b --nosuffix {rest}")).unwrap();
        text.lines().map(|line| line.trim().split(';').map(str::to_owned).collect()).collect()
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for device in &self.0 {
            if let Err(why) = run("losetup", &["-d", device]) {
                eprintln!("{why}");
            }
        }
    }
}

/// Eight bytes that tell a disk and a place on it, eight bytes apart from the next.
fn mark(disk: usize, at: u64) -> [u8; 8] {
    ((u64::try_from(disk).unwrap() + 1) << 48 | at).to_le_bytes()
}

/// A segment as `lvs` tells it: first and number of extents, bytes of a stripe, and per stripe the disk and the extent there.
struct Told {
    start: u64,
    count: u64,
    chunk: u64,
    stripes: Vec<(usize, u64)>,
}

/// Logical volumes of types that LVM makes only with the device mapper, described by hand in its own format; all lie on extents from 20 on.
fn described() -> String {
    let mut next = 20;
    let mut out = String::new();
    let mut add = |name: &str, status: &str, flags: &str, extents: u64, rest: &str| {
        let number = out.matches("segment_count").count();
        out += &format!(
            "{name} {{\nid = \"vhdkit-0000-0000-0000-0000-0000-{number:06}\"\nstatus = [{status}]\nflags = [{flags}]\nsegment_count = 1\n\
             segment1 {{\nstart_extent = 0\nextent_count = {extents}\n{rest}\n}}\n}}\n"
        );
    };
    const SHOWN: &str = "\"READ\", \"WRITE\", \"VISIBLE\"";
    const HIDDEN: &str = "\"READ\", \"WRITE\"";
    for (name, extents, rest) in [
        (
            "mirrored",
            2,
            "type = \"raid1\"\ndevice_count = 2\nregion_size = 1024\nraids = [\"mirrored_rmeta_0\", \"mirrored_rimage_0\", \"mirrored_rmeta_1\", \"mirrored_rimage_1\"]",
        ),
        (
            "parity",
            2,
            "type = \"raid5\"\ndevice_count = 3\nstripe_size = 128\nregion_size = 1024\nraids = [\"parity_rmeta_0\", \"parity_rimage_0\", \"parity_rmeta_1\", \"parity_rimage_1\", \"parity_rmeta_2\", \"parity_rimage_2\"]",
        ),
        (
            "pool",
            2,
            "type = \"thin-pool\"\nmetadata = \"pool_tmeta\"\npool = \"pool_tdata\"\ntransaction_id = 1\nchunk_size = 128\ndiscards = \"passdown\"\nzero_new_blocks = 1",
        ),
        ("thin", 7, "type = \"thin\"\nthin_pool = \"pool\"\ntransaction_id = 0\ndevice_id = 1"),
        (
            "old",
            2,
            "type = \"mirror\"\nmirror_count = 2\nmirror_log = \"old_mlog\"\nregion_size = 1024\nmirrors = [\"old_mimage_0\", 0, \"old_mimage_1\", 0]",
        ),
        ("cached", 2, "type = \"cache\"\ncache_pool = \"cp\"\norigin = \"cached_corig\""),
        ("written", 2, "type = \"writecache\"\norigin = \"written_wcorig\"\nwritecache = \"fast_cvol\"\nwritecache_block_size = 4096"),
        ("failing", 2, "type = \"error\""),
    ] {
        add(name, SHOWN, "", extents, rest);
    }
    add("snapshot0", HIDDEN, "", 4, "type = \"snapshot\"\nchunk_size = 8\norigin = \"two\"\ncow_store = \"past\"");
    let cache_pool = "type = \"cache-pool\"\ndata = \"cp_cdata\"\nmetadata = \"cp_cmeta\"\nchunk_size = 128\nmetadata_format = 2\ncache_mode = \"writethrough\"\npolicy = \"smq\"";
    add("cp", HIDDEN, "", 2, cache_pool);
    let parts = "mirrored_rmeta_0 0 1,mirrored_rimage_0 0 2,mirrored_rmeta_1 1 1,mirrored_rimage_1 1 2,parity_rmeta_0 0 1,parity_rimage_0 0 1,parity_rmeta_1 1 1,parity_rimage_1 1 1,parity_rmeta_2 2 1,parity_rimage_2 2 1,pool_tmeta 0 1,pool_tdata 0 2,\
                 old_mlog 0 1,old_mimage_0 0 2,old_mimage_1 1 2,cached_corig 0 2,written_wcorig 0 2,fast_cvol 0 2,cp_cdata 0 2,cp_cmeta 0 1,past 0 2";
    for part in parts.split(',') {
        let [name, disk, extents] = part.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let extents: u64 = extents.parse().unwrap();
        let rest = format!("type = \"striped\"\nstripe_count = 1\nstripes = [\"pv{disk}\", {next}]");
        let flags = if name == "fast_cvol" { "\"CACHE_VOL\"" } else { "" };
        add(name, if name == "past" { SHOWN } else { HIDDEN }, flags, extents, &rest);
        next += extents;
    }
    out
}

/// A group over three disks, of which one has no metadata and the others two areas each.
#[test]
fn groups_that_lvm_makes() {
    const SIZE: u64 = 64 << 20;
    let work = tempfile::tempdir().unwrap();
    let files: Vec<_> = ["a", "b", "c"].map(|name| work.path().join(name)).into();
    for file in &files {
        fs::File::create(file).unwrap().set_len(SIZE).unwrap();
    }
    let loops = match Loops::new(&files) {
        Ok(loops) => loops,
        Err(why) => return eprintln!("SKIPPED: groups made by LVM: {why}"),
    };
    if let Err(why) = run("lvm", &["version", "--driverloaded", "n"]) {
        return eprintln!("SKIPPED: groups made by LVM: {why}");
    }
    let [a, b, c] = loops.0.as_slice() else { panic!() };
    let name = format!("vhdkit-{}", std::process::id());
    let make = "lvcreate -an -Zn -Wn -n";
    for line in [
        format!("pvcreate -y --metadatacopies 2 {a} {b}"),
        format!("pvcreate -y --metadatacopies 0 {c}"),
        format!("vgcreate -s 1m {name} {a} {b} {c}"),
        format!("{make} linear -l 5 {name} {b}"),
        format!("{make} striped -i 3 -I 64k -l 9 {name}"),
        format!("{make} two -i 2 -I 4k -l 4 {name} {a} {c}"),
        format!("lvextend -l +3 {name}/linear {a}"),
        format!("{make} nought --type zero -l 2 {name}"),
    ] {
        loops.lvm(&line).unwrap();
    }
    // What LVM says.
    let [row] = loops.report("vgs -o vg_name,vg_uuid,vg_seqno,vg_extent_size,vg_extent_count,vg_free_count").try_into().unwrap();
    let volumes = loops.report("lvs -o lv_name,lv_uuid,lv_size");
    let segments = loops.report("lvs --segments -o lv_name,seg_start_pe,seg_size_pe,stripe_size,devices,segtype");
    let starts = loops.report("pvs -o pv_name,pe_start,pv_uuid");
    let place = |device: &str| loops.0.iter().position(|one| one == device).unwrap();
    let mut told: std::collections::BTreeMap<String, Vec<Told>> = std::collections::BTreeMap::new();
    for segment in segments.iter().filter(|segment| segment[5] != "zero") {
        let number = |field: usize| segment[field].parse::<u64>().unwrap();
        let stripe = |one: &str| {
            let (device, extent) = one.trim_end_matches(')').split_once('(').unwrap();
            (place(device), extent.parse().unwrap())
        };
        let one = Told { start: number(1), count: number(2), chunk: number(3), stripes: segment[4].split(',').map(stripe).collect() };
        told.entry(segment[0].clone()).or_default().push(one);
    }
    // What the tools accept of the types that they cannot make here.
    let backup = work.path().join("backup");
    loops.lvm(&format!("vgcfgbackup -f {} {name}", backup.display())).unwrap();
    let text = fs::read_to_string(&backup).unwrap();
    let all = text.replacen("logical_volumes {", &format!("logical_volumes {{\n{}", described()), 1);
    fs::write(&backup, all).unwrap();
    let copies: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let restored = loops.lvm(&format!("vgcfgrestore --force -f {} {name}", backup.display()));
    let types = restored.map(|_| loops.report("lvs --segments -o lv_name,lv_size,segtype"));
    let first: Vec<PathBuf> = ["a1", "b1", "c1"].map(|name| work.path().join(name)).into();
    for (path, bytes) in first.iter().zip(copies) {
        fs::write(path, bytes).unwrap();
    }
    let starts: Vec<(usize, u64, String)> = starts.iter().map(|row| (place(&row[0]), row[1].parse().unwrap(), row[2].clone())).collect();
    drop(loops);

    // The extents of every disk say where they are.
    for (disk, start, _) in &starts {
        let file = fs::OpenOptions::new().write(true).open(&first[*disk]).unwrap();
        let marks: Vec<u8> = (0..60 << 17).flat_map(|word| mark(*disk, start + 8 * word)).collect();
        file.write_all_at(&marks, *start).unwrap();
    }
    let groups = groups(&first.iter().map(|path| open(path)).collect::<Vec<_>>());
    let [group] = groups.as_slice() else { panic!("{groups:?}") };
    let numbers = [group.sequence, group.extent_size, group.extent_count, group.free_extents].map(|number| number.to_string());
    assert_eq!([vec![group.name.clone(), group.uuid.clone()], numbers.into()].concat(), row);
    assert_eq!(group.problems, [""; 0]);
    for (_, _, uuid) in &starts {
        assert!(group.physical_volumes.iter().any(|member| member.present && member.uuid == *uuid));
    }
    let mut ours: Vec<_> =
        group.logical_volumes.iter().map(|volume| vec![volume.name.clone(), volume.uuid.clone(), volume.size.to_string()]).collect();
    ours.sort();
    assert_eq!(ours, volumes);
    let mut compared = 0;
    for volume in &group.logical_volumes {
        let bytes = volume.bytes.as_ref().unwrap();
        if volume.name == "nought" {
            assert!(bytes.data(0).is_none());
            continue;
        }
        for segment in &told[&volume.name] {
            let count = u64::try_from(segment.stripes.len()).unwrap();
            let chunk = if count == 1 { segment.count << 20 } else { segment.chunk };
            for at in (0..segment.count << 20).step_by(512) {
                let (line, within) = (at / chunk, at % chunk);
                let (disk, extent) = segment.stripes[usize::try_from(line % count).unwrap()];
                let start = starts.iter().find(|(one, ..)| *one == disk).unwrap().1;
                let expected = mark(disk, start + (extent << 20) + line / count * chunk + within);
                let place = (segment.start << 20) + at;
                let found: [u8; 8] = read_array(bytes, place).unwrap();
                assert_eq!(found, expected, "{} at {place}", volume.name);
                compared += 1;
            }
        }
    }
    eprintln!("{compared} sectors of logical volumes stand where LVM says");

    let types = types.unwrap();
    let groups = self::groups(&files.iter().map(|path| open(path)).collect::<Vec<_>>());
    let [group] = groups.as_slice() else { panic!("{groups:?}") };
    assert_eq!(group.problems, [""; 0]);
    let theirs: std::collections::BTreeSet<_> = types.iter().map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect();
    let mut seen = std::collections::BTreeSet::new();
    for volume in &group.logical_volumes {
        let single = told.get(&volume.name).is_none_or(|segments| segments.iter().all(|segment| segment.stripes.len() == 1));
        let kind = volume.segment_types.last().unwrap().replace("striped", if single { "linear" } else { "striped" });
        seen.insert((volume.name.clone(), volume.size.to_string(), kind.clone()));
        match &volume.bytes {
            Ok(_) => assert!(["linear", "striped", "zero"].contains(&kind.as_str()) && volume.name != "past"),
            Err(why) if volume.name == "past" => assert_eq!(why, "a snapshot of two, which is not supported"),
            Err(why) => assert_eq!(why, &format!("segments of type {kind} are not supported")),
        }
    }
    assert_eq!(seen, theirs);
    eprintln!("{} logical volumes of {} segments have LVM's types", seen.len(), types.len());
}

/// What stands behind a name and a colon in a program's output, in the first line that has it.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.trim().strip_prefix(name)?.trim_start().strip_prefix(':')?.trim()))
}

fn luks(path: &Path) -> Luks {
    match describe(&open(path), "crypto_LUKS").unwrap() {
        Some(Sealed::Luks(luks)) => luks,
        other => panic!("{other:?}"),
    }
}

#[test]
fn luks_headers_that_cryptsetup_makes() {
    if let Err(why) = run("cryptsetup", &["--version"]) {
        return eprintln!("SKIPPED: LUKS headers: {why}");
    }
    let work = tempfile::tempdir().unwrap();
    let [key, other, one, two, token] = ["key", "other", "one", "two", "token"].map(|name| work.path().join(name));
    fs::write(&key, "a").unwrap();
    fs::write(&other, "b").unwrap();
    let [key, other] = [&key, &other].map(|path| path.to_str().unwrap());
    for path in [&one, &two] {
        fs::File::create(path).unwrap().set_len(32 << 20).unwrap();
    }
    let [first, second] = [&one, &two].map(|path| path.to_str().unwrap());
    let quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    let format = ["-q", "luksFormat", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--key-size", "256", first, key];
    run("cryptsetup", &format).unwrap();
    run("cryptsetup", &["-q", "luksAddKey", "--pbkdf-force-iterations", "1000", "--key-file", key, first, other]).unwrap();
    let dump = run("cryptsetup", &["luksDump", first]).unwrap();
    let told = luks(&one);
    assert_eq!((told.version, told.key_slots, told.detached, told.key_bits), (1, 2, false, Some(256)));
    assert_eq!(told.uuid.as_deref(), field(&dump, "UUID"));
    assert_eq!(told.cipher.unwrap(), format!("{}-{}", field(&dump, "Cipher name").unwrap(), field(&dump, "Cipher mode").unwrap()));
    assert_eq!(told.data_offset.unwrap() / 512, field(&dump, "Payload offset").unwrap().parse::<u64>().unwrap());
    assert_eq!(dump.matches("ENABLED").count(), told.key_slots);

    let format = ["-q", "luksFormat", "--type", "luks2", "--label", "sealed", "--subsystem", "part", "--sector-size", "4096"];
    run("cryptsetup", &[&format[..], &quick, &[second, key]].concat()).unwrap();
    run("cryptsetup", &[&["-q", "luksAddKey", "--key-file", key][..], &quick, &[second, other]].concat()).unwrap();
    fs::write(&token, r#"{"type":"clevis","keyslots":["1"],"jwe":{"ciphertext":"x"}}"#).unwrap();
    run("cryptsetup", &["token", "import", "--json-file", token.to_str().unwrap(), second]).unwrap();
    let dump = run("cryptsetup", &["luksDump", second]).unwrap();
    let told = luks(&two);
    assert_eq!((told.version, told.key_slots, told.detached, told.second_header), (2, 2, false, false));
    assert_eq!((told.tokens.as_slice(), told.sector_size), (["clevis".to_owned()].as_slice(), Some(4096)));
    assert_eq!([told.uuid.as_deref(), told.label.as_deref()], [field(&dump, "UUID"), field(&dump, "Label")]);
    assert_eq!([told.subsystem.as_deref(), told.cipher.as_deref()], [field(&dump, "Subsystem"), field(&dump, "cipher")]);
    assert_eq!(field(&dump, "Key"), Some(format!("{} bits", told.key_bits.unwrap()).as_str()));
    assert_eq!(field(&dump, "offset"), Some(format!("{} [bytes]", told.data_offset.unwrap()).as_str()));
    assert_eq!((told.problems.as_slice(), told.requirements.as_slice()), ([].as_slice(), [].as_slice()));

    // A damaged first header: the second one is as good, and cryptsetup takes it, too.
    fs::OpenOptions::new().write(true).open(&two).unwrap().write_all_at(b"x", 4200).unwrap();
    let damaged = luks(&two);
    assert_eq!(damaged.problems, ["the checksum of the first header is wrong"]);
    assert_eq!(Luks { problems: vec![], ..damaged }, told);
    run("cryptsetup", &["luksDump", second]).unwrap();

    // A header by itself.
    let alone = work.path().join("alone");
    let header = alone.to_str().unwrap();
    fs::File::create(&alone).unwrap().set_len(16 << 20).unwrap();
    run("cryptsetup", &[&["-q", "luksFormat", "--type", "luks2", "--header", header][..], &quick, &[first, key]].concat()).unwrap();
    assert!(luks(&alone).detached);
}

/// A superblock of version 1.2 with two active devices, this one being the second.
fn raid_1(role: u16) -> Vec<u8> {
    let mut sb = vec![0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| sb[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &0xa92b_4efc_u32.to_le_bytes());
    put(4, &[1]);
    put(16, &std::array::from_fn::<u8, 16, _>(|place| u8::try_from(place).unwrap() + 0x11));
    put(32, b"web:0");
    put(64, &1_500_000_000_u64.to_le_bytes());
    put(72, &[1]);
    put(80, &4096_u64.to_le_bytes());
    put(92, &[2]);
    for (at, value) in [(128, 2048_u64), (136, 6144), (144, 8), (192, 1_500_000_001), (200, 42), (208, u64::MAX)] {
        put(at, &value.to_le_bytes());
    }
    put(160, &[1]);
    put(220, &[128]);
    put(256, &[0xff; 256]);
    put(256, &[0, 0]);
    put(258, &role.to_le_bytes());
    let sum: u64 = sb.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
    sb[216..220].copy_from_slice(&u32::try_from((sum & 0xffff_ffff) + (sum >> 32)).unwrap().to_le_bytes());
    sb
}

#[test]
fn superblocks_that_mdadm_reads() {
    if let Err(why) = run("mdadm", &["--version"]) {
        return eprintln!("SKIPPED: RAID superblocks: {why}");
    }
    let work = tempfile::tempdir().unwrap();
    for (role, theirs, ours) in
        [(1, "Active device 1", Role::Active(1)), (0xffff, "spare", Role::Spare), (0xfffd, "Journal", Role::Journal)]
    {
        let path = work.path().join(format!("{role}"));
        let file = fs::File::create(&path).unwrap();
        file.set_len(4 << 20).unwrap();
        file.write_all_at(&raid_1(role), 4096).unwrap();
        let text = run("mdadm", &["--examine", path.to_str().unwrap()]).unwrap();
        let Some(Sealed::Raid(told)) = describe(&open(&path), "linux_raid_member").unwrap() else { panic!("{text}") };
        assert_eq!(field(&text, "Device Role"), Some(theirs));
        assert_eq!(told.role, ours);
        assert_eq!([Some(told.version.as_str()), told.name.as_deref()], [field(&text, "Version"), field(&text, "Name")]);
        assert_eq!((Some(told.level.as_str()), told.clean), (field(&text, "Raid Level"), Some(field(&text, "State") == Some("clean"))));
        assert_eq!(field(&text, "Raid Devices"), Some(told.devices.to_string().as_str()));
        assert_eq!(field(&text, "Events"), Some(told.events.to_string().as_str()));
        assert_eq!(field(&text, "Data Offset"), Some(format!("{} sectors", told.data_offset.unwrap() / 512).as_str()));
        assert_eq!(told.uuid.unwrap().replace('-', ""), field(&text, "Array UUID").unwrap().replace(':', ""));
        assert!(told.checksum && field(&text, "Checksum").unwrap().ends_with("correct"), "{text}");
    }
}

/// A BitLocker volume with three copies of its metadata, as Windows 7 and later lay it out.
fn bitlocker(states: u16, method: u16, protectors: &[u16]) -> Vec<u8> {
    fn entry(kind: u16, value: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap() + 8;
        let header = [length, kind, value, 1].map(u16::to_le_bytes).concat();
        [&header, data].concat()
    }
    const CREATED: u64 = 132_223_104_000_000_000;
    let key = entry(0, 5, &[0; 72]);
    let sealed = entry(0, 3, &[vec![0; 20], key.clone()].concat());
    let description: Vec<u8> = "PC C: 1/1/2020\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut entries = entry(7, 2, &description);
    for protector in protectors {
        let head = [&[7; 16][..], &CREATED.to_le_bytes(), &[0, 0], &protector.to_le_bytes()].concat();
        let inner = if matches!(protector, 0x0800 | 0x2000) { [sealed.clone(), key.clone()].concat() } else { key.clone() };
        entries.extend(entry(2, 8, &[head, inner].concat()));
    }
    entries.extend(entry(3, 5, &[0; 72]));
    entries.extend(entry(15, 15, &[0x40000_u64.to_le_bytes(), 8192_u64.to_le_bytes()].concat()));
    let length = u32::try_from(entries.len() + 48).unwrap().to_le_bytes();
    let id: [u8; 16] = std::array::from_fn(|place| u8::try_from(place).unwrap() + 0x11);
    let metadata =
        [&length[..], &[1, 0, 0, 0, 48, 0, 0, 0], &length, &id, &[7, 0, 0, 0], &method.to_le_bytes(), &[0, 0], &CREATED.to_le_bytes()]
            .concat();
    let size = (64 + 48 + entries.len()).next_multiple_of(16);
    let head = [u16::try_from(size / 16).unwrap(), 2, states, states].map(u16::to_le_bytes).concat();
    let places = [0x10000_u64, 0x20000, 0x30000].map(u64::to_le_bytes).concat();
    let volume = [&(3_u64 << 20).to_le_bytes()[..], &[0, 0, 0, 0, 16, 0, 0, 0], &places, &0x40000_u64.to_le_bytes()].concat();
    let mut block = [b"-FVE-FS-".as_slice(), &head, &volume, &metadata, &entries].concat();
    block.resize(size, 0);
    let mut bytes = vec![0; 4 << 20];
    bytes[..14].copy_from_slice(b"\xeb\x58\x90-FVE-FS-\0\x02\x08");
    bytes[160..176].copy_from_slice(b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01");
    bytes[176..200].copy_from_slice(&places);
    for place in [0x10000, 0x20000, 0x30000] {
        bytes[place..place + size].copy_from_slice(&block);
    }
    bytes
}

fn describe_bitlocker(path: &Path) -> BitLocker {
    match describe(&open(path), "BitLocker").unwrap() {
        Some(Sealed::BitLocker(bitlocker)) => bitlocker,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bitlocker_metadata_that_cryptsetup_reads() {
    match run("cryptsetup", &["--help"]) {
        Ok(help) if help.contains("bitlkDump") => {}
        _ => return eprintln!("SKIPPED: BitLocker metadata: no cryptsetup that reads it"),
    }
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("volume");
    let types = [
        (0x0000, "clear key", Protector::ClearKey),
        (0x0100, "TPM", Protector::Tpm),
        (0x0200, "startup key", Protector::StartupKey),
        (0x0500, "TPM and PIN", Protector::TpmPin),
        (0x0800, "recovery passphrase", Protector::RecoveryPassword),
        (0x1000, "smart card", Protector::SmartCard),
        (0x2000, "passphrase", Protector::Password),
    ];
    let methods = [
        (0x8000, "cbc-elephant", "256 bits", "AES-CBC 128-bit with diffuser"),
        (0x8001, "cbc-elephant", "512 bits", "AES-CBC 256-bit with diffuser"),
        (0x8002, "cbc-eboiv", "128 bits", "AES-CBC 128-bit"),
        (0x8003, "cbc-eboiv", "256 bits", "AES-CBC 256-bit"),
        (0x8004, "xts-plain64", "256 bits", "AES-XTS 128-bit"),
        (0x8005, "xts-plain64", "512 bits", "AES-XTS 256-bit"),
    ];
    for (number, mode, bits, name) in methods {
        fs::write(&path, bitlocker(4, number, &types.map(|one| one.0))).unwrap();
        let dump = run("cryptsetup", &["bitlkDump", path.to_str().unwrap()]).unwrap();
        let told = describe_bitlocker(&path);
        assert_eq!((told.is_protected(), told.used_space_only), (Some(false), false));
        let metadata = told.metadata.unwrap();
        assert_eq!((metadata.method, metadata.state, metadata.next_state), (Some(name), Conversion::Encrypted, Conversion::Encrypted));
        assert_eq!([field(&dump, "Cipher mode"), field(&dump, "Cipher key")], [Some(mode), Some(bits)]);
        assert_eq!([field(&dump, "GUID"), field(&dump, "Description")], [metadata.uuid.as_deref(), metadata.description.as_deref()]);
        assert_eq!(field(&dump, "Created"), Some("Wed Jan  1 00:00:00 2020"));
        assert_eq!(metadata.created, Some(1_577_836_800));
        assert_eq!(field(&dump, "Volume size"), Some(format!("{} [bytes]", metadata.encrypted_size.unwrap()).as_str()));
        let theirs: Vec<_> = dump.lines().filter_map(|line| line.trim().strip_prefix("Protection:")).map(str::trim).collect();
        assert_eq!(theirs, types.map(|one| format!("VMK protected with {}", one.1)));
        assert_eq!(metadata.protectors, types.map(|one| one.2));
    }
    fs::write(&path, bitlocker(4, 0x8004, &[0x0100, 0x0800])).unwrap();
    assert_eq!(describe_bitlocker(&path).is_protected(), Some(true));
    fs::write(&path, bitlocker(1, 0x8004, &[0x0100])).unwrap();
    assert_eq!(describe_bitlocker(&path).is_protected(), Some(false));
}
