//! Rules about the Azure VM agent, and about software that Azure does not support.

use crate::rules::Rule;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];
