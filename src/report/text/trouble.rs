//! The end of `inspect`: what is wrong with a disk, and what could not be learnt of it.

use super::joined;
use super::paint::{Ink, Page, count, plain, size};
use crate::facts::{DiskFacts, json};

/// Problems that are shown at most, unless asked for all.
const PROBLEMS: usize = 8;

/// What the file and its partition table do otherwise than their formats say.
pub(super) fn problems(page: &mut Page<'_>, facts: &DiskFacts) {
    let mut list: Vec<(String, String)> = Vec::new();
    for one in &facts.deviations {
        let bytes = if page.verbose() { format!(" ({} bytes)", one.length) } else { String::new() };
        list.push((one.code.clone(), format!("byte {}{bytes}: expected {}, found {}", one.offset, one.expected, one.found)));
    }
    for parent in facts.parents.value().into_iter().flatten() {
        for one in &parent.deviations {
            let text = format!("byte {} of {}: expected {}, found {}", one.offset, parent.path, one.expected, one.found);
            list.push((one.code.clone(), text));
        }
    }
    for one in facts.partition_table.value().into_iter().flat_map(|table| &table.problems) {
        list.push((one.code.clone(), one.message.clone()));
    }
    for one in facts.stale_footers.value().into_iter().flatten() {
        let checksum = if one.valid { "valid" } else { "with a bad checksum" };
        let text = format!("byte {} of the disk: a footer, {checksum}, that says {}", one.offset, size(one.current_size));
        list.push(("stale-footer".to_owned(), text));
    }
    if let Some((bitmaps, conflicts)) = facts.bitmaps.value().and_then(|bitmaps| Some((bitmaps, *bitmaps.conflicts.value()?)))
        && conflicts > 0
    {
        let first = bitmaps.first_conflict.map(|byte| format!(", the first at byte {byte}")).unwrap_or_default();
        list.push(("bitmap-conflict".to_owned(), format!("{conflicts} sectors hold data but are marked as never written{first}")));
    }
    if list.is_empty() {
        return;
    }
    page.heading(Ink::Red, "  problems");
    let most = if page.verbose() { list.len() } else { PROBLEMS };
    for (code, text) in list.iter().take(most) {
        page.flow(&[plain("    "), Ink::Yellow.text(code), plain("  ")], 6, &[plain(text)]);
    }
    let rest = list.len().saturating_sub(most);
    if rest > 0 {
        page.line(&[Ink::Dim.text(format!("    and {} more; -v shows all", count(rest, "problem")))]);
    }
}

/// What could not be learnt: one line of names, or with `-v` each with its reason.
pub(super) fn unknown(page: &mut Page<'_>, facts: &DiskFacts) {
    let Ok((_, all)) = json::split(facts, "") else { return };
    let mut found: Vec<(String, &str)> = Vec::new();
    for one in &all {
        let text = |key| one.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        let (at, reason) = (text("at"), text("reason"));
        // Said already, in red.
        if page.verbose() || facts.readable.reason() != Some(reason) {
            found.push((at.to_owned(), reason));
        }
    }
    if found.is_empty() {
        return;
    }
    page.blank();
    if page.verbose() {
        page.line(&[Ink::Dim.text("  not learnt")]);
        for (at, reason) in &found {
            page.flow(&[plain("    "), plain(at), plain("  ")], 6, &[Ink::Dim.text(reason)]);
        }
        return;
    }
    let mut names: Vec<String> = Vec::new();
    for (at, _) in &found {
        let name = joined(at.split('/').filter(|part| !part.is_empty() && part.parse::<u32>().is_err()).take(2), ".");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let first = found.first().map_or("", |(_, reason)| reason);
    let why = if found.iter().all(|(_, reason)| *reason == first) { first } else { "-v tells why" };
    let text = format!("{} ({why})", joined(names.iter().map(String::as_str), ", "));
    page.flow(&[Ink::Dim.text("  not learnt: ")], 14, &[Ink::Dim.text(text)]);
}
