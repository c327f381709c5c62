//! Rules about what a Linux must not bring along: accounts, keys, identity, state of an earlier machine.

use crate::rules::{Advice, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[];
