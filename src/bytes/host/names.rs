//! Names of the host's files: what stands there, and where.

use std::io::{self, ErrorKind};
use std::path::Path;

/// Whether an error says that nothing stands there, and not that the host cannot tell. A name that no file can have
/// ([`ErrorKind::InvalidFilename`]) is for the caller to judge: one that somebody typed is a mistake, one that a disk gives is not there.
#[must_use]
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The directory that a file stands in; `.` for a name alone.
#[must_use]
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_cannot_be_told() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "x").unwrap();
        for (name, missing) in [("nothing", true), ("nothing/x", true), ("file/x", true)] {
            assert_eq!(is_missing(&home.path().join(name).symlink_metadata().unwrap_err()), missing, "{name}");
        }
        for kind in [ErrorKind::PermissionDenied, ErrorKind::InvalidFilename, ErrorKind::Other] {
            assert!(!is_missing(&kind.into()), "{kind}");
        }
    }

    #[test]
    fn directories_of_files() {
        for (path, dir) in [("a", "."), ("./a", "."), ("b/a", "b"), ("/a", "/"), ("b/c/a", "b/c"), ("", ".")] {
            assert_eq!(directory(Path::new(path)), Path::new(dir), "{path}");
        }
    }
}
