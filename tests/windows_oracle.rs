//! What is learnt of a Windows against hivex and against the corpus's description of its disks. A test whose tool or file is missing says
//! SKIPPED and passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::allow_attributes,
    clippy::print_stderr,
    missing_docs,
    reason = "a test may panic, and says what it skips"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, Memory};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::{DiskFacts, Fact, OsFacts, StartType, State, WindowsFacts};
use vhdkit::fs::{Entry, Error, FileSystem, Node, NodeId, NodeKind, Tree, Usage};
use vhdkit::inspect::windows::{Machine, learn};
use vhdkit::inspect::{Options, disk};

/// The corpus beside the checkout, or where `VHDKIT_SHARED` says.
fn corpus(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = [std::env::var_os("VHDKIT_SHARED").map(PathBuf::from), Some(here.join("../shared")), Some(here.join("../../shared"))];
    let found = places.into_iter().flatten().map(|place| place.join("corpus").join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not in the corpus");
    }
    found
}

/// A packed file of the corpus.
fn unpacked(name: &str) -> Option<Vec<u8>> {
    let path = corpus(name)?;
    let program = if name.ends_with(".xz") { "xz" } else { "zstd" };
    let output = Command::new(program).arg("-dc").arg(&path).stdin(Stdio::null()).output().ok().filter(|output| output.status.success());
    if output.is_none() {
        eprintln!("SKIPPED: {name} cannot be unpacked with {program}");
    }
    output.map(|output| output.stdout)
}

/// A disk of the corpus, inspected.
fn inspected(name: &str) -> Option<DiskFacts> {
    let content = unpacked(&format!("built-windows/{name}.zst"))?;
    let file = tempfile::Builder::new().suffix(".vhd").tempfile().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let host: Bytes = Arc::new(HostFile::open(file.path(), Access::Positional).unwrap());
    let search = ParentSearch { directories: vec![], access: Access::Positional };
    let source = Source { file: &host, path: file.path(), search: &search };
    Some(disk(&source, Options { deep: false }).unwrap().facts)
}

fn known<T: Clone + std::fmt::Debug>(fact: &Fact<T>) -> T {
    fact.value().cloned().unwrap_or_else(|| panic!("{fact:?}"))
}

/// The files of a test, all below one directory.
#[derive(Debug)]
struct Files(&'static str, Vec<(&'static str, Vec<u8>)>);

impl Files {
    /// Directories on the way to the files, the root first.
    fn parts(&self) -> Vec<&str> {
        self.0.split('/').filter(|part| !part.is_empty()).collect()
    }
}

impl FileSystem for Files {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn folds_case(&self) -> bool {
        true
    }

    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        let place = (id.0 as usize).checked_sub(self.parts().len() + 1);
        let (kind, size) = place.map_or((NodeKind::Directory, 0), |place| (NodeKind::File, self.1[place].1.len() as u64));
        Ok(Node { kind, size, mode: None, uid: None, gid: None, modified: None, links: 1, device: None })
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        let parts = self.parts();
        if let Some(name) = parts.get(directory.0 as usize) {
            let _end = each(Entry { name: name.as_bytes().to_vec(), node: NodeId(directory.0 + 1) });
        } else {
            for (place, (name, _)) in self.1.iter().enumerate() {
                if each(Entry { name: name.as_bytes().to_vec(), node: NodeId((parts.len() + 1 + place) as u64) }).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        Ok(Arc::new(Memory(self.1[file.0 as usize - self.parts().len() - 1].1.clone())))
    }

    fn target(&self, _link: NodeId) -> Result<Vec<u8>, Error> {
        Err(Error::Unsupported("no symlinks".to_owned()))
    }

    fn usage(&self) -> Result<Usage, Error> {
        Ok(Usage { size: 1, used: 1, free: 0 })
    }

    fn clean(&self) -> Result<bool, Error> {
        Ok(true)
    }
}

/// A Windows that has these hives and nothing else.
fn learnt(hives: Vec<(&'static str, Vec<u8>)>) -> WindowsFacts {
    let fs = Files("/Windows/System32/config", hives);
    learn(&Machine { tree: &Tree::new("memory", Arc::new(fs), NodeId(0)), boot: None, disks: &[] })
}

/// What hivex reads in a SYSTEM hive, control set 1.
const READ: &str = r#"
import hivex, json, sys
h = hivex.Hivex(sys.argv[1])
def key(path):
    n = h.root()
    for part in path.split('\\'):
        n = n and h.node_get_child(n, part)
    return n
def values(n):
    out = {}
    for v in (h.node_values(n) if n else []):
        kind, data = h.value_value(v)
        name = h.value_key(v)
        if kind == 4: out[name] = int.from_bytes(data, 'little')
        elif kind in (1, 2): out[name] = data.decode('utf-16le', 'replace').split('\0')[0]
        elif kind == 7: out[name] = [t for t in data.decode('utf-16le', 'replace').split('\0') if t]
        else: out[name] = data.hex()
    return out
services = {}
for n in h.node_children(key('ControlSet001\\Services')):
    services[h.node_name(n)] = dict(values=values(n), override=values(h.node_get_child(n, 'StartOverride')))
parameters = 'ControlSet001\\Services\\Tcpip\\Parameters'
interfaces = {h.node_name(n): values(n) for n in h.node_children(key(parameters + '\\Interfaces'))}
print(json.dumps(dict(
    services=services, interfaces=interfaces,
    zone=values(key('ControlSet001\\Control\\TimeZoneInformation')),
    name=values(key('ControlSet001\\Control\\ComputerName\\ComputerName')),
    rdp=values(key('ControlSet001\\Control\\Terminal Server')),
    station=values(key('ControlSet001\\Control\\Terminal Server\\WinStations\\RDP-Tcp')),
    crash=values(key('ControlSet001\\Control\\CrashControl')),
    session=values(key('ControlSet001\\Control\\Session Manager')),
    environment=values(key('ControlSet001\\Control\\Session Manager\\Environment')),
    memory=values(key('ControlSet001\\Control\\Session Manager\\Memory Management')),
    power=values(key('ControlSet001\\Control\\Power\\User\\PowerSchemes')),
    rules=values(key('ControlSet001\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules')),
    mounted=values(key('MountedDevices')),
    setup=values(key('Setup')),
    sysprep=values(key('Setup\\Status\\SysprepStatus')),
    children=values(key('Setup\\Status\\ChildCompletion')))))
"#;

fn by_hivex(content: &[u8], name: &str) -> Option<Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let output = Command::new("/usr/bin/python3").arg("-c").arg(READ).arg(file.path()).stdin(Stdio::null()).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        eprintln!("SKIPPED: {name}: python3 with hivex is not here, or refuses it");
        return None;
    };
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A fact as hivex would print it: nothing where it is absent.
fn shown<T: serde::Serialize + std::fmt::Debug>(fact: &Fact<T>) -> Value {
    assert!(fact.reason().is_none(), "{fact:?}");
    serde_json::to_value(fact).unwrap()
}

/// Names in the registry count in any case.
fn field(object: &Value, name: &str) -> Value {
    let object = object.as_object().unwrap();
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or(Value::Null, |(_, value)| value.clone())
}

fn same_as_hivex(facts: &WindowsFacts, theirs: &Value, name: &str) {
    let services = known(&facts.services);
    assert!(services.len() > 40, "{name}: only {} services", services.len());
    let all = theirs["services"].as_object().unwrap();
    for service in &services {
        let other = &all[&service.name];
        assert_eq!(shown(&service.start_value), field(&other["values"], "Start"), "{name}: {}", service.name);
        let (ours, theirs) = (shown(&service.image_path), field(&other["values"], "ImagePath"));
        // Arguments are kept to oneself.
        let short = ours.as_str().and_then(|ours| ours.strip_suffix(" …"));
        let same = short.zip(theirs.as_str()).map_or(ours == theirs, |(ours, theirs)| theirs.starts_with(ours));
        assert!(same, "{name}: {}: {ours} is {theirs}", service.name);
        let over: BTreeMap<String, u32> = service.start_override.value().cloned().unwrap_or_default();
        assert_eq!(serde_json::to_value(over).unwrap(), other["override"], "{name}: {}", service.name);
    }
    for wanted in
        ["storvsc", "disk", "partmgr", "volmgr", "storahci", "atapi", "intelide", "cdrom", "Dhcp", "TermService", "W32Time", "WinRM"]
    {
        let there = all.keys().any(|key| key.eq_ignore_ascii_case(wanted));
        assert_eq!(facts.service(wanted).unwrap().is_some(), there, "{name}: {wanted}");
    }
    let station = known(&facts.rdp.station);
    for (ours, key, value) in [
        (shown(&facts.system.time_zone), "zone", "TimeZoneKeyName"),
        (shown(&facts.system.real_time_is_universal), "zone", "RealTimeIsUniversal"),
        (shown(&facts.name.computer_name), "name", "ComputerName"),
        (shown(&facts.rdp.deny_connections), "rdp", "fDenyTSConnections"),
        (shown(&station.port), "station", "PortNumber"),
        (shown(&station.user_authentication), "station", "UserAuthentication"),
        (shown(&station.max_instances), "station", "MaxInstanceCount"),
        (shown(&facts.crash.dump_enabled), "crash", "CrashDumpEnabled"),
        (shown(&facts.crash.dump_file), "crash", "DumpFile"),
        (shown(&facts.system.boot_execute), "session", "BootExecute"),
        (shown(&facts.system.page_files), "memory", "PagingFiles"),
        (shown(&facts.system.temp), "environment", "TEMP"),
        (shown(&facts.product.processor), "environment", "PROCESSOR_ARCHITECTURE"),
        (shown(&facts.system.power_scheme), "power", "ActivePowerScheme"),
        (shown(&facts.sysprep.setup.in_progress), "setup", "SystemSetupInProgress"),
        (shown(&facts.sysprep.setup.kind), "setup", "SetupType"),
        (shown(&facts.sysprep.setup.command), "setup", "CmdLine"),
        (shown(&facts.sysprep.generalization_state), "sysprep", "GeneralizationState"),
    ] {
        assert_eq!(ours, field(&theirs[key], value), "{name}: {key} {value}");
    }
    assert_eq!(shown(&facts.sysprep.child_completion), theirs["children"], "{name}");
    assert_eq!(known(&facts.firewall.rule_count), theirs["rules"].as_object().unwrap().len(), "{name}");
    assert!(known(&facts.firewall.rules).iter().any(|rule| rule.id.starts_with("RemoteDesktop-")), "{name}");
    let interfaces = known(&facts.network.interfaces);
    assert_eq!(interfaces.len(), theirs["interfaces"].as_object().unwrap().len(), "{name}");
    for interface in interfaces {
        assert_eq!(shown(&interface.dhcp), field(&theirs["interfaces"][&interface.id], "EnableDHCP"), "{name}: {}", interface.id);
    }
    let letters: Vec<String> = known(&facts.drives).into_iter().map(|drive| format!("\\DosDevices\\{}:", drive.letter)).collect();
    let mut others: Vec<String> =
        theirs["mounted"].as_object().unwrap().keys().filter(|key| key.starts_with("\\DosDevices\\")).cloned().collect();
    others.sort();
    assert_eq!(letters, others, "{name}");
}

#[test]
fn real_system_hives_mean_what_hivex_reads() {
    for name in ["src-regipy/SYSTEM_2.xz", "src-regipy/SYSTEM_B.xz"] {
        let Some(content) = unpacked(name) else { continue };
        let Some(theirs) = by_hivex(&content, name) else { continue };
        let facts = learnt(vec![("SYSTEM", content)]);
        same_as_hivex(&facts, &theirs, name);
        assert_eq!(known(&facts.sysprep.setup.in_progress), 0);
        assert!(facts.sysprep.clone_tag.value().is_some(), "both machines come from an image");
        assert!(facts.product.name.reason().is_some_and(|reason| reason.contains("SOFTWARE is missing")));
    }
}

#[test]
fn what_stands_in_the_logs_counts() {
    let parts = ["", ".LOG1", ".LOG2"].map(|end| unpacked(&format!("src-regipy/SYSTEM_B{end}.xz")));
    let [Some(hive), Some(first), Some(second)] = parts else { return };
    let letters = |facts: &WindowsFacts| known(&facts.drives).into_iter().map(|drive| drive.letter).collect::<String>();
    let before = learnt(vec![("SYSTEM", hive.clone())]);
    assert_eq!(letters(&before), "CDE");
    let facts = learnt(vec![("SYSTEM", hive), ("SYSTEM.LOG1", first), ("SYSTEM.LOG2", second)]);
    let hive = known(&facts.hives.system);
    assert!(hive.dirty && hive.damage.is_empty(), "{hive:?}");
    assert_eq!(letters(&facts), "CDEF", "{hive:?}");
    assert_eq!(known(&hive.recovery), "24 log entries were applied");
    let drives = known(&facts.drives);
    let f = known(&drives[3].partition);
    assert_eq!((f.scheme.as_str(), known(&f.disk).as_str(), known(&f.offset)), ("mbr", "0x76d45981", 0x10_0000));
    assert_eq!((f.on_disk, f.number), (Fact::Absent, Fact::Absent));
    assert_eq!(known(&facts.name.computer_name), "DESKTOP-PM6C56D");
}

fn windows(facts: &DiskFacts) -> (OsFacts, WindowsFacts) {
    let os = known(&facts.os);
    let windows = known(&os.windows);
    (os, windows)
}

fn start(facts: &WindowsFacts, name: &str) -> StartType {
    known(&facts.service(name).unwrap().unwrap_or_else(|| panic!("{name} is not registered")).start)
}

#[test]
fn a_server_whose_sysprep_failed() {
    let Some(facts) = inspected("D-ws2022-sysprepfailed-synth-gpt.vbox-dyn.vhd") else { return };
    let (os, windows) = windows(&facts);
    assert_eq!(known(&os.name), "Windows Server 2022 Datacenter");
    assert_eq!(known(&os.version), "10.0.20348.2609");
    assert_eq!(known(&os.architecture), "x64");
    assert_eq!((known(&windows.product.edition), known(&windows.product.installation_type)), ("ServerDatacenter".into(), "Server".into()));
    assert_eq!(known(&windows.sysprep.generalization_state), 3);
    assert_eq!(known(&windows.sysprep.image_state), "IMAGE_STATE_UNDEPLOYABLE");
    assert!(!known(&windows.sysprep.succeeded_tag));
    let log = known(&windows.sysprep.error_log);
    assert_eq!(log.errors.last().unwrap().codes, ["0x80073cf2"]);
    let files = known(&windows.answer_files.files);
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["\\Windows\\Panther\\unattend.xml"]);
    assert_eq!(known(&os.state), State::Inconsistent);
    let evidence = os.state_evidence.join("; ");
    assert!(
        evidence.contains("IMAGE_STATE_UNDEPLOYABLE") && evidence.contains("0x80073cf2") && evidence.contains("tag is missing"),
        "{evidence}"
    );
    assert_eq!((start(&windows, "storvsc"), start(&windows, "netvsc")), (StartType::Boot, StartType::Manual));
    for name in ["storvsc", "netvsc", "vmbus", "disk"] {
        assert_eq!(windows.service(name).unwrap().unwrap().file_present, Fact::Known(true), "{name}");
    }
    let users: Vec<(String, u32)> = known(&windows.accounts.users).into_iter().map(|user| (user.name, user.rid)).collect();
    assert_eq!(users, [("Administrator".to_owned(), 500), ("Guest".to_owned(), 501), ("Preston".to_owned(), 1000)]);
    boot_store(&windows);
}

/// The store that these disks have on their ESP.
fn boot_store(windows: &WindowsFacts) {
    if windows.boot_store == Fact::Absent {
        eprintln!("SKIPPED: boot stores, since FAT is not read");
        return;
    }
    let store = known(&windows.boot_store);
    assert_eq!((store.path.as_str(), store.on.as_str()), ("\\EFI\\Microsoft\\Boot\\BCD", "partition 1"));
    assert!(store.problems.is_empty() && store.manager.value().is_some() && store.default.value().is_some(), "{store:?}");
    // The store is that of another machine, whose disk these are not.
    let entry = known(&store.default);
    assert_eq!((known(&entry.path).as_str(), known(&entry.system_root).as_str()), ("\\Windows\\system32\\winload.efi", "\\Windows"));
    let device = known(&entry.os_device);
    let partition = known(&device.partition);
    assert_eq!((device.kind.as_str(), partition.scheme.as_str()), ("partition", "gpt"));
    assert_eq!((partition.on_disk, partition.number), (Fact::Absent, Fact::Absent));
    assert_eq!((entry.recovery_enabled, entry.safe_boot, store.dirty), (Fact::Known(true), Fact::Absent, false));
}

#[test]
fn a_client_without_the_drivers() {
    let Some(facts) = inspected("G-win11-nohvdrivers-synth-gpt.qemu-dyn-chs.vhd") else { return };
    let (os, windows) = windows(&facts);
    assert_eq!((known(&os.name), known(&os.version)), ("Windows 11 Pro".to_owned(), "10.0.22631.3375".to_owned()));
    assert_eq!(known(&windows.product.registry_name), "Windows 10 Pro");
    assert_eq!(known(&windows.product.display_version), "23H2");
    assert_eq!(known(&os.state), State::Specialized, "{:?}", os.state_evidence);
    assert_eq!((start(&windows, "storvsc"), start(&windows, "netvsc")), (StartType::Disabled, StartType::Disabled));
    assert_eq!(known(&windows.sysprep.generalization_state), 7);
    assert_eq!(known(&windows.answer_files.files), []);
    boot_store(&windows);
}
