//! `vhdkit inspect`.

use super::Status;
use super::args::{Common, InspectArgs};
use super::{disks, output};
use crate::facts::DiskFacts;
use crate::report::{json, text};
use std::path::PathBuf;

pub(super) fn run(args: &InspectArgs, common: &Common) -> anyhow::Result<Status> {
    disks::check_parent_dirs(&args.opening)?;
    output::refuse_sources(&args.report, args.disks.iter().map(PathBuf::as_path))?;
    let mut status = Status::Ready;
    let mut facts: Vec<DiskFacts> = Vec::new();
    for path in &args.disks {
        match disks::open(path, &args.opening) {
            Ok(opened) => {
                output::refuse_sources(&args.report, opened.sources())?;
                facts.push(opened.inspected.facts);
            }
            Err(error) => {
                output::complain(&format!("{error:#}"));
                status = Status::Failed;
            }
        }
    }
    let facts: Vec<&DiskFacts> = facts.iter().collect();
    if facts.is_empty() {
        return Ok(status);
    }
    output::report(common, args.format, &args.report, |look| text::inspect(&facts, look), || Ok(json::inspect(&facts)?))?;
    Ok(status)
}
