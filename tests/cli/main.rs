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
#[path = "../support/unmount.rs"]
mod unmount;

// A small healthy Debian, where mke2fs and mtools are installed.
#[path = "../planted/linux.rs"]
#[allow(dead_code, reason = "it serves the tests of planted faults too")]
mod linux;
#[path = "../planted/linux_healthy.rs"]
mod linux_healthy;
#[path = "../planted/ready.rs"]
#[allow(dead_code, reason = "it serves the tests of planted faults too")]
mod ready;

mod crowd;
mod documents;
mod faults;
mod files;
mod generalize;
mod hostile;
mod image;
mod interrupts;
mod many;
mod prepare;
mod reflink;
mod reports;
mod surface;
mod trim;
mod verify;
