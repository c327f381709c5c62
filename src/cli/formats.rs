//! The forms that reports come in, and `--report`.

use clap::ValueEnum;
use std::path::PathBuf;

/// How reports are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How disks are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum InspectFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For programs: a line of JSON for each disk, as soon as it is known
    Jsonl,
}

/// How verdicts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum CheckFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For programs: a line of JSON for each disk, as soon as it is known
    Jsonl,
    /// For code scanners: SARIF 2.1.0
    Sarif,
    /// For pipelines that show tests: JUnit's XML
    Junit,
}

impl From<Format> for CheckFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
        }
    }
}

impl From<InspectFormat> for CheckFormat {
    fn from(format: InspectFormat) -> Self {
        match format {
            InspectFormat::Text => Self::Text,
            InspectFormat::Json => Self::Json,
            InspectFormat::Jsonl => Self::Jsonl,
        }
    }
}

/// How the rules are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RulesFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// A table for a page
    Markdown,
}

/// One `--report`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportFile {
    pub(super) format: CheckFormat,
    pub(super) path: PathBuf,
}

/// One `FORMAT=FILE`.
pub(super) fn parse_report(text: &str) -> Result<ReportFile, String> {
    let (format, path) = text.split_once('=').ok_or("write FORMAT=FILE, for example json=check.json")?;
    let known = CheckFormat::from_str(format, true);
    let format = known.map_err(|_unknown| format!("'{format}' is not a format: text, json, jsonl, sarif or junit"))?;
    if path.is_empty() {
        return Err("the file is missing after '='".to_owned());
    }
    if path == "-" {
        return Err("standard output is for --format; a file of that name is ./-".to_owned());
    }
    Ok(ReportFile { format, path: path.into() })
}

/// As [`parse_report`], for commands that give no verdict.
pub(super) fn parse_disks_report(text: &str) -> Result<ReportFile, String> {
    let file = parse_report(text)?;
    match file.format {
        CheckFormat::Text | CheckFormat::Json | CheckFormat::Jsonl => Ok(file),
        CheckFormat::Sarif | CheckFormat::Junit => {
            Err("sarif and junit tell verdicts, which only check gives: text, json or jsonl".to_owned())
        }
    }
}

/// As [`parse_report`], for commands that work on one image.
pub(super) fn parse_plain_report(text: &str) -> Result<ReportFile, String> {
    let file = parse_report(text)?;
    match file.format {
        CheckFormat::Text | CheckFormat::Json => Ok(file),
        CheckFormat::Jsonl => Err("jsonl tells disks line by line, which only inspect and check do: text or json".to_owned()),
        CheckFormat::Sarif | CheckFormat::Junit => Err("sarif and junit tell verdicts, which only check gives: text or json".to_owned()),
    }
}
