//! For people: what a terminal shows. One screen for a usual disk, what matters first, what to do last.

mod check;
#[cfg(test)]
mod expected;
mod generalize;
mod guest;
mod inspect;
mod paint;
mod prepare;
mod rules;
#[cfg(test)]
pub(super) mod sample;
#[cfg(test)]
mod tests;
mod trouble;
mod verbose;
mod verify;
#[cfg(test)]
mod wide;

pub use check::{check, check_next, summary_line};
pub use generalize::{generalize, operations};
pub use inspect::inspect;
pub use prepare::prepare;
pub use rules::{errors, explain, no_rule, row, rules};
pub use verify::verify;

use crate::facts::{DiskFacts, Fact, Role};
use paint::{Ink, Page, Span, count, glue, natural_width, plain, short};

/// What a file is, in two words: `dynamic VHD`, `raw disk`, `qcow2 file`.
fn describe(facts: &DiskFacts) -> String {
    match (facts.format.as_str(), facts.kind.value()) {
        ("raw", _) => "raw disk".to_owned(),
        ("empty", _) => "empty file".to_owned(),
        ("vhd" | "vhdx", Some(kind)) => format!("{kind} {}", facts.format.to_ascii_uppercase()),
        ("vhd" | "vhdx", None) => facts.format.to_ascii_uppercase(),
        (other, _) => format!("{other} file"),
    }
}

/// Writes `disk.vhd  dynamic VHD · 30 GiB · GPT, 3 partitions · OS disk`.
fn headline(page: &mut Page<'_>, facts: &DiskFacts) {
    let body = dotted(summary(facts).into_iter().map(|(ink, part)| ink.text(glue(part))).collect());
    let name = Ink::Bold.text(&facts.path);
    let row: Vec<Span> = std::iter::once(name.clone()).chain(body.iter().cloned()).collect();
    // Beside the name where there is room, else below it.
    if natural_width(2, &[vec![], row]).saturating_sub(body.len().saturating_mul(2)) <= page.width() {
        page.flow(&[name, plain("  ")], 4, &body);
    } else {
        page.line(&[name]);
        page.flow(&[plain("  ")], 2, &body);
    }
}

/// A disk in a few words each.
fn summary(facts: &DiskFacts) -> Vec<(Ink, String)> {
    let mut parts = vec![(Ink::Plain, describe(facts))];
    parts.extend(facts.virtual_size.value().map(|bytes| (Ink::Plain, short(*bytes))));
    match facts.readable {
        Fact::Known(_) => {}
        Fact::Unknown(_) => {
            parts.push((Ink::Red, "the disk inside cannot be read".to_owned()));
            return parts;
        }
        Fact::Absent => {
            if facts.format != "empty" {
                parts.push((Ink::Yellow, "not opened by vhdkit".to_owned()));
            }
            return parts;
        }
    }
    let table = facts.partition_table.value().map(|table| table.scheme.to_ascii_uppercase());
    match (table, &facts.partition_table, &facts.content) {
        (Some(scheme), _, _) => {
            let number = facts.partitions.value().map(|list| count(list.len(), "partition"));
            parts.push((Ink::Plain, number.map_or_else(|| scheme.clone(), |number| format!("{scheme}, {number}"))));
        }
        (None, Fact::Absent, Fact::Known(content)) => parts.push((Ink::Plain, format!("{}, no partition table", content.kind))),
        (None, Fact::Absent, Fact::Absent) => parts.push((Ink::Plain, "nothing recognised on it".to_owned())),
        _ => {}
    }
    parts.push((Ink::Plain, role_word(facts).to_owned()));
    parts
}

/// `OS disk`, `data disk`, or that it is not known.
fn role_word(facts: &DiskFacts) -> &'static str {
    match facts.role.value() {
        Some(Role::Os) => "OS disk",
        Some(Role::Data) => "data disk",
        None => "role not known",
    }
}

/// Texts joined by a separator.
fn joined<'a>(texts: impl IntoIterator<Item = &'a str>, between: &str) -> String {
    texts.into_iter().collect::<Vec<_>>().join(between)
}

/// Spans with a dim dot between them.
fn dotted(parts: Vec<Span>) -> Vec<Span> {
    let mut out = Vec::new();
    for part in parts {
        if !out.is_empty() {
            out.push(Ink::Dim.text(" · "));
        }
        out.push(part);
    }
    out
}
