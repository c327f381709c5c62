//! Hosts that fail: every read and write that can fail does, one at a time, and nothing that is told or left behind may be wrong for it.
//!
//! - `within` lets the n-th read of a disk fail in process, and `truth` holds what is told then against what is told of the healthy disk;
//!   `templates` does the same while a template is planned, made and trimmed.
//! - `writes` and `reads` let the n-th system call of each kind fail around the binary, by `strace`.
//! - `fuse` is a file system of our own, whose n-th request of each kind fails, in ways that no system call can be given from outside.
//! - `space` has file systems, files and outputs without room; `ends` has signals, races and directories that do not keep still;
//!   `surroundings` has clocks, locales, modes, names and a device that fails.
//!
//! A part of the cases is run unless `VHDKIT_FULL` is set.
#![cfg(unix)]
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
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

#[path = "../support/full.rs"]
mod full;
#[path = "../fuzzing/mod.rs"]
mod fuzzing;
#[path = "../fuzzing/guests.rs"]
mod guests;
#[path = "../planted/linux.rs"]
mod linux;
#[path = "../planted/linux_healthy.rs"]
mod linux_healthy;
#[path = "../support/ntfs_3g.rs"]
mod ntfs_3g;
#[path = "../planted/ready.rs"]
mod ready;
#[path = "../support/mod.rs"]
mod support;
// Windows disks, where ntfs-3g and hivex are installed.
#[path = "../planted"]
mod planted {
    pub(crate) use crate::ready;
    pub mod registry;
    pub mod windows;
    pub mod windows_healthy;
}

mod ends;
#[cfg(target_os = "linux")]
mod fuse;
mod reads;
mod space;
mod strace;
mod surroundings;
mod templates;
mod truth;
mod within;
mod writes;
