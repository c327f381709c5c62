//! Logical volumes as regions and facts.

use super::inside;
use super::partition::content;
use super::region::{Place, Region, Stretch};
use crate::bytes::{Guard, ReadError, Watch, printable};
use crate::facts::{Fact, PhysicalVolumeFacts, VolumeFacts, VolumeGroupFacts};
use crate::volume::lvm::{self, PhysicalVolume, VolumeGroup};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Logical volumes that are looked into at most.
const MAX_VOLUMES: usize = 1024;
/// Stretches of all logical volumes together that are kept; a volume in chunks of 64 KiB has as many when it is 4 GiB long.
const MAX_STRETCHES: usize = 1 << 16;

/// What was found.
#[derive(Debug)]
pub(super) struct Volumes {
    /// Volumes that stand on the first disk.
    pub(super) facts: Fact<Vec<VolumeFacts>>,
    /// Their groups.
    pub(super) groups: Fact<Vec<VolumeGroupFacts>>,
    /// Whether a physical volume is missing.
    pub(super) incomplete: bool,
}

/// Adds the logical volumes that stand on the regions, and those that stand on them in turn.
pub(super) fn join(regions: &mut Vec<Region>, watch: &Arc<Watch>) -> Result<Volumes, ReadError> {
    let mut members: Vec<PhysicalVolume> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut problems: Vec<String> = Vec::new();
    let mut groups: Vec<VolumeGroup> = Vec::new();
    let mut looked = 0_usize;
    for _depth in 0..lvm::MAX_DEPTH {
        let before = members.len();
        for (place, region) in regions.iter().enumerate().skip(looked).filter(|(_, region)| region.kind() == Some("LVM2_member")) {
            match lvm::physical_volume(&region.bytes) {
                Ok(Some(volume)) => {
                    places.entry(volume.uuid.clone()).or_insert(place);
                    members.push(volume);
                }
                Ok(None) => {}
                Err(error) if error.is_host() => return Err(error),
                Err(error) => problems.push(format!("{}: {error}", region.place)),
            }
        }
        looked = regions.len();
        if members.len() == before {
            break;
        }
        groups = lvm::assemble(members.clone());
        add(regions, &groups, &places, watch)?;
    }
    let disks: BTreeMap<&String, usize> = places.iter().filter_map(|(uuid, place)| Some((uuid, regions.get(*place)?.disk))).collect();
    let on_first = |group: &&VolumeGroup| group.physical_volumes.iter().any(|member| disks.get(&member.uuid) == Some(&0));
    let here: Vec<&VolumeGroup> = groups.iter().filter(on_first).collect();
    let unread = members.iter().filter(|member| member.group.is_none() && disks.get(&member.uuid) == Some(&0));
    problems.extend(unread.flat_map(|member| member.problems.iter().cloned()));
    let others = regions.iter().filter(|region| region.disk == 0).filter_map(|region| match region.kind()? {
        kind @ ("storage_spaces" | "bcache" | "stratis" | "linux_raid_member" | "zfs_member" | "vdo" | "LVM1_member"
        | "ddf_raid_member" | "isw_raid_member") => Some(format!("{}: volumes on {kind} are not read", region.place)),
        _ => None,
    });
    problems.extend(others);
    let incomplete = here.iter().any(|group| group.physical_volumes.iter().any(|member| !member.present));
    let unknown = (!problems.is_empty()).then(|| printable(&problems.join("; ")));
    let volumes = here.iter().flat_map(|group| group.logical_volumes.iter().map(|volume| facts(group, volume, regions))).collect();
    let groups = here.iter().map(|group| group_facts(group)).collect();
    Ok(match unknown {
        Some(reason) => Volumes { facts: Fact::unknown(reason.clone()), groups: Fact::unknown(reason), incomplete },
        None => Volumes { facts: Fact::Known(volumes), groups: Fact::Known(groups), incomplete },
    })
}

fn name(group: &VolumeGroup, volume: &lvm::LogicalVolume) -> String {
    format!("{}/{}", group.name, volume.name)
}

/// Adds the volumes that are not regions yet.
fn add(regions: &mut Vec<Region>, groups: &[VolumeGroup], places: &BTreeMap<String, usize>, watch: &Arc<Watch>) -> Result<(), ReadError> {
    for group in groups {
        let members = group.physical_volumes.iter().filter_map(|member| regions.get(*places.get(&member.uuid)?));
        let disk = members.map(|member| member.disk).min().unwrap_or(0);
        for volume in &group.logical_volumes {
            let place = Place::Volume(name(group, volume));
            let known = regions.iter().any(|region| region.place == place && region.disk == disk);
            let Ok(bytes) = &volume.bytes else { continue };
            if known || regions.len() >= MAX_VOLUMES {
                continue;
            }
            let bytes = Arc::new(Guard::new(bytes.clone(), watch.clone()));
            let found = content(&*bytes)?.value().cloned();
            let mut region = Region::new(disk, place, bytes, found);
            let uuids = format!("{}{}", group.uuid, volume.uuid).replace('-', "");
            region.mapper_uuid = Some(format!("LVM-{uuids}"));
            region.lies = lies(group, volume, places, regions).unwrap_or_default();
            if let Some(mut content) = region.content.take() {
                inside::complete_content(&mut content, &region);
                region.content = Some(content);
            }
            regions.push(region);
        }
    }
    Ok(())
}

/// Where the bytes of a volume lie, through the regions of its group's physical volumes; `None` where that is not known.
fn lies(group: &VolumeGroup, volume: &lvm::LogicalVolume, places: &BTreeMap<String, usize>, regions: &[Region]) -> Option<Vec<Stretch>> {
    let kept: usize = regions.iter().filter(|region| matches!(region.place, Place::Volume(_))).map(|region| region.lies.len()).sum();
    let most = MAX_STRETCHES.saturating_sub(kept);
    let mut lies = Vec::new();
    for placed in volume.placed(most)? {
        let member = regions.get(*places.get(&group.physical_volumes.get(placed.member)?.uuid)?)?;
        let mut from = placed.from;
        for (disk, at) in member.on_disks(std::slice::from_ref(&placed.at))? {
            let len = at.end.saturating_sub(at.start);
            lies.push(Stretch { from, disk, at });
            from = from.saturating_add(len);
        }
        if lies.len() > most {
            return None;
        }
    }
    Some(lies)
}

fn facts(group: &VolumeGroup, volume: &lvm::LogicalVolume, regions: &[Region]) -> VolumeFacts {
    let name = name(group, volume);
    let region = regions.iter().find(|region| region.place == Place::Volume(name.clone()));
    VolumeFacts {
        content: match (&volume.bytes, region) {
            (Err(reason), _) => Fact::unknown(printable(reason)),
            (Ok(_), Some(region)) => region.content.clone().into(),
            (Ok(_), None) => Fact::unknown(format!("more than {MAX_VOLUMES} volumes")),
        },
        name: printable(&name),
        uuid: volume.uuid.clone(),
        size: volume.size,
        segments: volume.segment_types.iter().map(|kind| printable(kind)).collect(),
    }
}

fn group_facts(group: &VolumeGroup) -> VolumeGroupFacts {
    VolumeGroupFacts {
        name: printable(&group.name),
        uuid: group.uuid.clone(),
        extent_size: group.extent_size,
        size: group.extent_count.saturating_mul(group.extent_size),
        free: group.free_extents.saturating_mul(group.extent_size),
        physical_volumes: group
            .physical_volumes
            .iter()
            .map(|member| PhysicalVolumeFacts { uuid: member.uuid.clone(), size: member.size, present: member.present })
            .collect(),
        problems: group.problems.iter().map(|problem| printable(problem)).collect(),
    }
}
