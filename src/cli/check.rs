//! `vhdkit check`.

use super::args::{CheckArgs, CheckFormat, Common, ReportFile};
use super::disks::{self, Opened};
use super::many::{self, Ended};
use super::output::{self, Document, Wanted};
use super::stream::Streams;
use super::{Status, interrupt};
use crate::facts::{DiskFacts, Role};
use crate::report::{Checked, Summary, Unopened, json, junit, sarif, text};
use crate::rules::{Outcomes, Subject, Target, judge};
use std::path::{Path, PathBuf};

pub(super) fn run(args: &CheckArgs, common: &Common) -> anyhow::Result<Status> {
    disks::check_data(&args.disks, &args.asking)?;
    disks::check_parent_dirs(&args.opening)?;
    let paths = args.disks.iter().chain(args.asking.data.iter().map(|disk| &disk.path)).chain(&args.asking.settled.file);
    output::refuse_sources(&args.report, paths.map(PathBuf::as_path))?;
    if args.asking.data.is_empty() { side_by_side(args, common) } else { image(args, common) }
}

/// A disk that was judged by itself, and is open no more.
#[derive(Debug)]
struct Judged {
    facts: DiskFacts,
    outcomes: Outcomes,
    image: Option<&'static str>,
    parents: Vec<PathBuf>,
    /// Its line of JSON, where one is wanted.
    line: Option<Result<String, json::Error>>,
}

/// Judges a disk by itself.
fn judged(path: &Path, args: &CheckArgs, wants_line: bool) -> Result<Judged, Unopened> {
    let mut opened = disks::open(path, &args.opening).map_err(|error| disks::unopened(path, &error))?;
    disks::take_role(&mut opened, None, &args.asking);
    let subject = disks::subject(&opened, None, &args.asking);
    let target = disks::target(&args.asking);
    let image = image_kind(std::slice::from_ref(&subject), &target);
    let outcomes = judge_all(&[subject], &target, &args.asking.waive);
    let outcomes = Outcomes { waivers: args.asking.settled.waivers.clone(), ..outcomes };
    let checked = Checked { disks: &[&opened.inspected.facts], outcomes: &outcomes, target: &target, image, luns: &[None] };
    let line = wants_line.then(|| json::check(&checked).and_then(|document| json::line(&document)));
    let parents = opened.parents();
    Ok(Judged { facts: opened.inspected.facts, outcomes, image, parents, line })
}

/// Disks that have nothing to do with each other, each told as soon as it and all before it are judged.
fn side_by_side(args: &CheckArgs, common: &Common) -> anyhow::Result<Status> {
    let target = disks::target(&args.asking);
    let waivers = &args.asking.settled.waivers;
    let mut streams = Streams::new(common, args.format, &args.report);
    let (mut status, mut summary) = (Status::Ready, Summary::default());
    let mut kept: Vec<DiskFacts> = Vec::new();
    let mut all = Outcomes { waivers: waivers.clone(), ..Outcomes::default() };
    let mut kind = None;
    let mut unopened: Vec<Unopened> = Vec::new();
    let jobs = many::threads(args.parallel.jobs, args.disks.len());
    let alone = args.disks.len() == 1;
    let (shared, wants_line) = (args.clone(), streams.wants_lines());
    let work = move |place: usize| shared.disks.get(place).map(|path| judged(path, &shared, wants_line));
    let ended = many::in_order(args.disks.len(), jobs, work, |_, result| {
        let one = match result {
            None => return Ok(()),
            Some(Ok(one)) => one,
            Some(Err(one)) => {
                status = Status::Failed;
                summary.unreadable = summary.unreadable.saturating_add(1);
                output::complain(&one.reason);
                streams.tell(|wanted| told_unopened(&one, wanted))?;
                if streams.keeps() {
                    unopened.push(one);
                }
                return Ok(());
            }
        };
        output::refuse_sources(&args.report, one.parents.iter().map(PathBuf::as_path))?;
        let checked = Checked { disks: &[&one.facts], outcomes: &one.outcomes, target: &target, image: one.image, luns: &[None] };
        let line = one.line.transpose()?.unwrap_or_default();
        let first = Summary { unreadable: 0, ..summary }.disks() == 0;
        streams.tell(|wanted| match wanted {
            Wanted::Text(look) if first => Ok(text::check(&checked, look)),
            Wanted::Text(look) => Ok(text::check_next(&checked, look)),
            _ => Ok(line.clone()),
        })?;
        status = status.max(checked.verdict().into());
        summary.add(checked.verdict());
        if streams.keeps() {
            kind = one.image;
            all.append(one.outcomes, kept.len());
            kept.push(one.facts);
        }
        Ok(())
    })?;
    if ended == Ended::Stopped {
        return Ok(interrupt::status());
    }
    streams.tell(|wanted| match wanted {
        Wanted::Text(_) if alone => Ok(String::new()),
        Wanted::Text(look) => Ok(text::summary_line(&summary, look)),
        _ => Ok(json::line(&json::check_summary(&summary, status.code()))?),
    })?;
    let facts: Vec<&DiskFacts> = kept.iter().collect();
    let luns = vec![None; facts.len()];
    let image = kind.filter(|_| facts.len() == 1);
    let checked = Checked { disks: &facts, outcomes: &all, target: &target, image, luns: &luns };
    streams.finish(!facts.is_empty(), |wanted| document(&checked, &unopened, wanted))?;
    Ok(status)
}

/// What the forms that grow say of a disk that could not be opened.
fn told_unopened(one: &Unopened, wanted: Wanted<'_>) -> anyhow::Result<String> {
    Ok(match wanted {
        Wanted::Text(_) => String::new(),
        _ => json::line(&json::unopened(one))?,
    })
}

/// A report on everything.
fn document(checked: &Checked<'_>, unopened: &[Unopened], wanted: Wanted<'_>) -> anyhow::Result<Document> {
    Ok(match wanted {
        Wanted::Text(look) => Document::Text(text::check(checked, look)),
        Wanted::Json => Document::Json(json::check(checked)?),
        Wanted::Jsonl => {
            let status = Status::from(checked.verdict());
            let end = json::check_summary(&Summary::of(checked), status.code());
            Document::Text(json::line(&json::check(checked)?)? + &json::line(&end)?)
        }
        Wanted::Sarif => Document::Json(sarif::check(checked, unopened)),
        Wanted::Junit => Document::Text(junit::check(checked, unopened)),
    })
}

/// One image: an OS disk with its data disks, all open together.
fn image(args: &CheckArgs, common: &Common) -> anyhow::Result<Status> {
    let mut opened: Vec<(Opened, Option<u8>)> = Vec::new();
    let mut unopened: Vec<Unopened> = Vec::new();
    let data = args.asking.data.iter().map(|disk| (&disk.path, Some(disk.lun)));
    for (path, lun) in args.disks.iter().map(|path| (path, None)).chain(data) {
        match disks::open(path, &args.opening) {
            Ok(disk) => opened.push((disk, lun)),
            Err(error) => {
                let one = disks::unopened(path, &error);
                output::complain(&one.reason);
                unopened.push(one);
            }
        }
    }
    // An image of which a disk is missing cannot be judged.
    if !unopened.is_empty() {
        tell_unopened(args, common, &unopened)?;
        return Ok(Status::Failed);
    }
    disks::check_parents(opened.iter().map(|(disk, _)| disk))?;
    disks::join_each(&mut opened, |(disk, _)| &disk.inspected, |(disk, _)| &mut disk.inspected)?;
    for (disk, lun) in &mut opened {
        disks::take_role(disk, *lun, &args.asking);
    }
    output::refuse_sources(&args.report, opened.iter().flat_map(|(disk, _)| disk.sources()))?;
    let target = disks::target(&args.asking);
    let subjects: Vec<Subject<'_>> = opened.iter().map(|(disk, lun)| disks::subject(disk, *lun, &args.asking)).collect();
    let outcomes = judge_all(&subjects, &target, &args.asking.waive);
    let outcomes = Outcomes { waivers: args.asking.settled.waivers.clone(), ..outcomes };
    let facts: Vec<&DiskFacts> = subjects.iter().map(|subject| subject.facts).collect();
    let luns: Vec<Option<u8>> = subjects.iter().map(|subject| subject.lun).collect();
    let checked = Checked { disks: &facts, outcomes: &outcomes, target: &target, image: image_kind(&subjects, &target), luns: &luns };
    output::reports(common, args.format, &args.report, |wanted| document(&checked, &unopened, wanted))?;
    Ok(checked.verdict().into())
}

/// Where nothing can be judged, pipelines still read why: in the forms that have a place for it.
fn tell_unopened(args: &CheckArgs, common: &Common, unopened: &[Unopened]) -> anyhow::Result<()> {
    let (target, outcomes) = (disks::target(&args.asking), Outcomes::default());
    let nothing = Checked { disks: &[], outcomes: &outcomes, target: &target, image: None, luns: &[] };
    let machine = |format: CheckFormat| matches!(format, CheckFormat::Jsonl | CheckFormat::Sarif | CheckFormat::Junit);
    let files: Vec<ReportFile> = args.report.iter().filter(|file| machine(file.format)).cloned().collect();
    output::reports(common, args.format, &files, |wanted| {
        Ok(match wanted {
            Wanted::Text(_) | Wanted::Json => Document::Text(String::new()),
            Wanted::Jsonl => {
                let lines: Vec<String> = unopened.iter().map(|one| json::line(&json::unopened(one))).collect::<Result<_, _>>()?;
                let summary = Summary { unreadable: unopened.len(), ..Summary::default() };
                Document::Text(lines.concat() + &json::line(&json::check_summary(&summary, Status::Failed.code()))?)
            }
            other => document(&nothing, unopened, other)?,
        })
    })
}

/// One image is judged as one; disks that only stand side by side are judged one by one.
pub(super) fn judge_all(subjects: &[Subject<'_>], target: &Target, waivers: &[(String, String)]) -> Outcomes {
    if subjects.iter().any(|subject| subject.in_image) {
        return judge(subjects, target, waivers);
    }
    let mut all = Outcomes::default();
    for (place, subject) in subjects.iter().enumerate() {
        all.append(judge(std::slice::from_ref(subject), target, waivers), place);
    }
    all
}

/// What kind of image the disks are, together.
pub(super) fn image_kind(subjects: &[Subject<'_>], target: &Target) -> Option<&'static str> {
    match subjects {
        all if all.iter().any(|subject| subject.in_image) => Some("vm-image"),
        [one] if target.state.is_some() || one.role.value() == Some(&Role::Os) => Some("os-image"),
        _ => None,
    }
}
