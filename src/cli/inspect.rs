//! `vhdkit inspect`.

use super::Status;
use super::args::{Common, InspectArgs};
use super::disks::{self, Opened};
use super::output;
use crate::facts::DiskFacts;
use crate::report::{json, text};
use std::path::PathBuf;

pub(super) fn run(args: &InspectArgs, common: &Common) -> anyhow::Result<Status> {
    disks::check_parent_dirs(&args.opening)?;
    output::refuse_sources(&args.report, args.disks.iter().map(PathBuf::as_path))?;
    let mut status = Status::Ready;
    let mut opened: Vec<Opened> = Vec::new();
    for path in &args.disks {
        match disks::open(path, &args.opening) {
            Ok(disk) => {
                output::refuse_sources(&args.report, disk.sources())?;
                opened.push(disk);
            }
            Err(error) => {
                output::complain(&format!("{error:#}"));
                status = Status::Failed;
            }
        }
    }
    disks::join_each(&mut opened, |disk| &disk.inspected, |disk| &mut disk.inspected)?;
    let facts: Vec<&DiskFacts> = opened.iter().map(|disk| &disk.inspected.facts).collect();
    if facts.is_empty() {
        return Ok(status);
    }
    output::report(common, args.format, &args.report, |look| text::inspect(&facts, look), || Ok(json::inspect(&facts)?))?;
    Ok(status)
}
