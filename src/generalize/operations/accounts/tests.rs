//! Accounts that go, that stay, and what they leave behind.

use super::super::trial::{after, drafted, is_left_alone, planned, wishes};
use super::*;
use crate::fs::testing::{Item, MemoryFileSystem};
use crate::fs::{NodeId, Tree};
use crate::inspect::of_tree;
use std::sync::Arc;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n";
const SHADOW: &str = "root:*:1::::::\nada:$6$s$h:1::::::\n";

fn problems(files: &[(&str, &str)], keep: &[&str], remove: &[&str]) -> Vec<(String, Vec<String>)> {
    planned("accounts", files, &wishes(keep, remove)).problems.into_iter().map(|one| (one.message, one.remedies)).collect()
}

#[test]
fn somebody_must_decide_on_every_account() {
    let files = [
        (
            "/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nada:x:1000:1::/home/ada:/bin/sh\nbob:x:1001:1::/home/bob:/bin/sh\neve:x:1002:1::/home/eve:/bin/sh\nzoe:x:1003:1::/:/usr/sbin/nologin\nn:x:65534:1::/:/bin/sh\n",
        ),
        ("/etc/shadow", "ada:$6$s$h:1::::::\nbob:!$6$s$h:1::::::\neve:!:1::::::\nzoe:!:1::::::\n"),
        ("/home/eve/.ssh/authorized_keys", "ssh-rsa A x\nssh-rsa B y\n"),
    ];
    let options = |name: &str| vec![format!("--remove-user {name}"), format!("--keep-user {name}")];
    assert_eq!(
        problems(&files, &[], &[]),
        [
            ("the account ada (uid 1000) would be on every machine, with a password".to_owned(), options("ada")),
            ("the account bob (uid 1001) would be on every machine, with the hash of a locked password".to_owned(), options("bob")),
            ("the account eve (uid 1002) would be on every machine, with 2 SSH keys".to_owned(), options("eve")),
        ]
    );
    assert_eq!(problems(&files, &["ada", "eve"], &["bob"]), []);
    let kept = planned("accounts", &files, &wishes(&["ada", "bob", "eve"], &[]));
    assert!(kept.changes.is_empty() && kept.problems.is_empty());
    // Nobody has said that zoe stays.
    let said: Vec<&str> = kept.remaining.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        said,
        ["the account zoe (uid 1003) stays, as no password and no SSH key lets anybody in with it; --remove-user zoe removes it"]
    );
    assert!(is_left_alone("accounts", &files, &wishes(&["ada", "bob", "eve", "zoe"], &[])));
}

#[test]
fn what_is_not_a_persons_is_not_removed() {
    let files =
        [("/etc/passwd", "root:x:0:0::/root:/bin/sh\nbin:x:2:2::/bin:/bin/sh\nada:x:1000:1::/home/ada:/bin/sh\nada:x:0:0::/:/bin/sh\n")];
    let found = problems(&files, &[], &["root", "bin", "ada"]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|(message, _)| message.contains("is not removed")), "{found:?}");
    assert_eq!(after("accounts", &files, &wishes(&[], &["root", "bin", "ada"]))["/etc/passwd"], files[0].1);
    let names = wishes(&["nobody-here"], &["ada", "x"]);
    assert_eq!(drafted(&files, &names, |system, _| unknown_users(system).len()), 2);
}

/// Lines of others stay as they are, whatever they are.
#[test]
fn databases_stay_byte_for_byte_otherwise() {
    let shadow = format!("{SHADOW}# comment\n\n+\n+@netgroup::::::\nada:dup\r\n:$6$x\nlong:{}\nada", "x".repeat(100_000));
    let files = [
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n+ada::::::\nada:x:1000:1000::/home/ada:/bin/bash\r\n# ada\n+::::::"),
        ("/etc/shadow", &shadow),
        ("/etc/group", "sudo:x:27:ada,bob\r\nadm:x:4: bob , ada \nada:x:1000:\nada:x:7:\nx:x:1000:adam\n+:::"),
        ("/etc/gshadow", "sudo:*:ada:ada,bob\nada:!::\nadm:!:bob:\n"),
        ("/etc/subuid", "1000:1:1\nadam:1:1\nada:1:1\n"),
    ];
    let left = after("accounts", &files, &wishes(&[], &["ada"]));
    assert_eq!(left["/etc/passwd"], "root:x:0:0:root:/root:/bin/bash\n+ada::::::\n# ada\n+::::::");
    let expected = format!("root:*:1::::::\n# comment\n\n+\n+@netgroup::::::\n:$6$x\nlong:{}\n", "x".repeat(100_000));
    assert_eq!(left["/etc/shadow"], expected);
    assert_eq!(left["/etc/group"], "sudo:x:27:bob\r\nadm:x:4:bob\nada:x:7:\nx:x:1000:adam\n+:::");
    assert_eq!(left["/etc/gshadow"], "sudo:*::bob\nadm:!:bob:\n");
    assert_eq!(left["/etc/subuid"], "adam:1:1\n");
}

#[test]
fn bytes_that_are_no_text_stay() {
    let mut fs = MemoryFileSystem::new(false);
    fs.add(
        "/etc/passwd",
        Item::File(b"\xff\xfe:x:1:1:\xe9::\nada:x:1000:1000::/home/ada:/bin/sh\nb\xff:x:1001:1:::/bin/sh\n".to_vec()),
        0o644,
        0,
    );
    fs.add("/etc/shadow", Item::File(b"ada:$6$s$h:\nb\xff:$6$s$h:\n".to_vec()), 0o640, 0);
    let tree = Tree::new("memory", Arc::new(fs), NodeId(0));
    let os = of_tree(&tree);
    let wishes = wishes(&[], &["ada", "b\u{fffd}"]);
    let mut draft = Draft::new(&tree);
    plan(&System::new(&tree, &os, &wishes).unwrap(), &mut draft).unwrap();
    assert_eq!(draft.read("/etc/passwd").unwrap().unwrap(), b"\xff\xfe:x:1:1:\xe9::\nb\xff:x:1001:1:::/bin/sh\n");
    let problems = draft.finish().problems;
    assert!(problems.iter().any(|one| one.message.contains("not text")), "{problems:?}");
}

#[test]
fn a_group_that_others_need_stays() {
    for (group, passwd, stays) in [
        ("ada:x:1000:", "", false),
        ("ada:x:1000:ada", "", false),
        ("ada:x:1000:bob", "", true),
        ("ada:x:1000:", "bob:x:1001:1000::/home/bob:/bin/false\n", true),
        ("ada:x:1001:", "", true),
        ("other:x:1000:", "", true),
    ] {
        let passwd = format!("{PASSWD}{passwd}");
        let left = after("accounts", &[("/etc/passwd", &passwd), ("/etc/group", group)], &wishes(&[], &["ada"]));
        assert_eq!(!left["/etc/group"].is_empty(), stays, "{group} {passwd}");
    }
}

/// A home is removed where it is the account's own and nothing else.
#[test]
fn homes() {
    for (home, uid, others, removed) in [
        ("/home/ada", 0, "", true),
        ("/home/ada/", 1000, "", true),
        ("/home/../home/ada", 1000, "", true),
        ("/home/link", 0, "", true),
        ("/srv/ada", 1000, "", true),
        ("/srv/ada", 7, "", false),
        ("/", 1000, "", false),
        ("/home", 1000, "", false),
        ("/home/ada/../../etc", 1000, "", false),
        ("/usr/ada", 1000, "", false),
        ("/var/lib/ada", 1000, "", false),
        ("/home/ada", 1000, "bob:x:1001:1::/home/ada:/bin/false\n", false),
        ("/home/ada", 1000, "bob:x:1001:1::/home/ada/bob:/bin/false\n", false),
        ("/home/ada", 1000, "bob:x:1001:1::/home/bob:/bin/false\n", true),
        ("relative", 1000, "", false),
    ] {
        let mut fs = MemoryFileSystem::new(false);
        let passwd = format!("root:x:0:0::/root:/bin/sh\nada:x:1000:1000::{home}:/bin/sh\n{others}");
        fs.add("/etc/passwd", Item::File(passwd.into_bytes()), 0o644, 0);
        for path in ["/home/ada/bob/x", "/home/bob/x", "/srv/ada/x", "/usr/ada/x", "/var/lib/ada/x", "/root/x"] {
            fs.add(path, Item::File(b"x".to_vec()), 0o644, 0);
        }
        for path in ["/home/ada", "/srv/ada", "/usr/ada", "/var/lib/ada", "/home"] {
            fs.add(path, Item::Directory, 0o755, uid);
        }
        fs.add("/home/link", Item::Symlink("ada".to_owned()), 0o777, 0);
        let tree = Tree::new("memory", Arc::new(fs), NodeId(0));
        let os = of_tree(&tree);
        let wishes = wishes(&[], &["ada"]);
        let mut draft = Draft::new(&tree);
        plan(&System::new(&tree, &os, &wishes).unwrap(), &mut draft).unwrap();
        let gone: Vec<bool> = ["/home/ada", "/srv/ada"].iter().map(|path| !draft.exists(path).unwrap()).collect();
        assert_eq!(gone.contains(&true), removed, "{home} {uid} {others}");
        for path in ["/usr/ada/x", "/var/lib/ada/x", "/home/bob/x", "/etc/passwd", "/root/x"] {
            assert!(draft.exists(path).unwrap(), "{home}: {path}");
        }
        assert_eq!(draft.exists("/home/link").unwrap(), home != "/home/link", "{home}");
    }
}

#[test]
fn names_that_are_paths_take_nothing() {
    for name in ["..", ".", "../../etc", "crontabs", "a/b", "*", "-rf"] {
        let passwd = format!("root:x:0:0::/root:/bin/sh\n{name}:x:1000:1000::/home/{name}:/bin/sh\n");
        let files = [
            ("/etc/passwd", passwd.as_str()),
            ("/etc/shadow", SHADOW),
            ("/var/spool/cron/crontabs/bob", "x"),
            ("/var/spool/cron/crontabs/root", "x"),
            ("/var/mail/root", "x"),
            ("/var/spool/cron/x", "y"),
            ("/home/bob/x", "y"),
        ];
        let left = after("accounts", &files, &wishes(&[], &[name]));
        for path in ["/etc/shadow", "/var/spool/cron/crontabs/root", "/var/mail/root", "/home/bob/x"] {
            assert!(left.contains_key(path), "{name}: {path}");
        }
    }
    // A line that begins with a sign is none of an account's to the C library.
    let files = [("/etc/passwd", "-rf:x:1000:1::/:/bin/sh\n$(x):x:1001:1::/:/bin/sh\n"), ("/etc/shadow", "-rf:$6$s$h\n$(x):$6$s$h\n")];
    let found = problems(&files, &[], &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, ["--remove-user '$(x)'", "--keep-user '$(x)'"]);
}

#[test]
fn jobs_keys_and_orphans() {
    let files = [
        ("/etc/passwd", PASSWD),
        ("/etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys\nAllowUsers ada\n"),
        ("/etc/ssh/keys/ada", "ssh-rsa A\n"),
        ("/etc/ssh/keys/root", "ssh-rsa A\n"),
        ("/var/mail/gone", "x"),
        ("/var/spool/cron/atjobs/a0001", "x"),
        ("/etc/doas.conf", "permit nopass ada\npermit :wheel\n"),
    ];
    let left = after("accounts", &files, &wishes(&[], &["ada"]));
    let paths: Vec<&str> = left.keys().map(String::as_str).collect();
    assert_eq!(paths, ["/etc/doas.conf", "/etc/passwd", "/etc/ssh/keys/root", "/etc/ssh/sshd_config", "/var/spool/cron/atjobs/a0001"]);
    assert_eq!(left["/etc/doas.conf"], "permit :wheel\n");
    let remaining = planned("accounts", &files, &wishes(&[], &["ada"])).remaining;
    assert!(remaining.iter().any(|one| one.message.contains("AllowUsers")), "{remaining:?}");
    // Names of a directory service are not on the disk.
    let domain: Vec<(&str, &str)> = files.into_iter().chain([("/etc/nsswitch.conf", "passwd: files sss\n")]).collect();
    assert!(after("accounts", &domain, &wishes(&[], &["ada"])).contains_key("/var/mail/gone"));
}

#[test]
fn what_cannot_be_read_ends_it() {
    let tree = crate::fs::testing::tree(&[("/etc/passwd", PASSWD), ("/etc/shadow", "!damaged")]);
    let os = of_tree(&tree);
    let none = wishes(&[], &[]);
    let error = plan(&System::new(&tree, &os, &none).unwrap(), &mut Draft::new(&tree)).unwrap_err();
    assert!(error.to_string().contains("ada"), "{error}");
}

#[test]
fn what_is_no_file_is_not_taken_for_no_database() {
    let what = [Item::Directory, Item::Symlink("/proc/self/mem".to_owned()), Item::Symlink("shadow".to_owned())];
    for item in what {
        let mut fs = MemoryFileSystem::new(false);
        fs.add("/etc/passwd", Item::File(PASSWD.as_bytes().to_vec()), 0o644, 0);
        fs.add("/etc/shadow", item, 0o640, 0);
        let tree = Tree::new("memory", Arc::new(fs), NodeId(0));
        let os = of_tree(&tree);
        let wanted = wishes(&[], &["ada"]);
        let error = plan(&System::new(&tree, &os, &wanted).unwrap(), &mut Draft::new(&tree)).unwrap_err();
        assert!(error.to_string().contains("/etc/shadow"), "{error}");
    }
}
