//! Rules about what provisions a Linux: cloud-init, the Azure Linux agent, and the programs that they need.

use crate::rules::{Advice, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[];
