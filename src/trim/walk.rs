//! Free space held against the files: an independent witness, since the lists of a file's extents and the maps of free blocks are different
//! structures of a file system.

use crate::fs::{Error, FileSystem, NodeId, NodeKind};
use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

/// Nodes that are looked at; a file system with more is not trimmed.
const MAX_NODES: usize = 1 << 22;

/// Fails where a file that can be reached, in any subvolume, lies in what is called free. `free` is in order and apart.
pub(super) fn check(fs: &dyn FileSystem, free: &[Range<u64>]) -> Result<(), Error> {
    let mut waiting = vec![fs.root()];
    waiting.extend(fs.subvolumes()?.into_iter().map(|subvolume| subvolume.root));
    let mut seen: HashSet<NodeId> = waiting.iter().copied().collect();
    while let Some(directory) = waiting.pop() {
        let mut found = Vec::new();
        fs.entries(directory, &mut |entry| {
            if seen.insert(entry.node) {
                found.push(entry.node);
            }
            if seen.len() > MAX_NODES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if seen.len() > MAX_NODES {
            return Err(Error::Unsupported(format!("more than {MAX_NODES} files and directories")));
        }
        for id in found {
            match fs.node(id)?.kind {
                NodeKind::Directory => waiting.push(id),
                NodeKind::File => file(fs, id, free)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn file(fs: &dyn FileSystem, id: NodeId, free: &[Range<u64>]) -> Result<(), Error> {
    for extent in fs.extents(id)?.unwrap_or_default() {
        let next = free.get(free.partition_point(|range| range.end <= extent.at.start));
        if next.is_some_and(|next| next.start < extent.at.end) {
            let at = extent.at.start;
            return Err(Error::Damaged(format!("the file of node {} lies at byte {at}, which is called free", id.0)));
        }
    }
    Ok(())
}
