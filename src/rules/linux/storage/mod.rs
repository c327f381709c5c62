//! Rules about what a Linux mounts: fstab, swap, volumes, devices.

use crate::rules::Rule;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];
