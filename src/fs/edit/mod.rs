//! Changing files inside a guest: on [`Scratch`] bytes over the untouched source, behind one trait.
//!
//! The writers are crates, or modules of ours, that know their file system's allocation; nothing above knows which. Each refuses by name
//! what it does not know, and none believes itself: whoever changes a file system opens the result with the reader of this crate, which
//! shares no code with the writers of ext and XFS, and compares.
//!
//! The crates may panic over damaged metadata. That is caught and becomes an error, but Rust's panic hook has spoken by then, and it is the
//! program's, not ours: a program that wants it silent asks [`is_guarded`] in its own hook.

mod btrfs;
mod ext;
mod guard;
mod xfs;

use super::{Error, NodeId};
use crate::bytes::Scratch;
use std::fmt::Debug;
use std::sync::Arc;

/// A file system, open for changes.
///
/// Nodes are named as the reader of the same file system names them. Times come from the file system, never from the clock: what is
/// written keeps the times of its node, and what is created takes those of its directory.
pub trait Editor: Send + Debug {
    /// Gives a regular file other content, empty or not, and leaves all else about it: node, owner, mode, attributes. Bytes of the file's
    /// last block behind the content become zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] where there is no room, [`Error::Protected`] where the file is immutable or append-only,
    /// [`Error::Unsupported`] and [`Error::Damaged`] as everywhere.
    fn write(&mut self, file: NodeId, content: &[u8]) -> Result<(), Error>;

    /// Removes a name from a directory, and the node with its last name. A directory must be empty.
    ///
    /// # Errors
    ///
    /// As [`Editor::write`].
    fn remove(&mut self, directory: NodeId, name: &[u8]) -> Result<(), Error>;

    /// Makes a regular file, which must not exist.
    ///
    /// # Errors
    ///
    /// As [`Editor::write`].
    fn create(&mut self, directory: NodeId, name: &[u8], new: &NewFile<'_>) -> Result<NodeId, Error>;

    /// Ends the changes: everything is in the scratch bytes, in order and clean as after an unmount.
    ///
    /// # Errors
    ///
    /// As [`Editor::write`].
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// A file to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes: `security.selinux`, with its value.
    pub attributes: &'a [(String, Vec<u8>)],
    /// Content.
    pub content: &'a [u8],
}

/// An editor, and how it is opened.
type Opener = (&'static str, fn(Arc<Scratch>) -> Result<Box<dyn Editor>, Error>);

/// The file systems that can be changed, by blkid's name.
static EDITORS: &[Opener] = &[("btrfs", btrfs::open), ("ext2", ext::open), ("ext3", ext::open), ("ext4", ext::open), ("xfs", xfs::open)];

/// Whether this thread is inside a writer whose panics are caught and become errors: what a panic hook asks that is to be silent then.
#[must_use]
pub fn is_guarded() -> bool {
    guard::is_guarded()
}

/// Opens a file system for changes; `kind` is what [`identify`](super::identify) calls it. `None` for kinds that are not changed.
///
/// A journal that holds work is replayed first, into the scratch bytes.
///
/// # Errors
///
/// When it cannot be opened, or uses what the writer does not know.
#[must_use]
pub fn open(kind: &str, scratch: Arc<Scratch>) -> Option<Result<Box<dyn Editor>, Error>> {
    let (_, open) = EDITORS.iter().find(|(name, _)| *name == kind)?;
    Some(open(scratch))
}
