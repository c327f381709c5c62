//! The rule book: a table of all rules, and one rule's page.

use super::paint::{Ink, Page, Span, count, natural_width, plain};
use crate::generalize::OPERATIONS;
use crate::report::Look;
use crate::rules::{KnownError, Profile, Rule, Severity};

/// Columns that a summary needs to stand beside its rule; with fewer it stands below.
const SUMMARY: usize = 40;

/// `rules`.
#[must_use]
pub fn rules(rules: &[&Rule], look: &Look) -> String {
    let mut page = Page::new(look);
    let heads: Vec<Vec<Span>> = rules.iter().map(|rule| head(rule)).collect();
    let beside = natural_width(0, &heads).saturating_add(2);
    if beside.saturating_add(SUMMARY) <= page.width() {
        let with = |(mut row, rule): (Vec<Span>, &&Rule)| {
            row.push(plain(rule.summary));
            row
        };
        let rows: Vec<Vec<Span>> = heads.into_iter().zip(rules).map(with).collect();
        page.table(0, &[], &rows);
        return page.text();
    }
    // Padded over all rules, then a summary under each.
    let rows = super::paint::padded(&heads);
    for (row, rule) in rows.iter().zip(rules) {
        page.line(row);
        page.flow(&[plain("        ")], 8, &[Ink::Dim.text(rule.summary)]);
    }
    page.text()
}

fn head(rule: &Rule) -> Vec<Span> {
    let ink = match rule.severity {
        Severity::Error => Ink::Red,
        Severity::Warning => Ink::Yellow,
        Severity::Note => Ink::Cyan,
    };
    let mut severity = rule.severity.to_string();
    if rule.profile == Profile::Marketplace {
        severity.push_str(" (marketplace)");
    }
    vec![Ink::Bold.text(rule.code), plain(rule.name), Ink::Dim.text(rule.requirement), ink.text(severity)]
}

/// `explain`.
#[must_use]
pub fn explain(rule: &Rule, look: &Look) -> String {
    let mut page = Page::new(look);
    page.line(&[Ink::Bold.text(format!("{} {}", rule.code, rule.name))]);
    page.flow(&[], 0, &[plain(rule.summary)]);
    page.blank();
    let facts = [
        ("requirement", Some(rule.rows().collect::<Vec<_>>().join(", "))),
        ("severity", Some(severities(rule))),
        ("profile", Some(rule.profile.to_string())),
        ("applies to", Some(rule.applies_to.to_owned())),
        ("offline", offline(rule)),
        ("Azure says", rule.azure_error.map(|text| format!("\"{text}\""))),
    ];
    for (key, value) in facts {
        if let Some(value) = value {
            page.entry(2, &Ink::Dim.text(key), 13, &[plain(value)]);
        }
    }
    markdown(&mut page, rule.docs);
    page.blank();
    page.line(&[Ink::Dim.text("source: "), Ink::Cyan.text(rule.source)]);
    page.text()
}

/// What cures it without the machine, where generalizing does.
fn offline(rule: &Rule) -> Option<String> {
    // A machine that is moved keeps what makes it this machine.
    if rule.applies_to.contains("used as specialized") || !rule.applies_to.contains("Linux") && !rule.applies_to.contains("Debian") {
        return None;
    }
    let names: Vec<&str> = OPERATIONS.iter().filter(|one| rule.rows().any(|row| row == one.requirement)).map(|one| one.name).collect();
    (!names.is_empty()).then(|| format!("vhdkit prepare --generalize sees to it: {}", names.join(", ")))
}

/// The severity, in both profiles where they differ.
fn severities(rule: &Rule) -> String {
    match rule.marketplace {
        Some(other) => format!("{}; {other} in the profile marketplace", rule.severity),
        None => rule.severity.to_string(),
    }
}

/// `explain` of a catalogue id that several rules check.
#[must_use]
pub fn row(id: &str, rules: &[&Rule], look: &Look) -> String {
    let mut page = Page::new(look);
    page.line(&[Ink::Bold.text(id), plain(format!(": {} check it", count(rules.len(), "rule")))]);
    page.blank();
    listed(&mut page, rules);
    hint(&mut page);
    page.text()
}

/// `explain` of a catalogue id that no rule checks.
#[must_use]
pub fn no_rule(id: &str, reason: &str, look: &Look) -> String {
    let mut page = Page::new(look);
    page.flow(&[], 2, &[Ink::Bold.text(id), plain(": no rule checks it, because "), plain(reason)]);
    page.text()
}

/// Errors that are named, at most.
const ERRORS: usize = 3;

/// `explain` of a message: what it means, and which rules can find its cause. `saying` are rules that name it themselves.
#[must_use]
pub fn errors(known: &[&KnownError], saying: &[&Rule], look: &Look) -> String {
    let mut page = Page::new(look);
    let mut told: Vec<&str> = Vec::new();
    for error in known.iter().take(ERRORS) {
        page.blank();
        page.flow(&[], 2, &[Ink::Bold.text(format!("\"{}\"", error.text))]);
        page.entry(2, &Ink::Dim.text("seen"), 7, &[plain(error.shown)]);
        page.entry(2, &Ink::Dim.text("means"), 7, &[plain(error.means)]);
        let rules = error.rules();
        told.extend(rules.iter().map(|rule| rule.code));
        if rules.is_empty() {
            page.blank();
            page.line(&[plain("No rule looks for its cause.")]);
        } else {
            page.heading(Ink::Bold, "Rules that can find its cause");
            page.blank();
            listed(&mut page, &rules);
        }
    }
    let others: Vec<&Rule> = saying.iter().copied().filter(|rule| !told.contains(&rule.code)).collect();
    if !others.is_empty() && (known.is_empty() || look.verbose) {
        page.heading(Ink::Bold, "Rules that name it");
        page.blank();
        listed(&mut page, &others);
        told.extend(others.iter().map(|rule| rule.code));
    }
    if !told.is_empty() {
        hint(&mut page);
    }
    page.text()
}

/// Rules in a line each.
fn listed(page: &mut Page<'_>, rules: &[&Rule]) {
    let rows: Vec<Vec<Span>> = rules.iter().map(|rule| head(rule).into_iter().take(2).chain([plain(rule.applies_to)]).collect()).collect();
    page.table(2, &[], &rows);
}

fn hint(page: &mut Page<'_>) {
    page.blank();
    page.flow(&[], 0, &[plain("'vhdkit explain CODE' prints a rule's page; 'vhdkit check DISK' asks them all.")]);
}

/// A paragraph or list item that is being collected.
#[derive(Default)]
struct Block {
    lead: String,
    hang: usize,
    text: String,
}

impl Block {
    fn put(&mut self, page: &mut Page<'_>) {
        if !self.text.is_empty() || !self.lead.is_empty() {
            page.flow(&[plain(&self.lead)], self.hang, &inline(&self.text));
        }
        *self = Self::default();
    }
}

/// Markdown as text: headings, paragraphs, lists and code; everything else as it stands.
fn markdown(page: &mut Page<'_>, text: &str) {
    let mut block = Block::default();
    let mut code = false;
    page.blank();
    for line in text.lines() {
        let bare = line.trim();
        let item = item(line);
        if bare.starts_with("```") {
            block.put(page);
            code = !code;
        } else if code {
            page.line(&[plain("    "), Ink::Cyan.text(line)]);
        } else if bare.is_empty() {
            block.put(page);
            page.blank();
        } else if let Some(title) = bare.strip_prefix('#') {
            block.put(page);
            page.heading(Ink::Bold, title.trim_start_matches('#').trim());
        } else if bare.starts_with('|') || line.starts_with("    ") && block.text.is_empty() {
            block.put(page);
            page.line(&[plain(line)]);
        } else if let Some((lead, rest)) = item {
            block.put(page);
            block = Block { hang: lead.chars().count(), lead, text: rest.to_owned() };
        } else {
            if !block.text.is_empty() {
                block.text.push(' ');
            }
            block.text.push_str(bare);
        }
    }
    block.put(page);
}

/// `- text`, `* text` or `1. text`: the mark with its indentation, and the text.
fn item(line: &str) -> Option<(String, &str)> {
    let bare = line.trim_start();
    let indent = " ".repeat(line.len().saturating_sub(bare.len()).min(8));
    if let Some(rest) = bare.strip_prefix("- ").or_else(|| bare.strip_prefix("* ")) {
        return Some((format!("{indent}- "), rest));
    }
    let (number, rest) = bare.split_once(". ")?;
    let short = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    short.then(|| (format!("{indent}{number}. "), rest))
}

/// Code in its own ink, emphasis without its asterisks, links with their address behind them.
fn inline(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for (place, piece) in text.split('`').enumerate() {
        if place % 2 == 1 {
            spans.push(Ink::Cyan.text(format!("`{piece}`")));
            continue;
        }
        let piece = links(piece).replace("**", "");
        let mut out = String::new();
        let mut before = ' ';
        let mut chars = piece.chars().peekable();
        while let Some(c) = chars.next() {
            // An asterisk between spaces is a sign, not emphasis.
            let sign = before == ' ' && chars.peek().is_none_or(|next| *next == ' ');
            if c != '*' || sign {
                out.push(c);
            }
            before = c;
        }
        spans.push(plain(out));
    }
    spans
}

/// `[text](address)` as `text (address)`.
fn links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        match after.split_once("](").and_then(|(label, tail)| Some((label, tail.split_once(')')?))) {
            Some((label, (address, tail))) => {
                out.push_str(&format!("{label} ({address})"));
                rest = tail;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
