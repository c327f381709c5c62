//! Each kind of difference that was not planned is found, and what was planned is not one.

use super::*;
use crate::fs::testing::{Item, MemoryFileSystem, memory};
use crate::fs::{Extent, Tree};
use crate::generalize::{Draft, Planned};
use std::sync::Arc;

/// Bytes that differ; part of them is where `/etc/big` lies.
const CHANGED: &[Range<u64>] = &[0..4096, 20_480..24_576];

fn one(range: Range<u64>) -> Option<Vec<Range<u64>>> {
    Some(std::iter::once(range).collect())
}

fn before() -> MemoryFileSystem {
    let mut fs = memory(
        false,
        &[
            ("/etc/machine-id", "0123"),
            ("/etc/passwd", "root"),
            ("/etc/big", "abcd"),
            ("/etc/inline", "efgh"),
            ("/etc/link", "-> passwd"),
            ("/etc/resolv.conf", "-> ../run/resolv.conf"),
            ("/home/ada/x", "y"),
            ("/home/ada/.ssh/key", "k"),
            ("/home/ada/shared", "s"),
            ("/home/eve/z", "z"),
            ("/bad", "!damaged"),
            ("/worse", "x"),
        ],
    );
    fs.link("/home/ada/shared", "/etc/shared");
    fs.add("/null", Item::Device(1, 3), 0o666, 0);
    for (path, start) in [("/etc/passwd", 8192), ("/etc/big", 16_384), ("/etc/machine-id", 32_768), ("/home/ada/x", 36_864)] {
        fs.at(path).extents = Some(vec![Extent { from: 0, at: start..start + 8192 }]);
    }
    fs.at("/etc/machine-id").extents = Some(vec![Extent { from: 0, at: 32_768..36_864 }]);
    fs.at("/etc/passwd").attributes = vec![("security.selinux".to_owned(), b"passwd_t".to_vec())];
    fs.at("/home").links = 4;
    fs.at("/worse").error = Some("made so".to_owned());
    fs.usage = crate::fs::Usage { size: 1 << 40, used: 1 << 39, free: 1 << 39 };
    fs.free = one(1 << 20..2 << 20);
    fs
}

fn plan(before: &MemoryFileSystem) -> Planned {
    let tree = Tree::new("memory", Arc::new(before.clone()), NodeId(0));
    let mut draft = Draft::new(&tree);
    draft.truncate("/etc/machine-id", "because").unwrap();
    draft.remove("/home/ada", "because").unwrap();
    draft.remove("/etc/resolv.conf", "because").unwrap();
    draft.create("/etc/resolv.conf", 0o644, b"made".to_vec(), "because").unwrap();
    draft.create("/etc/new", 0o600, b"new".to_vec(), "because").unwrap();
    draft.finish()
}

fn after(before: &MemoryFileSystem) -> MemoryFileSystem {
    let mut fs = before.clone();
    for path in ["/home/ada/.ssh/key", "/home/ada/.ssh", "/home/ada/shared", "/home/ada/x", "/home/ada", "/etc/resolv.conf"] {
        fs.unlink(path);
    }
    fs.at("/home").links = 3;
    fs.at("/etc/machine-id").item = Item::File(vec![]);
    fs.at("/etc/machine-id").extents = Some(vec![]);
    fs.add("/etc/resolv.conf", Item::File(b"made".to_vec()), 0o644, 0);
    fs.add("/etc/new", Item::File(b"new".to_vec()), 0o600, 0);
    fs.at("/etc/new").extents = Some(vec![Extent { from: 0, at: 65_536..69_632 }]);
    fs
}

fn compare(before: &MemoryFileSystem, after: &MemoryFileSystem, planned: &Planned) -> Result<(), Fault> {
    let (unlinks, writes, creates): (Vec<_>, Vec<_>, Vec<_>) =
        (planned.unlinks.iter().collect(), planned.writes.iter().collect(), planned.creates.iter().collect());
    verify(before, after, &Expected::new(&unlinks, &writes, &creates), CHANGED)
}

/// What is said, and what is done to the file system after the changes.
type Spoiled = (&'static str, fn(&mut MemoryFileSystem));

fn text(fs: &mut MemoryFileSystem, path: &str, content: &str) {
    fs.at(path).item = Item::File(content.as_bytes().to_vec());
}

#[test]
fn what_was_planned_is_taken() {
    let before = before();
    let planned = plan(&before);
    assert_eq!(planned.unlinks.len(), 6);
    let allowed: &[Spoiled] = &[
        ("nothing", |_| {}),
        ("time of directories whose entries change", |fs| {
            fs.at("/etc").modified = 5;
            fs.at("/home").modified = 5;
        }),
        ("a file that lies elsewhere", |fs| fs.at("/etc/big").extents = Some(vec![Extent { from: 0, at: 90_000..98_192 }])),
        ("what was given back is free", |fs| fs.free = Some(vec![36_864..45_056, 1 << 20..2 << 20])),
        ("space that the changes explain", |fs| fs.usage.free += 40_000),
        ("a new file with the time of its directory", |fs| {
            fs.at("/etc").modified = 7;
            fs.at("/etc/new").modified = 7;
        }),
    ];
    for (name, change) in allowed {
        let mut after = after(&before);
        change(&mut after);
        assert_eq!(compare(&before, &after, &planned), Ok(()), "{name}");
    }
}

#[test]
fn nothing_else_is() {
    let spoiled: &[Spoiled] = &[
        ("/etc/passwd: is gone", |fs| fs.unlink("/etc/passwd")),
        ("/etc/more: was not there before", |fs| fs.add("/etc/more", Item::File(vec![]), 0o644, 0)),
        ("/home/ada: is still there", |fs| fs.add("/home/ada", Item::Directory, 0o755, 0)),
        ("7 of 8 names that change were found", |fs| fs.unlink("/etc/new")),
        ("/etc/resolv.conf: was not made", |fs| fs.unlink("/etc/resolv.conf")),
        ("/etc/inline: names another node", |fs| {
            fs.unlink("/etc/inline");
            fs.link("/home/eve/z", "/etc/inline");
            fs.at("/home/eve/z").links = 1;
        }),
        ("/etc/passwd: its kind differs", |fs| fs.at("/etc/passwd").item = Item::Symlink("x".to_owned())),
        ("/etc/passwd: its mode differs", |fs| fs.at("/etc/passwd").mode = 0o600),
        ("/etc/passwd: its owner differs", |fs| fs.at("/etc/passwd").owner.0 = 5),
        ("/etc/passwd: its group differs", |fs| fs.at("/etc/passwd").owner.1 = 5),
        ("/etc/passwd: its time of last change differs", |fs| fs.at("/etc/passwd").modified = 5),
        ("/etc/passwd: its size differs", |fs| text(fs, "/etc/passwd", "root!")),
        ("/etc/passwd: its number of links differs", |fs| fs.at("/etc/passwd").links = 2),
        ("/etc/passwd: its attributes differ", |fs| fs.at("/etc/passwd").attributes[0].1.push(0)),
        ("/etc/inline: its attributes differ", |fs| fs.at("/etc/inline").attributes.push(("user.x".to_owned(), vec![]))),
        ("/etc/shared: its number of links differs", |fs| fs.at("/etc/shared").links = 2),
        ("/etc/shared: its content differs from byte 0 on", |fs| text(fs, "/etc/shared", "t")),
        ("/home: its number of links differs", |fs| fs.at("/home").links = 4),
        ("/home: its mode differs", |fs| fs.at("/home").mode = 0o777),
        ("/: its time of last change differs", |fs| fs.at("/").modified = 5),
        ("/: its owner differs", |fs| fs.at("/").owner.0 = 5),
        ("/home/eve: its time of last change differs", |fs| fs.at("/home/eve").modified = 5),
        ("/null: its device number differs", |fs| fs.at("/null").item = Item::Device(1, 5)),
        ("/null: its kind differs", |fs| fs.at("/null").item = Item::Directory),
        ("/etc/link: leads elsewhere", |fs| fs.at("/etc/link").item = Item::Symlink("shadow".to_owned())),
        ("/etc/inline: its content differs from byte 2 on", |fs| text(fs, "/etc/inline", "efxh")),
        ("/etc/big: its content differs from byte 3 on", |fs| text(fs, "/etc/big", "abcx")),
        ("/etc/passwd: its content differs from byte 0 on", |fs| {
            text(fs, "/etc/passwd", "Root");
            fs.at("/etc/passwd").extents = Some(vec![Extent { from: 0, at: 90_000..98_192 }]);
        }),
        ("/etc/machine-id: its size differs", |fs| text(fs, "/etc/machine-id", "0123")),
        ("/etc/machine-id: its time of last change differs", |fs| fs.at("/etc/machine-id").modified = 5),
        ("/etc/machine-id: its mode differs", |fs| fs.at("/etc/machine-id").mode = 0o600),
        ("/etc/new: its new content is not the planned one", |fs| text(fs, "/etc/new", "old")),
        ("/etc/new: was made, and its size is not the planned one", |fs| text(fs, "/etc/new", "")),
        ("/etc/new: was made, and its mode is not the planned one", |fs| fs.at("/etc/new").mode = 0o644),
        ("/etc/new: was made, and its owner is not the planned one", |fs| fs.at("/etc/new").owner.0 = 5),
        ("/etc/new: was made, and its group is not the planned one", |fs| fs.at("/etc/new").owner.1 = 5),
        ("/etc/new: was made, and its number of links is not the planned one", |fs| fs.at("/etc/new").links = 2),
        ("/etc/new: was made, and its kind is not the planned one", |fs| fs.at("/etc/new").item = Item::Directory),
        ("/etc/new: was made, and its time of last change is not the planned one", |fs| fs.at("/etc/new").modified = 5),
        ("/etc/new: was made, and its attributes is not the planned one", |fs| {
            fs.at("/etc/new").attributes.push(("user.x".to_owned(), vec![]));
        }),
        ("/etc/inline: shares its node with a file that was made", |fs| {
            fs.unlink("/etc/new");
            text(fs, "/etc/inline", "new");
            fs.link("/etc/inline", "/etc/new");
        }),
        ("/etc/inline: cannot be read any more: damaged: broken", |fs| fs.at("/etc/inline").error = Some("broken".to_owned())),
        ("/worse: what it is cannot be read for another reason: damaged: broken; before: damaged: made so", |fs| {
            fs.at("/worse").error = Some("broken".to_owned());
        }),
        ("/etc/inline: its content cannot be read any more: damaged: made so", |fs| {
            fs.at("/etc/inline").item = Item::Damaged;
        }),
        ("/etc/passwd: lies in what is free", |fs| fs.free = one(12_288..16_384)),
        ("a file that was written lies in what is free", |fs| fs.free = one(65_536..65_537)),
        ("its free space cannot be told: not supported: made so", |fs| fs.free = None),
        ("/etc/passwd: shares bytes with a file that was written", |fs| {
            fs.at("/etc/new").extents = Some(vec![Extent { from: 0, at: 12_288..16_384 }]);
        }),
        ("two files that were written share bytes", |fs| {
            fs.at("/etc/resolv.conf").extents = Some(vec![Extent { from: 0, at: 65_536..69_632 }]);
        }),
        ("its size is 4096 bytes; before: 1099511627776", |fs| fs.usage.size = 4096),
        ("which the changes do not explain", |fs| fs.usage.free += 1 << 30),
        ("which the changes do not explain", |fs| fs.usage.free -= 1 << 30),
        ("it is not left in order", |fs| fs.clean = false),
    ];
    let before = before();
    let planned = plan(&before);
    for (says, spoil) in spoiled {
        let mut after = after(&before);
        spoil(&mut after);
        match compare(&before, &after, &planned) {
            // A size that differs is told of the record, where the content is not looked at.
            Err(Fault::Differs(said)) => {
                let size = says.split_once(": its content").is_some_and(|(path, _)| said == format!("{path}: its size differs"));
                assert!(said.contains(says) || size, "{says}\nbut: {said}");
            }
            other => panic!("{says}\nbut: {other:?}"),
        }
    }
}

#[test]
fn names_that_nobody_planned_do_not_go_with_their_directory() {
    let mut before = before();
    let planned = plan(&before);
    let after = after(&before);
    before.add("/home/ada/.ssh/another", Item::File(vec![]), 0o600, 0);
    assert_eq!(compare(&before, &after, &planned), Err(Fault::Differs("/home/ada/.ssh/another: is gone".to_owned())));
    let mut before = self::before();
    before.unlink("/home/ada/.ssh/key");
    assert_eq!(compare(&before, &after, &planned), Err(Fault::Differs("7 of 8 names that change were found".to_owned())));
}

#[test]
fn what_cannot_be_read_is_told() {
    let mut before = before();
    let planned = plan(&before);
    let after = after(&before);
    before.at("/etc/big").item = Item::Damaged;
    before.at("/etc/big").error = Some("broken".to_owned());
    assert!(matches!(compare(&before, &after, &planned), Err(Fault::Unread(_))));
    // Alike, and where something was changed.
    let mut before = self::before();
    before.at("/etc/big").item = Item::Damaged;
    let mut after = self::after(&before);
    assert!(matches!(compare(&before, &after, &planned), Err(Fault::Unread(_))));
    // The same where nothing is known to have changed.
    before.at("/etc/big").extents = None;
    after.at("/etc/big").extents = None;
    assert_eq!(compare(&before, &after, &planned), Ok(()));
    // A directory with two names is walked by none.
    for fs in [&mut before, &mut after] {
        fs.link("/home/eve", "/again");
    }
    assert!(matches!(compare(&before, &after, &planned), Err(Fault::Unread(_))));
}

#[test]
fn holes_are_not_read_and_data_in_them_is_found() {
    use crate::bytes::{Overlay, Zeros};
    let sparse = |pieces: &[(u64, u8)]| {
        let mut file = Overlay::new(Arc::new(Zeros(1 << 44)));
        for (at, byte) in pieces {
            file.patch(*at, vec![*byte; 100]).unwrap();
        }
        file
    };
    let old = sparse(&[(0, 1), (1 << 40, 2)]);
    assert_eq!(content::same(b"/f", &old, &sparse(&[(0, 1), (5 << 20, 0), (1 << 40, 2)])), Ok(()));
    for pieces in [&[(0, 1), (1 << 40, 3)][..], &[(0, 1)], &[(0, 1), (50, 1), (1 << 40, 2)][..1], &[(0, 1), (1 << 30, 9), (1 << 40, 2)]] {
        assert!(matches!(content::same(b"/f", &old, &sparse(pieces)), Err(Fault::Differs(_))), "{pieces:?}");
    }
}
