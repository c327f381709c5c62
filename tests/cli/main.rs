//! Drives the binary as a person or a pipeline does, and holds it to the contract.
#![cfg(unix)]
#![allow(
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
    reason = "a test may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod documents;
mod faults;
mod files;
mod image;
mod interrupts;
mod prepare;
mod reports;
mod surface;
mod verify;
