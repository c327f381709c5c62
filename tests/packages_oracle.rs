//! What software a Linux has, against the programs that know it: dpkg-query, rpm (SQLite, write-ahead log, Berkeley DB), systemctl, and
//! cloud-init's own merging. A test whose program or disk is missing says SKIPPED and passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::let_underscore_must_use,
    clippy::print_stderr,
    reason = "a test may panic, and says what it skips"
)]

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use vhdkit::bytes::{Bytes, Memory};
use vhdkit::facts::{Fact, LinuxFacts, UnitState};
use vhdkit::fs::{Entry, Error, FileSystem, Node, NodeId, NodeKind, Tree, Usage};
use vhdkit::guest::linux::rpm::{RpmPackage, bdb, sqlite};
use vhdkit::guest::linux::{package_version, yaml};
use vhdkit::inspect::linux::learn;

fn have(tools: &[&str]) -> bool {
    tools.iter().all(|tool| {
        let found = Command::new(tool).arg("--version").stdin(Stdio::null()).output().is_ok();
        if !found {
            eprintln!("SKIPPED: {tool} is not installed");
        }
        found
    })
}

/// What a program writes; `None` where it is not content.
fn run(tool: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn must_run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A directory of this machine as a file system; node numbers are places in a list of paths.
#[derive(Debug)]
struct Directory {
    paths: Mutex<Vec<PathBuf>>,
}

impl Directory {
    fn tree(root: &Path) -> Tree {
        Tree::new("directory", Arc::new(Self { paths: Mutex::new(vec![root.to_owned()]) }), NodeId(0))
    }

    fn path(&self, id: NodeId) -> PathBuf {
        self.paths.lock().unwrap()[id.0 as usize].clone()
    }

    fn add(&self, path: PathBuf) -> NodeId {
        let mut paths = self.paths.lock().unwrap();
        paths.push(path);
        NodeId(paths.len() as u64 - 1)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::Damaged(error.to_string())
}

impl FileSystem for Directory {
    fn kind(&self) -> &'static str {
        "directory"
    }

    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        let found = fs::symlink_metadata(self.path(id)).map_err(failed)?;
        let kind = match found.file_type() {
            kind if kind.is_dir() => NodeKind::Directory,
            kind if kind.is_symlink() => NodeKind::Symlink,
            kind if kind.is_file() => NodeKind::File,
            _ => NodeKind::CharacterDevice,
        };
        let (mode, uid, gid) = (Some(found.mode() as u16 & 0o7777), Some(found.uid()), Some(found.gid()));
        Ok(Node { kind, size: found.len(), mode, uid, gid, modified: Some(found.mtime()), links: 1, device: None })
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        for entry in fs::read_dir(self.path(directory)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().as_bytes().to_vec();
            if each(Entry { name, node: self.add(entry.path()) }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        Ok(Arc::new(Memory(fs::read(self.path(file)).map_err(failed)?)))
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        Ok(fs::read_link(self.path(link)).map_err(failed)?.as_os_str().as_bytes().to_vec())
    }

    fn usage(&self) -> Result<Usage, Error> {
        Ok(Usage { size: 0, used: 0, free: 0 })
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(true)
    }
}

/// A real Debian tree, without its documents and kernels.
fn debian() -> Option<&'static Path> {
    static TREE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let tree = TREE.get_or_init(|| {
        let images = std::env::var("VHDKIT_IMAGES").unwrap_or_else(|_| "../images".to_owned());
        let archive = Path::new(&images).join("base.tar");
        if !archive.exists() {
            eprintln!("SKIPPED: no base.tar in {images}");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new("tar")
            .args(["-C", directory.path().to_str().unwrap(), "--exclude=./usr/share/*", "--exclude=./boot/*", "--exclude=./dev/*"])
            .args(["--exclude=*/modules/*", "-xf", archive.to_str().unwrap()])
            .status();
        assert!(status.unwrap().success());
        Some(directory)
    });
    tree.as_ref().map(tempfile::TempDir::path)
}

fn debian_facts() -> Option<(&'static Path, &'static LinuxFacts)> {
    static FACTS: OnceLock<LinuxFacts> = OnceLock::new();
    let root = debian()?;
    Some((root, FACTS.get_or_init(|| learn(&Directory::tree(root)))))
}

#[test]
fn dpkg_counts_the_same_packages() {
    let Some((root, facts)) = debian_facts() else { return };
    if !have(&["dpkg-query"]) {
        return;
    }
    let admin = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let format = "-f=${db:Status-Status} ${Package} ${Version} ${Architecture}\\n";
    let listed = must_run("dpkg-query", &[&admin, "-W", format]);
    let installed: BTreeSet<&str> = listed.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    let packages = facts.packages.value().unwrap();
    assert_eq!((packages.manager.as_str(), packages.count), ("dpkg", installed.len() as u64));
    for package in &packages.of_interest {
        let line = format!("{} {} {}", package.name, package.version, package.architecture);
        assert!(installed.contains(line.as_str()), "{line}");
    }
    for name in ["walinuxagent", "cloud-init", "openssh-server", "hyperv-daemons", "grub2-common", "sudo", "systemd"] {
        let ours = packages.named(name).count();
        let theirs = installed.iter().filter(|line| line.split(' ').next() == Some(name)).count();
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn systemctl_sees_the_same_states() {
    let Some((root, facts)) = debian_facts() else { return };
    if !have(&["systemctl"]) {
        return;
    }
    let services = facts.services.value().unwrap();
    assert_eq!(services.init, Fact::Known("systemd".to_owned()));
    assert_eq!(services.cloud_init_generator, Fact::Known(true));
    let root = format!("--root={}", root.display());
    let mut compared = 0;
    for name in ["waagent.service", "sshd.socket", "firewalld.service", "walinuxagent.service", "cloud-init-main.service"]
        .into_iter()
        .chain(services.units.iter().map(|unit| unit.name.as_str()))
    {
        let output = Command::new("systemctl").args([&root, "is-enabled", name]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let state = *services.state(name).value().unwrap();
        let ours = serde_json::to_value(state).unwrap().as_str().unwrap().to_owned();
        let from_script =
            services.units.iter().any(|unit| unit.name == name && unit.file.as_ref().is_some_and(|file| file.starts_with("/etc/init.d")));
        if from_script {
            continue;
        }
        assert_eq!(ours, if said.is_empty() { "missing".to_owned() } else { said }, "{name}");
        compared += 1;
    }
    assert!(compared > 15, "{compared}");
    assert_eq!(services.state("ssh.service"), Fact::Known(UnitState::Enabled));
}

#[test]
fn links_that_systemctl_makes_are_seen() {
    let Some(root) = debian() else { return };
    if !have(&["systemctl"]) {
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    let units = copy.path().join("usr/lib/systemd");
    fs::create_dir_all(&units).unwrap();
    fs::create_dir_all(copy.path().join("etc/systemd")).unwrap();
    std::os::unix::fs::symlink("usr/lib", copy.path().join("lib")).unwrap();
    let from = root.join("lib/systemd/system");
    must_run("cp", &["-a", from.to_str().unwrap(), units.to_str().unwrap()]);
    fs::write(units.join("systemd"), "x").unwrap();
    let at = format!("--root={}", copy.path().display());
    let states = |wanted: &[(&str, UnitState)]| {
        let facts = learn(&Directory::tree(copy.path()));
        for (name, state) in wanted {
            let output = Command::new("systemctl").args([&at, "is-enabled", name]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert_eq!(serde_json::to_value(state).unwrap().as_str(), Some(said.as_str()), "{name}, systemctl");
            assert_eq!(facts.services.value().unwrap().state(name), Fact::Known(*state), "{name}");
        }
    };
    states(&[
        ("ssh.service", UnitState::Disabled),
        ("systemd-networkd.service", UnitState::Disabled),
        ("cloud-init.target", UnitState::Static),
    ]);
    must_run(
        "systemctl",
        &[&at, "-q", "enable", "ssh.service", "systemd-networkd.service", "serial-getty@ttyS0.service", "cloud-init-local.service"],
    );
    must_run("systemctl", &[&at, "-q", "mask", "walinuxagent.service"]);
    states(&[
        ("ssh.service", UnitState::Enabled),
        ("sshd.service", UnitState::Alias),
        ("systemd-networkd.service", UnitState::Enabled),
        ("serial-getty@ttyS0.service", UnitState::Enabled),
        ("getty@tty1.service", UnitState::Disabled),
        ("walinuxagent.service", UnitState::Masked),
        ("cloud-init-local.service", UnitState::Enabled),
        ("ssh.socket", UnitState::Disabled),
    ]);
}

#[test]
fn the_agents_of_a_real_tree_are_learnt() {
    let Some((_, facts)) = debian_facts() else { return };
    let waagent = facts.agents.waagent.value().unwrap();
    assert_eq!(waagent.version, Fact::Known("2.7.3.0".to_owned()));
    assert_eq!(waagent.configuration.value().unwrap().settings["Provisioning.Agent"], "cloud-init");
    let cloud_init = facts.agents.cloud_init.value().unwrap();
    assert!(cloud_init.version.value().unwrap().starts_with("22.4.2"), "{:?}", cloud_init.version);
    assert_eq!(cloud_init.program, Fact::Known("/usr/bin/cloud-init".to_owned()));
    assert!(facts.hypervisor_tools.value().unwrap().tools.is_empty());
}

/// The keys that [`cloud_init_merges_the_same`] compares, as cloud-init's own code gives them.
const MERGE: &str = r#"
import json, sys
sys.path.insert(0, sys.argv[1] + "/usr/lib/python3/dist-packages")
from cloudinit import util
c = util.read_conf_with_confd(sys.argv[2])
first = lambda xs: None if xs is None else [x[0] if isinstance(x, list) else x for x in xs]
names = lambda xs: None if xs is None else [x["name"] if isinstance(x, dict) else x for x in xs]
print(json.dumps({
    "datasource_list": c.get("datasource_list"),
    "default_user": c.get("system_info", {}).get("default_user", {}).get("name"),
    "distro": c.get("system_info", {}).get("distro"),
    "init_modules": first(c.get("cloud_init_modules")),
    "config_modules": first(c.get("cloud_config_modules")),
    "final_modules": first(c.get("cloud_final_modules")),
    "ssh_deletekeys": util.get_cfg_option_bool(c, "ssh_deletekeys") if "ssh_deletekeys" in c else None,
    "disable_root": util.get_cfg_option_bool(c, "disable_root") if "disable_root" in c else None,
    "preserve_hostname": util.get_cfg_option_bool(c, "preserve_hostname") if "preserve_hostname" in c else None,
    "users": names(c.get("users")),
    "hostname": c.get("fqdn", c.get("hostname")),
    "output": c.get("output", {}).get("all"),
    "growpart_mode": c.get("growpart", {}).get("mode"),
}))
"#;

#[test]
fn cloud_init_merges_the_same() {
    let Some(root) = debian() else { return };
    if !have(&["python3"]) {
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    let cloud = copy.path().join("etc/cloud");
    fs::create_dir_all(cloud.parent().unwrap()).unwrap();
    must_run("cp", &["-a", root.join("etc/cloud").to_str().unwrap(), cloud.to_str().unwrap()]);
    let parts: &[&[(&str, &str)]] = &[
        &[],
        &[
            ("90_dpkg.cfg", "datasource_list: [ NoCloud, Azure, None ]\n"),
            ("91-azure.cfg", "datasource_list: [ Azure ]\nusers: [{name: a, lock_passwd: true}, b]\n"),
        ],
        &[
            (
                "00-first.cfg",
                "system_info: {distro: ubuntu, default_user: {name: first}}\nhostname: one\ngrowpart: {mode: 'off', devices: ['/']}\n",
            ),
            (
                "99-last.cfg",
                "system_info: {default_user: {name: last, gecos: x}}\nssh_deletekeys: 'yes'\ndisable_root: 0\npreserve_hostname: ~\n",
            ),
            ("99-last.cfg.off", "hostname: two\n"),
            ("50-empty.cfg", "# nothing\n"),
            ("51-map.cfg", "base: &b {mode: auto}\ngrowpart: *b\nfqdn: three.example\n"),
        ],
    ];
    for set in parts {
        for (name, text) in *set {
            fs::write(cloud.join("cloud.cfg.d").join(name), text).unwrap();
        }
        let path = cloud.join("cloud.cfg");
        let Some(theirs) = run("python3", &["-c", MERGE, root.to_str().unwrap(), path.to_str().unwrap()]) else {
            eprintln!("SKIPPED: cloud-init's modules do not load here");
            return;
        };
        let theirs: serde_json::Value = serde_json::from_str(theirs.lines().last().unwrap()).unwrap();
        let facts = learn(&Directory::tree(copy.path()));
        let ours = serde_json::to_value(facts.agents.cloud_init.value().unwrap().configuration.value().unwrap()).unwrap();
        for (key, value) in theirs.as_object().unwrap() {
            assert_eq!(&ours[key], value, "{key} with {set:?}");
        }
    }
}

/// What PyYAML makes of a value, as far as JSON can say it.
fn json(value: &yaml::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    if value.is_null() {
        return Json::Null;
    }
    match value {
        yaml::Value::List(items) => items.iter().map(json).collect(),
        yaml::Value::Map(pairs) => Json::Object(pairs.iter().map(|(key, value)| (key.clone(), json(value))).collect()),
        yaml::Value::Scalar { text, .. } => match (value.as_bool(), value.as_int()) {
            (Some(on), _) => on.into(),
            (_, Some(number)) => number.into(),
            _ => text.clone().into(),
        },
    }
}

#[test]
fn pyyaml_reads_the_same() {
    const READ: &str = "import sys, json, yaml\nprint(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    if !have(&["python3"]) || run("python3", &["-c", "import yaml"]).is_none() {
        eprintln!("SKIPPED: PyYAML is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut texts: Vec<String> = [
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match: {driver: hv_netvsc}\n      addresses: [10.0.0.4/24, 'fe80::1/64']\n",
        "a: &x {p: 1, q: [yes, no, on, off, ~, '', \"\"]}\nb: {<<: *x, p: 2}\nc: [*x, 0x1f, 0755, 0b11, -7, 1_000]\n",
        "t: |\n  a\n   b\n\nf: >\n  one\n  two\n\n  three\ns: >-\n  x\nk: |+\n  y\n\n",
        "#cloud-config\n- a\n- - b\n  - c\n-\n  d: e\n- ? f\n  : g\n",
        "\"quoted key\": 'it''s'\nesc: \"tab\\t\\u00e9\\x41\"\nplain: a b  c # comment\nurl: http://x/y#z\ncolon: 'a: b'\n",
        "--- \nx: !!str 12\ny: !!int '12'\n...\n",
        "a: 1\na: 2\n",
        "~",
    ]
    .map(str::to_owned)
    .to_vec();
    // Tagged integers in quotes stay text for us, which no configuration has.
    texts[5] = texts[5].replace("y: !!int '12'\n", "");
    if let Some(root) = debian() {
        for path in ["etc/cloud/cloud.cfg", "etc/cloud/cloud.cfg.d/05_logging.cfg", "etc/cloud/cloud.cfg.d/10_locale.cfg"] {
            texts.push(fs::read_to_string(root.join(path)).unwrap());
        }
    }
    for text in texts {
        let path = directory.path().join("x.yaml");
        fs::write(&path, &text).unwrap();
        let theirs: serde_json::Value = serde_json::from_str(&must_run("python3", &["-c", READ, path.to_str().unwrap()])).unwrap();
        assert_eq!(json(&yaml::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))), theirs, "{text}");
    }
}

/// An rpm database in SQLite with many packages: epochs, long lists of files, a key in the place of an architecture.
fn rpm_database() -> Option<&'static Path> {
    static DATABASE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let made = DATABASE.get_or_init(|| {
        if !have(&["rpm", "rpmbuild"]) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let mut spec = "Name: kernel-core\nVersion: 5.14.0\nRelease: 362.8.1.el9_3\nSummary: s\nLicense: none\nVendor: Nobody\nBuildArch: noarch\n%description\nd\n%files\n".to_owned();
        for number in 0..80 {
            let epoch = if number % 3 == 0 { format!("Epoch: {number}\n") } else { String::new() };
            let long = if number % 10 == 0 { "Provides: ".to_owned() + &vec![format!("virtual-of-{number} = 1"); 400].join(", ") + "\n" } else { String::new() };
            let name = ["WALinuxAgent", "cloud-init", "openssh-server", "shim-x64"].get(number).map_or(format!("filler{number}"), |name| (*name).to_owned());
            spec += &format!("%package -n {name}\nSummary: s{number}\nVersion: {number}.2~rc1\nRelease: {number}.el9\n{epoch}{long}%description -n {name}\nd\n%files -n {name}\n");
        }
        fs::write(path("x.spec"), spec).unwrap();
        let top = format!("_topdir {}", path("build"));
        let out = format!("_rpmdir {}", path("out"));
        must_run("rpmbuild", &["-bb", "--quiet", "--define", &top, "--define", &out, "--define", "debug_package %{nil}", &path("x.spec")]);
        let listed = must_run("find", &[&path("out"), "-name", "*.rpm"]);
        let database = path("db");
        let mut args = vec!["--define", "_db_backend sqlite", "--dbpath", &database];
        must_run("rpm", &[&args[..], &["--initdb"]].concat());
        args.extend(["--force-debian", "--justdb", "--nodeps", "--ignoreos", "--noscripts", "-i"]);
        args.extend(listed.lines());
        must_run("rpm", &args);
        Some(directory)
    });
    made.as_ref().map(tempfile::TempDir::path)
}

fn memory(path: &Path) -> Bytes {
    Arc::new(Memory(fs::read(path).unwrap()))
}

fn line(package: &RpmPackage) -> String {
    let epoch = package.epoch.map_or("(none)".to_owned(), |epoch| epoch.to_string());
    let none = "(none)".to_owned();
    let RpmPackage { name, version, release, .. } = package;
    let (architecture, vendor) = (package.architecture.as_ref().unwrap_or(&none), package.vendor.as_ref().unwrap_or(&none));
    format!("{name} {epoch} {version} {release} {architecture} {vendor}")
}

fn asked(backend: &str, database: &Path) -> Vec<String> {
    let backend = format!("_db_backend {backend}");
    let format = "%{NAME} %{EPOCH} %{VERSION} %{RELEASE} %{ARCH} %{VENDOR}\n";
    let listed = must_run("rpm", &["--define", &backend, "--dbpath", database.to_str().unwrap(), "-qa", "--qf", format]);
    let mut listed: Vec<String> = listed.lines().map(str::to_owned).collect();
    listed.sort();
    listed
}

fn from_sqlite(database: &Path) -> Vec<String> {
    let log = database.with_extension("sqlite-wal");
    let log = log.exists().then(|| memory(&log));
    let mut all = Vec::new();
    sqlite::packages(&memory(database), log.as_ref(), &mut |package| all.push(line(&package))).unwrap();
    all.sort();
    all
}

#[test]
fn rpm_reads_the_same_from_sqlite() {
    let Some(directory) = rpm_database() else { return };
    let database = directory.join("db");
    let theirs = asked("sqlite", &database);
    assert_eq!(theirs.len(), 81);
    assert_eq!(from_sqlite(&database.join("rpmdb.sqlite")), theirs);
    // As the facts have it.
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("var/lib")).unwrap();
    must_run("cp", &["-a", database.to_str().unwrap(), root.path().join("var/lib/rpm").to_str().unwrap()]);
    let facts = learn(&Directory::tree(root.path()));
    let packages = facts.packages.value().unwrap();
    assert_eq!((packages.manager.as_str(), packages.count, packages.database.as_str()), ("rpm", 81, "/var/lib/rpm/rpmdb.sqlite"));
    let kernel = packages.named("kernel-core").next().unwrap();
    assert_eq!((kernel.version.as_str(), kernel.architecture.as_str()), ("5.14.0-362.8.1.el9_3", "noarch"));
    assert_eq!(packages.named("WALinuxAgent").next().unwrap().version, "0:0.2~rc1-0.el9");
}

/// Makes copies of a database: every page size, and one whose last change is in its log alone.
const SHAPES: &str = r#"
import shutil, sqlite3, sys
source, out = sys.argv[1:]
for size in (512, 1024, 4096, 65536):
    path = f"{out}/pages{size}.sqlite"
    shutil.copy(source, path)
    c = sqlite3.connect(path, isolation_level=None)
    c.execute("pragma journal_mode = delete"); c.execute(f"pragma page_size = {size}"); c.execute("vacuum"); c.close()
path = f"{out}/open.sqlite"
shutil.copy(source, path)
c = sqlite3.connect(path, isolation_level=None)
c.execute("pragma journal_mode = wal"); c.execute("pragma wal_autocheckpoint = 0")
c.execute("delete from Packages where hnum % 2 = 0")
c.execute("insert into Packages select hnum + 1000, blob from Packages where hnum % 3 = 0")
left = c.execute("select count(*) from Packages").fetchone()[0]
for end in ("", "-wal"):
    shutil.copy(path + end, f"{out}/logged.sqlite{end}")
c.execute("begin"); c.execute("delete from Packages"); c.execute("pragma cache_spill = 1")
for end in ("", "-wal"):
    shutil.copy(path + end, f"{out}/begun.sqlite{end}")
c.execute("rollback"); c.close()
print(left)
"#;

#[test]
fn every_shape_of_sqlite_is_read() {
    let Some(directory) = rpm_database() else { return };
    if run("python3", &["-c", "import sqlite3"]).is_none() {
        eprintln!("SKIPPED: python3 has no sqlite3");
        return;
    }
    let source = directory.join("db/rpmdb.sqlite");
    let out = tempfile::tempdir().unwrap();
    let left: usize = must_run("python3", &["-c", SHAPES, source.to_str().unwrap(), out.path().to_str().unwrap()]).trim().parse().unwrap();
    let whole = from_sqlite(&source);
    for size in [512, 1024, 4096, 65536] {
        assert_eq!(from_sqlite(&out.path().join(format!("pages{size}.sqlite"))), whole, "pages of {size} bytes");
    }
    for name in ["logged", "begun"] {
        assert_eq!(from_sqlite(&out.path().join(format!("{name}.sqlite"))).len(), left, "{name}");
    }
    // Without its log it is the older state; a log that was cut counts up to its last whole change.
    let mut older = Vec::new();
    let database = memory(&out.path().join("logged.sqlite"));
    sqlite::packages(&database, None, &mut |package| older.push(line(&package))).unwrap();
    older.sort();
    assert_eq!(older, whole);
    let log = fs::read(out.path().join("logged.sqlite-wal")).unwrap();
    for end in [0, 10, 32, 100, log.len() / 2, log.len() - 1] {
        let log: Bytes = Arc::new(Memory(log[..end].to_vec()));
        let mut count = 0;
        sqlite::packages(&database, Some(&log), &mut |_| count += 1).unwrap();
        assert!(count >= left.min(whole.len()) / 2, "{end}: {count}");
    }
}

#[test]
fn rpm_reads_the_same_from_berkeley_db() {
    let Some(directory) = rpm_database() else { return };
    let load = if have(&["db_load"]) { "db_load" } else { return };
    if run("python3", &["-c", "import sqlite3"]).is_none() {
        eprintln!("SKIPPED: python3 has no sqlite3");
        return;
    }
    const DUMP: &str = r#"
import sqlite3, struct, sys
rows = sqlite3.connect(sys.argv[1]).execute("select hnum, blob from Packages order by hnum").fetchall()
out = open(sys.argv[2], "w")
out.write(f"VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize={sys.argv[3]}\nHEADER=END\n")
for key, value in [(0, struct.pack("=I", rows[-1][0]))] + rows:
    out.write(f" {struct.pack('=I', key).hex()}\n {value.hex()}\n")
out.write("DATA=END\n")
"#;
    let theirs = asked("sqlite", &directory.join("db"));
    for size in ["512", "4096", "65536"] {
        let out = tempfile::tempdir().unwrap();
        let dump = out.path().join("dump");
        let packages = out.path().join("Packages");
        let source = directory.join("db/rpmdb.sqlite");
        must_run("python3", &["-c", DUMP, source.to_str().unwrap(), dump.to_str().unwrap(), size]);
        must_run(load, &["-f", dump.to_str().unwrap(), packages.to_str().unwrap()]);
        let mut ours = Vec::new();
        bdb::packages(&memory(&packages), &mut |package| ours.push(line(&package))).unwrap();
        ours.sort();
        assert_eq!(ours, theirs, "pages of {size} bytes");
        // rpm's own reader of such databases, where it was built with one.
        let home = out.path().to_str().unwrap();
        if run("rpm", &["--define", "_db_backend bdb_ro", "--dbpath", home, "-qa"]).is_some_and(|listed| !listed.is_empty()) {
            assert_eq!(asked("bdb_ro", out.path()), ours, "pages of {size} bytes");
        }
    }
}

/// Versions that look like those of packages, from a seed.
fn versions(count: usize) -> Vec<String> {
    let pieces = ["0", "1", "2", "10", "09", "007", "20240101", ".", ".", ".", "~", "+", "a", "b", "rc", "el9", "deb12", "_", "A", "git"];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut version = |parts: usize| {
        let mut text = ["1", "2", "10", "0"][random(4)].to_owned();
        (0..parts).for_each(|_| text += pieces[random(pieces.len())]);
        text
    };
    (0..count).map(|number| version(number % 6)).collect()
}

fn sign(order: Ordering) -> i32 {
    order as i32
}

#[test]
fn rpm_orders_versions_the_same() {
    if !have(&["rpm"]) {
        return;
    }
    let mut versions = versions(45);
    versions.extend(["1.0^", "1.0^git1", "1.0~rc1^a", "1.0^a~b", "5.5p1", "xyz.4", "1..2", "1.0", "1_0"].map(str::to_owned));
    let list = versions.iter().map(|version| format!("\"{version}\"")).collect::<Vec<_>>().join(",");
    let script =
        format!("%{{lua: local v = {{{list}}} for i, a in ipairs(v) do for j, b in ipairs(v) do print(rpm.vercmp(a, b), \" \") end end}}");
    let said = must_run("rpm", &["--eval", &script]);
    let said: Vec<i32> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let pairs: Vec<(&String, &String)> = versions.iter().flat_map(|a| versions.iter().map(move |b| (a, b))).collect();
    assert_eq!(said.len(), pairs.len());
    for ((a, b), said) in pairs.into_iter().zip(said) {
        assert_eq!(sign(package_version::rpm_part(a, b)), said, "{a} and {b}");
    }
}

#[test]
fn dpkg_orders_versions_the_same() {
    if !have(&["dpkg"]) {
        return;
    }
    let mut versions = versions(24);
    versions.retain(|version| !version.contains('_'));
    versions.extend(["1:0.1", "0:1.0", "1.0-1", "1.0-1~bpo12+1", "1.0-1+deb12u4", "1.0-10", "2.7.3.0-4.1"].map(str::to_owned));
    for a in &versions {
        for b in &versions {
            let is = |relation: &str| Command::new("dpkg").args(["--compare-versions", a, relation, b]).status().unwrap().success();
            let said = if is("lt") {
                Ordering::Less
            } else if is("gt") {
                Ordering::Greater
            } else {
                Ordering::Equal
            };
            assert_eq!(package_version::deb(a, b), said, "{a} and {b}");
        }
    }
}
