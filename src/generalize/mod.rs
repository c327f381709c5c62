//! Generalizing a Linux offline: what one machine knows of itself is taken out of its disk, so that many can be made from it.
//!
//! ```text
//! guest ──plan──→ changes, each with path and reason   (nothing is written; this is what a report shows)
//!       ──apply─→ edits over the untouched source, by a writer of that file system
//!       ──verify→ our own reader finds exactly the planned changes and no other
//! ```
//!
//! An [`Operation`] is a small value with a function from the guest's tree of files to changes; the registry runs each on its own sample in
//! the tests. To add one, write a file in `operations/` and put it into [`OPERATIONS`].

mod apply;
mod draft;
mod operations;
mod plan;
mod planned;
mod suitable;
mod system;
mod verify;

pub use apply::{Applied, CannotApply, apply};
pub use draft::Draft;
pub use operations::{OPERATIONS, irremovable, unknown_users};
pub use plan::{CannotPlan, plan};
pub use planned::{Action, Change, Create, Planned, Problem, Remaining, Unlink, Write};
pub use suitable::{Unsuitable, suitable};
pub use system::{System, Wishes};

use crate::fs;

/// One thing that is done to a guest.
#[derive(Debug)]
pub struct Operation {
    /// In kebab-case: `machine-id`.
    pub name: &'static str,
    /// Row of the requirement catalogue: `LG-06`.
    pub requirement: &'static str,
    /// What it does, one line without a full stop.
    pub summary: &'static str,
    /// Whether it is done unless somebody says otherwise.
    pub default: bool,
    /// Says what must change. An error means that something could not be read: nothing is changed then.
    pub plan: fn(&System<'_>, &mut Draft<'_>) -> Result<(), fs::Error>,
    /// A guest on which it has something to do, and what is left; the tests run it.
    pub sample: Sample,
}

/// A small guest before and after an operation.
#[derive(Debug)]
pub struct Sample {
    /// Paths and contents; `-> target` makes a symlink, a path that ends with `/` a directory.
    pub before: &'static [(&'static str, &'static str)],
    /// What is different afterwards: the new content, or `None` where the path is gone.
    pub after: &'static [(&'static str, Option<&'static str>)],
}
