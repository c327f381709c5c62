//! Where words go: data to standard output, everything else to standard error.

use super::args::{ColorChoice, Common, Format, ReportFile};
use super::disks::{FileId, identity, shown};
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
    print(&(text? + "\n"))
}

/// Says something that is no data.
pub(super) fn complain(text: &str) {
    // Nothing can be done, and nothing need be, where even this cannot be said.
    writeln!(io::stderr().lock(), "vhdkit: {text}").ok();
}

/// Prints a report in one of its forms, and writes it to the files that were asked for.
pub(super) fn report(
    common: &Common,
    format: Format,
    files: &[ReportFile],
    text: impl Fn(&Look) -> String,
    json: impl Fn() -> anyhow::Result<Value>,
) -> anyhow::Result<()> {
    for file in files {
        let content = match file.format {
            Format::Text => text(&Look { color: false, width: 80, verbose: common.verbose }),
            Format::Json => serde_json::to_string_pretty(&json()?)? + "\n",
        };
        write_report(&file.path, &content)?;
    }
    match format {
        Format::Json => print_json(&json()?),
        Format::Text if common.quiet => Ok(()),
        Format::Text => print(&text(&look(common))),
    }
}

/// Refuses report files that would take the place of a source, or of anything but a file.
pub(super) fn refuse_sources<'a>(files: &[ReportFile], sources: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
    let sources: Vec<FileId> = if files.is_empty() { vec![] } else { sources.map(identity).collect() };
    for file in files {
        let fail = || format!("cannot write the report '{}'", shown(&file.path));
        anyhow::ensure!(!sources.contains(&identity(&file.path)), "{}: it is a source, and vhdkit never writes on one", fail());
        let is_file = std::fs::metadata(&file.path).map_or(true, |metadata| metadata.is_file());
        anyhow::ensure!(is_file, "{}: something stands there that is not a file", fail());
    }
    Ok(())
}

/// Writes a report file, all of it or nothing.
fn write_report(path: &Path, content: &str) -> anyhow::Result<()> {
    let fail = || format!("cannot write the report '{}'", shown(path));
    let name = path.file_name().and_then(|name| name.to_str()).with_context(fail)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    anyhow::ensure!(dir.is_dir(), "{}: there is no directory '{}'", fail(), shown(dir));
    publish_text(dir, name, content, true).with_context(fail)
}
