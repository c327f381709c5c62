//! `vhdkit inspect`.

use super::args::{Common, InspectArgs, Opening};
use super::disks::{self, Opened};
use super::many::{self, Ended};
use super::output::{self, Document, Wanted};
use super::stream::Streams;
use super::{Status, interrupt};
use crate::facts::DiskFacts;
use crate::report::{Unopened, json, text};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Disks that are looked at together, at most: an OS disk and the 64 data disks that a machine in Azure can have. More of them are a
/// collection, and each is looked at by itself.
const TOGETHER: usize = 65;

pub(super) fn run(args: &InspectArgs, common: &Common) -> anyhow::Result<Status> {
    disks::check_parent_dirs(&args.opening)?;
    output::refuse_sources(&args.report, args.disks.iter().map(PathBuf::as_path))?;
    let mut streams = Streams::new(common, args.format.into(), &args.report);
    let mut status = Status::Ready;
    let (mut read, mut unreadable) = (0_usize, 0_usize);
    let mut kept: Vec<DiskFacts> = Vec::new();
    let jobs = many::threads(args.parallel.jobs, args.disks.len());
    let (paths, opening): (Arc<[PathBuf]>, Opening) = (args.disks.as_slice().into(), args.opening.clone());
    let wants_line = streams.wants_lines();
    let work = move |place: usize| paths.get(place).map(|path| inspected(path, place, &paths, &opening, wants_line));
    let ended = many::in_order(args.disks.len(), jobs, work, |_, result| {
        match result {
            None => {}
            Some(Err(one)) => {
                status = Status::Failed;
                unreadable = unreadable.saturating_add(1);
                output::complain(&one.reason);
                streams.tell(|wanted| match wanted {
                    Wanted::Text(_) => Ok(String::new()),
                    _ => Ok(json::line(&json::unopened(&one))?),
                })?;
            }
            Some(Ok(Read { facts, parents, line })) => {
                output::refuse_sources(&args.report, parents.iter().map(PathBuf::as_path))?;
                read = read.saturating_add(1);
                let line = line.transpose()?.unwrap_or_default();
                streams.tell(|wanted| match wanted {
                    Wanted::Text(look) => Ok(text::inspect(&[&facts], look)),
                    _ => Ok(line.clone()),
                })?;
                if streams.keeps() {
                    kept.push(facts);
                }
            }
        }
        Ok(())
    })?;
    if ended == Ended::Stopped {
        return Ok(interrupt::status());
    }
    streams.tell(|wanted| match wanted {
        Wanted::Text(_) => Ok(String::new()),
        _ => Ok(json::line(&json::inspect_summary(read, unreadable, status.code()))?),
    })?;
    let facts: Vec<&DiskFacts> = kept.iter().collect();
    streams.finish(!facts.is_empty(), |wanted| match wanted {
        Wanted::Json => Ok(Document::Json(json::inspect(&facts)?)),
        _ => anyhow::bail!("there is no such report of this command"),
    })?;
    Ok(status)
}

/// What is known of a disk, which is open no more.
#[derive(Debug)]
struct Read {
    facts: DiskFacts,
    parents: Vec<PathBuf>,
    /// Its line of JSON, where one is wanted.
    line: Option<Result<String, json::Error>>,
}

/// What is known of one of the disks.
fn inspected(path: &Path, place: usize, all: &[PathBuf], opening: &Opening, wants_line: bool) -> Result<Read, Unopened> {
    let unopened = |error: anyhow::Error| disks::unopened(path, &error);
    let mut opened = disks::open(path, opening).map_err(unopened)?;
    let incomplete = opened.inspected.inside.as_ref().is_some_and(|inside| inside.incomplete);
    if incomplete && (2..=TOGETHER).contains(&all.len()) {
        let others = all.iter().enumerate().filter(|(other, _)| *other != place);
        // Those that cannot be opened are told in their own places.
        let others: Vec<Opened> = others.filter_map(|(_, other)| disks::open_surface(other, opening).ok()).collect();
        disks::join(&mut opened, &others.iter().collect::<Vec<_>>()).map_err(unopened)?;
    }
    let parents = opened.parents();
    let facts = opened.inspected.facts;
    let line = wants_line.then(|| json::inspect(&[&facts]).and_then(|document| json::line(&document)));
    Ok(Read { facts, parents, line })
}
