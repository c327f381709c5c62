//! A differencing disk and its parents: found only where the user allows, matched by unique id, never more than a bounded number.

use super::vhd::{self, DynamicHeader, Vhd};
use crate::bytes::host::{Access, directory, is_missing};
use crate::bytes::{Bytes, Guid, HostFile, Origin, ReadAt, ReadError, printable};
use std::fmt;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Parents that one disk may have above it. Hyper-V's own chains of checkpoints stay far below this.
const MAX_PARENTS: usize = 64;

/// Where parents may be looked for.
#[derive(Debug, Clone, Default)]
pub struct ParentSearch {
    /// Directories beside the child's own.
    pub directories: Vec<PathBuf>,
    /// How parents are read.
    pub access: Access,
}

/// One parent of a differencing disk.
#[derive(Debug)]
pub struct Parent {
    /// Where it was found.
    pub path: PathBuf,
    /// What it says of itself; `None` for XenServer's raw parents.
    pub vhd: Option<Vhd>,
    /// Its file.
    pub file: Arc<HostFile>,
}

/// Why a parent could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ParentError {
    /// No file of that name in the directories allowed.
    #[error("the parent disk ({names}) was not found in {directories}; put it beside the disk, or name its directory with --parent-dir")]
    NotFound {
        /// Names that the disk gives for its parent.
        names: String,
        /// Directories that were searched.
        directories: String,
    },
    /// A file of that name has another identity.
    #[error(
        "'{}' has unique id {found}, but the disk was made over a parent with unique id {expected}; find the right parent, or a later copy of it",
        shown(path)
    )]
    WrongId {
        /// The file.
        path: PathBuf,
        /// Unique id that the child demands.
        expected: Guid,
        /// Unique id that the file has.
        found: Guid,
    },
    /// The name leads out of the directories where parents may be read; what is there was not looked at.
    #[error("the parent disk '{}' lies outside the directories that may be searched; allow its directory with --parent-dir", shown(path))]
    Outside {
        /// Where it leads.
        path: PathBuf,
    },
    /// The chain comes back to a disk that is already in it.
    #[error("'{}' is its own ancestor: the chain of parents never ends", shown(path))]
    Cycle {
        /// The disk met twice.
        path: PathBuf,
    },
    /// More parents than are followed.
    #[error("the disk has more than {MAX_PARENTS} parents; merge the chain first")]
    TooLong,
    /// The parent is no disk that a VHD can stand on.
    #[error("the parent disk '{}' cannot be used: {reason}", shown(path))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The host cannot read the parent.
    #[error("the parent disk '{}' cannot be read: {cause}", shown(path))]
    Host {
        /// The file.
        path: PathBuf,
        /// The host's own words.
        cause: Arc<std::io::Error>,
    },
}

/// A parent's file, whose failures tell of it.
#[derive(Debug)]
struct Named {
    file: Arc<HostFile>,
    path: PathBuf,
}

impl ReadAt for Named {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.file.read_at(offset, buf).map_err(|error| match &error {
            ReadError::Host { cause, .. } => {
                ReadError::Parent { path: self.path.clone(), cause: Arc::new(std::io::Error::new(cause.kind(), error.to_string())) }
            }
            _ => error,
        })
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        self.file.data(from)
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        self.file.origin(range)
    }
}

fn bytes(parent: &Parent) -> Bytes {
    Arc::new(Named { file: parent.file.clone(), path: parent.path.clone() })
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// The parents of a differencing disk, nearest first, and the disk of the nearest one.
///
/// # Errors
///
/// Which parent is missing or unfit, and why.
pub(super) fn parents_of(child: &Vhd, file: &Bytes, path: &Path, search: &ParentSearch) -> Result<(Vec<Parent>, Bytes), ParentError> {
    let mut visited = vec![std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())];
    let allowed = Allowed::of(path, search);
    let (first, mut real) = find(child, file, path, &allowed, search)?;
    let mut parents = vec![first];
    // Up: find one parent after the other, until one that has none.
    while let Some(last) = parents.last() {
        if visited.contains(&real) {
            return Err(ParentError::Cycle { path: last.path.clone() });
        }
        visited.push(real);
        let Some(vhd) = last.vhd.as_ref().filter(|vhd| vhd.disk_type() == Some(vhd::DiskType::DIFFERENCING)) else { break };
        if parents.len() >= MAX_PARENTS {
            return Err(ParentError::TooLong);
        }
        let next;
        (next, real) = find(vhd, &bytes(last), &last.path, &allowed, search)?;
        parents.push(next);
    }
    // Down: open each over the one above it.
    let mut disk: Option<Bytes> = None;
    for parent in parents.iter().rev() {
        let opened = match &parent.vhd {
            None => Ok(bytes(parent)),
            Some(vhd) => vhd::open(vhd, &bytes(parent), disk.take()),
        };
        disk = Some(opened.map_err(|error| unusable(&parent.path, &error))?);
    }
    match disk {
        Some(disk) => Ok((parents, disk)),
        None => Err(ParentError::TooLong),
    }
}

fn unusable(path: &Path, error: &ReadError) -> ParentError {
    match error {
        ReadError::Host { cause, .. } | ReadError::Parent { cause, .. } => {
            ParentError::Host { path: path.to_owned(), cause: cause.clone() }
        }
        other => ParentError::Unusable { path: path.to_owned(), reason: other.to_string() },
    }
}

/// The directories below which the files of a chain may lie: that of the disk that the user named, and those of `--parent-dir`. No name
/// in any of the chain's files adds to them.
struct Allowed(Vec<PathBuf>);

impl Allowed {
    fn of(path: &Path, search: &ParentSearch) -> Self {
        let all = std::iter::once(directory(path)).chain(search.directories.iter().map(PathBuf::as_path));
        Self(all.filter_map(|dir| std::fs::canonicalize(dir).ok()).collect())
    }

    /// Whether a path lies below one of them, by its names alone: nothing outside is so much as looked at, since even that may reach a
    /// network by way of an automounter.
    fn names(&self, directory: &Path, candidate: &Path) -> bool {
        let (Ok(mut place), Ok(rest)) = (std::fs::canonicalize(directory), candidate.strip_prefix(directory)) else { return false };
        rest.components().all(|part| {
            match part {
                Component::Normal(name) => place.push(name),
                Component::ParentDir => drop(place.pop()),
                _ => return false,
            }
            self.0.iter().any(|root| place.starts_with(root))
        })
    }

    /// Opens a file by its real path, if that lies below one of them. No symbolic link is followed any more: should something on the way
    /// have become one since it was resolved, that is an error.
    fn open(&self, real: &Path, search: &ParentSearch) -> Option<std::io::Result<HostFile>> {
        let (root, below) = self.0.iter().find_map(|root| Some((root, real.strip_prefix(root).ok()?)))?;
        Some(HostFile::open_below(root, below, search.access))
    }
}

/// Finds the parent that one differencing disk names, with its real path.
fn find(child: &Vhd, file: &Bytes, path: &Path, allowed: &Allowed, search: &ParentSearch) -> Result<(Parent, PathBuf), ParentError> {
    let header = match &child.header {
        Some(Ok(header)) => header,
        Some(Err(error)) => return Err(unusable(path, error)),
        None => return Err(ParentError::Unusable { path: path.to_owned(), reason: "it has no dynamic header".to_owned() }),
    };
    let mut directories = vec![directory(path).to_owned()];
    directories.extend(search.directories.iter().cloned());
    let names = Names::of(header, file);
    let (mut failure, mut outside) = (None, None);
    for (directory, candidate) in names.candidates(&directories) {
        if !allowed.names(directory, &candidate) {
            outside.get_or_insert(ParentError::Outside { path: candidate });
            continue;
        }
        let real = match std::fs::canonicalize(&candidate) {
            Ok(real) => real,
            // As the child writes it, it may be a name that no file here can have.
            Err(error) if is_missing(&error) || error.kind() == ErrorKind::InvalidFilename => continue,
            Err(cause) => {
                // Whether it is the parent cannot be told.
                failure.get_or_insert(ParentError::Host { path: candidate, cause: Arc::new(cause) });
                continue;
            }
        };
        let Some(opened) = allowed.open(&real, search) else {
            outside.get_or_insert(ParentError::Outside { path: candidate });
            continue;
        };
        match examine(&candidate, opened, header, child) {
            Ok(parent) => return Ok((parent, real)),
            // A wrong candidate is only the answer when no other is right.
            Err(error @ ParentError::WrongId { .. }) => failure = Some(error),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    let list = |items: Vec<String>| items.join(", ");
    Err(failure.or(outside).unwrap_or_else(|| ParentError::NotFound {
        names: if names.texts.is_empty() {
            "which it does not name".to_owned()
        } else {
            list(names.texts.iter().map(|t| printable(t)).collect())
        },
        directories: list(directories.iter().map(|dir| format!("'{}'", shown(dir))).collect()),
    }))
}

/// Compares the identity of a candidate.
fn examine(path: &Path, opened: std::io::Result<HostFile>, header: &DynamicHeader, child: &Vhd) -> Result<Parent, ParentError> {
    let file = Arc::new(opened.map_err(|cause| match cause.kind() {
        // A directory, a pipe: it will not be another one the next time.
        std::io::ErrorKind::InvalidInput => ParentError::Unusable { path: path.to_owned(), reason: cause.to_string() },
        _ => ParentError::Host { path: path.to_owned(), cause: Arc::new(cause) },
    })?);
    let vhd = vhd::read(&*file).map_err(|error| unusable(path, &error))?;
    let Some(vhd) = vhd else {
        // XenServer names a raw parent by an id of zeros.
        let raw = header.parent_unique_id.is_nil() && child.authority().is_some_and(|footer| footer.creator_application == *b"tap\0");
        return if raw {
            Ok(Parent { path: path.to_owned(), vhd: None, file })
        } else {
            Err(ParentError::Unusable { path: path.to_owned(), reason: "it is not a VHD".to_owned() })
        };
    };
    let found = vhd.authority().map_or(Guid::NIL, |footer| footer.unique_id);
    if found != header.parent_unique_id {
        return Err(ParentError::WrongId { path: path.to_owned(), expected: header.parent_unique_id, found });
    }
    Ok(Parent { path: path.to_owned(), vhd: Some(vhd), file })
}

/// What a child calls its parent.
struct Names {
    /// As written, for messages.
    texts: Vec<String>,
    /// Relative paths, in the host's form.
    relative: Vec<PathBuf>,
    /// File names alone.
    bases: Vec<String>,
}

impl Names {
    fn of(header: &DynamicHeader, file: &Bytes) -> Self {
        let mut names = Self { texts: Vec::new(), relative: Vec::new(), bases: Vec::new() };
        // A locator that cannot be read is a deviation of its own; the others may still lead to the parent.
        let mut located: Vec<(bool, String)> =
            header.locators.iter().filter_map(|l| Some((l.is_relative(), l.path(&**file).ok().flatten()?))).collect();
        located.sort_by_key(|(relative, _)| !relative);
        located.push((false, header.parent_name.clone()));
        for (relative, text) in located {
            if text.is_empty() {
                continue;
            }
            if relative && let Some(path) = host_path(&text) {
                names.relative.push(path);
            }
            if let Some(base) = base_name(&text)
                && !names.bases.contains(&base)
            {
                names.bases.push(base);
            }
            if !names.texts.contains(&text) {
                names.texts.push(text);
            }
        }
        names
    }

    /// Files to look at, each with the directory that it is named from: relative paths from each directory first, then the bare names.
    fn candidates<'a>(&self, directories: &'a [PathBuf]) -> Vec<(&'a Path, PathBuf)> {
        let mut out: Vec<(&Path, PathBuf)> = Vec::new();
        for directory in directories {
            let relative = self.relative.iter().map(|path| directory.join(path));
            let bases = self.bases.iter().map(|base| directory.join(base));
            for candidate in relative.chain(bases) {
                if !out.iter().any(|(_, known)| *known == candidate) {
                    out.push((directory.as_path(), candidate));
                }
            }
        }
        out
    }
}

/// A relative Windows path in the host's form; `None` when it is not relative after all.
fn host_path(text: &str) -> Option<PathBuf> {
    let path: PathBuf = text.split(['\\', '/']).filter(|part| !part.is_empty() && *part != ".").collect();
    let absolute = text.starts_with(['\\', '/']) || text.contains(':') || text.contains('\0');
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let device = cfg!(windows) && path.components().any(|part| is_device(&part.as_os_str().to_string_lossy()));
    (!absolute && plain && !device && path.file_name().is_some()).then_some(path)
}

/// Whether Windows takes a name for a device, in whatever directory it stands: `NUL`, `con.vhd`, `COM1 .x`.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |start: &str| {
        let mut rest = stem.strip_prefix(start).unwrap_or_default().chars();
        rest.next().is_some_and(|c| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³')) && rest.next().is_none()
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") || numbered("COM") || numbered("LPT")
}

/// The last part of a Windows or Unix path.
fn base_name(text: &str) -> Option<String> {
    let base = text.rsplit(['\\', '/', ':']).next().unwrap_or_default();
    let plain = !base.is_empty() && base != "." && base != ".." && !base.contains('\0');
    (plain && !(cfg!(windows) && is_device(base))).then(|| base.to_owned())
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_paths_become_host_paths_and_no_more() {
        assert_eq!(host_path(".\\base\\parent.vhd"), Some(PathBuf::from("base/parent.vhd")));
        assert_eq!(host_path("..\\parent.vhd"), Some(PathBuf::from("../parent.vhd")));
        for text in ["C:\\x.vhd", "\\\\server\\share\\x.vhd", "/etc/passwd", "", ".", "..", "a\0b"] {
            assert_eq!(host_path(text), None, "{text:?}");
        }
        assert_eq!(base_name("C:\\vm\\x.vhd").as_deref(), Some("x.vhd"));
        assert_eq!(base_name("C:x.vhd").as_deref(), Some("x.vhd"));
        assert_eq!(base_name("/disks/x.vhd").as_deref(), Some("x.vhd"));
        assert_eq!(base_name("C:\\vm\\..").as_deref(), None);
    }

    #[test]
    fn names_of_devices_are_known() {
        for name in ["NUL", "con", "Con.vhd", "COM1", "lpt9.x", "COM¹", "aux .vhd", "CONIN$"] {
            assert!(is_device(name), "{name}");
        }
        for name in ["parent.vhd", "console.vhd", "COM", "COM10", "nul-1.vhd", "", "x.con"] {
            assert!(!is_device(name), "{name}");
        }
    }

    #[test]
    fn a_way_out_is_one_by_its_names() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("sub")).unwrap();
        let root = std::fs::canonicalize(home.path()).unwrap();
        let allowed = Allowed(vec![root.clone()]);
        let leads = |from: &str, way: &str| allowed.names(&root.join(from), &root.join(from).join(way));
        assert!(leads("", "parent.vhd") && leads("", "sub/parent.vhd") && leads("sub", "../parent.vhd") && leads("", "sub/../parent.vhd"));
        for way in ["../parent.vhd", "..", "../../etc/passwd", "sub/../../x/parent.vhd", "nowhere/../../x"] {
            assert!(!leads("", way), "{way}");
        }
        // Out and in again is out: what stands there is not ours to look at.
        let name = root.file_name().unwrap().to_str().unwrap();
        assert!(!leads("", &format!("../{name}/parent.vhd")));
    }
}
