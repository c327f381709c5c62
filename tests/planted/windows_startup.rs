//! Faults in how a Windows starts, in its agent, and in its generalization.

use super::windows::{Said, healthy_disk};
use vhdkit::facts::State;
use vhdkit::rules::{Profile, Severity};

/// What may be said of a healthy disk all the same, and why.
const ACCEPTED: &[(&str, &str)] = &[];

#[test]
fn healthy_disks_have_no_fault() {
    for state in [State::Generalized, State::Specialized] {
        for profile in [Profile::Azure, Profile::Marketplace] {
            let Some(Said { findings, undecided }) = healthy_disk(state, profile) else { return };
            let unexpected: Vec<_> = findings.iter().filter(|(code, ..)| !ACCEPTED.iter().any(|(accepted, _)| accepted == code)).collect();
            assert!(unexpected.iter().all(|(_, severity, _)| *severity < Severity::Warning), "{state}, {profile}: {unexpected:#?}");
            assert!(undecided.is_empty(), "{state}, {profile}: {undecided:?}");
            eprintln!("{state}, {profile}: {findings:#?}");
        }
    }
}
