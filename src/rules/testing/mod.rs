//! Healthy disks for the tests of rules, and a short way to ask a rule about a changed one.

pub(in crate::rules) mod linux;
pub(in crate::rules) mod windows;

use super::{Check, Finding, Judgement, Rule, Skip, Subject, Target};
use crate::bytes::{GIB, MIB, SECTOR};
use crate::facts::*;

pub(in crate::rules) const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
pub(in crate::rules) const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";
pub(in crate::rules) const BASIC_DATA: &str = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";
const LINUX: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

/// Size of the healthy OS disk: inside the Marketplace's ranges for both families.
pub(in crate::rules) const OS_SIZE: u64 = 40 * GIB;

/// A fixed VHD of Hyper-V's with a Linux that boots in both generations.
pub(crate) fn healthy_os() -> DiskFacts {
    let mut facts = fixed(OS_SIZE);
    let bytes = |n: u64| n * MIB;
    let partitions = vec![
        partition(1, bytes(1), bytes(4), BIOS_BOOT, Fact::Absent),
        partition(2, bytes(5), bytes(100), ESP, Fact::Known(ContentFacts { uuid: Some("7837-137C".to_owned()), ..content("vfat") })),
        partition(
            3,
            bytes(105),
            OS_SIZE - bytes(106),
            LINUX,
            Fact::Known(ContentFacts { uuid: Some(linux::ROOT_UUID.to_owned()), ..content("ext4") }),
        ),
    ];
    facts.path = "images/os.vhd".to_owned();
    facts.role = Fact::Known(Role::Os);
    facts.partitions = Fact::Known(partitions);
    facts.boot = Fact::Known(BootFacts {
        generations: Fact::Known(vec![1, 2]),
        architecture: Fact::Known("x64".to_owned()),
        loaders: Fact::Known(grub_by_shim()),
        esp: Fact::Known(EspFacts {
            partition: 2,
            directories: vec!["BOOT".to_owned(), "debian".to_owned()],
            windows_boot_manager: Fact::Known(false),
            bcd: Fact::Known(false),
            grub_configs: Fact::Known(vec![EspGrubConfigFacts {
                path: r"\EFI\debian\grub.cfg".to_owned(),
                search_uuid: Some(linux::ROOT_UUID.to_owned()),
                search_label: None,
                leads_to: Some(format!("({})/boot/grub/grub.cfg", linux::ROOT_UUID)),
                entries: false,
            }]),
            fallback: Fact::Known(FallbackFacts {
                path: r"\EFI\BOOT\BOOTX64.EFI".to_owned(),
                grub: Some(r"\EFI\BOOT\grubx64.efi".to_owned()),
                entry_maker: None,
                entry_lists: vec![],
                complete: Fact::Known(true),
                evidence: "shim finds GRUB beside it, and GRUB its configuration".to_owned(),
            }),
        }),
        evidence: vec!["GRUB stands in sector 0".to_owned()],
    });
    facts.os = Fact::Known(linux::os_facts());
    facts
}

/// The same disk with a Linux that is one machine.
pub(in crate::rules) fn specialized_linux(change: impl FnOnce(&mut DiskFacts)) -> DiskFacts {
    os(|facts| {
        linux::specialize(known(&mut facts.os));
        change(facts);
    })
}

/// The healthy Linux, changed.
pub(in crate::rules) fn linux(change: impl FnOnce(&mut LinuxFacts)) -> DiskFacts {
    os(|facts| change(known(&mut known(&mut facts.os).linux)))
}

/// A fixed VHD with a generalized Windows for generation 2, changed.
pub(in crate::rules) fn windows_disk(change: impl FnOnce(&mut DiskFacts)) -> DiskFacts {
    os(|facts| {
        let bytes = |n: u64| n * MIB;
        facts.partitions = Fact::Known(vec![
            partition(1, bytes(1), bytes(16), "e3c9e316-0b5c-4db8-817d-f92df00215ae", Fact::Absent),
            partition(2, bytes(17), bytes(100), ESP, Fact::Known(content("vfat"))),
            partition(3, bytes(117), OS_SIZE - bytes(118), BASIC_DATA, Fact::Known(content("ntfs"))),
        ]);
        known(&mut facts.partition_table).boot_code = None;
        facts.boot = Fact::Known(BootFacts {
            generations: Fact::Known(vec![2]),
            architecture: Fact::Known("x64".to_owned()),
            loaders: Fact::Known(vec![windows_boot_manager()]),
            esp: Fact::Known(EspFacts {
                partition: 2,
                directories: vec!["BOOT".to_owned(), "Microsoft".to_owned()],
                windows_boot_manager: Fact::Known(true),
                bcd: Fact::Known(true),
                grub_configs: Fact::Known(vec![]),
                fallback: Fact::Known(FallbackFacts {
                    path: r"\EFI\BOOT\BOOTX64.EFI".to_owned(),
                    grub: None,
                    entry_maker: None,
                    entry_lists: vec![],
                    complete: Fact::Known(true),
                    evidence: "the Windows boot manager and its store are there".to_owned(),
                }),
            }),
            evidence: vec!["the Windows boot manager stands in its place".to_owned()],
        });
        facts.os = Fact::Known(windows::os_facts());
        change(facts);
    })
}

/// The healthy Windows, changed.
pub(crate) fn windows(change: impl FnOnce(&mut WindowsFacts)) -> DiskFacts {
    windows_disk(|facts| change(known(&mut known(&mut facts.os).windows)))
}

/// The same disk with a Windows that is one machine, changed.
pub(in crate::rules) fn specialized_windows(change: impl FnOnce(&mut WindowsFacts)) -> DiskFacts {
    windows_disk(|facts| {
        windows::specialize(known(&mut facts.os));
        change(known(&mut known(&mut facts.os).windows));
    })
}

/// A boot loader signed for Microsoft's own firmware key.
fn windows_boot_manager() -> LoaderFacts {
    LoaderFacts {
        generation: 2,
        name: "Windows Boot Manager".to_owned(),
        place: "partition 2".to_owned(),
        path: Some(r"\EFI\BOOT\BOOTX64.EFI".to_owned()),
        program: Fact::Known(true),
        architecture: Fact::Known("x64".to_owned()),
        signed_by: Fact::Known(vec![SignerFacts {
            subject: "Microsoft Windows".to_owned(),
            issuer: Some("Windows UEFI CA 2023".to_owned()),
            chain: vec![],
        }]),
        sbat: Fact::Absent,
        fallback: true,
        size: Some(2_000_000),
    }
}

/// shim and GRUB as a distribution installs them for removable media.
fn grub_by_shim() -> Vec<LoaderFacts> {
    let grub = LoaderFacts { generation: 1, name: "GRUB".to_owned(), place: "MBR".to_owned(), ..LoaderFacts::default() };
    let shim = LoaderFacts {
        name: "shim".to_owned(),
        signed_by: Fact::Known(vec![SignerFacts {
            subject: "Microsoft Windows UEFI Driver Publisher".to_owned(),
            issuer: Some("Microsoft UEFI CA 2023".to_owned()),
            chain: vec![],
        }]),
        ..windows_boot_manager()
    };
    let second = LoaderFacts {
        name: "GRUB".to_owned(),
        path: Some(r"\EFI\BOOT\grubx64.efi".to_owned()),
        signed_by: Fact::Known(vec![SignerFacts {
            subject: "Debian Secure Boot Signer 2022 - grub2".to_owned(),
            issuer: Some("Debian Secure Boot CA".to_owned()),
            chain: vec![],
        }]),
        fallback: false,
        ..windows_boot_manager()
    };
    vec![grub, shim, second]
}

/// A fixed VHD with one file system.
pub(in crate::rules) fn healthy_data() -> DiskFacts {
    let mut facts = fixed(100 * GIB);
    facts.path = r"D:\images\data.VHD".to_owned();
    facts.role = Fact::Known(Role::Data);
    facts.partitions = Fact::Known(vec![partition(1, MIB, 99 * GIB, LINUX, Fact::Known(content("xfs")))]);
    if let Fact::Known(table) = &mut facts.partition_table {
        table.boot_code = None;
        table.disk_guid = Some("7d0a4c11-2b8e-4a57-8d0f-64c1f2b39a05".to_owned());
    }
    facts
}

fn fixed(size: u64) -> DiskFacts {
    DiskFacts {
        path: String::new(),
        role: Fact::Absent,
        role_evidence: vec![],
        format: "vhd".to_owned(),
        format_detail: None,
        kind: Fact::Known(DiskKind::Fixed),
        virtual_size: Fact::Known(size),
        sector_size: Fact::Known(512),
        file_size: size + SECTOR,
        allocated_size: Fact::Known(size / 4),
        footer: Fact::Known(footer(size)),
        footer_copy: Fact::Absent,
        dynamic_header: Fact::Absent,
        block_table: Fact::Absent,
        bitmaps: Fact::Absent,
        parents: Fact::Absent,
        stale_footers: Fact::Known(vec![]),
        deviations: vec![],
        readable: Fact::Known(true),
        advice: None,
        partition_table: Fact::Known(PartitionTableFacts {
            scheme: "gpt".to_owned(),
            sector_size: SECTOR,
            disk_guid: Some("2f6b1c5e-8f43-4f0a-9a51-3a1d6f1f7c11".to_owned()),
            disk_signature: None,
            primary_valid: Some(true),
            backup_valid: Some(true),
            backup_offset: Some(size - SECTOR),
            backup_expected_offset: Some(size - SECTOR),
            rebuild_refused: None,
            needs_rebuild: false,
            boot_code: Some("GRUB".to_owned()),
            hybrid: false,
            problems: vec![],
        }),
        partitions: Fact::Absent,
        content: Fact::Absent,
        volumes: Fact::Known(vec![]),
        volume_groups: Fact::Known(vec![]),
        boot: Fact::Absent,
        os: Fact::Absent,
    }
}

fn footer(size: u64) -> FooterFacts {
    FooterFacts {
        cookie: "conectix".to_owned(),
        features: 2,
        format_version: 0x1_0000,
        data_offset: u64::MAX,
        timestamp: "2026-11-20T00:00:00Z".to_owned(),
        creator_application: "win ".to_owned(),
        creator_version: 0xa_0000,
        creator_host_os: "Wi2k".to_owned(),
        original_size: size,
        current_size: size,
        geometry: GeometryFacts { cylinders: 65_535, heads: 16, sectors: 255 },
        disk_type: 2,
        checksum: ChecksumFacts { stored: 0xffff_e5d1, computed: 0xffff_e5d1 },
        unique_id: "8a6f2a63-54a9-44f5-93a9-5b4f2c5e1d22".to_owned(),
        saved_state: false,
        offset: size,
        length: 512,
    }
}

/// A file system without more to tell.
pub(in crate::rules) fn content(kind: &str) -> ContentFacts {
    ContentFacts {
        kind: kind.to_owned(),
        uuid: None,
        label: None,
        size: Fact::Absent,
        used: Fact::Absent,
        clean: Fact::Known(true),
        sealed: None,
        detail: vec![],
    }
}

pub(in crate::rules) fn partition(number: u32, start: u64, size: u64, kind: &str, content: Fact<ContentFacts>) -> PartitionFacts {
    PartitionFacts {
        number,
        start,
        size,
        kind: kind.to_owned(),
        type_name: None,
        name: None,
        guid: None,
        bootable: false,
        boot_code: None,
        content,
    }
}

/// The healthy OS disk, changed.
pub(in crate::rules) fn os(change: impl FnOnce(&mut DiskFacts)) -> DiskFacts {
    let mut facts = healthy_os();
    change(&mut facts);
    facts
}

/// The healthy data disk, changed.
pub(in crate::rules) fn data(change: impl FnOnce(&mut DiskFacts)) -> DiskFacts {
    let mut facts = healthy_data();
    change(&mut facts);
    facts
}

/// The healthy OS disk as a dynamic one, changed.
pub(in crate::rules) fn dynamic(change: impl FnOnce(&mut DiskFacts)) -> DiskFacts {
    os(|facts| {
        facts.kind = Fact::Known(DiskKind::Dynamic);
        facts.file_size = 10 * GIB + 2048;
        let end = known(&mut facts.footer);
        (end.disk_type, end.data_offset, end.offset) = (3, 512, 10 * GIB + 1536);
        facts.footer_copy = Fact::Known(FooterFacts { offset: 0, ..end.clone() });
        facts.block_table = Fact::Known(BlockTableFacts { entries: 20_480, allocated: 5000, out_of_range: 0, overlapping: 0 });
        facts.bitmaps =
            Fact::Known(BitmapFacts { blocks: 5000, read: 5000, clear_sectors: 0, conflicts: Fact::Known(0), first_conflict: None });
        change(facts);
    })
}

/// A file that is no disk.
pub(in crate::rules) fn gzip() -> DiskFacts {
    DiskFacts {
        path: "disk.vhd".to_owned(),
        format: "gzip".to_owned(),
        format_detail: Some("gzip of disk.raw".to_owned()),
        kind: Fact::Absent,
        virtual_size: Fact::Absent,
        file_size: 5000,
        allocated_size: Fact::Absent,
        footer: Fact::Absent,
        stale_footers: Fact::Absent,
        readable: Fact::unknown("the file is gzip of disk.raw"),
        advice: Some("Unpack it first: gunzip disk.gz.".to_owned()),
        partition_table: Fact::Absent,
        volumes: Fact::Absent,
        volume_groups: Fact::Absent,
        ..fixed(GIB)
    }
}

/// The value of a fact that a healthy disk has.
pub(in crate::rules) fn known<T>(fact: &mut Fact<T>) -> &mut T {
    match fact {
        Fact::Known(value) => value,
        _ => panic!("a fact that the healthy disk knows"),
    }
}

/// A deviation of that code.
pub(in crate::rules) fn deviation(code: &str) -> DeviationFacts {
    DeviationFacts { code: code.to_owned(), offset: 512, length: 4, expected: "this".to_owned(), found: "that".to_owned() }
}

pub(in crate::rules) fn problem(code: &str) -> TableProblemFacts {
    TableProblemFacts { code: code.to_owned(), offset: 1024, message: format!("{code}: expected this, found that") }
}

pub(crate) fn subject(facts: &DiskFacts) -> Subject<'_> {
    Subject { facts, role: facts.role.clone(), lun: None, in_image: false }
}

/// What a rule says of a disk: `pass`, `not applicable`, `undecided`, or by whom each finding is cured, as in `prepare, hand`.
pub(in crate::rules) fn ask(rule: &Rule, facts: &DiskFacts) -> String {
    ask_for(rule, &subject(facts), &Target::default())
}

/// As [`ask`], of a disk in an image and for a target.
pub(in crate::rules) fn ask_for(rule: &Rule, subject: &Subject<'_>, target: &Target) -> String {
    let Check::Disk(check) = rule.check else { panic!("{} asks images", rule.code) };
    answer(rule, check(subject, target))
}

/// What a rule over the disks of an image says of them.
pub(in crate::rules) fn ask_image(rule: &Rule, subjects: &[Subject<'_>], target: &Target) -> String {
    let Check::Image(check) = rule.check else { panic!("{} asks disks", rule.code) };
    answer(rule, check(subjects, target))
}

fn answer(rule: &Rule, judgement: Judgement) -> String {
    match judgement {
        Err(Skip::NotApplicable(reason)) => {
            sentence(rule, &reason);
            "not applicable".to_owned()
        }
        Err(Skip::Undecided(_)) => "undecided".to_owned(),
        Ok(findings) if findings.is_empty() => "pass".to_owned(),
        Ok(findings) => {
            let cures: Vec<_> = findings.iter().map(|finding| well_formed(rule, finding).remedy.by()).collect();
            cures.join(", ")
        }
    }
}

/// The findings of a rule that must have some.
pub(in crate::rules) fn findings(rule: &Rule, facts: &DiskFacts, target: &Target) -> Vec<Finding> {
    let Check::Disk(check) = rule.check else { panic!("{} asks images", rule.code) };
    let findings = check(&subject(facts), target).unwrap();
    assert!(!findings.is_empty(), "{} finds nothing", rule.code);
    findings
}

/// Every finding is written alike: a message without a full stop, both values, a cure.
pub(in crate::rules) fn well_formed<'a>(rule: &Rule, finding: &'a Finding) -> &'a Finding {
    sentence(rule, &finding.message);
    for text in [&finding.actual, &finding.required, &finding.remedy.text()] {
        assert!(!text.is_empty() && !text.contains('\n'), "{}: {finding:?}", rule.code);
    }
    finding
}

fn sentence(rule: &Rule, text: &str) {
    assert!(!text.is_empty() && !text.ends_with('.') && !text.contains('\n') && !text.contains("  "), "{}: {text:?}", rule.code);
}
