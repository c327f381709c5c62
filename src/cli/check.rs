//! `vhdkit check`.

use super::Status;
use super::args::{CheckArgs, Common};
use super::disks::{self, Opened};
use super::output;
use crate::facts::{DiskFacts, Role};
use crate::report::{Checked, json, text};
use crate::rules::{Outcomes, Subject, Target, judge};
use std::path::PathBuf;

pub(super) fn run(args: &CheckArgs, common: &Common) -> anyhow::Result<Status> {
    disks::check_data(&args.disks, &args.asking)?;
    disks::check_parent_dirs(&args.opening)?;
    let paths = args.disks.iter().chain(args.asking.data.iter().map(|disk| &disk.path));
    output::refuse_sources(&args.report, paths.map(PathBuf::as_path))?;
    let mut status = Status::Ready;
    let mut opened: Vec<(Opened, Option<u8>)> = Vec::new();
    let data = args.asking.data.iter().map(|disk| (&disk.path, Some(disk.lun)));
    for (path, lun) in args.disks.iter().map(|path| (path, None)).chain(data) {
        match disks::open(path, &args.opening) {
            Ok(disk) => opened.push((disk, lun)),
            Err(error) => {
                output::complain(&format!("{error:#}"));
                status = Status::Failed;
            }
        }
    }
    // An image of which a disk is missing cannot be judged; disks side by side can, without the one.
    if opened.is_empty() || (status == Status::Failed && !args.asking.data.is_empty()) {
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
    let facts: Vec<&DiskFacts> = subjects.iter().map(|subject| subject.facts).collect();
    let checked = Checked { disks: &facts, outcomes: &outcomes, target: &target, image: image_kind(&subjects, &target) };
    output::report(common, args.format, &args.report, |look| text::check(&checked, look), || Ok(json::check(&checked)?))?;
    Ok(status.max(checked.verdict().into()))
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
