//! What generalizing did, as a manifest keeps it.

use crate::bytes::printable;
use crate::generalize::{Action, OPERATIONS, Planned, Wishes};
use serde::{Deserialize, Serialize};

/// What was done to make a template of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generalized {
    /// The operations that were asked for, in the order in which they were done.
    pub operations: Vec<DoneOperation>,
    /// Accounts that were kept knowingly.
    pub kept_users: Vec<String>,
}

/// An operation that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneOperation {
    /// Its name.
    pub name: String,
    /// Row of the requirement catalogue.
    pub requirement: String,
    /// What it changed; empty where nothing was left to change.
    pub changes: Vec<DoneChange>,
}

/// A path that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneChange {
    /// Path in the guest.
    pub path: String,
    /// `removed`, `emptied`, `truncated`, `rewritten` or `created`.
    pub action: String,
    /// Names that went with it, where it was removed or emptied.
    #[serde(default)]
    pub names: Option<usize>,
}

impl Generalized {
    /// What is done by a plan.
    #[must_use]
    pub fn of(planned: &Planned, wishes: &Wishes) -> Self {
        let wanted = OPERATIONS.iter().filter(|one| wishes.operations.contains(one.name));
        let operations = wanted.map(|operation| {
            let changes = planned.changes.iter().filter(|change| change.operation == operation.name).map(|change| {
                let (action, names) = action(change.action);
                DoneChange { path: printable(&change.path), action: action.to_owned(), names }
            });
            DoneOperation { name: operation.name.to_owned(), requirement: operation.requirement.to_owned(), changes: changes.collect() }
        });
        Self { operations: operations.collect(), kept_users: wishes.keep.iter().cloned().collect() }
    }
}

/// An action in a word, and how many names it takes with it.
#[must_use]
pub fn action(action: Action) -> (&'static str, Option<usize>) {
    match action {
        Action::Removed { names } => ("removed", Some(names)),
        Action::Emptied { names } => ("emptied", Some(names)),
        Action::Truncated => ("truncated", None),
        Action::Rewritten => ("rewritten", None),
        Action::Created => ("created", None),
    }
}
