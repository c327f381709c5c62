//! A short way to ask an operation about a small guest.

use super::OPERATIONS;
use crate::fs::testing::tree;
use crate::generalize::{Draft, Planned, System, Wishes};
use crate::inspect::of_tree;
use std::collections::BTreeMap;

pub(in crate::generalize) fn wishes(keep: &[&str], remove: &[&str]) -> Wishes {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wishes { keep: names(keep), remove: names(remove), ..Wishes::default() }
}

/// What one operation plans.
pub(in crate::generalize) fn planned(name: &str, files: &[(&str, &str)], wishes: &Wishes) -> Planned {
    let wishes = Wishes { operations: [name.to_owned()].into(), ..wishes.clone() };
    plan_all(files, &wishes)
}

/// What all operations that are wanted plan.
pub(in crate::generalize) fn plan_all(files: &[(&str, &str)], wishes: &Wishes) -> Planned {
    let tree = tree(files);
    let os = of_tree(&tree);
    crate::generalize::plan(&System::new(&tree, &os, wishes).unwrap()).unwrap()
}

/// The files that are left by one operation; a second time it must find nothing to do.
pub(in crate::generalize) fn after(name: &str, files: &[(&str, &str)], wishes: &Wishes) -> BTreeMap<String, String> {
    assert!(OPERATIONS.iter().any(|one| one.name == name), "{name}");
    let first = planned(name, files, wishes);
    let left = made(files, &first);
    let again: Vec<(&str, &str)> = left.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let second = planned(name, &again, wishes);
    assert_eq!(second.changes, [], "{name}: a second time");
    left
}

/// The files with what was planned done.
pub(in crate::generalize) fn made(files: &[(&str, &str)], planned: &Planned) -> BTreeMap<String, String> {
    let mut left: BTreeMap<String, String> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let name = |path: &[Vec<u8>]| path.iter().map(|part| format!("/{}", String::from_utf8_lossy(part))).collect::<String>();
    for unlink in &planned.unlinks {
        let path = name(&unlink.path);
        left.remove(&path);
        left.remove(&format!("{path}/"));
    }
    for write in &planned.writes {
        left.insert(name(&write.path), String::from_utf8_lossy(&write.content).into_owned());
    }
    for create in &planned.creates {
        left.insert(name(&create.path), String::from_utf8_lossy(&create.content).into_owned());
    }
    left
}

/// Whether a draft has nothing to say: for guests that an operation must leave alone.
pub(in crate::generalize) fn is_left_alone(name: &str, files: &[(&str, &str)], wishes: &Wishes) -> bool {
    let Planned { changes, problems, remaining, .. } = planned(name, files, wishes);
    changes.is_empty() && problems.is_empty() && remaining.is_empty()
}

/// The same as a draft, for what only bytes can tell.
pub(in crate::generalize) fn drafted<T>(files: &[(&str, &str)], wishes: &Wishes, ask: impl FnOnce(&System<'_>, &mut Draft<'_>) -> T) -> T {
    let tree = tree(files);
    let os = of_tree(&tree);
    let system = System::new(&tree, &os, wishes).unwrap();
    let mut draft = Draft::new(&tree);
    ask(&system, &mut draft)
}
