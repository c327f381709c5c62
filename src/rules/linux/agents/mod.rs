//! Rules about what provisions a Linux: cloud-init, the Azure Linux agent, and the programs that they need.

mod cloud_init_settings;
mod data_source;
mod nobody_provisions;
mod programs;
mod ssh_server;
mod waagent;

use crate::rules::registry::Elsewhere;
use crate::rules::{Advice, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &nobody_provisions::RULE,
    &nobody_provisions::UNITS,
    &nobody_provisions::DISABLED,
    &nobody_provisions::DISAGREE,
    &nobody_provisions::TOLD_NOTHING,
    &data_source::RULE,
    &data_source::NOT_LISTED,
    &data_source::REPLACED,
    &cloud_init_settings::RULE,
    &cloud_init_settings::OLD,
    &cloud_init_settings::MODULES,
    &cloud_init_settings::REPORTING,
    &waagent::RULE,
    &waagent::OLD,
    &waagent::UPDATES,
    &waagent::OFF,
    &waagent::TWICE,
    &programs::RULE,
    &programs::HELPFUL,
    &ssh_server::RULE,
    &ssh_server::KEEP_ALIVE,
    &ssh_server::TARGET,
];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] =
    &[("L-32", Elsewhere::Facts, "the agent's configuration is found where each distribution keeps it, and reports name the file")];
