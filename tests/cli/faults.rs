//! Faults of the file, the table and the boot path, one planted into a healthy disk at a time: exactly the codes named here appear.

use crate::support::*;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

const TIB: u64 = 1024 * GIB;

/// Codes of findings, and of error rules that are undecided with a `?` behind them.
fn codes(disk: &Path, options: &[OsString]) -> BTreeSet<String> {
    let mut command = command();
    command.args(["check", "--format=json"]).args(options).arg(disk);
    let document = run(command).json();
    let errors: Vec<&str> =
        vhdkit::rules::RULES.iter().filter(|rule| rule.severity == vhdkit::rules::Severity::Error).map(|rule| rule.code).collect();
    let found = document["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap().to_owned());
    let open = document["rules"].as_array().unwrap().iter().filter(|rule| rule["outcome"] == "undecided");
    let open = open.map(|rule| rule["code"].as_str().unwrap()).filter(|code| errors.contains(code)).map(|code| format!("{code}?"));
    found.chain(open).collect()
}

/// A fault: what it is, the healthy disk, the faulty one, how it is asked about, and the codes that appear.
struct Fault {
    what: &'static str,
    healthy: Disk,
    faulty: Disk,
    options: &'static [&'static str],
    finds: &'static [&'static str],
}

fn fault(what: &'static str, healthy: Disk, faulty: Disk, options: &'static [&'static str], finds: &'static [&'static str]) -> Fault {
    Fault { what, healthy, faulty, options, finds }
}

fn hold(faults: &[Fault], home: &Path) {
    for fault in faults {
        let (healthy, faulty) = (home.join("healthy.vhd"), home.join("faulty.vhd"));
        fault.healthy.write_fixed(&healthy);
        fault.faulty.write_fixed(&faulty);
        let options: Vec<OsString> = fault.options.iter().map(OsString::from).collect();
        let before = codes(&healthy, &options);
        let after = codes(&faulty, &options);
        let appeared: BTreeSet<&str> = after.difference(&before).map(String::as_str).collect();
        assert_eq!(appeared, fault.finds.iter().copied().collect(), "{}: before {before:?}", fault.what);
    }
}

/// The sample's partitions, with one more.
fn with_partition(size: u64, kind: &str, first: u64, sectors: u64) -> Disk {
    let root = size / 512 - 36_864;
    Disk::os(size).gpt(&[(ESP, 2048, 32_768), (LINUX_ROOT, 34_816, root), (kind, first, sectors)])
}

#[test]
fn faults_of_sizes_and_tables_are_found() {
    let home = tempfile::tempdir().unwrap();
    let market: &[&str] = &["--profile=marketplace"];
    hold(
        &[
            fault(
                "an OS disk above 2 TiB for generation 1",
                Disk::os(GIB),
                Disk::os(2 * TIB + MIB),
                &["--generation=1"],
                &["VHD008", "VHD028"],
            ),
            fault("an OS disk of 4 TiB", Disk::os(GIB), Disk::os(4 * TIB), &[], &["VHD009", "VHD028"]),
            fault("a partition in the first MiB", Disk::os(GIB), with_partition(GIB, LINUX_DATA, 64, 1000), market, &["VHD024"]),
            fault("an OS disk too small for certification", Disk::os(GIB), Disk::os(GIB - MIB), market, &["VHD025"]),
            fault("a data disk too large for certification", Disk::data(GIB), Disk::data(TIB), market, &["VHD026", "VHD028"]),
        ],
        home.path(),
    );
    // Larger than files of ext4 can be.
    let Some(memory) = Some(Path::new("/dev/shm")).filter(|dir| dir.is_dir()) else {
        eprintln!("SKIPPED: disks above 16 TiB, since there is no /dev/shm");
        return;
    };
    let home = tempfile::tempdir_in(memory).unwrap();
    let larger = 32_768 * GIB;
    hold(
        &[fault("a data disk of 32 TiB", Disk::data(GIB), Disk::data(larger), &[], &["VHD007", "VHD010", "VHD011", "VHD028"])],
        home.path(),
    );
}

#[test]
fn faults_of_booting_are_found() {
    let home = tempfile::tempdir().unwrap();
    let sealed = {
        let mut sector = vec![0; 512];
        sector[..11].copy_from_slice(b"\xeb\x52\x90-FVE-FS-");
        sector[11..13].copy_from_slice(&512_u16.to_le_bytes());
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        Disk::os(GIB).put(34_816 * 512, sector)
    };
    let blank = Disk::os(GIB).gpt(&[(LINUX_ROOT, 34_816, GIB / 512 - 36_864)]);
    hold(&[fault("no EFI system partition", Disk::os(GIB), blank.clone(), &["--generation=2", "--role=os"], &["GEN005"])], home.path());
    // What is behind BitLocker cannot be judged, and that it is there can.
    let path = home.path().join("sealed.vhd");
    sealed.write_fixed(&path);
    let found = codes(&path, &["--role=os".into()]);
    assert_eq!(found.iter().filter(|code| !code.ends_with('?')).collect::<Vec<_>>(), ["GEN012", "GEN017"]);
    assert!(found.contains("LNX001?") && found.contains("WIN042?"), "{found:?}");
    // An MBR without boot code, and with one partition.
    let mut mbr = vec![0; 512];
    mbr[446..462].copy_from_slice(&[0x80, 0, 2, 0, 0x83, 0xff, 0xff, 0xff, 0, 8, 0, 0, 0, 0, 0x10, 0]);
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    let path = home.path().join("bare.vhd");
    Disk::blank(GIB).put(0, mbr).write_fixed(&path);
    assert!(codes(&path, &["--generation=1".into(), "--role=os".into()]).contains("GEN002"));
    // The sample boots by UEFI alone.
    let path = home.path().join("uefi.vhd");
    Disk::os(GIB).write_fixed(&path);
    let one = codes(&path, &["--generation=1".into()]);
    let two = codes(&path, &["--generation=2".into()]);
    assert_eq!(one.difference(&two).map(String::as_str).collect::<Vec<_>>(), ["GEN003"]);
}

#[test]
fn faults_of_names_and_sets_are_found() {
    let home = tempfile::tempdir().unwrap();
    let (plain, percent) = (home.path().join("plain.vhd"), home.path().join("per%cent.vhd"));
    let (small, large) = (home.path().join("small.vhd"), home.path().join("large.vhd"));
    Disk::os(GIB).write_fixed(&plain);
    Disk::os(GIB).write_fixed(&percent);
    let other = |footer: &mut [u8]| footer[68..84].fill(0xd5);
    Disk::data(GIB).write_fixed_with(&small, other);
    Disk::data(TIB).write_fixed_with(&large, other);
    let market = ["--profile=marketplace".into()];
    assert_eq!(codes(&percent, &market).difference(&codes(&plain, &market)).map(String::as_str).collect::<Vec<_>>(), ["VHD029"]);
    let data = |path: &Path| [OsString::from("--data"), OsString::from(format!("0={}", path.display()))];
    let (before, after) = (codes(&plain, &data(&small)), codes(&plain, &data(&large)));
    assert_eq!(after.difference(&before).map(String::as_str).collect::<Vec<_>>(), ["VHD027", "VHD028"]);
}

#[test]
fn faults_of_parents_are_found() {
    let home = tempfile::tempdir().unwrap();
    let (base, child) = (home.path().join("base.vhd"), home.path().join("child.vhd"));
    Disk::data(24 * MIB).write_dynamic(&base);
    Disk::blank(24 * MIB).put(10 * MIB, pattern(9, 5000)).write_differencing(&child, "base.vhd");
    let before = codes(&child, &["--role=data".into()]);
    // A byte of the reserved area: the footer at the end has no right checksum any more.
    let mut bytes = read(&base);
    let end = bytes.len();
    bytes[end - 100] ^= 1;
    std::fs::write(&base, bytes).unwrap();
    let after = codes(&child, &["--role=data".into()]);
    assert_eq!(after.difference(&before).map(String::as_str).collect::<Vec<_>>(), ["VHD109"], "before {before:?}");
}
