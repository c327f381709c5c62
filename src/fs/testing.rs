//! A file system in memory, for the tests of whatever reads guests' files.

use super::{Entry, Error, Extent, FileSystem, Node, NodeId, NodeKind, Tree, Usage};
use crate::bytes::{Bytes, Memory};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// What a test's file is.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    File(Vec<u8>),
    Directory,
    Symlink(String),
    /// A character device.
    Device(u32, u32),
    /// It exists and cannot be read.
    Damaged,
}

/// A node with all that can be said of it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryNode {
    pub(crate) item: Item,
    pub(crate) mode: u16,
    pub(crate) owner: (u32, u32),
    pub(crate) modified: i64,
    pub(crate) links: u32,
    pub(crate) attributes: Vec<(String, Vec<u8>)>,
    /// Where its content is said to lie; the content itself is in the item.
    pub(crate) extents: Option<Vec<Extent>>,
    /// What its record says instead of all else.
    pub(crate) error: Option<String>,
}

/// Files by node number; 0 is the root.
#[derive(Debug, Clone)]
pub(crate) struct MemoryFileSystem {
    pub(crate) nodes: Vec<MemoryNode>,
    pub(crate) names: Vec<BTreeMap<Vec<u8>, usize>>,
    folds: bool,
    kind: &'static str,
    pub(crate) usage: Usage,
    pub(crate) clean: bool,
    /// What it calls free; `None` where it does not tell.
    pub(crate) free: Option<Vec<Range<u64>>>,
}

impl MemoryFileSystem {
    pub(crate) fn new(folds: bool) -> Self {
        let usage = Usage { size: 100, used: 40, free: 60 };
        Self {
            nodes: vec![node(Item::Directory, 0o755, 0)],
            names: vec![BTreeMap::new()],
            folds,
            usage,
            kind: "memory",
            clean: true,
            free: None,
        }
    }

    /// The same under the name of another kind of file system.
    pub(crate) fn called(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// Adds a node; directories on the way are made.
    pub(crate) fn add(&mut self, path: &str, item: Item, mode: u16, uid: u32) {
        let at = self.make(path.as_bytes());
        self.nodes[at] = MemoryNode { links: self.nodes[at].links, ..node(item, mode, uid) };
    }

    /// The node at a path of any bytes; it and the directories on the way are made where they are missing.
    pub(crate) fn make(&mut self, path: &[u8]) -> usize {
        let mut at = 0;
        for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            at = if let Some(known) = self.names[at].get(part).copied() {
                known
            } else {
                self.nodes.push(node(Item::Directory, 0o755, 0));
                self.names.push(BTreeMap::new());
                let new = self.nodes.len() - 1;
                self.names[at].insert(part.to_vec(), new);
                new
            };
        }
        at
    }

    /// The node at a path that exists.
    pub(crate) fn at(&mut self, path: &str) -> &mut MemoryNode {
        let known = self.nodes.len();
        let at = self.make(path.as_bytes());
        assert_eq!(known, self.nodes.len(), "{path} does not exist");
        &mut self.nodes[at]
    }

    /// Gives a node another name; the directory of it must exist.
    pub(crate) fn link(&mut self, from: &str, to: &str) {
        let node = self.make(from.as_bytes());
        let (directory, name) = to.rsplit_once('/').unwrap();
        let directory = self.make(directory.as_bytes());
        self.names[directory].insert(name.as_bytes().to_vec(), node);
        self.nodes[node].links += 1;
    }

    /// Takes a name away.
    pub(crate) fn unlink(&mut self, path: &str) {
        let (directory, name) = path.rsplit_once('/').unwrap();
        let directory = self.make(directory.as_bytes());
        let node = self.names[directory].remove(name.as_bytes()).unwrap();
        self.nodes[node].links = self.nodes[node].links.saturating_sub(1);
    }

    fn checked(&self, id: NodeId) -> Result<&MemoryNode, Error> {
        let node = self.nodes.get(id.0 as usize).ok_or_else(|| Error::Damaged(format!("no node {}", id.0)))?;
        node.error.as_ref().map_or(Ok(node), |error| Err(Error::Damaged(error.clone())))
    }
}

fn node(item: Item, mode: u16, uid: u32) -> MemoryNode {
    MemoryNode { item, mode, owner: (uid, 0), modified: 0, links: 1, attributes: vec![], extents: None, error: None }
}

impl FileSystem for MemoryFileSystem {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn folds_case(&self) -> bool {
        self.folds
    }

    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        let node = self.checked(id)?;
        let (kind, size) = match &node.item {
            Item::File(content) => (NodeKind::File, content.len()),
            Item::Directory => (NodeKind::Directory, 0),
            Item::Symlink(target) => (NodeKind::Symlink, target.len()),
            Item::Device(..) => (NodeKind::CharacterDevice, 0),
            Item::Damaged => (NodeKind::File, 1),
        };
        let device = if let Item::Device(major, minor) = node.item { Some((major, minor)) } else { None };
        Ok(Node {
            kind,
            size: size as u64,
            mode: Some(node.mode),
            uid: Some(node.owner.0),
            gid: Some(node.owner.1),
            modified: Some(node.modified),
            links: node.links,
            device,
        })
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        if matches!(self.checked(directory)?.item, Item::Damaged) {
            return Err(Error::Damaged("made so".to_owned()));
        }
        for (name, node) in &self.names[directory.0 as usize] {
            if each(Entry { name: name.clone(), node: NodeId(*node as u64) }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        match &self.checked(file)?.item {
            Item::File(content) => Ok(Arc::new(Memory(content.clone()))),
            Item::Damaged => Err(Error::Damaged("made so".to_owned())),
            other => Err(Error::Unsupported(format!("not a file: {other:?}"))),
        }
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        match &self.checked(link)?.item {
            Item::Symlink(target) => Ok(target.clone().into_bytes()),
            other => Err(Error::Unsupported(format!("not a symlink: {other:?}"))),
        }
    }

    fn attribute(&self, node: NodeId, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.checked(node)?.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }

    fn attributes(&self, node: NodeId) -> Result<Vec<(String, Vec<u8>)>, Error> {
        Ok(self.checked(node)?.attributes.clone())
    }

    fn extents(&self, file: NodeId) -> Result<Option<Vec<Extent>>, Error> {
        Ok(self.checked(file)?.extents.clone())
    }

    fn free(&self) -> Result<Vec<Range<u64>>, Error> {
        self.free.clone().ok_or_else(|| Error::Unsupported("made so".to_owned()))
    }

    fn usage(&self) -> Result<Usage, Error> {
        Ok(self.usage)
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(self.clean)
    }
}

/// A tree of text files. `-> target` as content makes a symlink, a path that ends with `/` a directory, and `!damaged` as content a
/// file that cannot be read.
pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
    tree_of(false, files)
}

/// The same on a file system that folds case, as NTFS does.
pub(crate) fn folding_tree(files: &[(&str, &str)]) -> Tree {
    tree_of(true, files)
}

fn tree_of(folds: bool, files: &[(&str, &str)]) -> Tree {
    Tree::new("memory", Arc::new(memory(folds, files)), NodeId(0))
}

/// The file system of [`tree`].
pub(crate) fn memory(folds: bool, files: &[(&str, &str)]) -> MemoryFileSystem {
    let mut fs = MemoryFileSystem::new(folds);
    for (path, content) in files {
        let item = match (path.ends_with('/'), content.strip_prefix("-> ")) {
            (true, _) => Item::Directory,
            (false, Some(target)) => Item::Symlink(target.to_owned()),
            (false, None) if *content == "!damaged" => Item::Damaged,
            (false, None) => Item::File(content.as_bytes().to_vec()),
        };
        fs.add(path, item, 0o644, 0);
    }
    fs
}
