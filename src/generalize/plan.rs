//! From a guest to what must change.

use super::{Draft, OPERATIONS, Planned, System};
use crate::fs;

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
pub enum CannotPlan {
    /// Something that an operation must know could not be read.
    #[error("the operation '{operation}' cannot tell what to do: {error}")]
    Unread {
        /// Name of the operation.
        operation: &'static str,
        /// What could not be read.
        error: fs::Error,
    },
}

/// Plans the operations that are wanted, in the order of the registry; each sees what those before it leave.
///
/// # Errors
///
/// When something that decides cannot be read: what is unknown is not absent, and a template that keeps it would not be one.
pub fn plan(system: &System<'_>) -> Result<Planned, CannotPlan> {
    let mut draft = Draft::new(system.tree);
    for operation in OPERATIONS.iter().filter(|one| system.wishes.operations.contains(one.name)) {
        draft.begin(operation);
        (operation.plan)(system, &mut draft).map_err(|error| CannotPlan::Unread { operation: operation.name, error })?;
    }
    Ok(draft.finish())
}
