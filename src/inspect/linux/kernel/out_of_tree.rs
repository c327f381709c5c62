//! Modules that did not come with their kernel.

use super::{drivers, find};
use crate::bytes::{MIB, ReadAt, int_u64, read_vec};
use crate::facts::{Fact, OutOfTreeModuleFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::modules::{SIGNATURE, of_file};
use crate::guest::linux::unpack::{Compression, unpack};
use std::ops::ControlFlow;

/// Modules whose signature is looked for.
const MAX_READ: usize = 64;
/// Bytes of a module at most, and of what it unpacks to.
const MAX_MODULE: u64 = 128 * MIB;
/// Where distributions and administrators put them, below a kernel's directory.
const DIRECTORIES: &[&str] = &["updates", "extra", "weak-updates", "extramodules"];

/// Sources that DKMS builds from: `/var/lib/dkms/NAME/VERSION`.
pub(super) fn dkms(tree: &Tree) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for path in tree.glob("/var/lib/dkms/*/*")? {
        let name = path.trim_start_matches("/var/lib/dkms/").to_owned();
        // Beside the versions stand links to what was built, by kernel.
        let version = name.rsplit('/').next().unwrap_or_default();
        if !version.starts_with("kernel-") && tree.exists(&format!("{path}/source"))? {
            found.push(name);
        }
    }
    Ok(found)
}

/// Modules outside the kernel's own directory.
pub(super) fn out_of_tree(tree: &Tree) -> Result<Vec<OutOfTreeModuleFacts>, Error> {
    let mut found = Vec::new();
    for (release, directory) in find::module_directories(tree)? {
        for below in DIRECTORIES {
            for path in drivers::walk(tree, &format!("{directory}/{below}"))?.unwrap_or_default() {
                if of_file(&path).is_none() {
                    continue;
                }
                let signed = if found.len() < MAX_READ {
                    is_signed(tree, &path)
                } else {
                    Fact::unknown(format!("signatures of the first {MAX_READ} modules are looked for"))
                };
                found.push(OutOfTreeModuleFacts { path, release: release.clone(), signed });
            }
        }
    }
    Ok(found)
}

/// Whether a module ends with the mark of a signature. A link to nothing is absent.
fn is_signed(tree: &Tree, path: &str) -> Fact<bool> {
    let bytes = match tree.open(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Fact::Absent,
        Err(error) => return Fact::unknown(error.to_string()),
    };
    if bytes.size() > MAX_MODULE {
        return Fact::unknown(format!("{path}: longer than any module"));
    }
    tail(&*bytes).map(|tail| tail == SIGNATURE).map_err(|what| format!("{path}: {what}")).into()
}

/// The last bytes of a module, as many as the mark has.
fn tail(bytes: &dyn ReadAt) -> Result<Vec<u8>, String> {
    let count = SIGNATURE.len().min(crate::bytes::int_usize(bytes.size()));
    let head = read_vec(bytes, 0, count.min(8)).map_err(|error| error.to_string())?;
    let Some(format) = Compression::of(&head) else {
        return read_vec(bytes, bytes.size().saturating_sub(int_u64(count)), count).map_err(|error| error.to_string());
    };
    let mut tail = Vec::new();
    let mut total = 0_u64;
    let end = unpack(bytes, 0, format, &mut |piece| {
        total = total.saturating_add(int_u64(piece.len()));
        let last = piece.len().saturating_sub(SIGNATURE.len());
        tail.extend_from_slice(piece.get(last..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(SIGNATURE.len()));
        if total > MAX_MODULE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match end {
        Ok(Some(_)) => Ok(tail),
        Ok(None) => Err("it unpacks to more than any module has".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
