//! The file that a copy is written into.
//!
//! What the source's file holds already is shared with it where the file system can (see [`reflink`](super::reflink)); the rest is
//! written.

use super::copy::CopyError;
use super::reflink::{Piece, Sharing};
use crate::bytes::{ReadAt, int_u64, int_usize};
use std::fs::File;
use std::io;

/// The file that is written.
#[derive(Debug)]
pub(super) struct Output<'a> {
    file: &'a File,
    /// Where its file system shares extents, and that is wanted.
    sharing: Option<Sharing>,
}

impl<'a> Output<'a> {
    /// An empty file that is to have `size` bytes.
    pub(super) fn new(file: &'a File, size: u64, reflink: bool) -> io::Result<Self> {
        let sharing = if reflink { Sharing::of(file) } else { None };
        file.set_len(size)?;
        Ok(Self { file, sharing })
    }

    /// Makes the file hold at `offset` what `source` holds there, which is `bytes`; says how many of them it shares with the source.
    pub(super) fn put(&self, source: &dyn ReadAt, mut offset: u64, mut bytes: &[u8]) -> Result<u64, CopyError> {
        let mut shared = 0_u64;
        while !bytes.is_empty() {
            let piece = self.sharing.as_ref().map_or(Piece::Plain(bytes.len()), |sharing| sharing.piece(source, offset, bytes.len()));
            let (length, done) = match (&piece, &self.sharing) {
                (Piece::Shared(origin), Some(sharing)) => (int_usize(origin.length), sharing.share(origin, self.file, offset)),
                (Piece::Shared(origin), None) => (int_usize(origin.length), 0),
                (Piece::Plain(length), _) => (*length, 0),
            };
            shared = shared.saturating_add(done);
            let (now, later) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
            write_all_at(self.file, offset.saturating_add(done), now.get(int_usize(done)..).unwrap_or_default())?;
            offset = offset.saturating_add(int_u64(now.len()));
            bytes = later;
        }
        Ok(shared)
    }
}

/// Writes all of `bytes` at `offset`, or says at which byte it could not go on.
fn write_all_at(out: &File, mut offset: u64, mut bytes: &[u8]) -> Result<(), CopyError> {
    while !bytes.is_empty() {
        match write_at(out, offset, bytes) {
            Ok(0) => return Err(CopyError::Write { offset, cause: io::ErrorKind::WriteZero.into() }),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset = offset.saturating_add(int_u64(written));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(CopyError::Write { offset, cause }),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn write_at(out: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(out, bytes, offset)
}

#[cfg(windows)]
fn write_at(out: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(out, bytes, offset)
}
