//! Rules about what the image is for.

use crate::facts::State;
use crate::rules::{Advice, Rule, Skip, Subject, Target};

pub(in crate::rules) mod no_operating_system;
pub(in crate::rules) mod state_mismatch;

/// The rules of this folder.
pub(super) static RULES: &[&Rule] = &[&no_operating_system::RULE, &state_mismatch::RULE];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[];

/// The state asked for; it is asked of the OS disk alone.
fn demand_state(subject: &Subject<'_>, target: &Target) -> Result<State, Skip> {
    if subject.lun.is_some() {
        return Err(Skip::not_applicable("a data disk of the image"));
    }
    target.state.ok_or_else(|| Skip::not_applicable("no state was asked for"))
}
