//! Where a boot loader's paths lead in the guest's tree.
//!
//! A loader sees one file system at a time and paths from its root: `/vmlinuz` is `/boot/vmlinuz` where `/boot` is a partition of its own,
//! and `/@/boot/vmlinuz` lies in the Btrfs subvolume that is the guest's root.

use crate::facts::BootEntryFacts;
use crate::fs::{Error, Tree};
use crate::guest::linux::bls::BlsEntry;
use crate::guest::linux::grub::Files;

/// Bytes of a script that another one reads.
const MAX_SCRIPT: u64 = 4 << 20;

/// Turns a loader's paths into the tree's.
#[derive(Debug)]
pub(super) struct Paths<'a> {
    tree: &'a Tree,
    /// Where a partition of its own is mounted that kernels may be on.
    mounts: Vec<String>,
}

impl<'a> Paths<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        let mounts = ["/boot", "/boot/efi", "/efi"].into_iter();
        let mounts = mounts.filter(|at| tree.mounts().any(|mount| mount.at == *at)).map(str::to_owned).collect();
        Self { tree, mounts }
    }

    /// The path in the tree; `None` where nothing is there.
    pub(super) fn find(&self, path: &str) -> Result<Option<String>, Error> {
        let oem = path.starts_with("(OEM)");
        let plain = match path.split_once(')') {
            Some((device, rest)) if device.starts_with('(') => rest,
            _ => path,
        };
        let plain = format!("/{}", plain.trim_start_matches('/'));
        let mut tries: Vec<String> = Vec::new();
        if oem {
            tries.extend(["/oem", "/usr/share/oem"].map(|at| format!("{at}{plain}")));
        } else {
            tries.extend(self.mounts.iter().map(|at| format!("{at}{plain}")));
            tries.push(plain.clone());
            tries.push(format!("/boot{plain}"));
            // Btrfs: the first name is a subvolume.
            if let Some((_, below)) = plain.trim_start_matches('/').split_once('/') {
                tries.push(format!("/{below}"));
                // openSUSE: /@/.snapshots/1/snapshot/boot/…
                tries.extend(below.split_once("/snapshot/").map(|(_, below)| format!("/{below}")));
            }
        }
        for path in tries {
            if self.tree.exists(&path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Puts the tree's paths into an entry, and tells what is missing.
    pub(super) fn settle(&self, entry: &mut BootEntryFacts) -> Result<(), Error> {
        for path in entry.kernel.iter_mut().chain(&mut entry.initrds) {
            match self.find(path)? {
                Some(found) => *path = found,
                None => entry.missing.push(path.clone()),
            }
        }
        Ok(())
    }

    /// An entry of the Boot Loader Specification, as systemd-boot takes it.
    pub(super) fn of_snippet(&self, entry: BlsEntry, default: bool) -> Result<BootEntryFacts, Error> {
        let id = entry.id().to_owned();
        let kernel = entry.linux.or(entry.efi);
        let mut facts = BootEntryFacts {
            title: entry.title.unwrap_or_else(|| id.clone()),
            id: Some(id),
            command_line: kernel.as_ref().map(|_| entry.options.unwrap_or_default()),
            kernel,
            initrds: entry.initrds,
            missing: vec![],
            source: entry.path,
            line: 0,
            default,
        };
        self.settle(&mut facts)?;
        Ok(facts)
    }
}

impl Files for Paths<'_> {
    fn read(&self, path: &str) -> Option<String> {
        let path = self.find(path).ok()??;
        let bytes = self.tree.read_up_to(&path, MAX_SCRIPT).ok()??;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn exists(&self, path: &str) -> Option<bool> {
        self.find(path).ok().map(|found| found.is_some())
    }
}
