//! Volume groups, put together from the physical volumes of any number of disks.

use super::area::{PhysicalVolume, State};
use super::free;
use super::map::{Mapped, Placed, Stripe};
use super::metadata::{Logical, Metadata, Physical, Segment};
use crate::bytes::{Bytes, ReadAt, int_u64};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Problems of a group that are told; what is damaged can have as many as it has volumes.
const MAX_PROBLEMS: usize = 32;
/// Stripes of a segment that are read, which is as many as `lvcreate` makes.
const MAX_STRIPES: u64 = 128;

/// A volume group.
#[derive(Debug)]
pub struct VolumeGroup {
    /// Its name; two groups may have the same.
    pub name: String,
    /// Its identity.
    pub uuid: String,
    /// The number of its state; every change adds one.
    pub sequence: u64,
    /// Bytes of an extent, the unit in which space is given out.
    pub extent_size: u64,
    /// Extents of all its physical volumes.
    pub extent_count: u64,
    /// Extents that no logical volume uses.
    pub free_extents: u64,
    /// Whether it was made ready for a move (`vgexport`); systems do not activate it then.
    pub exported: bool,
    /// Its physical volumes, those that were not found, too.
    pub physical_volumes: Vec<Member>,
    /// Its logical volumes, without those that are only parts of others.
    pub logical_volumes: Vec<LogicalVolume>,
    /// What is wrong with the group, each a sentence.
    pub problems: Vec<String>,
    /// Space that no logical volume uses, hidden ones asked too: places in `physical_volumes`, and bytes there, in order and apart; or why
    /// that is not certain.
    pub free: Result<Vec<(usize, Range<u64>)>, String>,
}

/// A physical volume of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its identity.
    pub uuid: String,
    /// The device on which the group saw it last; a name that may mean another disk now.
    pub device_hint: Option<String>,
    /// Bytes of its device, as the group knows them.
    pub size: Option<u64>,
    /// Whether it is among the disks given.
    pub present: bool,
}

/// A logical volume.
#[derive(Debug)]
pub struct LogicalVolume {
    /// Its name within the group.
    pub name: String,
    /// Its identity; empty when its metadata has none.
    pub uuid: String,
    /// Bytes.
    pub size: u64,
    /// How its segments are mapped, by LVM's names, each once: `striped` (also for one stripe), `thin`, `raid1`.
    pub segment_types: Vec<String>,
    /// Its bytes, or why they cannot be read.
    pub bytes: Result<Bytes, String>,
    /// Where they lie; `None` where other volumes need them as they are.
    map: Option<Arc<Mapped>>,
}

impl LogicalVolume {
    /// Where its bytes lie, in their order, in at most `most` pieces. `None` where they are more, where some lie nowhere (segments of
    /// zeros), and where the volume is the origin of another: a snapshot, and a thin volume over it, read what they do not keep
    /// themselves from there, so that no byte of it may change.
    #[must_use]
    pub fn placed(&self, most: usize) -> Option<Vec<Placed>> {
        self.map.as_ref()?.placed(most)
    }
}

/// Puts physical volumes together to groups, by the groups' identities, in the order in which they were first met.
///
/// The newest valid state of a group counts, wherever it was found. Of physical volumes with the same identity the first is used. A
/// physical volume that is in no group, or whose metadata cannot be read and which no other one names, is in none of the results.
#[must_use]
pub fn assemble(volumes: Vec<PhysicalVolume>) -> Vec<VolumeGroup> {
    let mut copies = BTreeSet::new();
    let mut present: Vec<PhysicalVolume> = Vec::new();
    let mut places = BTreeMap::new();
    for volume in volumes {
        if places.contains_key(&volume.uuid) {
            copies.insert(volume.uuid);
        } else {
            places.insert(volume.uuid.clone(), present.len());
            present.push(volume);
        }
    }
    let mut order: Vec<&str> = Vec::new();
    let mut newest: BTreeMap<&str, &State> = BTreeMap::new();
    for state in present.iter().flat_map(|volume| &volume.states) {
        let uuid = state.metadata.uuid.as_str();
        let best = newest.entry(uuid).or_insert_with(|| {
            order.push(uuid);
            state
        });
        if state.rank() > best.rank() {
            *best = state;
        }
    }
    let given = Given { present: &present, places: &places, copies: &copies };
    order.iter().filter_map(|uuid| newest.get(uuid)).map(|state| given.group(state)).collect()
}

/// The physical volumes that were given.
struct Given<'a> {
    present: &'a [PhysicalVolume],
    /// Places in `present` by identity.
    places: &'a BTreeMap<String, usize>,
    /// Identities that were given more than once.
    copies: &'a BTreeSet<String>,
}

impl<'a> Given<'a> {
    fn find(&self, uuid: &str) -> Option<&'a PhysicalVolume> {
        self.present.get(*self.places.get(uuid)?)
    }

    fn group(&self, state: &State) -> VolumeGroup {
        let metadata = &*state.metadata;
        let mut problems = self.problems(state);
        let used = on_physical(metadata);
        let used_extents = used.iter().fold(0_u64, |sum, used| sum.saturating_add(used.end.saturating_sub(used.start)));
        let twice = used_twice(metadata, used);
        let distinct: BTreeSet<_> = twice.values().collect();
        problems.extend(distinct.into_iter().map(|what| sentence(what)));
        if let Some(rest) = problems.len().checked_sub(MAX_PROBLEMS).filter(|rest| *rest > 0) {
            problems.truncate(MAX_PROBLEMS);
            problems.push(format!("{rest} more problems are not listed."));
        }
        let reader = Reader {
            given: self,
            extent_size: metadata.extent_size,
            physical: metadata.physical.iter().enumerate().map(|(place, one)| (one.name.as_str(), (place, one))).collect(),
            logical: metadata.logical.iter().map(|one| (one.name.as_str(), one)).collect(),
            snapshots: snapshots(metadata),
            origins: metadata.logical.iter().flat_map(|one| &one.segments).filter_map(Segment::origin).collect(),
        };
        let visible = metadata.logical.iter().enumerate().filter(|(_, one)| reader.is_visible(one));
        let logical_volumes = visible.map(|(number, one)| reader.volume(one, twice.get(&number))).collect();
        let free = match problems.first() {
            Some(problem) => Err(problem.trim_end_matches('.').to_owned()),
            None => free::extents(metadata, |uuid| self.find(uuid)),
        };
        let extent_count = metadata.physical.iter().fold(0_u64, |sum, one| sum.saturating_add(one.extents));
        VolumeGroup {
            name: metadata.name.clone(),
            uuid: metadata.uuid.clone(),
            sequence: metadata.sequence,
            extent_size: metadata.extent_size,
            extent_count,
            free_extents: extent_count.saturating_sub(used_extents),
            exported: metadata.exported,
            physical_volumes: metadata.physical.iter().map(|one| self.member(one)).collect(),
            logical_volumes,
            problems,
            free,
        }
    }

    fn member(&self, one: &Physical) -> Member {
        Member { uuid: one.uuid.clone(), device_hint: one.device.clone(), size: one.size, present: self.places.contains_key(&one.uuid) }
    }

    /// What is wrong with the physical volumes of a group and with what they say of it.
    fn problems(&self, state: &State) -> Vec<String> {
        let metadata = &*state.metadata;
        let mut problems = Vec::new();
        for one in &metadata.physical {
            let Some(found) = self.find(&one.uuid) else {
                problems.push(sentence(&format!("{} is not among the disks given", called(one))));
                continue;
            };
            problems.extend(found.problems.iter().map(|problem| sentence(&format!("{}: {problem}", called(one)))));
            if self.copies.contains(&one.uuid) {
                problems.push(sentence(&format!("{} was given more than once; the first is used", called(one))));
            }
            if one.missing {
                problems.push(sentence(&format!("{} was missing when the group was last changed", called(one))));
            }
            let wanted = end(one, metadata.extent_size);
            if found.bytes.size() < wanted {
                problems.push(sentence(&format!("{} ends at byte {}; its extents end at byte {wanted}", called(one), found.bytes.size())));
            }
        }
        for found in self.present {
            for other in found.states.iter().filter(|other| other.metadata.uuid == metadata.uuid) {
                let (there, here) = (other.metadata.sequence, metadata.sequence);
                if !other.ignored && there < here {
                    problems.push(format!("Physical volume {} holds an older state of the group: {there}, not {here}.", found.uuid));
                } else if there == here && other.text != state.text {
                    problems.push(format!("Physical volume {} holds another state {here} of the group.", found.uuid));
                }
            }
        }
        problems.dedup();
        problems
    }
}

/// A physical volume within a sentence.
fn called(one: &Physical) -> String {
    match &one.device {
        Some(device) => format!("physical volume {} (last seen as {device})", one.uuid),
        None => format!("physical volume {}", one.uuid),
    }
}

/// A phrase as a sentence.
fn sentence(phrase: &str) -> String {
    let mut chars = phrase.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}

/// The byte behind the last extent of a physical volume.
fn end(one: &Physical, extent_size: u64) -> u64 {
    one.start.saturating_add(one.extents.saturating_mul(extent_size))
}

/// Extents of a physical volume that a logical volume uses.
struct Used<'a> {
    physical: &'a str,
    start: u64,
    end: u64,
    /// Place of the logical volume in the metadata.
    logical: usize,
}

/// All extents that logical volumes map directly, those of hidden ones, too.
fn on_physical(metadata: &Metadata) -> Vec<Used<'_>> {
    let known: BTreeSet<&str> = metadata.physical.iter().map(|one| one.name.as_str()).collect();
    let mut all = Vec::new();
    for (logical, one) in metadata.logical.iter().enumerate() {
        for segment in &one.segments {
            let stripes = segment.stripes.iter().filter(|(name, _)| known.contains(name.as_str()));
            all.extend(stripes.map(|(physical, start)| Used {
                physical,
                start: *start,
                end: start.saturating_add(share(segment)),
                logical,
            }));
        }
    }
    all
}

/// Extents of each stripe of a segment.
pub(super) fn share(segment: &Segment) -> u64 {
    segment.extents.checked_div(int_u64(segment.stripes.len())).unwrap_or_default()
}

/// By the places of logical volumes in the metadata: which of them share extents with another one, and where.
fn used_twice(metadata: &Metadata, mut used: Vec<Used<'_>>) -> BTreeMap<usize, String> {
    let name = |place: usize| metadata.logical.get(place).map_or("", |one| one.name.as_str());
    used.sort_by_key(|used| (used.physical, used.start));
    let mut twice = BTreeMap::new();
    let mut widest: Option<Used<'_>> = None;
    for next in used {
        let same = widest.take().filter(|last| last.physical == next.physical);
        if let Some(last) = &same
            && last.end > next.start
        {
            let both =
                format!("extent {} of {} is used twice, by {} and {}", next.start, next.physical, name(last.logical), name(next.logical));
            for place in [last.logical, next.logical] {
                twice.entry(place).or_insert_with(|| both.clone());
            }
        }
        widest = Some(match same {
            Some(last) if last.end >= next.end => last,
            _ => next,
        });
    }
    twice
}

/// A logical volume whose bytes are not those of its segments, because of a snapshot.
struct Part {
    why: String,
    /// Whether it is one for users, where that does not go by its own flag.
    visible: Option<bool>,
}

/// The logical volumes that snapshots are made of.
///
/// The store of a snapshot carries the snapshot's name, is flagged as hidden and yet shown, until it is merged back (`lv_is_visible`
/// in `lib/metadata/metadata.c`). The volume with the segment of this type is only a note of which two belong together.
fn snapshots(metadata: &Metadata) -> BTreeMap<&str, Part> {
    let mut parts = BTreeMap::new();
    for note in &metadata.logical {
        for one in note.segments.iter().filter_map(|segment| segment.snapshot.as_ref()) {
            let why = format!("a snapshot of {}, which is not supported", one.origin);
            parts.insert(note.name.as_str(), Part { why: why.clone(), visible: Some(false) });
            parts.insert(one.store.as_str(), Part { why, visible: Some(!one.merging) });
            // The origin itself lies in its own segments, as long as nothing is merged back into it.
            if one.merging {
                let why = format!("a snapshot, {}, is being merged into it, which is not supported", one.store);
                parts.insert(one.origin.as_str(), Part { why, visible: None });
            }
        }
    }
    parts
}

/// What is needed to follow the segments of a group.
struct Reader<'a> {
    given: &'a Given<'a>,
    extent_size: u64,
    /// With their places in the group's list.
    physical: BTreeMap<&'a str, (usize, &'a Physical)>,
    logical: BTreeMap<&'a str, &'a Logical>,
    snapshots: BTreeMap<&'a str, Part>,
    /// Names of volumes that others read what they do not keep themselves from.
    origins: BTreeSet<&'a str>,
}

impl Reader<'_> {
    fn is_visible(&self, one: &Logical) -> bool {
        self.snapshots.get(one.name.as_str()).and_then(|part| part.visible).unwrap_or(one.visible)
    }

    fn volume(&self, one: &Logical, twice: Option<&String>) -> LogicalVolume {
        let extents = one.segments.iter().fold(0_u64, |sum, segment| sum.saturating_add(segment.extents));
        let snapshot = self.snapshots.get(one.name.as_str());
        let mut seen = BTreeSet::new();
        let kinds = snapshot.map(|_| "snapshot").into_iter().chain(one.segments.iter().map(|segment| segment.kind.as_str()));
        let segment_types = kinds.filter(|kind| seen.insert(*kind)).map(str::to_owned).collect();
        let refused = one.fault.as_ref().or(twice).or(snapshot.map(|part| &part.why));
        let mapped = refused.map_or_else(|| self.map(one).map(Arc::new), |why| Err(why.clone()));
        LogicalVolume {
            name: one.name.clone(),
            uuid: one.uuid.clone(),
            size: extents.saturating_mul(self.extent_size),
            segment_types,
            map: mapped.as_ref().ok().filter(|_| !self.origins.contains(one.name.as_str())).cloned(),
            bytes: mapped.map(|mapped| -> Bytes { mapped }),
        }
    }

    fn map(&self, one: &Logical) -> Result<Mapped, String> {
        if let Some(other) = one.segments.iter().find(|segment| !matches!(segment.kind.as_str(), "striped" | "linear" | "zero")) {
            return Err(format!("segments of type {} are not supported", other.kind));
        }
        if one.segments.is_empty() {
            return Err("it has no segments".to_owned());
        }
        let mut mapped = Mapped::new();
        for segment in &one.segments {
            let size = segment.extents.checked_mul(self.extent_size).ok_or_else(|| "its size is impossible".to_owned())?;
            if segment.kind == "zero" {
                mapped.zeros(size);
            } else {
                self.stripes(segment, size, &mut mapped)?;
            }
        }
        Ok(mapped)
    }

    fn stripes(&self, segment: &Segment, size: u64, mapped: &mut Mapped) -> Result<(), String> {
        let which = format!("its segment at extent {}", segment.start);
        let count = int_u64(segment.stripes.len());
        let share = share(segment);
        let chunk = segment.stripe_size;
        if count > MAX_STRIPES {
            return Err(format!("{which} has {count} stripes; at most {MAX_STRIPES} are supported"));
        }
        // The device mapper, too, refuses stripes that do not end with a chunk.
        let even = share.checked_mul(count) == Some(segment.extents);
        let whole = count == 1 || chunk != 0 && share.saturating_mul(self.extent_size).is_multiple_of(chunk);
        if !even || !whole {
            return Err(format!("{which} cannot be divided into {count} stripes in chunks of {chunk} bytes"));
        }
        let stripes = segment.stripes.iter().map(|(name, start)| self.stripe(name, *start, share, &which)).collect::<Result<_, _>>()?;
        mapped.stripes(size, stripes, chunk).ok_or_else(|| format!("{which} has no stripes"))
    }

    /// `share` extents of a physical volume from `start` on.
    fn stripe(&self, name: &str, start: u64, share: u64, which: &str) -> Result<Stripe, String> {
        let Some((member, one)) = self.physical.get(name).copied() else {
            return Err(match self.logical.get(name).and_then(|other| other.segments.first()) {
                Some(other) => format!("{which} lies on the logical volume {name} of type {}, which is not supported", other.kind),
                None => format!("{which} lies on {name}, which the group does not have"),
            });
        };
        let called = called(one);
        let last = start.checked_add(share).filter(|end| *end <= one.extents);
        let end = last.and_then(|end| end.checked_mul(self.extent_size)).and_then(|end| end.checked_add(one.start));
        let Some(end) = end else {
            return Err(format!("{which} passes the end of {called}"));
        };
        let Some(found) = self.given.find(&one.uuid) else {
            return Err(format!("{called} is not among the disks given"));
        };
        if one.missing {
            return Err(format!("{called} was missing when the group was last changed, so that what it holds may be old"));
        }
        if end > found.bytes.size() {
            return Err(format!("{which} ends at byte {end} of {called}, which is cut off at byte {}", found.bytes.size()));
        }
        let first = one.start.saturating_add(start.saturating_mul(self.extent_size));
        Ok(Stripe { member, bytes: found.bytes.clone(), first })
    }
}
