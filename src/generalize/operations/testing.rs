//! A short way to ask what an operation does to a small guest.

use crate::fs::testing::tree;
use crate::fs::{Error, Tree};
use crate::generalize::{Draft, Operation, Planned, System, Wishes};
use crate::inspect::of_tree;

/// Lets an operation plan, and looks at what it has planned.
pub(super) fn with<T>(operation: &'static Operation, tree: &Tree, look: impl FnOnce(Draft<'_>) -> T) -> Result<T, Error> {
    let os = of_tree(tree);
    let wishes = Wishes::default();
    let system = System::new(tree, &os, &wishes).unwrap();
    let mut draft = Draft::new(tree);
    draft.begin(operation);
    (operation.plan)(&system, &mut draft)?;
    Ok(look(draft))
}

/// What is planned.
pub(super) fn planned(operation: &'static Operation, files: &[(&str, &str)]) -> Planned {
    with(operation, &tree(files), |draft| draft.finish()).unwrap()
}

/// What a file holds afterwards.
pub(super) fn text(operation: &'static Operation, files: &[(&str, &str)], path: &str) -> Option<String> {
    with(operation, &tree(files), |draft| draft.text(path).unwrap()).unwrap()
}

/// Whether a path exists afterwards.
pub(super) fn exists(operation: &'static Operation, files: &[(&str, &str)], path: &str) -> bool {
    with(operation, &tree(files), |draft| draft.exists(path).unwrap()).unwrap()
}
