//! Files of the host, opened for reading only.
//!
//! Scattered small reads use positional reads, so that looking at metadata costs what the metadata weighs; bulk reads of regular
//! files come from a mapping, made when the first of them asks. A file that shrinks or whose device fails while it is mapped gives
//! an error like any other, never a dead process: on Unix the first mapping installs a handler for `SIGBUS`, for the whole process,
//! which answers for addresses in these mappings alone. [`Access::Positional`] does without mappings and handler.

#[cfg(unix)]
mod map;
mod names;
mod os;

pub use names::{directory, is_missing};

use super::{Origin, ReadAt, ReadError, check_bounds, int_u64};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
#[cfg(unix)]
use std::sync::OnceLock;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Reads at least this long are served from the mapping, shorter ones by a positional read.
#[cfg(unix)]
const BULK: usize = 64 * 1024;

/// How bulk reads are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// From a mapping where the file can be mapped.
    #[default]
    Mapped,
    /// By positional reads always: for file systems on which mappings are slow or unreliable.
    Positional,
}

/// A regular file or a block device, open for reading.
#[derive(Debug)]
pub struct HostFile {
    file: File,
    size: u64,
    /// Whether it is a file, and no device.
    regular: bool,
    opened: Stamp,
    #[cfg(unix)]
    access: Access,
    #[cfg(unix)]
    mapping: OnceLock<Option<map::Mapping>>,
    found: Mutex<Found>,
    /// Times that the host was asked where data is.
    #[cfg(test)]
    asked: std::sync::atomic::AtomicUsize,
}

/// What the host has answered about data. Layers above ask block by block and more than once, and some file systems (tmpfs among them)
/// answer by looking at every page up to the next hole: a dense file would be walked to its end once for each block.
#[derive(Debug, Default)]
struct Found {
    /// By the place that was asked for: from there to the start of the range is a hole. Behind the last data the range is empty.
    answers: BTreeMap<u64, Range<u64>>,
}

impl Found {
    /// Answers that are kept; 3 MiB with what the map takes. Of a file with more runs all are asked for again.
    const MOST: usize = 1 << 16;

    /// What is known of `from`: the data at or after it, empty where none follows.
    fn get(&self, from: u64) -> Option<Range<u64>> {
        let (_, range) = self.answers.range(..=from).next_back().filter(|(_, range)| from < range.end)?;
        Some(range.start.max(from)..range.end)
    }

    fn keep(&mut self, from: u64, range: Range<u64>) {
        if self.answers.len() >= Self::MOST {
            self.answers.clear();
        }
        self.answers.insert(from, range);
    }
}

/// What tells that a file was changed behind our back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl HostFile {
    /// Opens a file or block device.
    ///
    /// # Errors
    ///
    /// The host's error; for a directory, a pipe, a socket or a character device one that says which it is, because disks need
    /// random access and an end.
    pub fn open(path: &Path, access: Access) -> io::Result<Self> {
        // Asked before opening: opening a pipe would wait for its writer.
        refuse_streams(&std::fs::metadata(path)?)?;
        Self::from_file(os::open_for_reading(path)?, access)
    }

    /// Opens a file or block device below a directory, without following a symbolic link on the way or at its end.
    ///
    /// # Errors
    ///
    /// As [`HostFile::open`].
    pub fn open_below(directory: &Path, below: &Path, access: Access) -> io::Result<Self> {
        refuse_streams(&std::fs::symlink_metadata(directory.join(below))?)?;
        Self::from_file(os::open_below(directory, below)?, access)
    }

    /// Takes over an open file.
    ///
    /// # Errors
    ///
    /// As [`HostFile::open`].
    pub fn from_file(file: File, access: Access) -> io::Result<Self> {
        let metadata = file.metadata()?;
        refuse_streams(&metadata)?;
        // Block devices say 0 in their metadata.
        let size = if metadata.is_file() { metadata.len() } else { os::device_size(&file)? };
        #[cfg(not(unix))]
        let _ = access;
        Ok(Self {
            file,
            size,
            regular: metadata.is_file(),
            opened: Stamp::of(&metadata),
            #[cfg(unix)]
            access: if metadata.is_file() && size > 0 { access } else { Access::Positional },
            #[cfg(unix)]
            mapping: OnceLock::new(),
            found: Mutex::default(),
            #[cfg(test)]
            asked: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// Fails when the file was changed since it was opened: facts and copies taken from it would be of no one moment.
    ///
    /// # Errors
    ///
    /// An error that says what changed.
    pub fn unchanged(&self) -> io::Result<()> {
        let now = Stamp::of(&self.file.metadata()?);
        if now == self.opened {
            return Ok(());
        }
        let what = if now.length == self.opened.length {
            "its modification time changed".to_owned()
        } else {
            format!("its length went from {} to {} bytes", self.opened.length, now.length)
        };
        Err(io::Error::other(format!("the file was changed while it was read ({what}); is a machine or a copy still writing to it?")))
    }

    /// The open file, for questions about its identity and the like.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    #[cfg(unix)]
    fn mapping(&self) -> Option<&map::Mapping> {
        match self.access {
            Access::Positional => None,
            // A file that cannot be mapped (some network and FUSE file systems) is read by position.
            Access::Mapped => self.mapping.get_or_init(|| map::Mapping::new(&self.file, self.size).ok()).as_ref(),
        }
    }

    /// Reads from the mapping where that pays. `Ok(false)`: not mapped, read otherwise.
    #[cfg(unix)]
    fn read_mapped(&self, offset: u64, buf: &mut [u8]) -> io::Result<bool> {
        if buf.len() < BULK {
            return Ok(false);
        }
        let Some(mapping) = self.mapping() else { return Ok(false) };
        mapping.copy(offset, buf)?;
        // Bytes after a new end within its last page read as zeros and raise no fault: only the length tells.
        let length = self.file.metadata()?.len();
        if length < self.size {
            return Err(io::Error::other(format!("the file shrank from {} to {length} bytes while it was read", self.size)));
        }
        Ok(true)
    }

    #[cfg(not(unix))]
    fn read_mapped(&self, _offset: u64, _buf: &mut [u8]) -> io::Result<bool> {
        Ok(false)
    }
}

impl ReadAt for HostFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        let length = buf.len();
        let fail = |error: io::Error| {
            let error = if error.kind() == io::ErrorKind::UnexpectedEof {
                io::Error::other("the file ends before the length that it had when it was opened; it shrank while it was read")
            } else {
                error
            };
            ReadError::host(offset, length, error)
        };
        if self.read_mapped(offset, buf).map_err(fail)? {
            return Ok(());
        }
        os::read_exact_at(&self.file, offset, buf).map_err(fail)
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        if from >= self.size {
            return None;
        }
        // A change of the file since then is found by `unchanged`, as it must be for the bytes themselves.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let range = match found.get(from) {
            Some(range) => range,
            None => {
                #[cfg(test)]
                self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let end = self.size..self.size;
                let range = os::next_data(&self.file, from).map_or(from..self.size, |range| range.unwrap_or(end));
                let range = range.start..range.end.min(self.size);
                found.keep(from, range.clone());
                range
            }
        };
        (range.start < range.end).then_some(range)
    }

    fn origin(&self, range: Range<u64>) -> Option<Origin<'_>> {
        let length = range.end.min(self.size).checked_sub(range.start).filter(|length| *length > 0)?;
        // A device has no extents to share.
        self.regular.then_some(Origin { file: &self.file, offset: range.start, length })
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// Refuses what has no end or cannot be read twice.
fn refuse_streams(metadata: &std::fs::Metadata) -> io::Result<()> {
    match os::stream_kind(metadata) {
        None => Ok(()),
        Some(kind) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it is {kind}; a disk must be a regular file or a block device, because it is read at many places"),
        )),
    }
}

/// The bytes of a file that its file system has allocated ranges for, found without reading them.
#[must_use]
pub fn data_bytes(bytes: &dyn ReadAt, range: Range<u64>) -> u64 {
    let mut total = 0_u64;
    let mut from = range.start;
    while let Some(found) = bytes.data(from).filter(|found| found.start < range.end) {
        total = total.saturating_add(found.end.min(range.end).saturating_sub(found.start));
        from = found.end;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sample(len: usize) -> (tempfile::NamedTempFile, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        file.flush().unwrap();
        (file, bytes)
    }

    #[test]
    fn both_ways_of_reading_give_the_same_bytes() {
        let (file, bytes) = sample(300_000);
        for access in [Access::Mapped, Access::Positional] {
            let host = HostFile::open(file.path(), access).unwrap();
            assert_eq!(host.size(), int_u64(bytes.len()));
            for (offset, len) in [(0, 300_000), (1, 299_999), (299_999, 1), (300_000, 0), (70_001, 65_536), (5, 7)] {
                let mut buf = vec![0; len];
                host.read_at(int_u64(offset), &mut buf).unwrap();
                assert_eq!(buf, bytes[offset..offset + len]);
            }
            assert!(host.read_at(299_999, &mut [0; 2]).is_err());
            host.unchanged().unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_shrinks_under_its_mapping_is_an_error() {
        let (file, _) = sample(1 << 20);
        for access in [Access::Mapped, Access::Positional] {
            file.as_file().set_len(1 << 20).unwrap();
            let host = HostFile::open(file.path(), access).unwrap();
            let mut buf = vec![0; 1 << 20];
            host.read_at(0, &mut buf).unwrap();
            // Whole pages vanish: a touch would raise SIGBUS. Then a cut inside a page, which raises nothing.
            for length in [4096, 0, 100] {
                file.as_file().set_len(length).unwrap();
                assert!(host.read_at(0, &mut buf).unwrap_err().is_host(), "{access:?} cut to {length}");
                assert!(host.unchanged().is_err());
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn streams_are_refused_by_name() {
        let refused = |path: &str| HostFile::open(Path::new(path), Access::Mapped).unwrap_err().to_string();
        assert!(refused("/dev/zero").contains("character device"));
        assert!(refused("/").contains("directory"));
        assert!(HostFile::open(Path::new("/nowhere/at/all"), Access::Mapped).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn holes_of_the_file_are_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 30).unwrap();
        let host = HostFile::open(file.path(), Access::Mapped).unwrap();
        assert_eq!(host.data(0), None);
        assert_eq!(data_bytes(&host, 0..1 << 30), 0);
        use std::os::unix::fs::FileExt;
        file.as_file().write_all_at(&[1; 4096], 512 << 20).unwrap();
        let host = HostFile::open(file.path(), Access::Mapped).unwrap();
        let found = host.data(0).unwrap();
        assert!(found.start <= 512 << 20 && found.end >= (512 << 20) + 4096 && found.end - found.start < 1 << 22, "{found:?}");
        // What was learnt is told again from any place, and no further than it was learnt.
        assert_eq!(host.data(1 << 20), Some(found.clone()));
        assert_eq!(host.data(found.start + 1), Some(found.start + 1..found.end));
        assert_eq!(host.data(found.end - 1), Some(found.end - 1..found.end));
        assert_eq!(host.data(found.end), None);
        assert_eq!(host.data(0), Some(found));
        // Going over the file again asks for nothing again.
        let asked = || host.asked.load(std::sync::atomic::Ordering::Relaxed);
        let before = asked();
        for _ in 0..3 {
            assert!(data_bytes(&host, 0..1 << 30) >= 4096);
            assert_eq!(host.data(900 << 20), None);
        }
        assert_eq!(asked(), before);
    }

    #[test]
    fn what_is_kept_of_answers_is_bounded() {
        let mut found = Found::default();
        for n in 0..1 << 17 {
            found.keep(n * 10, n * 10 + 5..n * 10 + 10);
            assert!(found.answers.len() <= Found::MOST);
        }
        assert_eq!(found.get(5), None, "forgotten");
        let last = ((1 << 17) - 1) * 10;
        assert_eq!(
            (found.get(last), found.get(last + 7), found.get(last + 10)),
            (Some(last + 5..last + 10), Some(last + 7..last + 10), None)
        );
    }
}
