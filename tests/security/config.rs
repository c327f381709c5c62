//! `vhdkit.toml` beside a stranger's disk: it may decide, but it leads nowhere.

use crate::every::run_raw;
use crate::support::{Disk, MIB};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

#[test]
fn a_configuration_that_nobody_named_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("disks")).unwrap();
    Disk::data(24 * MIB).write_fixed(&at("disks/a.vhd"));
    fs::write(at("victim"), "profile = \"C4NARY-of-the-host\"\nC4NARY = 1\n").unwrap();
    let toml = at("disks/vhdkit.toml");
    let check = |more: &[&str]| {
        let (status, out, err) = run_raw(&[&["check", "disks/a.vhd"], more].concat(), dir.path());
        let said = String::from_utf8([out, err].concat()).unwrap();
        (status, said)
    };
    for target in ["../victim", "/etc/passwd", "/dev/zero", "/dev/stdin", "/proc/self/environ", "vhdkit.toml", "nowhere"] {
        symlink(target, &toml).unwrap();
        let (status, said) = check(&[]);
        assert_eq!(status, Some(2), "{target}: {said}");
        assert!(said.contains("--no-config") && said.contains("vhdkit.toml") && said.lines().count() == 1, "{target}: {said}");
        assert!(!said.contains("C4NARY") && !said.contains("root:"), "{target}: {said}");
        assert_eq!(check(&["--no-config"]).0, Some(0), "{target}");
        fs::remove_file(&toml).unwrap();
    }
    // Nothing is waited for.
    assert!(Command::new("mkfifo").arg(&toml).status().unwrap().success());
    let (status, said) = check(&[]);
    assert!(status == Some(2) && said.contains("it is no file"), "{said}");
    fs::remove_file(&toml).unwrap();
    fs::create_dir(&toml).unwrap();
    assert!(check(&[]).1.contains("it is no file"));
    fs::remove_dir(&toml).unwrap();
    fs::File::create(&toml).unwrap().set_len(1 << 40).unwrap();
    assert!(check(&[]).1.contains("more than"));
    fs::remove_file(&toml).unwrap();
    // One within the directory is good, and so is whatever was named.
    fs::write(at("disks/ours.toml"), "fail-on = \"note\"\n").unwrap();
    symlink("ours.toml", &toml).unwrap();
    assert!(matches!(check(&[]).0, Some(0 | 1)));
    fs::write(at("elsewhere.toml"), "profile = \"azure\"\n").unwrap();
    symlink("elsewhere.toml", at("link.toml")).unwrap();
    assert_eq!(check(&["--config=link.toml"]).0, Some(0));
}
