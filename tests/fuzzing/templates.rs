//! What becomes of a guest that is made a template, its free space left out: the promises that hold whatever its bytes are.

use crate::fuzzing::promises::{content, data_of, look_at};
use crate::fuzzing::{Image, Kind};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use vhdkit::bytes::{Bytes, read_vec};
use vhdkit::facts::{Fact, OsFamily};
use vhdkit::fs::{FileSystem, NodeId, NodeKind};
use vhdkit::generalize::{self, CannotApply, System, Wishes, irremovable};
use vhdkit::inspect::Region;
use vhdkit::prepare::Changed;
use vhdkit::trim;

/// Nodes of a file system that are looked at.
const MOST: usize = 20_000;
/// Bytes at the start, in the middle and at the end of a long file that are read.
const PART: u64 = 1 << 20;

/// One case: planned, made, trimmed, and read again.
pub fn run(kind: &Kind, image: &Image) -> &'static str {
    let file: Bytes = Arc::new(image.clone());
    let inspected = look_at(&file, &kind.path, false);
    let (Some(inside), Ok(disk)) = (&inspected.inside, &inspected.container.disk) else { return "no disk" };
    let guest = inside.guests.iter().find(|guest| guest.family == OsFamily::Linux);
    let (Some(guest), Some(os)) = (guest, inspected.facts.os.value()) else { return "no guest" };
    let mut wishes = Wishes { operations: generalize::OPERATIONS.iter().map(|one| one.name.to_owned()).collect(), ..Wishes::default() };
    if let Some(Fact::Known(users)) = os.linux.value().map(|linux| &linux.accounts.users) {
        let Some(system) = System::new(&guest.tree, os, &wishes) else { return "no guest" };
        let fixed = irremovable(&system);
        let people = users.iter().filter(|user| user.person && !fixed.contains_key(user.name.as_str()));
        wishes.remove = people.map(|user| user.name.clone()).collect();
    }
    let Some(system) = System::new(&guest.tree, os, &wishes) else { return "no guest" };
    let system = system.with_disk(&inspected.facts);
    let planned = generalize::plan(&system);
    assert_eq!(planned.as_ref().ok(), generalize::plan(&system).as_ref().ok(), "planned twice, and not the same");
    let (patches, regions, what) = match &planned {
        Err(_) => (vec![], inside.regions.clone(), "cannot be planned"),
        Ok(planned) => {
            let make = || generalize::apply(planned, &guest.tree, &inside.regions);
            match (make(), make()) {
                (Ok(mut applied), Ok(again)) => {
                    assert!(applied.patches == again.patches, "made twice, and not the same");
                    let patches = applied.patches.remove(&0).unwrap_or_default();
                    assert!(applied.patches.is_empty(), "another disk was changed");
                    (patches, applied.regions, "made")
                }
                (Err(error), Err(again)) => {
                    assert_eq!(error.to_string(), again.to_string(), "refused twice, and not the same");
                    let what = match &error {
                        CannotApply::NotChanged { .. } => "not changed",
                        CannotApply::Change { .. } => "a change failed",
                        CannotApply::Differs { .. } => "differs",
                        CannotApply::Host { .. } => panic!("memory can always be read: {error}"),
                    };
                    (vec![], inside.regions.clone(), what)
                }
                (one, other) => panic!("made once, and refused once: {:?}, {:?}", one.err(), other.err()),
            }
        }
    };
    let mut changed = Changed { patches, ..Changed::default() };
    let over = changed.over(disk.clone()).unwrap_or_else(|error| panic!("the patches: {error}"));
    let found = trim::find(&regions, std::slice::from_ref(&over)).unwrap_or_else(|error| panic!("memory can always be read: {error}"));
    for one in &found {
        for (place, range) in one.free.iter().flatten() {
            assert!(*place == 0 && range.start < range.end && range.end <= over.size(), "{}: {range:?}", one.region);
            changed.holes.push(range.clone());
        }
    }
    let holes = changed.holes.clone();
    let before: Vec<Tree> = regions.iter().map(|region| tree(region, &holes)).collect();
    let made = changed.over(disk.clone()).unwrap();
    // Opened anew by who knows nothing of what was done.
    let after = look_at(&made, &kind.path, false);
    let after: Vec<Tree> = after.inside.iter().flat_map(|inside| &inside.regions).map(|region| tree(region, &[])).collect();
    assert_eq!(before.len(), after.len(), "the partitions");
    for (before, after) in before.iter().zip(&after) {
        for (id, was) in before {
            assert_eq!(after.get(id), Some(was), "{id:?} reads otherwise without the free space");
        }
        assert_eq!(before.len(), after.len(), "nodes");
    }
    if let Some(ranges) = data_of(&*made) {
        content(&*made, &ranges).unwrap_or_else(|error| panic!("cannot be read to its end: {error}"));
    }
    what
}

/// Of every node that can be reached: what it is, and a sum over its names or its content.
type Tree = BTreeMap<NodeId, String>;

/// Everything that a region's file system lets reach; none of it may lie in the holes.
fn tree(region: &Region, holes: &[Range<u64>]) -> Tree {
    let mut seen = Tree::new();
    let Some(fs) = region.opened() else { return seen };
    let mut todo = vec![fs.root()];
    todo.extend(fs.subvolumes().into_iter().flatten().map(|subvolume| subvolume.root));
    while let Some(id) = todo.pop() {
        if seen.len() > MOST || seen.contains_key(&id) {
            continue;
        }
        let told = fs.node(id).map(|node| {
            let inner = match node.kind {
                NodeKind::Directory => {
                    let mut sum = 0;
                    let ended = fs.entries(id, &mut |entry| {
                        sum = crc32fast::hash(&[&entry.name[..], &entry.node.0.to_le_bytes(), &u32::to_le_bytes(sum)].concat());
                        todo.push(entry.node);
                        if todo.len() > MOST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    });
                    format!("{sum} {:?}", ended.map_err(|error| error.to_string()))
                }
                NodeKind::Symlink => format!("{:?}", fs.target(id).map_err(|error| error.to_string())),
                NodeKind::File => file(&**fs, id, region, holes),
                _ => String::new(),
            };
            format!("{node:?} {:?} {inner}", fs.attributes(id).map_err(|error| error.to_string()))
        });
        seen.insert(id, told.unwrap_or_else(|error| error.to_string()));
    }
    seen
}

/// A sum over the content, or why it cannot be read.
fn file(fs: &dyn FileSystem, id: NodeId, region: &Region, holes: &[Range<u64>]) -> String {
    if let Ok(Some(extents)) = fs.extents(id)
        && !holes.is_empty()
    {
        let own: Vec<Range<u64>> = extents.into_iter().map(|extent| extent.at).collect();
        for (_, lies) in region.on_disks(&own).unwrap_or_default() {
            let clash = holes.iter().find(|hole| hole.start < lies.end && lies.start < hole.end);
            assert_eq!(clash, None, "{id:?} has bytes at {lies:?} that are dropped");
        }
    }
    let bytes = match fs.open(id) {
        Ok(bytes) => bytes,
        Err(error) => return error.to_string(),
    };
    let size = bytes.size();
    let places =
        if size <= 3 * PART { std::iter::once(0..size).collect() } else { vec![0..PART, size / 2..size / 2 + PART, size - PART..size] };
    let sums: Vec<String> = (places.into_iter())
        .map(|place| match read_vec(&*bytes, place.start, (place.end - place.start) as usize) {
            Ok(part) => crc32fast::hash(&part).to_string(),
            Err(error) => error.to_string(),
        })
        .collect();
    sums.join(" ")
}
