//! Faults planted in a healthy Linux, each on a real disk of its own: exactly what is expected is found, beside what is said of the healthy
//! one. Each family of rules has its table in a file of its own below `planted`.
//!
//! Without `mke2fs` and mtools the tests say SKIPPED and pass.
#![cfg(unix)]
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic, and says what it skips"
)]

#[path = "planted/linux.rs"]
mod linux;
#[path = "planted/linux_boot.rs"]
mod linux_boot;
#[path = "planted/linux_healthy.rs"]
mod linux_healthy;
#[path = "planted/linux_provisioning.rs"]
mod linux_provisioning;
#[path = "planted/ready.rs"]
mod ready;
#[path = "support/mod.rs"]
mod support;
// Further tables: a module here, and a test below.

use linux::{Guest, able, check, findings, judge};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What may be said of the healthy guests: codes, with why it is right.
const DEFENSIBLE: &[(&str, &str)] = &[("GEN012", "where openssl is not installed, the loaders are not signed")];

fn healthy(guest: &Guest) {
    let document = guest.check();
    let found = findings(&document);
    for (code, (severity, message)) in &found {
        assert_ne!(severity, "error", "{code}: {message}");
        assert!(DEFENSIBLE.iter().any(|(known, _)| known == code), "{code}, {severity}: {message}");
    }
    assert_eq!(document["verdict"], "ready", "{:#}", document["rules"]);
}

#[test]
fn the_healthy_generalized_guest_is_ready() {
    if able() {
        healthy(&linux_healthy::generalized());
    }
}

#[test]
fn the_healthy_specialized_guest_is_ready() {
    if able() {
        healthy(&linux_healthy::specialized());
    }
}

#[test]
fn ready_guests_stay_ready() {
    if able() {
        linux_healthy::generalized().stays_ready();
        linux_healthy::specialized().stays_ready();
    }
}

#[test]
fn a_copy_as_a_data_disk_is_found() {
    if able() {
        let found = findings(&linux_healthy::specialized().check_beside_a_copy());
        let errors: Vec<&str> = found.iter().filter(|(_, (severity, _))| severity == "error").map(|(code, _)| code.as_str()).collect();
        assert_eq!(errors, ["IMG313"], "{found:#?}");
        assert!(["IMG101", "IMG213"].iter().all(|code| found.contains_key(*code)), "{found:#?}");
    }
}

#[test]
fn faults_of_drivers_are_found() {
    judge(linux_boot::DRIVERS);
}

#[test]
fn faults_of_loaders_are_found() {
    judge(linux_boot::LOADERS);
}

#[test]
fn faults_of_mounts_are_found() {
    judge(linux_boot::MOUNTS);
}

#[test]
fn faults_of_provisioning_are_found() {
    judge(linux_provisioning::FAULTS);
}

/// Errors of these families that are right: the planted defects of B.
const PLANTED_IN_B: &[&str] = &["LNX013", "LNX014"];

#[test]
fn real_debian_disks_have_the_errors_that_were_planted() {
    let directory = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    let rules: BTreeSet<&str> = [linux_boot::DRIVERS, linux_boot::LOADERS, linux_boot::MOUNTS]
        .into_iter()
        .flatten()
        .flat_map(|fault| fault.finds.iter().copied())
        .collect();
    for name in ["A.raw", "B.raw", "C.raw", "D.raw", "E.raw"] {
        let path = directory.join(name);
        if !path.is_file() {
            eprintln!("SKIPPED: {name}; make it with shared/images/build and set VHDKIT_IMAGES to where it is");
            continue;
        }
        let found = findings(&check(&["--as", "specialized"], &path));
        let errors: Vec<&str> = found
            .iter()
            .filter(|(code, (severity, _))| severity == "error" && rules.contains(code.as_str()))
            .map(|(code, _)| code.as_str())
            .collect();
        assert_eq!(errors, if name == "B.raw" { PLANTED_IN_B } else { &[] }, "{name}: {found:#?}");
    }
}

/// A volume group that the guest stands on, twice in one image.
#[test]
fn a_copy_of_a_volume_group_is_found() {
    let directory = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    let path = directory.join("C.raw");
    if !path.is_file() {
        eprintln!("SKIPPED: C.raw; make it with shared/images/build and set VHDKIT_IMAGES to where it is");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("copy.raw");
    let copied = std::process::Command::new("cp").arg("--sparse=always").args([&path, &copy]).status().unwrap();
    assert!(copied.success(), "cp");
    let data = format!("--data=0={}", copy.display());
    let found = findings(&check(&["--as", "specialized", &data], &path));
    assert_eq!(found.get("IMG513").map(|(severity, _)| severity.as_str()), Some("error"), "{found:#?}");
}
