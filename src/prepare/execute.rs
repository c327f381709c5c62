//! Writing a planned file: staged without a name, flushed, read again, and only then published.

use super::copy::{self, Copied, CopyError, CopyOptions, Progress};
use super::staged::{Sealed, Staged, Verified};
use crate::bytes::host::Access;
use crate::bytes::{Bytes, HostFile, ReadError};
use crate::container::{ParentSearch, Source};
use crate::facts::{DiskFacts, Fact};
use crate::inspect::{self, Inspected, Options};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Why a file was not written. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The copy failed.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The host would not create, flush or reopen the file.
    #[error(transparent)]
    Host(#[from] io::Error),
    /// What was written could not be read again.
    #[error("what was written cannot be read again")]
    Reread(#[from] ReadError),
    /// What was written is not what was planned.
    #[error("what was written reads back differently from what was planned ({0}); nothing was published. Check this machine's storage")]
    Differs(String),
}

/// Inspects bytes that have no file yet, as the file `path` will be.
///
/// # Errors
///
/// When the source below cannot be read.
pub fn inspect_planned(image: &Bytes, path: &Path) -> Result<Inspected, ReadError> {
    let search = ParentSearch::default();
    inspect::disk(&Source { file: image, path, search: &search }, Options::default())
}

/// Writes a planned file into a staged one for `dir`, and flushes it.
///
/// # Errors
///
/// The first thing that failed; the staged file is gone.
pub fn write(
    image: &Bytes,
    dir: &Path,
    overwrite: bool,
    options: &CopyOptions<'_>,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Result<(Sealed, Copied), WriteError> {
    let staged = Staged::new(dir, overwrite)?;
    let copied = copy::copy(image, staged.file(), options, progress, cancel)?;
    Ok((staged.seal()?, copied))
}

/// Reads a staged file again and holds what it says against what was planned. As rules see nothing but facts, equal facts have the
/// verdict that the plan had.
///
/// # Errors
///
/// When it cannot be read, or says anything else.
pub fn reread(sealed: Sealed, path: &Path, planned: &DiskFacts) -> Result<Verified, WriteError> {
    let (verified, ()) = sealed.verify(|file: File| {
        let file: Bytes = Arc::new(HostFile::from_file(file, Access::Positional)?);
        let written = inspect_planned(&file, path)?;
        compare(planned, &written.facts)
    })?;
    Ok(verified)
}

/// Equal but for how the host stores them: zeros that were written out in the source are holes here.
fn compare(planned: &DiskFacts, written: &DiskFacts) -> Result<(), WriteError> {
    let bare = |facts: &DiskFacts| DiskFacts { allocated_size: Fact::Absent, ..facts.clone() };
    let (planned, written) = (bare(planned), bare(written));
    if planned == written {
        return Ok(());
    }
    let (planned, written) = (format!("{planned:?}"), format!("{written:?}"));
    let at = planned.chars().zip(written.chars()).position(|(a, b)| a != b).unwrap_or_default();
    let around = |text: &str| text.chars().skip(at.saturating_sub(40)).take(80).collect::<String>();
    Err(WriteError::Differs(format!("planned …{}…, written …{}…", around(&planned), around(&written))))
}

/// Writes a small file, the manifest or the list of digests, all of it or nothing.
///
/// # Errors
///
/// The host's error.
pub fn publish_text(dir: &Path, name: &str, text: &str, overwrite: bool) -> io::Result<()> {
    written_text(Staged::new(dir, overwrite)?, text)?.publish(dir, name).map(drop)
}

/// A small file for `dir` that is complete but for its name, which must be free then.
///
/// # Errors
///
/// The host's error.
pub fn stage_text(dir: &Path, text: &str) -> io::Result<Verified> {
    written_text(Staged::new(dir, false)?, text)
}

fn written_text(staged: Staged, text: &str) -> io::Result<Verified> {
    use io::Write;
    staged.file().write_all(text.as_bytes())?;
    let (verified, ()) = staged.seal()?.verify(|file| {
        let read = io::read_to_string(file)?;
        if read == text { Ok(()) } else { Err(io::Error::other("what was written reads back differently")) }
    })?;
    Ok(verified)
}
