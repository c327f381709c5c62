//! The initramfs of each kernel.

use super::find::{self, Kernel};
use crate::bytes::{GIB, without_secrets};
use crate::facts::{Fact, InitramfsContentFacts, InitramfsFacts, ModuleLineFacts, ParameterFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::initramfs::{Limits, Listing, Maker, list};
use crate::guest::linux::modprobe;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kernels whose initramfs is read, the newest first.
const MAX_READ: usize = 16;
/// Bytes that all of them together may unpack to.
const MAX_UNPACKED: u64 = 6 * GIB;

/// What was learnt of one initramfs.
#[derive(Debug, Clone)]
pub(super) struct Initramfs {
    pub(super) facts: Fact<InitramfsFacts>,
    /// Its content; `None` where there is no initramfs, the reason where it is not known.
    pub(super) listing: Result<Option<Arc<Listing>>, String>,
}

/// Reads one after the other, each file once.
#[derive(Debug)]
pub(super) struct Reader {
    known: BTreeMap<String, Result<Arc<Listing>, String>>,
    left: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self { known: BTreeMap::new(), left: MAX_UNPACKED }
    }
}

impl Reader {
    /// Reads the initramfs of a kernel. `own` says that the kernel carries one itself.
    pub(super) fn read(&mut self, tree: &Tree, kernel: &Kernel, own: bool) -> Initramfs {
        match self.try_read(tree, kernel) {
            Ok(Some(found)) => found,
            Ok(None) if own => {
                let reason = "it is part of the kernel image, which is not unpacked".to_owned();
                Initramfs { facts: Fact::unknown(&reason), listing: Err(reason) }
            }
            Ok(None) => Initramfs { facts: Fact::Absent, listing: Ok(None) },
            Err(error) => Initramfs { facts: Fact::unknown(error.to_string()), listing: Err(error.to_string()) },
        }
    }

    fn try_read(&mut self, tree: &Tree, kernel: &Kernel) -> Result<Option<Initramfs>, Error> {
        for path in find::initramfs(tree, kernel)? {
            let Some(found) = tree.find(&path)? else { continue };
            if !find::is_file(tree, &path)? {
                continue;
            }
            let target = found.path();
            let result = match self.known.get(&target) {
                Some(known) => known.clone(),
                None => {
                    let result = self.list(tree, &path);
                    self.known.insert(target, result.clone());
                    result
                }
            };
            let content = result.as_ref().map(|listing| content(listing)).map_err(Clone::clone);
            let facts = InitramfsFacts { path, size: found.node.size, content: content.into() };
            return Ok(Some(Initramfs { facts: Fact::Known(facts), listing: result.map(Some) }));
        }
        Ok(None)
    }

    fn list(&mut self, tree: &Tree, path: &str) -> Result<Arc<Listing>, String> {
        if self.known.len() >= MAX_READ {
            return Err(format!("{path}: only those of the {MAX_READ} newest kernels are read"));
        }
        let bytes = tree.open(path).map_err(|error| error.to_string())?.ok_or_else(|| format!("{path}: no file"))?;
        let limits = Limits::default();
        let limits = Limits { unpacked: limits.unpacked.min(self.left), ..limits };
        let result = list(&*bytes, &limits);
        // What failed may have unpacked as much as it was allowed.
        let used = result.as_ref().map_or(limits.unpacked, Listing::unpacked);
        self.left = self.left.saturating_sub(used);
        result.map(Arc::new).map_err(|error| format!("{path}: {error}"))
    }
}

fn content(listing: &Listing) -> InitramfsContentFacts {
    let mut blacklisted = Vec::new();
    let mut disabled = Vec::new();
    let mut parameters = Vec::new();
    for (path, text) in &listing.texts {
        if path.contains("modprobe.d/") {
            for line in modprobe::parse(text) {
                let fact = |module: &str, text: String| ModuleLineFacts {
                    module: module.to_owned(),
                    text,
                    file: path.clone(),
                    line: number(line.number),
                };
                if let modprobe::Command::Blacklist { module } = &line.command {
                    blacklisted.push(fact(module, format!("blacklist {module}")));
                }
                if let Some((module, text)) = line.command.disables() {
                    disabled.push(fact(module, text));
                }
            }
        } else if path.contains("cmdline") {
            let words = text.split_whitespace().map(without_secrets);
            parameters.extend(words.map(|parameter| ParameterFacts { file: path.clone(), parameter }));
        }
    }
    let segments = &listing.segments.segments;
    InitramfsContentFacts {
        compression: segments.iter().map(|segment| segment.compression.map_or("none", |format| format.as_str()).to_owned()).collect(),
        entries: listing.entries(),
        unpacked: listing.unpacked(),
        maker: listing.maker.map(Maker::as_str).map(str::to_owned).into(),
        host_only: listing.host_only.into(),
        releases: listing.modules.keys().filter(|release| !release.is_empty()).cloned().collect(),
        blacklisted,
        disabled,
        parameters,
        ignored: listing.segments.ignored.clone().into(),
    }
}

/// A line's number as facts have it.
pub(super) fn number(line: usize) -> u64 {
    crate::bytes::int_u64(line)
}
