//! The list of rules, and the requirements of the catalogue that are none.

use super::{Rule, boot, container, disk, image};

/// Every rule: those of the file, of booting and the disk, of the image; each family in the order of codes.
pub static RULES: &[&Rule] = &[
    &container::not_a_vhd::RULE,
    &container::not_fixed::RULE,
    &container::size_not_whole_mib::RULE,
    &container::file_length_mismatch::RULE,
    &container::file_length_not_whole_sectors::RULE,
    &container::upload_size::TOO_SMALL,
    &container::upload_size::TOO_LARGE,
    &container::os_disk_size::GENERATION_1,
    &container::os_disk_size::ANY,
    &container::data_disk_size::ANY,
    &container::page_blob_too_large::RULE,
    &container::file_name::EXTENSION,
    &container::vhdx::RULE,
    &container::geometry::DIFFERS,
    &container::geometry::ROUNDED,
    &container::footer_checksum_mismatch::RULE,
    &container::parent_missing::RULE,
    &container::saved_state::RULE,
    &container::duplicate_unique_id::RULE,
    &disk::sector_size_4096::RULE,
    &disk::gpt_backup_misplaced::RULE,
    &container::stale_footer::RULE,
    &disk::first_mib_not_free::RULE,
    &container::marketplace_size::OS,
    &container::marketplace_size::DATA,
    &container::data_disk_size::IN_GALLERY,
    &container::above_old_limit::RULE,
    &container::file_name::CHARACTERS,
    &container::footer_field_unusual::RULE,
    &container::footer_copies_differ::RULE,
    &container::dynamic_structures::HEADER,
    &container::dynamic_structures::BLOCKS,
    &container::dynamic_structures::BITMAPS,
    &container::unreadable::ENCRYPTED,
    &container::unreadable::UNREADABLE,
    &container::stale_footer::NESTED,
    &container::parent_damaged::RULE,
    &boot::generation_1::NO_BIOS_BOOT,
    &boot::generation_1::GPT,
    &boot::generation_2::NO_ESP,
    &boot::encrypted::BITLOCKER,
    &boot::encrypted::LUKS,
    &disk::partition_table::DAMAGED,
    &disk::partition_table::OVERLAP,
    &disk::partition_table::UNUSUAL,
    &boot::no_boot_path::RULE,
    &boot::generation_2::DIRTY,
    &disk::partition_table::PAST_END,
    &image::no_operating_system::RULE,
    &image::state_mismatch::RULE,
];

/// Rows of the catalogue's sections on containers and generations that no rule checks, each with what is done about it instead.
pub static ADVICE: &[(&str, &str)] = &[
    ("C-16", "how a disk was resized leaves no mark of its own; a misplaced GPT or a stale footer is found as such"),
    ("C-30", "the region of a storage account is not in the file; the upload recipe names it"),
    ("C-31", "whether a managed disk exists already is not in the file; the upload recipe makes a new one"),
    ("C-32", "the state of a managed disk after its upload is not in the file; the upload recipe revokes the access"),
    ("C-33", "a VHD always has sectors of 512 bytes; the upload recipe says so for Ultra and Premium SSD v2 disks"),
    ("G-01", "the generation is a property of the resource; it is found from the disk and stated in the report and the recipe"),
];

/// The rule with that code, name or catalogue id, letter case ignored. Several rules may share a catalogue id; the first is meant.
#[must_use]
pub fn find(word: &str) -> Option<&'static Rule> {
    let is = |text: &str| text.eq_ignore_ascii_case(word);
    RULES.iter().copied().find(|rule| is(rule.code) || is(rule.name)).or_else(|| RULES.iter().copied().find(|rule| is(rule.requirement)))
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
        let family = |code: &str| ["VHD", "GEN", "IMG"].iter().position(|family| code.starts_with(family)).expect(code);
        let keys: Vec<_> = RULES.iter().map(|rule| (family(rule.code), rule.code)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "put the rules in order, each code once: {keys:?}");
        for rule in RULES {
            assert!(rule.code.len() == 6 && rule.code[3..].bytes().all(|b| b.is_ascii_digit()), "{}", rule.code);
            let (row, number) = rule.requirement.split_once('-').expect(rule.code);
            assert!(["C", "G", "M"].contains(&row) && number.len() == 2, "{} checks {}", rule.code, rule.requirement);
            // Codes below 101 are those of the row that they check.
            let code: u32 = rule.code[3..].parse().unwrap();
            assert!(code > 100 || code == number.parse::<u32>().unwrap(), "{} checks {}", rule.code, rule.requirement);
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
        for rule in RULES {
            let code = rule.code;
            let sections: Vec<_> = rule.docs.lines().filter(|line| line.starts_with('#')).collect();
            assert_eq!(sections, ["## What it checks", "## Why it matters", "## How to fix it"], "{code}");
            assert!(rule.docs.lines().all(|line| line.chars().count() <= 140), "{code}: a line of the docs is too long");
            assert!(!rule.docs.ends_with('\n') && rule.docs.starts_with("## "), "{code}");
            assert!(rule.summary.ends_with('.') && !rule.summary.contains('\n'), "{code}: {}", rule.summary);
            assert!(rule.source.starts_with("https://"), "{code}: {}", rule.source);
            assert!(!rule.applies_to.is_empty() && !rule.applies_to.ends_with('.'), "{code}: {}", rule.applies_to);
            assert!(rule.azure_error.is_none_or(|text| !text.is_empty()), "{code}");
            assert!(rule.profile == Profile::Azure || rule.severity == Severity::Error, "{code}: certification refuses, or says nothing");
        }
    }

    #[test]
    fn every_file_of_rules_is_in_the_list() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
        let mut written = BTreeSet::new();
        for folder in ["container", "disk", "boot", "image"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().is_some_and(|name| name == "mod.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let codes: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("    code: \"")?.strip_suffix("\",")).collect();
                assert!(!codes.is_empty(), "{} holds no rule", path.display());
                written.extend(codes.into_iter().map(str::to_owned));
            }
        }
        let listed: BTreeSet<_> = RULES.iter().map(|rule| rule.code.to_owned()).collect();
        assert_eq!(written, listed, "put every rule into RULES in src/rules/registry.rs");
    }

    #[test]
    fn every_row_has_a_rule_or_a_reason() {
        let rows = (1..=33).map(|n| format!("C-{n:02}")).chain([1, 2, 3, 4, 5, 17, 18].map(|n| format!("G-{n:02}")));
        for row in rows {
            let ruled = RULES.iter().any(|rule| rule.requirement == row);
            let told = ADVICE.iter().any(|(id, reason)| *id == row && !reason.is_empty());
            assert!(ruled != told, "{row} needs a rule, or a line in ADVICE, and not both");
        }
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
