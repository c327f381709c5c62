//! What the targets share: modules of vhdkit's tests, disks that are made once, and inputs that are patches to them.
#![allow(dead_code, missing_docs)]

#[path = "../../tests/fuzzing/disks.rs"]
pub mod disks;
#[path = "../../tests/fuzzing/mod.rs"]
pub mod fuzzing;
#[path = "../../tests/fuzzing/guests.rs"]
pub mod guests;
#[path = "../../tests/fuzzing/templates.rs"]
pub mod templates;

#[path = "../../tests/planted/linux.rs"]
mod linux;
#[path = "../../tests/planted/linux_healthy.rs"]
mod linux_healthy;
#[path = "../../tests/support/ntfs_3g.rs"]
mod ntfs_3g;
#[path = "../../tests/planted/ready.rs"]
mod ready;
#[path = "../../tests/planted/registry.rs"]
mod registry;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/planted/windows.rs"]
mod windows;
#[path = "../../tests/planted/windows_healthy.rs"]
mod windows_healthy;

pub mod kept;
pub mod memory;
pub mod patches;
pub mod rich;
pub mod sums;

/// The panics of the writers of file systems become errors where they are called; libFuzzer's hook is for all others.
pub fn let_writers_panic() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !vhdkit::fs::edit::is_guarded() {
            told(panic);
        }
    }));
}
