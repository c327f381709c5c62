//! Every operation does on its sample what the sample says, and nothing a second time.

use super::super::{Draft, Operation, Sample, System, Wishes};
use super::OPERATIONS;
use crate::fs::testing::tree;
use crate::inspect::of_tree;
use std::collections::BTreeMap;

fn run(operation: &'static Operation, files: &BTreeMap<&str, &str>) -> (Vec<super::super::Change>, BTreeMap<String, Option<String>>) {
    let list: Vec<(&str, &str)> = files.iter().map(|(path, content)| (*path, *content)).collect();
    let tree = tree(&list);
    let os = of_tree(&tree);
    let wishes = Wishes { remove: ["ada".to_owned()].into(), ..Wishes::default() };
    let system = System::new(&tree, &os, &wishes).unwrap();
    let mut draft = Draft::new(&tree);
    draft.begin(operation);
    (operation.plan)(&system, &mut draft).unwrap();
    let paths = files.keys().chain(operation.sample.after.iter().map(|(path, _)| path));
    let mut left = BTreeMap::new();
    for path in paths {
        let exists = draft.exists(path.trim_end_matches('/')).unwrap();
        left.insert((*path).to_owned(), exists.then(|| draft.text(path).unwrap().unwrap_or_default()));
    }
    (draft.finish().changes, left)
}

#[test]
fn samples_come_out_as_they_say() {
    for operation in OPERATIONS {
        let Sample { before, after } = &operation.sample;
        let before: BTreeMap<&str, &str> = before.iter().copied().collect();
        let (changes, left) = run(operation, &before);
        assert!(!changes.is_empty(), "{}: nothing changed", operation.name);
        let mut expected = before.clone();
        for (path, content) in *after {
            match content {
                Some(content) => expected.insert(path, content),
                None => expected.remove(path),
            };
        }
        for (path, content) in &left {
            let wanted = expected.get(path.as_str()).map(|text| if text.starts_with("-> ") { String::new() } else { (*text).to_owned() });
            let content = content.as_ref().map(|text| {
                if expected.get(path.as_str()).is_some_and(|text| text.starts_with("-> ")) { String::new() } else { text.clone() }
            });
            assert_eq!(content, wanted, "{}: {path}", operation.name);
        }
        let (again, _) = run(operation, &expected);
        assert_eq!(again, [], "{}: a second time", operation.name);
    }
}

#[test]
fn operations_are_named_and_told_apart() {
    let mut names: Vec<&str> = OPERATIONS.iter().map(|one| one.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), OPERATIONS.len());
    for operation in OPERATIONS {
        let name = operation.name;
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        assert!(!operation.summary.ends_with('.') && operation.summary.len() < 80, "{name}: {}", operation.summary);
        assert!(operation.requirement.contains('-'), "{name}");
    }
}
