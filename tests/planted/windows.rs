//! Windows disks that are made to order, and what the rules say of them.

use super::ready::stays_ready;
use super::registry::Value;
use super::windows_healthy as healthy;
use crate::ntfs_3g::Mounted;
use crate::support::{Disk, ESP, GIB, MIB, vhdkit};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::{DiskFacts, State};
use vhdkit::inspect::{Options, disk};
use vhdkit::rules::{Profile, Severity, Subject, Target, judge};

/// Microsoft's reserved partition.
const RESERVED: &str = "e3c9e316-0b5c-4db8-817d-f92df00215ae";
/// Windows' basic data.
const BASIC: &str = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";
const ESP_AT: u64 = MIB;
const ESP_SIZE: u64 = 16 * MIB;
const NTFS_AT: u64 = ESP_AT + ESP_SIZE + MIB;
const NTFS_SIZE: u64 = 46 * MIB;
/// The disk, as large as the marketplace asks for; sparse, as nothing lies behind the volume but the backup GPT.
const SIZE: u64 = 40 * GIB;
/// The GUIDs that [`Disk::gpt`] gives the disk and the third partition.
pub const DISK_GUID: [u8; 16] = [0x77; 16];
pub const WINDOWS_GUID: [u8; 16] = [0x42; 16];
pub const ESP_GUID: [u8; 16] = [0x40; 16];

/// One thing that is changed on a healthy disk.
#[derive(Debug, Clone)]
pub enum Change {
    /// A registry value, set. Keys begin with `SYSTEM`, `SOFTWARE`, `SAM`, `SECURITY`, `BCD`, or `CCS` for the control set in use.
    Set(String, String, Value),
    /// A registry value that the healthy disk has, removed.
    Unset(String, String),
    /// A key without values.
    Key(String),
    /// A key that the healthy disk has, removed with all below it.
    DropKey(String),
    /// A file of the Windows volume, written; parts of its path are made.
    Write(String, Vec<u8>),
    /// A file or directory of the Windows volume, removed.
    Remove(String),
    /// A file of the Windows volume with a reparse point: its value; a directory where the path ends in `/`.
    Link(String, Vec<u8>),
    /// A file of the EFI system partition, written into a directory that is there.
    WriteEsp(String, Vec<u8>),
    /// A file of the EFI system partition, removed.
    RemoveEsp(String),
}

pub fn dword(key: &str, name: &str, value: u32) -> Change {
    Change::Set(key.to_owned(), name.to_owned(), Value::dword(value))
}

pub fn text(key: &str, name: &str, value: &str) -> Change {
    Change::Set(key.to_owned(), name.to_owned(), Value::text(value))
}

pub fn texts(key: &str, name: &str, values: &[&str]) -> Change {
    Change::Set(key.to_owned(), name.to_owned(), Value::texts(values))
}

pub fn binary(key: &str, name: &str, bytes: &[u8]) -> Change {
    Change::Set(key.to_owned(), name.to_owned(), Value(3, bytes.to_vec()))
}

/// An element of an object in the boot store.
pub fn element(object: &str, number: u32, value: Value) -> Change {
    Change::Set(format!("BCD\\Objects\\{object}\\Elements\\{number:08x}"), "Element".to_owned(), value)
}

/// An element of an object in the boot store, removed.
pub fn no_element(object: &str, number: u32) -> Change {
    Change::DropKey(format!("BCD\\Objects\\{object}\\Elements\\{number:08x}"))
}

/// How a service starts.
pub fn start(service: &str, value: u32) -> Change {
    dword(&format!("CCS\\Services\\{service}"), "Start", value)
}

pub fn unset(key: &str, name: &str) -> Change {
    Change::Unset(key.to_owned(), name.to_owned())
}

pub fn key(key: &str) -> Change {
    Change::Key(key.to_owned())
}

pub fn drop_key(key: &str) -> Change {
    Change::DropKey(key.to_owned())
}

pub fn write(path: &str, content: &[u8]) -> Change {
    Change::Write(path.to_owned(), content.to_vec())
}

pub fn remove(path: &str) -> Change {
    Change::Remove(path.to_owned())
}

/// A row of a table.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What is wrong, in words.
    pub what: &'static str,
    /// What the disk is, and what it is for.
    pub state: State,
    pub profile: Profile,
    /// The generation that it is judged for.
    pub generation: u8,
    pub changes: Vec<Change>,
    /// The codes that must appear beside those of the healthy disk; one that ends in `?` is an error rule that cannot be decided.
    pub codes: Vec<&'static str>,
}

/// A fault of a generalized Windows.
pub fn generalized(what: &'static str, changes: Vec<Change>, codes: &[&'static str]) -> Fault {
    Fault { what, state: State::Generalized, profile: Profile::Azure, generation: 2, changes, codes: codes.to_vec() }
}

/// A fault of a Windows that is one machine.
pub fn specialized(what: &'static str, changes: Vec<Change>, codes: &[&'static str]) -> Fault {
    Fault { state: State::Specialized, ..generalized(what, changes, codes) }
}

/// The same for the marketplace.
pub fn for_marketplace(fault: Fault) -> Fault {
    Fault { profile: Profile::Marketplace, ..fault }
}

/// The same, judged for generation 1. The healthy disk boots by UEFI alone; what is said of that is said before the fault too.
pub fn for_generation_1(fault: Fault) -> Fault {
    Fault { generation: 1, ..fault }
}

/// What the rules say of a disk: each finding with its code, severity and message; undecided error rules.
#[derive(Debug, Clone)]
pub struct Said {
    pub findings: Vec<(&'static str, Severity, String)>,
    pub undecided: Vec<String>,
}

impl Said {
    /// Codes; those of rules that are undecided end in `?`.
    pub fn codes(&self) -> BTreeSet<String> {
        let findings = self.findings.iter().map(|(code, ..)| (*code).to_owned());
        findings.chain(self.undecided.iter().map(|code| format!("{code}?"))).collect()
    }

    fn words(&self) -> String {
        let lines: Vec<String> = self.findings.iter().map(|(code, severity, message)| format!("  {severity} {code}: {message}")).collect();
        format!("{}\n  undecided: {:?}", lines.join("\n"), self.undecided)
    }
}

/// Plants each fault of a table, and holds what the rules say to what the row says.
pub fn plant(table: &[Fault]) {
    let Some(base) = base() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for fault in table {
        let path = home.path().join("planted.vhd");
        base.make(fault.state, &fault.changes, &path);
        let before = base.healthy(fault.state, fault.profile, fault.generation);
        let after = said(&facts(&path), fault.state, fault.profile, fault.generation);
        let new: BTreeSet<String> = after.codes().difference(&before.codes()).cloned().collect();
        let gone: BTreeSet<String> = before.codes().difference(&after.codes()).cloned().collect();
        let wanted: BTreeSet<String> = fault.codes.iter().map(|code| (*code).to_owned()).collect();
        if new != wanted || !gone.is_empty() {
            wrong.push(format!("{}: wanted {wanted:?}, appeared {new:?}, disappeared {gone:?}\n{}", fault.what, after.words()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} faults:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

/// What the rules say of a healthy disk; `None` without the tools.
pub fn healthy_disk(state: State, profile: Profile) -> Option<Said> {
    base().map(|base| base.healthy(state, profile, 2).clone())
}

/// Writes the healthy disk of a state; `false` without the tools.
pub fn write_healthy(state: State, path: &Path) -> bool {
    base().map(|base| base.make(state, &[], path)).is_some()
}

/// Writes the healthy disk of a state with changes; `false` without the tools.
pub fn write_changed(state: State, changes: &[Change], path: &Path) -> bool {
    base().map(|base| base.make(state, changes, path)).is_some()
}

/// A healthy disk's facts; `None` without the tools.
pub fn healthy_facts(state: State) -> Option<DiskFacts> {
    let base = base()?;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("healthy.vhd");
    base.make(state, &[], &path);
    Some(facts(&path))
}

/// Prepares the healthy disk of a state, and holds the image that comes out to be ready too.
pub fn healthy_stays_ready(state: State) {
    let Some(base) = base() else { return };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("healthy.vhd");
    base.make(state, &[], &path);
    stays_ready(&path, &["--as", &state.to_string()]);
}

/// Holds that generalizing offline refuses the healthy disk of a state, and writes nothing.
pub fn is_not_generalized_offline(state: State) {
    let Some(base) = base() else { return };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("windows.vhd");
    base.make(state, &[], &path);
    let (disk, out) = (utf8(&path), home.path().join("out"));
    let report = vhdkit(["generalize", disk, "--format", "json"]).ended(1).json();
    assert_eq!((report["verdict"].as_str(), report["operations"][0]["changes"].as_array().map(Vec::len)), (Some("in_guest"), Some(0)));
    let guest = &report["in_guest"];
    let steps = guest["steps"].to_string();
    assert!(guest["why"].as_str().is_some_and(|why| why.contains("Sysprep")), "{report}");
    assert_eq!(steps.contains("/generalize"), state == State::Specialized, "{steps}");
    let written = vhdkit(["generalize", disk, "--format", "json", "-o", utf8(&out)]).ended(1).json();
    assert_eq!((written["stage"].as_str(), &written["generalize"]["in_guest"]), (Some("not-generalized"), guest));
    vhdkit(["generalize", disk]).ended(1).said("must be generalized in the guest");
    vhdkit(["prepare", disk, "--generalize", "-o", utf8(&out)]).ended(1).said("nothing was written");
    assert!(!out.exists());
}

fn facts(path: &Path) -> DiskFacts {
    let file: Bytes = Arc::new(HostFile::open(path, Access::Positional).unwrap());
    disk(&Source { file: &file, path, search: &ParentSearch::default() }, Options::default()).unwrap().facts
}

/// What the rules say of a disk that is used in a state.
pub fn said(facts: &DiskFacts, state: State, profile: Profile, generation: u8) -> Said {
    let target = Target { state: Some(state), profile, generation: Some(generation), ..Target::default() };
    let outcomes = judge(&[Subject { facts, role: facts.role.clone(), lun: None, in_image: false }], &target, &[]);
    let undecided = outcomes.undecided_errors().map(|outcome| outcome.rule.code.to_owned()).collect();
    let findings = outcomes.findings.into_iter().map(|found| (found.rule.code, found.severity, found.finding.message)).collect();
    Said { findings, undecided }
}

/// What every disk of these tests begins with: healthy file systems in both states.
#[derive(Debug)]
struct Base {
    /// Kept until the process ends.
    home: tempfile::TempDir,
    /// What the rules say of the healthy disks: generalized and specialized, each also for the marketplace, and all for generation 1.
    healthy: [OnceLock<Said>; 8],
}

fn base() -> Option<&'static Base> {
    static BASE: OnceLock<Option<Base>> = OnceLock::new();
    BASE.get_or_init(Base::new).as_ref()
}

/// Makes both healthy disks in this directory, where they can be made.
pub fn healthy_disks(directory: &Path) {
    for state in [State::Generalized, State::Specialized] {
        if let Some(base) = base() {
            base.make(state, &[], &directory.join(format!("guest-windows-{state}.raw")));
        }
    }
}

const HIVES: [&str; 4] = ["SYSTEM", "SOFTWARE", "SAM", "SECURITY"];

impl Base {
    fn new() -> Option<Self> {
        for tool in ["mkntfs", "ntfs-3g", "mformat"] {
            if Command::new(tool).arg("--version").stdin(Stdio::null()).output().is_err() {
                eprintln!("SKIPPED: {tool} is not installed, so no Windows disk can be made");
                return None;
            }
        }
        let base = Self { home: tempfile::tempdir().unwrap(), healthy: Default::default() };
        for state in [State::Generalized, State::Specialized] {
            let hives = base.of(state, "hives");
            if !healthy::registry(state).write(&hives, &["SYSTEM", "SOFTWARE", "SAM", "SECURITY", "BCD"]) {
                eprintln!("SKIPPED: python3 with hivex is not here, so no Windows disk can be made");
                return None;
            }
            make_esp(&base.of(state, "esp"), &hives.join("BCD"));
            let ntfs = base.of(state, "ntfs");
            File::create(&ntfs).unwrap().set_len(NTFS_SIZE).unwrap();
            let start = (NTFS_AT / 512).to_string();
            run("mkntfs", &["-q", "-Q", "-F", "-L", "Windows", "-p", &start, "-H", "255", "-S", "63", "-c", "4096", utf8(&ntfs)]);
            let volume = Mounted::new(&ntfs, &base.home.path().join("mounted"), "rw")?;
            for (path, content) in healthy::files(state) {
                put(&volume.at, &path, &content);
            }
            for hive in HIVES {
                put(&volume.at, &format!("Windows/System32/config/{hive}"), &fs::read(hives.join(hive)).unwrap());
            }
        }
        Some(base)
    }

    fn of(&self, state: State, what: &str) -> PathBuf {
        self.home.path().join(format!("{state}.{what}"))
    }

    /// What the rules say of the healthy disk, asked once.
    fn healthy(&self, state: State, profile: Profile, generation: u8) -> &Said {
        let place =
            usize::from(state == State::Specialized) + 2 * usize::from(profile == Profile::Marketplace) + 4 * usize::from(generation == 1);
        self.healthy[place].get_or_init(|| {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("healthy.vhd");
            self.make(state, &[], &path);
            said(&facts(&path), state, profile, generation)
        })
    }

    /// Writes a healthy disk with changes: a fixed VHD.
    fn make(&self, state: State, changes: &[Change], path: &Path) {
        let work = tempfile::tempdir().unwrap();
        let mut registry = healthy::registry(state);
        let touched: BTreeSet<&'static str> = changes.iter().filter_map(|change| registry.change(change)).collect();
        let hives = work.path().join("hives");
        assert!(touched.is_empty() || registry.write(&hives, &touched.iter().copied().collect::<Vec<_>>()));
        let esp = work.path().join("esp");
        fs::copy(self.of(state, "esp"), &esp).unwrap();
        if touched.contains("BCD") {
            run("mcopy", &["-o", "-i", utf8(&esp), utf8(&hives.join("BCD")), "::/EFI/Microsoft/Boot/BCD"]);
        }
        let ntfs = work.path().join("ntfs");
        copy(&self.of(state, "ntfs"), &File::create(&ntfs).unwrap(), 0);
        File::options().write(true).open(&ntfs).unwrap().set_len(NTFS_SIZE).unwrap();
        let of_volume = |change: &&Change| matches!(change, Change::Write(..) | Change::Remove(_) | Change::Link(..));
        if changes.iter().any(|change| of_volume(&change)) || HIVES.iter().any(|hive| touched.contains(hive)) {
            let volume = Mounted::new(&ntfs, &work.path().join("mounted"), "rw").unwrap();
            for hive in HIVES.iter().filter(|hive| touched.contains(*hive)) {
                put(&volume.at, &format!("Windows/System32/config/{hive}"), &fs::read(hives.join(hive)).unwrap());
            }
            for change in changes {
                match change {
                    Change::Write(path, content) => put(&volume.at, path, content),
                    Change::Remove(path) if volume.at.join(path).is_dir() => fs::remove_dir_all(volume.at.join(path)).unwrap(),
                    Change::Remove(path) => fs::remove_file(volume.at.join(path)).unwrap(),
                    Change::Link(path, value) => link(&volume.at, path, value),
                    _ => {}
                }
            }
        }
        for change in changes {
            match change {
                Change::WriteEsp(path, content) => {
                    let file = work.path().join("file");
                    fs::write(&file, content).unwrap();
                    run("mcopy", &["-o", "-i", utf8(&esp), utf8(&file), &format!("::/{path}")]);
                }
                Change::RemoveEsp(path) => run("mdel", &["-i", utf8(&esp), &format!("::/{path}")]),
                _ => {}
            }
        }
        let sectors = |bytes: u64| bytes / 512;
        let disk = Disk::blank(SIZE).gpt(&[
            (ESP, sectors(ESP_AT), sectors(ESP_SIZE)),
            (RESERVED, sectors(ESP_AT + ESP_SIZE), sectors(MIB)),
            (BASIC, sectors(NTFS_AT), sectors(NTFS_SIZE)),
        ]);
        disk.write_fixed(path);
        let file = File::options().write(true).open(path).unwrap();
        copy(&esp, &file, ESP_AT);
        copy(&ntfs, &file, NTFS_AT);
    }
}

/// An EFI system partition with the loaders of Windows.
fn make_esp(image: &Path, store: &Path) {
    File::create(image).unwrap().set_len(ESP_SIZE).unwrap();
    let size = (ESP_SIZE / 512).to_string();
    run("mformat", &["-i", utf8(image), "-T", &size, "-h", "255", "-s", "63", "-H", "2048", "::"]);
    for directory in ["EFI", "EFI/BOOT", "EFI/Microsoft", "EFI/Microsoft/Boot"] {
        run("mmd", &["-i", utf8(image), &format!("::/{directory}")]);
    }
    let loader = image.with_extension("efi");
    fs::write(&loader, healthy::boot_manager()).unwrap();
    for path in ["EFI/BOOT/BOOTX64.EFI", "EFI/Microsoft/Boot/bootmgfw.efi"] {
        run("mcopy", &["-i", utf8(image), utf8(&loader), &format!("::/{path}")]);
    }
    run("mcopy", &["-i", utf8(image), utf8(store), "::/EFI/Microsoft/Boot/BCD"]);
}

/// Puts a reparse point in place of what is there.
fn link(root: &Path, path: &str, value: &[u8]) {
    let place = root.join(path.trim_end_matches('/'));
    match fs::symlink_metadata(&place) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(&place).unwrap(),
        Ok(_) => fs::remove_file(&place).unwrap(),
        Err(_) => {}
    }
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    if path.ends_with('/') {
        fs::create_dir(&place).unwrap();
    } else {
        fs::write(&place, "").unwrap();
    }
    let value = value.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    run("setfattr", &["-h", "-n", "system.ntfs_reparse_data", "-v", &value, utf8(&place)]);
}

fn put(root: &Path, path: &str, content: &[u8]) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, content).unwrap();
}

/// Copies a file's content, without its zeros, to a place in another.
fn copy(from: &Path, to: &File, at: u64) {
    let mut from = File::open(from).unwrap();
    let zeros = vec![0; 1 << 16];
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0;
    loop {
        let len = from.read(&mut buffer).unwrap();
        if len == 0 {
            return;
        }
        if buffer[..len] != zeros[..len] {
            to.write_all_at(&buffer[..len], at + done).unwrap();
        }
        done += len as u64;
    }
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(tool: &str, args: &[&str]) {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{tool}: {error}"));
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
