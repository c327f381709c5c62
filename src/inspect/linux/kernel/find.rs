//! Which kernels there are, and which files belong to each.
//!
//! | who | image | initramfs |
//! |---|---|---|
//! | Debian, Ubuntu | `/boot/vmlinuz-V` | `/boot/initrd.img-V` |
//! | Red Hat and kin, Azure Linux | `/boot/vmlinuz-V` | `/boot/initramfs-V.img` |
//! | SUSE | `/boot/vmlinuz-V` (`Image-V` on Arm64) | `/boot/initrd-V` |
//! | Alpine | `/boot/vmlinuz-FLAVOUR` | `/boot/initramfs-FLAVOUR` |
//! | Arch | `/boot/vmlinuz-PACKAGE` | `/boot/initramfs-PACKAGE.img` |
//! | Boot Loader Specification, type 1 | `/boot/TOKEN/V/linux` | `/boot/TOKEN/V/initrd` |
//! | ostree | `/boot/ostree/NAME-HASH/vmlinuz-V` | beside it |
//! | Flatcar | `/boot/flatcar/vmlinuz-a` | in the kernel |

use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::version::{compare, is_release};
use std::collections::BTreeMap;

/// Kernels above this number are no installation.
const MAX_KERNELS: usize = 256;
/// Names of images before the release.
const PREFIXES: &[&str] = &["vmlinuz-", "vmlinux-", "bzImage-", "Image-", "image-", "kernel-"];
/// Images with a release nowhere in their names.
const PLAIN: &[&str] = &["vmlinuz", "vmlinux", "bzImage", "Image", "linux"];
/// Where modules are, by release.
const MODULES: &[&str] = &["/usr/lib/modules", "/lib/modules"];

/// A kernel that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) release: String,
    pub(super) rescue: bool,
    /// The file that a loader starts.
    pub(super) image: Option<String>,
    /// What follows the prefix in the image's name: the release, a flavour, a package; empty where nothing does.
    pub(super) suffix: String,
    /// The directory of its modules.
    pub(super) modules: Option<String>,
}

/// Finds all kernels.
pub(super) fn kernels(tree: &Tree) -> Result<Vec<Kernel>, Error> {
    let directories = module_directories(tree)?;
    let mut found: BTreeMap<(String, bool), Kernel> = BTreeMap::new();
    let mut seen = Vec::new();
    for (path, suffix) in images(tree, &directories)? {
        let Some(target) = tree.find(&path)?.filter(|found| found.node.kind == NodeKind::File) else { continue };
        // Links to an image that has its own name are not another kernel.
        let target = target.path();
        if seen.contains(&target) {
            continue;
        }
        seen.push(target);
        let rescue = suffix.starts_with("0-rescue-") || suffix.ends_with("-rescue");
        let release = release(tree, &path, &suffix, &directories)?;
        let modules = directories.get(&release).cloned();
        found.entry((release.clone(), rescue)).or_insert(Kernel { release, rescue, image: Some(path), suffix, modules });
        if found.len() > MAX_KERNELS {
            return Err(Error::Unsupported(format!("more than {MAX_KERNELS} kernels")));
        }
    }
    for (release, directory) in directories {
        let kernel = || Kernel { release: release.clone(), rescue: false, image: None, suffix: release.clone(), modules: Some(directory) };
        found.entry((release.clone(), false)).or_insert_with(kernel);
    }
    if found.len() > MAX_KERNELS {
        return Err(Error::Unsupported(format!("more than {MAX_KERNELS} kernels")));
    }
    Ok(found.into_values().collect())
}

/// Whether a path leads to a regular file.
pub(super) fn is_file(tree: &Tree, path: &str) -> Result<bool, Error> {
    Ok(tree.find(path)?.is_some_and(|found| found.node.kind == NodeKind::File))
}

/// Directories of modules by release.
pub(super) fn module_directories(tree: &Tree) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    for above in MODULES {
        for name in tree.names(above)? {
            let path = format!("{above}/{name}");
            if is_release(&name) && tree.find(&path)?.is_some_and(|found| found.node.kind == NodeKind::Directory) {
                found.entry(name).or_insert(path);
            }
        }
    }
    Ok(found)
}

/// Images, those first that a loader would use, each with what follows its prefix.
fn images(tree: &Tree, directories: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for name in tree.names("/boot")? {
        if let Some(suffix) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).filter(|suffix| !is_beside(suffix)) {
            found.push((format!("/boot/{name}"), suffix.to_owned()));
        }
    }
    for pattern in
        ["/boot/*/*/linux", "/boot/*/*/linux-*", "/boot/efi/*/*/linux", "/boot/efi/*/*/linux-*", "/efi/*/*/linux", "/efi/*/*/linux-*"]
    {
        for path in tree.glob(pattern)? {
            let release = path.rsplit('/').nth(1).unwrap_or_default().to_owned();
            if is_release(&release) {
                found.push((path, release));
            }
        }
    }
    for pattern in ["/boot/ostree/*/vmlinuz-*", "/boot/flatcar/vmlinuz-*", "/boot/coreos/vmlinuz-*"] {
        for path in tree.glob(pattern)? {
            let suffix = path.rsplit_once("/vmlinuz-").map(|(_, suffix)| suffix.to_owned()).unwrap_or_default();
            found.push((path, suffix));
        }
    }
    // Those without a name of their own come last, since they are often links to the others.
    found.extend(PLAIN.iter().map(|name| (format!("/boot/{name}"), String::new())));
    let own = |(release, directory): (&String, &String)| (format!("{directory}/vmlinuz"), release.clone());
    found.extend(directories.iter().map(own));
    Ok(found)
}

/// Whether a file beside images is none that boots: signatures, checksums, copies that were put aside, and SUSE's packed `vmlinux`.
fn is_beside(suffix: &str) -> bool {
    let ends = [".hmac", ".sig", ".p7s", ".sha256", ".old", ".bak", ".dpkg-bak", ".efi.signed", ".gz", ".xz", ".zst"];
    ends.iter().any(|end| suffix.ends_with(end))
}

/// The release of an image: from its name, from its header, or from the directory of modules that fits its name.
fn release(tree: &Tree, path: &str, suffix: &str, directories: &BTreeMap<String, String>) -> Result<String, Error> {
    if directories.contains_key(suffix) || (is_release(suffix) && !suffix.starts_with("0-rescue-")) {
        return Ok(suffix.to_owned());
    }
    // An image whose header cannot be read is told by its name, and the fact of its image says why.
    if let Some(release) = super::read_image(tree, path).ok().and_then(|image| image.release) {
        return Ok(release);
    }
    let mut fitting = Vec::new();
    for (release, directory) in directories {
        let flavour = release.rsplit('-').next() == Some(suffix) && !suffix.is_empty();
        let package = || tree.text(&format!("{directory}/pkgbase")).map(|text| text.is_some_and(|text| text.trim() == suffix));
        if flavour || package()? {
            fitting.push(release);
        }
    }
    let newest = fitting.into_iter().max_by(|a, b| compare(a, b));
    let only = directories.keys().next().filter(|_| suffix.is_empty() && directories.len() == 1);
    Ok(newest.or(only).map_or_else(|| if suffix.is_empty() { path.to_owned() } else { suffix.to_owned() }, Clone::clone))
}

/// Where a kernel's configuration may be.
pub(super) fn configs(kernel: &Kernel) -> Vec<String> {
    let release = &kernel.release;
    let mut paths = vec![format!("/boot/config-{release}")];
    for above in MODULES {
        paths.push(format!("{above}/{release}/config"));
        paths.push(format!("{above}/{release}/build/.config"));
    }
    paths.push(format!("/usr/boot/config-{release}"));
    if kernel.suffix != *release && !kernel.suffix.is_empty() && !kernel.rescue {
        paths.push(format!("/boot/config-{}", kernel.suffix));
    }
    paths
}

/// Where a kernel's initramfs may be, the most likely first.
pub(super) fn initramfs(tree: &Tree, kernel: &Kernel) -> Result<Vec<String>, Error> {
    let release = &kernel.release;
    let mut paths = Vec::new();
    let beside = kernel.image.as_deref().and_then(|path| path.rsplit_once('/')).map_or("/boot", |(directory, _)| directory);
    let names = if kernel.rescue || kernel.suffix == *release { vec![&kernel.suffix] } else { vec![release, &kernel.suffix] };
    for directory in if beside == "/boot" || beside.contains("/modules/") { vec!["/boot"] } else { vec![beside, "/boot"] } {
        for name in names.iter().filter(|name| !name.is_empty() && !name.contains('/')) {
            for (before, after) in [("initrd.img-", ""), ("initramfs-", ".img"), ("initrd-", ""), ("initramfs-", ""), ("initrd-", ".img")] {
                paths.push(format!("{directory}/{before}{name}{after}"));
            }
        }
    }
    let is_entry = beside.rsplit('/').next() == Some(release.as_str()) && !beside.contains("/modules/");
    if is_entry {
        paths.push(format!("{beside}/initrd"));
        paths.extend(tree.glob(&format!("{beside}/initrd-*"))?);
    }
    if kernel.suffix.is_empty() {
        paths.extend(["initrd.img", "initramfs.img", "initrd", "initramfs"].map(|name| format!("{beside}/{name}")));
    }
    if !kernel.rescue {
        for above in MODULES {
            paths.extend(["initramfs.img", "initramfs", "initrd"].map(|name| format!("{above}/{release}/{name}")));
        }
    }
    Ok(paths)
}
