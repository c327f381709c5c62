//! What is planned, as plain values: for a report, and for whoever makes the changes.

use crate::fs::{NodeId, NodeKind};
use serde::Serialize;

/// One change, as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Name of the operation.
    pub operation: &'static str,
    /// Row of the requirement catalogue.
    pub requirement: &'static str,
    /// Path in the guest, without symlinks.
    pub path: String,
    /// What is done.
    pub action: Action,
    /// Why, in one clause.
    pub why: String,
}

/// What is done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Action {
    /// A file, or a directory with all in it.
    Removed {
        /// Names that go, with it.
        names: usize,
    },
    /// What is in a directory; itself it stays.
    Emptied {
        /// Names that go.
        names: usize,
    },
    /// A file stays, without content.
    Truncated,
    /// A file has other content.
    Rewritten,
    /// A file is made.
    Created,
}

/// What keeps the disk from becoming a template until somebody decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the operation.
    pub operation: &'static str,
    /// Row of the requirement catalogue.
    pub requirement: &'static str,
    /// What was found, without a full stop.
    pub message: String,
    /// What to do, each an option to add (`--remove-user ada`), a command, or a short instruction.
    pub remedies: Vec<String>,
}

/// What only the running guest can do; the template works without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remaining {
    /// Name of the operation.
    pub operation: &'static str,
    /// What is left, without a full stop.
    pub message: String,
    /// Commands for the guest.
    pub commands: Vec<String>,
}

/// A name to remove from a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlink {
    /// Which of the tree's mounts.
    pub mount: usize,
    /// The directory.
    pub directory: NodeId,
    /// The name in it.
    pub name: Vec<u8>,
    /// The node.
    pub node: NodeId,
    /// What it is.
    pub kind: NodeKind,
    /// Names from the root.
    pub path: Vec<Vec<u8>>,
}

/// A file to give other content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which of the tree's mounts.
    pub mount: usize,
    /// The file.
    pub node: NodeId,
    /// What it will hold.
    pub content: Vec<u8>,
    /// Names from the root.
    pub path: Vec<Vec<u8>>,
}

/// A file to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Which of the tree's mounts.
    pub mount: usize,
    /// The directory.
    pub directory: NodeId,
    /// The name in it.
    pub name: Vec<u8>,
    /// Permission bits.
    pub mode: u16,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Extended attributes.
    pub attributes: Vec<(String, Vec<u8>)>,
    /// What it will hold.
    pub content: Vec<u8>,
    /// Names from the root.
    pub path: Vec<Vec<u8>>,
}

/// Everything that was planned. Names are removed first, the inner before the outer, then files are written, then made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Planned {
    /// For a report, in the order of the operations.
    pub changes: Vec<Change>,
    /// What keeps it from being done.
    pub problems: Vec<Problem>,
    /// What only the running guest can do.
    pub remaining: Vec<Remaining>,
    /// Names to remove.
    pub unlinks: Vec<Unlink>,
    /// Files to write.
    pub writes: Vec<Write>,
    /// Files to make.
    pub creates: Vec<Create>,
}
