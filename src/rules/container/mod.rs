//! Rules about the file: one file per rule, or per tight family.

pub(in crate::rules) mod size_not_whole_mib;
