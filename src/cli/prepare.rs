//! `vhdkit prepare`: judge, plan, judge the plan, write, read again, publish. All disks of an image, or none.

use super::args::{Common, DigestChoice, PrepareArgs};
use super::check::{image_kind, judge_all};
use super::disks::{self, Opened, shown};
use super::progress::Bars;
use super::writing::{self, CannotWrite, Job};
use super::{Status, interrupt, output};
use crate::bytes::{Bytes, SECTOR};
use crate::container::OpenError;
use crate::facts::json::SCHEMA_VERSION;
use crate::facts::{DiskFacts, Role};
use crate::inspect::Inspected;
use crate::prepare::copy::{Copied, CopyOptions};
use crate::prepare::staged::{Staged, Verified};
use crate::prepare::{self, Accepted, Disk, Identity, Image, MANIFEST, Manifest, Plan, SUMS, Share, Tool, Waived};
use crate::report::{Checked, Planned, Prepared, Stage, json, text};
use crate::rules::{Found, Outcomes, Subject, Target, Verdict};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// A disk on its way.
struct Candidate {
    opened: Opened,
    lun: Option<u8>,
    /// File name of the output.
    name: String,
    identity: Identity,
    plan: Option<Plan>,
}

pub(super) fn run(args: &PrepareArgs, common: &Common) -> anyhow::Result<Status> {
    check_arguments(args)?;
    let name = args.name.clone().unwrap_or_else(|| image_name(&args.disk));
    let directory = args.output.clone().unwrap_or_else(|| PathBuf::from("."));
    check_outputs(args, &name, &directory)?;
    let mut candidates = open_all(args, &name)?;
    // The parents are known only now.
    refuse_sources(args, &name, &directory, candidates.iter().flat_map(|candidate| candidate.opened.sources()))?;
    let target = disks::target(&args.asking);

    let outcomes = judge_candidates(args, &candidates, &target);
    for (place, candidate) in candidates.iter_mut().enumerate() {
        candidate.plan = plan(args, candidate, &outcomes, place)?;
    }
    let candidates = candidates;
    let facts: Vec<&DiskFacts> = candidates.iter().map(|candidate| &candidate.opened.inspected.facts).collect();
    let subjects = subjects(args, &candidates);
    let luns: Vec<Option<u8>> = candidates.iter().map(|candidate| candidate.lun).collect();
    let checked = Checked { disks: &facts, outcomes: &outcomes, target: &target, image: image_kind(&subjects, &target), luns: &luns };
    let tell = |stage: Stage<'_>| -> anyhow::Result<()> {
        let disks = candidates.iter().map(|candidate| planned(candidate, &directory)).collect();
        let prepared = Prepared { checked, disks, stage };
        output::report(common, args.format, &[], |look| text::prepare(&prepared, look), || Ok(json::prepare(&prepared)?))
    };

    let blockers = prepare::blockers(outcomes.findings.iter(), target.fail_on, &args.allow);
    if !blockers.is_empty() {
        tell(Stage::Blocked(blockers))?;
        return Ok(Status::NotReady);
    }
    let undecided = outcomes.undecided_errors().any(|outcome| !args.allow.iter().any(|code| code == outcome.rule.code));
    if undecided && !args.allow_undecided {
        tell(Stage::Undecided)?;
        return Ok(Status::NotReady);
    }
    let images = build_all(&candidates)?;
    let mut expected = inspect_all(&candidates, &images, &directory)?;
    // Each file is read again by itself, and held against this.
    let alone: Vec<DiskFacts> = expected.iter().map(|inspected| inspected.facts.clone()).collect();
    disks::join_each(&mut expected, |inspected| inspected, |inspected| inspected)?;
    let after = judge_planned(args, &candidates, &expected, &target);
    let expected_facts: Vec<&DiskFacts> = expected.iter().map(|inspected| &inspected.facts).collect();
    let will_be = Checked { disks: &expected_facts, outcomes: &after, target: &target, image: checked.image, luns: &luns };
    if will_be.verdict() == Verdict::NotReady || (will_be.verdict() == Verdict::Undecided && !args.allow_undecided) {
        tell(Stage::NotCured(&will_be))?;
        return Ok(Status::NotReady);
    }
    if args.dry_run {
        tell(Stage::DryRun)?;
        return Ok(Status::Ready);
    }

    let cancel = interrupt::defer();
    let bars = Bars::new(common, candidates.iter().map(|candidate| candidate.name.as_str()));
    let share = Share::new();
    let options = CopyOptions { threads: None, fsverity: args.digest == DigestChoice::Fsverity, sha256: args.sha256, share: Some(&share) };
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
    if cancel.load(std::sync::atomic::Ordering::SeqCst) {
        return Ok(interrupt::status());
    }
    let manifest = manifest(args, &name, &candidates, &written, &will_be);
    publish(args, &directory, &candidates, written, &manifest)?;
    let skipped = manifest.disks.iter().map(|disk| disk.upload_size_bytes.saturating_sub(disk.data_bytes)).sum();
    tell(Stage::Written { manifest: &manifest, directory: directory.to_string_lossy().into_owned(), skipped })?;
    Ok(Status::Ready)
}

/// Refuses what contradicts itself before any file is opened.
fn check_arguments(args: &PrepareArgs) -> anyhow::Result<()> {
    let data = args.asking.role.map(Role::from) == Some(Role::Data);
    anyhow::ensure!(
        args.asking.state.is_some() || data,
        "say what the image is for: --as generalized or --as specialized (or --role data for a data disk alone)"
    );
    anyhow::ensure!(
        args.asking.state.is_none() || !data,
        "--as is for an image with an OS disk, and --role data says that the disk is none; give one of the two"
    );
    disks::check_data(std::slice::from_ref(&args.disk), &args.asking)?;
    disks::check_parent_dirs(&args.opening)
}

/// Names of the files that will be written, without the manifest's.
fn output_names(args: &PrepareArgs, name: &str) -> Vec<String> {
    let data = args.asking.data.iter().map(|disk| format!("{name}-lun{}.vhd", disk.lun));
    std::iter::once(format!("{name}.vhd")).chain(data).collect()
}

/// Refuses outputs that exist, and outputs on a source, before any work is done.
fn check_outputs(args: &PrepareArgs, name: &str, directory: &Path) -> anyhow::Result<()> {
    if args.output.is_none() {
        return Ok(());
    }
    if let Ok(metadata) = std::fs::metadata(directory) {
        anyhow::ensure!(metadata.is_dir(), "the output '{}' is not a directory", shown(directory));
    }
    if !args.dry_run {
        // Leaves nothing, and tells of a directory that takes no files before an hour of reading.
        Staged::new(directory, false).map(drop).with_context(|| format!("cannot write into '{}'", shown(directory)))?;
    }
    refuse_sources(args, name, directory, std::iter::once(&args.disk).chain(data_paths(args)).map(PathBuf::as_path))?;
    let has_manifest = directory.join(MANIFEST).exists();
    for path in outputs(args, name, directory) {
        if std::fs::symlink_metadata(&path).is_err() {
            continue;
        }
        anyhow::ensure!(!path.is_dir(), "'{}' is a directory; it stands where a file of the image belongs", shown(&path));
        let unfinished = if has_manifest { "" } else { " (there is no manifest beside it: an earlier run may have been interrupted)" };
        anyhow::ensure!(args.overwrite || args.dry_run, "'{}' exists{unfinished}; --overwrite replaces it", shown(&path));
    }
    Ok(())
}

/// Refuses outputs that would take the place of a source, under whatever name it is reached: of a disk, or of a parent of one.
fn refuse_sources<'a>(args: &PrepareArgs, name: &str, directory: &Path, sources: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
    if args.output.is_none() {
        return Ok(());
    }
    let sources: Vec<disks::FileId> = sources.map(disks::identity).collect();
    let removed = std::iter::once(directory.join(SUMS));
    for path in outputs(args, name, directory).into_iter().chain(removed).filter(|path| path.exists()) {
        anyhow::ensure!(
            !sources.contains(&disks::identity(&path)),
            "'{}' is a source itself; vhdkit never writes on a source: choose another directory or --name",
            shown(&path)
        );
    }
    Ok(())
}

/// Everything that will be written.
fn outputs(args: &PrepareArgs, name: &str, directory: &Path) -> Vec<PathBuf> {
    let small = [Some(MANIFEST), args.sha256.then_some(SUMS)].into_iter().flatten().map(str::to_owned);
    output_names(args, name).into_iter().chain(small).map(|file| directory.join(file)).collect()
}

fn data_paths(args: &PrepareArgs) -> impl Iterator<Item = &PathBuf> {
    args.asking.data.iter().map(|disk| &disk.path)
}

/// The source's name without its endings, fit for a resource in Azure.
fn image_name(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = stem.chars().map(fits).take(70).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "disk".to_owned() } else { name.to_owned() }
}

fn open_all(args: &PrepareArgs, name: &str) -> anyhow::Result<Vec<Candidate>> {
    let data = args.asking.data.iter().map(|disk| (&disk.path, Some(disk.lun)));
    let paths = std::iter::once((&args.disk, None)).chain(data);
    let mut all = paths
        .zip(output_names(args, name))
        .map(|((path, lun), name)| {
            let opened = disks::open(path, &args.opening)?;
            if let Err(OpenError::Parent(error)) = &opened.inspected.container.disk {
                // Without its parent there is nothing to judge as an image: that is trouble, not a verdict.
                anyhow::bail!("cannot prepare '{}': {error}", shown(path));
            }
            // A disk that is damaged at its start has findings that say so; it needs no identity.
            let none = Identity { unique_id: crate::bytes::Guid::NIL, timestamp: 0 };
            let identity = Identity::of(&opened.inspected.container, &name).unwrap_or(none);
            Ok(Candidate { opened, lun, name, identity, plan: None })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    disks::check_parents(all.iter().map(|one| &one.opened))?;
    disks::join_each(&mut all, |one| &one.opened.inspected, |one| &mut one.opened.inspected)?;
    for one in &mut all {
        disks::take_role(&mut one.opened, one.lun, &args.asking);
    }
    Ok(all)
}

fn subjects<'a>(args: &PrepareArgs, candidates: &'a [Candidate]) -> Vec<Subject<'a>> {
    candidates.iter().map(|candidate| disks::subject(&candidate.opened, candidate.lun, &args.asking)).collect()
}

fn judge_candidates(args: &PrepareArgs, candidates: &[Candidate], target: &Target) -> Outcomes {
    let outcomes = judge_all(&subjects(args, candidates), target, &args.asking.waive);
    Outcomes { waivers: args.asking.settled.waivers.clone(), ..outcomes }
}

/// Judges the planned disks: with the roles of their sources, and with what was allowed taken as waived.
fn judge_planned(args: &PrepareArgs, candidates: &[Candidate], expected: &[Inspected], target: &Target) -> Outcomes {
    let mut planned = subjects(args, candidates);
    for (subject, inspected) in planned.iter_mut().zip(expected) {
        subject.facts = &inspected.facts;
    }
    let allowed = args.allow.iter().map(|code| (code.clone(), "allowed".to_owned()));
    let waivers: Vec<(String, String)> = args.asking.waive.iter().cloned().chain(allowed).collect();
    Outcomes { waivers: args.asking.settled.waivers.clone(), ..judge_all(&planned, target, &waivers) }
}

fn plan(args: &PrepareArgs, candidate: &Candidate, outcomes: &Outcomes, place: usize) -> anyhow::Result<Option<Plan>> {
    let facts = &candidate.opened.inspected.facts;
    let findings = outcomes.findings.iter().filter(|found| found.disk == Some(place));
    let grow = if place == 0 { args.size.map(|size| size.0) } else { None };
    match prepare::plan(facts, &candidate.identity.unique_id.to_string(), findings, grow) {
        Ok(plan) => Ok(Some(plan)),
        // Findings say why; the report shows them.
        Err(prepare::CannotPlan::NoDisk) => Ok(None),
        Err(error) if args.size.is_some() => Err(error).context("--size"),
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

fn build_all(candidates: &[Candidate]) -> anyhow::Result<Vec<Bytes>> {
    let build = |candidate: &Candidate| -> anyhow::Result<Bytes> {
        let inspected = &candidate.opened.inspected;
        let plan = candidate.plan.as_ref().context("there is no disk in it that can be read")?;
        let built = prepare::build(plan, &candidate.opened.file(), &inspected.container, inspected.table.as_ref(), &candidate.identity);
        Ok(built?)
    };
    candidates.iter().map(|one| build(one).with_context(|| format!("cannot prepare '{}'", shown(&one.opened.path)))).collect()
}

fn inspect_all(candidates: &[Candidate], images: &[Bytes], directory: &Path) -> anyhow::Result<Vec<Inspected>> {
    let inspect = |(candidate, image): (&Candidate, &Bytes)| {
        prepare::inspect_planned(image, &directory.join(&candidate.name))
            .with_context(|| format!("cannot read '{}'", shown(&candidate.opened.path)))
    };
    candidates.iter().zip(images).map(inspect).collect()
}

fn manifest(args: &PrepareArgs, name: &str, candidates: &[Candidate], written: &[(Verified, Copied)], checked: &Checked<'_>) -> Manifest {
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
        allowed: args.allow.clone(),
        waived: args.asking.waive.iter().map(|(code, reason)| Waived { code: code.clone(), reason: reason.clone() }).collect(),
        accepted: accepted(args, candidates, checked),
        undecided,
        profile: checked.target.profile.to_string(),
    }
}

/// The findings that are left on what was written, because somebody accepted them.
fn accepted(args: &PrepareArgs, candidates: &[Candidate], checked: &Checked<'_>) -> Vec<Accepted> {
    let by = |code: &str| if args.allow.iter().any(|allowed| allowed == code) { "allow" } else { "waive" };
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
        source: prepare::Source {
            path: facts.path.clone(),
            format: facts.format.clone(),
            kind: facts.kind.value().map(|kind| kind.to_string()),
            unique_id: footer.map(|footer| footer.unique_id.clone()),
        },
        steps: candidate.plan.as_ref().map(|plan| plan.steps.clone()).unwrap_or_default(),
    }
}

/// Names everything, the manifest last: where it is missing, the image is not finished. All of it, or nothing, and then what was there
/// before is there again.
fn publish(
    args: &PrepareArgs,
    directory: &Path,
    candidates: &[Candidate],
    written: Vec<(Verified, Copied)>,
    manifest: &Manifest,
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
    if args.overwrite {
        // The manifest goes first: from then on, until the new one stands, there is no finished image.
        earlier.push(MANIFEST.to_owned());
        earlier.extend(candidates.iter().map(|candidate| candidate.name.clone()));
        // What the earlier image's digests said goes with it; those of nobody's image stay.
        if sums.is_some() || directory.join(MANIFEST).exists() {
            earlier.push(SUMS.to_owned());
        }
    }
    prepare::publish_all(directory, files, &earlier).with_context(fail)
}
