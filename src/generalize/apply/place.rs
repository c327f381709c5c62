//! From bytes of a region to bytes of the disks that it lies on.

use super::Runs;
use crate::bytes::{int_u64, int_usize};
use crate::inspect::{Region, Stretch};
use std::collections::BTreeMap;
use std::ops::Range;

/// Patches by disk.
type Patches = BTreeMap<usize, Runs>;

/// Lays the changed runs of a region onto its disks. `place` is where it stands among the regions.
///
/// # Errors
///
/// Why that cannot be done: where a run lies is not known, or another file system lies there too.
pub(super) fn lay(runs: &Runs, region: &Region, place: usize, regions: &[Region], patches: &mut Patches) -> Result<(), String> {
    let mut stretches: Vec<&Stretch> = region.lies.iter().filter(|stretch| stretch.at.start < stretch.at.end).collect();
    stretches.sort_by_key(|stretch| stretch.from);
    let others: Vec<(&Region, &Stretch)> = regions
        .iter()
        .enumerate()
        // A volume lies in the partition that holds it; what has no file system of its own is no second owner.
        .filter(|(other, region)| *other != place && region.fs.is_some())
        .flat_map(|(_, region)| region.lies.iter().map(move |stretch| (region, stretch)))
        .collect();
    for (at, run) in runs {
        let (mut at, mut rest) = (*at, run.as_slice());
        while !rest.is_empty() {
            let covers = |stretch: &&&Stretch| stretch.from <= at && at < end(stretch);
            let Some(stretch) = stretches.iter().find(covers) else {
                return Err(format!("where byte {at} of it lies on the disks is not known"));
            };
            let room = end(stretch).saturating_sub(at);
            let (part, after) = rest.split_at(rest.len().min(int_usize(room)));
            let start = stretch.at.start.saturating_add(at.saturating_sub(stretch.from));
            let range = start..start.saturating_add(int_u64(part.len()));
            if let Some((other, _)) = others.iter().find(|(_, other)| other.disk == stretch.disk && overlap(&other.at, &range)) {
                return Err(format!("it shares bytes of the disk with {}", other.place));
            }
            patches.entry(stretch.disk).or_default().push((start, part.to_vec()));
            at = at.saturating_add(int_u64(part.len()));
            rest = after;
        }
    }
    Ok(())
}

/// Sorts the patches of each disk; fails with the disk where two overlap.
pub(super) fn order(patches: &mut Patches) -> Result<(), usize> {
    for (disk, patches) in patches {
        patches.sort_by_key(|(at, _)| *at);
        let overlaps = |pair: &[(u64, Vec<u8>)]| matches!(pair, [(at, one), (next, _)] if at.saturating_add(int_u64(one.len())) > *next);
        if patches.windows(2).any(overlaps) {
            return Err(*disk);
        }
    }
    Ok(())
}

/// The first byte of the region behind a stretch.
fn end(stretch: &Stretch) -> u64 {
    stretch.from.saturating_add(stretch.at.end.saturating_sub(stretch.at.start))
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}
