//! The operating system on a disk.

use super::{Fact, LinuxFacts, WindowsFacts};
use serde::Serialize;

/// The operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OsFacts {
    /// Linux or Windows.
    pub family: Fact<OsFamily>,
    /// `ID` of os-release, or `windows`.
    pub id: Fact<String>,
    /// `VERSION_ID` of os-release; of Windows its build with the update revision: `10.0.20348.2113`.
    pub version: Fact<String>,
    /// What people call it: `PRETTY_NAME` of os-release, or the product name.
    pub name: Fact<String>,
    /// `x64`, `Arm64`, `x86`, from its own programs.
    pub architecture: Fact<String>,
    /// Its name on the network.
    pub host_name: Fact<String>,
    /// Generalized, specialized, or neither whole.
    pub state: Fact<State>,
    /// What led to the state, one plain sentence each.
    pub state_evidence: Vec<String>,
    /// Where its root is.
    pub root: Fact<OsRoot>,
    /// What was joined to its tree, the root first.
    pub file_systems: Vec<MountedFacts>,
    /// Other installations on the same disks, in words.
    pub others: Vec<String>,
    /// What only a Linux has.
    pub linux: Fact<LinuxFacts>,
    /// What only a Windows has.
    pub windows: Fact<WindowsFacts>,
}

/// Where a root is: a partition's number, or a volume's name; the number of its disk stands beside where several were given together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OsRoot {
    /// A partition of this disk.
    Partition(u32),
    /// A logical volume, or `disk` for a file system without a partition.
    Volume(String),
}

/// A file system in the guest's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountedFacts {
    /// Where the guest mounts it: `/`, `/boot/efi`.
    pub at: String,
    /// What it is on: `partition 1`, `vg0/var`, `partition 1, subvolume @home`.
    pub from: String,
    /// The name that blkid has for it.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Families of guests that Azure knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OsFamily {
    /// Any Linux.
    Linux,
    /// Any Windows.
    Windows,
}

/// State of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A template for many machines.
    Generalized,
    /// One machine.
    Specialized,
    /// Marks of both.
    Inconsistent,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Generalized => "generalized",
            Self::Specialized => "specialized",
            Self::Inconsistent => "inconsistent",
        })
    }
}
