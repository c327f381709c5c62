//! Disks built in code: which generation starts what, and why not.

use super::*;
use crate::bytes::{MIB, Memory, SECTOR};
use crate::container::{self, ParentSearch, Source};
use crate::facts::ContentFacts;
use crate::fs::testing::{Item, MemoryFileSystem};
use crate::guest::pe::testing::{entry, pkcs7, program};
use crate::partition::{self, Scheme};

const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";
const LINUX: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

/// A disk of 4 MiB with boot code, and a table that lists its partitions: number, type, first sector, sectors, active, content.
struct Made {
    disk: Vec<u8>,
    scheme: Scheme,
    partitions: Vec<PartitionFacts>,
    regions: Vec<Region>,
}

fn made(scheme: Scheme) -> Made {
    Made { disk: vec![0; 4 * MIB as usize], scheme, partitions: vec![], regions: vec![] }
}

impl Made {
    fn partition(mut self, number: u32, kind: &str, first: u64, sectors: u64, content: Option<&str>) -> Self {
        let content = content.map(|kind| ContentFacts {
            kind: kind.to_owned(),
            uuid: None,
            label: None,
            size: Fact::Absent,
            used: Fact::Absent,
            clean: Fact::Absent,
            sealed: None,
            detail: vec![],
        });
        self.partitions.push(PartitionFacts {
            number,
            start: first * SECTOR,
            size: sectors * SECTOR,
            kind: kind.to_owned(),
            type_name: None,
            name: None,
            guid: None,
            bootable: false,
            boot_code: None,
            content: content.into(),
        });
        self
    }

    /// Marks the last partition active, with boot code.
    fn active(mut self, code: Option<&str>) -> Self {
        let last = self.partitions.last_mut().unwrap();
        last.bootable = true;
        last.boot_code = code.map(str::to_owned);
        self
    }

    /// Files on the last partition.
    fn files(mut self, files: &[(&str, &[u8])]) -> Self {
        let mut fs = MemoryFileSystem::new(true);
        for (path, content) in files {
            let item = match (path.ends_with('/'), *content) {
                (true, _) => Item::Directory,
                (false, b"!damaged") => Item::Damaged,
                (false, content) => Item::File(content.to_vec()),
            };
            fs.add(path, item, 0o644, 0);
        }
        self.region(Some(Ok(Arc::new(fs))));
        self
    }

    fn broken(mut self) -> Self {
        self.region(Some(Err(fs::Error::Damaged("made so".to_owned()))));
        self
    }

    fn region(&mut self, fs: Option<Result<Arc<dyn FileSystem>, fs::Error>>) {
        let last = self.partitions.last().unwrap();
        let kind = last.content.value().map(|content| content.kind.clone()).unwrap_or_default();
        self.regions.push(Region { partition: Some(last.number), kind, fs });
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.disk[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// GRUB's boot.img, which leads to that sector.
    fn grub(self, sector: u64) -> Self {
        let code =
            self.put(0, &[0xeb, 0x63, 0x90]).put(0x5c, &sector.to_le_bytes()).put(0x180, b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0");
        code.put(510, &[0x55, 0xaa])
    }

    /// The first sector of core.img, and what it leads to.
    fn core(self, sector: u64, rest: u64) -> Self {
        let at = sector as usize * 512;
        let core = self.put(at, b"\x52\x56").put(at + 0x180, b"loading\0.\0\r\n\0Geom\0Read\0 Error\0");
        core.put(at + 0x1f4, &rest.to_le_bytes()).put(at + 0x1fc, &[0x50, 1, 0x20, 8]).put(rest as usize * 512, b"code")
    }

    fn windows_mbr(self) -> Self {
        self.put(0, b"\x33\xc0")
            .put(0x163, b"Invalid partition table\0Error loading operating system\0Missing operating system")
            .put(510, &[0x55, 0xaa])
    }

    fn learn(self) -> Booting {
        self.learn_with(None)
    }

    fn learn_with(self, os: Option<&str>) -> Booting {
        let disk: Bytes = Arc::new(Memory(self.disk));
        let table = PartitionTable {
            scheme: self.scheme,
            sector_size: SECTOR,
            partitions: self
                .partitions
                .iter()
                .map(|one| partition::Partition {
                    number: one.number,
                    start: one.start,
                    size: one.size,
                    kind: partition::PartitionType::Mbr(0),
                    name: None,
                    guid: None,
                    bootable: one.bootable,
                    attributes: 0,
                    role: partition::Role::Primary,
                    at: 0,
                })
                .collect(),
            mbr: None,
            gpt: None,
            problems: vec![],
        };
        let facts = facts(self.partitions);
        learn(&disk, Some(&table), &facts, &self.regions, os).unwrap()
    }
}

/// What a disk's facts are before booting is asked for.
fn facts(partitions: Vec<PartitionFacts>) -> DiskFacts {
    let file: Bytes = Arc::new(Memory(vec![0; 1024]));
    let search = ParentSearch::default();
    let source = Source { file: &file, path: std::path::Path::new("disk.raw"), search: &search };
    let container = container::open(&source).unwrap();
    let mut facts = crate::inspect::container::facts(&source, &container, crate::inspect::Options::default()).unwrap();
    facts.partition_table = Fact::Absent;
    facts.partitions = Fact::Known(partitions);
    facts
}

fn x64(names: &[(&str, &str)], sections: &[(&str, &[u8])]) -> Vec<u8> {
    let table = if names.is_empty() { vec![] } else { entry(2, &pkcs7(names)) };
    program(0x8664, sections, &table)
}

const SHIM_SBAT: &[u8] = b"sbat,1,SBAT Version\nshim,4,UEFI shim,shim,1,x\nshim.debian,1,Debian,shim,16.1,x\n";
const GRUB_SBAT: &[u8] = b"sbat,1,SBAT Version\ngrub,5,FSF,grub,2.06,x\n";

fn shim() -> Vec<u8> {
    x64(&[("Publisher", "UEFI CA 2011"), ("UEFI CA 2011", "Root")], &[(".sbat", SHIM_SBAT)])
}

fn grub_efi() -> Vec<u8> {
    x64(&[("Signer", "Distribution CA")], &[(".sbat", GRUB_SBAT), ("mods", b"modules")])
}

fn boot(booting: &Booting) -> &BootFacts {
    booting.boot.value().unwrap()
}

/// Generations, or `?`, and the sentence about the one asked for.
fn told(booting: &Booting, generation: usize) -> (String, String) {
    let Some(boot) = booting.boot.value() else { return ("absent".to_owned(), booting.evidence.join("; ")) };
    let generations = boot.generations.value().map_or("?".to_owned(), |all| format!("{all:?}"));
    (generations, boot.evidence[generation - 1].clone())
}

#[test]
fn a_hybrid_boots_both_ways() {
    let stub = b"search.fs_uuid 1234-abcd root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n";
    let csv: Vec<u8> = "\u{feff}shimx64.efi,debian,,entry\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let disk = made(Scheme::Gpt).grub(2048).core(2048, 2049).partition(14, BIOS_BOOT, 2048, 100, None);
    let found = disk
        .partition(15, ESP, 3000, 1000, Some("vfat"))
        .files(&[
            ("/EFI/debian/shimx64.efi", &shim()),
            ("/EFI/debian/grubx64.efi", &grub_efi()),
            ("/EFI/debian/grub.cfg", stub),
            ("/EFI/debian/BOOTX64.CSV", &csv),
            ("/EFI/BOOT/BOOTX64.EFI", &shim()),
            ("/EFI/BOOT/fbx64.efi", &x64(&[], &[(".sbat", SHIM_SBAT)])),
            ("/EFI/BOOT/mmx64.efi", &x64(&[], &[(".sbat", SHIM_SBAT)])),
            ("/EFI/BOOT/grubx64.efi", &grub_efi()),
        ])
        .learn();
    let boot = boot(&found);
    assert_eq!(boot.generations, Fact::Known(vec![1, 2]));
    assert_eq!(boot.architecture, Fact::Known("x64".to_owned()));
    assert_eq!(
        boot.evidence,
        [
            "generation 1: GRUB in the MBR and its core.img in the BIOS boot partition (14)",
            r"generation 2: \EFI\BOOT\BOOTX64.EFI (shim, x64) on the EFI system partition (15)"
        ]
    );
    assert_eq!(found.role, Fact::Known(Role::Os));
    let all = boot.loaders.value().unwrap();
    let names: Vec<_> = all.iter().map(|one| (one.path.as_deref().unwrap_or(&one.place), one.name.as_str(), one.fallback)).collect();
    assert_eq!(
        names,
        [
            ("MBR", "GRUB", false),
            (r"\EFI\BOOT\BOOTX64.EFI", "shim", true),
            (r"\EFI\BOOT\fbx64.efi", "shim fallback", false),
            (r"\EFI\BOOT\grubx64.efi", "GRUB", false),
            (r"\EFI\BOOT\mmx64.efi", "MokManager", false),
            (r"\EFI\debian\grubx64.efi", "GRUB", false),
            (r"\EFI\debian\shimx64.efi", "shim", false),
        ]
    );
    let signer = &all[1].signed_by.value().unwrap()[0];
    assert_eq!(
        (signer.subject.as_str(), signer.issuer.as_deref(), signer.chain.as_slice()),
        ("Publisher", Some("UEFI CA 2011"), &["Root".to_owned()][..])
    );
    assert_eq!(all[2].signed_by, Fact::Known(vec![]));
    assert_eq!(all[1].sbat.value().unwrap()[1].version, "16.1");
    let esp = boot.esp.value().unwrap();
    assert_eq!((esp.partition, esp.directories.as_slice()), (15, &["BOOT".to_owned(), "debian".to_owned()][..]));
    assert_eq!((&esp.windows_boot_manager, &esp.bcd), (&Fact::Known(false), &Fact::Known(false)));
    let config = &esp.grub_configs.value().unwrap()[0];
    assert_eq!((config.path.as_str(), config.search_uuid.as_deref(), config.entries), (r"\EFI\debian\grub.cfg", Some("1234-abcd"), false));
    assert_eq!(config.leads_to.as_deref(), Some("(1234-abcd)/boot/grub/grub.cfg"));
    let fallback = esp.fallback.value().unwrap();
    assert_eq!(fallback.complete, Fact::Known(true));
    assert_eq!(fallback.evidence, r"shim starts \EFI\BOOT\fbx64.efi, and that starts \EFI\debian\shimx64.efi by \EFI\debian\BOOTX64.CSV");
    assert_eq!(fallback.grub.as_deref(), Some(r"\EFI\BOOT\grubx64.efi"));
}

#[test]
fn grub_needs_its_second_part() {
    let gpt = || made(Scheme::Gpt).partition(1, BIOS_BOOT, 2048, 100, None);
    let mbr = || made(Scheme::Mbr).partition(1, "0x83", 2048, 100, Some("ext4"));
    for (disk, generations, text) in [
        (gpt().grub(2048).core(2048, 2049), "[1]", "GRUB in the MBR and its core.img in the BIOS boot partition (1)"),
        (mbr().grub(1).core(1, 2), "[1]", "GRUB in the MBR and its core.img in the gap before the first partition"),
        (mbr().grub(2050).core(2050, 2060), "[1]", "GRUB in the MBR and its core.img in partition 1"),
        (mbr().grub(3000).core(3000, 3001), "[1]", "GRUB in the MBR and its core.img in a gap between partitions"),
        (gpt().grub(2048), "[]", "GRUB in the MBR leads to sector 2048, which is empty; its core.img is missing"),
        (gpt().grub(1).put(512, b"EFI PART"), "[]", "GRUB in the MBR leads to sector 1, where the GPT stands; its core.img is missing"),
        (mbr().grub(0), "[]", "GRUB in the MBR leads to sector 0, which is not on the disk; its core.img is missing"),
        (mbr().grub(u64::MAX), "[]", "which is not on the disk; its core.img is missing"),
        (mbr().grub(1).core(1, 9).put(9 * 512, &[0; 4]), "[]", "but the rest is missing"),
        (mbr().grub(1).put(512, b"x"), "?", "does not look like its core.img"),
    ] {
        let found = disk.learn();
        let (known, evidence) = told(&found, 1);
        assert_eq!(known, generations, "{evidence}");
        assert!(evidence.contains(text), "{evidence}");
    }
    let found = mbr().grub(1).core(1, 2).learn();
    assert_eq!(boot(&found).architecture.reason(), Some("a boot sector does not tell 32-bit systems from 64-bit ones"));
}

#[test]
fn windows_needs_its_files() {
    let active = || made(Scheme::Mbr).windows_mbr().partition(1, "0x07", 2048, 100, Some("ntfs")).active(Some("Windows BOOTMGR"));
    for (disk, generations, text) in [
        (active().files(&[("/bootmgr", b"x"), ("/Boot/BCD", b"regf")]), "[1]", r"with boot code (Windows BOOTMGR), \bootmgr and \Boot\BCD"),
        (active().files(&[("/BOOTMGR", b"x")]), "[]", r"but \Boot\BCD is missing"),
        (active().files(&[]), "[]", r"but \bootmgr is missing"),
        (active().broken(), "?", "whether its files are there is not known: damaged: made so"),
        (active(), "?", "the partition was not opened"),
        (active().active(Some("GRUB")), "[1]", "active partition 1 with boot code (GRUB)"),
        (active().active(Some("not bootable")), "[]", "partition 1 is active but has no boot sector"),
        (active().partition(2, "0x07", 3000, 10, None).active(None), "[]", "2 partitions are active"),
        (made(Scheme::Gpt).windows_mbr().partition(1, LINUX, 2048, 9, None).active(None), "[]", "the MBR of Windows on a GPT"),
        (made(Scheme::Mbr).windows_mbr().partition(1, "0x07", 2048, 9, None), "[]", "but no active partition"),
    ] {
        let (known, evidence) = told(&disk.learn(), 1);
        assert_eq!(known, generations, "{evidence}");
        assert!(evidence.contains(text), "{evidence}");
    }
}

#[test]
fn generation_2_needs_the_fallback_loader() {
    let esp = |files: &[(&str, &[u8])]| made(Scheme::Gpt).partition(1, ESP, 2048, 100, Some("vfat")).files(files);
    let arm = program(0xaa64, &[], &[]);
    let kernel = x64(&[], &[(".linux", b"kernel"), (".cmdline", b"quiet")]);
    let boot_manager: Vec<u8> = "OriginalFilename bootmgr.exe Microsoft".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let boot_manager = x64(&[("Microsoft Windows", "Windows Production PCA")], &[(".rsrc", &boot_manager)]);
    for (disk, generations, text) in [
        (esp(&[("/efi/boot/bootx64.efi", &grub_efi())]), "[2]", r"\EFI\boot\bootx64.efi (GRUB, x64)"),
        (esp(&[("/EFI/BOOT/BOOTAA64.EFI", &arm)]), "[2]", r"\EFI\BOOT\BOOTAA64.EFI (unknown, Arm64)"),
        (esp(&[("/EFI/Boot/bootx64.efi", &kernel)]), "[2]", "(unified kernel image, x64)"),
        (esp(&[("/EFI/Boot/bootx64.efi", &boot_manager)]), "[2]", "(Windows Boot Manager, x64)"),
        (esp(&[("/EFI/BOOT/BOOTX64.EFI", &arm)]), "[]", "is a program for Arm64, not for x64"),
        (esp(&[("/EFI/BOOT/BOOTX64.EFI", b"text")]), "[]", "not a PE program"),
        (esp(&[("/EFI/BOOT/BOOTX64.EFI", &grub_efi()[..80])]), "?", "damaged PE program"),
        (esp(&[("/EFI/BOOT/BOOTX64.EFI", &arm), ("/EFI/BOOT/BOOTAA64.EFI", &arm)]), "[2]", "(unknown, Arm64)"),
        (esp(&[("/EFI/BOOT/BOOTX64.EFI", b"!damaged")]), "?", "cannot be read: damaged: /EFI/BOOT/BOOTX64.EFI: made so"),
        (
            esp(&[("/EFI/debian/shimx64.efi", &shim())]),
            "[]",
            r"\EFI\debian\shimx64.efi is on the EFI system partition (1), \EFI\BOOT\BOOTX64.EFI is not",
        ),
        (esp(&[("/EFI/BOOT/", b""), ("/EFI/x/", b"")]), "[]", r"has no program in \EFI (BOOT, x)"),
        (esp(&[]), "[]", r"has no directory \EFI"),
        (made(Scheme::Gpt).partition(1, ESP, 2048, 100, Some("vfat")).broken(), "?", "cannot be read: damaged: made so"),
        (made(Scheme::Gpt).partition(1, ESP, 2048, 100, Some("ext4")), "[]", "holds ext4, not FAT"),
        (
            made(Scheme::Mbr).partition(1, "0xef", 2048, 100, Some("vfat")).files(&[("/EFI/BOOT/BOOTX64.EFI", &grub_efi())]),
            "?",
            "in an MBR",
        ),
        (
            esp(&[]).partition(2, ESP, 3000, 100, Some("vfat")).files(&[("/EFI/BOOT/BOOTX64.EFI", &grub_efi())]),
            "[2]",
            "on the EFI system partition (2)",
        ),
    ] {
        let (known, evidence) = told(&disk.learn(), 2);
        assert_eq!(known, generations, "{evidence}");
        assert!(evidence.contains(text), "{evidence}");
    }
}

#[test]
fn what_the_fallback_loader_needs_is_told() {
    let fallback = |files: &[(&str, &[u8])]| {
        let found = made(Scheme::Gpt).partition(1, ESP, 2048, 100, Some("vfat")).files(files).learn();
        boot(&found).esp.value().unwrap().fallback.value().unwrap().clone()
    };
    let csv: Vec<u8> = "gone.efi,x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let own = x64(&[], &[("mods", b"search.fs_uuid 1234 root\nset prefix=($root)'/boot/grub'\n")]);
    let module = x64(&[], &[("mods", b"search.fs_uuid\0search")]);
    let windows: Vec<u8> = "bootmgr Microsoft".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let windows = x64(&[], &[(".rsrc", &windows)]);
    let sd = x64(&[], &[(".sdmagic", b"#### LoaderInfo: systemd-boot 252 ####")]);
    let at = "/EFI/BOOT/BOOTX64.EFI";
    for (files, complete) in [
        (vec![(at, shim())], Some(false)),
        (vec![(at, shim()), ("/EFI/BOOT/grubx64.efi", grub_efi())], Some(true)),
        (vec![(at, shim()), ("/EFI/BOOT/fbx64.efi", shim()), ("/EFI/x/BOOTX64.CSV", csv)], Some(false)),
        (vec![(at, grub_efi()), ("/EFI/x/grub.cfg", b"menuentry a { linux /a; }".to_vec())], Some(true)),
        (vec![(at, own)], Some(true)),
        (vec![(at, module)], None),
        (vec![(at, windows.clone())], Some(false)),
        (vec![(at, windows), ("/EFI/Microsoft/Boot/BCD", vec![])], Some(true)),
        (vec![(at, sd.clone())], None),
        (vec![(at, sd), ("/loader/entries/a.conf", vec![])], Some(true)),
        (vec![(at, program(0x8664, &[], &[]))], None),
    ] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (*path, content.as_slice())).collect();
        let found = fallback(&files);
        assert_eq!(found.complete.value().copied(), complete, "{}", found.evidence);
    }
}

#[test]
fn an_empty_esp_makes_no_os_disk() {
    let esp = |files: &[(&str, &[u8])]| {
        made(Scheme::Gpt).partition(1, ESP, 2048, 100, Some("vfat")).files(files).partition(2, LINUX, 3000, 100, Some("ext4"))
    };
    assert_eq!(esp(&[]).learn().role, Fact::Known(Role::Data));
    let found = esp(&[]).learn_with(Some("Debian 12"));
    assert_eq!((found.role, found.evidence), (Fact::Known(Role::Os), vec!["Debian 12 is installed on it".to_owned()]));
    let found = esp(&[("/EFI/debian/shimx64.efi", &shim())]).learn();
    assert_eq!((found.role, found.evidence), (Fact::Known(Role::Os), vec!["partition 1: an EFI system partition".to_owned()]));
    assert_eq!(made(Scheme::Gpt).partition(1, ESP, 2048, 100, Some("vfat")).broken().learn().role, Fact::Known(Role::Os));
    let bare = made(Scheme::Mbr).partition(1, "0x83", 2048, 100, Some("ext4")).learn();
    assert_eq!(told(&made(Scheme::Mbr).learn(), 1).0, "absent");
    assert_eq!((bare.boot, bare.role), (Fact::Absent, Fact::Known(Role::Data)));
}
