//! Drafts over trees in memory.

use super::*;
use crate::fs::testing::tree;

fn draft(tree: &Tree) -> Draft<'_> {
    let mut draft = Draft::new(tree);
    draft.operation = "sample";
    draft
}

#[test]
fn what_is_planned_is_seen_and_the_tree_stays() {
    let tree = tree(&[("/etc/a", "one\ntwo\n"), ("/etc/link", "-> a"), ("/var/log/x/y", "z"), ("/var/log/w", ""), ("/var/run", "-> log")]);
    let mut draft = draft(&tree);
    assert!(draft.lines("/etc/link", "because", |line| (line != b"one").then(|| line.to_vec())).unwrap());
    assert_eq!(draft.text("/etc/a").unwrap().as_deref(), Some("two\n"));
    assert_eq!(draft.empty("/var/run", "because").unwrap(), 3);
    assert_eq!(draft.empty("/var/log", "because").unwrap(), 0);
    assert!(!draft.exists("/var/log/x/y").unwrap());
    assert!(draft.exists("/var/log").unwrap());
    assert!(draft.remove("/etc/link", "because").unwrap());
    assert!(!draft.remove("/etc/link", "because").unwrap());
    assert!(draft.exists("/etc/a").unwrap());
    draft.create("/etc/new", 0o644, b"n".to_vec(), "because").unwrap();
    assert_eq!(draft.text("/etc/new").unwrap().as_deref(), Some("n"));
    assert!(draft.remove("/etc/nothing", "because").is_ok_and(|was| !was));
    let planned = draft.finish();
    let unlinked: Vec<String> = planned.unlinks.iter().map(|one| String::from_utf8_lossy(&one.path.join(&b'/')).into_owned()).collect();
    assert_eq!(unlinked, ["var/log/w", "var/log/x/y", "var/log/x", "etc/link"]);
    assert_eq!(planned.writes.len(), 1);
    assert_eq!(planned.creates.len(), 1);
    assert_eq!(tree.text("/etc/a").unwrap().as_deref(), Some("one\ntwo\n"));
    let actions: Vec<(String, Action)> = planned.changes.iter().map(|change| (change.path.clone(), change.action)).collect();
    let expected = [
        ("/etc/a", Action::Rewritten),
        ("/var/log", Action::Emptied { names: 3 }),
        ("/etc/link", Action::Removed { names: 1 }),
        ("/etc/new", Action::Created),
    ];
    assert_eq!(actions, expected.map(|(path, action)| (path.to_owned(), action)));
}

#[test]
fn a_write_to_what_is_removed_later_is_dropped() {
    let tree = tree(&[("/home/ada/.bash_history", "secret"), ("/home/ada/x", "y")]);
    let mut draft = draft(&tree);
    assert!(draft.truncate("/home/ada/.bash_history", "because").unwrap());
    assert!(!draft.truncate("/home/ada/.bash_history", "because").unwrap());
    assert!(draft.remove("/home/ada", "because").unwrap());
    let planned = draft.finish();
    assert_eq!((planned.writes.len(), planned.unlinks.len()), (0, 3));
}
