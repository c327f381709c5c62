//! Any bytes as a disk file: opened, inspected, judged for both states, and what could be prepared is planned and read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::Arc;
use vhdkit::bytes::{Bytes, Memory, ReadAt, read_vec};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::State;
use vhdkit::inspect::{self, Options};
use vhdkit::prepare::{self, Changed, Identity};
use vhdkit::rules::{Profile, Subject, Target, judge};
use vhdkit_fuzz as _;

fuzz_target!(|data: &[u8]| {
    let file: Bytes = Arc::new(Memory(data.to_vec()));
    let search = ParentSearch::default();
    let source = Source { file: &file, path: Path::new("fuzz.vhd"), search: &search };
    let deep = data.len() % 2 == 1;
    let Ok(inspected) = inspect::disk(&source, Options { deep }) else { panic!("memory can always be read") };
    let facts = &inspected.facts;
    for state in [State::Generalized, State::Specialized] {
        let subject = Subject { facts, role: facts.role.clone(), lun: None, in_image: false };
        let target = Target { state: Some(state), profile: Profile::Marketplace, ..Target::default() };
        let outcomes = judge(&[subject], &target, &[]);
        let Ok(identity) = Identity::of(&inspected.container, "out.vhd") else { continue };
        let Ok(plan) = prepare::plan(facts, &identity.unique_id.to_string(), outcomes.findings.iter(), None) else { continue };
        let Ok(built) = prepare::build(&plan, &file, &inspected.container, inspected.table.as_ref(), &identity, &Changed::default()) else {
            continue;
        };
        for at in [0, built.size() / 2, built.size().saturating_sub(4096)] {
            let len = built.size().saturating_sub(at).min(4096);
            drop(read_vec(&*built, at, usize::try_from(len).unwrap_or_default()));
        }
    }
    drop(serde_json::to_string(facts));
});
