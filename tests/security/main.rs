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
#[path = "../planted/ready.rs"]
mod ready;
#[path = "../samples/vhd.rs"]
mod sample;
#[path = "../support/mod.rs"]
mod support;

mod config;
mod every;
mod guests;
mod outputs;
mod parents;
mod reports;
mod secrets;
