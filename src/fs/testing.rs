//! A file system in memory, for the tests of whatever reads guests' files.

use super::{Entry, Error, FileSystem, Node, NodeId, NodeKind, Tree, Usage};
use crate::bytes::{Bytes, Memory};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a test's file is.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    File(Vec<u8>),
    Directory,
    Symlink(String),
    /// It exists and cannot be read.
    Damaged,
}

/// Files by node number; 0 is the root.
#[derive(Debug, Clone)]
pub(crate) struct MemoryFileSystem {
    nodes: Vec<(Item, u16, u32)>,
    names: Vec<BTreeMap<String, usize>>,
    folds: bool,
}

impl MemoryFileSystem {
    pub(crate) fn new(folds: bool) -> Self {
        Self { nodes: vec![(Item::Directory, 0o755, 0)], names: vec![BTreeMap::new()], folds }
    }

    /// Adds a node; directories on the way are made.
    pub(crate) fn add(&mut self, path: &str, item: Item, mode: u16, uid: u32) {
        let mut at = 0;
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (place, part) in parts.iter().enumerate() {
            let last = place + 1 == parts.len();
            at = if let Some(known) = self.names[at].get(*part).copied() {
                known
            } else {
                self.nodes.push((Item::Directory, 0o755, 0));
                self.names.push(BTreeMap::new());
                let new = self.nodes.len() - 1;
                self.names[at].insert((*part).to_owned(), new);
                new
            };
            if last {
                self.nodes[at] = (item.clone(), mode, uid);
            }
        }
    }
}

impl FileSystem for MemoryFileSystem {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn folds_case(&self) -> bool {
        self.folds
    }

    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        let (item, mode, uid) = &self.nodes[id.0 as usize];
        let (kind, size) = match item {
            Item::File(content) => (NodeKind::File, content.len()),
            Item::Directory => (NodeKind::Directory, 0),
            Item::Symlink(target) => (NodeKind::Symlink, target.len()),
            Item::Damaged => (NodeKind::File, 1),
        };
        Ok(Node { kind, size: size as u64, mode: Some(*mode), uid: Some(*uid), gid: Some(0), modified: Some(0), links: 1, device: None })
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        if matches!(self.nodes[directory.0 as usize].0, Item::Damaged) {
            return Err(Error::Damaged("made so".to_owned()));
        }
        for (name, node) in &self.names[directory.0 as usize] {
            if each(Entry { name: name.clone().into_bytes(), node: NodeId(*node as u64) }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        match &self.nodes[file.0 as usize].0 {
            Item::File(content) => Ok(Arc::new(Memory(content.clone()))),
            Item::Damaged => Err(Error::Damaged("made so".to_owned())),
            other => Err(Error::Unsupported(format!("not a file: {other:?}"))),
        }
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        match &self.nodes[link.0 as usize].0 {
            Item::Symlink(target) => Ok(target.clone().into_bytes()),
            other => Err(Error::Unsupported(format!("not a symlink: {other:?}"))),
        }
    }

    fn usage(&self) -> Result<Usage, Error> {
        Ok(Usage { size: 100, used: 40, free: 60 })
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(true)
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
    Tree::new("memory", Arc::new(fs), NodeId(0))
}
