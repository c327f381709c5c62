//! Fills the facts: reads everything, learns what can be learnt, judges nothing.
//!
//! One file here for each in `facts`. An inspection does not fail on what a disk holds; only a host that cannot read ends it.

mod boot;
mod container;
mod device;
mod disk;
mod guest;
mod inside;
pub mod linux;
mod os;
mod partition;
mod region;
mod volume;
pub mod windows;

pub use disk::{Inspected, Options, disk, join, join_each, surface};
pub use guest::Guest;
pub use inside::Inside;
#[cfg(test)]
pub(crate) use os::of_tree;
pub use region::{Place, Region, Stretch};
