//! An output that has no name until it is known to be good.
//!
//! [`Staged`] is being written, [`Sealed`] is on the device and can only be read, [`Verified`] was read and found good, and only that can
//! be published. Each is made from the one before; dropping any of them leaves nothing behind.
//!
//! On Linux the file is an unnamed one (`O_TMPFILE`), which the kernel removes however the process ends. Where the file system has none,
//! it is a hidden neighbour of the output, `.vhdkit-` and six characters, which a kill leaves behind but a failure or an interrupt that is
//! handled does not, unless the host will not remove it ([`take_left`](super::take_left)).
//!
//! The file is for its owner only (mode 0600) until it is published, and never for everybody to write. Publishing is atomic: it refuses to
//! replace an existing file, even one that appeared a moment before, unless replacing was asked for.

use super::host::{self, Made};
use super::left;
use crate::bytes::host::is_missing;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Start of the names of hidden neighbours.
const PREFIX: &str = ".vhdkit-";

/// A file that is being written.
#[derive(Debug)]
pub struct Staged {
    body: Body,
    overwrite: bool,
    /// The directory that existed when the writing began: that of the output, or the nearest above it.
    home: PathBuf,
}

/// A file that is complete and flushed to its device, but not known to be good.
#[derive(Debug)]
pub struct Sealed(Staged);

/// A file that was read again after it was flushed, and found good. Made by [`Sealed::verify`] alone.
#[derive(Debug)]
pub struct Verified(Staged);

#[derive(Debug)]
enum Body {
    Unnamed(File),
    Neighbour(Neighbour),
}

impl Body {
    fn file(&self) -> &File {
        match self {
            Self::Unnamed(file) | Self::Neighbour(Neighbour { file, .. }) => file,
        }
    }
}

/// A file under a hidden name, which is removed when this is dropped.
#[derive(Debug)]
struct Neighbour {
    file: File,
    path: PathBuf,
    /// It has its final name, or is removed already.
    settled: bool,
}

impl Neighbour {
    fn new(home: &Path) -> io::Result<Self> {
        let (file, path) = tempfile::Builder::new().prefix(PREFIX).tempfile_in(home)?.keep().map_err(|failed| failed.error)?;
        Ok(Self { file, path, settled: false })
    }

    fn give_name(&mut self, to: &Path, overwrite: bool) -> io::Result<()> {
        if overwrite {
            // A server may have done it and lost the answer: rename(2), "BUGS".
            let done = || self.path.symlink_metadata().is_err() && left::is_name_of(to, &self.file);
            std::fs::rename(&self.path, to).or_else(|error| if done() { Ok(()) } else { Err(error) })?;
        } else {
            host::name_new(&self.path, &self.file, to)?;
        }
        self.settled = true;
        Ok(())
    }

    fn discard(mut self) -> io::Result<()> {
        self.settled = true;
        left::remove(&self.path).map_err(|error| at(&format!("cannot remove '{}' again", self.path.display()), error))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        if !self.settled {
            left::remove_or_note(&self.path);
        }
    }
}

impl Staged {
    /// An empty file on the file system of `dir`, the directory in which it is to be published.
    ///
    /// A directory that does not exist yet is made by [`Verified::publish`], not here; the file then starts in the nearest one above
    /// that does exist. With `overwrite`, publishing replaces a file that has the name already.
    ///
    /// # Errors
    ///
    /// The host's error, with the directory that would not take a file.
    pub fn new(dir: &Path, overwrite: bool) -> io::Result<Self> {
        let home = existing(dir)?;
        let fail = |error| at(&format!("cannot create a file in '{}'", home.display()), error);
        let body = match host::unnamed_file(home).map_err(fail)? {
            Some(file) => Body::Unnamed(file),
            None => Body::Neighbour(Neighbour::new(home).map_err(fail)?),
        };
        Ok(Self { body, overwrite, home: home.to_owned() })
    }

    /// The file, open for writing and reading.
    ///
    /// Whoever clones it and writes through the clone after [`Staged::seal`] deceives only himself.
    #[must_use]
    pub fn file(&self) -> &File {
        self.body.file()
    }

    /// Whether the file has no name at all, so that not even a kill can leave it behind.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        matches!(self.body, Body::Unnamed(_))
    }

    /// Removes the file again.
    ///
    /// # Errors
    ///
    /// The host's error, with the name that is left.
    pub fn discard(self) -> io::Result<()> {
        match self.body {
            Body::Unnamed(_) => Ok(()),
            Body::Neighbour(file) => file.discard(),
        }
    }

    /// Flushes everything to the device, and ends the writing.
    ///
    /// # Errors
    ///
    /// When the device did not take all of it; the file is gone then.
    pub fn seal(self) -> io::Result<Sealed> {
        self.file().sync_all().map_err(|error| at("cannot flush the output to its device", error))?;
        Ok(Sealed(self))
    }
}

impl Sealed {
    /// The file, opened anew for reading: with its own cursor and, where the host can, without the right to write.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn reopen(&self) -> io::Result<File> {
        match &self.0.body {
            Body::Unnamed(file) => host::reopen(file),
            Body::Neighbour(Neighbour { path, .. }) => File::open(path),
        }
        .map_err(|error| at("cannot reopen the output to verify it", error))
    }

    /// Whether the file has no name at all.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// Lets `judge` read the file, opened anew, and say whether it is good; with its answer comes what may be published.
    ///
    /// # Errors
    ///
    /// What `judge` says, or why the file could not be opened; the file is gone then.
    pub fn verify<T, E: From<io::Error>>(self, judge: impl FnOnce(File) -> Result<T, E>) -> Result<(Verified, T), E> {
        let answer = judge(self.reopen()?)?;
        Ok((Verified(self.0), answer))
    }
}

impl Verified {
    /// Gives the file its name in `dir` and its final mode (0664 less the umask), and flushes the directory; returns the whole path.
    ///
    /// Makes the directory, and those above it, where they do not exist. On failure nothing has the name that had not before, and
    /// directories made here are removed again; one failure is later than that, and says so: the file stands, but its directory was
    /// not flushed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] when a file has the name and may not be replaced, [`io::ErrorKind::InvalidInput`] when `name` is
    /// more or less than one name, or when a directory that did not exist before has become a symbolic link, otherwise the host's error;
    /// all with the path.
    pub fn publish(self, dir: &Path, name: impl AsRef<OsStr>) -> io::Result<PathBuf> {
        let Published { path, made, .. } = self.give_name(dir, name.as_ref())?;
        made.flush(dir).map_err(|error| at(&format!("'{}' is complete, but its directory could not be flushed", path.display()), error))?;
        Ok(path)
    }

    /// Refuses directories that have become symbolic links since the writing began.
    pub(super) fn refuse_links(&self, dir: &Path) -> io::Result<()> {
        refuse_links(dir, &self.0.home)
    }

    /// As [`Verified::publish`], but for the directory, which the caller flushes.
    pub(super) fn give_name(self, dir: &Path, name: impl AsRef<OsStr>) -> io::Result<Published> {
        let name = single(name.as_ref())?;
        let path = dir.join(name);
        self.refuse_links(dir)?;
        let Self(Staged { mut body, overwrite, .. }) = self;
        host::open_up(body.file()).map_err(|error| at(&format!("cannot set the mode of what is to become '{}'", path.display()), error))?;

        let made = Made::directories(dir)?;
        let named = match &mut body {
            Body::Unnamed(file) => host::link(file, dir, name, PREFIX, overwrite),
            Body::Neighbour(file) => file.give_name(&path, overwrite),
        };
        match named {
            Ok(()) => Ok(Published { path, body, made }),
            Err(error) => {
                made.undo();
                Err(if error.kind() == io::ErrorKind::AlreadyExists {
                    io::Error::new(error.kind(), format!("'{}' exists already and was not replaced", path.display()))
                } else {
                    at(&format!("cannot give the output its name '{}'", path.display()), error)
                })
            }
        }
    }
}

/// A file that has its name, and the directories that were made for it.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) path: PathBuf,
    body: Body,
    pub(super) made: Made,
}

impl Published {
    /// Takes the name back. What has it without being this file is another's, and stays.
    pub(super) fn remove(&self) -> io::Result<()> {
        if left::is_name_of_another(&self.path, self.body.file()) { Ok(()) } else { left::remove(&self.path) }
    }
}

/// The directory, or the nearest above it that exists.
fn existing(dir: &Path) -> io::Result<&Path> {
    // The last ancestor of a relative path is the empty one.
    for dir in dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
        match dir.symlink_metadata() {
            Ok(_) => return Ok(dir),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(at(&format!("cannot look at '{}'", dir.display()), error)),
        }
    }
    Ok(Path::new("."))
}

/// Refuses directories below `home` that are symbolic links: they were not there when the writing began, and whoever put them there
/// since then chose where the output would go.
fn refuse_links(dir: &Path, home: &Path) -> io::Result<()> {
    for below in dir.ancestors().take_while(|dir| *dir != home && !dir.as_os_str().is_empty()) {
        if below.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            let reason = format!("'{}' became a symbolic link while the output was written; nothing was published", below.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
    }
    Ok(())
}

/// The name, if it is one and no path.
fn single(name: &OsStr) -> io::Result<&OsStr> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{}' is not a file name", Path::new(name).display()))),
    }
}

/// The error with what was being done in front, and its kind kept.
fn at(doing: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "what was not tested is said aloud")]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::sync::Barrier;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A file of either kind, whatever the file system offers.
    fn staged(dir: &Path, unnamed: bool, overwrite: bool) -> Staged {
        if unnamed {
            let staged = Staged::new(dir, overwrite).unwrap();
            if !staged.is_unnamed() {
                eprintln!("SKIPPED: no unnamed files in '{}', its twin is tested twice", dir.display());
            }
            staged
        } else {
            let body = Body::Neighbour(Neighbour::new(existing(dir).unwrap()).unwrap());
            Staged { body, overwrite, home: existing(dir).unwrap().to_owned() }
        }
    }

    fn verified(dir: &Path, unnamed: bool, overwrite: bool, text: &str) -> Verified {
        let staged = staged(dir, unnamed, overwrite);
        staged.file().write_all(text.as_bytes()).unwrap();
        let (verified, read) = staged
            .seal()
            .unwrap()
            .verify(|mut file| -> io::Result<_> {
                let mut read = String::new();
                file.read_to_string(&mut read)?;
                Ok(read)
            })
            .unwrap();
        assert_eq!(read, text, "read from the start, whatever the writer's cursor");
        verified
    }

    #[test]
    fn a_name_comes_only_with_publishing() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let verified = verified(home.path(), unnamed, false, "good");
            assert!(!home.path().join("disk.vhd").exists());
            assert_eq!(verified.publish(home.path(), "disk.vhd").unwrap(), home.path().join("disk.vhd"));
            assert_eq!(names(home.path()), ["disk.vhd"]);
            assert_eq!(std::fs::read_to_string(home.path().join("disk.vhd")).unwrap(), "good");
        }
    }

    #[test]
    fn dropping_leaves_nothing() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("not/yet");
            drop(staged(&dir, unnamed, false));
            drop(staged(&dir, unnamed, false).seal().unwrap());
            let refused = staged(&dir, unnamed, false).seal().unwrap().verify(|_| Err::<(), _>(io::Error::other("bad")));
            assert_eq!(refused.unwrap_err().to_string(), "bad");
            drop(verified(&dir, unnamed, false, "good"));
            assert!(names(home.path()).is_empty(), "{:?}", names(home.path()));
        }
    }

    #[test]
    fn an_existing_file_is_not_replaced_unless_told() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("disk.vhd");
            std::fs::write(&path, "precious").unwrap();
            let error = verified(home.path(), unnamed, false, "new").publish(home.path(), "disk.vhd").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

            verified(home.path(), unnamed, true, "new").publish(home.path(), "disk.vhd").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
            verified(home.path(), unnamed, true, "first").publish(home.path(), "other.vhd").unwrap();
            assert_eq!(names(home.path()), ["disk.vhd", "other.vhd"]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_becomes_a_link_is_not_written_to() {
        for unnamed in [true, false] {
            let (home, victim) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let dir = home.path().join("new/images");
            let verified = verified(&dir, unnamed, true, "new");
            std::os::unix::fs::symlink(victim.path(), home.path().join("new")).unwrap();
            std::fs::create_dir(victim.path().join("images")).unwrap();
            let error = verified.publish(&dir, "disk.vhd").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            assert_eq!((names(home.path()), names(&victim.path().join("images"))), (vec!["new".to_owned()], vec![]));
        }
        // One that was there before is the user's own choice.
        let (home, real) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(real.path(), home.path().join("out")).unwrap();
        verified(&home.path().join("out"), true, false, "new").publish(&home.path().join("out"), "disk.vhd").unwrap();
        assert_eq!(names(real.path()), ["disk.vhd"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_neither_followed_nor_taken_for_nothing() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink("nowhere", home.path().join("disk.vhd")).unwrap();
            let error = verified(home.path(), unnamed, false, "new").publish(home.path(), "disk.vhd").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            verified(home.path(), unnamed, true, "new").publish(home.path(), "disk.vhd").unwrap();
            assert!(home.path().join("disk.vhd").symlink_metadata().unwrap().is_file());
            assert_eq!(names(home.path()), ["disk.vhd"]);
        }
    }

    #[test]
    fn a_directory_is_not_replaced_even_when_told() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            std::fs::create_dir(home.path().join("disk.vhd")).unwrap();
            assert!(verified(home.path(), unnamed, true, "new").publish(home.path(), "disk.vhd").is_err());
            assert_eq!(names(home.path()), ["disk.vhd"]);
        }
    }

    #[test]
    fn missing_directories_are_made_at_the_end_and_only_then() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("a/b/c");
            let first = verified(&dir, unnamed, false, "one");
            let second = verified(&dir, unnamed, false, "two");
            assert!(!home.path().join("a").exists());
            first.publish(&dir, "one").unwrap();
            second.publish(&dir, "two").unwrap();
            assert_eq!(names(&dir), ["one", "two"]);
            assert_eq!(names(home.path()), ["a"]);
        }
    }

    #[test]
    fn directories_made_in_vain_are_removed() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("a/b");
            let verified = verified(&dir, unnamed, false, "one");
            // Longer than any file system allows.
            assert!(verified.publish(&dir, "n".repeat(300)).is_err());
            assert!(names(home.path()).is_empty());
        }
    }

    #[test]
    fn a_file_in_the_directory_s_place_is_an_error_with_its_path() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        for dir in [file.clone(), file.join("below")] {
            let error = Staged::new(&dir, false).unwrap_err().to_string();
            assert!(error.contains(file.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn names_are_names() {
        let home = tempfile::tempdir().unwrap();
        for name in ["", ".", "..", "a/b", "/etc/passwd", "a/"] {
            let error = verified(home.path(), true, true, "x").publish(home.path(), name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        assert!(names(home.path()).is_empty());
    }

    #[test]
    fn a_relative_directory_starts_here() {
        assert_eq!(existing(Path::new("not-there/at-all")).unwrap(), Path::new("."));
        assert_eq!(existing(Path::new("")).unwrap(), Path::new("."));
        assert_eq!(existing(Path::new("src/not-there")).unwrap(), Path::new("src"));
    }

    #[test]
    fn of_many_publishers_one_wins() {
        for unnamed in [true, false] {
            for _ in 0..20 {
                let home = tempfile::tempdir().unwrap();
                let start = Barrier::new(4);
                let won: Vec<String> = std::thread::scope(|scope| {
                    let racers: Vec<_> = (0..4)
                        .map(|number| {
                            let (start, home) = (&start, home.path());
                            scope.spawn(move || {
                                let text = format!("racer {number}");
                                let verified = verified(home, unnamed, false, &text);
                                start.wait();
                                match verified.publish(home, "disk.vhd") {
                                    Ok(_) => Some(text),
                                    Err(error) => {
                                        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
                                        None
                                    }
                                }
                            })
                        })
                        .collect();
                    racers.into_iter().filter_map(|racer| racer.join().unwrap()).collect()
                });
                assert_eq!(won.len(), 1);
                assert_eq!(std::fs::read_to_string(home.path().join("disk.vhd")).unwrap(), won[0]);
                assert_eq!(names(home.path()), ["disk.vhd"]);
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn others_may_read_only_what_was_published() {
        use std::os::unix::fs::PermissionsExt;
        let umask = rustix::process::umask(rustix::fs::Mode::empty());
        rustix::process::umask(umask);
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let staged = staged(home.path(), unnamed, false);
            let mode = |file: &File| file.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode(staged.file()), 0o600);
            let (verified, ()) = staged.seal().unwrap().verify(|_| Ok::<_, io::Error>(())).unwrap();
            let path = verified.publish(home.path(), "disk.vhd").unwrap();
            assert_eq!(mode(&File::open(path).unwrap()), 0o666 & !umask.as_raw_mode());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_reopened_cannot_be_written() {
        for unnamed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let sealed = staged(home.path(), unnamed, false).seal().unwrap();
            assert_eq!(sealed.is_unnamed(), unnamed);
            let mut file = sealed.reopen().unwrap();
            assert!(file.write_all(b"x").is_err());
        }
    }
}
