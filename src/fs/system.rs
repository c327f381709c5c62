//! What every file system can be asked, whichever crate or module reads it.

use crate::bytes::{Bytes, ReadError};
use std::fmt;
use std::ops::{ControlFlow, Range};

/// A file system, open for reading.
///
/// Nodes have numbers that stay valid while the value lives: inode numbers, MFT record numbers, or whatever the reader makes of them.
/// Nothing is followed here: symlinks, mounts and the case of names are for [`Tree`](super::Tree).
pub trait FileSystem: Send + Sync + fmt::Debug {
    /// The name that blkid has for it.
    fn kind(&self) -> &'static str;

    /// Whether names are the same when only their case differs.
    fn folds_case(&self) -> bool {
        false
    }

    /// The root directory; that of the default subvolume where there are subvolumes.
    fn root(&self) -> NodeId;

    /// The subvolumes, the one of [`FileSystem::root`] among them; none where the file system has no such thing.
    ///
    /// # Errors
    ///
    /// When their list is damaged.
    fn subvolumes(&self) -> Result<Vec<Subvolume>, Error> {
        Ok(vec![])
    }

    /// What a node is.
    ///
    /// # Errors
    ///
    /// When its record is damaged, or uses what the reader does not know.
    fn node(&self, id: NodeId) -> Result<Node, Error>;

    /// Gives every entry of a directory to `each`, without `.` and `..`, in the order of the disk, until it breaks.
    ///
    /// # Errors
    ///
    /// When the directory is damaged. Entries before the damage may have been given already.
    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error>;

    /// The entry of this name. Readers that have an index override this; where case is folded, an exact match goes before another.
    ///
    /// # Errors
    ///
    /// As [`FileSystem::entries`].
    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Option<NodeId>, Error> {
        let (mut exact, mut folded) = (None, None);
        let wanted = self.folds_case().then(|| fold(name));
        self.entries(directory, &mut |entry| {
            if entry.name == name {
                exact = Some(entry.node);
                return ControlFlow::Break(());
            }
            if folded.is_none() && wanted.as_ref().is_some_and(|wanted| *wanted == fold(&entry.name)) {
                folded = Some(entry.node);
            }
            ControlFlow::Continue(())
        })?;
        Ok(exact.or(folded))
    }

    /// The content of a regular file. Holes and unwritten ranges read as zeros and are told by [`ReadAt::data`](crate::bytes::ReadAt::data);
    /// compressed content reads as the guest would read it, or not at all.
    ///
    /// # Errors
    ///
    /// When the file cannot be read as the guest would read it.
    fn open(&self, file: NodeId) -> Result<Bytes, Error>;

    /// Where a symlink leads, as the guest wrote it; `/` between names, `/` first where it is absolute.
    ///
    /// # Errors
    ///
    /// When it is damaged, or leads out of this file system in a way that has no path (a volume mount point of NTFS).
    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error>;

    /// An extended attribute, `security.selinux` for example; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When attributes cannot be read.
    fn attribute(&self, _node: NodeId, _name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    /// All extended attributes of a node, sorted by name; empty where the file system has none.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn attributes(&self, _node: NodeId) -> Result<Vec<(String, Vec<u8>)>, Error> {
        Ok(vec![])
    }

    /// Where the content of a regular file lies, in the order of the file; `None` where it lies in the file's own record, or nowhere that
    /// has a place. Holes and unwritten ranges are left out.
    ///
    /// # Errors
    ///
    /// When that cannot be read, or the reader does not know it.
    fn extents(&self, _file: NodeId) -> Result<Option<Vec<Extent>>, Error> {
        Err(Error::Unsupported(format!("where files lie on {}", self.kind())))
    }

    /// What the file system's own records call free: ranges of its bytes, in order and apart, after recovery of its journal. Nothing that
    /// a file or a structure of the file system uses is among them.
    ///
    /// # Errors
    ///
    /// When it cannot be read, when the counts that the file system keeps beside them disagree, and where the reader does not know it.
    fn free(&self) -> Result<Vec<Range<u64>>, Error> {
        Err(Error::Unsupported(format!("free space of {}", self.kind())))
    }

    /// What the file system keeps for itself and whose content means nothing now: the body of an empty journal. Zeros may stand there.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn idle(&self) -> Result<Vec<Range<u64>>, Error> {
        Ok(vec![])
    }

    /// Space, as the file system itself counts it.
    ///
    /// # Errors
    ///
    /// When the counts cannot be read, or contradict each other.
    fn usage(&self) -> Result<Usage, Error>;

    /// Whether it was left in order. What is read is the state after recovery either way.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    fn clean(&self) -> Result<bool, Error>;
}

/// A subvolume of Btrfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subvolume {
    /// Its number: 5 for the top level.
    pub id: u64,
    /// Its path from the top level, without a leading `/`; empty for the top level.
    pub path: String,
    /// Its root directory.
    pub root: NodeId,
    /// Whether it is what a mount without `subvol` shows.
    pub default: bool,
}

/// A node's number within its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// A file, a directory, or another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Bytes of a regular file's content, or of a symlink's target.
    pub size: u64,
    /// Permission bits with setuid, setgid and sticky; `None` where the file system has none.
    pub mode: Option<u16>,
    /// Owner; `None` where the file system has none.
    pub uid: Option<u32>,
    /// Group; `None` where the file system has none.
    pub gid: Option<u32>,
    /// Last change of the content, in seconds since 1970 UTC.
    pub modified: Option<i64>,
    /// Names that lead to it.
    pub links: u32,
    /// Device number of a device node: major, minor.
    pub device: Option<(u32, u32)>,
}

/// Kinds of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink, a junction.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl NodeKind {
    /// The kind in the mode of a Unix file system (inode(7), `S_IFMT`); `None` where it is none.
    pub(super) fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode >> 12 {
            0o1 => Self::Fifo,
            0o2 => Self::CharacterDevice,
            0o4 => Self::Directory,
            0o6 => Self::BlockDevice,
            0o10 => Self::File,
            0o12 => Self::Symlink,
            0o14 => Self::Socket,
            _ => return None,
        })
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::CharacterDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
        })
    }
}

/// A part of a file that lies in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// First byte of the file that it holds.
    pub from: u64,
    /// Where it lies: bytes of the file system.
    pub at: Range<u64>,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As on the disk; UTF-8 where the file system stores UTF-16. Neither empty nor with a slash or a zero.
    pub name: Vec<u8>,
    /// What it names.
    pub node: NodeId,
}

/// Whether bytes can be the name of a file. No system lets a program make one with a slash or a zero, and whoever splits paths and ends
/// strings by them would read another name; the kernel refuses such a directory too (`xfs_dir2_namecheck` in `fs/xfs/libxfs/xfs_dir2.c`).
pub(in crate::fs) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

/// Space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What it spans.
    pub size: u64,
    /// What files and the file system's own structures take.
    pub used: u64,
    /// What is free.
    pub free: u64,
}

/// A file system, or something in it, that cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file system contradicts itself.
    #[error("damaged: {0}")]
    Damaged(String),
    /// It uses something that vhdkit does not read.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// There is no room for what should be written.
    #[error("no room: {0}")]
    Full(String),
    /// The guest itself has forbidden the change.
    #[error("protected: {0}")]
    Protected(String),
    /// The bytes below could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Error {
    /// The same, saying of which path.
    #[must_use]
    pub fn at(self, path: &str) -> Self {
        let path = crate::bytes::printable(path);
        match self {
            Self::Damaged(what) => Self::Damaged(format!("{path}: {what}")),
            Self::Unsupported(what) => Self::Unsupported(format!("{path}: {what}")),
            Self::Full(what) => Self::Full(format!("{path}: {what}")),
            Self::Protected(what) => Self::Protected(format!("{path}: {what}")),
            Self::Read(error) => Self::Read(error),
        }
    }
}

/// Refuses ranges that pass the end of a volume, as those of one that was cut off do; `what` says of what they are.
pub(super) fn within<'a>(what: &str, size: u64, ranges: impl IntoIterator<Item = &'a Range<u64>>) -> Result<(), Error> {
    match ranges.into_iter().find(|range| range.end > size) {
        None => Ok(()),
        Some(range) => Err(Error::Damaged(format!("{what} lies at bytes {} to {}, the volume has {size}", range.start, range.end))),
    }
}

/// A name with its case folded, as NTFS and FAT compare: one character for one.
#[must_use]
pub(super) fn fold(name: &[u8]) -> Vec<u8> {
    let upper = |c: char| {
        let mut all = c.to_uppercase();
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            _ => c,
        }
    };
    std::str::from_utf8(name)
        .map_or_else(|_not_text| name.to_ascii_uppercase(), |text| text.chars().map(upper).collect::<String>().into_bytes())
}
