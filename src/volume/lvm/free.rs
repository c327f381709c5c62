//! Extents that no logical volume uses.
//!
//! Free is what is left when every segment of every logical volume, the hidden ones too, has been taken away; so every segment must be
//! one of which it is known which extents it takes.

use super::area::PhysicalVolume;
use super::group::share;
use super::metadata::{Logical, Metadata, Physical, Segment};
use crate::bytes::ReadAt;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Types of segments that lie on other logical volumes, or on nothing: what they take is told by those. In LVM2's sources, `raids` of
/// `lib/raid/raid.c` and the names in `lib/thin`, `lib/cache_segtype`, `lib/writecache`, `lib/integrity`, `lib/vdo` and `lib/snapshot` are
/// looked up among logical volumes alone; `lib/zero` and `lib/error` name nothing. A `mirror`, which `pvmove` uses, names extents itself.
const ON_OTHERS: &[&str] =
    &["cache", "cache-pool", "error", "integrity", "snapshot", "thin", "thin-pool", "vdo", "vdo-pool", "writecache", "zero"];

/// The free extents as bytes of the physical volumes, in order and apart; `find` gives a physical volume by its identity.
///
/// # Errors
///
/// Why it is not certain which are free.
pub(super) fn extents<'a>(
    metadata: &Metadata,
    find: impl Fn(&str) -> Option<&'a PhysicalVolume>,
) -> Result<Vec<(usize, Range<u64>)>, String> {
    let mut used: BTreeMap<&str, Vec<Range<u64>>> = metadata.physical.iter().map(|one| (one.name.as_str(), vec![])).collect();
    let logical: BTreeSet<&str> = metadata.logical.iter().map(|one| one.name.as_str()).collect();
    for one in &metadata.logical {
        if let Some(fault) = &one.fault {
            return Err(format!("the logical volume {} cannot be followed: {fault}", one.name));
        }
        for segment in &one.segments {
            add(one, segment, &mut used, &logical)?;
        }
    }
    let mut free = Vec::new();
    for (place, one) in metadata.physical.iter().enumerate() {
        let found = find(&one.uuid).ok_or_else(|| format!("physical volume {} is not among the disks given", one.uuid))?;
        let taken = used.remove(one.name.as_str()).ok_or_else(|| format!("two physical volumes have the name {}", one.name))?;
        for range in between(one, taken)? {
            let byte = |extent: u64| extent.checked_mul(metadata.extent_size).and_then(|bytes| bytes.checked_add(one.start));
            let (Some(start), Some(end)) = (byte(range.start), byte(range.end)) else {
                return Err(format!("physical volume {} has an impossible size", one.uuid));
            };
            if let Some(other) = found.reserved.iter().find(|other| other.start < end && start < other.end) {
                return Err(format!("extents of physical volume {} lie over its own structures at byte {}", one.uuid, other.start));
            }
            if end > found.bytes.size() {
                return Err(format!("physical volume {} is cut off at byte {}", one.uuid, found.bytes.size()));
            }
            free.push((place, start..end));
        }
    }
    Ok(free)
}

/// Adds what a segment takes of physical volumes.
fn add(one: &Logical, segment: &Segment, used: &mut BTreeMap<&str, Vec<Range<u64>>>, logical: &BTreeSet<&str>) -> Result<(), String> {
    let kind = segment.kind.as_str();
    if !matches!(kind, "striped" | "linear") {
        let known = ON_OTHERS.contains(&kind) || kind.starts_with("raid");
        return if known { Ok(()) } else { Err(format!("which extents {} of type {kind} takes is not known", one.name)) };
    }
    for (name, start) in &segment.stripes {
        match used.get_mut(name.as_str()) {
            Some(list) => {
                let end = start.checked_add(share(segment)).ok_or_else(|| format!("{} has an impossible size", one.name))?;
                list.push(*start..end);
            }
            None if logical.contains(name.as_str()) => {}
            None => return Err(format!("{} lies on {name}, which the group does not have", one.name)),
        }
    }
    Ok(())
}

/// The extents of a physical volume that are not taken.
fn between(one: &Physical, mut taken: Vec<Range<u64>>) -> Result<Vec<Range<u64>>, String> {
    taken.sort_by_key(|range| range.start);
    let mut free = Vec::new();
    let mut next = 0_u64;
    for range in taken {
        if range.start < next || range.end > one.extents {
            return Err(format!("extents of physical volume {} are used twice, or lie behind its end", one.uuid));
        }
        if next < range.start {
            free.push(next..range.start);
        }
        next = range.end;
    }
    if next < one.extents {
        free.push(next..one.extents);
    }
    Ok(free)
}
