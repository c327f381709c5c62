//! Rules about what the image is for.

use crate::facts::State;
use crate::rules::{Skip, Subject, Target};

pub(in crate::rules) mod no_operating_system;
pub(in crate::rules) mod state_mismatch;

/// The state asked for; it is asked of the OS disk alone.
fn demand_state(subject: &Subject<'_>, target: &Target) -> Result<State, Skip> {
    if subject.lun.is_some() {
        return Err(Skip::not_applicable("a data disk of the image"));
    }
    target.state.ok_or_else(|| Skip::not_applicable("no state was asked for"))
}
