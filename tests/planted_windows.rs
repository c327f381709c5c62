//! Faults planted into Windows disks, one at a time: each rule must find its own, and nothing else may appear.
//!
//! A disk for generation 2 is made of nothing: a GPT, an EFI system partition by mtools, a volume by mkntfs that ntfs-3g fills, and hives by
//! hivex. As it is made, it is as Azure's preparation article asks. Each row of a table then changes a registry value or a file, and names
//! the codes that must appear beside those of the healthy disk. Without the tools the tests say SKIPPED and pass.
#![cfg(unix)]
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic, and says what it skips"
)]

mod planted {
    pub mod ready;
    pub mod registry;
    pub mod windows;
    pub mod windows_healthy;
    // One file for each table of faults, with a test that calls `windows::plant`.
    pub mod windows_settings;
    pub mod windows_startup;
}
#[path = "support/ntfs_3g.rs"]
mod ntfs_3g;
mod support;
