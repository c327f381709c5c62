//! Volume groups: extents that no logical volume uses.

use super::{Fault, kept, on_disks};
use crate::bytes::ReadError;
use crate::inspect::{Place, Region};
use crate::volume::lvm::{self, VolumeGroup};
use std::collections::BTreeMap;
use std::ops::Range;

/// What blkid calls a physical volume.
pub(super) const MEMBER: &str = "LVM2_member";

/// A volume group on the regions.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// Regions of its physical volumes.
    pub(super) members: Vec<usize>,
    /// By region: bytes of it that are free; or why that is not certain.
    free: Result<Vec<(usize, Range<u64>)>, String>,
    /// What is wrong with it.
    problem: Option<String>,
}

/// The groups whose physical volumes are among the regions.
pub(super) fn of(regions: &[Region]) -> Result<Vec<Group>, ReadError> {
    let mut volumes = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let is_member = |region: &Region| region.content.as_ref().is_some_and(|content| content.kind == MEMBER);
    for (place, region) in regions.iter().enumerate().filter(|(_, region)| is_member(region)) {
        match lvm::physical_volume(&region.bytes) {
            Ok(Some(volume)) => {
                places.entry(volume.uuid.clone()).or_insert(place);
                volumes.push(volume);
            }
            Ok(None) => {}
            Err(error) if error.is_host() => return Err(error),
            // Its group then misses a physical volume, and says so.
            Err(_) => {}
        }
    }
    Ok(lvm::assemble(volumes).into_iter().map(|group| Group::new(group, &places)).collect())
}

/// What is wrong with the group of a logical volume: where that is not whole, it is not certain that the volume's bytes are its newest.
pub(super) fn trouble(groups: &[Group], region: &Region) -> Option<String> {
    let Place::Volume(name) = &region.place else { return None };
    let (group, _) = name.split_once('/')?;
    groups.iter().filter(|one| one.name == group).find_map(|one| one.problem.clone())
}

impl Group {
    fn new(group: VolumeGroup, places: &BTreeMap<String, usize>) -> Self {
        let place = |member: usize| places.get(&group.physical_volumes.get(member)?.uuid).copied();
        let placed = |free: Vec<(usize, Range<u64>)>| {
            let found: Option<Vec<_>> = free.into_iter().map(|(member, range)| Some((place(member)?, range))).collect();
            found.ok_or_else(|| "one of its physical volumes is not among the disks given".to_owned())
        };
        Self {
            members: group.physical_volumes.iter().filter_map(|member| places.get(&member.uuid).copied()).collect(),
            free: group.free.clone().and_then(placed),
            problem: group.problems.first().map(|problem| problem.trim_end_matches('.').to_owned()),
            name: group.name,
        }
    }

    /// The free extents as bytes of the disks.
    pub(super) fn free(&self, regions: &[Region]) -> Result<Vec<(usize, Range<u64>)>, Fault> {
        let free = match &self.free {
            Ok(free) => free,
            Err(why) => return kept(why.clone()),
        };
        let mut found = Vec::new();
        for (place, range) in free {
            let Some(region) = regions.get(*place) else { continue };
            found.extend(on_disks(region, std::slice::from_ref(range))?);
        }
        Ok(found)
    }
}
