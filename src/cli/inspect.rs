//! `vhdkit inspect`.

use super::Status;
use super::args::{Common, InspectArgs};
use super::{disks, output};
use crate::facts::DiskFacts;
use crate::report::{json, text};

pub(super) fn run(args: &InspectArgs, common: &Common) -> anyhow::Result<Status> {
    disks::check_parent_dirs(&args.opening)?;
    let mut status = Status::Ready;
    let mut facts: Vec<DiskFacts> = Vec::new();
    for path in &args.disks {
        match disks::open(path, &args.opening, disks::access(common)) {
            Ok(opened) => facts.push(opened.inspected.facts),
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
