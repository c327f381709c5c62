//! One node before and after: its record, its attributes, and by them whether its content is to be looked at.

use super::{Fault, Walk, alike, content, differs, unread};
use crate::fs::{FileSystem, Node, NodeId, NodeKind};
use crate::generalize::Create;

impl Walk<'_> {
    /// Compares a node that stays; says what it is, or nothing where that can be read neither before nor after.
    pub(super) fn same(&mut self, id: NodeId, path: &[u8]) -> Result<Option<NodeKind>, Fault> {
        if self.space.is_made(id) {
            return Err(differs(path, "shares its node with a file that was made".to_owned()));
        }
        let planned = self.expected.writes.contains_key(&id) || self.expected.touched.contains(&id) || self.expected.lost.contains_key(&id);
        let (old, new) = match (self.before.node(id), self.after.node(id)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(old), Err(new)) if !planned => return alike(path, "what it is", &old, &new).map(|()| None),
            (Err(error), _) => return Err(unread(path, "what it is", &error)),
            (Ok(_), Err(error)) => return Err(differs(path, format!("cannot be read any more: {error}"))),
        };
        if old.links > 1 && old.kind != NodeKind::Directory && !self.linked.insert(id) {
            return Ok(Some(old.kind));
        }
        self.record(id, path, &old, &new)?;
        match (self.before.attributes(id), self.after.attributes(id)) {
            (Ok(old), Ok(new)) if old == new => {}
            (Ok(_), Ok(_)) => return Err(differs(path, "its attributes differ".to_owned())),
            (Err(old), Err(new)) if !planned => alike(path, "its attributes", &old, &new)?,
            (Err(error), _) => return Err(unread(path, "its attributes", &error)),
            (Ok(_), Err(error)) => return Err(differs(path, format!("its attributes cannot be read any more: {error}"))),
        }
        match old.kind {
            NodeKind::File => self.file(id, path, &old)?,
            NodeKind::Symlink => match (self.before.target(id), self.after.target(id)) {
                (Ok(old), Ok(new)) if old == new => {}
                (Ok(_), Ok(_)) => return Err(differs(path, "leads elsewhere".to_owned())),
                (Err(old), Err(new)) => alike(path, "where it leads", &old, &new)?,
                (Err(error), Ok(_)) => return Err(unread(path, "where it leads", &error)),
                (Ok(_), Err(error)) => return Err(differs(path, format!("where it leads cannot be read any more: {error}"))),
            },
            _ => {}
        }
        Ok(Some(old.kind))
    }

    /// Compares what the records say.
    fn record(&self, id: NodeId, path: &[u8], old: &Node, new: &Node) -> Result<(), Fault> {
        let lost = self.expected.lost.get(&id).copied().unwrap_or_default();
        let fewer = self.expected.fewer.get(&id).copied().unwrap_or_default();
        let touched = self.expected.touched.contains(&id);
        let directory = old.kind == NodeKind::Directory;
        let written = self.expected.writes.get(&id).map(|write| crate::bytes::int_u64(write.content.len()));
        let links = match old.links {
            // Not counted: ext past 64998 directories, other file systems always.
            1 if directory => 1,
            links => links.saturating_sub(if directory { fewer } else { lost }),
        };
        let size = written.unwrap_or(old.size);
        let checks = [
            ("kind", old.kind == new.kind),
            ("mode", old.mode == new.mode),
            ("owner", old.uid == new.uid),
            ("group", old.gid == new.gid),
            ("device number", old.device == new.device),
            ("number of links", links == new.links),
            ("size", size == new.size || (directory && touched)),
            ("time of last change", old.modified == new.modified || (directory && touched)),
        ];
        match checks.iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(differs(path, format!("its {what} differs"))),
            None => Ok(()),
        }
    }

    /// Compares the content of a regular file.
    fn file(&mut self, id: NodeId, path: &[u8], old: &Node) -> Result<(), Fault> {
        if let Some(write) = self.expected.writes.get(&id) {
            self.space.freed(self.before, id, old.size);
            self.space.took(&write.content);
            return self.holds(id, path, &write.content);
        }
        let extents = (self.before.extents(id), self.after.extents(id));
        if let Ok(Some(extents)) = &extents.1 {
            self.space.kept(path, extents)?;
        }
        let touched = match &extents {
            (Ok(Some(old)), Ok(Some(new))) if old == new => Some(old.iter().any(|one| super::space::meets(self.changed, &one.at))),
            _ => None,
        };
        if touched == Some(false) {
            return Ok(());
        }
        let (old, new) = match (self.before.open(id), self.after.open(id)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(old), Err(new)) if touched.is_none() => return alike(path, "its content", &old, &new),
            (Err(error), _) => return Err(unread(path, "its content", &error)),
            (Ok(_), Err(error)) => return Err(differs(path, format!("its content cannot be read any more: {error}"))),
        };
        content::same(path, &*old, &*new)
    }

    /// Whether a file holds exactly this.
    fn holds(&self, id: NodeId, path: &[u8], content: &[u8]) -> Result<(), Fault> {
        let new = self.after.open(id).map_err(|error| differs(path, format!("its new content cannot be read: {error}")))?;
        content::holds(path, &*new, content)
    }

    /// A file that was made.
    pub(super) fn made(&mut self, path: &[u8], id: NodeId, create: &Create) -> Result<(), Fault> {
        let gone = |error| differs(path, format!("was made and cannot be read: {error}"));
        let node = self.after.node(id).map_err(gone)?;
        let time = |fs: &dyn FileSystem| fs.node(create.directory).ok().and_then(|node| node.modified);
        let mut attributes = create.attributes.clone();
        attributes.sort();
        let checks = [
            ("kind", node.kind == NodeKind::File),
            ("mode", node.mode == Some(create.mode)),
            ("owner", node.uid == Some(create.owner.0)),
            ("group", node.gid == Some(create.owner.1)),
            ("number of links", node.links == 1),
            ("size", node.size == crate::bytes::int_u64(create.content.len())),
            ("time of last change", node.modified == time(self.before) || node.modified == time(self.after)),
            ("attributes", self.after.attributes(id).map_err(gone)? == attributes),
        ];
        if let Some((what, _)) = checks.iter().find(|(_, same)| !same) {
            return Err(differs(path, format!("was made, and its {what} is not the planned one")));
        }
        self.space.took(&create.content);
        self.holds(id, path, &create.content)
    }
}
