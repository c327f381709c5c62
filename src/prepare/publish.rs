//! Giving the files of an image their names: all of them, or none.
//!
//! Files of an earlier image that are replaced wait under hidden names, `.vhdkit-earlier-` and a number before their own, until all new ones
//! have theirs; should one not get its name, the others lose theirs again and the earlier files get theirs back. The last file, the
//! manifest, is named when the entries of all others are on the device. A kill in the midst leaves a directory without a manifest, and so
//! without a finished image: some of the new files, whole, and those of the earlier image under their hidden names. Others who publish in
//! the same directory wait meanwhile.

use super::host::Made;
use super::left;
use super::lock::Lock;
use super::staged::{Published, Verified};
use crate::bytes::host::is_missing;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Start of the hidden names of files that wait.
const EARLIER: &str = ".vhdkit-earlier-";

/// Why the files have not got their names. Everything is as before, unless `left` says otherwise.
#[derive(Debug, thiserror::Error)]
#[error("{cause}{}", left_over(.left, .stuck))]
pub struct CannotPublish {
    /// What failed.
    pub cause: io::Error,
    /// Files that could not be put back where they were: where they are now, and where they belong.
    pub left: Vec<(PathBuf, PathBuf)>,
    /// New files that could not be removed again.
    pub stuck: Vec<PathBuf>,
}

impl CannotPublish {
    /// Whether it was stopped while it waited for others, with nothing done.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        self.cause.kind() == io::ErrorKind::Interrupted && self.left.is_empty() && self.stuck.is_empty()
    }
}

fn left_over(left: &[(PathBuf, PathBuf)], stuck: &[PathBuf]) -> String {
    let stuck = stuck.iter().map(|path| format!("; the new '{}' could not be removed again", path.display()));
    left.iter()
        .map(|(now, belongs)| format!("; the earlier '{}' could not be put back and is '{}'", belongs.display(), now.display()))
        .chain(stuck)
        .collect()
}

/// Names `files` in `dir`, in their order, the last one when all others are on the device. `earlier` are names of files of an earlier
/// image, which go when all is done; those that do not exist are no matter. The files must have been staged not to replace anything.
/// Returns hidden names of earlier files that could not be removed: they do no harm there, and take room. While others publish in the same
/// directory it waits, but not once `stop` is set.
///
/// # Errors
///
/// The first failure. Nothing has a name then that had not before, and the earlier files have theirs again.
pub fn publish_all(
    dir: &Path,
    files: Vec<(String, Verified)>,
    earlier: &[String],
    stop: &AtomicBool,
) -> Result<Vec<PathBuf>, CannotPublish> {
    let mut set = Set { dir, stop, lock: None, aside: Vec::new(), named: Vec::new(), made: Made::default() };
    match set.name_all(files, earlier) {
        Ok(()) => Ok(set.forget_earlier()),
        Err(cause) => {
            let (left, stuck) = set.undo();
            Err(CannotPublish { cause, left, stuck })
        }
    }
}

/// What was done so far.
struct Set<'a> {
    dir: &'a Path,
    stop: &'a AtomicBool,
    /// Kept until all is done, or undone.
    lock: Option<Lock>,
    /// Earlier files: where they wait, and where they belong.
    aside: Vec<(PathBuf, PathBuf)>,
    /// New files that have their names.
    named: Vec<Published>,
    /// Directories that were made.
    made: Made,
}

impl Set<'_> {
    fn name_all(&mut self, files: Vec<(String, Verified)>, earlier: &[String]) -> io::Result<()> {
        files.iter().try_for_each(|(_, file)| file.refuse_links(self.dir))?;
        while self.lock.is_none() {
            self.made.add(&mut Made::directories(self.dir)?);
            self.lock = Lock::of(self.dir, self.stop)?;
        }
        for name in earlier {
            self.put_aside(name)?;
        }
        let last = files.len().saturating_sub(1);
        for (place, (name, file)) in files.into_iter().enumerate() {
            if place == last {
                self.flush()?;
            }
            let mut published = file.give_name(self.dir, &name)?;
            self.made.add(&mut published.made);
            self.named.push(published);
        }
        self.flush()
    }

    fn put_aside(&mut self, name: &str) -> io::Result<()> {
        let path = self.dir.join(name);
        let fail = |error: io::Error| io::Error::new(error.kind(), format!("cannot put the earlier '{}' aside: {error}", path.display()));
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => return Err(fail(io::Error::new(io::ErrorKind::AlreadyExists, "it is a directory"))),
            Ok(_) => {}
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) => return Err(fail(error)),
        }
        // Names of an earlier process that was killed are not ours to take.
        let hidden = (0..1000_u32)
            .map(|number| self.dir.join(format!("{EARLIER}{}-{number}-{name}", std::process::id())))
            .find(|hidden| hidden.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound))
            .ok_or_else(|| fail(io::Error::other("every hidden name is taken")))?;
        left::rename(&path, &hidden).map_err(fail)?;
        self.aside.push((hidden, path));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let fail = |error: io::Error| io::Error::new(error.kind(), format!("cannot flush '{}': {error}", self.dir.display()));
        if self.named.is_empty() { Ok(()) } else { self.made.flush(self.dir).map_err(fail) }
    }

    /// Removes what waited; what could not be removed.
    fn forget_earlier(self) -> Vec<PathBuf> {
        self.aside.into_iter().map(|(hidden, _)| hidden).filter(|hidden| left::remove(hidden).is_err()).collect()
    }

    /// Takes all names back; earlier files that could not be put back, and new ones that could not be removed. A name that somebody else has
    /// taken over, without a lock, is left to him.
    fn undo(self) -> (Vec<(PathBuf, PathBuf)>, Vec<PathBuf>) {
        let stuck = self.named.into_iter().rev().filter(|published| published.remove().is_err()).map(|published| published.path).collect();
        let back = |(hidden, path): &(PathBuf, PathBuf)| path.symlink_metadata().is_ok() || left::rename(hidden, path).is_err();
        let left = self.aside.into_iter().rev().filter(back).collect();
        self.made.undo();
        (left, stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::super::execute::stage_text;
    use super::*;
    use std::fs;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn listing(dir: &Path) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap_or_default()))
            .collect();
        all.sort();
        all
    }

    fn files(dir: &Path, names: &[&str]) -> Vec<(String, Verified)> {
        names.iter().map(|name| ((*name).to_owned(), stage_text(dir, &format!("new {name}")).unwrap())).collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn all_get_their_names() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        publish_all(&dir, files(&dir, &["one", "two", "manifest"]), &[], &GO_ON).unwrap();
        let names: Vec<String> = listing(&dir).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["manifest", "one", "two"]);
    }

    #[test]
    fn a_name_that_is_taken_in_the_moment_takes_all_back() {
        for taken in ["one", "two", "manifest"] {
            let home = tempfile::tempdir().unwrap();
            let staged = files(home.path(), &["one", "two", "manifest"]);
            fs::write(home.path().join(taken), "another's").unwrap();
            let error = publish_all(home.path(), staged, &[], &GO_ON).unwrap_err();
            assert_eq!(error.cause.kind(), io::ErrorKind::AlreadyExists, "{error}");
            assert!(error.left.is_empty() && error.to_string().contains(taken), "{error}");
            assert_eq!(listing(home.path()), [(taken.to_owned(), "another's".to_owned())]);
        }
    }

    #[test]
    fn directories_made_in_vain_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        let long = "n".repeat(300);
        publish_all(&dir, files(&dir, &["one", &long]), &[], &GO_ON).unwrap_err();
        assert_eq!(listing(home.path()), []);
    }

    #[test]
    fn an_earlier_image_is_replaced_whole_or_put_back() {
        for taken in [None, Some("two"), Some("manifest")] {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join("one"), "old one").unwrap();
            fs::write(home.path().join("manifest"), "old manifest").unwrap();
            fs::write(home.path().join("mine"), "mine").unwrap();
            let staged = files(home.path(), &["one", "two", "manifest"]);
            let mut earlier = names(&["manifest", "one", "sums"]);
            if let Some(name) = taken {
                // One that the earlier image had not: it appeared in the moment.
                fs::write(home.path().join(name), "another's").unwrap();
                earlier.retain(|kept| kept != name);
            }
            let before = listing(home.path());
            let ended = publish_all(home.path(), staged, &earlier, &GO_ON);
            assert_eq!(ended.is_err(), taken.is_some());
            if taken.is_some() {
                assert_eq!(listing(home.path()), before);
            } else {
                let all = [("manifest", "new manifest"), ("mine", "mine"), ("one", "new one"), ("two", "new two")];
                assert_eq!(listing(home.path()), all.map(|(name, text)| (name.to_owned(), text.to_owned())));
            }
        }
    }

    #[test]
    fn of_many_at_once_one_stands_whole() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("out");
        let all = ["manifest", "one", "two", "three"];
        for round in 0..12 {
            let start = std::sync::Barrier::new(4);
            let racer = |number: usize| {
                let text = format!("racer {number}");
                let order = ["one", "two", "three", "manifest"];
                let mut files: Vec<_> = order.map(|name| (name.to_owned(), stage_text(&dir, &text).unwrap())).into();
                // One of them fails, and takes back what it did, its directory too.
                if number == 0 {
                    files.push(("n".repeat(300), stage_text(&dir, &text).unwrap()));
                }
                start.wait();
                assert_eq!(publish_all(&dir, files, &names(&all), &GO_ON).is_err(), number == 0, "round {round}");
            };
            std::thread::scope(|scope| (0..4).for_each(|number| drop(scope.spawn(move || racer(number)))));
            let left = listing(&dir);
            assert!(left.iter().map(|(name, _)| name.as_str()).eq(["manifest", "one", "three", "two"]), "round {round}: {left:?}");
            assert!(left.iter().all(|(_, text)| *text == left[0].1), "round {round}: {left:?}");
            if round % 2 == 0 {
                fs::remove_dir_all(&dir).unwrap();
            }
        }
    }

    #[test]
    fn a_name_that_is_another_s_by_now_is_left_to_him() {
        let home = tempfile::tempdir().unwrap();
        let named =
            ["one", "two", "three"].map(|name| stage_text(home.path(), "new").unwrap().give_name(home.path(), name).unwrap()).into();
        // Somebody without the lock.
        fs::rename(home.path().join("one"), home.path().join("aside")).unwrap();
        fs::write(home.path().join("one"), "another's").unwrap();
        fs::remove_file(home.path().join("three")).unwrap();
        let set = Set { dir: home.path(), stop: &GO_ON, lock: None, aside: Vec::new(), named, made: Made::default() };
        assert_eq!(set.undo(), (Vec::new(), Vec::new()));
        assert_eq!(listing(home.path()), [("aside".to_owned(), "new".to_owned()), ("one".to_owned(), "another's".to_owned())]);
    }

    #[test]
    fn a_directory_is_no_file_of_an_earlier_image() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("manifest"), "old").unwrap();
        fs::create_dir(home.path().join("one")).unwrap();
        let before = listing(home.path());
        publish_all(home.path(), files(home.path(), &["one", "manifest"]), &names(&["manifest", "one"]), &GO_ON).unwrap_err();
        assert_eq!(listing(home.path()), before);
    }
}
