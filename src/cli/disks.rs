//! Opening the disks that the user names.

use super::args::{Asking, Common, Opening};
use crate::bytes::host::{Access, is_missing};
use crate::bytes::{Bytes, HostFile, printable};
use crate::container::{ParentSearch, Source};
use crate::facts::{Fact, Role};
use crate::inspect::{self, Inspected, Options};
use crate::report::Unopened;
use crate::rules::{Subject, Target};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A disk of the user's, open and inspected.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) host: Arc<HostFile>,
    pub(super) inspected: Inspected,
}

impl Opened {
    /// The file's bytes.
    pub(super) fn file(&self) -> Bytes {
        self.host.clone()
    }

    /// The files that the disk is made of: its own and its parents'.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.path.as_path()).chain(self.inspected.container.parents.iter().map(|parent| parent.path.as_path()))
    }

    /// The files of its parents.
    pub(super) fn parents(&self) -> Vec<PathBuf> {
        self.inspected.container.parents.iter().map(|parent| parent.path.clone()).collect()
    }

    /// Fails when the disk, or a parent of it, was changed since it was opened.
    pub(super) fn unchanged(&self) -> anyhow::Result<()> {
        self.host.unchanged().with_context(|| format!("cannot rely on '{}'", shown(&self.path)))?;
        for parent in &self.inspected.container.parents {
            parent.file.unchanged().with_context(|| format!("cannot rely on the parent disk '{}'", shown(&parent.path)))?;
        }
        Ok(())
    }
}

/// A path for messages.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// How bulk reads are done by `verify`.
///
/// All other commands read by position. A mapping saves no copy here, because bytes that somebody may change are copied before they
/// are looked at, and each of its pages costs a share of a fault and of an unmapping. Measured with a cached disk of 1.3 GiB of data,
/// medians of processor time, mapped against by position: `inspect --deep` 738 ms against 595 on tmpfs and 425 against 270 on ext4,
/// `prepare` 1030 against 956 on tmpfs. `verify` loses least, 1003 against 960 on tmpfs and 836 against 813 on ext4.
pub(super) fn verify_access(common: &Common) -> Access {
    if common.no_mmap { Access::Positional } else { Access::Mapped }
}

/// A disk that could not be opened, for reports.
pub(super) fn unopened(path: &Path, error: &anyhow::Error) -> Unopened {
    Unopened { path: path.to_string_lossy().into_owned(), reason: format!("{error:#}") }
}

/// Opens and inspects a disk; `with` may hold parts of its volumes and file systems.
pub(super) fn open_with(path: &Path, with: &[PathBuf], opening: &Opening) -> anyhow::Result<Opened> {
    check_parent_dirs(opening)?;
    let mut first = open_surface(path, opening)?;
    let others: Vec<Opened> = with.iter().map(|path| open_surface(path, opening)).collect::<anyhow::Result<_>>()?;
    join(&mut first, &others.iter().collect::<Vec<_>>())?;
    Ok(first)
}

/// Opens and inspects one disk by itself.
pub(super) fn open(path: &Path, opening: &Opening) -> anyhow::Result<Opened> {
    let mut opened = open_surface(path, opening)?;
    join(&mut opened, &[])?;
    Ok(opened)
}

/// Looks inside a disk, together with others that may belong to it.
pub(super) fn join(first: &mut Opened, others: &[&Opened]) -> anyhow::Result<()> {
    let inspected: Vec<&Inspected> = others.iter().map(|other| &other.inspected).collect();
    inspect::join(&mut first.inspected, &inspected).with_context(|| format!("cannot read '{}'", shown(&first.path)))?;
    first.unchanged()
}

/// Looks once more inside disks that were given together; `of` and `of_mut` say where the disk is in an item.
pub(super) fn join_each<T>(disks: &mut [T], of: fn(&T) -> &Inspected, of_mut: fn(&mut T) -> &mut Inspected) -> anyhow::Result<()> {
    let named = |disks: &[T], place: usize| disks.get(place).map(|disk| printable(&of(disk).facts.path)).unwrap_or_default();
    inspect::join_each(disks, of, of_mut)
        .map_err(|(place, error)| (named(disks, place), error))
        .map_or_else(|(name, error)| Err(error).with_context(|| format!("cannot read '{name}'")), Ok)
}

/// Opens a disk as far as its partitions; [`join`] looks inside.
pub(super) fn open_surface(path: &Path, opening: &Opening) -> anyhow::Result<Opened> {
    let access = Access::Positional;
    let host = Arc::new(HostFile::open(path, access).with_context(|| format!("cannot open '{}'", shown(path)))?);
    let file: Bytes = host.clone();
    let search = ParentSearch { directories: opening.parent_dir.clone(), access };
    let source = Source { file: &file, path, search: &search };
    let inspected = inspect::surface(&source, Options { deep: opening.deep }).with_context(|| format!("cannot read '{}'", shown(path)))?;
    Ok(Opened { path: path.to_owned(), host, inspected })
}

/// Fails where a directory for parents is none.
pub(super) fn check_parent_dirs(opening: &Opening) -> anyhow::Result<()> {
    for dir in &opening.parent_dir {
        let is_dir = std::fs::metadata(dir).with_context(|| format!("--parent-dir '{}'", shown(dir)))?.is_dir();
        anyhow::ensure!(is_dir, "--parent-dir '{}' is not a directory", shown(dir));
    }
    Ok(())
}

/// The question, as the rules take it.
pub(super) fn target(asking: &Asking) -> Target {
    Target {
        state: asking.state.map(Into::into),
        profile: asking.profile.map(Into::into).unwrap_or_default(),
        generation: asking.generation,
        fail_on: asking.fail_on.map(Into::into).unwrap_or_default(),
        kept: std::collections::BTreeSet::new(),
    }
}

/// The same question where accounts are kept knowingly, for every machine made from the image.
pub(super) fn keeping(target: Target, kept: &[String]) -> Target {
    Target { kept: kept.iter().cloned().collect(), ..target }
}

/// Takes a disk for what the user says it is: by --role, or by --data.
pub(super) fn take_role(opened: &mut Opened, lun: Option<u8>, asking: &Asking) {
    let facts = &mut opened.inspected.facts;
    let (role, by) = match (lun, asking.role) {
        (Some(lun), _) => (Role::Data, format!("given as the data disk of LUN {lun}")),
        (None, Some(role)) => (role.into(), "given by --role".to_owned()),
        (None, None) => return,
    };
    if facts.role != Fact::Known(role) {
        facts.role = Fact::Known(role);
        facts.role_evidence.insert(0, by);
    }
}

/// A disk as the rules take it: the OS disk of the question, or one of its data disks.
pub(super) fn subject<'a>(opened: &'a Opened, lun: Option<u8>, asking: &Asking) -> Subject<'a> {
    let facts = &opened.inspected.facts;
    Subject { facts, role: facts.role.clone(), lun, in_image: !asking.data.is_empty() }
}

/// Fails on data disks that contradict each other or the OS disk, before any work is done.
pub(super) fn check_data(os: &[PathBuf], asking: &Asking) -> anyhow::Result<()> {
    if asking.data.is_empty() {
        return Ok(());
    }
    anyhow::ensure!(os.len() == 1, "--data belongs to one image: give one OS disk, not {}", os.len());
    let is_data = asking.role.map(Role::from) == Some(Role::Data);
    anyhow::ensure!(!is_data, "--data belongs to an image with an OS disk, and --role data says that the disk is none");
    let named = |path: &PathBuf| Ok((source_identity(path)?, format!("'{}'", shown(path))));
    let mut seen: Vec<(FileId, String)> = os.iter().map(named).collect::<anyhow::Result<_>>()?;
    for (place, disk) in asking.data.iter().enumerate() {
        let twice = asking.data.iter().take(place).any(|other| other.lun == disk.lun);
        anyhow::ensure!(!twice, "LUN {} is given twice; each data disk needs its own", disk.lun);
        let id = source_identity(&disk.path)?;
        let name = format!("'{}' (LUN {})", shown(&disk.path), disk.lun);
        if let Some((_, other)) = seen.iter().find(|(path, _)| *path == id) {
            anyhow::bail!("{name} and {other} are the same file");
        }
        seen.push((id, name));
    }
    Ok(())
}

/// Fails where a disk of the image is what another one stands on: it is no disk of its own, and both would hold the same data.
pub(super) fn check_parents<'a>(disks: impl Iterator<Item = &'a Opened> + Clone) -> anyhow::Result<()> {
    for child in disks.clone() {
        for parent in child.sources().skip(1).map(source_identity) {
            let parent = parent?;
            for disk in disks.clone() {
                let (one, other) = (shown(&disk.path), shown(&child.path));
                anyhow::ensure!(
                    source_identity(&disk.path)? != parent,
                    "'{one}' is the parent of '{other}'; it cannot be a disk of the same image"
                );
            }
        }
    }
    Ok(())
}

/// What tells one file from another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileId {
    /// Device and number on it: the same under every name, hard links included.
    #[cfg(unix)]
    Number(u64, u64),
    /// Its real path, where there is nothing better.
    Path(PathBuf),
}

/// Which file a path leads to, or would lead to.
///
/// # Errors
///
/// When something stands there that cannot be looked at: it may be any file, a source too.
pub(super) fn identity(path: &Path) -> std::io::Result<FileId> {
    #[cfg(unix)]
    match std::fs::metadata(path) {
        Ok(metadata) => {
            use std::os::unix::fs::MetadataExt;
            return Ok(FileId::Number(metadata.dev(), metadata.ino()));
        }
        Err(error) if is_missing(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(FileId::Path(std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())))
}

/// Which file a source is.
///
/// # Errors
///
/// As [`identity`], in words for the user: it cannot be opened either.
pub(super) fn source_identity(path: &Path) -> anyhow::Result<FileId> {
    identity(path).with_context(|| format!("cannot open '{}'", shown(path)))
}
