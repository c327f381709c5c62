//! Small disks of every container and partition table, patched: through the whole pipeline, up to what would be written, read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use vhdkit_fuzz::disks;
use vhdkit_fuzz::fuzzing::Dice;
use vhdkit_fuzz::fuzzing::promises::run;
use vhdkit_fuzz::patches::{Template, patched};

static DISKS: LazyLock<Vec<Template>> = LazyLock::new(|| {
    // Parents are looked for beside the disks.
    let home: PathBuf = tempfile::tempdir().unwrap().keep();
    disks::parent(&home);
    disks::kinds(&home).into_iter().map(|kind| Template::new(kind, vec![])).collect()
});

fuzz_target!(init: LazyLock::force(&DISKS), |data: &[u8]| {
    let Some(patched) = patched(&DISKS, data) else { return };
    run(&patched.template.kind, patched.image, &mut Dice(u64::from(patched.choice)));
});
