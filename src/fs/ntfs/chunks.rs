//! Content that is stored in chunks, each decoded as a whole.

use crate::bytes::{ReadError, int_u64, int_usize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Chunks that are remembered.
const REMEMBERED: usize = 4;

/// A chunk's number and its content.
type Chunk = (u64, Arc<Vec<u8>>);

/// The chunks that were decoded last.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Chunk>>);

impl Recent {
    /// A chunk, decoded now if it is not remembered.
    pub(super) fn get(&self, number: u64, decode: impl FnOnce() -> Result<Vec<u8>, ReadError>) -> Result<Arc<Vec<u8>>, ReadError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|(known, _)| *known == number).cloned();
        if let Some((_, chunk)) = known {
            return Ok(chunk);
        }
        let chunk = Arc::new(decode()?);
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back((number, chunk.clone()));
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
        drop(recent);
        Ok(chunk)
    }
}

/// Cuts a read at `offset` where chunks begin: `read` gets the number of a chunk, an offset in it, and what to fill from there.
pub(super) fn each_chunk(
    offset: u64,
    buf: &mut [u8],
    size: u64,
    mut read: impl FnMut(u64, usize, &mut [u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let (mut at, mut rest) = (offset, buf);
    while !rest.is_empty() {
        let number = at.checked_div(size).unwrap_or_default();
        let within = at.checked_rem(size).unwrap_or_default();
        let len = size.saturating_sub(within).min(int_u64(rest.len()));
        let Some((now, later)) = rest.split_at_mut_checked(int_usize(len)).filter(|(now, _)| !now.is_empty()) else { return Ok(()) };
        read(number, int_usize(within), now)?;
        at = at.saturating_add(len);
        rest = later;
    }
    Ok(())
}

/// Fills `buf` from `chunk`, from `within` on; zeros where the chunk ends before.
pub(super) fn take(chunk: &[u8], within: usize, buf: &mut [u8]) {
    let from = chunk.get(within..).unwrap_or_default();
    for (to, from) in buf.iter_mut().zip(from.iter().chain(std::iter::repeat(&0))) {
        *to = *from;
    }
}
