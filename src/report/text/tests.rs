//! Whole texts.

use super::expected::EXPECTED;
use super::sample::{self, PLAIN};
use super::{check, explain, inspect, prepare, rules, verify};
use crate::facts::{DeviationFacts, DiskFacts, Fact};
use crate::prepare::{self as preparing, Manifest, Plan, Step, Tool, Waived};
use crate::report::{Checked, Look, Planned, Prepared, Stage, VerifiedImage};
use crate::rules::{Outcomes, RULES, Remedy, Target};

static TARGET: Target = Target {
    state: None,
    profile: crate::rules::Profile::Azure,
    generation: None,
    fail_on: crate::rules::Severity::Error,
    kept: std::collections::BTreeSet::new(),
};

fn checked<'a>(disks: &'a [&'a DiskFacts], outcomes: &'a Outcomes) -> Checked<'a> {
    Checked { disks, outcomes, target: &TARGET, image: None, luns: &[] }
}

fn steps() -> Vec<Step> {
    vec![
        Step::WriteFixed { from: "dynamic VHD".to_owned() },
        Step::WriteFooter { size: 30 << 30, unique_id: "8392ddae-ee02-9e4f-8111-50f4f6c6f227".to_owned() },
    ]
}

fn manifest() -> Manifest {
    Manifest {
        schema_version: 1,
        tool: Tool::this(),
        image: preparing::Image { kind: None, name: "disk".to_owned(), state: None, generation: None, architecture: None, os: None },
        disks: vec![preparing::Disk {
            role: Some("os".to_owned()),
            lun: None,
            unique_id: None,
            file: "disk.vhd".to_owned(),
            virtual_size: 30 << 30,
            upload_size_bytes: (30 << 30) + 512,
            fsverity: Some("sha256:5d2e3b6a91c0f4485d2e3b6a91c0f4485d2e3b6a91c0f4485d2e3b6a91c0f448".to_owned()),
            sha256: None,
            data_bytes: 1_100_000_000,
            trimmed_bytes: 0,
            source: preparing::Source {
                path: "disk.vhd".to_owned(),
                format: "vhd".to_owned(),
                kind: Some("dynamic".to_owned()),
                unique_id: None,
            },
            steps: steps(),
        }],
        verdict: "ready".to_owned(),
        allowed: vec!["GEN005".to_owned()],
        waived: vec![Waived { code: "VHD020".to_owned(), reason: "known".to_owned() }],
        accepted: vec![],
        undecided: vec![],
        profile: "azure".to_owned(),
        generalized: None,
    }
}

fn prepared(
    stage: impl for<'a> FnOnce(&'a Outcomes, &'a Manifest, &'a Checked<'a>) -> Stage<'a>,
    plan: Option<&Plan>,
    look: &Look,
) -> String {
    let (facts, outcomes, manifest) = (sample::disk(), sample::hard(), manifest());
    let disks = [&facts];
    let after = checked(&disks, &outcomes);
    let planned = Planned { source: &facts, output: "out/disk.vhd".to_owned(), plan };
    let stage = stage(&outcomes, &manifest, &after);
    prepare(&Prepared { checked: checked(&disks, &outcomes), disks: vec![planned], generalization: None, trimmed: &[], stage }, look)
}

/// Every text that there is, with its name.
fn all(look: &Look) -> Vec<(&'static str, String)> {
    let facts = sample::disk();
    let disks = [&facts, &facts];
    let (curable, hard, none) = (sample::curable(), sample::hard(), Outcomes::default());
    let manifest = manifest();
    let verified = |mismatches: Vec<String>| {
        let digests = vec![("disk.vhd".to_owned(), "fsverity")];
        let one = disks.get(..1).unwrap_or_default();
        verify(&VerifiedImage { manifest: &manifest, checked: checked(one, &none), mismatches, digests }, look)
    };
    let plan = Plan { steps: steps(), size: 30 << 30 };
    let empty = Plan { steps: vec![], size: 30 << 30 };
    vec![
        ("inspect", inspect(&disks[..1], look)),
        ("curable", check(&checked(&disks[..1], &curable), look)),
        ("hard", check(&checked(&disks[..1], &hard), look)),
        ("several", check(&checked(&disks, &curable), look)),
        ("dry", prepared(|_, _, _| Stage::DryRun, Some(&plan), look)),
        ("empty", prepared(|_, _, _| Stage::DryRun, Some(&empty), look)),
        ("no-plan", prepared(|_, _, _| Stage::DryRun, None, look)),
        ("blocked", prepared(|hard, _, _| Stage::Blocked(hard.findings.iter().take(1).collect()), Some(&plan), look)),
        ("undecided", prepared(|_, _, _| Stage::Undecided, Some(&plan), look)),
        ("not-cured", prepared(|_, _, after| Stage::NotCured(after), Some(&plan), look)),
        (
            "written",
            prepared(|_, manifest, _| Stage::Written { manifest, directory: "out".to_owned(), skipped: 31 << 30 }, Some(&plan), look),
        ),
        ("verified", verified(vec![])),
        ("differs", verified(vec!["disk.vhd has 512 bytes fewer than the manifest says".to_owned()])),
        ("rules", rules(&[&sample::FIXED, &sample::NAME], look)),
        ("explain", explain(&sample::FIXED, look)),
    ]
}

#[test]
fn whole_texts() {
    let texts = all(&PLAIN);
    for (name, expected) in EXPECTED {
        let (_, text) = texts.iter().find(|(one, _)| one == name).unwrap();
        assert_eq!(text, expected.strip_prefix('\n').unwrap(), "{name}:\n{text}");
    }
}

#[test]
fn usual_texts_fit_their_width_and_inspect_fits_a_screen() {
    for (name, text) in all(&PLAIN) {
        let wide = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{name}");
        assert!(!text.lines().any(|line| line.ends_with(' ')), "{name}: spaces at the end of a line");
        assert!(!text.contains("\n\n\n") && text.ends_with('\n') && !text.ends_with("\n\n"), "{name}: stray empty lines");
    }
    assert!(inspect(&[&sample::disk()], &PLAIN).lines().count() <= 24);
}

#[test]
fn any_width_is_survived() {
    for width in [0, 1, 20, 33, 10_000, usize::MAX] {
        for verbose in [false, true] {
            for (name, text) in all(&Look { width, verbose, color: true }) {
                assert!(!text.is_empty(), "{name}");
            }
        }
    }
}

/// The text without SGR sequences.
fn stripped(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').unwrap().1)
}

#[test]
fn colour_changes_nothing_else() {
    for verbose in [false, true] {
        let plain = all(&Look { verbose, ..PLAIN });
        let colored = all(&Look { verbose, color: true, ..PLAIN });
        for ((name, plain), (_, colored)) in plain.into_iter().zip(colored) {
            assert!(!plain.contains('\x1b'), "{name}");
            assert!(colored.contains("\x1b["), "{name}");
            assert_eq!(stripped(&colored), plain, "{name}");
        }
    }
}

#[test]
fn nothing_from_a_disk_reaches_the_terminal_raw() {
    let evil = "a\x1b[31m\n\u{202e}b\u{9b}c";
    let mut facts = sample::disk();
    facts.path = evil.to_owned();
    facts.role_evidence = vec![evil.to_owned()];
    facts.advice = Some(evil.to_owned());
    facts.os = Fact::unknown(evil);
    facts.format_detail = Some(evil.to_owned());
    let deviation = || evil.to_owned();
    facts.deviations = vec![DeviationFacts { code: deviation(), offset: 0, length: 1, expected: deviation(), found: deviation() }];
    if let Fact::Known(footer) = &mut facts.footer {
        (footer.creator_application, footer.cookie, footer.creator_host_os) = (evil.to_owned(), evil.to_owned(), evil.to_owned());
    }
    if let Fact::Known(list) = &mut facts.partitions {
        list[0].name = Some(evil.to_owned());
        list[0].type_name = Some(evil.to_owned());
        if let Fact::Known(content) = &mut list[0].content {
            (content.label, content.uuid, content.detail) = (Some(evil.to_owned()), Some(evil.to_owned()), vec![evil.to_owned()]);
        }
    }
    let mut outcomes = sample::hard();
    for found in &mut outcomes.findings {
        (found.finding.message, found.finding.actual, found.waived) = (evil.to_owned(), evil.to_owned(), Some(evil.to_owned()));
        found.finding.remedy = Remedy::hand(evil);
    }
    for verbose in [false, true] {
        let look = Look { verbose, ..PLAIN };
        for text in [inspect(&[&facts], &look), check(&checked(&[&facts], &outcomes), &look)] {
            assert!(!text.contains(['\x1b', '\u{202e}', '\u{9b}']), "{text}");
            assert!(text.contains("a\\u{1b}[31m\\n\\u{202e}b"), "{text}");
            assert!(!text.lines().any(|line| line.starts_with('b')), "a line break of the disk's");
        }
    }
}

#[test]
fn every_rule_can_be_explained() {
    for rule in RULES.iter() {
        let page = explain(rule, &PLAIN);
        assert!(page.contains(rule.name), "{}", rule.code);
        // What a machine keeps when it is moved, and what generalizing does not touch, is not promised a cure.
        let promised = page.contains("vhdkit prepare --generalize sees to it");
        match rule.code {
            "LGN001" | "LGN002" | "LGN004" | "LNX016" | "LNX055" => assert!(promised, "{page}"),
            "LNX124" | "VHD003" | "WIN001" | "IMG008" => assert!(!promised, "{page}"),
            _ => {}
        }
    }
}

#[test]
fn paths_are_quoted_for_the_shell() {
    for (path, word) in [("a b.vhd", "'a b.vhd'"), ("-x.vhd", "./-x.vhd"), ("it's.vhd", "'it'\\''s.vhd'")] {
        let facts = DiskFacts { path: path.to_owned(), ..sample::disk() };
        let text = check(&checked(&[&facts], &sample::curable()), &PLAIN);
        assert!(text.contains(&format!("next: vhdkit prepare {word} --as")), "{text}");
    }
}
