//! `vhdkit check`.

use super::Status;
use super::args::{CheckArgs, CheckFormat, Common, ReportFile};
use super::disks::{self, Opened};
use super::output::{self, Document, Wanted};
use crate::facts::{DiskFacts, Role};
use crate::report::{Checked, Unopened, json, junit, sarif, text};
use crate::rules::{Outcomes, Subject, Target, judge};
use std::path::PathBuf;

pub(super) fn run(args: &CheckArgs, common: &Common) -> anyhow::Result<Status> {
    disks::check_data(&args.disks, &args.asking)?;
    disks::check_parent_dirs(&args.opening)?;
    let paths = args.disks.iter().chain(args.asking.data.iter().map(|disk| &disk.path)).chain(&args.asking.settled.file);
    output::refuse_sources(&args.report, paths.map(PathBuf::as_path))?;
    let mut status = Status::Ready;
    let mut opened: Vec<(Opened, Option<u8>)> = Vec::new();
    let mut unopened: Vec<Unopened> = Vec::new();
    let data = args.asking.data.iter().map(|disk| (&disk.path, Some(disk.lun)));
    for (path, lun) in args.disks.iter().map(|path| (path, None)).chain(data) {
        match disks::open(path, &args.opening) {
            Ok(disk) => opened.push((disk, lun)),
            Err(error) => {
                let reason = format!("{error:#}");
                output::complain(&reason);
                unopened.push(Unopened { path: path.to_string_lossy().into_owned(), reason });
                status = Status::Failed;
            }
        }
    }
    // An image of which a disk is missing cannot be judged; disks side by side can, without the one.
    if opened.is_empty() || (status == Status::Failed && !args.asking.data.is_empty()) {
        tell_unopened(args, common, &unopened)?;
        return Ok(Status::Failed);
    }
    if !args.asking.data.is_empty() {
        disks::check_parents(opened.iter().map(|(disk, _)| disk))?;
        disks::join_each(&mut opened, |(disk, _)| &disk.inspected, |(disk, _)| &mut disk.inspected)?;
    }
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
    output::reports(common, args.format, &args.report, |wanted| {
        Ok(match wanted {
            Wanted::Text(look) => Document::Text(text::check(&checked, look)),
            Wanted::Json => Document::Json(json::check(&checked)?),
            Wanted::Sarif => Document::Json(sarif::check(&checked, &unopened)),
            Wanted::Junit => Document::Text(junit::check(&checked, &unopened)),
        })
    })?;
    Ok(status.max(checked.verdict().into()))
}

/// Where nothing can be judged, pipelines still read why: in the forms that have a place for it.
fn tell_unopened(args: &CheckArgs, common: &Common, unopened: &[Unopened]) -> anyhow::Result<()> {
    let (target, outcomes) = (disks::target(&args.asking), Outcomes::default());
    let nothing = Checked { disks: &[], outcomes: &outcomes, target: &target, image: None, luns: &[] };
    let machine = |format: CheckFormat| matches!(format, CheckFormat::Sarif | CheckFormat::Junit);
    let files: Vec<ReportFile> = args.report.iter().filter(|file| machine(file.format)).cloned().collect();
    output::reports(common, args.format, &files, |wanted| {
        Ok(match wanted {
            Wanted::Text(_) | Wanted::Json => Document::Text(String::new()),
            Wanted::Sarif => Document::Json(sarif::check(&nothing, unopened)),
            Wanted::Junit => Document::Text(junit::check(&nothing, unopened)),
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
