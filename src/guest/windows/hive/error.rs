//! Why a hive, or a part of it, cannot be read.

use crate::bytes::ReadError;
use std::fmt;

/// What stands in the way of reading a hive.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HiveError {
    /// These bytes are no registry hive; the text says what they look like.
    #[error("not a registry hive: {0}")]
    NotAHive(String),
    /// A hive, of a kind that is not read here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The hive was not closed cleanly and its logs do not help; only strict opening ends so.
    #[error("the hive was not closed cleanly, and {0}")]
    Dirty(String),
    /// A structure that is not what the format says.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// A path or a tree deeper than the registry allows.
    #[error("more than {0} keys below each other")]
    TooDeep(usize),
    /// The bytes of the hive could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A part of a hive that contradicts the format.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The structure, in the format's words: `key node`, `subkey list`.
    pub structure: &'static str,
    /// Offset of its cell from the start of the bins (file offset less 4096); `None` for what stands in the base block.
    pub cell: Option<u32>,
    /// What is wrong with it.
    pub problem: String,
}

impl Damage {
    /// Damage to the structure whose cell begins at `cell`.
    pub(super) fn new(structure: &'static str, cell: u32, problem: impl Into<String>) -> Self {
        Self { structure, cell: Some(cell), problem: problem.into() }
    }

    /// Damage to the base block.
    pub(super) fn base(problem: impl Into<String>) -> Self {
        Self { structure: "base block", cell: None, problem: problem.into() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cell {
            Some(cell) => write!(f, "damaged hive: {} at cell {cell:#x}: {}", self.structure, self.problem),
            None => write!(f, "damaged hive: {}: {}", self.structure, self.problem),
        }
    }
}

impl std::error::Error for Damage {}
