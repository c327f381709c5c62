//! Booting, and the operating system.

use super::Fact;
use serde::Serialize;

/// How a disk can boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootFacts {
    /// Hyper-V generations: 1 by BIOS, 2 by UEFI.
    pub generations: Fact<Vec<u8>>,
    /// `x64`, `Arm64`, `x86`.
    pub architecture: Fact<String>,
    /// Boot loaders.
    pub loaders: Fact<Vec<LoaderFacts>>,
    /// What led to the generations, one plain sentence each.
    pub evidence: Vec<String>,
}

/// A boot loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoaderFacts {
    /// Generation that starts it.
    pub generation: u8,
    /// What it is: `GRUB`, `Windows`, …
    pub name: String,
    /// Where: `MBR`, `partition 1`, or a path on the ESP.
    pub place: String,
}

/// The operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OsFacts {
    /// Linux or Windows.
    pub family: Fact<OsFamily>,
    /// Generalized, specialized, or neither whole.
    pub state: Fact<State>,
    /// What led to the state.
    pub state_evidence: Vec<String>,
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
