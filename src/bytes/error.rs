//! What can go wrong when bytes are read, and whose fault it is.

use super::printable;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A read that could not be answered.
///
/// `Corrupt` blames the image, `Unsupported` blames vhdkit, `Host` blames the machine it runs on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The range passes the end of these bytes.
    #[error("{length} bytes at byte {offset} pass the end at byte {size}")]
    OutOfBounds {
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        length: u64,
        /// Size of what was read from.
        size: u64,
    },
    /// The image contradicts itself here.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The image uses something that vhdkit does not read.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The host could not read.
    #[error("cannot read {length} bytes at byte {offset}: {cause}")]
    Host {
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        length: u64,
        /// The host's own words.
        cause: Arc<io::Error>,
    },
    /// The host could not read a file below the one that was asked: a parent of a differencing disk.
    #[error("the parent disk '{}' cannot be read: {cause}", printable(&path.to_string_lossy()))]
    Parent {
        /// The file.
        path: PathBuf,
        /// The host's own words.
        cause: Arc<io::Error>,
    },
}

impl ReadError {
    /// A host failure at a place.
    #[must_use]
    pub fn host(offset: u64, length: usize, cause: io::Error) -> Self {
        Self::Host { offset, length: super::int_u64(length), cause: Arc::new(cause) }
    }

    /// Whether the host, not the image, is to blame.
    #[must_use]
    pub fn is_host(&self) -> bool {
        matches!(self, Self::Host { .. } | Self::Parent { .. })
    }
}

/// A structure that is not what its format says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt {
    /// The structure, in the format's own words: `dynamic header`, `GPT header`.
    pub structure: &'static str,
    /// Byte offset of the offending field, absolute in the bytes that were read.
    pub at: u64,
    /// What the format demands.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl Corrupt {
    /// A corruption from its four parts.
    pub fn new(structure: &'static str, at: u64, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { structure, at, expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: expected {}, found {}", self.structure, self.at, self.expected, self.found)
    }
}

impl std::error::Error for Corrupt {}
