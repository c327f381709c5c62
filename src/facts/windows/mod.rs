//! What is known of a Windows.

mod accounts;
mod agent;
mod boot;
mod crash;
mod drives;
mod firewall;
mod hives;
mod network;
mod product;
mod rdp;
mod residue;
mod services;
mod sysprep;
mod system;

pub use accounts::*;
pub use agent::*;
pub use boot::*;
pub use crash::*;
pub use drives::*;
pub use firewall::*;
pub use hives::*;
pub use network::*;
pub use product::*;
pub use rdp::*;
pub use residue::*;
pub use services::*;
pub use sysprep::*;
pub use system::*;

use super::Fact;
use serde::Serialize;

/// What only a Windows has. Paths begin with `\` and lie on the volume that holds `\Windows`. Registry values that are not set are
/// absent; those of a hive that cannot be read are unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsFacts {
    /// The hives that the other facts come from.
    pub hives: HivesFacts,
    /// Edition, version, role.
    pub product: WindowsProductFacts,
    /// Computer name and domain.
    pub name: WindowsNameFacts,
    /// Services and drivers of interest here that are registered, by name; one that is not listed is not registered.
    pub services: Fact<Vec<WindowsServiceFacts>>,
    /// Clock, power, page files, policies.
    pub system: WindowsSystemFacts,
    /// Interfaces, routes, proxy.
    pub network: WindowsNetworkFacts,
    /// Remote desktop.
    pub rdp: RdpFacts,
    /// The firewall's profiles and rules.
    pub firewall: WindowsFirewallFacts,
    /// Windows Remote Management.
    pub winrm: WinRmFacts,
    /// Dumps of the kernel and of programs.
    pub crash: CrashFacts,
    /// The boot configuration store; absent where there is none.
    pub boot_store: Fact<BootStoreFacts>,
    /// Drive letters.
    pub drives: Fact<Vec<DriveLetterFacts>>,
    /// The Azure VM agent.
    pub agent: WindowsAgentFacts,
    /// What waits for the next start.
    pub pending: PendingFacts,
    /// Answer files of Windows Setup, and traces of an earlier provisioning; never their content.
    pub answer_files: AnswerFileFacts,
    /// BitLocker's settings.
    pub bitlocker: BitLockerFacts,
    /// Hibernation and fast startup.
    pub hibernation: HibernationFacts,
    /// Marks of Sysprep.
    pub sysprep: SysprepFacts,
    /// Local accounts and rights; never a hash.
    pub accounts: WindowsAccountsFacts,
}
