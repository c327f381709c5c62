//! Rules about a Windows: what it is, and the settings of its services, clock, storage and network.

use crate::rules::{Advice, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[];
