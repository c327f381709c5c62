//! Removing and renaming what this process has made, on hosts that fail even then, or that fail to say what they have done.
//!
//! A file server can carry out a request and lose the answer; the caller then sees an error (link(2) and rename(2) in the Linux manual,
//! "BUGS"). So what an error means is looked up where it can be. What could not be removed is remembered for the process, so that whoever
//! tells of the failure tells of this too, whichever value was dropped at the time.

use crate::bytes::host::is_missing;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static LEFT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Files and empty directories of this process that should be gone and could not be removed, since the last time that this was asked, or
/// ever. Another process can remove them safely: none is a finished output.
#[must_use]
pub fn take_left() -> Vec<PathBuf> {
    std::mem::take(&mut *LEFT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Remembers what could not be removed.
pub(super) fn note(path: &Path) {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
}

/// Removes a file. It is no error when it is gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| if is_gone(path) { Ok(()) } else { Err(error) })
}

/// Removes a file, or remembers that it could not be.
pub(super) fn remove_or_note(path: &Path) {
    if remove(path).is_err() {
        note(path);
    }
}

/// Removes a directory that was made in vain, or remembers that it could not be. One that somebody has put something into is not ours any
/// more.
pub(super) fn remove_directory_or_note(dir: &Path) {
    if let Err(error) = fs::remove_dir(dir)
        && !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
        && !is_gone(dir)
    {
        note(dir);
    }
}

/// Gives a file another name, which must be free: the caller has looked, and it is one that nobody else would take.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let done = || is_gone(from) && to.symlink_metadata().is_ok();
    fs::rename(from, to).or_else(|error| if done() { Ok(()) } else { Err(error) })
}

/// Whether nothing has this name; what cannot be looked at may have it.
pub(super) fn is_gone(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| is_missing(&error))
}

/// Whether this name is that of the open file.
pub(super) fn is_name_of(path: &Path, file: &File) -> bool {
    match (path.symlink_metadata(), file.metadata()) {
        (Ok(there), Ok(own)) => is_same(&there, &own),
        _ => false,
    }
}

/// Whether this name is known to be that of another file.
pub(super) fn is_name_of_another(path: &Path, file: &File) -> bool {
    match (path.symlink_metadata(), file.metadata()) {
        (Ok(there), Ok(own)) => cfg!(unix) && !is_same(&there, &own),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Other platforms do not tell; there an error is taken at its word.
#[cfg(not(unix))]
fn is_same(_one: &Metadata, _other: &Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_no_failure() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "").unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        remove(&path.join("below")).unwrap();
        remove_directory_or_note(&path);
        assert!(!LEFT.lock().unwrap().contains(&path));
    }

    #[test]
    fn what_cannot_be_removed_is_remembered_once() {
        let home = tempfile::tempdir().unwrap();
        let (file, dir) = (home.path().join("file"), home.path().join("dir"));
        fs::write(&file, "").unwrap();
        fs::create_dir_all(dir.join("of somebody else")).unwrap();
        // Each by the call for the other.
        remove_or_note(&dir);
        remove_directory_or_note(&file);
        remove_directory_or_note(&dir);
        let own = |all: Vec<PathBuf>| all.into_iter().filter(|path| path.starts_with(home.path())).collect::<Vec<_>>();
        assert_eq!(own(take_left()), [dir, file]);
        assert_eq!(own(take_left()), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_name_is_that_of_one_file() {
        let home = tempfile::tempdir().unwrap();
        let (one, other) = (home.path().join("one"), home.path().join("other"));
        fs::write(&one, "").unwrap();
        fs::write(&other, "").unwrap();
        let file = File::open(&one).unwrap();
        assert!(is_name_of(&one, &file) && !is_name_of(&other, &file) && !is_name_of(&home.path().join("none"), &file));
        fs::hard_link(&one, home.path().join("second")).unwrap();
        assert!(is_name_of(&home.path().join("second"), &file));
        std::os::unix::fs::symlink(&one, home.path().join("link")).unwrap();
        assert!(!is_name_of(&home.path().join("link"), &file));
    }
}
