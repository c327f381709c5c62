//! Rules about starting a Windows: boot configuration store, drivers, what waits for the next start.

use crate::rules::{Advice, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[];
