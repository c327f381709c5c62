//! The operations, in the order in which they are done: who is removed first, so that those behind see what is left.

mod machine_id;

use super::Operation;

/// Every operation.
pub static OPERATIONS: &[&Operation] = &[&machine_id::MACHINE_ID];

#[cfg(test)]
mod tests;
