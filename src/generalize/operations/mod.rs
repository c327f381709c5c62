//! The operations, in the order in which they are done: who is removed first, so that those behind see what is left.

mod dhcp_leases;
mod host_name;
mod hosts;
mod lines;
mod logs;
mod lvm_devices;
mod machine_id;
mod network_config;
mod network_files;
mod paths;
mod random_seeds;
mod resolver;
mod ssh_host_keys;
mod temporary_files;
mod udev_network_names;

use super::Operation;

/// Every operation.
pub static OPERATIONS: &[&Operation] = &[
    &ssh_host_keys::SSH_HOST_KEYS,
    &machine_id::MACHINE_ID,
    &host_name::HOST_NAME,
    &dhcp_leases::DHCP_LEASES,
    &network_config::NETWORK_CONFIG,
    &udev_network_names::UDEV_NETWORK_NAMES,
    &resolver::RESOLVER,
    &lvm_devices::LVM_DEVICES,
    &random_seeds::RANDOM_SEEDS,
    &temporary_files::TEMPORARY_FILES,
    &logs::LOGS,
];

#[cfg(test)]
mod acceptance;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
