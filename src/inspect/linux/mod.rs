//! What a Linux is, from its tree of files.

mod accounts;
mod boot;
mod identity;
mod kernel;
mod mounts;
mod network;
mod residue;
mod security;
mod software;
mod ssh;
mod state;
mod sudo;

use crate::facts::{Fact, LinuxFacts, State};
use crate::fs::Tree;

pub(crate) use residue::{CREDENTIALS, HISTORIES};
pub(super) use software::{architecture, distribution};

/// Learns everything about a Linux.
#[must_use]
pub fn learn(tree: &Tree) -> LinuxFacts {
    LinuxFacts {
        kernels: kernel::kernels(tree),
        modules: kernel::modules(tree),
        boot: boot::boot(tree),
        packages: software::packages(tree),
        services: software::services(tree),
        agents: software::agents(tree),
        hypervisor_tools: software::hypervisor_tools(tree),
        mounts: mounts::mounts(tree),
        network: network::network(tree),
        identity: identity::identity(tree),
        accounts: accounts::accounts(tree),
        ssh: ssh::ssh(tree),
        residue: residue::residue(tree),
        security: security::security(tree),
    }
}

/// The name on the network.
pub(super) fn host_name(facts: &LinuxFacts) -> Fact<String> {
    facts.identity.host_name.clone().map(|name| name.name)
}

/// Whether it is generalized, and what says so.
pub(super) fn state(facts: &LinuxFacts) -> (Fact<State>, Vec<String>) {
    state::state(facts)
}
