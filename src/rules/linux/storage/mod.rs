//! Rules about what a Linux mounts: fstab, swap, volumes, devices.

use crate::rules::Rule;

pub(in crate::rules) mod crypttab;
pub(in crate::rules) mod fstab;
pub(in crate::rules) mod root;
pub(in crate::rules) mod state;
pub(in crate::rules) mod swap;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &fstab::DEVICE_NAME,
    &fstab::ABSENT,
    &root::RULE,
    &state::LVM_DEVICES,
    &swap::RULE,
    &state::NOT_CLEAN,
    &state::SELINUX,
    &state::LINKS,
    &fstab::OPTIONAL_DEVICE_NAME,
    &fstab::SLOW,
    &state::ROOT_ON_LVM,
    &fstab::SCSI_LINK,
    &crypttab::RULE,
];
