//! File systems and volumes of every kind that is read, patched: every tree walked, all that can be told asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use vhdkit::bytes::Bytes;
use vhdkit::rules::Target;
use vhdkit_fuzz::fuzzing::promises::{ask, look_at};
use vhdkit_fuzz::patches::{Template, patched};
use vhdkit_fuzz::{guests, kept};

static VOLUMES: LazyLock<Vec<Template>> = LazyLock::new(kept::volumes);

fuzz_target!(init: LazyLock::force(&VOLUMES), |data: &[u8]| {
    let Some(patched) = patched(&VOLUMES, data) else { return };
    guests::walk(&patched.template.kind, &patched.image);
    if patched.choice % 4 == 0 {
        let inspected = look_at(&(Arc::new(patched.image) as Bytes), &patched.template.kind.path, true);
        ask(&inspected, None, &Target::default());
    }
});
