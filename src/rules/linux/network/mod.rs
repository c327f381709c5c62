//! Rules about the network of a Linux.

mod accelerated;
pub(in crate::rules::linux) mod dialect;
pub(in crate::rules::linux) mod eth0;
mod persistent_names;
mod surroundings;

use crate::rules::Rule;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &eth0::RULE,
    &eth0::STATIC,
    &eth0::BOUND,
    &eth0::FOREIGN,
    &eth0::SERVICE,
    &persistent_names::RULE,
    &persistent_names::LEFT,
    &accelerated::RULE,
    &accelerated::DRIVERS,
    &accelerated::FLOOR,
    &surroundings::RULE,
    &surroundings::FIREWALL,
    &surroundings::TWO,
];
