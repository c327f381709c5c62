//! Where each driver of a kernel is.

use super::find::Kernel;
use super::initramfs::Initramfs;
use crate::facts::{DriverFacts, DriverState, Fact};
use crate::fs::{Error, Tree};
use crate::guest::linux::modules::{self, Config, Setting};
use std::collections::{BTreeMap, BTreeSet};

/// Directories and files that are looked through where `modules.dep` is missing.
const MAX_WALKED: usize = 20_000;
const MAX_DEPTH: usize = 12;

/// Drivers, and the names that stand for them in a kernel's configuration (`drivers/**/Kconfig`, `fs/*/Kconfig`), the newest first.
const DRIVERS: &[(&str, &[&str])] = &[
    // Linux 6.18 made HYPERV a switch for HYPERV_VMBUS and others.
    ("hv_vmbus", &["HYPERV_VMBUS", "HYPERV"]),
    ("hv_storvsc", &["HYPERV_STORAGE"]),
    ("hv_netvsc", &["HYPERV_NET"]),
    ("hv_utils", &["HYPERV_UTILS"]),
    ("hv_balloon", &["HYPERV_BALLOON"]),
    ("hyperv_keyboard", &["HYPERV_KEYBOARD"]),
    ("hyperv_drm", &["DRM_HYPERV"]),
    ("hyperv_fb", &["FB_HYPERV"]),
    ("pci_hyperv", &["PCI_HYPERV"]),
    ("nvme", &["BLK_DEV_NVME"]),
    ("nvme_core", &["NVME_CORE"]),
    ("udf", &["UDF_FS"]),
    ("isofs", &["ISO9660_FS"]),
    ("vfat", &["VFAT_FS"]),
    ("fat", &["FAT_FS"]),
    // Older kernels have no name for it: what needs it brings it.
    ("cdrom", &["CDROM", "BLK_DEV_SR"]),
    ("sr_mod", &["BLK_DEV_SR"]),
    ("sd_mod", &["BLK_DEV_SD"]),
    ("ata_piix", &["ATA_PIIX"]),
    ("mana", &["MICROSOFT_MANA"]),
    ("mlx4_core", &["MLX4_CORE"]),
    ("mlx4_en", &["MLX4_EN"]),
    ("mlx5_core", &["MLX5_CORE"]),
    ("ext4", &["EXT4_FS"]),
    ("xfs", &["XFS_FS"]),
    ("btrfs", &["BTRFS_FS"]),
    ("dm_mod", &["BLK_DEV_DM"]),
    ("virtio_blk", &["VIRTIO_BLK"]),
    ("vmw_pvscsi", &["VMWARE_PVSCSI"]),
];

/// What is known of a kernel's drivers beside its initramfs.
#[derive(Debug)]
pub(super) struct Lists {
    directory: Option<String>,
    builtin: Result<Option<BTreeSet<String>>, String>,
    /// Modules by name, each with its path below the directory.
    modules: Result<Option<BTreeMap<String, String>>, String>,
    /// Whether the modules were found by looking, since `modules.dep` is missing.
    walked: bool,
    config: Result<Option<(String, Config)>, String>,
}

/// Reads a kernel's configuration.
pub(super) fn config(tree: &Tree, path: &Fact<String>) -> Result<Option<(String, Config)>, String> {
    let Some(path) = path.known().map_err(|unknown| unknown.0)? else { return Ok(None) };
    let config = tree.text(path).map_err(|error| error.to_string())?.map(|text| Config::parse(&text)).unwrap_or_default();
    if config.is_empty() { Err(format!("{path}: no kernel configuration")) } else { Ok(Some((path.clone(), config))) }
}

impl Lists {
    pub(super) fn read(tree: &Tree, kernel: &Kernel, config: Result<Option<(String, Config)>, String>) -> Self {
        let text = |name: &str| match &kernel.modules {
            Some(directory) => tree.text(&format!("{directory}/{name}")).map_err(|error| error.to_string()),
            None => Ok(None),
        };
        let builtin = text("modules.builtin").map(|text| text.map(|text| modules::builtin(&text)));
        let mut listed = text("modules.dep").map(|text| text.map(|text| modules::dependencies(&text)));
        let walked = listed == Ok(None) && kernel.modules.is_some();
        if let (true, Some(directory)) = (walked, &kernel.modules) {
            let kernel_directory = format!("{directory}/kernel");
            listed =
                walk(tree, &kernel_directory).map(|found| found.map(|found| named(found, directory))).map_err(|error| error.to_string());
        }
        Self { directory: kernel.modules.clone(), builtin, modules: listed, walked, config }
    }

    /// Whether the kernel carries an initramfs inside it.
    pub(super) fn has_own_initramfs(&self, kernel: &Kernel) -> bool {
        let flatcar = kernel.image.as_deref().is_some_and(|path| path.starts_with("/boot/flatcar/") || path.starts_with("/boot/coreos/"));
        let configured = matches!(&self.config, Ok(Some((_, config))) if config.text("INITRAMFS_SOURCE").is_some());
        flatcar || configured
    }

    /// A driver's state, its path, and what says so.
    fn state(&self, name: &str, symbols: &[&str]) -> (Fact<DriverState>, Option<String>, String) {
        let list = |file: &str| self.directory.as_ref().map_or_else(|| file.to_owned(), |directory| format!("{directory}/{file}"));
        if let Ok(Some(builtin)) = &self.builtin
            && builtin.contains(name)
        {
            return (Fact::Known(DriverState::BuiltIn), None, list("modules.builtin"));
        }
        if let (Ok(Some(modules)), Some(directory)) = (&self.modules, &self.directory)
            && let Some(path) = modules.get(name)
        {
            // Paths in modules.dep may be absolute.
            let path = if path.starts_with('/') { path.clone() } else { format!("{directory}/{path}") };
            let evidence = if self.walked { format!("{path}, although {} is missing", list("modules.dep")) } else { list("modules.dep") };
            return (Fact::Known(DriverState::Module), Some(path), evidence);
        }
        let symbol = match &self.config {
            Ok(Some((path, config))) => {
                let symbol = symbols.iter().find(|symbol| config.mentions(symbol)).or(symbols.first()).copied().unwrap_or_default();
                Some((path, symbol, config.setting(symbol)))
            }
            _ => None,
        };
        if let Some((path, symbol, Setting::BuiltIn)) = symbol {
            return (Fact::Known(DriverState::BuiltIn), None, format!("CONFIG_{symbol}=y in {path}"));
        }
        // Not found so far; it is missing only where everything that could name it was read.
        let unread = [self.builtin.as_ref().err(), self.modules.as_ref().err(), self.config.as_ref().err()].into_iter().flatten().next();
        if let Some(reason) = unread {
            return (Fact::unknown(reason), None, String::new());
        }
        match (symbol, &self.builtin, &self.modules) {
            (Some((path, symbol, Setting::Module)), _, Ok(None)) if self.directory.is_none() => {
                (Fact::Known(DriverState::Module), None, format!("CONFIG_{symbol}=m in {path}; the modules themselves are not here"))
            }
            (Some((path, symbol, Setting::Module)), _, _) => (
                Fact::Known(DriverState::Missing),
                None,
                format!("CONFIG_{symbol}=m in {path}, and no such module in {}", list("modules.dep")),
            ),
            (Some((path, symbol, _)), _, _) => (Fact::Known(DriverState::Missing), None, format!("CONFIG_{symbol} is not set in {path}")),
            (None, Ok(Some(_)), Ok(Some(_))) => {
                let evidence = format!("neither in {} nor in {}", list("modules.builtin"), list("modules.dep"));
                (Fact::Known(DriverState::Missing), None, evidence)
            }
            _ => (Fact::unknown("this kernel has no lists of modules and no configuration here"), None, String::new()),
        }
    }
}

/// Modules by name, with paths below the directory.
fn named(paths: Vec<String>, directory: &str) -> BTreeMap<String, String> {
    let below = |path: &str| path.strip_prefix(directory).map_or_else(|| path.to_owned(), |rest| rest.trim_start_matches('/').to_owned());
    paths.into_iter().filter_map(|path| Some((modules::of_file(&path)?, below(&path)))).collect()
}

/// Files below a directory; `None` where there is no directory.
pub(super) fn walk(tree: &Tree, directory: &str) -> Result<Option<Vec<String>>, Error> {
    if !tree.exists(directory)? {
        return Ok(None);
    }
    let mut files = Vec::new();
    let mut todo = vec![(directory.to_owned(), 0_usize)];
    let mut seen = 0_usize;
    while let Some((directory, depth)) = todo.pop() {
        for listed in tree.list(&directory)?.unwrap_or_default() {
            seen = seen.saturating_add(1);
            if seen > MAX_WALKED {
                return Err(Error::Unsupported(format!("more than {MAX_WALKED} files")).at(&directory));
            }
            let path = format!("{directory}/{}", listed.name);
            match listed.node.kind {
                crate::fs::NodeKind::Directory if depth < MAX_DEPTH => todo.push((path, depth.saturating_add(1))),
                crate::fs::NodeKind::Directory => return Err(Error::Unsupported("too many directories in each other".to_owned()).at(&path)),
                crate::fs::NodeKind::File | crate::fs::NodeKind::Symlink => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(Some(files))
}

/// Every driver of a kernel.
pub(super) fn drivers(lists: &Lists, initramfs: &Initramfs, release: &str) -> BTreeMap<String, DriverFacts> {
    let driver = |(name, symbols): &(&str, &[&str])| {
        let (state, path, evidence) = lists.state(name, symbols);
        let in_initramfs = match &initramfs.listing {
            Ok(None) => Fact::Known(false),
            Ok(Some(listing)) if listing.has(release, name) => Fact::Known(true),
            Ok(Some(listing)) => match &listing.nested {
                Some(image) => Fact::unknown(format!("{image} in the initramfs may hold more, and is not looked into")),
                None => Fact::Known(false),
            },
            Err(reason) => Fact::unknown(reason),
        };
        ((*name).to_owned(), DriverFacts { state, path: path.into(), in_initramfs, evidence })
    };
    DRIVERS.iter().map(driver).collect()
}
