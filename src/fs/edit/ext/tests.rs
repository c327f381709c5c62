//! How much the writer does, counted in bytes and never in time.

use super::*;
use crate::bytes::host::Access;
use crate::bytes::{Bytes, HostFile};
use std::io::Write;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::atomic::Ordering;

/// A file system with so many files in one directory; nothing, told loudly, without mke2fs.
fn crowded(home: &std::path::Path, count: usize, options: &[&str]) -> Option<Bytes> {
    let (tree, image) = (home.join("tree"), home.join("image"));
    std::fs::create_dir_all(tree.join("many/x")).unwrap();
    for number in 0..count {
        std::fs::write(tree.join(format!("many/some-file-of-a-name-{number:06}")), "x").unwrap();
    }
    std::fs::File::create(&image).unwrap().set_len(24 << 20).unwrap();
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-N", "8192", "-d"]).arg(&tree).args(options).arg(&image).env("PATH", path);
    if !command.status().is_ok_and(|status| status.success()) {
        writeln!(std::io::stderr(), "SKIPPED: work on large directories, since mke2fs is not installed").unwrap();
        return None;
    }
    Some(Arc::new(HostFile::open(&image, Access::Positional).unwrap()))
}

/// Removes all files of the directory, and then it; the bytes that the writer has moved, and the changed file system.
fn removed(base: &Bytes) -> (u64, Arc<Scratch>) {
    let fs = crate::fs::open("ext4", base.clone()).unwrap().unwrap();
    let many = fs.lookup(fs.root(), b"many").unwrap().unwrap();
    let mut names = Vec::new();
    fs.entries(many, &mut |entry| {
        names.push(entry.name);
        ControlFlow::Continue(())
    })
    .unwrap();
    let scratch = Scratch::new(base.clone(), 1 << 30);
    let mut editor = open_editor(scratch.clone()).unwrap();
    for name in &names {
        editor.remove(many, name).unwrap();
    }
    editor.remove(fs.root(), b"many").unwrap();
    let device = editor.device.clone();
    Box::new(editor).finish().unwrap();
    (device.moved.load(Ordering::Relaxed), scratch)
}

#[test]
fn removing_many_names_costs_as_much_for_each() {
    for options in [&["-b", "1024"][..], &["-b", "1024", "-O", "^dir_index"]] {
        let mut costs = Vec::new();
        for count in [750, 3000] {
            let home = tempfile::tempdir().unwrap();
            let Some(base) = crowded(home.path(), count, options) else { return };
            let (cost, scratch) = removed(&base);
            let left = crate::fs::open("ext4", scratch).unwrap().unwrap();
            assert_eq!(left.lookup(left.root(), b"many").unwrap(), None);
            assert!(left.usage().unwrap().free > 0 && left.clean().unwrap());
            costs.push(cost);
        }
        // Four times as many names; what is done once, and the more groups, may add to it.
        assert!(costs[1] < costs[0] * 6, "{options:?}: {costs:?}");
    }
}
