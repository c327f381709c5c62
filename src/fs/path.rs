//! Paths: how a name leads to a node, through symlinks and mounts, without ever leaving the guest.
//!
//! As path_resolution(7): `..` above the root stays at the root, an absolute symlink starts at the guest's root, and at most 40
//! symlinks are followed. What is missing on the way is `None`, as is a file where a directory should be.

use super::tree::{Mount, Tree};
use super::{Error, Node, NodeId, NodeKind};
use std::collections::VecDeque;

/// Symlinks that one path may lead through, as Linux has it.
const MAX_SYMLINKS: u32 = 40;
/// Names in one path, its symlinks included.
const MAX_NAMES: usize = 4096;

/// Where a path led.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The mounted file system.
    pub mount: &'a Mount,
    /// The node there.
    pub id: NodeId,
    /// What it is.
    pub node: Node,
    /// The names that lead to it from the root, without symlinks.
    pub names: Vec<Vec<u8>>,
    /// The directory that holds its last name; `None` for the root, and where another file system is mounted there.
    pub directory: Option<NodeId>,
}

impl Found<'_> {
    /// The path without symlinks, `/etc/fstab`; bytes that are not UTF-8 replaced.
    #[must_use]
    pub fn path(&self) -> String {
        if self.names.is_empty() {
            return "/".to_owned();
        }
        self.names.iter().map(|name| format!("/{}", String::from_utf8_lossy(name))).collect()
    }
}

/// Says of a name in a directory whether it counts as removed.
pub(super) type Gone<'g> = &'g dyn Fn(&Mount, NodeId, &[u8]) -> bool;

/// Walks a path. `follow` says whether a symlink at its end is followed; a name that is `gone` leads nowhere.
pub(super) fn walk<'a>(tree: &'a Tree, path: &[u8], follow: bool, gone: Gone<'_>) -> Result<Option<Found<'a>>, Error> {
    let mut todo: VecDeque<Vec<u8>> = names(path).map(<[u8]>::to_vec).collect();
    let mut place = Place::root(tree);
    let (mut symlinks, mut steps) = (0_u32, 0_usize);
    while let Some(name) = todo.pop_front() {
        steps = steps.saturating_add(1);
        if steps > MAX_NAMES {
            return Err(Error::Damaged(format!("more than {MAX_NAMES} names in one path")));
        }
        if name == b".." {
            place.up();
            continue;
        }
        let Some((mount, directory)) = place.here() else { return Ok(None) };
        if tree.node(mount, directory)?.kind != NodeKind::Directory {
            return Ok(None);
        }
        if gone(mount, directory, &name) {
            return Ok(None);
        }
        let Some((mount, id)) = tree.step(&place.names, mount, directory, &name)? else { return Ok(None) };
        let node = tree.node(mount, id)?;
        if node.kind == NodeKind::Symlink && (follow || !todo.is_empty()) {
            symlinks = symlinks.saturating_add(1);
            if symlinks > MAX_SYMLINKS {
                return Err(Error::Damaged(format!("more than {MAX_SYMLINKS} symlinks")));
            }
            let target = mount.fs.target(id)?;
            if target.first() == Some(&b'/') {
                place = Place::root(tree);
            }
            for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                todo.push_front(name.to_vec());
            }
            continue;
        }
        place.down(mount, id, name);
    }
    let Some((mount, id)) = place.here() else { return Ok(None) };
    let directory = place.above().filter(|(above, _)| above.place() == mount.place()).map(|(_, id)| id);
    Ok(Some(Found { mount, id, node: tree.node(mount, id)?, names: place.names, directory }))
}

/// The names of a path, without empty ones and `.`.
fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// A directory and the way back to the root.
#[derive(Debug)]
struct Place<'a> {
    /// The root and every directory below it on the way.
    way: Vec<(&'a Mount, NodeId)>,
    names: Vec<Vec<u8>>,
}

impl<'a> Place<'a> {
    fn root(tree: &'a Tree) -> Self {
        let root = tree.root();
        Self { way: vec![(root, root.root)], names: vec![] }
    }

    fn here(&self) -> Option<(&'a Mount, NodeId)> {
        self.way.last().copied()
    }

    fn above(&self) -> Option<(&'a Mount, NodeId)> {
        self.way.len().checked_sub(2).and_then(|place| self.way.get(place)).copied()
    }

    fn up(&mut self) {
        if self.way.len() > 1 {
            self.way.pop();
            self.names.pop();
        }
    }

    fn down(&mut self, mount: &'a Mount, id: NodeId, name: Vec<u8>) {
        self.way.push((mount, id));
        self.names.push(name);
    }
}
