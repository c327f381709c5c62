//! What vhdkit stands on, read from `Cargo.lock` and `deny.toml`: the parts of `cargo deny check bans sources` that need neither the network
//! nor cargo-deny. Licences are held by `tests/architecture.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::allow_attributes,
    reason = "a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where every crate comes from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A crate in the lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    /// `name`, or `name version` where there are several.
    dependencies: Vec<String>,
}

/// The packages of a lock file, as Cargo writes it.
fn packages(lock: &str) -> Vec<Package> {
    let mut all: Vec<Package> = Vec::new();
    for block in lock.split("[[package]]\n").skip(1) {
        let value = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
            Some(line.trim_end_matches('"').to_owned())
        };
        let list = block.split_once("dependencies = [\n").and_then(|(_, rest)| rest.split_once(']')).map(|(list, _)| list);
        let dependencies = list.unwrap_or_default().lines().map(|line| line.trim().trim_matches([',', '"']).to_owned());
        all.push(Package {
            name: value("name").expect("a package has a name"),
            version: value("version").expect("a package has a version"),
            source: value("source"),
            checksum: value("checksum"),
            dependencies: dependencies.filter(|name| !name.is_empty()).collect(),
        });
    }
    all
}

/// Crates from elsewhere, and those whose content nobody can hold against a checksum.
fn source_faults(packages: &[Package]) -> Vec<String> {
    let own = |package: &&Package| package.name != env!("CARGO_PKG_NAME");
    let sound = |package: &&Package| {
        let checksum = package.checksum.as_deref().unwrap_or_default();
        package.source.as_deref() == Some(CRATES_IO) && checksum.len() == 64 && checksum.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let faults = packages.iter().filter(own).filter(|package| !sound(package));
    faults
        .map(|package| format!("{} {}: from {:?}, checksum {:?}", package.name, package.version, package.source, package.checksum))
        .collect()
}

/// The entries of a list of `deny.toml`, `{ name = "syn", version = "2" }`.
fn skipped(deny: &str, list: &str) -> Vec<(String, String)> {
    let (_, rest) = deny.split_once(&format!("\n{list} = [")).unwrap_or_else(|| panic!("deny.toml has no {list}"));
    let (body, _) = rest.split_once("\n]").expect("the list ends");
    let field = |line: &str, key: &str| Some(line.split_once(&format!("{key} = \""))?.1.split_once('"')?.0.to_owned());
    body.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| Some((field(line, "name")?, field(line, "version")?)))
        .collect()
}

/// Whether a version is one that a requirement such as `2` or `0.11` means.
fn means(requirement: &str, version: &str) -> bool {
    version == requirement || version.strip_prefix(requirement).is_some_and(|rest| rest.starts_with('.'))
}

/// Crates of which there is more than one version, though nobody has said why; and excuses that nobody needs any more.
fn duplicate_faults(packages: &[Package], deny: &str) -> Vec<String> {
    let mut excused: BTreeSet<(String, String)> = BTreeSet::new();
    let mut faults = Vec::new();
    let mut todo: Vec<&Package> = Vec::new();
    for (list, tree) in [("skip", false), ("skip-tree", true)] {
        for (name, version) in skipped(deny, list) {
            let found: Vec<&Package> =
                packages.iter().filter(|package| package.name == name && means(&version, &package.version)).collect();
            if found.is_empty() {
                faults.push(format!("deny.toml skips {name} {version}, which is not there any more"));
            }
            excused.extend(found.iter().map(|package| (package.name.clone(), package.version.clone())));
            todo.extend(found.into_iter().filter(|_| tree));
        }
    }
    while let Some(package) = todo.pop() {
        for dependency in &package.dependencies {
            let (name, version) = dependency.split_once(' ').unwrap_or((dependency, ""));
            for found in packages.iter().filter(|one| one.name == name && (version.is_empty() || one.version == version)) {
                if excused.insert((found.name.clone(), found.version.clone())) {
                    todo.push(found);
                }
            }
        }
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let kept = versions.entry(&package.name).or_default();
        if !excused.contains(&(package.name.clone(), package.version.clone())) {
            kept.push(&package.version);
        }
    }
    faults.extend(
        versions.iter().filter(|(_, kept)| kept.len() > 1).map(|(name, kept)| format!("{name} is there as {}", kept.join(" and "))),
    );
    faults
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn package(name: &str, version: &str, dependencies: &[&str]) -> Package {
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        source: Some(CRATES_IO.to_owned()),
        checksum: Some("a".repeat(64)),
        dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn every_crate_is_that_of_crates_io() {
    let bad = |change: fn(&mut Package)| {
        let mut one = package("a", "1.0.0", &[]);
        change(&mut one);
        source_faults(&[one]).len()
    };
    assert_eq!(bad(|_| {}), 0);
    assert_eq!(bad(|one| one.source = None), 1);
    assert_eq!(bad(|one| one.source = Some("git+https://github.com/a/b#c".to_owned())), 1);
    assert_eq!(bad(|one| one.source = Some("registry+https://example.org/index".to_owned())), 1);
    assert_eq!(bad(|one| one.checksum = None), 1);
    let all = packages(&read("Cargo.lock"));
    assert!(all.len() > 20, "only {} packages", all.len());
    assert_eq!(source_faults(&all), Vec::<String>::new());
    assert!(all.iter().any(|package| package.dependencies.len() > 1), "no dependencies were read");
    // Cargo takes a patch from where it says, whatever the registry has.
    let manifest = read("Cargo.toml");
    assert!(!manifest.lines().any(|line| line.starts_with("[patch") || line.starts_with("[replace")), "Cargo.toml replaces crates");
    assert!(!manifest.contains("git = \"") && !manifest.contains(" path = \"."), "Cargo.toml takes crates from elsewhere");
}

#[test]
fn a_second_version_is_there_for_a_reason() {
    let deny = "[bans]\nskip = [\n    # Why.\n    { name = \"a\", version = \"1\" },\n]\nskip-tree = [\n    { name = \"t\", version = \"0.2\" },\n]\n";
    let base = [package("a", "1.2.3", &[]), package("a", "2.0.0", &[]), package("t", "0.2.1", &["b 1.0.0"]), package("b", "1.0.0", &[])];
    let faults = |more: &[Package]| duplicate_faults(&[&base[..], more].concat(), deny);
    assert_eq!(faults(&[]), Vec::<String>::new());
    assert_eq!(faults(&[package("b", "2.0.0", &[])]), Vec::<String>::new());
    assert_eq!(faults(&[package("b", "2.0.0", &[]), package("b", "3.0.0", &[])]), ["b is there as 2.0.0 and 3.0.0"]);
    assert_eq!(faults(&[package("c", "1.0.0", &[]), package("c", "2.0.0", &[])]), ["c is there as 1.0.0 and 2.0.0"]);
    assert_eq!(duplicate_faults(&base[2..], deny), ["deny.toml skips a 1, which is not there any more"]);
    assert!(means("0.1", "0.1.7") && !means("0.1", "0.11.0") && !means("1", "10.0.0"));
    assert_eq!(duplicate_faults(&packages(&read("Cargo.lock")), &read("deny.toml")), Vec::<String>::new());
}
