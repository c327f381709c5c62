//! One process at a time gives names in a directory.
//!
//! Of two that replace images of the same names each would else put the other's new files aside as earlier ones, and the one that then
//! fails would take back a name that is the other's by now. The lock is the directory's own (flock(2)), so nothing is left of it however
//! the process ends.

use crate::bytes::host::is_missing;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long another process may take for its names; what takes time is done before.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// A directory that nobody else locks until this is dropped; or one that cannot be locked.
#[derive(Debug)]
pub(super) struct Lock {
    _dir: Option<File>,
}

impl Lock {
    /// Waits for the lock of `dir`. `None` where the directory is another one by then, or gone: whoever had the lock removed what it had
    /// made in vain.
    ///
    /// A directory that may not be read, or whose file system has no locks, is not locked.
    ///
    /// # Errors
    ///
    /// When somebody else keeps the lock for too long, or, as [`io::ErrorKind::Interrupted`], until `stop` is set.
    pub(super) fn of(dir: &Path, stop: &AtomicBool) -> io::Result<Option<Self>> {
        Self::within(dir, PATIENCE, stop)
    }

    fn within(dir: &Path, patience: Duration, stop: &AtomicBool) -> io::Result<Option<Self>> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let file = match File::open(dir) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(_) => return Ok(Some(Self { _dir: None })),
        };
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(is_at(dir, &file).then_some(Self { _dir: Some(file) })),
                Err(TryLockError::WouldBlock) if stop.load(Ordering::SeqCst) => return Err(io::ErrorKind::Interrupted.into()),
                Err(TryLockError::WouldBlock) if began.elapsed() < patience => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let reason = format!("another process keeps '{}' locked; run this again when it has ended", dir.display());
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, reason));
                }
                Err(TryLockError::Error(_)) => return Ok(Some(Self { _dir: None })),
            }
        }
    }
}

/// Whether the path still leads to the directory that is open. What cannot be looked at is taken for it.
#[cfg(unix)]
fn is_at(dir: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(dir), file.metadata()) {
        (Ok(there), Ok(own)) => (there.dev(), there.ino()) == (own.dev(), own.ino()),
        (Err(error), _) => !is_missing(&error),
        _ => true,
    }
}

/// Other platforms do not remove a directory that is open.
#[cfg(not(unix))]
fn is_at(dir: &Path, _file: &File) -> bool {
    !fs::metadata(dir).is_err_and(|error| is_missing(&error))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    #[test]
    fn one_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let first = Lock::of(home.path(), &GO_ON).unwrap().unwrap();
        let error = Lock::within(home.path(), Duration::ZERO, &GO_ON).unwrap_err();
        assert!(error.kind() == io::ErrorKind::WouldBlock && error.to_string().contains("another process"), "{error}");
        let error = Lock::of(home.path(), &AtomicBool::new(true)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        drop(first);
        Lock::within(home.path(), Duration::ZERO, &GO_ON).unwrap().unwrap();
    }

    #[test]
    fn a_directory_that_went_or_was_replaced_is_told() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("out");
        assert!(Lock::of(&dir, &GO_ON).unwrap().is_none());
        fs::create_dir(&dir).unwrap();
        let first = Lock::of(&dir, &GO_ON).unwrap().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::of(&dir, &GO_ON).unwrap().is_some());
            std::thread::sleep(Duration::from_millis(50));
            fs::rename(&dir, home.path().join("old")).unwrap();
            fs::create_dir(&dir).unwrap();
            drop(first);
            // The one that waited may have begun only now, and then has the new one.
            let had = waiting.join().unwrap();
            assert!(!had || Lock::of(&dir, &GO_ON).unwrap().is_some());
        });
        let file = File::open(home.path().join("old")).unwrap();
        assert!(!is_at(&dir, &file) && is_at(&home.path().join("old"), &file));
        fs::remove_dir(&dir).unwrap();
        assert!(!is_at(&dir, &file));
    }

    #[test]
    fn what_cannot_be_opened_is_not_locked() {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("loop", home.path().join("loop")).unwrap();
        assert!(Lock::of(&home.path().join("loop"), &GO_ON).unwrap().is_some_and(|lock| lock._dir.is_none()));
    }
}
