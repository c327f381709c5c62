//! The operating system, from its tree of files.

use super::device;
use super::guest::Guest;
use super::linux;
use super::region::{Place, Region};
use super::windows::{self, Machine};
use crate::bytes::{printable, without_secrets};
use crate::facts::{DiskFacts, Fact, LinuxFacts, MountedFacts, OsFacts, OsFamily, OsRoot, WindowsFacts};
use crate::fs::Tree;

/// The operating system on the first disk: absent where every file system was looked into and none holds one.
pub(super) fn learn(guests: &[Guest], regions: &[Region], disks: &[&DiskFacts], troubles: Vec<String>) -> Fact<OsFacts> {
    let mut here = guests.iter().filter(|guest| guest.disk == 0);
    let Some(guest) = here.next() else {
        let unreadable = regions.iter().filter(|region| region.disk == 0).filter_map(Region::unreadable);
        let reasons: Vec<String> = unreadable.chain(troubles).collect();
        return if reasons.is_empty() { Fact::Absent } else { Fact::unknown(printable(&reasons.join("; "))) };
    };
    let mut facts = match guest.family {
        OsFamily::Linux => of_linux(guest, regions),
        OsFamily::Windows => of_windows(guest, regions, disks),
    };
    facts.others = here.map(describe).collect();
    Fact::Known(facts)
}

/// An installation in a few words.
pub(super) fn describe(guest: &Guest) -> String {
    let name = match guest.family {
        OsFamily::Linux => linux::distribution(&guest.tree).name.value().cloned().unwrap_or_else(|| "a Linux".to_owned()),
        OsFamily::Windows => "Windows".to_owned(),
    };
    printable(&format!("{name} on {}", guest.root))
}

fn blank(guest: &Guest) -> OsFacts {
    let mounted = |mount: &crate::fs::Mount| MountedFacts {
        at: printable(&mount.at),
        from: printable(&without_secrets(&mount.from)),
        kind: mount.fs.kind().to_owned(),
    };
    OsFacts {
        family: Fact::Known(guest.family),
        id: Fact::Absent,
        version: Fact::Absent,
        name: Fact::Absent,
        architecture: Fact::Absent,
        host_name: Fact::Absent,
        state: Fact::Absent,
        state_evidence: vec![],
        root: Fact::Known(match &guest.root {
            Place::Whole => OsRoot::Volume("disk".to_owned()),
            Place::Partition(number) => OsRoot::Partition(*number),
            Place::Volume(name) => OsRoot::Volume(printable(name)),
        }),
        file_systems: guest.tree.mounts().map(mounted).collect(),
        others: vec![],
        linux: Fact::Absent,
        windows: Fact::Absent,
    }
}

/// What is known of a Linux by its files alone, for the tests of whatever goes on from there.
#[cfg(test)]
pub(crate) fn of_tree(tree: &Tree) -> OsFacts {
    let guest = Guest { family: OsFamily::Linux, disk: 0, root: Place::Whole, subvolume: None, tree: tree.again() };
    of_linux(&guest, &[])
}

fn of_linux(guest: &Guest, regions: &[Region]) -> OsFacts {
    let tree = &guest.tree;
    let mut facts: LinuxFacts = linux::learn(tree);
    place_mounts(&mut facts, guest, regions);
    let (state, state_evidence) = linux::state(&facts);
    let mut os = blank(guest);
    let distribution = linux::distribution(tree);
    os.id = distribution.id;
    os.version = distribution.version;
    os.name = distribution.name;
    os.architecture = linux::architecture(tree);
    os.host_name = linux::host_name(&facts);
    os.state = state;
    os.state_evidence = state_evidence;
    os.linux = Fact::Known(facts);
    os
}

/// Says of every line of fstab and crypttab where its source was found.
fn place_mounts(facts: &mut LinuxFacts, guest: &Guest, regions: &[Region]) {
    let on = |source: &str| -> Fact<String> {
        let region = device::find(source, regions, guest.disk).and_then(|place| regions.get(place));
        region.map(|region| printable(&region.place.to_string())).into()
    };
    if let Fact::Known(lines) = &mut facts.mounts.fstab {
        for line in lines {
            line.on = on(&line.source);
        }
    }
    if let Fact::Known(lines) = &mut facts.mounts.crypttab {
        for line in lines {
            line.on = on(&line.source);
        }
    }
}

fn of_windows(guest: &Guest, regions: &[Region], disks: &[&DiskFacts]) -> OsFacts {
    let boot = boot_tree(guest, regions);
    let facts: WindowsFacts = windows::learn(&Machine { tree: &guest.tree, boot: boot.as_ref(), disks });
    let identity = windows::identity(&facts);
    let (state, state_evidence) = windows::state(&facts);
    let mut os = blank(guest);
    os.id = Fact::Known("windows".to_owned());
    os.version = identity.version;
    os.name = identity.name;
    os.architecture = identity.architecture;
    os.host_name = identity.host_name;
    os.state = state;
    os.state_evidence = state_evidence;
    os.windows = Fact::Known(facts);
    os
}

/// The partition that starts a Windows: the ESP that holds its loader, or the active partition that holds `bootmgr`.
fn boot_tree(guest: &Guest, regions: &[Region]) -> Option<Tree> {
    let trees = regions.iter().filter(|region| region.disk == guest.disk && region.place != guest.root).filter_map(|region| {
        let fs = region.opened()?;
        Some(Tree::new(region.place.to_string(), fs.clone(), fs.root()))
    });
    let holds = |tree: &Tree, path: &str| tree.exists(path).unwrap_or(false);
    let all: Vec<Tree> = trees.collect();
    let mark = ["/EFI/Microsoft/Boot/BCD", "/Boot/BCD", "/EFI/Microsoft/Boot/bootmgfw.efi", "/bootmgr"];
    let place = mark.iter().find_map(|path| all.iter().position(|tree| holds(tree, path)))?;
    all.into_iter().nth(place)
}
