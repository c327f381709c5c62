//! `vhdkit verify`.

use super::args::{Common, VerifyArgs};
use super::check::judge_all;
use super::disks::{shown, verify_access};
use super::progress::{Bars, Shown};
use super::{Status, interrupt, output};
use crate::bytes::{HostFile, ReadAt, int_usize, read_vec};
use crate::facts::{DiskFacts, Fact, Role, State};
use crate::inspect::Inspected;
use crate::prepare::copy::CopyError;
use crate::prepare::{CannotVerify, MANIFEST, MAX_MANIFEST, Manifest, Verified, verify};
use crate::report::{Checked, VerifiedImage, json, text};
use crate::rules::{Profile, Severity, Subject, Target, Verdict};
use anyhow::Context;
use std::path::Path;

pub(super) fn run(args: &VerifyArgs, common: &Common) -> anyhow::Result<Status> {
    let manifest = read_manifest(&args.directory)?;
    let cancel = interrupt::defer();
    let bars = Bars::new(common, manifest.disks.iter().map(|disk| disk.file.as_str()));
    let mut disks: Vec<Verified> = Vec::new();
    for disk in &manifest.disks {
        let progress = Shown::new(&bars, "verify", &disk.file, disk.upload_size_bytes);
        let verified = verify(&args.directory, disk, verify_access(common), &progress, &cancel);
        progress.finish(&bars);
        match verified {
            Ok(verified) => disks.push(verified),
            Err(CannotVerify::Copy(CopyError::Cancelled)) => return Ok(interrupt::status()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot verify '{}'", shown(&args.directory.join(&disk.file))));
            }
        }
    }
    join(&mut disks)?;
    let target = super::disks::keeping(target(&manifest), manifest.kept_users());
    let subjects: Vec<Subject<'_>> = subjects(&manifest, &disks);
    let waivers: Vec<(String, String)> = manifest
        .waived
        .iter()
        .map(|waived| (waived.code.clone(), waived.reason.clone()))
        .chain(manifest.allowed.iter().map(|code| (code.clone(), "accepted when the image was prepared".to_owned())))
        .collect();
    let outcomes = judge_all(&subjects, &target, &waivers);
    let facts: Vec<&DiskFacts> = subjects.iter().map(|subject| subject.facts).collect();
    let luns: Vec<Option<u8>> = subjects.iter().map(|subject| subject.lun).collect();
    let checked = Checked { disks: &facts, outcomes: &outcomes, target: &target, image: kind(&manifest), luns: &luns };
    let image = VerifiedImage {
        manifest: &manifest,
        checked,
        mismatches: disks.iter().flat_map(|disk| disk.mismatches.clone()).collect(),
        digests: disks.iter().flat_map(|disk| disk.digests.iter().map(|name| (disk.file.clone(), *name))).collect(),
    };
    output::report(common, args.format, &[], |look| text::verify(&image, look), || Ok(json::verify(&image)?))?;
    // What was accepted undecided may stay so; it is no reason to call the image other than prepared, and none to call it ready.
    let good = match checked.verdict() {
        Verdict::Ready => true,
        Verdict::Undecided => image.undecided_as_accepted(),
        Verdict::NotReady => false,
    };
    Ok(if good && image.mismatches.is_empty() { Status::Ready } else { Status::NotReady })
}

/// Looks into the disks of an image together, where one needs another.
fn join(disks: &mut [Verified]) -> anyhow::Result<()> {
    let mut inspected: Vec<&mut Inspected> = disks.iter_mut().filter_map(|disk| disk.inspected.as_mut()).collect();
    super::disks::join_each(&mut inspected, |one| one, |one| one)
}

/// Reads the manifest of an image.
pub(super) fn read_manifest(directory: &Path) -> anyhow::Result<Manifest> {
    let path = directory.join(MANIFEST);
    let fail = || format!("cannot read '{}'", shown(&path));
    let missing = "a directory without a manifest holds no finished image";
    let file = match HostFile::open(&path, crate::bytes::host::Access::Positional) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(error).context(missing).with_context(fail),
        opened => opened.with_context(fail)?,
    };
    anyhow::ensure!(file.size() <= MAX_MANIFEST, "{}: it has {} bytes, more than any manifest", fail(), file.size());
    let content = read_vec(&file, 0, int_usize(file.size())).with_context(fail)?;
    Manifest::parse(&content).with_context(fail)
}

/// The question that the image was prepared for.
fn target(manifest: &Manifest) -> Target {
    let state = match manifest.image.state.as_deref() {
        Some("generalized") => Some(State::Generalized),
        Some("specialized") => Some(State::Specialized),
        _ => None,
    };
    let profile = if manifest.profile == "marketplace" { Profile::Marketplace } else { Profile::Azure };
    Target { state, profile, generation: manifest.image.generation, fail_on: Severity::Error, kept: std::collections::BTreeSet::new() }
}

fn kind(manifest: &Manifest) -> Option<&'static str> {
    match manifest.image.kind.as_deref() {
        Some("vm-image") => Some("vm-image"),
        Some("os-image") => Some("os-image"),
        _ => None,
    }
}

fn subjects<'a>(manifest: &Manifest, disks: &'a [Verified]) -> Vec<Subject<'a>> {
    let in_image = kind(manifest) == Some("vm-image");
    let one = |(disk, verified): (&crate::prepare::Disk, &'a Verified)| {
        let facts = &verified.inspected.as_ref()?.facts;
        let role = match disk.role.as_deref() {
            Some("os") => Fact::Known(Role::Os),
            Some("data") => Fact::Known(Role::Data),
            _ => facts.role.clone(),
        };
        Some(Subject { facts, role, lun: disk.lun, in_image })
    };
    manifest.disks.iter().zip(disks).filter_map(one).collect()
}
