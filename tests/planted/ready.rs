//! What is ready stays so when it is prepared.

use crate::support::{command, run, vhdkit};
use std::path::Path;

/// Prepares a disk that is ready, and holds what is written, and what is written of that again, to be ready too.
pub fn stays_ready(disk: &Path, options: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let words = |path: &Path| path.to_str().unwrap().to_owned();
    let mut disk = disk.to_owned();
    for turn in ["first", "second"] {
        let out = home.path().join(turn);
        let mut command = command();
        command.args(["prepare", "--name=again", "--format=json"]).args(options).arg(&disk).arg("-o").arg(&out);
        let ran = run(command);
        assert_eq!(ran.status, Some(0), "{turn}: {}{}", ran.out, ran.err);
        let steps = ran.json()["plan"][0]["steps"].take();
        assert!(turn == "first" || steps.as_array().is_some_and(Vec::is_empty), "a second time there is nothing to do: {steps}");
        assert_eq!(vhdkit(["verify", &words(&out)]).status, Some(0), "{turn}");
        disk = out.join("again.vhd");
    }
}
