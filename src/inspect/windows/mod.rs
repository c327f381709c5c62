//! What a Windows is, from its tree of files.
//!
//! Nearly all of it stands in the registry, whose hives are read cell by cell with their logs applied in memory. Values come from the
//! control set that Windows would use. A hive that is missing or damaged leaves what the others tell.

mod accounts;
mod agent;
mod boot;
mod drives;
mod firewall;
mod network;
mod partitions;
mod product;
mod registry;
mod residue;
mod services;
mod state;
mod sysprep;
mod system;
#[cfg(test)]
mod tests;

use crate::facts::{DiskFacts, Fact, State, WindowsFacts};
use crate::fs::Tree;
use registry::Registry;

/// A Windows with what lies around it.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// The files of the volume that holds `\Windows`.
    pub tree: &'a Tree,
    /// Those of the partition that starts it, where that is another one: the ESP, or the active partition.
    pub boot: Option<&'a Tree>,
    /// The disks given, its own first: their partitions are what boot entries and drive letters point to.
    pub disks: &'a [&'a DiskFacts],
}

/// What every operating system is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `10.0.20348.2113`.
    pub version: Fact<String>,
    /// `Windows Server 2022 Datacenter`.
    pub name: Fact<String>,
    /// `x64`, `Arm64`, `x86`.
    pub architecture: Fact<String>,
    /// Its name on the network.
    pub host_name: Fact<String>,
}

/// Learns everything about a Windows.
#[must_use]
pub fn learn(machine: &Machine<'_>) -> WindowsFacts {
    let tree = machine.tree;
    let registry = Registry::open(tree);
    let product = product::product(&registry, tree);
    let name = product::names(&registry);
    let services = services::services(&registry, tree, product.system_root.value().map(String::as_str));
    let rdp = network::rdp(&registry);
    WindowsFacts {
        firewall: firewall::firewall(&registry, network::rdp_port(&rdp)),
        agent: agent::agent(tree, &services),
        pending: residue::pending(&registry, tree, &name),
        system: system::system(&registry),
        network: network::network(&registry),
        winrm: network::winrm(&registry),
        crash: system::crash(&registry),
        boot_store: boot::boot_store(machine),
        drives: drives::drives(&registry, machine.disks),
        answer_files: residue::answer_files(&registry, tree),
        bitlocker: residue::bitlocker(&registry),
        hibernation: residue::hibernation(&registry, tree),
        sysprep: sysprep::sysprep(&registry, tree),
        accounts: accounts::accounts(&registry),
        hives: registry.facts(),
        product,
        name,
        services,
        rdp,
    }
}

/// Who it is.
#[must_use]
pub fn identity(facts: &WindowsFacts) -> Identity {
    product::identity(facts)
}

/// Whether it is generalized, and what says so.
#[must_use]
pub fn state(facts: &WindowsFacts) -> (Fact<State>, Vec<String>) {
    state::state(facts)
}
