//! What `prepare` would do, did, or would not do.

use super::check::{counts, expired, findings, undecided};
use super::paint::{Ink, Page, Span, count, glue, plain, size};
use super::{describe, generalize};
use crate::bytes::SECTOR;
use crate::prepare::{MANIFEST, Manifest, SUMS, Step};
use crate::report::{Checked, Look, Planned, Prepared, Stage};
use crate::rules::{Found, Remedy};

/// `prepare`.
#[must_use]
pub fn prepare(prepared: &Prepared<'_>, look: &Look) -> String {
    let mut page = Page::new(look);
    match &prepared.stage {
        Stage::DryRun => dry_run(&mut page, prepared),
        Stage::NotGeneralized => not_generalized(&mut page, prepared),
        Stage::Blocked(found) => blocked(&mut page, found),
        Stage::Undecided => open(&mut page, &prepared.checked),
        Stage::NotCured(after) => not_cured(&mut page, after),
        Stage::Written { manifest, directory, skipped } => written(&mut page, prepared, manifest, directory, *skipped),
    }
    expired(&mut page, &prepared.checked);
    page.text()
}

/// A key with its value, below a file.
fn entry(page: &mut Page<'_>, key: &str, body: &[Span]) {
    page.entry(2, &Ink::Dim.text(key), 10, body);
}

fn dry_run(page: &mut Page<'_>, prepared: &Prepared<'_>) {
    for (place, disk) in prepared.disks.iter().enumerate() {
        page.blank();
        let head = [Ink::Bold.text(&disk.source.path), Ink::Dim.text(" → "), Ink::Bold.text(&disk.output)];
        page.flow(&[], 2, &head);
        plan(page, disk);
        let mut cured: Vec<String> = Vec::new();
        for found in prepared.checked.outcomes.findings.iter().filter(|found| found.disk == Some(place) && found.waived.is_none()) {
            let name = format!("{} {}", found.rule.code, found.rule.name);
            if matches!(found.finding.remedy, Remedy::Prepare(_)) && !cured.contains(&name) {
                cured.push(name);
            }
        }
        if !cured.is_empty() && disk.plan.is_some_and(|plan| !plan.is_empty()) {
            entry(page, "cures", &[plain(cured.join(", "))]);
        }
    }
    inside(page, prepared);
    page.blank();
    page.line(&[Ink::Bold.text("dry run: nothing was written")]);
}

/// What is done inside the disks: the same words before and after.
fn inside(page: &mut Page<'_>, prepared: &Prepared<'_>) {
    if let Some(generalization) = &prepared.generalization {
        generalize::changes(page, generalization);
        generalize::remaining(page, generalization);
    }
    generalize::trimmed(page, prepared.trimmed);
    if let Some(generalization) = &prepared.generalization {
        generalize::untrimmed(page, generalization);
    }
}

fn not_generalized(page: &mut Page<'_>, prepared: &Prepared<'_>) {
    let Some(generalization) = &prepared.generalization else { return };
    refused(page, generalize::hindrance(generalization));
    generalize::body(page, generalization);
    generalize::next(page, generalization);
}

fn plan(page: &mut Page<'_>, disk: &Planned<'_>) {
    let Some(plan) = disk.plan else {
        page.line(&[plain("  "), Ink::Red.text("no plan can be made for it")]);
        return;
    };
    if plan.is_empty() {
        page.line(&[plain("  "), Ink::Green.text("ready as it is"), plain("; it is copied unchanged")]);
    }
    for (number, step) in (1_usize..).zip(&plan.steps) {
        page.flow(&[plain(format!("  {number}. "))], 5, &[step_text(step)]);
    }
    entry(page, "writes", &[plain(size(plan.size.saturating_add(SECTOR)))]);
}

/// A step, its creator code unbroken.
fn step_text(step: &Step) -> Span {
    plain(step.to_string().replace("'win '", &glue("'win '")))
}

fn refused(page: &mut Page<'_>, why: &str) {
    page.flow(&[], 2, &[Ink::Red.text("nothing was written"), plain(format!(": {why}"))]);
}

fn blocked(page: &mut Page<'_>, found: &[&Found]) {
    let order = if found.len() > 1 { ", in this order" } else { "" };
    refused(page, &format!("{} must be cured by hand first{order}", count(found.len(), "finding")));
    findings(page, found);
    let mut codes: Vec<String> = Vec::new();
    for one in found {
        let word = format!("--allow\u{a0}{}", one.rule.code);
        if !codes.contains(&word) {
            codes.push(word);
        }
    }
    page.blank();
    let hint = [plain("Then run prepare again; or accept knowingly what stays: "), Ink::Cyan.text(codes.join(" "))];
    page.flow(&[], 0, &hint);
}

fn open(page: &mut Page<'_>, checked: &Checked<'_>) {
    let open: Vec<_> = checked.outcomes.undecided_errors().collect();
    refused(page, &format!("{} could not be decided", count(open.len(), "rule")));
    page.blank();
    undecided(page, &open);
    page.blank();
    page.flow(&[], 0, &[plain("To write it all the same, knowing that: "), Ink::Cyan.text("--allow-undecided")]);
}

fn not_cured(page: &mut Page<'_>, after: &Checked<'_>) {
    let counting = |found: &&Found| found.waived.is_none() && found.severity >= after.target.fail_on;
    let left: Vec<&Found> = after.outcomes.findings.iter().filter(counting).collect();
    refused(page, "the plan would not cure the image; on the planned disks this would remain");
    findings(page, &left);
    let open: Vec<_> = after.outcomes.undecided_errors().collect();
    if !open.is_empty() {
        page.heading(Ink::Bold, "Undecided");
        undecided(page, &open);
    }
    page.blank();
    let all: Vec<&Found> = after.outcomes.findings.iter().collect();
    let outcomes: Vec<_> = after.outcomes.outcomes.iter().collect();
    page.flow(&[], 0, &counts(&all, &outcomes));
}

/// A directory with its slash.
pub(super) fn slashed(directory: &str) -> String {
    if directory.ends_with(['/', '\\']) { directory.to_owned() } else { format!("{directory}/") }
}

fn written(page: &mut Page<'_>, prepared: &Prepared<'_>, manifest: &Manifest, directory: &str, skipped: u64) {
    let directory = slashed(directory);
    let word = match manifest.verdict.as_str() {
        "ready" if !manifest.allowed.is_empty() => Ink::Yellow.text("ready but for what was allowed"),
        "ready" => Ink::Green.text("ready for Azure"),
        "undecided" => Ink::Yellow.text("UNDECIDED, as was accepted"),
        other => Ink::Red.text(other),
    };
    page.flow(&[Ink::Bold.text(&directory), plain(": written, reread, ")], 2, &[word]);
    for disk in &manifest.disks {
        page.blank();
        let role = match (disk.role.as_deref(), disk.lun) {
            (Some("os"), _) => "  OS disk".to_owned(),
            (Some("data"), Some(lun)) => format!("  data disk, LUN {lun}"),
            (Some("data"), None) => "  data disk".to_owned(),
            _ => String::new(),
        };
        page.line(&[Ink::Bold.text(&disk.file), plain(role)]);
        entry(page, "disk", &[plain(size(disk.virtual_size))]);
        let bytes = Ink::Bold.text(format!("{} bytes", disk.upload_size_bytes));
        entry(page, "upload", &[bytes, plain(format!(", {} of them in ranges with data", disk.data_bytes))]);
        for (key, digest) in [("fsverity", &disk.fsverity), ("sha256", &disk.sha256)] {
            if let Some(digest) = digest {
                // Below its key: a digest is as wide as a terminal.
                page.flow(&[plain("  "), Ink::Dim.text(format!("{key:<10}"))], 4, &[plain(digest)]);
            }
        }
        let source = prepared.disks.iter().find(|planned| planned.source.path == disk.source.path);
        let what = source.map(|planned| format!(", {}", describe(planned.source))).unwrap_or_default();
        entry(page, "from", &[plain(format!("{}{what}", disk.source.path))]);
        if disk.steps.is_empty() {
            entry(page, "steps", &[plain("none: copied unchanged")]);
        }
        for (number, step) in (1_usize..).zip(&disk.steps) {
            let key = if number == 1 { "steps" } else { "" };
            page.flow(&[plain("  "), Ink::Dim.text(format!("{key:<10}")), plain(format!("{number}. "))], 15, &[step_text(step)]);
        }
    }
    page.blank();
    entry(page, "manifest", &[plain(format!("{directory}{MANIFEST}"))]);
    if manifest.sums().is_some() {
        entry(page, "sums", &[plain(format!("{directory}{SUMS}"))]);
    }
    if skipped > 0 {
        entry(page, "skipped", &[plain(format!("{} that are empty", size(skipped)))]);
    }
    accepted(page, manifest);
    inside(page, prepared);
    page.blank();
    let word = generalize::quoted(&directory);
    page.command(&Ink::Dim.text("next: "), &["vhdkit verify".to_owned(), word.clone()]);
    page.command(&Ink::Dim.text("      "), &["vhdkit recipe".to_owned(), word]);
}

/// What was accepted on the way to this image.
pub(super) fn accepted(page: &mut Page<'_>, manifest: &Manifest) {
    if !manifest.allowed.is_empty() {
        entry(page, "allowed", &[Ink::Yellow.text(manifest.allowed.join(", "))]);
    }
    for waived in &manifest.waived {
        entry(page, "waived", &[Ink::Yellow.text(&waived.code), plain(format!(": {}", waived.reason))]);
    }
    if !manifest.kept_users().is_empty() {
        entry(page, "kept", &[Ink::Yellow.text(format!("accounts {}, on every machine", manifest.kept_users().join(", ")))]);
    }
    if !manifest.undecided.is_empty() {
        entry(page, "undecided", &[Ink::Yellow.text(manifest.undecided.join(", "))]);
    }
}
