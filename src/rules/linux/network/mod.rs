//! Rules about the network of a Linux.

use crate::rules::Rule;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];
