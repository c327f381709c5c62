//! Content, byte by byte.

use super::{Fault, differs};
use crate::bytes::{ReadAt, ReadError, int_u64, int_usize, read_vec};

/// Bytes that are compared at once.
const CHUNK: u64 = 1 << 20;

/// Whether two files hold the same; what both know to be holes is not read.
pub(super) fn same(path: &[u8], old: &dyn ReadAt, new: &dyn ReadAt) -> Result<(), Fault> {
    if old.size() != new.size() {
        return Err(differs(path, "its content has another size".to_owned()));
    }
    let mut at = 0;
    loop {
        let (one, other) = (old.data(at), new.data(at));
        let Some(start) = one.iter().chain(&other).map(|range| range.start).min() else { return Ok(()) };
        // Up to the end of data of either: behind it the other is asked again.
        let end = one.iter().chain(&other).filter(|range| range.start == start).map(|range| range.end).max().unwrap_or(start);
        let end = end.min(start.saturating_add(CHUNK));
        if end <= at {
            return Ok(());
        }
        let len = int_usize(end.saturating_sub(start));
        let before = read_vec(old, start, len).map_err(|error| unread(path, &error))?;
        let after = read_vec(new, start, len).map_err(|error| unread(path, &error))?;
        if before != after {
            let byte = before.iter().zip(&after).position(|(a, b)| a != b).unwrap_or_default();
            return Err(differs(path, format!("its content differs from byte {} on", start.saturating_add(int_u64(byte)))));
        }
        at = end;
    }
}

/// Whether a file holds exactly this.
pub(super) fn holds(path: &[u8], file: &dyn ReadAt, content: &[u8]) -> Result<(), Fault> {
    if file.size() != int_u64(content.len()) {
        return Err(differs(path, format!("its new content has {} bytes, not {}", file.size(), content.len())));
    }
    let read = read_vec(file, 0, content.len()).map_err(|error| unread(path, &error))?;
    if read == content { Ok(()) } else { Err(differs(path, "its new content is not the planned one".to_owned())) }
}

fn unread(path: &[u8], error: &ReadError) -> Fault {
    super::unread(path, "its content", &error.clone().into())
}
