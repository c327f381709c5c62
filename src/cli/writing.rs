//! Writing the disks of an image at the same time.

use super::progress::{Bars, Shown};
use crate::bytes::{Bytes, ReadAt};
use crate::facts::DiskFacts;
use crate::prepare::copy::{Copied, CopyError, CopyOptions};
use crate::prepare::staged::Verified;
use crate::prepare::{self, WriteError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Disks that are written at a time, at most. They share the threads that one would have alone.
const AT_ONCE: usize = 4;

/// A disk to be written.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// File name of the output.
    pub(super) name: &'a str,
    /// The planned file.
    pub(super) image: &'a Bytes,
    /// What must be read back.
    pub(super) expected: &'a DiskFacts,
}

/// Why the disks were not written.
#[derive(Debug)]
pub(super) enum CannotWrite {
    /// Somebody asked to stop.
    Cancelled,
    /// The disk of that place failed first.
    Disk(usize, WriteError),
}

type Written = (Verified, Copied);

/// Writes all disks and reads them again, or leaves nothing. A failure of one stops the others by way of `cancel`.
pub(super) fn write_all(
    jobs: &[Job<'_>],
    directory: &Path,
    options: &CopyOptions<'_>,
    bars: &Bars,
    cancel: &AtomicBool,
) -> Result<Vec<Written>, CannotWrite> {
    let next = AtomicUsize::new(0);
    let ended: Mutex<Vec<(usize, Result<Written, WriteError>)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::SeqCst);
            let Some(job) = jobs.get(place).filter(|_| !cancel.load(Ordering::SeqCst)) else { return };
            let result = write_one(job, directory, options, bars, cancel);
            let failed = result.is_err();
            ended.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
            if failed {
                cancel.store(true, Ordering::SeqCst);
            }
        }
    };
    thread::scope(|scope| {
        for number in 1..jobs.len().min(AT_ONCE) {
            // Where the host gives no further thread, this one does all of it.
            if thread::Builder::new().name(format!("disk-{number}")).spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    let own = |result: &Result<Written, WriteError>| !matches!(result, Ok(_) | Err(WriteError::Copy(CopyError::Cancelled)));
    // The others were stopped because of it.
    if let Some(place) = ended.iter().position(|(_, result)| own(result))
        && let (disk, Err(error)) = ended.swap_remove(place)
    {
        return Err(CannotWrite::Disk(disk, error));
    }
    ended.sort_by_key(|(place, _)| *place);
    let written: Vec<Written> = ended.into_iter().filter_map(|(_, result)| result.ok()).collect();
    if written.len() == jobs.len() { Ok(written) } else { Err(CannotWrite::Cancelled) }
}

fn write_one(job: &Job<'_>, directory: &Path, options: &CopyOptions<'_>, bars: &Bars, cancel: &AtomicBool) -> Result<Written, WriteError> {
    let progress = Shown::new(bars, "write", job.name, job.image.size());
    // What is published replaces nothing: files of an earlier image are put aside before.
    let outcome = prepare::write(job.image, directory, false, options, &progress, cancel);
    progress.finish(bars);
    let (sealed, copied) = outcome?;
    Ok((prepare::reread(sealed, &directory.join(job.name), job.expected)?, copied))
}

#[cfg(test)]
mod tests {
    use super::super::args::Cli;
    use super::*;
    use crate::bytes::{GIB, Memory, ReadError, Zeros};
    use clap::Parser;
    use std::sync::Arc;

    /// A disk that the host cannot read.
    #[derive(Debug)]
    struct Broken;

    impl ReadAt for Broken {
        fn size(&self) -> u64 {
            1 << 20
        }

        fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<(), ReadError> {
            Err(ReadError::Unsupported("broken".to_owned()))
        }
    }

    #[test]
    fn a_failure_stops_the_others_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let small: Bytes = Arc::new(Memory(vec![7; 4096]));
        let facts = prepare::inspect_planned(&small, &home.path().join("small")).unwrap().facts;
        // The whole digest of this one takes far longer than anybody waits.
        let (endless, broken): (Bytes, Bytes) = (Arc::new(Zeros(1000 * GIB)), Arc::new(Broken));
        let job = |name, image| Job { name, image, expected: &facts };
        let common = Cli::try_parse_from(["vhdkit", "rules", "--progress=none"]).unwrap().common;
        let bars = Bars::new(&common, std::iter::empty());
        let options = CopyOptions { sha256: true, ..CopyOptions::default() };
        for jobs in [
            vec![job("endless", &endless), job("broken", &broken), job("other", &endless)],
            vec![job("broken", &broken), job("small", &small), job("endless", &endless), job("a", &endless), job("b", &endless)],
        ] {
            let place = jobs.iter().position(|job| job.name == "broken").unwrap();
            let ended = write_all(&jobs, home.path(), &options, &bars, &AtomicBool::new(false));
            assert!(matches!(ended, Err(CannotWrite::Disk(disk, _)) if disk == place), "{ended:?}");
            assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
        }
        let stopped = write_all(&[job("small", &small)], home.path(), &options, &bars, &AtomicBool::new(true));
        assert!(matches!(stopped, Err(CannotWrite::Cancelled)), "{stopped:?}");
    }
}
