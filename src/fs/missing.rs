//! A file system that is known to exist and cannot be read.

use super::{Entry, Error, FileSystem, Node, NodeId, NodeKind, Usage};
use crate::bytes::Bytes;
use std::ops::ControlFlow;

/// Stands in a tree where a guest mounts something that is not at hand, so that what is below it is unknown and never absent.
#[derive(Debug)]
pub struct Missing {
    reason: String,
}

impl Missing {
    /// A file system that cannot be read, and why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    fn error<T>(&self) -> Result<T, Error> {
        Err(Error::Unsupported(self.reason.clone()))
    }
}

impl FileSystem for Missing {
    fn kind(&self) -> &'static str {
        "unknown"
    }

    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn node(&self, _id: NodeId) -> Result<Node, Error> {
        // The mount point itself is a directory; only what is in it is unknown.
        Ok(Node { kind: NodeKind::Directory, size: 0, mode: None, uid: None, gid: None, modified: None, links: 1, device: None })
    }

    fn entries(&self, _directory: NodeId, _each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        self.error()
    }

    fn lookup(&self, _directory: NodeId, _name: &[u8]) -> Result<Option<NodeId>, Error> {
        self.error()
    }

    fn open(&self, _file: NodeId) -> Result<Bytes, Error> {
        self.error()
    }

    fn target(&self, _link: NodeId) -> Result<Vec<u8>, Error> {
        self.error()
    }

    fn usage(&self) -> Result<Usage, Error> {
        self.error()
    }

    fn clean(&self) -> Result<bool, Error> {
        self.error()
    }
}
