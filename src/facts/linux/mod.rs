//! What is known of a Linux.

mod accounts;
mod boot;
mod identity;
mod kernel;
mod mounts;
mod network;
mod residue;
mod security;
mod software;

pub use accounts::*;
pub use boot::*;
pub use identity::*;
pub use kernel::*;
pub use mounts::*;
pub use network::*;
pub use residue::*;
pub use security::*;
pub use software::*;

use super::Fact;
use serde::Serialize;

/// What only a Linux has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinuxFacts {
    /// Every kernel under `/boot` or `/lib/modules`, the newest first.
    pub kernels: Fact<Vec<KernelFacts>>,
    /// `modprobe.d`, and what initramfs makers were told to include.
    pub modules: ModuleSettingsFacts,
    /// Boot loaders' configuration and the kernel command line.
    pub boot: LinuxBootFacts,
    /// Package versions, of those packages that matter here.
    pub packages: Fact<PackagesFacts>,
    /// Units and services that start by themselves.
    pub services: Fact<ServicesFacts>,
    /// The Azure Linux agent and cloud-init.
    pub agents: AgentsFacts,
    /// Tools of other hypervisors.
    pub hypervisor_tools: Fact<HypervisorToolsFacts>,
    /// fstab, crypttab, swap.
    pub mounts: MountsFacts,
    /// Interfaces in all dialects, and udev's names for them.
    pub network: NetworkFacts,
    /// Machine id, host name.
    pub identity: IdentityFacts,
    /// Who can log in and how; never a hash.
    pub accounts: AccountsFacts,
    /// sshd's configuration and host keys; never a key.
    pub ssh: SshFacts,
    /// Histories, leases, logs, seeds, and the state of the agents.
    pub residue: ResidueFacts,
    /// SELinux, subscriptions, firewalls.
    pub security: SecurityFacts,
}
