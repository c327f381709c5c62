//! The Azure VM agent.

use crate::facts::Fact;
use serde::Serialize;

/// The Azure VM agent. Its services stand among the others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsAgentFacts {
    /// Whether one of its services is registered.
    pub registered: Fact<bool>,
    /// Directories `\WindowsAzure\GuestAgent_…`, by name.
    pub directories: Fact<Vec<String>>,
    /// The newest version that a directory or a service's program names: `2.7.41491.1010`; absent where none does.
    pub version: Fact<String>,
    /// Whether `\WindowsAzure` is there and no service is: a half-done installation, or what is left of one.
    pub half_installed: Fact<bool>,
    /// Whether `\WindowsAzure\Packages` is there.
    pub packages: Fact<bool>,
    /// Extensions: entries of `\Packages\Plugins`.
    pub extensions: Fact<Vec<String>>,
    /// Logs of extensions: entries of `\WindowsAzure\Logs\Plugins`.
    pub extension_logs: Fact<Vec<String>>,
}
