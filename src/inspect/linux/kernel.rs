//! Kernels and what they can drive.

mod drivers;
mod find;
mod initramfs;
mod out_of_tree;
mod settings;

pub(super) use settings::modules;

use crate::bytes::{ReadAt, int_usize, read_vec};
use crate::facts::{Fact, KernelFacts, KernelImageFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::kernel_image::{self, KernelImage};
use crate::guest::linux::unpack::{Compression, unpack};
use crate::guest::linux::version;
use find::Kernel;
use std::ops::ControlFlow;

/// Learns `kernels`.
pub(super) fn kernels(tree: &Tree) -> Fact<Vec<KernelFacts>> {
    let mut found = match find::kernels(tree) {
        Ok(found) => found,
        Err(error) => return Fact::unknown(format!("which kernels there are cannot be told: {error}")),
    };
    found.sort_by(|a, b| a.rescue.cmp(&b.rescue).then_with(|| version::compare(&b.release, &a.release)));
    let mut reader = initramfs::Reader::default();
    Fact::Known(found.into_iter().map(|kernel| learn(tree, kernel, &mut reader)).collect())
}

fn learn(tree: &Tree, kernel: Kernel, reader: &mut initramfs::Reader) -> KernelFacts {
    let config_path = first(tree, &find::configs(&kernel));
    let config = drivers::config(tree, &config_path);
    let lists = drivers::Lists::read(tree, &kernel, config);
    let initramfs = reader.read(tree, &kernel, lists.has_own_initramfs(&kernel));
    KernelFacts {
        numbers: version::numbers(&kernel.release),
        rescue: kernel.rescue,
        image: kernel.image.as_ref().map_or(Fact::Absent, |path| image(tree, path)),
        config: config_path,
        modules: kernel.modules.clone().into(),
        drivers: drivers::drivers(&lists, &initramfs, &kernel.release),
        initramfs: initramfs.facts,
        release: kernel.release,
    }
}

/// The first of these paths that leads to a file.
fn first(tree: &Tree, paths: &[String]) -> Fact<String> {
    for path in paths {
        match find::is_file(tree, path) {
            Ok(true) => return Fact::Known(path.clone()),
            Ok(false) => {}
            Err(error) => return Fact::unknown(error.to_string()),
        }
    }
    Fact::Absent
}

fn image(tree: &Tree, path: &str) -> Fact<KernelImageFacts> {
    let size = match tree.find(path) {
        Ok(Some(found)) => found.node.size,
        Ok(None) => return Fact::Absent,
        Err(error) => return Fact::unknown(error.to_string()),
    };
    let architecture = match read_image(tree, path) {
        Ok(image) => {
            image.architecture.map_or_else(|| Fact::unknown("its header names no known processor"), |name| Fact::Known(name.to_owned()))
        }
        Err(error) => Fact::unknown(error.to_string()),
    };
    Fact::Known(KernelImageFacts { path: path.to_owned(), size, architecture })
}

/// Reads the head of a kernel's file. One that is packed as a whole, as Arm64 kernels are, is unpacked as far as needed.
fn read_image(tree: &Tree, path: &str) -> Result<KernelImage, Error> {
    let Some(bytes) = tree.open(path)? else { return Ok(KernelImage::default()) };
    let count = int_usize(bytes.size()).min(kernel_image::HEAD);
    let head = read_vec(&*bytes, 0, count).map_err(|error| Error::from(error).at(path))?;
    let Some(format) = Compression::of(&head) else { return Ok(kernel_image::read(&head)) };
    let mut unpacked = Vec::new();
    let result = unpack(&*bytes, 0, format, &mut |piece| {
        unpacked.extend_from_slice(piece);
        if unpacked.len() < kernel_image::HEAD { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    result.map_err(|error| Error::Damaged(error.to_string()).at(path))?;
    unpacked.truncate(kernel_image::HEAD);
    Ok(kernel_image::read(&unpacked))
}

#[cfg(test)]
mod tests;
