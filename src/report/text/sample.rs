//! Facts, rules and findings as they usually are, for the tests of this folder.

use crate::facts::{
    BlockTableFacts, BootFacts, ChecksumFacts, ContentFacts, DiskFacts, DiskKind, DynamicHeaderFacts, Fact, FooterFacts, GeometryFacts,
    LoaderFacts, PartitionFacts, PartitionTableFacts, Role,
};
use crate::report::Look;
use crate::rules::{Check, Finding, Found, Need, Outcome, Outcomes, Place, Profile, Remedy, Rule, Severity, Skip};

pub(in crate::report) const PLAIN: Look = Look { color: false, width: 80, verbose: false };

pub(in crate::report) fn footer() -> FooterFacts {
    FooterFacts {
        cookie: "conectix".to_owned(),
        features: 2,
        format_version: 0x1_0000,
        data_offset: 512,
        timestamp: "2024-05-06T07:08:09Z".to_owned(),
        creator_application: "tap\0".to_owned(),
        creator_version: 0x1_0003,
        creator_host_os: "\0\0\0\0".to_owned(),
        original_size: 30 << 30,
        current_size: 30 << 30,
        geometry: GeometryFacts { cylinders: 62_415, heads: 16, sectors: 63 },
        disk_type: 3,
        checksum: ChecksumFacts { stored: 0xffff_e8df, computed: 0xffff_e8df },
        unique_id: "8392ddae-ee02-9e4f-8111-50f4f6c6f227".to_owned(),
        saved_state: false,
        offset: 1_258_353_664,
        length: 512,
    }
}

fn partition(number: u32, start: u64, size: u64, kind: &str, name: &str, content: Option<(&str, &str, &str)>) -> PartitionFacts {
    PartitionFacts {
        number,
        start,
        size,
        kind: kind.to_owned(),
        type_name: Some(name.to_owned()),
        name: None,
        guid: Some(format!("00000000-0000-4000-8000-{number:012}")),
        bootable: false,
        boot_code: None,
        content: Fact::from(content.map(|(kind, label, uuid)| ContentFacts {
            kind: kind.to_owned(),
            uuid: Some(uuid.to_owned()),
            label: Some(label.to_owned()),
            size: Fact::Known(size),
            used: Fact::unknown("file systems are not read by this version"),
            clean: Fact::Known(true),
            sealed: None,
            detail: vec![],
        })),
    }
}

/// A dynamic OS disk with a GPT.
pub(in crate::report) fn disk() -> DiskFacts {
    let esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    let linux = "0fc63daf-8483-4772-8e79-3d69d8477de4";
    let bios = "21686148-6449-6e6f-744e-656564454649";
    DiskFacts {
        path: "disk.vhd".to_owned(),
        role: Fact::Known(Role::Os),
        role_evidence: vec!["partition 14: a BIOS boot partition".to_owned(), "partition 15: an EFI system partition".to_owned()],
        format: "vhd".to_owned(),
        format_detail: None,
        kind: Fact::Known(DiskKind::Dynamic),
        virtual_size: Fact::Known(30 << 30),
        sector_size: Fact::Known(512),
        file_size: 1_258_354_176,
        allocated_size: Fact::Known(1200 << 20),
        footer: Fact::Known(footer()),
        footer_copy: Fact::Known(FooterFacts { offset: 0, ..footer() }),
        dynamic_header: Fact::Known(DynamicHeaderFacts {
            table_offset: 1536,
            header_version: 0x1_0000,
            max_table_entries: 15_360,
            block_size: 2 << 20,
            checksum: ChecksumFacts { stored: 1, computed: 1 },
            parent: Fact::Absent,
            offset: 512,
        }),
        block_table: Fact::Known(BlockTableFacts { entries: 15_360, allocated: 600, out_of_range: 0, overlapping: 0 }),
        bitmaps: Fact::Absent,
        parents: Fact::Absent,
        stale_footers: Fact::Known(vec![]),
        deviations: vec![],
        readable: Fact::Known(true),
        advice: None,
        partition_table: Fact::Known(PartitionTableFacts {
            scheme: "gpt".to_owned(),
            sector_size: 512,
            disk_guid: Some("44949761-48b2-4f3c-9791-01a21632788e".to_owned()),
            disk_signature: None,
            primary_valid: Some(true),
            backup_valid: Some(true),
            backup_offset: Some((30 << 30) - 512),
            backup_expected_offset: Some((30 << 30) - 512),
            rebuild_refused: None,
            needs_rebuild: false,
            boot_code: Some("GRUB".to_owned()),
            hybrid: false,
            problems: vec![],
        }),
        partitions: Fact::Known(vec![
            partition(
                1,
                111 << 20,
                32_095_863_296,
                linux,
                "Linux filesystem",
                Some(("ext4", "cloudimg-rootfs", "0f3b9c55-7f5e-4d3b-9d6a-2f2a1c1e0a11")),
            ),
            partition(14, 1 << 20, 4 << 20, bios, "BIOS boot", None),
            partition(15, 5 << 20, 106 << 20, esp, "EFI System Partition", Some(("vfat", "UEFI", "7837-137C"))),
        ]),
        content: Fact::Absent,
        volumes: Fact::Known(vec![]),
        volume_groups: Fact::Known(vec![]),
        boot: Fact::Known(BootFacts {
            generations: Fact::unknown("file systems are not read by this version"),
            architecture: Fact::unknown("file systems are not read by this version"),
            loaders: Fact::Known(vec![LoaderFacts {
                generation: 1,
                name: "GRUB".to_owned(),
                place: "MBR".to_owned(),
                ..LoaderFacts::default()
            }]),
            evidence: vec![
                "generation 1: GRUB in the MBR and a BIOS boot partition".to_owned(),
                "generation 2: an EFI system partition (15)".to_owned(),
            ],
            ..BootFacts::default()
        }),
        os: Fact::unknown("file systems are not read by this version"),
    }
}

macro_rules! rule {
    ($id:ident, $code:literal, $name:literal, $severity:ident, $azure:expr) => {
        pub(in crate::report) static $id: Rule = Rule {
            code: $code,
            name: $name,
            requirement: "C-99",
            also: &[],
            severity: Severity::$severity,
            marketplace: None,
            profile: Profile::Azure,
            applies_to: "all disks",
            summary: "The virtual disk is a fixed one, whatever made it.",
            azure_error: $azure,
            source: "https://learn.microsoft.com/azure",
            docs: "## What it checks\n\nThat *one* thing, in `bytes`; see [the docs](https://x.example/a). Two * three.\n\n- a first item \
                   that is long enough to be wrapped onto a second line of its own\n- **second**\n\n```sh\nvhdkit  prepare x\n```\n",
            check: Check::Image(|_, _| Ok(vec![])),
        };
    };
}
rule!(FIXED, "VHD002", "not-fixed", Error, Some("Only fixed VHDs are supported."));
rule!(BOOT, "GEN005", "no-boot-loader", Error, None);
rule!(NAME, "VHD020", "file-name", Warning, None);
rule!(AGENT, "LNX030", "no-agent", Error, None);
rule!(SYSPREP, "WGN001", "not-generalized", Error, None);

pub(in crate::report) fn found(rule: &'static Rule, remedy: Remedy) -> Found {
    let finding = Finding {
        message: "the disk is dynamic, but Azure takes only fixed ones; the upload ends in a refusal".to_owned(),
        actual: "3 (dynamic)".to_owned(),
        required: "2 (fixed)".to_owned(),
        place: Some(Place::Bytes { offset: 1_258_353_724, length: 4 }),
        remedy,
    };
    Found { rule, disk: Some(0), severity: rule.severity, finding, waived: None }
}

fn outcome(rule: &'static Rule, result: Result<usize, Skip>) -> Outcome {
    Outcome { rule, disk: Some(0), severity: rule.severity, result, waived: None }
}

/// One finding that `prepare` cures, one warning, two passes.
pub(in crate::report) fn curable() -> Outcomes {
    let mut name = found(&NAME, Remedy::hand("rename the file"));
    name.finding = Finding { message: "the name does not end in .vhd".to_owned(), actual: String::new(), place: None, ..name.finding };
    Outcomes {
        outcomes: vec![
            outcome(&FIXED, Ok(1)),
            outcome(&NAME, Ok(1)),
            outcome(&BOOT, Ok(0)),
            outcome(&AGENT, Err(Skip::not_applicable("not an OS disk"))),
        ],
        findings: vec![found(&FIXED, Remedy::Prepare(Need::Rewrite)), name],
        waivers: vec![],
    }
}

/// As [`curable`], with one to cure by hand, one waived, and one undecided.
pub(in crate::report) fn hard() -> Outcomes {
    let mut out = curable();
    out.findings.insert(0, found(&BOOT, Remedy::hand("install a boot loader for the generation that the machine will have")));
    let mut waived = found(&BOOT, Remedy::hand("nothing"));
    waived.waived = Some("known".to_owned());
    waived.finding.place = Some(Place::File { path: "/etc/fstab".to_owned(), line: Some(7) });
    out.findings.push(waived);
    out.outcomes = vec![
        outcome(&FIXED, Ok(1)),
        outcome(&BOOT, Ok(2)),
        outcome(&NAME, Ok(1)),
        outcome(&AGENT, Err(Skip::Undecided("file systems are not read by this version".to_owned()))),
    ];
    out
}
