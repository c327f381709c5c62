//! A Windows made of hives that tests write.

use super::{Machine, identity, learn, state};
use crate::bytes::host::Access;
use crate::bytes::{Bytes, Memory};
use crate::container::{ParentSearch, Source};
use crate::facts::{DiskFacts, Fact, StartType, State, WindowsFacts};
use crate::fs::testing::{Item, MemoryFileSystem};
use crate::fs::{NodeId, Tree};
use crate::guest::windows::hive::kind;
use crate::guest::windows::hive::testing::{Node, wide};
use crate::inspect::{Options, surface};
use std::path::Path;
use std::sync::Arc;

const CONFIG: &str = "/Windows/System32/config";

/// Hives and files of a machine.
struct Made {
    system: Node,
    software: Node,
    sam: Node,
    security: Node,
    files: Vec<(String, Vec<u8>)>,
    hives: bool,
}

/// Sets a value of a key, which is made where it is missing.
fn set(root: &mut Node, path: &str, name: &str, kind: u32, data: &[u8]) {
    let key = root.at(path);
    key.values.retain(|(known, ..)| known != name);
    key.values.push((name.to_owned(), kind, data.to_vec()));
}

impl Made {
    /// An installed Windows Server 2022.
    fn server() -> Self {
        let mut made = Self {
            system: Node::new("ROOT"),
            software: Node::new("ROOT"),
            sam: Node::new("ROOT"),
            security: Node::new("ROOT"),
            files: vec![],
            hives: true,
        };
        made.system.at("Select").values.push(("Current".to_owned(), kind::DWORD, 2_u32.to_le_bytes().to_vec()));
        made.system.at("ControlSet001\\Services\\storvsc").values.push(("Start".to_owned(), kind::DWORD, vec![3, 0, 0, 0]));
        made.number("Setup", "SystemSetupInProgress", 0).number("Setup", "SetupType", 0).number("Setup", "OOBEInProgress", 0);
        made.text("Setup", "CmdLine", "");
        made.text("ControlSet002\\Control\\ComputerName\\ComputerName", "ComputerName", "WEB01");
        made.text("ControlSet002\\Control\\ProductOptions", "ProductType", "ServerNT");
        made.number("ControlSet002\\Services\\storvsc", "Start", 0).number("ControlSet002\\Services\\storvsc", "Type", 1);
        made.number("ControlSet002\\Services\\netvsc", "Start", 3).number("ControlSet002\\Services\\netvsc", "Type", 1);
        made.text("ControlSet002\\Services\\netvsc", "ImagePath", "\\SystemRoot\\System32\\drivers\\netvsc.sys");
        made.number("ControlSet002\\Services\\w32time", "Start", 2).number("ControlSet002\\Services\\w32time", "Type", 0x20);
        made.number("ControlSet002\\Services\\Fs_Rec", "Start", 1);
        let current = "Microsoft\\Windows NT\\CurrentVersion";
        for (name, text) in [
            ("ProductName", "Windows Server 2022 Datacenter"),
            ("InstallationType", "Server"),
            ("CurrentBuild", "20348"),
            ("SystemRoot", "C:\\Windows"),
        ] {
            set(&mut made.software, current, name, kind::SZ, &wide(text));
        }
        for (name, number) in [("UBR", 2113_u32), ("CurrentMajorVersionNumber", 10), ("CurrentMinorVersionNumber", 0)] {
            set(&mut made.software, current, name, kind::DWORD, &number.to_le_bytes());
        }
        made.image("IMAGE_STATE_COMPLETE");
        made.file("/Windows/System32/drivers/storvsc.sys", b"MZ")
    }

    /// The same after Sysprep.
    fn generalized() -> Self {
        let mut made = Self::server();
        made.number("Setup", "SystemSetupInProgress", 1).number("Setup", "SetupType", 2).number("Setup", "OOBEInProgress", 1);
        made.text("Setup", "CmdLine", "oobe\\windeploy.exe");
        made.image("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE");
        made.file("/Windows/System32/Sysprep/Sysprep_succeeded.tag", b"")
    }

    fn number(&mut self, path: &str, name: &str, number: u32) -> &mut Self {
        set(&mut self.system, path, name, kind::DWORD, &number.to_le_bytes());
        self
    }

    fn text(&mut self, path: &str, name: &str, text: &str) -> &mut Self {
        set(&mut self.system, path, name, kind::SZ, &wide(text));
        self
    }

    fn image(&mut self, state: &str) {
        set(&mut self.software, "Microsoft\\Windows\\CurrentVersion\\Setup\\State", "ImageState", kind::SZ, &wide(state));
    }

    fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.files.push((path.to_owned(), content.to_vec()));
        self
    }

    fn tree(&self) -> Tree {
        let mut fs = MemoryFileSystem::new(true);
        fs.add(CONFIG, Item::Directory, 0o755, 0);
        if self.hives {
            for (name, root) in [("SYSTEM", &self.system), ("SOFTWARE", &self.software), ("SAM", &self.sam), ("SECURITY", &self.security)] {
                fs.add(&format!("{CONFIG}/{name}"), Item::File(root.hive(5)), 0o644, 0);
            }
        }
        for (path, content) in &self.files {
            let item = if content == b"!damaged" { Item::Damaged } else { Item::File(content.clone()) };
            fs.add(path, item, 0o644, 0);
        }
        Tree::new("partition 2", Arc::new(fs), NodeId(0))
    }

    fn learn(&self) -> WindowsFacts {
        self.learn_on(&[])
    }

    fn learn_on(&self, disks: &[&DiskFacts]) -> WindowsFacts {
        learn(&Machine { tree: &self.tree(), boot: None, disks })
    }

    fn state(&self) -> (Option<State>, String) {
        let (state, evidence) = state(&self.learn());
        (state.value().copied(), evidence.join("; "))
    }
}

fn known<T: Clone + std::fmt::Debug>(fact: &Fact<T>) -> T {
    fact.value().cloned().unwrap_or_else(|| panic!("{fact:?}"))
}

#[test]
fn an_installed_server() {
    let facts = Made::server().learn();
    let who = identity(&facts);
    assert_eq!(known(&who.version), "10.0.20348.2113");
    assert_eq!(known(&who.name), "Windows Server 2022 Datacenter");
    assert_eq!(known(&who.host_name), "WEB01");
    assert_eq!(who.architecture, Fact::Absent);
    assert_eq!(facts.hives.control_set, Fact::Known("ControlSet002".to_owned()));
    assert!(!known(&facts.hives.system).dirty);
    let storvsc = facts.service("StorVSC").unwrap().unwrap();
    assert_eq!((&storvsc.start, &storvsc.file_present), (&Fact::Known(StartType::Boot), &Fact::Known(true)));
    let netvsc = facts.service("netvsc").unwrap().unwrap();
    assert_eq!((&netvsc.start, &netvsc.file_present), (&Fact::Known(StartType::Manual), &Fact::Known(false)));
    let time = facts.service("w32time").unwrap().unwrap();
    assert_eq!((known(&time.kind).as_str(), &time.file_present), ("service", &Fact::Absent));
    assert_eq!(facts.service("Fs_Rec").unwrap(), None);
    assert_eq!(facts.service("vmbus").unwrap(), None);
    assert!(!known(&facts.agent.registered));
    assert!(!known(&facts.agent.half_installed));
    assert_eq!(known(&facts.answer_files.files), []);
    assert_eq!((facts.boot_store, facts.hibernation.file), (Fact::Absent, Fact::Absent));
}

#[test]
fn windows_11_is_told_by_its_build() {
    let mut made = Made::server();
    let current = "Microsoft\\Windows NT\\CurrentVersion";
    set(&mut made.software, current, "ProductName", kind::SZ, &wide("Windows 10 Pro"));
    set(&mut made.software, current, "CurrentBuild", kind::SZ, &wide("22631"));
    // A server of such a build, and a client before it, keep their names.
    assert_eq!(known(&made.learn().product.name), "Windows 10 Pro");
    set(&mut made.software, current, "InstallationType", kind::SZ, &wide("Client"));
    let product = made.learn().product;
    assert_eq!((known(&product.name).as_str(), known(&product.registry_name).as_str()), ("Windows 11 Pro", "Windows 10 Pro"));
    set(&mut made.software, current, "CurrentBuild", kind::SZ, &wide("19045"));
    assert_eq!(known(&made.learn().product.name), "Windows 10 Pro");
    set(&mut made.software, current, "CurrentBuild", kind::SZ, &wide("many"));
    let product = made.learn().product;
    assert!(product.build.reason().is_some() && product.version.reason().is_some(), "{product:?}");
}

#[test]
fn states() {
    let (found, evidence) = Made::server().state();
    assert_eq!(found, Some(State::Specialized), "{evidence}");
    assert!(evidence.contains("IMAGE_STATE_COMPLETE") && evidence.contains("WEB01"), "{evidence}");
    let (found, evidence) = Made::generalized().state();
    assert_eq!(found, Some(State::Generalized), "{evidence}");
    assert!(evidence.contains("CmdLine is oobe\\windeploy.exe"), "{evidence}");

    // Each of the values that make one state, by itself in the other.
    for (name, number, words) in [("SystemSetupInProgress", 0, "do not all say"), ("SetupType", 0, "do not all say")] {
        let mut made = Made::generalized();
        made.number("Setup", name, number);
        let (found, evidence) = made.state();
        assert_eq!(found, Some(State::Inconsistent), "{name}");
        assert!(evidence.contains(words), "{name}: {evidence}");
    }
    // What does not decide whether Setup runs.
    let mut told = Made::generalized();
    told.number("Setup", "OOBEInProgress", 0);
    assert_eq!(told.state().0, Some(State::Generalized));
    let mut left = Made::server();
    left.text("Setup", "CmdLine", "cmd.exe");
    assert_eq!(left.state().0, Some(State::Specialized));
    left.number("Setup", "SetupType", 2);
    assert_eq!(left.state().0, Some(State::Inconsistent));
    // What people put behind a command is not told.
    left.text("Setup", "CmdLine", "cmd.exe /c net user admin geheim /add");
    let (_, evidence) = left.state();
    assert!(evidence.contains("CmdLine is cmd.exe …") && !evidence.contains("geheim"), "{evidence}");

    let mut started = Made::generalized();
    started.number("Setup", "SystemSetupInProgress", 0).number("Setup", "SetupType", 0).number("Setup", "OOBEInProgress", 0);
    started.text("Setup", "CmdLine", "");
    let (found, evidence) = started.state();
    assert_eq!(found, Some(State::Inconsistent));
    assert!(evidence.contains("started since, or edited by hand"), "{evidence}");
    for (image, words) in [
        ("IMAGE_STATE_UNDEPLOYABLE", "did not finish"),
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT", "audit mode"),
        ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", "without /generalize"),
        ("IMAGE_STATE_COMPLETE", "setup is to run"),
        ("IMAGE_STATE_X", "no state that Windows documents"),
    ] {
        let mut made = Made::generalized();
        made.image(image);
        let (found, evidence) = made.state();
        assert_eq!(found, Some(State::Inconsistent), "{image}");
        assert!(evidence.contains(words), "{image}: {evidence}");
    }
}

#[test]
fn generalization_state_decides_nothing() {
    for (made, expected) in [(Made::server(), State::Specialized), (Made::generalized(), State::Generalized)] {
        for value in [3, 4, 7] {
            let mut made =
                Made { files: made.files.clone(), system: made.system.clone(), software: made.software.clone(), ..Made::server() };
            made.number("Setup\\Status\\SysprepStatus", "GeneralizationState", value);
            assert_eq!(made.state().0, Some(expected), "{value}");
            assert_eq!(made.learn().sysprep.generalization_state, Fact::Known(value));
        }
    }
}

#[test]
fn what_cannot_be_read_is_unknown_and_the_rest_is_learnt() {
    for (hive, lost) in [("SYSTEM", "SYSTEM"), ("SOFTWARE", "SOFTWARE")] {
        let made = Made::server().file(&format!("{CONFIG}/{hive}"), b"!damaged");
        let facts = made.learn();
        let (state, _) = state(&facts);
        assert!(state.reason().is_some_and(|reason| reason.contains(lost)), "{state:?}");
        assert_eq!(facts.hives.system.reason().is_some(), hive == "SYSTEM");
        assert_eq!(facts.services.reason().is_some(), hive == "SYSTEM");
        assert_eq!(facts.product.name.reason().is_some(), hive == "SOFTWARE");
    }
    let mut none = Made::server();
    none.hives = false;
    let facts = none.learn();
    assert_eq!(facts.hives.sam.reason(), Some("\\Windows\\System32\\config\\SAM is missing"));
    assert!(facts.accounts.users.reason().is_some() && facts.drives.reason().is_some());
    assert!(identity(&facts).version.reason().is_some());
    // A control set that is not there.
    let mut other = Made::server();
    other.number("Select", "Current", 7);
    let facts = other.learn();
    assert!(facts.services.reason().is_some_and(|reason| reason.contains("ControlSet007")));
    assert_eq!(facts.sysprep.setup.kind, Fact::Known(0));
    // A value of another type.
    let mut odd = Made::server();
    odd.text("ControlSet002\\Services\\storvsc", "Start", "0").text("Setup", "SetupType", "2");
    let facts = odd.learn();
    assert!(facts.service("storvsc").unwrap().unwrap().start.reason().is_some());
    assert_eq!(state(&facts).0.reason(), Some("SYSTEM\\Setup\\SetupType is not a DWORD: type 1, 4 bytes"));
}

#[test]
fn damaged_hives_do_not_stop_it() {
    let whole = Made::server().system.hive(5);
    let mut seed = 7_u64;
    for _ in 0..200 {
        let mut hive = whole.clone();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (seed >> 33) as usize % hive.len();
            hive[place] ^= (seed >> 20) as u8;
        }
        hive.truncate(hive.len() - (seed >> 40) as usize % 512);
        let made = Made::server().file(&format!("{CONFIG}/SYSTEM"), &hive);
        let facts = made.learn();
        let _state = state(&facts);
        serde_json::to_value(&facts).unwrap();
    }
}

#[test]
fn settings() {
    let mut made = Made::server();
    let set2 = "ControlSet002";
    made.number(&format!("{set2}\\Control\\TimeZoneInformation"), "RealTimeIsUniversal", 1);
    set(&mut made.system, &format!("{set2}\\Control\\TimeZoneInformation"), "TimeZoneKeyName", kind::SZ, &wide("UTC\0rubbish"));
    made.number(&format!("{set2}\\Control\\Terminal Server"), "fDenyTSConnections", 0);
    made.number(&format!("{set2}\\Control\\Terminal Server\\WinStations\\RDP-Tcp"), "PortNumber", 3390);
    set(
        &mut made.system,
        &format!("{set2}\\Control\\Terminal Server\\WinStations\\RDP-Tcp"),
        "SSLCertificateSHA1Hash",
        kind::BINARY,
        &[0xaa; 20],
    );
    let rules = format!("{set2}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules");
    for (name, rule) in [
        ("RemoteDesktop-UserMode-In-TCP", "v2.31|Action=Allow|Active=FALSE|Dir=In|Protocol=6|LPort=3389|"),
        ("{A}", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3390|"),
        ("{B}", "v2.31|Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.16|"),
        ("Other", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=80|"),
        ("junk", "not a rule"),
    ] {
        made.text(&rules, name, rule);
    }
    made.number(&format!("{set2}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\PublicProfile"), "EnableFirewall", 1);
    let interface = format!("{set2}\\Services\\Tcpip\\Parameters\\Interfaces\\{{11}}");
    made.number(&interface, "EnableDHCP", 0);
    set(&mut made.system, &interface, "IPAddress", kind::MULTI_SZ, &wide("10.0.0.4\0"));
    made.text(&interface, "NameServer", "8.8.8.8,1.1.1.1");
    made.text(&format!("{set2}\\Services\\Tcpip\\Parameters\\PersistentRoutes"), "10.0.0.0,255.0.0.0,10.1.1.1,1", "");
    let renames: Vec<u8> = "\\??\\C:\\a\0\0\\??\\C:\\b\0!\\??\\C:\\c\0\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    set(&mut made.system, &format!("{set2}\\Control\\Session Manager"), "PendingFileRenameOperations", kind::MULTI_SZ, &renames);
    made.number(&format!("{set2}\\Services\\stornvme\\StartOverride"), "0", 3).number(&format!("{set2}\\Services\\stornvme"), "Start", 0);
    made.text(&format!("{set2}\\Services\\VMTools"), "ImagePath", "C:\\x.exe");
    made.software.at("Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending");
    set(
        &mut made.software,
        "Microsoft\\Windows\\CurrentVersion\\Internet Settings\\Connections",
        "WinHttpSettings",
        kind::BINARY,
        b"\x18\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0",
    );
    let facts = made.learn();
    assert_eq!((facts.system.real_time_is_universal.clone(), known(&facts.system.time_zone).as_str()), (Fact::Known(1), "UTC"));
    assert_eq!(facts.rdp.deny_connections, Fact::Known(0));
    let station = known(&facts.rdp.station);
    assert_eq!((station.port, station.certificate_pinned), (Fact::Known(3390), Fact::Known(true)));
    assert!(!serde_json::to_string(&facts).unwrap().to_lowercase().contains("aaaaaaaa"), "a certificate's hash is in the facts");
    let rules = known(&facts.firewall.rules);
    let told: Vec<(&str, Option<&bool>)> = rules.iter().map(|rule| (rule.id.as_str(), rule.active.value())).collect();
    assert_eq!(told, [("RemoteDesktop-UserMode-In-TCP", Some(&false)), ("{A}", Some(&true)), ("{B}", Some(&true))]);
    assert_eq!((facts.firewall.rule_count, facts.firewall.public.enabled), (Fact::Known(5), Fact::Known(1)));
    let interfaces = known(&facts.network.interfaces);
    assert_eq!((&interfaces[0].dhcp, known(&interfaces[0].addresses)), (&Fact::Known(0), vec!["10.0.0.4".to_owned()]));
    assert_eq!(known(&interfaces[0].name_servers), ["8.8.8.8", "1.1.1.1"]);
    assert_eq!(known(&facts.network.persistent_routes), ["10.0.0.0,255.0.0.0,10.1.1.1,1"]);
    assert!(!known(&facts.network.winhttp_proxy).used);
    assert_eq!((facts.pending.file_renames, facts.pending.reboot_pending), (Fact::Known(2), Fact::Known(true)));
    assert_eq!(facts.pending.packages_pending, Fact::Known(false));
    let over = known(&facts.services).into_iter().find(|service| service.name == "stornvme").unwrap();
    assert_eq!(known(&over.start_override).into_iter().collect::<Vec<_>>(), [("0".to_owned(), 3)]);
    assert!(known(&facts.services).iter().any(|service| service.name == "VMTools" && service.start == Fact::Absent));
}

#[test]
fn files() {
    let log = "2021-10-28 10:12:14, Error      [0x0f0082] SYSPRP Failed to remove apps: 0x80073cf2.\r\n";
    let made = Made::server()
        .file("/Windows/Panther/unattend.xml", b"<secret/>")
        .file("/Unattend.xml", b"x")
        .file("/AzureData/CustomData.bin", b"xyz")
        .file("/hiberfil.sys", b"HIBR\0\0\0\0")
        .file("/WindowsAzure/GuestAgent_2.7.41491.1010_2023/x.exe", b"")
        .file("/Packages/Plugins/Microsoft.Compute.JsonADDomainExtension/x", b"")
        .file("/Windows/Setup/State/State.ini", b"[State]\r\nImageState=IMAGE_STATE_UNDEPLOYABLE\r\n")
        .file("/Windows/System32/Sysprep/Panther/setuperr.log", log.as_bytes())
        .file("/Windows/System32/ntoskrnl.exe", b"MZ")
        .file("/Windows/WinSxS/pending.xml", b"!damaged");
    let facts = made.learn();
    let paths: Vec<String> = known(&facts.answer_files.files).into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["\\Windows\\Panther\\unattend.xml", "\\unattend.xml"]);
    assert_eq!(known(&facts.answer_files.custom_data).size, 3);
    assert_eq!(known(&facts.hibernation.file), "hibernated");
    assert_eq!(known(&facts.agent.version), "2.7.41491.1010");
    assert_eq!((facts.agent.half_installed.clone(), facts.agent.packages.clone()), (Fact::Known(true), Fact::Known(false)));
    assert_eq!(known(&facts.agent.extensions), ["Microsoft.Compute.JsonADDomainExtension"]);
    assert_eq!(known(&facts.sysprep.image_state_file), "IMAGE_STATE_UNDEPLOYABLE");
    let errors = known(&facts.sysprep.error_log);
    assert_eq!((errors.error_count, errors.errors[0].codes.as_slice()), (1, &["0x80073cf2".to_owned()][..]));
    assert!(facts.product.kernel_machine.reason().is_some());
    assert_eq!(facts.pending.pending_xml, Fact::Known(true));
    assert!(!serde_json::to_string(&facts).unwrap().contains("secret"));
    let (_, evidence) = state(&facts);
    assert!(evidence.iter().any(|line| line.contains("State.ini says IMAGE_STATE_UNDEPLOYABLE")), "{evidence:?}");
}

#[test]
fn accounts_without_their_hashes() {
    let mut made = Made::server();
    let users = "SAM\\Domains\\Account\\Users";
    for (name, rid, flags) in [("Administrator", 500_u32, 0x0211_u16), ("Guest", 501, 0x0215), ("me", 1000, 0x0210)] {
        set(&mut made.sam, &format!("{users}\\Names\\{name}"), "", rid, &[]);
        let mut f = vec![0; 80];
        f[0x38..0x3a].copy_from_slice(&flags.to_le_bytes());
        set(&mut made.sam, &format!("{users}\\{rid:08X}"), "F", kind::BINARY, &f);
        set(&mut made.sam, &format!("{users}\\{rid:08X}"), "V", kind::BINARY, b"HASHHASH");
    }
    set(&mut made.security, "Policy\\Accounts\\S-1-5-32-544\\ActSysAc", "", 0, &0x0403_u32.to_le_bytes());
    let mut domain = vec![6, 0, 8, 0, 0, 0, 0, 0];
    domain.extend(wide("LAB"));
    set(&mut made.security, "Policy\\PolPrDmN", "", 0, &domain);
    let facts = made.learn();
    let all: Vec<(String, u32, Option<bool>, Option<bool>)> = known(&facts.accounts.users)
        .into_iter()
        .map(|user| (user.name, user.rid, user.disabled.value().copied(), user.password_required.value().copied()))
        .collect();
    assert_eq!(
        all,
        [
            ("Administrator".to_owned(), 500, Some(true), Some(true)),
            ("Guest".to_owned(), 501, Some(true), Some(false)),
            ("me".to_owned(), 1000, Some(false), Some(true)),
        ]
    );
    assert_eq!(facts.accounts.administrator_enabled, Fact::Known(false));
    let rights = known(&facts.accounts.logon_rights);
    assert_eq!(
        (rights[0].name.as_deref(), rights[0].rights.join("+").as_str()),
        (Some("Administrators"), "interactive+network+remote interactive")
    );
    assert_eq!(known(&facts.name.primary_domain), "LAB");
    assert!(!serde_json::to_string(&facts).unwrap().contains("HASH"));
}

/// A raw disk with an MBR whose one partition begins at sector 128.
fn disk() -> DiskFacts {
    let mut sectors = vec![0; 1 << 20];
    sectors[440..444].copy_from_slice(&0x2598_ad56_u32.to_le_bytes());
    sectors[446..462].copy_from_slice(&[0x80, 0, 0, 0, 7, 0, 0, 0, 128, 0, 0, 0, 0, 4, 0, 0]);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    let file: Bytes = Arc::new(Memory(sectors));
    let search = ParentSearch { directories: vec![], access: Access::Positional };
    let source = Source { file: &file, path: Path::new("disk.raw"), search: &search };
    surface(&source, Options { deep: false }).unwrap().facts
}

/// A device element: no options, and a partition by signature and offset as Windows writes it.
fn device(signature: u32, offset: u64) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes.extend([6_u32, 0, 72, 0].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(offset.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend([0_u32, 1, signature].iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(16 + 72, 0);
    bytes
}

#[test]
fn drive_letters_and_boot_entries_lead_to_partitions() {
    let here = disk();
    let number = |signature: u32, offset: u64| {
        let mut made = Made::server();
        let data = [signature.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec()].concat();
        set(&mut made.system, "MountedDevices", "\\DosDevices\\C:", kind::BINARY, &data);
        let drives = known(&made.learn_on(&[&here]).drives);
        let partition = known(&drives[0].partition);
        (partition.on_disk.value().copied(), partition.number.value().copied())
    };
    assert_eq!(number(0x2598_ad56, 65_536), (Some(0), Some(1)));
    assert_eq!(number(0x2598_ad56, 1_048_576), (Some(0), None));
    assert_eq!(number(0x1234_5678, 65_536), (None, None));

    let (manager, loader) = ("{9dea862c-5cdd-4e70-acc1-f32b344d4795}", "{11111111-2222-3333-4444-555555555555}");
    let mut store = Node::new("ROOT");
    let element = |store: &mut Node, object: &str, id: &str, form: u32, data: &[u8]| {
        set(store, &format!("Objects\\{object}\\Elements\\{id}"), "Element", form, data);
    };
    for (object, number) in [(manager, 0x1010_0002_u32), (loader, 0x1020_0003)] {
        set(&mut store, &format!("Objects\\{object}\\Description"), "Type", kind::DWORD, &number.to_le_bytes());
    }
    element(&mut store, manager, "23000003", kind::SZ, &wide(loader));
    element(&mut store, manager, "24000001", kind::MULTI_SZ, &wide(&format!("{loader}\0")));
    element(&mut store, manager, "25000004", kind::BINARY, &30_u64.to_le_bytes());
    element(&mut store, loader, "11000001", kind::BINARY, &device(0x2598_ad56, 65_536));
    element(&mut store, loader, "21000001", kind::BINARY, &device(0x1234_5678, 65_536));
    element(&mut store, loader, "12000002", kind::SZ, &wide("\\Windows\\system32\\winload.exe"));
    element(&mut store, loader, "16000009", kind::BINARY, &[1]);
    element(&mut store, loader, "25000080", kind::BINARY, &[0; 8]);
    element(&mut store, loader, "260000b0", kind::BINARY, &[]);
    let mut boot = MemoryFileSystem::new(true);
    let bytes = store.hive(3);
    boot.add("/Boot/BCD", Item::File(bytes.clone()), 0o644, 0);
    let (boot, tree) = (Tree::new("partition 1", Arc::new(boot), NodeId(0)), Made::server().tree());
    let facts = learn(&Machine { tree: &tree, boot: Some(&boot), disks: &[&here] });
    let mut both = MemoryFileSystem::new(true);
    both.add("/EFI/Microsoft/Boot/BCD", Item::File(bytes.clone()), 0o644, 0);
    both.add("/Boot/BCD", Item::File(bytes), 0o644, 0);
    let both = Tree::new("partition 1", Arc::new(both), NodeId(0));
    let with_both = learn(&Machine { tree: &tree, boot: Some(&both), disks: &[&here] });
    let store = known(&facts.boot_store);
    assert_eq!((store.path.as_str(), store.on.as_str(), store.dirty, store.entries), ("\\Boot\\BCD", "partition 1", false, 1));
    assert_eq!(known(&with_both.boot_store).path, store.path, "a BIOS reads its own");
    assert_eq!((known(&store.manager).timeout, store.ems_port), (Fact::Known(30), Fact::Absent));
    let entry = known(&store.default);
    assert_eq!((known(&entry.kind).as_str(), known(&entry.path).as_str()), ("loader", "\\Windows\\system32\\winload.exe"));
    assert_eq!(known(&known(&entry.device).partition).number, Fact::Known(1));
    let elsewhere = known(&known(&entry.os_device).partition);
    assert_eq!((elsewhere.number, known(&elsewhere.disk).as_str()), (Fact::Absent, "0x12345678"));
    assert_eq!((entry.recovery_enabled, entry.safe_boot, entry.boot_status_policy), (Fact::Known(true), Fact::Known(0), Fact::Absent));
    assert!(entry.ems.reason().is_some(), "an empty element is not off");
}
