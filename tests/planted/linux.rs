//! A small healthy Debian for both generations on a real disk, and what vhdkit says of it after one change.
//!
//! The tree is made here, `mke2fs -d` makes a file system of it and mtools the EFI system partition; the programs in it are headers without
//! code. Nothing of a distribution is in it. VHDKIT_KEEP_PLANTED names a file to which the disk is copied, to be looked at.

use super::ready::stays_ready;
use super::support::Disk;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub const ROOT_UUID: &str = "4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11";
pub const ESP_UUID: &str = "7837-137C";
pub const RELEASE: &str = "6.1.0-56-cloud-amd64";

const MIB: u64 = 1 << 20;
const SECTORS: u64 = MIB / 512;
const SIZE: u64 = 44 * MIB;
const BIOS_BOOT: (u64, u64) = (SECTORS, SECTORS);
const ESP: (u64, u64) = (2 * SECTORS, 16 * SECTORS);
const ROOT: (u64, u64) = (18 * SECTORS, 24 * SECTORS);

/// What a file is.
#[derive(Debug, Clone)]
pub enum Node {
    File(Vec<u8>, u32),
    Link(String),
    Directory(u32),
}

/// A guest that is still to be written to a disk.
#[derive(Debug, Clone, Default)]
pub struct Guest {
    /// The root file system, by path from `/`.
    pub root: BTreeMap<String, Node>,
    /// The EFI system partition, by path from `/`.
    pub esp: BTreeMap<String, Vec<u8>>,
    /// Release of the kernel.
    pub release: String,
    /// What the initramfs holds.
    pub initramfs: BTreeMap<String, Vec<u8>>,
    /// What the root partition holds besides: bytes at an offset of the file system.
    pub patches: Vec<(u64, Vec<u8>)>,
    /// Options of vhdkit besides.
    pub options: Vec<&'static str>,
}

/// One fault, and what vhdkit must say of it beside what it says of the healthy guest.
pub struct Fault {
    pub name: &'static str,
    /// The guest that it is planted in.
    pub guest: fn() -> Guest,
    pub plant: fn(&mut Guest),
    /// Codes that are new, in their order.
    pub finds: &'static [&'static str],
}

impl Guest {
    /// A file of text, in place of what is there.
    pub fn file(&mut self, path: &str, text: impl AsRef<[u8]>) -> &mut Self {
        self.mode(path, text, 0o644)
    }

    /// A file that may be run.
    pub fn program(&mut self, path: &str, text: impl AsRef<[u8]>) -> &mut Self {
        self.mode(path, text, 0o755)
    }

    pub fn mode(&mut self, path: &str, text: impl AsRef<[u8]>, mode: u32) -> &mut Self {
        self.root.insert(path.to_owned(), Node::File(text.as_ref().to_vec(), mode));
        self
    }

    pub fn link(&mut self, path: &str, target: &str) -> &mut Self {
        self.root.insert(path.to_owned(), Node::Link(target.to_owned()));
        self
    }

    pub fn directory(&mut self, path: &str) -> &mut Self {
        self.root.insert(path.to_owned(), Node::Directory(0o755));
        self
    }

    /// Takes away a file, or a directory with all below it.
    #[track_caller]
    pub fn remove(&mut self, path: &str) -> &mut Self {
        let before = self.root.len();
        let below = format!("{path}/");
        self.root.retain(|name, _| name != path && !name.starts_with(&below));
        assert!(self.root.len() < before, "{path} is not there");
        self
    }

    /// The text of a file.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        match self.root.get(path) {
            Some(Node::File(bytes, _)) => String::from_utf8(bytes.clone()).unwrap(),
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Puts one text in place of another, everywhere in a file.
    #[track_caller]
    pub fn replace(&mut self, path: &str, from: &str, to: &str) -> &mut Self {
        let text = self.text(path);
        assert!(text.contains(from), "{path} has no {from}");
        self.file(path, text.replace(from, to))
    }

    /// Puts text at the end of a file.
    pub fn append(&mut self, path: &str, more: &str) -> &mut Self {
        let text = if self.root.contains_key(path) { self.text(path) } else { String::new() };
        self.file(path, text + more)
    }

    /// A module of the kernel, in its tree and in the lists of it.
    pub fn module(&mut self, path: &str) -> &mut Self {
        self.file(&format!("/usr/lib/modules/{RELEASE}/{path}"), module());
        self.append(&format!("/usr/lib/modules/{RELEASE}/modules.dep"), &format!("{path}:\n"))
    }

    /// Takes a module out of the tree and the initramfs.
    #[track_caller]
    pub fn without_module(&mut self, name: &str) -> &mut Self {
        let dep = format!("/usr/lib/modules/{RELEASE}/modules.dep");
        let end = format!("/{name}.ko:");
        let text = self.text(&dep);
        assert!(text.lines().any(|line| line.ends_with(&end)), "no module {name}");
        let kept: String = text.lines().filter(|line| !line.ends_with(&end)).flat_map(|line| [line, "\n"]).collect();
        self.file(&dep, kept);
        self.root.retain(|path, _| !path.ends_with(&format!("/{name}.ko")));
        self.not_early(name)
    }

    /// Takes a module out of the initramfs.
    pub fn not_early(&mut self, name: &str) -> &mut Self {
        self.initramfs.retain(|path, _| !path.ends_with(&format!("/{name}.ko")));
        self
    }

    /// A unit of systemd that starts by itself.
    pub fn enabled(&mut self, unit: &str) -> &mut Self {
        let path = format!("/usr/lib/systemd/system/{unit}");
        self.file(&path, format!("[Unit]\nDescription={unit}\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"));
        self.link(&format!("/etc/systemd/system/multi-user.target.wants/{unit}"), &path)
    }

    /// An installed package of Debian's.
    pub fn package(&mut self, name: &str, version: &str) -> &mut Self {
        let record = format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n");
        self.append("/var/lib/dpkg/status", &record)
    }

    /// Makes its kernel one of another release.
    pub fn with_release(&mut self, release: &str) -> &mut Self {
        let old = std::mem::replace(&mut self.release, release.to_owned());
        let renamed = std::mem::take(&mut self.root).into_iter().map(|(path, node)| {
            let node = match node {
                Node::File(_, mode) if path == format!("/boot/vmlinuz-{old}") => Node::File(kernel(release), mode),
                Node::File(bytes, mode) => match String::from_utf8(bytes) {
                    Ok(text) => Node::File(text.replace(&old, release).into_bytes(), mode),
                    Err(error) => Node::File(error.into_bytes(), mode),
                },
                other => other,
            };
            (path.replace(&old, release), node)
        });
        self.root = renamed.collect();
        let early = std::mem::take(&mut self.initramfs).into_iter();
        self.initramfs = early.map(|(path, bytes)| (path.replace(&old, release), bytes)).collect();
        self
    }

    /// Makes every program one for another processor.
    pub fn with_programs(&mut self, header: &[u8]) -> &mut Self {
        let programs = self.root.values_mut().filter_map(|node| match node {
            Node::File(bytes, 0o755) if bytes.starts_with(b"\x7fELF") => Some(bytes),
            _ => None,
        });
        programs.for_each(|program| *program = header.to_vec());
        self
    }

    /// Adds parameters to the command line of every entry and of the next configuration.
    pub fn parameters(&mut self, more: &str) -> &mut Self {
        self.replace("/boot/grub/grub.cfg", "console=tty0", &format!("{more} console=tty0"));
        self.replace("/etc/default/grub", "console=tty0", &format!("{more} console=tty0"))
    }

    /// Writes the guest to a fixed VHD.
    pub fn write(&self, directory: &Path) -> std::path::PathBuf {
        let (tree, esp) = (directory.join("tree"), directory.join("esp"));
        let mut root = self.root.clone();
        root.insert(format!("/boot/initrd.img-{}", self.release), Node::File(cpio(&self.initramfs), 0o644));
        for (path, node) in &root {
            put(&tree, path, node);
        }
        for (path, bytes) in &self.esp {
            put(&esp, path, &Node::File(bytes.clone(), 0o644));
        }
        let images = (directory.join("root.img"), directory.join("esp.img"));
        let words = |path: &Path| path.to_str().unwrap().to_owned();
        must(
            "mke2fs",
            &[
                "-q",
                "-F",
                "-t",
                "ext4",
                "-O",
                "^metadata_csum",
                "-U",
                ROOT_UUID,
                "-d",
                &words(&tree),
                &words(&images.0),
                &format!("{}k", ROOT.1 / 2),
            ],
        );
        let serial = ESP_UUID.replace('-', "");
        must("mformat", &["-C", "-i", &words(&images.1), "-T", &ESP.1.to_string(), "-h", "64", "-s", "32", "-N", &serial, "::"]);
        for entry in fs::read_dir(&esp).into_iter().flatten() {
            must("mcopy", &["-s", "-i", &words(&images.1), &words(&entry.unwrap().path()), "::"]);
        }
        let at = |(first, _): (u64, u64)| first * 512;
        let disk = Disk::blank(SIZE).gpt(&[
            ("21686148-6449-6e6f-744e-656564454649", BIOS_BOOT.0, BIOS_BOOT.1),
            ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", ESP.0, ESP.1),
            ("0fc63daf-8483-4772-8e79-3d69d8477de4", ROOT.0, ROOT.1),
        ]);
        let mut disk = disk.put(at(ESP), fs::read(&images.1).unwrap()).put(at(ROOT), fs::read(&images.0).unwrap());
        for (offset, bytes) in bios() {
            disk = disk.put(offset, bytes);
        }
        for (offset, bytes) in &self.patches {
            disk = disk.put(at(ROOT) + offset, bytes.clone());
        }
        let path = directory.join("os.vhd");
        disk.write_fixed(&path);
        path
    }

    /// What `vhdkit check` says of it: the document.
    pub fn check(&self) -> Value {
        let directory = tempfile::tempdir().unwrap();
        let path = self.write(directory.path());
        if let Some(kept) = std::env::var_os("VHDKIT_KEEP_PLANTED") {
            fs::copy(&path, kept).unwrap();
        }
        check(&self.options, &path)
    }
}

impl Guest {
    /// What `vhdkit check` says of it together with a copy of itself as a data disk.
    pub fn check_beside_a_copy(&self) -> Value {
        let directory = tempfile::tempdir().unwrap();
        let path = self.write(directory.path());
        let copy = directory.path().join("copy.vhd");
        fs::copy(&path, &copy).unwrap();
        let data = format!("--data=0={}", copy.display());
        check(&[self.options.as_slice(), &[data.as_str()]].concat(), &path)
    }

    /// Prepares it for what it is, and holds the image that comes out to be ready too.
    pub fn stays_ready(&self) {
        let directory = tempfile::tempdir().unwrap();
        stays_ready(&self.write(directory.path()), &self.options);
    }
}

/// What `vhdkit check` says of a disk: the document.
pub fn check(options: &[&str], path: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vhdkit"));
    command.args(["check", "--format", "json"]).args(options).arg(path).stdin(Stdio::null());
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Codes of the findings of a document, with their severities and messages.
pub fn findings(document: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |finding: &Value| (text(&finding["code"]), (text(&finding["severity"]), text(&finding["message"])));
    document["findings"].as_array().into_iter().flatten().map(one).collect()
}

/// Whether disks can be made here.
pub fn able() -> bool {
    let missing = ["mke2fs", "mformat", "mcopy"].into_iter().find(|tool| {
        let found = Command::new(tool).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_err()
    });
    if let Some(tool) = missing {
        eprintln!("SKIPPED: planted faults, since {tool} is not installed");
    }
    missing.is_none()
}

/// Holds every fault of a table against what vhdkit finds.
pub fn judge(table: &[Fault]) {
    if !able() {
        return;
    }
    let mut healthy: Vec<(Vec<&'static str>, BTreeSet<String>)> = Vec::new();
    let mut wrong = Vec::new();
    for fault in table {
        let mut guest = (fault.guest)();
        (fault.plant)(&mut guest);
        // The same question of the healthy guest is asked once.
        let known = match healthy.iter().position(|(options, _)| *options == guest.options) {
            Some(place) => place,
            None => {
                let options = guest.options.clone();
                let document = Guest { options: options.clone(), ..(fault.guest)() }.check();
                healthy.push((options, findings(&document).into_keys().collect()));
                healthy.len() - 1
            }
        };
        let found = findings(&guest.check());
        let new: Vec<&str> = found.keys().filter(|code| !healthy[known].1.contains(*code)).map(String::as_str).collect();
        if new != fault.finds {
            wrong.push(format!("{}: expected {:?}, found {new:?}: {found:#?}", fault.name, fault.finds));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn put(base: &Path, path: &str, node: &Node) {
    let at = base.join(path.trim_start_matches('/'));
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent).unwrap();
    }
    match node {
        Node::File(bytes, mode) => {
            fs::write(&at, bytes).unwrap();
            fs::set_permissions(&at, fs::Permissions::from_mode(*mode)).unwrap();
        }
        Node::Link(target) => symlink(target, &at).unwrap(),
        Node::Directory(mode) => {
            fs::create_dir_all(&at).unwrap();
            fs::set_permissions(&at, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

fn must(tool: &str, args: &[&str]) {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// GRUB's marks for a BIOS: boot code that leads to the BIOS boot partition, and the first sectors of what it starts there.
fn bios() -> Vec<(u64, Vec<u8>)> {
    let mut boot = vec![0; 440];
    boot[..3].copy_from_slice(&[0xeb, 0x63, 0x90]);
    boot[0x5c..0x64].copy_from_slice(&BIOS_BOOT.0.to_le_bytes());
    boot[0x180..0x1a0].copy_from_slice(b"GRUB \0Geom\0Hard Disk\0Read\0 Error");
    let mut core = vec![0; 1024];
    core[..2].copy_from_slice(&[0x52, 0xe8]);
    core[0x100..0x10a].copy_from_slice(b"Geom\0Read\0");
    core[0x1f4..0x1fc].copy_from_slice(&(BIOS_BOOT.0 + 1).to_le_bytes());
    core[0x1fc..0x1fe].copy_from_slice(&1_u16.to_le_bytes());
    core[512..].fill(0x90);
    vec![(0, boot), (BIOS_BOOT.0 * 512, core)]
}

/// A program for UEFI of that machine: headers, an `.sbat` section, and a signature whose certificate has that issuer.
pub fn efi(machine: u16, component: &str, issuer: Option<&str>) -> Vec<u8> {
    const SECTIONS: usize = 0x40 + 24 + 240;
    let mut program = vec![0; 0x400];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x40;
    program[0x40..0x44].copy_from_slice(b"PE\0\0");
    program[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    program[0x46] = 1;
    program[0x54] = 240;
    program[0x58..0x5a].copy_from_slice(&[0x0b, 0x02]);
    program[0x58 + 68] = 10;
    // Sixteen data directories.
    program[0x58 + 108] = 16;
    let text = format!("sbat,1,SBAT Version,sbat,1,https://example.org\n{component},4,Test,{component},1,https://example.org\n");
    let length = u32::try_from(text.len()).unwrap();
    program[SECTIONS..SECTIONS + 5].copy_from_slice(b".sbat");
    program[SECTIONS + 8..SECTIONS + 12].copy_from_slice(&length.to_le_bytes());
    program[SECTIONS + 12..SECTIONS + 16].copy_from_slice(&0x1000_u32.to_le_bytes());
    program[SECTIONS + 16..SECTIONS + 20].copy_from_slice(&0x200_u32.to_le_bytes());
    program[SECTIONS + 20..SECTIONS + 24].copy_from_slice(&0x200_u32.to_le_bytes());
    program[0x200..0x200 + text.len()].copy_from_slice(text.as_bytes());
    if let Some(signature) = issuer.and_then(signature) {
        let length = (signature.len() + 8).next_multiple_of(8);
        let (at, size) = (program.len(), u32::try_from(length).unwrap());
        program.extend(size.to_le_bytes());
        program.extend([0x00, 0x02, 0x02, 0x00]);
        program.extend(&signature);
        program.resize(at + length, 0);
        let directory = 0x58 + 112 + 4 * 8;
        program[directory..directory + 4].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
        program[directory + 4..directory + 8].copy_from_slice(&size.to_le_bytes());
    }
    program
}

/// A PKCS #7 signature of nothing by a certificate of that issuer, by openssl; `None` where that is not installed.
fn signature(issuer: &str) -> Option<Vec<u8>> {
    static MADE: OnceLock<std::sync::Mutex<BTreeMap<String, Option<Vec<u8>>>>> = OnceLock::new();
    let mut made = MADE.get_or_init(std::sync::Mutex::default).lock().unwrap();
    made.entry(issuer.to_owned()).or_insert_with(|| sign(issuer)).clone()
}

fn sign(issuer: &str) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days 30 -subj \"/O=Tests/CN=$1\" -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -sha256 -subj '/O=Tests/CN=Test signer' -keyout a.key -out a.csr
        openssl x509 -req -days 30 -in a.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out a.pem
        echo nothing > text
        openssl smime -sign -binary -nodetach -in text -signer a.pem -inkey a.key -outform DER -out signature";
    let ran = Command::new("sh").args(["-c", script, "sh", issuer]).current_dir(directory.path()).stdin(Stdio::null()).output().unwrap();
    if !ran.status.success() {
        eprintln!("SKIPPED: signatures of loaders, since openssl does not make any: {}", String::from_utf8_lossy(&ran.stderr));
        return None;
    }
    Some(fs::read(directory.path().join("signature")).unwrap())
}

/// A kernel image of x64: the header that the boot protocol asks for, and the release.
pub fn kernel(release: &str) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x600_u16.to_le_bytes());
    image[0x236] = 0x7f;
    let text = format!("{release} (debian-kernel@lists.debian.org) #1 SMP");
    image[0x800..0x800 + text.len()].copy_from_slice(text.as_bytes());
    image
}

/// The header of an ELF program of that class (1 for 32 bits, 2 for 64) and machine.
pub fn elf(class: u8, machine: u16) -> Vec<u8> {
    let mut program = vec![0x7f, b'E', b'L', b'F', class, 1, 1];
    program.resize(64, 0);
    program[16] = 3;
    program[18..20].copy_from_slice(&machine.to_le_bytes());
    program
}

/// A module that carries a signature's mark.
pub fn module() -> Vec<u8> {
    [&elf(2, 62)[..], b"~Module signature appended~\n"].concat()
}

/// A cpio archive in the new format.
fn cpio(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut entry = |number: usize, name: &str, mode: u32, bytes: &[u8]| {
        let (size, length) = (bytes.len(), name.len() + 1);
        let fields = format!(
            "070701{number:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{size:08x}{0:08x}{0:08x}{0:08x}{0:08x}{length:08x}{0:08x}",
            0, 1
        );
        archive.extend(fields.as_bytes());
        archive.extend(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(4), 0);
    };
    let mut directories = BTreeSet::new();
    for name in files.keys() {
        let parts: Vec<&str> = name.split('/').collect();
        directories.extend((1..parts.len()).map(|count| parts[..count].join("/")));
    }
    let mut number = 1;
    for name in &directories {
        entry(number, name, 0o040_755, b"");
        number += 1;
    }
    for (name, bytes) in files {
        entry(number, name, 0o100_644, bytes);
        number += 1;
    }
    entry(0, "TRAILER!!!", 0, b"");
    archive
}
