//! Installed packages, and tools of other hypervisors.

use serde::Serialize;

/// Installed packages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PackagesFacts {
    /// Who installed them: `dpkg`, `rpm`, `apk`, `pacman`.
    pub manager: String,
    /// Where the list was read: `/var/lib/dpkg/status`.
    pub database: String,
    /// How many there are.
    pub count: u64,
    /// Those of interest here, by name: agents, kernels, boot loaders, network, SSH, time, storage, tools of hypervisors. One that is not
    /// listed is not installed.
    pub of_interest: Vec<PackageFacts>,
}

impl PackagesFacts {
    /// The packages of a name, the first first; several architectures or kernels may stand side by side.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PackageFacts> {
        self.of_interest.iter().filter(move |package| package.name == name)
    }
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct PackageFacts {
    /// Its name.
    pub name: String,
    /// Its version, with epoch and release as its manager writes them: `1:2.0-3`.
    pub version: String,
    /// Its architecture, in its manager's words: `amd64`, `x86_64`, `all`.
    pub architecture: String,
}

/// Tools of other hypervisors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HypervisorToolsFacts {
    /// What was found.
    pub tools: Vec<HypervisorToolFacts>,
}

/// Tools of one hypervisor or cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HypervisorToolFacts {
    /// What people call them: `open-vm-tools`.
    pub name: String,
    /// Where they were made for: `VMware`, `Amazon EC2`.
    pub platform: String,
    /// Files that show it.
    pub evidence: Vec<String>,
}
