//! `manifest.json`: what was written. It is published last; where it is missing, the image is not finished.

use super::generalized::Generalized;
use super::plan::Step;
use crate::bytes::printable_json;
use crate::facts::json::SCHEMA_VERSION;
use serde::{Deserialize, Serialize};

/// Name of the manifest in the directory of an image.
pub const MANIFEST: &str = "manifest.json";
/// Name of the list of digests.
pub const SUMS: &str = "SHA256SUMS";
/// No manifest of ours is larger.
pub const MAX_MANIFEST: u64 = 16 << 20;

/// A prepared image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this document.
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool: Tool,
    /// The image as a whole.
    pub image: Image,
    /// Its disks, the OS disk first.
    pub disks: Vec<Disk>,
    /// The verdict on what was written: `ready`, or `undecided` where that was accepted.
    pub verdict: String,
    /// Codes of by-hand findings that were accepted.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// Findings that were waived, with their reasons.
    #[serde(default)]
    pub waived: Vec<Waived>,
    /// Findings on what was written that were accepted, with their messages.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
    /// Codes of rules that could not be decided, accepted with `--allow-undecided`.
    #[serde(default)]
    pub undecided: Vec<String>,
    /// Rule set that it was judged by.
    #[serde(default = "azure")]
    pub profile: String,
    /// What was done to make a template of its guest; `null` where that was not asked for.
    #[serde(default)]
    pub generalized: Option<Generalized>,
}

fn azure() -> String {
    "azure".to_owned()
}

/// A waived finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waived {
    /// Code of the rule.
    pub code: String,
    /// Why.
    pub reason: String,
}

/// A finding that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Code of the rule.
    pub code: String,
    /// Name of the rule.
    pub rule: String,
    /// File that it speaks of; `null` for the image.
    pub file: Option<String>,
    /// What was found.
    pub message: String,
    /// By which option: `allow` or `waive`.
    pub by: String,
}

/// Name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `vhdkit`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Tool {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// The image as a whole; what is not known is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `os-image`, `vm-image`, or `null` for a data disk alone.
    pub kind: Option<String>,
    /// Its name.
    pub name: String,
    /// The state that it was prepared for.
    pub state: Option<String>,
    /// Hyper-V generation.
    pub generation: Option<u8>,
    /// `x64` or `Arm64`.
    pub architecture: Option<String>,
    /// `linux` or `windows`.
    pub os: Option<String>,
}

/// One disk of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `os` or `data`.
    pub role: Option<String>,
    /// LUN of a data disk of an image.
    pub lun: Option<u8>,
    /// File name in this directory.
    pub file: String,
    /// Unique id in its footer.
    #[serde(default)]
    pub unique_id: Option<String>,
    /// Bytes of the disk.
    pub virtual_size: u64,
    /// Bytes of the file: what `az disk create --upload-size-bytes` takes.
    pub upload_size_bytes: u64,
    /// fs-verity digest of the file.
    pub fsverity: Option<String>,
    /// SHA-256 of the file.
    pub sha256: Option<String>,
    /// Bytes in ranges that are not zero.
    pub data_bytes: u64,
    /// Bytes that are not zero in ranges that the guest's file systems call free, and were left out.
    #[serde(default)]
    pub trimmed_bytes: u64,
    /// Where it came from.
    pub source: Source,
    /// What was done.
    pub steps: Vec<Step>,
}

/// Where a disk came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Path as given.
    pub path: String,
    /// `vhd`, `raw`, …
    pub format: String,
    /// `fixed`, `dynamic`, `differencing`.
    pub kind: Option<String>,
    /// Identity of the source.
    pub unique_id: Option<String>,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadManifest {
    /// Not JSON, or not of this shape.
    #[error("it is not a manifest of vhdkit")]
    Json(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("its schema version is {0}; this version reads {SCHEMA_VERSION}")]
    Version(u32),
    /// A file name that leads elsewhere.
    #[error("it names the file '{}', which is not a plain file name", crate::bytes::printable(.0))]
    Name(String),
    /// No disks.
    #[error("it lists no disks")]
    Empty,
}

impl Manifest {
    /// Accounts that are kept knowingly, for every machine made from the image.
    #[must_use]
    pub fn kept_users(&self) -> &[String] {
        self.generalized.as_ref().map(|generalized| generalized.kept_users.as_slice()).unwrap_or_default()
    }

    /// Parses a manifest and refuses names that lead out of its directory.
    ///
    /// # Errors
    ///
    /// When it is of another shape, of a later version, or names files outside its directory.
    pub fn parse(text: &[u8]) -> Result<Self, BadManifest> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let Version { schema_version } = serde_json::from_slice(text)?;
        if schema_version != SCHEMA_VERSION {
            return Err(BadManifest::Version(schema_version));
        }
        let manifest: Self = serde_json::from_slice(text)?;
        if manifest.disks.is_empty() {
            return Err(BadManifest::Empty);
        }
        match manifest.disks.iter().find(|disk| !is_plain_name(&disk.file)) {
            Some(disk) => Err(BadManifest::Name(disk.file.clone())),
            None => Ok(manifest),
        }
    }

    /// The manifest as it is written: two spaces of indentation, a line feed at the end.
    ///
    /// # Errors
    ///
    /// As `serde_json`; none of our types can fail.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(printable_json(&serde_json::to_string_pretty(self)?) + "\n")
    }

    /// The lines of `SHA256SUMS`; `None` unless every disk has its digest.
    #[must_use]
    pub fn sums(&self) -> Option<String> {
        self.disks.iter().map(|disk| Some(format!("{}  {}\n", disk.sha256.as_ref()?, disk.file))).collect()
    }
}

/// Whether a name stays in its directory on every platform.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let bad = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
    !name.is_empty() && name != "." && name != ".." && !name.contains(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "../os.vhd", "/etc/passwd", "a\\b", "C:x", "a\nb"] {
            assert!(!is_plain_name(name), "{name:?}");
        }
        assert!(is_plain_name("os.vhd"));
    }

    #[test]
    fn later_versions_and_other_documents_are_refused() {
        assert!(matches!(Manifest::parse(b"{\"schema_version\": 2}"), Err(BadManifest::Version(2))));
        assert!(matches!(Manifest::parse(b"[]"), Err(BadManifest::Json(_))));
        assert!(matches!(Manifest::parse(b"{\"schema_version\": 1}"), Err(BadManifest::Json(_))));
    }
}
