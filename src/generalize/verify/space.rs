//! Space: what was taken is nobody else's, what is free is nobody's, and the counts can be explained.

use super::{Expected, Fault, differs};
use crate::bytes::{MIB, int_u64};
use crate::fs::{Error, Extent, FileSystem, NodeId, Usage};
use std::collections::BTreeSet;
use std::ops::Range;

/// What one changed name may take or give back beside the content of its file: a cluster, blocks of its directory, of attributes, of
/// trees of the file system. Generous: this tells a count that is wrong from one that is not, and a reader's own comparison of the
/// free space, where it has one, tells the rest.
const SLACK: u64 = MIB;

/// What is known of space while a walk goes on.
#[derive(Debug)]
pub(super) struct Space {
    /// Nodes of files that were made.
    made: BTreeSet<NodeId>,
    /// Bytes that files took which had them not: in order and apart.
    taken: Vec<Range<u64>>,
    /// What is free afterwards; empty where the reader does not tell.
    free: Vec<Range<u64>>,
    before: Option<Usage>,
    after: Option<Usage>,
    /// Bytes that may have been given back, and taken.
    more: u64,
    less: u64,
}

impl Space {
    pub(super) fn new(before: &dyn FileSystem, after: &dyn FileSystem, expected: &Expected<'_>) -> Result<Self, Fault> {
        let (usage_before, usage_after) = both("its space", before.usage(), after.usage())?;
        let (_, free) = both("its free space", before.free(), after.free())?;
        let names = int_u64(expected.unlinks.len().saturating_add(expected.creates.len()).saturating_add(expected.writes.len()));
        let slack = names.saturating_mul(SLACK);
        // Recovery gives back what was deleted while it was open, and that may be anything.
        let more = if before.clean().is_ok_and(|clean| clean) { slack } else { u64::MAX };
        let mut new = Self {
            made: BTreeSet::new(),
            taken: vec![],
            free: merged(free.unwrap_or_default()),
            before: usage_before,
            after: usage_after,
            more,
            less: slack,
        };
        for create in expected.creates.values() {
            let id = after.lookup(create.directory, &create.name);
            let id = id.map_err(|error| Fault::Differs(format!("what was made cannot be looked up: {error}")))?;
            if let Some(id) = id {
                new.made.insert(id);
                new.taken.extend(places(after, id));
            }
        }
        for id in expected.writes.keys() {
            // What a file had it may share with others, by reflinks.
            let old = merged(places(before, *id));
            new.taken.extend(places(after, *id).into_iter().filter(|range| !meets(&old, range)));
        }
        new.taken = sorted(std::mem::take(&mut new.taken));
        if new.taken.windows(2).any(|pair| matches!(pair, [one, other] if other.start < one.end)) {
            return Err(Fault::Differs("two files that were written share bytes".to_owned()));
        }
        if new.taken.iter().any(|range| meets(&new.free, range)) {
            return Err(Fault::Differs("a file that was written lies in what is free".to_owned()));
        }
        Ok(new)
    }

    /// Whether a node is that of a file that was made.
    pub(super) fn is_made(&self, id: NodeId) -> bool {
        self.made.contains(&id)
    }

    /// A file that was not written: where it lies, nothing may have been taken or given back.
    pub(super) fn kept(&self, path: &[u8], extents: &[Extent]) -> Result<(), Fault> {
        if extents.iter().any(|one| meets(&self.taken, &one.at)) {
            return Err(differs(path, "shares bytes with a file that was written".to_owned()));
        }
        if extents.iter().any(|one| meets(&self.free, &one.at)) {
            return Err(differs(path, "lies in what is free".to_owned()));
        }
        Ok(())
    }

    /// A node whose content was given back.
    pub(super) fn freed(&mut self, before: &dyn FileSystem, id: NodeId, size: u64) {
        let held = places(before, id).iter().fold(0_u64, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)));
        // Room behind the end that was taken in advance is not told; writers take as much again at most.
        self.more = self.more.saturating_add(held.max(size).saturating_mul(2));
    }

    /// Content that was written.
    pub(super) fn took(&mut self, content: &[u8]) {
        self.less = self.less.saturating_add(int_u64(content.len()));
    }

    /// Whether the counts can be explained.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        let (Some(before), Some(after)) = (self.before, self.after) else { return Ok(()) };
        if before.size != after.size {
            return Err(Fault::Differs(format!("its size is {} bytes; before: {}", after.size, before.size)));
        }
        let explained = before.free.saturating_sub(self.less)..=before.free.saturating_add(self.more);
        if explained.contains(&after.free) {
            return Ok(());
        }
        Err(Fault::Differs(format!("{} bytes are free, which the changes do not explain; before: {}", after.free, before.free)))
    }
}

/// What is read of both; nothing where neither tells, for the same reason.
fn both<T>(what: &str, old: Result<T, Error>, new: Result<T, Error>) -> Result<(Option<T>, Option<T>), Fault> {
    match (old, new) {
        (Ok(old), Ok(new)) => Ok((Some(old), Some(new))),
        (Err(error @ Error::Read(_)), _) => Err(Fault::unread(format!("{what}: {error}"), &error)),
        (Err(old), Err(new)) if old.to_string() == new.to_string() => Ok((None, None)),
        (Err(_), Ok(_)) => Ok((None, None)),
        (_, Err(error)) => Err(Fault::Differs(format!("{what} cannot be told: {error}"))),
    }
}

/// Where a file lies, as far as that is known.
fn places(fs: &dyn FileSystem, id: NodeId) -> Vec<Range<u64>> {
    fs.extents(id).ok().flatten().unwrap_or_default().into_iter().map(|one| one.at).collect()
}

fn sorted(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges
}

/// Sorted ranges, those that touch or overlap made one.
fn merged(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted(ranges) {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Whether any of these ranges, in order and apart, has a byte of another.
pub(super) fn meets(ranges: &[Range<u64>], other: &Range<u64>) -> bool {
    let first = ranges.partition_point(|range| range.end <= other.start);
    ranges.get(first).is_some_and(|range| range.start < other.end)
}
