//! What SECURITY.md promises, held against the program from outside: hostile parents, guests, names and words, and secrets everywhere.
//!
//! Each promise has its module. Guests need the programs that make file systems; where they are missing, a test says SKIPPED and passes.
#![cfg(unix)]
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test may panic, and says what it skips"
)]

#[path = "../planted/linux.rs"]
mod linux;
#[path = "../planted/linux_healthy.rs"]
mod linux_healthy;
#[path = "../support/ntfs_3g.rs"]
mod ntfs_3g;
#[path = "../planted/ready.rs"]
mod ready;
#[path = "../planted/registry.rs"]
mod registry;
#[path = "../samples/vhd.rs"]
mod sample;
#[path = "../support/mod.rs"]
mod support;
#[path = "../planted/windows.rs"]
mod windows;
#[path = "../planted/windows_healthy.rs"]
mod windows_healthy;

mod config;
mod every;
mod fat;
mod guests;
mod in_windows;
mod outputs;
mod parents;
mod reports;
mod secrets;
mod windows_links;
mod words;
