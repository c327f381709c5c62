//! Fills the facts: reads everything, learns what can be learnt, judges nothing.
//!
//! One file here for each in `facts`. An inspection does not fail on what a disk holds; only a host that cannot read ends it.

mod boot;
mod container;
mod disk;
mod partition;

pub use disk::{Inspected, Options, disk};
