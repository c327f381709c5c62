//! A directory of the host as a guest's file system, so that what reads guests can be tried on a tree that needs no disk.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile};
use vhdkit::fs::{Entry, Error, FileSystem, Node, NodeId, NodeKind, Tree, Usage};

/// Files below a directory; nothing in it is followed on the host.
#[derive(Debug)]
pub struct HostTree {
    nodes: Mutex<Nodes>,
}

#[derive(Debug, Default)]
struct Nodes {
    paths: Vec<PathBuf>,
    numbers: HashMap<PathBuf, u64>,
}

impl HostTree {
    /// A tree of one file system: the directory.
    pub fn tree(root: &Path) -> Tree {
        let host = Self { nodes: Mutex::default() };
        let id = host.number(root.to_owned());
        Tree::new("host", Arc::new(host), id)
    }

    fn number(&self, path: PathBuf) -> NodeId {
        let mut nodes = self.nodes.lock().unwrap();
        if let Some(number) = nodes.numbers.get(&path) {
            return NodeId(*number);
        }
        let number = nodes.paths.len() as u64;
        nodes.paths.push(path.clone());
        nodes.numbers.insert(path, number);
        NodeId(number)
    }

    fn path(&self, id: NodeId) -> PathBuf {
        self.nodes.lock().unwrap().paths[id.0 as usize].clone()
    }
}

fn failed(path: &Path, error: &impl std::fmt::Display) -> Error {
    Error::Damaged(format!("{}: {error}", path.display()))
}

impl FileSystem for HostTree {
    fn kind(&self) -> &'static str {
        "host"
    }

    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        let path = self.path(id);
        let data = fs::symlink_metadata(&path).map_err(|error| failed(&path, &error))?;
        let kind = data.file_type();
        let kind = if kind.is_dir() {
            NodeKind::Directory
        } else if kind.is_symlink() {
            NodeKind::Symlink
        } else if kind.is_char_device() {
            NodeKind::CharacterDevice
        } else if kind.is_block_device() {
            NodeKind::BlockDevice
        } else if kind.is_fifo() {
            NodeKind::Fifo
        } else if kind.is_socket() {
            NodeKind::Socket
        } else {
            NodeKind::File
        };
        Ok(Node {
            kind,
            size: data.size(),
            mode: Some((data.mode() & 0o7777) as u16),
            uid: Some(data.uid()),
            gid: Some(data.gid()),
            modified: Some(data.mtime()),
            links: data.nlink() as u32,
            device: None,
        })
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        let path = self.path(directory);
        for entry in fs::read_dir(&path).map_err(|error| failed(&path, &error))? {
            let entry = entry.map_err(|error| failed(&path, &error))?;
            let name = entry.file_name().as_bytes().to_vec();
            if each(Entry { name, node: self.number(entry.path()) }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Option<NodeId>, Error> {
        let path = self.path(directory).join(std::ffi::OsStr::from_bytes(name));
        Ok(fs::symlink_metadata(&path).is_ok().then(|| self.number(path)))
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        let path = self.path(file);
        let opened = HostFile::open(&path, Access::Positional).map_err(|error| failed(&path, &error))?;
        Ok(Arc::new(opened))
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        let path = self.path(link);
        let target = fs::read_link(&path).map_err(|error| failed(&path, &error))?;
        Ok(target.as_os_str().as_bytes().to_vec())
    }

    fn usage(&self) -> Result<Usage, Error> {
        Err(Error::Unsupported("a directory of the host has no space of its own".to_owned()))
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(true)
    }
}
