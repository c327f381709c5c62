//! Taking a mount away.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Unmounts. For a moment after its fork, a program that another test starts holds what is open there, and the mount is busy.
pub(crate) fn unmount(at: &Path) {
    let mut said = String::new();
    for _ in 0..100 {
        let ended = Command::new("umount").arg(at).stdin(Stdio::null()).output().unwrap();
        if ended.status.success() {
            return;
        }
        said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(std::thread::panicking(), "{said}");
}
