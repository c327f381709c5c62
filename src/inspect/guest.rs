//! Finding installations, and joining each one's file systems as the guest itself would.

use super::device;
use super::region::{Place, Region};
use crate::facts::OsFamily;
use crate::fs::{Error, FileSystem, Missing, NodeId, NodeKind, Tree};
use crate::guest::linux::fstab::{self, Line};
use crate::partition::types;
use std::sync::Arc;

/// Subvolumes that are looked into at most; snapshots can be thousands.
const MAX_SUBVOLUMES: usize = 64;
/// Types that Flatcar and its forebears give their partitions: `/usr`, and the root that grows.
const COREOS_USR: &str = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6";
const COREOS_ROOT: &str = "3884dd41-8582-4404-b9a8-e9b84f2df50e";

/// An installation of an operating system.
#[derive(Debug)]
pub struct Guest {
    /// Linux or Windows.
    pub family: OsFamily,
    /// The disk that it is on: that of its root, or of its `/boot` where only that disk can start.
    pub disk: usize,
    /// Where its root is.
    pub root: Place,
    /// The subvolume of its root.
    pub subvolume: Option<String>,
    /// Its files.
    pub tree: Tree,
}

/// A directory that looks like a root, or like the `/usr` of one.
#[derive(Debug, Clone)]
struct Candidate {
    region: usize,
    fs: Arc<dyn FileSystem>,
    root: NodeId,
    subvolume: Option<String>,
    look: Look,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Linux,
    Windows,
    /// A `/usr` by itself: `lib/os-release` at its root.
    Usr,
}

/// The installations on these regions, in the order of the disks. What cannot be looked into is for the caller to tell
/// ([`Region::unreadable`]).
pub(super) fn find(regions: &[Region]) -> (Vec<Guest>, Vec<String>) {
    let mut troubles = Vec::new();
    let mut found: Vec<Candidate> = Vec::new();
    for (place, region) in regions.iter().enumerate() {
        match candidates(place, region) {
            Ok(some) => found.extend(some),
            Err(error) => troubles.push(format!("{}: {error}", region.place)),
        }
    }
    let mut guests: Vec<Guest> = Vec::new();
    for candidate in found.iter().filter(|one| one.look != Look::Usr) {
        guests.push(guest(candidate, regions, &found));
    }
    // A /usr without a root that looks like one: the root is still empty, and is made from it at the first boot.
    for usr in found.iter().filter(|one| one.look == Look::Usr) {
        let at_home = regions.get(usr.region).map(|region| region.disk);
        if guests.iter().any(|guest| Some(guest.disk) == at_home && guest.family == OsFamily::Linux) {
            continue;
        }
        let root = regions.iter().position(|region| Some(region.disk) == at_home && is_empty_root(region));
        if let Some((place, region)) = root.and_then(|place| regions.get(place).map(|region| (place, region)))
            && let Some(fs) = region.opened()
        {
            let root = Candidate { region: place, fs: fs.clone(), root: fs.root(), subvolume: None, look: Look::Linux };
            guests.push(guest(&root, regions, &found));
        }
    }
    (guests, troubles)
}

fn is_empty_root(region: &Region) -> bool {
    let by_type = region.partition_type.as_deref().is_some_and(|kind| {
        kind == COREOS_ROOT || [types::LINUX_ROOT_X86_64, types::LINUX_ROOT_ARM64].iter().any(|guid| guid.to_string() == kind)
    });
    by_type || region.content.as_ref().is_some_and(|content| content.label.as_deref() == Some("ROOT"))
}

/// What on a region looks like a root. Of several subvolumes one: the default if it is one, or the one that says so itself.
fn candidates(place: usize, region: &Region) -> Result<Vec<Candidate>, Error> {
    let Some(fs) = region.opened() else { return Ok(vec![]) };
    let candidate =
        |root: NodeId, subvolume: Option<String>, look: Look| Candidate { region: place, fs: fs.clone(), root, subvolume, look };
    let subvolumes = fs.subvolumes()?;
    if subvolumes.is_empty() {
        return Ok(look(fs, fs.root())?.map(|look| candidate(fs.root(), None, look)).into_iter().collect());
    }
    let mut roots = Vec::new();
    for subvolume in subvolumes.iter().take(MAX_SUBVOLUMES) {
        if let Some(look) = look(fs, subvolume.root)? {
            roots.push((subvolume, look));
        }
    }
    let says_so = |path: &str, root: NodeId| {
        let tree = Tree::new("", fs.clone(), root);
        let text = tree.text("/etc/fstab").ok().flatten().unwrap_or_default();
        fstab::parse(&text)
            .iter()
            .any(|line| line.target == "/" && line.option("subvol").is_some_and(|name| name.trim_matches('/') == path))
    };
    let is_snapshot = |path: &str| path.split('/').any(|name| matches!(name, ".snapshots" | "snapshots" | "@snapshots" | "@.snapshots"));
    let chosen = roots
        .iter()
        .find(|(subvolume, _)| subvolume.default)
        .or_else(|| roots.iter().find(|(subvolume, _)| says_so(&subvolume.path, subvolume.root)))
        .or_else(|| roots.iter().find(|(subvolume, _)| !is_snapshot(&subvolume.path)));
    Ok(chosen.map(|(subvolume, look)| candidate(subvolume.root, Some(subvolume.path.clone()), *look)).into_iter().collect())
}

fn look(fs: &Arc<dyn FileSystem>, root: NodeId) -> Result<Option<Look>, Error> {
    let tree = Tree::new("", fs.clone(), root);
    let is = |path: &str, kind: NodeKind| Ok::<_, Error>(tree.find_link(path)?.is_some_and(|found| found.node.kind == kind));
    let there = |path: &str| Ok::<_, Error>(tree.find_link(path)?.is_some());
    if fs.folds_case() {
        let windows = is("/Windows/System32/config/SYSTEM", NodeKind::File)? || is("/Windows/System32/ntoskrnl.exe", NodeKind::File)?;
        return Ok(windows.then_some(Look::Windows));
    }
    if is("/etc", NodeKind::Directory)? {
        let mut marks =
            ["/etc/os-release", "/usr/lib/os-release", "/etc/fstab", "/etc/passwd", "/etc/redhat-release", "/etc/debian_version"].iter();
        let named = marks.try_fold(false, |any, path| Ok::<_, Error>(any || there(path)?))?;
        let mut places = ["/usr", "/bin", "/sbin", "/lib"].iter();
        let housed = places.try_fold(false, |any, path| Ok::<_, Error>(any || there(path)?))?;
        // The nested root of a container store or of an initramfs is found below other directories, never here.
        return Ok((named && housed).then_some(Look::Linux));
    }
    let usr = is("/lib/os-release", NodeKind::File)? && (there("/bin")? || there("/share")?);
    Ok(usr.then_some(Look::Usr))
}

fn guest(candidate: &Candidate, regions: &[Region], all: &[Candidate]) -> Guest {
    let (disk, place) = regions.get(candidate.region).map_or((0, Place::Whole), |region| (region.disk, region.place.clone()));
    let from = match &candidate.subvolume {
        Some(name) if !name.is_empty() => format!("{place}, subvolume {name}"),
        _ => place.to_string(),
    };
    let mut tree = Tree::new(from, candidate.fs.clone(), candidate.root);
    let family = if candidate.look == Look::Windows { OsFamily::Windows } else { OsFamily::Linux };
    if family == OsFamily::Linux {
        join_usr(&mut tree, regions, all, disk);
        match tree.text("/etc/fstab") {
            Ok(text) => {
                let lines = fstab::parse(&text.unwrap_or_default());
                join_fstab(&mut tree, &lines, regions, disk);
                join_discovered(&mut tree, &lines, regions, disk);
            }
            Err(error) => hide_mount_points(&mut tree, &error),
        }
    }
    Guest { family, disk, root: place, subvolume: candidate.subvolume.clone(), tree }
}

/// Flatcar's layout, and that of systemd: `/usr` on a partition of its own that no fstab names.
fn join_usr(tree: &mut Tree, regions: &[Region], all: &[Candidate], disk: usize) {
    let empty = tree.names("/usr").is_ok_and(|names| names.is_empty());
    if !empty {
        return;
    }
    let at_home =
        |candidate: &&Candidate| candidate.look == Look::Usr && regions.get(candidate.region).is_some_and(|region| region.disk == disk);
    let Some(usr) = all.iter().find(at_home) else { return };
    let Some(region) = regions.get(usr.region) else { return };
    tree.mount("/usr", region.place.to_string(), usr.fs.clone(), usr.root);
    if region.partition_type.as_deref() != Some(COREOS_USR) {
        return;
    }
    let labelled = |label: &str| {
        regions
            .iter()
            .find(|region| region.disk == disk && region.content.as_ref().is_some_and(|content| content.label.as_deref() == Some(label)))
    };
    if let Some(region) = labelled("OEM")
        && let Some(fs) = region.opened()
    {
        // Newer releases mount it at /oem and lead there from /usr/share/oem; older ones mount it at /usr/share/oem.
        for at in ["/oem", "/usr/share/oem"] {
            tree.mount(at, region.place.to_string(), fs.clone(), fs.root());
        }
    }
    if let Some(region) = labelled("EFI-SYSTEM")
        && let Some(fs) = region.opened()
    {
        tree.mount("/boot", region.place.to_string(), fs.clone(), fs.root());
    }
}

/// What fstab mounts, the outer before the inner. What it names and the disks given do not hold is mounted as [`Missing`].
fn join_fstab(tree: &mut Tree, lines: &[Line], regions: &[Region], disk: usize) {
    let mut lines: Vec<&Line> = lines.iter().filter(|line| line.target.starts_with('/') && line.target != "/").collect();
    lines.sort_by_key(|line| line.target.split('/').filter(|part| !part.is_empty()).count());
    for line in lines {
        let virtual_kinds = ["swap", "tmpfs", "ramfs", "proc", "sysfs", "devpts", "devtmpfs", "cgroup", "cgroup2", "overlay", "efivarfs"];
        if virtual_kinds.contains(&line.kind.as_str()) {
            continue;
        }
        if line.has("bind") || line.has("rbind") || line.kind == "none" {
            let bound = tree.find(&line.source).ok().flatten().map(|found| (found.mount.from.clone(), found.mount.fs.clone(), found.id));
            if let Some((from, fs, id)) = bound {
                tree.mount(&line.target, format!("{from}, {}", line.source), fs, id);
            }
            continue;
        }
        let region = device::find(&line.source, regions, disk).and_then(|place| regions.get(place));
        match region.map(|region| (region, &region.fs)) {
            Some((region, Some(Ok(fs)))) => match subvolume(&**fs, line) {
                Ok((root, name)) => {
                    let from = name.map_or_else(|| region.place.to_string(), |name| format!("{}, subvolume {name}", region.place));
                    tree.mount(&line.target, from, fs.clone(), root);
                }
                Err(reason) => missing(tree, line, &reason),
            },
            Some((region, _)) => {
                let reason = region.unreadable().unwrap_or_else(|| format!("{} holds no file system", region.place));
                missing(tree, line, &reason);
            }
            None => missing(tree, line, &format!("{} is not on the disks given", line.source)),
        }
    }
}

/// Without fstab nobody knows what is mounted on a directory that is empty: what the guest sees there is unknown, never absent.
fn hide_mount_points(tree: &mut Tree, error: &Error) {
    for at in ["/boot", "/home", "/srv", "/usr", "/var"] {
        let taken = tree.mounts().any(|mount| mount.at == at);
        let directory = matches!(tree.find(at), Ok(Some(found)) if found.node.kind == NodeKind::Directory);
        if !taken && directory && tree.names(at).is_ok_and(|names| names.is_empty()) {
            let fs = Arc::new(Missing::new(format!("what is mounted at {at} is not known: {error}")));
            tree.mount(at, "not known", fs, NodeId(0));
        }
    }
}

fn missing(tree: &mut Tree, line: &Line, reason: &str) {
    let fs = Arc::new(Missing::new(format!("{} cannot be read: {reason}", line.target)));
    tree.mount(&line.target, line.source.clone(), fs, NodeId(0));
}

/// The directory that a line of fstab mounts: the default, or what `subvol` or `subvolid` says.
fn subvolume(fs: &dyn FileSystem, line: &Line) -> Result<(NodeId, Option<String>), String> {
    let (name, id) = (line.option("subvol"), line.option("subvolid"));
    if name.is_none() && id.is_none() {
        return Ok((fs.root(), None));
    }
    let all = fs.subvolumes().map_err(|error| error.to_string())?;
    let id = id.and_then(|id| id.parse::<u64>().ok()).map(|id| if id == 0 { 5 } else { id });
    let fits = |one: &&crate::fs::Subvolume| name.map_or(Some(one.id) == id, |name| one.path == name.trim_matches('/'));
    let found = all.iter().find(fits).ok_or_else(|| format!("there is no subvolume {}", name.unwrap_or("of that number")))?;
    Ok((found.root, Some(found.path.clone())))
}

/// What systemd mounts by the types of partitions where fstab is silent (systemd-gpt-auto-generator(8)), and the ESP where a distribution
/// has its directory.
fn join_discovered(tree: &mut Tree, lines: &[Line], regions: &[Region], disk: usize) {
    let silent = |tree: &Tree, at: &str| {
        !lines.iter().any(|line| line.target.trim_end_matches('/') == at) && !tree.mounts().any(|mount| mount.at == at)
    };
    let of_type = |guid: crate::bytes::Guid| {
        let wanted = guid.to_string();
        regions
            .iter()
            .find(|region| region.disk == disk && region.partition_type.as_deref() == Some(wanted.as_str()) && region.opened().is_some())
    };
    let by_type = [("/boot", types::LINUX_XBOOTLDR), ("/home", types::LINUX_HOME), ("/srv", types::LINUX_SRV), ("/var", types::LINUX_VAR)];
    for (at, guid) in by_type {
        // A directory that holds something is used as it is.
        let empty = tree.names(at).is_ok_and(|names| names.is_empty());
        if silent(tree, at) && empty {
            mount_region(tree, at, of_type(guid));
        }
    }
    let esp = of_type(types::ESP)
        .or_else(|| regions.iter().find(|region| region.disk == disk && region.partition_type.as_deref() == Some("0xef")));
    let at = ["/boot/efi", "/efi", "/boot"].into_iter().find(|at| {
        let empty_directory = tree.find(at).ok().flatten().is_some_and(|found| found.node.kind == NodeKind::Directory)
            && tree.names(at).is_ok_and(|names| names.is_empty());
        silent(tree, at) && empty_directory
    });
    let mounted = |region: &Region| tree.mounts().any(|mount| mount.from == region.place.to_string());
    if let (Some(at), Some(esp)) = (at, esp.filter(|esp| !mounted(esp))) {
        mount_region(tree, at, Some(esp));
    }
}

fn mount_region(tree: &mut Tree, at: &str, region: Option<&Region>) {
    if let Some(region) = region
        && let Some(fs) = region.opened()
    {
        tree.mount(at, region.place.to_string(), fs.clone(), fs.root());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Zeros;
    use crate::facts::{ContentFacts, Fact};
    use crate::fs::testing::{Item, MemoryFileSystem};

    fn region(place: Place, kind: &str, uuid: &str, files: &[(&str, &str)]) -> Region {
        let mut fs = MemoryFileSystem::new(kind == "ntfs" || kind == "vfat");
        for (path, content) in files {
            let item = match content.strip_prefix("-> ") {
                Some(target) => Item::Symlink(target.to_owned()),
                None if path.ends_with('/') => Item::Directory,
                None if *content == "!damaged" => Item::Damaged,
                None => Item::File(content.as_bytes().to_vec()),
            };
            fs.add(path, item, 0o755, 0);
        }
        let content = ContentFacts {
            kind: kind.to_owned(),
            uuid: Some(uuid.to_owned()),
            label: Some(uuid.to_uppercase()),
            size: Fact::Absent,
            used: Fact::Absent,
            clean: Fact::Absent,
            sealed: None,
            detail: vec![],
        };
        Region {
            disk: 0,
            place,
            bytes: Arc::new(Zeros(512)),
            content: Some(content),
            partition_type: None,
            partition_uuid: None,
            partition_name: None,
            mapper_uuid: None,
            lies: vec![],
            fs: Some(Ok(Arc::new(fs))),
        }
    }

    fn only(regions: &[Region]) -> Guest {
        let (mut guests, troubles) = find(regions);
        assert_eq!(troubles, Vec::<String>::new());
        assert_eq!(guests.len(), 1, "{guests:?}");
        guests.remove(0)
    }

    fn mounts(guest: &Guest) -> Vec<(String, String)> {
        guest.tree.mounts().map(|mount| (mount.at.clone(), mount.from.clone())).collect()
    }

    #[test]
    fn fstab_joins_what_is_there_and_marks_what_is_not() {
        let fstab = "UUID=r / ext4 defaults 0 1\nUUID=e /boot/efi vfat umask=077 0 1\nUUID=b /boot ext4 defaults 0 2\nUUID=gone /var ext4 defaults 0 2\n\
                     tmpfs /tmp tmpfs\nUUID=s none swap sw\n/srv/www /www none bind\nserver:/x /nfs nfs\n";
        let guest = only(&[
            region(Place::Partition(1), "ext4", "b", &[("/vmlinuz", "x"), ("/efi/", "")]),
            region(
                Place::Partition(2),
                "ext4",
                "r",
                &[("/etc/fstab", fstab), ("/etc/os-release", "ID=x"), ("/usr/bin/sh", ""), ("/srv/www/a", "a"), ("/tmp/left", "")],
            ),
            region(Place::Partition(15), "vfat", "e", &[("/EFI/BOOT/BOOTX64.EFI", "MZ")]),
        ]);
        assert_eq!((guest.family, &guest.root), (OsFamily::Linux, &Place::Partition(2)));
        let tree = &guest.tree;
        assert!(tree.exists("/boot/vmlinuz").unwrap());
        assert!(tree.exists("/boot/efi/efi/boot/bootx64.efi").unwrap());
        assert!(tree.exists("/www/a").unwrap());
        assert!(tree.exists("/tmp/left").unwrap());
        // What is below a missing file system is unknown, never absent.
        for path in ["/var/lib/dpkg/status", "/nfs/x"] {
            let said = tree.exists(path).unwrap_err().to_string();
            assert!(said.contains("cannot be read"), "{said}");
        }
        assert!(tree.exists("/var").unwrap());
    }

    #[test]
    fn usr_on_a_partition_of_its_own_is_joined() {
        let usr = region(Place::Partition(3), "ext4", "usr-a", &[("/lib/os-release", "ID=flatcar"), ("/bin/sh", ""), ("/share/oem/", "")]);
        let usr = Region { partition_type: Some(COREOS_USR.to_owned()), ..usr };
        let oem = region(Place::Partition(6), "ext4", "oem", &[("/waagent.conf", "x")]);
        for files in [&[("/etc/os-release", "-> ../usr/lib/os-release"), ("/usr/", "")][..], &[][..]] {
            let root = Region { partition_type: Some(COREOS_ROOT.to_owned()), ..region(Place::Partition(9), "ext4", "root", files) };
            let guest = only(&[usr.clone(), oem.clone(), root]);
            assert_eq!(guest.root, Place::Partition(9));
            assert_eq!(guest.tree.text("/usr/lib/os-release").unwrap().as_deref(), Some("ID=flatcar"));
            assert_eq!(guest.tree.text("/usr/share/oem/waagent.conf").unwrap().as_deref(), Some("x"));
        }
    }

    #[test]
    fn partition_types_speak_where_fstab_is_silent() {
        let of_type = |guid: crate::bytes::Guid, region: Region| Region { partition_type: Some(guid.to_string()), ..region };
        let files = [("/etc/os-release", "ID=x"), ("/usr/bin/sh", ""), ("/home/", ""), ("/srv/used", ""), ("/efi/", "")];
        let guest = only(&[
            region(Place::Partition(1), "ext4", "r", &files),
            of_type(types::LINUX_HOME, region(Place::Partition(2), "ext4", "h", &[("/me/x", "")])),
            of_type(types::LINUX_SRV, region(Place::Partition(3), "ext4", "s", &[("/other", "")])),
            of_type(types::ESP, region(Place::Partition(4), "vfat", "e", &[("/EFI/BOOT/BOOTX64.EFI", "MZ")])),
        ]);
        let expected = [("/", "partition 1"), ("/home", "partition 2"), ("/efi", "partition 4")];
        assert_eq!(mounts(&guest), expected.map(|(at, from)| (at.to_owned(), from.to_owned())));
    }

    #[test]
    fn an_unreadable_fstab_makes_empty_mount_points_unknown() {
        let files = [("/etc/fstab", "!damaged"), ("/etc/os-release", "ID=x"), ("/usr/bin/sh", ""), ("/var/", ""), ("/home/me/x", "")];
        let guest = only(&[region(Place::Partition(1), "ext4", "r", &files)]);
        let said = guest.tree.exists("/var/lib/waagent/provisioned").unwrap_err().to_string();
        assert!(said.contains("what is mounted at /var is not known") && said.contains("/etc/fstab"), "{said}");
        assert!(guest.tree.exists("/home/me/x").unwrap());
        assert!(guest.tree.exists("/usr/bin/sh").unwrap());
    }

    #[test]
    fn installations_side_by_side_and_none_at_all() {
        let linux = region(Place::Partition(2), "ext4", "r", &[("/etc/passwd", ""), ("/bin/sh", "")]);
        let windows = region(Place::Partition(3), "ntfs", "w", &[("/Windows/System32/config/SYSTEM", "regf")]);
        let (guests, _) = find(&[windows.clone(), linux.clone()]);
        assert_eq!(guests.iter().map(|guest| guest.family).collect::<Vec<_>>(), [OsFamily::Windows, OsFamily::Linux]);
        let data = region(Place::Partition(1), "ext4", "d", &[("/etc/backup/x", ""), ("/lost+found/", "")]);
        assert_eq!(find(&[data]).0.len(), 0);
        let broken = Region { fs: Some(Err(Error::Damaged("x".to_owned()))), ..linux };
        assert_eq!(broken.unreadable().as_deref(), Some("partition 2: ext4: damaged: x"));
        assert_eq!(find(&[broken]).0.len(), 0);
    }
}
