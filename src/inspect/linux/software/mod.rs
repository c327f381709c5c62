//! Packages, services and agents.

mod cloud_config;
mod cloud_init;
mod distribution;
mod hypervisor;
mod packages;
mod services;
mod units;
mod waagent;

use crate::facts::{AgentsFacts, Fact, HypervisorToolsFacts, PackagesFacts, ServicesFacts};
use crate::fs::{Error, Tree};

pub(in crate::inspect) use distribution::{architecture, distribution};

/// Where programs are looked for.
const PROGRAM_DIRECTORIES: &[&str] = &["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin"];

/// Learns `packages`: absent where there is no database.
pub(super) fn packages(tree: &Tree) -> Fact<PackagesFacts> {
    packages::packages(tree)
}

/// Learns `services`: absent where nothing starts services.
pub(super) fn services(tree: &Tree) -> Fact<ServicesFacts> {
    services::services(tree)
}

/// Learns `agents`.
pub(super) fn agents(tree: &Tree) -> AgentsFacts {
    AgentsFacts {
        waagent: waagent::waagent(tree),
        cloud_init: cloud_init::cloud_init(tree),
        azure_proxy_agent: program(tree, &["azure-proxy-agent"]),
    }
}

/// Learns `hypervisor_tools`.
pub(super) fn hypervisor_tools(tree: &Tree) -> Fact<HypervisorToolsFacts> {
    hypervisor::tools(tree).into()
}

/// The first program of these names where programs are.
fn program(tree: &Tree, names: &[&str]) -> Fact<String> {
    let paths = names.iter().flat_map(|name| PROGRAM_DIRECTORIES.iter().map(move |directory| format!("{directory}/{name}")));
    first_of(tree, paths)
}

/// The first of these paths that leads to something.
fn first_of(tree: &Tree, paths: impl Iterator<Item = String>) -> Fact<String> {
    let mut trouble = None;
    for path in paths {
        match tree.exists(&path) {
            Ok(true) => return Fact::Known(path),
            Ok(false) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    trouble.map_or(Fact::Absent, |error| Fact::unknown(error.to_string()))
}

/// These directories that there are, each once: where `/lib` leads to `/usr/lib`, the same directory has two names.
fn distinct(tree: &Tree, directories: &[&str]) -> Result<Vec<String>, Error> {
    let mut known = Vec::new();
    for directory in directories {
        if let Some(found) = tree.find(directory)? {
            let path = found.path();
            if !known.contains(&path) {
                known.push(path);
            }
        }
    }
    Ok(known)
}
