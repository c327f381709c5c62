//! What is inside a disk: its volumes, its file systems, the operating system; together with the disks that belong to it.

use super::disk::Inspected;
use super::guest::{self, Guest};
use super::region::{self, Place, Region};
use super::{os, volume};
use crate::bytes::{GIB, ReadError, Watch};
use crate::facts::{ContentFacts, DiskFacts, Fact, OsFacts, VolumeFacts, VolumeGroupFacts};

/// Bytes of metadata and files that one disk's inspection may read. Real ones need a few hundred MiB at most: several kernels' initramfs, a
/// package database, hives.
const BUDGET: u64 = 8 * GIB;

/// What was found inside.
#[derive(Debug)]
pub struct Inside {
    /// Everything that may hold a file system, the first disk's first.
    pub regions: Vec<Region>,
    /// The installations, in the order of the disks.
    pub guests: Vec<Guest>,
    /// Volumes that stand on the first disk.
    pub volumes: Fact<Vec<VolumeFacts>>,
    /// Their groups.
    pub volume_groups: Fact<Vec<VolumeGroupFacts>>,
    /// The operating system on the first disk.
    pub os: Fact<OsFacts>,
    /// Whether something is missing that another disk could hold.
    pub incomplete: bool,
}

/// Looks inside the first disk. `others` are given together with it: its volume groups may spread over them, and its fstab may name
/// their file systems.
///
/// # Errors
///
/// Only when the host cannot read.
pub(super) fn learn(first: &Inspected, others: &[&Inspected]) -> Result<Inside, ReadError> {
    let watch = Watch::new(BUDGET);
    let mut regions = region::of_disk(0, first, &watch);
    for (place, other) in others.iter().enumerate() {
        regions.extend(region::of_disk(place.saturating_add(1), other, &watch));
    }
    let volumes = volume::join(&mut regions, &watch)?;
    let (guests, troubles) = guest::find(&regions);
    let disks: Vec<&DiskFacts> = std::iter::once(&first.facts).chain(others.iter().map(|other| &other.facts)).collect();
    let os = os::learn(&guests, &regions, &disks, troubles);
    if let Some(failure) = watch.failure() {
        return Err(failure.clone());
    }
    let incomplete = volumes.incomplete || guests.iter().any(|guest| guest.tree.mounts().any(|mount| mount.fs.kind() == "unknown"));
    Ok(Inside { regions, guests, volumes: volumes.facts, volume_groups: volumes.groups, os, incomplete })
}

/// Puts what the open file systems say into the facts of partitions and whole disks: sizes, and whether they are clean.
pub(super) fn complete(facts: &mut DiskFacts, inside: &Inside) {
    for region in inside.regions.iter().filter(|region| region.disk == 0) {
        let content = match &region.place {
            Place::Whole => match &mut facts.content {
                Fact::Known(content) => Some(content),
                _ => None,
            },
            Place::Partition(number) => match &mut facts.partitions {
                Fact::Known(list) => list.iter_mut().find(|one| one.number == *number).and_then(|one| match &mut one.content {
                    Fact::Known(content) => Some(content),
                    _ => None,
                }),
                _ => None,
            },
            Place::Volume(_) => None,
        };
        if let Some(content) = content {
            complete_content(content, region);
        }
    }
}

/// The same for one region.
pub(super) fn complete_content(content: &mut ContentFacts, region: &Region) {
    let Some(fs) = &region.fs else {
        return;
    };
    let fs = match fs {
        Ok(fs) => fs,
        Err(error) => {
            let said = format!("cannot be opened: {error}");
            if !content.detail.contains(&said) {
                content.detail.push(said);
            }
            for fact in [&mut content.size, &mut content.used] {
                if fact.value().is_none() {
                    *fact = Fact::unknown(error.to_string());
                }
            }
            if content.clean.value().is_none() {
                content.clean = Fact::unknown(error.to_string());
            }
            return;
        }
    };
    match fs.usage() {
        Ok(usage) => {
            content.size = Fact::Known(usage.size);
            content.used = Fact::Known(usage.used);
        }
        Err(error) => content.used = Fact::unknown(error.to_string()),
    }
    // Either witness of a file system that was not left in order is enough.
    match (content.clean.value(), fs.clean()) {
        (Some(false), _) => {}
        (_, Ok(clean)) => content.clean = Fact::Known(clean),
        (Some(true), Err(_)) => {}
        (None, Err(error)) => content.clean = Fact::unknown(error.to_string()),
    }
}
