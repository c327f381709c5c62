//! Whole guests against what their makers recorded: real Debian disks, stand-ins for other distributions, and what three deprovisioning
//! tools leave.
//!
//! The disks are made by the scripts of `../shared/images/build` and lie where `VHDKIT_IMAGES` says, or in `../images`; the stand-ins lie in
//! `../shared`.
//! Without them the tests say SKIPPED and pass.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic, and says what it skips"
)]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::json::split;
use vhdkit::inspect::{Options, disk};

/// A disk's facts as the JSON that users get.
fn facts(path: &Path) -> Value {
    let file: Bytes = Arc::new(HostFile::open(path, Access::Positional).unwrap());
    let inspected = disk(&Source { file: &file, path, search: &ParentSearch::default() }, Options::default()).unwrap();
    split(&inspected.facts, "").unwrap().0
}

/// A disk of the images directory; `None` where it was not made.
fn image(name: &str) -> Option<Value> {
    let directory = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| PathBuf::from("../images"), PathBuf::from);
    let path = directory.join(name);
    if !path.is_file() {
        eprintln!("SKIPPED: {name}; make it with shared/images/build and set VHDKIT_IMAGES to where it is");
        return None;
    }
    Some(facts(&path))
}

/// A stand-in, unpacked.
fn synthetic(name: &str) -> Option<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("VHDKIT_SHARED").map(PathBuf::from);
    let places = shared.into_iter().chain([here.join("../shared"), here.join("../../shared")]);
    let packed = places.map(|place| place.join(format!("images/synthetic/{name}.raw.zst"))).find(|path| path.is_file());
    let Some(packed) = packed else {
        eprintln!("SKIPPED: the stand-in {name}; ../shared/images is not here");
        return None;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(format!("{name}.raw"));
    match Command::new("zstd").args(["-dq", "--sparse"]).arg(&packed).arg("-o").arg(&path).status() {
        Ok(status) if status.success() => Some(facts(&path)),
        _ => {
            eprintln!("SKIPPED: the stand-in {name}; zstd is not installed");
            None
        }
    }
}

/// Asserts that the values at JSON pointers below the operating system are these.
fn holds(name: &str, facts: &Value, expected: &[(&str, Value)]) {
    for (at, value) in expected {
        let found = facts.pointer(&format!("/os{at}"));
        assert_eq!(found, Some(value), "{name}: /os{at}; evidence: {}", facts["os"]["state_evidence"]);
    }
}

fn names(list: &Value, key: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|one| one[key].as_str().map(str::to_owned)).collect()
}

/// What every one of the Debian disks carries (`images/README.md`, "Ground truth").
fn debian(name: &str, facts: &Value) {
    holds(
        name,
        facts,
        &[
            ("/family", json!("linux")),
            ("/id", json!("debian")),
            ("/version", json!("12")),
            ("/name", json!("Debian GNU/Linux 12 (bookworm)")),
            ("/architecture", json!("x64")),
            ("/host_name", json!("web-prod-01")),
            ("/state", json!("specialized")),
            ("/linux/identity/machine_id/id", json!("8f3c1d2e4b5a69788796a5b4c3d2e1f0")),
            ("/linux/identity/dbus_machine_id", json!("link")),
            ("/linux/kernels/0/release", json!("6.1.0-56-cloud-amd64")),
            ("/linux/packages/manager", json!("dpkg")),
            ("/linux/residue/leases", json!(["/var/lib/dhcp/dhclient.eth0.leases"])),
            ("/linux/accounts/belongings", json!(["/var/spool/cron/crontabs/azureuser"])),
        ],
    );
    let linux = &facts["os"]["linux"];
    for driver in ["hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "virtio_blk", "ata_piix", "udf", "sr_mod"] {
        assert_eq!(linux["kernels"][0]["drivers"][driver]["in_initramfs"], json!(true), "{name}: {driver}");
    }
    let packages = &linux["packages"]["of_interest"];
    let version = |wanted: &str| packages.as_array().unwrap().iter().find(|one| one["name"] == wanted).map(|one| one["version"].clone());
    assert_eq!(version("openssh-server"), Some(json!("1:9.2p1-2+deb12u10")), "{name}");
    assert_eq!(version("hyperv-daemons"), Some(json!("6.1.192-2")), "{name}");
    let users = linux["accounts"]["users"].as_array().unwrap();
    let user = |wanted: &str| users.iter().find(|one| one["name"] == wanted).unwrap();
    let azureuser = user("azureuser");
    assert_eq!(
        (&azureuser["uid"], &azureuser["password"], &azureuser["authorized_keys"]),
        (&json!(1000), &json!("set"), &json!(1)),
        "{name}"
    );
    assert_eq!(azureuser["private_keys"], json!(["/home/azureuser/.ssh/id_ed25519"]), "{name}");
    assert_eq!(azureuser["can_become_root"], json!(true), "{name}");
    assert_eq!(user("appowner")["uid"], json!(1001), "{name}");
    assert_eq!((&user("root")["password"], &user("root")["authorized_keys"]), (&json!("set"), &json!(1)), "{name}");
    let keys: Vec<String> = names(&linux["ssh"]["host_keys"], "type");
    assert_eq!(keys, ["ecdsa", "ed25519", "rsa"], "{name}");
    assert_eq!(
        names(&linux["residue"]["histories"], "path"),
        ["/home/azureuser/.bash_history", "/root/.bash_history", "/root/.viminfo"],
        "{name}"
    );
    assert!(names(&linux["network"]["udev_rules"], "purpose").contains(&"persistent-names".to_owned()), "{name}");
    let logs = names(&linux["residue"]["logs"], "path");
    assert!(logs.contains(&"/var/log/auth.log".to_owned()), "{name}: {logs:?}");
    let told = facts.to_string();
    for secret in ["FakePassw0rd", "FAKE-KEY-FOR-TESTS", "$6$", "$y$", "PRIVATE KEY", "ssh-ed25519 "] {
        assert!(!told.contains(secret), "{name} tells {secret}");
    }
}

#[test]
fn debian_disks_are_what_their_makers_recorded() {
    type Row = (&'static str, Value, Value, Option<&'static str>, Option<&'static str>, &'static str);
    let rows: [Row; 5] = [
        ("A.raw", json!([1, 2]), json!(1), Some("2.7.3.0"), Some("22.4.2"), "ext4"),
        ("B.raw", json!([1]), json!(1), None, Some("22.4.2"), "ext4"),
        ("C.raw", json!([1, 2]), json!("vg0/root"), Some("2.7.3.0"), None, "ext4"),
        ("D.raw", json!([1, 2]), json!(1), Some("2.7.3.0"), Some("22.4.2"), "xfs"),
        ("E.raw", json!([1, 2]), json!(1), Some("2.7.3.0"), Some("22.4.2"), "btrfs"),
    ];
    for (name, generations, root, waagent, cloud_init, kind) in rows {
        let Some(facts) = image(name) else { continue };
        debian(name, &facts);
        assert_eq!(facts["role"], "os", "{name}");
        assert_eq!(facts["boot"]["generations"], generations, "{name}: {}", facts["boot"]["evidence"]);
        holds(name, &facts, &[("/root", root), ("/file_systems/0/type", json!(kind))]);
        let linux = &facts["os"]["linux"];
        let version = |agent: &Value| agent["version"].as_str().map(|version| version.split('-').next().unwrap().to_owned());
        assert_eq!(version(&linux["agents"]["waagent"]).as_deref(), waagent, "{name}");
        if cloud_init.is_some() {
            assert_eq!(version(&linux["agents"]["cloud_init"]).as_deref(), cloud_init, "{name}");
            assert_eq!(linux["residue"]["cloud_init"]["instances"], json!(["5d0c8a3e-1f2b-4c6d-9e8f-a0b1c2d3e4f5"]), "{name}");
        }
        if waagent.is_some() {
            let state = &linux["residue"]["waagent"];
            assert_eq!(
                (&state["provisioned"], &state["ovf_env"], &state["ovf_user"]),
                (&json!(true), &json!(true), &json!("azureuser")),
                "{name}"
            );
        }
    }
}

#[test]
fn planted_defects_and_joined_file_systems_are_seen() {
    if let Some(facts) = image("B.raw") {
        let linux = &facts["os"]["linux"];
        let line = linux["boot"]["command_line"].as_str().unwrap();
        assert!(line.contains("root=/dev/sda1") && line.contains("quiet splash") && !line.contains("console=ttyS0"), "{line}");
        let fstab = linux["mounts"]["fstab"].as_array().unwrap();
        let told: Vec<_> =
            fstab.iter().map(|one| (one["source"].as_str().unwrap(), &one["named_by"], &one["optional"], &one["on"])).collect();
        assert!(told.contains(&("/dev/sda1", &json!("device"), &json!(false), &json!("partition 1"))), "{told:?}");
        assert!(told.contains(&("/dev/sdb1", &json!("device"), &json!(false), &Value::Null)), "{told:?}");
    }
    if let Some(facts) = image("C.raw") {
        let volumes: Vec<(String, u64)> = facts["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap().to_owned(), one["size"].as_u64().unwrap()))
            .collect();
        let mib = |count: u64| count << 20;
        assert_eq!(volumes, [("vg0/root".to_owned(), mib(256 * 4)), ("vg0/var".to_owned(), mib(400)), ("vg0/swap".to_owned(), mib(64))]);
        let mounts: Vec<_> = facts["os"]["file_systems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["at"].as_str().unwrap(), one["from"].as_str().unwrap()))
            .collect();
        for mount in [("/", "vg0/root"), ("/var", "vg0/var"), ("/boot", "partition 1"), ("/boot/efi", "partition 15")] {
            assert!(mounts.contains(&mount), "{mounts:?}");
        }
    }
    if let Some(facts) = image("E.raw") {
        let from = names(&facts["os"]["file_systems"], "from");
        for one in ["partition 1, subvolume @", "partition 1, subvolume @home", "partition 1, subvolume @var_log"] {
            assert!(from.contains(&one.to_owned()), "{from:?}");
        }
    }
    for (name, label) in [("data-ext4.raw", "datadisk"), ("data-ntfs.raw", "DataNTFS")] {
        if let Some(facts) = image(name) {
            assert_eq!((&facts["role"], &facts["os"]), (&json!("data"), &Value::Null), "{name}");
            assert_eq!(facts["partitions"][0]["content"]["label"], label, "{name}");
            assert_eq!(facts["partitions"][0]["content"]["clean"], true, "{name}");
        }
    }
}

#[test]
fn a_disk_deprovisioned_by_one_of_two_tools_is_neither() {
    // Either tool alone leaves the other's state, as `diffs/` records; both together leave nothing of the machine.
    for (name, state, missing) in [
        ("A-generalized-waagent.raw", "inconsistent", "cloud-init clean"),
        ("A-generalized-cloud-init.raw", "inconsistent", "waagent -deprovision"),
    ] {
        let Some(facts) = image(name) else { continue };
        holds(name, &facts, &[("/state", json!(state))]);
        let evidence = facts["os"]["state_evidence"].to_string();
        assert!(evidence.contains(missing), "{name}: {evidence}");
    }
}

#[test]
fn stand_ins_for_other_distributions_are_what_their_recipe_says() {
    // Name, id, version, state, package and its version, first kernel, host name.
    let rows = [
        ("ubuntu2204", "ubuntu", "22.04", "specialized", "walinuxagent", "2.2.46-0ubuntu5.1", "6.5.0-1025-azure", "ubuntu-src"),
        ("rhel9", "rhel", "9.4", "specialized", "WALinuxAgent", "2.7.0.6-9.el9", "5.14.0-427.13.1.el9_4.x86_64", "rhel9-src"),
        ("rocky9", "rocky", "9.3", "specialized", "openssh-server", "8.7p1-38.el9", "5.14.0-362.8.1.el9_3.x86_64", "rocky9-src"),
        ("sles15", "sles", "15.5", "specialized", "python-azure-agent", "2.9.1.1-150400.3.35", "5.14.21-150500.33.66-azure", "sles-src"),
        ("azurelinux3", "azurelinux", "3.0", "generalized", "WALinuxAgent", "2.11.1.4-1.azl3", "6.6.57.1-7.azl3", "azl-src"),
        ("alpine319", "alpine", "3.19.1", "generalized", "cloud-init", "23.4.1-r0", "virt", "alpine-src"),
    ];
    for (name, id, version, state, package, package_version, kernel, host) in rows {
        let Some(facts) = synthetic(name) else { continue };
        holds(
            name,
            &facts,
            &[
                ("/id", json!(id)),
                ("/version", json!(version)),
                ("/state", json!(state)),
                ("/host_name", json!(host)),
                ("/linux/kernels/0/release", json!(kernel)),
            ],
        );
        let packages = facts["os"]["linux"]["packages"]["of_interest"].as_array().unwrap();
        let found = packages.iter().find(|one| one["name"] == package).map(|one| one["version"].as_str().unwrap());
        assert_eq!(found, Some(package_version), "{name}");
    }
    if let Some(facts) = synthetic("rocky9") {
        let linux = &facts["os"]["linux"];
        assert_eq!((&linux["agents"]["waagent"], &linux["agents"]["cloud_init"]), (&Value::Null, &Value::Null));
        assert_eq!(linux["kernels"][0]["drivers"]["hv_storvsc"]["in_initramfs"], json!(false));
    }
    if let Some(facts) = synthetic("flatcar") {
        holds(
            "flatcar",
            &facts,
            &[
                ("/id", json!("flatcar")),
                ("/version", json!("3815.2.0")),
                ("/host_name", json!("fc-src")),
                ("/root", json!(9)),
                ("/linux/agents/waagent/configuration/path", json!("/usr/share/oem/waagent.conf")),
            ],
        );
        let from = names(&facts["os"]["file_systems"], "from");
        assert!(from.contains(&"partition 3".to_owned()) && from.contains(&"partition 6".to_owned()), "{from:?}");
    }
}
