//! Boot loaders and their configurations, read by vhdkit and by other people's programs.
//!
//! PE programs are signed with `sbsign` and keys made here by `openssl`, and listed with `sbverify`; those on the EFI system partitions of
//! real disks likewise. Environment blocks come from `grub-editenv`, and `grub-script-check` says which scripts are scripts. What is not
//! installed, or not there, is skipped loudly.
#![cfg(unix)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::{BootFacts, Fact, LinuxBootFacts, Role};
use vhdkit::fs::Tree;
use vhdkit::guest::elf;
use vhdkit::guest::linux::grub::{Environment, NoFiles, default_grub, grub_config, grub_environment};
use vhdkit::guest::pe::Pe;

fn run(tool: &str, args: &[&str]) -> Option<Output> {
    match Command::new(tool).args(args).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: {tool}: {error}");
            None
        }
    }
}

/// Runs a tool that must succeed, where it is installed.
fn must(tool: &str, args: &[&str]) -> Option<String> {
    let output = run(tool, args)?;
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn image(name: &str) -> Option<PathBuf> {
    let folder = std::env::var("VHDKIT_IMAGES").unwrap_or_else(|_| "../images".to_owned());
    let path = Path::new(&folder).join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there", path.display());
    }
    path.exists().then_some(path)
}

fn open(path: &Path) -> Bytes {
    Arc::new(HostFile::open(path, Access::default()).unwrap())
}

/// One signature: the issuer that counts, and the certificates in it as (subject, issuer).
#[derive(Debug, PartialEq, Eq, Default)]
struct Listed {
    issuer: String,
    certificates: Vec<(String, String)>,
}

/// The common name of `/C=US/O=X/CN=Y`.
fn common_name(name: &str) -> String {
    name.rsplit("/CN=").next().unwrap().trim().to_owned()
}

/// What `sbverify --list` says.
fn sbverify(path: &Path) -> Option<Vec<Listed>> {
    let output = run("sbverify", &["--list", path.to_str().unwrap()])?;
    let mut all: Vec<Listed> = vec![];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.starts_with("signature ") {
            all.push(Listed::default());
        } else if let Some(name) = line.strip_prefix(" - subject: ") {
            all.last_mut().unwrap().certificates.push((common_name(name), String::new()));
        } else if let Some(name) = line.strip_prefix("   issuer:  ") {
            all.last_mut().unwrap().certificates.last_mut().unwrap().1 = common_name(name);
        } else if let Some(name) = line.strip_prefix(" - ") {
            all.last_mut().unwrap().issuer = common_name(name);
        }
    }
    Some(all)
}

/// Both list the same signatures.
fn same_signatures(path: &Path, at_least: usize) {
    let Some(listed) = sbverify(path) else { return };
    let bytes = open(path);
    let ours = Pe::read(&*bytes).unwrap().signatures(&*bytes).unwrap();
    assert_eq!(ours.len(), listed.len(), "{}", path.display());
    assert!(ours.len() >= at_least, "{}", path.display());
    for (ours, listed) in ours.into_iter().zip(&listed) {
        let signer = ours.unwrap().signers.remove(0);
        assert_eq!(signer.issuers[0], listed.issuer, "{}", path.display());
        // The chain, one certificate after another.
        let mut subject = &signer.subject;
        for issuer in &signer.issuers {
            assert!(listed.certificates.contains(&(subject.clone(), issuer.clone())), "{subject} by {issuer}: {listed:?}");
            subject = issuer;
        }
        assert!(!listed.certificates.iter().any(|(name, issuer)| name == subject && name != issuer), "{listed:?} goes on");
    }
}

/// Copies everything below `\EFI` of a disk's EFI system partition; the partition starts at that byte.
fn copy_esp(disk: &Path, offset: u64, to: &Path) -> bool {
    let from = format!("{}@@{offset}", disk.display());
    let copied = Command::new("mcopy").args(["-s", "-n", "-i", &from, "::/EFI", to.to_str().unwrap()]).output();
    let done = copied.as_ref().is_ok_and(|output| output.status.success());
    if !done {
        eprintln!("SKIPPED: mcopy: {copied:?}");
    }
    done
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            all.extend(programs(&entry));
        } else if entry.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("efi")) {
            all.push(entry);
        }
    }
    all.sort();
    all
}

#[test]
fn signers_of_real_loaders() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = image("A.raw") else { return };
    if !copy_esp(&disk, 8192 * 512, dir.path()) {
        return;
    }
    let all = programs(dir.path());
    assert!(all.len() >= 6, "{all:?}");
    for path in all {
        same_signatures(&path, 1);
        let bytes = open(&path);
        let pe = Pe::read(&*bytes).unwrap();
        assert_eq!((pe.architecture().as_str(), pe.subsystem), ("x64", 10));
    }
    let shim = open(&dir.path().join("EFI/BOOT/BOOTX64.EFI"));
    let pe = Pe::read(&*shim).unwrap();
    let issuers: Vec<_> = pe.signatures(&*shim).unwrap().into_iter().map(|one| one.unwrap().signers[0].issuers[0].clone()).collect();
    assert_eq!(issuers, ["Microsoft Corporation UEFI CA 2011", "Microsoft UEFI CA 2023"]);
}

/// A certificate authority and a signer below it; `None` where openssl is not installed.
fn keys(dir: &Path) -> Option<()> {
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-sha256"];
    let more = |args: &[&str]| must("openssl", &[&new[..], args].concat());
    more(&["-x509", "-days", "3650", "-subj", "/O=Tests/CN=Test CA", "-keyout", &at("ca.key"), "-out", &at("ca.pem")])?;
    more(&["-subj", "/O=Tests/CN=Test signer", "-keyout", &at("a.key"), "-out", &at("a.csr")])?;
    let ca = ["-CA", &at("ca.pem"), "-CAkey", &at("ca.key"), "-CAcreateserial"].map(str::to_owned);
    let ca: Vec<&str> = ca.iter().map(String::as_str).collect();
    must("openssl", &[&["x509", "-req", "-days", "3650", "-in", &at("a.csr"), "-out", &at("a.pem")][..], &ca].concat())?;
    must(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "9",
            "-subj",
            "/CN=Alone",
            "-keyout",
            &at("b.key"),
            "-out",
            &at("b.pem"),
        ],
    )?;
    Some(())
}

#[test]
fn signers_of_programs_signed_here() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = image("A.raw") else { return };
    if !copy_esp(&disk, 8192 * 512, dir.path()) || keys(dir.path()).is_none() {
        return;
    }
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let source = at("EFI/BOOT/fbx64.efi");
    if must("sbattach", &["--remove", &source]).is_none() {
        return;
    }
    same_signatures(Path::new(&source), 0);
    let sign = |key: &str, from: &str, to: &str, more: &[&str]| {
        let (private, certificate, to) = (at(&format!("{key}.key")), at(&format!("{key}.pem")), at(to));
        let args = [&["--key", &private, "--cert", &certificate][..], more, &["--output", &to, from]].concat();
        must("sbsign", &args)
    };
    if sign("a", &source, "one.efi", &[]).is_none() {
        return;
    }
    same_signatures(&dir.path().join("one.efi"), 1);
    // With the issuer's certificate, and a second signature.
    sign("a", &source, "chain.efi", &["--addcert", &at("ca.pem")]).unwrap();
    same_signatures(&dir.path().join("chain.efi"), 1);
    sign("b", &at("chain.efi"), "two.efi", &[]).unwrap();
    let two = dir.path().join("two.efi");
    same_signatures(&two, 2);
    let bytes = open(&two);
    let names: Vec<_> =
        Pe::read(&*bytes).unwrap().signatures(&*bytes).unwrap().into_iter().map(|one| one.unwrap().signers.remove(0)).collect();
    assert_eq!((names[0].subject.as_str(), names[0].issuers[0].as_str()), ("Test signer", "Test CA"));
    assert_eq!((names[1].subject.as_str(), names[1].issuers.as_slice()), ("Alone", &["Alone".to_owned()][..]));
}

#[test]
fn processors_of_programs() {
    for path in ["/bin/ls", "/usr/bin/env", "/bin/sh"] {
        let Some(told) = run("readelf", &["-h", path]).map(|output| String::from_utf8_lossy(&output.stdout).into_owned()) else { return };
        let Some(machine) = told.lines().find_map(|line| line.trim().strip_prefix("Machine:")) else { continue };
        let expected = match machine.trim() {
            "Advanced Micro Devices X86-64" => "x64",
            "AArch64" => "Arm64",
            "Intel 80386" => "x86",
            other => return eprintln!("SKIPPED: no name for {other}"),
        };
        assert_eq!(elf::architecture(&fs::read(path).unwrap()).as_deref(), Some(expected), "{path}");
    }
}

#[test]
fn environment_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let block = dir.path().join("grubenv");
    let block = block.to_str().unwrap();
    if must("grub-editenv", &[block, "create"]).is_none() {
        return;
    }
    let values = [("saved_entry", "a>b c"), ("kernelopts", "root=/dev/x ro \"a b\" c\\d"), ("boot_success", "1"), ("odd", "#x")];
    for (key, value) in values {
        must("grub-editenv", &[block, "set", &format!("{key}={value}")]).unwrap();
    }
    let found = grub_environment(&fs::read_to_string(block).unwrap()).unwrap();
    assert_eq!(found, values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
}

/// What `grub-script-check` takes, we read as what it is; each with the command line of its first entry.
#[test]
fn scripts() {
    let dir = tempfile::tempdir().unwrap();
    for (place, (script, line)) in [
        ("menuentry 'a b' --class x { linux /k a=1 \"b c\"\n initrd /i\n}\n", "a=1 b c"),
        ("menuentry a {\n\tset x=1 ; linux /k $x ${x}2 \"$x\"'$x'\n}\n", "1 12 1$x"),
        ("function f {\n set y=\"$1\"\n}\nmenuentry a { f z; linux /k $y; }\n", "z"),
        ("if [ a = b ]; then\n x=1\nelif [ -n c -a d != e ]; then x=2; else x=3; fi\nmenuentry a { linux /k $x; }\n", "2"),
        ("submenu s { menuentry a --id=q { linux /k a\\ b; } }\n", "a b"),
        ("# comment\nx=\"a\\\nb\"\nmenuentry a { linux /k $x # more\n}\n", "ab"),
        ("for i in 1 2; do echo $i; done; menuentry a { linux /k }\n", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let path = dir.path().join(place.to_string());
        fs::write(&path, script).unwrap();
        if must("grub-script-check", &[path.to_str().unwrap()]).is_none() {
            return;
        }
        let config = grub_config(script, &Environment::default(), &NoFiles).unwrap();
        assert_eq!(config.entries[0].command_line.as_deref(), Some(line), "{script}");
    }
}

/// A file of a disk's ext4 file system, by debugfs.
fn debugfs(disk: &Path, offset: u64, path: &str) -> Option<String> {
    let output = run("debugfs", &["-R", &format!("cat {path}"), &format!("{}?offset={offset}", disk.display())])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (!text.is_empty()).then_some(text)
}

#[test]
fn the_command_line_of_a_real_disk() {
    let Some(disk) = image("A.raw") else { return };
    let offset = 139_264 * 512;
    let (Some(script), Some(settings)) = (debugfs(&disk, offset, "/boot/grub/grub.cfg"), debugfs(&disk, offset, "/etc/default/grub"))
    else {
        return eprintln!("SKIPPED: debugfs read nothing from {}", disk.display());
    };
    let config = grub_config(&script, &Environment::default(), &NoFiles).unwrap();
    let entry = &config.entries[config.default_entry().unwrap()];
    // What update-grub writes: the root, then both settings.
    let settings = default_grub([("/etc/default/grub", settings.as_str())]);
    let uuid = "a0000000-0000-4000-8000-0000000000a1";
    let parts = [settings.get("GRUB_CMDLINE_LINUX"), settings.get("GRUB_CMDLINE_LINUX_DEFAULT")];
    let tail = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    assert_eq!(entry.command_line.as_deref(), Some(format!("root=UUID={uuid} ro {tail}").as_str()));
    assert_eq!(entry.search.as_ref().unwrap().uuid.as_deref(), Some(uuid));
    assert_eq!((config.terminal_output.join(" ").as_str(), config.timeout.as_deref()), ("console serial", Some("1")));
    assert!(config.not_understood.is_empty(), "{:?}", config.not_understood);
}

fn inspected(disk: &Path) -> vhdkit::facts::DiskFacts {
    let file = open(disk);
    let source = Source { file: &file, path: disk, search: &ParentSearch::default() };
    vhdkit::inspect::disk(&source, vhdkit::inspect::Options::default()).unwrap().facts
}

#[test]
fn real_disks_boot_as_they_were_made() {
    for (name, generations, first) in [
        ("A.raw", &[1_u8, 2][..], "generation 1: GRUB in the MBR and its core.img in the BIOS boot partition (14)"),
        ("B.raw", &[1], "generation 1: GRUB in the MBR and its core.img in the gap before the first partition"),
        ("C.raw", &[1, 2], "generation 1: GRUB in the MBR and its core.img in the BIOS boot partition (14)"),
        ("D.raw", &[1, 2], "generation 1: GRUB in the MBR and its core.img in the BIOS boot partition (14)"),
        ("E.raw", &[1, 2], "generation 1: GRUB in the MBR and its core.img in the BIOS boot partition (14)"),
    ] {
        let Some(disk) = image(name) else { return };
        let facts = inspected(&disk);
        let boot: &BootFacts = facts.boot.value().unwrap();
        assert_eq!(boot.evidence[0], first, "{name}");
        assert_eq!(boot.generations, Fact::Known(generations.to_vec()), "{name}: {:?}", boot.evidence);
        assert_eq!(facts.role, Fact::Known(Role::Os), "{name}");
        if generations.len() == 1 {
            assert!(boot.architecture.reason().is_some() && boot.esp == Fact::Absent);
            continue;
        }
        assert_eq!(boot.evidence[1], r"generation 2: \EFI\BOOT\BOOTX64.EFI (shim, x64) on the EFI system partition (15)");
        assert_eq!(boot.architecture, Fact::Known("x64".to_owned()));
        let names: Vec<_> = boot.loaders.value().unwrap().iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["GRUB", "shim", "shim fallback", "GRUB", "MokManager", "GRUB", "MokManager", "shim"], "{name}");
        let esp = boot.esp.value().unwrap();
        let uuid = format!("{}0000000-0000-4000-8000-0000000000", name[..1].to_ascii_lowercase());
        let config = &esp.grub_configs.value().unwrap()[0];
        assert!(config.search_uuid.as_ref().unwrap().starts_with(&uuid), "{config:?}");
        let fallback = esp.fallback.value().unwrap();
        assert_eq!(fallback.complete, Fact::Known(true), "{}", fallback.evidence);
    }
    for name in ["data-ext4.raw", "data-ntfs.raw"] {
        let Some(disk) = image(name) else { return };
        let facts = inspected(&disk);
        assert_eq!((facts.boot, facts.role), (Fact::Absent, Fact::Known(Role::Data)), "{name}");
    }
}

/// The whole way from a disk's files to facts.
#[test]
fn real_files_to_facts() {
    let Some(path) = image("A.raw") else { return };
    let disk = open(&path);
    let part = |start: u64, size: u64| -> Bytes { Arc::new(vhdkit::bytes::Slice::clamped(disk.clone(), start * 512, size * 512)) };
    let open = |kind: &str, bytes: Bytes| vhdkit::fs::open(kind, bytes).unwrap().unwrap();
    let root = open("ext4", part(139_264, 4_052_992));
    let at = root.root();
    let mut tree = Tree::new("partition 1", root, at);
    let esp = open("vfat", part(8192, 131_072));
    let at = esp.root();
    tree.mount("/boot/efi", "partition 15", esp, at);
    let facts: LinuxBootFacts = vhdkit::inspect::linux::learn(&tree).boot;
    let Some(script) = debugfs(&path, 139_264 * 512, "/boot/grub/grub.cfg") else { return };
    let (number, line) =
        script.lines().zip(1..).find_map(|(text, n)| Some((n, text.trim().strip_prefix("linux")?.trim().to_owned()))).unwrap();
    let (kernel, arguments) = line.split_once(' ').unwrap();
    assert_eq!(facts.command_line, Fact::Known(arguments.to_owned()));
    assert_eq!(facts.command_line_source, Fact::Known(format!("/boot/grub/grub.cfg:{number}")));
    assert_eq!(facts.loader, Fact::Known("grub".to_owned()));
    let entry = &facts.entries.value().unwrap()[0];
    assert_eq!((entry.kernel.as_deref(), entry.missing.as_slice()), (Some(kernel), &[][..]));
    assert_eq!(facts.consoles, Fact::Known(vec!["tty0".to_owned(), "ttyS0,115200n8".to_owned()]));
    assert_eq!(facts.unified_kernels, Fact::Known(vec![]));
    assert!(facts.not_understood.is_empty() && facts.other_command_lines.is_empty(), "{facts:?}");
}
