//! Packages, services and agents.

mod agents;
mod packages;
mod services;

pub use agents::{
    AgentsFacts, AzureSourceFacts, CloudConfigFacts, CloudConfigFileFacts, CloudInitFacts, DsIdentifyFacts, OverrideFacts,
    WaagentConfigurationFacts, WaagentFacts,
};
pub use packages::{HypervisorToolFacts, HypervisorToolsFacts, PackageFacts, PackagesFacts};
pub use services::{ServicesFacts, UnitFacts, UnitState};
