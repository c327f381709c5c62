//! Where words go: data to standard output, everything else to standard error.

use super::args::{CheckFormat, ColorChoice, Common, Format, ReportFile};
use super::disks::{FileId, identity, shown, source_identity};
use crate::bytes::host::{directory, is_missing};
use crate::bytes::{printable, printable_json};
use crate::prepare::publish_text;
use crate::report::Look;
use anyhow::Context;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// How text on standard output should look.
pub(super) fn look(common: &Common) -> Look {
    let terminal = io::stdout().is_terminal();
    let color = match common.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !dumb(),
    };
    Look { color, width: if terminal { columns() } else { 80 }, verbose: common.verbose }
}

/// How text in files looks.
pub(super) fn in_file(common: &Common) -> Look {
    Look { color: false, width: 80, verbose: common.verbose }
}

fn dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Columns of the terminal, 80 where that is not known, and no more than can be read with ease.
fn columns() -> usize {
    terminal_columns().map_or(80, usize::from).clamp(40, 100)
}

#[cfg(unix)]
fn terminal_columns() -> Option<u16> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}

#[cfg(not(unix))]
fn terminal_columns() -> Option<u16> {
    None
}

/// Prints text.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Prints a document: indented on a terminal, one line otherwise.
pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    let text = if io::stdout().is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    print(&(printable_json(&text?) + "\n"))
}

/// Says something that is no data.
pub(super) fn complain(text: &str) {
    // Nothing can be done, and nothing need be, where even this cannot be said.
    writeln!(io::stderr().lock(), "vhdkit: {}", printable(text)).ok();
}

/// Prints a report in one of its forms, and writes it to the files that were asked for.
pub(super) fn report(
    common: &Common,
    format: Format,
    files: &[ReportFile],
    text: impl Fn(&Look) -> String,
    json: impl Fn() -> anyhow::Result<Value>,
) -> anyhow::Result<()> {
    reports(common, format.into(), files, |wanted| match wanted {
        Wanted::Text(look) => Ok(Document::Text(text(look))),
        Wanted::Json => Ok(Document::Json(json()?)),
        Wanted::Jsonl | Wanted::Sarif | Wanted::Junit => anyhow::bail!("there is no such report of this command"),
    })
}

/// A form of a report.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Text, and how it should look.
    Text(&'a Look),
    Json,
    /// A line of JSON for each disk, and one at the end.
    Jsonl,
    Sarif,
    Junit,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(format: CheckFormat, look: &'a Look) -> Self {
        match format {
            CheckFormat::Text => Self::Text(look),
            CheckFormat::Json => Self::Json,
            CheckFormat::Jsonl => Self::Jsonl,
            CheckFormat::Sarif => Self::Sarif,
            CheckFormat::Junit => Self::Junit,
        }
    }
}

/// A report, made.
#[derive(Debug)]
pub(super) enum Document {
    Text(String),
    Json(Value),
}

/// As [`report`], in all forms. Files that can be written are, whatever becomes of the others.
pub(super) fn reports(
    common: &Common,
    format: CheckFormat,
    files: &[ReportFile],
    make: impl Fn(Wanted<'_>) -> anyhow::Result<Document>,
) -> anyhow::Result<()> {
    let shown = Some(format).filter(|format| *format != CheckFormat::Text || !common.quiet);
    documents(shown, files, &in_file(common), &look(common), make)
}

/// As [`reports`], on standard output only where it is wanted.
pub(super) fn documents(
    format: Option<CheckFormat>,
    files: &[ReportFile],
    in_file: &Look,
    on_screen: &Look,
    make: impl Fn(Wanted<'_>) -> anyhow::Result<Document>,
) -> anyhow::Result<()> {
    let mut failed: Vec<String> = Vec::new();
    for file in files {
        let content = match make(Wanted::new(file.format, in_file))? {
            Document::Text(text) => text,
            Document::Json(value) => printable_json(&serde_json::to_string_pretty(&value)?) + "\n",
        };
        if let Err(error) = write_report(&file.path, &content) {
            failed.push(format!("{error:#}"));
        }
    }
    if let Some(format) = format {
        match make(Wanted::new(format, on_screen))? {
            Document::Text(text) => print(&text)?,
            Document::Json(value) => print_json(&value)?,
        }
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// Refuses report files that cannot be written, or would take the place of a source, of each other, or of anything but a file. Called
/// before any work.
pub(super) fn refuse_sources<'a>(files: &[ReportFile], sources: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
    let sources: Vec<FileId> = if files.is_empty() { vec![] } else { sources.map(source_identity).collect::<anyhow::Result<_>>()? };
    let mut seen: Vec<FileId> = Vec::new();
    for file in files {
        let fail = || format!("cannot write the report '{}'", shown(&file.path));
        let dir = directory(&file.path);
        let is_dir = match std::fs::metadata(dir) {
            Err(error) if is_missing(&error) => false,
            there => there.with_context(|| format!("{}: cannot look at '{}'", fail(), shown(dir)))?.is_dir(),
        };
        anyhow::ensure!(is_dir, "{}: there is no directory '{}'", fail(), shown(dir));
        // A file that is not there yet is known by its directory's real path.
        let own = match (identity(&file.path).with_context(fail)?, file.path.file_name()) {
            (FileId::Path(_), Some(name)) => FileId::Path(std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()).join(name)),
            (id, _) => id,
        };
        anyhow::ensure!(!sources.contains(&own), "{}: it is a source, and vhdkit never writes on one", fail());
        let is_file = match std::fs::metadata(&file.path) {
            Err(error) if is_missing(&error) => true,
            there => there.with_context(fail)?.is_file(),
        };
        anyhow::ensure!(is_file, "{}: something stands there that is not a file", fail());
        anyhow::ensure!(file.path.file_name().is_some_and(|name| name.to_str().is_some()), "{}: it has no name that can be used", fail());
        anyhow::ensure!(!seen.contains(&own), "{}: two reports would be written to it", fail());
        seen.push(own);
    }
    Ok(())
}

/// Writes a report file, all of it or nothing.
fn write_report(path: &Path, content: &str) -> anyhow::Result<()> {
    let fail = || format!("cannot write the report '{}'", shown(path));
    let name = path.file_name().and_then(|name| name.to_str()).with_context(fail)?;
    publish_text(directory(path), name, content, true).with_context(fail)
}
