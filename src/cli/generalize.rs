//! `vhdkit generalize`: what makes a template of a Linux disk; with `-o`, what `prepare --generalize` does.

use super::args::{Common, DigestChoice, Format, GeneralizeArgs, PrepareArgs, ReflinkChoice, RulesFormat, StateChoice, Wanted};
use super::changes::{self, Changes};
use super::{Status, config, image, output, prepare};
use crate::generalize::OPERATIONS;
use crate::report::{json, markdown, text};
use anyhow::Context;
use std::path::PathBuf;

pub(super) fn run(args: &GeneralizeArgs, common: &Common) -> anyhow::Result<Status> {
    if args.list_operations {
        return list(args, common);
    }
    let prepare_args = as_prepare(args)?;
    if prepare_args.writing.output.is_some() || prepare_args.writing.dry_run {
        return prepare::run(&prepare_args, common);
    }
    report(&prepare_args, common)
}

fn list(args: &GeneralizeArgs, common: &Common) -> anyhow::Result<Status> {
    match args.format {
        RulesFormat::Json => output::print_json(&json::operations(OPERATIONS))?,
        RulesFormat::Markdown => output::print(&markdown::operations(OPERATIONS))?,
        RulesFormat::Text => output::print(&text::operations(OPERATIONS, &output::look(common)))?,
    }
    Ok(Status::Ready)
}

/// The same as `prepare DISK --as generalized --generalize`.
fn as_prepare(args: &GeneralizeArgs) -> anyhow::Result<PrepareArgs> {
    let disk = args.disk.clone().context("which disk?")?;
    let format = match args.format {
        RulesFormat::Text => Format::Text,
        RulesFormat::Json => Format::Json,
        RulesFormat::Markdown => anyhow::bail!("--format markdown is for --list-operations"),
    };
    let wanted = Wanted { state: Some(StateChoice::Generalized), role: None };
    Ok(PrepareArgs {
        asking: config::settle(&args.asking, wanted, Some(&disk))?,
        disk,
        wanted,
        opening: args.opening.clone(),
        writing: args.writing.clone(),
        generalize: true,
        generalizing: args.generalizing.clone(),
        trimming: args.trimming,
        format,
        report: args.report.clone(),
    })
}

/// Tells what would change, and writes nothing.
fn report(args: &PrepareArgs, common: &Common) -> anyhow::Result<Status> {
    let writing = &args.writing;
    let asked = writing.overwrite
        || writing.sha256
        || writing.allow_undecided
        || writing.name.is_some()
        || writing.size.is_some()
        || !writing.allow.is_empty()
        || writing.digest != DigestChoice::Fsverity
        || writing.reflink != ReflinkChoice::Auto;
    anyhow::ensure!(!asked, "this only reports; options of writing need -o DIR, or --dry-run");
    prepare::check_arguments(args)?;
    let paths = std::iter::once(&args.disk).chain(args.asking.data.iter().map(|disk| &disk.path)).chain(&args.asking.settled.file);
    output::refuse_sources(&args.report, paths.map(PathBuf::as_path))?;
    let candidates = image::open_all(args, &image::image_name(&args.disk))?;
    output::refuse_sources(&args.report, candidates.iter().flat_map(|candidate| candidate.opened.sources()))?;
    let mut changes = Changes::template(args, &candidates)?;
    if args.trims() && changes.goes() {
        changes.trim(&candidates)?;
    }
    for candidate in &candidates {
        candidate.opened.unchanged()?;
    }
    let command = changes::command();
    let Some(template) = &changes.template else { anyhow::bail!("nothing was planned") };
    let generalization = template.report(&command);
    let text = |look: &_| text::generalize(&generalization, &changes.trimmed, look);
    output::report(common, args.format, &args.report, text, || Ok(json::generalize(&generalization, &changes.trimmed)))?;
    Ok(if generalization.verdict().goes() { Status::Ready } else { Status::NotReady })
}
