//! A disk inside a file.

pub mod sniff;
