//! Faults that keep a Linux from starting.

use super::linux::Fault;

pub const FAULTS: &[Fault] = &[];
