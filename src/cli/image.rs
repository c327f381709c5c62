//! The disks of an image that is to be written: opening them, and the files that they become.

use super::args::PrepareArgs;
use super::disks::{self, Opened, shown};
use crate::bytes::host::{self, is_missing};
use crate::bytes::{Guid, ReadError};
use crate::container::{Container, OpenError};
use crate::prepare::staged::Staged;
use crate::prepare::{Identity, MANIFEST, Plan, SUMS};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// A disk on its way.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) opened: Opened,
    pub(super) lun: Option<u8>,
    /// File name of the output.
    pub(super) name: String,
    pub(super) identity: Identity,
    pub(super) plan: Option<Plan>,
}

/// Names of the files that will be written, without the manifest's.
fn output_names(args: &PrepareArgs, name: &str) -> Vec<String> {
    let data = args.asking.data.iter().map(|disk| format!("{name}-lun{}.vhd", disk.lun));
    std::iter::once(format!("{name}.vhd")).chain(data).collect()
}

/// Refuses outputs that exist, and outputs on a source, before any work is done.
pub(super) fn check_outputs(args: &PrepareArgs, name: &str, directory: &Path) -> anyhow::Result<()> {
    if args.writing.output.is_none() {
        return Ok(());
    }
    if let Ok(metadata) = std::fs::metadata(directory) {
        anyhow::ensure!(metadata.is_dir(), "the output '{}' is not a directory", shown(directory));
    }
    if !args.writing.dry_run {
        // Leaves nothing, and tells of a directory that takes no files before an hour of reading.
        Staged::new(directory, false).and_then(Staged::discard).with_context(|| format!("cannot write into '{}'", shown(directory)))?;
    }
    refuse_sources(args, name, directory, std::iter::once(&args.disk).chain(data_paths(args)).map(PathBuf::as_path))?;
    let has_manifest = directory.join(MANIFEST).exists();
    for path in outputs(args, name, directory) {
        if std::fs::symlink_metadata(&path).is_err() {
            continue;
        }
        anyhow::ensure!(!path.is_dir(), "'{}' is a directory; it stands where a file of the image belongs", shown(&path));
        let unfinished = if has_manifest { "" } else { " (there is no manifest beside it: an earlier run may have been interrupted)" };
        anyhow::ensure!(args.writing.overwrite || args.writing.dry_run, "'{}' exists{unfinished}; --overwrite replaces it", shown(&path));
    }
    Ok(())
}

/// Refuses outputs that would take the place of a source, under whatever name it is reached: of a disk, or of a parent of one.
pub(super) fn refuse_sources<'a>(
    args: &PrepareArgs,
    name: &str,
    directory: &Path,
    sources: impl Iterator<Item = &'a Path>,
) -> anyhow::Result<()> {
    if args.writing.output.is_none() {
        return Ok(());
    }
    let sources: Vec<disks::FileId> = sources.map(disks::source_identity).collect::<anyhow::Result<_>>()?;
    let removed = std::iter::once(directory.join(SUMS));
    for path in outputs(args, name, directory).into_iter().chain(removed) {
        let own = disks::identity(&path).with_context(|| format!("cannot look at '{}'", shown(&path)))?;
        anyhow::ensure!(
            !sources.contains(&own),
            "'{}' is a source itself; vhdkit never writes on a source: choose another directory or --name",
            shown(&path)
        );
    }
    Ok(())
}

/// Refuses reports that would take the place of an output.
pub(super) fn refuse_reports(args: &PrepareArgs, name: &str, directory: &Path) -> anyhow::Result<()> {
    let real = |path: &Path| match std::fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }) {
        Err(error) if is_missing(&error) => Ok(None),
        real => real.map(Some).with_context(|| format!("cannot look at '{}'", shown(path))),
    };
    for report in &args.report {
        let own = real(host::directory(&report.path))?;
        let same = own.is_some() && own == real(directory)?;
        let taken = outputs(args, name, directory).iter().any(|output| output.file_name() == report.path.file_name());
        anyhow::ensure!(!(same && taken), "cannot write the report '{}': it is a file of the image", shown(&report.path));
    }
    Ok(())
}

/// Everything that will be written.
fn outputs(args: &PrepareArgs, name: &str, directory: &Path) -> Vec<PathBuf> {
    let small = [Some(MANIFEST), args.writing.sha256.then_some(SUMS)].into_iter().flatten().map(str::to_owned);
    output_names(args, name).into_iter().chain(small).map(|file| directory.join(file)).collect()
}

fn data_paths(args: &PrepareArgs) -> impl Iterator<Item = &PathBuf> {
    args.asking.data.iter().map(|disk| &disk.path)
}

/// The source's name without its endings, fit for a resource in Azure.
pub(super) fn image_name(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = stem.chars().map(fits).take(70).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "disk".to_owned() } else { name.to_owned() }
}

/// The identity of a disk. One that is damaged at its start has findings that say so, and needs none; one that the host cannot read there
/// is refused, since it would become another disk.
fn identity(container: &Container, name: &str) -> Result<Identity, ReadError> {
    match Identity::of(container, name) {
        Err(error) if error.is_host() => Err(error),
        found => Ok(found.unwrap_or(Identity { unique_id: Guid::NIL, timestamp: 0 })),
    }
}

/// Opens the disks, and looks inside them together.
pub(super) fn open_all(args: &PrepareArgs, name: &str) -> anyhow::Result<Vec<Candidate>> {
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
            let identity = identity(&opened.inspected.container, &name).with_context(|| format!("cannot read '{}'", shown(path)))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Bytes, Memory, ReadAt};
    use crate::container::{ParentSearch, Source, open};
    use std::sync::Arc;

    /// A disk that cannot be read, and why.
    #[derive(Debug)]
    struct Unreadable(fn() -> ReadError);

    impl ReadAt for Unreadable {
        fn size(&self) -> u64 {
            1 << 20
        }

        fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<(), ReadError> {
            Err((self.0)())
        }
    }

    #[test]
    fn a_disk_that_the_host_cannot_read_gets_no_other_identity() {
        let file: Bytes = Arc::new(Memory(vec![7; 1 << 20]));
        let (path, search) = (Path::new("disk.raw"), ParentSearch::default());
        let container = || open(&Source { file: &file, path, search: &search }).unwrap();
        assert!(!identity(&container(), "disk.vhd").unwrap().unique_id.is_nil());
        let broken = |why| Container { disk: Ok(Arc::new(Unreadable(why))), ..container() };
        let host = identity(&broken(|| ReadError::host(0, 65_536, std::io::Error::from_raw_os_error(5))), "disk.vhd");
        assert!(host.unwrap_err().is_host());
        let damaged = identity(&broken(|| ReadError::Unsupported("damaged".to_owned())), "disk.vhd");
        assert!(damaged.unwrap().unique_id.is_nil());
    }
}
