//! Rules about what a Linux must not bring along: accounts, keys, identity, state of an earlier machine.

mod accounts;
mod agents;
pub(in crate::rules::linux) mod identity;
mod specialized;
mod traces;

use crate::rules::registry::Elsewhere;
use crate::rules::{Advice, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &accounts::RULE,
    &accounts::OTHERS,
    &accounts::BACKUPS,
    &accounts::BELONGINGS,
    &accounts::SECRETS,
    &accounts::ROOT,
    &accounts::EMPTY,
    &identity::RULE,
    &identity::SHARED,
    &identity::NONE_MADE,
    &identity::ID,
    &identity::NO_ID,
    &identity::NAME,
    &identity::KEPT,
    &agents::RULE,
    &agents::TRUSTS,
    &agents::AGENT,
    &agents::EXTENSIONS,
    &traces::RULE,
    &traces::NETWORK,
    &traces::LEASES,
    &traces::LOGS,
    &traces::SEEDS,
    &traces::SECRET,
    &traces::HISTORIES,
    &traces::TOO_LONG,
    &traces::SUBSCRIBED,
    &traces::TOOLS,
    &specialized::RULE,
    &specialized::RESET,
    &specialized::AGAIN,
];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[
    ("L-62", Elsewhere::Recipe, "the proxy agent is needed only where a deployment asks for it; reports show whether its program is there"),
    ("LG-05", Elsewhere::Facts, "that the agent has locked root is evidence for the state, and nothing to mend"),
    (
        "LG-24",
        Elsewhere::Nowhere,
        "how the loader was copied leaves no mark; a fallback loader that is missing or not whole is found as such",
    ),
];
