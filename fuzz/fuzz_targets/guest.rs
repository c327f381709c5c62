//! Whole guests, patched: inspected, judged and walked; made a template and trimmed; or prepared to the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use vhdkit::rules::Target;
use vhdkit_fuzz::fuzzing::Dice;
use vhdkit_fuzz::fuzzing::promises::{ask, look_at, run};
use vhdkit_fuzz::patches::{Template, patched};
use vhdkit_fuzz::{guests, kept, let_writers_panic, templates};

static GUESTS: LazyLock<Vec<Template>> = LazyLock::new(kept::guests);

fuzz_target!(init: { let_writers_panic(); LazyLock::force(&GUESTS) }, |data: &[u8]| {
    let Some(patched) = patched(&GUESTS, data) else { return };
    let (kind, image) = (&patched.template.kind, patched.image);
    match patched.choice % 8 {
        0 | 1 => drop(templates::run(kind, &image)),
        2 => drop(run(kind, image, &mut Dice(u64::from(crc32fast::hash(data))))),
        3 => guests::walk(kind, &image),
        deep => {
            let inspected = look_at(&(Arc::new(image) as vhdkit::bytes::Bytes), &kind.path, deep == 4);
            ask(&inspected, None, &Target::default());
        }
    }
});
