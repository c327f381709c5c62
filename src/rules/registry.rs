//! The list of rules, and the requirements of the catalogue that are none.

use super::{Rule, boot, container, disk, image, linux, windows};
use std::sync::LazyLock;

/// Every rule, in the order of families and codes: the file and the disk (`VHD`), booting (`GEN`), Windows and its generalization (`WIN`,
/// `WGN`), Linux and its generalization (`LNX`, `LGN`), the image (`IMG`).
pub static RULES: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
    let mut all = [
        container::RULES,
        disk::RULES,
        boot::RULES,
        windows::settings::RULES,
        windows::remote::RULES,
        windows::startup::RULES,
        windows::agent::RULES,
        windows::sysprep::RULES,
        linux::boot::RULES,
        linux::storage::RULES,
        linux::agents::RULES,
        linux::network::RULES,
        linux::leftovers::RULES,
        image::RULES,
    ]
    .concat();
    all.sort_by_key(|rule| (family(rule.code), rule.code));
    all
});

/// Families of codes, in the order in which they are told.
const FAMILIES: [&str; 7] = ["VHD", "GEN", "WIN", "WGN", "LNX", "LGN", "IMG"];

/// Place of a code's family.
fn family(code: &str) -> usize {
    FAMILIES.iter().position(|family| code.starts_with(family)).unwrap_or(FAMILIES.len())
}

/// Where a row of the catalogue went that no rule checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// The recipe says it, or does it.
    Recipe,
    /// It is a fact that reports show, and nothing to judge.
    Facts,
    /// A disk does not show it.
    Nowhere,
}

/// A row of the catalogue that no rule checks: its id, where it went, and why.
pub type Advice = (&'static str, Elsewhere, &'static str);

/// Every row of the catalogue that no rule checks.
pub static ADVICE: LazyLock<Vec<Advice>> = LazyLock::new(|| {
    [
        CONTAINER_ADVICE,
        boot::ADVICE,
        windows::settings::ADVICE,
        windows::startup::ADVICE,
        windows::sysprep::ADVICE,
        linux::boot::ADVICE,
        linux::agents::ADVICE,
        linux::leftovers::ADVICE,
        image::ADVICE,
    ]
    .concat()
});

/// Rows on containers and generations.
static CONTAINER_ADVICE: &[Advice] = &[
    ("C-16", Elsewhere::Nowhere, "how a disk was resized leaves no mark of its own; a misplaced GPT or a stale footer is found as such"),
    ("C-30", Elsewhere::Recipe, "the region of a storage account is not in the file; the recipe names it"),
    ("C-31", Elsewhere::Recipe, "whether a managed disk exists already is not in the file; the recipe makes a new one"),
    ("C-32", Elsewhere::Recipe, "the state of a managed disk after its upload is not in the file; the recipe revokes the access"),
    ("C-33", Elsewhere::Recipe, "a VHD always has sectors of 512 bytes; the recipe says so for Ultra and Premium SSD v2 disks"),
    ("G-01", Elsewhere::Recipe, "the generation is a property of the resource; it is found from the disk and stated in the recipe"),
];

/// The rule with that code, name or catalogue id, letter case ignored. Several rules may share a catalogue id; the first is meant.
#[must_use]
pub fn find(word: &str) -> Option<&'static Rule> {
    let is = |text: &str| text.eq_ignore_ascii_case(word);
    let own = || RULES.iter().copied().find(|rule| is(rule.code) || is(rule.name));
    own()
        .or_else(|| RULES.iter().copied().find(|rule| is(rule.requirement)))
        .or_else(|| RULES.iter().copied().find(|rule| rule.rows().any(is)))
}

/// The rules that check a row of the catalogue, letter case ignored.
#[must_use]
pub fn of_row(id: &str) -> Vec<&'static Rule> {
    RULES.iter().copied().filter(|rule| rule.rows().any(|row| row.eq_ignore_ascii_case(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::vhd::DeviationKind;
    use crate::facts::{DiskFacts, State};
    use crate::rules::testing::*;
    use crate::rules::{Profile, Severity, Subject, Target, Verdict, judge};
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn codes_are_in_order_and_well_formed() {
        let keys: Vec<_> = RULES.iter().map(|rule| (family(rule.code), rule.code)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "each code once: {keys:?}");
        for rule in RULES.iter() {
            assert!(rule.code.len() == 6 && rule.code[3..].bytes().all(|b| b.is_ascii_digit()), "{}", rule.code);
            assert!(family(rule.code) < FAMILIES.len(), "{}", rule.code);
            let (row, number) = rule.requirement.split_once('-').expect(rule.code);
            let rows = match &rule.code[..3] {
                "VHD" => "C",
                "GEN" => "G",
                "WIN" => "W",
                "WGN" => "WG",
                "LNX" => "L",
                "LGN" => "LG",
                _ => "M",
            };
            assert!(rule.rows().all(|row| catalogue().iter().any(|known| known == row)), "{}: {:?}", rule.code, rule.also);
            assert!(!rule.also.contains(&rule.requirement), "{}", rule.code);
            // Codes below 101 are those of the row that they check.
            let code: u32 = rule.code[3..].parse().unwrap();
            let same = row == rows && number.parse() == Ok(code);
            assert!(code > 100 || same, "{} checks {}", rule.code, rule.requirement);
        }
    }

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
        for name in names {
            let words = || name.split('-');
            assert!(words().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())), "{name}");
        }
    }

    #[test]
    fn every_rule_explains_itself() {
        for rule in RULES.iter() {
            let code = rule.code;
            let sections: Vec<_> = rule.docs.lines().filter(|line| line.starts_with('#')).collect();
            assert_eq!(sections, ["## What it checks", "## Why it matters", "## How to fix it"], "{code}");
            assert!(rule.docs.lines().all(|line| line.chars().count() <= 140), "{code}: a line of the docs is too long");
            assert!(!rule.docs.ends_with('\n') && rule.docs.starts_with("## "), "{code}");
            assert!(rule.summary.ends_with('.') && !rule.summary.contains('\n'), "{code}: {}", rule.summary);
            assert!(rule.source.starts_with("https://"), "{code}: {}", rule.source);
            assert!(!rule.applies_to.is_empty() && !rule.applies_to.ends_with('.'), "{code}: {}", rule.applies_to);
            assert!(rule.azure_error.is_none_or(|text| !text.is_empty()), "{code}");
            assert!(rule.marketplace.is_none_or(|severity| severity > rule.severity), "{code}: certification asks for more, not for less");
            assert!(rule.profile == Profile::Azure || rule.severity == Severity::Error, "{code}: certification refuses, or says nothing");
        }
    }

    #[test]
    fn every_file_of_rules_is_in_the_list() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
        let mut written = BTreeSet::new();
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                written.extend(text.lines().filter_map(|line| line.strip_prefix("    code: \"")?.strip_suffix("\",")).map(str::to_owned));
            }
        }
        let listed: BTreeSet<_> = RULES.iter().map(|rule| rule.code.to_owned()).collect();
        assert_eq!(written, listed, "put every rule into RULES in src/rules/registry.rs");
    }

    /// The ids of the catalogue.
    fn catalogue() -> Vec<String> {
        let blocks: [(&str, &[std::ops::RangeInclusive<u32>]); 8] = [
            ("C", &[1..=33]),
            ("G", &[1..=21]),
            ("M", &[1..=17]),
            ("W", &[1..=70]),
            ("WG", &[1..=12]),
            ("L", &[1..=38, 40..=62]),
            ("LG", &[1..=12, 20..=24]),
            ("X", &[1..=13]),
        ];
        let ids = |(row, ranges): (&str, &[std::ops::RangeInclusive<u32>])| -> Vec<String> {
            ranges.iter().cloned().flatten().map(|n| format!("{row}-{n:02}")).collect()
        };
        blocks.into_iter().flat_map(ids).collect()
    }

    #[test]
    fn every_row_has_a_rule_or_a_reason() {
        let mut open = Vec::new();
        for row in catalogue() {
            let ruled = RULES.iter().any(|rule| rule.rows().any(|checked| checked == row));
            let told = ADVICE.iter().filter(|(id, _, reason)| *id == row && !reason.is_empty()).count();
            assert!(!ruled || told == 0, "{row} has a rule, and needs no line in ADVICE");
            assert!(told < 2, "{row} has two lines in ADVICE");
            if !ruled && told == 0 {
                open.push(row);
            }
        }
        assert_eq!(open, Vec::<String>::new(), "these rows need a rule, or a line in ADVICE");
        assert!(ADVICE.iter().all(|(id, ..)| catalogue().iter().any(|row| row == id)), "{ADVICE:?}");
    }

    #[test]
    fn rules_are_found_by_any_of_their_names() {
        for word in ["VHD003", "vhd003", "size-not-whole-mib", "C-03", "c-03"] {
            assert_eq!(find(word).map(|rule| rule.code), Some("VHD003"), "{word}");
        }
        assert_eq!(find("C-22").map(|rule| rule.code), Some("VHD022"));
        assert!(find("").is_none() && find("VHD").is_none());
    }

    fn verdict(disks: &[DiskFacts], target: &Target) -> (Verdict, Vec<&'static str>) {
        let subjects: Vec<_> = disks
            .iter()
            .zip(0_u8..)
            .map(|(facts, n)| Subject { lun: n.checked_sub(1), in_image: disks.len() > 1, ..subject(facts) })
            .collect();
        let said = judge(&subjects, target, &[]);
        let undecided = said.undecided_errors().map(|outcome| outcome.rule.code);
        (said.verdict(target, None), said.findings.iter().map(|found| found.rule.code).chain(undecided).collect())
    }

    #[test]
    fn healthy_disks_are_ready() {
        let mut second = healthy_data();
        known(&mut second.footer).unique_id = "1f0c52f3-54a9-44f5-93a9-5b4f2c5e1d22".to_owned();
        for disks in [vec![healthy_os()], vec![second.clone()], vec![healthy_os(), second]] {
            for profile in [Profile::Azure, Profile::Marketplace] {
                let target = Target { profile, ..Target::default() };
                assert_eq!(verdict(&disks, &target), (Verdict::Ready, vec![]), "{profile}");
            }
        }
        for generation in [1, 2] {
            let target = Target { generation: Some(generation), state: Some(State::Generalized), ..Target::default() };
            assert_eq!(verdict(&[healthy_os()], &target), (Verdict::Ready, vec![]), "{generation}");
        }
    }

    #[test]
    fn a_file_that_is_no_disk_has_one_finding() {
        assert_eq!(verdict(&[gzip()], &Target::default()), (Verdict::NotReady, vec!["VHD001"]));
    }

    /// Deviations that are no finding, because every reader copes with them.
    const HARMLESS: &[&str] = &[
        "batmap",
        "bitmaps-little-endian",
        "header-data-offset",
        "header-reserved",
        "last-block-cut",
        "locator-outside",
        "table-surplus",
        // What follows from them is a finding by itself: VHD003 counts the size, VHD018 misses the parent.
        "parent-unnamed",
        "size-not-sectors",
    ];

    #[test]
    fn every_deviation_is_a_finding_or_harmless() {
        for kind in DeviationKind::ALL {
            let code = kind.code();
            let found = [os(|_| {}), dynamic(|_| {})].into_iter().any(|mut facts| {
                let before = judge(&[subject(&facts)], &Target::default(), &[]).findings.len();
                facts.deviations.push(deviation(code));
                judge(&[subject(&facts)], &Target::default(), &[]).findings.len() > before
            });
            assert_eq!(found, !HARMLESS.contains(&code), "{code}");
        }
    }
}
