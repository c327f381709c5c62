//! Drafts over trees in memory.

use super::*;
use crate::fs::testing::{Item, memory, tree};

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

fn paths(planned: &Planned) -> Vec<String> {
    planned.unlinks.iter().map(|one| String::from_utf8_lossy(&one.path.join(&b'/')).into_owned()).collect()
}

#[test]
fn nothing_is_removed_through_a_symlink() {
    let tree = tree(&[
        ("/home/ada/out", "-> /etc"),
        ("/home/ada/up", "-> ../.."),
        ("/home/ada/loop", "-> ."),
        ("/home/eve", "-> /home/ada"),
        ("/etc/passwd", "x"),
    ]);
    let mut one = draft(&tree);
    assert!(one.remove("/home/eve", "because").unwrap());
    assert!(one.exists("/home/ada/out").unwrap());
    assert!(one.remove("/home/ada", "because").unwrap());
    assert_eq!(paths(&one.finish()), ["home/eve", "home/ada/loop", "home/ada/out", "home/ada/up", "home/ada"]);
}

#[test]
fn what_is_gone_leads_nowhere() {
    let tree = tree(&[("/etc/a", "x"), ("/link", "-> etc"), ("/file", "-> etc/a"), ("/etc/d/e", "y"), ("/other", "-> etc/d/e")]);
    let mut draft = draft(&tree);
    assert!(draft.remove("/link", "because").unwrap());
    assert!(draft.remove("/file", "because").unwrap());
    for path in ["/link/a", "/file", "/link"] {
        assert_eq!(draft.read(path).unwrap(), None, "{path}");
        assert!(!draft.exists(path).unwrap(), "{path}");
        assert!(!draft.truncate(path, "because").unwrap(), "{path}");
        assert!(draft.rewrite(path, vec![], "because").is_err(), "{path}");
    }
    assert!(draft.remove("/etc/d", "because").unwrap());
    assert!(draft.rewrite("/etc/d/e", vec![], "because").is_err());
    assert!(draft.rewrite("/other", vec![], "because").is_err());
    assert!(draft.create("/etc/d/f", 0o644, vec![], "because").is_err());
    assert!(draft.create("/etc/a/f", 0o644, vec![], "because").is_err(), "below a file");
    for path in ["/etc/", "/etc/..", "/etc/.", "/", "", "/new/.."] {
        assert!(draft.create(path, 0o644, vec![1], "because").is_err(), "{path}");
    }
    assert!(draft.create(&format!("/etc/{}", "n".repeat(256)), 0o644, vec![], "because").is_err());
    assert_eq!(draft.names("/etc").unwrap(), ["a"]);
    let planned = draft.finish();
    assert_eq!((planned.writes.len(), planned.creates.len()), (0, 0));
}

#[test]
fn the_root_stays() {
    let mut tree = tree(&[("/etc/a", "x"), ("/all", "-> /"), ("/again/", "")]);
    let fs = tree.find("/").unwrap().unwrap().mount.fs.clone();
    tree.mount("/again", "the same", fs, NodeId(0));
    let mut draft = draft(&tree);
    for path in ["/", "", "/..", "/all", "/etc/..", "/again"] {
        assert!(matches!(draft.empty(path, "because"), Err(Error::Protected(_))), "{path}");
    }
    for path in ["/", "", "/..", "/all/", "/again", "/all/."] {
        let _ = draft.remove(path, "because");
    }
    assert_eq!(paths(&draft.finish()), ["all"]);
}

#[test]
fn a_file_with_two_names_is_one() {
    let mut fs = memory(false, &[("/a", "1"), ("/d/", ""), ("/c", "1")]);
    fs.link("/a", "/d/b");
    let tree = Tree::new("memory", Arc::new(fs), NodeId(0));
    let mut draft = draft(&tree);
    assert!(draft.truncate("/a", "because").unwrap());
    assert_eq!(draft.text("/d/b").unwrap().as_deref(), Some(""));
    assert!(draft.rewrite("/d/b", b"2".to_vec(), "because").unwrap());
    assert!(draft.remove("/a", "because").unwrap());
    assert_eq!(draft.text("/d/b").unwrap().as_deref(), Some("2"));
    let mut both = self::draft(&tree);
    assert!(both.truncate("/a", "because").unwrap());
    assert!(both.remove("/d", "because").unwrap());
    assert!(both.remove("/a", "because").unwrap());
    let (one, both) = (draft.finish(), both.finish());
    assert_eq!(one.writes.iter().map(|write| write.content.as_slice()).collect::<Vec<_>>(), [b"2"]);
    assert_eq!((both.writes.len(), both.unlinks.len()), (0, 3));
    assert_eq!(both.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["/d", "/a"]);
}

#[test]
fn what_is_made_is_like_what_is_there() {
    let tree = tree(&[("/etc/a", "-> b"), ("/etc/d/x", "y"), ("/link", "-> etc/d")]);
    let mut draft = draft(&tree);
    assert!(draft.remove("/etc/a", "because").unwrap());
    draft.create("/etc/a", 0o600, b"1\n2\n".to_vec(), "because").unwrap();
    assert!(draft.lines("/etc/a", "because", |line| (line == b"1").then(|| line.to_vec())).unwrap());
    assert_eq!(draft.text("/etc/a").unwrap().as_deref(), Some("1\n"));
    assert!(!draft.remove_unless_link("/etc/none", "because").unwrap());
    draft.create("/link/new", 0o600, b"n".to_vec(), "because").unwrap();
    draft.create("/etc/d/gone", 0o600, vec![], "because").unwrap();
    assert_eq!(draft.text("/etc/d/new").unwrap().as_deref(), Some("n"));
    assert_eq!(draft.names("/link").unwrap(), ["gone", "new", "x"]);
    assert_eq!(draft.glob("/etc/*/n*").unwrap(), ["/etc/d/new"]);
    assert_eq!(draft.glob("/etc/d/new").unwrap(), ["/etc/d/new"]);
    assert!(draft.truncate("/etc/d/new", "because").unwrap());
    assert!(draft.remove("/link/gone", "because").unwrap());
    assert!(!draft.exists("/etc/d/gone").unwrap());
    assert_eq!(draft.empty("/etc/d", "because").unwrap(), 1);
    assert!(!draft.exists("/etc/d/new").unwrap());
    let planned = draft.finish();
    assert_eq!(planned.creates.iter().map(|new| new.content.as_slice()).collect::<Vec<_>>(), [b"1\n"]);
    assert_eq!(paths(&planned), ["etc/a", "etc/d/x"]);
    assert_eq!(planned.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["/etc/a", "/etc/a", "/etc/d"]);
}

#[test]
fn file_systems_are_emptied_where_they_are_mounted() {
    let data = Arc::new(memory(false, &[("/d/e", "1"), ("/f", "2")]));
    let mut tree = tree(&[("/home/ada/data/", ""), ("/home/ada/x", "y"), ("/home/eve/z", ""), ("/srv/", "")]);
    tree.mount("/home/ada/data", "partition 2", data.clone(), NodeId(0));
    tree.mount("/srv", "partition 2", data, NodeId(0));
    let mut draft = draft(&tree);
    assert!(draft.remove("/srv/d", "because").unwrap());
    assert!(!draft.exists("/home/ada/data/d").unwrap());
    assert!(draft.remove("/home/ada", "because").unwrap());
    assert!(!draft.remove("/home/ada/data", "because").unwrap());
    assert!(draft.exists("/home/ada/data").unwrap());
    assert_eq!(draft.names("/srv").unwrap(), Vec::<String>::new());
    assert!(draft.remove("/home/eve", "because").unwrap());
    let planned = draft.finish();
    assert_eq!(paths(&planned), ["srv/d/e", "srv/d", "home/ada/data/f", "home/ada/x", "home/eve/z", "home/eve"]);
    assert_eq!(planned.unlinks.iter().map(|one| one.mount).collect::<Vec<_>>(), [2, 2, 1, 0, 0, 0]);
    assert_eq!(planned.changes[1].action, Action::Emptied { names: 2 });
}

#[test]
fn a_mount_point_stays_by_whatever_path() {
    let bound = Arc::new(memory(false, &[("/c/hidden", "1")]));
    let mut tree = tree(&[("/a/", ""), ("/b/", "")]);
    tree.mount("/a", "partition 2", bound.clone(), NodeId(0));
    tree.mount("/b", "partition 2", bound, NodeId(0));
    tree.mount("/a/c", "partition 3", Arc::new(memory(false, &[("/kept", "1")])), NodeId(0));
    let mut draft = draft(&tree);
    assert_eq!(draft.empty("/b", "because").unwrap(), 1);
    assert!(draft.remove("/b/c", "because").is_ok_and(|any| !any));
    assert_eq!(paths(&draft.finish()), ["b/c/hidden"]);
}

#[test]
fn names_need_not_be_text() {
    let mut fs = memory(false, &[("/home/", "")]);
    for path in [&b"/home/\xff/.bash_history"[..], b"/odd/\xfe", b"/odd/\xff"] {
        let node = fs.make(path);
        fs.nodes[node].item = Item::File(b"secret".to_vec());
    }
    let tree = Tree::new("memory", Arc::new(fs), NodeId(0));
    let mut draft = draft(&tree);
    assert_eq!(draft.names("/home").unwrap(), ["\u{fffd}"]);
    let found = draft.glob("/home/*/.bash_history").unwrap();
    assert_eq!(found, ["/home/\u{fffd}/.bash_history"]);
    assert!(draft.remove(&found[0], "because").unwrap());
    assert_eq!(draft.glob("/home/*/.bash_history").unwrap(), Vec::<String>::new());
    assert!(draft.read("/odd/\u{fffd}").is_err(), "which of the two?");
    assert_eq!(draft.empty("/odd", "because").unwrap(), 2);
    assert_eq!(draft.read("/odd/\u{fffd}").unwrap(), None);
    let planned = draft.finish();
    assert_eq!(planned.unlinks.iter().map(|one| one.name.as_slice()).collect::<Vec<_>>(), [b".bash_history", &b"\xfe"[..], b"\xff"]);
}
