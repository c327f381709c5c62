//! What [`staged`](super::staged) asks of the host, and every platform answers in its own way.

use super::left;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Directories that were made for an output, outermost first.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// Makes `dir` and those above it that do not exist.
    pub(super) fn directories(dir: &Path) -> io::Result<Self> {
        Self::all(dir).map_err(|error| io::Error::new(error.kind(), format!("cannot make the directory '{}': {error}", dir.display())))
    }

    fn all(dir: &Path) -> io::Result<Self> {
        let mut made = Self(Vec::new());
        let mut missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
        while let Some(next) = missing.pop() {
            let absent = left::is_gone(next);
            let Err(error) = make(next) else {
                made.0.push(next.to_owned());
                continue;
            };
            let exists = error.kind() == io::ErrorKind::AlreadyExists;
            match fs::metadata(next) {
                // Someone else made it just now.
                Ok(there) if there.is_dir() && exists => {}
                // It was made all the same, and only the answer was lost.
                Ok(there) if there.is_dir() && absent => made.0.push(next.to_owned()),
                // That something exists says little where it cannot be looked at.
                Err(look) if exists && look.kind() != io::ErrorKind::NotFound => {
                    made.undo();
                    return Err(look);
                }
                _ => {
                    made.undo();
                    return Err(error);
                }
            }
        }
        Ok(made)
    }

    /// Takes over what was made later.
    pub(super) fn add(&mut self, later: &mut Self) {
        self.0.append(&mut later.0);
    }

    /// Removes them again, unless someone put something in.
    pub(super) fn undo(self) {
        self.0.iter().rev().for_each(|dir| left::remove_directory_or_note(dir));
    }

    /// Flushes the entry in `dir`, and the entries of the directories that were made.
    pub(super) fn flush(&self, dir: &Path) -> io::Result<()> {
        flush_directory(dir)?;
        self.0.iter().rev().filter_map(|made| made.parent()).try_for_each(flush_directory)
    }
}

#[cfg(unix)]
fn flush_directory(dir: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    // A directory may take files and yet not let itself be read; then it cannot be flushed by us.
    let dir = match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        other => other?,
    };
    match rustix::fs::fsync(&dir) {
        // File systems that have no device to flush a directory to say so in one of these words.
        Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Other platforms do not open directories as files, and write their entries through.
#[cfg(not(unix))]
fn flush_directory(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// What a mode of an output never has: the right of everybody to write. Some machines that build images run with a umask of 0.
#[cfg(unix)]
const EVERYBODY: u16 = 0o002;

/// Makes a directory, as a plain creation would but for the right of everybody to write.
#[cfg(unix)]
fn make(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(u32::from(0o777 & !EVERYBODY)).create(dir)
}

#[cfg(not(unix))]
fn make(dir: &Path) -> io::Result<()> {
    fs::create_dir(dir)
}

/// Gives the file the mode that a plain creation would have given it, but for the right of everybody to write.
#[cfg(unix)]
pub(super) fn open_up(file: &File) -> io::Result<()> {
    use rustix::fs::Mode;
    rustix::fs::fchmod(file, Mode::from_raw_mode((0o666 & !EVERYBODY).into()) & !umask())?;
    // The mode must be as durable as the bytes; those are flushed already, so this costs little.
    file.sync_all()
}

#[cfg(not(unix))]
pub(super) fn open_up(_file: &File) -> io::Result<()> {
    Ok(())
}

/// The umask, which POSIX lets a process read only by changing it.
#[cfg(unix)]
fn umask() -> rustix::fs::Mode {
    use rustix::fs::Mode;
    // Linux also tells it without.
    let told = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let digits = status.lines().find_map(|line| line.strip_prefix("Umask:"))?.trim();
        rustix::fs::RawMode::from_str_radix(digits, 8).ok()
    });
    told.map_or_else(
        || {
            // For a moment other threads create files that nobody else may read, which is the safe side.
            let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
            rustix::process::umask(mask);
            mask
        },
        Mode::from_raw_mode,
    )
}

#[cfg(target_os = "linux")]
pub(super) use linux::{link, name_new, reopen, unnamed_file};

#[cfg(target_os = "linux")]
mod linux {
    use super::{File, OsStr, Path, fs, io, left};
    use rustix::fs::{AtFlags, CWD, Mode, OFlags};
    use rustix::io::Errno;
    use std::os::fd::AsRawFd;

    /// An unnamed file in `dir`; `None` where there are none, or where they could not be given a name later.
    pub(in crate::prepare) fn unnamed_file(dir: &Path) -> io::Result<Option<File>> {
        let mode = Mode::RUSR | Mode::WUSR;
        let file = match rustix::fs::open(dir, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
            Ok(file) => File::from(file),
            // The file system, or the kernel, has none; the last is what a kernel from before 3.11 says.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The umask may have taken even the owner's rights, and they are needed to open the file again.
        rustix::fs::fchmod(&file, mode)?;
        // Naming goes through /proc, which some sandboxes do not have.
        Ok(fs::symlink_metadata(through_proc(&file)).is_ok().then_some(file))
    }

    fn through_proc(file: &File) -> String {
        format!("/proc/self/fd/{}", file.as_raw_fd())
    }

    /// Opens the file once more, for reading only.
    pub(in crate::prepare) fn reopen(file: &File) -> io::Result<File> {
        File::open(through_proc(file))
    }

    /// Gives an unnamed file its name.
    ///
    /// A name that is taken can only be replaced by renaming, so the file then gets a hidden name first; a kill between the two
    /// leaves that, whole and verified.
    pub(in crate::prepare) fn link(file: &File, dir: &Path, name: &OsStr, prefix: &str, overwrite: bool) -> io::Result<()> {
        let path = dir;
        // Held open, so that the directory is one and the same from here on, whatever happens to its path.
        let dir = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let is_ours = |name: &OsStr| {
            let there = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW);
            let own = rustix::fs::fstat(file);
            matches!((there, own), (Ok(there), Ok(own)) if (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino))
        };
        // A server may have made the link and lost the answer: link(2), "BUGS".
        let link_as = |name: &OsStr| {
            let linked = rustix::fs::linkat(CWD, through_proc(file), &dir, name, AtFlags::SYMLINK_FOLLOW);
            linked.or_else(|error| if is_ours(name) { Ok(()) } else { Err(error) })
        };
        match link_as(name) {
            Err(Errno::EXIST) if overwrite => {}
            Err(error) if lacks(error) => return Err(no_links(error)),
            other => return Ok(other?),
        }
        let mut number = 0_u32;
        let hidden = loop {
            let hidden = format!("{prefix}{}-{number}", std::process::id());
            match link_as(OsStr::new(&hidden)) {
                Ok(()) => break hidden,
                // Left by a process of the same number, here or on another machine.
                Err(Errno::EXIST) if number < 1000 => number = number.saturating_add(1),
                Err(error) => return Err(error.into()),
            }
        };
        let gone = |name: &str| matches!(rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT));
        rustix::fs::renameat(&dir, &hidden, &dir, name).or_else(|error| {
            if gone(&hidden) && is_ours(name) {
                return Ok(());
            }
            if rustix::fs::unlinkat(&dir, &hidden, AtFlags::empty()).is_err() && !gone(&hidden) {
                left::note(&path.join(&hidden));
            }
            Err(error.into())
        })
    }

    /// Whether an error of a link says that there are none; EPERM does (link(2)).
    fn lacks(error: Errno) -> bool {
        matches!(error, Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
    }

    fn no_links(error: Errno) -> io::Error {
        let reason = io::Error::from(error);
        io::Error::new(reason.kind(), format!("its file system makes no hard links here, and an output gets its name by one: {reason}"))
    }

    /// Gives a file that has a name another one, if that is free.
    pub(in crate::prepare) fn name_new(from: &Path, file: &File, to: &Path) -> io::Result<()> {
        use rustix::fs::{RenameFlags, renameat_with};
        let named = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // The file system has no such renames; but links do not replace either.
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty()),
            other => other,
        };
        match named {
            Err(_) if left::is_name_of(to, file) => {}
            Err(error) if lacks(error) => return Err(no_links(error)),
            other => other?,
        }
        left::remove_or_note(from);
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn unnamed_file(_dir: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reopen(file: &File) -> io::Result<File> {
    file.try_clone()
}

/// Gives a file that has a name another one, if that is free.
#[cfg(not(target_os = "linux"))]
pub(super) fn name_new(from: &Path, _file: &File, to: &Path) -> io::Result<()> {
    let file = tempfile::TempPath::try_from_path(from)?;
    // Whoever made it removes it.
    file.persist_noclobber(to).map_err(|failed| {
        failed.path.keep().ok();
        failed.error
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn link(_file: &File, _dir: &Path, _name: &OsStr, _prefix: &str, _overwrite: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
