//! Reports as they are at their worst: long paths, many rules, many notes.

use super::sample::{self, PLAIN};
use super::{check, prepare};
use crate::facts::{DiskFacts, Fact, State};
use crate::report::{Checked, Look, Planned, Prepared, Stage};
use crate::rules::{Found, Outcome, Outcomes, Place, Profile, RULES, Remedy, Severity, Skip, Target, Waiver, WaiverState};

const LONG: &str =
    "/srv/images/customers/a very long name of a customer/2026-11-21T09-30-00Z/build-artifacts/windows-server-2022-datacenter.vhd";

fn target() -> Target {
    Target {
        state: Some(State::Generalized),
        profile: Profile::Marketplace,
        generation: Some(2),
        fail_on: Severity::Warning,
        kept: std::collections::BTreeSet::new(),
    }
}

/// Every rule with the same answer.
fn all(result: &Result<usize, Skip>) -> Vec<Outcome> {
    RULES.iter().map(|rule| Outcome { rule, disk: Some(0), severity: rule.severity, result: result.clone(), waived: None }).collect()
}

fn note(number: usize) -> Found {
    let mut found = sample::found(&sample::NAME, Remedy::hand("nothing need be done; to be rid of it, run 'sed -i /x/d /etc/some/file'"));
    found.severity = Severity::Note;
    found.finding.message = format!("/etc/some/directory/with/a/long/name/{number}.conf sets a value that is not the one that images have");
    found
}

/// Reports with their names.
fn reports(look: &Look) -> Vec<(&'static str, String)> {
    let facts = DiskFacts { path: LONG.to_owned(), ..sample::disk() };
    let short = sample::disk();
    let reason = "the root file system is in a LUKS volume, which cannot be read without its key, and nothing else is known of it";
    let unread = Outcomes { outcomes: all(&Err(Skip::Undecided(reason.to_owned()))), ..Outcomes::default() };
    let notes = Outcomes { outcomes: all(&Ok(0)), findings: (0..20).map(note).collect(), ..Outcomes::default() };
    let mut heavy = sample::hard();
    for (number, found) in heavy.findings.iter_mut().enumerate() {
        found.finding.place =
            Some(Place::Registry(format!("HKLM\\SYSTEM\\ControlSet001\\Control\\Session Manager\\Memory Management\\{number}")));
        found.finding.actual = "C:\\Users\\somebody\\AppData\\Local\\Temp\\pagefile on a volume that is not there".to_owned();
        found.finding.remedy = Remedy::hand(
            "run 'reg add \"HKLM\\SYSTEM\\ControlSet001\\Control\\Session Manager\\Memory Management\" /v PagingFiles /t REG_MULTI_SZ /d \
             \"D:\\pagefile.sys 0 0\" /f' in the machine, then shut it down",
        );
    }
    heavy.waivers = vec![Waiver {
        code: "VHD020".to_owned(),
        reason: "the pipeline renames it before it uploads it to the storage account".to_owned(),
        expires: Some("2020-01-01".to_owned()),
        state: WaiverState::Expired,
        source: Some("/srv/images/customers/vhdkit.toml:3".to_owned()),
    }];
    let mut out = Vec::new();
    for (name, outcomes) in [("unread", &unread), ("notes", &notes), ("heavy", &heavy), ("curable", &sample::curable())] {
        for (facts, image) in [(&facts, Some("os-image")), (&short, None)] {
            let (disks, target) =
                ([facts], Target { fail_on: if name == "notes" { Severity::Error } else { Severity::Warning }, ..target() });
            let checked = Checked { disks: &disks, outcomes, target: &target, image, luns: &[] };
            out.push((name, check(&checked, look)));
            for stage in [Stage::Undecided, Stage::DryRun, Stage::NotCured(&checked), Stage::Blocked(outcomes.findings.iter().collect())] {
                let disks = vec![Planned { source: facts, output: format!("out/{LONG}"), plan: None }];
                out.push((name, prepare(&Prepared { checked, disks, generalization: None, trimmed: &[], stage }, look)));
            }
        }
    }
    out
}

/// A line that is too wide for a word that cannot be broken: its only one, or one behind its key.
fn one_word(line: &str) -> bool {
    let words: Vec<&str> = line.trim_end_matches(" \\").split_whitespace().collect();
    words.last().is_some_and(|word| word.chars().count() > 40) && words.len() <= 2
}

#[test]
fn nothing_is_wider_than_a_terminal() {
    for verbose in [false, true] {
        for (name, text) in reports(&Look { verbose, ..PLAIN }) {
            for line in text.lines() {
                let quoted = line.contains(&format!("'{LONG}'"));
                assert!(line.chars().count() <= 80 || one_word(line) || quoted, "{name}: {line}");
                assert!(!line.ends_with(' '), "{name}: {line}");
            }
            assert!(!text.contains("\n\n\n"), "{name}:\n{text}");
        }
    }
}

#[test]
fn an_unread_guest_is_a_few_lines() {
    for (name, text) in reports(&PLAIN).iter().filter(|(name, _)| *name == "unread") {
        assert!(text.lines().count() <= 16, "{name}:\n{text}");
    }
    let (_, text) = &reports(&PLAIN)[0];
    let errors = RULES.iter().filter(|rule| rule.severity == Severity::Error).count();
    assert!(text.contains(&format!("  {errors} rules (")), "{text}");
    let (_, verbose) = &reports(&Look { verbose: true, ..PLAIN })[0];
    assert!(verbose.contains("VHD003 size-not-whole-mib"), "{verbose}");
}

#[test]
fn many_notes_are_a_line_each() {
    let find = |look: &Look| reports(look).into_iter().find(|(name, _)| *name == "notes").unwrap().1;
    let text = find(&PLAIN);
    assert!(
        text.contains("Notes (in full with -v)\n  VHD020 /etc/some/directory/with/a/long/name/0.conf sets a value that is not"),
        "{text}"
    );
    assert!(text.lines().count() <= 28, "{text}");
    assert!(find(&Look { verbose: true, ..PLAIN }).contains("cure    by hand: nothing need be done"));
}

#[test]
fn what_generalizes_comes_last() {
    let one = |rule, text: &str| sample::found(rule, Remedy::hand(text));
    let findings =
        vec![one(&sample::SYSPREP, "generalize it"), one(&sample::AGENT, "install the agent"), one(&sample::BOOT, "make it boot")];
    let outcomes = Outcomes { findings, ..Outcomes::default() };
    let facts = sample::disk();
    let text = check(&Checked { disks: &[&facts], outcomes: &outcomes, target: &Target::default(), image: None, luns: &[] }, &PLAIN);
    let places = ["By hand, in this order", "make it boot", "install the agent", "generalize it"].map(|words| text.find(words).unwrap());
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn a_long_command_can_still_be_copied() {
    let facts = DiskFacts { path: LONG.to_owned(), os: Fact::Absent, ..sample::disk() };
    let outcomes = sample::curable();
    let text = check(
        &Checked {
            disks: &[&facts],
            outcomes: &outcomes,
            target: &Target { fail_on: Severity::Error, ..target() },
            image: None,
            luns: &[],
        },
        &PLAIN,
    );
    let (_, command) = text.split_once("next: ").unwrap();
    let joined = command.trim_end().replace(" \\\n     ", "");
    assert_eq!(joined, format!("vhdkit prepare '{LONG}' --as generalized --generation 2 --profile marketplace -o out/"));
}
