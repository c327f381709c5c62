//! Rules about starting a Linux: kernels, drivers, initial ramdisks, boot loaders, the kernel command line.

use crate::rules::Rule;

pub(in crate::rules) mod blacklisted;
pub(in crate::rules) mod blocked;
pub(in crate::rules) mod console;
pub(in crate::rules) mod drivers;
pub(in crate::rules) mod dvd;
pub(in crate::rules) mod identity;
pub(in crate::rules) mod kernel_floor;
pub(in crate::rules) mod menu;
pub(in crate::rules) mod nvme;
pub(in crate::rules) mod parameters;
pub(in crate::rules) mod started;
pub(in crate::rules) mod time;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &drivers::STORAGE_EARLY,
    &drivers::NETWORK,
    &blacklisted::RULE,
    &drivers::NOT_LASTING,
    &kernel_floor::TOO_OLD,
    &kernel_floor::SACK_PANIC,
    &console::CONSOLE,
    &parameters::HARMFUL,
    &parameters::QUIET,
    &menu::NOT_SERIAL,
    &menu::NO_MENU,
    &parameters::NOT_IN_EFFECT,
    &dvd::NEEDS_DISC,
    &nvme::DRIVER,
    &time::RULE,
    &identity::NOT_ENDORSED,
    &identity::UBUNTU_KERNEL,
    &drivers::OTHER_KERNELS,
    &kernel_floor::OLD,
    &console::EARLY,
    &menu::INCOMPLETE,
    &dvd::MAY_NEED_DISC,
    &nvme::TIMEOUT,
];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[crate::rules::Advice] = &[];
