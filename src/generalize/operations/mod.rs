//! The operations, in the order in which they are done: who is removed first, so that those behind see what is left.

mod account_backups;
mod accounts;
mod agent_configuration;
mod cloud_init_state;
mod credentials;
mod dhcp_leases;
mod domain_membership;
mod fstab;
mod histories;
mod host_name;
mod hosts;
mod lines;
mod logs;
mod lvm_devices;
mod machine_id;
mod network_config;
mod network_files;
mod paths;
mod place;
mod random_seeds;
mod resolver;
mod root;
mod ssh_host_keys;
mod subscriptions;
mod temporary_files;
mod udev_network_names;
mod waagent_state;

pub use accounts::{irremovable, unknown_users};

use super::Operation;

/// Every operation.
pub static OPERATIONS: &[&Operation] = &[
    &accounts::ACCOUNTS,
    &root::ROOT,
    &account_backups::ACCOUNT_BACKUPS,
    &machine_id::MACHINE_ID,
    &host_name::HOST_NAME,
    &dhcp_leases::DHCP_LEASES,
    &network_config::NETWORK_CONFIG,
    &udev_network_names::UDEV_NETWORK_NAMES,
    &resolver::RESOLVER,
    &lvm_devices::LVM_DEVICES,
    &random_seeds::RANDOM_SEEDS,
    &waagent_state::WAAGENT_STATE,
    &cloud_init_state::CLOUD_INIT_STATE,
    &agent_configuration::AGENT_CONFIGURATION,
    // Whoever makes new ones is told to by the agents' configuration.
    &ssh_host_keys::SSH_HOST_KEYS,
    &fstab::FSTAB,
    &histories::HISTORIES,
    &credentials::CREDENTIALS,
    &subscriptions::SUBSCRIPTIONS,
    &domain_membership::DOMAIN_MEMBERSHIP,
    &temporary_files::TEMPORARY_FILES,
    &logs::LOGS,
];

#[cfg(test)]
mod acceptance;
#[cfg(test)]
mod judged;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
