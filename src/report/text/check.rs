//! Whether disks are ready: the verdict first, then what to do, in the order of doing it.

use super::paint::{Ink, Page, Span, count, glue, plain};
use super::{dotted, summary};
use crate::bytes::printable;
use crate::facts::{DiskFacts, Role, State};
use crate::report::{Checked, Look, Summary, waiver_told};
use crate::rules::{Found, Outcome, Place, Profile, Remedy, Severity, Skip, Verdict, WaiverState};

/// `check`.
#[must_use]
pub fn check(checked: &Checked<'_>, look: &Look) -> String {
    told(checked, look, true)
}

/// As [`check`], for a disk after the first of several that are told one by one: what concerns all of them was said.
#[must_use]
pub fn check_next(checked: &Checked<'_>, look: &Look) -> String {
    told(checked, look, false)
}

/// How many of the disks are ready, in a line.
#[must_use]
pub fn summary_line(summary: &Summary, look: &Look) -> String {
    let mut page = Page::new(look);
    totals(&mut page, summary);
    page.text()
}

fn told(checked: &Checked<'_>, look: &Look, first: bool) -> String {
    let mut page = Page::new(look);
    let alone = checked.disks.len() == 1;
    let image = Part::of(checked, |about| about.is_none());
    let is_image = checked.image.is_some() && !alone;
    if is_image {
        verdict(&mut page, &format!("image of {}", count(checked.disks.len(), "disk")), checked.verdict());
        image.tell(&mut page);
    }
    for (place, facts) in checked.disks.iter().enumerate() {
        page.blank();
        let lun = checked.luns.get(place).copied().flatten();
        let name = lun.map_or_else(|| facts.path.clone(), |lun| format!("{} (LUN {lun})", facts.path));
        verdict(&mut page, &name, checked.outcomes.verdict(checked.target, Some(place)));
        let what = summary(facts).into_iter().map(|(_, part)| Ink::Dim.text(glue(part))).collect();
        page.flow(&[plain("  ")], 2, &dotted(what));
        if first && place == 0 {
            expired(&mut page, checked);
        }
        // Rules over the image are told with its only disk, or before all of them.
        let part = Part::of(checked, |about| about == Some(place) || (alone && about.is_none()));
        part.tell(&mut page);
        if !is_image {
            next(&mut page, checked, &part, facts);
        }
    }
    if alone {
        return page.text();
    }
    totals(&mut page, &Summary::of(checked));
    if let Some(first) = checked.disks.first().filter(|_| is_image) {
        next(&mut page, checked, &Part::of(checked, |_| true), first);
    }
    page.text()
}

fn verdict(page: &mut Page<'_>, name: &str, verdict: Verdict) {
    let word = match verdict {
        Verdict::Ready => Ink::Green.text("ready"),
        Verdict::Undecided => Ink::Yellow.text("UNDECIDED"),
        Verdict::NotReady => Ink::Red.text("NOT READY"),
    };
    let rest = match verdict {
        Verdict::Ready | Verdict::NotReady => " for Azure",
        Verdict::Undecided => ": nothing was found against it, but not everything could be judged",
    };
    page.flow(&[], 2, &[Ink::Bold.text(name), plain(": "), word, plain(rest)]);
}

/// What the rules said of one disk, or of the image.
struct Part<'a> {
    /// Curable by hand only, and counting.
    hand: Vec<&'a Found>,
    /// Curable by `prepare`, and counting.
    prepare: Vec<&'a Found>,
    /// Not counting.
    warnings: Vec<&'a Found>,
    notes: Vec<&'a Found>,
    waived: Vec<&'a Found>,
    findings: Vec<&'a Found>,
    outcomes: Vec<&'a Outcome>,
}

impl<'a> Part<'a> {
    fn of(checked: &Checked<'a>, concerns: impl Fn(Option<usize>) -> bool) -> Self {
        let all: Vec<&Found> = checked.outcomes.findings.iter().filter(|found| concerns(found.disk)).collect();
        let outcomes = checked.outcomes.outcomes.iter().filter(|outcome| concerns(outcome.disk)).collect();
        let mut part =
            Self { hand: vec![], prepare: vec![], warnings: vec![], notes: vec![], waived: vec![], findings: all.clone(), outcomes };
        for found in all {
            let group = match &found.finding.remedy {
                _ if found.waived.is_some() => &mut part.waived,
                _ if found.severity < checked.target.fail_on && found.severity == Severity::Note => &mut part.notes,
                _ if found.severity < checked.target.fail_on => &mut part.warnings,
                Remedy::Prepare(_) => &mut part.prepare,
                _ => &mut part.hand,
            };
            group.push(found);
        }
        part.hand.sort_by_key(|found| found.cure_order());
        part
    }

    fn undecided(&self) -> Vec<&'a Outcome> {
        let stands = |outcome: &&Outcome| outcome.waived.is_none() && outcome.severity == Severity::Error;
        self.outcomes.iter().copied().filter(stands).filter(|outcome| matches!(outcome.result, Err(Skip::Undecided(_)))).collect()
    }

    fn tell(&self, page: &mut Page<'_>) {
        let groups = [
            ("By hand, in this order", &self.hand),
            ("Cured by vhdkit prepare", &self.prepare),
            ("Warnings", &self.warnings),
            ("Notes", &self.notes),
            ("Waived", &self.waived),
        ];
        for (title, group) in groups {
            // Alone there is no order.
            let title = if group.len() == 1 { title.trim_end_matches(", in this order") } else { title };
            let light = group.iter().all(|found| found.severity == Severity::Note && found.waived.is_none());
            match group.len() {
                0 => {}
                number if number > FOLDED && light && !page.verbose() => {
                    page.heading(Ink::Bold, &format!("{title} (in full with -v)"));
                    folded(page, group);
                }
                _ => {
                    page.heading(Ink::Bold, title);
                    findings(page, group);
                }
            }
        }
        let open = self.undecided();
        if !open.is_empty() {
            page.heading(Ink::Bold, "Undecided");
            undecided(page, &open);
        }
        if page.verbose() && !self.outcomes.is_empty() {
            page.heading(Ink::Bold, "Rules");
            let rows: Vec<Vec<Span>> = self.outcomes.iter().map(|outcome| rule_row(outcome)).collect();
            page.table(2, &[], &rows);
        }
        let counts = counts(&self.findings, &self.outcomes);
        if !counts.is_empty() {
            page.blank();
            page.flow(&[], 0, &counts);
        }
    }
}

/// Notes that are told in full, at most.
const FOLDED: usize = 3;

/// Rules that are named below a reason why they are undecided, at most.
const NAMED: usize = 6;

/// Notes in a line each.
fn folded(page: &mut Page<'_>, group: &[&Found]) {
    let width = page.width();
    for found in group {
        let head = format!("  {} ", found.rule.code);
        let room = width.saturating_sub(head.chars().count());
        let text = printable(&found.finding.message);
        let short = match text.char_indices().nth(room) {
            None => text,
            Some(_) => {
                let kept: String = text.chars().take(room.saturating_sub(1)).collect();
                // Cut between words, where there are any.
                let whole = kept.rsplit_once(' ').map_or(kept.as_str(), |(whole, _)| whole);
                format!("{}…", whole.trim_end_matches([',', ';', ':', ' ']))
            }
        };
        page.line(&[plain("  "), severity_ink(found.severity).text(found.rule.code), plain(" "), plain(short)]);
    }
}

/// Waivers that hold no longer.
pub(super) fn expired(page: &mut Page<'_>, checked: &Checked<'_>) {
    let over: Vec<_> = checked.outcomes.waivers.iter().filter(|waiver| waiver.state == WaiverState::Expired).collect();
    if !over.is_empty() {
        page.blank();
    }
    for waiver in over {
        page.flow(&[Ink::Yellow.text("warning"), plain(": ")], 2, &[plain(waiver_told(waiver))]);
    }
}

/// Findings, each with an empty line before it.
pub(super) fn findings(page: &mut Page<'_>, group: &[&Found]) {
    for found in group {
        page.blank();
        finding(page, found);
    }
}

fn severity_ink(severity: Severity) -> Ink {
    match severity {
        Severity::Error => Ink::Red,
        Severity::Warning => Ink::Yellow,
        Severity::Note => Ink::Cyan,
    }
}

fn finding(page: &mut Page<'_>, found: &Found) {
    let ink = if found.waived.is_some() { Ink::Dim } else { severity_ink(found.severity) };
    let head = ink.text(format!("{}[{}]", found.severity, found.rule.code));
    let body = [Ink::Bold.text(format!(" {}: ", found.rule.name)), plain(&found.finding.message)];
    page.flow(&[head, plain(" ")], 2, &body);
    let place = found.finding.place.as_ref().map(|place| match place {
        Place::Bytes { offset, length: 1 } => format!("byte {offset}"),
        Place::Bytes { offset, length } => format!("byte {offset}, {}", glue(format!("{length} bytes"))),
        Place::File { path, line: Some(line) } => format!("{path}:{line}"),
        Place::File { path, line: None } => path.clone(),
        Place::Registry(value) => value.clone(),
    });
    let waived = found.waived.as_ref().map(|reason| if reason.is_empty() { "no reason given".to_owned() } else { reason.clone() });
    let rows = [
        ("at", place),
        ("found", Some(found.finding.actual.clone())),
        ("needs", Some(found.finding.required.clone())),
        ("azure", found.rule.azure_error.map(|text| format!("\"{text}\""))),
    ];
    let entry = |page: &mut Page<'_>, key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            page.entry(2, &Ink::Dim.text(key), 8, &[plain(value)]);
        }
    };
    for (key, value) in rows {
        entry(page, key, value);
    }
    cure(page, &found.finding.remedy);
    entry(page, "waived", waived);
}

/// What to do: in a sentence, or as a list of steps.
fn cure(page: &mut Page<'_>, remedy: &Remedy) {
    let by = if matches!(remedy, Remedy::Prepare(_)) { "" } else { "by hand: " };
    let key = Ink::Green.text("cure");
    match remedy.steps().as_slice() {
        [] => {}
        [only] => page.entry(2, &key, 8, &[plain(format!("{by}{only}"))]),
        several => {
            for (number, step) in (1_usize..).zip(several) {
                let key = if number == 1 { key.clone() } else { plain("") };
                let lead = [plain("  "), key.filled(8), plain(format!("{number}. "))];
                page.flow(&lead, 13, &[plain(step)]);
            }
        }
    }
}

/// Rules that could not be decided, those with the same reason together.
pub(super) fn undecided(page: &mut Page<'_>, open: &[&Outcome]) {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for outcome in open {
        let Err(Skip::Undecided(reason)) = &outcome.result else { continue };
        let name = glue(format!("{} {}", outcome.rule.code, outcome.rule.name));
        match groups.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => groups.push((reason, vec![name])),
        }
    }
    for (reason, names) in groups {
        let told = if names.len() > NAMED && !page.verbose() { by_family(&names) } else { names.join(", ") };
        page.flow(&[plain("  ")], 2, &[Ink::Yellow.text(told)]);
        page.flow(&[plain("    ")], 4, &[plain(reason)]);
    }
}

/// `103 rules (12 GEN, 91 LNX; each with -v)`.
fn by_family(names: &[String]) -> String {
    let mut families: Vec<(&str, usize)> = Vec::new();
    for name in names {
        let family = name.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
        match families.iter_mut().find(|(known, _)| *known == family) {
            Some((_, number)) => *number = number.saturating_add(1),
            None => families.push((family, 1)),
        }
    }
    let parts: Vec<String> = families.iter().map(|(family, number)| glue(format!("{number} {family}"))).collect();
    format!("{} ({}; {})", count(names.len(), "rule"), parts.join(", "), glue("each with -v"))
}

fn rule_row(outcome: &Outcome) -> Vec<Span> {
    let (word, reason) = match &outcome.result {
        Ok(0) => (Ink::Green.text("pass"), String::new()),
        Ok(number) => {
            (severity_ink(outcome.severity).text("finding"), if *number > 1 { format!("{number} findings") } else { String::new() })
        }
        Err(Skip::NotApplicable(reason)) => (Ink::Dim.text("n/a"), reason.clone()),
        Err(Skip::Undecided(reason)) => (Ink::Yellow.text("undecided"), reason.clone()),
    };
    vec![word, plain(outcome.rule.code), plain(outcome.rule.name), Ink::Dim.text(reason)]
}

/// `2 errors · 1 warning · 17 passed · 6 not applicable · 1 undecided`.
pub(super) fn counts(findings: &[&Found], outcomes: &[&Outcome]) -> Vec<Span> {
    let mut parts = Vec::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        let number = findings.iter().filter(|found| found.severity == severity && found.waived.is_none()).count();
        if number > 0 {
            parts.push(severity_ink(severity).text(count(number, &severity.to_string())));
        }
    }
    let waived = findings.iter().filter(|found| found.waived.is_some()).count();
    let of = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    let passed = of(|outcome| outcome.result == Ok(0));
    let rest = [
        (waived, "waived", Ink::Plain),
        (passed, "passed", Ink::Green),
        (of(|outcome| matches!(outcome.result, Err(Skip::NotApplicable(_)))), "not applicable", Ink::Dim),
        (of(|outcome| matches!(outcome.result, Err(Skip::Undecided(_)))), "undecided", Ink::Yellow),
    ];
    parts.extend(rest.iter().filter(|(number, ..)| *number > 0).map(|(number, word, ink)| ink.text(glue(format!("{number} {word}")))));
    dotted(parts)
}

/// What to type next, where `prepare` would cure everything.
fn next(page: &mut Page<'_>, checked: &Checked<'_>, part: &Part<'_>, facts: &DiskFacts) {
    let curable = !part.prepare.is_empty() && part.hand.is_empty() && part.undecided().is_empty();
    if !curable || checked.disks.iter().any(|disk| printable(&disk.path) != disk.path) {
        return;
    }
    let target = checked.target;
    let mut words = vec!["vhdkit prepare".to_owned(), quoted(&facts.path)];
    let mut hint = "";
    words.push(match (target.state, facts.role.value()) {
        (Some(state), _) => format!("--as {state}"),
        (None, Some(Role::Data)) => "--role data".to_owned(),
        (None, _) => match facts.os.value().and_then(|os| os.state.value()) {
            Some(state) if *state != State::Inconsistent => format!("--as {state}"),
            _ => {
                hint = "(or --as generalized)";
                "--as specialized".to_owned()
            }
        },
    });
    for (disk, lun) in checked.disks.iter().zip(checked.luns) {
        words.extend(lun.map(|lun| format!("--data {lun}={}", quoted(&disk.path))));
    }
    words.extend(target.generation.map(|generation| format!("--generation {generation}")));
    if target.profile != Profile::default() {
        words.push(format!("--profile {}", target.profile));
    }
    if target.fail_on != Severity::default() {
        words.push(format!("--fail-on {}", target.fail_on));
    }
    let counts = |outcome: &&&Outcome| outcome.waived.is_some() && !matches!(outcome.result, Ok(0) | Err(Skip::NotApplicable(_)));
    let mut waived: Vec<&str> = part.outcomes.iter().filter(counts).map(|outcome| outcome.rule.code).collect();
    waived.sort_unstable();
    // What a configuration waives, it waives for prepare too.
    waived.retain(|code| !checked.outcomes.waivers.iter().any(|waiver| waiver.code == *code && waiver.source.is_some()));
    waived.dedup();
    words.extend(waived.iter().map(|code| format!("--waive {code}")));
    words.push("-o out/".to_owned());
    page.blank();
    page.command(&Ink::Dim.text("next: "), &words);
    if !hint.is_empty() {
        page.flow(&[plain("      ")], 6, &[Ink::Dim.text(hint)]);
    }
}

/// A path as a POSIX shell reads it.
fn quoted(path: &str) -> String {
    let tame = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',' | ':' | '@' | '%');
    let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
    if !path.is_empty() && path.chars().all(tame) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// The last lines over several disks.
fn totals(page: &mut Page<'_>, summary: &Summary) {
    let all = summary.disks();
    if all == 0 {
        return;
    }
    let words = [
        (summary.ready, "ready", Ink::Green),
        (summary.not_ready, "not ready", Ink::Red),
        (summary.undecided, "undecided", Ink::Yellow),
        (summary.unreadable, "could not be read", Ink::Red),
    ];
    let parts = words.into_iter().filter(|(number, ..)| *number > 0);
    let parts = parts.map(|(number, word, ink)| ink.text(glue(format!("{number} {word}")))).collect();
    let mut body = vec![Ink::Bold.text(format!("{}: ", count(all, "disk")))];
    body.extend(dotted(parts));
    page.blank();
    page.flow(&[], 2, &body);
}
