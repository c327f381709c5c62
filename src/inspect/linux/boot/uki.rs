//! Unified kernel images on the EFI system partition.

use super::{Configuration, ESP_MOUNTS};
use crate::bytes::Bytes;
use crate::facts::{BootEntryFacts, Fact, UnifiedKernelFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::bls::compare;
use crate::guest::pe::Pe;

/// Bytes of a section of text that are read at most.
const MAX_TEXT: u32 = 64 * 1024;
/// Images that are read at most.
const MAX_IMAGES: usize = 256;

/// Every image, in `EFI/Linux` and as the fallback loader. The same partition may be mounted in one place only.
pub(super) fn unified_kernels(tree: &Tree) -> Result<Vec<UnifiedKernelFacts>, Error> {
    let mut all = Vec::new();
    for esp in ESP_MOUNTS {
        let directory = format!("{esp}/EFI/Linux");
        let names = tree.names(&directory)?;
        let images = names.into_iter().filter(|name| name.to_ascii_lowercase().ends_with(".efi")).map(|name| format!("{directory}/{name}"));
        let fallbacks = ["BOOTX64.EFI", "BOOTAA64.EFI"].map(|name| format!("{esp}/EFI/BOOT/{name}"));
        for path in images.chain(fallbacks) {
            if all.len() >= MAX_IMAGES {
                return Err(Error::Unsupported(format!("more than {MAX_IMAGES} unified kernel images")).at(&directory));
            }
            let Some(bytes) = tree.open(&path)? else { continue };
            all.extend(image(path, &bytes));
        }
    }
    Ok(all)
}

/// What an image says of itself; `None` for other programs.
fn image(path: String, bytes: &Bytes) -> Option<UnifiedKernelFacts> {
    let pe = Pe::read(&**bytes).ok().filter(Pe::is_unified_kernel)?;
    let text = |name: &str| -> Fact<String> {
        match pe.text(&**bytes, name, MAX_TEXT) {
            Ok(text) => text.into(),
            Err(error) => Fact::unknown(error.to_string()),
        }
    };
    let name = text(".osrel").known().ok().flatten().and_then(|release| {
        let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        Some(line.trim_matches(['"', '\'']).to_owned())
    });
    Some(UnifiedKernelFacts { path, name: name.into(), kernel: text(".uname"), command_line: text(".cmdline") })
}

/// Whether a program is systemd-boot: it has a section that says so.
pub(super) fn is_systemd_boot(bytes: &Bytes) -> bool {
    let magic = Pe::read(&**bytes).ok().and_then(|pe| pe.text(&**bytes, ".sdmagic", MAX_TEXT).ok().flatten());
    magic.is_some_and(|magic| magic.contains("systemd-boot"))
}

/// The images as a menu of their own, the newest first; none where there is none, or where systemd-boot's entries come before them.
pub(super) fn configuration(images: &[UnifiedKernelFacts], others: &[Configuration]) -> Option<Configuration> {
    let mut images: Vec<&UnifiedKernelFacts> = images.iter().collect();
    images.sort_by(|a, b| compare(key(b), key(a)));
    let path = images.first()?.path.clone();
    let covered = others.iter().any(|other| other.loader == "systemd-boot");
    let entries = images.into_iter().zip([!covered].into_iter().chain(std::iter::repeat(false))).map(|(image, default)| BootEntryFacts {
        title: image.name.value().unwrap_or(&image.path).clone(),
        id: image.path.rsplit('/').next().map(str::to_owned),
        kernel: Some(image.path.clone()),
        initrds: vec![],
        missing: vec![],
        command_line: image.command_line.value().cloned(),
        source: image.path.clone(),
        line: 0,
        default,
    });
    Some(Configuration { loader: "uki", path, entries: entries.collect(), notes: vec![] })
}

/// What images are sorted by: the kernel's version, or the name.
fn key(image: &UnifiedKernelFacts) -> &str {
    image.kernel.value().unwrap_or(&image.path)
}
