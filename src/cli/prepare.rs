//! `vhdkit prepare`: judge, plan, judge the plan, write, read again, publish. All disks of an image, or none.

use super::args::{Common, DigestChoice, PrepareArgs, ReflinkChoice};
use super::changes::{self, Changes};
use super::check::{image_kind, judge_all};
use super::disks::{self, shown};
use super::image::{self, Candidate};
use super::progress::Bars;
use super::writing::{self, CannotWrite, Job};
use super::{Status, interrupt, output};
use crate::bytes::{Bytes, SECTOR};
use crate::facts::json::SCHEMA_VERSION;
use crate::facts::{DiskFacts, Role};
use crate::inspect::Inspected;
use crate::prepare::copy::{Copied, CopyOptions};
use crate::prepare::staged::Verified;
use crate::prepare::{
    self, Accepted, CannotPublish, Disk, Generalized, Image, MANIFEST, Manifest, Plan, SUMS, Share, Step, Tool, Waived, changed_facts,
};
use crate::report::{Checked, Planned, Prepared, Stage, json, text};
use crate::rules::{Found, Outcomes, Subject, Target, Verdict};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A run, and what it tells.
struct Run<'a> {
    args: &'a PrepareArgs,
    common: &'a Common,
    directory: &'a Path,
    command: Vec<String>,
}

impl Run<'_> {
    fn tell(&self, candidates: &[Candidate], changes: &Changes, checked: Checked<'_>, stage: Stage<'_>) -> anyhow::Result<()> {
        let disks = candidates.iter().map(|candidate| planned(candidate, self.directory)).collect();
        let generalization = changes.template.as_ref().map(|template| template.report(&self.command));
        let prepared = Prepared { checked, disks, generalization, trimmed: &changes.trimmed, stage };
        let (text, json) = (|look: &_| text::prepare(&prepared, look), || Ok(json::prepare(&prepared)?));
        output::report(self.common, self.args.format, &self.args.report, text, json)
    }

    /// Whether findings or open questions stand in the way; they are told then.
    fn stopped(&self, candidates: &[Candidate], changes: &Changes, checked: Checked<'_>) -> anyhow::Result<bool> {
        let (outcomes, writing) = (checked.outcomes, &self.args.writing);
        let blockers = prepare::blockers(outcomes.findings.iter(), checked.target.fail_on, &writing.allow);
        if !blockers.is_empty() {
            self.tell(candidates, changes, checked, Stage::Blocked(blockers))?;
            return Ok(true);
        }
        let undecided = outcomes.undecided_errors().any(|outcome| !writing.allow.iter().any(|code| code == outcome.rule.code));
        if undecided && !writing.allow_undecided {
            self.tell(candidates, changes, checked, Stage::Undecided)?;
            return Ok(true);
        }
        Ok(false)
    }
}

pub(super) fn run(args: &PrepareArgs, common: &Common) -> anyhow::Result<Status> {
    check_arguments(args)?;
    let name = args.writing.name.clone().unwrap_or_else(|| image::image_name(&args.disk));
    let directory = args.writing.output.clone().unwrap_or_else(|| PathBuf::from("."));
    image::check_outputs(args, &name, &directory)?;
    image::refuse_reports(args, &name, &directory)?;
    let paths = std::iter::once(&args.disk).chain(args.asking.data.iter().map(|disk| &disk.path)).chain(&args.asking.settled.file);
    output::refuse_sources(&args.report, paths.map(PathBuf::as_path))?;
    let mut candidates = image::open_all(args, &name)?;
    // The parents are known only now.
    image::refuse_sources(args, &name, &directory, candidates.iter().flat_map(|candidate| candidate.opened.sources()))?;
    output::refuse_sources(&args.report, candidates.iter().flat_map(|candidate| candidate.opened.sources()))?;
    let target = disks::keeping(disks::target(&args.asking), &args.generalizing.keep_user);
    let run = Run { args, common, directory: &directory, command: changes::command() };

    let outcomes = judge_candidates(args, &candidates, &target);
    for (place, candidate) in candidates.iter_mut().enumerate() {
        candidate.plan = plan(args, candidate, &outcomes, place)?;
    }
    let luns: Vec<Option<u8>> = candidates.iter().map(|candidate| candidate.lun).collect();
    let sources: Vec<DiskFacts> = candidates.iter().map(|candidate| candidate.opened.inspected.facts.clone()).collect();
    let sources: Vec<&DiskFacts> = sources.iter().collect();
    let kind = image_kind(&subjects(args, &candidates), &target);
    let source = Checked { disks: &sources, outcomes: &outcomes, target: &target, image: kind, luns: &luns };

    let mut changes = Changes::default();
    if args.generalize {
        changes = Changes::template(args, &candidates)?;
        if !changes.goes() {
            run.tell(&candidates, &changes, source, Stage::NotGeneralized)?;
            return Ok(Status::NotReady);
        }
    } else if run.stopped(&candidates, &changes, source)? {
        return Ok(Status::NotReady);
    }
    if args.trims() {
        changes.trim(&candidates)?;
    }
    for (place, candidate) in candidates.iter_mut().enumerate() {
        candidate.plan = candidate.plan.take().map(|plan| plan.after(&changes.of(place).steps));
    }
    let candidates = candidates;
    let images = build_all(&candidates, &changes)?;
    let mut expected = inspect_all(&candidates, &images, &directory)?;
    // Each file is read again by itself, and held against this.
    let alone: Vec<DiskFacts> = expected.iter().map(|inspected| inspected.facts.clone()).collect();
    disks::join_each(&mut expected, |inspected| inspected, |inspected| inspected)?;

    // What generalizing cures does not stand in its way: the disks are judged as they are behind it.
    let (behind_facts, behind, behind_outcomes): (Vec<DiskFacts>, Vec<&DiskFacts>, Outcomes);
    let mut before = source;
    if args.generalize {
        behind_facts = sources.iter().zip(&expected).map(|(source, expected)| changed_facts(source, &expected.facts)).collect();
        behind = behind_facts.iter().collect();
        behind_outcomes = judge_facts(args, &candidates, &behind, &target, &[]);
        before = Checked { disks: &behind, outcomes: &behind_outcomes, ..source };
        if run.stopped(&candidates, &changes, before)? {
            return Ok(Status::NotReady);
        }
    }
    let expected_facts: Vec<&DiskFacts> = expected.iter().map(|inspected| &inspected.facts).collect();
    let after = judge_facts(args, &candidates, &expected_facts, &target, &args.writing.allow);
    let will_be = Checked { disks: &expected_facts, outcomes: &after, ..source };
    if will_be.verdict() == Verdict::NotReady || (will_be.verdict() == Verdict::Undecided && !args.writing.allow_undecided) {
        run.tell(&candidates, &changes, before, Stage::NotCured(&will_be))?;
        return Ok(Status::NotReady);
    }
    if args.writing.dry_run {
        run.tell(&candidates, &changes, before, Stage::DryRun)?;
        return Ok(Status::Ready);
    }

    let cancel = interrupt::defer();
    let bars = Bars::new(common, candidates.iter().map(|candidate| candidate.name.as_str()));
    let share = Share::new();
    let options = CopyOptions {
        threads: None,
        fsverity: args.writing.digest == DigestChoice::Fsverity,
        sha256: args.writing.sha256,
        share: Some(&share),
        reflink: args.writing.reflink == ReflinkChoice::Auto,
    };
    let named = candidates.iter().map(|candidate| candidate.name.as_str());
    let jobs: Vec<Job<'_>> = named.zip(&images).zip(&alone).map(|((name, image), expected)| Job { name, image, expected }).collect();
    let written = match writing::write_all(&jobs, &directory, &options, &bars, &cancel) {
        Ok(written) => written,
        Err(CannotWrite::Cancelled) => return Ok(interrupt::status()),
        Err(CannotWrite::Disk(place, error)) => {
            let name = candidates.get(place).map(|candidate| candidate.name.as_str()).unwrap_or_default();
            return Err(error).with_context(|| format!("cannot write '{}'", shown(&directory.join(name))));
        }
    };
    for candidate in &candidates {
        candidate.opened.unchanged().context("nothing was written")?;
    }
    if cancel.load(Ordering::SeqCst) {
        return Ok(interrupt::status());
    }
    let manifest = manifest(args, &name, &candidates, &changes, &written, &will_be);
    let published = publish(args, &directory, &candidates, written, &manifest, &cancel);
    if published.as_ref().is_err_and(|error| error.downcast_ref::<CannotPublish>().is_some_and(CannotPublish::is_stop)) {
        return Ok(interrupt::status());
    }
    published?;
    let skipped = manifest.disks.iter().map(|disk| disk.upload_size_bytes.saturating_sub(disk.data_bytes)).sum();
    let stage = Stage::Written { manifest: &manifest, directory: directory.to_string_lossy().into_owned(), skipped };
    run.tell(&candidates, &changes, before, stage)?;
    Ok(Status::Ready)
}

/// Refuses what contradicts itself before any file is opened.
pub(super) fn check_arguments(args: &PrepareArgs) -> anyhow::Result<()> {
    let data = args.asking.role.map(Role::from) == Some(Role::Data);
    anyhow::ensure!(
        args.asking.state.is_some() || data,
        "say what the image is for: --as generalized or --as specialized (or --role data for a data disk alone)"
    );
    anyhow::ensure!(
        args.asking.state.is_none() || !data,
        "--as is for an image with an OS disk, and --role data says that the disk is none; give one of the two"
    );
    args.check_changes()?;
    disks::check_data(std::slice::from_ref(&args.disk), &args.asking)?;
    disks::check_parent_dirs(&args.opening)
}

/// The disks as rules take them.
pub(super) fn subjects<'a>(args: &PrepareArgs, candidates: &'a [Candidate]) -> Vec<Subject<'a>> {
    candidates.iter().map(|candidate| disks::subject(&candidate.opened, candidate.lun, &args.asking)).collect()
}

fn judge_candidates(args: &PrepareArgs, candidates: &[Candidate], target: &Target) -> Outcomes {
    let outcomes = judge_all(&subjects(args, candidates), target, &args.asking.waive);
    Outcomes { waivers: args.asking.settled.waivers.clone(), ..outcomes }
}

/// Judges other facts of the disks: with the roles of their sources, and with what was allowed taken as waived.
fn judge_facts(args: &PrepareArgs, candidates: &[Candidate], facts: &[&DiskFacts], target: &Target, allowed: &[String]) -> Outcomes {
    let mut planned = subjects(args, candidates);
    for (subject, facts) in planned.iter_mut().zip(facts) {
        subject.facts = facts;
    }
    let allowed = allowed.iter().map(|code| (code.clone(), "allowed".to_owned()));
    let waivers: Vec<(String, String)> = args.asking.waive.iter().cloned().chain(allowed).collect();
    Outcomes { waivers: args.asking.settled.waivers.clone(), ..judge_all(&planned, target, &waivers) }
}

fn plan(args: &PrepareArgs, candidate: &Candidate, outcomes: &Outcomes, place: usize) -> anyhow::Result<Option<Plan>> {
    let facts = &candidate.opened.inspected.facts;
    let findings = outcomes.findings.iter().filter(|found| found.disk == Some(place));
    let grow = if place == 0 { args.writing.size.map(|size| size.0) } else { None };
    match prepare::plan(facts, &candidate.identity.unique_id.to_string(), findings, grow) {
        Ok(plan) => Ok(Some(plan)),
        // Findings say why; the report shows them.
        Err(prepare::CannotPlan::NoDisk) => Ok(None),
        Err(error) if args.writing.size.is_some() => Err(error).context("--size"),
        // The size in the footer is a lie that a rule of its own tells about.
        Err(_) => Ok(None),
    }
}

fn planned<'a>(candidate: &'a Candidate, directory: &Path) -> Planned<'a> {
    Planned {
        source: &candidate.opened.inspected.facts,
        output: directory.join(&candidate.name).to_string_lossy().into_owned(),
        plan: candidate.plan.as_ref(),
    }
}

fn build_all(candidates: &[Candidate], changes: &Changes) -> anyhow::Result<Vec<Bytes>> {
    let build = |(place, candidate): (usize, &Candidate)| -> anyhow::Result<Bytes> {
        let inspected = &candidate.opened.inspected;
        let plan = candidate.plan.as_ref().context("there is no disk in it that can be read")?;
        let (file, table, changed) = (candidate.opened.file(), inspected.table.as_ref(), changes.of(place));
        Ok(prepare::build(plan, &file, &inspected.container, table, &candidate.identity, changed)?)
    };
    let fail = |one: &Candidate| format!("cannot prepare '{}'", shown(&one.opened.path));
    candidates.iter().enumerate().map(|(place, one)| build((place, one)).with_context(|| fail(one))).collect()
}

fn inspect_all(candidates: &[Candidate], images: &[Bytes], directory: &Path) -> anyhow::Result<Vec<Inspected>> {
    let inspect = |(candidate, image): (&Candidate, &Bytes)| {
        prepare::inspect_planned(image, &directory.join(&candidate.name))
            .with_context(|| format!("cannot read '{}'", shown(&candidate.opened.path)))
    };
    candidates.iter().zip(images).map(inspect).collect()
}

fn manifest(
    args: &PrepareArgs,
    name: &str,
    candidates: &[Candidate],
    changes: &Changes,
    written: &[(Verified, Copied)],
    checked: &Checked<'_>,
) -> Manifest {
    let os = candidates.first().map(|candidate| &candidate.opened.inspected.facts);
    let boot = os.and_then(|facts| facts.boot.value());
    let family = os.and_then(|facts| facts.os.value()).and_then(|os| os.family.value().copied());
    let found_generation = boot.and_then(|boot| boot.generations.value()).and_then(|list| list.last().copied());
    let disks = candidates.iter().zip(written).zip(checked.disks);
    let disks = disks.map(|((candidate, (_, copied)), written)| disk(args, candidate, written, copied));
    let mut undecided: Vec<String> = checked.outcomes.undecided_errors().map(|outcome| outcome.rule.code.to_owned()).collect();
    undecided.dedup();
    Manifest {
        schema_version: SCHEMA_VERSION,
        tool: Tool::this(),
        image: Image {
            kind: checked.image.map(str::to_owned),
            name: name.to_owned(),
            state: args.asking.state.map(|state| crate::facts::State::from(state).to_string()),
            generation: args.asking.generation.or(found_generation),
            architecture: boot.and_then(|boot| boot.architecture.value().cloned()),
            os: family.map(|family| match family {
                crate::facts::OsFamily::Linux => "linux".to_owned(),
                crate::facts::OsFamily::Windows => "windows".to_owned(),
            }),
        },
        disks: disks.collect(),
        verdict: checked.verdict().as_str().to_owned(),
        allowed: args.writing.allow.clone(),
        waived: args.asking.waive.iter().map(|(code, reason)| Waived { code: code.clone(), reason: reason.clone() }).collect(),
        accepted: accepted(args, candidates, checked),
        undecided,
        profile: checked.target.profile.to_string(),
        generalized: changes.template.as_ref().map(|template| Generalized::of(&template.planned, &template.wishes)),
    }
}

/// The findings that are left on what was written, because somebody accepted them.
fn accepted(args: &PrepareArgs, candidates: &[Candidate], checked: &Checked<'_>) -> Vec<Accepted> {
    let by = |code: &str| if args.writing.allow.iter().any(|allowed| allowed == code) { "allow" } else { "waive" };
    let one = |found: &Found| Accepted {
        code: found.rule.code.to_owned(),
        rule: found.rule.name.to_owned(),
        file: found.disk.and_then(|place| candidates.get(place)).map(|candidate| candidate.name.clone()),
        message: found.finding.message.clone(),
        by: by(found.rule.code).to_owned(),
    };
    checked.outcomes.findings.iter().filter(|found| found.waived.is_some()).map(one).collect()
}

fn disk(args: &PrepareArgs, candidate: &Candidate, written: &DiskFacts, copied: &Copied) -> Disk {
    let facts = &candidate.opened.inspected.facts;
    let is_data = candidate.lun.is_some() || args.asking.role.map(Role::from) == Some(Role::Data);
    let footer = facts.footer.value().or(facts.footer_copy.value());
    Disk {
        role: Some(if is_data { "data" } else { "os" }.to_owned()),
        lun: candidate.lun,
        file: candidate.name.clone(),
        unique_id: written.footer.value().map(|footer| footer.unique_id.clone()),
        virtual_size: copied.size.saturating_sub(SECTOR),
        upload_size_bytes: copied.size,
        fsverity: copied.fsverity.map(|digest| digest.to_string()),
        sha256: copied.sha256.map(prepare::fsverity::Digest::hex),
        data_bytes: copied.data_bytes,
        trimmed_bytes: trimmed(candidate.plan.as_ref()),
        source: prepare::Source {
            path: facts.path.clone(),
            format: facts.format.clone(),
            kind: facts.kind.value().map(|kind| kind.to_string()),
            unique_id: footer.map(|footer| footer.unique_id.clone()),
        },
        steps: candidate.plan.as_ref().map(|plan| plan.steps.clone()).unwrap_or_default(),
    }
}

/// Bytes that a plan trims.
fn trimmed(plan: Option<&Plan>) -> u64 {
    let steps = plan.map(|plan| plan.steps.as_slice()).unwrap_or_default();
    steps.iter().find_map(|step| if let Step::Trim { bytes } = step { Some(*bytes) } else { None }).unwrap_or_default()
}

/// Names everything, the manifest last: where it is missing, the image is not finished. All of it, or nothing, and then what was there
/// before is there again.
fn publish(
    args: &PrepareArgs,
    directory: &Path,
    candidates: &[Candidate],
    written: Vec<(Verified, Copied)>,
    manifest: &Manifest,
    cancel: &AtomicBool,
) -> anyhow::Result<()> {
    let fail = || format!("cannot write into '{}'", shown(directory));
    let sums = manifest.sums();
    let disks = candidates.iter().zip(written).map(|(candidate, (verified, _))| (candidate.name.clone(), verified));
    let mut files: Vec<(String, Verified)> = disks.collect();
    for (name, text) in [(SUMS, sums.clone()), (MANIFEST, Some(manifest.to_json()?))] {
        if let Some(text) = text {
            files.push((name.to_owned(), prepare::stage_text(directory, &text).with_context(fail)?));
        }
    }
    let mut earlier = Vec::new();
    if args.writing.overwrite {
        // The manifest goes first: from then on, until the new one stands, there is no finished image.
        earlier.push(MANIFEST.to_owned());
        earlier.extend(candidates.iter().map(|candidate| candidate.name.clone()));
        // What the earlier image's digests said goes with it; those of nobody's image stay.
        if sums.is_some() || directory.join(MANIFEST).try_exists().with_context(fail)? {
            earlier.push(SUMS.to_owned());
        }
    }
    for left in prepare::publish_all(directory, files, &earlier, cancel).with_context(fail)? {
        output::complain(&format!("the image is complete; '{}', a file of the earlier one, could not be removed", shown(&left)));
    }
    Ok(())
}
