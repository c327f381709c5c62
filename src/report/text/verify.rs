//! Whether a prepared image is what its manifest says.

use super::check::{counts, findings, undecided};
use super::paint::{Ink, Page, count, plain};
use super::prepare::{accepted, slashed};
use crate::report::{Look, VerifiedImage};
use crate::rules::{Found, Verdict};

/// `verify`.
#[must_use]
pub fn verify(verified: &VerifiedImage<'_>, look: &Look) -> String {
    let mut page = Page::new(look);
    let checked = &verified.checked;
    let same = if verified.mismatches.is_empty() { Ink::Green.text("as prepared") } else { Ink::Red.text("NOT as prepared") };
    let verdict = match checked.verdict() {
        Verdict::Ready => Ink::Green.text("ready"),
        Verdict::Undecided if verified.undecided_as_accepted() => Ink::Yellow.text("UNDECIDED, as was accepted"),
        Verdict::Undecided => Ink::Yellow.text("UNDECIDED"),
        Verdict::NotReady => Ink::Red.text("NOT READY"),
    };
    // A disk that is not what was prepared may be ready all the same; that must not read as a pass.
    let between = if verified.mismatches.is_empty() { ", " } else { "; judged anew: " };
    page.flow(&[Ink::Bold.text(place(verified)), plain(": ")], 2, &[same, plain(between), verdict]);
    for mismatch in &verified.mismatches {
        page.flow(&[plain("  "), Ink::Red.text("differs"), plain("  ")], 11, &[plain(mismatch)]);
    }
    for (file, digest) in &verified.digests {
        page.flow(&[plain("  "), Ink::Green.text("ok"), plain("       ")], 11, &[plain(format!("{file}: {digest} agrees"))]);
    }
    for disk in &verified.manifest.disks {
        if disk.fsverity.is_none() && disk.sha256.is_none() {
            let text = format!("{} has no digest in the manifest: its data was not compared", disk.file);
            page.flow(&[plain("  "), Ink::Yellow.text("unproven"), plain(" ")], 11, &[plain(text)]);
        }
    }
    page.blank();
    accepted(&mut page, verified.manifest);
    let all: Vec<&Found> = checked.outcomes.findings.iter().collect();
    findings(&mut page, &all);
    let open: Vec<_> = checked.outcomes.undecided_errors().collect();
    if !open.is_empty() {
        page.heading(Ink::Bold, "Undecided");
        undecided(&mut page, &open);
    }
    let outcomes: Vec<_> = checked.outcomes.outcomes.iter().collect();
    let mut line = vec![plain(count(checked.disks.len(), "disk"))];
    let rules = counts(&all, &outcomes);
    if !rules.is_empty() {
        line.push(plain(": "));
        line.extend(rules);
    }
    page.blank();
    page.flow(&[], 0, &line);
    page.text()
}

/// The directory of the disks, or the image's name.
fn place(verified: &VerifiedImage<'_>) -> String {
    let path = verified.checked.disks.first().map(|facts| facts.path.as_str());
    match path.map(|path| path.rsplit_once(['/', '\\'])) {
        Some(Some((directory, _))) => slashed(directory),
        Some(None) => "./".to_owned(),
        None => verified.manifest.image.name.clone(),
    }
}
