//! The list of rules.

use super::{Rule, container};

/// Every rule, in the order of codes.
pub static RULES: &[&Rule] = &[&container::size_not_whole_mib::RULE];

/// The rule with that code, name or catalogue id, letter case ignored. Several rules may share a catalogue id; the first is meant.
#[must_use]
pub fn find(word: &str) -> Option<&'static Rule> {
    let is = |text: &str| text.eq_ignore_ascii_case(word);
    RULES.iter().copied().find(|rule| is(rule.code) || is(rule.name)).or_else(|| RULES.iter().copied().find(|rule| is(rule.requirement)))
}
