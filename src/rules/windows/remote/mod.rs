//! Rules about reaching a Windows: remote desktop, firewall, Windows Remote Management, rights to log on.

use crate::rules::Rule;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];
